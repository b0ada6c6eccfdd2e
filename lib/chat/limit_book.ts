/**
 * Whom limits hold up now, for operators: who was refused or slowed down lately, by which limit, and until when.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";

/** Those whom a limit has met last are remembered. */
const KEPT = 10_000;
/** Whoever has been met by a limit is shown for so long, ms, also where each wait is shorter. */
const SHOWN_MS = 60_000;

/** What limits have refused or slowed down, by the names that they have in metrics. */
export class LimitCounters {
  /** Chat messages of users who sent too many or too much. */
  messages = 0;
  /** Chat messages to receivers for whom too much waits. */
  undelivered = 0;
  /** Look-ups of users who made too many. */
  lookups = 0;
  /** Passwords not looked at, after too many wrong ones. */
  guesses = 0;
  /** Passwords, tokens and codes not looked at, on connections where several in a row were wrong. */
  attempts = 0;
  /** Signups of addresses that made too many. */
  signups = 0;
  /** Invitations not looked at, after too many wrong ones. */
  codes = 0;
  /** Logins and signups for which too many others waited. */
  hashes = 0;
  /** Pages of history of users who read too much. */
  history = 0;
  /** Devices of users who made too many. */
  devices = 0;
  /** Other names and lines of users who changed theirs too often. */
  profiles = 0;
  /** Requests to the database of connections that made too many. */
  requests = 0;
  /** Connections whose frames had to be refused too often. */
  refusals = 0;
  /** Connections that have not read, or not acknowledged, what was sent to them. */
  unread = 0;
  /** Connections whose frame was too long. */
  frames = 0;
  /** Connections on which nobody logged in in time. */
  anonymous = 0;
}

/** A limit that holds up a user, or an address. */
export type PersonalLimit = Exclude<
  keyof LimitCounters,
  "attempts" | "frames" | "refusals" | "unread" | "anonymous" | "hashes"
>;

/** Whom a limit meets. */
export interface Subject {
  /** User id; undefined: nobody, or somebody who is not known. */
  userId?: number | undefined;
  /** As in net/person_address.ts. */
  person?: string | undefined;
}

/** Somebody whom a limit holds up. Times are in ms since the epoch. */
export interface LimitEntry extends Subject {
  /** Which one. */
  limit: PersonalLimit;
  /** How often, since it has been met without a minute's break. */
  times: number;
  /** Since when. */
  since: number;
  /** When last. */
  last: number;
  /** Until when; at or before `last`: that is not known. */
  until: number;
}

/** Counts what limits refuse, and knows whom. One per node. */
export class LimitBook {
  readonly #counters: LimitCounters;
  readonly #now: () => number;
  /** The one that was met last is at the end. */
  readonly #entries = new Map<string, LimitEntry>();

  /** `counters`: of what is refused. `now`: ms since the epoch. */
  constructor(counters: LimitCounters, now: () => number = Date.now) {
    this.#counters = counters;
    this.#now = now;
  }

  /** A limit has met somebody, who has to wait so long, ms; 0: nobody knows how long. */
  note(limit: PersonalLimit, { userId, person }: Subject, waitMs: number = 0): void {
    this.#counters[limit]++;
    if (userId === undefined && person === undefined) return;
    const now = this.#now();
    const key = `${limit} ${userId} ${person}`;
    const before = this.#entries.get(key);
    const { times, since } = before && isShown(before, now) ? before : { times: 0, since: now };
    this.#entries.delete(key);
    this.#entries.set(key, {
      limit,
      userId,
      person,
      times: times + 1,
      since,
      last: now,
      until: now + waitMs,
    });
    if (this.#entries.size > KEPT) forgetOldest(this.#entries);
  }

  /** Those who are held up now, whom a limit has met last first, at most `most`; and how many there are. */
  list(most: number): { entries: LimitEntry[]; count: number } {
    const now = this.#now();
    const entries = [...this.#entries.values()].filter((entry) => isShown(entry, now)).reverse();
    return { entries: entries.slice(0, most), count: entries.length };
  }

  /** Forgets what is noted of a user, or of an address, and returns it. What waits for others goes when they fetch it. */
  lift({ userId, person }: Subject): LimitEntry[] {
    const lifted = [...this.#entries].filter(([, entry]) =>
      entry.limit !== "undelivered" &&
      (userId === undefined ? entry.person === person : entry.userId === userId)
    );
    for (const [key] of lifted) this.#entries.delete(key);
    return lifted.map(([, entry]) => entry);
  }
}

function isShown({ last, until }: LimitEntry, now: number): boolean {
  return Math.max(until, last + SHOWN_MS) > now;
}
