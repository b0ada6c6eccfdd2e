/**
 * The chat's frames as the messages of a WebSocket (RFC 6455), on a connection whose handshake is done: one text message is
 * one frame, in both directions.
 *
 * @module
 */
import { concatBytes } from "../base/bytes.ts";
import type { RawFrame } from "../protocol/framer.ts";
import { MessageCutter } from "../protocol/message_cutter.ts";
import type { NoticeCode } from "../protocol/protocol.ts";
import { CONTROL_MAX_BYTES, OPCODE, WebSocketReader } from "./websocket_reader.ts";
import type { FramePart, StreamFailure, Wire } from "./wire.ts";

const FIN = 0x80;
/** Up to this a payload's length stands in the second byte, and up to the next in two more. */
const LENGTH_7_MAX = 125;
const LENGTH_16_MAX = 65_535;
const HEAD_MAX_BYTES = 10;
const NOTHING: Uint8Array = new Uint8Array(0);

/** What to close with (RFC 6455, 7.4.1). */
const CLOSE = { normal: 1000, goingAway: 1001, policy: 1008 } as const;
const CLOSE_AFTER_FAILURE: Readonly<Record<StreamFailure, number>> = {
  protocol: 1002,
  garbage: 1002,
  binary: 1003,
  not_utf8: 1007,
  too_long: 1009,
};

const encoder = new TextEncoder();

/** One connection's. */
export class WebSocketWire implements Wire {
  /** No message has a terminator. */
  readonly terminator = "";
  onControl: () => void = () => {};
  readonly #reader: WebSocketReader;
  readonly #cutter: MessageCutter;
  #isText = true;
  #peerClose: { code: number | undefined } | undefined;
  /** Waits to be written: the answer to the last ping. Those before it need none (RFC 6455, 5.5.3). */
  #pong: Uint8Array | undefined;
  #isPingDue = false;
  /** What ends our side; nothing is written behind it. */
  #close: Uint8Array | undefined;
  #isCloseWritten = false;
  /** The part that was written last goes on. */
  #isInsideMessage = false;

  /** `maxFrameBytes`: a longer message is a failure. */
  constructor({ maxFrameBytes }: { maxFrameBytes: number }) {
    this.#reader = new WebSocketReader(maxFrameBytes);
    this.#cutter = new MessageCutter(maxFrameBytes);
  }

  push(bytes: Uint8Array): void {
    this.#reader.push(bytes);
  }

  next(): RawFrame | undefined {
    while (!this.isOver && this.#isText) {
      const incoming = this.#reader.next();
      if (incoming === undefined) return undefined;
      if (incoming.opcode === OPCODE.text) {
        const frame = this.#cutter.cut(incoming.payload);
        if (frame) return frame;
        this.#isText = false;
      } else if (incoming.opcode === OPCODE.close) {
        this.#peerClose = incoming;
      } else if (incoming.opcode === OPCODE.ping) {
        this.#pong = incoming.payload.slice();
        this.onControl();
      }
    }
    return undefined;
  }

  get failure(): StreamFailure | undefined {
    return this.#isText ? this.#reader.failure : "not_utf8";
  }

  get isOver(): boolean {
    return this.#peerClose !== undefined;
  }

  ping(): void {
    this.#isPingDue = true;
    this.onControl();
  }

  close(reason: NoticeCode | undefined): void {
    if (this.#close !== undefined) return;
    this.#close = closeFrame(this.#closeCode(reason), reason ?? this.failure ?? "");
    this.onControl();
  }

  #closeCode(reason: NoticeCode | undefined): number | undefined {
    if (this.#peerClose) return this.#peerClose.code;
    if (this.failure !== undefined) return CLOSE_AFTER_FAILURE[this.failure];
    if (reason === undefined) return CLOSE.normal;
    return reason === "shutting_down" ? CLOSE.goingAway : CLOSE.policy;
  }

  get hasControl(): boolean {
    return !this.#isCloseWritten &&
      (this.#close !== undefined || this.#pong !== undefined || this.#isPingDue);
  }

  encode(parts: readonly FramePart[], spare: Uint8Array): Uint8Array {
    const control = this.#takeControl();
    let size = control.length;
    for (const { frame } of parts) size += HEAD_MAX_BYTES + frame.length;
    const buffer = size <= spare.length ? spare : new Uint8Array(size);
    buffer.set(control);
    const wasInside = this.#isInsideMessage;
    let end: number | undefined = control.length;
    for (const part of parts) {
      end = this.#encodeInto(part, buffer, end);
      if (end === undefined) break;
    }
    if (end !== undefined) return buffer.subarray(0, end);
    // There are more bytes than characters, by more than the heads left room for.
    this.#isInsideMessage = wasInside;
    return concatBytes([control, ...parts.flatMap((part) => this.#encode(part))]);
  }

  /** Where it ends in the buffer; undefined when it does not fit. */
  #encodeInto(part: FramePart, buffer: Uint8Array, start: number): number | undefined {
    const { frame } = part;
    const guess = headLength(frame.length);
    const { read, written } = encoder.encodeInto(frame, buffer.subarray(start + guess));
    const length = headLength(written);
    if (read < frame.length || start + length + written > buffer.length) return undefined;
    if (length !== guess) buffer.copyWithin(start + length, start + guess, start + guess + written);
    writeHead(buffer, start, this.#firstByte(part), written);
    return start + length + written;
  }

  #encode(part: FramePart): Uint8Array[] {
    const payload = encoder.encode(part.frame);
    const head = new Uint8Array(headLength(payload.length));
    writeHead(head, 0, this.#firstByte(part), payload.length);
    return [head, payload];
  }

  /** Each part of a frame is a fragment of its message: how long the whole is, is not known before it is encoded. */
  #firstByte({ goesOn }: FramePart): number {
    const opcode = this.#isInsideMessage ? OPCODE.continuation : OPCODE.text;
    this.#isInsideMessage = goesOn;
    return goesOn ? opcode : FIN | opcode;
  }

  #takeControl(): Uint8Array {
    if (!this.hasControl) return NOTHING;
    const frames: Uint8Array[] = [];
    if (this.#pong) frames.push(controlFrame(OPCODE.pong, this.#pong));
    if (this.#isPingDue) frames.push(controlFrame(OPCODE.ping, NOTHING));
    if (this.#close) {
      frames.push(this.#close);
      this.#isCloseWritten = true;
    }
    this.#pong = undefined;
    this.#isPingDue = false;
    return concatBytes(frames);
  }
}

function headLength(payloadLength: number): number {
  return payloadLength <= LENGTH_7_MAX ? 2 : payloadLength <= LENGTH_16_MAX ? 4 : HEAD_MAX_BYTES;
}

/** Frames to a client are not masked. */
function writeHead(buffer: Uint8Array, start: number, firstByte: number, length: number): void {
  const view = new DataView(buffer.buffer, buffer.byteOffset + start);
  view.setUint8(0, firstByte);
  if (length <= LENGTH_7_MAX) view.setUint8(1, length);
  else if (length <= LENGTH_16_MAX) {
    view.setUint8(1, 126);
    view.setUint16(2, length);
  } else {
    view.setUint8(1, 127);
    view.setBigUint64(2, BigInt(length));
  }
}

function controlFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + payload.length);
  writeHead(frame, 0, FIN | opcode, payload.length);
  frame.set(payload, 2);
  return frame;
}

/** `code`: undefined says nothing, as the peer did. */
function closeFrame(code: number | undefined, reason: string): Uint8Array {
  if (code === undefined) return controlFrame(OPCODE.close, NOTHING);
  const text = encoder.encode(reason).subarray(0, CONTROL_MAX_BYTES - 2);
  return controlFrame(OPCODE.close, concatBytes([Uint8Array.of(code >> 8, code & 0xff), text]));
}
