/**
 * The client's side of the protocol: connected or not, logged in or not, and how to get back to where we were. Knows no
 * socket, no terminal and no clock of its own.
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import { ERRNO, MSGID } from "../../protocol/protocol.ts";
import type { JsonObject, ProtocolVersion } from "../../protocol/protocol.ts";
import { Account } from "./account.ts";
import { BackOff } from "./back_off.ts";
import { createCid } from "./cid.ts";
import type { SessionEvent } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { ClientStore } from "./store.ts";
import { Link } from "./link.ts";
import { integerOf, textOf } from "./messages.ts";
import { readProfile } from "./profile.ts";
import { NO_ANSWER, noReply, readReply, Requests } from "./requests.ts";
import type { Reply } from "./requests.ts";
import type { Dial } from "./transport.ts";

/** What a session works with. */
export interface ClientSessionOptions {
  /** The way to the server. */
  dial: Dial;
  /** The server's address, for people. */
  server: string;
  /** Speak version 1. */
  isV1: boolean;
  /** What arrives goes to a script: it is received by that, and not read by anybody. */
  isForScript?: boolean;
  /** Times waits. */
  clock: Clock;
  /** The date, ms since the epoch. */
  wallNow: () => number;
  /** Numbers from 0 to 1, for the back-off. */
  random: () => number;
  /** Opens what is kept for a user; version 1 has no positions to keep anything by, so it is asked for both. */
  openStore(userId: number, version: ProtocolVersion): ClientStore;
  /** Told in order, never while a change is not yet stored. */
  onEvent(event: SessionEvent): void;
  /** Given, the session speaks version 3. */
  modern?: ModernClient;
}

/** What a client of version 3 says, and is told beside the events. */
export interface ModernClient {
  /** What its user calls this device, in at most 64 characters. */
  device: string;
  /** Which of the user's devices this was before, by id or name of who is about to log in; undefined: none. */
  deviceOf?(who: number | string): number | undefined;
  /** The connection's state changed. */
  onLink(state: LinkState): void;
  /** A login reply, also after a reconnect, before anything that follows from it. Its token replaces the one before. */
  onLogin(frame: JsonObject): void;
  /** Another token, in place of the one before: the password was changed here. */
  onToken?(token: string): void;
  /** A frame that came by itself, after the session has taken from it what concerns messages. */
  onFrame(frame: JsonObject): void;
}

/** How the session stands with the server. */
export type LinkState =
  | { kind: "connecting" }
  | { kind: "online" }
  /** Connects again `inMs` from now; `code`: of the server's notice, where it gave one. */
  | { kind: "waiting"; inMs: number; code: string | undefined }
  /** Does not come back by itself. */
  | { kind: "ended"; code: string | undefined };

/** Who is logged in, and what it takes to be that again. The password is kept nowhere else. */
interface Identity {
  id: number;
  /** Undefined after {@link ClientSession.resume}. */
  password: string | undefined;
  token: string | undefined;
}

interface Notice {
  code: string | undefined;
  text: string;
  canReconnect: boolean;
  retryAfterMs: number | undefined;
}

/** A question whose answer shows that this connection speaks version 2 at least. */
interface Probe {
  cid: string;
  timer: Timer;
  onEnd(isAnswered: boolean): void;
}

/** A login, signup or resume that waits for its reply. */
interface Authentication {
  cid: string;
  timer: Timer;
  onReply(reply: Reply): void;
}

const LOGIN_TIMEOUT_MS = 20_000;
/** So long a server is given to show that it knows version 2, before it is taken for the original. */
const PROBE_TIMEOUT_MS = 1000;
/** A server that knows version 2 and not 3 says nothing to a RESUME in version 3: after so long that is looked into. */
const RESUME_PATIENCE_MS = 3000;
/** A connection that lasted so long was a good one: the waits begin anew at the short end. */
const STABLE_MS = 10_000;

/** One session with one server. */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #link: Link;
  readonly #heartbeat: Heartbeat;
  readonly #requests: Requests;
  readonly #backOff: BackOff;
  #account: Account | undefined;
  #identity: Identity | undefined;
  #authentication: Authentication | undefined;
  #probe: Probe | undefined;
  /** This connection speaks version 2 at least, as far as that can be had. */
  #isProbed = false;
  /** The newest version that the server of this connection may know. */
  #newest: 2 | 3 = 3;
  #resumeTimer: Timer | undefined;
  #notice: Notice | undefined;
  #reconnectTimer: Timer | undefined;
  #opening: PromiseWithResolvers<string> | undefined;
  #change = Promise.withResolvers<void>();
  #isOnline = false;
  #onlineSince = 0;
  #isEnding = false;
  #stopping: Promise<void> | undefined;

  /** Connects at {@link connect}. */
  constructor(options: ClientSessionOptions) {
    this.#options = options;
    const { dial, clock, wallNow, random } = options;
    this.#link = new Link({
      dial,
      clock,
      events: {
        onOpen: () => this.#opened(),
        onFrames: (frames) => this.#receive(frames),
        onClose: (reason) => this.#closed(reason),
      },
    });
    const link = this.#link;
    this.#heartbeat = new Heartbeat({
      get lastSentAt() {
        return link.lastSentAt;
      },
      get lastReceivedAt() {
        return link.lastReceivedAt;
      },
      beat: () => void link.send({ msgid: MSGID.HEARTBEAT_MSG }),
      lost: () => link.close("the server is silent"),
    }, clock);
    this.#requests = new Requests({ clock, wallNow, send: (frame) => this.#isOnline && link.send(frame) });
    this.#backOff = new BackOff(random);
  }

  /** The logged-in user's, also while the connection is away. */
  get account(): Account | undefined {
    return this.#account;
  }

  /** Connected and logged in. */
  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** Resolves at the next change of anything that {@link isSettled} looks at. */
  get nextChange(): Promise<void> {
    return this.#change.promise;
  }

  /** Nothing is under way: all was acknowledged, all was answered, all that existed at login has arrived. */
  get isSettled(): boolean {
    if (this.#account === undefined) return true;
    return this.#isOnline && this.#requests.size === 0 && this.#account.isSettled;
  }

  /** Resolves when connected, with the empty string, or with the reason why not. */
  async connect(): Promise<string> {
    if (this.#link.isOpen) return "";
    if (this.#opening === undefined) {
      this.#opening = Promise.withResolvers<string>();
      this.#status(`connecting to ${this.#options.server}`);
      this.#open();
    }
    return await this.#opening.promise;
  }

  /** Makes a new user; a successful reply's frame has the `id`. `invite`: a code, where the server asks for one. */
  async signup(name: string, password: string, invite?: string): Promise<Reply> {
    const problem = await this.connect();
    if (problem !== "") return noReply(problem);
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const frame = { msgid: MSGID.SIGNUP_MSG, name, password };
    this.#authenticate(invite === undefined ? frame : { ...frame, invite }, resolve);
    return promise;
  }

  /** Chooses a password by a code of the operator's; the reply names the user. */
  async resetPassword(code: string, password: string): Promise<Reply> {
    const problem = await this.connect();
    if (problem !== "") return noReply(problem);
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#authenticate({ msgid: MSGID.RESET_MSG, code, password }, resolve);
    return promise;
  }

  /** Logs in, in version 3 also by name; the event `logged_in` comes before this resolves. */
  async login(who: number | string, password: string): Promise<Reply> {
    const problem = await this.connect();
    if (problem !== "") return noReply(problem);
    await this.#reachVersion2();
    if (!this.#link.isOpen) return noReply("the connection was lost");
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#authenticate(this.#loginRequest(who, password), (reply) => {
      if (reply.errno === ERRNO.OK) this.#begin(reply.frame, password);
      resolve(reply);
    });
    return promise;
  }

  #loginRequest(who: number | string, password: string): JsonObject {
    const named = typeof who === "number" ? { id: who } : { name: who };
    const request = { msgid: MSGID.LOGIN_MSG, ...named, password };
    const { modern } = this.#options;
    if (modern === undefined || this.#newest < 3) return request;
    const deviceId = modern.deviceOf?.(who);
    return { ...request, device: modern.device, ...(deviceId === undefined ? {} : { device_id: deviceId }) };
  }

  /**
   * To a server that knows version 2 and not 3, a login in version 3 is one in version 1. But a connection that has spoken
   * version 2 goes on with that, or with 3 where the server knows it: so version 2 is asked for first, by a RESUME that
   * cannot work. The original says nothing to it.
   */
  async #reachVersion2(): Promise<void> {
    if (this.#options.modern === undefined || this.#isProbed || !this.#link.isOpen) return;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#sendProbe(PROBE_TIMEOUT_MS, resolve);
    await promise;
  }

  #sendProbe(timeoutMs: number, onEnd: (isAnswered: boolean) => void): void {
    const cid = createCid(this.#options.wallNow());
    const timer = this.#options.clock.after(timeoutMs, () => this.#endProbe(false));
    this.#isProbed = true;
    this.#probe = { cid, timer, onEnd };
    this.#link.send({ msgid: MSGID.RESUME_MSG, v: 2, cid, token: "-" });
  }

  #endProbe(isAnswered: boolean): void {
    const probe = this.#probe;
    this.#probe = undefined;
    probe?.timer.cancel();
    probe?.onEnd(isAnswered);
  }

  /** Nothing is said to a RESUME in version 3. Frames are answered in order: after a later one's answer its own will not come. */
  #watchResume(identity: Identity): void {
    this.#resumeTimer = this.#options.clock.after(RESUME_PATIENCE_MS, () => {
      const waiting = this.#authentication;
      this.#sendProbe(LOGIN_TIMEOUT_MS, (isAnswered) => {
        if (!isAnswered || waiting === undefined || this.#authentication !== waiting) return;
        this.#newest = 2;
        this.#tryToRestore(identity);
      });
    });
  }

  /**
   * Goes on with a login that an earlier run of the client had, and tries until it is online; when the server knows the
   * token no more, that is the event `logged_out`.
   */
  resume(id: number, token: string): void {
    this.#identity = { id, password: undefined, token };
    if (this.#link.isOpen) this.#restore(this.#identity);
    else this.#open();
  }

  /** Connects anew at once: what a login reply says may be another thing by now. */
  refresh(): void {
    this.#notice = { code: "refresh", text: "asking anew", canReconnect: true, retryAfterMs: 0 };
    this.#link.close("asking anew");
  }

  /** Connects now, where it waits to do so; asks the server for a sign of life, where it is connected. */
  retry(): void {
    if (this.#link.isOpen) this.#link.send({ msgid: MSGID.HEARTBEAT_MSG });
    else if (this.#identity !== undefined) {
      this.#reconnectTimer?.cancel();
      this.#open();
    }
  }

  /**
   * Logs out; the connection stays, unless it was just coming back or the server has not confirmed the logout. Resolves with
   * what is not as it should be, for people, or with the empty string.
   */
  async logout(): Promise<string> {
    const account = this.#account;
    if (account === undefined) return "";
    account.flush();
    this.#heartbeat.stop();
    const frame = { msgid: MSGID.LOGINOUT_MSG, id: account.directory.me.id };
    const reply = account.version === 1 ? undefined : await this.askOnce(frame);
    const wasSent = account.version === 1 && this.#isOnline && this.#link.send(frame);
    this.#forget("logged out");
    // A resume that is under way would log in again.
    this.#endAuthentication(noReply("logged out"));
    if (reply?.frame.token_valid === true) {
      return "the server forgets this session for good when its database is back";
    }
    if (wasSent || reply?.errno === ERRNO.OK) return "";
    // Whatever the server makes of it, a session does not outlive its connection.
    await this.#link.end();
    return `the server has not confirmed it (${reply?.text ?? "not connected"}); the connection is closed`;
  }

  /**
   * Sends a request and resolves with the reply; waits for the connection where there is none. Version 1 has no reply:
   * there it is undefined once the request is sent.
   */
  async ask(frame: JsonObject): Promise<Reply | undefined> {
    if (this.#account !== undefined && this.#account.version !== 1) {
      return await this.#requests.ask(frame, { isRepeatable: true });
    }
    return this.#isOnline && this.#link.send(frame) ? undefined : noReply("not connected");
  }

  /** As {@link ask} in version 2, but without an answer where the connection is away or gets lost. */
  askOnce(frame: JsonObject): Promise<Reply> {
    return this.#requests.ask(frame, { isRepeatable: false });
  }

  /**
   * Changes the password, from version 3 on. All tokens are worthless then; the one that comes with the answer is resumed
   * with from then on.
   */
  async changePassword(old: string, wanted: string): Promise<Reply> {
    const reply = await this.askOnce({ msgid: MSGID.PROFILE_MSG, password: { old, new: wanted } });
    const token = textOf(reply.frame.token);
    if (reply.errno !== ERRNO.OK || this.#identity === undefined || token === "") return reply;
    const { id, password } = this.#identity;
    this.#identity = { id, password: password === undefined ? undefined : wanted, token };
    this.#options.modern?.onToken?.(token);
    return reply;
  }

  /** Logs out, sends what is queued and closes. Nothing happens afterwards. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  /** Ends the connection without logging out: the token stays good. Nothing happens afterwards. */
  leave(): Promise<void> {
    this.#isOnline = false;
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#isEnding = true;
    this.#account?.flush();
    if (this.#isOnline) this.#link.send({ msgid: MSGID.LOGINOUT_MSG, id: this.#account?.directory.me.id });
    this.#forget("the client ends");
    this.#heartbeat.stop();
    this.#endAuthentication(noReply("the client ends"));
    this.#endProbe(false);
    this.#opening?.resolve("the client ends");
    await this.#link.end();
  }

  #opened(): void {
    this.#isProbed = false;
    this.#newest = 3;
    this.#opening?.resolve("");
    this.#opening = undefined;
    if (this.#identity !== undefined) this.#restore(this.#identity);
  }

  #closed(reason: string): void {
    const wasOnline = this.#isOnline;
    const notice = this.#notice;
    if (wasOnline && this.#options.clock.now() - this.#onlineSince >= STABLE_MS) this.#backOff.reset();
    this.#notice = undefined;
    this.#isOnline = false;
    this.#heartbeat.stop();
    this.#account?.stop();
    this.#requests.lost();
    this.#opening?.resolve(`cannot connect to ${this.#options.server}: ${reason}`);
    const isFirst = this.#opening !== undefined;
    this.#opening = undefined;
    this.#endProbe(false);
    this.#endAuthentication(noReply(`the connection was lost: ${reason}`));
    this.#changed();
    if (this.#isEnding) return;
    if (this.#identity !== undefined && notice?.canReconnect !== false) {
      // Without a word of the server's its user may fear for what is typed now.
      const fate = wasOnline && notice === undefined ? "; what you write is kept and sent then" : "";
      this.#reconnectLater(wasOnline ? "connection lost" : "cannot connect", reason, notice, fate);
    } else if (this.#identity !== undefined) {
      this.#forget("logged out");
      this.#options.modern?.onLink({ kind: "ended", code: notice?.code });
      this.#emit({ kind: "logged_out", text: notice?.text ?? reason });
    } else if (!isFirst) {
      this.#status(`connection closed: ${notice?.text ?? reason}; your next choice opens it again`);
    }
  }

  #reconnectLater(what: string, reason: string, notice: Notice | undefined, fate: string): void {
    // The server has spread its clients over time already when it names one.
    const delayMs = notice?.retryAfterMs ?? this.#backOff.next();
    const why = notice?.text || reason;
    this.#status(`${what} (${why}), reconnecting in ${(delayMs / 1000).toFixed(1)} s${fate}`);
    this.#options.modern?.onLink({ kind: "waiting", inMs: delayMs, code: notice?.code });
    this.#reconnectTimer = this.#options.clock.after(delayMs, () => this.#open());
  }

  #open(): void {
    this.#options.modern?.onLink({ kind: "connecting" });
    this.#link.open();
  }

  #restore(identity: Identity): void {
    // What version 2 has given, or a login, may meet a server that knows no more.
    const isSafe = this.#options.modern === undefined || this.#isProbed ||
      (identity.token !== undefined && this.#account?.version !== 2);
    if (isSafe) this.#tryToRestore(identity);
    else {
      this.#reachVersion2().then(() => {
        if (this.#link.isOpen && this.#identity === identity) this.#tryToRestore(identity);
      });
    }
  }

  #tryToRestore(identity: Identity): void {
    const { id, password, token } = identity;
    const frame = token === undefined
      ? this.#loginRequest(id, password ?? "")
      : { msgid: MSGID.RESUME_MSG, token };
    this.#authenticate(frame, (reply) => {
      const isTokenRefused = reply.errno === ERRNO.TOKEN_UNKNOWN || reply.errno === ERRNO.REFUSED;
      if (reply.errno === ERRNO.OK) {
        this.#status(token === undefined ? "logged in again" : "resumed");
        this.#begin(reply.frame, password);
      } else if (token !== undefined && isTokenRefused && password !== undefined) {
        identity.token = undefined;
        this.#restore(identity);
      } else if (isTokenRefused) {
        this.#forget("logged out");
        this.#options.modern?.onLink({ kind: "ended", code: "token" });
        this.#emit({ kind: "logged_out", text: reply.text });
      } else if (reply.errno !== NO_ANSWER) {
        // Online elsewhere (perhaps our own dead connection), too many at once, not available: later.
        const retryAfterMs = integerOf(reply.frame.retry_after_ms);
        this.#notice ??= { code: undefined, text: reply.text, canReconnect: true, retryAfterMs };
        this.#link.close(reply.text);
      }
    });
    if (token !== undefined && !this.#isProbed && this.#options.modern !== undefined) {
      this.#watchResume(identity);
    }
  }

  #authenticate(request: JsonObject, onReply: (reply: Reply) => void): void {
    this.#endAuthentication(noReply("given up for another attempt"));
    const cid = createCid(this.#options.wallNow());
    const timer = this.#options.clock.after(LOGIN_TIMEOUT_MS, () => {
      this.#link.close(`no answer within ${LOGIN_TIMEOUT_MS / 1000} s`);
    });
    this.#authentication = { cid, timer, onReply };
    const v = this.#options.modern === undefined ? 2 : this.#newest;
    this.#link.send(this.#options.isV1 ? request : { ...request, v, cid });
  }

  #endAuthentication(reply: Reply): void {
    const authentication = this.#authentication;
    if (authentication === undefined) return;
    this.#authentication = undefined;
    this.#resumeTimer?.cancel();
    authentication.timer.cancel();
    authentication.onReply(reply);
  }

  #begin(frame: JsonObject, password: string | undefined): void {
    const profile = readProfile(frame, this.#options.wallNow());
    const isAgain = this.#identity?.id === profile.id && this.#account?.version === profile.version;
    this.#options.modern?.onLogin(frame);
    if (!isAgain) {
      this.#account?.close();
      this.#account = this.#openAccount(profile);
    }
    this.#identity = { id: profile.id, password, token: profile.token };
    this.#isOnline = true;
    this.#onlineSince = this.#options.clock.now();
    if (!isAgain) this.#emit({ kind: "logged_in", profile });
    this.#account?.start(profile);
    this.#requests.resend();
    this.#options.modern?.onLink({ kind: "online" });
    if (profile.heartbeat !== undefined) this.#heartbeat.start(profile.heartbeat);
    this.#changed();
  }

  #openAccount(profile: ReturnType<typeof readProfile>): Account {
    const { clock, random, wallNow } = this.#options;
    return new Account({
      profile,
      store: this.#options.openStore(profile.id, profile.version),
      clock,
      random,
      isForScript: this.#options.isForScript ?? false,
      peer: {
        send: (frame) => void this.#link.send(frame),
        askOnce: (frame) => this.askOnce(frame),
        ask: (frame) => this.#requests.ask(frame, { isRepeatable: true }),
        emit: (event) => this.#emit(event),
        wallNow,
        changed: () => this.#changed(),
        failed: (error) => this.#storeFailed(error),
      },
    });
  }

  /** Not logged in any more, whoever wanted it. */
  #forget(why: string): void {
    this.#identity = undefined;
    this.#isOnline = false;
    this.#heartbeat.stop();
    this.#reconnectTimer?.cancel();
    this.#requests.abandon(why);
    this.#account?.close();
    this.#account = undefined;
    this.#changed();
  }

  #receive(frames: readonly JsonObject[]): void {
    try {
      for (let index = 0; index < frames.length;) index = this.#receiveSome(frames, index);
    } catch (error) {
      this.#storeFailed(error);
    }
    this.#changed();
  }

  /** Takes the frames from `index` on that belong in one transaction; returns where the next begin. */
  #receiveSome(frames: readonly JsonObject[], index: number): number {
    const store = this.#account?.store;
    const isAlone = (frame: JsonObject) => this.#isAuthenticationReply(frame);
    const next = frames.findIndex((frame, at) => at > index && isAlone(frame));
    const end = next < 0 ? frames.length : next;
    const [first] = frames.slice(index, end);
    if (store === undefined || (first !== undefined && isAlone(first))) {
      if (first !== undefined) this.#receiveOne(first);
      return index + 1;
    }
    store.transaction(() => frames.slice(index, end).forEach((frame) => this.#receiveOne(frame)));
    return end;
  }

  #isAuthenticationReply(frame: JsonObject): boolean {
    if (this.#probe !== undefined && frame.cid === this.#probe.cid) return true;
    return frame.msgid === MSGID.LOGIN_MSG_ACK || frame.msgid === MSGID.SIGNUP_MSG_ACK ||
      (this.#authentication !== undefined && frame.cid === this.#authentication.cid);
  }

  #receiveOne(frame: JsonObject): void {
    if (this.#probe !== undefined && frame.cid === this.#probe.cid) {
      this.#endProbe(true);
      return;
    }
    if (this.#isAuthenticationReply(frame)) {
      // A late reply to an attempt that was given up carries that attempt's cid.
      if (frame.cid === undefined || frame.cid === this.#authentication?.cid) {
        this.#endAuthentication(readReply(frame));
      }
      return;
    }
    switch (frame.msgid) {
      case MSGID.NOTICE_MSG:
        this.#receiveNotice(frame);
        break;
      case MSGID.ACK_MSG:
      case MSGID.HISTORY_MSG_ACK:
      case MSGID.SEARCH_MSG_ACK:
        if (this.#account?.answer(frame) || this.#requests.answer(frame)) break;
        this.#receiveStrayError(frame);
        break;
      default:
        this.#account?.receive(frame);
        this.#options.modern?.onFrame(frame);
    }
  }

  #receiveNotice(frame: JsonObject): void {
    const text = textOf(frame.text) || textOf(frame.code) || "no reason given";
    if (frame.code === "announcement") return this.#status(`announcement: ${text}`);
    const retryAfterMs = integerOf(frame.retry_after_ms);
    this.#notice = {
      code: textOf(frame.code) || undefined,
      text,
      canReconnect: frame.reconnect !== false,
      retryAfterMs,
    };
    if (frame.code === "bad_frame") this.#account?.refuseLongest({ errno: ERRNO.TOO_LARGE, errmsg: text });
  }

  /** An error that names no request: the server could not read one. */
  #receiveStrayError(frame: JsonObject): void {
    const { errno, text } = readReply(frame);
    if (errno === ERRNO.OK || frame.cid !== undefined) return;
    if (errno === ERRNO.TOO_LARGE) this.#account?.refuseLongest(frame);
    else this.#status(`the server reports an error: ${text}`);
  }

  /** What is in memory is ahead of what is stored now: the connection begins anew from the store. */
  #storeFailed(error: unknown): void {
    const text = `cannot keep the local history: ${errorText(error)}`;
    this.#notice ??= { code: undefined, text, canReconnect: true, retryAfterMs: undefined };
    this.#link.close(text);
  }

  #status(text: string): void {
    this.#emit({ kind: "status", text });
  }

  #emit(event: SessionEvent): void {
    const tell = () => this.#options.onEvent(event);
    if (this.#account === undefined) tell();
    else this.#account.store.afterCommit(tell);
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers<void>();
  }
}
