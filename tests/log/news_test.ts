import { assertEquals } from "@std/assert";
import { createLocalBus } from "../../lib/cluster/bus.ts";
import { ENVELOPE } from "../../lib/cluster/envelope.ts";
import { Limiter } from "../../lib/base/limiter.ts";
import { Delivery } from "../../lib/log/delivery.ts";
import { Mailbox } from "../../lib/log/mailbox.ts";
import { News } from "../../lib/log/news.ts";
import { Positions } from "../../lib/log/positions.ts";
import { WATCHED_MAX, Watchers } from "../../lib/log/watchers.ts";
import { Session } from "../../lib/chat/session.ts";
import { Ends } from "../../lib/store/ends.ts";
import type { Contacts } from "../../lib/store/contacts.ts";
import { type Messages, NO_END } from "../../lib/store/messages.ts";
import { fakeOutlet } from "./fake_outlet.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const unit = { permissions: "none" } as const;

/** A node with users of version 3 logged in by hand. */
function openNode() {
  const messages = {} as unknown as Messages;
  const contacts = {
    friends: () => Promise.resolve([]),
    blockedIds: () => Promise.resolve(new Set()),
  } as unknown as Contacts;
  const delivery: Delivery<Session> = new Delivery<Session>({
    bus: createLocalBus(),
    isClustered: false,
    channelPrefix: "t:",
    messages,
    logger: SILENT,
    ends: new Ends(),
    onDoubt() {},
    onSweep: () => Promise.resolve(),
    isStoring: () => false,
    onUndeliverable() {},
  });
  const watchers = new Watchers<Session>();
  const news = new News<Session>({ delivery, watchers, contacts, onLook() {} });
  const logIn = async (userId: number, { isCongested = false, isPlaced = true } = {}) => {
    const frames: string[] = [];
    const outlet = { ...fakeOutlet((frame) => frames.push(frame)), isCongested };
    const session = new Session(userId, outlet);
    session.version = 3;
    const positions = new Positions(messages, SILENT, () => {});
    const mailbox = new Mailbox({
      userId,
      device: userId,
      version: 3,
      outlet,
      messages,
      positions,
      readers: new Limiter(1),
      now: () => 0,
      onError() {},
    }, isPlaced ? [] : undefined);
    session.login = {
      userId,
      device: userId,
      name: `user ${userId}`,
      generation: 1,
      groups: new Map(),
      mailbox,
    };
    delivery.attach(session);
    mailbox.open();
    await news.enter(session);
    return { session, frames };
  };
  return { delivery, watchers, news, logIn };
}

Deno.test("who does not keep up is not told who is typing", unit, async () => {
  const { news, logIn } = openNode();
  const slow = await logIn(1, { isCongested: true });
  const quick = await logIn(2);
  news.tellTyping({ userId: 1 }, "u1-3", 3);
  news.tellTyping({ userId: 2 }, "u2-3", 3);
  assertEquals([slow.frames, quick.frames], [[], ['{"msgid":30,"conversation":"u2-3","id":3}']]);
});

Deno.test("with whom a connection has conversations is looked at when it is known", unit, async () => {
  const { news, watchers, logIn } = openNode();
  const { session } = await logIn(1, { isPlaced: false });
  news.meet(session, [[2, "offline"], [3, "offline"]]);
  const refreshed = news.refresh(1);
  const place = { since: 0, delivered: 0, read: 0, last_seq: 1, until: NO_END };
  session.login?.mailbox.place([{ conversation: "u1-2", ...place }]);
  await refreshed;
  assertEquals(watchers.watchedBy(session), [2]);
});

Deno.test("what another node sends that is no profile is refused, and tells nobody", unit, async () => {
  const { news, logIn } = openNode();
  const { frames } = await logIn(1);
  const envelope = { kind: ENVELOPE.profile, sender: 1, seq: 0, conversation: "" };
  for (const frame of ["", "{}", "[]", '{"groups":1}']) {
    let isRefused = false;
    try {
      news.onMessage({ ...envelope, frame }, undefined);
    } catch {
      isRefused = true;
    }
    assertEquals([isRefused, frames], [true, []], frame);
  }
});

Deno.test("a connection looks at so many users and no more, and at none whom it blocks", unit, () => {
  const watchers = new Watchers<object>();
  const [one, other] = [{}, {}];
  assertEquals(watchers.watch(one, 7), false);
  for (const session of [one, other]) watchers.enter(session);
  for (let id = 1; id <= WATCHED_MAX + 10; id++) watchers.watch(one, id);
  assertEquals([watchers.of(WATCHED_MAX), watchers.of(WATCHED_MAX + 1)], [[one], []]);
  watchers.watch(other, 1, "online");
  watchers.block(one, new Set([1]));
  assertEquals([watchers.of(1), watchers.isBlocked(one, 1), watchers.watch(one, 1)], [[other], true, false]);
  assertEquals([watchers.told(other, 1), watchers.told(one, 2)], ["online", undefined]);
  watchers.leave(other);
  watchers.leave(one);
  assertEquals([[...watchers.userIds], [...watchers.sessions]], [[], []]);
});
