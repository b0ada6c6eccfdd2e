/**
 * Changes of groups and their members. Each function is a part of the transaction that writes the entry which tells of it,
 * under the lock on the conversation: that lock puts a joining or a leaving before or after every message, so that who
 * writes, the count of members and what each may read agree with what a message's transaction sees.
 *
 * @module
 */
import type { Who } from "../protocol/entries.ts";
import { nameKey } from "../protocol/names.ts";
import { conversationOfGroup } from "../protocol/protocol.ts";
import type { Dialect, SqlConnection } from "./database.ts";
import { NO_END } from "./messages.ts";
import { ACTIVE, lockUser } from "./users.ts";

/** Longest name of a group, in characters, as the column has it. */
const NAME_CHARS = 50;

/** What a member may do: only the creator recalls others' messages. */
export type GroupRole = "creator" | "admin" | "normal";

/** How one joins a group: by its id, by a link, or not at all; by number, as the column has it. */
export const JOIN_MODES = ["open", "link", "closed"] as const;

/** One of {@link JOIN_MODES}. */
export type JoinMode = typeof JOIN_MODES[number];

/** A user's place in a group. */
export interface Membership {
  /** What the user may do. */
  role: GroupRole;
  /** Reads what follows this seq. */
  since: number;
  /** Has everything up to this seq. */
  delivered: number;
  /** Has read everything up to this seq. */
  read: number;
}

/** A user's groups. */
export interface GroupCounts {
  /** It is in so many, … */
  groups: number;
  /** … and the creator of so many of them. */
  created: number;
}

/** Where an entry stands. */
export interface Place {
  /** In the group's conversation. */
  seq: number;
  /** ms since the epoch. */
  at: number;
}

/** What members can change of a group. */
export interface GroupText {
  /** Normalised; unique among groups. */
  groupname: string;
  /** May be empty. */
  groupdesc: string;
  /** How one joins. */
  join: JoinMode;
}

/** What `userId` may do in a group; undefined: it is no member. */
export async function roleOf(
  tx: SqlConnection,
  groupId: number,
  userId: number,
): Promise<GroupRole | undefined> {
  const [row] = await tx.query<{ grouprole: GroupRole }>(
    "SELECT grouprole FROM GroupUser WHERE groupid = ? AND userid = ?",
    [groupId, userId],
  );
  return row?.grouprole;
}

/** The place of `userId` in a group; undefined: it is no member. */
export async function membershipOf(
  tx: SqlConnection,
  groupId: number,
  userId: number,
): Promise<Membership | undefined> {
  const [row] = await tx.query<{ role: GroupRole; since: number; delivered: number; read: number }>(
    "SELECT g.grouprole AS role, m.since, m.delivered, m.`read` FROM GroupUser g JOIN Member m ON m.userid = g.userid " +
      "WHERE g.groupid = ? AND g.userid = ? AND m.conversation = ?",
    [groupId, userId, conversationOfGroup(groupId)],
  );
  return row;
}

/** A group's own texts; undefined: there is no such group. */
export async function groupText(tx: SqlConnection, groupId: number): Promise<GroupText | undefined> {
  const [row] = await tx.query<{ groupname: string; groupdesc: string; joining: number }>(
    "SELECT groupname, groupdesc, joining FROM AllGroup WHERE id = ?",
    [groupId],
  );
  return row && {
    groupname: row.groupname,
    groupdesc: row.groupdesc,
    join: JOIN_MODES[row.joining] ?? "closed",
  };
}

/** A user who can log in. */
export async function activeUser(tx: SqlConnection, userId: number): Promise<Who | undefined> {
  const [row] = await tx.query<{ id: number; name: string }>(
    "SELECT id, name FROM User WHERE id = ? AND status = ?",
    [userId, ACTIVE],
  );
  return row;
}

/** A user as entries name it, whatever has become of its account. */
export async function userNamed(tx: SqlConnection, id: number): Promise<Who> {
  const [row] = await tx.query<{ name: string }>("SELECT name FROM User WHERE id = ?", [id]);
  return { id, name: row?.name ?? "" };
}

/** In how many groups a user is, and of how many the creator; whoever else asks waits until the transaction has ended. */
export async function groupCounts(
  tx: SqlConnection,
  dialect: Dialect,
  userId: number,
): Promise<GroupCounts> {
  await lockUser(tx, dialect, userId);
  const [row] = await tx.query<{ count: number; created: number | string | null }>(
    "SELECT COUNT(*) AS count, SUM(CASE WHEN grouprole = 'creator' THEN 1 ELSE 0 END) AS created " +
      "FROM GroupUser WHERE userid = ?",
    [userId],
  );
  return { groups: row?.count ?? 0, created: Number(row?.created ?? 0) };
}

/** Whether another group has a name of this key. */
export async function isNameTaken(tx: SqlConnection, groupId: number, key: Uint8Array): Promise<boolean> {
  const rows = await tx.query("SELECT id FROM AllGroup WHERE groupname_key = ? AND id <> ?", [key, groupId]);
  return rows.length > 0;
}

/** Whether `userId` has added `other` as a friend, and whether it blocks them. */
export async function regardOf(
  tx: SqlConnection,
  userId: number,
  other: number,
): Promise<{ isFriend: boolean; isBlocked: boolean }> {
  const [row] = await tx.query<{ friend: number; blocked: number }>(
    "SELECT (SELECT COUNT(*) FROM Friend WHERE userid = ? AND friendid = ?) AS friend, " +
      "(SELECT COUNT(*) FROM Block WHERE userid = ? AND blockedid = ?) AS blocked",
    [userId, other, userId, other],
  );
  return { isFriend: row?.friend === 1, isBlocked: row?.blocked === 1 };
}

/**
 * Makes `userId` a member, who reads what follows `since`; the next entry is the one that says so. What versions 1 and 2 get
 * begins behind that: they are not sent it. Who has been there before begins anew.
 */
export async function enter(
  tx: SqlConnection,
  dialect: Dialect,
  groupId: number,
  userId: number,
  role: GroupRole,
  since: number,
): Promise<Membership> {
  const delivered = since + 1;
  await tx.run("INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (?, ?, ?)", [
    groupId,
    userId,
    role,
  ]);
  await tx.insert({
    into: "INSERT INTO Member (userid, conversation, since, delivered, `read`, until, ended)",
    rows: [[userId, conversationOfGroup(groupId), since, delivered, delivered, NO_END, 0]],
    tail: dialect.upsert(["userid", "conversation"], {
      since: "new.since",
      delivered: "new.delivered",
      "`read`": "new.`read`",
      until: "new.until",
      ended: "new.ended",
    }),
  });
  return { role, since, delivered, read: delivered };
}

/** `userId` is no member from the entry at `place` on, and reads up to that. */
export async function part(
  tx: SqlConnection,
  groupId: number,
  userId: number,
  { seq, at }: Place,
): Promise<void> {
  const conversation = conversationOfGroup(groupId);
  await tx.run("DELETE FROM GroupUser WHERE groupid = ? AND userid = ?", [groupId, userId]);
  await tx.run("UPDATE Member SET until = ?, ended = ? WHERE userid = ? AND conversation = ? AND until > ?", [
    seq,
    at,
    userId,
    conversation,
    seq,
  ]);
  await tx.run("UPDATE Conversation SET parted = ? WHERE id = ?", [seq, conversation]);
}

/** Nobody is a member from the entry at `place` on; all read up to that. The name is free, and stands here with the id. */
export async function dissolve(tx: SqlConnection, groupId: number, { seq, at }: Place): Promise<void> {
  const conversation = conversationOfGroup(groupId);
  await tx.run("DELETE FROM GroupUser WHERE groupid = ?", [groupId]);
  await tx.run("UPDATE Member SET until = ?, ended = ? WHERE conversation = ? AND until > ?", [
    seq,
    at,
    conversation,
    seq,
  ]);
  await tx.run("UPDATE Conversation SET parted = ? WHERE id = ?", [seq, conversation]);
  await tx.run("DELETE FROM GroupLink WHERE groupid = ?", [groupId]);
  const text = await groupText(tx, groupId);
  // A name with a number in parentheses is nobody else's: see names.ts.
  const suffix = ` (${groupId})`;
  const name = [...text?.groupname ?? ""].slice(0, NAME_CHARS - suffix.length).join("") + suffix;
  await tx.run(
    "UPDATE AllGroup SET groupname = ?, groupname_key = NULL, joining = ?, dissolved = ? WHERE id = ?",
    [
      name,
      JOIN_MODES.indexOf("closed"),
      at,
      groupId,
    ],
  );
}

/** A member may do something else from now on. */
export async function setRole(
  tx: SqlConnection,
  groupId: number,
  userId: number,
  role: GroupRole,
): Promise<void> {
  await tx.run("UPDATE GroupUser SET grouprole = ? WHERE groupid = ? AND userid = ?", [
    role,
    groupId,
    userId,
  ]);
}

/** Others who are creators, too: groups of the original may have several. */
export async function otherCreators(tx: SqlConnection, groupId: number, userId: number): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    "SELECT COUNT(*) AS count FROM GroupUser WHERE groupid = ? AND userid <> ? AND grouprole = 'creator'",
    [groupId, userId],
  );
  return row?.count ?? 0;
}

/** Changes a group's own texts. Rejects with a DatabaseError of the kind "duplicate" where another group has the name. */
export async function describeGroup(
  tx: SqlConnection,
  groupId: number,
  before: GroupText,
  { groupname, groupdesc, join }: GroupText,
): Promise<void> {
  await tx.run("UPDATE AllGroup SET groupdesc = ?, joining = ? WHERE id = ?", [
    groupdesc,
    JOIN_MODES.indexOf(join),
    groupId,
  ]);
  // A name of before the present rule stays as it is.
  if (groupname === before.groupname) return;
  await tx.run("UPDATE AllGroup SET groupname = ?, groupname_key = ? WHERE id = ?", [
    groupname,
    nameKey(groupname),
    groupId,
  ]);
}
