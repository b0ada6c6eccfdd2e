/**
 * What users said and heard, noted by themselves: the other side of the books that the database keeps.
 *
 * @module
 */

/** A message's place in the log. */
export interface Place {
  /** Conversation id. */
  conversation: string;
  /** Place in it. */
  seq: number;
}

/** A message somebody said. */
export interface Said {
  /** Performance clock, ms. */
  at: number;
  /** Version 2: where the server says it is; undefined while there is no reply. */
  place?: Place;
  /** 1: nobody ever tells the sender what became of it. */
  version: 1 | 2;
}

/** What one user heard, by conversation and seq: the messages' keys. */
export type Heard = Map<string, Map<number, string>>;

/** What happened in one fault. */
export interface Tally {
  /** Messages said. */
  sent: number;
  /** Of those, answered with success. Version 1 has no answers. */
  acknowledged: number;
  /** Answers that asked to repeat (errno 10). */
  refused: number;
  /** Frames whose (conversation, seq) a version 2 user had already, and dropped. */
  repeats: number;
  /** The same to version 1 users, who saw the message twice. */
  repeatsV1: number;
  /** Messages that a version 2 user got in two places. */
  duplicated: number;
  /** Messages that came after one with a higher seq. */
  outOfOrder: number;
  /** Longest time from saying something to its answer, or to its arrival at somebody who wants to be there, ms. */
  longestMs: number;
  /** The same where either of the two is of version 1: it is told nothing and repeats nothing. */
  longestV1Ms: number;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return {
    sent: 0,
    acknowledged: 0,
    refused: 0,
    repeats: 0,
    repeatsV1: 0,
    duplicated: 0,
    outOfOrder: 0,
    longestMs: 0,
    longestV1Ms: 0,
  };
}

interface Hearer {
  heard: Heard;
  keys: Set<string>;
  highest: Map<string, number>;
}

/** One for all users of a site. */
export class Ledger {
  /** Every message by its key. */
  readonly said = new Map<string, Said>();
  /** Of the fault that is going on. */
  tally: Tally = emptyTally();
  /** Replies, frames and errors that nobody should ever see. */
  readonly oddities: string[] = [];
  /** Called with the delay of each message at each hearer, ms. */
  onDelay: (userId: number, delayMs: number) => void = () => {};
  readonly #hearers = new Map<number, Hearer>();

  #hearer(userId: number): Hearer {
    let hearer = this.#hearers.get(userId);
    if (!hearer) {
      this.#hearers.set(userId, hearer = { heard: new Map(), keys: new Set(), highest: new Map() });
    }
    return hearer;
  }

  /** What a user has heard so far. */
  heard(userId: number): Heard {
    return this.#hearer(userId).heard;
  }

  /** How many messages a user has heard. */
  heardCount(userId: number): number {
    return this.#hearer(userId).keys.size;
  }

  /** Somebody says something for the first time. */
  noteSaid(key: string, version: 1 | 2): void {
    this.said.set(key, { at: performance.now(), version });
    this.tally.sent++;
  }

  /** The server says where a message is. */
  noteAnswer(key: string, place: Place): void {
    const said = this.said.get(key);
    if (!said) {
      this.oddities.push(`an answer to ${key}, which nobody said`);
      return;
    }
    if (said.place) {
      const isSame = said.place.conversation === place.conversation && said.place.seq === place.seq;
      if (!isSame) this.oddities.push(`${key} is at ${said.place.seq} and at ${place.seq}`);
      return;
    }
    said.place = place;
    this.tally.acknowledged++;
    this.tally.longestMs = Math.max(this.tally.longestMs, performance.now() - said.at);
  }

  /**
   * A chat frame came. `since`: from when on the user wanted to be there, performance clock. False when the user has it
   * already.
   */
  noteHeard(
    userId: number,
    version: 1 | 2,
    { conversation, seq }: Place,
    key: string,
    since: number,
  ): boolean {
    const { heard, keys, highest } = this.#hearer(userId);
    let seqs = heard.get(conversation);
    if (!seqs) heard.set(conversation, seqs = new Map());
    const known = seqs.get(seq);
    if (known !== undefined) {
      if (known !== key) this.oddities.push(`user ${userId}: ${conversation} ${seq} was ${known}, is ${key}`);
      if (version === 2) this.tally.repeats++;
      else this.tally.repeatsV1++;
      return false;
    }
    const before = highest.get(conversation) ?? 0;
    if (seq < before) this.tally.outOfOrder++;
    else highest.set(conversation, seq);
    if (keys.has(key)) this.tally.duplicated++;
    seqs.set(seq, key);
    keys.add(key);
    const said = this.said.get(key);
    if (!said) {
      this.oddities.push(`user ${userId}: ${key}, which nobody said`);
      return true;
    }
    const delayMs = performance.now() - Math.max(said.at, since);
    const longest = version === 2 && said.version === 2 ? "longestMs" : "longestV1Ms";
    this.tally[longest] = Math.max(this.tally[longest], delayMs);
    this.onDelay(userId, delayMs);
    return true;
  }
}
