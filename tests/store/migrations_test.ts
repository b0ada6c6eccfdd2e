import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseError, EXIT, FatalError } from "../../lib/base/errors.ts";
import { createLogger, type Logger } from "../../lib/base/logger.ts";
import type { Database } from "../../lib/store/database.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openMysql } from "../../lib/store/mysql.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { readTextIfExists, run, ServiceProcess, temporaryFolder, waitFor } from "../support/process.ts";
import { type MariaDb, startMariaDb } from "../support/services.ts";

/** A logger whose lines a test can read. */
function loggerInto(lines: string[]): Logger {
  return createLogger({ level: "info", format: "text", write: (line) => lines.push(line), now: () => 0 });
}

const logger = loggerInto([]);

/** What is said of the migrations that have come since the first version. */
const LATER = [
  "0005_epoch",
  "0006_cluster_secret",
  "0007_probe",
  "0008_name_keys",
  "0009_entry_columns",
  "0009_entry_tables",
  "0010_device_columns",
  "0010_devices",
  "0011_admin",
  "0012_admin_columns",
  "0013_block",
  "0014_people_columns",
  "0015_offline_message",
  "0016_administrator",
  "0018_muted",
  "0019_node_reports",
  "0020_group_columns",
  "0021_groups",
  "0022_deletions",
  "0023_hidden_marks",
  // 0024 is SQLite's.
].map((name) => `${name}: done`);

function closing(db: Database): Database & AsyncDisposable {
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.close() });
}

async function opened(url: string): Promise<Database & AsyncDisposable> {
  return closing(await openMysql({ url, poolSize: 2, logger }));
}

/** Migrates one database as a node of its own would. */
async function migrateUrl(url: string, lines: string[] = []): Promise<string[]> {
  await using db = await opened(url);
  return await migrate(db, loggerInto(lines));
}

Deno.test("SQLite: an empty file gets all tables, and nothing the second time", async () => {
  await using folder = await temporaryFolder();
  {
    await using db = closing(openSqlite(`${folder.path}/chat.db`));
    assertEquals(await migrate(db, logger), [
      "0002_tables: done",
      "0004_offline_message: done",
      ...LATER,
      "0024_message_cid: done",
    ]);
    assertEquals(await migrate(db, logger), []);
  }
  await using db = closing(openSqlite(`${folder.path}/chat.db`));
  assertEquals(await migrate(db, logger), []);
  const tables = await db.query(
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name",
  );
  assertEquals(
    tables.map(({ name }) => name).filter((name) => !String(name).startsWith("sqlite_")).join(" "),
    "AccessCode AdminCounter AdminEvent AllGroup Block Cluster Conversation Deletion Device DeviceCursor Epoch Friend GroupLink GroupUser Member Mention Message " +
      "Migration NodeReport OfflineMessage Pin Probe Reaction ReactionCount Token User Version",
  );
  const [cluster] = await db.query<{ id: string; secret: string }>("SELECT id, secret FROM Cluster");
  assert(/^[0-9a-f]{32}$/.test(cluster?.id ?? ""));
  assert(/^[0-9a-f]{64}$/.test(cluster?.secret ?? ""));
});

Deno.test("SQLite: two who migrate at once do not collide", async () => {
  await using db = closing(openSqlite(":memory:"));
  const results = await Promise.all([migrate(db, logger), migrate(db, logger)]);
  assertEquals(results.map((lines) => lines.length).sort(), [0, 3 + LATER.length]);
});

Deno.test("SQLite: a migration that fails names its statement and leaves everything as it was", async () => {
  await using db = closing(openSqlite(":memory:"));
  await db.run("CREATE TABLE GroupUser (mine INTEGER)");
  const error = await assertRejects(() => migrate(db, logger), FatalError);
  assertStringIncludes(error.message, "Migration 0002_tables failed at statement 5 of ");
  assertStringIncludes(error.message, "(CREATE TABLE GroupUser ( groupid INTEGER NOT NULL,");
  assertStringIncludes(error.message, "already exists");
  assertEquals(error.exitCode, EXIT.failure);
  assertEquals((await db.query("SELECT name FROM sqlite_master")).map(({ name }) => name), ["GroupUser"]);
});

Deno.test("SQLite: a database of a newer version is refused", async () => {
  await using db = closing(openSqlite(":memory:"));
  await migrate(db, logger);
  await db.run("INSERT INTO Migration VALUES ('0099_later', 1, 0)");
  const error = await assertRejects(() => migrate(db, logger), FatalError, "newer version");
  assertStringIncludes(error.message, "0099_later");
  assertEquals(error.exitCode, EXIT.config);
});

/** A database as it was before the log held anything but chat. */
async function beforeEntries(db: Database): Promise<void> {
  await migrate(db, logger);
  await db.run("DROP VIEW OfflineMessage");
  for (const table of ["Version", "Reaction", "ReactionCount", "Pin", "Mention"]) {
    await db.run(`DROP TABLE ${table}`);
  }
  await db.run("ALTER TABLE Message DROP COLUMN kind");
  for (const column of ["at", "last_chat"]) await db.run(`ALTER TABLE Conversation DROP COLUMN ${column}`);
  await db.run("DELETE FROM Migration WHERE name LIKE '0009%'");
  await db.run(
    "INSERT INTO Conversation (id, last_seq, members) VALUES ('g7', 0, 1), ('u1-2', 3, 2), ('u1-3', 2, 2)",
  );
  for (let user = 10; user < 2_010; user++) {
    await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES (?, 0, 2)", [`u1-${user}`]);
  }
  // The last one of u1-2 was recalled; the last one of u1-3 was lost when the database went back in time.
  await db.run(
    "INSERT INTO Message (conversation, seq, sender, at, message, recalled) VALUES ('u1-2', 1, 1, 100, '{}', 0), " +
      "('u1-2', 2, 2, 200, '{}', 0), ('u1-2', 3, 1, 300, NULL, 1), ('u1-3', 1, 3, 400, '{}', 0)",
  );
  await db.run(
    "INSERT INTO Member (userid, conversation, since, delivered, `read`) VALUES (1, 'u1-2', 0, 1, 1), " +
      "(2, 'u1-2', 0, 0, 0)",
  );
}

async function checkEntries(db: Database): Promise<void> {
  await beforeEntries(db);
  assertEquals(await migrate(db, logger), ["0009_entry_columns: done", "0009_entry_tables: done"]);
  assertEquals(
    await db.query("SELECT id, last_seq, at, last_chat FROM Conversation WHERE at > 0 ORDER BY id"),
    [
      // Nothing was said in it: it has a time of its own all the same.
      { id: "g7", last_seq: 0, at: 7, last_chat: 0 },
      { id: "u1-2", last_seq: 3, at: 300, last_chat: 3 },
      { id: "u1-3", last_seq: 2, at: 400, last_chat: 1 },
    ],
  );
  assertEquals(await db.query("SELECT DISTINCT kind FROM Message"), [{ kind: 0 }]);
  await db.run(
    "INSERT INTO Message (conversation, seq, sender, at, message, kind) VALUES ('u1-2', 4, 1, 500, '{\"msgid\":23}', 1)",
  );
  // What programs beside this one look at has messages only.
  assertEquals(await db.query("SELECT userid, message FROM OfflineMessage ORDER BY userid"), [
    { userid: 1, message: "{}" },
    { userid: 2, message: "{}" },
  ]);
}

Deno.test("SQLite: a database of before goes on: all there is is chat", async () => {
  await using db = closing(openSqlite(":memory:"));
  await checkEntries(db);
});

/** A database as it was when messages without a cid were in the index of cids, too. */
async function beforePartialIndex(db: Database): Promise<void> {
  await migrate(db, logger);
  await db.run("DROP VIEW OfflineMessage");
  await db.run("DROP TABLE Message");
  const file = new URL("../../sql/sqlite/0002_tables.sql", import.meta.url);
  const [, create = ""] = /^(CREATE TABLE Message [^;]*);/m.exec(await Deno.readTextFile(file)) ?? [];
  await db.run(create);
  for (const column of ["kind", "hidden"]) {
    await db.run(`ALTER TABLE Message ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0`);
  }
  await db.run("CREATE VIEW OfflineMessage AS SELECT 1");
  await db.run("DELETE FROM Migration WHERE name = '0024_message_cid'");
}

Deno.test("SQLite: messages keep all they have when those without a cid leave the index", async () => {
  await using db = closing(openSqlite(":memory:"));
  await migrate(db, logger);
  const [view] = await db.query("SELECT sql FROM sqlite_master WHERE name = 'OfflineMessage'");
  await beforePartialIndex(db);
  const cid = new Uint8Array([0xff, 0]);
  const into = "INSERT INTO Message (conversation, seq, sender, cid, at, message, recalled, kind, hidden)";
  await db.insert({
    into,
    rows: [
      ["u1-2", 1, 1, null, 10, "{}", 0, 0, 0],
      ["u1-2", 2, 1, null, 11, null, 1, 0, 1],
      ["g3", 1, 2, cid, 12, "{}", 0, 2, 0],
    ],
  });
  const rows = await db.query("SELECT rowid, * FROM Message ORDER BY rowid");
  assertEquals(await migrate(db, logger), ["0024_message_cid: done"]);
  assertEquals(await db.query("SELECT rowid, * FROM Message ORDER BY rowid"), rows);
  await db.insert({ into, rows: [["u1-2", 3, 1, null, 13, "{}", 0, 0, 0]] });
  for (const again of [["g3", 2, 2, cid], ["g3", 1, 5, null]]) {
    const error = await assertRejects(
      () => db.insert({ into, rows: [[...again, 14, "{}", 0, 0, 0]] }),
      DatabaseError,
    );
    assertEquals(error.kind, "duplicate");
  }
  assertEquals(await db.query("SELECT sql FROM sqlite_master WHERE name = 'OfflineMessage'"), [view]);
});

/** A database as it was before members could leave a group. */
async function beforeLeaving(db: Database): Promise<void> {
  await migrate(db, logger);
  await db.run("DROP VIEW OfflineMessage");
  await db.run("DROP TABLE GroupLink");
  for (const column of ["joining", "dissolved"]) await db.run(`ALTER TABLE AllGroup DROP COLUMN ${column}`);
  for (const column of ["until", "ended"]) await db.run(`ALTER TABLE Member DROP COLUMN ${column}`);
  await db.run("ALTER TABLE Conversation DROP COLUMN parted");
  await db.run("DROP TABLE GroupUser");
  const file = new URL(`../../sql/${db.dialect.name}/0002_tables.sql`, import.meta.url);
  const [, create = ""] =
    /^(CREATE TABLE (?:IF NOT EXISTS )?GroupUser [^;]*);/m.exec(await Deno.readTextFile(file)) ?? [];
  await db.run(create);
  if (db.dialect.name === "sqlite") await db.run("CREATE INDEX GroupUser_userid ON GroupUser (userid)");
  await db.run(
    "CREATE VIEW OfflineMessage AS SELECT Member.userid AS userid, Message.message AS message " +
      "FROM Member JOIN Message ON Message.conversation = Member.conversation",
  );
  await db.run("DELETE FROM Migration WHERE name IN ('0020_group_columns', '0021_groups')");
  await db.run("INSERT INTO AllGroup (id, groupname) VALUES (7, 'old')");
  await db.run(
    "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (7, 1, 'creator'), (7, 2, 'normal')",
  );
  await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES ('g7', 1, 2)");
  await db.run(
    "INSERT INTO Member (userid, conversation, since, delivered) VALUES (1, 'g7', 0, 1), (2, 'g7', 0, 1)",
  );
  await db.run("INSERT INTO Message (conversation, seq, sender, at, message) VALUES ('g7', 1, 1, 100, '{}')");
}

async function checkLeaving(db: Database): Promise<void> {
  await beforeLeaving(db);
  assertEquals(await migrate(db, logger), ["0020_group_columns: done", "0021_groups: done"]);
  assertEquals(await db.query("SELECT joining, dissolved FROM AllGroup"), [{ joining: 0, dissolved: 0 }]);
  assertEquals(await db.query("SELECT DISTINCT until, ended FROM Member"), [
    { until: Number.MAX_SAFE_INTEGER, ended: 0 },
  ]);
  await db.run("UPDATE GroupUser SET grouprole = 'admin' WHERE userid = 2");
  assertEquals(await db.query("SELECT userid, grouprole FROM GroupUser WHERE groupid = 7 ORDER BY userid"), [
    { userid: 1, grouprole: "creator" },
    { userid: 2, grouprole: "admin" },
  ]);
  assertEquals(await db.query("SELECT userid, message FROM OfflineMessage"), []);
  await db.run("INSERT INTO Message (conversation, seq, sender, at, message) VALUES ('g7', 2, 1, 200, '{}')");
  assertEquals(await db.query("SELECT userid, message FROM OfflineMessage"), [{ userid: 2, message: "{}" }]);
  await db.run("UPDATE Member SET until = 1 WHERE userid = 2");
  assertEquals(await db.query("SELECT userid, message FROM OfflineMessage"), []);
}

Deno.test("SQLite: in a database of before nobody has left, and its groups are open", async () => {
  await using db = closing(openSqlite(":memory:"));
  await checkLeaving(db);
});

/** How deployments of the original server differ. */
interface Variant {
  name: string;
  charset: string;
  engine: "InnoDB" | "MyISAM";
  lowerCaseNames?: boolean;
  /** As in the original's own script; without: no keys but User's. */
  keys: "joint" | "group only" | "none";
  /** A name, a description and a text that the character set knows. */
  sample: string;
}

const VARIANTS: readonly Variant[] = [
  { name: "as scripted", charset: "utf8mb4", engine: "InnoDB", keys: "joint", sample: "héllo 你好 😀" },
  {
    name: "a latin1 dump",
    charset: "latin1",
    engine: "MyISAM",
    lowerCaseNames: true,
    keys: "none",
    sample: "Zoë ÿ",
  },
  { name: "gbk", charset: "gbk", engine: "InnoDB", keys: "group only", sample: "张三丰" },
  { name: "utf8 without keys", charset: "utf8mb3", engine: "InnoDB", keys: "none", sample: "Ωμέγα ß" },
];

function oneChat(id: number, toid: number, msg: string): string {
  return JSON.stringify({ id, msg, msgid: 6, name: "x", time: "2024-05-01 12:00:00", toid });
}

function groupChat(id: number, groupid: number, msg: string): string {
  return JSON.stringify({ groupid, id, msg, msgid: 10, name: "x", time: "2024-05-01 12:00:00" });
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}

/** The five CREATE TABLE statements of the original server. */
function originalTables({ charset, engine, lowerCaseNames, keys }: Variant): string {
  const t = (name: string) => lowerCaseNames ? name.toLowerCase() : name;
  const tail = `ENGINE=${engine} DEFAULT CHARSET=${charset}`;
  const key = { joint: ["PRIMARY KEY (userid, friendid)", "PRIMARY KEY (groupid, userid)"], none: [] };
  const [friendKey, groupKey] = keys === "group only"
    ? ["KEY (userid, friendid)", "PRIMARY KEY (groupid)"]
    : key[keys];
  const line = (text: string | undefined) => text ? `, ${text}` : "";
  return `
    CREATE TABLE ${t("User")} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL UNIQUE,
      password VARCHAR(50) NOT NULL, state ENUM('online','offline') DEFAULT 'offline') ${tail};
    CREATE TABLE ${t("Friend")} (userid INT NOT NULL, friendid INT NOT NULL${line(friendKey)}) ${tail};
    CREATE TABLE ${t("AllGroup")} (id INT PRIMARY KEY AUTO_INCREMENT, groupname VARCHAR(50) NOT NULL
      ${keys === "none" ? "" : "UNIQUE"}, groupdesc VARCHAR(200) DEFAULT '') ${tail};
    CREATE TABLE ${t("GroupUser")} (groupid INT${keys === "joint" ? " NOT NULL" : ""}, userid INT,
      grouprole ENUM('creator','normal') DEFAULT 'normal'${line(groupKey)}) ${tail};
    CREATE TABLE ${t("OfflineMessage")} (userid INT NOT NULL, message VARCHAR(500) NOT NULL${
    line(keys === "joint" ? "KEY (userid)" : undefined)
  }) ${tail};
  `;
}

/** Users 1 to 5 and two groups; `sample` is user 3's name, and in everything that can hold text. */
function originalRows({ lowerCaseNames, keys, sample }: Variant): string {
  const t = (name: string) => lowerCaseNames ? name.toLowerCase() : name;
  const text = quote(sample);
  const pending = [
    [2, oneChat(1, 2, "first")],
    [2, groupChat(3, 1, `to the group: ${sample}`)],
    [4, groupChat(3, 1, `to the group: ${sample}`)],
    [2, oneChat(4, 2, "third")],
    [4, groupChat(1, 1, "later")],
    [2, groupChat(1, 1, "later")],
    [2, oneChat(1, 2, "last")],
    [4, groupChat(1, 2, "not a member")],
    [99, oneChat(1, 99, "nobody")],
    [2, oneChat(1, 2, "cut off".repeat(70)).slice(0, 450)],
  ] as const;
  // Group 2 has one row in every variant: a key of groupid alone allows no more.
  const members = keys === "group only"
    ? "(1, 1, 'creator'), (2, 5, 'creator')"
    : "(1, 1, 'creator'), (1, 2, 'normal'), (1, 3, 'normal'), (1, 4, NULL), (1, 99, 'normal'), (77, 1, 'normal'), " +
      "(2, 5, 'creator')";
  const repeated = keys === "none"
    ? `INSERT INTO ${
      t("GroupUser")
    } VALUES (1, 1, 'normal'), (1, 2, 'normal'), (1, 2, 'normal'), (NULL, 3, 'normal');
       INSERT INTO ${t("Friend")} VALUES (1, 2), (1, 2), (1, 2);
       INSERT INTO ${t("AllGroup")} VALUES (9, 'staff', 'the same name');`
    : "";
  return `
    INSERT INTO ${t("User")} VALUES (1, 'Ann', 'secret', 'online'), (2, 'bob', ${text}, 'offline'),
      (3, ${text}, 'pw', NULL), (4, 'eve', '', 'online'), (5, 'last', 'pw', 'offline');
    INSERT INTO ${t("Friend")} VALUES (1, 2), (2, 1), (1, 99);
    INSERT INTO ${t("AllGroup")} VALUES (1, 'staff', ${text}), (2, ${text}, NULL);
    INSERT INTO ${t("GroupUser")} VALUES ${members};
    ${repeated}
    INSERT INTO ${t("OfflineMessage")} VALUES ${pending.map(([id, row]) => `(${id}, ${quote(row)})`).join()};
  `;
}

/** All columns and indexes of a database, one a line. */
function schemaOf(mariadb: MariaDb, database: string): Promise<string> {
  return mariadb.sql(
    `SELECT table_name, ordinal_position, column_name, column_default, is_nullable, column_type, collation_name, extra
       FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'OfflineMessage_original'
       ORDER BY BINARY table_name, 2;
     SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics
       WHERE table_schema = DATABASE() AND table_name <> 'OfflineMessage_original' ORDER BY BINARY table_name, 2, 3;
     SELECT table_name, engine, row_format, table_collation FROM information_schema.tables
       WHERE table_schema = DATABASE() AND table_name <> 'OfflineMessage_original' ORDER BY BINARY table_name;`,
    database,
  );
}

/** What a user gets at the next login: the undelivered ones by time, as the server reads them. */
async function pendingOf(db: Database, userId: number): Promise<string[]> {
  const rows = await db.query<{ message: string }>(
    "SELECT Message.message FROM Member JOIN Message ON Message.conversation = Member.conversation " +
      "WHERE Member.userid = ? AND Message.seq > Member.delivered AND Message.sender <> Member.userid " +
      "ORDER BY Message.at",
    [userId],
  );
  return rows.map(({ message }) => message);
}

async function checkUpgraded(db: Database, { keys, sample }: Variant): Promise<void> {
  const rows = async (sql: string) => (await db.query(sql)).map((row) => Object.values(row));
  assertEquals(await rows("SELECT id, name, password, state FROM User ORDER BY id"), [
    [1, "Ann", "secret", "offline"],
    [2, "bob", sample, "offline"],
    [3, sample, "pw", "offline"],
    [4, "eve", "", "offline"],
    [5, "last", "pw", "offline"],
  ]);
  assertEquals(await rows("SELECT CONVERT(name_key USING utf8mb4) FROM User ORDER BY id"), [
    ["ann"],
    ["bob"],
    [sample.toLowerCase().replace("ß", "ss")],
    ["eve"],
    ["last"],
  ]);
  assertEquals(await rows("SELECT userid, friendid FROM Friend ORDER BY userid, friendid"), [
    [1, 2],
    [1, 99],
    [2, 1],
  ]);
  assertEquals(
    await rows("SELECT id, groupname, groupdesc, groupname_key IS NULL FROM AllGroup ORDER BY id"),
    [
      [1, "staff", sample, 0],
      [2, sample, "", 0],
      ...(keys === "none" ? [[9, "staff", "the same name", 1]] : []),
    ],
  );
  const isSmall = keys === "group only";
  assertEquals(
    await rows("SELECT groupid, userid, grouprole FROM GroupUser ORDER BY groupid, userid"),
    isSmall ? [[1, 1, "creator"], [2, 5, "creator"]] : [
      [1, 1, "creator"],
      [1, 2, "normal"],
      [1, 3, "normal"],
      [1, 4, "normal"],
      [1, 99, "normal"],
      [2, 5, "creator"],
      [77, 1, "normal"],
    ],
  );
  const toGroup = groupChat(3, 1, `to the group: ${sample}`);
  const later = groupChat(1, 1, "later");
  const direct = [oneChat(1, 2, "first"), oneChat(4, 2, "third"), oneChat(1, 2, "last")] as const;
  if (isSmall) {
    assertEquals(await pendingOf(db, 2), [...direct]);
  } else {
    assertEquals(await pendingOf(db, 2), [direct[0], toGroup, direct[1], later, direct[2]]);
    assertEquals(await pendingOf(db, 4), [toGroup, later]);
    assertEquals(await rows("SELECT last_seq, members FROM Conversation WHERE id = 'g1'"), [[2, 5]]);
    assertEquals(
      await rows("SELECT since, delivered, `read` FROM Member WHERE conversation = 'g1' AND userid = 3"),
      [
        [2, 2, 2],
      ],
    );
  }
  for (const userId of [1, 3, 5]) assertEquals(await pendingOf(db, userId), []);
  assertEquals(await rows("SELECT id, last_seq, members FROM Conversation WHERE id LIKE 'u%' ORDER BY id"), [
    ["u1-2", 2, 2],
    ["u2-4", 1, 2],
  ]);
  // Refused: no member, no such user, cut off, and where the table lost them, the members' rows.
  assertEquals((await rows("SELECT COUNT(*) FROM OfflineMessage_original"))[0], [isSmall ? 7 : 3]);
  assertEquals(
    (await rows("SELECT COUNT(*) FROM OfflineMessage WHERE userid = 2"))[0],
    [(await pendingOf(db, 2)).length],
  );
}

/** Runs `migrate` in a process of its own. */
const MIGRATOR = `
  import { migrate } from ${JSON.stringify(new URL("../../lib/store/migrations.ts", import.meta.url).href)};
  import { openMysql } from ${JSON.stringify(new URL("../../lib/store/mysql.ts", import.meta.url).href)};
  import { createLogger } from ${JSON.stringify(new URL("../../lib/base/logger.ts", import.meta.url).href)};
  const logger = createLogger({ level: "info", format: "text", write: (line) => console.error(line.trimEnd()) });
  const db = await openMysql({ url: Deno.args[0], poolSize: 2, logger });
  console.log("started");
  await migrate(db, logger);
  await db.close();
`;

Deno.test("MariaDB", async (t) => {
  await using mariadb = await startMariaDb();
  let databases = 0;
  const newDatabase = (): Promise<string> => mariadb.createDatabase(`db${++databases}`);
  const name = () => `db${databases}`;

  await t.step(
    "an empty database gets the same tables and columns as SQLite, and nothing the second time",
    async () => {
      const url = await newDatabase();
      assertEquals(await migrateUrl(url), [
        "0001_adopt_original: done",
        "0002_tables: done",
        "0003_import_original: done",
        "0004_offline_message: done",
        ...LATER,
      ]);
      assertEquals(await migrateUrl(url), []);
      await using sqlite = closing(openSqlite(":memory:"));
      await migrate(sqlite, logger);
      const columns = await sqlite.query<{ t: string; c: string }>(
        "SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c " +
          "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite%' ORDER BY 1, c.cid",
      );
      assertEquals(
        await mariadb.sql(
          "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() " +
            "ORDER BY BINARY table_name, ordinal_position",
          name(),
        ),
        columns.map(({ t, c }) => `${t}\t${c}`).join("\n"),
      );
    },
  );

  await t.step("a database of before goes on: all there is is chat", async () => {
    await using db = await opened(await newDatabase());
    await checkEntries(db);
  });

  await t.step("in a database of before nobody has left, and its groups are open", async () => {
    await using db = await opened(await newDatabase());
    await checkLeaving(db);
  });

  for (const variant of VARIANTS) {
    await t.step(`a database of the original server (${variant.name}) is upgraded in place`, async () => {
      const fresh = await schemaOf(mariadb, "db1");
      const url = await newDatabase();
      await mariadb.sql(originalTables(variant) + originalRows(variant), name());
      const lines: string[] = [];
      const done = await migrateUrl(url, lines);
      assertStringIncludes(done.join("\n"), "User has its new form, with 5 rows of the original server");
      assertStringIncludes(lines.join(""), "stay in the table OfflineMessage_original");
      await using db = await opened(url);
      await checkUpgraded(db, variant);
      assertEquals(await migrate(db, logger), []);
      await checkUpgraded(db, variant);
      const schema = await schemaOf(mariadb, name());
      // Two groups of the same name are both kept, so that database's index cannot be unique.
      assertEquals(
        schema.replace("AllGroup\tgroupname\t1\tgroupname\t1", "AllGroup\tgroupname\t1\tgroupname\t0"),
        fresh,
      );
      assertEquals((await db.run("INSERT INTO User (name, password) VALUES ('next', '')")).insertId, 6);
    });
  }

  await t.step("names that only now are the same are all kept, and the first has the key", async () => {
    const url = await newDatabase();
    await mariadb.sql(
      `CREATE TABLE User (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) COLLATE utf8mb4_bin NOT NULL UNIQUE,
         password VARCHAR(50) NOT NULL, state ENUM('online','offline') DEFAULT 'offline');
       INSERT INTO User (id, name, password) VALUES (5, 'ann', ''), (3, 'ANN', ''), (4, 'Ann', ''), (9, 'other', '')`,
      name(),
    );
    const done = await migrateUrl(url);
    assertStringIncludes(
      done.join("\n"),
      "User: 2 names differ from an earlier one only in case or composition; kept",
    );
    assertEquals(
      await mariadb.sql("SELECT id, name, CONVERT(name_key USING utf8mb4) FROM User ORDER BY id", name()),
      "3\tANN\tann\n4\tAnn\tNULL\n5\tann\tNULL\n9\tother\tother",
    );
  });

  await t.step(
    "columns and keys that a deployment added stay, and wide columns keep their width",
    async () => {
      const url = await newDatabase();
      const wide = "n".repeat(70);
      await mariadb.sql(
        `CREATE TABLE User (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL UNIQUE,
         password VARCHAR(300) NOT NULL, state ENUM('online','offline') DEFAULT 'offline', mail VARCHAR(99) DEFAULT 'm');
       CREATE TABLE Friend (id INT PRIMARY KEY AUTO_INCREMENT, userid INT, friendid INT, noted VARCHAR(9),
         FOREIGN KEY (userid) REFERENCES User (id));
       CREATE TABLE OfflineMessage (id INT PRIMARY KEY AUTO_INCREMENT, userid INT NOT NULL, message TEXT NOT NULL,
         KEY (userid));
       INSERT INTO User (name, password) VALUES ('${wide}', REPEAT('p', 280)), ('b', 'p');
       INSERT INTO Friend (userid, friendid, noted) VALUES (1, 2, 'x'), (1, 2, 'y'), (2, 1, 'z');
       INSERT INTO OfflineMessage VALUES (20, 1, ${quote(oneChat(2, 1, "second"))}),
         (10, 1, ${quote(oneChat(2, 1, "first"))});`,
        name(),
      );
      await migrateUrl(url);
      await using db = await opened(url);
      assertEquals(
        await mariadb.sql("SELECT id, name, LENGTH(password), mail FROM User", name()),
        `1\t${wide}\t280\tm\n2\tb\t1\tm`,
      );
      assertEquals(await mariadb.sql("SELECT userid, friendid FROM Friend ORDER BY 1", name()), "1\t2\n2\t1");
      assertEquals(await pendingOf(db, 1), [oneChat(2, 1, "first"), oneChat(2, 1, "second")]);
      assertEquals(await mariadb.sql("SHOW TABLES LIKE 'OfflineMessage_original'", name()), "");
    },
  );

  await t.step("a database with another program's tables is refused and left alone", async () => {
    for (
      const [sql, reason] of [
        ["CREATE TABLE message (id INT)", "has a table message that this server did not make"],
        [
          "CREATE TABLE `user` (id INT, login TEXT)",
          "has a table user without the column name, password, state",
        ],
        [
          "CREATE TABLE Friend (userid INT, friendid INT); CREATE TABLE friend LIKE Friend",
          "keep one of them",
        ],
      ] as const
    ) {
      const url = await newDatabase();
      await mariadb.sql(sql, name());
      const before = await schemaOf(mariadb, name());
      const error = await assertRejects(() => migrateUrl(url), FatalError, reason);
      assertEquals(error.exitCode, EXIT.config);
      await mariadb.sql("DROP TABLE Migration", name());
      assertEquals(await schemaOf(mariadb, name()), before);
    }
  });

  await t.step(
    "a migration that fails names the statement and goes on there when the reason is gone",
    async () => {
      const url = await newDatabase();
      const user = `limited${databases}`;
      await mariadb.sql(
        `CREATE USER ${user}@'127.0.0.1'; GRANT ALL ON ${name()}.* TO ${user}@'127.0.0.1';
       REVOKE CREATE VIEW ON ${name()}.* FROM ${user}@'127.0.0.1'`,
        name(),
      );
      const limited = url.replace("root@", `${user}@`);
      const error = await assertRejects(() => migrateUrl(limited), FatalError);
      assertStringIncludes(
        error.message,
        "Migration 0004_offline_message failed at statement 1 of 1 (CREATE OR REPLACE",
      );
      assertStringIncludes(error.message, "CREATE VIEW command denied");
      assertEquals(error.exitCode, EXIT.failure);
      await mariadb.sql(`GRANT CREATE VIEW ON ${name()}.* TO ${user}@'127.0.0.1'`, name());
      assertEquals(await migrateUrl(limited), ["0004_offline_message: done", ...LATER]);
    },
  );

  await t.step("a database of a newer version is refused", async () => {
    const url = await newDatabase();
    await migrateUrl(url);
    await mariadb.sql("INSERT INTO Migration VALUES ('0099_later', 1, 0)", name());
    const error = await assertRejects(() => migrateUrl(url), FatalError, "0099_later");
    assertEquals(error.exitCode, EXIT.config);
  });

  await t.step("nodes that start at once do not collide: one upgrades, the others wait", async () => {
    const [variant] = VARIANTS;
    assert(variant);
    const url = await newDatabase();
    await mariadb.sql(originalTables(variant) + originalRows(variant), name());
    const results = await Promise.all([migrateUrl(url), migrateUrl(url), migrateUrl(url)]);
    assertEquals(results.filter((lines) => lines.length > 0).length, 1);
    await using db = await opened(url);
    await checkUpgraded(db, variant);
  });

  await t.step(
    "killed at any moment and started again, it loses nothing and does nothing twice",
    async () => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      console.log(`seed ${seed}`);
      let state = seed;
      const random = () => (state = (state * 48271 + 1) % 0x7fffffff) / 0x7fffffff;
      await using folder = await temporaryFolder();
      const script = `${folder.path}/migrator.ts`;
      await Deno.writeTextFile(script, MIGRATOR);
      const variant: Variant = { name: "", charset: "latin1", engine: "MyISAM", keys: "none", sample: "x" };
      const rows: string[] = [];
      for (let i = 0; i < 4_000; i++) {
        rows.push(
          `(${1 + i % 4}, ${quote(oneChat(5, 1 + i % 4, `message ${i}`))})`,
        );
      }
      const config = new URL("../../deno.json", import.meta.url).pathname;
      for (let round = 0; round < 3; round++) {
        const url = await newDatabase();
        await mariadb.sql(
          `${originalTables(variant)}
         INSERT INTO User (name, password) VALUES ('a', ''), ('b', ''), ('c', ''), ('d', ''), ('e', '');
         INSERT INTO OfflineMessage VALUES ${rows.join()};`,
          name(),
        );
        const args = ["run", "--quiet", "--no-check", "--config", config, "-A", script, url];
        let kills = 0;
        for (let pauseMs = random() * 200;; pauseMs = random() * 400) {
          await using migrator = new ServiceProcess(Deno.execPath(), args, { logPath: `${folder.path}/log` });
          await waitFor(
            "the migrator to start",
            async () => migrator.status || (await readTextIfExists(`${folder.path}/log`)).includes("started"),
          );
          // Not waiting for a condition: any moment will do.
          await new Promise((resolve) => setTimeout(resolve, pauseMs));
          if (migrator.status) break;
          await migrator.kill("SIGKILL");
          kills++;
          if (kills === 3) break;
          await Deno.writeTextFile(`${folder.path}/log`, "");
        }
        const last = await run(Deno.execPath(), args, {});
        assertEquals(last.code, 0, last.stderr);
        await using db = await opened(url);
        assertEquals(await migrate(db, logger), []);
        for (let userId = 1; userId <= 4; userId++) {
          assertEquals(
            await pendingOf(db, userId),
            Array.from({ length: 1_000 }, (_, i) => oneChat(5, userId, `message ${4 * i + userId - 1}`)),
          );
        }
        assertEquals(await mariadb.sql("SHOW TABLES LIKE 'OfflineMessage_original'", name()), "");
      }
    },
  );
});
