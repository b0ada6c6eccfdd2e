/**
 * Measures out what somebody may ask for.
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

  /** Takes `count` tokens, on credit if need be; returns how long to wait until they have been earned, ms. */
  take(now: number, count: number = 1): number {
    this.#earn(now);
    this.#tokens -= count;
    return Math.max(0, -this.#tokens / this.#perMs);
  }

  /** How long it is until there is a token to take, ms. */
  msUntilOne(now: number): number {
    this.#earn(now);
    return Math.max(0, (1 - this.#tokens) / this.#perMs);
  }

  /** True when nothing has been taken that is not earned again. */
  isFull(now: number): boolean {
    this.#earn(now);
    return this.#tokens >= this.#burst;
  }

  #earn(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
