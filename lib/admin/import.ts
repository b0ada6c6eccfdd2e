/**
 * `import [FILE]`: brings the lines of an export back, or into another database. What is there already stays as it is, and
 * so a line counts once however often it is imported; what contradicts it is told and left out.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type AdminContext, eventOf, giveWay, refuse, type Result } from "./context.ts";
import { FIELDS, type Kind, type ReadRecord, readRecord, tableOf } from "./records.ts";
import { checkDeviceName } from "../chat/device_desk.ts";
import { DatabaseError, errorText } from "../base/errors.ts";
import { kindOf } from "../protocol/entries.ts";
import { checkName, nameKey, normalizeName } from "../protocol/names.ts";
import { conversationOfGroup, isJsonObject, parseConversation } from "../protocol/protocol.ts";
import { recordEvent } from "../store/admin_events.ts";
import { JOIN_MODES } from "../store/group_changes.ts";
import { NO_END } from "../store/messages.ts";
import type { Database, SqlConnection, SqlValue } from "../store/database.ts";

/** Lines in one transaction. */
const LINES = 200;
/** Contradictions that are told one by one. */
const TOLD = 20;

const CONVERSATION = "Conversation (id, first_seq, last_seq, last_chat, at, members)";
const ROLES: readonly string[] = ["creator", "admin", "normal"];
/** What the server adds to a message when it sends it. */
const OWN_FIELDS = ["conversation", "seq", "at"];

/** Longest emoji, in bytes, as the column has it. */
const EMOJI_BYTES = 32;

/** A line with its number, from 1. */
interface Line extends ReadRecord {
  number: number;
}

/** What became of the lines. */
interface Report {
  imported: number;
  present: number;
  /** "line 7: …". */
  contradictions: string[];
  refused: number;
}

/** Imports a file, or standard input. */
export async function importRecords(context: AdminContext, [path = "-"]: readonly string[]): Promise<Result> {
  const { db, console } = context;
  const report: Report = { imported: 0, present: 0, contradictions: [], refused: 0 };
  const size = path === "-" ? 0 : await sizeOf(path);
  const bar = console.progress("importing");
  let [number, bytes, some] = [0, 0, [] as Line[]];
  const flush = async () => {
    const startedAt = performance.now();
    if (some.length > 0) await importSome(db, some, report);
    some = [];
    await giveWay(startedAt);
  };
  for await (const text of path === "-" ? console.lines() : console.linesOfFile(path)) {
    number++;
    bytes += Buffer.byteLength(text) + 1;
    bar.at(size === 0 ? number : Math.min(bytes, size), size);
    if (text.trim() === "") continue;
    try {
      some.push({ ...readRecord(text), number });
    } catch (error) {
      await flush();
      const before = report.imported > 0 ? "; what stood before it is imported" : "";
      throw refuse(`line ${number}: ${errorText(error)}${before}`);
    }
    if (some.length >= LINES) await flush();
  }
  await flush();
  bar.end();
  const { imported, present, refused, contradictions } = report;
  // Nodes look into the log then.
  await db.transaction((tx) =>
    recordEvent(tx, eventOf(context, "import", null, { imported, present, refused }))
  );
  return {
    lines: [
      ...contradictions,
      ...(refused > contradictions.length ? [`… and ${refused - contradictions.length} more`] : []),
      `${imported} lines imported, ${present} there already, ${refused} left out.`,
    ],
    json: report,
  };
}

/** In bytes; 0: nobody knows. Whoever cannot read it is told when it is opened. */
async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path).catch(() => undefined))?.size ?? 0;
}

async function importSome(db: Database, lines: readonly Line[], report: Report): Promise<void> {
  try {
    const outcomes = await db.transaction(async (tx) => {
      const outcomes: Outcome[] = [];
      for (const line of lines) outcomes.push(await importOne(db, tx, line));
      return outcomes;
    });
    for (const [index, outcome] of outcomes.entries()) note(report, lines[index], outcome);
  } catch (error) {
    // A value that is another one's already, such as a name: alone, so that it costs no other line.
    if (!(error instanceof DatabaseError) || error.kind !== "duplicate") throw error;
    const [only, ...others] = lines;
    if (only && others.length === 0) return note(report, only, "it has a name or cid that another one has");
    const middle = lines.length >> 1;
    await importSome(db, lines.slice(0, middle), report);
    await importSome(db, lines.slice(middle), report);
  }
}

/** True: written. False: it was there. A text says why it cannot be. */
type Outcome = boolean | string;

function note(report: Report, line: Line | undefined, outcome: Outcome): void {
  if (outcome === true) report.imported++;
  else if (outcome === false) report.present++;
  else {
    report.refused++;
    if (report.contradictions.length < TOLD) report.contradictions.push(`line ${line?.number}: ${outcome}`);
  }
}

async function importOne(db: Database, tx: SqlConnection, { kind, row }: Line): Promise<Outcome> {
  switch (kind) {
    case "user":
      return await importUser(tx, row);
    case "group":
      return await importGroup(tx, row);
    case "friend":
      return await insertNew(db, tx, "Friend (userid, friendid)", [row.userid, row.friendid]);
    case "group_member":
      return await importMember(db, tx, row);
    case "conversation":
      return await importConversation(db, tx, row);
    case "member":
      if (!parseConversation(String(row.conversation))) return "it is of no conversation";
      return await insertNew(
        db,
        tx,
        "Member (userid, conversation, since, delivered, `read`, furthest, until, ended)",
        [
          row.userid,
          row.conversation,
          row.since,
          row.delivered,
          row.read,
          row.furthest ?? 0,
          row.until ?? NO_END,
          row.ended ?? 0,
        ],
      );
    case "device":
      return await importDevice(tx, row);
    case "device_position":
      return await importDevicePosition(db, tx, row);
    case "message":
      return await importMessage(db, tx, row);
    case "reaction":
      return await importReaction(db, tx, row);
    case "version":
    case "pin":
    case "mention":
      return await insertRow(db, tx, kind, row);
  }
}

type Row = Readonly<Record<string, SqlValue>>;

/** Into the table that has the kind's name, and its fields as columns. */
async function insertRow(db: Database, tx: SqlConnection, kind: Kind, row: Row): Promise<boolean> {
  const columns = Object.keys(FIELDS[kind]);
  // An export of before there was such a column: see it as everybody does.
  if (columns.includes("hidden")) row = { ...row, hidden: row.hidden ?? 0 };
  return await insertNew(
    db,
    tx,
    `${tableOf(kind)} (${columns.join(", ")})`,
    columns.map((column) => row[column]),
  );
}

/** They are counted, too. */
async function importReaction(db: Database, tx: SqlConnection, row: Row): Promise<Outcome> {
  const { conversation = "", seq = 0, emoji } = row;
  if (!(emoji instanceof Uint8Array) || emoji.length > EMOJI_BYTES) return "its emoji is none";
  if (!await insertRow(db, tx, "reaction", row)) return false;
  await tx.insert({
    into: "INSERT INTO ReactionCount (conversation, seq, emoji, users)",
    rows: [[conversation, seq, emoji, 1]],
    tail: db.dialect.upsert(["conversation", "seq", "emoji"], { users: "users + 1" }),
  });
  return true;
}

async function insertNew(
  { dialect }: Database,
  tx: SqlConnection,
  into: string,
  values: readonly (SqlValue | undefined)[],
): Promise<boolean> {
  const marks = values.map(() => "?").join(", ");
  const { changes } = await tx.run(
    `${dialect.insertIgnore} INTO ${into} VALUES (${marks})`,
    values.map((value) => value ?? null),
  );
  return changes > 0;
}

/** Nobody can log in as such a user before an operator has given it a password. */
async function importUser(
  tx: SqlConnection,
  { id = 0, name: given, status = 0, legacy }: Row,
): Promise<Outcome> {
  const name = normalizeName(String(given));
  const [there] = await tx.query<{ name: string; status: number }>(
    "SELECT name, status FROM User WHERE id = ?",
    [id],
  );
  if (there) return there.name === name || there.status === 2 ? false : `user ${id} has another name here`;
  const isDeleted = status === 2;
  const problem = isDeleted ? undefined : checkName(name);
  if (problem !== undefined) return `the name ${problem}`;
  await tx.run(
    "INSERT INTO User (id, name, name_key, password, state, status, legacy) VALUES (?, ?, ?, ?, 'offline', ?, ?)",
    [
      id,
      name,
      isDeleted ? null : nameKey(name),
      crypto.randomUUID(),
      status,
      legacy === 0 ? 0 : 1,
    ],
  );
  return true;
}

/** Without a token: its user goes on with the password. */
async function importDevice(tx: SqlConnection, { id = 0, userid = 0, ...row }: Row): Promise<Outcome> {
  const [there] = await tx.query<{ userid: number }>("SELECT userid FROM Device WHERE id = ?", [id]);
  if (there) return there.userid === userid ? false : `device ${id} is another user's here`;
  const problem = checkDeviceName(String(row.name));
  if (problem !== undefined) return `the name ${problem}`;
  await tx.run(
    "INSERT INTO Device (id, userid, name, created, seen, tokens, issued, expires) VALUES (?, ?, ?, ?, ?, ?, 0, 0)",
    [id, userid, row.name ?? "", row.created ?? 0, row.seen ?? 0, new Uint8Array(0)],
  );
  return true;
}

async function importDevicePosition(db: Database, tx: SqlConnection, row: Row): Promise<Outcome> {
  const { device = 0, conversation = "", delivered = 0 } = row;
  const place = parseConversation(String(conversation));
  const [there] = await tx.query("SELECT id FROM Device WHERE id = ?", [device]);
  if (!place || !there) return "it is of no device or no conversation";
  return await insertNew(db, tx, "DeviceCursor (device, conversation, delivered)", [
    device,
    conversation,
    delivered,
  ]);
}

async function importGroup(tx: SqlConnection, row: Row): Promise<Outcome> {
  const { id = 0, groupname, groupdesc = "", joining, dissolved } = row;
  const name = normalizeName(String(groupname));
  const [there] = await tx.query<{ groupname: string }>("SELECT groupname FROM AllGroup WHERE id = ?", [id]);
  if (there) return there.groupname === name ? false : `group ${id} has another name here`;
  const isDissolved = Number(dissolved ?? 0) > 0;
  const problem = isDissolved ? undefined : checkName(name);
  if (problem !== undefined) return `the name ${problem}`;
  await tx.run(
    "INSERT INTO AllGroup (id, groupname, groupname_key, groupdesc, joining, dissolved) VALUES (?, ?, ?, ?, ?, ?)",
    [
      id,
      name,
      isDissolved ? null : nameKey(name),
      String(groupdesc).slice(0, 200),
      // What is not known lets nobody in.
      Math.min(Number(joining ?? 0), JOIN_MODES.length - 1),
      dissolved ?? 0,
    ],
  );
  return true;
}

async function importMember(db: Database, tx: SqlConnection, row: Row): Promise<Outcome> {
  const { groupid = 0, userid = 0, grouprole } = row;
  if (!ROLES.includes(String(grouprole))) return `${JSON.stringify(grouprole)} is no role in a group`;
  const isNew = await insertNew(db, tx, "GroupUser (groupid, userid, grouprole)", [
    groupid,
    userid,
    grouprole,
  ]);
  if (!isNew) return false;
  const conversation = conversationOfGroup(Number(groupid));
  // The one row that says how many there are.
  await insertNew(db, tx, CONVERSATION, [conversation, 1, 0, 0, 0, 0]);
  await tx.run(
    "UPDATE Conversation SET members = (SELECT COUNT(*) FROM GroupUser WHERE groupid = ?) WHERE id = ?",
    [groupid, conversation],
  );
  return true;
}

/** It ends where it ended, also where its last messages are not imported. */
async function importConversation(db: Database, tx: SqlConnection, row: Row): Promise<Outcome> {
  const { id = "", first_seq = 1, last_seq = 0, last_chat = 0, at = 0, members = 0 } = row;
  const place = parseConversation(String(id));
  if (!place) return `${JSON.stringify(id)} is no conversation`;
  if (await insertNew(db, tx, CONVERSATION, [id, first_seq, last_seq, last_chat, at, members])) return true;
  const { changes } = await tx.run(
    "UPDATE Conversation SET last_seq = ?, last_chat = ?, at = ? WHERE id = ? AND last_seq < ?",
    [last_seq, last_chat, at, id, last_seq],
  );
  return changes > 0;
}

async function importMessage(db: Database, tx: SqlConnection, row: Row): Promise<Outcome> {
  const { conversation = "", seq = 0, sender = 0, cid = null, at = 0, message = null } = row;
  const { kind = 0, recalled = 0, hidden = 0 } = row;
  if (!parseConversation(String(conversation)) || seq === 0) return "it has no place in a conversation";
  if (message !== null && !isEntry(String(message), kind)) return "its text is not what an entry consists of";
  const [there] = await tx.query<{ sender: number; at: number }>(
    `SELECT sender, at FROM Message WHERE conversation = ? AND seq = ?${db.dialect.forUpdate}`,
    [conversation, seq],
  );
  // What was recalled or edited since stays so.
  if (there) {
    return there.sender === sender && there.at === at
      ? false
      : `${conversation} ${seq} is another message here`;
  }
  await tx.run(
    "INSERT INTO Message (conversation, seq, sender, cid, at, kind, recalled, hidden, message) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [conversation, seq, sender, cid, at, kind, recalled, hidden, message],
  );
  const { greatest } = db.dialect;
  await tx.run(
    `UPDATE Conversation SET last_seq = ${greatest("last_seq", "?")}, ` +
      "first_seq = CASE WHEN first_seq > ? THEN ? ELSE first_seq END WHERE id = ?",
    [seq, seq, seq, conversation],
  );
  return true;
}

/** An object that the server's fields can be added to. */
function isEntry(text: string, kind: SqlValue): boolean {
  try {
    const message: unknown = JSON.parse(text);
    return isJsonObject(message) && kindOf(text) === kind && text.startsWith("{") && text.endsWith("}") &&
      "msgid" in message &&
      !OWN_FIELDS.some((field) => field in message);
  } catch {
    return false;
  }
}
