/**
 * The log: every entry of a conversation is one row (conversation, seq). Messages are written by group commit; whatever
 * has to be decided by how the conversation stands at that moment, a change, has a transaction of its own.
 *
 * Messages that arrive while a commit is running form the next batch; a batch is one transaction. The row lock on the
 * conversation makes the order of commits the order of seqs across nodes, so nobody reads seq n+1 before n, and a rollback
 * leaves no hole. Where the database is a round trip away, a batch goes to it in one, with the places behind the ends that this
 * node knows; if one of them is taken, or anything else has changed that decides about the batch, nothing of it is stored, and
 * the next attempt reads first.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import type { Ends } from "../store/ends.ts";
import { DatabaseError, errorText, isTemporary } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Histogram } from "../base/histogram.ts";
import { Limiter } from "../base/limiter.ts";
import type { KIND } from "../protocol/entries.ts";
import { type Head, Heads } from "./heads.ts";
import type { Mailbox } from "./mailbox.ts";
import {
  type ConversationId,
  conversationOfGroup,
  conversationOfUsers,
  isBlocked,
} from "../protocol/protocol.ts";
import { endOfTurn, turnTime } from "../base/turn.ts";
import { type Claim, claimPlaces } from "../store/claims.ts";
import type { Database, SqlConnection, SqlValue } from "../store/database.ts";

/** One transaction holds at most this many messages … */
const BATCH_MESSAGES = 500;
/** … and about this much text: servers refuse packets over a limit that is 1 MiB on some. */
const BATCH_CHARS = 262_144;
/** How long a message that can be refused waits for a database that is away, ms. */
const GIVE_UP_MS = 5_000;
/** More text than this does not wait for a database that is away. */
const QUEUE_CHARS = 67_108_864;
/** How far a message's time may be ahead of the clock, ms. */
const TIME_AHEAD_MS = 1_000;
/** So long an attempt that came to nothing speaks against the node, ms: with nobody to write, there is no better one. */
const FAILURE_COUNTS_MS = 10_000;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1_000;
/**
 * Where the database would give out places that are taken, it is asked again so often: on a Galera cluster the server may
 * lag behind the one that another node has stored a message on. After that it is looked into.
 */
const LAGGING_ATTEMPTS = 4;
const LAGGING_PAUSE_MS = 10;
const BEHIND_ATTEMPTS = 6;
/** Changes that are made at once, and how many more may wait. */
const CHANGES_AT_ONCE = 4;
const CHANGES_WAITING = 1_000;

/** A message to be stored. */
export interface Draft {
  /** Where it goes. */
  conversation: ConversationId;
  /** The two users of a one-to-one conversation; undefined for a group. */
  users?: readonly [number, number];
  /** User id. */
  sender: number;
  /** The client's own id for it: stored at most once. Without one the sender cannot be told of a failure. */
  cid?: string;
  /** The sender's JSON object. */
  text: string;
  /** User ids of those whom it names; 0: everybody. */
  mentions?: readonly number[];
  /** Of the connection that sends it. */
  origin?: Mailbox;
}

/** A message in the log. */
export interface Stored {
  /** Where it is. */
  conversation: ConversationId;
  /** As in its draft; undefined also for a repeat. */
  users?: readonly [number, number] | undefined;
  /** Its place there. */
  seq: number;
  /** When it was stored, ms since the epoch. */
  at: number;
  /** User id. */
  sender: number;
  /** The sender's JSON object; null when recalled meanwhile. */
  text: string | null;
  /**
   * How many members the conversation had in the very transaction that stored the message; 0 for a repeat, and where somebody
   * has ever left: as many as are here may be others then.
   */
  members: number;
  /** True when this cid had been stored before. */
  isRepeat: boolean;
  /** As in its draft. */
  origin?: Mailbox | undefined;
  /** Only for its sender to see: the other one of two blocked the sender at that moment. */
  isHidden?: boolean;
}

/** The place that a change's entry would have. */
export interface Place {
  /** In the conversation. */
  seq: number;
  /** ms since the epoch. */
  at: number;
  /** How many members the conversation has. */
  members: number;
  /** Only the sender will see it. */
  isHidden: boolean;
}

/** An entry that a change writes. */
export interface ChangeEntry {
  /** What it is. */
  kind: typeof KIND.action | typeof KIND.system;
  /** A JSON object. */
  text: string;
  /** How many members the conversation has from then on; by default as many as before. */
  members?: number;
}

/** Something that is done to a conversation as it stands at that moment, and of which an entry tells. */
export interface Change {
  /** Which one. */
  conversation: ConversationId;
  /** User id of who does it. */
  sender: number;
  /** The client's own id for it: done at most once. */
  cid?: string;
  /** Of the connection that asks for it. */
  origin?: Mailbox;
  /**
   * Checks what has to hold, makes its own writes, and returns the entry, or undefined where there is nothing to tell of.
   * Called inside the transaction while nobody else can write to the conversation, and again when that is rolled back.
   * `place` is undefined where there is no such conversation. What it throws is what the change rejects with.
   */
  decide: (tx: SqlConnection, place: Place | undefined) => Promise<ChangeEntry | undefined>;
}

/** Options of {@link MessageLog}. */
export interface MessageLogOptions {
  /** Where rows go. */
  db: Database;
  /** For outages. */
  logger: Logger;
  /** Told of every message that is durable, in the order of seqs per conversation. Must not throw. */
  onStored: (stored: Stored) => void;
  /** What is known to be in the log. */
  ends: Ends;
  /** The database knows of less here: resolves when it can be asked again. Rejects with a DatabaseError. */
  onBehind: (conversations: readonly ConversationId[]) => Promise<void>;
  /** How long a message has waited, which the date does not tell: it may be set back by an hour. */
  clock?: Pick<Clock, "now">;
}

/** Told what becomes of a message: one of the two is called, once. Neither may throw. */
export interface Outcome {
  /** It is durable, and has been handed on for delivery. */
  stored(stored: Stored): void;
  /** A DatabaseError, as a rule: it is not stored as far as anybody knows. */
  failed(error: unknown): void;
}

interface Entry {
  draft: Draft;
  /** When it may be refused, by the clock. */
  deadline: number;
  /** When it came, as of performance.now(). */
  cameAt: number;
  /** Answered: it must not be tried again with the rest of its batch. */
  isSettled: boolean;
  outcome: Outcome;
  /** Of the same message, sent again while the first one waits. */
  repeats: Outcome[] | undefined;
}

/** A conversation, its blocking and the last entry by which somebody has left it. */
type PlaceRow = {
  id: string;
  last_seq: number;
  at: number;
  members: number;
  blocked: number;
  parted: number;
};

/** A conversation's part of a batch. */
interface Share {
  id: ConversationId;
  count: number;
  /** Time of the last message. */
  at: number;
  /** Those who have to be members; undefined for two users. */
  senders: Set<number> | undefined;
  /** The seq of its next message, and how it stands, once that is known. */
  next: number;
  head: Head;
  /** Others have stored something of which this node has not heard. */
  isContested: boolean;
}

/** A batch as it goes to the database. */
interface Attempt {
  shares: Share[];
  placed: Placed[];
  /** What was claimed; undefined: it was asked. */
  claims: Claim[] | undefined;
}

const UNKNOWN: Head = { at: 0, members: 0, blocked: 0, parted: 0 };
const NOBODY: ReadonlySet<number> = new Set();

interface Placed {
  entry: Entry;
  share: Share;
  seq: number;
  at: number;
  members: number;
  isHidden: boolean;
}

/** Whoever wrote to a group was no member of it at the moment at which that would have been stored. */
export class NotMemberError extends Error {
  /** `groupId`: which group. */
  constructor(groupId: number) {
    super(`You are not a member of group ${groupId}`);
  }
}

/** Some of a batch are of no members; nothing is stored. */
class StrangersError extends Error {
  constructor(readonly entries: readonly Entry[]) {
    super("Not all are members");
  }
}

/** The database would give out places that this node knows to be taken. */
class BehindError extends Error {
  constructor(readonly conversations: readonly ConversationId[]) {
    super("The database is behind");
  }
}

/** Stores messages. One per node. */
export class MessageLog {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #onStored: (stored: Stored) => void;
  readonly #ends: Ends;
  readonly #heads = new Heads();
  /** What {@link Ends.timesForgotten} was when those were known. */
  #timesForgotten = 0;
  readonly #onBehind: MessageLogOptions["onBehind"];
  readonly #clock: Pick<Clock, "now">;
  #queue: Entry[] = [];
  #queuedChars = 0;
  /** Of the senders of the last milliseconds. */
  readonly #lastAt = new Map<number, number>();
  readonly #byCid = new Map<string, Entry>();
  /** How many messages of a conversation wait for their commit. */
  readonly #waiting = new Map<ConversationId, number>();
  #running: Promise<void> | undefined;
  #retryMs = 0;
  /** The last attempt, if it came to nothing. */
  #failure: { at: number; reason: string } | undefined;
  #wake: (() => void) | undefined;
  #isClosing = false;
  readonly #changes = new Limiter(CHANGES_AT_ONCE);
  readonly #changing = new Set<Promise<unknown>>();
  /** Batches, messages and changes committed so far. */
  readonly counters = { batches: 0, messages: 0, repeats: 0, retries: 0, changes: 0 };
  /** How long the transactions of batches took, and messages from when they came to when they were durable. */
  readonly times = { commits: new Histogram(), messages: new Histogram() };

  /** See {@link MessageLogOptions}. */
  constructor({ db, logger, onStored, ends, onBehind, clock = systemClock }: MessageLogOptions) {
    this.#db = db;
    this.#logger = logger;
    this.#onStored = onStored;
    this.#ends = ends;
    this.#onBehind = onBehind;
    this.#clock = clock;
  }

  /**
   * Stores a message and resolves when it is durable; a repeated cid resolves with the row it has. Rejects with a
   * DatabaseError when the database stays away (with a cid: after 5 s; without: never, it is kept and tried again).
   */
  append(draft: Draft): Promise<Stored> {
    return new Promise((stored, failed) => this.add(draft, { stored, failed }));
  }

  /** As {@link append}, without the promise: for what comes by the ten thousand a second. */
  add(draft: Draft, outcome: Outcome): void {
    if (this.#queuedChars > QUEUE_CHARS) {
      outcome.failed(new DatabaseError("unavailable", "Cannot store the message: too many are waiting"));
      return;
    }
    const key = keyOf(draft);
    const running = key === undefined ? undefined : this.#byCid.get(key);
    if (running) {
      (running.repeats ??= []).push(outcome);
      return;
    }
    const deadline = key === undefined ? Infinity : this.#clock.now() + GIVE_UP_MS;
    const cameAt = turnTime();
    const entry: Entry = { draft, deadline, cameAt, isSettled: false, outcome, repeats: undefined };
    if (key !== undefined) this.#byCid.set(key, entry);
    this.#waiting.set(draft.conversation, (this.#waiting.get(draft.conversation) ?? 0) + 1);
    this.#queue.push(entry);
    this.#queuedChars += draft.text.length;
    // A microtask later the whole turn's messages are here and share the first commit.
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  /**
   * Makes a change and resolves when it is durable, with its entry if it has one; a repeated cid resolves with the row it
   * has. Rejects as `decide` does, or with a DatabaseError when too many are waiting or the database stays away for 5 s.
   */
  async change(change: Change): Promise<Stored | undefined> {
    if (this.#changes.waiting >= CHANGES_WAITING) {
      throw new DatabaseError("unavailable", "Cannot make the change: too many are waiting");
    }
    const deadline = this.#clock.now() + GIVE_UP_MS;
    const changing = this.#changes.run(() => this.#change(change, deadline));
    this.#changing.add(changing);
    try {
      return await changing;
    } finally {
      this.#changing.delete(changing);
    }
  }

  /** What `sender` has stored under this cid; rings again for those who have not heard of it. Rejects with a DatabaseError. */
  async repeat(sender: number, cid: string): Promise<Stored | undefined> {
    const stored = (await findByCids(this.#db, sender, [cid])).get(cid);
    if (stored) {
      this.counters.repeats++;
      this.#onStored(stored);
    }
    return stored;
  }

  /** An entry is in the log that came there by another transaction: the first of a conversation. */
  announce(stored: Stored): void {
    this.#ends.note(stored.conversation, stored.seq, stored.at);
    this.#onStored(stored);
  }

  /** Why messages could not be stored lately; undefined when they could. */
  problem(): string | undefined {
    const isRecent = this.#failure !== undefined && this.#clock.now() - this.#failure.at < FAILURE_COUNTS_MS;
    return isRecent ? `messages cannot be stored: ${this.#failure?.reason}` : undefined;
  }

  /** True while a message between these two waits for its commit. */
  isStoring(userA: number, userB: number): boolean {
    // Mostly nothing waits, and then no conversation's name need be made up and looked for.
    return this.#waiting.size > 0 && this.#waiting.has(conversationOfUsers(userA, userB));
  }

  /** Resolves when nothing waits, or after `timeoutMs`; what waits then without a cid is lost, and logged. */
  async close(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => {
      this.#isClosing = true;
      this.#wake?.();
    }, timeoutMs);
    await this.#running;
    // Each has a deadline of its own, and a client that will ask again.
    await Promise.allSettled(this.#changing);
    clearTimeout(timer);
    if (this.#queue.length > 0) {
      this.#logger.error("messages lost: the database did not come back before the end", {
        messages: this.#queue.length,
      });
    }
  }

  #resolve(entry: Entry, stored: Stored): void {
    if (!this.#endWait(entry)) return;
    entry.outcome.stored(stored);
    for (const repeat of entry.repeats ?? []) repeat.stored({ ...stored, isRepeat: true });
  }

  #reject(entry: Entry, error: unknown): void {
    if (!this.#endWait(entry)) return;
    entry.outcome.failed(error);
    for (const repeat of entry.repeats ?? []) repeat.failed(error);
  }

  /** It is to be answered. False: it has been; what was refused for waiting too long may later turn out to be stored. */
  #endWait(entry: Entry): boolean {
    if (entry.isSettled) return false;
    entry.isSettled = true;
    const { conversation } = entry.draft;
    const others = (this.#waiting.get(conversation) ?? 1) - 1;
    if (others > 0) this.#waiting.set(conversation, others);
    else this.#waiting.delete(conversation);
    const key = keyOf(entry.draft);
    if (key !== undefined) this.#byCid.delete(key);
    return true;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#isClosing) {
      // Where everything else waits for a commit, what came in at once shares one.
      if (this.#db.dialect.isBlocking) await endOfTurn();
      const batch = this.#takeBatch();
      try {
        await this.#commit(batch);
        this.#recovered();
      } catch (error) {
        await this.#waitForDatabase(batch, error);
      }
    }
    // Here and not when the promise is settled: what is added between would find a run that does not look any more.
    this.#running = undefined;
  }

  #takeBatch(): Entry[] {
    let count = 0;
    for (
      let chars = 0;
      count < this.#queue.length && count < BATCH_MESSAGES && chars < BATCH_CHARS;
      count++
    ) {
      chars += this.#queue[count]?.draft.text.length ?? 0;
    }
    const batch = this.#queue.splice(0, count);
    for (const { draft } of batch) this.#queuedChars -= draft.text.length;
    return batch;
  }

  /** Commits a batch whatever its single messages do; throws only when the database is away and nothing was stored. */
  async #commit(batch: Entry[], attempt = 1): Promise<void> {
    const attempted: Attempt = { shares: [], placed: [], claims: undefined };
    const { placed } = attempted;
    const begunAt = performance.now();
    try {
      // When ten thousand log in at once, everybody's messages would wait behind their statements.
      await this.#db.transaction((tx) => this.#write(tx, batch, attempted), { isUrgent: true });
      this.#learn(attempted);
      this.times.commits.record(performance.now() - begunAt);
      this.#settle(placed);
    } catch (error) {
      if (error instanceof BehindError && attempt < BEHIND_ATTEMPTS) {
        await this.#catchUp(error, attempt);
        return await this.#commit(batch, attempt + 1);
      }
      if (error instanceof StrangersError) return await this.#commitWithoutStrangers(batch, error.entries);
      if (!(error instanceof DatabaseError)) throw error;
      if (attempted.claims) this.#heads.forget(attempted.claims.map(({ id }) => id));
      if (error.outcomeUnknown && await this.#hasHappened(placed)) return this.#settle(placed);
      this.counters.retries++;
      // Nothing is known any more by which the next attempt could claim again.
      if (error.kind === "stale" && attempted.claims) return await this.#commit(batch, attempt);
      if (error.kind === "duplicate") return await this.#commitWithoutRepeats(batch, error);
      if (isTemporary(error)) throw error;
      // One message the database will not take must not cost the others: halve until it stands alone.
      if (batch.length === 1) return this.#rejectAll(batch, error);
      const middle = batch.length >> 1;
      await this.#commit(batch.slice(0, middle));
      await this.#commit(batch.slice(middle));
    }
  }

  async #catchUp({ conversations }: BehindError, attempt: number): Promise<void> {
    if (attempt < LAGGING_ATTEMPTS) await pause(attempt * LAGGING_PAUSE_MS);
    else await this.#onBehind(conversations);
  }

  async #write(tx: SqlConnection, batch: Entry[], attempted: Attempt): Promise<void> {
    const { placed } = attempted;
    const shares = attempted.shares = this.#place(batch, placed);
    attempted.claims = this.#claimsFor(shares);
    if (attempted.claims) await claimPlaces(tx, attempted.claims);
    else await this.#lock(tx, shares, batch);
    for (const one of placed) {
      const { share, entry: { draft } } = one;
      const { members, blocked, parted } = share.head;
      one.seq = share.next++;
      one.members = parted > 0 ? 0 : members;
      one.isHidden = isBlocked(share.id, draft.sender, blocked);
    }
    await this.#insertMembers(tx, placed);
    await this.#insertMessages(tx, placed);
    await this.#insertMentions(tx, placed);
  }

  /** Gives the messages their times; returns what goes where, in the order of ids: two nodes cannot deadlock. */
  #place(batch: Entry[], placed: Placed[]): Share[] {
    const shares = new Map<ConversationId, Share>();
    const now = Date.now();
    placed.length = 0;
    for (const entry of batch) {
      const { conversation: id, sender } = entry.draft;
      const at = this.#timeOf(sender, now);
      let share = shares.get(id);
      if (!share) {
        share = { id, count: 0, at, senders: undefined, next: NaN, head: UNKNOWN, isContested: false };
        shares.set(id, share);
      }
      share.count++;
      share.at = Math.max(share.at, at);
      if (groupOf(entry.draft) !== undefined) (share.senders ??= new Set()).add(sender);
      placed.push({ entry, share, seq: NaN, at, members: 0, isHidden: false });
    }
    this.#forgetTimes(now);
    return [...shares.values()].sort((a, b) => a.id < b.id ? -1 : 1);
  }

  /** The places behind the ends that this node knows, if it knows all that decides about these messages. */
  #claimsFor(shares: readonly Share[]): Claim[] | undefined {
    if (!this.#db.dialect.isRemote) return undefined;
    if (this.#timesForgotten !== this.#ends.timesForgotten) {
      this.#timesForgotten = this.#ends.timesForgotten;
      this.#heads.forgetAll();
    }
    const now = this.#clock.now();
    const claims: Claim[] = [];
    for (const share of shares) {
      const { id, count, senders = NOBODY } = share;
      const end = this.#ends.of(id);
      const head = end && this.#heads.of(id, senders, now);
      if (!head) return undefined;
      const from = Math.max(head.at, end.at);
      const { members, blocked, parted } = head;
      share.next = end.seq + 1;
      share.head = head;
      const at = { from, to: Math.max(from, share.at) };
      claims.push({ id, seq: end.seq, count, at, members, blocked, parted });
    }
    return claims;
  }

  /** Takes the places behind the ends that the database knows, and looks whether the senders are members. */
  async #lock(tx: SqlConnection, shares: readonly Share[], batch: readonly Entry[]): Promise<void> {
    const { dialect } = this.#db;
    await tx.insert({
      into: "INSERT INTO Conversation (id, last_chat, last_seq, at, members)",
      rows: shares.map(({ id, count, at }) => [id, count, count, at, 2]),
      // MySQL makes these one after the other, each with what those before it have made: last_seq is the last that needs itself.
      tail: dialect.upsert(["id"], {
        last_chat: "last_seq + new.last_seq",
        last_seq: "last_seq + new.last_seq",
        at: dialect.greatest("at", "new.at"),
      }),
    });
    const ids = shares.map(({ id }) => id);
    const { rows, members } = await this.#readPlaces(tx, ids, sendersByGroup(shares));
    const found = new Map(rows.map((row) => [row.id, row]));
    const behind: ConversationId[] = [];
    for (const share of shares) {
      const row = found.get(share.id);
      const end = (row?.last_seq ?? 0) - share.count;
      const known = this.#ends.seq(share.id);
      if (!row || end < known) behind.push(share.id);
      share.next = end + 1;
      share.head = row ?? UNKNOWN;
      share.isContested = end > known;
    }
    if (behind.length > 0) throw new BehindError(behind);
    const strangers = batch.filter(({ draft }) =>
      groupOf(draft) !== undefined && !members.has(memberKey(draft))
    );
    if (strangers.length > 0) throw new StrangersError(strangers);
  }

  /** What is durable is known from now on. */
  #learn({ shares, claims }: Attempt): void {
    if (!this.#db.dialect.isRemote) return;
    if (claims) { for (const { id, at } of claims) this.#heads.move(id, at.to); }
    else {
      const now = this.#clock.now();
      for (const { id, head, senders = NOBODY, isContested } of shares) {
        this.#heads.note(id, head, senders, isContested, now);
      }
    }
  }

  /**
   * Where these conversations end, whose rows this transaction has locked, and which of the senders are members: in one
   * statement, since each is a round trip.
   */
  async #readPlaces(
    tx: SqlConnection,
    ids: readonly ConversationId[],
    senders: ReadonlyMap<number, ReadonlySet<number>>,
  ): Promise<{ rows: PlaceRow[]; members: ReadonlySet<string> }> {
    const { dialect } = this.#db;
    const places = dialect.isOneOf("id", ids);
    const select = `SELECT id, last_seq, at, members, blocked, parted FROM Conversation WHERE ${places.sql}`;
    if (senders.size === 0) return { rows: await tx.query(select, places.params), members: new Set() };
    const pairs = dialect.isOneOfPairs(["groupid", "userid"], senders);
    const all = await tx.query<PlaceRow>(
      // Without an id: a group's and a user's.
      `${select} UNION ALL SELECT '', groupid, 0, userid, 0, 0 FROM GroupUser WHERE ${pairs.sql}`,
      [...places.params, ...pairs.params],
    );
    const members = all.filter(({ id }) => id === "").map(({ last_seq: groupId, members: userId }) =>
      memberKey({ conversation: conversationOfGroup(groupId), sender: userId })
    );
    return { rows: all.filter(({ id }) => id !== ""), members: new Set(members) };
  }

  /**
   * A sender's messages have times of their own, whichever conversations they go to: who was away gets them in the order
   * they were sent. Of a sender who says more than one a millisecond the time runs ahead, a second at most.
   */
  #timeOf(sender: number, now: number): number {
    const at = Math.min(Math.max(now, (this.#lastAt.get(sender) ?? 0) + 1), now + TIME_AHEAD_MS);
    this.#lastAt.set(sender, at);
    return at;
  }

  #forgetTimes(now: number): void {
    for (const [sender, at] of this.#lastAt) if (at < now) this.#lastAt.delete(sender);
  }

  /** The first message of two users makes both members; a group's members come with the group. */
  async #insertMembers(tx: SqlConnection, placed: Placed[]): Promise<void> {
    const rows: SqlValue[][] = [];
    for (const { seq, entry: { draft: { users, conversation } } } of placed) {
      if (seq === 1 && users) { for (const user of new Set(users)) rows.push([user, conversation, 0, 0, 0]); }
    }
    if (rows.length === 0) return;
    const { insertIgnore } = this.#db.dialect;
    const into = `${insertIgnore} INTO Member (userid, conversation, since, delivered, \`read\`)`;
    await tx.insert({ into, rows });
  }

  async #insertMessages(tx: SqlConnection, placed: Placed[]): Promise<void> {
    await tx.insert({
      into: "INSERT INTO Message (conversation, seq, sender, cid, at, message, hidden)",
      rows: placed.map(({ entry: { draft: { conversation, sender, cid, text } }, seq, at, isHidden }) => [
        conversation,
        seq,
        sender,
        cid === undefined ? null : cidBytes(cid),
        at,
        text,
        Number(isHidden),
      ]),
    });
  }

  async #insertMentions(tx: SqlConnection, placed: Placed[]): Promise<void> {
    const rows: SqlValue[][] = [];
    for (const { seq, isHidden, entry: { draft: { conversation, mentions } } } of placed) {
      if (isHidden || mentions === undefined) continue;
      for (const userId of mentions) rows.push([conversation, userId, seq]);
    }
    if (rows.length > 0) await tx.insert({ into: "INSERT INTO Mention (conversation, userid, seq)", rows });
  }

  #settle(placed: Placed[]): void {
    this.counters.batches++;
    this.counters.messages += placed.length;
    const now = performance.now();
    for (const { entry } of placed) this.times.messages.record(now - entry.cameAt);
    for (const { entry, seq, at, members, isHidden } of placed) {
      const { conversation, users, sender, text, origin } = entry.draft;
      const stored: Stored = {
        conversation,
        users,
        seq,
        at,
        sender,
        text,
        members,
        isRepeat: false,
        isHidden,
        origin,
      };
      this.announce(stored);
      this.#resolve(entry, stored);
    }
  }

  async #change(change: Change, deadline: number): Promise<Stored | undefined> {
    // What the entry says, which others may read before its commit is answered here.
    const texts = new Set<string>();
    try {
      return await this.#attemptChange(change, deadline, texts);
    } finally {
      for (const text of texts) change.origin?.endSending(change.conversation, text);
    }
  }

  async #attemptChange(
    change: Change,
    deadline: number,
    texts: Set<string>,
  ): Promise<Stored | undefined> {
    for (let attempt = 1;; attempt++) {
      if (this.#clock.now() > deadline) {
        throw new DatabaseError("unavailable", "Cannot make the change: too many were waiting");
      }
      let stored: Stored | undefined;
      try {
        await this.#db.transaction(async (tx) => {
          stored = undefined;
          stored = await this.#writeChange(tx, change, texts);
        });
        return this.#settleChange(stored);
      } catch (error) {
        if (error instanceof BehindError && attempt < BEHIND_ATTEMPTS) {
          await this.#catchUp(error, attempt);
          continue;
        }
        if (!(error instanceof DatabaseError)) throw error;
        // Of a cid that is there by now the next attempt finds the row.
        const isRepeat = error.kind === "duplicate" && change.cid !== undefined && attempt < BEHIND_ATTEMPTS;
        if (!isRepeat && !isTemporary(error)) throw error;
        if (error.outcomeUnknown && stored && change.cid === undefined && await this.#isThere(stored)) {
          return this.#settleChange(stored);
        }
        const pauseMs = isRepeat ? LAGGING_PAUSE_MS : RETRY_MIN_MS * attempt;
        if (this.#isClosing || this.#clock.now() + pauseMs > deadline) throw error;
        this.counters.retries++;
        await pause(pauseMs);
      }
    }
  }

  async #writeChange(
    tx: SqlConnection,
    change: Change,
    texts: Set<string>,
  ): Promise<Stored | undefined> {
    const { conversation, sender, cid, origin, decide } = change;
    const [row] = await tx.query<{ last_seq: number; members: number; blocked: number; parted: number }>(
      `SELECT last_seq, members, blocked, parted FROM Conversation WHERE id = ?${this.#db.dialect.forUpdate}`,
      [conversation],
    );
    if ((row?.last_seq ?? 0) < this.#ends.seq(conversation)) throw new BehindError([conversation]);
    const known = cid === undefined ? undefined : (await findByCids(tx, sender, [cid])).get(cid);
    if (known) return { ...known, origin };
    const now = Date.now();
    const isHidden = isBlocked(conversation, sender, row?.blocked ?? 0);
    const place = row &&
      { seq: row.last_seq + 1, at: this.#timeOf(sender, now), members: row.members, isHidden };
    this.#forgetTimes(now);
    const entry = await decide(tx, place);
    if (!entry || !place) return undefined;
    const { kind, text, members = place.members } = entry;
    const { seq, at } = place;
    texts.add(text);
    origin?.beginSending(conversation, text);
    await tx.insert({
      into: "INSERT INTO Message (conversation, seq, sender, cid, at, message, kind, hidden)",
      rows: [[
        conversation,
        seq,
        sender,
        cid === undefined ? null : cidBytes(cid),
        at,
        text,
        kind,
        Number(isHidden),
      ]],
    });
    await tx.run(
      `UPDATE Conversation SET last_seq = ?, members = ?, at = ${
        this.#db.dialect.greatest("at", "?")
      } WHERE id = ?`,
      [seq, members, at, conversation],
    );
    const hasParted = (row?.parted ?? 0) > 0 || members < place.members;
    return {
      conversation,
      seq,
      at,
      sender,
      text,
      members: hasParted ? 0 : members,
      isRepeat: false,
      isHidden,
      origin,
    };
  }

  #settleChange(stored: Stored | undefined): Stored | undefined {
    if (!stored) return undefined;
    if (stored.isRepeat) {
      this.counters.repeats++;
      this.#onStored(stored);
    } else {
      this.counters.changes++;
      this.announce(stored);
    }
    return stored;
  }

  /** Whether a row whose COMMIT got no answer is in the log; waits for the lock of a commit that is still under way. */
  async #isThere(
    { conversation, seq, sender, at, text }: Pick<Stored, "conversation" | "seq" | "sender" | "at" | "text">,
  ): Promise<boolean> {
    return await this.#db.transaction(async (tx) => {
      await tx.query(`SELECT last_seq FROM Conversation WHERE id = ?${this.#db.dialect.forUpdate}`, [
        conversation,
      ]);
      const [row] = await tx.query<{ sender: number; at: number; message: string | null }>(
        "SELECT sender, at, message FROM Message WHERE conversation = ? AND seq = ?",
        [conversation, seq],
      );
      // Once stored it may have been edited or recalled.
      const isThere = row?.sender === sender && row.at === at &&
        (row.message === text || row.message === null || row.message.includes('"edited":'));
      // What has not arrived yet, and may yet do so, claims a place in a conversation as it was: see claims.ts.
      if (!isThere) await tx.run("UPDATE Conversation SET at = at + 1 WHERE id = ?", [conversation]);
      return isThere;
    });
  }

  #rejectAll(entries: readonly Entry[], error: unknown): void {
    for (const entry of entries) this.#reject(entry, error);
  }

  /** What was stored while they were members, and is only asked for again, is answered; the rest of theirs is refused. */
  async #commitWithoutStrangers(batch: readonly Entry[], strangers: readonly Entry[]): Promise<void> {
    const known = await this.#findRepeats(strangers);
    for (const entry of strangers) {
      const stored = known.get(entry);
      if (stored) this.#resolveRepeat(entry, stored);
      else this.#reject(entry, new NotMemberError(groupOf(entry.draft) ?? 0));
    }
    const rest = batch.filter((entry) => !strangers.includes(entry));
    if (rest.length > 0) await this.#commit(rest);
  }

  #resolveRepeat(entry: Entry, stored: Stored): void {
    this.counters.repeats++;
    // The first one's doorbell may have died with its node: ring again, receivers drop what they have.
    this.#onStored(stored);
    this.#resolve(entry, stored);
  }

  /** Answers the messages whose cid is stored already with their row, and commits the others. */
  async #commitWithoutRepeats(batch: Entry[], error: DatabaseError): Promise<void> {
    const known = await this.#findRepeats(batch);
    const rest = batch.filter((entry) => !known.has(entry));
    if (known.size === 0) {
      if (batch.length === 1) return this.#rejectAll(batch, error);
      // Stored by another node since, and not yet visible or gone again: look at each alone.
      for (const entry of batch) await this.#commit([entry]);
      return;
    }
    for (const [entry, stored] of known) this.#resolveRepeat(entry, stored);
    if (rest.length > 0) await this.#commit(rest);
  }

  async #findRepeats(batch: readonly Entry[]): Promise<Map<Entry, Stored>> {
    const bySender = Map.groupBy(
      batch.filter(({ draft }) => draft.cid !== undefined),
      ({ draft }) => draft.sender,
    );
    const found = new Map<Entry, Stored>();
    for (const [sender, entries] of bySender) {
      const stored = await findByCids(this.#db, sender, entries.map(({ draft }) => draft.cid ?? ""));
      for (const entry of entries) {
        const repeat = stored.get(entry.draft.cid ?? "");
        if (repeat) found.set(entry, { ...repeat, origin: entry.draft.origin });
      }
    }
    return found;
  }

  /** Whether a transaction whose COMMIT got no answer did commit: all of it, or nothing. */
  async #hasHappened(placed: Placed[]): Promise<boolean> {
    const [first] = placed;
    if (!first) return false;
    const { conversation, sender, text } = first.entry.draft;
    for (;;) {
      try {
        return await this.#isThere({ conversation, seq: first.seq, sender, at: first.at, text });
      } catch (error) {
        if (!isTemporary(error) || this.#isClosing) throw error;
        this.#tellOutage(error);
        // Nobody has to wait for the answer: a repeat finds out by itself.
        this.#refuseLate(placed.map(({ entry }) => entry), error);
        this.#keep(this.#refuseLate(this.#queue, error));
        await this.#pause();
      }
    }
  }

  /** Puts a batch back, refuses what has waited long enough and can be refused, and waits a little. */
  async #waitForDatabase(batch: Entry[], error: unknown): Promise<void> {
    this.#tellOutage(error);
    this.#keep(this.#refuseLate([...batch, ...this.#queue], error));
    if (this.#queue.length > 0) await this.#pause();
    else this.#retryMs ||= RETRY_MIN_MS;
  }

  #tellOutage(error: unknown): void {
    this.#failure = { at: this.#clock.now(), reason: errorText(error) };
    if (this.#retryMs > 0) return;
    this.#logger.error("cannot store messages; they are kept and tried again", { reason: errorText(error) });
  }

  /** Refuses those that have waited long enough and can be refused; returns those that still wait. */
  #refuseLate(entries: readonly Entry[], error: unknown): Entry[] {
    const now = this.#clock.now();
    return entries.filter((entry) => {
      if (!entry.isSettled && entry.deadline <= now) this.#reject(entry, error);
      return !entry.isSettled;
    });
  }

  #keep(queue: Entry[]): void {
    this.#queue = queue;
    this.#queuedChars = queue.reduce((sum, { draft }) => sum + draft.text.length, 0);
  }

  async #pause(): Promise<void> {
    this.#retryMs = Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, 2 * this.#retryMs));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#retryMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #recovered(): void {
    this.#failure = undefined;
    if (this.#retryMs === 0) return;
    this.#retryMs = 0;
    this.#logger.info("messages are stored again");
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Names a message for as long as it waits; undefined without a cid. */
function keyOf({ sender, cid }: Draft): string | undefined {
  return cid === undefined ? undefined : `${sender} ${cid}`;
}

/** The group that a message goes to, if it goes to one. */
function groupOf({ conversation, users }: Draft): number | undefined {
  return users === undefined && conversation.startsWith("g") ? Number(conversation.slice(1)) : undefined;
}

function memberKey({ conversation, sender }: Pick<Draft, "conversation" | "sender">): string {
  return `${sender} ${conversation}`;
}

/** Of those shares that go to groups. */
function sendersByGroup(shares: readonly Share[]): Map<number, ReadonlySet<number>> {
  const byGroup = new Map<number, ReadonlySet<number>>();
  for (const { id, senders } of shares) if (senders) byGroup.set(Number(id.slice(1)), senders);
  return byGroup;
}

const encoder = new TextEncoder();
/** A cid may begin with U+FEFF. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What a sender has stored under these cids. */
async function findByCids(
  db: SqlConnection,
  sender: number,
  cids: readonly string[],
): Promise<Map<string, Stored>> {
  const rows = await db.query<
    { conversation: string; seq: number; at: number; cid: Uint8Array; message: string | null; hidden: number }
  >(
    "SELECT conversation, seq, at, cid, message, hidden FROM Message " +
      `WHERE sender = ? AND cid IN (${cids.map(() => "?").join(",")})`,
    [sender, ...cids.map(cidBytes)],
  );
  return new Map(rows.map(({ conversation, seq, at, cid, message, hidden }) => [
    decoder.decode(cid),
    { conversation, seq, at, sender, text: message, members: 0, isRepeat: true, isHidden: hidden !== 0 },
  ]));
}

/** Compared byte by byte: no collation makes two cids equal. */
function cidBytes(cid: string): Uint8Array {
  return encoder.encode(cid);
}
