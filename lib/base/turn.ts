/**
 * The end of a turn of the event loop, as far as work of our own goes: everything that came in at once has been handled.
 *
 * @module
 */
import { setImmediate } from "node:timers";

/** So much work is done in one go: behind it come those who were told meanwhile what they waited for. */
const WORK_IN_A_ROW = 4;

let urgent: (() => void)[] = [];
let due: (() => void)[] = [];
let done = 0;
let isAwaited = false;

function runDue(): void {
  const first = urgent;
  urgent = [];
  for (const run of first) run();
  for (const end = Math.min(done + WORK_IN_A_ROW, due.length); done < end;) due[done++]?.();
  if (urgent.length > 0 || done < due.length) return queueMicrotask(runDue);
  due = [];
  done = 0;
  isAwaited = false;
}

function awaitEnd(): void {
  if (isAwaited) return;
  isAwaited = true;
  queueMicrotask(runDue);
}

/**
 * Runs `work`, which must not throw, when everything that is being handled now has been. A microtask for a few, where
 * one for each would cost a tenth of a microsecond for each frame relayed.
 */
export function atEndOfTurn(work: () => void): void {
  due.push(work);
  awaitEnd();
}

/** The same, before all that is not urgent. */
export function firstAtEndOfTurn(work: () => void): void {
  urgent.push(work);
  awaitEnd();
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

/** Long work may hold a turn for about this long, all of it together, ms; then sockets and timers come first. */
const LONG_WORK_MS = 2;

const waiting: (() => void)[] = [];
let isGoing = false;
let begunAt = 0;

/**
 * For work that is more than one turn may hold, to be called between parts of a few ms: resolves when it is the caller's
 * turn again, first in, first out. A timer and not an immediate lets the others in: a chain of immediates never looks at
 * the sockets (measured with Deno 2.9.6: a peer gets no answer at all).
 */
export function anotherTurn(): Promise<void> {
  if (!isGoing) {
    isGoing = true;
    begunAt = performance.now();
    setImmediate(giveTurn);
  }
  return new Promise((resolve) => waiting.push(resolve));
}

function giveTurn(): void {
  if (waiting.length === 0) {
    isGoing = false;
    return;
  }
  if (performance.now() - begunAt > LONG_WORK_MS) {
    setTimeout(() => {
      begunAt = performance.now();
      giveTurn();
    }, 0);
    return;
  }
  waiting.shift()?.();
  // Behind the part that runs now.
  setImmediate(giveTurn);
}
