/**
 * Resume tokens, as hashes: whoever reads the database cannot log in with them.
 *
 * @module
 */
import { timingSafeEqual } from "node:crypto";
import type { Database, SqlConnection } from "./database.ts";
import { Lookup } from "./lookup.ts";

/** A token that has been given out. */
export interface TokenRow {
  /** Whose. */
  userId: number;
  /** SHA-256, 32 bytes. */
  hash: Uint8Array;
  /** ms since the epoch. */
  expires: number;
}

/** The table Token: at most one row a user. */
export class Tokens {
  readonly #db: Database;
  readonly #byUser: Lookup<number, { userid: number; hash: Uint8Array; expires: number }>;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
    this.#byUser = new Lookup({
      read: (userIds) => {
        const { sql, params } = db.dialect.isOneOf("userid", userIds);
        return db.query(`SELECT userid, hash, expires FROM Token WHERE ${sql}`, params);
      },
      keyOf: ({ userid }) => userid,
    });
  }

  /** Puts these in the place of whatever token their users had; the last one of a user counts. */
  async replace(rows: readonly TokenRow[]): Promise<void> {
    const last = [...new Map(rows.map((row) => [row.userId, row])).values()].sort((a, b) =>
      a.userId - b.userId
    );
    const { sql, params } = this.#db.dialect.isOneOf("userid", last.map(({ userId }) => userId));
    await this.#db.transaction(async (tx) => {
      await tx.run(`DELETE FROM Token WHERE ${sql}`, params);
      await tx.insert({
        into: "INSERT INTO Token (hash, userid, expires)",
        rows: last.map(({ hash, userId, expires }) => [hash, userId, expires]),
      });
    });
  }

  /** Until when the token with this hash is good, ms since the epoch; undefined when the user has no such token. */
  async find(userId: number, hash: Uint8Array): Promise<number | undefined> {
    const rows = await this.#byUser.rows(userId);
    return rows.find((row) => timingSafeEqual(row.hash, hash))?.expires;
  }

  /** The token with this hash is good until `expires`, unless it has become worthless meanwhile. */
  async prolong(hash: Uint8Array, expires: number): Promise<void> {
    await this.#db.run("UPDATE Token SET expires = ? WHERE hash = ?", [expires, hash]);
  }

  /** What the user's good tokens are stored under, as of `now`, ms since the epoch. */
  async hashes(userId: number, now: number): Promise<Uint8Array[]> {
    const rows = await this.#byUser.rows(userId);
    return rows.filter(({ expires }) => expires > now).map(({ hash }) => hash);
  }

  /** Whatever token these users have is worth nothing any more. */
  async revoke(userIds: readonly number[]): Promise<void> {
    const { sql, params } = this.#db.dialect.isOneOf("userid", [...new Set(userIds)].sort((a, b) => a - b));
    await this.#db.run(`DELETE FROM Token WHERE ${sql}`, params);
  }
  /** Whatever token this user has that ends at `expires` or before is worth nothing any more. */
  async revokeUntil(userId: number, expires: number): Promise<void> {
    await this.#db.run("DELETE FROM Token WHERE userid = ? AND expires <= ?", [userId, expires]);
  }
}

/** Whatever token this user has, of whichever device, is worth nothing any more; devices go on with the password. */
export async function endTokens(tx: SqlConnection, userId: number): Promise<void> {
  await tx.run("DELETE FROM Token WHERE userid = ?", [userId]);
  // `issued` too: a token that is on its way into the database must not bring the time back.
  await tx.run("UPDATE Device SET expires = 0, issued = issued + 1 WHERE userid = ?", [userId]);
}
