/**
 * Brings what arrives into order: stores it, shows it in seq order, fills holes, acknowledges.
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";
import { MSGID } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import type { ClientStore, ConversationState, PeerPosition } from "./store.ts";
import { actionOf, applyAction, isSaid } from "./entries.ts";
import type { ChatMessage } from "./messages.ts";

/** A conversation as the server announces it at login. */
export interface ConversationPosition {
  /** Which one. */
  conversation: ConversationId;
  /** Its last message. */
  lastSeq: number;
  /** The server holds everything up to here for delivered to us. */
  delivered: number;
  /** And for read. */
  read: number;
  /** One-to-one: how far the other one is with our messages, where the server says so. */
  peer: PeerPosition | undefined;
}

/** What the server answers when asked for a range. */
export interface HistoryPage {
  /** Ascending. */
  messages: ChatMessage[];
  /** There is more behind the last one. */
  hasMore: boolean;
}

/** What the inbox needs of its surroundings. */
export interface InboxPeer {
  /** Shows a message, or another entry, to the user. Called when it is stored for good. */
  show(message: ChatMessage): void;
  /** Sends a frame that has no answer. */
  send(frame: JsonObject): void;
  /** Asks for messages after a seq; undefined when there was no answer, now or for the time being. */
  askHistory(conversation: ConversationId, after: number, limit: number): Promise<HistoryPage | undefined>;
  /** The date, ms since the epoch. */
  wallNow(): number;
  /** Something that {@link Inbox.isCaughtUp} depends on may have changed. */
  changed(): void;
  /** The store failed outside {@link Inbox.receive}: the connection cannot go on with what is in memory. */
  failed(error: unknown): void;
}

/** The most the protocol gives in one page. */
export const HISTORY_PAGE = 200;
/** A hole is often one of our own messages whose acknowledgement is a moment behind: that one is not asked for. */
const HOLE_DELAY_MS = 100;
const HOLE_RETRY_MS = 2000;
/** Acknowledgements are collected so long, unless there are many: the server sends on only as we acknowledge. */
const ACK_DELAY_MS = 100;
const ACK_MESSAGES = 50;

/** A person who is new here is shown at most so many of the messages that another client took and nobody has read. */
const UNREAD_MOST = HISTORY_PAGE;

interface Conversation extends ConversationState {
  /** Everything up to here has been shown by this client, or is not for it to show. */
  told: number;
  /** The seqs above `told` of what was sent from here: nobody has to be shown that. */
  sent: Set<number>;
  /** Stored, but above a hole. */
  held: Set<number>;
  /** A message up to here is known to have existed. */
  known: number;
  /** What the server was told last. */
  deliveredSent: number;
  readSent: number;
  /** Settles when a hole has been asked for, page by page. */
  filling: Promise<void> | undefined;
}

/**
 * One inbox a user. Positions are in the store; {@link start} reads them anew at each login, so that what a broken
 * connection or a failed transaction left half done is taken up where the store stands.
 */
export class Inbox {
  readonly #store: ClientStore;
  readonly #clock: Clock;
  readonly #me: number;
  readonly #isForScript: boolean;
  readonly #isModern: boolean;
  readonly #peer: InboxPeer;
  #conversations = new Map<ConversationId, Conversation>();
  readonly #unacknowledged = new Set<Conversation>();
  #unacknowledgedMessages = 0;
  readonly #timers = new Set<Timer>();
  #nextFlush: "now" | "soon" | undefined;
  /** Counts connections: an answer from an earlier one is not heard. */
  #round = 0;
  /** The server has conversations of which it has not told us. */
  #hasMore = false;

  /**
   * `me` is the user's id. `isForScript`: what is shown has been received, and is still to be read by a person. `isModern`:
   * version 3, in which other devices of the user's say something, and there are other entries than messages.
   */
  constructor(
    options: {
      store: ClientStore;
      clock: Clock;
      me: number;
      isForScript?: boolean;
      isModern?: boolean;
      peer: InboxPeer;
    },
  ) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#me = options.me;
    this.#isForScript = options.isForScript ?? false;
    this.#isModern = options.isModern ?? false;
    this.#peer = options.peer;
  }

  /**
   * Logged in: takes up every conversation where the store and the server stand. `hasMore`: the server has others besides,
   * which go on from where the store stands.
   */
  start(positions: readonly ConversationPosition[], hasMore = false): void {
    this.stop();
    this.#conversations = new Map();
    this.#hasMore = hasMore;
    const stored = new Map(this.#store.conversations().map((state) => [state.id, state]));
    this.#store.transaction(() => {
      for (const position of positions) {
        this.#take(position, stored.get(position.conversation));
        stored.delete(position.conversation);
      }
      // Not ours on the server any more: the server was set up anew, and seqs will begin at 1 again.
      for (const state of stored.values()) {
        if (hasMore) this.#add(state);
        else if (state.top > 0) this.#archive(state.id);
      }
    });
    for (const conversation of this.#conversations.values()) this.#resume(conversation);
  }

  /** Takes up further conversations; those that are known stay as they are. */
  add(positions: readonly ConversationPosition[]): void {
    const stored = new Map(this.#store.conversations().map((state) => [state.id, state]));
    for (const position of positions) {
      const { conversation: id } = position;
      if (this.#conversations.has(id)) continue;
      this.#store.transaction(() => this.#take(position, stored.get(id)));
      this.#resume(this.#find(id));
    }
  }

  /** Asks whether there is anything behind what is here: the reply to a request of one's own may be all that tells of it. */
  async look(id: ConversationId): Promise<void> {
    const conversation = this.#find(id);
    const round = this.#round;
    const after = conversation.top;
    const page = await this.#peer.askHistory(id, after, HISTORY_PAGE);
    if (page === undefined || round !== this.#round || conversation.top !== after) return;
    this.#store.transaction(() => this.#storePage(conversation, page, { after, settled: after }));
  }

  /** A person has seen everything up to `seq`. */
  read(id: ConversationId, seq: number): void {
    const conversation = this.#find(id);
    if (seq <= conversation.shown) return;
    conversation.shown = seq;
    this.#store.saveConversation(conversation);
    this.#scheduleAck(conversation);
  }

  /** Likewise, on another device: the server knows. */
  readElsewhere(id: ConversationId, seq: number): void {
    const conversation = this.#find(id);
    conversation.readSent = Math.max(conversation.readSent, seq);
    this.read(id, seq);
  }

  /** The connection is gone: nothing more is asked or acknowledged until {@link start}. */
  stop(): void {
    this.#round++;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#nextFlush = undefined;
    this.#unacknowledged.clear();
    this.#unacknowledgedMessages = 0;
  }

  /**
   * Takes a message, our own (once it has a seq) or another's. Drops what is there already. `isSent`: it is from here.
   */
  receive(message: ChatMessage, isSent = false): void {
    const { seq } = message;
    if (seq === null) {
      this.#store.insert(message);
      if (message.sender !== this.#me) this.#show(message);
      return;
    }
    const conversation = this.#find(message.conversation, seq - 1);
    if (isSent && seq > conversation.told) conversation.sent.add(seq);
    if (!this.#store.insert(message)) {
      if (this.#isSame(message, seq)) this.#scheduleAck(conversation);
      else this.#startAnew(message, seq);
      return;
    }
    this.#unacknowledgedMessages++;
    conversation.known = Math.max(conversation.known, seq);
    if (seq > conversation.top) conversation.held.add(seq);
    this.#advance(conversation, conversation.top);
    if (this.#hasHole(conversation)) this.#later(HOLE_DELAY_MS, () => this.#fill(conversation));
  }

  /** Everything that existed at login is here. */
  get isCaughtUp(): boolean {
    for (const conversation of this.#conversations.values()) {
      if (conversation.filling !== undefined || this.#hasHole(conversation)) return false;
    }
    return true;
  }

  /** Asks for what the server has not sent by itself of what existed at login. */
  catchUp(positions: readonly ConversationPosition[]): void {
    for (const { conversation: id, lastSeq } of positions) {
      const conversation = this.#find(id);
      conversation.known = Math.max(conversation.known, lastSeq);
      if (this.#hasHole(conversation)) this.#fill(conversation);
    }
  }

  /** Asks for what is missing in a conversation, without the usual wait; resolves with or without success. */
  async fillHole(id: ConversationId): Promise<void> {
    const conversation = this.#find(id);
    if (this.#hasHole(conversation)) await this.#fill(conversation);
  }

  /** Tells the server now how far we are. */
  flush(): void {
    this.#nextFlush = undefined;
    for (const conversation of this.#unacknowledged) {
      const { id, top, shown } = conversation;
      if (top > conversation.deliveredSent) {
        this.#acknowledge({ msgid: MSGID.DELIVERED_MSG, conversation: id, seq: top });
        conversation.deliveredSent = top;
      }
      if (shown > conversation.readSent) {
        this.#acknowledge({ msgid: MSGID.READ_MSG, conversation: id, seq: shown });
        conversation.readSent = shown;
      }
    }
    this.#unacknowledged.clear();
    this.#unacknowledgedMessages = 0;
  }

  /**
   * Stores a page that was asked for by `history` and reaches back to `base` (everything above it, up to what was known
   * before, is in the page or does not exist).
   */
  extend(id: ConversationId, messages: readonly ChatMessage[], base: number): void {
    const conversation = this.#find(id);
    this.#store.transaction(() => {
      for (const message of messages) {
        // What is above the positions is told in order; below them a page knows what was done since.
        const isBelow = message.seq !== null && message.seq <= conversation.top;
        if (!this.#store.insert(message) && isBelow && isSaid(message)) this.#store.replace(message);
      }
      conversation.base = Math.min(conversation.base, base);
      this.#store.saveConversation(conversation);
    });
  }

  /** Below this seq the store does not hold everything. */
  baseOf(id: ConversationId): number {
    return this.#find(id).base;
  }

  #take(position: ConversationPosition, stored: ConversationState | undefined): void {
    const { conversation: id, lastSeq, delivered, read } = position;
    let state = stored;
    if (state !== undefined && state.top > lastSeq) {
      this.#archive(id);
      state = undefined;
    }
    // New here: what was received before is left to `history`, but for what nobody has read.
    state ??= { id, base: delivered, top: delivered, shown: read };
    // What was read on another device is not shown again as new.
    const shown = Math.max(state.shown, read);
    const isUnreadMissing = !this.#isForScript && shown < state.base;
    const start = Math.max(shown, state.base - UNREAD_MOST);
    const conversation = this.#add({
      ...state,
      shown,
      ...(isUnreadMissing ? { base: start, top: start } : {}),
    });
    // What another device has received is not for a script; in version 3 each device has its own.
    if (this.#isForScript && !this.#isModern) conversation.told = Math.max(conversation.told, delivered);
    conversation.known = Math.max(conversation.known, delivered);
    conversation.deliveredSent = delivered;
    conversation.readSent = read;
    this.#store.saveConversation(conversation);
  }

  #resume(conversation: Conversation): void {
    this.#advance(conversation, conversation.top);
    this.#scheduleAck(conversation);
    if (this.#hasHole(conversation)) this.#fill(conversation);
  }

  /**
   * One that nobody has heard of begins with its first message; or, where the server has not told us of all, behind `before`:
   * of what is older it has nothing for us.
   */
  #find(id: ConversationId, before = 0): Conversation {
    const start = this.#hasMore ? before : 0;
    return this.#conversations.get(id) ?? this.#add({ id, base: start, top: start, shown: start });
  }

  #add(state: ConversationState): Conversation {
    const held = new Set(this.#store.seqsAbove(state.id, state.top));
    const known = Math.max(state.top, ...held);
    const told = this.#isForScript ? Math.max(state.top, state.shown) : state.shown;
    const begun = { sent: new Set<number>(), deliveredSent: 0, readSent: 0, filling: undefined };
    const conversation = { ...state, held, known, told, ...begun };
    this.#conversations.set(state.id, conversation);
    return conversation;
  }

  /** A seq that is stored came again: the same message, or that of a server whose database is another one? */
  #isSame(message: ChatMessage, seq: number): boolean {
    const stored = this.#store.find(message.conversation, seq);
    return stored === undefined || (stored.text === null && isSaid(stored)) || stored.at === message.at;
  }

  #startAnew(message: ChatMessage, seq: number): void {
    this.#archive(message.conversation);
    this.#conversations.delete(message.conversation);
    this.#add({ id: message.conversation, base: seq - 1, top: seq - 1, shown: seq - 1 });
    this.receive(message);
  }

  #archive(id: ConversationId): void {
    this.#store.archiveConversation(id, this.#peer.wallNow());
  }

  #hasHole({ known, top }: Conversation): boolean {
    return known > top;
  }

  /** Everything up to `complete` is stored or does not exist: moves on from there over what is held, and shows it. */
  #advance(conversation: Conversation, complete: number): void {
    const { held, id, top } = conversation;
    for (const seq of held) if (seq <= complete) held.delete(seq);
    conversation.top = Math.max(conversation.top, complete);
    while (held.delete(conversation.top + 1)) conversation.top++;
    conversation.known = Math.max(conversation.known, conversation.top);
    if (conversation.top === top && conversation.told >= top) return;
    for (const message of this.#store.range(id, Math.min(conversation.told, top), conversation.top)) {
      const seq = message.seq ?? 0;
      if (seq > top) this.#apply(message);
      const isSent = conversation.sent.delete(seq);
      if (seq > conversation.told && !isSent && this.#isToShow(message)) this.#show(message);
    }
    conversation.told = Math.max(conversation.told, conversation.top);
    if (!this.#isForScript) conversation.shown = conversation.told;
    this.#store.saveConversation(conversation);
    this.#scheduleAck(conversation);
  }

  #isToShow(message: ChatMessage): boolean {
    if (message.sender === this.#me && !this.#isModern) return false;
    return message.text !== null || !isSaid(message);
  }

  /** In the order of the log, whatever the order of arrival. */
  #apply(entry: ChatMessage): void {
    const action = actionOf(entry);
    const message = action && this.#store.find(entry.conversation, action.ref);
    const after = message && applyAction(message, entry);
    if (after !== undefined) this.#store.replace(after);
  }

  #fill(conversation: Conversation): Promise<void> {
    conversation.filling ??= this.#fillPages(conversation).finally(() => {
      conversation.filling = undefined;
      this.#peer.changed();
    });
    return conversation.filling;
  }

  async #fillPages(conversation: Conversation): Promise<void> {
    const round = this.#round;
    while (this.#hasHole(conversation)) {
      // Whatever is below a message that exists was committed before it: one full answer settles it.
      const { top: after, known: settled } = conversation;
      const page = await this.#peer.askHistory(conversation.id, after, HISTORY_PAGE);
      if (round !== this.#round) return;
      if (page === undefined) {
        this.#later(HOLE_RETRY_MS, () => this.#fill(conversation));
        return;
      }
      try {
        this.#store.transaction(() => this.#storePage(conversation, page, { after, settled }));
      } catch (error) {
        this.#peer.failed(error);
        return;
      }
    }
  }

  #storePage(
    conversation: Conversation,
    { messages, hasMore }: HistoryPage,
    { after, settled }: { after: number; settled: number },
  ): void {
    for (const message of messages) {
      if (message.seq !== null && this.#store.insert(message)) this.#unacknowledgedMessages++;
    }
    const last = messages.at(-1)?.seq ?? 0;
    // A page that is not the last settles only as far as it goes, though messages that came meanwhile may be past that.
    this.#advance(conversation, hasMore && last > after ? last : Math.max(last, settled));
  }

  /** The server need not keep for us what is stored here for good, and only that. */
  #acknowledge(frame: JsonObject): void {
    const round = this.#round;
    this.#store.afterCommit(() => round === this.#round && this.#peer.send(frame));
  }

  #show(message: ChatMessage): void {
    this.#store.afterCommit(() => this.#peer.show(message));
  }

  #scheduleAck(conversation: Conversation): void {
    this.#unacknowledged.add(conversation);
    const isUrgent = this.#unacknowledgedMessages >= ACK_MESSAGES;
    if (this.#nextFlush === "now" || (this.#nextFlush === "soon" && !isUrgent)) return;
    this.#nextFlush = isUrgent ? "now" : "soon";
    this.#later(isUrgent ? 0 : ACK_DELAY_MS, () => this.flush());
  }

  #later(delayMs: number, action: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
  }
}
