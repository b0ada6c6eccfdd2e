/**
 * Hashes off the event loop, on threads that give way to it: a hash takes a core for some 40 ms, and a storm of logins
 * would take the cores from everybody who chats. Priorities of threads are what operating systems have for that; the
 * runtime's own thread pool gives no hold on its threads, workers do (p99 of chat on 2 cores during a storm: 25 times the
 * quiet value with the pool, 1.1 to 1.8 with these).
 *
 * @module
 */
import { Limiter } from "../base/limiter.ts";

/** Hashes at once. Each thread takes some 30 MiB, 16 of them for the hash. */
export const THREADS: number = Math.min(4, navigator.hardwareConcurrency);

/** What is to be hashed and how: RFC 7914. */
export interface ScryptJob {
  /** In clear text. */
  password: string;
  /** Random bytes. */
  salt: Uint8Array;
  /** Of the hash, bytes. */
  length: number;
  /** log2 of the cost N. */
  logN: number;
  /** r. */
  blockSize: number;
  /** p. */
  parallelism: number;
}

/** The hash, or why there is none. */
export type ScryptAnswer = { hash: Uint8Array } | { reason: string };

/** As many threads as are busy at once, made when they are first needed. */
export class ScryptThreads implements Disposable {
  readonly #limiter = new Limiter(THREADS);
  readonly #idle = new Set<Worker>();
  #isClosed = false;

  /** Resolves with the hash; rejects when it cannot be made. */
  run(job: ScryptJob): Promise<Uint8Array> {
    return this.#limiter.run(async () => {
      const [worker = this.#start()] = this.#idle;
      this.#idle.delete(worker);
      // A thread that dies is not used again.
      const answer = await ask(worker, job);
      if (this.#isClosed) worker.terminate();
      else this.#idle.add(worker);
      if ("hash" in answer) return answer.hash;
      throw new Error(`A password cannot be hashed: ${answer.reason}`);
    });
  }

  /** Ends the threads, those at work when they are done. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const worker of this.#idle) worker.terminate();
    this.#idle.clear();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./scrypt_worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("error", (event) => {
      // Otherwise the error would end the process.
      event.preventDefault();
      this.#idle.delete(worker);
      worker.terminate();
    });
    return worker;
  }
}

function ask(worker: Worker, job: ScryptJob): Promise<ScryptAnswer> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<ScryptAnswer>) => resolve(data);
    worker.onerror = ({ message }) =>
      reject(new Error(`A thread that hashes passwords has died: ${message}`));
    worker.postMessage(job);
  });
}
