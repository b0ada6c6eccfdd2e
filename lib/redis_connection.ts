/**
 * One connection to Redis from its handshake to its end. It never reconnects: the next one is a new object,
 * so nothing of a broken connection (half-read pipelines, queued commands, a selected database) can reach the
 * one after it.
 *
 * @module
 */

import { Command, Redis as Client } from "ioredis";
import { errorText } from "./errors.ts";
import type { RedisAddress } from "./redis_url.ts";

/** What a connection is for, as hiredis keeps one context for publishing and one for subscribing. */
export type RedisRole = "publishing" | "subscribing";

/** How long Redis may be silent, in milliseconds. */
export interface RedisTiming {
  /** From dialling to the first answered command. */
  handshakeMs: number;
  /** Between two looks at the connection; a dead peer is noticed after two to three of them. */
  beatMs: number;
}

/** What {@link Watchdog.beat} asks for. */
export type Beat = "ping" | "wait" | "dead";

/** Beats that may pass before a missing answer means a dead peer. */
const MISSED_BEATS = 2;

/**
 * Tells a dead peer from a busy process. It counts beats instead of milliseconds: when the event loop was
 * blocked, the beat runs late but once, and the answer that was already there is read before the next.
 */
export class Watchdog {
  #missed: number | null = null;

  /** To be called at a steady interval; says what to do. */
  beat(): Beat {
    if (this.#missed === null) {
      this.#missed = 0;
      return "ping";
    }
    this.#missed++;
    return this.#missed < MISSED_BEATS ? "wait" : "dead";
  }

  /** The ping was answered. */
  answered(): void {
    this.#missed = null;
  }
}

/** The text of a failed connection; the resolver's addresses fail each with its own error. */
function connectError(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(errorText))].join("; ");
  return errorText(error);
}

/** One authenticated connection that answers commands. They reject as soon as it has ended. */
export class RedisConnection {
  /** Resolves with the reason when the connection has ended, whoever ended it. Never rejects. */
  readonly ended: Promise<string>;
  readonly #client: Client;
  readonly #watchdog = new Watchdog();
  #reason: string | null = null;
  #isEnded = false;

  private constructor(role: RedisRole, address: RedisAddress) {
    this.#client = new Client({
      host: address.host,
      port: address.port,
      db: address.db,
      ...(address.username === undefined ? {} : { username: address.username }),
      ...(address.password === undefined ? {} : { password: address.password }),
      ...(address.tls ? { tls: {} } : {}),
      connectionName: `chatserver-${role}`,
      lazyConnect: true,
      // No reconnecting, resending or queueing by the driver: a command works now or fails now.
      retryStrategy: null,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      disconnectTimeout: 0,
      // Measured: pipelining doubles publishes (160 k/s against 90 k/s); a commandTimeout halves them again,
      // and the watchdog bounds every command anyway, since Redis answers in order. RESP2 receives 8 % faster
      // than RESP3.
      enableAutoPipelining: role === "publishing",
      protocol: 2,
      // Our own first PING tells loading and missing rights apart, and needs no right to INFO.
      enableReadyCheck: false,
      disableClientInfo: true,
    });
    this.#client.on("error", (error: unknown) => this.#reason ??= connectError(error));
    this.ended = new Promise((resolve) =>
      this.#client.once("end", () => {
        this.#isEnded = true;
        resolve(this.#reason ?? "closed by Redis");
      })
    );
  }

  /**
   * Dials, authenticates and waits for the first answer; `signal` gives up. Rejects with a reason that holds
   * no secrets.
   */
  static async open(
    role: RedisRole,
    address: RedisAddress,
    timing: RedisTiming,
    signal: AbortSignal,
  ): Promise<RedisConnection> {
    const connection = new RedisConnection(role, address);
    const giveUp = () => connection.end("given up");
    signal.addEventListener("abort", giveUp);
    const tooLong = setTimeout(
      () => connection.end(`no answer within ${timing.handshakeMs} ms`),
      timing.handshakeMs,
    );
    try {
      await connection.#client.connect();
      await connection.#client.ping();
    } catch (error) {
      connection.end(errorText(error));
      // Not as a cause: the driver's errors carry the command with its arguments, for AUTH the password.
      throw new Error(await connection.ended);
    } finally {
      clearTimeout(tooLong);
      signal.removeEventListener("abort", giveUp);
    }
    connection.#watch(timing.beatMs);
    return connection;
  }

  /** Sends `payload`; resolves with the number of receivers. */
  publish(channel: string, payload: string): Promise<unknown> {
    return this.#sendNow("PUBLISH", [channel, payload]);
  }

  /** Runs a script that Redis need not know, with `args` as its ARGV. */
  eval(source: string, args: readonly string[]): Promise<unknown> {
    return this.#sendNow("EVAL", [source, "0", ...args]);
  }

  /** Past the driver's pipelining: that waits a turn and for the pipeline before it. */
  #sendNow(name: string, args: string[]): Promise<unknown> {
    const command = new Command(name, args, { replyEncoding: "utf8" });
    this.#client.sendCommand(command);
    return command.promise;
  }

  /** Runs any one command. */
  call(name: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.#client.call(name, ...args);
  }

  /** Asks for an answer; everything sent before is answered first. */
  async ping(): Promise<void> {
    await this.#client.ping();
  }

  /** Resolves when all `channels` are subscribed. */
  async subscribe(channels: readonly string[]): Promise<void> {
    await this.#client.subscribe(...channels);
  }

  /** Resolves when none of `channels` is subscribed any more. */
  async unsubscribe(channels: readonly string[]): Promise<void> {
    await this.#client.unsubscribe(...channels);
  }

  /** Calls `notify` for what arrives on the subscribed channels. */
  onMessage(notify: (channel: string, payload: string) => void): void {
    this.#client.on("message", notify);
  }

  /** Ends the connection at once; what waits for an answer is rejected. The first reason given counts. */
  end(reason: string): void {
    this.#reason ??= reason;
    if (!this.#isEnded) this.#client.disconnect();
  }

  /** A frozen or unplugged Redis closes nothing: only a question that stays without an answer tells. */
  #watch(beatMs: number): void {
    const timer = setInterval(() => {
      const beat = this.#watchdog.beat();
      if (beat === "dead") this.end(`no answer for ${MISSED_BEATS * beatMs} ms`);
      if (beat !== "ping") return;
      this.#client.ping().then(
        () => this.#watchdog.answered(),
        (error) => this.end(errorText(error)),
      );
    }, beatMs);
    this.ended.then(() => clearInterval(timer));
  }
}
