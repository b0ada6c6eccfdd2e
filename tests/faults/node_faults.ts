/**
 * What happens to nodes: killed, restarted, frozen, given the wrong time, stormed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ChatClient, PASSWORD } from "../support/chat_client.ts";
import { readMetrics } from "../support/metrics.ts";
import { waitFor } from "../support/process.ts";
import type { Server } from "../support/services.ts";
import { ClusterSite, LONGER_THAN_LEASE_MS, LONGER_THAN_STATEMENT_MS, NODES } from "./cluster_site.ts";
import { CrookedClock } from "./crooked_clock.ts";
import { random, someMoment } from "./site.ts";

const HOUR_S = 3_600;
/** Generous: it is only ever reached by a failure. */
const DEADLINE_MS = 60_000;
/** How long a node that hangs may keep the others from storing anything: a lock wait, and the end of its transaction. */
const LONGEST_BLOCK_MS = 20_000;
/** Connections of one storm. */
const STORM = 12;

Deno.test("faults of nodes", async (context) => {
  await using site = await ClusterSite.open();
  const { cluster, crowd } = site;

  await site.suffer(context, {
    name: "kill -9 of a node under load",
    rounds: 3,
    costsNode: true,
    async strike() {
      await someMoment(1_000);
      const name = random.pick(NODES);
      await cluster.node(name).kill();
      await someMoment(1_500);
      await site.startNode(name);
    },
  });

  let answersLost = 0;
  await site.suffer(context, {
    name: "kill -9 between commit and ack, retry elsewhere",
    rounds: 5,
    costsNode: true,
    async strike() {
      // Everybody on one node, so that the way of the retry leads to the other.
      const [name = "A", other = "B"] = random.chance(0.5) ? NODES : [...NODES].reverse();
      site.use(name);
      for (const user of crowd.users) user.drop();
      await crowd.talked(20);
      await crowd.allIn();
      for (const user of crowd.users) user.hold();
      answersLost += await freezeBeforeAnswers(site, name);
      await cluster.node(name).kill();
      site.use(other);
      for (const user of crowd.users) user.release();
      await crowd.talked(150);
      await site.startNode(name);
      return `${answersLost} were stored without an answer`;
    },
  });
  await site.suffer(context, {
    name: "rolling restart (SIGTERM)",
    rounds: 2,
    async strike() {
      for (const name of NODES) {
        const { code } = await cluster.node(name).stop();
        assertEquals(code, 0, cluster.node(name).stderr);
        await site.startNode(name);
        await crowd.talked(100);
      }
    },
  });

  await site.suffer(context, {
    name: "a node frozen inside a transaction, for longer than its lease",
    rounds: 1,
    costsNode: true,
    async strike() {
      const name = random.pick(NODES);
      await freezeInTransaction(site, name);
      const start = performance.now();
      site.use(...NODES.filter((other) => other !== name));
      // What it has locked is not locked for long.
      await crowd.talked(300);
      const blockedMs = performance.now() - start;
      assert(blockedMs < LONGEST_BLOCK_MS, `all others were blocked for ${blockedMs.toFixed(0)} ms`);
      await someMoment(LONGER_THAN_LEASE_MS + 1_000, LONGER_THAN_LEASE_MS);
      cluster.node(name).signal("SIGCONT");
      site.use(...NODES);
      await storesAgain(cluster.node(name));
    },
  });

  await site.suffer(context, {
    name: "power cut: both nodes, MySQL and Redis killed at once",
    rounds: 2,
    costsNode: true,
    async strike() {
      await someMoment(500);
      const { mariaDb, redis } = cluster;
      await Promise.all([...NODES.map((name) => cluster.node(name).kill()), mariaDb.kill(), redis.kill()]);
      await Promise.all([mariaDb.start(), redis.start()]);
      for (const name of NODES) await site.startNode(name);
    },
  });

  let letIn = 0;
  await site.suffer(context, {
    name: "duplicate-login storm from two nodes",
    rounds: 2,
    async strike() {
      const ports = NODES.map((name) => cluster.node(name).port);
      for (let wave = 0; wave < 3; wave++) letIn += await storm(random.pick(crowd.v2).token, ports);
      await refusedStorm(random.pick(crowd.v1).id, ports);
      return `${letIn} took each other's place`;
    },
  });

  const { obstacle } = CrookedClock;
  await using clock = obstacle === undefined ? await CrookedClock.make() : null;
  await site.suffer(context, {
    name: "clock of one node an hour back, and on again",
    rounds: 1,
    costsNode: true,
    obstacle,
    async strike() {
      await cluster.node("A").stop();
      await site.startNode("A", clock?.env);
      // By now everybody may be with the other one.
      for (const user of crowd.users) user.drop();
      await crowd.allIn();
      clock?.set(-HOUR_S);
      await crowd.talked(300);
      await someMoment(500);
      clock?.set(0);
      await crowd.talked(300);
      const [[steps] = []] = await site.store.sql(
        "SELECT COUNT(*) FROM Message a JOIN Message b ON b.conversation = a.conversation AND b.seq = a.seq + 1 " +
          `WHERE b.at < a.at - ${HOUR_S * 500}`,
      );
      assert(Number(steps) > 0, "the clock did not step back");
      return `${steps} messages are older than the one before`;
    },
  });

  await site.checkVitals();
});

/**
 * Freezes a node at random moments until it has stored messages and not answered them, and resolves with how many. To be
 * killed then is to be killed at that moment.
 */
async function freezeBeforeAnswers({ cluster, crowd, store }: ClusterSite, name: string): Promise<number> {
  return await waitFor(`${name} to be frozen between a commit and its answers`, async () => {
    await someMoment(200);
    cluster.node(name).signal("SIGSTOP");
    // Answers that are out already arrive, and a commit that MySQL has begun ends.
    await someMoment(101, 100);
    const keys = crowd.repeaters.flatMap(({ unanswered }) => unanswered);
    const [[stored] = []] = await store.sql(
      `SELECT COUNT(*) FROM Message WHERE cid IN ('', ${keys.map((key) => `'${key}'`).join(",")})`,
    );
    if (stored === "0") cluster.node(name).signal("SIGCONT");
    return Number(stored);
  }, DEADLINE_MS);
}

/**
 * Resolves when a node that was frozen has stored something, which has waited in it or in its sockets, or has had the time to:
 * what it has asked MySQL for before that may never be answered.
 */
async function storesAgain(node: Server): Promise<void> {
  const stored = async () => (await readMetrics(node)).get("chat_messages_stored_total") ?? 0;
  const thawedAt = performance.now();
  const before = await stored();
  await waitFor(
    "the frozen node to store again",
    async () => await stored() > before || performance.now() - thawedAt > LONGER_THAN_STATEMENT_MS,
    DEADLINE_MS,
  );
}

/**
 * Freezes a node that has a transaction open which has locked something: what it has stored of a batch waits for a lock that is
 * held here, and gets it when nobody is there to end the transaction.
 */
async function freezeInTransaction({ cluster, crowd, store }: ClusterSite, name: string): Promise<void> {
  const transactions = async () => {
    const rows = await store.sql("SELECT trx_id FROM information_schema.INNODB_TRX WHERE trx_weight > 0");
    return rows.map(([id]) => id);
  };
  const group = `id = 'g${crowd.group}'`;
  await waitFor(`${name} to be frozen inside a transaction`, async () => {
    // Where it finds others to have been faster it asks before it writes: a transaction of more than one packet.
    await store.sql(`UPDATE Conversation SET at = at + 1 WHERE ${group}`);
    await someMoment(200, 100);
    const held = store.sql(
      `BEGIN; SELECT id FROM Conversation WHERE ${group} FOR UPDATE; SELECT SLEEP(0.4); COMMIT`,
    );
    await someMoment(350, 250);
    cluster.node(name).signal("SIGSTOP");
    await held;
    const open = await transactions();
    // Those of other nodes last milliseconds.
    await someMoment(301, 300);
    const stillOpen = await transactions();
    if (open.some((id) => stillOpen.includes(id))) return true;
    cluster.node(name).signal("SIGCONT");
    return false;
  }, DEADLINE_MS);
}

/**
 * One user resumes on all of these connections at once, while it is online and comes back whenever it is sent away. All
 * are sent away in the end; resolves with how many had been let in.
 */
async function storm(token: string | undefined, ports: readonly number[]): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: STORM }, (_, index) => ChatClient.connect(ports[index % ports.length] ?? 0)),
  );
  try {
    const ends = await Promise.all(clients.map(async (client) => {
      await client.send({ msgid: 21, v: 2, cid: "storm", token });
      // Replaced at once, even before it had its reply; or late for its own claim, and left as it is.
      const [first] = await client.receiveMany(1);
      if (first?.msgid === 2 && first.errno !== 0) return false;
      await client.receiveRest(60_000);
      return first?.msgid === 2;
    }));
    return ends.filter((wasIn) => wasIn).length;
  } finally {
    for (const client of clients) client.close();
  }
}

/** A version 1 user who is online logs in on all of these connections at once: nobody is let in. */
async function refusedStorm(id: number, ports: readonly number[]): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: STORM }, (_, index) => ChatClient.connect(ports[index % ports.length] ?? 0)),
  );
  try {
    const errnos = await Promise.all(clients.map(async (client) => {
      await client.send({ msgid: 1, id, password: PASSWORD });
      return (await client.receive()).errno;
    }));
    assertEquals(new Set(errnos), new Set([2]));
  } finally {
    for (const client of clients) client.close();
  }
}
