/**
 * What one turn of the event loop has for users of another node, published as one text: one seal, one command and one event
 * where a message each had its own. Measured with two nodes that store nothing, 50 pairs: 1.2 times the messages a second;
 * with 16 messages under way 2.4 times.
 *
 * Redis only knows who listens to a user's channel. Where a user is, and nowhere else, its node says to those it hears from;
 * that may be out of date as soon as it is said. So the node that a parcel comes to answers for what is in it, and what
 * nobody has heard goes to the user's channel after all.
 *
 * A parcel is a text of receiver, length in UTF-16 units and envelope, with a space between, one behind the other.
 *
 * @module
 */
import { atEndOfTurn } from "../base/turn.ts";
import { encodeEnvelope, type Sendable } from "./envelope.ts";
import { forgetOldest } from "../base/forget_oldest.ts";

/** Publishes a parcel for the node of this origin (see seal.ts). Resolves with how many have heard it. */
export type PublishParcel = (origin: number, parcel: string) => Promise<number>;

/** A parcel of this length is not added to. */
const PARCEL_CHARS = 2 ** 16;
/** Of so many users it is remembered where they are; it is said again of those who are written to again. */
const MAX_ROUTES = 100_000;

const PART = /(\d{1,10}) (\d{1,8}) /y;

interface Parcel {
  text: string;
  heard: Promise<boolean>;
  resolve: (isHeard: boolean) => void;
}

/** Where users are, and what is on its way there. */
export class Parcels {
  readonly #publish: PublishParcel;
  /** Origins, by user. */
  readonly #routes = new Map<number, number>();
  /** By origin. */
  readonly #due = new Map<number, Parcel>();

  /** See {@link PublishParcel}. */
  constructor(publish: PublishParcel) {
    this.#publish = publish;
  }

  /** The node of this origin says that it has the user, and is the only one. */
  learn(userId: number, origin: number): void {
    this.#routes.set(userId, origin);
    if (this.#routes.size > MAX_ROUTES) forgetOldest(this.#routes);
  }

  /** The user is not where it was believed to be, or not only there. */
  forget(userId: number): void {
    const origin = this.#routes.get(userId);
    if (origin === undefined) return;
    // What comes next takes another way, and must not be there first.
    this.#post(origin);
    this.#routes.delete(userId);
  }

  /** There is no such node any more. */
  #forgetNode(origin: number): void {
    this.#post(origin);
    for (const [userId, there] of this.#routes) if (there === origin) this.#routes.delete(userId);
  }

  /** Nothing is known of any user: a node may have died. */
  forgetAll(): void {
    for (const origin of [...this.#due.keys()]) this.#post(origin);
    this.#routes.clear();
  }

  /**
   * Sends an envelope, in the order of the calls, to the node that is believed to have the user. Resolves with whether a node
   * has heard it; undefined where no node is known.
   */
  send(userId: number, envelope: Sendable): Promise<boolean> | undefined {
    const origin = this.#routes.get(userId);
    if (origin === undefined) return undefined;
    let parcel = this.#due.get(origin);
    if (!parcel) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      parcel = { text: "", heard: promise, resolve };
      this.#due.set(origin, parcel);
      atEndOfTurn(() => this.#post(origin));
    }
    const text = encodeEnvelope(envelope);
    parcel.text += `${userId} ${text.length} ${text}`;
    if (parcel.text.length >= PARCEL_CHARS) this.#post(origin);
    return parcel.heard;
  }

  #post(origin: number): void {
    const parcel = this.#due.get(origin);
    if (!parcel) return;
    this.#due.delete(origin);
    this.#publish(origin, parcel.text).then((nodes) => {
      parcel.resolve(nodes > 0);
      if (nodes === 0) this.#forgetNode(origin);
    }, () => parcel.resolve(false));
  }
}

/** What is in a parcel: receiver and envelope. Ends where it is not what a node has put together. */
export function* openParcel(parcel: string): Generator<[userId: number, envelope: string]> {
  for (let start = 0; start < parcel.length;) {
    PART.lastIndex = start;
    const match = PART.exec(parcel);
    if (!match) return;
    const begin = PART.lastIndex;
    start = begin + Number(match[2]);
    if (start > parcel.length) return;
    yield [Number(match[1]), parcel.slice(begin, start)];
  }
}
