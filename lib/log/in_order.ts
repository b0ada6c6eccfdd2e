/**
 * Puts back in order what comes a little out of it: a message of another node travels over the bus, and the next one of
 * its conversation, stored on this node, is here before it. Without this every member's mailbox would see a hole and read
 * the log (a group of 500 on two nodes whose members all speak: 19 reads a message, and 80 k deliveries a second in place
 * of 220 k).
 *
 * @module
 */
import { type Clock, systemClock, type Timer } from "../base/clock.ts";

/** How long something waits for what belongs before it, ms. What was lost on the bus is then read from the log. */
const HOLD_MS = 100;
/** More than this do not wait. */
const HELD_MAX = 256;

interface Held<Item> {
  item: Item;
  /** When it came. */
  at: number;
}

/** The messages of one conversation, as they are handed on at one node. */
export class InOrder<Item> {
  readonly #handOn: (item: Item) => void;
  readonly #clock: Clock;
  /** Undefined until the first has come, whichever it is. */
  #next: number | undefined;
  /** By seq, the one that came first at the front. */
  readonly #held = new Map<number, Held<Item>>();
  #timer: Timer | undefined;

  /** `handOn` must not throw. */
  constructor(handOn: (item: Item) => void, clock: Clock = systemClock) {
    this.#handOn = handOn;
    this.#clock = clock;
  }

  /** False until the first has come. */
  get hasBegun(): boolean {
    return this.#next !== undefined;
  }

  /** Hands on what `seq` makes complete. What comes again or late is handed on at once. */
  add(seq: number, item: Item): void {
    this.#next ??= seq;
    if (seq > this.#next) return this.#hold(seq, item);
    this.#handOn(item);
    if (seq === this.#next) this.#handOnComplete(seq + 1);
  }

  /** Hands on all that waits, in order but with holes. */
  flush(): void {
    const held = [...this.#held].sort(([a], [b]) => a - b);
    this.#held.clear();
    for (const [seq, { item }] of held) {
      this.#next = seq + 1;
      this.#handOn(item);
    }
  }

  /** Forgets what waits. */
  close(): void {
    this.#timer?.cancel();
    this.#held.clear();
  }

  #hold(seq: number, item: Item): void {
    if (!this.#held.has(seq)) this.#held.set(seq, { item, at: this.#clock.now() });
    if (this.#held.size > HELD_MAX) this.flush();
    else this.#timer ??= this.#clock.after(HOLD_MS, () => this.#onTimer());
  }

  #handOnComplete(from: number): void {
    let next = from;
    for (let held = this.#held.get(next); held !== undefined; held = this.#held.get(next)) {
      this.#held.delete(next++);
      this.#handOn(held.item);
    }
    this.#next = next;
  }

  /** One timer, however often what it was set for has come: the flow may never pause. */
  #onTimer(): void {
    this.#timer = undefined;
    for (const { at } of this.#held.values()) {
      const waitedMs = this.#clock.now() - at;
      if (waitedMs >= HOLD_MS) this.flush();
      else this.#timer = this.#clock.after(HOLD_MS - waitedMs, () => this.#onTimer());
      return;
    }
  }
}
