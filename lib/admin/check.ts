/**
 * `check`: whether the tables agree with each other, and with `--repair` makes them.
 *
 * Each look is one statement, which sees the database as it was at one moment: nodes that go on meanwhile are no fault. A
 * repair says its condition again, in the transaction that changes the row.
 *
 * @module
 */
import { type AdminContext, confirm, eventOf, type Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { NO_END } from "../store/messages.ts";
import { recordEvent } from "../store/admin_events.ts";
import type { Database, Row, SqlConnection, SqlValue } from "../store/database.ts";
import { removeDevices } from "../store/devices.ts";

/** Conversations in one statement. */
const CONVERSATIONS = 200;
/** Faults of one kind that are looked for, and repaired, at a time. */
const FAULTS = 1_000;
/** That are shown. */
const SHOWN = 5;

/** A thing that can be wrong. */
interface Check {
  /** What is wrong, for people and programs. */
  name: string;
  /** Finds `FAULTS` rows at most; the first column, or more, tells which. */
  find: string;
  /** Sets one right; without it nothing can. */
  repair?: (tx: SqlConnection, row: Row, db: Database) => Promise<void>;
}

/** True in SQL for a conversation `c` that is the group's `g`. */
const IS_OF_GROUP = {
  sqlite: "c.id = 'g' || CAST(g.id AS TEXT)",
  mysql: "c.id = CONCAT('g', g.id)",
};

const REAL_USER = "SELECT 1 FROM User u WHERE u.status <> 2 AND u.id =";

/** Running nodes hold for a member whom they know until the conversation is not as they know it: see claims.ts. */
async function removeMember(tx: SqlConnection, groupId: SqlValue, userId: SqlValue): Promise<void> {
  await tx.run("UPDATE Conversation SET at = at + 1 WHERE id = ?", [`g${groupId}`]);
  await tx.run("DELETE FROM GroupUser WHERE groupid = ? AND userid = ?", [groupId, userId]);
}

function checksOf(dialect: "sqlite" | "mysql"): readonly Check[] {
  const ofGroup = IS_OF_GROUP[dialect];
  return [
    {
      name: "messages of no conversation",
      find: "SELECT m.conversation, MAX(m.seq) AS newest FROM Message m LEFT JOIN Conversation c " +
        "ON c.id = m.conversation WHERE c.id IS NULL GROUP BY m.conversation",
      async repair(tx, { conversation = "", newest = 0 }, { dialect: { insertIgnore } }) {
        await tx.run(`${insertIgnore} INTO Conversation (id, last_seq, members) VALUES (?, ?, 2)`, [
          conversation,
          newest,
        ]);
      },
    },
    {
      name: "groups without conversation",
      find:
        `SELECT g.id AS groupid FROM AllGroup g LEFT JOIN Conversation c ON ${ofGroup} WHERE c.id IS NULL`,
      async repair(tx, { groupid = 0 }, { dialect: { insertIgnore } }) {
        await tx.run(
          `${insertIgnore} INTO Conversation (id, last_seq, members) VALUES (?, 0, ` +
            "(SELECT COUNT(*) FROM GroupUser WHERE groupid = ?))",
          [`g${groupid}`, groupid],
        );
      },
    },
    {
      name: "members of groups who are no users",
      find: `SELECT m.groupid, m.userid FROM GroupUser m WHERE NOT EXISTS (${REAL_USER} m.userid)`,
      async repair(tx, { groupid = 0, userid = 0 }) {
        await removeMember(tx, groupid, userid);
        await tx.run("DELETE FROM Member WHERE conversation = ? AND userid = ?", [`g${groupid}`, userid]);
      },
    },
    {
      name: "members of groups that do not exist",
      find:
        "SELECT m.groupid, m.userid FROM GroupUser m LEFT JOIN AllGroup g ON g.id = m.groupid WHERE g.id IS NULL",
      repair: (tx, { groupid = 0, userid = 0 }) => removeMember(tx, groupid, userid),
    },
    {
      name: "members of groups without a position",
      find:
        `SELECT g.groupid, g.userid FROM GroupUser g JOIN Conversation c ON ${
          ofGroup.replace("g.id", "g.groupid")
        } ` +
        "LEFT JOIN Member m ON m.userid = g.userid AND m.conversation = c.id WHERE m.userid IS NULL",
      async repair(tx, { groupid = 0, userid = 0 }, { dialect: { insertIgnore } }) {
        const [row] = await tx.query<{ last_seq: number }>("SELECT last_seq FROM Conversation WHERE id = ?", [
          `g${groupid}`,
        ]);
        const end = row?.last_seq ?? 0;
        await tx.run(
          `${insertIgnore} INTO Member (userid, conversation, since, delivered, \`read\`) VALUES (?, ?, ?, ?, ?)`,
          [userid, `g${groupid}`, end, end, end],
        );
      },
    },
    {
      name: "positions in groups of who is no member",
      find:
        "SELECT m.conversation, m.userid FROM Member m LEFT JOIN GroupUser g ON g.userid = m.userid AND " +
        `m.conversation = ${
          dialect === "mysql" ? "CONCAT('g', g.groupid)" : "'g' || CAST(g.groupid AS TEXT)"
        } ` +
        `WHERE m.conversation LIKE 'g%' AND m.until = ${NO_END} AND g.userid IS NULL`,
      async repair(tx, { conversation = "", userid = 0 }) {
        await tx.run("DELETE FROM Member WHERE conversation = ? AND userid = ?", [conversation, userid]);
      },
    },
    {
      name: "members of groups whose time there has ended",
      find: `SELECT g.groupid, g.userid FROM GroupUser g JOIN Conversation c ON ${
        ofGroup.replace("g.id", "g.groupid")
      } JOIN Member m ON m.userid = g.userid AND m.conversation = c.id WHERE m.until < ${NO_END}`,
      async repair(tx, { groupid = 0, userid = 0 }) {
        await tx.run("UPDATE Member SET until = ?, ended = 0 WHERE conversation = ? AND userid = ?", [
          NO_END,
          `g${groupid}`,
          userid,
        ]);
      },
    },
    {
      name: "positions past the end",
      find: "SELECT m.conversation, m.userid FROM Member m JOIN Conversation c ON c.id = m.conversation " +
        "WHERE m.delivered > c.last_seq OR m.furthest > c.last_seq OR m.`read` > c.last_seq OR m.since > c.last_seq",
      async repair(tx, { conversation = "", userid = 0 }) {
        const end = "(SELECT last_seq FROM Conversation WHERE id = ?)";
        for (const column of ["delivered", "furthest", "`read`", "since"]) {
          await tx.run(
            `UPDATE Member SET ${column} = ${end} WHERE conversation = ? AND userid = ? AND ${column} > ${end}`,
            [conversation, conversation, userid, conversation],
          );
        }
      },
    },
    {
      name: "positions of devices past the end",
      find:
        "SELECT p.device, p.conversation FROM DeviceCursor p JOIN Conversation c ON c.id = p.conversation " +
        "WHERE p.delivered > c.last_seq",
      async repair(tx, { device = 0, conversation = "" }) {
        const end = "(SELECT last_seq FROM Conversation WHERE id = ?)";
        await tx.run(
          `UPDATE DeviceCursor SET delivered = ${end} WHERE device = ? AND conversation = ? AND delivered > ${end}`,
          [conversation, device, conversation, conversation],
        );
      },
    },
    {
      name: "positions of devices that do not exist",
      find:
        "SELECT DISTINCT p.device FROM DeviceCursor p LEFT JOIN Device d ON d.id = p.device WHERE d.id IS NULL",
      async repair(tx, { device = 0 }) {
        await tx.run("DELETE FROM DeviceCursor WHERE device = ?", [device]);
      },
    },
    {
      name: "groups whose members are counted wrong",
      find:
        `SELECT c.id AS conversation, g.id AS groupid FROM AllGroup g JOIN Conversation c ON ${ofGroup} ` +
        "WHERE c.members <> (SELECT COUNT(*) FROM GroupUser m WHERE m.groupid = g.id)",
      async repair(tx, { conversation = "", groupid = 0 }) {
        await tx.run(
          "UPDATE Conversation SET members = (SELECT COUNT(*) FROM GroupUser WHERE groupid = ?) WHERE id = ?",
          [groupid, conversation],
        );
      },
    },
    {
      name: "groups without creator",
      find:
        "SELECT m.groupid, MIN(m.userid) AS userid FROM GroupUser m WHERE NOT EXISTS (SELECT 1 FROM GroupUser c " +
        "WHERE c.groupid = m.groupid AND c.grouprole = 'creator') GROUP BY m.groupid",
      async repair(tx, { groupid = 0, userid = 0 }) {
        await tx.run("UPDATE GroupUser SET grouprole = 'creator' WHERE groupid = ? AND userid = ?", [
          groupid,
          userid,
        ]);
      },
    },
    {
      name: "friends who are no users",
      find: `SELECT f.userid, f.friendid FROM Friend f WHERE NOT EXISTS (${REAL_USER} f.friendid) ` +
        `OR NOT EXISTS (${REAL_USER} f.userid)`,
      async repair(tx, { userid = 0, friendid = 0 }) {
        await tx.run("DELETE FROM Friend WHERE userid = ? AND friendid = ?", [userid, friendid]);
      },
    },
    {
      name: "devices of nobody",
      find: `SELECT d.id FROM Device d WHERE NOT EXISTS (${REAL_USER} d.userid)`,
      repair: (tx, { id = 0 }, db) => removeDevices(db, tx, [Number(id)]),
    },
    {
      name: "tokens of nobody",
      find: `SELECT DISTINCT t.userid FROM Token t WHERE NOT EXISTS (${REAL_USER} t.userid)`,
      async repair(tx, { userid = 0 }) {
        await tx.run("DELETE FROM Token WHERE userid = ?", [userid]);
      },
    },
  ];
}

/** What was found of one kind. */
interface Finding {
  name: string;
  found: number;
  repaired: number;
  /** The first few. */
  examples: string[];
  /** It may be so without a fault. */
  isNote?: true;
}

/** `check`. The result is to be taken for a failure when something is wrong that has not been repaired. */
export async function check(context: AdminContext): Promise<Result & { isFailure: boolean }> {
  const { db, options, console } = context;
  if (options.repair) {
    confirm(context, "What does not agree with the rest of the database is changed or deleted.", "repair");
    await db.transaction((tx) => recordEvent(tx, eventOf(context, "repair", null)));
  }
  const bar = console.progress("checking");
  const findings = await checkLog(db, options.repair, (done, total) => bar.at(done, total));
  for (const one of checksOf(db.dialect.name)) findings.push(await look(db, one, options.repair));
  bar.end();
  const faults = findings.filter(({ found, isNote }) => found > 0 && !isNote);
  const shown = findings.filter(({ found }) => found > 0);
  const lines = tableLines(
    ["what", "found", "repaired", "such as"],
    shown.map(({ name, found, repaired, examples }) => [name, found, repaired, examples.join("; ")]),
  );
  if (faults.length === 0) lines.push("All agrees.");
  return {
    lines,
    json: { findings: shown },
    isFailure: faults.some(({ found, repaired }) => found > repaired),
  };
}

async function look(db: Database, { name, find, repair }: Check, isToRepair: boolean): Promise<Finding> {
  const finding: Finding = { name, found: 0, repaired: 0, examples: [] };
  for (;;) {
    const rows = await db.query(`${find} LIMIT ${FAULTS}`);
    finding.found += rows.length;
    for (const row of rows) {
      if (finding.examples.length < SHOWN) finding.examples.push(exampleText(row));
      if (!isToRepair || !repair) continue;
      await db.transaction((tx) => repair(tx, row, db));
      finding.repaired++;
    }
    if (rows.length < FAULTS || !isToRepair || !repair) return finding;
  }
}

function exampleText(row: Row): string {
  return Object.entries(row).map(([column, value]) => `${column} ${value}`).join(" ");
}

/** Of each conversation: whether its messages end where it says, and have no holes. */
async function checkLog(
  db: Database,
  isToRepair: boolean,
  onProgress: (done: number, total: number) => void,
): Promise<Finding[]> {
  const past: Finding = { name: "messages past the end", found: 0, repaired: 0, examples: [] };
  // A database that has gone back in time leaves some: see lib/store/timeline.ts.
  const holes: Finding = {
    name: "conversations with holes",
    found: 0,
    repaired: 0,
    examples: [],
    isNote: true,
  };
  const [count] = await db.query<{ n: number }>("SELECT COUNT(*) AS n FROM Conversation");
  let [done, last] = [0, ""];
  for (;;) {
    const ids = await db.query<{ id: string }>(
      `SELECT id FROM Conversation WHERE id > ? ORDER BY id LIMIT ${CONVERSATIONS}`,
      [last],
    );
    const end = ids.at(-1)?.id;
    if (end === undefined) return [past, holes];
    const rows = await db.query<
      { id: string; first_seq: number; last_seq: number; n: number; newest: number | null }
    >(
      "SELECT c.id, c.first_seq, c.last_seq, COUNT(m.seq) AS n, MAX(m.seq) AS newest FROM Conversation c " +
        "LEFT JOIN Message m ON m.conversation = c.id AND m.seq >= c.first_seq " +
        "WHERE c.id > ? AND c.id <= ? GROUP BY c.id, c.first_seq, c.last_seq",
      [last, end],
    );
    for (const { id, first_seq, last_seq, n, newest } of rows) {
      const to = Math.max(last_seq, newest ?? 0);
      if (to > last_seq) {
        note(past, `${id}: ${newest} after ${last_seq}`);
        if (isToRepair) {
          await db.run("UPDATE Conversation SET last_seq = ? WHERE id = ? AND last_seq < ?", [to, id, to]);
          past.repaired++;
        }
      }
      const missing = to - first_seq + 1 - n;
      if (missing > 0) note(holes, `${id}: ${missing}`);
    }
    last = end;
    onProgress(done += ids.length, count?.n ?? 0);
  }
}

function note(finding: Finding, example: string): void {
  finding.found++;
  if (finding.examples.length < SHOWN) finding.examples.push(example);
}
