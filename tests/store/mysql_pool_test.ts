import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { DatabaseError } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/logger.ts";
import { type Lease, Pool, type PoolFactory, type PoolLimits } from "../../lib/store/mysql_pool.ts";
import { FakeClock } from "../support/fake_clock.ts";

const NONE: Deno.TestDefinition["permissions"] = "none";

/** Read while the file loads, because the tests themselves may not. */
const SEED = Number(Deno.env.get("CHAT_TEST_SEED") ?? Math.floor(Math.random() * 2 ** 32));

/** A connection that is none. */
class Thing {
  readonly id: number;
  isBroken = false;
  isDestroyed = false;

  constructor(id: number) {
    this.id = id;
  }
}

/** The other side of the pool: answers by itself, or only when a test says so. */
class FakeServer implements PoolFactory<Thing> {
  isUp = true;
  answersByItself = true;
  readonly things: Thing[] = [];
  /** What waits for an answer. */
  readonly creations: PromiseWithResolvers<Thing>[] = [];
  readonly checks: PromiseWithResolvers<void>[] = [];
  /** Creations begun so far. */
  attempts = 0;
  /** Creations the pool has told to give up. */
  aborted = 0;

  get alive(): Thing[] {
    return this.things.filter((thing) => !thing.isDestroyed);
  }

  create(signal: AbortSignal): Promise<Thing> {
    this.attempts++;
    signal.addEventListener("abort", () => this.aborted++);
    const creation = Promise.withResolvers<Thing>();
    this.creations.push(creation);
    if (this.answersByItself) this.answerCreation(0);
    return creation.promise;
  }

  check(thing: Thing): Promise<void> {
    assert(!thing.isDestroyed);
    const check = Promise.withResolvers<void>();
    this.checks.push(check);
    if (this.answersByItself) this.answerCheck(0, !thing.isBroken);
    return check.promise;
  }

  isBroken(thing: Thing): boolean {
    return thing.isBroken;
  }

  destroy(thing: Thing): Promise<void> {
    assert(!thing.isDestroyed, "destroyed twice");
    thing.isDestroyed = true;
    return Promise.resolve();
  }

  answerCreation(index: number): void {
    const [creation] = this.creations.splice(index, 1);
    if (!creation) return;
    if (!this.isUp) return creation.reject(new Error("connection refused"));
    const thing = new Thing(this.things.length);
    this.things.push(thing);
    creation.resolve(thing);
  }

  answerCheck(index: number, isGood: boolean): void {
    const [check] = this.checks.splice(index, 1);
    if (isGood) check?.resolve();
    else check?.reject(new Error("no answer"));
  }
}

/** Lets everything happen that needs no time to pass. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await null;
}

interface Setup {
  pool: Pool<Thing>;
  server: FakeServer;
  clock: FakeClock;
  /** Log lines without their time. */
  log: string[];
}

function setUp(
  limits: PoolLimits = {},
  { random = () => 0, server = new FakeServer() }: { random?: () => number; server?: FakeServer } = {},
): Setup {
  const clock = new FakeClock();
  const log: string[] = [];
  const write = (line: string) => void log.push(line.slice(line.indexOf(" ") + 1).trimEnd());
  const logger = createLogger({ level: "debug", format: "text", write });
  const pool = new Pool(server, { name: "Fake", logger, clock, random, min: 0, ...limits });
  return { pool, server, clock, log };
}

/** Borrows what must be there at once. */
async function borrow(pool: Pool<Thing>): Promise<Lease<Thing>> {
  let lease: Lease<Thing> | null = null;
  pool.acquire().then((got) => lease = got);
  await settle();
  assert(lease !== null, "nothing was lent");
  return lease;
}

/** Nothing open, nothing timed. */
async function assertCloses({ pool, server, clock }: Setup): Promise<void> {
  const closed = pool.close(1_000);
  await settle();
  clock.advance(1_000);
  await closed;
  assertEquals(server.alive, []);
  assertEquals(clock.timers, 0);
  assertEquals(pool.stats().size, 0);
}

Deno.test({
  name: "the pool fills up to min at once and replaces what is lost below it",
  permissions: NONE,
  async fn() {
    const setup = setUp({ min: 2 });
    const { pool, server } = setup;
    await settle();
    assertEquals(pool.stats().idle, 2);
    const [first] = server.things;
    assert(first);
    first.isBroken = true;
    pool.sweep();
    await settle();
    assert(first.isDestroyed);
    assertEquals(pool.stats().idle, 2);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "the pool lends the one given back last, makes another only when none is idle, and stops at max",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 2 });
    const { pool, server } = setup;
    const first = await borrow(pool);
    const second = await borrow(pool);
    assert(first.resource !== second.resource);
    const third = pool.acquire();
    await settle();
    assertEquals(server.attempts, 2);
    first.release();
    assertEquals((await third).resource, first.resource);
    (await third).release();
    second.release();
    const again = await borrow(pool);
    assertEquals(again.resource, second.resource);
    again.release();
    await assertCloses(setup);
  },
});

Deno.test({
  name: "waiters are served in the order they came",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 1 });
    const { pool } = setup;
    const order: number[] = [];
    const all = [0, 1, 2, 3].map((turn) =>
      pool.acquire().then(async (lease) => {
        order.push(turn);
        await settle();
        lease.release();
      })
    );
    await Promise.all(all);
    assertEquals(order, [0, 1, 2, 3]);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "urgent waiters are served before the others, and each is turned away at its own deadline",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 1, acquireTimeoutMs: 100 });
    const { pool, clock } = setup;
    const lease = await borrow(pool);
    const order: string[] = [];
    const wait = (name: string, isUrgent: boolean) =>
      pool.acquire({ isUrgent }).then(async (lease) => {
        order.push(name);
        await settle();
        lease.release();
      }, () => void order.push(`${name} turned away`));
    const all = [wait("late", false)];
    clock.advance(50);
    all.push(wait("ordinary", false), wait("urgent", true), wait("urgent too", true));
    clock.advance(50);
    await settle();
    assertEquals(pool.stats().pending, 3);
    lease.release();
    await Promise.all(all);
    assertEquals(order, ["late turned away", "urgent", "urgent too", "ordinary"]);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "each waiter is turned away at its own deadline and told that all are in use",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 1, acquireTimeoutMs: 100 });
    const { pool, clock } = setup;
    const lease = await borrow(pool);
    const first = assertRejects(() => pool.acquire(), DatabaseError, "1 of at most 1 are in use");
    clock.advance(60);
    const second = pool.acquire();
    clock.advance(40);
    await first;
    assertEquals(pool.stats().pending, 1);
    clock.advance(59);
    lease.release();
    assertEquals((await second).resource, lease.resource);
    (await second).release();
    const { timeouts, acquired, waitedMs } = pool.stats();
    assertEquals({ timeouts, acquired, waitedMs }, { timeouts: 1, acquired: 2, waitedMs: 99 });
    await assertCloses(setup);
  },
});

Deno.test({
  name: "a waiter whose deadline passes while the server is down is told why nothing could be made",
  permissions: NONE,
  async fn() {
    const setup = setUp({ acquireTimeoutMs: 100 });
    const { pool, server, clock } = setup;
    server.isUp = false;
    const refused = assertRejects(
      () => pool.acquire(),
      DatabaseError,
      "No connection to Fake within 100 ms: connection refused",
    );
    await settle();
    clock.advance(100);
    const error = await refused;
    assertEquals(error.kind, "unavailable");
    assert(error.cause instanceof Error);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "while the server is down there is one attempt at a time, with growing pauses up to the limit",
  permissions: NONE,
  async fn() {
    const setup = setUp({ acquireTimeoutMs: 10_000, backoffFirstMs: 100, backoffMaxMs: 350 });
    const { pool, server, clock } = setup;
    server.isUp = false;
    for (let waiter = 0; waiter < 3; waiter++) pool.acquire().then((lease) => lease.release());
    await settle();
    assertEquals(server.attempts, 3); // begun before the first failure was known
    for (const pauseMs of [100, 200, 350, 350]) {
      const before = server.attempts;
      clock.advance(pauseMs - 1);
      await settle();
      assertEquals(server.attempts, before);
      clock.advance(1);
      await settle();
      assertEquals(server.attempts, before + 1);
    }
    const before = server.attempts;
    server.answersByItself = false;
    clock.advance(350);
    for (let waiter = 0; waiter < 3; waiter++) pool.acquire().then((lease) => lease.release());
    await settle();
    assertEquals(server.attempts, before + 1);
    server.isUp = true;
    server.answersByItself = true;
    server.answerCreation(0);
    await settle();
    assertEquals(pool.stats().pending, 0);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "chance takes up to half off a pause and up to a tenth off a lifetime",
  permissions: NONE,
  async fn() {
    const setup = setUp({ backoffFirstMs: 100, maxLifetimeMs: 1_000, idleTimeoutMs: 9_000 }, {
      random: () => 1,
    });
    const { pool, server, clock } = setup;
    server.isUp = false;
    const waiter = pool.acquire();
    await settle();
    server.isUp = true;
    clock.advance(50);
    (await waiter).release();
    clock.advance(899);
    assertEquals(server.alive.length, 1);
    clock.advance(1);
    assertEquals(server.alive.length, 0);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "an outage is logged once, and so is its end",
  permissions: NONE,
  async fn() {
    const setup = setUp({ min: 2, acquireTimeoutMs: 60_000 });
    const { pool, server, clock, log } = setup;
    await settle();
    server.isUp = false;
    for (const thing of server.things) thing.isBroken = true;
    pool.sweep();
    for (let second = 0; second < 20; second++) {
      clock.advance(1_000);
      await settle();
    }
    assertEquals(log, [
      'error No new connection to Fake; trying again reason="connection refused" connections=0',
    ]);
    server.isUp = true;
    clock.advance(5_000);
    await settle();
    assertEquals(log.length, 2);
    assertStringIncludes(log[1] ?? "", "info  New connections to Fake work again after_ms=");
    assertEquals(pool.stats().idle, 2);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "of attempts under way together, one that succeeds does not end the outage that another has shown",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 2, backoffFirstMs: 100 });
    const { pool, server, clock, log } = setup;
    server.answersByItself = false;
    const waiters = [pool.acquire(), pool.acquire()];
    server.isUp = false;
    server.answerCreation(0);
    await settle();
    server.isUp = true;
    server.answerCreation(0);
    const first = await Promise.race(waiters);
    assertEquals(log.length, 1);
    clock.advance(100);
    server.answerCreation(0);
    for (const waiter of waiters) (await waiter).release();
    assert(!first.resource.isDestroyed);
    assertEquals(log.length, 2);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "what is released with an error, or broken, or became so while idle is lent to nobody else",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 1 });
    const { pool } = setup;
    const withError = await borrow(pool);
    withError.release(new Error("half of an answer was read"));
    assert(withError.resource.isDestroyed);

    const broken = await borrow(pool);
    broken.resource.isBroken = true;
    broken.release();
    assert(broken.resource.isDestroyed);

    const idle = await borrow(pool);
    idle.release();
    idle.resource.isBroken = true;
    const fresh = await borrow(pool);
    assert(idle.resource.isDestroyed);
    assert(!fresh.resource.isDestroyed);
    fresh.release();
    await assertCloses(setup);
  },
});

Deno.test({
  name: "releasing twice throws and does no harm",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 1 });
    const { pool } = setup;
    const first = await borrow(pool);
    first.release();
    const second = await borrow(pool);
    assertThrows(() => first.release(), Error, "released twice");
    assertThrows(() => first.release(new Error("again")), Error, "released twice");
    assert(!second.resource.isDestroyed);
    assertEquals(pool.stats().borrowed, 1);
    second.release();
    await assertCloses(setup);
  },
});

Deno.test({
  name:
    "what has been idle for long is checked before it is lent, and replaced when it fails or does not answer",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 1, checkAfterIdleMs: 100, checkTimeoutMs: 50 });
    const { pool, server, clock } = setup;
    const first = await borrow(pool);
    first.release();
    server.answersByItself = false;

    clock.advance(100);
    (await borrow(pool)).release(); // no check yet

    clock.advance(101);
    const checked = pool.acquire();
    await settle();
    assertEquals(pool.stats().checking, 1);
    server.answerCheck(0, true);
    assertEquals((await checked).resource, first.resource);
    (await checked).release();

    clock.advance(101);
    const replaced = pool.acquire();
    server.answerCheck(0, false);
    await settle();
    assert(first.resource.isDestroyed);
    server.answerCreation(0);
    const second = await replaced;
    second.release();

    clock.advance(101);
    const unanswered = pool.acquire();
    clock.advance(50);
    assert(second.resource.isDestroyed);
    server.answerCreation(0);
    (await unanswered).release();
    assertEquals(pool.stats().checkFailures, 2);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "a waiter starts one check, not one for each that is idle, and nothing new is made meanwhile",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 3, checkAfterIdleMs: 100 });
    const { pool, server, clock } = setup;
    const leases = [await borrow(pool), await borrow(pool)];
    for (const lease of leases) lease.release();
    clock.advance(101);
    server.answersByItself = false;
    const waiter = pool.acquire();
    await settle();
    assertEquals(server.checks.length, 1);
    assertEquals(server.attempts, 2);
    server.answerCheck(0, true);
    (await waiter).release();
    await assertCloses(setup);
  },
});

Deno.test({
  name: "the idle limit trims the oldest down to min, and a lifetime ends also below it",
  permissions: NONE,
  async fn() {
    const setup = setUp({ min: 1, max: 3, idleTimeoutMs: 100, maxLifetimeMs: 1_000 });
    const { pool, server, clock } = setup;
    await settle();
    const leases = [await borrow(pool), await borrow(pool), await borrow(pool)];
    for (const lease of leases) {
      lease.release();
      clock.advance(10);
    }
    clock.advance(69);
    assertEquals(server.alive.length, 3);
    clock.advance(11);
    assertEquals(server.alive.map(({ id }) => id), [2]);
    clock.advance(889);
    pool.sweep();
    assertEquals(server.alive.map(({ id }) => id), [2]);
    clock.advance(1);
    await settle();
    assertEquals(server.alive.map(({ id }) => id), [3]);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "a creation that hangs is given up, and what arrives too late is destroyed unused",
  permissions: NONE,
  async fn() {
    const setup = setUp({ createTimeoutMs: 100, acquireTimeoutMs: 100, backoffFirstMs: 1_000 });
    const { pool, server, clock } = setup;
    server.answersByItself = false;
    const refused = assertRejects(() => pool.acquire(), DatabaseError, "no answer within 100 ms");
    clock.advance(100);
    await refused;
    assertEquals(server.aborted, 1);
    assertEquals(pool.stats().creating, 0);
    server.answerCreation(0);
    await settle();
    assertEquals(server.things.map(({ isDestroyed }) => isDestroyed), [true]);
    assertEquals(pool.stats().created, 0);
    await assertCloses(setup);
  },
});

Deno.test({
  name: "closing turns waiters away, stops creations, and waits for what is lent",
  permissions: NONE,
  async fn() {
    const setup = setUp({ max: 2 });
    const { pool, server, clock } = setup;
    const lease = await borrow(pool);
    server.answersByItself = false;
    const waiter = assertRejects(() => pool.acquire(), DatabaseError, "closed");
    let isClosed = false;
    const closed = pool.close(1_000).then(() => isClosed = true);
    await waiter;
    await assertRejects(() => pool.acquire(), DatabaseError, "closed");
    assertEquals(server.aborted, 1);
    server.answerCreation(0);
    clock.advance(999);
    await settle();
    assert(!isClosed && !lease.resource.isDestroyed);
    lease.release();
    await closed;
    assertEquals(server.alive, []);
    assertEquals(clock.timers, 0);
    await pool.close(0);
  },
});

Deno.test({
  name: "closing cuts what is still lent at its deadline, and its late release is no error",
  permissions: NONE,
  async fn() {
    const { pool, server, clock, log } = setUp();
    const lease = await borrow(pool);
    const closed = pool.close(100);
    clock.advance(100);
    await closed;
    assertEquals(server.alive, []);
    assertEquals(log, ["warn  Connections of Fake still in use were cut connections=1"]);
    lease.release();
    assertThrows(() => lease.release(), Error, "released twice");
  },
});

Deno.test({
  name: "closing does not wait for ever for a creation that ignores it or a connection that will not end",
  permissions: NONE,
  async fn() {
    const { pool, server, clock } = setUp();
    const lease = await borrow(pool);
    lease.release();
    server.destroy = () => new Promise(() => {});
    server.answersByItself = false;
    const busy = await borrow(pool);
    const refused = assertRejects(() => pool.acquire(), DatabaseError, "closed");
    const closed = pool.close(100);
    await refused;
    busy.release();
    await settle();
    clock.advance(100);
    await closed;
    assertEquals(clock.timers, 0);
  },
});

Deno.test({
  name: "options that do not exist or make no sense are refused",
  permissions: NONE,
  fn() {
    const unknown = { max: 5, maximum: 5 };
    assertThrows(() => setUp(unknown), TypeError, 'Unknown pool option "maximum"');
    assertThrows(() => setUp({ max: 0 }), RangeError, "max");
    assertThrows(() => setUp({ max: 2.5 }), RangeError, "max");
    assertThrows(() => setUp({ min: 3, max: 2 }), RangeError, "min");
    assertThrows(() => setUp({ acquireTimeoutMs: -1 }), RangeError, "acquireTimeoutMs");
    assertThrows(() => setUp({ maxLifetimeMs: NaN }), RangeError, "maxLifetimeMs");
    assertThrows(() => setUp({ idleTimeoutMs: Infinity }), RangeError, "idleTimeoutMs");
  },
});

/** Mulberry32: small, and the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One borrower of the randomised test. */
interface Borrower {
  readonly turn: number;
  readonly isUrgent: boolean;
  readonly deadline: number;
}

/** Drives a pool with random events and checks after each what always has to hold. */
class Storm {
  readonly #random: () => number;
  readonly #limits: Required<PoolLimits>;
  readonly #setup: Setup;
  readonly #waiting = new Set<Borrower>();
  readonly #lent = new Map<Thing, Lease<Thing>>();
  /** Found in callbacks, where throwing would end no test. */
  readonly #violations: string[] = [];
  #turns = 0;
  /** Of the ordinary ones, and of the urgent ones. */
  readonly #lastServed = [-1, -1];
  #isClosing = false;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    const max = 1 + this.#below(4);
    this.#limits = {
      max,
      min: this.#below(max + 1),
      acquireTimeoutMs: 50 + this.#below(500),
      createTimeoutMs: 50 + this.#below(300),
      checkTimeoutMs: 20 + this.#below(100),
      checkAfterIdleMs: this.#below(200),
      idleTimeoutMs: 50 + this.#below(500),
      maxLifetimeMs: 200 + this.#below(2_000),
      backoffFirstMs: 1 + this.#below(50),
      backoffMaxMs: 50 + this.#below(200),
    };
    const server = new FakeServer();
    server.answersByItself = false;
    this.#setup = setUp(this.#limits, { random: this.#random, server });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #any<Item>(items: readonly Item[]): Item | undefined {
    return items[this.#below(items.length)];
  }

  #acquire(): void {
    const { pool, clock } = this.#setup;
    const isUrgent = this.#random() < 0.3;
    const borrower = {
      turn: this.#turns++,
      isUrgent,
      deadline: clock.now() + this.#limits.acquireTimeoutMs,
    };
    this.#waiting.add(borrower);
    pool.acquire({ isUrgent }).then((lease) => {
      const thing = lease.resource;
      const kind = Number(isUrgent);
      if (borrower.turn < (this.#lastServed[kind] ?? 0)) this.#violations.push("served out of turn");
      const urgent = [...this.#waiting].some((other) => other.isUrgent);
      if (!isUrgent && urgent) this.#violations.push("served before an urgent one");
      if (thing.isDestroyed) this.#violations.push("lent after it was destroyed");
      if (thing.isBroken) this.#violations.push("lent though broken");
      if (this.#lent.has(thing)) this.#violations.push("lent twice at once");
      this.#waiting.delete(borrower);
      this.#lastServed[kind] = borrower.turn;
      this.#lent.set(thing, lease);
    }, () => {
      const isEarly = clock.now() < borrower.deadline && !this.#isClosing;
      if (isEarly) this.#violations.push("turned away too early");
      this.#waiting.delete(borrower);
    });
  }

  #release(): void {
    const [thing, lease] = this.#any([...this.#lent]) ?? [];
    if (!thing || !lease) return;
    this.#lent.delete(thing);
    const withError = this.#random() < 0.2;
    lease.release(withError ? new Error("broke in use") : undefined);
    if (withError || thing.isBroken) assert(thing.isDestroyed, "kept though broken");
  }

  #step(): void {
    const { pool, server, clock } = this.#setup;
    const events: [weight: number, event: () => void][] = [
      [6, () => this.#acquire()],
      [6, () => this.#release()],
      [5, () => server.answerCreation(this.#below(server.creations.length))],
      [4, () => server.answerCheck(this.#below(server.checks.length), this.#random() < 0.7)],
      [5, () => clock.advance(this.#below(40))],
      [1, () => clock.advance(this.#below(800))],
      [1, () => {
        const thing = this.#any(server.alive);
        if (thing) thing.isBroken = true;
      }],
      [1, () => pool.sweep()],
      [1, () => server.isUp = !server.isUp],
    ];
    let point = this.#random() * events.reduce((sum, [weight]) => sum + weight, 0);
    events.find(([weight]) => (point -= weight) < 0)?.[1]();
  }

  #check(): void {
    const { pool, server, clock } = this.#setup;
    const { max } = this.#limits;
    const stats = pool.stats();
    assertEquals(this.#violations, []);
    assertEquals(stats.size, stats.creating + stats.checking + stats.idle + stats.borrowed);
    assert(stats.size <= max, "more than max");
    assertEquals(stats.borrowed, this.#lent.size);
    assertEquals(stats.pending, this.#waiting.size);
    assertEquals(stats.created - stats.destroyed, server.alive.length);
    assertEquals(server.alive.length, stats.checking + stats.idle + stats.borrowed);
    for (const { deadline } of this.#waiting) assert(deadline > clock.now(), "waits past its deadline");
    for (const thing of this.#lent.keys()) assert(!thing.isDestroyed, "destroyed in use");
    // Nobody is forgotten: what a waiter needs is in use, on its way, or timed (and its deadline is a timer as well).
    if (stats.pending > 0 && stats.borrowed < max && stats.creating + stats.checking === 0) {
      assert(stats.createFailures > 0 && clock.timers >= 2, "a waiter was forgotten");
    }
  }

  async #calmDown(): Promise<void> {
    const { pool, server, clock } = this.#setup;
    server.isUp = true;
    server.answersByItself = true;
    while (server.creations.length > 0) server.answerCreation(0);
    while (server.checks.length > 0) server.answerCheck(0, true);
    await settle();
    for (let round = 0; this.#waiting.size + this.#lent.size > 0; round++) {
      assert(round < 1_000, "waiters are left");
      this.#release();
      clock.advance(1);
      await settle();
      this.#check();
    }
    for (let passed = 0; passed <= this.#limits.backoffMaxMs; passed += 10) {
      clock.advance(10);
      await settle();
    }
    assert(pool.stats().size >= this.#limits.min, "below min");
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#step();
      await settle();
      this.#check();
    }
    if (this.#random() < 0.5) await this.#calmDown();
    this.#isClosing = true;
    for (const lease of this.#lent.values()) if (this.#random() < 0.5) this.#releaseLater(lease);
    await assertCloses(this.#setup);
    const { server } = this.#setup;
    while (server.creations.length > 0) server.answerCreation(0);
    await settle();
    assertEquals(server.alive, [], "what arrived after closing stayed open");
    assertEquals(this.#violations, []);
    assertEquals(this.#waiting.size, 0);
  }

  #releaseLater(lease: Lease<Thing>): void {
    this.#setup.clock.after(this.#below(1_000), () => lease.release());
  }
}

Deno.test({
  name: "whatever happens in whatever order, the pool's promises hold",
  permissions: NONE,
  async fn() {
    console.log(`CHAT_TEST_SEED=${SEED}`);
    for (let run = 0; run < 150; run++) await new Storm(SEED + run).run(200);
  },
});
