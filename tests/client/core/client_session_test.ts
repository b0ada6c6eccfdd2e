import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ClientSession } from "../../../lib/client/core/client_session.ts";
import type { SessionEvent } from "../../../lib/client/core/events.ts";
import { HistoryStore } from "../../../lib/client/terminal/history_store.ts";
import { settle } from "../../../lib/client/core/settle.ts";
import { eventLines } from "../../../lib/client/terminal/view.ts";
import type { JsonObject } from "../../../lib/protocol/protocol.ts";
import { FakeServer, flush } from "./fake_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const HEARTBEAT = { interval_ms: 30_000, misses: 3 };

/** A session of user 1, "anna", whose events are lines of text. `files` are what stays when the client is restarted. */
function createSession(
  options: { isV1?: boolean; random?: number; server?: FakeServer; file?: string } = {},
) {
  const server = options.server ?? new FakeServer();
  const clock = new FakeClock();
  const lines: string[] = [];
  const session: ClientSession = new ClientSession({
    dial: server.dial,
    server: "server",
    isV1: options.isV1 ?? false,
    clock,
    wallNow: () => Date.parse("2026-01-02T03:04:05") + clock.now(),
    random: () => options.random ?? 1,
    openStore: () => new HistoryStore(options.file ?? ":memory:"),
    onEvent: (event: SessionEvent) =>
      void lines.push(
        ...eventLines(event, session.account?.directory).filter((line) =>
          !/^(friends|groups| {2}none)/.test(line)
        ),
      ),
  });
  /** The lines since the last call. */
  const said = () => lines.splice(0).join("\n");
  return { session, server, clock, said };
}

type Fixture = ReturnType<typeof createSession>;

/** Logs in at a server that speaks version 2. */
async function logIn(fixture: Fixture, reply: JsonObject = {}): Promise<void> {
  const { session, server, said } = fixture;
  const login = session.login(1, "pw");
  await flush();
  const { cid } = server.connection.take(1);
  server.connection.send({
    msgid: 2,
    cid,
    errno: 0,
    id: 1,
    name: "anna",
    token: "t1",
    conversations: [],
    ...reply,
  });
  assertEquals((await login).errno, 0);
  said();
}

function chat(seq: number, text = `text ${seq}`): JsonObject {
  const place = { conversation: "u1-2", seq, at: Date.parse("2026-01-01T00:00:00") };
  return { msgid: 6, id: 2, name: "li", toid: 1, msg: text, time: "2020-01-01 00:00:00", ...place };
}

Deno.test("a login says who is there, and messages glued to its reply are shown after it", async () => {
  const { session, server, said } = createSession();
  const login = session.login(1, "pw");
  await flush();
  const { connection } = server;
  const request = connection.take(1);
  assertEquals({ ...request, cid: undefined }, { msgid: 1, id: 1, password: "pw", v: 2, cid: undefined });
  connection.send(
    {
      msgid: 2,
      cid: request.cid,
      errno: 0,
      id: 1,
      name: "anna",
      token: "t",
      friends: [{ id: 2, name: "li", state: "online" }],
      groups: [{
        id: 7,
        groupname: "devs",
        groupdesc: "all",
        users: [{ id: 1, name: "anna", state: "online", role: "creator" }],
      }],
      conversations: [{ conversation: "u1-2", last_seq: 1, delivered: 0, read: 0 }],
    },
    chat(1),
  );
  assertEquals((await login).errno, 0);
  assertEquals(
    said(),
    "connecting to server\nlogged in as anna (1)\n  2 li online\n  7 devs: all\n    1 anna creator online\n" +
      "2026-01-01 00:00:00 li (2): text 1",
  );
  await session.stop();
  assertEquals(connection.received.map(({ msgid }) => msgid), [12, 13, 3]);
  assert(connection.isClosed);
});

Deno.test("a refused login says why, and the next one works on the same connection", async () => {
  const fixture = createSession();
  const { session, server } = fixture;
  const login = session.login(1, "wrong");
  await flush();
  const { cid } = server.connection.take(1);
  server.connection.send({ msgid: 2, cid, errno: 1, errmsg: "Wrong id or password" });
  assertEquals((await login).text, "Wrong id or password");
  await logIn(fixture);
  assertEquals(server.connections.length, 1);
  await session.stop();
});

Deno.test("a message shows a mark when it is stored and another when it is delivered and read", async () => {
  const fixture = createSession();
  const { session, server, said } = fixture;
  await logIn(fixture);
  session.account?.send("u1-2", "hello");
  const sent = server.connection.answer(6, { conversation: "u1-2", seq: 1, at: 5 });
  assertEquals({ ...sent, cid: "" }, {
    msgid: 6,
    toid: 2,
    id: 1,
    name: "anna",
    msg: "hello",
    time: "2026-01-02 03:04:05",
    cid: "",
  });
  assertEquals(said(), "✓ #1 to user 2: hello");
  server.connection.send({ msgid: 14, conversation: "u1-2", id: 2, delivered: 1, read: 0 });
  assertEquals(said(), "✓✓ #1 delivered to user 2");
  server.connection.send({ msgid: 14, conversation: "u1-2", id: 2, delivered: 1, read: 1 });
  assertEquals(said(), "✓✓ #1 read by user 2");
  assertEquals(session.account?.unsent, 0);
  await session.stop();
});

Deno.test("a receipt that overtakes the acknowledgement is told after it", async () => {
  const fixture = createSession();
  await logIn(fixture);
  fixture.session.account?.send("u1-2", "hello");
  fixture.server.connection.send({ msgid: 14, conversation: "u1-2", id: 2, delivered: 1, read: 1 });
  assertEquals(fixture.said(), "");
  fixture.server.connection.answer(6, { conversation: "u1-2", seq: 1, at: 5 });
  assertEquals(fixture.said(), "✓ #1 to user 2: hello\n✓✓ #1 read by user 2");
  await fixture.session.stop();
});

Deno.test("in a large group only that everybody has a message is told", async () => {
  const users = Array.from({ length: 20 }, (_, index) => ({ id: index + 1, name: `u${index + 1}` }));
  const fixture = createSession();
  const { session, server, said } = fixture;
  await logIn(fixture, { groups: [{ id: 7, groupname: "all", groupdesc: "", users }] });
  session.account?.send("g7", "hello");
  server.connection.answer(10, { conversation: "g7", seq: 1, at: 5 });
  said();
  for (const { id } of users.slice(1)) {
    assertEquals(said(), "");
    server.connection.send({ msgid: 14, conversation: "g7", id, delivered: 1, read: 0 });
  }
  assertEquals(said(), "✓✓ #1 delivered to everybody in all (g7)");
  await session.stop();
});

Deno.test("a lost connection comes back by token, and what was not acknowledged is sent again with its cid", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  session.account?.send("u1-2", "one");
  session.account?.send("u1-2", "two");
  const first = server.connection.take(6);
  const second = server.connection.answer(6, { conversation: "u1-2", seq: 2, at: 5 });
  server.connection.lose();
  session.account?.send("u1-2", "three");
  assertStringIncludes(said(), "connection lost (reset), reconnecting in 0.5 s");
  clock.advance(500);
  await flush();
  const resume = server.connection.take(21);
  assertEquals({ ...resume, cid: "" }, { msgid: 21, token: "t1", v: 2, cid: "" });
  server.connection.send({ msgid: 2, cid: resume.cid, errno: 0, id: 1, name: "anna", token: "t2" });
  assertEquals(said(), "resumed");
  const again = server.connection.received.filter(({ msgid }) => msgid === 6);
  assertEquals(again.map(({ msg }) => msg), ["one", "three"]);
  assertEquals(again[0]?.cid, first.cid);
  assert(again[1]?.cid !== second.cid);
  await session.stop();
});

Deno.test("the waits between attempts grow to half a minute and are drawn from the whole range", async () => {
  const fixture = createSession();
  await logIn(fixture);
  const { server, clock, said } = fixture;
  server.isUp = false;
  server.connection.lose();
  const waits: string[] = [];
  for (let attempt = 0; attempt < 9; attempt++) {
    const wait = /in ([\d.]+) s/.exec(said())?.[1] ?? "none";
    waits.push(wait);
    clock.advance(Number(wait) * 1000);
    await flush();
  }
  assertEquals(waits, ["0.5", "1.0", "2.0", "4.0", "8.0", "16.0", "30.0", "30.0", "30.0"]);
  server.isUp = true;
  clock.advance(30_000);
  await flush();
  const { cid } = server.connection.take(21);
  server.connection.send({ msgid: 2, cid, errno: 0, id: 1, name: "anna", token: "t2" });
  server.connection.lose();
  assertStringIncludes(said(), "in 30.0 s", "a connection that breaks at once changes nothing");
  clock.advance(30_000);
  await flush();
  const again = server.connection.take(21);
  server.connection.send({ msgid: 2, cid: again.cid, errno: 0, id: 1, name: "anna", token: "t3" });
  clock.advance(10_000);
  server.connection.lose();
  assertStringIncludes(said(), "in 0.5 s");
  const random = createSession({ random: 0.25 });
  await logIn(random);
  random.server.connection.lose();
  assertStringIncludes(random.said(), "reconnecting in 0.1 s");
  await Promise.all([fixture.session.stop(), random.session.stop()]);
});

Deno.test("an unknown token falls back to the password, and a changed password ends the session", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  server.connection.lose();
  clock.advance(500);
  await flush();
  const resume = server.connection.take(21);
  server.connection.send({ msgid: 2, cid: resume.cid, errno: 11, errmsg: "Token expired or unknown" });
  const login = server.connection.take(1);
  assertEquals({ id: login.id, password: login.password, v: login.v }, { id: 1, password: "pw", v: 2 });
  server.connection.send({ msgid: 2, cid: login.cid, errno: 1, errmsg: "Wrong id or password" });
  assertStringIncludes(said(), "! logged out: Wrong id or password");
  assertEquals(session.account, undefined);
  await session.stop();
});

Deno.test("a resume that is refused for the moment is tried again when the server says", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  server.connection.lose();
  clock.advance(500);
  await flush();
  const { cid } = server.connection.take(21);
  server.connection.send({ msgid: 2, cid, errno: 8, errmsg: "Too many", retry_after_ms: 7000 });
  assertStringIncludes(said(), "cannot connect (Too many), reconnecting in 7.0 s");
  clock.advance(7000);
  await flush();
  server.connection.take(21);
  server.connection.lose();
  assertStringIncludes(said(), "(reset), reconnecting in 1.0 s");
  await session.stop();
});

Deno.test("a notice is said, its delay kept, and reconnect:false obeyed", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  const notice = {
    msgid: 20,
    code: "shutting_down",
    text: "going down",
    reconnect: true,
    retry_after_ms: 4321,
  };
  server.connection.send(notice);
  server.connection.lose("closed");
  assertEquals(said(), "connection lost (going down), reconnecting in 4.3 s");
  clock.advance(4321);
  await flush();
  const { cid } = server.connection.take(21);
  server.connection.send({ msgid: 2, cid, errno: 0, id: 1, name: "anna", token: "t2" });
  said();
  server.connection.send({ msgid: 20, code: "replaced", text: "logged in elsewhere", reconnect: false });
  server.connection.lose("closed");
  assertEquals(said(), "! logged out: logged in elsewhere");
  clock.advance(60_000);
  await flush();
  assertEquals(server.connections.length, 2);
  await session.stop();
});

Deno.test("the client beats when it is idle and gives up a server that is silent", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture, { heartbeat: HEARTBEAT });
  clock.advance(29_999);
  assertEquals(server.connection.received, []);
  clock.advance(1);
  assertEquals(server.connection.received, [{ msgid: 18 }]);
  server.connection.send({ msgid: 19 });
  clock.advance(30_000);
  assertEquals(server.connection.received.length, 2);
  clock.advance(59_999);
  assertEquals(said(), "");
  clock.advance(1);
  assertStringIncludes(said(), "connection lost (the server is silent)");
  assert(server.connection.isClosed);
  await session.stop();
});

Deno.test("sending does not hide that the server has gone silent", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture, { heartbeat: HEARTBEAT });
  for (let second = 0; second < 90; second += 10) {
    session.account?.send("u1-2", "anybody there?");
    clock.advance(10_000);
  }
  assertEquals(server.connections[0]?.received.filter(({ msgid }) => msgid === 18).length, 2);
  assertStringIncludes(said(), "connection lost (the server is silent)");
  await session.stop();
});

Deno.test("a message that the server cannot take now is sent again, in order; one it will not take is reported", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  for (const text of ["one", "two", "three"]) session.account?.send("u1-2", text);
  server.connection.answer(6, { errno: 10, errmsg: "later", retry_after_ms: 1000 });
  server.connection.answer(6, { errno: 7, errmsg: "not allowed here" });
  assertEquals(said(), "! not sent to user 2: not allowed here: two");
  server.connection.take(6);
  clock.advance(1000);
  assertEquals(server.connection.received.map(({ msg }) => msg), ["one", "three"]);
  server.connection.answer(6, { conversation: "u1-2", seq: 1, at: 1 });
  server.connection.answer(6, { conversation: "u1-2", seq: 2, at: 1 });
  assertEquals(said(), "✓ #1 to user 2: one\n✓ #2 to user 2: three");
  await session.stop();
});

Deno.test("a frame that the server calls too long is given up, not sent for ever", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  session.account?.send("u1-2", "short");
  session.account?.send("u1-2", "very very long");
  server.connection.send({ msgid: 20, code: "bad_frame", text: "Frame too long", reconnect: true });
  server.connection.lose("closed");
  assertStringIncludes(said(), "! not sent to user 2: Frame too long: very very long");
  clock.advance(500);
  await flush();
  const { cid } = server.connection.take(21);
  server.connection.send({ msgid: 2, cid, errno: 0, id: 1, name: "anna", token: "t2" });
  assertEquals(server.connection.received.map(({ msg }) => msg), ["short"]);
  await session.stop();
});

Deno.test("what was not acknowledged survives a restart of the client, with its cid", async () => {
  const file = await Deno.makeTempFile({ prefix: "chat_test_" });
  try {
    const first = createSession({ file });
    await logIn(first);
    first.session.account?.send("u1-2", "before the crash");
    const { cid } = first.server.connection.take(6);
    await first.session.stop();
    const second = createSession({ file });
    await logIn(second);
    const again = second.server.connection.answer(6, { conversation: "u1-2", seq: 1, at: 1 });
    assertEquals({ cid: again.cid, msg: again.msg }, { cid, msg: "before the crash" });
    assertEquals(second.said(), "✓ #1 to user 2: before the crash");
    await second.session.stop();
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(file + suffix).catch(() => {});
  }
});

Deno.test("a request waits for the connection and is sent again with its cid when it is lost", async () => {
  const fixture = createSession();
  const { session, server, clock } = fixture;
  await logIn(fixture);
  const asked = session.ask({ msgid: 7, id: 1, friendid: 2 });
  const { cid } = server.connection.take(7);
  server.connection.lose();
  clock.advance(500);
  await flush();
  const resume = server.connection.take(21);
  server.connection.send({ msgid: 2, cid: resume.cid, errno: 0, id: 1, name: "anna", token: "t2" });
  assertEquals(server.connection.answer(7).cid, cid);
  assertEquals((await asked)?.errno, 0);
  const unanswered = session.ask({ msgid: 7, id: 1, friendid: 3 });
  clock.advance(20_000);
  assertEquals((await unanswered)?.text, "no answer within 20 s");
  await session.stop();
});

Deno.test("a recalled message loses its text here, and the user is told who took it back", async () => {
  const fixture = createSession();
  const { session, server, said } = fixture;
  await logIn(fixture);
  server.connection.send(chat(1, "oops"));
  said();
  server.connection.send({ msgid: 17, conversation: "u1-2", seq: 1, id: 2 });
  assertEquals(said(), "li (2) took back #1");
  assertEquals(session.account?.store.find("u1-2", 1)?.text, null);
  await session.stop();
});

Deno.test("history asks the server for what is not here, and keeps it", async () => {
  const fixture = createSession();
  const { session, server } = fixture;
  await logIn(fixture, { conversations: [{ conversation: "u1-2", last_seq: 5, delivered: 5, read: 5 }] });
  const history = session.account?.history("u1-2", 3);
  await flush();
  const request = server.connection.take(15);
  assertEquals({ ...request, cid: "" }, { msgid: 15, conversation: "u1-2", before: 6, limit: 3, cid: "" });
  const messages = [chat(3), { seq: 4, recalled: true }, { ...chat(5), id: 1, name: "anna" }];
  server.connection.send({
    msgid: 16,
    cid: request.cid,
    errno: 0,
    conversation: "u1-2",
    messages,
    more: true,
  });
  const page = await history;
  assertEquals(page?.messages.map(({ seq, text }) => [seq, text]), [[3, "text 3"], [4, null], [5, "text 5"]]);
  assertEquals((await session.account?.history("u1-2", 3))?.messages.length, 3);
  assertEquals(server.connection.received, []);
  const older = session.account?.history("u1-2", 10);
  await flush();
  const second = server.connection.take(15);
  assertEquals([second.before, second.limit], [3, 7]);
  server.connection.send({ msgid: 16, cid: second.cid, errno: 0, messages: [chat(1), chat(2)], more: false });
  assertEquals((await older)?.messages.map(({ seq }) => seq), [1, 2, 3, 4, 5]);
  await session.stop();
});

Deno.test("settling waits for acknowledgements and for all messages that existed at login", async () => {
  const fixture = createSession();
  const { session, server, clock } = fixture;
  await logIn(fixture, { conversations: [{ conversation: "u1-2", last_seq: 2, delivered: 0, read: 0 }] });
  session.account?.send("g7", "hello");
  let isSettled: boolean | undefined;
  const settling = settle(session, { clock, patienceMs: 30_000 }).then((result) => isSettled = result);
  await flush();
  server.connection.answer(10, { conversation: "g7", seq: 1, at: 1 });
  await flush();
  assertEquals(isSettled, undefined);
  const { cid } = server.connection.take(15);
  server.connection.send({ msgid: 16, cid, errno: 0, messages: [chat(1), chat(2)], more: false });
  await settling;
  assertEquals(isSettled, true);
  session.account?.send("g7", "never answered");
  const hopeless = settle(session, { clock, patienceMs: 30_000 });
  await flush();
  clock.advance(30_000);
  assertEquals(await hopeless, false);
  await session.stop();
});

Deno.test("version 1 speaks as the original client: no v, no cid, nothing but the ten messages", async () => {
  const { session, server, said } = createSession({ isV1: true });
  const login = session.login(1, "pw");
  await flush();
  assertEquals(server.connection.texts, ['{"msgid":1,"id":1,"password":"pw"}']);
  const friends = [JSON.stringify({ id: 2, name: "li", state: "offline" })];
  const offlineMsg = [
    JSON.stringify({ msgid: 6, id: 2, name: "li", toid: 1, msg: "hi", time: "2026-01-01 00:00:00" }),
  ];
  server.connection.send({ msgid: 2, errno: 0, id: 1, name: "anna", friends, offlineMsg });
  await login;
  assertEquals(
    said(),
    "connecting to server\nlogged in as anna (1)\n  2 li offline\noffline messages:\n2026-01-01 00:00:00 li (2): hi",
  );
  server.connection.texts = [];
  session.account?.send("u1-2", "hello");
  assertEquals(await session.ask({ msgid: 7, id: 1, friendid: 3 }), undefined);
  server.connection.send(chat(5, "with a seq"));
  assertStringIncludes(said(), "with a seq");
  await session.stop();
  assertMatch(
    server.connection.texts.join("\n"),
    /^\{"msgid":6,"toid":2,"id":1,"name":"anna","msg":"hello","time":"[^"]*"\}\n\{"msgid":7,.*\}\n\{"msgid":3,"id":1\}$/,
  );
});

Deno.test("a server that knows only version 1 is talked to in version 1", async () => {
  const fixture = createSession();
  const { session, server } = fixture;
  const login = session.login(1, "pw");
  await flush();
  server.connection.take(1);
  server.connection.send({
    msgid: 2,
    errno: 0,
    id: 1,
    name: "anna",
    friends: ['{"id":2,"name":"li","state":"online"}'],
  });
  assertEquals((await login).errno, 0);
  assertEquals(session.account?.version, 1);
  session.account?.send("u1-2", "hello");
  assertEquals(server.connection.take(6).msg, "hello");
  assertEquals(session.account?.unsent, 0);
  await session.stop();
});

Deno.test("in version 1, too, a lost connection comes back, with the password", async () => {
  const { session, server, clock, said } = createSession({ isV1: true });
  const login = session.login(1, "pw");
  await flush();
  server.connection.send({ msgid: 2, errno: 0, id: 1, name: "anna" });
  await login;
  server.connection.lose();
  session.account?.send("u1-2", "later");
  clock.advance(500);
  await flush();
  assertEquals(server.connection.take(1), { msgid: 1, id: 1, password: "pw" });
  server.connection.send({ msgid: 2, errno: 0, id: 1, name: "anna" });
  assertEquals(server.connection.take(6).msg, "later");
  assertStringIncludes(said(), "logged in again");
  await session.stop();
});

Deno.test("after logout another user logs in on the same connection", async () => {
  const fixture = createSession();
  const { session, server, said } = fixture;
  await logIn(fixture);
  const logout = session.logout();
  server.connection.answer(3);
  await logout;
  const login = session.login(2, "pw2");
  await flush();
  const { cid } = server.connection.take(1);
  server.connection.send({ msgid: 2, cid, errno: 0, id: 2, name: "li", token: "t" });
  await login;
  assertEquals(said(), "logged in as li (2)");
  assertEquals(session.account?.directory.me, { id: 2, name: "li" });
  await session.stop();
});

Deno.test("a logout while the connection is coming back is a logout", async () => {
  const fixture = createSession();
  const { session, server, clock } = fixture;
  await logIn(fixture);
  server.connection.lose();
  clock.advance(500);
  await flush();
  const { connection } = server;
  const { cid } = connection.take(21);
  await session.logout();
  connection.send({ msgid: 2, cid, errno: 0, id: 1, name: "anna", token: "t2" });
  clock.advance(60_000);
  await flush();
  assertEquals([session.account, session.isOnline, connection.isClosed], [undefined, false, true]);
  await logIn(fixture);
  assertEquals(server.connections.length, 3);
  await session.stop();
});

Deno.test("a server that cannot be reached is named", async () => {
  const server = new FakeServer();
  server.isUp = false;
  const other = createSession({ server });
  assertEquals(await other.session.connect(), "cannot connect to server: refused");
  assertEquals((await other.session.login(1, "pw")).text, "cannot connect to server: refused");
  await other.session.stop();
});

Deno.test("a store that fails is said, nothing is acknowledged, and the connection begins anew", async () => {
  const fixture = createSession();
  const { session, server, clock, said } = fixture;
  await logIn(fixture);
  const store = session.account?.store;
  assert(store);
  const insert = store.insert.bind(store);
  store.insert = () => {
    throw new Error("disk is full");
  };
  server.connection.send(chat(1));
  assertStringIncludes(said(), "cannot keep the local history: disk is full");
  assertEquals(server.connection.received, []);
  store.insert = insert;
  clock.advance(500);
  await flush();
  const { cid } = server.connection.take(21);
  server.connection.send({ msgid: 2, cid, errno: 0, id: 1, name: "anna", token: "t2" }, chat(1));
  assertStringIncludes(said(), "text 1");
  await session.stop();
});
