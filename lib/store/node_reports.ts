/**
 * What running nodes say of themselves when an operator asks: a question is a number that grows, which nodes read with the
 * events that they follow (admin_events.ts), and each answers with a row. Another row says that it runs, so that whoever
 * asks knows when all have answered. It needs nothing but the database, and costs nothing while nobody asks.
 *
 * @module
 */
import type { Database } from "./database.ts";

/** Answers that nobody has taken away are removed after so long, ms. */
const KEPT_MS = 60_000;
/** What nodes say without being asked: that they run. */
const PRESENT = 0;
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

  /** A node runs from now on, until it leaves. */
  async enter(node: Omit<NodeReport, "body">): Promise<void> {
    await this.#insert(PRESENT, { ...node, body: "{}" });
  }

  /** It does not any more. */
  async leave({ origin }: Pick<NodeReport, "origin">): Promise<void> {
    await this.#db.run("DELETE FROM NodeReport WHERE origin = ?", [origin]);
  }

  /** Asks all running nodes: the number of the question, and the origins of those that are to answer. */
  ask(now: number): Promise<{ question: number; running: number[] }> {
    return this.#db.transaction(async (tx) => {
      await tx.run("UPDATE AdminCounter SET last = last + 1 WHERE id = 2");
      const [row] = await tx.query<{ last: number }>("SELECT last FROM AdminCounter WHERE id = 2");
      await tx.run("DELETE FROM NodeReport WHERE at < ? AND question <> ?", [now - KEPT_MS, PRESENT]);
      const running = await tx.query<{ origin: number }>("SELECT origin FROM NodeReport WHERE question = ?", [
        PRESENT,
      ]);
      return { question: row?.last ?? 0, running: running.map(({ origin }) => origin) };
    });
  }

  /** A node's answer to a question; a second one changes nothing. It is known to run again, if it was not. */
  async answer(question: number, report: NodeReport): Promise<void> {
    await this.enter(report);
    await this.#insert(question, report);
  }

  async #insert(question: number, { origin, node, at, body }: NodeReport): Promise<void> {
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
