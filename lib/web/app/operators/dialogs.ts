/**
 * Questions and answers above the page.
 *
 * @module
 */

import { el } from "../dom.ts";
import { field, form } from "../forms.ts";

/** What is about to be done. */
export interface DeedQuestion {
  /** What it is. */
  title: string;
  /** What comes of it. */
  text: string;
  /** To be typed before it is done. */
  name?: string;
  /** What is to be typed, where it is not a name. */
  label?: string;
  /** What the button says. */
  button: string;
  /** Does it, with what was typed. */
  run: (typed: string) => Promise<unknown>;
}

/** Asks for the name, or a text, and does it. Resolves with whether it was done. */
export function confirmDeed({ title, text, name, label, button, run }: DeedQuestion): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const { element, input } = field(label ?? `Type ${name} to go on`, {
    required: true,
    autocomplete: "off",
    maxlength: 1_000,
  });
  let isDone = false;
  const content = form([el("p", {}, text), element], button, async () => {
    if (name !== undefined && input.value !== name) return `That is not ${name}.`;
    if (input.value.trim() === "") return "There is nothing to say.";
    try {
      await run(input.value);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    isDone = true;
    dialog.close();
    return "";
  });
  if (name !== undefined) content.querySelector("button")?.classList.add("danger");
  const dialog = open(title, content, () => resolve(isDone));
  input.focus();
  return promise;
}

/** Shows what has come of something; the first line can be copied. */
export function say(title: string, text: string, lines: readonly string[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const [code, ...others] = lines;
  open(
    title,
    el(
      "div",
      { class: "form" },
      el("p", {}, text),
      code !== undefined && el("code", { class: "code" }, code),
      ...others.map((line) => el("p", { class: "secondary" }, line)),
    ),
    resolve,
  );
  return promise;
}

function open(title: string, content: HTMLElement, onClose: () => void): HTMLDialogElement {
  const dialog: HTMLDialogElement = el(
    "dialog",
    {
      "aria-label": title,
      onclose: () => {
        dialog.remove();
        onClose();
      },
    },
    el(
      "div",
      { class: "head" },
      el("h2", { dir: "auto" }, title),
      el("button", { type: "button", class: "button small", onclick: () => dialog.close() }, "Close"),
    ),
    content,
  );
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
