/**
 * Target 5: what ten thousand connections cost that are logged in and say nothing but their heartbeats.
 *
 * @module
 */
import { type Bench, makeAccounts, relayAccounts, sqliteStorage, startNode } from "./bench.ts";
import { cpuSeconds, residentBytes } from "./cpu.ts";
import { type LoadClient, openClients } from "./load_client.ts";
import { startRelay } from "./programs.ts";
import { median } from "./side_by_side.ts";

const CONNECTIONS = 10_000;
/** For code to be compiled and the heap to grow to its usual size before the empty process is looked at. */
const WARM_UP = 500;
const WINDOWS = 5;
const WINDOW_MS = 4_000;
const BEAT_EVERY_MS = 30_000;
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

/**
 * Cores in use while every client says something short every 30 s and is answered. The middle of some windows: the runtime
 * collects the garbage of the logins once more half a minute later, which would be all that is measured.
 */
async function coresAtRest(
  pid: number,
  clients: readonly LoadClient[],
  beat: (client: LoadClient) => Uint8Array,
): Promise<number> {
  const beats = clients.map(beat);
  const cores: number[] = [];
  const startedAt = performance.now();
  let sent = 0;
  for (let window = 1; window <= WINDOWS; window++) {
    const [before = 0] = cpuSeconds(pid);
    while (performance.now() - startedAt < window * WINDOW_MS) {
      await pause(20);
      const due = (performance.now() - startedAt) / BEAT_EVERY_MS * clients.length;
      for (; sent < due; sent++) clients[sent % clients.length]?.write(beats[sent % beats.length] ?? BEAT);
    }
    const [after = 0] = cpuSeconds(pid);
    cores.push((after - before) / WINDOW_MS * 1_000);
  }
  return median(cores);
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
  // The relay sends back what is for its sender.
  const bareCores = await coresAtRest(
    relay.pid,
    bare.clients,
    ({ account }) => encoder.encode(`{"msgid":6,"toid":${account.id}}\0`),
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
  const cores = await coresAtRest(server.pid, clients, () => BEAT);
  closeAll(clients);
  report({
    target: 5,
    what: `cores beyond the relay's, ${CONNECTIONS} connections at rest, a heartbeat each 30 s`,
    value: cores - bareCores,
    unit: "cores",
    goal: { at: "most", bound: 0.02 },
    details: { "server": cores, "bare relay": bareCores, "empty server": (emptyAfter - emptyBefore) / 3 },
  });
};
