/**
 * Brings the original server's pending messages into the log, so that they arrive at their users' next login.
 *
 * The original kept one row (userid, message) for each receiver who was away: a group message as often as it had such
 * receivers. Here it is one message again, and each receiver's `delivered` stands before the first one that is pending.
 *
 * @module
 */

import type { SqlConnection, SqlValue } from "./database.ts";
import { PENDING_TABLE, positionColumn } from "./adopt_original.ts";
import type { MigrationStep, StepContext } from "./migration_step.ts";
import { type Imported, ImportPlan, type Refusal } from "./import_plan.ts";

/** Rows read or written by one statement. */
const ROWS_PER_STATEMENT = 1_000;

/** … and about this much text: servers refuse packets over a limit that is 1 MiB on some. */
const CHARS_PER_STATEMENT = 200_000;

/** Reads all pending rows, in the order in which they came, into a plan. */
async function readPending(conn: SqlConnection, column: string): Promise<ImportPlan> {
  const users = await conn.query<{ id: number }>("SELECT id FROM User");
  const memberships = await conn.query<{ groupid: number; userid: number }>(
    "SELECT GroupUser.groupid, GroupUser.userid FROM GroupUser JOIN AllGroup ON AllGroup.id = GroupUser.groupid " +
      `WHERE GroupUser.userid IN (SELECT userid FROM ${PENDING_TABLE})`,
  );
  const plan = new ImportPlan(users.map(({ id }) => id), memberships);
  for (let last = 0;;) {
    const rows = await conn.query<{ position: number; userid: number; message: string }>(
      `SELECT \`${column}\` AS position, userid, message FROM ${PENDING_TABLE} ` +
        `WHERE \`${column}\` > ? ORDER BY \`${column}\` LIMIT ${ROWS_PER_STATEMENT}`,
      [last],
    );
    for (const row of rows) plan.add(row);
    const end = rows.at(-1);
    if (!end) return plan;
    last = end.position;
  }
}

/** Writes rows with as few statements as the limits allow. */
async function insertRows(conn: SqlConnection, head: string, rows: Iterable<SqlValue[]>): Promise<void> {
  let params: SqlValue[] = [];
  let values: string[] = [];
  let chars = 0;
  const flush = async () => {
    if (values.length > 0) await conn.run(`${head} VALUES ${values.join()}`, params);
    [params, values, chars] = [[], [], 0];
  };
  for (const row of rows) {
    values.push(`(${row.map(() => "?").join()})`);
    params.push(...row);
    for (const value of row) if (typeof value === "string") chars += value.length;
    if (values.length >= ROWS_PER_STATEMENT || chars >= CHARS_PER_STATEMENT) await flush();
  }
  await flush();
}

async function writeImported(
  conn: SqlConnection,
  { messages, members }: Imported,
  now: number,
): Promise<void> {
  await insertRows(
    conn,
    "INSERT INTO Message (conversation, seq, sender, at, message)",
    // Times that grow with the order keep that order for a receiver who merges conversations by time.
    messages.map(({ conversation, seq, sender, text }, index) => [
      conversation,
      seq,
      sender,
      now - messages.length + index,
      text,
    ]),
  );
  await insertRows(
    conn,
    "INSERT INTO Member (userid, conversation, since, delivered, `read`)",
    members.map(({ userId, conversation, since, delivered }) => [
      userId,
      conversation,
      since,
      delivered,
      delivered,
    ]),
  );
}

/** Removes the imported rows; anything but all of them means that somebody else has been at them. */
async function removeImported(
  conn: SqlConnection,
  column: string,
  positions: readonly number[],
): Promise<void> {
  for (let start = 0; start < positions.length; start += ROWS_PER_STATEMENT) {
    const some = positions.slice(start, start + ROWS_PER_STATEMENT);
    const { changes } = await conn.run(
      `DELETE FROM ${PENDING_TABLE} WHERE \`${column}\` IN (${some.map(() => "?").join()})`,
      some,
    );
    if (changes !== some.length) {
      throw new Error(`${some.length - changes} rows of ${PENDING_TABLE} went away while they were imported`);
    }
  }
}

/** Every one-to-one conversation that has messages, and every group, gets its row. */
async function makeConversations(conn: SqlConnection): Promise<void> {
  await conn.run(
    "INSERT INTO Conversation (id, last_seq, members) " +
      "SELECT Message.conversation, MAX(Message.seq), COUNT(DISTINCT Member.userid) FROM Message " +
      "JOIN Member ON Member.conversation = Message.conversation " +
      "WHERE Message.conversation LIKE 'u%' GROUP BY Message.conversation",
  );
  await conn.run(
    "INSERT INTO Conversation (id, last_seq, members) SELECT names.id, COALESCE(ends.last_seq, 0), names.members FROM " +
      "(SELECT CONVERT(CONCAT('g', AllGroup.id) USING ascii) COLLATE ascii_bin AS id, " +
      "COUNT(GroupUser.userid) AS members FROM AllGroup " +
      "LEFT JOIN GroupUser ON GroupUser.groupid = AllGroup.id GROUP BY AllGroup.id) AS names " +
      "LEFT JOIN (SELECT conversation, MAX(seq) AS last_seq FROM Message GROUP BY conversation) AS ends " +
      "ON ends.conversation = names.id",
  );
  // Those with pending messages have their rows already.
  await conn.run(
    "INSERT IGNORE INTO Member (userid, conversation, since, delivered, `read`) " +
      "SELECT GroupUser.userid, Conversation.id, Conversation.last_seq, Conversation.last_seq, Conversation.last_seq " +
      "FROM GroupUser JOIN Conversation " +
      "ON Conversation.id = CONVERT(CONCAT('g', GroupUser.groupid) USING ascii) COLLATE ascii_bin",
  );
}

function warnOfKept(logger: StepContext["logger"], refused: ReadonlyMap<Refusal, number>): number {
  let kept = 0;
  for (const count of refused.values()) kept += count;
  if (kept > 0) {
    logger.warn(`pending messages that nobody can get stay in the table ${PENDING_TABLE}`, {
      rows: kept,
      ...Object.fromEntries(refused),
    });
  }
  return kept;
}

/** All in one transaction: cut off in the middle, it leaves everything as it was. */
async function importPending(conn: SqlConnection, { logger, now }: StepContext): Promise<string | void> {
  const column = await positionColumn(conn);
  if (column === undefined) return await makeConversations(conn);
  const plan = await readPending(conn, column);
  const imported = plan.finish();
  await writeImported(conn, imported, now());
  await makeConversations(conn);
  await removeImported(conn, column, imported.positions);
  const kept = warnOfKept(logger, plan.refused);
  return `${imported.positions.length} pending messages of the original server are ` +
    `${imported.messages.length} in the log` +
    (kept === 0 ? "" : `, ${kept} that nobody can get stay in ${PENDING_TABLE}`);
}

async function dropEmptyTable(conn: SqlConnection): Promise<void> {
  if (await positionColumn(conn) === undefined) return;
  const rows = await conn.query(`SELECT userid FROM ${PENDING_TABLE} LIMIT 1`);
  if (rows.length === 0) await conn.run(`DROP TABLE ${PENDING_TABLE}`);
}

/** Makes every group a conversation and imports what is pending. */
export const IMPORT_ORIGINAL: readonly MigrationStep[] = [
  { text: "import the pending messages", run: importPending },
  { text: `drop ${PENDING_TABLE} when it is empty`, run: dropEmptyTable },
];
