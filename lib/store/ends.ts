/**
 * How far conversations are known to go: what this node has stored itself or has heard of. A database that knows of less,
 * or of something else in the same place, has gone back in time.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import type { ConversationId } from "../protocol/protocol.ts";

/** So many conversations are remembered, those that were heard of last. */
const CONVERSATIONS = 20_000;

/**
 * The newest message of a conversation, as far as this node knew when it was asked: while the database looks for it, others
 * may be stored behind it.
 */
export interface End {
  /** Where. */
  readonly conversation: ConversationId;
  /** Its place. */
  readonly seq: number;
  /** When it was stored, ms since the epoch: a place may be given out twice, but not at the same time. */
  readonly at: number;
}

/** One per node. */
export class Ends {
  /** In the order in which they were last heard of. */
  readonly #ends = new Map<ConversationId, End>();
  readonly #limit: number;
  /** How often ends were forgotten because the database had gone back in time. */
  timesForgotten = 0;

  /** Remembers `limit` conversations. */
  constructor(limit: number = CONVERSATIONS) {
    this.#limit = limit;
  }

  /**
   * A message is in the log; what is known to go further stays. False: it is younger than what stands behind it, which is
   * for the clocks of two nodes to explain, or because its place was given out twice.
   */
  note(conversation: ConversationId, seq: number, at: number): boolean {
    const end = this.#ends.get(conversation);
    if (end !== undefined && seq <= end.seq) return at <= end.at;
    // To the young end of the order.
    if (end !== undefined) this.#ends.delete(conversation);
    else if (this.#ends.size >= this.#limit) forgetOldest(this.#ends);
    this.#ends.set(conversation, { conversation, seq, at });
    return true;
  }

  /** The newest seq that is known to have been given out; 0 where nothing is known. */
  seq(conversation: ConversationId): number {
    return this.#ends.get(conversation)?.seq ?? 0;
  }

  /** Where a conversation ends; undefined where nothing is known. */
  of(conversation: ConversationId): End | undefined {
    return this.#ends.get(conversation);
  }

  /** All of them. */
  all(): End[] {
    return [...this.#ends.values()];
  }

  /** The `count` that were heard of last. */
  youngest(count: number): End[] {
    return this.all().slice(-count);
  }

  /** These say nothing any more; what has been heard of since then does. */
  forget(ends: readonly End[]): void {
    this.timesForgotten++;
    for (const end of ends) if (this.#ends.get(end.conversation) === end) this.#ends.delete(end.conversation);
  }
}
