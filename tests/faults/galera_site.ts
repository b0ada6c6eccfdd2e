/**
 * Three nodes, each on a server of its own of a Galera cluster, with a crowd.
 *
 * @module
 */

import { Galera } from "../support/galera.ts";
import { type Redis, type Server, startRedis, startServer } from "../support/services.ts";
import { Crowd } from "./crowd.ts";
import { NODE_ARGS, random, Site } from "./site.ts";
import { mariaDbStore } from "./store.ts";

/** A site whose database can be broken in parts. */
export class GaleraSite extends Site implements AsyncDisposable {
  /** The database. */
  readonly galera: Galera;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    galera: Galera,
    parts: { redis: Redis; nodes: readonly Server[]; crowd: Crowd },
    stack: AsyncDisposableStack,
  ) {
    const { redis, nodes, crowd } = parts;
    super({ store: mariaDbStore(galera.server(0)), crowd, nodes: () => nodes, redis: () => redis });
    this.galera = galera;
    this.#stack = stack;
  }

  /** Starts everything. */
  static async open(): Promise<GaleraSite> {
    await using stack = new AsyncDisposableStack();
    const galera = stack.use(await Galera.start());
    // What one server has been told must be seen by whoever asks another: the books are compared with what users noted.
    await galera.server(0).sql("SET GLOBAL wsrep_sync_wait = 15");
    const redis = stack.use(await startRedis());
    // All at once: each finds an empty database on its server.
    const nodes = await Promise.all(
      galera.servers.map((server, index) =>
        startServer([
          "--mysql",
          server.url,
          "--redis",
          redis.url,
          "--node",
          `N${index}`,
          ...NODE_ARGS,
        ])
      ),
    );
    for (const node of nodes) stack.use(node);
    const ports = nodes.map(({ port }) => port);
    const size = { v2: 18, v1: 6, members: 10 };
    const crowd = await Crowd.create(mariaDbStore(galera.server(0)), ports, size, random);
    stack.defer(() => crowd.vanish());
    const site = new GaleraSite(galera, { redis, nodes, crowd }, stack.move());
    try {
      await site.warmUp();
      return site;
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}
