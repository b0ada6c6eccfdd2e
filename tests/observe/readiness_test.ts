import { assertEquals, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { chat, newPerson } from "../support/chat_client.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { type Server, startMariaDb, startServer } from "../support/services.ts";

async function readiness(server: Server): Promise<{ status: number; text: string }> {
  const { host, port } = server.address("http");
  const response = await fetch(`http://${host}:${port}/readyz`);
  return { status: response.status, text: await response.text() };
}

/** Resolves with what /readyz says once it is `status`. */
async function untilStatus(server: Server, status: number): Promise<string> {
  return await waitFor(`/readyz to be ${status}`, async () => {
    const answer = await readiness(server);
    return answer.status === status ? answer.text : undefined;
  });
}

Deno.test("a node is ready only while its MySQL takes writes, and says why not", async () => {
  await using mysql = await startMariaDb();
  await mysql.sql("CREATE USER chat@'%'; GRANT ALL ON chat.* TO chat@'%'");
  const url = mysql.url.replace("root@", "chat@");
  await using server = await startServer(["--mysql", url, "--http", "127.0.0.1:0"]);
  await untilStatus(server, 200);

  await mysql.sql("SET GLOBAL read_only = 1");
  assertStringIncludes(await untilStatus(server, 503), "read");
  await mysql.sql("SET GLOBAL read_only = 0");
  await untilStatus(server, 200);

  // A backup's lock: longer than a write may take, shorter than a statement waits.
  const backup = mysql.sql("FLUSH TABLES WITH READ LOCK; DO SLEEP(3); UNLOCK TABLES");
  assertStringIncludes(await untilStatus(server, 503), "it has not written a row within 1000 ms");
  await backup;
  await untilStatus(server, 200);

  // Rights that were taken away count for connections made from then on.
  await mysql.sql("REVOKE ALL ON chat.* FROM chat@'%'; GRANT SELECT ON chat.* TO chat@'%'");
  const ids = await mysql.sql("SELECT id FROM information_schema.processlist WHERE user = 'chat'");
  await mysql.sql(ids.split("\n").map((id) => `KILL ${id};`).join(""));
  assertStringIncludes(await untilStatus(server, 503), "command denied");
  await mysql.sql("GRANT ALL ON chat.* TO chat@'%'");
  await untilStatus(server, 200);

  // Its answer may be here before its line.
  await server.logged(/(?:(?: not ready: |takes writes again)[^]*){6}/);
  const lines = server.stderr.split("\n").filter((line) => / not ready: |takes writes again/.test(line));
  assertEquals(lines.length, 6, server.stderr);
});

Deno.test("a message that MySQL has no room for speaks against the node, though a row can be written", async () => {
  await using mysql = await startMariaDb();
  await using server = await startServer(["--mysql", mysql.url, "--http", "127.0.0.1:0"]);
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  await mysql.sql("RENAME TABLE Message TO Away");
  assertEquals((await ann.client.request({ ...chat(ann, ann.id, "x"), cid: "x" })).errno, 10);
  assertStringIncludes(await untilStatus(server, 503), "messages cannot be stored: ");
  await mysql.sql("RENAME TABLE Away TO Message");
  assertEquals((await ann.client.request({ ...chat(ann, ann.id, "x"), cid: "x" })).errno, 0);
  await untilStatus(server, 200);
});

Deno.test("a node is ready only while its SQLite takes writes", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  await using server = await startServer(["--sqlite", path, "--http", "127.0.0.1:0"]);
  await untilStatus(server, 200);
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  assertStringIncludes(await untilStatus(server, 503), "it has not written a row within 1000 ms");
  other.exec("ROLLBACK");
  await untilStatus(server, 200);
  other.exec("CREATE TRIGGER full BEFORE UPDATE ON Probe BEGIN SELECT RAISE(ABORT, 'no'); END");
  assertStringIncludes(await untilStatus(server, 503), "no");
  other.close();
});
