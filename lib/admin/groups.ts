/**
 * Commands about groups.
 *
 * @module
 */
import { type AdminContext, confirm, eventOf, pageLines, pageOf, refuse, type Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { momentText } from "../base/moment.ts";
import { findGroup, findUser, type GroupEntry } from "./find.ts";
import { MessageLog } from "../log/message_log.ts";
import { KIND, OPERATOR, systemText } from "../protocol/entries.ts";
import { conversationOfGroup } from "../protocol/protocol.ts";
import { recordEvent } from "../store/admin_events.ts";
import type { SqlConnection } from "../store/database.ts";
import { Ends } from "../store/ends.ts";
import * as changes from "../store/group_changes.ts";

/** `groups list`: those that there are; one that was dissolved is shown by its id. */
export async function listGroups({ db, options }: AdminContext): Promise<Result> {
  const page = await pageOf(
    options,
    (after, limit) =>
      db.query<{ id: number; groupname: string; groupdesc: string; members: number }>(
        "SELECT g.id, g.groupname, g.groupdesc, (SELECT COUNT(*) FROM GroupUser m WHERE m.groupid = g.id) AS members " +
          `FROM AllGroup g WHERE g.id > ? AND g.dissolved = 0 ORDER BY g.id LIMIT ${limit}`,
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
    ...(group.dissolved > 0 ? [`dissolved: ${momentText(group.dissolved)}`] : []),
    `log: from ${log?.first_seq ?? 1} to ${log?.last_seq ?? 0}`,
    ...tableLines(
      ["member", "name", "state", "role"],
      members.map(({ id, name, state, role }) => [id, name, state, role]),
    ),
  ];
  return { lines: pageLines(page, lines), json: { ...group, ...log, members, more } };
}

/** `groups dissolve GROUP`. */
export async function dissolveGroup(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const group = await findGroup(context.db, word);
  const { id, groupname } = group;
  confirm(context, `Group ${id}, ${JSON.stringify(groupname)}, is dissolved for good.`, groupname);
  await change(context, group, async (tx, place) => {
    const [row] = await tx.query<{ dissolved: number }>("SELECT dissolved FROM AllGroup WHERE id = ?", [id]);
    if (row && row.dissolved > 0) throw refuse(`Group ${id} has been dissolved already`);
    await recordEvent(tx, eventOf(context, "dissolve", null, { group: id, name: groupname }));
    await changes.dissolve(tx, id, place);
    return { text: systemText("dissolved", OPERATOR, OPERATOR), members: 0 };
  });
  return { lines: [`${groupname} (${id}) is dissolved.`], json: { id } };
}

/** `groups transfer GROUP USER`. */
export async function transferGroup(
  context: AdminContext,
  [word = "", who = ""]: readonly string[],
): Promise<Result> {
  const group = await findGroup(context.db, word);
  const user = await findUser(context.db, who);
  const { id, groupname } = group;
  await change(context, group, async (tx, place) => {
    const role = await changes.roleOf(tx, id, user.id);
    if (!role) throw refuse(`${user.name} (${user.id}) is not in the group ${groupname} (${id})`);
    if (role === "creator" && await changes.otherCreators(tx, id, user.id) === 0) {
      throw refuse(`${user.name} (${user.id}) is the creator already`);
    }
    await recordEvent(tx, eventOf(context, "transfer", user.id, { group: id, name: groupname }));
    await tx.run("UPDATE GroupUser SET grouprole = 'admin' WHERE groupid = ? AND grouprole = 'creator'", [
      id,
    ]);
    await changes.setRole(tx, id, user.id, "creator");
    return { text: systemText("role", user, OPERATOR, { role: "creator" }), members: place.members };
  });
  return {
    lines: [`${user.name} (${user.id}) is the creator of ${groupname} (${id}).`],
    json: { id, user: user.id },
  };
}

/** Does it in one transaction with the entry that tells of it, as a node does. */
async function change(
  { db, logger }: AdminContext,
  { id }: GroupEntry,
  deed: (
    tx: SqlConnection,
    place: { seq: number; at: number; members: number },
  ) => Promise<{ text: string; members: number }>,
): Promise<void> {
  // Nodes hear of it by the event.
  const log = new MessageLog({
    db,
    logger,
    onStored() {},
    ends: new Ends(),
    onBehind: () => Promise.resolve(),
  });
  await log.change({
    conversation: conversationOfGroup(id),
    sender: OPERATOR.id,
    async decide(tx, place) {
      if (!place) throw refuse(`Group ${id} has no conversation; check --repair makes one`);
      return { kind: KIND.system, ...await deed(tx, place) };
    },
  });
}
