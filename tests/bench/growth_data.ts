/**
 * What growth.ts measures on: much of everything and little of it, put straight into the database.
 *
 * @module
 */
import type { Database } from "../../lib/store/database.ts";
import { createUsers, giveDevices, giveTokens, hashPassword, insert } from "./accounts.ts";
import { createGroup } from "./group.ts";
import type { Account } from "./load_client.ts";

/** Which of two that are compared. */
export type Size = "large" | "small";

/** Both of them. */
export const SIZES = ["large", "small"] as const;

/** Users of a storage. */
export const USERS: Record<Size, number> = { large: 100_000, small: 100 };
/** Messages of a conversation. */
export const MESSAGES: Record<Size, number> = { large: 1_000_000, small: 1_000 };
/** Conversations of a user. */
export const CONVERSATIONS: Record<Size, number> = { large: 10_000, small: 50 };
/** As many as the list has on a page. */
const LISTED = 200;
/** Members of a group … */
export const MEMBERS: Record<Size, number> = { large: 5_000, small: 10 };
/** … and how many of them are online. */
export const ONLINE: Record<Size, number> = { large: 500, small: 9 };
/** Group ids. */
export const GROUPS: Record<Size, number> = { large: 1, small: 2 };
/** The password of those who log in by version 1. */
export const PASSWORD = "correct horse battery staple";

/** Pairs in either storage who have a conversation of {@link FEW} messages each. */
const PAIRS = 20;
const FEW = 3;
/** When the first of all was stored, ms since the epoch; of a user's conversations each is a millisecond newer. */
export const BEGUN_AT = 1_700_000_000_000;
/** Ids of those who have a part, in the large storage only, begin here. */
const FIRST = 1_000;
const MESSAGE = `{"msgid":6,"id":1,"name":"user 1","toid":2,"msg":"${
  "x".repeat(64)
}","time":"2026-01-01 00:00:00"}`;

/** A user and what it logs in by. */
export interface Person {
  /** User id; of the device, too. */
  id: number;
  /** By version 2. */
  token: Account;
  /** By version 3. */
  device: Account;
}

/** Who does what in the large storage. */
export interface Cast {
  /** In many conversations, or few, and has all of them unread. */
  busy: Record<Size, Person>;
  /** The same, in as many as a login lists. */
  page: Person;
  /** Has received and read nothing of a conversation, in which the other one has written. */
  behind: Record<Size, Person>;
  /** Those others. */
  talker: Record<Size, Person>;
  /** Members who are online besides the speaker. */
  online: Record<Size, Person[]>;
  /** A member who is not. */
  away: Record<Size, Person>;
  /** Member of both groups. */
  speaker: Person;
  /** Member of neither. */
  stranger: Person;
}

let hash: Promise<string> | undefined;

function storedPassword(): Promise<string> {
  return hash ??= hashPassword(PASSWORD);
}

/** Users as many as there are, and the pairs: they are the first of them. */
export async function fillUsers(db: Database, size: Size): Promise<Person[]> {
  const people = Array.from({ length: 2 * PAIRS }, (_, index) => newPerson(index + 1));
  await createUsers(db, 1, USERS[size], await storedPassword());
  await fillTalks(db, people.filter(({ id }) => id % 2 === 1).map(({ id }) => [id, id + 1]), FEW, FEW);
  await equip(db, people);
  return people;
}

function newPerson(id: number): Person {
  const account = () => ({ id, name: `user ${id}`, login: "" });
  return { id, token: account(), device: account() };
}

/** Gives these what they need to log in, by a device which has received what its user has. */
async function equip(db: Database, people: readonly Person[]): Promise<void> {
  await giveTokens(db, people.map(({ token }) => token), await storedPassword());
  await giveDevices(db, people.map(({ device }) => device));
  const { sql, params } = db.dialect.isOneOf("userid", people.map(({ id }) => id));
  await db.run(
    "INSERT INTO DeviceCursor (device, conversation, delivered) " +
      `SELECT userid, conversation, delivered FROM Member WHERE ${sql}`,
    params,
  );
}

/** Much of everything but users, who are there. */
export async function fillLarge(db: Database): Promise<Cast> {
  let next = FIRST;
  const people: Person[] = [];
  const one = () => {
    const person = newPerson(next++);
    people.push(person);
    return person;
  };
  const each = <Made>(make: (size: Size) => Made) => ({ large: make("large"), small: make("small") });
  const cast: Cast = {
    speaker: one(),
    stranger: one(),
    busy: each(one),
    page: one(),
    behind: each(one),
    talker: each(one),
    online: each((size) => Array.from({ length: ONLINE[size] - 1 }, one)),
    away: each(one),
  };
  const others = (count: number) => Array.from({ length: count }, () => ({ id: next++ }));
  for (const size of SIZES) {
    const members = [cast.speaker, ...cast.online[size], cast.away[size]];
    await createGroup(db, GROUPS[size], [...members, ...others(MEMBERS[size] - members.length)]);
    await fillTalks(db, [[cast.behind[size].id, cast.talker[size].id]], MESSAGES[size], 0);
    await fillList(db, cast.busy[size], others(CONVERSATIONS[size]));
  }
  await fillList(db, cast.page, others(LISTED));
  await equip(db, people);
  return cast;
}

/** Conversations of one with many, in each of which something is unread and names it. */
async function fillList(db: Database, { id }: Person, peers: readonly { id: number }[]): Promise<void> {
  await fillTalks(db, peers.map((peer) => [id, peer.id]), FEW, FEW);
  await insert(
    db,
    "INSERT INTO Mention (conversation, userid, seq) VALUES",
    "(?,?,1)",
    peers.map((peer) => [`u${id}-${peer.id}`, id]),
  );
}

/** Conversations of two each, all of one length, of which both have received so much, and read nothing. */
async function fillTalks(
  db: Database,
  pairs: readonly (readonly number[])[],
  length: number,
  delivered: number,
): Promise<void> {
  const ids = pairs.map((pair) => `u${pair.join("-")}`);
  await insert(
    db,
    "INSERT INTO Conversation (id, last_seq, last_chat, members, at) VALUES",
    "(?,?,?,2,?)",
    ids.map((id, index) => [id, length, length, BEGUN_AT + index]),
  );
  await insert(
    db,
    "INSERT INTO Member (userid, conversation, since, delivered, `read`) VALUES",
    "(?,?,0,?,0)",
    pairs.flatMap((pair, index) => pair.map((userId) => [userId, ids[index] ?? "", delivered])),
  );
  // Whoever is second has written it all: it is unread to the first.
  await insert(
    db,
    "INSERT INTO Message (conversation, seq, sender, at, message) VALUES",
    "(?,1,?,?,?)",
    pairs.map(([, sender = 0], index) => [ids[index] ?? "", sender, BEGUN_AT, MESSAGE]),
  );
  // Twice as many each time, without sending them to the database: of a million that would take most of the bench's time.
  const { sql, params } = db.dialect.isOneOf("conversation", ids);
  for (let count = 1; count < length; count *= 2) {
    await db.run(
      "INSERT INTO Message (conversation, seq, sender, at, message) " +
        `SELECT conversation, seq + ${count}, sender, at + ${count}, message FROM Message WHERE ${sql} AND seq <= ${
          Math.min(count, length - count)
        }`,
      params,
    );
  }
}
