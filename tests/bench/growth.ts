/**
 * Target 7: what a million stored messages change for those who log in, write and read.
 *
 * @module
 */
import type { Condition, Database, Dialect } from "../../lib/store/database.ts";
import { createAccounts, insert } from "./accounts.ts";
import {
  type Bench,
  type BenchContext,
  mariaDbStorage,
  sqliteStorage,
  startNode,
  type Storage,
  withStorage,
} from "./bench.ts";
import { type Account, LoadClient } from "./load_client.ts";
import { median } from "./side_by_side.ts";

/** Messages in all, in how many conversations, and in the longest of them. */
interface Volume {
  messages: number;
  conversations: number;
  longest: number;
}

const SMALL: Volume = { messages: 10_000, conversations: 100, longest: 2_000 };
const LARGE: Volume = { messages: 1_000_000, conversations: 10_000, longest: 200_000 };
const SAMPLES = 150;
const PAGE = 50;
const TEXT = `{"msgid":6,"id":1,"name":"user 1","toid":2,"msg":"${
  "x".repeat(64)
}","time":"2026-01-01 00:00:00"}`;

/** What must not cost more, as the models say it. */
function statements({ isOneOf }: Dialect): Record<string, Condition> {
  const positions = isOneOf("m.userid", [1]);
  const conversations = isOneOf("id", ["u1-2"]);
  return {
    "login: positions": {
      sql: "SELECT m.userid, m.conversation, m.since, m.delivered, m.`read`, c.last_seq FROM Member m " +
        `JOIN Conversation c ON c.id = m.conversation WHERE ${positions.sql} ORDER BY m.conversation`,
      params: positions.params,
    },
    "append: conversation": {
      sql: `SELECT id, last_seq, members FROM Conversation WHERE ${conversations.sql}`,
      params: conversations.params,
    },
    "history: a page": {
      sql: "SELECT seq, sender, at, message FROM Message WHERE conversation = ? AND seq > ? AND seq < ? " +
        "ORDER BY seq DESC LIMIT 51",
      params: ["u1-2", 0, 100_000],
    },
  };
}

/** How many messages conversation `index` holds; the first is the longest. */
function lengthOf({ messages, conversations, longest }: Volume, index: number): number {
  return index === 0 ? longest : Math.floor((messages - longest) / (conversations - 1));
}

/** Pairs of users, each with a conversation of its own, everything delivered. */
async function fill(db: Database, volume: Volume): Promise<Account[]> {
  const { conversations } = volume;
  const accounts = await createAccounts(db, 2 * conversations);
  const ids = Array.from({ length: conversations }, (_, index) => `u${2 * index + 1}-${2 * index + 2}`);
  await insert(
    db,
    "INSERT INTO Conversation (id, last_seq, members) VALUES",
    "(?,?,2)",
    ids.map((id, index) => [id, lengthOf(volume, index)]),
  );
  await insert(
    db,
    "INSERT INTO Member (userid, conversation, since, delivered, `read`) VALUES",
    "(?,?,0,?,0)",
    ids.flatMap((id, index) => [1, 2].map((who) => [2 * index + who, id, lengthOf(volume, index)])),
  );
  await fillConversations(db, "c.id = 'u1-2'", volume.longest);
  await fillConversations(db, "c.id <> 'u1-2'", lengthOf(volume, 1));
  return accounts;
}

/** The database counts for itself: a million rows through the driver would take most of the bench's time. */
async function fillConversations(db: Database, which: string, length: number): Promise<void> {
  const numbers = db.dialect.name === "mysql"
    ? `SELECT seq AS n FROM seq_1_to_${length}`
    : `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${length}) SELECT n FROM numbers`;
  await db.run(
    "INSERT INTO Message (conversation, seq, sender, at, message) " +
      `SELECT c.id, x.n, 1, 1700000000000, ? FROM Conversation c CROSS JOIN (${numbers}) x WHERE ${which} ORDER BY c.id, x.n`,
    [TEXT],
  );
}

async function explain(db: Database, { sql, params }: Condition): Promise<string[]> {
  const isMysql = db.dialect.name === "mysql";
  const rows = await db.query(`EXPLAIN ${isMysql ? "" : "QUERY PLAN "}${sql}`, params);
  return rows.map((row) =>
    isMysql ? `${row.table}: ${row.type}, key ${row.key}, rows ${row.rows}, ${row.Extra}` : String(row.detail)
  );
}

/** One after the other, the middle of many, ms. */
async function timed(work: (index: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < SAMPLES; index++) {
    const startedAt = performance.now();
    await work(index);
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

/** What users of a node wait for, ms. */
async function costs(
  { gate }: BenchContext,
  storage: Storage,
  accounts: readonly Account[],
): Promise<Record<string, number>> {
  await using server = await startNode(storage);
  const open = async (account: Account) => {
    const client = await LoadClient.connect(account, server.port, gate);
    await client.logIn();
    return client;
  };
  const [first, second] = accounts;
  if (!first || !second) throw new Error("There are no users");
  const client = await open(first);
  const visitors: LoadClient[] = [];
  const login = await timed(async (index) => visitors.push(await open(accounts[index + 2] ?? second)));
  for (const visitor of visitors) visitor.close();
  const append = await timed((index) =>
    client.request(
      `{"msgid":6,"cid":"g${index}","id":1,"name":"${first.name}","toid":2,"msg":"x","time":"2026-01-01 00:00:00"}`,
    )
  );
  const history = await timed((index) =>
    client.request(`{"msgid":15,"conversation":"u1-2","before":${1_000 + index},"limit":${PAGE}}`)
  );
  client.close();
  return { login, append, "a page of history": history };
}

/** Small and large side by side, and how the databases go about it. */
export const growth: Bench = async (context) => {
  const { report, say } = context;
  for (const makeStorage of [sqliteStorage, mariaDbStorage]) {
    await using small = await makeStorage();
    await using large = await makeStorage();
    say(`${LARGE.messages} messages in ${large.name}`);
    const fewAccounts = await withStorage(small, (db) => fill(db, SMALL));
    const manyAccounts = await withStorage(large, async (db) => {
      const accounts = await fill(db, LARGE);
      for (const [what, statement] of Object.entries(statements(db.dialect))) {
        for (const line of await explain(db, statement)) say(`  ${large.name}, ${what}: ${line}`);
      }
      return accounts;
    });
    const few = await costs(context, small, fewAccounts);
    const many = await costs(context, large, manyAccounts);
    for (const [what, ms] of Object.entries(many)) {
      report({
        target: 7,
        what: `${what} with ${LARGE.messages} messages, ${large.name}: p50`,
        value: ms,
        unit: "ms",
        yardstick: { name: `${SMALL.messages} messages`, value: few[what] ?? NaN },
        goal: { at: "most", bound: 1.5 },
      });
    }
  }
};
