/**
 * File descriptors kept back: a process that has no more cannot reach its database, Redis, or whoever asks for its health,
 * and how many it may have is something Deno cannot tell before they are out. Loopback connections hold the place of those
 * that may be needed then.
 *
 * @module
 */

/** Connections held; each has two descriptors. For a pool of usual size, Redis, HTTP and the hashing threads. */
const PAIRS = 24;

/** Descriptors that can be given up. */
export class DescriptorReserve {
  #held: Deno.TcpConn[] = [];

  /** Takes what there is. */
  static async hold(): Promise<DescriptorReserve> {
    const reserve = new DescriptorReserve();
    await reserve.restore();
    return reserve;
  }

  /** There is something to be given up. */
  get isHeld(): boolean {
    return this.#held.length > 0;
  }

  /** How many it has when it is whole. */
  static readonly size: number = 2 * PAIRS;

  /** Gives all up; false when that had been done. */
  release(): boolean {
    const held = this.#held.splice(0);
    for (const conn of held) conn.close();
    return held.length > 0;
  }

  /** Takes them again; gives up again what it got when there are not enough. */
  async restore(): Promise<void> {
    if (this.isHeld) return;
    try {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      try {
        const { port } = listener.addr;
        for (let pair = 0; pair < PAIRS; pair++) {
          this.#held.push(await Deno.connect({ hostname: "127.0.0.1", port }), await listener.accept());
        }
      } finally {
        listener.close();
      }
    } catch {
      // Too few are left: whoever needs one now comes first.
      this.release();
    }
  }
}
