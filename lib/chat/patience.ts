/**
 * Who has to wait: whoever was refused several times in a row on one connection, and for hashes everybody, in turns.
 *
 * @module
 */
import { type Asker, NoTurnError } from "../base/fair_queue.ts";
import type { Passwords } from "./password.ts";
import { type Refusal, tooMany } from "./request.ts";
import type { Services } from "./services.ts";
import type { Session } from "./session.ts";

/** Wrong passwords, tokens or codes in a row before a connection is asked to wait. */
const REFUSED_MAX = 5;
const WAIT_MS = 10_000;
/** Whoever gets no turn for a hash is asked to come again after this, ms. */
const NO_TURN_WAIT_MS = 5_000;

/** Throws a Refusal while the connection has to wait. */
export function checkPatience({ limited }: Services, session: Session): void {
  if (session.refusedLogins < REFUSED_MAX) return;
  const waitMs = session.refusedLoginAt + WAIT_MS - performance.now();
  if (waitMs <= 0) return;
  limited.attempts++;
  throw tooMany("Too many refused attempts; wait a little", waitMs);
}

/** Counts `refusal`, and returns it. */
export function noteRefused(session: Session, refusal: Refusal): Refusal {
  session.refusedLogins++;
  session.refusedLoginAt = performance.now();
  return refusal;
}

/** Hashes have turns: a flood of logins is no more than a place in a line, and what nobody waits for is not done. */
export async function inTurn<Result>(
  { passwords, limited }: Pick<Services, "limited"> & { passwords: Pick<Passwords, "turns"> },
  asker: Asker,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await passwords.turns.run(asker, work);
  } catch (error) {
    if (!(error instanceof NoTurnError)) throw error;
    limited.hashes++;
    throw tooMany("Too many want to log in at the moment; try again", NO_TURN_WAIT_MS);
  }
}
