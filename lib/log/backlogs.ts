/**
 * Bounds what waits from one user for another: nobody's messages are to be buried under what one sender has left for
 * somebody who is away.
 *
 * Counting what waits at each message would ask the database at each. A conversation that is shorter than the bound needs
 * no counting; in a longer one what was found last and what has been sent since are added up, and only when that reaches
 * the bound the database is asked again. The answer is not waited for: some messages more or less are no matter.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Messages } from "../store/messages.ts";

/** Too much is not counted again sooner, ms. */
const RECHECK_MS = 1_000;
/** Directions of conversations remembered: the oldest are forgotten, and looked at again. */
const KNOWN_MAX = 10_000;

/** Options of {@link Backlogs}. */
export interface BacklogOptions {
  /** Messages that may wait from one sender for one receiver; 0: any number. */
  maxMessages: number;
  /** Bytes that may wait; 0: any number. */
  maxBytes: number;
  /** No message is longer. */
  maxFrameBytes: number;
  /** The log. */
  messages: Pick<Messages, "undelivered" | "textBytes">;
  /** Monotonic clock, ms. */
  now: () => number;
}

/** What waits in one direction of a conversation, as far as it is known. */
interface Backlog {
  /** Found and sent since. */
  messages: number;
  /** Of their texts, about. */
  bytes: number;
  /** It was too much when it was counted. */
  isFull: boolean;
  checkedAt: number;
  isChecking: boolean;
}

/** Knows how much waits. One per node. */
export class Backlogs {
  readonly #options: BacklogOptions;
  #maxMessages = Infinity;
  #maxBytes = Infinity;
  /** A conversation that is not longer cannot hold too much. */
  #harmlessSeq = Infinity;
  /** For receivers with the lower id of the two, and with the higher. */
  readonly #known = { low: new Map<ConversationId, Backlog>(), high: new Map<ConversationId, Backlog>() };

  /** See {@link BacklogOptions}. */
  constructor(options: BacklogOptions) {
    this.#options = options;
    this.limit(options);
  }

  /** These bounds count from now on. */
  limit({ maxMessages, maxBytes }: Pick<BacklogOptions, "maxMessages" | "maxBytes">): void {
    this.#maxMessages = maxMessages || Infinity;
    this.#maxBytes = maxBytes || Infinity;
    this.#harmlessSeq = Math.min(this.#maxMessages, Math.floor(this.#maxBytes / this.#options.maxFrameBytes));
  }

  /**
   * Whether another message may wait in a conversation that ends at `newest`; it is then counted. `bytes`: of its text,
   * about.
   */
  take(
    conversation: ConversationId,
    sender: number,
    receiver: number,
    newest: number,
    bytes: number,
  ): boolean {
    if (newest < this.#harmlessSeq) return true;
    const known = receiver < sender ? this.#known.low : this.#known.high;
    const backlog = known.get(conversation) ?? remember(known, conversation);
    const isDoubtful = backlog.isFull || backlog.checkedAt === -Infinity || this.#isTooMuch(backlog);
    if (isDoubtful) this.#check(conversation, receiver, backlog);
    if (backlog.isFull) return false;
    backlog.messages++;
    backlog.bytes += bytes;
    return true;
  }

  #isTooMuch({ messages, bytes }: { messages: number; bytes: number }): boolean {
    return messages >= this.#maxMessages || bytes >= this.#maxBytes;
  }

  async #check(conversation: ConversationId, receiver: number, backlog: Backlog): Promise<void> {
    const now = this.#options.now();
    if (backlog.isChecking || (backlog.isFull && now - backlog.checkedAt < RECHECK_MS)) return;
    backlog.isChecking = true;
    try {
      Object.assign(backlog, await this.#count(conversation, receiver));
      backlog.isFull = this.#isTooMuch(backlog);
    } catch {
      // The database is away, as others have told, and takes no message either.
    } finally {
      backlog.checkedAt = now;
      backlog.isChecking = false;
    }
  }

  async #count(conversation: ConversationId, receiver: number): Promise<{ messages: number; bytes: number }> {
    const { delivered, waiting } = await this.#options.messages.undelivered(conversation, receiver);
    // The lengths of too many need not be looked at.
    const isDecided = waiting === 0 || waiting >= this.#maxMessages || this.#maxBytes === Infinity;
    const bytes = isDecided ? 0 : await this.#options.messages.textBytes(conversation, delivered);
    return { messages: waiting, bytes };
  }
}

function remember(known: Map<ConversationId, Backlog>, conversation: ConversationId): Backlog {
  if (known.size >= KNOWN_MAX) forgetOldest(known);
  const backlog = { messages: 0, bytes: 0, isFull: false, checkedAt: -Infinity, isChecking: false };
  known.set(conversation, backlog);
  return backlog;
}
