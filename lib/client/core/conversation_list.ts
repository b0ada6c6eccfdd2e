/**
 * The user's conversations as a person wants to see them: the newest first, with what is unread in each.
 *
 * @module
 */

import { isJsonObject } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import { isMentioned } from "./entries.ts";
import { integerOf, listOf, textOf } from "./messages.ts";
import type { ChatMessage } from "./messages.ts";

/** One line of the list. */
export interface ConversationSummary {
  /** Which conversation. */
  conversation: ConversationId;
  /** Its newest entry. */
  lastSeq: number;
  /** The user has read everything up to here. */
  read: number;
  /** How many messages are behind that; the server counts to 100, which means 100 or more. */
  unread: number;
  /** How many of those name the user. */
  mentions: number;
  /** When something happened last, ms since the epoch. */
  at: number;
  /** Nobody is to be told of what is said here until then, ms since the epoch. */
  mutedUntil: number | undefined;
  /** The newest message. */
  last: { seq: number; id: number; name: string; text: string } | undefined;
  /** The other one of a one-to-one conversation. */
  peer: { id: number; name: string; state: string } | undefined;
}

/** Reads an entry of `conversations` in version 3. */
export function readSummary(entry: JsonObject): ConversationSummary {
  const { last, peer } = entry;
  return {
    conversation: textOf(entry.conversation),
    lastSeq: integerOf(entry.last_seq) ?? 0,
    read: integerOf(entry.read) ?? 0,
    unread: integerOf(entry.unread) ?? 0,
    mentions: integerOf(entry.mentions) ?? 0,
    at: integerOf(entry.at) ?? 0,
    mutedUntil: integerOf(entry.muted_until, 1),
    last: isJsonObject(last)
      ? {
        seq: integerOf(last.seq) ?? 0,
        id: integerOf(last.id) ?? 0,
        name: textOf(last.name),
        text: textOf(last.msg),
      }
      : undefined,
    peer: isJsonObject(peer) && integerOf(peer.id, 1) !== undefined
      ? { id: integerOf(peer.id, 1) ?? 0, name: textOf(peer.name), state: textOf(peer.state) }
      : undefined,
  };
}

/** Where the page of conversations behind a login reply, or behind another page, begins: `before` of the request for it. Undefined: there is none. */
export function nextBefore({ conversations, more }: JsonObject): number | undefined {
  const last = listOf(conversations).findLast(isJsonObject);
  return more === true && last !== undefined ? integerOf(last.at) : undefined;
}

/** Holds what the server has told, and goes on from there. */
export class ConversationList {
  readonly #me: number;
  readonly #summaries = new Map<ConversationId, ConversationSummary>();

  /** `me` is the user's id. */
  constructor(me: number) {
    this.#me = me;
  }

  /** All of them, the newest activity first. */
  all(): ConversationSummary[] {
    return [...this.#summaries.values()].sort((one, other) => other.at - one.at);
  }

  /** One of them, or undefined. */
  get(conversation: ConversationId): ConversationSummary | undefined {
    return this.#summaries.get(conversation);
  }

  /** What the server says counts. */
  set(summaries: readonly ConversationSummary[]): void {
    for (const summary of summaries) this.#summaries.set(summary.conversation, summary);
  }

  /** The user is not in it any more. */
  remove(conversation: ConversationId): void {
    this.#summaries.delete(conversation);
  }

  /** Something was said, by whomever. What the server has counted already is not counted again. */
  add(message: ChatMessage): void {
    const { conversation, seq, sender, name, text, at } = message;
    const before = this.#find(conversation);
    if (seq !== null && seq <= before.lastSeq) return;
    const isNews = sender !== this.#me && (seq === null || seq > before.read);
    this.#summaries.set(conversation, {
      ...before,
      lastSeq: seq ?? before.lastSeq,
      at: Math.max(before.at, at),
      last: { seq: seq ?? 0, id: sender, name, text: text ?? "" },
      unread: before.unread + (isNews ? 1 : 0),
      mentions: before.mentions + (isNews && isMentioned(message, this.#me) ? 1 : 0),
    });
  }

  /** Something else happened. */
  touch(conversation: ConversationId, seq: number, at: number): void {
    const before = this.#find(conversation);
    if (seq <= before.lastSeq) return;
    this.#summaries.set(conversation, { ...before, lastSeq: seq, at: Math.max(before.at, at) });
  }

  /** The newest message may be another one now, or its text. */
  changed({ conversation, seq, sender, name, text }: ChatMessage): void {
    const before = this.#summaries.get(conversation);
    if (before?.last === undefined || before.last.seq !== seq) return;
    this.#summaries.set(conversation, { ...before, last: { seq, id: sender, name, text: text ?? "" } });
  }

  /** Read up to there, here or on another device; `left` is what is unread behind it, as far as that is known. */
  read(conversation: ConversationId, read: number, left: { unread: number; mentions: number }): void {
    const before = this.#find(conversation);
    if (read <= before.read) return;
    this.#summaries.set(conversation, {
      ...before,
      read,
      unread: read >= before.lastSeq ? 0 : Math.min(before.unread, left.unread),
      mentions: read >= before.lastSeq ? 0 : Math.min(before.mentions, left.mentions),
    });
  }

  /** Muted until then, ms since the epoch; undefined: not any more. */
  mute(conversation: ConversationId, until: number | undefined): void {
    this.#summaries.set(conversation, { ...this.#find(conversation), mutedUntil: until });
  }

  #find(conversation: ConversationId): ConversationSummary {
    return this.#summaries.get(conversation) ??
      {
        conversation,
        lastSeq: 0,
        read: 0,
        unread: 0,
        mentions: 0,
        at: 0,
        mutedUntil: undefined,
        last: undefined,
        peer: undefined,
      };
  }
}
