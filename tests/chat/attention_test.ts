/** What draws a user's attention, and what does not: conversations that are muted, and who is typing. */
import { assertEquals } from "@std/assert";
import { chat, type ChatClient, type Frame, type Person } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { logInDevice } from "../support/devices.ts";

/** What has been sent to a client before what the server does next. */
async function framesSoFar(client: ChatClient): Promise<Frame[]> {
  await client.send({ msgid: 4, name: "", password: "" });
  return await client.receiveUntil(({ msgid }) => msgid === 5);
}

function mutedUntil(standing: object): unknown {
  return "muted_until" in standing ? standing.muted_until : undefined;
}

function type(who: Person, conversation: unknown): Promise<Frame> {
  return who.client.request({ msgid: 30, conversation });
}

async function typingSoFar({ client }: Person): Promise<unknown[]> {
  const frames = await framesSoFar(client);
  return frames.filter(({ msgid }) => msgid === 30).map(({ conversation, id }) => [conversation, id]);
}

/** Two users of version 3 with a conversation. */
async function two(place: Place): Promise<{ ann: Person; li: Person; conversation: string }> {
  const ann = await place.newPerson("ann", { v: 3 });
  const li = await place.newPerson("li", { v: 3 });
  await ann.client.request(chat(ann, li.id, "hi"));
  await li.client.take(({ msgid }) => msgid === 6);
  return { ann, li, conversation: `u${ann.id}-${li.id}` };
}

onEachDatabase("attention", {
  "a conversation is muted on all devices, until then or until it is not": async (place) => {
    const { ann, li, conversation } = await two(place);
    await using tablet = await logInDevice(place.server.port, { id: ann.id });
    const mute = (who: Person, fields: object) => who.client.request({ msgid: 29, conversation, ...fields });
    const until = Date.now() + 3_600_000;
    for (let time = 1; time <= 2; time++) {
      const { cid: _, ...reply } = await mute(ann, { muted_until: until });
      assertEquals(reply, { msgid: 11, errno: 0, conversation, muted_until: until } as Frame);
      assertEquals(
        await tablet.client.take(({ msgid }) => msgid === 29),
        { msgid: 29, conversation, muted_until: until } as Frame,
      );
    }
    assertEquals((await framesSoFar(ann.client)).filter(({ msgid }) => msgid === 29), []);
    const shown = async (who: Person) => {
      const { conversations = [] } = await who.client.request({ msgid: 34 });
      return conversations.map(mutedUntil);
    };
    assertEquals([await shown(ann), await shown(li)], [[until], [undefined]]);
    await using phone = await logInDevice(place.server.port, { id: ann.id });
    assertEquals(phone.reply.conversations?.map(mutedUntil), [until]);
    // A time that is over is none.
    assertEquals((await mute(ann, { muted_until: 5 })).errno, 0);
    assertEquals(await shown(ann), [undefined]);
    await mute(ann, { muted_until: until });
    assertEquals((await mute(ann, { muted_until: null })).muted_until, null);
    assertEquals(await shown(ann), [undefined]);
    const cases: [object, number][] = [
      [{}, 4],
      [{ muted_until: "1" }, 4],
      [{ muted_until: -1 }, 4],
      [{ muted_until: 1.5 }, 4],
      [{ muted_until: until, conversation: 7 }, 4],
      [{ muted_until: until, conversation: "g999999" }, 6],
      [{ muted_until: until, conversation: `u${li.id}-999999` }, 6],
      [{ muted_until: until, conversation: "toString" }, 6],
    ];
    for (const [fields, errno] of cases) {
      assertEquals((await mute(ann, fields)).errno, errno, JSON.stringify(fields));
    }
    await using old = await place.comeBack(li, { v: 2 });
    assertEquals((await mute(old, { muted_until: until })).errno, 5);
    for (const { client } of [ann, li]) client.close();
  },

  "the other one is told who is typing, once in three seconds, and nothing is stored": async (place) => {
    const { ann, li, conversation } = await two(place);
    await using tablet = await logInDevice(place.server.port, { id: ann.id });
    await using old = await place.comeBack(li, { v: 2 });
    for (let time = 1; time <= 3; time++) assertEquals((await type(ann, conversation)).errno, 0);
    assertEquals(await typingSoFar(li), [[conversation, ann.id]]);
    assertEquals((await type(li, conversation)).errno, 0);
    assertEquals(await typingSoFar(ann), [[conversation, li.id]]);
    assertEquals((await framesSoFar(tablet.client)).filter(({ msgid }) => msgid === 30).length, 1);
    assertEquals(await typingSoFar(old), []);
    const entries = await place.sql(`SELECT COUNT(*) FROM Message WHERE conversation = '${conversation}'`);
    assertEquals(entries, [["1"]]);
    const cases: [unknown, number][] = [
      [`u${ann.id}-999999`, 6],
      ["g999999", 6],
      ["", 6],
      [undefined, 4],
      [7, 4],
    ];
    for (const [place, errno] of cases) assertEquals((await type(ann, place)).errno, errno);
    assertEquals((await type(old, conversation)).errno, 5);
    for (const { client } of [ann, li]) client.close();
  },

  "whom one blocks does not show as typing, in groups neither": async (place) => {
    const { ann, li, conversation } = await two(place);
    const made = await ann.client.request({
      msgid: 8,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    await li.client.request({ msgid: 9, groupid: made.groupid });
    await using li2 = await logInDevice(place.server.port, { id: li.id });
    await li.client.request({ msgid: 26, op: "block", id: ann.id });
    for (const where of [conversation, `g${made.groupid}`]) {
      assertEquals((await type(ann, where)).errno, 0);
      assertEquals((await type(li, where)).errno, 0);
    }
    for (const { client } of [li, li2]) {
      assertEquals((await framesSoFar(client)).filter(({ msgid }) => msgid === 30), []);
    }
    assertEquals((await typingSoFar(ann)).length, 2);
    for (const { client } of [ann, li]) client.close();
  },

  "in groups of more than 50 nobody is told": async (place) => {
    const { ann, li } = await two(place);
    const told: unknown[] = [];
    for (const members of [50, 51]) {
      const made = await ann.client.request({
        msgid: 8,
        groupname: place.newName("g"),
        groupdesc: "",
        join: "open",
      });
      await li.client.request({ msgid: 9, groupid: made.groupid });
      await place.sql(`UPDATE Conversation SET members = ${members} WHERE id = 'g${made.groupid}'`);
      assertEquals((await type(ann, `g${made.groupid}`)).errno, 0);
      told.push((await typingSoFar(li)).length);
    }
    assertEquals(told, [1, 0]);
    for (const { client } of [ann, li]) client.close();
  },
});
