/**
 * Presence of a cluster: leases of nodes and claims of users in Redis.
 *
 * What a node holds it knows itself; Redis is told and, after an outage or a loss of data, told again. The
 * invariants:
 * - `#held` is what this node's sessions hold; a claim in Redis under this boot id that differs from it is
 *   either about to be settled (`#doubtful`) or under way in the user's turn;
 * - claims count by the lease, so a node that dies or gives it back frees all its users at once;
 * - a claim is only as good as the node's word for it: after every outage the node says anew what it holds, and the lease
 *   then says that nothing from before counts. What a restored file or a promoted replica remembers is so forgotten.
 *
 * Two processes under one name: the second asks Redis whether the first is still connected. Is it not
 * (killed, crashed), its lease is taken over at once, so a restart never waits. Is it, the second watches the
 * lease: renewed means a node lives there, and the second refuses to start; not renewed means its machine
 * vanished, and the lease is taken when it runs out. A live node can be taken for dead only in the moment of
 * its own reconnecting; it then finds its name taken at the next renewal and stops. The newcomer never knocks
 * a healthy node out. Boot ids are signed and in order, so that nobody else does either: a node stops for a process of its
 * cluster that was started later, and takes its lease back from anything else that stands there.
 *
 * @module
 */

import { Batcher } from "../base/batcher.ts";
import { type Clock, systemClock, type Timer } from "../base/clock.ts";
import { errorText, EXIT, FatalError, PresenceError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ClaimMode, ClaimResult, Presence, PresenceEvents, Subject } from "./presence.ts";
import {
  CLAIM,
  END_CLEANUP,
  LEAVE,
  ONLINE,
  RENEW_LEASE,
  SETTLE,
  SURVEY,
  TAKE_LEASE,
  VERIFY,
} from "./presence_scripts.ts";
import type { Redis } from "./redis.ts";
import type { RedisScript } from "./redis_script.ts";

/** What {@link RedisPresence.open} needs. */
export interface RedisPresenceOptions {
  /** Connected. Closed by its owner, after presence. */
  redis: Redis;
  /** Keeps the clusters that share a Redis apart: all keys begin with it. */
  cluster: string;
  /** This node's name. */
  node: string;
  /** Proves that a boot id is of a node of this cluster: see Seal.sign. */
  sign: (text: string) => string;
  /** Who is told of losses. */
  events: PresenceEvents;
  /** For what fails and is tried again. */
  logger: Pick<Logger, "warn">;
  /**
   * How long a dead node's users stay claimed, in milliseconds; renewed three times as often. 10 s by
   * default.
   */
  leaseMs?: number;
  /** The system's by default. */
  clock?: Clock;
}

const DEFAULT_LEASE_MS = 10_000;

/** Subjects a script looks at in one go: measured, 2 ms there and back. Redis does nothing else meanwhile. */
const BATCH_SIZE = 500;

/** Fewer: each is written, and whoever logs in waits. */
const CLAIMS_PER_COMMAND = 100;

/** How often a starting node looks at the lease of a namesake. */
const TAKE_POLL_MS = 100;

/** A dead node's users are looked after by one node for this many leases; then another may try. */
const CLEANUP_LEASES = 3;

/** How long others can be cut off from Redis and still find that a node has left and not died, in milliseconds. */
const LEFT_MARK_MS = 3_600_000;

interface Claim {
  subject: Subject;
  mode: ClaimMode;
}

function textList(reply: unknown): string[] {
  if (!Array.isArray(reply)) {
    throw new Error(`Redis answered a presence script with ${JSON.stringify(reply)}`);
  }
  return reply.map(String);
}

function toClaimResult([outcome, generation, previousNode, others, lapsed]: string[]): ClaimResult {
  if (outcome !== "claimed") return { claimed: false };
  return {
    claimed: true,
    generation: Number(generation),
    ...(previousNode ? { previousNode } : {}),
    ...(others ? { hasOthers: true } : {}),
    ...(lapsed ? { hasLapsed: true } : {}),
  };
}

function* batches<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let i = 0; i < items.length; i += BATCH_SIZE) yield items.slice(i, i + BATCH_SIZE);
}

/** Claims that count while their node's lease lasts. */
export class RedisPresence implements Presence {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #node: string;
  readonly #events: PresenceEvents;
  readonly #logger: Pick<Logger, "warn">;
  readonly #leaseMs: number;
  readonly #clock: Clock;
  readonly #sign: (text: string) => string;
  /** Names this process, and when it was started; the lease holds it. */
  readonly #boot: string;
  /** Generation by subject. */
  readonly #held = new Map<Subject, number>();
  /** Those whose claim in Redis may differ from {@link #held}. */
  readonly #doubtful = new Set<Subject>();
  /** Claims and releases of one subject run one after the other. */
  readonly #turns = new Map<Subject, Promise<unknown>>();
  /** Logins that come at once share a command. */
  readonly #claims = new Batcher((claims: Claim[]) => this.#claimAll(claims), CLAIMS_PER_COMMAND);
  /** Live nodes when we last looked: Redis may forget them. */
  #peers: string[] = [];
  #leaseUntil = 0;
  /** Before this, other nodes may still be on their way back to Redis. */
  #surveyFrom = 0;
  #mustVerify = false;
  /** Goes into claims: how many times this node has begun to say what it holds. */
  #word = 0;
  /** Goes into the lease: the last of them that it has said to the end. */
  #saidWord = 0;
  #mustTellRestored = false;
  #nextVerified: Iterator<Subject> | null = null;
  #timer: Timer | null = null;
  #beating: Promise<void> | null = null;
  #isBeatWanted = false;
  #isWarned = false;
  #isClosed = false;
  #unwatch: () => void = () => {};

  private constructor({ redis, cluster, node, sign, events, logger, leaseMs, clock }: RedisPresenceOptions) {
    this.#redis = redis;
    this.#prefix = `${cluster}:`;
    this.#node = node;
    this.#sign = sign;
    const name = `${Date.now()}.${crypto.randomUUID()}`;
    this.#boot = `${name}.${sign(`${node} ${name}`)}`;
    this.#events = events;
    this.#logger = logger;
    this.#leaseMs = leaseMs ?? DEFAULT_LEASE_MS;
    this.#clock = clock ?? systemClock;
  }

  /**
   * Takes the lease for this node's name. Throws a {@link FatalError} when a live node has that name (exit
   * code 78) or Redis refuses (69). The caller brings the database's states in line with {@link online} once
   * afterwards, for what an earlier process under this name left behind.
   */
  static async open(options: RedisPresenceOptions): Promise<RedisPresence> {
    const presence = new RedisPresence(options);
    try {
      await presence.#takeLease();
    } catch (error) {
      options.redis.unsubscribe(presence.#bootChannel(presence.#boot));
      if (error instanceof FatalError) throw error;
      throw new FatalError(
        EXIT.unavailable,
        `Cannot use Redis at ${options.redis.display} for presence: ${errorText(error)}`,
      );
    }
    presence.#start();
    return presence;
  }

  /** See {@link Presence.isUp}. */
  get isUp(): boolean {
    return !this.#isClosed && this.#redis.isUp && this.#clock.now() < this.#leaseUntil;
  }

  /** See {@link Presence.isSure}. */
  get isSure(): boolean {
    return this.isUp && !this.#mustVerify;
  }

  /** See {@link Presence.claim}. */
  claim(subject: Subject, mode: ClaimMode): Promise<ClaimResult> {
    return this.#inTurn(subject, () => this.#claim(subject, mode));
  }

  /** See {@link Presence.release}. */
  async release(subject: Subject, generation: number): Promise<boolean | undefined> {
    if (this.#held.get(subject) !== generation) return undefined;
    this.#held.delete(subject);
    return await this.#settle(subject);
  }

  /** See {@link Presence.online}. */
  async online<Some extends Subject>(subjects: readonly Some[]): Promise<Set<Some>> {
    const online = new Set<Some>();
    for (const batch of batches(subjects)) {
      const found = new Set(textList(await this.#run(ONLINE, ...batch)));
      for (const subject of batch) if (found.has(String(subject))) online.add(subject);
    }
    return online;
  }

  /** See {@link Presence.close}. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unwatch();
    this.#timer?.cancel();
    await this.#beating;
    this.#redis.unsubscribe(this.#bootChannel(this.#boot));
    try {
      await this.#run(LEAVE, this.#node, this.#boot, LEFT_MARK_MS);
    } catch (error) {
      this.#logger.warn("cannot give the lease back; it runs out by itself", { reason: errorText(error) });
    }
  }

  /** Nothing is ever published here: its subscriber count tells whether that process is connected. */
  #bootChannel(boot: string): string {
    return `${this.#prefix}boot:${boot}`;
  }

  #run(script: RedisScript, ...args: (string | number)[]): Promise<unknown> {
    return this.#redis.script(script, [this.#prefix, ...args]);
  }

  async #takeLease(): Promise<void> {
    await this.#redis.subscribe(this.#bootChannel(this.#boot));
    let expected = "";
    let watched: { holder: string; remainingMs: number } | null = null;
    while (true) {
      const sentAt = this.#clock.now();
      const reply = textList(await this.#run(TAKE_LEASE, this.#node, this.#boot, this.#leaseMs, expected));
      const [holder, remaining] = reply;
      if (holder === undefined) {
        this.#leaseUntil = sentAt + this.#leaseMs;
        return;
      }
      const remainingMs = Number(remaining);
      if (!await this.#isConnected(holder)) {
        expected = holder;
      } else if (watched && (watched.holder !== holder || watched.remainingMs < remainingMs)) {
        throw new FatalError(
          EXIT.config,
          `Another live node of this cluster is named "${this.#node}": give every node its own --node name`,
        );
      } else {
        watched = { holder, remainingMs };
        await new Promise<void>((resolve) => this.#clock.after(TAKE_POLL_MS, resolve));
      }
    }
  }

  async #isConnected(boot: string): Promise<boolean> {
    const [, count] = textList(await this.#redis.command("PUBSUB", "NUMSUB", this.#bootChannel(boot)));
    return count !== "0";
  }

  #start(): void {
    this.#surveyFrom = this.#clock.now() + this.#leaseMs;
    this.#unwatch = this.#redis.watch(() => {
      this.#word++;
      this.#mustVerify = true;
      this.#surveyFrom = this.#clock.now() + this.#leaseMs;
      this.#beatNow();
    });
    this.#beatLater();
  }

  /** Jobs for one subject in the order they came. */
  #inTurn<Result>(subject: Subject, job: () => Promise<Result>): Promise<Result> {
    const turn = (this.#turns.get(subject) ?? Promise.resolve()).then(job);
    const end = () => {
      if (this.#turns.get(subject) === ended) this.#turns.delete(subject);
    };
    const ended: Promise<void> = turn.then(end, end);
    this.#turns.set(subject, ended);
    return turn;
  }

  async #claim(subject: Subject, mode: ClaimMode): Promise<ClaimResult> {
    if (!this.isUp) throw new PresenceError("this node is cut off from Redis");
    const claims = await this.#claims.add({ subject, mode });
    const claim = claims.get(subject);
    if (!claim) throw new PresenceError("the lease of this node has run out");
    return claim;
  }

  /** Of different subjects, for each has one turn at a time. Holds what is claimed; empty when this node's lease has run out. */
  async #claimAll(claims: readonly Claim[]): Promise<Map<Subject, ClaimResult>> {
    const args = claims.flatMap(({ subject, mode }) => [subject, this.#held.get(subject) ?? 0, mode]);
    let reply: string[];
    try {
      reply = textList(await this.#run(CLAIM, this.#node, this.#boot, this.#word, ...args));
    } catch (error) {
      // They may have been claimed all the same.
      for (const { subject } of claims) this.#doubtful.add(subject);
      throw new PresenceError(errorText(error));
    }
    if (reply.length === 0) {
      this.#leaseUntil = 0;
      this.#beatNow();
      return new Map();
    }
    const results = new Map<Subject, ClaimResult>();
    claims.forEach(({ subject }, index) => {
      const result = toClaimResult(reply.slice(5 * index, 5 * index + 5));
      results.set(subject, result);
      if (result.claimed) this.#held.set(subject, result.generation);
    });
    return results;
  }

  /**
   * Brings Redis in line with what is held. Resolves with whether the user is online on another device. Never rejects:
   * what fails is doubtful, and settled by a later beat.
   */
  #settle(subject: Subject): Promise<boolean | undefined> {
    return this.#inTurn(subject, async () => {
      this.#doubtful.delete(subject);
      const held = this.#held.get(subject) ?? 0;
      try {
        return await this.#run(SETTLE, subject, this.#node, this.#boot, this.#word, held) === 1;
      } catch (error) {
        this.#doubtful.add(subject);
        this.#warnOnce(error);
        return undefined;
      }
    });
  }

  #beatLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#clock.after(this.#leaseMs / 3, () => this.#beatNow());
  }

  /** One beat at a time; whoever asks during one gets another right after it. */
  #beatNow(): void {
    this.#isBeatWanted = true;
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = null;
      this.#beatLater();
    });
  }

  async #beat(): Promise<void> {
    this.#timer?.cancel();
    while (this.#isBeatWanted && !this.#isClosed) {
      this.#isBeatWanted = false;
      try {
        await this.#tend();
        this.#isWarned = false;
      } catch (error) {
        this.#warnOnce(error);
      }
    }
  }

  /** The bus has told of an outage already. */
  #warnOnce(error: unknown): void {
    if (this.#isWarned || !this.#redis.isUp) return;
    this.#isWarned = true;
    this.#logger.warn("presence cannot be kept in Redis", { reason: errorText(error) });
  }

  /** Keeps the lease, then the claims, then an eye on the others. */
  async #tend(): Promise<void> {
    const sentAt = this.#clock.now();
    const state = String(await this.#renew());
    const [, holder] = /^taken (.*)$/s.exec(state) ?? [];
    if (holder !== undefined) {
      this.#leaseUntil = 0;
      if (this.#isLater(holder)) this.#loseName();
      else await this.#takeBack(holder);
      return;
    }
    this.#leaseUntil = sentAt + this.#leaseMs;
    if (state === "restored") {
      this.#mustVerify = true;
      this.#mustTellRestored = true;
      this.#surveyFrom = this.#clock.now() + this.#leaseMs;
    }
    if (this.#mustVerify) await this.#verifyAll();
    else await this.#verify(this.#nextToVerify());
    await Promise.all([...this.#doubtful].map((subject) => this.#settle(subject)));
    if (this.#mustTellRestored) {
      this.#mustTellRestored = false;
      this.#events.onRestored();
    }
    if (this.#clock.now() >= this.#surveyFrom) await this.#survey();
  }

  #renew(): Promise<unknown> {
    return this.#run(RENEW_LEASE, this.#node, this.#boot, this.#leaseMs, this.#saidWord);
  }

  /** Whether a boot id is of a process of this cluster that took the name after this one. */
  #isLater(boot: string): boolean {
    const [, name = "", startedAt = "", signature] = /^((\d+)\.[^.]*)\.(.*)$/.exec(boot) ?? [];
    return signature === this.#sign(`${this.#node} ${name}`) && Number(startedAt) >= parseInt(this.#boot);
  }

  /** From somebody who had no business there. */
  async #takeBack(holder: string): Promise<void> {
    this.#logger.warn("the lease of this node was not another node's; taken back", { node: this.#node });
    await this.#run(TAKE_LEASE, this.#node, this.#boot, this.#leaseMs, holder);
    this.#mustVerify = true;
    this.#isBeatWanted = true;
  }

  #loseName(): void {
    this.#isClosed = true;
    this.#unwatch();
    this.#redis.unsubscribe(this.#bootChannel(this.#boot));
    this.#events.onNameTaken();
  }

  async #verifyAll(): Promise<void> {
    const word = this.#word;
    for (const batch of batches([...this.#held.keys()])) await this.#verify(batch);
    if (word !== this.#word) return; // Another outage meanwhile: the next beat begins again.
    this.#mustVerify = false;
    if (word === this.#saidWord) return;
    this.#saidWord = word;
    await this.#renew();
  }

  /** A few each beat: finds what nobody told us, such as keys that Redis has evicted. */
  #nextToVerify(): Subject[] {
    const subjects: Subject[] = [];
    this.#nextVerified ??= this.#held.keys();
    while (subjects.length < BATCH_SIZE) {
      const { value, done } = this.#nextVerified.next();
      if (done) {
        this.#nextVerified = null;
        break;
      }
      subjects.push(value);
    }
    return subjects;
  }

  async #verify(subjects: readonly Subject[]): Promise<void> {
    const claims = subjects.flatMap((subject) => {
      const generation = this.#held.get(subject);
      return generation === undefined ? [] : [{ subject, generation }];
    });
    if (claims.length === 0) return;
    const args = claims.flatMap(({ subject, generation }) => [subject, generation]);
    const lost = new Set(textList(await this.#run(VERIFY, this.#node, this.#boot, this.#word, ...args)));
    for (const { subject, generation } of claims) {
      if (this.#held.get(subject) !== generation) {
        // Released or claimed anew meanwhile: the script may have written the old claim.
        this.#doubtful.add(subject);
      } else if (lost.has(String(subject))) {
        this.#held.delete(subject);
        this.#events.onLost(subject, generation);
      }
    }
  }

  async #survey(): Promise<void> {
    const cleanupMs = CLEANUP_LEASES * this.#leaseMs;
    const reply = await this.#run(SURVEY, this.#node, this.#boot, cleanupMs, ...this.#peers);
    if (!Array.isArray(reply)) return; // The lease has just run out; the next beat takes it again.
    const [dead, live] = reply.map(textList);
    this.#peers = live ?? [];
    for (const name of dead ?? []) this.#cleanUp(name);
  }

  /** Not waited for: renewals must go on, however long the database takes. */
  async #cleanUp(name: string): Promise<void> {
    let outcome = "done";
    try {
      await this.#events.onNodeDied(name);
    } catch (error) {
      outcome = "failed";
      this.#logger.warn("cannot clean up after a dead node", { node: name, reason: errorText(error) });
    }
    try {
      await this.#run(END_CLEANUP, this.#boot, name, outcome);
    } catch (error) {
      this.#warnOnce(error); // The mark in Redis runs out, and some node begins again.
    }
  }
}
