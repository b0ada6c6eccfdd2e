/**
 * Brings a database up to date: the numbered files of sql/ and, for what SQL cannot do, numbered code.
 *
 * Each step (a statement, a piece of code) is recorded in the table Migration in the transaction that did it. On SQLite
 * a whole migration is one transaction. On MySQL every DDL statement commits by itself; a migration that failed or was
 * killed goes on at the step it was at.
 *
 * @module
 */

import { DatabaseError, errorText, EXIT, FatalError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { adminColumns, administratorColumn } from "./admin_columns.ts";
import { ADOPT_ORIGINAL } from "./adopt_original.ts";
import { clusterSecret } from "./cluster_secret.ts";
import type { Database, Dialect, SqlConnection } from "./database.ts";
import { entryColumns } from "./entry_columns.ts";
import { groupColumns } from "./group_columns.ts";
import { deviceColumns } from "./device_columns.ts";
import { IMPORT_ORIGINAL } from "./import_original.ts";
import { type InStep, underLock } from "./migration_lock.ts";
import type { MigrationStep, StepContext } from "./migration_step.ts";
import { NAME_KEYS } from "./name_keys.ts";
import { hasTable } from "./mysql_schema.ts";
import { hiddenMarkColumns, mutedColumn, peopleColumns } from "./people_columns.ts";

/** A migration with its steps. */
interface Migration {
  name: string;
  steps: readonly MigrationStep[];
}

/**
 * In this order, for ever: new ones come at the end. Those without code are files of that name under sql/mysql and
 * sql/sqlite. The original server had MySQL only: what is about its databases has no steps on SQLite.
 */
const SEQUENCE: readonly { name: string; code?: (dialect: Dialect["name"]) => readonly MigrationStep[] }[] = [
  { name: "0001_adopt_original", code: (dialect) => dialect === "mysql" ? ADOPT_ORIGINAL : [] },
  { name: "0002_tables" },
  { name: "0003_import_original", code: (dialect) => dialect === "mysql" ? IMPORT_ORIGINAL : [] },
  { name: "0004_offline_message" },
  { name: "0005_epoch" },
  { name: "0006_cluster_secret", code: clusterSecret },
  { name: "0007_probe" },
  { name: "0008_name_keys", code: () => NAME_KEYS },
  { name: "0009_entry_columns", code: entryColumns },
  { name: "0009_entry_tables" },
  { name: "0010_device_columns", code: deviceColumns },
  { name: "0010_devices" },
  { name: "0011_admin" },
  { name: "0012_admin_columns", code: adminColumns },
  { name: "0013_block" },
  { name: "0014_people_columns", code: peopleColumns },
  { name: "0015_offline_message" },
  { name: "0016_administrator", code: administratorColumn },
  { name: "0018_muted", code: mutedColumn },
  { name: "0019_node_reports" },
  { name: "0020_group_columns", code: groupColumns },
  { name: "0021_groups" },
  { name: "0022_deletions" },
  { name: "0023_hidden_marks", code: hiddenMarkColumns },
  { name: "0024_message_cid" },
];

/** Options of {@linkcode migrate}. */
export interface MigrateOptions {
  /** The clock, ms since the epoch. */
  now?: () => number;
}

/** The statements of a file; each ends with a semicolon at the end of a line, comments have lines of their own. */
function splitStatements(file: string): string[] {
  return file.replace(/^\s*--.*$/gm, "").split(/;\s*$/m).map((text) => text.trim()).filter((text) =>
    text !== ""
  );
}

async function loadFile(dialect: Dialect["name"], name: string): Promise<MigrationStep[]> {
  // Relative to this file, so that it is found inside a compiled binary too.
  const file = await Deno.readTextFile(new URL(`../../sql/${dialect}/${name}.sql`, import.meta.url));
  return splitStatements(file).map((text) => ({
    text,
    async run(conn) {
      await conn.run(text);
    },
  }));
}

function loadMigrations(dialect: Dialect["name"]): Promise<Migration[]> {
  return Promise.all(SEQUENCE.map(async ({ name, code }) => {
    return { name, steps: code ? code(dialect) : await loadFile(dialect, name) };
  }));
}

async function isRecorded(conn: SqlConnection, dialect: Dialect["name"]): Promise<boolean> {
  if (dialect === "mysql") return await hasTable(conn, "Migration");
  const rows = await conn.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'Migration'");
  return rows.length > 0;
}

/** The number of steps done, by migration; refuses a database that a newer version has been at. */
async function readDone(conn: SqlConnection, dialect: Dialect["name"]): Promise<Map<string, number>> {
  if (!await isRecorded(conn, dialect)) return new Map();
  const rows = await conn.query<{ name: string; done: number }>(
    "SELECT name, MAX(statement) AS done FROM Migration GROUP BY name",
  );
  const unknown = rows.map(({ name }) => name).filter((name) =>
    !SEQUENCE.some((migration) => migration.name === name)
  );
  if (unknown.length > 0) {
    throw new FatalError(
      EXIT.config,
      `The database was upgraded by a newer version of this program (migration ${
        unknown.sort().join(", ")
      }); ` +
        "run that version",
    );
  }
  return new Map(rows.map(({ name, done }) => [name, done]));
}

function isDone({ name, steps }: Migration, done: ReadonlyMap<string, number>): boolean {
  return (done.get(name) ?? 0) >= steps.length;
}

async function createRecord(conn: SqlConnection, dialect: Dialect["name"]): Promise<void> {
  const form = dialect === "mysql"
    ? " ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    : "";
  await conn.run(
    "CREATE TABLE IF NOT EXISTS Migration (name VARCHAR(100) NOT NULL, statement INT NOT NULL, " +
      `applied BIGINT NOT NULL, PRIMARY KEY (name, statement))${form}`,
  );
}

/** The error as one that ends the program. */
function fatal(message: string, error: unknown): FatalError {
  const isAway = error instanceof DatabaseError && error.kind === "unavailable";
  const exitCode = error instanceof FatalError ? error.exitCode : isAway ? EXIT.unavailable : EXIT.failure;
  return new FatalError(exitCode, `${message}: ${errorText(error)}`, { cause: error });
}

function stepError({ name, steps }: Migration, index: number, error: unknown): FatalError {
  const text = steps[index]?.text.replace(/\s+/g, " ");
  return fatal(`Migration ${name} failed at statement ${index + 1} of ${steps.length} (${text})`, error);
}

/** Does what is left of a migration and says what that was. */
async function apply(
  migration: Migration,
  done: number,
  inStep: InStep,
  context: StepContext,
): Promise<string[]> {
  const { name, steps } = migration;
  const lines: string[] = [];
  for (const [index, step] of steps.entries()) {
    if (index < done) continue;
    try {
      const line = await inStep(async (conn) => {
        const line = await step.run(conn, context);
        await conn.run("INSERT INTO Migration (name, statement, applied) VALUES (?, ?, ?)", [
          name,
          index + 1,
          context.now(),
        ]);
        return line;
      });
      if (line) lines.push(`${name}: ${line}`);
    } catch (error) {
      throw stepError(migration, index, error);
    }
  }
  if (lines.length > 0) return lines;
  return [done === 0 ? `${name}: done` : `${name}: done from statement ${done + 1} on`];
}

/** The migrations that {@linkcode migrate} would run, by name; changes nothing. */
export async function pendingMigrations(db: Database): Promise<string[]> {
  const { name } = db.dialect;
  try {
    const done = await readDone(db, name);
    return (await loadMigrations(name)).filter((migration) => !isDone(migration, done)).map(({ name }) =>
      name
    );
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw fatal("Cannot read which version the database has", error);
  }
}

async function bringUpToDate(db: Database, logger: Logger, now: () => number): Promise<string[]> {
  const dialect = db.dialect.name;
  const migrations = await loadMigrations(dialect);
  const before = await readDone(db, dialect);
  if (migrations.every((migration) => isDone(migration, before))) return [];
  return await underLock(db, logger, async (inStep) => {
    await inStep((conn) => createRecord(conn, dialect));
    // Again, now that nobody else is at work.
    const done = await inStep((conn) => readDone(conn, dialect));
    const lines: string[] = [];
    for (const migration of migrations) {
      if (isDone(migration, done)) continue;
      lines.push(...await apply(migration, done.get(migration.name) ?? 0, inStep, { logger, now }));
    }
    return lines;
  });
}

/**
 * Brings the database up to date, whether it is empty, of an earlier version, or of the original C++ server. Any number
 * of nodes may do so at once: one works, the others wait for it.
 *
 * Returns what was done, a line each; nothing when it was up to date.
 *
 * @throws {FatalError} naming the migration, the statement and the database's reason; or when the database belongs to a
 * newer version or another program.
 */
export async function migrate(
  db: Database,
  logger: Logger,
  { now = Date.now }: MigrateOptions = {},
): Promise<string[]> {
  try {
    return await bringUpToDate(db, logger, now);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw fatal("Cannot bring the database up to date", error);
  }
}
