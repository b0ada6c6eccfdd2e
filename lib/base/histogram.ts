/**
 * How long things took: counts between fixed bounds, which can be subtracted from each other, added and scraped.
 *
 * @module
 */

/** Upper bounds, ms: six a decade from 0.1 ms to 10 s. What took longer is above the last. */
export const BOUNDS_MS: readonly number[] = [0.1, 1, 10, 100, 1_000]
  .flatMap((decade) => [1, 1.5, 2, 3, 5, 7].map((factor) => Number((decade * factor).toPrecision(2))))
  .concat(10_000);

/** Counts and sums up durations. */
export class Histogram {
  /** By bound, and at the end of those above the last one. */
  readonly counts: Uint32Array = new Uint32Array(BOUNDS_MS.length + 1);
  /** Of all of them, ms. */
  sumMs = 0;

  /** Something took this long. */
  record(ms: number): void {
    let [low, high] = [0, BOUNDS_MS.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ms <= (BOUNDS_MS[middle] ?? Infinity)) high = middle;
      else low = middle + 1;
    }
    this.counts[low] = (this.counts[low] ?? 0) + 1;
    this.sumMs += ms;
  }
}

/**
 * What `share` (0 to 1) of the durations behind `counts` did not exceed, ms, as if they were spread evenly between two bounds;
 * 0 when there were none.
 */
export function quantileMs(counts: ArrayLike<number>, share: number): number {
  const all = Array.from(counts);
  const wanted = share * all.reduce((sum, count) => sum + count, 0);
  if (wanted === 0) return 0;
  let below = 0;
  for (const [index, count] of all.entries()) {
    const [from, to] = [BOUNDS_MS[index - 1] ?? 0, BOUNDS_MS[index]];
    if (to === undefined) return from;
    if (below + count >= wanted) return from + (to - from) * (wanted - below) / count;
    below += count;
  }
  return BOUNDS_MS.at(-1) ?? 0;
}
