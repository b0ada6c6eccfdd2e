/**
 * Keeps one connection to Redis up: when it ends, the next one is dialled until it stands.
 *
 * @module
 */

import { errorText } from "../base/errors.ts";
import { RedisConnection, type RedisRole, type RedisTiming } from "./redis_connection.ts";
import { RedisDenied } from "./redis_errors.ts";
import { findMaster } from "./redis_sentinel.ts";
import type { RedisAddress, RedisEndpoint } from "./redis_url.ts";

/** What a context asks of and tells its owner. */
export interface RedisContextEvents {
  /** A connection stands; it counts as ready when this resolves. When it rejects, the connection is ended. */
  prepare(connection: RedisConnection): Promise<void>;
  /** Asks the connection something every second or so; resolves when it is answered, rejects when it is of no use. */
  ask(connection: RedisConnection): Promise<void>;
  /** The connection is ready again after {@link onLost}. */
  onReady(): void;
  /** The connection has ended and the next is being dialled. */
  onLost(reason: string): void;
  /** The next connection could not be made either; tried again after a pause. */
  onRetryFailed(reason: string): void;
}

const FIRST_RETRY_MS = 50;
/** Redis is near in a cluster: a node that waits longer than this only makes an outage longer. */
const LONGEST_RETRY_MS = 1000;

/**
 * Milliseconds to wait before try `attempt`, counted from 0. `random` in [0, 1) spreads the nodes of a
 * cluster, which all lose Redis at the same moment.
 */
export function retryDelayMs(attempt: number, random: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** attempt, LONGEST_RETRY_MS) * (0.75 + random / 2);
}

/** The publishing or the subscribing side: a connection, or the search for the next one. */
export class RedisContext {
  /** Which of the two this is. */
  readonly role: RedisRole;
  readonly #address: RedisAddress;
  readonly #timing: RedisTiming;
  readonly #events: RedisContextEvents;
  readonly #closing = new AbortController();
  #connection: RedisConnection | null = null;
  /** Where the last connection led. */
  #server: RedisEndpoint | null = null;
  #keeping: Promise<void> = Promise.resolve();

  /** Dials nothing yet. */
  constructor(role: RedisRole, address: RedisAddress, timing: RedisTiming, events: RedisContextEvents) {
    this.role = role;
    this.#address = address;
    this.#timing = timing;
    this.#events = events;
  }

  /** The connection that is ready, or null. */
  get connection(): RedisConnection | null {
    return this.#connection;
  }

  /**
   * Makes the first connection, tried once: rejects with the reason. From then on the context keeps itself
   * up.
   */
  async connect(): Promise<void> {
    const connection = await this.#open();
    this.#keeping = this.#keep(connection);
  }

  /** Whether the Sentinels, if there are any, know the master to be elsewhere: an old one may go on for a while. Never rejects. */
  async isElsewhere(): Promise<boolean> {
    if (!("sentinels" in this.#address) || !this.#server) return false;
    const here = this.#server;
    try {
      const { server, isCertain } = await findMaster(this.#address, this.#timing, this.#closing.signal);
      return isCertain && (server.host !== here.host || server.port !== here.port);
    } catch {
      return false; // Sentinels that are away say nothing about the master.
    }
  }

  /** Ends the connection or the search for the next one. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection?.end("closed by this node");
    await this.#keeping;
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #open(): Promise<RedisConnection> {
    const { signal } = this.#closing;
    const server = "sentinels" in this.#address
      ? (await findMaster(this.#address, this.#timing, signal)).server
      : this.#address;
    const connection = await RedisConnection.open(this.role, server, this.#timing, signal);
    this.#server = server;
    connection.watch(this.#timing.beatMs, () => this.#events.ask(connection));
    try {
      await this.#events.prepare(connection);
      this.#closing.signal.throwIfAborted();
    } catch (error) {
      connection.end(errorText(error));
      const reason = await connection.ended;
      throw error instanceof RedisDenied ? error : new Error(reason);
    }
    this.#connection = connection;
    return connection;
  }

  async #keep(first: RedisConnection): Promise<void> {
    let connection: RedisConnection | null = first;
    while (connection) {
      const reason: string = await connection.ended;
      this.#connection = null;
      if (this.#isClosed) return;
      this.#events.onLost(reason);
      connection = await this.#reopen();
      if (connection) this.#events.onReady();
    }
  }

  /** Tries until a connection stands; null when the context was closed. */
  async #reopen(): Promise<RedisConnection | null> {
    for (let attempt = 0;; attempt++) {
      await this.#pause(retryDelayMs(attempt, Math.random()));
      if (this.#isClosed) return null;
      try {
        return await this.#open();
      } catch (error) {
        if (!this.#isClosed) this.#events.onRetryFailed(errorText(error));
      }
    }
  }

  /** Waits, but not beyond the closing. */
  #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
    });
  }
}
