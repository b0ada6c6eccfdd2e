import { assertEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import { type IndependentClient, loggedIn, PASSWORD, signUp, startClient } from "./independent_client.ts";
import {
  addressOf,
  assertHas,
  type Frame,
  isFrame,
  listOf,
  RawConnection,
  type ServerAddress,
  textOf,
} from "./independent_wire.ts";
import { freePort, waitFor } from "../support/process.ts";
import { startServer } from "../support/services.ts";

/** What stands in an example for what it leaves out: members of an object, or a value. */
const ANY = "…";

/** A frame printed in PROTOCOL.md. */
interface Example {
  text: string;
  frame: Frame;
  isSent: boolean;
}

/** The text of the object that begins at `start`. */
function objectAt(text: string, start: number): string {
  let depth = 0;
  for (const { 0: part, index } of text.slice(start).matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    depth += part === "{" ? 1 : part === "}" ? -1 : 0;
    if (depth === 0) return text.slice(start, start + index + 1);
  }
  throw new Error(`An example does not end: ${text.slice(start, start + 80)}`);
}

/** An example as JSON: what is left out becomes a member or a value of its own. */
function parseExample(text: string): Frame {
  const parts = text.split(/("(?:[^"\\]|\\.)*")/s).map((part) => {
    if (part.startsWith('"')) return part;
    return part.replaceAll(/:\s*…/g, `:"${ANY}"`).replaceAll(/(?<!")…/g, `"${ANY}":true`);
  });
  const frame: unknown = JSON.parse(parts.join(""));
  if (!isFrame(frame)) throw new Error(`An example is no object: ${text}`);
  return frame;
}

/** All frames that are printed in a document, in their order. */
function readExamples(document: string): Example[] {
  const examples: Example[] = [];
  for (let start = document.indexOf('{"'); start >= 0; start = document.indexOf('{"', start)) {
    const text = objectAt(document, start);
    const before = document.slice(Math.max(0, start - 80), start).replaceAll(/\s+/g, " ");
    const signs = [...before.matchAll(/→|←|\bsends\b|\bgets\b|as one datagram|answered with/g)].map((
      [sign],
    ) => sign);
    const sign = signs.at(-1);
    if (sign === undefined) throw new Error(`Who sends it? ${before}${text}`);
    examples.push({
      text,
      frame: parseExample(text),
      isSent: ["→", "sends", "as one datagram"].includes(sign),
    });
    start += text.length;
  }
  return examples;
}

function parseFrame(text: string): Frame | null {
  try {
    const value: unknown = JSON.parse(text);
    return isFrame(value) ? value : null;
  } catch {
    return null; // An ordinary text.
  }
}

/** Members whose values say what a frame is: they are as printed. All others only have the type printed. */
const TELLING = ["msgid", "errno", "cid", "v", "recalled", "more"];

/** In what a frame differs in shape from the one printed; empty when it does not. */
function differences(example: unknown, actual: unknown, path = "frame"): string[] {
  if (example === ANY) return actual === undefined ? [`${path} is missing`] : [];
  if (Array.isArray(example)) return arrayDifferences(example, actual, path);
  if (isFrame(example)) {
    return isFrame(actual) ? objectDifferences(example, actual, path) : [`${path} is no object`];
  }
  if (typeof example !== typeof actual) return [`${path} is ${JSON.stringify(actual)}`];
  const nested = typeof example === "string" ? parseFrame(example) : null;
  return nested ? differences(nested, parseFrame(String(actual)), path) : [];
}

function objectDifferences(example: Frame, actual: Frame, path: string): string[] {
  const { [ANY]: others, ...members } = example;
  const surplus = Object.keys(actual).filter((key) => others === undefined && !(key in members));
  return [
    ...surplus.map((key) => `${path}.${key} is not in the example`),
    ...Object.entries(members).flatMap(([key, value]) => {
      const isOther = TELLING.includes(key) && value !== ANY && value !== actual[key];
      if (isOther) return [`${path}.${key} is ${JSON.stringify(actual[key])}`];
      return differences(value, actual[key], `${path}.${key}`);
    }),
  ];
}

/** Each item is like one of the example's, and each of these is there. */
function arrayDifferences(example: readonly unknown[], actual: unknown, path: string): string[] {
  if (!Array.isArray(actual)) return [`${path} is no array`];
  const likes = actual.map((item: unknown) => example.map((one) => differences(one, item).length === 0));
  const strange = actual.filter((_, index) => !likes[index]?.includes(true));
  const missing = example.filter((_, index) => !likes.some((like) => like[index]));
  return [
    ...strange.map((item) => `${path} has ${JSON.stringify(item)}, which is like nothing in the example`),
    ...missing.map((item) => `${path} has nothing like ${JSON.stringify(item)}`),
  ];
}

/** The document as a play: its frames are sent as they stand, and those that come are compared with it. */
class Play {
  readonly #examples: Example[];
  #next = 0;

  constructor(document: string) {
    this.#examples = readExamples(document);
  }

  get left(): string[] {
    return this.#examples.slice(this.#next).map(({ text }) => text);
  }

  #take(isSent: boolean): Example {
    const example = this.#examples[this.#next++];
    if (!example) throw new Error("The document is at its end");
    assertEquals(example.isSent, isSent, `the client sends ${example.text}`);
    return example;
  }

  /** The next example, completed with what it leaves out. */
  line(fill: Frame = {}): Frame {
    const { [ANY]: _, ...frame } = this.#take(true).frame;
    return { ...frame, ...fill };
  }

  /** Compares a frame with the next example. */
  meets(actual: Frame): Frame {
    const { frame, text } = this.#take(false);
    assertEquals(differences(frame, actual), [], `printed: ${text}, received: ${JSON.stringify(actual)}`);
    return actual;
  }

  /** Compares the next frame of the kind with the next example. */
  async hears(connection: RawConnection, isIt: (frame: Frame) => boolean = () => true): Promise<Frame> {
    const { msgid } = this.#examples[this.#next]?.frame ?? {};
    return this.meets(await connection.next(`a ${msgid}`, (frame) => frame.msgid === msgid && isIt(frame)));
  }
}

/** Sends a datagram and resolves with the one that answers it; repeats it, for datagrams get lost. */
async function exchangeDatagrams(port: number, text: string): Promise<Frame> {
  const socket = createSocket("udp4");
  let answer: Frame | null = null;
  socket.on("message", (bytes) => answer = parseFrame(new TextDecoder().decode(bytes)));
  const sending = setInterval(() => socket.send(text, port, "127.0.0.1"), 50);
  try {
    return await waitFor("an answer to a datagram", () => answer);
  } finally {
    clearInterval(sending);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
}

const TIME = "2026-11-23 12:00:00";

async function stored(client: IndependentClient): Promise<void> {
  await waitFor("all to be stored", () => client.unsent === 0);
}

async function shows(client: IndependentClient, conversation: string, count: number): Promise<void> {
  await waitFor(`${count} of ${conversation}`, () => client.shown(conversation).length >= count);
}

/** Ann makes a group; Li joins it, adds Ann, and leaves; Ann writes to her without a cid, like version 1. */
async function makeFriends(address: ServerAddress): Promise<void> {
  await using ann = await RawConnection.open(address);
  await ann.ask({ msgid: 1, v: 2, cid: "p1", id: 1, password: PASSWORD });
  assertHas(await ann.ask({ msgid: 8, cid: "p2", id: 1, groupname: "g", groupdesc: "d" }), { groupid: 1 });
  await using li = startClient(2, [address]);
  await loggedIn(li);
  await li.request({ msgid: 7, id: 2, friendid: 1 });
  await li.request({ msgid: 9, id: 2, groupid: 1 });
  await li.logOut();
  ann.send({ msgid: 6, id: 1, name: "ann", toid: 2, msg: "hi", time: TIME });
  assertHas(await ann.ask({ msgid: 3, cid: "p3", id: 1 }), { errno: 0 });
}

async function playVersion1(play: Play, old: RawConnection, ann: IndependentClient): Promise<void> {
  old.send(play.line());
  await play.hears(old);
  old.send(play.line());
  await shows(ann, "u1-2", 1);
  assertEquals(ann.shown("u1-2").at(-1)?.text, "hello");
  old.send(play.line());
  await old.closeSending();
  await old.ended();
  assertEquals(old.frames, []);
}

/** Up to where the examples of version 2 begin: the fifth message is recalled, which is the sixth entry; another awaits Li. */
async function writeSeven(address: ServerAddress, ann: IndependentClient): Promise<void> {
  for (const text of ["3", "4", "5"]) ann.send(2, text);
  ann.sendToGroup(1, "to all");
  await stored(ann);
  assertHas(await ann.recall("u1-2", 5), { errno: 0 });
  await using li = startClient(2, [address]);
  await shows(li, "u1-2", 2);
  await shows(li, "g1", 1);
  assertHas(await li.request({ msgid: 13, conversation: "u1-2", seq: 5 }), { errno: 0 });
  await li.logOut();
  ann.send(2, "7");
  await stored(ann);
  assertHas(await ann.request({ msgid: 13, conversation: "u1-2", seq: 6 }), { errno: 0 });
}

/** Li's login; returns her token. */
async function playLogin(play: Play, address: ServerAddress): Promise<string> {
  await using li = await RawConnection.open(address);
  li.send(play.line());
  const login = await play.hears(li);
  const state = listOf(login, "conversations").find(({ conversation }) => conversation === "u1-2");
  assertHas(state, { last_seq: 7, delivered: 6, read: 6 });
  assertHas(await play.hears(li), { seq: 7 });
  // What a login says of the other one may be a second old; a receipt follows.
  const { peer } = state ?? {};
  if (!isFrame(peer) || peer.read !== 7) {
    await li.next("a receipt", ({ msgid, delivered, read }) => msgid === 14 && delivered === 7 && read === 7);
  }
  return textOf(login, "token");
}

/** From the resume to the heartbeats; returns the key for datagrams. */
async function playVersion2(
  play: Play,
  li: RawConnection,
  ann: IndependentClient,
  token: string,
): Promise<string> {
  li.send(play.line({ token }));
  const { heartbeat, ...resumed } = await play.hears(li);
  assertHas(resumed, { token });

  li.send(play.line());
  assertHas(await play.hears(li), { seq: 8 });
  await shows(ann, "u1-2", 6);
  li.send(play.line());
  ann.read("u1-2", 8);
  await play.hears(li, ({ read }) => read === 8);

  li.send(play.line());
  await play.hears(li);
  li.send(play.line());
  await play.hears(li);
  await waitFor("Ann to hear of the recall", () => ann.eventsOf("recalled").length > 0);
  play.meets(ann.eventsOf("received").map(({ frame }) => frame).findLast(({ msgid }) => msgid === 17) ?? {});

  li.send(play.line());
  await play.hears(li);
  return isFrame(heartbeat) ? textOf(heartbeat, "udp_key") : "";
}

/** Li logs in on a device of version 3 beside her connection of version 2, comes back, and revokes it. */
async function playDevices(play: Play, address: ServerAddress): Promise<void> {
  let token: string;
  {
    await using li = await RawConnection.open(address);
    li.send(play.line());
    token = textOf(await play.hears(li), "token");
  }
  await using li = await RawConnection.open(address);
  li.send(play.line({ token }));
  await play.hears(li);
  for (const cid of ["d3", "d4", "d5"]) {
    li.send(play.line());
    await play.hears(li, (frame) => frame.cid === cid);
  }
}

/** A newcomer joins the group, and Ann, who speaks version 3, hears of it, and does whatever version 3 has. */
async function playEntries(play: Play, address: ServerAddress): Promise<void> {
  await using ann = await RawConnection.open(address);
  await ann.ask({ msgid: 1, v: 3, cid: "e1", id: 1, password: PASSWORD });
  const id = await signUp(address, "wu");
  await using wu = await RawConnection.open(address);
  await wu.ask({ msgid: 1, v: 3, cid: "e2", id, password: PASSWORD });
  assertHas(await wu.ask({ msgid: 9, cid: "e3", groupid: 1 }), { errno: 0 });
  await play.hears(ann, (frame) => frame.id === id);
  const anna = await signUp(address, "Anna");
  const askAll = async (count: number, change: (frame: number) => Frame = () => ({})) => {
    for (let frame = 0; frame < count; frame++) {
      const line = play.line(change(frame));
      ann.send(line);
      await play.hears(ann, ({ cid }) => cid === line.cid);
      if (line.cid === "b1" || line.cid === "m2") {
        await play.hears(wu, ({ msgid }) => msgid === (line.cid === "b1" ? 23 : 25));
      }
    }
  };
  await askAll(8);
  await playLink(play, address, ann, anna);
  await askAll(4, (frame) => frame === 2 ? { id: anna } : {});
  ann.send(play.line());
  await play.hears(ann, ({ cid }) => cid === "p5");
  await play.hears(wu);
  await using tablet = await RawConnection.open(address);
  await tablet.ask({ msgid: 1, v: 3, cid: "e4", id: 1, password: PASSWORD });
  wu.send(play.line({ password: { old: PASSWORD, new: "battery staple" } }));
  await play.hears(wu, ({ cid }) => cid === "p6");
  wu.send(play.line());
  await play.hears(wu, ({ cid }) => cid === "p7");
  {
    const gone = await signUp(address, "gone");
    await using leaver = await RawConnection.open(address);
    await leaver.ask({ msgid: 1, v: 3, cid: "e7", id: gone, password: PASSWORD });
    leaver.send(play.line({ password: PASSWORD }));
    await play.hears(leaver, ({ cid }) => cid === "p8");
  }
  for (const [cid, other] of [["t1", tablet], ["t2", wu]] as const) {
    ann.send(play.line());
    await play.hears(ann, (frame) => frame.cid === cid);
    await play.hears(other);
  }
  assertHas(await ann.ask({ msgid: 7, cid: "e5", friendid: id }), { errno: 0 });
  assertHas(await wu.ask({ msgid: 3, cid: "e6" }), { errno: 0 });
  await play.hears(ann, (frame) => frame.id === id);
  await using asking = await RawConnection.open(address);
  asking.send(play.line({ cid: "q" }));
  assertHas(await asking.next("the refusal", ({ cid }) => cid === "q"), { errno: 11 });
}

/** Ann makes a link, by which Anna joins the group. */
async function playLink(play: Play, address: ServerAddress, ann: RawConnection, id: number): Promise<void> {
  ann.send(play.line());
  const { link } = await play.hears(ann, ({ cid }) => cid === "m3");
  await using anna = await RawConnection.open(address);
  await anna.ask({ msgid: 1, v: 3, cid: "e4", id, password: PASSWORD });
  anna.send(play.line({ link }));
  await play.hears(anna, ({ cid }) => cid === "m4");
}

/** The frames of the story of loss and recovery; that things go as it tells is another test's. */
async function playRecovery(
  play: Play,
  address: ServerAddress,
  li: RawConnection,
  token: string,
): Promise<void> {
  const message = { id: 1, name: "ann", toid: 2, msg: "hello", time: TIME };
  let annToken = "";
  {
    await using ann = await RawConnection.open(address);
    annToken = textOf(await ann.ask({ msgid: 1, v: 2, cid: "p4", id: 1, password: PASSWORD }), "token");
    ann.send(play.line(message));
    await ann.next("the reply that the story loses", ({ msgid }) => msgid === 11);
  }
  await using ann = await RawConnection.open(address);
  ann.send(play.line({ token: annToken }));
  await play.hears(ann);
  ann.send(play.line(message));
  assertHas(await play.hears(ann), { seq: 10 });
  assertHas(await play.hears(li, ({ cid }) => cid === "x1"), { seq: 10 });
  await using again = await RawConnection.open(address);
  await again.ask({ msgid: 21, v: 2, cid: "p5", token });
  assertHas(await play.hears(again, ({ cid }) => cid === "x1"), { seq: 10 });
  again.send(play.line());
  assertHas(await again.next("the answer", ({ cid }) => cid === "h1"), { msgid: 16, errno: 0, more: false });
}

Deno.test("every frame printed in PROTOCOL.md is one that a server takes or sends", async () => {
  const play = new Play(await Deno.readTextFile(new URL("../../PROTOCOL.md", import.meta.url)));
  const udpPort = freePort();
  await using server = await startServer(["--sqlite", ":memory:", "--udp", String(udpPort)]);
  const address = addressOf(server);
  await signUp(address, "ann");
  await using old = await RawConnection.open(address, "\0");
  old.send(play.line());
  assertHas(await play.hears(old), { id: 2 });
  await makeFriends(address);
  await using ann = startClient(1, [address]);
  await loggedIn(ann);
  await playVersion1(play, old, ann);
  await writeSeven(address, ann);
  const token = await playLogin(play, address);
  await using li = await RawConnection.open(address);
  const udp_key = await playVersion2(play, li, ann, token);
  play.meets(await exchangeDatagrams(udpPort, JSON.stringify(play.line({ udp_key }))));
  await playDevices(play, address);
  await ann.logOut();
  await playEntries(play, address);
  await playRecovery(play, address, li, token);
  assertEquals(play.left, []);
});
