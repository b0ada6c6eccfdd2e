/**
 * The client's own memory: messages, positions and what is still to be sent, in one SQLite file for each server and user.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { ConversationId } from "../../protocol/protocol.ts";
import type { ChatMessage } from "../core/messages.ts";
import type { ClientStore, ConversationState, OutboxEntry, PeerPosition } from "../core/store.ts";

type Row = Record<string, unknown>;
type SqlParameter = string | number | null;

/**
 * Message texts are stored as JSON strings: a NUL would end one for the driver, and half a surrogate pair be lost.
 * `position` orders the messages of a conversation: its seq, or for one without the seq it came after. FULL, because an
 * acknowledgement tells the server that it need not keep the message for us.
 */
const SCHEMA = `
  PRAGMA busy_timeout = 5000;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS Conversation (
    id TEXT PRIMARY KEY, base INTEGER NOT NULL, top INTEGER NOT NULL, shown INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS Message (
    number INTEGER PRIMARY KEY, conversation TEXT NOT NULL, seq INTEGER, position INTEGER NOT NULL,
    sender INTEGER NOT NULL, name TEXT NOT NULL, text TEXT, at INTEGER NOT NULL,
    UNIQUE (conversation, seq)
  );
  CREATE INDEX IF NOT EXISTS MessagePosition ON Message (conversation, position);
  CREATE TABLE IF NOT EXISTS Outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL UNIQUE, conversation TEXT NOT NULL,
    text TEXT NOT NULL, at INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS Peer (
    conversation TEXT NOT NULL, id INTEGER NOT NULL, delivered INTEGER NOT NULL, read INTEGER NOT NULL,
    since INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (conversation, id)
  ) WITHOUT ROWID;
`;
/** Files of earlier versions lack a column. */
const HAS_SINCE = "SELECT 1 FROM pragma_table_info('Peer') WHERE name = 'since'";
const ADD_SINCE = "ALTER TABLE Peer ADD COLUMN since INTEGER NOT NULL DEFAULT 0";

/** Owns the file. What is put aside by {@link archiveConversation} stays in it under another id. */
export class HistoryStore implements ClientStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  /** What waits for the commit; undefined outside a transaction. */
  #afterCommit: (() => void)[] | undefined;

  /** Opens or creates the file; `:memory:` keeps nothing. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(SCHEMA);
    if (this.#database.prepare(HAS_SINCE).get() === undefined) this.#database.exec(ADD_SINCE);
  }

  /** Runs `work` so that all of it is stored or nothing; inside another transaction it is part of that one. */
  transaction<Result>(work: () => Result): Result {
    if (this.#afterCommit !== undefined) return work();
    const afterCommit: (() => void)[] = [];
    this.#database.exec("BEGIN IMMEDIATE");
    this.#afterCommit = afterCommit;
    let result: Result;
    try {
      result = work();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#rollback();
      throw error;
    } finally {
      this.#afterCommit = undefined;
    }
    for (const action of afterCommit) action();
    return result;
  }

  /** Runs `action` when what was stored so far is durable: now, or after the transaction that is running. */
  afterCommit(action: () => void): void {
    if (this.#afterCommit === undefined) action();
    else this.#afterCommit.push(action);
  }

  /** Every conversation that is known. */
  conversations(): ConversationState[] {
    return this.#all("SELECT id, base, top, shown FROM Conversation").map((row) => ({
      id: text(row.id),
      base: integer(row.base),
      top: integer(row.top),
      shown: integer(row.shown),
    }));
  }

  /** Stores how far a conversation is known. */
  saveConversation({ id, base, top, shown }: ConversationState): void {
    this.#run(
      "INSERT OR REPLACE INTO Conversation (id, base, top, shown) VALUES (?, ?, ?, ?)",
      id,
      base,
      top,
      shown,
    );
  }

  /** Puts aside what is stored of a conversation whose seqs turn out to be another database's. */
  archiveConversation(id: ConversationId, at: number): void {
    this.transaction(() => {
      this.#run("UPDATE Message SET conversation = ? WHERE conversation = ?", `${id}@${at}`, id);
      this.#run("DELETE FROM Conversation WHERE id = ?", id);
      this.#run("DELETE FROM Peer WHERE conversation = ?", id);
    });
  }

  /** Stores a message; false when this (conversation, seq) is stored already. */
  insert({ conversation, seq, sender, name, text, at }: ChatMessage): boolean {
    // Plain parameters only: Deno 2.4 does not bind numbered ones.
    const changes = this.#run(
      `INSERT OR IGNORE INTO Message (conversation, seq, position, sender, name, text, at)
       SELECT ?, ?, COALESCE(?, (SELECT MAX(position) FROM Message WHERE conversation = ?), 0), ?, ?, ?, ?`,
      conversation,
      seq,
      seq,
      conversation,
      sender,
      name,
      text === null ? null : JSON.stringify(text),
      at,
    );
    return changes > 0;
  }

  /** One message, or undefined. */
  find(conversation: ConversationId, seq: number): ChatMessage | undefined {
    return this.#messages("WHERE conversation = ? AND seq = ?", conversation, seq)[0];
  }

  /** The seqs stored above one, ascending. */
  seqsAbove(conversation: ConversationId, seq: number): number[] {
    return this.#all(
      "SELECT seq FROM Message WHERE conversation = ? AND seq > ? ORDER BY seq",
      conversation,
      seq,
    )
      .map((row) => integer(row.seq));
  }

  /** The messages with `after < seq <= upTo`, ascending. */
  range(conversation: ConversationId, after: number, upTo: number): ChatMessage[] {
    return this.#messages(
      "WHERE conversation = ? AND seq > ? AND seq <= ? ORDER BY seq",
      conversation,
      after,
      upTo,
    );
  }

  /** The last `count` messages, in order, those without a seq among them. */
  latest(conversation: ConversationId, count: number): ChatMessage[] {
    return this.#messages(
      "WHERE conversation = ? ORDER BY position DESC, seq IS NOT NULL, number DESC LIMIT ?",
      conversation,
      count,
    ).reverse();
  }

  /** The seq of the last message that `sender` sent between the two positions and did not recall; 0 when there is none. */
  lastSeqOf(conversation: ConversationId, sender: number, after = 0, upTo = Number.MAX_SAFE_INTEGER): number {
    const rows = this.#all(
      `SELECT MAX(seq) AS seq FROM Message
       WHERE conversation = ? AND sender = ? AND seq > ? AND seq <= ? AND text IS NOT NULL`,
      conversation,
      sender,
      after,
      upTo,
    );
    return integer(rows[0]?.seq);
  }

  /** Forgets the text of a recalled message. */
  recall(conversation: ConversationId, seq: number): void {
    this.#run("UPDATE Message SET text = NULL WHERE conversation = ? AND seq = ?", conversation, seq);
  }

  /** What is to be sent, oldest first. */
  outbox(): OutboxEntry[] {
    return this.#all("SELECT cid, conversation, text, at FROM Outbox ORDER BY number").map((row) => ({
      cid: text(row.cid),
      conversation: text(row.conversation),
      text: decode(row.text) ?? "",
      at: integer(row.at),
    }));
  }

  /** Remembers a message until {@link removeFromOutbox}. */
  addToOutbox({ cid, conversation, text, at }: OutboxEntry): void {
    this.#run(
      "INSERT INTO Outbox (cid, conversation, text, at) VALUES (?, ?, ?, ?)",
      cid,
      conversation,
      JSON.stringify(text),
      at,
    );
  }

  /** The server has it, or will never take it. */
  removeFromOutbox(cid: string): void {
    this.#run("DELETE FROM Outbox WHERE cid = ?", cid);
  }

  /** How far a member is known to be; nothing at first. */
  peer(conversation: ConversationId, id: number): PeerPosition {
    const row =
      this.#all("SELECT delivered, read FROM Peer WHERE conversation = ? AND id = ?", conversation, id)[0];
    return { delivered: integer(row?.delivered), read: integer(row?.read) };
  }

  /** How many members have received, or read, a message. */
  countPeers(conversation: ConversationId, kind: "delivered" | "read", seq: number): number {
    const rows = this.#all(
      `SELECT COUNT(*) AS count FROM Peer WHERE conversation = ? AND ${kind} >= ? AND since < ?`,
      conversation,
      seq,
      seq,
    );
    return integer(rows[0]?.count);
  }

  /** The members that have received a message. */
  peersAt(conversation: ConversationId, seq: number): ({ id: number } & PeerPosition)[] {
    return this.#all(
      "SELECT id, delivered, read FROM Peer WHERE conversation = ? AND delivered >= ? AND since < ?",
      conversation,
      seq,
      seq,
    )
      .map((row) => ({ id: integer(row.id), delivered: integer(row.delivered), read: integer(row.read) }));
  }

  /** Stores how far a member is, who joined after `since` and never gets anything up to it. */
  savePeer(conversation: ConversationId, id: number, { delivered, read }: PeerPosition, since = 0): void {
    this.#run(
      "INSERT OR REPLACE INTO Peer (conversation, id, delivered, read, since) VALUES (?, ?, ?, ?, ?)",
      conversation,
      id,
      delivered,
      read,
      since,
    );
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#statements.clear();
    this.#database.close();
  }

  #rollback(): void {
    try {
      this.#database.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself (full disk, I/O error); the error that led here is the one to report.
    }
  }

  #messages(tail: string, ...parameters: SqlParameter[]): ChatMessage[] {
    const rows = this.#all(
      `SELECT conversation, seq, sender, name, text, at FROM Message ${tail}`,
      ...parameters,
    );
    return rows.map((row) => ({
      conversation: text(row.conversation),
      seq: typeof row.seq === "number" ? row.seq : null,
      sender: integer(row.sender),
      name: text(row.name),
      text: decode(row.text),
      at: integer(row.at),
    }));
  }

  #all(sql: string, ...parameters: SqlParameter[]): Row[] {
    return this.#prepare(sql).all(...parameters);
  }

  /** Runs a writing statement and returns how many rows it changed. */
  #run(sql: string, ...parameters: SqlParameter[]): number {
    return Number(this.#prepare(sql).run(...parameters).changes);
  }

  #prepare(sql: string): ReturnType<DatabaseSync["prepare"]> {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function integer(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A text column, or null. */
function decode(value: unknown): string | null {
  const decoded: unknown = typeof value === "string" ? JSON.parse(value) : null;
  return typeof decoded === "string" ? decoded : null;
}
