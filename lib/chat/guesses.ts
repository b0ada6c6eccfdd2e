/**
 * Makes guessing passwords hopeless without making it a way to lock somebody out.
 *
 * Wrong passwords are counted by account and by address; after some, each further one has to wait, twice as long each time.
 * An address from which the user has logged in before has a count of its own for this account, and no other counts there:
 * whoever guesses elsewhere does not keep the owner out. A resume token is no guess and is never counted.
 *
 * @module
 */
import type { Count, Tallies, Tally } from "../cluster/tallies.ts";
import type { Subject } from "./limit_book.ts";

/** How many are free before each further one has to wait; 0: any number. */
export interface GuessOptions {
  /** Wrong passwords for an account, from wherever; 1 at least. */
  wrongPasswords: number;
  /** Wrong passwords from an address, for whichever accounts. */
  wrongPasswordsPerAddress: number;
  /** Wrong codes from an address. */
  wrongCodes: number;
  /** Signups of an address; these are refused, and as many are free again in an hour. */
  signupRate: number;
}

/** A limit whose counts are forgotten one after the other. */
interface Limit {
  /** Says how many are free. */
  option: keyof GuessOptions;
  /** So many are forgotten in this time, ms. */
  forgetMs: number;
}

/** One that has each further try wait, longer and longer. */
interface GrowingLimit extends Limit {
  /** The longest wait, ms. */
  maxWaitMs: number;
}

/** The first wait, ms. */
const FIRST_WAIT_MS = 1_000;
/** Some hundred tries a day are left when nobody mistypes any more. */
const ACCOUNT: GrowingLimit = { option: "wrongPasswords", forgetMs: 10 * 3_600_000, maxWaitMs: 15 * 60_000 };
/** A class of 60 behind one address mistypes often. */
const ADDRESS: GrowingLimit = {
  option: "wrongPasswordsPerAddress",
  forgetMs: 2_000_000,
  maxWaitMs: 5 * 60_000,
};
/** Codes are typed from a letter or a mail. */
const CODE: GrowingLimit = { option: "wrongCodes", forgetMs: 20 * 60_000, maxWaitMs: 5 * 60_000 };
const SIGNUPS: Limit = { option: "signupRate", forgetMs: 3_600_000 };
/** How long an address stays known to be a user's, ms. */
const KNOWN_MS = 30 * 86_400_000;

/** Counts wrong passwords, wrong codes and signups. One per node. */
export class Guesses {
  readonly #tallies: Tallies;
  readonly #options: Readonly<GuessOptions>;

  /** `options`: looked at each time, they may change. */
  constructor(tallies: Tallies, options: Readonly<GuessOptions>) {
    this.#tallies = tallies;
    this.#options = options;
  }

  /**
   * How long until a password for this account may be tried from there, ms; 0: now. `person`: as in person_address.ts;
   * undefined: nobody knows whose address it is, and there is no count for it.
   */
  async msToWait(userId: number, person: string | undefined): Promise<number> {
    const [isKnown, here, account, address] = await this.#tallies.read([
      { key: knownKey(userId, person), wearMs: KNOWN_MS },
      ...this.#tally(ACCOUNT, placeKey(userId, person)),
      ...this.#tally(ACCOUNT, accountKey(userId)),
      ...this.#tally(ADDRESS, person && addressKey(person)),
    ]);
    if (isKnown && isKnown.count > 0) return this.#waitOf(ACCOUNT, here);
    return Math.max(this.#waitOf(ACCOUNT, account), this.#waitOf(ADDRESS, address));
  }

  /** A password was wrong. */
  async wrong(userId: number, person: string | undefined): Promise<void> {
    const [isKnown] = await this.#tallies.read([{ key: knownKey(userId, person), wearMs: KNOWN_MS }]);
    const accountOrPlace = isKnown && isKnown.count > 0 ? placeKey(userId, person) : accountKey(userId);
    await this.#tallies.add([
      ...this.#tally(ACCOUNT, accountOrPlace),
      ...this.#tally(ADDRESS, person && addressKey(person)),
    ]);
  }

  /** A password was right: the address is this user's from now on. */
  async right(userId: number, person: string | undefined): Promise<void> {
    const known = knownKey(userId, person);
    await this.#tallies.clear([placeKey(userId, person), known]);
    await this.#tallies.add([{ key: known, wearMs: KNOWN_MS }]);
  }

  /** Nothing counts any more for these accounts, nor for these addresses. */
  async forget(subjects: readonly Subject[]): Promise<void> {
    await this.#tallies.clear(subjects.flatMap(({ userId, person }) => [
      ...(userId === undefined ? [] : [accountKey(userId), placeKey(userId), placeKey(userId, person)]),
      ...(person === undefined ? [] : [addressKey(person), codeKey(person), signupKey(person)]),
    ]));
  }

  /** How long until a code may be tried from there, ms; 0: now. */
  async msToWaitForCode(person: string | undefined): Promise<number> {
    const [wrong] = await this.#tallies.read(this.#tally(CODE, person && codeKey(person)));
    return this.#waitOf(CODE, wrong);
  }

  /** A code was wrong. */
  async wrongCode(person: string | undefined): Promise<void> {
    await this.#tallies.add(this.#tally(CODE, person && codeKey(person)));
  }

  /** Counts a signup, if one more is allowed from there: then 0, else how long until it is, ms. */
  async trySignup(person: string | undefined): Promise<number> {
    const [tally] = this.#tally(SIGNUPS, person && signupKey(person));
    if (!tally) return 0;
    const [signups] = await this.#tallies.read([tally]);
    const surplus = (signups?.count ?? 0) + 1 - this.#options.signupRate;
    if (surplus > 0) return surplus * tally.wearMs;
    await this.#tallies.add([tally]);
    return 0;
  }

  /** As what it is counted; none where nothing is. */
  #tally({ option, forgetMs }: Limit, key: string | undefined): Tally[] {
    const free = this.#options[option];
    return key === undefined || free === 0 ? [] : [{ key, wearMs: forgetMs / free }];
  }

  #waitOf({ option, maxWaitMs }: GrowingLimit, counted: Count | undefined): number {
    if (!counted) return 0;
    // One that is forgotten in part counts still: the first wait comes after so many, and not one later.
    const surplus = Math.ceil(counted.count) - this.#options[option];
    return surplus < 0 ? 0 : Math.max(0, Math.min(maxWaitMs, FIRST_WAIT_MS * 2 ** surplus) - counted.ageMs);
  }
}

function accountKey(userId: number): string {
  return `wrong ${userId}`;
}

function addressKey(person: string): string {
  return `wrong ${person}`;
}

function codeKey(person: string): string {
  return `code ${person}`;
}

function signupKey(person: string): string {
  return `signup ${person}`;
}

/** Of an account at an address where its user has logged in. */
function placeKey(userId: number, person = "local"): string {
  return `wrong ${userId} ${person}`;
}

function knownKey(userId: number, person = "local"): string {
  return `known ${userId} ${person}`;
}
