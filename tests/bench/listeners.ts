/**
 * Users who are online, read and acknowledge: in a thread of its own, so that what they do is not taken for the server's time.
 *
 * @module
 */
import type { Account } from "./load_client.ts";

/** Who listens where. */
export interface Listening {
  /** On 127.0.0.1. */
  port: number;
  /** They log in. */
  accounts: readonly Account[];
}

/** Resolves when they are online. */
export async function listen(listening: Listening): Promise<Disposable> {
  const worker = new Worker(new URL("./listeners_worker.ts", import.meta.url), { type: "module" });
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = reject;
    worker.postMessage(listening);
  });
  return { [Symbol.dispose]: () => worker.terminate() };
}
