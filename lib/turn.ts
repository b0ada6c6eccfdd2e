/**
 * The end of a turn of the event loop, as far as work of our own goes: everything that came in at once has been handled.
 *
 * @module
 */
import { setImmediate } from "node:timers";

let due: (() => void)[] = [];

function runDue(): void {
  const work = due;
  due = [];
  for (const run of work) run();
}

/**
 * Runs `work`, which must not throw, when everything that is being handled now has been. One microtask for all, where
 * one for each would cost a tenth of a microsecond for each frame relayed.
 */
export function atEndOfTurn(work: () => void): void {
  if (due.length === 0) queueMicrotask(runDue);
  due.push(work);
}

let time: number | undefined;

/** When this turn began or first asked, as of performance.now(): of all that comes in at once the clock is read once. */
export function turnTime(): number {
  if (time === undefined) {
    time = performance.now();
    atEndOfTurn(forgetTime);
  }
  return time;
}

function forgetTime(): void {
  time = undefined;
}

/**
 * Resolves when everything that came in at once has been handled. It does not look for more: only input and output of its
 * own makes the runtime go round the sockets (see read_gate.ts).
 */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
