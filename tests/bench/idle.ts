/**
 * Target 5: what twenty thousand connections cost that are logged in and say nothing but their heartbeats.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { runOrThrow, temporaryFolder } from "../support/process.ts";
import { type Bench, makeAccounts, relayAccounts, sqliteStorage, startNode } from "./bench.ts";
import { cpuSeconds, residentBytes } from "./cpu.ts";
import type { Account } from "./load_client.ts";
import { startIdlers, startRelay } from "./programs.ts";
import { median } from "./side_by_side.ts";

const CONNECTIONS = 20_000;
/** What else a process has open. */
const OTHER_FILES = 500;
/** The clients are as many processes. */
const CLIENT_PROCESSES = 2;
/** For code to be compiled and the heap to grow to its usual size before the empty process is looked at. */
const WARM_UP = 500;
const WINDOWS = 5;
const WINDOW_MS = 4_000;

/** Time for the garbage of so many logins to be collected, ms. */
const SETTLE_MS = 3_000;

/** As many as a process may have here. */
async function connectionsAllowed(): Promise<number> {
  const files = Number(await runOrThrow("sh", ["-c", "ulimit -Hn"]));
  // Where there is no limit that is no number.
  return files > 0 ? Math.min(CONNECTIONS, files - OTHER_FILES) : CONNECTIONS;
}

/** What is looked at. */
interface Site {
  port: number;
  pid: number;
  accounts: readonly Account[];
  /** What its clients say every 30 s. */
  beatOf: (account: Account) => string;
}

/** Some of the clients of a site, until they are disposed of. */
async function open({ port, accounts, beatOf }: Site, from: number, to: number): Promise<AsyncDisposable> {
  await using folder = await temporaryFolder();
  const some = accounts.slice(from, to);
  const file = `${folder.path}/idlers.json`;
  await Deno.writeTextFile(file, JSON.stringify({ port, accounts: some, beats: some.map(beatOf) }));
  return await startIdlers(file);
}

/**
 * Resident memory for each of many connections beyond the process without them, KiB, and cores in use while each is heard
 * of every 30 s. The middle of some windows: the runtime collects the garbage of the logins once more half a minute later,
 * which would be all that is measured.
 */
async function measure(site: Site): Promise<{ kib: number; emptyMib: number; cores: number }> {
  const { pid, accounts } = site;
  {
    await using _warmUp = await open(site, 0, WARM_UP);
  }
  await pause(SETTLE_MS);
  const empty = residentBytes(pid);
  await using clients = new AsyncDisposableStack();
  const count = accounts.length - WARM_UP;
  for (let part = 0; part < CLIENT_PROCESSES; part++) {
    const begin = (index: number) => WARM_UP + Math.floor(count * index / CLIENT_PROCESSES);
    clients.use(await open(site, begin(part), begin(part + 1)));
  }
  await pause(SETTLE_MS);
  const kib = (residentBytes(pid) - empty) / count / 1024;
  const cores: number[] = [];
  for (let window = 0; window < WINDOWS; window++) cores.push(await coresInUse(pid, WINDOW_MS));
  return { kib, emptyMib: empty / 2 ** 20, cores: median(cores) };
}

async function coresInUse(pid: number, ms: number): Promise<number> {
  const [before = 0] = cpuSeconds(pid);
  await pause(ms);
  const [after = 0] = cpuSeconds(pid);
  return (after - before) / ms * 1_000;
}

/** Memory and processor time. */
export const idle: Bench = async ({ report, say }) => {
  const count = await connectionsAllowed();
  say(`${count} connections at rest`);
  await using storage = await sqliteStorage();
  const accounts = await makeAccounts(storage, WARM_UP + count);
  await using server = await startNode(storage);
  await using relay = await startRelay();
  const emptyCores = await coresInUse(server.pid, SETTLE_MS);
  const bare = await measure({
    port: relay.port,
    pid: relay.pid,
    accounts: relayAccounts(WARM_UP + count),
    // The relay sends back what is for its sender.
    beatOf: ({ id }) => `{"msgid":6,"toid":${id}}`,
  });
  const { port, pid } = server;
  const full = await measure({ port, pid, accounts, beatOf: () => '{"msgid":18}' });
  report({
    target: 5,
    what: `resident memory of each of ${count} idle connections`,
    value: full.kib,
    unit: "KiB",
    goal: { at: "most", bound: 14 },
    details: { "bare relay KiB": bare.kib, "empty server MiB": full.emptyMib },
  });
  report({
    target: 5,
    what: `cores beyond the relay's, ${count} connections at rest, a heartbeat each 30 s`,
    value: full.cores - bare.cores,
    unit: "cores",
    goal: { at: "most", bound: 0.04 },
    details: { "server": full.cores, "bare relay": bare.cores, "empty server": emptyCores },
  });
};
