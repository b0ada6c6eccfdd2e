/**
 * Whether the database takes writes, found out by one.
 *
 * @module
 */
import type { Database } from "./database.ts";

/** Rows that nodes share, so that there are not more of them with every start, and hardly two nodes have the same. */
const SLOTS = 256;

/** The table Probe. */
export class WriteProbe {
  readonly #db: Database;
  readonly #slot = Math.floor(Math.random() * SLOTS);

  /** Writes to `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** Resolves when a row is changed and the change is durable; rejects with the reason otherwise. */
  async write(): Promise<void> {
    await this.#db.insert({
      into: "INSERT INTO Probe (slot, at)",
      rows: [[this.#slot, Date.now()]],
      tail: this.#db.dialect.upsert(["slot"], { at: "new.at" }),
    });
  }
}
