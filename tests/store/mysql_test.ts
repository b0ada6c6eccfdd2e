import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../lib/base/clock.ts";
import { DatabaseError, type DatabaseErrorKind, EXIT, FatalError } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/logger.ts";
import type { SqlValue } from "../../lib/store/database.ts";
import { type MysqlDatabase, type MysqlOptions, openMysql } from "../../lib/store/mysql.ts";
import { MysqlConnection } from "../../lib/store/mysql_connection.ts";
import { bind } from "../../lib/store/mysql_text.ts";
import { parseMysqlUrl } from "../../lib/store/mysql_url.ts";
import { freePort, runOrThrow, waitFor } from "../support/process.ts";
import { ENGINE } from "../support/engines.ts";
import { type MariaDb, startMariaDb } from "../support/services.ts";

/** A database that is closed with its test, and what it has logged. */
type Opened = MysqlDatabase & AsyncDisposable & { log: string[] };

async function opened(url: string, options: Partial<MysqlOptions> = {}): Promise<Opened> {
  const log: string[] = [];
  const write = (line: string) => void log.push(line.slice(line.indexOf(" ") + 1).trimEnd());
  const logger = createLogger({ level: "debug", format: "text", write });
  const db = await openMysql({ url, poolSize: 4, logger, ...options });
  return Object.assign(db, { log, [Symbol.asyncDispose]: () => db.close() });
}

/** What `work` fails with, which must be of `kind`. */
async function failure(work: () => Promise<unknown>, kind: DatabaseErrorKind): Promise<DatabaseError> {
  const error = await assertRejects(work, DatabaseError);
  assertEquals(error.kind, kind, error.message);
  return error;
}

/** What opening `url` stops the program with. */
async function openError(url: string, options: Partial<MysqlOptions> = {}): Promise<FatalError> {
  return await assertRejects(() => opened(url, options), FatalError);
}

/** How long `work` takes, in milliseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Makes a user who, unlike root, must keep to all limits; resolves with its URL. */
async function ordinaryUser(server: MariaDb, password = "p"): Promise<string> {
  await server.sql(
    `DROP USER IF EXISTS chat@'%'; CREATE USER chat@'%' IDENTIFIED BY '${password}'; GRANT ALL ON chat.* TO chat@'%'`,
  );
  return `mysql://chat:${encodeURIComponent(password)}@127.0.0.1:${server.port}/chat`;
}

/** Makes the table T anew. */
async function makeTable(db: MysqlDatabase, table = T): Promise<void> {
  await db.run(`DROP TABLE IF EXISTS ${table.slice(0, table.indexOf("("))}`);
  await db.run(`CREATE TABLE ${table}`);
}

const T = `T (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) UNIQUE, n BIGINT,
  data VARBINARY(20), text MEDIUMTEXT) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`;

Deno.test("MySQL as a Database", async (t) => {
  // Settings of the server that must not matter.
  await using server = await startMariaDb({
    args: [
      "--sql-mode=NO_BACKSLASH_ESCAPES,ANSI_QUOTES",
      "--transaction-isolation=SERIALIZABLE",
      "--character-set-server=latin1",
      "--default-time-zone=+05:00",
      "--max-connections=12",
      "--max-allowed-packet=16M",
    ],
  });

  await t.step("text, bytes, whole numbers and NULL come back as they went in", async () => {
    await using db = await opened(server.url);
    await makeTable(db);
    const text = `naïve 你好 😀 it's \\ "quoted" \\' -- ; \n\r\t\u001a\0?`;
    const data = new Uint8Array([0, 39, 92, 255]);
    await db.run("INSERT INTO T (id, name, n, data, text) VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)", [
      ...[1, "😀", Number.MAX_SAFE_INTEGER, data, text],
      ...[2, null, -5, new Uint8Array(0), ""],
    ]);
    const rows = await db.query<Record<string, SqlValue> & { data: Uint8Array }>(
      "SELECT * FROM T ORDER BY id",
    );
    assertInstanceOf(rows[0]?.data, Uint8Array);
    assertEquals(rows.map((row): Record<string, unknown> => ({ ...row, data: [...row.data] })), [
      { id: 1, name: "😀", n: Number.MAX_SAFE_INTEGER, data: [...data], text },
      { id: 2, name: null, n: -5, data: [], text: "" },
    ]);
    assertEquals(await db.query("SELECT id FROM T WHERE data = ? AND text = ?", [data, text]), [{ id: 1 }]);
  });

  await t.step("a number beyond 2^53 arrives as text, a sum as a number, a date as text", async () => {
    await using db = await opened(server.url);
    assertEquals(
      await db.query("SELECT 9007199254740993 AS big, SUM(3) AS sum, CAST('2026-01-02' AS DATE) AS day"),
      [{ big: "9007199254740993", sum: 3, day: "2026-01-02" }],
    );
  });

  await t.step("LIMIT takes a parameter", async () => {
    await using db = await opened(server.url);
    const rows = await db.query(
      "WITH RECURSIVE S AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM S WHERE n < 10) " +
        "SELECT n FROM S WHERE n > ? ORDER BY n LIMIT ?",
      [4, 2],
    );
    assertEquals(rows, [{ n: 5 }, { n: 6 }]);
  });

  await t.step("a write says how many rows it changed, not matched, and which id it made", async () => {
    await using db = await opened(server.url);
    await makeTable(db);
    const insert = "INSERT INTO T (name, n) VALUES (?, ?)";
    assertEquals(await db.run(insert, ["a", 1]), { changes: 1, insertId: 1 });
    assertEquals(await db.run("UPDATE T SET n = 1"), { changes: 0, insertId: 0 });
    assertEquals(await db.run("UPDATE T SET n = 2"), { changes: 1, insertId: 0 });
    assertEquals(await db.run("DELETE FROM T WHERE id = ?", [7]), { changes: 0, insertId: 0 });
  });

  await t.step("the dialect's upsert adds to the old value, and its INSERT IGNORE leaves that", async () => {
    await using db = await opened(server.url);
    const { upsert, insertIgnore, greatest } = db.dialect;
    await makeTable(db, "U (id INT PRIMARY KEY, `read` INT, n INT)");
    const insert = "INSERT INTO U (id, `read`, n) VALUES (?, ?, ?)";
    const tail = upsert(["id"], { "`read`": greatest("`read`", "new.`read`"), n: "n + new.n" });
    await db.run(insert + tail, [1, 5, 10]);
    await db.run(insert + tail, [1, 3, 7]);
    await db.run(`${insertIgnore} INTO U VALUES (1, 0, 0), (2, 0, 0)`);
    assertEquals(await db.query("SELECT * FROM U ORDER BY id"), [{ id: 1, read: 5, n: 17 }, {
      id: 2,
      read: 0,
      n: 0,
    }]);
  });

  await t.step(
    "a session is READ COMMITTED, strict, in UTC and in utf8mb4, whatever the server is",
    async () => {
      await using db = await opened(server.url, { statementTimeoutMs: 7_000 });
      const isolation = ENGINE === "MySQL" ? "transaction_isolation" : "tx_isolation";
      const idle = ENGINE === "MySQL" ? "wait_timeout" : "idle_transaction_timeout";
      assertEquals(
        await db.query(
          `SELECT @@${isolation} AS isolation, @@time_zone AS zone, @@character_set_client AS charset,
        @@innodb_lock_wait_timeout AS lockWait, @@${idle} AS idle`,
        ),
        [{ isolation: "READ-COMMITTED", zone: "+00:00", charset: "utf8mb4", lockWait: 5, idle: 4 }],
      );
      await makeTable(db);
      await failure(() => db.run("INSERT INTO T (name) VALUES (?)", ["x".repeat(21)]), "too_large");
      await failure(() => db.query("SELECT 1; SELECT 2"), "other");
    },
  );

  await t.step("a duplicate is told by its key and never by its value", async () => {
    await using db = await opened(server.url);
    await makeTable(db);
    const insert = () => db.run("INSERT INTO T (name, n) VALUES (?, ?)", ["it's secret", 1]);
    await insert();
    const error = await failure(insert, "duplicate");
    assertStringIncludes(error.message, `for key '${ENGINE === "MySQL" ? "T." : ""}name'`);
    assert(!Deno.inspect(error).includes("secret"), Deno.inspect(error));
  });

  await t.step("an error names the statement, and no parameter's value", async () => {
    await using db = await opened(server.url);
    await makeTable(db);
    for (
      const [statement, kind] of [
        ["SELEC ?", "other"],
        ["INSERT INTO T (n) VALUES (?)", "refused"],
        ["SELECT ? FROM Nowhere", "unfit"],
        ["SELECT * WHERE ?", "other"],
      ] as const
    ) {
      const error = await failure(() => db.run(statement, ["s'ecret' x"]), kind);
      assertStringIncludes(error.message, statement);
      assert(!Deno.inspect(error).includes("ecret"), Deno.inspect(error));
    }
  });

  await t.step("a parameter that is no SqlValue never becomes SQL", async () => {
    await using db = await opened(server.url);
    // As a value out of somebody's JSON would come, past the compiler.
    for (const value of JSON.parse('[{"id": 1}, [1, 2], true, 1.5, 1e300]')) {
      await failure(() => db.query("SELECT 1 WHERE 1 = ?", [value]), "other");
    }
    await failure(() => db.query("SELECT ?", [NaN]), "other");
    assertEquals(await db.query("SELECT 1 AS fine"), [{ fine: 1 }]);
  });

  await t.step("query() refuses what returns no rows, run() what does", async () => {
    await using db = await opened(server.url);
    await failure(() => db.query("SET @a = 1"), "other");
    await failure(() => db.run("SELECT 1"), "other");
  });

  await t.step(
    "a transaction shows to others when it has committed, and not at all when work throws",
    async () => {
      await using db = await opened(server.url);
      await makeTable(db);
      const insert = "INSERT INTO T (name) VALUES (?)";
      const answer = await db.transaction(async (tx) => {
        await tx.run(insert, ["kept"]);
        assertEquals(await db.query("SELECT name FROM T"), []);
        return 7;
      });
      assertEquals(answer, 7);
      const thrown = new Error("no");
      const error = await assertRejects(() =>
        db.transaction(async (tx) => {
          await tx.run(insert, ["dropped"]);
          throw thrown;
        })
      );
      assertEquals(error, thrown);
      assertEquals(await db.query("SELECT name FROM T"), [{ name: "kept" }]);
      assertEquals(db.stats().destroyed, 0);
    },
  );

  await t.step("a duplicate may be caught inside a transaction, which goes on", async () => {
    await using db = await opened(server.url);
    await makeTable(db);
    await db.transaction(async (tx) => {
      await tx.run("INSERT INTO T (name) VALUES ('a')");
      await failure(() => tx.run("INSERT INTO T (name) VALUES ('a')"), "duplicate");
      await tx.run("INSERT INTO T (name) VALUES ('b')");
    });
    assertEquals(await db.query("SELECT name FROM T ORDER BY name"), [{ name: "a" }, { name: "b" }]);
  });

  await t.step("a transaction that is over takes no more statements", async () => {
    await using db = await opened(server.url);
    const kept = await db.transaction((tx) => Promise.resolve(tx));
    await failure(() => kept.query("SELECT 1"), "other");
    await failure(() => kept.run("SET @a = 1"), "other");
  });

  await t.step(
    "of two transactions in a deadlock one is undone and done again, even if its work hides that",
    async () => {
      await using db = await opened(server.url);
      await makeTable(db);
      await db.run("INSERT INTO T (id, n) VALUES (1, 0), (2, 0)");
      const update = "UPDATE T SET n = n + 1 WHERE id = ?";
      const locked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let attempts = 0;
      const work = (own: 0 | 1, other: 0 | 1) =>
        db.transaction(async (tx) => {
          attempts++;
          await tx.run(update, [own + 1]);
          locked[own]?.resolve();
          await locked[other]?.promise;
          await tx.run(update, [other + 1]).catch(() => {});
          await tx.run("INSERT INTO T (n) VALUES (9)").catch(() => {});
        });
      await Promise.all([work(0, 1), work(1, 0)]);
      assert(attempts >= 3, "there was no deadlock");
      assertEquals(await db.query("SELECT n FROM T ORDER BY n"), [{ n: 2 }, { n: 2 }, { n: 9 }, { n: 9 }]);
    },
  );

  await t.step("a lock that is not to be had is a conflict", async () => {
    await using db = await opened(server.url);
    await makeTable(db);
    await db.run("INSERT INTO T (id) VALUES (1)");
    await db.transaction(async (holder) => {
      await holder.query(`SELECT id FROM T WHERE id = 1${db.dialect.forUpdate}`);
      await failure(
        () => db.transaction((tx) => tx.query("SELECT id FROM T WHERE id = 1 FOR UPDATE NOWAIT")),
        "conflict",
      );
    });
  });

  await t.step("a full table is full", async () => {
    await server.sql("SET GLOBAL max_heap_table_size = 16384");
    await using db = await opened(server.url);
    await makeTable(db, "Small (text VARCHAR(10000)) ENGINE = MEMORY");
    await failure(async () => {
      for (let row = 0; row < 100; row++) await db.run("INSERT INTO Small VALUES ('x')");
    }, "full");
  });

  await t.step(
    "a server that has become read-only is unavailable, and it is known that nothing happened",
    async () => {
      await using db = await opened(await ordinaryUser(server));
      await makeTable(db);
      await server.sql("SET GLOBAL read_only = 1");
      const error = await failure(() => db.run("INSERT INTO T (n) VALUES (1)"), "unavailable");
      assertEquals(error.outcomeUnknown, false);
      await server.sql("SET GLOBAL read_only = 0");
      await db.run("INSERT INTO T (n) VALUES (1)");
    },
  );

  await t.step("a statement that is too long for the server is refused, and the next one works", async () => {
    await using db = await opened(server.url, { poolSize: 1 });
    await failure(() => db.query("SELECT LENGTH(?)", ["x".repeat(17 * 1024 * 1024)]), "too_large");
    assertEquals(db.stats().idle, 1);
    assertEquals(await db.query("SELECT LENGTH(?) AS l", ["x".repeat(15 * 1024 * 1024)]), [{
      l: 15 * 1024 * 1024,
    }]);
  });

  await t.step(
    "a statement without an answer loses its connection, and only then is its outcome unknown",
    async () => {
      await using db = await opened(server.url, { statementTimeoutMs: 200, poolSize: 1 });
      await makeTable(db);
      const slowRead = await failure(() => db.query("SELECT SLEEP(3)"), "unavailable");
      assertStringIncludes(slowRead.message, "no answer within 200 ms at: SELECT SLEEP(3)");
      assertEquals(slowRead.outcomeUnknown, false);
      const slowWrite = await failure(() => db.run("INSERT INTO T (n) SELECT SLEEP(3)"), "unavailable");
      assertEquals(slowWrite.outcomeUnknown, true);
      await db.query("SELECT 1");
      assertEquals(db.stats().destroyed, 2);
    },
  );

  await t.step("a connection that is killed while idle is replaced unnoticed", async () => {
    await using db = await opened(server.url);
    await waitFor("the pool to be filled", () => db.stats().idle === 2);
    const ids = await server.sql(
      "SELECT id FROM information_schema.processlist WHERE db = 'chat' AND id <> CONNECTION_ID()",
    );
    await server.sql(ids.split("\n").map((id) => `KILL ${id};`).join(""));
    await waitFor("them to be gone", () => db.stats().destroyed === 2);
    await db.query("SELECT 1");
    assertEquals(db.log, []);
  });

  await t.step("a connection that is killed in use fails its statement only", async () => {
    await using db = await opened(server.url);
    const [row] = await db.query("SELECT 1 AS one");
    const error = await failure(
      () =>
        db.transaction(async (tx) => {
          const [self] = await tx.query("SELECT CONNECTION_ID() AS id");
          const slow = tx.query("SELECT SLEEP(10)");
          await Promise.all([slow, server.sql(`DO SLEEP(0.05); KILL ${self?.id}`)]);
        }),
      "unavailable",
    );
    assertEquals(error.outcomeUnknown, false);
    assertEquals(await db.query("SELECT 1 AS one"), [row]);
  });

  await t.step("beyond the server's max_connections waiters learn why there are no more", async () => {
    await using db = await opened(await ordinaryUser(server), { poolSize: 30, acquireTimeoutMs: 1_500 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, () => db.transaction((tx) => tx.query("SELECT SLEEP(2)"))),
    );
    const errors = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason);
    assert(errors.length >= 15 && errors.length < 30, `${errors.length} failed`);
    for (const error of errors) {
      assertInstanceOf(error, DatabaseError);
      assertEquals(error.kind, "unavailable");
      assertStringIncludes(error.message, "Too many connections");
    }
    await db.query("SELECT 1");
    // One line an outage, not one for each waiter. There may be more than one outage: what the steps before have left
    // on the server ends meanwhile, and makes room for a moment.
    const outages = db.log.filter((line) => /new connection/i.test(line)).map((line) =>
      line.slice(0, line.indexOf(" "))
    );
    assertEquals(outages, outages.map((_, i) => i % 2 === 0 ? "error" : "info"), db.log.join("\n"));
    assert(outages.length > 0, "an outage was logged");
  });

  await t.step("closing waits for what runs, and cuts it at the deadline", async () => {
    const patient = await opened(server.url);
    const short = patient.query("SELECT SLEEP(0.2) AS slept");
    await waitFor("the statement to run", () => patient.stats().borrowed === 1);
    await patient.close();
    assertEquals(await short, [{ slept: 0 }]);
    await failure(() => patient.query("SELECT 1"), "unavailable");

    const hasty = await opened(server.url, { closeTimeoutMs: 100 });
    const long = failure(() => hasty.query("SELECT SLEEP(9)"), "unavailable");
    await waitFor("the statement to run", () => hasty.stats().borrowed === 1);
    const closeMs = await timed(() => hasty.close());
    assertStringIncludes((await long).message, "The connection was closed");
    assert(closeMs < 2_000, `closing took ${closeMs} ms`);
    assertEquals(hasty.stats().size, 0);
  });

  await t.step("a password with reserved characters works in the URL", async () => {
    await using db = await opened(await ordinaryUser(server, "p@:/?#%ä 1"));
    await db.query("SELECT 1");
  });

  await t.step("a unix socket is used when the URL names one", async () => {
    const url = `mysql://root@localhost/chat?socketPath=${encodeURIComponent(`${server.folder}/socket`)}`;
    // In a process of its own, because a socket in a folder made just now is not among the tests' permissions.
    const program = `
      import { createLogger } from "${import.meta.resolve("../../lib/base/logger.ts")}";
      import { openMysql } from "${import.meta.resolve("../../lib/store/mysql.ts")}";
      const logger = createLogger({ level: "debug", format: "text", write: (line) => console.error(line.trimEnd()) });
      const db = await openMysql({ url: ${JSON.stringify(url)}, poolSize: 1, logger });
      console.log((await db.query("SELECT host FROM information_schema.processlist WHERE id = CONNECTION_ID()"))[0].host);
      await db.close();`;
    const permissions = ["--no-prompt", "--allow-net", "--allow-read", "--allow-write"];
    const cwd = new URL("../..", import.meta.url).pathname;
    const args = ["run", "--quiet", "--no-check", ...permissions, "-"];
    assertEquals(await runOrThrow(Deno.execPath(), args, { stdin: program, cwd }), "localhost\n");
  });

  await t.step(
    "what cannot be opened is refused with server, reason and exit code, without the password",
    async () => {
      const at = `127.0.0.1:${server.port}`;
      await ordinaryUser(server, "right");
      const denied = await openError(`mysql://chat:hunter2@${at}/chat`);
      assertEquals(denied.exitCode, EXIT.config);
      assertStringIncludes(denied.message, `MySQL at ${at}: Access denied for user 'chat'`);
      assert(!Deno.inspect(denied).includes("hunter2"));

      const unknown = await openError(`mysql://root@${at}/nowhere`);
      assertEquals(unknown.exitCode, EXIT.config);
      assertStringIncludes(unknown.message, "Unknown database 'nowhere'");

      const port = freePort();
      const refused = await openError(`mysql://root:hunter2@127.0.0.1:${port}/chat`);
      assertEquals(refused.exitCode, EXIT.unavailable);
      assertStringIncludes(refused.message, `MySQL at 127.0.0.1:${port}: connect ECONNREFUSED`);
    },
  );
});

Deno.test("a listener that is no MySQL, or says nothing, is refused within the deadline", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) accepted.push(conn);
  })();
  const url = `mysql://root@127.0.0.1:${port}/chat`;
  const silent = await openError(url, { connectTimeoutMs: 100 });
  assertEquals(silent.exitCode, EXIT.unavailable);
  assertStringIncludes(silent.message, `127.0.0.1:${port}: no answer within 100 ms`);

  const greeted = openError(url, { connectTimeoutMs: 1_000 });
  await waitFor("the second connection", () => accepted.length === 2);
  await accepted[1]?.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
  accepted[1]?.close();
  assertEquals((await greeted).exitCode, EXIT.unavailable);
  accepted[0]?.close();
  listener.close();
  await accepting;
});

Deno.test({
  name: "a MySQL URL is taken apart, and a bad one is refused without being quoted",
  permissions: "none",
  fn() {
    const ssl = { mode: "PREFERRED" as const, caPath: null };
    const base = { port: 3306, socketPath: null, user: "u", password: "", database: "db", ssl };
    assertEquals(parseMysqlUrl("mysql://u@host/db"), { ...base, host: "host" });
    assertEquals(parseMysqlUrl("mariadb://u:a%40b@[::1]:7/db"), {
      ...base,
      host: "::1",
      port: 7,
      password: "a@b",
    });
    assertEquals(parseMysqlUrl("mysql://u@h/db?socketPath=/run/a.sock").socketPath, "/run/a.sock");
    const bad: Record<string, string> = {
      "nonsense hunter2": "cannot be read",
      "http://u:hunter2@host/db": "does not begin with mysql://",
      "mysql://u:hunter2%zz@host/db": "% in the password",
      "mysql://u:hunter2@host/db#x": "has a #",
      "mysql://u:hunter2@host/db?ssl=1": "something other than socketPath",
      "mysql://u:hunter2@host": "names no database",
      "mysql://host/db": "names no user",
    };
    for (const [url, reason] of Object.entries(bad)) {
      try {
        parseMysqlUrl(url);
      } catch (error) {
        assertInstanceOf(error, FatalError);
        assertEquals(error.exitCode, EXIT.usage);
        assertStringIncludes(error.message, reason);
        assert(!Deno.inspect(error).includes("hunter2"));
        continue;
      }
      throw new Error(`${url} was not refused`);
    }
  },
});

Deno.test("a server that is killed in the middle loses nothing it confirmed, and is used again when it is back", async () => {
  await using server = await startMariaDb();
  await using db = await opened(server.url, { acquireTimeoutMs: 300 });
  await makeTable(db);
  await db.run("INSERT INTO T (name) VALUES ('before')");

  const reading = failure(() => db.query("SELECT SLEEP(9)"), "unavailable");
  const writing = failure(
    () =>
      db.transaction(async (tx) => {
        await tx.run("INSERT INTO T (name) VALUES ('during')");
        await tx.query("SELECT SLEEP(9)");
      }),
    "unavailable",
  );
  await waitFor(
    "both to run",
    async () => (await server.sql("SHOW PROCESSLIST")).split("SLEEP(9)").length === 3,
  );
  await server.kill("SIGKILL");
  assertEquals((await reading).outcomeUnknown, false);
  assertEquals((await writing).outcomeUnknown, false);

  const refused = await failure(() => db.query("SELECT 1"), "unavailable");
  assertStringIncludes(refused.message, "within 300 ms: connect ECONNREFUSED");

  await server.start();
  await waitFor("the pool to be filled again", () => db.stats().idle >= 2);
  assertEquals(await db.query("SELECT name FROM T"), [{ name: "before" }]);
  assertEquals(db.log.length, 2, db.log.join("\n"));
  const [outage = "", recovery = ""] = db.log;
  assertStringIncludes(outage, `error No new connection to MySQL at 127.0.0.1:${server.port}; trying again`);
  assertStringIncludes(recovery, "work again after_ms=");
});

Deno.test("a server that stops answering is noticed by every kind of wait, and used again when it goes on", async () => {
  await using server = await startMariaDb();
  await using db = await opened(server.url, {
    poolSize: 2,
    statementTimeoutMs: 300,
    connectTimeoutMs: 200,
    acquireTimeoutMs: 500,
  });
  await makeTable(db);
  const committing = failure(
    () =>
      db.transaction(async (tx) => {
        await tx.run("INSERT INTO T (name) VALUES ('perhaps')");
        await server.freeze();
      }),
    "unavailable",
  );
  const commit = await committing;
  assertEquals(commit.outcomeUnknown, true);
  assertStringIncludes(commit.message, "no answer within 300 ms at: COMMIT");

  const waitMs = await timed(() => failure(() => db.query("SELECT 1"), "unavailable"));
  assert(waitMs < 1_500, `it took ${waitMs} ms`);
  const noConnection = await failure(() => db.query("SELECT 1"), "unavailable");
  assertStringIncludes(noConnection.message, "no answer within 200 ms");

  server.signal("SIGCONT");
  await waitFor("the server to be used again", () => db.query("SELECT 1").then(() => true, () => false));
  const [row] = await db.query("SELECT COUNT(*) AS n FROM T");
  assert(row?.n === 0 || row?.n === 1);
});

Deno.test("a connection knows that it is broken, and ends at once even if the server does not answer", async () => {
  await using server = await startMariaDb();
  const options = {
    address: parseMysqlUrl(server.url),
    tls: null,
    statementTimeoutMs: 10_000,
    clock: systemClock,
    onBroken: () => {},
  };
  const { signal } = new AbortController();
  const killed = await MysqlConnection.open(options, signal);
  const [self] = await killed.query(bind("SELECT CONNECTION_ID() AS id"));
  await server.sql(`KILL ${self?.id}`);
  await waitFor("the break to be noticed", () => killed.isBroken);
  const error = await failure(() => killed.run(bind("COMMIT"), { commits: true }), "unavailable");
  assertEquals(error.outcomeUnknown, false);
  await killed.end();

  const hung = await MysqlConnection.open(options, signal);
  await server.freeze();
  const endMs = await timed(() => hung.end());
  assert(endMs < 1_500, `it took ${endMs} ms`);
  server.signal("SIGCONT");
});

Deno.test("closing does not hang on a server that does not answer", async () => {
  await using server = await startMariaDb();
  const db = await opened(server.url, { closeTimeoutMs: 200 });
  await waitFor("the pool to be filled", () => db.stats().idle === 2);
  const query = failure(() => db.query("SELECT SLEEP(9)"), "unavailable");
  await waitFor("the statement to run", () => db.stats().borrowed === 1);
  await server.freeze();
  const closeMs = await timed(() => db.close());
  await query;
  assert(closeMs < 1_500, `closing took ${closeMs} ms`);
  server.signal("SIGCONT");
});

/** What became of one row that a worker tried to write. */
type Outcome = "written" | "failed" | "unknown";

/** Writes two rows in one transaction, over and over, until `isOver`; notes what it was told. */
async function writePairs(
  db: MysqlDatabase,
  worker: number,
  outcomes: Map<string, Outcome>,
  isOver: () => boolean,
): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    const name = `${worker}-${turn}`;
    try {
      await db.transaction(async (tx) => {
        await tx.run("INSERT INTO T (name, n) VALUES (?, ?)", [`${name}a`, worker]);
        await tx.run("INSERT INTO T (name, n) VALUES (?, ?)", [`${name}b`, worker]);
      });
      outcomes.set(name, "written");
    } catch (error) {
      assertInstanceOf(error, DatabaseError);
      assertEquals(error.kind, "unavailable", error.message);
      outcomes.set(name, error.outcomeUnknown ? "unknown" : "failed");
    }
  }
}

Deno.test("the pool's promises hold while a real server is killed and started again under load", async () => {
  await using server = await startMariaDb();
  await using db = await opened(server.url, { poolSize: 3, acquireTimeoutMs: 1_000 });
  await makeTable(db);
  const outcomes = new Map<string, Outcome>();
  const count = (wanted: Outcome) => [...outcomes.values()].filter((outcome) => outcome === wanted).length;
  let isOver = false;
  const workers = Array.from({ length: 8 }, (_, worker) => writePairs(db, worker, outcomes, () => isOver));

  let sampled = 0;
  const sample = () => {
    const { size, creating, checking, idle, borrowed, created, destroyed } = db.stats();
    assertEquals(size, creating + checking + idle + borrowed);
    assert(size <= 3, "more than max");
    assertEquals(created - destroyed, checking + idle + borrowed);
    sampled++;
  };
  for (let round = 0; round < 2; round++) {
    const before = count("written");
    await waitFor("transactions to commit", () => {
      sample();
      return count("written") > before + 50;
    });
    const failed = count("failed");
    await server.kill("SIGKILL");
    await waitFor("waiters to be turned away", () => {
      sample();
      return count("failed") > failed + 8;
    });
    await server.start();
  }
  const before = count("written");
  await waitFor("transactions to commit again", () => count("written") > before + 50);
  isOver = true;
  await Promise.all(workers);
  assert(sampled > 10);

  const rows = await db.query<{ name: string }>("SELECT name FROM T");
  const names = new Set(rows.map(({ name }) => name));
  for (const [name, outcome] of outcomes) {
    const isThere = names.has(`${name}a`);
    assertEquals(names.has(`${name}b`), isThere, `${name} is half-written`);
    if (outcome !== "unknown") {
      assertEquals(isThere, outcome === "written", `${name} was told to be ${outcome}`);
    }
  }
  const stats = db.stats();
  assertEquals({ borrowed: stats.borrowed, pending: stats.pending }, { borrowed: 0, pending: 0 });
  assertEquals(
    db.log.map((line) => line.slice(0, 5).trim()),
    ["error", "info", "error", "info"],
    db.log.join("\n"),
  );
});
