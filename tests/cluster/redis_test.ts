import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { EXIT, FatalError } from "../../lib/base/errors.ts";
import { Watchdog } from "../../lib/cluster/redis_connection.ts";
import { retryDelayMs } from "../../lib/cluster/redis_context.ts";
import { createScript } from "../../lib/cluster/redis_script.ts";
import { parseRedisUrl } from "../../lib/cluster/redis_url.ts";
import { Node, TIMING } from "./bus_node.ts";
import { makeCertificate } from "../support/certificate.ts";
import { freePort, runOrThrow, temporaryFolder, waitFor } from "../support/process.ts";
import { startRedis } from "../support/services.ts";

const NONE: Deno.TestDefinition["permissions"] = "none";

Deno.test("a Redis URL gives host, port, database, user and password", { permissions: NONE }, () => {
  const { display: _, ...whole } = parseRedisUrl("rediss://chat:p%40ss%2Fw%C3%B6rd@[::1]:7000/3");
  assertEquals(whole, { host: "::1", port: 7000, tls: true, db: 3, username: "chat", password: "p@ss/wörd" });
  assertEquals(parseRedisUrl("redis://db"), {
    host: "db",
    port: 6379,
    tls: false,
    db: 0,
    display: "redis://db:6379",
  });
  assertEquals(parseRedisUrl("redis://:secret@db/2").display, "redis://db:6379/2");
});

Deno.test(
  "a Redis URL that cannot be used is refused without quoting its password",
  { permissions: NONE },
  () => {
    for (
      const url of [
        "secret",
        "http://:secret@db",
        "redis://:secret@",
        "redis://:secret@db/chat",
        "redis://:secret@db?x=1",
        "redis://:secret#1@db",
        "redis://:secret%zz@db",
        "redis://secret@db",
        "redis://:secret@db:99999",
      ]
    ) {
      const error = assertThrows(() => parseRedisUrl(url), FatalError, "The Redis URL");
      assertEquals(error.exitCode, EXIT.usage);
      assert(!error.message.includes("secret"), error.message);
    }
  },
);

Deno.test("a peer is dead when a ping stays unanswered for two beats", { permissions: NONE }, () => {
  const watchdog = new Watchdog();
  assertEquals([watchdog.beat(), watchdog.beat(), watchdog.beat()], ["ping", "wait", "dead"]);
});

Deno.test("an answer that is read late, but before the second beat, counts", { permissions: NONE }, () => {
  const watchdog = new Watchdog();
  const beats = [watchdog.beat()];
  // The event loop is blocked for a minute: one beat, then the answer that had long been there.
  beats.push(watchdog.beat());
  watchdog.answered();
  beats.push(watchdog.beat(), watchdog.beat());
  assertEquals(beats, ["ping", "wait", "ping", "wait"]);
});

Deno.test("tries to reconnect are soon, then about a second apart, and never in step", {
  permissions: NONE,
}, () => {
  assertEquals([0, 1, 2, 3, 4, 5, 50].map((attempt) => retryDelayMs(attempt, 0.5)), [
    50,
    100,
    200,
    400,
    800,
    1000,
    1000,
  ]);
  assertEquals([retryDelayMs(9, 0), retryDelayMs(9, 0.999)].map(Math.round), [750, 1250]);
});

Deno.test("what one node publishes arrives at the others as it was, in order, with the number of receivers", async () => {
  await using service = await startRedis();
  await using sender = await Node.connect(service.url);
  await using receiver = await Node.connect(service.url);
  await receiver.redis.subscribe("c:ü");
  const text = "\0\r\n é漢😀";
  assertEquals(await sender.redis.publish("c:ü", text), 1);
  assertEquals(await sender.redis.publish("c:other", text), 0);
  assertEquals(await sender.redis.publish("c:ü", ""), 1);
  const counts = await Promise.all(
    Array.from({ length: 1200 }, (_, i) => sender.redis.publish(i % 2 === 0 ? "c:ü" : "c:none", String(i))),
  );
  assertEquals(counts, Array.from({ length: 1200 }, (_, i) => i % 2 === 0 ? 1 : 0));
  await waitFor("all messages", () => receiver.messages.length === 602);
  const expected = [text, "", ...Array.from({ length: 600 }, (_, i) => String(2 * i))];
  assertEquals(receiver.messages, expected.map((payload) => ({ channel: "c:ü", payload })));
});

Deno.test("what is published in one turn costs Redis one command", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  const calls = async (command: string) =>
    Number(
      new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await service.cli("INFO", "commandstats"))?.[1] ?? 0,
    );
  const count = async () => [await calls("eval"), await calls("evalsha"), await calls("publish")];
  const [evals = 0, evalshas = 0, publishes = 0] = await count();
  await Promise.all(Array.from({ length: 100 }, (_, i) => node.redis.publish("c", String(i))));
  const [evalsAfter, evalshasAfter = 0, publishesAfter] = await count();
  // Each probe is a script that publishes once.
  const probes = evalshasAfter - evalshas;
  assertEquals([evalsAfter, publishesAfter], [evals + 1, publishes + 100 + probes]);
});

Deno.test("a channel that this user may not publish on costs no other channel", async () => {
  await using service = await startRedis();
  await service.cli(
    "ACL",
    "SETUSER",
    "chat",
    "on",
    ">secret",
    "~*",
    "+@all",
    "resetchannels",
    "&chat:*",
    "&allowed",
  );
  await using node = await Node.connect(`redis://chat:secret@127.0.0.1:${service.port}`);
  const publishes = ["allowed", "forbidden", "allowed"].map((channel) => node.redis.publish(channel, "x"));
  const outcomes = await Promise.allSettled(publishes);
  assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
});

Deno.test("a node hears itself, and nothing more after its last reference is gone", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  await node.redis.subscribe("c");
  await node.redis.subscribe("c");
  node.redis.unsubscribe("c");
  assertEquals(await node.redis.publish("c", "one"), 1);
  node.redis.unsubscribe("c");
  await waitFor("the channel to be left", async () => await node.redis.publish("c", "two") === 0);
  assertEquals(node.texts[0], "c one");
});

Deno.test("storms of subscribe and unsubscribe end in the right state", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 20; i++) node.redis.subscribe(`c${i}`);
    if (round % 7 === 0) await node.redis.command("PING");
    for (let i = 0; i < 20; i++) if (round < 49 || i % 2 === 0) node.redis.unsubscribe(`c${i}`);
  }
  await node.redis.subscribe("last");
  const state = async (channel: string) => (await service.cli("PUBSUB", "NUMSUB", channel)).split("\n")[1];
  for (let i = 0; i < 20; i++) {
    await waitFor(`c${i} to be right`, async () => await state(`c${i}`) === String(i % 2));
  }
});

Deno.test("both connections have their names and use password, user and database of the URL", async () => {
  for (const access of [{}, { password: "s e/cr@t" }, { user: "chat", password: "pw" }]) {
    await using service = await startRedis(access);
    await using node = await Node.connect(`${service.url}/5`);
    await node.redis.subscribe("c");
    await node.redis.publish("c", "x");
    await waitFor("the message", () => node.messages.length === 1);
    const clients = (await service.cli("CLIENT", "LIST")).split("\n").filter((line) =>
      /name=chat/.test(line)
    );
    const seen = clients.map((line) => /name=(\S*).* db=(\d+).* user=(\S+)/.exec(line)?.slice(1).join(" "));
    const user = access.user ?? "default";
    assertEquals(seen.sort(), [`chatserver-publishing 5 ${user}`, `chatserver-subscribing 5 ${user}`]);
  }
});

Deno.test("a wrong or missing password ends the start with a clear text that does not hold it", async () => {
  await using service = await startRedis({ password: "right-secret" });
  const { port } = service;
  const shown = `Cannot use Redis at redis://127.0.0.1:${port}: `;
  for (
    const [login, why] of [
      [":wrong-secret@", "WRONGPASS"],
      ["nobody:wrong-secret@", "WRONGPASS"],
      ["", "NOAUTH"],
    ] as const
  ) {
    const node = new Node(`redis://${login}127.0.0.1:${port}`);
    const error = await assertRejects(() => node.redis.connect(), FatalError, shown + why);
    assertEquals(error.exitCode, EXIT.config);
    assert(!Deno.inspect(error).includes("secret"), Deno.inspect(error));
    assertEquals(node.states, []);
  }
});

Deno.test("a Redis that is not there ends the start at once", async () => {
  for (const host of ["127.0.0.1", "localhost"]) {
    const node = new Node(`redis://${host}:${freePort()}`);
    const error = await assertRejects(() => node.redis.connect(), FatalError, "ECONNREFUSED");
    assertEquals(error.exitCode, EXIT.unavailable);
    await node.redis.close();
  }
});

Deno.test("a Redis that accepts but never answers ends the start after a while", async () => {
  await using service = await startRedis();
  service.signal("SIGSTOP");
  const node = new Node(service.url, { timing: TIMING });
  await assertRejects(() => node.redis.connect(), FatalError, "no answer within 1000 ms");
});

Deno.test("a restart of Redis is one outage, after which all channels are heard again", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  await Promise.all(Array.from({ length: 2500 }, (_, i) => node.redis.subscribe(`c${i}`)));
  node.redis.unsubscribe("c7");
  await service.kill();
  await waitFor("down", () => node.states.length === 1);
  assertEquals(node.redis.isUp, false);
  await assertRejects(() => node.redis.publish("c0", "lost"), Error, "cannot be reached");
  await assertRejects(() => node.redis.command("PING"));
  await node.redis.subscribe("new"); // Does not wait for Redis.
  node.redis.unsubscribe("c8");
  await service.start();
  await waitFor("up", () => node.states.length === 2);
  assertEquals(node.states, ["down", "up"]);
  assertEquals(await service.cli("PUBSUB", "NUMSUB", "c7", "c8"), "c7\n0\nc8\n0");
  for (const channel of ["c0", "c2499", "new"]) {
    assertEquals(await node.redis.publish(channel, "hello"), 1);
  }
  await waitFor("all messages", () => node.messages.length === 3);
});

Deno.test("the loss of one connection is an outage, and says which one it was", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  await node.redis.subscribe("c");
  for (const [type, name] of [["pubsub", "subscribing"], ["normal", "publishing"]] as const) {
    const outages = node.reasons.length;
    await service.cli("CLIENT", "KILL", "TYPE", type);
    await waitFor("up again", () => node.states.length === 2 * (outages + 1));
    assertStringIncludes(
      node.reasons[outages] ?? "",
      `${name} connection to Redis at ${node.redis.display} lost`,
    );
    assertEquals(await node.redis.publish("c", "hello"), 1);
  }
  assertEquals(node.states, ["down", "up", "down", "up"]);
});

Deno.test("a subscriber that Redis cuts off for being behind has an outage", async () => {
  await using service = await startRedis({ config: ["client-output-buffer-limit pubsub 100kb 0 0"] });
  await using node = await Node.connect(service.url);
  await node.redis.subscribe("c");
  await service.cli("EVAL", "for i = 1, 1000 do redis.call('PUBLISH', 'c', string.rep('x', 1000)) end", "0");
  await waitFor("the outage to end", () => node.states.length === 2);
  assertEquals(node.states, ["down", "up"]);
  assertEquals(await node.redis.publish("c", "hello"), 1);
});

Deno.test("a frozen Redis is noticed, piles nothing up, and is one outage", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url, { timing: TIMING });
  await node.redis.subscribe("c");
  service.signal("SIGSTOP");
  const payload = "x".repeat(64 * 1024);
  let refused = 0;
  const publishes: Promise<unknown>[] = [];
  for (let i = 0; i < 1000; i++) {
    publishes.push(
      node.redis.publish("c", payload).catch((error: Error) => {
        if (error.message.includes("does not keep up")) refused++;
      }),
    );
  }
  const claim = assertRejects(() => node.redis.command("GET", "x"));
  const frozenAt = performance.now();
  await Promise.all([...publishes, claim]);
  assertLess(performance.now() - frozenAt, 3 * TIMING.beatMs + 1000);
  assertEquals(refused, 1000 - 256); // 256 × 64 KiB are the 16 MiB that may wait.
  await waitFor("down", () => node.states.length === 1);
  assertStringIncludes(node.reasons[0] ?? "", "no answer for 600 ms");
  await waitFor("a failed try", () => node.warnings.length > 0);
  service.signal("SIGCONT");
  await waitFor("up", () => node.states.length === 2);
  assertEquals(node.states, ["down", "up"]);
  assertEquals(await node.redis.publish("c", "hello"), 1);
});

Deno.test("a password that was changed meanwhile is in the log, once, and a cure is noticed", async () => {
  await using service = await startRedis({ password: "old-secret" });
  await using node = await Node.connect(service.url);
  await service.cli("CONFIG", "SET", "requirepass", "new-secret");
  await service.kill();
  await waitFor("a failed try", () => node.warnings.some((warning) => warning.includes("ECONNREFUSED")));
  await using _other = await startRedis({ password: "new-secret", config: [`port ${service.port}`] });
  await waitFor("a refused try", () => node.warnings.some((warning) => warning.includes("WRONGPASS")));
  assert(!node.warnings.join().includes("secret"), node.warnings.join());
  const refusals = node.warnings.filter((warning) => warning.includes("WRONGPASS")).length;
  assertLess(refusals, 3); // One for each connection.
  const admin = await Node.connect(`redis://:new-secret@127.0.0.1:${service.port}`);
  await admin.redis.command("CONFIG", "SET", "requirepass", "old-secret");
  await admin.redis.close();
  await waitFor("up", () => node.redis.isUp);
});

Deno.test("a channel that Redis does not allow is an outage that says so", async () => {
  await using service = await startRedis({
    config: ["user limited on >pw ~* &chat:* &mine:* +@all"],
  });
  await using node = await Node.connect(`redis://limited:pw@127.0.0.1:${service.port}`);
  await node.redis.subscribe("mine:1");
  await node.redis.subscribe("other:1");
  await waitFor("down", () => node.states.length > 0);
  assertStringIncludes(node.reasons[0] ?? "", "NOPERM");
});

Deno.test("watchers hear of an outage's end before the owner, until they have enough", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  const seen: string[] = [];
  const unwatch = node.redis.watch(() => void seen.push(`up ${node.states.length}`));
  await service.cli("CLIENT", "KILL", "TYPE", "normal");
  await waitFor("up again", () => node.states.length === 2);
  unwatch();
  await service.cli("CLIENT", "KILL", "TYPE", "normal");
  await waitFor("up again", () => node.states.length === 4);
  assertEquals(seen, ["up 1"]);
});

Deno.test("a script runs by its digest, and is sent along when Redis does not know it", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(service.url);
  const script = createScript("return {ARGV[1], #ARGV}");
  for (let i = 0; i < 2; i++) {
    assertEquals(await node.redis.script(script, ["ü", 2]), ["ü", 2]);
    await service.cli("SCRIPT", "FLUSH");
  }
  await assertRejects(() => node.redis.script(createScript("return nothing.there"), []), Error, "script");
});

Deno.test("closing lets published messages out, and ends an attempt to reconnect", async () => {
  await using service = await startRedis();
  await using receiver = await Node.connect(service.url);
  await receiver.redis.subscribe("c");
  const node = await Node.connect(service.url);
  const publishes = Array.from({ length: 100 }, (_, i) => node.redis.publish("c", String(i)));
  await node.redis.close();
  assertEquals(await Promise.all(publishes), Array(100).fill(1));
  await node.redis.close(); // Twice is once.
  await assertRejects(() => node.redis.publish("c", "late"));
  assertEquals(node.states, []);

  service.signal("SIGSTOP");
  await waitFor("down", () => receiver.states.length === 1);
  const closedAt = performance.now();
  await receiver.redis.close();
  assertLess(performance.now() - closedAt, 1500);
});

Deno.test("rediss:// speaks TLS, and only to a server whose certificate is trusted", async () => {
  await using folder = await temporaryFolder();
  const { authority, certificate, key } = await makeCertificate(folder.path);
  const port = freePort();
  await using _service = await startRedis({
    password: "secret",
    config: [
      "port 0",
      `tls-port ${port}`,
      `tls-cert-file ${certificate}`,
      `tls-key-file ${key}`,
      `tls-ca-cert-file ${authority}`,
      "tls-auth-clients no",
    ],
  });
  const url = `rediss://:secret@localhost:${port}`;
  await assertRejects(() => new Node(url).redis.connect(), FatalError, "certificate");
  {
    await using node = await Node.connect(url, { ca: await Deno.readTextFile(authority) });
    await node.redis.subscribe("c");
    assertEquals(await node.redis.publish("c", "x"), 1);
    const stranger = new Node(url.replace("localhost", "127.0.0.2"), {
      ca: await Deno.readTextFile(authority),
    });
    await assertRejects(() => stranger.redis.connect(), FatalError);
  }
  // What a process trusts is settled when it starts.
  const program = `
    import { Redis } from ${JSON.stringify(import.meta.resolve("../../lib/cluster/redis.ts"))};
    const { promise, resolve } = Promise.withResolvers();
    const onMessage = (_, { length }) => resolve(length);
    const redis = new Redis("${url}", { onMessage, onUp() {}, onDown() {} });
    await redis.connect();
    await redis.subscribe("c");
    console.log(await redis.publish("c", "x".repeat(100_000)), await promise);
    await redis.close();`;
  const cwd = new URL("../..", import.meta.url).pathname;
  const output = await runOrThrow(Deno.execPath(), ["eval", "--quiet", "--cert", authority, program], {
    cwd,
  });
  assertEquals(output, "1 100000\n");
});
