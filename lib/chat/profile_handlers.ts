/**
 * What users change of their own accounts.
 *
 * @module
 */
import { waitAtMost } from "../base/give_up_after.ts";
import { isAtMost, isLine } from "../base/line_text.ts";
import { ERRNO, isJsonObject, type JsonObject } from "../protocol/protocol.ts";
import type { ProfileChange } from "../store/profiles.ts";
import type { Account } from "../store/users.ts";
import { nameProblem } from "./handlers.ts";
import { tryPassword } from "./login_handlers.ts";
import { checkPassword } from "./password.ts";
import { checkPatience, inTurn, noteRefused } from "./patience.ts";
import { Refusal, type Request, tooMany } from "./request.ts";
import type { Services } from "./services.ts";

/** Longest line that a user shows of itself, in code points. */
const STATUS_MAX = 100;
/** How long a new password's answer waits for the other devices to be gone, ms: they are sent away in any case. */
const REVOCATION_PATIENCE_MS = 1_000;

/** PROFILE_MSG: the user's name and status, or its password. Answered with how things are then. */
export async function profile(services: Services, request: Request): Promise<void> {
  const { password, name, status } = request.frame;
  if (password === undefined) return await changeProfile(services, request);
  if (name !== undefined || status !== undefined) {
    throw new Refusal(ERRNO.MALFORMED, "A password is changed by itself");
  }
  await changePassword(services, request, password);
}

async function changeProfile(services: Services, request: Request): Promise<void> {
  const { profiles, news, quotas, limits } = services;
  const { session, login } = request;
  const { userId } = login;
  const change = changeAsked(request.frame);
  const before = await profiles.find(userId);
  if (!before) throw new Refusal(ERRNO.NOT_FOUND, "This account is not there any more");
  const isNews = (change.name ?? before.name) !== before.name ||
    (change.status ?? before.status) !== before.status;
  if (!isNews) return request.reply(before);
  const waitMs = quotas.of(userId).tryTake("profiles", performance.now());
  if (waitMs > 0) {
    limits.note("profiles", { userId, person: session.person }, waitMs);
    throw tooMany("You have changed your profile too often", waitMs);
  }
  if (!await profiles.change(userId, change)) throw new Refusal(ERRNO.REFUSED, "This name is taken");
  const after = await profiles.find(userId);
  if (!after) throw new Refusal(ERRNO.NOT_FOUND, "This account is not there any more");
  news.tellProfile(after, [...login.groups.keys()], session);
  request.reply(after);
}

function changeAsked({ name, status }: JsonObject): ProfileChange {
  const change: ProfileChange = {};
  if (name !== undefined) {
    if (typeof name !== "string") throw new Refusal(ERRNO.MALFORMED, 'Field "name" is not a string');
    const problem = nameProblem(name);
    if (problem !== undefined) throw new Refusal(ERRNO.REFUSED, problem);
    change.name = name;
  }
  if (status !== undefined) change.status = checkedStatus(status);
  return change;
}

function checkedStatus(status: unknown): string {
  if (typeof status !== "string") throw new Refusal(ERRNO.MALFORMED, 'Field "status" is not a string');
  if (!isAtMost(status, STATUS_MAX)) {
    throw new Refusal(ERRNO.MALFORMED, `The status is longer than ${STATUS_MAX} characters`);
  }
  if (!isLine(status)) {
    throw new Refusal(ERRNO.MALFORMED, "The status has control characters or line breaks");
  }
  return status;
}

/**
 * All that is logged in elsewhere, or could resume, has to log in with the new password; this connection goes on, and gets
 * the token that it resumes with.
 */
async function changePassword(services: Services, request: Request, asked: unknown): Promise<void> {
  const { profiles, orders, settings, passwords } = services;
  const { session, login: { userId } } = request;
  const { old, new: wanted } = isJsonObject(asked) ? asked : {};
  if (typeof old !== "string" || typeof wanted !== "string") {
    throw new Refusal(ERRNO.MALFORMED, 'Field "password" has no strings "old" and "new"');
  }
  const problem = checkPassword(wanted, settings.passwordMin);
  if (problem !== undefined) throw new Refusal(ERRNO.REFUSED, problem);
  const account = await checkOwnPassword(services, request, old);
  const password = await inTurn(services, session, () => passwords.hash(wanted));
  const event = await orders.spare(
    session,
    () => profiles.changePassword(userId, account.password, password, Date.now()),
  );
  if (event === undefined) throw new Refusal(ERRNO.REFUSED, "The password has just been changed elsewhere");
  const token = await renewDevice(services, request, { ...account, password });
  request.reply(token === undefined ? {} : { token });
}

/** The user's account, if this is its password. It is guessed as little as at a login. */
export async function checkOwnPassword(
  services: Services,
  { session, login: { userId } }: Request,
  password: string,
): Promise<Account> {
  const { users } = services;
  checkPatience(services, session);
  const wrong = new Refusal(ERRNO.REFUSED, "This is not your password");
  if (checkPassword(password) !== undefined) throw noteRefused(session, wrong);
  const account = await users.account(userId);
  const { isRight } = await tryPassword(services, session, userId, password, account?.password);
  if (!account || !isRight) throw noteRefused(session, wrong);
  session.refusedLogins = 0;
  return account;
}

/**
 * Another token for the device that the password was changed on, and all others gone. The password is another one by now,
 * whatever fails: without a token it is what the client logs in with.
 */
async function renewDevice(
  { devices, logger }: Services,
  { login: { userId, device } }: Request,
  account: Account,
): Promise<string | undefined> {
  const failed = (error: unknown) => {
    logger.warn("cannot end a user's devices after a change of password; they are sent away all the same", {
      user: userId,
      reason: String(error),
    });
    return undefined;
  };
  const issued = await devices.issue(account, device).catch(failed);
  await waitAtMost(REVOCATION_PATIENCE_MS, devices.revokeOthers(userId, device).catch(failed));
  return issued?.token;
}
