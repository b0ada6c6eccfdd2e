/**
 * Choices of emoji that float over the page.
 *
 * @module
 */

import { el } from "./dom.ts";
import { EMOJI } from "./emoji.ts";
import { moveWithArrows, openFloat } from "./float.ts";
import { t } from "./texts.ts";

/** As the style sheet has it. */
const COLUMNS = 8;

/** Opens the choice of all emoji beside `anchor`. */
export function openEmoji(anchor: Element, onChoose: (emoji: string) => void): void {
  open(anchor, EMOJI, onChoose);
}

/** Opens the choice of those that are put on messages most; the others are a click away, beside `more`. */
export function openReactions(anchor: DOMRect, more: Element, onChoose: (emoji: string) => void): void {
  open(anchor, EMOJI.slice(0, COLUMNS), onChoose, () => openEmoji(more, onChoose));
}

function open(
  anchor: Element | DOMRect,
  choices: typeof EMOJI,
  onChoose: (emoji: string) => void,
  onMore?: () => void,
): void {
  const closeAnd = (act: () => void) => () => {
    close();
    act();
  };
  const grid = el(
    "div",
    { class: "emoji-grid" },
    ...choices.map(({ emoji, names: [name] }) =>
      el(
        "button",
        { type: "button", "aria-label": name, title: name, onclick: closeAnd(() => onChoose(emoji)) },
        emoji,
      )
    ),
  );
  const more = onMore &&
    el("button", { type: "button", class: "choice", onclick: closeAnd(onMore) }, t("more_emoji"));
  const menu = el("div", { class: "float" }, grid, more);
  moveWithArrows(menu, "button", { columns: COLUMNS });
  const close = openFloat(menu, anchor, "above");
  grid.querySelector("button")?.focus();
}
