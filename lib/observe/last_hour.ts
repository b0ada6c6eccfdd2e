/**
 * How a node has done in the last hour, in its memory: a row of numbers every ten seconds, the oldest of which goes.
 *
 * @module
 */
import { quantileMs } from "../base/histogram.ts";
import type { NodeParts } from "./node_metrics.ts";

/** Between two rows, ms. */
export const STEP_MS = 10_000;
/** Rows that are kept: an hour. */
export const KEPT_ROWS = 360;

/** What a row has, in its order. */
export const COLUMNS = [
  "rate", // messages stored a second
  "ackP50", // ms
  "ackP99", // ms
  "commitP50", // ms
  "commitP99", // ms
  "batch", // messages in a batch
  "connections",
  "errors", // lines of the log with level error, in these ten seconds
  "lag", // ms, of the event loop
  "queue", // bytes that wait for clients
] as const;

/** Where the numbers come from. */
export type HourParts = Pick<NodeParts, "server" | "log" | "lag" | "lines">;

/** What grows, as it was at the last row. */
interface Before {
  messages: number;
  batches: number;
  errors: number;
  acks: Uint32Array;
  commits: Uint32Array;
}

/** Call {@link sample} every {@link STEP_MS}. One per node. */
export class LastHour {
  readonly #parts: HourParts;
  readonly #rows: number[][] = [];
  /** The number of the first row that is kept; they are counted from the start of the node. */
  #first = 0;
  #before: Before;

  /** See {@link HourParts}. */
  constructor(parts: HourParts) {
    this.#parts = parts;
    this.#before = this.#now();
  }

  #now(): Before {
    const { log: { counters, times }, lines } = this.#parts;
    return {
      messages: counters.messages,
      batches: counters.batches,
      errors: lines.counts.error,
      acks: times.messages.counts.slice(),
      commits: times.commits.counts.slice(),
    };
  }

  /** Adds a row. */
  sample(): void {
    const { server, lag } = this.#parts;
    const [before, now] = [this.#before, this.#now()];
    this.#before = now;
    const since = (name: "acks" | "commits") =>
      now[name].map((count, index) => count - (before[name][index] ?? 0));
    const [acks, commits] = [since("acks"), since("commits")];
    const [messages, batches] = [now.messages - before.messages, now.batches - before.batches];
    const row: Record<typeof COLUMNS[number], number> = {
      rate: messages / (STEP_MS / 1_000),
      ackP50: quantileMs(acks, 0.5),
      ackP99: quantileMs(acks, 0.99),
      commitP50: quantileMs(commits, 0.5),
      commitP99: quantileMs(commits, 0.99),
      batch: batches === 0 ? 0 : messages / batches,
      connections: server.clientCount,
      errors: now.errors - before.errors,
      lag: lag.longestMs,
      queue: server.queuedBytes,
    };
    this.#rows.push(COLUMNS.map((name) => Number(row[name].toPrecision(4))));
    if (this.#rows.length > KEPT_ROWS) {
      this.#rows.shift();
      this.#first++;
    }
  }

  /** Rows from number `from` on, as far as they are kept; `first` is the number of the first that is given. */
  rowsFrom(from: number): { first: number; rows: readonly number[][] } {
    const first = Math.min(Math.max(from, this.#first), this.#first + this.#rows.length);
    return { first, rows: this.#rows.slice(first - this.#first) };
  }

  /** Messages stored a second, of late. */
  get rate(): number {
    return this.#rows.at(-1)?.[COLUMNS.indexOf("rate")] ?? 0;
  }
}
