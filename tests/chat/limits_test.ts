/** What one user may have of a node: messages and bytes a second, look-ups, and what may wait for somebody who is away. */

import { assert, assertEquals, assertGreater, assertGreaterOrEqual, assertLess } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { LimitBook, LimitCounters } from "../../lib/chat/limit_book.ts";
import { Backlogs } from "../../lib/log/backlogs.ts";
import { Quota, Quotas } from "../../lib/chat/quotas.ts";
import type { Database } from "../../lib/store/database.ts";
import { Users } from "../../lib/store/users.ts";
import {
  chat,
  type ChatClient,
  type Frame,
  groupChat,
  newPerson,
  type Person,
  signUp,
} from "../support/chat_client.ts";
import { ChatClient as Client } from "../support/chat_client.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { ratesOf } from "../support/rates.ts";
import { type MariaDb, startMariaDb, startServer } from "../support/services.ts";

const encoder = new TextEncoder();
const unit = { permissions: "none" } as const;

/** How many of something there are. */
function count<Item>(items: readonly Item[], isCounted: (item: Item) => boolean): number {
  return items.filter(isCounted).length;
}

Deno.test("whom a limit meets is known for a minute, or for as long as there is to wait", unit, () => {
  let now = 1_000;
  const counters = new LimitCounters();
  const book = new LimitBook(counters, () => now);
  const seen = () =>
    book.list(10).entries.map(({ limit, userId, person, times }) => [limit, userId, person, times]);
  book.note("messages", { userId: 1, person: "192.0.2.1" }, 500);
  book.note("guesses", { userId: 2, person: "192.0.2.1" }, 900_000);
  now += 59_999;
  book.note("messages", { userId: 1, person: "192.0.2.1" }, 500);
  book.note("signups", {}, 500);
  assertEquals([counters.messages, counters.signups], [2, 1]);
  assertEquals(seen(), [["messages", 1, "192.0.2.1", 2], ["guesses", 2, "192.0.2.1", 1]]);
  assertEquals(book.list(1), { entries: book.list(10).entries.slice(0, 1), count: 2 });
  now += 60_000;
  assertEquals(seen(), [["guesses", 2, "192.0.2.1", 1]]);
  book.note("messages", { userId: 1, person: "192.0.2.1" }, 500);
  assertEquals(seen()[0], ["messages", 1, "192.0.2.1", 1], "it begins anew");
  assertEquals(book.lift({ userId: 2 }).map(({ person }) => person), ["192.0.2.1"]);
  assertEquals(seen(), [["messages", 1, "192.0.2.1", 1]]);
  book.lift({ person: "192.0.2.1" });
  assertEquals(seen(), []);
  book.note("undelivered", { userId: 1 });
  assertEquals(book.lift({ userId: 1 }), [], "what waits for others is not lifted");
  assertEquals(seen(), [["undelivered", 1, undefined, 1]]);
  now += 60_000;
  for (let userId = 1; userId <= 10_001; userId++) book.note("lookups", { userId }, 60_000);
  assertEquals([book.list(1).count, book.list(1).entries[0]?.userId], [10_000, 10_001]);
});

Deno.test("of whom limits are lifted nothing is counted any more", unit, () => {
  const now = 0;
  const quotas = new Quotas(ratesOf({ messageRate: 1, requestRate: 1 }), () => now);
  const spend = (userId: number) => {
    while (quotas.of(userId).tryMessage(now, 1) === 0);
    return quotas.of(userId).tryMessage(now, 1);
  };
  for (const userId of [1, 2]) assertGreater(spend(userId), 0);
  const session = {};
  while (quotas.ofConnection(session).take("requests", now) === 0);
  quotas.forget(1, [session]);
  assertEquals(quotas.ofConnection(session).take("requests", now), 0);
  assertEquals([1, 2].map((userId) => quotas.of(userId).tryMessage(now, 1) === 0), [true, false]);
});

Deno.test("ten seconds' worth may come at once, and who is over it is refused for a second", unit, () => {
  const quota = new Quota(ratesOf({ messageRate: 5, byteRate: 1_000 }));
  for (let sent = 0; sent < 50; sent++) assertEquals(quota.tryMessage(0, 10), 0);
  assertEquals(quota.tryMessage(0, 10), 1_000);
  assertEquals(quota.tryMessage(900, 10), 100, "what is earned meanwhile waits for its turn");
  for (let sent = 0; sent < 5; sent++) assertEquals(quota.tryMessage(1_000, 10), 0);
  assertEquals(quota.tryMessage(1_000, 10), 1_000);
  assertEquals(quota.isFull(10_999), false);
  assertEquals(quota.isFull(11_000), true);
});

Deno.test("a message longer than all that may come at once goes, and the next one waits for it", unit, () => {
  const quota = new Quota(ratesOf({ byteRate: 100 }));
  assertEquals(quota.tryMessage(0, 5_000), 0);
  assertEquals(quota.tryMessage(0, 1), 40_010);
  const slow = new Quota(ratesOf({ messageRate: 10 }));
  for (let sent = 0; sent < 100; sent++) assertEquals(slow.takeMessage(0, 1e9), 0);
  assertEquals([slow.takeMessage(0, 1), slow.takeMessage(0, 1)], [100, 200]);
});

Deno.test("nothing is refused where there is no limit", unit, () => {
  const quota = new Quota(ratesOf());
  for (let sent = 0; sent < 10_000; sent++) assertEquals(quota.tryMessage(0, 1e6), 0);
});

Deno.test("users are remembered as long as they have used something, and no longer", unit, () => {
  let now = 0;
  const quotas = new Quotas(ratesOf({ messageRate: 1 }), () => now);
  for (let id = 1; id <= 10_000; id++) quotas.of(id).tryMessage(now, 1);
  assertEquals(quotas.of(1), quotas.of(1));
  assertEquals(quotas.size, 10_000);
  now = 60_000;
  for (let id = 10_001; id <= 20_000; id++) quotas.of(id);
  assertLess(quotas.size, 5_000);
});

Deno.test("what waits is counted in long conversations only, and not at each message", async () => {
  let now = 0;
  const queries: string[] = [];
  const found = { delivered: 0, waiting: 0, bytes: 0 };
  const backlogs = new Backlogs({
    maxMessages: 100,
    maxBytes: 100_000,
    maxFrameBytes: 1_000,
    now: () => now,
    messages: {
      undelivered: (conversation, userId) => {
        queries.push(`${conversation} ${userId}`);
        return Promise.resolve(found);
      },
      textBytes: (_conversation, seq) => Promise.resolve(found.bytes + seq),
    },
  });
  const send = (newest: number, bytes = 10) => backlogs.take("u1-2", 1, 2, newest, bytes);
  const settled = () => new Promise((resolve) => setTimeout(resolve));
  for (let seq = 0; seq < 100; seq++) assert(send(seq));
  assertEquals(queries, [], "a short conversation");
  // Read as fast as it is written: one question a hundred messages.
  for (let seq = 100; seq < 1_000; seq++) {
    now += 20;
    assert(send(seq));
    await settled();
  }
  assertLess(queries.length, 11);
  assertEquals(new Set(queries), new Set(["u1-2 2"]));

  found.waiting = 100;
  for (let seq = 1_000; seq < 1_200; seq++) {
    now += 20;
    send(seq);
    await settled();
  }
  assertEquals(send(1_200), false);
  assert(backlogs.take("u1-2", 2, 1, 1_200, 10), "the other direction is another matter");
  found.waiting = 10;
  now += 1_000;
  send(1_201);
  await settled();
  assertEquals(send(1_202), true);

  found.bytes = 100_000;
  for (let sent = 0; sent < 100; sent++) {
    now += 20;
    send(1_300, 5_000);
    await settled();
  }
  assertEquals(send(1_300), false, "few, but long");
});

/** The errnos of the replies, without repetitions: in which order messages were taken and refused. */
function course(replies: readonly Frame[]): (number | undefined)[] {
  return replies.map(({ errno }) => errno).filter((errno, index, all) => errno !== all[index - 1]);
}

function messages(from: Person, to: { id: number }, howMany: number, msg = "x"): Frame[] {
  return Array.from({ length: howMany }, (_, index) => chat(from, to.id, `${index}${msg}`));
}

async function absent(port: number, name: string): Promise<{ id: number }> {
  await using client = await Client.connect(port);
  return { id: await signUp(client, name) };
}

async function limitedBy(metrics: string, limit: string): Promise<number> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  return Number(new RegExp(`chat_limited_total\\{limit="${limit}"\\} (\\d+)`).exec(text)?.[1]);
}

Deno.test("a version 2 user who writes too fast is told when to come back, on whichever connection, and goes on in order", async () => {
  await using server = await startServer([
    "--sqlite",
    ":memory:",
    "--message-rate",
    "20",
    "--http",
    "127.0.0.1:0",
  ]);
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  await using eve = await newPerson(server.port, "eve", { v: 2 });
  const bob = await absent(server.port, "bob");
  const replies = await eve.client.requestAll(messages(eve, bob, 300));
  assertEquals(course(replies), [0, 8]);
  const taken = count(replies, ({ errno }) => errno === 0);
  assertGreaterOrEqual(taken, 200);
  assertLess(taken, 300);
  const { retry_after_ms = 0 } = replies.at(-1) ?? {};
  assertGreater(retry_after_ms, 0);
  assert(retry_after_ms <= 1_000);
  // Nobody else is held up, not even in what they write to the same one.
  assertEquals((await ann.client.request(chat(ann, bob.id, "hi"))).errno, 0);

  await using again = await Client.connect(server.port);
  assertEquals((await again.request({ msgid: 21, v: 2, token: eve.reply.token })).errno, 0);
  const more = await again.requestAll(messages({ ...eve, client: again }, bob, 50));
  assertEquals(more.at(-1)?.errno, 8);
  await waitFor("her to be let in again", async () => {
    const { errno, retry_after_ms } = await again.request(chat(eve, bob.id, "and now?"));
    if (errno === 8) await new Promise((resolve) => setTimeout(resolve, retry_after_ms));
    return errno === 0;
  });
  const { host, port } = server.address("http");
  assertGreater(await limitedBy(`${host}:${port}`, "messages"), 0);
});

Deno.test("a version 1 user who writes too fast is read more slowly, and loses nothing", async () => {
  await using server = await startServer(["--sqlite", ":memory:", "--message-rate", "20"]);
  await using old = await newPerson(server.port, "old");
  await using ann = await newPerson(server.port, "ann");
  const start = performance.now();
  for (const frame of messages(old, ann, 240)) await old.client.send(frame);
  const received = await ann.client.receiveMany(240);
  assertEquals(received.map(({ msg }) => msg), messages(old, ann, 240).map(({ msg }) => msg));
  assertGreater(performance.now() - start, 1_500);
});

Deno.test("the length of messages is limited likewise, in groups too", async () => {
  await using server = await startServer(["--sqlite", ":memory:", "--byte-rate", "2K"]);
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  const { groupid = 0 } = await ann.client.request({ msgid: 8, id: ann.id, groupname: "g", groupdesc: "d" });
  // Bytes count, and not characters: these 2 000 are 4 000.
  const long = "x".repeat(1_000) + "\u6e2c".repeat(1_000);
  const replies = await ann.client.requestAll([
    ...messages(ann, ann, 3, long),
    ...Array.from({ length: 5 }, () => groupChat(ann, groupid, long)),
  ]);
  assertEquals(course(replies), [0, 8]);
  assertEquals(count(replies, ({ errno }) => errno === 0), 5);
});

/** Sends one message after the other until one is refused; resolves with how many were not. */
async function sendUntilRefused(
  from: Person,
  to: { id: number },
  most: number,
  msg: string,
): Promise<number> {
  for (let sent = 0; sent < most; sent++) {
    const { errno, retry_after_ms } = await from.client.request(chat(from, to.id, msg));
    if (errno === 0) continue;
    assertEquals([errno, retry_after_ms], [8, undefined]);
    return sent;
  }
  return most;
}

async function readAll(client: ChatClient, conversation: string, seq: number): Promise<void> {
  assertEquals((await client.request({ msgid: 12, conversation, seq })).errno, 0);
}

for (
  const [what, args, msg] of [
    ["messages", ["--undelivered-messages", "20"], "short"],
    ["bytes", ["--undelivered-bytes", "80K", "--max-frame", "8K"], "x".repeat(4_000)],
  ] as const
) {
  Deno.test(`no more than so many ${what} wait from one sender for one receiver`, async () => {
    await using server = await startServer(["--sqlite", ":memory:", ...args]);
    await using eve = await newPerson(server.port, "eve", { v: 2 });
    await using ann = await newPerson(server.port, "ann", { v: 2 });
    const [bob, cy] = [await newPerson(server.port, "bob", { v: 2 }), await absent(server.port, "cy")];
    bob.client.close();
    const sent = await sendUntilRefused(eve, bob, 200, msg);
    assertGreaterOrEqual(sent, 19);
    assertLess(sent, 60);
    // Others may write to him, and she to others.
    assertEquals((await ann.client.request(chat(ann, bob.id, msg))).errno, 0);
    assertEquals((await eve.client.request(chat(eve, cy.id, msg))).errno, 0);

    await using back = await Client.connect(server.port);
    const { conversations } = await back.request({ msgid: 21, v: 2, token: bob.reply.token });
    const conversation = `u${eve.id}-${bob.id}`;
    assertEquals(conversations?.find((one) => one.conversation === conversation)?.last_seq, sent);
    await readAll(back, conversation, sent);
    await waitFor(
      "room for more",
      async () => (await eve.client.request(chat(eve, bob.id, msg))).errno === 0,
    );
  });
}

Deno.test("look-ups of people and groups are counted together, and a list of everybody is out of reach", async () => {
  await using server = await startServer(["--sqlite", ":memory:"]);
  await using eve = await newPerson(server.port, "eve", { v: 2 });
  const ask = (index: number) =>
    index % 2 === 0
      ? { msgid: 7, id: eve.id, friendid: 1_000 + index }
      : { msgid: 9, id: eve.id, groupid: 1_000 + index };
  const replies = await eve.client.requestAll(Array.from({ length: 300 }, (_, index) => ask(index)));
  const answered = count(replies, ({ errno }) => errno === 6);
  assertGreaterOrEqual(answered, 100);
  assertLess(answered, 110);
  assertEquals(count(replies, ({ errno }) => errno === 8), 300 - answered);
  assertGreater(replies.findLast(({ errno }) => errno === 8)?.retry_after_ms ?? 0, 0);
});

/** How many SELECTs the database has run while `work` went on. */
async function selectsDuring(mariaDb: MariaDb, work: () => Promise<unknown>): Promise<number> {
  const read = async () => Number((await mariaDb.sql("SHOW GLOBAL STATUS LIKE 'Com_select'")).split("\t")[1]);
  const before = await read();
  await work();
  return await read() - before;
}

Deno.test("what is far outside of all there is asks the database for nothing", async (t) => {
  await using mariaDb = await startMariaDb();
  await using server = await startServer(["--mysql", mariaDb.url, "--message-rate", "0"]);
  /** Fewer than refused frames are counted a flood, and many more than the node asks by itself meanwhile. */
  const [many, few] = [400, 50];
  for (
    const { what, ask, errno } of [
      { what: "DELIVERED", ask: { msgid: 12, seq: 1_000 }, errno: 4 },
      { what: "READ", ask: { msgid: 13, seq: Number.MAX_SAFE_INTEGER }, errno: 4 },
      { what: "RECALL", ask: { msgid: 17, seq: 1_000 }, errno: 6 },
      { what: "HISTORY after", ask: { msgid: 15, after: 1_000 }, errno: 0 },
      { what: "HISTORY before", ask: { msgid: 15, before: 1 }, errno: 0 },
      { what: "HISTORY between", ask: { msgid: 15, after: 2, before: -7 }, errno: 0 },
      { what: "ONE_CHAT", ask: { msgid: 6, toid: 1_000_000 }, errno: 6 },
    ]
  ) {
    await t.step(what, async () => {
      await using ann = await newPerson(server.port, what, { v: 2 });
      await ann.client.requestAll(messages(ann, ann, 3));
      const conversation = `u${ann.id}-${ann.id}`;
      const frames = Array.from(
        { length: many },
        () => ({ ...chat(ann, ann.id, "x"), conversation, ...ask }),
      );
      let replies: Frame[] = [];
      const selects = await selectsDuring(mariaDb, async () => {
        replies = await ann.client.requestAll(frames);
      });
      assertEquals(count(replies, (reply) => reply.errno === errno), many);
      assertLess(selects, few);
      await readAll(ann.client, conversation, 3);
    });
  }
});

Deno.test("a user's absence is believed for a second, and no longer than nobody has signed up", async () => {
  let now = 0;
  let queries = 0;
  let answered = Promise.resolve();
  const there = new Set<number>();
  const dialect = { isOneOf: () => ({ sql: "", params: [] }) };
  const users = new Users({
    dialect,
    query: (_sql: string, [id]: [number]) => {
      queries++;
      const rows = there.has(id) ? [{ id }] : [];
      return answered.then(() => rows);
    },
    run: () => Promise.resolve({ changes: 1, insertId: 7 }),
  } as unknown as Database, () => now); // As much of it as is asked here.
  const ask = async (id: number) => users.isKnown(id) ?? await users.exists(id);

  for (let asked = 0; asked < 10; asked++) assertEquals(await ask(5), false);
  assertEquals(queries, 1);
  there.add(5); // Through another node.
  now = 999;
  assertEquals(await ask(5), false);
  now = 1_000;
  assertEquals([await ask(5), await ask(5), queries], [true, true, 2]);

  assertEquals(await ask(7), false);
  const { promise, resolve } = Promise.withResolvers<void>();
  answered = promise;
  const asking = users.exists(7);
  await users.create("ann", "hash"); // Through this one, while it is asked.
  resolve();
  assertEquals([users.isKnown(7), await asking, users.isKnown(7)], [true, true, true]);

  users.forgetKnown();
  assertEquals([users.isKnown(5), users.isKnown(7)], [undefined, undefined]);

  for (let id = 100; id < 20_100; id++) await ask(id);
  assertEquals([users.isKnown(100), users.isKnown(20_099)], [undefined, false], "not all are remembered");
});

Deno.test("who writes to many who do not exist is asked to wait, and those who do are reached meanwhile", async () => {
  await using server = await startServer(
    ["--sqlite", ":memory:", "--message-rate", "0", "--http", "127.0.0.1:0"],
  );
  await using eve = await newPerson(server.port, "eve", { v: 2 });
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  const toNobody = (from: Person, index: number) => chat(from, 1_000 + index, "x");
  // Everybody is asked for once; who exists is no look-up that counts.
  const replies = await eve.client.requestAll(
    Array.from({ length: 300 }, (_, index) => index % 2 ? chat(eve, ann.id, "x") : toNobody(eve, index)),
  );
  const [missed, tooMany] = [6, 8].map((errno) => replies.filter((reply) => reply.errno === errno));
  assertEquals(count(replies, ({ errno }) => errno === 0), 150);
  assertGreaterOrEqual(missed?.length ?? 0, 100);
  assertLess(missed?.length ?? 0, 110);
  assertGreater(tooMany?.at(-1)?.retry_after_ms ?? 0, 0);
  const friend = await eve.client.request({ msgid: 7, id: eve.id, friendid: ann.id });
  assertEquals(friend.errno, 8, "counted together with other look-ups");
  const { host, port } = server.address("http");
  assertGreater(await limitedBy(`${host}:${port}`, "lookups"), 0);

  // Version 1 cannot be told, and is read more slowly.
  await using old = await newPerson(server.port, "old");
  const start = performance.now();
  for (let index = 0; index < 101; index++) await old.client.send(toNobody(old, 1_000 + index));
  await old.client.send(chat(old, old.id, "arrived"));
  await old.client.receiveMany(1);
  assertGreater(performance.now() - start, 500);
});

Deno.test("whoever has hundreds to write to is no flood of look-ups", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  await using server = await startServer(["--sqlite", path, "--message-rate", "0"]);
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  const db = new DatabaseSync(path);
  db.exec(`
    WITH RECURSIVE up (n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM up WHERE n < 1300)
    INSERT INTO User (id, name, name_key, password) SELECT n, 'u' || n, CAST('u' || n AS BLOB), 'x' FROM up`);
  db.close();
  const replies = await ann.client.requestAll(
    Array.from({ length: 300 }, (_, index) => chat(ann, 1_001 + index, "hi")),
  );
  assertEquals(course(replies), [0]);
});

Deno.test("what is closed or slowed down before anybody has logged in is counted, too", async () => {
  await using server = await startServer(
    ["--sqlite", ":memory:", "--http", "127.0.0.1:0", "--auth-timeout", "3s"],
  );
  const { host, port } = server.address("http");
  const clients = await Promise.all(Array.from({ length: 5 }, () => Client.connect(server.port)));
  const [, wrong, long, asking, guessing] = clients;
  await wrong?.sendBytes(encoder.encode("{}".repeat(600)));
  await long?.sendBytes(encoder.encode(`{"msg":"${"x".repeat(70_000)}`));
  // All at once: two hundred more are earned in a second.
  await asking?.sendBytes(encoder.encode('{"msgid":1,"id":1,"password":""}'.repeat(480)));
  await guessing?.sendBytes(encoder.encode('{"msgid":1,"v":2,"id":1,"password":"guess"}'.repeat(6)));
  for (const limit of ["refusals", "frames", "requests", "attempts", "anonymous"]) {
    await waitFor(`${limit} to be counted`, async () => await limitedBy(`${host}:${port}`, limit) > 0);
  }
  for (const client of clients) client.close();
});
