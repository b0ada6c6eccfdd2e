/**
 * Commands about users.
 *
 * @module
 */
import { type AdminContext, confirm, eventOf, giveWay, misuse, refuse, type Result } from "./context.ts";
import { momentText, tableLines } from "./console.ts";
import { newCode } from "./codes.ts";
import { findUser, toUser, USER_COLUMNS, type UserEntry, type UserRow, usersWhere } from "./find.ts";
import { checkPassword, Passwords } from "../chat/password.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import { createCode } from "../store/access_codes.ts";
import { recordEvent } from "../store/admin_events.ts";
import { deleteUser } from "../store/delete_user.ts";
import { USER_STATUSES } from "../store/users.ts";
import { endTokens } from "../store/tokens.ts";

/** Lines unless `--limit` says otherwise. */
export const LINES = 100;

/** `users list`. */
export async function listUsers({ db, options }: AdminContext): Promise<Result> {
  const limit = options.limit ?? LINES;
  return userResult(await usersWhere(db, "u.id > ?", [options.after ?? 0], limit + 1), limit);
}

/** `users search TEXT`: names that begin with it, whatever their case and form; then those that hold it as it is. */
export async function searchUsers(context: AdminContext, [text = ""]: readonly string[]): Promise<Result> {
  const { db, options } = context;
  const limit = options.limit ?? LINES;
  const after = options.after ?? 0;
  const key = nameKey(text);
  // A key that is higher than all that begin with it: no byte of UTF-8 is 255.
  const end = new Uint8Array([...key, 255]);
  return userResult(
    await usersWhere(
      db,
      "u.id > ? AND ((u.name_key >= ? AND u.name_key < ?) OR INSTR(u.name, ?) > 0)",
      [after, key, end, normalizeName(text)],
      limit + 1,
    ),
    limit,
  );
}

function userResult(found: UserEntry[], limit: number): Result {
  const users = found.slice(0, limit);
  const more = found.length > limit;
  const lines = userLines(users);
  if (more) lines.push(`There are more: --after ${users.at(-1)?.id}`);
  return { lines: lines.length > 0 ? lines : ["Nobody."], json: { users, more } };
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
  const [token] = await db.query<{ expires: number }>(
    "SELECT MAX(expires) AS expires FROM Token WHERE userid = ?",
    [
      user.id,
    ],
  );
  const tokenUntil = token?.expires ?? null;
  const lines = [
    ...userLines([user]),
    `conversations: ${counts?.conversations ?? 0}, messages sent: ${counts?.messages ?? 0}`,
    tokenUntil === null ? "no resume token" : `a resume token, good until ${momentText(tokenUntil)}`,
    ...tableLines(["group", "name", "role"], groups.map(({ id, groupname, role }) => [id, groupname, role])),
    ...tableLines(["friend", "name"], friends.map(({ id, name }) => [id, name])),
  ];
  return {
    lines,
    json: { ...user, ...counts, token_until: tokenUntil, groups, friends: friends.map(toUser) },
  };
}

/** `password USER`: typed, read, made, or by a code for the user. */
export async function changePassword(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const { db, options } = context;
  if (options.code && options.generate) throw misuse("--code and --generate are two ways, not one.");
  const user = await findLiving(context, word);
  if (options.code) return await newCode(context, "password", user);
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
  const limit = options.limit ?? LINES;
  const condition = "u.administrator = 1 AND u.id > ?";
  return userResult(await usersWhere(db, condition, [options.after ?? 0], limit + 1), limit);
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

/** `sessions list`: who is online, and who could come back without a password. */
export async function listSessions(
  { db, options }: AdminContext,
  [word]: readonly string[],
): Promise<Result> {
  const limit = options.limit ?? LINES;
  const own = word === undefined ? undefined : await findUser(db, word);
  const condition = own ? "u.id = ?" : "(u.state = 'online' OR t.expires IS NOT NULL) AND u.id > ?";
  const rows = await db.query<{ id: number; name: string; state: string; expires: number | null }>(
    "SELECT u.id, u.name, u.state, t.expires FROM User u LEFT JOIN Token t ON t.userid = u.id " +
      `WHERE ${condition} ORDER BY u.id LIMIT ${limit + 1}`,
    [own?.id ?? options.after ?? 0],
  );
  const more = rows.length > limit;
  const sessions = rows.slice(0, limit).map(({ expires, ...user }) => ({ ...user, token_until: expires }));
  const lines = tableLines(
    ["id", "name", "state", "token good until"],
    sessions.map(({ id, name, state, token_until: until }) => [
      id,
      name,
      state,
      until === null ? null : momentText(until),
    ]),
  );
  if (more) lines.push(`There are more: --after ${sessions.at(-1)?.id}`);
  return { lines: lines.length > 0 ? lines : ["None."], json: { sessions, more } };
}

/** `sessions end USER`. */
export async function endSessions(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const user = await findUser(context.db, word);
  await context.db.transaction(async (tx) => {
    await recordEvent(tx, eventOf(context, "sessions", user.id));
    await endTokens(tx, user.id);
  });
  return { lines: [`The sessions of ${user.name} (${user.id}) end.`], json: { id: user.id } };
}
