/**
 * What a MySQL database holds at the moment, for code that must cope with tables somebody else has made.
 *
 * @module
 */

import type { Database, SqlConnection } from "./database.ts";

/** A table or view. */
export interface TableEntry {
  /** As the server writes it. */
  name: string;
  /** Not a base table. */
  isView: boolean;
}

/** The tables and views of the database whose name is `name` but for upper and lower case. */
export async function findTables(conn: SqlConnection, name: string): Promise<TableEntry[]> {
  const rows = await conn.query<{ name: string; type: string }>(
    "SELECT table_name AS name, table_type AS type FROM information_schema.tables WHERE table_schema = DATABASE()",
  );
  return rows
    .filter((row) => row.name.toLowerCase() === name.toLowerCase())
    .map((row) => ({ name: row.name, isView: row.type === "VIEW" }));
}

/** True for a base table of exactly this name, or of any case where the server makes no difference. */
export async function hasTable(conn: SqlConnection, name: string): Promise<boolean> {
  const [server] = await conn.query<{ ignored: number }>("SELECT @@lower_case_table_names AS ignored");
  const tables = await findTables(conn, name);
  return tables.some((table) => !table.isView && (table.name === name || server?.ignored !== 0));
}

/** A column. */
export interface Column {
  /** In lower case, such as `varchar(50)`. */
  type: string;
  /** The database numbers it. */
  isAutoIncrement: boolean;
}

/** The columns of a table by lower-case name: MySQL ignores the case of column names. */
export async function columnsOf(conn: SqlConnection, table: string): Promise<Map<string, Column>> {
  const rows = await conn.query<{ Field: string; Type: string; Extra: string }>(
    `SHOW COLUMNS FROM \`${table}\``,
  );
  return new Map(rows.map(({ Field, Type, Extra }) => [
    Field.toLowerCase(),
    { type: Type.toLowerCase(), isAutoIncrement: Extra.includes("auto_increment") },
  ]));
}

/** An index. */
export interface Index {
  /** `PRIMARY` for the primary key. */
  name: string;
  /** No two rows are the same in it. */
  isUnique: boolean;
  /** Lower-case, in order; a column of which only a prefix is indexed as `name(20)`. */
  columns: string[];
}

/** The indexes of a table. */
export async function indexesOf(conn: SqlConnection, table: string): Promise<Index[]> {
  const rows = await conn.query<
    { Key_name: string; Non_unique: number; Column_name: string | null; Sub_part: number | null }
  >(`SHOW INDEX FROM \`${table}\``);
  const indexes = new Map<string, Index>();
  for (const { Key_name: name, Non_unique, Column_name, Sub_part } of rows) {
    const index = indexes.get(name) ?? { name, isUnique: Number(Non_unique) === 0, columns: [] };
    // An index on an expression has no column.
    index.columns.push((Column_name ?? "").toLowerCase() + (Sub_part === null ? "" : `(${Sub_part})`));
    indexes.set(name, index);
  }
  return [...indexes.values()];
}

/** True on a server of a Galera cluster, where each server takes writes. */
export async function isGalera(db: Database): Promise<boolean> {
  if (db.dialect.name !== "mysql") return false;
  const [row] = await db.query<{ Value: string }>("SHOW VARIABLES LIKE 'wsrep_on'");
  return row?.Value === "ON";
}
