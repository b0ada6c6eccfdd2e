/**
 * Who is logged in to the page for operators: users with the role of an administrator, on this node, for some hours.
 *
 * The password is tried as a chat login's is, with its limits and its turns. The cookie that is given for it is known to
 * this node's memory only, by its hash.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { type Asker, NoTurnError } from "../base/fair_queue.ts";
import { forgetOldest } from "../base/forget_oldest.ts";
import type { Guesses } from "../chat/guesses.ts";
import type { Passwords } from "../chat/password.ts";
import type { LimitCounters } from "../chat/limit_book.ts";
import type { Account, Users } from "../store/users.ts";

/** A login is good for so long, ms. */
export const SESSION_MS = 12 * 3_600_000;
/** Logins at a time; one more ends the oldest. */
const MAX_SESSIONS = 100;
const TOKEN_BYTES = 32;
/** Longest name and password that are looked at, in UTF-16 units. */
const NAME_MAX = 200;
const PASSWORD_MAX = 2_048;
/** Nobody has this id: wrong names count for it, and for their address. */
const NOBODY = 0;

/** Somebody who is logged in. */
export interface Operator {
  /** User id. */
  userId: number;
  /** User's name. */
  name: string;
}

interface Session extends Operator {
  until: number;
  /** The newest event that had ended the user's sessions then. */
  revoked: number;
}

/** A login that was refused. */
export interface Refused {
  /** For people. */
  problem: string;
  /** Another attempt has to wait for so long, ms. */
  waitMs?: number;
}

/** What {@link OperatorSessions} works with. */
export interface OperatorSessionsOptions {
  /** Accounts. */
  users: Pick<Users, "account" | "accountOfName" | "isAdministrator">;
  /** Hashes. */
  passwords: Pick<Passwords, "verify" | "turns">;
  /** Limits. */
  guesses: Pick<Guesses, "msToWait" | "right" | "wrong">;
  /** What limits have refused. */
  limited: Pick<LimitCounters, "guesses" | "hashes">;
  /** ms since the epoch. */
  now?: () => number;
}

const WRONG: Refused = { problem: "Wrong name or password, or no administrator." };

/** One per node. */
export class OperatorSessions {
  readonly #options: OperatorSessionsOptions;
  readonly #now: () => number;
  /** By the hash of the cookie's value, the oldest first. */
  readonly #sessions = new Map<string, Session>();

  /** See {@link OperatorSessionsOptions}. */
  constructor(options: OperatorSessionsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Tries a password. `person`: whose address it comes from, as in person_address.ts. Resolves with the value of a cookie.
   * Rejects with a DatabaseError.
   */
  async logIn(
    { name, password, person }: { name: string; password: string; person: string | undefined },
  ): Promise<{ token: string } | Refused> {
    if (name.length > NAME_MAX || password.length > PASSWORD_MAX) return WRONG;
    const account = await this.#options.users.accountOfName(name);
    const tried = await this.#try(account, password, person);
    if (tried !== true) return tried;
    if (!account || !await this.#options.users.isAdministrator(account.id)) return WRONG;
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const { id: userId, name: stored, revoked } = account;
    this.#sessions.set(hashOf(token), { userId, name: stored, revoked, until: this.#now() + SESSION_MS });
    if (this.#sessions.size > MAX_SESSIONS) forgetOldest(this.#sessions);
    return { token };
  }

  async #try(
    account: Account | undefined,
    password: string,
    person: string | undefined,
  ): Promise<true | Refused> {
    const { passwords, guesses, limited } = this.#options;
    const id = account?.id ?? NOBODY;
    const asker: Asker = { person, isEnded: false, outlet: { isPeerGone: false } };
    try {
      return await passwords.turns.run(asker, async () => {
        const waitMs = await guesses.msToWait(id, person);
        if (waitMs > 0) {
          limited.guesses++;
          return { problem: "Too many wrong passwords.", waitMs };
        }
        const { isRight } = await passwords.verify(password, account?.password);
        if (isRight) await guesses.right(id, person);
        else await guesses.wrong(id, person);
        return isRight || WRONG;
      });
    } catch (error) {
      if (!(error instanceof NoTurnError)) throw error;
      limited.hashes++;
      return { problem: "Too many want to log in at the moment.", waitMs: 1_000 };
    }
  }

  /**
   * Who has this cookie; undefined: nobody, or nobody any more. Whoever has lost the role, is disabled, or had all sessions
   * ended is out at once. Rejects with a DatabaseError.
   */
  async find(token: string): Promise<Operator | undefined> {
    const hash = hashOf(token);
    const session = this.#sessions.get(hash);
    if (!session) return undefined;
    const { users } = this.#options;
    const [account, isAdministrator] = await Promise.all([
      users.account(session.userId),
      users.isAdministrator(session.userId),
    ]);
    if (isAdministrator && account?.revoked === session.revoked && this.#now() < session.until) {
      return session;
    }
    this.#sessions.delete(hash);
    return undefined;
  }

  /** The cookie is worth nothing any more. */
  logOut(token: string): void {
    this.#sessions.delete(hashOf(token));
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
