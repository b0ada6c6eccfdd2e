/**
 * Lets users in and out: one live session a user, on whichever node.
 *
 * In: claim the user, end the older session if it is to be replaced, listen to the user's channels, and only then read
 * from the database where the user stands; what is stored later rings. Out is the reverse: the positions are
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
import type { Positions } from "../log/positions.ts";
import type { ClaimMode, Presence } from "../cluster/presence.ts";
import type { Login, Notice, Session } from "./session.ts";
import type { Groups } from "../store/groups.ts";
import type { Messages } from "../store/messages.ts";
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

/** How long a claim is kept for what its user leaves to be written, ms. */
const LEAVING_MS = 1_000;

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
  /** Tables. */
  users: Users;
  /** Tables. */
  groups: Groups;
  /** Tables. */
  messages: Messages;
  /** For what fails. */
  logger: Logger;
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
  /** Users on their way in; logins of one user take turns. */
  readonly #admitting = new Map<number, Admitting>();
  readonly #turns = new Map<number, Promise<unknown>>();
  /** Users on their way out; the next login waits for that. */
  readonly #leaving = new Map<number, Promise<void>>();
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
  }

  /** The channel on which other nodes speak to this one. */
  get nodeChannel(): string {
    return this.#nodeChannel(this.#options.node);
  }

  /**
   * Logs a user in on `session`. Undefined: already online, and `mode` is not to replace. Rejects, with nothing left behind,
   * when presence or the database is away.
   */
  async admit(
    session: Session,
    userId: number,
    name: string,
    mode: ClaimMode,
  ): Promise<Login | undefined> {
    const before = this.#turns.get(userId) ?? Promise.resolve();
    const turn = before.then(() => this.#admit(session, userId, name, mode));
    // The next one's turn comes whatever becomes of this one.
    const settled = turn.catch(() => {});
    this.#turns.set(userId, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(userId) === settled) this.#turns.delete(userId);
    }
  }

  async #admit(
    session: Session,
    userId: number,
    name: string,
    mode: ClaimMode,
  ): Promise<Login | undefined> {
    await this.#leaving.get(userId);
    // Whoever has given up meanwhile must not take the place of one who has come since.
    if (session.isEnded || (mode === "replace" && session.outlet.isPeerGone)) return undefined;
    const admitting: Admitting = { generation: 0, isSuperseded: false };
    this.#admitting.set(userId, admitting);
    try {
      const { presence } = this.#options;
      let claim = await presence.claim(userId, mode);
      if (!claim.claimed && await this.#endSilent(userId)) claim = await presence.claim(userId, mode);
      if (!claim.claimed) return undefined;
      admitting.generation = claim.generation;
      return await this.#settle(session, name, userId, claim, admitting);
    } finally {
      this.#admitting.delete(userId);
    }
  }

  /** Makes a claim a login; undefined when the claim was taken over, or the connection ended, meanwhile. */
  async #settle(
    session: Session,
    name: string,
    userId: number,
    { generation, previousNode }: { generation: number; previousNode?: string },
    admitting: Admitting,
  ): Promise<Login | undefined> {
    const { presence, delivery, messages } = this.#options;
    try {
      await this.#endOlder(userId, generation, previousNode);
      const login = await this.#prepare(session, userId, name, generation);
      if (admitting.isSuperseded || session.isEnded) {
        delivery.unsubscribe(userId, login.groups.keys());
        await presence.release(userId, generation);
        return undefined;
      }
      session.login = login;
      // The mailbox listens before the database is asked: what is stored while the answer is on its way rings only once.
      delivery.attach(session);
      const [positions] = await Promise.all([
        messages.positions(userId),
        this.#states.add({ userId, state: "online" }),
      ]);
      login.mailbox.place(positions);
      return login;
    } catch (error) {
      if (session.login) await this.dismiss(session);
      else await presence.release(userId, generation);
      throw error;
    }
  }

  async #prepare(session: Session, userId: number, name: string, generation: number): Promise<Login> {
    const { delivery, groups, messages, positions, readers, logger } = this.#options;
    const memberships = await groups.memberships(userId);
    await delivery.subscribe(userId, memberships.keys());
    const mailbox = new Mailbox({
      userId,
      version: session.version,
      outlet: session.outlet,
      messages,
      positions,
      readers,
      now: turnTime,
      onError: (error) =>
        logger.warn("cannot read missed messages; tried again", { reason: errorText(error) }),
    });
    return { userId, name, generation, groups: memberships, mailbox };
  }

  /** Ends the session that held the claim before, here or elsewhere, and waits until its positions are written. */
  async #endOlder(userId: number, generation: number, previousNode: string | undefined): Promise<void> {
    const { node, delivery } = this.#options;
    const older = delivery.session(userId);
    if (older) await this.replace(older);
    if (previousNode === undefined || previousNode === node) return;
    await this.#ask(ENVELOPE.evict, this.#nodeChannel(previousNode), userId, generation);
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
  ): Promise<boolean> {
    const { node, bus } = this.#options;
    const key = `${userId} ${seq}`;
    const isEnded = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), EVICTION_MS);
      this.#evictions.set(key, (isEnded) => {
        clearTimeout(timer);
        resolve(isEnded);
      });
      const envelope = { kind, sender: userId, seq, conversation: node };
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
    for (const { login } of this.#options.delivery.sessions) login?.mailbox.close();
  }

  /**
   * Places everyone who is online here anew, as the login did, by what the database holds now. Whose account is not there
   * any more, or is somebody else's, or cannot be read, has to come again. Never rejects.
   */
  async renew(): Promise<void> {
    const { users, delivery } = this.#options;
    users.forgetKnown();
    await Promise.all([...delivery.sessions].map((session) => this.#renew(session)));
  }

  async #renew(session: Session): Promise<void> {
    const { users, delivery, messages, logger } = this.#options;
    const { login } = session;
    if (!login) return;
    const { userId, name, generation } = login;
    try {
      const account = await users.account(userId);
      if (account?.name !== name) {
        throw new DatabaseError("other", `There is no user ${userId} of this name any more`);
      }
      const fresh = await this.#prepare(session, userId, name, generation);
      if (session.login !== login) return delivery.unsubscribe(userId, fresh.groups.keys());
      delivery.detach(session, login);
      session.login = fresh;
      delivery.attach(session);
      fresh.mailbox.place(await messages.positions(userId));
      fresh.mailbox.open();
    } catch (error) {
      logger.warn("cannot place a user anew; it has to log in again", {
        user: userId,
        reason: errorText(error),
      });
      session.end({
        code: "shutting_down",
        text: "The server has to begin anew; log in again.",
        reconnect: true,
      });
      await this.dismiss(session);
    }
  }

  /**
   * Logs out whoever is logged in on `session`; nothing happens otherwise. `isReplaced`: a newer session holds the claim.
   * `isOrderly`: a version 1 client has read all that was written to it; else what it has said nothing after comes again.
   * `isEnd`: it has at least ended its side without a reset.
   * Never rejects.
   */
  async dismiss(
    session: Session,
    { isReplaced = false, isOrderly = false, isEnd = false } = {},
  ): Promise<void> {
    const { login } = session;
    if (!login) return;
    session.login = undefined;
    const leaving = this.#leave(session, login, { isReplaced, isOrderly, isEnd }).finally(() => {
      if (this.#leaving.get(login.userId) === leaving) this.#leaving.delete(login.userId);
    });
    this.#leaving.set(login.userId, leaving);
    await leaving;
  }

  async #leave(
    session: Session,
    login: Login,
    how: { isReplaced: boolean; isOrderly: boolean; isEnd: boolean },
  ): Promise<void> {
    const { presence, delivery, positions } = this.#options;
    const { userId, generation, mailbox } = login;
    if (how.isOrderly) mailbox.settle();
    else mailbox.settleHeard(how);
    mailbox.close();
    delivery.detach(session, login);
    const written = positions.flush().then(async () => {
      // Before the claim is free: whoever claims next writes "online" after this. It is for people who look; nobody decides by it.
      if (how.isReplaced) return;
      await this.#states.add({ userId, state: "offline" }).catch((error) => this.#stateFailed(error));
    });
    await waitAtMost(LEAVING_MS, written);
    await presence.release(userId, generation);
    await written;
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
    await this.#writeOnline().catch((error) => this.#stateFailed(error));
  }

  /** In line with the other writes: whoever leaves meanwhile is written offline behind it. */
  async #writeOnline(): Promise<void> {
    const ids = [...this.#options.delivery.sessions].flatMap(({ login }) => login ? [login.userId] : []);
    await Promise.all(ids.map((userId) => this.#states.add({ userId, state: "online" })));
  }

  /** An envelope of another node for this one came over the bus. */
  onMessage(payload: string): void {
    const envelope = decodeEnvelope(payload);
    if (!envelope) return;
    const { kind, sender: userId, seq: generation, conversation: asker } = envelope;
    if (kind === ENVELOPE.evicted) this.#evictions.get(`${userId} ${generation}`)?.(true);
    else if (kind === ENVELOPE.kept) this.#evictions.get(`${userId} ${generation}`)?.(false);
    else if (kind === ENVELOPE.evict) this.#onEvict(userId, generation, asker);
  }

  /** Another node asks for a user who is, or was a moment ago, on this one. */
  async onGiveWay({ sender: userId, seq, conversation: asker }: Envelope): Promise<void> {
    const isEnded = await this.#giveWay(userId);
    this.#answer(isEnded ? ENVELOPE.evicted : ENVELOPE.kept, asker, userId, seq);
  }

  async #onEvict(userId: number, generation: number, asker: string): Promise<void> {
    const { delivery } = this.#options;
    this.#supersede(userId, generation);
    const session = delivery.session(userId);
    if (session?.login && session.login.generation < generation) await this.replace(session);
    await this.#leaving.get(userId);
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
  #supersede(userId: number, generation: number): void {
    const admitting = this.#admitting.get(userId);
    if (admitting && admitting.generation > 0 && admitting.generation < generation) {
      admitting.isSuperseded = true;
    }
  }

  /** This node's claim of a user has gone to another node. */
  onLost(userId: number, generation: number): void {
    this.#supersede(userId, generation + 1);
    const session = this.#options.delivery.session(userId);
    if (session?.login?.generation === generation) this.replace(session);
  }

  /**
   * Makes the database's states agree with presence: users it calls online whom no live node has claimed become offline.
   * After a node's death, and at start for what this node left behind.
   */
  async reconcileStates(): Promise<void> {
    const { users, presence } = this.#options;
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
