/**
 * Codes that let somebody do something a number of times until a date: sign up, choose a new password. Stored are hashes:
 * whoever reads the database cannot use them.
 *
 * @module
 */
import { createHash, randomInt } from "node:crypto";
import type { Database, SqlConnection } from "./database.ts";

/** What a code is good for. */
export type CodeKind = "invite" | "password";

/** Crockford's base 32: nothing in it looks like something else. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Of 5 bits each: nobody finds one by trying. */
const LENGTH = 20;
const GROUP = 5;
/** Longer, as it is typed, none can be. */
const MAX_TYPED = 64;

/** A new code, as in `7K2QM-2XPD9-RTAWZ-3C0VB`. */
export function createCode(): string {
  const text = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
  return text.match(new RegExp(`.{${GROUP}}`, "g"))?.join("-") ?? text;
}

/** What a code is stored under, however it is typed: in small letters, without dashes, with O for 0 and I or L for 1. */
export function hashCode(code: string): Uint8Array {
  const letters = code.slice(0, MAX_TYPED).toUpperCase().replace(/[^0-9A-Z]/g, "");
  const plain = letters.replaceAll("O", "0").replace(/[IL]/g, "1");
  return new Uint8Array(createHash("sha256").update(plain).digest());
}

/** A code to be stored. */
export interface NewCode {
  /** What it is good for. */
  kind: CodeKind;
  /** See {@link hashCode}. */
  hash: Uint8Array;
  /** Whose password it changes; null for an invitation. */
  userId: number | null;
  /** How often it can be used. */
  uses: number;
  /** Now, ms since the epoch. */
  created: number;
  /** From when on it is worth nothing, ms since the epoch. */
  expires: number;
  /** For people. */
  note: string;
}

/** A code as it is stored. */
export interface CodeRow extends Record<string, number | string | null> {
  /** Identity, from 1. */
  id: number;
  /** What it is good for. */
  kind: CodeKind;
  /** Whose password it changes. */
  userid: number | null;
  /** How often it can be used. */
  uses: number;
  /** How often it has been. */
  used: number;
  /** When it was made, ms since the epoch. */
  created: number;
  /** From when on it is worth nothing, ms since the epoch. */
  expires: number;
  /** For people. */
  note: string;
}

const COLUMNS = "id, kind, userid, uses, used, created, expires, note";

/** The table AccessCode. */
export class AccessCodes {
  readonly #db: Database;

  /** Reads `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** The code that is stored under this hash, if it is good at `now`, ms since the epoch. */
  async find(kind: CodeKind, hash: Uint8Array, now: number): Promise<CodeRow | undefined> {
    const [row] = await this.#db.query<CodeRow>(`SELECT ${COLUMNS} FROM AccessCode WHERE hash = ?`, [hash]);
    return row && row.kind === kind && row.used < row.uses && row.expires > now ? row : undefined;
  }

  /** Codes above the id `after`, ascending, at most `limit`. */
  list(after: number, limit: number): Promise<CodeRow[]> {
    return this.#db.query<CodeRow>(
      `SELECT ${COLUMNS} FROM AccessCode WHERE id > ? ORDER BY id LIMIT ${limit}`,
      [after],
    );
  }
}

/** Stores a code and returns its id. */
export async function storeCode(tx: SqlConnection, code: NewCode): Promise<number> {
  const { kind, hash, userId, uses, created, expires, note } = code;
  const { insertId } = await tx.run(
    "INSERT INTO AccessCode (kind, hash, userid, uses, used, created, expires, note) VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
    [kind, hash, userId, uses, created, expires, note],
  );
  return insertId;
}

/** Uses a code once, if it is good at `now`; false when it is not. Of many who come at once no more succeed than it has uses. */
export async function takeCode(
  tx: SqlConnection,
  kind: CodeKind,
  hash: Uint8Array,
  now: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    "UPDATE AccessCode SET used = used + 1 WHERE hash = ? AND kind = ? AND used < uses AND expires > ?",
    [hash, kind, now],
  );
  return changes > 0;
}
