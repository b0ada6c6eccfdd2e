/**
 * How far the others have got with our messages.
 *
 * @module
 */

import type { ConversationId } from "../../protocol/protocol.ts";
import type { ClientStore, PeerPosition } from "./store.ts";

/** Our message, and all before it, reached somebody. */
export interface Receipt {
  /** Where. */
  conversation: ConversationId;
  /** Who; undefined stands for everybody else there. */
  id: number | undefined;
  /** What they did with it. */
  kind: "delivered" | "read";
  /** The last of our messages it is true for. */
  seq: number;
}

/**
 * Moves a member's position forward and returns what is news to the user: the last of our messages between the old and
 * the new position, but none from before the member joined. Read implies delivered and is told alone.
 */
export function movePeer(
  store: ClientStore,
  me: number,
  peer: { conversation: ConversationId; id: number; since?: number } & PeerPosition,
): Receipt[] {
  const { conversation, id, since = 0 } = peer;
  const before = store.peer(conversation, id);
  const read = Math.max(before.read, peer.read);
  const delivered = Math.max(before.delivered, peer.delivered, read);
  if (read === before.read && delivered === before.delivered) return [];
  store.savePeer(conversation, id, { delivered, read }, since);
  const readSeq = store.lastSeqOf(conversation, me, Math.max(before.read, since), read);
  const deliveredSeq = store.lastSeqOf(conversation, me, Math.max(before.delivered, read, since), delivered);
  const receipts: Receipt[] = [];
  if (readSeq > 0) receipts.push({ conversation, id, kind: "read", seq: readSeq });
  if (deliveredSeq > 0) receipts.push({ conversation, id, kind: "delivered", seq: deliveredSeq });
  return receipts;
}
