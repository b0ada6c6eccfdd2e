/**
 * Makes room for devices in the tables there are: how far the furthest of a member's devices is, and whether a user has
 * been logged in by version 1 or 2.
 *
 * In code, since MySQL cannot add a column only where it is missing. It adds them without a copy of the table.
 *
 * @module
 */
import type { MigrationStep } from "./migration_step.ts";
import { columnsOf } from "./mysql_schema.ts";

const TYPES = {
  mysql: { small: "TINYINT", large: "BIGINT" },
  sqlite: { small: "INTEGER", large: "INTEGER" },
};

/** For an engine of this name. */
export function deviceColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  const { small, large } = TYPES[dialect];
  const add = (table: string, column: string, type: string, value: number): MigrationStep => {
    const text = `ALTER TABLE ${table} ADD COLUMN ${column} ${type} NOT NULL DEFAULT ${value}`;
    return {
      text,
      async run(conn) {
        if (dialect === "mysql" && (await columnsOf(conn, table)).has(column)) return;
        await conn.run(text);
      },
    };
  };
  return [add("Member", "furthest", large, 0), add("User", "legacy", small, 1)];
}
