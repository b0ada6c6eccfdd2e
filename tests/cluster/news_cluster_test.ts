/** What users learn of each other that stands in no log, on two nodes. */
import { assertEquals } from "@std/assert";
import {
  chat,
  ChatClient,
  comeBack,
  type Frame,
  newPerson,
  PASSWORD,
  type Person,
} from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { logInDevice } from "../support/devices.ts";

Deno.test("other nodes hear of names, and send whoever has an old password away at once", async () => {
  await using cluster = await startCluster(["a", "b"]);
  const [a, b] = [cluster.node("a").port, cluster.node("b").port];
  await using ann = await newPerson(a, "ann", { v: 3 });
  await using tablet = await logInDevice(b, { id: ann.id });
  await using li = await newPerson(b, "li", { v: 3 });
  await using bo = await newPerson(b, "bo", { v: 3 });
  await li.client.request({ msgid: 7, friendid: ann.id });
  const made = await ann.client.request({ msgid: 8, groupname: "g", groupdesc: "", join: "open" });
  await bo.client.request({ msgid: 9, groupid: made.groupid });
  assertEquals((await ann.client.request({ msgid: 28, name: "Anna", status: "here" })).errno, 0);
  for (const { client } of [tablet, li, bo]) {
    const told = await client.take(({ msgid }) => msgid === 28);
    assertEquals(told, { msgid: 28, id: ann.id, name: "Anna", status: "here" });
  }
  // What the other node passes on for her has the new name.
  await tablet.client.request(chat({ id: ann.id, name: "ann" }, li.id, "hi"));
  assertEquals((await li.client.take(({ msgid }) => msgid === 6)).name, "Anna");
  const started = performance.now();
  const changed = await ann.client.request({ msgid: 28, password: { old: PASSWORD, new: "battery staple" } });
  assertEquals(changed.errno, 0);
  assertEquals((await tablet.client.receiveRest()).at(-1)?.code, "revoked");
  assertEquals(performance.now() - started < 5_000, true);
  await using client = await ChatClient.connect(b);
  assertEquals((await client.request({ msgid: 21, v: 3, token: tablet.reply.token })).errno, 11);
  assertEquals((await client.request({ msgid: 21, v: 3, token: changed.token })).errno, 0);
});

const isPresence = ({ msgid }: Frame) => msgid === 31;

/** The next news of presence that a client is sent. */
async function presence({ client }: Person): Promise<unknown[]> {
  const { id, state } = await client.take(isPresence);
  return [id, state];
}

Deno.test("friends on other nodes hear of who comes and goes, and of a node's death; typing and settings go there, too", async () => {
  await using cluster = await startCluster(["a", "b", "c"]);
  const ports = ["a", "b", "c"].map((name) => cluster.node(name).port) as [number, number, number];
  await using ann = await newPerson(ports[0], "ann", { v: 3 });
  const li = await newPerson(ports[1], "li", { v: 3 });
  await using eve = await newPerson(ports[0], "eve", { v: 3 });
  await ann.client.request({ msgid: 7, friendid: li.id });
  await eve.client.request({ msgid: 26, op: "block", id: li.id });
  await li.client.request(chat(li, ann.id, "hi"));
  const conversation = `u${ann.id}-${li.id}`;
  await using tablet = await logInDevice(ports[2], { id: ann.id });
  await li.client.request({ msgid: 30, conversation });
  for (const { client } of [ann, tablet]) {
    assertEquals((await client.take(({ msgid }) => msgid === 30)).id, li.id);
  }
  await tablet.client.request({ msgid: 29, conversation, muted_until: 5_000_000_000_000 });
  assertEquals((await ann.client.take(({ msgid }) => msgid === 29)).muted_until, 5_000_000_000_000);
  // Gone here and back there at once, as when a node drains: nobody hears of that.
  li.client.close();
  await using again = await comeBack(ports[2], li, { v: 3 });
  const logout = again.client.request({ msgid: 3 });
  const startedAt = performance.now();
  await logout;
  assertEquals(await presence(ann), [li.id, "offline"]);
  const tookMs = performance.now() - startedAt;
  assertEquals(tookMs > 2_000 && tookMs < 4_000, true, `${tookMs} ms`);
  await using old = await comeBack(ports[1], li, {});
  assertEquals(await presence(ann), [li.id, "online"]);
  await cluster.node("b").kill();
  assertEquals(await presence(ann), [li.id, "offline"]);
  assertEquals(old.id, li.id);
  await eve.client.fence();
  // Who is not blocked any more is seen again.
  await using back = await comeBack(ports[2], li, { v: 3 });
  assertEquals(await presence(ann), [back.id, "online"]);
  await ann.client.request({ msgid: 26, op: "block", id: li.id });
  await ann.client.request({ msgid: 26, op: "unblock", id: li.id });
  assertEquals(await presence(ann), [li.id, "online"]);
});
