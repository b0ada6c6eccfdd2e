import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { startMariaDb, startNginx, startRedis } from "../support/services.ts";
import { freePort, isAlive, run } from "../support/process.ts";

Deno.test("MariaDB keeps its data over a kill and ends with its test", async () => {
  let pid = 0;
  let folder = "";
  {
    await using mariadb = await startMariaDb();
    folder = mariadb.folder;
    await mariadb.sql(
      "CREATE TABLE Kept (id INT, text VARCHAR(9)); INSERT INTO Kept VALUES (1, 'ü'), (2, NULL)",
    );
    await mariadb.kill();
    await assertRejects(() => mariadb.sql("SELECT 1"), Error, "failed with exit code 1");
    await mariadb.start();
    assertEquals(await mariadb.sql("SELECT * FROM Kept"), "1\tü\n2\tNULL");
    assertEquals(await mariadb.createDatabase("second"), `mysql://root@127.0.0.1:${mariadb.port}/second`);
    pid = mariadb.pid;
  }
  assertEquals(isAlive(pid), false);
  await assertRejects(() => Deno.stat(folder), Deno.errors.NotFound);
});

Deno.test("MariaDB that cannot start says why", async () => {
  await assertRejects(() => startMariaDb({ args: ["--no-such-option"] }), Error, "no-such-option");
});

Deno.test("Redis lets only the given user in and is empty after a restart", async () => {
  await using redis = await startRedis({ user: "chat", password: "se cret" });
  assertEquals(redis.url, `redis://chat:se%20cret@127.0.0.1:${redis.port}`);
  assertEquals(await redis.cli("SET", "key", "value"), "OK");
  const stranger = await run("redis-cli", ["-p", String(redis.port), "GET", "key"]);
  assertStringIncludes(stranger.stdout, "NOAUTH");
  await redis.stop();
  await redis.start();
  assertEquals(await redis.cli("GET", "key"), "");
});

Deno.test("nginx spreads connections and reloads its configuration", async () => {
  const port = freePort();
  const config = (answer: string) =>
    `events {} stream { server { listen 127.0.0.1:${port}; return ${answer}; } }`;
  const ask = async () => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    return await new Response(conn.readable).text();
  };
  await using nginx = await startNginx({ config: config("first"), port });
  assertEquals(await ask(), "first");
  await nginx.reload(config("second"));
  assertEquals(await ask(), "second");
  await assertRejects(() => nginx.reload("nonsense;"), Error, "nonsense");
});
