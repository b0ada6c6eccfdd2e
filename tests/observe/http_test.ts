import { assert, assertEquals, assertMatch } from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/logger.ts";
import { LoopLag } from "../../lib/observe/loop_lag.ts";
import { renderMetrics } from "../../lib/observe/prometheus.ts";
import { Readiness } from "../../lib/observe/readiness.ts";
import { chat, ChatClient, newPerson } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { isOnPath, runOrThrow, waitFor } from "../support/process.ts";
import { runProgram, type Server, startServer } from "../support/services.ts";

const encoder = new TextEncoder();
const unit = { permissions: "none" } as const;
const HTTP = ["--http", "127.0.0.1:0"];

interface Answer {
  status: number;
  type: string | null;
  text: string;
}

async function ask(server: Server, path: string, init: RequestInit = {}): Promise<Answer> {
  const { host, port } = server.address("http");
  const response = await fetch(`http://${host}:${port}${path}`, init);
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    text: await response.text(),
  };
}

/** The samples of a page of metrics, by name and labels. */
function samplesOf(page: string): Map<string, number> {
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const [, name = line, value] = line.match(/^([a-z_]+(?:\{.*\})?) (\S+)$/) ?? [];
    return [name, Number(value ?? NaN)];
  }));
}

async function metricsOf(server: Server): Promise<Map<string, number>> {
  return samplesOf((await ask(server, "/metrics")).text);
}

Deno.test("metrics are written as Prometheus reads them", unit, () => {
  const samples = [{ labels: { state: "idle", text: 'a\\b"c\nd' }, value: 2 }, { value: 0.25 }];
  assertEquals(
    renderMetrics([
      { name: "chat_a_total", type: "counter", help: "Lines\nand \\.", samples: [{ value: 3 }] },
      { name: "chat_b", type: "gauge", help: "B.", samples },
    ]),
    "# HELP chat_a_total Lines\\nand \\\\.\n# TYPE chat_a_total counter\nchat_a_total 3\n" +
      '# HELP chat_b B.\n# TYPE chat_b gauge\nchat_b{state="idle",text="a\\\\b\\"c\\nd"} 2\nchat_b 0.25\n',
  );
});

Deno.test("the longest lag of the event loop is kept for a while and then forgotten", unit, () => {
  const clock = new FakeClock();
  let delayMs = 0;
  const late = {
    now: () => clock.now(),
    after: (ms: number, callback: () => void) => clock.after(ms + delayMs, callback),
  };
  const lag = new LoopLag(late);
  lag.start();
  clock.advance(1_000);
  assertEquals(lag.longestMs, 0);
  delayMs = 400;
  clock.advance(1_000);
  delayMs = 0;
  clock.advance(29_000);
  assertEquals(lag.longestMs, 400);
  clock.advance(60_000);
  assertEquals(lag.longestMs, 0);
  lag.stop();
  assertEquals(clock.timers, 0);
});

Deno.test("a node is ready when nothing is wrong, and otherwise says everything that is", unit, async () => {
  let isAccepting = true;
  let isBusUp = true;
  let writes = 0;
  let writeDatabase = () => Promise.resolve();
  const troubles: string[] = [];
  const clock = new FakeClock();
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const readiness = new Readiness({
    isAccepting: () => isAccepting,
    isBusUp: () => isBusUp,
    writeDatabase: () => {
      writes++;
      return writeDatabase();
    },
    storingProblem: () => troubles[0],
    logger: createLogger({ level: "info", format: "text", write }),
    clock,
    writeTimeoutMs: 10,
  });
  assertEquals(await Promise.all([readiness.problems(), readiness.problems()]), [[], []]);
  clock.advance(900);
  assertEquals(await readiness.problems(), []);
  assertEquals(writes, 1, "one row a second for all who ask");
  clock.advance(200);
  isAccepting = isBusUp = false;
  writeDatabase = () => Promise.reject(new Error("gone"));
  assertEquals(await readiness.problems(), [
    "draining or starting: no connections are taken",
    "database: gone",
    "redis: not connected",
  ]);
  isAccepting = isBusUp = true;
  const hanging = Promise.withResolvers<void>();
  writeDatabase = () => hanging.promise;
  writes = 0;
  for (let i = 0; i < 3; i++) {
    assertEquals(await readiness.problems(), ["database: it has not written a row within 10 ms"]);
  }
  assertEquals(writes, 1, "a database that hangs has one row to write");
  hanging.resolve();
  writeDatabase = () => Promise.resolve();
  assertEquals(await readiness.problems(), []);
  troubles.push("full");
  assertEquals(await readiness.problems(), ["database: full"]);
  assertEquals(lines.length, 2, lines.join(""));
});

Deno.test("a node answers health checks, and only to GET and HEAD", async () => {
  await using server = await startServer(["--sqlite", ":memory:", ...HTTP]);
  assertEquals((await ask(server, "/healthz")).status, 200);
  assertEquals((await ask(server, "/readyz")).text, "ready\n");
  const { status, text } = await ask(server, "/readyz", { method: "HEAD" });
  assertEquals([status, text], [200, ""]);
  assertEquals((await ask(server, "/readyz", { method: "POST", body: "x" })).status, 405);
  assertEquals((await ask(server, "/nothing")).status, 404);
  assertMatch(server.stderr, /listening .*http=127\.0\.0\.1:\d+/);
});

Deno.test("the address of another server is refused with a sentence", async () => {
  await using server = await startServer(["--sqlite", ":memory:", ...HTTP]);
  const { host, port } = server.address("http");
  const args = ["serve", "127.0.0.1", "0", "--sqlite", ":memory:", "--http", `${host}:${port}`];
  const { code, stderr } = await runProgram(args);
  assertEquals(code, EXIT.unavailable);
  assertMatch(stderr, new RegExp(`Cannot listen on ${host}:${port}: the address is in use`));
});

Deno.test("silent connections to the HTTP port keep nobody out", async () => {
  await using server = await startServer(["--sqlite", ":memory:", ...HTTP]);
  const { host, port } = server.address("http");
  const silent: Deno.TcpConn[] = [];
  for (let i = 0; i < 100; i++) {
    const conn = await Deno.connect({ hostname: host, port });
    if (i % 2 === 0) await conn.write(encoder.encode("GET /healthz HTTP/1.1\r\nHost: a"));
    silent.push(conn);
  }
  assertEquals((await ask(server, "/healthz")).status, 200);
  const [first] = silent;
  assertEquals(await first?.read(new Uint8Array(1)).catch(() => null), null, "the oldest is closed");
  for (const conn of silent) conn.close();
});

Deno.test("a request that is none costs its connection and a line at most, and one with any Host is answered", async () => {
  await using server = await startServer(["--sqlite", ":memory:", ...HTTP]);
  const { host, port } = server.address("http");
  const say = async (text: string): Promise<string> => {
    using conn = await Deno.connect({ hostname: host, port });
    await conn.write(encoder.encode(text));
    return await new Response(conn.readable).text().catch(() => "");
  };
  for (const name of ["a b", "[", "x:99999999", "\u{ff}"]) {
    assertMatch(await say(`GET /healthz?x=http://[ HTTP/1.1\r\nHost: ${name}\r\n\r\n`), /^HTTP\/1.1 200 /);
  }
  assertMatch(await say("GET http://[/ HTTP/1.1\r\nHost: a\r\n\r\n"), /^HTTP\/1.1 404 |^$/);
  const pipelined = await say("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
  assertEquals(pipelined.match(/alive/g)?.length, 1);
  for (let i = 0; i < 60; i++) {
    const nonsense = ["\0\0\0", "GET\r\n\r\n", "GET / HTTP/1.1\r\nX: " + "y".repeat(20_000)][i % 3] ?? "";
    assertEquals(/^HTTP\/1.1 200/.test(await say(nonsense + "\r\n\r\n")), false);
  }
  assertEquals((await ask(server, "/healthz")).status, 200);
  const lines = server.stderr.split("\n").filter((line) => line !== "");
  assert(lines.length < 100, server.stderr);
  for (const line of lines) assertMatch(line, /^\d{4}-\S+ info /);
});

Deno.test({
  name: "a node without file descriptors lives, and answers who asks for its health",
  ignore: Deno.build.os !== "linux" || !isOnPath("prlimit"),
  async fn() {
    await using server = await startServer(["--sqlite", ":memory:", ...HTTP]);
    await runOrThrow("prlimit", ["--pid", String(server.pid), "--nofile=192"]);
    for (const { host, port } of [server.address(), server.address("http")]) {
      const silent: Deno.TcpConn[] = [];
      for (let i = 0; i < 256; i++) silent.push(await Deno.connect({ hostname: host, port }));
      const { status } = await waitFor(
        "an answer",
        () => ask(server, "/healthz", { signal: AbortSignal.timeout(2_000) }).catch(() => undefined),
      );
      assertEquals(status, 200);
      for (const conn of silent) conn.close();
    }
    await using client = await ChatClient.connect(server.port);
    await client.fence();
  },
});

Deno.test("metrics count what has happened, and name nobody", async () => {
  await using server = await startServer(["--sqlite", ":memory:", ...HTTP]);
  await using li = await newPerson(server.port, "li the unnamed", { v: 2 });
  await using wu = await newPerson(server.port, "wu");
  for (let i = 0; i < 3; i++) await li.client.request(chat(li, wu.id, "hidden text"));
  assertEquals((await wu.client.receiveMany(3)).length, 3);

  const { type, text } = await ask(server, "/metrics");
  assertEquals(type, "text/plain; version=0.0.4; charset=utf-8");
  assert(!/li the unnamed|wu|hidden/.test(text));
  const samples = samplesOf(text);
  const expected: [string, number][] = [
    ["chat_connections", 2],
    ["chat_connections_accepted_total", 2],
    ["chat_connections_refused_total", 0],
    ["chat_frames_received_total", 7],
    ["chat_users_online", 2],
    ["chat_messages_stored_total", 3],
    ["chat_commit_batches_total", 3],
    ["chat_publishes_total", 0],
    ["chat_send_queue_bytes", 0],
  ];
  for (const [name, value] of expected) assertEquals(samples.get(name), value, name);
  assert((samples.get("chat_resident_memory_bytes") ?? 0) > 10_000_000);
  assert((samples.get("chat_event_loop_lag_seconds") ?? -1) >= 0);
  assert(![...samples.keys()].some((name) => /redis|pool|udp/.test(name)), "what this node does not have");
  for (const [name, value] of samples) assert(Number.isFinite(value), `${name} ${value}`);
  for (const [, name, kind] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    assert(kind === "counter" ? name?.endsWith("_total") : !name?.endsWith("_total"), name);
  }
});

Deno.test("a node is not ready while its database or Redis is away, nor from the moment it drains", async () => {
  await using cluster = await startCluster(["A"], [...HTTP, "--udp", "0"]);
  const node = cluster.node("A");
  const notReady = (reason: RegExp) =>
    waitFor(`/readyz to say ${reason}`, async () => {
      const { status, text } = await ask(node, "/readyz");
      return status === 503 && reason.test(text);
    });
  const ready = () =>
    waitFor("the node to be ready", async () => (await ask(node, "/readyz")).status === 200);
  await ready();
  const before = await metricsOf(node);
  assertEquals(before.get("chat_redis_up"), 1);
  assert((before.get('chat_pool_connections{state="idle"}') ?? 0) >= 1);
  assert((before.get("chat_pool_acquires_total") ?? 0) >= 1);
  assertEquals(before.get('chat_udp_beats_total{result="counted"}'), 0);

  await cluster.redis.stop();
  await notReady(/^not ready\nredis: not connected\n$/);
  assertEquals((await metricsOf(node)).get("chat_redis_up"), 0);
  await cluster.redis.start();
  await ready();
  await cluster.mariaDb.kill();
  await notReady(/^not ready\ndatabase: /);
  assertEquals((await ask(node, "/healthz")).status, 200, "the process is alive all the same");
  await cluster.mariaDb.start();
  await ready();

  // A client that does not close its side keeps the node from ending at once.
  await using stubborn = await ChatClient.connect(node.port);
  await stubborn.fence();
  node.signal("SIGTERM");
  await notReady(/draining/);
  assertEquals((await node.exited).code, EXIT.ok);
});
