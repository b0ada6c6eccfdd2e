/**
 * A socket as the kind of stream that node:tls works on.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { type ByteSocket, writeAll } from "./byte_socket.ts";
import { errorText } from "../base/errors.ts";
import type { ReadGate } from "./read_gate.ts";

/** Every pending read holds its buffer: this small for an idle connection, and a whole TLS record for one that streams. */
const SMALL_BUFFER_BYTES = 1024;
const LARGE_BUFFER_BYTES = 16_640;

/** Wraps `socket`, which it closes when it is destroyed. Its reads pass the process's read gate. */
export class SocketStream extends Duplex {
  readonly #socket: ByteSocket;
  readonly #gate: ReadGate;
  #bufferBytes = SMALL_BUFFER_BYTES;

  /** Takes `socket` over. */
  constructor(socket: ByteSocket, gate: ReadGate) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#gate = gate;
  }

  /** Called by the stream when somebody wants to read. */
  override _read(): void {
    this.#readOnce().then((bytes) => this.push(bytes), (error) => this.destroy(toError(error)));
  }

  /** Null at the end. The bytes are in a buffer of their own: the stream keeps them for a while. */
  async #readOnce(): Promise<Uint8Array | null> {
    const turn = this.#gate.enter();
    if (turn !== undefined) await turn;
    const buffer = new Uint8Array(this.#bufferBytes);
    const count = await this.#socket.read(buffer);
    if (count === null) return null;
    this.#bufferBytes = count === buffer.length ? LARGE_BUFFER_BYTES : SMALL_BUFFER_BYTES;
    return buffer.subarray(0, count);
  }

  /** Called by the stream with what is to be written. */
  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    writeAll(this.#socket, bytes).then(() => done(), (error) => done(toError(error)));
  }

  /** Called by the stream when all is written. */
  override _final(done: (error?: Error | null) => void): void {
    this.#socket.closeWrite().then(() => done(), (error) => done(toError(error)));
  }

  /** Called by the stream once, when nobody needs it any more. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    try {
      this.#socket.close();
    } catch {
      // Whoever accepted it has closed it already, to refuse it.
    }
    done(error);
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(errorText(error));
}
