/**
 * `--against COMMIT`: the server as it is against the server as it was, in turns under the same load.
 *
 * The other tree makes its own storages, accounts and nodes: both may have changed since. What a node is asked for and told
 * is of version 1, which all of them speak.
 *
 * @module
 */
import { run } from "../support/process.ts";
import { startRedis } from "../support/services.ts";
import * as here from "./bench.ts";
import type { Bench } from "./bench.ts";
import { cpuUs, detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

/** The least that a row may be of what it was. */
const BOUND = 0.95;
/** More than where a yardstick is far away: what is looked for is a twentieth. */
const ROUNDS = { count: 15, ms: 1_000, warmUpMs: 1_500 };

interface Load {
  what: string;
  pairs: number;
  window: number;
  storage: "sqliteStorage" | "mariaDbStorage";
  args?: readonly string[];
  nodes?: number;
}

const UNSTORED = ["--persist", "offline"];

const LOADS: readonly Load[] = [
  { what: "nothing stored, 50 pairs", pairs: 50, window: 1, storage: "sqliteStorage", args: UNSTORED },
  { what: "nothing stored, 500 pairs", pairs: 500, window: 1, storage: "sqliteStorage", args: UNSTORED },
  { what: "nothing stored, 50 pairs × 16", pairs: 50, window: 16, storage: "sqliteStorage", args: UNSTORED },
  { what: "SQLite, a lone pair", pairs: 1, window: 1, storage: "sqliteStorage" },
  { what: "SQLite, 50 pairs", pairs: 50, window: 1, storage: "sqliteStorage" },
  { what: "SQLite, 500 pairs", pairs: 500, window: 1, storage: "sqliteStorage" },
  { what: "SQLite, 50 pairs × 16", pairs: 50, window: 16, storage: "sqliteStorage" },
  { what: "MariaDB, a lone pair", pairs: 1, window: 1, storage: "mariaDbStorage" },
  { what: "MariaDB, 50 pairs", pairs: 50, window: 1, storage: "mariaDbStorage" },
  { what: "MariaDB, 500 pairs", pairs: 500, window: 1, storage: "mariaDbStorage" },
  { what: "MariaDB, 50 pairs × 16", pairs: 50, window: 16, storage: "mariaDbStorage" },
  {
    what: "two nodes, nothing stored, 50 pairs",
    pairs: 50,
    window: 1,
    storage: "mariaDbStorage",
    args: UNSTORED,
    nodes: 2,
  },
  { what: "two nodes, MariaDB, 375 pairs", pairs: 375, window: 1, storage: "mariaDbStorage", nodes: 2 },
];

/** A tree of the repository in a folder of its own, until it is disposed of. */
async function checkOut(commit: string): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "chat-bench-" });
  const git = async (...args: string[]) => {
    const { code, stderr } = await run("git", ["worktree", ...args]);
    if (code !== 0) throw new Error(`git worktree ${args.join(" ")}: ${stderr}`);
  };
  await git("add", "--detach", path, commit);
  return { path, [Symbol.asyncDispose]: () => git("remove", "--force", path) };
}

/** A contestant of one tree; everything it is made of ends with `stack`. */
async function open(
  tree: typeof here,
  { storage, pairs, window, args = [], nodes = 1 }: Load,
  gate: here.BenchContext["gate"],
  stack: AsyncDisposableStack,
) {
  const place = stack.use(await tree[storage]());
  const accounts = await tree.makeAccounts(place, 2 * pairs);
  const redis = nodes > 1 ? stack.use(await startRedis()) : undefined;
  const servers = [];
  for (let node = 0; node < nodes; node++) {
    const ofCluster = redis ? ["--redis", redis.url, "--node", `node-${node}`] : [];
    servers.push(stack.use(await tree.startNode(place, [...args, ...ofCluster])));
  }
  return stack.use(await here.openPairs(servers, accounts, window, gate));
}

/** Against the tree of `commit`; `only`: loads whose name has it. */
export function against(commit: string, only?: string): Bench {
  return async ({ gate, report, say }) => {
    await using checkout = await checkOut(commit);
    const there: typeof here = await import(`file://${checkout.path}/tests/bench/bench.ts`);
    for (const load of LOADS) {
      if (only !== undefined && !load.what.includes(only)) continue;
      say(load.what);
      await using stack = new AsyncDisposableStack();
      const now = await open(here, load, gate, stack);
      const before = await open(there, load, gate, stack);
      const standings = await sideBySide({ now, before }, ROUNDS);
      report({
        target: 0,
        what: load.what,
        value: median(standings.now.rates),
        unit: "msgs/s",
        yardstick: { name: commit, value: median(standings.before.rates) },
        ratio: ratioOfRounds(standings.now, standings.before),
        goal: { at: "least", bound: BOUND },
        details: {
          ...detailsOf(standings.now),
          "p50 ms before": standings.before.latency.quantile(0.5),
          "p99 ms before": standings.before.latency.quantile(0.99),
          "CPU µs before": cpuUs(standings.before),
        },
      });
    }
  };
}
