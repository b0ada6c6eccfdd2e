/**
 * The columns that blocking somebody needs, and what users say of themselves.
 *
 * @module
 */
import { addColumns, type NewColumn } from "./add_columns.ts";
import type { MigrationStep } from "./migration_step.ts";

const COLUMNS: readonly NewColumn[] = [
  // 1: the user with the lower id blocks the other one, 2: the one with the higher; 3: both. As in the table Block, where
  // whoever stores a message sees it under the lock it takes anyway.
  {
    table: "Conversation",
    column: "blocked",
    mysql: "TINYINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  // 1: of one whom the other of two blocked at that moment; only its sender sees it.
  {
    table: "Message",
    column: "hidden",
    mysql: "TINYINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  {
    table: "User",
    column: "status_text",
    mysql: "VARCHAR(100) NOT NULL DEFAULT ''",
    sqlite: "TEXT NOT NULL DEFAULT ''",
  },
];

// Nothing in the conversation draws the user's attention until then, ms since the epoch.
const MUTED: NewColumn = {
  table: "Member",
  column: "muted_until",
  mysql: "BIGINT NOT NULL DEFAULT 0",
  sqlite: "INTEGER NOT NULL DEFAULT 0",
};

// 1: put there while the other of two blocked who has done it; nobody else sees it.
const HIDDEN_MARKS: readonly NewColumn[] = ["Reaction", "Pin"].map((table) => ({
  table,
  column: "hidden",
  mysql: "TINYINT NOT NULL DEFAULT 0",
  sqlite: "INTEGER NOT NULL DEFAULT 0",
}));

/** The columns for what is put to entries by somebody who is blocked, for an engine of this name. */
export function hiddenMarkColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, HIDDEN_MARKS);
}

/** The column for conversations that are muted, for an engine of this name. */
export function mutedColumn(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, [MUTED]);
}

/** For an engine of this name. */
export function peopleColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, COLUMNS);
}
