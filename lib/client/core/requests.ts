/**
 * Requests and their replies, matched by cid.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { ERRNO } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import { createCid } from "./cid.ts";
import { integerOf, textOf } from "./messages.ts";

/** A reply, or what stands for one when none came. */
export interface Reply {
  /** One of ERRNO, or {@link NO_ANSWER}. */
  errno: number;
  /** Why not, for people; empty on success. */
  text: string;
  /** All that the server said; empty when it said nothing. */
  frame: JsonObject;
}

/** `errno` of a reply that did not come. */
export const NO_ANSWER: number = -1;

const ANSWER_TIMEOUT_MS = 20_000;

/** For replies without a text of the server's. */
const ERRNO_TEXTS: Readonly<Record<number, string>> = {
  [ERRNO.REFUSED]: "refused",
  [ERRNO.ALREADY_ONLINE]: "this user is online already",
  [ERRNO.NOT_LOGGED_IN]: "not logged in",
  [ERRNO.MALFORMED]: "the server does not accept the request",
  [ERRNO.UNKNOWN_MSGID]: "the server does not know this request",
  [ERRNO.NOT_FOUND]: "no such user, group or message",
  [ERRNO.NOT_ALLOWED]: "not allowed",
  [ERRNO.TOO_MANY_REQUESTS]: "too many requests, try again later",
  [ERRNO.TOO_LARGE]: "too large",
  [ERRNO.UNAVAILABLE]: "the server cannot do that at the moment, try again later",
  [ERRNO.TOKEN_UNKNOWN]: "the session has expired",
};

/** Reads a reply frame. A reply of the original server has an errno, but not always a text. */
export function readReply(frame: JsonObject): Reply {
  const errno = integerOf(frame.errno) ?? ERRNO.OK;
  const text = errno === ERRNO.OK ? "" : textOf(frame.errmsg) || ERRNO_TEXTS[errno] || `error ${errno}`;
  return { errno, text, frame };
}

/** A reply that says that there was none. */
export function noReply(text: string): Reply {
  return { errno: NO_ANSWER, text, frame: {} };
}

/** True for a refusal, or the want of an answer, that passes. */
export function isTemporary({ errno }: Reply): boolean {
  return errno === NO_ANSWER || errno === ERRNO.NOT_LOGGED_IN || errno === ERRNO.TOO_MANY_REQUESTS ||
    errno === ERRNO.UNAVAILABLE;
}

interface Pending {
  frame: JsonObject;
  isRepeatable: boolean;
  resolve(reply: Reply): void;
}

/** The requests that have not been answered. */
export class Requests {
  readonly #clock: Clock;
  readonly #wallNow: () => number;
  readonly #send: (frame: JsonObject) => boolean;
  readonly #pending = new Map<string, Pending>();

  /** `wallNow` is the date, ms since the epoch; `send` is false when there is no connection. */
  constructor(options: { clock: Clock; wallNow: () => number; send: (frame: JsonObject) => boolean }) {
    this.#clock = options.clock;
    this.#wallNow = options.wallNow;
    this.#send = options.send;
  }

  /** How many are not answered. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request with a new cid. Always resolves. A repeatable one waits for a lost connection to come back and is
   * then sent again with the same cid; another ends without an answer.
   */
  ask(request: JsonObject, options: { isRepeatable: boolean }): Promise<Reply> {
    const cid = createCid(this.#wallNow());
    const frame = { ...request, cid };
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const timer = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
      this.#end(cid, noReply(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
    });
    this.#pending.set(cid, {
      frame,
      isRepeatable: options.isRepeatable,
      resolve: (reply) => {
        timer.cancel();
        resolve(reply);
      },
    });
    if (!this.#send(frame) && !options.isRepeatable) this.#end(cid, noReply("not connected"));
    return promise;
  }

  /** Takes a reply; false when it answers none of ours. */
  answer(frame: JsonObject): boolean {
    return this.#end(textOf(frame.cid), readReply(frame));
  }

  /** The connection is gone. */
  lost(): void {
    for (const [cid, { isRepeatable }] of this.#pending) {
      if (!isRepeatable) this.#end(cid, noReply("the connection was lost"));
    }
  }

  /** Logged in again: sends what still waits. */
  resend(): void {
    for (const { frame } of this.#pending.values()) this.#send(frame);
  }

  /** Ends all of them without an answer. */
  abandon(text: string): void {
    for (const cid of this.#pending.keys()) this.#end(cid, noReply(text));
  }

  #end(cid: string, reply: Reply): boolean {
    const pending = this.#pending.get(cid);
    if (pending === undefined) return false;
    this.#pending.delete(cid);
    pending.resolve(reply);
    return true;
  }
}
