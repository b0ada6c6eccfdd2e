/**
 * Target 5: what ten thousand connections cost that are logged in and say nothing but their heartbeats.
 *
 * @module
 */
import { type Bench, makeAccounts, relayAccounts, sqliteStorage, startNode } from "./bench.ts";
import { cpuSeconds, residentBytes } from "./cpu.ts";
import { type LoadClient, openClients } from "./load_client.ts";
import { startRelay } from "./programs.ts";

const CONNECTIONS = 10_000;
/** For code to be compiled and the heap to grow to its usual size before the empty process is looked at. */
const WARM_UP = 500;
const REST_MS = 10_000;
const encoder = new TextEncoder();
const BEAT = encoder.encode('{"msgid":18}\0');

/** Time for the garbage of so many logins to be collected, ms. */
const SETTLE_MS = 3_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function closeAll(clients: readonly LoadClient[]): void {
  for (const client of clients) client.close();
}

/** Resident memory for each of many connections beyond the process without them, KiB. */
async function memoryEach(
  pid: number,
  open: (from: number, to: number) => Promise<LoadClient[]>,
): Promise<{ kib: number; emptyMib: number; clients: LoadClient[] }> {
  closeAll(await open(0, WARM_UP));
  await pause(SETTLE_MS);
  const empty = residentBytes(pid);
  const clients = await open(WARM_UP, WARM_UP + CONNECTIONS);
  await pause(SETTLE_MS);
  const kib = (residentBytes(pid) - empty) / clients.length / 1024;
  return { kib, emptyMib: empty / 2 ** 20, clients };
}

/** Cores in use over some seconds, while every client sends a heartbeat every `intervalMs`. */
async function coresAtRest(pid: number, clients: readonly LoadClient[], intervalMs: number): Promise<number> {
  const [before = 0] = cpuSeconds(pid);
  const startedAt = performance.now();
  for (let sent = 0; performance.now() - startedAt < REST_MS;) {
    await pause(20);
    const due = (performance.now() - startedAt) / intervalMs * clients.length;
    for (; sent < due; sent++) clients[sent % clients.length]?.write(BEAT);
  }
  const [after = 0] = cpuSeconds(pid);
  return (after - before) / ((performance.now() - startedAt) / 1_000);
}

/** Memory and processor time. */
export const idle: Bench = async ({ gate, report, say }) => {
  say(`${CONNECTIONS} connections at rest`);
  await using storage = await sqliteStorage();
  const accounts = await makeAccounts(storage, WARM_UP + CONNECTIONS);
  await using server = await startNode(storage);
  await using relay = await startRelay();
  const [emptyBefore = 0] = cpuSeconds(server.pid);
  await pause(3_000);
  const [emptyAfter = 0] = cpuSeconds(server.pid);

  const bareAccounts = relayAccounts(WARM_UP + CONNECTIONS);
  const bare = await memoryEach(
    relay.pid,
    (from, to) => openClients(bareAccounts.slice(from, to), () => relay.port, gate),
  );
  closeAll(bare.clients);
  const { kib, emptyMib, clients } = await memoryEach(
    server.pid,
    (from, to) => openClients(accounts.slice(from, to), () => server.port, gate),
  );
  report({
    target: 5,
    what: `resident memory of each of ${CONNECTIONS} idle connections`,
    value: kib,
    unit: "KiB",
    goal: { at: "most", bound: 16 },
    details: { "bare relay KiB": bare.kib, "empty server MiB": emptyMib },
  });
  const cores = await coresAtRest(server.pid, clients, 30_000);
  closeAll(clients);
  report({
    target: 5,
    what: `cores in use with ${CONNECTIONS} connections at rest, a heartbeat each 30 s`,
    value: cores,
    unit: "cores",
    goal: { at: "most", bound: 0.02 },
    details: { "empty": (emptyAfter - emptyBefore) / 3 },
  });
};
