import { createSocket, type Socket } from "node:dgram";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { BeatDesk } from "../../lib/chat/beat_desk.ts";
import { createLogger } from "../../lib/base/logger.ts";
import { Session } from "../../lib/chat/session.ts";
import { bindUdp, UdpBeats } from "../../lib/net/udp_beats.ts";
import { fakeOutlet } from "../log/fake_outlet.ts";
import {
  chat,
  ChatClient,
  comeBack,
  newPerson,
  PASSWORD,
  type Person,
  signUp,
} from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { run, ServiceProcess, waitFor } from "../support/process.ts";
import { type Server, startServer } from "../support/services.ts";

const unit = { permissions: "none" } as const;
const encoder = new TextEncoder();
const KEY = `${"n".repeat(22)}.${"A".repeat(43)}`;
const ACK = '{"msgid":19,"errno":0}';

function beat(id: number, key: string): Uint8Array {
  return encoder.encode(JSON.stringify({ msgid: 18, id, udp_key: key }));
}

/** One of many keys that nobody was given. */
function keyNumber(number: number): string {
  return `${"n".repeat(22)}.${String(number).padStart(43, "x")}`;
}

/** What a login reply announces about heartbeats. */
function announced({ reply }: Person): Record<string, unknown> {
  return Object.fromEntries(Object.entries(reply.heartbeat ?? {}));
}

/** The datagram with which this person beats. */
function beatOf(person: Person): Uint8Array {
  return beat(person.id, String(announced(person).udp_key));
}

/** A session whose login was given this key. */
function sessionWith(key: string): Session {
  const session = new Session(1, fakeOutlet());
  session.udpKey = key;
  return session;
}

/** A desk whose database, sessions and clock are the test's. */
function fakeDesk(
  { isClustered = false, session = sessionWith(KEY) as Session | undefined } = {},
) {
  const world = { isGood: true, isAway: false, queries: 0, relayed: 0, now: 1_000, session };
  const desk = new BeatDesk({
    users: {
      account: (id) => {
        world.queries++;
        if (world.isAway) return Promise.reject(new Error("away"));
        return Promise.resolve({ id, name: "li", password: "hash", status: "active", revoked: 0, legacy: 1 });
      },
    },
    tokens: {
      recogniseBeat: (key) => Promise.resolve(world.isGood && key === KEY),
    },
    delivery: {
      sessionsOf: () => world.session ? [world.session] : [],
      nodesOf: () => world.session ? 1 : 0,
      relayBeat: () => {
        world.relayed++;
        return Promise.resolve(true);
      },
    },
    isClustered,
    believeMs: 3_000,
    relayEveryMs: 500,
    now: () => world.now,
  });
  return { desk, world };
}

Deno.test(
  "the database is asked about a key once in a while, and one that was revoked stops working",
  unit,
  async () => {
    const { desk, world } = fakeDesk();
    for (let i = 0; i < 10; i++) assert(await desk.take(beat(7, KEY)));
    assertEquals([world.queries, world.session?.beatAt], [1, 1_000]);
    world.isGood = false;
    world.now += 2_999;
    assert(await desk.take(beat(7, KEY)));
    world.now += 1;
    assertEquals(await desk.take(beat(7, KEY)), false);
    assertEquals(world.session?.beatAt, 3_999);
  },
);

Deno.test(
  "while the database is away a key that was good is believed, and an unknown one is not",
  unit,
  async () => {
    const { desk, world } = fakeDesk({ isClustered: true });
    assert(await desk.take(beat(7, KEY)));
    world.isAway = true;
    world.now += 10_000;
    assert(await desk.take(beat(7, KEY)));
    assertEquals(await desk.take(beat(7, keyNumber(1))), false);
  },
);

Deno.test(
  "a good key of an earlier login keeps the session alive neither here nor elsewhere",
  unit,
  async () => {
    for (const isClustered of [false, true]) {
      const { desk, world } = fakeDesk({ isClustered, session: sessionWith(keyNumber(2)) });
      assertEquals(await desk.take(beat(7, KEY)), false);
      assertEquals(await desk.take(beat(8, KEY)), false, "the key of another user");
      assertEquals(world.session?.beatAt, 0);
    }
  },
);

Deno.test("what is no beat costs no query, a resume token among it", unit, async () => {
  const { desk, world } = fakeDesk({ isClustered: true });
  const token = `7.${"A".repeat(43)}`;
  const nonsense = [
    "",
    "nonsense",
    "[]",
    "null",
    `{"msgid":18,"id":7,"udp_key":"${KEY}"`,
    `{"msgid":18,"id":"7","udp_key":"${KEY}"}`,
    `{"msgid":18,"id":0,"udp_key":"${KEY}"}`,
    `{"msgid":18,"id":7.5,"udp_key":"${KEY}"}`,
    `{"msgid":18,"udp_key":"${KEY}"}`,
    `{"msgid":1,"id":7,"udp_key":"${KEY}"}`,
    `{"msgid":18,"id":7,"udp_key":"short"}`,
    `{"msgid":18,"id":7,"udp_key":["${KEY}"]}`,
    `{"msgid":18,"id":7,"udp_key":"${KEY}","pad":"${"x".repeat(200)}"}`,
    `{"msgid":18,"id":7,"token":"${token}"}`,
    `{"msgid":18,"id":7,"udp_key":"${token}"}`,
  ];
  for (const text of nonsense) assertEquals(await desk.take(encoder.encode(text)), false, text);
  assertEquals(await desk.take(Uint8Array.of(...beat(7, KEY), 0xff)), false);
  assertEquals(world.queries, 0);
});

Deno.test("on a node that is alone a wrong key costs no query at all", unit, async () => {
  const { desk, world } = fakeDesk();
  for (let i = 0; i < 10; i++) assertEquals(await desk.take(beat(7, keyNumber(i))), false);
  world.session = undefined;
  assertEquals(await desk.take(beat(7, KEY)), false, "nobody it could be for");
  assertEquals(world.queries, 0);
});

Deno.test("wrong keys cost a bounded number of queries and keep out none that was good", unit, async () => {
  const { desk, world } = fakeDesk({ isClustered: true });
  assert(await desk.take(beat(7, KEY)));
  world.isGood = false;
  const flood = async () => {
    for (let i = 0; i < 2_000; i++) assertEquals(await desk.take(beat(7, keyNumber(i))), false);
  };
  await flood();
  assertLess(world.queries, 502);
  world.now += 1_000;
  await flood();
  assertLess(world.queries, 1_003);
  world.isGood = true;
  assert(await desk.take(beat(7, KEY)), "believed");
  world.now += 2_500;
  await flood();
  assert(await desk.take(beat(7, KEY)), "asked about again, flood or not");
});

Deno.test("a beat for somebody elsewhere is passed on, but not every one", unit, async () => {
  const { desk, world } = fakeDesk({ isClustered: true });
  world.session = undefined;
  for (let i = 0; i < 5; i++) assert(await desk.take(beat(7, KEY)));
  assertEquals(world.relayed, 1);
  world.now += 500;
  assert(await desk.take(beat(7, KEY)));
  assertEquals(world.relayed, 2);
});

/** A socket for datagrams. */
class Datagrams implements AsyncDisposable {
  readonly received: string[] = [];
  readonly #socket: Socket = createSocket("udp4");
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
    this.#socket.on("message", (bytes) => this.received.push(bytes.toString()));
    // A port that is closed for a moment answers with an error.
    this.#socket.on("error", () => {});
  }

  async send(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.send(bytes, this.#port, "127.0.0.1", () => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}

Deno.test("a flood of datagrams closes the port for a moment, and it opens again by itself", async () => {
  const lines: string[] = [];
  let taken = 0;
  const beats = new UdpBeats({
    host: "127.0.0.1",
    maxPerSecond: 100,
    take: () => Promise.resolve(++taken % 2 === 0),
    logger: createLogger({ level: "info", format: "text", write: (line) => lines.push(line) }),
  }, await bindUdp("127.0.0.1", 0));
  await using datagrams = new Datagrams(beats.port);
  const { counters } = beats;
  for (let i = 0; i < 200; i++) await datagrams.send(encoder.encode("flood"));
  await waitFor("the flood to be noticed", () => counters.dropped > 0);
  assertLess(taken, 60);
  assertEquals(counters.counted + counters.refused, taken);
  const before = counters.counted;
  await waitFor("a beat to count again", async () => {
    await datagrams.send(encoder.encode("beat"));
    return counters.counted > before;
  });
  await waitFor("an answer", () => datagrams.received.length > 0);
  assertEquals(new Set(datagrams.received), new Set([ACK]));
  assertEquals(lines.filter((line) => line.includes("flood on the heartbeat port")).length, 1);
  beats.close();
});

const QUICK = ["--heartbeat-interval", "200ms", "--heartbeat-misses", "3"];

function startQuick(...args: string[]): Promise<Server> {
  return startServer(["--sqlite", ":memory:", ...QUICK, ...args]);
}

/** Beats until `isOver`. */
async function beatUntil(send: () => Promise<void>, isOver: () => boolean): Promise<void> {
  let sentAt = -Infinity;
  await waitFor("the end of the beats", async () => {
    if (performance.now() - sentAt > 100) {
      sentAt = performance.now();
      await send();
    }
    return isOver();
  });
}

Deno.test("a silent version 2 client is told so and closed, a silent version 1 client never", async () => {
  await using server = await startQuick();
  const start = performance.now();
  await using silent = await newPerson(server.port, "silent", { v: 2 });
  await using old = await newPerson(server.port, "old");
  await using lively = await newPerson(server.port, "lively", { v: 2 });
  assertEquals(silent.reply.heartbeat, { interval_ms: 200, misses: 3 });

  let rest: unknown;
  const closed = silent.client.receiveRest().then((frames) => rest = frames);
  await beatUntil(() => lively.client.send({ msgid: 18 }), () => rest !== undefined);
  await closed;
  assertGreaterOrEqual(performance.now() - start, 600);
  assertEquals(rest, [{
    msgid: 20,
    code: "heartbeat_timeout",
    text: "Nothing has been heard of you.",
    reconnect: true,
  }]);
  assertEquals((await lively.client.request(chat(lively, old.id, "still there?"))).errno, 0);
  assertEquals((await old.client.receive()).msg, "still there?");
  await using back = await comeBack(server.port, silent, { v: 2 });
  assertEquals(back.reply.errno, 0);
});

/** The state of TCP's timer for a connection: 2 is keepalive, on a connection that has nothing to send. */
async function tcpTimer(port: number, remote: string): Promise<number | undefined> {
  const hex = (number: number) => number.toString(16).toUpperCase().padStart(4, "0");
  const remotePort = Number(remote.split(":")[1]);
  // Deno itself reads nothing in /proc without all permissions.
  const { stdout } = await run("cat", ["/proc/net/tcp"]);
  const row = stdout.split("\n").map((line) => line.trim().split(/\s+/)).find(([, local, peer]) =>
    local?.endsWith(`:${hex(port)}`) && peer?.endsWith(`:${hex(remotePort)}`)
  );
  return row && Number(row[5]?.split(":")[0]);
}

Deno.test({
  name: "TCP keepalive watches every connection (skipped where there is no /proc/net/tcp)",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using server = await startQuick();
    await using person = await newPerson(server.port, "old");
    await waitFor("the keepalive timer", async () => await tcpTimer(server.port, person.client.local) === 2);
  },
});

/** A client that logs in and beats, in a process of its own that can be stopped. */
async function startClientProcess(port: number, id: number): Promise<ServiceProcess> {
  const login = JSON.stringify({ msgid: 1, id, password: PASSWORD, v: 2 });
  const script = `
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: ${port} });
    const send = (text) => conn.write(new TextEncoder().encode(text + "\\0"));
    await send(${JSON.stringify(login)});
    setInterval(() => send('{"msgid":18}'), 50);
    const texts = conn.readable.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    console.log((await texts.next()).value);
    while (!(await texts.next()).done);
  `;
  const process = new ServiceProcess(Deno.execPath(), ["eval", script], { capture: true });
  const { stdout, stderr } = process;
  assert(stdout && stderr);
  await stderr.cancel();
  const reader = stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  assertStringIncludes(new TextDecoder().decode(value), '"errno":0');
  return process;
}

Deno.test("a client that is gone without a word is noticed, and its user can log in elsewhere", async () => {
  await using server = await startQuick();
  await using signer = await ChatClient.connect(server.port);
  const id = await signUp(signer, "frozen");
  await using process = await startClientProcess(server.port, id);
  const attempt = async () => {
    await using client = await ChatClient.connect(server.port);
    return (await client.request({ msgid: 1, id, password: PASSWORD, v: 2 })).errno;
  };
  assertEquals(await attempt(), 2);
  process.signal("SIGSTOP");
  const stoppedAt = performance.now();
  // First: refused attempts take their lines from the same budget.
  await server.logged("reason=heartbeat_timeout");
  await waitFor("the user to be let in again", async () => await attempt() === 0);
  assertLess(performance.now() - stoppedAt, 4_000);
});

Deno.test("datagrams keep a silent client, and are answered with less than they say", async () => {
  await using server = await startQuick("--udp", "0", "--http", "127.0.0.1:0");
  const { port } = server.address("udp");
  await using person = await newPerson(server.port, "quiet", { v: 2 });
  const { udp_key, ...rhythm } = announced(person);
  assertEquals(rhythm, { interval_ms: 200, misses: 3, udp_port: port });
  assertNotEquals(udp_key, undefined);
  const datagram = beatOf(person);
  assertGreaterOrEqual(datagram.length, ACK.length);

  await using datagrams = new Datagrams(port);
  let isClosed = false;
  const rest = person.client.receiveRest().then((frames) => {
    isClosed = true;
    return frames;
  });
  const start = performance.now();
  await beatUntil(() => datagrams.send(datagram), () => isClosed || performance.now() - start > 2_500);
  assert(!isClosed);
  assert(datagrams.received.length > 0);
  assertEquals(new Set(datagrams.received), new Set([ACK]));

  // Without them it is closed; nonsense in their place changes nothing and is not answered.
  const answers = datagrams.received.length;
  const forged = encoder.encode(JSON.stringify({ msgid: 18, id: person.id, token: person.reply.token }));
  await beatUntil(() => datagrams.send(forged), () => isClosed);
  assertEquals((await rest).map(({ code }) => code), ["heartbeat_timeout"]);
  // The last beat's answer may have been on its way.
  assertLessOrEqual(datagrams.received.length, answers + 1);
  assertEquals(server.stderr.split("\n").filter((line) => / (warn|error) /.test(line)), []);
});

Deno.test("datagrams work on any node, until their login is revoked", async () => {
  const behindBalancer = ["--udp", "0", "--udp-announce", "6001"];
  await using cluster = await startCluster(["A", "B"], [...QUICK, ...behindBalancer]);
  const [a, b] = [cluster.node("A"), cluster.node("B")];
  await using person = await newPerson(a.port, "quiet", { v: 2 });
  assertEquals(announced(person).udp_port, 6001);
  await using datagrams = new Datagrams(b.address("udp").port);
  const send = () => datagrams.send(beatOf(person));
  let isClosed = false;
  const rest = person.client.receiveRest().then((frames) => {
    isClosed = true;
    return frames;
  });
  const start = performance.now();
  await beatUntil(send, () => isClosed || performance.now() - start > 2_500);
  assert(!isClosed, JSON.stringify(a.stderr));
  assertEquals(new Set(datagrams.received), new Set([ACK]));
  await cluster.mariaDb.sql(`UPDATE User SET password = 'another' WHERE id = ${person.id}`);
  await beatUntil(send, () => isClosed);
  assertEquals((await rest).map(({ code }) => code), ["heartbeat_timeout"]);
});

Deno.test("a beat's key logs nobody in, and a new login has a new one: the one before keeps nothing alive", async () => {
  await using server = await startQuick("--udp", "0");
  const { port } = server.address("udp");
  await using person = await newPerson(server.port, "quiet", { v: 2 });
  const { token } = person.reply;
  const key = String(announced(person).udp_key);
  await using thief = await ChatClient.connect(server.port);
  for (const stolen of [key, `${person.id}.${key.split(".")[1]}`]) {
    assertEquals((await thief.request({ msgid: 21, v: 2, token: stolen })).errno, 11);
  }
  await using again = await ChatClient.connect(server.port);
  const resumed = await again.request({ msgid: 21, v: 2, token });
  assertEquals([resumed.errno, resumed.token], [0, token]);
  const later = announced({ ...person, reply: resumed });
  assertNotEquals(later.udp_key, key);

  await using datagrams = new Datagrams(port);
  let rest: unknown;
  const closed = again.receiveRest().then((frames) => rest = frames);
  await beatUntil(() => datagrams.send(beatOf(person)), () => rest !== undefined);
  await closed;
  assertEquals(datagrams.received, []);
});
