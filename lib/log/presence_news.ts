/**
 * Tells users of version 3 who of those at whom they look has come or gone.
 *
 * Nothing waits for it. Who comes or goes is noted, and looked at again when nothing has happened for a while: most who go are
 * back at once, on whichever node, and nobody hears of that. Then all whose time has come are published together, once a tick
 * for all nodes, and each node tells those of its connections that have been told otherwise. So an outage of Redis, a node's
 * death or a lost doorbell leave nothing wrong for longer than they last.
 *
 * @module
 */
import { type Clock, systemClock, type Timer } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { anotherTurn } from "../base/turn.ts";
import { ENVELOPE } from "../cluster/envelope.ts";
import type { Presence } from "../cluster/presence.ts";
import { MSGID } from "../protocol/protocol.ts";
import type { UserState } from "../store/users.ts";
import type { Delivery, Receiver } from "./delivery.ts";
import type { Watchers } from "./watchers.ts";

/** What lasts no longer than this is not told, ms. */
const SETTLED_MS = 2_500;
/** From one look to the next, ms. With the time above: told within 3 s. */
const TICK_MS = 250;
/** Users in one question and in one envelope. */
const USERS_PER_TICK = 5_000;
/** Connections that are told in one turn. */
const TOLD_PER_TURN = 500;

/** Somebody has come or gone. */
interface Change {
  /** Monotonic, ms. */
  notedAt: number;
  /** ms since the epoch. */
  at: number;
}

/** User id, 1 when online, since when in ms since the epoch: as it travels between nodes. */
type Report = readonly [id: number, isOnline: number, at: number];

/** What {@link PresenceNews} works with. */
export interface PresenceNewsOptions<Session extends Receiver> {
  /** Who is online here, and the way to the other nodes. */
  delivery: Pick<Delivery<Session>, "sessionsOf" | "publishNews">;
  /** Who is online anywhere. */
  presence: Pick<Presence, "isUp" | "online">;
  /** Who looks at whom. */
  watchers: Watchers<Session>;
  /** For what fails. */
  logger: Logger;
  /** The system's by default. */
  clock?: Clock;
}

/** One per node. */
export class PresenceNews<Session extends Receiver> {
  readonly #options: PresenceNewsOptions<Session>;
  readonly #clock: Clock;
  /** Users who have come or gone here, by when that last happened. */
  readonly #changes = new Map<number, Change>();
  /** Users of whom somebody here has been told nothing, or perhaps something old. */
  readonly #doubtful = new Set<number>();
  /** What connections that do not keep up are still to be told. */
  readonly #owed = new Map<Session, Map<number, Report>>();
  #timer: Timer | undefined;
  /** When that goes off. */
  #wakesAt = 0;
  /** One report after the other is told: a later one must not be overtaken. */
  #telling: Promise<void> = Promise.resolve();
  #isTicking = false;
  #isClosed = false;
  /** For metrics: frames sent, and envelopes published. */
  readonly counters = { told: 0, published: 0 };

  /** See {@link PresenceNewsOptions}. */
  constructor(options: PresenceNewsOptions<Session>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** A user has got its first connection here, or has none here any more, or its node is dead. */
  note(userId: number): void {
    // The oldest comes first.
    this.#changes.delete(userId);
    this.#changes.set(userId, { notedAt: this.#clock.now(), at: Date.now() });
    this.#wake(SETTLED_MS);
  }

  /**
   * Somebody here looks at a user from now on: it hears of the next change, or of how things are if it has been told
   * something else.
   */
  look(userId: number): void {
    this.#doubtful.add(userId);
    this.#wake(TICK_MS);
  }

  /** The other nodes have not been heard for a while. */
  lookAtAll(): void {
    for (const userId of this.#options.watchers.userIds) this.#doubtful.add(userId);
    if (this.#doubtful.size > 0) this.#wake(TICK_MS);
  }

  /** The session has left. */
  forget(session: Session): void {
    this.#owed.delete(session);
  }

  /** Nothing happens any more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #wake(delayMs: number): void {
    if (this.#isTicking || this.#isClosed) return;
    const wakesAt = this.#clock.now() + delayMs;
    if (this.#timer && this.#wakesAt <= wakesAt) return;
    this.#timer?.cancel();
    this.#wakesAt = wakesAt;
    this.#timer = this.#clock.after(delayMs, () => this.#tick());
  }

  async #tick(): Promise<void> {
    this.#timer = undefined;
    this.#isTicking = true;
    try {
      await this.#settleOwed();
      if (this.#options.presence.isUp) {
        await this.#settleChanges();
        await this.#settleDoubts();
      }
    } catch {
      // Redis is away, as the bus has told; what was to be looked at still is.
    } finally {
      this.#isTicking = false;
    }
    this.#wakeAgain();
  }

  /** When the next is due, and not before a tick has passed. */
  #wakeAgain(): void {
    if (this.#owed.size > 0 || this.#doubtful.size > 0) return this.#wake(TICK_MS);
    const [oldest] = this.#changes.values();
    if (oldest) this.#wake(Math.max(TICK_MS, oldest.notedAt + SETTLED_MS - this.#clock.now()));
  }

  /** Who is here is online; of the others presence knows, wherever they may have come back. */
  async #settleChanges(): Promise<void> {
    const due: [number, Change][] = [];
    const now = this.#clock.now();
    for (const [userId, change] of this.#changes) {
      if (now - change.notedAt < SETTLED_MS || due.length === USERS_PER_TICK) break;
      due.push([userId, change]);
    }
    if (due.length === 0) return;
    const reports = await this.#reportsOf(due.map(([userId, { at }]) => [userId, at]));
    if (!await this.#publish(reports)) return;
    // Who has come or gone meanwhile is looked at again.
    for (const [userId, change] of due) {
      if (this.#changes.get(userId) === change) this.#changes.delete(userId);
    }
    await this.#tell(reports);
  }

  async #settleDoubts(): Promise<void> {
    const at = Date.now();
    const some: [number, number][] = [];
    for (const userId of this.#doubtful) {
      if (some.length === USERS_PER_TICK) break;
      some.push([userId, at]);
    }
    if (some.length === 0) return;
    const reports = await this.#reportsOf(some);
    for (const [userId] of some) this.#doubtful.delete(userId);
    await this.#tell(reports, { isChange: false });
  }

  async #reportsOf(users: readonly (readonly [id: number, at: number])[]): Promise<Report[]> {
    const { delivery, presence } = this.#options;
    const isHere = (userId: number) => delivery.sessionsOf(userId).length > 0;
    const elsewhere = users.map(([userId]) => userId).filter((userId) => !isHere(userId));
    const online = elsewhere.length > 0 ? await presence.online(elsewhere) : new Set<number>();
    return users.map(([userId, at]) => [userId, Number(isHere(userId) || online.has(userId)), at]);
  }

  /** False: the other nodes have not been told. */
  #publish(reports: readonly Report[]): Promise<boolean> {
    this.counters.published++;
    return this.#options.delivery.publishNews(undefined, {
      kind: ENVELOPE.presence,
      frame: JSON.stringify(reports),
    });
  }

  /** What another node has published. Throws when it is not what that node should have sent. */
  onMessage(frame: string): void {
    const reports: unknown = JSON.parse(frame);
    if (!Array.isArray(reports) || !reports.every(isReport)) throw new Error("This is no news of presence");
    this.#tell(reports);
  }

  /** Never rejects: later reports wait behind this one. */
  #tell(reports: readonly Report[], { isChange = true } = {}): Promise<void> {
    return this.#telling = this.#telling.then(() => this.#tellAll(reports, isChange)).catch((error) => {
      this.#options.logger.error("cannot tell who has come or gone; tried again", {
        reason: errorText(error),
      });
      for (const [userId] of reports) this.look(userId);
    });
  }

  async #tellAll(reports: readonly Report[], isChange: boolean): Promise<void> {
    const { watchers } = this.#options;
    let count = 0;
    for (const report of reports) {
      const [userId] = report;
      const state = stateIn(report);
      let frame: string | undefined;
      for (const session of watchers.of(userId)) {
        this.#owed.get(session)?.delete(userId);
        const told = watchers.told(session, userId);
        if (told === undefined && !isChange) watchers.tell(session, userId, state);
        if (told === state || (told === undefined && !isChange)) continue;
        this.#tellOne(session, report, frame ??= frameOf(report));
        if (++count % TOLD_PER_TURN === 0) await anotherTurn();
      }
    }
  }

  #tellOne(session: Session, report: Report, frame: string): void {
    const [userId] = report;
    if (session.outlet.isCongested) {
      const owed = this.#owed.get(session);
      if (owed) owed.set(userId, report);
      else this.#owed.set(session, new Map([[userId, report]]));
      this.#wake(TICK_MS);
      return;
    }
    // It may look elsewhere by now.
    if (!this.#options.watchers.tell(session, userId, stateIn(report))) return;
    this.counters.told++;
    session.login?.mailbox.sendEvent(frame);
  }

  async #settleOwed(): Promise<void> {
    for (const [session, owed] of [...this.#owed]) {
      if (session.outlet.isEnding) this.#owed.delete(session);
      if (session.outlet.isCongested || session.outlet.isEnding) continue;
      this.#owed.delete(session);
      for (const report of owed.values()) {
        if (this.#options.watchers.told(session, report[0]) === stateIn(report)) continue;
        this.#tellOne(session, report, frameOf(report));
      }
      await anotherTurn();
    }
  }
}

function stateIn([, isOnline]: Report): UserState {
  return isOnline === 1 ? "online" : "offline";
}

function frameOf(report: Report): string {
  const [id, , at] = report;
  return JSON.stringify({ msgid: MSGID.PRESENCE_MSG, id, state: stateIn(report), at });
}

function isReport(value: unknown): value is Report {
  return Array.isArray(value) && value.length === 3 && value.every(Number.isSafeInteger);
}
