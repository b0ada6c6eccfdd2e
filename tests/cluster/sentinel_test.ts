import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { EXIT, FatalError } from "../../lib/base/errors.ts";
import { parseRedisUrl } from "../../lib/cluster/redis_url.ts";
import { Node, TIMING } from "./bus_node.ts";
import { startCluster, Talker } from "../support/cluster.ts";
import { freePort, waitFor } from "../support/process.ts";
import { SentinelSet } from "../support/sentinels.ts";
import { startRedis } from "../support/services.ts";

const unit = { permissions: "none" } as const;

Deno.test("a Sentinel URL gives hosts, name, database, user and password", unit, () => {
  assertEquals(parseRedisUrl("rediss+sentinel://chat:p%40s:s@h1:7000,h2,[::1]:7002/my.master/3"), {
    sentinels: [{ host: "h1", port: 7000 }, { host: "h2", port: 26379 }, { host: "::1", port: 7002 }],
    masterName: "my.master",
    tls: true,
    db: 3,
    username: "chat",
    password: "p@s:s",
    display: "rediss+sentinel://h1:7000,h2:26379,[::1]:7002/my.master/3",
  });
  assertEquals(parseRedisUrl("redis+sentinel://h1/m"), {
    sentinels: [{ host: "h1", port: 26379 }],
    masterName: "m",
    tls: false,
    db: 0,
    display: "redis+sentinel://h1:26379/m",
  });
});

Deno.test("a Sentinel URL that cannot be used is refused without quoting its password", unit, () => {
  for (
    const rest of [
      ":secret@h1",
      ":secret@h1/",
      ":secret@/m",
      ":secret@h1,/m",
      ":secret@h1,,h2/m",
      ":secret@h1:x/m",
      ":secret@h1:99999/m",
      ":secret@h1/m/x",
      ":secret@h1/m/1/2",
      ":secret@h1/m?x=1",
      ":secret%zz@h1/m",
      "secret@h1/m",
    ]
  ) {
    const error = assertThrows(
      () => parseRedisUrl(`redis+sentinel://${rest}`),
      FatalError,
      "The Redis URL",
      rest,
    );
    assertEquals(error.exitCode, EXIT.usage);
    assert(!error.message.includes("secret"), error.message);
  }
});

Deno.test("the start says what the Sentinels said when they know no master", async () => {
  await using redis = await startRedis();
  await using set = await SentinelSet.start();
  const dead = `127.0.0.1:${freePort()}`;
  const hosts = set.url.replace(/^.*@|\/mymaster$/g, "");
  for (
    const [url, why, exitCode] of [
      [`redis+sentinel://${dead}/mymaster`, "ECONNREFUSED", EXIT.unavailable],
      [`redis+sentinel://${hosts}/other`, 'knows no master named "other"', EXIT.config],
      [`redis+sentinel://127.0.0.1:${redis.port}/mymaster`, "is not a Sentinel", EXIT.config],
      [`redis://${hosts.split(",")[0]}`, "is a Sentinel", EXIT.config],
      [set.url.replace("se-cret", "wrong"), "WRONGPASS", EXIT.config],
      [set.url.replace(":se-cret@", ""), "NOAUTH", EXIT.config],
    ] as const
  ) {
    await using node = new Node(url);
    const error = await assertRejects(() => node.redis.connect(), FatalError, why);
    assertEquals(error.exitCode, exitCode, error.message);
  }
  await using node = await Node.connect(set.url.replace("@", `@${dead},`), { timing: TIMING });
  assert(node.redis.isUp); // One that is away does not matter.
  assertStringIncludes(node.redis.display, `${dead},`);
});

Deno.test("failovers of Redis under load: logins work again within seconds, and nothing is lost", async () => {
  await using set = await SentinelSet.start();
  await using cluster = await startCluster([]);
  cluster.redisUrl = set.url;
  for (const name of ["A", "B"]) await cluster.startNode(name);
  const [portA, portB] = [cluster.node("A").port, cluster.node("B").port];
  await using left = await Talker.create(portA, "left");
  await using right = await Talker.create(portB, "right");
  await using late = await Talker.create(portB, "late");
  await left.logIn(portA);
  await right.logIn(portB);

  let said = 0;
  let isOver = false;
  const talk = async () => {
    while (!isOver) {
      said++;
      await left.say(right.id, String(said));
      await right.say(left.id, String(said));
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  const talking = talk();
  const logins: string[] = [];
  try {
    for (const fault of ["kill -9", "command"] as const) {
      await set.mend();
      const before = said;
      await waitFor("some load", () => said > before + 50);
      const outages = cluster.node("B").stderr.split("Redis is away").length;
      const beganAt = performance.now();
      if (fault === "command") await set.failOver();
      else await (await set.master()).kill();
      await waitFor("node B to notice", () => {
        return cluster.node("B").stderr.split("Redis is away").length > outages;
      });
      await waitFor("a login", () => late.logIn(portB).then(() => true, () => false));
      const tookMs = performance.now() - beganAt;
      logins.push(`${fault} ${(tookMs / 1000).toFixed(1)} s`);
      // 1 s until the Sentinels see it, an election, 1 s until the nodes dial again; and a machine that does other things too.
      assertLess(tookMs, 15_000);
      await late.logOut();
    }
    const before = said;
    await waitFor("some load", () => said > before + 50);
  } finally {
    isOver = true;
    await talking;
  }
  const all = Array.from({ length: said }, (_, index) => String(index + 1));
  await right.heard(said);
  await left.heard(said);
  assertEquals(right.from(left.id), all);
  assertEquals(left.from(right.id), all);
  console.log(
    `failovers of Redis: ${2 * said} sent, 0 lost, 0 twice, 0 out of order; logins after: ${
      logins.join(", ")
    }`,
  );
});
