/**
 * Works out which messages the pending rows of the original server were, in which order, and who still has to get them.
 *
 * @module
 */

/** A row of the original's table OfflineMessage. */
export interface PendingRow {
  /** Grows in the order in which the rows came. */
  position: number;
  /** Who was away. */
  userid: number;
  /** The sender's JSON object, as text. */
  message: string;
}

/** Why a row cannot be imported. */
export type Refusal = "not_json" | "not_a_message" | "unknown_user" | "not_a_member";

/** A message for the log. */
export interface ImportedMessage {
  /** `u<lower>-<higher>` or `g<id>`. */
  conversation: string;
  /** From 1, without holes. */
  seq: number;
  /** User id. */
  sender: number;
  /** The sender's JSON object. */
  text: string;
}

/** How far a member is. */
export interface ImportedMember {
  /** User id. */
  userId: number;
  /** Of which conversation. */
  conversation: string;
  /** Entitled to what follows this seq. */
  since: number;
  /** Has everything up to this seq. */
  delivered: number;
}

/** What {@linkcode ImportPlan.finish} makes of the rows. */
export interface Imported {
  /** In an order in which every user's come as that user's rows came. */
  messages: ImportedMessage[];
  /** Both members of every one-to-one conversation, and the members of groups for whom something is pending. */
  members: ImportedMember[];
  /** Of the rows that are in `messages`. */
  positions: number[];
}

/** A message while its place is being found. */
interface Draft {
  conversation: string;
  sender: number;
  text: string;
  receivers: number[];
  /** The ones that stand right before it in its receivers' lists. */
  predecessors: Draft[];
  isPlaced: boolean;
}

/** What a row says. */
interface Content {
  conversation: string;
  sender: number;
  text: string;
}

/** A row that can be imported. */
interface Pending extends Content {
  receiver: number;
}

/** What the server adds to an object when it sends it; a stored one has none of these. */
const SERVER_FIELDS = ["conversation", "seq", "at", "cid"];

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

/** The original put the text into a quoted SQL string, where MySQL made `\t` and `\n` the characters themselves. */
function escapeControls(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // Cut off at 500 characters, or never JSON: the row is refused as such.
  }
}

/** The ids of the users of a one-to-one conversation. */
function usersOf(conversation: string): number[] {
  return [...new Set(conversation.slice(1).split("-").map(Number))];
}

/** Takes the pending rows one by one and says at the end what they are. */
export class ImportPlan {
  readonly #users: ReadonlySet<number>;
  readonly #memberships: ReadonlySet<string>;
  /** The rows that can be imported, in order. */
  readonly #rows: Pending[] = [];
  readonly #positions: number[] = [];
  readonly #refused = new Map<Refusal, number>();

  /** `users` are all user ids; `memberships` are those of all receivers in groups that exist. */
  constructor(users: Iterable<number>, memberships: Iterable<{ groupid: number; userid: number }>) {
    this.#users = new Set(users);
    this.#memberships = new Set([...memberships].map(({ groupid, userid }) => `g${groupid} ${userid}`));
  }

  /** How many rows could not be imported, by reason. */
  get refused(): ReadonlyMap<Refusal, number> {
    return this.#refused;
  }

  /** Adds the next row, in the order of positions. */
  add({ position, userid, message }: PendingRow): void {
    const content = this.#read(userid, message.trim());
    if (typeof content === "string") {
      this.#refused.set(content, (this.#refused.get(content) ?? 0) + 1);
      return;
    }
    this.#rows.push({ receiver: userid, ...content });
    this.#positions.push(position);
  }

  #read(receiver: number, raw: string): Content | Refusal {
    let text = raw;
    let object = parseObject(text);
    if (!object) object = parseObject(text = escapeControls(text));
    if (!object) return "not_json";
    const { msgid, id: sender, toid, groupid } = object;
    const target = msgid === 6 ? toid : msgid === 10 ? groupid : undefined;
    if (!isId(sender) || !isId(target) || (msgid === 6 && target !== receiver)) return "not_a_message";
    if (!this.#users.has(sender) || !this.#users.has(receiver)) return "unknown_user";
    if (SERVER_FIELDS.some((field) => field in object)) {
      for (const field of SERVER_FIELDS) delete object[field];
      text = JSON.stringify(object);
    }
    if (msgid === 6) {
      const conversation = `u${Math.min(sender, receiver)}-${Math.max(sender, receiver)}`;
      return { conversation, sender, text };
    }
    const conversation = `g${target}`;
    return this.#memberships.has(`${conversation} ${receiver}`)
      ? { conversation, sender, text }
      : "not_a_member";
  }

  /** What all the rows are. */
  finish(): Imported {
    const ends = new Map<string, number>();
    const members = new Map<string, ImportedMember>();
    const messages: ImportedMessage[] = [];
    for (const draft of inOrder(this.#drafts())) {
      const { conversation, sender, text, receivers } = draft;
      const seq = (ends.get(conversation) ?? 0) + 1;
      ends.set(conversation, seq);
      messages.push({ conversation, seq, sender, text });
      for (const userId of receivers) {
        const key = `${conversation} ${userId}`;
        if (members.has(key)) continue;
        const since = conversation.startsWith("g") ? seq - 1 : 0;
        members.set(key, { userId, conversation, since, delivered: seq - 1 });
      }
    }
    for (const [conversation, last] of ends) {
      if (conversation.startsWith("g")) continue;
      for (const userId of usersOf(conversation)) {
        const key = `${conversation} ${userId}`;
        if (!members.has(key)) members.set(key, { userId, conversation, since: 0, delivered: last });
      }
    }
    return { messages, members: [...members.values()], positions: this.#positions };
  }

  /**
   * The messages in the order of their first rows. What a member of a group has pending are the group's newest
   * messages, so two rows of different members with the same text are one message when as many rows with that text
   * follow in the one list as in the other.
   */
  #drafts(): Draft[] {
    const drafts = new Map<string, Draft>();
    /** Rows of a list that are still to come, by receiver and text. */
    const remaining = new Map<string, number>();
    const keyOf = ({ receiver, conversation, text }: Pending) => `${receiver} ${conversation} ${text}`;
    for (const row of this.#rows) {
      const key = keyOf(row);
      remaining.set(key, (remaining.get(key) ?? 0) + 1);
    }
    const previous = new Map<number, Draft>();
    for (const row of this.#rows) {
      const { receiver, conversation, sender, text } = row;
      const key = keyOf(row);
      const fromEnd = remaining.get(key) ?? 0;
      remaining.set(key, fromEnd - 1);
      const owner = conversation.startsWith("g") ? "" : receiver;
      const identity = `${owner} ${fromEnd} ${conversation} ${text}`;
      let draft = drafts.get(identity);
      if (!draft) {
        draft = { conversation, sender, text, receivers: [], predecessors: [], isPlaced: false };
        drafts.set(identity, draft);
      }
      draft.receivers.push(receiver);
      const before = previous.get(receiver);
      if (before) draft.predecessors.push(before);
      previous.set(receiver, draft);
    }
    return [...drafts.values()];
  }
}

/**
 * Every message after those that stand before it in some user's list. Two threads of the original could put one message
 * before another in one list and after it in the next; then the first rows decide.
 */
function inOrder(drafts: Iterable<Draft>): Draft[] {
  const ordered: Draft[] = [];
  for (const draft of drafts) {
    const stack = [draft];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const before = top.predecessors.pop();
      if (before) {
        if (!before.isPlaced) stack.push(before);
        continue;
      }
      stack.pop();
      if (!top.isPlaced) ordered.push(top);
      top.isPlaced = true;
    }
  }
  return ordered;
}
