/**
 * Target 6: how many clients come back in a second, and what those who talk notice of a storm of logins.
 *
 * @module
 */
import { startRedis } from "../support/services.ts";
import { createUsers, hashPassword, passwordLogin } from "./accounts.ts";
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
import type { Histogram } from "./histogram.ts";
import { type Account, LoadClient } from "./load_client.ts";
import { emptyStanding, measure, median } from "./side_by_side.ts";

const RESUMES = 3_000;
const WAVES = 3;
const STORM_CLIENTS = 100;
/** Each logs in once: a password that was right lately is not hashed again. */
const COMERS = 3_000;
const PASSWORD = "correct horse battery staple";
const QUIET_MS = 3_000;

/** All at once on connections that stand; resumes a second. */
async function resumeRate(
  { gate }: BenchContext,
  port: number,
  accounts: readonly Account[],
): Promise<number> {
  const clients: LoadClient[] = [];
  for (const account of accounts) clients.push(await LoadClient.connect(account, port, gate));
  const startedAt = performance.now();
  await Promise.all(clients.map((client) => client.logIn()));
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const client of clients) client.close();
  return accounts.length / seconds;
}

async function measureResumes(
  context: BenchContext,
  storage: Storage,
  args: readonly string[],
): Promise<void> {
  const { report, say } = context;
  say(`${RESUMES} clients resume at once, ${storage.name}`);
  const accounts = await makeAccounts(storage, RESUMES * WAVES);
  await using server = await startNode(storage, args);
  const rates: number[] = [];
  for (let wave = 0; wave < WAVES; wave++) {
    rates.push(await resumeRate(context, server.port, accounts.slice(wave * RESUMES, (wave + 1) * RESUMES)));
  }
  report({
    target: 6,
    what: `RESUME, ${RESUMES} at once, ${storage.name}${args.length > 0 ? " and Redis" : ""}`,
    value: median(rates),
    unit: "/s",
    goal: { at: "least", bound: 3_000 },
    details: { first: rates[0] ?? NaN, best: Math.max(...rates) },
  });
}

/** Logs one after the other in with a password, and out again. */
async function storm(
  client: LoadClient,
  comers: Iterator<Account, undefined>,
  isOver: () => boolean,
): Promise<number> {
  let logins = 0;
  while (!isOver()) {
    const { value: comer } = comers.next();
    if (!comer) throw new Error(`More than ${COMERS} have logged in`);
    for (const frame of [comer.login, `{"msgid":3,"id":${comer.id},"cid":"out"}`]) {
      const reply = await client.request(frame);
      if (!reply.includes('"errno":0')) throw new Error(`${frame} was refused: ${reply}`);
    }
    logins++;
  }
  return logins;
}

/** Chat at a steady, moderate rate, so that what it waits for is the server and not its own queue. */
async function measureStorm({ gate, report, say }: BenchContext): Promise<void> {
  say("chat during a storm of logins with passwords");
  await using storage = await sqliteStorage();
  const talkers = await makeAccounts(storage, 20);
  const hash = await hashPassword(PASSWORD);
  const comers = await withStorage(storage, (db) => createUsers(db, 1_000, COMERS, hash));
  for (const account of comers) account.login = passwordLogin(account.id, PASSWORD, 2);
  await using server = await startNode(storage, ["--persist", "offline"]);
  using pairs = await openPairs([server], talkers, 1, gate);
  const clients = [];
  for (const account of comers.slice(0, STORM_CLIENTS)) {
    clients.push(await LoadClient.connect(account, server.port, gate));
  }
  const waiting = comers.values();
  await pairs.run(500);

  const quiet = emptyStanding();
  const stormy = emptyStanding();
  let logins = 0;
  let stormMs = 0;
  for (let round = 0; round < 3; round++) {
    await measure(pairs, QUIET_MS / 3, quiet);
    let isOver = false;
    const startedAt = performance.now();
    const done = Promise.all(clients.map((client) => storm(client, waiting, () => isOver)));
    await measure(pairs, QUIET_MS / 3, stormy);
    isOver = true;
    logins += (await done).reduce((sum, count) => sum + count, 0);
    stormMs += performance.now() - startedAt;
  }
  for (const client of clients) client.close();
  const p99 = ({ latency }: { latency: Histogram }) => latency.quantile(0.99);
  report({
    target: 6,
    what: "10 pairs: p99 during a storm of password logins",
    value: p99(stormy),
    unit: "ms",
    yardstick: { name: "quiet", value: p99(quiet) },
    goal: { at: "most", bound: 3 },
    details: {
      "logins/s": logins / stormMs * 1_000,
      "p50 ms": stormy.latency.quantile(0.5),
      "quiet p50 ms": quiet.latency.quantile(0.5),
      "max ms": stormy.latency.maxMs,
    },
  });
}

/** Resumes and passwords. */
export const logins: Bench = async (context) => {
  {
    await using storage = await sqliteStorage();
    await measureResumes(context, storage, []);
  }
  {
    await using storage = await mariaDbStorage();
    await using redis = await startRedis();
    await measureResumes(context, storage, ["--redis", redis.url, "--node", "one"]);
  }
  await measureStorm(context);
};
