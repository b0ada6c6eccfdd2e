/**
 * Only one node migrates at a time.
 *
 * On SQLite the whole migration is one transaction, and that is the lock. On MySQL a named lock does it, which belongs to a
 * connection and goes with it, be its process killed. On a Galera cluster a named lock counts on one server only, where it
 * is allowed at all; there a row says who has it and until when, and whoever has it keeps saying so.
 *
 * @module
 */
import { DatabaseError, errorText, EXIT, FatalError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Database, SqlConnection } from "./database.ts";
import { isGalera } from "./mysql_schema.ts";

/** How long one attempt to get the lock waits on the server, in seconds: below every time-out of a query. */
const ATTEMPT_S = 2;
/** After this many attempts, ten minutes, something is wrong with the node that has the lock. */
const ATTEMPTS = 300;
/** The named lock: locks belong to the whole server, and their names have 64 characters at most. */
const NAME = "CONCAT('chatserver ', LEFT(SHA2(DATABASE(), 256), 32))";
/** How long the row counts after its holder was last heard of, ms; it says so three times as often. */
const LEASE_MS = 30_000;
/** The server's clock, ms since the epoch. */
const NOW = "ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000)";

/** Runs one step's work in its own transaction, or as part of the one that is the lock. */
export type InStep = <Result>(work: (conn: SqlConnection) => Promise<Result>) => Promise<Result>;

/** Runs `work` while no other node migrates. A pool must have two connections: one may do nothing but hold the lock. */
export async function underLock<Result>(
  db: Database,
  logger: Logger,
  work: (inStep: InStep) => Promise<Result>,
): Promise<Result> {
  if (db.dialect.name === "sqlite") return await db.transaction((tx) => work((step) => step(tx)));
  return await isGalera(db) ? await underLease(db, logger, work) : await underName(db, logger, work);
}

/** DDL would commit any transaction: the steps run on another connection than the lock's. */
function underName<Result>(
  db: Database,
  logger: Logger,
  work: (inStep: InStep) => Promise<Result>,
): Promise<Result> {
  return db.transaction(async (holder) => {
    await insist(logger, async () => {
      const [row] = await holder.query<{ got: number | null }>(
        `SELECT GET_LOCK(${NAME}, ${ATTEMPT_S}) AS got`,
      );
      return row?.got === 1;
    });
    try {
      return await work(async (step) => {
        // With its connection gone the lock is gone, and another node may be at work already.
        const [row] = await holder.query<{ held: number | null }>(
          `SELECT IS_USED_LOCK(${NAME}) = CONNECTION_ID() AS held`,
        );
        if (row?.held !== 1) throw lockLost();
        return await db.transaction(step);
      });
    } finally {
      await letGo(logger, holder.query(`SELECT RELEASE_LOCK(${NAME})`));
    }
  });
}

async function underLease<Result>(
  db: Database,
  logger: Logger,
  work: (inStep: InStep) => Promise<Result>,
): Promise<Result> {
  const holder = crypto.randomUUID();
  await db.run(
    "CREATE TABLE IF NOT EXISTS MigrationLease (id TINYINT NOT NULL PRIMARY KEY, holder CHAR(36) NOT NULL, " +
      "until BIGINT NOT NULL) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET ascii COLLATE ascii_bin",
  );
  await insist(logger, () => takeLease(db, holder));
  const renew = async (conn: SqlConnection) => {
    const { changes } = await conn.run(
      `UPDATE MigrationLease SET until = ${NOW} + ${LEASE_MS} WHERE id = 1 AND holder = ?`,
      [holder],
    );
    return changes > 0;
  };
  // While a step takes its time. A step that changes a table holds all writes of the cluster up, and so the others' too.
  const renewal = setInterval(() => {
    renew(db).catch((error) =>
      logger.debug("cannot renew the lock on the migration", { reason: errorText(error) })
    );
  }, LEASE_MS / 3);
  try {
    return await work((step) =>
      db.transaction(async (tx) => {
        // In the step's transaction: of two who both believe to have the lock, one cannot commit.
        if (!await renew(tx)) throw lockLost();
        return await step(tx);
      })
    );
  } finally {
    clearInterval(renewal);
    await letGo(logger, db.run("DELETE FROM MigrationLease WHERE holder = ?", [holder]));
  }
}

async function takeLease(db: Database, holder: string): Promise<boolean> {
  // Assignments count from left to right: the time is renewed only for whom the row then names.
  await db.run(
    `INSERT INTO MigrationLease (id, holder, until) VALUES (1, ?, ${NOW} + ${LEASE_MS}) ON DUPLICATE KEY UPDATE ` +
      `holder = IF(until < ${NOW}, VALUES(holder), holder), until = IF(holder = VALUES(holder), VALUES(until), until)`,
    [holder],
  );
  const [row] = await db.query<{ holder: string }>("SELECT holder FROM MigrationLease WHERE id = 1");
  if (row?.holder === holder) return true;
  await new Promise((resolve) => setTimeout(resolve, ATTEMPT_S * 1_000));
  return false;
}

async function insist(logger: Logger, take: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await take()) return;
    if (attempt === 0) logger.info("another node is upgrading the database; waiting for it");
  }
  throw new FatalError(
    EXIT.unavailable,
    `Another node has been upgrading the database for ${ATTEMPTS * ATTEMPT_S / 60} minutes`,
  );
}

function lockLost(): DatabaseError {
  return new DatabaseError("unavailable", "the lock on the migration was lost");
}

/** On a connection that is gone the lock is gone with it; what went wrong before must not be hidden by that. */
async function letGo(logger: Logger, released: Promise<unknown>): Promise<void> {
  await released.catch((error: unknown) =>
    logger.debug("cannot release the lock on the migration", { reason: errorText(error) })
  );
}
