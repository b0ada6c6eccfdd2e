/**
 * Follows what operators do to the database while this node runs: ends sessions, forgets users, passes announcements on,
 * lifts limits, and tells whom they hold up. It asks once a second, in every deployment the same, for two rows.
 *
 * @module
 */
import type { Admission } from "./admission.ts";
import { errorText } from "../base/errors.ts";
import { forgetOldest } from "../base/forget_oldest.ts";
import { waitAtMost } from "../base/give_up_after.ts";
import { momentText } from "../base/moment.ts";
import type { Delivery } from "../log/delivery.ts";
import type { Positions } from "../log/positions.ts";
import type { Logger } from "../base/logger.ts";
import { MSGID } from "../protocol/protocol.ts";
import type { Session } from "./session.ts";
import type { Guesses } from "./guesses.ts";
import type { LimitBook, LimitEntry, Subject } from "./limit_book.ts";
import type { Quotas } from "./quotas.ts";
import type { AdminEvent, AdminEvents } from "../store/admin_events.ts";
import type { NodeReport, NodeReports } from "../store/node_reports.ts";
import type { Users } from "../store/users.ts";

/** What a node says when it is asked. */
export interface NodeLimits {
  /** Whom limits hold up: as many as there is room for. */
  limited: LimitEntry[];
  /** So many others. */
  more: number;
}

/** Events in one statement. */
const PAGE = 200;
/** Users of whom it is remembered that their sessions were ended: a login may be under way that does not know of it yet. */
const REMEMBERED = 10_000;

/** What users are told whose sessions are ended. */
const NOTICES: Partial<Record<AdminEvent["what"], string>> = {
  password: "The password of this account has been changed.",
  reset: "The password of this account has been changed.",
  disable: "This account has been disabled.",
  delete: "This account has been deleted.",
  sessions: "An operator has ended this session.",
};

/** Entries of a report about limits: the table's column holds a good deal more. */
const REPORTED = 200;
/** The database has so long to hear that this node ends, ms. */
const LEAVE_MS = 500;

/** What {@link AdminOrders} works with. */
export interface AdminOrderOptions {
  /** Tables. */
  events: AdminEvents;
  /** Tables. */
  users: Users;
  /** Who is online here. */
  delivery: Delivery<Session>;
  /** Logouts. */
  admission: Admission;
  /** How far users are. */
  positions: Pick<Positions, "forget" | "flush">;
  /** Deletes what is stored of the places of a deleted user. */
  forgetPlaces: (userId: number) => Promise<void>;
  /** Tables. */
  reports: NodeReports;
  /** Who this node is in them. */
  node: Pick<NodeReport, "node" | "origin">;
  /** Whom limits hold up. */
  limits: LimitBook;
  /** What users may do. */
  quotas: Quotas;
  /** Wrong passwords, and signups, so far. */
  guesses: Guesses;
  /** For what is done. */
  logger: Logger;
}

/** One per node. */
export class AdminOrders {
  readonly #options: AdminOrderOptions;
  /** Users whose sessions were ended, with the event that did and what they were told; oldest first. */
  readonly #ended = new Map<number, { event: number; text: string }>();
  #newest: number | undefined;
  #question = 0;
  #isAsking = false;

  /** See {@link AdminOrderOptions}. */
  constructor(options: AdminOrderOptions) {
    this.#options = options;
  }

  /** What is done from now on is followed. To be called before anything that it could change is read. */
  async begin(): Promise<void> {
    const { events, reports, node } = this.#options;
    const { newest, question } = await events.heads();
    this.#newest = newest;
    this.#question = question;
    // Where that fails it is done with the first answer.
    await reports.enter({ ...node, at: Date.now() }).catch(() => {});
  }

  /** Nobody waits for answers of this node any more. Never rejects. */
  async end(): Promise<void> {
    const { reports, node } = this.#options;
    // Who is not to be had is forgotten by whoever asks in vain.
    await waitAtMost(LEAVE_MS, reports.leave(node).catch(() => {}));
  }

  /** Called about once a second. Never rejects. */
  async tick(): Promise<void> {
    if (this.#isAsking || this.#newest === undefined) return;
    this.#isAsking = true;
    try {
      await this.#catchUp(this.#newest);
    } catch (error) {
      // The database is away, as others tell; what was done meanwhile is read when it is back.
      this.#options.logger.debug("cannot ask what operators have done", { reason: errorText(error) });
    } finally {
      this.#isAsking = false;
    }
  }

  async #catchUp(known: number): Promise<void> {
    const { newest, question } = await this.#options.events.heads();
    if (newest < known) this.#beginAnew(newest);
    for (let after = known; after < newest;) {
      const events = await this.#options.events.after(after, PAGE);
      if (events.length === 0) return;
      for (const event of events) {
        await this.#follow(event);
        this.#newest = after = event.id;
      }
    }
    // Also after a database has gone back in time: it counts from an earlier one.
    if (question !== this.#question) await this.#answer(question);
  }

  async #answer(question: number): Promise<void> {
    const { reports, node, limits } = this.#options;
    const { entries, count } = limits.list(REPORTED);
    const report: NodeLimits = { limited: entries, more: count - entries.length };
    await reports.answer(question, { ...node, at: Date.now(), body: JSON.stringify(report) });
    this.#question = question;
  }

  /** A database that has gone back in time counts from an earlier event. */
  #beginAnew(newest: number): void {
    this.#newest = newest;
    this.#ended.clear();
    for (const session of this.#options.delivery.sessions()) session.revoked = 0;
  }

  async #follow({ id, what, userId, detail }: AdminEvent): Promise<void> {
    const { logger, users, delivery, admission } = this.#options;
    logger.info("an operator's order", { what, ...(userId === null ? {} : { user: userId }) });
    const notice = NOTICES[what];
    if (userId !== null && notice !== undefined) this.#endSessions(userId, id, notice);
    if (userId !== null && what === "delete") await this.#forget(userId);
    if (userId !== null && what === "device") admission.onRevoked(userId, Number(detail.device));
    if (what === "dissolve" || what === "transfer") this.#regroup(Number(detail.group));
    if (what === "lift") await this.#lift(userId, detail);
    if (what === "announce") this.#announce(String(detail.text));
    if (what === "import") {
      users.forgetKnown();
      // Every node follows by itself, and hears nothing of what it publishes.
      delivery.sweep();
    }
  }

  /** A user is no more: nothing of it is written from now on. */
  async #forget(userId: number): Promise<void> {
    const { users, positions, forgetPlaces } = this.#options;
    users.forget(userId);
    positions.forget(userId);
    // What was being written is there before what stays of it is deleted.
    await positions.flush();
    await forgetPlaces(userId);
  }

  /** Those that began before the event: who has logged in with the new password since goes on. */
  #endSessions(userId: number, event: number, text: string): void {
    this.#ended.delete(userId);
    this.#ended.set(userId, { event, text });
    if (this.#ended.size > REMEMBERED) forgetOldest(this.#ended);
    const ended = this.#options.delivery.sessionsOf(userId).filter(({ revoked }) => revoked < event);
    for (const session of ended) this.#end(session, text);
  }

  #end(session: Session, text: string): void {
    session.end({ code: "revoked", text, reconnect: false });
    this.#options.admission.dismiss(session);
  }

  /**
   * Runs a change that records an event which ends the user's sessions, all but `session`; resolves with what it does, the
   * event's id or undefined when there is none.
   */
  async spare(session: Session, change: () => Promise<number | undefined>): Promise<number | undefined> {
    const known = session.revoked;
    // The event may be followed before its id is known here.
    session.revoked = Infinity;
    let event: number | undefined;
    try {
      return event = await change();
    } finally {
      session.revoked = event ?? known;
      const ended = this.#ended.get(session.login?.userId ?? 0);
      if (ended && ended.event > session.revoked) this.#end(session, ended.text);
    }
  }

  /** Who is in the group is to know what has become of it, and of the own place there. */
  #regroup(groupId: number): void {
    const { delivery, admission } = this.#options;
    const userIds = [...delivery.sessions()].flatMap(({ login }) =>
      login?.groups.has(groupId) ? [login.userId] : []
    );
    for (const userId of new Set(userIds)) admission.catchUp(userId);
  }

  /** Whatever has been counted of a user, or of an address, or is known of it in the list, is forgotten; never rejects. */
  async #lift(userId: number | null, { address }: AdminEvent["detail"]): Promise<void> {
    const { delivery, limits, quotas, guesses } = this.#options;
    const subject: Subject = userId === null ? { person: String(address) } : { userId };
    const lifted = limits.lift(subject);
    const users = new Set([subject, ...lifted].flatMap(({ userId }) => userId ?? []));
    for (const id of users) quotas.forget(id, delivery.sessionsOf(id));
    // Which of the two has kept the other waiting is not known.
    await guesses.forget([subject, ...lifted.filter(({ limit }) => limit === "guesses")]);
  }

  /** Version 1 knows no notices but the last one: it gets a message of nobody. */
  #announce(text: string): void {
    const frame = JSON.stringify({ msgid: MSGID.NOTICE_MSG, code: "announcement", text, reconnect: true });
    // As a client writes it, though of no time zone.
    const time = momentText(Date.now());
    for (const { version, outlet, login } of this.#options.delivery.sessions()) {
      if (!login) continue;
      const { userId } = login;
      const message = { msgid: MSGID.ONE_CHAT_MSG, id: 0, name: "server", toid: userId, msg: text, time };
      outlet.send(version === 1 ? JSON.stringify(message) : frame);
    }
  }

  /** Whether sessions were ended by an event that is newer than `revoked`, which is what a login knows of. */
  hasEnded(userId: number, revoked: number): boolean {
    return (this.#ended.get(userId)?.event ?? 0) > revoked;
  }
}
