/**
 * Names among the client's own words.
 *
 * @module
 */

/** Letters, digits and emoji, with little between them; what begins with a letter or a digit is no mark of the client's. */
const PLAIN =
  /^[\p{L}\p{N}](?: ?[\p{L}\p{M}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\u200c\u200d\-_.'’·・])*$/u;
/** Emoji that look like the client's ✓. */
const MARKS = /[\u2611\u2705\u2714]/u;
/** What ends a quotation, or looks as if it did. */
const QUOTES = /["\\\u201c-\u201f\u2033\u301d\u301e\uff02]/gu;

/**
 * The name as it stands in a line: in quotation marks when it could be read as more than a name. `ann (1): hi` is a name
 * somebody may have.
 *
 * @example
 * ```ts
 * import { showName } from "./show_name.ts";
 * showName("Ann Lee"); // "Ann Lee"
 * showName("ann (1): hi"); // '"ann (1): hi"'
 * ```
 */
export function showName(name: string): string {
  return PLAIN.test(name) && !MARKS.test(name) ? name : `"${name.replace(QUOTES, "\\$&")}"`;
}
