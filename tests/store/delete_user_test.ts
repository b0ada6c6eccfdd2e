import { assertEquals } from "@std/assert";
import type { Database } from "../../lib/store/database.ts";
import { deleteUser } from "../../lib/store/delete_user.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
/** More than one look goes over. */
const OTHERS = 25_000;

async function remove(db: Database, withMessages: boolean): Promise<number> {
  const event = { at: 1, actor: "tester", what: "delete", userId: 1, detail: {} } as const;
  const onProgress = () => Promise.resolve();
  return (await deleteUser(db, { userId: 1, withMessages, event, onProgress })).messages;
}

// anotherTurn() looks once more, whether somebody waits.
const OPTIONS = { sanitizeOps: false };

Deno.test(
  "SQLite: who is deleted once more, with messages, loses those in groups it has no place in any more",
  OPTIONS,
  async () => {
    const db = openSqlite(":memory:");
    try {
      await migrate(db, SILENT);
      await db.run("INSERT INTO User (id, name, password) VALUES (1, 'ann', ''), (2, 'bob', '')");
      await db.run(
        "INSERT INTO Conversation (id, last_seq, members) VALUES ('g7', 2, 1), ('g8', 1, 1), ('u2-3', ?, 2)",
        [OTHERS],
      );
      await db.run("INSERT INTO Member (userid, conversation) VALUES (1, 'g7'), (1, 'g8')");
      const message = '{"msgid":10,"name":"ann","msg":"secret"}';
      const into = "INSERT INTO Message (conversation, seq, sender, cid, at, message)";
      await db.insert({ into, rows: [["g7", 1, 1, null, 1, message]] });
      await db.insert({
        into,
        rows: Array.from({ length: OTHERS }, (_, i) => ["u2-3", i + 1, 2, null, 2, message]),
      });
      await db.insert({
        into,
        rows: [["g7", 2, 1, null, 3, message], ["g8", 1, 1, new Uint8Array([1]), 3, message]],
      });
      assertEquals(await remove(db, false), 3);
      assertEquals(await db.query("SELECT * FROM Member WHERE userid = 1"), []);
      assertEquals(await remove(db, true), 3);
      assertEquals(
        await db.query(
          "SELECT sender, COUNT(*) AS rows, COUNT(message) AS texts FROM Message GROUP BY sender ORDER BY sender",
        ),
        [{ sender: 1, rows: 3, texts: 0 }, { sender: 2, rows: OTHERS, texts: OTHERS }],
      );
    } finally {
      await db.close();
    }
  },
);
