/**
 * Small charts of the last hour, which are read all at the same moment.
 *
 * @module
 */

import { el } from "../dom.ts";
import { bytes, count, duration, timeOfDay } from "./numbers.ts";

/** Rows that are shown: an hour, and before a node is that old, what there is, though no less than five minutes. */
const MOST_ROWS = 360;
const LEAST_ROWS = 30;
const HEIGHT = 56;
const WIDTH = 1_000;
const SVG = "http://www.w3.org/2000/svg";

/** What a chart shows. */
interface Plan {
  title: string;
  /** Of a row; the first is the one whose value stands large. */
  columns: readonly string[];
  /** What each is called, where there are several. */
  names?: readonly string[];
  text: (value: number) => string;
  /** An alert rule, and the value from which on it would fire. */
  alarm?: readonly [rule: string, above: number];
}

const PLANS: readonly Plan[] = [
  { title: "Messages a second", columns: ["rate"], text: count },
  {
    title: "Acknowledgement",
    columns: ["ackP99", "ackP50"],
    names: ["p99", "p50"],
    text: duration,
    alarm: ["ChatAcksSlow", 1_000],
  },
  {
    title: "Commit",
    columns: ["commitP99", "commitP50"],
    names: ["p99", "p50"],
    text: duration,
    alarm: ["ChatCommitsSlow", 500],
  },
  { title: "Messages in a batch", columns: ["batch"], text: count },
  { title: "Connections", columns: ["connections"], text: count },
  { title: "Errors in the log", columns: ["errors"], text: count, alarm: ["ChatErrors", 5] },
  { title: "Event loop lag", columns: ["lag"], text: duration, alarm: ["ChatLoopLate", 500] },
  { title: "Waiting for clients", columns: ["queue"], text: bytes, alarm: ["ChatQueuesGrow", 67_108_864] },
];

/** What has been seen of the last hour. */
export interface Series {
  /** What a row has. */
  columns: readonly string[];
  /** The newest last. */
  rows: readonly (readonly number[])[];
  /** When the newest was taken, ms since the epoch. */
  at: number;
  /** Between two rows, ms. */
  stepMs: number;
}

/** All charts. */
export class Charts {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #charts: Chart[];
  readonly #moment: HTMLElement;
  #series: Series = { columns: [], rows: [], at: 0, stepMs: 10_000 };
  /** The row that is read, from the newest on; undefined: what is so now. */
  #back: number | undefined;

  /** Empty. */
  constructor() {
    this.#charts = PLANS.map((plan) => new Chart(plan));
    this.#moment = el("span", { class: "secondary" });
    const grid = el(
      "div",
      {
        class: "charts",
        tabindex: 0,
        role: "group",
        "aria-label": "Charts of the last hour. Arrow keys go back and forth in time.",
        onpointermove: (event: PointerEvent) => this.#point(event),
        onpointerleave: () => this.#read(undefined),
        onkeydown: (event: KeyboardEvent) => this.#step(event),
        onblur: () => this.#read(undefined),
      },
      ...this.#charts.map(({ element }) => element),
    );
    this.element = el(
      "section",
      {},
      el("div", { class: "head" }, el("h2", {}, "Last hour of this node"), this.#moment),
      grid,
    );
  }

  /** Draws what is known now. */
  show(series: Series): void {
    this.#series = series;
    for (const chart of this.#charts) chart.draw(series);
    this.#read(this.#back);
  }

  #point({ target, clientX }: PointerEvent): void {
    const plot = target instanceof Element ? target.closest(".plot") : null;
    if (!plot) return this.#read(undefined);
    const { left, width } = plot.getBoundingClientRect();
    this.#read(Math.round((1 - (clientX - left) / width) * (widthOf(this.#series.rows) - 1)));
  }

  #step(event: KeyboardEvent): void {
    const by = event.key === "ArrowLeft" ? 1 : event.key === "ArrowRight" ? -1 : 0;
    if (event.key === "Escape") this.#read(undefined);
    if (by === 0) return;
    event.preventDefault();
    const back = (this.#back ?? -1) + by * (event.shiftKey ? 30 : 1);
    this.#read(back < 0 ? undefined : back);
  }

  #read(back: number | undefined): void {
    const { rows, at, stepMs } = this.#series;
    this.#back = back === undefined || rows.length === 0 ? undefined : Math.min(back, rows.length - 1);
    const shown = this.#back;
    this.#moment.textContent = shown === undefined
      ? "a value every 10 s"
      : `at ${timeOfDay(at - shown * stepMs)}`;
    for (const chart of this.#charts) chart.read(shown);
  }
}

class Chart {
  readonly element: HTMLElement;
  readonly #plan: Plan;
  readonly #value = el("span", { class: "value" });
  readonly #second = el("span", { class: "secondary" });
  readonly #range = el("span", { class: "secondary" });
  readonly #alarm = el("span", { class: "alarm", hidden: true });
  readonly #lines: SVGPolylineElement[];
  readonly #cursor: SVGLineElement;
  readonly #plot: SVGSVGElement;
  #values: number[][] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    const plot = this.#plot = svg("svg", { class: "plot", role: "img" });
    plot.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    plot.setAttribute("preserveAspectRatio", "none");
    this.#lines = plan.columns.map((_, index) => svg("polyline", { class: `line line-${index}` }));
    this.#cursor = svg("line", { class: "cursor", y1: "0", y2: String(HEIGHT) });
    plot.append(...this.#lines.toReversed(), this.#cursor);
    this.element = el(
      "div",
      { class: "chart" },
      el("div", { class: "chart-title" }, el("h3", {}, plan.title), this.#range),
      el("div", { class: "chart-values" }, this.#value, this.#second, this.#alarm),
      plot,
    );
  }

  draw({ columns, rows }: Series): void {
    const { columns: own, text, title, alarm } = this.#plan;
    this.#values = own.map((name) => {
      const index = columns.indexOf(name);
      return rows.slice(-MOST_ROWS).map((row) => row[index] ?? 0);
    });
    const all = this.#values.flat();
    const most = Math.max(0, ...all);
    const first = this.#values[0] ?? [];
    for (const [index, line] of this.#lines.entries()) {
      line.setAttribute("points", pointsOf(this.#values[index] ?? [], most));
    }
    this.#range.textContent = first.length === 0
      ? ""
      : `${text(Math.min(...first))} – ${text(Math.max(...first))}`;
    const now = first.at(-1) ?? 0;
    const isAlarming = alarm !== undefined && now > alarm[1];
    this.element.classList.toggle("alarming", isAlarming);
    this.#alarm.hidden = !isAlarming;
    this.#alarm.textContent = isAlarming ? alarm[0] : "";
    this.#plot.setAttribute("aria-label", `${title}: now ${text(now)}, ${this.#range.textContent}`);
  }

  read(back: number | undefined): void {
    const { text, names } = this.#plan;
    const values = this.#values.map((column) => column.at(-1 - (back ?? 0)));
    const [first, second] = values;
    this.#value.textContent = first === undefined ? "–" : text(first);
    this.#second.textContent = names === undefined || second === undefined
      ? ""
      : `${names[0]} · ${names[1]} ${text(second)}`;
    this.#cursor.style.display = back === undefined ? "none" : "";
    const rows = widthOf(this.#values[0] ?? []);
    const x = String(xOf(rows - 1 - (back ?? 0), rows));
    this.#cursor.setAttribute("x1", x);
    this.#cursor.setAttribute("x2", x);
  }
}

/** The newest at the right edge, the most below the upper one. */
function pointsOf(values: readonly number[], most: number): string {
  const rows = widthOf(values);
  const from = rows - values.length;
  const scale = most === 0 ? 0 : (HEIGHT - 4) / most;
  return values.map((value, index) => `${xOf(from + index, rows)},${(HEIGHT - 1 - value * scale).toFixed(1)}`)
    .join(" ");
}

/** For how many rows a chart has room. */
function widthOf({ length }: readonly unknown[]): number {
  return Math.min(MOST_ROWS, Math.max(LEAST_ROWS, length));
}

function xOf(row: number, rows: number): number {
  return Math.round(row * WIDTH / (rows - 1));
}

function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string>,
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
