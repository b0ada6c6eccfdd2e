/**
 * Opens the database the options name.
 *
 * @module
 */
import type { Logger } from "../logger.ts";
import type { Database } from "./database.ts";
import { openMysql } from "./mysql.ts";
import { openSqlite } from "./sqlite.ts";

/** Which database, and how. */
export interface StorageChoice {
  /** MySQL or MariaDB, when given. */
  mysqlUrl: string | null;
  /** Else the embedded SQLite's file. */
  sqlitePath: string;
  /** Connections to MySQL at most. */
  poolSize?: number;
}

/** Throws a FatalError when it cannot be opened. */
export async function openDatabase(
  { mysqlUrl, sqlitePath, poolSize = 2 }: StorageChoice,
  logger: Logger,
): Promise<Database> {
  return mysqlUrl === null ? openSqlite(sqlitePath) : await openMysql({ url: mysqlUrl, poolSize, logger });
}
