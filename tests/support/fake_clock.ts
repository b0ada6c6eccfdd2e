/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */

import type { Clock, Timer } from "../../lib/base/clock.ts";

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

/** Time in a test's hands. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #alarms = new Set<Alarm>();

  /** How many timers are set. */
  get timers(): number {
    return this.#alarms.size;
  }

  /** Milliseconds since it was made, as far as it was moved. */
  now(): number {
    return this.#now;
  }

  /** Sets a timer that only {@linkcode advance} lets go off. */
  after(delayMs: number, callback: () => void): Timer {
    const alarm = { at: this.#now + Math.max(0, delayMs), callback };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  /** Lets time pass; timers go off in the order of their times, also those that are set meanwhile. */
  advance(ms: number): void {
    const until = this.#now + ms;
    while (true) {
      let next: Alarm | null = null;
      for (const alarm of this.#alarms) if (alarm.at <= until && (!next || alarm.at < next.at)) next = alarm;
      if (!next) break;
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = until;
  }
}
