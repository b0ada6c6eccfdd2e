/**
 * What users said and heard, noted by themselves: the other side of the books that the database keeps.
 *
 * @module
 */

/** Of the protocol. */
export type Version = 1 | 2 | 3;

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
  /** Versions 2 and 3: where the server says it is; undefined while there is no reply. */
  place?: Place;
  /** 1: nobody ever tells the sender what became of it. */
  version: Version;
}

/** What one hearer heard, by conversation and seq: the messages' keys. */
export type Heard = Map<string, Map<number, string>>;

/** What happened in one fault. */
export interface Tally {
  /** Messages said. */
  sent: number;
  /** Of those, answered with success. Version 1 has no answers. */
  acknowledged: number;
  /** Answers that asked to repeat (errno 10). */
  refused: number;
  /** Frames whose (conversation, seq) the hearer had already, by its version: one of version 1 saw the message twice. */
  repeats: Record<Version, number>;
  /** Messages that a hearer got in two places. */
  duplicated: number;
  /** Messages that came after one with a higher seq. */
  outOfOrder: number;
  /**
   * Longest time from saying something to its answer, or to its arrival at somebody who wants to be there, ms; by the version
   * of the hearer, but all that a user of version 1 says counts there: it is told nothing and repeats nothing.
   */
  longestMs: Record<Version, number>;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return {
    sent: 0,
    acknowledged: 0,
    refused: 0,
    repeats: { 1: 0, 2: 0, 3: 0 },
    duplicated: 0,
    outOfOrder: 0,
    longestMs: { 1: 0, 2: 0, 3: 0 },
  };
}

/** A user of version 1 or 2, or one device of a user of version 3: each hears everything. */
export class Hearer {
  /** Of the user. */
  readonly userId: number;
  /** Of the protocol. */
  readonly version: Version;
  /** What it has. */
  readonly heard: Heard = new Map();
  /** The keys of that. */
  readonly keys = new Set<string>();
  /** The highest seq it was sent, by conversation. */
  readonly highest = new Map<string, number>();

  /** Has heard nothing yet. */
  constructor(userId: number, version: Version) {
    this.userId = userId;
    this.version = version;
  }

  /** Its conversation `id`: what it has by seq. */
  seqs(id: string): Map<number, string> {
    let seqs = this.heard.get(id);
    if (!seqs) this.heard.set(id, seqs = new Map());
    return seqs;
  }
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
  readonly #hearers = new Map<number, Hearer[]>();

  /** Somebody listens from now on. */
  addHearer(userId: number, version: Version): Hearer {
    const hearer = new Hearer(userId, version);
    this.#hearers.set(userId, [...this.hearers(userId), hearer]);
    return hearer;
  }

  /** Who listens for a user. */
  hearers(userId: number): readonly Hearer[] {
    return this.#hearers.get(userId) ?? [];
  }

  /** Somebody says something for the first time. */
  noteSaid(key: string, version: Version): void {
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
    this.#noteWait(said.version, performance.now() - said.at);
  }

  #noteWait(version: Version, ms: number): void {
    this.tally.longestMs[version] = Math.max(this.tally.longestMs[version], ms);
  }

  /** A device has said this itself, and is not sent it. */
  noteOwn(hearer: Hearer, { conversation, seq }: Place, key: string): void {
    hearer.seqs(conversation).set(seq, key);
    hearer.keys.add(key);
  }

  /**
   * A chat frame came. `since`: from when on the hearer wanted to be there, performance clock. False when it has it
   * already.
   */
  noteHeard(hearer: Hearer, { conversation, seq }: Place, key: string, since: number): boolean {
    const { userId, version, keys, highest } = hearer;
    const seqs = hearer.seqs(conversation);
    const known = seqs.get(seq);
    if (known !== undefined) {
      if (known !== key) this.oddities.push(`user ${userId}: ${conversation} ${seq} was ${known}, is ${key}`);
      this.tally.repeats[version]++;
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
    this.#noteWait(said.version === 1 ? 1 : version, delayMs);
    this.onDelay(userId, delayMs);
    return true;
  }
}
