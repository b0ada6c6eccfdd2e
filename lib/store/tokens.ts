/**
 * Resume tokens, as hashes: whoever reads the database cannot log in with them.
 *
 * @module
 */
import type { Database } from "./database.ts";

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

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
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

  /** Whose token has this hash, and until when. */
  async find(hash: Uint8Array): Promise<{ userid: number; expires: number } | undefined> {
    const [row] = await this.#db.query<{ userid: number; expires: number }>(
      "SELECT userid, expires FROM Token WHERE hash = ?",
      [hash],
    );
    return row;
  }

  /** The token with this hash is good until `expires`, unless it has become worthless meanwhile. */
  async prolong(hash: Uint8Array, expires: number): Promise<void> {
    await this.#db.run("UPDATE Token SET expires = ? WHERE hash = ?", [expires, hash]);
  }

  /** The token with this hash is worth nothing any more. */
  async revoke(hash: Uint8Array): Promise<void> {
    await this.#db.run("DELETE FROM Token WHERE hash = ?", [hash]);
  }
}
