/**
 * The columns that groups need which somebody can leave, and which not everybody can join.
 *
 * @module
 */
import { addColumns, type NewColumn } from "./add_columns.ts";
import type { MigrationStep } from "./migration_step.ts";

const COLUMNS: readonly NewColumn[] = [
  // How one joins: see JOIN_MODES in groups.ts. What there is so far anybody joins by its id.
  {
    table: "AllGroup",
    column: "joining",
    mysql: "TINYINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  // When it was dissolved, in milliseconds since the epoch; 0: it was not.
  {
    table: "AllGroup",
    column: "dissolved",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  // The user is not entitled to what follows this seq. Of members it is the largest number that every reader takes.
  {
    table: "Member",
    column: "until",
    mysql: "BIGINT NOT NULL DEFAULT 9007199254740991",
    sqlite: "INTEGER NOT NULL DEFAULT 9007199254740991",
  },
  // When that became so, in milliseconds since the epoch; 0 of members.
  {
    table: "Member",
    column: "ended",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  // The seq of the last entry by which somebody has left or was removed; 0: nobody ever was.
  {
    table: "Conversation",
    column: "parted",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
];

/** For an engine of this name. */
export function groupColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return addColumns(dialect, COLUMNS);
}
