/**
 * Target 6: a node is killed with ten thousand users, who all come back through the other one. How long it takes until the
 * last one is in, and what those notice who chat there. They come as clients come: each at once, but for what a client's
 * back-off draws, and again when it is not let in.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "../../lib/store/database.ts";
import { readMetrics } from "../support/metrics.ts";
import { temporaryFolder } from "../support/process.ts";
import { type Server, startRedis } from "../support/services.ts";
import { createAccounts, createDevices, createUsers, hashPassword, passwordLogin } from "./accounts.ts";
import { type Bench, type BenchContext, mariaDbStorage, startNode, withStorage } from "./bench.ts";
import { type Account, LoadClient, openClients } from "./load_client.ts";
import { PingPong } from "./ping_pong.ts";
import { startReturners } from "./programs.ts";
import type { Return } from "./returners.ts";
import type { Histogram } from "./histogram.ts";

const USERS = 10_000;
/** They say something twenty times a second, so that what it waits for is the server and not its own queue. */
const TALKERS = 100;
const THINK_MS = 50;
const WARM_UP_MS = 500;
const QUIET_MS = 3_000;
/** Until two nodes that have just started know each other: see recent_passwords.ts. */
const MEET_MS = 3_000;
/** The least there is: all passwords are hashed once on the node that dies, and never on the other one. */
const SET_UP_COST = 10;
/** Users whose passwords no node has seen, to see how long it would take if all were hashed as dear as usual. */
const STRANGERS = 100;
const USUAL_COST = 14;
const PASSWORD = "correct horse battery staple";

/** Makes users of version 1, all with the same password. */
async function createPasswordUsers(
  db: Database,
  first: number,
  count: number,
  passwordCost: number,
): Promise<Account[]> {
  const users = await createUsers(db, first, count, await hashPassword(PASSWORD, passwordCost));
  for (const user of users) user.login = passwordLogin(user.id, PASSWORD);
  return users;
}

/** Seconds until all had logged in if it went on as with these. */
async function secondsToHash(
  { gate }: BenchContext,
  node: Server,
  strangers: readonly Account[],
): Promise<number> {
  const clients: LoadClient[] = [];
  for (const stranger of strangers) clients.push(await LoadClient.connect(stranger, node.port, gate));
  const startedAt = performance.now();
  await Promise.all(clients.map((client) => client.logIn()));
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const client of clients) client.close();
  return seconds * USERS / strangers.length;
}

/** What a return has shown. */
interface Measured {
  returned: Return;
  /** Of the talkers, before and meanwhile. */
  quiet: Histogram;
  stormy: Histogram;
  /** Passwords hashed by the node that they came to. */
  hashes: number;
  /** How long it would take if all passwords were hashed, s. */
  toHash: number | undefined;
}

/** `strangers`: of version 1, to be hashed when all are back. */
async function measureReturn(
  context: BenchContext,
  create: (db: Database, first: number) => Promise<Account[]>,
  strangers: number,
): Promise<Measured> {
  const { gate, say } = context;
  await using storage = await mariaDbStorage();
  await using redis = await startRedis();
  await using folder = await temporaryFolder();
  const { talkers, users, unknown } = await withStorage(storage, async (db) => ({
    talkers: await createAccounts(db, TALKERS),
    users: await create(db, TALKERS + 1),
    unknown: await createPasswordUsers(db, TALKERS + USERS + 1, strangers, USUAL_COST),
  }));
  const logins = `${folder.path}/logins`;
  await Deno.writeTextFile(logins, users.map(({ login }) => login).join("\n"));
  const args = ["--redis", redis.url, "--http", "127.0.0.1:0", "--password-cost", String(SET_UP_COST)];
  // All come at once, from an address that is nobody's, and say nothing more.
  args.push("--max-anonymous", String(2 * USERS), "--heartbeat-interval", "10m");
  await using home = await startNode(storage, [...args, "--node", "home"]);
  await using refuge = await startNode(storage, [...args, "--node", "refuge"]);
  await pause(MEET_MS);
  await using returners = await startReturners(home.port, refuge.port, logins);
  say("  all are logged in at the node that is to die");
  const clients = await openClients(talkers, () => refuge.port, gate);
  const pairs = new PingPong(clients, { window: 1, thinkMs: THINK_MS });
  await pairs.run(WARM_UP_MS);
  const { latency: quiet } = await pairs.run(QUIET_MS);
  const { latency: stormy } = await pairs.run(returners.done, {
    begin: () => home.signal("SIGKILL"),
    end() {},
  });
  for (const client of clients) client.close();
  const hashes = (await readMetrics(refuge)).value("chat_hashes_total");
  return {
    returned: await returners.done,
    quiet,
    stormy,
    hashes,
    toHash: strangers === 0 ? undefined : await secondsToHash(context, refuge, unknown),
  };
}

function reportReturn(
  { report }: BenchContext,
  who: string,
  { returned, quiet, stormy, hashes, toHash }: Measured,
): void {
  const { seconds: [first, half, last], refused, lost } = returned;
  report({
    target: 6,
    what: `after kill -9: until ${USERS} of ${who} are back`,
    value: last,
    unit: "s",
    ...(toHash === undefined ? {} : { yardstick: { name: "all hashed", value: toHash } }),
    details: { "first s": first, "half s": half, refused, lost, hashes },
  });
  report({
    target: 6,
    what: `${TALKERS / 2} pairs: p99 while ${USERS} of ${who} come back`,
    value: stormy.quantile(0.99),
    unit: "ms",
    yardstick: { name: "quiet", value: quiet.quantile(0.99) },
    details: {
      "p50 ms": stormy.quantile(0.5),
      "quiet p50 ms": quiet.quantile(0.5),
      "max ms": stormy.maxMs,
    },
  });
}

/** See the module. */
export const returns: Bench = async (context) => {
  context.say(`${USERS} users of version 1 come back through another node`);
  const withPasswords = (db: Database, first: number) => createPasswordUsers(db, first, USERS, SET_UP_COST);
  reportReturn(context, "version 1, by password,", await measureReturn(context, withPasswords, STRANGERS));
  context.say(`${USERS} users of version 3 come back through another node`);
  const withTokens = (db: Database, first: number) => createDevices(db, first, USERS);
  reportReturn(context, "version 3, by token,", await measureReturn(context, withTokens, 0));
};
