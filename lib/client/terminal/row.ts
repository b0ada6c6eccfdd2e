/**
 * A line with colours in it.
 *
 * @module
 */

import { printable } from "../../base/printable.ts";
import { wrapLine } from "./wrap.ts";

/** A piece of a line; `style` is an ECMA-48 SGR parameter, such as "2" for faint. */
export type Part = string | { text: string; style: string };

/** A line as its pieces. What they hold is made harmless when it is drawn. */
export type Row = readonly Part[];

/** Faint. */
export const FAINT = "2";
/** Colours that can be told from one another on light and on dark. */
const PERSONS = ["36", "33", "35", "32", "34", "31"];

/** The colour of a person, or of whatever else has an id. */
export function personStyle(id: number): string {
  return PERSONS[id % PERSONS.length] ?? "36";
}

/** The row without its colours. */
export function rowText(row: Row): string {
  return row.map((part) => printable(typeof part === "string" ? part : part.text)).join("");
}

/** The rows of a terminal that a row takes, coloured where `isColoured`. Colours are seen in the first of them only. */
export function drawRow(row: Row, columns: number, isColoured: boolean): string[] {
  const [first = "", ...others] = wrapLine(rowText(row), columns);
  return [isColoured ? colour(row, first) : first, ...others];
}

function colour(row: Row, first: string): string {
  let drawn = "";
  let at = 0;
  for (const part of row) {
    const text = printable(typeof part === "string" ? part : part.text);
    const seen = first.slice(at, at + text.length);
    drawn += typeof part === "string" || seen === "" ? seen : `\x1b[${part.style}m${seen}\x1b[0m`;
    at += text.length;
  }
  return drawn + first.slice(at);
}
