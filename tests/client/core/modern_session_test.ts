import { assertEquals } from "@std/assert";
import { ClientSession } from "../../../lib/client/core/client_session.ts";
import type { LinkState } from "../../../lib/client/core/client_session.ts";
import { detailsOf } from "../../../lib/client/core/entries.ts";
import type { SessionEvent } from "../../../lib/client/core/events.ts";
import { fallBack } from "../../../lib/client/core/other_log.ts";
import type { JsonObject } from "../../../lib/protocol/protocol.ts";
import { HistoryStore } from "../../../lib/client/terminal/history_store.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeServer, flush } from "./fake_server.ts";

/** A session of version 3, and what it tells its client. */
function createSession() {
  const server = new FakeServer();
  const clock = new FakeClock();
  const links: LinkState[] = [];
  const logins: JsonObject[] = [];
  const frames: JsonObject[] = [];
  const events: SessionEvent[] = [];
  const tokens: string[] = [];
  const store = new HistoryStore(":memory:");
  const session: ClientSession = new ClientSession({
    dial: server.dial,
    server: "server",
    isV1: false,
    isForScript: true,
    clock,
    wallNow: () => clock.now(),
    random: () => 1,
    openStore: () => store,
    onEvent: (event) => void events.push(event),
    modern: {
      device: "Chromium on Linux",
      onLink: (state) => void links.push(state),
      onLogin: (frame) => void logins.push(frame),
      onToken: (token) => void tokens.push(token),
      onFrame: (frame) => void frames.push(frame),
    },
  });
  return { session, server, clock, links, logins, tokens, frames, events, store };
}

/** To a RESUME that has no token of ours. */
function refuse(request: JsonObject, server: FakeServer): void {
  server.connection.send({ msgid: 2, cid: request.cid, errno: 11, errmsg: "unknown token" });
}

function reply(request: JsonObject, token: string): JsonObject {
  const conversations = [{ conversation: "u1-2", last_seq: 4, delivered: 4, read: 2 }];
  return { msgid: 2, cid: request.cid, errno: 0, id: 1, name: "li", device_id: 7, token, conversations };
}

Deno.test("version 3: a login by name says which device it is, and each token replaces the one before", async () => {
  const { session, server, clock, links, logins } = createSession();
  const login = session.login("li", "secret");
  await flush();
  refuse(server.connection.take(21), server);
  await flush();
  const request = server.connection.take(1);
  assertEquals(
    { ...request, cid: "" },
    { msgid: 1, v: 3, cid: "", name: "li", password: "secret", device: "Chromium on Linux" },
  );
  server.connection.send(reply(request, "t1"));
  assertEquals((await login).errno, 0);
  assertEquals(logins.map(({ token }) => token), ["t1"]);
  server.connection.lose();
  clock.advance(500);
  await flush();
  const resume = server.connection.take(21);
  assertEquals([resume.token, resume.v], ["t1", 3]);
  server.connection.send(reply(resume, "t2"));
  assertEquals(logins.map(({ token }) => token), ["t1", "t2"]);
  assertEquals(links.map(({ kind }) => kind), ["connecting", "online", "waiting", "connecting", "online"]);
  await session.stop();
});

Deno.test("version 3: a token of an earlier run is enough, and one that is not known any more ends it", async () => {
  const { session, server, links } = createSession();
  session.resume(1, "t1");
  await flush();
  const resume = server.connection.take(21);
  server.connection.send({ msgid: 2, cid: resume.cid, errno: 11, errmsg: "unknown token" });
  await flush();
  assertEquals(links.at(-1), { kind: "ended", code: "token" });
  assertEquals(session.account, undefined);
  await session.stop();
});

Deno.test("version 3: who changes the password resumes with the token that comes with the answer", async () => {
  const { session, server, clock, tokens } = createSession();
  session.resume(1, "t1");
  await flush();
  server.connection.send(reply(server.connection.take(21), "t2"));
  const changed = session.changePassword("old", "new");
  await flush();
  const request = server.connection.take(28);
  assertEquals(request.password, { old: "old", new: "new" });
  server.connection.send({ msgid: 11, cid: request.cid, errno: 0, token: "t3" });
  assertEquals((await changed).errno, 0);
  assertEquals(tokens, ["t3"]);
  server.connection.lose();
  clock.advance(500);
  await flush();
  assertEquals(server.connection.take(21).token, "t3");
  await session.stop();
});

Deno.test("version 3: what was received is read when its user says so, here or on another device", async () => {
  const { session, server, clock, frames } = createSession();
  session.resume(1, "t1");
  await flush();
  server.connection.send(reply(server.connection.take(21), "t2"));
  const place = { conversation: "u1-2", at: 1 };
  server.connection.send(
    { msgid: 6, id: 2, name: "ann", toid: 1, msg: "hi", time: "", ...place, seq: 5 },
    { msgid: 23, id: 2, name: "ann", ref: 5, act: "react", emoji: "👍", on: true, ...place, seq: 6 },
  );
  clock.advance(100);
  assertEquals(server.connection.take(12).seq, 6);
  assertEquals(server.connection.received, []);
  assertEquals(session.account?.store.find("u1-2", 6)?.text, null);
  assertEquals(frames.map(({ msgid }) => msgid), [6, 23]);
  session.account?.read("u1-2", 5);
  clock.advance(100);
  assertEquals(server.connection.take(13).seq, 5);
  server.connection.send({ msgid: 14, conversation: "u1-2", id: 1, delivered: 6, read: 6 });
  session.account?.read("u1-2", 6);
  clock.advance(100);
  assertEquals(server.connection.received, []);
  await session.leave();
  assertEquals(server.connection.received, []);
});

/** A version 3 session that is online, with one conversation in which there are four entries. */
async function goOnline() {
  const fixture = createSession();
  const { session, server } = fixture;
  session.resume(1, "t1");
  await flush();
  server.connection.send(reply(server.connection.take(21), "t2"));
  return fixture;
}

const PLACE = { conversation: "u1-2", at: 1000 };

function chat(seq: number, id: number, msg: string, fields: JsonObject = {}): JsonObject {
  return {
    msgid: 6,
    id,
    name: id === 1 ? "li" : "ann",
    toid: 3 - id,
    msg,
    time: "",
    ...PLACE,
    seq,
    ...fields,
  };
}

function action(seq: number, ref: number, fields: JsonObject, id = 2): JsonObject {
  return { msgid: 23, id, name: "ann", ref, ...PLACE, at: 1000 + seq, seq, ...fields };
}

Deno.test("a server that knows version 2 and not 3 is spoken to in version 2, whether by id, by name or after a reconnect", async () => {
  const { session, server, clock } = createSession();
  /** Frames of version 3 are version 1 to it until the connection speaks version 2. */
  const login = session.login("li", "secret");
  await flush();
  refuse(server.connection.take(21), server);
  await flush();
  const byName = server.connection.take(1);
  server.connection.send({ msgid: 2, cid: byName.cid, errno: 4, errmsg: 'Field "id" is missing' });
  assertEquals((await login).errno, 4);
  const again = session.login(1, "secret");
  await flush();
  const byId = server.connection.take(1);
  server.connection.send({ ...reply(byId, "v2"), device_id: undefined });
  assertEquals([(await again).errno, session.account?.version], [0, 2]);
  server.connection.lose();
  clock.advance(500);
  await flush();
  const probe = server.connection.take(21);
  assertEquals([probe.v, probe.token], [2, "-"]);
  refuse(probe, server);
  await flush();
  const resume = server.connection.take(21);
  assertEquals([resume.v, resume.token], [3, "v2"]);
  server.connection.send({ ...reply(resume, "v2"), device_id: undefined });
  assertEquals([session.isOnline, session.account?.version], [true, 2]);
  await session.stop();
});

Deno.test("a token of version 3 that meets a server of before is given up after a while, and the password is asked for", async () => {
  const { session, server, clock, events } = createSession();
  session.resume(1, "t1");
  await flush();
  server.connection.take(21);
  clock.advance(3000);
  const probe = server.connection.take(21);
  assertEquals(probe.v, 2);
  refuse(probe, server);
  await flush();
  const inVersion2 = server.connection.take(21);
  assertEquals([inVersion2.v, inVersion2.token], [2, "t1"]);
  refuse(inVersion2, server);
  assertEquals(events.at(-1)?.kind, "logged_out");
  await session.stop();
});

Deno.test("the original says nothing to a RESUME and is logged in to all the same", async () => {
  const { session, server, clock } = createSession();
  const login = session.login(1, "secret");
  await flush();
  server.connection.take(21);
  clock.advance(1000);
  await flush();
  server.connection.take(1);
  server.connection.send({ msgid: 2, errno: 0, id: 1, name: "li" });
  assertEquals([(await login).errno, session.account?.version], [0, 1]);
  await session.stop();
});

Deno.test("edits, reactions, pins and recalls change the message they are about, in the order of the log", async () => {
  const { session, server, store, events, clock } = await goOnline();
  const { connection } = server;
  // Of the reactions the last one comes first.
  connection.send(
    chat(5, 2, "helo"),
    chat(6, 2, "secret"),
    action(9, 5, { act: "react", emoji: "👍", on: false }),
    action(10, 5, { act: "pin", on: true }),
    action(11, 6, { act: "recall" }),
  );
  clock.advance(100);
  connection.take(12);
  const hole = connection.take(15);
  connection.send({
    msgid: 16,
    cid: hole.cid,
    errno: 0,
    messages: [
      action(7, 5, { act: "edit", msg: "hello" }),
      action(8, 5, { act: "react", emoji: "👍", on: true }),
      action(9, 5, { act: "react", emoji: "👍", on: false }),
    ],
    more: false,
  });
  await flush();
  const message = store.find("u1-2", 5);
  assertEquals(message?.text, "hello");
  assertEquals(message && detailsOf(message), {
    reply: undefined,
    mentions: [],
    editedAt: 1007,
    reactions: new Map(),
    isPinned: true,
  });
  assertEquals(store.find("u1-2", 6)?.text, null);
  const shown = events.map((event) =>
    event.kind === "message" ? event.message.seq : event.kind === "entry" ? event.entry.seq : 0
  ).filter((seq) => seq !== 0);
  assertEquals(shown, [5, 6, 7, 8, 9, 10, 11]);
  assertEquals(store.latest("u1-2", 10).map(({ seq }) => seq), [5, 6], "actions are no lines of their own");
  await session.stop();
});

Deno.test("what the user does here has its effect at once, and is not shown as another's", async () => {
  const { session, server, store, events } = await goOnline();
  server.connection.send(chat(5, 2, "hi"));
  const acting = session.account?.act("u1-2", 5, { act: "react", emoji: "👍", on: true });
  const before = events.length;
  server.connection.answer(23, { conversation: "u1-2", seq: 6, at: 2000 });
  assertEquals((await acting)?.errno, 0);
  const message = store.find("u1-2", 5);
  assertEquals(message && detailsOf(message).reactions.get("👍"), [1]);
  assertEquals(events.slice(before).filter(({ kind }) => kind === "entry"), []);
  await session.stop();
});

Deno.test("what was said on another device is shown as one's own; what was said here and whose reply was lost is acknowledged by it", async () => {
  const { session, server, events, clock } = await goOnline();
  session.account?.send("u1-2", "from here");
  const { cid } = server.connection.take(6);
  server.connection.lose();
  clock.advance(500);
  await flush();
  server.connection.send(
    reply(server.connection.take(21), "t3"),
    chat(5, 1, "from here", { cid }),
    chat(6, 1, "from elsewhere", { cid: "x" }),
  );
  const told = events.flatMap((event) =>
    event.kind === "message" || event.kind === "stored" ? [`${event.kind} ${event.message.text}`] : []
  );
  assertEquals(told, ["stored from here", "message from elsewhere"]);
  assertEquals(session.account?.unsent, 0);
  // It had been sent again in the meantime: the reply to that tells nothing new.
  server.connection.answer(6, { conversation: "u1-2", seq: 5, at: 1000 });
  assertEquals(events.filter(({ kind }) => kind === "stored").length, 1);
  await session.stop();
});

Deno.test("a log that has gone back in time: what the server does not know that we have is forgotten, and read again", () => {
  using store = new HistoryStore(":memory:");
  const message = (conversation: string, seq: number) => ({
    conversation,
    seq,
    sender: 2,
    name: "ann",
    text: "of the other log",
    at: seq,
  });
  for (const id of ["u1-2", "g7"]) {
    for (let seq = 1; seq <= 5; seq++) store.insert(message(id, seq));
    store.saveConversation({ id, base: 0, top: 5, shown: 5 });
  }
  fallBack(store, [{ conversation: "u1-2", lastSeq: 4, delivered: 3, read: 2, peer: undefined }], 99);
  assertEquals(store.conversations(), [{ id: "u1-2", base: 0, top: 3, shown: 3 }]);
  assertEquals(store.seqsAbove("u1-2", 0), [1, 2, 3]);
  assertEquals(store.seqsAbove("g7", 0), []);
});

Deno.test("history asked for right after a login has all that existed then, and does not wait for it to be sent", async () => {
  const { session, server, store, clock } = await goOnline();
  server.connection.lose();
  clock.advance(500);
  await flush();
  const resume = server.connection.take(21);
  const conversations = [{ conversation: "u1-2", last_seq: 6, delivered: 4, read: 2 }];
  server.connection.send({ ...reply(resume, "t3"), conversations });
  const asking = session.account?.history("u1-2", 2);
  await flush();
  const request = server.connection.take(15);
  assertEquals(request.after, 4);
  server.connection.send({
    msgid: 16,
    cid: request.cid,
    errno: 0,
    messages: [chat(5, 2, "five"), chat(6, 2, "six")],
    more: false,
  });
  assertEquals((await asking)?.messages.map(({ seq }) => seq), [5, 6]);
  assertEquals(store.seqsAbove("u1-2", 4), [5, 6]);
  await session.stop();
});
