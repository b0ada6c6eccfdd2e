/**
 * The way to the server over TCP or TLS. The only file of the client that touches a socket.
 *
 * @module
 */

import { Framer } from "../../protocol/framer.ts";
import type { Dial, Transport, TransportEvents } from "../core/transport.ts";
import { plainReason } from "./plain_reason.ts";

/** Where the server is. */
export interface ServerAddress {
  /** Name or address. */
  host: string;
  /** TCP port. */
  port: number;
  /** Speak TLS. */
  isTls: boolean;
  /** With TLS: certificates in PEM to trust besides the system's. */
  caCerts: string[];
}

const READ_BYTES = 16 * 1024;
/**
 * The server may send us far more in one frame than we may send it: a v1 login reply holds every offline message, a page
 * of history 200 frames of 64 KiB.
 */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** How long the server may take to close after we said that nothing more comes. */
const END_TIMEOUT_MS = 2000;

const encoder = new TextEncoder();

/** Dials a server with the runtime's sockets. */
export function createDialer(address: ServerAddress): Dial {
  return (events) => new TcpTransport(address, events);
}

async function connect({ host, port, isTls, caCerts }: ServerAddress): Promise<Deno.TcpConn | Deno.TlsConn> {
  if (!isTls) {
    const conn = await Deno.connect({ hostname: host, port });
    conn.setNoDelay(true);
    return conn;
  }
  const conn = await Deno.connectTls({ hostname: host, port, caCerts });
  try {
    await conn.handshake();
  } catch (error) {
    conn.close();
    throw error;
  }
  return conn;
}

class TcpTransport implements Transport {
  readonly #events: TransportEvents;
  readonly #queue: Uint8Array[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #conn: Deno.TcpConn | Deno.TlsConn | undefined;
  #isWriting = false;
  #isEnding = false;
  /** Nobody is told anything any more. */
  #isClosed = false;

  constructor(address: ServerAddress, events: TransportEvents) {
    this.#events = events;
    this.#run(address);
  }

  /** In a write of its own, ended with NUL: the original server parses one frame a read. */
  send(frame: string): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#queue.push(encoder.encode(frame + "\0"));
    this.#drain();
  }

  async end(): Promise<void> {
    if (this.#conn === undefined || this.#isClosed) {
      this.close();
      return;
    }
    this.#isEnding = true;
    this.#drain();
    const timer = setTimeout(() => this.#ended.resolve(), END_TIMEOUT_MS);
    await this.#ended.promise;
    clearTimeout(timer);
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ended.resolve();
    this.#conn?.close();
  }

  async #run(address: ServerAddress): Promise<void> {
    try {
      const conn = await connect(address);
      if (this.#isClosed) {
        conn.close();
        return;
      }
      this.#conn = conn;
      this.#events.onOpen();
      this.#fail(await this.#read(conn));
    } catch (error) {
      this.#fail(plainReason(error));
    }
  }

  /** Reads until the end, and says why there is nothing more. */
  async #read(conn: Deno.TcpConn | Deno.TlsConn): Promise<string> {
    const buffer = new Uint8Array(READ_BYTES);
    const framer = new Framer({ maxFrameBytes: MAX_FRAME_BYTES });
    while (!this.#isClosed) {
      const length = await conn.read(buffer);
      if (length === null) break;
      framer.push(buffer.subarray(0, length));
      const frames: string[] = [];
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
        // A frame that is no JSON is dropped: if it was a message, it becomes a hole and is asked for.
        if (frame.text !== undefined) frames.push(frame.text);
      }
      if (!this.#isClosed) this.#events.onFrames(frames);
      if (framer.failure !== undefined) return "what the server sends is not the chat protocol";
    }
    return "the server closed the connection";
  }

  async #drain(): Promise<void> {
    const conn = this.#conn;
    if (conn === undefined || this.#isWriting) return;
    this.#isWriting = true;
    try {
      for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
        for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
      }
      if (this.#isEnding) await conn.closeWrite();
    } catch (error) {
      this.#fail(plainReason(error));
    } finally {
      this.#isWriting = false;
    }
  }

  #fail(reason: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#events.onClose(reason);
  }
}
