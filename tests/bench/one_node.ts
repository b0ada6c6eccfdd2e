/**
 * Target 1: one node that stores nothing on the way, against the bare relay.
 *
 * @module
 */
import type { Bench } from "./bench.ts";
import { makeAccounts, openPairs, relayAccounts, ROUNDS, sqliteStorage, startNode } from "./bench.ts";
import { startRelay } from "./programs.ts";
import { cpuUs, detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

const LOADS = [{ pairs: 50, window: 1 }, { pairs: 500, window: 1 }, { pairs: 2_000, window: 1 }, {
  pairs: 50,
  window: 16,
}];

/** Rates, and how even the service is. */
export const oneNode: Bench = async ({ gate, report, say }) => {
  for (const { pairs, window } of LOADS) {
    const what = `${pairs} pairs${window > 1 ? ` × ${window}` : ""}`;
    say(`one node, nothing stored, ${what}`);
    await using storage = await sqliteStorage();
    const accounts = await makeAccounts(storage, 2 * pairs);
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
      goal: { at: "least", bound: 0.85 },
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
