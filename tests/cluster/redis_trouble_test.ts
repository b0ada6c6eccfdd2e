/** Redis says no: rights that are missing, and servers that cannot do at the moment what is needed. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EXIT, FatalError } from "../../lib/base/errors.ts";
import { redisFault } from "../../lib/cluster/redis_errors.ts";
import { Node, TIMING } from "./bus_node.ts";
import { ChatClient, logIn, signUp } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { freePort, waitFor } from "../support/process.ts";
import { type Redis, runProgram, startRedis } from "../support/services.ts";

/** The rights README names. */
const RIGHTS = [
  "~chat:* &chat:* -@all +ping +select +hello +client|setname +subscribe +unsubscribe +publish +pubsub|numsub",
  "+eval +evalsha +get +set +del +exists +pttl +sadd +srem +smembers +time",
].join(" ").split(" ");

async function grant(service: Redis, ...rules: string[]): Promise<string> {
  await service.cli("ACL", "SETUSER", "chat", "reset", "on", ">secret", ...rules);
  return `redis://chat:secret@127.0.0.1:${service.port}`;
}

Deno.test(
  "what an error of Redis asks for is told by its code, wherever it stands",
  { permissions: "none" },
  () => {
    for (
      const [text, fault] of [
        ["READONLY You can't write against a read only replica. script: 1f, on @user_script:5.", "replica"],
        ["ERR Error running script: @user_script:1: @user_script: 1: -READONLY You can't write", "replica"],
        ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "replica"],
        ["LOADING Redis is loading the dataset in memory", "busy"],
        ["BUSY Redis is busy running a script.", "busy"],
        ["OOM command not allowed when used memory > 'maxmemory'.", "refusing"],
        ["NOREPLICAS Not enough good replicas to write.", "refusing"],
        ["MISCONF Redis is configured to save RDB snapshots", "refusing"],
        ["NOPERM this user has no permissions to run the 'evalsha' command", "denied"],
        ["ERR The user executing the script can't run this command or subcommand script: 1f", "denied"],
        ["WRONGPASS invalid username-password pair or user is disabled.", "denied"],
        ["ERR DB index is out of range", "denied"],
        ["ERR unknown command 'BUSYBODY'", "other"],
        ["the connection is lost", "other"],
      ] as const
    ) assertEquals(redisFault(text), fault, text);
  },
);

Deno.test("a user with the rights README names can do everything", async () => {
  await using service = await startRedis();
  await using node = await Node.connect(await grant(service, ...RIGHTS), { timing: TIMING });
  await node.redis.subscribe("chat:c");
  assertEquals(await node.redis.publish("chat:c", "x"), 1);
  assert(node.redis.isUp);
});

Deno.test("a right that is missing ends the start, and is named", async () => {
  await using service = await startRedis();
  const cases: [rules: string[], named: string][] = [
    [["~*", "+@all"], "SUBSCRIBE chat:"], // What Redis gives a new user: no channels.
    [["~*", "+@all", "&other:*"], "SUBSCRIBE chat:"],
    [["&*", "+@all"], "SET"],
    [["&*", "+@all", "~other:*"], "SET"],
    ...[
      "publish",
      "subscribe",
      "eval",
      "evalsha",
      "ping",
      "set",
      "pttl",
      "sadd",
      "srem",
      "smembers",
      "exists",
    ]
      .concat("get", "del", "time", "pubsub").map((command): [string[], string] => [
        ["~*", "&*", "+@all", `-${command}`],
        command.toUpperCase(),
      ]),
  ];
  for (const [rules, named] of cases) {
    if (named === "EVAL") await service.cli("SCRIPT", "FLUSH");
    await using node = new Node(await grant(service, ...rules), { timing: TIMING });
    const error = await assertRejects(() => node.redis.connect(), FatalError);
    assertStringIncludes(error.message, named, rules.join(" "));
    assertEquals(error.exitCode, EXIT.config, error.message);
    assert(!error.message.includes("secret"));
    assertEquals([node.states, node.warnings], [[], []]);
  }
});

Deno.test("a database that does not exist is not another one", async () => {
  await using service = await startRedis();
  await using node = new Node(`${service.url}/99`);
  const error = await assertRejects(() => node.redis.connect(), FatalError, "DB index is out of range");
  assertEquals(error.exitCode, EXIT.config);
});

Deno.test("a replica, a Sentinel and a member of a Redis Cluster are not taken for a Redis", async () => {
  await using master = await startRedis();
  await using replica = await startRedis({ config: [`replicaof 127.0.0.1 ${master.port}`] });
  await using writable = await startRedis({
    config: [`replicaof 127.0.0.1 ${master.port}`, "replica-read-only no"],
  });
  await using member = await startRedis({ config: ["cluster-enabled yes"] });
  for (
    const [{ url }, why, exitCode] of [
      [replica, "is a replica", EXIT.unavailable],
      [writable, "is a replica", EXIT.unavailable],
      [member, "is part of a Redis Cluster", EXIT.config],
    ] as const
  ) {
    await using node = new Node(url);
    const error = await assertRejects(() => node.redis.connect(), FatalError, why);
    assertEquals(error.exitCode, exitCode);
  }
});

Deno.test("a Redis that cannot write for a while is an outage with its reason, and still published to", async () => {
  await using service = await startRedis({ config: ["enable-protected-configs local"] });
  await using node = await Node.connect(service.url, { timing: TIMING });
  await node.redis.subscribe("c");
  const config = (...pairs: string[]) => service.cli("CONFIG", "SET", ...pairs);
  const troubles = {
    OOM: [() => config("maxmemory", "1"), () => config("maxmemory", "0")],
    NOREPLICAS: [() => config("min-replicas-to-write", "1"), () => config("min-replicas-to-write", "0")],
    NOPERM: [
      () => service.cli("ACL", "SETUSER", "default", "-smembers"),
      () => service.cli("ACL", "SETUSER", "default", "+@all"),
    ],
    MISCONF: [async () => {
      await config("save", "3600 1");
      await Deno.remove(`${service.folder}/gone`, { recursive: true }).catch(() => {});
      await Deno.mkdir(`${service.folder}/gone`);
      await config("dir", `${service.folder}/gone`);
      await Deno.remove(`${service.folder}/gone`);
      await service.cli("SET", "x", "1");
      await service.cli("BGSAVE");
    }, () => config("save", "")],
  } as const;
  for (const [code, [begin, end]] of Object.entries(troubles)) {
    const before = node.states.length;
    await begin();
    await waitFor(`an outage by ${code}`, () => node.states.length === before + 1);
    const reason = node.reasons.at(-1) ?? "";
    assertEquals(
      /NOPERM|The user executing|ACL failure/.test(reason) ? "NOPERM" : reason.match(/[A-Z]{3,}/)?.[0],
      code,
      reason,
    );
    assertEquals(node.redis.isUp, false);
    assertEquals(await node.redis.publish("c", code), 1);
    await end();
    await waitFor(`the end of ${code}`, () => node.redis.isUp);
    assertEquals(node.states.slice(before), ["down", "up"]);
  }
  assertEquals(node.warnings, []);
  await waitFor("all messages", () => node.messages.length === 4);
});

Deno.test("a Redis that is busy with somebody's script is waited for", async () => {
  await using service = await startRedis({ config: ["busy-reply-threshold 100"] });
  await using node = await Node.connect(service.url, { timing: TIMING });
  await node.redis.subscribe("c");
  const endless = service.cli("EVAL", "while true do end", "0").catch(() => {});
  await waitFor("an outage", () => node.states.length === 1);
  await waitFor(
    "Redis to say that it is busy",
    () => [...node.reasons, ...node.warnings].join().includes("BUSY"),
  );
  await service.cli("SCRIPT", "KILL");
  await endless;
  await waitFor("the end of it", () => node.redis.isUp);
  assertEquals(await node.redis.publish("c", "x"), 1);
  assertEquals(node.states, ["down", "up"]);
});

Deno.test("both connections leave a server that has become a replica, and take it when it is the master again", async () => {
  await using other = await startRedis();
  await using service = await startRedis();
  await using node = await Node.connect(service.url, { timing: TIMING });
  await node.redis.subscribe("c");
  const clients = async () => (await service.cli("CLIENT", "LIST")).match(/name=chatserver/g)?.length ?? 0;
  await service.cli("REPLICAOF", "127.0.0.1", String(other.port));
  await waitFor("down", () => node.states.length === 1);
  assertStringIncludes(node.reasons[0] ?? "", "the server is a replica");
  await waitFor("both connections to be gone", async () => await clients() === 0);
  await assertRejects(() => node.redis.publish("c", "lost"), Error, "cannot be reached");
  await service.cli("REPLICAOF", "NO", "ONE");
  await waitFor("up", () => node.redis.isUp);
  assertEquals(node.states, ["down", "up"]);
  assertEquals(node.warnings, []);
  assertEquals(await node.redis.publish("c", "x"), 1);
});

Deno.test("two connections that lead to strangers are made anew", async () => {
  await using old = await startRedis();
  await using young = await startRedis();
  await using proxy = new TcpProxy(old.port);
  await using node = await Node.connect(`redis://127.0.0.1:${proxy.port}`, { timing: TIMING });
  await node.redis.subscribe("c");
  proxy.target = young.port;
  await old.cli("CLIENT", "KILL", "TYPE", "pubsub");
  await waitFor("both connections to lead to the other server", async () => {
    return (await young.cli("CLIENT", "LIST")).match(/name=chatserver/g)?.length === 2 && node.redis.isUp;
  });
  assertEquals(await node.redis.publish("c", "x"), 1);
  await waitFor("the message", () => node.messages.length === 1);
  assert(node.reasons.some((reason) => reason.includes("does not come back")), node.reasons.join());
});

Deno.test("a node whose Redis has become a replica says so at once, in one line, and recovers", async () => {
  await using other = await startRedis();
  await using cluster = await startCluster(["A"], ["--http", `127.0.0.1:${freePort()}`]);
  const node = cluster.node("A");
  const { port } = node.address("http");
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${response.status} ${await response.text()}`;
  };
  await using client = await ChatClient.connect(node.port);
  const id = await signUp(client, "ann");
  assertStringIncludes(await get("/readyz"), "200");
  await cluster.redis.cli("REPLICAOF", "127.0.0.1", String(other.port));
  await node.logged("Redis is away");
  assertStringIncludes(await get("/readyz"), "503");
  assertStringIncludes(await get("/metrics"), "\nchat_redis_up 0\n");
  await cluster.redis.cli("REPLICAOF", "NO", "ONE");
  await node.logged("Redis is back");
  await waitFor("the node to be ready", async () => (await get("/readyz")).startsWith("200"));
  assertStringIncludes(await get("/metrics"), "\nchat_redis_up 1\n");
  await logIn(client, id);
  assertEquals(node.stderr.match(/ (?:warn|error) .*\n/g)?.length, 1, node.stderr);
});

Deno.test("nothing is printed past the log, whatever the driver thinks", async () => {
  await using cluster = await startCluster([]);
  const redis = cluster.redis.url.replace("//", "//:needless@");
  const args = ["serve", "127.0.0.1", "0", "--mysql", cluster.mysqlUrl, "--redis"];
  const wrong = await runProgram([...args, redis.replace(":needless", "nobody:needless")]);
  assertEquals(wrong.code, EXIT.config);
  assertEquals(
    wrong.stderr.trimEnd().split("\n").filter((line) => !/^\S+Z (info|warn) /.test(line)).length,
    1,
  );
  cluster.redisUrl = redis; // A password where none is asked for.
  const node = await cluster.startNode("A");
  await cluster.redis.kill();
  await node.logged("ECONNREFUSED");
  await node.stop();
  for (const line of node.stderr.trimEnd().split("\n")) assert(/^\S+Z (info|warn|error) /.test(line), line);
  assert(!/writeable|ioredis|Connection is closed|Unhandled|needless/.test(node.stderr), node.stderr);
});
