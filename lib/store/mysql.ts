/**
 * The database on a MySQL or MariaDB server, through our own pool.
 *
 * @module
 */

import { type Clock, systemClock } from "../base/clock.ts";
import { DatabaseError, EXIT, FatalError, isTemporary } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type {
  Database,
  Dialect,
  Insertion,
  Row,
  RunResult,
  SqlConnection,
  SqlValue,
  TransactionOptions,
} from "./database.ts";
import { MysqlConnection } from "./mysql_connection.ts";
import { toDatabaseError } from "./mysql_errors.ts";
import { Pool, type PoolStats } from "./mysql_pool.ts";
import { bind, bindRows, join, type Statement } from "./mysql_text.ts";
import { prepareTls } from "./mysql_tls.ts";
import { mysqlName, parseMysqlUrl } from "./mysql_url.ts";

/** Options of {@linkcode openMysql}. Times are milliseconds. */
export interface MysqlOptions {
  /** As {@linkcode parseMysqlUrl} takes it. */
  url: string | URL;
  /** Most connections at a time. */
  poolSize: number;
  /** The longest text that is to be stored, in bytes: a server that takes no statement as long as that is refused. */
  maxTextBytes?: number;
  /** Hears of an outage and of its end. */
  logger: Logger;
  /** How long a statement may wait for a connection. 5 seconds by default. */
  acquireTimeoutMs?: number;
  /** How long connecting and logging in may take. 5 seconds by default. */
  connectTimeoutMs?: number;
  /**
   * How long a statement may take before its connection is given up; 10 seconds by default, twice what the server waits
   * for a lock. A migration that rebuilds a large table needs more.
   */
  statementTimeoutMs?: number;
  /** How long close() waits for what runs. 5 seconds by default. */
  closeTimeoutMs?: number;
  /** Time; the system's by default. */
  clock?: Clock;
}

/** A {@linkcode Database} that can tell how its connections are doing. */
export interface MysqlDatabase extends Database {
  /** The pool's counters, for metrics. */
  stats(): PoolStats;
}

/** What MySQL and MariaDB say differently from SQLite. */
const MYSQL_DIALECT: Dialect = {
  name: "mysql",
  insertIgnore: "INSERT IGNORE",
  upsert(_keys, updates) {
    // VALUES(column) is the one way to name the new value that both MySQL and MariaDB know.
    const assignments = Object.entries(updates).map(([column, value]) =>
      `${column} = ${value.replace(/\bnew\.(\w+|`[^`]+`)/g, "VALUES($1)")}`
    );
    return ` ON DUPLICATE KEY UPDATE ${assignments.join(", ")}`;
  },
  greatest: (a, b) => `GREATEST(${a}, ${b})`,
  forUpdate: " FOR UPDATE",
  isOneOf: (column, values) => ({
    sql: `${column} IN (${values.map(() => "?").join(",")})`,
    params: [...values],
  }),
  isOneOfPairs([one, other], pairs) {
    const params: number[] = [];
    // Whole numbers on an index, which every version reads as ranges.
    const sql = [...pairs].map(([key, values]) => {
      const some = [...values];
      params.push(key, ...some);
      return `(${one} = ? AND ${other} IN (${some.map(() => "?").join(",")}))`;
    });
    return { sql: sql.join(" OR "), params };
  },
  joinInOrder: "STRAIGHT_JOIN",
  isBlocking: false,
  isRemote: true,
};

/** What stands in a statement beside the text of a message, in bytes, and more. */
const STATEMENT_ROOM_BYTES = 4_096;

/** Fails unless the upsert before it has changed so many rows, each of which counts twice, and made none. */
function failUnlessUpdated(rows: number): Statement {
  return bind("SET @unmet = 9223372036854775807 * ABS(ROW_COUNT() - ?) * 2", [2 * rows]);
}

const START = bind("START TRANSACTION");
const COMMIT = bind("COMMIT");
const ROLLBACK = bind("ROLLBACK");

/**
 * A connection while a transaction is open on it. What needs no answer waits for the next statement that does, and goes
 * to the server with it: a batch of messages is two round trips in place of five, each of which has to wait for a turn
 * of a busy event loop (500 pairs: 21 k messages a second in place of 17 k).
 */
class MysqlTransaction implements SqlConnection {
  readonly #connection: MysqlConnection;
  #unsent: Statement[] = [START];
  #hasBegun = false;
  #endedBy: DatabaseError | null = null;

  constructor(connection: MysqlConnection) {
    this.#connection = connection;
  }

  /** False as long as the server has not heard of it. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  async query<Shape extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<Shape[]> {
    const rows = await this.#send(bind(sql, params), (statement) => this.#connection.query(statement));
    return rows as Shape[]; // The caller's promise, as database.ts says
  }

  // deno-lint-ignore require-await -- what it throws must become a rejection
  async run(sql: string, params?: readonly SqlValue[]): Promise<RunResult> {
    return this.#send(bind(sql, params), (statement) => this.#connection.run(statement));
  }

  /** Resolves before the server has it. If it fails, then so does the next statement, or the commit. */
  // deno-lint-ignore require-await -- what it throws must become a rejection
  async insert(insertion: Insertion): Promise<void> {
    if (this.#endedBy) throw this.#endedBy;
    this.#unsent.push(bindRows(insertion));
    if (insertion.isUpdate) this.#unsent.push(failUnlessUpdated(insertion.rows.length));
  }

  async commit(): Promise<void> {
    if (!this.#hasBegun && this.#unsent.length === 1) return;
    await this.#send(COMMIT, (statement) => this.#connection.run(statement, { commits: true }));
  }

  /** Makes it useless to whoever kept it. */
  end(): void {
    this.#endedBy ??= new DatabaseError("other", "This transaction is over");
  }

  /**
   * After a deadlock the server has rolled back, and would run what follows outside of any transaction and let a COMMIT
   * succeed. So such an error ends the transaction even if `work` has caught it, and so does any error of a statement
   * that brought along others, which may not have been done.
   */
  async #send<Result>(last: Statement, send: (statement: Statement) => Promise<Result>): Promise<Result> {
    if (this.#endedBy) throw this.#endedBy;
    const unsent = this.#unsent;
    this.#unsent = [];
    this.#hasBegun = true;
    try {
      if (!this.#connection.settings.isGalera) return await send(join([...unsent, last]));
      // Another node's write may abort this transaction between two statements of a packet, unnoticed by the second.
      for (const statement of unsent) await this.#connection.run(statement);
      return await send(last);
    } catch (error) {
      const bringsOthers = unsent.some((statement) => statement !== START);
      if (error instanceof DatabaseError && (isTemporary(error) || bringsOthers)) this.#endedBy ??= error;
      throw error;
    }
  }
}

/** What a conflict has undone is tried so often, … */
const CONFLICT_ATTEMPTS = 6;
/** … but not begun again after this, ms: somebody holds a lock for long. */
const CONFLICT_GIVE_UP_MS = 3_000;
/** Longest pause before the second attempt, ms; doubles. Of random length, so that two do not meet again. */
const CONFLICT_PAUSE_MS = 4;

class PooledMysql implements MysqlDatabase {
  readonly dialect = MYSQL_DIALECT;
  readonly #pool: Pool<MysqlConnection>;
  readonly #closeTimeoutMs: number;
  readonly #clock: Clock;

  constructor(pool: Pool<MysqlConnection>, closeTimeoutMs: number, clock: Clock) {
    this.#pool = pool;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#clock = clock;
  }

  async query<Shape extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<Shape[]> {
    const rows = await this.#withConnection((connection) => connection.query(bind(sql, params)));
    return rows as Shape[]; // The caller's promise, as database.ts says
  }

  run(sql: string, params?: readonly SqlValue[]): Promise<RunResult> {
    return this.#withConnection((connection) => connection.run(bind(sql, params), { commits: true }));
  }

  async insert(insertion: Insertion): Promise<void> {
    const statement = bindRows(insertion);
    await this.#withConnection((connection) => connection.run(statement, { commits: true }));
  }

  transaction<Result>(
    work: (tx: SqlConnection) => Promise<Result>,
    options: TransactionOptions = {},
  ): Promise<Result> {
    return this.#despiteConflicts(() => this.#transact(work, options));
  }

  async #transact<Result>(
    work: (tx: SqlConnection) => Promise<Result>,
    options: TransactionOptions,
  ): Promise<Result> {
    const { resource: connection, release } = await this.#pool.acquire(options);
    const transaction = new MysqlTransaction(connection);
    try {
      const result = await work(transaction);
      await transaction.commit();
      transaction.end();
      release();
      return result;
    } catch (error) {
      transaction.end();
      release(transaction.hasBegun ? await rollback(connection) : undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#pool.close(this.#closeTimeoutMs);
  }

  stats(): PoolStats {
    return this.#pool.stats();
  }

  /** Everything that writes goes through here: a conflict has undone it, and the same work may well succeed now. */
  async #despiteConflicts<Result>(work: () => Promise<Result>): Promise<Result> {
    const giveUpAt = this.#clock.now() + CONFLICT_GIVE_UP_MS;
    for (let attempt = 1;; attempt++) {
      try {
        return await work();
      } catch (error) {
        const isConflict = error instanceof DatabaseError && error.kind === "conflict";
        if (!isConflict || attempt === CONFLICT_ATTEMPTS || this.#clock.now() > giveUpAt) throw error;
      }
      const pauseMs = CONFLICT_PAUSE_MS * 2 ** attempt * Math.random();
      await new Promise<void>((resolve) => this.#clock.after(pauseMs, resolve));
    }
  }

  #withConnection<Result>(work: (connection: MysqlConnection) => Promise<Result>): Promise<Result> {
    return this.#despiteConflicts(() => this.#lend(work));
  }

  /** A statement that fails leaves its connection usable, unless that is broken, which the pool sees itself. */
  async #lend<Result>(work: (connection: MysqlConnection) => Promise<Result>): Promise<Result> {
    const { resource, release } = await this.#pool.acquire();
    try {
      return await work(resource);
    } finally {
      release();
    }
  }
}

/** Returns why it failed, in which case the connection may still be inside the transaction and must not be lent again. */
async function rollback(connection: MysqlConnection): Promise<unknown> {
  try {
    await connection.run(ROLLBACK);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** In a statement a text has twice its bytes. */
function checkPacketSize(maxPacketBytes: number, maxTextBytes: number): void {
  const needed = 2 * maxTextBytes + STATEMENT_ROOM_BYTES;
  if (maxPacketBytes >= needed) return;
  throw new DatabaseError(
    "unfit",
    `its max_allowed_packet is ${maxPacketBytes} bytes; ` +
      `frames of up to ${maxTextBytes} bytes (--max-frame) need ${needed}`,
  );
}

/**
 * Opens the database. Connects once to see that it can; throws a FatalError that names the server and the reason, with
 * exit code 69 when the server cannot be reached and 78 when it does not let us in, has no such database, or cannot be
 * trusted as the URL asks. After that the pool deals with whatever happens to the server.
 */
export async function openMysql(options: MysqlOptions): Promise<MysqlDatabase> {
  const { clock = systemClock, connectTimeoutMs = 5_000, logger } = options;
  const address = parseMysqlUrl(options.url);
  const name = mysqlName(address);
  const connectionOptions = {
    address,
    tls: prepareTls(address),
    clock,
    statementTimeoutMs: options.statementTimeoutMs ?? 10_000,
    onBroken: () => pool?.sweep(),
  };
  const open = (signal: AbortSignal) => MysqlConnection.open(connectionOptions, signal);
  let pool: Pool<MysqlConnection> | null = null;

  const tooLong = new AbortController();
  const timer = clock.after(
    connectTimeoutMs,
    () => tooLong.abort(new Error(`no answer within ${connectTimeoutMs} ms`)),
  );
  try {
    const first = await open(tooLong.signal);
    const { maxPacketBytes } = first.settings;
    await first.end();
    checkPacketSize(maxPacketBytes, options.maxTextBytes ?? 0);
  } catch (error) {
    const { kind, message } = toDatabaseError(error);
    const exitCode = kind === "unavailable" ? EXIT.unavailable : EXIT.config;
    throw new FatalError(exitCode, `Cannot use ${name}: ${message}`);
  } finally {
    timer.cancel();
  }

  pool = new Pool({
    create: open,
    check: (connection) => connection.ping(),
    isBroken: (connection) => connection.isBroken,
    destroy: (connection) => connection.end(),
  }, {
    name,
    logger,
    clock,
    max: options.poolSize,
    min: Math.min(2, options.poolSize),
    acquireTimeoutMs: options.acquireTimeoutMs ?? 5_000,
    createTimeoutMs: connectTimeoutMs,
  });
  return new PooledMysql(pool, options.closeTimeoutMs ?? 5_000, clock);
}
