/**
 * What codes of the operators let clients do: sign up, choose a new password. Nothing tells a wrong code from one that was
 * used up or has expired.
 *
 * @module
 */
import { checkPatience, inTurn, noteRefused } from "./patience.ts";
import { checkPassword } from "./password.ts";
import { ERRNO } from "../protocol/protocol.ts";
import { Refusal, type Request, tooMany } from "./request.ts";
import type { Services } from "./services.ts";
import type { Session } from "./session.ts";
import { type CodeKind, type CodeRow, hashCode } from "../store/access_codes.ts";

/** What the invitation in a signup is stored under, if it is good. */
export async function checkInvite(services: Services, { session, frame }: Request): Promise<Uint8Array> {
  const { invite } = frame;
  if (typeof invite !== "string" || invite === "") throw uninvited();
  const hash = hashCode(invite);
  if (!await findCode(services, session, "invite", hash)) throw noteRefused(session, uninvited());
  return hash;
}

/** Of a signup without an invitation that is good. */
export function uninvited(): Refusal {
  return new Refusal(ERRNO.NOT_ALLOWED, "Signing up here needs an invitation that is good", {
    signup: "invite",
  });
}

/** RESET_MSG: a new password for who has lost the old one. */
export async function resetPassword(services: Services, request: Request): Promise<void> {
  const { users, passwords, settings } = services;
  const { session } = request;
  const hash = hashCode(request.string("code"));
  const password = request.string("password");
  const problem = checkPassword(password, settings.passwordMin);
  if (problem !== undefined) throw new Refusal(ERRNO.REFUSED, problem);
  const wrong = new Refusal(ERRNO.REFUSED, "This code is not good");
  if (!await findCode(services, session, "password", hash)) throw noteRefused(session, wrong);
  const stored = await inTurn(services, session, () => passwords.hash(password));
  const user = await users.resetPassword(hash, stored, Date.now());
  if (!user) throw noteRefused(session, wrong);
  request.reply(user);
}

/** Looks for a code, unless too many were wrong before. */
async function findCode(
  services: Services,
  session: Session,
  kind: CodeKind,
  hash: Uint8Array,
): Promise<CodeRow | undefined> {
  const { codes, guesses, limits } = services;
  checkPatience(services, session);
  const waitMs = await guesses.msToWaitForCode(session.person);
  if (waitMs > 0) {
    limits.note("codes", { person: session.person }, waitMs);
    throw tooMany("Too many wrong codes; try again later", waitMs);
  }
  const found = await codes.find(kind, hash, Date.now());
  if (!found) await guesses.wrongCode(session.person);
  return found;
}
