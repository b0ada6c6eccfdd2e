/**
 * What waits to be written to one socket: bounded by its owner, coalesced, never more than one write in flight.
 *
 * @module
 */
import { fitFrame } from "./client_buffer.ts";
import type { Terminator } from "../protocol/framer.ts";
import { atEndOfTurn, firstAtEndOfTurn } from "../base/turn.ts";
import type { FramePart, FrameWriter } from "./wire.ts";

/** Frames of one turn are written together up to this, and a longer frame goes out in parts of so many characters. */
const WRITE_BYTES = 65_536;
/** So many times the high-water mark may be queued, and one reply besides, before the peer is given up. */
const OVERFULL_FACTOR = 4;
/** So many high-water marks are too much for another answer; messages alone stop at one, and leave acknowledgements heard. */
const FULL_FACTOR = 2;
/**
 * A version 1 client reads with one recv and parses the first frame of what it got, so each frame goes out in its own
 * write, unless more than this many wait: then it is behind, and TCP glues them anyway. Measured with a client that takes
 * 30 µs for each: of three frames at once it sees three quarters, of sixteen a third, and glued as many as there are writes;
 * but sixteen writes cost four times one. Who must see each frame has `--v1-client-buffer`.
 */
const SINGLE_WRITES_UP_TO = 8;
/** Pause behind each write to a client with a buffer for one frame, ms: in it the client takes that frame off its socket. */
const PAUSE_MS = 2;
/**
 * How long the first answer waits to see how the client's first frame ended. A NUL written separately from its frame is
 * held back by up to 40 ms of delayed acknowledgement.
 */
const TERMINATOR_GRACE_MS = 100;

/** Told what became of a frame. Must not throw. */
export interface Written {
  /** Its last byte was given to the operating system. */
  written(): void;
  /** It will not be. */
  dropped?(): void;
}

/** What a send queue calls. None may throw, but for `write`. */
export interface SendQueueEvents {
  /** Writes some of the bytes and resolves with how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Everything queued has been written. */
  onEmpty(): void;
  /** At most half of the high-water mark is queued after {@link SendQueue.isCongested} has been true. */
  onDrain(): void;
  /** A write failed: nothing more will be written. */
  onError(error: unknown): void;
}

const encoder = new TextEncoder();
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * Buffers for small writes, of all queues. Measured: to allocate one for each write costs as much as parsing the message
 * it holds.
 */
const SPARE_BYTES = 4_096;
const SPARES_MAX = 256;
const spares: Uint8Array[] = [];

/** A frame, or a part of one. */
interface QueuedFrame extends FramePart {
  written: Written | undefined;
}

/** Between two characters, so that each part can be encoded by itself. */
function cut(frame: string): string[] {
  const parts: string[] = [];
  for (let start = 0; start < frame.length;) {
    let end = Math.min(frame.length, start + WRITE_BYTES);
    if (end < frame.length && (frame.charCodeAt(end) & 0xfc00) === 0xdc00) end--;
    parts.push(frame.slice(start, end));
    start = end;
  }
  return parts;
}

/** The frames waiting for one socket. */
export class SendQueue {
  /** Several frames may share one write (everyone but a version 1 client). */
  mayGlue = false;
  readonly #highWaterBytes: number;
  readonly #clientBufferBytes: number;
  readonly #writer: FrameWriter | undefined;
  readonly #events: SendQueueEvents;
  #frames: QueuedFrame[] = [];
  #bytes = 0;
  /** Of the longest frame since nothing was queued. */
  #longestFrame = 0;
  /** The batch that was taken last ends within a frame. */
  #isInsideFrame = false;
  /** What is being written: the frames, their bytes, and how many of those are out. */
  #batch: QueuedFrame[] | undefined;
  #output = NOTHING;
  #offset = 0;
  /** Where the output stands, if in a shared buffer. */
  #spare: Uint8Array | undefined;
  #isScheduled = false;
  #isUrgent = false;
  #isClosed = false;
  #wasCongested = false;
  #terminator: Terminator | undefined;
  #isTerminatorAwaited = false;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #pauseTimer: ReturnType<typeof setTimeout> | undefined;
  /** Bytes were taken, or began to wait, since the last look at {@link stalledMs}. */
  #hasProgressed = false;
  #progressAt = 0;

  /**
   * `highWaterBytes`: more than this in the queue is congestion. `clientBufferBytes`: a version 1 client that ends its frames
   * with NUL reads one frame into that many, if not 0. `writer`: where there are no terminators.
   */
  constructor(
    { highWaterBytes, clientBufferBytes = 0, writer }: {
      highWaterBytes: number;
      clientBufferBytes?: number;
      writer?: FrameWriter | undefined;
    },
    events: SendQueueEvents,
  ) {
    this.#highWaterBytes = highWaterBytes;
    this.#clientBufferBytes = writer ? 0 : clientBufferBytes;
    this.#writer = writer;
    this.#events = events;
    if (writer) this.mayGlue = true;
  }

  /** The longest frame that the peer can read, in bytes; a longer chat frame goes out as several. */
  get frameLimitBytes(): number {
    return this.#isPaced ? this.#clientBufferBytes - 1 : Infinity;
  }

  /** One frame a write, and a pause behind each. */
  get #isPaced(): boolean {
    return this.#clientBufferBytes > 0 && !this.mayGlue && (this.#terminator ?? "\0") === "\0";
  }

  /** Bytes not yet taken by the operating system; of text about, a character counts as one. */
  get bytes(): number {
    return this.#bytes;
  }

  /** More is queued than the peer takes; {@linkcode SendQueueEvents.onDrain} follows. */
  get isCongested(): boolean {
    if (this.#bytes <= this.#highWaterBytes) return false;
    this.#wasCongested = true;
    return true;
  }

  /** So much is queued that a peer is not asked on; {@linkcode SendQueueEvents.onDrain} follows. */
  get isFull(): boolean {
    return this.isCongested && this.#bytes > FULL_FACTOR * this.#highWaterBytes;
  }

  /** More is queued than any reply explains to a peer that is not asked on while the queue is full. */
  get isOverfull(): boolean {
    return this.#bytes > OVERFULL_FACTOR * this.#highWaterBytes + this.#longestFrame;
  }

  /** Nothing waits and nothing is being written. */
  get isEmpty(): boolean {
    return !this.#hasMore && this.#batch === undefined;
  }

  get #hasMore(): boolean {
    return this.#frames.length > 0 || this.#writer?.hasControl === true;
  }

  /**
   * For how long bytes have waited without the peer taking any, ms, as far as calls of this function have seen it: a
   * clock read with every write would cost more than the rest of queueing. `now` as of performance.now().
   */
  stalledMs(now: number): number {
    if (this.#bytes <= 0 || this.#hasProgressed) this.#progressAt = now;
    this.#hasProgressed = false;
    return now - this.#progressAt;
  }

  /** Queues a frame without its terminator; `written` is told when it is out. */
  add(frame: string, written?: Written): void {
    if (this.#isPaced) return this.#addFitting(frame, written);
    if (frame.length > WRITE_BYTES) return this.addParts(cut(frame), written);
    if (this.#isClosed) {
      written?.dropped?.();
      return;
    }
    this.#begin(frame.length);
    this.#frames.push({ frame, goesOn: false, written });
    this.#schedule();
  }

  #addFitting(frame: string, written?: Written): void {
    const frames = fitFrame(frame, this.frameLimitBytes);
    const last = frames.pop() ?? frame;
    for (const part of frames) this.addParts([part]);
    this.addParts([last], written);
  }

  /** Queues a frame that is there in parts, at least one: what is shared by many peers is in memory once, and encoded late. */
  addParts(parts: readonly string[], written?: Written): void {
    if (this.#isClosed) {
      written?.dropped?.();
      return;
    }
    let length = 0;
    for (const part of parts) length += part.length;
    this.#begin(length);
    const last = parts.length - 1;
    parts.forEach((frame, index) =>
      this.#frames.push({ frame, goesOn: index < last, written: index < last ? undefined : written })
    );
    this.#schedule();
  }

  #begin(length: number): void {
    if (this.#bytes === 0) {
      this.#hasProgressed = true;
      this.#longestFrame = 0;
    }
    if (length > this.#longestFrame) this.#longestFrame = length;
    this.#bytes += length;
  }

  /** Forgets every frame of which nothing has been written. */
  drop(): void {
    const begun = this.#isInsideFrame ? this.#frames.findIndex(({ goesOn }) => !goesOn) + 1 : 0;
    for (const { frame, written } of this.#frames.splice(begun)) {
      this.#bytes -= frame.length;
      written?.dropped?.();
    }
  }

  /** Writes nothing more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#graceTimer);
    clearTimeout(this.#pauseTimer);
    this.#isInsideFrame = false;
    this.drop();
  }

  /** The writer has something to be written that is no frame. */
  wake(): void {
    if (!this.#isClosed) this.#schedule();
  }

  /**
   * The peer's first frame is here and the byte behind it is not: writing waits for {@link setTerminator}, but not for
   * long. Nothing follows the frame of a client that ends its frames with nothing.
   */
  awaitTerminator(): void {
    if (this.#terminator === undefined) this.#isTerminatorAwaited = true;
  }

  /** How the peer ends its frames, and so ours end from now on. NUL until then. */
  setTerminator(terminator: Terminator): void {
    this.#terminator = terminator;
    this.#isTerminatorAwaited = false;
    clearTimeout(this.#graceTimer);
    if (this.#frames.length > 0) this.#schedule();
  }

  /** Nothing has followed the peer's first frame: it seems to end its frames with nothing, until it shows otherwise. */
  guessTerminator(): void {
    if (this.#terminator === undefined) this.setTerminator("");
  }

  /** At its end the frames of the whole turn are queued and leave in one write. */
  #schedule(): void {
    if (this.#isScheduled || this.#batch !== undefined) return;
    this.#isScheduled = true;
    atEndOfTurn(this.#onTurnEnd);
  }

  /** What is queued is written before what others are sent in this turn. */
  hurry(): void {
    if (!this.#isScheduled || this.#isUrgent) return;
    this.#isUrgent = true;
    firstAtEndOfTurn(this.#onTurnEnd);
  }

  readonly #onTurnEnd = () => {
    this.#isScheduled = this.#isUrgent = false;
    if (this.#isTerminatorAwaited) {
      this.#graceTimer ??= setTimeout(() => this.guessTerminator(), TERMINATOR_GRACE_MS);
    } else if (this.#batch === undefined) this.#writeNext();
  };

  #writeNext(): void {
    if (!this.#hasMore || this.#isClosed || this.#pauseTimer !== undefined) return;
    this.#batch = this.#takeBatch();
    this.#isInsideFrame = this.#batch.at(-1)?.goesOn === true;
    this.#output = this.#writer
      ? this.#writer.encode(this.#batch, this.#takeSpare())
      : this.#encode(this.#batch, this.#terminator ?? "\0");
    this.#offset = 0;
    this.#write();
  }

  #takeBatch(): QueuedFrame[] {
    const frames = this.#frames;
    const isSingle = !this.mayGlue && (frames.length <= SINGLE_WRITES_UP_TO || this.#isPaced);
    let count = 0;
    for (let size = 0; count < frames.length && size < WRITE_BYTES; count++) {
      size += frames[count]?.frame.length ?? 0;
      if (isSingle && frames[count]?.goesOn === false) return frames.splice(0, count + 1);
    }
    if (count < frames.length) return frames.splice(0, count);
    this.#frames = [];
    return frames;
  }

  /** The frames with their terminators. */
  #encode(batch: readonly QueuedFrame[], terminator: Terminator): Uint8Array {
    let text = "";
    for (const { frame, goesOn } of batch) text += goesOn ? frame : frame + terminator;
    if (text.length > SPARE_BYTES) return encoder.encode(text);
    const buffer = this.#takeSpare();
    const { read, written } = encoder.encodeInto(text, buffer);
    return read === text.length ? buffer.subarray(0, written) : encoder.encode(text);
  }

  #takeSpare(): Uint8Array {
    return this.#spare = spares.pop() ?? new Uint8Array(SPARE_BYTES);
  }

  #write(): void {
    const rest = this.#offset === 0 ? this.#output : this.#output.subarray(this.#offset);
    // Callbacks and not an async function: this runs for every message, and three promises less are a tenth of its cost.
    this.#events.write(rest).then(this.#onTaken, this.#onFailed);
  }

  readonly #onTaken = (count: number) => {
    this.#offset += count;
    this.#hasProgressed = true;
    if (this.#offset < this.#output.length && !this.#isClosed) return this.#write();
    this.#endBatch(this.#offset === this.#output.length);
    if (this.#wasCongested && this.#bytes <= this.#highWaterBytes / 2) {
      this.#wasCongested = false;
      this.#events.onDrain();
    }
    if (this.#isClosed) return;
    if (this.#isPaced) this.#pause();
    if (this.#hasMore) this.#writeNext();
    else this.#events.onEmpty();
  };

  #pause(): void {
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined;
      this.#writeNext();
    }, PAUSE_MS);
  }

  readonly #onFailed = (error: unknown) => {
    this.#endBatch(false);
    this.close();
    this.#events.onError(error);
  };

  #endBatch(isOut: boolean): void {
    const batch = this.#batch ?? [];
    this.#batch = undefined;
    this.#output = NOTHING;
    if (this.#spare !== undefined && spares.length < SPARES_MAX) spares.push(this.#spare);
    this.#spare = undefined;
    for (const { frame, written } of batch) {
      this.#bytes -= frame.length;
      if (isOut) written?.written();
      else written?.dropped?.();
    }
  }
}
