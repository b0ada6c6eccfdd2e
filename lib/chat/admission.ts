/**
 * Lets users in and out: one live session a device, on whichever node; versions 1 and 2 are one device together.
 *
 * In: claim the device, end its older session if it is to be replaced, listen to the user's channels, and only then read
 * from the database where the device stands; what is stored later rings. Out is the reverse: the positions are
 * written before the claim is given back, so the next login starts where this one ended. Only a database that is away is
 * not waited for: it keeps nobody online, and nobody can log in before it is back.
 *
 * @module
 */
import { Batcher } from "../base/batcher.ts";
import type { Bus } from "../cluster/bus.ts";
import type { Delivery } from "../log/delivery.ts";
import { decodeEnvelope, encodeEnvelope, ENVELOPE, type Envelope } from "../cluster/envelope.ts";
import { DatabaseError, errorText } from "../base/errors.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import type { Limiter } from "../base/limiter.ts";
import type { Logger } from "../base/logger.ts";
import { Mailbox } from "../log/mailbox.ts";
import type { News } from "../log/news.ts";
import type { PresenceNews } from "../log/presence_news.ts";
import type { Positions } from "../log/positions.ts";
import {
  type ClaimMode,
  type ClaimResult,
  type Presence,
  type Subject,
  subjectOf,
  userOf,
} from "../cluster/presence.ts";
import type { Login, Notice, Session } from "./session.ts";
import type { Devices } from "../store/devices.ts";
import type { Groups } from "../store/groups.ts";
import { type MemberPosition, type Messages, NO_END } from "../store/messages.ts";
import { type ConversationId, parseConversation } from "../protocol/protocol.ts";
import type { Users, UserState } from "../store/users.ts";
import { turnTime } from "../base/turn.ts";

/** How long another node may take to end the older session of a user, ms. It may be dead. */
const EVICTION_MS = 2_000;
/**
 * A version 1 client sends no heartbeats, and one whose network is gone keeps its connection for a quarter of an hour. Who
 * has said nothing for this long gives way to a login with the password, ms.
 */
const SILENT_MS = 60_000;

const REPLACED: Notice = {
  code: "replaced",
  text: "This user has logged in from another place.",
  reconnect: false,
};

const REVOKED: Notice = {
  code: "revoked",
  text: "This device is not one of its user's any more; log in with the password.",
  reconnect: false,
};

/** How long a claim is kept for what its user leaves to be written, ms. */
const LEAVING_MS = 1_000;

/** How often a state is written anew because the user has logged in or out elsewhere meanwhile. */
const STATE_ATTEMPTS = 3;

/** What {@link Admission} works with. */
export interface AdmissionOptions {
  /** Who is online where. */
  presence: Presence;
  /** To the other nodes. */
  bus: Bus;
  /** Before every channel's name. */
  channelPrefix: string;
  /** This node's name. */
  node: string;
  /** Who is online here. */
  delivery: Delivery<Session>;
  /** Positions to be written. */
  positions: Positions;
  /** Bounds how many mailboxes read the log at once. */
  readers: Limiter;
  /** What users learn of each other. */
  news: News<Session>;
  /** Likewise, of who comes and goes. */
  presenceNews: PresenceNews<Session>;
  /** Tables. */
  users: Users;
  /** Tables. */
  groups: Groups;
  /** Tables. */
  messages: Messages;
  /** Tables. */
  devices: Devices;
  /** How long a device may be away before it has to log in with the password, ms. */
  tokenTtlMs: number;
  /** For what fails. */
  logger: Logger;
}

/** Who wants in. */
export interface Arrival {
  /** User id. */
  userId: number;
  /** As signed up. */
  name: string;
  /** On which device; 0: by version 1 or 2. */
  device: number;
}

/** A login that is under way. */
interface Admitting {
  /** Of its claim; 0 before it has one. */
  generation: number;
  /** Another node has claimed the user since. */
  isSuperseded: boolean;
}

/** One per node. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #states: Batcher<{ userId: number; state: UserState }>;
  readonly #seen: Batcher<number>;
  /** Devices on their way in; logins of one take turns. */
  readonly #admitting = new Map<Subject, Admitting>();
  readonly #turns = new Map<Subject, Promise<unknown>>();
  /** Devices on their way out; the next login waits for that. */
  readonly #leaving = new Map<Subject, Promise<void>>();
  /** Users who are being looked after by {@link catchUp}; true: once more when that is done. */
  readonly #catchingUp = new Map<number, boolean>();
  /** Told whether the other node has ended its older session. */
  readonly #evictions = new Map<string, (isEnded: boolean) => void>();
  /** Counts sessions of other nodes that were asked to give way. */
  #asked = 0;
  /** Writes of states that failed, and how many of them have been made up for. */
  #failedWrites = 0;
  #madeUpFor = 0;
  #isMakingUp = false;

  /** See {@link AdmissionOptions}. */
  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#states = new Batcher((changes) => this.#writeStates(changes));
    this.#seen = new Batcher((devices) => {
      const now = Date.now();
      return options.devices.touch(devices, now, now + options.tokenTtlMs);
    });
  }

  /** The channel on which other nodes speak to this one. */
  get nodeChannel(): string {
    return this.#nodeChannel(this.#options.node);
  }

  /**
   * Logs a user in on `session`; where a device stands is still to be taken up: see {@link placeDevice}. Undefined: already
   * online, and `mode` is not to replace. Rejects, with nothing left behind, when presence or the database is away.
   */
  async admit(session: Session, arrival: Arrival, mode: ClaimMode): Promise<Login | undefined> {
    const subject = subjectOf(arrival.userId, arrival.device);
    const before = this.#turns.get(subject) ?? Promise.resolve();
    const turn = before.then(() => this.#admit(session, arrival, subject, mode));
    // The next one's turn comes whatever becomes of this one.
    const settled = turn.catch(() => {});
    this.#turns.set(subject, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(subject) === settled) this.#turns.delete(subject);
    }
  }

  async #admit(
    session: Session,
    arrival: Arrival,
    subject: Subject,
    mode: ClaimMode,
  ): Promise<Login | undefined> {
    await this.#leaving.get(subject);
    // Whoever has given up meanwhile must not take the place of one who has come since.
    if (session.isEnded || (mode === "replace" && session.outlet.isPeerGone)) return undefined;
    const admitting: Admitting = { generation: 0, isSuperseded: false };
    this.#admitting.set(subject, admitting);
    try {
      const { presence } = this.#options;
      let claim = await presence.claim(subject, mode);
      if (!claim.claimed && await this.#endSilent(arrival.userId)) {
        claim = await presence.claim(subject, mode);
      }
      if (!claim.claimed) return undefined;
      admitting.generation = claim.generation;
      return await this.#settle(session, arrival, claim, admitting);
    } finally {
      this.#admitting.delete(subject);
    }
  }

  /** Makes a claim a login; undefined when the claim was taken over, or the connection ended, meanwhile. */
  async #settle(
    session: Session,
    arrival: Arrival,
    claim: ClaimResult & { claimed: true },
    admitting: Admitting,
  ): Promise<Login | undefined> {
    const { presence, delivery } = this.#options;
    const { userId, device } = arrival;
    const { generation, hasOthers = false } = claim;
    const subject = subjectOf(userId, device);
    try {
      await this.#endOlder(arrival, claim);
      const login = await this.#prepare(session, arrival, generation);
      if (admitting.isSuperseded || session.isEnded) {
        delivery.unsubscribe(userId, login.groups.keys());
        await presence.release(subject, generation);
        return undefined;
      }
      session.login = login;
      const isFirst = delivery.sessionsOf(userId).length === 0;
      // The mailbox listens before the database is asked: what is stored while the answer is on its way rings only once.
      delivery.attach(session, hasOthers);
      // The channel is subscribed: whoever comes later, or is there already, hears of this one.
      if (isFirst && (device > 0 || hasOthers)) delivery.announce(userId);
      if (isFirst && hasOthers) delivery.tellMoved(userId);
      const isPlaced = device === 0 ? this.#place(login) : undefined;
      await Promise.all([isPlaced, this.#states.add({ userId, state: "online" })]);
      return login;
    } catch (error) {
      if (session.login) await this.dismiss(session);
      else await presence.release(subject, generation);
      throw error;
    }
  }

  #positionsOf({ userId, device }: Pick<Login, "userId" | "device">): Promise<readonly MemberPosition[]> {
    const { messages } = this.#options;
    return device === 0 ? messages.positions(userId) : messages.positionsOfDevice(device);
  }

  /**
   * Takes up where a device stands, once its login is answered: with thousands of conversations that takes longer than all
   * the rest. Never rejects: where it cannot be read the device is sent away.
   */
  async placeDevice(session: Session, login: Login): Promise<void> {
    if (session.login !== login) return;
    try {
      await this.#place(login);
    } catch (error) {
      const reason = errorText(error);
      this.#options.logger.warn("cannot read where a device stands; it has to log in again", {
        user: login.userId,
        reason,
      });
      await this.#sendAway(session);
    }
  }

  /** Takes up where the database says the user stands. */
  async #place(login: Login): Promise<void> {
    const positions = await this.#positionsOf(login);
    login.mailbox.place(positions);
    // Added after the groups were read, and told of it before it could be heard here.
    const isNew = positions.some(({ conversation, until }) => {
      const place = until === NO_END ? parseConversation(conversation) : undefined;
      return place && "groupId" in place && !login.groups.has(place.groupId);
    });
    if (isNew) this.catchUp(login.userId);
  }

  async #prepare(session: Session, arrival: Arrival, generation: number): Promise<Login> {
    const { userId, name, device } = arrival;
    const { delivery, groups, messages, positions, readers, logger } = this.#options;
    const memberships = await groups.memberships(userId);
    await delivery.subscribe(userId, memberships.keys());
    const mailbox = new Mailbox({
      userId,
      device,
      version: session.version,
      outlet: session.outlet,
      messages,
      positions,
      readers,
      now: turnTime,
      onEnded: (conversation) => this.#onEnded(session, mailbox, conversation),
      onError: (error) =>
        logger.warn("cannot read missed messages; tried again", { reason: errorText(error) }),
    });
    return { userId, device, name, generation, groups: memberships, mailbox };
  }

  /** The session hears nothing of a group any more that its user is in no longer. */
  #onEnded(session: Session, mailbox: Mailbox, conversation: ConversationId): void {
    const { login } = session;
    const place = parseConversation(conversation);
    if (login?.mailbox !== mailbox || !place || !("groupId" in place)) return;
    if (login.groups.delete(place.groupId)) {
      this.#options.delivery.leaveGroup(session, login.userId, place.groupId);
    }
  }

  /** Ends the session that held the claim before, here or elsewhere, and waits until its positions are written. */
  async #endOlder(
    { userId, device }: Arrival,
    { generation, previousNode, hasLapsed }: ClaimResult & { claimed: true },
  ): Promise<void> {
    const { node, delivery } = this.#options;
    const older = delivery.session(userId, device);
    if (older) await this.replace(older);
    if (hasLapsed) delivery.tellMoved(userId);
    if (previousNode === undefined || previousNode === node) return;
    const isEnded = await this.#ask(
      ENVELOPE.evict,
      this.#nodeChannel(previousNode),
      userId,
      generation,
      device,
    );
    if (!isEnded) delivery.tellMoved(userId);
  }

  /** Ends the session of a user, here or elsewhere, if its client may be gone; resolves with whether it has ended. */
  async #endSilent(userId: number): Promise<boolean> {
    const { delivery } = this.#options;
    if (delivery.session(userId)) return await this.#giveWay(userId);
    return await this.#ask(ENVELOPE.giveWay, delivery.userChannel(userId), userId, ++this.#asked);
  }

  /** Asks another node to end its session of a user; resolves with whether it says that it has. */
  async #ask(
    kind: typeof ENVELOPE.evict | typeof ENVELOPE.giveWay,
    channel: string,
    userId: number,
    seq: number,
    device = 0,
  ): Promise<boolean> {
    const { node, bus } = this.#options;
    const key = `${userId} ${seq}`;
    const isEnded = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), EVICTION_MS);
      this.#evictions.set(key, (isEnded) => {
        clearTimeout(timer);
        resolve(isEnded);
      });
      const frame = device === 0 ? "" : String(device);
      const envelope = { kind, sender: userId, seq, conversation: node, frame };
      bus.publish(channel, encodeEnvelope(envelope)).then(
        // Nobody listens there: that node is dead, and its users should not wait for it.
        (listeners) => listeners === 0 && this.#evictions.get(key)?.(false),
        // Without the bus the other node learns of the newer claim by itself; waiting for it is all there is to do.
        () => {},
      );
    });
    this.#evictions.delete(key);
    return isEnded;
  }

  /** Ends the session of a user on this node if it is silent; resolves with whether there is none any more. */
  async #giveWay(userId: number): Promise<boolean> {
    const session = this.#options.delivery.session(userId);
    if (session && !isSilent(session)) return false;
    if (session) {
      session.end(REPLACED);
      await this.dismiss(session);
    }
    await this.#leaving.get(userId);
    return true;
  }

  /** Ends a session because its user is now logged in elsewhere; resolves when its positions are written. */
  async replace(session: Session): Promise<void> {
    session.end(REPLACED);
    await this.dismiss(session, { isReplaced: true });
  }

  /** Nobody who is online here is sent anything any more, or moves a position, until {@link renew}. */
  suspend(): void {
    for (const { login } of this.#options.delivery.sessions()) login?.mailbox.close();
  }

  /**
   * Places everyone who is online here anew, as the login did, by what the database holds now. Whose account is not there
   * any more, or is somebody else's, or cannot be read, has to come again, and so has everyone of version 3, to learn of the
   * new history at its login. Never rejects.
   */
  async renew(): Promise<void> {
    const { users, delivery } = this.#options;
    users.forgetKnown();
    await Promise.all([...delivery.sessions()].map((session) => this.#renew(session)));
  }

  async #renew(session: Session): Promise<void> {
    const { users, delivery, logger } = this.#options;
    const { login } = session;
    if (!login) return;
    const { userId, name, device, generation } = login;
    try {
      if (device > 0) return await this.#sendAway(session);
      const account = await users.account(userId);
      if (account?.name !== name) {
        throw new DatabaseError("other", `There is no user ${userId} of this name any more`);
      }
      const fresh = await this.#prepare(session, login, generation);
      if (session.login !== login) return delivery.unsubscribe(userId, fresh.groups.keys());
      const hasOthers = delivery.nodesOf(userId) > 1;
      delivery.detach(session, login);
      session.login = fresh;
      delivery.attach(session, hasOthers);
      await this.#place(fresh);
      fresh.mailbox.open();
    } catch (error) {
      logger.warn("cannot place a user anew; it has to log in again", {
        user: userId,
        reason: errorText(error),
      });
      await this.#sendAway(session);
    }
  }

  async #sendAway(session: Session): Promise<void> {
    session.end({
      code: "shutting_down",
      text: "The server has to begin anew; log in again.",
      reconnect: true,
    });
    await this.dismiss(session);
  }

  /** A device is not one of its user's any more: its connection ends, wherever it is. */
  revoke(userId: number, device: number): void {
    this.#options.delivery.tellUser(userId, ENVELOPE.revoked, device);
    this.onRevoked(userId, device);
  }

  /** The connection of such a device ends, if it is here. */
  onRevoked(userId: number, device: number): void {
    const session = this.#options.delivery.session(userId, device);
    if (!session) return;
    session.end(REVOKED);
    this.dismiss(session, { isRevoked: true });
  }

  /** Ends the connections of devices that are gone, of which this node has not heard. Rejects with a DatabaseError. */
  async checkDevices(): Promise<void> {
    const { delivery, devices } = this.#options;
    const logins = [...delivery.sessions()].flatMap(({ login }) => login && login.device > 0 ? [login] : []);
    const owners = await devices.owners(logins.map(({ device }) => device));
    for (const { userId, device } of logins) {
      if (owners.get(device) !== userId) this.onRevoked(userId, device);
    }
  }

  /** A user is in other groups than before, or in another role: its sessions are to know, but for the one that has asked. */
  regroup(userId: number, asking?: Session): void {
    const { delivery } = this.#options;
    if (delivery.sessionsOf(userId).some((session) => session !== asking)) this.catchUp(userId);
    if (delivery.nodesOf(userId) !== 1) delivery.tellUser(userId, ENVELOPE.regrouped);
  }

  /** A user has added, removed, blocked or unblocked somebody: what it is told of others changes. Rejects with a DatabaseError. */
  async changeCircle(userId: number): Promise<void> {
    const { delivery, news } = this.#options;
    if (delivery.nodesOf(userId) > 1) delivery.tellUser(userId, ENVELOPE.regrouped);
    await news.refresh(userId);
  }

  /**
   * A user's sessions here look at what the database holds: groups that the user has joined on another device, messages that
   * nobody has rung for here, what has been read elsewhere. Never rejects.
   */
  async catchUp(userId: number): Promise<void> {
    const isUnderWay = this.#catchingUp.has(userId);
    this.#catchingUp.set(userId, isUnderWay);
    if (isUnderWay) return;
    try {
      do {
        this.#catchingUp.set(userId, false);
        await this.#options.news.refresh(userId);
        for (const session of [...this.#options.delivery.sessionsOf(userId)]) await this.#catchUp(session);
      } while (this.#catchingUp.get(userId));
    } catch (error) {
      // The sweep, or the next login, makes up for it.
      this.#options.logger.warn("cannot look for what a user has missed", {
        user: userId,
        reason: errorText(error),
      });
    } finally {
      this.#catchingUp.delete(userId);
    }
  }

  async #catchUp(session: Session): Promise<void> {
    const { delivery, groups } = this.#options;
    const { login } = session;
    if (!login) return;
    // One on its way in is placed first.
    await this.#turns.get(subjectOf(login.userId, login.device));
    await login.mailbox.placed();
    if (session.login !== login) return;
    const { mailbox } = login;
    const memberships = await groups.memberships(login.userId);
    for (const [groupId, role] of memberships) {
      if (login.groups.has(groupId)) {
        login.groups.set(groupId, role);
        continue;
      }
      await delivery.subscribeGroup(groupId);
      if (session.login !== login || login.groups.has(groupId)) delivery.unsubscribeGroup(groupId);
      else {
        login.groups.set(groupId, role);
        delivery.joinGroup(session, groupId);
      }
    }
    for (
      const { conversation, since, until, delivered, read, last_seq, told = 0 } of await this.#positionsOf(
        login,
      )
    ) {
      if (session.login !== login) return;
      const cursor = mailbox.cursor(conversation);
      if (!cursor || cursor.since < since) mailbox.join(conversation, since, Math.max(since, delivered));
      if (until < NO_END) mailbox.leave(conversation, since, until);
      mailbox.notice(conversation, last_seq);
      mailbox.follow(conversation, told, read);
    }
  }

  /**
   * Logs out whoever is logged in on `session`; nothing happens otherwise. `isReplaced`: a newer session holds the claim.
   * `isOrderly`: a version 1 client has read all that was written to it; else what it has said nothing after comes again.
   * `isEnd`: it has at least ended its side without a reset. `isRevoked`: the device is gone.
   * Never rejects.
   */
  async dismiss(
    session: Session,
    { isReplaced = false, isOrderly = false, isEnd = false, isRevoked = false } = {},
  ): Promise<void> {
    const { login } = session;
    if (!login) return;
    session.login = undefined;
    const subject = subjectOf(login.userId, login.device);
    const leaving = this.#leave(session, login, { isReplaced, isOrderly, isEnd, isRevoked }).finally(() => {
      if (this.#leaving.get(subject) === leaving) this.#leaving.delete(subject);
    });
    this.#leaving.set(subject, leaving);
    await leaving;
  }

  async #leave(
    session: Session,
    login: Login,
    how: { isReplaced: boolean; isOrderly: boolean; isEnd: boolean; isRevoked: boolean },
  ): Promise<void> {
    const { presence, delivery, positions } = this.#options;
    const { userId, device, generation, mailbox } = login;
    if (how.isOrderly) mailbox.settle();
    else mailbox.settleHeard(how);
    mailbox.close();
    // Who has other devices is offline when the last claim is gone, and not before.
    const mayHaveOthers = device > 0 || delivery.nodesOf(userId) > 1;
    delivery.detach(session, login);
    const isOffline = () => !how.isReplaced && delivery.sessionsOf(userId).length === 0;
    const written = positions.flush().then(async () => {
      // A time that is not written is that of the login.
      const seen = device > 0 && !how.isRevoked ? this.#seen.add(device).catch(() => {}) : undefined;
      // Before the claim is free: whoever claims next writes "online" after this. It is for people who look; nobody decides by it.
      if (isOffline() && !mayHaveOthers) await this.#setState(userId, "offline");
      await seen;
    });
    await waitAtMost(LEAVING_MS, written);
    const hasOthers = await presence.release(subjectOf(userId, device), generation);
    await written;
    if (isOffline() && Boolean(hasOthers) !== mayHaveOthers) await this.#makeStateAgree(userId);
  }

  /** Somebody may log in or out elsewhere between the look at the claims and the write: it is looked again. */
  async #makeStateAgree(userId: number): Promise<void> {
    const { presence } = this.#options;
    try {
      let isOnline = (await presence.online([userId])).has(userId);
      for (let attempt = 1; attempt <= STATE_ATTEMPTS; attempt++) {
        await this.#setState(userId, isOnline ? "online" : "offline");
        const wasOnline = isOnline;
        isOnline = (await presence.online([userId])).has(userId);
        if (isOnline === wasOnline) return;
      }
    } catch (error) {
      this.#stateFailed(error);
    }
  }

  async #setState(userId: number, state: UserState): Promise<void> {
    await this.#states.add({ userId, state }).catch((error) => this.#stateFailed(error));
  }

  #stateFailed(error: unknown): void {
    if (this.#failedWrites++ > this.#madeUpFor) return;
    this.#options.logger.warn("cannot store users' states; tried again", { reason: errorText(error) });
  }

  /** Called about once a second: makes up for states that could not be written. Never rejects. */
  async tick(): Promise<void> {
    const failed = this.#failedWrites;
    if (failed === this.#madeUpFor || this.#isMakingUp) return;
    this.#isMakingUp = true;
    try {
      await this.#writeOnline();
      await this.reconcileStates();
      this.#madeUpFor = failed;
    } catch {
      // The database is still away, as has been told.
    } finally {
      this.#isMakingUp = false;
    }
  }

  /** Resolves when everyone who is on the way out has left. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving.values());
  }

  /** This node was taken for dead for a while: its users are online all the same. */
  async restoreStates(): Promise<void> {
    const { delivery, presenceNews } = this.#options;
    for (const userId of delivery.userIds) presenceNews.note(userId);
    await this.#writeOnline().catch((error) => this.#stateFailed(error));
  }

  /** In line with the other writes: whoever leaves meanwhile is written offline behind it. */
  async #writeOnline(): Promise<void> {
    const ids = [...this.#options.delivery.userIds];
    await Promise.all(ids.map((userId) => this.#states.add({ userId, state: "online" })));
  }

  /** An envelope of another node for this one came over the bus. */
  onMessage(payload: string): void {
    const envelope = decodeEnvelope(payload);
    if (!envelope) return;
    const { kind, sender: userId, seq: generation, conversation: asker, frame } = envelope;
    if (kind === ENVELOPE.evicted) this.#evictions.get(`${userId} ${generation}`)?.(true);
    else if (kind === ENVELOPE.kept) this.#evictions.get(`${userId} ${generation}`)?.(false);
    else if (kind === ENVELOPE.evict) this.#onEvict(userId, Number(frame), generation, asker);
  }

  /** Another node asks for a user who is, or was a moment ago, on this one. */
  async onGiveWay({ sender: userId, seq, conversation: asker }: Envelope): Promise<void> {
    const isEnded = await this.#giveWay(userId);
    this.#answer(isEnded ? ENVELOPE.evicted : ENVELOPE.kept, asker, userId, seq);
  }

  async #onEvict(userId: number, device: number, generation: number, asker: string): Promise<void> {
    const { delivery } = this.#options;
    const subject = subjectOf(userId, device);
    this.#supersede(subject, generation);
    const session = delivery.session(userId, device);
    if (session?.login && session.login.generation < generation) await this.replace(session);
    await this.#leaving.get(subject);
    this.#answer(ENVELOPE.evicted, asker, userId, generation);
  }

  #answer(
    kind: typeof ENVELOPE.evicted | typeof ENVELOPE.kept,
    asker: string,
    userId: number,
    seq: number,
  ): void {
    const { bus } = this.#options;
    const envelope = { kind, sender: userId, seq };
    // Unheard, the asking node goes on after a while.
    bus.publish(this.#nodeChannel(asker), encodeEnvelope(envelope)).catch(() => {});
  }

  /** A login under way whose claim is older than `generation` comes to nothing. */
  #supersede(subject: Subject, generation: number): void {
    const admitting = this.#admitting.get(subject);
    if (admitting && admitting.generation > 0 && admitting.generation < generation) {
      admitting.isSuperseded = true;
    }
  }

  /** This node's claim of a device has gone to another node. */
  onLost(subject: Subject, generation: number): void {
    this.#supersede(subject, generation + 1);
    const device = typeof subject === "number" ? 0 : Number(subject.split(".")[1]);
    const session = this.#options.delivery.session(userOf(subject), device);
    if (session?.login?.generation === generation) this.replace(session);
  }

  /**
   * Makes the database's states agree with presence: users it calls online whom no live node has claimed become offline.
   * After a node's death, and at start for what this node left behind.
   */
  async reconcileStates(): Promise<void> {
    const { users, presence, presenceNews } = this.#options;
    const pageSize = 500;
    let after = 0;
    for (;;) {
      const ids = await users.online(after, pageSize);
      const last = ids.at(-1);
      if (last === undefined) return;
      after = last;
      const live = await presence.online(ids);
      const gone = ids.filter((id) => !live.has(id));
      if (gone.length === 0) continue;
      await users.setState(gone, "offline");
      for (const userId of gone) presenceNews.note(userId);
      // Somebody may have logged in between the question and the write.
      const back = await presence.online(gone);
      if (back.size > 0) await users.setState([...back], "online");
    }
  }

  /** The last change of each user counts. */
  async #writeStates(changes: { userId: number; state: UserState }[]): Promise<void> {
    const last = new Map(changes.map(({ userId, state }) => [userId, state]));
    for (const state of ["online", "offline"] as const) {
      const ids = [...last].filter(([, wanted]) => wanted === state).map(([userId]) => userId);
      if (ids.length > 0) await this.#options.users.setState(ids, state);
    }
  }

  #nodeChannel(node: string): string {
    return `${this.#options.channelPrefix}node:${node}`;
  }
}

/** Its client may be gone: it has ended its side, or is of version 1, which has no heartbeats, and says nothing. */
function isSilent({ version, outlet: { isPeerGone, lastReadAt } }: Session): boolean {
  return version === 1 && (isPeerGone || turnTime() - lastReadAt > SILENT_MS);
}
