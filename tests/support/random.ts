/**
 * Random numbers that can be had again: a test prints its seed, and CHAT_TEST_SEED gives it back to it.
 *
 * @module
 */

/** The seed of this run, and whether it was asked for by CHAT_TEST_SEED. */
export function testSeed(): { seed: number; isGiven: boolean } {
  const given = Number(Deno.env.get("CHAT_TEST_SEED") ?? NaN);
  const isGiven = Number.isInteger(given);
  return { seed: isGiven ? given : crypto.getRandomValues(new Uint32Array(1))[0] ?? 1, isGiven };
}

/** A source of random numbers. */
export interface Random {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One of them. */
  pick<Item>(items: readonly Item[]): Item;
  /** So many bytes. */
  bytes(length: number): Uint8Array;
}

/** Numbers that follow from `seed` alone (mulberry32, by Tommy Ettinger, public domain). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    chance: (probability) => next() < probability,
    pick(items) {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error("Cannot pick from nothing");
      return item;
    },
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  };
}
