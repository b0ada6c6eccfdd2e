import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { DatabaseError, EXIT, FatalError } from "../../lib/base/errors.ts";
import type { Database } from "../../lib/store/database.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { ServiceProcess, temporaryFolder, waitFor } from "../support/process.ts";

/** An open database that closes with its test. */
function opened(path = ":memory:"): Database & AsyncDisposable {
  const db = openSqlite(path);
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.close() });
}

async function withTable(): Promise<Database & AsyncDisposable> {
  const db = opened();
  await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, data BLOB) STRICT");
  return db;
}

/** What opening `path` throws. */
function openError(path: string): FatalError {
  try {
    openSqlite(path);
  } catch (error) {
    assertInstanceOf(error, FatalError);
    return error;
  }
  throw new Error(`${path} could be opened`);
}

Deno.test("integers, text, bytes and NULL come back as they went in", async () => {
  await using db = await withTable();
  await db.run("INSERT INTO t (id, name, data) VALUES (?, ?, ?)", [
    Number.MAX_SAFE_INTEGER,
    "naïve 你好 😀",
    new Uint8Array([0, 255, 0]),
  ]);
  await db.run("INSERT INTO t (id, name, data) VALUES (?, ?, ?)", [1, null, null]);
  assertEquals((await db.query("SELECT * FROM t ORDER BY id DESC")).map((row) => ({ ...row })), [
    { id: Number.MAX_SAFE_INTEGER, name: "naïve 你好 😀", data: new Uint8Array([0, 255, 0]) },
    { id: 1, name: null, data: null },
  ]);
});

Deno.test("a statement reports the rows it changed and the id it made", async () => {
  await using db = await withTable();
  assertEquals(await db.run("INSERT INTO t (name) VALUES ('a')"), { changes: 1, insertId: 1 });
  assertEquals(await db.run("INSERT INTO t (name) VALUES ('b')"), { changes: 1, insertId: 2 });
  assertEquals(await db.run("INSERT OR IGNORE INTO t (name) VALUES ('b')"), { changes: 0, insertId: 0 });
  assertEquals(await db.run("UPDATE t SET data = NULL"), { changes: 2, insertId: 0 });
  await db.run("CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID");
  assertEquals(await db.run("INSERT INTO pairs VALUES (1, 2)"), { changes: 1, insertId: 0 });
});

Deno.test("the dialect's upsert keeps old values, takes new ones and compares both", async () => {
  await using db = opened();
  const { dialect } = db;
  await db.run("CREATE TABLE t (a INTEGER, b INTEGER, n INTEGER, `read` INTEGER, PRIMARY KEY (a, b))");
  const sql = "INSERT INTO t (a, b, n, `read`) VALUES (1, 1, ?, ?)" +
    dialect.upsert(["a", "b"], {
      n: "n + new.n",
      "`read`": dialect.greatest("`read`", "new.`read`"),
    });
  for (const [n, read] of [[1, 5], [2, 3], [3, 9]] as const) await db.run(sql, [n, read]);
  assertEquals((await db.query("SELECT n, `read` FROM t")).map((row) => ({ ...row })), [{ n: 6, read: 9 }]);
});

Deno.test("every failure is a DatabaseError of the kind a caller can act on", async () => {
  await using db = await withTable();
  await db.run("INSERT INTO t (name) VALUES ('a')");
  const kinds = [
    ["INSERT INTO t (name) VALUES ('a')", "duplicate"],
    ["INSERT INTO t (id) VALUES (1)", "duplicate"],
    ["SELEC", "other"],
    ["INSERT INTO t (data) VALUES ('text')", "refused"],
    ["SELECT ?", "other"],
  ] as const;
  for (const [sql, kind] of kinds) {
    const params = sql === "SELECT ?" ? [1, 2] : [];
    const error = await assertRejects(() => db.query(sql, params), DatabaseError);
    assertEquals(error.kind, kind, sql);
  }
  await db.run("INSERT INTO t (name) VALUES ('b')");
});

Deno.test("a full disk rolls the whole transaction back, even if its error is ignored", async () => {
  await using folder = await temporaryFolder();
  await using db = opened(`${folder.path}/chat.db`);
  await db.run("CREATE TABLE t (text TEXT)");
  await db.query("PRAGMA max_page_count = 50");
  const fill = async () => {
    await db.transaction(async (tx) => {
      for (let i = 0; i < 100; i++) {
        try {
          await tx.run("INSERT INTO t VALUES (?)", ["x".repeat(4000)]);
        } catch {
          // A careless caller.
        }
      }
    });
  };
  const error = await assertRejects(fill, DatabaseError);
  assertEquals(error.kind, "full");
  assertEquals((await db.query("SELECT COUNT(*) AS n FROM t"))[0]?.n, 0);
  await db.run("INSERT INTO t VALUES ('fits')");
});

Deno.test("a transaction commits what it did, or nothing when it throws", async () => {
  await using db = await withTable();
  const result = await db.transaction(async (tx) => {
    await tx.run("INSERT INTO t (name) VALUES ('kept')");
    return "result";
  });
  assertEquals(result, "result");
  await assertRejects(
    () =>
      db.transaction(async (tx) => {
        await tx.run("INSERT INTO t (name) VALUES ('dropped')");
        throw new RangeError("changed my mind");
      }),
    RangeError,
    "changed my mind",
  );
  assertEquals((await db.query("SELECT name FROM t")).map(({ name }) => name), ["kept"]);
});

Deno.test("a duplicate key costs a transaction that statement only", async () => {
  await using db = await withTable();
  await db.transaction(async (tx) => {
    await tx.run("INSERT INTO t (name) VALUES ('a')");
    await assertRejects(() => tx.run("INSERT INTO t (name) VALUES ('a')"), DatabaseError);
    await tx.run("INSERT INTO t (name) VALUES ('b')");
  });
  assertEquals((await db.query("SELECT name FROM t")).length, 2);
});

Deno.test("others wait for an open transaction and go on in the order in which they came", async () => {
  await using db = await withTable();
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const first = db.transaction(async (tx) => {
    await tx.run("INSERT INTO t (name) VALUES ('first')");
    await gate.promise;
    order.push("first");
  });
  const seen = db.query("SELECT name FROM t").then((rows) => {
    order.push("query");
    return rows.length;
  });
  const second = db.transaction(async (tx) => {
    await tx.run("INSERT INTO t (name) VALUES ('second')");
    order.push("second");
  });
  const last = db.run("DELETE FROM t").then(({ changes }) => {
    order.push("run");
    return changes;
  });
  await Promise.resolve();
  assertEquals(order, []);
  gate.resolve();
  await Promise.all([first, second]);
  assertEquals([await seen, await last], [1, 2]);
  assertEquals(order, ["first", "query", "second", "run"]);
});

Deno.test("a transaction that is over takes no more statements", async () => {
  await using db = await withTable();
  const tx = await db.transaction((tx) => Promise.resolve({ tx }));
  await assertRejects(() => tx.tx.run("INSERT INTO t (name) VALUES ('late')"), DatabaseError, "over");
  assertEquals(await db.query("SELECT 1 FROM t"), []);
});

Deno.test("close waits for what runs and refuses what comes after", async () => {
  const db = await withTable();
  const gate = Promise.withResolvers<void>();
  const work = db.transaction(async (tx) => {
    await gate.promise;
    await tx.run("INSERT INTO t (name) VALUES ('a')");
  });
  const closed = db.close();
  gate.resolve();
  await work;
  await closed;
  await db.close();
  const error = await assertRejects(() => db.query("SELECT 1"), DatabaseError, "closed");
  assertEquals(error.kind, "unavailable");
});

Deno.test("more different statements than are kept prepared still work, again and again", async () => {
  await using db = await withTable();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 600; i++) {
      assertEquals((await db.query(`SELECT ${i} AS i`))[0]?.i, i);
    }
  }
});

Deno.test("the files belong to their owner alone", { ignore: Deno.build.os === "windows" }, async () => {
  await using folder = await temporaryFolder();
  await using db = opened(`${folder.path}/chat.db`);
  await db.run("CREATE TABLE t (id INTEGER)");
  const files = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assertEquals(files, ["chat.db", "chat.db-shm", "chat.db-wal"]);
  for (const file of files) {
    assertEquals((Deno.statSync(`${folder.path}/${file}`).mode ?? 0) & 0o777, 0o600, file);
  }
});

Deno.test("a file is one process's, whatever name it is opened by, until it is closed", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  Deno.symlinkSync(path, `${folder.path}/symbolic.db`);
  Deno.mkdirSync(`${folder.path}/elsewhere`);
  {
    await using _db = opened(path);
    Deno.linkSync(path, `${folder.path}/elsewhere/hard.db`);
    for (const name of [path, `${folder.path}/symbolic.db`, `${folder.path}/elsewhere/hard.db`]) {
      const error = openError(name);
      assertStringIncludes(error.message, "in use by another process");
      assertEquals(error.exitCode, EXIT.unavailable);
    }
  }
  await using _again = opened(path);
});

Deno.test("a lock of another program is waited for without holding up anything else", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  await using db = opened(path);
  await db.run("CREATE TABLE t (name TEXT)");
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  const order: string[] = [];
  const writes = [
    db.run("INSERT INTO t VALUES ('alone')").then(() => order.push("alone")),
    db.transaction((tx) => tx.run("INSERT INTO t VALUES ('together')")).then(() => order.push("together")),
  ];
  let longestMs = 0;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    longestMs = Math.max(longestMs, performance.now() - start);
  }
  assertLess(longestMs, 1_000);
  assertEquals(order, []);
  other.exec("COMMIT");
  await Promise.all(writes);
  assertEquals(order, ["alone", "together"]);

  other.exec("BEGIN IMMEDIATE");
  const error = await assertRejects(() => db.run("INSERT INTO t VALUES ('late')"), DatabaseError, "locked");
  assertEquals(error.kind, "conflict");
  other.close();
  assertEquals((await db.query("SELECT name FROM t")).length, 2);
});

/** Has this run in the place of a sync until it is disposed of. */
function syncing(sync: () => Promise<void>): Disposable {
  const { syncData } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.syncData = sync;
  return { [Symbol.dispose]: () => Deno.FsFile.prototype.syncData = syncData };
}

const MANY = { into: "INSERT INTO t (name)", rows: Array.from("abcdefgh", (name) => [name]) };

Deno.test("a commit is on the disk before it is acknowledged, and before anybody reads it", async () => {
  await using folder = await temporaryFolder();
  await using db = opened(`${folder.path}/chat.db`);
  assertEquals((await db.query("PRAGMA journal_mode"))[0]?.journal_mode, "wal");
  await db.run("CREATE TABLE t (name TEXT)");
  const disk = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  using _ = syncing(() => {
    begun.resolve();
    return disk.promise;
  });
  const order: string[] = [];
  const stored = db.insert(MANY).then(() => order.push("stored"));
  const read = db.query("SELECT name FROM t").then((rows) => order.push(`${rows.length} read`));
  await begun.promise;
  // The event loop goes on meanwhile.
  await new Promise((resolve) => setTimeout(resolve));
  order.push("on the disk");
  disk.resolve();
  await Promise.all([stored, read]);
  assertEquals(order[0], "on the disk");
  assertEquals(order.sort(), ["8 read", "on the disk", "stored"]);
});

Deno.test("one row is synced as well as many, and what only reads is not", async () => {
  await using folder = await temporaryFolder();
  await using db = opened(`${folder.path}/chat.db`);
  await db.run("CREATE TABLE t (name TEXT)");
  let syncs = 0;
  const { syncDataSync } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.syncDataSync = function () {
    syncs++;
    syncDataSync.call(this);
  };
  try {
    await db.run("INSERT INTO t VALUES ('a')");
    assertEquals(syncs, 1);
    await db.transaction((tx) => tx.run("INSERT INTO t VALUES ('b')"));
    assertEquals(syncs, 2);
    await db.transaction((tx) => tx.query("SELECT name FROM t"));
    await db.query("SELECT name FROM t");
    assertEquals(syncs, 2);
  } finally {
    Deno.FsFile.prototype.syncDataSync = syncDataSync;
  }
});

Deno.test("after a sync that failed nothing is read or written until all of it is on the disk", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  await using db = opened(path);
  await db.run("CREATE TABLE t (name TEXT)");
  {
    using _ = syncing(() => Promise.reject(new Error("Input/output error")));
    const error = await assertRejects(() => db.insert(MANY), DatabaseError, "Input/output error");
    assertEquals([error.kind, error.outcomeUnknown], ["unavailable", true]);
  }
  // Who reads an earlier state keeps the log from being emptied.
  const reader = new DatabaseSync(path);
  reader.exec("BEGIN");
  reader.prepare("SELECT * FROM t").all();
  for (const attempt of [() => db.query("SELECT name FROM t"), () => db.insert(MANY)]) {
    const error = await assertRejects(attempt, DatabaseError, "cannot be emptied");
    assertEquals([error.kind, error.outcomeUnknown], ["unavailable", false]);
  }
  reader.close();
  assertEquals((await db.query("SELECT name FROM t")).length, MANY.rows.length);
  assertEquals(Deno.statSync(`${path}-wal`).size, 0);
});

Deno.test("a file that is opened by a link has its log beside itself", async () => {
  await using folder = await temporaryFolder();
  Deno.mkdirSync(`${folder.path}/real`);
  Deno.writeFileSync(`${folder.path}/real/chat.db`, new Uint8Array());
  Deno.symlinkSync(`${folder.path}/real/chat.db`, `${folder.path}/link.db`);
  await using db = opened(`${folder.path}/link.db`);
  await db.run("CREATE TABLE t (name TEXT)");
  assert(Deno.statSync(`${folder.path}/real/chat.db-wal`).size > 0);
});

Deno.test("a path that cannot be a database says why", async () => {
  await using folder = await temporaryFolder();
  await Deno.mkdir(`${folder.path}/folder`);
  await Deno.writeTextFile(`${folder.path}/text`, "not a database, but long enough. ".repeat(100));
  const reasons = [
    ["", "path is empty"],
    [`${folder.path}/missing/chat.db`, "No such file or directory"],
    [`${folder.path}/folder`, "Is a directory"],
    [`${folder.path}/text`, "not a database"],
  ] as const;
  for (const [path, reason] of reasons) {
    const error = openError(path);
    assertStringIncludes(error.message, reason);
    assertEquals(error.exitCode, EXIT.config);
  }
});

/** Commits numbers, and prints each when its commit has resolved, until it is killed. */
const WRITER = `
  import { openSqlite } from ${JSON.stringify(new URL("../../lib/store/sqlite.ts", import.meta.url).href)};
  const db = openSqlite(Deno.args[0]);
  const [last] = await db.query("SELECT COALESCE(MAX(n), 0) AS n FROM numbers");
  for (let n = last.n + 1; ; n++) {
    await db.transaction(async (tx) => {
      await tx.run("INSERT INTO numbers (n) VALUES (?)", [n]);
      await tx.run("UPDATE total SET sum = sum + ?", [n]);
      for (let i = 0; i < 5; i++) await tx.run("INSERT INTO filler (text) VALUES (?)", ["x".repeat(500)]);
    });
    Deno.stdout.writeSync(new TextEncoder().encode(n + "\\n"));
  }
`;

Deno.test("kill -9 under load loses nothing acknowledged and leaves a file that opens by itself", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => (state = (state * 48271 + 1) % 0x7fffffff) / 0x7fffffff;
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  {
    await using db = opened(path);
    await db.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY)");
    await db.run("CREATE TABLE total (sum INTEGER)");
    await db.run("INSERT INTO total VALUES (0)");
    await db.run("CREATE TABLE filler (text TEXT)");
  }
  await Deno.writeTextFile(`${folder.path}/writer.ts`, WRITER);
  let before = 0;
  for (let round = 0; round < 4; round++) {
    const target = before + 1 + Math.floor(random() * 1_000);
    let printed = "";
    await using writer = new ServiceProcess(
      Deno.execPath(),
      ["run", "--quiet", "--no-check", "--allow-read", "--allow-write", `${folder.path}/writer.ts`, path],
      { capture: true },
    );
    const reading = (async () => {
      assert(writer.stdout);
      for await (const text of writer.stdout.pipeThrough(new TextDecoderStream())) printed += text;
    })();
    const failing = (async () => {
      assert(writer.stderr);
      return await new Response(writer.stderr).text();
    })();
    await waitFor(`${target} to be acknowledged`, () => {
      if (writer.status) throw new Error("The writer ended by itself");
      return Number(printed.trimEnd().split("\n").at(-1)) >= target;
    });
    await writer.kill("SIGKILL");
    await reading;
    assertEquals(await failing, "");
    const complete = printed.slice(0, printed.lastIndexOf("\n")).split("\n");
    const acknowledged = Number(complete.at(-1));
    await using db = opened(path);
    const [row] = await db.query<{ last: number; n: number; sum: number; total: number; filler: number }>(
      "SELECT MAX(n) AS last, COUNT(*) AS n, SUM(n) AS sum, (SELECT sum FROM total) AS total, " +
        "(SELECT COUNT(*) FROM filler) AS filler FROM numbers",
    );
    assert(row);
    // The commit that was under way may have happened; nothing before it is missing, and no half of one is there.
    assert(row.last === acknowledged || row.last === acknowledged + 1, `${row.last} after ${acknowledged}`);
    assertEquals({ n: row.n, sum: row.sum, filler: row.filler }, {
      n: row.last,
      sum: row.total,
      filler: 5 * row.last,
    });
    assertEquals((await db.query("PRAGMA integrity_check"))[0]?.integrity_check, "ok");
    before = row.last;
  }
});

Deno.test("a text that was taken away is gone from the file, too", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  {
    await using db = opened(path);
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)");
    for (const size of [10, 300, 60_000]) {
      await db.run("INSERT INTO t (text) VALUES (?)", ["secret words ".repeat(size / 10)]);
    }
    await db.run("UPDATE t SET text = NULL");
  }
  const file = new TextDecoder("latin1").decode(await Deno.readFile(path));
  assert(!file.includes("secret words"));
});
