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

import type { Bus, BusEvents } from "./bus.ts";
import { errorText, EXIT, FatalError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { PublishQueue } from "./publish_queue.ts";
import { giveUpAfter } from "../base/give_up_after.ts";
import { IS_REPLICA, type RedisConnection, type RedisTiming, Watchdog } from "./redis_connection.ts";
import { RedisContext, type RedisContextEvents } from "./redis_context.ts";
import { RedisDenied, redisFault } from "./redis_errors.ts";
import { PROBE, probeFailure } from "./redis_probe.ts";
import type { RedisScript } from "./redis_script.ts";
import { parseRedisUrl, type RedisAddress } from "./redis_url.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Options of {@link Redis}. */
export interface RedisOptions {
  /** Where failed tries to reconnect are told; each new reason once. */
  logger?: Pick<Logger, "warn">;
  /** Begins all keys and channels of the cluster, and so those Redis is tried with; `chat:` by default. */
  prefix?: string;
  /** Certificates of the authorities to trust with TLS in place of the system's, PEM. */
  ca?: string;
  /** How long Redis may be silent; by default 2 s for a handshake and one beat a second. */
  timing?: RedisTiming;
}

const DEFAULT_TIMING: RedisTiming = { handshakeMs: 2000, beatMs: 1000 };

/** The Sentinels are asked so much more seldom than Redis: a promotion usually shows as the end of the connection. */
const PROBES_PER_FOLLOW = 3;

/** How long closing waits for what was published before. */
const FLUSH_MS = 1000;

const NO_ECHO = "what this node publishes does not come back to it";

/** A script that Redis does not know (a new one, or Redis was restarted) is sent along. */
async function runScript(
  call: (name: string, args: (string | number)[]) => Promise<unknown>,
  { source, sha1 }: RedisScript,
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await call("EVALSHA", [sha1, 0, ...args]);
  } catch (error) {
    if (!errorText(error).startsWith("NOSCRIPT")) throw error;
    return await call("EVAL", [source, 0, ...args]);
  }
}

/** Why a connection is of no use after this error; undefined when it is not the connection's fault. */
function leavingReason(failure: string): string | undefined {
  const fault = redisFault(failure);
  return fault === "replica" ? IS_REPLICA : fault === "busy" ? failure : undefined;
}

/**
 * The bus of a cluster, and the commands that presence needs.
 *
 * Commands and publishes fail at once while Redis is away, and at the latest when the connection is found
 * dead. A Redis that is connected and refuses what presence needs counts as away too, but is still published
 * to, in case it takes that.
 */
export class Redis implements Bus {
  readonly #address: RedisAddress;
  readonly #events: BusEvents;
  readonly #logger: Pick<Logger, "warn"> | null;
  readonly #timing: RedisTiming;
  readonly #prefix: string;
  readonly #publishing: RedisContext;
  readonly #subscribing: RedisContext;
  readonly #subscriptions = new Subscriptions();
  readonly #outgoing: PublishQueue;
  readonly #watchers = new Set<() => void>();
  /** What is published here must come back: both connections may stand and yet lead to servers that are strangers by now. */
  readonly #echoChannel: string;
  readonly #echo = new Watchdog();
  #probes = 0;
  #onEcho: () => void = () => this.#echo.answered();
  /** Why Redis does not do what presence needs; empty while it does. */
  #refusal = "";
  /** What was told last of an outage. */
  #lastReason = "";
  #isUp = false;
  /** Has been connected, and so tells of outages, until it is closed. */
  #isOpen = false;
  #isClosed = false;

  /** `url` as {@link parseRedisUrl} reads it, which throws when it cannot. Connects to nothing yet. */
  constructor(
    url: string,
    events: BusEvents,
    { logger, prefix = "chat:", ca, timing = DEFAULT_TIMING }: RedisOptions = {},
  ) {
    this.#address = { ...parseRedisUrl(url), ...(ca === undefined ? {} : { ca }) };
    this.#events = events;
    this.#logger = logger ?? null;
    this.#timing = timing;
    this.#prefix = prefix;
    this.#echoChannel = `${prefix}echo:${crypto.randomUUID()}`;
    this.#publishing = new RedisContext("publishing", this.#address, timing, {
      ...this.#contextEvents("publishing"),
      prepare: (connection) => this.#probe(connection),
      ask: (connection) => this.#probe(connection),
    });
    this.#subscribing = new RedisContext("subscribing", this.#address, timing, {
      ...this.#contextEvents("subscribing"),
      prepare: (connection) => this.#replay(connection),
      ask: (connection) => connection.ping(),
    });
    this.#outgoing = new PublishQueue(() => this.#publishing.connection, this.#address.display);
  }

  /** True while both contexts work, all channels are subscribed, and Redis does what presence needs. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** The URL without user and password. */
  get display(): string {
    return this.#address.display;
  }

  /**
   * Makes both connections and tries all that a node needs; `onUp` is not called for this first time. Throws a
   * {@link FatalError} when Redis is not there (69), or does not let us in or do that (78).
   */
  async connect(): Promise<void> {
    try {
      this.#subscriptions.add(this.#echoChannel);
      const contexts = [this.#publishing, this.#subscribing];
      const results = await Promise.allSettled(contexts.map((context) => context.connect()));
      for (const result of results) if (result.status === "rejected") throw result.reason;
      await this.#tryOut();
    } catch (error) {
      await this.close();
      throw new FatalError(
        error instanceof RedisDenied ? EXIT.config : EXIT.unavailable,
        `Cannot use Redis at ${this.display}: ${errorText(error)}`,
      );
    }
    this.#isOpen = true;
    this.#isUp = this.#isWhole && this.#refusal === "";
  }

  /** What the probe cannot: ask who listens, publish without a script, and hear it. */
  async #tryOut(): Promise<void> {
    const refusal = this.#refusal;
    if (refusal !== "") {
      throw redisFault(refusal) === "denied" ? new RedisDenied(refusal) : new Error(refusal);
    }
    const heard = new Promise<void>((resolve) => this.#onEcho = resolve);
    await this.command("PUBSUB", "NUMSUB", this.#echoChannel);
    await this.command("PUBLISH", this.#echoChannel, "");
    await giveUpAfter(this.#timing.handshakeMs, heard, () => new Error(NO_ECHO));
    this.#onEcho = () => this.#echo.answered();
  }

  /** See {@link Bus.publish}. */
  publish(channel: string, payload: string): Promise<number> {
    return this.#isWhole ? this.#outgoing.add(channel, payload) : Promise.reject(this.#awayError());
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
    try {
      return await connection.call(name, args);
    } catch (error) {
      this.#onFailure(connection, errorText(error));
      throw error;
    }
  }

  /** Runs a script on the publishing connection with `args` as its ARGV. */
  script(script: RedisScript, args: readonly (string | number)[]): Promise<unknown> {
    return runScript((name, rest) => this.command(name, ...rest), script, args);
  }

  /** Tells `watcher` of outages too; the returned function ends that. */
  watch(onUp: () => void): () => void {
    this.#watchers.add(onUp);
    return () => void this.#watchers.delete(onUp);
  }

  /**
   * Closes both connections after what was published before has gone out, if that takes no more than a
   * second.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isOpen = false;
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

  #contextEvents(role: string): Omit<RedisContextEvents, "prepare" | "ask"> {
    return {
      onReady: () => this.#look(),
      onLost: (reason) => {
        if (role === "subscribing") this.#subscriptions.detach();
        // Two connections to one server fail for one reason, which is told once.
        if (reason === IS_REPLICA) this.#abandon(reason);
        this.#look(`${role} connection to Redis at ${this.display} lost: ${reason}`);
        this.#lastReason = reason;
      },
      onRetryFailed: (reason) => {
        if (role === "subscribing") this.#subscriptions.detach();
        if (reason === this.#lastReason) return;
        this.#lastReason = reason;
        this.#logger?.warn("cannot reconnect to Redis", { connection: role, url: this.display, reason });
      },
    };
  }

  /** Lets Redis do what presence needs, and publish to this node. Rejects when the connection is of no use. */
  async #probe(connection: RedisConnection): Promise<void> {
    if (!this.#isWhole) this.#echo.answered();
    else if (this.#echo.beat() === "dead") this.#abandon(NO_ECHO);
    if (++this.#probes % PROBES_PER_FOLLOW === 0) this.#follow();
    let failure: string | undefined;
    try {
      const call = (name: string, args: (string | number)[]) => connection.call(name, args);
      failure = probeFailure(await runScript(call, PROBE, [this.#prefix, this.#echoChannel]));
    } catch (error) {
      failure = errorText(error);
      if (redisFault(failure) === "other") throw error;
    }
    if (failure === undefined) {
      this.#refusal = "";
      this.#look();
      return;
    }
    const reason = leavingReason(failure);
    if (reason !== undefined) throw new Error(reason);
    this.#refuse(failure);
  }

  /** Goes after the master where the Sentinels have made another one of it. */
  async #follow(): Promise<void> {
    if (await this.#publishing.isElsewhere()) {
      this.#abandon("the Sentinels have made another server the master");
    }
  }

  /** A command has failed: that may say something about the server, sooner than the next probe. */
  #onFailure(connection: RedisConnection, failure: string): void {
    const reason = leavingReason(failure);
    if (reason !== undefined) connection.end(reason);
    else if (redisFault(failure) !== "other") this.#refuse(failure);
  }

  #refuse(failure: string): void {
    const isNews = this.#refusal === "";
    this.#refusal = failure;
    if (this.#isUp) this.#look(`Redis at ${this.display} says ${failure}`);
    else if (isNews && this.#isOpen) {
      this.#logger?.warn("Redis can be reached but not used", { url: this.display, reason: failure });
    }
  }

  /** Looks for the right server anew, with both connections. */
  #abandon(reason: string): void {
    this.#publishing.connection?.end(reason);
    this.#subscribing.connection?.end(reason);
  }

  /** Brings a new subscribing connection to the state of the table. */
  #replay(connection: RedisConnection): Promise<void> {
    connection.onMessage((channel, payload) => {
      if (channel === this.#echoChannel) this.#onEcho();
      else this.#events.onMessage(channel, payload);
    });
    return this.#subscriptions.attach({
      subscribe: (channels) => connection.subscribe(channels),
      unsubscribe: (channels) => connection.unsubscribe(channels),
      fail: (error) => connection.end(errorText(error)),
    });
  }

  get #isWhole(): boolean {
    return this.#publishing.connection !== null && this.#subscribing.connection !== null;
  }

  /** Tells everybody when an outage begins, for `reason`, or ends. */
  #look(reason = ""): void {
    const isUp = this.#isWhole && this.#refusal === "";
    if (this.#isUp === isUp || !this.#isOpen) return;
    this.#isUp = isUp;
    if (isUp) {
      this.#lastReason = "";
      for (const onUp of this.#watchers) onUp();
      this.#events.onUp();
    } else {
      this.#events.onDown(reason);
    }
  }
}
