/**
 * What the log holds beside chat: actions on earlier entries, and what the system says.
 *
 * Their texts are ready frames, as those of chat are, and are told apart by how they begin: a chat frame's msgid is 6 or
 * 10, and a text with another one before that (a key that stands twice) is put together anew before it is stored.
 *
 * @module
 */
import { type JsonObject, MSGID, toJson } from "./protocol.ts";

/** What an entry is, as the column has it. */
export const KIND = { chat: 0, action: 1, system: 2 } as const;

/** One of {@link KIND}. */
export type Kind = typeof KIND[keyof typeof KIND];

const ACTION = `{"msgid":${MSGID.ACTION_MSG},`;
const SYSTEM = `{"msgid":${MSGID.SYSTEM_MSG},`;

/** What the entry with this text, or this frame, is. */
export function kindOf(text: string): Kind {
  if (text.startsWith(ACTION)) return KIND.action;
  return text.startsWith(SYSTEM) ? KIND.system : KIND.chat;
}

/** A user who does something, or to whom it is done. */
export interface Who {
  /** User id. */
  id: number;
  /** As signed up. */
  name: string;
}

/** The text of an action of `who` on the entry `ref`; `fields` are what it consists of. */
export function actionText({ id, name }: Who, ref: number, act: string, fields: JsonObject = {}): string {
  return toJson({ msgid: MSGID.ACTION_MSG, id, name, ref, act, ...fields });
}

/** Who has done what operators do. */
export const OPERATOR: Who = { id: 0, name: "operator" };

/** What others read in the place of the name of who is deleted, with the id in parentheses behind it where the id is not there. */
export const DELETED_NAME = "deleted user";

/** The text of a system entry: `what` has become of `who`, by `by`. */
export function systemText(what: string, { id, name }: Who, by: Who, fields: JsonObject = {}): string {
  const doer = by.id === id ? { by: id } : { by: by.id, by_name: by.name };
  return toJson({ msgid: MSGID.SYSTEM_MSG, what, id, name, ...doer, ...fields });
}

const ENDING = new RegExp(`^\\{"msgid":${MSGID.SYSTEM_MSG},"what":"(left|removed|dissolved)","id":(\\d+),`);

/** Whether `userId` is in the group no longer from the entry with this text, or this frame, on. */
export function endsMembership(text: string, userId: number): boolean {
  const [, what, id] = ENDING.exec(text) ?? [];
  return what === "dissolved" || (what !== undefined && Number(id) === userId);
}
