/** What need not be hashed again, who knows of it, and that guessing is no faster by it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { anotherTurn } from "../../lib/base/turn.ts";
import { type Asker, FairQueue } from "../../lib/base/fair_queue.ts";
import { Guesses } from "../../lib/chat/guesses.ts";
import { LimitBook, LimitCounters } from "../../lib/chat/limit_book.ts";
import { tryPassword } from "../../lib/chat/login_handlers.ts";
import { RecentPasswords } from "../../lib/chat/recent_passwords.ts";
import { Refusal } from "../../lib/chat/request.ts";
import { MemoryTallies } from "../../lib/cluster/tallies.ts";
import { decodeEnvelope, encodeEnvelope } from "../../lib/cluster/envelope.ts";
import { ChatClient, PASSWORD, signUp } from "../support/chat_client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { readMetrics } from "../support/metrics.ts";
import { temporaryFolder } from "../support/process.ts";
import { type Server, startServer } from "../support/services.ts";

const unit = { permissions: "none" } as const;
const DAY_MS = 86_400_000;
const HASH = "$scrypt$ln=14,r=8,p=1,f=nfc$salt$hash";

/** Nodes that hear each other, a clock for all of them, and all that has ever been published. */
class Nodes {
  readonly clock = new FakeClock();
  readonly traffic: string[] = [];
  readonly #nodes = new Set<RecentPasswords>();

  /** Starts a node; nobody knows of it before the next {@link pass}. */
  start(): RecentPasswords {
    const publishNews = (_: unknown, envelope: Parameters<typeof encodeEnvelope>[0]) => {
      const text = encodeEnvelope(envelope);
      this.traffic.push(text);
      for (const other of this.#nodes) if (other !== node) hear(other, text);
      return Promise.resolve(true);
    };
    const node = new RecentPasswords({ delivery: { publishNews }, now: () => this.clock.now() });
    this.#nodes.add(node);
    return node;
  }

  kill(node: RecentPasswords): void {
    this.#nodes.delete(node);
  }

  /** Lets time pass in steps of a second or more. */
  pass(ms: number, stepMs = 1_000): void {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs));
      for (const node of this.#nodes) node.tick();
    }
  }
}

function hear(node: RecentPasswords, text: string): void {
  const envelope = decodeEnvelope(text);
  assert(envelope);
  node.onMessage(envelope);
}

/** Whether a node knows that a password is right; nothing is left held. */
function knows(node: RecentPasswords, password = "secret", { userId = 7, stored = HASH } = {}): boolean {
  using recognition = node.recognise({ userId, person: undefined, stored, password });
  return recognition.isRight;
}

Deno.test(
  "a password that was right is known on every node for a day, for this user and this hash only",
  unit,
  () => {
    const nodes = new Nodes();
    const [a, b, c] = [nodes.start(), nodes.start(), nodes.start()];
    nodes.pass(3_000);
    assertEquals([a, b, c].map((node) => knows(node)), [false, false, false]);
    a.note(7, HASH, "Zo\u00eb");
    for (const node of [a, b, c]) {
      assertEquals(knows(node, "Zoe\u0308"), true, "however it is typed");
      assertEquals(knows(node, "Zoe"), false);
      assertEquals(knows(node, "Zo\u00eb", { stored: `${HASH}x` }), false, "another hash");
      assertEquals(knows(node, "Zo\u00eb", { userId: 8 }), false, "another user");
    }
    assertEquals([a, b, c].map(({ spared }) => spared), [1, 1, 1]);
    nodes.kill(a);
    nodes.pass(DAY_MS - 60_000, 9_000);
    assertEquals([knows(b, "Zo\u00eb"), knows(c, "Zo\u00eb")], [true, true], "a day less a minute");
    nodes.pass(60_000);
    assertEquals([knows(b, "Zo\u00eb"), knows(c, "Zo\u00eb")], [false, false], "a day");
  },
);

Deno.test(
  "a node that starts hears of a password when it is used again, and counts the day from its hash",
  unit,
  () => {
    const nodes = new Nodes();
    const [a, b] = [nodes.start(), nodes.start()];
    nodes.pass(3_000);
    a.note(7, HASH, "secret");
    nodes.kill(a);
    nodes.pass(DAY_MS / 2, 9_000);
    const late = nodes.start();
    nodes.pass(3_000);
    assertEquals(knows(late), false);
    const before = nodes.traffic.length;
    assertEquals([knows(b), knows(b)], [true, true]);
    assertEquals(nodes.traffic.length, before + 1, "it is told once");
    nodes.kill(b);
    assertEquals(knows(late), true);
    nodes.pass(DAY_MS / 2, 9_000);
    assertEquals(knows(late), false);
  },
);

Deno.test("a node alone tells nobody, and one that is silent is not told any more", unit, () => {
  const nodes = new Nodes();
  const [a, b] = [nodes.start(), nodes.start()];
  a.note(7, HASH, "secret");
  assertEquals(nodes.traffic.length, 0);
  nodes.pass(3_000);
  nodes.kill(b);
  const told = () => {
    const before = nodes.traffic.length;
    a.note(7, HASH, "secret");
    return nodes.traffic.length - before;
  };
  assertEquals(told(), 1);
  nodes.pass(60_000);
  assertEquals(told(), 0);
});

Deno.test("all that nodes have ever said is worth nothing to another process", unit, () => {
  const nodes = new Nodes();
  const [a, b] = [nodes.start(), nodes.start()];
  nodes.pass(3_000);
  a.note(7, HASH, "secret");
  assertEquals(knows(b), true);
  const { traffic } = nodes;
  assertEquals(traffic.some((text) => text.includes("secret")), false);
  const elsewhere = new Nodes();
  const thief = elsewhere.start();
  elsewhere.pass(1_000);
  const [name] = elsewhere.traffic.map((text) => decodeEnvelope(text)?.conversation ?? "");
  assert(name);
  for (const text of traffic) {
    hear(thief, text);
    // Put in the receiver's place it has another secret with the sender.
    hear(thief, text.replace(/\{"[^"]+"/, `{${JSON.stringify(name)}`));
  }
  assertEquals(knows(thief), false);
});

Deno.test(
  "while a wrong password is being hashed, none is compared for that account or from that address",
  unit,
  () => {
    const node = new Nodes().start();
    for (const userId of [7, 8, 9]) node.note(userId, HASH, "secret");
    const attempt = (userId: number, person: string | undefined, password = "secret") =>
      node.recognise({ userId, person, stored: HASH, password });
    {
      using _wrong = attempt(7, "192.0.2.1", "guess");
      assertEquals(attempt(7, "192.0.2.2").isRight, false, "the account, from elsewhere");
      assertEquals(attempt(8, "192.0.2.1").isRight, false, "another account, from there");
      assertEquals(attempt(8, "192.0.2.2").isRight, true);
      // What was not compared holds nobody up.
      using _neither = attempt(8, "192.0.2.1", "guess");
      assertEquals(attempt(8, "192.0.2.2").isRight, true);
      using _local = attempt(9, undefined, "guess");
      assertEquals(attempt(8, undefined).isRight, true, "nobody's address");
    }
    for (const userId of [7, 8, 9]) assertEquals(attempt(userId, "192.0.2.1").isRight, true);
  },
);

/** Logins of user 7, whose password is known, while the only thread hashes for somebody else and so many may wait. */
function busyLogins(maxWaiting: number) {
  const nodes = new Nodes();
  const recentPasswords = nodes.start();
  recentPasswords.note(7, HASH, "secret");
  const limited = new LimitCounters();
  const options = { wrongPasswords: 3, wrongPasswordsPerAddress: 0, wrongCodes: 0, signupRate: 0 };
  const turns = new FairQueue(1, maxWaiting);
  const hashed: string[] = [];
  const verify = (password: string) => {
    hashed.push(password);
    return Promise.resolve({ isRight: false });
  };
  const services = {
    recentPasswords,
    guesses: new Guesses(new MemoryTallies(() => nodes.clock.now()), options),
    limited,
    limits: new LimitBook(limited),
    passwords: { turns, isCurrent: () => true, verify },
  };
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const other = turns.run(client(), () => promise);
  return {
    hashed,
    finish: () => (release(), other),
    tryFrom: async (asker: Asker, password: string) => {
      const { isRight } = await tryPassword(services, asker, 7, password, HASH);
      return isRight;
    },
  };
}

function client() {
  return { person: undefined, isEnded: false, outlet: { isPeerGone: false } };
}

Deno.test("a guess counts though there is no turn for its hash", unit, async () => {
  const { hashed, finish, tryFrom } = busyLogins(0);
  const owner = { ...client(), person: "192.0.2.1" };
  assertEquals(await tryFrom(owner, "secret"), true);
  for (let guess = 1; guess <= 3; guess++) {
    await assertRejects(() => tryFrom(client(), `guess ${guess}`), Refusal, "Too many want to log in");
  }
  await assertRejects(() => tryFrom(client(), "secret"), Refusal, "Too many wrong passwords");
  assertEquals(await tryFrom(owner, "secret"), true);
  await finish();
  assertEquals(hashed, []);
});

Deno.test("a guess counts though its client does not wait for the hash", unit, async () => {
  const { hashed, finish, tryFrom } = busyLogins(100);
  const impatient = client();
  const refused = assertRejects(() => tryFrom(impatient, "guess"), Refusal);
  const others = Array.from({ length: 3 }, (_, index) => tryFrom(client(), `other ${index}`));
  await anotherTurn();
  impatient.isEnded = true;
  await finish();
  await refused;
  // The first one to be hashed was counted as the second one.
  await assertRejects(() => Promise.all(others), Refusal, "Too many wrong passwords");
  assertEquals(hashed, ["other 0", "other 1"]);
});

Deno.test("so many users are remembered, and who was noted longest ago is forgotten", unit, () => {
  const node = new Nodes().start();
  for (let userId = 1; userId <= 100_001; userId++) node.note(userId, HASH, "secret");
  assertEquals([1, 2, 100_001].map((userId) => knows(node, "secret", { userId })), [false, true, true]);
});

const encoder = new TextEncoder();
const ARGS = ["--sqlite", ":memory:", "--proxy-protocol", "127.0.0.1", "--http", "127.0.0.1:0"];

/** A login, as a function that sends it. */
async function loginFrom(server: Server, address: string, id: number, password: string) {
  const client = await ChatClient.connect(server.port);
  await client.sendBytes(encoder.encode(`PROXY TCP4 ${address} 192.0.2.250 4711 6000\r\n`));
  return async () => {
    try {
      return (await client.request({ msgid: 1, v: 2, id, password })).errno;
    } finally {
      client.close();
    }
  };
}

Deno.test("a burst of guesses is looked at no further than the limit, though the password is known", async () => {
  await using server = await startServer([...ARGS, "--wrong-passwords", "5"]);
  await using signer = await ChatClient.connect(server.port);
  await signer.sendBytes(encoder.encode("PROXY TCP4 192.0.2.1 192.0.2.250 4711 6000\r\n"));
  const id = await signUp(signer, "ann");
  const first = await loginFrom(server, "192.0.2.1", id, PASSWORD);
  assertEquals(await first(), 0);
  const before = await readMetrics(server);

  const burst = await Promise.all(
    Array.from(
      { length: 60 },
      (_, index) => loginFrom(server, `198.51.100.${index}`, id, index < 50 ? `guess ${index}` : PASSWORD),
    ),
  );
  const errnos = await Promise.all(burst.map((login) => login()));
  const counts = [0, 1, 8].map((errno) => errnos.filter((found) => found === errno).length);
  const after = await readMetrics(server);
  const hashes = after.value("chat_hashes_total") - before.value("chat_hashes_total");
  assertEquals(counts[0], 0, "nobody got in");
  assertEquals(counts[1], hashes, "every wrong password that was looked at was hashed");
  assert(hashes >= 5 && hashes <= 10, `${hashes} were looked at`);

  const spared = after.value("chat_hashes_spared_total");
  const again = await loginFrom(server, "192.0.2.1", id, PASSWORD);
  assertEquals(await again(), 0, "from where the user is known");
  const last = await readMetrics(server);
  assertEquals(last.value("chat_hashes_spared_total") - spared, 1);
  assertEquals(last.value("chat_hashes_total"), after.value("chat_hashes_total"));
});

Deno.test("a hash of another cost is replaced at the next login, though its password is known", async () => {
  await using folder = await temporaryFolder();
  const config = `${folder.path}/chat.conf`;
  const write = (...lines: string[]) =>
    Deno.writeTextFile(config, [`sqlite = ${folder.path}/chat.db`, ...lines].join("\n"));
  await write();
  await using server = await startServer(["--config", config, "--http", "127.0.0.1:0"]);
  await using signer = await ChatClient.connect(server.port);
  const id = await signUp(signer, "ann");
  const hashesOfLogin = async () => {
    const before = (await readMetrics(server)).value("chat_hashes_total");
    await using client = await ChatClient.connect(server.port);
    assertEquals((await client.request({ msgid: 1, v: 3, id, password: PASSWORD })).errno, 0);
    return (await readMetrics(server)).value("chat_hashes_total") - before;
  };
  assertEquals([await hashesOfLogin(), await hashesOfLogin()], [1, 0]);
  await write("password-cost = 11");
  await server.reload();
  assertEquals([await hashesOfLogin(), await hashesOfLogin()], [2, 0]);
});
