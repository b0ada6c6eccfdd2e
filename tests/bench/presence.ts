/**
 * Target 7: what it costs to tell ten thousand users, on two nodes, with twenty friends each, who of those comes and goes.
 *
 * Those who come and go are of version 2, whose logins cost the same whether anybody has added them or not: the difference
 * between those whom twenty have added and those whom nobody has is what telling costs. Beside it stands what it costs a
 * program that does nothing but write as many frames to as many connections.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "../../lib/store/database.ts";
import { startRedis } from "../support/services.ts";
import { createAccounts, createDevices, insert } from "./accounts.ts";
import { type Bench, mariaDbStorage, startNode, withStorage } from "./bench.ts";
import { cpuSeconds } from "./cpu.ts";
import { type Account, LoadClient, openClients } from "./load_client.ts";
import { startWriter } from "./programs.ts";
import { median } from "./side_by_side.ts";

const ONLINE = 10_000;
const FRIENDS = 20;
/** Each is online for half a cycle, longer than what is told has to last, and then away for the other half. */
const GUESTS = 1_200;
const CYCLE_MS = 12_000;
const ROUNDS = 3;
const PRESENCE = new TextEncoder().encode('{"msgid":31,');

/** Everybody has added {@link FRIENDS} others: as many of the guests as makes {@link FRIENDS} for each of those. */
async function befriend(
  db: Database,
  online: readonly Account[],
  guests: readonly Account[],
): Promise<void> {
  const rows: [number, number][] = [];
  for (const [index, { id }] of guests.entries()) {
    for (let friend = 0; friend < FRIENDS; friend++) {
      rows.push([online[(index * FRIENDS + friend) % online.length]?.id ?? 0, id]);
    }
  }
  const ofGuests = Math.ceil(guests.length * FRIENDS / online.length);
  for (const [index, { id }] of online.entries()) {
    for (let friend = 1; friend <= FRIENDS - ofGuests; friend++) {
      rows.push([id, online[(index + friend) % online.length]?.id ?? 0]);
    }
  }
  await insert(db, "INSERT INTO Friend (userid, friendid) VALUES", "(?,?)", rows);
}

/** Comes and goes until `signal` says that it is enough. */
async function comeAndGo(
  delayMs: number,
  connect: () => Promise<LoadClient>,
  signal: AbortSignal,
): Promise<void> {
  await pause(delayMs);
  while (!signal.aborted) {
    const client = await connect();
    await client.logIn();
    await pause(CYCLE_MS / 2);
    client.close();
    if (!signal.aborted) await pause(CYCLE_MS / 2);
  }
}

/** Cores that it takes to write `perSecond` frames, and nothing else. */
async function measureWrites(perSecond: number): Promise<number> {
  await using writer = await startWriter(ONLINE, perSecond);
  const sockets: Deno.TcpConn[] = [];
  const read = async (socket: Deno.TcpConn) => {
    const buffer = new Uint8Array(4_096);
    while (await socket.read(buffer) !== null);
  };
  while (sockets.length < ONLINE) {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port: writer.port });
    sockets.push(socket);
    // It is closed here.
    read(socket).catch(() => {});
  }
  await pause(CYCLE_MS / 4);
  const [before = 0] = cpuSeconds(writer.pid);
  const startedAt = performance.now();
  await pause(CYCLE_MS);
  const [after = 0] = cpuSeconds(writer.pid);
  const cores = (after - before) / ((performance.now() - startedAt) / 1_000);
  for (const socket of sockets) socket.close();
  return cores;
}

/** See the module. */
export const presence: Bench = async ({ gate, report, say }) => {
  say(`${ONLINE} users on two nodes, with ${FRIENDS} friends each, log in`);
  await using storage = await mariaDbStorage();
  const { online, watched, unwatched } = await withStorage(storage, async (db) => {
    const online = await createDevices(db, 1, ONLINE);
    const watched = await createAccounts(db, GUESTS, ONLINE + 1);
    const unwatched = await createAccounts(db, GUESTS, ONLINE + GUESTS + 1);
    await befriend(db, online, watched);
    return { online, watched, unwatched };
  });
  await using redis = await startRedis();
  // Those who are online say nothing.
  const args = ["--redis", redis.url, "--heartbeat-interval", "10m"];
  await using first = await startNode(storage, [...args, "--node", "one"]);
  await using second = await startNode(storage, [...args, "--node", "two"]);
  const ports = [first.port, second.port];
  const clients = await openClients(online, (index) => ports[index % 2] ?? 0, gate);
  let told = 0;
  for (const client of clients) {
    client.onFrame = (bytes, start) => {
      if (PRESENCE.every((byte, index) => bytes[start + index] === byte)) told++;
    };
  }
  /** Cores in use by both nodes while these come and go, and frames that told of it, a second. */
  const measure = async (guests: readonly Account[]) => {
    const end = new AbortController();
    const all = Promise.all(guests.map((guest, index) =>
      comeAndGo(
        index / guests.length * CYCLE_MS,
        () => LoadClient.connect(guest, ports[index % 2] ?? 0, gate),
        end.signal,
      )
    ));
    await pause(CYCLE_MS);
    const cpu = () => cpuSeconds(first.pid, second.pid).reduce((sum, seconds) => sum + seconds, 0);
    const [cpuBefore, toldBefore, startedAt] = [cpu(), told, performance.now()];
    await pause(CYCLE_MS);
    const seconds = (performance.now() - startedAt) / 1_000;
    const measured = { cores: (cpu() - cpuBefore) / seconds, told: (told - toldBefore) / seconds };
    end.abort();
    await all;
    return measured;
  };
  const cores: { with: number; without: number; told: number }[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`${2_000 * GUESTS / CYCLE_MS} logins and logouts a second, round ${round} of ${ROUNDS}`);
    const without = await measure(unwatched);
    const { cores: withFriends, told } = await measure(watched);
    cores.push({ with: withFriends, without: without.cores, told });
  }
  for (const client of clients) client.close();
  say("as many frames are written by who does nothing else");
  const writes = await measureWrites(Math.round(median(cores.map((round) => round.told))));
  report({
    target: 7,
    what: `telling ${FRIENDS} friends of ${2_000 * GUESTS / CYCLE_MS} logins and logouts a second`,
    value: median(cores.map((round) => round.with - round.without)),
    unit: "cores",
    goal: { at: "most", bound: 0.05 },
    details: {
      "cores with": median(cores.map((round) => round.with)),
      "cores without": median(cores.map((round) => round.without)),
      "told a second": median(cores.map((round) => round.told)),
      "cores for bare writes": writes,
    },
  });
};
