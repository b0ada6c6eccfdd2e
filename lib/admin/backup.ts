/**
 * Commands about backups: one makes a copy of the embedded database, the other says that a database is one.
 *
 * @module
 */
import { type AdminContext, eventOf, misuse, refuse, type Result } from "./context.ts";
import { errorText } from "../base/errors.ts";
import { recordEvent } from "../store/admin_events.ts";
import { copySqlite } from "../store/sqlite_copy.ts";
import { Timeline } from "../store/timeline.ts";

const MIB = 1_048_576;

/** `backup PATH`. */
export async function backUp(context: AdminContext, [path = ""]: readonly string[]): Promise<Result> {
  const { db, options: { sqlitePath } } = context;
  if (db.dialect.name === "mysql") {
    throw misuse(
      "backup copies SQLite only. MySQL and MariaDB: mysqldump --single-transaction, and when it has been restored " +
        "admin restored.",
    );
  }
  if (path === "") throw misuse("backup needs a path.");
  if (await isThere(path)) throw refuse(`There is something at ${JSON.stringify(path)} already`);
  // Before the copy is made, so that it stands in both.
  await db.transaction((tx) => recordEvent(tx, eventOf(context, "backup", null, { path })));
  let bytes: number;
  try {
    bytes = await copySqlite(sqlitePath, path);
  } catch (error) {
    throw refuse(`Cannot copy ${JSON.stringify(sqlitePath)} to ${JSON.stringify(path)}: ${errorText(error)}`);
  }
  const size = bytes < MIB ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / MIB)} MiB`;
  return { lines: [`${path}: ${size}, checked and on the disk.`], json: { path, bytes } };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw refuse(`Cannot look at ${JSON.stringify(path)}: ${errorText(error)}`);
  }
}

/** `restored`: the log's history gets another name, by which clients learn that it is not the one they know. */
export async function restored(context: AdminContext): Promise<Result> {
  const { db } = context;
  await db.transaction((tx) => recordEvent(tx, eventOf(context, "restored", null)));
  const timeline = new Timeline(db);
  const epoch = await timeline.changeEpoch(await timeline.epoch());
  return {
    lines: ["Clients read anew what is here. Nodes that run place their users anew within 15 seconds."],
    json: { epoch },
  };
}
