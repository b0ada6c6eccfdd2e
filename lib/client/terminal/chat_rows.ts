/**
 * A conversation as rows of a terminal: "14:02 #12 ann: hello ✓✓".
 *
 * @module
 */

import { conversationOfUsers, otherOf } from "../../protocol/protocol.ts";
import type { ConversationSummary } from "../core/conversation_list.ts";
import type { Directory } from "../core/directory.ts";
import { detailsOf, systemEventOf } from "../core/entries.ts";
import type { ChatMessage } from "../core/messages.ts";
import { showName } from "../core/show_name.ts";
import type { ClientStore } from "../core/store.ts";
import { formatTime } from "../core/time_text.ts";
import { FAINT, personStyle } from "./row.ts";
import type { Part, Row } from "./row.ts";
import { entryLine, excerpt, groupIdOf } from "./view.ts";

/** Beside a message that is on its way. */
const WAITING_MARK = "…";
const EXCERPT = 60;

/** "14:02" of the reader's own day. */
export function clockTime(at: number): string {
  return formatTime(at).slice(11, 16);
}

/** "2026-11-28" of the reader's own day. */
export function dayOf(at: number): string {
  return formatTime(at).slice(0, 10);
}

/** The name alone, where it is known: it is the only one in the cluster. */
export function nameOf(directory: Directory, id: number): string {
  const name = directory.nameOf(id);
  return name === undefined ? `user ${id}` : showName(name);
}

/** The other user's name, or the group's. */
export function titleOf(directory: Directory, conversation: string): string {
  const groupId = groupIdOf(conversation);
  if (groupId !== undefined) {
    const name = directory.groupName(groupId);
    return name ? showName(name) : `g${groupId}`;
  }
  return nameOf(directory, otherOf(conversation, directory.me.id) ?? 0);
}

/** How far a message of the user's own has got: "✓", "✓✓", "✓✓ read", in a group "✓✓ read by 3". */
export function markOf(
  { conversation, seq, sender }: ChatMessage,
  directory: Directory,
  store: ClientStore,
): string {
  if (sender !== directory.me.id) return "";
  if (seq === null) return WAITING_MARK;
  if (conversation === conversationOfUsers(sender, sender)) return "✓✓ read";
  const read = store.countPeers(conversation, "read", seq);
  if (read > 0) return groupIdOf(conversation) === undefined ? "✓✓ read" : `✓✓ read by ${read}`;
  return store.countPeers(conversation, "delivered", seq) > 0 ? "✓✓" : "✓";
}

/** One message, or what happened in between. */
export function entryRow(message: ChatMessage, directory: Directory, store: ClientStore): Row {
  const { seq, sender, at } = message;
  const time: Part = { text: `${clockTime(at)} `, style: FAINT };
  if (systemEventOf(message) !== undefined || message.frame?.msgid === 23) {
    return [time, { text: `* ${entryLine(message, directory)}`, style: FAINT }];
  }
  const number: Part = { text: seq === null ? "" : `#${seq} `, style: FAINT };
  const who: Part = { text: nameOf(directory, sender), style: personStyle(sender) };
  if (message.text === null) return [time, number, who, { text: " took this back", style: FAINT }];
  const { reply, editedAt, isPinned, reactions } = detailsOf(message);
  const answered = reply === undefined ? "" : ` → #${reply}`;
  const kinds = Array.from(reactions, ([emoji, users]) => ` ${emoji}${users.length}`).join("");
  const tail = (editedAt === undefined ? "" : " (edited)") + (isPinned ? " (pinned)" : "");
  const mark = markOf(message, directory, store);
  return [
    time,
    number,
    who,
    { text: answered, style: FAINT },
    `: ${message.text}`,
    { text: tail, style: FAINT },
    kinds,
    { text: mark === "" ? "" : ` ${mark}`, style: FAINT },
  ];
}

/** Something said in a conversation that is not open: "14:02 (devs) li: hello", cut to a glance. */
export function noticeRow(message: ChatMessage, directory: Directory): Row {
  const { conversation, sender, at, text } = message;
  const where = groupIdOf(conversation) === undefined ? "" : `(${titleOf(directory, conversation)}) `;
  return [
    { text: `${clockTime(at)} ${where}`, style: FAINT },
    { text: nameOf(directory, sender), style: personStyle(sender) },
    { text: `: ${excerpt(text ?? "", EXCERPT)}`, style: FAINT },
  ];
}

/** A line of `/chats`. */
export function summaryRow(summary: ConversationSummary, directory: Directory): Row {
  const { conversation, unread, mentions, last, mutedUntil } = summary;
  const groupId = groupIdOf(conversation);
  const other = otherOf(conversation, directory.me.id) ?? 0;
  const state = groupId === undefined ? directory.stateOf(other) : undefined;
  const count = unread === 0 ? "" : `  ${unread >= 100 ? "100+" : unread} unread`;
  const marks = (mentions > 0 ? "  @" : "") + ((mutedUntil ?? 0) > Date.now() ? "  muted" : "");
  const said = last === undefined
    ? ""
    : `  ${clockTime(summary.at)} ${nameOf(directory, last.id)}: ${excerpt(last.text, EXCERPT)}`;
  return [
    "  ",
    { text: titleOf(directory, conversation), style: groupId === undefined ? personStyle(other) : "1" },
    groupId === undefined ? "" : ` (g${groupId})`,
    state === "online" ? " ●" : "",
    { text: count + marks, style: "1" },
    { text: said, style: FAINT },
  ];
}
