/**
 * How users find each other, whom each has added, and whom each does not want to hear of.
 *
 * @module
 */
import { nameKey, normalizeName } from "../protocol/names.ts";
import { blockBit, conversationOfUsers } from "../protocol/protocol.ts";
import type { Database } from "./database.ts";
import { Lookup } from "./lookup.ts";
import { DELETED, lockUser, type User, type UserState } from "./users.ts";

const SELECT = "SELECT id, name, state FROM User WHERE";

/** Users by the keys of their names, from one key up to, and without, another. */
export const BY_KEY_RANGE =
  `${SELECT} name_key >= ? AND name_key < ? AND status <> ${DELETED} ORDER BY name_key`;

/** A friend as version 3 shows it. */
export interface Friend extends User {
  /** What it says of itself. Left out: nothing. */
  status?: string;
  /** Left out: false. */
  blocked?: true;
}

type FriendRow = UserRow & { owner: number; status_text: string };
type UserRow = { id: number; name: string; state: UserState };

/** Reads and writes User by name, Friend and Block. */
export class Contacts {
  readonly #db: Database;
  readonly #blocked: Lookup<number, { userid: number; blockedid: number }>;
  readonly #friends: Lookup<number, FriendRow>;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
    this.#blocked = new Lookup({
      read: (ids) => {
        const { sql, params } = db.dialect.isOneOf("userid", ids);
        return db.query(`SELECT userid, blockedid FROM Block WHERE ${sql}`, params);
      },
      keyOf: ({ userid }) => userid,
    });
    const friends =
      "SELECT f.userid AS owner, u.id, u.name, u.state, u.status_text FROM Friend f JOIN User u ON u.id = f.friendid ";
    this.#friends = new Lookup({
      read: (ids, limit) => {
        const { sql, params } = db.dialect.isOneOf("f.userid", ids);
        return db.query(`${friends}WHERE ${sql} LIMIT ${limit}`, params);
      },
      readOn: (owner, after, limit) =>
        db.query(
          `${friends}WHERE f.userid = ? AND f.friendid > ? ORDER BY f.friendid LIMIT ${limit}`,
          [owner, after?.id ?? 0],
        ),
      keyOf: ({ owner }) => owner,
    });
  }

  /** Whoever has this name, or one that counts as the same. */
  async named(name: string): Promise<User | undefined> {
    const stored = normalizeName(name);
    const [row] = await this.#db.query<UserRow>(
      `${SELECT} name_key = ? AND status <> ${DELETED}`,
      [nameKey(stored)],
    );
    if (row) return row;
    // A name of before the present rule may have another key, or none.
    const [older] = await this.#db.query<UserRow>(`${SELECT} name = ? AND status <> ${DELETED}`, [stored]);
    return older;
  }

  /** Those whose names begin like this, or with what counts as the same, in the order of their keys. */
  async namedLike(prefix: string, limit: number): Promise<User[]> {
    const from = nameKey(prefix);
    // No byte of UTF-8 is 255.
    const to = from.with(-1, (from.at(-1) ?? 0) + 1);
    return await this.#db.query<UserRow>(`${BY_KEY_RANGE} LIMIT ${limit}`, [from, to]);
  }

  /** `userId` sees `friendId` from now on: true, unless it does already. Throws {@link TooMany} when it has added `max`. */
  addFriend(userId: number, friendId: number, max: number): Promise<boolean> {
    const { dialect } = this.#db;
    return this.#db.transaction(async (tx) => {
      await lockUser(tx, dialect, userId);
      const [row] = await tx.query<{ count: number; hits: number | string | null }>(
        "SELECT COUNT(*) AS count, SUM(CASE WHEN friendid = ? THEN 1 ELSE 0 END) AS hits FROM Friend WHERE userid = ?",
        [friendId, userId],
      );
      if (Number(row?.hits ?? 0) > 0) return false;
      if ((row?.count ?? 0) >= max) throw new TooMany();
      await tx.run("INSERT INTO Friend (userid, friendid) VALUES (?, ?)", [userId, friendId]);
      return true;
    });
  }

  /** `userId` sees `friendId` no longer. */
  async removeFriend(userId: number, friendId: number): Promise<void> {
    await this.#db.run("DELETE FROM Friend WHERE userid = ? AND friendid = ?", [userId, friendId]);
  }

  /**
   * What `other` writes to `userId` alone is hidden from the commit on. `at`: ms since the epoch. Throws {@link TooMany} when
   * there are `max` others already.
   */
  async block(userId: number, other: number, at: number, max: number): Promise<void> {
    const { dialect } = this.#db;
    await this.#db.transaction(async (tx) => {
      // First of all, as whoever writes a message does: the row's lock decides what comes before and what after.
      await tx.insert({
        into: "INSERT INTO Conversation (id, last_seq, members, blocked)",
        rows: [[conversationOfUsers(userId, other), 0, 2, blockBit(userId, other)]],
        tail: dialect.upsert(["id"], { blocked: "blocked | new.blocked" }),
      });
      await lockUser(tx, dialect, userId);
      await tx.run(`${dialect.insertIgnore} INTO Block (userid, blockedid, at) VALUES (?, ?, ?)`, [
        userId,
        other,
        at,
      ]);
      const [row] = await tx.query<{ count: number }>(
        "SELECT COUNT(*) AS count FROM Block WHERE userid = ?",
        [userId],
      );
      if ((row?.count ?? 0) > max) throw new TooMany();
    });
  }

  /** What `other` writes from the commit on is shown again. */
  async unblock(userId: number, other: number): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await tx.run("UPDATE Conversation SET blocked = blocked & ? WHERE id = ?", [
        3 - blockBit(userId, other),
        conversationOfUsers(userId, other),
      ]);
      await tx.run("DELETE FROM Block WHERE userid = ? AND blockedid = ?", [userId, other]);
    });
  }

  /** Ids of those whom `userId` blocks. */
  async blockedIds(userId: number): Promise<ReadonlySet<number>> {
    return new Set((await this.#blocked.rows(userId)).map(({ blockedid }) => blockedid));
  }

  /** Those whom `userId` blocks, by id. */
  async blocked(userId: number): Promise<{ id: number; name: string }[]> {
    return await this.#db.query<{ id: number; name: string }>(
      `SELECT u.id, u.name FROM Block b JOIN User u ON u.id = b.blockedid WHERE b.userid = ? AND u.status <> ${DELETED} ` +
        "ORDER BY b.blockedid",
      [userId],
    );
  }

  /** Those whom `userId` has added, by id. Of those whom it blocks it is not told whether they are online. */
  async friends(userId: number): Promise<Friend[]> {
    const [rows, blocked] = await Promise.all([this.#friends.rows(userId), this.blockedIds(userId)]);
    return rows.toSorted((a, b) => a.id - b.id).map(({ id, name, state, status_text: status }) => {
      if (blocked.has(id)) return { id, name, state: "offline", blocked: true };
      return status === "" ? { id, name, state } : { id, name, state, status };
    });
  }
}

/** One more would be too many: nothing has changed. */
export class TooMany extends Error {}
