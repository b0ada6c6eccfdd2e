/**
 * Users and who is whose friend.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import { DatabaseError } from "../base/errors.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import { takeCode } from "./access_codes.ts";
import { recordEvent } from "./admin_events.ts";
import type { Database, Dialect, SqlConnection, SqlValue } from "./database.ts";
import { Lookup } from "./lookup.ts";
import { endTokens } from "./tokens.ts";

/** Known ids are remembered up to this many; of one that is deleted {@link Users.forget} is told. */
const KNOWN_IDS = 100_000;
/** Ids that nobody has are remembered, too, up to this many … */
const ABSENT_IDS = 10_000;
/** … and for so long, ms: somebody may sign up for one through another node, and be written to right afterwards. */
const ABSENT_MS = 1_000;
/** Ids in one statement. */
const IDS_PER_STATEMENT = 500;

/** "online" or "offline", for people who look at the database and for friend lists; nobody decides by it. */
export type UserState = "online" | "offline";

/** A user as others see it. */
export interface User {
  /** Identity, from 1. */
  id: number;
  /** As signed up. */
  name: string;
  /** As last written. */
  state: UserState;
}

/** What login needs of a user. */
export interface Account {
  /** Identity, from 1. */
  id: number;
  /** As signed up. */
  name: string;
  /** The stored hash, or the original server's plain text. */
  password: string;
  /** Whether it may log in. */
  status: UserStatus;
  /** The newest event that has ended its sessions; 0: none has. */
  revoked: number;
  /** 0: nobody has logged in by version 1 or 2 since a signup by version 3. */
  legacy: number;
}

/** What operators have made of an account. Of a deleted one others' history is left. */
export type UserStatus = "active" | "disabled" | "deleted";

/** In the order of their numbers in the database. */
export const USER_STATUSES: readonly UserStatus[] = ["active", "disabled", "deleted"];

/** The column `status` of a user who can log in … */
export const ACTIVE: number = USER_STATUSES.indexOf("active");
/** … and of a deleted one. */
export const DELETED: number = USER_STATUSES.indexOf("deleted");

type AccountRow = {
  id: number;
  name: string;
  password: string;
  status: number;
  revoked: number;
  legacy: number;
};
type FriendRow = { owner: number; id: number; name: string; state: UserState };

/** The tables User and Friend. */
export class Users {
  readonly #db: Database;
  readonly #accounts: Lookup<number, AccountRow>;
  readonly #friends: Lookup<number, FriendRow>;
  readonly #now: () => number;
  readonly #knownIds = new Set<number>();
  /** With when the database was asked, oldest first. */
  readonly #absentIds = new Map<number, number>();

  /** Reads and writes `db`. `now`: monotonic clock, ms. */
  constructor(db: Database, now: () => number = () => performance.now()) {
    this.#db = db;
    this.#now = now;
    const { isOneOf } = db.dialect;
    this.#accounts = new Lookup({
      read: (ids) => {
        const { sql, params } = isOneOf("id", ids);
        return db.query(`SELECT id, name, password, status, revoked, legacy FROM User WHERE ${sql}`, params);
      },
      keyOf: ({ id }) => id,
    });
    const friends =
      "SELECT f.userid AS owner, u.id, u.name, u.state FROM Friend f JOIN User u ON u.id = f.friendid ";
    this.#friends = new Lookup({
      read: (ids, limit) => {
        const { sql, params } = isOneOf("f.userid", ids);
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

  /**
   * Makes a user and returns its id, or undefined when the name is taken. `password` is a hash; `legacy`: as in
   * {@link Account}.
   */
  async create(name: string, password: string, legacy = 1): Promise<number | undefined> {
    const stored = normalizeName(name);
    try {
      const { insertId } = await this.#db.run(...insertUser(stored, password, legacy));
      this.#know(insertId);
      return insertId;
    } catch (error) {
      if (error instanceof DatabaseError && error.kind === "duplicate") return undefined;
      throw error;
    }
  }

  /**
   * As {@link create}, for somebody with an invitation, which is used in the same transaction: with a name that is taken it
   * is not, and "uninvited" makes no user. `hash`: what it is stored under.
   */
  async createInvited(
    name: string,
    password: string,
    hash: Uint8Array,
    now: number,
    legacy = 1,
  ): Promise<number | "uninvited" | undefined> {
    const stored = normalizeName(name);
    try {
      const id = await this.#db.transaction(async (tx) => {
        if (!await takeCode(tx, "invite", hash, now)) return "uninvited";
        return (await tx.run(...insertUser(stored, password, legacy))).insertId;
      });
      if (typeof id === "number") this.#know(id);
      return id;
    } catch (error) {
      if (error instanceof DatabaseError && error.kind === "duplicate") return undefined;
      throw error;
    }
  }

  /** Whether somebody has this name, or one that counts as the same. */
  async isTaken(name: string): Promise<boolean> {
    const rows = await this.#db.query("SELECT 1 FROM User WHERE name_key = ?", [
      nameKey(normalizeName(name)),
    ]);
    return rows.length > 0;
  }

  /** The account with this id. */
  async account(id: number): Promise<Account | undefined> {
    const [row] = await this.#accounts.rows(id);
    return row && toAccount(row);
  }

  /** The account of whoever has this name, or one that counts as the same. */
  async accountOfName(name: string): Promise<Account | undefined> {
    const stored = normalizeName(name);
    const account = "SELECT id, name, password, status, revoked, legacy FROM User WHERE";
    const [row] = await this.#db.query<AccountRow>(`${account} name_key = ?`, [nameKey(stored)]);
    if (row) return toAccount(row);
    // One of before the rule may have another key, or none.
    const [older] = await this.#db.query<AccountRow>(`${account} name = ?`, [stored]);
    return older && toAccount(older);
  }

  /** Whether this user may do what operators do. Asks the database: whoever has lost the role has lost it at once. */
  async isAdministrator(id: number): Promise<boolean> {
    const rows = await this.#db.query(
      `SELECT id FROM User WHERE id = ? AND administrator = 1 AND status = ${ACTIVE}`,
      [id],
    );
    return rows.length > 0;
  }

  /** From now on the user is one of versions 1 and 2, too. */
  async becomeLegacy(id: number): Promise<void> {
    await this.#db.run("UPDATE User SET legacy = 1 WHERE id = ?", [id]);
  }

  /** Puts `hash` in the place of `old`, unless somebody has changed the password meanwhile. */
  async replacePassword(id: number, old: string, hash: string): Promise<void> {
    await this.#db.run("UPDATE User SET password = ? WHERE id = ? AND password = ?", [hash, id, old]);
  }

  /**
   * Uses a code for a new password once: `code` is what it is stored under, `hash` that of the password. Undefined when it
   * is not good at `now`, ms since the epoch. Whatever token the user had is worth nothing any more.
   */
  resetPassword(
    code: Uint8Array,
    hash: string,
    now: number,
  ): Promise<{ id: number; name: string } | undefined> {
    return this.#db.transaction(async (tx) => {
      if (!await takeCode(tx, "password", code, now)) return undefined;
      const [user] = await tx.query<{ id: number; name: string }>(
        "SELECT u.id, u.name FROM AccessCode c JOIN User u ON u.id = c.userid WHERE c.hash = ?",
        [code],
      );
      if (!user) return undefined;
      await tx.run("UPDATE User SET password = ? WHERE id = ?", [hash, user.id]);
      await endTokens(tx, user.id);
      await recordEvent(tx, { at: now, actor: "the user", what: "reset", userId: user.id, detail: {} });
      return user;
    });
  }

  /** The user with this id as others see it. */
  async find(id: number): Promise<User | undefined> {
    const [row] = await this.#db.query<{ id: number; name: string; state: UserState }>(
      `SELECT id, name, state FROM User WHERE id = ? AND status <> ${DELETED}`,
      [id],
    );
    return row;
  }

  /** The users with these ids, by id. */
  async some(ids: readonly number[]): Promise<Map<number, User>> {
    const found = new Map<number, User>();
    for (let start = 0; start < ids.length; start += IDS_PER_STATEMENT) {
      const { sql, params } = this.#db.dialect.isOneOf("id", ids.slice(start, start + IDS_PER_STATEMENT));
      const rows = await this.#db.query<{ id: number; name: string; state: UserState }>(
        `SELECT id, name, state FROM User WHERE ${sql}`,
        params,
      );
      for (const row of rows) found.set(row.id, row);
    }
    return found;
  }

  /** Whether there is a user with this id; asks the database. */
  async exists(id: number): Promise<boolean> {
    const askedAt = this.#now();
    const rows = await this.#db.query(`SELECT id FROM User WHERE id = ? AND status <> ${DELETED}`, [id]);
    if (rows.length > 0) this.#know(id);
    // Whoever has signed up here while the database was asked is known.
    else if (!this.#knownIds.has(id)) this.#knowAbsent(id, askedAt);
    return this.#knownIds.has(id);
  }

  #know(id: number): void {
    if (this.#knownIds.size >= KNOWN_IDS) this.#knownIds.clear();
    this.#knownIds.add(id);
    this.#absentIds.delete(id);
  }

  #knowAbsent(id: number, askedAt: number): void {
    this.#absentIds.delete(id);
    if (this.#absentIds.size >= ABSENT_IDS) forgetOldest(this.#absentIds);
    this.#absentIds.set(id, askedAt);
  }

  /** What {@link exists} has found, or would find, as far as that needs no asking; undefined: the database has to be asked. */
  isKnown(id: number): boolean | undefined {
    if (this.#knownIds.has(id)) return true;
    const absentAt = this.#absentIds.get(id);
    return absentAt !== undefined && this.#now() - absentAt < ABSENT_MS ? false : undefined;
  }

  /** This user has been deleted. */
  forget(id: number): void {
    this.#knownIds.delete(id);
  }

  /** Nobody is known any more: the database may have forgotten them. */
  forgetKnown(): void {
    this.#knownIds.clear();
    this.#absentIds.clear();
  }

  /** Writes many users' state at once. */
  async setState(ids: readonly number[], state: UserState): Promise<void> {
    for (let start = 0; start < ids.length; start += IDS_PER_STATEMENT) {
      // In the order of ids, so that two nodes lock rows in the same order.
      const some = ids.slice(start, start + IDS_PER_STATEMENT).sort((a, b) => a - b);
      const { sql, params } = this.#db.dialect.isOneOf("id", some);
      await this.#db.run(`UPDATE User SET state = ? WHERE ${sql}`, [state, ...params]);
    }
  }

  /** Ids above `after` that the database calls online, ascending, at most `limit`. */
  async online(after: number, limit: number): Promise<number[]> {
    const rows = await this.#db.query<{ id: number }>(
      `SELECT id FROM User WHERE state = 'online' AND id > ? ORDER BY id LIMIT ${limit}`,
      [after],
    );
    return rows.map(({ id }) => id);
  }

  /** Those whom `userId` has added, by id. */
  async friends(userId: number): Promise<User[]> {
    const friends = (await this.#friends.rows(userId)).map(({ id, name, state }) => ({ id, name, state }));
    return friends.sort((a, b) => a.id - b.id);
  }
}

/**
 * Whoever counts what a user has, to see whether there is room for one more, does so behind this: two at a time would both
 * find room for the last one. The conversation that the transaction writes to, if it does, is locked before.
 */
export async function lockUser(tx: SqlConnection, { forUpdate }: Dialect, userId: number): Promise<void> {
  await tx.query(`SELECT id FROM User WHERE id = ?${forUpdate}`, [userId]);
}

function insertUser(name: string, password: string, legacy: number): [sql: string, params: SqlValue[]] {
  return [
    "INSERT INTO User (name, name_key, password, state, legacy) VALUES (?, ?, ?, 'offline', ?)",
    [name, nameKey(name), password, legacy],
  ];
}

/** A copy: the caller may go on with another password. */
function toAccount(row: AccountRow): Account {
  return { ...row, status: USER_STATUSES[row.status] ?? "disabled" };
}
