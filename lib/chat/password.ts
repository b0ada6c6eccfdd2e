/**
 * Password hashes: scrypt, off the event loop, its parameters stored with each hash.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes, timingSafeEqual } from "node:crypto";
import { FairQueue } from "../base/fair_queue.ts";
import { type ScryptJob, ScryptThreads, THREADS } from "./scrypt.ts";

const BLOCK_SIZE = 8;
const PARALLELISM = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/**
 * Clients that may wait for a hash, for each that is made: 20 s at the usual cost, and whoever is asked to wait longer gives
 * up.
 */
const WAITING_PER_THREAD = 500;

/** Longest password, in code points once it is normalised. */
const MAX_CODE_POINTS = 512;
/** Longest password as it is typed, in UTF-16 units: four code points that are composed to one. */
const MAX_UNITS = 4 * MAX_CODE_POINTS;

/** `f=nfc`: of the normalised password. */
const STORED =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})(,f=nfc)?\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** What a hash costs. */
export interface PasswordOptions {
  /** log2 of scrypt's N: 14 are 16 MiB and about 40 ms a hash, RFC 7914's figure for interactive logins. */
  passwordCost: number;
}

/** What {@link Passwords.verify} found. */
export interface Verification {
  /** Whether the password is right. */
  isRight: boolean;
  /** A hash to store in place of what is stored: that was plain text, or hashed with other parameters. */
  replacement?: string;
}

/** The one form of a password however it is typed: NFC, every kind of space as U+0020, as RFC 8265 (OpaqueString) has it. */
export function normalizePassword(password: string): string {
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}

/** Why this cannot be a password of at least `min` characters, as a sentence; undefined when it can. */
export function checkPassword(password: string, min: number = 1): string | undefined {
  if (password === "") return "The password is empty";
  const tooLong = `The password is longer than ${MAX_CODE_POINTS} characters`;
  // Before anything that takes more than linear time.
  if (password.length > MAX_UNITS) return tooLong;
  if (!password.isWellFormed()) return "The password is not valid Unicode";
  const { length } = [...normalizePassword(password)];
  if (length < min) return `The password is shorter than ${min} characters`;
  return length > MAX_CODE_POINTS ? tooLong : undefined;
}

/** Makes hashes and compares with them. One per node. */
export class Passwords implements Disposable {
  /** Whoever wants a hash made for a client has it made in a turn of this. */
  readonly turns = new FairQueue(THREADS, WAITING_PER_THREAD * THREADS);
  readonly #threads = new ScryptThreads();
  readonly #options: Readonly<PasswordOptions>;
  /** For metrics: hashes that were begun. */
  hashes = 0;

  /** `options`: looked at each time, they may change. */
  constructor(options: Readonly<PasswordOptions> = { passwordCost: 14 }) {
    this.#options = options;
  }

  #run(job: ScryptJob): Promise<Uint8Array> {
    this.hashes++;
    return this.#threads.run(job);
  }

  /** Hashes `password` with a new salt: `$scrypt$ln=14,r=8,p=1,f=nfc$<salt>$<hash>`, at most 255 characters. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const normalized = normalizePassword(password);
    const { passwordCost: logN } = this.#options;
    const cost = { logN, blockSize: BLOCK_SIZE, parallelism: PARALLELISM };
    const key = await this.#run({ password: normalized, salt, length: HASH_BYTES, ...cost });
    return `$scrypt$ln=${logN},r=${BLOCK_SIZE},p=${PARALLELISM},f=nfc$${toBase64(salt)}$${toBase64(key)}`;
  }

  /** Whether this is a hash, and of the cost that hashes have now; what is not is to be replaced. */
  isCurrent(stored: string): boolean {
    const [, logN, blockSize, parallelism] = STORED.exec(stored) ?? [];
    return Number(logN) === this.#options.passwordCost && Number(blockSize) === BLOCK_SIZE &&
      Number(parallelism) === PARALLELISM;
  }

  /**
   * Compares in constant time. `stored` is a hash, the original server's plain text, or undefined for a user that does
   * not exist; each costs one scrypt, so that the time taken does not tell which. Only an older hash, of the password as
   * it was typed, costs a second one, and that only where normalising has changed something.
   */
  async verify(password: string, stored: string | undefined): Promise<Verification> {
    const normalized = normalizePassword(password);
    const match = STORED.exec(stored ?? "");
    if (!match) {
      const replacement = await this.hash(password);
      const isRight = stored !== undefined &&
        equalInConstantTime(Buffer.from(normalized), Buffer.from(normalizePassword(stored)));
      return isRight ? { isRight, replacement } : { isRight };
    }
    const [logN, blockSize, parallelism] = [Number(match[1]), Number(match[2]), Number(match[3])];
    const expected = Buffer.from(match[6] ?? "", "base64");
    const salt = Buffer.from(match[5] ?? "", "base64");
    const length = expected.length;
    const isHashOf = async (text: string) => {
      const key = await this.#run({ password: text, salt, length, logN, blockSize, parallelism });
      return equalInConstantTime(key, expected);
    };
    if (await isHashOf(normalized)) {
      if (stored !== undefined && this.isCurrent(stored)) return { isRight: true };
      return { isRight: true, replacement: await this.hash(password) };
    }
    if (match[4] !== undefined || password === normalized || !await isHashOf(password)) {
      return { isRight: false };
    }
    return { isRight: true, replacement: await this.hash(password) };
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

/** Whether these are the same, in a time that depends on their lengths only. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  // Texts of different length compare a with itself: same work, and the answer is no.
  return timingSafeEqual(a, a.length === b.length ? b : a) && a.length === b.length;
}
