/**
 * How many terminal cells text takes.
 *
 * @module
 */

/** East Asian wide and fullwidth characters (Unicode's EastAsianWidth W and F) and what is drawn as an emoji by default. */
const WIDE = new RegExp(
  "[\\u1100-\\u115f\\u2329\\u232a\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97c\\uac00-\\ud7a3\\uf900-\\ufaff" +
    "\\ufe10-\\ufe19\\ufe30-\\ufe6f\\uff01-\\uff60\\uffe0-\\uffe6\\u{16fe0}-\\u{18dff}\\u{1aff0}-\\u{1b2ff}" +
    "\\u{1f200}-\\u{1f265}\\u{20000}-\\u{3fffd}\\p{Emoji_Presentation}]",
  "u",
);
/** U+FE0F asks for the emoji drawing of a character that has both; two regional indicators are a flag. */
const EMOJI_SEQUENCE = /\ufe0f|\p{Regional_Indicator}{2}/u;
const ZERO_WIDTH = /^[\p{Mark}\u200b-\u200d\ufe00-\ufe0f]*$/u;

const PICTURE = /\p{Extended_Pictographic}|\p{Regional_Indicator}/u;
/** Drawn into the cell before. Not U+FE0F, which may make that cell wider. */
const JOINS_BEFORE = /[\p{Mn}\p{Me}\u200b-\u200d\ufe00-\ufe0e]/u;

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Splits text into what a reader sees as one character each. */
export function splitGraphemes(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Cells one grapheme takes: 0, 1 or 2. */
export function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme) || EMOJI_SEQUENCE.test(grapheme)) return 2;
  return ZERO_WIDTH.test(grapheme) ? 0 : 1;
}

/** Cells the text takes on one line. */
export function textWidth(text: string): number {
  return splitGraphemes(text).reduce((sum, grapheme) => sum + graphemeWidth(grapheme), 0);
}

/** Cells the text takes at most, for terminals differ about sequences, new emoji and what has two widths. */
export function widestCells(text: string): number {
  let cells = 0;
  for (const character of text) {
    if (WIDE.test(character) || PICTURE.test(character)) cells += 2;
    else if (!JOINS_BEFORE.test(character)) cells++;
  }
  return cells;
}
