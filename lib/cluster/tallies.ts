/**
 * Counts that wear off: how often something has happened lately, for many somethings, in the memory of this node or shared
 * by all nodes of a cluster through Redis.
 *
 * While Redis is away, or slow to say so, this node goes on with what it has counted itself: neither is everything let
 * through nor everybody locked out.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import type { Redis } from "./redis.ts";
import { createScript } from "./redis_script.ts";

/** Counts kept in memory; the one that was added to longest ago is forgotten first. */
const KEPT = 100_000;

/** What is counted. */
export interface Tally {
  /** Its name. */
  key: string;
  /** One is taken off after so long, ms. */
  wearMs: number;
}

/** How often it has happened. */
export interface Count {
  /** Each as one, less what has worn off. */
  count: number;
  /** Since the last one, ms. */
  ageMs: number;
}

/** Keeps counts. */
export interface Tallies {
  /** Reads counts, in the order of `tallies`. */
  read(tallies: readonly Tally[]): Promise<Count[]>;
  /** One more of each. */
  add(tallies: readonly Tally[]): Promise<void>;
  /** These are 0. */
  clear(keys: readonly string[]): Promise<void>;
}

const NONE: Count = { count: 0, ageMs: Infinity };

/** Counts in memory. */
export class MemoryTallies implements Tallies {
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; at: number }>();

  /** `now`: monotonic clock, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** See {@link Tallies.read}. */
  read(tallies: readonly Tally[]): Promise<Count[]> {
    return Promise.resolve(tallies.map((tally) => this.#read(tally)));
  }

  #read({ key, wearMs }: Tally): Count {
    const kept = this.#counts.get(key);
    if (!kept) return NONE;
    const ageMs = this.#now() - kept.at;
    return { count: Math.max(0, kept.count - ageMs / wearMs), ageMs };
  }

  /** See {@link Tallies.add}. */
  add(tallies: readonly Tally[]): Promise<void> {
    for (const tally of tallies) {
      const { count } = this.#read(tally);
      this.#counts.delete(tally.key);
      this.#counts.set(tally.key, { count: count + 1, at: this.#now() });
      if (this.#counts.size > KEPT) forgetOldest(this.#counts);
    }
    return Promise.resolve();
  }

  /** See {@link Tallies.clear}. */
  clear(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#counts.delete(key);
    return Promise.resolve();
  }
}

/** The count of KEY as `n`, and its age as `age`, by the clock of Redis. */
const COUNT_OF = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function count_of(key, wear)
  local n, at = string.match(redis.call('GET', key) or '', '^(%S+) (%S+)$')
  if not n then return 0, -1 end
  local age = math.max(0, now - at)
  return math.max(0, n - age / wear), age
end
`;

/** ARGV: key and wear of each; returns count and age of each as text, age -1 where there is none. */
const READ = createScript(`${COUNT_OF}
local reply = {}
for i = 1, #ARGV, 2 do
  local n, age = count_of(ARGV[i], ARGV[i + 1])
  table.insert(reply, tostring(n))
  table.insert(reply, tostring(age))
end
return reply`);

/** ARGV: as of READ. A count goes away by itself when all of it has worn off. */
const ADD = createScript(`${COUNT_OF}
for i = 1, #ARGV, 2 do
  local n = count_of(ARGV[i], ARGV[i + 1]) + 1
  redis.call('SET', ARGV[i], n .. ' ' .. now, 'PX', math.ceil(n * ARGV[i + 1]))
end`);

/** Counts in Redis, and beside them this node's own. */
export class SharedTallies implements Tallies {
  readonly #redis: Pick<Redis, "script" | "command">;
  readonly #prefix: string;
  readonly #own: MemoryTallies;

  /** `prefix`: before each key. */
  constructor(redis: Pick<Redis, "script" | "command">, prefix: string, now: () => number) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#own = new MemoryTallies(now);
  }

  /** See {@link Tallies.read}. */
  async read(tallies: readonly Tally[]): Promise<Count[]> {
    try {
      const reply = await this.#redis.script(READ, this.#arguments(tallies));
      const values = Array.isArray(reply) ? reply.map(Number) : [];
      return tallies.map((_, index) => {
        const [count = 0, age = -1] = values.slice(2 * index, 2 * index + 2);
        return age < 0 ? NONE : { count, ageMs: age };
      });
    } catch {
      // Redis is away, as others have told.
      return await this.#own.read(tallies);
    }
  }

  /** See {@link Tallies.add}. */
  async add(tallies: readonly Tally[]): Promise<void> {
    await this.#own.add(tallies);
    await this.#redis.script(ADD, this.#arguments(tallies)).catch(() => {});
  }

  /** See {@link Tallies.clear}. */
  async clear(keys: readonly string[]): Promise<void> {
    await this.#own.clear(keys);
    await this.#redis.command("DEL", ...keys.map((key) => this.#prefix + key)).catch(() => {});
  }

  #arguments(tallies: readonly Tally[]): (string | number)[] {
    return tallies.flatMap(({ key, wearMs }) => [this.#prefix + key, wearMs]);
  }
}
