/**
 * Devices of version 3 and their tokens, `<user id>.<device>.<32 bytes, base64url>.<seal>`.
 *
 * Each login gives another token. The one before stays good until the new one is used, for the reply may have been lost;
 * from then on whoever shows it has copied it, and the device is revoked. So a row holds the token that was used last and
 * those that were given out since, as SHA-256 over the token and the stored password.
 *
 * The seal tells tokens that were once given out, and under the present password, from what is made up: a guess revokes
 * nothing. The first six of the 32 bytes are the time, which grows with each token of a device: one that is younger than
 * any the database knows of was given out before it went back in time, and is as good as it was.
 *
 * @module
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { concatBytes } from "../base/bytes.ts";
import { isAtMost, isLine } from "../base/line_text.ts";
import { Batcher } from "../base/batcher.ts";
import { PresenceError } from "../base/errors.ts";
import { forgetOldest } from "../base/forget_oldest.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import { type Presence, type Subject, subjectOf } from "../cluster/presence.ts";
import type { DeviceRow, Devices, Rotation } from "../store/devices.ts";
import type { MemberPosition } from "../store/messages.ts";
import type { Account } from "../store/users.ts";
import { hashToken, isBeatOf, type IssuedToken } from "./tokens.ts";

const TOKEN = /^([1-9]\d{0,9})\.([1-9]\d{0,9})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})$/;
const TIME_BYTES = 6;
const RANDOM_BYTES = 26;
const HASH_BYTES = 32;
/** Where no token has been used yet. */
const NONE = new Uint8Array(HASH_BYTES);
/** Tokens given out since one was last used that are good: as many replies may be lost in a row. */
const CANDIDATES = 4;
/** Two nodes may give a device a token at the same moment; the later one looks again. */
const ATTEMPTS = 8;
/** Rotations in one transaction. */
const ROTATIONS = 200;
/** Longest name of a device, in code points. */
const NAME_MAX = 64;
/** What is stored of a device whose client has no name for it. */
const NAMELESS = "unnamed";
/** Devices whose revocation may wait for the database; past that the oldest is given up. */
const REVOCATIONS_MAX = 10_000;
/** How long a logout waits for the database, ms. */
const REVOCATION_PATIENCE_MS = 1_000;

/** A token taken apart. */
export interface DeviceToken {
  /** Whole. */
  text: string;
  /** Whose it claims to be. */
  userId: number;
  /** Of which device. */
  device: number;
  /** When it was given out, ms since the epoch. */
  issued: number;
  /** What is under the seal. */
  body: string;
  /** What proves that it was given out. */
  seal: string;
}

/** What has become of a token that was shown. */
export type Judgement = "good" | "unknown" | "copied";

/** What {@link DeviceDesk} works with. */
export interface DeviceDeskOptions {
  /** Tables. */
  devices: Devices;
  /** Who is online. */
  presence: Pick<Presence, "isUp" | "online">;
  /** Proves that a text is a node's of this cluster. */
  sign: (text: string) => string;
  /** Where the user stands in its conversations. */
  positions: (userId: number) => Promise<readonly MemberPosition[]>;
  /** How long a device may be away, ms. */
  ttlMs: number;
  /** Devices a user has at most. */
  maxDevices: number;
  /** A device is gone: its connection has to end. */
  onRevoked: (userId: number, device: number) => void;
  /** Told, once an outage, when devices cannot be revoked, which is tried again; must not throw. */
  onError?: (error: unknown) => void;
  /** ms since the epoch. */
  now?: () => number;
}

/** Takes a text apart; undefined when it is no token of a device. */
export function parseDeviceToken(text: string): DeviceToken | undefined {
  const [, userId, device, random = "", seal = ""] = TOKEN.exec(text) ?? [];
  if (device === undefined) return undefined;
  const issued = Buffer.from(random, "base64url").readUIntBE(0, TIME_BYTES);
  const body = text.slice(0, -seal.length - 1);
  return { text, userId: Number(userId), device: Number(device), issued, body, seal };
}

/** Why a text cannot be the name of a device, as the end of a sentence; undefined when it can. */
export function checkDeviceName(name: string): string | undefined {
  if (name === "" || !isAtMost(name, NAME_MAX)) return `is not 1 to ${NAME_MAX} characters long`;
  return isLine(name) ? undefined : "has control characters or line breaks";
}

/** Makes devices, and knows their tokens. One per node. */
export class DeviceDesk {
  readonly #options: DeviceDeskOptions;
  readonly #now: () => number;
  readonly #rotations: Batcher<Rotation, Set<Rotation>>;
  /** Revoked here, and perhaps not yet in the database; oldest first. */
  readonly #revoked = new Set<number>();
  #isCatchingUp = false;
  #isFailing = false;

  /** See {@link DeviceDeskOptions}. */
  constructor(options: DeviceDeskOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#rotations = new Batcher((rotations) => options.devices.rotate(rotations), ROTATIONS);
  }

  /** A user's device; undefined: the user has none of this id. */
  async find(userId: number, device: number): Promise<DeviceRow | undefined> {
    const row = await this.#options.devices.one(device);
    return row?.userid === userId && !this.#revoked.has(device) ? row : undefined;
  }

  /** Whether a user has devices. */
  async hasAny(userId: number): Promise<boolean> {
    return (await this.#options.devices.of(userId)).length > 0;
  }

  /** A user's devices, by id, and those of them that are online. */
  async list(userId: number): Promise<{ rows: DeviceRow[]; online: Set<number> }> {
    const rows = (await this.#options.devices.of(userId)).filter(({ id }) => !this.#revoked.has(id));
    return { rows, online: await this.#onlineOf(userId, rows) };
  }

  async #onlineOf(userId: number, rows: readonly DeviceRow[]): Promise<Set<number>> {
    const subjects = new Map<Subject, number>(rows.map(({ id }) => [subjectOf(userId, id), id]));
    const online = await this.#options.presence.online([...subjects.keys()]);
    return new Set([...subjects].flatMap(([subject, id]) => online.has(subject) ? [id] : []));
  }

  /**
   * Makes a device that stands at the end of every conversation, in the place of another one where there are too many;
   * resolves with its id. Rejects when the database or presence is away.
   */
  async create(userId: number, name: string = NAMELESS): Promise<number> {
    const { devices, presence, positions, maxDevices, onRevoked } = this.#options;
    // Nobody can log in on it, and the next attempt would make another one.
    if (!presence.isUp) throw new PresenceError("this node is cut off from Redis");
    const [{ online }, ends] = await Promise.all([this.list(userId), positions(userId)]);
    const { id, removed } = await devices.create(userId, name, this.#now(), ends, {
      max: maxDevices,
      online,
    });
    for (const device of removed) onRevoked(userId, device);
    return id;
  }

  /** Calls a device something else; false: the user has none of this id. */
  rename(userId: number, device: number, name: string): Promise<boolean> {
    return this.#options.devices.rename(userId, device, name);
  }

  /** What a token is worth. `row`: of its device. */
  judge(token: DeviceToken, { id: userId, password }: Account, row: DeviceRow): Judgement {
    const isOurs = token.userId === userId && isSame(token.seal, this.#seal(token.body, password));
    if (!isOurs || row.expires <= this.#now()) return "unknown";
    if (token.issued > row.issued) return "good";
    const hash = hashToken(token.text, password);
    return hashesOf(row.tokens).some((known) => timingSafeEqual(known, hash)) ? "good" : "copied";
  }

  /**
   * Gives a device another token, in exchange for a good one or, without `used`, for the password. Undefined: it is not good
   * any more, or the device is gone. Rejects with a DatabaseError.
   */
  async issue(account: Account, device: number, used?: DeviceToken): Promise<IssuedToken | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const row = await this.find(account.id, device);
      if (!row || (used && this.judge(used, account, row) !== "good")) return undefined;
      const now = this.#now();
      const issued = Math.max(now, row.issued + 1);
      const next = this.#make(account, device, issued);
      const tokens = concatBytes([
        ...kept(row.tokens, used && hashToken(used.text, account.password)),
        next.hash,
      ]);
      const rotation = {
        id: device,
        before: row.issued,
        issued,
        tokens,
        seen: now,
        expires: now + this.#options.ttlMs,
      };
      if ((await this.#rotations.add(rotation)).has(rotation)) return next;
    }
    return undefined;
  }

  #make({ id: userId, password }: Account, device: number, issued: number): IssuedToken {
    const random = randomBytes(TIME_BYTES + RANDOM_BYTES);
    random.writeUIntBE(issued, 0, TIME_BYTES);
    const body = `${userId}.${device}.${random.toString("base64url")}`;
    const token = `${body}.${this.#seal(body, password)}`;
    return { token, hash: hashToken(token, password) };
  }

  #seal(body: string, password: string): string {
    return this.#options.sign(`device token\n${password}\n${body}`);
  }

  /** Whether `key` was made of a token of one of this user's devices that is good now. */
  async recogniseBeat(key: string, userId: number, password: string): Promise<boolean> {
    const now = this.#now();
    const rows = (await this.#options.devices.of(userId)).filter(({ expires }) => expires > now);
    return rows.some(({ tokens }) => hashesOf(tokens).some((hash) => isBeatOf(key, hash, password)));
  }

  /** A device is none of its user's any more. Rejects when the database does not take that. */
  async revoke(userId: number, device: number): Promise<void> {
    await this.#options.devices.remove([device]);
    this.#options.onRevoked(userId, device);
  }

  /** All devices of a user are gone but this one, and so is what it has of versions 1 and 2. Rejects as {@link revoke} does. */
  async revokeOthers(userId: number, device: number): Promise<void> {
    const others = (await this.#options.devices.of(userId)).map(({ id }) => id).filter((id) => id !== device);
    if (others.length > 0) await this.#options.devices.remove(others);
    for (const other of [...others, 0]) this.#options.onRevoked(userId, other);
  }

  /**
   * As {@link revoke}, without ending its connection: for this node at once, for the others as soon as the database takes
   * it. Resolves with whether it has, within a second. Never rejects.
   */
  async revokeInTime(device: number): Promise<boolean> {
    if (this.#revoked.size >= REVOCATIONS_MAX) forgetOldest(this.#revoked);
    this.#revoked.add(device);
    return await waitAtMost(REVOCATION_PATIENCE_MS, this.#settle(device)) ?? false;
  }

  /** Called about once a second, and at the end: revokes what could not be revoked before. Never rejects. */
  async catchUp(): Promise<void> {
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    for (const device of [...this.#revoked]) if (!await this.#settle(device)) break;
    this.#isCatchingUp = false;
  }

  async #settle(device: number): Promise<boolean> {
    try {
      await this.#options.devices.remove([device]);
    } catch (error) {
      if (!this.#isFailing) this.#options.onError?.(error);
      this.#isFailing = true;
      return false;
    }
    this.#isFailing = false;
    this.#revoked.delete(device);
    return true;
  }
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function hashesOf(tokens: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  for (let at = 0; at + HASH_BYTES <= tokens.length; at += HASH_BYTES) {
    hashes.push(tokens.subarray(at, at + HASH_BYTES));
  }
  return hashes;
}

/** What stays good beside a new token: the one that was used last and, if it is that one again, those given out since. */
function kept(tokens: Uint8Array, used: Uint8Array | undefined): Uint8Array[] {
  if (!used) return [NONE];
  const [former = NONE, ...candidates] = hashesOf(tokens);
  return timingSafeEqual(former, used) ? [former, ...candidates.slice(1 - CANDIDATES)] : [used];
}
