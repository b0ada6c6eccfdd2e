/**
 * What the session needs of the client's own memory: messages, positions and what is still to be sent, of one user at one
 * server. Where it lies is the client's: a file, or what a browser has.
 *
 * @module
 */

import type { ConversationId } from "../../protocol/protocol.ts";
import type { ChatMessage } from "./messages.ts";

/** How far a conversation is known here. */
export interface ConversationState {
  /** Which one. */
  id: ConversationId;
  /** Nothing at or below this seq was fetched as a matter of course; `history` may lower it. */
  base: number;
  /** Everything above `base` up to here is stored, or does not exist. */
  top: number;
  /** Everything up to here has been shown to a person, here or on another device; may be ahead of `top`. */
  shown: number;
}

/** What a message says besides its text, in version 3. */
export interface MessageFields {
  /** The seq it answers. */
  reply?: number;
  /** The users it names, or all of the group. */
  mentions?: number[] | "all";
}

/** A message that the server has not acknowledged. */
export interface OutboxEntry {
  /** The id it is sent with, every time. */
  cid: string;
  /** Where it goes. */
  conversation: ConversationId;
  /** What it says. */
  text: string;
  /** When it was written, ms since the epoch. */
  at: number;
  /** What else it says. */
  fields?: MessageFields;
}

/** How far another member has got. */
export interface PeerPosition {
  /** Has received everything up to this seq. */
  delivered: number;
  /** Has read everything up to this seq. */
  read: number;
}

/**
 * All calls answer at once. A change outside {@link transaction} is durable when the call returns, or else before anything
 * that was handed to {@link afterCommit} behind it happens: a store that can only write later keeps what it reads from in
 * memory.
 */
export interface ClientStore extends Disposable {
  /** Runs `work` so that all of it is stored or nothing; inside another transaction it is part of that one. */
  transaction<Result>(work: () => Result): Result;
  /** Runs `action` when what was stored so far is durable: now, or after the transaction that is running. */
  afterCommit(action: () => void): void;
  /** Every conversation that is known. */
  conversations(): ConversationState[];
  /** Stores how far a conversation is known. */
  saveConversation(state: ConversationState): void;
  /**
   * Puts aside what is stored of a conversation whose seqs turn out to be another database's (the server was set up
   * anew): it cannot be mistaken for the new one.
   */
  archiveConversation(id: ConversationId, at: number): void;
  /** Stores a message; false when this (conversation, seq) is stored already. */
  insert(message: ChatMessage): boolean;
  /** Stores a message with a seq in place of what is there of it; one that is not there stays away. */
  replace(message: ChatMessage): void;
  /** Forgets what is stored above a seq. */
  forgetAbove(conversation: ConversationId, seq: number): void;
  /** One message, or undefined. */
  find(conversation: ConversationId, seq: number): ChatMessage | undefined;
  /** The seqs stored above one, ascending. */
  seqsAbove(conversation: ConversationId, seq: number): number[];
  /** The messages with `after < seq <= upTo`, ascending. */
  range(conversation: ConversationId, after: number, upTo: number): ChatMessage[];
  /** The last `count` messages, in order, those without a seq among them, and what happened in between; not actions. */
  latest(conversation: ConversationId, count: number): ChatMessage[];
  /**
   * The seq of the last message that `sender` sent between the two positions (`after < seq <= upTo`, all of them when left
   * out) and did not recall; 0 when there is none.
   */
  lastSeqOf(conversation: ConversationId, sender: number, after?: number, upTo?: number): number;
  /** Forgets the text of a recalled message. */
  recall(conversation: ConversationId, seq: number): void;
  /** What is to be sent, oldest first. */
  outbox(): OutboxEntry[];
  /** Remembers a message until {@link removeFromOutbox}. */
  addToOutbox(entry: OutboxEntry): void;
  /** The server has it, or will never take it. */
  removeFromOutbox(cid: string): void;
  /** How far a member is known to be; nothing at first. */
  peer(conversation: ConversationId, id: number): PeerPosition;
  /** How many members have received, or read, a message. */
  countPeers(conversation: ConversationId, kind: "delivered" | "read", seq: number): number;
  /** The members that have received a message. */
  peersAt(conversation: ConversationId, seq: number): ({ id: number } & PeerPosition)[];
  /** Stores how far a member is, who joined after `since` (0 when left out) and never gets anything up to it. */
  savePeer(conversation: ConversationId, id: number, position: PeerPosition, since?: number): void;
}
