/**
 * Target 9: what it costs to measure each user's messages and bytes, against a node that does not.
 *
 * @module
 */
import type { Bench } from "./bench.ts";
import { makeAccounts, openPairs, ROUNDS, sqliteStorage, startNode } from "./bench.ts";
import { cpuUs, detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

/** More than any load sends, so that each message is measured and none is refused. */
const ABOVE_THE_LOAD = ["--message-rate", "1000000", "--byte-rate", "1024M"];
const PAIRS = 50;
const WINDOW = 16;

/** The same load on two nodes, which are alike but for the limits. */
export const limits: Bench = async ({ gate, report, say }) => {
  const what = `limits of messages and bytes, ${PAIRS} pairs × ${WINDOW}`;
  say(what);
  await using ours = await sqliteStorage();
  await using theirs = await sqliteStorage();
  const accounts = [await makeAccounts(ours, 2 * PAIRS), await makeAccounts(theirs, 2 * PAIRS)] as const;
  await using limited = await startNode(ours, ["--persist", "offline", ...ABOVE_THE_LOAD]);
  await using unlimited = await startNode(theirs, ["--persist", "offline"]);
  using measured = await openPairs([limited], accounts[0], WINDOW, gate);
  using bare = await openPairs([unlimited], accounts[1], WINDOW, gate);
  const standings = await sideBySide({ measured, bare }, ROUNDS);
  report({
    target: 9,
    what,
    value: median(standings.measured.rates),
    unit: "msgs/s",
    yardstick: { name: "no limits", value: median(standings.bare.rates) },
    ratio: ratioOfRounds(standings.measured, standings.bare),
    goal: { at: "least", bound: 0.95 },
    details: { ...detailsOf(standings.measured), "without limits CPU µs": cpuUs(standings.bare) },
  });
};
