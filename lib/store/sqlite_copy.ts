/**
 * A copy of the embedded database, made while a node has it open.
 *
 * @module
 */
import * as sqlite from "node:sqlite";
import { openSqlite } from "./sqlite.ts";
import { Timeline } from "./timeline.ts";

/**
 * All pages in one step: what other processes write between two steps makes SQLite begin again, and under load it would
 * never come to an end.
 */
const ALL_PAGES = 2_147_483_647;

/**
 * Writes a copy of the database at `source` as it is at this moment to `path`, where there must be nothing, and resolves
 * with its length in bytes once it is on the disk. Nodes write on meanwhile; SQLite keeps what they write in `-wal` until
 * the copy is made.
 *
 * The copy's history has a name of its own, the table Epoch: a client that meets it has to know that what it has seen
 * since is not there, and that its places will be given out again.
 *
 * Rejects when that cannot be done; no copy is there then.
 */
export async function copySqlite(source: string, path: string): Promise<number> {
  const part = `${path}.part`;
  // As a database is made: it holds password hashes and private messages.
  (await Deno.open(part, { createNew: true, write: true, mode: 0o600 })).close();
  try {
    await copyPages(source, part);
    await renameHistory(part);
    using file = await Deno.open(part, { read: true, write: true });
    await file.sync();
    const { size } = await file.stat();
    // Unlike a rename it takes the place of nothing that has come there meanwhile.
    await Deno.link(part, path);
    return size;
  } finally {
    await Deno.remove(part);
  }
}

async function copyPages(source: string, path: string): Promise<void> {
  // VACUUM INTO would do as well, but attaches a file, which its permissions do not allow.
  const backup: unknown = Reflect.get(sqlite, "backup");
  if (typeof backup !== "function") throw new Error("this version of Deno is too old for it: 2.9 is not");
  const db = new sqlite.DatabaseSync(source);
  try {
    await backup(db, path, { rate: ALL_PAGES });
  } finally {
    db.close();
  }
}

async function renameHistory(path: string): Promise<void> {
  const copy = openSqlite(path);
  try {
    const [row] = await copy.query<{ quick_check: string }>("PRAGMA quick_check(1)");
    if (row?.quick_check !== "ok") throw new Error(`the copy is not sound: ${row?.quick_check}`);
    const timeline = new Timeline(copy);
    await timeline.changeEpoch(await timeline.epoch());
  } finally {
    // Moves what stands in -wal into the file and removes it.
    await copy.close();
  }
}
