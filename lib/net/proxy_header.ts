/**
 * The header of the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a proxy says first on a
 * connection about whose it is. Knows no socket: bytes in, header out.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";

/** What a header said. */
export interface ProxyHeader {
  /** Bytes of the header; the client's own follow. */
  length: number;
  /** The client; undefined when the proxy speaks for itself (a health check) or does not know. */
  source: ProxySource | undefined;
}

/** Whose connection a proxy passes on. */
export interface ProxySource {
  /** IP address. */
  hostname: string;
  /** Its port. */
  port: number;
}

/** Enough for a header with everything a proxy may add to it; a longer one is refused. */
export const PROXY_HEADER_MAX_BYTES = 4096;

/** So many bytes tell a header from anything else; each header has more. */
export const PROXY_START_BYTES = 12;

/** "PROXY TCP6", two full IPv6 addresses, two ports and the line's end. */
const LINE_MAX_BYTES = 107;
const LINE_START = new TextEncoder().encode("PROXY ");
const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** The signature, version and command, family, and the length of what follows. */
const BINARY_START_BYTES = 16;
const LF = 0x0a;

const decoder = new TextDecoder("latin1");

/**
 * Reads the header at the start of `bytes`. Undefined: it is not all there yet. Throws an Error as soon as it cannot become
 * one.
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | undefined {
  if (startsAlike(bytes, SIGNATURE)) return parseBinary(bytes);
  if (startsAlike(bytes, LINE_START)) return parseLine(bytes);
  throw new Error("it does not begin with a PROXY protocol header");
}

/** False as soon as no more bytes could make a header of `bytes`. */
export function mayBeProxyHeader(bytes: Uint8Array): boolean {
  return startsAlike(bytes, SIGNATURE) || startsAlike(bytes, LINE_START);
}

/** True when one of the two is the beginning of the other. */
function startsAlike(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length);
  for (let index = 0; index < length; index++) if (bytes[index] !== start[index]) return false;
  return true;
}

function parseLine(bytes: Uint8Array): ProxyHeader | undefined {
  const end = bytes.subarray(0, LINE_MAX_BYTES).indexOf(LF);
  if (end < 0) {
    if (bytes.length < LINE_MAX_BYTES) return undefined;
    throw new Error("its PROXY protocol line does not end");
  }
  const line = decoder.decode(bytes.subarray(0, end + 1));
  return { length: end + 1, source: parseLineSource(line) };
}

function parseLineSource(line: string): ProxySource | undefined {
  if (/^PROXY UNKNOWN( .*)?\r\n$/.test(line)) return undefined;
  const [, family, source = "", destination = "", sourcePort, destinationPort] =
    /^PROXY TCP([46]) (\S+) (\S+) (\d{1,5}) (\d{1,5})\r\n$/.exec(line) ?? [];
  const isAddress = family === "4" ? isIPv4 : isIPv6;
  const isSound = family !== undefined && isAddress(source) && isAddress(destination) &&
    Number(sourcePort) <= 65535 && Number(destinationPort) <= 65535;
  if (!isSound) throw new Error("its PROXY protocol line is malformed");
  return { hostname: source, port: Number(sourcePort) };
}

function parseBinary(bytes: Uint8Array): ProxyHeader | undefined {
  if (bytes.length < BINARY_START_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const versionAndCommand = view.getUint8(12);
  // 0x20 is LOCAL: the proxy speaks for itself.
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) {
    throw new Error("its PROXY protocol header has an unknown version or command");
  }
  const length = BINARY_START_BYTES + view.getUint16(14);
  if (length > PROXY_HEADER_MAX_BYTES) throw new Error("its PROXY protocol header is too long");
  if (bytes.length < length) return undefined;
  return { length, source: versionAndCommand === 0x20 ? undefined : parseBinarySource(view, length) };
}

/** The address block: source and destination address, source and destination port. What may follow it is not ours. */
function parseBinarySource(view: DataView, length: number): ProxySource | undefined {
  const familyAndTransport = view.getUint8(13);
  const addressBytes = familyAndTransport === 0x11 ? 4 : familyAndTransport === 0x21 ? 16 : undefined;
  // Neither TCP over IPv4 nor over IPv6: nothing that we could name.
  if (addressBytes === undefined) return undefined;
  const portAt = BINARY_START_BYTES + 2 * addressBytes;
  if (length < portAt + 4) throw new Error("its PROXY protocol header is too short for its addresses");
  const port = view.getUint16(portAt);
  if (addressBytes === 4) {
    const parts = [0, 1, 2, 3].map((index) => view.getUint8(BINARY_START_BYTES + index));
    return { hostname: parts.join("."), port };
  }
  const groups = Array.from(
    { length: 8 },
    (_, index) => view.getUint16(BINARY_START_BYTES + 2 * index).toString(16),
  );
  return { hostname: compressIPv6(groups), port };
}

/** The address in its usual spelling, as a URL has it. */
function compressIPv6(groups: string[]): string {
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
