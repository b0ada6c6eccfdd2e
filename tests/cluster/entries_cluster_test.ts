/** Entries of the log on two nodes: what the bus brings, what it loses, and what somebody missed who was away. */
import { assertEquals } from "@std/assert";
import {
  chat,
  comeBack,
  conversationOf,
  type Frame,
  newPerson,
  type Person,
} from "../support/chat_client.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { waitFor } from "../support/process.ts";

async function act({ client }: Person, conversation: string, ref: number, fields: object): Promise<Frame> {
  const reply = await client.request({ msgid: 23, conversation, ref, ...fields });
  assertEquals(reply.errno, 0, JSON.stringify(reply));
  return reply;
}

async function offline(cluster: Cluster, { id, client }: Person): Promise<void> {
  client.close();
  await waitFor(
    "the user to be offline",
    async () =>
      (await cluster.column(`SELECT id FROM User WHERE id = ${id} AND state = 'offline'`)).length === 1,
  );
}

const short = ({ msgid, seq, msg, act, ref }: Frame) => [msgid, seq, msg ?? act, ref];

Deno.test("on two nodes what is done to a message reaches who is there, who was away, and who missed it", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newPerson(a, "ann", { v: 3 });
  await using li = await newPerson(b, "li", { v: 3 });
  await using two = await newPerson(b, "two", { v: 2 });
  const conversation = conversationOf(ann, li);
  const { seq: ref = 0 } = await ann.client.request(chat(ann, li.id, "helo"));
  await li.client.receive();
  const edit = await act(ann, conversation, ref, { act: "edit", msg: "hello", cid: "e" });
  assertEquals(short(await li.client.receive()), [23, 2, "hello", ref]);
  await act(li, conversation, ref, { act: "react", emoji: "👍", on: true });
  assertEquals(short(await ann.client.receive()), [23, 3, "react", ref]);
  // The same request through the other node is the same entry.
  await offline(cluster, ann);
  await using annOnB = await comeBack(b, ann, { v: 3 });
  assertEquals((await act(annOnB, conversation, ref, { act: "edit", msg: "hello", cid: "e" })).seq, edit.seq);

  // Who was away, on whichever node it comes back.
  await li.client.request({ msgid: 12, conversation, seq: 3 });
  await offline(cluster, li);
  await act(annOnB, conversation, ref, { act: "recall" });
  await annOnB.client.request(chat(ann, li.id, "sorry"));
  await using liOnA = await comeBack(a, li, { v: 3 });
  const missed = await liOnA.client.receiveMany(2);
  assertEquals(missed.map(short), [[23, 4, "recall", ref], [6, 5, "sorry", undefined]]);

  // Version 2 is told of a recall on the other node as ever.
  const { seq = 0 } = await annOnB.client.request(chat(ann, two.id, "oh"));
  assertEquals((await two.client.receive()).msg, "oh");
  await act(annOnB, conversationOf(ann, two), seq, { act: "recall" });
  const told = { msgid: 17, conversation: conversationOf(ann, two), seq, id: ann.id };
  assertEquals<object>(await two.client.receive(), told);

  // A node that is killed between its commit and its publish: an action that rang nowhere is found at the next entry.
  const text = `{"msgid":23,"id":${ann.id},"name":"ann","ref":5,"act":"pin","on":true}`;
  await cluster.mariaDb.sql(
    `UPDATE Conversation SET last_seq = 6 WHERE id = '${conversation}'; ` +
      "INSERT INTO Message (conversation, seq, sender, at, message, kind) VALUES " +
      `('${conversation}', 6, ${ann.id}, 1, '${text}', 1)`,
  );
  await act(annOnB, conversation, 5, { act: "edit", msg: "so sorry" });
  const found = await liOnA.client.receiveMany(2);
  assertEquals(found.map(short), [[23, 6, "pin", 5], [23, 7, "so sorry", 5]]);
});

Deno.test("a group of both versions on two nodes: actions by many at once come once, in order, to each", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using stack = new AsyncDisposableStack();
  const people: Person[] = [];
  for (let i = 0; i < 6; i++) {
    people.push(stack.use(await newPerson(i % 2 === 0 ? a : b, `user ${i}`, { v: 3 })));
  }
  await using old = await newPerson(b, "old", { v: 2 });
  const [first] = people;
  if (!first) throw new Error("Nobody is there");
  const { groupid = 0 } = await first.client.request({
    msgid: 8,
    groupname: "all",
    groupdesc: "",
    join: "open",
  });
  const conversation = `g${groupid}`;
  for (const { id, client } of [...people.slice(1), old]) await client.request({ msgid: 9, id, groupid });
  const { seq: ref = 0 } = await first.client.request({ msgid: 10, groupid, msg: "hello" });
  assertEquals(ref, 8);
  const emojis = ["👍", "👎", "🎉", "😀", "🙈"];
  const replies = await Promise.all(people.map(({ client }, who) =>
    client.requestAll(
      Array.from({ length: 20 }, (_, i) =>
        i % 4 === 3
          ? { msgid: 10, groupid, msg: `${who} ${i}` }
          : { msgid: 23, conversation, ref, act: "react", emoji: emojis[i % 5], on: i < 10 }),
    )
  ));
  const seqs = replies.flat().flatMap(({ seq }) => seq ?? []).sort((one, other) => one - other);
  assertEquals(seqs, Array.from({ length: seqs.length }, (_, i) => ref + 1 + i));
  for (const [who, { client }] of people.entries()) {
    const own = new Set((replies[who] ?? []).map(({ seq }) => seq));
    const expected = seqs.filter((seq) => !own.has(seq));
    // Before that come those who have joined after it, and the first message.
    const heard: number[] = [];
    await client.receiveUntil(({ seq = 0 }) => {
      if (seq > ref) heard.push(seq);
      return heard.length === expected.length;
    });
    assertEquals(heard, expected);
  }
  const said = await old.client.receiveMany(1 + 6 * 5);
  assertEquals(new Set(said.map(({ msgid }) => msgid)), new Set([10]));
  const rows = await cluster.column(
    "SELECT CONCAT(HEX(emoji), ' ', users, ' ', (SELECT COUNT(*) FROM Reaction r WHERE r.conversation = c.conversation " +
      "AND r.seq = c.seq AND r.emoji = c.emoji)) FROM ReactionCount c",
  );
  for (const row of rows) {
    const [, users, counted] = row.split(" ");
    assertEquals(users, counted);
  }
});
