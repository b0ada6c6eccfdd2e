/**
 * Commands about groups.
 *
 * @module
 */
import type { AdminContext, Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { findGroup } from "./find.ts";
import { LINES } from "./users.ts";
import { conversationOfGroup } from "../protocol/protocol.ts";

/** `groups list`. */
export async function listGroups({ db, options }: AdminContext): Promise<Result> {
  const limit = options.limit ?? LINES;
  const groups = await db.query<{ id: number; groupname: string; groupdesc: string; members: number }>(
    "SELECT g.id, g.groupname, g.groupdesc, (SELECT COUNT(*) FROM GroupUser m WHERE m.groupid = g.id) AS members " +
      `FROM AllGroup g WHERE g.id > ? ORDER BY g.id LIMIT ${limit + 1}`,
    [options.after ?? 0],
  );
  const more = groups.length > limit;
  const shown = groups.slice(0, limit);
  const lines = tableLines(
    ["id", "name", "members", "description"],
    shown.map(({ id, groupname, members, groupdesc }) => [id, groupname, members, groupdesc]),
  );
  if (more) lines.push(`There are more: --after ${shown.at(-1)?.id}`);
  return { lines: lines.length > 0 ? lines : ["None."], json: { groups: shown, more } };
}

/** `groups show GROUP`: with its members. */
export async function showGroup(
  { db, options }: AdminContext,
  [word = ""]: readonly string[],
): Promise<Result> {
  const group = await findGroup(db, word);
  const limit = options.limit ?? LINES;
  const found = await db.query<{ id: number; name: string; state: string; role: string }>(
    "SELECT u.id, u.name, u.state, m.grouprole AS role FROM GroupUser m JOIN User u ON u.id = m.userid " +
      `WHERE m.groupid = ? AND m.userid > ? ORDER BY m.userid LIMIT ${limit + 1}`,
    [group.id, options.after ?? 0],
  );
  const more = found.length > limit;
  const members = found.slice(0, limit);
  const [log] = await db.query<{ first_seq: number; last_seq: number }>(
    "SELECT first_seq, last_seq FROM Conversation WHERE id = ?",
    [conversationOfGroup(group.id)],
  );
  const lines = [
    ...tableLines(["id", "name", "description"], [[group.id, group.groupname, group.groupdesc]]),
    `log: from ${log?.first_seq ?? 1} to ${log?.last_seq ?? 0}`,
    ...tableLines(
      ["member", "name", "state", "role"],
      members.map(({ id, name, state, role }) => [id, name, state, role]),
    ),
  ];
  if (more) lines.push(`There are more: --after ${members.at(-1)?.id}`);
  return { lines, json: { ...group, ...log, members, more } };
}
