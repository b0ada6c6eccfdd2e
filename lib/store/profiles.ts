/**
 * What users say of themselves, and their own changes of the password.
 *
 * @module
 */
import { DatabaseError } from "../base/errors.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import { recordEvent } from "./admin_events.ts";
import type { Database, SqlValue } from "./database.ts";
import { endTokens } from "./tokens.ts";
import { ACTIVE } from "./users.ts";

/** A user as it shows itself. */
export interface Profile extends Record<string, SqlValue> {
  /** Identity, from 1. */
  id: number;
  /** Unique. */
  name: string;
  /** A line of text; mostly empty. */
  status: string;
}

/** What is to be another; what is left out stays. */
export interface ProfileChange {
  /** As typed. */
  name?: string;
  /** As it is to be shown. */
  status?: string;
}

/** Reads and writes User. */
export class Profiles {
  readonly #db: Database;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** The profile of this user. */
  async find(userId: number): Promise<Profile | undefined> {
    const [row] = await this.#db.query<Profile>(
      `SELECT id, name, status_text AS status FROM User WHERE id = ? AND status = ${ACTIVE}`,
      [userId],
    );
    return row;
  }

  /** Changes a profile; false: the name is another one's. */
  async change(userId: number, { name, status }: ProfileChange): Promise<boolean> {
    const columns: [string, SqlValue][] = [];
    if (name !== undefined) {
      const stored = normalizeName(name);
      columns.push(["name", stored], ["name_key", nameKey(stored)]);
    }
    if (status !== undefined) columns.push(["status_text", status]);
    if (columns.length === 0) return true;
    const places = columns.map(([column]) => `${column} = ?`).join(", ");
    try {
      await this.#db.run(`UPDATE User SET ${places} WHERE id = ? AND status = ${ACTIVE}`, [
        ...columns.map(([, value]) => value),
        userId,
      ]);
      return true;
    } catch (error) {
      if (error instanceof DatabaseError && error.kind === "duplicate") return false;
      throw error;
    }
  }

  /**
   * Puts `hash` in the place of the password stored as `old`, and makes all tokens worthless; whoever has logged in before is
   * to be sent away, as an operator's event of the same kind has it. Returns the event's id; undefined: the password, or the
   * account, has been changed meanwhile. `at`: ms since the epoch.
   */
  async changePassword(userId: number, old: string, hash: string, at: number): Promise<number | undefined> {
    try {
      return await this.#db.transaction(async (tx) => {
        const event = { at, actor: "the user", what: "password", userId, detail: {} } as const;
        const id = await recordEvent(tx, event);
        const { changes } = await tx.run(
          `UPDATE User SET password = ? WHERE id = ? AND password = ? AND status = ${ACTIVE}`,
          [hash, userId, old],
        );
        if (changes === 0) throw new ChangedMeanwhile();
        await endTokens(tx, userId);
        await tx.run("DELETE FROM AccessCode WHERE userid = ? AND kind = 'password'", [userId]);
        return id;
      });
    } catch (error) {
      if (error instanceof ChangedMeanwhile) return undefined;
      throw error;
    }
  }
}

/** Rolls a change of the password back. */
class ChangedMeanwhile extends Error {}
