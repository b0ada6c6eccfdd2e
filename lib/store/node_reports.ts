/**
 * What running nodes say of themselves when an operator asks: a question is a number that grows, which nodes read with the
 * events that they follow (admin_events.ts), and each answers with a row. It needs nothing but the database, and costs
 * nothing while nobody asks.
 *
 * @module
 */
import type { Database } from "./database.ts";

/** Answers that nobody has taken away are removed after so long, ms. */
const KEPT_MS = 60_000;
/** As the column has it, in characters. */
const NODE_MAX = 255;

/** A node's answer. */
export interface NodeReport {
  /** A number of the process. */
  origin: number;
  /** The node's name. */
  node: string;
  /** When it answered, ms since the epoch. */
  at: number;
  /** JSON. */
  body: string;
}

/** The table NodeReport, and the question's row of AdminCounter. */
export class NodeReports {
  readonly #db: Database;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** Asks all running nodes, and returns the number of the question. */
  ask(now: number): Promise<number> {
    return this.#db.transaction(async (tx) => {
      await tx.run("UPDATE AdminCounter SET last = last + 1 WHERE id = 2");
      const [row] = await tx.query<{ last: number }>("SELECT last FROM AdminCounter WHERE id = 2");
      await tx.run("DELETE FROM NodeReport WHERE at < ?", [now - KEPT_MS]);
      return row?.last ?? 0;
    });
  }

  /** A node's answer to a question; a second one changes nothing. */
  async answer(question: number, { origin, node, at, body }: NodeReport): Promise<void> {
    await this.#db.run(
      `${this.#db.dialect.insertIgnore} INTO NodeReport (question, origin, node, at, body) VALUES (?, ?, ?, ?, ?)`,
      [question, origin, node.slice(0, NODE_MAX), at, body],
    );
  }

  /** The answers so far to a question, or to one that was asked since: a node answers the newest. By the nodes' names. */
  async answers(question: number): Promise<NodeReport[]> {
    const rows = await this.#db.query<{ origin: number; node: string; at: number; body: string }>(
      "SELECT origin, node, at, body FROM NodeReport WHERE question >= ? ORDER BY node, origin, question",
      [question],
    );
    return [...new Map(rows.map((row) => [row.origin, row])).values()];
  }
}
