/**
 * What is done to entries that are in the log: edit, react, pin, recall. Each is decided, and written, in the transaction
 * that writes the entry which tells of it, by how things stand at that moment.
 *
 * @module
 */
import { actionText, KIND, type Who } from "../protocol/entries.ts";
import { membersOf } from "../protocol/members.ts";
import { mendJson } from "../protocol/mend_json.ts";
import { type ConversationId, ERRNO, MSGID, parseConversation, toJson } from "../protocol/protocol.ts";
import type { Place, Stored } from "../log/message_log.ts";
import { endOf } from "../log/positions.ts";
import type { Target } from "../store/actions.ts";
import type { SqlConnection } from "../store/database.ts";
import { type GroupRole, membershipOf } from "../store/group_changes.ts";
import { isVisible } from "../store/messages.ts";
import { Refusal, type Request } from "./request.ts";
import { mentionsOf } from "./references.ts";
import type { Services } from "./services.ts";
import { whoIs } from "./session.ts";

/** An emoji's length, in bytes of UTF-8. */
const EMOJI_BYTES = 32;
/** Different ones on an entry. */
const EMOJI_KINDS = 20;
/** Pinned entries of a conversation. */
const PINS_MAX = 100;
/** Earlier texts of an entry, and about how long they may be together, in bytes: they are read at once. */
const EDITIONS_MAX = 100;
const EDITIONS_BYTES = 1_048_576;

const encoder = new TextEncoder();
const graphemes = new Intl.Segmenter();

/** What something is about to be done to, as it is at that moment. */
interface Scene {
  /** The transaction. */
  tx: SqlConnection;
  conversation: ConversationId;
  /** The entry that it is done to. */
  ref: number;
  target: Target;
  /** What the user may do in a group; undefined in a one-to-one conversation. */
  role: GroupRole | undefined;
  /** Where the entry that tells of it will stand. */
  place: Place;
}

/** Does it and returns the fields of the entry that tells of it; undefined when it was like that before. */
type Deed = (scene: Scene) => Promise<Record<string, string | boolean> | undefined>;

/** Looks at what is asked for, before anything else is looked at. */
type Act = (services: Services, request: Request) => Deed;

const ACTS: ReadonlyMap<string, Act> = new Map([["edit", edit], ["react", react], ["pin", pin], [
  "recall",
  recall,
]]);

/** ACTION_MSG. */
export async function action(services: Services, request: Request): Promise<void> {
  const name = request.string("act");
  const act = ACTS.get(name);
  if (!act) throw new Refusal(ERRNO.MALFORMED, `There is no act ${JSON.stringify(name.slice(0, 20))}`);
  const conversation = request.string("conversation");
  const stored = await perform(
    services,
    request,
    conversation,
    request.integer("ref"),
    name,
    act,
    request.cid,
  );
  request.reply(
    stored ? { conversation: stored.conversation, seq: stored.seq, at: stored.at } : { conversation },
  );
}

/** RECALL_MSG: the same as an action; version 2 is told of it by a frame of its own. */
export async function recallMessage(services: Services, request: Request): Promise<void> {
  const conversation = request.string("conversation");
  const seq = request.integer("seq");
  await perform(services, request, conversation, seq, "recall", recall);
  request.reply({ conversation, seq });
}

/** Resolves with the entry; undefined when there was nothing to do. Of a repeated `cid` with the one it has. */
async function perform(
  services: Services,
  request: Request,
  conversation: ConversationId,
  ref: number,
  name: string,
  act: Act,
  cid?: string,
): Promise<Stored | undefined> {
  const { log, actions, delivery } = services;
  const { login } = request;
  const { userId } = login;
  const deed = act(services, request);
  const place = parseConversation(conversation);
  const cursor = login.mailbox.cursor(conversation);
  if (!place || !cursor || ref <= cursor.since || ref > endOf(cursor)) throw noSuchMessage();
  if ("users" in place) checkBacklog(services, request, conversation, place.users);
  const stored = await log.change({
    conversation,
    sender: userId,
    ...(cid === undefined ? {} : { cid }),
    origin: login.mailbox,
    async decide(tx, at) {
      const own = "groupId" in place ? await membershipOf(tx, place.groupId, userId) : undefined;
      const target = await actions.target(tx, conversation, ref);
      if (
        !at || !target || !isVisible(target, userId) || ("groupId" in place && !own) ||
        ref <= (own?.since ?? 0)
      ) {
        throw noSuchMessage();
      }
      const fields = await deed({ tx, conversation, ref, target, role: own?.role, place: at });
      return fields && { kind: KIND.action, text: actionText(whoIs(login), ref, name, fields) };
    },
  });
  if (!stored) return undefined;
  if (name === "recall" && !stored.isRepeat && !stored.isHidden) {
    const frame = { msgid: MSGID.RECALL_MSG, conversation, seq: ref, id: userId };
    delivery.sendEvent(conversation, userId, JSON.stringify(frame));
  }
  // The client knows of it by its reply, and may say that it has it.
  login.mailbox.notice(stored.conversation, stored.seq);
  return stored;
}

/** What is done waits for the other one like what is said. */
function checkBacklog(
  { backlogs, limits }: Services,
  { login: { userId, mailbox }, byteLength }: Request,
  conversation: ConversationId,
  [one, other]: readonly [number, number],
): void {
  const newest = mailbox.cursor(conversation)?.newest ?? 0;
  if (backlogs.take(conversation, userId, userId === one ? other : one, newest, byteLength)) return;
  limits.note("undelivered", { userId });
  throw new Refusal(ERRNO.TOO_MANY_REQUESTS, "Too much of yours waits for this user already");
}

function noSuchMessage(): Refusal {
  return new Refusal(ERRNO.NOT_FOUND, "There is no such message");
}

function notAllowed(reason: string): Refusal {
  return new Refusal(ERRNO.NOT_ALLOWED, reason);
}

/** Field `on`. */
function isOn({ frame: { on } }: Request): boolean {
  if (typeof on === "boolean") return on;
  throw new Refusal(ERRNO.MALFORMED, 'Field "on" is missing or not true or false');
}

/** By the sender; the former text stays where members can read it. */
function edit({ actions, settings }: Services, request: Request): Deed {
  const msg = request.string("msg");
  if (!msg.isWellFormed()) throw new Refusal(ERRNO.MALFORMED, "Half of a surrogate pair is no text");
  return async ({ tx, conversation, ref, target, place }) => {
    if (target.message === null) throw noSuchMessage();
    if (target.sender !== request.login.userId) throw notAllowed("Only its sender can edit a message");
    if (settings.editWindowMs === 0 || Date.now() - target.at > settings.editWindowMs) {
      throw notAllowed("It is too late to edit this message");
    }
    const former = mendJson(target.message).text;
    const members = membersOf(former);
    if (JSON.parse(members.get("msg") ?? "null") === msg) return undefined;
    const at = Number(members.get("edited") ?? target.at);
    members.set("msg", toJson(msg));
    members.set("edited", String(place.at));
    const text = `{${[...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
    if (encoder.encode(text).length > settings.maxFrameBytes) {
      throw new Refusal(ERRNO.TOO_LARGE, "The message would be too long");
    }
    const { count, bytes } = await actions.editionSize(tx, conversation, ref);
    if (count >= EDITIONS_MAX || bytes + former.length > EDITIONS_BYTES) {
      throw notAllowed(
        `A message has at most ${EDITIONS_MAX} former texts, of ${EDITIONS_BYTES} bytes together`,
      );
    }
    await actions.edit(tx, conversation, ref, place.seq, { at, message: former }, text);
    // What is written to who blocks the sender, in whatever way, is not for them to see.
    if (place.isHidden) await actions.hide(tx, conversation, ref);
    return { msg };
  };
}

/** By any member. */
function react({ actions }: Services, request: Request): Deed {
  const emoji = request.string("emoji");
  const on = isOn(request);
  if (!isEmoji(emoji)) {
    throw new Refusal(ERRNO.MALFORMED, `Field "emoji" is not one sign of at most ${EMOJI_BYTES} bytes`);
  }
  const { userId } = request.login;
  return async ({ tx, conversation, ref, target, place }) => {
    if (target.message === null) throw noSuchMessage();
    const isNew = on
      ? await actions.addReaction(tx, conversation, ref, emoji, userId, place)
      : await actions.removeReaction(tx, conversation, ref, emoji, userId);
    if (!isNew) return undefined;
    if (on && await actions.reactionKinds(tx, conversation, ref) > EMOJI_KINDS) {
      throw notAllowed(`A message has at most ${EMOJI_KINDS} different reactions`);
    }
    return { emoji, on };
  };
}

/** One grapheme that shows something. */
function isEmoji(text: string): boolean {
  if (text.length === 0 || text.length > EMOJI_BYTES || !text.isWellFormed()) return false;
  if (encoder.encode(text).length > EMOJI_BYTES || /^[\p{Z}\p{C}\p{M}]+$/u.test(text)) return false;
  return [...graphemes.segment(text)].length === 1;
}

/** In a group by its creator and admins, in a one-to-one conversation by both. */
function pin({ actions }: Services, request: Request): Deed {
  const on = isOn(request);
  const { userId } = request.login;
  return async ({ tx, conversation, ref, target, role, place }) => {
    if (target.message === null) throw noSuchMessage();
    if (role === "normal") throw notAllowed("Only the group's creator and admins can pin a message");
    const isNew = on
      ? await actions.pin(tx, conversation, ref, userId, place)
      : await actions.unpin(tx, conversation, ref, userId, place);
    if (!isNew) return undefined;
    if (on && await actions.pins(tx, conversation) > PINS_MAX) {
      throw notAllowed(`A conversation has at most ${PINS_MAX} pinned messages`);
    }
    return { on };
  };
}

/** By the sender, or in a group by its creator; the texts are gone for good. */
function recall({ actions, settings }: Services, { login: { userId } }: Request): Deed {
  return async ({ tx, conversation, ref, target, role }) => {
    if (target.sender !== userId && role !== "creator") {
      throw notAllowed("Only its sender, or the group's creator, can recall a message");
    }
    if (settings.recallWindowMs === 0 || Date.now() - target.at > settings.recallWindowMs) {
      throw notAllowed("It is too late to recall this message");
    }
    if (target.message === null) return undefined;
    const members = membersOf(target.message);
    const named = mentionsOf(members.get("mentions"));
    await actions.recall(
      tx,
      conversation,
      ref,
      actionText(senderOf(target.sender, members), ref, "edit"),
      named,
    );
    return {};
  };
}

function senderOf(id: number, members: ReadonlyMap<string, string>): Who {
  const name: unknown = JSON.parse(members.get("name") ?? '""');
  return { id, name: typeof name === "string" ? name : "" };
}
