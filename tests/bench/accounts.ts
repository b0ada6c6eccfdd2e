/**
 * Users for the load, put straight into the database with a resume token each: thousands log in within a second or two,
 * where passwords would cost a hash each.
 *
 * @module
 */
import { createLogger } from "../../lib/base/logger.ts";
import { DeviceDesk } from "../../lib/chat/device_desk.ts";
import { Passwords } from "../../lib/chat/password.ts";
import { Seal } from "../../lib/cluster/seal.ts";
import { nameKey } from "../../lib/protocol/names.ts";
import type { Database, SqlValue } from "../../lib/store/database.ts";
import { Devices } from "../../lib/store/devices.ts";
import { openDatabase } from "../../lib/store/open.ts";
import { type TokenRow, Tokens } from "../../lib/store/tokens.ts";
import { Users } from "../../lib/store/users.ts";
import { hashToken } from "../../lib/chat/tokens.ts";
import { type Account, RESUME_DEVICE } from "./load_client.ts";

const ROWS_PER_STATEMENT = 500;
const DAY_MS = 86_400_000;
/** Nobody logs in by it. */
const NO_PASSWORD = "not to be used";

const logger = createLogger({
  level: "warn",
  format: "text",
  write: (line) => console.error(line.trimEnd()),
});

/** Opens the database that these arguments name, up to date. To be closed before a server opens an SQLite file. */
export async function openStorage(args: readonly string[]): Promise<Database> {
  const [kind, value = ""] = args;
  const choice = {
    mysqlUrl: kind === "--mysql" ? value : null,
    sqlitePath: kind === "--sqlite" ? value : "",
  };
  return (await openDatabase(choice, 2, logger)).db;
}

/** Makes users `first` to `first + count - 1`, all with this stored password. */
export async function createUsers(
  db: Database,
  first: number,
  count: number,
  password: string,
): Promise<Account[]> {
  const accounts = Array.from({ length: count }, (_, index): Account => {
    const id = first + index;
    return { id, name: `user ${id}`, login: "" };
  });
  await insert(
    db,
    "INSERT INTO User (id, name, name_key, password, state) VALUES",
    "(?,?,?,?,'offline')",
    accounts.map(({ id, name }) => [id, name, nameKey(name), password]),
  );
  return accounts;
}

/** A password as it is stored. */
export async function hashPassword(password: string, passwordCost?: number): Promise<string> {
  using passwords = new Passwords(passwordCost === undefined ? undefined : { passwordCost });
  return await passwords.hash(password);
}

/** The frame by which a user logs in with a password. */
export function passwordLogin(id: number, password: string, version: 1 | 2 = 1): string {
  return JSON.stringify({ msgid: 1, ...(version === 1 ? {} : { v: version }), id, password });
}

/** Makes users who log in by resume token. */
export async function createAccounts(db: Database, count: number, first = 1): Promise<Account[]> {
  const accounts = await createUsers(db, first, count, NO_PASSWORD);
  await giveTokens(db, accounts, NO_PASSWORD);
  return accounts;
}

/** These users, all with this stored password, log in by version 2, with a resume token each. */
export async function giveTokens(
  db: Database,
  accounts: readonly Account[],
  password: string,
): Promise<void> {
  const tokens = new Tokens(db);
  const rows: TokenRow[] = [];
  for (const account of accounts) {
    const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
    const token = `${account.id}.${secret}`;
    account.login = `{"msgid":21,"v":2,"token":"${token}"}`;
    rows.push({ userId: account.id, hash: hashToken(token, password), expires: Date.now() + DAY_MS });
  }
  for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
    await tokens.replace(rows.slice(start, start + ROWS_PER_STATEMENT));
  }
}

/** These users log in by version 3, on a device each that has the user's id. */
export async function giveDevices(db: Database, accounts: readonly Account[]): Promise<void> {
  const [cluster] = await db.query<{ secret: string }>("SELECT secret FROM Cluster");
  const seal = new Seal(cluster?.secret ?? "", 1);
  const desk = new DeviceDesk({
    devices: new Devices(db),
    presence: { isUp: true, online: () => Promise.resolve(new Set()) },
    sign: (text) => seal.sign(text),
    positions: () => Promise.resolve([]),
    ttlMs: DAY_MS,
    maxDevices: 8,
    onRevoked() {},
  });
  await insert(
    db,
    "INSERT INTO Device (id, userid, name, created, seen, tokens, issued, expires) VALUES",
    "(?,?,'bench',0,0,x'',0,0)",
    accounts.map(({ id }) => [id, id]),
  );
  const users = new Users(db);
  await Promise.all(accounts.map(async (account) => {
    const stored = await users.account(account.id);
    const issued = stored && await desk.issue(stored, account.id);
    account.login = `${RESUME_DEVICE}"token":"${issued?.token}"}`;
  }));
}

/** Users `first` and following on a device of version 3 each. */
export async function createDevices(db: Database, first: number, count: number): Promise<Account[]> {
  const accounts = await createUsers(db, first, count, NO_PASSWORD);
  await giveDevices(db, accounts);
  return accounts;
}

/** Inserts many rows in one transaction. */
export async function insert(
  db: Database,
  head: string,
  marks: string,
  rows: readonly SqlValue[][],
): Promise<void> {
  await db.transaction(async (tx) => {
    for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
      const some = rows.slice(start, start + ROWS_PER_STATEMENT);
      await tx.run(`${head} ${some.map(() => marks).join(",")}`, some.flat());
    }
  });
}
