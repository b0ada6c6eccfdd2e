/**
 * What operators see and do from their page: the same as by `chatserver admin`, in a node, on its own database. So whatever
 * is here reads a bounded number of rows by an index, for on SQLite a node does nothing else meanwhile.
 *
 * @module
 */
import { newCode } from "./codes.ts";
import { Console } from "./console.ts";
import { type AdminContext, misuse, refuse, type Result } from "./context.ts";
import { findGroup, findUser, type GroupRow, type UserEntry, usersWhere } from "./find.ts";
import { dissolveGroup, showGroup } from "./groups.ts";
import { changePassword, disableUser, enableUser, endSessions } from "./users.ts";
import { announce } from "./watch.ts";
import type { Logger } from "../base/logger.ts";
import { parseOptions } from "../config/parse_options.ts";
import { nameKey } from "../protocol/names.ts";
import { AdminEvents } from "../store/admin_events.ts";
import type { Database } from "../store/database.ts";
import { Devices } from "../store/devices.ts";

/** Rows of an answer. */
const ROWS = 50;
/** Longest text that is looked for, in UTF-16 units. */
const TEXT_MAX = 200;

/** Who asks, and of which database. */
export interface PageContext {
  /** The node's own. */
  db: Database;
  /** For the audit. */
  actor: string;
  /** For what happens. */
  logger: Logger;
}

/** What is asked for. */
export interface PageRequest {
  /** Which look or deed. */
  what: string;
  /** About whom or what. */
  of: string;
  /** Of a deed that hurts: the name, typed again. */
  name: string;
}

type Look = (db: Database, of: string, page: PageContext) => Promise<unknown>;
/** `nameOf`: of one that hurts, the name that has to be typed. */
type Deed = {
  run: (context: AdminContext, words: readonly string[]) => Promise<Result>;
  nameOf?: (db: Database, of: string) => Promise<string>;
};

const LOOKS: Readonly<Record<string, Look>> = {
  users: async (db, text) => ({ users: await usersBeginning(db, text) }),
  user: describeUser,
  groups: async (db, text) => ({ groups: await groupsBeginning(db, text) }),
  group: describeGroup,
  audit: async (db) => ({
    events: await new AdminEvents(db).list({ before: Number.MAX_SAFE_INTEGER, limit: ROWS }),
  }),
};

const DEEDS: Readonly<Record<string, Deed>> = {
  disable: { run: disableUser, nameOf: userName },
  enable: { run: enableUser },
  end: { run: endSessions, nameOf: userName },
  dissolve: { run: dissolveGroup, nameOf: groupName },
  code: { run: changePassword },
  invite: { run: (context) => newCode(context, "invite") },
  announce: { run: announce },
};

/** As if nobody had said anything but to go ahead. */
function contextOf({ db, actor, logger }: PageContext): AdminContext {
  const options = parseOptions(["admin"], { env: () => undefined, readFile: () => "" });
  if (options.command !== "admin") throw new Error("the options are not those of admin");
  const meant = { ...options, limit: ROWS, code: true, yes: true };
  return { db, actor, logger, console: new Console(), options: meant };
}

/** Looks something up. Throws a FatalError, whose text is for people, when it is not there. */
export async function look(page: PageContext, { what, of }: PageRequest): Promise<unknown> {
  const found = Object.hasOwn(LOOKS, what) ? LOOKS[what] : undefined;
  if (!found || of.length > TEXT_MAX) throw misuse("There is no such thing to look at.");
  return await found(page.db, of, page);
}

/** Does something, and resolves with what a command would print. Throws a FatalError, whose text is for people. */
export async function act(page: PageContext, { what, of, name }: PageRequest): Promise<Result> {
  const deed = Object.hasOwn(DEEDS, what) ? DEEDS[what] : undefined;
  if (!deed) throw misuse("There is no such thing to do.");
  if (deed.nameOf && await deed.nameOf(page.db, of) !== name) {
    throw refuse("That is not the name: nothing was done");
  }
  return await deed.run(contextOf(page), [of]);
}

/** By the beginning of the name, whatever its case and form, or by the id. */
async function usersBeginning(db: Database, text: string): Promise<UserEntry[]> {
  if (text === "") return await usersWhere(db, "u.id > ?", [0], ROWS);
  const named = await usersWhere(db, "u.name_key >= ? AND u.name_key < ?", keysOf(text), ROWS);
  const [known] = /^[1-9]\d{0,9}$/.test(text) ? await usersWhere(db, "u.id = ?", [Number(text)], 1) : [];
  return known ? [known, ...named.filter(({ id }) => id !== known.id)] : named;
}

async function groupsBeginning(db: Database, text: string): Promise<GroupRow[]> {
  const columns = "SELECT id, groupname, groupdesc, dissolved FROM AllGroup";
  if (text === "") return await db.query<GroupRow>(`${columns} ORDER BY id LIMIT ${ROWS}`);
  const named = await db.query<GroupRow>(
    `${columns} WHERE groupname_key >= ? AND groupname_key < ? ORDER BY id LIMIT ${ROWS}`,
    keysOf(text),
  );
  const known = /^[1-9]\d{0,9}$/.test(text)
    ? await db.query<GroupRow>(`${columns} WHERE id = ?`, [Number(text)])
    : [];
  return [...known, ...named.filter(({ id }) => id !== known[0]?.id)];
}

async function userName(db: Database, of: string): Promise<string> {
  return (await findUser(db, of)).name;
}

async function groupName(db: Database, of: string): Promise<string> {
  return (await findGroup(db, of)).groupname;
}

async function describeGroup(_db: Database, of: string, page: PageContext): Promise<unknown> {
  return (await showGroup(contextOf(page), [of])).json;
}

/** The keys that begin as the text's does: no byte of UTF-8 is 255. */
function keysOf(text: string): [Uint8Array, Uint8Array] {
  const key = nameKey(text);
  return [key, new Uint8Array([...key, 255])];
}

async function describeUser(db: Database, of: string): Promise<unknown> {
  const user = await findUser(db, of);
  const groups = await db.query<{ id: number; groupname: string; role: string }>(
    "SELECT g.id, g.groupname, m.grouprole AS role FROM GroupUser m JOIN AllGroup g ON g.id = m.groupid " +
      `WHERE m.userid = ? ORDER BY g.id LIMIT ${ROWS}`,
    [user.id],
  );
  const now = Date.now();
  const devices = await new Devices(db).of(user.id);
  return {
    ...user,
    groups,
    devices: devices.map(({ id, name, created, seen, expires }) => ({
      ...{ id, name, created, seen },
      hasToken: expires > now,
    })),
  };
}
