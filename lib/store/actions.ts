/**
 * What has been done to entries of the log: earlier texts, reactions, pins. Each method is a part of the transaction that
 * writes the entry which tells of it, under the lock on the conversation.
 *
 * @module
 */
import { KIND } from "../protocol/entries.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Database, SqlConnection } from "./database.ts";
import { queryAll } from "./query_all.ts";

/** A chat entry that something is to be done to. */
export interface Target {
  /** User id. */
  sender: number;
  /** When it was stored, ms since the epoch. */
  at: number;
  /** The sender's JSON object; null once recalled. */
  message: string | null;
  /** 1: only for its sender to see. */
  hidden: number;
}

/** A text that an entry has had. */
export interface Edition {
  /** When it was written, ms since the epoch. */
  at: number;
  /** A JSON object. */
  message: string;
}

/** When something is done, and whether only who has done it is to see that. */
export interface DoneAt {
  /** ms since the epoch. */
  at: number;
  /** Left out: everybody. */
  isHidden?: boolean;
}

/** What members have put to an entry. */
export interface Marks {
  /** By emoji, how many have put it there. */
  counts: Map<string, number>;
  /** By emoji, who, by id: some of them, where they are many. */
  users: Map<string, number[]>;
  /** It is pinned. */
  isPinned: boolean;
}

/** As many of those who have put an emoji to an entry are named. */
const USERS_NAMED = 50;
/** So many rows are read at once, those of whoever is not named included. */
const ROWS_AT_ONCE = 2_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Reads and writes Version, Reaction, ReactionCount and Pin, and what Message shows of them. */
export class Actions {
  readonly #db: Database;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** The chat entry at this place. */
  async target(tx: SqlConnection, conversation: ConversationId, seq: number): Promise<Target | undefined> {
    const [row] = await tx.query<{ sender: number; at: number; message: string | null; hidden: number }>(
      "SELECT sender, at, message, hidden FROM Message WHERE conversation = ? AND seq = ? AND kind = ?",
      [conversation, seq, KIND.chat],
    );
    return row;
  }

  /** How many earlier texts an entry has, and how long they are together, in bytes. */
  async editionSize(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
  ): Promise<{ count: number; bytes: number }> {
    const [row] = await tx.query<{ count: number; bytes: number | string | null }>(
      "SELECT COUNT(*) AS count, SUM(OCTET_LENGTH(message)) AS bytes FROM Version WHERE conversation = ? AND seq = ?",
      [conversation, seq],
    );
    return { count: row?.count ?? 0, bytes: Number(row?.bytes ?? 0) };
  }

  /** An entry is only for its sender to see from now on. */
  async hide(tx: SqlConnection, conversation: ConversationId, seq: number): Promise<void> {
    await tx.run("UPDATE Message SET hidden = 1 WHERE conversation = ? AND seq = ?", [conversation, seq]);
  }

  /** Replaces a text; the former one is kept. `until`: the seq of the edit. */
  async edit(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
    until: number,
    former: Edition,
    message: string,
  ): Promise<void> {
    await tx.insert({
      into: "INSERT INTO Version (conversation, seq, until, at, message)",
      rows: [[conversation, seq, until, former.at, former.message]],
    });
    await tx.run("UPDATE Message SET message = ? WHERE conversation = ? AND seq = ?", [
      message,
      conversation,
      seq,
    ]);
  }

  /** The texts that an entry had before its present one and whose end is no later than the seq `until`, oldest first. */
  async editions(conversation: ConversationId, seq: number, until: number): Promise<Edition[]> {
    return await this.#db.query<{ at: number; message: string }>(
      "SELECT at, message FROM Version WHERE conversation = ? AND seq = ? AND until <= ? ORDER BY until",
      [conversation, seq, until],
    );
  }

  /** Puts an emoji of `userId` to an entry; false: it is there already. */
  async addReaction(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
    emoji: string,
    userId: number,
    { at, isHidden = false }: DoneAt,
  ): Promise<boolean> {
    const { dialect } = this.#db;
    const bytes = encoder.encode(emoji);
    const { changes } = await tx.run(
      `${dialect.insertIgnore} INTO Reaction (conversation, seq, emoji, userid, at, hidden) VALUES (?, ?, ?, ?, ?, ?)`,
      [conversation, seq, bytes, userId, at, Number(isHidden)],
    );
    if (changes === 0) return false;
    await tx.insert({
      into: "INSERT INTO ReactionCount (conversation, seq, emoji, users)",
      rows: [[conversation, seq, bytes, 1]],
      tail: dialect.upsert(["conversation", "seq", "emoji"], { users: "users + new.users" }),
    });
    return true;
  }

  /** How many kinds of emoji an entry has. */
  async reactionKinds(tx: SqlConnection, conversation: ConversationId, seq: number): Promise<number> {
    const [row] = await tx.query<{ count: number }>(
      "SELECT COUNT(*) AS count FROM ReactionCount WHERE conversation = ? AND seq = ?",
      [conversation, seq],
    );
    return row?.count ?? 0;
  }

  /** Takes an emoji of `userId` away from an entry; false: it is not there. */
  async removeReaction(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
    emoji: string,
    userId: number,
  ): Promise<boolean> {
    const key = [conversation, seq, encoder.encode(emoji)];
    const { changes } = await tx.run(
      "DELETE FROM Reaction WHERE conversation = ? AND seq = ? AND emoji = ? AND userid = ?",
      [...key, userId],
    );
    if (changes === 0) return false;
    const count = "ReactionCount WHERE conversation = ? AND seq = ? AND emoji = ? AND users";
    const { changes: isLast } = await tx.run(`DELETE FROM ${count} <= 1`, key);
    if (isLast === 0) {
      await tx.run(
        "UPDATE ReactionCount SET users = users - 1 WHERE conversation = ? AND seq = ? AND emoji = ?",
        key,
      );
    }
    return true;
  }

  /** Pins an entry; false: it is pinned. */
  async pin(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
    userId: number,
    { at, isHidden = false }: DoneAt,
  ): Promise<boolean> {
    const { changes } = await tx.run(
      `${this.#db.dialect.insertIgnore} INTO Pin (conversation, seq, userid, at, hidden) VALUES (?, ?, ?, ?, ?)`,
      [conversation, seq, userId, at, Number(isHidden)],
    );
    if (changes > 0 || isHidden) return changes > 0;
    // One that only who is blocked sees is nobody else's.
    const { changes: shown } = await tx.run(
      "UPDATE Pin SET userid = ?, at = ?, hidden = 0 WHERE conversation = ? AND seq = ? AND hidden = 1",
      [userId, at, conversation, seq],
    );
    return shown > 0;
  }

  /** How many entries of a conversation are pinned. */
  async pins(tx: SqlConnection, conversation: ConversationId): Promise<number> {
    const [row] = await tx.query<{ count: number }>(
      "SELECT COUNT(*) AS count FROM Pin WHERE conversation = ?",
      [conversation],
    );
    return row?.count ?? 0;
  }

  /** Takes the pin from an entry; false: there is none, or none for who is blocked to take. */
  async unpin(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
    userId: number,
    { isHidden = false }: DoneAt,
  ): Promise<boolean> {
    const { changes } = await tx.run(
      `DELETE FROM Pin WHERE conversation = ? AND seq = ?${isHidden ? " AND userid = ?" : ""}`,
      isHidden ? [conversation, seq, userId] : [conversation, seq],
    );
    return changes > 0;
  }

  /** What `viewer` sees to have been put to the entries from seq `first` to `last`, which are a page at most. */
  async marks(
    conversation: ConversationId,
    first: number,
    last: number,
    viewer: number,
  ): Promise<Map<number, Marks>> {
    const marks = new Map<number, Marks>();
    const of = (seq: number) => {
      const found = marks.get(seq) ?? { counts: new Map(), users: new Map(), isPinned: false };
      marks.set(seq, found);
      return found;
    };
    const range = "WHERE conversation = ? AND seq >= ? AND seq <= ?";
    const params = [conversation, first, last];
    const [counts, pins] = await Promise.all([
      this.#db.query<{ seq: number; emoji: Uint8Array; users: number }>(
        `SELECT seq, emoji, users FROM ReactionCount ${range}`,
        params,
      ),
      this.#db.query<{ seq: number }>(
        `SELECT seq FROM Pin ${range} AND (hidden = 0 OR userid = ?)`,
        [...params, viewer],
      ),
    ]);
    let total = 0;
    for (const { seq, emoji, users } of counts) {
      of(seq).counts.set(decoder.decode(emoji), users);
      total += users;
    }
    for (const { seq } of pins) of(seq).isPinned = true;
    if (total === 0) return marks;
    const select = "SELECT seq, emoji, userid, hidden FROM Reaction";
    type ReactionRow = { seq: number; emoji: Uint8Array; userid: number; hidden: number };
    const rows = total <= ROWS_AT_ONCE
      ? await this.#db.query<ReactionRow>(`${select} ${range} ORDER BY seq, emoji, userid`, params)
      : await queryAll<ReactionRow>(
        this.#db,
        counts.map(({ seq, emoji }) => ({
          sql:
            `${select} WHERE conversation = ? AND seq = ? AND emoji = ? ORDER BY userid LIMIT ${USERS_NAMED}`,
          params: [conversation, seq, emoji],
        })),
      );
    for (const { seq, emoji, userid, hidden } of rows) {
      const { users, counts } = of(seq);
      const text = decoder.decode(emoji);
      if (hidden === 1 && userid !== viewer) {
        counts.set(text, (counts.get(text) ?? 0) - 1);
        continue;
      }
      const named = users.get(text);
      if (!named) users.set(text, [userid]);
      else if (named.length < USERS_NAMED) named.push(userid);
    }
    return marks;
  }

  /**
   * Takes all texts of an entry away for good, the ones of its edits included, whose entries get the text `edited` in place
   * of their own; and everything that was put to it. `named`: whom it names.
   */
  async recall(
    tx: SqlConnection,
    conversation: ConversationId,
    seq: number,
    edited: string,
    named: readonly number[],
  ): Promise<void> {
    const place = [conversation, seq];
    const edits = await tx.query<{ until: number }>(
      "SELECT until FROM Version WHERE conversation = ? AND seq = ?",
      place,
    );
    for (const { until } of edits) {
      await tx.run("UPDATE Message SET message = ? WHERE conversation = ? AND seq = ?", [
        edited,
        conversation,
        until,
      ]);
    }
    for (const table of ["Version", "Reaction", "ReactionCount", "Pin"]) {
      await tx.run(`DELETE FROM ${table} WHERE conversation = ? AND seq = ?`, place);
    }
    if (named.length > 0) {
      const { sql, params } = this.#db.dialect.isOneOf("userid", named);
      await tx.run(`DELETE FROM Mention WHERE conversation = ? AND seq = ? AND ${sql}`, [
        ...place,
        ...params,
      ]);
    }
    await tx.run("UPDATE Message SET message = NULL, recalled = 1 WHERE conversation = ? AND seq = ?", place);
  }
}
