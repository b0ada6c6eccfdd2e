/**
 * What is printable: one answer for the terminal client, the log and whatever else is shown to a person.
 *
 * @module
 */

/** In a flag, or behind an ideograph of which they choose the form, these are seen. */
const SEEN = "\\p{RGI_Emoji_Tag_Sequence}|(?<=\\p{Ideographic})[\\u{e0100}-\\u{e01ef}]";

/**
 * Everything that could move the cursor, change the terminal's state, break a line or reorder what is read, and what shows
 * nothing: C0 and C1 controls (ESC among them), line and paragraph separators, lone surrogates, bidirectional marks,
 * overrides and isolates, invisible format characters, fillers, tags, the blank of Braille. Joiners and the selectors of
 * emoji and Mongolian stay: scripts and emoji need them.
 */
const UNPRINTABLE = new RegExp(
  `(${SEEN})|[[\\p{Cc}\\p{Zl}\\p{Zp}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\p{Bidi_Control}\\u2800\\ufff9-\\ufffb]` +
    "--[\\u200c\\u200d\\ufe00-\\ufe0f\\u180b-\\u180d\\u180f]]",
  "gv",
);

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
    UNPRINTABLE,
    (char, seen) => seen ?? SHORT_ESCAPES[char] ?? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** JSON text that means the same and is printable: what is not stands in strings only, and becomes `\u009b`. */
export function printableJson(json: string): string {
  return json.replace(
    UNPRINTABLE,
    (char: string, seen) =>
      seen ?? char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  );
}
