/**
 * The TCP side of a node: accepts clients, gives each a connection and a session, and ends those that do not work.
 *
 * @module
 */
import type { Accepted, Admit } from "../net/admit.ts";
import { Connection, type EndOptions } from "../net/connection.ts";
import { DescriptorReserve } from "../net/descriptor_reserve.ts";
import { errorText } from "../base/errors.ts";
import { handleFrame } from "./gates.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import { type Guest, Guests } from "./guests.ts";
import { formatHostPort } from "../base/host_port.ts";
import { isShortage } from "../net/listen.ts";
import type { Logger } from "../base/logger.ts";
import type { ReadGate } from "../net/read_gate.ts";
import type { Services } from "./services.ts";
import { type Notice, Session, traceOf } from "./session.ts";
import { ERRNO, MSGID } from "../protocol/protocol.ts";
import { anotherTurn, turnTime } from "../base/turn.ts";
import type { WebCounters } from "../web/web_door.ts";
import { WebSocketWire } from "../net/websocket_wire.ts";
import type { StreamFailure } from "../net/wire.ts";

/** With more than this waiting for a client, its requests are not read and messages stay in the log. */
const HIGH_WATER_BYTES = 262_144;
/** A client that takes nothing of what waits for it, and acknowledges nothing, for this long is not reading any more, ms. */
const STALL_MS = 10_000;
/**
 * A client that closes without having read everything says so with a reset, right behind the end of its side or in answer
 * to what was still on its way to it: that long after the last write a version 1 client's end is no sign that it had read
 * everything, ms.
 */
const RESET_WAIT_MS = 1_000;
const RESET_WAIT_MIN_MS = 20;
/** Pauses after an accept that failed for want of file descriptors, ms, doubled each time. */
const ACCEPT_RETRY_MIN_MS = 50;
const ACCEPT_RETRY_MAX_MS = 1_000;
/** Taking connections goes on for so long, ms; then it is others' turn. */
const ACCEPT_MS = 4;
/** Connections that are given up when descriptors run out although the reserve has been given up already. */
const DESCRIPTORS_YIELDED = 8;
/** While draining: clients told to go per second at most, so that the other nodes can take them. */
const CLOSES_PER_SECOND = 2_000;
/** A client that is sent away is to come back within this time, ms, at a moment of its own. */
const COME_BACK_WITHIN_MS = 2_000;

const CROWDED: Notice = {
  code: "auth_timeout",
  text: "Others need the place, and you have not logged in.",
  reconnect: true,
};
const NOT_READ: Notice = { code: "slow_consumer", text: "What is sent to you is not read.", reconnect: true };

const FAILURE_TEXTS: Readonly<Record<Exclude<StreamFailure, "too_long">, string>> = {
  garbage: "There is something other than JSON objects in the stream.",
  protocol: "What came is not WebSocket as RFC 6455 has it.",
  binary: "A message was binary.",
  not_utf8: "A message was not UTF-8.",
};

/** What a server decides by. */
export interface ServerOptions {
  /** A longer frame ends its connection. */
  maxFrameBytes: number;
  /** Clients at a time; one more is closed at once. */
  maxConnections: number;
  /** Of those, connections that are not logged in: in all … */
  maxAnonymous: number;
  /** … and from one address. */
  maxAnonymousPerAddress: number;
  /** A connection that has not logged in by then is closed, ms. */
  authTimeoutMs: number;
  /** After this a message is sent again to a client that has not acknowledged it, ms. */
  ackTimeoutMs: number;
  /** Into how many bytes a version 1 client that ends its frames with NUL reads one; 0: any. */
  v1ClientBufferBytes: number;
}

/** A connection and its session. */
interface Client {
  connection: Connection;
  session: Session;
}

/** Takes clients for a node, over TCP and what runs over it. */
export class ChatServer {
  readonly #options: ServerOptions;
  readonly #services: Services;
  readonly #logger: Logger;
  readonly #gate: ReadGate;
  readonly #reserve: DescriptorReserve;
  readonly #guests: Guests;
  readonly #listeners = new Set<Deno.TcpListener>();
  /** Accepted, and not yet clients. */
  readonly #admitting = new Set<Deno.TcpConn>();
  readonly #clients = new Set<Client>();
  /** Of the clients, those over WebSocket. */
  #webSockets = 0;
  #onEmpty: (() => void) | undefined;
  #nextId = 1;
  #isFullLogged = false;
  /** Sent away to make room, and not gone yet. */
  #leaving = 0;
  /** How many connections there may be since file descriptors ran out. */
  #descriptorLimit = Infinity;
  #isDraining = false;
  /** For metrics. */
  readonly counters = { accepted: 0, refused: 0, acceptFailures: 0, frames: 0 };
  /** Likewise, of the port for browsers. */
  readonly webCounters: WebCounters = { served: 0, upgraded: 0, refused: 0 };

  /** Handlers get `services`. `reserve`: given up when file descriptors run out. */
  constructor(options: ServerOptions, services: Services, gate: ReadGate, reserve: DescriptorReserve) {
    this.#options = options;
    this.#services = services;
    this.#logger = services.logger;
    this.#gate = gate;
    this.#reserve = reserve;
    this.#guests = new Guests(options);
  }

  /** Connections there are now. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** Of those, how many are WebSockets. */
  get webSocketCount(): number {
    return this.#webSockets;
  }

  /** Of the connections, and of those that are on their way to be one, how many are not logged in. */
  get anonymousCount(): number {
    return this.#guests.size;
  }

  /** Connections that had to make room for others. */
  get crowdedOutCount(): number {
    return this.#guests.crowdedOut;
  }

  /** How many connections there may be: what was asked for, or what file descriptors are enough for. */
  get limit(): number {
    return Math.min(this.#options.maxConnections, this.#descriptorLimit);
  }

  /** Bytes waiting for clients to take them. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const { connection } of this.#clients) bytes += connection.queuedBytes;
    return bytes;
  }

  /** False from the moment the server begins to drain. */
  get isAccepting(): boolean {
    return !this.#isDraining && this.#listeners.size > 0;
  }

  /** Accepts from a listener until it is closed. `admit` prepares each socket. */
  async accept(listener: Deno.TcpListener, admit: Admit): Promise<void> {
    this.#listeners.add(listener);
    let retryMs = ACCEPT_RETRY_MIN_MS;
    let turnedAt = performance.now();
    // Not `for await`: that ends for good at the first failure.
    while (this.#listeners.has(listener)) {
      try {
        const socket = await listener.accept();
        retryMs = ACCEPT_RETRY_MIN_MS;
        this.#take(socket, admit);
        // Of a crowd that comes at once some are let in a turn.
        if (performance.now() - turnedAt > ACCEPT_MS) {
          await anotherTurn();
          turnedAt = performance.now();
        }
      } catch (error) {
        if (!this.#listeners.has(listener)) return;
        this.counters.acceptFailures++;
        if (!isShortage(error)) {
          await anotherTurn();
          continue;
        }
        if (this.yieldDescriptors(errorText(error))) continue;
        if (retryMs === ACCEPT_RETRY_MIN_MS) {
          this.#logger.error("cannot accept connections; tried again", { reason: errorText(error) });
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs));
        retryMs = Math.min(2 * retryMs, ACCEPT_RETRY_MAX_MS);
      }
    }
  }

  /** True when there are file descriptors again: those that were kept back, or others' who have to go. */
  yieldDescriptors(reason: string): boolean {
    if (this.#reserve.release()) {
      this.#descriptorLimit = this.#places;
      this.#logger.warn("no more file descriptors: connections are limited to what there is", {
        reason,
        limit: this.#descriptorLimit,
      });
      return true;
    }
    // Others than clients have taken what was kept back.
    const limit = this.#descriptorLimit = Math.max(1, this.#places - DESCRIPTORS_YIELDED);
    while (this.#places > limit && this.#guests.makeRoom());
    return false;
  }

  /** Connections, without those that are being closed to make room. */
  get #places(): number {
    return this.#clients.size + this.#admitting.size - this.#leaving;
  }

  async #take(socket: Deno.TcpConn, admit: Admit): Promise<void> {
    this.counters.accepted++;
    let isSentAway = false;
    const end = () => {
      isSentAway = true;
      this.#leaving++;
      closeQuietly(socket);
    };
    const guest: Guest = { person: undefined, heard: 0, isBusy: () => false, end };
    if (this.#isDraining || !this.#findPlace(guest)) {
      this.counters.refused++;
      socket.close();
      return;
    }
    this.#admitting.add(socket);
    try {
      const accepted = await admit(socket, (person) => {
        if (!this.#guests.locate(guest, person)) throw new Error("too many of its address are not logged in");
      });
      if (accepted === undefined) {
        this.#guests.leave(guest);
        closeQuietly(socket);
      } else if (this.#isDraining) accepted.socket.close();
      else this.#serve(accepted, guest);
    } catch (error) {
      this.#guests.leave(guest);
      this.#refuse(socket, error);
    } finally {
      this.#admitting.delete(socket);
      if (isSentAway) this.#leaving--;
    }
  }

  #findPlace(guest: Guest): boolean {
    const isFull = this.#places >= this.limit;
    if ((!isFull || this.#guests.makeRoom()) && this.#guests.enter(guest)) {
      this.#isFullLogged &&= isFull;
      return true;
    }
    if (!this.#isFullLogged) {
      this.#logger.warn("connections refused: the limit is reached", { clients: this.#clients.size });
      this.#isFullLogged = true;
    }
    return false;
  }

  #refuse(socket: Deno.TcpConn, error: unknown): void {
    this.counters.refused++;
    closeQuietly(socket);
    if (this.#isDraining || !this.#services.refusalLines.take(performance.now())) return;
    const remote = formatHostPort(socket.remoteAddr.hostname, socket.remoteAddr.port);
    this.#logger.info("connection refused", { remote, reason: errorText(error) });
  }

  #serve({ socket, remote, person, isDirect, isWebSocket }: Accepted, guest: Guest): void {
    const services = this.#services;
    const { maxFrameBytes } = this.#options;
    const connection: Connection = new Connection(socket, remote, {
      maxFrameBytes,
      wire: isWebSocket ? new WebSocketWire({ maxFrameBytes }) : undefined,
      highWaterBytes: HIGH_WATER_BYTES,
      gate: this.#gate,
      clientBufferBytes: this.#options.v1ClientBufferBytes,
    }, {
      onFrame: (frame) => {
        this.counters.frames++;
        guest.heard++;
        return handleFrame(services, session, frame);
      },
      onFailure: (failure) => this.#onFailure(session, failure),
      onOverfull: () => this.#endFaulty(session, NOT_READ),
      onPeerEnd: () => {
        if (session.version >= 2) return session.settled();
        const mailbox = session.login?.mailbox;
        if (!isDirect || !mailbox?.isInDoubt) return undefined;
        const waitMs = Math.max(RESET_WAIT_MIN_MS, mailbox.doubtfulSince + RESET_WAIT_MS - turnTime());
        return new Promise((resolve) => setTimeout(resolve, waitMs));
      },
      onDrain: () => session.login?.mailbox.onDrain(),
      onEnd: (reason) => {
        session.isEnded = true;
        this.#guests.leave(guest);
        if (isSentAway) this.#leaving--;
        this.#clients.delete(client);
        if (isWebSocket) this.#webSockets--;
        if (this.#clients.size === 0) this.#onEmpty?.();
        this.#logger.debug("connection closed", { ...traceOf(session), reason });
        // A proxy ends its side in good order also when its client was cut off.
        services.admission.dismiss(session, {
          isOrderly: isDirect && reason === "eof",
          isEnd: reason === "eof",
        });
      },
    });
    const session = new Session(this.#nextId++, connection, person);
    // The original's clients know no WebSocket.
    if (isWebSocket) session.upgrade(2);
    const client = { connection, session };
    let isSentAway = false;
    guest.isBusy = () => connection.isBusy;
    guest.end = () => {
      isSentAway = true;
      this.#leaving++;
      this.#end(session, CROWDED, { isAbrupt: true });
    };
    session.onLogin = (isLoggedIn) => {
      this.#logger.debug(isLoggedIn ? "logged in" : "logged out", traceOf(session));
      connection.goesFirst = isLoggedIn;
      if (isLoggedIn) this.#guests.leave(guest);
      else if (!connection.isEnding) this.#guests.comeBack(guest);
    };
    this.#clients.add(client);
    if (isWebSocket) this.#webSockets++;
    this.#logger.debug("connection opened", { session: session.id, remote });
    connection.run();
  }

  /** A stream that cannot be cut into frames any more is of no use to anybody. */
  #onFailure(session: Session, failure: StreamFailure): void {
    if (failure === "too_long") this.#services.limited.frames++;
    const text = failure === "too_long"
      ? `A frame is longer than ${this.#options.maxFrameBytes} bytes.`
      : FAILURE_TEXTS[failure];
    if (this.#services.refusalLines.take(performance.now())) {
      this.#logger.info("stream refused", { ...traceOf(session), reason: text });
    }
    // Who does not speak the WebSocket protocol is told by its own means why it is closed, and nothing else.
    if (failure !== "too_long" && failure !== "garbage") return session.outlet.end();
    if (session.version >= 2) {
      const errno = failure === "too_long" ? ERRNO.TOO_LARGE : ERRNO.MALFORMED;
      session.outlet.send(JSON.stringify({ msgid: MSGID.ACK_MSG, errno, errmsg: text }));
    }
    session.end({ code: "bad_frame", text, reconnect: true });
  }

  /** Called about once a second: looks after clients that do not read, acknowledge, log in or live. */
  tick(now: number): void {
    this.#restoreReserve();
    for (const client of this.#clients) {
      if (client.session.outlet.isEnding) continue;
      client.connection.probe(now, this.#services.settings.heartbeatIntervalMs);
      const notice = this.#findFault(client, now);
      if (notice) this.#endFaulty(client.session, notice);
    }
  }

  /** Sends a client away for a fault of its own. */
  #endFaulty(session: Session, notice: Notice): void {
    const isUnread = notice.code === "slow_consumer";
    if (isUnread) this.#services.limited.unread++;
    this.#end(session, notice, { dropQueued: isUnread });
    // A peer that is gone does not close its side; its user may log in elsewhere at once.
    this.#services.admission.dismiss(session);
  }

  #end(session: Session, notice: Notice, options: EndOptions): void {
    if (this.#services.refusalLines.take(performance.now())) {
      this.#logger.info("connection ended", { ...traceOf(session), reason: notice.code });
    }
    session.end(notice, options);
  }

  /** When so many have gone that the reserve fits again, the limit may be what it was. */
  async #restoreReserve(): Promise<void> {
    if (this.#descriptorLimit === Infinity) return;
    if (this.#places + DescriptorReserve.size > this.#descriptorLimit) return;
    await this.#reserve.restore();
    if (this.#reserve.isHeld) this.#descriptorLimit = Infinity;
  }

  #findFault({ connection, session }: Client, now: number): Notice | undefined {
    const { ackTimeoutMs, authTimeoutMs } = this.#options;
    // The kernel takes more only when a third of its megabytes is free: a client that acknowledges reads all the same.
    const { mailbox } = session.login ?? {};
    const stoppedMs = Math.min(connection.stalledMs(now), now - (mailbox?.acknowledgedAt ?? 0));
    if (stoppedMs > STALL_MS) return NOT_READ;
    if (mailbox?.tick(ackTimeoutMs) === false) {
      return { code: "slow_consumer", text: "What is sent to you is not acknowledged.", reconnect: true };
    }
    // A login that is under way has come in time.
    if (!session.login && !connection.isBusy && now - session.anonymousSince > authTimeoutMs) {
      this.#services.limited.anonymous++;
      return { code: "auth_timeout", text: "You have not logged in in time.", reconnect: true };
    }
    const { heartbeatIntervalMs, heartbeatMisses } = this.#services.settings;
    const heardAt = Math.max(connection.lastReadAt, session.beatAt);
    if (session.version >= 2 && session.login && now - heardAt > heartbeatIntervalMs * heartbeatMisses) {
      return { code: "heartbeat_timeout", text: "Nothing has been heard of you.", reconnect: true };
    }
    return undefined;
  }

  /** Stops accepting, and drops those that are not yet clients. */
  stopAccepting(): void {
    this.#isDraining = true;
    for (const listener of this.#listeners) {
      this.#listeners.delete(listener);
      listener.close();
    }
    for (const socket of this.#admitting) closeQuietly(socket);
  }

  /**
   * Sends everyone away, some at a time, each after what it has asked for is answered; resolves when all have gone or after
   * `timeoutMs`, with those who are left cut off.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.stopAccepting();
    const deadline = performance.now() + timeoutMs;
    const gone = new Promise<void>((resolve) => this.#onEmpty = resolve);
    if (this.#clients.size === 0) return;
    // All are told within half of the time, so that the last ones have the other half to answer.
    const perSecond = Math.max(CLOSES_PER_SECOND, this.#clients.size / (timeoutMs / 2_000));
    const perSlice = Math.max(1, Math.ceil(perSecond / 50));
    const clients = [...this.#clients];
    for (let start = 0; start < clients.length && performance.now() < deadline; start += perSlice) {
      if (start > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      for (const client of clients.slice(start, start + perSlice)) this.#sendAway(client);
    }
    await waitAtMost(Math.max(0, deadline - performance.now()), gone);
    for (const { connection } of [...this.#clients]) connection.abort();
  }

  async #sendAway({ connection, session }: Client): Promise<void> {
    // Version 1 never hears what became of a message: what it says before it has seen the end is still taken.
    const isHeardOut = session.version === 1;
    if (isHeardOut) await connection.settled();
    else {
      // What is asked from now on is left to the next server, or a client that never pauses could not be sent away.
      await connection.quiesce();
      await session.settled();
    }
    const next = this.#services.settings.isClustered
      ? "Other servers of its cluster may take you."
      : "It takes you again when it is back.";
    session.end({
      code: "shutting_down",
      text: `This server is going down. ${next}`,
      reconnect: true,
      retry_after_ms: Math.floor(Math.random() * COME_BACK_WITHIN_MS),
    }, { isHeardOut });
  }
}

function closeQuietly(socket: Deno.TcpConn): void {
  try {
    socket.close();
  } catch {
    // It was closed while it was looked at.
  }
}
