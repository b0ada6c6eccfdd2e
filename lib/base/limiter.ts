/**
 * Bounds how much of something happens at once.
 *
 * @module
 */

/** Runs at most `limit` pieces of work at a time; the others wait their turn, first in, first out. */
export class Limiter {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `limit`: at least 1. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How much waits for its turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs `work` when its turn comes; settles as it does. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      // The place passes straight to the next in line, so nobody can slip in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
