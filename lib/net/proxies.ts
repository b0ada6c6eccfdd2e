/**
 * Which peers are proxies, and whose connection it is that one of them passes on.
 *
 * A header is required from the trusted peers and believed from nobody else: anyone who can reach the port could
 * otherwise claim any address.
 *
 * @module
 */
import { BlockList, isIPv6 } from "node:net";
import { type ByteSocket, unread } from "./byte_socket.ts";
import { giveUpAfter } from "../base/give_up_after.ts";
import type { AddressRange } from "../config/option_values.ts";
import {
  parseProxyHeader,
  PROXY_HEADER_MAX_BYTES,
  type ProxyHeader,
  type ProxySource,
} from "./proxy_header.ts";

/** How long a proxy may take for its header, ms: it sends it before anything else. */
const HEADER_TIMEOUT_MS = 3_000;
/** Holds any header but one with unusually much added to it. */
const FIRST_BUFFER_BYTES = 256;

/** A connection that a proxy passed on. */
export interface Proxied {
  /** The client's bytes, from behind the header on. */
  socket: ByteSocket;
  /** The client; undefined when the proxy named nobody. */
  source: ProxySource | undefined;
}

/** The trusted addresses. */
export class Proxies {
  readonly #trusted = new BlockList();
  readonly #timeoutMs: number;

  /** False: any peer may be a proxy that sends no header. */
  readonly areKnown: boolean;

  /** `ranges`: all proxies there are; null: nobody has said. `timeoutMs`: how long a header may take. */
  constructor(ranges: readonly AddressRange[] | null, timeoutMs: number = HEADER_TIMEOUT_MS) {
    this.areKnown = ranges !== null;
    for (const { address, prefixLength, family } of ranges ?? []) {
      this.#trusted.addSubnet(address, prefixLength, family);
    }
    this.#timeoutMs = timeoutMs;
  }

  /** Whether this IP address is a proxy's. */
  trusts(address: string): boolean {
    // A socket that listens on IPv6 sees IPv4 peers as ::ffff:192.0.2.1.
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
    return this.#trusted.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
  }

  /** Reads the header of a proxy's connection. Rejects when it is none or does not come in time; then the socket is of no use. */
  async readHeader(socket: ByteSocket): Promise<Proxied> {
    const { header, bytes } = await giveUpAfter(this.#timeoutMs, receiveHeader(socket), () => {
      socket.close();
      return new Error("its PROXY protocol header did not come in time");
    });
    const rest = bytes.subarray(header.length);
    return { socket: rest.length > 0 ? unread(socket, rest) : socket, source: header.source };
  }
}

async function receiveHeader(socket: ByteSocket): Promise<{ header: ProxyHeader; bytes: Uint8Array }> {
  let buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  for (let length = 0;;) {
    const count = await socket.read(buffer.subarray(length));
    if (count === null) throw new Error("it ended before its PROXY protocol header did");
    length += count;
    const bytes = buffer.subarray(0, length);
    const header = parseProxyHeader(bytes);
    if (header) return { header, bytes };
    if (length < buffer.length) continue;
    const larger = new Uint8Array(PROXY_HEADER_MAX_BYTES);
    larger.set(bytes);
    buffer = larger;
  }
}
