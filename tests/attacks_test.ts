/**
 * Attacks on a node by clients that may connect to it: what others notice, and what it costs in memory, has a figure each.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { createConnection } from "node:net";
import { chat, ChatClient, newPerson, type Person } from "./chat_client.ts";
import { Innocents } from "./innocents.ts";
import { temporaryFolder } from "./process.ts";
import { type Server, startServer } from "./services.ts";

const encoder = new TextEncoder();
const MIB = 1_048_576;

/** A node on SQLite with two innocent users, against whom `attack` is tried. */
function attackTest(
  name: string,
  attack: (server: Server, innocents: Innocents) => Promise<void>,
  args: readonly string[] = [],
): void {
  Deno.test(name, async () => {
    await using folder = await temporaryFolder();
    const database = `${folder.path}/chat.db`;
    await using server = await startServer(["--sqlite", database, "--http", "127.0.0.1:0", ...args]);
    using innocents = await Innocents.start(server.port);
    await attack(server, innocents);
    assertEquals(await get(server, "/healthz"), "alive\n");
    const errors = server.stderr.split("\n").filter((line) => /^\S+ error /.test(line));
    assertEquals(errors, []);
  });
}

async function get(server: Server, path: string): Promise<string> {
  const { host, port } = server.address("http");
  const response = await fetch(`http://${host}:${port}${path}`, { signal: AbortSignal.timeout(2_000) });
  assertEquals(response.status, 200);
  return await response.text();
}

async function metric(server: Server, name: string): Promise<number> {
  const [, value] = (await get(server, "/metrics")).match(new RegExp(`^${name} (\\S+)$`, "m")) ?? [];
  assert(value !== undefined, `There is no metric ${name}`);
  return Number(value);
}

/** Resolves with the most resident memory, in MiB, that the node had while `work` went on, beyond what it had before. */
async function memoryDuring(server: Server, work: Promise<unknown>): Promise<number> {
  const before = await metric(server, "chat_resident_memory_bytes");
  let isOver = false;
  let most = before;
  const end = work.finally(() => isOver = true);
  while (!isOver) {
    most = Math.max(most, await metric(server, "chat_resident_memory_bytes"));
    await pause(50);
  }
  await end;
  return (most - before) / MIB;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends as much as the server takes within `ms`, and goes away. */
async function flood({ client }: Person, text: string, ms: number): Promise<void> {
  const sending = client.sendBytes(encoder.encode(text)).catch(() => {});
  await pause(ms);
  client.close();
  await sending;
}

async function attacker(server: Server): Promise<Person> {
  return await newPerson(server.port, `attacker ${crypto.randomUUID().slice(0, 8)}`, { v: 2 });
}

/** Somebody who has written long messages to itself. */
async function hoarder(server: Server, count: number, length: number): Promise<Person> {
  const person = await attacker(server);
  const notes = Array.from({ length: count }, () => chat(person, person.id, "x".repeat(length)));
  const replies = await person.client.requestAll(notes);
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
  await person.client.request({ msgid: 12, conversation: `u${person.id}-${person.id}`, seq: count });
  return person;
}

function history({ id }: Person, cid: number, fields: object = {}): string {
  return JSON.stringify({ msgid: 15, conversation: `u${id}-${id}`, cid: `${cid}`, ...fields });
}

function times(count: number, text: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => text(index)).join("");
}

attackTest("connections that are reset before they are accepted keep nobody out", async (server) => {
  // Standing still, the node accepts them all when each is dead already.
  server.signal("SIGSTOP");
  try {
    await Promise.all(Array.from({ length: 40 }, () => connectAndReset(server.port)));
  } finally {
    server.signal("SIGCONT");
  }
  const startedAt = performance.now();
  await using newcomer = await ChatClient.connect(server.port);
  await newcomer.fence();
  assertLess(performance.now() - startedAt, 2_000);
  assert(await metric(server, "chat_accept_failures_total") > 0);
});

function connectAndReset(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.on("error", reject).on("close", () => resolve());
    socket.on("connect", () => socket.resetAndDestroy());
  });
}

for (
  const { what, requests } of [
    { what: "HISTORY", requests: (person: Person) => times(400, (index) => history(person, index)) },
    {
      what: "READ_MSG",
      requests: ({ id }: Person) =>
        times(
          60_000,
          (index) => `{"msgid":13,"conversation":"u${id}-${id}","seq":1,"cid":"${index}${"y".repeat(50)}"}`,
        ),
    },
    {
      what: "HEARTBEAT",
      requests: () => times(100_000, (index) => `{"msgid":18,"cid":"${index}${"y".repeat(50)}"}`),
    },
    {
      what: "ADD_FRIEND",
      requests: ({ id }: Person) =>
        times(20_000, (index) => `{"msgid":7,"id":${id},"friendid":1,"cid":"${index}${"y".repeat(50)}"}`),
    },
  ]
) {
  attackTest(
    `who asks ${what} without end and does not read makes little wait`,
    async (server, innocents) => {
      const people = await Promise.all(Array.from({ length: 4 }, () => hoarder(server, 20, 60_000)));
      const grown = await innocents.during(() =>
        memoryDuring(server, Promise.all(people.map((person) => flood(person, requests(person), 2_000))))
      );
      console.log(`${what}: ${grown.toFixed(0)} MiB more`);
      assertLess(grown, 100);
    },
  );
}

attackTest("who reads slowly what it asks for quickly makes little wait", async (server, innocents) => {
  const people = await Promise.all(Array.from({ length: 4 }, () => hoarder(server, 20, 60_000)));
  const slowly = async (person: Person) => {
    const flooding = flood(person, times(400, (index) => history(person, index)), 3_000);
    for (let i = 0; i < 5; i++) {
      await person.client.readBytes(4_096);
      await pause(500);
    }
    await flooding;
  };
  const grown = await innocents.during(() => memoryDuring(server, Promise.all(people.map(slowly))));
  console.log(`${grown.toFixed(0)} MiB more`);
  assertLess(grown, 100);
});

for (
  const [what, junk] of [["empty objects", "{}"], ["unknown msgids", '{"msgid":999}'], ["no JSON", "{]}"]]
) {
  attackTest(
    `${what} by the hundred thousand delay nobody, and end their connection`,
    async (server, innocents) => {
      await using person = await attacker(server);
      const strangers = await Promise.all(Array.from({ length: 8 }, () => ChatClient.connect(server.port)));
      await innocents.during(async () => {
        await Promise.all([person.client, ...strangers].map(async (client) => {
          await client.sendBytes(encoder.encode((junk ?? "").repeat(100_000))).catch(() => {});
          const frames = await client.receiveRest();
          const notice = frames.find(({ msgid }) => msgid === 20);
          assert(notice === undefined || notice.code === "flood", JSON.stringify(notice));
          assertLess(frames.length, 1_000);
        }));
      });
      for (const client of strangers) client.close();
    },
  );
}

attackTest("a hundred thousand frames that are in order delay nobody either", async (server, innocents) => {
  await using person = await attacker(server);
  await innocents.during(async () => {
    const sending = person.client.sendBytes(encoder.encode('{"msgid":18}'.repeat(100_000)));
    let answers = 0;
    await person.client.receiveUntil(() => ++answers === 100_000);
    await sending;
  });
});
