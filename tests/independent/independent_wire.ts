/**
 * Frames on a TCP connection as PROTOCOL.md describes them, for the independent client and for tests that
 * send frames by hand. Nothing here is shared with the program.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { waitFor } from "../support/process.ts";

/** One JSON object of the wire. */
export type Frame = Readonly<Record<string, unknown>>;

/** Where a server listens. */
export interface ServerAddress {
  /** Host name or IP address. */
  hostname: string;
  /** Chat port. */
  port: number;
}

/** The chat port of a server under test. */
export function addressOf({ host, port }: { host: string; port: number }): ServerAddress {
  return { hostname: host, port };
}

/** True for what is a JSON object. */
export function isFrame(value: unknown): value is Frame {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An integer field of a frame; `otherwise` when it has none. */
export function numberOf(frame: Frame, key: string, otherwise = 0): number {
  const value = frame[key];
  return typeof value === "number" ? value : otherwise;
}

/** A text field of a frame; empty when it has none. */
export function textOf(frame: Frame, key: string): string {
  const value = frame[key];
  return typeof value === "string" ? value : "";
}

/** The objects in an array field of a frame; none when it has no such field. */
export function listOf(frame: Frame, key: string): Frame[] {
  const value: unknown = frame[key];
  return Array.isArray(value) ? value.filter(isFrame) : [];
}

/** Throws unless the frame has these fields, whatever else it has. */
export function assertHas(frame: Frame | undefined, fields: Frame): void {
  const found = Object.keys(fields).map((key) => [key, frame?.[key]]);
  assertEquals(Object.fromEntries(found), fields, `in ${JSON.stringify(frame)}`);
}

/** Where a stored message is, as a reply or a delivered frame says. */
export function placeOf(frame: Frame): { conversation: string; seq: number; at: number } {
  return {
    conversation: textOf(frame, "conversation"),
    seq: numberOf(frame, "seq"),
    at: numberOf(frame, "at"),
  };
}

/** Cuts a stream into frames where their outermost brace closes, whatever stands between them. */
export class FrameReader {
  #begun = new Uint8Array();
  #depth = 0;
  #isInText = false;
  #isEscaped = false;

  /** Takes the next bytes; returns the frames that end in them. Throws when one of them is not JSON. */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let start = 0;
    for (const [index, byte] of bytes.entries()) {
      if (this.#depth === 0 && byte === 0x7b) start = index;
      if (!this.#endsFrame(byte)) continue;
      frames.push(this.#parse(bytes.subarray(start, index + 1)));
      this.#begun = new Uint8Array();
      start = index + 1;
    }
    if (this.#depth > 0) this.#begun = this.#joined(bytes.subarray(start));
    return frames;
  }

  #joined(more: Uint8Array): Uint8Array<ArrayBuffer> {
    const joined = new Uint8Array(this.#begun.length + more.length);
    joined.set(this.#begun);
    joined.set(more, this.#begun.length);
    return joined;
  }

  #endsFrame(byte: number): boolean {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (this.#isInText && byte === 0x5c) this.#isEscaped = true;
    else if (byte === 0x22) this.#isInText = this.#depth > 0 && !this.#isInText;
    else if (!this.#isInText && byte === 0x7b) this.#depth++;
    else if (!this.#isInText && byte === 0x7d) return --this.#depth === 0;
    return false;
  }

  #parse(end: Uint8Array): Frame {
    const frame: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(this.#joined(end)));
    if (!isFrame(frame)) throw new Error("Between braces there is always an object");
    return frame;
  }
}

/** One connection: bytes out in order, frames in until it ends. */
export class Link {
  readonly #conn: Deno.TcpConn;
  #written: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Made by {@linkcode open}. */
  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects; throws what `Deno.connect` throws. */
  static async open(address: ServerAddress): Promise<Link> {
    return new Link(await Deno.connect(address));
  }

  /** Queues text to be sent; what it queues on a lost connection goes nowhere. */
  write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#written = this.#written.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    }).catch(() => this.close()); // Who reads learns of the end, and why it came does not matter to a client.
  }

  /** Reads until the connection ends, whoever ends it. Throws when the server sends what is not JSON. */
  async read(
    onFrame: (frame: Frame) => void,
    onBytes: (bytes: Uint8Array) => void = () => {},
  ): Promise<void> {
    const reader = new FrameReader();
    const bytes = new Uint8Array(65536);
    try {
      for (let count = await this.#conn.read(bytes); count !== null; count = await this.#conn.read(bytes)) {
        onBytes(bytes.subarray(0, count));
        for (const frame of reader.push(bytes.subarray(0, count))) {
          if (!this.#isClosed) onFrame(frame);
        }
      }
    } catch (error) {
      // A reset, or closed by ourselves: lost is lost.
      if (error instanceof SyntaxError || error instanceof TypeError) throw error;
    } finally {
      this.close();
      await this.#written;
    }
  }

  /** Closes the sending side: what was asked is still answered. */
  async closeSending(): Promise<void> {
    await this.#written;
    await this.#conn.closeWrite();
  }

  /** Loses the connection. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }
}

let cidsMade = 0;

/** A new id for a request: ordered by time and unique. */
export function makeCid(): string {
  const count = (cidsMade++).toString(36).padStart(5, "0");
  return `${Date.now().toString(36)}-${count}-${crypto.randomUUID().slice(0, 8)}`;
}

/** A connection that does nothing by itself: a test says what is sent and looks at what has come. */
export class RawConnection implements AsyncDisposable {
  /** All frames that have come and that nobody has {@linkcode next taken}. */
  readonly frames: Frame[] = [];
  readonly #link: Link;
  readonly #ending: string;
  readonly #reading: Promise<void>;
  #text = "";
  #isEnded = false;

  /** Made by {@linkcode open}. */
  constructor(link: Link, ending: string) {
    this.#link = link;
    this.#ending = ending;
    const decoder = new TextDecoder();
    const reading = link.read(
      (frame) => this.frames.push(frame),
      (bytes) => this.#text += decoder.decode(bytes, { stream: true }),
    );
    this.#reading = reading.finally(() => this.#isEnded = true);
  }

  /** Connects; `ending` is what its frames end with. */
  static async open(address: ServerAddress, ending = "\n"): Promise<RawConnection> {
    return new RawConnection(await Link.open(address), ending);
  }

  /** Everything that has come. */
  get text(): string {
    return this.#text;
  }

  /** True when the server has closed it. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Sends a frame, or the text of one. */
  send(frame: Frame | string): void {
    this.write((typeof frame === "string" ? frame : JSON.stringify(frame)) + this.#ending);
  }

  /** Sends text as it is. */
  write(text: string): void {
    this.#link.write(text);
  }

  /** Closes the sending side. */
  async closeSending(): Promise<void> {
    await this.#link.closeSending();
  }

  /** Takes the first frame for which `isIt` holds, and leaves the others. */
  async next(what: string, isIt: (frame: Frame) => boolean = () => true): Promise<Frame> {
    const index = await waitFor(`${what} among ${this.#text}`, () => {
      const found = this.frames.findIndex(isIt);
      if (found < 0 && this.#isEnded) throw new Error(`The connection ended without ${what}: ${this.#text}`);
      return found < 0 ? null : { found };
    });
    const [frame] = this.frames.splice(index.found, 1);
    if (!frame) throw new Error("A frame that was found is there");
    return frame;
  }

  /** Sends a frame and takes the next one that comes. */
  async ask(frame: Frame): Promise<Frame> {
    this.send(frame);
    const { cid } = frame;
    return await this.next(`a reply to ${JSON.stringify(frame)}`, (reply) => reply.cid === cid);
  }

  /** Resolves when the server has closed it. */
  async ended(): Promise<void> {
    await waitFor("the server to close the connection", () => this.#isEnded);
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#link.close();
    await this.#reading;
  }
}
