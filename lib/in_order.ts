/**
 * Puts back in order what comes a little out of it: a message of another node travels over the bus, and the next one of
 * its conversation, stored on this node, is here before it. Without this every member's mailbox would see a hole and read
 * the log (a group of 500 on two nodes whose members all speak: 19 reads a message and a quarter of the deliveries).
 *
 * @module
 */
import { type Clock, systemClock, type Timer } from "./clock.ts";

/** How long something waits for what belongs before it, ms. What was lost on the bus is then read from the log. */
const HOLD_MS = 100;
/** More than this do not wait. */
const HELD_MAX = 256;

/** The messages of one conversation, as they are handed on at one node. */
export class InOrder<Item> {
  readonly #handOn: (item: Item) => void;
  readonly #clock: Clock;
  /** Undefined until the first has come, whichever it is. */
  #next: number | undefined;
  readonly #held = new Map<number, Item>();
  /** Since when the one that is missing now is missed. */
  #missedSince = 0;
  #timer: Timer | undefined;

  /** `handOn` must not throw. */
  constructor(handOn: (item: Item) => void, clock: Clock = systemClock) {
    this.#handOn = handOn;
    this.#clock = clock;
  }

  /** Hands on what `seq` makes complete. What comes again or late is handed on at once. */
  add(seq: number, item: Item): void {
    this.#next ??= seq;
    if (seq > this.#next) return this.#hold(seq, item);
    this.#handOn(item);
    if (seq < this.#next) return;
    this.#next++;
    if (this.#held.size > 0) this.#handOnHeld(this.#next);
  }

  /** Forgets what waits. */
  close(): void {
    this.#timer?.cancel();
    this.#held.clear();
  }

  #hold(seq: number, item: Item): void {
    if (this.#held.size === 0) this.#missedSince = this.#clock.now();
    if (!this.#held.has(seq)) this.#held.set(seq, item);
    if (this.#held.size > HELD_MAX) this.#giveUp();
    else this.#timer ??= this.#clock.after(HOLD_MS, () => this.#onTimer());
  }

  #handOnHeld(from: number): void {
    let next = from;
    for (let item = this.#held.get(next); item !== undefined; item = this.#held.get(next)) {
      this.#held.delete(next++);
      this.#handOn(item);
    }
    this.#next = next;
    this.#missedSince = this.#clock.now();
  }

  /** One timer, however often what it was set for has come: the flow may never pause. */
  #onTimer(): void {
    this.#timer = undefined;
    if (this.#held.size === 0) return;
    const missedMs = this.#clock.now() - this.#missedSince;
    if (missedMs >= HOLD_MS) this.#giveUp();
    else this.#timer = this.#clock.after(HOLD_MS - missedMs, () => this.#onTimer());
  }

  /** All that waits: while the bus is away every second message may be missing. */
  #giveUp(): void {
    const held = [...this.#held].sort(([a], [b]) => a - b);
    this.#held.clear();
    for (const [seq, item] of held) {
      this.#next = seq + 1;
      this.#handOn(item);
    }
  }
}
