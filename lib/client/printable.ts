/**
 * Makes text from the network harmless on a terminal.
 *
 * @module
 */

/**
 * Everything that could move the cursor, change the terminal's state, break a line or reorder what is read: C0 and C1
 * controls (ESC among them), line and paragraph separators, lone surrogates, bidirectional marks, overrides and isolates,
 * and invisible format characters. The joiners U+200C and U+200D stay: scripts and emoji need them.
 */
const UNSAFE =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0001}]/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text as one line without any control: a newline becomes `\n`, ESC becomes `\u{1b}`.
 *
 * @example
 * ```ts
 * import { printable } from "./printable.ts";
 * printable("\x1b[2Jhi\n"); // "\\u{1b}[2Jhi\\n"
 * ```
 */
export function printable(text: string): string {
  return text.replace(
    UNSAFE,
    (character) => SHORT_ESCAPES[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
