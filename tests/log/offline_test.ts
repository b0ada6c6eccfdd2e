/** What was sent to somebody who was away, or whose connection died: all of it comes, oldest first. */

import { assert, assertEquals } from "@std/assert";
import { chat, type Frame, groupChat, logIn, PASSWORD, type Person, signUp } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { waitFor } from "../support/process.ts";
import { UNMEASURED } from "../support/services.ts";

/** Somebody who has signed up and is not logged in. */
interface Absent {
  id: number;
  name: string;
}

async function newAbsent(place: Place, name: string): Promise<Absent> {
  const unique = place.newName(name);
  await using client = await place.connect();
  return { id: await signUp(client, unique), name: unique };
}

/** The texts of messages; what else a login brings is left out. */
function texts(frames: readonly Frame[]): string[] {
  return frames.flatMap(({ msg }) => msg === undefined ? [] : [msg]);
}

function offlineFrames({ offlineMsg = [] }: Frame): Frame[] {
  return offlineMsg.map((text) => JSON.parse(text));
}

function offlineTexts(reply: Frame): string[] {
  return texts(offlineFrames(reply));
}

function numbered(count: number, prefix = ""): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** `count` messages that wait for `to` when this resolves. */
async function sendWhileAway(sender: Person, to: Absent, messages: readonly string[]): Promise<void> {
  const replies = await sender.client.requestAll(messages.map((msg) => chat(sender, to.id, msg)));
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
}

/** Logs in again, as often as it takes until the server has noticed that the last connection is gone. */
function comeBack(place: Place, who: Absent): Promise<Person> {
  return waitFor(`${who.name} to be let in again`, async () => {
    const client = await place.connect();
    await client.send({ msgid: 1, id: who.id, password: PASSWORD });
    const reply = await client.receive();
    if (reply.errno === 0) {
      return {
        ...who,
        client,
        reply,
        [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
      };
    }
    client.close();
    assertEquals(reply.errno, 2);
    return null;
  });
}

/** Resolves when the server has written the positions that had moved when this was called: it does so every second. */
async function positionsWritten(place: Place): Promise<void> {
  await using one = await place.newPerson("one", { v: 2 });
  await using other = await place.newPerson("other", { v: 2 });
  const { conversation } = await one.client.request(chat(one, other.id, "tick"));
  await other.client.request({ msgid: 12, conversation, seq: 1 });
  await place.waitForId(`SELECT 1 FROM Member WHERE userid = ${other.id} AND delivered = 1`);
}

async function newGroup(place: Place, creator: Person, members: readonly Person[]): Promise<number> {
  const { groupid = 0 } = await creator.client.request({
    msgid: 8,
    id: creator.id,
    groupname: place.newName("group"),
    groupdesc: "",
    join: "open",
  });
  for (const { id, client } of members) await client.request({ msgid: 9, id, groupid });
  return groupid;
}

onEachDatabase("offline messages", {
  "everything that was missed comes oldest first, from several senders and groups": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await using zhang = await place.newPerson("zhang", { v: 2 });
    await using away = await place.newPerson("away", { v: 2 });
    const groups = [
      await newGroup(place, li, [wu, zhang, away]),
      await newGroup(place, away, [wu, li]),
    ];
    away.client.close();
    await place.offline(away.id);

    const expected: string[] = [];
    for (let i = 0; i < 40; i++) {
      const sender = [li, wu, zhang][i * 7 % 3] ?? li;
      const group = groups[i % 5];
      const frame = group !== undefined && !(group === groups[1] && sender === zhang)
        ? groupChat(sender, group, `group ${i}`)
        : chat(sender, away.id, `one-to-one ${i}`);
      const { errno, at = 0 } = await sender.client.request(frame);
      assertEquals(errno, 0);
      expected.push(String(frame.msg));
      // Within one millisecond nothing tells which conversation's message was first.
      await waitFor("the next millisecond", () => Date.now() > at);
    }
    await using again = await place.comeBack(away);
    assertEquals(offlineTexts(again.reply), expected);
    // Within a conversation without a hole; a group's begin behind what says who has made and who has joined it.
    const seqs = Map.groupBy(again.reply.offlineMsg ?? [], (text) => JSON.parse(text).conversation);
    const behind = new Map(groups.map((groupid, index) => [`g${groupid}`, [4, 3][index]]));
    for (const [conversation, frames] of seqs) {
      const first = (behind.get(conversation) ?? 0) + 1;
      assertEquals(frames.map((text) => JSON.parse(text).seq), frames.map((_, index) => index + first));
    }
    await again.client.send({ msgid: 3, id: away.id });
    assertEquals((await logIn(again.client, away.id)).offlineMsg, undefined);
  },

  "a message sent in the middle of a login arrives once, in the reply or behind it": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const wu = await newAbsent(place, "wu");
    for (let round = 0; round < 5; round++) {
      const messages = numbered(60, `${round}-`);
      await using client = await place.connect();
      const login = logIn(client, wu.id);
      for (const msg of messages) assertEquals((await li.client.request(chat(li, wu.id, msg))).errno, 0);
      const received = offlineTexts(await login);
      while (received.length < messages.length) received.push(...texts([await client.receive()]));
      assertEquals(received, messages);
      await client.send({ msgid: 3, id: wu.id });
      await client.fence();
    }
  },

  "nothing is lost when the connection dies before, during or behind the login reply": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const people: Absent[] = [];
    for (const name of numbered(20, "wu")) people.push(await newAbsent(place, name));
    for (const wu of people) await sendWhileAway(li, wu, [`for ${wu.id}`]);
    await Promise.all(people.map(async (wu, index) => {
      for (let attempt = 0; attempt < 3; attempt++) {
        await using client = await place.connect();
        await client.send({ msgid: 1, id: wu.id, password: PASSWORD });
        // Some die once something of an answer has come, others at any moment before or behind it.
        if ((index + attempt) % 3 === 0) await client.reset();
        else await new Promise((resolve) => setTimeout(resolve, (index * 3 + attempt) * 4));
      }
      await using again = await comeBack(place, wu);
      assertEquals(offlineTexts(again.reply), [`for ${wu.id}`]);
    }));
  },

  "what a client asked for before it closed its side is answered, and counts for nothing": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const wu = await newAbsent(place, "wu");
    await sendWhileAway(li, wu, ["one", "two"]);
    {
      await using client = await place.connect();
      await client.send({ msgid: 1, id: wu.id, password: PASSWORD });
      await client.closeWrite();
      const [reply] = await client.receiveRest();
      assert(reply !== undefined);
      assertEquals(offlineTexts(reply), ["one", "two"]);
    }
    await using again = await comeBack(place, wu);
    assertEquals(offlineTexts(again.reply), ["one", "two"]);
  },

  "10 000 messages come over any number of cut connections, and none is lost": async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const wu = await newAbsent(place, "wu");
    // More than goes into one login reply: the rest follows as ordinary frames.
    const tail = "x".repeat(500);
    const messages = numbered(10_000, "").map((number) => `${number} ${tail}`);
    await sendWhileAway(li, wu, messages);

    // In the middle of the reply, in small bites, and only after the server has written everybody's positions.
    {
      await using client = await place.connect();
      await client.send({ msgid: 1, id: wu.id, password: PASSWORD });
      for (let i = 0; i < 100; i++) assert(await client.readBytes(1024) !== null);
      await positionsWritten(place);
      await client.reset();
    }
    // Somewhere in what follows the reply.
    let received: string[];
    {
      await using again = await comeBack(place, wu);
      received = offlineTexts(again.reply);
      assertEquals(received, messages.slice(0, received.length));
      assert(received.length < 9_000, "All of it was in the login reply");
      received.push(...texts(await again.client.receiveMany(500)));
      await again.client.reset();
    }
    await using last = await comeBack(place, wu);
    const rest = offlineTexts(last.reply);
    const first = Number(rest[0]?.split(" ")[0]);
    assert(first <= received.length + 1, `${received.length} have come, and then it goes on with ${first}`);
    const missing = messages.length - (first - 1) - rest.length;
    rest.push(...texts(await last.client.receiveMany(missing)));
    assertEquals(rest.length, messages.length - (first - 1));
    assert(rest.every((msg, index) => msg === messages[first - 1 + index]));
    // Read to the end and closed in good order: nothing comes twice.
    await last.client.fence();
    last.client.close();
    await using clean = await comeBack(place, wu);
    assertEquals(offlineTexts(clean.reply), []);
  },

  "a version 1 client that closes in good order has what it was sent, if no proxy can have closed for it":
    async (place) => {
      await using li = await place.newPerson("li", { v: 2 });
      await using wu = await place.newPerson("wu");
      await sendWhileAway(li, wu, ["read without a word"]);
      await wu.client.receive();
      wu.client.close();
      await place.offline(wu.id);
      await using again = await place.comeBack(wu);
      assertEquals(offlineTexts(again.reply), ["read without a word"]);

      await using there = await place.elsewhere(["--proxy-protocol", "none"]);
      await using zhang = await there.newPerson("zhang", { v: 2 });
      await using sun = await there.newPerson("sun");
      await sendWhileAway(zhang, sun, ["read without a word"]);
      await sun.client.receive();
      sun.client.close();
      await there.offline(sun.id);
      await using back = await there.comeBack(sun);
      assertEquals(offlineTexts(back.reply), []);
      // A reset says that something was not read.
      await sendWhileAway(zhang, sun, ["not read"]);
      await back.client.reset();
      await there.offline(sun.id);
      await using last = await there.comeBack(sun);
      assertEquals(offlineTexts(last.reply), ["not read"]);
    },

  "a server that is killed keeps what it has acknowledged": async (place) => {
    const wu = { id: 0, name: "wu" };
    await using before = await place.elsewhere([]);
    {
      await using li = await before.newPerson("li", { v: 2 });
      wu.id = (await newAbsent(before, wu.name)).id;
      await sendWhileAway(li, wu, numbered(200));
    }
    await using after = await before.restarted((server) => server.kill());
    await using again = await after.comeBack(wu);
    assertEquals(offlineTexts(again.reply), numbered(200));
  },

  "--persist offline: what reaches its receiver at once is stored nowhere": async (place) => {
    await using there = await place.elsewhere(["--persist", "offline"]);
    await using li = await there.newPerson("li", { v: 2 });
    await using wu = await there.newPerson("wu");
    const { at, ...reply } = await li.client.request(chat(li, wu.id, "live", { cid: "a" }));
    assertEquals(reply, { msgid: 11, cid: "a", errno: 0, conversation: `u${li.id}-${wu.id}` });
    assertEquals(typeof at, "number");
    assertEquals(await wu.client.receive(), chat(li, wu.id, "live", { cid: "a" }));
    await wu.client.send(chat(wu, li.id, "back"));
    assertEquals(await li.client.receive(), chat(wu, li.id, "back"));
    assertEquals(await there.sql("SELECT * FROM Message"), []);
    // A group's messages are stored all the same: some member may be away.
    const groupid = await newGroup(there, li, []);
    await wu.client.send({ msgid: 9, id: wu.id, groupid });
    await wu.client.fence();
    assertEquals((await li.client.request(groupChat(li, groupid, "all"))).seq, 3);
    assertEquals((await wu.client.receive()).msg, "all");
    await there.checkServer();
  },

  "--persist offline: what is sent to somebody who is away is stored and comes first": async (place) => {
    await using there = await place.elsewhere(["--persist", "offline"]);
    await using li = await there.newPerson("li", { v: 2 });
    const wu = await newAbsent(there, "wu");
    await sendWhileAway(li, wu, numbered(5, "away "));
    const stored = await li.client.request(chat(li, wu.id, "away 6"));
    assertEquals([stored.errno, stored.seq], [0, 6]);
    // While the login is under way it is decided anew for each message; the order stays.
    await using client = await there.connect();
    const login = logIn(client, wu.id);
    const live = numbered(100, "live ");
    for (const msg of live) assertEquals((await li.client.request(chat(li, wu.id, msg))).errno, 0);
    const received = offlineTexts(await login);
    while (received.length < 106) received.push(...texts([await client.receive()]));
    assertEquals(received, [...numbered(6, "away "), ...live]);
    await client.fence();
  },

  "--persist offline: a receiver who goes away in the middle finds the rest": async (place) => {
    await using there = await place.elsewhere(["--persist", "offline"]);
    await using li = await there.newPerson("li", { v: 2 });
    await using wu = await there.newPerson("wu");
    for (const msg of numbered(50)) {
      await li.client.request(chat(li, wu.id, msg));
      assertEquals((await wu.client.receive()).msg, msg);
    }
    wu.client.close();
    await there.offline(wu.id);
    for (const msg of numbered(50, "away ")) await li.client.request(chat(li, wu.id, msg));
    await using again = await there.comeBack(wu);
    assertEquals(offlineTexts(again.reply), numbered(50, "away "));
  },

  "--persist offline: what a slow receiver is sent stays in order, stored or not": async (place) => {
    await using there = await place.elsewhere(["--persist", "offline", ...UNMEASURED]);
    await using li = await there.newPerson("li", { v: 2 });
    await using wu = await there.newPerson("wu");
    const tail = "x".repeat(30_000);
    const messages = numbered(800).map((number) => `${number} ${tail}`);
    const sending = li.client.requestAll(messages.map((msg) => chat(li, wu.id, msg)));
    // The kernels' buffers and the server's queue are full: the first one is stored.
    await there.waitForId(`SELECT 1 FROM Message WHERE sender = ${li.id}`);
    const received: Frame[] = [];
    while (received.length < messages.length) {
      received.push(...await wu.client.receiveMany(4));
      // What makes it slow: the queue has room for a moment and is full again.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const replies = await sending;
    assert(replies.some(({ seq }) => seq !== undefined) && replies.some(({ seq }) => seq === undefined));
    assertEquals(texts(received).map((msg) => msg.split(" ")[0]), numbered(800));
  },

  "--persist offline: what a receiver does not take is stored, and there when it has died": async (place) => {
    await using there = await place.elsewhere(["--persist", "offline", ...UNMEASURED]);
    await using li = await there.newPerson("li", { v: 2 });
    await using wu = await there.newPerson("wu");
    // More than the kernels' buffers and the server's queue take together.
    const tail = "x".repeat(60_000);
    const messages = numbered(400).map((number) => `${number} ${tail}`);
    const replies = await li.client.requestAll(messages.map((msg) => chat(li, wu.id, msg)));
    assert(replies.every(({ errno }) => errno === 0));
    const stored = replies.flatMap(({ seq }, index) => seq === undefined ? [] : [index + 1]);
    assert(stored.length > 100, "The receiver took everything");
    await wu.client.reset();

    const numberOf = (msg: string) => Number(msg.split(" ")[0]);
    await using again = await comeBack(there, wu);
    const received = offlineTexts(again.reply).map(numberOf);
    while (!stored.every((number) => received.includes(number))) {
      received.push(...texts([await again.client.receive()]).map(numberOf));
    }
    assertEquals(received.filter((number) => stored.includes(number)), stored);
    // What still waited in the server when the connection died was stored then.
    await again.client.send({ msgid: 4, name: "", password: "" });
    received.push(...texts(await again.client.receiveUntil(({ msgid }) => msgid === 5)).map(numberOf));
    assert(received.some((number) => !stored.includes(number)));
    assertEquals(new Set(received).size, received.length);
  },
}, UNMEASURED);
