/**
 * Names for ids: everybody and every group the client has heard of since login.
 *
 * @module
 */

import { conversationOfGroup, parseConversation } from "../../protocol/protocol.ts";
import type { ConversationId } from "../../protocol/protocol.ts";
import type { Group, Person, Profile } from "./profile.ts";
import { showName } from "./show_name.ts";

/** Who and what the user knows. */
export class Directory {
  /** The user. */
  readonly me: { readonly id: number; readonly name: string };
  readonly #friends: Map<number, Person>;
  readonly #groups: Map<number, Group>;
  readonly #names = new Map<number, string>();

  /** Begins with what the login reply says. */
  constructor({ id, name, friends, groups }: Pick<Profile, "id" | "name" | "friends" | "groups">) {
    this.me = { id, name };
    this.#friends = new Map(friends.map((friend) => [friend.id, friend]));
    this.#groups = new Map(groups.map((group) => [group.id, group]));
    for (const person of [...groups.flatMap((group) => group.members), ...friends, this.me]) {
      this.learnName(person.id, person.name);
    }
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
  }

  /** A group the user is in, or undefined. */
  group(id: number): Group | undefined {
    return this.#groups.get(id);
  }

  /** Adds a group that was made or joined after login. */
  addGroup(group: Group): void {
    this.#groups.set(group.id, group);
  }

  /** "li (2)", or "user 2" without a name. */
  describeUser(id: number): string {
    const name = this.#names.get(id);
    return name === undefined ? `user ${id}` : `${showName(name)} (${id})`;
  }

  /** "devs (g1)", or "g1" without a name. */
  describeGroup(id: number): string {
    const name = this.#groups.get(id)?.name;
    return name ? `${showName(name)} (${conversationOfGroup(id)})` : conversationOfGroup(id);
  }

  /** The other user, or the group, of a conversation. */
  describeConversation(conversation: ConversationId): string {
    const parsed = parseConversation(conversation);
    if (parsed === undefined) return conversation;
    if ("groupId" in parsed) return this.describeGroup(parsed.groupId);
    const [low, high] = parsed.users;
    return this.describeUser(low === this.me.id ? high : low);
  }
}
