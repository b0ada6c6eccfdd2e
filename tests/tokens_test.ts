import { assert, assertEquals } from "@std/assert";
import { migrate } from "../lib/store/migrations.ts";
import { openSqlite } from "../lib/store/sqlite.ts";
import { Tokens } from "../lib/store/tokens.ts";
import { Users } from "../lib/store/users.ts";
import { TokenDesk } from "../lib/tokens.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const TTL_MS = 1_000;

/** A user in a database in memory, and a desk that gives it tokens. */
async function open() {
  const db = openSqlite(":memory:");
  await migrate(db, SILENT);
  const userId = await new Users(db).create("ann", "hash") ?? 0;
  const tokens = new Tokens(db);
  const clock = { now: 0 };
  const desk = new TokenDesk(tokens, TTL_MS, () => clock.now);
  return { tokens, desk, clock, userId, [Symbol.asyncDispose]: () => db.close() };
}

Deno.test("a token's time begins anew in its second half, and not in the first", async () => {
  await using world = await open();
  const { tokens, desk, clock, userId } = world;
  const { token, hash } = await desk.issue(userId, "hash");
  clock.now = 400;
  assert(await desk.recognise(token, userId, "hash"));
  assertEquals(await tokens.find(userId, hash), TTL_MS);
  clock.now = 600;
  assert(await desk.recognise(token, userId, "hash"));
  assertEquals(await tokens.find(userId, hash), 600 + TTL_MS);
  clock.now = 600 + TTL_MS;
  assertEquals(await desk.recognise(token, userId, "hash"), undefined);
});

Deno.test("a token that becomes worthless while its time begins anew stays so", async () => {
  await using world = await open();
  const { tokens, desk, clock, userId } = world;
  const { token, hash } = await desk.issue(userId, "hash");
  clock.now = 600;
  const used = desk.recognise(token, userId, "hash");
  await desk.revoke(hash);
  await used;
  assertEquals(await tokens.find(userId, hash), undefined);
});
