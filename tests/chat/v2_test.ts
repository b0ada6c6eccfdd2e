/** Version 2 from end to end: replies, order, receipts, history, recall, resumption, and clients that fall behind. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import {
  chat,
  type ChatClient,
  conversationOf,
  type Frame,
  groupChat,
  PASSWORD,
  type Person,
  type Request,
  signUp,
  TIME,
} from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { waitFor } from "../support/process.ts";
import { UNMEASURED } from "../support/services.ts";

const isChat = ({ msgid, seq }: Frame) => (msgid === 6 || msgid === 10) && seq !== undefined;

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** A reply without its text for people. */
function bare({ errmsg, ...reply }: Frame): Frame {
  assertEquals(typeof errmsg, reply.errno === 0 ? "undefined" : "string", JSON.stringify(reply));
  return reply;
}

async function newGroup(place: Place, creator: Person, ...members: Person[]): Promise<number> {
  const groupname = place.newName("group");
  const { groupid = 0 } = await creator.client.request({
    msgid: 8,
    id: creator.id,
    groupname,
    groupdesc: "about",
  });
  for (const { id, client } of members) {
    assertEquals((await client.request({ msgid: 9, id, groupid })).errno, 0);
  }
  return groupid;
}

/** Sends messages that are all stored when this resolves. */
async function say(from: Person, to: { id: number }, texts: readonly string[]): Promise<void> {
  const replies = await from.client.requestAll(texts.map((msg) => chat(from, to.id, msg)));
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
}

async function acknowledge({ client }: Person, conversation: string, seq: number): Promise<void> {
  assertEquals((await client.request({ msgid: 12, conversation, seq })).errno, 0);
}

/** Somebody with an account who is not logged in. */
async function newAbsent(place: Place, name: string): Promise<{ id: number; name: string }> {
  const unique = place.newName(name);
  await using client = await place.connect();
  return { id: await signUp(client, unique), name: unique };
}

/** Resumes on a new connection, which the caller closes. */
async function resume(place: Place, token: unknown): Promise<{ client: ChatClient; reply: Frame }> {
  const client = await place.connect();
  await client.send({ msgid: 21, v: 2, token });
  return { client, reply: await client.receive() };
}

async function refusal(place: Place, token: unknown): Promise<number | undefined> {
  const { client, reply } = await resume(place, token);
  client.close();
  assertEquals(reply.msgid, 2);
  return reply.errno;
}

onEachDatabase("version 2", {
  "a connection speaks version 2 from the signup, login or resume on that asks for it, whatever comes of it":
    async (place) => {
      const li = await newAbsent(place, "li");
      for (
        const frame of [
          { msgid: 4, name: "", password: "" },
          { msgid: 1, id: li.id, password: "wrong" },
          { msgid: 21, token: "1.none" },
        ]
      ) {
        for (const v of [2, 1, "2", 4, true, null]) {
          await using client = await place.connect();
          await client.send({ ...frame, v });
          // In version 1 there is no resume.
          const isAnswered = v === 2 || frame.msgid !== 21;
          if (isAnswered) assertGreater((await client.receive()).errno ?? 0, 0);
          await client.send({ msgid: 99, cid: "a" });
          if (v === 2) assertEquals(bare(await client.receive()), { msgid: 11, cid: "a", errno: 5 });
          await client.fence();
        }
      }
    },

  "every request with a cid has one reply that echoes it": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    const { client } = li;
    const conversation = conversationOf(li, wu);
    const groupname = place.newName("group");
    const made = await client.request({ msgid: 8, id: li.id, groupname, groupdesc: "d", cid: "made" });
    const { groupid } = made;
    assertEquals<object>(made, { msgid: 11, cid: "made", errno: 0, groupid });
    const first = await client.request(chat(li, wu.id, "hi", { cid: "first" }));
    assertEquals<object>(first, { msgid: 11, cid: "first", errno: 0, conversation, seq: 1, at: first.at });
    assert(Math.abs((first.at ?? 0) - Date.now()) < 60_000);
    const all = await client.request(groupChat(li, groupid ?? 0, "hi"));
    // Behind the entry that says who has made the group.
    assertEquals([all.conversation, all.seq], [`g${groupid}`, 2]);

    const replies: [request: Request, reply: object][] = [
      [
        { msgid: 7, id: li.id, friendid: wu.id },
        { msgid: 11, errno: 0, friendid: wu.id, name: wu.name, state: "online" },
      ],
      [{ msgid: 9, id: li.id, groupid: groupid ?? 0 }, { msgid: 11, errno: 0, groupid }],
      [{ msgid: 12, conversation, seq: 1 }, { msgid: 11, errno: 0 }],
      [{ msgid: 13, conversation, seq: 1 }, { msgid: 11, errno: 0 }],
      [{ msgid: 17, conversation, seq: 1 }, { msgid: 11, errno: 0, conversation, seq: 1 }],
      [{ msgid: 18 }, { msgid: 19, errno: 0 }],
      [{ msgid: 4, name: "", password: "" }, { msgid: 5, errno: 1 }],
      [{ msgid: 4, name: place.newName("zhang"), password: PASSWORD }, { msgid: 5, errno: 0, id: -1 }],
      [{ msgid: 1, id: li.id, password: PASSWORD }, { msgid: 2, errno: 2 }],
      [{ msgid: 21, token: "none" }, { msgid: 2, errno: 2 }],
      [{ msgid: 99 }, { msgid: 11, errno: 5 }],
      [{ msgid: 11 }, { msgid: 11, errno: 5 }],
      [{ msgid: 15, conversation, limit: 0 }, { msgid: 11, errno: 4 }],
      [{ msgid: 3, id: li.id }, { msgid: 11, errno: 0 }],
    ];
    for (const [request, expected] of replies) {
      const { cid, ...reply } = bare(await client.request({ ...request, cid: "\u{1f600} \" \\ '" }));
      assertEquals([cid, { ...reply, ...("id" in expected ? { id: -1 } : {}) }], [
        "\u{1f600} \" \\ '",
        expected,
      ]);
    }
    const page = await wu.client.request({ msgid: 15, conversation, cid: "page" });
    assertEquals<object>(page, {
      msgid: 16,
      cid: "page",
      errno: 0,
      conversation,
      messages: [{ seq: 1, recalled: true }],
      more: false,
    });
    // Without a cid only what has a reply of its own has one, and what is refused.
    await using zhang = await place.newPerson("zhang", { v: 2 });
    await zhang.client.send(chat(zhang, wu.id, "quiet"));
    await zhang.client.send({ msgid: 7, id: zhang.id, friendid: wu.id });
    await zhang.client.send({ msgid: 18 });
    assertEquals(await zhang.client.receive(), { msgid: 19, errno: 0 });
    await zhang.client.send({ msgid: 7, id: zhang.id, friendid: zhang.id });
    assertEquals(bare(await zhang.client.receive()), { msgid: 11, errno: 7 });
  },

  "what is refused says why": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using stranger = await place.connect();
    await stranger.send({ msgid: 4, name: "", password: "", v: 2 });
    await stranger.receive();
    const groupid = await newGroup(place, li);
    const conversation = `g${groupid}`;
    await li.client.request(groupChat(li, groupid, "mine"));
    const requests: Record<number, Request[]> = {
      1: [
        { msgid: 8, id: wu.id, groupname: "", groupdesc: "" },
        { msgid: 4, name: li.name, password: "x" },
      ],
      4: [
        { msgid: 6, id: wu.id, name: wu.name, toid: li.id, msg: "no time" },
        { msgid: 6, id: wu.id, name: wu.name, toid: li.id, msg: 5, time: TIME },
        { msgid: 7, id: wu.id, friendid: String(li.id) },
        { msgid: 9, id: wu.id },
        { msgid: 12, conversation, seq: "1" },
        { msgid: 15 },
        { msgid: 15, conversation: 5 },
        { msgid: 17, conversation, seq: null },
      ],
      6: [
        chat(wu, 999_999_999, "nobody"),
        chat(wu, 0, "nobody"),
        chat(wu, -1, "nobody"),
        { msgid: 7, id: wu.id, friendid: 999_999_999 },
        { msgid: 9, id: wu.id, groupid: 999_999_999 },
        ...[conversation, "g0", `g0${groupid}`, "u1-1000000", "u5-3", "", "x"].flatMap((none) => [
          { msgid: 12, conversation: none, seq: 1 },
          { msgid: 13, conversation: none, seq: 1 },
          { msgid: 15, conversation: none },
          { msgid: 17, conversation: none, seq: 1 },
        ]),
      ],
      7: [
        groupChat(wu, groupid, "not a member"),
        groupChat(wu, 999_999_999, "not a member"),
        chat({ ...wu, id: li.id }, li.id, "forged"),
        { msgid: 7, id: li.id, friendid: wu.id },
        { msgid: 7, id: wu.id, friendid: wu.id },
        { msgid: 3, id: li.id },
      ],
    };
    for (const [errno, frames] of Object.entries(requests)) {
      for (const frame of frames) {
        const reply = await wu.client.request(frame);
        assertEquals(reply.errno, Number(errno), `${JSON.stringify(frame)}: ${JSON.stringify(reply)}`);
      }
    }
    for (const msgid of [3, 6, 7, 8, 9, 10, 12, 13, 15, 17]) {
      assertEquals((await stranger.request({ msgid })).errno, 3, `${msgid}`);
    }
    for (const password of ["wrong", ""]) {
      assertEquals(bare(await stranger.request({ msgid: 1, id: li.id, password, cid: "a" })), {
        msgid: 2,
        cid: "a",
        errno: 1,
      });
    }
    assertEquals((await stranger.request({ msgid: 1, id: li.id, password: PASSWORD })).errno, 2);
    await li.client.fence();
  },

  "a message that has its reply is in the database, and survives the server's death": async (place) => {
    await using before = await place.elsewhere([]);
    await using li = await before.newPerson("li", { v: 2 });
    const wu = await newAbsent(before, "wu");
    const conversation = conversationOf(li, wu);
    for (const seq of numbers(1, 20)) {
      assertEquals((await li.client.request(chat(li, wu.id, `${seq}`))).seq, seq);
      const [row] = await before.sql(
        `SELECT message FROM Message WHERE conversation = '${conversation}' AND seq = ${seq}`,
      );
      assertEquals(JSON.parse(row?.[0] ?? "null").msg, `${seq}`);
    }
    // Killed right behind the reply, with others still under way.
    const last = li.client.request(chat(li, wu.id, "last", { cid: "last" }));
    const { seq = 0 } = await last;
    await li.client.sendBytes(
      new TextEncoder().encode(JSON.stringify(chat(li, wu.id, "lost?", { cid: "lost" }))),
    );
    await using after = await before.restarted((server) => server.kill());
    await using again = await after.comeBack(li, { v: 2 });
    assertEquals((await again.client.request(chat(li, wu.id, "last", { cid: "last" }))).seq, seq);
    const { seq: next = 0 } = await again.client.request(chat(li, wu.id, "lost?", { cid: "lost" }));
    assertEquals(next, seq + 1);
    await using receiver = await after.comeBack(wu, { v: 2 });
    const received = await receiver.client.receiveMany(seq + 1);
    assertEquals(received.map(({ seq }) => seq), numbers(1, seq + 1));
    await receiver.client.fence();
  },

  "the same cid again has the same seq, and is delivered once": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using zhang = await place.newPerson("zhang", { v: 2 });
    const frame = chat(li, wu.id, "once", { cid: "x" });
    const { client } = li;
    // All in one piece, so that they meet in one batch.
    await client.send(
      `${JSON.stringify(frame)}${JSON.stringify(chat(li, wu.id, "y", { cid: "y" }))}`.repeat(5),
    );
    const replies = await client.receiveMany(10);
    for (const { errno, seq, cid } of replies) assertEquals([errno, seq], [0, cid === "x" ? 1 : 2]);
    const [first] = replies;
    // Later, with other words, to somebody else, and on another connection.
    assertEquals(await client.request(frame), first);
    assertEquals(await client.request(chat(li, zhang.id, "other", { cid: "x" })), first);
    client.close();
    await place.offline(li.id);
    await using again = await place.comeBack(li, { v: 2 });
    assertEquals(await again.client.request(frame), first);
    // The cid is its sender's own.
    assertEquals((await wu.client.request(chat(wu, li.id, "mine", { cid: "x" }))).seq, 3);
    assertEquals((await wu.client.take(isChat)).msg, "once");
    assertEquals((await wu.client.take(isChat)).msg, "y");
    assertEquals((await again.client.request(chat(li, wu.id, "next"))).seq, 4);
    assertEquals((await wu.client.take(isChat)).seq, 4);
    await zhang.client.fence();
  },

  "a message carries its place, for members of both versions": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using old = await place.newPerson("old");
    const groupid = await newGroup(place, li, wu);
    await old.client.send({ msgid: 9, id: old.id, groupid });
    await old.client.fence();
    await old.client.send(groupChat(old, groupid, "from version 1"));
    // Behind the three entries that say who has made the group and who has joined it.
    for (const { client } of [li, wu]) {
      const frame = await client.take(isChat);
      assertEquals({ ...frame, at: 0 }, {
        ...groupChat(old, groupid, "from version 1"),
        conversation: `g${groupid}`,
        seq: 4,
        at: 0,
      });
    }
    const { at } = await li.client.request(groupChat(li, groupid, "from version 2", { cid: "c" }));
    for (const { client } of [wu, old]) {
      const expected = {
        ...groupChat(li, groupid, "from version 2", { cid: "c" }),
        conversation: `g${groupid}`,
        seq: 5,
        at,
      };
      assertEquals<object>(await client.receive(), expected);
    }
    await acknowledge(wu, `g${groupid}`, 5);
    await old.client.fence();
  },

  "the sender hears how far the others have come": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using zhang = await place.newPerson("zhang", { v: 2 });
    const conversation = conversationOf(li, wu);
    await say(li, wu, ["1", "2", "3"]);
    await wu.client.receiveMany(3);
    const receipt = (delivered: number, read: number) => ({
      msgid: 14,
      conversation,
      id: wu.id,
      delivered,
      read,
    });
    await acknowledge(wu, conversation, 2);
    assertEquals<object>(await li.client.receiveReceipt(), receipt(2, 0));
    // Only forward, and not past the end.
    await acknowledge(wu, conversation, 1);
    await acknowledge(wu, conversation, 0);
    for (const msgid of [12, 13]) {
      for (const seq of [4, 1e9, -1, Number.MAX_SAFE_INTEGER]) {
        assertEquals((await wu.client.request({ msgid, conversation, seq })).errno, 4);
      }
    }
    // Read is delivered as well.
    assertEquals((await wu.client.request({ msgid: 13, conversation, seq: 3 })).errno, 0);
    assertEquals<object>(await li.client.receiveReceipt(), receipt(3, 3));
    assertEquals(
      await place.sql(
        `SELECT delivered, \`read\` FROM Member WHERE userid = ${wu.id} AND conversation = '${conversation}'`,
      ),
      [
        ["3", "3"],
      ],
    );

    const groupid = await newGroup(place, li, wu, zhang);
    const { seq: said = 0 } = await li.client.request(groupChat(li, groupid, "all"));
    for (const member of [wu, zhang]) {
      assertEquals((await member.client.take(isChat)).seq, said);
      await acknowledge(member, `g${groupid}`, said);
    }
    // One may also tell that somebody has passed over the entry of the other's joining.
    const receipts: Frame[] = [];
    while (receipts.length < 2) {
      const receipt = await li.client.receiveReceipt();
      if (receipt.delivered === said) receipts.push(receipt);
    }
    assertEquals<object[]>(
      receipts.toSorted((a, b) => (a.id ?? 0) - (b.id ?? 0)).map(({ since: _, ...receipt }) => receipt),
      [wu, zhang].map(({ id }) => ({
        msgid: 14,
        conversation: `g${groupid}`,
        id,
        delivered: said,
        read: said - 1,
      })),
    );
    // Who has said nothing there is not told.
    await zhang.client.fence();
    assertEquals([li.client.receiptCount, zhang.client.receiptCount], [0, 0]);
  },

  "history comes in pages, ascending, from either end": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const wu = await newAbsent(place, "wu");
    const conversation = conversationOf(li, wu);
    await say(li, wu, numbers(1, 250).map(String));
    const page = async (range: object) => {
      const { messages = [], more } = await li.client.request({ msgid: 15, conversation, ...range });
      return { seqs: messages.map(({ seq }) => seq), more };
    };
    const last = numbers(51, 250);
    assertEquals(await page({}), { seqs: last, more: true });
    assertEquals(await page({ limit: 200 }), { seqs: last, more: true });
    assertEquals(await page({ limit: 3 }), { seqs: [248, 249, 250], more: true });
    assertEquals(await page({ before: 51 }), { seqs: numbers(1, 50), more: false });
    assertEquals(await page({ before: 4, limit: 2 }), { seqs: [2, 3], more: true });
    assertEquals(await page({ before: 1 }), { seqs: [], more: false });
    assertEquals(await page({ after: 0, limit: 2 }), { seqs: [1, 2], more: true });
    assertEquals(await page({ after: 248, limit: 2 }), { seqs: [249, 250], more: false });
    assertEquals(await page({ after: 250 }), { seqs: [], more: false });
    assertEquals(await page({ after: 3, before: 7 }), { seqs: [4, 5, 6], more: false });
    assertEquals(await page({ after: 3, before: 7, limit: 2 }), { seqs: [4, 5], more: true });
    assertEquals(await page({ after: 7, before: 3 }), { seqs: [], more: false });
    for (const limit of [0, 201, -1]) assertEquals((await page({ limit })).more, undefined);
    const { messages = [] } = await li.client.request({ msgid: 15, conversation, limit: 1 });
    const { cid: _cid, at: _at, ...message } = messages[0] ?? { msgid: 0 };
    assertEquals(message, { ...chat(li, wu.id, "250"), conversation, seq: 250 });

    // Long messages make short pages, which lead on.
    await say(li, wu, numbers(1, 40).map((number) => `${number} ${"x".repeat(60_000)}`));
    let after = 250;
    for (let pages = 0; after < 290; pages++) {
      const { seqs, more } = await page({ after });
      assert(
        seqs.length > 0 && seqs.length < 25 && more === (seqs.at(-1) !== 290),
        `${seqs.length} from ${after} on`,
      );
      assertEquals(seqs, numbers(after + 1, after + seqs.length));
      after += seqs.length;
      assertLess(pages, 10);
    }
  },

  "a group's history and messages are a member's from the joining on, and nobody else's": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using stranger = await place.newPerson("stranger", { v: 2 });
    const groupid = await newGroup(place, li);
    const conversation = `g${groupid}`;
    const seqs = async ({ client }: Person, range: object = {}) =>
      (await client.request({ msgid: 15, conversation, ...range })).messages?.map(({ seq }) => seq);
    // 1 is the entry that says who has made the group, 4 the one that says who has joined it.
    for (const msg of ["2", "3"]) await li.client.request(groupChat(li, groupid, msg));
    await wu.client.request({ msgid: 9, id: wu.id, groupid });
    for (const msg of ["5", "6"]) await li.client.request(groupChat(li, groupid, msg));
    assertEquals((await wu.client.receiveMany(2)).map(({ seq }) => seq), [5, 6]);
    for (const range of [{}, { after: 0 }, { after: 1 }, { before: 100 }]) {
      assertEquals(await seqs(wu, range), [5, 6]);
    }
    assertEquals(await seqs(li, { after: 0 }), [2, 3, 5, 6]);
    assertEquals(await seqs(stranger), undefined);
    // What was said before is neither recalled nor acknowledged by who came later.
    assertEquals((await wu.client.request({ msgid: 17, conversation, seq: 2 })).errno, 6);
    await acknowledge(wu, conversation, 2);
    wu.client.close();
    await place.offline(wu.id);
    await using again = await place.comeBack(wu, { v: 2 });
    assertEquals((await again.client.receiveMany(2)).map(({ seq }) => seq), [5, 6]);
  },

  "a recalled message is gone from the database, and shows as recalled": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using old = await place.newPerson("old");
    const away = await newAbsent(place, "away");
    const conversation = conversationOf(li, wu);
    await say(li, wu, ["one", "secret words", "three"]);
    await wu.client.receiveMany(3);
    assertEquals((await wu.client.request({ msgid: 17, conversation, seq: 2 })).errno, 7);
    for (let repeat = 0; repeat < 2; repeat++) {
      assertEquals((await li.client.request({ msgid: 17, conversation, seq: 2 })).errno, 0);
    }
    assertEquals(await wu.client.receive(), { msgid: 17, conversation, seq: 2, id: li.id });
    for (const { client } of [li, wu]) {
      const { messages = [] } = await client.request({ msgid: 15, conversation });
      assertEquals(messages.map(({ msg }) => msg), ["one", undefined, "three"]);
      assertEquals<object | undefined>(messages[1], { seq: 2, recalled: true });
    }
    assertEquals(await place.sql("SELECT seq FROM Message WHERE message LIKE '%secret words%'"), []);
    for (const seq of [0, 4, -1]) {
      assertEquals((await li.client.request({ msgid: 17, conversation, seq })).errno, 6);
    }

    // Who is away never gets the text, in either version.
    await say(li, away, ["one", "secret words", "three"]);
    await say(li, old, ["one"]);
    assertEquals((await old.client.receive()).msg, "one");
    await old.client.send({ msgid: 3, id: old.id });
    await place.offline(old.id);
    await say(li, old, ["secret words", "three"]);
    await li.client.request({ msgid: 17, conversation: conversationOf(li, away), seq: 2 });
    await li.client.request({ msgid: 17, conversation: conversationOf(li, old), seq: 2 });
    await using back = await place.comeBack(away, { v: 2 });
    assertEquals((await back.client.receiveMany(2)).map(({ msg, seq }) => `${seq} ${msg}`), [
      "1 one",
      "3 three",
    ]);
    await acknowledge(back, conversationOf(li, away), 3);
    await using oldBack = await place.comeBack(old);
    assertEquals(oldBack.reply.offlineMsg?.map((text) => JSON.parse(text).msg), ["three"]);
    // Version 1 knows of no recall.
    await li.client.request({ msgid: 17, conversation: conversationOf(li, old), seq: 3 });
    await oldBack.client.fence();
  },

  "in a group its creator recalls everybody's messages, others only their own, each in time": async (
    place,
  ) => {
    await using there = await place.elsewhere(["--recall-window", "1"]);
    await using li = await there.newPerson("li", { v: 2 });
    await using wu = await there.newPerson("wu", { v: 2 });
    const groupid = await newGroup(there, li, wu);
    const conversation = `g${groupid}`;
    const recall = async ({ client }: Person, seq: number) =>
      (await client.request({ msgid: 17, conversation, seq })).errno;
    const { seq: one = 0 } = await wu.client.request(groupChat(wu, groupid, "one"));
    const { seq: two = 0 } = await li.client.request(groupChat(li, groupid, "two"));
    assertEquals([await recall(wu, two), await recall(li, one)], [7, 0]);
    assertEquals((await wu.client.take(({ msgid }) => msgid === 17)).seq, one);
    const { at = 0, seq: three = 0 } = await wu.client.request(groupChat(wu, groupid, "three"));
    await waitFor("the window to close", () => Date.now() > at + 1_000);
    assertEquals([await recall(wu, three), await recall(li, three)], [7, 7]);

    await using never = await place.elsewhere(["--recall-window", "0"]);
    await using zhang = await never.newPerson("zhang", { v: 2 });
    await zhang.client.request(chat(zhang, zhang.id, "note"));
    const note = { msgid: 17, conversation: `u${zhang.id}-${zhang.id}`, seq: 1 };
    assertEquals((await zhang.client.request(note)).errno, 7);
  },

  "a login says where the user stands, in nested objects": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    assertEquals([li.reply.conversations, li.reply.friends, li.reply.groups, li.reply.offlineMsg], [
      [],
      undefined,
      undefined,
      undefined,
    ]);
    const groupid = await newGroup(place, li, wu);
    await li.client.request({ msgid: 7, id: li.id, friendid: wu.id });
    const conversation = conversationOf(li, wu);
    await say(li, wu, ["1", "2", "3"]);
    await say(wu, li, ["4", "5"]);
    await wu.client.request(groupChat(wu, groupid, "all"));
    await wu.client.request({ msgid: 13, conversation, seq: 2 });
    await acknowledge(li, conversation, 4);
    // Behind the two entries that say who has made the group and who has joined it.
    await acknowledge(li, `g${groupid}`, 3);
    await place.waitForId(
      `SELECT 1 FROM Member WHERE userid = ${wu.id} AND conversation = '${conversation}' AND delivered = 2`,
    );
    li.client.close();
    await place.offline(li.id);
    await using again = await place.comeBack(li, { v: 2 });
    const { token, heartbeat, max_frame, groups = [], ...reply } = again.reply;
    assertEquals(reply, {
      msgid: 2,
      errno: 0,
      id: li.id,
      name: li.name,
      friends: [{ id: wu.id, name: wu.name, state: "online" }],
      conversations: [
        { conversation: `g${groupid}`, last_seq: 3, delivered: 3, read: 2 },
        { conversation, last_seq: 5, delivered: 4, read: 3, peer: { delivered: 2, read: 2 } },
      ],
    });
    assertEquals(groups.map((group) => ({ ...Object(group), groupname: "" })), [{
      id: groupid,
      groupname: "",
      groupdesc: "about",
      users: [
        { id: li.id, name: li.name, state: "online", role: "creator" },
        { id: wu.id, name: wu.name, state: "online", role: "normal" },
      ],
    }]);
    assertEquals(typeof token, "string");
    assertEquals(heartbeat, { interval_ms: 30_000, misses: 3 });
    assertEquals(max_frame, 65_536);
    assertEquals((await again.client.receive()).seq, 5);
  },

  "what was missed streams behind the login, no further ahead of the acknowledgements than the window":
    async (shared) => {
      await using place = await shared.elsewhere(UNMEASURED);
      await using li = await place.newPerson("li", { v: 2 });
      const wu = await newAbsent(place, "wu");
      const conversation = conversationOf(li, wu);
      const total = 1_000;
      await say(li, wu, numbers(1, total).map(String));
      let received = 0;
      for (const stopAt of [400, 600, total]) {
        // A connection dies with some acknowledged, some not; the next begins behind the last acknowledged one.
        await using again = await place.comeBack(wu, { v: 2 });
        let acknowledged = received;
        assertEquals(again.reply.conversations?.[0]?.delivered, acknowledged);
        while (received < stopAt) {
          const ahead = Math.min(acknowledged + 256, total);
          const frames = await again.client.receiveMany(ahead - received);
          assertEquals(frames.map(({ seq }) => seq), numbers(received + 1, ahead));
          received = ahead;
          await again.client.fence();
          acknowledged = Math.min(acknowledged + 100, total);
          await again.client.send({ msgid: 12, conversation, seq: acknowledged });
        }
        received = acknowledged;
        // What was acknowledged before the end counts, though nobody waited for it.
        again.client.close();
        await place.offline(wu.id);
      }
      await using last = await place.comeBack(wu, { v: 2 });
      await acknowledge(last, conversation, total);
      await say(li, wu, ["live"]);
      assertEquals((await last.client.take(({ seq }) => seq === total + 1)).msg, "live");
    },

  "positions survive the server's death": async (place) => {
    await using before = await place.elsewhere([]);
    const wu = await newAbsent(before, "wu");
    await using li = await before.newPerson("li", { v: 2 });
    await say(li, wu, numbers(1, 10).map(String));
    const conversation = conversationOf(li, wu);
    {
      await using there = await before.comeBack(wu, { v: 2 });
      await acknowledge(there, conversation, 6);
      await before.waitForId(`SELECT 1 FROM Member WHERE userid = ${wu.id} AND delivered = 6`);
      await before.server.kill();
    }
    await using after = await before.restarted(() => Promise.resolve());
    await using again = await after.comeBack(wu, { v: 2 });
    assertEquals((await again.client.receiveMany(4)).map(({ seq }) => seq), numbers(7, 10));
    await again.client.fence();
  },

  "a token resumes on a new connection, and the old one is told that it was replaced": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    const { token } = li.reply;
    await say(wu, li, ["1", "2"]);
    await acknowledge(li, conversationOf(li, wu), 1);
    const { client, reply } = await resume(place, token);
    await using _closed = client;
    assertEquals([reply.msgid, reply.errno, reply.id, reply.name, reply.token], [
      2,
      0,
      li.id,
      li.name,
      token,
    ]);
    assertEquals(reply.conversations?.[0]?.delivered, 1);
    assertEquals((await client.receive()).seq, 2);
    const notice = (await li.client.receiveRest()).at(-1);
    assertEquals([notice?.msgid, notice?.code, notice?.reconnect], [20, "replaced", false]);
    li.client.close();
    // The late death of the old connection changes nothing.
    for (let i = 0; i < 3; i++) {
      assertEquals((await wu.client.request(chat(wu, li.id, "still there?"))).errno, 0);
      assertEquals((await client.take(isChat)).msg, "still there?");
    }
    assertEquals(await place.sql(`SELECT state FROM User WHERE id = ${li.id}`), [["online"]]);
    assertEquals((await client.request({ msgid: 18 })).errno, 0);
  },

  "a token is worth nothing after a logout, another login, or a change of the password, and to nobody else":
    async (place) => {
      await using li = await place.newPerson("li", { v: 2 });
      await using wu = await place.newPerson("wu", { v: 2 });
      const token = String(li.reply.token);
      const secret = token.split(".")[1] ?? "";
      for (
        const bad of [
          "",
          "x",
          ".",
          `${wu.id}.${secret}`,
          `${token}A`,
          token.slice(0, -1),
          `0${token}`,
          token.toLowerCase(),
        ]
      ) {
        assertEquals(await refusal(place, bad), 11, bad);
      }
      assertEquals(await refusal(place, 5), 4);
      await li.client.request({ msgid: 3, id: li.id });
      assertEquals(await refusal(place, token), 11);

      await using again = await place.comeBack(li, { v: 2 });
      again.client.close();
      await place.offline(li.id);
      await using third = await place.comeBack(li, { v: 2 });
      assertEquals(await refusal(place, again.reply.token), 11);

      await place.sql(`UPDATE User SET password = 'another' WHERE id = ${li.id}`);
      assertEquals(await refusal(place, third.reply.token), 11);
      // The hash and not the token is what the database holds.
      const stored = JSON.stringify(await place.sql("SELECT hash FROM Token"));
      assert(!stored.includes(String(third.reply.token).split(".")[1] ?? ""));
      assertEquals((await third.client.request({ msgid: 18 })).errno, 0);
    },

  "a password in either version, and a logout in either, make every token of before worthless": async (
    place,
  ) => {
    await using li = await place.newPerson("li", { v: 2 });
    li.client.close();
    await place.offline(li.id);
    await using old = await place.comeBack(li);
    assertEquals(await refusal(place, li.reply.token), 11, "a version 1 login");
    await old.client.send({ msgid: 3, id: li.id });
    await place.offline(li.id);
    assertEquals(await refusal(place, li.reply.token), 11, "a version 1 logout");

    await using again = await place.comeBack(li, { v: 2 });
    again.client.close();
    await place.offline(li.id);
    // A wrong password, and a right one that does not get in, change nothing.
    await using wrong = await place.connect();
    await wrong.send({ msgid: 1, id: li.id, password: "wrong" });
    assertEquals((await wrong.receive()).errno, 1);
    const { client, reply } = await resume(place, again.reply.token);
    await using resumed = client;
    assertEquals(reply.errno, 0);
    await wrong.send({ msgid: 1, id: li.id, password: PASSWORD });
    assertEquals((await wrong.receive()).errno, 2);
    // A token that came by resuming goes with the logout too.
    assertEquals((await resumed.request({ msgid: 3, id: li.id })).errno, 0);
    assertEquals(await refusal(place, again.reply.token), 11);
  },

  "a token expires": async (place) => {
    await using there = await place.elsewhere(["--token-ttl", "1"]);
    await using li = await there.newPerson("li", { v: 2 });
    const issued = Date.now();
    const { client, reply } = await resume(there, li.reply.token);
    client.close();
    assertEquals(reply.errno, 0);
    await waitFor("the token to expire", () => Date.now() > issued + 2_000);
    assertEquals(await refusal(there, li.reply.token), 11);
  },

  "a second login is refused, or with --duplicate-login replace takes the first one's place": async (
    place,
  ) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using second = await place.connect();
    const login = { msgid: 1, id: li.id, password: PASSWORD, v: 2, cid: "a" };
    assertEquals(bare(await second.request(login)), { msgid: 2, cid: "a", errno: 2 });

    await using there = await place.elsewhere(["--duplicate-login", "replace"]);
    await using sender = await there.newPerson("sender", { v: 2 });
    for (const v of [2, undefined] as const) {
      await using old = await there.newPerson("old", v === 2 ? { v } : {});
      await using newer = await there.comeBack(old, { v: 2 });
      const [notice, ...more] = await old.client.receiveRest();
      assertEquals([notice?.msgid, notice?.code, notice?.reconnect, more.length], [20, "replaced", false, 0]);
      old.client.close();
      await say(sender, old, ["to the newer one"]);
      assertEquals((await newer.client.receive()).msg, "to the newer one");
      assertEquals(await there.sql(`SELECT state FROM User WHERE id = ${old.id}`), [["online"]]);
    }
    await there.checkServer();
  },

  "of logins at the same moment one is let in": async (place) => {
    const li = await newAbsent(place, "li");
    const clients = await Promise.all(numbers(1, 10).map(() => place.connect()));
    try {
      const login = { msgid: 1, id: li.id, password: PASSWORD, v: 2 };
      const replies = await Promise.all(clients.map((client) => client.request(login)));
      assertEquals(replies.map(({ errno }) => errno).toSorted(), [0, ...Array(9).fill(2)]);
      // With the token each takes the place of the one before, and one is left.
      const token = replies.find(({ errno }) => errno === 0)?.token;
      const resumed = await Promise.all(numbers(1, 10).map(() => resume(place, token)));
      clients.push(...resumed.map(({ client }) => client));
      await using wu = await place.newPerson("wu", { v: 2 });
      await say(wu, li, ["who is left?"]);
      const ends = await Promise.all(resumed.map(async ({ client, reply }) => {
        if (reply.code !== undefined) return reply.code;
        const last = (await client.receiveUntil((frame) => frame.code !== undefined || isChat(frame))).at(-1);
        return last?.code ?? last?.msg;
      }));
      assertEquals(ends.toSorted(), [...Array(9).fill("replaced"), "who is left?"]);
      assertEquals(await place.sql(`SELECT state FROM User WHERE id = ${li.id}`), [["online"]]);
    } finally {
      for (const client of clients) client.close();
    }
  },

  "what was asked for before a logout, or before the client closed its side, is answered first": async (
    place,
  ) => {
    await using li = await place.newPerson("li", { v: 2 });
    const frames = numbers(1, 300).map((number) => chat(li, li.id, `${number}`, { cid: `${number}` }));
    const text = frames.map((frame) => JSON.stringify(frame)).join("");
    await li.client.send(`${text}{"msgid":3,"id":${li.id},"cid":"logout"}`);
    const replies = (await li.client.receiveUntil(({ cid, errno }) =>
      cid === "logout" && errno !== undefined
    ))
      .filter(({ msgid }) => msgid === 11);
    assertEquals(replies.map(({ cid, errno }) => `${cid} ${errno}`), [
      ...frames.map(({ cid }) => `${cid} 0`),
      "logout 0",
    ]);

    await using wu = await place.newPerson("wu", { v: 2 });
    await wu.client.send(
      numbers(1, 300).map((cid) => JSON.stringify(chat(wu, li.id, "x", { cid: `${cid}` }))).join(""),
    );
    await wu.client.closeWrite();
    const last = await wu.client.receiveRest();
    assertEquals(last.map(({ seq }) => seq), numbers(1, 300));
  },
});
