/**
 * What floats over the page: menus, and dialogs that take the focus until they are closed.
 *
 * @module
 */

import { el, icon } from "./dom.ts";
import type { Child } from "./dom.ts";
import { ICONS } from "./icons.ts";
import { t } from "./texts.ts";

/** Something to choose in a menu. */
export interface Choice {
  /** Its text. */
  label: string;
  /** A key that does the same. */
  key?: string;
  /** It cannot be undone. */
  isDangerous?: boolean;
  /** Chosen. */
  onChoose: () => void;
}

const GAP = 4;
const EDGE = 8;

/** Puts a floating element beside `anchor`, inside the window. */
export function place(
  element: HTMLElement,
  anchor: Element | DOMRect,
  side: "below" | "above" = "below",
): void {
  const rect = anchor instanceof Element ? anchor.getBoundingClientRect() : anchor;
  const { width, height } = element.getBoundingClientRect();
  const below = rect.bottom + GAP;
  const above = rect.top - GAP - height;
  const fits = side === "below" ? below + height <= innerHeight - EDGE : above < EDGE;
  const top = Math.max(
    EDGE,
    Math.min(fits ? below : above < EDGE ? below : above, innerHeight - height - EDGE),
  );
  const start = document.documentElement.dir === "rtl" ? rect.right - width : rect.left;
  const left = Math.max(EDGE, Math.min(start, innerWidth - width - EDGE));
  element.style.left = `${left}px`;
  element.style.top = `${top}px`;
}

/** Opens a floating element that a click beside it, or Escape, closes; the focus goes back to where it was. */
export function openFloat(
  element: HTMLElement,
  anchor: Element | DOMRect,
  side?: "below" | "above",
): () => void {
  const before = document.activeElement;
  element.setAttribute("popover", "auto");
  document.body.append(element);
  element.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    const hadFocus = element.contains(document.activeElement) || document.activeElement === document.body;
    element.remove();
    if (hadFocus && before instanceof HTMLElement && before.isConnected) before.focus();
  });
  element.showPopover();
  place(element, anchor, side);
  return () => {
    if (element.isConnected) element.hidePopover();
  };
}

/** Up and down, Home and End move the focus between elements of `selector`. */
export function moveWithArrows(
  element: HTMLElement,
  selector: string,
  { columns = 1 }: { columns?: number } = {},
): void {
  element.addEventListener("keydown", (event) => {
    const all = [...element.querySelectorAll<HTMLElement>(selector)];
    const index = all.indexOf(document.activeElement as HTMLElement);
    const steps: Record<string, number> = {
      ArrowDown: columns,
      ArrowUp: -columns,
      ...(columns > 1 ? { ArrowRight: 1, ArrowLeft: -1 } : {}),
    };
    const step = steps[event.key];
    const next = event.key === "Home"
      ? 0
      : event.key === "End"
      ? all.length - 1
      : step === undefined
      ? -1
      : index + step;
    if (event.key !== "Home" && event.key !== "End" && step === undefined) return;
    event.preventDefault();
    all[columns > 1 ? Math.max(0, Math.min(next, all.length - 1)) : (next + all.length) % all.length]
      ?.focus();
  });
}

/** Opens a menu beside `anchor`. */
export function openMenu(anchor: Element | DOMRect, choices: readonly Choice[]): void {
  const items = choices.map(({ label, key, isDangerous, onChoose }) =>
    el(
      "button",
      {
        type: "button",
        role: "menuitem",
        class: `choice ${isDangerous ? "danger" : ""}`,
        onclick: () => {
          close();
          onChoose();
        },
      },
      el("span", {}, label),
      key !== undefined && el("kbd", {}, key),
    )
  );
  const menu = el("div", { class: "float", role: "menu" }, ...items);
  moveWithArrows(menu, ".choice");
  const close = openFloat(menu, anchor);
  items[0]?.focus();
}

/** A dialog that is open. */
export interface OpenDialog {
  /** The element. */
  element: HTMLDialogElement;
  /** Closes it. */
  close: () => void;
}

/** Opens a dialog with a title; `build` makes what is in it. */
export function openDialog(
  title: string,
  build: (dialog: OpenDialog) => readonly Child[],
  className = "",
): OpenDialog {
  const element = el("dialog", { class: className, "aria-label": title });
  const close = () => element.close();
  const dialog = { element, close };
  element.addEventListener("close", () => element.remove());
  // A click on the backdrop is one on the element itself.
  element.addEventListener("pointerdown", (event) => {
    if (event.target !== element) return;
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    if (x < left || x > right || y < top || y > bottom) close();
  });
  element.append(
    el(
      "div",
      { class: "dialog-head" },
      el("h2", {}, title),
      el(
        "button",
        { type: "button", class: "icon-button", "aria-label": t("close"), onclick: close },
        icon(ICONS.close),
      ),
    ),
    el("div", { class: "dialog-body" }, ...build(dialog).filter((child) => child !== undefined)),
  );
  document.body.append(element);
  element.showModal();
  const wanted = element.querySelector<HTMLElement>("[autofocus]");
  (wanted ?? element.querySelector<HTMLElement>(".dialog-body :is(input, select, button)"))?.focus();
  return dialog;
}

/** Asks before something that cannot be undone; `confirm` names what is done. */
export function askFirst(
  title: string,
  text: string,
  confirm: string,
  onConfirm: () => void,
): void {
  openDialog(title, ({ close }) => [
    el("p", {}, text),
    el(
      "div",
      { class: "dialog-foot" },
      el("button", { type: "button", class: "button", autofocus: true, onclick: close }, t("cancel")),
      el("button", {
        type: "button",
        class: "button danger",
        onclick: () => {
          close();
          onConfirm();
        },
      }, confirm),
    ),
  ]);
}

/** Says something for a moment that needs no answer, to screen readers too. */
export function toast(text: string): void {
  const element = el("div", { class: "float toast", role: "status", popover: "manual" }, text);
  document.body.append(element);
  element.showPopover();
  setTimeout(() => element.remove(), 4000);
}
