/**
 * Waiting until nothing is under way.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import type { ClientSession } from "./client_session.ts";

/** How long to wait for something to move. */
export interface Patience {
  /** Times it. */
  clock: Clock;
  /** Milliseconds without progress. */
  patienceMs: number;
}

/** Resolves with true at the session's next change, with false after `timeoutMs` without one. */
async function changeWithin(session: ClientSession, clock: Clock, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = clock.after(timeoutMs, () => resolve(false));
  const isChanged = await Promise.race([promise, session.nextChange.then(() => true)]);
  timer.cancel();
  return isChanged;
}

/** Waits until `isDone`. False when that did not come about: nothing moved for `patienceMs`, or the session ended. */
async function waitUntil(
  session: ClientSession,
  { clock, patienceMs }: Patience,
  isDone: () => boolean,
): Promise<boolean> {
  let lastProgressAt = clock.now();
  let progress = session.account?.progress;
  for (;;) {
    const { account } = session;
    if (account === undefined) return false;
    if (isDone()) return true;
    if (account.progress !== progress) {
      progress = account.progress;
      lastProgressAt = clock.now();
    }
    const leftMs = lastProgressAt + patienceMs - clock.now();
    if (leftMs <= 0 || !await changeWithin(session, clock, leftMs)) return false;
  }
}

/**
 * Waits until all that was said is acknowledged, all questions are answered, and all messages that existed at login are
 * here. False when nothing moved any more, or the session ended.
 */
export async function settle(session: ClientSession, patience: Patience): Promise<boolean> {
  return await waitUntil(session, patience, () => {
    // Anew on every connection: what was asked for on the one before may not have been answered.
    if (session.isOnline) session.account?.catchUp();
    return session.isSettled;
  });
}

/** Waits until no more than `most` messages wait for their acknowledgement. False as in {@link settle}. */
export async function drainOutbox(
  session: ClientSession,
  patience: Patience,
  most: number,
): Promise<boolean> {
  return await waitUntil(session, patience, () => (session.account?.unsent ?? 0) <= most);
}
