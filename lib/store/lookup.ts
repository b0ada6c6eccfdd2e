/**
 * Looks rows up by a key, for many askers with one statement: when thousands log in at once, each statement is a round
 * trip that costs as much as all the rest of a login.
 *
 * @module
 */
import { Batcher } from "../batcher.ts";

/** Keys in one statement, unless the caller wants fewer. */
export const KEYS_PER_STATEMENT = 200;

/** Rows of one kind by one key. */
export class Lookup<Key extends number | string, Shape> {
  readonly #batches: Batcher<Key, Map<Key, Shape[]>>;

  /** `read` gets different keys, at most `limit` of them, and finds the rows of all; `keyOf` tells whose a row is. */
  constructor(
    read: (keys: readonly Key[]) => Promise<Shape[]>,
    keyOf: (row: Shape) => Key,
    limit: number = KEYS_PER_STATEMENT,
  ) {
    this.#batches = new Batcher(async (keys) => Map.groupBy(await read([...new Set(keys)]), keyOf), limit);
  }

  /**
   * The rows of this key, as they are in a statement that begins after the call, in that statement's order. Others may be
   * given the same objects.
   */
  async rows(key: Key): Promise<readonly Shape[]> {
    return (await this.#batches.add(key)).get(key) ?? [];
  }
}
