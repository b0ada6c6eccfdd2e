/**
 * Groups and their members.
 *
 * @module
 */
import { DatabaseError } from "../base/errors.ts";
import { arrayParts } from "../base/long_json.ts";
import { KIND, systemText, type Who } from "../protocol/entries.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import { conversationOfGroup } from "../protocol/protocol.ts";
import type { Database, SqlConnection } from "./database.ts";
import { KEYS_PER_STATEMENT, Lookup } from "./lookup.ts";
import type { User, UserState } from "./users.ts";

/** What a member may do: only the creator recalls others' messages. */
export type GroupRole = "creator" | "normal";

/** A member as the others see it. */
export interface GroupMember extends User {
  /** In this group. */
  role: GroupRole;
}

/** A group as its members see it. */
export interface Group {
  /** Identity, from 1. */
  id: number;
  /** As created. */
  groupname: string;
  /** As created. */
  groupdesc: string;
  /** Everyone, by id. */
  users: GroupMember[];
}

/** A user's place in a group. */
export interface Membership {
  /** What the user may do. */
  role: GroupRole;
  /** Reads what follows this seq. */
  since: number;
  /** Has everything up to this seq. */
  delivered: number;
  /** Has read everything up to this seq. */
  read: number;
}

/** A group that was made. */
export interface Created {
  /** Identity, from 1. */
  groupId: number;
  /** Of its first entry. */
  text: string;
  /** Its creator's. */
  membership: Membership;
}

type MembershipRow = { userid: number; groupid: number; grouprole: GroupRole };
type GroupRow = { id: number; groupname: string; groupdesc: string };
type MemberRow = { groupid: number; id: number; name: string; state: UserState; grouprole: GroupRole };

/** Groups whose members one statement reads: each may have thousands. */
const GROUPS_PER_STATEMENT = 10;

/** The tables AllGroup and GroupUser, and the groups' share of Conversation and Member. */
export class Groups {
  readonly #db: Database;
  readonly #memberships: Lookup<number, MembershipRow>;
  readonly #groups: Lookup<number, GroupRow>;
  readonly #members: Lookup<number, MemberRow>;
  readonly #counts: Lookup<number, { groupid: number; members: number }>;
  readonly #memberObjects = new WeakMap<readonly MemberRow[], Promise<string>>();
  readonly #memberTexts = new WeakMap<readonly MemberRow[], Promise<string>>();

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
    const { isOneOf } = db.dialect;
    this.#memberships = new Lookup({
      read: (ids, limit) => {
        const { sql, params } = isOneOf("userid", ids);
        return db.query(
          `SELECT userid, groupid, grouprole FROM GroupUser WHERE ${sql} LIMIT ${limit}`,
          params,
        );
      },
      readOn: (userId, after, limit) =>
        db.query(
          "SELECT userid, groupid, grouprole FROM GroupUser WHERE userid = ? AND groupid > ? " +
            `ORDER BY groupid LIMIT ${limit}`,
          [userId, after?.groupid ?? 0],
        ),
      keyOf: ({ userid }) => userid,
    });
    this.#groups = new Lookup({
      read: (ids) => {
        const { sql, params } = isOneOf("id", ids);
        return db.query(`SELECT id, groupname, groupdesc FROM AllGroup WHERE ${sql}`, params);
      },
      keyOf: ({ id }) => id,
    });
    this.#counts = new Lookup({
      read: async (ids) => {
        const { sql, params } = isOneOf("id", ids.map(conversationOfGroup));
        const rows = await db.query<{ id: string; members: number }>(
          `SELECT id, members FROM Conversation WHERE ${sql}`,
          params,
        );
        return rows.map(({ id, members }) => ({ groupid: Number(id.slice(1)), members }));
      },
      keyOf: ({ groupid }) => groupid,
    });
    const members =
      "SELECT m.groupid, u.id, u.name, u.state, m.grouprole FROM GroupUser m JOIN User u ON u.id = m.userid ";
    this.#members = new Lookup({
      read: (ids, limit) => {
        const { sql, params } = isOneOf("m.groupid", ids);
        return db.query(`${members}WHERE ${sql} LIMIT ${limit}`, params);
      },
      readOn: (groupId, after, limit) =>
        db.query(
          `${members}WHERE m.groupid = ? AND m.userid > ? ORDER BY m.userid LIMIT ${limit}`,
          [groupId, after?.id ?? 0],
        ),
      keyOf: ({ groupid }) => groupid,
      keysPerStatement: GROUPS_PER_STATEMENT,
    });
  }

  /**
   * Makes a group with `creator` as its first member, and the entry that says so as the first one; undefined when the name
   * is taken. `at`: ms since the epoch.
   */
  async create(name: string, description: string, creator: Who, at: number): Promise<Created | undefined> {
    const stored = normalizeName(name);
    const text = systemText("created", creator, creator, { groupname: stored });
    try {
      return await this.#db.transaction(async (tx) => {
        const { insertId } = await tx.run(
          "INSERT INTO AllGroup (groupname, groupname_key, groupdesc) VALUES (?, ?, ?)",
          [stored, nameKey(stored), description],
        );
        const conversation = conversationOfGroup(insertId);
        await tx.run("INSERT INTO Conversation (id, last_seq, members, at) VALUES (?, 1, 1, ?)", [
          conversation,
          at,
        ]);
        await tx.run(
          "INSERT INTO Message (conversation, seq, sender, at, message, kind) VALUES (?, 1, ?, ?, ?, ?)",
          [conversation, creator.id, at, text, KIND.system],
        );
        return {
          groupId: insertId,
          text,
          membership: await addMember(tx, insertId, creator.id, "creator", 0),
        };
      });
    } catch (error) {
      if (error instanceof DatabaseError && error.kind === "duplicate") return undefined;
      throw error;
    }
  }

  /** The place of `userId` in a group; undefined: it is no member. To be asked in the transaction that decides by it. */
  async membership(tx: SqlConnection, groupId: number, userId: number): Promise<Membership | undefined> {
    const [row] = await tx.query<{ role: GroupRole; since: number; delivered: number; read: number }>(
      "SELECT g.grouprole AS role, m.since, m.delivered, m.`read` FROM GroupUser g JOIN Member m ON m.userid = g.userid " +
        "WHERE g.groupid = ? AND g.userid = ? AND m.conversation = ?",
      [groupId, userId, conversationOfGroup(groupId)],
    );
    return row;
  }

  /**
   * Makes `userId` a member, who reads what follows `since`; the next entry is the one that says so. In the transaction
   * that writes it: the lock on the conversation puts the joining before or after every message, so that the count of
   * members and `since` agree with what a message's transaction sees.
   */
  join(tx: SqlConnection, groupId: number, userId: number, since: number): Promise<Membership> {
    return addMember(tx, groupId, userId, "normal", since);
  }

  /** How many members a group has; 0: there is none. */
  async memberCount(groupId: number): Promise<number> {
    return (await this.#counts.rows(groupId))[0]?.members ?? 0;
  }

  /** The groups of `userId` with the role it has there. */
  async memberships(userId: number): Promise<Map<number, GroupRole>> {
    const rows = await this.#memberships.rows(userId);
    return new Map(rows.map(({ groupid, grouprole }) => [groupid, grouprole]));
  }

  /** These groups, by id, each with all its members. */
  describe(groupIds: Iterable<number>): Promise<Group[]> {
    return this.#each(groupIds, (group, members) => ({ ...group, users: byId(members).map(toMember) }));
  }

  /** The same as JSON; `areUsersTexts`: the members are strings of JSON, as version 1 has them. */
  describeInText(groupIds: Iterable<number>, { areUsersTexts = false } = {}): Promise<string[]> {
    const known = areUsersTexts ? this.#memberTexts : this.#memberObjects;
    return this.#each(groupIds, async (group, members) => {
      // Logins that come at once are given the same rows, and so one text.
      let users = known.get(members);
      if (!users) known.set(members, users = usersText(members, areUsersTexts));
      return `${JSON.stringify(group).slice(0, -1)},"users":${await users}}`;
    });
  }

  /** As JSON, these groups, by id, each with the role that the user has there and how many members there are. */
  async summariesInText(memberships: ReadonlyMap<number, GroupRole>): Promise<string[]> {
    const ids = [...memberships.keys()].sort((a, b) => a - b);
    const texts: string[] = [];
    // Some at a time, as below.
    for (let start = 0; start < ids.length; start += KEYS_PER_STATEMENT) {
      const some = ids.slice(start, start + KEYS_PER_STATEMENT).map(async (id) => {
        const [[group], [count]] = await Promise.all([this.#groups.rows(id), this.#counts.rows(id)]);
        const members = count?.members ?? 0;
        return group ? [JSON.stringify({ ...group, role: memberships.get(id), members })] : [];
      });
      for (const found of await Promise.all(some)) texts.push(...found);
    }
    return texts;
  }

  async #each<Description>(
    groupIds: Iterable<number>,
    describe: (group: GroupRow, members: readonly MemberRow[]) => Description | Promise<Description>,
  ): Promise<Description[]> {
    const ids = [...groupIds].sort((a, b) => a - b);
    const described: Description[] = [];
    const one = async (id: number) => {
      const [[group], members] = await Promise.all([this.#groups.rows(id), this.#members.rows(id)]);
      return group && [await describe({ ...group }, members)];
    };
    // Some at a time, or who is in thousands of groups would keep everybody else's login waiting.
    for (let start = 0; start < ids.length; start += GROUPS_PER_STATEMENT) {
      for (const found of await Promise.all(ids.slice(start, start + GROUPS_PER_STATEMENT).map(one))) {
        if (found) described.push(...found);
      }
    }
    return described;
  }
}

function byId(members: readonly MemberRow[]): MemberRow[] {
  return members.toSorted((a, b) => a.id - b.id);
}

function toMember({ id, name, state, grouprole: role }: MemberRow): GroupMember {
  return { id, name, state, role };
}

async function usersText(members: readonly MemberRow[], areTexts: boolean): Promise<string> {
  const textOf = (row: MemberRow) => {
    const text = JSON.stringify(toMember(row));
    return areTexts ? JSON.stringify(text) : text;
  };
  return (await arrayParts(byId(members), textOf)).join("");
}

/** What version 1 and 2 get of it begins behind the entry that tells of it: they are not sent that. */
async function addMember(
  tx: SqlConnection,
  groupId: number,
  userId: number,
  role: GroupRole,
  since: number,
): Promise<Membership> {
  const delivered = since + 1;
  await tx.run("INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (?, ?, ?)", [
    groupId,
    userId,
    role,
  ]);
  await tx.run("INSERT INTO Member (userid, conversation, since, delivered, `read`) VALUES (?, ?, ?, ?, ?)", [
    userId,
    conversationOfGroup(groupId),
    since,
    delivered,
    delivered,
  ]);
  return { role, since, delivered, read: delivered };
}
