/**
 * Places in conversations, taken without asking first how far these go: who knows it says so, and the statement fails where it
 * is not so. On a server that saves a batch of messages one of its two round trips.
 *
 * What is changed is what a transaction that asked would change, under the same row locks, so the order of commits stays the
 * order of seqs whichever way each transaction goes. All of it is one packet, and a packet may be delayed: whoever has got no
 * answer changes `at`, and from then on what was claimed before is refused. So does whoever takes a member away without an
 * entry that says so.
 *
 * @module
 */
import type { SqlConnection } from "./database.ts";
import type { ConversationId } from "../protocol/protocol.ts";

/** Messages for the end of a conversation, and how that has to stand for it. */
export interface Claim {
  /** Which one. */
  id: ConversationId;
  /** Its `last_seq`, at least 1. */
  seq: number;
  /** How many messages are to follow. */
  count: number;
  /** Its `at`, and the one to be. */
  at: { from: number; to: number };
  /** As in its row. */
  members: number;
  /** As in its row. */
  blocked: number;
  /** As in its row. */
  parted: number;
}

/** No row is made of these: the columns only carry what is known and what is to be. */
const COLUMNS = "id, last_chat, last_seq, first_seq, at, members, blocked, parted";

/** What is too large for any number fails whatever the settings of the session; MySQL has no other expression that does. */
const TAIL =
  " ON DUPLICATE KEY UPDATE last_chat = IF(last_seq = VALUES(last_chat) AND at = VALUES(first_seq) AND " +
  "members = VALUES(members) AND blocked = VALUES(blocked) AND parted = VALUES(parted), VALUES(last_seq), " +
  "9223372036854775807 + VALUES(last_seq)), last_seq = VALUES(last_seq), at = VALUES(at)";

/**
 * Moves the ends of these conversations, sorted by id, on MySQL. Where one is not as claimed the transaction comes to nothing,
 * with a DatabaseError of the kind `stale` at the latest from its commit.
 */
export async function claimPlaces(tx: SqlConnection, claims: readonly Claim[]): Promise<void> {
  await tx.insert({
    into: `INSERT INTO Conversation (${COLUMNS})`,
    rows: claims.map(({ id, seq, count, at, members, blocked, parted }) => [
      id,
      seq,
      seq + count,
      at.from,
      at.to,
      members,
      blocked,
      parted,
    ]),
    tail: TAIL,
    isUpdate: true,
  });
}
