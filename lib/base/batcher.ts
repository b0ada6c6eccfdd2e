/**
 * Turns many small pieces of work into few: what is added while one batch is worked on forms the next one.
 *
 * @module
 */

import { endOfTurn } from "./turn.ts";

/** Collects items and hands them on in batches, one batch at a time, in the order they came. */
export class Batcher<Item, Result = void> {
  readonly #work: (items: Item[]) => Promise<Result>;
  readonly #limit: number;
  #items: Item[] = [];
  /** Of the batches that are not full or have not begun, the last. */
  #next: { batch: Promise<Result>; size: number } | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** `work` gets everything added since its last call, in order, but no more than `limit` items. */
  constructor(work: (items: Item[]) => Promise<Result>, limit = Infinity) {
    this.#work = work;
    this.#limit = limit;
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
    // What comes in at once goes together.
    await endOfTurn();
    const items = this.#items.splice(0, this.#limit);
    if (this.#items.length === 0) this.#next = undefined;
    return await this.#work(items);
  }
}
