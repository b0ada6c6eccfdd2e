/**
 * Many small reads, each of which has a bound of its own, with few round trips.
 *
 * @module
 */
import { anotherTurn } from "../base/turn.ts";
import type { Condition, Database, Row } from "./database.ts";

/** Reads in one statement. */
const READS_PER_STATEMENT = 50;
/** Where each is a statement that nothing else can happen beside: before others have their turn. */
const READS_PER_TURN = 5;

/** The rows of all these SELECTs, which have the same columns, one after the other's. */
export async function queryAll<Shape extends Row>(
  db: Database,
  reads: readonly Condition[],
): Promise<Shape[]> {
  const rows: Shape[] = [];
  const atOnce = db.dialect.isBlocking ? READS_PER_TURN : READS_PER_STATEMENT;
  for (let start = 0; start < reads.length; start += atOnce) {
    if (start > 0) await anotherTurn();
    const some = reads.slice(start, start + atOnce);
    // There is no way to it, and the text of each is prepared once.
    if (db.dialect.isBlocking) {
      for (const { sql, params } of some) rows.push(...await db.query<Shape>(sql, params));
    } else {
      const union = some.map(({ sql }) => `(${sql})`).join(" UNION ALL ");
      rows.push(...await db.query<Shape>(union, some.flatMap(({ params }) => params)));
    }
  }
  return rows;
}
