/**
 * Nothing reaches a client that some reader of JSON, or of lines, would refuse: a client that ends on a message ends on it
 * again at every login.
 */

import { assertEquals } from "@std/assert";
import { chat, type ChatClient, comeBack, type Person, TIME } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { randomFrom, testSeed } from "../support/random.ts";
import { randomMessage, strictFault } from "../support/strict_json.ts";

const { seed, isGiven } = testSeed();
const encoder = new TextEncoder();

/** The text of a message with its members as they are given: each the text of a value. */
function messageText(from: Person, to: number, members: Readonly<Record<string, string>>): string {
  const own = { msgid: "6", id: `${from.id}`, name: JSON.stringify(from.name), toid: `${to}`, msg: '"hi"' };
  const all = { ...own, time: JSON.stringify(TIME), ...members };
  return `{${Object.entries(all).map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
}

/** Members of a message that a strict reader refuses. */
const POISON: Record<string, string>[] = [
  { msg: '"\\ud800"' },
  { msg: '"\\udc00\\ud83d"' },
  { time: '"\\uDFFF"' },
  { x: '{"\\ud800":1}' },
  { x: '["\\ud83d", "\\ude00"]' },
  { x: "1e400" },
  { x: "[-1E999]" },
  { x: "9".repeat(400) },
  { x: `{"y":${"9".repeat(309)}.5}` },
  { x: "[".repeat(64) + "]".repeat(64) },
  { x: '{"a":'.repeat(64) + "1" + "}".repeat(64) },
  { x: "[".repeat(20_000) + "]".repeat(20_000) },
];

/** Refuses what a strict reader would; gives the frame. */
function readStrictly(text: string, around = 0): string {
  assertEquals(strictFault(text, around), undefined, text.slice(0, 300));
  return text;
}

/** Makes `message` what is stored in place of the text `"hi"` that was said last. */
async function storeRaw(place: Place, message: string): Promise<void> {
  const hex = Array.from(encoder.encode(message), (byte) => byte.toString(16).padStart(2, "0")).join("");
  await place.sql(`UPDATE Message SET message = CAST(X'${hex}' AS CHAR) WHERE message LIKE '%"hi"%'`);
}

async function expectAnswers(client: ChatClient, cids: readonly string[]): Promise<void> {
  const answers = await client.receiveMany(cids.length);
  assertEquals(answers.map(({ msgid, cid, errno }) => cid ?? `${msgid} ${errno}`), cids);
}

onEachDatabase("poison", {
  async "a raw line break or NUL in a string costs no frame behind it"(place) {
    const behind = '{"msgid":18,"cid":"behind"}';
    const bad = ["a\nb", "a\r\nb", "a\0b", "a\n", "\n{", "\n{}", '\n"', "\n\n\n"].map((text) =>
      `{"msgid":18,"cid":"bad","x":"${text}"}`
    ).concat(['{"msgid":18,"c\nid":"bad"}', '{"msgid":18,"x":{"y":["a\nb"]}}', '{"msgid":18,\0"x":1}']);
    for (const ending of ["\n", "\r\n", "\0"]) {
      await using li = await place.newPerson("li", { v: 2 });
      for (const one of bad) {
        const stream = encoder.encode(`${one}${ending}${one}${ending}${behind}${ending}`);
        for (const size of [stream.length, 40]) {
          for (let at = 0; at < stream.length; at += size) {
            await li.client.sendBytes(stream.subarray(at, at + size));
          }
          const frames = await li.client.receiveUntil(({ cid }) => cid === "behind");
          const refused = frames.slice(0, -1).map(({ msgid, errno }) => `${msgid} ${errno}`);
          assertEquals(new Set(refused), new Set(["11 4"]), JSON.stringify(one));
        }
      }
    }
    await using ann = await place.newPerson("ann", { v: 2, ending: "" });
    await ann.client.send(`{"msgid":18,"cid":"bad","x":"a\nb"}${behind}`);
    await expectAnswers(ann.client, ["11 4", "behind"]);
  },

  async "what a strict reader refuses is refused, and goes to nobody"(place) {
    await using ann = await place.newPerson("ann", { v: 2 });
    await using old = await place.newPerson("old");
    await using bob = await place.newPerson("bob");
    for (const [index, members] of POISON.entries()) {
      await ann.client.send(messageText(ann, bob.id, { cid: `"${index}"`, ...members }));
      const { cid, errno } = await ann.client.receive();
      assertEquals([cid, errno], [`${index}`, 4], JSON.stringify(members).slice(0, 100));
      await old.client.send(messageText(old, bob.id, members));
    }
    await old.client.fence();
    await bob.client.fence();
    await ann.client.send(messageText(ann, bob.id, { x: "[".repeat(63) + "]".repeat(63) }));
    readStrictly(await bob.client.receiveText());
  },

  async "integers of the protocol go out in digits, and line breaks of every kind escaped"(place) {
    await using ann = await place.newPerson("ann");
    await using bob = await place.newPerson("bob", { v: 2 });
    const members = {
      msgid: "0.6e1",
      id: `${ann.id}e0`,
      toid: `${bob.id}.00000000000000000001`,
      msg: '"a\u2028b\u2029c\u0085d"',
      "\u2028": "1",
      x: "1E2",
      y: "-0",
    };
    await ann.client.send(messageText(ann, bob.id, members));
    const text = readStrictly(await bob.client.receiveText());
    assertEquals(
      text.includes(`"id":${ann.id},"name"`) && text.includes(`"toid":${bob.id},"msg"`),
      true,
      text,
    );
    assertEquals(text.includes('"x":1E2,"y":-0'), true, text);
    assertEquals(JSON.parse(text).msg, "a\u2028b\u2029c\u0085d");
    await bob.client.send('{"msgid":18,"cid":"\u2028"}');
    readStrictly(await bob.client.receiveText());
  },

  async "what an older version has stored is put right on its way out"(place) {
    await using ann = await place.newPerson("ann", { v: 2 });
    const texts = [
      messageText(ann, 9, { id: `${ann.id}e0`, toid: "9.0", msg: '"12.5"' }),
      ...POISON.slice(0, -1).map((members) => messageText(ann, 9, { ...members, x: members.x ?? "0" })),
    ];
    for (const text of texts) {
      const bob = await place.newPerson("bob");
      await bob[Symbol.asyncDispose]();
      await place.offline(bob.id);
      assertEquals((await ann.client.request({ ...chat(ann, bob.id, "hi") })).errno, 0);
      await storeRaw(place, text.replaceAll(/"toid":9\b/g, `"toid":${bob.id}`));
      const history = { msgid: 15, cid: "h", conversation: `u${ann.id}-${bob.id}` };
      await ann.client.send(history);
      readStrictly(await ann.client.receiveText(), 2);
      const login = { msgid: 1, id: bob.id, password: "correct horse" };
      await using one = await place.connect();
      await one.send(login);
      const { offlineMsg = [] } = JSON.parse(readStrictly(await one.receiveText()));
      assertEquals(offlineMsg.length, 1);
      readStrictly(offlineMsg[0]);
    }
    const li = await place.newPerson("li");
    await li[Symbol.asyncDispose]();
    await place.offline(li.id);
    await ann.client.request({ ...chat(ann, li.id, "hi") });
    await storeRaw(place, messageText(ann, li.id, { x: '["\\ud800",1e999]' }));
    await using back = await comeBack(place.server.port, li, { v: 2 });
    readStrictly(await back.client.receiveText());
  },

  async "whatever is said, what goes out is what every reader takes"(place) {
    console.log(`CHAT_TEST_SEED=${seed}`);
    const random = randomFrom(seed);
    await using ann = await place.newPerson("ann", { v: 2 });
    await using bob = await place.newPerson("bob");
    await using group = await place.newPerson("li", { v: 2 });
    const { groupid } = await group.client.request({
      msgid: 8,
      id: group.id,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    await ann.client.request({ msgid: 9, id: ann.id, groupid });
    let received = 0;
    for (let round = isGiven ? 3_000 : 200; round > 0; round--) {
      const isGroup = random.chance(0.3);
      const to = isGroup ? { msgid: "10", groupid: `${groupid}` } : { msgid: "6", toid: `${bob.id}` };
      const name = random.chance(0.8) ? ann.name : "somebody else";
      const rest = {
        id: `${ann.id}`,
        name: JSON.stringify(name),
        msg: '"m"',
        time: '"t"',
        cid: `"${round} r"`,
      };
      const message = randomMessage(random, { ...to, ...rest });
      // The last one counts for the server; whoever takes the first is not to be told another sender.
      const twice = random.pick([
        "",
        "",
        '"id":9,',
        '"\\u006eame":"somebody else",',
        '"msgid":10,',
        '"x":1,"x":2,',
      ]);
      await ann.client.send(message.replace("{", `{${twice}`));
      const { errno } = await ann.client.receive();
      if (errno === 0) {
        const text = readStrictly(await (isGroup ? group : bob).client.receiveText());
        const { msgid, id, name } = JSON.parse(text);
        assertEquals({ msgid: `${msgid}`, id, name }, { msgid: to.msgid, id: ann.id, name: ann.name });
        received++;
      } else assertEquals(errno, 4);
    }
    assertEquals(received > 0, true);
    await ann.client.send({ msgid: 15, cid: "h", conversation: `u${ann.id}-${bob.id}` });
    readStrictly(await ann.client.receiveText(), 2);
  },
});
