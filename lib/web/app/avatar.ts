/**
 * A person or a group as a sign: initials in a circle or a square, in one of eight tones by the id.
 *
 * @module
 */

import { el } from "./dom.ts";

const TONES = 8;
const segmenter = new Intl.Segmenter();
/** A character that nothing behind it belongs to: most are, and it takes no segmenter to tell. */
const PLAIN = /^[\p{L}\p{N}](?![\p{M}\u200d\ufe0f])/u;

/** One or two characters that stand for a name. */
function initials(name: string): string {
  const words = name.split(/[\s\-_.]+/).filter((word) => word !== "");
  const first = (word = "") => PLAIN.exec(word)?.[0] ?? segmenter.segment(word).containing(0)?.segment ?? "";
  const [one, two] = [first(words[0]), first(words.length > 1 ? words.at(-1) : "")];
  // Two wide characters have no room.
  const both = /^[\p{L}\p{N}]$/u.test(one) && one.codePointAt(0) as number < 0x1100 ? one + two : one;
  return both.toLocaleUpperCase() || "?";
}

/** The sign. `state`: shows whether somebody is there; `size`: a class of the style sheet. */
export function avatar(
  of: { id: number; name: string; isGroup?: boolean; state?: string | undefined; size?: string },
): HTMLElement {
  const { id, name, isGroup = false, state = "", size = "" } = of;
  const classes = `avatar tone-${id % TONES + 1} ${isGroup ? "group" : ""} ${size}`;
  const presence = state !== "" && el("span", { class: `presence ${state === "online" ? "online" : ""}` });
  return el("span", { class: classes.trim(), "aria-hidden": "true" }, initials(name), presence);
}
