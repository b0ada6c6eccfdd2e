/**
 * Entries about groups by who has no log of a node to write them with. Nodes come upon them when they next look there.
 *
 * @module
 */
import { KIND } from "../protocol/entries.ts";
import { conversationOfGroup } from "../protocol/protocol.ts";
import type { Database, SqlConnection } from "./database.ts";

/** A group's conversation at that moment, under its lock. */
export interface GroupPlace {
  /** Where the first entry will stand. */
  seq: number;
  /** ms since the epoch. */
  at: number;
  /** How many members there are. */
  members: number;
}

/** An entry that tells of something. */
export interface GroupEntry {
  /** A JSON object. */
  text: string;
  /** How many members there are from then on. */
  members: number;
}

/**
 * Does what `decide` does to a group, and writes the entries that tell of it, as those of `sender`, in one transaction.
 * Nothing happens where the group has no conversation. `now`: ms since the epoch.
 */
export async function tellGroup(
  db: Database,
  groupId: number,
  sender: number,
  now: number,
  decide: (tx: SqlConnection, place: GroupPlace) => Promise<readonly GroupEntry[]>,
): Promise<void> {
  const conversation = conversationOfGroup(groupId);
  await db.transaction(async (tx) => {
    // As whoever writes or joins: the count of members agrees with what a message's transaction sees.
    const [row] = await tx.query<{ last_seq: number; members: number; at: number }>(
      `SELECT last_seq, members, at FROM Conversation WHERE id = ?${db.dialect.forUpdate}`,
      [conversation],
    );
    if (!row) return;
    const at = Math.max(now, row.at);
    const entries = await decide(tx, { seq: row.last_seq + 1, at, members: row.members });
    const last = entries.at(-1);
    if (!last) return;
    await tx.insert({
      into: "INSERT INTO Message (conversation, seq, sender, at, message, kind)",
      rows: entries.map(({ text }, index) => [
        conversation,
        row.last_seq + 1 + index,
        sender,
        at,
        text,
        KIND.system,
      ]),
    });
    await tx.run("UPDATE Conversation SET last_seq = ?, members = ?, at = ? WHERE id = ?", [
      row.last_seq + entries.length,
      last.members,
      at,
      conversation,
    ]);
  });
}
