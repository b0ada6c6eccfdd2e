/**
 * Target 8: from start to ready, and two nodes behind nginx against one.
 *
 * @module
 */
import { buildExecutable } from "../program/compile.ts";
import { nginxConfig } from "../net/nginx_config.ts";
import { freePort } from "../support/process.ts";
import { randomFrom } from "../support/random.ts";
import { type Nginx, type Server, startNginx, startRedis, startServer } from "../support/services.ts";
import {
  type Bench,
  type BenchContext,
  makeAccounts,
  mariaDbStorage,
  pairUp,
  ROUNDS,
  sqliteStorage,
  startNode,
} from "./bench.ts";
import { type Account, openClients } from "./load_client.ts";
import { detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

const STARTS = 5;
const LOADS = [
  { persist: "all", pairs: 50, window: 16, what: "stored in MariaDB, 50 pairs × 16" },
  { persist: "offline", pairs: 250, window: 1, what: "nothing stored, 250 pairs" },
];

async function secondsToReady(executable?: string): Promise<number> {
  const seconds: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    await using storage = await sqliteStorage();
    const startedAt = performance.now();
    await using _server = await startServer(storage.args, executable === undefined ? {} : { executable });
    seconds.push((performance.now() - startedAt) / 1_000);
  }
  return median(seconds);
}

async function measureStarts({ report, say }: BenchContext): Promise<void> {
  say("start to ready");
  report({
    target: 8,
    what: "start to ready, from source with a warm cache",
    value: await secondsToReady(),
    unit: "s",
    goal: { at: "most", bound: 1 },
  });
  const { folder, executable, reason } = await buildExecutable();
  await using _folder = folder;
  if (executable === null) return say(`  not compiled: ${reason}`);
  report({
    target: 8,
    what: "start to ready, compiled",
    value: await secondsToReady(executable),
    unit: "s",
    goal: { at: "most", bound: 0.5 },
  });
}

/**
 * Everybody connects to nginx, which spreads them; the yardstick is one node behind an nginx like it. Who talks to whom has
 * nothing to do with who came when, so half of the pairs have a node between them.
 */
async function measureNginx({ gate, report, say }: BenchContext): Promise<void> {
  for (const { persist, pairs, window, what } of LOADS) {
    say(`two nodes behind nginx, ${what}`);
    await using storage = await mariaDbStorage();
    await using redis = await startRedis();
    const accounts = await makeAccounts(storage, 4 * pairs);
    const args = ["--persist", persist, "--redis", redis.url];
    await using alone = await startNode(storage, [...args, "--node", "alone"]);
    await using one = await startNode(storage, [...args, "--node", "one"]);
    await using two = await startNode(storage, [...args, "--node", "two"]);
    const front = async (nodes: readonly Server[]) => {
      const port = freePort();
      const addresses = nodes.map((node) => ({ tcp: node.port, udp: freePort() }));
      return await startNginx({
        port,
        config: await nginxConfig({ port, udpPort: freePort(), nodes: addresses }),
      });
    };
    // The shipped configuration has two nodes: here both are the same.
    await using frontOfOne = await front([alone, alone]);
    await using frontOfTwo = await front([one, two]);
    const open = async (nginx: Nginx, some: readonly Account[], nodes: readonly Server[]) => {
      const clients = await openClients(shuffled(some), () => nginx.port, gate);
      clients.sort((a, b) => a.account.id - b.account.id);
      return pairUp(clients, nodes.map(({ pid }) => pid), window);
    };
    using single = await open(frontOfOne, accounts.slice(0, 2 * pairs), [alone]);
    using pair = await open(frontOfTwo, accounts.slice(2 * pairs), [one, two]);
    const standings = await sideBySide({ pair, single }, ROUNDS);
    report({
      target: 8,
      what: `two nodes behind nginx, ${what}`,
      value: median(standings.pair.rates),
      unit: "msgs/s",
      yardstick: { name: "one node", value: median(standings.single.rates) },
      ratio: ratioOfRounds(standings.pair, standings.single),
      goal: { at: "least", bound: 1 },
      details: detailsOf(standings.pair),
    });
  }
}

/** The same order every time. */
function shuffled<Item>(items: readonly Item[]): Item[] {
  const random = randomFrom(1);
  return items.map((item) => ({ item, at: random.below(2 ** 32) })).sort((a, b) => a.at - b.at).map((
    { item },
  ) => item);
}

/** Starting, and growing by a node. */
export const start: Bench = async (context) => {
  await measureStarts(context);
  await measureNginx(context);
};
