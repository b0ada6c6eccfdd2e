import { assert, assertEquals, assertRejects } from "@std/assert";
import { Batcher } from "../../lib/base/batcher.ts";
import { decodeEnvelope, encodeEnvelope, ENVELOPE } from "../../lib/cluster/envelope.ts";
import { Limiter } from "../../lib/base/limiter.ts";
import { LogBudget } from "../../lib/base/log_budget.ts";
import { conversationOfUsers, parseConversation, spliceFields } from "../../lib/protocol/protocol.ts";
import type { Database } from "../../lib/store/database.ts";
import { Lookup, ROWS_PER_STATEMENT } from "../../lib/store/lookup.ts";
import { Messages } from "../../lib/store/messages.ts";
import { Spacing } from "../../lib/base/spacing.ts";
import { Throttle } from "../../lib/base/throttle.ts";
import { hashToken, tokenUserId } from "../../lib/chat/tokens.ts";
import { anotherTurn, atEndOfTurn, endOfTurn, firstAtEndOfTurn } from "../../lib/base/turn.ts";

const unit = { permissions: "none" } as const;

Deno.test("a token's hash changes with the stored password", unit, () => {
  assertEquals(hashToken("1.x", "p").length, 32);
  assert(hashToken("1.x", "p").join() !== hashToken("1.x", "q").join());
  assertEquals(tokenUserId(`17.${"a".repeat(43)}`), 17);
  for (
    const token of [
      "",
      "17",
      `0.${"a".repeat(43)}`,
      `17.${"a".repeat(42)}`,
      `17.${"é".repeat(43)}`,
      `1e3.${"a".repeat(43)}`,
    ]
  ) {
    assertEquals(tokenUserId(token), undefined);
  }
});

Deno.test(
  "what is urgent comes first at the end of a turn, and whoever waits is not behind all the rest",
  unit,
  async () => {
    const log: string[] = [];
    const told = Promise.withResolvers<void>();
    for (let i = 0; i < 100; i++) {
      atEndOfTurn(() => {
        log.push("work");
        told.resolve();
      });
    }
    firstAtEndOfTurn(() => log.push("urgent"));
    await told.promise;
    firstAtEndOfTurn(() => log.push("answer"));
    atEndOfTurn(() => log.push("last"));
    await endOfTurn();
    assertEquals([log[0], log.at(-1), log.length], ["urgent", "last", 103]);
    assert(log.indexOf("answer") < 50, `answered at ${log.indexOf("answer")}`);
  },
);

Deno.test("the same thing happens once in an interval, and is forgotten then", unit, () => {
  const spacing = new Spacing(3_000);
  assertEquals([spacing.pass("a", 0), spacing.pass("a", 2_999), spacing.pass("b", 2_999)], [
    true,
    false,
    true,
  ]);
  assertEquals([spacing.pass("a", 3_000), spacing.pass("a", 3_001), spacing.size], [true, false, 2]);
  for (let i = 0; i < 10; i++) spacing.pass(`${i}`, 10_000 + 3_000 * i);
  assertEquals(spacing.size, 1);
});

Deno.test("an envelope comes out as it went in", unit, () => {
  const frame = '{"msg":"❤ ü"}';
  const envelope = {
    kind: ENVELOPE.message,
    sender: 7,
    seq: 2 ** 52 + 1,
    conversation: "u1-7",
    frame,
  };
  assertEquals(decodeEnvelope(encodeEnvelope(envelope)), envelope);
  const least = { kind: ENVELOPE.sweep };
  assertEquals(decodeEnvelope(encodeEnvelope(least)), {
    ...least,
    sender: 0,
    seq: 0,
    conversation: "",
    frame: "",
  });
});

Deno.test("what is no envelope is none", unit, () => {
  for (const text of ["", "1 2 3", "99 1 1 u1-2 {}", "1 2 x u1-2 {}", "1 2 3 u1-2"]) {
    assertEquals(decodeEnvelope(text), undefined);
  }
});

Deno.test("a conversation has one spelling", unit, () => {
  assertEquals(conversationOfUsers(12, 3), "u3-12");
  assertEquals(parseConversation("u3-12"), { users: [3, 12] });
  assertEquals(parseConversation("u3-3"), { users: [3, 3] });
  assertEquals(parseConversation("g5"), { groupId: 5 });
  for (const id of ["u12-3", "u0-3", "u03-12", "g0", "g05", "g", "u1-2 ", "x1", "u1", "g1-2"]) {
    assertEquals(parseConversation(id), undefined, id);
  }
});

Deno.test("the server's fields are spliced in behind the sender's own text", unit, () => {
  assertEquals(
    spliceFields('{ "a": "}" }', "u1-2", 3, 4),
    '{ "a": "}" ,"conversation":"u1-2","seq":3,"at":4}',
  );
});

Deno.test("a limiter runs as many at once as it may, in the order they came", unit, async () => {
  const limiter = new Limiter(2);
  const log: string[] = [];
  const gates: (() => void)[] = [];
  const work = (name: string) => () => {
    log.push(name);
    return new Promise<void>((resolve) => gates.push(resolve));
  };
  const all = ["a", "b", "c"].map((name) => limiter.run(work(name)));
  assertEquals(log, ["a", "b"]);
  gates[1]?.();
  await all[1];
  assertEquals(log, ["a", "b", "c"]);
  for (const open of gates) open();
  await Promise.all(all);
  await assertRejects(() => limiter.run(() => Promise.reject(new Error("failed"))), Error, "failed");
  assertEquals(await limiter.run(() => Promise.resolve(1)), 1);
});

Deno.test(
  "a batcher writes one batch at a time and tells each caller of its own batch's failure",
  unit,
  async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<number>((items) => {
      batches.push(items);
      return items.includes(2) ? Promise.reject(new Error("bad")) : Promise.resolve();
    });
    const first = [batcher.add(1), batcher.add(2)];
    await assertRejects(() => Promise.all(first), Error, "bad");
    await Promise.all([batcher.add(3), batcher.add(4)]);
    assertEquals(batches, [[1, 2], [3, 4]]);
  },
);

Deno.test(
  "a batcher's batches are no larger than they may be, and each caller gets its own's result",
  unit,
  async () => {
    const batcher = new Batcher((items: number[]) => Promise.resolve(items.join()), 2);
    const results = await Promise.all([1, 2, 3, 4, 5].map((item) => batcher.add(item)));
    assertEquals(results, ["1,2", "1,2", "3,4", "3,4", "5"]);
    assertEquals(await batcher.add(6), "6");
  },
);

Deno.test(
  "rows are looked up for many at once, in a statement that begins after each has asked",
  unit,
  async () => {
    const statements: number[][] = [];
    const lookup = new Lookup({
      read: (keys: readonly number[]) => {
        statements.push([...keys]);
        const rows = keys.flatMap((key) => key === 3 ? [] : [{ key, n: 1 }, { key, n: statements.length }]);
        return Promise.resolve(rows);
      },
      keyOf: ({ key }) => key,
    });
    const first = [lookup.rows(1), lookup.rows(2), lookup.rows(2), lookup.rows(3)];
    while (statements.length === 0) await endOfTurn();
    const later = lookup.rows(1);
    assertEquals((await Promise.all(first)).map((rows) => rows.length), [2, 2, 2, 0]);
    assertEquals(await later, [{ key: 1, n: 1 }, { key: 1, n: 2 }]);
    assertEquals(statements, [[1, 2, 3], [1]]);
  },
);

Deno.test(
  "who has more rows than one statement reads is read on, and each of the batch is whole",
  unit,
  async () => {
    const total = new Map([[1, 2 * ROWS_PER_STATEMENT], [2, 3], [3, 0], [4, ROWS_PER_STATEMENT + 1]]);
    const rowsOf = (key: number) => Array.from({ length: total.get(key) ?? 0 }, (_, n) => ({ key, n }));
    const lookup = new Lookup({
      read: (keys: readonly number[], limit) => Promise.resolve(keys.flatMap(rowsOf).slice(0, limit)),
      readOn: (key, after, limit) =>
        Promise.resolve(rowsOf(key).filter(({ n }) => n > (after?.n ?? -1)).slice(0, limit)),
      keyOf: ({ key }) => key,
    });
    const found = await Promise.all([...total.keys()].map((key) => lookup.rows(key)));
    assertEquals(found, [...total.keys()].map(rowsOf));
    assertEquals(await Promise.all([...total.keys()].map((key) => lookup.rows(key))), found);
    // The turn that was given last is behind us when an immediate, the timer it may have set, and another one are.
    await endOfTurn();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await endOfTurn();
  },
);

Deno.test("a throttle lets a burst through and then as many as are earned", unit, () => {
  const throttle = new Throttle({ burst: 2, perSecond: 10 }, 0);
  assertEquals([throttle.take(0), throttle.take(0), throttle.take(0), throttle.take(0)], [0, 0, 100, 200]);
  assertEquals(throttle.take(1_000), 0);
});

Deno.test("a budget of log lines is spent within its second and whole in the next", unit, () => {
  const budget = new LogBudget(2);
  assertEquals([0, 1, 999].map((now) => budget.take(now)), [true, true, false]);
  assertEquals([1_000, 1_001, 1_002].map((now) => budget.take(now)), [true, true, false]);
});

Deno.test("users may be behind in any number of conversations", unit, async () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => ({ userid: 1, conversation: `g${i}`, last_seq: 1 }));
  // One query is all that it needs of a database, and the dialect to ask it in.
  const dialect = { isOneOf: () => ({ sql: "TRUE", params: [] }), greatest: () => "1" };
  const db = { dialect, query: () => Promise.resolve(rows) } as unknown as Database;
  const messages = new Messages(db);
  assertEquals((await messages.unsent([1])).length, rows.length);
});

Deno.test("long work leaves no timer behind when its last part was long", async () => {
  await anotherTurn();
  const begunAt = performance.now();
  while (performance.now() - begunAt < 5);
  await endOfTurn();
});
