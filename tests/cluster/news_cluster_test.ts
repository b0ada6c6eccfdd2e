/** What users learn of each other that stands in no log, on two nodes. */
import { assertEquals } from "@std/assert";
import { chat, ChatClient, newPerson, PASSWORD } from "../support/chat_client.ts";
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
  const made = await ann.client.request({ msgid: 8, groupname: "g", groupdesc: "" });
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
