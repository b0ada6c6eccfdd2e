/**
 * Lets the same thing happen only so often.
 *
 * @module
 */

/** Remembers when something last happened, by a key, for one interval. */
export class Spacing {
  readonly #intervalMs: number;
  /** Oldest first. */
  readonly #passed = new Map<string, number>();

  /** `intervalMs`: from one to the next at least. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Whether it may happen now, which is remembered then. `now`: monotonic clock, ms. */
  pass(key: string, now: number): boolean {
    for (const [known, at] of this.#passed) {
      if (now - at < this.#intervalMs) break;
      this.#passed.delete(known);
    }
    if (this.#passed.has(key)) return false;
    this.#passed.set(key, now);
    return true;
  }

  /** Keys remembered. */
  get size(): number {
    return this.#passed.size;
  }
}
