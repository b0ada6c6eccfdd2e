/**
 * Links by which one joins a group: texts of which the database has a hash only, each for so many and for so long.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import type { Database, SqlConnection } from "./database.ts";

/** Bytes of a link's text: nobody guesses one. */
const LINK_BYTES = 16;
/** As the text shows them. */
const LINK = /^[\w-]{22}$/;

/** A link that was asked for. */
export interface NewLink {
  /** Which group. */
  groupId: number;
  /** User id of who makes it. */
  userId: number;
  /** How many may join by it. */
  uses: number;
  /** When it is made, ms since the epoch. */
  created: number;
  /** When it ends, ms since the epoch. */
  expires: number;
}

/** Whether a text could be a link at all. */
export function isLink(text: string): boolean {
  return LINK.test(text);
}

/** A new link's text. */
export function createLink(): string {
  return randomBytes(LINK_BYTES).toString("base64url");
}

function hashOf(link: string): Uint8Array {
  return createHash("sha256").update(link).digest();
}

/** The group of a link, whether it is still good or not. */
export async function groupOfLink(db: Database, link: string): Promise<number | undefined> {
  const [row] = await db.query<{ groupid: number }>("SELECT groupid FROM GroupLink WHERE hash = ?", [
    hashOf(link),
  ]);
  return row?.groupid;
}

/** Stores a link; false: the group has `max` others. Those that have ended are taken away. */
export async function addLink(
  tx: SqlConnection,
  link: string,
  { groupId, userId, uses, created, expires }: NewLink,
  max: number,
): Promise<boolean> {
  await tx.run("DELETE FROM GroupLink WHERE groupid = ? AND (expires <= ? OR used >= uses)", [
    groupId,
    created,
  ]);
  const [row] = await tx.query<{ count: number }>(
    "SELECT COUNT(*) AS count FROM GroupLink WHERE groupid = ?",
    [groupId],
  );
  if ((row?.count ?? 0) >= max) return false;
  await tx.run(
    "INSERT INTO GroupLink (hash, groupid, userid, uses, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
    [hashOf(link), groupId, userId, uses, created, expires],
  );
  return true;
}

/** Counts a use of a link; false: it is not good, or not any more. */
export async function takeLink(
  tx: SqlConnection,
  link: string,
  groupId: number,
  now: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    "UPDATE GroupLink SET used = used + 1 WHERE hash = ? AND groupid = ? AND used < uses AND expires > ?",
    [hashOf(link), groupId, now],
  );
  return changes > 0;
}

/** Takes a link away; false: the group has no such one. */
export async function revokeLink(tx: SqlConnection, link: string, groupId: number): Promise<boolean> {
  const { changes } = await tx.run("DELETE FROM GroupLink WHERE hash = ? AND groupid = ?", [
    hashOf(link),
    groupId,
  ]);
  return changes > 0;
}
