/**
 * What all measurements share.
 *
 * @module
 */
import type { ReadGate } from "../../lib/net/read_gate.ts";
import type { Database } from "../../lib/store/database.ts";
import { ENGINE, engine } from "../support/engines.ts";
import { temporaryFolder } from "../support/process.ts";
import { type MariaDb, type Server, startMariaDb, startServer, UNMEASURED } from "../support/services.ts";
import { createAccounts, openStorage } from "./accounts.ts";
import { type Account, type LoadClient, openClients } from "./load_client.ts";
import { PingPong } from "./ping_pong.ts";
import type { Finding } from "./report.ts";
import type { Contestant, Rounds } from "./side_by_side.ts";

/** A measurement: some rows of the table. Whatever it starts it ends. */
export type Bench = (context: BenchContext) => Promise<void>;

/** What a measurement is given. */
export interface BenchContext {
  /** The load's own read gate. */
  gate: ReadGate;
  /** Takes a row. */
  report(finding: Finding): void;
  /** Says what is being done, for those who wait. */
  say(text: string): void;
}

/** Ratios within one run settle after a few rounds, longer ones only take longer. */
export const ROUNDS: Rounds = { count: 5, ms: 1_000, warmUpMs: 700 };

/** A node's data, in a folder or in a MariaDB of its own. */
export interface Storage extends AsyncDisposable {
  /** What the server is told. */
  args: readonly string[];
  /** For people. */
  name: string;
  /** Not for SQLite. */
  mariaDb?: MariaDb;
}

/** An empty SQLite file. */
export async function sqliteStorage(): Promise<Storage> {
  const folder = await temporaryFolder();
  return {
    name: "SQLite",
    args: ["--sqlite", `${folder.path}/chat.db`],
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** An empty MariaDB, or what is in its place, with memory enough not to measure its disk. */
export async function mariaDbStorage(): Promise<Storage> {
  const mariaDb = await startMariaDb({ args: engine.largeSizes });
  return {
    name: ENGINE,
    args: ["--mysql", mariaDb.url],
    mariaDb,
    [Symbol.asyncDispose]: () => mariaDb[Symbol.asyncDispose](),
  };
}

/** Works on a storage while no node has it. */
export async function withStorage<Result>(
  storage: Storage,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  const db = await openStorage(storage.args);
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

/** Users with tokens, ids from `first` on. */
export function makeAccounts(storage: Storage, count: number, first = 1): Promise<Account[]> {
  return withStorage(storage, (db) => createAccounts(db, count, first));
}

/** A node of the server under measurement. The load acknowledges now and then; what it has not must not come again. */
export function startNode(storage: Storage, args: readonly string[] = []): Promise<Server> {
  return startServer([...storage.args, ...UNMEASURED, "--log-level", "warn", "--ack-timeout", "1h", ...args]);
}

/** The relay believes whoever says who he is. */
export function relayAccounts(count: number): Account[] {
  return Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    name: `user ${index + 1}`,
    login: `{"msgid":1,"id":${index + 1}}`,
  }));
}

/** Pairs of clients on these nodes: the first of each pair on the first node, and so on round. */
export async function openPairs(
  nodes: readonly { port: number; pid: number }[],
  accounts: readonly Account[],
  window: number,
  gate: ReadGate,
): Promise<Contestant & Disposable> {
  const clients = await openClients(accounts, (index) => nodes[index % nodes.length]?.port ?? 0, gate);
  return pairUp(clients, nodes.map(({ pid }) => pid), window);
}

/** Clients 0 and 1 are a pair, and so on; `pids` are the processes they keep busy. */
export function pairUp(
  clients: readonly LoadClient[],
  pids: readonly number[],
  window: number,
): Contestant & Disposable {
  const load = new PingPong(clients, { window });
  return {
    run: (ms, meter) => load.run(ms, meter),
    pids,
    [Symbol.dispose]: () => clients.forEach((client) => client.close()),
  };
}
