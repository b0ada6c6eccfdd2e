/**
 * Members of one group, some of whom speak: each says the next thing when everybody has heard the last one.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { Acknowledger } from "./acknowledger.ts";
import { Histogram } from "./histogram.ts";
import type { LoadClient } from "./load_client.ts";
import { type Meter, type Run, SETTLE_MS } from "./side_by_side.ts";

/** What has not come to everybody by then is lost. */
const LOST_AFTER_MS = 10_000;
const NUMBER_DIGITS = 8;
const ZERO = 0x30;
const encoder = new TextEncoder();
const CHAT = encoder.encode('{"msgid":10,"msg":"');

/** A message under way. */
interface Utterance {
  speaker: LoadClient;
  /** Members who have not heard it. */
  missing: number;
  sentAt: number;
}

/** A group that talks. */
export class GroupTalk {
  readonly #groupId: number;
  readonly #speakers: readonly LoadClient[];
  readonly #members: number;
  readonly #underWay = new Map<number, Utterance>();
  #next = 0;
  #isRunning = false;
  #deliveries = 0;
  #latency = new Histogram();
  #onIdle: (() => void) | undefined;
  /** Messages everybody has heard, so far. */
  messages = 0;

  /** `speakers` of the members talk, spread evenly. */
  constructor(groupId: number, members: readonly LoadClient[], speakers: number) {
    this.#groupId = groupId;
    this.#members = members.length;
    const every = members.length / speakers;
    this.#speakers = members.filter((_, index) =>
      Math.floor(index / every) > Math.floor((index - 1) / every)
    );
    for (const client of members) this.#listen(client);
  }

  #listen(client: LoadClient): void {
    const acknowledger = new Acknowledger(client);
    client.onFrame = (bytes, start, end) => {
      for (let index = 0; index < CHAT.length; index++) if (bytes[start + index] !== CHAT[index]) return;
      let number = 0;
      for (let index = 0; index < NUMBER_DIGITS; index++) {
        number = 10 * number + (bytes[start + CHAT.length + index] ?? 0) - ZERO;
      }
      this.#onHeard(number, client);
      acknowledger.received(bytes, end);
    };
  }

  #onHeard(number: number, client: LoadClient): void {
    const utterance = this.#underWay.get(number);
    if (!utterance || utterance.speaker === client) throw new Error(`Message ${number} came once too often`);
    this.#deliveries++;
    this.#latency.add(performance.now() - utterance.sentAt);
    if (--utterance.missing > 0) return;
    this.#underWay.delete(number);
    this.messages++;
    if (this.#isRunning) this.#speak(utterance.speaker);
    else if (this.#underWay.size === 0) this.#onIdle?.();
  }

  #speak(speaker: LoadClient): void {
    const number = this.#next++;
    const { id, name } = speaker.account;
    const text = String(number).padStart(NUMBER_DIGITS, "0").padEnd(64, "x");
    this.#underWay.set(number, { speaker, missing: this.#members - 1, sentAt: performance.now() });
    speaker.write(encoder.encode(
      `{"msgid":10,"msg":"${text}","id":${id},"name":"${name}","groupid":${this.#groupId},"time":"2026-01-01 00:00:00"}\0`,
    ));
  }

  /** Lets them talk for `ms` once they have settled, then waits until nothing is under way. Counts deliveries. */
  async run(ms: number, meter?: Meter): Promise<Run> {
    this.#isRunning = true;
    for (const speaker of this.#speakers) this.#speak(speaker);
    await pause(SETTLE_MS);
    meter?.begin();
    this.#deliveries = 0;
    this.#latency = new Histogram();
    const startedAt = performance.now();
    await pause(ms);
    const run = { messages: this.#deliveries, ms: performance.now() - startedAt, latency: this.#latency };
    meter?.end();
    this.#latency = new Histogram();
    this.#isRunning = false;
    await new Promise<void>((resolve, reject) => {
      const missing = () => `${this.#underWay.size} messages did not come to everybody`;
      const timer = setTimeout(() => reject(new Error(missing())), LOST_AFTER_MS);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return run;
  }
}
