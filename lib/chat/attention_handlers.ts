/**
 * What draws a user's attention, and what does not: conversations that are muted, and who is typing.
 *
 * @module
 */
import { conversationOfUsers, ERRNO, MSGID, parseConversation, toJson } from "../protocol/protocol.ts";
import { Refusal, type Request } from "./request.ts";
import type { Services } from "./services.ts";

/** In larger groups nobody is told who is typing. */
const TYPING_GROUP_MAX = 50;

function notIn(): Refusal {
  return new Refusal(ERRNO.NOT_FOUND, "You are not in this conversation");
}

/** SETTING_MSG: a conversation is muted until then, or not at all. The user's other devices follow. */
export async function setting({ conversations, news }: Services, request: Request): Promise<void> {
  const { session, login, frame: { muted_until: asked } } = request;
  const conversation = request.string("conversation");
  const isTime = typeof asked === "number" && Number.isSafeInteger(asked) && asked >= 0;
  if (asked !== null && !isTime) {
    throw new Refusal(ERRNO.MALFORMED, 'Field "muted_until" is neither a time in ms nor null');
  }
  if (!login.mailbox.cursor(conversation)) throw notIn();
  await conversations.mute(login.userId, conversation, asked ?? 0);
  const setting = { conversation, muted_until: asked };
  news.tellOwn(login.userId, toJson({ msgid: MSGID.SETTING_MSG, ...setting }), session);
  request.reply(setting);
}

/** TYPING_MSG: the others in a conversation are told, unless they were a moment ago. */
export async function typing({ groups, news }: Services, request: Request): Promise<void> {
  const { userId, mailbox, groups: own } = request.login;
  const conversation = request.string("conversation");
  const place = parseConversation(conversation);
  const isIn = mailbox.cursor(conversation) && (!place || !("groupId" in place) || own.has(place.groupId));
  if (!place || !isIn) throw notIn();
  if (news.mayTellTyping(userId, conversation)) {
    if ("users" in place) {
      const peer = place.users.find((id) => id !== userId);
      if (peer !== undefined) news.tellTyping({ userId: peer }, conversationOfUsers(userId, peer), userId);
    } else if (await groups.memberCount(place.groupId) <= TYPING_GROUP_MAX) {
      news.tellTyping(place, conversation, userId);
    }
  }
  request.reply();
}
