/**
 * Fields, and forms that say what is wrong where it is.
 *
 * @module
 */

import { el } from "./dom.ts";
import type { Attributes, Child } from "./dom.ts";

/** A field with its label. */
export function field(
  label: string,
  attributes: Attributes,
): { element: HTMLElement; input: HTMLInputElement } {
  const input = el("input", { class: "input", type: "text", ...attributes });
  return { element: el("label", { class: "field" }, el("span", {}, label), input), input };
}

/** A choice of one, with its label. `options`: their values and what they are called. */
export function choice(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
): { element: HTMLElement; input: HTMLSelectElement } {
  const input = el(
    "select",
    { class: "input" },
    ...options.map(([option, text]) => el("option", { value: option }, text)),
  );
  input.value = value;
  return { element: el("label", { class: "field" }, el("span", {}, label), input), input };
}

/**
 * A form. `onSubmit` resolves with what is wrong, or with nothing; until then it cannot be sent again. `look`: of its button, "danger" for
 * what cannot be undone.
 */
export function form(
  parts: readonly Child[],
  submit: string,
  onSubmit: () => Promise<string>,
  look: "main" | "danger" = "main",
): HTMLFormElement {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const button = el("button", { type: "submit", class: `button ${look}` }, submit);
  const element = el(
    "form",
    {
      class: "form",
      novalidate: true,
      onsubmit: async (event: SubmitEvent) => {
        event.preventDefault();
        if (button.disabled) return;
        button.disabled = true;
        // Of the last time; its room stays, so that nothing jumps.
        problem.style.visibility = "hidden";
        const text = await onSubmit().catch((error: unknown) => String(error));
        button.disabled = false;
        problem.style.visibility = "";
        problem.hidden = text === "";
        problem.textContent = text;
      },
    },
    ...parts,
    problem,
    button,
  );
  return element;
}
