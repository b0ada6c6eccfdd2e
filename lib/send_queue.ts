/**
 * What waits to be written to one socket: bounded by its owner, coalesced, never more than one write in flight.
 *
 * @module
 */
import type { Terminator } from "./framer.ts";

/** Frames of one turn are written together up to this. */
const WRITE_BYTES = 65_536;
/**
 * A version 1 client reads with one recv and parses the first frame of what it got, so each frame goes out in its own
 * write, unless this many wait: then it is behind, and TCP glues them anyway.
 */
const SINGLE_WRITES_UP_TO = 32;
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

interface QueuedFrame {
  bytes: Uint8Array;
  written: Written | undefined;
}

const encoder = new TextEncoder();
const TERMINATOR_BYTES: Record<Terminator, Uint8Array> = {
  "\0": encoder.encode("\0"),
  "\n": encoder.encode("\n"),
  "": new Uint8Array(0),
};

/** The frames waiting for one socket. */
export class SendQueue {
  /** Several frames may share one write (everyone but a version 1 client). */
  mayGlue = false;
  readonly #highWaterBytes: number;
  readonly #events: SendQueueEvents;
  #frames: QueuedFrame[] = [];
  #bytes = 0;
  #isScheduled = false;
  #isWriting = false;
  #isClosed = false;
  #wasCongested = false;
  #terminator: Terminator | undefined;
  #isTerminatorAwaited = false;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #progressAt = 0;

  /** `highWaterBytes`: more than this in the queue is congestion. */
  constructor(options: { highWaterBytes: number }, events: SendQueueEvents) {
    this.#highWaterBytes = options.highWaterBytes;
    this.#events = events;
  }

  /** Bytes not yet taken by the operating system. */
  get bytes(): number {
    return this.#bytes;
  }

  /** More is queued than the peer takes; {@linkcode SendQueueEvents.onDrain} follows. */
  get isCongested(): boolean {
    if (this.#bytes <= this.#highWaterBytes) return false;
    this.#wasCongested = true;
    return true;
  }

  /** Nothing waits and nothing is being written. */
  get isEmpty(): boolean {
    return this.#frames.length === 0 && !this.#isWriting;
  }

  /** For how long bytes have waited without the peer taking any, ms; `now` as of performance.now(). */
  stalledMs(now: number): number {
    return this.#bytes <= 0 ? 0 : now - this.#progressAt;
  }

  /** Queues a frame without its terminator; `written` is told when it is out. */
  add(frame: string | Uint8Array, written?: Written): void {
    if (this.#isClosed) {
      written?.dropped?.();
      return;
    }
    const bytes = typeof frame === "string" ? encoder.encode(frame) : frame;
    if (this.#bytes === 0) this.#progressAt = performance.now();
    this.#frames.push({ bytes, written });
    this.#bytes += bytes.length;
    this.#schedule();
  }

  /** Forgets every frame of which nothing has been written. */
  drop(): void {
    const frames = this.#frames;
    this.#frames = [];
    for (const { bytes, written } of frames) {
      this.#bytes -= bytes.length;
      written?.dropped?.();
    }
  }

  /** Writes nothing more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#graceTimer);
    this.drop();
  }

  /**
   * The peer's first frame is here and the byte behind it is not: writing waits for {@link setTerminator}, but not for
   * long. Nothing follows the frame of a client that ends its frames with nothing.
   */
  awaitTerminator(): void {
    if (this.#terminator === undefined) this.#isTerminatorAwaited = true;
  }

  /** How the peer ends its frames, and so ours end; only the first call counts. NUL until then. */
  setTerminator(terminator: Terminator): void {
    if (this.#terminator !== undefined) return;
    this.#terminator = terminator;
    this.#isTerminatorAwaited = false;
    clearTimeout(this.#graceTimer);
    if (this.#frames.length > 0) this.#schedule();
  }

  /** A microtask later the frames of the whole turn are queued and leave in one write. */
  #schedule(): void {
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#isTerminatorAwaited) {
        this.#graceTimer ??= setTimeout(() => this.setTerminator(""), TERMINATOR_GRACE_MS);
      } else this.#writeQueued();
    });
  }

  async #writeQueued(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      while (this.#frames.length > 0 && !this.#isClosed) await this.#writeBatch(this.#takeBatch());
    } catch (error) {
      this.close();
      this.#events.onError(error);
    }
    this.#isWriting = false;
    if (!this.#isClosed) this.#events.onEmpty();
  }

  #takeBatch(): QueuedFrame[] {
    const frames = this.#frames;
    if (!this.mayGlue && frames.length <= SINGLE_WRITES_UP_TO) return frames.splice(0, 1);
    let count = 0;
    for (let size = 0; count < frames.length && size < WRITE_BYTES; count++) {
      size += frames[count]?.bytes.length ?? 0;
    }
    return frames.splice(0, count);
  }

  async #writeBatch(batch: QueuedFrame[]): Promise<void> {
    let isOut = false;
    try {
      isOut = await this.#writeAll(joinFrames(batch, TERMINATOR_BYTES[this.#terminator ?? "\0"]));
    } finally {
      for (const { bytes, written } of batch) {
        this.#bytes -= bytes.length;
        if (isOut) written?.written();
        else written?.dropped?.();
      }
    }
    if (this.#wasCongested && this.#bytes <= this.#highWaterBytes / 2) {
      this.#wasCongested = false;
      this.#events.onDrain();
    }
  }

  /** True when all is out; false when the queue was closed meanwhile. */
  async #writeAll(bytes: Uint8Array): Promise<boolean> {
    for (let offset = 0; offset < bytes.length;) {
      offset += await this.#events.write(offset === 0 ? bytes : bytes.subarray(offset));
      this.#progressAt = performance.now();
      if (this.#isClosed) return offset === bytes.length;
    }
    return true;
  }
}

function joinFrames(frames: QueuedFrame[], terminator: Uint8Array): Uint8Array {
  let length = 0;
  for (const { bytes } of frames) length += bytes.length + terminator.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const { bytes } of frames) {
    joined.set(bytes, offset);
    joined.set(terminator, offset + bytes.length);
    offset += bytes.length + terminator.length;
  }
  return joined;
}
