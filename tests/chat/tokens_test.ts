import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Devices } from "../../lib/store/devices.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { endTokens, Tokens } from "../../lib/store/tokens.ts";
import { Users } from "../../lib/store/users.ts";
import { createBeatKey, TokenDesk } from "../../lib/chat/tokens.ts";

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
  return { db, tokens, desk, clock, userId, [Symbol.asyncDispose]: () => db.close() };
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
  await desk.revoke(userId);
  await used;
  assertEquals(await tokens.find(userId, hash), undefined);
});

Deno.test("a device's token that is on its way when all end is worth nothing", async () => {
  await using world = await open();
  const { db, userId } = world;
  const devices = new Devices(db);
  const { id } = await devices.create(userId, "phone", 0, [], { max: 1, online: new Set() });
  const rotation = { id, before: 0, issued: 1, tokens: new Uint8Array(32), seen: 1, expires: TTL_MS };
  await db.transaction((tx) => endTokens(tx, userId));
  assertEquals((await devices.rotate([rotation])).size, 0);
  assertEquals((await devices.one(id))?.expires, 0);
});

Deno.test("a key for heartbeats is good as long as its token, is no token, and is another one each time", async () => {
  await using world = await open();
  const { desk, clock, userId } = world;
  const { hash } = await desk.issue(userId, "hash");
  const key = createBeatKey(hash, "hash");
  assert(await desk.recogniseBeat(key, userId, "hash"));
  assertNotEquals(createBeatKey(hash, "hash"), key);
  const [nonce = "", proof = ""] = key.split(".");
  const wrong = [
    "",
    nonce,
    `${nonce}.`,
    `.${proof}`,
    `${proof}.${nonce}`,
    `${nonce}.${proof}A`,
    `A${key.slice(1)}`,
  ]
    .filter((text) => text !== key);
  for (const text of wrong) assertEquals(await desk.recogniseBeat(text, userId, "hash"), false, text);
  assertEquals(await desk.recogniseBeat(key, userId, "another"), false, "the password has changed");
  assertEquals(await desk.recogniseBeat(key, userId + 1, "hash"), false, "somebody else's");
  for (const text of [key, proof, `${userId}.${proof}`]) {
    assertEquals(await desk.recognise(text, userId, "hash"), undefined);
  }
  clock.now = TTL_MS;
  assertEquals(await desk.recogniseBeat(key, userId, "hash"), false, "expired");
  clock.now = 0;
  await desk.issue(userId, "hash");
  assertEquals(await desk.recogniseBeat(key, userId, "hash"), false, "another token has taken the place");
});
