/**
 * Deleting a user: the account is shut and its name free at once, in one transaction; what is long, memberships and the
 * texts of its messages, follows in short ones. That it is to follow is stored with the first: cut off, any node goes on.
 *
 * @module
 */
import { anotherTurn } from "../base/turn.ts";
import type { NewEvent } from "./admin_events.ts";
import { recordEvent } from "./admin_events.ts";
import type { Database, SqlConnection } from "./database.ts";
import { removeDevices } from "./devices.ts";
import { dissolve, otherCreators, part, roleOf, setRole } from "./group_changes.ts";
import { type GroupEntry, type GroupPlace, tellGroup } from "./group_entries.ts";
import { DELETED_NAME, KIND, systemText } from "../protocol/entries.ts";
import { membersOf } from "../protocol/members.ts";
import { DELETED } from "./users.ts";

/** Places of the log looked at in one transaction. */
const PLACES = 1_000;

/** Rows of the log that one statement looks at while a node can do nothing else. */
const ROWS = 10_000;

/** Whoever works on a deletion says so at least this often, or somebody else goes on with it, ms. */
const ABANDONED_MS = 60_000;

/** Who is deleted, and how. */
export interface Deleted {
  /** Whom. */
  userId: number;
  /** Take the texts away, too; else only the name in them. */
  withMessages: boolean;
}

/** How a user is to be deleted. */
export interface Deletion extends Deleted {
  /** What is recorded. */
  event: NewEvent;
  /** Called between two transactions; others wait for each of them. */
  onProgress: (done: number, total: number, startedAt: number) => Promise<void>;
}

/** What was deleted. */
export interface DeletionReport {
  /** Groups that were left. */
  groups: number;
  /** Messages whose text, or whose sender's name in it, is gone. */
  messages: number;
}

/** Deletes a user. */
export async function deleteUser(db: Database, deletion: Deletion): Promise<DeletionReport> {
  await beginDeletion(db, deletion, deletion.event, Date.now() + ABANDONED_MS);
  return await finishDeletion(db, deletion);
}

/**
 * The account is shut when this resolves, with the event's id. What is long is left to {@link finishDeletion}, by anybody when
 * it is `due`, ms since the epoch.
 */
export function beginDeletion(
  db: Database,
  { userId, withMessages }: Deleted,
  event: NewEvent,
  due: number,
): Promise<number> {
  return db.transaction(async (tx) => {
    const id = await recordEvent(tx, event);
    await shut(db, tx, userId);
    await tx.run("DELETE FROM Deletion WHERE userid = ?", [userId]);
    await tx.run("INSERT INTO Deletion (userid, with_messages, due) VALUES (?, ?, ?)", [
      userId,
      Number(withMessages),
      due,
    ]);
    return id;
  });
}

/**
 * A deletion that is due at `now`, ms since the epoch, and is the caller's from then on; undefined: there is none. Who is
 * deleted is logged in nowhere any more by then.
 */
export async function takeDeletion(db: Database, now: number): Promise<Deleted | undefined> {
  const [row] = await db.query<{ userid: number; with_messages: number; due: number }>(
    "SELECT userid, with_messages, due FROM Deletion WHERE due < ? ORDER BY due LIMIT 1",
    [now],
  );
  if (!row) return undefined;
  const { changes } = await db.run("UPDATE Deletion SET due = ? WHERE userid = ? AND due = ?", [
    now + ABANDONED_MS,
    row.userid,
    row.due,
  ]);
  return changes > 0 ? { userId: row.userid, withMessages: row.with_messages === 1 } : undefined;
}

/** Does what is left of a deletion. */
export async function finishDeletion(
  db: Database,
  deletion: Omit<Deletion, "event">,
): Promise<DeletionReport> {
  const { userId } = deletion;
  const groups = await db.query<{ groupid: number }>("SELECT groupid FROM GroupUser WHERE userid = ?", [
    userId,
  ]);
  for (const { groupid } of groups) {
    await tellGroup(db, groupid, userId, Date.now(), (tx, place) => leave(tx, groupid, userId, place));
  }
  const messages = await changeMessages(db, deletion);
  await db.run("DELETE FROM Member WHERE userid = ? AND conversation LIKE 'g%'", [userId]);
  await db.run("DELETE FROM Deletion WHERE userid = ?", [userId]);
  return { groups: groups.length, messages };
}

/** What a node has written of the places of a user after they were deleted. */
export async function forgetPlaces(db: Database, userId: number): Promise<void> {
  await db.run(
    "DELETE FROM Member WHERE userid = ? AND conversation LIKE 'g%' " +
      "AND NOT EXISTS (SELECT 1 FROM Deletion d WHERE d.userid = ?)",
    [userId, userId],
  );
}

/** A name in parentheses with a number is nobody else's: see names.ts. */
async function shut(db: Database, tx: SqlConnection, userId: number): Promise<void> {
  await tx.run(
    "UPDATE User SET status = ?, name = ?, name_key = NULL, password = ?, status_text = '', administrator = 0 WHERE id = ?",
    [
      DELETED,
      `${DELETED_NAME} (${userId})`,
      crypto.randomUUID(),
      userId,
    ],
  );
  await tx.run("DELETE FROM Token WHERE userid = ?", [userId]);
  const ofUser = `SELECT id FROM Device WHERE userid = ?${db.dialect.forUpdate}`;
  const devices = await tx.query<{ id: number }>(ofUser, [userId]);
  if (devices.length > 0) await removeDevices(db, tx, devices.map(({ id }) => id));
  await tx.run("DELETE FROM AccessCode WHERE userid = ?", [userId]);
  await tx.run("DELETE FROM Friend WHERE userid = ?", [userId]);
  await tx.run("DELETE FROM Friend WHERE friendid = ?", [userId]);
  await tx.run("DELETE FROM Block WHERE userid = ?", [userId]);
}

/**
 * As members read it; of its own groups the oldest admin becomes the creator, or the oldest member. The user's place stays
 * until what names the user there has been changed.
 */
async function leave(
  tx: SqlConnection,
  groupId: number,
  userId: number,
  place: GroupPlace,
): Promise<GroupEntry[]> {
  const role = await roleOf(tx, groupId, userId);
  if (!role) return [];
  const isLast = place.members <= 1;
  if (isLast) await dissolve(tx, groupId, place);
  else await part(tx, groupId, userId, place);
  const who = { id: userId, name: DELETED_NAME };
  const left = { text: systemText("left", who, who), members: place.members - 1 };
  if (role !== "creator" || isLast || await otherCreators(tx, groupId, userId) > 0) return [left];
  const [heir] = await tx.query<{ id: number; name: string }>(
    "SELECT u.id, u.name FROM GroupUser g JOIN User u ON u.id = g.userid WHERE g.groupid = ? " +
      "ORDER BY CASE g.grouprole WHEN 'admin' THEN 0 ELSE 1 END, g.userid LIMIT 1",
    [groupId],
  );
  if (!heir) return [left];
  await setRole(tx, groupId, heir.id, "creator");
  return [left, { text: systemText("role", heir, who, { role: "creator" }), members: place.members - 1 }];
}

/** The last of what the user has said, by conversation, whether it still has a place there or not. */
async function saidBy(db: Database, userId: number): Promise<{ conversation: string; last: number }[]> {
  const select = "SELECT conversation, MAX(seq) AS last FROM Message";
  if (db.dialect.name === "mysql") {
    return await db.query(`${select} WHERE sender = ? GROUP BY conversation`, [userId]);
  }
  // What has no cid is in no index there: all of the log is looked at, in the order in which it was written.
  const [rows] = await db.query<{ first: number | null; last: number | null }>(
    "SELECT (SELECT MIN(rowid) FROM Message) AS first, (SELECT MAX(rowid) FROM Message) AS last",
  );
  const said = new Map<string, number>();
  for (let start = rows?.first ?? 1; start <= (rows?.last ?? 0); start += ROWS) {
    await anotherTurn();
    const some = await db.query<{ conversation: string; last: number }>(
      `${select} NOT INDEXED WHERE rowid >= ? AND rowid < ? AND sender = ? GROUP BY conversation`,
      [start, start + ROWS, userId],
    );
    for (const { conversation, last } of some) {
      said.set(conversation, Math.max(last, said.get(conversation) ?? 0));
    }
  }
  return [...said].map(([conversation, last]) => ({ conversation, last }));
}

async function changeMessages(db: Database, deletion: Omit<Deletion, "event">): Promise<number> {
  const { userId, onProgress } = deletion;
  const said = await saidBy(db, userId);
  // In a group others may have done something about the user.
  const places = await db.query<{ conversation: string; last: number }>(
    "SELECT m.conversation, c.last_seq AS last FROM Member m JOIN Conversation c ON c.id = m.conversation " +
      "WHERE m.userid = ? AND m.conversation LIKE 'g%'",
    [userId],
  );
  const ends = new Map([...said, ...places].map(({ conversation, last }) => [conversation, last]));
  const conversations = [...ends].map(([conversation, last]) => ({ conversation, last }));
  const total = conversations.reduce((sum, { last }) => sum + last, 0);
  let [done, changed] = [0, 0];
  for (const { conversation, last } of conversations) {
    for (let start = 0; start < last; start += PLACES) {
      const startedAt = performance.now();
      changed += await changeSome(db, deletion, conversation, start);
      await db.run("UPDATE Deletion SET due = ? WHERE userid = ?", [Date.now() + ABANDONED_MS, userId]);
      await onProgress(done + Math.min(last, start + PLACES), total, startedAt);
    }
    done += last;
  }
  return changed;
}

/** Actions and what the system says stay as entries, whatever becomes of the texts in them. */
function changeSome(
  db: Database,
  { userId, withMessages }: Deleted,
  conversation: string,
  start: number,
): Promise<number> {
  const where = "conversation = ? AND seq > ? AND seq <= ?";
  const range = [conversation, start, start + PLACES];
  return db.transaction(async (tx) => {
    const found = await tx.query<{ seq: number; kind: number; message: string }>(
      `SELECT seq, kind, message FROM Message WHERE ${where} AND (sender = ? OR kind = ?) AND message IS NOT NULL`,
      [...range, userId, KIND.system],
    );
    const rows = found.filter(({ kind, message }) => kind !== KIND.system || isNamed(message, userId));
    const editions = await tx.query<{ seq: number; until: number; message: string }>(
      "SELECT v.seq, v.until, v.message FROM Version v JOIN Message m ON m.conversation = v.conversation AND " +
        "m.seq = v.seq WHERE v.conversation = ? AND v.seq > ? AND v.seq <= ? AND m.sender = ?",
      [...range, userId],
    );
    for (const { seq, until, message } of editions) {
      const place = [conversation, seq, until];
      if (withMessages) {
        await tx.run("DELETE FROM Version WHERE conversation = ? AND seq = ? AND until = ?", place);
      } else {
        await tx.run("UPDATE Version SET message = ? WHERE conversation = ? AND seq = ? AND until = ?", [
          withoutName(message),
          ...place,
        ]);
      }
    }
    let changed = 0;
    for (const { seq, kind, message } of rows) {
      const isErased = withMessages && kind === KIND.chat;
      const text = isErased
        ? null
        : kind === KIND.system
        ? withoutUser(message, userId)
        : withoutName(message, withMessages ? ["msg"] : []);
      // What tells that the user has left its groups names nobody.
      if (text === message) continue;
      changed++;
      if (isErased) await eraseMarks(tx, conversation, seq);
      await tx.run("UPDATE Message SET message = ?, recalled = ? WHERE conversation = ? AND seq = ?", [
        text,
        isErased ? 1 : 0,
        conversation,
        seq,
      ]);
    }
    return changed;
  });
}

/** What was put to an entry goes with its text. */
async function eraseMarks(tx: SqlConnection, conversation: string, seq: number): Promise<void> {
  for (const table of ["Reaction", "ReactionCount", "Pin", "Mention"]) {
    await tx.run(`DELETE FROM ${table} WHERE conversation = ? AND seq = ?`, [conversation, seq]);
  }
}

/** What a system entry says of users: `id` is called `name`, and `by`, where that is another one, `by_name`. */
const NAMED = [["id", "name"], ["by", "by_name"]] as const;

function isNamed(message: string, userId: number): boolean {
  const members = membersOf(message);
  return NAMED.some(([id]) => members.get(id) === String(userId));
}

function withoutUser(message: string, userId: number): string {
  const members = membersOf(message);
  for (const [id, name] of NAMED) {
    if (members.get(id) === String(userId) && members.has(name)) {
      members.set(name, JSON.stringify(DELETED_NAME));
    }
  }
  return objectText(members);
}

/** Without these fields, too. The other values stay as they were sent, and the msgid stays the first of them. */
function withoutName(message: string, fields: readonly string[] = []): string {
  const members = membersOf(message);
  members.set("name", JSON.stringify(DELETED_NAME));
  for (const field of fields) members.delete(field);
  return objectText(members);
}

function objectText(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
}
