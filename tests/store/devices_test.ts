/** A device and its positions go together, whoever else is writing them. */
import { assertEquals } from "@std/assert";
import type { Database } from "../../lib/store/database.ts";
import { Devices } from "../../lib/store/devices.ts";
import { Messages } from "../../lib/store/messages.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openMysql } from "../../lib/store/mysql.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { startMariaDb } from "../support/services.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const ROUNDS = 60;
const CONVERSATIONS = ["u1-2", "u1-3", "u1-4"] as const;

/** Devices are removed while positions of theirs, and of others, are on their way. */
async function race(db: Database): Promise<void> {
  await migrate(db, SILENT);
  const [devices, messages] = [new Devices(db), new Messages(db)];
  const room = { max: 1_000, online: new Set<number>() };
  const { id: other } = await devices.create(1, "other", 0, [], room);
  const moves = (device: number, delivered: number) =>
    CONVERSATIONS.map((conversation) => ({ userId: 1, device, conversation, delivered, read: 0 }));
  for (let round = 1; round <= ROUNDS; round++) {
    const { id } = await devices.create(1, "one", 0, [], room);
    await Promise.all([
      messages.advanceDevices([...moves(id, round), ...moves(other, round)]),
      devices.remove([id]),
      messages.advanceDevices([...moves(other, round), ...moves(id, round)]),
    ]);
    await messages.advanceDevices(moves(id, round + 1));
  }
  const rows = await db.query<{ device: number; delivered: number }>(
    "SELECT device, delivered FROM DeviceCursor ORDER BY device, conversation",
  );
  assertEquals(
    rows.map(({ device, delivered }) => [device, delivered]),
    CONVERSATIONS.map(() => [other, ROUNDS]),
  );
}

Deno.test("positions of a device that is removed meanwhile are not written, SQLite", async () => {
  const db = openSqlite(":memory:");
  try {
    await race(db);
  } finally {
    await db.close();
  }
});

Deno.test("positions of a device that is removed meanwhile are not written, MySQL", async () => {
  await using server = await startMariaDb();
  const db = await openMysql({ url: server.url, poolSize: 4, logger: SILENT });
  try {
    await race(db);
  } finally {
    await db.close();
  }
});
