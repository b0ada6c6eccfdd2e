/**
 * Redis as a node uses it, for tests without a node.
 *
 * @module
 */

import type { BusEvents } from "../../lib/cluster/bus.ts";
import { Redis, type RedisOptions } from "../../lib/cluster/redis.ts";

/** Quick enough for a test, slow enough for a busy machine. */
export const TIMING = { handshakeMs: 1000, beatMs: 300 };

/** A wrapper with everything it told its owner. */
export class Node implements AsyncDisposable, BusEvents {
  /** The wrapper. */
  readonly redis: Redis;
  /** `up` and `down`, in order. */
  readonly states: string[] = [];
  /** Why it went down. */
  readonly reasons: string[] = [];
  /** What it heard. */
  readonly messages: { channel: string; payload: string }[] = [];
  /** What it logged. */
  readonly warnings: string[] = [];

  /** Connects to nothing yet. */
  constructor(url: string, options: RedisOptions = {}) {
    const logger = {
      warn: (message: string, fields = {}) => void this.warnings.push(message + JSON.stringify(fields)),
    };
    this.redis = new Redis(url, this, { logger, ...options });
  }

  /** Makes one and connects it. */
  static async connect(url: string, options?: RedisOptions): Promise<Node> {
    const node = new Node(url, options);
    await node.redis.connect();
    return node;
  }

  /** See {@linkcode BusEvents}. */
  onMessage(channel: string, payload: string): void {
    this.messages.push({ channel, payload });
  }

  /** See {@linkcode BusEvents}. */
  onUp(): void {
    this.states.push("up");
  }

  /** See {@linkcode BusEvents}. */
  onDown(reason: string): void {
    this.states.push("down");
    this.reasons.push(reason);
  }

  /** What it heard, a line each. */
  get texts(): string[] {
    return this.messages.map(({ channel, payload }) => `${channel} ${payload}`);
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.redis.close();
  }
}
