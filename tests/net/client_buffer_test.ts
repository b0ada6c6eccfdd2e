/** Clients that read as the original's own does: one recv into a buffer, parsed up to the first NUL. */

import { assert, assertEquals } from "@std/assert";
import { fitFrame, fitLists, type LoginLists } from "../../lib/net/client_buffer.ts";
import {
  chat,
  ChatClient,
  type Frame,
  logIn,
  newPerson,
  PASSWORD,
  type Person,
  signUp,
  TIME,
} from "../support/chat_client.ts";
import { startServer } from "../support/services.ts";

const unit = { permissions: "none" } as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

const BUFFER_BYTES = 1_024;
const LIMIT = BUFFER_BYTES - 1;
const BASE = { msgid: 6, id: 1, name: "ann", toid: 2 };
const PLACE = { conversation: "u1-2", seq: 1, at: 1795435200123 };

/** The texts of the parts, put together again. */
function joined(parts: readonly Frame[]): string {
  return parts.map(({ msg = "" }, index) => {
    const number = `(${index + 1}/${parts.length}) `;
    assert(msg.startsWith(number), msg.slice(0, 20));
    return msg.slice(number.length);
  }).join("");
}

Deno.test("a frame that fits stays as it is, byte for byte", unit, () => {
  const frame = `{"msgid":6,"id":1, "name":"ann","toid":2,"msg":"hi","time":"${TIME}","mine":[1e3]}`;
  assertEquals(fitFrame(frame, LIMIT), [frame]);
  const padded = JSON.stringify({ ...BASE, msg: "", time: TIME, pad: "x" });
  const exact = padded.replace('"x"', `"${"x".repeat(LIMIT - padded.length + 1)}"`);
  assertEquals(fitFrame(exact, LIMIT), [exact]);
});

Deno.test("a longer text comes in numbered parts that fit and lose nothing", unit, () => {
  const texts = [
    "x".repeat(1_500),
    "漢字".repeat(750),
    "\u{1f600}".repeat(1_000),
    '"\\'.repeat(700),
    "\u0001\n\t".repeat(500),
    `${"a".repeat(899)}\u{1f600}${"é".repeat(600)}`,
    "x".repeat(60_000),
  ];
  for (const msgid of [6, 10]) {
    for (const maxBytes of [511, LIMIT]) {
      for (const msg of texts) {
        const whom = msgid === 6 ? { toid: 2 } : { groupid: 7 };
        const frame = { msgid, id: 1, name: "\u{1f600}".repeat(50), ...whom, msg, time: TIME, ...PLACE };
        const parts = fitFrame(JSON.stringify(frame), maxBytes);
        for (const part of parts) assert(encoder.encode(part).length <= maxBytes, part);
        const frames: Frame[] = parts.map((part) => JSON.parse(part));
        assertEquals(joined(frames), msg);
        for (const { msg: _, ...fields } of frames) {
          const { msg: _, ...expected } = frame;
          assertEquals<unknown>(fields, expected);
        }
      }
    }
  }
});

Deno.test("what such a client does not read goes first, however long it is", unit, () => {
  const long = {
    ...BASE,
    msg: "hi",
    time: `${TIME}${"!".repeat(2_000)}`,
    extra: "x".repeat(5_000),
    ...PLACE,
  };
  assertEquals(fitFrame(JSON.stringify(long), LIMIT).map((part) => JSON.parse(part)), [
    { ...BASE, msg: "hi", time: TIME, ...PLACE },
  ]);
});

Deno.test("a login reply tells of as many as fit, those who are online first", unit, () => {
  const person = (id: number) => ({
    id,
    name: `friend ${id}`,
    state: id % 5 === 0 ? "online" as const : "offline" as const,
  });
  const people = (count: number) => Array.from({ length: count }, (_, index) => person(index + 1));
  /** As the reply holds them. */
  const length = ({ friends, groups }: LoginLists) => {
    const texts = (items: unknown[]) => items.map((item) => JSON.stringify(item));
    const lists = {
      friends: texts(friends),
      groups: texts(groups.map((group) => ({ ...group, users: texts(group.users) }))),
    };
    return encoder.encode(`,${JSON.stringify(lists).slice(1, -1)}`).length;
  };
  const room = (friends: number, groups: number, members: number) =>
    fitLists(
      {
        friends: people(friends),
        groups: Array.from({ length: groups }, (_, index) => ({
          id: index + 1,
          groupname: `group ${index + 1}`,
          groupdesc: "",
          users: people(members).map((user) => ({ ...user, role: "normal" as const })),
        })),
      },
      LIMIT,
    );

  const all = room(3, 2, 2);
  assertEquals([all.friends.length, all.groups.length, all.groups[1]?.users.length], [3, 2, 2]);
  const many = room(500, 3, 500);
  assert(length(many) <= LIMIT && length(many) > LIMIT - 120, `${length(many)}`);
  assertEquals(many.groups.length, 3);
  assert(many.friends.length >= 6 && many.friends.every(({ state }) => state === "online"));
  assert(many.groups[0]?.users.every(({ state }) => state === "online"));
  // Whoever has no groups has all of the room for friends.
  assert(room(500, 0, 0).friends.length > 1.8 * many.friends.length);
  // And whoever is in very many does not see all of them.
  assert(room(0, 500, 500).groups.length >= 12);
});

/** Where the original's client ends: two frames in one recv, or a part of one. */
class Ended extends Error {
  override readonly name = "Ended";
}

/** Reads as the original's client does. */
class OriginalClient implements AsyncDisposable {
  readonly #client: ChatClient;

  private constructor(client: ChatClient) {
    this.#client = client;
  }

  static async connect(port: number): Promise<OriginalClient> {
    return new OriginalClient(await ChatClient.connect(port));
  }

  send(frame: object): Promise<void> {
    return this.#client.send(frame);
  }

  /** One recv, parsed up to the first NUL. */
  async receive(): Promise<Frame> {
    const bytes = await this.#client.readBytes(BUFFER_BYTES);
    if (bytes === null) throw new Error("The server closed the connection");
    if (bytes.indexOf(0) !== bytes.length - 1) throw new Ended(new TextDecoder().decode(bytes));
    return JSON.parse(decoder.decode(bytes.subarray(0, -1)));
  }

  async receiveMany(count: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count) frames.push(await this.receive());
    return frames;
  }

  /** Until all parts of a text are there. */
  async receiveParts(): Promise<Frame[]> {
    const first = await this.receive();
    const count = Number(/^\(1\/(\d+)\) /.exec(first.msg ?? "")?.[1]);
    return [first, ...await this.receiveMany(count - 1)];
  }

  async logIn(id: number): Promise<Frame> {
    await this.send({ msgid: 1, id, password: PASSWORD });
    const reply = await this.receive();
    assertEquals([reply.msgid, reply.errno, reply.id], [2, 0, id]);
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}

/** The server's pauses are short: where the machine lets this process wait for longer, two frames lie together all the same. */
async function survive(attempt: (number: number) => Promise<void>): Promise<void> {
  for (let number = 1;; number++) {
    try {
      return await attempt(number);
    } catch (error) {
      if (!(error instanceof Ended) || number === 10) throw error;
    }
  }
}

/** A user with friends and groups, who is away. */
async function newPopularUser(port: number, name: string, friends: readonly number[]): Promise<number> {
  await using client = await ChatClient.connect(port);
  const id = await signUp(client, name);
  await logIn(client, id);
  for (const friendid of friends) await client.send({ msgid: 7, id, friendid });
  for (let group = 1; group <= 5; group++) {
    await client.send({ msgid: 8, id, groupname: `${name} ${group}`, groupdesc: "a description of it" });
  }
  await client.send({ msgid: 3, id });
  await client.fence();
  return id;
}

async function say(from: Person, id: number, texts: readonly string[]): Promise<void> {
  const replies = await from.client.requestAll(texts.map((msg) => chat(from, id, msg)));
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
}

Deno.test("a client that reads one frame of 1024 bytes at a time misses nothing it is sent", async () => {
  await using server = await startServer(["--sqlite", ":memory:", "--v1-client-buffer", "1024"]);
  const { port } = server;
  await using ann = await newPerson(port, "ann", { v: 2 });
  const friends: number[] = [];
  await using stranger = await ChatClient.connect(port);
  for (let friend = 1; friend <= 24; friend++) {
    friends.push(await signUp(stranger, `friend number ${friend}`));
  }
  const short = Array.from({ length: 30 }, (_, index) => String(index + 1));
  const ascii = "x".repeat(1_500);
  const chinese = "漢".repeat(1_500);

  await survive(async (number) => {
    const id = await newPopularUser(port, `li ${number}`, [...friends, ann.id]);
    await say(ann, id, [...short, ascii, chinese]);
    await using li = await OriginalClient.connect(port);
    const reply = await li.logIn(id);
    const seen: Frame[] = (reply.friends ?? []).map((text) => JSON.parse(String(text)));
    assert(seen.length >= 8, `${seen.length} friends`);
    assertEquals(seen[0]?.name, "ann");
    assert((reply.groups ?? []).length >= 3);
    assertEquals(reply.offlineMsg, undefined);
    assertEquals<unknown>((await li.receiveMany(30)).map(({ msg }) => msg), short);
    assertEquals(joined(await li.receiveParts()), ascii);
    assertEquals(joined(await li.receiveParts()), chinese);

    // The same while it is there, and the sender hears when all parts are proved to have come.
    const live = li.receiveMany(30);
    const [frames] = await Promise.all([live, say(ann, id, [...short, chinese])]);
    assertEquals<unknown>(frames.map(({ msg }) => msg), short);
    assertEquals(joined(await li.receiveParts()), chinese);
    await li.send({ msgid: 6, id, name: `li ${number}`, toid: ann.id, msg: "all there", time: TIME });
    let receipt: Frame;
    do receipt = await ann.client.receiveReceipt(); while (
      receipt.id !== id || (receipt.delivered ?? 0) < 63
    );
  });

  // Others read as they always did.
  await using li = await ChatClient.connect(port, { ending: "\n" });
  const id = await newPopularUser(port, "li by lines", [...friends, ann.id]);
  await say(ann, id, [chinese]);
  const reply = await logIn(li, id);
  assertEquals([reply.friends?.length, reply.groups?.length, reply.offlineMsg?.length], [25, 5, 1]);
  await say(ann, id, [chinese]);
  assertEquals((await li.receive()).msg, chinese);
});
