/**
 * How long to wait before the next attempt.
 *
 * @module
 */

const FIRST_CEILING_MS = 500;
const LAST_CEILING_MS = 30_000;

/**
 * Exponential back-off with full jitter: any time between nothing and a ceiling that doubles up to 30 s. The whole range
 * is drawn from, so that clients cut off together do not come back together (AWS Architecture Blog, "Exponential Backoff
 * And Jitter").
 */
export class BackOff {
  readonly #random: () => number;
  #attempts = 0;

  /** `random` gives numbers from 0 to 1, as Math.random does. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds to wait now; the next answer may be longer. */
  next(): number {
    const ceiling = Math.min(LAST_CEILING_MS, FIRST_CEILING_MS * 2 ** this.#attempts++);
    return Math.round(this.#random() * ceiling);
  }

  /** An attempt worked: begin again at the short end. */
  reset(): void {
    this.#attempts = 0;
  }
}
