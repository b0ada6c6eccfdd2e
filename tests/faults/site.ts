/**
 * A place where things are broken on purpose: nodes, what they need, and a crowd that talks meanwhile.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { readMetrics } from "../support/metrics.ts";
import { type Random, randomFrom, testSeed } from "../support/random.ts";
import { type Redis, type Server, UNMEASURED } from "../support/services.ts";
import { waitFor } from "../support/process.ts";
import { type Allowance, audit, everyoneHasHeard } from "./audit.ts";
import type { Crowd } from "./crowd.ts";
import { emptyTally, type Tally } from "./ledger.ts";
import type { Store } from "./store.ts";
import { FaultTable, type TableRow } from "./table.ts";
import { readVitals, type Vitals } from "./vitals.ts";

/** Generous: it is only ever reached by a failure. */
const DEADLINE_MS = 60_000;
/** Acknowledged messages before and after a fault: proof of load, and of recovery under load. */
const LOAD = 150;
/** What a process may keep that it did not have after the first round: caches, and a heap that has grown once, MiB. */
const GROWTH_MIB = 160;
/** The pool's connections, and the one that has just asked. */
const FILE_GROWTH = 14;

const { seed } = testSeed();
console.log(`CHAT_TEST_SEED=${seed}`);

/**
 * Options of every node of a fault test: it tells its vitals, its users may send what they like, and nothing stands between,
 * so that a version 1 user who goes in good order is known to have read all.
 */
export const NODE_ARGS: readonly string[] = [
  "--http",
  "127.0.0.1:0",
  "--proxy-protocol",
  "none",
  ...UNMEASURED,
];

/** What is left to chance in all fault tests; follows from the printed seed. */
export const random: Random = randomFrom(seed);

/** Lines of all fault tests of this run. */
export const table: FaultTable = new FaultTable();

/** How many rounds where `usual` is the number for a run that somebody waits for. */
export function rounds(usual: number): number {
  const factor = Number(Deno.env.get("CHAT_FAULT_ROUNDS") ?? 1);
  return Math.max(1, Math.round(usual * (Number.isFinite(factor) ? factor : 1)));
}

/** Resolves at a random moment within `maxMs`. Not a wait for anything: the moment is what is tested. */
export function someMoment(maxMs: number, minMs = 0): Promise<void> {
  const ms = minMs + random.below(maxMs - minMs);
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A way to break things. */
export interface Fault {
  /** As the table says it. */
  name: string;
  /** How often, in a run that somebody waits for. */
  rounds: number;
  /** Breaks it, and mends it unless it mends itself, while everybody talks. What it returns stands in the table. */
  strike: (round: number) => Promise<string | void>;
  /**
   * A node is killed or cut off from its clients. What it had taken from version 1 users and not stored may be gone, for
   * nobody was told that it was stored; what it had given them lately may come again.
   */
  costsNode?: boolean;
  /** Why it cannot be done here; undefined when it can. */
  obstacle?: string | undefined;
  /** Nobody talks unless `strike` makes them. */
  isQuiet?: boolean;
}

/** What a site is made of. */
export interface SiteParts {
  /** The books. */
  store: Store;
  /** Who talks. */
  crowd: Crowd;
  /** The nodes that run. */
  nodes: () => Iterable<Server>;
  /** The bus between them; null for a node that is alone. */
  redis: () => Redis | null;
}

/** See the module. */
export class Site {
  /** The books. */
  readonly store: Store;
  /** Who talks. */
  readonly crowd: Crowd;
  readonly #parts: SiteParts;
  #atRest: Vitals[] = [];
  /** What has failed: what comes after it would fail because of that. */
  #broken: string | undefined;

  /** Everybody of the crowd is online already. */
  constructor(parts: SiteParts) {
    this.store = parts.store;
    this.crowd = parts.crowd;
    this.#parts = parts;
  }

  /**
   * A round in which nothing is broken, to know what is normal.
   *
   * @param options.strike What is done in it besides.
   */
  async warmUp({ isQuiet = false, strike = () => Promise.resolve() }: {
    isQuiet?: boolean;
    strike?: Fault["strike"];
  } = {}): Promise<void> {
    const nothing: Fault = { name: "nothing", rounds: 1, isQuiet, strike };
    await this.#round(nothing, 0, newRow(nothing.name));
    this.#atRest = await this.#vitals();
  }

  /** Breaks things as often as asked for and adds a line to the table. */
  async suffer(context: Deno.TestContext, fault: Fault): Promise<void> {
    const obstacle = this.#broken === undefined ? fault.obstacle : `"${this.#broken}" has failed`;
    if (obstacle !== undefined) return await skip(context, fault.name, obstacle);
    const row = newRow(fault.name);
    table.add(row);
    const isGood = await context.step(fault.name, async () => {
      for (let round = 0; round < rounds(fault.rounds); round++) await this.#round(fault, round, row);
    });
    if (!isGood) this.#broken = fault.name;
  }

  async #round(fault: Fault, round: number, row: TableRow): Promise<void> {
    const { crowd, store } = this;
    const allowance: Allowance = { unstoredV1: fault.costsNode ?? false };
    crowd.ledger.tally = emptyTally();
    try {
      await crowd.comeIn();
      if (!fault.isQuiet) {
        crowd.startTalking();
        await crowd.talked(LOAD);
      }
      row.note = await fault.strike(round) ?? row.note;
      if (!fault.isQuiet) await crowd.talked(LOAD);
      await crowd.stopTalking();
      await crowd.answered();
      await everyoneHasHeard(store, crowd.ledger, allowance);
      await crowd.leave();
    } finally {
      await crowd.vanish();
      addTally(row.tally, crowd.ledger.tally);
      row.rounds++;
    }
    const { lost, unstoredV1, faults } = await audit(store, crowd.ledger, allowance);
    row.lost += lost;
    row.unstoredV1 += unstoredV1;
    const { duplicated, outOfOrder, repeats } = crowd.ledger.tally;
    if (duplicated > 0) faults.push(`${duplicated} messages were heard twice`);
    if (outOfOrder > 0) faults.push(`${outOfOrder} messages were heard out of order`);
    if (repeats[1] > 0 && !fault.costsNode) {
      faults.push(`${repeats[1]} messages came to version 1 users twice`);
    }
    faults.push(...this.#falseAlarms());
    const problems = [...faults, ...await this.#findUnrest()];
    assertEquals(problems.slice(0, 20), [], `round ${round + 1}: ${problems.length} problems`);
  }

  /** Whatever is broken here, no database loses what it has confirmed. */
  #falseAlarms(): string[] {
    const alarms = [...this.#parts.nodes()].flatMap(({ stderr }) =>
      stderr.split("\n").filter((line) => line.includes("has gone back in time"))
    );
    return alarms.slice(0, 1);
  }

  /** What is not as it is when nobody is there. */
  async #findUnrest(): Promise<string[]> {
    let unrest: string[] = [];
    try {
      await waitFor("everything to be at rest", async () => {
        unrest = await this.#lookForUnrest();
        return unrest.length === 0;
      }, DEADLINE_MS);
      return [];
    } catch (error) {
      return [String(error), ...unrest];
    }
  }

  async #lookForUnrest(): Promise<string[]> {
    const unrest: string[] = [];
    const online = await this.store.sql("SELECT id FROM User WHERE state = 'online'");
    if (online.length > 0) unrest.push(`users online in the database: ${online.join(" ")}`);
    const undelivered = await this.store.sql("SELECT COUNT(*) FROM OfflineMessage");
    if (undelivered[0]?.[0] !== "0") unrest.push(`messages not known to be delivered: ${undelivered}`);
    for (const node of this.#parts.nodes()) {
      const metrics = await readMetrics(node);
      for (
        const name of [
          "chat_connections",
          "chat_users_online",
          "chat_send_queue_bytes",
          "chat_pool_waiting",
          'chat_pool_connections{state="borrowed"}',
          'chat_pool_connections{state="creating"}',
        ]
      ) if ((metrics.get(name) ?? 0) !== 0) unrest.push(`${name} is ${metrics.get(name)}`);
      if (metrics.get("chat_redis_up") === 0) unrest.push("a node has no Redis");
    }
    return [...unrest, ...await this.#lookAtRedis()];
  }

  /** Claims that count, and channels of users and groups, should be gone with them. */
  async #lookAtRedis(): Promise<string[]> {
    const redis = this.#parts.redis();
    if (!redis) return [];
    const unrest: string[] = [];
    for (const pattern of ["*:u:*", "*:g:*"]) {
      const channels = await redis.cli("PUBSUB", "CHANNELS", pattern);
      if (channels !== "") unrest.push(`channels subscribed: ${channels.replaceAll("\n", " ")}`);
    }
    const claims = (await redis.cli("KEYS", "*:user:*")).split("\n").filter((key) => key !== "");
    for (const key of claims) {
      const [, boot, node] = (await redis.cli("GET", key)).split(" ");
      const lease = key.replace(/user:\d+$/, `node:${node}`);
      if (await redis.cli("GET", lease) === boot) unrest.push(`${key} is claimed by ${node}`);
    }
    return unrest;
  }

  #vitals(): Promise<Vitals[]> {
    return Promise.all([...this.#parts.nodes()].map((node) => readVitals(node.pid)));
  }

  /** Throws when memory or open files are not near what they were after the first round. */
  async checkVitals({ growthMib = GROWTH_MIB } = {}): Promise<void> {
    if (this.#broken !== undefined) return;
    const now = await this.#vitals();
    const before = this.#atRest;
    const text = (vitals: Vitals[]) =>
      vitals.map(({ residentMib, openFiles }) => `${residentMib.toFixed(0)} MiB, ${openFiles} files`).join(
        "; ",
      );
    console.log(`nodes at rest: ${text(before)} after the first round, ${text(now)} after the last`);
    const grown = now.filter(({ residentMib, openFiles }, index) => {
      const { residentMib: memory = 0, openFiles: files = 0 } = before[index] ?? {};
      return residentMib > memory + growthMib || openFiles > files + FILE_GROWTH;
    });
    assertEquals(grown, [], `more than ${text(before)} and ${growthMib} MiB, ${FILE_GROWTH} files`);
  }
}

/** Says in the test's output and in the table why something was not done. */
export async function skip(context: Deno.TestContext, name: string, reason: string): Promise<void> {
  table.add({ ...newRow(name), note: `skipped: ${reason}` });
  await context.step({ name: `${name}: skipped: ${reason}`, ignore: true, fn() {} });
}

function newRow(fault: string): TableRow {
  return { fault, rounds: 0, tally: emptyTally(), lost: 0, unstoredV1: 0, note: "" };
}

/** Adds what happened in a round to a line. */
export function addTally(sum: Tally, tally: Tally): void {
  sum.sent += tally.sent;
  sum.acknowledged += tally.acknowledged;
  sum.refused += tally.refused;
  sum.duplicated += tally.duplicated;
  sum.outOfOrder += tally.outOfOrder;
  for (const version of [1, 2, 3] as const) {
    sum.repeats[version] += tally.repeats[version];
    sum.longestMs[version] = Math.max(sum.longestMs[version], tally.longestMs[version]);
  }
}
