/**
 * One node on SQLite, with a crowd.
 *
 * @module
 */

import { type Server, startServer } from "../support/services.ts";
import { Crowd, type CrowdSize } from "./crowd.ts";
import { NODE_ARGS, random, Site } from "./site.ts";
import { sqliteStore } from "./store.ts";

/** A site whose node can be killed and started again on the same file. */
export class SqliteSite extends Site implements AsyncDisposable {
  readonly #args: readonly string[];
  #server: Server;

  private constructor(path: string, server: Server, args: readonly string[], crowd: Crowd) {
    super({ store: sqliteStore(path), crowd, nodes: () => [this.#server], redis: () => null });
    this.#server = server;
    this.#args = args;
  }

  /** Starts a node on the file `path`, with further options, and makes a crowd; a large one had better be quiet. */
  static async open(
    path: string,
    size: CrowdSize,
    { args = [], isQuiet = false }: { args?: readonly string[]; isQuiet?: boolean } = {},
  ): Promise<SqliteSite> {
    const allArgs = ["--sqlite", path, ...NODE_ARGS, ...args];
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startServer(allArgs));
    const crowd = await Crowd.create(sqliteStore(path), [server.port], size, random);
    stack.defer(() => crowd.vanish());
    const site = new SqliteSite(path, server, allArgs, crowd);
    await site.warmUp({ isQuiet });
    stack.move();
    return site;
  }

  /** The node. */
  get server(): Server {
    return this.#server;
  }

  /** Kills the node, and starts it again after `pause`. */
  async restart(pause: Promise<void>): Promise<void> {
    await this.#server.kill();
    await pause;
    this.#server = await startServer(this.#args);
    this.crowd.ports = [this.#server.port];
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.crowd.vanish();
    await this.#server[Symbol.asyncDispose]();
  }
}
