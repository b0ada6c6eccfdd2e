/**
 * Names of users and groups: which are acceptable, and when two are the same.
 *
 * The rule is one for both databases, because it is carried out here and not by a collation: a name is stored in
 * Unicode normalisation form C, and beside it a key, a plain string of bytes with a unique index. Two names are the
 * same when their keys are, so `Ann`, `ann` and an `é` typed as one or as two code points are taken together, while
 * `strasse` and `straße`, or `a` and `á`, are different names.
 *
 * @module
 */

/** Longest name, in code points, as VARCHAR(50) counts. */
const MAX_CODE_POINTS = 50;

/** Scripts in which a joiner changes how letters connect; elsewhere it would only make a look-alike of another name. */
const JOINING_SCRIPTS = [
  "Arab",
  "Syrc",
  "Mong",
  "Deva",
  "Beng",
  "Guru",
  "Gujr",
  "Orya",
  "Taml",
  "Telu",
  "Knda",
]
  .concat(["Mlym", "Sinh", "Khmr"]).map((script) => `\\p{Script=${script}}`).join("");

/** The invisible ones that belong to visible text: joiners inside words and emoji, presentation selectors after emoji. */
const NEEDED_INVISIBLES = new RegExp(
  `(?<=[${JOINING_SCRIPTS}\\p{M}])[\\u200C\\u200D](?=[${JOINING_SCRIPTS}])` +
    "|(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\uFE0F])\\u200D(?=\\p{Extended_Pictographic})" +
    "|(?<=\\p{Extended_Pictographic})[\\uFE0E\\uFE0F]|(?<=[0-9#*])\\uFE0F(?=\\u20E3)",
  "gu",
);

/** Control and format characters, line and paragraph separators, and everything else that shows nothing. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

const encoder = new TextEncoder();

/** The form a name is stored in: NFC. */
export function normalizeName(name: string): string {
  return name.normalize("NFC");
}

/**
 * What makes a name unique: NFC, lower-cased without regard to a locale, NFC again, as UTF-8.
 *
 * ```ts
 * import { nameKey } from "./names.ts";
 *
 * const isSame = nameKey("ANN").join() === nameKey("ann").join(); // true
 * ```
 */
export function nameKey(name: string): Uint8Array {
  return encoder.encode(normalizeName(normalizeName(name).toLowerCase()));
}

/**
 * Why `name` cannot be a name, as the end of the sentence "the name …"; undefined when it can.
 *
 * Acceptable is 1 to 50 code points in NFC, no white space at either end (MySQL would ignore some of it when it
 * compares, SQLite would not), nothing invisible but what emoji and joining scripts need, no half of a surrogate pair.
 */
export function checkName(name: string): string | undefined {
  if (!name.isWellFormed()) return "is not valid Unicode";
  const normalized = normalizeName(name);
  if (normalized === "") return "is empty";
  if (normalized.trim() !== normalized) return "begins or ends with white space";
  if (INVISIBLE.test(normalized.replace(NEEDED_INVISIBLES, ""))) return "has control or invisible characters";
  if ([...normalized].length > MAX_CODE_POINTS) return `is longer than ${MAX_CODE_POINTS} characters`;
  return undefined;
}
