/**
 * One connection to Redis from its handshake to its end. It never reconnects: the next one is a new object,
 * so nothing of a broken connection (half-read pipelines, queued commands, a selected database) can reach the
 * one after it.
 *
 * @module
 */

import { Command, Redis as Client } from "ioredis";
import { errorText } from "../base/errors.ts";
import { RedisDenied, redisFault } from "./redis_errors.ts";
import type { RedisServer } from "./redis_url.ts";

/** Why a replica is of no use: what is written there does not last, and what is published there few hear. */
export const IS_REPLICA = "the server is a replica, not the master";

/**
 * What a connection is for, as hiredis keeps one context for publishing and one for subscribing; `asking` is for a Sentinel.
 */
export type RedisRole = "publishing" | "subscribing" | "asking";

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

/** A list of names and values by turns, as HELLO answers. */
function toFields(reply: unknown): Map<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(reply)) return fields;
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), String(reply[i + 1]));
  return fields;
}

/** One authenticated connection that answers commands. They reject as soon as it has ended. */
export class RedisConnection {
  /** Resolves with the reason when the connection has ended, whoever ended it. Never rejects. */
  readonly ended: Promise<string>;
  readonly #client: Client;
  readonly #watchdog = new Watchdog();
  #reason: string | null = null;
  #isEnded = false;

  private constructor(role: RedisRole, address: RedisServer) {
    this.#client = new Client({
      host: address.host,
      port: address.port,
      ...(address.tls ? { tls: address.ca === undefined ? {} : { ca: address.ca } } : {}),
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
      // Our own handshake: the driver's goes on where a database cannot be selected, and prints what it thinks of a password.
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
   * Dials, authenticates and makes sure that this is a master that answers; `signal` gives up. Rejects with a reason that
   * holds no secrets, with a {@link RedisDenied} where trying again is of no use.
   */
  static async open(
    role: RedisRole,
    address: RedisServer,
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
      await connection.#answer(connection.#client.connect(), "");
      await connection.#shakeHands(role, address);
    } catch (error) {
      connection.end(errorText(error));
      const reason = await connection.ended;
      throw error instanceof RedisDenied ? error : new Error(reason);
    } finally {
      clearTimeout(tooLong);
      signal.removeEventListener("abort", giveUp);
    }
    return connection;
  }

  async #shakeHands(role: RedisRole, { username, password, db }: RedisServer): Promise<void> {
    if (password !== undefined) await this.#authenticate(username, password);
    if (db > 0 && role !== "asking") await this.call("SELECT", [db]);
    // Not everybody may: the name is for people who look, and without HELLO the first write tells a replica.
    const named = this.call("CLIENT", ["SETNAME", `chatserver-${role}`]).catch(errorText);
    const hello = this.call("HELLO", [2]).catch(errorText);
    // Not answered while Redis is loading, and where a password is missing.
    const [, server] = await Promise.all([named, hello.then(toFields), this.ping()]);
    const mode = server.get("mode");
    if (role === "asking" && mode !== undefined && mode !== "sentinel") {
      throw new RedisDenied("the server is not a Sentinel");
    }
    if (role !== "asking" && mode === "sentinel") {
      throw new RedisDenied("the server is a Sentinel: its address belongs into a URL redis+sentinel://");
    }
    if (mode === "cluster") {
      throw new RedisDenied("the server is part of a Redis Cluster, which cannot be used; one master can");
    }
    if (server.get("role") === "replica") throw new Error(IS_REPLICA);
  }

  async #authenticate(username: string | undefined, password: string): Promise<void> {
    try {
      await this.call("AUTH", username === undefined ? [password] : [username, password]);
    } catch (error) {
      // A server that asks for no password lets everybody in, with and without one.
      if (!/without any password configured|no password is set/.test(errorText(error))) throw error;
    }
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
    return this.#answer(command.promise, name);
  }

  /** Runs any one command. */
  call(name: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.#answer(this.#client.call(name, ...args), name);
  }

  /** Asks for an answer; everything sent before is answered first. That nothing can be written (MISCONF) is one. */
  async ping(): Promise<void> {
    try {
      await this.#answer(this.#client.ping(), "PING");
    } catch (error) {
      if (redisFault(errorText(error)) !== "refusing") throw error;
    }
  }

  /** Resolves when all `channels` are subscribed. */
  async subscribe(channels: readonly string[]): Promise<void> {
    await this.#answer(this.#client.subscribe(...channels), `SUBSCRIBE ${channels[0]}`);
  }

  /** Resolves when none of `channels` is subscribed any more. */
  async unsubscribe(channels: readonly string[]): Promise<void> {
    await this.#answer(this.#client.unsubscribe(...channels), `UNSUBSCRIBE ${channels[0]}`);
  }

  async #answer(reply: Promise<unknown>, question: string): Promise<unknown> {
    try {
      return await reply;
    } catch (error) {
      throw this.#translate(error, question);
    }
  }

  /**
   * An error that Redis has sent, or the end of the connection: what the driver makes up about that means nothing to
   * anybody. Without a cause: the driver's errors carry the command with its arguments, for AUTH the password.
   */
  #translate(error: unknown, question: string): Error {
    if (!(error instanceof Error && error.name === "ReplyError")) {
      return new Error(this.#reason ?? "the connection is lost");
    }
    const { message } = error;
    return redisFault(message) === "denied"
      ? new RedisDenied(`${message} (${question})`)
      : new Error(message);
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

  /**
   * Looks after the connection: a frozen or unplugged Redis closes nothing, only a question that stays without an answer
   * tells. `ask` asks it every `beatMs`; when it rejects, the connection is ended.
   */
  watch(beatMs: number, ask: () => Promise<void>): void {
    const timer = setInterval(() => {
      const beat = this.#watchdog.beat();
      if (beat === "dead") this.end(`no answer for ${MISSED_BEATS * beatMs} ms`);
      if (beat !== "ping") return;
      ask().then(() => this.#watchdog.answered(), (error) => this.end(errorText(error)));
    }, beatMs);
    this.ended.then(() => clearInterval(timer));
  }
}
