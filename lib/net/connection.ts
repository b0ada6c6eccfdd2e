/**
 * One client's socket: bytes in through the framer, frames out through the send queue. Knows no users.
 *
 * @module
 */
import type { ByteSocket } from "./byte_socket.ts";
import { Framer, type RawFrame } from "../protocol/framer.ts";
import type { NoticeCode } from "../protocol/protocol.ts";
import type { ReadGate } from "./read_gate.ts";
import { SendQueue, type Written } from "./send_queue.ts";
import { anotherTurn, atEndOfTurn, turnTime } from "../base/turn.ts";
import type { FrameReader, StreamFailure, Wire } from "./wire.ts";

/** Every pending read holds its buffer, so an idle connection's is small; one that streams gets the large one. */
const SMALL_BUFFER_BYTES = 512;
const LARGE_BUFFER_BYTES = 65_536;
const BUFFER_GROWTH = 8;
/** Small reads in a row after which the large buffer is given back. */
const SMALL_READS_TO_SHRINK = 4;
/** What one connection may do of one chunk in a row: frames, and ms of those that wait for something. */
const FRAMES_IN_A_ROW = 64;
const MS_IN_A_ROW = 2;
/** How long a connection that we end may take to accept its last frames and to close its side. */
const LINGER_MS = 2_000;

/** How a connection ended: the peer closed its side, the socket broke, or we closed it. */
export type EndReason = "eof" | "reset" | "closed";

/** How {@linkcode Connection.end} ends it. */
export interface EndOptions {
  /** For a peer whose connection has a word for it. */
  reason?: NoticeCode;
  /** Forgets what a peer that does not read will not read. */
  dropQueued?: boolean;
  /** What the peer says before it has seen the end is still handled. */
  isHeardOut?: boolean;
  /** The socket is freed as soon as the last frame is written: somebody needs the place. */
  isAbrupt?: boolean;
}

/** What a connection calls. None may throw. */
export interface ConnectionEvents {
  /** A frame came in; the next one is given when the promise resolves. */
  onFrame(frame: RawFrame): Promise<void> | void;
  /** The stream can no longer be cut into frames. */
  onFailure(failure: StreamFailure): void;
  /** More waits for the peer than it may make wait. */
  onOverfull(): void;
  /** The peer closed its side; it may still read. Once resolved, what is queued is sent and the connection ends. */
  onPeerEnd(): Promise<void> | void;
  /** The peer reads again, after {@linkcode Connection.isCongested} has been true. */
  onDrain(): void;
  /** Over, once: nothing will be read or written any more. */
  onEnd(reason: EndReason): void;
}

/** Options of a {@link Connection}. */
export interface ConnectionOptions {
  /** A longer frame ends the stream. */
  maxFrameBytes: number;
  /** With more than this queued a connection is congested, and its requests are not read. */
  highWaterBytes: number;
  /** The process's read gate. */
  gate: ReadGate;
  /** Into how many bytes a version 1 client reads one frame, if it ends its own with NUL; 0: any. */
  clientBufferBytes?: number;
  /** How frames lie in the bytes; undefined: one behind the other, with a terminator. */
  wire?: Wire | undefined;
}

/** A client's socket; {@link run} reads until its end. */
export class Connection {
  /** The peer, as "address:port". */
  readonly remote: string;
  /** When bytes last came in: the turn of the event loop, as of performance.now(). */
  lastReadAt: number = turnTime();
  /** The same, but for bytes that may have lain in the kernel since we know not when: what they answer is not known. */
  saidAt: number = turnTime();
  /** It is read before those that are not: somebody is logged in. */
  goesFirst = false;
  readonly #socket: ByteSocket;
  readonly #gate: ReadGate;
  readonly #reader: FrameReader;
  readonly #wire: Wire | undefined;
  readonly #queue: SendQueue;
  readonly #events: ConnectionEvents;
  #isPeerGone = false;
  #isQuiet = false;
  #isHeardOut = false;
  #isAbrupt = false;
  #isEnding = false;
  #endReason: NoticeCode | undefined;
  #isCloseSaid = false;
  #isOver = false;
  #hasFrame = false;
  #isTerminatorKnown = false;
  #probedAt = 0;
  #isReading = false;
  #readBytes = 0;
  /** The kernel may hold bytes that came before they were asked for. */
  #hasBacklog = false;
  #resumeReading: (() => void) | undefined;
  /** While a frame is handled that takes its time. */
  #underWay: Promise<void> | undefined;
  #lingerTimer: ReturnType<typeof setTimeout> | undefined;

  /** Takes `socket` over. */
  constructor(socket: ByteSocket, remote: string, options: ConnectionOptions, events: ConnectionEvents) {
    this.#socket = socket;
    this.remote = remote;
    this.#gate = options.gate;
    this.#events = events;
    const wire = this.#wire = options.wire;
    this.#reader = wire ?? new Framer(options);
    this.#queue = new SendQueue({ ...options, writer: wire }, {
      write: (bytes) => socket.write(bytes),
      onEmpty: () => this.#isEnding && this.#finishWriting(),
      onDrain: () => this.#onDrain(),
      // A peer that went away is an ordinary end of a connection.
      onError: () => this.#close("reset"),
    });
    if (wire) wire.onControl = () => this.#queue.wake();
  }

  /** Bytes queued and not yet taken by the operating system. */
  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** The longest frame that the peer can read, in bytes. */
  get frameLimitBytes(): number {
    return this.#queue.frameLimitBytes;
  }

  /** More is queued than the peer takes; {@linkcode ConnectionEvents.onDrain} follows. */
  get isCongested(): boolean {
    return this.#queue.isCongested;
  }

  /** The peer closed its side, or is gone: nobody knows whether it reads. */
  get isPeerGone(): boolean {
    return this.#isPeerGone;
  }

  /** A frame is being handled. */
  get isBusy(): boolean {
    return this.#underWay !== undefined;
  }

  /** Ending or over: what is sent now goes nowhere. */
  get isEnding(): boolean {
    return this.#isEnding || this.#isOver;
  }

  /** For how long bytes have waited without the peer taking any, ms; `now` as of performance.now(). */
  stalledMs(now: number): number {
    return this.#queue.stalledMs(now);
  }

  /** Several frames may share one write: for a client that can take them apart. */
  allowGluing(): void {
    this.#queue.mayGlue = true;
  }

  /** Asks a peer of which nothing has been heard for `silentMs` for a sign of life, where a connection has a way to ask. */
  probe(now: number, silentMs: number): void {
    if (!this.#wire || this.isEnding || now - Math.max(this.lastReadAt, this.#probedAt) < silentMs) return;
    this.#probedAt = now;
    this.#wire.ping();
  }

  /** Queues a frame, whole or in parts; `written` is told when the operating system has it. */
  send(frame: string | readonly string[], written?: Written): void {
    if (this.isEnding) {
      written?.dropped?.();
      return;
    }
    if (typeof frame === "string") this.#queue.add(frame, written);
    else this.#queue.addParts(frame, written);
    // Not at once: whoever sends may be in the middle of something.
    if (this.#queue.isOverfull) atEndOfTurn(this.#onOverfull);
  }

  /** As {@link send}, for whoever has asked and waits: written before what others are sent in this turn. */
  answer(frame: string | readonly string[], written?: Written): void {
    this.send(frame, written);
    this.#queue.hurry();
  }

  readonly #onOverfull = () => {
    if (!this.isEnding) this.#events.onOverfull();
  };

  /** Says a last frame, if given, and closes when all is out, after a short while at the latest. */
  end(
    lastFrame?: string,
    { reason, dropQueued = false, isHeardOut = false, isAbrupt = false }: EndOptions = {},
  ): void {
    if (this.isEnding) return;
    this.#endReason = reason;
    this.#isHeardOut = isHeardOut;
    this.#isAbrupt = isAbrupt;
    if (dropQueued) this.#queue.drop();
    if (lastFrame !== undefined) this.#queue.add(lastFrame);
    this.#isEnding = true;
    this.#resumeReading?.();
    this.#lingerTimer = setTimeout(() => this.#close("closed"), LINGER_MS);
    if (this.#queue.isEmpty) this.#finishWriting();
  }

  /** Resolves when the frame that is handled now has been. */
  async settled(): Promise<void> {
    this.#resumeReading?.();
    await this.#underWay;
  }

  /** Frames that come from now on are dropped. Resolves when the one that is handled has been. */
  async quiesce(): Promise<void> {
    this.#isQuiet = true;
    await this.settled();
  }

  /** Closes at once. */
  abort(): void {
    this.#close("closed");
  }

  /**
   * Our side has said all. Only our direction is shut: closing the socket with unread input would reset the connection and
   * could take the last frame away from the peer.
   */
  #finishWriting(): void {
    if (this.#wire && !this.#isCloseSaid) {
      this.#isCloseSaid = true;
      // It is written as frames are, and then the queue is empty again.
      this.#wire.close(this.#endReason);
    } else if (this.#isAbrupt) this.#close("closed");
    else if (this.#isPeerGone) this.#closeAfterPeer();
    else if (!this.#isOver) this.#socket.closeWrite().catch(() => this.#close("reset"));
  }

  /**
   * A peer that closed its socket without having read everything says so with a reset. Behind the end of its side a read
   * does not show that any more; a write of nothing does.
   */
  #closeAfterPeer(): void {
    this.#socket.write(new Uint8Array(0))
      // Over TLS an end that is not said looks like a stream that was cut.
      .then(() => this.#socket.closeWrite())
      .then(() => this.#close("eof"), () => this.#close("reset"));
  }

  #close(reason: EndReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#lingerTimer);
    this.#queue.close();
    this.#resumeReading?.();
    this.#socket.close();
    this.#events.onEnd(reason);
  }

  #onDrain(): void {
    this.#resumeReading?.();
    this.#resumeReading = undefined;
    this.#events.onDrain();
  }

  /** Reads, cuts and hands on frames until the connection is over. Never rejects. */
  async run(): Promise<void> {
    let buffer = new Uint8Array(SMALL_BUFFER_BYTES);
    let smallReads = 0;
    let ahead: Promise<number | null> | undefined;
    for (;;) {
      // Waited for by itself: a promise that resolves with another is a tenth of what a message costs when hundreds talk.
      const turn = ahead ? undefined : this.#gate.enter(this.goesFirst);
      if (turn) await turn;
      const count = await (ahead ?? (this.#isOver ? null : this.#readNow(buffer)));
      if (count === null) break;
      smallReads = count < SMALL_BUFFER_BYTES ? smallReads + 1 : 0;
      let size = buffer.length;
      if (count === size) size = Math.min(LARGE_BUFFER_BYTES, size * BUFFER_GROWTH);
      else if (smallReads >= SMALL_READS_TO_SHRINK) size = SMALL_BUFFER_BYTES;

      this.#reader.push(buffer.subarray(0, count));
      ahead = undefined;
      let turnedAt = this.lastReadAt;
      let inARow = 0;
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
        // Whatever they are: others want to be heard, too.
        if (inARow >= FRAMES_IN_A_ROW) {
          await anotherTurn();
          turnedAt = turnTime();
          inARow = 0;
          if (!this.#isReading) this.#hasBacklog = true;
        }
        inARow++;
        const done = this.#handle(frame);
        if (done === undefined) continue;
        // One chunk is read ahead of a handler that takes its time, so that a peer who leaves meanwhile is noticed.
        ahead ??= this.#readAhead(buffer = new Uint8Array(size));
        this.#underWay = done;
        await done;
        this.#underWay = undefined;
        if (!this.#isReading) this.#hasBacklog = true;
        // A database in this process answers within the turn.
        if (performance.now() - turnedAt > MS_IN_A_ROW) inARow = FRAMES_IN_A_ROW;
      }
      if (!this.#isTerminatorKnown) this.#lookAtTerminator();
      if (this.#reader.failure !== undefined && !this.isEnding) this.#events.onFailure(this.#reader.failure);
      if (this.#reader.isOver) {
        this.#isPeerGone = true;
        break;
      }
      if (size !== buffer.length && ahead === undefined) buffer = new Uint8Array(size);
    }
    await this.#onPeerEnd();
  }

  #handle(frame: RawFrame): Promise<void> | void {
    if (this.#isQuiet || this.#isOver || (this.#isEnding && !this.#isHeardOut)) return;
    this.#hasFrame = true;
    if (!this.#isTerminatorKnown) this.#lookAtTerminator();
    const done = this.#events.onFrame(frame);
    return done === undefined ? this.#roomForAnswer() : done.then(this.#roomForAnswer);
  }

  /** A peer that asks and does not read its answers is not asked on; one with many messages before it still acknowledges. */
  readonly #roomForAnswer = (): Promise<void> | void => {
    if (this.#queue.isFull && !this.isEnding) return new Promise((resolve) => this.#resumeReading = resolve);
  };

  #lookAtTerminator(): void {
    const { terminator } = this.#reader;
    this.#isTerminatorKnown = terminator !== undefined;
    if (terminator !== undefined) this.#queue.setTerminator(terminator);
    else if (this.#hasFrame) this.#queue.awaitTerminator();
  }

  /** Reads when the gate lets it, while a frame is handled. Resolves with null at the end, whatever end it was. */
  #readAhead(buffer: Uint8Array): Promise<number | null> {
    const turn = this.#gate.enter(this.goesFirst);
    if (turn === undefined) return this.#readNow(buffer);
    return turn.then(() => this.#isOver ? null : this.#readNow(buffer));
  }

  /** Callbacks and not an async function: this runs for every message. */
  #readNow(buffer: Uint8Array): Promise<number | null> {
    this.#isReading = true;
    this.#readBytes = buffer.length;
    return this.#socket.read(buffer).then(this.#onRead, this.#onReadFailed);
  }

  readonly #onRead = (count: number | null) => {
    this.#isReading = false;
    if (count === null) this.#isPeerGone = true;
    else {
      this.lastReadAt = turnTime();
      if (!this.#hasBacklog) this.saidAt = this.lastReadAt;
      this.#hasBacklog = count === this.#readBytes;
    }
    return count;
  };

  /** A reset is an ordinary way for a connection to end. */
  readonly #onReadFailed = () => {
    this.#isPeerGone = true;
    this.#close("reset");
    return null;
  };

  /** The peer's side is closed. What it asked for before is still answered: `printf … | nc` lives on that. */
  async #onPeerEnd(): Promise<void> {
    if (this.#hasFrame) this.#queue.guessTerminator();
    if (!this.isEnding) await this.#events.onPeerEnd();
    if (this.#isEnding && this.#queue.isEmpty) this.#close("eof");
    else this.end();
  }
}
