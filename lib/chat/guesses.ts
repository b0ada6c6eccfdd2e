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

/** A limit that grows. */
interface Limit {
  /** So many are free. */
  free: number;
  /** One is forgotten after so long, ms. */
  wearMs: number;
  /** The longest wait, ms. */
  maxWaitMs: number;
}

/** The first wait, ms. */
const FIRST_WAIT_MS = 1_000;
/** Nobody mistypes so often. Later some hundred tries a day are left. */
const ACCOUNT: Limit = { free: 40, wearMs: 15 * 60_000, maxWaitMs: 15 * 60_000 };
/** A class of 60 behind one address mistypes often; 360 an hour are forgotten. */
const ADDRESS: Limit = { free: 200, wearMs: 10_000, maxWaitMs: 5 * 60_000 };
/** Codes are typed from a letter or a mail; nobody mistypes so many. */
const CODE: Limit = { free: 20, wearMs: 60_000, maxWaitMs: 5 * 60_000 };
/** How long an address stays known to be a user's, ms. */
const KNOWN_MS = 30 * 86_400_000;
const HOUR_MS = 3_600_000;

/** Counts wrong passwords, wrong codes and signups. One per node. */
export class Guesses {
  readonly #tallies: Tallies;
  #signupsPerHour: number;

  /** `signupsPerHour`: of one address; 0: any number. */
  constructor(tallies: Tallies, signupsPerHour: number) {
    this.#tallies = tallies;
    this.#signupsPerHour = signupsPerHour;
  }

  /** So many of one address from now on; 0: any number. */
  limitSignups(perHour: number): void {
    this.#signupsPerHour = perHour;
  }

  /**
   * How long until a password for this account may be tried from there, ms; 0: now. `person`: as in person_address.ts;
   * undefined: nobody knows whose address it is, and there is no count for it.
   */
  async msToWait(userId: number, person: string | undefined): Promise<number> {
    const limits = [{ limit: ACCOUNT, key: placeKey(userId, person) }, {
      limit: ACCOUNT,
      key: accountKey(userId),
    }];
    if (person !== undefined) limits.push({ limit: ADDRESS, key: addressKey(person) });
    const known = { key: knownKey(userId, person), wearMs: KNOWN_MS };
    const [isKnown, here, ...elsewhere] = await this.#tallies.read([
      known,
      ...limits.map(({ key, limit }) => ({ key, wearMs: limit.wearMs })),
    ]);
    if (isKnown && isKnown.count > 0) return here ? waitOf(here, ACCOUNT) : 0;
    return Math.max(...elsewhere.map((count, index) => waitOf(count, limits[index + 1]?.limit ?? ACCOUNT)));
  }

  /** A password was wrong. */
  async wrong(userId: number, person: string | undefined): Promise<void> {
    const [isKnown] = await this.#tallies.read([{ key: knownKey(userId, person), wearMs: KNOWN_MS }]);
    const counted: Tally[] = [{
      key: isKnown && isKnown.count > 0 ? placeKey(userId, person) : accountKey(userId),
      wearMs: ACCOUNT.wearMs,
    }];
    if (person !== undefined) counted.push({ key: addressKey(person), wearMs: ADDRESS.wearMs });
    await this.#tallies.add(counted);
  }

  /** A password was right: the address is this user's from now on. */
  async right(userId: number, person: string | undefined): Promise<void> {
    const known = knownKey(userId, person);
    await this.#tallies.clear([placeKey(userId, person), known]);
    await this.#tallies.add([{ key: known, wearMs: KNOWN_MS }]);
  }

  /** No wrong password counts any more for this account, from nowhere in particular or from these addresses of its user. */
  async forgetUser(userId: number, persons: readonly (string | undefined)[]): Promise<void> {
    await this.#tallies.clear([accountKey(userId), ...persons.map((person) => placeKey(userId, person))]);
  }

  /** Nothing counts any more of what has come from this address. */
  async forgetAddress(person: string): Promise<void> {
    await this.#tallies.clear([addressKey(person), codeKey(person), signupKey(person)]);
  }

  /** How long until a code may be tried from there, ms; 0: now. */
  async msToWaitForCode(person: string | undefined): Promise<number> {
    if (person === undefined) return 0;
    const [wrong] = await this.#tallies.read([{ key: codeKey(person), wearMs: CODE.wearMs }]);
    return wrong ? waitOf(wrong, CODE) : 0;
  }

  /** A code was wrong. */
  async wrongCode(person: string | undefined): Promise<void> {
    if (person !== undefined) await this.#tallies.add([{ key: codeKey(person), wearMs: CODE.wearMs }]);
  }

  /** Counts a signup, if one more is allowed from there: then 0, else how long until it is, ms. */
  async trySignup(person: string | undefined): Promise<number> {
    if (person === undefined || this.#signupsPerHour === 0) return 0;
    const tally = { key: signupKey(person), wearMs: HOUR_MS / this.#signupsPerHour };
    const [signups] = await this.#tallies.read([tally]);
    const surplus = (signups?.count ?? 0) + 1 - this.#signupsPerHour;
    if (surplus > 0) return surplus * tally.wearMs;
    await this.#tallies.add([tally]);
    return 0;
  }
}

function waitOf({ count, ageMs }: Count, { free, maxWaitMs }: Limit): number {
  if (count < free) return 0;
  const waitMs = Math.min(maxWaitMs, FIRST_WAIT_MS * 2 ** Math.floor(count - free));
  return Math.max(0, waitMs - ageMs);
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
