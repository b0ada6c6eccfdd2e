/**
 * The table at the end: one line a fault.
 *
 * @module
 */

import type { Tally } from "./ledger.ts";

/** A line. */
export interface TableRow {
  /** What was broken. */
  fault: string;
  /** How often. */
  rounds: number;
  /** What users said, heard and waited for, all rounds together. */
  tally: Tally;
  /** Messages that are gone. */
  lost: number;
  /** Messages of version 1 users that a node had taken when it was killed or cut off. */
  unstoredV1: number;
  /** What else there is to say. */
  note: string;
}

const COLUMNS: readonly [string, (row: TableRow) => string | number][] = [
  ["fault", ({ fault }) => fault],
  ["rounds", ({ rounds }) => rounds],
  ["sent", ({ tally }) => tally.sent],
  ["acked", ({ tally }) => tally.acknowledged],
  ["lost", ({ lost }) => lost],
  ["v1 unstored", ({ unstoredV1 }) => unstoredV1],
  ["twice", ({ tally }) => tally.duplicated],
  ["disorder", ({ tally }) => tally.outOfOrder],
  ["errno 10", ({ tally }) => tally.refused],
  ["repeats v3/v2/v1", ({ tally: { repeats } }) => `${repeats[3]}/${repeats[2]}/${repeats[1]}`],
  [
    "outage ms v3/v2/v1",
    ({ tally: { longestMs } }) =>
      [longestMs[3], longestMs[2], longestMs[1]].map((ms) => Math.round(ms)).join("/"),
  ],
  ["", ({ note }) => note],
];

/** Collects the lines. */
export class FaultTable {
  readonly #rows: TableRow[] = [];

  /** Adds a line, to be filled in by whoever adds it. */
  add(row: TableRow): void {
    this.#rows.push(row);
  }

  /** The whole table as text, columns under each other. */
  render(): string {
    const lines = [COLUMNS.map(([heading]) => heading)];
    for (const row of this.#rows) lines.push(COLUMNS.map(([, read]) => String(read(row))));
    const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
    const isText = (column: number) => column === 0 || column === COLUMNS.length - 1;
    return lines.map((line) =>
      line.map((cell, column) =>
        isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
      ).join("  ").trimEnd()
    ).join("\n");
  }
}
