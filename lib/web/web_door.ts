/**
 * What comes to the port for browsers: requests for the page's files are answered here, and the one for the WebSocket makes
 * a client of its connection.
 *
 * By hand and not by `Deno.serve`, whose WebSockets cannot stop reading and take messages of 64 MiB: eight connections with
 * one unfinished message each cost half a gigabyte (Deno 2.9.6, measured).
 *
 * @module
 */
import { isIP } from "node:net";
import type { Accepted, Admit } from "../net/admit.ts";
import { type ByteSocket, unread, writeAll } from "../net/byte_socket.ts";
import { formatHostPort } from "../base/host_port.ts";
import { giveUpAfter } from "../base/give_up_after.ts";
import { HEAD_MAX_BYTES, HttpRefusal, parseRequestHead, type RequestHead } from "../net/http_head.ts";
import { personAddress } from "../net/person_address.ts";
import type { Proxies } from "../net/proxies.ts";
import { mayBeProxyHeader, PROXY_START_BYTES } from "../net/proxy_header.ts";
import type { TlsServer } from "../net/tls.ts";
import { acceptWebSocket, checkOrigin } from "../net/websocket_handshake.ts";
import { type Answer, answerFor, refusalAnswer, writeHead } from "./answers.ts";
import type { Assets } from "./assets.ts";

/** Where the WebSocket is. */
const WEBSOCKET_PATH = "/ws";
/** How long a request's head may take, ms, from when the one before is answered; proxies have to reuse connections for less. */
export const HEAD_MS = 10_000;
/** How long the client may take to read an answer, ms. */
const ANSWER_MS = 30_000;
/** Requests on one connection; a page asks for a handful. */
const REQUESTS_MAX = 32;
/** Holds what most browsers send. */
const FIRST_BUFFER_BYTES = 1_024;
const NOTHING: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();

/** Options of {@link createWebAdmit}. */
export interface WebAdmitOptions {
  /** Peers that may say whose connection it is that they pass on: by a PROXY header, or in `X-Forwarded-For`. */
  proxies: Proxies;
  /** Speaks TLS. */
  tls?: TlsServer | undefined;
  /** Origins of other sites whose pages may connect. */
  origins: readonly string[];
  /** The page. */
  assets: Assets;
  /** For metrics. */
  counters: WebCounters;
}

/** Requests so far, by what became of them. */
export interface WebCounters {
  /** Answered with a file, or that the browser has it. */
  served: number;
  /** Became a WebSocket. */
  upgraded: number;
  /** Not understood, not found, or not allowed. */
  refused: number;
}

/** A client that comes through the port. */
interface Visitor {
  socket: ByteSocket;
  /** Of the connection, or the one that its proxy's PROXY header names. */
  hostname: string;
  port: number;
}

/** Makes clients of those who ask for the WebSocket, as `createAdmit` does of those who speak the chat's protocol at once. */
export function createWebAdmit(options: WebAdmitOptions): Admit {
  const { proxies, tls } = options;
  return async (tcp, locate) => {
    tcp.setNoDelay(true);
    tcp.setKeepAlive(true);
    const visitor = await meet(tcp, proxies);
    const person = personAddress(visitor.hostname, proxies);
    if (tls) {
      // An answer would cost a handshake, which is dear.
      locate(person);
      visitor.socket = await tls.accept(visitor.socket);
    } else await place(visitor.socket, () => locate(person), options.counters);
    return await receive(visitor, locate, options);
  };
}

/** Reads the PROXY header that a proxy may have sent before all else. */
async function meet(tcp: Deno.TcpConn, proxies: Proxies): Promise<Visitor> {
  const { hostname, port } = tcp.remoteAddr;
  const direct = { socket: tcp, hostname, port };
  if (!proxies.trusts(hostname)) return direct;
  const buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  const start = await giveUpAfter(HEAD_MS, receiveStart(tcp, buffer), () => silence(tcp));
  const socket = unread(tcp, start);
  // No request begins like that, and no TLS.
  if (!mayBeProxyHeader(start)) return { ...direct, socket };
  const { socket: rest, source } = await proxies.readHeader(socket);
  return { ...direct, ...source, socket: rest };
}

/** The first bytes, as many as tell a PROXY header from a request whose method begins like one. */
async function receiveStart(tcp: Deno.TcpConn, buffer: Uint8Array): Promise<Uint8Array> {
  for (let length = 0;;) {
    const count = await tcp.read(buffer.subarray(length));
    if (count === null) throw new Error("it ended before its first request");
    length += count;
    const start = buffer.subarray(0, length);
    if (length >= PROXY_START_BYTES || !mayBeProxyHeader(start)) return start;
  }
}

function silence(socket: ByteSocket): Error {
  socket.close();
  return new Error("its request did not come in time");
}

/** Answers requests until one makes it a client, or there are no more: then it resolves with undefined. */
async function receive(
  visitor: Visitor,
  locate: Parameters<Admit>[1],
  options: WebAdmitOptions,
): Promise<Accepted | undefined> {
  const { counters, origins, proxies } = options;
  let rest = NOTHING;
  for (let count = 1;; count++) {
    let answer: Answer;
    let isLast: boolean;
    try {
      const received = await receiveHead(visitor.socket, rest);
      if (received === undefined) return undefined;
      const { head } = received;
      rest = received.rest;
      const { remote, address } = identify(visitor, head, proxies);
      const person = personAddress(address, proxies);
      await place(visitor.socket, () => locate(person), counters);
      if (head.path === WEBSOCKET_PATH) {
        checkOrigin(head, origins, options.tls !== undefined);
        const accept = encoder.encode(acceptWebSocket(head));
        if (!await writeInTime(visitor.socket, accept)) return undefined;
        counters.upgraded++;
        const socket = rest.length > 0 ? unread(visitor.socket, rest) : visitor.socket;
        return { socket, remote, person, isDirect: false, isWebSocket: true };
      }
      isLast = !head.isKeptAlive || count === REQUESTS_MAX;
      answer = answerFor(head, options.assets, isLast);
      counters.served++;
    } catch (error) {
      if (!(error instanceof HttpRefusal)) throw error;
      counters.refused++;
      isLast = true;
      answer = refusalAnswer(error);
    }
    // All connections share the bytes of a file.
    const isThere = await writeInTime(visitor.socket, writeHead(answer), answer.body, isLast);
    if (isLast || !isThere) return undefined;
  }
}

/** Whom `locate` refuses is told before that is thrown: a proxy takes an end without an answer for a fault of the node. */
async function place(socket: ByteSocket, locate: () => void, counters: WebCounters): Promise<void> {
  try {
    locate();
  } catch (error) {
    counters.refused++;
    const answer = refusalAnswer(new HttpRefusal(429, "Too many of your address are not logged in"));
    await writeInTime(socket, writeHead(answer), answer.body, true);
    throw error;
  }
}

/** Undefined: the client has no more to ask, or is gone. */
async function receiveHead(
  socket: ByteSocket,
  first: Uint8Array,
): Promise<{ head: RequestHead; rest: Uint8Array } | undefined> {
  let isLate = false;
  let length = first.length;
  const late = setTimeout(() => {
    isLate = true;
    socket.close();
  }, HEAD_MS);
  try {
    let buffer = new Uint8Array(Math.max(FIRST_BUFFER_BYTES, first.length));
    buffer.set(first);
    for (let scanned = 0;;) {
      const bytes = buffer.subarray(0, length);
      const head = parseRequestHead(bytes, scanned);
      if (head) return { head, rest: bytes.subarray(head.length) };
      scanned = length;
      if (length === buffer.length) {
        const larger = new Uint8Array(Math.min(HEAD_MAX_BYTES, 4 * length));
        larger.set(buffer);
        buffer = larger;
      }
      const count = await socket.read(buffer.subarray(length));
      if (count === null) return undefined;
      length += count;
    }
  } catch (error) {
    if (error instanceof HttpRefusal) throw error;
    if (isLate && length > 0) throw new Error("its request did not come in time");
    // Browsers open connections that they may need, and keep them; and whoever has gone needs no answer.
    return undefined;
  } finally {
    clearTimeout(late);
  }
}

/** False: the client is gone. */
function writeInTime(
  socket: ByteSocket,
  head: Uint8Array,
  body: Uint8Array = NOTHING,
  isLast: boolean = false,
): Promise<boolean> {
  const write = async () => {
    await writeAll(socket, head);
    await writeAll(socket, body);
    if (isLast) await socket.closeWrite();
    return true;
  };
  return giveUpAfter(ANSWER_MS, write().catch(() => false), () => {
    socket.close();
    return new Error("it does not read its answer");
  });
}

/**
 * Whose request it is. Each proxy appends to `X-Forwarded-For` the address that it was reached from, so the list is read from
 * its end, for as long as it is a proxy who says so.
 */
function identify(
  { hostname, port }: Visitor,
  { headers }: RequestHead,
  proxies: Proxies,
): { remote: string; address: string } {
  const own = formatHostPort(hostname, port);
  const forwarded = headers.get("x-forwarded-for")?.split(",").map((address) => address.trim()) ?? [];
  let address = hostname;
  while (proxies.trusts(address)) {
    const named = forwarded.pop() ?? "";
    if (isIP(named) === 0) break;
    address = named;
  }
  return address === hostname ? { remote: own, address } : { remote: `${address} through ${own}`, address };
}
