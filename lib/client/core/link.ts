/**
 * Frames over one connection at a time.
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";
import { isJsonObject } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import type { Dial, Transport } from "./transport.ts";

/** What the link tells its owner. */
export interface LinkEvents {
  /** Connected. */
  onOpen(): void;
  /** Frames arrived, in order: all that one read brought. */
  onFrames(frames: JsonObject[]): void;
  /** Could not connect, or lost. Once per {@link Link.open}, and not after {@link Link.end}. */
  onClose(reason: string): void;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Opens, frames and closes connections. Whether to come back after a loss is for the owner to say. */
export class Link {
  readonly #dial: Dial;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  #transport: Transport | undefined;
  #isOpen = false;
  #lastSentAt = 0;
  #lastReceivedAt = 0;
  #connectTimer: Timer | undefined;

  /** Connects at the first {@link open}. */
  constructor(options: { dial: Dial; clock: Clock; events: LinkEvents }) {
    this.#dial = options.dial;
    this.#clock = options.clock;
    this.#events = options.events;
  }

  /** True between onOpen and onClose. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** When anything was last sent, ms of the clock. */
  get lastSentAt(): number {
    return this.#lastSentAt;
  }

  /** When anything was last received, ms of the clock. */
  get lastReceivedAt(): number {
    return this.#lastReceivedAt;
  }

  /** Begins to connect; nothing happens when that is under way or done. */
  open(): void {
    if (this.#transport !== undefined) return;
    // A transport that was given up may still say something: it is not heard.
    const isCurrent = () => this.#transport === transport;
    const transport = this.#dial({
      onOpen: () => isCurrent() && this.#opened(),
      onFrames: (frames) => isCurrent() && this.#receive(frames),
      onClose: (reason) => isCurrent() && this.#lose(reason),
    });
    this.#transport = transport;
    this.#connectTimer = this.#clock.after(
      CONNECT_TIMEOUT_MS,
      () => this.close(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`),
    );
  }

  /** Sends one frame; false when there is no connection. */
  send(frame: JsonObject): boolean {
    if (!this.#isOpen || this.#transport === undefined) return false;
    this.#lastSentAt = this.#clock.now();
    this.#transport.send(JSON.stringify(frame));
    return true;
  }

  /** Closes at once and tells the owner why, as if the connection had been lost. */
  close(reason: string): void {
    if (this.#transport !== undefined) this.#lose(reason);
  }

  /** Sends what is queued and closes, without an event. */
  async end(): Promise<void> {
    const transport = this.#transport;
    this.#forget();
    await transport?.end();
  }

  #opened(): void {
    this.#connectTimer?.cancel();
    this.#isOpen = true;
    this.#lastSentAt = this.#lastReceivedAt = this.#clock.now();
    this.#events.onOpen();
  }

  #receive(texts: readonly string[]): void {
    this.#lastReceivedAt = this.#clock.now();
    const frames = texts.map(parseFrame).filter((frame) => frame !== undefined);
    if (frames.length > 0 && this.#isOpen) this.#events.onFrames(frames);
  }

  #lose(reason: string): void {
    this.#transport?.close();
    this.#forget();
    this.#events.onClose(reason);
  }

  #forget(): void {
    this.#connectTimer?.cancel();
    this.#transport = undefined;
    this.#isOpen = false;
  }
}

/** A frame that does not parse is dropped: if it was a message, it becomes a hole in its conversation and is asked for. */
function parseFrame(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
