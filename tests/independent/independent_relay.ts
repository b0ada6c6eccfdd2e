/**
 * A network between clients and a server that fails when a test says so: a relay of TCP connections.
 *
 * @module
 */

import type { ServerAddress } from "./independent_wire.ts";

/** Looks at bytes under way and returns those that travel on; `cut` ends the connection right behind them. */
export type Filter = (bytes: Uint8Array, cut: () => void) => Uint8Array;

/** Two ends tied together. */
class Pair {
  readonly #ends: Deno.TcpConn[];
  /** Resolves when both directions have ended. */
  readonly ended: Promise<unknown>;

  constructor(client: Deno.TcpConn, server: Deno.TcpConn, relay: Relay) {
    this.#ends = [client, server];
    this.ended = Promise.all([
      this.#pass(client, server, (bytes, cut) => relay.fromClient(bytes, cut)),
      this.#pass(server, client, (bytes, cut) => relay.fromServer(bytes, cut)),
    ]);
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn, filter: Filter): Promise<void> {
    const bytes = new Uint8Array(16384);
    let isCut = false;
    try {
      while (!isCut) {
        const count = await from.read(bytes);
        if (count === null) return;
        const rest = filter(bytes.slice(0, count), () => isCut = true);
        for (let at = 0; at < rest.length;) at += await to.write(rest.subarray(at));
      }
    } catch {
      // Reset by one end or cut by the test: it is over either way.
    } finally {
      this.cut();
    }
  }

  /** Closes both ends, with whatever is under way. */
  cut(): void {
    for (const end of this.#ends.splice(0)) end.close();
  }
}

/** Passes connections on to an address of which it stands in front. */
export class Relay implements AsyncDisposable {
  /** What happens to bytes on their way to the server. */
  fromClient: Filter = (bytes) => bytes;
  /** What happens to bytes on their way to the client. */
  fromServer: Filter = (bytes) => bytes;
  /** False: whoever connects is cut off at once. */
  isOpen = true;
  /** Where clients connect to. */
  readonly address: ServerAddress;
  readonly #listener: Deno.TcpListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: ServerAddress;
  readonly #pairs = new Set<Pair>();
  readonly #running: Promise<void>;

  /** Begins to relay connections to `target`. */
  constructor(target: ServerAddress) {
    this.#target = target;
    this.address = { hostname: "127.0.0.1", port: this.#listener.addr.port };
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const relayed: Promise<void>[] = [];
    for await (const client of this.#listener) relayed.push(this.#relay(client));
    await Promise.all(relayed);
  }

  async #relay(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect(this.#target).catch(() => null); // A server that is down: so are we.
    if (!server || !this.isOpen) {
      server?.close();
      return client.close();
    }
    const pair = new Pair(client, server, this);
    this.#pairs.add(pair);
    await pair.ended;
    this.#pairs.delete(pair);
  }

  /** Cuts one of the connections, the one at `place` (0 up to 1) among them; false when there is none. */
  cutOne(place: number): boolean {
    const pair = [...this.#pairs][Math.floor(place * this.#pairs.size)];
    pair?.cut();
    return pair !== undefined;
  }

  /** Cuts all connections. */
  cutAll(): void {
    for (const pair of this.#pairs) pair.cut();
  }

  /** Takes no more connections and cuts those there are. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isOpen = false;
    this.#listener.close();
    this.cutAll();
    await this.#running;
  }
}
