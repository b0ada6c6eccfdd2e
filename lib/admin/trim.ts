/**
 * Trims the log: what is older than an age is deleted, a thousand places at a time, and nodes go on meanwhile.
 *
 * The newest place of a conversation stays, without its text: by it nodes know that the database has not gone back in time.
 *
 * @module
 */
import { NO_END } from "../store/messages.ts";
import { type AdminContext, confirm, eventOf, giveWay, misuse, type Result } from "./context.ts";
import { momentText } from "../base/moment.ts";
import { recordEvent } from "../store/admin_events.ts";
import type { Database } from "../store/database.ts";

/** Conversations that are read at a time. */
const CONVERSATIONS = 200;
/** Places in one transaction. */
const PLACES = 1_000;

type ConversationRow = { id: string; last_seq: number; first_seq: number };

/** `trim --older-than TIME`. */
export async function trim(context: AdminContext): Promise<Result> {
  const { db, options, console } = context;
  if (options.olderThanMs === null) throw misuse("trim needs --older-than TIME.");
  const before = Date.now() - options.olderThanMs;
  confirm(context, `What was said before ${momentText(before)} UTC is deleted for good.`, "trim");
  const report = { conversations: 0, messages: 0 };
  const detail = { before, keep_undelivered: options.keepUndelivered };
  await db.transaction((tx) => recordEvent(tx, eventOf(context, "trim", null, detail)));
  const [count] = await db.query<{ n: number }>("SELECT COUNT(*) AS n FROM Conversation");
  const bar = console.progress("trimming");
  let [done, last] = [0, ""];
  for (;;) {
    const rows = await db.query<ConversationRow>(
      `SELECT id, last_seq, first_seq FROM Conversation WHERE id > ? ORDER BY id LIMIT ${CONVERSATIONS}`,
      [last],
    );
    for (const row of rows) {
      last = row.id;
      const messages = await trimConversation(db, row, before, options.keepUndelivered);
      if (messages > 0) report.conversations++;
      report.messages += messages;
      bar.at(++done, count?.n ?? 0);
    }
    if (rows.length < CONVERSATIONS) break;
  }
  bar.end();
  return {
    lines: [`${report.messages} messages of ${report.conversations} conversations are gone.`],
    json: { before, ...report },
  };
}

async function trimConversation(
  db: Database,
  { id, last_seq, first_seq }: ConversationRow,
  before: number,
  keepUndelivered: boolean,
): Promise<number> {
  const end = keepUndelivered ? await deliveredToAll(db, id) : last_seq;
  let trimmed = 0;
  for (let start = first_seq;;) {
    const startedAt = performance.now();
    const rows = await db.query<{ seq: number; at: number }>(
      `SELECT seq, at FROM Message WHERE conversation = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ${PLACES}`,
      [id, start, end],
    );
    const young = rows.findIndex(({ at }) => at >= before);
    const old = young < 0 ? rows : rows.slice(0, young);
    const newest = old.at(-1)?.seq;
    if (newest === undefined) return trimmed;
    trimmed += await trimTo(db, id, start, newest, last_seq);
    if (young >= 0 || rows.length < PLACES) return trimmed;
    start = newest + 1;
    await giveWay(startedAt);
  }
}

/** Up to where everybody has everything who is to get it, on one device at least; whoever is deleted does not count. */
async function deliveredToAll(db: Database, conversation: string): Promise<number> {
  const delivered = db.dialect.greatest("m.delivered", "m.furthest");
  const [row] = await db.query<{ seq: number | null }>(
    `SELECT MIN(${delivered}) AS seq FROM Member m JOIN User u ON u.id = m.userid ` +
      // Who has left a group, and has all up to that, waits for nothing.
      `WHERE m.conversation = ? AND u.status <> 2 AND ${delivered} < m.until`,
    [conversation],
  );
  return row?.seq ?? NO_END;
}

/**
 * Deletes places from `first`, before which there are none, up to `seq`, of a conversation that ended at `end` a moment ago.
 * Resolves with how many texts are gone.
 */
function trimTo(
  db: Database,
  conversation: string,
  first: number,
  seq: number,
  end: number,
): Promise<number> {
  return db.transaction(async (tx) => {
    const { changes } = await tx.run(
      "DELETE FROM Message WHERE conversation = ? AND seq >= ? AND seq <= ? AND seq < ?",
      [conversation, first, seq, end],
    );
    const emptied = seq < end ? 0 : (await tx.run(
      "UPDATE Message SET message = NULL, recalled = 1 WHERE conversation = ? AND seq = ? AND message IS NOT NULL",
      [conversation, end],
    )).changes;
    for (const table of ["Version", "Reaction", "ReactionCount", "Pin", "Mention"]) {
      await tx.run(`DELETE FROM ${table} WHERE conversation = ? AND seq >= ? AND seq <= ?`, [
        conversation,
        first,
        seq,
      ]);
    }
    const begin = Math.min(seq + 1, end);
    await tx.run(
      "UPDATE Conversation SET last_chat = CASE WHEN last_chat < ? THEN 0 ELSE last_chat END, first_seq = ? " +
        "WHERE id = ? AND first_seq < ?",
      [begin, begin, conversation, begin],
    );
    return changes + emptied;
  });
}
