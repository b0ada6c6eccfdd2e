/**
 * The server's side of TLS.
 *
 * Through node:tls and not `Deno.listenTls`, whose connections (Deno 2.9.6, measured) cannot be closed before the peer has
 * finished its handshake or while it does not read, wait 40 ms between two small writes for want of TCP_NODELAY, and leave
 * no room for a PROXY header before the handshake.
 *
 * @module
 */
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { type ByteSocket, unread } from "./byte_socket.ts";
import { errorText, EXIT, FatalError } from "../base/errors.ts";
import { giveUpAfter } from "../base/give_up_after.ts";
import type { ReadGate } from "./read_gate.ts";
import { SocketStream } from "./socket_stream.ts";
import { anotherTurn } from "../base/turn.ts";

/** How long a client may take for its handshake, ms. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Holds what most clients say first. */
const HELLO_BYTES = 512;
/** What fits into one record of TLS. */
const RECORD_BYTES = 16_384;

/** Who we are. */
export interface TlsFiles {
  /** Certificate chain, PEM. */
  certPath: string;
  /** Its private key, PEM. */
  keyPath: string;
}

/** What stands in them. */
interface Pem {
  cert: string;
  key: string;
}

/** Speaks TLS with clients. */
export class TlsServer {
  readonly #files: TlsFiles;
  #pem: Pem;
  #context: SecureContext;
  readonly #gate: ReadGate;
  readonly #timeoutMs: number;

  /** `timeoutMs`: how long a handshake may take. Throws a FatalError when certificate and key cannot be used. */
  constructor(files: TlsFiles, gate: ReadGate, timeoutMs: number = HANDSHAKE_TIMEOUT_MS) {
    requireDeno(2, 9);
    this.#files = files;
    this.#pem = readPair(files);
    this.#context = createSecureContext(this.#pem);
    this.#gate = gate;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Reads certificate and key again, for connections from now on. Returns whether they are others than before. Throws a
   * FatalError, and goes on with those it has, when they cannot be used.
   */
  reload(): boolean {
    const pem = readPair(this.#files);
    if (pem.cert === this.#pem.cert && pem.key === this.#pem.key) return false;
    this.#context = createSecureContext(pem);
    this.#pem = pem;
    return true;
  }

  /** Shakes hands. Rejects when the client does not in time or does it wrong; `socket` is closed then. */
  async accept(tcp: ByteSocket): Promise<ByteSocket> {
    const startedAt = performance.now();
    const socket = await this.#awaitHello(tcp);
    const stream = new SocketStream(socket, this.#gate);
    const tls = new TlsSocket(
      new TLSSocket(stream, { isServer: true, secureContext: this.#context }),
      stream,
      socket,
    );
    try {
      const leftMs = Math.max(0, startedAt + this.#timeoutMs - performance.now());
      await giveUpAfter(leftMs, tls.secured, tooLong);
      return tls;
    } catch (error) {
      tls.close();
      throw error;
    }
  }

  /** Who has said nothing costs nothing: making a TLS socket takes a ms of the event loop, and so some a turn are made. */
  async #awaitHello(socket: ByteSocket): Promise<ByteSocket> {
    const buffer = new Uint8Array(HELLO_BYTES);
    const count = await giveUpAfter(this.#timeoutMs, socket.read(buffer), () => {
      socket.close();
      return tooLong();
    });
    if (count === null) {
      socket.close();
      throw new Error("it ended before its TLS handshake did");
    }
    await anotherTurn();
    return unread(socket, buffer.subarray(0, count));
  }
}

function tooLong(): Error {
  return new Error("its TLS handshake took too long");
}

/** Older ones have no server side of TLS over a stream. */
function requireDeno(major: number, minor: number): void {
  const [ownMajor = 0, ownMinor = 0] = Deno.version.deno.split(".").map(Number);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return;
  throw new FatalError(
    EXIT.config,
    `--tls-port needs Deno ${major}.${minor} or newer, this is ${Deno.version.deno}; nginx can do TLS instead`,
  );
}

function readPem(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new FatalError(EXIT.config, `Cannot read ${JSON.stringify(path)} for TLS: ${errorText(error)}`, {
      cause: error,
    });
  }
}

function readPair(files: TlsFiles): Pem {
  const pem = { cert: readPem(files.certPath), key: readPem(files.keyPath) };
  checkPair(files, pem);
  return pem;
}

/** A secure context looks at its certificate at the first handshake; a listener looks at once. */
function checkPair({ certPath, keyPath }: TlsFiles, { cert, key }: Pem): void {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  } catch (error) {
    const [certificate, privateKey] = [JSON.stringify(certPath), JSON.stringify(keyPath)];
    const reason = errorText(error);
    throw new FatalError(
      EXIT.config,
      reason.includes("KeyMismatch")
        ? `The TLS key ${privateKey} does not belong to the certificate ${certificate}`
        : `Cannot use the TLS certificate ${certificate} with the key ${privateKey}: ${reason}`,
      { cause: error },
    );
  }
}

/** A TLS stream as connections see it. */
class TlsSocket implements ByteSocket {
  /** Resolves when hands are shaken. */
  readonly secured: Promise<void>;
  readonly #tls: TLSSocket;
  readonly #stream: SocketStream;
  readonly #socket: ByteSocket;
  #rest = new Uint8Array(0);
  #error: Error | undefined;
  #onChange: (() => void) | undefined;

  constructor(tls: TLSSocket, stream: SocketStream, socket: ByteSocket) {
    this.#tls = tls;
    this.#stream = stream;
    this.#socket = socket;
    this.secured = new Promise((resolve, reject) => {
      const fail = () => reject(this.#error ?? new Error("it ended before its TLS handshake did"));
      tls.once("secure", resolve);
      tls.once("close", fail);
      // The end of the stream below is not passed on as long as hands are not shaken.
      stream.once("end", fail);
    });
    // Whoever waits for the handshake hears of it; later nobody does.
    this.secured.catch(() => {});
    const change = () => this.#onChange?.();
    tls.on("readable", change).on("end", change).on("close", change);
    tls.on("error", (error) => {
      this.#error ??= error;
      change();
    });
    // An error of the stream below reaches the one above as well, or as its end.
    stream.on("error", (error) => this.#error ??= error);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (!this.#fill()) {
      if (this.#tls.readableEnded) return null;
      if (this.#error) throw this.#error;
      if (this.#tls.destroyed) throw new Deno.errors.Interrupted("The connection is closed");
      await new Promise<void>((resolve) => this.#onChange = resolve);
    }
    const count = Math.min(this.#rest.length, buffer.length);
    buffer.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  /** True when there is something to hand out. */
  #fill(): boolean {
    if (this.#rest.length === 0) this.#rest = this.#tls.read() ?? this.#rest;
    return this.#rest.length > 0;
  }

  write(bytes: Uint8Array): Promise<number> {
    // A write of nothing asks whether the socket is still whole; TLS would not pass it on.
    if (bytes.length === 0) return this.#socket.write(bytes);
    // A part at a time, so that a slow peer is seen to take something.
    const part = bytes.subarray(0, RECORD_BYTES);
    return new Promise((resolve, reject) => {
      this.#tls.write(part, (error) => error ? reject(error) : resolve(part.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#tls.end((error?: Error | null) => error ? reject(error) : resolve());
    });
  }

  close(): void {
    this.#tls.destroy();
    this.#stream.destroy();
  }
}
