/**
 * Looks rows up by a key, for many askers with one statement: when thousands log in at once, each statement is a round
 * trip that costs as much as all the rest of a login.
 *
 * @module
 */
import { Batcher } from "../batcher.ts";
import { anotherTurn } from "../turn.ts";

/** Keys in one statement, unless the caller wants fewer. */
export const KEYS_PER_STATEMENT = 200;

/**
 * Rows one statement reads at most: SQLite does nothing else meanwhile, and neither does the event loop while it makes
 * objects of them.
 */
export const ROWS_PER_STATEMENT = 2_000;

/** How rows are looked up. */
export interface LookupQuery<Key, Shape> {
  /** Finds the rows of all `keys`, which differ, or just any `limit` of them when there are more. */
  read: (keys: readonly Key[], limit: number) => Promise<Shape[]>;
  /** Finds the first `limit` rows of one key behind `after`, in an order of their own; needed where a key may have many. */
  readOn?: (key: Key, after: Shape | undefined, limit: number) => Promise<Shape[]>;
  /** Whose a row is. */
  keyOf: (row: Shape) => Key;
  /** Keys in one statement. */
  keysPerStatement?: number;
}

/** Rows of one kind by one key. */
export class Lookup<Key extends number | string, Shape> {
  readonly #query: LookupQuery<Key, Shape>;
  readonly #batches: Batcher<Key, Map<Key, Shape[]>>;

  /** See {@link LookupQuery}. */
  constructor(query: LookupQuery<Key, Shape>) {
    this.#query = query;
    this.#batches = new Batcher(
      (keys) => this.#readAll([...new Set(keys)]),
      query.keysPerStatement ?? KEYS_PER_STATEMENT,
    );
  }

  /**
   * The rows of this key, as they are in statements that begin after the call. Others may be given the same objects.
   */
  async rows(key: Key): Promise<readonly Shape[]> {
    return (await this.#batches.add(key)).get(key) ?? [];
  }

  async #readAll(keys: readonly Key[]): Promise<Map<Key, Shape[]>> {
    const { read, readOn, keyOf } = this.#query;
    const limit = readOn ? ROWS_PER_STATEMENT : Number.MAX_SAFE_INTEGER;
    const rows = await read(keys, limit);
    if (!readOn || rows.length < limit) return Map.groupBy(rows, keyOf);
    const all = new Map<Key, Shape[]>();
    for (const key of keys) {
      const own: Shape[] = [];
      let count: number;
      do {
        await anotherTurn();
        const some = await readOn(key, own.at(-1), limit);
        for (const row of some) own.push(row);
        count = some.length;
      } while (count === limit);
      all.set(key, own);
    }
    return all;
  }
}
