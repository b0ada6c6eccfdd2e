/**
 * What each user may do in a second or an hour, on whichever connection: one after the other may not begin anew. And what
 * a connection may, whoever uses it.
 *
 * @module
 */
import { Throttle } from "../base/throttle.ts";

/** Who has been refused is refused for so long, ms: what comes again then comes in order, and a good deal of it. */
const PAUSE_MS = 1_000;
/** Users remembered before those are looked for who have used nothing lately. */
const USERS = 1_024;

/**
 * What is measured out, by the names of the limits as they are counted: the option that says how much there is in so many
 * seconds, 0 being any amount, and how many seconds' worth of it may come at once.
 */
export const RATES = {
  /** Chat messages. */
  messages: { option: "messageRate", seconds: 1, burstSeconds: 10 },
  /** Their bytes; counted as messages. */
  bytes: { option: "byteRate", seconds: 1, burstSeconds: 10 },
  /** Characters of history, a row being some besides: a longer burst is one that others feel. */
  history: { option: "historyRate", seconds: 1, burstSeconds: 2 },
  /** Questions whether somebody exists and who that is: enough for anybody's friends, too few for a list of everybody. */
  lookups: { option: "lookupRate", seconds: 1, burstSeconds: 100 },
  /** What asks the database, of a connection, or of all of a user's from version 3 on. Chat has its own measure: the commit. */
  requests: { option: "requestRate", seconds: 1, burstSeconds: 2 },
  /** Devices that a user makes by logging in: each has a row for each of its conversations. */
  devices: { option: "deviceRate", seconds: 3_600, burstSeconds: 600 },
  /** Other names and lines about oneself: all who know the user are told of each. */
  profiles: { option: "profileRate", seconds: 3_600, burstSeconds: 300 },
  /** Frames of a connection that are refused: a client whose every frame is wrong helps nobody. */
  refusals: { option: "refusalRate", seconds: 1, burstSeconds: 50 },
} as const;

/** One of them. */
export type Rate = keyof typeof RATES;

/** How much there is of each; 0: any amount. */
export type RateOptions = Readonly<Record<(typeof RATES)[Rate]["option"], number>>;

/** One user's, or one connection's. Times as of performance.now(). */
export class Quota {
  readonly #options: RateOptions;
  readonly #throttles = new Map<Rate, Throttle>();
  /** Those that every message asks for, once one has: not to be looked for each time. */
  #chat: { messages: Throttle | undefined; bytes: Throttle | undefined } | undefined;
  #pausedUntil = -Infinity;

  /** So much may be had of each. */
  constructor(options: RateOptions) {
    this.#options = options;
  }

  /** Counts so many; returns how long to wait before they are handled, ms. */
  take(rate: Rate, now: number, count = 1): number {
    return this.#throttle(rate, now)?.take(now, count) ?? 0;
  }

  /** How long until there is one to be had, ms; counts nothing. */
  msUntilOne(rate: Rate, now: number): number {
    return this.#throttle(rate, now)?.msUntilOne(now) ?? 0;
  }

  /**
   * Counts one, if there is one to be had: then 0, else how long to wait before the next try, ms. `weight`: on so many nodes
   * the user is online, each of which counts for itself.
   */
  tryTake(rate: Rate, now: number, weight = 1): number {
    const waitMs = this.msUntilOne(rate, now);
    if (waitMs === 0) this.take(rate, now, weight);
    return waitMs;
  }

  /** As {@link tryTake}, for a message of so many bytes. */
  tryMessage(now: number, bytes: number, weight = 1): number {
    if (now >= this.#pausedUntil) {
      const { messages, bytes: ofBytes } = this.#ofChat(now);
      const waitMs = Math.max(messages?.msUntilOne(now) ?? 0, ofBytes?.msUntilOne(now) ?? 0);
      if (waitMs === 0) {
        this.takeMessage(now, bytes, weight);
        return 0;
      }
      this.#pausedUntil = now + Math.max(PAUSE_MS, waitMs);
    }
    return this.#pausedUntil - now;
  }

  /** As {@link take}, for a message of so many bytes. */
  takeMessage(now: number, bytes: number, weight = 1): number {
    const { messages, bytes: ofBytes } = this.#ofChat(now);
    return Math.max(messages?.take(now, weight) ?? 0, ofBytes?.take(now, bytes * weight) ?? 0);
  }

  /** True when it is as good as a new one. */
  isFull(now: number): boolean {
    return now >= this.#pausedUntil &&
      [...this.#throttles.values()].every((throttle) => throttle.isFull(now));
  }

  #ofChat(now: number) {
    return this.#chat ??= { messages: this.#throttle("messages", now), bytes: this.#throttle("bytes", now) };
  }

  #throttle(rate: Rate, now: number): Throttle | undefined {
    const known = this.#throttles.get(rate);
    if (known) return known;
    const { option, seconds, burstSeconds } = RATES[rate];
    const perSecond = this.#options[option] / seconds;
    if (perSecond === 0) return undefined;
    // With less than one at once there would never be one to be had.
    const throttle = new Throttle({ burst: Math.max(1, burstSeconds * perSecond), perSecond }, now);
    this.#throttles.set(rate, throttle);
    return throttle;
  }
}

/** Everybody's. One per node. */
export class Quotas {
  #options: RateOptions;
  readonly #now: () => number;
  readonly #byUser = new Map<number, Quota>();
  #byConnection = new WeakMap<WeakKey, Quota>();
  #pruneAt = USERS;

  /** `now`: monotonic clock, ms. */
  constructor(options: RateOptions, now: () => number) {
    this.#options = { ...options };
    this.#now = now;
  }

  /** How many users are remembered. */
  get size(): number {
    return this.#byUser.size;
  }

  /** These count from now on; everybody begins anew where they are others than before. */
  change(options: RateOptions): void {
    const before = this.#options;
    if (Object.values(RATES).every(({ option }) => options[option] === before[option])) return;
    this.#options = { ...options };
    this.#byUser.clear();
    this.#byConnection = new WeakMap();
  }

  /** A user's. */
  of(userId: number): Quota {
    let quota = this.#byUser.get(userId);
    if (quota === undefined) {
      if (this.#byUser.size >= this.#pruneAt) this.#prune();
      this.#byUser.set(userId, quota = new Quota(this.#options));
    }
    return quota;
  }

  /** A connection's, by its session. */
  ofConnection(session: WeakKey): Quota {
    let quota = this.#byConnection.get(session);
    if (quota === undefined) this.#byConnection.set(session, quota = new Quota(this.#options));
    return quota;
  }

  /** This user begins anew, on these connections, too. */
  forget(userId: number, sessions: readonly WeakKey[]): void {
    this.#byUser.delete(userId);
    for (const session of sessions) this.#byConnection.delete(session);
  }

  #prune(): void {
    const now = this.#now();
    for (const [userId, quota] of this.#byUser) if (quota.isFull(now)) this.#byUser.delete(userId);
    this.#pruneAt = Math.max(USERS, 2 * this.#byUser.size);
  }
}
