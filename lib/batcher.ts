/**
 * Turns many small writes into few: what is added while a write runs forms the next one.
 *
 * @module
 */

/** Collects items and hands them on in batches, one batch at a time. */
export class Batcher<Item> {
  readonly #write: (items: Item[]) => Promise<void>;
  #items: Item[] = [];
  #next: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  /** `write` gets everything added since its last call, in order. */
  constructor(write: (items: Item[]) => Promise<void>) {
    this.#write = write;
  }

  /** Settles as the write that holds `item` does. */
  add(item: Item): Promise<void> {
    this.#items.push(item);
    this.#next ??= this.#running.then(() => {
      const items = this.#items;
      this.#items = [];
      this.#next = undefined;
      const written = this.#write(items);
      // The next batch waits for this one whatever becomes of it; its own callers hear of a failure.
      this.#running = written.catch(() => {});
      return written;
    });
    return this.#next;
  }
}
