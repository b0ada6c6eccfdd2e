import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type SubscriptionLink, Subscriptions } from "../../lib/cluster/subscriptions.ts";

const NONE: Deno.TestDefinition["permissions"] = "none";

/** Read while the file loads, because the tests themselves may not. */
const SEED = Number(Deno.env.get("CHAT_TEST_SEED") ?? Math.floor(Math.random() * 2 ** 32));

/** Redis at the other end of a link: a set of channels, and commands that are done when the test says so. */
class FakeLink implements SubscriptionLink {
  readonly subscribed = new Set<string>();
  readonly commands: string[] = [];
  /** Commands not yet done, oldest first. */
  readonly pending: { channels: readonly string[]; finish: () => void; reject: (error: Error) => void }[] =
    [];
  failure: unknown = null;

  subscribe(channels: readonly string[]): Promise<void> {
    return this.#command("+", channels, (channel) => this.subscribed.add(channel));
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#command("-", channels, (channel) => this.subscribed.delete(channel));
  }

  fail(error: unknown): void {
    this.failure = error;
  }

  finishAll(): void {
    for (const { finish } of this.pending.splice(0)) finish();
  }

  #command(sign: string, channels: readonly string[], apply: (channel: string) => void): Promise<void> {
    for (const { channels: others } of this.pending) {
      for (const channel of channels) assert(!others.includes(channel), `two commands about ${channel}`);
    }
    this.commands.push(sign + channels.join());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const finish = () => {
      channels.forEach(apply);
      resolve();
    };
    this.pending.push({ channels, finish, reject });
    return promise;
  }
}

/** Lets everything run that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** Finishes commands until none follow. */
async function drain(link: FakeLink): Promise<void> {
  await settle();
  while (link.pending.length > 0) {
    link.finishAll();
    await settle();
  }
}

/** A promise that can be asked. */
function watch(promise: Promise<void>): { isDone: boolean } {
  const watched = { isDone: false };
  promise.then(() => watched.isDone = true);
  return watched;
}

Deno.test(
  "a channel is subscribed by its first reference and left with its last",
  { permissions: NONE },
  async () => {
    const table = new Subscriptions();
    const link = new FakeLink();
    await table.attach(link);
    table.add("a");
    table.add("a");
    await drain(link);
    table.remove("a");
    await drain(link);
    assertEquals(link.commands, ["+a"]);
    table.remove("a");
    await drain(link);
    assertEquals(link.commands, ["+a", "-a"]);
  },
);

Deno.test("changes of one turn go into one command, and those that cancel out into none", {
  permissions: NONE,
}, async () => {
  const table = new Subscriptions();
  const link = new FakeLink();
  await table.attach(link);
  table.add("a");
  table.add("b");
  table.add("gone");
  table.remove("gone");
  await drain(link);
  assertEquals(link.commands, ["+a,b"]);
});

Deno.test("add resolves only when Redis has confirmed the channel", { permissions: NONE }, async () => {
  const table = new Subscriptions();
  const link = new FakeLink();
  await table.attach(link);
  const first = watch(table.add("a"));
  await settle();
  const second = watch(table.add("a"));
  await settle();
  assertEquals([first.isDone, second.isDone], [false, false]);
  link.finishAll();
  await settle();
  assertEquals([first.isDone, second.isDone], [true, true]);
  const third = watch(table.add("a"));
  await settle();
  assert(third.isDone);
});

Deno.test("add during an unsubscribe waits for the subscribe after it", { permissions: NONE }, async () => {
  const table = new Subscriptions();
  const link = new FakeLink();
  await table.attach(link);
  table.add("a");
  await drain(link);
  table.remove("a");
  await settle();
  const again = watch(table.add("a"));
  link.finishAll();
  await settle();
  assertEquals(link.commands, ["+a", "-a", "+a"]);
  assertEquals(again.isDone, false);
  link.finishAll();
  await settle();
  assert(again.isDone);
});

Deno.test(
  "without a link add resolves at once and the next link is told",
  { permissions: NONE },
  async () => {
    const table = new Subscriptions();
    await table.add("kept");
    await table.add("dropped");
    table.remove("dropped");
    const link = new FakeLink();
    const attached = watch(table.attach(link));
    await settle();
    assertEquals(link.commands, ["+kept"]);
    assertEquals(attached.isDone, false);
    link.finishAll();
    await settle();
    assert(attached.isDone);
  },
);

Deno.test("a lost link leaves nobody waiting", { permissions: NONE }, async () => {
  const table = new Subscriptions();
  await table.attach(new FakeLink());
  const waiting = watch(table.add("a"));
  await settle();
  table.detach();
  await settle();
  assert(waiting.isDone);
});

Deno.test("a replay of many channels is cut into commands of a thousand", { permissions: NONE }, async () => {
  const table = new Subscriptions();
  for (let i = 0; i < 2500; i++) table.add(`c${i}`);
  const link = new FakeLink();
  const attached = table.attach(link);
  await drain(link);
  await attached;
  assertEquals(link.commands.map((command) => command.split(",").length), [1000, 1000, 500]);
  assertEquals(link.subscribed.size, 2500);
});

Deno.test("a refused command makes the link useless", { permissions: NONE }, async () => {
  const refused = new Error("NOPERM");
  const table = new Subscriptions();
  const link = new FakeLink();
  await table.attach(link);
  table.add("a");
  await settle();
  link.pending[0]?.reject(refused);
  await settle();
  assertEquals(link.failure, refused);

  const next = new FakeLink();
  const attached = assertRejects(() => table.attach(next), Error, "NOPERM");
  await settle();
  next.pending[0]?.reject(refused);
  await attached;
});

Deno.test("taking away a reference that nobody holds is a mistake that shows", { permissions: NONE }, () => {
  const table = new Subscriptions();
  table.add("a");
  table.remove("a");
  assertThrows(() => table.remove("a"), Error, '"a" is not subscribed');
});

Deno.test("any storm of changes, replies and lost links ends in the right state", {
  permissions: NONE,
}, async () => {
  console.log(`seed ${SEED} (set CHAT_TEST_SEED to repeat)`);
  let state = SEED;
  const random = (below: number) => { // mulberry32
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
  for (let round = 0; round < 200; round++) {
    const table = new Subscriptions();
    const references = new Map<string, number>();
    let link: FakeLink | null = null;
    let waiting: { isDone: boolean }[] = [];
    for (let step = 0; step < 100; step++) {
      const channel = `c${random(4)}`;
      const count = references.get(channel) ?? 0;
      const action = random(20);
      if (action < 8) {
        references.set(channel, count + 1);
        waiting.push(watch(table.add(channel)));
      } else if (action < 15) {
        if (count === 0) continue;
        references.set(channel, count - 1);
        table.remove(channel);
      } else if (action < 17) link?.pending.shift()?.finish();
      else if (action < 18) await settle();
      else if (action === 18) {
        link = new FakeLink();
        table.attach(link);
      } else {
        link = null;
        table.detach();
        await settle();
        assert(waiting.every(({ isDone }) => isDone), "nobody waits without a link");
        waiting = [];
      }
    }
    if (!link) table.attach(link = new FakeLink());
    await drain(link);
    const wanted = [...references].filter(([, count]) => count > 0).map(([channel]) => channel);
    assertEquals([...link.subscribed].sort(), wanted.sort());
    assert(waiting.every(({ isDone }) => isDone), "everybody was answered");
  }
});
