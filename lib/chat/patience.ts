/**
 * Who was refused several times in a row on one connection has to wait.
 *
 * @module
 */
import { type Refusal, tooMany } from "./request.ts";
import type { Session } from "./session.ts";

/** Wrong passwords, tokens or codes in a row before a connection is asked to wait. */
const REFUSED_MAX = 5;
const WAIT_MS = 10_000;

/** Throws a Refusal while the connection has to wait. */
export function checkPatience(session: Session): void {
  if (session.refusedLogins < REFUSED_MAX) return;
  const waitMs = session.refusedLoginAt + WAIT_MS - performance.now();
  if (waitMs > 0) throw tooMany("Too many refused attempts; wait a little", waitMs);
}

/** Counts `refusal`, and returns it. */
export function noteRefused(session: Session, refusal: Refusal): Refusal {
  session.refusedLogins++;
  session.refusedLoginAt = performance.now();
  return refusal;
}
