/**
 * Password hashes: scrypt, off the event loop, its parameters stored with each hash.
 *
 * @module
 */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { Limiter } from "./limiter.ts";

/** log2 of scrypt's N: 16 MiB and about 40 ms a hash, RFC 7914's figure for interactive logins. */
const LOG_N = 14;
const BLOCK_SIZE = 8;
const PARALLELISM = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Hashes at once: more would only queue in the thread pool and take the cores from chat. */
const HASHES_AT_ONCE = 2;

const STORED = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

const limiter = new Limiter(HASHES_AT_ONCE);

interface Parameters {
  logN: number;
  blockSize: number;
  parallelism: number;
}

const CURRENT: Parameters = { logN: LOG_N, blockSize: BLOCK_SIZE, parallelism: PARALLELISM };

function derive(password: string, salt: Uint8Array, length: number, parameters: Parameters): Promise<Buffer> {
  const { logN, blockSize, parallelism } = parameters;
  const N = 2 ** logN;
  // Twice what scrypt needs: node:crypto refuses at the exact figure.
  const options = { N, r: blockSize, p: parallelism, maxmem: 256 * N * blockSize };
  return limiter.run(() =>
    new Promise((resolve, reject) => {
      scrypt(password, salt, length, options, (error, key) => error ? reject(error) : resolve(key));
    })
  );
}

function toBase64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}

/** Hashes `password` with a new salt: `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`, at most 255 characters. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, HASH_BYTES, CURRENT);
  return `$scrypt$ln=${LOG_N},r=${BLOCK_SIZE},p=${PARALLELISM}$${toBase64(salt)}$${toBase64(key)}`;
}

/** What {@link verifyPassword} found. */
export interface Verification {
  /** Whether the password is right. */
  isRight: boolean;
  /** A hash to store in place of what is stored: that was plain text, or hashed with other parameters. */
  replacement?: string;
}

/**
 * Compares in constant time. `stored` is a hash, the original server's plain text, or undefined for a user that does not
 * exist; each costs one scrypt, so that the time taken does not tell which.
 */
export async function verifyPassword(password: string, stored: string | undefined): Promise<Verification> {
  const match = STORED.exec(stored ?? "");
  if (!match) {
    const replacement = await hashPassword(password);
    const isRight = stored !== undefined && equalInConstantTime(Buffer.from(password), Buffer.from(stored));
    return isRight ? { isRight, replacement } : { isRight };
  }
  const [logN, blockSize, parallelism] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const expected = Buffer.from(match[5] ?? "", "base64");
  const salt = Buffer.from(match[4] ?? "", "base64");
  const key = await derive(password, salt, expected.length, { logN, blockSize, parallelism });
  const isRight = equalInConstantTime(key, expected);
  const isCurrent = logN === LOG_N && blockSize === BLOCK_SIZE && parallelism === PARALLELISM;
  return isRight && !isCurrent ? { isRight, replacement: await hashPassword(password) } : { isRight };
}

function equalInConstantTime(a: Buffer, b: Buffer): boolean {
  // Texts of different length compare a with itself: same work, and the answer is no.
  return timingSafeEqual(a, a.length === b.length ? b : a) && a.length === b.length;
}
