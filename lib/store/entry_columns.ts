/**
 * Makes room for entries of the log that are no chat: Message gets a column for what each is, Conversation two for what a
 * list of conversations needs.
 *
 * In code, since MySQL cannot add a column only where it is missing. It adds them without a copy of the table.
 *
 * @module
 */
import type { SqlConnection } from "./database.ts";
import type { MigrationStep } from "./migration_step.ts";
import { columnsOf } from "./mysql_schema.ts";

/** Conversations in one statement. */
const PAGE = 1_000;

const TYPES = {
  mysql: { small: "TINYINT", large: "BIGINT" },
  sqlite: { small: "INTEGER", large: "INTEGER" },
};

/** For an engine of this name. */
export function entryColumns(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  const { small, large } = TYPES[dialect];
  const add = (table: string, column: string, type: string): MigrationStep => {
    const text = `ALTER TABLE ${table} ADD COLUMN ${column} ${type} NOT NULL DEFAULT 0`;
    return {
      text,
      async run(conn) {
        if (dialect === "mysql" && (await columnsOf(conn, table)).has(column)) return;
        await conn.run(text);
      },
    };
  };
  return [
    add("Message", "kind", small),
    add("Conversation", "at", large),
    add("Conversation", "last_chat", large),
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
