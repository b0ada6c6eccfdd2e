/**
 * Password hashes: scrypt, off the event loop, its parameters stored with each hash.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes, timingSafeEqual } from "node:crypto";
import { type ScryptJob, ScryptThreads } from "./scrypt.ts";

/** log2 of scrypt's N: 16 MiB and about 40 ms a hash, RFC 7914's figure for interactive logins. */
const LOG_N = 14;
const BLOCK_SIZE = 8;
const PARALLELISM = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

const STORED = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

const CURRENT: Pick<ScryptJob, "logN" | "blockSize" | "parallelism"> = {
  logN: LOG_N,
  blockSize: BLOCK_SIZE,
  parallelism: PARALLELISM,
};

/** What {@link Passwords.verify} found. */
export interface Verification {
  /** Whether the password is right. */
  isRight: boolean;
  /** A hash to store in place of what is stored: that was plain text, or hashed with other parameters. */
  replacement?: string;
}

/** Makes hashes and compares with them. One per node. */
export class Passwords implements Disposable {
  readonly #threads = new ScryptThreads();

  /** Hashes `password` with a new salt: `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`, at most 255 characters. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const key = await this.#threads.run({ password, salt, length: HASH_BYTES, ...CURRENT });
    return `$scrypt$ln=${LOG_N},r=${BLOCK_SIZE},p=${PARALLELISM}$${toBase64(salt)}$${toBase64(key)}`;
  }

  /**
   * Compares in constant time. `stored` is a hash, the original server's plain text, or undefined for a user that does
   * not exist; each costs one scrypt, so that the time taken does not tell which.
   */
  async verify(password: string, stored: string | undefined): Promise<Verification> {
    const match = STORED.exec(stored ?? "");
    if (!match) {
      const replacement = await this.hash(password);
      const isRight = stored !== undefined && equalInConstantTime(Buffer.from(password), Buffer.from(stored));
      return isRight ? { isRight, replacement } : { isRight };
    }
    const [logN, blockSize, parallelism] = [Number(match[1]), Number(match[2]), Number(match[3])];
    const expected = Buffer.from(match[5] ?? "", "base64");
    const salt = Buffer.from(match[4] ?? "", "base64");
    const length = expected.length;
    const key = await this.#threads.run({ password, salt, length, logN, blockSize, parallelism });
    const isRight = equalInConstantTime(key, expected);
    const isCurrent = logN === LOG_N && blockSize === BLOCK_SIZE && parallelism === PARALLELISM;
    return isRight && !isCurrent ? { isRight, replacement: await this.hash(password) } : { isRight };
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  // Texts of different length compare a with itself: same work, and the answer is no.
  return timingSafeEqual(a, a.length === b.length ? b : a) && a.length === b.length;
}
