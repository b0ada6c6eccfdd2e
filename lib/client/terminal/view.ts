/**
 * What the user reads, line by line. Nothing here is drawn; the screen makes received text harmless.
 *
 * @module
 */

import { parseConversation } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import type { Directory } from "../core/directory.ts";
import { actionOf, detailsOf, systemEventOf } from "../core/entries.ts";
import type { SessionEvent } from "../core/events.ts";
import { textOf } from "../core/messages.ts";
import type { ChatMessage } from "../core/messages.ts";
import type { Group, Profile } from "../core/profile.ts";
import type { Receipt } from "../core/receipts.ts";
import { showName } from "../core/show_name.ts";
import type { ClientStore } from "../core/store.ts";
import { formatTime } from "../core/time_text.ts";

const STORED_MARK = "✓";
const DELIVERED_MARK = "✓✓";
const READ_MARK = "✓✓ read";
/** So much of an own message is repeated beside its mark. */
const EXCERPT = 40;

/** The group of a conversation; undefined of a one-to-one conversation. */
export function groupIdOf(conversation: ConversationId): number | undefined {
  const parsed = parseConversation(conversation);
  return parsed !== undefined && "groupId" in parsed ? parsed.groupId : undefined;
}

/** A text, or its beginning and an ellipsis: at most `most` characters. */
export function excerpt(text: string, most: number = EXCERPT): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join("")}…`;
}

/** "2026-01-31 12:00:00 devs (g1) li (2): hello"; what the user said on another device says so. */
function messageLine(message: ChatMessage, directory: Directory): string {
  const { conversation, sender, text, at } = message;
  const groupId = groupIdOf(conversation);
  const where = groupId === undefined ? "" : `${directory.describeGroup(groupId)} `;
  const isOwn = sender === directory.me.id && groupId === undefined;
  const who = isOwn
    ? `you to ${directory.describeConversation(conversation)}`
    : directory.describeUser(sender);
  return `${formatTime(at)} ${where}${who}${replyMark(message)}: ${text ?? ""}`;
}

/** " (to #5)" of an answer. */
function replyMark(message: ChatMessage): string {
  const { reply } = detailsOf(message);
  return reply === undefined ? "" : ` (to #${reply})`;
}

/** What was done to a message, or happened to a conversation: "li (2) took back #5 in devs (g1)". */
export function entryLine(entry: ChatMessage, directory: Directory): string {
  const { conversation, sender } = entry;
  const who = directory.describeUser(sender);
  const groupId = groupIdOf(conversation);
  const where = groupId === undefined ? "" : ` in ${directory.describeGroup(groupId)}`;
  const action = actionOf(entry);
  if (action !== undefined) {
    const { ref, act, text, emoji, isOn } = action;
    switch (act) {
      case "edit":
        return `${who} edited #${ref}${where}: ${text}`;
      case "react":
        return isOn ? `${who} put ${emoji} on #${ref}${where}` : `${who} took ${emoji} off #${ref}${where}`;
      case "pin":
        return `${who} ${isOn ? "pinned" : "unpinned"} #${ref}${where}`;
      case "recall":
        return `${who} took back #${ref}${where}`;
      default:
        return `${who}: ${act} #${ref}${where}`;
    }
  }
  return `${systemText(entry, who, directory)}${where}`;
}

function systemText(entry: ChatMessage, who: string, directory: Directory): string {
  const event = systemEventOf(entry);
  if (event === undefined) return who;
  const whom = directory.describeUser(event.id);
  switch (event.what) {
    case "created":
      return `${who} made the group`;
    case "joined":
      return `${whom} has joined`;
    case "left":
      return `${whom} has left`;
    case "added":
      return `${who} added ${whom}`;
    case "removed":
      return `${who} removed ${whom}`;
    case "role":
      return `${who} made ${whom} ${textOf(event.frame.role) || "another role"}`;
    case "edited":
      return `${who} ${editedText(event.frame)}`;
    case "dissolved":
      return `${who} dissolved the group: nobody can write any more`;
    default:
      return `${who}: ${event.what}`;
  }
}

/** What is another one about a group. */
function editedText({ groupname, groupdesc, join }: JsonObject): string {
  const texts = [
    textOf(groupname) === "" ? "" : `named the group ${showName(textOf(groupname))}`,
    groupdesc === undefined ? "" : `described the group: ${textOf(groupdesc)}`,
    join === undefined
      ? ""
      : `made the group ${join === "link" ? "one that is joined by link" : textOf(join)}`,
  ].filter((text) => text !== "");
  return texts.length === 0 ? "changed what the group is" : texts.join(", ");
}

/** "✓ #5 to li (2): hello" */
function storedLine({ conversation, seq, text }: ChatMessage, directory: Directory): string {
  const number = seq === null ? "" : `#${seq} `;
  return `${STORED_MARK} ${number}to ${directory.describeConversation(conversation)}: ${excerpt(text ?? "")}`;
}

/** "✓✓ #5 delivered to li (2)" */
function receiptLine({ conversation, id, kind, seq }: Receipt, directory: Directory): string {
  const who = id === undefined ? "everybody" : directory.describeUser(id);
  const groupId = groupIdOf(conversation);
  const where = groupId === undefined ? "" : ` in ${directory.describeGroup(groupId)}`;
  return `${DELIVERED_MARK} #${seq} ${kind === "read" ? "read by" : "delivered to"} ${who}${where}`;
}

function groupLines(group: Group): string[] {
  const description = group.description === "" ? "" : `: ${group.description}`;
  const { members, memberCount, role } = group;
  const size = members.length > 0 || memberCount === 0 ? "" : ` (${memberCount} members, you are ${role})`;
  return [
    `  ${group.id} ${showName(group.name)}${description}${size}`,
    ...group.members.map(({ id, name, state, role }) => `    ${id} ${showName(name)} ${role} ${state}`),
  ];
}

/** What the original client shows after login: the user, friends with state, groups with members and roles. */
function profileLines({ id, name, friends, groups, offlineMessages }: Profile): string[] {
  return [
    `logged in as ${showName(name)} (${id})`,
    "friends:",
    ...(friends.length === 0
      ? ["  none"]
      : friends.map(({ id, name, state }) => `  ${id} ${showName(name)} ${state}`)),
    "groups:",
    ...(groups.length === 0 ? ["  none"] : groups.flatMap(groupLines)),
    ...(offlineMessages.length === 0 ? [] : ["offline messages:"]),
  ];
}

/** What an event says to the user; `directory` is the logged-in user's. */
export function eventLines(event: SessionEvent, directory: Directory | undefined): string[] {
  if (event.kind === "logged_in") return profileLines(event.profile);
  if (event.kind === "status") return [event.text];
  if (event.kind === "logged_out") return [`! logged out: ${event.text}`];
  if (directory === undefined) return [];
  switch (event.kind) {
    case "message":
      return [messageLine(event.message, directory)];
    case "entry":
      return [entryLine(event.entry, directory)];
    case "stored":
      return [storedLine(event.message, directory)];
    case "receipt":
      return [receiptLine(event.receipt, directory)];
    case "refused": {
      const to = directory.describeConversation(event.entry.conversation);
      return [`! not sent to ${to}: ${event.reason}: ${excerpt(event.entry.text)}`];
    }
    case "recalled": {
      const groupId = groupIdOf(event.conversation);
      const where = groupId === undefined ? "" : ` in ${directory.describeGroup(groupId)}`;
      return [`${directory.describeUser(event.id)} took back #${event.seq}${where}`];
    }
  }
}

/**
 * How far a message of ours has got. In a group that is how many have it as far as we have heard: who is in it, and who was
 * when it was said, only the server knows.
 */
function markOf(
  { conversation, seq, sender }: ChatMessage,
  directory: Directory,
  store: ClientStore,
): string {
  if (sender !== directory.me.id || seq === null) return "";
  const delivered = store.countPeers(conversation, "delivered", seq);
  if (delivered === 0) return ` ${STORED_MARK}`;
  const read = store.countPeers(conversation, "read", seq);
  if (groupIdOf(conversation) === undefined) return ` ${read > 0 ? READ_MARK : DELIVERED_MARK}`;
  const ahead = delivered - read;
  const parts = [
    ...(read > 0 ? [`read by ${read}`] : []),
    ...(ahead > 0 ? [`delivered to ${delivered}`] : []),
  ];
  return ` ${DELIVERED_MARK} ${parts.join(", ")}`;
}

/** " (edited) (pinned) 👍2" */
function detailMarks(message: ChatMessage): string {
  const { editedAt, isPinned, reactions } = detailsOf(message);
  const kinds = Array.from(reactions, ([emoji, users]) => `${emoji}${users.length}`);
  return (editedAt === undefined ? "" : " (edited)") + (isPinned ? " (pinned)" : "") +
    (kinds.length === 0 ? "" : ` ${kinds.join(" ")}`);
}

/** One line of `history`: "#5 2026-01-31 12:00:00 li (2): hello". */
export function historyLine(message: ChatMessage, directory: Directory, store: ClientStore): string {
  const number = message.seq === null ? "" : `#${message.seq} `;
  if (systemEventOf(message) !== undefined) {
    return `${number}${formatTime(message.at)} ${entryLine(message, directory)}`;
  }
  if (message.text === null) return `${number}(recalled)`;
  const who = `${directory.describeUser(message.sender)}${replyMark(message)}`;
  const marks = markOf(message, directory, store) + detailMarks(message);
  return `${number}${formatTime(message.at)} ${who}: ${message.text}${marks}`;
}
