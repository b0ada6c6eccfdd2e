/**
 * A connection that sends whatever it is told, reads all it is sent, and holds that against the protocol.
 *
 * @module
 */

import { Framer } from "../../lib/protocol/framer.ts";
import { isJsonObject, type JsonObject } from "../../lib/protocol/protocol.ts";

const READ_BYTES = 65_536;
/** A login reply is longer than what clients may send. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const KNOWN_MSGIDS: ReadonlySet<unknown> = new Set([2, 5, 6, 10, 11, 14, 16, 17, 19, 20]);

/** What a server must not send, whatever it is sent; undefined for a good frame. */
function fault(text: string | undefined): string | undefined {
  if (text === undefined) return "it is not UTF-8";
  if (!text.isWellFormed() || /[\n\r\0\u2028\u2029]/.test(text)) {
    return "there is a line break or half a character in it";
  }
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch (error) {
    return String(error);
  }
  if (!isJsonObject(frame) || !KNOWN_MSGIDS.has(frame.msgid)) return "it is no frame of the server's";
  if (typeof frame.errmsg === "string" && frame.errmsg.startsWith("Internal error")) {
    return "the server has failed";
  }
  if (frame.errno !== undefined && !(Number(frame.errno) >= 0 && Number(frame.errno) <= 11)) {
    return "unknown errno";
  }
  return undefined;
}

/** See the module. */
export class Wire {
  /** Resolves when the connection is over, from whichever side. */
  readonly ended: Promise<void>;
  readonly #conn: Deno.TcpConn;
  readonly #onFault: (text: string) => void;
  #onFrame: ((frame: JsonObject) => void) | undefined;
  #isOver = false;

  private constructor(conn: Deno.TcpConn, onFault: (text: string) => void) {
    this.#conn = conn;
    this.#onFault = onFault;
    this.ended = this.#read();
  }

  /** Dials a port of the loopback address. `onFault` hears of what the server should not have sent. */
  static async open(port: number, onFault: (text: string) => void): Promise<Wire> {
    return new Wire(await Deno.connect({ hostname: "127.0.0.1", port }), onFault);
  }

  /** Nothing more can be sent. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends bytes; a server that has closed is no failure. */
  async send(bytes: Uint8Array): Promise<void> {
    try {
      for (let rest = bytes; rest.length > 0 && !this.#isOver;) {
        rest = rest.subarray(await this.#conn.write(rest));
      }
    } catch {
      this.close();
    }
  }

  /** Resolves with the first frame from now on that has this msgid; undefined when the connection ends before. */
  async next(msgid: number): Promise<JsonObject | undefined> {
    const { promise, resolve } = Promise.withResolvers<JsonObject | undefined>();
    this.#onFrame = (frame) => frame.msgid === msgid && resolve(frame);
    this.ended.then(() => resolve(undefined));
    return await promise;
  }

  /** Says that nothing more comes. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite().catch(() => this.close());
  }

  /** Goes away, whatever is unread. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#conn.close();
  }

  async #read(): Promise<void> {
    const framer = new Framer({ maxFrameBytes: MAX_FRAME_BYTES });
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (let count = await this.#conn.read(buffer); count !== null; count = await this.#conn.read(buffer)) {
        framer.push(buffer.subarray(0, count));
        for (let frame = framer.next(); frame !== undefined; frame = framer.next()) this.#take(frame.text);
        if (framer.failure !== undefined) {
          const text = new TextDecoder("latin1").decode(buffer.subarray(0, Math.min(count, 300)));
          this.#onFault(`the server sent what cannot be cut into frames: ${JSON.stringify(text)}`);
          break;
        }
      }
    } catch {
      // A reset, or our own end.
    }
    this.close();
  }

  #take(text: string | undefined): void {
    const wrong = fault(text);
    if (wrong !== undefined) {
      this.#onFault(`the server sent ${JSON.stringify(text?.slice(0, 300))}: ${wrong}`);
    } else this.#onFrame?.(JSON.parse(text ?? ""));
  }
}
