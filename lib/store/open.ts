/**
 * Opens the database the options name, brought up to date.
 *
 * @module
 */
import { EXIT, FatalError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Database } from "./database.ts";
import { migrate, pendingMigrations } from "./migrations.ts";
import { openMysql } from "./mysql.ts";
import { openSqlite, openSqliteBeside, probeFolder } from "./sqlite.ts";

/** Rebuilding a large table takes its time. */
const MIGRATION_STATEMENT_MS = 86_400_000;

/** Counting what a large table holds takes its time, too. */
const BESIDE_STATEMENT_MS = 600_000;

/** Which database, and how. */
export interface StorageChoice {
  /** MySQL or MariaDB, when given. */
  mysqlUrl: string | null;
  /** Else the embedded SQLite's file. */
  sqlitePath: string;
  /** The longest text that is to be stored, in bytes. */
  maxFrameBytes?: number;
}

/** An open database, and what had to be done to it: a line each. */
export interface OpenedDatabase {
  /** Of the newest version. */
  db: Database;
  /** Empty when it was up to date. */
  steps: string[];
}

/** Opens the database for a node with `poolSize` connections at most. Throws a FatalError when that cannot be done. */
export async function openDatabase(
  choice: StorageChoice,
  poolSize: number,
  logger: Logger,
): Promise<OpenedDatabase> {
  const { mysqlUrl, sqlitePath, maxFrameBytes = 0 } = choice;
  if (mysqlUrl !== null) {
    const steps = await migrateMysql(mysqlUrl, maxFrameBytes, logger);
    const db = await openMysql({ url: mysqlUrl, poolSize, maxTextBytes: maxFrameBytes, logger });
    return { db, steps };
  }
  const db = openSqlite(sqlitePath);
  try {
    return { db, steps: await migrate(db, logger) };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** The migrations that a start would run, by name; leaves the database as it is. Throws the FatalError a start would. */
export async function inspectDatabase(
  { mysqlUrl, sqlitePath }: StorageChoice,
  logger: Logger,
): Promise<string[]> {
  if (mysqlUrl === null && probeFolder(sqlitePath)) return [];
  const db = mysqlUrl === null
    ? openSqlite(sqlitePath)
    : await openMysql({ url: mysqlUrl, poolSize: 1, logger });
  try {
    return await pendingMigrations(db);
  } finally {
    await db.close();
  }
}

/**
 * Opens a database that is there and up to date, beside the nodes that may have it open: whatever is done to it must not
 * hold them up. Throws a FatalError when that cannot be done.
 */
export async function openBeside({ mysqlUrl, sqlitePath }: StorageChoice, logger: Logger): Promise<Database> {
  const db = mysqlUrl === null
    ? openSqliteBeside(sqlitePath)
    : await openMysql({ url: mysqlUrl, poolSize: 2, logger, statementTimeoutMs: BESIDE_STATEMENT_MS });
  try {
    const pending = await pendingMigrations(db);
    if (pending.length === 0) return db;
    throw new FatalError(
      EXIT.config,
      `The database is not up to date (${pending.join(", ")}); start a node on it, or run chatserver migrate`,
    );
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** Brings the database up to date and closes it; what was done, a line each. */
export async function migrateDatabase(choice: StorageChoice, logger: Logger): Promise<string[]> {
  if (choice.mysqlUrl !== null) return await migrateMysql(choice.mysqlUrl, 0, logger);
  const { db, steps } = await openDatabase(choice, 1, logger);
  await db.close();
  return steps;
}

async function migrateMysql(url: string, maxTextBytes: number, logger: Logger): Promise<string[]> {
  const statementTimeoutMs = MIGRATION_STATEMENT_MS;
  // One connection holds the lock, the other works.
  const db = await openMysql({ url, poolSize: 2, maxTextBytes, logger, statementTimeoutMs });
  try {
    return await migrate(db, logger);
  } finally {
    await db.close();
  }
}
