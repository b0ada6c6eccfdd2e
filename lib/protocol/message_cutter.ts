/**
 * Frames that come one in a message: where one ends is known, and what is no frame costs no other.
 *
 * @module
 */
import { Framer, isUtf8, type RawFrame } from "./framer.ts";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** Cuts messages, each of which should be one frame. */
export class MessageCutter {
  readonly #maxFrameBytes: number;
  #framer: Framer | undefined;

  /** `maxFrameBytes`: of the longest message. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * The frame of a message. One that is anything but one object in JSON's own white space comes as a frame whose text is
   * undefined, to be refused. Undefined: the message is not UTF-8.
   */
  cut(message: Uint8Array): RawFrame | undefined {
    const framer = this.#framer ??= new Framer({ maxFrameBytes: this.#maxFrameBytes });
    const { start, end } = trim(message);
    framer.push(message.subarray(start, end));
    const frame = framer.next();
    const isWhole = frame?.byteLength === end - start && framer.next() === undefined && !framer.isInsideFrame;
    // What it has half read belongs to no message that is to come.
    if (!isWhole) this.#framer = undefined;
    if (isWhole && frame.text !== undefined) return frame;
    if (!isUtf8(message)) return undefined;
    return { text: undefined, byteLength: message.length, memberCount: 0, isTooDeep: false, isPlain: false };
  }
}

function trim(message: Uint8Array): { start: number; end: number } {
  let start = 0;
  let end = message.length;
  while (start < end && isSpace(message[start])) start++;
  while (end > start && isSpace(message[end - 1])) end--;
  return { start, end };
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB;
}
