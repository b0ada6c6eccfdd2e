/**
 * Users and groups by what an operator calls them.
 *
 * @module
 */
import { refuse } from "./context.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import type { Database } from "../store/database.ts";
import { USER_STATUSES, type UserState, type UserStatus } from "../store/users.ts";

/** A user as an operator sees it. */
export interface UserEntry {
  /** Identity, from 1. */
  id: number;
  /** As signed up. */
  name: string;
  /** As last written. */
  state: UserState;
  /** What operators have made of it. */
  status: UserStatus;
  /** May do what operators do. */
  administrator: boolean;
}

/** A group. */
export interface GroupEntry {
  /** Identity, from 1. */
  id: number;
  /** As created. */
  groupname: string;
  /** As created. */
  groupdesc: string;
  /** When, ms since the epoch; 0: it is not. */
  dissolved: number;
}

/** A row of AllGroup with these columns. */
export type GroupRow = { id: number; groupname: string; groupdesc: string; dissolved: number };

/** A row of {@link USER_COLUMNS}. */
export type UserRow = { id: number; name: string; state: UserState; status: number; administrator: number };

/** Columns of a {@link UserEntry}; `u` is the table User. */
export const USER_COLUMNS = "u.id, u.name, u.state, u.status, u.administrator";

/** The user of a row. */
export function toUser({ status, administrator, ...row }: UserRow): UserEntry {
  return { ...row, status: USER_STATUSES[status] ?? "disabled", administrator: administrator === 1 };
}

/** Users for whom `condition` holds, by id. */
export async function usersWhere(
  db: Database,
  condition: string,
  params: readonly (string | number | Uint8Array)[],
  limit: number,
): Promise<UserEntry[]> {
  const rows = await db.query<UserRow>(
    `SELECT ${USER_COLUMNS} FROM User u WHERE ${condition} ORDER BY u.id LIMIT ${limit}`,
    params,
  );
  return rows.map(toUser);
}

/** An id, or a name: `7`, `li`, and `=7` for one whose name is digits. */
function parseWho(word: string): { id: number } | { name: string } {
  if (/^[1-9]\d{0,9}$/.test(word)) return { id: Number(word) };
  return { name: word.replace(/^=/, "") };
}

/** The user that is meant. Throws a FatalError when there is none. */
export async function findUser(db: Database, word: string): Promise<UserEntry> {
  const who = parseWho(word);
  const [user] = "id" in who
    ? await usersWhere(db, "u.id = ?", [who.id], 1)
    : await usersWhere(db, "u.name_key = ? OR u.name = ?", [nameKey(who.name), normalizeName(who.name)], 1);
  if (!user) throw refuse(`There is no user ${JSON.stringify(word)}`);
  return user;
}

/** The group that is meant. Throws a FatalError when there is none. */
export async function findGroup(db: Database, word: string): Promise<GroupEntry> {
  const who = parseWho(word);
  const columns = "SELECT id, groupname, groupdesc, dissolved FROM AllGroup WHERE";
  const [group] = "id" in who
    ? await db.query<GroupRow>(`${columns} id = ?`, [who.id])
    : await db.query<GroupRow>(`${columns} groupname_key = ? OR groupname = ?`, [
      nameKey(who.name),
      normalizeName(who.name),
    ]);
  if (!group) throw refuse(`There is no group ${JSON.stringify(word)}`);
  return group;
}
