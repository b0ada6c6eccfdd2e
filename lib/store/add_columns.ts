/**
 * Migrations that add columns to tables there were before, in code: MySQL cannot add a column only where it is missing.
 *
 * @module
 */
import type { MigrationStep } from "./migration_step.ts";
import { columnsOf } from "./mysql_schema.ts";

/** A column to be added, with its type, default and all on each engine. */
export interface NewColumn {
  /** To which table. */
  table: string;
  /** Its name. */
  column: string;
  /** Without a copy of the table where it has a constant default and comes last. */
  mysql: string;
  /** As it stands behind the name. */
  sqlite: string;
}

/** A step for each. */
export function addColumns(
  dialect: "mysql" | "sqlite",
  columns: readonly NewColumn[],
): readonly MigrationStep[] {
  return columns.map(({ table, column, ...types }) => {
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
