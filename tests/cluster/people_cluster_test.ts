/** What users do about each other, on two nodes at once. */
import { assertEquals } from "@std/assert";
import { chat, newPerson } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";

Deno.test("a block counts on every node from its commit on, whatever is on its way", async () => {
  await using cluster = await startCluster(["a", "b"], ["--message-rate", "0"]);
  await using ann = await newPerson(cluster.node("a").port, "ann", { v: 3 });
  await using li = await newPerson(cluster.node("b").port, "li", { v: 3 });
  const conversation = `u${ann.id}-${li.id}`;
  const block = (op: string) => li.client.request({ msgid: 26, op, id: ann.id });
  const seen: number[] = [];
  const see = async (until: string) => {
    const frames = await li.client.receiveUntil(({ msg }) => msg === until);
    // Who has unblocked somebody is told whether the other one is online.
    for (const { msgid, seq = 0 } of frames) if (msgid !== 31) seen.push(seq);
    await li.client.send({ msgid: 12, conversation, seq: seen.at(-1) });
  };
  for (let round = 1; round <= 12; round++) {
    const [early] = await Promise.all([
      ann.client.requestAll(Array.from({ length: 40 }, (_, i) => chat(ann, li.id, `${round} ${i}`))),
      block("block"),
    ]);
    // Whoever has the answer is sure of whatever is said from then on.
    const late = await ann.client.requestAll(Array.from({ length: 5 }, () => chat(ann, li.id, "late")));
    assertEquals([...early, ...late].every(({ errno }) => errno === 0), true);
    await block("unblock");
    await ann.client.request(chat(ann, li.id, `end ${round}`));
    await see(`end ${round}`);
  }
  const rows = await cluster.column(
    `SELECT CONCAT(seq, ' ', hidden, ' ', message LIKE '%late%') FROM Message WHERE conversation = '${conversation}' ORDER BY seq`,
  );
  const visible = rows.map((row) => row.split(" ").map(Number)).filter(([, hidden]) => hidden === 0);
  assertEquals(seen, visible.map(([seq]) => seq ?? 0));
  assertEquals(visible.filter(([, , isLate]) => isLate === 1), []);
  assertEquals(rows.length, 12 * 46);
});
