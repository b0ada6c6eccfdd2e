/**
 * A node that serves browsers.
 *
 * @module
 */
import { type Server, startServer } from "./services.ts";

/** The node and its port for browsers. */
export interface WebServer extends AsyncDisposable {
  /** The process. */
  readonly server: Server;
  /** For browsers, on the loopback address. */
  readonly port: number;
}

/** Starts one for one test, with nothing to keep. */
export async function startWeb(...args: string[]): Promise<WebServer> {
  const server = await startServer(["--sqlite", ":memory:", "--web", "127.0.0.1:0", ...args]);
  return {
    server,
    port: server.address("web").port,
    async [Symbol.asyncDispose](): Promise<void> {
      await server.kill();
    },
  };
}
