/**
 * Cuts a byte stream into frames. Knows no socket and no clock: bytes in, frames out (the idea of a pure push parser
 * is from nats.js `parser.ts` and hiredis `read.c`).
 *
 * @module
 */

import { DEPTH_MAX } from "./protocol.ts";

const NUL = 0x00;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Digits in a row that any reader takes for the same whole number. */
const DIGITS_MAX = 15;

/** 1 for a byte of a string that needs no look: no quote, backslash or control, and no beginning of U+0085, U+2028 or U+2029. */
const IS_TEXT = new Uint8Array(256).fill(1).fill(0, NUL, SPACE);
for (const byte of [QUOTE, BACKSLASH, 0xc2, 0xe2]) IS_TEXT[byte] = 0;

/** What a byte outside of strings is. */
const ORDINARY = 0;
const DIGIT = 1;
/** Of a number that is no plain row of digits; or a line break. */
const ODD = 2;
const STRUCTURE = 3;
const KIND = new Uint8Array(256).fill(ORDINARY);
for (const char of "0123456789") KIND[char.charCodeAt(0)] = DIGIT;
for (const char of "+-.eE\r\n") KIND[char.charCodeAt(0)] = ODD;
for (const char of '{}[]":\0') KIND[char.charCodeAt(0)] = STRUCTURE;

/** Where a scan stands: outside of strings, in one, behind a backslash, behind a raw line break or NUL in a string. */
const OUTSIDE = 0;
const TEXT = 1;
const ESCAPED = 2;
const BROKEN = 3;

/**
 * Frames that came together in no more bytes than this share one decoded text. A frame that is kept keeps all of that in
 * memory, so it is not much.
 */
const SHARED_TEXT_BYTES = 4_096;

/** An empty one for all: each has 200 bytes of its own. */
const NOTHING: Uint8Array = new Uint8Array(0);

/** The decoder that reports errors takes three times as long. */
const decoder = new TextDecoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true });
/** What {@link decoder} puts where the bytes are no UTF-8; a sender may also have meant it. */
const REPLACEMENT = "\ufffd";

function decode(bytes: Uint8Array): string | undefined {
  const text = decoder.decode(bytes);
  return text.includes(REPLACEMENT) && !isUtf8(bytes) ? undefined : text;
}

/** Whether bytes are text. */
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictDecoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What ends a line, or a frame of the original's client. */
function isBreak(byte: number | undefined): boolean {
  return byte === LF || byte === NUL || byte === CR;
}

/** What may stand between frames. */
function isGap(byte: number | undefined): boolean {
  return isBreak(byte) || byte === SPACE || byte === TAB;
}

/** How a peer ends its frames, as bytes to append to ours. */
export type Terminator = "\0" | "\n" | "";

/** One frame, cut but not parsed. */
export interface RawFrame {
  /** From the opening to the closing brace; undefined when that is not UTF-8. */
  text: string | undefined;
  /** Its length on the wire, without what ends it. */
  byteLength: number;
  /**
   * How many members the outermost object has in the text. More than the parsed object's means that a key stands twice,
   * which two parsers may read differently.
   */
  memberCount: number;
  /** Nested deeper than {@link DEPTH_MAX}. */
  isTooDeep: boolean;
  /** No escapes, no line breaks of any kind, no numbers but short rows of digits: nothing that readers take differently. */
  isPlain: boolean;
}

/** Why a stream can no longer be cut into frames. */
export type FramerFailure = "garbage" | "too_long";

/**
 * A frame ends where its outermost brace closes; strings and escapes are respected. NUL, LF, CR, TAB and space between frames are
 * skipped.
 *
 * A NUL anywhere inside a frame, or a line break inside one of its strings, is in no JSON text: the frame is cut there, will
 * not parse, and the frames behind it are not lost with it. In a string it may be that the sender was cut off, or did not
 * escape it: an opening brace behind it begins the next frame, anything else goes on with the string, and is skipped up to
 * where the broken frame ends. Until two frames in a row are whole, what is no frame is skipped to the end of its line.
 *
 * @example
 * ```ts
 * import { Framer } from "./framer.ts";
 * const framer = new Framer({ maxFrameBytes: 65_536 });
 * framer.push(new TextEncoder().encode('{"msgid":1}\0{"ms'));
 * framer.next()?.memberCount; // 1
 * framer.next(); // undefined: push more
 * ```
 */
export class Framer {
  readonly #maxFrameBytes: number;
  #chunk = NOTHING;
  #chunkText: string | undefined;
  #position = 0;
  /** Start of the current frame in the chunk; 0 when it began in an earlier one. */
  #start = 0;
  /** The current frame's bytes from earlier chunks. */
  #pending = NOTHING;
  #pendingLength = 0;
  /** Braces that are open: the frame ends with the last. */
  #depth = 0;
  /** Braces and brackets that are open. */
  #nesting = 0;
  #state = OUTSIDE;
  /** The line break or NUL of {@link BROKEN}. */
  #breakByte = NUL;
  /** In a row, up to where the scan stands. */
  #digits = 0;
  #isTooDeep = false;
  #isPlain = true;
  #memberCount = 0;
  /** The frame was broken and has been cut: what is left of it is skipped. */
  #isRest = false;
  /** A frame was broken, and since then no frame that parses has been followed by another. */
  #isOutOfStep = false;
  /** The frame before parses, and nothing but a gap has come since. */
  #isBackInStep = false;
  /** In a line that is skipped, between frames. */
  #isInLine = false;
  /** Bytes skipped while out of step. */
  #skipped = 0;
  #frameCount = 0;
  #terminator: Terminator | undefined;
  #failure: FramerFailure | undefined;

  /** `maxFrameBytes`: a longer frame is a failure of the stream. */
  constructor(options: { maxFrameBytes: number }) {
    this.#maxFrameBytes = options.maxFrameBytes;
  }

  /** How the first frame ended; undefined until the byte behind it has been seen. */
  get terminator(): Terminator | undefined {
    return this.#terminator;
  }

  /** Set once nothing more can be cut from this stream; {@link next} then gives nothing. */
  get failure(): FramerFailure | undefined {
    return this.#failure;
  }

  /** Never: the end of such a stream is that of its connection. */
  readonly isOver: boolean = false;

  /** True between a frame's first and last byte. */
  get isInsideFrame(): boolean {
    return this.#depth > 0;
  }

  /**
   * Takes the next bytes. They are read in place: call {@link next} until it gives undefined before the buffer is used
   * again or more is pushed.
   */
  push(bytes: Uint8Array): void {
    if (this.#position < this.#chunk.length && this.#failure === undefined) {
      throw new Error("Cannot push: the bytes before have not been read to their end with next()");
    }
    this.#chunk = bytes;
    this.#chunkText = undefined;
    this.#position = 0;
    this.#start = 0;
  }

  /** The next whole frame, or undefined when more bytes are needed. */
  next(): RawFrame | undefined {
    const frame = this.#next();
    if (frame === undefined) this.#forgetChunk();
    return frame;
  }

  /** Thousands of idle connections would each hold the view and the text of what they read last. */
  #forgetChunk(): void {
    this.#chunk = NOTHING;
    this.#chunkText = undefined;
    this.#position = this.#start = 0;
  }

  #next(): RawFrame | undefined {
    while (this.#failure === undefined && (this.#depth > 0 || this.#skipToFrame())) {
      const end = this.#scan();
      if (this.#isRest) this.#dropRest(end);
      else {
        const length = this.#pendingLength + (end ?? this.#chunk.length) - this.#start;
        if (length > this.#maxFrameBytes) this.#fail("too_long");
        else if (end !== undefined) return this.#cut(end, length);
        else this.#keepRest();
      }
      if (end === undefined) return undefined;
    }
    return undefined;
  }

  /** Skips what may stand between frames; false when the chunk ends before a frame begins. */
  #skipToFrame(): boolean {
    while (this.#position < this.#chunk.length) {
      const byte = this.#chunk[this.#position];
      if (this.#isInLine || (this.#isOutOfStep && byte !== OPEN && !isGap(byte))) {
        if (!this.#skipLine()) return false;
        continue;
      }
      if (this.#terminator === undefined && this.#frameCount > 0) this.#decideTerminator(byte);
      if (byte === OPEN) {
        this.#begin();
        return true;
      }
      if (!isGap(byte)) {
        this.#fail("garbage");
        return false;
      }
      this.#position++;
    }
    return false;
  }

  #begin(): void {
    this.#start = this.#position++;
    this.#state = OUTSIDE;
    this.#depth = this.#nesting = 1;
    this.#memberCount = this.#digits = 0;
    this.#isTooDeep = false;
    this.#isPlain = true;
    if (!this.#isBackInStep) return;
    this.#isOutOfStep = this.#isBackInStep = false;
    this.#skipped = 0;
  }

  /** Skips to the end of the line; false when that is not to be found. */
  #skipLine(): boolean {
    const from = this.#position;
    while (this.#position < this.#chunk.length && !isBreak(this.#chunk[this.#position])) this.#position++;
    this.#isInLine = this.#position === this.#chunk.length;
    this.#isBackInStep = false;
    this.#skipped += this.#position - from;
    if (this.#skipped > this.#maxFrameBytes) this.#fail("garbage");
    return this.#failure === undefined;
  }

  /** Skips what is left of a broken frame, up to its end or the chunk's. */
  #dropRest(end: number | undefined): void {
    this.#skipped += this.#position - this.#start;
    this.#start = this.#position;
    if (this.#skipped > this.#maxFrameBytes) this.#fail("too_long");
    else if (end !== undefined) {
      this.#isRest = false;
      // The break is where the frame was to end.
      if (this.#state === BROKEN && this.#terminator === undefined) this.#decideTerminator(this.#breakByte);
    }
  }

  #decideTerminator(byte: number | undefined): void {
    if (byte === NUL) this.#terminator = "\0";
    else if (byte === LF || byte === CR) this.#terminator = "\n";
    else if (byte !== SPACE && byte !== TAB) this.#terminator = "";
  }

  /** Runs to the frame's end and returns the position behind it, or undefined at the chunk's end. */
  #scan(): number | undefined {
    const chunk = this.#chunk;
    let position = this.#position;
    let state = this.#state;
    let end: number | undefined;
    while (position < chunk.length && end === undefined) {
      if (state === OUTSIDE) {
        const byte = chunk[position++] ?? NUL;
        const kind = KIND[byte];
        if (kind === DIGIT) {
          if (++this.#digits > DIGITS_MAX) this.#isPlain = false;
          continue;
        }
        this.#digits = 0;
        if (kind === ODD) this.#isPlain = false;
        else if (byte === QUOTE) state = TEXT;
        else if (kind === STRUCTURE && this.#endsWith(byte)) end = byte === NUL ? position - 1 : position;
      } else if (state === TEXT) {
        // Nearly all bytes.
        while (IS_TEXT[chunk[position] ?? QUOTE] === 1) position++;
        if (position === chunk.length) break;
        const byte = chunk[position++] ?? NUL;
        if (byte === QUOTE) state = OUTSIDE;
        else {
          this.#isPlain = false;
          if (byte === BACKSLASH) state = ESCAPED;
          else if (isBreak(byte)) {
            state = BROKEN;
            this.#breakByte = byte;
            if (!this.#isRest) end = position - 1;
          }
        }
      } else if (state === ESCAPED) {
        if (!isBreak(chunk[position])) position++;
        state = TEXT;
      } else if (chunk[position] === OPEN) {
        end = position;
      } else if (isGap(chunk[position])) position++;
      else state = TEXT;
    }
    this.#state = state;
    this.#position = position;
    if (end !== undefined && (state !== BROKEN || this.#isRest)) {
      // The NUL that ended a frame is left for what comes between frames: it tells the terminator.
      this.#position = end;
      this.#depth = 0;
    }
    return end;
  }

  /** Counts what a byte outside of strings opens, closes or names; true when it ends the frame. */
  #endsWith(byte: number): boolean {
    switch (byte) {
      case COLON:
        if (this.#depth === 1) this.#memberCount++;
        return false;
      case OPEN:
      case OPEN_ARRAY:
        if (byte === OPEN) this.#depth++;
        if (++this.#nesting > DEPTH_MAX) this.#isTooDeep = true;
        return false;
      case CLOSE_ARRAY:
        this.#nesting--;
        return false;
      case CLOSE:
        this.#nesting--;
        return --this.#depth === 0;
      default:
        this.#isOutOfStep = true;
        return true;
    }
  }

  #cut(end: number, length: number): RawFrame {
    this.#frameCount++;
    const text = this.#takeText(end, length);
    if (this.#depth > 0) {
      // Only broken: the scan goes on behind the break.
      this.#isRest = this.#isOutOfStep = true;
      this.#start = this.#position;
    } else if (this.#terminator === undefined && end < this.#chunk.length) {
      // The answer to a first frame may depend on what ends it, and its handler may take its time.
      this.#decideTerminator(this.#chunk[end]);
    }
    if (this.#isOutOfStep) this.#isBackInStep = text !== undefined && isJson(text);
    return {
      text,
      byteLength: length,
      memberCount: this.#memberCount,
      isTooDeep: this.#isTooDeep,
      isPlain: this.#isPlain,
    };
  }

  #takeText(end: number, length: number): string | undefined {
    if (this.#pendingLength === 0) return this.#textOf(this.#start, end);
    const bytes = new Uint8Array(length);
    bytes.set(this.#pending.subarray(0, this.#pendingLength));
    bytes.set(this.#chunk.subarray(this.#start, end), this.#pendingLength);
    // A long frame's buffer is not kept: thousands of idle connections would each hold one.
    if (this.#pending.length > 4096) this.#pending = NOTHING;
    this.#pendingLength = 0;
    return decode(bytes);
  }

  /** Text of the chunk. A small chunk is decoded once for all of its frames, which share its memory then. */
  #textOf(start: number, end: number): string | undefined {
    if (this.#chunk.length > SHARED_TEXT_BYTES) return decode(this.#chunk.subarray(start, end));
    this.#chunkText ??= decoder.decode(this.#chunk);
    // As many characters as bytes: each byte is one character, and what stands for a byte that is none was none.
    if (this.#chunkText.length !== this.#chunk.length) return decode(this.#chunk.subarray(start, end));
    const text = this.#chunkText.slice(start, end);
    return text.includes(REPLACEMENT) ? undefined : text;
  }

  #keepRest(): void {
    const rest = this.#chunk.subarray(this.#start);
    const needed = this.#pendingLength + rest.length;
    if (needed > this.#pending.length) {
      const grown = new Uint8Array(Math.min(this.#maxFrameBytes, Math.max(256, 2 * needed)));
      grown.set(this.#pending.subarray(0, this.#pendingLength));
      this.#pending = grown;
    }
    this.#pending.set(rest, this.#pendingLength);
    this.#pendingLength = needed;
    this.#start = this.#position;
  }

  #fail(failure: FramerFailure): void {
    this.#failure = failure;
    this.#chunk = this.#pending = NOTHING;
    this.#position = this.#pendingLength = 0;
  }
}
