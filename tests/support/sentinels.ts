/**
 * A Redis that survives its master: two servers, and three Sentinels that promote the other one when the first is gone.
 *
 * @module
 */

import { waitFor } from "./process.ts";
import { type Redis, startRedis, startSentinel } from "./services.ts";

const PASSWORD = "se-cret";

/** A Sentinel asks servers how they are every ten seconds, and waits for as long before it makes one a replica again. */
const SLOW_MS = 90_000;

/** Two servers and three Sentinels. */
export class SentinelSet implements AsyncDisposable {
  readonly #servers: readonly Redis[];
  readonly #sentinels: readonly Redis[];

  private constructor(servers: readonly Redis[], sentinels: readonly Redis[]) {
    this.#servers = servers;
    this.#sentinels = sentinels;
  }

  /** Starts them; `config` are further lines for the servers. Resolves when the Sentinels know each other and both servers. */
  static async start(config: readonly string[] = []): Promise<SentinelSet> {
    const lines = [`masterauth ${PASSWORD}`, "repl-diskless-sync-delay 0", ...config];
    const master = await startRedis({ password: PASSWORD, config: lines });
    const replica = await startRedis({
      password: PASSWORD,
      config: [...lines, `replicaof 127.0.0.1 ${master.port}`],
    });
    const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(master, { password: PASSWORD })));
    const set = new SentinelSet([master, replica], sentinels);
    await set.#whole();
    return set;
  }

  /** For a node. */
  get url(): string {
    const hosts = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`);
    return `redis+sentinel://:${PASSWORD}@${hosts.join(",")}/mymaster`;
  }

  /** The server that the Sentinels call the master: an old one calls itself so for ten seconds more. */
  async master(): Promise<Redis> {
    const ports = await Promise.all(this.#sentinels.map(async (sentinel) => {
      return (await sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")).split("\n")[1];
    }));
    const master = this.#servers.find(({ port }) => ports.every((known) => known === String(port)));
    return master ?? await this.master();
  }

  /** Has the Sentinels change the master, both servers being well; resolves when all of them know the new one. */
  async failOver(): Promise<void> {
    const old = await this.master();
    const [sentinel] = this.#sentinels;
    await waitFor("a Sentinel to do it", () => {
      return sentinel?.cli("SENTINEL", "FAILOVER", "mymaster").catch(() => undefined);
    });
    await waitFor("another master", async () => await this.master() !== old);
  }

  /** Every Sentinel sees the other two and a replica in good health. */
  async #whole(): Promise<void> {
    for (const sentinel of this.#sentinels) {
      await waitFor("the Sentinels to know all", async () => {
        const facts = await sentinel.cli("SENTINEL", "MASTER", "mymaster");
        const replicas = await sentinel.cli("SENTINEL", "REPLICAS", "mymaster");
        return /num-other-sentinels\n2/.test(facts) && /num-slaves\n1/.test(facts) &&
          /master-link-status\nok/.test(replicas);
      }, SLOW_MS);
    }
  }

  /** Starts the server that was killed again; resolves when it is a replica in good health. */
  async mend(): Promise<void> {
    for (const server of this.#servers) {
      if (server.isRunning) continue;
      await server.start();
      await server.cli("REPLICAOF", "127.0.0.1", String((await this.master()).port));
    }
    await this.#whole();
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of [...this.#sentinels, ...this.#servers]) await service[Symbol.asyncDispose]();
  }
}
