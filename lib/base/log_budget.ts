/**
 * Bounds the lines that clients can cause in the log: whoever sends nonsense on one connection after the other must not
 * fill the disk.
 *
 * @module
 */

/** So many lines a second, of all connections together. */
export class LogBudget {
  readonly #perSecond: number;
  #left = 0;
  #since = -Infinity;

  /** `perSecond`: what is more is to be left out. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether one more line may be written; `now` as of performance.now(). */
  take(now: number): boolean {
    if (now - this.#since >= 1_000) {
      this.#since = now;
      this.#left = this.#perSecond;
    }
    return this.#left-- > 0;
  }
}
