import { assert, assertEquals } from "@std/assert";
import { HistoryStore } from "../../../lib/client/terminal/history_store.ts";
import { type ConversationPosition, type HistoryPage, Inbox } from "../../../lib/client/core/inbox.ts";
import type { ChatMessage } from "../../../lib/client/core/messages.ts";
import { flush } from "./fake_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type Random, randomFrom, testSeed } from "../../support/random.ts";

const U = "u1-2";

function message(seq: number, sender = 2, at = 1000 + seq): ChatMessage {
  return { conversation: U, seq, sender, name: "li", text: `text ${seq}`, at };
}

function position(lastSeq: number, delivered: number, read = delivered): ConversationPosition {
  return { conversation: U, lastSeq, delivered, read, peer: undefined };
}

/** An inbox of user 1 whose surroundings write down what it does. */
function createInbox(
  store: HistoryStore,
  history: (after: number) => HistoryPage | undefined = () => undefined,
) {
  const clock = new FakeClock();
  const shown: number[] = [];
  const acks: string[] = [];
  const asked: number[] = [];
  const inbox = new Inbox({
    store,
    clock,
    me: 1,
    peer: {
      show: ({ seq }) => shown.push(seq ?? 0),
      send: ({ msgid, seq }) => acks.push(`${msgid === 12 ? "delivered" : "read"} ${seq}`),
      askHistory: (_conversation, after) => {
        asked.push(after);
        return Promise.resolve(history(after));
      },
      wallNow: () => 5,
      changed: () => {},
      failed: (error) => {
        throw error;
      },
    },
  });
  return { inbox, clock, shown, acks, asked };
}

/** What a server answers that has these messages and gives at most `limit` of them. */
function pageOf(messages: readonly ChatMessage[], after: number, limit = 200): HistoryPage {
  const behind = messages.filter(({ seq }) => (seq ?? 0) > after);
  return { messages: behind.slice(0, limit), hasMore: behind.length > limit };
}

Deno.test("messages in order are stored, shown and acknowledged together, once", () => {
  using store = new HistoryStore(":memory:");
  const { inbox, clock, shown, acks } = createInbox(store);
  inbox.start([]);
  for (const seq of [1, 2, 3, 2]) inbox.receive(message(seq));
  assertEquals(shown, [1, 2, 3]);
  assertEquals(acks, []);
  clock.advance(100);
  assertEquals(acks, ["delivered 3", "read 3"]);
  clock.advance(10_000);
  assertEquals(acks.length, 2);
});

Deno.test("many messages are acknowledged without waiting", () => {
  using store = new HistoryStore(":memory:");
  const { inbox, clock, acks } = createInbox(store);
  inbox.start([]);
  for (let seq = 1; seq <= 60; seq++) inbox.receive(message(seq));
  clock.advance(0);
  assertEquals(acks, ["delivered 60", "read 60"]);
});

Deno.test("a hole is asked for, and what is behind it waits to be shown", async () => {
  using store = new HistoryStore(":memory:");
  const all = [1, 2, 3, 4, 5].map((seq) => message(seq));
  const { inbox, clock, shown, acks, asked } = createInbox(store, (after) => pageOf(all, after));
  inbox.start([]);
  inbox.receive(message(1));
  inbox.receive(message(5));
  inbox.receive(message(4));
  assertEquals(shown, [1]);
  clock.advance(100);
  await flush();
  assertEquals(asked, [1]);
  assertEquals(shown, [1, 2, 3, 4, 5]);
  clock.advance(100);
  assertEquals(acks, ["delivered 1", "read 1", "delivered 5", "read 5"]);
});

Deno.test("a hole that closes by itself in a moment is not asked for", () => {
  using store = new HistoryStore(":memory:");
  const { inbox, clock, shown, asked } = createInbox(store);
  inbox.start([]);
  inbox.receive(message(2));
  inbox.receive(message(1, 1));
  clock.advance(1000);
  assertEquals(shown, [2]);
  assertEquals(asked, []);
});

Deno.test("a hole that history does not fill does not exist", async () => {
  using store = new HistoryStore(":memory:");
  const { inbox, clock, shown, acks } = createInbox(
    store,
    (after) => pageOf([message(2), message(6)], after),
  );
  inbox.start([]);
  inbox.receive(message(6));
  clock.advance(100);
  await flush();
  assertEquals(shown, [2, 6]);
  clock.advance(100);
  assertEquals(acks, ["delivered 6", "read 6"]);
});

Deno.test("a hole larger than a page is filled page by page, also when pages come up short", async () => {
  using store = new HistoryStore(":memory:");
  const all = Array.from({ length: 450 }, (_, index) => message(index + 1));
  const { inbox, clock, shown, asked } = createInbox(store, (after) => pageOf(all, after, 130));
  inbox.start([]);
  inbox.receive(message(450));
  clock.advance(100);
  await flush();
  assertEquals(asked, [0, 130, 260, 390]);
  assertEquals(shown, all.map(({ seq }) => seq ?? 0));
});

Deno.test("messages that overtake a page of history do not end the search for the rest", async () => {
  using store = new HistoryStore(":memory:");
  const all = Array.from({ length: 500 }, (_, index) => message(index + 1));
  const fixture = createInbox(store, (after) => {
    // While the page is on its way, the server goes on sending by itself.
    if (after === 0) { for (const live of all.slice(0, 300)) fixture.inbox.receive(live); }
    return pageOf(all, after);
  });
  const { inbox, shown } = fixture;
  const positions = [position(500, 0)];
  inbox.start(positions);
  inbox.catchUp(positions);
  await flush();
  assertEquals(shown, all.map(({ seq }) => seq ?? 0));
});

Deno.test("history that cannot be had for the moment is asked for again", async () => {
  using store = new HistoryStore(":memory:");
  let isAvailable = false;
  const { inbox, clock, shown, asked } = createInbox(
    store,
    (after) => isAvailable ? pageOf([message(1), message(2)], after) : undefined,
  );
  inbox.start([]);
  inbox.receive(message(2));
  clock.advance(100);
  await flush();
  assertEquals(inbox.isCaughtUp, false);
  isAvailable = true;
  clock.advance(2000);
  await flush();
  assertEquals(asked, [0, 0]);
  assertEquals(shown, [1, 2]);
  assertEquals(inbox.isCaughtUp, true);
});

Deno.test("a new history begins where the server stands, and what is undelivered follows", () => {
  using store = new HistoryStore(":memory:");
  const { inbox, clock, shown, acks, asked } = createInbox(store);
  inbox.start([position(12, 10)]);
  inbox.receive(message(11));
  inbox.receive(message(12));
  clock.advance(100);
  assertEquals(shown, [11, 12]);
  assertEquals(asked, []);
  assertEquals(acks, ["delivered 12", "read 12"]);
});

Deno.test("what another device received is fetched, and shown only as far as it was not read there", async () => {
  using store = new HistoryStore(":memory:");
  const all = [1, 2, 3, 4, 5].map((seq) => message(seq));
  store.insert(message(1));
  store.saveConversation({ id: U, base: 0, top: 1, shown: 1 });
  const { inbox, clock, shown, asked, acks } = createInbox(store, (after) => pageOf(all, after));
  inbox.start([position(5, 4, 3)]);
  await flush();
  assertEquals(asked, [1]);
  assertEquals(shown, [4, 5]);
  clock.advance(100);
  assertEquals(acks, ["delivered 5", "read 5"]);
});

Deno.test("what was stored but not acknowledged when the connection broke is acknowledged at the next login", () => {
  using store = new HistoryStore(":memory:");
  const first = createInbox(store);
  first.inbox.start([]);
  first.inbox.receive(message(1));
  first.inbox.stop();
  first.clock.advance(1000);
  assertEquals(first.acks, []);
  const second = createInbox(store);
  second.inbox.start([position(1, 0)]);
  second.clock.advance(100);
  assertEquals(second.acks, ["delivered 1", "read 1"]);
  second.inbox.receive(message(1));
  assertEquals(second.shown, []);
});

Deno.test("messages above a hole survive a restart of the client and are not asked for again", async () => {
  using store = new HistoryStore(":memory:");
  const first = createInbox(store);
  first.inbox.start([]);
  first.inbox.receive(message(3));
  first.inbox.stop();
  const { inbox, shown, asked } = createInbox(
    store,
    (after) => pageOf([1, 2, 3].map((seq) => message(seq)), after),
  );
  inbox.start([position(3, 0)]);
  await flush();
  assertEquals(asked, [0]);
  assertEquals(shown, [1, 2, 3]);
});

Deno.test("our own messages are stored and not shown", () => {
  using store = new HistoryStore(":memory:");
  const { inbox, shown } = createInbox(store);
  inbox.start([]);
  inbox.receive(message(1, 1));
  inbox.receive(message(2));
  assertEquals(shown, [2]);
  assertEquals(store.latest(U, 5).length, 2);
});

Deno.test("an answer that belongs to an earlier connection is not heard", async () => {
  using store = new HistoryStore(":memory:");
  const answers: ((page: HistoryPage) => void)[] = [];
  const { inbox, clock, shown } = createInbox(store);
  const slow = new Inbox({
    store,
    clock,
    me: 1,
    peer: {
      show: ({ seq }) => shown.push(seq ?? 0),
      send: () => {},
      askHistory: () => new Promise((resolve) => answers.push(resolve)),
      wallNow: () => 5,
      changed: () => {},
      failed: () => {},
    },
  });
  inbox.stop();
  slow.start([]);
  slow.receive(message(2));
  clock.advance(100);
  slow.start([position(2, 0)]);
  answers[0]?.({ messages: [], hasMore: false });
  await flush();
  assertEquals(shown, []);
  answers[1]?.({ messages: [message(1)], hasMore: false });
  await flush();
  assertEquals(shown, [1, 2]);
});

Deno.test("a server set up anew is noticed: by a conversation that shrank, is gone, or says another thing", () => {
  const restart = (positions: ConversationPosition[], next: ChatMessage) => {
    using store = new HistoryStore(":memory:");
    for (const seq of [1, 2, 3]) store.insert(message(seq));
    store.saveConversation({ id: U, base: 0, top: 3, shown: 3 });
    const { inbox, shown } = createInbox(store);
    inbox.start(positions);
    inbox.receive(next);
    return shown;
  };
  assertEquals(restart([position(1, 0)], message(1, 2, 99)), [1]);
  assertEquals(restart([], message(1, 2, 99)), [1]);
  assertEquals(restart([position(3, 1)], message(2, 2, 99)), [2]);
  assertEquals(restart([position(3, 1)], message(2)), []);
});

/**
 * A log that grows while its messages are delivered out of order, twice or not at all, pages of history come late or
 * not at all, and the connection breaks again and again. Some seqs do not exist, some messages are our own.
 */
async function runStorm(random: Random): Promise<void> {
  using store = new HistoryStore(":memory:");
  const log: ChatMessage[] = [];
  const pages: (() => void)[] = [];
  const shown: number[] = [];
  const clock = new FakeClock();
  let delivered = 0;
  const lastSeq = () => log.at(-1)?.seq ?? 0;
  const inbox = new Inbox({
    store,
    clock,
    me: 1,
    peer: {
      show: ({ seq }) => shown.push(seq ?? 0),
      send: ({ msgid, seq }) => {
        assert(typeof seq === "number" && seq <= lastSeq(), `acknowledged ${seq} of ${lastSeq()}`);
        if (msgid === 12) delivered = Math.max(delivered, seq);
      },
      askHistory: (_conversation, after) =>
        new Promise((resolve) => {
          const page = random.chance(0.1) ? undefined : pageOf(log, after, 1 + random.below(20));
          pages.push(() => resolve(page));
        }),
      wallNow: () => 5,
      changed: () => {},
      failed: (error) => {
        throw error;
      },
    },
  });
  const positions = () => lastSeq() === 0 ? [] : [position(lastSeq(), delivered, 0)];
  inbox.start([]);
  for (let step = 0; step < 400; step++) {
    const action = random.below(100);
    if (action < 50) log.push(message(lastSeq() + (random.chance(0.1) ? 2 : 1), random.chance(0.2) ? 1 : 2));
    else if (action < 90) {
      const recent = log[log.length - 1 - random.below(Math.min(12, log.length))];
      if (recent) inbox.receive(recent);
    } else if (action < 93) {
      inbox.stop();
      inbox.start(positions());
    } else clock.advance(random.below(300));
    if (pages.length > 0 && random.chance(0.3)) pages.splice(random.below(pages.length), 1)[0]?.();
    await Promise.resolve();
  }
  inbox.start(positions());
  inbox.catchUp(positions());
  for (let round = 0; round < 500 && !inbox.isCaughtUp; round++) {
    for (const answer of pages.splice(0)) answer();
    await flush();
    clock.advance(2000);
  }
  assertEquals(shown, log.filter(({ sender }) => sender !== 1).map(({ seq }) => seq));
  assertEquals(store.latest(U, 1000).map(({ seq }) => seq), log.map(({ seq }) => seq));
  inbox.flush();
  assertEquals(delivered, lastSeq());
}

Deno.test("whatever is lost, late, doubled or broken off, everything is shown once, in order, and kept", async () => {
  const { seed, isGiven } = testSeed();
  const rounds = isGiven ? 1 : 100;
  for (let round = 0; round < rounds; round++) {
    try {
      await runStorm(randomFrom(seed + round));
    } catch (error) {
      throw new Error(`CHAT_TEST_SEED=${seed + round}`, { cause: error });
    }
  }
});
