/**
 * Resume tokens of version 2: `<user id>.<32 random bytes, base64url>`. What is stored is a SHA-256 over the token and the user's stored
 * password, so that a changed password, however it was changed, makes the token worthless. No password hash is
 * computed: thousands of clients that come back at once cost little.
 *
 * A token logs in, and so travels on connections only. Datagrams carry a beat key, `<16 random bytes>.<SHA-256>`, both
 * base64url: it is another one at each login, is derived from what the token is stored under, so that any node can tell
 * whether it is good, and is good for heartbeats alone.
 *
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { Batcher } from "../base/batcher.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import type { TokenRow, Tokens } from "../store/tokens.ts";

const TOKEN = /^([1-9]\d{0,9})\.[A-Za-z0-9_-]{43}$/;

const BEAT_KEY = /^([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/** Users whose revocation may wait for the database; past that the oldest is given up, and the token lives out its time. */
const REVOCATIONS_MAX = 10_000;
/** How long a logout waits for the database, ms. */
const REVOCATION_PATIENCE_MS = 1_000;

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

/** Makes a key for heartbeats out of what the login's token is stored under; `password` as in {@link hashToken}. */
export function createBeatKey(hash: Uint8Array, password: string): string {
  const nonce = randomBytes(16).toString("base64url");
  return `${nonce}.${beatProof(nonce, hash, password).toString("base64url")}`;
}

/** Whether it can be a key for heartbeats. */
export function isBeatKey(text: string): boolean {
  return BEAT_KEY.test(text);
}

/** Whether it was made by {@link createBeatKey} of the same. */
export function isBeatOf(key: string, hash: Uint8Array, password: string): boolean {
  const [, nonce = "", proof = ""] = BEAT_KEY.exec(key) ?? [];
  const given = Buffer.from(proof, "base64url");
  const expected = beatProof(nonce, hash, password);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function beatProof(nonce: string, hash: Uint8Array, password: string): Buffer {
  return createHash("sha256").update(`beat\0${nonce}\0`).update(hash).update(password).digest();
}

/** Gives out tokens and knows them again. */
export class TokenDesk {
  readonly #tokens: Tokens;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #writes: Batcher<TokenRow>;
  readonly #onError: (error: unknown) => void;
  readonly #revocations: Batcher<number>;
  /** Users whose token is worthless, and perhaps not yet so in the database, with when it became so; oldest first. */
  readonly #revokedAt = new Map<number, number>();
  #isCatchingUp = false;
  #isFailing = false;

  /**
   * `ttlMs`: how long a token is good for. `onError` is told, once an outage, when tokens cannot be revoked, which is tried
   * again; must not throw.
   */
  constructor(
    tokens: Tokens,
    ttlMs: number,
    now: () => number = Date.now,
    onError: (error: unknown) => void = () => {},
  ) {
    this.#tokens = tokens;
    this.#ttlMs = ttlMs;
    this.#now = now;
    this.#onError = onError;
    this.#writes = new Batcher((rows) => tokens.replace(rows));
    this.#revocations = new Batcher((userIds) => tokens.revoke(userIds));
  }

  /** Makes a token for a user and stores it in place of the one before. */
  async issue(userId: number, password: string): Promise<IssuedToken> {
    const token = `${userId}.${randomBytes(32).toString("base64url")}`;
    const hash = hashToken(token, password);
    await this.#writes.add({ userId, hash, expires: this.#now() + this.#ttlMs });
    // It took the place of the one before.
    this.#revokedAt.delete(userId);
    return { token, hash };
  }

  /** What `token` is stored under, if it is good; its time begins anew when half of it has gone. */
  async recognise(token: string, userId: number, password: string): Promise<Uint8Array | undefined> {
    const hash = hashToken(token, password);
    const expires = await this.#tokens.find(userId, hash);
    const now = this.#now();
    if (expires === undefined || expires <= now || expires <= this.#revokedUntil(userId)) return undefined;
    if (expires - now < this.#ttlMs / 2) {
      await this.#tokens.prolong(hash, now + this.#ttlMs);
    }
    return hash;
  }

  /** Whether `key` was made of a token of this user that is good now. */
  async recogniseBeat(key: string, userId: number, password: string): Promise<boolean> {
    const hashes = await this.#tokens.hashes(userId, this.#now());
    return hashes.some((hash) => isBeatOf(key, hash, password));
  }

  /** Tokens of this user that end no later were given out, or used last, before they were revoked. */
  #revokedUntil(userId: number): number {
    return (this.#revokedAt.get(userId) ?? -Infinity) + this.#ttlMs;
  }

  /**
   * Whatever token the user has is worth nothing any more. Rejects when the database does not take that.
   */
  revoke(userId: number): Promise<void> {
    return this.#revocations.add(userId);
  }

  /**
   * As {@link revoke}: for this node at once, for the others as soon as the database takes it. Resolves with whether it has,
   * within a second. Never rejects.
   */
  async revokeInTime(userId: number): Promise<boolean> {
    const at = this.#now();
    this.#revokedAt.set(userId, at);
    const [oldest] = this.#revokedAt.keys();
    if (oldest !== undefined && this.#revokedAt.size > REVOCATIONS_MAX) this.#revokedAt.delete(oldest);
    const revoked = this.#settle(userId, at, this.revoke(userId));
    return await waitAtMost(REVOCATION_PATIENCE_MS, revoked) ?? false;
  }

  /** Called about once a second, and at the end: revokes what could not be revoked before. Never rejects. */
  async catchUp(): Promise<void> {
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    for (const [userId, at] of [...this.#revokedAt]) {
      // Not what the user has been given since.
      if (!await this.#settle(userId, at, this.#tokens.revokeUntil(userId, at + this.#ttlMs))) break;
    }
    this.#isCatchingUp = false;
  }

  async #settle(userId: number, at: number, revoking: Promise<void>): Promise<boolean> {
    try {
      await revoking;
    } catch (error) {
      if (!this.#isFailing) this.#onError(error);
      this.#isFailing = true;
      return false;
    }
    this.#isFailing = false;
    if (this.#revokedAt.get(userId) === at) this.#revokedAt.delete(userId);
    return true;
  }
}
