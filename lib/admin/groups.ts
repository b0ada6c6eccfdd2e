/**
 * Commands about groups.
 *
 * @module
 */
import { type AdminContext, pageLines, pageOf, type Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { findGroup } from "./find.ts";
import { conversationOfGroup } from "../protocol/protocol.ts";

/** `groups list`. */
export async function listGroups({ db, options }: AdminContext): Promise<Result> {
  const page = await pageOf(
    options,
    (after, limit) =>
      db.query<{ id: number; groupname: string; groupdesc: string; members: number }>(
        "SELECT g.id, g.groupname, g.groupdesc, (SELECT COUNT(*) FROM GroupUser m WHERE m.groupid = g.id) AS members " +
          `FROM AllGroup g WHERE g.id > ? ORDER BY g.id LIMIT ${limit}`,
        [after],
      ),
  );
  const { rows: groups, more } = page;
  const lines = tableLines(
    ["id", "name", "members", "description"],
    groups.map(({ id, groupname, members, groupdesc }) => [id, groupname, members, groupdesc]),
  );
  return { lines: pageLines(page, lines), json: { groups, more } };
}

/** `groups show GROUP`: with its members. */
export async function showGroup(
  { db, options }: AdminContext,
  [word = ""]: readonly string[],
): Promise<Result> {
  const group = await findGroup(db, word);
  const page = await pageOf(
    options,
    (after, limit) =>
      db.query<{ id: number; name: string; state: string; role: string }>(
        "SELECT u.id, u.name, u.state, m.grouprole AS role FROM GroupUser m JOIN User u ON u.id = m.userid " +
          `WHERE m.groupid = ? AND m.userid > ? ORDER BY m.userid LIMIT ${limit}`,
        [group.id, after],
      ),
  );
  const { rows: members, more } = page;
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
  return { lines: pageLines(page, lines), json: { ...group, ...log, members, more } };
}
