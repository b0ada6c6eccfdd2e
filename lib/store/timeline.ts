/**
 * Whether the database still holds what it has held, and what to do when it does not: a backup was restored, or a replica
 * promoted that lacked the last second.
 *
 * @module
 */
import type { End } from "./ends.ts";
import { type ConversationId, parseConversation } from "../protocol/protocol.ts";
import type { Database, SqlConnection } from "./database.ts";
import { isGalera } from "./mysql_schema.ts";

/** Places in one statement. */
const PLACES_PER_STATEMENT = 200;

/** The table Epoch, and Conversation, Member and DeviceCursor where they have to be set right. */
export class Timeline {
  readonly #db: Database;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** The name of the log's history, which changes when it has gone back in time. */
  async epoch(): Promise<string> {
    const [row] = await this.#db.query<{ epoch: string }>("SELECT epoch FROM Epoch");
    return row?.epoch ?? "";
  }

  /** Gives the history another name, unless somebody else has done so since it was `old`. Returns the one it has. */
  async changeEpoch(old: string): Promise<string> {
    await this.#db.run("UPDATE Epoch SET epoch = ? WHERE epoch = ?", [
      crypto.randomUUID().replaceAll("-", ""),
      old,
    ]);
    return await this.epoch();
  }

  /**
   * Those of `ends` that the log does not hold, or holds another message in place of. `isFinal`: as the whole database has
   * it, and not only the server that is asked, which on a Galera cluster may lag behind the others.
   */
  async missing(ends: readonly End[], { isFinal = false } = {}): Promise<End[]> {
    const missing: End[] = [];
    const wait = isFinal && await isGalera(this.#db) ? "SET STATEMENT wsrep_sync_wait = 1 FOR " : "";
    for (let start = 0; start < ends.length; start += PLACES_PER_STATEMENT) {
      const some = ends.slice(start, start + PLACES_PER_STATEMENT);
      const rows = await this.#db.query<{ conversation: string; seq: number; at: number }>(
        `${wait}SELECT conversation, seq, at FROM Message WHERE ${
          some.map(() => "(conversation = ? AND seq = ?)").join(" OR ")
        }`,
        some.flatMap(({ conversation, seq }) => [conversation, seq]),
      );
      const found = new Map(rows.map((row) => [row.conversation, row]));
      for (const end of some) {
        const row = found.get(end.conversation);
        if (row?.seq !== end.seq || row.at !== end.at) missing.push(end);
      }
    }
    return missing.length === 0 ? missing : await this.#withoutTrimmed(missing, wait);
  }

  /** What an operator has trimmed is not missing. */
  async #withoutTrimmed(ends: readonly End[], wait: string): Promise<End[]> {
    const begins = new Map<string, number>();
    for (let start = 0; start < ends.length; start += PLACES_PER_STATEMENT) {
      const some = ends.slice(start, start + PLACES_PER_STATEMENT).map(({ conversation }) => conversation);
      const { sql, params } = this.#db.dialect.isOneOf("id", some);
      const rows = await this.#db.query<{ id: string; first_seq: number }>(
        `${wait}SELECT id, first_seq FROM Conversation WHERE ${sql}`,
        params,
      );
      for (const { id, first_seq } of rows) begins.set(id, first_seq);
    }
    return ends.filter(({ conversation, seq }) => seq >= (begins.get(conversation) ?? 0));
  }

  /**
   * No seq of this conversation up to `seq` is given out any more. What was there and is not any more stays a hole; a
   * one-to-one conversation that is gone altogether is there again, with its two members.
   */
  async reserve(conversation: ConversationId, seq: number): Promise<void> {
    const place = parseConversation(conversation);
    await this.#db.transaction(async (tx) => {
      if (place && "users" in place) await this.#restore(tx, conversation, new Set(place.users));
      await tx.run("UPDATE Conversation SET last_seq = ? WHERE id = ? AND last_seq < ?", [
        seq,
        conversation,
        seq,
      ]);
    });
  }

  async #restore(tx: SqlConnection, conversation: ConversationId, users: ReadonlySet<number>): Promise<void> {
    const { insertIgnore } = this.#db.dialect;
    await tx.run(`${insertIgnore} INTO Conversation (id, last_seq, members) VALUES (?, 0, 2)`, [
      conversation,
    ]);
    await tx.insert({
      into: `${insertIgnore} INTO Member (userid, conversation, since, delivered, \`read\`)`,
      rows: [...users].map((user) => [user, conversation, 0, 0, 0]),
    });
  }

  /**
   * Members of this conversation have at most what was stored by `at`, ms since the epoch: what they have acknowledged of
   * another history says nothing about what is in its places now.
   */
  async distrust(conversation: ConversationId, at: number): Promise<void> {
    const [row] = await this.#db.query<{ seq: number }>(
      "SELECT seq FROM Message WHERE conversation = ? AND at <= ? ORDER BY seq DESC LIMIT 1",
      [conversation, at],
    );
    const seq = row?.seq ?? 0;
    const lowered = ["`read`", "delivered", "furthest"]
      .map((column) => `${column} = CASE WHEN ${column} > ? THEN ? ELSE ${column} END`);
    await this.#db.run(
      `UPDATE Member SET ${lowered.join(", ")} WHERE conversation = ? AND (delivered > ? OR furthest > ?)`,
      [...lowered.flatMap(() => [seq, seq]), conversation, seq, seq],
    );
    await this.#db.run("UPDATE DeviceCursor SET delivered = ? WHERE conversation = ? AND delivered > ?", [
      seq,
      conversation,
      seq,
    ]);
  }
}
