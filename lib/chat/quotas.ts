/**
 * What each user may do in a second, on whichever connection: one after the other may not begin anew.
 *
 * @module
 */
import { Throttle } from "../base/throttle.ts";
import { COSTLY_REQUESTS } from "./session.ts";

/** So many seconds' worth may come at once. */
const BURST_SECONDS = 10;
/** Of history fewer: it is a burst that others feel. */
const HISTORY_BURST_SECONDS = 2;
/** Who has been refused is refused for so long, ms: what comes again then comes in order, and a good deal of it. */
const PAUSE_MS = 1_000;
/** Questions whether somebody exists and who that is: enough for anybody's friends, too few for a list of everybody. */
const LOOKUPS = { burst: 100, perSecond: 1 };
/** Devices that a user makes by logging in: each has a row for each of its conversations. */
const DEVICES = { burst: 60, perSecond: 0.1 };
/** Other names and lines about oneself: all who know the user are told of each. */
const PROFILES = { burst: 10, perSecond: 1 / 30 };
/** Users remembered before those are looked for who have used nothing lately. */
const USERS = 1_024;

/** How much a user may send; 0: any amount. */
export interface QuotaOptions {
  /** Chat messages a second. */
  messageRate: number;
  /** Bytes of chat messages a second. */
  byteRate: number;
  /** Characters of history a second, a row being some besides. */
  historyRate: number;
}

/** One user's. */
export class Quota {
  readonly #messages: Throttle | undefined;
  readonly #bytes: Throttle | undefined;
  readonly #lookups: Throttle;
  readonly #history: Throttle | undefined;
  #requests: Throttle | undefined;
  #devices: Throttle | undefined;
  #profiles: Throttle | undefined;
  #pausedUntil = -Infinity;

  /** `now` as of performance.now(). */
  constructor({ messageRate, byteRate, historyRate }: QuotaOptions, now: number) {
    this.#messages = throttle(messageRate, now);
    this.#bytes = throttle(byteRate, now);
    this.#lookups = new Throttle(LOOKUPS, now);
    this.#history = historyRate === 0
      ? undefined
      : new Throttle({ burst: HISTORY_BURST_SECONDS * historyRate, perSecond: historyRate }, now);
  }

  /**
   * Counts a message of so many bytes, if it may be sent now: then 0, else how long to wait before the next try, ms.
   * `weight`: on so many nodes the user is online, each of which counts for itself.
   */
  tryMessage(now: number, bytes: number, weight = 1): number {
    if (now >= this.#pausedUntil) {
      const waitMs = Math.max(this.#messages?.msUntilOne(now) ?? 0, this.#bytes?.msUntilOne(now) ?? 0);
      if (waitMs === 0) {
        this.takeMessage(now, bytes, weight);
        return 0;
      }
      this.#pausedUntil = now + Math.max(PAUSE_MS, waitMs);
    }
    return this.#pausedUntil - now;
  }

  /** Counts a message of so many bytes; returns how long to wait before it is handled, ms. */
  takeMessage(now: number, bytes: number, weight = 1): number {
    return Math.max(this.#messages?.take(now, weight) ?? 0, this.#bytes?.take(now, bytes * weight) ?? 0);
  }

  /** As {@link tryMessage}, for a look-up of somebody. */
  tryLookup(now: number, weight = 1): number {
    const waitMs = this.#lookups.msUntilOne(now);
    if (waitMs === 0) this.#lookups.take(now, weight);
    return waitMs;
  }

  /** How long until somebody may be looked up, ms; counts nothing. */
  msUntilLookup(now: number): number {
    return this.#lookups.msUntilOne(now);
  }

  /** As {@link takeMessage}, for a look-up of somebody. */
  takeLookup(now: number, weight = 1): number {
    return this.#lookups.take(now, weight);
  }

  /** Requests that ask the database, of all of the user's connections. */
  get requests(): Throttle {
    return this.#requests ??= new Throttle(COSTLY_REQUESTS, performance.now());
  }

  /** As {@link tryMessage}, for another device. */
  tryDevice(now: number): number {
    this.#devices ??= new Throttle(DEVICES, now);
    const waitMs = this.#devices.msUntilOne(now);
    if (waitMs === 0) this.#devices.take(now);
    return waitMs;
  }

  /** As {@link tryMessage}, for another name, or another line about oneself. */
  tryProfile(now: number): number {
    this.#profiles ??= new Throttle(PROFILES, now);
    const waitMs = this.#profiles.msUntilOne(now);
    if (waitMs === 0) this.#profiles.take(now);
    return waitMs;
  }

  /** Counts so much history that has been read; returns how long to wait before more is, ms. */
  takeHistory(now: number, chars: number): number {
    return this.#history?.take(now, chars) ?? 0;
  }

  /** True when it is as good as a new one. */
  isFull(now: number): boolean {
    return (this.#messages?.isFull(now) ?? true) && (this.#bytes?.isFull(now) ?? true) &&
      this.#lookups.isFull(now) && (this.#history?.isFull(now) ?? true) &&
      (this.#requests?.isFull(now) ?? true) && (this.#devices?.isFull(now) ?? true) &&
      (this.#profiles?.isFull(now) ?? true) && now >= this.#pausedUntil;
  }
}

function throttle(perSecond: number, now: number): Throttle | undefined {
  return perSecond === 0 ? undefined : new Throttle({ burst: BURST_SECONDS * perSecond, perSecond }, now);
}

/** Everybody's. One per node. */
export class Quotas {
  #options: QuotaOptions;
  readonly #now: () => number;
  readonly #byUser = new Map<number, Quota>();
  #pruneAt = USERS;

  /** `now`: monotonic clock, ms. */
  constructor(options: QuotaOptions, now: () => number) {
    this.#options = { ...options };
    this.#now = now;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#byUser.size;
  }

  /** These count from now on; everybody begins anew where they are others than before. */
  change({ messageRate, byteRate, historyRate }: QuotaOptions): void {
    const before = this.#options;
    if (
      messageRate === before.messageRate && byteRate === before.byteRate && historyRate === before.historyRate
    ) return;
    this.#options = { messageRate, byteRate, historyRate };
    this.#byUser.clear();
  }

  /** A user's. */
  of(userId: number): Quota {
    let quota = this.#byUser.get(userId);
    if (quota === undefined) {
      if (this.#byUser.size >= this.#pruneAt) this.#prune();
      this.#byUser.set(userId, quota = new Quota(this.#options, this.#now()));
    }
    return quota;
  }

  /** This user begins anew. */
  forget(userId: number): void {
    this.#byUser.delete(userId);
  }

  #prune(): void {
    const now = this.#now();
    for (const [userId, quota] of this.#byUser) if (quota.isFull(now)) this.#byUser.delete(userId);
    this.#pruneAt = Math.max(USERS, 2 * this.#byUser.size);
  }
}
