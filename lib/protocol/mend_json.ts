/**
 * JSON that every reader takes, and takes alike. JSON.parse accepts more than strict readers do: half of a surrogate
 * pair, a number beyond the largest double, any depth. One such message would end a client whenever it is delivered.
 *
 * @module
 */
import { endOfString } from "./members.ts";
import { DEPTH_MAX, escapeLineBreaks } from "./protocol.ts";

const QUOTE = '"';
const NUMBER = /[-+.\deE]+/y;
const LINE_BREAKS = /[\r\n]+/y;
/** Half of a surrogate pair, perhaps beside the other half. */
const SURROGATE = /\\u[dD][89a-fA-F]/;
/** An escaped pair, half of one, or any other escape. */
const ESCAPE = /\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u([dD][89a-fA-F]..)|\\[^]/g;
/** Fields of a message that are integers in the protocol. */
const INTEGERS: ReadonlySet<unknown> = new Set(["msgid", "id", "toid", "groupid"]);

/** What {@link mendJson} made of a text. */
export interface Mended {
  /** The text; the same one when there was nothing to do. */
  text: string;
  /** What strict readers would have refused, as a sentence; undefined when only the spelling was changed, if at all. */
  fault: string | undefined;
}

/**
 * Puts right the text of a JSON object. Spelling: the integers of a message's own fields are digits, line breaks between
 * tokens are spaces, and those that only some readers know are escaped. Faults: half of a surrogate pair becomes U+FFFD,
 * a number that is none of the doubles and what is nested deeper than {@link DEPTH_MAX} become null.
 *
 * ```ts
 * import { mendJson } from "./mend_json.ts";
 *
 * mendJson('{"id":201e0,"x":1e400}'); // { text: '{"id":201,"x":null}', fault: "A number is out of range" }
 * ```
 */
export function mendJson(text: string): Mended {
  let mended = "";
  let copied = 0;
  let fault: string | undefined;
  let depth = 0;
  let key = "";
  for (let at = 0, end = 0; at < text.length; at = end) {
    end = at + 1;
    const char = text[at] ?? "";
    let better: string | undefined;
    if (char === QUOTE) {
      end = endOfString(text, at) + 1;
      const string = text.slice(at, end);
      if (depth === 1) key = string;
      better = escapeLineBreaks(string);
      if (SURROGATE.test(string) && !(JSON.parse(string) as string).isWellFormed()) {
        better = better.replace(ESCAPE, (escape, half) => half ? "\\ufffd" : escape);
        fault = "Half of a surrogate pair is no text";
      }
      if (better === string) better = undefined;
    } else if (char === "{" || char === "[") {
      if (depth < DEPTH_MAX) depth++;
      else {
        end = endOfNested(text, at);
        better = "null";
        fault = `Nested deeper than ${DEPTH_MAX}`;
      }
    } else if (char === "}" || char === "]") depth--;
    else if (char === "-" || (char >= "0" && char <= "9")) {
      end = endOf(NUMBER, text, at);
      const number = text.slice(at, end);
      const value = Number(number);
      if (!Number.isFinite(value)) {
        better = "null";
        fault = "A number is out of range";
      } else if (number !== String(value) && depth === 1 && INTEGERS.has(JSON.parse(key))) {
        if (Number.isSafeInteger(value)) better = String(value);
      }
    } else if (char === "\r" || char === "\n") {
      end = endOf(LINE_BREAKS, text, at);
      better = " ";
    }
    if (better === undefined) continue;
    mended += text.slice(copied, at) + better;
    copied = end;
  }
  return { text: copied === 0 ? text : mended + text.slice(copied), fault };
}

function endOf(pattern: RegExp, text: string, start: number): number {
  pattern.lastIndex = start;
  pattern.test(text);
  return pattern.lastIndex;
}

/** Where the object or array ends that begins at `start`. */
function endOfNested(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const char = text[at];
    if (char === QUOTE) at = endOfString(text, at);
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    at++;
  } while (depth > 0);
  return at;
}
