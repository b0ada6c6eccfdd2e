/**
 * Lines of text as rows of a terminal.
 *
 * @module
 */

import { splitGraphemes, widestCells } from "./text_width.ts";

/** So far a row that carries a line on is indented: further than any line of the client's own. */
const INDENT = 8;
/** While it is off, a row that is wider than we think loses its end, and does not go on at the start of the next row. */
const AUTOWRAP_OFF = "\x1b[?7l";
const AUTOWRAP_ON = "\x1b[?7h";
/** Characters of which every terminal thinks that they take one cell. */
const ONE_CELL_EACH = /^[\x20-\x7e]*$/;

/** An odd number where there is less room: the client's own lines are indented by none, two or four. */
function indentFor(columns: number): number {
  return Math.min(INDENT, (columns >> 2) | 1);
}

/**
 * Cuts a line into rows none of which reaches the terminal's last column, at a space where one is near. All but the first
 * are indented, so that nothing somebody has said can stand where a line begins.
 */
export function wrapLine(line: string, columns: number): string[] {
  const widest = columns - 1;
  if (ONE_CELL_EACH.test(line) && line.length <= widest) return [line];
  const indent = " ".repeat(indentFor(columns));
  const rows: string[] = [];
  let row = "";
  let width = 0;
  let isEmpty = true;
  /** Where the row may be cut behind a space, and how wide what follows is. */
  let cut = 0;
  let widthBehindCut = 0;
  const add = (cell: string, cells: number) => {
    row += cell;
    width += cells;
    isEmpty = false;
    widthBehindCut += cells;
    if (cell !== " ") return;
    cut = row.length;
    widthBehindCut = 0;
  };
  const begin = (text: string, cells: number) => {
    row = indent + text;
    width = indent.length + cells;
    isEmpty = text === "";
    cut = 0;
  };
  for (const grapheme of splitGraphemes(line)) {
    const isTooWide = widestCells(grapheme) > widest - indent.length;
    for (const cell of isTooWide ? grapheme : [grapheme]) {
      const cells = widestCells(cell);
      if (width + cells > widest && !isEmpty) {
        // A cut that leaves half of the row empty is worse than one inside a word.
        const at = width - widthBehindCut > columns / 2 && cut > 0 ? cut : row.length;
        rows.push(row.slice(0, at));
        begin(row.slice(at), at === row.length ? 0 : widthBehindCut);
      }
      add(cell, cells);
    }
  }
  rows.push(row);
  return rows;
}

/** The rows of a line as they are written to a terminal, without the end of the last one. */
export function terminalRows(line: string, columns: number, lineEnd: string): string {
  return guardRows(wrapLine(line, columns).join(lineEnd), line, columns);
}

/** The drawn rows of a line, written so that none of them can run over into the next. */
export function guardRows(rows: string, line: string, columns: number): string {
  const isCounted = ONE_CELL_EACH.test(line) || 2 * line.length < columns;
  return isCounted ? rows : AUTOWRAP_OFF + rows + AUTOWRAP_ON;
}
