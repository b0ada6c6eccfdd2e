/**
 * The yardstick for messages that are stored: the group commit's transaction alone, one after the other, straight through
 * the driver. Nobody sends, nobody is told.
 *
 *     commit.ts --mysql URL | --sqlite PATH  BATCH CONVERSATIONS MS
 *
 * Prints `{"messages", "ms", "p50Ms"}`: what was stored, how long that took, and the middle transaction.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import mysql, { type Connection, type RowDataPacket } from "mysql2";
import { median } from "./side_by_side.ts";

/** Stores one batch, all in one transaction. */
type Commit = (batch: readonly Message[]) => Promise<void> | void;

interface Message {
  conversation: string;
  sender: number;
  text: string;
}

const TEXT = `{"msgid":6,"id":123,"name":"user 123","toid":124,"msg":"${
  "x".repeat(64)
}","time":"2026-01-01 00:00:00"}`;

/** How many messages each conversation gets, in the order of ids. */
function countByConversation(batch: readonly Message[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { conversation } of batch) counts.set(conversation, (counts.get(conversation) ?? 0) + 1);
  return new Map([...counts].sort(([a], [b]) => a < b ? -1 : 1));
}

/** Gives each message its place, from the conversations' ends. */
function place(
  batch: readonly Message[],
  ends: Map<string, number>,
  counts: Map<string, number>,
): unknown[][] {
  const next = new Map([...ends].map(([id, end]) => [id, end - (counts.get(id) ?? 0) + 1]));
  const at = Date.now();
  return batch.map(({ conversation, sender, text }) => {
    const seq = next.get(conversation) ?? NaN;
    next.set(conversation, seq + 1);
    return [conversation, seq, sender, null, at, text];
  });
}

function commitMysql(connection: Connection): Commit {
  const run = (sql: string, params: unknown[] = []) =>
    new Promise<RowDataPacket[]>((resolve, reject) => {
      connection.query<RowDataPacket[]>(sql, params, (error, rows) => error ? reject(error) : resolve(rows));
    });
  return async (batch) => {
    const counts = countByConversation(batch);
    const ids = [...counts.keys()];
    await run("START TRANSACTION");
    await run(
      `INSERT INTO Conversation (id, last_seq, members) VALUES ${ids.map(() => "(?,?,2)").join(",")} ` +
        "ON DUPLICATE KEY UPDATE last_seq = last_seq + VALUES(last_seq)",
      [...counts].flat(),
    );
    const rows = await run(
      `SELECT id, last_seq FROM Conversation WHERE id IN (${ids.map(() => "?").join(",")})`,
      ids,
    );
    const placed = place(batch, new Map(rows.map(({ id, last_seq }) => [id, Number(last_seq)])), counts);
    await run(
      `INSERT INTO Message (conversation, seq, sender, cid, at, message) VALUES ${
        placed.map(() => "(?,?,?,?,?,?)").join(",")
      }`,
      placed.flat(),
    );
    await run("COMMIT");
  };
}

function commitSqlite(path: string): Commit {
  const db = new DatabaseSync(path);
  db.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536; " +
      "PRAGMA wal_autocheckpoint = 4000",
  );
  const bump = db.prepare(
    "INSERT INTO Conversation (id, last_seq, members) VALUES (?, ?, 2) " +
      "ON CONFLICT (id) DO UPDATE SET last_seq = last_seq + excluded.last_seq RETURNING last_seq",
  );
  const insert = db.prepare(
    "INSERT INTO Message (conversation, seq, sender, cid, at, message) VALUES (?, ?, ?, ?, ?, ?)",
  );
  return (batch) => {
    const counts = countByConversation(batch);
    db.exec("BEGIN IMMEDIATE");
    const ends = new Map([...counts].map(([id, count]) => [id, Number(bump.get(id, count)?.last_seq)]));
    for (const [conversation, seq, sender, cid, at, text] of place(batch, ends, counts)) {
      insert.run(
        String(conversation),
        Number(seq),
        Number(sender),
        cid === null ? null : String(cid),
        Number(at),
        String(text),
      );
    }
    db.exec("COMMIT");
  };
}

async function main([kind, target = "", batchText, conversationsText, msText]: string[]): Promise<void> {
  const connection = kind === "--mysql"
    ? mysql.createConnection({ uri: target, charset: "utf8mb4" })
    : undefined;
  if (connection) {
    await new Promise<void>((resolve, reject) => {
      connection.query(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        (error) => error ? reject(error) : resolve(),
      );
    });
  }
  const commit = connection ? commitMysql(connection) : commitSqlite(target);
  const batchSize = Number(batchText);
  const conversations = Number(conversationsText);
  let next = 0;
  const makeBatch = () =>
    Array.from({ length: batchSize }, (): Message => {
      const pair = next++ % conversations;
      return {
        conversation: `u${2 * pair + 1}-${2 * pair + 2}`,
        sender: 2 * pair + 1 + next % 2,
        text: TEXT,
      };
    });
  // The first ones make the conversations and compile the code.
  const warmUntil = performance.now() + 300;
  while (performance.now() < warmUntil || next < 2 * conversations) await commit(makeBatch());
  const startedAt = performance.now();
  const times: number[] = [];
  let messages = 0;
  for (let now = startedAt; now - startedAt < Number(msText);) {
    await commit(makeBatch());
    const then = now;
    now = performance.now();
    times.push(now - then);
    messages += batchSize;
  }
  console.log(JSON.stringify({ messages, ms: performance.now() - startedAt, p50Ms: median(times) }));
  connection?.end();
}

if (import.meta.main) await main(Deno.args);
