/**
 * Gives names that were stored under an older rule the keys of the present one.
 *
 * @module
 */
import { MAX_KEY_BYTES, nameKey } from "../protocol/names.ts";
import type { SqlConnection } from "./database.ts";
import type { MigrationStep, StepContext } from "./migration_step.ts";

/** Rows that are read at a time. */
const PAGE = 1_000;

/** One step a table. */
export const NAME_KEYS: readonly MigrationStep[] = [
  { text: "compute the keys of users' names", run: (conn, context) => renew(conn, context, "User", "name") },
  {
    text: "compute the keys of groups' names",
    run: (conn, context) => renew(conn, context, "AllGroup", "groupname"),
  },
];

/**
 * A name whose new key is another one's keeps the key it has: its owner is known by id. Such a key takes no name from
 * anybody, since it is no name's key by the present rule.
 */
async function renew(
  conn: SqlConnection,
  { logger }: StepContext,
  table: string,
  column: string,
): Promise<string | void> {
  let renewed = 0;
  let kept = 0;
  for (let last = 0, isMore = true; isMore;) {
    const rows = await conn.query<{ id: number; name: string; name_key: Uint8Array | null }>(
      `SELECT id, ${column} AS name, ${column}_key AS name_key FROM ${table} WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
      [last],
    );
    for (const { id, name, name_key } of rows) {
      last = id;
      const key = nameKey(name);
      if (name_key === null || key.join() === name_key.join()) continue;
      if (
        key.length > MAX_KEY_BYTES ||
        (await conn.query(`SELECT id FROM ${table} WHERE ${column}_key = ?`, [key])).length > 0
      ) kept++;
      else {
        await conn.run(`UPDATE ${table} SET ${column}_key = ? WHERE id = ?`, [key, id]);
        renewed++;
      }
    }
    isMore = rows.length === PAGE;
  }
  if (kept > 0) {
    logger.warn("names that another one is the same as keep their old keys", { table, names: kept });
  }
  if (renewed > 0) return `${renewed} names of the table ${table} have new keys`;
}
