/** Statements whose cost is to depend on what they return, and not on what else there is: none reads a table from end to end. */
import { assert, assertEquals } from "@std/assert";
import { MessageLog } from "../../lib/log/message_log.ts";
import { Actions } from "../../lib/store/actions.ts";
import { Conversations } from "../../lib/store/conversations.ts";
import type { Database, Row, SqlValue } from "../../lib/store/database.ts";
import { finishDeletion } from "../../lib/store/delete_user.ts";
import { Ends } from "../../lib/store/ends.ts";
import { Messages } from "../../lib/store/messages.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openMysql } from "../../lib/store/mysql.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { Users } from "../../lib/store/users.ts";
import { startMariaDb } from "../support/services.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const CONVERSATIONS = 5_000;
const OTHERS = 1_000;

interface Statement {
  sql: string;
  params: readonly SqlValue[];
}

/** A database that notes what is asked of it. */
function noting(db: Database, statements: Statement[]): Database {
  return {
    dialect: db.dialect,
    run: (sql, params) => db.run(sql, params),
    insert: (insertion) => db.insert(insertion),
    transaction: (work) => db.transaction(work),
    close: () => db.close(),
    query<Shape extends Row>(sql: string, params: readonly SqlValue[] = []): Promise<Shape[]> {
      statements.push({ sql, params });
      return db.query<Shape>(sql, params);
    },
  };
}

/** User 1 is in all of the conversations, each other one in one; and some are of others altogether. */
async function fill(db: Database): Promise<void> {
  await db.insert({
    into: "INSERT INTO User (id, name, password)",
    rows: Array.from({ length: CONVERSATIONS + 1 }, (_, i) => [i + 1, `user ${i + 1}`, ""]),
  });
  const places = Array.from(
    { length: CONVERSATIONS },
    (_, i): [string, number, number] => [`u1-${i + 2}`, 1, i + 2],
  );
  for (let i = 0; i < OTHERS; i++) places.push([`u${i + 2}-${i + 3}`, i + 2, i + 3]);
  await db.insert({
    into: "INSERT INTO Conversation (id, last_seq, last_chat, members, at)",
    rows: places.map(([id], i) => [id, 3, 3, 2, i]),
  });
  await db.insert({
    into: "INSERT INTO Member (userid, conversation)",
    rows: places.flatMap(([id, one, other]) => [[one, id], [other, id]]),
  });
  await db.insert({
    into: "INSERT INTO Message (conversation, seq, sender, at, message)",
    rows: places.flatMap(([id, one, other], i) =>
      [1, 2, 3].map((seq) => [id, seq, seq === 2 ? one : other, i, '{"msg":"hello"}'])
    ),
  });
  await db.run("UPDATE Message SET cid = ? WHERE conversation = 'u2-3' AND seq = 2", [
    new TextEncoder().encode("its cid"),
  ]);
  await db.insert({
    into: "INSERT INTO Mention (conversation, userid, seq)",
    rows: places.map(([id, one]) => [id, one, 3]),
  });
  for (const [table, columns] of [["Reaction", "emoji, userid, at"], ["ReactionCount", "emoji, users"]]) {
    await db.insert({
      into: `INSERT INTO ${table} (conversation, seq, ${columns})`,
      rows: places.map((
        [id, one],
      ) => [id, 1, new Uint8Array([65]), 1, ...(table === "Reaction" ? [one] : [])]),
    });
  }
  await db.insert({
    into: "INSERT INTO Pin (conversation, seq, userid, at)",
    rows: places.map(([id, one]) => [id, 1, one, 1]),
  });
}

/**
 * What a page of the list, at the top and further down, and a page of history ask; a message that is sent again; and what is
 * to be changed of a user who is deleted.
 */
async function statementsOf(db: Database): Promise<Statement[]> {
  const statements: Statement[] = [];
  const noted = noting(db, statements);
  const conversations = new Conversations(noted);
  for (const before of [Number.MAX_SAFE_INTEGER, 2_000]) {
    const { rows } = await conversations.page(1, before, 200);
    assertEquals(rows.length, 200);
    const unread = await conversations.unread(1, rows);
    assertEquals(new Set(unread.values()), new Set([2]));
    assertEquals((await conversations.last(1, rows)).size, 200);
    assertEquals(new Set((await conversations.mentions(1, rows)).values()), new Set([1]));
    await new Messages(noted).peers(1, rows.map(({ conversation }) => conversation));
    await new Users(noted).some(rows.map(({ conversation }) => Number(conversation.slice(3))));
  }
  const marks = await new Actions(noted).marks("u1-7", 1, 200, 1);
  assertEquals(marks.get(1)?.isPinned, true);
  await new Actions(noted).editions("u1-7", 1, 1);
  const log = new MessageLog({
    db: noted,
    logger: SILENT,
    onStored() {},
    ends: new Ends(),
    onBehind: () => Promise.resolve(),
  });
  assertEquals((await log.repeat(2, "its cid"))?.conversation, "u2-3");
  const onProgress = () => Promise.resolve();
  // Two in one of its conversations, and the one with a cid in the other.
  assertEquals((await finishDeletion(noted, { userId: 2, withMessages: true, onProgress })).messages, 3);
  assert(statements.length > 10);
  return statements;
}

Deno.test("SQLite: lists and history read no table from end to end", async () => {
  const db = openSqlite(":memory:");
  try {
    await migrate(db, SILENT);
    await fill(db);
    for (const { sql, params } of await statementsOf(db)) {
      const plan = await db.query<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params);
      const scans = plan.map(({ detail }) => detail)
        // A subquery's own rows, and the ids that were asked for.
        .filter((detail) =>
          /^SCAN (?!t$|json_each|CONSTANT ROW)/.test(detail) ||
          // The entry of a mention is looked up, and not the mention of each entry.
          /^SEARCH e (?!.*\(conversation=\? AND seq=\?\))/.test(detail)
        );
      assertEquals(scans, [], sql);
    }
  } finally {
    await db.close();
  }
});

Deno.test("MySQL: lists and history read no table from end to end", async () => {
  await using mariaDb = await startMariaDb();
  const db = await openMysql({ url: await mariaDb.createDatabase("plans"), poolSize: 2, logger: SILENT });
  try {
    await migrate(db, SILENT);
    await fill(db);
    await db.query(
      "ANALYZE TABLE User, Conversation, Member, Message, Mention, Reaction, ReactionCount, Pin, Version",
    );
    const tables = /^(e|m|c|n|User|Member|Message|Mention|Conversation|Reaction|ReactionCount|Pin|Version)$/;
    for (const { sql, params } of await statementsOf(db)) {
      const plan = await db.query<{ table: string | null; type: string | null; key: string | null }>(
        `EXPLAIN ${sql}`,
        params,
      );
      const scans = plan.filter(({ table, type }) =>
        (tables.test(table ?? "") && /^(ALL|index)$/.test(type ?? "")) ||
        // As above.
        (table === "e" && !/^(eq_ref|const)$/.test(type ?? ""))
      );
      assertEquals(scans, [], sql.slice(0, 500));
    }
  } finally {
    await db.close();
  }
});
