/**
 * The way to the server: bytes over TCP or TLS. The only file of the client that touches a socket.
 *
 * @module
 */

import { plainReason } from "../core/plain_reason.ts";

/** One connection, from the moment the dialling begins. */
export interface Transport {
  /** Sends in order, each call in a write of its own: the original server parses one frame a read. */
  write(bytes: Uint8Array): void;
  /** Sends what is queued, says that nothing more comes and reads on until the server closes too. Bounded in time. */
  end(): Promise<void>;
  /** Closes at once. No event follows. */
  close(): void;
}

/** What a connection tells its owner. */
export interface TransportEvents {
  /** Connected; writing works from now on. */
  onOpen(): void;
  /** Bytes arrived; they are the transport's again when this returns. */
  onBytes(bytes: Uint8Array): void;
  /** Could not connect, or was closed by the other side or a failure. The last event. */
  onClose(reason: string): void;
}

/** Begins a connection; the events come later, never while it is being called. */
export type Dial = (events: TransportEvents) => Transport;

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
/** How long the server may take to close after we said that nothing more comes. */
const END_TIMEOUT_MS = 2000;

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

  write(bytes: Uint8Array): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#queue.push(bytes);
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
      await this.#read(conn);
      this.#fail("the server closed the connection");
    } catch (error) {
      this.#fail(plainReason(error));
    }
  }

  async #read(conn: Deno.TcpConn | Deno.TlsConn): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    while (!this.#isClosed) {
      const length = await conn.read(buffer);
      if (length === null) return;
      if (!this.#isClosed) this.#events.onBytes(buffer.subarray(0, length));
    }
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
