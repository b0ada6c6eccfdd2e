/** What the log holds beside chat, as connections of each version see it. */
import { assertEquals } from "@std/assert";
import { chat, type Frame, groupChat, type Person } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";

/** Makes a group and resolves with its id. */
async function newGroup(place: Place, { id, client }: Person): Promise<number> {
  const { groupid = 0 } = await client.request({
    msgid: 8,
    id,
    groupname: place.newName("group"),
    groupdesc: "",
    join: "open",
  });
  return groupid;
}

async function join({ id, client }: Person, groupid: number): Promise<void> {
  assertEquals((await client.request({ msgid: 9, id, groupid })).errno, 0);
}

/** Without what another run has otherwise. */
function bare({ at: _at, ...frame }: Frame): object {
  return frame;
}

async function historyOf({ client }: Person, conversation: string, range: object = {}): Promise<Frame[]> {
  const { messages = [], errno } = await client.request({ msgid: 15, conversation, ...range });
  assertEquals(errno, 0);
  return messages;
}

onEachDatabase("entries", {
  "who makes a group and who joins it stands in the log, for version 3": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    await using one = await place.newPerson("one");
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await join(li, groupid);
    await join(two, groupid);
    await one.client.send({ msgid: 9, id: one.id, groupid });
    await one.client.fence();
    const joined = (seq: number, { id, name }: Person) => ({
      msgid: 25,
      what: "joined",
      id,
      name,
      by: id,
      conversation,
      seq,
    });
    assertEquals((await ann.client.receiveMany(3)).map(bare), [
      joined(2, li),
      joined(3, two),
      joined(4, one),
    ]);
    assertEquals((await li.client.receiveMany(2)).map(bare), [joined(3, two), joined(4, one)]);
    await ann.client.send(groupChat(ann, groupid, "hello"));
    // Versions 1 and 2 are sent what is said, and nothing else.
    for (const person of [two, one]) {
      const { msg, seq } = await person.client.receive();
      assertEquals([msg, seq], ["hello", 5]);
    }
    const [created, ...rest] = await historyOf(ann, conversation);
    const { groupname, ...frame } = created ?? { msgid: 0 };
    assertEquals(typeof groupname, "string");
    const made = { msgid: 25, what: "created", id: ann.id, name: ann.name, by: ann.id, conversation, seq: 1 };
    assertEquals(bare(frame), made);
    assertEquals(rest.map(({ msgid, seq }) => [msgid, seq]), [[25, 2], [25, 3], [25, 4], [10, 5]]);
    // A member's history begins with its own joining.
    assertEquals((await historyOf(li, conversation)).map(({ seq }) => seq), [2, 3, 4, 5]);
    assertEquals((await historyOf(two, conversation)).map(({ seq }) => seq), [5]);
    assertEquals(
      await place.sql(`SELECT seq, kind FROM Message WHERE conversation = '${conversation}' ORDER BY seq`),
      [["1", "2"], ["2", "2"], ["3", "2"], ["4", "2"], ["5", "0"]],
    );
    assertEquals(
      await place.sql(`SELECT last_seq, last_chat, members FROM Conversation WHERE id = '${conversation}'`),
      [["5", "5", "4"]],
    );
  },

  "who was away gets the entries it missed, in their places": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    await using late = await place.newPerson("late", { v: 2 });
    const groupid = await newGroup(place, ann);
    await join(li, groupid);
    await join(two, groupid);
    for (const { id, client } of [li, two]) {
      client.close();
      await place.offline(id);
    }
    await ann.client.request(groupChat(ann, groupid, "before"));
    await join(late, groupid);
    await ann.client.request(groupChat(ann, groupid, "behind"));
    await using again = await place.comeBack(li, { v: 3 });
    const missed = await again.client.receiveMany(4);
    assertEquals(missed.map(({ msgid, seq }) => [msgid, seq]), [[25, 3], [10, 4], [25, 5], [10, 6]]);
    // Until it says that it has them.
    await again.client.request({ msgid: 12, conversation: `g${groupid}`, seq: 4 });
    again.client.close();
    await place.offline(li.id);
    await using third = await place.comeBack(li, { v: 3 });
    assertEquals((await third.client.receiveMany(2)).map(({ seq }) => seq), [5, 6]);
    // Version 2 has holes there, and its place moves over them.
    await using old = await place.comeBack(two, { v: 2 });
    assertEquals((await old.client.receiveMany(2)).map(({ msg, seq }) => [msg, seq]), [["before", 4], [
      "behind",
      6,
    ]]);
    const hole = { msgid: 15, conversation: `g${groupid}`, after: 4, before: 6 };
    assertEquals((await old.client.request(hole)).messages, []);
    await old.client.request({ msgid: 12, conversation: `g${groupid}`, seq: 6 });
  },

  "the joining of a group that there is not, or twice, writes nothing": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 2 });
    const groupid = await newGroup(place, ann);
    assertEquals((await li.client.request({ msgid: 9, id: li.id, groupid: groupid + 1_000 })).errno, 6);
    await join(li, groupid);
    await join(li, groupid);
    await using again = await place.connect();
    li.client.close();
    await place.offline(li.id);
    await again.send({ msgid: 1, v: 2, id: li.id, password: "correct horse" });
    await again.receive();
    assertEquals((await again.request({ msgid: 9, id: li.id, groupid })).errno, 0);
    assertEquals(await place.sql(`SELECT last_seq FROM Conversation WHERE id = 'g${groupid}'`), [["2"]]);
  },

  "history of version 2 is whole, however many entries stand between its messages": async (place) => {
    await using ann = await place.newPerson("ann", { v: 2 });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await ann.client.request(groupChat(ann, groupid, "first"));
    const text = `{"msgid":25,"what":"joined","id":1,"name":"x","by":1}`;
    const rows = Array.from({ length: 300 }, (_, i) => `('${conversation}', ${3 + i}, 1, 1, '${text}', 2)`);
    await place.sql(
      `INSERT INTO Message (conversation, seq, sender, at, message, kind) VALUES ${rows.join(",")}`,
    );
    await place.sql(`UPDATE Conversation SET last_seq = 302 WHERE id = '${conversation}'`);
    await ann.client.request(groupChat(ann, groupid, "last"));
    const page = async (range: object) => {
      const { messages = [], more } = await ann.client.request({ msgid: 15, conversation, ...range });
      return [...messages.map(({ seq }) => seq), more];
    };
    assertEquals(await page({}), [2, 303, false]);
    assertEquals(await page({ limit: 1 }), [303, true]);
    assertEquals(await page({ before: 303, limit: 1 }), [2, false]);
    assertEquals(await page({ after: 0, limit: 1 }), [2, true]);
    assertEquals(await page({ after: 2 }), [303, false]);
    assertEquals(await page({ after: 2, before: 303 }), [false]);
  },

  "no client's message passes for an entry of another kind": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const { msgid: _, ...rest } = chat(ann, li.id, "forged");
    const tail = JSON.stringify(rest).slice(1);
    for (const msgid of ["23", "25"]) {
      await ann.client.send(`{"msgid":${msgid},"msgid":6,${tail}`);
      const { msgid: told, msg } = await li.client.receive();
      assertEquals([told, msg], [6, "forged"]);
    }
    assertEquals(
      await place.sql(`SELECT COUNT(*) FROM Message WHERE sender = ${ann.id} AND kind <> 0`),
      [["0"]],
    );
    const texts = await place.sql(`SELECT message FROM Message WHERE sender = ${ann.id}`);
    assertEquals(texts.filter(([text = ""]) => !text.startsWith('{"msgid":6,')), []);
  },
});
