import { assertEquals } from "@std/assert";
import { decodeEnvelope, ENVELOPE } from "../../lib/cluster/envelope.ts";
import { openParcel, Parcels } from "../../lib/cluster/parcels.ts";
import { ChatClient, logIn } from "../support/chat_client.ts";
import { logInDevice, newDevice } from "../support/devices.ts";
import { type Cluster, startCluster, Talker } from "../support/cluster.ts";
import { waitFor } from "../support/process.ts";

const unit = { permissions: "none" } as const;

/** What the texts of these tests travel in. */
const said = (frame: string) => ({ kind: ENVELOPE.message, sender: 1, seq: 7, conversation: "u1-2", frame });

const frameOf = (text: string) => decodeEnvelope(text)?.frame ?? "no envelope";

/** Parcels, and what was published of them; `nodes`: how many hear each. */
function openParcels(nodes: () => Promise<number> = () => Promise.resolve(1)) {
  const published: [origin: number, envelopes: [number, string][]][] = [];
  const parcels = new Parcels((origin, parcel) => {
    published.push([origin, [...openParcel(parcel)].map(([userId, text]) => [userId, frameOf(text)])]);
    return nodes();
  });
  return { parcels, published };
}

Deno.test("what a turn has for a node is one parcel, in the order in which it was sent", unit, async () => {
  const { parcels, published } = openParcels();
  parcels.learn(2, 77);
  parcels.learn(3, 77);
  parcels.learn(4, 88);
  assertEquals(parcels.send(5, said("to nobody knows where")), undefined);
  const heard = [[2, "a"], [4, "b"], [3, ""], [2, "c"]] as const;
  const answers = heard.map(([userId, envelope]) => parcels.send(userId, said(envelope)));
  assertEquals(published, []);
  assertEquals(await Promise.all(answers), [true, true, true, true]);
  assertEquals(published, [[77, [[2, "a"], [3, ""], [2, "c"]]], [88, [[4, "b"]]]]);
  await parcels.send(2, said("next turn"));
  assertEquals(published.slice(2), [[77, [[2, "next turn"]]]]);
});

Deno.test("any text comes out of a parcel as it went in; of what is none only what is whole", unit, () => {
  const { parcels, published } = openParcels();
  const texts = ["", "1 2 3 ", "\n\r\0 4 4 ", "é漢😀 \ud800", '{"msgid":6}', "x".repeat(70_000), " "];
  parcels.learn(4_294_967_295, 1);
  for (const text of texts) parcels.send(4_294_967_295, said(text));
  parcels.forgetAll();
  assertEquals(published.flatMap(([, envelopes]) => envelopes.map(([, text]) => text)), texts);
  for (const nonsense of ["", "x", "1 2", "1 -2 ab", "1 3 ab", " 1 2 ab", "12345678901 0 ", "1 999999999 "]) {
    assertEquals([...openParcel(nonsense)], [], nonsense);
  }
  assertEquals([...openParcel("1 2 ab2 3 abc3 9 abc")], [[1, "ab"], [2, "abc"]]);
});

Deno.test("a parcel that is long enough goes out before the turn ends", unit, () => {
  const { parcels, published } = openParcels();
  parcels.learn(2, 77);
  for (let index = 0; index < 10; index++) parcels.send(2, said("x".repeat(40_000)));
  assertEquals(published.length, 5);
});

Deno.test("what was sent before a user had moved goes out before what takes another way", unit, () => {
  const { parcels, published } = openParcels();
  parcels.learn(2, 77);
  parcels.send(2, said("there"));
  parcels.forget(3);
  assertEquals(published, []);
  parcels.forget(2);
  assertEquals(published, [[77, [[2, "there"]]]]);
  assertEquals(parcels.send(2, said("elsewhere")), undefined);
});

Deno.test("a parcel that nobody hears, or that cannot be published, says so", unit, async () => {
  for (const nodes of [() => Promise.resolve(0), () => Promise.reject(new Error("away"))]) {
    const { parcels } = openParcels(nodes);
    parcels.learn(2, 77);
    assertEquals(await parcels.send(2, said("x")), false);
  }
});

Deno.test("of a node that hears nothing it is forgotten what users it has", unit, async () => {
  const { parcels } = openParcels(() => Promise.resolve(0));
  for (const [userId, origin] of [[2, 77], [3, 77], [4, 88]] as const) parcels.learn(userId, origin);
  assertEquals(await parcels.send(2, said("x")), false);
  assertEquals([2, 3].map((userId) => parcels.send(userId, said("x"))), [undefined, undefined]);
  assertEquals(await parcels.send(4, said("x")), false);
});

Deno.test("of a hundred thousand users it is remembered where they are, and no more", unit, () => {
  const { parcels } = openParcels();
  for (let userId = 1; userId <= 100_001; userId++) parcels.learn(userId, 77);
  assertEquals(parcels.send(1, said("x")), undefined);
  assertEquals(parcels.send(2, said("x")) === undefined, false);
  parcels.forgetAll();
});

for (const persist of ["all", "offline"]) {
  Deno.test(`who moves from node to node is written to there, in order (--persist ${persist})`, async () => {
    await using cluster = await startCluster(["A", "B", "C"], ["--persist", persist]);
    const [portA, portB, portC] = ["A", "B", "C"].map((name) => cluster.node(name).port) as [
      number,
      number,
      number,
    ];
    await using ann = await Talker.create(portA, "ann");
    await using bo = await Talker.create(portA, "bo");
    await ann.logIn(portA);
    let said = 0;
    for (const port of [portB, portC, portA, portC, portB]) {
      await bo.logIn(port);
      await bo.heard(said);
      for (let count = 0; count < 5; count++) {
        await ann.say(bo.id, `${++said}`);
        await bo.heard(said);
        await bo.say(ann.id, `${said}`);
        await waitFor("the answer", () => ann.from(bo.id).at(-1) === `${said}`);
      }
      await bo.logOut();
      // To where the user was a moment ago.
      await ann.say(bo.id, `${++said}`);
    }
    await bo.logIn(portC);
    await bo.heard(said);
    const all = Array.from({ length: said }, (_, index) => `${index + 1}`);
    assertEquals(bo.from(ann.id), all);
  });
}

/** A user is written to on the node to which it comes from a frozen one no later than this, ms; the frozen one's lease is 10 s. */
const AT_ONCE_MS = 4_000;

/** Ann on node A writes to bo, who leaves a frozen node B for C once `mayGo`. */
async function leaveFrozenNode(
  args: readonly string[],
  mayGo: (cluster: Cluster) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await using cluster = await startCluster(["A", "B", "C"], args);
  const [portA = 0, portB = 0, portC = 0] = ["A", "B", "C"].map((name) => cluster.node(name).port);
  await using ann = await Talker.create(portA, "ann");
  await using bo = await Talker.create(portA, "bo");
  await ann.logIn(portA);
  await using frozen = await ChatClient.connect(portB);
  await logIn(frozen, bo.id);
  for (const text of ["1", "2", "3"]) {
    await ann.say(bo.id, text);
    assertEquals((await frozen.receive()).msg, text);
  }
  cluster.node("B").signal("SIGSTOP");
  try {
    await mayGo(cluster);
    await bo.logIn(portC);
    await ann.say(bo.id, "4");
    await waitFor("it to come", () => bo.from(ann.id).includes("4"), AT_ONCE_MS);
  } finally {
    cluster.node("B").signal("SIGCONT");
  }
  await ann.say(bo.id, "5");
  await waitFor("the next", () => bo.from(ann.id).includes("5"));
}

for (const persist of ["all", "offline"]) {
  Deno.test(
    `who comes from a frozen node to another is written to there (--persist ${persist})`,
    () => leaveFrozenNode(["--persist", persist, "--duplicate-login", "replace"]),
  );
}

Deno.test(
  "who comes from a frozen node when its lease has run out is written to as well",
  // Before anybody has noticed.
  () =>
    leaveFrozenNode(["--persist", "offline"], async (cluster) => {
      const lease = async () => (await cluster.redis.cli("KEYS", "chat:*:node:B")).trim();
      await waitFor("the lease to run out", async () => await lease() === "", 20_000);
    }),
);

Deno.test("who has a device on a frozen node is written to on another one", async () => {
  await using cluster = await startCluster(["A", "B", "C"]);
  const [portA = 0, portB = 0, portC = 0] = ["A", "B", "C"].map((name) => cluster.node(name).port);
  await using ann = await Talker.create(portA, "ann");
  await ann.logIn(portA);
  await using bo = await newDevice(portB, "bo");
  const hears = ({ client }: { client: ChatClient }, text: string, deadlineMs?: number) =>
    client.receiveUntil(({ msgid, msg }) => msgid === 6 && msg === text, deadlineMs);
  for (const text of ["1", "2", "3"]) {
    await ann.say(bo.id, text);
    await hears(bo, text);
  }
  cluster.node("B").signal("SIGSTOP");
  try {
    await using other = await logInDevice(portC, { name: "bo" });
    await ann.say(bo.id, "4");
    await hears(other, "4", AT_ONCE_MS);
  } finally {
    cluster.node("B").signal("SIGCONT");
  }
  await hears(bo, "4");
});

Deno.test("a node that is stopped hears no parcels any more before its log is closed", async () => {
  await using cluster = await startCluster(["A", "B"], ["--drain-timeout", "20"]);
  const channels = async () =>
    (await cluster.redis.cli("PUBSUB", "CHANNELS", "chat:*:o:*")).trim().split("\n").length;
  assertEquals(await channels(), 2);
  await using ann = await Talker.create(cluster.node("A").port, "ann");
  await ann.logIn(cluster.node("B").port);
  // What is to be written when it ends waits for the database.
  await cluster.mariaDb.freeze();
  try {
    cluster.node("B").signal("SIGTERM");
    await waitFor("nobody to hear its parcels", async () => await channels() === 1, AT_ONCE_MS);
  } finally {
    cluster.mariaDb.signal("SIGCONT");
  }
});
