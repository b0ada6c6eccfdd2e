/**
 * What users log in on from version 3 on.
 *
 * @module
 */
import type { ConversationId } from "../protocol/protocol.ts";
import type { Database, SqlConnection } from "./database.ts";
import { Lookup } from "./lookup.ts";
import { lockUser } from "./users.ts";

/** Rows in one statement. */
const ROWS_PER_STATEMENT = 500;

/** A device as it is stored. */
export interface DeviceRow extends Record<string, string | number | Uint8Array> {
  /** Identity, from 1. */
  id: number;
  /** Whose. */
  userid: number;
  /** As its user calls it. */
  name: string;
  /** ms since the epoch. */
  created: number;
  /** When it last logged in or went, ms since the epoch. */
  seen: number;
  /** The SHA-256 of its tokens, 32 bytes each: see chat/device_desk.ts. */
  tokens: Uint8Array;
  /** When the last of them was given out, ms since the epoch; grows with each. */
  issued: number;
  /** Until when they are good, ms since the epoch; 0: they are worthless. */
  expires: number;
}

/** Other tokens for a device. */
export interface Rotation {
  /** Device id. */
  id: number;
  /** What the row's `issued` was. */
  before: number;
  /** As in {@link DeviceRow}. */
  issued: number;
  /** As in {@link DeviceRow}. */
  tokens: Uint8Array;
  /** As in {@link DeviceRow}. */
  seen: number;
  /** As in {@link DeviceRow}. */
  expires: number;
}

const COLUMNS = "id, userid, name, created, seen, tokens, issued, expires";

/** The tables Device and DeviceCursor. */
export class Devices {
  readonly #db: Database;
  readonly #byId: Lookup<number, DeviceRow>;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
    this.#byId = new Lookup({
      read: (ids) => {
        const { sql, params } = db.dialect.isOneOf("id", ids);
        return db.query(`SELECT ${COLUMNS} FROM Device WHERE ${sql}`, params);
      },
      keyOf: ({ id }) => id,
    });
  }

  /** The device with this id. */
  async one(id: number): Promise<DeviceRow | undefined> {
    return (await this.#byId.rows(id))[0];
  }

  /** A user's, by id. */
  of(userId: number): Promise<DeviceRow[]> {
    return this.#db.query(`SELECT ${COLUMNS} FROM Device WHERE userid = ? ORDER BY id`, [userId]);
  }

  /** Whose these are; those that are not there any more are not in it. */
  async owners(ids: readonly number[]): Promise<Map<number, number>> {
    const owners = new Map<number, number>();
    for (let start = 0; start < ids.length; start += ROWS_PER_STATEMENT) {
      const { sql, params } = this.#db.dialect.isOneOf("id", ids.slice(start, start + ROWS_PER_STATEMENT));
      const rows = await this.#db.query<{ id: number; userid: number }>(
        `SELECT id, userid FROM Device WHERE ${sql}`,
        params,
      );
      for (const { id, userid } of rows) owners.set(id, userid);
    }
    return owners;
  }

  /**
   * Makes a device, without a token, that has everything up to `ends`. A user has `max` of them at most: those that
   * `online` does not name, and of those the ones not seen for longest, make room, and are returned.
   */
  create(
    userId: number,
    name: string,
    now: number,
    ends: readonly { conversation: ConversationId; last_seq: number }[],
    { max, online }: { max: number; online: ReadonlySet<number> },
  ): Promise<{ id: number; removed: number[] }> {
    return this.#db.transaction(async (tx) => {
      await lockUser(tx, this.#db.dialect, userId);
      const others = await tx.query<{ id: number; seen: number }>(
        "SELECT id, seen FROM Device WHERE userid = ?",
        [userId],
      );
      others.sort((a, b) =>
        Number(online.has(a.id)) - Number(online.has(b.id)) || a.seen - b.seen || a.id - b.id
      );
      const removed = others.slice(0, Math.max(0, others.length + 1 - max)).map(({ id }) => id);
      if (removed.length > 0) await removeDevices(this.#db, tx, removed);
      const { insertId: id } = await tx.run(
        "INSERT INTO Device (userid, name, created, seen, tokens, issued, expires) VALUES (?, ?, ?, ?, ?, 0, 0)",
        [userId, name, now, now, new Uint8Array(0)],
      );
      for (let start = 0; start < ends.length; start += ROWS_PER_STATEMENT) {
        await tx.insert({
          into: "INSERT INTO DeviceCursor (device, conversation, delivered)",
          rows: ends.slice(start, start + ROWS_PER_STATEMENT).map((
            { conversation, last_seq },
          ) => [id, conversation, last_seq]),
        });
      }
      return { id, removed };
    });
  }

  /** Gives devices other tokens, unless somebody else has done so meanwhile; returns those that have them. */
  rotate(rotations: readonly Rotation[]): Promise<Set<Rotation>> {
    return this.#db.transaction(async (tx) => {
      const done = new Set<Rotation>();
      // In one order on all nodes, so that they cannot deadlock.
      for (const rotation of rotations.toSorted((a, b) => a.id - b.id)) {
        const { id, before, issued, tokens, seen, expires } = rotation;
        const { changes } = await tx.run(
          "UPDATE Device SET tokens = ?, issued = ?, seen = ?, expires = ? WHERE id = ? AND issued = ?",
          [tokens, issued, seen, expires, id, before],
        );
        if (changes > 0) done.add(rotation);
      }
      return done;
    });
  }

  /** These were in use until now: their tokens are good until `expires`, unless they have been made worthless. */
  async touch(ids: readonly number[], now: number, expires: number): Promise<void> {
    const { sql, params } = this.#db.dialect.isOneOf("id", [...new Set(ids)].sort((a, b) => a - b));
    await this.#db.run(
      `UPDATE Device SET seen = ?, expires = CASE WHEN expires > 0 THEN ? ELSE 0 END WHERE ${sql}`,
      [now, expires, ...params],
    );
  }

  /** Calls a device something else; false: the user has none of this id. */
  async rename(userId: number, id: number, name: string): Promise<boolean> {
    const device = await this.one(id);
    if (device?.userid !== userId) return false;
    await this.#db.run("UPDATE Device SET name = ? WHERE id = ?", [name, id]);
    return true;
  }

  /** Forgets devices, with their tokens. */
  remove(ids: readonly number[]): Promise<void> {
    return this.#db.transaction((tx) => removeDevices(this.#db, tx, ids));
  }
}

/** Forgets devices, with their tokens, in a transaction of `db`. */
export async function removeDevices(
  { dialect }: Database,
  tx: SqlConnection,
  ids: readonly number[],
): Promise<void> {
  const sorted = [...new Set(ids)].sort((a, b) => a - b);
  for (const [table, column] of [["Device", "id"], ["DeviceCursor", "device"]]) {
    const { sql, params } = dialect.isOneOf(column ?? "", sorted);
    await tx.run(`DELETE FROM ${table} WHERE ${sql}`, params);
  }
}
