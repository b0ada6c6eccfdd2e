/**
 * Cuts a byte stream into frames. Knows no socket and no clock: bytes in, frames out (the idea of a pure push parser
 * is from nats.js `parser.ts` and hiredis `read.c`).
 *
 * @module
 */

const NUL = 0x00;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** 1 for a byte that means nothing to the framer, wherever it stands inside a frame. */
const IS_ORDINARY = new Uint8Array(256).fill(1);
for (const byte of [NUL, LF, QUOTE, COLON, BACKSLASH, OPEN, CLOSE]) IS_ORDINARY[byte] = 0;

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

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictDecoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** How a peer ends its frames, as bytes to append to ours. */
export type Terminator = "\0" | "\n" | "";

/** One frame, cut but not parsed. */
export interface RawFrame {
  /** From the opening to the closing brace; undefined when that is not UTF-8. */
  text: string | undefined;
  /**
   * How many members the outermost object has in the text. More than the parsed object's means that a key stands twice,
   * which two parsers may read differently.
   */
  memberCount: number;
}

/** Why a stream can no longer be cut into frames. */
export type FramerFailure = "garbage" | "too_long";

/**
 * A frame ends where its outermost brace closes; strings and escapes are respected. NUL, LF, CR, TAB and space between frames are
 * skipped. A NUL anywhere inside a frame, or a line break inside one of its strings, is in no JSON text: the frame ends there,
 * will not parse, and the frames behind it are not lost with it.
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
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #memberCount = 0;
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
    if (this.#failure !== undefined) return undefined;
    if (this.#depth === 0 && !this.#skipToFrame()) return undefined;
    const end = this.#scan();
    const length = this.#pendingLength + (end ?? this.#chunk.length) - this.#start;
    if (length > this.#maxFrameBytes) {
      this.#fail("too_long");
      return undefined;
    }
    if (end === undefined) {
      this.#keepRest();
      return undefined;
    }
    return this.#cut(end, length);
  }

  /** Skips what may stand between frames; false when the chunk ends before a frame begins. */
  #skipToFrame(): boolean {
    while (this.#position < this.#chunk.length) {
      const byte = this.#chunk[this.#position];
      if (this.#terminator === undefined && this.#frameCount > 0) this.#decideTerminator(byte);
      if (byte === OPEN) {
        this.#start = this.#position++;
        this.#depth = 1;
        this.#memberCount = 0;
        return true;
      }
      if (byte !== NUL && byte !== LF && byte !== CR && byte !== SPACE && byte !== TAB) {
        this.#fail("garbage");
        return false;
      }
      this.#position++;
    }
    return false;
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
    let depth = this.#depth;
    let isInString = this.#isInString;
    let isEscaped = this.#isEscaped;
    let end: number | undefined;
    for (; position < chunk.length && end === undefined; position++) {
      const byte = chunk[position] ?? NUL;
      // Nearly all bytes: one look-up in place of six comparisons takes a quarter off the scan.
      if (IS_ORDINARY[byte] === 1) isEscaped = false;
      else if (byte === NUL) end = position;
      else if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) isInString = false;
        else if (byte === LF) end = position;
      } else if (byte === QUOTE) isInString = true;
      else if (byte === OPEN) depth++;
      else if (byte === COLON) {
        if (depth === 1) this.#memberCount++;
      } else if (byte === CLOSE && --depth === 0) end = position + 1;
    }
    // The byte that broke a frame off is left for what comes between frames: it tells the terminator.
    this.#position = end ?? position;
    this.#depth = end === undefined ? depth : 0;
    this.#isInString = end === undefined && isInString;
    this.#isEscaped = end === undefined && isEscaped;
    return end;
  }

  #cut(end: number, length: number): RawFrame {
    this.#frameCount++;
    if (this.#pendingLength === 0) {
      return { text: this.#textOf(this.#start, end), memberCount: this.#memberCount };
    }
    const bytes = new Uint8Array(length);
    bytes.set(this.#pending.subarray(0, this.#pendingLength));
    bytes.set(this.#chunk.subarray(this.#start, end), this.#pendingLength);
    // A long frame's buffer is not kept: thousands of idle connections would each hold one.
    if (this.#pending.length > 4096) this.#pending = NOTHING;
    this.#pendingLength = 0;
    return { text: decode(bytes), memberCount: this.#memberCount };
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
