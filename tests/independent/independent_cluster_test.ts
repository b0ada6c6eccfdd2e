import { assertEquals, assertGreater } from "@std/assert";
import {
  type ClientEvent,
  type IndependentClient,
  loggedIn,
  PASSWORD,
  signUp,
  startClient,
} from "./independent_client.ts";
import { Relay } from "./independent_relay.ts";
import { addressOf, assertHas, listOf, numberOf, RawConnection } from "./independent_wire.ts";
import { freePort, waitFor } from "../support/process.ts";
import { type Server, startMariaDb, startRedis, startServer } from "../support/services.ts";

/** Calls `step` every 50 ms until it is disposed of. */
function every50Ms(step: () => void): Disposable {
  const timer = setInterval(step, 50);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** A generator of numbers from 0 up to 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function countOf(clients: readonly IndependentClient[], kind: ClientEvent["kind"]): number {
  return clients.reduce((count, client) => count + client.eventsOf(kind).length, 0);
}

/** What a sender knows to be stored in a conversation: seq and text of each message. */
function storedBy(
  client: IndependentClient,
  conversation: string,
  texts: ReadonlyMap<string, string>,
): string[] {
  return client.eventsOf("stored").filter((event) => event.conversation === conversation)
    .map(({ cid, seq }) => `${seq} ${texts.get(cid)}`);
}

/** All of a conversation as the server has it. */
async function readAll(client: IndependentClient, conversation: string): Promise<string[]> {
  const lines: string[] = [];
  for (let after = 0, more = true; more;) {
    const page = await client.request({ msgid: 15, conversation, after });
    assertHas(page, { msgid: 16, errno: 0 });
    const messages = listOf(page, "messages");
    lines.push(...messages.map((frame) => `${numberOf(frame, "seq")} ${frame.msg}`));
    after = numberOf(messages.at(-1) ?? {}, "seq");
    more = page.more === true;
  }
  return lines;
}

/** A network that fails: within a frame, between frames, for one connection or for all of a node's. */
class Disturbance {
  cuts = 0;

  constructor(readonly relays: readonly Relay[], readonly random: () => number) {
    for (const relay of relays) {
      relay.fromClient = relay.fromServer = (bytes, cut) => {
        if (random() > 0.01) return bytes;
        this.cuts++;
        cut();
        return bytes.subarray(0, Math.floor(random() * bytes.length));
      };
    }
  }

  /** Now and then cuts all connections to a node. */
  step(): void {
    for (const relay of this.relays) {
      if (this.random() > 0.02) continue;
      this.cuts++;
      relay.cutAll();
    }
  }

  end(): void {
    for (const relay of this.relays) relay.fromClient = relay.fromServer = (bytes) => bytes;
  }
}

/** Each of three users (1, 2, 3) writes to the next one or to group 1; returns what was written by cid. */
async function writeRounds(
  clients: readonly IndependentClient[],
  random: () => number,
  onRound: (round: number) => Promise<void>,
): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (let round = 1; round <= 300; round++) {
    for (const [index, client] of clients.entries()) {
      const text = `${index + 1} ${round}`;
      const next = (index + 1) % clients.length + 1;
      texts.set(random() < 0.4 ? client.sendToGroup(1, text) : client.send(next, text), text);
    }
    await onRound(round);
    await new Promise((resolve) => setTimeout(resolve, random() * 20)); // The pace of people who type fast.
  }
  return texts;
}

/** Holds when readers and server have in a conversation what its writers know to be stored, in one order. */
async function assertAgreed(
  conversation: string,
  readers: readonly IndependentClient[],
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  const stored = readers.flatMap((client) => storedBy(client, conversation, texts))
    .toSorted((one, other) => parseInt(one) - parseInt(other));
  for (const reader of readers) {
    await waitFor(`all of ${conversation}`, () => reader.shown(conversation).length >= stored.length);
    assertEquals(reader.shown(conversation).map(({ seq, text }) => `${seq} ${text}`), stored);
    // The last cut may still have to be noticed.
    const history = await waitFor("the history", () => readAll(reader, conversation).catch(() => null));
    assertEquals(history, stored);
  }
  for (const from of ["1", "2", "3"]) {
    const rounds = stored.map((line) => line.split(" ")).filter((parts) => parts[1] === from)
      .map((parts) => Number(parts[2]));
    assertEquals(
      rounds,
      rounds.toSorted((one, other) => one - other),
      `what ${from} wrote to ${conversation}`,
    );
  }
}

Deno.test("whatever is cut or killed, all see each message that is stored once and in order", async () => {
  const seed = Number(Deno.env.get("CHAT_TEST_SEED") ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`CHAT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  await using mariadb = await startMariaDb();
  await using redis = await startRedis();
  const cluster = ["--mysql", mariadb.url, "--redis", redis.url];
  const port = freePort();
  await using nodeA = await startServer(cluster, { port });
  await using nodeB = await startServer(cluster);
  await using relayA = new Relay(addressOf(nodeA));
  await using relayB = new Relay(addressOf(nodeB));
  for (const name of ["ann", "li", "kim"]) await signUp(addressOf(nodeA), name);
  const patience = { ackDelayMs: 200, patienceMs: 300, random };
  await using ann = startClient(1, [relayA.address, relayB.address], patience);
  await using li = startClient(2, [relayB.address, relayA.address], patience);
  await using kim = startClient(3, [relayA.address, relayB.address], patience);
  const clients = [ann, li, kim];
  await loggedIn(...clients);
  await ann.request({ msgid: 8, id: 1, groupname: "g", groupdesc: "d" });
  await li.request({ msgid: 9, id: 2, groupid: 1 });
  await kim.request({ msgid: 9, id: 3, groupid: 1 });

  // Each of them has one client: who is told that another has logged in comes back, as a user would by hand.
  let sentAway = 0;
  using _users = every50Ms(() => {
    const away = clients.filter(({ isStopped }) => isStopped);
    for (const client of away) client.start();
    sentAway += away.length;
  });
  const disturbance = new Disturbance([relayA, relayB], random);
  let restarting: Promise<Server> | null = null;
  const texts = await writeRounds(clients, random, async (round) => {
    disturbance.step();
    if (round !== 100) return;
    await nodeA.kill("SIGKILL");
    restarting = startServer(cluster, { port });
  });
  await using _again = await restarting;
  await waitFor("everything to have its reply", () => clients.every((client) => client.unsent === 0), 40_000);
  disturbance.end();

  assertEquals([countOf(clients, "stored"), countOf(clients, "refused")], [texts.size, 0]);
  await assertAgreed("u1-2", [ann, li], texts);
  await assertAgreed("u2-3", [li, kim], texts);
  await assertAgreed("u1-3", [ann, kim], texts);
  await assertAgreed("g1", clients, texts);
  assertEquals(countOf(clients, "late"), 0);
  assertGreater(disturbance.cuts, 5);
  console.log(
    `${texts.size} messages stored, ${countOf(clients, "shown")} shown; ${disturbance.cuts} cuts, ` +
      `${countOf(clients, "connected")} connections, ${countOf(clients, "repeated")} messages repeated, ` +
      `${countOf(clients, "duplicate")} duplicates dropped, ${countOf(clients, "hole")} holes asked for, ` +
      `${countOf(clients, "login_refused")} logins refused, ${sentAway} times replaced by nobody else`,
  );
});

Deno.test("attempts to resume that were given up do not replace a later one", async () => {
  await using mariadb = await startMariaDb();
  await using redis = await startRedis();
  const cluster = ["--mysql", mariadb.url, "--redis", redis.url];
  await using nodeA = await startServer(cluster);
  await using nodeB = await startServer(cluster);
  await using nodeC = await startServer(cluster);
  await signUp(addressOf(nodeA), "ann");
  await using ann = startClient(1, [addressOf(nodeA), addressOf(nodeC)]);
  await loggedIn(ann);
  nodeA.signal("SIGSTOP");
  // Node B waits for node A to let go of Ann. She does not: she gives up twice, and turns to node C.
  for (const cid of ["r1", "r2"]) {
    await using attempt = await RawConnection.open(addressOf(nodeB));
    attempt.send({ msgid: 21, v: 2, cid, token: ann.token });
    await signUp(addressOf(nodeB), `passer-by ${cid}`); // Node B has read what came before.
  }
  ann.cut();
  await waitFor("Ann to be back", () => ann.eventsOf("logged_in").length === 2);
  // Logins of one user take turns: when this one is refused, both attempts are through.
  await using other = await RawConnection.open(addressOf(nodeB));
  const login = { msgid: 1, v: 2, cid: "l1", id: 1, password: PASSWORD };
  assertHas(await other.ask(login), { msgid: 2, errno: 2 });
  assertEquals([ann.isStopped, ann.eventsOf("notice")], [false, []]);
});
