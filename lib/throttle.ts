/**
 * Slows a connection down that asks for more than its share.
 *
 * @module
 */

/** A token bucket: `burst` at once, then `perSecond`. */
export class Throttle {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #at: number;

  /** `now` as of performance.now(). */
  constructor({ burst, perSecond }: { burst: number; perSecond: number }, now: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes one token, on credit if need be; returns how long to wait until it has been earned, ms. */
  take(now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs) - 1;
    this.#at = now;
    return Math.max(0, -this.#tokens / this.#perMs);
  }
}
