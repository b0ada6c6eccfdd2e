/**
 * A logged-in user's messages: what comes in, what goes out, what is kept.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { ERRNO, isJsonObject, MSGID, otherOf, parseConversation } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject, ProtocolVersion } from "../../protocol/protocol.ts";
import { BackOff } from "./back_off.ts";
import { Directory } from "./directory.ts";
import { isSaid } from "./entries.ts";
import type { SessionEvent } from "./events.ts";
import type { ClientStore, MessageFields, OutboxEntry, PeerPosition } from "./store.ts";
import { HISTORY_PAGE, Inbox } from "./inbox.ts";
import type { ConversationPosition, HistoryPage } from "./inbox.ts";
import { integerOf, listOf, readChatFrame, readEntryFrame, readHistoryEntry, textOf } from "./messages.ts";
import type { ChatMessage } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import type { Profile } from "./profile.ts";
import { movePeer } from "./receipts.ts";
import type { Receipt } from "./receipts.ts";
import { isTemporary, readReply } from "./requests.ts";
import type { Reply } from "./requests.ts";

/** What an account needs of the session it belongs to. */
export interface AccountPeer {
  /** Writes a frame to the connection. */
  send(frame: JsonObject): void;
  /** Asks the server something that is pointless after a reconnect. */
  askOnce(frame: JsonObject): Promise<Reply>;
  /** Asks the server something, over a reconnect if need be. */
  ask(frame: JsonObject): Promise<Reply>;
  /** Tells the user. */
  emit(event: SessionEvent): void;
  /** The date, ms since the epoch. */
  wallNow(): number;
  /** {@link Account.isSettled} may have changed. */
  changed(): void;
  /** The store failed: the connection cannot go on. */
  failed(error: unknown): void;
}

/** What the entry says that a change of a group has written, by what was asked for. */
const TOLD: Readonly<Record<string, (details: JsonObject) => JsonObject>> = {
  leave: () => ({ what: "left" }),
  add: () => ({ what: "added" }),
  remove: () => ({ what: "removed" }),
  role: ({ role }) => ({ what: "role", role }),
  transfer: () => ({ what: "role", role: "creator" }),
  edit: ({ groupname, groupdesc, join }) => ({ what: "edited", groupname, groupdesc, join }),
  link: () => ({ what: "edited", join: "link" }),
  dissolve: () => ({ what: "dissolved" }),
};

/** In a larger group only that everybody has received a message is told, not who. */
const MOST_RECEIPTS = 10;

/** Lives from login to logout, over any number of connections. */
export class Account {
  /** Names for ids. */
  readonly directory: Directory;
  /** What is kept. */
  readonly store: ClientStore;
  /** What the server speaks. */
  readonly version: ProtocolVersion;
  readonly #peer: AccountPeer;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  #progress = 0;
  #positions: readonly ConversationPosition[] = [];
  /** {@link catchUp} was called for this connection. */
  #isCatchingUp = false;
  #isClosed = false;

  /** `store` becomes the account's and is closed by {@link close}. */
  constructor(options: {
    profile: Profile;
    store: ClientStore;
    clock: Clock;
    random: () => number;
    isForScript: boolean;
    peer: AccountPeer;
  }) {
    const { profile, store, clock, isForScript, peer } = options;
    this.directory = new Directory(profile);
    this.store = store;
    this.version = profile.version;
    this.#peer = peer;
    const wallNow = () => peer.wallNow();
    this.#inbox = new Inbox({
      store,
      clock,
      me: profile.id,
      isForScript,
      isModern: profile.version === 3,
      peer: {
        show: (message) => this.#show(message),
        send: (frame) => peer.send(frame),
        askHistory: (conversation, after, limit) => this.#askHistory({ conversation, after, limit }),
        wallNow,
        changed: () => peer.changed(),
        failed: (error) => peer.failed(error),
      },
    });
    this.#outbox = new Outbox({
      store,
      clock,
      backOff: new BackOff(options.random),
      me: this.directory.me,
      peer: {
        send: (frame) => peer.send(frame),
        stored: (entry, place) => this.#stored(entry, place),
        refused: (entry, reply) => this.#refused(entry, reply),
        wallNow,
      },
    });
  }

  /** How many messages the server has not acknowledged. */
  get unsent(): number {
    return this.#outbox.size;
  }

  /** True when a message to this conversation is not acknowledged. */
  hasUnsentFor(conversation: ConversationId): boolean {
    return this.#outbox.hasFor(conversation);
  }

  /** Changes whenever a message has come in or gone out. */
  get progress(): number {
    return this.#progress;
  }

  /** Nothing is to be sent, and all that existed at login has arrived (once {@link catchUp} was called). */
  get isSettled(): boolean {
    return this.unsent === 0 && (this.version === 1 || (this.#isCatchingUp && this.#inbox.isCaughtUp));
  }

  /** Connected and logged in. */
  start(profile: Profile): void {
    this.#isCatchingUp = false;
    this.#positions = profile.conversations;
    this.directory.refresh(profile);
    if (this.version !== 1) this.#inbox.start(profile.conversations, profile.hasMoreConversations);
    for (const message of profile.offlineMessages) this.#receive(message);
    for (const { conversation, peer } of profile.conversations) {
      const id = otherOf(conversation, profile.id);
      if (peer !== undefined && id !== undefined) this.#movePeer({ conversation, id, ...peer });
    }
    this.#outbox.start(this.version);
  }

  /** The connection is gone. */
  stop(): void {
    this.#inbox.stop();
    this.#outbox.stop();
  }

  /** Logged out for good. */
  close(): void {
    this.#isClosed = true;
    this.stop();
    this.store[Symbol.dispose]();
  }

  /** Sends a message, now or as soon as that is possible; returns its cid. */
  send(conversation: ConversationId, text: string, fields?: MessageFields): string {
    return this.#outbox.add(conversation, text, fields);
  }

  /** The user has seen everything up to `seq`; for a client that says so itself (`isForScript`). */
  read(conversation: ConversationId, seq: number): void {
    this.#inbox.read(conversation, seq);
  }

  /** Asks for what is behind the newest entry that is here. */
  look(conversation: ConversationId): Promise<void> {
    return this.#inbox.look(conversation);
  }

  /**
   * Takes up conversations that the login reply had no room for, or that began since, from where the server says that
   * they stand.
   */
  addConversations(positions: readonly ConversationPosition[]): void {
    this.#inbox.add(positions);
  }

  /** Asks for what the server has not sent by itself of what existed at login; once a connection. */
  catchUp(): void {
    if (this.#isCatchingUp || this.version === 1) return;
    this.#isCatchingUp = true;
    this.#inbox.catchUp(this.#positions);
  }

  /** Tells the server now how far we are. */
  flush(): void {
    if (this.version !== 1) this.#inbox.flush();
  }

  /** Takes a frame that came by itself. */
  receive(frame: JsonObject): void {
    switch (frame.msgid) {
      case MSGID.ONE_CHAT_MSG:
      case MSGID.GROUP_CHAT_MSG: {
        const message = readChatFrame(frame, this.#peer.wallNow());
        if (message !== undefined && !this.#isFromHere(message)) this.#receive(message);
        break;
      }
      case MSGID.ACTION_MSG:
      case MSGID.SYSTEM_MSG: {
        const entry = readEntryFrame(frame, this.#peer.wallNow());
        if (entry !== undefined) this.#receive(entry);
        break;
      }
      case MSGID.RECEIPT_MSG:
        this.#receiveReceipt(frame);
        break;
      case MSGID.RECALL_MSG:
        this.#receiveRecall(frame);
        break;
    }
  }

  /** Takes the reply to a message of ours; false when it is to something else. */
  answer(reply: JsonObject): boolean {
    return this.#outbox.answer(reply);
  }

  /** The server could not read a frame of ours. */
  refuseLongest(reply: JsonObject): void {
    this.#outbox.refuseLongest(reply);
  }

  /** The last `count` messages of a conversation; those that are not here are asked for, as far as the server has them. */
  async history(
    conversation: ConversationId,
    count: number,
  ): Promise<{ messages: ChatMessage[]; problem: string }> {
    let problem = "";
    if (this.version !== 1) {
      // What the server is about to send by itself is not waited for.
      this.#inbox.catchUp(this.#positions.filter((position) => position.conversation === conversation));
      await this.#inbox.fillHole(conversation);
    }
    while (this.version !== 1 && problem === "") {
      const base = this.#inbox.baseOf(conversation);
      const have = this.store.latest(conversation, count).filter(({ seq }) =>
        seq === null || seq > base
      ).length;
      if (have >= count || base === 0) break;
      problem = (await this.older(conversation, Math.min(HISTORY_PAGE, count - have))).text;
    }
    return { messages: this.store.latest(conversation, count), problem };
  }

  /** Asks for up to `limit` messages before those that are here, and stores them. */
  async older(conversation: ConversationId, limit: number): Promise<Reply> {
    const before = this.#inbox.baseOf(conversation) + 1;
    const reply = await this.#peer.askOnce({ msgid: MSGID.HISTORY_MSG, conversation, before, limit });
    if (reply.errno === ERRNO.OK) this.#extend(conversation, this.#readPage(conversation, reply));
    return reply;
  }

  /**
   * Does something to a message: `act` and what belongs to it, as version 3 has them. What comes of it is here as if it had
   * been received.
   */
  async act(conversation: ConversationId, ref: number, details: JsonObject): Promise<Reply> {
    const frame = { msgid: MSGID.ACTION_MSG, conversation, ref, ...details };
    const reply = await this.#peer.ask(frame);
    const { id, name } = this.directory.me;
    // The same again is no entry of the log.
    const entry = reply.errno === ERRNO.OK && reply.frame.seq !== undefined
      ? readEntryFrame({ ...reply.frame, ...frame, id, name }, this.#peer.wallNow())
      : undefined;
    if (entry !== undefined && !this.#isClosed) this.#inbox.receive(entry, true);
    return reply;
  }

  /**
   * Does something about a group (GROUP_MSG), also again on another connection while there is no answer. What that has done
   * is an entry of the log, as the others get it.
   */
  async changeGroup(groupId: number, op: string, details: JsonObject): Promise<Reply> {
    const frame = { msgid: MSGID.GROUP_MSG, op, groupid: groupId, ...details };
    const reply = await this.#peer.ask(frame);
    const { id: me, name: myName } = this.directory.me;
    const id = integerOf(details.id, 1) ?? me;
    const name = this.directory.nameOf(id) ?? textOf(reply.frame.name);
    const told = { id, name, by: me, ...(id === me ? {} : { by_name: myName }), ...TOLD[op]?.(details) };
    const entry = reply.errno === ERRNO.OK && reply.frame.seq !== undefined
      ? readEntryFrame({ ...reply.frame, msgid: MSGID.SYSTEM_MSG, ...told }, this.#peer.wallNow())
      : undefined;
    // It is shown like what others do.
    if (entry !== undefined && !this.#isClosed) this.#inbox.receive(entry);
    return reply;
  }

  /** A message of ours was recalled on the server. */
  recall(conversation: ConversationId, seq: number): void {
    this.store.recall(conversation, seq);
  }

  #extend(conversation: ConversationId, { messages, hasMore }: HistoryPage): void {
    const first = messages[0]?.seq ?? 1;
    this.#inbox.extend(conversation, messages, hasMore ? first - 1 : 0);
  }

  async #askHistory(
    query: { conversation: string; after: number; limit: number },
  ): Promise<HistoryPage | undefined> {
    const reply = await this.#peer.askOnce({ msgid: MSGID.HISTORY_MSG, ...query });
    if (isTemporary(reply)) return undefined;
    // Refused for good (not a member any more): what is missing will never come.
    return reply.errno === ERRNO.OK
      ? this.#readPage(query.conversation, reply)
      : { messages: [], hasMore: false };
  }

  #readPage(conversation: ConversationId, { frame }: Reply): HistoryPage {
    const messages = listOf(frame.messages).filter(isJsonObject)
      .map((entry) => readHistoryEntry(entry, conversation, this.#peer.wallNow()))
      .filter((message) => message !== undefined);
    for (const message of messages) this.#isFromHere(message);
    return { messages, hasMore: frame.more === true };
  }

  #receive(message: ChatMessage): void {
    this.directory.learnName(message.sender, message.name);
    // A v1 connection cannot ask for holes: there, order of arrival is all there is.
    this.#inbox.receive(this.version === 1 ? { ...message, seq: null } : message);
  }

  /** A message of ours whose reply was lost may come like another device's. */
  #isFromHere(message: ChatMessage): boolean {
    const { sender, frame } = message;
    const cid = textOf(frame?.cid);
    return sender === this.directory.me.id && cid !== "" && this.#outbox.found(cid, message);
  }

  #show(message: ChatMessage): void {
    this.#progressed();
    this.directory.learnName(message.sender, message.name);
    this.#peer.emit(isSaid(message) ? { kind: "message", message } : { kind: "entry", entry: message });
  }

  #stored(entry: OutboxEntry, { seq, at }: { seq: number | null; at: number }): void {
    this.#progressed();
    const { cid, conversation, text, fields } = entry;
    const { id, name } = this.directory.me;
    const frame = { ...fields, cid };
    const message = { conversation, seq, sender: id, name, text, at, frame };
    this.#inbox.receive(message, true);
    if (this.version === 1) return;
    this.#peer.emit({ kind: "stored", message });
    if (seq === null) return;
    // A receipt can overtake the acknowledgement, and be there already when a message was sent again.
    for (const peer of this.store.peersAt(conversation, seq)) {
      this.#tell({ conversation, id: peer.id, kind: peer.read >= seq ? "read" : "delivered", seq });
    }
  }

  /** What a failed transaction takes back is no progress. */
  #progressed(): void {
    this.store.afterCommit(() => this.#progress++);
  }

  #refused(entry: OutboxEntry, reply: JsonObject): void {
    this.#progressed();
    const { errno, text } = readReply(reply);
    this.#peer.emit({ kind: "refused", entry, errno, reason: text });
  }

  #receiveReceipt(frame: JsonObject): void {
    const conversation = textOf(frame.conversation);
    const id = integerOf(frame.id, 1);
    if (id === undefined || parseConversation(conversation) === undefined) return;
    if (id === this.directory.me.id) {
      this.#inbox.readElsewhere(conversation, integerOf(frame.read) ?? 0);
      return;
    }
    this.#movePeer({
      conversation,
      id,
      delivered: integerOf(frame.delivered) ?? 0,
      read: integerOf(frame.read) ?? 0,
      since: integerOf(frame.since) ?? 0,
    });
  }

  #movePeer(peer: { conversation: ConversationId; id: number; since?: number } & PeerPosition): void {
    for (const receipt of movePeer(this.store, this.directory.me.id, peer)) this.#tell(receipt);
  }

  #tell(receipt: Receipt): void {
    const { conversation, kind, seq } = receipt;
    const parsed = parseConversation(conversation);
    const group = parsed !== undefined && "groupId" in parsed
      ? this.directory.group(parsed.groupId)
      : undefined;
    const others = (group?.memberCount ?? 0) - 1;
    if (others <= MOST_RECEIPTS) this.#peer.emit({ kind: "receipt", receipt });
    else if (this.store.countPeers(conversation, kind, seq) === others) {
      this.#peer.emit({ kind: "receipt", receipt: { ...receipt, id: undefined } });
    }
  }

  #receiveRecall(frame: JsonObject): void {
    const conversation = textOf(frame.conversation);
    const seq = integerOf(frame.seq, 1);
    const id = integerOf(frame.id, 1);
    if (seq === undefined || id === undefined) return;
    const known = this.store.find(conversation, seq);
    if (known === undefined || known.text === null) return;
    this.store.recall(conversation, seq);
    if (id !== this.directory.me.id) this.#peer.emit({ kind: "recalled", conversation, seq, id });
  }
}
