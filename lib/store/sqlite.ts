/**
 * The embedded database: SQLite through node:sqlite, in this process, one connection.
 *
 * Every statement runs synchronously, so nothing can come between two of them unless a transaction awaits something:
 * then the others queue, first in, first out. A commit is on the disk when its promise resolves, so neither kill -9 nor a
 * power failure takes back what was acknowledged. With `synchronous=FULL` SQLite would see to that itself and hold the whole
 * process up meanwhile; with NORMAL it leaves the write-ahead log to us, which is synced beside the event loop, while the
 * database is nobody else's.
 *
 * @module
 */

import { forgetOldest } from "../base/forget_oldest.ts";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  DatabaseError,
  type DatabaseErrorKind,
  errorText,
  EXIT,
  FatalError,
  isTemporary,
} from "../base/errors.ts";
import { redactUrl } from "../base/redact_url.ts";
import type { Database, Dialect, Insertion, Row, RunResult, SqlConnection, SqlValue } from "./database.ts";

/** So long a statement waits while another program, such as the sqlite3 tool, has the file locked … */
const BUSY_TIMEOUT_MS = 3_000;
/** … looking this often, since SQLite's own waiting would hold up the whole process. */
const BUSY_RETRY_MS = 20;

/**
 * A checkpoint every 4000 pages (16 MiB) instead of every 1000: 40 k against 27 k inserted messages a second with
 * 1 000 conversations, and the longest pause stays below 20 ms.
 */
const CHECKPOINT_PAGES = 4_000;

/** So few rows are synced on the event loop: the way to another thread and back, 0.05 ms, would make a lone pair wait. */
const ROWS_SYNCED_AT_ONCE = 4;

/** Prepared statements kept. Above the number of different texts the models use. */
const MAX_STATEMENTS = 256;

/** SQLite's side of the differences. */
const dialect: Dialect = {
  name: "sqlite",
  insertIgnore: "INSERT OR IGNORE",
  forUpdate: "",
  joinInOrder: "CROSS JOIN",
  isBlocking: true,
  isRemote: false,
  // One text whatever the number of values, so that it is prepared once.
  isOneOf: (column, values) => ({
    sql: `${column} IN (SELECT value FROM json_each(?))`,
    params: [JSON.stringify(values)],
  }),
  isOneOfPairs: ([one, other], pairs) => ({
    sql: `(${one}, ${other}) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))`,
    params: [JSON.stringify([...pairs].flatMap(([key, values]) => [...values].map((value) => [key, value])))],
  }),
  upsert(keys, updates) {
    const assignments = Object.entries(updates)
      .map(([column, value]) => `${column} = ${value.replace(/\bnew\./g, "excluded.")}`);
    return ` ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${assignments.join(", ")}`;
  },
  greatest: (a, b) => `MAX(${a}, ${b})`,
};

/** SQLite's result codes: the primary ones, and three extended ones of SQLITE_CONSTRAINT. */
const KINDS: ReadonlyMap<number, DatabaseErrorKind> = new Map([
  [3, "unfit"], // PERM
  [5, "conflict"], // BUSY
  [6, "conflict"], // LOCKED
  [7, "unavailable"], // NOMEM
  [8, "unavailable"], // READONLY
  [10, "unavailable"], // IOERR
  [11, "unavailable"], // CORRUPT
  [13, "full"], // FULL
  [14, "unavailable"], // CANTOPEN
  [15, "unavailable"], // PROTOCOL: the lock on the write-ahead log is not to be had
  [18, "too_large"], // TOOBIG
  [19, "refused"], // CONSTRAINT
  [26, "unavailable"], // NOTADB
  [1555, "duplicate"], // CONSTRAINT_PRIMARYKEY
  [2067, "duplicate"], // CONSTRAINT_UNIQUE
  [2579, "duplicate"], // CONSTRAINT_ROWID
]);

function kindOf(error: unknown): DatabaseErrorKind {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return "other";
  return KINDS.get(error.errcode) ?? KINDS.get(error.errcode & 0xff) ?? "other";
}

function toDatabaseError(error: unknown): DatabaseError {
  return new DatabaseError(kindOf(error), `SQLite: ${errorText(error)}`, { cause: error });
}

/** A statement as it is kept. */
interface Prepared {
  statement: StatementSync;
  /** It inserts into a table whose ids SQLite numbers; for others it would report an id of some earlier statement. */
  makesId: boolean;
}

/** The one connection: statements at once, without regard to whose turn it is. */
class Connection {
  readonly #db: DatabaseSync;
  /** The write-ahead log, to be synced; null in memory. */
  readonly #log: Deno.FsFile | null;
  readonly #prepared = new Map<string, Prepared>();
  /** Rows written since the last sync, or at least statements that do so. */
  #unsynced = 0;
  /** A sync has failed, after which another one says nothing about what was to be synced then. */
  #isInDoubt = false;

  constructor(db: DatabaseSync, log: Deno.FsFile | null) {
    this.#db = db;
    this.#log = log;
  }

  #makesId(sql: string): boolean {
    const table = /^\s*INSERT\b.*?\bINTO\s+(\w+)/is.exec(sql)?.[1];
    if (table === undefined) return false;
    const schema = this.#db.prepare("SELECT sql FROM sqlite_master WHERE name = ? COLLATE NOCASE").get(table);
    return String(schema?.sql).includes("AUTOINCREMENT");
  }

  #compile(sql: string): StatementSync {
    try {
      return this.#db.prepare(sql);
    } catch (error) {
      // All that Deno before 2.5 says of it; executing says more, and EXPLAIN executes nothing.
      if (errorText(error) === "failed to prepare statement") this.#db.exec(`EXPLAIN ${sql}`);
      throw error;
    }
  }

  /** Least recently used first in the map, and the first to go. */
  #prepare(sql: string): Prepared {
    let prepared = this.#prepared.get(sql);
    if (prepared) this.#prepared.delete(sql);
    else prepared = { statement: this.#compile(sql), makesId: this.#makesId(sql) };
    this.#prepared.set(sql, prepared);
    if (this.#prepared.size > MAX_STATEMENTS) forgetOldest(this.#prepared);
    return prepared;
  }

  query<Shape extends Row>(sql: string, params: readonly SqlValue[]): Shape[] {
    try {
      // The shape is the caller's promise (see SqlConnection); integers arrive as numbers unless asked otherwise.
      return this.#prepare(sql).statement.all(...params) as Shape[];
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /** BEGIN, COMMIT or ROLLBACK. */
  control(sql: string): void {
    try {
      this.#prepare(sql).statement.run();
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  run(sql: string, params: readonly SqlValue[]): RunResult {
    this.#unsynced++;
    try {
      const { statement, makesId } = this.#prepare(sql);
      const result = statement.run(...params);
      const changes = Number(result.changes);
      return { changes, insertId: makesId && changes > 0 ? Number(result.lastInsertRowid) : 0 };
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /** Row by row: to prepare a statement for another number of rows costs more than to run one for each. */
  insert({ into, rows, tail = "" }: Insertion): void {
    const marks = (rows[0] ?? []).map(() => "?").join(",");
    const sql = `${into} VALUES (${marks})${tail}`;
    this.#unsynced += rows.length;
    try {
      const { statement } = this.#prepare(sql);
      for (const row of rows) statement.run(...row);
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /** Resolves when what has been committed is on the disk. */
  async sync(): Promise<void> {
    const rows = this.#unsynced;
    this.#unsynced = 0;
    if (rows === 0 || this.#log === null) return;
    try {
      if (rows > ROWS_SYNCED_AT_ONCE) await this.#log.syncData();
      else this.#log.syncDataSync();
    } catch (error) {
      this.#isInDoubt = true;
      const text = `SQLite: cannot sync its log: ${errorText(error)}`;
      throw new DatabaseError("unavailable", text, { cause: error, outcomeUnknown: true });
    }
  }

  /** After a sync that failed everything is copied from the log to the file, which is synced with it. Throws until it is. */
  settleDoubt(): void {
    if (!this.#isInDoubt) return;
    const [result] = this.query<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)", []);
    if (result?.busy !== 0) {
      throw new DatabaseError(
        "unavailable",
        "SQLite: its log cannot be emptied while another program reads it",
      );
    }
    this.#isInDoubt = false;
  }

  close(): void {
    this.#prepared.clear();
    this.#log?.close();
    this.#db.close();
  }
}

/** A transaction's statements; refuses them once it is over or SQLite has rolled it back by itself. */
class Transaction implements SqlConnection {
  readonly #connection: Connection;
  /** Why nothing more may run in it. */
  #ended: DatabaseError | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get ended(): DatabaseError | null {
    return this.#ended;
  }

  end(): void {
    this.#ended ??= new DatabaseError("other", "SQLite: the transaction is over");
  }

  #attempt<Result>(statement: () => Result): Result {
    if (this.#ended) throw this.#ended;
    try {
      return statement();
    } catch (error) {
      // After these SQLite may have rolled back: a further statement would commit on its own.
      if (isTemporary(error)) this.#ended = error;
      throw error;
    }
  }

  // deno-lint-ignore require-await -- what it throws must become a rejection
  async query<Shape extends Row = Row>(sql: string, params: readonly SqlValue[] = []): Promise<Shape[]> {
    return this.#attempt(() => this.#connection.query<Shape>(sql, params));
  }

  // deno-lint-ignore require-await -- as above
  async run(sql: string, params: readonly SqlValue[] = []): Promise<RunResult> {
    return this.#attempt(() => this.#connection.run(sql, params));
  }

  // deno-lint-ignore require-await -- as above
  async insert(insertion: Insertion): Promise<void> {
    this.#attempt(() => this.#connection.insert(insertion));
  }
}

class SqliteDatabase implements Database {
  readonly dialect = dialect;
  readonly #connection: Connection;
  /** Keeps other nodes out; null in memory. */
  readonly #lock: Deno.FsFile | null;
  #isTaken = false;
  #isClosed = false;
  readonly #waiting: (() => void)[] = [];

  constructor(connection: Connection, lock: Deno.FsFile | null) {
    this.#connection = connection;
    this.#lock = lock;
  }

  /** Takes the connection; null when it was free. A promise would put even an uncontended statement a turn later. */
  #take(): Promise<void> | null {
    if (this.#isTaken) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
    return null;
  }

  /** Hands the connection to who has waited longest. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#isTaken = false;
  }

  async #inTurn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const turn = this.#take();
    if (turn) await turn;
    try {
      if (this.#isClosed) throw new DatabaseError("unavailable", "SQLite: the database is closed");
      this.#connection.settleDoubt();
      const result = work();
      return result instanceof Promise ? await result : result;
    } finally {
      this.#release();
    }
  }

  query<Shape extends Row = Row>(sql: string, params: readonly SqlValue[] = []): Promise<Shape[]> {
    return this.#inTurn(() => whenUnlocked(() => this.#connection.query<Shape>(sql, params)));
  }

  run(sql: string, params: readonly SqlValue[] = []): Promise<RunResult> {
    return this.#inTurn(async () => {
      const result = await whenUnlocked(() => this.#connection.run(sql, params));
      await this.#connection.sync();
      return result;
    });
  }

  insert(insertion: Insertion): Promise<void> {
    return this.transaction((tx) => tx.insert(insertion));
  }

  transaction<Result>(work: (tx: SqlConnection) => Promise<Result>): Promise<Result> {
    return this.#inTurn(() => this.#transact(work));
  }

  async #transact<Result>(work: (tx: SqlConnection) => Promise<Result>): Promise<Result> {
    // IMMEDIATE: a transaction that first reads and then writes cannot fail half-way because somebody wrote between.
    const begun = whenUnlocked(() => this.#connection.control("BEGIN IMMEDIATE"));
    if (begun instanceof Promise) await begun;
    const tx = new Transaction(this.#connection);
    let result: Result;
    try {
      result = await work(tx);
      if (tx.ended) throw tx.ended;
      this.#commit();
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      tx.end();
    }
    await this.#connection.sync();
    return result;
  }

  #commit(): void {
    try {
      this.#connection.control("COMMIT");
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.kind !== "unavailable") throw error;
      // The commit record may be in the file although writing it failed; opened again, the database would have it.
      throw new DatabaseError("unavailable", error.message, { cause: error, outcomeUnknown: true });
    }
  }

  #rollBack(): void {
    try {
      this.#connection.control("ROLLBACK");
    } catch {
      // SQLite had rolled back by itself, as it does when the disk is full. Any other trouble shows at the next BEGIN.
    }
  }

  async close(): Promise<void> {
    const turn = this.#take();
    if (turn) await turn;
    try {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#connection.close();
      this.#lock?.close();
    } finally {
      this.#release();
    }
  }
}

/** The result of a statement that does nothing while another program has the file locked; at once if none has. */
function whenUnlocked<Result>(statement: () => Result): Result | Promise<Result> {
  try {
    return statement();
  } catch (error) {
    if (!isLocked(error)) throw error;
    return waitUnlocked(statement);
  }
}

async function waitUnlocked<Result>(statement: () => Result): Promise<Result> {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS));
    try {
      return statement();
    } catch (error) {
      if (!isLocked(error) || performance.now() > deadline) throw error;
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof DatabaseError && error.kind === "conflict";
}

/**
 * Holds the file until it is closed or the process ends, however it ends; made with mode 0600 if there is none: it holds
 * password hashes and private messages. The lock (flock) is on the file itself, so that it meets whoever comes by
 * another name, a link or a mount; SQLite's own locks are of another kind and let other programs read.
 *
 * To be closed after SQLite: closing any descriptor of a file drops the locks that SQLite has on it in this process.
 */
function lockFile(path: string): Deno.FsFile {
  if (path === "") throw new FatalError(EXIT.config, "Cannot open the database: its path is empty");
  const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  if (tryLock(file)) return file;
  file.close();
  throw new FatalError(
    EXIT.unavailable,
    `The database ${quote(path)} is in use by another process. ` +
      "Only one server or migration at a time can have a SQLite file; several nodes need --mysql",
  );
}

/** False when somebody else has the lock. Deno before 2.6 can only wait for them. */
function tryLock(file: Deno.FsFile & { tryLockSync?(exclusive: boolean): boolean }): boolean {
  if (file.tryLockSync) return file.tryLockSync(true);
  file.lockSync(true);
  return true;
}

/** Opens the file and sets it up; -wal and -shm get the file's own mode from SQLite. */
function connect(file: string): Connection {
  const db = new DatabaseSync(file);
  try {
    // By exec, because a prepare that fails does not say why in Deno before 2.5.
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL`);
    const mode = db.prepare("PRAGMA journal_mode").get()?.journal_mode;
    if (mode !== "wal" && file !== ":memory:") {
      throw new Error(`its file system cannot hold a write-ahead log (journal mode ${mode})`);
    }
    db.exec(`
      PRAGMA synchronous = NORMAL; -- Connection.sync() does what FULL would
      PRAGMA fullfsync = ON;
      PRAGMA secure_delete = ON; -- a recalled text is to be gone from the file as well
      PRAGMA foreign_keys = ON;
      PRAGMA cache_size = -65536;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA busy_timeout = 0; -- from now on whenUnlocked() waits
    `);
    return new Connection(db, openLog(db));
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Where SQLite has it: links lead to the file's own name. A statement that reads has it made. */
function openLog(db: DatabaseSync): Deno.FsFile | null {
  db.prepare("SELECT COUNT(*) FROM sqlite_master").get();
  const file = db.prepare("PRAGMA database_list").get()?.file;
  return file ? Deno.openSync(`${file}-wal`, { write: true }) : null;
}

/**
 * True when a database would be made at `path`, whose folder then lets us; false when there is a file. Throws a FatalError
 * when there is neither.
 */
export function probeFolder(path: string): boolean {
  if (path === ":memory:") return true;
  try {
    if (Deno.statSync(path).size > 0) return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw openError(path, error);
  }
  try {
    Deno.removeSync(Deno.makeTempFileSync({ dir: dirname(path), prefix: ".chatserver-" }));
    return true;
  } catch (error) {
    throw openError(path, error);
  }
}

/** For an error text: it may be a URL that was meant for another option. */
function quote(path: string): string {
  return JSON.stringify(redactUrl(path));
}

function openError(path: string, error: unknown): FatalError {
  const text = `Cannot open the database ${quote(path)}: ${redactUrl(errorText(error))}`;
  return new FatalError(EXIT.config, text, { cause: error });
}

/**
 * Opens the SQLite database at `path`, made with mode 0600 if there is none; `:memory:` is one that lasts until close.
 *
 * As a {@linkcode Database} it differs from MySQL in these points: `changes` counts rows matched; numbers are bound as
 * REAL (`'g' || ?` would read `g5.0`); a multi-row INSERT reports its last id.
 *
 * @throws {FatalError} when it cannot be opened, is not a database, or another process has it.
 */
export function openSqlite(path: string): Database {
  if (path === ":memory:") return new SqliteDatabase(connect(path), null);
  let lock: Deno.FsFile | null = null;
  try {
    lock = lockFile(path);
    return new SqliteDatabase(connect(path), lock);
  } catch (error) {
    lock?.close();
    if (error instanceof FatalError) throw error;
    throw openError(path, error);
  }
}

/**
 * Opens the database that is at `path` beside the server that may have it: its transactions have to be short, and wait for
 * the server's as the server's wait for them. Throws a FatalError when there is none.
 */
export function openSqliteBeside(path: string): Database {
  try {
    if (Deno.statSync(path).size === 0) throw new Error("it is empty");
    return new SqliteDatabase(connect(path), null);
  } catch (error) {
    throw openError(path, error);
  }
}
