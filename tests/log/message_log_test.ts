import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../lib/base/clock.ts";
import { Ends } from "../../lib/store/ends.ts";
import { DatabaseError, type DatabaseErrorKind } from "../../lib/base/errors.ts";
import {
  type Change,
  type Draft,
  MessageLog,
  NotMemberError,
  type Place,
  type Stored,
} from "../../lib/log/message_log.ts";
import type { Database, SqlConnection } from "../../lib/store/database.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { waitFor } from "../support/process.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** What goes wrong with the next transactions: before they begin, or at COMMIT with or without it having happened. */
type Fault = { at: "begin" | "commit_lost" | "commit_done"; kind: DatabaseErrorKind };

/** A real database in memory whose transactions fail as told. */
class FaultyDatabase implements Database {
  readonly faults: Fault[] = [];
  transactions = 0;
  /** Whether the log is to take it for one that holds everything up while it commits. */
  isBlocking = false;
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
  }

  static async open(): Promise<FaultyDatabase> {
    const db = openSqlite(":memory:");
    await migrate(db, SILENT);
    return new FaultyDatabase(db);
  }

  get dialect() {
    return { ...this.#db.dialect, isBlocking: this.isBlocking };
  }

  query: Database["query"] = (sql, params) => this.#db.query(sql, params);
  run: Database["run"] = (sql, params) => this.#db.run(sql, params);
  insert: Database["insert"] = (insertion) => this.#db.insert(insertion);
  close: Database["close"] = () => this.#db.close();

  async transaction<Result>(work: (tx: SqlConnection) => Promise<Result>): Promise<Result> {
    this.transactions++;
    const fault = this.faults.shift();
    if (fault?.at === "begin") throw new DatabaseError(fault.kind, "injected");
    if (fault?.at === "commit_lost") {
      await this.#db.transaction(async (tx) => {
        await work(tx);
        throw new DatabaseError(fault.kind, "injected", { outcomeUnknown: true });
      });
    }
    const result = await this.#db.transaction(work);
    if (fault) throw new DatabaseError(fault.kind, "injected", { outcomeUnknown: true });
    return result;
  }

  async rows(): Promise<string[]> {
    const rows = await this.#db.query<{ conversation: string; seq: number; message: string }>(
      "SELECT conversation, seq, message FROM Message ORDER BY conversation, seq",
    );
    return rows.map(({ conversation, seq, message }) => `${conversation}#${seq} ${message}`);
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }
}

function open(db: Database, clock: Pick<Clock, "now"> = systemClock) {
  const told: Stored[] = [];
  const log = new MessageLog({
    db,
    logger: SILENT,
    onStored: (stored) => told.push(stored),
    ends: new Ends(),
    onBehind: () => Promise.resolve(),
    clock,
  });
  return { log, told };
}

function draft(text: string, { cid, to = 2 }: { cid?: string; to?: number } = {}): Draft {
  const base: Draft = { conversation: `u1-${to}`, users: [1, to], sender: 1, text };
  return cid === undefined ? base : { ...base, cid };
}

Deno.test("messages of one turn share one transaction, with seqs in the order they came", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  const stored = await Promise.all([
    log.append(draft("a")),
    log.append(draft("b", { to: 3 })),
    log.append(draft("c")),
  ]);
  assertEquals(stored.map(({ seq }) => seq), [1, 1, 2]);
  assertEquals(told.map(({ text }) => text), ["a", "b", "c"]);
  assertEquals(db.transactions, 1);
  const members = await db.query("SELECT userid FROM Member WHERE conversation = 'u1-2' ORDER BY userid");
  assertEquals(members.map(({ userid }) => userid), [1, 2]);
});

Deno.test("messages that arrive during a commit form the next batch", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  const all = [log.append(draft("first"))];
  await Promise.resolve();
  for (let i = 0; i < 100; i++) all.push(log.append(draft(`${i}`)));
  assertEquals(
    (await Promise.all(all)).map(({ seq }) => seq),
    Array.from({ length: 101 }, (_, index) => index + 1),
  );
  assertEquals(db.transactions, 2);
});

Deno.test("where a commit holds everything up, what comes in at once shares one", async () => {
  await using db = await FaultyDatabase.open();
  db.isBlocking = true;
  const { log } = open(db);
  const all: Promise<Stored>[] = [];
  for (let i = 0; i < 50; i++) {
    all.push(log.append(draft(`${i}`)));
    await Promise.resolve();
  }
  await Promise.all(all);
  assertEquals(db.transactions, 1);
});

Deno.test("a message that comes while a commit ends is stored, whichever moment it takes", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  for (let steps = 0; steps < 20; steps++) {
    await log.append(draft("{}"));
    for (let step = 0; step < steps; step++) await null;
    log.append(draft("{}"));
    await waitFor("the second one", () => told.length === 2 * (steps + 1));
  }
});

Deno.test("the same cid is stored once: at once, in one batch, and later", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  const [first, second] = await Promise.all([
    log.append(draft("a", { cid: "x" })),
    log.append(draft("a", { cid: "x" })),
  ]);
  assertEquals([first.seq, second.seq, first.isRepeat, second.isRepeat], [1, 1, false, true]);
  const [again, fresh] = await Promise.all([
    log.append(draft("a", { cid: "x" })),
    log.append(draft("b", { cid: "y" })),
  ]);
  assertEquals([again.seq, again.isRepeat, again.at], [1, true, first.at]);
  assertEquals([fresh.seq, fresh.isRepeat], [2, false]);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b"]);
  // The repeat rings again: the first doorbell may have died with its node.
  assertEquals(told.map(({ seq, isRepeat }) => `${seq} ${isRepeat}`), ["1 false", "1 true", "2 false"]);
});

Deno.test("a sender's messages have times of their own, also within a millisecond and in different conversations", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  const stored = await Promise.all([2, 3, 2, 4].map((to) => log.append(draft("x", { to }))));
  const times = stored.map(({ at }) => at);
  assertEquals(times, [...new Set(times)].sort((a, b) => a - b));
});

Deno.test("cids that a collation would call equal are two", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  const cids = ["a", "A", "a ", "á", "a\u0301"];
  const stored = await Promise.all(cids.map((cid) => log.append(draft(cid, { cid }))));
  assertEquals(stored.map(({ seq }) => seq), [1, 2, 3, 4, 5]);
});

Deno.test("a cid is recognised again whatever it begins with", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  const cids = ["\uFEFFa", "a", "\u200Ba", "\uFEFF"];
  const stored = await Promise.all(cids.map((cid) => log.append(draft(cid, { cid }))));
  const again = await Promise.all(cids.map((cid) => log.append(draft(cid, { cid }))));
  assertEquals(again.map(({ seq, isRepeat }) => [seq, isRepeat]), stored.map(({ seq }) => [seq, true]));
});

Deno.test("a commit without an answer is looked up: it happened, so nothing is stored twice", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  db.faults.push({ at: "commit_done", kind: "unavailable" });
  const stored = await Promise.all([log.append(draft("a")), log.append(draft("b"))]);
  assertEquals(stored.map(({ seq }) => seq), [1, 2]);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b"]);
  assertEquals(told.length, 2);
});

Deno.test("a commit without an answer is looked up: it did not happen, so it is done again", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  db.faults.push({ at: "commit_lost", kind: "unavailable" }, { at: "begin", kind: "unavailable" });
  const stored = await Promise.all([log.append(draft("a")), log.append(draft("b"))]);
  assertEquals(stored.map(({ seq }) => seq), [1, 2]);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b"]);
  assertEquals(told.length, 2);
});

Deno.test("a deadlock is tried again at once", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  db.faults.push({ at: "begin", kind: "conflict" }, { at: "begin", kind: "conflict" });
  assertEquals((await log.append(draft("a"))).seq, 1);
  assertEquals(db.transactions, 3);
});

Deno.test("who waits for somebody else's lock is refused in time as well", async () => {
  await using db = await FaultyDatabase.open();
  let now = 0;
  const clock = { now: () => now += 2_000 };
  const { log } = open(db, clock);
  db.faults.push(...Array<Fault>(4).fill({ at: "begin", kind: "conflict" }));
  const kept = log.append(draft("kept"));
  await assertRejects(() => log.append(draft("told", { cid: "x" })), DatabaseError);
  assertEquals((await kept).seq, 1);
  assertEquals(await db.rows(), ["u1-2#1 kept"]);
});

Deno.test("while the database is away a message with a cid is refused in the end, one without is kept", async () => {
  await using db = await FaultyDatabase.open();
  let now = 0;
  const { log } = open(db, { now: () => now });
  db.faults.push(...Array<Fault>(3).fill({ at: "begin", kind: "unavailable" }));
  const refused = assertRejects(() => log.append(draft("told", { cid: "x" })), DatabaseError);
  const kept = log.append(draft("kept"));
  await waitFor("a second try", () => db.transactions === 2);
  now += 5_000;
  await refused;
  assertEquals((await kept).seq, 1);
  assertEquals(await db.rows(), ["u1-2#1 kept"]);
});

for (const at of ["commit_done", "commit_lost"] as const) {
  Deno.test(`while nobody knows whether a commit happened, a message with a cid is refused all the same (${at})`, async () => {
    await using db = await FaultyDatabase.open();
    let now = 0;
    const { log, told } = open(db, { now: () => now });
    const away: Fault = { at: "begin", kind: "unavailable" };
    db.faults.push({ at, kind: "unavailable" }, ...Array<Fault>(4).fill(away));
    const inDoubt = assertRejects(() => log.append(draft("in doubt", { cid: "x" })), DatabaseError);
    const kept = log.append(draft("kept"));
    await waitFor("a look at what became of it", () => db.transactions === 2);
    const behind = assertRejects(() => log.append(draft("behind", { cid: "y" })), DatabaseError);
    now += 5_000;
    await Promise.all([inDoubt, behind]);
    const repeated = await log.append(draft("in doubt", { cid: "x" }));
    const stored = [(await kept).seq, repeated.seq].sort();
    assertEquals(stored, [1, 2]);
    assertEquals((await db.rows()).length, 2);
    assertEquals(new Set(told.map(({ seq }) => seq)), new Set([1, 2]));
  });
}

Deno.test("a message the database will not take costs only itself", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  // Not null is violated by nothing else: a draft from a caller that has lost its sender.
  const broken = { ...draft("broken", { cid: "b" }), sender: NaN };
  const results = await Promise.allSettled(
    [draft("a"), broken, draft("c"), draft("d")].map((message) => log.append(message)),
  );
  assertEquals(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 c", "u1-2#3 d"]);
});

Deno.test("closing waits for what is under way and gives up what the database does not take", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  log.append(draft("a"));
  await log.close(1_000);
  assertEquals(await db.rows(), ["u1-2#1 a"]);
  db.faults.push(...Array<Fault>(1_000).fill({ at: "begin", kind: "unavailable" }));
  log.append(draft("b"));
  const start = performance.now();
  await log.close(200);
  assert(performance.now() - start < 5_000);
  assertEquals(await db.rows(), ["u1-2#1 a"]);
});

Deno.test("a group's message carries the number of members of its own transaction", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES ('g1', 0, 7)");
  await db.run("INSERT INTO GroupUser (groupid, userid) VALUES (1, 1)");
  const stored = await log.append({ conversation: "g1", sender: 1, text: "a" });
  assertEquals([stored.seq, stored.members], [1, 7]);
  assertEquals(await db.query("SELECT * FROM Member"), []);
  // Those who are here may be others than those who were when somebody has left.
  await db.run("UPDATE Conversation SET parted = 1");
  assertEquals((await log.append({ conversation: "g1", sender: 1, text: "b" })).members, 0);
});

Deno.test("who is no member of a group writes nothing there, and costs nobody else's message", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES ('g1', 0, 2), ('g2', 0, 1)");
  await db.run("INSERT INTO GroupUser (groupid, userid) VALUES (1, 1), (1, 2), (2, 3)");
  const write = (sender: number, conversation: string, text: string, cid = `${sender}${text}`) =>
    log.append({ conversation, sender, text, cid }).then(({ seq }) => seq, (error) => error);
  const [a, b, c, d, e] = await Promise.all([
    write(1, "g1", "a"),
    write(3, "g1", "b"),
    write(2, "g1", "c"),
    write(1, "g2", "d"),
    log.append(draft("e")).then(({ seq }) => seq),
  ]);
  assertEquals([a, c, e], [1, 2, 1]);
  assertInstanceOf(b, NotMemberError);
  assertInstanceOf(d, NotMemberError);
  assertEquals(d.message, "You are not a member of group 2");
  assertEquals(told.map(({ text }) => text).sort(), ["a", "c", "e"]);
  await db.run("DELETE FROM GroupUser WHERE userid = 2");
  // What is only asked for again was stored while they were.
  const [repeat, late] = await Promise.all([write(2, "g1", "c"), write(2, "g1", "f")]);
  assertEquals(repeat, 2);
  assertInstanceOf(late, NotMemberError);
  const rows = await db.query(
    "SELECT conversation, last_seq FROM Message JOIN Conversation ON id = conversation",
  );
  assertEquals(rows.map(({ conversation, last_seq }) => [conversation, last_seq]), [["g1", 2], ["g1", 2], [
    "u1-2",
    1,
  ]]);
});

/** A change that always has an entry. */
function change(text: string, more: Partial<Change> = {}): Change {
  return { conversation: "u1-2", sender: 1, decide: () => Promise.resolve({ kind: 1, text }), ...more };
}

Deno.test("a change's entry stands behind what is there, and is handed on like a message", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  const said = await log.append(draft("a"));
  const places: (Place | undefined)[] = [];
  const stored = await log.change(change("b", {
    decide: (_, place) => {
      places.push(place);
      return Promise.resolve({ kind: 1, text: "b", members: 3 });
    },
  }));
  assertEquals([stored?.seq, stored?.text, stored?.members, stored?.isRepeat], [2, "b", 3, false]);
  assertEquals(places, [{ seq: 2, at: stored?.at ?? 0, members: 2, isHidden: false }]);
  assert((stored?.at ?? 0) > said.at);
  assertEquals((await log.append(draft("c"))).seq, 3);
  assertEquals(told.map(({ seq }) => seq), [1, 2, 3]);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b", "u1-2#3 c"]);
  const [row] = await db.query("SELECT last_seq, last_chat, members, at FROM Conversation");
  assertEquals(row, { last_seq: 3, last_chat: 3, members: 3, at: told[2]?.at ?? 0 });
  assertEquals(await db.query("SELECT kind FROM Message ORDER BY seq"), [{ kind: 0 }, { kind: 1 }, {
    kind: 0,
  }]);
});

Deno.test("what a change decides against leaves nothing behind", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  await log.append(draft("a"));
  const decide: Change["decide"] = async (tx) => {
    await tx.run("UPDATE Message SET message = NULL");
    throw new RangeError("not you");
  };
  await assertRejects(() => log.change(change("b", { decide })), RangeError, "not you");
  const nothing = change("b", { decide: () => Promise.resolve(undefined) });
  assertEquals(await log.change(nothing), undefined);
  const nowhere = change("b", {
    conversation: "u1-9",
    decide: (_, place) => Promise.resolve(place && { kind: 1, text: "" }),
  });
  assertEquals(await log.change(nowhere), undefined);
  assertEquals([await db.rows(), told.length], [["u1-2#1 a"], 1]);
});

Deno.test("a change with the same cid is made once, whatever has become of its reasons", async () => {
  await using db = await FaultyDatabase.open();
  const { log, told } = open(db);
  await log.append(draft("a"));
  const first = await log.change(change("b", { cid: "x" }));
  const decide = () => Promise.reject(new RangeError("too late"));
  const again = await log.change(change("b", { cid: "x", decide }));
  assertEquals([again?.seq, again?.at, again?.isRepeat], [2, first?.at, true]);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b"]);
  // Rings again: the first doorbell may have died with its node.
  assertEquals(told.map(({ seq, isRepeat }) => `${seq} ${isRepeat}`), ["1 false", "2 false", "2 true"]);
  const both = await Promise.all([1, 2].map(() => log.change(change("c", { cid: "y" }))));
  assertEquals(both.map((stored) => stored?.seq), [3, 3]);
});

for (const at of ["begin", "commit_done", "commit_lost"] as const) {
  for (const cid of [{}, { cid: "x" }]) {
    Deno.test(`a change whose transaction fails (${at}${"cid" in cid ? ", cid" : ""}) is made once`, async () => {
      await using db = await FaultyDatabase.open();
      const { log, told } = open(db);
      await log.append(draft("a"));
      db.faults.push({ at, kind: "unavailable" });
      assertEquals((await log.change(change("b", cid)))?.seq, 2);
      assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b"]);
      assertEquals(told.map(({ seq }) => seq), [1, 2]);
    });
  }
}

Deno.test("a change is refused while the database stays away, and when too many wait", async () => {
  await using db = await FaultyDatabase.open();
  let now = 0;
  const { log } = open(db, { now: () => now });
  await log.append(draft("a"));
  db.faults.push(...Array<Fault>(100).fill({ at: "begin", kind: "unavailable" }));
  const waiting = Array.from({ length: 1_004 }, () => log.change(change("b")));
  const results = Promise.allSettled(waiting);
  await assertRejects(() => log.change(change("one too many")), DatabaseError, "too many are waiting");
  now += 5_001;
  assertEquals(new Set((await results).map(({ status }) => status)), new Set(["rejected"]));
  db.faults.length = 0;
  assertEquals((await log.change(change("c")))?.seq, 2);
});

Deno.test("closing waits for changes that are under way", async () => {
  await using db = await FaultyDatabase.open();
  const { log } = open(db);
  await log.append(draft("a"));
  const made = log.change(change("b"));
  await log.close(1_000);
  assertEquals(await db.rows(), ["u1-2#1 a", "u1-2#2 b"]);
  await made;
});
