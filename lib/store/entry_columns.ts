/**
 * Makes room for entries of the log that are no chat: Message gets a column for what each is, Conversation two for what a
 * list of conversations needs.
 *
 * @module
 */
import { addColumns, type NewColumn } from "./add_columns.ts";
import type { SqlConnection } from "./database.ts";
import type { MigrationStep } from "./migration_step.ts";

/** Conversations in one statement. */
const PAGE = 1_000;

const COLUMNS: readonly NewColumn[] = [
  {
    table: "Message",
    column: "kind",
    mysql: "TINYINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  {
    table: "Conversation",
    column: "at",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
  {
    table: "Conversation",
    column: "last_chat",
    mysql: "BIGINT NOT NULL DEFAULT 0",
    sqlite: "INTEGER NOT NULL DEFAULT 0",
  },
];

/** For an engine of this name. */
export function entryColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return [
    ...addColumns(dialect, COLUMNS),
    { text: "fill in when conversations were last spoken in", run: fill },
  ];
}

/**
 * All there is so far is chat. A group in which nothing has been said has no time: its number takes the place of one, so
 * that no two are the same.
 */
async function fill(conn: SqlConnection): Promise<void> {
  for (let last = "";;) {
    const rows = await conn.query<{ id: string }>(
      `SELECT id FROM Conversation WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
      [last],
    );
    const end = rows.at(-1)?.id;
    if (end === undefined) return;
    await conn.run(
      "UPDATE Conversation SET " +
        "last_chat = COALESCE((SELECT MAX(seq) FROM Message WHERE conversation = Conversation.id), 0), " +
        "at = COALESCE((SELECT at FROM Message WHERE conversation = Conversation.id ORDER BY seq DESC LIMIT 1), 0) " +
        "WHERE id > ? AND id <= ?",
      [last, end],
    );
    const silent = await conn.query<{ id: string }>(
      "SELECT id FROM Conversation WHERE id > ? AND id <= ? AND at = 0 AND id LIKE 'g%'",
      [last, end],
    );
    for (const { id } of silent) {
      await conn.run("UPDATE Conversation SET at = ? WHERE id = ?", [Number(id.slice(1)), id]);
    }
    last = end;
  }
}
