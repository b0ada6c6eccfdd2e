/**
 * What decides about a message besides the end of its conversation, as this node last read it: a guess, which the database
 * confirms or refuses when something is stored by it.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import type { ConversationId } from "../protocol/protocol.ts";

/** So many conversations are remembered, those that were read last. */
const CONVERSATIONS = 20_000;
/** So many members of each. */
const SENDERS = 1_000;
/** Where others have been faster they may be so again: for so long, ms, it is read first. */
const CONTESTED_MS = 1_000;

/** Of one conversation. */
export interface Head {
  /** As in its row, ms since the epoch. */
  at: number;
  /** As in its row. */
  members: number;
  /** As in its row. */
  blocked: number;
  /** As in its row: as long as it is that, whoever was a member is one. */
  parted: number;
}

interface Known extends Head {
  /** Those who were members when it was read; none of two users, who always are. */
  senders: Set<number>;
  /** Not to be used before, ms since the epoch. */
  usableAt: number;
}

/** One per node. */
export class Heads {
  readonly #heads = new Map<ConversationId, Known>();
  readonly #limit: number;

  /** Remembers `limit` conversations. */
  constructor(limit: number = CONVERSATIONS) {
    this.#limit = limit;
  }

  /** How a conversation stands as far as is known, for these senders; undefined: that has to be read. */
  of(id: ConversationId, senders: Iterable<number>, now: number): Head | undefined {
    const head = this.#heads.get(id);
    if (!head || now < head.usableAt) return undefined;
    for (const sender of senders) if (!head.senders.has(sender)) return undefined;
    return head;
  }

  /** Read, with some of its members; `isContested`: somebody else had been faster. */
  note(id: ConversationId, head: Head, senders: Iterable<number>, isContested: boolean, now: number): void {
    const { at, members, blocked, parted } = head;
    const before = this.#heads.get(id);
    // To the young end of the order.
    if (before) this.#heads.delete(id);
    else if (this.#heads.size >= this.#limit) forgetOldest(this.#heads);
    const isKept = before?.parted === parted && before.senders.size < SENDERS;
    const known = isKept ? before.senders : new Set<number>();
    for (const sender of senders) known.add(sender);
    const usableAt = isContested ? now + CONTESTED_MS : before?.usableAt ?? 0;
    this.#heads.set(id, { at, members, blocked, parted, senders: known, usableAt });
  }

  /** Something has been stored there, by which nothing but this has changed. */
  move(id: ConversationId, at: number): void {
    const head = this.#heads.get(id);
    if (head) head.at = at;
  }

  /** These were not as they were known. */
  forget(ids: Iterable<ConversationId>): void {
    for (const id of ids) this.#heads.delete(id);
  }

  /** None may be as it was known. */
  forgetAll(): void {
    this.#heads.clear();
  }
}
