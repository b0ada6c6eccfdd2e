/**
 * Connections on which nobody is logged in: they have a share of their own, in all and for each address, and when that runs
 * short those who have been silent for longest make room. Who is logged in never does.
 *
 * @module
 */

/** A connection without a user. */
export interface Guest {
  /** What limits by address go by; undefined: none does. */
  person: string | undefined;
  /** Frames heard of it: who says something is not silent. */
  heard: number;
  /** Something it has asked for is under way: it does not make room for anybody. */
  isBusy: () => boolean;
  /** Sends it away, for another one needs the place. */
  end: () => void;
}

/** How many guests there may be. */
export interface GuestLimits {
  /** In all. */
  maxAnonymous: number;
  /** From one address. */
  maxAnonymousPerAddress: number;
}

/** Guests looked at to find a silent one; behind so many that are not, the first one goes whatever it has said. */
const LOOKS = 64;

/** Guests in the order in which they have to go. */
class Line {
  /** With the frames that had been heard of each when it came to stand here. */
  readonly #heard = new Map<Guest, number>();

  get size(): number {
    return this.#heard.size;
  }

  add(guest: Guest): void {
    this.#heard.set(guest, guest.heard);
  }

  delete(guest: Guest): void {
    this.#heard.delete(guest);
  }

  /** Who has said something since it was looked at stands at the end again. */
  first(): Guest | undefined {
    let looks = 0;
    for (const [guest, heard] of this.#heard) {
      if (guest.heard === heard && !guest.isBusy()) return guest;
      if (++looks > Math.min(LOOKS, this.size)) break;
      this.#heard.delete(guest);
      this.add(guest);
    }
    for (const guest of this.#heard.keys()) {
      if (!guest.isBusy()) return guest;
      if (++looks > 2 * LOOKS) break;
    }
    return undefined;
  }
}

/** A node's guests. */
export class Guests {
  readonly #limits: GuestLimits;
  readonly #all = new Line();
  readonly #byPerson = new Map<string, Line>();
  /** Guests that had to make room; for metrics. */
  crowdedOut = 0;

  /** See {@link GuestLimits}. */
  constructor(limits: GuestLimits) {
    this.#limits = limits;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** Takes a guest in; false when there is no room for it and nobody who could make any. */
  enter(guest: Guest): boolean {
    const { maxAnonymous, maxAnonymousPerAddress } = this.#limits;
    const own = guest.person === undefined ? undefined : this.#byPerson.get(guest.person);
    if (own && own.size >= maxAnonymousPerAddress && !this.#sendAway(own.first())) return false;
    if (this.#all.size >= maxAnonymous && !this.makeRoom()) return false;
    this.#add(guest);
    return true;
  }

  /** It is known now whose address it is; false as with {@link enter}, and the guest is none any more. */
  locate(guest: Guest, person: string | undefined): boolean {
    this.leave(guest);
    guest.person = person;
    return this.enter(guest);
  }

  /** Somebody was logged in on this connection and is not any more. It has been let in before, so there is room for it. */
  comeBack(guest: Guest): void {
    if (!this.enter(guest)) this.#add(guest);
  }

  #add(guest: Guest): void {
    const { person } = guest;
    this.#all.add(guest);
    if (person === undefined) return;
    const own = this.#byPerson.get(person) ?? new Line();
    this.#byPerson.set(person, own);
    own.add(guest);
  }

  /** It is logged in, or gone. */
  leave(guest: Guest): void {
    this.#all.delete(guest);
    const own = guest.person === undefined ? undefined : this.#byPerson.get(guest.person);
    own?.delete(guest);
    if (guest.person !== undefined && own?.size === 0) this.#byPerson.delete(guest.person);
  }

  /** Sends one away, to have its place for something else; false when there is none who could go. */
  makeRoom(): boolean {
    return this.#sendAway(this.#all.first());
  }

  #sendAway(guest: Guest | undefined): boolean {
    if (guest === undefined) return false;
    this.leave(guest);
    this.crowdedOut++;
    guest.end();
    return true;
  }
}
