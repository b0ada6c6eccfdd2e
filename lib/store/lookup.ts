/**
 * Looks rows up by a key, for many askers with one statement: when thousands log in at once, each statement is a round
 * trip that costs as much as all the rest of a login.
 *
 * @module
 */
import { Batcher } from "../base/batcher.ts";
import { anotherTurn } from "../base/turn.ts";

/** Keys in one statement, unless the caller wants fewer. */
export const KEYS_PER_STATEMENT = 200;

/**
 * Rows one statement reads at most: SQLite does nothing else meanwhile, and neither does the event loop while it makes
 * objects of them.
 */
export const ROWS_PER_STATEMENT = 2_000;

/** Keys remembered to have many rows. */
const LONG_KEYS = 10_000;

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
  readonly #keysPerStatement: number;
  /** Keys of so many rows that they are better read one by one. */
  readonly #long = new Set<Key>();

  /** See {@link LookupQuery}. */
  constructor(query: LookupQuery<Key, Shape>) {
    this.#query = query;
    this.#keysPerStatement = query.keysPerStatement ?? KEYS_PER_STATEMENT;
    this.#batches = new Batcher((keys) => this.#readAll([...new Set(keys)]), this.#keysPerStatement);
  }

  /**
   * The rows of this key, as they are in statements that begin after the call. Others may be given the same objects.
   */
  async rows(key: Key): Promise<readonly Shape[]> {
    return (await this.#batches.add(key)).get(key) ?? [];
  }

  async #readAll(keys: readonly Key[]): Promise<Map<Key, Shape[]>> {
    const { read, readOn, keyOf } = this.#query;
    if (!readOn) return Map.groupBy(await read(keys, Number.MAX_SAFE_INTEGER), keyOf);
    const short = keys.filter((key) => !this.#long.has(key));
    const rows = short.length > 0 ? await read(short, ROWS_PER_STATEMENT) : [];
    const isCut = rows.length === ROWS_PER_STATEMENT;
    const all = isCut ? new Map<Key, Shape[]>() : Map.groupBy(rows, keyOf);
    for (const key of isCut ? keys : keys.filter((key) => this.#long.has(key))) {
      const own = await readLong(key, readOn);
      all.set(key, own);
      if (own.length * this.#keysPerStatement > ROWS_PER_STATEMENT) this.#noteLong(key);
    }
    return all;
  }

  #noteLong(key: Key): void {
    if (this.#long.size >= LONG_KEYS) this.#long.clear();
    this.#long.add(key);
  }
}

async function readLong<Key, Shape>(
  key: Key,
  readOn: NonNullable<LookupQuery<Key, Shape>["readOn"]>,
): Promise<Shape[]> {
  const rows: Shape[] = [];
  let count: number;
  do {
    await anotherTurn();
    const some = await readOn(key, rows.at(-1), ROWS_PER_STATEMENT);
    for (const row of some) rows.push(row);
    count = some.length;
  } while (count === ROWS_PER_STATEMENT);
  return rows;
}
