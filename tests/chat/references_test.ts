/** What a message refers to: an earlier one that it replies to, and those whom it names. */
import { assertEquals } from "@std/assert";
import { chat, groupChat, type Person } from "../support/chat_client.ts";
import { onEachDatabase } from "../support/databases.ts";

onEachDatabase("references", {
  "a reply names an earlier message of its conversation, and travels to every version": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 3 });
    const say = async (from: Person, to: Person, fields: object) =>
      await from.client.request(chat(from, to.id, "x", fields));
    assertEquals((await say(ann, li, { reply: 1 })).errno, 4);
    assertEquals((await say(ann, li, {})).seq, 1);
    assertEquals((await say(ann, li, { reply: 1 })).seq, 2);
    assertEquals((await li.client.receiveMany(2)).map(({ reply }) => reply), [undefined, 1]);
    const conversation = `u${Math.min(ann.id, li.id)}-${Math.max(ann.id, li.id)}`;
    const acted = await ann.client.request({
      msgid: 23,
      conversation,
      ref: 1,
      act: "react",
      emoji: "👍",
      on: true,
    });
    // What is no message cannot be replied to, nor what is not there.
    for (const reply of [0, -1, acted.seq, 99, 2 ** 60, 1.5, "1", null, [1]]) {
      assertEquals((await say(ann, li, { reply })).errno, 4, String(reply));
    }
    // Before version 3 it is a field like any other.
    assertEquals((await say(li, ann, { reply: "whatever" })).errno, 0);
    assertEquals((await ann.client.receive()).reply, "whatever");
    // A recalled message has been one.
    assertEquals((await ann.client.request({ msgid: 17, conversation, seq: 1 })).errno, 0);
    assertEquals((await say(ann, li, { reply: 1 })).errno, 0);
    // What was said before somebody came is not there for it.
    const { groupid = 0 } = await ann.client.request({
      msgid: 8,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    const { seq: early = 0 } = await ann.client.request(groupChat(ann, groupid, "early"));
    await wu.client.request({ msgid: 9, groupid });
    assertEquals((await wu.client.request(groupChat(wu, groupid, "x", { reply: early }))).errno, 4);
    assertEquals((await ann.client.request(groupChat(ann, groupid, "x", { reply: early }))).errno, 0);
  },

  "messages with and without references keep the order they were sent in": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await ann.client.request(chat(ann, li.id, "0"));
    const replies = await ann.client.requestAll(
      Array.from({ length: 30 }, (_, i) => chat(ann, li.id, String(i + 1), i % 3 === 0 ? { reply: 1 } : {})),
    );
    assertEquals(replies.map(({ seq }) => seq), Array.from({ length: 30 }, (_, i) => i + 2));
    assertEquals(
      (await li.client.receiveMany(31)).map(({ msg }) => msg),
      Array.from({ length: 31 }, (_, i) => String(i)),
    );
  },

  "whom a message names is noted, and goes with it": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    const { groupid = 0 } = await ann.client.request({
      msgid: 8,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    await li.client.request({ msgid: 9, groupid });
    await two.client.request({ msgid: 9, id: two.id, groupid });
    await ann.client.receiveMany(2);
    await li.client.receive();
    const conversation = `g${groupid}`;
    const say = (from: Person, mentions: unknown) =>
      from.client.request(groupChat(from, groupid, "x", { mentions }));
    const named = async () =>
      (await place.sql(
        `SELECT seq, userid FROM Mention WHERE conversation = '${conversation}' ORDER BY seq, userid`,
      ))
        .map((row) => row.map(Number));
    const { seq: one = 0 } = await say(ann, [li.id, li.id, ann.id, two.id]);
    assertEquals(await named(), [li.id, two.id].sort((a, b) => a - b).map((id) => [one, id]));
    assertEquals((await two.client.receive()).mentions, [li.id, li.id, ann.id, two.id]);
    const { seq: all = 0 } = await say(ann, "all");
    assertEquals((await named()).slice(2), [[all, 0]]);
    assertEquals((await say(li, "all")).errno, 7);
    assertEquals((await say(ann, Array.from({ length: 51 }, (_, i) => i + 1))).errno, 7);
    for (const mentions of ["", "li", 7, null, {}, [li.name], [0], [-1], [1.5], [[1]]]) {
      assertEquals((await say(ann, mentions)).errno, 4, JSON.stringify(mentions));
    }
    const everybody = chat(ann, li.id, "x", { mentions: "all" });
    assertEquals((await ann.client.request(everybody)).errno, 7);
    assertEquals((await say(ann, [])).errno, 0);
    // Before version 3 it is a field like any other.
    assertEquals((await say(two, "all")).errno, 0);
    assertEquals((await named()).length, 3);
    for (const seq of [one, all]) {
      assertEquals((await ann.client.request({ msgid: 23, conversation, ref: seq, act: "recall" })).errno, 0);
    }
    assertEquals(await named(), []);
  },
});
