/**
 * The wire protocol's numbers and frame shapes; PROTOCOL.md is the text to them.
 *
 * @module
 */

/** Message ids: 1–10 are the original's, 11 to 21 are version 2, 22 and up are version 3. */
export const MSGID = {
  LOGIN_MSG: 1,
  LOGIN_MSG_ACK: 2,
  LOGINOUT_MSG: 3,
  SIGNUP_MSG: 4,
  SIGNUP_MSG_ACK: 5,
  ONE_CHAT_MSG: 6,
  ADD_FRIEND_MSG: 7,
  CREATE_GROUP_MSG: 8,
  ADD_GROUP_MSG: 9,
  GROUP_CHAT_MSG: 10,
  ACK_MSG: 11,
  DELIVERED_MSG: 12,
  READ_MSG: 13,
  RECEIPT_MSG: 14,
  HISTORY_MSG: 15,
  HISTORY_MSG_ACK: 16,
  RECALL_MSG: 17,
  HEARTBEAT_MSG: 18,
  HEARTBEAT_MSG_ACK: 19,
  NOTICE_MSG: 20,
  RESUME_MSG: 21,
  DEVICE_MSG: 22,
  ACTION_MSG: 23,
  GROUP_MSG: 24,
  SYSTEM_MSG: 25,
  CONTACT_MSG: 26,
  FIND_MSG: 27,
  PROFILE_MSG: 28,
  SETTING_MSG: 29,
  TYPING_MSG: 30,
  PRESENCE_MSG: 31,
  SEARCH_MSG: 32,
  SEARCH_MSG_ACK: 33,
  CONVERSATIONS_MSG: 34,
  ACCOUNT_MSG: 35,
  RESET_MSG: 36,
} as const;

/** What a connection speaks: each version has all of the one before. From 2 on messages are acknowledged and requests answered. */
export type ProtocolVersion = 1 | 2 | 3;

/** Error numbers of replies; 0 is success. */
export const ERRNO = {
  OK: 0,
  /** Wrong id or password; at signup: name taken or not acceptable. */
  REFUSED: 1,
  ALREADY_ONLINE: 2,
  NOT_LOGGED_IN: 3,
  MALFORMED: 4,
  UNKNOWN_MSGID: 5,
  NOT_FOUND: 6,
  NOT_ALLOWED: 7,
  /** With `retry_after_ms`. */
  TOO_MANY_REQUESTS: 8,
  TOO_LARGE: 9,
  /** Temporarily unavailable; safe to retry with the same cid. */
  UNAVAILABLE: 10,
  TOKEN_UNKNOWN: 11,
} as const;

/** Objects and arrays inside one another, the outermost object counted: recursive readers go no deeper than some hundreds. */
export const DEPTH_MAX = 64;

/** Why the server speaks up with a NOTICE_MSG, usually before it closes. */
export type NoticeCode =
  | "replaced"
  | "revoked"
  | "slow_consumer"
  | "shutting_down"
  | "heartbeat_timeout"
  | "flood"
  | "auth_timeout"
  | "bad_frame"
  | "announcement";

/** A parsed JSON object, not yet looked at. */
export type JsonObject = { [key: string]: unknown };

/** A JSON value that is an object and not an array or null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Line breaks to some readers of lines, though not to JSON. */
const LINE_BREAKS = /[\u0085\u2028\u2029]/g;

/** The text of a JSON value, on one line for every reader of lines. */
export function toJson(value: unknown): string {
  return escapeLineBreaks(JSON.stringify(value));
}

/** JSON text or a part of it, with escapes for what some readers of lines take for a line break. */
export function escapeLineBreaks(json: string): string {
  return json.replace(LINE_BREAKS, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A conversation's id: `u<lower id>-<higher id>` or `g<groupid>`. */
export type ConversationId = string;

/** The one-to-one conversation of two users, whichever is named first; a note to oneself has both the same. */
export function conversationOfUsers(a: number, b: number): ConversationId {
  return a < b ? `u${a}-${b}` : `u${b}-${a}`;
}

/** In a one-to-one conversation's `blocked` the bit that says that `blocker` blocks the other one. */
export function blockBit(blocker: number, other: number): number {
  return blocker < other ? 1 : 2;
}

/** Whether what `sender` writes in a conversation with these bits is hidden from the other one of two. */
export function isBlocked(conversation: ConversationId, sender: number, blocked: number): boolean {
  if (blocked === 0) return false;
  const place = parseConversation(conversation);
  if (!place || !("users" in place)) return false;
  const [one, other] = place.users;
  return (blocked & blockBit(sender === one ? other : one, sender)) !== 0;
}

/** The conversation of a group. */
export function conversationOfGroup(groupId: number): ConversationId {
  return `g${groupId}`;
}

/** What a conversation id names; undefined when it is not one in its only right spelling. */
export function parseConversation(id: string): { groupId: number } | { users: [number, number] } | undefined {
  const match = /^(?:g([1-9]\d{0,9})|u([1-9]\d{0,9})-([1-9]\d{0,9}))$/.exec(id);
  if (!match) return undefined;
  if (match[1] !== undefined) return { groupId: Number(match[1]) };
  const users: [number, number] = [Number(match[2]), Number(match[3])];
  return users[0] <= users[1] ? { users } : undefined;
}

/** Whom `me` talks to in a one-to-one conversation: in a note to oneself that is `me`. Undefined in a group. */
export function otherOf(conversation: ConversationId, me: number): number | undefined {
  const parsed = parseConversation(conversation);
  if (parsed === undefined || "groupId" in parsed) return undefined;
  const [low, high] = parsed.users;
  return low === me ? high : low;
}

/**
 * The chat object `text` with the server's fields spliced in before its last brace: the sender's own JSON travels
 * untouched and is not serialised again. `text` must be a non-empty object without these fields.
 */
export function spliceFields(text: string, conversation: ConversationId, seq: number, at: number): string {
  return `${text.slice(0, -1)},"conversation":"${conversation}","seq":${seq},"at":${at}}`;
}

/** The time that {@link spliceFields} has put into a frame. */
export function splicedTime(frame: string): number {
  return Number(frame.slice(frame.lastIndexOf(":") + 1, -1));
}
