import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { EXIT, FatalError, PresenceError } from "../../lib/base/errors.ts";
import {
  type ClaimResult,
  createMemoryPresence,
  type Presence,
  type PresenceEvents,
} from "../../lib/cluster/presence.ts";
import { Redis } from "../../lib/cluster/redis.ts";
import { RedisPresence } from "../../lib/cluster/redis_presence.ts";
import {
  readTextIfExists,
  ServiceProcess,
  type TemporaryFolder,
  temporaryFolder,
  waitFor,
} from "../support/process.ts";
import { type Redis as RedisService, startRedis } from "../support/services.ts";

const NONE: Deno.TestDefinition["permissions"] = "none";

/** Short enough for a test, long enough for a machine that is busy with other things. */
const LEASE_MS = 1500;

const CLUSTER = "0123abcd";

/** In place of the seal. */
const sign = (text: string) => String(text.length);

/** A node's presence with all it told its owner. */
class Node implements AsyncDisposable, PresenceEvents {
  readonly name: string;
  readonly redis: Redis;
  readonly lost: string[] = [];
  readonly died: string[] = [];
  readonly warnings: string[] = [];
  restored = 0;
  namesTaken = 0;
  /** What `onNodeDied` does. */
  cleanUp: () => void | Promise<void> = () => {};
  #presence: RedisPresence | null = null;

  constructor(service: RedisService, name: string) {
    this.name = name;
    const nothing = { onMessage() {}, onUp() {}, onDown() {} };
    this.redis = new Redis(service.url, nothing, { timing: { handshakeMs: 1000, beatMs: 200 } });
  }

  static async open(service: RedisService, name: string, leaseMs = LEASE_MS): Promise<Node> {
    const node = new Node(service, name);
    await node.redis.connect();
    try {
      node.#presence = await RedisPresence.open({
        redis: node.redis,
        cluster: CLUSTER,
        node: name,
        sign,
        leaseMs,
        events: node,
        logger: { warn: (message, fields = {}) => void node.warnings.push(message + JSON.stringify(fields)) },
      });
    } catch (error) {
      await node.redis.close();
      throw error;
    }
    return node;
  }

  get presence(): RedisPresence {
    assert(this.#presence);
    return this.#presence;
  }

  onLost(userId: number, generation: number): void {
    this.lost.push(`${userId} ${generation}`);
  }

  onNodeDied(node: string): void | Promise<void> {
    this.died.push(node);
    return this.cleanUp();
  }

  onRestored(): void {
    this.restored++;
  }

  onNameTaken(): void {
    this.namesTaken++;
  }

  async isOnline(userId: number): Promise<boolean> {
    return (await this.presence.online([userId])).has(userId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#presence?.close();
    await this.redis.close();
  }
}

/** A node in a process of its own, to be killed or frozen. */
class RemoteNode implements AsyncDisposable {
  readonly process: ServiceProcess;
  readonly #folder: TemporaryFolder;
  readonly #logPath: string;

  private constructor(folder: TemporaryFolder, url: string, args: readonly string[]) {
    this.#folder = folder;
    this.#logPath = `${folder.path}/log`;
    const program = new URL("presence_node.ts", import.meta.url).pathname;
    this.process = new ServiceProcess(
      Deno.execPath(),
      ["run", "--quiet", "--allow-net", "--allow-env", program, url, CLUSTER, ...args],
      { logPath: this.#logPath },
    );
  }

  /** Starts it; resolves when it holds `users` or has given up. */
  static async start(service: RedisService, name: string, ...users: number[]): Promise<RemoteNode> {
    const args = [name, String(LEASE_MS), ...users.map(String)];
    const node = new RemoteNode(await temporaryFolder(), service.url, args);
    await waitFor(`node ${name}`, async () => node.process.status || (await node.lines()).includes("ready"));
    return node;
  }

  async lines(): Promise<string[]> {
    return (await readTextIfExists(this.#logPath)).split("\n").filter((line) => line !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Lets time pass in which nothing should happen, or which a rule of presence asks for. */
function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The generation of a claim that must have been made. */
function generationOf(claim: ClaimResult): number {
  assert(claim.claimed);
  return claim.generation;
}

/** What holds for every kind of presence. */
async function checkClaims(presence: Presence, node: string): Promise<void> {
  const first = await presence.claim(7, "refuse");
  const generation = generationOf(first);
  assertEquals(first, { claimed: true, generation });
  assertEquals(await presence.claim(7, "refuse"), { claimed: false });
  assertEquals(await presence.online([6, 7, 8]), new Set([7]));

  const second = await presence.claim(7, "replace");
  assertEquals(second, { claimed: true, generation: generationOf(second), previousNode: node });
  assertGreater(generationOf(second), generation);

  await presence.release(7, generation); // The old session goes away; the new one stays.
  assertEquals(await presence.online([7]), new Set([7]));
  await presence.release(7, generationOf(second));
  assertEquals(await presence.online([7]), new Set());

  const third = await presence.claim(7, "replace");
  assertEquals(third, { claimed: true, generation: generationOf(third) });
  assertGreater(generationOf(third), generationOf(second));
  await presence.close();
}

Deno.test("in memory, a user is claimed once, replaced on request, and released by generation", {
  permissions: NONE,
}, async () => {
  const presence = createMemoryPresence("here", () => 1000);
  assert(presence.isUp);
  await checkClaims(presence, "here");
  assertEquals(await presence.online([7]), new Set());
});

Deno.test("in memory, generations of a later process are greater", { permissions: NONE }, async () => {
  const before = generationOf(await createMemoryPresence("a", () => 1000).claim(7, "refuse"));
  const after = generationOf(await createMemoryPresence("a", () => 1001).claim(7, "refuse"));
  assertGreater(after, before);
});

Deno.test("in Redis, a user is claimed once, replaced on request, and released by generation", async () => {
  await using service = await startRedis();
  await using node = await Node.open(service, "here");
  assert(node.presence.isUp);
  await checkClaims(node.presence, "here");
  assertEquals(node.presence.isUp, false);
});

Deno.test("a user of another node is refused, or taken over with its name", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using b = await Node.open(service, "b");
  const old = generationOf(await a.presence.claim(7, "refuse"));
  assertEquals(await b.presence.claim(7, "refuse"), { claimed: false });
  const claim = await b.presence.claim(7, "replace");
  assertEquals(claim, { claimed: true, generation: generationOf(claim), previousNode: "a" });
  assertGreater(generationOf(claim), old);
  await a.presence.release(7, old);
  assert(await a.isOnline(7));
  await b.presence.release(7, generationOf(claim));
  assertEquals(await a.isOnline(7), false);
});

Deno.test("a node whose user was taken over finds out even when nobody tells it", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using b = await Node.open(service, "b");
  const old = generationOf(await a.presence.claim(7, "refuse"));
  await b.presence.claim(7, "replace");
  await waitFor("a to find out", () => a.lost.length > 0);
  assertEquals(a.lost, [`7 ${old}`]);
});

Deno.test("of two nodes that claim a user at the same time exactly one gets it, 200 times", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using b = await Node.open(service, "b");
  const wins = { a: 0, b: 0 };
  for (let user = 1; user <= 200; user++) {
    const [first, second] = user % 2 === 0 ? [a, b] : [b, a];
    const claims = await Promise.all([first, second].map(({ presence }) => presence.claim(user, "refuse")));
    const winners = [first, second].filter((_, i) => claims[i]?.claimed);
    assertEquals(winners.length, 1, `user ${user}`);
    wins[winners[0] === a ? "a" : "b"]++;
  }
  console.log(`a got ${wins.a}, b got ${wins.b}`);
});

Deno.test("a storm of claims and releases of one user on one node keeps to one at a time", async () => {
  await using service = await startRedis();
  await using node = await Node.open(service, "a");
  let holders = 0;
  await Promise.all(Array.from({ length: 300 }, async () => {
    const claim = await node.presence.claim(7, "refuse");
    if (!claim.claimed) return;
    assertEquals(++holders, 1);
    await Promise.resolve();
    holders--;
    await node.presence.release(7, claim.generation);
  }));
  assertEquals(await node.isOnline(7), false);
});

Deno.test("clusters that share a Redis do not see each other's users", async () => {
  await using service = await startRedis();
  await using node = await Node.open(service, "a");
  await node.presence.claim(7, "refuse");
  const keys = (await service.cli("KEYS", "*")).split("\n");
  assertEquals(keys.filter((key) => !key.startsWith(`${CLUSTER}:`)), []);
});

Deno.test("online answers for thousands of users and deletes the claims of the dead", async () => {
  await using service = await startRedis();
  await using node = await Node.open(service, "a");
  const users = Array.from({ length: 1200 }, (_, i) => i + 1);
  await Promise.all(users.map((user) => node.presence.claim(user, "refuse")));
  {
    await using gone = await Node.open(service, "b");
    await gone.presence.claim(5000, "refuse");
  }
  const key = `${CLUSTER}:user:5000`;
  assertEquals(await service.cli("EXISTS", key), "1");
  assertEquals((await node.presence.online([...users, 5000, 5001])).size, 1200);
  assertEquals(await service.cli("EXISTS", key), "0");
});

Deno.test("a node that closes frees its users at once and is not taken for dead", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  {
    await using b = await Node.open(service, "b");
    await b.presence.claim(7, "refuse");
    await pass(2 * LEASE_MS); // The other one has looked round, and remembers it.
  }
  assertEquals(await a.presence.claim(7, "refuse").then(({ claimed }) => claimed), true);
  assertEquals(await service.cli("SMEMBERS", `${CLUSTER}:nodes`), "a");
  await pass(LEASE_MS); // Several more looks.
  assertEquals(a.died, []);
  await using again = await Node.open(service, "b"); // Nobody to wait for.
  assert(again.presence.isUp);
});

Deno.test("a killed node's users are free after its lease, and one of the others is told", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using b = await Node.open(service, "b");
  await using doomed = await RemoteNode.start(service, "doomed", 7);
  assertEquals(await a.presence.claim(7, "refuse"), { claimed: false });
  // Both have been up for longer than a lease: nobody is given time to come back any more.
  await pass(LEASE_MS);
  const killedAt = performance.now();
  await doomed.process.kill("SIGKILL");
  await waitFor("a claim", async () => (await a.presence.claim(7, "refuse")).claimed);
  assertLess(performance.now() - killedAt, LEASE_MS + 500);
  await waitFor("somebody to be told", () => a.died.length + b.died.length > 0);
  await waitFor("the node to be forgotten", async () => {
    return !(await service.cli("SMEMBERS", `${CLUSTER}:nodes`)).includes("doomed");
  });
  await pass(LEASE_MS); // Several more looks by both.
  assertEquals([...a.died, ...b.died], ["doomed"]);
});

Deno.test("when the clean-up after a dead node fails, it is tried again", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  a.cleanUp = async () => {
    await Promise.resolve();
    if (a.died.length < 3) throw new Error("the database is away");
  };
  await service.cli("SADD", `${CLUSTER}:nodes`, "doomed");
  await waitFor("three tries", () => a.died.length === 3);
  await waitFor("the node to be forgotten", async () => {
    return await service.cli("SMEMBERS", `${CLUSTER}:nodes`) === "a";
  });
  assertStringIncludes(a.warnings.join(), "the database is away");
});

Deno.test("a node that is killed and restarted at once under its name is clean and does not wait", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using doomed = await RemoteNode.start(service, "doomed", 7);
  await doomed.process.kill("SIGKILL");
  const restartedAt = performance.now();
  await using again = await Node.open(service, "doomed");
  assertLess(performance.now() - restartedAt, LEASE_MS / 2);
  assertEquals(await a.isOnline(7), false);
  assertEquals((await a.presence.claim(7, "refuse")).claimed, true);
  assertEquals(await again.presence.claim(7, "refuse"), { claimed: false });
});

Deno.test("a second node with the name of a live one is refused, and the first goes on", async () => {
  await using service = await startRedis();
  await using first = await Node.open(service, "a");
  await first.presence.claim(7, "refuse");
  const error = await assertRejects(() => Node.open(service, "a"), FatalError, 'named "a"');
  assertEquals(error.exitCode, EXIT.config);
  assert(first.presence.isUp);
  assert(await first.isOnline(7));
  assertEquals(first.namesTaken, 0);
});

Deno.test("of two nodes that start at once under one name exactly one comes up", async () => {
  await using service = await startRedis();
  const results = await Promise.allSettled([Node.open(service, "a"), Node.open(service, "a")]);
  const nodes = results.filter((result) => result.status === "fulfilled").map(({ value }) => value);
  assertEquals(nodes.length, 1);
  for (const node of nodes) await node[Symbol.asyncDispose]();
});

Deno.test("a frozen node loses its name after its lease, and stops when it wakes up", async () => {
  await using service = await startRedis();
  await using frozen = await RemoteNode.start(service, "a", 7);
  frozen.process.signal("SIGSTOP");
  await using next = await Node.open(service, "a"); // Waits for the lease: the frozen one is still connected.
  assertEquals((await next.presence.claim(7, "refuse")).claimed, true);
  frozen.process.signal("SIGCONT");
  await waitFor("the old one to stop", () => frozen.process.status);
  assertStringIncludes((await frozen.lines()).join(), "name taken");
  assert(await next.isOnline(7));
  assertEquals(next.namesTaken, 0);
});

Deno.test("a node takes its lease back from anything but a later process of its cluster", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await a.presence.claim(7, "refuse");
  const key = `${CLUSTER}:node:a`;
  const lease = await service.cli("GET", key);
  const [startedAt, random] = lease.split(".");
  const later = `${Number(startedAt) + 1}.${random}`;
  for (
    const forged of [
      "x",
      "\n",
      `${later}/0`,
      `${later}.0/0`,
      `${Number(startedAt) - 1}.${random}.${sign(`a ${startedAt}.${random}`)}/0`, // An earlier process's.
      `${later}.${sign(`bb ${later}`)}/0`, // Another node's.
    ]
  ) {
    await service.cli("SET", key, forged);
    await waitFor("the lease to be taken back", async () => {
      return (await service.cli("GET", key)).split("/")[0] === lease.split("/")[0];
    });
  }
  await waitFor("a to be up", () => a.presence.isUp);
  assert(await a.isOnline(7));
  assertEquals([a.namesTaken, a.lost], [0, []]);
  await service.cli("SET", key, `${later}.${sign(`a ${later}`)}/0`);
  await waitFor("a to give way", () => a.namesTaken === 1);
});

Deno.test("after FLUSHALL live nodes claim their users again, with the same generations", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using b = await Node.open(service, "b");
  const generation = generationOf(await a.presence.claim(1, "refuse"));
  const others = Array.from({ length: 1200 }, (_, i) => i + 2); // More than go into one script.
  await Promise.all(others.map((userId) => a.presence.claim(userId, "refuse")));
  await b.presence.claim(5000, "refuse");
  await service.cli("FLUSHALL");
  await waitFor("both to be restored", () => a.restored === 1 && b.restored === 1);
  assertEquals(await a.presence.online([1, ...others, 5000, 5001]), new Set([1, ...others, 5000]));
  assertEquals((await service.cli("GET", `${CLUSTER}:user:1`)).split(" ")[0], String(generation));
  assertGreater(generationOf(await b.presence.claim(1, "replace")), generation);
  await pass(2 * LEASE_MS);
  assertEquals([...a.died, ...b.died], []);
});

Deno.test("claims that an old copy of Redis' data brings back do not count", async () => {
  await using service = await startRedis();
  const leaseMs = 60_000;
  await using a = await Node.open(service, "a", leaseMs);
  await using b = await Node.open(service, "b", leaseMs);
  const [stays, leaves, moves] = [1, 2, 3];
  const kept = generationOf(await a.presence.claim(stays, "refuse"));
  const left = generationOf(await a.presence.claim(leaves, "refuse"));
  const moved = generationOf(await a.presence.claim(moves, "refuse"));
  await service.cli("SAVE");
  await a.presence.release(leaves, left);
  await a.presence.release(moves, moved);
  const again = generationOf(await b.presence.claim(moves, "refuse"));
  await a.presence.release(stays, kept);
  const newer = generationOf(await a.presence.claim(stays, "refuse"));
  await service.kill();
  await waitFor("down", () => !a.presence.isUp && !b.presence.isUp);
  await service.start();
  assertStringIncludes(await service.cli("GET", `${CLUSTER}:user:${leaves}`), `${left} `);
  await waitFor(
    "the user to be free",
    () => b.presence.claim(leaves, "refuse").then(({ claimed }) => claimed, () => false),
  );
  await waitFor("a's word", async () => {
    return (await service.cli("GET", `${CLUSTER}:user:${stays}`)).startsWith(`${newer} `);
  });
  assertEquals(await b.presence.claim(stays, "refuse"), { claimed: false });
  assertEquals(await a.presence.claim(moves, "refuse"), { claimed: false });
  assertStringIncludes(await service.cli("GET", `${CLUSTER}:user:${moves}`), `${again} `);
  assertEquals([...a.lost, ...b.lost, ...a.died, ...b.died], []);
});

Deno.test("an outage shorter than the lease changes nothing, but what was released meanwhile is free", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a", 10_000);
  await using b = await Node.open(service, "b", 10_000);
  await a.presence.claim(1, "refuse");
  const released = generationOf(await a.presence.claim(2, "refuse"));
  service.signal("SIGSTOP");
  await waitFor("down", () => !a.presence.isUp && !b.presence.isUp);
  await assertRejects(() => a.presence.claim(5, "refuse"), PresenceError, "cut off");
  await assertRejects(() => a.presence.online([1]));
  await a.presence.release(2, released);
  service.signal("SIGCONT");
  await waitFor("up", () => a.presence.isUp && b.presence.isUp);
  await waitFor("user 2 to be free", async () => (await b.presence.claim(2, "refuse")).claimed);
  assertEquals(await b.presence.claim(1, "refuse"), { claimed: false });
  assertEquals([a.restored, b.restored], [0, 0]);
  assertEquals([a.lost, b.lost], [[], []]);
});

Deno.test("a claim whose answer was lost is taken back", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a", 10_000);
  await using b = await Node.open(service, "b", 10_000);
  await a.presence.claim(9, "refuse"); // From now on Redis knows the script and needs no second message.
  service.signal("SIGSTOP");
  // Redis finds it among the received bytes when it wakes up.
  await assertRejects(() => a.presence.claim(1, "refuse"));
  service.signal("SIGCONT");
  await waitFor("up", () => a.presence.isUp && b.presence.isUp);
  await waitFor("user 1 to be free", async () => (await b.presence.claim(1, "refuse")).claimed);
});

Deno.test("after an outage longer than the lease nodes go on with their users, and nobody is taken for dead", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using b = await Node.open(service, "b");
  await a.presence.claim(1, "refuse");
  await b.presence.claim(2, "refuse");
  service.signal("SIGSTOP");
  await pass(2 * LEASE_MS);
  service.signal("SIGCONT");
  await waitFor("both to be restored", () => a.restored === 1 && b.restored === 1);
  assertEquals(await a.presence.online([1, 2]), new Set([1, 2]));
  await pass(2 * LEASE_MS); // Long enough for a look at each other.
  assertEquals([...a.died, ...b.died, ...a.lost, ...b.lost], []);
});

Deno.test("a node that dies while Redis is away is found, even if Redis comes back empty", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using doomed = await RemoteNode.start(service, "doomed", 7);
  await a.presence.claim(1, "refuse");
  await pass(2 * LEASE_MS); // a has seen it.
  await service.kill();
  await doomed.process.kill("SIGKILL");
  await service.start();
  await waitFor("a to be restored", () => a.restored === 1);
  assert(await a.isOnline(1));
  await waitFor("a to be told", () => a.died.length > 0);
  assertEquals(a.died, ["doomed"]);
});

Deno.test("a node that was cut off loses the users that came up elsewhere, and keeps the others", async () => {
  await using service = await startRedis();
  await using a = await Node.open(service, "a");
  await using cut = await RemoteNode.start(service, "cut", 1, 2);
  cut.process.signal("SIGSTOP");
  await waitFor("a claim", async () => (await a.presence.claim(1, "refuse")).claimed);
  cut.process.signal("SIGCONT");
  await waitFor("the other node to notice", async () => (await cut.lines()).includes("lost 1"));
  await waitFor("it to be restored", async () => (await cut.lines()).includes("restored"));
  assertEquals(await a.presence.online([1, 2]), new Set([1, 2]));
  assertEquals(await a.presence.claim(2, "refuse"), { claimed: false });
});

Deno.test("a Redis that does not let presence in ends the start", async () => {
  await using service = await startRedis({
    config: ["user limited on >pw ~* &* +@all"],
  });
  const redis = new Redis(`redis://limited:pw@127.0.0.1:${service.port}`, {
    onMessage() {},
    onUp() {},
    onDown() {},
  });
  await redis.connect();
  await service.cli("ACL", "SETUSER", "limited", "-eval", "-evalsha");
  const options = {
    redis,
    cluster: CLUSTER,
    node: "a",
    sign,
    events: new Node(service, "a"),
    logger: console,
  };
  const error = await assertRejects(() => RedisPresence.open(options), FatalError, "for presence: NOPERM");
  assertEquals(error.exitCode, EXIT.unavailable);
  await redis.close();
});
