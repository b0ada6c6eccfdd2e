/**
 * Time as something that is handed in, so that a test decides when it passes.
 *
 * @module
 */

/** A call that is still to come. */
export interface Timer {
  /** Takes it back; does nothing once it has happened. */
  cancel(): void;
}

/** Tells how time passes and calls back when it has. */
export interface Clock {
  /** Milliseconds since some fixed moment. Never goes back; says nothing about the date. */
  now(): number;
  /** Calls `callback` once, `delayMs` from now; as soon as possible when that is not above 0. */
  after(delayMs: number, callback: () => void): Timer;
}

/** The real one. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const id = setTimeout(callback, Math.max(0, delayMs));
    return { cancel: () => clearTimeout(id) };
  },
};
