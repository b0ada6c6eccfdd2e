/**
 * Redis in the manner of hiredis: a publishing and a subscribing context, a notify handler, and nothing in
 * between that could block or pile up.
 *
 * Redis closes a subscriber that is further behind than its `client-output-buffer-limit pubsub` (8 MB for 60
 * s or 32 MB by default). What it had for that subscriber is gone; here that is one more outage, reported as
 * such.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Bus, BusEvents } from "./bus.ts";
import { errorText, EXIT, FatalError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { PublishQueue } from "./publish_queue.ts";
import type { RedisConnection, RedisTiming } from "./redis_connection.ts";
import { RedisContext, type RedisContextEvents } from "./redis_context.ts";
import { parseRedisUrl, type RedisAddress } from "./redis_url.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Options of {@link Redis}. */
export interface RedisOptions {
  /** Where failed tries to reconnect are told; each new reason once. */
  logger?: Pick<Logger, "warn">;
  /** How long Redis may be silent; by default 2 s for a handshake and one beat a second. */
  timing?: RedisTiming;
}

/** Somebody beside the owner who wants to know of outages. */
export interface RedisWatcher {
  /** As in {@link BusEvents}, but called before the owner is. */
  onUp(): void;
  /** As in {@link BusEvents}, but called before the owner is. */
  onDown(reason: string): void;
}

/** A Lua script that runs in Redis as one atomic step. */
export interface RedisScript {
  /** Lua text. */
  readonly source: string;
  /** SHA-1 of the text: the name Redis knows it by. */
  readonly sha1: string;
}

/** Prepares a script for {@link Redis.script}. */
export function createScript(source: string): RedisScript {
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}

const DEFAULT_TIMING: RedisTiming = { handshakeMs: 2000, beatMs: 1000 };

/** How long closing waits for what was published before. */
const FLUSH_MS = 1000;

/**
 * The bus of a cluster, and the commands that presence needs.
 *
 * Commands and publishes fail at once while Redis is away, and at the latest when the connection is found
 * dead.
 */
export class Redis implements Bus {
  readonly #address: RedisAddress;
  readonly #events: BusEvents;
  readonly #logger: Pick<Logger, "warn"> | null;
  readonly #publishing: RedisContext;
  readonly #subscribing: RedisContext;
  readonly #subscriptions = new Subscriptions();
  readonly #outgoing: PublishQueue;
  readonly #watchers = new Set<RedisWatcher>();
  #isUp = false;
  #isClosed = false;

  /** `url` as {@link parseRedisUrl} reads it, which throws when it cannot. Connects to nothing yet. */
  constructor(url: string, events: BusEvents, { logger, timing = DEFAULT_TIMING }: RedisOptions = {}) {
    this.#address = parseRedisUrl(url);
    this.#events = events;
    this.#logger = logger ?? null;
    this.#publishing = new RedisContext("publishing", this.#address, timing, {
      ...this.#contextEvents("publishing"),
      prepare: () => Promise.resolve(),
    });
    this.#subscribing = new RedisContext("subscribing", this.#address, timing, {
      ...this.#contextEvents("subscribing"),
      prepare: (connection) => this.#replay(connection),
    });
    this.#outgoing = new PublishQueue(() => this.#publishing.connection, this.#address.display);
  }

  /** True while both contexts work and all channels are subscribed. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** The URL without user and password. */
  get display(): string {
    return this.#address.display;
  }

  /**
   * Makes both connections; `onUp` is not called for this first time. Throws a {@link FatalError} when Redis
   * is not there or does not let us in.
   */
  async connect(): Promise<void> {
    const contexts = [this.#publishing, this.#subscribing];
    const results = await Promise.allSettled(contexts.map((context) => context.connect()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) {
      await this.close();
      throw new FatalError(
        EXIT.unavailable,
        `Cannot use Redis at ${this.display}: ${errorText(failed.reason)}`,
      );
    }
    this.#isUp = this.#isWhole;
  }

  /** See {@link Bus.publish}. */
  publish(channel: string, payload: string): Promise<number> {
    return this.#isUp ? this.#outgoing.add(channel, payload) : Promise.reject(this.#awayError());
  }

  /** See {@link Bus.subscribe}. */
  subscribe(channel: string): Promise<void> {
    return this.#subscriptions.add(channel);
  }

  /** See {@link Bus.unsubscribe}. */
  unsubscribe(channel: string): void {
    this.#subscriptions.remove(channel);
  }

  /**
   * Runs one command on the publishing connection; the reply as the driver decodes it. Rejects at once while
   * away.
   */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const { connection } = this.#publishing;
    if (!connection) throw this.#awayError();
    return await connection.call(name, args);
  }

  /**
   * Runs a script on the publishing connection with `args` as its ARGV. A script that Redis does not know (a
   * new one, or Redis was restarted) is sent along.
   */
  async script({ source, sha1 }: RedisScript, args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.command("EVALSHA", sha1, 0, ...args);
    } catch (error) {
      if (!errorText(error).startsWith("NOSCRIPT")) throw error;
      return await this.command("EVAL", source, 0, ...args);
    }
  }

  /** Tells `watcher` of outages too; the returned function ends that. */
  watch(watcher: RedisWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /**
   * Closes both connections after what was published before has gone out, if that takes no more than a
   * second.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isUp = false;
    this.#outgoing.flush();
    await this.#flush();
    this.#subscriptions.detach();
    await Promise.all([this.#publishing.close(), this.#subscribing.close()]);
  }

  /** Redis answers in order: an answered PING means that everything before it is done. */
  async #flush(): Promise<void> {
    const { connection } = this.#publishing;
    if (!connection) return;
    const tooLong = setTimeout(() => connection.end("closed by this node"), FLUSH_MS);
    await Promise.race([connection.ping().catch(errorText), connection.ended]);
    clearTimeout(tooLong);
  }

  #awayError(): Error {
    return new Error(`Redis at ${this.display} cannot be reached`);
  }

  #contextEvents(role: string): Omit<RedisContextEvents, "prepare"> {
    let lastReason = "";
    return {
      onReady: () => {
        lastReason = "";
        this.#goUpIfWhole();
      },
      onLost: (reason) => {
        lastReason = reason;
        if (role === "subscribing") this.#subscriptions.detach();
        this.#goDown(`${role} connection to Redis at ${this.display} lost: ${reason}`);
      },
      onRetryFailed: (reason) => {
        if (role === "subscribing") this.#subscriptions.detach();
        if (reason === lastReason) return;
        lastReason = reason;
        this.#logger?.warn("cannot reconnect to Redis", { connection: role, url: this.display, reason });
      },
    };
  }

  /** Brings a new subscribing connection to the state of the table. */
  #replay(connection: RedisConnection): Promise<void> {
    connection.onMessage((channel, payload) => this.#events.onMessage(channel, payload));
    return this.#subscriptions.attach({
      subscribe: (channels) => connection.subscribe(channels),
      unsubscribe: (channels) => connection.unsubscribe(channels),
      fail: (error) => connection.end(errorText(error)),
    });
  }

  get #isWhole(): boolean {
    return this.#publishing.connection !== null && this.#subscribing.connection !== null;
  }

  #goUpIfWhole(): void {
    if (this.#isUp || this.#isClosed || !this.#isWhole) return;
    this.#isUp = true;
    for (const watcher of this.#watchers) watcher.onUp();
    this.#events.onUp();
  }

  #goDown(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    for (const watcher of this.#watchers) watcher.onDown(reason);
    this.#events.onDown(reason);
  }
}
