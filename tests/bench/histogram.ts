/**
 * Latencies by the million in little memory.
 *
 * @module
 */

/** Buckets for each doubling: a value is off by at most one part in 32. */
const STEPS = 32;
/** From 1 µs to over half an hour. */
const DOUBLINGS = 31;

/** Counts durations in buckets that grow with them. */
export class Histogram {
  readonly #counts = new Float64Array(STEPS * DOUBLINGS);
  /** How many were added. */
  count = 0;
  /** The longest, ms. */
  maxMs = 0;

  /** Adds one duration, in ms. */
  add(ms: number): void {
    this.count++;
    if (ms > this.maxMs) this.maxMs = ms;
    const us = Math.max(1, ms * 1_000);
    const doubling = 31 - Math.clz32(us);
    const step = Math.floor((us / 2 ** doubling - 1) * STEPS);
    const bucket = Math.min(this.#counts.length - 1, doubling * STEPS + step);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  /** Adds everything another one holds. */
  merge(other: Histogram): void {
    this.count += other.count;
    this.maxMs = Math.max(this.maxMs, other.maxMs);
    other.#counts.forEach((count, bucket) => this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count);
  }

  /** The duration that `share` of all do not exceed, ms; 0 when there are none. */
  quantile(share: number): number {
    let left = this.count * share;
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left > 0 || count === 0) continue;
      const doubling = Math.floor(bucket / STEPS);
      const us = 2 ** doubling * (1 + (bucket % STEPS + 0.5) / STEPS);
      return Math.min(us / 1_000, this.maxMs);
    }
    return this.maxMs;
  }
}
