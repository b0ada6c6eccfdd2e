/**
 * A second client of version 2, written from PROTOCOL.md alone and sharing nothing with the program's own.
 * What it can do is what that document tells a client author. It keeps everything in memory.
 *
 * @module
 */

import {
  type Frame,
  isFrame,
  Link,
  listOf,
  makeCid,
  numberOf,
  placeOf,
  type ServerAddress,
  textOf,
} from "./independent_wire.ts";
import { waitFor } from "../support/process.ts";

/** What happened to a client, in the order in which it happened. */
export type ClientEvent =
  | { kind: "connected"; address: ServerAddress }
  | { kind: "lost" }
  | { kind: "sent"; frame: Frame }
  | { kind: "received"; frame: Frame }
  | { kind: "logged_in"; by: "password" | "token"; reply: Frame }
  | { kind: "login_refused"; errno: number; errmsg: string }
  | { kind: "shown"; message: ShownMessage }
  | { kind: "duplicate"; conversation: string; seq: number }
  | { kind: "late"; conversation: string; seq: number }
  | { kind: "hole"; conversation: string; after: number; before: number }
  | { kind: "filled"; conversation: string; seqs: readonly number[] }
  | { kind: "stored"; cid: string; conversation: string; seq: number; at: number }
  | { kind: "repeated"; cid: string }
  | { kind: "refused"; cid: string; errno: number; errmsg: string }
  | { kind: "receipt"; conversation: string; id: number; delivered: number; read: number }
  | { kind: "recalled"; conversation: string; seq: number; id: number }
  | { kind: "notice"; code: string; reconnect: boolean };

/** A message as the user sees it. */
export interface ShownMessage {
  /** `u<lower>-<higher>` or `g<group id>`. */
  conversation: string;
  /** Its place there; 0 where the server stores nothing (`--persist offline`). */
  seq: number;
  /** User id of its sender. */
  from: number;
  /** Its text; null when it was recalled. */
  text: string | null;
}

/** How a client behaves; times in milliseconds. */
export interface ClientOptions {
  /** Tried one after the other, whichever was lost. */
  addresses: readonly ServerAddress[];
  /** User id. */
  id: number;
  /** Needed for the first login, and again whenever the token is refused. */
  password: string;
  /** Bounds of the wait before a reconnect, which doubles from one to the other; 500 and 30000 by default. */
  backOff?: { firstMs: number; mostMs: number };
  /** How long an acknowledgement may wait for others; 1000 by default. */
  ackDelayMs?: number;
  /** How long a hole may stay that may yet close by itself; 1000 by default. */
  patienceMs?: number;
  /** Where chance comes from; Math.random by default. */
  random?: () => number;
}

const LOGIN = 1, LOGIN_ACK = 2, LOGOUT = 3, SIGNUP = 4, SIGNUP_ACK = 5, ONE_CHAT = 6, GROUP_CHAT = 10;
const ACK = 11, DELIVERED = 12, READ = 13, RECEIPT = 14, HISTORY = 15, HISTORY_ACK = 16, RECALL = 17;
const BEAT = 18, BEAT_ACK = 19, NOTICE = 20, RESUME = 21;
const REPLIES: readonly unknown[] = [LOGIN_ACK, SIGNUP_ACK, ACK, HISTORY_ACK, BEAT_ACK];

const DONE = 0,
  ALREADY_ONLINE = 2,
  NOT_LOGGED_IN = 3,
  TOO_MANY = 8,
  TOO_LARGE = 9,
  UNAVAILABLE = 10,
  TOKEN_UNKNOWN = 11;

/** What a later try may get past. */
const MAY_PASS: readonly number[] = [ALREADY_ONLINE, NOT_LOGGED_IN, TOO_MANY, UNAVAILABLE];

const TICK_MS = 20;
/** How long the reply to a login may take. */
const BEFORE_LOGIN = { intervalMs: 10_000, misses: 1 };
/** The server closes the connection of a longer one without naming it, and would each time it is repeated. */
const MAX_FRAME_BYTES = 65536;
const MOST_UNANSWERED = 64;
const MOST_UNACKNOWLEDGED = 64;

function lengthOf(frame: Frame): number {
  return new TextEncoder().encode(JSON.stringify(frame)).length;
}

/** What a client knows of one conversation. */
class Timeline {
  /** All that exists up to here is known: shown, its own, or said not to be there. */
  top: number;
  /** The highest seq that is known to exist. */
  end: number;
  /** Up to here the server knows that we have it. */
  acknowledged: number;
  /** When the last acknowledgement went out. */
  acknowledgedAtMs = 0;
  /** When a hole is worth asking for; null while there is none or it is being asked for. */
  holeDueMs: number | null = null;
  /** True while a 15 is under way. */
  isAsking = false;
  /** What the user sees, in order. */
  readonly shown: ShownMessage[] = [];
  /** Known beyond a hole: a message, or null where nothing exists. */
  readonly #beyond = new Map<number, ShownMessage | null>();
  /** Seqs that 15 said do not exist. */
  readonly #absent = new Set<number>();

  constructor(readonly conversation: string, start: number) {
    this.top = this.end = this.acknowledged = start;
  }

  /** Takes a message in; false when it is known already. */
  add(seq: number, message: ShownMessage | null): boolean {
    this.end = Math.max(this.end, seq);
    if (seq <= this.top || this.#beyond.has(seq)) return false;
    this.#beyond.set(seq, message);
    return true;
  }

  /** Moves up to the next hole; returns what the user sees of that. */
  advance(): ShownMessage[] {
    const news: ShownMessage[] = [];
    for (let next = this.#beyond.get(this.top + 1); next !== undefined;) {
      this.#beyond.delete(++this.top);
      if (next) news.push(next);
      else this.#absent.add(this.top);
      next = this.#beyond.get(this.top + 1);
    }
    this.shown.push(...news);
    return news;
  }

  /** True when something is known beyond a hole. */
  get isTorn(): boolean {
    return this.#beyond.size > 0;
  }

  /** The lowest seq known beyond the first hole, or the one behind the end. */
  get holeEnd(): number {
    return Math.min(this.end + 1, ...this.#beyond.keys());
  }

  /** True for a seq that was given up: a message that comes there after all is one the user never sees. */
  isAbsent(seq: number): boolean {
    return this.#absent.has(seq);
  }

  /** Strikes out the text of a message, shown or still to be. */
  strike(seq: number): void {
    const message = this.#beyond.get(seq) ?? this.shown.find((one) => one.seq === seq);
    if (message) message.text = null;
  }
}

interface OutboxEntry {
  frame: Frame;
  /** When it is to go out (again); null while it waits for its reply. */
  dueAtMs: number | null;
  wasSent: boolean;
}

interface Asked {
  onReply: (reply: Frame) => void;
  onLost: () => void;
}

/** The connection ended before the reply: whether the request was carried out is not known. */
export class ConnectionLostError extends Error {}

/** A user's client. It logs in, stays connected, and hands every message out once and in order. */
export class IndependentClient implements AsyncDisposable {
  /** All that happened. */
  readonly events: ClientEvent[] = [];
  /** While false nothing is acknowledged. */
  isAcknowledging = true;
  readonly #options: Required<ClientOptions>;
  readonly #outbox = new Map<string, OutboxEntry>();
  readonly #asked = new Map<string, Asked>();
  readonly #timelines = new Map<string, Timeline>();
  #running: Promise<void> | null = null;
  #link: Link | null = null;
  #token: string | null = null;
  #name = "";
  #isLoggedIn = false;
  #isStopped = false;
  #addressIndex = 0;
  #failures = 0;
  #pauseMs: number | null = null;
  #wakeUp: () => void = () => {};
  #heartbeat = { intervalMs: Infinity, misses: 3 };
  #heardAtMs = 0;
  #beatAtMs = 0;
  #spokeAtMs = 0;

  /** Does nothing until {@linkcode start}. */
  constructor(options: ClientOptions) {
    const backOff = { firstMs: 500, mostMs: 30_000 };
    this.#options = { backOff, ackDelayMs: 1000, patienceMs: 1000, random: Math.random, ...options };
  }

  /**
   * Begins to connect, and to connect again, until {@linkcode close} or until the server says not to. After
   * that it is what a user does who asks to be connected again.
   */
  start(): void {
    this.#isStopped = false;
    this.#running ??= this.#run().finally(() => this.#running = null);
  }

  /** True while a login holds. */
  get isLoggedIn(): boolean {
    return this.#isLoggedIn;
  }

  /** True when it does not come back by itself any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** What the last login gave to resume with. */
  get token(): string | null {
    return this.#token;
  }

  /** How many messages have no reply yet. */
  get unsent(): number {
    return this.#outbox.size;
  }

  /** A conversation as the user sees it. */
  shown(conversation: string): readonly ShownMessage[] {
    return this.#timelines.get(conversation)?.shown ?? [];
  }

  /** The events of one kind. */
  eventsOf<Kind extends ClientEvent["kind"]>(kind: Kind): Extract<ClientEvent, { kind: Kind }>[] {
    return this.events.filter((event): event is Extract<ClientEvent, { kind: Kind }> => event.kind === kind);
  }

  /** Writes to a user; returns the message's cid. It is repeated until it has a reply. */
  send(toid: number, msg: string): string {
    return this.#post({ msgid: ONE_CHAT, toid, msg });
  }

  /** Writes to a group; as {@linkcode send}. */
  sendToGroup(groupid: number, msg: string): string {
    return this.#post({ msgid: GROUP_CHAT, groupid, msg });
  }

  /** Tells that the user has read everything up to `seq`. */
  read(conversation: string, seq: number): void {
    this.#write({ msgid: READ, conversation, seq });
  }

  /** Takes a message back; resolves with the reply. */
  async recall(conversation: string, seq: number): Promise<Frame> {
    const reply = await this.request({ msgid: RECALL, conversation, seq });
    if (numberOf(reply, "errno") === DONE) this.#timelines.get(conversation)?.strike(seq);
    return reply;
  }

  /** Sends any request with a new cid; resolves with its reply, rejects when the connection ends before. */
  request(frame: Frame): Promise<Frame> {
    const { promise, resolve, reject } = Promise.withResolvers<Frame>();
    this.#ask(frame, resolve, () => reject(new ConnectionLostError("No reply: the connection is lost")));
    return promise;
  }

  /** Logs out and stays away. */
  async logOut(): Promise<Frame> {
    this.#isStopped = true;
    const reply = await this.request({ msgid: LOGOUT, id: this.#options.id });
    await this.close();
    return reply;
  }

  /** Loses the connection as if the network had failed. */
  cut(): void {
    this.#link?.close();
  }

  /** Ends; resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#isStopped = true;
    this.#wakeUp();
    this.cut();
    await this.#running;
  }

  /** As {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#live();
      if (!this.#isStopped) await this.#pause();
    }
  }

  /** One connection from its beginning to its end. */
  async #live(): Promise<void> {
    const { addresses } = this.#options;
    const address = addresses[this.#addressIndex++ % addresses.length];
    if (!address) throw new Error("A client needs a server's address");
    const link = await Link.open(address).catch(() => null); // Refused or unreachable: the next one may do.
    if (!link) return;
    this.#link = link;
    this.#heardAtMs = performance.now();
    this.#beatAtMs = this.#spokeAtMs = this.#heardAtMs;
    this.events.push({ kind: "connected", address });
    const ticking = setInterval(() => this.#tick(performance.now()), TICK_MS);
    try {
      if (this.#isStopped) link.close();
      else this.#logIn();
      await link.read((frame) => this.#take(frame));
    } finally {
      clearInterval(ticking);
      this.#lose();
    }
  }

  #lose(): void {
    this.#link = null;
    this.#isLoggedIn = false;
    this.events.push({ kind: "lost" });
    for (const { onLost } of this.#asked.values()) onLost();
    this.#asked.clear();
    for (const timeline of this.#timelines.values()) timeline.isAsking = false;
  }

  /** Waits a random time up to a bound that doubles, or as long as the server has said. */
  async #pause(): Promise<void> {
    const { backOff: { firstMs, mostMs }, random } = this.#options;
    const boundMs = Math.min(mostMs, firstMs * 2 ** this.#failures++);
    const ms = this.#pauseMs ?? random() * boundMs;
    this.#pauseMs = null;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeUp = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }

  #write(frame: Frame): void {
    if (!this.#link) return;
    this.#spokeAtMs = performance.now();
    this.events.push({ kind: "sent", frame });
    this.#link.write(`${JSON.stringify(frame)}\n`);
  }

  /** Sends a request; `onReply` runs before the frames behind the reply are looked at. */
  #ask(frame: Frame, onReply: (reply: Frame) => void, onLost: () => void = () => {}): void {
    if (!this.#link) return onLost();
    const cid = makeCid();
    this.#asked.set(cid, { onReply, onLost });
    this.#write({ ...frame, cid });
  }

  #logIn(): void {
    const { id, password } = this.#options;
    const by = this.#token === null ? "password" : "token";
    const frame = by === "password"
      ? { msgid: LOGIN, v: 2, id, password }
      : { msgid: RESUME, v: 2, token: this.#token };
    this.#ask(frame, (reply) => {
      const errno = numberOf(reply, "errno");
      if (errno === DONE) return this.#welcome(by, reply);
      this.events.push({ kind: "login_refused", errno, errmsg: textOf(reply, "errmsg") });
      if (errno === TOKEN_UNKNOWN && by === "token") {
        this.#token = null;
        return this.#logIn();
      }
      if (!MAY_PASS.includes(errno)) this.#isStopped = true;
      this.#comeBackIn(reply);
      this.cut();
    });
  }

  #comeBackIn(frame: Frame): void {
    const { retry_after_ms: ms } = frame;
    this.#pauseMs = typeof ms === "number" ? ms : null;
  }

  #welcome(by: "password" | "token", reply: Frame): void {
    const isFirst = this.#name === "";
    this.events.push({ kind: "logged_in", by, reply });
    this.#isLoggedIn = true;
    this.#failures = 0;
    this.#token = textOf(reply, "token");
    this.#name = textOf(reply, "name");
    const heartbeat = isFrame(reply.heartbeat) ? reply.heartbeat : {};
    this.#heartbeat = {
      intervalMs: numberOf(heartbeat, "interval_ms", Infinity),
      misses: numberOf(heartbeat, "misses", 1),
    };
    for (const state of listOf(reply, "conversations")) this.#catchUp(state, isFirst);
    for (const entry of this.#outbox.values()) entry.dueAtMs = 0;
    this.#tick(performance.now());
  }

  /**
   * What a login says of a conversation: from where the server is going to send, and what there is. The first
   * login is where this client begins. Of a conversation that is new in a later one it has nothing, whatever
   * `delivered` says: that may count a message of its own whose reply was lost.
   */
  #catchUp(state: Frame, isFirst: boolean): void {
    const conversation = textOf(state, "conversation");
    const delivered = numberOf(state, "delivered");
    const timeline = this.#timeline(conversation, isFirst ? delivered : 0);
    timeline.acknowledged = delivered;
    timeline.end = Math.max(timeline.end, numberOf(state, "last_seq"));
    if (isFrame(state.peer)) {
      this.#takeReceipt({ ...state.peer, conversation, id: this.#peerOf(conversation) });
    }
    this.#advance(timeline);
  }

  /** A message that is not stored (`--persist offline`) does not say where it belongs. */
  #conversationWith(id: number): string {
    const { id: own } = this.#options;
    return `u${Math.min(id, own)}-${Math.max(id, own)}`;
  }

  #peerOf(conversation: string): number {
    const [lower = 0, higher = 0] = conversation.slice(1).split("-").map(Number);
    return lower === this.#options.id ? higher : lower;
  }

  #timeline(conversation: string, start = 0): Timeline {
    let timeline = this.#timelines.get(conversation);
    if (!timeline) this.#timelines.set(conversation, timeline = new Timeline(conversation, start));
    return timeline;
  }

  #take(frame: Frame): void {
    this.#heardAtMs = performance.now();
    this.events.push({ kind: "received", frame });
    if (REPLIES.includes(frame.msgid)) this.#takeReply(frame);
    else if (frame.msgid === ONE_CHAT || frame.msgid === GROUP_CHAT) this.#takeChat(frame);
    else if (frame.msgid === RECEIPT) this.#takeReceipt(frame);
    else if (frame.msgid === RECALL) this.#takeRecall(frame);
    else if (frame.msgid === NOTICE) this.#takeNotice(frame);
  }

  #takeReply(frame: Frame): void {
    const cid = textOf(frame, "cid");
    const asked = this.#asked.get(cid);
    if (asked) {
      this.#asked.delete(cid);
      return asked.onReply(frame);
    }
    const entry = this.#outbox.get(cid);
    if (entry) this.#settle(cid, entry, frame);
  }

  /** A message of ours has its reply: it is stored, or refused, or has to be sent again. */
  #settle(cid: string, entry: OutboxEntry, reply: Frame): void {
    const errno = numberOf(reply, "errno");
    if (MAY_PASS.includes(errno)) {
      entry.dueAtMs = performance.now() + numberOf(reply, "retry_after_ms", this.#options.backOff.firstMs);
      return;
    }
    this.#outbox.delete(cid);
    if (errno !== DONE) {
      this.events.push({ kind: "refused", cid, errno, errmsg: textOf(reply, "errmsg") });
      return;
    }
    const { conversation, seq, at } = placeOf(reply);
    this.events.push({ kind: "stored", cid, conversation, seq, at });
    const from = this.#options.id;
    this.#show({ conversation, seq, from, text: textOf(entry.frame, "msg") });
  }

  #takeChat(frame: Frame): void {
    const { seq } = placeOf(frame);
    const from = numberOf(frame, "id");
    const conversation = textOf(frame, "conversation") || this.#conversationWith(from);
    const message = { conversation, seq, from, text: textOf(frame, "msg") };
    const timeline = this.#timeline(conversation);
    if (this.#show(message)) {
      if (timeline.isTorn) this.#fill(timeline);
    } else {
      this.events.push({ kind: timeline.isAbsent(seq) ? "late" : "duplicate", conversation, seq });
    }
  }

  /** Puts a message where it belongs; false when it is there already. */
  #show(message: ShownMessage): boolean {
    const timeline = this.#timeline(message.conversation);
    if (message.seq === 0) this.events.push({ kind: "shown", message });
    else if (!timeline.add(message.seq, message)) return false;
    this.#advance(timeline);
    return true;
  }

  #advance(timeline: Timeline): void {
    const { top } = timeline;
    for (const message of timeline.advance()) this.events.push({ kind: "shown", message });
    if (timeline.top === timeline.end) timeline.holeDueMs = null;
    else if (timeline.top > top || timeline.holeDueMs === null) {
      timeline.holeDueMs = performance.now() + this.#options.patienceMs;
    }
    if (timeline.top - timeline.acknowledged >= MOST_UNACKNOWLEDGED) this.#acknowledge(timeline);
  }

  #acknowledge(timeline: Timeline): void {
    if (!this.isAcknowledging || !this.#isLoggedIn) return;
    const { conversation, top: seq } = timeline;
    timeline.acknowledged = seq;
    timeline.acknowledgedAtMs = performance.now();
    this.#write({ msgid: DELIVERED, conversation, seq });
  }

  /** Asks for what is missing below what is known. */
  #fill(timeline: Timeline): void {
    if (timeline.isAsking || !this.#isLoggedIn) return;
    const { conversation, top: after, holeEnd: before } = timeline;
    timeline.isAsking = true;
    timeline.holeDueMs = null;
    this.events.push({ kind: "hole", conversation, after, before });
    this.#ask({ msgid: HISTORY, conversation, after, before }, (reply) => {
      timeline.isAsking = false;
      if (numberOf(reply, "errno") === DONE) this.#takeHistory(timeline, after, before, reply);
      this.#advance(timeline);
    });
  }

  /** What the server has between two seqs; what it does not have there does not exist. */
  #takeHistory(timeline: Timeline, after: number, before: number, reply: Frame): void {
    const { conversation } = timeline;
    const found = listOf(reply, "messages");
    for (const frame of found) {
      // A message may have a "recalled" of its sender's making; the place of a recalled one has no msgid.
      const text = frame.msgid === undefined ? null : textOf(frame, "msg");
      timeline.add(numberOf(frame, "seq"), {
        conversation,
        seq: numberOf(frame, "seq"),
        from: numberOf(frame, "id"),
        text,
      });
    }
    const seqs = found.map((frame) => numberOf(frame, "seq"));
    const looked = reply.more === true ? seqs.at(-1) ?? after : before - 1;
    for (let seq = after + 1; seq <= looked; seq++) timeline.add(seq, null);
    this.events.push({ kind: "filled", conversation, seqs });
  }

  #takeReceipt(frame: Frame): void {
    const { conversation } = placeOf(frame);
    const [id, delivered, read] = [
      numberOf(frame, "id"),
      numberOf(frame, "delivered"),
      numberOf(frame, "read"),
    ];
    this.events.push({ kind: "receipt", conversation, id, delivered, read });
  }

  #takeRecall(frame: Frame): void {
    const { conversation, seq } = placeOf(frame);
    const timeline = this.#timeline(conversation);
    this.events.push({ kind: "recalled", conversation, seq, id: numberOf(frame, "id") });
    timeline.strike(seq);
    // When it comes before its message it stands in its place: the message itself is gone.
    this.#show({ conversation, seq, from: 0, text: null });
  }

  #takeNotice(frame: Frame): void {
    const reconnect = frame.reconnect === true;
    this.events.push({ kind: "notice", code: textOf(frame, "code"), reconnect });
    if (reconnect) this.#comeBackIn(frame);
    else this.#isStopped = true;
  }

  #post(frame: Frame): string {
    const cid = makeCid();
    const time = new Date().toISOString().slice(0, 19).replace("T", " ");
    this.#outbox.set(cid, { frame: { ...frame, cid, time }, dueAtMs: 0, wasSent: false });
    this.#sendDue(performance.now());
    return cid;
  }

  /** Sends what waits in the outbox, oldest first, as many at a time as the server takes. */
  #sendDue(nowMs: number): void {
    if (!this.#isLoggedIn) return;
    let unanswered = 0;
    for (const [cid, entry] of this.#outbox) {
      if (++unanswered > MOST_UNANSWERED) return;
      if (entry.dueAtMs === null || entry.dueAtMs > nowMs) continue;
      if (entry.wasSent) this.events.push({ kind: "repeated", cid });
      entry.wasSent = true;
      entry.dueAtMs = null;
      const frame = { ...entry.frame, id: this.#options.id, name: this.#name };
      if (lengthOf(frame) <= MAX_FRAME_BYTES) this.#write(frame);
      else this.#settle(cid, entry, { errno: TOO_LARGE, errmsg: "Longer than a frame may be" });
    }
  }

  /** What is due by the clock. */
  #tick(nowMs: number): void {
    const { intervalMs, misses } = this.#isLoggedIn ? this.#heartbeat : BEFORE_LOGIN;
    if (nowMs - this.#heardAtMs >= intervalMs * misses) return this.cut();
    if (!this.#isLoggedIn) return;
    this.#sendDue(nowMs);
    for (const timeline of this.#timelines.values()) {
      const isDue = nowMs - timeline.acknowledgedAtMs >= this.#options.ackDelayMs;
      if (isDue && timeline.top > timeline.acknowledged) this.#acknowledge(timeline);
      if (timeline.holeDueMs !== null && timeline.holeDueMs <= nowMs) this.#fill(timeline);
    }
    // Also while we send: it may be of the kind that has no reply, and whether the server lives shows a beat.
    if (nowMs - Math.max(this.#beatAtMs, Math.min(this.#spokeAtMs, this.#heardAtMs)) >= intervalMs) {
      this.#beatAtMs = nowMs;
      this.#write({ msgid: BEAT });
    }
  }
}

/** The password of everybody whom the tests sign up. */
export const PASSWORD = "s3cret";

/** Starts a client that waits less than one should in real life. */
export function startClient(
  id: number,
  addresses: readonly ServerAddress[],
  options: Partial<ClientOptions> = {},
): IndependentClient {
  const impatience = { backOff: { firstMs: 20, mostMs: 200 }, ackDelayMs: 50, patienceMs: 200 };
  const client = new IndependentClient({ addresses, id, password: PASSWORD, ...impatience, ...options });
  client.start();
  return client;
}

/** Resolves when all of these are logged in. */
export async function loggedIn(...clients: readonly IndependentClient[]): Promise<void> {
  await waitFor("the clients to be logged in", () => clients.every((client) => client.isLoggedIn));
}

/** Signs somebody up over a connection of its own; resolves with the user's id. */
export async function signUp(address: ServerAddress, name: string, password = PASSWORD): Promise<number> {
  const link = await Link.open(address);
  let reply: Frame = {};
  link.write(`${JSON.stringify({ msgid: SIGNUP, v: 2, cid: makeCid(), name, password })}\n`);
  await link.read((frame) => {
    reply = frame;
    link.close();
  });
  if (reply.errno !== DONE) throw new Error(`The server did not sign up ${name}: ${JSON.stringify(reply)}`);
  return numberOf(reply, "id");
}
