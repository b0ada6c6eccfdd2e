/**
 * What the bench has found, as a table for people and as JSON for machines.
 *
 * @module
 */

/** A bound on a finding's ratio, or on its value where it has no yardstick. */
export interface Goal {
  /** Whether more or less is better. */
  at: "least" | "most";
  /** The bound. */
  bound: number;
}

/** One row. */
export interface Finding {
  /** Which target of the list it belongs to. */
  target: number;
  /** What was measured. */
  what: string;
  /** The figure. */
  value: number;
  /** Of the figure and of the yardstick's. */
  unit: string;
  /** What it is held against, measured in the same run. */
  yardstick?: { name: string; value: number };
  /** value / yardstick, where it was not taken round by round. */
  ratio?: number;
  /** What must hold. */
  goal?: Goal;
  /** Further figures, by name with unit. */
  details?: Record<string, number>;
}

/** The figure against its yardstick's; undefined without one. */
export function ratioOf({ ratio, value, yardstick }: Finding): number | undefined {
  return ratio ?? (yardstick ? value / yardstick.value : undefined);
}

/** Whether the goal is met; undefined without one. */
export function isMet(finding: Finding): boolean | undefined {
  const { goal, value } = finding;
  if (!goal) return undefined;
  const figure = ratioOf(finding) ?? value;
  return goal.at === "least" ? figure >= goal.bound : figure <= goal.bound;
}

/** Three significant digits, thousands as k. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 10_000) return `${formatNumber(value / 1_000)} k`;
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function cells(finding: Finding): string[] {
  const { target, what, value, unit, yardstick, goal, details = {} } = finding;
  const ratio = ratioOf(finding);
  const met = isMet(finding);
  return [
    String(target),
    what,
    `${formatNumber(value)} ${unit}`,
    yardstick ? `${yardstick.name} ${formatNumber(yardstick.value)}` : "",
    ratio === undefined ? "" : ratio.toFixed(2),
    goal ? `${goal.at === "least" ? "≥" : "≤"} ${formatNumber(goal.bound)}` : "",
    met === undefined ? "" : met ? "met" : "MISSED",
    Object.entries(details).map(([name, figure]) => `${name} ${formatNumber(figure)}`).join(", "),
  ];
}

const HEADINGS = ["#", "what", "measured", "yardstick", "ratio", "target", "", "details"];

/** The rows as a table in Markdown. */
export function formatTable(findings: readonly Finding[]): string {
  const rows = [HEADINGS, ...findings.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  );
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** A row for machines. */
export function toJson(finding: Finding): Record<string, unknown> {
  return { ...finding, ratio: ratioOf(finding), met: isMet(finding) };
}
