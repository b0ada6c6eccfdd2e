import { assert, assertEquals, assertGreater } from "@std/assert";
import { type IndependentClient, loggedIn, PASSWORD, signUp, startClient } from "./independent_client.ts";
import { addressOf, assertHas, listOf, numberOf, RawConnection, textOf } from "./independent_wire.ts";
import { freePort, temporaryFolder, waitFor } from "../support/process.ts";
import { type Server, startServer } from "../support/services.ts";

function textsOf(client: IndependentClient, conversation: string): (string | null)[] {
  return client.shown(conversation).map(({ text }) => text);
}

async function shows(
  client: IndependentClient,
  conversation: string,
  texts: (string | null)[],
): Promise<void> {
  await waitFor(`${texts.length} messages`, () => client.shown(conversation).length >= texts.length);
  assertEquals(textsOf(client, conversation), texts);
}

/** What a client was last told of how far the other one has come. */
function lastReceipt(client: IndependentClient): { delivered: number; read: number } {
  const { delivered, read } = client.eventsOf("receipt").at(-1) ?? { delivered: 0, read: 0 };
  return { delivered, read };
}

function countTo(count: number, prefix = ""): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** A server on SQLite and the ids of ann (1), li (2) and kim (3). */
async function startWithUsers(args: readonly string[] = []): Promise<Server> {
  const server = await startServer(["--sqlite", ":memory:", ...args]);
  for (const name of ["ann", "li", "kim"]) await signUp(addressOf(server), name);
  return server;
}

Deno.test("two users see their conversation once, in one order, and how far the other one is", async () => {
  await using server = await startWithUsers();
  await using ann = startClient(1, [addressOf(server)]);
  await using li = startClient(2, [addressOf(server)]);
  await loggedIn(ann, li);
  for (const text of countTo(100)) {
    ann.send(2, `ann ${text}`);
    li.send(1, `li ${text}`);
  }
  await waitFor("all messages", () => ann.shown("u1-2").length === 200 && li.shown("u1-2").length === 200);
  assertEquals(ann.shown("u1-2"), li.shown("u1-2"));
  assertEquals(ann.shown("u1-2").map(({ seq }) => seq), countTo(200).map(Number));
  for (const [id, name] of [[1, "ann"], [2, "li"]] as const) {
    const own = ann.shown("u1-2").filter(({ from }) => from === id);
    assertEquals(own.map(({ text }) => text), countTo(100, `${name} `));
  }
  assertEquals([ann, li].flatMap((client) => client.eventsOf("duplicate")), []);
  await waitFor("li to have everything", () => lastReceipt(ann).delivered === 200);
  assertEquals(lastReceipt(ann).read, 0);
  li.read("u1-2", 150);
  await waitFor("li to have read", () => lastReceipt(ann).read === 150);
  li.read("u1-2", 100);
  li.read("u1-2", 200);
  await waitFor("li to have read everything", () => lastReceipt(ann).read === 200);
  const reads = ann.eventsOf("receipt").map(({ read }) => read);
  assertEquals(reads, reads.toSorted((one, other) => one - other));
});

Deno.test("history comes in pages, and of a recalled message only its place is left", async () => {
  await using server = await startWithUsers();
  await using ann = startClient(1, [addressOf(server)]);
  await using li = startClient(2, [addressOf(server)]);
  await loggedIn(ann, li);
  for (const text of countTo(10)) ann.send(2, text);
  await shows(li, "u1-2", countTo(10));
  assertHas(await li.recall("u1-2", 4), { msgid: 11, errno: 7 });
  assertHas(await ann.recall("u1-2", 11), { msgid: 11, errno: 6 });
  assertHas(await ann.recall("u1-2", 4), { msgid: 11, errno: 0, conversation: "u1-2", seq: 4 });
  assertHas(await ann.recall("u1-2", 4), { msgid: 11, errno: 0 });
  await waitFor("li to hear of it", () => li.eventsOf("recalled").length > 0);
  assertEquals(li.eventsOf("recalled"), [{ kind: "recalled", conversation: "u1-2", seq: 4, id: 1 }]);
  const texts = ["1", "2", "3", null, ...countTo(10).slice(4)];
  assertEquals([textsOf(ann, "u1-2"), textsOf(li, "u1-2")], [texts, texts]);

  const pageOf = async (range: Record<string, number>): Promise<[seqs: number[], more: unknown]> => {
    const page = await li.request({ msgid: 15, conversation: "u1-2", ...range });
    assertHas(page, { msgid: 16, errno: 0, conversation: "u1-2" });
    return [listOf(page, "messages").map((frame) => numberOf(frame, "seq")), page.more];
  };
  assertEquals(await pageOf({}), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false]);
  assertEquals(await pageOf({ after: 2, limit: 3 }), [[3, 4, 5], true]);
  assertEquals(await pageOf({ after: 7, limit: 3 }), [[8, 9, 10], false]);
  assertEquals(await pageOf({ before: 6, limit: 3 }), [[3, 4, 5], true]);
  assertEquals(await pageOf({ limit: 2 }), [[9, 10], true]);
  assertEquals(await pageOf({ after: 3, before: 6 }), [[4, 5], false]);
  assertEquals(await pageOf({ after: 10 }), [[], false]);
  const place = await li.request({ msgid: 15, conversation: "u1-2", after: 3, before: 5 });
  assertEquals(place.messages, [{ seq: 4, recalled: true }]);
  await using kim = startClient(3, [addressOf(server)]);
  await loggedIn(kim);
  assertHas(await kim.request({ msgid: 15, conversation: "u1-2" }), { msgid: 11, errno: 6 });
});

Deno.test("a client that was cut off resumes, gets what it missed and repeats what it had sent", async () => {
  await using server = await startWithUsers();
  await using ann = startClient(1, [addressOf(server)]);
  await using li = startClient(2, [addressOf(server)]);
  await loggedIn(ann, li);
  ann.send(2, "1");
  await shows(li, "u1-2", ["1"]);
  await waitFor("li to acknowledge", () => lastReceipt(ann).delivered === 1);
  li.isAcknowledging = false;
  for (const text of ["2", "3"]) ann.send(2, text);
  await shows(li, "u1-2", ["1", "2", "3"]);
  const token = li.token;
  for (const text of ["4", "5"]) ann.send(2, text);
  li.send(1, "6");
  li.cut();
  ann.cut();
  await shows(li, "u1-2", ann.shown("u1-2").map(({ text }) => text));
  await waitFor("nothing to be unsent", () => ann.unsent + li.unsent === 0);
  await waitFor("all to be shown", () => ann.shown("u1-2").length === 6 && li.shown("u1-2").length === 6);
  assertEquals(textsOf(li, "u1-2").toSorted(), countTo(6));
  assertEquals(li.shown("u1-2"), ann.shown("u1-2"));
  assertEquals(li.eventsOf("logged_in").map(({ by }) => by), ["password", "token"]);
  assertEquals(li.token, token);
  // What was not acknowledged came again, and was dropped.
  assertEquals(li.eventsOf("duplicate").map(({ seq }) => seq).slice(0, 2), [2, 3]);
  li.isAcknowledging = true;
  await waitFor("li to acknowledge the rest", () => lastReceipt(ann).delivered === 6);
});

Deno.test("a token outlives its connection, takes an older one's place and ends with a logout", async () => {
  await using server = await startWithUsers();
  await using desk = startClient(1, [addressOf(server)]);
  await loggedIn(desk);
  await using phone = await RawConnection.open(addressOf(server));
  const resume = { msgid: 21, v: 2, cid: "r1", token: desk.token };
  assertHas(await phone.ask(resume), { msgid: 2, errno: 0, id: 1, name: "ann", token: desk.token });
  await waitFor("the first client to stop", () => desk.isStopped && !desk.isLoggedIn);
  assertEquals(desk.eventsOf("notice"), [{ kind: "notice", code: "replaced", reconnect: false }]);
  assertEquals(desk.eventsOf("connected").length, 1);
  assertHas(await phone.ask({ msgid: 3, cid: "o1", id: 1 }), { msgid: 11, errno: 0 });
  assertHas(await phone.ask({ ...resume, cid: "r2" }), { msgid: 2, errno: 11 });
  const login = { msgid: 1, v: 2, cid: "l1", id: 1, password: PASSWORD };
  assertHas(await phone.ask({ ...login, password: "wrong" }), { msgid: 2, errno: 1 });
  assertHas(await phone.ask({ ...login, cid: "l2" }), { msgid: 2, errno: 0 });
  await using late = await RawConnection.open(addressOf(server));
  assertHas(await late.ask({ ...login, cid: "l3" }), { msgid: 2, errno: 2 });
});

Deno.test("members see what is said from when they joined, and writers how far the others are", async () => {
  await using server = await startWithUsers();
  await using ann = startClient(1, [addressOf(server)]);
  await using li = startClient(2, [addressOf(server)]);
  await using kim = startClient(3, [addressOf(server)]);
  await loggedIn(ann, li, kim);
  const created = await ann.request({ msgid: 8, id: 1, groupname: "g", groupdesc: "d" });
  assertHas(created, { msgid: 11, errno: 0, groupid: 1 });
  assertHas(await li.request({ msgid: 9, id: 2, groupid: 1 }), { errno: 0, groupid: 1 });
  for (const text of countTo(3, "early ")) ann.sendToGroup(1, text);
  await shows(li, "g1", countTo(3, "early "));
  const refused = kim.sendToGroup(1, "from outside");
  await waitFor("kim to be refused", () => kim.eventsOf("refused").some(({ cid }) => cid === refused));
  await kim.request({ msgid: 9, id: 3, groupid: 1 });
  li.sendToGroup(1, "late");
  await shows(kim, "g1", ["late"]);
  // Before it stand three messages, who has made the group, who has joined it, and that kim has.
  assertEquals(kim.shown("g1")[0]?.seq, 7);
  await shows(ann, "g1", [...countTo(3, "early "), "late"]);
  // Kim asked for what lies below, and it does not exist for her.
  assertEquals(kim.eventsOf("hole"), [{ kind: "hole", conversation: "g1", after: 0, before: 7 }]);
  assertEquals(kim.eventsOf("filled"), [{ kind: "filled", conversation: "g1", seqs: [] }]);
  kim.read("g1", 7);
  // What ann has said is from before kim was there.
  await waitFor("the writer to see that kim has read", () => {
    return li.eventsOf("receipt").some(({ id, read }) => id === 3 && read === 7);
  });
  assertEquals(ann.eventsOf("receipt").filter(({ id }) => id === 3), []);
  assertHas(await ann.recall("g1", 7), { errno: 0 }); // She is the group's creator.
  await waitFor(
    "all to hear of it",
    () => [li, kim].every((client) => client.eventsOf("recalled").length === 1),
  );
  const reply = ann.eventsOf("logged_in")[0]?.reply ?? {};
  assertEquals([reply.groups, reply.friends, reply.conversations], [undefined, undefined, []]);
  li.cut();
  await waitFor("li to be back", () => li.eventsOf("logged_in").length === 2);
  assertEquals(li.eventsOf("logged_in")[1]?.reply.groups, [{
    id: 1,
    groupname: "g",
    groupdesc: "d",
    users: [
      { id: 1, name: "ann", state: "online", role: "creator" },
      { id: 2, name: "li", state: "online", role: "normal" },
      { id: 3, name: "kim", state: "online", role: "normal" },
    ],
  }]);
});

Deno.test("a client of version 1 writes to one of version 2, reads, and hears nothing else", async () => {
  await using server = await startWithUsers();
  await using old = await RawConnection.open(addressOf(server), "\0");
  const time = "2026-11-23 12:00:00";
  old.send({ msgid: 1, id: 2, password: PASSWORD });
  assertEquals(await old.next("the login's reply"), { msgid: 2, errno: 0, id: 2, name: "li" });
  await using ann = startClient(1, [addressOf(server)]);
  await loggedIn(ann);
  const cid = ann.send(2, "hello");
  const frame = await old.next("ann's message");
  assertHas(frame, {
    msgid: 6,
    id: 1,
    name: "ann",
    toid: 2,
    msg: "hello",
    conversation: "u1-2",
    seq: 1,
  });
  assertEquals(textOf(frame, "cid"), cid);
  old.send({ msgid: 6, id: 2, name: "li", toid: 1, msg: "to you", time, color: "red" });
  await shows(ann, "u1-2", ["hello", "to you"]);
  await waitFor("hers to count as delivered", () => lastReceipt(ann).delivered >= 1);
  const received = ann.eventsOf("received").map((event) => event.frame).find(({ msg }) => msg === "to you");
  assertHas(received, { id: 2, name: "li", time, color: "red", seq: 2 });
  assertHas(await ann.recall("u1-2", 1), { errno: 0 });
  await using kim = startClient(3, [addressOf(server)]);
  await loggedIn(kim);
  kim.send(1, "hello");
  await shows(ann, "u1-3", ["hello"]);
  ann.read("u1-2", 2);
  ann.read("u1-3", 1);
  await waitFor("kim, who speaks version 2, to get her receipt", () => lastReceipt(kim).read === 1);
  old.send({ msgid: 3, id: 2 });
  old.send({ msgid: 1, id: 2, password: PASSWORD });
  // Neither a receipt, nor the recall, nor a reply to its message or to the logout came before this one.
  assertEquals(await old.next("the second login's reply"), { msgid: 2, errno: 0, id: 2, name: "li" });
  assertEquals(old.frames, []);
  assertEquals(old.text.split("\0").length - 1, 3);
  assertEquals(old.text.at(-1), "\0");
});

Deno.test("who beats stays, who is silent is told so and closed", async () => {
  await using server = await startWithUsers(["--heartbeat-interval", "200ms", "--heartbeat-misses", "2"]);
  await using ann = startClient(1, [addressOf(server)]);
  await using silent = await RawConnection.open(addressOf(server));
  const reply = await silent.ask({ msgid: 1, v: 2, cid: "l1", id: 2, password: PASSWORD });
  assertHas(reply, { errno: 0, heartbeat: { interval_ms: 200, misses: 2 } });
  assertHas(await silent.next("a notice"), { msgid: 20, code: "heartbeat_timeout", reconnect: true });
  await silent.ended();
  await waitFor(
    "some beats",
    () => ann.eventsOf("received").filter(({ frame }) => frame.msgid === 19).length > 4,
  );
  assertEquals([ann.isLoggedIn, ann.eventsOf("connected").length], [true, 1]);
});

Deno.test("what is not acknowledged comes again, and in the end the connection goes instead", async () => {
  await using server = await startWithUsers(["--ack-timeout", "150ms"]);
  await using ann = startClient(1, [addressOf(server)]);
  await using li = startClient(2, [addressOf(server)]);
  li.isAcknowledging = false;
  await loggedIn(ann, li);
  for (const text of ["1", "2"]) ann.send(2, text);
  await waitFor("li to be told", () => li.eventsOf("notice").length > 0);
  assertEquals(li.eventsOf("notice"), [{ kind: "notice", code: "slow_consumer", reconnect: true }]);
  assertGreater(li.eventsOf("duplicate").length, 3);
  assertEquals(textsOf(li, "u1-2"), ["1", "2"]);
  li.isAcknowledging = true;
  await waitFor("li to acknowledge after all", () => lastReceipt(ann).delivered === 2);
  assertEquals(textsOf(li, "u1-2"), ["1", "2"]);
});

Deno.test("clients of a server that goes down come back when it is up again, with nothing lost", async () => {
  await using folder = await temporaryFolder();
  const port = freePort();
  const addresses = [{ hostname: "127.0.0.1", port }];
  const args = ["--sqlite", `${folder.path}/chat.db`];
  await using first = await startServer(args, { port });
  for (const name of ["ann", "li"]) await signUp(addressOf(first), name);
  await using ann = startClient(1, addresses);
  await using li = startClient(2, addresses);
  await loggedIn(ann, li);
  ann.send(2, "before");
  await shows(li, "u1-2", ["before"]);
  await first.stop();
  await waitFor("both to be gone", () => !ann.isLoggedIn && !li.isLoggedIn);
  assertEquals(li.eventsOf("notice"), [{ kind: "notice", code: "shutting_down", reconnect: true }]);
  ann.send(2, "meanwhile");
  assertEquals(ann.unsent, 1);
  await using _second = await startServer(args, { port });
  await shows(li, "u1-2", ["before", "meanwhile"]);
  assert([ann, li].every((client) => client.eventsOf("logged_in")[1]?.by === "token"));
});

Deno.test("a message that no frame can hold does not block the next one", async () => {
  await using server = await startWithUsers();
  await using ann = startClient(1, [addressOf(server)]);
  await loggedIn(ann);
  const cid = ann.send(2, "x".repeat(70_000));
  ann.send(2, "y".repeat(60_000));
  await waitFor("the second to be stored", () => ann.eventsOf("stored").length === 1);
  assertHas(ann.eventsOf("refused")[0], { cid, errno: 9 });
  assertEquals(ann.eventsOf("connected").length, 1);
});
