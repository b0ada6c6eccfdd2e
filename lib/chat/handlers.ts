/**
 * What each message of a client does: one function a msgid, called behind the gates (gates.ts) with fields that have been
 * checked. A handler answers through its request, throws a Refusal for what it will not do, and touches no socket.
 *
 * @module
 */
import { momentText } from "../base/moment.ts";
import { errorText, isTemporary } from "../base/errors.ts";
import { KIND, kindOf } from "../protocol/entries.ts";
import { membersOf } from "../protocol/members.ts";
import { mendJson } from "../protocol/mend_json.ts";
import { checkName } from "../protocol/names.ts";
import {
  type ConversationId,
  conversationOfGroup,
  conversationOfUsers,
  ERRNO,
  type JsonObject,
  spliceFields,
  toJson,
} from "../protocol/protocol.ts";
import { type Draft, NotMemberError } from "../log/message_log.ts";
import { endOf } from "../log/positions.ts";
import { noSuchUser } from "./people_handlers.ts";
import { checkReferences, hasReferences } from "./references.ts";
import { Refusal, refusalOf, type Request, tooMany } from "./request.ts";
import type { Services } from "./services.ts";
import { type Login, type Session, traceOf } from "./session.ts";
import type { Marks } from "../store/actions.ts";
import { type HistoryRange, isVisible, type StoredMessage } from "../store/messages.ts";
import { anotherTurn } from "../base/turn.ts";

/** Pause before a database that is away is asked again, ms. */
const DATABASE_RETRY_MS = 200;
/** Messages in one page of history. */
const HISTORY_MAX = 200;
/**
 * Rows of its first look into the log; each further one is twice as long, as long as there is room, up to a number that
 * takes no more than some ms. Of messages as long as they can be, no look is at more than about so many bytes.
 */
const HISTORY_FIRST_ROWS = 32;
const HISTORY_PART_ROWS = 64;
const HISTORY_PART_BYTES = 2_097_152;
/** What reading a row costs besides its text, in characters of text. */
const ROW_COST = 256;

/** Handles one request. What it returns is waited for before the connection's next frame. */
export type Handler = (services: Services, request: Request) => Promise<void> | void;

/** What is wrong with a name of a user or a group, for people. */
export function nameProblem(name: string): string | undefined {
  const problem = checkName(name);
  return problem === undefined ? undefined : `The name ${problem}`;
}

/** ONE_CHAT_MSG. Needs no friendship. */
export function oneChat(services: Services, request: Request): Promise<void> | void {
  const to = request.integer("toid");
  const isKnown = services.users.isKnown(to);
  // The usual case waits for nothing, so that a connection's messages are stored together.
  if (isKnown) return beginOneChat(services, request, to);
  if (isKnown === false) throw noSuchUser(to);
  return lookUpReceiver(services, request, to).then((exists) => {
    if (!exists) throw noSuchUser(to);
    return beginOneChat(services, request, to);
  });
}

/** Looks first at what the message refers to, if anything. */
function beginOneChat(services: Services, request: Request, to: number): Promise<void> | void {
  if (!hasReferences(request)) return sendOneChat(services, request, to);
  return checkReferences(services, request, conversationOfUsers(request.login.userId, to))
    .then((mentions) => sendOneChat(services, request, to, mentions));
}

/**
 * Asks the database for a receiver. Only ids that nobody has count as look-ups: who has many to write to is not held up.
 * Who has named too many of them waits before the next id that has to be asked for.
 */
async function lookUpReceiver(
  { users, quotas, limits }: Services,
  { session, login: { userId } }: Request,
  id: number,
): Promise<boolean> {
  const quota = quotas.of(userId);
  const waitMs = quota.msUntilOne("lookups", performance.now());
  if (waitMs > 0) {
    limits.note("lookups", { userId, person: session.person }, waitMs);
    if (session.version >= 2) throw tooMany("You write to too many who do not exist", waitMs);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  const exists = await receiverExists(users, session, id);
  if (!exists) quota.take("lookups", performance.now());
  return exists;
}

/** A version 1 client cannot be told to try again: what it says waits for the database here as it does in the log. */
async function receiverExists(users: Services["users"], session: Session, id: number): Promise<boolean> {
  for (;;) {
    try {
      return await users.exists(id);
    } catch (error) {
      if (session.version >= 2 || !isTemporary(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS));
    }
  }
}

function sendOneChat(
  services: Services,
  request: Request,
  to: number,
  mentions?: readonly number[],
): Promise<void> | void {
  const { userId } = request.login;
  const text = chatText(request);
  if (services.settings.persist === "all") return storeOneChat(services, request, to, text, mentions);
  const isDelivered = services.delivery.deliverUnlogged({ sender: userId, receiver: to, text });
  const finish = (delivered: boolean) =>
    delivered ? replyUnlogged(request, to) : storeOneChat(services, request, to, text, mentions);
  return typeof isDelivered === "boolean" ? finish(isDelivered) : finishLater(request, isDelivered, finish);
}

function replyUnlogged(request: Request, to: number): void {
  if (!request.isReplyExpected) return;
  request.reply({ conversation: conversationOfUsers(request.login.userId, to), at: Date.now() });
}

function storeOneChat(
  services: Services,
  request: Request,
  to: number,
  text: string,
  mentions?: readonly number[],
): Promise<void> | void {
  const { backlogs, limits } = services;
  const { userId, mailbox } = request.login;
  const conversation = conversationOfUsers(userId, to);
  const newest = mailbox.cursor(conversation)?.newest ?? 0;
  if (!backlogs.take(conversation, userId, to, newest, request.byteLength)) {
    limits.note("undelivered", { userId });
    throw new Refusal(ERRNO.TOO_MANY_REQUESTS, "Too much of yours waits for this user already");
  }
  return append(services, request, { conversation, users: [userId, to], sender: userId, text }, mentions);
}

/** The frame after this one may be handled before the other node has answered. */
function finishLater(
  request: Request,
  isDelivered: Promise<boolean>,
  finish: (delivered: boolean) => Promise<void> | void,
): Promise<void> | void {
  const { session } = request;
  session.beginAppend();
  // A message that is to be stored after all has its own place then, and must not wait in this one for room.
  // One callback and not three: each would be another promise for every message.
  isDelivered.then((delivered) => {
    try {
      finish(delivered);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      request.refuse(error);
    } finally {
      session.endAppend();
    }
  });
  return session.roomForAppend();
}

/** GROUP_CHAT_MSG: for members only, which the transaction that stores it decides. */
export function groupChat(services: Services, request: Request): Promise<void> | void {
  const { userId, groups } = request.login;
  const groupId = request.integer("groupid");
  const conversation = conversationOfGroup(groupId);
  if (!groups.has(groupId)) return answerFormer(services, request, groupId);
  const send = (mentions?: readonly number[]) =>
    append(services, request, { conversation, sender: userId, text: chatText(request) }, mentions);
  return hasReferences(request) ? checkReferences(services, request, conversation).then(send) : send();
}

/** Who is no member any more may still ask what has become of a message from before. */
async function answerFormer({ log }: Services, request: Request, groupId: number): Promise<void> {
  const { cid, login: { userId, mailbox } } = request;
  const wasMember = mailbox.cursor(conversationOfGroup(groupId)) !== undefined;
  const stored = wasMember && cid !== undefined ? await log.repeat(userId, cid) : undefined;
  if (!stored) throw refusalOf(new NotMemberError(groupId));
  request.reply({ conversation: stored.conversation, seq: stored.seq, at: stored.at });
}

/** msgid, id, name, toid or groupid, msg, time: what has all of these, and no other but cid, has nothing of the server's. */
const USUAL_FIELDS = 6;
/** What only the server says of a message. */
const SERVER_FIELDS: ReadonlySet<string> = new Set([
  "conversation",
  "seq",
  "at",
  "recalled",
  "edited",
  "reactions",
  "reaction_counts",
  "pinned",
]);

/**
 * The text to store and forward: the sender's own, unless it lies about the name, leaves its own fields out, uses the
 * server's, says a field twice (two parsers could disagree on who is speaking), or is spelled as not every reader takes it.
 */
function chatText({ frame, text, memberCount, isPlain, login }: Request): string {
  const fields = Object.keys(frame);
  const isWhole = frame.name === login.name && "id" in frame && "time" in frame;
  const isUsual = fields.length === USUAL_FIELDS + Number("cid" in frame);
  const isAsSent = isWhole && fields.length === memberCount &&
    (isUsual || !fields.some((field) => SERVER_FIELDS.has(field)));
  if (isAsSent && isPlain) return text;
  const mended = mendJson(isAsSent ? text : putRight(text, login));
  if (mended.fault !== undefined) throw new Refusal(ERRNO.MALFORMED, mended.fault);
  return mended.text;
}

/** The values stay as they were sent: JSON.stringify would round numbers, and cannot go as deep as JSON.parse. */
function putRight(text: string, { userId, name }: Login): string {
  const members = membersOf(text);
  for (const field of SERVER_FIELDS) members.delete(field);
  members.set("name", JSON.stringify(name));
  if (!members.has("id")) members.set("id", String(userId));
  if (!members.has("time")) members.set("time", JSON.stringify(momentText(Date.now())));
  return `{${[...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
}

/**
 * Stores a message; the answer follows when it is durable, and meanwhile the next frame may be handled. `draft` is completed.
 */
function append(
  { log, logger, failureLines, admission }: Services,
  request: Request,
  draft: Draft,
  mentions?: readonly number[],
): Promise<void> | void {
  const { session, cid, login: { mailbox: origin } } = request;
  draft.origin = origin;
  if (cid !== undefined) draft.cid = cid;
  if (mentions !== undefined && mentions.length > 0) draft.mentions = mentions;
  session.beginAppend();
  origin.beginSending(draft.conversation, draft.text);
  log.add(draft, {
    stored({ conversation, seq, at }) {
      origin.endSending(draft.conversation, draft.text);
      if (request.isReplyExpected) request.reply({ conversation, seq, at });
      session.endAppend();
    },
    failed(error) {
      const isMember = !(error instanceof NotMemberError);
      // This node has not heard of it.
      if (!isMember) admission.catchUp(request.login.userId);
      const isLost = request.cid === undefined && isMember;
      if ((isLost || (isMember && !isTemporary(error))) && failureLines.take(performance.now())) {
        const message = isLost ? "message lost" : "the database does not take a message";
        logger.error(message, { ...traceOf(session), cid: request.cid, reason: errorText(error) });
      }
      origin.endSending(draft.conversation, draft.text);
      request.refuse(refusalOf(error));
      session.endAppend();
    },
  });
  return session.roomForAppend();
}

/** DELIVERED_MSG. */
export function delivered(_services: Services, request: Request): void {
  const { conversation, seq } = checkPosition(request);
  request.login.mailbox.acknowledge(conversation, seq);
  request.reply();
}

/** READ_MSG. */
export function read(_services: Services, request: Request): void {
  const { conversation, seq } = checkPosition(request);
  request.login.mailbox.markRead(conversation, seq);
  request.reply();
}

function checkPosition(request: Request): { conversation: ConversationId; seq: number } {
  const conversation = request.string("conversation");
  const seq = request.integer("seq");
  const cursor = request.login.mailbox.cursor(conversation);
  if (!cursor) throw new Refusal(ERRNO.NOT_FOUND, "You are not in this conversation");
  if (seq < 0 || seq > endOf(cursor)) {
    throw new Refusal(ERRNO.MALFORMED, `The conversation ends before seq ${seq}`);
  }
  return { conversation, seq };
}

/** HISTORY_MSG. */
export async function history(services: Services, request: Request): Promise<void> {
  const { login, frame, session: { version } } = request;
  const conversation = request.string("conversation");
  if (version === 3 && frame.versions !== undefined) return await editions(services, request, conversation);
  const limit = frame.limit === undefined ? HISTORY_MAX : request.integer("limit");
  if (limit < 1 || limit > HISTORY_MAX) {
    throw new Refusal(ERRNO.MALFORMED, `"limit" is not between 1 and ${HISTORY_MAX}`);
  }
  const cursor = login.mailbox.cursor(conversation);
  if (!cursor) throw new Refusal(ERRNO.NOT_FOUND, "You are not in this conversation");
  const isForward = frame.after !== undefined;
  const range = {
    after: Math.max(cursor.since, isForward ? request.integer("after") : 0),
    before: frame.before === undefined ? Number.MAX_SAFE_INTEGER : request.integer("before"),
  };
  // At the end itself the database is asked: it may have more, of which nobody has told yet.
  if (range.after > endOf(cursor) || range.before <= range.after + 1) {
    return request.replyJson(historyReply(conversation, [], false));
  }
  const { pages } = services;
  const room = pages.take();
  try {
    // One more than asked for tells whether there are more.
    const { rows, cost } = await readHistory(
      services,
      request,
      conversation,
      { ...range, limit: limit + 1, isForward },
      room,
    );
    const kept = keepWithin(rows, limit, room);
    const more = kept.length < rows.length;
    // Its doorbell may have been missed, and the client may acknowledge it now.
    const newest = Math.max(...kept.map(({ seq }) => seq), 0);
    if (newest > cursor.newest) login.mailbox.notice(conversation, newest);
    if (!isForward) kept.reverse();
    const [marks, begin] = version === 3
      ? await Promise.all([
        marksOf(services, conversation, kept, login.userId),
        services.messages.begin(conversation),
      ])
      : [];
    const reply = historyReply(conversation, kept, more, marks, begin);
    const release = () => pages.release(room);
    request.replyJson(reply, { written: release, dropped: release });
    await payForPage(services, request.login, cost);
  } catch (error) {
    pages.release(room);
    throw error;
  }
}

/** What was read counts, and not how often it was asked for: who reads more than its share waits before the next request. */
export async function payForPage(
  { quotas, limits }: Services,
  { userId }: Login,
  cost: number,
): Promise<void> {
  const waitMs = quotas.of(userId).take("history", performance.now(), cost);
  if (waitMs === 0) return;
  limits.note("history", { userId }, waitMs);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
}

/**
 * Rows of the range until there are enough, or more text than there is room for, and what reading them has cost. Not all at
 * once: 200 long messages are 13 MB, and 60 clients that asked for those again and again took the whole node. Between its
 * parts it is others' turn. What is hidden is left out, and before version 3 what is no chat.
 */
export async function readHistory(
  { messages, settings }: Services,
  { login: { userId }, session: { version } }: Request,
  conversation: ConversationId,
  range: HistoryRange,
  room: number,
): Promise<{ rows: StoredMessage[]; cost: number }> {
  const rows: StoredMessage[] = [];
  let chars = 0;
  let cost = 0;
  let rest = {};
  for (
    let size = Math.max(
      1,
      Math.min(HISTORY_FIRST_ROWS, Math.floor(HISTORY_PART_BYTES / settings.maxFrameBytes)),
    );;
  ) {
    const limit = Math.min(size, range.limit);
    await anotherTurn();
    const some = await messages.history(conversation, { ...range, ...rest, limit }, userId);
    for (const row of some) {
      const { message } = row;
      cost += ROW_COST + (message?.length ?? 0);
      if (!isVisible(row, userId)) continue;
      if (version < 3 && message !== null && kindOf(message) !== KIND.chat) continue;
      chars += message?.length ?? 0;
      rows.push(row);
    }
    const end = some.at(-1)?.seq ?? 0;
    rest = range.isForward ? { after: end } : { before: end };
    if (some.length < limit || rows.length >= range.limit || chars > room) {
      return { rows: rows.slice(0, range.limit), cost };
    }
    size = Math.min(2 * size, HISTORY_PART_ROWS);
  }
}

/** The first rows that fit into one reply; at least one. */
export function keepWithin(rows: StoredMessage[], limit: number, room: number): StoredMessage[] {
  let chars = 0;
  const kept: StoredMessage[] = [];
  for (const row of rows) {
    chars += row.message?.length ?? 0;
    if (kept.length === limit || (kept.length > 0 && chars > room)) break;
    kept.push(row);
  }
  return kept;
}

/** The messages' own texts are put together as they are. */
function historyReply(
  conversation: ConversationId,
  rows: StoredMessage[],
  more: boolean,
  marks?: ReadonlyMap<number, Marks>,
  firstSeq?: number,
): string {
  const messages = rows.map(({ seq, at, message }) => {
    if (message === null) return `{"seq":${seq},"recalled":true}`;
    const own = marks?.get(seq);
    const text = own ? `${message.slice(0, -1)}${marksText(own)}}` : message;
    return spliceFields(text, conversation, seq, at);
  });
  const first = firstSeq === undefined ? "" : `,"first_seq":${firstSeq}`;
  return `{"conversation":"${conversation}","messages":[${messages.join(",")}],"more":${more}${first}}`;
}

/** What members have put to the entries of a page, whose rows ascend. */
async function marksOf(
  { actions }: Services,
  conversation: ConversationId,
  rows: readonly StoredMessage[],
  viewer: number,
): Promise<ReadonlyMap<number, Marks> | undefined> {
  const [first, last] = [rows[0]?.seq, rows.at(-1)?.seq];
  return first === undefined || last === undefined
    ? undefined
    : await actions.marks(conversation, first, last, viewer);
}

/** Members of a chat frame, each with a comma before it. */
function marksText({ counts, users, isPinned }: Marks): string {
  const fields: JsonObject = {};
  if (users.size > 0) fields.reactions = Object.fromEntries(users);
  const more = [...counts].filter(([emoji, count]) => count > (users.get(emoji)?.length ?? 0));
  if (more.length > 0) fields.reaction_counts = Object.fromEntries(more);
  if (isPinned) fields.pinned = true;
  const text = toJson(fields).slice(1, -1);
  return text === "" ? "" : `,${text}`;
}

/** HISTORY_MSG with `versions`: all texts that an entry has had, the present one last. */
async function editions(services: Services, request: Request, conversation: ConversationId): Promise<void> {
  const { actions, messages } = services;
  const { login } = request;
  const seq = request.integer("versions");
  if (!Number.isSafeInteger(seq)) throw new Refusal(ERRNO.MALFORMED, 'Field "versions" is not an integer');
  const cursor = login.mailbox.cursor(conversation);
  const isThere = cursor !== undefined && seq > cursor.since && seq <= endOf(cursor);
  const until = cursor?.until ?? 0;
  const row = isThere ? await messages.one(conversation, seq, login.userId) : undefined;
  const isChat = row && (row.message === null || kindOf(row.message) === KIND.chat);
  if (!isChat || !isVisible(row, login.userId)) {
    throw new Refusal(ERRNO.NOT_FOUND, "There is no such message");
  }
  const former = row.message === null ? [] : await actions.editions(conversation, seq, until);
  const texts = row.message === null ? former : [...former, { at: row.at, message: row.message }];
  let cost = 0;
  const parts = texts.map(({ at, message }) => {
    const members = membersOf(message);
    cost += ROW_COST + message.length;
    return `{"seq":${seq},"at":${members.get("edited") ?? at},"msg":${members.get("msg") ?? '""'}}`;
  });
  request.replyJson(`{"conversation":"${conversation}","messages":[${parts.join(",")}],"more":false}`);
  await payForPage(services, login, cost);
}

/** HEARTBEAT_MSG: any frame is a sign of life, this one only asks for an answer. */
export function heartbeatMessage(_services: Services, request: Request): void {
  request.reply();
}
