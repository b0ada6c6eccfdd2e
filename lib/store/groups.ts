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
import type { Database } from "./database.ts";
import {
  enter,
  type GroupCounts,
  groupCounts,
  type GroupRole,
  JOIN_MODES,
  type JoinMode,
  type Membership,
  roleOf,
} from "./group_changes.ts";
import { groupOfLink } from "./group_links.ts";
import { KEYS_PER_STATEMENT, Lookup } from "./lookup.ts";
import type { User, UserState } from "./users.ts";

/** A member as versions 1 and 2 see it: they know of no admins. */
export interface GroupMember extends User {
  /** In this group. */
  role: Exclude<GroupRole, "admin">;
}

/** A member as version 3 sees it. */
export interface ListedMember extends User {
  /** In this group. */
  role: GroupRole;
  /** What the user says of itself; left out where that is nothing. */
  status?: string;
}

/** A group as its members see it. */
export interface Group {
  /** Identity, from 1. */
  id: number;
  /** As it is now. */
  groupname: string;
  /** May be empty. */
  groupdesc: string;
  /** Everyone, by id. */
  users: GroupMember[];
}

/** A group as version 3 lists it. */
export interface GroupSummary {
  /** Identity, from 1. */
  id: number;
  /** As it is now. */
  groupname: string;
  /** May be empty. */
  groupdesc: string;
  /** How one joins. */
  join: JoinMode;
  /** What the one who sees it may do. */
  role: GroupRole;
  /** How many there are. */
  members: number;
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
type GroupRow = { id: number; groupname: string; groupdesc: string; joining: number };
type MemberRow = { groupid: number; id: number; name: string; state: UserState; grouprole: GroupRole };

const MEMBERS =
  "SELECT m.groupid, u.id, u.name, u.state, m.grouprole FROM GroupUser m JOIN User u ON u.id = m.userid ";

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
        return db.query(`SELECT id, groupname, groupdesc, joining FROM AllGroup WHERE ${sql}`, params);
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
    this.#members = new Lookup({
      read: (ids, limit) => {
        const { sql, params } = isOneOf("m.groupid", ids);
        return db.query(`${MEMBERS}WHERE ${sql} LIMIT ${limit}`, params);
      },
      readOn: (groupId, after, limit) =>
        db.query(
          `${MEMBERS}WHERE m.groupid = ? AND m.userid > ? ORDER BY m.userid LIMIT ${limit}`,
          [groupId, after?.id ?? 0],
        ),
      keyOf: ({ groupid }) => groupid,
      keysPerStatement: GROUPS_PER_STATEMENT,
    });
  }

  /**
   * Makes a group with `creator` as its first member, and the entry that says so as the first one; undefined when the name
   * is taken. `at`: ms since the epoch. `check` throws when the creator has too many.
   */
  async create(
    name: string,
    description: string,
    creator: Who,
    at: number,
    join: JoinMode,
    check: (counts: GroupCounts) => void,
  ): Promise<Created | undefined> {
    const stored = normalizeName(name);
    const text = systemText("created", creator, creator, { groupname: stored });
    try {
      return await this.#db.transaction(async (tx) => {
        check(await groupCounts(tx, this.#db.dialect, creator.id));
        const { insertId } = await tx.run(
          "INSERT INTO AllGroup (groupname, groupname_key, groupdesc, joining) VALUES (?, ?, ?, ?)",
          [stored, nameKey(stored), description, JOIN_MODES.indexOf(join)],
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
          membership: await enter(tx, this.#db.dialect, insertId, creator.id, "creator", 0),
        };
      });
    } catch (error) {
      if (error instanceof DatabaseError && error.kind === "duplicate") return undefined;
      throw error;
    }
  }

  /** What a group is called; undefined: there is none. */
  async nameOf(groupId: number): Promise<string | undefined> {
    return (await this.#groups.rows(groupId))[0]?.groupname;
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
    return this.#each(
      groupIds,
      (group, members) => ({ ...namesOf(group), users: byId(members).map(toMember) }),
    );
  }

  /** The same as JSON; `areUsersTexts`: the members are strings of JSON, as version 1 has them. */
  describeInText(groupIds: Iterable<number>, { areUsersTexts = false } = {}): Promise<string[]> {
    const known = areUsersTexts ? this.#memberTexts : this.#memberObjects;
    return this.#each(groupIds, async (group, members) => {
      // Logins that come at once are given the same rows, and so one text.
      let users = known.get(members);
      if (!users) known.set(members, users = usersText(members, areUsersTexts));
      return `${JSON.stringify(namesOf(group)).slice(0, -1)},"users":${await users}}`;
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
        const role = memberships.get(id);
        return group && role ? [JSON.stringify({ ...summaryOf(group), role, members })] : [];
      });
      for (const found of await Promise.all(some)) texts.push(...found);
    }
    return texts;
  }

  /**
   * A group as its members see it, without the members; undefined: there is none, or it was dissolved. `role`: that of who is
   * to see it.
   */
  async summary(groupId: number, role: GroupRole): Promise<GroupSummary | undefined> {
    const [[group], [count]] = await Promise.all([this.#groups.rows(groupId), this.#counts.rows(groupId)]);
    return group && { ...summaryOf(group), role, members: count?.members ?? 0 };
  }

  /** The names of these groups, by id, of those that were dissolved, too. */
  async names(groupIds: Iterable<number>): Promise<Map<number, string>> {
    const rows = await Promise.all([...groupIds].map((id) => this.#groups.rows(id)));
    return new Map(rows.flat().map(({ id, groupname }) => [id, groupname]));
  }

  /** The group of a link, whether it is still good or not. */
  ofLink(link: string): Promise<number | undefined> {
    return groupOfLink(this.#db, link);
  }

  /** Members behind the id `after`, by id, `limit` at most; undefined: `userId` is none of them. */
  async members(
    groupId: number,
    userId: number,
    after: number,
    limit: number,
  ): Promise<{ role: GroupRole; users: ListedMember[] } | undefined> {
    const role = await roleOf(this.#db, groupId, userId);
    if (!role) return undefined;
    const rows = await this.#db.query<Omit<MemberRow, "groupid"> & { status_text: string }>(
      "SELECT u.id, u.name, u.state, u.status_text, m.grouprole FROM GroupUser m JOIN User u ON u.id = m.userid " +
        `WHERE m.groupid = ? AND m.userid > ? ORDER BY m.userid LIMIT ${limit}`,
      [groupId, after],
    );
    const users = rows.map(({ id, name, state, grouprole, status_text: status }) => {
      const member = { id, name, state, role: grouprole };
      return status === "" ? member : { ...member, status };
    });
    return { role, users };
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

function namesOf({ id, groupname, groupdesc }: GroupRow): Omit<Group, "users"> {
  return { id, groupname, groupdesc };
}

function summaryOf(group: GroupRow): Omit<GroupSummary, "role" | "members"> {
  return { ...namesOf(group), join: JOIN_MODES[group.joining] ?? "closed" };
}

function byId(members: readonly MemberRow[]): MemberRow[] {
  return members.toSorted((a, b) => a.id - b.id);
}

function toMember({ id, name, state, grouprole: role }: MemberRow): GroupMember {
  return { id, name, state, role: role === "creator" ? role : "normal" };
}

async function usersText(members: readonly MemberRow[], areTexts: boolean): Promise<string> {
  const textOf = (row: MemberRow) => {
    const text = JSON.stringify(toMember(row));
    return areTexts ? JSON.stringify(text) : text;
  };
  return (await arrayParts(byId(members), textOf)).join("");
}
