/**
 * The members of a JSON object as they stand in its text.
 *
 * @module
 */

/**
 * Each member of the outermost object of `text`: its key, and its value's own text. Of a key that stands twice the last
 * value counts, as for JSON.parse. `text` must be a JSON object; how deep it is does not matter.
 *
 * ```ts
 * import { membersOf } from "./members.ts";
 *
 * membersOf('{"id": 12345678901234567890, "tags": ["a"]}').get("id"); // "12345678901234567890"
 * ```
 */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let key: string | undefined;
  let start = text.indexOf("{") + 1;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else if (char === ":" && depth === 1) {
      key = JSON.parse(text.slice(start, at));
      start = at + 1;
    } else if (depth === 1 && (char === "," || char === "}")) {
      if (key !== undefined) members.set(key, text.slice(start, at).trim());
      start = at + 1;
    }
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
  }
  return members;
}

/** Where the quote is that ends the string which begins at `start`. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
