/**
 * The seal on everything that travels over the bus. Whoever can write to Redis can keep a doorbell from ringing, but cannot
 * ring it in a node's name.
 *
 * A sealed payload is the origin, a number, the seal and the payload, a space after each but the last. The channel is under
 * the seal too, so what was heard on one says nothing on another. The numbers of an origin only grow, as Redis keeps the
 * order of what one connection publishes, so nothing is heard twice by a node; only one that has just started has not heard
 * the numbers before.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import type { Bus } from "./bus.ts";

/**
 * Hexadecimal digits of the digest that are sent, which the runtime makes faster than base64url: 128 bits. The rest, which
 * appending to a sealed text would take, is never seen, and so a hash that begins with the key is as good as an HMAC here.
 * Measured on 200 characters: 2 µs against 17; to copy a hash that has begun is no faster than to begin one.
 */
const SEAL_CHARS = 32;

/** Of a signature, in base64url: 132 bits. */
const SIGNATURE_CHARS = 22;

const SEALED = /^(\d{1,10}) (\d{1,16}) ([0-9a-f]{32}) /;

/** What was sealed. */
export interface Opened {
  /** Of the process that has sealed it. */
  origin: number;
  /** As it was. */
  payload: string;
}

/** One process's way to seal, and to tell what is sealed. */
export class Seal {
  readonly #secret: string;
  readonly #origin: number;
  #number = 0;
  /** The last number of each other origin that was heard; none but nodes of this cluster get in. */
  readonly #heard = new Map<number, number>();
  readonly #onRefused: () => void;

  /**
   * `secret`: shared by the nodes of a cluster and by nobody else. `origin`: a random number of this process. `onRefused`:
   * something came that is not sealed as it should be.
   */
  constructor(secret: string, origin: number, onRefused: () => void = () => {}) {
    this.#secret = secret;
    this.#origin = origin;
    this.#onRefused = onRefused;
  }

  /** Seals a payload for one channel. */
  close(channel: string, payload: string): string {
    const header = `${this.#origin} ${++this.#number}`;
    return `${header} ${this.#digest(channel, header, payload)} ${payload}`;
  }

  /**
   * What proves that a text is a node's of this cluster: for what stands in Redis and does not travel, and for the tokens of
   * devices, which are good for as long as it stays what it is.
   */
  sign(text: string): string {
    return this.#hash("", "", text).digest("base64url").slice(0, SIGNATURE_CHARS);
  }

  /** What was sealed; undefined when it is this process's own, or not sealed for this channel, or has been heard before. */
  open(channel: string, sealed: string): Opened | undefined {
    const match = SEALED.exec(sealed);
    const origin = Number(match?.[1]);
    // Its own is none of its business, whoever it really is from.
    if (origin === this.#origin) return undefined;
    const payload = match ? this.#verify(channel, sealed, match) : undefined;
    if (payload !== undefined) return { origin, payload };
    this.#onRefused();
    return undefined;
  }

  #verify(channel: string, sealed: string, match: RegExpExecArray): string | undefined {
    const origin = Number(match[1]);
    const number = Number(match[2]);
    if (number <= (this.#heard.get(origin) ?? 0)) return undefined;
    const payload = sealed.slice(match[0].length);
    if (this.#digest(channel, `${match[1]} ${match[2]}`, payload) !== match[3]) return undefined;
    this.#heard.set(origin, number);
    return payload;
  }

  /** No channel and no header holds a line break: each text is that of one channel, header and payload only. */
  #digest(channel: string, header: string, payload: string): string {
    return this.#hash(channel, header, payload).digest("hex").slice(0, SEAL_CHARS);
  }

  #hash(channel: string, header: string, payload: string): Hash {
    return createHash("sha256").update(`${this.#secret}\n${channel}\n${header}\n${payload}`);
  }
}

/** A bus that seals what is published; what arrives is for {@link Seal.open}. */
export function sealedBus(bus: Bus, seal: Seal): Bus {
  return {
    get isUp() {
      return bus.isUp;
    },
    publish: (channel, payload) => bus.publish(channel, seal.close(channel, payload)),
    subscribe: (channel) => bus.subscribe(channel),
    unsubscribe: (channel) => bus.unsubscribe(channel),
  };
}
