/**
 * Attacks on a node by clients that may connect to it: what others notice, and what it costs in memory, has a figure each.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { createConnection } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { chat, ChatClient, type Frame, newPerson, PASSWORD, type Person } from "../support/chat_client.ts";
import { Innocents } from "./innocents.ts";
import { makeCertificate } from "../support/certificate.ts";
import { isOnPath, runOrThrow, temporaryFolder } from "../support/process.ts";
import { type Server, startServer } from "../support/services.ts";

const encoder = new TextEncoder();
const MIB = 1_048_576;

/** The innocents say more than one user may. */
const CHATTY = ["--message-rate", "0"];

/** A node on SQLite with two innocent users, against whom `attack` is tried. */
function attackTest(
  name: string,
  attack: (server: Server, innocents: Innocents) => Promise<void>,
  args: readonly string[] = [],
): void {
  Deno.test(name, async () => {
    await using folder = await temporaryFolder();
    const database = `${folder.path}/chat.db`;
    await using server = await startServer([
      "--sqlite",
      database,
      "--http",
      "127.0.0.1:0",
      ...CHATTY,
      ...args,
    ]);
    using innocents = await Innocents.start(server.port);
    await attack(server, innocents);
    assertEquals(await get(server, "/healthz"), "alive\n");
    const errors = server.stderr.split("\n").filter((line) => /^\S+ error /.test(line));
    assertEquals(errors, []);
  });
}

async function get(server: Server, path: string): Promise<string> {
  const { host, port } = server.address("http");
  const response = await fetch(`http://${host}:${port}${path}`, { signal: AbortSignal.timeout(10_000) });
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
  end.catch(() => {});
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

attackTest(
  "who reads history as fast as it can has a share of the node, and no more",
  async (server, innocents) => {
    const people = await Promise.all(Array.from({ length: 8 }, () => hoarder(server, 60, 50_000)));
    let isOver = false;
    let pages = 0;
    const read = async ({ client, id }: Person) => {
      for (; !isOver; pages++) await client.request({ msgid: 15, conversation: `u${id}-${id}` });
    };
    const startedAt = performance.now();
    await innocents.during(async () => {
      const reading = Promise.all(people.map(read));
      await pause(2_500);
      isOver = true;
      await reading;
    });
    // A page is 1 MiB: two seconds' worth at once, one on credit, and then as much as is earned.
    const seconds = (performance.now() - startedAt) / 1_000;
    assertLess(pages, people.length * (3 + seconds));
    assert(await metric(server, 'chat_limited_total\\{limit="history"\\}') > 0);
    for (const { client } of people) client.close();
  },
  ["--history-rate", "1M"],
);

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

/** Connections that say nothing; those that are closed from the other side meanwhile are, too. */
class Silent implements Disposable {
  readonly #conns: Deno.Conn[] = [];

  async open(port: number, count: number, first?: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      this.#conns.push(conn);
      if (first !== undefined) await conn.write(encoder.encode(first)).catch(() => {});
    }
  }

  [Symbol.dispose](): void {
    for (const conn of this.#conns) conn.close();
  }
}

/** Somebody who signs up, logs in and says something, without delay. */
async function checkNewcomer(server: Server): Promise<void> {
  const startedAt = performance.now();
  await using newcomer = await newPerson(server.port, `newcomer ${crypto.randomUUID().slice(0, 8)}`, {
    v: 2,
  });
  await newcomer.client.request(chat(newcomer, newcomer.id, "I am in"));
  assertLess(performance.now() - startedAt, 5_000);
}

attackTest("more silent connections than there is room for keep nobody out", async (server, innocents) => {
  using silent = new Silent();
  await innocents.during(async () => {
    await silent.open(server.port, 300);
    await pause(1_000);
  });
  await checkNewcomer(server);
  await silent.open(server.port, 100);
  await checkNewcomer(server);
  assert(await metric(server, "chat_connections_crowded_out_total") >= 300);
  assert(await metric(server, "chat_connections") <= 100);
}, ["--max-connections", "100"]);

Deno.test("silent TLS connections do not close the plain port", async () => {
  await using folder = await temporaryFolder();
  const { certificate, key } = await makeCertificate(folder.path);
  const tls = ["--tls-port", "0", "--tls-cert", certificate, "--tls-key", key];
  const args = ["--sqlite", ":memory:", "--http", "127.0.0.1:0", "--max-connections", "100"];
  await using server = await startServer([...CHATTY, ...args, ...tls]);
  using innocents = await Innocents.start(server.port);
  using silent = new Silent();
  await innocents.during(async () => {
    await silent.open(server.address("tls").port, 400);
    await pause(1_000);
  });
  await checkNewcomer(server);
  // The beginning of a handshake that does not go on.
  await silent.open(server.address("tls").port, 200, "\x16\x03\x01");
  await checkNewcomer(server);
});

Deno.test("connections of one address take only its share", async () => {
  const proxy = ["--proxy-protocol", "127.0.0.1", "--max-anonymous-per-address", "3"];
  await using server = await startServer(["--sqlite", ":memory:", "--http", "127.0.0.1:0", ...proxy]);
  const connect = async (address: string) => {
    const client = await ChatClient.connect(server.port);
    const family = address.includes(":") ? "TCP6" : "TCP4";
    await client.sendBytes(encoder.encode(`PROXY ${family} ${address} ${address} 1 2\r\n`));
    return client;
  };
  const seat = async (address: string) => {
    const client = await connect(address);
    await client.fence();
    return client;
  };
  await using neighbour = await seat("192.0.2.7");
  await using guest = await seat("2001:db8:0:1::7");
  const crowd: ChatClient[] = [];
  // The lower half of an IPv6 address is its owner's to choose.
  for (let i = 1; i <= 5; i++) crowd.push(await seat("192.0.2.9"), await seat(`2001:db8:0:2::${i}`));
  for (const client of crowd.slice(0, 4)) {
    assertEquals((await client.receiveRest()).map(({ code }) => code), ["auth_timeout"]);
  }
  for (const client of [neighbour, guest, ...crowd.slice(4)]) await client.fence();
  for (const client of crowd) client.close();
});

Deno.test({
  name:
    "a node that runs out of file descriptors lets in who wants in, and answers whoever asks for its health",
  // The number of descriptors is set from outside.
  ignore: !isOnPath("prlimit"),
  async fn() {
    await using server = await startServer(["--sqlite", ":memory:", "--http", "127.0.0.1:0", ...CHATTY]);
    using innocents = await Innocents.start(server.port);
    await runOrThrow("prlimit", ["--pid", String(server.pid), "--nofile=200:"]);
    using silent = new Silent();
    await innocents.during(async () => {
      await silent.open(server.port, 500);
      assertEquals(await get(server, "/healthz"), "alive\n");
      await pause(1_000);
    });
    await checkNewcomer(server);
    assertEquals(await get(server, "/healthz"), "alive\n");
    const limit = await metric(server, "chat_connections_limit");
    assert(limit < 200, `${limit}`);
    await server.logged("no more file descriptors");
  },
});

/** The reply to a request whose reply is many MiB: looked at once, at its end. */
async function longReply(client: ChatClient, request: object): Promise<Frame> {
  await client.send(request);
  const decoder = new TextDecoder();
  let text = "";
  while (!text.endsWith("\0")) {
    const bytes = await client.readBytes();
    assert(bytes);
    text += decoder.decode(bytes, { stream: true });
  }
  return JSON.parse(text.slice(0, -1));
}

Deno.test("a login of somebody in a hundred groups of a thousand keeps nobody waiting", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  const args = ["--sqlite", path, "--http", "127.0.0.1:0", ...CHATTY];
  await (await startServer(args)).stop();
  const db = new DatabaseSync(path);
  // Users can be made by hand; their passwords are hashed when they log in.
  db.exec(`
    BEGIN;
    CREATE TABLE n (n INTEGER PRIMARY KEY);
    WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 1000) INSERT INTO n SELECT n FROM up;
    INSERT INTO User (id, name, name_key, password) SELECT n, 'u' || n, CAST('u' || n AS BLOB), '${PASSWORD}' FROM n;
    INSERT INTO AllGroup (id, groupname, groupname_key) SELECT n, 'g' || n, CAST('g' || n AS BLOB) FROM n WHERE n <= 100;
    INSERT INTO Conversation (id, members) SELECT 'g' || n, 1000 FROM n WHERE n <= 100;
    INSERT INTO GroupUser (groupid, userid) SELECT g.n, u.n FROM n g JOIN n u WHERE g.n <= 100;
    INSERT INTO Member (userid, conversation) SELECT u.n, 'g' || g.n FROM n g JOIN n u WHERE g.n <= 100;
    DROP TABLE n;
    COMMIT`);
  db.close();
  await using server = await startServer(args);
  using innocents = await Innocents.start(server.port);
  const members = await Promise.all([1, 2, 3].map(() => ChatClient.connect(server.port)));
  const grown = await innocents.during(() =>
    memoryDuring(
      server,
      Promise.all(members.map(async (client, index) => {
        const version = index < 2 ? { v: 2 as const } : {};
        const { groups = [] } = await longReply(client, {
          msgid: 1,
          id: index + 1,
          password: PASSWORD,
          ...version,
        });
        const parsed = groups.map((group) => typeof group === "string" ? JSON.parse(group) : group);
        assertEquals(parsed.map(({ id }) => id), Array.from({ length: 100 }, (_, n) => n + 1));
        for (const { users } of parsed) {
          const ids = users.map((user: unknown) => (typeof user === "string" ? JSON.parse(user) : user).id);
          assertEquals(ids, Array.from({ length: 1_000 }, (_, n) => n + 1));
        }
        const [first] = parsed;
        const [me] = first.users.slice(index).map((user: unknown) =>
          typeof user === "string" ? JSON.parse(user) : user
        );
        assertEquals(me, { id: index + 1, name: `u${index + 1}`, state: "online", role: "normal" });
      })),
    )
  );
  // Three replies of 6 MB under way, and a heap that grows before it is collected: 204 were seen.
  assertLess(grown, 300);
  assertLess(await metric(server, "chat_event_loop_lag_seconds"), 0.5);
  for (const client of members) client.close();
});
