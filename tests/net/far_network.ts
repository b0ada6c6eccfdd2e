/**
 * Another network on this machine, with two ways to it, one of which can be cut without a word to either side.
 *
 * @module
 */

import { run, runOrThrow } from "../support/process.ts";

/** Addresses of the range that RFC 2544 keeps for tests of networks; two test processes rarely share them. */
const NETWORK = `198.18.${Deno.pid % 250}`;

/** A network namespace. Whoever dials one of its two addresses comes over one of the two ways. */
export class FarNetwork implements AsyncDisposable {
  /** The name of the namespace. */
  readonly namespace: string = `chat_test_${Deno.pid}`;
  /** An address in it that stays reachable. */
  readonly address: string = `${NETWORK}.2`;
  /** An address in it until the way there is {@linkcode cut}. */
  readonly doomedAddress: string = `${NETWORK}.6`;

  private constructor() {}

  /** Makes one, or says why it cannot. */
  static async open(): Promise<FarNetwork | string> {
    if (Deno.build.os !== "linux") return "network namespaces are made on Linux only";
    const network = new FarNetwork();
    const { namespace } = network;
    const { code, stderr } = await run("ip", ["netns", "add", namespace])
      .catch((error) => ({ code: 1, stderr: String(error) }));
    if (code !== 0) {
      return `a network namespace takes iproute2, root and a system that allows it: ${stderr.trim()}`;
    }
    try {
      await ip("-n", namespace, "link", "set", "lo", "up");
      await network.#layWay(0);
      await network.#layWay(1);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      return `the network namespace has no way in: ${error}`;
    }
  }

  async #layWay(index: number): Promise<void> {
    const { namespace } = this;
    const near = nearEnd(index);
    const far = `far${index}`;
    await ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace);
    await ip("addr", "add", `${NETWORK}.${4 * index + 1}/30`, "dev", near);
    await ip("-n", namespace, "addr", "add", `${NETWORK}.${4 * index + 2}/30`, "dev", far);
    await ip("link", "set", near, "up");
    await ip("-n", namespace, "link", "set", far, "up");
  }

  /** From now on nothing comes through between this network and {@linkcode doomedAddress}, and nobody is told. */
  async cut(): Promise<void> {
    await ip("-n", this.namespace, "route", "add", "blackhole", `${NETWORK}.5/32`);
    await ip("route", "add", "blackhole", `${this.doomedAddress}/32`);
  }

  /** Takes it down. Its processes have to have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run("ip", ["route", "del", "blackhole", `${this.doomedAddress}/32`]);
    // Together with the far ends.
    for (const index of [0, 1]) await run("ip", ["link", "del", nearEnd(index)]);
    await run("ip", ["netns", "del", this.namespace]);
  }
}

function nearEnd(index: number): string {
  return `ct${Deno.pid}n${index}`;
}

function ip(...args: string[]): Promise<string> {
  return runOrThrow("ip", args);
}
