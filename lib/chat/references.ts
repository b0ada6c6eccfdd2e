/**
 * What a message refers to: an earlier one that it replies to, and those whom it names. Looked at from version 3 on; before
 * that these are fields like any other.
 *
 * @module
 */
import { KIND, kindOf } from "../protocol/entries.ts";
import { type ConversationId, ERRNO, parseConversation } from "../protocol/protocol.ts";
import { endOf } from "../log/positions.ts";
import { Refusal, type Request } from "./request.ts";
import type { Services } from "./services.ts";
import { isVisible } from "../store/messages.ts";

/** Users that a message names, unless it names everybody. */
const NAMED_MAX = 50;
/** Stands for everybody. */
const EVERYBODY = 0;

/** Whether there is something to look at. Mostly there is not, and nothing to wait for. */
export function hasReferences({ session, frame }: Request): boolean {
  return session.version === 3 && (frame.reply !== undefined || frame.mentions !== undefined);
}

/** Resolves with the ids of those whom the message names, {@link EVERYBODY}'s if it names all; refuses what is wrong. */
export async function checkReferences(
  services: Services,
  request: Request,
  conversation: ConversationId,
): Promise<readonly number[]> {
  const { reply, mentions } = request.frame;
  const named = mentions === undefined ? [] : readMentions(request, conversation, mentions);
  if (reply !== undefined && !await isThere(services, request, conversation, reply)) {
    throw new Refusal(ERRNO.MALFORMED, 'Field "reply" is not the seq of a message in this conversation');
  }
  return named;
}

function readMentions({ login }: Request, conversation: ConversationId, mentions: unknown): number[] {
  if (mentions === "all") {
    const place = parseConversation(conversation);
    const role = place && "groupId" in place ? login.groups.get(place.groupId) : undefined;
    if (role !== undefined && role !== "normal") return [EVERYBODY];
    throw new Refusal(ERRNO.NOT_ALLOWED, "Only a group's creator and admins can mention everybody in it");
  }
  const named = namedIn(mentions);
  if (named === undefined) throw new Refusal(ERRNO.MALFORMED, 'Field "mentions" is neither ids nor "all"');
  if (named.length <= NAMED_MAX) return named.filter((id) => id !== login.userId);
  throw new Refusal(ERRNO.NOT_ALLOWED, `A message mentions at most ${NAMED_MAX} users`);
}

/** The different ids of a list; undefined when it is none. */
function namedIn(mentions: unknown): number[] | undefined {
  if (!Array.isArray(mentions)) return undefined;
  const ids = new Set<number>();
  for (const id of mentions) {
    if (!Number.isSafeInteger(id) || id <= 0) return undefined;
    ids.add(id);
  }
  return [...ids];
}

/** Whom a stored message names, by the text of its field; nobody where that was never looked at. */
export function mentionsOf(text: string | undefined): readonly number[] {
  const mentions: unknown = text === undefined ? undefined : JSON.parse(text);
  if (mentions === "all") return [EVERYBODY];
  const named = namedIn(mentions) ?? [];
  return named.length <= NAMED_MAX ? named : [];
}

async function isThere(
  { messages }: Services,
  { login }: Request,
  conversation: ConversationId,
  seq: unknown,
): Promise<boolean> {
  const cursor = login.mailbox.cursor(conversation);
  if (typeof seq !== "number" || !Number.isSafeInteger(seq) || !cursor) return false;
  if (seq <= cursor.since || seq > endOf(cursor)) return false;
  const row = await messages.one(conversation, seq, login.userId);
  return row !== undefined && isVisible(row, login.userId) &&
    (row.message === null || kindOf(row.message) === KIND.chat);
}
