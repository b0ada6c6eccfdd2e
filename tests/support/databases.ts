/**
 * The same tests on SQLite and on MySQL: one test a database, in which every test of a suite is a step. The steps share a
 * server, and stay out of each other's way by the names of their users.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { ChatClient, comeBack, type Ending, type Frame, newPerson, type Person } from "./chat_client.ts";
import { runProgram, type Server, startMariaDb, startServer } from "./services.ts";
import { type CommandResult, temporaryFolder, waitFor } from "./process.ts";

/** What a server may have been set to by whoever runs it: to ours it must make no difference. */
const HOSTILE_SETTINGS = [
  "--character-set-server=gbk",
  "--loose-skip-character-set-client-handshake",
  "--autocommit=0",
  "--completion-type=CHAIN",
  "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
  "--transaction-isolation=SERIALIZABLE",
];
/** What the tests' own statements are to mean all the same. */
const OWN_SETTINGS = "SET NAMES utf8mb4, autocommit = 1, completion_type = 0, sql_mode = ''";

/** An empty database. */
interface TestDatabase {
  /** The options that name it. */
  args: string[];
  /** Runs one statement beside the server; resolves with the rows' values as text, NULL as `NULL`. */
  sql: (statement: string) => Promise<string[][]>;
}

/** A kind of database, ready to give out as many as are wanted. */
interface Kind {
  create: () => Promise<TestDatabase>;
}

/** A server and its database. */
export class Place implements AsyncDisposable {
  /** The server. */
  readonly server: Server;
  /** Runs one statement on the server's database; resolves with the rows' values as text, NULL as `NULL`. */
  readonly sql: (statement: string) => Promise<string[][]>;
  readonly #kind: Kind;
  readonly #args: readonly string[];
  #people = 0;

  /** Made by {@linkcode onEachDatabase} and {@linkcode elsewhere}. */
  constructor(kind: Kind, { args, sql }: TestDatabase, server: Server) {
    this.#kind = kind;
    this.#args = args;
    this.sql = sql;
    this.server = server;
  }

  /** A server of its own with these options, on an empty database of the same kind. */
  async elsewhere(args: readonly string[]): Promise<Place> {
    const database = await this.#kind.create();
    return new Place(this.#kind, database, await startServer([...database.args, ...args]));
  }

  /** This place's server ended as `end` says, and another one started on the same database with these options. */
  async restarted(end: (server: Server) => Promise<unknown>, args: readonly string[] = []): Promise<Place> {
    await end(this.server);
    const database = { args: [...this.#args], sql: this.sql };
    return new Place(this.#kind, database, await startServer([...this.#args, ...args]));
  }

  /** Runs an admin command on this place's database, beside its server, with `stdin` as all of its input. */
  admin(words: readonly string[], stdin = ""): Promise<CommandResult> {
    return runProgram(["admin", ...words, ...this.#args], { stdin, env: { USER: "tester" } });
  }

  /** What an admin command says with `--json`. Throws when it fails. */
  // deno-lint-ignore no-explicit-any -- a test looks at whatever there is
  async adminJson(words: readonly string[], stdin = ""): Promise<any> {
    const { code, stdout, stderr } = await this.admin([...words, "--json"], stdin);
    assertEquals([code, stderr], [0, ""], words.join(" "));
    return JSON.parse(stdout);
  }

  /** A new name that begins with `name`. */
  newName(name: string): string {
    return `${name} ${++this.#people}`;
  }

  /** A connection. */
  connect(options: { ending?: Ending } = {}): Promise<ChatClient> {
    return ChatClient.connect(this.server.port, options);
  }

  /** A new user, logged in. */
  newPerson(name: string, options: { v?: 2 | 3; ending?: Ending } = {}): Promise<Person> {
    return newPerson(this.server.port, this.newName(name), options);
  }

  /** Somebody who was here before, logged in on a new connection. */
  comeBack(
    who: { id: number; name: string; reply?: Frame },
    options: { v?: 2 | 3; ending?: Ending } = {},
  ): Promise<Person> {
    return comeBack(this.server.port, who, options);
  }

  /** Resolves with the first value of the first row as a number, once there is one. */
  async waitForId(statement: string): Promise<number> {
    const row = await waitFor(statement, async () => (await this.sql(statement))[0]);
    return Number(row[0]);
  }

  /** Resolves when the server has noticed that this user is gone. */
  async offline(id: number): Promise<void> {
    await this.waitForId(`SELECT id FROM User WHERE id = ${id} AND state = 'offline'`);
  }

  /** Resolves when `count` messages wait for this user, and whatever is stored next is younger by the clock. */
  async stored(id: number, count: number): Promise<void> {
    await this.waitForId(
      `SELECT 1 FROM OfflineMessage WHERE userid = ${id} GROUP BY userid HAVING COUNT(*) = ${count}`,
    );
    const storedAt = Date.now();
    await waitFor("the next millisecond", () => Date.now() > storedAt);
  }

  /** Throws when the server does not serve a newcomer, or has logged an error: what a client does is never one. */
  async checkServer(): Promise<void> {
    await using client = await this.connect();
    await client.fence();
    const errors = this.server.stderr.split("\n").filter((line) => /^\S+ error /.test(line));
    assertEquals(errors, []);
  }

  /** Ends the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

/** A test on one of the databases. */
export type PlaceTest = (place: Place) => Promise<void>;

/** Declares `tests`, by name, for SQLite and for MySQL; `args`: further options of the server they share. */
export function onEachDatabase(
  subject: string,
  tests: Readonly<Record<string, PlaceTest>>,
  args: readonly string[] = [],
): void {
  Deno.test(`${subject} (SQLite)`, async (context) => {
    await using folder = await temporaryFolder();
    let count = 0;
    await runAll(
      context,
      { create: () => Promise.resolve(sqlite(`${folder.path}/${++count}.db`)) },
      tests,
      args,
    );
  });
  Deno.test(`${subject} (MySQL)`, async (context) => {
    await using mariadb = await startMariaDb({ args: HOSTILE_SETTINGS });
    let count = 0;
    const create = async (): Promise<TestDatabase> => {
      const name = `chat_${++count}`;
      const url = await mariadb.createDatabase(name);
      const sql = async (statement: string) => {
        const text = await mariadb.sql(statement, name, [`--init-command=${OWN_SETTINGS}`]);
        return text === "" ? [] : text.split("\n").map((line) => line.split("\t"));
      };
      return { args: ["--mysql", url], sql };
    };
    await runAll(context, { create }, tests, args);
  });
}

function sqlite(path: string): TestDatabase {
  const sql = (statement: string): Promise<string[][]> => {
    const db = new DatabaseSync(path);
    try {
      // Beside a server that writes a statement may find the file locked for a moment.
      db.exec("PRAGMA busy_timeout = 5000");
      const rows = db.prepare(statement).all();
      return Promise.resolve(
        rows.map((row) => Object.values(row).map((value) => value === null ? "NULL" : String(value))),
      );
    } finally {
      db.close();
    }
  };
  return { args: ["--sqlite", path], sql };
}

async function runAll(
  context: Deno.TestContext,
  kind: Kind,
  tests: Readonly<Record<string, PlaceTest>>,
  args: readonly string[],
): Promise<void> {
  const database = await kind.create();
  await using place = new Place(kind, database, await startServer([...database.args, ...args]));
  for (const [name, test] of Object.entries(tests)) {
    await context.step(name, async () => {
      await test(place);
      await place.checkServer();
    });
  }
}
