/**
 * Messages on their way to the server. Each stays, with the same cid, until the server has said that it is stored or
 * that it never will be: over lost connections and over restarts of the client.
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";
import { ERRNO, MSGID, otherOf, parseConversation } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject, ProtocolVersion } from "../../protocol/protocol.ts";
import type { BackOff } from "./back_off.ts";
import { createCid } from "./cid.ts";
import type { ClientStore, MessageFields, OutboxEntry } from "./store.ts";
import { integerOf, textOf } from "./messages.ts";
import { formatTime } from "./time_text.ts";

/** What the outbox needs of its surroundings. */
export interface OutboxPeer {
  /** The date, ms since the epoch. */
  wallNow(): number;
  /** Writes a frame to the connection. */
  send(frame: JsonObject): void;
  /** The server has stored the message; no seq and time of the server's when it keeps no log of it. */
  stored(entry: OutboxEntry, place: { seq: number | null; at: number }): void;
  /** The server will not take it. */
  refused(entry: OutboxEntry, reply: JsonObject): void;
}

/** Messages sent ahead of their acknowledgements. Order is kept but where the server refuses one for the moment. */
const WINDOW = 32;

/** The original's chat frame. */
function chatFrame(
  { conversation, text, at, fields }: OutboxEntry,
  me: { id: number; name: string },
): JsonObject {
  const parsed = parseConversation(conversation);
  const common = { ...fields, id: me.id, name: me.name, msg: text, time: formatTime(at) };
  if (parsed === undefined) throw new Error(`Cannot send to "${conversation}": not a conversation`);
  if ("groupId" in parsed) return { msgid: MSGID.GROUP_CHAT_MSG, groupid: parsed.groupId, ...common };
  return { msgid: MSGID.ONE_CHAT_MSG, toid: otherOf(conversation, me.id), ...common };
}

/** One outbox a user. */
export class Outbox {
  readonly #store: ClientStore;
  readonly #clock: Clock;
  readonly #backOff: BackOff;
  readonly #me: { id: number; name: string };
  readonly #peer: OutboxPeer;
  #waiting: OutboxEntry[] = [];
  readonly #inFlight = new Map<string, OutboxEntry>();
  /** undefined while there is no connection. */
  #version: ProtocolVersion | undefined;
  #pauseTimer: Timer | undefined;

  /** Takes up what an earlier run left in the store. */
  constructor(options: {
    store: ClientStore;
    clock: Clock;
    backOff: BackOff;
    me: { id: number; name: string };
    peer: OutboxPeer;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#backOff = options.backOff;
    this.#me = options.me;
    this.#peer = options.peer;
    this.#takeBack();
  }

  /** How many messages are not acknowledged. */
  get size(): number {
    return this.#waiting.length + this.#inFlight.size;
  }

  /** True when a message to this conversation is not acknowledged. */
  hasFor(conversation: ConversationId): boolean {
    const isTo = (entry: OutboxEntry) => entry.conversation === conversation;
    return this.#waiting.some(isTo) || [...this.#inFlight.values()].some(isTo);
  }

  /** Writes a message into the outbox and sends it as soon as that is possible; returns its cid. */
  add(conversation: ConversationId, text: string, fields?: MessageFields): string {
    const at = this.#peer.wallNow();
    const entry = { cid: createCid(at), conversation, text, at, ...(fields === undefined ? {} : { fields }) };
    this.#store.addToOutbox(entry);
    this.#waiting.push(entry);
    this.#sendNext();
    return entry.cid;
  }

  /** Logged in: sends everything that is here, oldest first. In version 1 sending is all there is. */
  start(version: ProtocolVersion): void {
    this.stop();
    this.#version = version;
    this.#sendNext();
  }

  /** The connection is gone: what was in flight is sent again at the next {@link start}. */
  stop(): void {
    this.#version = undefined;
    this.#endPause();
    this.#takeBack();
  }

  /** Takes the reply to one of ours; false when it is to something else. */
  answer(reply: JsonObject): boolean {
    const entry = this.#inFlight.get(textOf(reply.cid));
    if (entry === undefined) return false;
    const errno = integerOf(reply.errno) ?? ERRNO.OK;
    const retryAfterMs = integerOf(reply.retry_after_ms);
    // Without a time it is the receiver for whom too much waits: the others' messages must not wait behind that one.
    const isTooSoon = errno === ERRNO.TOO_MANY_REQUESTS && retryAfterMs !== undefined;
    if (errno === ERRNO.UNAVAILABLE || isTooSoon || errno === ERRNO.NOT_LOGGED_IN) {
      this.#pause(retryAfterMs);
      return true;
    }
    this.#inFlight.delete(entry.cid);
    if (errno === ERRNO.OK) {
      this.#backOff.reset();
      this.#settle(entry, { seq: integerOf(reply.seq, 1) ?? null, at: integerOf(reply.at) ?? entry.at });
    } else {
      this.#store.removeFromOutbox(entry.cid);
      this.#peer.refused(entry, reply);
    }
    this.#sendNext();
    return true;
  }

  /** A message of the user's own has come with this cid. If it is one of these, it is stored; true then. */
  found(cid: string, place: { seq: number | null; at: number }): boolean {
    const entry = this.#inFlight.get(cid) ?? this.#waiting.find((waiting) => waiting.cid === cid);
    if (entry === undefined) return false;
    this.#inFlight.delete(cid);
    this.#waiting = this.#waiting.filter((waiting) => waiting.cid !== cid);
    this.#settle(entry, place);
    this.#sendNext();
    return true;
  }

  /**
   * The server could not read a frame and cannot say which. The only way a frame of ours comes to that is its length:
   * the longest in flight is given up, so that it is not sent again and again.
   */
  refuseLongest(reply: JsonObject): void {
    let longest: OutboxEntry | undefined;
    for (const entry of this.#inFlight.values()) {
      if (longest === undefined || entry.text.length > longest.text.length) longest = entry;
    }
    if (longest === undefined) return;
    this.#inFlight.delete(longest.cid);
    this.#store.removeFromOutbox(longest.cid);
    this.#peer.refused(longest, reply);
  }

  #sendNext(): void {
    while (this.#version !== undefined && this.#pauseTimer === undefined && this.#inFlight.size < WINDOW) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      const frame = chatFrame(entry, this.#me);
      if (this.#version === 1) {
        this.#peer.send(frame);
        this.#settle(entry, { seq: null, at: entry.at });
      } else {
        this.#inFlight.set(entry.cid, entry);
        this.#peer.send({ ...frame, cid: entry.cid });
      }
    }
  }

  #settle(entry: OutboxEntry, place: { seq: number | null; at: number }): void {
    this.#store.transaction(() => {
      this.#store.removeFromOutbox(entry.cid);
      this.#peer.stored(entry, place);
    });
  }

  /** The rest of what is in flight may be refused as well: all of it goes again, in order, after the pause. */
  #pause(delayMs: number | undefined): void {
    if (this.#pauseTimer !== undefined) return;
    this.#pauseTimer = this.#clock.after(delayMs ?? this.#backOff.next(), () => {
      this.#endPause();
      this.#takeBack();
      this.#sendNext();
    });
  }

  #endPause(): void {
    this.#pauseTimer?.cancel();
    this.#pauseTimer = undefined;
  }

  #takeBack(): void {
    this.#inFlight.clear();
    this.#waiting = this.#store.outbox();
  }
}
