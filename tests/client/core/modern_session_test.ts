import { assertEquals } from "@std/assert";
import { ClientSession } from "../../../lib/client/core/client_session.ts";
import type { LinkState } from "../../../lib/client/core/client_session.ts";
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
  const session = new ClientSession({
    dial: server.dial,
    server: "server",
    isV1: false,
    isForScript: true,
    clock,
    wallNow: () => clock.now(),
    random: () => 1,
    openStore: () => new HistoryStore(":memory:"),
    onEvent: () => {},
    modern: {
      device: "Chromium on Linux",
      onLink: (state) => void links.push(state),
      onLogin: (frame) => void logins.push(frame),
      onFrame: (frame) => void frames.push(frame),
    },
  });
  return { session, server, clock, links, logins, frames };
}

function reply(request: JsonObject, token: string): JsonObject {
  const conversations = [{ conversation: "u1-2", last_seq: 4, delivered: 4, read: 2 }];
  return { msgid: 2, cid: request.cid, errno: 0, id: 1, name: "li", device_id: 7, token, conversations };
}

Deno.test("version 3: a login by name says which device it is, and each token replaces the one before", async () => {
  const { session, server, clock, links, logins } = createSession();
  const login = session.login("li", "secret");
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
