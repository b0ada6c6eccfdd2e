/**
 * Who and which groups the user knows.
 *
 * @module
 */

import { integerOf, listOf, textOf } from "../../client/core/messages.ts";
import { isJsonObject } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";

/** A user, as far as is known. */
export interface Person {
  /** The user id. */
  id: number;
  /** The name; may be empty. */
  name: string;
  /** "online", "offline", or "" when it is not known. */
  state: string;
  /** A line of their own. */
  status: string;
  /** On the user's list. */
  isFriend: boolean;
  /** Blocked by the user. */
  isBlocked: boolean;
}

/** One of a group. */
export interface Member {
  /** The user id. */
  id: number;
  /** "creator", "admin" or "normal". */
  role: string;
}

/** A group. */
export interface Group {
  /** The group id. */
  id: number;
  /** Its name. */
  name: string;
  /** What it is about. */
  description: string;
  /** How others get in: "open", "link" or "closed"; "" when it is not known. */
  join: string;
  /** The user's own. */
  role: string;
  /** How many are in it. */
  count: number;
  /** Who; undefined until they were asked for. */
  members: Member[] | undefined;
  /** The user is not in it any more, or it was dissolved: nothing can be said there. */
  isOver: boolean;
}

/** All of them. */
export class People {
  /** By their ids. */
  readonly users = new Map<number, Person>();
  /** By their ids. */
  readonly groups = new Map<number, Group>();

  /** A user, who is made up from the id where nothing is known. */
  user(id: number): Person {
    return this.users.get(id) ??
      { id, name: "", state: "", status: "", isFriend: false, isBlocked: false };
  }

  /** Takes over what a frame says about a user; what it does not say stays. */
  learn(frame: JsonObject, more: Partial<Person> = {}): Person | undefined {
    const id = integerOf(frame.id, 1);
    if (id === undefined) return undefined;
    const before = this.user(id);
    const person = {
      ...before,
      name: textOf(frame.name) || before.name,
      state: textOf(frame.state) || before.state,
      status: typeof frame.status === "string" ? frame.status : before.status,
      isBlocked: typeof frame.blocked === "boolean" ? frame.blocked : before.isBlocked,
      ...more,
    };
    this.users.set(id, person);
    return person;
  }

  /** Takes over what a frame says about a group. */
  learnGroup(frame: JsonObject): Group | undefined {
    const id = integerOf(frame.id, 1);
    if (id === undefined) return undefined;
    const before = this.groups.get(id);
    const users = listOf(frame.users).filter(isJsonObject);
    const members = Array.isArray(frame.users)
      ? users.map((user) => this.learnMember(user))
      : before?.members;
    const group = {
      id,
      name: textOf(frame.groupname) || before?.name || "",
      description: typeof frame.groupdesc === "string" ? frame.groupdesc : before?.description ?? "",
      join: textOf(frame.join) || before?.join || "",
      role: textOf(frame.role) || before?.role || "normal",
      count: integerOf(frame.members) ?? members?.length ?? before?.count ?? 0,
      members,
      isOver: false,
    };
    this.groups.set(id, group);
    return group;
  }

  /** Takes over what a frame says about a member. */
  learnMember(frame: JsonObject): Member {
    const person = this.learn(frame);
    return { id: person?.id ?? 0, role: textOf(frame.role) || "normal" };
  }

  /** Changes what is known of a group. */
  changeGroup(id: number, change: Partial<Group>): void {
    const group = this.groups.get(id);
    if (group !== undefined) this.groups.set(id, { ...group, ...change });
  }

  /** Brings a group up to date with a system entry of its log (25). `me`: the user's id. */
  follow(groupId: number, frame: JsonObject, me: number): void {
    const group = this.groups.get(groupId);
    const id = integerOf(frame.id, 1) ?? 0;
    const others = group?.members?.filter((member) => member.id !== id);
    switch (frame.what) {
      case "created":
      case "joined":
      case "added":
        if (group === undefined || id === me) {
          const role = frame.what === "created" ? "creator" : "normal";
          this.learnGroup({ id: groupId, groupname: frame.groupname, role });
        } else if (others === undefined || others.length === group.members?.length) {
          this.changeGroup(groupId, {
            count: group.count + 1,
            members: others && [...others, { id, role: "normal" }],
          });
        }
        break;
      case "left":
      case "removed":
        if (id === me) this.changeGroup(groupId, { isOver: true, members: undefined });
        else if (group !== undefined) this.changeGroup(groupId, { count: group.count - 1, members: others });
        break;
      case "role": {
        const role = textOf(frame.role);
        const isOld = (member: Member) => role === "creator" && member.role === "creator";
        this.changeGroup(groupId, {
          ...(id === me
            ? { role }
            : group?.role === "creator" && role === "creator"
            ? { role: "admin" }
            : {}),
          members: others && [
            ...others.map((member) => isOld(member) ? { ...member, role: "admin" } : member),
            { id, role },
          ],
        });
        break;
      }
      case "edited":
        this.changeGroup(groupId, {
          ...(textOf(frame.groupname) === "" ? {} : { name: textOf(frame.groupname) }),
          ...(typeof frame.groupdesc === "string" ? { description: frame.groupdesc } : {}),
          ...(textOf(frame.join) === "" ? {} : { join: textOf(frame.join) }),
        });
        break;
      case "dissolved":
        this.changeGroup(groupId, { isOver: true });
        break;
    }
  }
}
