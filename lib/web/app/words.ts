/**
 * People, groups and what happened, in words.
 *
 * @module
 */

import { integerOf, textOf } from "../../client/core/messages.ts";
import { DELETED_NAME, OPERATOR } from "../../protocol/entries.ts";
import type { Conversation, Entry } from "./conversation.ts";
import type { Model } from "./model.ts";
import { isolate, plural, t } from "./texts.ts";
import type { TextKey } from "./texts.ts";

/** More than a line has room for. */
const EXCERPT_CHARACTERS = 200;
const DELETED = new RegExp(`^${DELETED_NAME}(?: \\(\\d+\\))?$`);

/** A user's name, or what stands for one. */
export function nameOf(model: Model, id: number, name = ""): string {
  const known = model.nameOf(id) || name;
  return isDeleted(known) ? t("deleted_user") : known || t("user", { id: String(id) });
}

/** True for the name that is left of who was deleted. */
export function isDeleted(name: string): boolean {
  return DELETED.test(name);
}

/** What a conversation is called. */
export function titleOf(model: Model, { peerId, groupId }: Conversation): string {
  if (groupId !== undefined) {
    return model.people.groups.get(groupId)?.name || t("group", { id: String(groupId) });
  }
  if (peerId === model.me) return t("notes");
  return nameOf(model, peerId ?? 0);
}

/** The line under a conversation's title. */
export function sublineOf(model: Model, conversation: Conversation): string {
  const typing = typingOf(model, conversation);
  if (typing !== "") return typing;
  const { groupId, peerId } = conversation;
  if (groupId !== undefined) {
    const group = model.people.groups.get(groupId);
    return group === undefined || group.isOver ? "" : plural("members", Math.max(1, group.count));
  }
  const { state, status } = model.people.user(peerId ?? 0);
  const presence = state === "online" ? t("online") : state === "offline" ? t("offline") : "";
  return [presence, status].filter((part) => part !== "").join(" · ");
}

/** "li is typing…", or nothing. */
export function typingOf(model: Model, { typing, groupId }: Conversation): string {
  const [first, second, ...more] = [...typing.keys()].filter((id) => id !== model.me);
  if (first === undefined) return "";
  if (groupId === undefined) return t("typing");
  if (second === undefined) return t("typing_one", { name: isolate(nameOf(model, first)) });
  if (more.length > 0) return t("typing_many");
  return t("typing_two", { name: isolate(nameOf(model, first)), other: isolate(nameOf(model, second)) });
}

const ROLES: Readonly<Record<string, TextKey>> = {
  creator: "role_creator",
  admin: "role_admin",
  normal: "role_normal",
};

const JOINS: Readonly<Record<string, TextKey>> = {
  closed: "join_closed",
  link: "join_link",
  open: "join_open",
};

/** A role's name. */
export function roleText(role: string): string {
  return t(ROLES[role] ?? "role_normal");
}

/** What happened in a group, by its entry in the log. */
export function systemText(model: Model, { frame = {}, sender }: Entry): string {
  const id = integerOf(frame.id, 1) ?? 0;
  const by = integerOf(frame.by, 1) ?? sender;
  const who = (user: number, name: string, you: string) =>
    isolate(user === model.me ? you : user === OPERATOR.id ? t("operator") : nameOf(model, user, name));
  const name = textOf(frame.name);
  // At the beginning of a sentence, and within one.
  const isAlone = frame.what === "joined" || frame.what === "left";
  const values = {
    by: who(by, textOf(frame.by_name) || (by === id ? name : ""), t("you")),
    name: who(id, name, isAlone ? t("you") : t("you_object")),
  };
  switch (frame.what) {
    case "created":
      return t("sys_created", values);
    case "joined":
      return t("sys_joined", values);
    case "added":
      return t("sys_added", values);
    case "left":
      return t("sys_left", values);
    case "removed":
      return t("sys_removed", values);
    case "role":
      return t("sys_role", { ...values, role: roleText(textOf(frame.role)) });
    case "edited": {
      const group = textOf(frame.groupname);
      if (group !== "") return t("sys_renamed", { ...values, group: isolate(group) });
      const join = JOINS[textOf(frame.join)];
      return join === undefined ? t("sys_edited", values) : t("sys_join", { ...values, join: t(join) });
    }
    case "dissolved":
      return t("sys_dissolved", values);
    default:
      return t("sys_other", values);
  }
}

/** The beginning of a text, in one line. */
export function excerpt(text: string): string {
  return text.slice(0, EXCERPT_CHARACTERS).replace(/\s+/g, " ");
}
