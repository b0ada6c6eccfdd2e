/**
 * A version 2 user: repeats what has no answer under the same `cid`, resumes on any node, acknowledges without holes and
 * looks whether its server is alive.
 *
 * @module
 */

import { type ChatClient, type Frame, PASSWORD } from "../support/chat_client.ts";
import type { Place, Version } from "./ledger.ts";
import { LoadUser, type LoadUserOptions, NotLetIn, type Target } from "./load_user.ts";

/** Acknowledged at once after so many messages, otherwise about once a second. */
const ACK_EVERY = 64;
const ACK_MS = 1_000;
/** Asks for a sign of life after so much silence, and takes the server for dead after as much again, ms. */
const SILENCE_MS = 2_000;
/** A message that was refused for now is repeated within this time, ms. */
const REPEAT_MS = 500;

interface Unanswered {
  frame: Record<string, unknown>;
  /** When to repeat it, performance clock; null while an answer may come. */
  repeatAt: number | null;
}

/** Which messages of a conversation a user has. */
class Progress {
  /** Has everything up to this. */
  upTo = 0;
  /** Has told so up to this. */
  told = 0;
  readonly #beyond = new Set<number>();
  #hasBegun = false;

  /** Where it begins, unless that is known. */
  begin(start: number): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.upTo = this.told = start;
    for (const seq of this.#beyond) if (seq <= start) this.#beyond.delete(seq);
    this.#advance();
  }

  add(seq: number): void {
    if (seq <= this.upTo) return;
    this.#beyond.add(seq);
    if (this.#hasBegun) this.#advance();
  }

  #advance(): void {
    while (this.#beyond.delete(this.upTo + 1)) this.upTo++;
  }
}

/** See the module. */
export class V2User extends LoadUser {
  readonly #unanswered = new Map<string, Unanswered>();
  readonly #progress = new Map<string, Progress>();
  /** What to call with the reply, or with nothing when the connection is lost before. */
  readonly #requests = new Map<string, (reply?: Frame) => void>();
  #requestCount = 0;
  #refusals = 0;
  #token: string | undefined;
  #toldAt = 0;
  #untold = 0;
  /** When it asked for a sign of life that has not come yet, performance clock. */
  #askedAt: number | undefined;

  /** Does nothing yet. */
  constructor(options: LoadUserOptions, version: Version = 2) {
    super(version, options);
  }

  /** Keys of the messages that have no answer. */
  get unanswered(): string[] {
    return [...this.#unanswered.keys()];
  }

  /** How many there are. */
  get unansweredCount(): number {
    return this.#unanswered.size;
  }

  /** Times it was asked to repeat a message (errno 10). */
  get refusals(): number {
    return this.#refusals;
  }

  /** See {@link LoadUser.toString}. */
  override toString(): string {
    const repeating = [...this.#unanswered.values()].filter(({ repeatAt }) => repeatAt !== null);
    return `${super.toString()}, ${this.#unanswered.size} unanswered, ${repeating.length} of them to be repeated, ` +
      `${this.#refusals} refused so far`;
  }

  /** For a second connection of the same user. */
  get token(): string | undefined {
    return this.#token;
  }

  /** See {@link LoadUser.say}. */
  override say(target: Target, length?: number): boolean {
    const key = this.nextKey();
    const frame = { ...this.chatFrame(target, key, length), cid: key };
    this.#unanswered.set(key, { frame, repeatAt: null });
    this.ledger.noteSaid(key, this.version);
    if (this.isIn) this.send(frame);
    return true;
  }

  /** Any other request; resolves with the reply, rejects when the connection is lost before. */
  request(frame: Record<string, unknown>): Promise<Frame> {
    const cid = `request ${++this.#requestCount}`;
    return new Promise((resolve, reject) => {
      if (!this.isIn) return reject(new Error(`${this.name} is not connected`));
      this.#requests.set(cid, (reply) => {
        this.#requests.delete(cid);
        if (reply?.errno === 0) resolve(reply);
        else reject(new Error(`${this.name} was refused: ${JSON.stringify(reply)}`));
      });
      this.send({ ...frame, cid });
    });
  }

  /** See {@link LoadUser.logIn}. */
  protected override async logIn(client: ChatClient, deadlineMs: number): Promise<void> {
    const who = this.#token === undefined
      ? { msgid: 1, id: this.id, password: PASSWORD, ...this.identity() }
      : { msgid: 21, token: this.#token };
    await client.send({ ...who, v: this.version, cid: "login" });
    const reply = await client.take(({ cid }) => cid === "login", deadlineMs);
    if (reply.errno === 11) this.#token = undefined;
    this.onLoginReply(reply);
    if (reply.errno !== 0) throw new NotLetIn(reply);
    this.#token = reply.token;
    for (const { conversation, delivered } of reply.conversations ?? []) {
      this.#progressOf(conversation).begin(delivered);
    }
    // The server may have forgotten the last second of what it was told.
    for (const progress of this.#progress.values()) progress.told = 0;
    this.#askedAt = undefined;
  }

  /** What else a login with the password says. */
  protected identity(): Record<string, unknown> {
    return {};
  }

  /** What a login was answered with. */
  protected onLoginReply(_reply: Frame): void {}

  /** See {@link LoadUser.onIn}. */
  protected override onIn(): void {
    for (const entry of this.#unanswered.values()) {
      entry.repeatAt = null;
      this.send(entry.frame);
    }
  }

  /** See {@link LoadUser.onOut}. */
  protected override onOut(): void {
    for (const settle of [...this.#requests.values()]) settle();
  }

  /** See {@link LoadUser.tick}. */
  override tick(now: number): void {
    if (!this.isReading) return;
    if (now - this.#toldAt > ACK_MS) this.#tellDelivered();
    for (const entry of this.#unanswered.values()) {
      if (entry.repeatAt === null || entry.repeatAt > now || !this.isIn) continue;
      entry.repeatAt = null;
      this.send(entry.frame);
    }
    if (!this.isIn) return;
    if (this.#askedAt !== undefined) {
      // Not counted from what was heard last: this process may have stood still itself.
      if (now - this.#askedAt > SILENCE_MS) this.drop();
    } else if (now - this.heardAt > SILENCE_MS) {
      this.#askedAt = now;
      this.send({ msgid: 18 });
    }
  }

  #tellDelivered(): void {
    if (!this.isIn) return;
    this.#toldAt = performance.now();
    this.#untold = 0;
    for (const [conversation, progress] of this.#progress) {
      if (progress.upTo === progress.told) continue;
      progress.told = progress.upTo;
      this.send({ msgid: 12, conversation, seq: progress.upTo });
    }
  }

  /** See {@link LoadUser.onFrame}. */
  protected override onFrame(frame: Frame): void {
    this.#askedAt = undefined;
    switch (frame.msgid) {
      case 6:
      case 10:
        return this.#onChat(frame);
      case 11:
        return this.#onAck(frame);
      case 20:
        this.notices.push(String(frame.code));
        this.comeBackInMs = frame.retry_after_ms;
        return;
      case 19:
        this.#requests.get(frame.cid ?? "")?.(frame);
        return;
      case 14:
        return;
      default:
        this.ledger.oddities.push(`user ${this.id}: ${JSON.stringify(frame)}`);
    }
  }

  #onChat(frame: Frame): void {
    const isNew = this.hear(frame);
    // Before the first that it is sent there is nothing for it: who has made and joined a group is told to version 3 only.
    this.#progressOf(frame.conversation ?? "").begin((frame.seq ?? 0) - 1);
    this.have(frame);
    if (isNew && ++this.#untold >= ACK_EVERY) this.#tellDelivered();
  }

  /** It has what is in this place. */
  protected have({ conversation = "", seq = 0 }: Partial<Place>): void {
    this.#progressOf(conversation).add(seq);
  }

  /** An entry came that is no message. */
  protected onEntry(frame: Frame): void {
    this.#progressOf(frame.conversation ?? "").begin((frame.seq ?? 0) - 1);
    this.have(frame);
  }

  /** What it has said is in its place: it has that now, unless it is sent it. */
  protected onPlaced(_key: string, place: Place): void {
    // What it says to itself comes back as a frame, and only then it has it.
    if (place.conversation !== `u${this.id}-${this.id}`) this.have(place);
  }

  #progressOf(conversation: string): Progress {
    let progress = this.#progress.get(conversation);
    if (!progress) this.#progress.set(conversation, progress = new Progress());
    return progress;
  }

  #onAck(frame: Frame): void {
    const { cid = "", errno, conversation, seq } = frame;
    const request = this.#requests.get(cid);
    if (request) return request(frame);
    const entry = this.#unanswered.get(cid);
    if (!entry) {
      // A repeat may be answered twice: by the connection that was given up, never; by this one, once for each sending.
      if (errno !== 0 && errno !== 10) this.ledger.oddities.push(`user ${this.id}: ${JSON.stringify(frame)}`);
      return;
    }
    if (errno === 0 && conversation !== undefined && seq !== undefined) {
      this.#unanswered.delete(cid);
      this.ledger.noteAnswer(cid, { conversation, seq });
      this.onPlaced(cid, { conversation, seq });
    } else if (errno === 10) {
      this.#refusals++;
      this.ledger.tally.refused++;
      entry.repeatAt = performance.now() + this.random.below(REPEAT_MS);
    } else this.ledger.oddities.push(`user ${this.id}: ${JSON.stringify(frame)}`);
  }

  /** Tells all it has, and closes once the server has taken note. */
  protected override async sayGoodbye(client: ChatClient): Promise<void> {
    this.#tellDelivered();
    try {
      // Requests of a connection are handled in their order.
      await this.request({ msgid: 18 }).catch(() => {});
    } finally {
      client.close();
    }
  }
}
