/** What users do about their accounts as a whole: take their data with them, and delete them. */
import { assert, assertEquals } from "@std/assert";
import { chat, type Frame, groupChat, PASSWORD, type Person } from "../support/chat_client.ts";
import { onEachDatabase } from "../support/databases.ts";
import { logInDevice } from "../support/devices.ts";

type Line = { type?: string; [field: string]: unknown };

/** All lines of an export, and how many pages they came on. */
async function exported({ client }: Person): Promise<{ lines: Line[]; pages: number }> {
  const lines: Line[] = [];
  let after: unknown;
  for (let pages = 1;; pages++) {
    const page = await client.request({ msgid: 35, op: "export", ...(after === undefined ? {} : { after }) });
    assertEquals(page.errno, 0, JSON.stringify(page));
    lines.push(...(page.lines as string[]).map((line) => JSON.parse(line)));
    after = page.more;
    if (after === undefined) return { lines, pages };
  }
}

onEachDatabase("accounts", {
  "an export has what the user is, has, and may read, once and in order": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using eve = await place.newPerson("eve", { v: 3 });
    await ann.client.request({ msgid: 28, status: "at sea" });
    await ann.client.request({ msgid: 7, friendid: li.id });
    await ann.client.request({ msgid: 26, op: "block", id: eve.id });
    await eve.client.request(chat(eve, ann.id, "hidden"));
    const groupname = place.newName("g");
    const { groupid = 0 } = await ann.client.request({ msgid: 8, groupname, groupdesc: "" });
    const count = 450;
    for (let start = 0; start < count; start += 50) {
      const texts = Array.from({ length: 50 }, (_, i) => groupChat(ann, groupid, `${start + i}`));
      for (const { errno } of await ann.client.requestAll(texts)) assertEquals(errno, 0);
    }
    await li.client.request(chat(li, ann.id, "from li"));
    const conversation = `u${ann.id}-${li.id}`;
    await ann.client.request({ msgid: 29, conversation, muted_until: 5_000_000_000_000 });
    const { lines, pages } = await exported(ann);
    assert(pages >= 3, `${pages} pages`);
    const ofType = (type: string) => lines.filter((line) => line.type === type);
    assertEquals(ofType("user"), [{ type: "user", id: ann.id, name: ann.name, status: "at sea" }]);
    assertEquals(ofType("device").map(({ device_id }) => device_id), [ann.reply.device_id]);
    assertEquals(ofType("friend"), [{ type: "friend", id: li.id, name: li.name }]);
    assertEquals(ofType("blocked"), [{ type: "blocked", id: eve.id, name: eve.name }]);
    const places = ofType("conversation");
    assertEquals(
      places.map((line) => line.conversation).sort(),
      [
        `g${groupid}`,
        `u${ann.id}-${eve.id}`,
        conversation,
      ].sort(),
    );
    assertEquals(places.find((line) => line.conversation === `g${groupid}`)?.groupname, groupname);
    assertEquals(places.find((line) => line.conversation === conversation)?.muted_until, 5_000_000_000_000);
    const said = lines.filter((line) => line.conversation === `g${groupid}` && line.msgid === 10);
    assertEquals(said.map(({ msg }) => msg), Array.from({ length: count }, (_, i) => `${i}`));
    assertEquals(lines.filter(({ msg }) => msg === "from li").length, 1);
    assertEquals(lines.filter(({ msg }) => msg === "hidden"), []);
    assertEquals(JSON.stringify(lines).includes("scrypt"), false);
    for (const after of ["", "x", "u1-2", "u1-2 x", "g1 1 1", 7]) {
      const { errno } = await ann.client.request({ msgid: 35, op: "export", after });
      assertEquals(errno, 4, JSON.stringify(after));
    }
    // Of what one is not in nothing comes, whatever is asked for.
    const foreign = await eve.client.request({ msgid: 35, op: "export", after: `g${groupid} 0` });
    assertEquals((foreign.lines as string[]).filter((line) => line.includes('"msgid":10')), []);
  },

  "who deletes its account is gone at once, everywhere, and what was said stays, of a deleted user": async (
    place,
  ) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using tablet = await logInDevice(place.server.port, { id: ann.id });
    await using old = await place.comeBack(ann, { v: 2 });
    await using li = await place.newPerson("li", { v: 3 });
    await li.client.request({ msgid: 7, friendid: ann.id });
    await ann.client.request(chat(ann, li.id, "remember me"));
    const { groupid = 0 } = await ann.client.request({
      msgid: 8,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    await li.client.request({ msgid: 9, groupid });
    const ask = (fields: object) => ann.client.request({ msgid: 35, ...fields });
    const cases: [object, number][] = [
      [{ op: "delete", password: "wrong horse" }, 1],
      [{ op: "delete" }, 4],
      [{ op: "toString" }, 4],
      [{}, 4],
    ];
    for (const [fields, errno] of cases) assertEquals((await ask(fields)).errno, errno);
    assertEquals((await old.client.request({ msgid: 35, op: "export" })).errno, 5);
    assertEquals((await ask({ op: "delete", password: PASSWORD })).errno, 0);
    for (const { client } of [ann, tablet, old]) {
      const notice = (await client.receiveRest()).at(-1);
      assertEquals([notice?.code, notice?.reconnect], ["revoked", false]);
    }
    await using client = await place.connect();
    assertEquals((await client.request({ msgid: 1, v: 3, id: ann.id, password: PASSWORD })).errno, 1);
    assertEquals((await client.request({ msgid: 21, v: 3, token: tablet.reply.token })).errno, 11);
    // The name is free at once.
    const { errno, id } = await client.request({ msgid: 4, name: ann.name, password: PASSWORD });
    assertEquals(errno, 0);
    assert(id !== ann.id);
    await place.waitForId(
      `SELECT 1 FROM User WHERE id = ${ann.id} AND NOT EXISTS (SELECT 1 FROM Deletion) AND NOT EXISTS ` +
        `(SELECT 1 FROM GroupUser WHERE userid = ${ann.id})`,
    );
    const { messages = [] } = await li.client.request({ msgid: 15, conversation: `u${ann.id}-${li.id}` });
    assertEquals(messages.map(({ msg, name }: Frame) => [msg, name]), [["remember me", "deleted user"]]);
    assertEquals(await place.sql(`SELECT grouprole FROM GroupUser WHERE userid = ${li.id}`), [["creator"]]);
    await using back = await place.comeBack(li, { v: 3 });
    assertEquals(back.reply.friends, []);
  },

  "a deletion that was cut off is gone on with": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await ann.client.request(chat(ann, li.id, "left behind"));
    await place.sql(`INSERT INTO Deletion (userid, with_messages, due) VALUES (${ann.id}, 1, 5)`);
    await place.waitForId("SELECT 1 FROM User WHERE NOT EXISTS (SELECT 1 FROM Deletion) LIMIT 1");
    const { messages } = await li.client.request({ msgid: 15, conversation: `u${ann.id}-${li.id}` });
    assertEquals(messages, [{ seq: 1, recalled: true }] as unknown as Frame[]);
  },
});
