import { assert, assertEquals, assertLess } from "@std/assert";
import type { JsonObject } from "../../../lib/protocol/protocol.ts";
import { Conversation } from "../../../lib/web/app/conversation.ts";
import { waitFor } from "../../support/process.ts";
import { ModelSite } from "./model_site.ts";

const WITH_LI = { conversation: "u1-2", last_seq: 9, delivered: 9, read: 4, unread: 5, at: 9000 };

function chat(seq: number, fields: JsonObject = {}): JsonObject {
  return {
    msgid: 6,
    conversation: "u1-2",
    seq,
    at: Date.now(),
    id: 2,
    name: "li",
    toid: 1,
    msg: `text ${seq}`,
    ...fields,
  };
}

Deno.test("a page that draws what is read draws no more than there is to draw", async () => {
  await using site = await ModelSite.start({ conversations: [WITH_LI] });
  const { model } = site;
  model.open("u1-2");
  const li = model.current;
  assert(li);
  // As the log does: whoever looks at the end has read everything.
  model.listen(() => model.read(li, li.head.lastSeq));
  // What is behind a hole is there, and is not read before the hole is filled.
  await site.send(chat(12));
  assertEquals([li.head.lastSeq, li.state.top, li.state.shown], [12, 9, 9]);
  assertLess(site.frames, 10);
  const before = site.frames;
  await site.giveWay();
  await site.settle();
  assertLess(site.frames - before, 5, "in a tab that is not connected");
});

Deno.test("an older page that is refused for the moment is asked for when that has passed, not with every frame", async () => {
  let refusals = 3;
  await using site = await ModelSite.start({ conversations: [WITH_LI] }, ({ msgid }) => {
    if (msgid !== 15) return undefined;
    if (refusals-- > 0) return { errno: 8, retry_after_ms: 5 };
    return { messages: [chat(1), chat(2)], more: false };
  });
  const { model } = site;
  model.open("u1-2");
  const li = model.current;
  assert(li);
  // As the log does while its beginning is in view.
  model.listen(() => void model.loadOlder(li));
  await waitFor("the page to be there", () => li.find(1));
  await site.settle();
  assertEquals(site.asked.filter(({ msgid }) => msgid === 15).length, 4);
  assertLess(site.frames, 30);
  assertEquals([model.hasOlder(li), model.isLoading(li)], [false, false]);
});

Deno.test("a conversation that the server will not show is not asked for again", async () => {
  await using site = await ModelSite.start(
    { conversations: [WITH_LI] },
    ({ msgid }) => msgid === 15 ? { errno: 6 } : undefined,
  );
  const li = site.model.conversation("u1-2");
  assert(li);
  site.model.listen(() => void site.model.loadOlder(li));
  site.model.changed("log");
  await site.settle();
  assertEquals(site.asked.filter(({ msgid }) => msgid === 15).length, 1);
  assertEquals(site.model.hasOlder(li), false);
});

Deno.test("the list goes on where its last page ended, whatever else is known by then, and after a refusal", async () => {
  const pages: JsonObject[] = [
    { errno: 10 },
    { conversations: [{ conversation: "u1-3", last_seq: 1, at: 4000 }], more: true },
    { conversations: [{ conversation: "g7", last_seq: 3, delivered: 3, read: 0, at: 3000 }], more: false },
  ];
  await using site = await ModelSite.start(
    { conversations: [WITH_LI, { conversation: "u1-5", last_seq: 1, at: 5000 }], more: true },
    ({ msgid }) => msgid === 34 ? pages.shift() : undefined,
  );
  const { model } = site;
  const befores = () => site.asked.filter(({ msgid }) => msgid === 34).map(({ before }) => before);
  // Older than all that the server has told of.
  await site.send({ ...chat(1), conversation: "u1-9", id: 9, at: 1000 });
  await model.loadConversations();
  assertEquals(befores(), [5000]);
  // One that is opened by its address may be on any page.
  model.open("g7");
  await site.settle();
  assertEquals(befores(), [5000, 5000, 4000]);
  assertEquals(model.current?.state.base, 3);
  await model.loadConversations();
  assertEquals(befores().length, 3);
});

Deno.test("what was refused is sent again with all it said, and what is being typed stays a draft", async () => {
  let isRefused = true;
  await using site = await ModelSite.start(
    { groups: [{ id: 7, groupname: "lunch" }], conversations: [{ ...WITH_LI, conversation: "g7" }] },
    ({ msgid }) =>
      msgid === 10
        ? isRefused ? { errno: 7, errmsg: "You are not a member of group 7" } : { seq: 10, at: Date.now() }
        : undefined,
  );
  const { model } = site;
  model.setDraft("g7", { text: "said" });
  model.sendDraft("g7", "said", { reply: 3, mentions: [2] });
  assertEquals(model.drafts.get("g7"), undefined);
  await site.settle();
  const [failed] = model.unsentFor("g7");
  // In the language of whoever reads it.
  assertEquals(failed?.failure, { errno: 7, text: "You are not a member of group 7" });
  assert(failed);
  model.setDraft("g7", { text: "typed since" });
  isRefused = false;
  model.sendAgain(failed.cid);
  await site.settle();
  assertEquals(model.unsentFor("g7"), []);
  const [first, again] = site.asked.filter(({ msgid }) => msgid === 10);
  assertEquals([again?.msg, again?.reply, again?.mentions], ["said", 3, [2]]);
  assert(again?.cid !== first?.cid);
  assertEquals(model.drafts.get("g7"), { text: "typed since" });
  assertEquals(model.conversation("g7")?.find(10)?.reply, 3);
});

Deno.test("what goes wrong in the page costs a view, not the connection", async () => {
  await using site = await ModelSite.start({ conversations: [WITH_LI] });
  const { model } = site;
  model.onMessage = () => {
    throw new Error("no view");
  };
  // What a sender of an older version may put there is nobody's mention.
  await site.send(chat(10, { mentions: 5, reply: "x" }), chat(11));
  assertEquals(model.link.kind, "online");
  assertEquals(model.conversation("u1-2")?.entries.map(({ text, mentions }) => [text, mentions]), [
    ["text 10", undefined],
    ["text 11", undefined],
  ]);
  assertEquals(site.errors.map(String), ["Error: no view", "Error: no view"]);
});

Deno.test("nobody is told of what they have said themselves, or of what is old", async () => {
  await using site = await ModelSite.start({ conversations: [WITH_LI] });
  const told: string[] = [];
  site.model.onMessage = ({ text }) => void told.push(text ?? "");
  await site.send(chat(10, { id: 1, name: "ann" }), chat(11, { at: 5 }), chat(12));
  assertEquals(told, ["text 12"]);
});

Deno.test("the conversation that is open is the one that is kept, also when it begins anew", async () => {
  await using site = await ModelSite.start({ conversations: [WITH_LI] });
  const { model } = site;
  model.open("u1-2");
  await site.send(chat(10));
  const before = model.current;
  // Another database has another entry in that place.
  await site.send(chat(10, { at: 77, msg: "of another log" }));
  assert(model.current !== before);
  assertEquals(model.current?.find(10)?.text, "of another log");
});

Deno.test("who does not listen any more is told nothing", async () => {
  await using site = await ModelSite.start({});
  const heard: string[] = [];
  const stop = new AbortController();
  site.model.listen((topics) => void heard.push(...topics), stop.signal);
  site.model.changed("typing");
  await site.settle();
  stop.abort();
  site.model.changed("typing");
  await site.settle();
  assertEquals(heard, ["typing"]);
});

Deno.test("the longest text follows from the longest frame that the server takes", async () => {
  for (const [max_frame, longest] of [[65_536, 60_000], [4096, 2048]]) {
    await using site = await ModelSite.start({ max_frame });
    assertEquals(site.model.maxTextBytes, longest);
  }
});

/** What a group's members see, of group 7. */
function system(seq: number, what: string, fields: JsonObject): JsonObject {
  return { msgid: 25, conversation: "g7", seq, at: Date.now(), what, by: 2, by_name: "li", ...fields };
}

const MEMBERS = [{ id: 1, name: "ann", role: "normal" }, { id: 2, name: "li", role: "creator" }];
const GROUP = { id: 7, groupname: "lunch", groupdesc: "when", join: "link", role: "normal", members: 2 };

Deno.test("a group is as its members and what happens in it say, for who is added to it and removed, too", async () => {
  await using site = await ModelSite.start(
    {},
    ({ op }) => op === "members" ? { users: MEMBERS, more: false, group: GROUP } : undefined,
  );
  const { model } = site;
  const group = () => model.people.groups.get(7);
  await site.send(system(4, "added", { id: 1, name: "ann", groupname: "lunch" }));
  const { members: _, ...known } = group() ?? {};
  assertEquals(known, {
    id: 7,
    name: "lunch",
    description: "when",
    join: "link",
    role: "normal",
    count: 2,
    isOver: false,
  });
  await site.send(system(5, "added", { id: 3, name: "wu" }), system(6, "role", { id: 1, role: "admin" }));
  assertEquals([group()?.count, group()?.role, group()?.members], [3, "admin", [
    { id: 2, role: "creator" },
    { id: 3, role: "normal" },
    { id: 1, role: "admin" },
  ]]);
  await site.send(system(7, "role", { id: 3, role: "creator" }), system(8, "left", { id: 2 }));
  assertEquals([group()?.count, group()?.members], [2, [{ id: 1, role: "admin" }, {
    id: 3,
    role: "creator",
  }]]);
  await site.send(system(9, "edited", { groupname: "dinner", join: "closed" }));
  assertEquals([group()?.name, group()?.join], ["dinner", "closed"]);
  await site.send(system(10, "removed", { id: 1, by: 3 }));
  assertEquals([group()?.isOver, group()?.members], [true, undefined]);
  await site.send(system(20, "added", { id: 1, by: 3 }));
  assertEquals([group()?.isOver, group()?.role, group()?.members?.length], [false, "normal", 2]);
});

Deno.test("who follows an invitation knows the group at once; a group that one has left is still called what it was", async () => {
  await using site = await ModelSite.start({
    conversations: [{
      conversation: "g9",
      last_seq: 5,
      delivered: 5,
      read: 5,
      until: 5,
      groupname: "gone",
      at: 1,
    }],
  }, ({ op }) => op === "join" ? { groupid: 7, group: GROUP } : { users: MEMBERS });
  const { model } = site;
  assertEquals([model.people.groups.get(9)?.name, model.people.groups.get(9)?.isOver], ["gone", true]);
  const reply = await model.join("https://chat.example/#join-Zk3v_Q-0p");
  assertEquals([reply.errno, reply.frame.groupid], [0, 7]);
  assertEquals(site.asked[0]?.link, "Zk3v_Q-0p");
  assertEquals([model.people.groups.get(7)?.name, model.people.groups.get(7)?.members?.length], ["lunch", 2]);
});

Deno.test("what is asked of a page that is not connected yet is asked as soon as it is", async () => {
  await using site = await ModelSite.start(
    { conversations: [WITH_LI] },
    ({ msgid }) => msgid === 23 ? { seq: 10, at: 1 } : { users: [] },
    { isOnline: false },
  );
  const { model } = site;
  const li = model.conversation("u1-2") ?? new Conversation("u1-2", 1);
  assertEquals(model.link.kind, "connecting");
  const replies = await Promise.all([
    model.act(li, { ref: 9, act: "pin", on: true }),
    model.ask({ msgid: 27, prefix: "l" }),
  ]);
  assertEquals(replies.map(({ errno }) => errno), [0, 0]);
  // In a tab that has given way nobody waits.
  await site.giveWay();
  assertEquals((await model.ask({ msgid: 27, prefix: "l" })).errno, -1);
});
