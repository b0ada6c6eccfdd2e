/**
 * Two people who talk all the while, and notice how long it takes.
 *
 * @module
 */

import { chat, newPerson, type Person } from "../support/chat_client.ts";

const PAUSE_MS = 30;

/** The times of some messages there and back, ms. */
export interface Latencies {
  /** Half were no longer than this. */
  p50: number;
  /** All but one in a hundred. */
  p99: number;
  /** How many. */
  count: number;
}

/** See the module. */
export class Bystanders implements AsyncDisposable {
  readonly #ann: Person;
  readonly #bob: Person;
  #times: number[] = [];
  #isTalking = true;
  readonly #talk: Promise<void>;

  private constructor(ann: Person, bob: Person) {
    this.#ann = ann;
    this.#bob = bob;
    this.#talk = this.#run();
  }

  /** Signs two people up and lets them talk. */
  static async meet(port: number): Promise<Bystanders> {
    return new Bystanders(await newPerson(port, "bystander a"), await newPerson(port, "bystander b"));
  }

  /** Rejects when one of them was cut off or missed a message. */
  get talk(): Promise<void> {
    return this.#talk;
  }

  /** How it went since the last call. */
  latencies(): Latencies {
    const times = this.#times.sort((a, b) => a - b);
    this.#times = [];
    const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? NaN) * 10) / 10;
    return { p50: at(0.5), p99: at(0.99), count: times.length };
  }

  async #run(): Promise<void> {
    for (let count = 0; this.#isTalking; count++) {
      const start = performance.now();
      await this.#say(this.#ann, this.#bob, `${count}`);
      await this.#say(this.#bob, this.#ann, `${count} back`);
      this.#times.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #say(from: Person, to: Person, text: string): Promise<void> {
    await from.client.send(chat(from, to.id, text));
    await to.client.take(({ id, msg }) => id === from.id && msg === text);
  }

  /** They stop talking and leave. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isTalking = false;
    await this.#talk.catch(() => {});
    await this.#ann[Symbol.asyncDispose]();
    await this.#bob[Symbol.asyncDispose]();
  }
}
