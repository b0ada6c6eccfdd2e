/**
 * Adds the columns that administration needs to tables there were before, in code: MySQL cannot add a column only where it
 * is missing.
 *
 * @module
 */
import type { MigrationStep } from "./migration_step.ts";
import { columnsOf } from "./mysql_schema.ts";

const COLUMNS = [
  // 0: as any user, 1: disabled, 2: deleted.
  {
    table: "User",
    column: "status",
    mysql: "TINYINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  // Where the log of the conversation begins: what was before has been trimmed.
  {
    table: "Conversation",
    column: "first_seq",
    mysql: "BIGINT NOT NULL DEFAULT 1",
    sqlite: "INTEGER NOT NULL DEFAULT 1",
  },
  // The newest event that has ended the user's sessions: those that began before it.
  {
    table: "User",
    column: "revoked",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
] as const;

/** For an engine of this name. */
export function adminColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return COLUMNS.map(({ table, column, ...types }) => {
    const text = `ALTER TABLE ${table} ADD COLUMN ${column} ${types[dialect]}`;
    return {
      text,
      async run(conn) {
        if (dialect === "mysql" && (await columnsOf(conn, table)).has(column)) return;
        await conn.run(text);
      },
    };
  });
}
