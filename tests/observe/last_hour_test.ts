import { assertEquals } from "@std/assert";
import { Histogram } from "../../lib/base/histogram.ts";
import { COLUMNS, type HourParts, KEPT_ROWS, LastHour } from "../../lib/observe/last_hour.ts";

const unit = { permissions: "none" } as const;

/** What a node counts, to be changed by a test. */
function makeParts() {
  const log = {
    counters: { batches: 0, messages: 0, repeats: 0, retries: 0, changes: 0 },
    times: { commits: new Histogram(), messages: new Histogram() },
  };
  const lines = { counts: { warn: 0, error: 0 } };
  const server = { clientCount: 7, queuedBytes: 1_024 };
  const parts = { log, lines, server, lag: { longestMs: 3 } } as unknown as HourParts;
  return { log, lines, parts };
}

Deno.test("a row tells of the ten seconds before it, and of nothing earlier", unit, () => {
  const { log, lines, parts } = makeParts();
  const hour = new LastHour(parts);
  log.counters.messages = 200;
  log.counters.batches = 50;
  for (let i = 0; i < 200; i++) log.times.messages.record(i === 0 ? 90 : 1.25);
  log.times.commits.record(0.6);
  lines.counts.error = 2;
  hour.sample();
  hour.sample();
  const [first = [], second = []] = hour.rowsFrom(0).rows;
  const named = (row: readonly number[]) =>
    Object.fromEntries(COLUMNS.map((name, index) => [name, row[index]]));
  const { rate, batch, errors, connections, queue, ackP50 = 0, ackP99 = 0, lag } = named(first);
  assertEquals([rate, batch, errors, connections, queue, lag], [20, 4, 2, 7, 1_024, 3]);
  assertEquals([ackP50 > 1 && ackP50 < 1.5, ackP99 > 1 && ackP99 <= 1.5], [true, true]);
  const quiet = named(second);
  assertEquals([quiet.rate, quiet.batch, quiet.errors, quiet.ackP99, quiet.commitP50], [0, 0, 0, 0, 0]);
});

Deno.test("an hour is kept, and given from any row on", unit, () => {
  const hour = new LastHour(makeParts().parts);
  for (let i = 0; i < KEPT_ROWS + 40; i++) hour.sample();
  const all = hour.rowsFrom(0);
  assertEquals([all.first, all.rows.length], [40, KEPT_ROWS]);
  const last = hour.rowsFrom(KEPT_ROWS + 39);
  assertEquals([last.first, last.rows.length], [KEPT_ROWS + 39, 1]);
  for (const from of [KEPT_ROWS + 40, 1e9]) {
    const none = hour.rowsFrom(from);
    assertEquals([none.first, none.rows.length], [KEPT_ROWS + 40, 0]);
  }
});
