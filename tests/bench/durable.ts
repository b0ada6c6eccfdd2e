/**
 * Target 3: everything stored before it is delivered, against the group commit's transaction alone with the server's own
 * batch sizes.
 *
 * @module
 */
import { readMetrics } from "../support/metrics.ts";
import { startRedis } from "../support/services.ts";
import {
  type Bench,
  type BenchContext,
  makeAccounts,
  mariaDbStorage,
  openPairs,
  sqliteStorage,
  startNode,
  type Storage,
  withStorage,
} from "./bench.ts";
import type { Account } from "./load_client.ts";
import { runScript } from "./programs.ts";
import {
  detailsOf,
  emptyStanding,
  measure,
  median,
  ratioOfRounds,
  sideBySide,
  type Standing,
} from "./side_by_side.ts";

const LOADS = [{ pairs: 500, window: 1 }, { pairs: 50, window: 16 }];
const ROUNDS = 4;
const ROUND_MS = 1_200;
/** A database of its own beside the server's, with the same tables. */
const YARDSTICK = "yardstick";

interface Commits {
  messages: number;
  ms: number;
  p50Ms: number;
}

function isCommits(value: unknown): value is Commits {
  return typeof value === "object" && value !== null && "messages" in value && "ms" in value &&
    "p50Ms" in value;
}

/** Runs the transaction alone for a second. */
async function commitAlone(storage: Storage, batch: number, conversations: number): Promise<Commits> {
  const result = await runScript("commit.ts", [
    ...storage.args,
    ...[batch, conversations, 1_000].map(String),
  ]);
  if (!isCommits(result)) throw new Error(`commit.ts printed ${JSON.stringify(result)}`);
  return result;
}

/** Where the yardstick works: with SQLite another file, with MariaDB another database of the same server. */
async function yardstickStorage(storage: Storage): Promise<Storage> {
  const made = storage.mariaDb
    ? {
      name: storage.name,
      args: ["--mysql", await storage.mariaDb.createDatabase(YARDSTICK)],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
    : await sqliteStorage();
  await withStorage(made, () => Promise.resolve());
  return made;
}

/** One node, in turns with the transaction alone. */
async function measureNode(
  { gate }: BenchContext,
  storage: Storage,
  bare: Storage,
  accounts: readonly Account[],
  { pairs, window }: { pairs: number; window: number },
): Promise<{ standing: Standing; batch: number; ratio: number; bareRate: number }> {
  await using server = await startNode(storage, ["--http", "127.0.0.1:0"]);
  using load = await openPairs([server], accounts, window, gate);
  await load.run(1_000);
  const standing = emptyStanding();
  const batches: number[] = [];
  const ratios: number[] = [];
  const bareRates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = await readMetrics(server);
    await measure(load, ROUND_MS, standing);
    const after = await readMetrics(server);
    const stored = after.value("chat_messages_stored_total") - before.value("chat_messages_stored_total");
    const batch = stored /
      (after.value("chat_commit_batches_total") - before.value("chat_commit_batches_total"));
    batches.push(batch);
    const { messages, ms } = await commitAlone(bare, Math.max(1, Math.round(batch)), pairs);
    bareRates.push(messages / ms * 1_000);
    ratios.push((standing.rates.at(-1) ?? NaN) / (messages / ms * 1_000));
  }
  return { standing, batch: median(batches), ratio: median(ratios), bareRate: median(bareRates) };
}

/** A pair that has the server for itself. */
async function measureLonePair(
  { gate, report }: BenchContext,
  storage: Storage,
  bare: Storage,
  accounts: readonly Account[],
) {
  await using server = await startNode(storage);
  using load = await openPairs([server], accounts, 1, gate);
  await load.run(500);
  const standing = emptyStanding();
  const commits: number[] = [];
  for (let round = 0; round < 3; round++) {
    await measure(load, 700, standing);
    commits.push((await commitAlone(bare, 1, 1)).p50Ms);
  }
  report({
    target: 3,
    what: `a lone pair, stored in ${storage.name}: p50`,
    value: standing.latency.quantile(0.5),
    unit: "ms",
    yardstick: { name: "commit", value: median(commits) },
    goal: { at: "most", bound: 3 },
    details: detailsOf(standing),
  });
}

/** Rates with everything stored. */
export const durable: Bench = async (context) => {
  const { gate, report, say } = context;
  for (const makeStorage of [sqliteStorage, mariaDbStorage]) {
    await using storage = await makeStorage();
    await using bare = await yardstickStorage(storage);
    // Nobody is used twice: what was not acknowledged when a measurement ended would come again.
    let users = 0;
    const newAccounts = async (count: number) =>
      await makeAccounts(storage, count, (users += count) - count + 1);
    for (const load of LOADS) {
      const { pairs, window } = load;
      const what = `${pairs} pairs${window > 1 ? ` × ${window}` : ""}, stored in ${storage.name}`;
      say(`one node, ${what}`);
      const one = await measureNode(context, storage, bare, await newAccounts(2 * pairs), load);
      report({
        target: 3,
        what: `one node, ${what}`,
        value: median(one.standing.rates),
        unit: "msgs/s",
        yardstick: { name: "transaction", value: one.bareRate },
        ratio: one.ratio,
        goal: { at: "least", bound: 0.6 },
        details: { "a batch": one.batch, ...detailsOf(one.standing) },
      });
      if (!storage.mariaDb) continue;
      say(`two nodes, ${what}`);
      await using redis = await startRedis();
      const args = ["--redis", redis.url];
      await using first = await startNode(storage, [...args, "--node", "one"]);
      await using second = await startNode(storage, [...args, "--node", "two"]);
      await using third = await startNode(storage, [...args, "--node", "alone"]);
      using pairsOfTwo = await openPairs([first, second], await newAccounts(2 * pairs), window, gate);
      using pairsOfOne = await openPairs([third], await newAccounts(2 * pairs), window, gate);
      const { two, alone } = await sideBySide({ two: pairsOfTwo, alone: pairsOfOne }, {
        count: ROUNDS,
        ms: ROUND_MS,
        warmUpMs: 1_000,
      });
      report({
        target: 3,
        what: `two nodes, ${what}`,
        value: median(two.rates),
        unit: "msgs/s",
        yardstick: { name: "one node", value: median(alone.rates) },
        ratio: ratioOfRounds(two, alone),
        goal: { at: "least", bound: 0.8 },
        details: detailsOf(two),
      });
    }
    say(`a lone pair, ${storage.name}`);
    await measureLonePair(context, storage, bare, await newAccounts(2));
  }
};
