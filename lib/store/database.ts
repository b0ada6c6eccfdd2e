/**
 * What the models need of a database, whichever it is.
 *
 * Statements use `?` parameters and the SQL both dialects agree on; where they differ the text comes from
 * {@linkcode Dialect}. Every failure is a DatabaseError (lib/base/errors.ts) whose kind says what a caller can do.
 *
 * @module
 */

/** A parameter. Numbers are integers. */
export type SqlValue = string | number | null | Uint8Array;

/** One result row. Integers up to 2^53 arrive as numbers, text as strings, VARBINARY and BLOB as Uint8Array. */
export type Row = Record<string, SqlValue>;

/** What a writing statement did. */
export interface RunResult {
  /** Rows changed (MySQL: rows really changed, not matched; an upsert that updated counts 2 there). */
  changes: number;
  /** The AUTO_INCREMENT id it made, else 0. */
  insertId: number;
}

/** Rows for one table. */
export interface Insertion {
  /** Up to and without VALUES: `INSERT INTO Member (userid, conversation)`. */
  into: string;
  /** The values of each row, in the order of the columns. At least one row. */
  rows: readonly (readonly SqlValue[])[];
  /** What follows the rows: the text of {@link Dialect.upsert}, if any. */
  tail?: string;
  /** Each of them has to be there already, and changes; else it fails as `stale`. In transactions on MySQL only. */
  isUpdate?: true;
}

/** A piece of SQL and its parameters. */
export interface Condition {
  /** To stand behind WHERE, or a whole SELECT. */
  sql: string;
  /** For the marks in `sql`. */
  params: SqlValue[];
}

/** Where statements run: the database itself (each on its own) or a transaction. */
export interface SqlConnection {
  /** Runs a SELECT. `Shape` is what the statement's columns are: the caller's promise, as with every SQL text. */
  query<Shape extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<Shape[]>;
  /** Runs a statement that writes. */
  run(sql: string, params?: readonly SqlValue[]): Promise<RunResult>;
  /** Inserts rows, all or none, in the way that is quickest here. */
  insert(insertion: Insertion): Promise<void>;
}

/** The few places where the two dialects differ. */
export interface Dialect {
  /** Which one. */
  readonly name: "mysql" | "sqlite";
  /** `INSERT IGNORE` or `INSERT OR IGNORE`. */
  readonly insertIgnore: string;
  /**
   * The tail of an INSERT that updates the row when `keys` exist already; `updates` maps a column to its new value, in
   * which `new.column` stands for the value that was to be inserted and a bare column name for the old one.
   */
  upsert(keys: readonly string[], updates: Readonly<Record<string, string>>): string;
  /** The greater of two expressions: `GREATEST(a, b)` or `MAX(a, b)`. */
  greatest(a: string, b: string): string;
  /** Appended to a SELECT in a transaction that must lock its rows: ` FOR UPDATE`, or nothing where a writer is alone. */
  readonly forUpdate: string;
  /** True for those rows whose `column` has one of the values. Numbers and strings only. */
  isOneOf(column: string, values: readonly (number | string)[]): Condition;
  /** True for those rows whose two columns, whole numbers, are a key of `pairs` and one of the values with it. */
  isOneOfPairs(columns: readonly [string, string], pairs: ReadonlyMap<number, Iterable<number>>): Condition;
  /** Joins the table before it with the one after it in this order, whatever the engine thinks of their sizes; ON follows. */
  readonly joinInOrder: string;
  /** Everything else in this process waits while a statement runs. */
  readonly isBlocking: boolean;
  /** Each answer that a transaction waits for is a round trip, and claims.ts saves one. */
  readonly isRemote: boolean;
}

/** How a transaction is to be run. */
export interface TransactionOptions {
  /** Where many statements wait for a connection, this one goes before them. */
  isUrgent?: boolean;
}

/** A database: MySQL or MariaDB through the pool, or the embedded SQLite. */
export interface Database extends SqlConnection {
  /** Its dialect. */
  readonly dialect: Dialect;
  /**
   * Runs `work` in one transaction: commits when it resolves, rolls back when it throws, then rethrows. Statements of
   * others never mix in. Not to be nested. A break during COMMIT is a DatabaseError with `outcomeUnknown`.
   */
  transaction<Result>(
    work: (tx: SqlConnection) => Promise<Result>,
    options?: TransactionOptions,
  ): Promise<Result>;
  /** Finishes what runs, within the pool's deadline, and closes. */
  close(): Promise<void>;
}
