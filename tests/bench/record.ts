/**
 * What was measured at which commit: record.jsonl has a line for each load and run, the newest last. README's table is made
 * of the last line of each load, so that none of its rows is older than it says.
 *
 * @module
 */
import { runOrThrow } from "../support/process.ts";
import { type Finding, formatNumber, ratioOf } from "./report.ts";

const RECORD = new URL("record.jsonl", import.meta.url);
const README = new URL("../../README.md", import.meta.url);

/** A ratio that is worse than the one in the record by more than this has fallen: by a tenth they move from run to run. */
const FALL = 0.15;

/** A line of the record. */
export interface Entry {
  /** The load, as the bench names it. */
  what: string;
  /** What was measured. */
  commit: string;
  /** When, as YYYY-MM-DD. */
  date: string;
  /** The figure. */
  value: number;
  /** Its unit. */
  unit: string;
  /** What it was held against in the same run. */
  yardstick: string;
  /** The figure against that. */
  ratio: number;
  /** Whether a greater or a smaller ratio is better. */
  better: "greater" | "smaller";
  /** From writing to reading, ms: half of the messages, and all but a hundredth. */
  p50: number;
  /** As above. */
  p99: number;
}

/** A finding as a line of the record; undefined for what is no load that is held against a yardstick. */
export function toEntry(finding: Finding, commit: string, date: string): Entry | undefined {
  const { what, value, unit, yardstick, goal, details = {} } = finding;
  const { "p50 ms": p50, "p99 ms": p99 } = details;
  const ratio = ratioOf(finding);
  if (!yardstick || ratio === undefined || p50 === undefined || p99 === undefined) return undefined;
  return {
    what,
    commit,
    date,
    value: rounded(value),
    unit,
    yardstick: yardstick.name,
    ratio: rounded(ratio),
    better: goal?.at === "most" ? "smaller" : "greater",
    p50: rounded(p50),
    p99: rounded(p99),
  };
}

/** To three digits. */
function rounded(figure: number): number {
  return Number(figure.toPrecision(3));
}

/** The lines of the record. */
export async function readRecord(): Promise<Entry[]> {
  const text = await Deno.readTextFile(RECORD);
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

/** Of each load the last line, in the order in which the loads first came. */
export function newest(entries: readonly Entry[]): Map<string, Entry> {
  return new Map(entries.map((entry) => [entry.what, entry]));
}

/** Whether its ratio is worse by more than chance makes it. */
export function hasFallen(now: Entry, before: Entry): boolean {
  return now.better === "greater"
    ? now.ratio < before.ratio * (1 - FALL)
    : now.ratio > before.ratio * (1 + FALL);
}

/** Says which ratios have fallen against the record, a line each. */
export function fallenLines(entries: readonly Entry[], record: readonly Entry[]): string[] {
  const last = newest(record);
  return entries.flatMap((now) => {
    const before = last.get(now.what);
    if (!before || !hasFallen(now, before)) return [];
    return [
      `FELL against the record: ${now.what}, ${now.ratio} (${before.ratio} at ${before.commit}, ${before.date})`,
    ];
  });
}

const HEADINGS = ["What", "Measured", "Of", "Ratio", "p50, p99 ms", "Commit"];

/** The table in README. */
export function formatRecord(record: readonly Entry[]): string {
  const cells = [...newest(record).values()].map((entry) => {
    const { what, value, unit, yardstick, ratio, p50, p99, commit, date } = entry;
    return [
      what,
      `${formatNumber(value)} ${unit}`,
      yardstick,
      formatNumber(ratio),
      `${formatNumber(p50)}, ${formatNumber(p99)}`,
      `${commit}, ${date}`,
    ];
  });
  const rows = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], fill: string) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(" | ")} |\n`;
  return [line(HEADINGS, " "), line(HEADINGS.map(() => ""), "-"), ...cells.map((row) => line(row, " "))].join(
    "",
  );
}

/** `readme` with this table in the place of the one it has. */
export function withTable(readme: string, table: string): string {
  const found = /^\| What +\| Measured .*\n(?:\|.*\n)+/m;
  if (!found.test(readme)) throw new Error("README.md has no table of what was measured");
  return readme.replace(found, () => table);
}

/** The commit that is checked out. Throws when something has been changed since: the record would name the wrong one. */
export async function cleanCommit(): Promise<string> {
  const changed = await runOrThrow("git", ["status", "--porcelain"]);
  if (changed !== "") {
    throw new Error(
      `Commit first: the record names the commit that is measured, and these differ\n${changed}`,
    );
  }
  return (await runOrThrow("git", ["rev-parse", "--short=7", "HEAD"])).trim();
}

/** Puts lines behind those of the record, and makes README's table anew. */
export async function addToRecord(entries: readonly Entry[]): Promise<void> {
  const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  await Deno.writeTextFile(RECORD, lines, { append: true });
  const table = formatRecord(await readRecord());
  await Deno.writeTextFile(README, withTable(await Deno.readTextFile(README), table));
}
