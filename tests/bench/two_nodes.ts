/**
 * Target 2: two nodes that store nothing on the way, every pair split across them, against two bare relays that publish
 * and subscribe.
 *
 * @module
 */
import { startRedis } from "../support/services.ts";
import {
  type Bench,
  makeAccounts,
  mariaDbStorage,
  openPairs,
  relayAccounts,
  ROUNDS,
  startNode,
} from "./bench.ts";
import { startRelay } from "./programs.ts";
import { cpuUs, detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

const LOADS = [{ pairs: 50, window: 1 }, { pairs: 375, window: 1 }, { pairs: 50, window: 16 }];

/** Rates over the bus. */
export const twoNodes: Bench = async ({ gate, report, say }) => {
  await using storage = await mariaDbStorage();
  await using redis = await startRedis();
  const accounts = await makeAccounts(storage, 2 * Math.max(...LOADS.map(({ pairs }) => pairs)));
  for (const { pairs, window } of LOADS) {
    const what = `two nodes, nothing stored, ${pairs} pairs${window > 1 ? ` × ${window}` : ""}`;
    say(what);
    const args = ["--persist", "offline", "--redis", redis.url];
    await using one = await startNode(storage, [...args, "--node", "one"]);
    await using two = await startNode(storage, [...args, "--node", "two"]);
    await using relayOne = await startRelay(redis.url);
    await using relayTwo = await startRelay(redis.url);
    using measured = await openPairs([one, two], accounts.slice(0, 2 * pairs), window, gate);
    using bare = await openPairs([relayOne, relayTwo], relayAccounts(2 * pairs), window, gate);
    const standings = await sideBySide({ measured, bare }, ROUNDS);
    report({
      target: 2,
      what,
      value: median(standings.measured.rates),
      unit: "msgs/s",
      yardstick: { name: "two relays", value: median(standings.bare.rates) },
      ratio: ratioOfRounds(standings.measured, standings.bare),
      goal: { at: "least", bound: 0.85 },
      details: { ...detailsOf(standings.measured), "relays CPU µs": cpuUs(standings.bare) },
    });
  }
};
