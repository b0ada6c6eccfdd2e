/**
 * What one logged-in connection still has to receive, and what it has.
 *
 * The log is the truth, a doorbell only says that it has grown. A message goes out at once when it is the next one of its
 * conversation and the connection has room; in every other case (a hole, a slow reader, a user who was away, a message
 * that was not acknowledged) the mailbox reads on in the log from where the connection stands. So each message goes out
 * once and in order, whatever is lost, doubled or late on its way here.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import type { Limiter } from "../base/limiter.ts";
import { endsMembership, KIND, kindOf } from "../protocol/entries.ts";
import type { Cursor, Positions } from "./positions.ts";
import {
  type ConversationId,
  conversationOfUsers,
  MSGID,
  parseConversation,
  type ProtocolVersion,
  spliceFields,
} from "../protocol/protocol.ts";
import type { Written } from "../net/send_queue.ts";
import {
  isVisible,
  type MemberPosition,
  type Messages,
  NO_END,
  type StoredMessage,
} from "../store/messages.ts";

/** Messages a version 2 connection may have without having acknowledged them. */
const WINDOW = 256;
/**
 * Rows read ahead, over all conversations of one mailbox, and about how much text; a page of one conversation is 1 to 64
 * of them. What is behind in more conversations than that goes out some conversations at a time: anybody may have made
 * 100 000 groups, and one row of each in memory would be the end of the process.
 */
const ROWS_AHEAD = 512;
const CHARS_AHEAD = 4_194_304;
const PAGE_MAX = 64;
/** Sends of the same range before the connection is given up. */
const MAX_SENDS = 4;
/** The kernels hold megabytes for a client that reads slowly: for each so many characters it has a second longer. */
const LEAST_READ_PER_S = 32_000;
/**
 * What was written to a version 1 connection may still be on its way, or lie in the kernel of a client that dies without
 * reading it. It counts as received when the client says something after it or goes away in good order; else only when
 * the kernel would have ended a connection whose peer does not answer (Linux, with its 15 retransmissions: after 924 s,
 * looked at every 120 s), ms. When the connection ends before, it comes again.
 */
const BROKEN_BY_THEN_MS = 1_200_000;
/**
 * What the client says may have crossed what was written, or come from one that has not read yet: it counts when the
 * connection has gone on for so long afterwards, ms.
 */
const CROSSING_MS = 1_000;
/** Writes within this time are proved together, ms; a time that lies far back is kept less exactly. */
const PROOF_GRAIN_MS = 1_000;
/** More stretches of time than this are not told apart by what is said between them. */
const STRETCHES = 32;

/** What a connection has sent itself before its turn comes in the log; the oldest is forgotten beyond that. */
const SENT_HERE_MAX = 1_000;

/** Where frames go: a connection. */
export interface Outlet {
  /** Queues a frame, whole or in parts. */
  send(frame: string | readonly string[], written?: Written): void;
  /** The peer does not keep up. */
  readonly isCongested: boolean;
  /** Bytes queued. */
  readonly queuedBytes: number;
  /** When the peer last said something, by the clock of the mailbox. */
  readonly saidAt: number;
  /** Nobody knows whether the peer still reads. */
  readonly isPeerGone: boolean;
  /** What is sent goes nowhere. */
  readonly isEnding: boolean;
}

/** What a mailbox works with. */
export interface MailboxOptions {
  /** Whose. */
  userId: number;
  /** On which device; 0, the usual one: of versions 1 and 2. */
  device?: number;
  /** 1: a written frame is delivered. From 2 on an acknowledged one is. */
  version: ProtocolVersion;
  /** The connection. */
  outlet: Outlet;
  /** The log. */
  messages: Messages;
  /** Where moves are kept. */
  positions: Positions;
  /** Bounds how many mailboxes read at once. */
  readers: Limiter;
  /** Monotonic clock, ms. */
  now: () => number;
  /** The user is in this group no longer, as an entry says that has been reached, or the database. Must not throw. */
  onEnded?: (conversation: ConversationId) => void;
  /** A read of the log failed; the mailbox goes on at the next {@link Mailbox.tick}. Must not throw. */
  onError: (error: unknown) => void;
}

/** What was written to a version 1 connection in some stretch of time and is not proved to have arrived. */
interface Unproved {
  /** When the first and when the last of it was written. */
  from: number;
  to: number;
  /** When the client had said something after all of it. */
  heardAt: number | undefined;
  /** How far, in each conversation. */
  seqs: Map<Cursor, number>;
}

/** What is heard of a conversation before it is known where the user stands in it. */
interface Heard {
  /** It has grown to this seq. */
  seq: number;
  /** The newest message of the user's own. */
  own: number;
  /** Another device of the user has come so far, and has read so far. */
  told: number;
  read: number;
}

interface Pending {
  cursor: Cursor;
  row: StoredMessage;
}

/** Rows read ahead; worth something only while the cursor stands at `after`. */
interface Page {
  after: number;
  rows: StoredMessage[];
  /** Of all rows as read. */
  chars: number;
}

/** One connection's mailbox, from login to logout. */
export class Mailbox {
  readonly #options: MailboxOptions;
  /** What the user writes to itself is sent like anybody else's. */
  readonly #notes: ConversationId;
  readonly #cursors = new Map<ConversationId, Cursor>();
  /** Cursors with more in the log than was sent. */
  readonly #behind = new Set<Cursor>();
  /** Rows read ahead of the cursors in #behind. */
  readonly #ahead = new Map<Cursor, Page>();
  /** Counts doorbells: one may ring while the log is read, for a message the read does not see yet. */
  #rings = 0;
  /** Undefined from when it is known where the user stands. */
  #heardBefore: Map<ConversationId, Heard> | undefined = new Map();
  /** Of those who wait for that. */
  #placing: PromiseWithResolvers<void> | undefined;
  #isOpen = false;
  /** Came before the login reply. */
  readonly #earlyEvents: string[] = [];
  #isClosed = false;
  #isPulling = false;
  /** Sum over all cursors of sent - delivered; version 2 only. */
  #unacknowledged = 0;
  /** About how much text that is. */
  #unacknowledgedChars = 0;
  #acknowledgedAt = 0;
  #sends = 1;
  /** Version 3: `CONVERSATION SEQ` of what this connection has sent that may still come up in the log. */
  readonly #sentHere = new Set<string>();
  /** Version 3: `CONVERSATION TEXT` of what it is sending; each text has a cid of its own in it. */
  readonly #sending = new Set<string>();
  /** Version 3: where other devices have read on, of which the client is still to be told. */
  readonly #readElsewhere = new Set<Cursor>();
  /** Version 1, oldest first. */
  readonly #unproved: Unproved[] = [];

  /** Hears doorbells from now on; without `positions` they are kept until {@link place}. */
  constructor(options: MailboxOptions, positions?: readonly MemberPosition[]) {
    this.#options = options;
    this.#notes = conversationOfUsers(options.userId, options.userId);
    if (positions) this.place(positions);
  }

  /** Takes up where the database says the user stands. What rang while it was asked may be newer than its answer. */
  place(positions: readonly MemberPosition[]): void {
    const heardBefore = this.#heardBefore ?? [];
    this.#heardBefore = undefined;
    this.#placing?.resolve();
    // Of a conversation that was joined meanwhile there is a cursor, and must not be another.
    for (const position of positions) {
      if (!this.#cursors.has(position.conversation)) this.#addCursor(position);
    }
    for (const [conversation, heard] of heardBefore) this.#takeUp(conversation, heard);
  }

  #takeUp(conversation: ConversationId, { seq, own, told, read }: Heard): void {
    if (seq > 0) this.notice(conversation, seq);
    this.noteOwn(conversation, own);
    this.follow(conversation, told, read);
    const cursor = this.#cursors.get(conversation);
    // The database may have said so as well, behind a login reply that says less.
    if (cursor && read > 0 && this.#options.version === 3) this.#readElsewhere.add(cursor);
  }

  /** What is heard of a conversation is kept here while it is not known where the user stands. */
  #hear(conversation: ConversationId): Heard | undefined {
    if (!this.#heardBefore) return undefined;
    const heard = this.#heardBefore.get(conversation) ?? { seq: 0, own: 0, told: 0, read: 0 };
    this.#heardBefore.set(conversation, heard);
    return heard;
  }

  /** Resolves when it is known where the user stands, or nobody asks any more. */
  placed(): Promise<void> {
    if (!this.#heardBefore || this.#isClosed) return Promise.resolve();
    this.#placing ??= Promise.withResolvers();
    return this.#placing.promise;
  }

  /** Whose it is: 0, of versions 1 and 2, or a device. */
  get device(): number {
    return this.#options.device ?? 0;
  }

  /** Where the user stands in each conversation. */
  get cursors(): IterableIterator<Cursor> {
    return this.#cursors.values();
  }

  /** The user's place in a conversation it is in. */
  cursor(conversation: ConversationId): Cursor | undefined {
    return this.#cursors.get(conversation);
  }

  /** Messages sent and not acknowledged. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** When a version 2 client last acknowledged something, or began to have something to acknowledge. */
  get acknowledgedAt(): number {
    return this.#acknowledgedAt;
  }

  #addCursor(
    { conversation, since, until, delivered, read, last_seq, told = 0 }: MemberPosition,
  ): Cursor {
    const start = Math.max(since, delivered);
    const { userId, device = 0 } = this.#options;
    const cursor: Cursor = {
      userId,
      device,
      conversation,
      since,
      until,
      isUnproved: false,
      sent: start,
      lastFrame: start,
      delivered: start,
      read: Math.max(since, read),
      told: Math.max(start, told),
      toldRead: Math.max(since, read),
      newest: last_seq,
      lastHidden: 0,
      own: 0,
    };
    this.#cursors.set(conversation, cursor);
    if (cursor.newest > cursor.sent) this.#behind.add(cursor);
    if (until < NO_END) this.#options.onEnded?.(conversation);
    return cursor;
  }

  /**
   * The user is in a conversation, entitled to what follows `since`, and has what there is up to `delivered`. Where it was
   * before, and came again, it begins anew.
   */
  join(conversation: ConversationId, since: number, delivered: number = since, read: number = since): void {
    let cursor = this.#cursors.get(conversation);
    if (cursor && cursor.since < since) {
      this.#drop(cursor);
      cursor = undefined;
    }
    if (!cursor) {
      cursor = this.#addCursor({ conversation, since, until: NO_END, delivered, read, last_seq: delivered });
      // Whoever has joined on this device has the entry that says so; the user's other devices have not.
      if (this.device > 0 && delivered > since) this.#setDelivered(cursor, delivered);
    }
    // The user may have been removed again before it was told here that it is in.
    if (cursor.until < NO_END) this.#options.onEnded?.(conversation);
    // A message may have been stored, and its doorbell missed, since the joining was.
    this.#notice(cursor, cursor.sent + 1);
  }

  /** The user, who was entitled to what follows `since`, is to nothing behind `until`; up to that all of it is sent. */
  leave(conversation: ConversationId, since: number, until: number): void {
    const cursor = this.#cursors.get(conversation);
    if (!cursor || cursor.since !== since) return;
    // Once more where it is known: the session may have been put into the group since, by what was read before.
    if (cursor.until <= until) return this.#options.onEnded?.(conversation);
    this.#end(cursor, until);
    this.#notice(cursor, until);
  }

  #end(cursor: Cursor, until: number): void {
    cursor.until = until;
    cursor.newest = Math.min(cursor.newest, until);
    // What was read ahead may go beyond that.
    this.#ahead.delete(cursor);
    this.#options.onEnded?.(cursor.conversation);
  }

  #drop(cursor: Cursor): void {
    this.#unacknowledged = Math.max(0, this.#unacknowledged - (cursor.sent - cursor.delivered));
    this.#cursors.delete(cursor.conversation);
    this.#behind.delete(cursor);
    this.#ahead.delete(cursor);
    this.#readElsewhere.delete(cursor);
  }

  /**
   * An entry of `sender` is in the log; `frame` is it as it goes out, if at hand. In versions 1 and 2 the user's own messages
   * move the cursor and are not sent, except one to oneself, and neither is what is no chat; from version 3 on those of the
   * user's own that this connection has sent (`isSentHere`).
   */
  offer(
    conversation: ConversationId,
    seq: number,
    sender: number,
    frame: string | undefined,
    isSentHere = false,
  ): void {
    const heard = this.#hear(conversation);
    if (heard) {
      heard.seq = Math.max(heard.seq, seq);
      return;
    }
    let cursor = this.#cursors.get(conversation);
    if (cursor === undefined) {
      // A one-to-one conversation begins with its first message, for two and nobody else; a group's begins with join().
      if (!isOneOfTwo(conversation, this.#options.userId)) return;
      const start = { since: 0, delivered: 0, read: 0, last_seq: 0 };
      cursor = this.#addCursor({ conversation, ...start, until: NO_END });
    }
    if (seq <= cursor.sent || seq > cursor.until) return;
    const isVersion3 = this.#options.version === 3;
    const isOwn = isVersion3 ? isSentHere : this.#isOwn(conversation, sender);
    const isChat = frame === undefined || kindOf(frame) === KIND.chat;
    if (sender === this.#options.userId && isChat) cursor.own = Math.max(cursor.own, seq);
    const isPassed = isOwn || (!isChat && !isVersion3);
    const isNext = seq === cursor.sent + 1 && cursor.newest === cursor.sent && !cursor.isUnproved;
    if (!isNext || !this.#isOpen || (!isPassed && (frame === undefined || !this.#hasRoom()))) {
      if (isSentHere) this.#noteSentHere(conversation, seq);
      this.#notice(cursor, seq);
      return;
    }
    cursor.newest = seq;
    // It may come up again when what is before it is sent again.
    if (isSentHere && cursor.delivered < cursor.sent) this.#noteSentHere(conversation, seq);
    if (isPassed || frame === undefined) this.#pass(cursor, seq);
    else this.#push(cursor, seq, frame);
    if (!isChat) this.#look(cursor, seq, frame);
  }

  /** An entry that has just gone out, or been passed over, may be the last one for this user. */
  #look(cursor: Cursor, seq: number, text: string): void {
    // Of a user who has come again the former membership is over in any case.
    if (this.#cursors.get(cursor.conversation) !== cursor) return;
    if (seq < cursor.until && endsMembership(text, this.#options.userId)) this.#end(cursor, seq);
  }

  /** The user has written this message: receipts for it are of interest. */
  noteOwn(conversation: ConversationId, seq: number): void {
    const place = this.#hear(conversation) ?? this.#cursors.get(conversation);
    if (place) place.own = Math.max(place.own, seq);
  }

  /** The conversation holds messages up to `seq`. */
  notice(conversation: ConversationId, seq: number): void {
    this.offer(conversation, seq, 0, undefined);
  }

  #notice(cursor: Cursor, seq: number): void {
    this.#rings++;
    cursor.newest = Math.max(cursor.newest, Math.min(seq, cursor.until));
    this.#behind.add(cursor);
    this.#pull();
  }

  /**
   * Sends a message of `sender` that is in no log (`--persist offline`), if it can go out at once and overtakes nothing;
   * false: it has to be stored.
   */
  sendUnlogged(sender: number, frame: string, written: Written): boolean {
    if (!this.#isOpen || this.#isBehind(sender) || !this.#hasRoom()) return false;
    this.#options.outlet.send(frame, written);
    return true;
  }

  /** True while a stored message of this user has still to be sent. */
  #isBehind(sender: number): boolean {
    // Mostly nobody's has, and then no conversation need be looked up.
    if (this.#behind.size === 0) return false;
    const cursor = this.#cursors.get(conversationOfUsers(sender, this.#options.userId));
    return cursor !== undefined && cursor.newest > cursor.sent;
  }

  /** Sends a frame that is no message; behind the login reply at the earliest. */
  sendEvent(frame: string): void {
    if (this.#isOpen) this.#options.outlet.send(frame);
    else if (!this.#isClosed) this.#earlyEvents.push(frame);
  }

  /** A message of the user's own, which versions 1 and 2 are not sent. */
  #isOwn(conversation: ConversationId, sender: number): boolean {
    return sender === this.#options.userId && conversation !== this.#notes;
  }

  /** This connection has sent the entry at this place, and gets none but its reply. */
  noteSent(conversation: ConversationId, seq: number): void {
    if (seq > (this.#cursors.get(conversation)?.sent ?? seq)) this.#noteSentHere(conversation, seq);
  }

  /** Forgotten, it is sent like any other, and the client drops what it has. */
  #noteSentHere(conversation: ConversationId, seq: number): void {
    if (this.#options.version < 3) return;
    if (this.#sentHere.size >= SENT_HERE_MAX) forgetOldest(this.#sentHere);
    this.#sentHere.add(`${conversation} ${seq}`);
  }

  /**
   * This connection sends a text, until {@link endSending}: whoever reads the log may come upon it before anybody says that it
   * is stored.
   */
  beginSending(conversation: ConversationId, text: string): void {
    if (this.#options.version === 3) this.#sending.add(`${conversation} ${text}`);
  }

  /** It is stored, and has been offered, or it is not. */
  endSending(conversation: ConversationId, text: string): void {
    if (this.#options.version === 3) this.#sending.delete(`${conversation} ${text}`);
  }

  /**
   * Another device of the user has come so far, as others are told. What it has read counts for this one too; from version 3
   * on the client is told of that.
   */
  follow(conversation: ConversationId, delivered: number, read: number): void {
    const heard = this.#hear(conversation);
    if (heard) {
      heard.told = Math.max(heard.told, delivered);
      heard.read = Math.max(heard.read, read);
    }
    const cursor = this.#cursors.get(conversation);
    if (!cursor) return;
    cursor.told = Math.max(cursor.told, delivered);
    cursor.toldRead = Math.max(cursor.toldRead, read);
    if (read <= cursor.read) return;
    cursor.read = read;
    if (this.#options.version < 3) return;
    this.#readElsewhere.add(cursor);
    this.#tellReads();
  }

  /** What is told late is told as it is then, once for all that has happened. */
  #tellReads(): void {
    const { userId, outlet } = this.#options;
    if (this.#readElsewhere.size === 0 || !this.#isOpen) return;
    for (const cursor of this.#readElsewhere) {
      if (outlet.isCongested) return;
      this.#readElsewhere.delete(cursor);
      const { conversation, told: delivered, read } = cursor;
      outlet.send(JSON.stringify({ msgid: MSGID.RECEIPT_MSG, conversation, id: userId, delivered, read }));
    }
  }

  #hasRoom(): boolean {
    return !this.#options.outlet.isCongested && this.#unacknowledged < WINDOW;
  }

  #push(cursor: Cursor, seq: number, frame: string): void {
    const { outlet, version } = this.#options;
    if (version >= 2) {
      this.#addUnacknowledged(seq - cursor.sent);
      this.#unacknowledgedChars += frame.length;
      outlet.send(frame);
    } else {
      outlet.send(frame, { written: () => this.#written(cursor, seq) });
    }
    cursor.sent = cursor.lastFrame = seq;
  }

  /** Moves on over an entry that is not for this connection to see: its own, a recalled or hidden one, or one of a later version. */
  #pass(cursor: Cursor, seq: number): void {
    // One's own is read, too, when everything before it is: nobody should count it as unread.
    if (cursor.read >= Math.max(cursor.lastFrame, cursor.lastHidden)) {
      cursor.read = Math.max(cursor.read, seq);
    }
    if (cursor.delivered === cursor.sent) this.#setDelivered(cursor, seq);
    else if (this.#options.version >= 2) this.#addUnacknowledged(seq - cursor.sent);
    cursor.sent = seq;
  }

  #addUnacknowledged(count: number): void {
    if (this.#unacknowledged === 0) this.#acknowledgedAt = this.#options.now();
    this.#unacknowledged += count;
  }

  #written(cursor: Cursor, seq: number): void {
    // Written to a peer that has closed its side: nobody knows whether it was read, so it comes again.
    const { outlet } = this.#options;
    if (outlet.isPeerGone || seq <= cursor.delivered) return;
    const now = this.#options.now();
    const unproved = this.#unproved;
    const last = unproved.at(-1);
    if (last !== undefined && outlet.saidAt > last.to) last.heardAt ??= outlet.saidAt;
    const isJoined = last !== undefined &&
      (last.heardAt === undefined ? now - last.from < PROOF_GRAIN_MS : unproved.length >= STRETCHES);
    if (isJoined) {
      last.to = now;
      last.heardAt = undefined;
      last.seqs.set(cursor, seq);
    } else {
      this.settleHeard();
      this.#joinOld(now);
      unproved.push({ from: now, to: now, heardAt: undefined, seqs: new Map([[cursor, seq]]) });
    }
  }

  /** Joins neighbours whose time together is shorter than they are old: a client that is silent for hours costs a dozen. */
  #joinOld(now: number): void {
    const unproved = this.#unproved;
    for (let i = unproved.length - 2; i >= 0; i--) {
      const [older, newer] = [unproved[i], unproved[i + 1]];
      if (!older || !newer || newer.to - older.from > now - newer.to) continue;
      // What was said between them proves the older one in a moment.
      if (older.heardAt !== newer.heardAt) continue;
      for (const [cursor, seq] of newer.seqs) older.seqs.set(cursor, seq);
      older.to = newer.to;
      older.heardAt = newer.heardAt;
      unproved.splice(i + 1, 1);
    }
  }

  /** Something was written to a version 1 client that it may never have read. */
  get isInDoubt(): boolean {
    return this.#unproved.length > 0;
  }

  /** When the last of that was written. */
  get doubtfulSince(): number {
    return this.#unproved.at(-1)?.to ?? 0;
  }

  /** The client has what was written to it: it has left in good order. */
  settle(): void {
    this.#believeWhile(() => true);
  }

  /**
   * The client has what was written to it before it last said something, unless that was just now and nobody knows
   * (`isEnd`) that it has then ended its side without a reset, which is what unread bytes would have brought.
   */
  settleHeard({ isEnd = false } = {}): void {
    const { now, outlet: { saidAt } } = this.#options;
    for (const stretch of this.#unproved) {
      if (stretch.to >= saidAt) break;
      stretch.heardAt ??= saidAt;
    }
    const before = now() - (isEnd ? 0 : CROSSING_MS);
    this.#believeWhile(({ heardAt = Infinity }) => heardAt <= before);
  }

  #believeWhile(isProved: (stretch: Unproved) => boolean): void {
    let oldest = this.#unproved[0];
    for (; oldest !== undefined && isProved(oldest); oldest = this.#unproved[0]) {
      this.#unproved.shift();
      // A connection that has become version 2 meanwhile may have acknowledged more.
      for (const [cursor, seq] of oldest.seqs) {
        if (seq > cursor.delivered) this.#setDelivered(cursor, withPassed(cursor, seq));
      }
    }
  }

  #settleInTime(): void {
    if (!this.isInDoubt) return;
    const { now, outlet } = this.#options;
    this.settleHeard();
    // While something waits to be written, time proves nothing: the peer may have stopped reading long ago.
    if (outlet.queuedBytes > 0) return;
    const before = now() - BROKEN_BY_THEN_MS;
    this.#believeWhile(({ to }) => to < before);
  }

  #setDelivered(cursor: Cursor, seq: number): void {
    cursor.delivered = seq;
    if (!this.#isClosed) this.#options.positions.touch(cursor);
  }

  /** The client has everything up to `seq`, which is known to exist. Positions only move forward. */
  acknowledge(conversation: ConversationId, seq: number): void {
    const cursor = this.#cursors.get(conversation);
    if (cursor === undefined || seq <= cursor.delivered) return;
    const upTo = withPassed(cursor, seq);
    const covered = Math.min(upTo, cursor.sent) - cursor.delivered;
    const left = Math.max(0, this.#unacknowledged - covered);
    this.#unacknowledgedChars *= left / Math.max(1, this.#unacknowledged);
    this.#unacknowledged = left;
    // More than was sent: the client has it from history.
    if (upTo > cursor.sent) {
      cursor.sent = cursor.lastFrame = upTo;
      cursor.isUnproved = conversation.startsWith("g");
    }
    cursor.newest = Math.max(cursor.newest, upTo);
    this.#setDelivered(cursor, upTo);
    this.#acknowledgedAt = this.#options.now();
    this.#sends = 1;
    this.#pull();
  }

  /** The client has read everything up to `seq`, and so has it. */
  markRead(conversation: ConversationId, seq: number): void {
    this.acknowledge(conversation, seq);
    const cursor = this.#cursors.get(conversation);
    if (cursor === undefined || seq <= cursor.read) return;
    cursor.read = seq >= cursor.lastHidden ? withPassed(cursor, seq) : seq;
    if (!this.#isClosed) this.#options.positions.touch(cursor);
  }

  /**
   * Takes what the user missed, oldest first, up to about `maxChars` of it: for the version 1 login reply. `written` is to
   * be told when that reply is out.
   */
  async takeOffline(maxChars: number): Promise<{ frames: string[]; written: Written }> {
    const frames: string[] = [];
    const taken = new Map<Cursor, number>();
    // Mostly there is nothing, and nobody to wait for.
    if (this.#behind.size > 0) {
      await this.#options.readers.run(() => this.#takePending(maxChars, frames, taken));
    }
    const written = { written: () => taken.forEach((seq, cursor) => this.#written(cursor, seq)) };
    return { frames, written };
  }

  async #takePending(maxChars: number, frames: string[], taken: Map<Cursor, number>): Promise<void> {
    for (let chars = 0; chars < maxChars;) {
      const next = await this.#nextPending();
      if (next === undefined) break;
      const frame = this.#frameOf(next);
      if (frame !== undefined) {
        frames.push(frame);
        chars += frame.length;
        next.cursor.sent = next.cursor.lastFrame = next.row.seq;
        taken.set(next.cursor, next.row.seq);
      } else this.#passRow(next);
    }
    this.#ahead.clear();
  }

  /** From now on messages go out as they come; what is missing is fetched. */
  open(): void {
    // The user may have been sent away while the login reply was made.
    if (this.#isClosed) return;
    this.#isOpen = true;
    for (const frame of this.#earlyEvents.splice(0)) this.#options.outlet.send(frame);
    this.#tellReads();
    this.#pull();
  }

  /** Nothing goes out any more and no position moves. */
  close(): void {
    this.#isClosed = true;
    this.#isOpen = false;
    this.#placing?.resolve();
    this.#ahead.clear();
  }

  /** The connection has room again. */
  onDrain(): void {
    this.#tellReads();
    this.#pull();
  }

  /**
   * Called about once a second. Sends again what has not been acknowledged for `ackTimeoutMs`, if the peer has taken all
   * we wrote; false when it has been sent often enough: the client is not working.
   */
  tick(ackTimeoutMs: number): boolean {
    this.#tellReads();
    this.#pull();
    this.#settleInTime();
    const { now, outlet } = this.#options;
    if (this.#unacknowledged === 0 || outlet.queuedBytes > 0) return true;
    const patienceMs = ackTimeoutMs + 1_000 * Math.floor(this.#unacknowledgedChars / LEAST_READ_PER_S);
    if (now() - this.#acknowledgedAt < patienceMs) return true;
    if (this.#sends >= MAX_SENDS) return false;
    this.#sends++;
    this.#acknowledgedAt = now();
    this.#unacknowledged = this.#unacknowledgedChars = 0;
    this.#ahead.clear();
    for (const cursor of this.#cursors.values()) {
      if (cursor.sent === cursor.delivered) continue;
      cursor.newest = Math.max(cursor.newest, cursor.sent);
      cursor.sent = cursor.lastFrame = cursor.delivered;
      this.#behind.add(cursor);
    }
    this.#pull();
    return true;
  }

  /** Reads on in the log while something is missing and the connection has room. */
  #pull(): void {
    if (this.#isPulling || !this.#isOpen || this.#behind.size === 0 || !this.#hasRoom()) return;
    this.#isPulling = true;
    this.#options.readers.run(() => this.#sendPending()).then(
      () => this.#endPull(),
      (error) => {
        this.#endPull({ isFailed: true });
        this.#options.onError(error);
      },
    );
  }

  #endPull({ isFailed = false } = {}): void {
    this.#isPulling = false;
    // Rows in memory for a connection that has no room would cost memory for nothing.
    this.#ahead.clear();
    // A doorbell may have rung since the last look at the log. After a failure the next tick tries again.
    if (!isFailed) this.#pull();
  }

  async #sendPending(): Promise<void> {
    while (this.#isOpen && this.#hasRoom()) {
      const next = await this.#nextPending();
      if (next === undefined || !this.#isOpen) return;
      const frame = this.#frameOf(next);
      if (frame === undefined) this.#passRow(next);
      else {
        this.#push(next.cursor, next.row.seq, frame);
        this.#look(next.cursor, next.row.seq, frame);
      }
    }
  }

  #passRow({ cursor, row }: Pending): void {
    if (!isVisible(row, this.#options.userId)) cursor.lastHidden = row.seq;
    this.#pass(cursor, row.seq);
    if (row.message !== null) this.#look(cursor, row.seq, row.message);
  }

  #frameOf(pending: Pending): string | undefined {
    const { cursor: { conversation }, row } = pending;
    const { seq, at, message } = row;
    if (!isVisible(row, this.#options.userId)) return undefined;
    if (message === null || this.#isForOthers(pending, message)) return undefined;
    return spliceFields(message, conversation, seq, at);
  }

  /** See {@link offer}. */
  #isForOthers({ cursor: { conversation }, row: { seq, sender } }: Pending, message: string): boolean {
    if (this.#options.version < 3) return this.#isOwn(conversation, sender) || kindOf(message) !== KIND.chat;
    return sender === this.#options.userId && this.#isSentHere(conversation, seq, message);
  }

  #isSentHere(conversation: ConversationId, seq: number, message: string): boolean {
    if (this.#sentHere.has(`${conversation} ${seq}`)) return true;
    if (!this.#sending.has(`${conversation} ${message}`)) return false;
    this.#noteSentHere(conversation, seq);
    return true;
  }

  /** The oldest message that has not been sent, of all conversations, and each conversation's in order of seq. */
  async #nextPending(): Promise<Pending | undefined> {
    while (this.#behind.size > 0 && !this.#isClosed) {
      await this.#readAhead();
      const next = this.#takeOldest();
      if (next !== undefined) return next;
    }
    return undefined;
  }

  #takeOldest(): Pending | undefined {
    let oldest: { cursor: Cursor; page: Page; row: StoredMessage } | undefined;
    for (const [cursor, page] of this.#ahead) {
      const row = page.rows[0];
      // An acknowledgement, or sending again, may have moved the cursor while other pages were read.
      if (row === undefined || page.after !== cursor.sent) continue;
      if (oldest === undefined || row.at < oldest.row.at) oldest = { cursor, page, row };
    }
    if (oldest === undefined) return undefined;
    const { cursor, page, row } = oldest;
    page.rows.shift();
    page.after = row.seq;
    return { cursor, row };
  }

  /**
   * Sees to it that cursors that are behind have rows ahead, as many as there is room for, and are called behind no longer
   * when there are none.
   */
  async #readAhead(): Promise<void> {
    const pageSize = Math.max(1, Math.min(PAGE_MAX, Math.floor(ROWS_AHEAD / this.#behind.size)));
    let count = 0;
    let chars = 0;
    for (const cursor of this.#behind) {
      if (count >= ROWS_AHEAD || chars >= CHARS_AHEAD) return;
      let page = this.#ahead.get(cursor);
      if (page?.after !== cursor.sent || page.rows.length === 0) {
        page = await this.#readPage(cursor, pageSize);
      }
      if (page === undefined) continue;
      count++;
      chars += page.chars;
    }
  }

  async #readPage(cursor: Cursor, pageSize: number): Promise<Page | undefined> {
    this.#ahead.delete(cursor);
    const { sent } = cursor;
    if (sent >= cursor.newest) {
      this.#behind.delete(cursor);
      return undefined;
    }
    const rings = this.#rings;
    const { messages, userId } = this.#options;
    const rows = (await messages.after(cursor.conversation, sent, pageSize, userId))
      .filter(({ seq }) => seq <= cursor.until);
    // The user has come again meanwhile, and has another cursor.
    if (this.#cursors.get(cursor.conversation) !== cursor) return undefined;
    if (rows.length === 0) {
      // Nothing there: the doorbell promised a message that does not exist (a join looks one ahead).
      if (this.#rings === rings && cursor.sent === sent) cursor.newest = sent;
      return undefined;
    }
    cursor.isUnproved = false;
    // There may be more than what was rung for, and the client may say of all of it that it has it.
    cursor.newest = Math.max(cursor.newest, rows.at(-1)?.seq ?? 0);
    const chars = rows.reduce((sum, { message }) => sum + (message?.length ?? 0), 0);
    const page = { after: sent, rows, chars };
    this.#ahead.set(cursor, page);
    return page;
  }
}

function isOneOfTwo(conversation: ConversationId, userId: number): boolean {
  const place = parseConversation(conversation);
  return place !== undefined && "users" in place && place.users.includes(userId);
}

/** Who has everything up to `seq` has what was passed over right behind it, too. */
function withPassed({ lastFrame, sent }: Cursor, seq: number): number {
  return seq >= lastFrame && seq < sent ? sent : seq;
}
