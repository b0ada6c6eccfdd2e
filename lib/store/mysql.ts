/**
 * The database on a MySQL or MariaDB server, through our own pool.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import { DatabaseError, EXIT, FatalError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Database, Dialect, Row, RunResult, SqlConnection, SqlValue } from "./database.ts";
import { MysqlConnection } from "./mysql_connection.ts";
import { toDatabaseError } from "./mysql_errors.ts";
import { Pool, type PoolStats } from "./mysql_pool.ts";
import { mysqlName, parseMysqlUrl } from "./mysql_url.ts";

/** Options of {@linkcode openMysql}. Times are milliseconds. */
export interface MysqlOptions {
  /** `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, reserved characters as %XX; `?socketPath=/path` for a unix socket. */
  url: string | URL;
  /** Most connections at a time. */
  poolSize: number;
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
export const MYSQL_DIALECT: Dialect = {
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
  rowsPerInsert: 500,
};

/** A connection while a transaction is open on it. */
class MysqlTransaction implements SqlConnection {
  readonly #connection: MysqlConnection;
  #endedBy: DatabaseError | null = null;

  constructor(connection: MysqlConnection) {
    this.#connection = connection;
  }

  async query<Shape extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<Shape[]> {
    const rows = await this.#unlessEnded(() => this.#connection.query(sql, params));
    return rows as Shape[]; // The caller's promise, as database.ts says
  }

  run(sql: string, params?: readonly SqlValue[]): Promise<RunResult> {
    return this.#unlessEnded(() => this.#connection.run(sql, params));
  }

  async commit(): Promise<void> {
    await this.#unlessEnded(() => this.#connection.run("COMMIT", [], { commits: true }));
  }

  /** Makes it useless to whoever kept it. */
  end(): void {
    this.#endedBy ??= new DatabaseError("other", "This transaction is over");
  }

  /**
   * After a deadlock the server has rolled back, and would run what follows outside of any transaction and let a COMMIT
   * succeed. So such an error ends the transaction even if `work` has caught it.
   */
  async #unlessEnded<Result>(statement: () => Promise<Result>): Promise<Result> {
    if (this.#endedBy) throw this.#endedBy;
    try {
      return await statement();
    } catch (error) {
      const isFatal = error instanceof DatabaseError && error.kind !== "duplicate" && error.kind !== "other";
      if (isFatal) this.#endedBy ??= error;
      throw error;
    }
  }
}

class PooledMysql implements MysqlDatabase {
  readonly dialect = MYSQL_DIALECT;
  readonly #pool: Pool<MysqlConnection>;
  readonly #closeTimeoutMs: number;

  constructor(pool: Pool<MysqlConnection>, closeTimeoutMs: number) {
    this.#pool = pool;
    this.#closeTimeoutMs = closeTimeoutMs;
  }

  async query<Shape extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<Shape[]> {
    const rows = await this.#withConnection((connection) => connection.query(sql, params));
    return rows as Shape[]; // The caller's promise, as database.ts says
  }

  run(sql: string, params?: readonly SqlValue[]): Promise<RunResult> {
    return this.#withConnection((connection) => connection.run(sql, params, { commits: true }));
  }

  async transaction<Result>(work: (tx: SqlConnection) => Promise<Result>): Promise<Result> {
    const { resource: connection, release } = await this.#pool.acquire();
    const transaction = new MysqlTransaction(connection);
    try {
      await connection.run("START TRANSACTION");
      const result = await work(transaction);
      await transaction.commit();
      transaction.end();
      release();
      return result;
    } catch (error) {
      transaction.end();
      release(await rollback(connection));
      throw error;
    }
  }

  async ping(): Promise<void> {
    await this.query("SELECT 1");
  }

  async close(): Promise<void> {
    await this.#pool.close(this.#closeTimeoutMs);
  }

  stats(): PoolStats {
    return this.#pool.stats();
  }

  /** A statement that fails leaves its connection usable, unless that is broken, which the pool sees itself. */
  async #withConnection<Result>(work: (connection: MysqlConnection) => Promise<Result>): Promise<Result> {
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
    await connection.run("ROLLBACK");
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Opens the database. Connects once to see that it can; throws a FatalError that names the server and the reason, with
 * exit code 69 when the server cannot be reached and 78 when it does not let us in or has no such database. After that
 * the pool deals with whatever happens to the server.
 */
export async function openMysql(options: MysqlOptions): Promise<MysqlDatabase> {
  const { clock = systemClock, connectTimeoutMs = 5_000, logger } = options;
  const address = parseMysqlUrl(options.url);
  const name = mysqlName(address);
  const connectionOptions = {
    address,
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
    await (await open(tooLong.signal)).end();
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
  return new PooledMysql(pool, options.closeTimeoutMs ?? 5_000);
}
