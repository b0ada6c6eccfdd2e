/**
 * The books that the database keeps: what fault tests ask of it, beside the servers, whichever database it is.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { MariaDb } from "../support/services.ts";

/** A database that can be asked. */
export interface Store {
  /** Runs one statement; resolves with the rows' values as text, NULL as `NULL`. */
  sql(statement: string): Promise<string[][]>;
  /** The SQL expression for a text field of the JSON in a column. */
  field(column: string, name: string): string;
}

/** The database `chat` of a MariaDB. */
export function mariaDbStore(mariaDb: MariaDb): Store {
  return {
    async sql(statement) {
      const text = await mariaDb.sql(statement);
      return text === "" ? [] : text.split("\n").map((line) => line.split("\t"));
    },
    field: (column, name) => `JSON_VALUE(${column}, '$.${name}')`,
  };
}

/** A SQLite file, opened anew for each statement: servers on it are killed and started. */
export function sqliteStore(path: string): Store {
  return {
    // deno-lint-ignore require-await -- what it throws must become a rejection
    async sql(statement) {
      const db = new DatabaseSync(path);
      try {
        db.exec("PRAGMA busy_timeout = 5000");
        const rows = db.prepare(statement).all();
        return rows.map((row) => Object.values(row).map((value) => value === null ? "NULL" : String(value)));
      } finally {
        db.close();
      }
    },
    field: (column, name) => `json_extract(${column}, '$.${name}')`,
  };
}
