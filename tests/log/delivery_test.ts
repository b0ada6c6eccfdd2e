import { assertEquals, assertThrows } from "@std/assert";
import type { Bus } from "../../lib/cluster/bus.ts";
import { Ends } from "../../lib/store/ends.ts";
import { Delivery } from "../../lib/log/delivery.ts";
import { decodeEnvelope, encodeEnvelope, ENVELOPE } from "../../lib/cluster/envelope.ts";
import { Limiter } from "../../lib/base/limiter.ts";
import { Mailbox } from "../../lib/log/mailbox.ts";
import type { Stored } from "../../lib/log/message_log.ts";
import { Positions } from "../../lib/log/positions.ts";
import { Session } from "../../lib/chat/session.ts";
import { type Messages, NO_END } from "../../lib/store/messages.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fakeOutlet } from "./fake_outlet.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const unit = { permissions: "none" } as const;

/** The bus of a Redis that hands every payload to one other node, or to none. */
class FakeBus implements Bus {
  isUp = true;
  readonly published: { channel: string; payload: string }[] = [];
  receivers = 1;

  publish(channel: string, payload: string): Promise<number> {
    if (!this.isUp) return Promise.reject(new Error("away"));
    this.published.push({ channel, payload });
    return Promise.resolve(this.receivers);
  }

  subscribe = () => Promise.resolve();
  unsubscribe() {}
  close = () => Promise.resolve();
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** One node with users logged in by hand. */
function openNode(bus = new FakeBus(), origin = 0) {
  // The log of these tests is empty, and nothing writes positions.
  const clock = new FakeClock();
  let reads = 0;
  const messages = {
    after: () => Promise.resolve([]).finally(() => reads++),
    unsent: () => Promise.resolve([]),
    unsentToDevices: () => Promise.resolve([]),
  } as unknown as Messages;
  const undeliverable: string[] = [];
  const storing = { isStoring: false };
  const claims = { areSure: true };
  const delivery: Delivery = new Delivery({
    bus,
    isClustered: true,
    channelPrefix: "t:",
    messages,
    logger: SILENT,
    clock,
    origin,
    ends: new Ends(),
    onDoubt() {},
    onSweep: () => delivery.sweep(),
    isStoring: () => storing.isStoring,
    isSure: () => claims.areSure,
    onUndeliverable: (sender, receiver, text) => undeliverable.push(`${sender} ${receiver} ${text}`),
  });
  const logIn = (
    userId: number,
    { version = 1, groups = [] }: { version?: 1 | 2; groups?: number[] } = {},
  ) => {
    const frames: string[] = [];
    const outlet = fakeOutlet((frame) => frames.push(frame));
    const session = new Session(userId, outlet);
    session.version = version;
    const positions = new Positions(messages, SILENT, () => {});
    const options = {
      userId,
      version,
      outlet,
      messages,
      positions,
      readers: new Limiter(1),
      now: () => 0,
      onError() {},
    };
    const places = groups.map((id) => ({
      conversation: `g${id}`,
      since: 0,
      delivered: 0,
      read: 0,
      last_seq: 0,
      until: NO_END,
    }));
    const mailbox = new Mailbox(options, places);
    const roles = new Map(groups.map((id) => [id, "normal" as const]));
    session.login = { userId, device: 0, name: `user ${userId}`, generation: 1, groups: roles, mailbox };
    delivery.attach(session);
    mailbox.open();
    return { session, frames };
  };
  return { bus, delivery, logIn, undeliverable, storing, claims, clock, reads: () => reads };
}

function stored(conversation: string, seq: number, sender: number, members = 2): Stored {
  return { conversation, seq, at: 5, sender, text: `{"n":${seq}}`, members, isRepeat: false };
}

const wire = (conversation: string, seq: number) =>
  `{"n":${seq},"conversation":"${conversation}","seq":${seq},"at":5}`;

Deno.test("a one-to-one message to somebody here is not published", unit, () => {
  const { bus, delivery, logIn } = openNode();
  const { frames } = logIn(2);
  delivery.deliver(stored("u1-2", 1, 1));
  assertEquals(frames, [wire("u1-2", 1)]);
  assertEquals(bus.published, []);
});

Deno.test(
  "a one-to-one message to somebody elsewhere is published once, on the receiver's channel",
  unit,
  () => {
    const { bus, delivery } = openNode();
    delivery.deliver(stored("u1-2", 1, 1));
    assertEquals(bus.published.map(({ channel }) => channel), ["t:u:2"]);
    const other = openNode();
    const { frames } = other.logIn(2);
    for (const { channel, payload } of bus.published) other.delivery.onMessage(channel, payload);
    assertEquals(frames, [wire("u1-2", 1)]);
  },
);

Deno.test(
  "a group message is published once however many members there are, and not when all are here",
  unit,
  () => {
    const { bus, delivery, logIn } = openNode();
    const members = [2, 3, 4].map((userId) => logIn(userId, { groups: [9] }));
    const sender = logIn(1, { groups: [9] });
    delivery.deliver(stored("g9", 1, 1, 4));
    assertEquals(bus.published, []);
    delivery.deliver(stored("g9", 2, 1, 5));
    assertEquals(bus.published.map(({ channel }) => channel), ["t:g:9"]);
    for (const { frames } of members) assertEquals(frames, [wire("g9", 1), wire("g9", 2)]);
    assertEquals(sender.frames, []);
  },
);

/** A node with members 2 and 3 of group 9 who have its first message, and another's second one, still on its way. */
function openGroup() {
  const here = openNode();
  const there = openNode();
  const [two, three] = [2, 3].map((userId) => here.logIn(userId, { version: 2, groups: [9] }));
  here.delivery.deliver(stored("g9", 1, 4, 3));
  there.delivery.deliver(stored("g9", 2, 4, 3));
  if (!two || !three) throw new Error("Nobody has logged in");
  for (const { frames } of [two, three]) frames.length = 0;
  const arrive = () => {
    for (const { channel, payload } of there.bus.published) here.delivery.onMessage(channel, payload);
  };
  return { here, there, two, three, arrive };
}

Deno.test(
  "a message stored here waits for the one of another node that belongs before it",
  unit,
  async () => {
    const { here, two, three, arrive } = openGroup();
    here.delivery.deliver(stored("g9", 3, 2, 3));
    assertEquals([two.frames, three.frames], [[], []]);
    arrive();
    assertEquals([two.frames, three.frames], [[wire("g9", 2)], [wire("g9", 2), wire("g9", 3)]]);
    here.clock.advance(1_000);
    await settle();
    assertEquals(here.reads(), 0);
  },
);

Deno.test("what is lost on the bus is looked for in the log after a moment", unit, async () => {
  const { here, three } = openGroup();
  here.delivery.deliver(stored("g9", 3, 2, 3));
  await settle();
  assertEquals(here.reads(), 0);
  here.clock.advance(100);
  await settle();
  assertEquals([three.frames, here.reads() > 0], [[], true]);
});

Deno.test("what was taken back is not handed on behind the news of it", unit, async () => {
  const { here, three, arrive } = openGroup();
  here.delivery.deliver(stored("g9", 3, 2, 3));
  here.delivery.sendEvent("g9", 2, "{recall}");
  arrive();
  await settle();
  assertEquals(three.frames.filter((frame) => frame !== wire("g9", 2)), ["{recall}"]);
});

Deno.test("receipts that are faster than their message's turn are handed on", unit, () => {
  const { here, two } = openGroup();
  here.delivery.deliver(stored("g9", 3, 2, 3));
  here.delivery.sendReceipts([{ userId: 3, conversation: "g9", delivered: 3, read: 0, since: 0 }]);
  assertEquals(two.frames.map((frame) => JSON.parse(frame).id), [3]);
});

Deno.test("nothing waits for a group whose last member here has left", unit, () => {
  const { here, two, three, arrive } = openGroup();
  here.delivery.deliver(stored("g9", 3, 2, 3));
  assertEquals(here.clock.timers, 1);
  for (const { session } of [two, three]) if (session.login) here.delivery.detach(session, session.login);
  assertEquals(here.clock.timers, 0);
  arrive();
  assertEquals(three.frames, []);
});

Deno.test("an old message that rings first says nothing about where its group stands", unit, () => {
  const { delivery, logIn, clock } = openNode();
  const { frames } = logIn(2, { groups: [9] });
  delivery.deliver({ ...stored("g9", 1, 1, 3), text: null, isRepeat: true });
  delivery.deliver(stored("g9", 7, 1, 3));
  assertEquals([frames, clock.timers], [[], 0]);
});

Deno.test(
  "after a publish that failed the other nodes are asked to look into the log, once",
  unit,
  async () => {
    const { bus, delivery } = openNode();
    bus.isUp = false;
    delivery.deliver(stored("u1-2", 1, 1));
    delivery.deliver(stored("u1-2", 2, 1));
    await Promise.resolve();
    await Promise.resolve();
    bus.isUp = true;
    delivery.onBusUp();
    delivery.onBusUp();
    assertEquals(bus.published.map(({ payload }) => decodeEnvelope(payload)?.kind), [ENVELOPE.sweep]);
  },
);

Deno.test("events go to version 2 connections only, and not to their author", unit, () => {
  const { delivery, logIn } = openNode();
  const [author, old, young] = [
    logIn(1, { version: 2, groups: [9] }),
    logIn(2, { groups: [9] }),
    logIn(3, { version: 2, groups: [9] }),
  ];
  delivery.sendEvent("g9", 1, "{event}");
  assertEquals([author.frames, old.frames, young.frames], [[], [], ["{event}"]]);
});

Deno.test("receipts of a group go to those who have said something, in one envelope", unit, () => {
  const { bus, delivery, logIn } = openNode();
  const [speaker, listener] = [logIn(1, { version: 2, groups: [9] }), logIn(2, { version: 2, groups: [9] })];
  delivery.deliver(stored("g9", 1, 1, 2));
  listener.frames.length = 0;
  const moves = [2, 3, 4].map((userId) => ({ userId, conversation: "g9", delivered: 1, read: 0, since: 0 }));
  delivery.sendReceipts(moves);
  assertEquals(speaker.frames.map((frame) => JSON.parse(frame).id), [2, 3, 4]);
  assertEquals(listener.frames, []);
  assertEquals(bus.published.length, 1);
});

Deno.test("who joined a group later has got nothing of what was said before", unit, () => {
  const { delivery, logIn } = openNode();
  const speaker = logIn(1, { version: 2, groups: [9] });
  delivery.deliver(stored("g9", 3, 1, 2));
  const move = { userId: 2, conversation: "g9", delivered: 4, read: 4, since: 3 };
  delivery.sendReceipts([move]);
  assertEquals(speaker.frames, []);
  delivery.deliver(stored("g9", 5, 1, 2));
  delivery.sendReceipts([{ ...move, delivered: 5 }]);
  const { userId: id, ...place } = { ...move, delivered: 5 };
  assertEquals(speaker.frames.map((frame) => JSON.parse(frame)), [{ msgid: 14, ...place, id }]);
});

Deno.test("a message past the log is answered for by whoever has the receiver", unit, async () => {
  const here = openNode();
  const { frames } = here.logIn(2);
  const unlogged = { sender: 1, receiver: 2, text: '{"msg":"x"}' };
  assertEquals(here.delivery.deliverUnlogged(unlogged), true);
  assertEquals(frames, ['{"msg":"x"}']);

  const away = openNode();
  away.bus.receivers = 0;
  assertEquals(await away.delivery.deliverUnlogged(unlogged), false);
  away.bus.receivers = 1;
  assertEquals(await away.delivery.deliverUnlogged(unlogged), true);
  // The user has left the node that still listened: that node stores it.
  const late = openNode();
  for (const { channel, payload } of away.bus.published.slice(1)) late.delivery.onMessage(channel, payload);
  assertEquals(late.undeliverable, ['1 2 {"msg":"x"}']);
});

Deno.test("a message past the log does not overtake one that is on its way into it", unit, async () => {
  const here = openNode();
  const { frames } = here.logIn(2);
  const unlogged = { sender: 1, receiver: 2, text: '{"msg":"x"}' };
  here.storing.isStoring = true;
  assertEquals(here.delivery.deliverUnlogged(unlogged), false);

  const away = openNode();
  assertEquals(await away.delivery.deliverUnlogged(unlogged), true);
  for (const { channel, payload } of away.bus.published) here.delivery.onMessage(channel, payload);
  assertEquals([here.undeliverable, frames], [['1 2 {"msg":"x"}'], []]);
  away.storing.isStoring = true;
  assertEquals(await away.delivery.deliverUnlogged(unlogged), false);
});

Deno.test("an answer from before a user came to another node says nothing of that node", unit, async () => {
  const { bus, delivery, logIn } = openNode();
  logIn(2);
  const answers: ((nodes: number) => void)[] = [];
  bus.publish = () => new Promise((resolve) => answers.push(resolve));
  const answer = async (nodes: number) => {
    answers.shift()?.(nodes);
    await settle();
    return delivery.nodesOf(2);
  };
  const came = encodeEnvelope({ kind: ENVELOPE.came, conversation: "b" });
  delivery.onMessage("t:u:2", came);
  assertEquals(await answer(2), 2);
  // Only this node hears it: the other one has gone, and is back before that is known.
  delivery.deliver(stored("u1-2", 1, 1));
  delivery.onMessage("t:u:2", came);
  assertEquals(await answer(1), 2);
  assertEquals(await answer(2), 2);
  delivery.deliver(stored("u1-2", 2, 1));
  assertEquals(await answer(1), 1);
});

/** Two nodes; `carry` brings what the first one has published, or the second one, to the other. */
function openTwo() {
  const [one, two] = [openNode(new FakeBus(), 1), openNode(new FakeBus(), 2)];
  const carry = async (from: typeof one, to: typeof one) => {
    await settle();
    const sent = from.bus.published.splice(0);
    const origin = from === one ? 1 : 2;
    for (const { channel, payload } of sent) to.delivery.onMessage(channel, payload, origin);
    await settle();
    return sent.map(({ channel, payload }) => `${channel} ${decodeEnvelope(payload)?.kind}`);
  };
  return { one, two, there: () => carry(one, two), back: () => carry(two, one) };
}

const { message: MESSAGE, unlogged: UNLOGGED, receipts: RECEIPTS, home: HOME, moved: MOVED, parcel: PARCEL } =
  ENVELOPE;

Deno.test(
  "who is on one other node only gets all that a turn has for it, and others, at once",
  unit,
  async () => {
    const { one, two, there, back } = openTwo();
    const receivers = [2, 3].map((userId) => two.logIn(userId));
    const say = (seq: number) =>
      [2, 3].forEach((userId) => one.delivery.deliver(stored(`u1-${userId}`, seq, 1)));
    say(1);
    assertEquals(await there(), [`t:u:2 ${MESSAGE}`, `t:u:3 ${MESSAGE}`]);
    assertEquals(await back(), [`t:o:1 ${HOME}`, `t:o:1 ${HOME}`]);
    say(2);
    one.delivery.sendReceipts([{ conversation: "u1-2", userId: 1, delivered: 1, read: 1, since: 0 }]);
    say(3);
    assertEquals(await there(), [`t:o:2 ${PARCEL}`]);
    assertEquals(await back(), []);
    receivers.forEach(({ frames }, index) => {
      assertEquals(frames, [1, 2, 3].map((seq) => wire(`u1-${index + 2}`, seq)));
    });
  },
);

Deno.test("a node is told once in a while where a user is, not for each message", unit, async () => {
  const { one, two, there, back } = openTwo();
  two.logIn(2);
  for (const seq of [1, 2, 3]) one.delivery.deliver(stored("u1-2", seq, 1));
  await there();
  assertEquals(await back(), [`t:o:1 ${HOME}`]);
  one.delivery.requestSweep(); // Forgets it.
  await there();
  one.delivery.deliver(stored("u1-2", 4, 1));
  assertEquals(await there(), [`t:u:2 ${MESSAGE}`]);
  assertEquals(await back(), []);
  two.clock.advance(100);
  one.delivery.deliver(stored("u1-2", 5, 1));
  await there();
  assertEquals(await back(), [`t:o:1 ${HOME}`]);
});

/** Node 1 has learned that user 2 is on node 2. */
async function openLearned() {
  const two = openTwo();
  const { session, frames } = two.two.logIn(2);
  two.one.delivery.deliver(stored("u1-2", 1, 1));
  await two.there();
  await two.back();
  frames.length = 0;
  const leave = () => session.login && two.two.delivery.detach(session, session.login);
  return { ...two, frames, leave };
}

Deno.test(
  "what comes for somebody who has left rings on the user's channel, and the sender's node is told",
  unit,
  async () => {
    const { one, two, there, back, leave } = await openLearned();
    leave();
    one.delivery.deliver(stored("u1-2", 2, 1));
    one.delivery.sendReceipts([{ conversation: "u1-2", userId: 1, delivered: 1, read: 1, since: 0 }]);
    assertEquals(await there(), [`t:o:2 ${PARCEL}`]);
    const [again] = two.bus.published;
    assertEquals(decodeEnvelope(again?.payload ?? "")?.frame, wire("u1-2", 2));
    assertEquals(await back(), [`t:u:2 ${MESSAGE}`, `t:u:2 ${RECEIPTS}`, `t:o:1 ${MOVED}`]);
    one.delivery.deliver(stored("u1-2", 3, 1));
    assertEquals(await there(), [`t:u:2 ${MESSAGE}`]);
  },
);

Deno.test(
  "what comes for somebody who has come online elsewhere, too, rings there as well",
  unit,
  async () => {
    const { one, two, there, back, frames } = await openLearned();
    const three = openNode(new FakeBus(), 3);
    const { frames: others } = three.logIn(2);
    three.delivery.deliver(stored("u1-2", 1, 1));
    others.length = 0;
    two.bus.receivers = 2;
    three.delivery.announce(2);
    for (const { channel, payload } of three.bus.published) two.delivery.onMessage(channel, payload, 3);
    two.bus.published.length = 0;
    one.delivery.deliver(stored("u1-2", 2, 1));
    await there();
    for (const { channel, payload } of two.bus.published) three.delivery.onMessage(channel, payload, 2);
    assertEquals([frames, others], [[wire("u1-2", 2)], [wire("u1-2", 2)]]);
    assertEquals(await back(), [`t:u:2 ${MESSAGE}`, `t:o:1 ${MOVED}`]);
    // Nobody may say that it has such a user alone.
    one.delivery.deliver(stored("u1-2", 3, 1));
    assertEquals(await there(), [`t:u:2 ${MESSAGE}`]);
    assertEquals(await back(), []);
  },
);

Deno.test(
  "a parcel that no node hears goes to the user's channel; past the log nothing does",
  unit,
  async () => {
    const { one, there } = await openLearned();
    one.bus.receivers = 0;
    one.delivery.deliver(stored("u1-2", 2, 1));
    const unlogged = one.delivery.deliverUnlogged({ sender: 1, receiver: 2, text: '{"msg":"x"}' });
    assertEquals(await unlogged, false);
    assertEquals(await there(), [`t:o:2 ${PARCEL}`, `t:u:2 ${MESSAGE}`]);
    one.bus.isUp = false;
    one.delivery.deliver(stored("u1-2", 3, 1));
    await settle();
    assertEquals(one.delivery.counters.publishFailures, 1);
  },
);

Deno.test(
  "a message past the log that comes for somebody who has left is answered for there",
  unit,
  async () => {
    const { one, two, there, back, frames, leave } = await openLearned();
    const unlogged = { sender: 1, receiver: 2, text: '{"msg":"x"}' };
    const first = one.delivery.deliverUnlogged(unlogged);
    await there();
    assertEquals([await first, frames], [true, ['{"msg":"x"}']]);
    leave();
    const second = one.delivery.deliverUnlogged(unlogged);
    await there();
    assertEquals([await second, two.undeliverable], [true, ['1 2 {"msg":"x"}']]);
    assertEquals(await back(), [`t:o:1 ${MOVED}`]);
    const third = one.delivery.deliverUnlogged(unlogged);
    assertEquals(await there(), [`t:u:2 ${UNLOGGED}`]);
    assertEquals(await third, true);
  },
);

Deno.test(
  "a node that was taken for dead answers for nobody alone before it has made sure of its claims",
  unit,
  async () => {
    const { one, two, there, back, frames } = await openLearned();
    two.claims.areSure = false;
    one.delivery.deliver(stored("u1-2", 2, 1));
    one.delivery.deliverUnlogged({ sender: 1, receiver: 2, text: "{}" });
    await there();
    assertEquals([frames, two.undeliverable], [[wire("u1-2", 2)], ["1 2 {}"]]);
    assertEquals(await back(), [`t:u:2 ${MESSAGE}`, `t:o:1 ${MOVED}`]);
    one.delivery.deliver(stored("u1-2", 3, 1));
    assertEquals(await there(), [`t:u:2 ${MESSAGE}`]);
    assertEquals(await back(), []);
  },
);

Deno.test("who is said to be on another node by now is written to on its own channel", unit, async () => {
  const { one, there } = await openLearned();
  one.delivery.onMessage("t:all", encodeEnvelope({ kind: MOVED, sender: 2 }), 3);
  one.delivery.deliver(stored("u1-2", 2, 1));
  assertEquals(await there(), [`t:u:2 ${MESSAGE}`]);
});

Deno.test("one envelope of a parcel that cannot be read does not take the others with it", unit, () => {
  const { delivery, logIn } = openNode(new FakeBus(), 1);
  const { frames } = logIn(2);
  const good = encodeEnvelope({
    kind: ENVELOPE.message,
    sender: 1,
    seq: 1,
    conversation: "u1-2",
    frame: wire("u1-2", 1),
  });
  const bad = encodeEnvelope({ kind: ENVELOPE.receipts, conversation: "u1-2", frame: "{nonsense" });
  const foreign = encodeEnvelope({ kind: ENVELOPE.parcel, frame: "2 0 " });
  const frame = [bad, foreign, "", "99 1 1  ", good].map((text) => `2 ${text.length} ${text}`).join("");
  assertThrows(
    () => delivery.onMessage("t:o:1", encodeEnvelope({ kind: ENVELOPE.parcel, frame }), 7),
    SyntaxError,
  );
  assertEquals(frames, [wire("u1-2", 1)]);
});

Deno.test("a sweep that is asked for is made, whichever moment of another one it takes", unit, async () => {
  const { delivery } = openNode();
  for (let steps = 0; steps < 12; steps++) {
    delivery.sweep();
    for (let step = 0; step < steps; step++) await null;
    const before = delivery.counters.sweeps;
    delivery.sweep();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(delivery.counters.sweeps, before + 1, `after ${steps} steps`);
  }
});
