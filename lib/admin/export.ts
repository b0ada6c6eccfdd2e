/**
 * `export user USER` and `export conversation ID`: JSON lines on standard output, in an order in which they can be imported.
 *
 * @module
 */
import { type AdminContext, misuse, refuse, type Result } from "./context.ts";
import { findUser } from "./find.ts";
import { FIELDS, formatRecord, type Kind, type RecordRow, tableOf } from "./records.ts";
import { type ConversationId, parseConversation } from "../protocol/protocol.ts";
import type { SqlValue } from "../store/database.ts";
import { NO_END } from "../store/messages.ts";

/** Rows that are read at a time. */
const ROWS = 500;

/** Prints lines, and counts them. */
class Writer {
  readonly #context: AdminContext;
  readonly #users = new Set<number>();
  count = 0;

  constructor(context: AdminContext) {
    this.#context = context;
  }

  line(kind: Kind, row: RecordRow): void {
    this.count++;
    this.#context.console.print(formatRecord(kind, row));
  }

  async rows(kind: Kind, sql: string, params: readonly SqlValue[]): Promise<void> {
    for (const row of await this.#context.db.query(sql, params)) this.line(kind, row);
  }

  /** Users have to be there before what is about them. */
  async users(ids: readonly number[]): Promise<void> {
    const missing = ids.filter((id) => !this.#users.has(id));
    const { db } = this.#context;
    for (let start = 0; start < missing.length; start += ROWS) {
      const { sql, params } = db.dialect.isOneOf("id", missing.slice(start, start + ROWS));
      await this.rows("user", `SELECT id, name, status, legacy FROM User WHERE ${sql} ORDER BY id`, params);
    }
    for (const id of missing) this.#users.add(id);
  }
}

/** `export user …` or `export conversation …`. */
export async function exportRecords(
  context: AdminContext,
  [what, word = ""]: readonly string[],
): Promise<Result | undefined> {
  const writer = new Writer(context);
  if (what === "user") await exportUser(context, writer, word);
  else if (what === "conversation") await exportConversation(context, writer, word, 0, NO_END);
  else throw misuse("export needs: user USER, or conversation ID.");
  return undefined;
}

async function exportUser(context: AdminContext, writer: Writer, word: string): Promise<void> {
  const { db, console } = context;
  const { id } = await findUser(db, word);
  await writer.users([id]);
  const friends = await db.query<{ friendid: number }>("SELECT friendid FROM Friend WHERE userid = ?", [id]);
  await writer.users(friends.map(({ friendid }) => friendid));
  await writer.rows("friend", "SELECT userid, friendid FROM Friend WHERE userid = ? ORDER BY friendid", [id]);
  await writer.rows(
    "device",
    "SELECT id, userid, name, created, seen FROM Device WHERE userid = ? ORDER BY id",
    [
      id,
    ],
  );
  const places = await db.query<{ conversation: string; since: number; until: number }>(
    "SELECT conversation, since, until FROM Member WHERE userid = ? ORDER BY conversation",
    [id],
  );
  const bar = console.progress("exporting");
  for (const [index, { conversation, since, until }] of places.entries()) {
    // What was said before the user came, or after it went, is not the user's to have.
    await exportConversation(context, writer, conversation, since, until);
    bar.at(index + 1, places.length);
  }
  bar.end();
  await writer.rows(
    "device_position",
    "SELECT p.device, p.conversation, p.delivered FROM DeviceCursor p JOIN Device d ON d.id = p.device " +
      "WHERE d.userid = ? ORDER BY p.device, p.conversation",
    [id],
  );
}

async function exportConversation(
  { db }: AdminContext,
  writer: Writer,
  conversation: ConversationId,
  since: number,
  until: number,
): Promise<void> {
  const place = parseConversation(conversation);
  const [row] = await db.query(
    "SELECT id, first_seq, last_seq, last_chat, at, members FROM Conversation WHERE id = ?",
    [conversation],
  );
  if (!place || !row) {
    throw refuse(`There is no conversation ${JSON.stringify(conversation)}; they are called u1-2 or g3`);
  }
  const members = await db.query<{ userid: number }>(
    "SELECT userid FROM Member WHERE conversation = ? ORDER BY userid",
    [conversation],
  );
  await writer.users(members.map(({ userid }) => userid));
  if ("groupId" in place) await exportGroup(writer, place.groupId);
  writer.line("conversation", { ...row, first_seq: Math.max(Number(row.first_seq), since + 1) });
  await writer.rows(
    "member",
    "SELECT userid, conversation, since, delivered, `read`, furthest, " +
      "CASE WHEN until = ? THEN NULL ELSE until END AS until, ended FROM Member WHERE conversation = ? ORDER BY userid",
    [NO_END, conversation],
  );
  for (let after = since;;) {
    const rows = await db.query<{ seq: number; sender: number } & Record<string, SqlValue>>(
      "SELECT conversation, seq, sender, cid, at, kind, recalled, hidden, message FROM Message " +
        `WHERE conversation = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ${ROWS}`,
      [conversation, after, until],
    );
    // Who has left has said something all the same.
    await writer.users([...new Set(rows.map(({ sender }) => sender))]);
    for (const row of rows) writer.line("message", row);
    const last = rows.at(-1);
    if (rows.length < ROWS || !last) break;
    after = last.seq;
  }
  for (const kind of ["version", "reaction", "pin", "mention"] as const) {
    const columns = Object.keys(FIELDS[kind]).join(", ");
    await writer.rows(
      kind,
      `SELECT ${columns} FROM ${tableOf(kind)} WHERE conversation = ? AND seq > ? AND seq <= ? ORDER BY seq`,
      [conversation, since, until],
    );
  }
}

async function exportGroup(writer: Writer, groupId: number): Promise<void> {
  await writer.rows(
    "group",
    "SELECT id, groupname, groupdesc, joining, dissolved FROM AllGroup WHERE id = ?",
    [
      groupId,
    ],
  );
  await writer.rows(
    "group_member",
    "SELECT groupid, userid, grouprole FROM GroupUser WHERE groupid = ? ORDER BY userid",
    [groupId],
  );
}
