/**
 * What travels over the bus: a few header bytes and the ready frame, so that the receiving node parses no JSON.
 *
 * Layout, numbers big-endian: kind u8, origin u32, sender u32, seq f64, length of conversation u8, conversation, frame.
 *
 * @module
 */

/** What an envelope is. */
export const ENVELOPE = {
  /** A message of the log; without a frame: look into the log up to `seq`. */
  message: 1,
  /** A message that is in no log: whoever has the receiver delivers or stores it. */
  unlogged: 2,
  /** A frame for the version 2 connections among the receivers, but for the sender's. */
  event: 3,
  /** Read the log for everyone who is online: something may have been missed. */
  sweep: 4,
  /** `sender` has been claimed by the node whose channel stands in `conversation`: end the older session here. */
  evict: 5,
  /** The answer: `sender` has no older session here any more. */
  evicted: 6,
  /** How far members have come, as JSON `[[user id, delivered, read], …]`. */
  receipts: 7,
  /** A heartbeat of the user whose channel this is came to another node as a datagram. */
  beat: 8,
} as const;

/** A value of {@link ENVELOPE}. */
export type EnvelopeKind = typeof ENVELOPE[keyof typeof ENVELOPE];

/** One payload, taken apart. */
export interface Envelope {
  /** What it is. */
  kind: EnvelopeKind;
  /** Random number of the node's process: a node skips its own. */
  origin: number;
  /** User id; 0 where none is meant. */
  sender: number;
  /** Place in the conversation, or a generation; 0 where none is meant. */
  seq: number;
  /** ASCII, at most 255 characters. */
  conversation: string;
  /** The frame without terminator; may be empty. */
  frame: Uint8Array;
}

const HEADER_BYTES = 18;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NO_FRAME = new Uint8Array(0);

/** Puts an envelope into bytes. */
export function encodeEnvelope(
  { kind, origin, sender = 0, seq = 0, conversation = "", frame = NO_FRAME }:
    & Pick<Envelope, "kind" | "origin">
    & Partial<Envelope>,
): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + conversation.length + frame.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, origin);
  view.setUint32(5, sender);
  view.setFloat64(9, seq);
  view.setUint8(17, conversation.length);
  encoder.encodeInto(conversation, bytes.subarray(HEADER_BYTES));
  bytes.set(frame, HEADER_BYTES + conversation.length);
  return bytes;
}

/** Takes bytes apart; undefined when they are no envelope. `frame` is a view of `bytes`. */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = view.getUint8(0);
  const frameStart = HEADER_BYTES + view.getUint8(17);
  if (!isKind(kind) || bytes.length < frameStart) return undefined;
  return {
    kind,
    origin: view.getUint32(1),
    sender: view.getUint32(5),
    seq: view.getFloat64(9),
    conversation: decoder.decode(bytes.subarray(HEADER_BYTES, frameStart)),
    frame: bytes.subarray(frameStart),
  };
}

function isKind(kind: number): kind is EnvelopeKind {
  return kind >= ENVELOPE.message && kind <= ENVELOPE.beat;
}
