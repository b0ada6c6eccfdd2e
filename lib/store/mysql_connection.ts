/**
 * One connection to MySQL or MariaDB, which knows whether it still works and lets no statement wait for ever.
 *
 * The socket is made here and handed to the driver, whose own destroy() only half-closes it and so would keep a
 * connection to a hung server open.
 *
 * @module
 */

import { connect as connectSocket, type Socket } from "node:net";
import mysql, { type Connection, type ConnectionOptions, type ResultSetHeader } from "mysql2";
import type { Clock, Timer } from "../base/clock.ts";
import { DatabaseError } from "../base/errors.ts";
import type { Row, RunResult } from "./database.ts";
import { abbreviate, breaksConnection, type ErrorContext, toDatabaseError } from "./mysql_errors.ts";
import { checkSession, READ_SESSION, type SessionSettings, sessionStatements } from "./mysql_session.ts";
import { bind, join, type Statement } from "./mysql_text.ts";
import { type DriverTls, type MysqlTls, offersTls } from "./mysql_tls.ts";
import type { MysqlAddress } from "./mysql_url.ts";

/** What a statement's text does not say. */
export interface StatementOptions {
  /** It takes effect by itself, so that a break leaves open whether it did. */
  commits?: boolean;
}

/** What is the same for all connections of a database. */
export interface MysqlConnectionOptions {
  /** Where to connect, and as whom. */
  address: MysqlAddress;
  /** Null for connections without TLS. */
  tls: MysqlTls | null;
  /** A statement without an answer for this long loses its connection, in milliseconds. */
  statementTimeoutMs: number;
  /** Time. */
  clock: Clock;
  /** Called when a connection turns out to be broken. */
  onBroken: () => void;
}

const DRIVER_OPTIONS: ConnectionOptions = {
  // Every statement is ASCII, whatever the driver may come to believe of the session.
  charset: "utf8mb4",
  // Both are on by default: counting rows that matched but did not change, and sending our files to the server.
  flags: ["-FOUND_ROWS", "-LOCAL_FILES"],
  // A transaction sends what needs no answer together with what does; nobody else may (see bind).
  multipleStatements: true,
  // Values as database.ts promises them: numbers as far as they are exact, anything else as text.
  supportBigNumbers: true,
  bigNumberStrings: false,
  decimalNumbers: true, // SUM() of whole numbers is a DECIMAL
  dateStrings: true,
  jsonStrings: true,
  // Whoever opens a connection sets a deadline for all of it.
  connectTimeout: 0,
};

/** The system asks a silent peer for a sign of life this often, before firewalls and NATs forget the connection. */
const KEEP_ALIVE_MS = 30_000;

/** How long a server may take to hang up once it has been told through TLS that we leave. */
const QUIT_MS = 500;

/** With this in an answer's status, a transaction is open on the connection. */
const IN_TRANSACTION = 1;

function isResultHeader(result: unknown): result is ResultSetHeader {
  return typeof result === "object" && result !== null && "affectedRows" in result;
}

/**
 * What the driver is to do about TLS on this connection. The driver itself knows no server that may do without, and would
 * find out only by a login that it breaks off, after some of which a server shuts us out.
 */
async function chooseTls(
  tls: MysqlTls | null,
  socket: Socket,
  closed: Promise<void>,
  signal: AbortSignal,
): Promise<DriverTls | undefined> {
  if (!tls?.isOptional) return tls?.options;
  const giveUp = () => socket.destroy(signal.reason);
  signal.addEventListener("abort", giveUp);
  try {
    return await offersTls(socket) ? tls.options : undefined;
  } catch (error) {
    socket.destroy();
    await closed;
    throw toDatabaseError(error);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** A connection. Statements given while one runs wait their turn. */
export class MysqlConnection {
  readonly #options: MysqlConnectionOptions;
  readonly #socket: Socket;
  readonly #driver: Connection;
  readonly #closed: Promise<void>;
  /** What to call for each command that has no answer yet. */
  readonly #unanswered = new Set<(error: unknown) => void>();
  #settings: SessionSettings = { maxPacketBytes: Infinity, isGalera: false, idleLimitMs: null };
  /** Asks the server for a sign of life, so that it does not end a session that has nothing to say. */
  #keepAwake: Timer | null = null;
  #usedAt = 0;
  #isBroken = false;
  #brokenBy: unknown = null;

  private constructor(
    options: MysqlConnectionOptions,
    socket: Socket,
    closed: Promise<void>,
    driver: Connection,
  ) {
    this.#options = options;
    this.#socket = socket;
    this.#closed = closed;
    this.#driver = driver;
    driver.on("error", (error) => this.#break(error));
  }

  /**
   * Connects, logs in and sets the session up; gives up when `signal` aborts. Rejects with a DatabaseError: `other` when
   * the server is there but does not let us in, `unavailable` for what may mend itself.
   */
  static async open(options: MysqlConnectionOptions, signal: AbortSignal): Promise<MysqlConnection> {
    const { host, port, socketPath, user, password, database } = options.address;
    const socket = socketPath ? connectSocket(socketPath) : connectSocket(port, host);
    socket.setNoDelay(true);
    socket.once("connect", () => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    // By this a TLS handshake on a socket that is there already knows an IP address, which the driver does not tell it: it
    // would take a certificate of localhost for that of any address.
    Object.assign(socket, { _host: host });
    const ssl = await chooseTls(options.tls, socket, closed, signal);
    const driver = mysql.createConnection({
      ...DRIVER_OPTIONS,
      stream: socket,
      // Nobody listens on a unix socket: the driver may say the password to a server that has to hear it.
      ...(socketPath ? { socketPath } : {}),
      // The name is for the certificate only.
      ...(ssl ? { ssl, host } : {}),
      user,
      password,
      database,
    });
    const connection = new MysqlConnection(options, socket, closed, driver);
    socket.resume(); // chooseTls may have paused it
    const giveUp = () => connection.#break(signal.reason);
    signal.addEventListener("abort", giveUp);
    try {
      await connection.#command((done) => driver.connect(done));
      await connection.#setUp();
      return connection;
    } catch (error) {
      await connection.end();
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** True when it must not be used any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** What the server says of the session. */
  get settings(): Readonly<SessionSettings> {
    return this.#settings;
  }

  /** Runs a SELECT. */
  async query(statement: Statement): Promise<Row[]> {
    const rows = await this.#execute(statement);
    if (!Array.isArray(rows)) {
      throw new DatabaseError("other", `This returns no rows: ${abbreviate(statement.sql)}`);
    }
    return rows;
  }

  /** Runs a statement that writes. */
  async run(statement: Statement, options?: StatementOptions): Promise<RunResult> {
    const result = await this.#execute(statement, options);
    if (!isResultHeader(result)) {
      throw new DatabaseError("other", `This returns rows: ${abbreviate(statement.sql)}`);
    }
    if (options?.commits && (result.serverStatus & IN_TRANSACTION) !== 0) {
      // Autocommit is off, or the commit has begun the next transaction: the session is not what it was made to be.
      const reason = `The server has not ended the transaction after: ${abbreviate(statement.sql)}`;
      this.#break(new Error(reason));
      throw new DatabaseError("unavailable", reason, { outcomeUnknown: true });
    }
    return { changes: result.affectedRows, insertId: result.insertId };
  }

  /** Resolves when the server answers. */
  async ping(): Promise<void> {
    await this.#command((done) => this.#driver.ping(done));
  }

  /** Ends it, in good order when it is not broken and nothing runs, and resolves when the socket is closed. */
  async end(): Promise<void> {
    const error = new Error("The connection was closed");
    this.#keepAwake?.cancel();
    if (this.#isBroken || this.#unanswered.size > 0) {
      this.#break(error);
    } else {
      this.#isBroken = true;
      this.#brokenBy = error;
      this.#driver.end(); // COM_QUIT, so that the server counts no aborted connection
      await this.#hangUp();
    }
    await this.#closed;
  }

  /** Closes the socket once what was given to the driver is written: a server that hangs would never close it. */
  async #hangUp(): Promise<void> {
    if (this.#driver.config.ssl) {
      // What TLS still has to write is not known to the socket below.
      const timer = this.#options.clock.after(QUIT_MS, () => this.#socket.destroy());
      await this.#closed;
      timer.cancel();
    } else {
      this.#socket.destroySoon();
    }
  }

  async #setUp(): Promise<void> {
    const { statementTimeoutMs } = this.#options;
    const statements = [...sessionStatements(statementTimeoutMs), READ_SESSION].map((sql) => bind(sql));
    const rows = await this.query(join(statements));
    const shown = new Map(rows.map(({ Variable_name, Value }) => [String(Variable_name), String(Value)]));
    const settings = checkSession(shown, statementTimeoutMs);
    if (typeof settings === "string") throw new DatabaseError("unfit", settings);
    this.#settings = settings;
    if (settings.idleLimitMs !== null) this.#stayAwake(settings.idleLimitMs / 3);
  }

  #stayAwake(everyMs: number): void {
    const { clock } = this.#options;
    this.#keepAwake = clock.after(everyMs, () => {
      if (this.#isBroken) return;
      // A failure breaks the connection, which is all there is to do about it.
      if (this.#unanswered.size === 0 && clock.now() - this.#usedAt >= everyMs) this.ping().catch(() => {});
      this.#stayAwake(everyMs);
    });
  }

  async #execute(
    { sql, text, count }: Statement,
    { commits = false }: StatementOptions = {},
  ): Promise<unknown> {
    // The server would hang up in the middle of it, which looks like an outage and would be tried again for ever.
    const { maxPacketBytes } = this.#settings;
    if (text.length >= maxPacketBytes) {
      const limit = `max_allowed_packet, ${maxPacketBytes} bytes`;
      throw new DatabaseError("too_large", `The statement is longer than ${limit}: ${abbreviate(sql)}`);
    }
    const answer = await this.#command((done) => this.#driver.query(text, done), { sql, commits });
    return count > 1 && Array.isArray(answer) ? answer.at(-1) : answer;
  }

  /** Gives the driver a command and waits for its answer, but not for longer than the statement timeout. */
  #command(
    begin: (done: (error: unknown, answer?: unknown) => void) => void,
    context: ErrorContext = {},
  ): Promise<unknown> {
    if (this.#isBroken) {
      return Promise.reject(toDatabaseError(this.#brokenBy, { ...context, commits: false }));
    }
    const { clock, statementTimeoutMs } = this.#options;
    this.#usedAt = clock.now();
    return new Promise((resolve, reject) => {
      const isFirst = () => {
        timer.cancel();
        return this.#unanswered.delete(fail);
      };
      const fail = (error: unknown) => {
        if (isFirst()) reject(toDatabaseError(error, context));
      };
      const timer = clock.after(statementTimeoutMs, () => {
        this.#break(new Error(`no answer within ${statementTimeoutMs} ms`));
      });
      this.#unanswered.add(fail);
      begin((error, answer) => {
        if (!error) {
          if (isFirst()) resolve(answer);
          return;
        }
        fail(error);
        if (breaksConnection(error)) this.#break(error);
      });
    });
  }

  /** Closes the socket at once and tells everybody who waits why. Only the first reason counts. */
  #break(error: unknown): void {
    const isFirst = !this.#isBroken;
    if (isFirst) {
      this.#isBroken = true;
      this.#brokenBy = error;
      // Before the socket is closed: a write that this cancels is an error to the driver, which tells it to everybody.
      for (const fail of [...this.#unanswered]) fail(error);
    }
    this.#socket.destroy();
    this.#keepAwake?.cancel();
    if (isFirst) this.#options.onBroken();
  }
}
