/**
 * Who of those who are online here looks at whom: users whom they have added, and the other one of each conversation of two.
 *
 * @module
 */
import type { UserState } from "../store/users.ts";

/** Users whom one connection looks at, at most: of those who come later it hears nothing. */
export const WATCHED_MAX = 1_000;

/** What a connection looks at, and what it has been told of it. */
interface Watch {
  /** By user id; undefined: nothing yet. */
  told: Map<number, UserState | undefined>;
  /** Users of whom nothing is told. */
  blocked: ReadonlySet<number>;
}

/** Both directions of who looks at whom. One per node. */
export class Watchers<Session extends object> {
  readonly #watches = new Map<Session, Watch>();
  readonly #watchers = new Map<number, Set<Session>>();

  /** Connections that look at anybody. */
  get sessions(): IterableIterator<Session> {
    return this.#watches.keys();
  }

  /** Users who are looked at. */
  get userIds(): IterableIterator<number> {
    return this.#watchers.keys();
  }

  /** The session looks at those whom {@link watch} names from now on. */
  enter(session: Session): void {
    if (!this.#watches.has(session)) this.#watches.set(session, { told: new Map(), blocked: new Set() });
  }

  /** It looks at nobody any more. */
  leave(session: Session): void {
    const watch = this.#watches.get(session);
    if (!watch) return;
    for (const userId of watch.told.keys()) this.#remove(session, userId);
    this.#watches.delete(session);
  }

  /** Of these it is told nothing, and looks at none of them. */
  block(session: Session, blocked: ReadonlySet<number>): void {
    const watch = this.#watches.get(session);
    if (!watch) return;
    watch.blocked = blocked;
    for (const userId of blocked) this.unwatch(session, userId);
  }

  /** Those of whom a session is told nothing. */
  blockedBy(session: Session): ReadonlySet<number> {
    return this.#watches.get(session)?.blocked ?? new Set();
  }

  /** Whether a session is told nothing of a user. */
  isBlocked(session: Session, userId: number): boolean {
    return this.#watches.get(session)?.blocked.has(userId) ?? false;
  }

  /** The session looks at a user, of whose state it knows, if at all; false: it did before, or does not. */
  watch(session: Session, userId: number, told?: UserState): boolean {
    const watch = this.#watches.get(session);
    if (!watch || watch.blocked.has(userId)) return false;
    if (watch.told.has(userId) || watch.told.size >= WATCHED_MAX) return false;
    watch.told.set(userId, told);
    const watchers = this.#watchers.get(userId);
    if (watchers) watchers.add(session);
    else this.#watchers.set(userId, new Set([session]));
    return true;
  }

  /** The session looks at a user no longer. */
  unwatch(session: Session, userId: number): void {
    if (this.#watches.get(session)?.told.delete(userId)) this.#remove(session, userId);
  }

  #remove(session: Session, userId: number): void {
    const watchers = this.#watchers.get(userId);
    watchers?.delete(session);
    if (watchers?.size === 0) this.#watchers.delete(userId);
  }

  /** Users at whom a session looks. */
  watchedBy(session: Session): readonly number[] {
    return [...this.#watches.get(session)?.told.keys() ?? []];
  }

  /** Sessions that look at a user. */
  of(userId: number): readonly Session[] {
    return [...this.#watchers.get(userId) ?? []];
  }

  /** The session is told of the state of a user; false: it does not look at it. */
  tell(session: Session, userId: number, state: UserState): boolean {
    const told = this.#watches.get(session)?.told;
    if (!told?.has(userId)) return false;
    told.set(userId, state);
    return true;
  }

  /** What a session was told of a user at whom it looks; undefined: nothing yet. */
  told(session: Session, userId: number): UserState | undefined {
    return this.#watches.get(session)?.told.get(userId);
  }
}
