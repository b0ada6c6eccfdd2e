/**
 * What people give a name or a description to is one line of so many characters.
 *
 * @module
 */

const LINE_CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/gu;

/** Whether a text has at most `max` code points; counts none of a text that has more of them than fit anyway. */
export function isAtMost(text: string, max: number): boolean {
  return text.length <= 2 * max && [...text].length <= max;
}

/** Whether a text is Unicode without controls and line breaks: {@linkcode toLine} leaves it as it is. */
export function isLine(text: string): boolean {
  return toLine(text) === text;
}

/** The text without lone surrogates, which are no text, and with spaces for what would end or move lines on screens. */
export function toLine(text: string): string {
  return text.toWellFormed().replace(LINE_CONTROL, " ");
}
