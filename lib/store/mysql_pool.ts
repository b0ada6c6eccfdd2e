/**
 * A pool of connections, hand-written because the driver's own has no acquire deadline, no check before reuse and no
 * word about an outage. States as named collections, absolute deadlines and `release(error)` are tarn.js's and
 * pg-pool's; the code knows nothing of MySQL, so that its tests can lend out fakes.
 *
 * What always holds:
 * 1. creating + checking + idle + borrowed ≤ max, and a resource is in exactly one of these until it is destroyed, once.
 * 2. What is known to be broken, was released with an error, failed its check or is past its lifetime goes to nobody.
 * 3. Waiters are served in the order they came, urgent ones before the others, and none waits past its deadline.
 * 4. While somebody waits, all of `max` is in use, or a creation or check is under way, or the next attempt is timed.
 * 5. After a failed creation there is one attempt at a time, and the pauses between attempts grow up to a limit.
 * 6. The idle limit takes nothing below `min`; what else is lost below `min` is made again.
 * 7. After close() nothing is lent, nothing is left open and no timer runs.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "../base/clock.ts";
import { DatabaseError, errorText } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

/** What the pool needs to know of the things it lends. Deadlines are the pool's. */
export interface PoolFactory<Resource> {
  /** Makes one. Should give up when `signal` aborts; what arrives after that is destroyed unused. */
  create(signal: AbortSignal): Promise<Resource>;
  /** Asks the other side whether it still works; rejects when not. */
  check(resource: Resource): Promise<void>;
  /** True when it is known not to work any more. */
  isBroken(resource: Resource): boolean;
  /** Ends it, in good order if that is still possible, and resolves when it is gone. */
  destroy(resource: Resource): Promise<void>;
}

/** Limits of a {@linkcode Pool}. Times are milliseconds. */
export interface PoolLimits {
  /** Kept even when nobody needs them. */
  min?: number;
  /** Never more than this. */
  max?: number;
  /** How long acquire() may wait. */
  acquireTimeoutMs?: number;
  /** How long one creation may take. */
  createTimeoutMs?: number;
  /** How long one check may take. */
  checkTimeoutMs?: number;
  /** Checked before it is lent when it has been idle for longer. */
  checkAfterIdleMs?: number;
  /** Destroyed when it has been idle for longer and there are more than `min`. */
  idleTimeoutMs?: number;
  /** Replaced at this age; up to a tenth earlier, so that what was made together does not end together. */
  maxLifetimeMs?: number;
  /** Pause after the first failed creation; doubles with each further one. A random part of up to half is taken off. */
  backoffFirstMs?: number;
  /** Longest pause between two attempts. */
  backoffMaxMs?: number;
}

/** Options of a {@linkcode Pool}. */
export interface PoolOptions extends PoolLimits {
  /** The other side, as errors and log lines name it: `MySQL at 127.0.0.1:3306`. */
  name: string;
  /** Gets one line when creating begins to fail and one when it works again. */
  logger: Logger;
  /** Time; the system's by default. */
  clock?: Clock;
  /** Random numbers from 0 up to 1, for jitter; Math.random by default. */
  random?: () => number;
}

const DEFAULTS: Required<Omit<PoolOptions, "name" | "logger">> = {
  min: 1,
  max: 10,
  acquireTimeoutMs: 5_000,
  createTimeoutMs: 5_000,
  checkTimeoutMs: 2_000,
  checkAfterIdleMs: 1_000,
  idleTimeoutMs: 60_000,
  maxLifetimeMs: 30 * 60_000,
  backoffFirstMs: 100,
  backoffMaxMs: 5_000,
  clock: systemClock,
  random: Math.random,
};

/** A timer cannot be set for longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Something borrowed. */
export interface Lease<Resource> {
  /** What was borrowed; not to be used after release(). */
  readonly resource: Resource;
  /** Gives it back, or has it destroyed when an `error` is given. Throws when called again. */
  release(error?: unknown): void;
}

/** What a pool holds now, and what it has done since it was made. */
export interface PoolStats {
  /** creating + checking + idle + borrowed. */
  size: number;
  /** Being made. */
  creating: number;
  /** Being asked whether they still work. */
  checking: number;
  /** Ready to be lent. */
  idle: number;
  /** Lent. */
  borrowed: number;
  /** Waiting acquire() calls. */
  pending: number;
  /** Made so far. */
  created: number;
  /** Destroyed so far. */
  destroyed: number;
  /** Lent so far. */
  acquired: number;
  /** Milliseconds that those who got one have waited for it, all together. */
  waitedMs: number;
  /** Those whose deadline passed. */
  timeouts: number;
  /** Creations that failed. */
  createFailures: number;
  /** Checks that failed. */
  checkFailures: number;
}

interface Entry<Resource> {
  readonly resource: Resource;
  /** When its lifetime is over. */
  readonly expiresAt: number;
  /** When it was last given back, made or checked. */
  idleSince: number;
}

interface Waiter<Resource> {
  readonly since: number;
  readonly deadline: number;
  resolve(lease: Lease<Resource>): void;
  reject(error: DatabaseError): void;
}

/** When creating began to fail and how often it has since. */
interface Outage {
  readonly since: number;
  attempts: number;
  /** Not before this is the next attempt. */
  retryAt: number;
  reason: unknown;
}

function checkedOptions(options: PoolOptions): Required<PoolOptions> {
  const known = new Set(["name", "logger", ...Object.keys(DEFAULTS)]);
  for (const [key, value] of Object.entries(options)) {
    if (!known.has(key)) throw new TypeError(`Unknown pool option "${key}"`);
    if (typeof value === "number" && !(value >= 0 && value <= MAX_TIMER_MS)) {
      throw new RangeError(`Pool option ${key} must be from 0 to ${MAX_TIMER_MS}, not ${value}`);
    }
  }
  const all = { ...DEFAULTS, ...options };
  if (!Number.isInteger(all.max) || all.max < 1) {
    throw new RangeError(`Pool option max must be a whole number from 1, not ${all.max}`);
  }
  if (!Number.isInteger(all.min) || all.min > all.max) {
    throw new RangeError(`Pool option min must be a whole number up to max (${all.max}), not ${all.min}`);
  }
  return all;
}

/** Takes a wait with its deadline off the list. False when it is over already: the deadline or close() was faster. */
function endWait<Key>(waits: Map<Key, Timer>, key: Key): boolean {
  waits.get(key)?.cancel();
  return waits.delete(key);
}

/** Lends resources, keeps them, and replaces those that break. The module's text lists what it guarantees. */
export class Pool<Resource> {
  readonly #factory: PoolFactory<Resource>;
  readonly #options: Required<PoolOptions>;

  /** In the order they came, which is also the order of their deadlines. */
  readonly #waiters: Waiter<Resource>[] = [];
  /** Likewise; served before those. */
  readonly #urgent: Waiter<Resource>[] = [];
  /** With their deadlines, as are the checks. */
  readonly #creating = new Map<AbortController, Timer>();
  readonly #checking = new Map<Entry<Resource>, Timer>();
  /** The last one given back is last, and lent first: what the load does not need grows old at the front. */
  readonly #idle: Entry<Resource>[] = [];
  readonly #borrowed = new Set<Entry<Resource>>();
  /** Creations and endings under way; close() waits for them. */
  readonly #unfinished = new Set<Promise<void>>();

  #outage: Outage | null = null;
  #deadlineTimer: Timer | null = null;
  #retryTimer: Timer | null = null;
  #sweepTimer: Timer | null = null;
  #sweepAt = Infinity;
  #isClosing = false;
  #closed: Promise<void> | null = null;
  /** Called when the last borrowed one is back, while close() waits for that. */
  #onAllReturned: (() => void) | null = null;

  #created = 0;
  #destroyed = 0;
  #acquired = 0;
  #waitedMs = 0;
  #timeouts = 0;
  #createFailures = 0;
  #checkFailures = 0;

  /** Begins to fill up to `min` at once. Throws on an unknown or senseless option. */
  constructor(factory: PoolFactory<Resource>, options: PoolOptions) {
    this.#factory = factory;
    this.#options = checkedOptions(options);
    this.#serve();
  }

  /** Counters for metrics. */
  stats(): PoolStats {
    return {
      size: this.#size,
      creating: this.#creating.size,
      checking: this.#checking.size,
      idle: this.#idle.length,
      borrowed: this.#borrowed.size,
      pending: this.#pending,
      created: this.#created,
      destroyed: this.#destroyed,
      acquired: this.#acquired,
      waitedMs: this.#waitedMs,
      timeouts: this.#timeouts,
      createFailures: this.#createFailures,
      checkFailures: this.#checkFailures,
    };
  }

  /**
   * Borrows one. Rejects with a DatabaseError of kind `unavailable` when there is none within the acquire deadline;
   * its text says why: all in use, or what the last attempt to create one died of. Rejects at once after close().
   * `isUrgent`: before all who are not, for those few whom many wait for.
   */
  acquire({ isUrgent = false } = {}): Promise<Lease<Resource>> {
    if (this.#isClosing) return Promise.reject(this.#closedError());
    const since = this.#options.clock.now();
    const deadline = since + this.#options.acquireTimeoutMs;
    return new Promise((resolve, reject) => {
      (isUrgent ? this.#urgent : this.#waiters).push({ since, deadline, resolve, reject });
      this.#serve();
      this.#armDeadlineTimer();
    });
  }

  /** Drops idle ones that are broken or too old; runs by itself when one is due, and may be called when one broke. */
  sweep(): void {
    const { clock, idleTimeoutMs, min } = this.#options;
    const now = clock.now();
    const spent = this.#idle.filter((entry) => this.#isSpent(entry));
    for (const entry of spent) this.#idle.splice(this.#idle.indexOf(entry), 1);
    for (const entry of spent) this.#destroy(entry);
    while (this.#size > min && this.#idle[0] && this.#idle[0].idleSince + idleTimeoutMs <= now) {
      const entry = this.#idle.shift();
      if (entry) this.#destroy(entry);
    }
    this.#serve();
  }

  /**
   * Rejects who waits and lends no more; resolves when all that is lent has come back and ended. What is still lent
   * after `timeoutMs` is destroyed in the borrower's hands, and what then takes long to end is not waited for.
   */
  close(timeoutMs: number): Promise<void> {
    this.#isClosing = true;
    return this.#closed ??= this.#close(timeoutMs);
  }

  get #pending(): number {
    return this.#urgent.length + this.#waiters.length;
  }

  get #size(): number {
    return this.#creating.size + this.#checking.size + this.#idle.length + this.#borrowed.size;
  }

  #isSpent(entry: Entry<Resource>): boolean {
    return this.#factory.isBroken(entry.resource) || entry.expiresAt <= this.#options.clock.now();
  }

  /** Brings waiters and resources together, and makes what is missing. To be called after every change of either. */
  #serve(): void {
    if (this.#isClosing) return;
    this.#lendIdle();
    this.#createMissing();
    this.#armSweepTimer();
  }

  #lendIdle(): void {
    const { clock, checkAfterIdleMs } = this.#options;
    while (this.#pending > 0) {
      const entry = this.#idle.at(-1);
      if (!entry) return;
      const needsCheck = clock.now() - entry.idleSince > checkAfterIdleMs;
      // One check for each waiter is enough; those below the last one given back have been idle for even longer.
      if (needsCheck && this.#checking.size >= this.#pending) return;
      this.#idle.pop();
      if (this.#isSpent(entry)) this.#destroy(entry);
      else if (needsCheck) this.#check(entry);
      else this.#lend(entry);
    }
  }

  #lend(entry: Entry<Resource>): void {
    const waiter = this.#urgent.shift() ?? this.#waiters.shift();
    if (!waiter) throw new Error("Nobody waits"); // lendIdle() has just looked
    this.#borrowed.add(entry);
    this.#acquired++;
    this.#waitedMs += this.#options.clock.now() - waiter.since;
    let isReleased = false;
    waiter.resolve({
      resource: entry.resource,
      release: (error) => {
        if (isReleased) throw new Error(`A connection of ${this.#options.name} was released twice`);
        isReleased = true;
        this.#takeBack(entry, error);
      },
    });
  }

  #takeBack(entry: Entry<Resource>, error: unknown): void {
    if (!this.#borrowed.delete(entry)) return; // close() did not wait for it any longer and has destroyed it
    if (error !== undefined || this.#isClosing || this.#isSpent(entry)) this.#destroy(entry);
    else this.#makeIdle(entry);
    if (this.#borrowed.size === 0) this.#onAllReturned?.();
    this.#serve();
  }

  #makeIdle(entry: Entry<Resource>): void {
    entry.idleSince = this.#options.clock.now();
    this.#idle.push(entry);
  }

  #check(entry: Entry<Resource>): void {
    const { clock, checkTimeoutMs } = this.#options;
    const finish = (isGood: boolean) => {
      if (!endWait(this.#checking, entry)) return;
      if (isGood) this.#makeIdle(entry);
      else {
        this.#checkFailures++;
        this.#destroy(entry);
      }
      this.#serve();
    };
    this.#checking.set(entry, clock.after(checkTimeoutMs, () => finish(false)));
    this.#factory.check(entry.resource).then(() => finish(true), () => finish(false));
  }

  #createMissing(): void {
    const { clock, min, max } = this.#options;
    const unserved = this.#pending - this.#checking.size - this.#creating.size;
    let missing = Math.min(Math.max(unserved, min - this.#size), max - this.#size);
    if (missing <= 0) return;
    if (this.#outage) {
      if (this.#creating.size > 0) return;
      const pauseMs = this.#outage.retryAt - clock.now();
      if (pauseMs > 0) {
        this.#armRetryTimer(pauseMs);
        return;
      }
      missing = 1;
    }
    for (; missing > 0; missing--) this.#create();
  }

  #create(): void {
    const { clock, createTimeoutMs } = this.#options;
    const attempt = new AbortController();
    const begunIn = this.#outage;
    const fail = (reason: unknown) => {
      if (endWait(this.#creating, attempt)) this.#onCreateFailed(reason, begunIn);
    };
    const giveUp = () => {
      const reason = new Error(`no answer within ${createTimeoutMs} ms`);
      attempt.abort(reason);
      fail(reason);
    };
    this.#creating.set(attempt, clock.after(createTimeoutMs, giveUp));
    this.#untilFinished(
      this.#factory.create(attempt.signal).then((resource) => {
        if (endWait(this.#creating, attempt)) this.#onCreated(resource, begunIn);
        else this.#end(resource);
      }, fail),
    );
  }

  /** `begunIn` is the outage in which the attempt was begun: what was under way before says nothing about its end. */
  #onCreated(resource: Resource, begunIn: Outage | null): void {
    const { clock, logger, maxLifetimeMs, name, random } = this.#options;
    const now = clock.now();
    this.#created++;
    if (this.#outage && begunIn === this.#outage) {
      const { since, attempts } = this.#outage;
      this.#outage = null;
      logger.info(`New connections to ${name} work again`, { after_ms: Math.round(now - since), attempts });
    }
    this.#makeIdle({ resource, expiresAt: now + maxLifetimeMs * (1 - 0.1 * random()), idleSince: now });
    this.#serve();
  }

  #onCreateFailed(reason: unknown, begunIn: Outage | null): void {
    const { backoffFirstMs, backoffMaxMs, clock, logger, name, random } = this.#options;
    const now = clock.now();
    this.#createFailures++;
    const isFirst = this.#outage === null;
    const outage = this.#outage ??= { since: now, attempts: 0, retryAt: now, reason };
    outage.reason = reason;
    // Attempts that were under way together fail together, and count as one.
    if (isFirst || begunIn === outage) {
      const pauseMs = Math.min(backoffFirstMs * 2 ** outage.attempts, backoffMaxMs);
      outage.attempts++;
      outage.retryAt = now + pauseMs * (1 - 0.5 * random());
    }
    if (isFirst) {
      const connections = this.#size - this.#creating.size;
      logger.error(`No new connection to ${name}; trying again`, { reason: errorText(reason), connections });
    }
    this.#serve();
  }

  #destroy(entry: Entry<Resource>): void {
    this.#destroyed++;
    this.#end(entry.resource);
  }

  #end(resource: Resource): void {
    const { logger, name } = this.#options;
    this.#untilFinished(
      this.#factory.destroy(resource).catch((error) => {
        logger.warn(`A connection of ${name} did not end well`, { reason: errorText(error) });
      }),
    );
  }

  #untilFinished(work: Promise<void>): void {
    this.#unfinished.add(work);
    work.then(() => this.#unfinished.delete(work));
  }

  async #close(timeoutMs: number): Promise<void> {
    const { clock, logger, name } = this.#options;
    for (const timer of [this.#deadlineTimer, this.#retryTimer, this.#sweepTimer]) timer?.cancel();
    for (const waiters of [this.#urgent, this.#waiters]) {
      for (const waiter of waiters.splice(0)) waiter.reject(this.#closedError());
    }
    for (const attempt of [...this.#creating.keys()]) {
      endWait(this.#creating, attempt);
      attempt.abort(this.#closedError());
    }
    for (const entry of [...this.#checking.keys()]) {
      endWait(this.#checking, entry);
      this.#destroy(entry);
    }
    for (const entry of this.#idle.splice(0)) this.#destroy(entry);

    const tooLong = Promise.withResolvers<void>();
    const timer = clock.after(timeoutMs, () => tooLong.resolve());
    if (this.#borrowed.size > 0) {
      const returned = new Promise<void>((resolve) => this.#onAllReturned = resolve);
      await Promise.race([returned, tooLong.promise]);
    }
    if (this.#borrowed.size > 0) {
      logger.warn(`Connections of ${name} still in use were cut`, { connections: this.#borrowed.size });
      for (const entry of this.#borrowed) this.#destroy(entry);
      this.#borrowed.clear();
    }
    while (this.#unfinished.size > 0) {
      const finished = Promise.all(this.#unfinished).then(() => true);
      if (!await Promise.race([finished, tooLong.promise])) break;
    }
    timer.cancel();
  }

  #closedError(): DatabaseError {
    return new DatabaseError("unavailable", `The connections to ${this.#options.name} are closed`);
  }

  #armDeadlineTimer(): void {
    const first = Math.min(...[this.#urgent, this.#waiters].map(([first]) => first?.deadline ?? Infinity));
    if (first === Infinity || this.#deadlineTimer) return;
    const { clock } = this.#options;
    // Left alone when that waiter is served: it then finds nothing due and moves on to the next.
    this.#deadlineTimer = clock.after(first - clock.now(), () => {
      this.#deadlineTimer = null;
      this.#rejectLate(this.#urgent);
      this.#rejectLate(this.#waiters);
      this.#armDeadlineTimer();
    });
  }

  #rejectLate(waiters: Waiter<Resource>[]): void {
    const { acquireTimeoutMs, clock, name, max } = this.#options;
    const now = clock.now();
    const late = waiters.findIndex(({ deadline }) => deadline > now);
    for (const waiter of waiters.splice(0, late < 0 ? waiters.length : late)) {
      this.#timeouts++;
      const why = this.#outage
        ? errorText(this.#outage.reason)
        : `${this.#borrowed.size} of at most ${max} are in use`;
      const text = `No connection to ${name} within ${acquireTimeoutMs} ms: ${why}`;
      waiter.reject(
        new DatabaseError("unavailable", text, this.#outage ? { cause: this.#outage.reason } : {}),
      );
    }
  }

  #armRetryTimer(delayMs: number): void {
    this.#retryTimer ??= this.#options.clock.after(delayMs, () => {
      this.#retryTimer = null;
      this.#serve();
    });
  }

  #armSweepTimer(): void {
    const { clock, idleTimeoutMs, min } = this.#options;
    const oldest = this.#idle[0];
    let dueAt = oldest && this.#size > min ? oldest.idleSince + idleTimeoutMs : Infinity;
    for (const { expiresAt } of this.#idle) dueAt = Math.min(dueAt, expiresAt);
    // A timer that is early enough stays: moving it at every release would cost more than one sweep in vain.
    if (dueAt >= this.#sweepAt) return;
    this.#sweepTimer?.cancel();
    this.#sweepAt = dueAt;
    this.#sweepTimer = clock.after(dueAt - clock.now(), () => {
      this.#sweepAt = Infinity;
      this.#sweepTimer = null;
      this.sweep();
    });
  }
}
