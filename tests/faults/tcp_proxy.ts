/**
 * Stands between two processes: lets bytes through late or not at all, cuts connections, and leads new ones elsewhere.
 *
 * @module
 */

const READ_BYTES = 65_536;

/** Listens on a free port of the loopback address. */
export class TcpProxy implements AsyncDisposable {
  /** Where connections lead from now on: a port of the loopback address. */
  target: number;
  /** How long each piece of an answer is held back from now on, ms; the ones behind it wait as well. */
  delayMs: () => number = () => 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #working = new Set<Promise<void>>();
  /** Pending while nothing passes. */
  #barrier: Promise<void> | undefined;
  #lift: () => void = () => {};

  /** Takes connections at once. */
  constructor(target: number) {
    this.target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#track(this.#accept());
  }

  /** Where to connect. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Breaks all connections. */
  cut(): void {
    for (const conn of this.#open) this.#close(conn);
  }

  /** Nothing passes any more in either direction, and nobody is told. */
  block(): void {
    this.#barrier ??= new Promise((resolve) => this.#lift = resolve);
  }

  /** What was held back passes, late as it is, and so does what follows. */
  unblock(): void {
    this.#barrier = undefined;
    this.#lift();
  }

  #track(work: Promise<void>): void {
    // A connection that breaks is what this is for.
    const tracked = work.catch(() => {}).finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) this.#track(this.#connect(near));
  }

  async #connect(near: Deno.Conn): Promise<void> {
    this.#open.add(near);
    try {
      const far = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
      this.#open.add(far);
      await Promise.all([this.#pump(near, far, () => 0), this.#pump(far, near, () => this.delayMs())]);
    } finally {
      this.#close(near);
    }
  }

  /** Until either side ends; then both do. */
  async #pump(from: Deno.Conn, to: Deno.Conn, delayMs: () => number): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        await this.#barrier;
        const ms = delayMs();
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        for (let offset = 0; offset < count;) offset += await to.write(buffer.subarray(offset, count));
      }
    } finally {
      this.#close(from);
      this.#close(to);
    }
  }

  #close(conn: Deno.Conn): void {
    if (this.#open.delete(conn)) conn.close();
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.unblock();
    this.cut();
    while (this.#working.size > 0) await Promise.all(this.#working);
  }
}
