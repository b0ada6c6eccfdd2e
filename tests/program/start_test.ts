/** What a start, and `--check-config`, finds wrong before anything is changed. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { makeCertificate } from "../support/certificate.ts";
import { freePort, isFile, temporaryFolder } from "../support/process.ts";
import { runProgram, startMariaDb, startRedis, startServer } from "../support/services.ts";

const CHECK = "--check-config";

Deno.test("what cannot work is found before the database is touched, by a start and by a check", async () => {
  await using folder = await temporaryFolder();
  await using other = await startServer(["--sqlite", ":memory:"]);
  const { certificate, key, authority } = await makeCertificate(folder.path);
  const database = `${folder.path}/chat.db`;
  const taken = String(other.port);
  const tls = (port: string, cert: string) => ["0", "--tls-port", port, "--tls-cert", cert, "--tls-key", key];
  const refused: [number, string, string[]][] = [
    [EXIT.unavailable, `Cannot listen on 127.0.0.1:${taken}: the address is in use`, [taken]],
    [EXIT.unavailable, "the address is in use", ["0", "--http", `127.0.0.1:${taken}`]],
    [EXIT.unavailable, "the address is in use", tls(taken, certificate)],
    [EXIT.config, 'Cannot read "nowhere.pem" for TLS', tls("0", "nowhere.pem")],
    [EXIT.config, "does not belong to the certificate", tls("0", authority)],
    [EXIT.config, "Cannot listen on 192.0.2.1:0", ["192.0.2.1", "0"]],
  ];
  const tries = refused.flatMap(([exitCode, text, args]) =>
    [args, [...args, CHECK]].map((args) => ({ exitCode, text, args: [...args, "--sqlite", database] }))
  );
  await Promise.all(tries.map(async ({ exitCode, text, args }) => {
    const { code, stderr } = await runProgram(args, { deadlineMs: 60_000 });
    assertStringIncludes(stderr, text);
    assertEquals(code, exitCode, stderr);
    assertEquals(isFile(database), false, args.join(" "));
  }));
});

Deno.test("a check of the embedded database says what a start would, and leaves nothing behind", async () => {
  await using folder = await temporaryFolder();
  const database = `${folder.path}/chat.db`;
  const check = (...args: string[]) => runProgram(["0", "--sqlite", ...args, CHECK]);
  const fine = await check(database);
  assertEquals([fine.code, fine.stdout], [EXIT.ok, "The options can work.\n"], fine.stderr);
  assertEquals([...Deno.readDirSync(folder.path)], []);

  const missing = await check(`${folder.path}/missing/chat.db`);
  assertEquals(missing.code, EXIT.config);
  assertStringIncludes(missing.stderr, "No such file or directory");

  await Deno.writeTextFile(`${folder.path}/text`, "not a database, but long enough. ".repeat(100));
  const text = await check(`${folder.path}/text`);
  assertEquals(text.code, EXIT.config);
  assertStringIncludes(text.stderr, "not a database");

  await using _node = await startServer(["--sqlite", database]);
  const used = await check(database);
  assertEquals(used.code, EXIT.unavailable);
  assertStringIncludes(used.stderr, "in use by another process");
});

Deno.test("a check asks MySQL and Redis, and what is wrong with one leaves the other alone", async () => {
  await using mariaDb = await startMariaDb();
  await using redis = await startRedis();
  const run = (mysql: string, redis: string, ...args: string[]) =>
    runProgram(["0", "--node", "a", ...args], { env: { CHAT_MYSQL: mysql, CHAT_REDIS: redis } });
  const tables = () => mariaDb.sql("SHOW TABLES");
  const nobody = freePort();
  for (const args of [[], [CHECK]]) {
    const noRedis = await run(mariaDb.url, `redis://127.0.0.1:${nobody}`, ...args);
    assertEquals(noRedis.code, EXIT.unavailable);
    assertStringIncludes(noRedis.stderr, `Cannot use Redis at redis://127.0.0.1:${nobody}`);
    const noMysql = await run(`mysql://root@127.0.0.1:${nobody}/chat`, redis.url, ...args);
    assertEquals(noMysql.code, EXIT.unavailable);
    assertStringIncludes(noMysql.stderr, `Cannot use MySQL at 127.0.0.1:${nobody}`);
    const noDatabase = await run(mariaDb.urlOf("nothing"), redis.url, ...args);
    assertEquals(noDatabase.code, EXIT.config);
    assertStringIncludes(noDatabase.stderr, "Unknown database");
  }
  const fine = await run(mariaDb.url, redis.url, CHECK);
  assertEquals(fine.code, EXIT.ok, fine.stderr);
  assertStringIncludes(fine.stdout, "A start brings the database up to date: 0001_adopt_original, ");
  assertEquals(await tables(), "");
  assertEquals((await runProgram(["migrate"], { env: { CHAT_MYSQL: mariaDb.url } })).code, EXIT.ok);
  assertEquals((await run(mariaDb.url, redis.url, CHECK)).stdout, "The options can work.\n");
});
