/**
 * One conversation as the page shows it: its entries, each as it is now, and where everybody is in it.
 *
 * @module
 */

import { detailsOf } from "../../client/core/entries.ts";
import { integerOf } from "../../client/core/messages.ts";
import type { ChatMessage } from "../../client/core/messages.ts";
import type { ConversationState, MessageFields, PeerPosition } from "../../client/core/store.ts";
import { isJsonObject, MSGID, otherOf, parseConversation } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";

/** A place in the log. What changes is replaced by a new object: the same object looks the same. */
export interface Entry extends MessageFields {
  /** Its place. */
  seq: number;
  /** Who: of a chat entry its sender, else who did it. */
  sender: number;
  /** Their name then; may be empty. */
  name: string;
  /** When, ms since the epoch. */
  at: number;
  /** What it is; what people did to messages is shown on those, and not by itself. */
  kind: "chat" | "system";
  /** Of a chat entry, as it is now; null when it was recalled. */
  text: string | null;
  /** When it was last edited. */
  edited?: number;
  /** Who has put which emoji on it. */
  reactions?: { [emoji: string]: number[] };
  /** How many that are, where `reactions` does not name all. */
  counts?: { [emoji: string]: number };
  /** It is pinned. */
  isPinned?: boolean;
  /** Its frame, of a system entry. */
  frame?: JsonObject;
}

/** The newest chat entry, in short. */
export interface Last {
  /** Its place. */
  seq: number;
  /** Its sender. */
  id: number;
  /** The sender's name. */
  name: string;
  /** Its beginning. */
  text: string;
  /** When, ms since the epoch. */
  at: number;
}

/** What is kept of a conversation. */
export interface KeptConversation {
  /** Of the format. */
  format: 1;
  /** Positions, for the entries that are kept. */
  state: ConversationState;
  /** The newest ones, ascending. */
  entries: Entry[];
  /** Actions that wait for what is missing below them. */
  actions: ChatMessage[];
  /** How far others are. */
  peers: [number, PeerPosition & { since: number }][];
  /** What the list shows. */
  head: Head;
}

/** What the list shows of a conversation. */
export interface Head {
  /** The last place that is known. */
  lastSeq: number;
  /** Chat entries of others that the user has not read, counted to 100. */
  unread: number;
  /** Those among them that name the user. */
  mentions: number;
  /** Of its newest entry, ms since the epoch. */
  at: number;
  /** No notifications until then, ms since the epoch. */
  mutedUntil: number;
  /** The newest chat entry. */
  last: Last | undefined;
}

/** So many entries are there at once when the page is opened again. */
const KEPT_ENTRIES = 80;
/** A chat frame's sender may put anything into these. */
const EMOJI_MAX_LENGTH = 32;
/** The protocol has no more. */
const MENTIONS_MOST = 50;

/** Reads a chat or a system entry. */
function readEntry(message: ChatMessage, seq: number): Entry {
  const { sender, name, at, text, frame = {} } = message;
  if (frame.msgid === MSGID.SYSTEM_MSG) return { seq, sender, name, at, text, kind: "system", frame };
  const { reply, mentions, editedAt, reactions, isPinned } = detailsOf(message);
  const entry: Entry = { seq, sender, name, at, text, kind: "chat" };
  if (reply !== undefined) entry.reply = reply;
  if (mentions === "all") entry.mentions = "all";
  else if (mentions.length > 0) entry.mentions = mentions.slice(0, MENTIONS_MOST);
  if (editedAt !== undefined) entry.edited = editedAt;
  const shown = [...reactions].filter(([emoji, ids]) => emoji.length <= EMOJI_MAX_LENGTH && ids.length > 0);
  if (shown.length > 0) entry.reactions = Object.fromEntries(shown.map(([emoji, ids]) => [emoji, [...ids]]));
  if (isPinned || isJsonObject(frame.pinned)) entry.isPinned = true;
  if (isJsonObject(frame.reaction_counts)) {
    entry.counts = Object.fromEntries(
      Object.entries(frame.reaction_counts).map(([emoji, count]) => [emoji, integerOf(count) ?? 0]),
    );
  }
  return entry;
}

function lastOf({ seq, sender: id, name, text, at }: Entry): Last {
  return { seq, id, name, text: text ?? "", at };
}

/** An entry as the session knows it. */
export function messageOf(conversation: ConversationId, entry: Entry): ChatMessage {
  const { seq, sender, name, text, at, reply, mentions, edited, reactions, counts, isPinned } = entry;
  const frame = entry.frame ??
    { reply, mentions, edited, reactions, reaction_counts: counts, pinned: isPinned };
  return { conversation, seq, sender, name, text, at, frame };
}

/** One conversation. */
export class Conversation {
  /** Its id. */
  readonly id: ConversationId;
  /** The other one, in a one-to-one conversation. */
  readonly peerId: number | undefined;
  /** The group, else. */
  readonly groupId: number | undefined;
  /** What is here, ascending, without the actions' own places. */
  entries: Entry[] = [];
  /** As the inbox has it. */
  state: ConversationState;
  /** As the list has it. */
  head: Head = { lastSeq: 0, unread: 0, mentions: 0, at: 0, mutedUntil: 0, last: undefined };
  /** How far others are; `since`: they came after that. */
  readonly peers = new Map<number, PeerPosition & { since: number }>();
  /** Who is typing, and until when that holds, ms since the epoch. */
  readonly typing = new Map<number, number>();
  /** Counts changes of the entries, and of what is unsent here: as long as it is the same, the log has the same rows. */
  version = 0;
  readonly #me: number;
  /** Actions that the session has not got to: those below its position are in what they refer to. */
  readonly #actions = new Map<number, ChatMessage>();

  /** Begins empty. */
  constructor(id: ConversationId, me: number) {
    this.id = id;
    this.#me = me;
    this.state = { id, base: 0, top: 0, shown: 0 };
    const parsed = parseConversation(id);
    if (parsed !== undefined && "groupId" in parsed) this.groupId = parsed.groupId;
    this.peerId = otherOf(id, me);
  }

  /** As it was kept. */
  static read(kept: KeptConversation, me: number): Conversation {
    const conversation = new Conversation(kept.state.id, me);
    conversation.state = kept.state;
    conversation.head = kept.head;
    conversation.entries = kept.entries;
    for (const action of kept.actions) conversation.#actions.set(action.seq ?? 0, action);
    for (const [id, peer] of kept.peers) conversation.peers.set(id, peer);
    return conversation;
  }

  /** What is to be kept. */
  keep(): KeptConversation {
    const entries = this.entries.slice(-KEPT_ENTRIES);
    const first = entries[0]?.seq ?? this.state.top + 1;
    const cut = entries.length < this.entries.length;
    const base = cut ? Math.max(this.state.base, first - 1) : this.state.base;
    return {
      format: 1,
      state: { ...this.state, base: Math.min(base, this.state.top) },
      entries,
      actions: [...this.#actions.values()],
      peers: [...this.peers],
      head: this.head,
    };
  }

  /** Takes an entry of the log; false when it is here already. */
  insert(message: ChatMessage, seq: number): boolean {
    const { head } = this;
    const isNew = seq > head.lastSeq;
    head.lastSeq = Math.max(head.lastSeq, seq);
    head.at = Math.max(head.at, message.at);
    if (message.frame?.msgid === MSGID.ACTION_MSG) {
      if (seq <= this.state.top || this.#actions.has(seq)) return false;
      this.#actions.set(seq, message);
      return true;
    }
    const index = this.#indexOf(seq);
    if (this.entries[index]?.seq === seq) return false;
    const entry = readEntry(message, seq);
    this.entries.splice(index, 0, entry);
    this.version++;
    if (entry.kind === "chat") this.#count(entry, isNew);
    this.typing.delete(message.sender);
    return true;
  }

  /** Puts a message in the place of what is here of it. */
  replace(message: ChatMessage, seq: number): void {
    this.#change(seq, () => readEntry(message, seq));
    if (this.head.last?.seq === seq) this.head.last = { ...this.head.last, text: message.text ?? "" };
  }

  /** Forgets what is above a place. */
  forgetAbove(seq: number): void {
    this.entries.length = this.#indexOf(seq + 1);
    this.#actions.clear();
    // What is said there from now on nobody has received yet.
    for (const [id, { delivered, read, since }] of this.peers) {
      this.peers.set(id, { delivered: Math.min(delivered, seq), read: Math.min(read, seq), since });
    }
    this.head.lastSeq = Math.min(this.head.lastSeq, seq);
    if ((this.head.last?.seq ?? 0) > seq) {
      const last = this.entries.findLast(({ kind }) => kind === "chat");
      this.head.last = last && lastOf(last);
    }
    this.version++;
  }

  /** The session's position; what is below it has been applied. */
  setState(state: ConversationState): void {
    if (state.shown > this.state.shown) this.readUpTo(state.shown);
    this.state = state;
    for (const seq of this.#actions.keys()) if (seq <= state.top) this.#actions.delete(seq);
  }

  /** An entry, or undefined. */
  find(seq: number): Entry | undefined {
    const entry = this.entries[this.#indexOf(seq)];
    return entry?.seq === seq ? entry : undefined;
  }

  /** Places above one, ascending. */
  seqsAbove(seq: number): number[] {
    const shown = this.entries.slice(this.#indexOf(seq + 1)).map((entry) => entry.seq);
    return [...shown, ...[...this.#actions.keys()].filter((action) => action > seq)].sort((a, b) => a - b);
  }

  /** What is in the log between two places (`after < seq <= upTo`), ascending. */
  range(after: number, upTo: number): ChatMessage[] {
    const isWithin = ({ seq }: { seq: number | null }) => (seq ?? 0) > after && (seq ?? 0) <= upTo;
    const shown = this.entries.slice(this.#indexOf(after + 1)).filter(isWithin);
    return [
      ...shown.map((entry) => messageOf(this.id, entry)),
      ...[...this.#actions.values()].filter(isWithin),
    ]
      .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  }

  /** Takes the text out of an entry. */
  recall(seq: number): void {
    this.#change(seq, ({ reactions: _, counts: __, edited: ___, ...entry }) => ({
      ...entry,
      text: null,
      isPinned: false,
    }));
    if (this.head.last?.seq === seq) this.head.last = { ...this.head.last, text: "" };
  }

  /** The user has read up to `seq`, wherever. */
  readUpTo(seq: number): void {
    const { head } = this;
    if (head.unread === 0 && head.mentions === 0) return;
    const isWhole = this.state.base <= seq;
    const rest = this.entries.filter((entry) => entry.seq > seq && this.#isUnread(entry));
    head.unread = seq >= head.lastSeq ? 0 : isWhole ? rest.length : Math.min(head.unread, rest.length);
    head.mentions = Math.min(head.mentions, rest.filter((entry) => this.isForMe(entry)).length);
  }

  /** True for what names the user. */
  isForMe({ mentions }: MessageFields): boolean {
    return mentions === "all" || (mentions?.includes(this.#me) ?? false);
  }

  /** How many others have received, or read, up to `seq`. */
  countPeers(kind: keyof PeerPosition, seq: number): number {
    let count = 0;
    for (const peer of this.peers.values()) if (peer[kind] >= seq && peer.since < seq) count++;
    return count;
  }

  #isUnread({ kind, sender, text }: Entry): boolean {
    return kind === "chat" && sender !== this.#me && text !== null;
  }

  #count(entry: Entry, isNew: boolean): void {
    const { head } = this;
    if (entry.seq >= (head.last?.seq ?? 0)) head.last = lastOf(entry);
    if (!isNew || !this.#isUnread(entry) || entry.seq <= this.state.shown) return;
    head.unread = Math.min(100, head.unread + 1);
    if (this.isForMe(entry)) head.mentions++;
  }

  #change(seq: number, change: (entry: Entry) => Entry): void {
    const index = this.#indexOf(seq);
    const entry = this.entries[index];
    if (entry?.seq !== seq) return;
    this.entries[index] = change(entry);
    this.version++;
  }

  /** Where a place is, or would be put. */
  #indexOf(seq: number): number {
    let low = 0;
    let high = this.entries.length;
    // Most often it is the newest.
    if ((this.entries[high - 1]?.seq ?? 0) < seq) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.entries[middle]?.seq ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
