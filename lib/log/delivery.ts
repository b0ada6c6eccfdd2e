/**
 * Who is online on this node, and how a stored message reaches them and the other nodes.
 *
 * A message to somebody on this node goes straight to the mailbox. For the rest one envelope is published: on the
 * receiver's channel for a one-to-one message, on the group's for a group message, whatever the number of members and
 * nodes. A group's messages of several nodes are put in order before they go to many mailboxes. What the bus loses is
 * read from the log: at a gap, after an outage, and by a sweep now and then.
 *
 * @module
 */
import type { Bus } from "../cluster/bus.ts";
import type { Clock } from "../base/clock.ts";
import { decodeEnvelope, encodeEnvelope, ENVELOPE, type Envelope } from "../cluster/envelope.ts";
import type { Ends } from "../store/ends.ts";
import { errorText } from "../base/errors.ts";
import { KIND, kindOf } from "../protocol/entries.ts";
import { InOrder } from "./in_order.ts";
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
import type { Messages } from "../store/messages.ts";

/** What {@link Delivery} works with. */
export interface DeliveryOptions {
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
  /** Another node asks that a user's session give way to a login there. */
  onGiveWay?: (envelope: Envelope) => void;
  /** A message that is in no log came for somebody whom this node could not give it to: store it. */
  onUndeliverable: (sender: number, receiver: number, text: string) => void;
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
}

/** A group with members on this node. */
interface LocalGroup<Session extends Receiver> {
  sessions: Set<Session>;
  inOrder: InOrder<Offer>;
}

/** User id, delivered, read, since: as it travels between nodes. */
type Receipt = [number, number, number, number];

/** The node's register of online users, and the way to them. */
export class Delivery<Session extends Receiver = Receiver> {
  readonly #options: DeliveryOptions;
  readonly #users = new Map<number, Session>();
  readonly #groups = new Map<number, LocalGroup<Session>>();
  #sweeping: Promise<void> | undefined;
  #isSweepDue = false;
  /** An envelope could not be published: the other nodes have to look into the log. */
  #hasMissed = false;
  #isInDoubt = false;
  /** For metrics: frames handed to mailboxes of this node, envelopes published, and what came and was no envelope. */
  readonly counters = { offered: 0, published: 0, publishFailures: 0, refused: 0, sweeps: 0 };

  /** See {@link DeliveryOptions}. */
  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Who is logged in on this node. */
  get sessions(): IterableIterator<Session> {
    return this.#users.values();
  }

  /** How many are logged in on this node. */
  get userCount(): number {
    return this.#users.size;
  }

  /** The session of a user who is logged in on this node. */
  session(userId: number): Session | undefined {
    return this.#users.get(userId);
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

  /** Messages for this user go to this session's mailbox from now on. */
  attach(session: Session): void {
    const { login } = session;
    if (!login) return;
    this.#users.set(login.userId, session);
    for (const groupId of login.groups.keys()) this.#addToGroup(session, groupId);
  }

  /** The session gets nothing any more of what it got by this login. */
  detach(session: Session, login: ReceiverLogin): void {
    if (this.#users.get(login.userId) === session) this.#users.delete(login.userId);
    for (const groupId of login.groups.keys()) {
      const group = this.#groups.get(groupId);
      group?.sessions.delete(session);
      if (group?.sessions.size !== 0) continue;
      group.inOrder.close();
      this.#groups.delete(groupId);
    }
    this.unsubscribe(login.userId, login.groups.keys());
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

  #addToGroup(session: Session, groupId: number): void {
    let group = this.#groups.get(groupId);
    if (!group) {
      const sessions = new Set<Session>();
      const inOrder = new InOrder<Offer>((offer) => this.#offerAll(sessions, offer), this.#options.clock);
      group = { sessions, inOrder };
      this.#groups.set(groupId, group);
    }
    group.sessions.add(session);
  }

  /** A message is durable: hands it to those who are here and rings for the others. Never throws, never waits. */
  deliver(stored: Stored): void {
    const { conversation, users, seq, sender, text, at, members } = stored;
    const place = users ? { users } : parseConversation(conversation);
    if (!place) return;
    // A repeat's text is not sent again: it may have been recalled, and whoever lacks it reads it from the log.
    const frame = text === null ? undefined : spliceFields(text, conversation, seq, at);
    const ring = (channel: string) => {
      const message = { kind: ENVELOPE.message, sender, seq, conversation };
      this.#publish(channel, frame === undefined ? message : { ...message, frame });
    };
    if ("groupId" in place) {
      const local = this.#groups.get(place.groupId);
      // At once, and not when its turn comes: receipts may be faster.
      if (text === null || kindOf(text) === KIND.chat) {
        this.#users.get(sender)?.login?.mailbox.noteOwn(conversation, seq);
      }
      if (local) this.#toGroup(local, { conversation, seq, sender, frame });
      // `members` was counted in the transaction that stored the message: when they are all here nobody else needs it.
      if (local?.sessions.size !== members) ring(this.#groupChannel(place.groupId));
      return;
    }
    const [one, other] = place.users;
    const receiver = sender === one ? other : one;
    this.#users.get(sender)?.login?.mailbox.offer(conversation, seq, sender, frame);
    if (receiver === sender) return;
    const session = this.#users.get(receiver);
    if (session) this.#offer(session, { conversation, seq, sender, frame });
    else ring(this.userChannel(receiver));
  }

  #toGroup({ sessions, inOrder }: LocalGroup<Session>, offer: Offer): void {
    // An old one that rings again says nothing about where the conversation stands.
    if (offer.frame === undefined && !inOrder.hasBegun) this.#offerAll(sessions, offer);
    else inOrder.add(offer.seq, offer);
  }

  #offerAll(sessions: Iterable<Session>, offer: Offer): void {
    for (const session of sessions) this.#offer(session, offer);
  }

  #offer({ login }: Session, { conversation, seq, sender, frame }: Offer): void {
    this.counters.offered++;
    login?.mailbox.offer(conversation, seq, sender, frame);
  }

  /**
   * Gives a message that is in no log to its receiver, here or on another node. True: given to a connection, or to the
   * node that has the receiver and now answers for it; false: nobody has the receiver, it has to be stored.
   */
  deliverUnlogged(unlogged: Unlogged): boolean | Promise<boolean> {
    const { sender, receiver, text } = unlogged;
    const { bus, isClustered, isStoring } = this.#options;
    const session = this.#users.get(receiver);
    if (session) return this.#sendUnlogged(session, unlogged);
    if (!isClustered || isStoring(sender, receiver)) return false;
    this.counters.published++;
    return bus.publish(
      this.userChannel(receiver),
      encodeEnvelope({ kind: ENVELOPE.unlogged, sender, frame: text }),
    ).then((receivers) => receivers > 0, () => false);
  }

  #sendUnlogged({ outlet, login }: Session, { sender, receiver, text }: Unlogged): boolean {
    if (login === undefined || this.#options.isStoring(sender, receiver)) return false;
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
    const session = this.#users.get(receiver);
    if (session) this.#sendEventTo(session, sender, frame);
    else this.#publish(this.userChannel(receiver), envelope);
  }

  /**
   * Tells those who care how far others have come in a conversation: the other one of two, and in a group those who have
   * said something on their connection. One envelope whatever the number of moves.
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
        this.#publishReceipts(this.#groupChannel(place.groupId), conversation, receipts);
        continue;
      }
      for (const receipt of receipts) {
        const peer = place.users[0] === receipt[0] ? place.users[1] : place.users[0];
        const session = this.#users.get(peer);
        if (session) this.#sendReceiptsTo(session, conversation, [receipt]);
        else this.#publishReceipts(this.userChannel(peer), conversation, [receipt]);
      }
    }
  }

  #publishReceipts(channel: string, conversation: ConversationId, receipts: Receipt[]): void {
    this.#publish(channel, { kind: ENVELOPE.receipts, conversation, frame: JSON.stringify(receipts) });
  }

  #sendReceiptsToAll(sessions: Iterable<Session>, conversation: ConversationId, receipts: Receipt[]): void {
    for (const session of sessions) this.#sendReceiptsTo(session, conversation, receipts);
  }

  #sendReceiptsTo(session: Session, conversation: ConversationId, receipts: Receipt[]): void {
    const { login, version, outlet } = session;
    if (!login || version === 1 || outlet.isCongested) return;
    const isGroup = conversation.startsWith("g");
    const own = login.mailbox.cursor(conversation)?.own ?? 0;
    for (const [id, delivered, read, since = 0] of receipts) {
      // Who joined a group later has none of what was said before.
      if (id === login.userId || (isGroup && own <= since)) continue;
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

  #publish(channel: string, envelope: Parameters<typeof encodeEnvelope>[0]): void {
    if (!this.#options.isClustered) return;
    this.counters.published++;
    this.#options.bus.publish(channel, encodeEnvelope(envelope)).catch(() => {
      // The bus has told of its outage; here it only matters that somebody may have missed a doorbell.
      this.counters.publishFailures++;
      this.#hasMissed = true;
    });
  }

  /** A payload of another node came over the bus. Throws when it is not what that node should have sent. */
  onMessage(channel: string, payload: string): void {
    const envelope = decodeEnvelope(payload);
    if (!envelope) return;
    if (envelope.kind === ENVELOPE.sweep) {
      this.#options.onSweep();
      return;
    }
    const { kind, conversation, seq, frame } = envelope;
    if (kind === ENVELOPE.message && frame !== "") {
      const { ends, onDoubt } = this.#options;
      if (!ends.note(conversation, seq, splicedTime(frame))) onDoubt();
    }
    const target = channel.slice(this.#options.channelPrefix.length);
    const id = Number(target.slice(2));
    if (target.startsWith("g:")) this.#onGroupMessage(this.#groups.get(id), envelope);
    else if (target.startsWith("u:")) this.#onUserMessage(id, envelope);
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
    const { kind, sender, conversation, frame } = envelope;
    const session = this.#users.get(userId);
    if (kind === ENVELOPE.unlogged) {
      if (!session || !this.#sendUnlogged(session, { sender, receiver: userId, text: frame })) {
        this.#options.onUndeliverable(sender, userId, frame);
      }
    } else if (!session) return;
    else if (kind === ENVELOPE.beat) {
      if (session.udpKey === frame) session.beatAt = performance.now();
    } else if (kind === ENVELOPE.giveWay) this.#options.onGiveWay?.(envelope);
    else if (kind === ENVELOPE.message) this.#offer(session, toOffer(envelope));
    else if (kind === ENVELOPE.event) this.#sendEventTo(session, sender, frame);
    else if (kind === ENVELOPE.receipts) this.#sendReceiptsTo(session, conversation, JSON.parse(frame));
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
    this.sweep();
    if (this.#hasMissed) this.requestSweep();
  }

  /** Asks the other nodes to {@link sweep}. */
  requestSweep(): void {
    this.#hasMissed = false;
    this.#publish(this.sweepChannel, { kind: ENVELOPE.sweep });
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
    try {
      for (
        const { userid, conversation, last_seq } of await this.#options.messages.unsent([
          ...this.#users.keys(),
        ])
      ) {
        this.#users.get(userid)?.login?.mailbox.notice(conversation, last_seq);
      }
    } catch (error) {
      this.#options.logger.warn("cannot look for missed messages; tried again later", {
        reason: errorText(error),
      });
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

function toOffer({ conversation, seq, sender, frame }: Envelope): Offer {
  return { conversation, seq, sender, frame: frame.length > 0 ? frame : undefined };
}
