/**
 * Everything that a client should not send, against a running server. Behind each test the server still serves a newcomer
 * and two who were there before, and has logged no error: whatever a client does, it is not the server's failure.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import {
  chat,
  type ChatClient,
  type Frame,
  groupChat,
  logIn,
  PASSWORD,
  type Person,
  TIME,
} from "../support/chat_client.ts";
import { onEachDatabase, type PlaceTest } from "../support/databases.ts";
import { waitFor } from "../support/process.ts";
import { type Random, randomFrom, testSeed } from "../support/random.ts";

const encoder = new TextEncoder();
const { seed, isGiven } = testSeed();

/** A test with two people who were there before and do not notice anything of it. */
function amongOthers(test: PlaceTest): PlaceTest {
  return async (place) => {
    await using ann = await place.newPerson("ann");
    await using bob = await place.newPerson("bob", { v: 2 });
    await test(place);
    await ann.client.send(chat(ann, bob.id, "still here?"));
    assertEquals((await bob.client.receive()).msg, "still here?");
    await bob.client.send(chat(bob, ann.id, "yes"));
    assertEquals((await ann.client.receive()).msg, "yes");
    // Nothing of what a client sends may draw on an operator's terminal.
    assert(
      !/[^\n\x20-\x7e\u00a0-\u{10ffff}]/u.test(place.server.stderr),
      "There are control characters in the log",
    );
  };
}

function bytes(...parts: (string | number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => typeof part === "string" ? [...encoder.encode(part)] : part),
  );
}

/** Whole frames that are no JSON objects, or have no msgid that means anything. Each costs nobody anything. */
const MALFORMED: Uint8Array[] = [
  "{}",
  '{"msgid":}',
  '{"msgid":1,}',
  "{msgid:1}",
  "{'msgid':1}",
  "{{}}",
  '{"a"}',
  '{"a":1 "b":2}',
  '{"a":[1,}',
  '{"a":\u00a01}',
  '{"msgid":NaN}',
  '{"msgid":Infinity}',
  '{"msgid":01}',
  '{"msgid":+1}',
  '{"msgid":0x6}',
  '{"msgid":1e999}',
  '{"msgid":9007199254740993}',
  '{"msgid":-1}',
  '{"msgid":1e9}',
  '{"msgid":1.5}',
  '{"msgid":-0}',
  '{"msgid":"1"}',
  '{"msgid":null}',
  '{"msgid":true}',
  '{"msgid":[6]}',
  '{"msgid":{"msgid":6}}',
  '{"msgid":6,"msgid":null}',
  '{"__proto__":{"msgid":6,"id":1}}',
  '{"constructor":{"prototype":{"msgid":6}}}',
  '{"msgid":"__proto__"}',
  '{"msgid":"constructor"}',
  '{"msgid":6,"msg":"tab\there"}',
  '{"msgid":6,"msg":"\\x"}',
  '{"msgid":6,"msg":"\\u12"}',
  `{"msgid":${"9".repeat(60_000)}}`,
  `{"${"k".repeat(65_000)}":1}`,
  `{"a":${"[".repeat(60_000)}}`,
  `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
  '{"a":'.repeat(10_000) + "1" + "}".repeat(10_000),
  `{${'"a":1,'.repeat(9_000)}"msgid":null}`,
].map((text) => bytes(text)).concat([
  bytes('{"msgid":6,"msg":"', [0xff, 0xfe], '"}'),
  bytes('{"msgid":6,"msg":"', [0xc0, 0xaf], '"}'),
  bytes('{"msgid":6,"msg":"', [0xed, 0xa0, 0x80], '"}'),
  bytes('{"msgid":6,"msg":"', [0xf4, 0x90, 0x80, 0x80], '"}'),
  bytes('{"msgid":6,"msg":"', [0xe6, 0xbc], '"}'),
  bytes('{"ms', [0x80], 'gid":6}'),
  bytes('{"a":"oh\n'),
  bytes('{"a":{"b":[\0'),
]);

/** Streams that cannot be cut into frames. */
const UNFRAMEABLE: Uint8Array[] = [
  "GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
  "SSH-2.0-OpenSSH_9.2\r\n",
  "[]",
  "[{}]",
  "null",
  '"text"',
  "0",
  "}",
  ",{}",
  "\ufeff{}",
  "\u00a0{}",
  "\b{}",
  "hello\n",
  `{"msgid":4,"name":"${"x".repeat(70_000)}"}`,
  `{"a":"${"x".repeat(200_000)}`,
  `{"a":${"[".repeat(70_000)}`,
  '{"a":'.repeat(20_000),
].map((text) => bytes(text)).concat([
  bytes([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
  bytes([0xff]),
  bytes([0x01, 0x00, 0x00]),
]);

function shown(input: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(input.subarray(0, 60)));
}

/** Values that are no ids, or nobody's. */
const NO_IDS = [
  "0",
  "-1",
  "-0",
  "1.5",
  "4294967297",
  "9007199254740991",
  "9007199254740992",
  "1e308",
  '"1"',
  "null",
  "true",
]
  .concat(["[]", "[1]", "{}", '""', '"1 OR 1=1"', "999999999"]);

/** Texts that mean something to a database, a terminal or a parser. */
const SPECIAL_TEXTS = [
  "' OR '1'='1",
  "'; DROP TABLE User; --",
  '" OR ""="',
  "\\",
  "\\'",
  "%",
  "_",
  "`",
  "/*",
  "#",
  "?",
  "??",
  ":id",
  "$1",
  "${x}",
  "{}",
  "[object Object]",
  "__proto__",
  "constructor",
  "null",
  "NULL",
  "0x41",
  "1e1000",
  "\u0000",
  "a\u0000b",
  "\u001b[2J\u001b]0;owned\u0007",
  "\u009b31m",
  "\r\n[error] forged",
  "\u202egnp.exe",
  "\ud800",
  "\udc00\ud800",
  "\ufffe",
  "\u2028",
  "\u{1f4a9}",
  "a".repeat(50_000),
  "Z\u0351\u036b".repeat(5_000),
];

/** A frame that a client of this kind could send. */
function validFrame(random: Random, { id, name }: Person, target: Person): string {
  const conversation = random.pick([
    `u${Math.min(id, target.id)}-${Math.max(id, target.id)}`,
    "g1",
    "g2",
    `u${id}-${id}`,
  ]);
  const cid = `${random.below(1_000)}`;
  const frame = random.pick([
    chat({ id, name }, target.id, 'hello { \\ " } 漢 \u0000', { cid, extra: [1, { "}": null }] }),
    chat({ id, name }, target.id, "x".repeat(random.below(3_000)), { cid }),
    chat({ id, name }, id, "note"),
    groupChat({ id, name }, 1 + random.below(5), "all", { cid }),
    { msgid: 7, id, friendid: target.id, cid },
    { msgid: 8, id, groupname: `group ${random.below(50)}`, groupdesc: "about", cid },
    { msgid: 9, id, groupid: 1 + random.below(5), cid },
    { msgid: 12, conversation, seq: random.below(9), cid },
    { msgid: 13, conversation, seq: random.below(9) },
    { msgid: 15, conversation, after: random.below(9), limit: 1 + random.below(200), cid },
    { msgid: 17, conversation, seq: random.below(9), cid },
    { msgid: 18, cid },
    { msgid: 21, token: `${id}.${"A".repeat(43)}`, v: 2, cid },
  ]);
  return JSON.stringify(frame, null, random.chance(0.1) ? 2 : 0);
}

/** The frame as something on the way might leave it; now and then untouched. */
function mutilate(random: Random, text: string): Uint8Array {
  let mutilated = encoder.encode(text);
  const tokens = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\0",
    "\n",
    "null",
    "-",
    "1e999",
    "9".repeat(30),
    "\\ud800",
  ]
    .concat(['"id":', '"msgid":6,', '"__proto__":{},', "true", "\\u0000", '{"a":', "\ufeff"]);
  for (let i = random.below(4); i > 0; i--) {
    const at = random.below(mutilated.length);
    const end = at + random.below(20);
    const inserted = random.pick([
      encoder.encode(random.pick(tokens)),
      random.bytes(random.below(4)),
      mutilated.subarray(at, end),
      new Uint8Array(0),
    ]);
    const rest = random.pick([at, at + 1, end]);
    mutilated = Uint8Array.from([...mutilated.subarray(0, at), ...inserted, ...mutilated.subarray(rest)]);
  }
  return mutilated;
}

/** Sends a stream; false when the server has ended the connection for it, which it then has said. */
async function survives({ client }: Person, stream: Uint8Array): Promise<boolean> {
  const frames: Frame[] = [];
  try {
    await client.sendBytes(stream);
    // The NUL ends whatever is left open.
    await client.sendBytes(bytes('\0{"msgid":4,"name":"","password":""}\0'));
    do frames.push(await client.receive()); while (frames.at(-1)?.msgid !== 5);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.TimedOut) throw error;
    frames.push(...await client.receiveRest());
    assert(["bad_frame", "flood"].includes(frames.at(-1)?.code ?? ""), JSON.stringify(frames.at(-1)));
    return false;
  }
}

/** Where a text might do harm. */
const FIELDS: [msgid: number, field: string][] = [
  [6, "toid"],
  [7, "friendid"],
  [8, "groupname"],
  [9, "groupid"],
  [10, "groupid"],
  [12, "conversation"],
  [13, "conversation"],
  [15, "conversation"],
  [17, "conversation"],
];

onEachDatabase("hostile input", {
  "a frame that means nothing costs its connection nothing, in version 1 not even an answer": amongOthers(
    async (place) => {
      await using li = await place.newPerson("li");
      await using stranger = await place.connect();
      for (const { client } of [li, { client: stranger }]) {
        for (const input of MALFORMED) {
          await client.sendBytes(input);
          await client.sendBytes(bytes([0]));
        }
        await client.fence();
      }
    },
  ),

  "in version 2 each such frame has an answer that says so": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    for (const input of MALFORMED) {
      await li.client.sendBytes(input);
      await li.client.sendBytes(bytes([0]));
      const { errmsg, ...reply } = await li.client.receive();
      const unknown = /"msgid":(-1|1e9|-0|900719\d+)\}/.test(new TextDecoder().decode(input));
      assertEquals(reply, { msgid: 11, errno: unknown ? 5 : 4 }, shown(input));
      assertEquals(typeof errmsg, "string");
    }
    await li.client.fence();
  }),

  "a stream that cannot be cut into frames is closed with a notice, after what stood before it was done":
    amongOthers(
      async (place) => {
        for (const input of UNFRAMEABLE) {
          await using client = await place.connect();
          await client.sendBytes(bytes('{"msgid":4,"name":"","password":""}\0'));
          assertEquals((await client.receive()).errno, 1);
          await client.sendBytes(bytes('{"msgid":4,"name":"","password":""}\0', [...input]));
          const frames = await client.receiveRest();
          const what = frames.map(({ msgid, errno, code, reconnect }) =>
            code ?? `${msgid} ${errno} ${reconnect}`
          );
          assertEquals(what, ["5 1 undefined", "bad_frame"], shown(input));
          assertEquals(frames[1]?.msgid, 20);
        }
      },
    ),

  "in version 2 such a stream has an error of its own before the notice": amongOthers(async (place) => {
    for (const [input, errno] of [["hello", 4], ["}", 4], [`{"a":"${"x".repeat(70_000)}"}`, 9]] as const) {
      await using li = await place.newPerson("li", { v: 2 });
      await li.client.send(input);
      const [reply, notice, ...more] = await li.client.receiveRest();
      assertEquals([reply?.msgid, reply?.errno], [11, errno]);
      assertEquals([notice?.msgid, notice?.code, more.length], [20, "bad_frame", 0]);
      li.client.close();
      await place.offline(li.id);
      await using _again = await place.comeBack(li);
    }
  }),

  "a client that sends one byte at a time is understood": amongOthers(async (place) => {
    await using client = await place.connect();
    const frame = bytes(`{"msgid":4,"name":"${place.newName("漢")}","password":"\\u0022}{"}\0`);
    for (const byte of frame) await client.sendBytes(Uint8Array.of(byte));
    assertEquals((await client.receive()).errno, 0);
  }),

  "thousands of tiny frames in one piece are taken one by one": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu");
    await wu.client.sendBytes(bytes("{}".repeat(300), '{"msgid":3}'.repeat(100)));
    await wu.client.fence();
    const sent = li.client.sendBytes(bytes("{}".repeat(300), '{"msgid":18}\n'.repeat(10_000)));
    const replies = await li.client.receiveMany(10_300);
    await sent;
    assertEquals(replies.filter(({ msgid, errno }) => msgid === 11 && errno === 4).length, 300);
    assertEquals(replies.filter(({ msgid, errno }) => msgid === 19 && errno === 0).length, 10_000);
    await li.client.fence();
  }),

  "who has hundreds of frames refused is told so, and closed": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu");
    await using stranger = await place.connect({ ending: "" });
    for (const client of [li.client, wu.client, stranger]) {
      await client.sendBytes(bytes("{}".repeat(10_000)));
      const frames = await client.receiveRest();
      const notice = frames.pop();
      assertEquals([notice?.msgid, notice?.code, notice?.reconnect], [20, "flood", true]);
      assert(frames.length < 1_000 && frames.every(({ msgid, errno }) => msgid === 11 && errno === 4));
    }
  }),

  "ids that are none name nobody": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const { groupid } = await li.client.request({
      msgid: 8,
      id: li.id,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    const head = `"id":${li.id},"name":"${li.name}","msg":"x","time":"${TIME}","cid":"a"`;
    for (const id of NO_IDS) {
      for (
        const text of [
          `{"msgid":6,${head},"toid":${id}}`,
          `{"msgid":10,${head},"groupid":${id}}`,
          `{"msgid":7,${head},"friendid":${id}}`,
          `{"msgid":9,${head},"groupid":${id}}`,
          `{"msgid":6,${head},"toid":${li.id},"id":${id}}`,
          `{"msgid":10,${head},"groupid":${groupid},"id":${id}}`,
          `{"msgid":3,"cid":"a","id":${id}}`,
          ...[12, 13, 17].map((msgid) =>
            `{"msgid":${msgid},"cid":"a","conversation":"g${groupid}","seq":${id}}`
          ),
        ]
      ) {
        await li.client.send(text);
        const reply = await li.client.receive();
        const isZero = /"msgid":1[23],.*"seq":-?0\}/.test(text);
        assert(
          isZero ? reply.errno === 0 : [4, 6, 7].includes(reply.errno ?? 0),
          `${text}: ${JSON.stringify(reply)}`,
        );
      }
      for (const field of ["after", "before", "limit"]) {
        await li.client.send(`{"msgid":15,"cid":"a","conversation":"g${groupid}","${field}":${id}}`);
        const { msgid, messages, errno } = await li.client.receive();
        assert(msgid === 16 ? messages?.length === 0 : errno === 4, `${field} ${id}`);
      }
      await using stranger = await place.connect();
      await stranger.send(`{"msgid":1,"id":${id},"password":"${PASSWORD}","v":2}`);
      assert([1, 4].includes((await stranger.receive()).errno ?? 0), id);
    }
    await li.client.fence();
  }),

  "text that means something elsewhere is text": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu");
    for (const text of SPECIAL_TEXTS) {
      const what = JSON.stringify(text.slice(0, 30));
      const own = text.length < 100 ? { time: text, [text]: text.length } : {};
      const { errno } = await li.client.request(chat(li, wu.id, text, own));
      // Half of a surrogate pair is no text, and there are readers that end on it.
      assertEquals(errno, text.isWellFormed() ? 0 : 4, what);
      if (errno === 0) assertEquals((await wu.client.receive()).msg, text, what);
      for (const [msgid, field] of FIELDS) {
        const { errno = -1 } = await li.client.request({ msgid, id: li.id, seq: 1, [field]: text });
        assert(errno > 0, `${msgid} ${field} ${what}`);
      }
      const group = await li.client.request({
        msgid: 8,
        id: li.id,
        groupname: text,
        groupdesc: "",
        join: "open",
      });
      const described = await li.client.request({
        msgid: 8,
        id: li.id,
        groupname: place.newName("group"),
        groupdesc: text,
        join: "open",
      });
      assert([0, 1].includes(group.errno ?? -1) && [0, 1].includes(described.errno ?? -1), what);
      await using stranger = await place.connect();
      for (
        const frame of [{ msgid: 4, name: text, password: text.slice(0, 1_000) }, { msgid: 21, token: text }]
      ) {
        await stranger.send({ ...frame, v: 2 });
        assert([0, 1, 11].includes((await stranger.receive()).errno ?? -1), what);
      }
    }
    assertEquals(await place.sql(`SELECT name FROM User WHERE id = ${li.id}`), [[li.name]]);
  }),

  "a cid has 1 to 64 characters, and is compared as it stands": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    const good = [
      "a",
      "A",
      "a ",
      "á",
      "a\u0301",
      "\u0000",
      "' OR 1=1",
      "x".repeat(64),
      "漢".repeat(64),
      "\u{1f600}".repeat(32),
    ];
    for (const [index, cid] of good.entries()) {
      const reply = await li.client.request(chat(li, wu.id, `${index}`, { cid }));
      assertEquals([reply.errno, reply.seq], [0, index + 1], JSON.stringify(cid));
    }
    assertEquals(
      (await wu.client.receiveMany(good.length)).map(({ seq }) => seq),
      good.map((_, index) => index + 1),
    );
    for (const cid of ["", "x".repeat(65), "\ud800", 1, null, true, [], {}, ["a"]]) {
      await li.client.send(chat(li, wu.id, "no", { cid }));
      const { errmsg: _errmsg, ...reply } = await li.client.receive();
      assertEquals(reply, { msgid: 11, errno: 4 }, JSON.stringify(cid));
    }
    await wu.client.fence();
  }),

  "a chat frame as deep as it can be travels, also when its name has to be put right": amongOthers(
    async (place) => {
      await using li = await place.newPerson("li", { v: 2 });
      await using wu = await place.newPerson("wu", { v: 2 });
      for (const name of [li.name, "liar"]) {
        for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
          // The frame itself is the 64th.
          const depth = 63;
          const deep = open.repeat(depth) + "1" + close.repeat(depth);
          const head =
            `{"msgid":6,"id":${li.id},"name":"${name}","toid":${wu.id},"msg":"deep","time":"${TIME}","cid":"`;
          await li.client.send(`${head}${name}${open.length}","deep":${deep}}`);
          assertEquals((await li.client.receive()).errno, 0);
          assert((await wu.client.receiveText()).includes(`"deep":${deep}`));
        }
      }
      await li.client.request({ msgid: 15, conversation: `u${li.id}-${wu.id}` });
    },
  ),

  "a connection that breaks in the middle of a frame is forgotten": amongOthers(async (place) => {
    const frame = bytes('{"msgid":4,"name":"nobody","password":"x"}\0');
    for (let at = 0; at < frame.length; at += 3) {
      await using client = await place.connect();
      await client.sendBytes(frame.subarray(0, at));
      if (at % 2 === 0) await client.closeWrite();
    }
    await using li = await place.newPerson("li", { v: 2 });
    for (let i = 0; i < 20; i++) {
      await using client = await place.connect();
      await client.send({ msgid: 1, id: li.id, password: PASSWORD });
      await client.sendBytes(frame.subarray(0, 20));
      await client.reset();
    }
    await li.client.fence();
  }),

  "who sends and does not read is not asked on, and does no harm": amongOthers(async (place) => {
    await using li = await place.newPerson("li", { v: 2 });
    const flood = bytes(`{"msgid":18,"cid":"${"x".repeat(64)}"}`.repeat(1_000));
    let sent = 0;
    const flooding = (async () => {
      while (sent < 1_000 * flood.length) {
        await li.client.sendBytes(flood);
        sent += flood.length;
      }
    })().catch(() => {});
    // It ends by itself: the server reads no further, and what the client sends has no place to go.
    let seen = -1;
    await waitFor("the flood to stand still", async () => {
      if (sent === seen && sent > 0) return true;
      seen = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return false;
    });
    assertLess(sent, 1_000 * flood.length);
    await using other = await place.newPerson("other", { v: 2 });
    await other.client.request(chat(other, other.id, "fine"));
    li.client.close();
    await flooding;
    await place.offline(li.id);
  }),

  "wrong passwords without end make one connection wait, and nobody else": amongOthers(async (place) => {
    await using li = await place.newPerson("li");
    await using wu = await place.newPerson("wu", { v: 2 });
    const attack = Promise.all(Array.from({ length: 6 }, async () => {
      await using client = await place.connect();
      const replies: Frame[] = [];
      for (let i = 0; i < 7; i++) {
        await client.send({ msgid: 1, id: li.id, password: "guess", v: 2 });
        replies.push(await client.receive());
      }
      return replies;
    }));
    for (let i = 0; i < 20; i++) {
      await li.client.send(chat(li, wu.id, `${i}`));
      assertEquals((await wu.client.take(({ msgid }) => msgid === 6, 2_000)).msg, `${i}`);
    }
    for (const replies of await attack) {
      assertEquals(replies.map(({ errno }) => errno), [1, 1, 1, 1, 1, 8, 8]);
      const wait = replies.at(-1)?.retry_after_ms ?? 0;
      assert(wait > 0 && wait <= 10_000);
    }
    // The attack does not lock li out, nor end li's session.
    await li.client.send({ msgid: 3, id: li.id });
    await logIn(li.client, li.id);
  }),

  "for more connections than there is room for the silent ones make place, and who is logged in stays":
    async (
      place,
    ) => {
      await using there = await place.elsewhere(["--max-connections", "30"]);
      const people: Person[] = [];
      for (let i = 0; i < 25; i++) people.push(await there.newPerson("li"));
      const clients: ChatClient[] = [];
      for (let i = 0; i < 100; i++) {
        const client = await there.connect();
        await client.fence();
        clients.push(client);
      }
      for (const client of clients.slice(0, 95)) {
        assertEquals((await client.receiveRest()).map(({ code }) => code), ["auth_timeout"]);
      }
      // With nobody silent there one more is closed at once.
      for (let i = 0; i < 5; i++) people.push(await there.newPerson("wu"));
      for (let i = 0; i < 10; i++) {
        await using refused = await there.connect();
        assertEquals(await refused.receiveRest(), []);
      }
      for (const { client } of people) await client.fence();
      for (const client of clients) client.close();
      people.pop()?.client.close();
      // As soon as there is room, newcomers are served.
      await waitFor("a newcomer to be served", async () => {
        await using client = await there.connect();
        return await client.fence().then(() => true, () => false);
      });
      for (const { client } of people) client.close();
      await there.checkServer();
    },

  "a connection that says nothing, or never ends what it says, is closed in time": async (place) => {
    await using there = await place.elsewhere(["--auth-timeout", "500ms"]);
    await using li = await there.newPerson("li");
    await using silent = await there.connect();
    await using slow = await there.connect();
    const dripping = (async () => {
      for (const byte of bytes(`{"msgid":4,"name":"${"x".repeat(10_000)}`)) {
        await slow.sendBytes(Uint8Array.of(byte));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })().catch(() => {});
    for (const client of [silent, slow]) {
      const [notice, ...more] = await client.receiveRest();
      assertEquals([notice?.msgid, notice?.code, notice?.reconnect, more.length], [
        20,
        "auth_timeout",
        true,
        0,
      ]);
    }
    slow.close();
    await dripping;
    // Who is logged in may be silent as long as it likes; a logout starts the time anew.
    await li.client.fence();
    await li.client.send({ msgid: 3, id: li.id });
    await li.client.fence();
    assertEquals((await li.client.receiveRest()).map(({ code }) => code), ["auth_timeout"]);
    await there.checkServer();
  },

  "random bytes and mutilated frames break nothing": amongOthers(async (place) => {
    console.log(`CHAT_TEST_SEED=${seed}`);
    const random = randomFrom(seed);
    const rounds = isGiven ? 400 : 40;
    await using target = await place.newPerson("target");
    let person = await place.newPerson("fuzz");
    let sent: string[] = [];
    try {
      for (let round = 0; round < rounds; round++) {
        const stream: Uint8Array[] = [];
        sent = [];
        for (let i = 0; i < 30; i++) {
          const part = random.chance(0.02)
            ? random.bytes(random.below(200))
            : mutilate(random, validFrame(random, person, target));
          stream.push(part, bytes(random.pick(["\0", "\n", "", "\0\0", " "])));
          sent.push(shown(part));
        }
        if (await survives(person, Uint8Array.from(stream.flatMap((part) => [...part])))) continue;
        person.client.close();
        await place.offline(person.id);
        person = await place.comeBack(person, random.chance(0.7) ? { v: 2 } : {});
      }
    } catch (error) {
      throw new Error(`CHAT_TEST_SEED=${seed}, after ${sent.join("\n")}`, { cause: error });
    } finally {
      person.client.close();
    }
  }),
});
