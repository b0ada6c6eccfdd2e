/** Version 1, as the original's clients speak it: every row of the table in PROTOCOL.md, and what is between the lines. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  chat,
  type ChatClient,
  type Frame,
  groupChat,
  logIn,
  PASSWORD,
  type Person,
  signUp,
  TIME,
  untilNul,
} from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A chat frame without what the server adds. */
function asSent({ conversation: _conversation, seq: _seq, at: _at, ...frame }: Frame): Frame {
  return frame;
}

/** The frames of an `offlineMsg`, without what the server adds. */
function offline({ offlineMsg = [] }: Frame): Frame[] {
  return offlineMsg.map((text) => asSent(JSON.parse(text)));
}

/** Makes a group as `creator`, who gets no answer: its id is in the next login's reply, so the table is asked. */
async function newGroup(place: Place, creator: Person, name: string): Promise<number> {
  const groupname = place.newName(name);
  await creator.client.send({ msgid: 8, id: creator.id, groupname, groupdesc: "about" });
  await creator.client.fence();
  const [row] = await place.sql(`SELECT id FROM AllGroup WHERE groupname = '${groupname}'`);
  return Number(row?.[0]);
}

async function join(member: Person, groupid: number): Promise<void> {
  await member.client.send({ msgid: 9, id: member.id, groupid });
  await member.client.fence();
}

/**
 * A client with the habits of the original's: one NUL behind each frame, one recv of 1024 bytes, parsed up to the first NUL,
 * the rest thrown away.
 */
class CppClient {
  readonly #client: ChatClient;

  constructor(client: ChatClient) {
    this.#client = client;
  }

  send(frame: object): Promise<void> {
    return this.#client.send(frame, { ending: "\0" });
  }

  async recv(): Promise<Frame> {
    const bytes = await this.#client.readBytes(1024);
    assert(bytes !== null, "The server closed the connection");
    assertEquals(bytes.indexOf(0), bytes.length - 1, "The client would lose what is behind the first NUL");
    return JSON.parse(untilNul(bytes));
  }

  async call(frame: object): Promise<Frame> {
    await this.send(frame);
    return await this.recv();
  }
}

onEachDatabase("version 1", {
  "signup answers with an id, login with what there is and nothing that is empty": async (place) => {
    await using client = await place.connect();
    const name = place.newName("li");
    await client.send({ msgid: 4, name, password: "secret" });
    const text = await client.receiveText();
    const id = JSON.parse(text).id;
    assertEquals(text, `{"msgid":5,"errno":0,"id":${id}}`);
    await client.send({ msgid: 1, id, password: "secret" });
    assertEquals(await client.receiveText(), JSON.stringify({ msgid: 2, errno: 0, id, name }));
  },

  "a login is refused with 1 for a wrong password as for an unknown id, and can be tried again": async (
    place,
  ) => {
    await using client = await place.connect();
    const id = await signUp(client, place.newName("li"));
    const refusals: Frame[] = [];
    for (
      const [who, password] of [[id, "wrong"], [id + 1_000_000, PASSWORD], [id, PASSWORD + " "], [
        id,
        "",
      ]] as const
    ) {
      await client.send({ msgid: 1, id: who, password });
      refusals.push(await client.receive());
    }
    for (const { errmsg, ...refusal } of refusals) {
      assertEquals(refusal, { msgid: 2, errno: 1 });
      assertEquals(errmsg, refusals[0]?.errmsg);
    }
    await logIn(client, id);
  },

  "a second login of the same user is refused with 2, on another connection and on the same": async (
    place,
  ) => {
    await using li = await place.newPerson("li");
    await using other = await place.connect();
    for (const client of [other, li.client]) {
      await client.send({ msgid: 1, id: li.id, password: PASSWORD });
      const { errmsg, ...refusal } = await client.receive();
      assertEquals(refusal, { msgid: 2, errno: 2 });
      assertEquals(typeof errmsg, "string");
    }
    // A login as somebody else needs a logout first.
    const wu = await signUp(li.client, place.newName("wu"));
    await li.client.send({ msgid: 1, id: wu, password: PASSWORD });
    assertEquals((await li.client.receive()).errno, 2);
    await logIn(other, wu);
  },

  "logging out is not answered, and the connection logs in again as the same and as another user": async (
    place,
  ) => {
    await using li = await place.newPerson("li");
    const wu = { name: place.newName("wu"), id: 0 };
    wu.id = await signUp(li.client, wu.name);
    for (const id of [li.id, wu.id, li.id]) {
      const [row] = await place.sql(
        `SELECT id FROM User WHERE state = 'online' AND id IN (${li.id}, ${wu.id})`,
      );
      const from = Number(row?.[0]);
      await li.client.send({ msgid: 3, id: from });
      // The next frame is the next login's answer.
      await logIn(li.client, id);
    }
    await li.client.send({ msgid: 3, id: li.id });
    await using elsewhere = await place.comeBack(li);
    // Logged out, li's first connection says nothing any more in li's name.
    await using zhang = await place.newPerson("zhang");
    await li.client.send(chat(li, zhang.id, "from the grave"));
    await li.client.fence();
    await elsewhere.client.send(chat(li, zhang.id, "alive"));
    assertEquals((await zhang.client.receive()).msg, "alive");
  },

  "the receiver gets the object that was sent, and the sender nothing": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    const text = JSON.stringify(chat(li, wu.id, "hi"));
    await li.client.send(text);
    const received = await wu.client.receiveText();
    assertStringIncludes(received, text.slice(0, -1));
    assertEquals(asSent(JSON.parse(received)), JSON.parse(text));
    await li.client.fence();
    // Needs no friendship, and to oneself is allowed.
    await li.client.send(chat(li, li.id, "note"));
    assertEquals(asSent(await li.client.receive()), chat(li, li.id, "note"));
  },

  "friends are strings of JSON, seen by who added them and not the other way round": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    await using away = await place.newPerson("away");
    away.client.close();
    // wu twice: nothing changes. Unknown ones and oneself are refused, without a word.
    for (const friendid of [wu.id, away.id, wu.id, 999_999_999, li.id]) {
      await li.client.send({ msgid: 7, id: li.id, friendid });
    }
    await li.client.fence();
    await li.client.send({ msgid: 3, id: li.id });
    await place.offline(away.id);
    const reply = await logIn(li.client, li.id);
    assertEquals(reply, {
      msgid: 2,
      errno: 0,
      id: li.id,
      name: li.name,
      friends: [
        `{"id":${wu.id},"name":"${wu.name}","state":"online"}`,
        `{"id":${away.id},"name":"${away.name}","state":"offline"}`,
      ],
    });
    await wu.client.send({ msgid: 3, id: wu.id });
    assertEquals((await logIn(wu.client, wu.id)).friends, undefined);
  },

  "groups are strings of JSON with their users as strings of JSON": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    const groupid = await newGroup(place, li, "weiqi");
    const other = await newGroup(place, li, "alone");
    await join(wu, groupid);
    await join(wu, groupid);
    const names = new Map(
      (await place.sql("SELECT id, groupname FROM AllGroup")).map(([id, name]) => [Number(id), name]),
    );
    await li.client.send({ msgid: 3, id: li.id });
    const reply = await logIn(li.client, li.id);
    const creator = `{"id":${li.id},"name":"${li.name}","state":"online","role":"creator"}`;
    const normal = `{"id":${wu.id},"name":"${wu.name}","state":"online","role":"normal"}`;
    assertEquals(reply.groups, [
      JSON.stringify({
        id: groupid,
        groupname: names.get(groupid),
        groupdesc: "about",
        users: [creator, normal],
      }),
      JSON.stringify({ id: other, groupname: names.get(other), groupdesc: "about", users: [creator] }),
    ]);
    assertEquals(Object.keys(reply), ["msgid", "errno", "id", "name", "groups"]);
  },

  "a group message reaches every other member and not its sender": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    await using zhang = await place.newPerson("zhang");
    await using stranger = await place.newPerson("stranger");
    const groupid = await newGroup(place, li, "weiqi");
    await join(wu, groupid);
    await join(zhang, groupid);
    const text = JSON.stringify(groupChat(wu, groupid, "hello all"));
    await wu.client.send(text);
    for (const { client } of [li, zhang]) {
      const received = await client.receiveText();
      assertStringIncludes(received, text.slice(0, -1));
      assertEquals(asSent(JSON.parse(received)), JSON.parse(text));
    }
    for (const { client } of [wu, stranger]) await client.fence();
  },

  "who is not in a group cannot write to it": async (place) => {
    await using li = await place.newPerson("li");
    await using stranger = await place.newPerson("stranger");
    const groupid = await newGroup(place, li, "weiqi");
    await stranger.client.send(groupChat(stranger, groupid, "spam"));
    await stranger.client.send(groupChat(stranger, groupid + 1_000, "spam"));
    await stranger.client.send(groupChat({ ...li }, groupid, "spam in li's name"));
    await stranger.client.fence();
    await join(stranger, groupid);
    await stranger.client.send(groupChat(stranger, groupid, "hello"));
    assertEquals((await li.client.receive()).msg, "hello");
    // Behind the two entries that say who has made the group and who has joined it.
    assertEquals(await place.sql(`SELECT seq FROM Message WHERE conversation = 'g${groupid}' AND kind = 0`), [
      [
        "3",
      ],
    ]);
  },

  "nobody speaks or acts with another's id, and a wrong name is put right": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    await using mallory = await place.newPerson("mallory");
    const groupid = await newGroup(place, li, "weiqi");
    await join(mallory, groupid);
    const asLi = { id: li.id, name: li.name };
    for (
      const frame of [
        chat(asLi, wu.id, "forged"),
        chat(asLi, wu.id, "forged", { id: String(mallory.id) }),
        chat(asLi, wu.id, "forged", { id: mallory.id + 0.5 }),
        groupChat(asLi, groupid, "forged"),
        { msgid: 7, id: li.id, friendid: mallory.id },
        { msgid: 8, id: li.id, groupname: place.newName("forged"), groupdesc: "" },
        { msgid: 9, id: wu.id, groupid },
        { msgid: 3, id: li.id },
      ]
    ) await mallory.client.send(frame);
    await mallory.client.send(chat({ ...mallory, name: li.name }, wu.id, "honest"));
    await mallory.client.send(groupChat({ ...mallory, name: "" }, groupid, "honest"));
    assertEquals(asSent(await wu.client.receive()), chat(mallory, wu.id, "honest"));
    assertEquals(asSent(await li.client.receive()), groupChat(mallory, groupid, "honest"));
    assertEquals(await place.sql(`SELECT userid FROM Friend WHERE userid = ${li.id}`), []);
    assertEquals(await place.sql(`SELECT userid FROM GroupUser WHERE groupid = ${groupid} ORDER BY userid`), [
      [String(li.id)],
      [String(mallory.id)],
    ]);
    await li.client.fence();
  },

  "who was away finds one-to-one and group messages in the login reply, once": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    const groupid = await newGroup(place, li, "weiqi");
    await join(wu, groupid);
    wu.client.close();
    await place.offline(wu.id);
    const sent = [chat(li, wu.id, "one"), groupChat(li, groupid, "two"), chat(li, wu.id, "three")];
    for (const [index, frame] of sent.entries()) {
      await li.client.send(frame);
      await place.stored(wu.id, index + 1);
    }
    await using again = await place.comeBack(wu);
    assertEquals(offline(again.reply), sent);
    assertEquals(Object.keys(again.reply), ["msgid", "errno", "id", "name", "offlineMsg", "groups"]);
    await again.client.send({ msgid: 3, id: wu.id });
    assertEquals((await logIn(again.client, wu.id)).offlineMsg, undefined);
  },

  "the original's client goes through its day on one connection": async (place) => {
    await using socket = await place.connect();
    await using peerSocket = await place.connect();
    const client = new CppClient(socket);
    const peer = new CppClient(peerSocket);
    const [liName, wuName] = [place.newName("li"), place.newName("wu")];
    const groupname = place.newName("weiqi");

    const signup = await client.call({ msgid: 4, name: liName, password: "123456" });
    assertEquals([signup.msgid, signup.errno], [5, 0]);
    const taken = await client.call({ msgid: 4, name: liName, password: "123456" });
    assertEquals([taken.msgid, taken.errno], [5, 1]);
    const li = Number(signup.id);
    const wu = Number((await peer.call({ msgid: 4, name: wuName, password: "654321" })).id);

    assertEquals(await client.call({ msgid: 1, id: li, password: "123456" }), {
      msgid: 2,
      errno: 0,
      id: li,
      name: liName,
    });
    assertEquals((await peer.call({ msgid: 1, id: wu, password: "654321" })).errno, 0);
    await client.send({ msgid: 7, id: li, friendid: wu });
    await client.send({ msgid: 8, id: li, groupname, groupdesc: "go players" });
    const groupid = await place.waitForId(`SELECT id FROM AllGroup WHERE groupname = '${groupname}'`);
    await peer.send({ msgid: 9, id: wu, groupid });
    await place.waitForId(`SELECT userid FROM GroupUser WHERE groupid = ${groupid} AND userid = ${wu}`);

    await client.send({ msgid: 6, id: li, name: liName, toid: wu, msg: "你好", time: TIME });
    assertEquals((await peer.recv()).msg, "你好");
    await peer.send({ msgid: 6, id: wu, name: wuName, toid: li, msg: "hi", time: TIME });
    assertEquals((await client.recv()).msg, "hi");
    await client.send({ msgid: 10, id: li, name: liName, groupid, msg: "all", time: TIME });
    assertEquals((await peer.recv()).msg, "all");

    await peer.send({ msgid: 3, id: wu });
    await place.offline(wu);
    await client.send({ msgid: 6, id: li, name: liName, toid: wu, msg: "away?", time: TIME });
    await place.stored(wu, 1);
    await client.send({ msgid: 10, id: li, name: liName, groupid, msg: "all away?", time: TIME });
    await place.stored(wu, 2);
    await client.send({ msgid: 3, id: li });
    await place.offline(li);

    // Another user on the connection that was li's; a third one on the one that was wu's.
    const welcome = await client.call({ msgid: 1, id: wu, password: "654321" });
    assertEquals(offline(welcome).map(({ msg }) => msg), ["away?", "all away?"]);
    assertEquals(welcome.groups?.length, 1);
    const back = await peer.call({ msgid: 1, id: li, password: "123456" });
    assertEquals(back.friends, [`{"id":${wu},"name":"${wuName}","state":"online"}`]);
    await client.send({ msgid: 6, id: wu, name: wuName, toid: li, msg: "swapped", time: TIME });
    assertEquals((await peer.recv()).msg, "swapped");
  },

  "a version 1 connection is sent nothing that is not in the table": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    for (
      const frame of [
        // With cid, as a version 2 client would: no 11.
        chat(li, wu.id, "hi", { cid: "a" }),
        chat(li, 999_999_999, "to nobody", { cid: "b" }),
        { msgid: 7, id: li.id, friendid: wu.id, cid: "c" },
        { msgid: 12, conversation: `u${li.id}-${wu.id}`, seq: 1, cid: "d" },
        { msgid: 15, conversation: `u${li.id}-${wu.id}`, cid: "e" },
        { msgid: 17, conversation: `u${li.id}-${wu.id}`, seq: 1, cid: "f" },
        { msgid: 18, cid: "g" },
        { msgid: 21, token: "1.x", cid: "h" },
        // v is for signup, login and resume; and it is the number 2.
        chat(li, wu.id, "hi again", { v: 2 }),
        // Neither known nor well formed.
        ...[0, 2, 5, 11, 14, 22, -1, 1e9, 1.5, "1", null, true, [1]].map((msgid) => ({ msgid, cid: "i" })),
        {},
        { msgid: 6 },
        { msgid: 6, id: li.id, name: li.name, toid: "2", msg: "hi", time: TIME },
        { msgid: 6, id: li.id, name: li.name, toid: wu.id, msg: 5, time: TIME },
        { msgid: 1 },
        { msgid: 1, id: "1", password: "x" },
        { msgid: 4, name: "x" },
      ]
    ) await li.client.send(frame);
    assertEquals((await wu.client.receiveMany(2)).map(({ msg }) => msg), ["hi", "hi again"]);
    await li.client.fence();
    await wu.client.fence();
  },

  "the server ends its frames as the client ends its first": async (place) => {
    for (const [sent, expected] of [["\0", "\0"], ["\n", "\n"], ["\r\n", "\n"], ["", ""]] as const) {
      await using client = await place.connect();
      await client.sendBytes(encoder.encode(`{"msgid":4,"name":"","password":""}${sent}`));
      const first = decoder.decode(await client.readBytes() ?? undefined);
      assertEquals(first.slice(first.indexOf("}") + 1), expected, JSON.stringify(sent));
      // Later frames may end as they like.
      for (const ending of ["\n", "", "\0", " \r\n\0 "]) {
        await client.sendBytes(encoder.encode(`{"msgid":4,"name":"","password":""}${ending}`));
        assertEquals(decoder.decode(await client.readBytes() ?? undefined), first);
      }
    }
  },

  "a frame may be cut anywhere, and its NUL may come by itself": async (place) => {
    const bytes = encoder.encode('{"msgid":4,"name":"","password":"} \\" {"}\0');
    await Promise.all(Array.from(bytes, async (_, position) => {
      await using client = await place.connect();
      await client.sendBytes(bytes.subarray(0, position));
      // Nothing tells when the server has read the first part: a pause makes it likely.
      await new Promise((resolve) => setTimeout(resolve, 20));
      await client.sendBytes(bytes.subarray(position));
      const reply = await client.readBytes();
      assertEquals(reply?.at(-1), 0, `cut at ${position}`);
      assertEquals(JSON.parse(untilNul(reply ?? new Uint8Array())).errno, 1);
    }));
  },

  "what a client asked for before it closed its side is answered": async (place) => {
    await using client = await place.connect({ ending: "" });
    const name = place.newName("printf");
    await client.send({ msgid: 4, name, password: PASSWORD });
    await client.closeWrite();
    const [reply, ...more] = await client.receiveRest();
    assertEquals([reply?.msgid, reply?.errno, more.length], [5, 0, 0]);
  },

  "frames may be glued and may be printed over several lines": async (place) => {
    await using li = await place.newPerson("li", { ending: "\n" });
    await using wu = await place.newPerson("wu", { ending: "\n" });
    const frames = ["a", "b {", "c }"].map((msg) => chat(li, wu.id, msg, { extra: { "}": ["{", "\n"] } }));
    await li.client.send(frames.map((frame) => JSON.stringify(frame)).join(""));
    await li.client.send(frames.map((frame) => JSON.stringify(frame, null, 2)).join("\r\n\t \0"));
    const received = await wu.client.receiveMany(6);
    assertEquals(received.map(asSent), [...frames, ...frames]);
  },

  "fields of the client's own travel untouched": async (place) => {
    await using li = await place.newPerson("li", { ending: "\n" });
    await using wu = await place.newPerson("wu", { ending: "\n" });
    const head =
      `{"z":1,"msgid":6,"id":${li.id},"name":"${li.name}","toid":${wu.id},"msg":"\\u00e9\\/\\ud83d\\ude00"`;
    const extras = [
      '"big":12345678901234567890,"small":1.10e-7,"precise":0.1000000000000000055511151231257827',
      '"2":"b","1":"a","":"empty","deep":{"a":1,"a":2,"b":[{},[[]],null,true]}',
      '"__proto__":{"admin":true},"constructor":1,"toString":null,"msgId":7,"userid":1',
      '"pair":"\\uD83D\\ude00","nul":"\\u0000","quote":"\\"}{\\"","slash":"\\\\"',
      '"space" : [ 1 , 2 ]  ',
    ];
    for (const extra of extras) {
      const text = `${head},${extra},"time":"${TIME}"}`;
      await li.client.send(text);
      assertStringIncludes(await wu.client.receiveText(), text.slice(0, -1));
    }
    // Over several lines nothing changes but the line breaks.
    for (const extra of extras) {
      await li.client.send(`${head},\r\n${extra},\n"time":"${TIME}"\n}`);
      const received = await wu.client.receiveText();
      assertStringIncludes(
        received.replace(/\s/g, ""),
        `${head},${extra},"time":"${TIME}"`.replace(/\s/g, ""),
      );
    }
    // Where the name has to be put right, the values stay what they were.
    for (const extra of extras.slice(0, -1)) {
      await li.client.send(`${head.replace(li.name, "liar")},${extra},"time":"${TIME}"}`);
      const received = await wu.client.receiveText();
      assertStringIncludes(received, `${head},${extra},"time":"${TIME}"`);
    }
  },

  "a field that stands twice is sent on once, and the server's fields are the server's": async (place) => {
    await using li = await place.newPerson("li", { ending: "\n" });
    await using wu = await place.newPerson("wu", { ending: "\n" });
    const rest = `"toid":${wu.id},"msg":"hi","time":"${TIME}"`;
    const id = `"id":${li.id}`;
    const name = `"name":"${li.name}"`;
    for (
      const text of [
        `{"msgid":6,"name":"boss",${id},${name},${rest}}`,
        `{"msgid":6,"n\\u0061me":"boss",${id},${name},${rest}}`,
        `{"msgid":6,"id":1000,${id},${name},${rest}}`,
        `{"msgid":10,"msgid":6,${id},${name},${rest}}`,
        `{"msgid":6,${id},${name},${rest},"seq":-1,"at":{},"conversation":"u1-1"}`,
        `{"msgid":6,${id},${name},${rest},"s\\u0065q":9,"seq":10}`,
      ]
    ) {
      await li.client.send(text);
      const received = await wu.client.receiveText();
      for (const field of ["msgid", "id", "name", "conversation", "seq", "at"]) {
        assertEquals(received.split(`"${field}":`).length, 2, `${field} in ${received}`);
      }
      const { conversation, ...frame } = JSON.parse(received);
      assertEquals([frame.id, frame.name, frame.msgid, frame.msg], [li.id, li.name, 6, "hi"]);
      assertEquals(conversation, `u${li.id}-${wu.id}`);
      assert(frame.seq > 0 && frame.at > 1e12);
    }
    // The user's own id in front does not help who ends with another's.
    await li.client.send(`{"msgid":6,${id},${name},${rest},"id":${wu.id}}`);
    await li.client.fence();
    await wu.client.fence();
  },

  "text is any Unicode up to the frame limit, live and offline": async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu");
    const overhead = encoder.encode(JSON.stringify(chat(li, wu.id, ""))).length;
    const room = 65_536 - overhead;
    const texts = [
      "",
      "'; DROP TABLE User; -- \\ \" % _ \u0000 \b\f\n\r\t\u007f\u0085\u2028\u2029\ufeff\ufffe\uffff",
      "é ö ß ﬁ ﷺ ё 漢字 かな 한국어 العربية हिन्दी ไทย \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f1e8}\u{1f1f3} \u{10ffff} \u{20000}",
      "a".repeat(room),
      "\u{1f600}".repeat(Math.floor(room / 4)),
      "漢".repeat(Math.floor(room / 3)),
    ];
    for (const text of texts) {
      await li.client.send(chat(li, wu.id, text));
      assertEquals((await wu.client.receive()).msg, text);
    }
    await wu.client.send({ msgid: 3, id: wu.id });
    await place.offline(wu.id);
    for (const text of texts) await li.client.send(chat(li, wu.id, text));
    await place.stored(wu.id, texts.length);
    await using again = await place.comeBack(wu);
    assertEquals(offline(again.reply).map(({ msg }) => msg), texts);
  },

  "names are unique by one rule on every database": async (place) => {
    await using client = await place.connect();
    const attempt = async (name: string) => {
      await client.send({ msgid: 4, name, password: "x" });
      const { msgid, errno } = await client.receive();
      assertEquals(msgid, 5);
      return errno === 0;
    };
    const accepted = [
      ["Zoë", "zo\u0065\u0308", "ZOË"],
      ["straße", "strasse", "STRASSE"],
      ["a", "ａ", "Ａ"],
      ["á", "a\u0301", "Á", "A\u0301"],
      ["Ωmega", "ωMEGA", "\u2126mega"],
      ["\u{1f600}"],
      ["\u{1f601}"],
      ["ss", "ß", "ẞ"],
      ["x<ΝΙΚΟΣ>", "x<νικοσ>", "x<νικος>"],
      ["a b", "a\u00a0b", "a\u2003b"],
      ["1"],
      ["01"],
      ["1e0"],
      ["null", "NULL"],
      ["%"],
      ["_"],
      ["'; DROP TABLE User; --"],
      ["\\"],
      ["漢".repeat(50)],
      ["\u{1f600}".repeat(50)],
      ["I", "i"],
      ["ı"],
      ["İ"],
    ];
    for (const [name = "", ...same] of accepted) {
      assert(await attempt(name), `${name} is free`);
      for (const other of [name, ...same]) assert(!await attempt(other), `${other} is taken as ${name}`);
    }
    for (
      const name of [
        "",
        " ",
        " a",
        "a ",
        "a\u00a0",
        "\u3000a",
        "a\nb",
        "a\u0000",
        "a\tb",
        "\u001b[31mred",
        "a\u200bb",
        "a\u202eb",
        "\ufeffa",
        "a\u2028b",
        "a  b",
        "a\u2800b",
        "\ufffc",
        "\u0301",
        "\u0378",
        "ann (1): hi",
        "\ud800",
        "漢".repeat(51),
        "x".repeat(60_000),
      ]
    ) assert(!await attempt(name), `${JSON.stringify(name)} is no name`);
  },

  "group names follow the rule of users' names": async (place) => {
    await using li = await place.newPerson("li");
    const names = [
      "Gruppe é",
      "gruppe e\u0301",
      "GRUPPE É",
      "Gruppe e",
      "",
      " Gruppe",
      "Gruppe\u0007",
      "漢".repeat(51),
    ];
    for (const groupname of names) {
      await li.client.send({ msgid: 8, id: li.id, groupname, groupdesc: "d".repeat(200) });
    }
    await li.client.send({ msgid: 8, id: li.id, groupname: "long", groupdesc: "d".repeat(201) });
    await li.client.fence();
    await li.client.send({ msgid: 3, id: li.id });
    const { groups = [] } = await logIn(li.client, li.id);
    assertEquals(groups.map((text) => JSON.parse(String(text)).groupname), ["Gruppe é", "Gruppe e"]);
  },

  "passwords are not what the database holds, and may be any Unicode": async (place) => {
    await using client = await place.connect();
    for (const password of ["p", "密码 \u{1f600} \u0000", "x".repeat(512), "'\"\\"]) {
      await client.send({ msgid: 4, name: place.newName("li"), password });
      const { id } = await client.receive();
      const [row] = await place.sql(`SELECT password FROM User WHERE id = ${id}`);
      assertStringIncludes(row?.[0] ?? "", "$scrypt$");
      await client.send({ msgid: 1, id, password: password + "x" });
      assertEquals((await client.receive()).errno, 1);
      await client.send({ msgid: 1, id, password });
      assertEquals((await client.receive()).errno, 0);
      await client.send({ msgid: 3, id });
    }
    for (const password of ["", "x".repeat(513)]) {
      await client.send({ msgid: 4, name: place.newName("li"), password });
      assertEquals((await client.receive()).errno, 1);
    }
  },
});
