/** Nodes that know the ends of conversations only from what they have stored themselves, on one MySQL: all of them guess, all the time. */
import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../lib/base/clock.ts";
import { DatabaseError } from "../../lib/base/errors.ts";
import { Heads } from "../../lib/log/heads.ts";
import { type Draft, MessageLog, NotMemberError, type Stored } from "../../lib/log/message_log.ts";
import { KIND } from "../../lib/protocol/entries.ts";
import { type Claim, claimPlaces } from "../../lib/store/claims.ts";
import { Contacts } from "../../lib/store/contacts.ts";
import type { Database } from "../../lib/store/database.ts";
import { Ends } from "../../lib/store/ends.ts";
import { part } from "../../lib/store/group_changes.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openMysql } from "../../lib/store/mysql.ts";
import { startMariaDb } from "../support/services.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

async function opened(url: string): Promise<Database & AsyncDisposable> {
  const db = await openMysql({ url, poolSize: 8, logger: SILENT });
  await migrate(db, SILENT);
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.close() });
}

/** What a node knows and stores by. */
function startNode(db: Database, clock: Pick<Clock, "now"> = systemClock) {
  const ends = new Ends();
  const log = new MessageLog({
    db,
    logger: SILENT,
    onStored: () => {},
    ends,
    onBehind: () => Promise.reject(new Error("the database is behind")),
    clock,
  });
  return { log, ends };
}

type Node = ReturnType<typeof startNode>;

function draft(conversation: string, sender: number, text: string): Draft {
  const users = /^u(\d+)-(\d+)$/.exec(conversation)?.slice(1).map(Number);
  const base: Draft = { conversation, sender, text, cid: text };
  return users ? { ...base, users: [users[0] ?? 0, users[1] ?? 0] } : base;
}

async function rowsOf(
  db: Database,
): Promise<Map<string, { seq: number; message: string; hidden: number }[]>> {
  const rows = await db.query<{ conversation: string; seq: number; message: string; hidden: number }>(
    "SELECT conversation, seq, message, hidden FROM Message ORDER BY conversation, seq",
  );
  return Map.groupBy(rows, ({ conversation }) => conversation);
}

/** A group with an entry that tells of its beginning. */
async function makeGroup(db: Database, groupId: number, members: readonly number[]): Promise<void> {
  await db.insert({
    into: "INSERT INTO GroupUser (groupid, userid, grouprole)",
    rows: members.map((userId) => [groupId, userId, "normal"]),
  });
  await db.insert({
    into: "INSERT INTO Conversation (id, last_seq, last_chat, members)",
    rows: [[`g${groupId}`, 1, 1, members.length]],
  });
  await db.insert({
    into: "INSERT INTO Message (conversation, seq, sender, at, message, kind)",
    rows: [[`g${groupId}`, 1, 1, 1, "{}", KIND.system]],
  });
}

/** Removes a member, as a node does. */
function remove({ log }: Node, groupId: number, userId: number): Promise<Stored | undefined> {
  return log.change({
    conversation: `g${groupId}`,
    sender: 1,
    async decide(tx, place) {
      assert(place);
      await part(tx, groupId, userId, place);
      return { kind: KIND.system, text: "{}", members: place.members - 1 };
    },
  });
}

async function talkAtOnce(db: Database): Promise<void> {
  let now = 0;
  // So much time goes by that nobody remembers who was faster, and all guess again.
  const clock = { now: () => now += 2_000 };
  const nodes = [startNode(db, clock), startNode(db, clock), startNode(db, clock)];
  const groupId = 7;
  await makeGroup(db, groupId, [1, 2, 3]);
  const shared = [`g${groupId}`, "u1-2", "u1-3", "u2-3"];
  const told: Stored[] = [];
  await Promise.all(nodes.map(async ({ log }, node) => {
    for (let round = 0; round < 60; round++) {
      const texts = [...shared, `u${node + 1}-${node + 11}`].map((conversation) =>
        draft(conversation, 1, `{"msg":"${node} ${round} ${conversation}"}`)
      );
      told.push(...await Promise.all(texts.map((text) => log.append(text))));
    }
  }));
  const rows = await rowsOf(db);
  for (const { conversation, seq, text } of told) {
    assertEquals(rows.get(conversation)?.find((row) => row.seq === seq)?.message, text);
  }
  for (const [conversation, entries] of rows) {
    assertEquals(entries.map(({ seq }) => seq), entries.map((_, index) => index + 1), conversation);
    const [end] = await db.query("SELECT last_seq, last_chat FROM Conversation WHERE id = ?", [conversation]);
    assertEquals({ ...end }, { last_seq: entries.length, last_chat: entries.length });
    for (let node = 0; node < nodes.length; node++) {
      const rounds = entries.flatMap(({ message }) => {
        if (message === "{}") return [];
        const [of, round] = message.slice('{"msg":"'.length).split(" ").map(Number);
        return of === node ? [round] : [];
      });
      assertEquals(rounds, rounds.toSorted((a = 0, b = 0) => a - b), "in the order in which they were sent");
    }
  }
  assertEquals([...rows.values()].flat().filter(({ message }) => message !== "{}").length, told.length);
  assertGreater(nodes.reduce((sum, { log }) => sum + log.counters.retries, 0), 0, "nobody was ever refused");
}

async function removeWhileTalking(db: Database): Promise<void> {
  const [speaker, other] = [startNode(db), startNode(db)];
  let refused = 0;
  for (let round = 0; round < 30; round++) {
    const groupId = round + 1;
    await makeGroup(db, groupId, [1, 2]);
    for (let i = 0; i < 2; i++) await speaker.log.append(draft(`g${groupId}`, 2, `{"msg":"${round} ${i}"}`));
    // The last entry, at most, of who is being removed stands before the one that says so.
    const [removed, ...said] = await Promise.all([
      remove(other, groupId, 2),
      ...Array.from({ length: 20 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, i));
        try {
          return await speaker.log.append(draft(`g${groupId}`, 2, `{"msg":"${round} late ${i}"}`));
        } catch (error) {
          assert(error instanceof NotMemberError, String(error));
          refused++;
          return undefined;
        }
      }),
    ]);
    assert(removed);
    for (const stored of said) if (stored) assert(stored.seq < removed.seq, "stored behind its sender's end");
  }
  assertGreater(refused, 0);
}

async function blockWhileTalking(db: Database): Promise<void> {
  const speaker = startNode(db);
  const contacts = new Contacts(db);
  for (let round = 0; round < 30; round++) {
    const [one, other] = [100 + round, 200 + round];
    const conversation = `u${one}-${other}`;
    for (let i = 0; i < 2; i++) await speaker.log.append(draft(conversation, one, `{"msg":"${i}"}`));
    await contacts.block(other, one, Date.now(), 10);
    const { isHidden } = await speaker.log.append(draft(conversation, one, '{"msg":"hidden"}'));
    await contacts.unblock(other, one);
    const { isHidden: isStill } = await speaker.log.append(draft(conversation, one, '{"msg":"shown"}'));
    assertEquals([isHidden, isStill], [true, false]);
  }
}

/**
 * A way to the server on which, once armed, a claim stays under way while its sender is cut off, and arrives as soon as somebody
 * has looked whether it had happened.
 */
function startDelay(port: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let [isArmed, isLooking] = [false, false];
  let deliver: (() => Promise<void>) | undefined;
  let hasDelivered = false;
  const connections = new Set<Disposable>();
  async function serve(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    connections.add(client).add(server);
    const buffer = new Uint8Array(65_536);
    const answers = async () => {
      const answer = new Uint8Array(65_536);
      for (let n = await server.read(answer); n !== null; n = await server.read(answer)) {
        if (isLooking) {
          isLooking = false;
          await deliver?.();
          deliver = undefined;
          hasDelivered = true;
        }
        await client.write(answer.subarray(0, n));
      }
    };
    answers().catch(() => {});
    for (let n = await client.read(buffer); n !== null; n = await client.read(buffer)) {
      const text = new TextDecoder("latin1").decode(buffer.subarray(0, n));
      if (isArmed && text.includes("ROW_COUNT()")) {
        isArmed = false;
        const late = buffer.slice(0, n);
        deliver = async () => {
          await server.write(late);
          await new Promise((resolve) => setTimeout(resolve, 500));
        };
        client.close();
        return;
      }
      if (deliver && /\bCOMMIT\b/.test(text)) isLooking = true;
      await server.write(buffer.subarray(0, n));
    }
  }
  const accepting = (async () => {
    for await (const client of listener) serve(client).catch(() => {});
  })();
  return {
    port: listener.addr.port,
    arm: () => void (isArmed = true),
    hasDelivered: () => hasDelivered,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of connections) {
        try {
          connection[Symbol.dispose]();
        } catch {
          // Closed by the other side.
        }
      }
    },
  };
}

async function answerLate(db: Database, url: string): Promise<void> {
  await using delay = startDelay(Number(new URL(url).port));
  const far = new URL(url);
  far.port = String(delay.port);
  far.searchParams.set("ssl-mode", "DISABLED");
  const there = await openMysql({ url: far, poolSize: 3, logger: SILENT });
  const { log } = startNode(there);
  const say = (text: string) =>
    log.append({ conversation: "u1-2", users: [1, 2], sender: 1, text: `{"msg":"${text}"}` });
  for (const text of ["a", "b"]) await say(text);
  delay.arm();
  assertEquals((await say("c")).seq, 3);
  assert(delay.hasDelivered());
  await say("d");
  await there.close();
  const texts = (await rowsOf(db)).get("u1-2")?.map(({ seq, message }) =>
    `${seq} ${JSON.parse(message).msg}`
  );
  assertEquals(texts, ["1 a", "2 b", "3 c", "4 d"]);
}

/** Its deadline holds for what is asked for first and then undone, too: what was known in between is known no more. */
async function conflictAlways(db: Database): Promise<void> {
  await startNode(db).log.append(draft("u1-2", 1, "{}"));
  const { log, ends } = startNode(db);
  const [row] = await db.query<{ at: number }>("SELECT at FROM Message");
  ends.note("u1-2", 1, row?.at ?? 0);
  await db.run(
    "CREATE TRIGGER Message_conflict BEFORE INSERT ON Message FOR EACH ROW SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
  );
  const error = await assertRejects(() => log.append(draft("u1-2", 1, '{"msg":"never"}')), DatabaseError);
  assertEquals(error.kind, "conflict");
  assert(log.problem());
  await db.run("DROP TRIGGER Message_conflict");
  assertEquals((await log.append(draft("u1-2", 1, '{"msg":"now"}'))).seq, 2);
}

/** A restored database has lost that somebody joined; as many have since. */
async function goBackInTime(db: Database): Promise<void> {
  const { log, ends } = startNode(db);
  await makeGroup(db, 7, [1, 2]);
  for (let i = 0; i < 2; i++) await log.append(draft("g7", 2, `{"msg":"${i}"}`));
  await db.run("UPDATE GroupUser SET userid = 3 WHERE groupid = 7 AND userid = 2");
  const end = ends.of("g7");
  assert(end);
  ends.forget([end]);
  ends.note("g7", end.seq, end.at);
  await assertRejects(() => log.append(draft("g7", 2, '{"msg":"late"}')), NotMemberError);
}

/** Each way in which a conversation can be other than it was claimed to be. */
async function claimWrongly(db: Database): Promise<void> {
  const right: readonly Claim[] = [1, 2, 3].map((user) => ({
    id: `u${user}-1${user}`,
    seq: 5,
    count: 2,
    at: { from: 5, to: 9 },
    members: 2,
    blocked: 0,
    parted: 0,
  }));
  await db.insert({
    into: "INSERT INTO Conversation (id, last_seq, at, members)",
    rows: right.map(({ id }) => [id, 5, 5, 2]),
  });
  const claim = (claims: readonly Claim[]) =>
    db.transaction(async (tx) => {
      await claimPlaces(tx, claims);
      await tx.insert({
        into: "INSERT INTO Message (conversation, seq, sender, at, message)",
        rows: [["u1-11", 6, 1, 1, "{}"]],
      });
    });
  const wrong: Partial<Claim>[] = [
    { seq: 4 },
    { seq: 6 },
    { at: { from: 4, to: 9 } },
    { at: { from: 6, to: 9 } },
    { members: 3 },
    { blocked: 1 },
    { parted: 3 },
    { id: "u9-99" },
  ];
  const before = await db.query("SELECT * FROM Conversation ORDER BY id");
  for (const change of wrong) {
    for (let place = 0; place < right.length; place++) {
      const claims = right.map((one, index) => index === place ? { ...one, ...change } : one);
      const error = await assertRejects(() => claim(claims), DatabaseError);
      assertEquals(error.kind, "stale", `${JSON.stringify(change)}: ${error.message}`);
    }
  }
  assertEquals(await db.query("SELECT * FROM Conversation ORDER BY id"), before);
  assertEquals(await rowsOf(db), new Map());
  await db.transaction((tx) => claimPlaces(tx, right));
  const after = await db.query("SELECT last_seq, last_chat, at FROM Conversation ORDER BY id");
  assertEquals(after.map((row) => ({ ...row })), right.map(() => ({ last_seq: 7, last_chat: 7, at: 9 })));
}

Deno.test("places are claimed on MySQL", async (t) => {
  // Settings that must not matter.
  await using server = await startMariaDb({ args: ["--sql-mode="] });
  const cases: Record<string, (db: Database, url: string) => Promise<void>> = {
    "what is not as it was claimed to be is refused, and nothing of it is done": claimWrongly,
    "nodes that talk in the same conversations leave no hole, lose nothing and store nothing twice":
      talkAtOnce,
    "who is removed by another node says nothing behind that": removeWhileTalking,
    "who is blocked is hidden from the next message on": blockWhileTalking,
    "whoever conflicts for ever is refused in time": conflictAlways,
    "nothing is known any more of a database that has gone back in time": goBackInTime,
    "what arrives after it was looked for is not stored besides": answerLate,
  };
  let index = 0;
  for (const [name, test] of Object.entries(cases)) {
    await t.step(name, async () => {
      const url = await server.createDatabase(`claims${index++}`);
      await using db = await opened(url);
      await test(db, url);
    });
  }
});

Deno.test("what is known of a conversation lasts until somebody has left it, or was faster", () => {
  const heads = new Heads(2);
  const head = { at: 1, members: 3, blocked: 0, parted: 0 };
  heads.note("g1", head, [1], false, 0);
  heads.note("g1", head, [2], false, 0);
  assertEquals([heads.of("g1", [1, 2], 0)?.members, heads.of("g1", [3], 0)], [3, undefined]);
  heads.note("g1", { ...head, parted: 7 }, [2], false, 0);
  assertEquals([heads.of("g1", [2], 0)?.parted, heads.of("g1", [1], 0)], [7, undefined]);
  heads.note("g1", { ...head, parted: 7 }, [2], true, 5_000);
  assertEquals([heads.of("g1", [2], 5_500), heads.of("g1", [2], 6_000)?.parted], [undefined, 7]);
  heads.note("g2", head, [], false, 0);
  heads.note("g3", head, [], false, 0);
  assertEquals(heads.of("g1", [], 9_000), undefined, "the oldest makes room");
  heads.note("g2", head, [], false, 0);
  heads.note("g4", head, [], false, 0);
  assertEquals(heads.of("g3", [], 0), undefined, "and not the one that was read last");
  heads.forget(["g4"]);
  assertEquals([heads.of("g2", [], 0)?.members, heads.of("g4", [], 0)], [3, undefined]);
  heads.forgetAll();
  assertEquals(heads.of("g2", [], 0), undefined);
});
