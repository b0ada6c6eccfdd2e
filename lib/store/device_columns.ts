/**
 * Makes room for devices in the tables there are: how far the furthest of a member's devices is, and whether a user has
 * been logged in by version 1 or 2.
 *
 * @module
 */
import { addColumns, type NewColumn } from "./add_columns.ts";
import type { MigrationStep } from "./migration_step.ts";

const COLUMNS: readonly NewColumn[] = [
  {
    table: "Member",
    column: "furthest",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  {
    table: "User",
    column: "legacy",
    mysql: "TINYINT NOT NULL DEFAULT 1",
    sqlite: "INTEGER NOT NULL DEFAULT 1",
  },
];

/** For an engine of this name. */
export function deviceColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, COLUMNS);
}
