/**
 * Chat frames as the client keeps them.
 *
 * @module
 */

import {
  conversationOfGroup,
  conversationOfUsers,
  MSGID,
  parseConversation,
} from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";

/** One message of a conversation. */
export interface ChatMessage {
  /** Which conversation. */
  conversation: ConversationId;
  /** Its place there; null when the server gave none (version 1, or a message that is not stored). */
  seq: number | null;
  /** The sender's id; 0 when it is not known (a recalled message). */
  sender: number;
  /** The sender's name as it came with the message; may be empty. */
  name: string;
  /** The text; null when it was recalled. */
  text: string | null;
  /** When, ms since the epoch: the server's time, or the time of arrival where there is none. */
  at: number;
  /** The frame of version 3 that it came in: a message, an action on an earlier one, or what happened in a group. */
  frame?: JsonObject;
  /** It came as a part of history, as it is now: the actions on it that history has are in it. */
  isCurrent?: boolean;
}

/** The value as an integer of at least `least`, or undefined. */
export function integerOf(value: unknown, least = 0): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= least ? value : undefined;
}

/** The value as text, or the empty string. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The value as a list, or an empty one. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The conversation of a frame without one: a live frame of a v1 server, or one of its offline messages. */
function conversationOf(frame: JsonObject, sender: number): ConversationId | undefined {
  if (frame.msgid === MSGID.GROUP_CHAT_MSG) {
    const groupId = integerOf(frame.groupid, 1);
    return groupId === undefined ? undefined : conversationOfGroup(groupId);
  }
  const to = integerOf(frame.toid, 1);
  return to === undefined ? undefined : conversationOfUsers(sender, to);
}

/** `time` of a v1 frame, the sender's local time "YYYY-MM-DD hh:mm:ss", read as ours. */
function parseTime(time: unknown): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)$/.exec(textOf(time));
  const at = match ? Date.parse(`${match[1]}T${match[2]}`) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

/** Reads a chat frame (msgid 6 or 10); undefined when it is none. `now` dates a message that carries no time. */
export function readChatFrame(frame: JsonObject, now: number): ChatMessage | undefined {
  const sender = integerOf(frame.id, 1);
  if (sender === undefined) return undefined;
  const conversation = textOf(frame.conversation) || conversationOf(frame, sender);
  if (conversation === undefined) return undefined;
  return {
    conversation,
    seq: integerOf(frame.seq, 1) ?? null,
    sender,
    name: textOf(frame.name),
    text: typeof frame.msg === "string" ? frame.msg : JSON.stringify(frame.msg) ?? "",
    at: integerOf(frame.at) ?? parseTime(frame.time) ?? now,
    frame,
  };
}

/** Reads an entry of version 3 that is no message: an action (23) or what happened in a group (25). */
export function readEntryFrame(frame: JsonObject, now: number): ChatMessage | undefined {
  const seq = integerOf(frame.seq, 1);
  const conversation = textOf(frame.conversation);
  if (seq === undefined || parseConversation(conversation) === undefined) return undefined;
  const sender = integerOf(frame.msgid === MSGID.SYSTEM_MSG ? frame.by : frame.id, 1) ?? 0;
  return {
    conversation,
    seq,
    sender,
    // Of what somebody has done about another one, the name is the other one's.
    name: textOf(frame.by_name) || textOf(frame.name),
    text: null,
    at: integerOf(frame.at) ?? now,
    frame,
  };
}

function isEntryFrame({ msgid }: JsonObject): boolean {
  return msgid === MSGID.ACTION_MSG || msgid === MSGID.SYSTEM_MSG;
}

/** Reads an entry of a history page, which may be `{seq, recalled:true}`. */
export function readHistoryEntry(
  entry: JsonObject,
  conversation: ConversationId,
  now: number,
): ChatMessage | undefined {
  const seq = integerOf(entry.seq, 1);
  if (seq === undefined) return undefined;
  const frame = { ...entry, conversation };
  if (isEntryFrame(entry)) return readEntryFrame(frame, now);
  if (entry.recalled === true) {
    const sender = integerOf(entry.id, 1) ?? 0;
    return {
      frame,
      isCurrent: true,
      conversation,
      seq,
      sender,
      name: textOf(entry.name),
      text: null,
      at: integerOf(entry.at) ?? now,
    };
  }
  const message = readChatFrame(frame, now);
  return message === undefined ? undefined : { ...message, isCurrent: true };
}
