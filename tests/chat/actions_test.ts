/** What is done to entries that are in the log: edit, react, pin, recall. */
import { assert, assertEquals } from "@std/assert";
import { chat, conversationOf, type Frame, groupChat, type Person } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { waitFor } from "../support/process.ts";

/** Says something and resolves with its place. */
async function say(from: Person, to: { id: number }, msg: string, fields: object = {}): Promise<number> {
  const { seq = 0, errno } = await from.client.request(chat(from, to.id, msg, fields));
  assertEquals(errno, 0);
  return seq;
}

async function act({ client }: Person, conversation: string, ref: number, fields: object): Promise<Frame> {
  return await client.request({ msgid: 23, conversation, ref, ...fields });
}

/** An action as others see it. */
function seen(
  { id, name }: Person,
  conversation: string,
  { seq = 0, at = 0 }: Frame,
  fields: object,
): object {
  return { msgid: 23, id, name, ...fields, conversation, seq, at };
}

/** A group of people who have been told of each other's joining. */
async function newGroup(place: Place, creator: Person, ...members: Person[]): Promise<number> {
  const groupname = place.newName("group");
  const { groupid = 0 } = await creator.client.request({ msgid: 8, groupname, groupdesc: "", join: "open" });
  for (const { client } of members) assertEquals((await client.request({ msgid: 9, groupid })).errno, 0);
  for (const [index, { client }] of [creator, ...members].entries()) {
    await client.receiveMany(members.length - index);
  }
  return groupid;
}

onEachDatabase("actions", {
  "an edited message has its new text everywhere, and members are told": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const conversation = conversationOf(ann, li);
    const ref = await say(ann, li, "helo", { tag: 12345678901234567890n.toString() });
    await li.client.receive();
    const reply = await act(ann, conversation, ref, { act: "edit", msg: 'hello \u2028 "you"', cid: "e" });
    assertEquals([reply.msgid, reply.errno, reply.conversation, reply.seq], [11, 0, conversation, ref + 1]);
    const told = await li.client.receive();
    assertEquals<object>(
      told,
      seen(ann, conversation, reply, { ref, act: "edit", msg: 'hello \u2028 "you"' }),
    );
    // The same again, by its cid and by itself, is no other entry.
    assertEquals(
      await act(ann, conversation, ref, { act: "edit", msg: 'hello \u2028 "you"', cid: "e" }),
      reply,
    );
    const again = await act(ann, conversation, ref, { act: "edit", msg: 'hello \u2028 "you"' });
    assertEquals([again.errno, again.seq], [0, undefined]);
    const { messages = [] } = await li.client.request({ msgid: 15, conversation });
    assertEquals(messages.map(({ msgid }) => msgid), [6, 23]);
    const { msg, edited, tag } = messages[0] ?? { msgid: 0 };
    assertEquals([msg, edited, tag], ['hello \u2028 "you"', reply.at, "12345678901234567890"]);
  },

  "who has not had it yet gets the present text, in every version": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    for (const options of [{ v: 3 }, { v: 2 }, {}] as const) {
      const reader = await place.newPerson("reader", options);
      reader.client.close();
      await place.offline(reader.id);
      const conversation = conversationOf(ann, reader);
      const ref = await say(ann, reader, "helo");
      const { at } = await act(ann, conversation, ref, { act: "edit", msg: "hello" });
      await say(ann, reader, "behind");
      await using again = await place.comeBack(reader, options);
      const frames: Frame[] = "v" in options
        ? await again.client.receiveMany(options.v)
        : (again.reply.offlineMsg ?? []).map((text) => JSON.parse(text));
      const messages = frames.filter(({ msgid }) => msgid === 6);
      assertEquals(messages.map(({ msg, edited, seq }) => [msg, edited, seq]), [
        ["hello", at, ref],
        ["behind", undefined, ref + 2],
      ]);
      assertEquals(frames.length - messages.length, options.v === 3 ? 1 : 0);
    }
  },

  "only its sender edits a message, in time, and no longer than a message may be": async (shared) => {
    await using place = await shared.elsewhere(["--edit-window", "1", "--max-frame", "4096"]);
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using stranger = await place.newPerson("stranger", { v: 3 });
    const conversation = conversationOf(ann, li);
    const ref = await say(ann, li, "x", { padding: "p".repeat(2_000) });
    const edit = async (who: Person, msg: unknown, at = ref) =>
      (await act(who, conversation, at, { act: "edit", msg })).errno;
    assertEquals(await edit(li, "mine"), 7);
    assertEquals(await edit(stranger, "mine"), 6);
    assertEquals(await edit(ann, "y".repeat(3_000)), 9);
    for (const msg of [undefined, 7, null, ["y"]]) assertEquals(await edit(ann, msg), 4);
    assertEquals(
      (await ann.client.request({ msgid: 23, conversation, ref: `${ref}`, act: "edit" })).errno,
      4,
    );
    for (const at of [0, -1, ref + 1, 2 ** 40]) assertEquals(await edit(ann, "y", at), 6);
    assertEquals(await edit(ann, "y"), 0);
    // What was done is no message.
    assertEquals(await edit(ann, "y", ref + 1), 6);
    for (const name of ["", "like", "toString", "x".repeat(1_000)]) {
      assertEquals((await act(ann, conversation, ref, { act: name })).errno, 4);
    }
    const { at = 0 } = (await ann.client.request({ msgid: 15, conversation })).messages?.[0] ?? {};
    await waitFor("the window to close", () => Date.now() > at + 1_000);
    assertEquals(await edit(ann, "z"), 7);

    await using never = await shared.elsewhere(["--edit-window", "0"]);
    await using wu = await never.newPerson("wu", { v: 3 });
    const note = await say(wu, wu, "note");
    assertEquals((await act(wu, conversationOf(wu, wu), note, { act: "edit", msg: "x" })).errno, 7);
  },

  "a reaction is there once for each user and emoji, and goes again": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    const groupid = await newGroup(place, ann, li);
    await two.client.request({ msgid: 9, id: two.id, groupid });
    for (const { client } of [ann, li]) await client.receive();
    const conversation = `g${groupid}`;
    const { seq: ref = 0 } = await ann.client.request(groupChat(ann, groupid, "hello"));
    for (const { client } of [li, two]) await client.receive();
    const react = (who: Person, emoji: unknown, on: unknown = true) =>
      act(who, conversation, ref, { act: "react", emoji, on });
    const reply = await react(li, "👍");
    assertEquals([reply.errno, reply.seq], [0, ref + 1]);
    const fields = { ref, act: "react", emoji: "👍", on: true };
    assertEquals<object>(await ann.client.receive(), seen(li, conversation, reply, fields));
    const repeated = await react(li, "👍");
    assertEquals([repeated.errno, repeated.seq], [0, undefined]);
    assertEquals((await react(ann, "👍")).seq, ref + 2);
    assertEquals((await react(ann, "👩‍👩‍👧‍👦")).seq, ref + 3);
    assertEquals((await react(ann, "❤️", false)).seq, undefined);
    assertEquals((await react(ann, "👍", false)).seq, ref + 4);
    assertEquals((await li.client.receiveMany(3)).map(({ seq }) => seq), [ref + 2, ref + 3, ref + 4]);
    for (const emoji of ["", " ", "\u200d", "ab", "👍👍", "👩‍👩‍👧‍👦".repeat(2), "\ud83d", 7, undefined]) {
      assertEquals((await react(ann, emoji)).errno, 4, String(emoji));
    }
    for (const on of [undefined, 1, "true", null]) assertEquals((await react(ann, "👍", on ?? "")).errno, 4);
    // Version 2 has no such request, and is told nothing.
    assertEquals((await react(two, "👍")).errno, 5);
    await ann.client.request(groupChat(ann, groupid, "next"));
    assertEquals((await two.client.receive()).msg, "next");
    const counts = `FROM ReactionCount WHERE conversation = '${conversation}' AND seq = ${ref}`;
    assertEquals(await place.sql(`SELECT users ${counts} ORDER BY emoji`), [["1"], ["1"]]);
  },

  "a message has at most twenty different reactions": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const conversation = conversationOf(ann, ann);
    const ref = await say(ann, ann, "note");
    const react = async (emoji: string, on = true) =>
      (await act(ann, conversation, ref, { act: "react", emoji, on })).errno;
    const emojis = Array.from({ length: 21 }, (_, i) => String.fromCodePoint(0x1f600 + i));
    for (const emoji of emojis.slice(0, 20)) assertEquals(await react(emoji), 0);
    const [first = "", last = ""] = [emojis[0], emojis[20]];
    assertEquals([await react(last), await react(first)], [7, 0]);
    assertEquals([await react(first, false), await react(last)], [0, 0]);
    const rows = await place.sql(`SELECT COUNT(*) FROM Reaction WHERE conversation = '${conversation}'`);
    assertEquals(rows, [["20"]]);
  },

  "a message is pinned by both of two, and in a group by its creator": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const conversation = conversationOf(ann, li);
    const ref = await say(ann, li, "hello");
    await li.client.receive();
    const pin = (who: Person, on: unknown, where = conversation, what = ref) =>
      act(who, where, what, { act: "pin", on });
    const reply = await pin(li, true);
    assertEquals<object>(
      await ann.client.receive(),
      seen(li, conversation, reply, { ref, act: "pin", on: true }),
    );
    assertEquals((await pin(ann, true)).seq, undefined);
    assertEquals((await pin(ann, false)).seq, ref + 2);
    assertEquals((await pin(ann, false)).seq, undefined);
    assertEquals((await pin(ann, "no")).errno, 4);
    await li.client.receive();
    const groupid = await newGroup(place, ann, li);
    const { seq = 0 } = await li.client.request(groupChat(li, groupid, "mine"));
    assertEquals((await pin(li, true, `g${groupid}`, seq)).errno, 7);
    assertEquals((await pin(ann, true, `g${groupid}`, seq)).errno, 0);
    assertEquals(
      await place.sql(`SELECT seq, userid FROM Pin WHERE conversation = 'g${groupid}'`),
      [[String(seq), String(ann.id)]],
    );
  },

  "a recalled message is gone with all that belongs to it, and who has it and was away hears of it": async (
    place,
  ) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    const groupid = await newGroup(place, ann, li);
    await two.client.request({ msgid: 9, id: two.id, groupid });
    for (const { client } of [ann, li]) await client.receive();
    const conversation = `g${groupid}`;
    const { seq: ref = 0 } = await ann.client.request(groupChat(ann, groupid, "first secret"));
    assertEquals((await li.client.receive()).seq, ref);
    await li.client.request({ msgid: 12, conversation, seq: ref });
    await two.client.receive();
    li.client.close();
    await place.offline(li.id);
    await act(ann, conversation, ref, { act: "edit", msg: "second secret" });
    await act(ann, conversation, ref, { act: "edit", msg: "third secret" });
    await act(ann, conversation, ref, { act: "react", emoji: "👍", on: true });
    await act(ann, conversation, ref, { act: "pin", on: true });
    const reply = await act(ann, conversation, ref, { act: "recall", cid: "r" });
    assertEquals([reply.errno, reply.seq], [0, ref + 5]);
    assertEquals(await act(ann, conversation, ref, { act: "recall", cid: "r" }), reply);
    const again = await act(ann, conversation, ref, { act: "recall" });
    assertEquals([again.errno, again.seq], [0, undefined]);
    // Version 2 is told as ever.
    assertEquals(await two.client.receive(), { msgid: 17, conversation, seq: ref, id: ann.id });
    assertEquals(await place.sql("SELECT seq FROM Message WHERE message LIKE '%secret%'"), []);
    for (const table of ["Version", "Reaction", "ReactionCount", "Pin"]) {
      assertEquals(
        await place.sql(`SELECT seq FROM ${table} WHERE conversation = '${conversation}'`),
        [],
        table,
      );
    }
    await using back = await place.comeBack(li, { v: 3 });
    const missed = await back.client.receiveMany(5);
    assertEquals(missed.map(({ seq, act, msg, ref: of }) => [seq, act, msg, of]), [
      [ref + 1, "edit", undefined, ref],
      [ref + 2, "edit", undefined, ref],
      [ref + 3, "react", undefined, ref],
      [ref + 4, "pin", undefined, ref],
      [ref + 5, "recall", undefined, ref],
    ]);
    assertEquals(missed.at(-1), seen(ann, conversation, reply, { ref, act: "recall" }));
    for (
      const fields of [{ act: "edit", msg: "x" }, { act: "react", emoji: "👍", on: true }, {
        act: "pin",
        on: true,
      }]
    ) {
      assertEquals((await act(ann, conversation, ref, fields)).errno, 6);
    }
  },

  "version 2 recalls as ever, and version 3 gets the entry": async (place) => {
    await using ann = await place.newPerson("ann", { v: 2 });
    await using li = await place.newPerson("li", { v: 3 });
    const conversation = conversationOf(ann, li);
    const ref = await say(ann, li, "oh");
    await li.client.receive();
    const { cid: _, ...reply } = await ann.client.request({ msgid: 17, conversation, seq: ref });
    assertEquals<object>(reply, { msgid: 11, errno: 0, conversation, seq: ref });
    const told = await li.client.receive();
    assertEquals<object>(told, seen(ann, conversation, told, { ref, act: "recall" }));
    assertEquals(told.seq, ref + 1);
    assertEquals((await ann.client.request({ msgid: 17, conversation, seq: ref })).errno, 0);
    // And the other way round: 17 of version 3.
    const own = await say(li, ann, "ah");
    await ann.client.receive();
    assertEquals((await li.client.request({ msgid: 17, conversation, seq: own })).errno, 0);
    assertEquals(await ann.client.receive(), { msgid: 17, conversation, seq: own, id: li.id });
    await say(ann, li, "next");
    assertEquals((await li.client.receive()).msg, "next");
    assertEquals((await ann.client.request({ msgid: 15, conversation })).messages, [
      { seq: ref, recalled: true },
      { seq: own, recalled: true },
      ...((await ann.client.request({ msgid: 15, conversation, after: own })).messages ?? []),
    ]);
  },

  "history shows messages as they are now, and what was done to them in its place": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    const groupid = await newGroup(place, ann, li);
    await two.client.request({ msgid: 9, id: two.id, groupid });
    const conversation = `g${groupid}`;
    const { seq: one = 0 } = await ann.client.request(groupChat(ann, groupid, "one"));
    const { seq: plain = 0 } = await ann.client.request(groupChat(ann, groupid, "plain"));
    const { seq: gone = 0 } = await ann.client.request(groupChat(ann, groupid, "gone"));
    for (const who of [li, ann]) await act(who, conversation, one, { act: "react", emoji: "👍", on: true });
    await act(li, conversation, one, { act: "react", emoji: "1", on: true });
    await act(li, conversation, one, { act: "react", emoji: "\\", on: true });
    const { at: edited } = await act(ann, conversation, one, { act: "edit", msg: "ONE" });
    await act(ann, conversation, one, { act: "pin", on: true });
    await act(ann, conversation, gone, { act: "recall" });
    const { messages = [] } = await li.client.request({ msgid: 15, conversation, after: one - 1 });
    const [first, second, third, ...rest] = messages;
    assertEquals(first, {
      ...groupChat(ann, groupid, "ONE"),
      cid: first?.cid ?? "",
      edited,
      reactions: { "👍": [ann.id, li.id].sort((a, b) => a - b), "1": [li.id], "\\": [li.id] },
      pinned: true,
      conversation,
      seq: one,
      at: first?.at ?? 0,
    });
    assertEquals([second?.seq, second?.reactions, second?.pinned, second?.edited], [
      plain,
      undefined,
      undefined,
      undefined,
    ]);
    assertEquals<object | undefined>(third, { seq: gone, recalled: true });
    assertEquals(rest.map(({ act }) => act), ["react", "react", "react", "react", "edit", "pin", "recall"]);
    // The same from the other end, page by page, and of a page without what was done.
    const { messages: [only] = [] } = await li.client.request({
      msgid: 15,
      conversation,
      before: one + 1,
      limit: 1,
    });
    assertEquals(only, first);
    const page = await two.client.request({ msgid: 15, conversation, after: one - 1 });
    assertEquals(
      page.messages?.map(({ seq, msg, edited: at, reactions, pinned }) => [seq, msg, at, reactions, pinned]),
      [
        [one, "ONE", edited, undefined, undefined],
        [plain, "plain", undefined, undefined, undefined],
        [gone, undefined, undefined, undefined, undefined],
      ],
    );
  },

  "of those who have reacted fifty are named, and all counted": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const conversation = conversationOf(ann, ann);
    const ref = await say(ann, ann, "note");
    await say(ann, ann, "another");
    for (const emoji of ["a", "b"]) await act(ann, conversation, ref, { act: "react", emoji, on: true });
    const ofB = `conversation = '${conversation}' AND HEX(emoji) = '62'`;
    for (const others of [60, 3_000]) {
      const ids = Array.from({ length: 60 }, (_, i) => `SELECT ${100_000 + others * 10 + i} AS id`);
      await place.sql(
        "INSERT INTO Reaction (conversation, seq, emoji, userid, at) " +
          `SELECT r.conversation, r.seq, r.emoji, i.id, 1 FROM Reaction r, (${ids.join(" UNION ALL ")}) i ` +
          `WHERE r.userid = ${ann.id} AND ${ofB}`,
      );
      await place.sql(`UPDATE ReactionCount SET users = ${others + 1} WHERE ${ofB}`);
      const { messages: [message] = [] } = await ann.client.request({
        msgid: 15,
        conversation,
        after: 0,
        limit: 1,
      });
      const { a, b } = Object(message?.reactions);
      assertEquals([a, b.length, message?.reaction_counts], [[ann.id], 50, { b: others + 1 }]);
    }
  },

  "members can read all texts that a message has had": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using stranger = await place.newPerson("stranger", { v: 3 });
    const conversation = conversationOf(ann, li);
    const ref = await say(ann, li, 'one " \u2028');
    const plain = await say(ann, li, "plain");
    const two = await act(ann, conversation, ref, { act: "edit", msg: "two" });
    const three = await act(ann, conversation, ref, { act: "edit", msg: "three" });
    const versions = ({ client }: Person, seq: unknown) =>
      client.request({ msgid: 15, conversation, versions: seq });
    const { messages: [first] = [] } = await li.client.request({
      msgid: 15,
      conversation,
      after: 0,
      limit: 1,
    });
    const page = await versions(li, ref);
    assertEquals([page.msgid, page.errno, page.conversation, page.more], [16, 0, conversation, false]);
    assertEquals<object[] | undefined>(page.messages, [
      { seq: ref, at: first?.at ?? 0, msg: 'one " \u2028' },
      { seq: ref, at: two.at ?? 0, msg: "two" },
      { seq: ref, at: three.at ?? 0, msg: "three" },
    ]);
    assertEquals((await versions(li, plain)).messages?.map(({ msg }) => msg), ["plain"]);
    assertEquals((await versions(stranger, ref)).errno, 6);
    for (const seq of [0, -1, two.seq, 1_000]) assertEquals((await versions(li, seq)).errno, 6);
    for (const seq of ["1", null, 1.5]) assertEquals((await versions(li, seq)).errno, 4);
    await act(ann, conversation, ref, { act: "recall" });
    assertEquals((await versions(li, ref)).messages, []);
  },

  "a message has at most a hundred former texts": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const conversation = conversationOf(ann, ann);
    const ref = await say(ann, ann, "0");
    const replies = await ann.client.requestAll(
      Array.from(
        { length: 101 },
        (_, i) => ({ msgid: 23, conversation, ref, act: "edit", msg: String(i + 1) }),
      ),
    );
    assertEquals(replies.map(({ errno }) => errno), [...Array(100).fill(0), 7]);
    const { messages = [] } = await ann.client.request({ msgid: 15, conversation, versions: ref });
    assertEquals(messages.map(({ msg }) => msg), Array.from({ length: 101 }, (_, i) => String(i)));
    const long = await say(ann, ann, "x");
    const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(60_000).slice(0, 60_000));
    const edits = await ann.client.requestAll(
      texts.map((msg) => ({ msgid: 23, conversation, ref: long, act: "edit", msg })),
    );
    assertEquals(edits.filter(({ errno }) => errno === 7).length, 2);
  },

  "what the server says of a message nobody else can say": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using old = await place.newPerson("old");
    const lies = {
      edited: 1,
      reactions: { "👍": [1] },
      reaction_counts: { "👍": 99 },
      pinned: true,
      recalled: true,
    };
    await say(ann, li, "hello", { ...lies, mine: 1 });
    await old.client.send(chat(old, li.id, "hello", { ...lies, mine: 1 }));
    for (const frame of await li.client.receiveMany(2)) {
      assertEquals([Object.keys(lies).filter((key) => key in frame), frame.mine], [[], 1]);
    }
  },

  "actions at once by many leave no hole and no count that is wrong": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const conversation = conversationOf(ann, li);
    const ref = await say(ann, li, "hello");
    await li.client.receive();
    const emojis = ["👍", "👎", "🎉", "😀"];
    const requests = Array.from({ length: 40 }, (_, i) => ({
      msgid: 23,
      conversation,
      ref,
      act: "react",
      emoji: emojis[i % 4],
      on: i % 8 < 4,
    }));
    const replies = await Promise.all([ann, li].map(({ client }) => client.requestAll(requests)));
    assertEquals(new Set(replies.flat().map(({ errno }) => errno)), new Set([0]));
    const seqs = replies.flat().flatMap(({ seq }) => seq ?? []).sort((a, b) => a - b);
    assertEquals(seqs, Array.from({ length: seqs.length }, (_, i) => ref + 1 + i));
    assertEquals(seqs.length, 80);
    assertEquals(
      await place.sql(`SELECT users FROM ReactionCount WHERE conversation = '${conversation}'`),
      [],
    );
    const own = new Set((replies[1] ?? []).map(({ seq }) => seq));
    const heard = await li.client.receiveMany(40);
    assertEquals(heard.map(({ seq = 0 }) => seq), seqs.filter((seq) => !own.has(seq)));
    assert(heard.every(({ msgid }) => msgid === 23));
  },
});
