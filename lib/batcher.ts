/**
 * Turns many small pieces of work into few: what is added while one batch is worked on forms the next one.
 *
 * @module
 */

import { gather } from "./turn.ts";

/** How a {@link Batcher} makes its batches. */
export interface BatcherOptions {
  /** Items in one batch at most; any number by default. */
  limit?: number;
  /** A batch waits while every turn of the event loop brings more items, for about this long; 0 by default. */
  gatherMs?: number;
}

/** Collects items and hands them on in batches, one batch at a time, in the order they came. */
export class Batcher<Item, Result = void> {
  readonly #work: (items: Item[]) => Promise<Result>;
  readonly #limit: number;
  readonly #gatherMs: number;
  #items: Item[] = [];
  /** Of the batches that are not full or have not begun, the last. */
  #next: { batch: Promise<Result>; size: number } | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** `work` gets everything added since its last call, in order. */
  constructor(
    work: (items: Item[]) => Promise<Result>,
    { limit = Infinity, gatherMs = 0 }: BatcherOptions = {},
  ) {
    this.#work = work;
    this.#limit = limit;
    this.#gatherMs = gatherMs;
  }

  /** Settles as the batch does that holds `item`. */
  add(item: Item): Promise<Result> {
    this.#items.push(item);
    if (this.#next !== undefined && this.#next.size < this.#limit) {
      this.#next.size++;
      return this.#next.batch;
    }
    const next = { batch: this.#begin(this.#running), size: 1 };
    this.#next = next;
    // The next batch waits for this one whatever becomes of it; its own callers hear of a failure.
    this.#running = next.batch.catch(() => {});
    return next.batch;
  }

  async #begin(before: Promise<unknown>): Promise<Result> {
    await before;
    if (this.#gatherMs > 0) {
      await gather(() => this.#items.length, { enough: this.#limit, maxMs: this.#gatherMs });
    }
    const items = this.#items.splice(0, this.#limit);
    if (this.#items.length === 0) this.#next = undefined;
    return await this.#work(items);
  }
}
