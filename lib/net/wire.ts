/**
 * How frames lie in a client's bytes, as connections and send queues see it: one behind the other with something between
 * (TCP, where the framer is the reader and nothing needs a writer), or each in a message of a WebSocket.
 *
 * @module
 */
import type { FramerFailure, RawFrame, Terminator } from "../protocol/framer.ts";
import type { NoticeCode } from "../protocol/protocol.ts";

/**
 * Why nothing more can be read of a client: of a WebSocket also because it breaks the rules, sends binary messages, or text
 * that is not UTF-8.
 */
export type StreamFailure = FramerFailure | "protocol" | "binary" | "not_utf8";

/** Bytes in, frames out. */
export interface FrameReader {
  /** Takes the next bytes, which it may change; they are read in place: call {@link next} until it gives undefined. */
  push(bytes: Uint8Array): void;
  /** The next whole frame, or undefined when more bytes are needed. */
  next(): RawFrame | undefined;
  /** How the peer ends its frames; undefined as long as that is not known. */
  readonly terminator: Terminator | undefined;
  /** Set once nothing more can be read. */
  readonly failure: StreamFailure | undefined;
  /** The peer has said that nothing follows. */
  readonly isOver: boolean;
}

/** A frame to be written, or a part of one. */
export interface FramePart {
  /** Its text. */
  readonly frame: string;
  /** The frame goes on with the next one. */
  readonly goesOn: boolean;
}

/** Frames in, bytes out. */
export interface FrameWriter {
  /** Something waits to be written that is no frame. */
  readonly hasControl: boolean;
  /** The bytes of what waits and of `parts`, which go out next; in `spare` where they fit. */
  encode(parts: readonly FramePart[], spare: Uint8Array): Uint8Array;
}

/** Both directions, where a frame is more than a text in a stream. */
export interface Wire extends FrameReader, FrameWriter {
  /** Called when something waits to be written that is no frame. */
  onControl: () => void;
  /** Asks the peer for a sign of life. */
  ping(): void;
  /** Says that nothing follows, and why; undefined: the peer has gone first, or has broken the rules. */
  close(reason: NoticeCode | undefined): void;
}
