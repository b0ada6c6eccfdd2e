/**
 * What the entries of a conversation's log say in version 3: a message besides its text, what was done to one afterwards, and
 * what happened to the conversation itself.
 *
 * @module
 */

import { isJsonObject, MSGID } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import { integerOf, listOf, textOf } from "./messages.ts";
import type { ChatMessage } from "./messages.ts";

/** What a message says besides its text. */
export interface MessageDetails {
  /** The seq of the message it answers. */
  reply: number | undefined;
  /** The ids of the users it names, or "all" of the group. */
  mentions: readonly number[] | "all";
  /** When its text was replaced last, ms since the epoch. */
  editedAt: number | undefined;
  /** Who reacted with which emoji; of many the server names some. */
  reactions: ReadonlyMap<string, readonly number[]>;
  /** It is pinned. */
  isPinned: boolean;
}

/** Something done to an earlier message. */
export interface Action {
  /** The seq of that message. */
  ref: number;
  /** "edit", "react", "pin" or "recall"; others mean nothing here. */
  act: string;
  /** What an edit has put in place of the text. */
  text: string;
  /** What a reaction shows. */
  emoji: string;
  /** Whether a reaction or a pin was put on or taken off. */
  isOn: boolean;
}

/** Something that happened to a conversation; who did it is the entry's sender. */
export interface SystemEvent {
  /** "created", "joined", "left", "added", "removed", "role", "edited", "dissolved"; perhaps others one day. */
  what: string;
  /** To whom; who did it where nobody else is named. */
  id: number;
  /** All that the server says of it. */
  frame: JsonObject;
}

function idsOf(value: unknown): number[] {
  return listOf(value).map((id) => integerOf(id, 1)).filter((id) => id !== undefined);
}

/** What a message says besides its text. */
export function detailsOf({ frame = {} }: ChatMessage): MessageDetails {
  const { reactions } = frame;
  return {
    reply: integerOf(frame.reply, 1),
    mentions: frame.mentions === "all" ? "all" : idsOf(frame.mentions),
    editedAt: integerOf(frame.edited, 1),
    reactions: new Map(
      isJsonObject(reactions) ? Object.entries(reactions).map(([emoji, users]) => [emoji, idsOf(users)]) : [],
    ),
    isPinned: frame.pinned === true,
  };
}

/** True when the message names that user. */
export function isMentioned(message: ChatMessage, id: number): boolean {
  const { mentions } = detailsOf(message);
  return mentions === "all" || mentions.includes(id);
}

/** What the entry did to a message, or undefined when it is another kind of entry. */
export function actionOf({ frame }: ChatMessage): Action | undefined {
  if (frame?.msgid !== MSGID.ACTION_MSG) return undefined;
  return {
    ref: integerOf(frame.ref, 1) ?? 0,
    act: textOf(frame.act),
    text: textOf(frame.msg),
    emoji: textOf(frame.emoji),
    isOn: frame.on === true,
  };
}

/** What happened, or undefined when it is another kind of entry. */
export function systemEventOf({ frame, sender }: ChatMessage): SystemEvent | undefined {
  if (frame?.msgid !== MSGID.SYSTEM_MSG) return undefined;
  return { what: textOf(frame.what), id: integerOf(frame.id, 1) ?? sender, frame };
}

/** True for what was said, and for nothing else that stands in the log. */
export function isSaid({ frame }: ChatMessage): boolean {
  return frame?.msgid !== MSGID.ACTION_MSG && frame?.msgid !== MSGID.SYSTEM_MSG;
}

/**
 * The message as it is after the action that `entry` is; undefined when that changes nothing. To be applied in the order of
 * the log; once more does no harm.
 */
export function applyAction(message: ChatMessage, entry: ChatMessage): ChatMessage | undefined {
  const action = actionOf(entry);
  if (action === undefined || message.text === null || !isSaid(message)) return undefined;
  const { frame: before = {}, ...rest } = message;
  switch (action.act) {
    case "recall":
      return { ...rest, text: null };
    case "edit":
      // A page of history may have brought a later text already.
      if ((integerOf(before.edited, 1) ?? 0) > entry.at) return undefined;
      return { ...message, text: action.text, frame: { ...before, msg: action.text, edited: entry.at } };
    case "react":
      return { ...message, frame: { ...before, reactions: react(message, action, entry.sender) } };
    case "pin":
      return { ...message, frame: { ...before, pinned: action.isOn } };
    default:
      return undefined;
  }
}

function react(message: ChatMessage, { emoji, isOn }: Action, user: number): JsonObject {
  const { reactions } = detailsOf(message);
  const others = (reactions.get(emoji) ?? []).filter((id) => id !== user);
  const users = isOn ? [...others, user] : others;
  const after = new Map(reactions).set(emoji, users);
  return Object.fromEntries([...after].filter(([, ids]) => ids.length > 0));
}
