/**
 * The list of conversations that version 3 gets at its login, and reads on in: newest activity first, each with what is
 * unread, the newest message and, of two, the other one.
 *
 * @module
 */
import { arrayParts } from "../base/long_json.ts";
import { membersOf } from "../protocol/members.ts";
import {
  type ConversationId,
  ERRNO,
  type JsonObject,
  parseConversation,
  toJson,
} from "../protocol/protocol.ts";
import type { LastChat, ListedConversation } from "../store/conversations.ts";
import { NO_END, type Position } from "../store/messages.ts";
import type { User } from "../store/users.ts";
import { Refusal, type Request } from "./request.ts";
import type { Services } from "./services.ts";
import type { Login, Session } from "./session.ts";

/** Conversations on a page. */
export const LISTED_MAX = 200;
/** Characters of the newest message. */
const SHOWN_CHARS = 200;
/** What one of a page costs of what a user may read, in characters of text. */
const CONVERSATION_COST = 1_024;

/** A page of the list, each of them as JSON. */
export interface ListPage {
  /** Newest activity first. */
  conversations: string[];
  /** There are older ones. */
  more: boolean;
}

/** CONVERSATIONS_MSG: the next page of the list. */
export async function conversations(services: Services, request: Request): Promise<void> {
  const { frame, session, login } = request;
  const limit = frame.limit === undefined ? LISTED_MAX : request.integer("limit");
  const before = frame.before === undefined ? Number.MAX_SAFE_INTEGER : request.integer("before");
  if (limit < 1 || limit > LISTED_MAX) {
    throw new Refusal(ERRNO.MALFORMED, `"limit" is not between 1 and ${LISTED_MAX}`);
  }
  const page = await listConversations(services, session, login, before, limit);
  request.replyParts([
    '{"conversations":',
    ...await arrayParts(page.conversations, (text) => text),
    `,"more":${page.more}}`,
  ]);
  const waitMs = services.quotas.of(login.userId)
    .take("history", performance.now(), page.conversations.length * CONVERSATION_COST);
  if (waitMs === 0) return;
  services.limits.note("history", { userId: login.userId }, waitMs);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
}

/**
 * The conversations whose newest entry is older than `before`, ms since the epoch; about `limit`. The session is told of the
 * others in them from then on.
 */
export async function listConversations(
  { conversations, messages, users, contacts, news, groups }: Services,
  session: Session,
  { userId, device, mailbox }: Login,
  before: number = Number.MAX_SAFE_INTEGER,
  limit: number = LISTED_MAX,
): Promise<ListPage> {
  const { rows, more } = await conversations.page(userId, before, limit);
  // What the database has may be a second older than what is known here.
  for (const row of rows) {
    row.read = Math.max(row.read, row.since, mailbox.cursor(row.conversation)?.read ?? 0);
  }
  const peerIds = new Map(rows.flatMap(({ conversation }) => peerOf(conversation, userId)));
  // At a login the mailbox knows of none.
  const unplaced = rows.map(({ conversation }) => conversation).filter((id) => !mailbox.cursor(id));
  const [unread, last, positions, peers, blocked, left, delivered] = await Promise.all([
    conversations.unread(userId, rows),
    conversations.last(userId, rows.filter(({ since, last_chat }) => last_chat > since)),
    messages.peers(userId, [...peerIds.keys()]),
    users.some([...new Set(peerIds.values())]),
    contacts.blockedIds(userId),
    groups.names(rows.flatMap(groupLeft)),
    conversations.delivered(device, unplaced),
  ]);
  news.meet(session, [...peers.values()].map(({ id, state }) => [id, state]));
  const mentions = await conversations.mentions(
    userId,
    rows.filter(({ conversation }) => (unread.get(conversation) ?? 0) > 0),
  );
  const texts: string[] = [];
  for (const row of rows) {
    const { conversation, first_seq, read, at } = row;
    const cursor = mailbox.cursor(conversation);
    const newest = last.get(conversation);
    const peer = peers.get(peerIds.get(conversation) ?? 0);
    const [groupId = 0] = groupLeft(row);
    const groupname = left.get(groupId);
    texts.push(toJson({
      conversation,
      ...(first_seq > 1 ? { first_seq } : {}),
      last_seq: Math.min(Math.max(row.last_seq, cursor?.newest ?? 0), row.until),
      delivered: cursor?.delivered ?? Math.max(row.since, delivered.get(conversation) ?? 0),
      read,
      unread: unread.get(conversation) ?? 0,
      mentions: mentions.get(conversation) ?? 0,
      at,
      ...(row.muted_until > Date.now() ? { muted_until: row.muted_until } : {}),
      ...(peer ? { peer: describePeer(peer, positions.get(conversation), blocked) } : {}),
      ...(newest ? { last: await describeLast(messages, userId, conversation, newest) } : {}),
      ...(groupname === undefined ? {} : { until: row.until, groupname }),
    }));
  }
  return { conversations: texts, more };
}

/** The group whose conversation it is, where the user is in it no longer: it is not among the user's groups. */
function groupLeft({ conversation, until }: ListedConversation): number[] {
  const place = until < NO_END ? parseConversation(conversation) : undefined;
  return place && "groupId" in place ? [place.groupId] : [];
}

/** The other one of two; nobody in a group, or where somebody writes to itself. */
function peerOf(conversation: ConversationId, userId: number): [ConversationId, number][] {
  const place = parseConversation(conversation);
  if (!place || !("users" in place)) return [];
  const [one, other] = place.users;
  return one === other ? [] : [[conversation, one === userId ? other : one]];
}

function describePeer(
  { id, name, state: known }: User,
  position: Position | undefined,
  blocked: ReadonlySet<number>,
): JsonObject {
  const state = blocked.has(id) ? "offline" : known;
  return { id, name, state, delivered: position?.delivered ?? 0, read: position?.read ?? 0 };
}

async function describeLast(
  messages: Services["messages"],
  userId: number,
  conversation: ConversationId,
  { seq, sender: id, at, head, isWhole }: LastChat,
): Promise<JsonObject> {
  if (head === null) return { seq, id, at, recalled: true };
  let shown = isWhole ? shownOf(head) : shownOf(closed(head));
  if (shown.msg === undefined && !isWhole) {
    // Its sender has put thousands of characters before it.
    shown = shownOf((await messages.one(conversation, seq, userId))?.message ?? "{}");
  }
  return { seq, id, name: shown.name ?? "", msg: shown.msg ?? "", at };
}

/** The beginning of an object as one that ends: in a string, or where nothing is understood any more. */
function closed(head: string): string {
  return `${head.replace(/\\(?:u[\da-fA-F]{0,3})?$/, "")}"}`;
}

/** What a list shows of a message, as far as it is there. */
function shownOf(text: string): { name?: string; msg?: string } {
  const members = membersOf(text);
  const shown: { name?: string; msg?: string } = {};
  for (const field of ["name", "msg"] as const) {
    const value = readString(members.get(field));
    if (value !== undefined) {
      shown[field] = [...value.slice(0, 2 * SHOWN_CHARS)].slice(0, SHOWN_CHARS).join("");
    }
  }
  return shown;
}

function readString(json: string | undefined): string | undefined {
  if (json === undefined || !json.startsWith('"')) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value.toWellFormed() : undefined;
  } catch {
    // Cut off in the middle.
    return undefined;
  }
}
