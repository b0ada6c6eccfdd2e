/** Users of version 3 whose devices are on several nodes. */

import { assert, assertEquals } from "@std/assert";
import { ChatClient, type Frame, PASSWORD, signUp } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { type Device, logInDevice, newDevice, resumeDevice } from "../support/devices.ts";
import { waitFor } from "../support/process.ts";

const isChat = ({ msgid }: Frame) => msgid === 6 || msgid === 10;

async function say(from: Device, to: { id: number }, ...texts: string[]): Promise<void> {
  for (const msg of texts) {
    const { errno } = await from.client.request({ msgid: 6, toid: to.id, msg });
    assertEquals(errno, 0, msg);
  }
}

/** The texts of the next chat frames, acknowledged. */
async function hear({ client }: Device, count: number): Promise<unknown[]> {
  const texts: unknown[] = [];
  while (texts.length < count) {
    const { msg, conversation, seq } = await client.take(isChat);
    texts.push(msg);
    await client.send({ msgid: 12, conversation, seq });
  }
  return texts;
}

async function resumed(port: number, token: unknown): Promise<Frame> {
  await using client = await ChatClient.connect(port);
  return await client.request({ msgid: 21, v: 3, token });
}

Deno.test("devices on two nodes hear what the other one sends and reads, and both what others send", async () => {
  await using cluster = await startCluster(["A", "B", "C"]);
  const [a, b, c] = ["A", "B", "C"].map((name) => cluster.node(name).port) as [number, number, number];
  await using ann = await newDevice(a, "ann");
  await using phone = await logInDevice(b, { name: "ann" });
  await using li = await newDevice(c, "li");
  await say(ann, li, "from A");
  assertEquals(await hear(phone, 1), ["from A"]);
  await say(phone, li, "from B");
  assertEquals(await hear(ann, 1), ["from B"]);
  assertEquals(await hear(li, 2), ["from A", "from B"]);
  await say(li, ann, "from C");
  for (const device of [ann, phone]) assertEquals(await hear(device, 1), ["from C"]);
  // From a node on which the receiver has a device, too.
  await using wu = await newDevice(a, "wu");
  await say(wu, ann, "beside A");
  for (const device of [ann, phone]) assertEquals(await hear(device, 1), ["beside A"]);
  const conversation = `u${ann.id}-${wu.id}`;
  await phone.client.request({ msgid: 13, conversation, seq: 1 });
  const isRead = ({ id, read, ...receipt }: Frame) =>
    id === ann.id && read === 1 && receipt.conversation === conversation;
  while (!isRead(await ann.client.receiveReceipt()));
  // A group whose members are all on one node, one of them elsewhere, too.
  const { groupid = 0 } = await wu.client.request({
    msgid: 8,
    groupname: "all",
    groupdesc: "",
    join: "open",
  });
  await ann.client.request({ msgid: 9, groupid });
  await waitFor("the phone to be in the group", async () => {
    const { errno } = await phone.client.request({ msgid: 10, groupid, msg: "in" });
    return errno === 0;
  });
  assertEquals(await hear(ann, 1), ["in"]);
  assertEquals(await hear(wu, 1), ["in"]);
  await wu.client.request({ msgid: 10, groupid, msg: "to the group" });
  for (const device of [ann, phone]) assertEquals(await hear(device, 1), ["to the group"]);
  // Ann's other device and the creator have heard of the joining.
  for (const { client } of [phone, wu]) await client.take(({ msgid }) => msgid === 25);
  for (const { client } of [ann, phone, li, wu]) await client.fence();
});

Deno.test("only who has devices on several nodes costs a further publish, and only while it has", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newDevice(a, "ann");
  await using li = await newDevice(a, "li");
  const costOf = async (count: number) => {
    const before = await cluster.publishes();
    await say(ann, li, ...Array.from({ length: count }, (_, index) => String(index)));
    await hear(li, count);
    return await cluster.publishes() - before;
  };
  // Receipts are a publish a second at most.
  assert(await costOf(50) < 10, "one device");
  await using phone = await logInDevice(b, { name: "ann" });
  assert(await costOf(50) >= 50, "two devices");
  await hear(phone, 50);
  phone.client.close();
  await waitFor("the phone to be gone", async () => {
    const { devices } = await ann.client.request({ msgid: 22, op: "list" });
    return (devices as Frame[]).filter(({ online }) => online).length === 1;
  });
  await costOf(1);
  assert(await costOf(50) < 10, "one device again");
});

Deno.test("a node is killed: its devices go on elsewhere, the user is online meanwhile, nothing is lost", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newDevice(a, "ann");
  const phone = await logInDevice(b, { name: "ann" });
  await using li = await newDevice(a, "li");
  await say(li, ann, "before");
  for (const device of [ann, phone]) assertEquals(await hear(device, 1), ["before"]);
  const died = performance.now();
  await cluster.node("B").kill();
  await say(li, ann, "after");
  await say(ann, li, "own");
  assertEquals(await hear(ann, 1), ["after"]);
  await using again = await resumeDevice(a, phone);
  assertEquals(again.device, phone.device);
  const heard = await hear(again, 2);
  // What was acknowledged in the last second of a node may come again.
  assertEquals(heard[0] === "before" ? [...heard.slice(1), ...await hear(again, 1)] : heard, [
    "after",
    "own",
  ]);
  const state = async () => (await cluster.column(`SELECT state FROM User WHERE id = ${ann.id}`))[0];
  await cluster.node("A").logged("a node has died", 30_000);
  console.log(`noticed after ${Math.round(performance.now() - died)} ms`);
  assertEquals(await state(), "online");
  again.client.close();
  assertEquals(await state(), "online");
  ann.client.close();
  await waitFor("ann to be offline", async () => await state() === "offline");
  phone.client.close();
});

Deno.test("two nodes race for one token: no device is lost, and one connection is left", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const ports = [cluster.node("A").port, cluster.node("B").port];
  let device = await newDevice(ports[0] ?? 0, "ann");
  for (let round = 0; round < 10; round++) {
    device.client.close();
    const { token } = device.reply;
    const racing = await Promise.all([0, 1, 2, 3].map(async (n) => {
      const client = await ChatClient.connect(ports[n % 2] ?? 0);
      // Whoever is replaced while it is let in has no answer but the notice.
      const reply = await client.request({ msgid: 21, v: 3, token }).catch(() => undefined);
      assert(reply === undefined || reply.errno === 0 || reply.errno === 2, JSON.stringify(reply));
      return { client, reply };
    }));
    const given = racing.flatMap(({ reply }) => reply?.errno === 0 ? [reply.token] : []);
    assertEquals(new Set(given).size, given.length);
    // On a busy machine a node may not have been told yet that its connection is replaced.
    const alive = await waitFor("one connection to be left", async () => {
      const left = await Promise.all(racing.map(async ({ client, reply }) => {
        const answer = await client.request({ msgid: 22, op: "list" }).catch(() => undefined);
        return reply?.errno === 0 && answer?.errno === 0 ? [{ ...device, client, reply }] : [];
      }));
      const [first, ...others] = left.flat();
      assert(first, "nobody is left");
      return others.length === 0 ? first : undefined;
    });
    for (const { client } of racing) if (client !== alive.client) client.close();
    device = alive;
  }
  const [count] = await cluster.column("SELECT COUNT(*) FROM Device");
  assertEquals(count, "1");
  // Whoever copied the token of the last round but one is found out.
  const { token } = device.reply;
  const next = await resumed(ports[1] ?? 0, token);
  assertEquals((await resumed(ports[0] ?? 0, next.token)).errno, 0);
  assertEquals((await resumed(ports[1] ?? 0, token)).errno, 11);
  assertEquals(await cluster.column("SELECT COUNT(*) FROM Device"), ["0"]);
  device.client.close();
});

Deno.test("a device is revoked on another node, also while Redis is away", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newDevice(a, "ann");
  await using phone = await logInDevice(b, { name: "ann" });
  await using tablet = await logInDevice(b, { name: "ann" });
  assertEquals((await ann.client.request({ msgid: 22, op: "revoke", device_id: phone.device })).errno, 0);
  const notice = (await phone.client.receiveRest()).at(-1);
  assertEquals([notice?.code, notice?.reconnect], ["revoked", false]);
  await cluster.redis.kill();
  await cluster.node("A").logged("Redis is away");
  const began = performance.now();
  assertEquals((await ann.client.request({ msgid: 22, op: "revoke", device_id: tablet.device })).errno, 0);
  const late = (await tablet.client.receiveRest(15_000)).at(-1);
  assertEquals([late?.code, late?.reconnect], ["revoked", false]);
  console.log(`ended ${Math.round(performance.now() - began)} ms after it was revoked, without Redis`);
  await cluster.redis.start();
  await waitFor("logins", async () => (await resumed(b, tablet.reply.token)).errno === 11);
  await ann.client.fence();
});

Deno.test("Redis away and back: devices on two nodes lack nothing afterwards, and hear each other at once again", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newDevice(a, "ann");
  await using phone = await logInDevice(b, { name: "ann" });
  await using li = await newDevice(a, "li");
  const conversation = `u${ann.id}-${li.id}`;
  for (let outage = 1; outage <= 3; outage++) {
    await cluster.redis.kill();
    await Promise.all(["A", "B"].map((name) =>
      waitFor(
        `node ${name} to notice`,
        () => cluster.node(name).stderr.split("Redis is away").length > outage,
      )
    ));
    await say(ann, li, `own ${outage}`);
    await say(li, ann, `other ${outage}`);
    assertEquals(await hear(ann, 1), [`other ${outage}`]);
    assertEquals(await hear(phone, 2), [`own ${outage}`, `other ${outage}`]);
    await ann.client.request({ msgid: 13, conversation, seq: 4 * outage - 2 });
    await cluster.redis.start();
    await Promise.all(["A", "B"].map((name) =>
      waitFor(
        `node ${name} to be back`,
        () => cluster.node(name).stderr.split("Redis is back").length > outage,
      )
    ));
    for (let read = 0; read < 4 * outage - 2;) {
      const receipt = await phone.client.receiveReceipt();
      if (receipt.id === ann.id && receipt.conversation === conversation) read = Number(receipt.read);
    }
    const began = performance.now();
    await say(ann, li, `own again ${outage}`);
    await say(li, ann, `other again ${outage}`);
    assertEquals(await hear(phone, 2), [`own again ${outage}`, `other again ${outage}`]);
    assertEquals(await hear(ann, 1), [`other again ${outage}`]);
    assert(performance.now() - began < 5_000, "no sweep was waited for");
  }
});

Deno.test("a version 1 client and devices on different nodes", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using old = await ChatClient.connect(a);
  const id = await signUp(old, "ann");
  await using phone = await logInDevice(b, { name: "ann" });
  await using li = await newDevice(a, "li");
  await old.send({ msgid: 1, id, password: PASSWORD });
  assertEquals((await old.receive()).errno, 0);
  await say(li, { id }, "to both");
  assertEquals((await old.take(isChat)).msg, "to both");
  assertEquals(await hear(phone, 1), ["to both"]);
  await old.send({ msgid: 6, id, name: "ann", toid: li.id, msg: "from 1", time: "now" });
  assertEquals(await hear(phone, 1), ["from 1"]);
  await say(phone, li, "from 3");
  assertEquals(await hear(li, 2), ["from 1", "from 3"]);
  await old.fence();
  // The old one's place on another node is refused as ever, and the device's is taken.
  await using second = await ChatClient.connect(b);
  await second.send({ msgid: 1, id, password: PASSWORD });
  assertEquals((await second.receive()).errno, 2);
  await using moved = await resumeDevice(a, phone);
  const notice = (await phone.client.receiveRest()).at(-1);
  assertEquals(notice?.code, "replaced");
  await say(li, { id }, "again");
  assertEquals(await hear(moved, 1), ["again"]);
});
