/**
 * The columns that administration needs.
 *
 * @module
 */
import { addColumns, type NewColumn } from "./add_columns.ts";
import type { MigrationStep } from "./migration_step.ts";

const COLUMNS: readonly NewColumn[] = [
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
];

// 1: may use the operators' page.
const ROLE: NewColumn = {
  table: "User",
  column: "administrator",
  mysql: "TINYINT NOT NULL DEFAULT 0",
  sqlite: "INTEGER NOT NULL DEFAULT 0",
};

/** For an engine of this name. */
export function adminColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, COLUMNS);
}

/** The column that says who is an administrator, for an engine of this name. */
export function administratorColumn(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, [ROLE]);
}
