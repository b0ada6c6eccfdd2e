/**
 * What users learn of each other, and of their own other devices, that stands in no log: who is called what, who is typing.
 * It is told to the connections of version 3 that are there, once, and to nobody later: a login says how things are.
 *
 * @module
 */
import { ENVELOPE, type Envelope } from "../cluster/envelope.ts";
import { Spacing } from "../base/spacing.ts";
import { anotherTurn, turnTime } from "../base/turn.ts";
import {
  type ConversationId,
  conversationOfUsers,
  isJsonObject,
  MSGID,
  toJson,
} from "../protocol/protocol.ts";
import type { Contacts, Friend } from "../store/contacts.ts";
import type { Profile } from "../store/profiles.ts";
import type { UserState } from "../store/users.ts";
import type { Audience, Delivery, Receiver } from "./delivery.ts";
import type { Watchers } from "./watchers.ts";

/** Connections that are told of something in one turn. */
const TOLD_PER_TURN = 500;
/** Others are told that somebody types in a conversation at most once in this time, ms. */
const TYPING_INTERVAL_MS = 3_000;

/** What {@link News} works with. */
export interface NewsOptions<Session extends Receiver> {
  /** Who is online here, and the way to the other nodes. */
  delivery: Delivery<Session>;
  /** Who looks at whom. */
  watchers: Watchers<Session>;
  /** Tables. */
  contacts: Contacts;
  /** A session looks at a user of whose state it has not been told, or not lately. */
  onLook: (userId: number) => void;
}

/** Whom a user has added, and whom it does not want to hear of. */
export interface Circle {
  /** By id. */
  friends: Friend[];
  /** Ids. */
  blocked: ReadonlySet<number>;
}

/** One per node. */
export class News<Session extends Receiver> {
  readonly #options: NewsOptions<Session>;
  readonly #watchers: Watchers<Session>;
  readonly #typing = new Spacing(TYPING_INTERVAL_MS);

  /** See {@link NewsOptions}. */
  constructor(options: NewsOptions<Session>) {
    this.#options = options;
    this.#watchers = options.watchers;
  }

  /** Somebody has logged in by version 3, and is told of its friends from now on. Rejects with a DatabaseError. */
  async enter(session: Session): Promise<Circle> {
    this.#watchers.enter(session);
    const circle = await this.#read(session);
    this.meet(session, circle.friends.map(({ id, state }) => [id, state]));
    return circle;
  }

  /** Somebody has logged in by version 1 or 2, whom nothing is told but what nobody else is kept from either. */
  async enterLegacy(session: Session): Promise<void> {
    this.#watchers.enter(session);
    this.#watchers.block(session, await this.#options.contacts.blockedIds(session.login?.userId ?? 0));
  }

  async #read(session: Session): Promise<Circle> {
    const { contacts } = this.#options;
    const userId = session.login?.userId ?? 0;
    const [friends, blocked] = await Promise.all([contacts.friends(userId), contacts.blockedIds(userId)]);
    this.#watchers.block(session, blocked);
    return { friends, blocked };
  }

  /** The session has conversations with these users, and has been told of their states as far as they are given. */
  meet(session: Session, states: Iterable<readonly [id: number, state?: UserState]>): void {
    for (const [id, state] of states) {
      if (!this.#watchers.watch(session, id, state)) {
        if (state !== undefined) this.#watchers.tell(session, id, state);
      } else if (state === undefined) this.#options.onLook(id);
    }
  }

  /** The session has a conversation with this user, who has said something in it or not: who says something is online. */
  hear(session: Session, userId: number, isSender: boolean): void {
    if (this.#watchers.watch(session, userId, isSender ? "online" : undefined) && !isSender) {
      this.#options.onLook(userId);
    }
  }

  /** A user has added or removed somebody, or blocks somebody else, perhaps on another node. Rejects with a DatabaseError. */
  async refresh(userId: number): Promise<void> {
    for (const session of this.#options.delivery.sessionsOf(userId)) {
      if (session.version < 3) {
        await this.enterLegacy(session);
        continue;
      }
      await session.login?.mailbox.placed();
      const before = this.#watchers.blockedBy(session);
      const friends = new Set((await this.#read(session)).friends.map(({ id }) => id));
      const isPeer = (id: number) =>
        session.login?.mailbox.cursor(conversationOfUsers(userId, id)) !== undefined;
      for (const id of this.#watchers.watchedBy(session)) {
        if (!friends.has(id) && !isPeer(id)) this.#watchers.unwatch(session, id);
      }
      // That is what it was told of them as long as they were blocked.
      for (const id of before) {
        if ((friends.has(id) || isPeer(id)) && this.#watchers.watch(session, id, "offline")) {
          this.#options.onLook(id);
        }
      }
      this.meet(session, [...friends].map((id) => [id]));
    }
  }

  /** Somebody is called something else, or says something else of itself; `origin` knows of it. */
  tellProfile(profile: Profile, groups: readonly number[], origin: Session): void {
    const { delivery } = this.#options;
    const { id, name, status } = profile;
    delivery.publishNews(undefined, {
      kind: ENVELOPE.profile,
      sender: id,
      frame: JSON.stringify({ name, status, groups }),
    });
    this.#applyProfile(profile, groups, origin);
  }

  /** To each connection once, however many groups it shares with that user. */
  async #applyProfile(
    { id, name, status }: Profile,
    groups: readonly number[],
    origin?: Session,
  ): Promise<void> {
    const { delivery } = this.#options;
    const own = delivery.sessionsOf(id);
    for (const { login } of own) if (login) login.name = name;
    const receivers = new Set([...own, ...this.#watchers.of(id)]);
    for (const groupId of groups) {
      for (const session of delivery.sessionsOfGroup(groupId)) receivers.add(session);
    }
    if (origin) receivers.delete(origin);
    const frame = toJson({ msgid: MSGID.PROFILE_MSG, id, name, status });
    let count = 0;
    for (const session of receivers) {
      if (!this.#watchers.isBlocked(session, id)) send(session, frame);
      if (++count % TOLD_PER_TURN === 0) await anotherTurn();
    }
  }

  /** To all connections of a user that speak version 3, but for `origin`, which knows. */
  tellOwn(userId: number, frame: string, origin?: Session): void {
    this.#options.delivery.publishNews({ userId }, { kind: ENVELOPE.own, frame });
    this.#sendOwn(userId, frame, origin);
  }

  #sendOwn(userId: number, frame: string, origin?: Session): void {
    for (const session of this.#options.delivery.sessionsOf(userId)) {
      if (session !== origin) send(session, frame);
    }
  }

  /** Whether it is long enough ago that others were told, on this node, that a user types there; counts as told. */
  mayTellTyping(userId: number, conversation: ConversationId): boolean {
    return this.#typing.pass(`${userId} ${conversation}`, turnTime());
  }

  /** A user types; `audience`: the other one of two, or the group. */
  tellTyping(audience: NonNullable<Audience>, conversation: ConversationId, sender: number): void {
    this.#options.delivery.publishNews(audience, { kind: ENVELOPE.typing, conversation, sender });
    this.#sendTyping(audience, conversation, sender);
  }

  #sendTyping(audience: NonNullable<Audience>, conversation: ConversationId, sender: number): void {
    const { delivery } = this.#options;
    const frame = JSON.stringify({ msgid: MSGID.TYPING_MSG, conversation, id: sender });
    const sessions = "userId" in audience
      ? delivery.sessionsOf(audience.userId)
      : delivery.sessionsOfGroup(audience.groupId);
    for (const session of sessions) {
      const isOwn = session.login?.userId === sender;
      if (!isOwn && !this.#watchers.isBlocked(session, sender)) send(session, frame);
    }
  }

  /** What another node has to tell. Throws when it is not what that node should have sent. */
  onMessage({ kind, sender, conversation, frame }: Envelope, audience: Audience): void {
    if (kind === ENVELOPE.profile) this.#onProfile(sender, frame);
    else if (kind === ENVELOPE.typing && audience) this.#sendTyping(audience, conversation, sender);
    else if (kind === ENVELOPE.own && audience && "userId" in audience) {
      this.#sendOwn(audience.userId, frame);
    }
  }

  #onProfile(sender: number, frame: string): void {
    const news: unknown = JSON.parse(frame);
    if (!isJsonObject(news) || !Array.isArray(news.groups)) throw new Error("This is no profile");
    const { name, status, groups } = news;
    this.#applyProfile({ id: sender, name: String(name), status: String(status) }, groups.map(Number));
  }
}

/** Of those who do not keep up nobody waits for this. */
function send({ version, outlet, login }: Receiver, frame: string): void {
  if (version === 3 && !outlet.isCongested) login?.mailbox.sendEvent(frame);
}
