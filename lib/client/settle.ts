/**
 * Waiting until nothing is under way.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { ClientSession } from "./client_session.ts";

/** Resolves with true at the session's next change, with false after `timeoutMs` without one. */
async function changeWithin(session: ClientSession, clock: Clock, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = clock.after(timeoutMs, () => resolve(false));
  const isChanged = await Promise.race([promise, session.nextChange.then(() => true)]);
  timer.cancel();
  return isChanged;
}

/**
 * Waits until all that was said is acknowledged, all questions are answered, and all messages that existed at login are
 * here. False when that did not come about: nothing moved for `patienceMs`, or the session ended.
 */
export async function settle(session: ClientSession, clock: Clock, patienceMs: number): Promise<boolean> {
  let lastProgressAt = clock.now();
  let progress = session.account?.progress;
  for (;;) {
    const { account } = session;
    if (account === undefined) return false;
    if (session.isOnline) account.catchUp();
    if (session.isSettled) return true;
    if (account.progress !== progress) {
      progress = account.progress;
      lastProgressAt = clock.now();
    }
    const leftMs = lastProgressAt + patienceMs - clock.now();
    if (leftMs <= 0 || !await changeWithin(session, clock, leftMs)) return false;
  }
}

/** Waits until fewer than `limit` messages wait for their acknowledgement: a script must not run ahead without end. */
export async function roomToSend(session: ClientSession, limit: number): Promise<void> {
  while ((session.account?.unsent ?? 0) >= limit) await session.nextChange;
}
