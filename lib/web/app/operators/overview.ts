/**
 * How the nodes do, at a glance.
 *
 * @module
 */

import { el, replace } from "../dom.ts";
import type { LogLine, NodeSeen, State } from "./api.ts";
import { Charts } from "./charts.ts";
import { bytes, count, duration, moment, span } from "./numbers.ts";
import { Table } from "./table.ts";

/** A node that has said nothing for so long is gone: its lease has run out, ms. */
const GONE_MS = 15_000;
/** Rows that are kept. */
const ROWS = 360;

/** See the module. */
export class Overview {
  /** To be put into the page. */
  readonly element: HTMLElement;
  /** The number of the next row that is wanted. */
  next = 0;
  readonly #charts = new Charts();
  readonly #nodes: Table<NodeSeen>;
  readonly #summary = el("dl", { class: "summary" });
  readonly #limits: Table<[string, number]>;
  readonly #lines: Table<LogLine>;
  readonly #problems = el("div", { class: "banner", role: "alert", hidden: true });
  #rows: number[][] = [];
  #self = "";

  /** Empty. */
  constructor() {
    this.#nodes = new Table<NodeSeen>("Nodes", [
      { head: "Node", key: ({ node }) => node, cell: (row) => this.#nameOf(row) },
      {
        head: "Up",
        key: ({ since }) => -since,
        cell: ({ since, ageMs }) =>
          ageMs > GONE_MS
            ? el("span", { class: "bad" }, `silent for ${span(ageMs)}`)
            : span(Date.now() - since),
        isNumber: true,
      },
      { head: "Users", key: ({ users }) => users, cell: ({ users }) => count(users), isNumber: true },
      {
        head: "Devices",
        key: ({ devices }) => devices,
        cell: ({ devices }) => count(devices),
        isNumber: true,
      },
      {
        head: "Connections",
        key: ({ connections }) => connections,
        cell: ({ connections }) => count(connections),
        isNumber: true,
      },
      { head: "Messages/s", key: ({ rate }) => rate, cell: ({ rate }) => count(rate), isNumber: true },
      { head: "Lag", key: ({ lagMs }) => lagMs, cell: ({ lagMs }) => duration(lagMs), isNumber: true },
      {
        head: "Queue",
        key: ({ queueBytes }) => queueBytes,
        cell: ({ queueBytes }) => bytes(queueBytes),
        isNumber: true,
      },
      { head: "Version", key: ({ version }) => version, cell: ({ version }) => version },
    ], "No node has said anything.");
    this.#limits = new Table<[string, number]>("Limits hit", [
      { head: "Limit", key: ([limit]) => limit, cell: ([limit]) => limit },
      {
        head: "Refused or slowed",
        key: ([, times]) => times,
        cell: ([, times]) => count(times),
        isNumber: true,
      },
    ], "None since the node was started.");
    this.#lines = new Table<LogLine>("Warnings and errors", [
      { head: "When", cell: ({ at }) => el("span", { class: "nowrap" }, moment(at)) },
      { head: "", cell: ({ level }) => el("span", { class: level === "error" && "bad" }, level) },
      { head: "What", cell: ({ message, fields }) => el("span", {}, message, detailsOf(fields)) },
    ], "None since the node was started.");
    this.element = el(
      "main",
      { id: "overview" },
      this.#problems,
      el(
        "section",
        {},
        el("div", { class: "head" }, el("h2", {}, "Nodes"), this.#nodes.copyButton()),
        this.#nodes.element,
      ),
      this.#charts.element,
      el(
        "div",
        { class: "columns" },
        el("section", {}, el("h2", {}, "Redis and database"), this.#summary),
        el("section", {}, el("h2", {}, "Limits hit"), this.#limits.element),
      ),
      el(
        "section",
        {},
        el(
          "div",
          { class: "head" },
          el("h2", {}, "Warnings and errors, the newest first"),
          this.#lines.copyButton(),
        ),
        this.#lines.element,
      ),
    );
  }

  /** Shows how it is now. */
  show(state: State): void {
    const { node, nodes, problems, lines, limited } = state;
    this.#self = node;
    // A node that was started again counts from 0: what comes is not what was asked for, and all is asked for anew.
    const isAnew = state.first !== this.next;
    this.#rows = [...(isAnew ? [] : this.#rows), ...state.rows].slice(-ROWS);
    this.next = isAnew && state.rows.length === 0 ? 0 : state.first + state.rows.length;
    this.#charts.show({ columns: state.columns, rows: this.#rows, at: state.at, stepMs: state.stepMs });
    this.#nodes.show(nodes);
    this.#limits.show(Object.entries(limited).filter(([, times]) => times > 0));
    this.#lines.show(lines.newest);
    this.#problems.hidden = problems.length === 0;
    this.#problems.textContent = problems.length === 0
      ? ""
      : `This node is not ready: ${problems.join("; ")}`;
    replace(
      this.#summary,
      ...summaryOf(state).flatMap(([name, value, isBad]) => [
        el("dt", {}, name),
        el("dd", { class: isBad && "bad" }, value),
      ]),
    );
  }

  #nameOf({ node, http, ageMs }: NodeSeen): Node {
    const isSelf = node === this.#self;
    const state = ageMs > GONE_MS ? "gone" : "up";
    const mark = el("span", { class: `dot ${state}`, role: "img", "aria-label": state });
    return el(
      "span",
      { class: "node" },
      mark,
      el(
        "span",
        {},
        node,
        isSelf && el("span", { class: "secondary" }, ` this one, ${http}`),
        !isSelf && el("span", { class: "secondary" }, ` ${http}`),
      ),
    );
  }
}

function summaryOf(
  { redis, pool, lines: { counts } }: State,
): [name: string, value: string, isBad: boolean][] {
  const redisText = redis === null
    ? "none: this node is alone"
    : redis
    ? "does what is needed"
    : "away: nobody can log in";
  const rows: [string, string, boolean][] = [["Redis", redisText, redis === false]];
  if (pool === null) rows.push(["Database", "SQLite, inside the node", false]);
  else {
    const { idle = 0, borrowed = 0, creating = 0, checking = 0, pending = 0, timeouts = 0 } = pool;
    rows.push(
      [
        "Connections",
        `${borrowed} at work, ${idle} idle, ${creating + checking} being made or checked`,
        false,
      ],
      ["Statements that wait", count(pending), pending > 0],
      ["Waits given up", count(timeouts), timeouts > 0],
    );
  }
  rows.push([
    "Lines of the log",
    `${count(counts.error ?? 0)} errors, ${count(counts.warn ?? 0)} warnings`,
    false,
  ]);
  return rows;
}

function detailsOf(fields: Record<string, unknown>): Node | undefined {
  const text = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}: ${value}`).join(", ");
  return text === "" ? undefined : el("span", { class: "secondary" }, ` ${text}`);
}
