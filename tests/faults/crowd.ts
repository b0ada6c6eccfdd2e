/**
 * Many users of all versions in one process, who talk as long as they are told to.
 *
 * @module
 */

import { ChatClient, signUp } from "../support/chat_client.ts";
import { waitFor } from "../support/process.ts";
import type { Random } from "../support/random.ts";
import { Ledger } from "./ledger.ts";
import type { LoadUser, Target } from "./load_user.ts";
import type { Store } from "./store.ts";
import { V1User } from "./v1_user.ts";
import { V2User } from "./v2_user.ts";
import { V3Device } from "./v3_device.ts";

/** Generous: it is only ever reached by a failure. */
const DEADLINE_MS = 90_000;
/** Devices of a version 3 user. */
const DEVICES = 2;
/** Messages a version 2 user, or a device, has under way. */
const WINDOW = 4;
/** Longest pause of a talker, ms. */
const PAUSE_MS = 60;
const TICK_MS = 100;

/** How large a crowd is. */
export interface CrowdSize {
  /** Users of version 1. */
  v1: number;
  /** Users of version 2. */
  v2: number;
  /** Users of version 3, each with two devices that like different nodes best. */
  v3?: number;
  /** How many of all users are in the one group. */
  members: number;
  /** Further users of version 1 to whom nobody talks. */
  strangers?: number;
}

/** Users of a site, with the ledger they share. */
export class Crowd {
  /** Where everybody notes things. */
  readonly ledger = new Ledger();
  /** Version 2 users. */
  readonly v2: V2User[] = [];
  /** Devices of version 3 users: the first of each, then the second of each. */
  readonly v3: V3Device[] = [];
  /** Version 1 users. */
  readonly v1: V1User[] = [];
  /** Further ones, who say nothing and are not spoken to but by a fault. */
  readonly strangers: V1User[] = [];
  /** The group's id. */
  group = 0;
  /** The nodes that users may try. */
  ports: readonly number[] = [];
  readonly #random: Random;
  readonly #members = new Set<LoadUser>();
  #talking: Promise<unknown> = Promise.resolve();
  #isTalking = false;
  #ticker: ReturnType<typeof setInterval> | undefined;

  private constructor(random: Random) {
    this.#random = random;
  }

  /** Everybody. */
  get users(): LoadUser[] {
    return [...this.v2, ...this.v3, ...this.v1, ...this.strangers];
  }

  /** Those who repeat what has no answer. */
  get repeaters(): V2User[] {
    return [...this.v2, ...this.v3];
  }

  /**
   * Makes the users and a group; they are online when this resolves. One signs up, the others are copies of its row:
   * password hashes take long.
   */
  static async create(
    store: Store,
    ports: readonly number[],
    size: CrowdSize,
    random: Random,
  ): Promise<Crowd> {
    const crowd = new Crowd(random);
    crowd.ports = ports;
    const { v1, v2, v3 = 0, strangers = 0 } = size;
    const ids = await makeAccounts(store, ports[0] ?? 0, v1 + v2 + v3 + strangers);
    const options = (id: number) => ({
      id,
      name: nameOf(id),
      ledger: crowd.ledger,
      ports: () => crowd.ports,
      random,
    });
    crowd.v2.push(...ids.splice(0, v2).map((id) => new V2User(options(id))));
    const withDevices = ids.splice(0, v3);
    for (let device = 0; device < DEVICES; device++) {
      crowd.v3.push(...withDevices.map((id) => new V3Device(options(id), device)));
    }
    crowd.v1.push(...ids.splice(0, v1).map((id) => new V1User(options(id))));
    crowd.strangers.push(...ids.map((id) => new V1User(options(id))));
    await crowd.comeIn();
    await crowd.#makeGroup(store, size.members);
    return crowd;
  }

  async #makeGroup(store: Store, count: number): Promise<void> {
    if (count === 0) return;
    const [creator, ...others] = this.v2;
    if (!creator) throw new Error("A group needs a version 2 user to make it");
    const { groupid = 0 } = await creator.request({
      msgid: 8,
      id: creator.id,
      groupname: "everybody",
      groupdesc: "",
      join: "open",
    });
    this.group = groupid;
    // All versions, in their shares.
    const people = this.v1.length + this.v2.length + this.v3.length / DEVICES;
    const v1 = this.v1.slice(0, Math.round(count * this.v1.length / people));
    const v3 = this.v3.slice(0, Math.round(count * this.v3.length / DEVICES / people));
    const members = [creator, ...others.slice(0, count - v1.length - v3.length - 1), ...v3, ...v1];
    for (const member of members.slice(1)) member.join(groupid);
    const ids = new Set(members.map(({ id }) => id));
    for (const user of this.users) if (ids.has(user.id)) this.#members.add(user);
    await waitFor("everybody to be in the group", async () => {
      const [[joined] = []] = await store.sql(`SELECT COUNT(*) FROM GroupUser WHERE groupid = ${groupid}`);
      return Number(joined) === members.length;
    }, DEADLINE_MS);
  }

  /** Members of the group. */
  get members(): LoadUser[] {
    return [...this.#members];
  }

  /** Everybody is online when this resolves. */
  async comeIn(): Promise<void> {
    this.#ticker ??= setInterval(() => {
      const now = performance.now();
      for (const user of this.users) user.tick(now);
    }, TICK_MS);
    for (const user of this.users) user.comeIn();
    await this.allIn();
  }

  /** Resolves when everybody who wants to be online is. */
  async allIn(): Promise<void> {
    await this.#waitFor("everybody to be in", () => this.users.every((user) => user.isIn || !user.isWanted));
  }

  /** Everybody has gone in good order when this resolves. */
  async leave(): Promise<void> {
    await Promise.all(this.users.map((user) => user.leave()));
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Everybody vanishes. */
  async vanish(): Promise<void> {
    this.#isTalking = false;
    await Promise.all(this.users.map((user) => user.vanish()));
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    await this.#talking;
  }

  /** Everybody begins to talk: to neighbours of all versions, and members to the group. */
  startTalking(): void {
    this.#isTalking = true;
    const firsts = this.v3.length / DEVICES;
    // The devices of a user have different neighbours.
    const users = [...this.v3.slice(0, firsts), ...this.v2, ...this.v3.slice(firsts), ...this.v1];
    this.#talking = Promise.all(users.map((user, index) => this.#talk(user, users, index)));
  }

  async #talk(user: LoadUser, users: readonly LoadUser[], index: number): Promise<void> {
    while (this.#isTalking) {
      const hasRoom = !(user instanceof V2User) || user.unansweredCount < WINDOW;
      if (hasRoom) user.say(this.#targetOf(user, users, index));
      await new Promise((resolve) => setTimeout(resolve, this.#random.below(PAUSE_MS)));
    }
  }

  #targetOf(user: LoadUser, users: readonly LoadUser[], index: number): Target {
    if (this.#members.has(user) && this.#random.chance(0.2)) return { group: this.group };
    const neighbour = users[(index + 1 + this.#random.below(3)) % users.length];
    // Now and then somebody talks to itself: a conversation of one.
    return { user: neighbour && !this.#random.chance(0.02) ? neighbour.id : user.id };
  }

  /** Nobody says anything new after this resolves. */
  async stopTalking(): Promise<void> {
    this.#isTalking = false;
    await this.#talking;
  }

  /** Resolves when so many more messages have been acknowledged than when this was called. */
  async talked(count: number): Promise<void> {
    const before = this.ledger.tally.acknowledged;
    await this.#waitFor(
      `${count} more messages to be acknowledged`,
      () => this.ledger.tally.acknowledged >= before + count,
    );
  }

  /** How often each of those who repeat has been told to (errno 10). */
  refusals(): ReadonlyMap<V2User, number> {
    return new Map(this.repeaters.map((user) => [user, user.refusals]));
  }

  /**
   * Resolves when each of them has been told so once more than `before`. Who has lost its connection meanwhile cannot come
   * back without a database, and need not be told; most must be.
   */
  async toldToRepeat(before: ReadonlyMap<V2User, number>): Promise<void> {
    const untold = () => this.repeaters.filter((user) => user.refusals <= (before.get(user) ?? 0));
    await this.#waitFor("everybody to be told to repeat", () => {
      const left = untold();
      return left.length < before.size / 2 && left.every((user) => !user.isIn);
    });
  }

  /** Resolves when every message that gets one has its answer, and everybody is in. */
  async answered(): Promise<void> {
    await this.allIn();
    await this.#waitFor(
      "all messages to be answered",
      () => this.repeaters.every((user) => user.unansweredCount === 0),
    );
  }

  /** In vain, it says where everybody stands. */
  async #waitFor(what: string, probe: () => boolean): Promise<void> {
    try {
      await waitFor(what, probe, DEADLINE_MS);
    } catch (cause) {
      const states = this.users.map((user) => user.toString());
      throw new Error(`${what}, in vain: ${states.join("; ")}`, { cause });
    }
  }
}

function nameOf(id: number): string {
  return `user ${id}`;
}

async function makeAccounts(store: Store, port: number, count: number): Promise<number[]> {
  await using client = await ChatClient.connect(port);
  const first = await signUp(client, "the first");
  await store.sql(`UPDATE User SET name = '${nameOf(first)}', name_key = NULL WHERE id = ${first}`);
  const ids = Array.from({ length: count }, (_, index) => first + index);
  const copies = ids.slice(1).map((id) =>
    `SELECT ${id}, '${nameOf(id)}', password FROM User WHERE id = ${first}`
  );
  await store.sql(`INSERT INTO User (id, name, password) ${copies.join(" UNION ALL ")}`);
  return ids;
}
