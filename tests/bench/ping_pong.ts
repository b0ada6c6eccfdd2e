/**
 * Pairs of users who answer each other's messages as fast as they come.
 *
 * Every message carries its number. One that is missing, doubled or out of order ends the measurement: a figure of a
 * server that loses messages is worth nothing.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { Acknowledger } from "./acknowledger.ts";
import { Histogram } from "./histogram.ts";
import type { LoadClient } from "./load_client.ts";
import { type Meter, type Run, SETTLE_MS } from "./side_by_side.ts";

/** What is not back by then is lost. */
const LOST_AFTER_MS = 10_000;
/** Length of the text, as issue and README say. */
const TEXT_BYTES = 64;
const NUMBER_DIGITS = 8;

const ZERO = 0x30;
const encoder = new TextEncoder();
const CHAT = encoder.encode('{"msgid":6,');

/** How a load behaves. */
export interface PingPongOptions {
  /** Messages of a pair under way at a time. */
  window: number;
  /** How long a message is left without an answer, ms; undefined: it is answered at once. */
  thinkMs?: number;
}

/** One of a pair. */
interface Side {
  client: LoadClient;
  /** `window` messages with room for their numbers. */
  frames: Uint8Array;
  frameBytes: number;
  /** Where in a message the number stands. */
  numberAt: number;
  sent: number;
  received: number;
  /** When the messages under way were written. */
  sentAt: Float64Array;
  /** Messages to be answered when the read is done with. */
  due: number;
  peer: Side | undefined;
}

/** The pairs; runs as often as it is asked to. */
export class PingPong {
  readonly #sides: Side[] = [];
  readonly #options: PingPongOptions;
  #isRunning = false;
  #underWay = 0;
  #messages = 0;
  #latency = new Histogram();
  #onIdle: (() => void) | undefined;

  /** Clients 0 and 1 are a pair, 2 and 3, and so on. */
  constructor(clients: readonly LoadClient[], options: PingPongOptions) {
    this.#options = options;
    for (let index = 0; index + 1 < clients.length; index += 2) {
      const [a, b] = [clients[index], clients[index + 1]];
      if (a && b) this.#addPair(a, b);
    }
  }

  #addPair(a: LoadClient, b: LoadClient): void {
    const [one, other] = [this.#makeSide(a, b), this.#makeSide(b, a)];
    one.peer = other;
    other.peer = one;
    this.#sides.push(one, other);
  }

  #makeSide(client: LoadClient, peer: LoadClient): Side {
    const { window } = this.#options;
    const { id, name } = client.account;
    const head = `{"msgid":6,"id":${id},"name":"${name}","toid":${peer.account.id},"msg":"`;
    const text = "0".repeat(NUMBER_DIGITS).padEnd(TEXT_BYTES, "x");
    const frame = encoder.encode(`${head}${text}","time":"2026-01-01 00:00:00"}\0`);
    const frames = new Uint8Array(frame.length * window);
    for (let index = 0; index < window; index++) frames.set(frame, index * frame.length);
    const side: Side = {
      client,
      frames,
      frameBytes: frame.length,
      numberAt: head.length,
      sent: 0,
      received: 0,
      sentAt: new Float64Array(window),
      due: 0,
      peer: undefined,
    };
    let now = 0;
    const acknowledger = new Acknowledger(client);
    client.onFrame = (bytes, start, end) => {
      if (!startsWith(bytes, start, CHAT)) return;
      if (side.due === 0) now = performance.now();
      this.#onMessage(side, bytes, start, now);
      acknowledger.received(bytes, end);
    };
    client.onRead = () => this.#answer(side);
    return side;
  }

  #onMessage(side: Side, bytes: Uint8Array, start: number, now: number): void {
    const sender = side.peer;
    if (!sender) return;
    const number = readNumber(bytes, start + sender.numberAt);
    if (number !== side.received % 10 ** NUMBER_DIGITS) {
      throw new Error(`Message ${number} came to ${side.client.account.name} in place of ${side.received}`);
    }
    this.#latency.add(now - (sender.sentAt[side.received % this.#options.window] ?? 0));
    side.received++;
    side.due++;
    this.#messages++;
  }

  #answer(side: Side): void {
    const { due } = side;
    if (due === 0) return;
    side.due = 0;
    const { thinkMs } = this.#options;
    if (thinkMs === undefined) this.#answerNow(side, due);
    else setTimeout(() => this.#answerNow(side, due), thinkMs);
  }

  #answerNow(side: Side, due: number): void {
    if (this.#isRunning) this.#send(side, due);
    else if ((this.#underWay -= due) === 0) this.#onIdle?.();
  }

  #send(side: Side, count: number): void {
    const now = performance.now();
    // With one message under way its frame is free again when the answer comes; of several, some may be being written.
    const bytes = this.#options.window === 1 ? side.frames : side.frames.slice(0, count * side.frameBytes);
    for (let index = 0; index < count; index++) {
      side.sentAt[side.sent % this.#options.window] = now;
      writeNumber(bytes, index * side.frameBytes + side.numberAt, side.sent++ % 10 ** NUMBER_DIGITS);
    }
    side.client.write(bytes);
  }

  /** Lets the pairs talk for `ms`, or until `ms` resolves, once they have settled; then waits until nothing is under way. */
  async run(ms: number | Promise<unknown>, meter?: Meter): Promise<Run> {
    const { window } = this.#options;
    this.#isRunning = true;
    this.#underWay = window * this.#sides.length / 2;
    // The second ones begin no later than their first message comes.
    for (let index = 0; index < this.#sides.length; index += 2) {
      const side = this.#sides[index];
      if (side) this.#send(side, window);
    }
    await pause(SETTLE_MS);
    meter?.begin();
    this.#messages = 0;
    this.#latency = new Histogram();
    const startedAt = performance.now();
    await (typeof ms === "number" ? pause(ms) : ms);
    const result = { messages: this.#messages, ms: performance.now() - startedAt, latency: this.#latency };
    meter?.end();
    this.#latency = new Histogram();
    await this.#stop();
    return result;
  }

  async #stop(): Promise<void> {
    this.#isRunning = false;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.#underWay} messages did not arrive`)),
        LOST_AFTER_MS,
      );
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function startsWith(bytes: Uint8Array, start: number, head: Uint8Array): boolean {
  for (let index = 0; index < head.length; index++) {
    if (bytes[start + index] !== head[index]) return false;
  }
  return true;
}

function readNumber(bytes: Uint8Array, at: number): number {
  let number = 0;
  for (let index = 0; index < NUMBER_DIGITS; index++) number = 10 * number + (bytes[at + index] ?? 0) - ZERO;
  return number;
}

function writeNumber(bytes: Uint8Array, at: number, number: number): void {
  let rest = number;
  for (let index = NUMBER_DIGITS - 1; index >= 0; index--) {
    bytes[at + index] = ZERO + rest % 10;
    rest = Math.floor(rest / 10);
  }
}
