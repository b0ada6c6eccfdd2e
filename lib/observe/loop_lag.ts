/**
 * How late the event loop is: what every client waits besides, whatever it is that keeps the process busy.
 *
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";

const SAMPLE_MS = 250;
/** The longest lag is kept for one to two of these, so that any scrape interval up to it sees every peak. */
const WINDOW_MS = 30_000;

/** Measures from {@link start} to {@link stop}. */
export class LoopLag {
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #windowStart = 0;
  #longest = 0;
  #longestBefore = 0;

  /** Does nothing yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The longest lag of the last 30 to 60 seconds, ms. */
  get longestMs(): number {
    return Math.max(this.#longest, this.#longestBefore);
  }

  /** Begins to measure. */
  start(): void {
    this.#windowStart = this.#clock.now();
    this.#schedule();
  }

  /** Ends it. */
  stop(): void {
    this.#timer?.cancel();
  }

  #schedule(): void {
    const due = this.#clock.now() + SAMPLE_MS;
    this.#timer = this.#clock.after(SAMPLE_MS, () => {
      const now = this.#clock.now();
      if (now - this.#windowStart >= WINDOW_MS) {
        this.#windowStart = now;
        this.#longestBefore = this.#longest;
        this.#longest = 0;
      }
      this.#longest = Math.max(this.#longest, now - due);
      this.#schedule();
    });
  }
}
