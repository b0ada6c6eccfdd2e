/**
 * Target 4: a group of 500 who are online on two nodes, and what members who are away cost.
 *
 * @module
 */
import type { Database } from "../../lib/store/database.ts";
import { type MariaDb, type Redis, startRedis } from "../support/services.ts";
import { createAccounts, createUsers, insert } from "./accounts.ts";
import {
  type Bench,
  type BenchContext,
  mariaDbStorage,
  openPairs,
  relayAccounts,
  ROUNDS,
  startNode,
  type Storage,
  withStorage,
} from "./bench.ts";
import { GroupTalk } from "./group_talk.ts";
import { type Account, openClients } from "./load_client.ts";
import { startRelay } from "./programs.ts";
import { type Contestant, cpuUs, detailsOf, median, ratioOfRounds, sideBySide } from "./side_by_side.ts";

const ONLINE = 500;
const SPEAKERS = 16;
const AWAY = [10, 10_000];

/** Makes a group of these users. */
export async function createGroup(
  db: Database,
  groupId: number,
  members: readonly Pick<Account, "id">[],
): Promise<void> {
  const conversation = `g${groupId}`;
  await db.run("INSERT INTO AllGroup (id, groupname, groupdesc) VALUES (?, ?, '')", [
    groupId,
    `group ${groupId}`,
  ]);
  await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES (?, 0, ?)", [
    conversation,
    members.length,
  ]);
  await insert(
    db,
    "INSERT INTO GroupUser (groupid, userid) VALUES",
    "(?,?)",
    members.map(({ id }) => [groupId, id]),
  );
  await insert(
    db,
    "INSERT INTO Member (userid, conversation, since, delivered, `read`) VALUES",
    "(?,?,0,0,0)",
    members.map(({ id }) => [id, conversation]),
  );
}

/** Groups 1 and 2, each with users of its own online and some who are away. */
async function createGroups(storage: Storage): Promise<Account[][]> {
  return await withStorage(storage, async (db) => {
    const groups: Account[][] = [];
    let first = 1;
    for (const [index, away] of AWAY.entries()) {
      const online = await createAccounts(db, ONLINE, first);
      const others = await createUsers(db, first + ONLINE, away, "not to be used");
      await createGroup(db, index + 1, [...online, ...others]);
      groups.push(online);
      first += ONLINE + away;
    }
    return groups;
  });
}

async function openGroup(
  { gate }: BenchContext,
  groupId: number,
  members: readonly Account[],
  nodes: readonly { port: number; pid: number }[],
): Promise<Contestant & Disposable & { talk: GroupTalk }> {
  const clients = await openClients(members, (index) => nodes[index % nodes.length]?.port ?? 0, gate);
  const talk = new GroupTalk(groupId, clients, SPEAKERS);
  return {
    talk,
    run: (ms, meter) => talk.run(ms, meter),
    pids: nodes.map(({ pid }) => pid),
    [Symbol.dispose]: () => clients.forEach((client) => client.close()),
  };
}

async function countPublishes(redis: Redis): Promise<number> {
  return Number(/cmdstat_publish:calls=(\d+)/.exec(await redis.cli("INFO", "commandstats"))?.[1] ?? 0);
}

/** How many statements of these kinds MariaDB has run: `begin`, `insert`, `commit`, `select`. */
export async function countStatements(mariaDb: MariaDb, kinds: readonly string[]): Promise<number> {
  const names = kinds.map((kind) => `'Com_${kind}'`).join(",");
  const rows = await mariaDb.sql(`SHOW GLOBAL STATUS WHERE Variable_name IN (${names})`);
  return rows.split("\n").reduce((sum, row) => sum + Number(row.split("\t")[1]), 0);
}

/** Deliveries, publishes and the cost of those who are away. */
export const group: Bench = async (context) => {
  const { gate, report, say } = context;
  say(`a group of ${ONLINE} on two nodes`);
  await using storage = await mariaDbStorage();
  await using redis = await startRedis();
  const [few = [], many = []] = await createGroups(storage);
  await using one = await startNode(storage, ["--redis", redis.url, "--node", "one"]);
  await using two = await startNode(storage, ["--redis", redis.url, "--node", "two"]);
  await using relay = await startRelay();
  using bare = await openPairs([relay], relayAccounts(ONLINE), 1, gate);
  using withFew = await openGroup(context, 1, few, [one, two]);
  const publishesBefore = await countPublishes(redis);
  const { measured, bare: yardstick } = await sideBySide({ measured: withFew, bare }, ROUNDS);
  const publishes = await countPublishes(redis) - publishesBefore;
  report({
    target: 4,
    what: `a group of ${ONLINE} on two nodes, stored in ${storage.name}`,
    value: median(measured.rates),
    unit: "deliveries/s",
    yardstick: { name: "relay", value: median(yardstick.rates) },
    ratio: ratioOfRounds(measured, yardstick),
    goal: { at: "least", bound: 0.7 },
    details: { "messages/s": median(measured.rates) / (ONLINE - 1), ...detailsOf(measured) },
  });
  report({
    target: 4,
    what: "publishes for each group message, receipts and all",
    value: publishes / withFew.talk.messages,
    unit: "",
    goal: { at: "most", bound: 1.1 },
  });
  say(`${AWAY[0]} or ${AWAY[1]} members who are away`);
  using withMany = await openGroup(context, 2, many, [one, two]);
  const standings = await sideBySide({ withMany, withFew }, ROUNDS);
  report({
    target: 4,
    what: `a message with ${AWAY[1]} members away, processor time of both nodes`,
    value: cpuUs(standings.withMany) * (ONLINE - 1),
    unit: "µs",
    yardstick: { name: `${AWAY[0]} away`, value: cpuUs(standings.withFew) * (ONLINE - 1) },
    goal: { at: "most", bound: 1.2 },
    details: detailsOf(standings.withMany),
  });
};
