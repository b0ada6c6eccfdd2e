/**
 * Signing up, logging in and out: see handlers.ts.
 *
 * @module
 */
import { byteLength, fitLists, type LoginLists } from "../net/client_buffer.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import { NoTurnError } from "../base/fair_queue.ts";
import { arrayParts } from "../base/long_json.ts";
import { checkInvite, uninvited } from "./code_handlers.ts";
import { nameProblem } from "./handlers.ts";
import { checkPatience, noteRefused } from "./patience.ts";
import { checkPassword } from "./password.ts";
import { ERRNO, type JsonObject, MSGID } from "../protocol/protocol.ts";
import type { Verification } from "./password.ts";
import { listConversations } from "./conversation_list.ts";
import { Refusal, type Request, tooMany } from "./request.ts";
import type { Services } from "./services.ts";
import type { Login, Session } from "./session.ts";
import type { Account } from "../store/users.ts";
import { createBeatKey, type IssuedToken, tokenUserId } from "./tokens.ts";

/** Whoever gets no turn for a hash is asked to come again after this, ms. */
const NO_TURN_WAIT_MS = 5_000;
/** How long a logout waits for messages on their way into the log, and then for what else is to be written, ms. */
const LOGOUT_PATIENCE_MS = 1_000;
/** About how much a version 1 login reply brings along; what is more follows as ordinary frames. */
const OFFLINE_CHARS = 4_194_304;

/** SIGNUP_MSG. */
export async function signup(services: Services, request: Request): Promise<void> {
  const { users, passwords, guesses, limited, settings } = services;
  const { session } = request;
  const name = request.string("name");
  const password = request.string("password");
  if (settings.signup === "closed") {
    throw new Refusal(ERRNO.NOT_ALLOWED, "Signing up is closed here", { signup: "closed" });
  }
  const invite = settings.signup === "invite" ? await checkInvite(services, request) : undefined;
  const problem = nameProblem(name) ?? checkPassword(password, settings.passwordMin);
  if (problem !== undefined) throw new Refusal(ERRNO.REFUSED, problem);
  if (await users.isTaken(name)) throw new Refusal(ERRNO.REFUSED, "This name is taken");
  const hash = await inTurn(services, session, async () => {
    const waitMs = await guesses.trySignup(session.person);
    if (waitMs === 0) return await passwords.hash(password);
    limited.signups++;
    throw tooMany("Too many have signed up from this address; try again later", waitMs);
  });
  const id = invite === undefined
    ? await users.create(name, hash)
    : await users.createInvited(name, hash, invite, Date.now());
  if (id === "uninvited") throw uninvited();
  if (id === undefined) throw new Refusal(ERRNO.REFUSED, "This name is taken");
  request.reply({ id });
}

/** Hashes have turns: a flood of logins is no more than a place in a line, and what nobody waits for is not done. */
export async function inTurn<Result>(
  { passwords, limited }: Services,
  session: Session,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await passwords.turns.run(session, work);
  } catch (error) {
    if (!(error instanceof NoTurnError)) throw error;
    limited.hashes++;
    throw tooMany("Too many want to log in at the moment; try again", NO_TURN_WAIT_MS);
  }
}

/** LOGIN_MSG. */
export async function login(services: Services, request: Request): Promise<void> {
  const { users, tokens, settings } = services;
  const { session } = request;
  checkLoginAllowed(session);
  const id = request.integer("id");
  const password = request.string("password");
  if (checkPassword(password) !== undefined) {
    throw refusedLogin(session, ERRNO.REFUSED, "Wrong id or password");
  }
  const account = await users.account(id);
  const { isRight, replacement } = await inTurn(
    services,
    session,
    () => tryPassword(services, session, id, password, account?.password),
  );
  if (!account || !isRight) throw refusedLogin(session, ERRNO.REFUSED, "Wrong id or password");
  if (account.status !== "active") {
    throw noteRefused(session, new Refusal(ERRNO.REFUSED, "This account has been disabled"));
  }
  if (replacement !== undefined) {
    await users.replacePassword(id, account.password, replacement);
    account.password = replacement;
  }
  await welcome(
    services,
    request,
    account,
    settings.duplicateLogin,
    () => tokens.issue(id, account.password),
  );
}

/** Looks whether a password is right, unless too many were wrong before. */
async function tryPassword(
  { passwords, guesses, limited }: Services,
  { person }: Session,
  id: number,
  password: string,
  stored: string | undefined,
): Promise<Verification> {
  const waitMs = await guesses.msToWait(id, person);
  if (waitMs > 0) {
    limited.guesses++;
    throw tooMany("Too many wrong passwords; try again later", waitMs);
  }
  const verification = await passwords.verify(password, stored);
  if (verification.isRight) await guesses.right(id, person);
  else await guesses.wrong(id, person);
  return verification;
}

/** RESUME_MSG: a login by token, which takes the place of an older session. */
export async function resume(services: Services, request: Request): Promise<void> {
  const { session } = request;
  checkLoginAllowed(session);
  const token = request.string("token");
  const userId = tokenUserId(token);
  const account = userId === undefined ? undefined : await services.users.account(userId);
  const hash = account && await services.tokens.recognise(token, account.id, account.password);
  if (account?.status !== "active" || !hash) {
    throw refusedLogin(session, ERRNO.TOKEN_UNKNOWN, "Token expired or unknown");
  }
  await welcome(services, request, account, "replace", () => Promise.resolve({ token, hash }));
}

function checkLoginAllowed(session: Session): void {
  if (session.login) {
    throw new Refusal(ERRNO.ALREADY_ONLINE, "Already logged in on this connection; log out first");
  }
  checkPatience(session);
}

function refusedLogin(session: Session, errno: number, message: string): Refusal {
  return noteRefused(session, new Refusal(errno, message));
}

/** Lets a user in, answers with all it needs, and opens its mailbox. */
async function welcome(
  services: Services,
  request: Request,
  account: Account,
  mode: "refuse" | "replace",
  giveToken: () => Promise<IssuedToken>,
): Promise<void> {
  const { session } = request;
  const { admission } = services;
  session.revoked = account.revoked;
  const login = await admission.admit(session, account.id, account.name, mode);
  if (!login) throw new Refusal(ERRNO.ALREADY_ONLINE, "This user is already online");
  if (services.orders.hasEnded(account.id, account.revoked)) {
    await admission.dismiss(session);
    throw new Refusal(ERRNO.REFUSED, "This account has been changed; log in again");
  }
  session.refusedLogins = 0;
  try {
    if (session.version >= 2) {
      const [friends, groups] = await Promise.all([
        services.users.friends(account.id),
        services.groups.describeInText(login.groups.keys()),
      ]);
      const { token, hash } = await giveToken();
      if (services.settings.udpPort !== undefined) session.udpKey = createBeatKey(hash, account.password);
      const { conversations, ...list } = session.version === 3
        ? await listConversations(services, login)
        : { conversations: await describeConversations(services, login) };
      const rest = {
        token,
        heartbeat: heartbeat(services, session),
        max_frame: services.settings.maxFrameBytes,
        ...list,
      };
      request.replyParts([
        JSON.stringify({ id: account.id, name: account.name }).slice(0, -1),
        ...await listParts("friends", friends, JSON.stringify),
        ...await listParts("groups", groups, (group) => group),
        ',"conversations":',
        ...await arrayParts(conversations, (text) => text),
        `,${JSON.stringify(rest).slice(1)}`,
      ]);
    } else {
      // A password makes the token before it worthless, also when there is no new one.
      await services.tokens.revoke(account.id);
      await answerVersion1(services, request, login);
    }
    login.mailbox.open();
  } catch (error) {
    await admission.dismiss(session);
    throw error;
  }
  // The connection may have ended while the user was let in.
  if (session.isEnded) await admission.dismiss(session);
}

/** In version 1 what is in a list is text, and what was missed comes with the reply, where the client can read so much. */
async function answerVersion1({ users, groups }: Services, request: Request, login: Login): Promise<void> {
  const { userId, name, mailbox } = login;
  const who = { id: userId, name };
  const friends = await users.friends(userId);
  const { frameLimitBytes } = request.session.outlet;
  if (frameLimitBytes < Infinity) {
    const lists = { friends, groups: await groups.describe(login.groups.keys()) };
    const head = JSON.stringify({ msgid: MSGID.LOGIN_MSG_ACK, errno: ERRNO.OK, ...who });
    const fitting = fitLists(lists, frameLimitBytes - byteLength(head));
    return request.reply({ ...who, ...nonEmpty(inTexts(fitting)) });
  }
  const texts = await groups.describeInText(login.groups.keys(), { areUsersTexts: true });
  const { frames, written } = await mailbox.takeOffline(OFFLINE_CHARS);
  request.replyParts([
    JSON.stringify(who).slice(0, -1),
    ...await listParts("offlineMsg", frames, JSON.stringify),
    ...await listParts("friends", friends, (friend) => JSON.stringify(JSON.stringify(friend))),
    ...await listParts("groups", texts, JSON.stringify),
    "}",
  ], written);
}

function inTexts({ friends, groups }: LoginLists): Record<string, string[]> {
  return {
    friends: friends.map((friend) => JSON.stringify(friend)),
    groups: groups.map((group) =>
      JSON.stringify({ ...group, users: group.users.map((user) => JSON.stringify(user)) })
    ),
  };
}

/** Empty lists are left out of a login reply: version 1 clients look whether they are there. */
function nonEmpty(lists: Record<string, unknown[]>): Record<string, unknown[]> {
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));
}

/** Such a list in parts, made one a turn. */
async function listParts<Item>(
  field: string,
  items: readonly Item[],
  textOf: (item: Item) => string,
): Promise<string[]> {
  return items.length === 0 ? [] : [`,"${field}":`, ...await arrayParts(items, textOf)];
}

function heartbeat({ settings }: Services, { udpKey }: Session): JsonObject {
  const { heartbeatIntervalMs, heartbeatMisses, udpPort } = settings;
  const beat = { interval_ms: heartbeatIntervalMs, misses: heartbeatMisses };
  return udpPort === undefined ? beat : { ...beat, udp_port: udpPort, udp_key: udpKey };
}

/** Where the user stands in each conversation; of a one-to-one conversation also where the other one stands. */
async function describeConversations({ messages }: Services, login: Login): Promise<string[]> {
  const cursors = [...login.mailbox.cursors];
  const oneToOne = cursors.map(({ conversation }) => conversation).filter((id) => id.startsWith("u"));
  const peers = await messages.peers(login.userId, oneToOne);
  return cursors.map(({ conversation, newest, delivered, read }) => {
    const place = { conversation, last_seq: newest, delivered, read };
    const peer = peers.get(conversation);
    return JSON.stringify(peer ? { ...place, peer: { delivered: peer.delivered, read: peer.read } } : place);
  });
}

/**
 * LOGINOUT_MSG: the connection stays and may log in again. The resume token is worth nothing any more. A database that is
 * away keeps nobody logged in: it is told when it is back.
 */
export async function logout({ admission, tokens }: Services, request: Request): Promise<void> {
  const { session, login: { userId } } = request;
  if (session.version >= 2) await waitAtMost(LOGOUT_PATIENCE_MS, session.settled());
  const [isRevoked] = await Promise.all([
    tokens.revokeInTime(userId),
    waitAtMost(LOGOUT_PATIENCE_MS, admission.dismiss(session, { isOrderly: true })),
  ]);
  request.reply(isRevoked ? {} : { token_valid: true });
}
