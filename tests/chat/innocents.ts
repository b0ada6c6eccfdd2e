/**
 * What others notice of an attack: two people chat in a thread of their own, and how long each message takes, from being
 * sent to being delivered and acknowledged, is the figure.
 *
 * @module
 */
import { assertLess } from "@std/assert";
import { withDeadline } from "../support/chat_client.ts";
import { DEADLINE_MS } from "../support/process.ts";

/** What an attack may make of the slowest of a hundred messages, ms. */
const P99_MS = 100;
/** On a busy machine: so many times what it is without one, or what a thread waits there that only sleeps. */
const TIMES_WITHOUT = 5;
/** How long it is measured what there is without an attack, before and behind it, ms. */
const WITHOUT_MS = 1_000;

/** What was measured, ms. */
interface Figures {
  /** How long each message took. */
  latencies: number[];
  /** How late their thread was for each of its pauses. */
  latenesses: number[];
}

/** The two. */
export class Innocents implements Disposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Lets them log in and chat. */
  static async start(port: number): Promise<Innocents> {
    const worker = new Worker(new URL("./innocents_worker.ts", import.meta.url), { type: "module" });
    const innocents = new Innocents(worker);
    try {
      await innocents.#ask(port);
      return innocents;
    } catch (error) {
      innocents[Symbol.dispose]();
      throw error;
    }
  }

  /** Throws when the two had to wait for their messages while `attack` went on; resolves with its result. */
  async during<Result>(attack: () => Promise<Result>): Promise<Result> {
    const before = await this.#undisturbed();
    const result = await attack();
    const { latencies, latenesses } = await this.#ask();
    const without = Math.max(before, await this.#undisturbed());
    const [figure, lateness] = [p99(latencies), p99(latenesses)];
    console.log(
      `p99 of others: ${figure.toFixed(1)} ms; ${without.toFixed(1)} ms without the attack; ` +
        `a thread waits ${lateness.toFixed(1)} ms`,
    );
    assertLess(figure, Math.max(P99_MS, TIMES_WITHOUT * Math.max(without, lateness)));
    return result;
  }

  async #undisturbed(): Promise<number> {
    await this.#ask();
    await new Promise((resolve) => setTimeout(resolve, WITHOUT_MS));
    const { latencies } = await this.#ask();
    if (latencies.length === 0) throw new Error("The innocents have nothing to compare with");
    return p99(latencies);
  }

  /** What was measured since it was asked last. A message that is still on its way is waited for, and counts. */
  async #ask(port?: number): Promise<Figures> {
    const answer = new Promise<Figures>((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`The innocents failed: ${event.message}`));
      };
    });
    this.#worker.postMessage(port);
    return await withDeadline(answer, DEADLINE_MS, () => "the innocents");
  }

  /** Ends them. */
  [Symbol.dispose](): void {
    // Their server may be gone before they are.
    this.#worker.onerror = (event) => event.preventDefault();
    this.#worker.terminate();
  }
}

function p99(latencies: number[]): number {
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Infinity;
}
