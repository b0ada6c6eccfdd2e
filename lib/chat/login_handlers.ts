/**
 * Signing up, logging in and out: see handlers.ts.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { byteLength, fitLists, type LoginLists } from "../net/client_buffer.ts";
import type { Asker } from "../base/fair_queue.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import { arrayParts } from "../base/long_json.ts";
import { checkInvite, uninvited } from "./code_handlers.ts";
import { checkDeviceName, parseDeviceToken } from "./device_desk.ts";
import { nameProblem } from "./handlers.ts";
import { checkPatience, inTurn, noteRefused } from "./patience.ts";
import { checkPassword } from "./password.ts";
import { nameKey } from "../protocol/names.ts";
import { ERRNO, type JsonObject, MSGID } from "../protocol/protocol.ts";
import type { Passwords, Verification } from "./password.ts";
import { listConversations } from "./conversation_list.ts";
import { Refusal, type Request, tooMany } from "./request.ts";
import type { Services } from "./services.ts";
import type { Login, Session } from "./session.ts";
import type { Account } from "../store/users.ts";
import { createBeatKey, type IssuedToken, tokenUserId } from "./tokens.ts";

/** How long a logout waits for messages on their way into the log, and then for what else is to be written, ms. */
const LOGOUT_PATIENCE_MS = 1_000;
/** About how much a version 1 login reply brings along; what is more follows as ordinary frames. */
const OFFLINE_CHARS = 4_194_304;
/** No name is longer, in UTF-16 units. */
const LOGIN_NAME_MAX = 400;
/** Positions in one statement. */
const MOVES_PER_STATEMENT = 500;

/** SIGNUP_MSG. */
export async function signup(services: Services, request: Request): Promise<void> {
  const { users, passwords, guesses, limits, settings } = services;
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
    limits.note("signups", { person: session.person }, waitMs);
    throw tooMany("Too many have signed up from this address; try again later", waitMs);
  });
  const legacy = session.version === 3 ? 0 : 1;
  const id = invite === undefined
    ? await users.create(name, hash, legacy)
    : await users.createInvited(name, hash, invite, Date.now(), legacy);
  if (id === "uninvited") throw uninvited();
  if (id === undefined) throw new Refusal(ERRNO.REFUSED, "This name is taken");
  request.reply({ id });
}

/** LOGIN_MSG: from version 3 on by id or by name, on a device. */
export async function login(services: Services, request: Request): Promise<void> {
  const { users } = services;
  const { session, frame } = request;
  checkLoginAllowed(services, session);
  const device = session.version === 3 ? deviceAsked(request) : undefined;
  const isByName = frame.id === undefined;
  const wrong = isByName ? "Wrong name or password" : "Wrong id or password";
  const password = request.string("password");
  if (checkPassword(password) !== undefined) throw refusedLogin(session, ERRNO.REFUSED, wrong);
  const account = isByName
    ? await accountOfName(services, request.string("name"))
    : await users.account(request.integer("id"));
  const id = account?.id ?? (isByName ? nobodyOf(request.string("name")) : request.integer("id"));
  const { isRight, replacement } = await tryPassword(services, session, id, password, account?.password);
  if (!account || !isRight) throw refusedLogin(session, ERRNO.REFUSED, wrong);
  if (account.status !== "active") {
    throw noteRefused(session, new Refusal(ERRNO.REFUSED, "This account has been disabled"));
  }
  if (replacement !== undefined) {
    await users.replacePassword(id, account.password, replacement);
    account.password = replacement;
  }
  if (device) await logInOnDevice(services, request, account, device);
  else await logInByVersion2(services, request, account);
}

/** Whatever nobody can be called is nobody's name. */
async function accountOfName({ users }: Services, name: string): Promise<Account | undefined> {
  return isNameLong(name) ? undefined : await users.accountOfName(name);
}

function isNameLong(name: string): boolean {
  return name.length > LOGIN_NAME_MAX || !name.isWellFormed();
}

/** A number in place of an id for a name that nobody has: wrong passwords for it count like those for any other. */
function nobodyOf(name: string): number {
  const key = isNameLong(name) ? new Uint8Array() : nameKey(name);
  return -createHash("sha256").update(key).digest().readUIntBE(0, 6);
}

async function logInByVersion2(services: Services, request: Request, account: Account): Promise<void> {
  const { tokens, settings } = services;
  if (account.legacy === 0) await beginLegacy(services, account);
  await welcome(services, request, account, {
    device: 0,
    mode: settings.duplicateLogin,
    giveToken: () => tokens.issue(account.id, account.password),
  });
}

/**
 * A user of version 3 logs in by version 1 or 2 for the first time: as on any other new device nothing old is pushed, unless
 * there are no others, and what has reached none of them is still to be delivered.
 */
async function beginLegacy({ users, devices, messages }: Services, { id: userId }: Account): Promise<void> {
  const [hasDevices, positions] = await Promise.all([devices.hasAny(userId), messages.positions(userId)]);
  const moves = positions.map(({ conversation, last_seq, told = 0 }) => ({
    userId,
    conversation,
    delivered: hasDevices ? last_seq : told,
    read: 0,
  }));
  for (let start = 0; start < moves.length; start += MOVES_PER_STATEMENT) {
    await messages.advance(moves.slice(start, start + MOVES_PER_STATEMENT));
  }
  await users.becomeLegacy(userId);
}

/** What a login of version 3 says about the device it comes from. */
interface DeviceAsked {
  name: string | undefined;
  id: number | undefined;
}

function deviceAsked({ frame: { id, name, device, device_id } }: Request): DeviceAsked {
  if (id === undefined && name === undefined) {
    throw new Refusal(ERRNO.MALFORMED, 'There is neither a field "id" nor a field "name"');
  }
  return {
    name: typeof device === "string" ? checkedDeviceName(device) : undefined,
    id: typeof device_id === "number" ? device_id : undefined,
  };
}

function checkedDeviceName(name: string): string {
  const problem = checkDeviceName(name);
  if (problem !== undefined) throw new Refusal(ERRNO.MALFORMED, `The device's name ${problem}`);
  return name;
}

/** Goes on with the device that is named, or makes one. */
async function logInOnDevice(
  services: Services,
  request: Request,
  account: Account,
  asked: DeviceAsked,
): Promise<void> {
  const { devices, quotas, limits } = services;
  const known = asked.id === undefined ? undefined : await devices.find(account.id, asked.id);
  if (known && asked.name !== undefined && asked.name !== known.name) {
    await devices.rename(account.id, known.id, asked.name);
  }
  if (!known) {
    const waitMs = quotas.of(account.id).tryTake("devices", performance.now());
    if (waitMs > 0) {
      limits.note("devices", { userId: account.id, person: request.session.person }, waitMs);
      throw tooMany("This user has made too many devices; name one of them", waitMs);
    }
  }
  const device = known?.id ?? await devices.create(account.id, asked.name);
  try {
    await welcome(services, request, account, {
      device,
      mode: "replace",
      giveToken: () => devices.issue(account, device),
    });
  } catch (error) {
    // Nobody has been told of it.
    if (!known) await devices.revokeInTime(device);
    throw error;
  }
}

/** Looks whether a password is right, unless too many were wrong before; in a turn, unless it was found right lately. */
export async function tryPassword(
  services: Pick<Services, "recentPasswords" | "guesses" | "limits" | "limited"> & {
    passwords: Pick<Passwords, "isCurrent" | "verify" | "turns">;
  },
  asker: Asker,
  userId: number,
  password: string,
  stored: string | undefined,
): Promise<Verification> {
  const { passwords, recentPasswords, guesses } = services;
  const { person } = asker;
  // What is to be replaced has to be hashed.
  const current = stored !== undefined && passwords.isCurrent(stored) ? stored : undefined;
  /** What was found right lately, or else what `hash` finds, which counts if it is wrong. */
  const compareOr = async (hash: () => Promise<Verification>): Promise<Verification> => {
    await checkGuesses(services, asker, userId);
    using recent = recentPasswords.recognise({ userId, person, stored: current, password });
    if (recent.isRight) return recent;
    try {
      return await hash();
    } catch (error) {
      // Otherwise whoever hangs up before the turn comes, or gets none, has tried a password for nothing.
      if (recent.isWrong) await guesses.wrong(userId, person);
      throw error;
    }
  };
  const verification = await compareOr(() =>
    // Somebody else's may have been in the way before.
    inTurn(services, asker, () =>
      compareOr(async () => {
        const verification = await passwords.verify(password, stored);
        const { isRight, replacement = stored } = verification;
        if (!isRight) await guesses.wrong(userId, person);
        else if (replacement !== undefined) recentPasswords.note(userId, replacement, password);
        return verification;
      }))
  );
  if (verification.isRight) await guesses.right(userId, person);
  return verification;
}

async function checkGuesses(
  { guesses, limits }: Pick<Services, "guesses" | "limits">,
  { person }: Asker,
  userId: number,
): Promise<void> {
  const waitMs = await guesses.msToWait(userId, person);
  if (waitMs === 0) return;
  // A name that nobody has has a number below 0.
  limits.note("guesses", { userId: userId > 0 ? userId : undefined, person }, waitMs);
  throw tooMany("Too many wrong passwords; try again later", waitMs);
}

/** RESUME_MSG: a login by token, which takes the place of an older session. */
export async function resume(services: Services, request: Request): Promise<void> {
  const { session } = request;
  checkLoginAllowed(services, session);
  const token = request.string("token");
  if (session.version === 3) return await resumeDevice(services, request, token);
  const userId = tokenUserId(token);
  const account = userId === undefined ? undefined : await services.users.account(userId);
  const hash = account && await services.tokens.recognise(token, account.id, account.password);
  if (account?.status !== "active" || !hash) throw unknownToken(session);
  await welcome(services, request, account, {
    device: 0,
    mode: "replace",
    giveToken: () => Promise.resolve({ token, hash }),
  });
}

function unknownToken(session: Session): Refusal {
  return refusedLogin(session, ERRNO.TOKEN_UNKNOWN, "Token expired or unknown");
}

async function resumeDevice(services: Services, request: Request, text: string): Promise<void> {
  const { users, devices } = services;
  const { session } = request;
  const token = parseDeviceToken(text);
  if (!token) throw unknownToken(session);
  const { userId, device } = token;
  const [account, row] = await Promise.all([users.account(userId), devices.find(userId, device)]);
  const judgement = account?.status === "active" && row ? devices.judge(token, account, row) : "unknown";
  // A connection that has been given up, and is read late, proves nothing: its client may have gone on elsewhere since.
  if (judgement === "copied" && !session.isEnded && !session.outlet.isPeerGone) {
    await devices.revoke(userId, device);
  }
  if (account?.status !== "active" || judgement !== "good") throw unknownToken(session);
  await welcome(services, request, account, {
    device,
    mode: "replace",
    giveToken: async () => {
      const next = await devices.issue(account, device, token);
      if (!next) throw unknownToken(session);
      return next;
    },
  });
}

function checkLoginAllowed(services: Services, session: Session): void {
  if (session.login) {
    throw new Refusal(ERRNO.ALREADY_ONLINE, "Already logged in on this connection; log out first");
  }
  checkPatience(services, session);
}

function refusedLogin(session: Session, errno: number, message: string): Refusal {
  return noteRefused(session, new Refusal(errno, message));
}

/** How a user comes in. */
interface Entrance {
  /** 0: by version 1 or 2. */
  device: number;
  mode: "refuse" | "replace";
  /** Undefined: the device is gone. */
  giveToken: () => Promise<IssuedToken | undefined>;
}

/** Lets a user in, answers with all it needs, and opens its mailbox. */
async function welcome(
  services: Services,
  request: Request,
  account: Account,
  { device, mode, giveToken }: Entrance,
): Promise<void> {
  const { session } = request;
  const { admission } = services;
  session.revoked = account.revoked;
  const arrival = { userId: account.id, name: account.name, device };
  const login = await admission.admit(session, arrival, mode);
  if (!login) throw new Refusal(ERRNO.ALREADY_ONLINE, "This user is already online");
  if (services.orders.hasEnded(account.id, account.revoked)) {
    await admission.dismiss(session);
    throw new Refusal(ERRNO.REFUSED, "This account has been changed; log in again");
  }
  session.refusedLogins = 0;
  try {
    // Of what is stored each message says whether it is hidden.
    if (device === 0 && services.settings.persist === "offline") await services.news.enterLegacy(session);
    if (session.version >= 2) {
      const [friends, groups] = await Promise.all([
        device === 0
          ? services.users.friends(account.id)
          : services.news.enter(session).then(({ friends }) => friends),
        device === 0
          ? services.groups.describeInText(login.groups.keys())
          : services.groups.summariesInText(login.groups),
      ]);
      const issued = await giveToken();
      if (!issued) throw new Refusal(ERRNO.UNAVAILABLE, "This device has just been revoked; try again");
      const { token, hash } = issued;
      if (services.settings.udpPort !== undefined) session.udpKey = createBeatKey(hash, account.password);
      const { conversations, ...list } = session.version === 3
        ? await listConversations(services, session, login)
        : { conversations: await describeConversations(services, login) };
      const rest = {
        token,
        heartbeat: heartbeat(services, session),
        max_frame: services.settings.maxFrameBytes,
        ...list,
      };
      const who = { id: account.id, name: account.name };
      const isVersion3 = device > 0;
      const version3 = isVersion3 ? { epoch: await services.epoch(), at: Date.now() } : {};
      request.replyParts([
        JSON.stringify(isVersion3 ? { ...who, device_id: device } : who).slice(0, -1),
        ...await listParts("friends", friends, JSON.stringify, isVersion3),
        ...await listParts("groups", groups, (group) => group, isVersion3),
        ',"conversations":',
        ...await arrayParts(conversations, (text) => text),
        `,${JSON.stringify({ ...rest, ...version3 }).slice(1)}`,
      ]);
      if (isVersion3) await admission.placeDevice(session, login);
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

/** Such a list in parts, made one a turn; from version 3 on it is there when it is empty, too. */
async function listParts<Item>(
  field: string,
  items: readonly Item[],
  textOf: (item: Item) => string,
  isAlways = false,
): Promise<string[]> {
  return items.length === 0 && !isAlways ? [] : [`,"${field}":`, ...await arrayParts(items, textOf)];
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
 * LOGINOUT_MSG: the connection stays and may log in again. The resume token is worth nothing any more, and the device is
 * gone. A database that is away keeps nobody logged in: it is told when it is back.
 */
export async function logout({ admission, tokens, devices }: Services, request: Request): Promise<void> {
  const { session, login: { userId, device } } = request;
  if (session.version >= 2) await waitAtMost(LOGOUT_PATIENCE_MS, session.settled());
  const leaving = waitAtMost(
    LOGOUT_PATIENCE_MS,
    admission.dismiss(session, { isOrderly: true, isRevoked: device > 0 }),
  );
  // The places of a device first: written behind its end they would stay for ever.
  if (device > 0) await leaving;
  const isRevoked = await (device === 0 ? tokens.revokeInTime(userId) : devices.revokeInTime(device));
  await leaving;
  request.reply(isRevoked ? {} : { token_valid: true });
}

/** DEVICE_MSG: the user's devices, as they are shown to the user; one gets another name, or is logged out. */
export async function deviceMessage(services: Services, request: Request): Promise<void> {
  const op = request.string("op");
  if (op === "list") request.reply({ devices: await describeDevices(services, request.login) });
  else if (op === "rename") await renameDevice(services, request);
  else if (op === "revoke") await revokeDevice(services, request);
  else throw new Refusal(ERRNO.MALFORMED, '"op" is not list, rename or revoke');
}

async function describeDevices({ devices }: Services, { userId, device }: Login): Promise<JsonObject[]> {
  const { rows, online } = await devices.list(userId);
  return rows.map(({ id, name, created, seen }) => ({
    device_id: id,
    device: name,
    created,
    seen: online.has(id) ? Date.now() : seen,
    online: online.has(id),
    current: id === device,
  }));
}

async function renameDevice({ devices }: Services, request: Request): Promise<void> {
  const id = request.integer("device_id");
  const name = checkedDeviceName(request.string("device"));
  if (!await devices.rename(request.login.userId, id, name)) throw noSuchDevice(id);
  request.reply({ device_id: id, device: name });
}

async function revokeDevice({ devices }: Services, request: Request): Promise<void> {
  const { userId, device } = request.login;
  const id = request.integer("device_id");
  if (!await devices.find(userId, id)) throw noSuchDevice(id);
  // Its own connection ends behind the answer.
  if (id === device) request.reply({ device_id: id });
  await devices.revoke(userId, id);
  if (id !== device) request.reply({ device_id: id });
}

function noSuchDevice(id: number): Refusal {
  return new Refusal(ERRNO.NOT_FOUND, `You have no device ${id}`);
}
