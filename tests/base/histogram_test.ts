import { assert, assertEquals } from "@std/assert";
import { BOUNDS_MS, Histogram, quantileMs } from "../../lib/base/histogram.ts";

function assertNear(actual: number, expected: number, by: number): void {
  assert(Math.abs(actual - expected) <= by, `${actual} is not ${expected}`);
}

Deno.test("bounds ascend, six a decade", { permissions: "none" }, () => {
  assertEquals(BOUNDS_MS, BOUNDS_MS.toSorted((a, b) => a - b));
  assertEquals(BOUNDS_MS.slice(0, 8), [0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5]);
  assertEquals(BOUNDS_MS.length, 31);
});

Deno.test(
  "a duration is counted under the first bound that it does not exceed",
  { permissions: "none" },
  () => {
    const histogram = new Histogram();
    for (const ms of [0, 0.1, 0.11, 9_999, 10_000, 10_001, 1e9]) histogram.record(ms);
    assertEquals([histogram.counts[0], histogram.counts[1]], [2, 1]);
    assertEquals([histogram.counts[30], histogram.counts[31]], [2, 2]);
    assertNear(histogram.sumMs, 30_000.21 + 1e9, 0.01);
  },
);

Deno.test("quantiles lie between the bounds of where they fall", { permissions: "none" }, () => {
  assertEquals(quantileMs(new Histogram().counts, 0.5), 0);
  const histogram = new Histogram();
  for (let i = 0; i < 98; i++) histogram.record(2.5);
  histogram.record(600);
  histogram.record(60_000);
  assertNear(quantileMs(histogram.counts, 0.5), 2.5, 0.05);
  assertNear(quantileMs(histogram.counts, 0.985), 600, 100);
  assertEquals(quantileMs(histogram.counts, 1), 10_000);
});
