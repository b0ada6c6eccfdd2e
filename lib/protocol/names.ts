/**
 * Names of users and groups: which are acceptable, and when two are the same.
 *
 * The rule is one for both databases, because it is carried out here and not by a collation: a name is stored in
 * Unicode normalisation form C, and beside it a key, a plain string of bytes with a unique index. Two names are the
 * same when their keys are: `Ann`, `ANN` and the full-width `Ａｎｎ`, `Straße` and `STRASSE`, an `é` typed as one or as two
 * code points; `a` and `á` are different names.
 *
 * @module
 */

/** Longest name, in code points, as VARCHAR(50) counts. */
const MAX_CODE_POINTS = 50;
/** Longest name as it is sent, in UTF-16 units: four code points that are composed to one, two units each. */
const MAX_UNITS = 8 * MAX_CODE_POINTS;
/** Longest key, in bytes, as the columns have it. */
export const MAX_KEY_BYTES = 1_200;

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

/**
 * The invisible ones that belong to visible text: joiners inside words and emoji, selectors behind emoji, ideographs and
 * Mongolian letters, the tags of flags.
 */
const NEEDED_INVISIBLES = new RegExp(
  `(?<=[${JOINING_SCRIPTS}\\p{M}])[\\u200C\\u200D](?=[${JOINING_SCRIPTS}])` +
    "|(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\uFE0F])\\u200D(?=\\p{Extended_Pictographic})" +
    "|(?<=\\p{Extended_Pictographic})[\\uFE0E\\uFE0F]|(?<=[0-9#*])\\uFE0F(?=\\u20E3)" +
    "|(?<=\\p{Ideographic})[\\uFE00-\\uFE0F\\u{E0100}-\\u{E01EF}]" +
    "|(?<=\\p{Script=Mong})[\\u180B-\\u180D\\u180F]|\\p{RGI_Emoji_Tag_Sequence}",
  "gv",
);

/** Of those the ones that make no other name. */
const JOINERS_AND_SELECTORS = /[\u200C\u200D\uFE00-\uFE0F\u180B-\u180D\u180F\u{E0100}-\u{E01EF}]/gu;

/** Control and format characters, line and paragraph separators, and everything else that shows nothing of itself. */
const INVISIBLE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\uFFFC\uFFFD\u{13441}\u{13442}\u{1D159}]/u;

/** An id in parentheses, which stands behind a name where people are shown: `ann (1): hi`. */
const LIKE_A_LINE = /[(❨❪⟮⦅⸨]\s*\p{N}+\s*[)❩❫⟯⦆⸩]/u;

const encoder = new TextEncoder();

/** The form a name is stored in: NFC, every kind of space as U+0020. */
export function normalizeName(name: string): string {
  return name.replace(/\p{Zs}/gu, " ").normalize("NFC");
}

/**
 * What makes a name unique: Unicode's compatibility caseless match (D146: full case folding and NFKC), as UTF-8, without
 * joiners and selectors.
 *
 * ```ts
 * import { nameKey } from "./names.ts";
 *
 * const isSame = nameKey("ANN").join() === nameKey("ann").join(); // true
 * ```
 */
export function nameKey(name: string): Uint8Array {
  const visible = normalizeName(name).replace(JOINERS_AND_SELECTORS, "");
  return encoder.encode(foldCase(foldCase(visible.normalize("NFD")).normalize("NFKC")).normalize("NFKC"));
}

/**
 * Unicode's full case folding, which JavaScript has not. Lower, upper, lower again comes to the same for each character
 * but one; of Cherokee, which folds to capitals, it makes small letters, but the same ones of both. One by one, or a sigma
 * at the end of a word would be another.
 */
function foldCase(text: string): string {
  return Array.from(text, (char) => char === "ı" ? char : char.toLowerCase().toUpperCase().toLowerCase())
    .join("");
}

/**
 * Why `name` cannot be a name, as the end of the sentence "the name …"; undefined when it can.
 *
 * Acceptable is 1 to 50 code points in NFC: letters, marks behind them, digits, punctuation, symbols and emoji, single
 * spaces in between; nothing invisible but what emoji and scripts need, nothing that is not assigned, and no number in
 * parentheses.
 */
export function checkName(name: string): string | undefined {
  const tooLong = `is longer than ${MAX_CODE_POINTS} characters`;
  // Before anything that takes more than linear time.
  if (name.length > MAX_UNITS) return tooLong;
  if (!name.isWellFormed()) return "is not valid Unicode";
  const normalized = normalizeName(name);
  if (normalized === "") return "is empty";
  if (normalized.trim() !== normalized) return "begins or ends with white space";
  if (normalized.includes("  ")) return "has two spaces in a row";
  if (INVISIBLE.test(normalized.replace(NEEDED_INVISIBLES, ""))) return "has control or invisible characters";
  if (/[\p{Cn}\p{Co}]/u.test(normalized)) return "has characters that Unicode does not know";
  if (/(?:^| )\p{M}/u.test(normalized)) return "has an accent without a letter";
  if (LIKE_A_LINE.test(normalized.normalize("NFKC"))) return "has a number in parentheses, as ids are shown";
  if ([...normalized].length > MAX_CODE_POINTS || nameKey(normalized).length > MAX_KEY_BYTES) return tooLong;
  return undefined;
}
