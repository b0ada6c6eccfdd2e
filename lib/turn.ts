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
 * Waits while every turn of the event loop makes `count()` grow, for about `maxMs` and up to `enough`: where many do the
 * same at once, more of them share what it is for. One turn brings what 48 connections have sent at most.
 */
export async function gather(
  count: () => number,
  { enough, maxMs, now = () => performance.now() }: { enough: number; maxMs: number; now?: () => number },
): Promise<void> {
  const until = now() + maxMs;
  for (let seen = 0; seen < count() && seen < enough && now() < until;) {
    seen = count();
    await nextTurn();
  }
}

/** Resolves when the event loop has been round: what could be read meanwhile has been handled. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
