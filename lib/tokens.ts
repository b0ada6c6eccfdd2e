/**
 * Resume tokens: `<user id>.<32 random bytes, base64url>`. What is stored is a SHA-256 over the token and the user's stored
 * password, so that a changed password, however it was changed, makes the token worthless. No password hash is
 * computed: thousands of clients that come back at once cost little.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { Batcher } from "./batcher.ts";
import type { TokenRow, Tokens } from "./store/tokens.ts";

const TOKEN = /^([1-9]\d{0,9})\.[A-Za-z0-9_-]{43}$/;

/** A token and what it is stored under. */
export interface IssuedToken {
  /** For the client. */
  token: string;
  /** For the database. */
  hash: Uint8Array;
}

/** Whose token it claims to be; undefined when it is no token. */
export function tokenUserId(token: string): number | undefined {
  const match = TOKEN.exec(token);
  return match ? Number(match[1]) : undefined;
}

/** What a token is stored under; `password` as stored in the table User. */
export function hashToken(token: string, password: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(`${token}\0${password}`).digest());
}

/** Gives out tokens and knows them again. */
export class TokenDesk {
  readonly #tokens: Tokens;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #writes: Batcher<TokenRow>;

  /** `ttlMs`: how long a token is good for. */
  constructor(tokens: Tokens, ttlMs: number, now: () => number = Date.now) {
    this.#tokens = tokens;
    this.#ttlMs = ttlMs;
    this.#now = now;
    this.#writes = new Batcher((rows) => tokens.replace(rows));
  }

  /** Makes a token for a user and stores it in place of the one before. */
  async issue(userId: number, password: string): Promise<IssuedToken> {
    const token = `${userId}.${randomBytes(32).toString("base64url")}`;
    const hash = hashToken(token, password);
    await this.#writes.add({ userId, hash, expires: this.#now() + this.#ttlMs });
    return { token, hash };
  }

  /** What `token` is stored under, if it is good; its time begins anew when half of it has gone. */
  async recognise(token: string, userId: number, password: string): Promise<Uint8Array | undefined> {
    const hash = hashToken(token, password);
    const expires = await this.#tokens.find(userId, hash);
    const now = this.#now();
    if (expires === undefined || expires <= now) return undefined;
    if (expires - now < this.#ttlMs / 2) {
      await this.#tokens.prolong(hash, now + this.#ttlMs);
    }
    return hash;
  }

  /** Makes a token worthless. */
  revoke(hash: Uint8Array): Promise<void> {
    return this.#tokens.revoke(hash);
  }
}
