/** Backups that are made while people talk, restored, compared, and run. */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { EXIT } from "../../lib/base/errors.ts";
import { groupChat } from "../support/chat_client.ts";
import { type Device, newDevice, resumeDevice } from "../support/devices.ts";
import { runOrThrow, temporaryFolder, waitFor } from "../support/process.ts";
import { runProgram, type Server, startMariaDb, startServer, UNMEASURED } from "../support/services.ts";

/** Reads a database; rows as JSON. */
type Read = (statement: string) => Promise<string[]>;

/** What nobody changes while people talk. */
const STILL = [
  "SELECT id, name, password FROM User ORDER BY id",
  "SELECT id, groupname, groupdesc FROM AllGroup ORDER BY id",
  "SELECT groupid, userid, grouprole FROM GroupUser ORDER BY groupid, userid",
  "SELECT userid, friendid FROM Friend ORDER BY userid, friendid",
  "SELECT id FROM Device ORDER BY id",
  "SELECT id FROM Cluster",
];

/** A group of two, one of whom writes until told to stop. */
class Talk implements AsyncDisposable {
  readonly writer: Device;
  readonly group: number;
  /** How many of the messages are stored for sure. */
  acknowledged = 0;
  #isOver = false;
  readonly #writing: Promise<void>;

  constructor(writer: Device, group: number) {
    this.writer = writer;
    this.group = group;
    this.#writing = this.#write();
  }

  static async start({ port }: Server): Promise<Talk> {
    const writer = await newDevice(port, "ann");
    await using reader = await newDevice(port, "bob");
    await writer.client.request({ msgid: 7, name: "bob" });
    const { groupid = 0 } = await writer.client.request({ msgid: 8, groupname: "club", groupdesc: "" });
    await reader.client.request({ msgid: 9, groupid });
    const talk = new Talk(writer, Number(groupid));
    await talk.said(50);
    return talk;
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      const message = groupChat(this.writer, this.group, `number ${this.acknowledged + 1}`);
      assertEquals((await this.writer.client.request(message)).errno, 0);
      this.acknowledged++;
    }
  }

  /** Resolves when so many more are stored. */
  async said(count: number): Promise<void> {
    const before = this.acknowledged;
    await waitFor("messages", () => this.acknowledged >= before + count);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.writer[Symbol.asyncDispose]();
  }
}

/** Makes a backup by `backUp` in the middle of a talk; compares what `copy` holds with what `live` has by then. */
async function backUpAndCompare(server: Server, backUp: () => Promise<void>, live: Read, copy: Read) {
  await using talk = await Talk.start(server);
  const { acknowledged: before, group } = talk;
  await backUp();
  await talk.said(50);
  await talk.stop();
  for (const statement of STILL) assertEquals(await copy(statement), await live(statement), statement);
  const [end = ""] = await copy(`SELECT last_seq FROM Conversation WHERE id = 'g${group}'`);
  const lastSeq = Number(/\d+/.exec(end)?.[0]);
  const upTo = (seq: number) =>
    `SELECT seq, sender, cid, at, message FROM Message WHERE conversation = 'g${group}' AND seq <= ${seq} ORDER BY seq`;
  const messages = await copy(upTo(Number.MAX_SAFE_INTEGER));
  assertEquals(messages, await live(upTo(lastSeq)));
  assertEquals(messages.length, lastSeq, "a hole");
  const said = messages.filter((row) => row.includes("number ")).length;
  assertGreaterOrEqual(said, before, "what had been acknowledged when the backup began");
  assert(said < talk.acknowledged, "the talk went on");
  return { talk, said, lastSeq };
}

/** Starts a node on the restored database and looks at it with the eyes of a client that knows more. */
async function tryRestored(args: readonly string[], { talk, said, lastSeq }: {
  talk: Talk;
  said: number;
  lastSeq: number;
}): Promise<void> {
  const checked = await runProgram(["admin", "check", ...args]);
  assertEquals(checked.code, 0, checked.stdout);
  await using server = await startServer([...args, ...UNMEASURED]);
  // With the token that it was given before, and by the name of the history it sees that this is another one.
  await using back = await resumeDevice(server.port, talk.writer);
  assertEquals(back.id, talk.writer.id);
  assertNotEquals(back.reply.epoch, talk.writer.reply.epoch);
  assertEquals((await back.client.request(groupChat(back, talk.group, "after"))).seq, lastSeq + 1);
  assertGreaterOrEqual(lastSeq, said);
  assert(!/ error /.test(server.stderr), server.stderr);
}

function readSqlite(path: string): Read {
  return (statement) => {
    const db = new DatabaseSync(path);
    try {
      db.exec("PRAGMA busy_timeout = 5000");
      return Promise.resolve(db.prepare(statement).all().map((row) => JSON.stringify(Object.values(row))));
    } finally {
      db.close();
    }
  };
}

Deno.test("a copy of SQLite that is made under load holds all that was acknowledged, and runs as another history", async () => {
  await using folder = await temporaryFolder();
  const [path, copy] = [`${folder.path}/chat.db`, `${folder.path}/copy.db`];
  await using server = await startServer(["--sqlite", path, ...UNMEASURED]);
  const admin = (...words: string[]) => runProgram(["admin", ...words, "--sqlite", path]);
  const compared = await backUpAndCompare(
    server,
    async () => {
      const { code, stdout, stderr } = await admin("backup", copy);
      assertEquals([code, stderr], [0, ""]);
      assertStringIncludes(stdout, "checked and on the disk");
    },
    readSqlite(path),
    readSqlite(copy),
  );
  const { mode, size } = await Deno.stat(copy);
  assertEquals((mode ?? 0) & 0o777, 0o600);
  const kept = await Deno.readFile(copy);
  assertEquals(size, kept.length);

  const again = await admin("backup", copy);
  assertEquals([again.code, again.stdout], [EXIT.failure, ""]);
  assertStringIncludes(again.stderr, "something at");
  assertEquals(await Deno.readFile(copy), kept, "what is there stays");
  const astray = await admin("backup", `${folder.path}/nowhere/copy.db`);
  assertEquals(astray.code, EXIT.failure);
  assertEquals((await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name).sort(), [
    "chat.db",
    "chat.db-shm",
    "chat.db-wal",
    "copy.db",
  ]);
  const { stdout: audit } = await admin("audit");
  assertStringIncludes(audit, "backup");

  await server.stop();
  await Deno.rename(copy, path);
  await tryRestored(["--sqlite", path], compared);
});

Deno.test("a dump of MariaDB that is made under load holds all that was acknowledged, and runs as another history", async () => {
  await using mariadb = await startMariaDb();
  await using server = await startServer(["--mysql", mariadb.url, ...UNMEASURED]);
  const url = await mariadb.createDatabase("restored");
  const refused = await runProgram(["admin", "backup", "copy.db", "--mysql", mariadb.url]);
  assertEquals(refused.code, EXIT.usage);
  assertStringIncludes(refused.stderr, "mysqldump --single-transaction");
  const read = (database: string): Read => async (statement) =>
    (await mariadb.sql(statement, database)).split("\n");
  const compared = await backUpAndCompare(
    server,
    async () => {
      const [where, options] = await dumpOptions();
      const at = ["--no-defaults", "--host=127.0.0.1", `--port=${mariadb.port}`, "--user=root"];
      const dump = await runOrThrow("mysqldump", [...at, ...options, where]);
      await mariadb.sql(dump, "restored");
    },
    read("chat"),
    read("restored"),
  );
  const { code } = await runProgram(["admin", "restored", "--mysql", url]);
  assertEquals(code, 0);
  await tryRestored(["--mysql", url], compared);
});

/** Database and options of the mysqldump that README.md tells of. */
async function dumpOptions(): Promise<[database: string, options: string[]]> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const [, line] = /^mysqldump (.*) > \S+$/m.exec(readme) ?? [];
  const words = line?.split(" ") ?? [];
  const database = words.pop();
  assert(database !== undefined && words.includes("--single-transaction"), readme);
  return [database, words];
}
