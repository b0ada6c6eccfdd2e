/**
 * Names for ids: everybody and every group the client has heard of since login.
 *
 * @module
 */

import { OPERATOR } from "../../protocol/entries.ts";
import { conversationOfGroup, otherOf, parseConversation } from "../../protocol/protocol.ts";
import type { ConversationId } from "../../protocol/protocol.ts";
import type { Group, Person, Profile } from "./profile.ts";
import { showName } from "./show_name.ts";

/** Who and what the user knows. */
export class Directory {
  /** The user. */
  readonly me: { readonly id: number; name: string };
  readonly #friends = new Map<number, Person>();
  readonly #groups = new Map<number, Group>();
  /** Of those that the user is in no longer, too. */
  readonly #groupNames = new Map<number, string>();
  readonly #names = new Map<number, string>();
  readonly #states = new Map<number, string>();

  /** Begins with what the login reply says. */
  constructor({ id, name, friends, groups }: Pick<Profile, "id" | "name" | "friends" | "groups">) {
    this.me = { id, name };
    this.learnName(id, name);
    this.refresh({ friends, groups });
  }

  /** Remembers a name that came with a message. */
  learnName(id: number, name: string): void {
    if (id > 0 && name !== "") this.#names.set(id, name);
  }

  /** True for a friend of the user's. */
  isFriend(id: number): boolean {
    return this.#friends.has(id);
  }

  /** Adds a friend that was made after login. */
  addFriend(friend: Person): void {
    this.#friends.set(friend.id, friend);
    this.learnName(friend.id, friend.name);
    this.learnState(friend.id, friend.state);
  }

  /** The friends, by id. */
  friends(): Person[] {
    return [...this.#friends.values()].sort((one, other) => one.id - other.id);
  }

  /** The groups, by id. */
  groups(): Group[] {
    return [...this.#groups.values()].sort((one, other) => one.id - other.id);
  }

  /** The name, or undefined while it is not known. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id);
  }

  /** Everybody whose name is known, by id. */
  names(): ReadonlyMap<number, string> {
    return this.#names;
  }

  /** "online" or "offline", or undefined of whom the server has not told. */
  stateOf(id: number): string | undefined {
    return this.#states.get(id);
  }

  /** Somebody came or went. */
  learnState(id: number, state: string): void {
    if (state === "") return;
    this.#states.set(id, state);
    const friend = this.#friends.get(id);
    if (friend !== undefined) this.#friends.set(id, { ...friend, state });
  }

  /** Somebody has another name. */
  learnProfile(id: number, { name }: { name: string }): void {
    this.learnName(id, name);
    if (id === this.me.id && name !== "") this.me.name = name;
    const friend = this.#friends.get(id);
    if (friend !== undefined) this.#friends.set(id, { ...friend, name: name || friend.name });
  }

  /** Takes what a later login says in place of what an earlier one said. */
  refresh({ friends, groups }: Pick<Profile, "friends" | "groups">): void {
    this.#friends.clear();
    this.#groups.clear();
    for (const friend of friends) this.addFriend(friend);
    for (const group of groups) this.addGroup(group);
  }

  /** A group the user is in, or undefined. */
  group(id: number): Group | undefined {
    return this.#groups.get(id);
  }

  /** Adds a group that was made or joined after login. */
  addGroup(group: Group): void {
    this.#groups.set(group.id, group);
    this.learnGroupName(group.id, group.name);
    for (const { id, name } of group.members) this.learnName(id, name);
  }

  /** The user is not in it any more. */
  removeGroup(id: number): void {
    this.#groups.delete(id);
  }

  /** Remembers what a group is called, or was when the user left it. */
  learnGroupName(id: number, name: string): void {
    if (name !== "") this.#groupNames.set(id, name);
  }

  /** What a group is called, or undefined while it is not known. */
  groupName(id: number): string | undefined {
    return this.#groupNames.get(id);
  }

  /** "li (2)", or "user 2" without a name. */
  describeUser(id: number): string {
    if (id === OPERATOR.id) return "an operator";
    const name = this.#names.get(id);
    return name === undefined ? `user ${id}` : `${showName(name)} (${id})`;
  }

  /** "devs (g1)", or "g1" without a name. */
  describeGroup(id: number): string {
    const name = this.#groupNames.get(id);
    return name ? `${showName(name)} (${conversationOfGroup(id)})` : conversationOfGroup(id);
  }

  /** The other user, or the group, of a conversation. */
  describeConversation(conversation: ConversationId): string {
    const parsed = parseConversation(conversation);
    if (parsed !== undefined && "groupId" in parsed) return this.describeGroup(parsed.groupId);
    const other = otherOf(conversation, this.me.id);
    return other === undefined ? conversation : this.describeUser(other);
  }
}
