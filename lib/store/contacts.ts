/**
 * How users find each other, and whom each has added.
 *
 * @module
 */
import { nameKey, normalizeName } from "../protocol/names.ts";
import type { Database } from "./database.ts";
import { type User, USER_STATUSES, type UserState } from "./users.ts";

/** The column `status` of a deleted user. */
const DELETED = USER_STATUSES.indexOf("deleted");

const SELECT = "SELECT id, name, state FROM User WHERE";

/** Users by the keys of their names, from one key up to, and without, another. */
export const BY_KEY_RANGE =
  `${SELECT} name_key >= ? AND name_key < ? AND status <> ${DELETED} ORDER BY name_key`;

type UserRow = { id: number; name: string; state: UserState };

/** Reads and writes User by name, and Friend. */
export class Contacts {
  readonly #db: Database;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** Whoever has this name, or one that counts as the same. */
  async named(name: string): Promise<User | undefined> {
    const stored = normalizeName(name);
    const [row] = await this.#db.query<UserRow>(
      `${SELECT} name_key = ? AND status <> ${DELETED}`,
      [nameKey(stored)],
    );
    if (row) return row;
    // A name of before the present rule may have another key, or none.
    const [older] = await this.#db.query<UserRow>(`${SELECT} name = ? AND status <> ${DELETED}`, [stored]);
    return older;
  }

  /** Those whose names begin like this, or with what counts as the same, in the order of their keys. */
  async namedLike(prefix: string, limit: number): Promise<User[]> {
    const from = nameKey(prefix);
    // No byte of UTF-8 is 255.
    const to = from.with(-1, (from.at(-1) ?? 0) + 1);
    return await this.#db.query<UserRow>(`${BY_KEY_RANGE} LIMIT ${limit}`, [from, to]);
  }

  /** How many `userId` has added, and whether `friendId` is among them. */
  async added(userId: number, friendId: number): Promise<{ count: number; isFriend: boolean }> {
    const [row] = await this.#db.query<{ count: number; hits: number | string | null }>(
      "SELECT COUNT(*) AS count, SUM(CASE WHEN friendid = ? THEN 1 ELSE 0 END) AS hits FROM Friend WHERE userid = ?",
      [friendId, userId],
    );
    return { count: row?.count ?? 0, isFriend: Number(row?.hits ?? 0) > 0 };
  }
}
