/**
 * The memory of the session in a browser: what is shown is in memory, and what has to survive the page goes to IndexedDB
 * behind it. What is not there any more is on the server.
 *
 * @module
 */

import type { ChatMessage } from "../../client/core/messages.ts";
import type { Reply } from "../../client/core/requests.ts";
import type { ClientStore, ConversationState, OutboxEntry, PeerPosition } from "../../client/core/store.ts";
import type { ConversationId } from "../../protocol/protocol.ts";
import { Conversation, messageOf } from "./conversation.ts";
import type { KeptConversation } from "./conversation.ts";
import type { Database } from "./database.ts";

/** Why the server will not take a message. */
export type Failure = Pick<Reply, "errno" | "text">;

/** A message of the user's that the server has not stored, or will not. */
export interface Unsent extends OutboxEntry {
  /** Undefined while it is on its way. */
  failure?: Failure;
}

/** A conversation is written so long after it changed, with what else changes until then. */
const KEEP_DELAY_MS = 300;

/** One user's. */
export class BrowserStore implements ClientStore {
  /** By their ids. */
  readonly all = new Map<ConversationId, Conversation>();
  /** By their cids, oldest first. */
  readonly unsent = new Map<string, Unsent>();
  readonly #me: number;
  readonly #database: Database;
  readonly #onChange: (conversation: Conversation) => void;
  readonly #dirty = new Set<Conversation>();
  #keepTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  private constructor(me: number, database: Database, onChange: (conversation: Conversation) => void) {
    this.#me = me;
    this.#database = database;
    this.#onChange = onChange;
  }

  /** Reads what is kept. `onChange` hears of everything that a view may show differently now. */
  static async open(
    me: number,
    database: Database,
    onChange: (conversation: Conversation) => void,
  ): Promise<BrowserStore> {
    const store = new BrowserStore(me, database, onChange);
    const [conversations, unsent] = await Promise.all([
      database.all("conversations"),
      database.all("outbox"),
    ]);
    for (const [id, kept] of conversations) {
      store.all.set(id, Conversation.read(kept as KeptConversation, me));
    }
    // Their cids are ordered by time.
    for (const [cid, entry] of unsent) store.unsent.set(cid, entry as Unsent);
    return store;
  }

  /** A conversation, which is made where there is none. */
  get(id: ConversationId): Conversation {
    const known = this.all.get(id);
    if (known !== undefined) return known;
    const conversation = new Conversation(id, this.#me);
    this.all.set(id, conversation);
    return conversation;
  }

  /** What is still to be sent to a conversation, and what was refused. */
  unsentFor(id: ConversationId): Unsent[] {
    return [...this.unsent.values()].filter(({ conversation }) => conversation === id);
  }

  /** Something of a conversation changed otherwise. */
  changed(conversation: Conversation): void {
    this.#onChange(conversation);
    this.#dirty.add(conversation);
    this.#keepTimer ??= setTimeout(() => this.keep(), KEEP_DELAY_MS);
  }

  /** Writes now what waits to be written. */
  keep(): void {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    if (this.#isClosed) return;
    for (const conversation of this.#dirty) {
      if (this.all.get(conversation.id) === conversation) {
        this.#database.set("conversations", conversation.id, conversation.keep());
      }
    }
    this.#dirty.clear();
  }

  /** Remembers that the server will not take a message. */
  fail(entry: OutboxEntry, failure: Failure): void {
    this.#putUnsent({ ...entry, failure });
  }

  /** As the interface has it; all that follows likewise. Memory does not fail half way. */
  transaction<Result>(work: () => Result): Result {
    return work();
  }

  /** What is not durable yet is on the server, or in the outbox until it is. */
  afterCommit(action: () => void): void {
    action();
  }

  conversations(): ConversationState[] {
    return [...this.all.values()].filter(({ state }) => state.top > 0).map(({ state }) => ({ ...state }));
  }

  saveConversation({ id, base, top, shown }: ConversationState): void {
    const conversation = this.get(id);
    const { state } = conversation;
    if (state.base === base && state.top === top && state.shown === shown) return;
    conversation.setState({ id, base, top, shown });
    this.changed(conversation);
  }

  archiveConversation(id: ConversationId): void {
    const conversation = this.all.get(id);
    if (conversation === undefined) return;
    this.all.delete(id);
    this.#database.set("conversations", id, undefined);
    this.#onChange(conversation);
  }

  insert(message: ChatMessage): boolean {
    const { seq } = message;
    // What the server does not keep cannot be told apart when it comes again: it is not shown.
    if (seq === null) return false;
    const conversation = this.get(message.conversation);
    if (!conversation.insert(message, seq)) return false;
    this.changed(conversation);
    return true;
  }

  find(id: ConversationId, seq: number): ChatMessage | undefined {
    const conversation = this.all.get(id);
    const entry = conversation?.find(seq);
    return entry === undefined ? undefined : messageOf(id, entry);
  }

  replace(message: ChatMessage): void {
    const conversation = this.all.get(message.conversation);
    if (conversation === undefined || message.seq === null) return;
    conversation.replace(message, message.seq);
    this.changed(conversation);
  }

  forgetAbove(id: ConversationId, seq: number): void {
    const conversation = this.all.get(id);
    if (conversation === undefined) return;
    conversation.forgetAbove(seq);
    this.changed(conversation);
  }

  seqsAbove(id: ConversationId, seq: number): number[] {
    return this.all.get(id)?.seqsAbove(seq) ?? [];
  }

  range(id: ConversationId, after: number, upTo: number): ChatMessage[] {
    return this.all.get(id)?.range(after, upTo) ?? [];
  }

  latest(id: ConversationId, count: number): ChatMessage[] {
    return (this.all.get(id)?.entries.slice(-count) ?? []).map((entry) => messageOf(id, entry));
  }

  lastSeqOf(id: ConversationId, sender: number, after = 0, upTo = Number.MAX_SAFE_INTEGER): number {
    const last = this.all.get(id)?.entries.findLast((entry) =>
      entry.sender === sender && entry.seq > after && entry.seq <= upTo && entry.text !== null
    );
    return last?.seq ?? 0;
  }

  recall(id: ConversationId, seq: number): void {
    const conversation = this.all.get(id);
    if (conversation === undefined) return;
    conversation.recall(seq);
    this.changed(conversation);
  }

  outbox(): OutboxEntry[] {
    return [...this.unsent.values()].filter(({ failure }) => failure === undefined);
  }

  addToOutbox(entry: OutboxEntry): void {
    this.#putUnsent(entry);
  }

  removeFromOutbox(cid: string): void {
    const entry = this.unsent.get(cid);
    if (entry === undefined) return;
    this.unsent.delete(cid);
    this.#database.set("outbox", cid, undefined);
    this.#onUnsent(entry);
  }

  peer(id: ConversationId, user: number): PeerPosition {
    return this.all.get(id)?.peers.get(user) ?? { delivered: 0, read: 0 };
  }

  countPeers(id: ConversationId, kind: "delivered" | "read", seq: number): number {
    return this.all.get(id)?.countPeers(kind, seq) ?? 0;
  }

  peersAt(id: ConversationId, seq: number): ({ id: number } & PeerPosition)[] {
    return [...this.all.get(id)?.peers ?? []]
      .filter(([, { delivered, since }]) => delivered >= seq && since < seq)
      .map(([user, { delivered, read }]) => ({ id: user, delivered, read }));
  }

  savePeer(id: ConversationId, user: number, { delivered, read }: PeerPosition, since = 0): void {
    const conversation = this.get(id);
    conversation.peers.set(user, { delivered, read, since });
    this.changed(conversation);
  }

  /** Nothing is written any more. */
  [Symbol.dispose](): void {
    this.keep();
  }

  /** Somebody else has, or will have, the database. */
  close(): void {
    this.keep();
    this.#isClosed = true;
  }

  #putUnsent(entry: Unsent): void {
    this.unsent.set(entry.cid, entry);
    this.#database.set("outbox", entry.cid, entry);
    this.#onUnsent(entry);
  }

  #onUnsent({ conversation: id }: OutboxEntry): void {
    const conversation = this.get(id);
    conversation.version++;
    this.#onChange(conversation);
  }
}
