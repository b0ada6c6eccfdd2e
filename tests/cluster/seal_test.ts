import { createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { Redis } from "../../lib/cluster/redis.ts";
import { Seal } from "../../lib/cluster/seal.ts";
import { ChatClient, logIn, TIME } from "../support/chat_client.ts";
import { startCluster, Talker } from "../support/cluster.ts";
import { waitFor } from "../support/process.ts";

const unit = { permissions: "none" } as const;

const SECRET = "0123456789abcdef".repeat(4);

Deno.test("what a node seals another one opens, once and on that channel only", unit, () => {
  let refused = 0;
  const [a, b] = [new Seal(SECRET, 1), new Seal(SECRET, 2, () => refused++)];
  for (const payload of ["", "x", "1 2 3 u1-2 {}", "\0\r\n é漢😀 \ud800"]) {
    const sealed = a.close("c:1", payload);
    assertEquals(b.open("c:2", sealed), undefined);
    assertEquals(b.open("c:1", sealed), { origin: 1, payload });
    assertEquals(b.open("c:1", sealed), undefined);
    assertEquals(a.open("c:1", sealed), undefined); // Its own.
  }
  assertEquals(refused, 8);
});

Deno.test(
  "a seal is 128 bits of the SHA-256 of the secret and all that is sealed",
  unit,
  () => {
    for (let index = 1; index <= 200; index++) {
      const payload = `${index} {}`;
      const digest = createHash("sha256").update(`${SECRET}\nc:1\n7 1\n${payload}`).digest("hex");
      assertEquals(new Seal(SECRET, 7).close("c:1", payload), `7 1 ${digest.slice(0, 32)} ${payload}`);
    }
  },
);

Deno.test("what was signed once stays right: tokens of devices, whatever becomes of seals", unit, () => {
  const signed = new Seal("secret", 1).sign("device token\nx\n1.2.abc");
  assertEquals(signed, "bEttWMFXAU7AFj2fCAiyX1");
});

Deno.test("what is older than what was heard of the same node is not heard again", unit, () => {
  const [a, b, late] = [new Seal(SECRET, 1), new Seal(SECRET, 2), new Seal(SECRET, 3)];
  const sealed = ["one", "two", "three"].map((payload) => a.close("c", payload));
  assertEquals(sealed.map((text) => b.open("c", text)?.payload), ["one", "two", "three"]);
  assertEquals(sealed.map((text) => b.open("c", text)), [undefined, undefined, undefined]);
  assertEquals(late.open("c", sealed[1] ?? "")?.payload, "two"); // Misses one, and goes on.
  assertEquals(late.open("c", sealed[0] ?? ""), undefined);
});

Deno.test("what is not sealed as it should be is refused, and counted", unit, () => {
  let refused = 0;
  const seal = new Seal(SECRET, 2, () => refused++);
  const [good, foreign] = [
    new Seal(SECRET, 1).close("c", "pay"),
    new Seal(SECRET.toUpperCase(), 1).close("c", "pay"),
  ];
  const [, , digest = ""] = good.split(" ");
  const forgeries = [
    "",
    "pay",
    "1 1 0 1 u1-2 ",
    "7 1 0 0 u1-2 {nonsense",
    foreign,
    `${good}x`,
    good.slice(0, -1),
    good.replace("1 1 ", "1 2 "),
    good.replace("1 1 ", "3 1 "),
    good.replace("1 1 ", "01 1 "),
    good.replace(digest, digest.slice(1)),
    good.replace(digest, "a".repeat(32)),
    good.replace(digest, ""),
  ];
  for (const forgery of forgeries) assertEquals(seal.open("c", forgery), undefined, forgery);
  assertEquals(refused, forgeries.length);
  assertEquals(seal.open("c", good)?.payload, "pay");
});

Deno.test("who can write to Redis reads no chat, forges no message, and ends no process", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [portA, portB] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await Talker.create(portA, "ann");
  await using bo = await Talker.create(portA, "bo");
  await using eve = await Talker.create(portA, "eve");
  await ann.logIn(portA);
  await bo.logIn(portB);
  await eve.logIn(portB);
  const [prefix] = (await cluster.redis.cli("PUBSUB", "CHANNELS", "chat:*:all")).split("all");
  const conversation = `u${ann.id}-${bo.id}`;
  const heard: string[] = [];
  const spy = new Redis(cluster.redis.url, {
    onMessage: (_channel, payload) => void heard.push(payload),
    onUp() {},
    onDown() {},
  });
  await spy.connect();
  await spy.subscribe(`${prefix}u:${bo.id}`);
  await ann.say(bo.id, "private");
  await bo.heard(1);
  await waitFor("the spy to have heard it", () => heard.length === 1);
  await spy.close();

  const publish = (channel: string, payload: string) =>
    cluster.redis.cli("PUBLISH", `${prefix}${channel}`, payload);
  const forged = JSON.stringify({
    msgid: 6,
    id: ann.id,
    name: "ann",
    toid: bo.id,
    msg: "forged",
    time: TIME,
  });
  for (const header of ["", "1 ", "1 1 AAAAAAAAAAAAAAAAAAAAAA "]) {
    await publish(`u:${eve.id}`, `${header}1 0 1 ${conversation} `);
    await publish(`u:${eve.id}`, `${header}1 1 0 1 ${conversation} `);
    await publish(`u:${bo.id}`, `${header}1 ${ann.id} 2 ${conversation} ${forged}`);
    await publish(`u:${bo.id}`, `${header}2 ${ann.id} 0  ${forged}`);
    await publish(`u:${bo.id}`, `${header}7 0 0 ${conversation} {nonsense`);
    await publish(`u:${bo.id}`, `${header}7 1 0 0 ${conversation} {nonsense`);
    await publish("node:B", `${header}5 ${bo.id} 9007199254740991 A `);
    await publish("all", `${header}4 0 0  `);
  }
  for (const user of [eve, bo]) await publish(`u:${user.id}`, heard[0] ?? "");
  await cluster.node("B").logged("is not all from nodes of this cluster");

  await ann.say(bo.id, "still private");
  await bo.heard(2);
  assertEquals(bo.from(ann.id), ["private", "still private"]);
  assertEquals(eve.received, []);
  await eve.logOut();
  await using again = await ChatClient.connect(portB);
  assertEquals((await logIn(again, eve.id)).offlineMsg ?? [], []);
  assert(!cluster.node("B").stderr.includes("ERROR"));
});
