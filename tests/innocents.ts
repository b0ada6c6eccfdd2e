/**
 * What others notice of an attack: two people chat in a thread of their own, and how long each message takes, from being
 * sent to being delivered and acknowledged, is the figure.
 *
 * @module
 */
import { assertLess } from "@std/assert";
import { withDeadline } from "./chat_client.ts";
import { DEADLINE_MS } from "./process.ts";

/** What an attack may make of the slowest of a hundred messages, ms; or, on a busy machine, so many times what it was before. */
const P99_MS = 100;
const TIMES_BEFORE = 5;
/** How long it is measured what there is without an attack, ms. */
const BEFORE_MS = 500;

/** The two. */
export class Innocents implements Disposable {
  readonly #worker: Worker;
  #beforeMs = 0;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Lets them log in and chat; resolves when it is known how long a message takes undisturbed. */
  static async start(port: number): Promise<Innocents> {
    const worker = new Worker(new URL("./innocents_worker.ts", import.meta.url), { type: "module" });
    const innocents = new Innocents(worker);
    try {
      await innocents.#ask(port);
      await new Promise((resolve) => setTimeout(resolve, BEFORE_MS));
      innocents.#beforeMs = p99(await innocents.#ask());
      return innocents;
    } catch (error) {
      worker.terminate();
      throw error;
    }
  }

  /** Throws when the two had to wait for their messages while `attack` went on; resolves with its result. */
  async during<Result>(attack: () => Promise<Result>): Promise<Result> {
    await this.#ask();
    const result = await attack();
    const latencies = await this.#ask();
    const allowedMs = Math.max(P99_MS, TIMES_BEFORE * this.#beforeMs);
    const figure = p99(latencies);
    console.log(
      `p99 of ${latencies.length}: ${figure.toFixed(1)} ms (before ${this.#beforeMs.toFixed(1)}), ` +
        `longest ${Math.max(...latencies).toFixed(1)} ms`,
    );
    assertLess(figure, allowedMs);
    return result;
  }

  /** What was measured since it was asked last. A message that is still on its way is waited for, and counts. */
  async #ask(port?: number): Promise<number[]> {
    const answer = new Promise<number[]>((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = ({ message }) => reject(new Error(`The innocents failed: ${message}`));
    });
    this.#worker.postMessage(port);
    return await withDeadline(answer, DEADLINE_MS, () => "the innocents");
  }

  /** Ends them. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

function p99(latencies: number[]): number {
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Infinity;
}
