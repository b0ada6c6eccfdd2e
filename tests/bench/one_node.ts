/**
 * Target 1: one node that stores nothing on the way, against the bare relay.
 *
 * @module
 */
import { createUsers, passwordLogin } from "./accounts.ts";
import type { Bench, Storage } from "./bench.ts";
import {
  makeAccounts,
  openPairs,
  relayAccounts,
  ROUNDS,
  sqliteStorage,
  startNode,
  withStorage,
} from "./bench.ts";
import type { Account } from "./load_client.ts";
import { startRelay } from "./programs.ts";
import { cpuUs, detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

interface Load {
  pairs: number;
  window: number;
  /** By password, and frames are not glued for it; otherwise 2. */
  version?: 1;
  /** The least that the ratio is to be. */
  bound: number;
}

const LOADS: readonly Load[] = [
  { pairs: 50, window: 1, bound: 0.95 },
  { pairs: 500, window: 1, bound: 0.9 },
  { pairs: 2_000, window: 1, bound: 0.9 },
  { pairs: 50, window: 16, bound: 0.9 },
  { pairs: 50, window: 16, version: 1, bound: 0.7 },
];

const PASSWORD = "right and long";

/** Users as the original's, who log in with version 1. */
async function makeVersion1(storage: Storage, count: number): Promise<Account[]> {
  const accounts = await withStorage(storage, (db) => createUsers(db, 1, count, PASSWORD));
  for (const account of accounts) account.login = passwordLogin(account.id, PASSWORD);
  return accounts;
}

/** Rates, and how even the service is. */
export const oneNode: Bench = async ({ gate, report, say }) => {
  for (const { pairs, window, version, bound } of LOADS) {
    const what = `${pairs} pairs${window > 1 ? ` × ${window}` : ""}${version ? `, version ${version}` : ""}`;
    say(`one node, nothing stored, ${what}`);
    await using storage = await sqliteStorage();
    const make = version === 1 ? makeVersion1 : makeAccounts;
    const accounts = await make(storage, 2 * pairs);
    await using server = await startNode(storage, ["--persist", "offline"]);
    await using relay = await startRelay();
    using measured = await openPairs([server], accounts, window, gate);
    using bare = await openPairs([relay], relayAccounts(2 * pairs), window, gate);
    const standings = await sideBySide({ measured, bare }, ROUNDS);
    report({
      target: 1,
      what: `one node, nothing stored, ${what}`,
      value: median(standings.measured.rates),
      unit: "msgs/s",
      yardstick: { name: "relay", value: median(standings.bare.rates) },
      ratio: ratioOfRounds(standings.measured, standings.bare),
      goal: { at: "least", bound },
      details: { ...detailsOf(standings.measured), "relay CPU µs": cpuUs(standings.bare) },
    });
    if (pairs < 500) continue;
    const { measured: { latency }, bare: { latency: bareLatency } } = standings;
    report({
      target: 1,
      what: `${what}: p99 against p50`,
      value: latency.quantile(0.99),
      unit: "ms",
      yardstick: { name: "p50", value: latency.quantile(0.5) },
      goal: { at: "most", bound: 3 },
      details: {
        "relay p50 ms": bareLatency.quantile(0.5),
        "relay p99 ms": bareLatency.quantile(0.99),
        "relay's ratio": bareLatency.quantile(0.99) / bareLatency.quantile(0.5),
      },
    });
  }
};
