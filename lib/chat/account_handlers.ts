/**
 * What users do about their accounts as a whole: take their data with them, and delete them.
 *
 * @module
 */
import { type ConversationId, ERRNO, parseConversation, spliceFields, toJson } from "../protocol/protocol.ts";
import { keepWithin, payForPage, readHistory } from "./handlers.ts";
import { checkOwnPassword } from "./profile_handlers.ts";
import { Refusal, type Request } from "./request.ts";
import type { Services } from "./services.ts";

/** Lines on a page of an export, about. */
const LINES_MAX = 200;
/** Conversations that a page looks into. */
const PLACES_MAX = 50;

/** Where a page of an export ends. */
interface ExportPosition {
  /** The last conversation that was begun. */
  conversation: ConversationId;
  /** Of which this is the last entry; undefined: all of it was there. */
  seq: number | undefined;
}

/** ACCOUNT_MSG. */
export async function account(services: Services, request: Request): Promise<void> {
  const op = request.string("op");
  if (op === "delete") await deleteAccount(services, request);
  else if (op === "export") await exportAccount(services, request);
  else throw new Refusal(ERRNO.MALFORMED, '"op" is not delete or export');
}

/** The account is shut at once; what was said stays, of a deleted user. */
async function deleteAccount(services: Services, request: Request): Promise<void> {
  const { devices, deletions, orders, admission } = services;
  const { session, login: { userId, device } } = request;
  await checkOwnPassword(services, request, request.string("password"));
  const { rows } = await devices.list(userId);
  await orders.spare(session, () => deletions.begin(userId, Date.now()));
  request.reply();
  for (const other of [...rows.map(({ id }) => id), 0]) {
    if (other !== device) admission.revoke(userId, other);
  }
  session.end({ code: "revoked", text: "This account has been deleted.", reconnect: false });
}

/** The user's data as lines of JSON: what it is and has, then each conversation with all that it may read there. */
async function exportAccount(services: Services, request: Request): Promise<void> {
  const { pages } = services;
  const position = readPosition(request.frame.after);
  const room = pages.take();
  try {
    const page = new ExportPage(services, request, room);
    const more = position ? await page.goOn(position) : await page.begin();
    const reply = more
      ? { lines: page.lines, more: `${more.conversation} ${more.seq ?? "-"}` }
      : { lines: page.lines };
    const release = () => pages.release(room);
    request.replyJson(toJson(reply), { written: release, dropped: release });
    await payForPage(services, request.login, page.cost);
  } catch (error) {
    pages.release(room);
    throw error;
  }
}

function readPosition(after: unknown): ExportPosition | undefined {
  if (after === undefined) return undefined;
  const [, conversation, seq] = /^((?:[gu]\d[\d-]{0,22})?) (\d{1,15}|-)$/.exec(String(after)) ?? [];
  if (conversation === undefined) throw new Refusal(ERRNO.MALFORMED, 'Field "after" is no "more" of a page');
  return { conversation, seq: seq === "-" ? undefined : Number(seq) };
}

/** A page that is being filled. */
class ExportPage {
  /** JSON each. */
  readonly lines: string[] = [];
  /** As payForPage counts it. */
  cost = 0;
  readonly #services: Services;
  readonly #request: Request;
  readonly #room: number;
  #chars = 0;

  constructor(services: Services, request: Request, room: number) {
    this.#services = services;
    this.#request = request;
    this.#room = room;
  }

  #line(line: string): void {
    this.lines.push(line);
    this.#chars += line.length;
  }

  /** The first page. Where it ends, as {@link goOn} says. */
  async begin(): Promise<ExportPosition | undefined> {
    const { profiles, devices, contacts } = this.#services;
    const { userId } = this.#request.login;
    const [profile, { rows }, { friends, blocked }] = await Promise.all([
      profiles.find(userId),
      devices.list(userId),
      contacts.friends(userId).then(async (friends) => ({
        friends,
        blocked: await contacts.blocked(userId),
      })),
    ]);
    this.#line(toJson({ type: "user", ...profile }));
    for (const { id, name, created, seen } of rows) {
      this.#line(toJson({ type: "device", device_id: id, device: name, created, seen }));
    }
    for (const { id, name } of friends) this.#line(toJson({ type: "friend", id, name }));
    for (const { id, name } of blocked) this.#line(toJson({ type: "blocked", id, name }));
    return await this.#conversations("");
  }

  /** The page behind `position`. Resolves with where it ends; undefined: there is nothing behind it. */
  async goOn({ conversation, seq }: ExportPosition): Promise<ExportPosition | undefined> {
    const end = seq === undefined ? undefined : await this.#entries(conversation, seq);
    return end === undefined ? await this.#conversations(conversation) : { conversation, seq: end };
  }

  async #conversations(after: ConversationId): Promise<ExportPosition | undefined> {
    const { conversations, groups } = this.#services;
    const { userId } = this.#request.login;
    const places = await conversations.places(userId, after, PLACES_MAX);
    for (const [index, { conversation, since, read, muted_until }] of places.entries()) {
      const before = places[index - 1]?.conversation ?? after;
      if (this.lines.length >= LINES_MAX || this.#chars > this.#room) {
        return { conversation: before, seq: undefined };
      }
      const muted = muted_until > 0 ? { muted_until } : {};
      const place = parseConversation(conversation);
      const groupname = place && "groupId" in place ? await groups.nameOf(place.groupId) : undefined;
      const named = groupname === undefined ? {} : { groupname };
      this.#line(toJson({ type: "conversation", conversation, ...named, since, read, ...muted }));
      const end = await this.#entries(conversation, since);
      if (end !== undefined) return { conversation, seq: end };
    }
    const last = places.at(-1);
    return places.length < PLACES_MAX || !last
      ? undefined
      : { conversation: last.conversation, seq: undefined };
  }

  /** Entries of a conversation as far as there is room; the last one's seq when there are more. */
  async #entries(conversation: ConversationId, after: number): Promise<number | undefined> {
    const cursor = this.#request.login.mailbox.cursor(conversation);
    if (!cursor) return undefined;
    const limit = Math.max(1, LINES_MAX - this.lines.length);
    const room = Math.max(0, this.#room - this.#chars);
    const range = {
      after: Math.max(after, cursor.since),
      before: Number.MAX_SAFE_INTEGER,
      limit: limit + 1,
      isForward: true,
    };
    const { rows, cost } = await readHistory(this.#services, this.#request, conversation, range, room);
    this.cost += cost;
    const kept = keepWithin(rows, limit, room);
    for (const { seq, at, message } of kept) {
      this.#line(
        message === null
          ? toJson({ conversation, seq, at, recalled: true })
          : spliceFields(message, conversation, seq, at),
      );
    }
    return kept.length < rows.length ? kept.at(-1)?.seq : undefined;
  }
}
