/**
 * Commands about users.
 *
 * @module
 */
import {
  type AdminContext,
  confirm,
  eventOf,
  giveWay,
  misuse,
  type Page,
  pageLines,
  pageOf,
  refuse,
  type Result,
} from "./context.ts";
import { tableLines } from "./console.ts";
import { momentText } from "../base/moment.ts";
import { newCode } from "./codes.ts";
import { findUser, toUser, USER_COLUMNS, type UserEntry, type UserRow, usersWhere } from "./find.ts";
import { checkPassword, Passwords } from "../chat/password.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import { createCode } from "../store/access_codes.ts";
import { recordEvent } from "../store/admin_events.ts";
import type { Database } from "../store/database.ts";
import { Devices, removeDevices } from "../store/devices.ts";
import { deleteUser } from "../store/delete_user.ts";
import { USER_STATUSES } from "../store/users.ts";
import { endTokens } from "../store/tokens.ts";

/** `users list`. */
export async function listUsers({ db, options }: AdminContext): Promise<Result> {
  return userResult(await pageOf(options, (after, limit) => usersWhere(db, "u.id > ?", [after], limit)));
}

/** `users search TEXT`: names that begin with it, whatever their case and form; then those that hold it as it is. */
export async function searchUsers(context: AdminContext, [text = ""]: readonly string[]): Promise<Result> {
  const { db, options } = context;
  const key = nameKey(text);
  // A key that is higher than all that begin with it: no byte of UTF-8 is 255.
  const end = new Uint8Array([...key, 255]);
  const condition = "u.id > ? AND ((u.name_key >= ? AND u.name_key < ?) OR INSTR(u.name, ?) > 0)";
  return userResult(
    await pageOf(
      options,
      (after, limit) => usersWhere(db, condition, [after, key, end, normalizeName(text)], limit),
    ),
  );
}

function userResult(page: Page<UserEntry>): Result {
  const { rows: users, more } = page;
  return { lines: pageLines(page, userLines(users), "Nobody."), json: { users, more } };
}

function userLines(users: readonly UserEntry[]): string[] {
  return tableLines(
    ["id", "name", "state", "status", "role"],
    users.map((
      { id, name, state, status, administrator },
    ) => [id, name, state, status, administrator ? "administrator" : "user"]),
  );
}

/** `users show USER`. */
export async function showUser({ db }: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const user = await findUser(db, word);
  const groups = await db.query<{ id: number; groupname: string; role: string }>(
    "SELECT g.id, g.groupname, m.grouprole AS role FROM GroupUser m JOIN AllGroup g ON g.id = m.groupid " +
      "WHERE m.userid = ? ORDER BY g.id",
    [user.id],
  );
  const friends = await db.query<UserRow>(
    `SELECT ${USER_COLUMNS} FROM Friend f JOIN User u ON u.id = f.friendid WHERE f.userid = ? ORDER BY u.id`,
    [user.id],
  );
  const [counts] = await db.query<{ conversations: number; messages: number }>(
    "SELECT (SELECT COUNT(*) FROM Member WHERE userid = ?) AS conversations, " +
      "(SELECT COUNT(*) FROM Message WHERE sender = ? AND kind = 0) AS messages",
    [user.id, user.id],
  );
  const now = Date.now();
  const [token] = await db.query<{ expires: number | null }>(
    "SELECT MAX(expires) AS expires FROM Token WHERE userid = ? AND expires > ?",
    [user.id, now],
  );
  const tokenUntil = token?.expires ?? null;
  const devices = await devicesOf(db, user.id, now);
  const lines = [
    ...userLines([user]),
    `conversations: ${counts?.conversations ?? 0}, messages sent: ${counts?.messages ?? 0}`,
    tokenUntil === null ? "no resume token" : `a resume token, good until ${momentText(tokenUntil)}`,
    ...deviceLines(devices),
    ...tableLines(["group", "name", "role"], groups.map(({ id, groupname, role }) => [id, groupname, role])),
    ...tableLines(["friend", "name"], friends.map(({ id, name }) => [id, name])),
  ];
  return {
    lines,
    json: { ...user, ...counts, token_until: tokenUntil, devices, groups, friends: friends.map(toUser) },
  };
}

/** `password USER`: typed, read, made, or by a code for the user. */
export async function changePassword(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const { db, options } = context;
  const isByCode = options.code || options.link !== null;
  if (isByCode && options.generate) throw misuse("--generate is one way, --code or --link another.");
  const user = await findLiving(context, word);
  if (isByCode) return await newCode(context, "password", user);
  const password = options.generate ? createCode() : await readPassword(context);
  const problem = checkPassword(password);
  if (problem !== undefined) throw refuse(problem);
  using passwords = new Passwords();
  const hash = await passwords.hash(password);
  await db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, "password", user.id));
    await tx.run("UPDATE User SET password = ? WHERE id = ?", [hash, user.id]);
    await endTokens(tx, user.id);
    await tx.run("DELETE FROM AccessCode WHERE userid = ? AND kind = 'password'", [user.id]);
  });
  const done = `${user.name} (${user.id}) has a new password; all sessions end.`;
  return {
    lines: options.generate ? [done, password] : [done],
    json: options.generate ? { id: user.id, password } : { id: user.id },
  };
}

async function readPassword({ console }: AdminContext): Promise<string> {
  if (console.isInteractive) {
    const password = console.askUnseen("new password: ");
    if (password !== console.askUnseen("once more: ")) throw refuse("These were two different passwords");
    return password;
  }
  for await (const line of console.lines()) return line;
  throw refuse("There is no password on standard input");
}

async function findLiving({ db }: AdminContext, word: string): Promise<UserEntry> {
  const user = await findUser(db, word);
  if (user.status === "deleted") throw refuse(`User ${user.id} has been deleted`);
  return user;
}

/** `disable USER`. */
export function disableUser(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  return setStatus(context, word, "disabled");
}

/** `enable USER`. */
export function enableUser(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  return setStatus(context, word, "active");
}

async function setStatus(
  context: AdminContext,
  word: string,
  status: "active" | "disabled",
): Promise<Result> {
  const user = await findLiving(context, word);
  const json = { id: user.id, status };
  if (user.status === status) return { lines: [`${user.name} (${user.id}) is ${status} already.`], json };
  await context.db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, status === "active" ? "enable" : "disable", user.id));
    await tx.run("UPDATE User SET status = ? WHERE id = ?", [USER_STATUSES.indexOf(status), user.id]);
    await endTokens(tx, user.id);
  });
  const rest = status === "active" ? "." : "; all sessions end.";
  return { lines: [`${user.name} (${user.id}) is ${status}${rest}`], json };
}

/** `administrators`. */
export async function listAdministrators({ db, options }: AdminContext): Promise<Result> {
  const condition = "u.administrator = 1 AND u.id > ?";
  return userResult(await pageOf(options, (after, limit) => usersWhere(db, condition, [after], limit)));
}

/** `grant USER`. */
export function grantRole(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  return setAdministrator(context, word, true);
}

/** `revoke USER`. */
export function revokeRole(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  return setAdministrator(context, word, false);
}

async function setAdministrator(
  context: AdminContext,
  word: string,
  administrator: boolean,
): Promise<Result> {
  const user = await findLiving(context, word);
  const json = { id: user.id, administrator };
  const is = `${user.name} (${user.id}) is ${administrator ? "an" : "no"} administrator`;
  if (user.administrator === administrator) return { lines: [`${is} already.`], json };
  await context.db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, administrator ? "grant" : "revoke", user.id));
    await tx.run("UPDATE User SET administrator = ? WHERE id = ?", [administrator ? 1 : 0, user.id]);
  });
  return { lines: [`${is}${administrator ? "" : " any more"}.`], json };
}

/** `delete USER`: also one whose deletion was cut off. */
export async function removeUser(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const { db, options: { withMessages }, console } = context;
  const user = await findUser(db, word);
  const fate = withMessages ? "its messages with it" : "its messages stay, of a deleted user";
  confirm(context, `User ${user.id}, ${JSON.stringify(user.name)}, is deleted for good, ${fate}.`, user.name);
  const bar = console.progress("deleting");
  const report = await deleteUser(db, {
    userId: user.id,
    withMessages,
    event: eventOf(context, "delete", user.id, { name: user.name, with_messages: withMessages }),
    async onProgress(done, total, startedAt) {
      bar.at(done, total);
      await giveWay(startedAt);
    },
  });
  bar.end();
  const changed = `${report.messages} messages ${withMessages ? "are gone" : "are of a deleted user"}`;
  return {
    lines: [`${user.name} (${user.id}) is deleted; ${report.groups} groups left, ${changed}.`],
    json: { id: user.id, ...report },
  };
}

/** A device as an operator sees it; times in ms since the epoch. */
interface DeviceEntry {
  id: number;
  name: string;
  created: number;
  seen: number;
  /** Null: its user has to give the password. */
  token_until: number | null;
}

async function devicesOf(db: Database, userId: number, now: number): Promise<DeviceEntry[]> {
  const rows = await new Devices(db).of(userId);
  return rows.map(({ id, name, created, seen, expires }) => ({
    ...{ id, name, created, seen },
    token_until: expires > now ? expires : null,
  }));
}

function deviceLines(devices: readonly DeviceEntry[]): string[] {
  return tableLines(
    ["device", "name", "last seen", "token good until"],
    devices.map(({ id, name, seen, token_until }) => [id, name, momentText(seen), momentOrNull(token_until)]),
  );
}

function momentOrNull(at: number | null): string | null {
  return at === null ? null : momentText(at);
}

/** `sessions list`: who is online, and who could come back without a password; of one user also the devices. */
export async function listSessions(
  { db, options }: AdminContext,
  [word]: readonly string[],
): Promise<Result> {
  const own = word === undefined ? undefined : await findUser(db, word);
  const now = Date.now();
  const until = (table: string) =>
    `SELECT MAX(t.expires) FROM ${table} t WHERE t.userid = u.id AND t.expires > ?`;
  const can = (table: string) => `EXISTS (SELECT 1 FROM ${table} t WHERE t.userid = u.id AND t.expires > ?)`;
  const condition = own
    ? "u.id = ?"
    : `u.id > ? AND (u.state = 'online' OR ${can("Token")} OR ${can("Device")})`;
  const page = await pageOf(options, async (after, limit) => {
    const rows = await db.query<
      {
        id: number;
        name: string;
        state: string;
        token: number | null;
        device: number | null;
        devices: number;
      }
    >(
      `SELECT u.id, u.name, u.state, (${until("Token")}) AS token, (${until("Device")}) AS device, ` +
        "(SELECT COUNT(*) FROM Device d WHERE d.userid = u.id) AS devices " +
        `FROM User u WHERE ${condition} ORDER BY u.id LIMIT ${limit}`,
      own ? [now, now, own.id] : [now, now, after, now, now],
    );
    return rows.map(({ token, device, ...user }) => ({
      ...user,
      token_until: token === null && device === null ? null : Math.max(token ?? 0, device ?? 0),
    }));
  });
  const { rows: sessions, more } = page;
  const lines = tableLines(
    ["id", "name", "state", "devices", "token good until"],
    sessions.map(({ id, name, state, devices, token_until }) => [
      ...[id, name, state, devices],
      momentOrNull(token_until),
    ]),
  );
  const devices = own && await devicesOf(db, own.id, now);
  return {
    lines: pageLines(page, devices ? [...lines, ...deviceLines(devices)] : lines),
    json: { sessions, more, ...(devices ? { devices } : {}) },
  };
}

/** `sessions end USER`, or of one device: then its user has one less. */
export async function endSessions(
  context: AdminContext,
  [word = "", device]: readonly string[],
): Promise<Result> {
  const user = await findUser(context.db, word);
  if (device !== undefined) return await endDevice(context, user, device);
  await context.db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, "sessions", user.id));
    await endTokens(tx, user.id);
  });
  return { lines: [`The sessions of ${user.name} (${user.id}) end.`], json: { id: user.id } };
}

async function endDevice(context: AdminContext, user: UserEntry, word: string): Promise<Result> {
  const { db } = context;
  const devices = await new Devices(db).of(user.id);
  const device = devices.find(({ id }) => String(id) === word);
  if (!device) {
    throw refuse(
      `${user.name} (${user.id}) has no device ${JSON.stringify(word)}; sessions list shows its devices`,
    );
  }
  const { id, name } = device;
  await db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, "device", user.id, { device: id, name }));
    await removeDevices(db, tx, [id]);
  });
  return {
    lines: [`Device ${id}, ${JSON.stringify(name)}, of ${user.name} (${user.id}) is logged out.`],
    json: { id: user.id, device: id },
  };
}
