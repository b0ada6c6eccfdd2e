import { assert, assertEquals } from "@std/assert";
import {
  type Entry,
  fallenLines,
  formatRecord,
  hasFallen,
  newest,
  readRecord,
  toEntry,
  withTable,
} from "./record.ts";
import type { Finding } from "./report.ts";

const FINDING: Finding = {
  target: 3,
  what: "one node, 50 pairs",
  value: 12_345.6,
  unit: "msgs/s",
  yardstick: { name: "relay", value: 20_000 },
  goal: { at: "least", bound: 0.6 },
  details: { "p50 ms": 0.51234, "p99 ms": 1.5 },
};

function entry(changes: Partial<Entry> = {}): Entry {
  const made = toEntry(FINDING, "0123456", "2026-01-02");
  assert(made);
  return { ...made, ...changes };
}

Deno.test("README's table is what the record gives", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  assertEquals(withTable(readme, formatRecord(await readRecord())), readme);
});

Deno.test("a load that is held against a yardstick has a line in the record, to three digits", () => {
  assertEquals(entry(), {
    what: "one node, 50 pairs",
    commit: "0123456",
    date: "2026-01-02",
    value: 12_300,
    unit: "msgs/s",
    yardstick: "relay",
    ratio: 0.617,
    better: "greater",
    p50: 0.512,
    p99: 1.5,
  });
  const { yardstick: _, ...alone } = FINDING;
  assertEquals(toEntry(alone, "", ""), undefined);
  assertEquals(toEntry({ ...FINDING, details: {} }, "", ""), undefined);
});

Deno.test("each load's last line counts, with the commit and the day of its own", () => {
  const record = [entry({ commit: "a" }), entry({ what: "another", commit: "b" }), entry({ commit: "c" })];
  assertEquals([...newest(record).values()].map(({ what, commit }) => [what, commit]), [
    ["one node, 50 pairs", "c"],
    ["another", "b"],
  ]);
  assertEquals(
    formatRecord([entry()]),
    "| What               | Measured      | Of    | Ratio | p50, p99 ms | Commit              |\n" +
      "| ------------------ | ------------- | ----- | ----- | ----------- | ------------------- |\n" +
      "| one node, 50 pairs | 12.3 k msgs/s | relay | 0.62  | 0.51, 1.50  | 0123456, 2026-01-02 |\n",
  );
});

Deno.test("a ratio that is worse than the record's by more than chance has fallen, whichever way is better", () => {
  assertEquals([0.9, 0.84].map((ratio) => hasFallen(entry({ ratio }), entry({ ratio: 1 }))), [false, true]);
  const better = "smaller";
  assertEquals([1.1, 1.2].map((ratio) => hasFallen(entry({ ratio, better }), entry({ ratio: 1, better }))), [
    false,
    true,
  ]);
  const record = [entry({ ratio: 1 }), entry({ ratio: 0.5, commit: "newest" })];
  assertEquals(fallenLines([entry({ ratio: 0.5 }), entry({ what: "new", ratio: 0 })], record), []);
  assertEquals(fallenLines([entry({ ratio: 0.4 })], record), [
    "FELL against the record: one node, 50 pairs, 0.4 (0.5 at newest, 2026-01-02)",
  ]);
});
