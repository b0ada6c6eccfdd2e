/**
 * What travels over the bus: a short header and the ready frame, so that the receiving node parses no JSON.
 *
 * Text, since frames are text on both sides of the bus: kind, sender, seq, conversation and frame, a space after each but
 * the last. Where it comes from is for seal.ts to say.
 *
 * @module
 */

/** What an envelope is. */
export const ENVELOPE = {
  /** A message of the log; without a frame: look into the log up to `seq`. */
  message: 1,
  /** A message that is in no log: whoever has the receiver delivers it, or stores it under the cid in `conversation`. */
  unlogged: 2,
  /** A frame for the connections from version 2 on among the receivers, but for the sender's. */
  event: 3,
  /** Read the log for everyone who is online: something may have been missed. */
  sweep: 4,
  /**
   * `sender` has been claimed by the node whose channel stands in `conversation`: end the older session here, that of the
   * device in the frame if there is one.
   */
  evict: 5,
  /** The answer: `sender` has no older session here any more. */
  evicted: 6,
  /** How far members have come, as JSON `[[user id, delivered, read, since], …]`. */
  receipts: 7,
  /** A heartbeat of the user whose channel this is came to another node as a datagram; its key is the frame. */
  beat: 8,
  /** The user whose channel this is wants in at the node whose channel stands in `conversation`, if the session here is silent. */
  giveWay: 9,
  /** The answer: `sender` keeps its session. The other answer is `evicted`. */
  kept: 10,
  /**
   * The user whose channel this is has come online at the node that stands in `conversation`, and may have been so here.
   * `seq` 1: it was there, but its node has been cut off.
   */
  came: 11,
  /** The answer: the user is online here, too. */
  here: 12,
  /** The groups of the user whose channel this is have changed. */
  regrouped: 13,
  /** The device `seq` of the user whose channel this is is not one of its devices any more. */
  revoked: 14,
  /** `sender` is called something else, or says something else of itself: JSON `{name, status, groups}`; for all nodes. */
  profile: 15,
  /** The frame is for all connections of version 3 of the user whose channel this is. */
  own: 16,
  /** `sender` is typing in a conversation; on the channel of the other one of two, or of the group. */
  typing: 17,
  /** Users who have come or gone, as JSON `[[user id, 1 when online, since when], …]`; for all nodes. */
  presence: 18,
  /** A node whose public key is in `conversation` is there: see recent_passwords.ts; for all nodes. */
  peer: 19,
  /**
   * That node says that `sender` has shown the right password `seq` ms ago: JSON of digests by the public keys of those they
   * are for; for all nodes.
   */
  verified: 20,
  /** `sender` is online at the node this comes from, and nowhere else: it may be sent parcels for it. */
  home: 21,
  /** `sender` is not, or not only, on the node that it was believed to be on; for one node or for all. */
  moved: 22,
  /** Envelopes for users of the node whose channel this is: see parcels.ts. */
  parcel: 23,
} as const;

/** A value of {@link ENVELOPE}. */
export type EnvelopeKind = typeof ENVELOPE[keyof typeof ENVELOPE];

/** One payload, taken apart. */
export interface Envelope {
  /** What it is. */
  kind: EnvelopeKind;
  /** User id; 0 where none is meant. */
  sender: number;
  /** Place in the conversation, or a generation; 0 where none is meant. */
  seq: number;
  /** Or a node's name: without spaces, at most 255 characters. */
  conversation: string;
  /** The frame without terminator; may be empty. */
  frame: string;
}

/** What may be put into one: what is left out is 0 or empty. */
export type Sendable = Pick<Envelope, "kind"> & Partial<Envelope>;

/** conversation may be empty, and the frame is whatever follows. */
const ENVELOPE_TEXT = /^(\d{1,2}) (\d{1,10}) (\d{1,16}) (\S{0,255}) /;

/** Puts an envelope into text. */
export function encodeEnvelope(
  { kind, sender = 0, seq = 0, conversation = "", frame = "" }: Sendable,
): string {
  return `${kind} ${sender} ${seq} ${conversation} ${frame}`;
}

/** Takes a text apart; undefined when it is no envelope. */
export function decodeEnvelope(text: string): Envelope | undefined {
  const match = ENVELOPE_TEXT.exec(text);
  if (!match) return undefined;
  const kind = Number(match[1]);
  if (!isKind(kind)) return undefined;
  return {
    kind,
    sender: Number(match[2]),
    seq: Number(match[3]),
    conversation: match[4] ?? "",
    frame: text.slice(match[0].length),
  };
}

function isKind(kind: number): kind is EnvelopeKind {
  return kind >= ENVELOPE.message && kind <= ENVELOPE.parcel;
}
