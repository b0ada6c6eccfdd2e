/**
 * Two nodes on two MariaDB servers, one of which follows the other, with a crowd.
 *
 * @module
 */

import { Replication } from "../support/replication.ts";
import { startRedis, startServer } from "../support/services.ts";
import { Crowd } from "./crowd.ts";
import { NODE_ARGS, random, Site } from "./site.ts";
import { mariaDbStore, type Store } from "./store.ts";

/** Whom the nodes are to MariaDB: nobody who may write where everybody else may only read. */
export const USER = "nodes";

/** A site whose database can go over to another server. */
export class FailoverSite extends Site implements AsyncDisposable {
  /** The database. */
  readonly replication: Replication;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    replication: Replication,
    parts: ConstructorParameters<typeof Site>[0],
    stack: AsyncDisposableStack,
  ) {
    super(parts);
    this.replication = replication;
    this.#stack = stack;
  }

  /** Starts everything. */
  static async open(): Promise<FailoverSite> {
    await using stack = new AsyncDisposableStack();
    const replication = stack.use(await Replication.start());
    await replication.primary.sql(`CREATE USER ${USER}; GRANT ALL ON chat.* TO ${USER}`);
    const redis = stack.use(await startRedis());
    const url = `mysql://${USER}@127.0.0.1:${replication.port}/chat`;
    const nodes = await Promise.all(
      ["A", "B"].map((name) =>
        startServer(["--mysql", url, "--redis", redis.url, "--node", name, ...NODE_ARGS])
      ),
    );
    for (const node of nodes) stack.use(node);
    // Whichever server is the one that takes writes.
    const store: Store = {
      ...mariaDbStore(replication.primary),
      sql: (statement) => mariaDbStore(replication.primary).sql(statement),
    };
    const crowd = await Crowd.create(
      store,
      nodes.map(({ port }) => port),
      { v2: 16, v1: 6, members: 8 },
      random,
    );
    stack.defer(() => crowd.vanish());
    const site = new FailoverSite(
      replication,
      { store, crowd, nodes: () => nodes, redis: () => redis },
      stack.move(),
    );
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
