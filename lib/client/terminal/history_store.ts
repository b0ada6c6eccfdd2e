/**
 * The client's own memory: messages, positions and what is still to be sent, in one SQLite file for each device of a user
 * at a server.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { ConversationId } from "../../protocol/protocol.ts";
import { MSGID } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import type { ChatMessage } from "../core/messages.ts";
import type { ClientStore, ConversationState, OutboxEntry, PeerPosition } from "../core/store.ts";

type Row = Record<string, unknown>;
type SqlParameter = string | number | null;

/**
 * Message texts are stored as JSON strings: a NUL would end one for the driver, and half a surrogate pair be lost. `kind` is
 * the msgid of an entry that is no message, else 0; `details` are the fields of its frame that stand nowhere else, in JSON.
 * `position` orders the messages of a conversation: its seq, or for one without the seq it came after. FULL, because an
 * acknowledgement tells the server that it need not keep the message for us.
 */
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS Conversation (
    id TEXT PRIMARY KEY, base INTEGER NOT NULL, top INTEGER NOT NULL, shown INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS Message (
    number INTEGER PRIMARY KEY, conversation TEXT NOT NULL, seq INTEGER, position INTEGER NOT NULL,
    sender INTEGER NOT NULL, name TEXT NOT NULL, text TEXT, at INTEGER NOT NULL,
    kind INTEGER NOT NULL DEFAULT 0, details TEXT, UNIQUE (conversation, seq)
  );
  CREATE INDEX IF NOT EXISTS MessagePosition ON Message (conversation, position);
  CREATE TABLE IF NOT EXISTS Outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL UNIQUE, conversation TEXT NOT NULL,
    text TEXT NOT NULL, at INTEGER NOT NULL, details TEXT
  );
  CREATE TABLE IF NOT EXISTS Peer (
    conversation TEXT NOT NULL, id INTEGER NOT NULL, delivered INTEGER NOT NULL, read INTEGER NOT NULL,
    since INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (conversation, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS Setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;
/** Files of earlier versions lack these columns. */
const ADDED_COLUMNS: readonly (readonly [table: string, column: string, type: string])[] = [
  ["Peer", "since", "INTEGER NOT NULL DEFAULT 0"],
  ["Message", "kind", "INTEGER NOT NULL DEFAULT 0"],
  ["Message", "details", "TEXT"],
  ["Outbox", "details", "TEXT"],
];

/** Fields of a frame that have columns, or say nothing that is not said by them. */
const COLUMNS: ReadonlySet<string> = new Set(
  [
    "msgid",
    "conversation",
    "seq",
    "at",
    "id",
    "by",
    "name",
    "msg",
    "time",
    "toid",
    "groupid",
    "cid",
    "recalled",
  ],
);

/** Likewise of an entry that is no message: `id` and `msg` belong to what was done. */
const OTHER_COLUMNS: ReadonlySet<string> = new Set([
  "msgid",
  "conversation",
  "seq",
  "at",
  "by",
  "name",
  "cid",
]);

/** What is kept of a device of version 3: its user's name, its id and token at the server, and the server's `epoch`. */
export type Setting = "name" | "device" | "token" | "epoch";

/** Owns the file. What is put aside by {@link archiveConversation} stays in it under another id. */
export class HistoryStore implements ClientStore {
  /** What is stored outlives the process. */
  readonly isKept: boolean;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  /** What waits for the commit; undefined outside a transaction. */
  #afterCommit: (() => void)[] | undefined;

  /**
   * Opens or creates the file, which is nobody else's until it is closed: throws when another process has it. `:memory:`
   * keeps nothing.
   */
  constructor(path: string) {
    this.isKept = path !== ":memory:";
    this.#database = new DatabaseSync(path);
    try {
      // Before the first look into the file: the lock is taken with that and stays.
      this.#database.exec("PRAGMA locking_mode = EXCLUSIVE");
      this.#database.exec(SCHEMA);
      for (const [table, column, type] of ADDED_COLUMNS) this.#addColumn(table, column, type);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** What is kept under this name, or undefined. */
  setting(name: Setting): string | undefined {
    const row = this.#all("SELECT value FROM Setting WHERE name = ?", name)[0];
    return row === undefined ? undefined : text(row.value);
  }

  /** Keeps a value; undefined: none any more. */
  saveSetting(name: Setting, value: string | undefined): void {
    if (value === undefined) this.#run("DELETE FROM Setting WHERE name = ?", name);
    else this.#run("INSERT OR REPLACE INTO Setting (name, value) VALUES (?, ?)", name, value);
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
  insert({ conversation, seq, sender, name, text, at, frame = {} }: ChatMessage): boolean {
    // Plain parameters only: Deno 2.4 does not bind numbered ones.
    const changes = this.#run(
      `INSERT OR IGNORE INTO Message (conversation, seq, position, sender, name, text, at, kind, details)
       SELECT ?, ?, COALESCE(?, (SELECT MAX(position) FROM Message WHERE conversation = ?), 0), ?, ?, ?, ?, ?, ?`,
      conversation,
      seq,
      seq,
      conversation,
      sender,
      name,
      text === null ? null : JSON.stringify(text),
      at,
      frame.msgid === MSGID.ACTION_MSG || frame.msgid === MSGID.SYSTEM_MSG ? frame.msgid : 0,
      encodeDetails(frame, text),
    );
    return changes > 0;
  }

  /** Stores a message in place of what is there of it. */
  replace({ conversation, seq, text, frame = {} }: ChatMessage): void {
    this.#run(
      "UPDATE Message SET text = ?, details = ? WHERE conversation = ? AND seq = ?",
      text === null ? null : JSON.stringify(text),
      encodeDetails(frame, text),
      conversation,
      seq,
    );
  }

  /** Forgets what is stored above a seq. */
  forgetAbove(conversation: ConversationId, seq: number): void {
    this.#run("DELETE FROM Message WHERE conversation = ? AND seq > ?", conversation, seq);
    this.#run(
      "UPDATE Peer SET delivered = MIN(delivered, ?), read = MIN(read, ?) WHERE conversation = ?",
      seq,
      seq,
      conversation,
    );
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
      `WHERE conversation = ? AND kind <> ${MSGID.ACTION_MSG}
       ORDER BY position DESC, seq IS NOT NULL, number DESC LIMIT ?`,
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

  /** The names that people had when they said something last, by id. */
  names(): Map<number, string> {
    const rows = this.#all("SELECT sender, name, MAX(number) FROM Message WHERE name <> '' GROUP BY sender");
    return new Map(rows.map(({ sender, name }) => [integer(sender), text(name)]));
  }

  /** Forgets the text of a recalled message. */
  recall(conversation: ConversationId, seq: number): void {
    this.#run(
      "UPDATE Message SET text = NULL, details = NULL WHERE conversation = ? AND seq = ?",
      conversation,
      seq,
    );
  }

  /** What is to be sent, oldest first. */
  outbox(): OutboxEntry[] {
    return this.#all("SELECT cid, conversation, text, at, details FROM Outbox ORDER BY number").map((
      row,
    ) => ({
      cid: text(row.cid),
      conversation: text(row.conversation),
      text: decode(row.text) ?? "",
      at: integer(row.at),
      ...(typeof row.details === "string" ? { fields: JSON.parse(row.details) } : {}),
    }));
  }

  /** Remembers a message until {@link removeFromOutbox}. */
  addToOutbox({ cid, conversation, text, at, fields }: OutboxEntry): void {
    this.#run(
      "INSERT INTO Outbox (cid, conversation, text, at, details) VALUES (?, ?, ?, ?, ?)",
      cid,
      conversation,
      JSON.stringify(text),
      at,
      fields === undefined ? null : JSON.stringify(fields),
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

  #addColumn(table: string, column: string, type: string): void {
    const columns = this.#database.prepare("SELECT 1 FROM pragma_table_info(?) WHERE name = ?");
    if (columns.get(table, column) === undefined) {
      this.#database.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
    }
  }

  #messages(tail: string, ...parameters: SqlParameter[]): ChatMessage[] {
    const rows = this.#all(
      `SELECT conversation, seq, sender, name, text, at, kind, details FROM Message ${tail}`,
      ...parameters,
    );
    return rows.map((row) => ({
      conversation: text(row.conversation),
      seq: typeof row.seq === "number" ? row.seq : null,
      sender: integer(row.sender),
      name: text(row.name),
      text: decode(row.text),
      at: integer(row.at),
      ...decodeFrame(row),
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

function encodeDetails(frame: JsonObject, text: string | null): string | null {
  const isOther = frame.msgid === MSGID.ACTION_MSG || frame.msgid === MSGID.SYSTEM_MSG;
  // A message that was taken back says nothing any more.
  if (text === null && !isOther) return null;
  const skipped = isOther ? OTHER_COLUMNS : COLUMNS;
  const details = Object.entries(frame).filter(([name]) => !skipped.has(name));
  return details.length === 0 ? null : JSON.stringify(Object.fromEntries(details));
}

/** The frame as far as it is kept; none for a message that says nothing besides its text. */
function decodeFrame({ kind, details }: Row): { frame?: JsonObject } {
  const fields: JsonObject = typeof details === "string" ? JSON.parse(details) : {};
  if (integer(kind) > 0) return { frame: { ...fields, msgid: integer(kind) } };
  return details === null ? {} : { frame: fields };
}

/** A text column, or null. */
function decode(value: unknown): string | null {
  const decoded: unknown = typeof value === "string" ? JSON.parse(value) : null;
  return typeof decoded === "string" ? decoded : null;
}
