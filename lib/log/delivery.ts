/**
 * Who is online on this node, and how a stored message reaches them and the other nodes.
 *
 * A message to somebody on this node goes straight to the mailbox. For the rest one envelope is published, whatever the
 * number of members and nodes: on the group's channel for a group message; for a one-to-one message on the receiver's, or
 * with others in a parcel for the node that has said it has the receiver (see parcels.ts). A group's messages of several
 * nodes are put in order before they go to many mailboxes. What the bus loses is read from the log: at a gap, after an
 * outage, and by a sweep now and then.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Bus } from "../cluster/bus.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import {
  decodeEnvelope,
  encodeEnvelope,
  ENVELOPE,
  type Envelope,
  type EnvelopeKind,
  type Sendable,
} from "../cluster/envelope.ts";
import type { Ends } from "../store/ends.ts";
import { errorText } from "../base/errors.ts";
import { KIND, kindOf } from "../protocol/entries.ts";
import { InOrder } from "./in_order.ts";
import { openParcel, Parcels } from "../cluster/parcels.ts";
import type { Logger } from "../base/logger.ts";
import type { Stored } from "./message_log.ts";
import type { Move } from "./positions.ts";
import {
  type ConversationId,
  MSGID,
  parseConversation,
  type ProtocolVersion,
  splicedTime,
  spliceFields,
} from "../protocol/protocol.ts";
import type { Mailbox, Outlet } from "./mailbox.ts";
import type { Messages, Unsent } from "../store/messages.ts";

/** What {@link Delivery} works with. */
export interface DeliveryOptions<Session extends Receiver = Receiver> {
  /** To the other nodes. */
  bus: Bus;
  /** False: there are no other nodes, nothing is published. */
  isClustered: boolean;
  /** Before every channel's name: clusters may share a Redis. */
  channelPrefix: string;
  /** The log. */
  messages: Messages;
  /** What is known to be in the log. */
  ends: Ends;
  /** A message that was heard of may stand in another one's place. */
  onDoubt: () => void;
  /** Another node asks everyone to look into the log. Must not reject. */
  onSweep: () => Promise<void>;
  /** For what fails. */
  logger: Logger;
  /** A message between these two is on its way into the log: what comes after it must not overtake it. */
  isStoring: (userA: number, userB: number) => boolean;
  /** For what waits a moment; the system's by default. */
  clock?: Clock;
  /** This node's name; needed where there are others. */
  node?: string;
  /** The random number of this process, which begins its seals; needed where there are others. */
  origin?: number;
  /** Another node asks that a user's session give way to a login there. */
  onGiveWay?: (envelope: Envelope) => void;
  /** Whoever is online here is so by a claim that counts: see Presence.isSure. By default that is so. */
  isSure?: () => boolean;
  /** A user may have missed something: its sessions here are to look at what the database holds. Must not reject. */
  onCatchUp?: (userId: number) => void;
  /** A user has another device no more. */
  onRevoked?: (userId: number, device: number) => void;
  /** A session of version 3 is given what was said between two; the other one is this user, who has said it or not. */
  onMet?: (session: Session, userId: number, isSender: boolean) => void;
  /** Whether the user of a session does not want to hear of that user. */
  isBlocked?: (session: Session, userId: number) => boolean;
  /** A user has got its first session here, or its last one has left. */
  onPresence?: (userId: number) => void;
  /** A session has left. */
  onDetached?: (session: Session) => void;
  /** Another node has something to tell that stands in no log, to whom it concerns: see {@link NEWS}. */
  onNews?: (envelope: Envelope, audience: Audience) => void;
  /**
   * A message that is in no log came for somebody whom this node could not give it to: store it, under this cid if others
   * may do so too.
   */
  onUndeliverable: (sender: number, receiver: number, text: string, cid?: string) => void;
}

/** A message of `--persist offline` on its way past the log. */
export interface Unlogged {
  /** User id. */
  sender: number;
  /** User id. */
  receiver: number;
  /** The frame's text. */
  text: string;
}

/** Who is logged in on a connection, as delivery sees it. */
export interface ReceiverLogin {
  /** User id. */
  readonly userId: number;
  /** On which device; 0: of versions 1 and 2. */
  readonly device: number;
  /** What the user is called now. */
  name: string;
  /** By id, the groups the user is in. */
  readonly groups: ReadonlyMap<number, unknown>;
  /** What the user still has to receive. */
  readonly mailbox: Mailbox;
}

/** A connection, as delivery sees it: what is delivered to. */
export interface Receiver {
  /** Of the protocol. */
  readonly version: ProtocolVersion;
  /** Where frames go. */
  readonly outlet: Outlet;
  /** Undefined while nobody is logged in. */
  readonly login: ReceiverLogin | undefined;
  /** What a heartbeat that comes as a datagram has to show. */
  readonly udpKey: string | undefined;
  /** When one last came, as of performance.now(). */
  beatAt: number;
}

/** A stored message on its way to mailboxes: see Mailbox.offer. */
interface Offer {
  conversation: ConversationId;
  seq: number;
  sender: number;
  frame: string | undefined;
  /** Of the connection that has sent it, if that is here. */
  origin?: Mailbox | undefined;
}

/** A user who is online on this node. */
interface Online<Session extends Receiver> {
  /** One for each device. */
  sessions: Session[];
  /**
   * On how many nodes it is online, as far as is known. With more than this one, what concerns the user is published although
   * it is here. Known from the claim, from what the other nodes say when it comes, and from how many listen.
   */
  nodes: number;
  /** How often another node has said that it has the user, too. */
  comings: number;
  /** The node that was told last that this one has the user, and when, as of the clock. */
  told?: { origin: number; at: number };
}

/** A group with members on this node. */
interface LocalGroup<Session extends Receiver> {
  sessions: Set<Session>;
  /** Whose they are: how many. */
  users: number;
  inOrder: InOrder<Offer>;
}

/** Whom something concerns: a user, a group's members, or nobody knows. */
export type Audience = { userId: number } | { groupId: number } | undefined;

/** What is for news.ts, presence_news.ts and recent_passwords.ts. */
const NEWS: ReadonlySet<EnvelopeKind> = new Set([
  ENVELOPE.profile,
  ENVELOPE.own,
  ENVELOPE.typing,
  ENVELOPE.presence,
  ENVELOPE.peer,
  ENVELOPE.verified,
]);

/** What a parcel may hold: whatever is said to a user, in the order in which it is said. */
const FOR_PARCELS: ReadonlySet<EnvelopeKind> = new Set([
  ENVELOPE.message,
  ENVELOPE.unlogged,
  ENVELOPE.event,
  ENVELOPE.receipts,
]);

/** A node that sends a user much before it has learned where that is is told once in so long, ms. */
const HOME_AGAIN_MS = 100;

/** User id, delivered, read, since: as it travels between nodes. */
type Receipt = [number, number, number, number];

/** The node's register of online users, and the way to them. */
export class Delivery<Session extends Receiver = Receiver> {
  readonly #options: DeliveryOptions<Session>;
  readonly #users = new Map<number, Online<Session>>();
  /** How many of them are online elsewhere, too. */
  #elsewhere = 0;
  /** How many sessions here are of devices. */
  #devices = 0;
  /** For cids of what is in no log; short, since every such message carries one. */
  readonly #origin = randomBytes(9).toString("base64url");
  #unlogged = 0;
  readonly #groups = new Map<number, LocalGroup<Session>>();
  readonly #parcels: Parcels;
  readonly #clock: Clock;
  #sweeping: Promise<void> | undefined;
  #isSweepDue = false;
  /** An envelope could not be published: the other nodes have to look into the log. */
  #hasMissed = false;
  #isInDoubt = false;
  /** For metrics: frames handed to mailboxes of this node, envelopes published, and what came and was no envelope. */
  readonly counters = { offered: 0, published: 0, publishFailures: 0, refused: 0, sweeps: 0 };

  /** The channel on which this process is sent what is for its users. */
  readonly parcelChannel: string;

  /** See {@link DeliveryOptions}. */
  constructor(options: DeliveryOptions<Session>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.parcelChannel = this.#parcelChannelOf(options.origin ?? 0);
    this.#parcels = new Parcels((origin, frame) =>
      options.bus.publish(this.#parcelChannelOf(origin), encodeEnvelope({ kind: ENVELOPE.parcel, frame }))
    );
  }

  /** Who is logged in on this node, on which connections. */
  *sessions(): Generator<Session> {
    for (const { sessions } of this.#users.values()) yield* sessions;
  }

  /** Ids of those. */
  get userIds(): IterableIterator<number> {
    return this.#users.keys();
  }

  /** How many are logged in on this node. */
  get userCount(): number {
    return this.#users.size;
  }

  /** The session of a user's device that is logged in on this node; 0: of versions 1 and 2. */
  session(userId: number, device = 0): Session | undefined {
    return this.#users.get(userId)?.sessions.find(({ login }) => login?.device === device);
  }

  /** All sessions of a user on this node. */
  sessionsOf(userId: number): readonly Session[] {
    return this.#users.get(userId)?.sessions ?? [];
  }

  /** Those of a group's members who are online here, on each of their connections. */
  sessionsOfGroup(groupId: number): Iterable<Session> {
    return this.#groups.get(groupId)?.sessions ?? [];
  }

  /** On how many nodes a user is online, as far as this one knows. */
  nodesOf(userId: number): number {
    return this.#users.get(userId)?.nodes ?? 0;
  }

  /** In how many parts what a user may do is shared out: each node it is online on counts for itself. */
  sharesOf(userId: number): number {
    return this.#elsewhere === 0 ? 1 : Math.max(1, this.nodesOf(userId));
  }

  /** The channels a user listens to are subscribed when this resolves: what is stored from then on rings here. */
  async subscribe(userId: number, groupIds: Iterable<number>): Promise<void> {
    const channels = [this.userChannel(userId), ...[...groupIds].map((id) => this.#groupChannel(id))];
    await Promise.all(channels.map((channel) => this.#options.bus.subscribe(channel)));
  }

  /** Takes back what {@link subscribe} took. */
  unsubscribe(userId: number, groupIds: Iterable<number>): void {
    this.#options.bus.unsubscribe(this.userChannel(userId));
    for (const groupId of groupIds) this.#options.bus.unsubscribe(this.#groupChannel(groupId));
  }

  /** Messages for this user go to this session's mailbox, too, from now on. `hasOthers`: the user has other sessions. */
  attach(session: Session, hasOthers = false): void {
    const { login } = session;
    if (!login) return;
    if (login.device > 0) this.#devices++;
    const online = this.#users.get(login.userId);
    if (online) online.sessions.push(session);
    else {
      this.#users.set(login.userId, { sessions: [session], nodes: hasOthers ? 2 : 1, comings: 0 });
      this.#options.onPresence?.(login.userId);
      if (hasOthers) this.#elsewhere++;
    }
    for (const groupId of login.groups.keys()) this.#addToGroup(session, groupId);
  }

  #setNodes(online: Online<Session>, nodes: number): void {
    this.#elsewhere += Number(nodes > 1) - Number(online.nodes > 1);
    online.nodes = nodes;
  }

  /** The session gets nothing any more of what it got by this login. */
  detach(session: Session, login: ReceiverLogin): void {
    const online = this.#users.get(login.userId);
    const index = online?.sessions.indexOf(session) ?? -1;
    if (index >= 0) {
      online?.sessions.splice(index, 1);
      if (login.device > 0) this.#devices--;
    }
    for (const groupId of login.groups.keys()) this.#removeFromGroup(session, login.userId, groupId);
    if (online?.sessions.length === 0) {
      this.#setNodes(online, 1);
      this.#users.delete(login.userId);
      this.#options.onPresence?.(login.userId);
    }
    this.unsubscribe(login.userId, login.groups.keys());
    this.#options.onDetached?.(session);
  }

  /** A group's channel is subscribed for a session that is about to join it. */
  async subscribeGroup(groupId: number): Promise<void> {
    await this.#options.bus.subscribe(this.#groupChannel(groupId));
  }

  /** Takes back what {@link subscribeGroup} took. */
  unsubscribeGroup(groupId: number): void {
    this.#options.bus.unsubscribe(this.#groupChannel(groupId));
  }

  /** The session has joined a group whose channel is subscribed. */
  joinGroup(session: Session, groupId: number): void {
    this.#addToGroup(session, groupId);
  }

  /** The session's user is in a group no longer, whose channel was subscribed for it. */
  leaveGroup(session: Session, userId: number, groupId: number): void {
    this.#removeFromGroup(session, userId, groupId);
    this.unsubscribeGroup(groupId);
  }

  #addToGroup(session: Session, groupId: number): void {
    let group = this.#groups.get(groupId);
    if (!group) {
      const sessions = new Set<Session>();
      const inOrder = new InOrder<Offer>((offer) => this.#offerAll(sessions, offer), this.#clock);
      group = { sessions, users: 0, inOrder };
      this.#groups.set(groupId, group);
    }
    const { sessions } = group;
    if (sessions.has(session)) return;
    if (!this.#isInGroup(group, session.login?.userId ?? 0)) group.users++;
    sessions.add(session);
  }

  #removeFromGroup(session: Session, userId: number, groupId: number): void {
    const group = this.#groups.get(groupId);
    if (!group?.sessions.delete(session)) return;
    if (!this.#isInGroup(group, userId)) group.users--;
    if (group.sessions.size > 0) return;
    group.inOrder.close();
    this.#groups.delete(groupId);
  }

  #isInGroup({ sessions }: LocalGroup<Session>, userId: number): boolean {
    return this.sessionsOf(userId).some((session) => sessions.has(session));
  }

  /** All members are online here, and nowhere else: nobody else needs to hear of a message. */
  #isWholeGroup({ sessions, users }: LocalGroup<Session>, members: number): boolean {
    if (members === 0 || users !== members) return false;
    if (this.#elsewhere === 0) return true;
    for (const { login } of sessions) if (login && this.nodesOf(login.userId) > 1) return false;
    return true;
  }

  /** A message is durable: hands it to those who are here and rings for the others. Never throws, never waits. */
  deliver(stored: Stored): void {
    const { conversation, users, seq, sender, text, at, members, origin, isHidden = false } = stored;
    const place = users ? { users } : parseConversation(conversation);
    if (!place) return;
    // A repeat's text is not sent again: it may have been recalled, and whoever lacks it reads it from the log.
    const frame = text === null ? undefined : spliceFields(text, conversation, seq, at);
    const offer: Offer = { conversation, seq, sender, frame, origin };
    const envelope = (text = "") => ({ kind: ENVELOPE.message, sender, seq, conversation, frame: text });
    if ("groupId" in place) {
      const local = this.#groups.get(place.groupId);
      // At once, and not when its turn comes: receipts may be faster.
      if (text === null || kindOf(text) === KIND.chat) {
        for (const { login } of this.sessionsOf(sender)) login?.mailbox.noteOwn(conversation, seq);
      }
      if (local) this.#toGroup(local, offer);
      // What is held back until its turn may be read from the log before.
      origin?.noteSent(conversation, seq);
      // `members` was counted in the transaction that stored the message: when they are all here nobody else needs it.
      if (!local || !this.#isWholeGroup(local, members)) {
        this.#publish(this.#groupChannel(place.groupId), envelope(frame));
      }
      return;
    }
    const [one, other] = place.users;
    const receiver = sender === one ? other : one;
    const own = this.#users.get(sender);
    for (const session of own?.sessions ?? []) this.#offer(session, offer);
    // A device that has gone meanwhile may have left others elsewhere.
    if (own ? own.nodes > 1 : origin?.device) this.#publishTo(sender, envelope(frame), own);
    if (receiver === sender) return;
    const online = this.#users.get(receiver);
    // Of what is hidden the receiver's mailboxes only hear that the log has grown, and pass over it.
    const shown = isHidden ? { ...offer, frame: undefined } : offer;
    for (const session of online?.sessions ?? []) this.#offer(session, shown);
    if (online?.nodes !== 1) this.#publishTo(receiver, envelope(shown.frame), online);
  }

  #toGroup({ sessions, inOrder }: LocalGroup<Session>, offer: Offer): void {
    // An old one that rings again says nothing about where the conversation stands.
    if (offer.frame === undefined && !inOrder.hasBegun) this.#offerAll(sessions, offer);
    else inOrder.add(offer.seq, offer);
  }

  #offerAll(sessions: Iterable<Session>, offer: Offer): void {
    for (const session of sessions) this.#offer(session, offer);
  }

  #offer(session: Session, { conversation, seq, sender, frame, origin }: Offer): void {
    this.counters.offered++;
    const { login, version } = session;
    if (version === 3 && frame !== undefined && conversation.startsWith("u")) {
      const isOwn = sender === login?.userId;
      const peer = isOwn ? peerIn(conversation, sender) : sender;
      if (peer !== undefined) this.#options.onMet?.(session, peer, !isOwn);
    }
    login?.mailbox.offer(conversation, seq, sender, frame, origin !== undefined && origin === login.mailbox);
  }

  /**
   * Gives a message that is in no log to its receiver, here or on another node. True: given to a connection, or to the
   * node that has the receiver and now answers for it; false: nobody has the receiver, it has to be stored. So has whatever
   * one of the two may have devices for that are not online.
   */
  deliverUnlogged(unlogged: Unlogged): boolean | Promise<boolean> {
    const { sender, receiver, text } = unlogged;
    const { bus, isClustered, isStoring } = this.#options;
    // Mostly nobody here has devices, and then nobody need be looked up.
    const from = this.#devices + this.#elsewhere > 0 ? this.#users.get(sender) : undefined;
    if (from && !isOnlyLegacy(from)) return false;
    const online = this.#users.get(receiver);
    if (online) return this.#sendUnlogged(online, unlogged);
    if (!isClustered || isStoring(sender, receiver)) return false;
    this.counters.published++;
    // Several nodes may have the receiver, and then store it once.
    const conversation = `${this.#origin}-${++this.#unlogged}`;
    const envelope = { kind: ENVELOPE.unlogged, sender, conversation, frame: text };
    return this.#parcels.send(receiver, envelope) ??
      bus.publish(this.userChannel(receiver), encodeEnvelope(envelope))
        .then((receivers) => receivers > 0, () => false);
  }

  #sendUnlogged(online: Online<Session>, { sender, receiver, text }: Unlogged): boolean {
    const [session] = online.sessions;
    if (!session || !isOnlyLegacy(online)) return false;
    const { outlet, login } = session;
    if (login === undefined || this.#options.isStoring(sender, receiver)) return false;
    // What is hidden has its place in the log, like anything that is said to somebody who is away.
    if (this.#options.isBlocked?.(session, sender)) return false;
    // The connection may die between the queue and the wire; then the log takes the message after all.
    const dropped = () => this.#options.onUndeliverable(sender, receiver, text);
    const written = { written: () => outlet.isPeerGone && dropped(), dropped };
    return login.mailbox.sendUnlogged(sender, text, written);
  }

  /**
   * Sends a frame to the version 2 connections of a conversation's members, wherever, but not to `sender`'s; version 3 has
   * an entry in the log instead.
   */
  sendEvent(conversation: ConversationId, sender: number, frame: string): void {
    const place = parseConversation(conversation);
    if (!place) return;
    const envelope = { kind: ENVELOPE.event, sender, conversation, frame };
    if ("groupId" in place) {
      const group = this.#groups.get(place.groupId);
      if (group) this.#sendGroupEvent(group, sender, frame);
      this.#publish(this.#groupChannel(place.groupId), envelope);
      return;
    }
    const receiver = place.users[0] === sender ? place.users[1] : place.users[0];
    const online = this.#users.get(receiver);
    for (const session of online?.sessions ?? []) this.#sendEventTo(session, sender, frame);
    if (online?.nodes !== 1) this.#publishTo(receiver, envelope, online);
  }

  /**
   * Tells those who care how far others have come in a conversation: the other one of two, in a group those who have said
   * something on their connection, and the user's own other devices. One envelope whatever the number of moves.
   */
  sendReceipts(moves: readonly Move[]): void {
    for (const [conversation, some] of Map.groupBy(moves, (move) => move.conversation)) {
      const place = parseConversation(conversation);
      if (!place) continue;
      const receipts = some.map((
        { userId, delivered, read, since },
      ): Receipt => [userId, delivered, read, since]);
      if ("groupId" in place) {
        this.#sendReceiptsToAll(this.#groups.get(place.groupId)?.sessions ?? [], conversation, receipts);
        this.#publish(this.#groupChannel(place.groupId), receiptsEnvelope(conversation, receipts));
        continue;
      }
      for (const receipt of receipts) {
        const [userId] = receipt;
        const peer = place.users[0] === userId ? place.users[1] : place.users[0];
        const own = this.#users.get(userId);
        this.#sendReceiptsToAll(own?.sessions ?? [], conversation, [receipt]);
        if (own && own.nodes > 1) this.#publishTo(userId, receiptsEnvelope(conversation, [receipt]), own);
        if (peer === userId) continue;
        const online = this.#users.get(peer);
        this.#sendReceiptsToAll(online?.sessions ?? [], conversation, [receipt]);
        if (online?.nodes !== 1) {
          this.#publishTo(peer, receiptsEnvelope(conversation, [receipt]), online);
        }
      }
    }
  }

  #sendReceiptsToAll(sessions: Iterable<Session>, conversation: ConversationId, receipts: Receipt[]): void {
    for (const session of sessions) this.#sendReceiptsTo(session, conversation, receipts);
  }

  #sendReceiptsTo(session: Session, conversation: ConversationId, receipts: Receipt[]): void {
    const { login, version, outlet } = session;
    if (!login) return;
    const isGroup = conversation.startsWith("g");
    const own = login.mailbox.cursor(conversation)?.own ?? 0;
    for (const [id, delivered, read, since = 0] of receipts) {
      if (id === login.userId) {
        login.mailbox.follow(conversation, delivered, read);
        continue;
      }
      // Who joined a group later has none of what was said before.
      if (version === 1 || outlet.isCongested || (isGroup && own <= since)) continue;
      const receipt = { msgid: MSGID.RECEIPT_MSG, conversation, id, delivered, read };
      login.mailbox.sendEvent(JSON.stringify(since > 0 ? { ...receipt, since } : receipt));
    }
  }

  /** The text that a recall takes back must not come behind it: what waits is read from the log. */
  #sendGroupEvent({ sessions, inOrder }: LocalGroup<Session>, sender: number, frame: string): void {
    inOrder.flush();
    for (const session of sessions) this.#sendEventTo(session, sender, frame);
  }

  #sendEventTo(session: Session, sender: number, frame: string): void {
    // An event is a courtesy: a client that does not keep up learns the same from the log.
    if (session.version === 2 && session.login?.userId !== sender && !session.outlet.isCongested) {
      session.login?.mailbox.sendEvent(frame);
    }
  }

  /** Passes a heartbeat with its key on to the node that has the user; resolves with whether one has. */
  relayBeat(userId: number, key: string): Promise<boolean> {
    const { bus, isClustered } = this.#options;
    if (!isClustered) return Promise.resolve(false);
    this.counters.published++;
    return bus.publish(this.userChannel(userId), encodeEnvelope({ kind: ENVELOPE.beat, frame: key }))
      .then((receivers) => receivers > 0, () => false);
  }

  /**
   * Publishes for the nodes that have a user: for one that is believed to have it alone, with whatever else is sent there.
   * `online`: the user, if it is online here.
   */
  #publishTo(userId: number, envelope: Sendable, online?: Online<Session>): void {
    const heard = online ? undefined : this.#parcels.send(userId, envelope);
    if (!heard) return this.#publish(this.userChannel(userId), envelope, online);
    this.counters.published++;
    heard.then((isHeard) => isHeard || this.#publish(this.userChannel(userId), envelope));
  }

  /** `online`: whose channel it is, if the user is online here: how many listen says on how many nodes it is. */
  #publish(channel: string, envelope: Sendable, online?: Online<Session>): void {
    if (!this.#options.isClustered) return;
    this.counters.published++;
    const published = this.#options.bus.publish(channel, encodeEnvelope(envelope));
    const comings = online?.comings;
    (online ? published.then((nodes) => this.#heardBy(online, nodes, comings)) : published).catch(() => {
      // The bus has told of its outage; here it only matters that somebody may have missed a doorbell.
      this.counters.publishFailures++;
      this.#hasMissed = true;
    });
  }

  /** Whoever has come since that was published may not be among those who heard it. */
  #heardBy(online: Online<Session>, nodes: number, comings: number | undefined): void {
    if (online.sessions.length === 0) return;
    this.#setNodes(online, Math.max(comings === online.comings ? 1 : online.nodes, nodes));
  }

  /**
   * A user has come online here: asks the other nodes to say whether it is online there, too. What is stored from their
   * answer on rings here. `isBack`: it was here, unheard: they may have missed something, too.
   */
  announce(userId: number, { isBack = false } = {}): void {
    const { node = "" } = this.#options;
    const envelope = { kind: ENVELOPE.came, conversation: node, seq: Number(isBack) };
    this.#publish(this.userChannel(userId), envelope);
  }

  /**
   * A user has come online here who was, or is, on a node that may be frozen: what others send there would lie there. They are
   * told at once, and not by that node.
   */
  tellMoved(userId: number): void {
    this.#parcels.forget(userId);
    this.#publish(this.sweepChannel, { kind: ENVELOPE.moved, sender: userId });
  }

  /** Tells the other nodes that have a user online of something that concerns the user's sessions. */
  tellUser(userId: number, kind: typeof ENVELOPE.regrouped | typeof ENVELOPE.revoked, device = 0): void {
    this.#publish(this.userChannel(userId), { kind, seq: device });
  }

  /**
   * Tells the other nodes that it concerns, or may, of something that none of them looks for if it misses it. Resolves with
   * whether that could be done; never rejects.
   */
  publishNews(audience: Audience, envelope: Sendable): Promise<boolean> {
    if (audience === undefined) return this.#publishOnce(this.sweepChannel, envelope);
    if ("groupId" in audience) return this.#publishOnce(this.#groupChannel(audience.groupId), envelope);
    return this.nodesOf(audience.userId) === 1
      ? Promise.resolve(true)
      : this.#publishOnce(this.userChannel(audience.userId), envelope);
  }

  #publishOnce(channel: string, envelope: Sendable): Promise<boolean> {
    if (!this.#options.isClustered) return Promise.resolve(true);
    this.counters.published++;
    return this.#options.bus.publish(channel, encodeEnvelope(envelope)).then(() => true, () => {
      // The bus has told of its outage.
      this.counters.publishFailures++;
      return false;
    });
  }

  /** A payload of another node came over the bus. Throws when it is not what that node should have sent. */
  onMessage(channel: string, payload: string, origin = 0): void {
    const envelope = decodeEnvelope(payload);
    if (!envelope) return;
    if (envelope.kind === ENVELOPE.sweep) {
      this.#parcels.forgetAll();
      this.#options.onSweep();
      return;
    }
    if (NEWS.has(envelope.kind)) {
      this.#options.onNews?.(envelope, this.#audienceOf(channel));
      return;
    }
    if (envelope.kind === ENVELOPE.moved) return this.#parcels.forget(envelope.sender);
    if (envelope.kind === ENVELOPE.home) return this.#parcels.learn(envelope.sender, origin);
    if (envelope.kind === ENVELOPE.parcel) return this.#onParcel(envelope.frame, origin);
    this.#note(envelope);
    const audience = this.#audienceOf(channel);
    if (audience === undefined) return;
    if ("groupId" in audience) this.#onGroupMessage(this.#groups.get(audience.groupId), envelope);
    else {
      this.#sayHome(audience.userId, envelope, origin);
      this.#onUserMessage(audience.userId, envelope);
    }
  }

  #note({ kind, conversation, seq, frame }: Envelope): void {
    if (kind !== ENVELOPE.message || frame === "") return;
    const { ends, onDoubt } = this.#options;
    if (!ends.note(conversation, seq, splicedTime(frame))) onDoubt();
  }

  /** One envelope that cannot be handled must not take the others with it: throws what the last one has thrown. */
  #onParcel(parcel: string, origin: number): void {
    const moved = new Set<number>();
    let failure: { error: unknown } | undefined;
    const isSure = this.#isSure();
    for (const [userId, payload] of openParcel(parcel)) {
      const envelope = decodeEnvelope(payload);
      if (!envelope || !FOR_PARCELS.has(envelope.kind)) continue;
      this.#note(envelope);
      const online = this.#users.get(userId);
      if (!isSure || online?.nodes !== 1) {
        moved.add(userId);
        if (envelope.kind === ENVELOPE.unlogged) {
          // Answered for here, whoever is or is not; from the log it goes wherever the user is.
          const { sender, frame, conversation } = envelope;
          this.#options.onUndeliverable(sender, userId, frame, conversation || undefined);
          continue;
        }
        this.#publish(this.userChannel(userId), envelope, online);
      }
      try {
        this.#onUserMessage(userId, envelope);
      } catch (error) {
        failure = { error };
      }
    }
    for (const sender of moved) {
      this.#publish(this.#parcelChannelOf(origin), { kind: ENVELOPE.moved, sender });
    }
    if (failure) throw failure.error;
  }

  /** A node that was taken for dead does not know who has logged in elsewhere meanwhile. */
  #isSure(): boolean {
    return this.#options.isSure?.() ?? true;
  }

  /** The node that sends this user something may send it here, and nowhere else. */
  #sayHome(userId: number, { kind }: Envelope, origin: number): void {
    const online = this.#users.get(userId);
    if (online?.nodes !== 1 || !FOR_PARCELS.has(kind) || !this.#isSure()) return;
    const at = this.#clock.now();
    if (online.told?.origin === origin && at < online.told.at + HOME_AGAIN_MS) return;
    online.told = { origin, at };
    this.#publish(this.#parcelChannelOf(origin), { kind: ENVELOPE.home, sender: userId });
  }

  #audienceOf(channel: string): Audience {
    const target = channel.slice(this.#options.channelPrefix.length);
    const id = Number(target.slice(2));
    if (target.startsWith("g:")) return { groupId: id };
    return target.startsWith("u:") ? { userId: id } : undefined;
  }

  #onGroupMessage(group: LocalGroup<Session> | undefined, envelope: Envelope): void {
    if (!group) return;
    const { kind, sender, conversation, frame } = envelope;
    if (kind === ENVELOPE.message) this.#toGroup(group, toOffer(envelope));
    else if (kind === ENVELOPE.event) this.#sendGroupEvent(group, sender, frame);
    else if (kind === ENVELOPE.receipts) {
      this.#sendReceiptsToAll(group.sessions, conversation, JSON.parse(frame));
    }
  }

  #onUserMessage(userId: number, envelope: Envelope): void {
    const { kind, sender, conversation, seq, frame } = envelope;
    const online = this.#users.get(userId);
    if (kind === ENVELOPE.unlogged) {
      if (!online || !this.#sendUnlogged(online, { sender, receiver: userId, text: frame })) {
        this.#options.onUndeliverable(sender, userId, frame, conversation || undefined);
      }
      return;
    }
    if (!online) return;
    switch (kind) {
      case ENVELOPE.giveWay:
        if (this.session(userId)) this.#options.onGiveWay?.(envelope);
        break;
      case ENVELOPE.came:
      case ENVELOPE.here:
        this.#onElsewhere(userId, online, envelope);
        break;
      case ENVELOPE.regrouped:
        this.#options.onCatchUp?.(userId);
        break;
      case ENVELOPE.revoked:
        this.#options.onRevoked?.(userId, seq);
        break;
      case ENVELOPE.receipts:
        this.#sendReceiptsToAll(online.sessions, conversation, JSON.parse(frame));
        break;
      default:
        for (const session of online.sessions) this.#onSessionMessage(session, envelope);
    }
  }

  #onSessionMessage(session: Session, envelope: Envelope): void {
    const { kind, sender, frame } = envelope;
    if (kind === ENVELOPE.beat) {
      if (session.udpKey === frame) session.beatAt = performance.now();
    } else if (kind === ENVELOPE.message) this.#offer(session, toOffer(envelope));
    else if (kind === ENVELOPE.event) this.#sendEventTo(session, sender, frame);
  }

  /** The user is online on another node: one that has just said so, or answers that it has been for a while. */
  #onElsewhere(userId: number, online: Online<Session>, envelope: Envelope): void {
    const { kind, seq: isBack, conversation: asker } = envelope;
    online.comings++;
    this.#setNodes(online, Math.max(2, online.nodes));
    if (kind === ENVELOPE.came) {
      this.#publish(this.userChannel(userId), { kind: ENVELOPE.here, conversation: asker }, online);
    }
    if (isBack === 1 || (kind === ENVELOPE.here && asker === this.#options.node)) {
      this.#options.onCatchUp?.(userId);
    }
  }

  /** Something came over the bus that no node of this cluster has sealed: a forgery, or another version's doorbell. */
  onRefused(): void {
    this.#isInDoubt = true;
    this.counters.refused++;
    // The first, the tenth, the hundredth …: one line would be forgotten, a line each would fill the disk.
    if (!/^10*$/.test(String(this.counters.refused))) return;
    this.#options.logger.warn(
      "what comes over Redis is not all from nodes of this cluster; the rest is dropped",
      {
        dropped: this.counters.refused,
      },
    );
  }

  /** Since the last sweep something may have rung that was not believed, or there was no bus to ring. */
  get isInDoubt(): boolean {
    return this.#isInDoubt || !this.#options.bus.isUp;
  }

  /** The bus works again: what could not be published, here or elsewhere, is fetched from the log. */
  onBusUp(): void {
    this.#parcels.forgetAll();
    this.sweep();
    if (this.#hasMissed) this.requestSweep();
    // How many listened meanwhile says nothing about who is online.
    for (const [userId, { sessions, nodes }] of this.#users) {
      const mayHaveOthers = nodes > 1 || sessions.some(({ version }) => version === 3);
      if (mayHaveOthers) this.announce(userId, { isBack: true });
    }
  }

  /** Asks the other nodes to {@link sweep}. */
  requestSweep(): void {
    this.#hasMissed = false;
    this.#parcels.forgetAll();
    this.#publish(this.sweepChannel, { kind: ENVELOPE.sweep });
  }

  #parcelChannelOf(origin: number): string {
    return `${this.#options.channelPrefix}o:${origin}`;
  }

  /** The channel all nodes listen to. */
  get sweepChannel(): string {
    return `${this.#options.channelPrefix}all`;
  }

  /**
   * Compares what the database holds for everyone who is online here with what they were sent, and fetches the rest.
   * Never rejects; a call during a sweep starts another behind it.
   */
  async sweep(): Promise<void> {
    this.#isSweepDue = true;
    this.#sweeping ??= (async () => {
      while (this.#isSweepDue) {
        this.#isSweepDue = false;
        this.#isInDoubt = false;
        await this.#sweepOnce();
      }
      this.#sweeping = undefined;
    })();
    await this.#sweeping;
  }

  async #sweepOnce(): Promise<void> {
    this.counters.sweeps++;
    const { messages } = this.#options;
    const users = new Map<number, Session>();
    const devices = new Map<number, Session>();
    for (const session of this.sessions()) {
      const { userId, device } = session.login ?? { userId: 0, device: 0 };
      if (device === 0) users.set(userId, session);
      else devices.set(device, session);
    }
    try {
      this.#notice(users, await messages.unsent([...users.keys()]));
      this.#notice(devices, await messages.unsentToDevices([...devices.keys()]));
    } catch (error) {
      this.#options.logger.warn("cannot look for missed messages; tried again later", {
        reason: errorText(error),
      });
    }
  }

  /** What a look into the log has found for these sessions, by user or by device. */
  #notice(sessions: ReadonlyMap<number, Session>, unsent: readonly Unsent[]): void {
    for (const { owner, conversation, last_seq } of unsent) {
      const login = sessions.get(owner)?.login;
      if (!login) continue;
      // Nobody has told that the user has been added to this group.
      if (conversation.startsWith("g") && !login.mailbox.cursor(conversation)) {
        this.#options.onCatchUp?.(login.userId);
      }
      login.mailbox.notice(conversation, last_seq);
    }
  }

  /** The channel of a user, which the node that has it listens to. */
  userChannel(userId: number): string {
    return `${this.#options.channelPrefix}u:${userId}`;
  }

  #groupChannel(groupId: number): string {
    return `${this.#options.channelPrefix}g:${groupId}`;
  }
}

function receiptsEnvelope(conversation: ConversationId, receipts: Receipt[]): Sendable {
  return { kind: ENVELOPE.receipts, conversation, frame: JSON.stringify(receipts) };
}

/** The other one of two; undefined where somebody writes to itself. */
function peerIn(conversation: ConversationId, userId: number): number | undefined {
  const place = parseConversation(conversation);
  return place && "users" in place ? place.users.find((id) => id !== userId) : undefined;
}

/** Nobody of versions 1 and 2 has more than one connection; from version 3 on there may be devices that are not online. */
function isOnlyLegacy({ sessions, nodes }: Online<Receiver>): boolean {
  return nodes === 1 && sessions.length === 1 && sessions[0]?.login?.device === 0;
}

function toOffer({ conversation, seq, sender, frame }: Envelope): Offer {
  return { conversation, seq, sender, frame: frame.length > 0 ? frame : undefined };
}
