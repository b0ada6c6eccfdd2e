/** Version 3 from end to end: what a login is, and users who are online on several devices. */

import { assert, assertEquals, assertGreater, assertMatch, assertNotEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import {
  type ChatClient,
  type Frame,
  groupChat,
  PASSWORD,
  signUp,
  withDeadline,
} from "../support/chat_client.ts";
import { type Device, logInDevice, newDevice, resumeDevice } from "../support/devices.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { waitFor } from "../support/process.ts";

const isChat = ({ msgid }: Frame) => msgid === 6 || msgid === 10;

/** A new user on its first device. */
function newUser(place: Place, name: string): Promise<Device> {
  return newDevice(place.server.port, place.newName(name));
}

/** Another device of a user. */
function another(place: Place, { name }: { name: string }, fields: object = {}): Promise<Device> {
  return logInDevice(place.server.port, { name, ...fields });
}

/** What became of a token, on a connection of its own that is left at once. */
async function resumed(place: Place, token: unknown): Promise<Frame> {
  await using client = await place.connect();
  return await client.request({ msgid: 21, v: 3, token });
}

/** The texts of the next chat frames. */
async function texts(client: ChatClient, count: number): Promise<unknown[]> {
  const found: unknown[] = [];
  while (found.length < count) found.push((await client.take(isChat)).msg);
  return found;
}

async function devicesOf({ client }: Device): Promise<Frame[]> {
  const { errno, devices } = await client.request({ msgid: 22, op: "list" });
  assertEquals(errno, 0);
  assert(Array.isArray(devices));
  return devices;
}

/** The next receipt about somebody. */
async function receiptOf({ client }: Device, id: number): Promise<Frame> {
  for (;;) {
    const receipt = await client.receiveReceipt();
    if (receipt.id === id) return receipt;
  }
}

/** Throws unless the connection ends with this notice. */
async function ends({ client }: Device, code: string): Promise<void> {
  const last = (await client.receiveRest()).at(-1);
  assertEquals([last?.msgid, last?.code, last?.reconnect], [20, code, false]);
}

onEachDatabase("version 3", {
  async "what one is oneself may be left out, and receivers have it all the same"(place) {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 2 });
    const { errno, conversation } = await ann.client.request({ msgid: 6, toid: li.id, msg: "hi" });
    assertEquals([errno, conversation], [0, `u${ann.id}-${li.id}`]);
    const { id, name, msg, time } = await li.client.take(({ msgid }) => msgid === 6);
    assertEquals([id, name, msg], [ann.id, ann.name, "hi"]);
    assertMatch(String(time), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const lie = await ann.client.request({ msgid: 6, id: li.id, toid: li.id, msg: "hi" });
    assertEquals(lie.errno, 7);
    const older = await li.client.request({ msgid: 6, toid: ann.id, msg: "hi" });
    assertEquals(older.errno, 4, "version 2 has to say who it is");
  },

  async "the version of a connection only grows, and becomes the third only at a login"(place) {
    await using ann = await place.newPerson("ann", { v: 2 });
    const again = { msgid: 1, v: 3, id: ann.id, password: PASSWORD };
    assertEquals((await ann.client.request(again)).errno, 2);
    assertEquals((await ann.client.request({ msgid: 6, toid: ann.id, msg: "hi" })).errno, 4);
    await ann.client.request({ msgid: 3, id: ann.id });
    assertEquals((await ann.client.request(again)).errno, 0);
    assertEquals((await ann.client.request({ msgid: 6, toid: ann.id, msg: "hi" })).errno, 0);
  },

  async "a login says all that a client needs, empty lists included"(place) {
    await using ann = await newUser(place, "ann");
    const { reply } = ann;
    assertEquals(
      Object.keys(reply),
      [
        "msgid",
        "cid",
        "errno",
        "id",
        "name",
        "device_id",
        "friends",
        "groups",
        "conversations",
        "token",
        "heartbeat",
        "max_frame",
        "more",
        "epoch",
        "at",
      ],
    );
    assertEquals([reply.id, reply.name, reply.friends, reply.groups, reply.conversations, reply.more], [
      ann.id,
      ann.name,
      [],
      [],
      [],
      false,
    ]);
    assertMatch(String(reply.token), new RegExp(`^${ann.id}\\.${ann.device}\\.[\\w-]{43}\\.[\\w-]{22}$`));
    assertMatch(String(reply.epoch), /^[0-9a-f]{32}$/);
    assert(Math.abs(Number(reply.at) - Date.now()) < 60_000);
    await using again = await another(place, ann);
    assertEquals(again.reply.epoch, reply.epoch);
  },

  async "groups come with the number of their members, and without them"(place) {
    await using ann = await newUser(place, "ann");
    const groupname = place.newName("group");
    const { groupid = 0 } = await ann.client.request({
      msgid: 8,
      groupname,
      groupdesc: "about",
      join: "open",
    });
    await using li = await newUser(place, "li");
    await li.client.request({ msgid: 9, groupid });
    await using again = await another(place, ann);
    assertEquals<unknown>(again.reply.groups, [
      { id: groupid, groupname, groupdesc: "about", join: "open", role: "creator", members: 2 },
    ]);
  },

  async "the name of a login is folded as names are, and a wrong one is told from nothing"(place) {
    const name = `${place.newName("Straße")} Ａnn`;
    await using first = await newDevice(place.server.port, name);
    await using client = await place.connect();
    const logIn = (fields: object) => client.request({ msgid: 1, v: 3, password: PASSWORD, ...fields });
    const folded = name.replace("Straße", "STRASSE").replace("Ａnn", "aNN");
    const reply = await logIn({ name: folded });
    assertEquals([reply.errno, reply.id, reply.name], [0, first.id, name]);
    await client.request({ msgid: 3 });
    const wrong = await logIn({ name: `${name} no` });
    assertEquals(wrong, await logIn({ name, password: "wrong", cid: wrong.cid ?? "" }));
    assertEquals(wrong.errno, 1);
    for (const fields of [{}, { name: 1 }, { name: "x".repeat(10_000) }, { name: "\ud800" }, { id: "1" }]) {
      const { errno = 0 } = await logIn(fields);
      assert(errno === 1 || errno === 4 || errno === 8, JSON.stringify([fields, errno]));
    }
  },

  async "devices of a user are online side by side, and what one sends comes to the others"(place) {
    await using li = await newUser(place, "li");
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann, { device: "phone" });
    assertNotEquals(phone.device, ann.device);
    const { seq, conversation } = await ann.client.request({ msgid: 6, toid: li.id, msg: "from the desk" });
    const own = await phone.client.take(isChat);
    assertEquals([own.conversation, own.seq, own.id, own.msg], [conversation, seq, ann.id, "from the desk"]);
    await phone.client.request({ msgid: 6, toid: li.id, msg: "from the phone" });
    assertEquals(await texts(ann.client, 1), ["from the phone"]);
    assertEquals(await texts(li.client, 2), ["from the desk", "from the phone"]);
    await li.client.request({ msgid: 6, toid: ann.id, msg: "answer" });
    for (const { client } of [ann, phone]) assertEquals(await texts(client, 1), ["answer"]);
    for (const { client } of [ann, phone, li]) await client.fence();
  },

  async "a note to oneself comes to the other devices, and to the one that wrote it as its reply"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    await ann.client.request({ msgid: 6, toid: ann.id, msg: "milk" });
    assertEquals(await texts(phone.client, 1), ["milk"]);
    await ann.client.fence();
  },

  async "own messages come to the other device in order and once, under load and behind a slow one"(place) {
    await using li = await newUser(place, "li");
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    const count = 400;
    const talk = async ({ client }: Device, sent: number, toid: number, total: number) => {
      for (let n = 0; n < sent; n++) {
        await client.send({ msgid: 6, cid: `${client.local} ${n}`, toid, msg: String(n) });
      }
      const frames: Frame[] = [];
      for (let replies = 0; replies < sent || frames.length < total;) {
        const frame = await client.receive();
        if (!isChat(frame)) {
          assertEquals(frame.errno, 0);
          replies++;
          continue;
        }
        frames.push(frame);
        if (frames.length % 50 === 0) {
          await client.send({ msgid: 12, conversation: frame.conversation, seq: frame.seq });
        }
      }
      return frames;
    };
    const heard = await Promise.all([
      talk(ann, count, li.id, count),
      talk(phone, 0, li.id, 2 * count),
      talk(li, count, ann.id, count),
    ]);
    for (const [index, frames] of heard.entries()) {
      const seqs = frames.map(({ seq }) => Number(seq));
      assertEquals(seqs, seqs.toSorted((a, b) => a - b), `listener ${index}`);
      assertEquals(new Set(seqs).size, seqs.length, `listener ${index}`);
    }
    for (const { client } of [ann, phone, li]) await client.fence();
  },

  async "a device begins at the end of every conversation, and goes on where it was itself"(place) {
    await using li = await newUser(place, "li");
    await using ann = await newUser(place, "ann");
    await li.client.request({ msgid: 6, toid: ann.id, msg: "one" });
    const { conversation } = await ann.client.take(isChat);
    await using phone = await another(place, ann);
    const [standing] = phone.reply.conversations ?? [];
    assertEquals([standing?.last_seq, standing?.delivered, standing?.read], [1, 1, 0]);
    await phone.client.fence();
    const page = await phone.client.request({ msgid: 15, conversation });
    assertEquals(page.messages?.map(({ msg }) => msg), ["one"]);

    await li.client.request({ msgid: 6, toid: ann.id, msg: "two" });
    await phone.client.take(isChat);
    assertEquals((await phone.client.request({ msgid: 12, conversation, seq: 2 })).errno, 0);
    phone.client.close();
    ann.client.close();
    await place.offline(ann.id);
    await using desk = await resumeDevice(place.server.port, ann);
    assertEquals(desk.device, ann.device);
    assertEquals(await texts(desk.client, 2), ["one", "two"], "the desk has acknowledged nothing");
    await using mobile = await resumeDevice(place.server.port, phone);
    await mobile.client.fence();
    assertEquals(desk.reply.conversations?.[0]?.delivered, 0);
  },

  async "others are told of the furthest device, and what was read on one is told to the others"(place) {
    await using li = await newUser(place, "li");
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    const { conversation, seq } = await li.client.request({ msgid: 6, toid: ann.id, msg: "hi" });
    await phone.client.take(isChat);
    await phone.client.send({ msgid: 12, conversation, seq });
    const delivered = { msgid: 14, conversation, id: ann.id, delivered: 1, read: 0 };
    assertEquals<object>(await receiptOf(li, ann.id), delivered);
    await ann.client.take(isChat);
    await ann.client.request({ msgid: 13, conversation, seq });
    assertEquals<object>(await receiptOf(li, ann.id), { ...delivered, read: 1 });
    assertEquals<object>(await receiptOf(phone, ann.id), { ...delivered, read: 1 });
    // A device that comes behind is nothing to be told of.
    const { seq: next } = await li.client.request({ msgid: 6, toid: ann.id, msg: "again" });
    await ann.client.request({ msgid: 13, conversation, seq: next });
    assertEquals((await receiptOf(li, ann.id)).read, 2);
    assertEquals((await receiptOf(phone, ann.id)).read, 2);
    await phone.client.request({ msgid: 12, conversation, seq: next });
    await place.waitForId(`SELECT 1 FROM DeviceCursor WHERE device = ${phone.device} AND delivered = 2`);
    await using later = await another(place, li);
    const { delivered: furthest, read: readTo } = later.reply.conversations?.[0]?.peer ?? {};
    assertEquals([furthest, readTo], [2, 2]);
    await li.client.fence();
    assertEquals(li.client.receiptCount, 0);
  },

  async "a group that is joined on one device is there on the others"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    await using li = await newUser(place, "li");
    const groupname = place.newName("group");
    const { groupid = 0 } = await li.client.request({ msgid: 8, groupname, groupdesc: "", join: "open" });
    await ann.client.request({ msgid: 9, groupid });
    await li.client.request({ msgid: 10, groupid, msg: "welcome" });
    for (const { client } of [ann, phone]) assertEquals(await texts(client, 1), ["welcome"]);
    await phone.client.request({ msgid: 10, groupid, msg: "thanks" });
    for (const { client } of [ann, li]) assertEquals(await texts(client, 1), ["thanks"]);
  },

  async "each use of a token gives another one, and the one before is good until that is used"(place) {
    await using ann = await newUser(place, "ann");
    ann.client.close();
    const first = ann.reply.token;
    const replies: Frame[] = [];
    // The reply to each but the last is lost.
    for (let i = 0; i < 6; i++) replies.push(await resumed(place, first));
    assertEquals(replies.map(({ errno, device_id }) => [errno, device_id]), Array(6).fill([0, ann.device]));
    assertEquals(new Set(replies.map(({ token }) => token)).size, 6);
    const second = replies.at(-1)?.token;
    const next = await resumed(place, second);
    assertEquals(next.errno, 0);
    assertEquals((await resumed(place, second)).errno, 0, "it is the former one now");
  },

  async "a token that is shown when a later one has been used was copied: its device is revoked"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    const copied = ann.reply.token;
    ann.client.close();
    const { token } = await resumed(place, copied);
    await using owner = await resumeDevice(place.server.port, { reply: { token } });
    assertEquals((await resumed(place, copied)).errno, 11);
    await ends(owner, "revoked");
    assertEquals((await resumed(place, owner.reply.token)).errno, 11);
    assertEquals((await devicesOf(phone)).map(({ device_id }) => device_id), [phone.device]);
  },

  async "what is made up revokes nothing"(place) {
    await using ann = await newUser(place, "ann");
    const token = String(ann.reply.token);
    const [userId, device, random = "", seal = ""] = token.split(".");
    const flipped = (text: string) => (text.startsWith("A") ? "B" : "A") + text.slice(1);
    for (
      const guess of [
        [userId, device, flipped(random), seal],
        [userId, device, random, flipped(seal)],
        [userId, Number(device) + 1, random, seal],
        [Number(userId) + 1, device, random, seal],
        [userId, device, random],
        ["x"],
      ]
    ) assertEquals((await resumed(place, guess.join("."))).errno, 11, guess.join("."));
    await ann.client.fence();
    assertEquals((await resumed(place, token)).errno, 0);
  },

  async "a login with the password leaves other devices alone, and goes on with one that it names"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann, { device: "phone" });
    phone.client.close();
    await using again = await another(place, ann, { device_id: phone.device, device: "mobile" });
    assertEquals(again.device, phone.device);
    await using stranger = await another(place, ann, { device_id: 999_999, device: "tablet" });
    assertNotEquals(stranger.device, 999_999);
    assertEquals((await devicesOf(ann)).map(({ device, online, current }) => [device, online, current]), [
      ["unnamed", true, true],
      ["mobile", true, false],
      ["tablet", true, false],
    ]);
    await ann.client.fence();
  },

  async "devices are listed, renamed and revoked by their user alone"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann, { device: "phone" });
    await using li = await newUser(place, "li");
    const ask = ({ client }: Device, fields: object) => client.request({ msgid: 22, ...fields });
    assertEquals((await ask(ann, { op: "rename", device_id: phone.device, device: "📱 mobile" })).errno, 0);
    const [desk, mobile] = await devicesOf(ann);
    assertEquals([desk?.current, mobile?.current, mobile?.device, mobile?.online], [
      true,
      false,
      "📱 mobile",
      true,
    ]);
    assertGreater(Number(mobile?.created), 0);
    assert(Math.abs(Number(mobile?.seen) - Date.now()) < 60_000);
    for (
      const [fields, errno] of [
        [{ op: "rename", device_id: phone.device, device: "" }, 4],
        [{ op: "rename", device_id: phone.device, device: "x".repeat(65) }, 4],
        [{ op: "rename", device_id: phone.device, device: "a\nb" }, 4],
        [{ op: "rename", device_id: phone.device }, 4],
        [{ op: "revoke" }, 4],
        [{ op: "revoke", device_id: "1" }, 4],
        [{ op: "burn", device_id: phone.device }, 4],
        [{ device_id: phone.device }, 4],
        [{ op: "revoke", device_id: 999_999 }, 6],
      ] as const
    ) assertEquals((await ask(ann, fields)).errno, errno, JSON.stringify(fields));
    for (const op of ["rename", "revoke"]) {
      assertEquals((await ask(li, { op, device_id: phone.device, device: "mine" })).errno, 6);
    }
    assertEquals((await ask(ann, { op: "revoke", device_id: phone.device })).errno, 0);
    await ends(phone, "revoked");
    assertEquals((await resumed(place, phone.reply.token)).errno, 11);
    assertEquals((await ask(ann, { op: "revoke", device_id: ann.device })).errno, 0);
    await ends(ann, "revoked");
    assertEquals((await place.sql(`SELECT COUNT(*) FROM Device WHERE userid = ${ann.id}`))[0], ["0"]);
    await place.offline(ann.id);
  },

  async "nothing stays of a device that logs out while its positions are being written"(place) {
    await using li = await newUser(place, "li");
    await using ann = await newUser(place, "ann");
    await li.client.request({ msgid: 6, toid: ann.id, msg: "hi" });
    for (let round = 0; round < 5; round++) {
      await using other = await another(place, ann);
      await other.client.send({ msgid: 12, conversation: `u${li.id}-${ann.id}`, seq: 1 });
      assertEquals((await other.client.request({ msgid: 3 })).errno, 0);
      assertEquals(await place.sql(`SELECT COUNT(*) FROM DeviceCursor WHERE device = ${other.device}`), [[
        "0",
      ]]);
    }
  },

  async "a logout revokes the device it comes from, and no other"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    assertEquals((await ann.client.request({ msgid: 3 })).errno, 0);
    assertEquals((await resumed(place, ann.reply.token)).errno, 11);
    assertEquals((await devicesOf(phone)).map(({ device_id }) => device_id), [phone.device]);
    const again = await ann.client.request({ msgid: 1, name: ann.name, password: PASSWORD });
    assertEquals(again.errno, 0);
  },

  async "a user is online while one device is"(place) {
    await using ann = await newUser(place, "ann");
    await using li = await newUser(place, "li");
    const stateOf = async () => (await li.client.request({ msgid: 7, friendid: ann.id })).state;
    const phone = await another(place, ann);
    assertEquals(await stateOf(), "online");
    phone.client.close();
    await waitFor(
      "the phone to be offline",
      async () => (await devicesOf(ann)).some(({ online }) => !online),
    );
    assertEquals(await stateOf(), "online");
    ann.client.close();
    await place.offline(ann.id);
    assertEquals(await stateOf(), "offline");
  },

  async "a version 1 client and devices of version 3 are online at once, each by its own rules"(place) {
    await using ann = await place.newPerson("ann");
    await using desk = await another(place, ann);
    await using phone = await another(place, ann);
    await using li = await newUser(place, "li");
    await li.client.request({ msgid: 6, toid: ann.id, msg: "to all" });
    for (const { client } of [ann, desk, phone]) assertEquals(await texts(client, 1), ["to all"]);
    await ann.client.send({ msgid: 6, id: ann.id, name: ann.name, toid: li.id, msg: "of 1", time: "now" });
    for (const { client } of [desk, phone, li]) assertEquals(await texts(client, 1), ["of 1"]);
    await desk.client.request({ msgid: 6, toid: li.id, msg: "of 3" });
    for (const { client } of [phone, li]) assertEquals(await texts(client, 1), ["of 3"]);
    // Versions 1 and 2 among themselves have today's rules.
    await using second = await place.connect();
    await second.send({ msgid: 1, id: ann.id, password: PASSWORD });
    assertEquals((await second.receive()).errno, 2);
    await using third = await place.connect();
    assertEquals((await third.request({ msgid: 1, v: 2, id: ann.id, password: PASSWORD })).errno, 2);
    await ann.client.fence();
  },

  async "by version 2 a user of version 3 begins at the end, unless it never had a device"(place) {
    await using li = await newUser(place, "li");
    await using ann = await newUser(place, "ann");
    await li.client.request({ msgid: 6, toid: ann.id, msg: "old" });
    await ann.client.take(isChat);
    await using old = await place.connect();
    const reply = await old.request({ msgid: 1, v: 2, id: ann.id, password: PASSWORD });
    assertEquals([reply.errno, reply.conversations?.[0]?.delivered], [0, 1]);
    await li.client.request({ msgid: 6, toid: ann.id, msg: "new" });
    assertEquals(await texts(old, 1), ["new"]);

    await using newcomer = await place.connect();
    const wu = await signUp(newcomer, place.newName("wu"), { v: 3 });
    await li.client.request({ msgid: 6, toid: wu, msg: "before the first login" });
    await using first = await place.connect();
    await first.send({ msgid: 1, id: wu, password: PASSWORD });
    assertEquals((await first.receive()).offlineMsg?.length, 1);
  },

  async "a login of a device ends its other connection and no other's"(place) {
    await using ann = await newUser(place, "ann");
    await using phone = await another(place, ann);
    await using again = await resumeDevice(place.server.port, ann);
    await ends(ann, "replaced");
    await phone.client.fence();
    await again.client.fence();
  },

  async "what was sent and not acknowledged comes again, and one's own of this connection does not"(place) {
    await using there = await place.elsewhere(["--ack-timeout", "1"]);
    await using ann = await newUser(there, "ann");
    await using li = await newUser(there, "li");
    await li.client.request({ msgid: 6, toid: ann.id, msg: "one" });
    assertEquals(await texts(ann.client, 1), ["one"]);
    await ann.client.request({ msgid: 6, toid: li.id, msg: "own" });
    await li.client.request({ msgid: 6, toid: ann.id, msg: "two" });
    assertEquals(await texts(ann.client, 1), ["two"]);
    assertEquals(await texts(ann.client, 2), ["one", "two"]);
  },

  async "one device more than --max-devices takes the place of the one not used for longest"(place) {
    await using there = await place.elsewhere(["--max-devices", "3"]);
    await using ann = await newUser(there, "ann");
    await using second = await another(there, ann);
    await using third = await another(there, ann);
    second.client.close();
    await waitFor(
      "the second to be offline",
      async () => (await devicesOf(ann)).filter(({ online }) => online).length === 2,
    );
    await using fourth = await another(there, ann);
    assertEquals((await devicesOf(ann)).map(({ device_id }) => device_id), [
      ann.device,
      third.device,
      fourth.device,
    ]);
    assertEquals((await resumed(there, second.reply.token)).errno, 11);
    await using fifth = await another(there, ann);
    await ends(ann, "revoked");
    assertEquals((await devicesOf(fifth)).length, 3);
    // However many come at once.
    const many = await Promise.allSettled(Array.from({ length: 8 }, () => another(there, fifth)));
    const [count] = await there.sql(`SELECT COUNT(*) FROM Device WHERE userid = ${ann.id}`);
    assertEquals(count, ["3"]);
    for (const one of many) if (one.status === "fulfilled") one.value.client.close();
  },

  async "who makes one device after the other is asked to wait, and to go on with one it has"(place) {
    await using ann = await newUser(place, "ann");
    await using client = await place.connect();
    let reply: Frame = { msgid: 0 };
    for (let i = 0; i < 70 && (reply.errno ?? 0) === 0; i++) {
      reply = await client.request({ msgid: 1, v: 3, name: ann.name, password: PASSWORD });
      if (reply.errno === 0) await client.request({ msgid: 3 });
    }
    assertEquals(reply.errno, 8);
    assertGreater(reply.retry_after_ms ?? 0, 0);
    await using named = await another(place, ann, { device_id: ann.device });
    assertEquals(named.device, ann.device);
  },

  async "a token expires, and the device goes on with the password"(place) {
    await using there = await place.elsewhere(["--token-ttl", "1"]);
    await using ann = await newUser(there, "ann");
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assertEquals((await resumed(there, ann.reply.token)).errno, 11);
    await ann.client.fence();
    await using again = await another(there, ann, { device_id: ann.device });
    assertEquals(again.device, ann.device);
  },

  async "a restart loses no device, no token and no position"(place) {
    await using before = await place.elsewhere([]);
    const ann = await newUser(before, "ann");
    const phone = await another(before, ann);
    const li = await newUser(before, "li");
    const { conversation } = await li.client.request({ msgid: 6, toid: ann.id, msg: "one" });
    await phone.client.take(isChat);
    await phone.client.request({ msgid: 12, conversation, seq: 1 });
    await li.client.receiveReceipt();
    await using after = await before.restarted((server) => server.kill());
    await using desk = await resumeDevice(after.server.port, ann);
    await using mobile = await resumeDevice(after.server.port, phone);
    assertEquals(await texts(desk.client, 1), ["one"]);
    await mobile.client.fence();
    for (const { client } of [ann, phone, li]) client.close();
  },

  async "with --persist offline what devices are there for is stored"(place) {
    await using there = await place.elsewhere(["--persist", "offline"]);
    await using ann = await newUser(there, "ann");
    await using old = await there.newPerson("li", { v: 2 });
    const { seq } = await old.client.request({
      msgid: 6,
      id: old.id,
      name: old.name,
      toid: ann.id,
      msg: "to a device",
      time: "now",
    });
    assertEquals(seq, 1);
    assertEquals((await ann.client.take(isChat)).seq, 1);
    assertEquals((await ann.client.request({ msgid: 6, toid: old.id, msg: "from one" })).seq, 2);
  },

  async "connections of a user share what the user may ask"(place) {
    await using there = await place.elsewhere(["--message-rate", "5"]);
    await using ann = await newUser(there, "ann");
    await using phone = await another(there, ann);
    await using li = await newUser(there, "li");
    const send = ({ client }: Device) =>
      client.requestAll(Array.from({ length: 40 }, () => ({ msgid: 6, toid: li.id, msg: "x" })));
    const replies = (await Promise.all([ann, phone].map(send))).flat();
    const stored = replies.filter(({ errno }) => errno === 0).length;
    assert(stored >= 50 && stored < 60, `${stored} messages were taken`);
  },

  async "heartbeats come as datagrams of each device"(place) {
    await using there = await place.elsewhere(["--udp", "0"]);
    await using ann = await newUser(there, "ann");
    await using phone = await another(there, ann);
    const { port } = there.server.address("udp");
    const socket = createSocket("udp4");
    for (const { id, reply } of [ann, phone]) {
      const answer = Promise.withResolvers<string>();
      socket.once("message", (bytes) => answer.resolve(bytes.toString()));
      const { udp_key } = Object.fromEntries(Object.entries(reply.heartbeat ?? {}));
      socket.send(JSON.stringify({ msgid: 18, id, udp_key }), port, "127.0.0.1");
      assertEquals(
        await withDeadline(answer.promise, 10_000, () => "a beat's answer"),
        '{"msgid":19,"errno":0}',
      );
    }
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  },

  async "a group's message of one device reaches members and own devices once"(place) {
    await using ann = await newUser(place, "ann");
    await using li = await newUser(place, "li");
    const groupname = place.newName("group");
    const { groupid = 0 } = await ann.client.request({ msgid: 8, groupname, groupdesc: "", join: "open" });
    await li.client.request({ msgid: 9, groupid });
    await using phone = await another(place, ann);
    await ann.client.request(groupChat(ann, groupid, "hello") as Frame);
    for (const { client } of [phone, li]) assertEquals(await texts(client, 1), ["hello"]);
    await ann.client.take(({ msgid }) => msgid === 25);
    for (const { client } of [ann, phone, li]) await client.fence();
  },
});
