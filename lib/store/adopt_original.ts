/**
 * Takes over a MySQL database made by the original C++ server: its tables get the form that sql/mysql/0002_tables.sql
 * gives a new database, in place, with all their rows, ids and columns of others.
 *
 * Deployments differ: dumps with lower-case table names, keys left out, rows twice, MyISAM, any character set. So every
 * step looks at what is there; one that was cut off looks again and does the rest.
 *
 * @module
 */

import { EXIT, FatalError } from "../base/errors.ts";
import { MAX_KEY_BYTES, nameKey } from "../protocol/names.ts";
import type { SqlConnection, SqlValue } from "./database.ts";
import type { MigrationStep } from "./migration_step.ts";
import { columnsOf, findTables, hasTable, type Index, indexesOf } from "./mysql_schema.ts";

/** The original's tables with the columns it made. */
const ORIGINAL_TABLES: ReadonlyMap<string, readonly string[]> = new Map([
  ["User", ["id", "name", "password", "state"]],
  ["Friend", ["userid", "friendid"]],
  ["AllGroup", ["id", "groupname", "groupdesc"]],
  ["GroupUser", ["groupid", "userid", "grouprole"]],
  ["OfflineMessage", ["userid", "message"]],
]);

/** Tables it did not have. */
const NEW_TABLES = [
  "Conversation",
  "Message",
  "Member",
  "Token",
  "Cluster",
  "Version",
  "Reaction",
  "ReactionCount",
  "Pin",
  "Mention",
];

/** Where the original's pending messages wait to be imported, and those that cannot be stay. */
export const PENDING_TABLE = "OfflineMessage_original";

/** The clauses that make a table what every table here is. */
const TABLE_FORM = [
  "ENGINE = InnoDB",
  "ROW_FORMAT = DYNAMIC",
  "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
];

/** Rows whose key is set by one statement. */
const KEYS_PER_STATEMENT = 500;

/**
 * Gives a table the form of all; does no harm again. By itself, because MariaDB 10.5 refuses to convert a table and to
 * modify a column of a foreign key in one statement.
 */
async function convert(conn: SqlConnection, table: string, clauses: readonly string[] = []): Promise<void> {
  await conn.run(`ALTER TABLE \`${table}\` ${[...TABLE_FORM, ...clauses].join(", ")}`);
}

/** Runs an ALTER TABLE; one that a killed migration left running on the server may have come first, and that is fine. */
async function alter(
  conn: SqlConnection,
  table: string,
  clauses: readonly string[],
  isDone: () => Promise<boolean>,
): Promise<void> {
  try {
    await conn.run(`ALTER TABLE \`${table}\` ${clauses.join(", ")}`);
  } catch (error) {
    if (!await isDone()) throw error;
  }
}

/** Refuses a database in which tables of these names are somebody else's. */
async function checkTables(conn: SqlConnection): Promise<void> {
  for (const name of NEW_TABLES) {
    const [found] = await findTables(conn, name);
    if (found) {
      throw new FatalError(
        EXIT.config,
        `The database has a table ${found.name} that this server did not make; give it a database of its own`,
      );
    }
  }
  for (const [name, needed] of ORIGINAL_TABLES) {
    const tables = (await findTables(conn, name)).filter(({ isView }) => !isView);
    if (tables.length > 1) {
      throw new FatalError(
        EXIT.config,
        `The database has the tables ${tables.map((table) => table.name).join(" and ")}; keep one of them`,
      );
    }
    for (const table of tables) {
      const columns = await columnsOf(conn, table.name);
      const missing = needed.filter((column) => !columns.has(column));
      if (missing.length > 0) {
        throw new FatalError(
          EXIT.config,
          `The database has a table ${table.name} without the column ${missing.join(", ")}: ` +
            "it is not a chat server's; give this one a database of its own",
        );
      }
    }
  }
}

/** Gives tables of a dump with lower-case names their names back, and puts the pending messages aside. */
async function renameTables(conn: SqlConnection): Promise<void> {
  for (const name of ORIGINAL_TABLES.keys()) {
    const target = name === "OfflineMessage" ? PENDING_TABLE : name;
    const [table] = (await findTables(conn, name)).filter(({ isView }) => !isView);
    if (!table || await hasTable(conn, target)) continue;
    await conn.run(`RENAME TABLE \`${table.name}\` TO \`${target}\``);
  }
}

/** `column VARCHAR(n) NOT NULL`, wide enough for what is there: a deployment may have widened it. */
async function modifyText(
  conn: SqlConnection,
  table: string,
  column: string,
  width: number,
  rest = "",
): Promise<string> {
  const [row] = await conn.query<{ longest: number | null }>(
    `SELECT MAX(CHAR_LENGTH(${column})) AS longest FROM \`${table}\``,
  );
  return `MODIFY ${column} VARCHAR(${Math.max(width, row?.longest ?? 0)}) NOT NULL${rest}`;
}

/**
 * The index on a name. Group names had no unique key everywhere, and some collations told names apart that differ in
 * trailing spaces only, which utf8mb4_bin does not: such rows stay as they are, and the key columns alone see to it that
 * no further name is taken twice.
 */
async function indexName(
  conn: SqlConnection,
  table: string,
  column: string,
): Promise<{ drop: string[]; add: string[] }> {
  const [same] = await conn.query(
    `SELECT COUNT(*) AS n FROM \`${table}\` GROUP BY CONVERT(${column} USING utf8mb4) COLLATE utf8mb4_bin ` +
      "HAVING COUNT(*) > 1 LIMIT 1",
  );
  const existing = (await indexesOf(conn, table)).filter(({ columns }) => columns.join() === column);
  if (!same) {
    return { drop: [], add: existing.some(({ isUnique }) => isUnique) ? [] : [`ADD UNIQUE KEY (${column})`] };
  }
  const drop = existing.filter(({ isUnique }) => isUnique).map(({ name }) => `DROP KEY \`${name}\``);
  return { drop, add: existing.length > drop.length ? [] : [`ADD KEY (${column})`] };
}

/** User or AllGroup: a table with ids and names. */
async function adoptNamedTable(
  conn: SqlConnection,
  table: string,
  nameColumn: string,
  modify: () => Promise<string[]>,
): Promise<string | void> {
  const keyColumn = `${nameColumn}_key`;
  const isDone = async () => (await columnsOf(conn, table)).has(keyColumn);
  if (!await hasTable(conn, table) || await isDone()) return;
  const { drop, add } = await indexName(conn, table, nameColumn);
  // A unique key that will not hold goes with the character set in which it held.
  await convert(conn, table, drop);
  await alter(conn, table, [
    await modifyText(conn, table, nameColumn, 50),
    ...await modify(),
    ...add,
    `ADD COLUMN ${keyColumn} VARBINARY(${MAX_KEY_BYTES}) NULL AFTER ${nameColumn}`,
    `ADD UNIQUE KEY (${keyColumn})`,
  ], isDone);
  const [row] = await conn.query<{ n: number }>(`SELECT COUNT(*) AS n FROM \`${table}\``);
  return `${table} has its new form, with ${row?.n} rows of the original server`;
}

function adoptUser(conn: SqlConnection): Promise<string | void> {
  return adoptNamedTable(conn, "User", "name", async () => {
    await conn.run("UPDATE User SET state = 'offline' WHERE state IS NULL OR state <> 'offline'");
    const isIndexed = (await indexesOf(conn, "User")).some(({ columns }) => columns[0] === "state");
    return [
      await modifyText(conn, "User", "password", 255),
      "MODIFY state ENUM('online', 'offline') NOT NULL DEFAULT 'offline'",
      ...(isIndexed ? [] : ["ADD KEY (state)"]),
    ];
  });
}

function adoptAllGroup(conn: SqlConnection): Promise<string | void> {
  return adoptNamedTable(conn, "AllGroup", "groupname", async () => {
    await conn.run("UPDATE AllGroup SET groupdesc = '' WHERE groupdesc IS NULL");
    return [await modifyText(conn, "AllGroup", "groupdesc", 200, " DEFAULT ''")];
  });
}

/** A table of pairs that may have no key, and so a pair twice. */
interface PairTable {
  name: string;
  /** Its two columns. */
  pair: readonly [string, string];
  /** Puts values that the new column type does not know in order. */
  repair?: string;
  /** Of rows with the same pair, those for which this is greatest stay. */
  precedence?: string;
  /** Further clauses of ALTER TABLE. */
  clauses: readonly string[];
  /** A column to be indexed by itself. */
  indexed?: string;
}

const PAIR_TABLES: readonly PairTable[] = [
  { name: "Friend", pair: ["userid", "friendid"], clauses: [] },
  {
    name: "GroupUser",
    pair: ["groupid", "userid"],
    repair: "UPDATE GroupUser SET grouprole = 'normal' " +
      "WHERE grouprole IS NULL OR grouprole NOT IN ('creator', 'normal')",
    precedence: "grouprole = 'creator'",
    clauses: ["MODIFY grouprole ENUM('creator', 'normal') NOT NULL DEFAULT 'normal'"],
    indexed: "userid",
  },
];

/** An index of the pair for the time of looking for repeated rows, and transactions for removing them. */
async function preparePairs(conn: SqlConnection, { name, pair }: PairTable): Promise<void> {
  if (!await hasTable(conn, name)) return;
  const isDone = async () =>
    (await indexesOf(conn, name)).some(({ columns }) => columns.join() === pair.join());
  if (await isDone()) await conn.run(`ALTER TABLE \`${name}\` ENGINE = InnoDB`);
  else await alter(conn, name, ["ENGINE = InnoDB", `ADD KEY upgrade_pair (${pair.join()})`], isDone);
}

async function removeRepeatedPairs(conn: SqlConnection, table: PairTable): Promise<string | void> {
  const { name, pair: [first, second], repair, precedence } = table;
  if (!await hasTable(conn, name)) return;
  await conn.run(`DELETE FROM \`${name}\` WHERE ${first} IS NULL OR ${second} IS NULL`);
  if (repair) await conn.run(repair);
  const repeated = await conn.query<{ a: number; b: number; n: number }>(
    `SELECT ${first} AS a, ${second} AS b, COUNT(*) AS n FROM \`${name}\` ` +
      `GROUP BY ${first}, ${second} HAVING COUNT(*) > 1`,
  );
  for (const { a, b, n } of repeated) {
    await conn.run(
      `DELETE FROM \`${name}\` WHERE ${first} = ? AND ${second} = ? ` +
        `${precedence ? `ORDER BY ${precedence} ` : ""}LIMIT ${n - 1}`,
      [a, b],
    );
  }
  if (repeated.length > 0) return `${name} had ${repeated.length} pairs more than once`;
}

async function adoptPairs(conn: SqlConnection, table: PairTable): Promise<void> {
  const { name, pair, clauses, indexed } = table;
  if (!await hasTable(conn, name)) return;
  const columns = await columnsOf(conn, name);
  const indexes = await indexesOf(conn, name);
  await convert(conn, name);
  const changes = [...clauses];
  for (const column of pair) {
    // Other integer types stay, for foreign keys' sake.
    const isInt = /^int(\(\d+\))?$/.test(columns.get(column)?.type ?? "");
    if (isInt) changes.push(`MODIFY ${column} INT NOT NULL`);
  }
  // A deployment that numbers its rows keeps that as its primary key.
  const key = [...columns.values()].some(({ isAutoIncrement }) => isAutoIncrement) ? "UNIQUE" : "PRIMARY";
  const isWanted = (index: Index) => key === "PRIMARY" ? index.name === key : index.isUnique;
  const samePair = indexes.filter((index) => index.columns.join() === pair.join());
  for (const index of samePair) if (!isWanted(index)) changes.push(`DROP KEY \`${index.name}\``);
  if (!samePair.some(isWanted)) {
    if (key === "PRIMARY" && indexes.some(isWanted)) changes.push("DROP PRIMARY KEY");
    changes.push(`ADD ${key} KEY (${pair.join()})`);
  }
  if (indexed && !indexes.some((index) => index.columns[0] === indexed)) changes.push(`ADD KEY (${indexed})`);
  await alter(conn, name, changes, async () => {
    const same = (await indexesOf(conn, name)).filter((index) => index.columns.join() === pair.join());
    return same.length > 0 && same.every(isWanted);
  });
}

/** The column that numbers the pending messages in the order they came; undefined when there is no such table. */
export async function positionColumn(conn: SqlConnection): Promise<string | undefined> {
  if (!await hasTable(conn, PENDING_TABLE)) return undefined;
  for (const [name, { isAutoIncrement }] of await columnsOf(conn, PENDING_TABLE)) {
    if (isAutoIncrement) return name;
  }
  return undefined;
}

/** MySQL numbers the rows in the order in which they lie in the table, which is the order in which they came. */
async function numberPending(conn: SqlConnection): Promise<void> {
  if (!await hasTable(conn, PENDING_TABLE)) return;
  const isNumbered = async () => await positionColumn(conn) !== undefined;
  const clauses = [...TABLE_FORM];
  if (!await isNumbered()) clauses.push("ADD COLUMN position BIGINT NOT NULL AUTO_INCREMENT UNIQUE FIRST");
  await alter(conn, PENDING_TABLE, clauses, isNumbered);
}

/** Sets the keys of names that have none, by id; a name whose key an earlier one has stays without. */
async function setNameKeys(conn: SqlConnection, table: string, nameColumn: string): Promise<string | void> {
  if (!await hasTable(conn, table)) return;
  const keyColumn = `${nameColumn}_key`;
  const rows = await conn.query<{ id: number; name: string }>(
    `SELECT id, ${nameColumn} AS name FROM \`${table}\` WHERE ${keyColumn} IS NULL ORDER BY id`,
  );
  const taken = new Set<string>();
  const keys: { id: number; key: Uint8Array }[] = [];
  for (const { id, name } of rows) {
    const key = nameKey(name);
    const text = key.join();
    if (taken.has(text) || key.length > MAX_KEY_BYTES) continue;
    taken.add(text);
    keys.push({ id, key });
  }
  for (let start = 0; start < keys.length; start += KEYS_PER_STATEMENT) {
    const some = keys.slice(start, start + KEYS_PER_STATEMENT);
    const params: SqlValue[] = some.flatMap(({ id, key }) => [id, key]);
    await conn.run(
      `UPDATE \`${table}\` SET ${keyColumn} = CASE id ${"WHEN ? THEN ? ".repeat(some.length)}END ` +
        `WHERE id IN (${some.map(() => "?").join()})`,
      [...params, ...some.map(({ id }) => id)],
    );
  }
  const without = rows.length - keys.length;
  if (without > 0) {
    return `${table}: ${without} names differ from an earlier one only in case or composition; kept`;
  }
}

function step(text: string, run: (conn: SqlConnection) => Promise<string | void>): MigrationStep {
  return { text, run };
}

/** Brings the original's tables, those that there are, into their new form. */
export const ADOPT_ORIGINAL: readonly MigrationStep[] = [
  step("look for tables of other programs", checkTables),
  step("rename the original server's tables", renameTables),
  step("give User its new form", adoptUser),
  step("give AllGroup its new form", adoptAllGroup),
  ...PAIR_TABLES.flatMap((table) => [
    step(`index ${table.name} for its upgrade`, (conn) => preparePairs(conn, table)),
    step(`remove repeated rows from ${table.name}`, (conn) => removeRepeatedPairs(conn, table)),
    step(`give ${table.name} its new form`, (conn) => adoptPairs(conn, table)),
  ]),
  step("number the pending messages", numberPending),
  step("set the keys of users' names", (conn) => setNameKeys(conn, "User", "name")),
  step("set the keys of groups' names", (conn) => setNameKeys(conn, "AllGroup", "groupname")),
];
