/** What users change of their own accounts. */
import { assertEquals, assertMatch } from "@std/assert";
import { chat, ChatClient, type Frame, groupChat, PASSWORD, type Person } from "../support/chat_client.ts";
import { onEachDatabase } from "../support/databases.ts";
import { type Device, logInDevice, resumeDevice } from "../support/devices.ts";

const isProfile = ({ msgid }: Frame) => msgid === 28;

function change(who: Person | Device, fields: object): Promise<Frame> {
  return who.client.request({ msgid: 28, ...fields });
}

/** What has been sent to a client before what the server does next. */
async function framesSoFar(client: ChatClient): Promise<Frame[]> {
  await client.send({ msgid: 4, name: "", password: "" });
  return await client.receiveUntil(({ msgid }) => msgid === 5);
}

function changePassword(who: Person | Device, old: string, wanted: string): Promise<Frame> {
  return change(who, { password: { old, new: wanted } });
}

onEachDatabase("profiles", {
  "another name and status are told to friends, to who shares a conversation, and to one's other devices":
    async (
      place,
    ) => {
      await using ann = await place.newPerson("ann", { v: 3 });
      await using tablet = await logInDevice(place.server.port, { id: ann.id });
      await using friend = await place.newPerson("friend", { v: 3 });
      await using peer = await place.newPerson("peer", { v: 3 });
      await using member = await place.newPerson("member", { v: 3 });
      await using old = await place.newPerson("old", { v: 2 });
      await using blocker = await place.newPerson("blocker", { v: 3 });
      await using stranger = await place.newPerson("stranger", { v: 3 });
      for (const who of [friend, old]) {
        await who.client.request({ msgid: 7, id: who.id, friendid: ann.id });
      }
      const groups: number[] = [];
      for (const name of ["one", "two"]) {
        const made = await ann.client.request({
          msgid: 8,
          groupname: place.newName(name),
          groupdesc: "",
          join: "open",
        });
        groups.push(Number(made.groupid));
        for (const who of [member, friend, blocker]) {
          await who.client.request({ msgid: 9, groupid: made.groupid });
        }
      }
      await blocker.client.request({ msgid: 26, op: "block", id: ann.id });
      await peer.client.request(chat(peer, ann.id, "hi"));
      await ann.client.request(groupChat(ann, groups[0] ?? 0, "as ann"));
      const name = place.newName("Anna");
      const status = "at sea ⛵";
      const { cid: _, ...reply } = await change(ann, { name, status });
      assertEquals(reply, { msgid: 11, errno: 0, id: ann.id, name, status });
      const told = { msgid: 28, id: ann.id, name, status };
      for (const { client } of [tablet, friend, peer, member]) {
        assertEquals(await client.take(isProfile), told);
      }
      // Who shares two groups, and is a friend besides, is told once; others are not told at all.
      await change(ann, { status: "ashore" });
      for (const { client } of [tablet, friend, peer, member]) {
        assertEquals((await client.take(isProfile)).status, "ashore");
      }
      for (const { client } of [old, blocker, stranger]) {
        assertEquals((await framesSoFar(client)).filter(isProfile), []);
      }
    },

  "history keeps the name of its time; what is said later has the new one": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 2 });
    const conversation = `u${ann.id}-${li.id}`;
    await ann.client.request(chat(ann, li.id, "1"));
    const name = place.newName("Anna");
    assertEquals((await change(ann, { name })).errno, 0);
    // A client that has not heard of it says the old one.
    await ann.client.request(chat(ann, li.id, "2"));
    const frames = await li.client.receiveMany(2);
    assertEquals(frames.map((frame) => frame.name), [ann.name, name]);
    const { messages = [] } = await li.client.request({ msgid: 15, conversation });
    assertEquals(messages.map((frame) => frame.name), [ann.name, name]);
    await li.client.request({ msgid: 7, id: li.id, friendid: ann.id });
    await change(ann, { status: "busy" });
    li.client.close();
    await place.offline(li.id);
    await using modern = await place.comeBack(li, { v: 3 });
    assertEquals(modern.reply.friends, [{ id: ann.id, name, state: "online", status: "busy" }]);
    await using byName = await logInDevice(place.server.port, { name });
    assertEquals(byName.id, ann.id);
    const gone = { msgid: 1, v: 3, name: ann.name, password: PASSWORD };
    await using client = await place.connect();
    assertEquals((await client.request(gone)).errno, 1);
  },

  "what is no name, no status or no password is refused, and changes nothing": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("Li", { v: 3 });
    const { cid: _, msgid: __, ...own } = await change(ann, {});
    assertEquals(own, { errno: 0, id: ann.id, name: ann.name, status: "" });
    const cases: [object, number][] = [
      [{ name: li.name.toUpperCase() }, 1],
      [{ name: "" }, 1],
      [{ name: "x".repeat(51) }, 1],
      [{ name: "li (2)" }, 1],
      [{ name: 7 }, 4],
      [{ name: null }, 4],
      [{ status: "x".repeat(101) }, 4],
      [{ status: "two\nlines" }, 4],
      [{ status: "\ud800" }, 4],
      [{ status: 1 }, 4],
      [{ name: place.newName("other"), status: "\u2028" }, 4],
      [{ password: PASSWORD }, 4],
      [{ password: { old: PASSWORD } }, 4],
      [{ password: { old: PASSWORD, new: 12345678 } }, 4],
      [{ password: { old: PASSWORD, new: "" } }, 1],
      [{ password: { old: PASSWORD, new: "x".repeat(513) } }, 1],
      [{ password: { old: "wrong horse", new: "another horse" } }, 1],
      [{ password: { old: "", new: "another horse" } }, 1],
      [{ password: { old: PASSWORD, new: "another horse" }, name: "x" }, 4],
    ];
    for (const [fields, errno] of cases) {
      assertEquals((await change(ann, fields)).errno, errno, JSON.stringify(fields));
    }
    assertEquals((await change(ann, {})).name, ann.name);
    // The same name in another case is still one's own; the longest status is as long as it may be in any script.
    const upper = ann.name.toUpperCase();
    const status = "界".repeat(98) + "🙂🙂";
    const { errno, name, status: kept } = await change(ann, { name: upper, status });
    assertEquals([errno, name, kept], [0, upper, status]);
    assertEquals((await change(ann, { status: "" })).status, "");
    await using old = await place.newPerson("old", { v: 2 });
    assertEquals((await change(old, {})).errno, 5);
  },

  "who changes too often has to wait": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const replies: Frame[] = [];
    for (let i = 0; i < 11; i++) replies.push(await change(ann, { status: `${i}` }));
    assertEquals(replies.map(({ errno }) => errno), [...Array(10).fill(0), 8]);
    // To say the same again is no change.
    assertEquals((await change(ann, { status: "9" })).errno, 0);
  },

  "another password ends whatever else is logged in, and every token, but for the connection it comes from":
    async (
      place,
    ) => {
      const { port } = place.server;
      const another = "battery staple";
      await using ann = await place.newPerson("ann", { v: 3 });
      await using tablet = await logInDevice(port, { id: ann.id });
      await using phone = await logInDevice(port, { id: ann.id });
      phone.client.close();
      await using old = await place.comeBack(ann, { v: 2 });
      const { errno, token } = await changePassword(ann, PASSWORD, another);
      assertEquals(errno, 0);
      for (const { client } of [tablet, old]) {
        const [notice] = (await client.receiveRest()).slice(-1);
        assertEquals([notice?.code, notice?.reconnect], ["revoked", false]);
      }
      const { devices = [] } = await ann.client.request({ msgid: 22, op: "list" });
      assertEquals((devices as Frame[]).map(({ device_id }) => device_id), [ann.reply.device_id]);
      const tried = async (request: { msgid: number; [field: string]: unknown }) => {
        await using client = await place.connect();
        return (await client.request({ v: 3, ...request })).errno;
      };
      for (const { reply } of [ann, tablet, phone]) {
        assertEquals(await tried({ msgid: 21, token: reply.token }), 11);
      }
      assertEquals(await tried({ msgid: 21, v: 2, token: old.reply.token }), 11);
      assertEquals(await tried({ msgid: 1, id: ann.id, password: PASSWORD }), 1);
      assertEquals(await tried({ msgid: 1, id: ann.id, password: another }), 0);
      // An order of the operators' would have come by now.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assertEquals((await ann.client.request({ msgid: 18 })).errno, 0);
      ann.client.close();
      await using back = await resumeDevice(port, { reply: { token } });
      assertEquals(back.device, ann.reply.device_id);
      assertMatch(
        JSON.stringify(await place.adminJson(["audit", "--of", String(ann.id)])),
        /"what":"password"/,
      );
    },

  "whoever guesses the old password has to wait like at a login": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const errnos: unknown[] = [];
    for (let i = 0; i < 6; i++) errnos.push((await changePassword(ann, `wrong ${i}`, "new horse")).errno);
    assertEquals(errnos, [1, 1, 1, 1, 1, 8]);
    await using client = await ChatClient.connect(place.server.port);
    assertEquals((await client.request({ msgid: 1, v: 3, id: ann.id, password: PASSWORD })).errno, 0);
  },
});
