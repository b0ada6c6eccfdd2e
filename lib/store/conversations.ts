/**
 * A user's conversations as a list shows them: the newest activity first, with what is unread. Whatever is read of a
 * conversation has a bound, however much there is in it.
 *
 * @module
 */
import { KIND } from "../protocol/entries.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Database, SqlValue } from "./database.ts";
import { isVisible, NO_END, textUntil } from "./messages.ts";
import { queryAll } from "./query_all.ts";

/** What is unread, or names the user, is counted to this. */
const COUNTED_MAX = 100;
/**
 * Entries that one look for what is unread goes over at most, and how often it looks on: among thousands of actions, or of
 * one's own messages, there may be few of others.
 */
const LOOK_ENTRIES = 400;
const LOOKS_MAX = 5;
/** Conversations of the same time as a page's last one that are put to it, so that the next page can begin behind that time. */
const SAME_TIME_MAX = 2_000;
/** When the newest entry was stored that the member `m` of the conversation `c` is entitled to, in SQL. */
const AT = "CASE WHEN m.ended > 0 THEN m.ended ELSE c.at END";
/** Of a text so many characters are read: mostly all. */
const HEAD_CHARS = 4_096;

/** A conversation that a user is in. */
export interface ListedConversation extends Record<string, string | number> {
  /** Which one. */
  conversation: ConversationId;
  /** The user is entitled to what follows this seq. */
  since: number;
  /** Entitled to nothing behind this seq; NO_END: still a member. */
  until: number;
  /** Has read everything up to this seq. */
  read: number;
  /** The oldest entry that has not been trimmed; 1 or less: all are there. */
  first_seq: number;
  /** Nothing in it draws the user's attention until then, ms since the epoch; 0: all does. */
  muted_until: number;
  /** The newest entry that the user is entitled to. */
  last_seq: number;
  /** The newest chat entry, or some seq behind which the user is entitled to none. */
  last_chat: number;
  /** When the newest entry that the user is entitled to was stored, ms since the epoch. */
  at: number;
}

/** A chat entry as a list shows it. */
export interface LastChat {
  /** Its place. */
  seq: number;
  /** User id. */
  sender: number;
  /** When it was stored, ms since the epoch. */
  at: number;
  /** The beginning of its JSON object; null once recalled. */
  head: string | null;
  /** Whether that is all of it. */
  isWhole: boolean;
}

/** Where the user has read to. */
export interface ReadTo {
  /** Where. */
  conversation: ConversationId;
  /** Has read everything up to this seq. */
  read: number;
  /** Nothing behind this seq is a chat entry that the user is entitled to. */
  last_chat: number;
}

type LastRow = {
  conversation: string;
  seq: number;
  sender: number;
  at: number;
  hidden: number;
  head: string | null;
};

/** A seq, or where a member's right to what follows has ended, in SQL. */
function upTo(seq: string): string {
  return `CASE WHEN ${seq} < m.until THEN ${seq} ELSE m.until END`;
}

/** Reads Member, DeviceCursor, Conversation, Message and Mention. */
export class Conversations {
  readonly #db: Database;

  /** Reads `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * The conversations of a user whose newest entry is older than `before`, newest first: `limit` of them, and all others of
   * the last one's very time. `more`: there are older ones.
   */
  async page(
    userId: number,
    before: number,
    limit: number,
  ): Promise<{ rows: ListedConversation[]; more: boolean }> {
    const rows = await this.#page("<", [userId, before], limit + 1);
    const [last, next] = [rows[limit - 1], rows[limit]];
    if (!last || !next) return { rows, more: false };
    if (next.at < last.at) return { rows: rows.slice(0, limit), more: true };
    const [same, older] = await Promise.all([
      this.#page("=", [userId, last.at], SAME_TIME_MAX),
      this.#page("<", [userId, last.at], 1),
    ]);
    return { rows: [...rows.filter(({ at }) => at > last.at), ...same], more: older.length > 0 };
  }

  /** How far a device has come in these conversations; where it has nothing there is none. */
  async delivered(device: number, ids: readonly ConversationId[]): Promise<Map<ConversationId, number>> {
    if (ids.length === 0) return new Map();
    const { sql, params } = this.#db.dialect.isOneOf("conversation", ids);
    const rows = await this.#db.query<{ conversation: string; delivered: number }>(
      `SELECT conversation, delivered FROM DeviceCursor WHERE device = ? AND ${sql}`,
      [device, ...params],
    );
    return new Map(rows.map(({ conversation, delivered }) => [conversation, delivered]));
  }

  /** The conversations of a user behind `after`, in the order of their ids, at most `limit`: as an export has them. */
  async places(
    userId: number,
    after: ConversationId,
    limit: number,
  ): Promise<{ conversation: ConversationId; since: number; read: number; muted_until: number }[]> {
    return await this.#db.query<
      { conversation: string; since: number; read: number; muted_until: number }
    >(
      "SELECT conversation, since, `read`, muted_until FROM Member WHERE userid = ? AND conversation > ? " +
        `ORDER BY conversation LIMIT ${limit}`,
      [userId, after],
    );
  }

  /** Mutes a conversation that the user is in until then, ms since the epoch, or not at all (0). */
  async mute(userId: number, conversation: ConversationId, until: number): Promise<void> {
    await this.#db.run("UPDATE Member SET muted_until = ? WHERE userid = ? AND conversation = ?", [
      until,
      userId,
      conversation,
    ]);
  }

  #page(comparison: "<" | "=", params: SqlValue[], limit: number): Promise<ListedConversation[]> {
    // A user may be in most of the conversations there are; it is still theirs alone that are looked at.
    return this.#db.query<ListedConversation>(
      `SELECT m.conversation, m.since, m.until, m.\`read\`, m.muted_until, c.first_seq, ${
        upTo("c.last_seq")
      } AS last_seq, ` +
        `${upTo("c.last_chat")} AS last_chat, ${AT} AS at FROM Member m ` +
        `${this.#db.dialect.joinInOrder} Conversation c ON c.id = m.conversation ` +
        `WHERE m.userid = ? AND ${AT} ${comparison} ? ORDER BY ${AT} DESC, m.conversation LIMIT ${limit}`,
      params,
    );
  }

  /** How many chat entries behind `read` are neither the user's own nor recalled; {@link COUNTED_MAX}: or more. */
  async unread(userId: number, places: readonly ReadTo[]): Promise<Map<ConversationId, number>> {
    const counts = new Map<ConversationId, number>();
    let left = places.filter(({ read, last_chat }) => last_chat > read).map((place) => ({ ...place }));
    for (let look = 0; left.length > 0 && look < LOOKS_MAX; look++) {
      // What is not found in the first look is looked for further on.
      const entries = look === 0 ? LOOK_ENTRIES : 5 * LOOK_ENTRIES;
      const found = await this.#count(left.map(({ conversation, read, last_chat }) => ({
        sql:
          "FROM Message WHERE conversation = ? AND seq > ? AND seq <= ? AND kind = ? AND message IS NOT NULL AND sender <> ? " +
          "AND hidden = 0",
        params: [conversation, read, Math.min(read + entries, last_chat), KIND.chat, userId],
      })));
      for (const [index, place] of left.entries()) {
        counts.set(place.conversation, (counts.get(place.conversation) ?? 0) + (found.get(index) ?? 0));
        place.read += entries;
      }
      left = left.filter(({ conversation, read, last_chat }) =>
        last_chat > read && (counts.get(conversation) ?? 0) < COUNTED_MAX
      );
    }
    for (const [conversation, count] of counts) counts.set(conversation, Math.min(count, COUNTED_MAX));
    return counts;
  }

  /** How many of those name the user, or everybody. */
  async mentions(userId: number, places: readonly ReadTo[]): Promise<Map<ConversationId, number>> {
    const found = await this.#count(places.map(({ conversation, read, last_chat }) => ({
      // SQLite would go through all the entries and look for each one's mention.
      sql:
        `FROM Mention n ${this.#db.dialect.joinInOrder} Message e ON e.conversation = n.conversation AND e.seq = n.seq ` +
        "WHERE n.conversation = ? AND n.userid IN (0, ?) AND n.seq > ? AND n.seq <= ? AND e.sender <> ?",
      params: [conversation, userId, read, last_chat, userId],
    })));
    return new Map(places.map(({ conversation }, index) => [conversation, found.get(index) ?? 0]));
  }

  /** By index, how many rows each has, counted to {@link COUNTED_MAX}. */
  async #count(reads: readonly { sql: string; params: SqlValue[] }[]): Promise<Map<number, number>> {
    const rows = await queryAll<{ n: number; count: number }>(
      this.#db,
      reads.map(({ sql, params }, index) => ({
        sql: `SELECT ? AS n, COUNT(*) AS count FROM (SELECT 1 AS one ${sql} LIMIT ${COUNTED_MAX}) t`,
        params: [index, ...params],
      })),
    );
    return new Map(rows.map(({ n, count }) => [Number(n), count]));
  }

  /**
   * The newest chat entries of these conversations that the user sees. Where there are only hidden ones among the last
   * {@link LOOK_ENTRIES}, none.
   */
  async last(
    userId: number,
    places: readonly Pick<ListedConversation, "conversation" | "since" | "until" | "last_chat">[],
  ): Promise<Map<ConversationId, LastChat>> {
    const select = (until: number) =>
      `SELECT conversation, seq, sender, at, hidden, SUBSTR(${
        until < NO_END ? textUntil("Message", String(until)) : "message"
      }, 1, ${HEAD_CHARS}) AS head FROM Message WHERE conversation = ? AND`;
    const newest = await queryAll<LastRow>(
      this.#db,
      places.map(({ conversation, until, last_chat }) => ({
        sql: `${select(until)} seq = ? AND kind = ?`,
        params: [conversation, last_chat, KIND.chat],
      })),
    );
    const rows = newest.filter((row) => isVisible(row, userId));
    const seen = new Set(rows.map(({ conversation }) => conversation));
    const left = new Set(
      places.filter(({ until }) => until < NO_END).map(({ conversation }) => conversation),
    );
    // Hidden, or the entry by which the user has left a group.
    const unseen = newest.filter((row) => !isVisible(row, userId)).map(({ conversation }) => conversation);
    const older = places.filter(({ conversation }) =>
      !seen.has(conversation) && (left.has(conversation) || unseen.includes(conversation))
    );
    if (older.length > 0) {
      rows.push(
        ...await queryAll<LastRow>(
          this.#db,
          older.map(({ conversation, since, until, last_chat }) => ({
            sql: `${select(until)} seq > ? AND seq < ? AND kind = ? AND (hidden = 0 OR sender = ?) ` +
              "ORDER BY seq DESC LIMIT 1",
            params: [conversation, Math.max(since, last_chat - LOOK_ENTRIES), last_chat, KIND.chat, userId],
          })),
        ),
      );
    }
    return new Map(rows.map(({ conversation, seq, sender, at, head }) => {
      return [conversation, {
        seq,
        sender,
        at,
        head,
        isWhole: head === null || head.length < HEAD_CHARS || [...head].length < HEAD_CHARS,
      }];
    }));
  }
}
