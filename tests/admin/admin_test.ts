/** What operators do to the database, and that the nodes on it follow. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { adminHelp } from "../../lib/admin/admin.ts";
import { EXIT } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/logger.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { Users } from "../../lib/store/users.ts";
import {
  chat,
  ChatClient,
  type Frame,
  groupChat,
  newPerson,
  PASSWORD,
  type Person,
} from "../support/chat_client.ts";
import { type Device, logInDevice, newDevice } from "../support/devices.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { runProgram, startMariaDb, startServer } from "../support/services.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";

/** Nodes follow within this, ms: two seconds, and what a busy machine takes to say so. */
const FOLLOW_MS = 3_000;

/** The last frame before the server closes the connection, which has to be soon. */
async function lastFrame({ client }: Person): Promise<Frame | undefined> {
  const frames = await client.receiveRest(FOLLOW_MS);
  return frames.at(-1);
}

async function logInErrno(place: Place, id: number, password: string): Promise<number | undefined> {
  await using client = await place.connect();
  return (await client.request({ msgid: 1, v: 2, id, password })).errno;
}

onEachDatabase("administration", {
  "users are listed, found by name and id, and shown": async (place) => {
    await using li = await place.newPerson("Lí", { v: 2 });
    await using wu = await place.newPerson("wu", { v: 2 });
    await li.client.request({ msgid: 7, id: li.id, friendid: wu.id });
    await li.client.request({
      msgid: 8,
      id: li.id,
      groupname: place.newName("club"),
      groupdesc: "",
      join: "open",
    });
    await li.client.request(chat(li, wu.id, "hello"));
    const { users, more } = await place.adminJson([
      "users",
      "list",
      "--after",
      String(li.id - 1),
      "--limit",
      "1",
    ]);
    const entry = { id: li.id, name: li.name, state: "online", status: "active", administrator: false };
    assertEquals([users, more], [[entry], true]);
    const found = await place.adminJson(["users", "search", li.name.toUpperCase().slice(0, -1)]);
    assert(found.users.some(({ id }: { id: number }) => id === li.id));
    const shown = await place.adminJson(["users", "show", li.name.toUpperCase()]);
    assertEquals([shown.id, shown.messages, shown.conversations], [li.id, 1, 2]);
    assertEquals(shown.friends.map(({ id }: { id: number }) => id), [wu.id]);
    assertEquals(shown.groups.map(({ role }: { role: string }) => role), ["creator"]);
    const text = await place.admin(["users", "show", String(li.id)]);
    assertMatch(text.stdout, /^id +name +state +status +role\n\d+ +Lí \d+ +online +active +user\n/);
    const nobody = await place.admin(["users", "show", "=1"]);
    assertEquals([nobody.code, nobody.stderr], [EXIT.failure, 'chatserver: There is no user "=1"\n']);
  },
  "a password comes from standard input, ends sessions and tokens, and stands on no command line": async (
    place,
  ) => {
    await using li = await place.newPerson("pass", { v: 2 });
    const { token } = li.reply;
    const misuse = await place.admin(["password", String(li.id), "secret 2"]);
    assertEquals(misuse.code, EXIT.usage);
    const { code, stdout } = await place.admin(["password", li.name], "secret 2\n");
    assertEquals(code, 0);
    assertEquals(stdout.includes("secret"), false);
    const notice = await lastFrame(li);
    assertEquals([notice?.code, notice?.reconnect], ["revoked", false]);
    await using client = await place.connect();
    assertEquals((await client.request({ msgid: 21, v: 2, token })).errno, 11);
    assertEquals(await logInErrno(place, li.id, PASSWORD), 1);
    assertEquals(await logInErrno(place, li.id, "secret 2"), 0);
    const made = await place.adminJson(["password", String(li.id), "--generate"]);
    await using again = await place.connect();
    const reply = await again.request({ msgid: 1, v: 2, id: li.id, password: made.password });
    assertEquals(reply.errno, 0);
    // The node may hear of the change only now: who knows the new password is not meant.
    await again.expectNothing(FOLLOW_MS);
  },
  "a code lets its user choose a password": async (place) => {
    await using li = await place.newPerson("coded", { v: 2 });
    const { code } = await place.adminJson(["password", String(li.id), "--code", "--lifetime", "1h"]);
    const later = await place.adminJson(["password", li.name, "--link", "https://chat.example/c"]);
    assertEquals(later.link, `https://chat.example/c#reset-${later.code}`);
    const printed = await place.admin(["password", li.name, "--link", "ftp://chat.example"]);
    assertEquals(printed.code, EXIT.usage);
    await using client = await place.connect();
    const reset = (code: string) => client.request({ msgid: 36, v: 2, code, password: "chosen 1" });
    assertEquals((await reset(code)).errno, 1, "the one before is worth nothing");
    assertEquals((await reset(later.code)).errno, 0);
    assertEquals((await lastFrame(li))?.code, "revoked");
    assertEquals(await logInErrno(place, li.id, "chosen 1"), 0);
  },
  "who is disabled is sent away and cannot log in, until enabled": async (place) => {
    await using li = await place.newPerson("disabled", { v: 2 });
    await using old = await place.newPerson("disabled old");
    for (const person of [li, old]) await place.adminJson(["disable", String(person.id)]);
    assertEquals((await lastFrame(li))?.code, "revoked");
    assertEquals((await lastFrame(old))?.code, "revoked");
    await using client = await place.connect();
    const refused = await client.request({ msgid: 1, v: 2, id: li.id, password: PASSWORD });
    assertEquals([refused.errno, refused.errmsg], [1, "This account has been disabled"]);
    assertEquals(
      (await client.request({ msgid: 1, v: 2, id: li.id, password: "guess" })).errmsg,
      "Wrong id or password",
    );
    assertEquals((await client.request({ msgid: 21, v: 2, token: li.reply.token })).errno, 11);
    await place.adminJson(["enable", li.name]);
    assertEquals(await logInErrno(place, li.id, PASSWORD), 0);
  },
  "the role of an administrator is given and taken, and whoever is deleted has none": async (place) => {
    await using elsewhere = await place.elsewhere([]);
    await using li = await elsewhere.newPerson("li", { v: 2 });
    await using wu = await elsewhere.newPerson("wu", { v: 2 });
    const listed = async () =>
      (await elsewhere.adminJson(["administrators"])).users.map(({ id }: { id: number }) => id);
    assertEquals(await listed(), []);
    for (const { name } of [li, wu]) await elsewhere.adminJson(["grant", name]);
    assertEquals(await elsewhere.adminJson(["grant", li.name]), { id: li.id, administrator: true });
    assertEquals(await listed(), [li.id, wu.id]);
    assertMatch((await elsewhere.admin(["users", "show", li.name])).stdout, / administrator$/m);
    await elsewhere.adminJson(["revoke", li.name]);
    await elsewhere.adminJson(["delete", wu.name, "--yes"]);
    assertEquals(await listed(), []);
    assertEquals((await elsewhere.admin(["grant", String(wu.id)])).code, EXIT.failure);
    const { events } = await elsewhere.adminJson(["audit"]);
    assertEquals(
      events.map(({ what }: { what: string }) => what),
      ["grant", "grant", "revoke", "delete"],
      "and nothing that changed nothing",
    );
  },
  "nobody slips in who was on the way while disabled": async (place) => {
    const li = await place.newPerson("slippery", { v: 2 });
    let isOver = false;
    let goneAt = 0;
    const knock = async () => {
      while (!isOver) {
        await using client = await place.connect();
        const { errno } = await client.request({ msgid: 1, v: 2, id: li.id, password: PASSWORD });
        // What comes after this is refused for good.
        if (errno === 1) return;
        if (errno !== 0) continue;
        await client.receiveRest();
        goneAt = performance.now();
      }
    };
    const knocking = Promise.all(Array.from({ length: 8 }, knock));
    await place.adminJson(["disable", String(li.id)]);
    const disabledAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    isOver = true;
    li.client.close();
    await knocking;
    assertLess(goneAt - disabledAt, FOLLOW_MS);
    assertEquals(await place.sql(`SELECT state FROM User WHERE id = ${li.id}`), [["offline"]]);
  },
  "who is deleted is gone, and what was said stays, of a deleted user": async (place) => {
    await using li = await place.newPerson("going", { v: 2 });
    await using wu = await place.newPerson("staying", { v: 2 });
    await wu.client.request({ msgid: 7, id: wu.id, friendid: li.id });
    const { groupid } = await li.client.request({
      msgid: 8,
      id: li.id,
      groupname: place.newName("left"),
      groupdesc: "",
      join: "open",
    });
    await wu.client.request({ msgid: 9, id: wu.id, groupid });
    const said = '{"msgid":6,"id":' + li.id + ',"name":"' + li.name + '","toid":' + wu.id +
      ',"msg":"keep \\"me\\"","time":"t","n":12345678901234567890,"cid":"x"}';
    await li.client.send(said);
    await wu.client.take(({ msgid }) => msgid === 6);
    await li.client.request(groupChat(li, Number(groupid), "to all"));
    assertEquals((await place.admin(["delete", li.name])).code, EXIT.usage, "not without --yes");
    const report = await place.adminJson(["delete", li.name, "--yes"]);
    assertEquals(report, { id: li.id, groups: 1, messages: 3 });
    assertEquals((await lastFrame(li))?.code, "revoked");
    await using again = await place.comeBack({ id: wu.id, name: wu.name }, { v: 2 }).catch(async () => {
      wu.client.close();
      await place.offline(wu.id);
      return await place.comeBack(wu, { v: 2 });
    });
    assertEquals(again.reply.friends, undefined);
    const groups: { id: number; users: { id: number; role: string }[] }[] = JSON.parse(
      JSON.stringify(again.reply.groups),
    );
    assertEquals(groups.map(({ users }) => users.map(({ id, role }) => [id, role])), [[[wu.id, "creator"]]]);
    const entries = await place.sql(
      `SELECT message FROM Message WHERE conversation = 'g${groupid}' AND kind = 2 ORDER BY seq`,
    );
    assertEquals(
      entries.flat().map((text) => JSON.parse(text)).map(({ what, id, by, name }) => [what, id, by, name]),
      [
        ["created", li.id, li.id, "deleted user"],
        ["joined", wu.id, wu.id, wu.name],
        ["left", li.id, li.id, "deleted user"],
        ["role", wu.id, li.id, wu.name],
      ],
    );
    const conversation = li.id < wu.id ? `u${li.id}-${wu.id}` : `u${wu.id}-${li.id}`;
    await again.client.send({ msgid: 15, cid: "h", conversation });
    const page = await again.client.receiveText();
    assertStringIncludes(page, '"name":"deleted user"');
    assertStringIncludes(page, '"msg":"keep \\"me\\"","time":"t","n":12345678901234567890');
    assertEquals((await again.client.request(chat(again, li.id, "hello?"))).errno, 6);
    assertEquals(await logInErrno(place, li.id, PASSWORD), 1);
    await using newcomer = await newPerson(place.server.port, li.name, { v: 2 });
    assertGreater(newcomer.id, wu.id);
    const audit = await place.adminJson(["audit", "--of", String(li.id)]);
    assertEquals(audit.events.map(({ what }: { what: string }) => what), ["delete"]);
    assertMatch(audit.events[0].actor, /^tester@/);
  },
  "what was done by and to who is deleted stays, and names nobody but the others": async (place) => {
    await using ann = await newDevice(place.server.port, place.newName("host"));
    await using li = await newDevice(place.server.port, place.newName("named"));
    await using wu = await newDevice(place.server.port, place.newName("other"));
    const { groupid } = await ann.client.request({
      ...{ msgid: 8, groupname: place.newName("named"), groupdesc: "", join: "open" },
    });
    await li.client.request({ msgid: 9, groupid });
    await ann.client.request({ msgid: 24, op: "role", groupid, id: li.id, role: "admin" });
    await wu.client.request({ msgid: 7, friendid: li.id });
    assertEquals((await li.client.request({ msgid: 24, op: "add", groupid, id: wu.id })).errno, 0);
    await place.adminJson(["delete", li.name, "--yes"]);
    const { messages } = await ann.client.request({ msgid: 15, conversation: `g${groupid}` });
    const gone = "deleted user";
    assertEquals(messages?.map(({ what, name, by, by_name }: Frame) => [what, name, by, by_name]), [
      ["created", ann.name, ann.id, undefined],
      ["joined", gone, li.id, undefined],
      ["role", gone, ann.id, ann.name],
      ["added", wu.name, li.id, gone],
      ["left", gone, li.id, undefined],
    ]);
    assertEquals(await place.sql(`SELECT conversation FROM Member WHERE userid = ${li.id}`), []);
  },
  "with messages their texts go, too": async (place) => {
    await using li = await place.newPerson("erased", { v: 2 });
    await using wu = await place.newPerson("reader", { v: 2 });
    for (let i = 0; i < 3; i++) await li.client.request(chat(li, wu.id, "erase me"));
    await place.adminJson(["delete", li.name, "--with-messages", "--yes"]);
    const { conversation } = await wu.client.take(({ msgid }) => msgid === 6);
    const { messages } = await wu.client.request({ msgid: 15, conversation });
    assertEquals(messages?.map(({ seq, recalled }) => [seq, recalled]), [[1, true], [2, true], [3, true]]);
  },
  "a group whose last member is deleted is dissolved": async (place) => {
    await using li = await place.newPerson("alone", { v: 3 });
    await using wu = await place.newPerson("invited", { v: 3 });
    const groupname = place.newName("only mine");
    const make = (who: Person) => who.client.request({ msgid: 8, id: who.id, groupname, groupdesc: "" });
    const { groupid } = await make(li);
    const { link } = await li.client.request({ msgid: 24, op: "link", groupid });
    await place.adminJson(["delete", li.name, "--yes"]);
    assertEquals((await wu.client.request({ msgid: 24, op: "join", link })).errno, 6);
    assertEquals((await make(wu)).errno, 0);
  },
  "sessions are listed and ended": async (place) => {
    await using li = await place.newPerson("kicked", { v: 2 });
    const { sessions: [session] } = await place.adminJson(["sessions", "list", li.name]);
    assertEquals([session.id, session.state], [li.id, "online"]);
    assertGreater(session.token_until, Date.now());
    await place.adminJson(["sessions", "end", li.name]);
    const notice = await lastFrame(li);
    assertEquals([notice?.code, notice?.text], ["revoked", "An operator has ended this session."]);
    assertEquals(await logInErrno(place, li.id, PASSWORD), 0);
  },
  "devices are listed with their user, and one of them is ended": async (place) => {
    const name = place.newName("several");
    await using phone = await newDevice(place.server.port, name);
    await using laptop = await logInDevice(place.server.port, { name, device: "laptop" });
    const { sessions, devices } = await place.adminJson(["sessions", "list", name]);
    assertEquals([sessions[0].id, sessions[0].state, sessions[0].devices], [phone.id, "online", 2]);
    assertEquals(devices.map(({ id }: { id: number }) => id), [phone.device, laptop.device]);
    assertEquals(devices[1].name, "laptop");
    assertGreater(devices[1].token_until, Date.now());
    assertEquals(sessions[0].token_until, devices[1].token_until);
    const all = await place.adminJson(["sessions", "list", "--after", String(phone.id - 1)]);
    assertEquals(all.sessions, sessions);
    const shown = await place.adminJson(["users", "show", name]);
    assertEquals([shown.token_until, shown.devices], [null, devices]);

    assertEquals((await place.admin(["sessions", "end", name, "999999"])).code, EXIT.failure);
    assertEquals(await place.adminJson(["sessions", "end", name, String(laptop.device)]), {
      id: phone.id,
      device: laptop.device,
    });
    assertEquals((await laptop.client.receiveRest(FOLLOW_MS)).at(-1)?.code, "revoked");
    await using again = await place.connect();
    assertEquals((await again.request({ msgid: 21, v: 3, token: laptop.reply.token })).errno, 11);
    await phone.client.fence();

    await place.adminJson(["sessions", "end", name]);
    assertEquals((await phone.client.receiveRest(FOLLOW_MS)).at(-1)?.code, "revoked");
    assertEquals((await again.request({ msgid: 21, v: 3, token: phone.reply.token })).errno, 11);
    const { devices: [rest, ...others] } = await place.adminJson(["sessions", "list", name]);
    assertEquals(
      [rest.id, rest.token_until, others],
      [phone.device, null, []],
      "it goes on with the password",
    );
  },
  "groups are listed and shown": async (place) => {
    await using li = await place.newPerson("founder", { v: 2 });
    const groupname = place.newName("Grüppe");
    const { groupid } = await li.client.request({
      msgid: 8,
      id: li.id,
      groupname,
      groupdesc: "d",
      join: "open",
    });
    const { groups } = await place.adminJson(["groups", "list", "--after", String(Number(groupid) - 1)]);
    assertEquals(groups, [{ id: groupid, groupname, groupdesc: "d", members: 1 }]);
    const { members } = await place.adminJson(["groups", "show", groupname.toUpperCase()]);
    assertEquals(members, [{ id: li.id, name: li.name, state: "online", role: "creator" }]);
  },
  "groups are handed over and dissolved, and their members hear of it and by whom": async (place) => {
    await using ann = await newDevice(place.server.port, place.newName("owner"));
    await using li = await newDevice(place.server.port, place.newName("heir"));
    await using old = await place.newPerson("old member", { v: 2 });
    const groupname = place.newName("handed over");
    const { groupid } = await ann.client.request({ msgid: 8, groupname, groupdesc: "", join: "open" });
    for (const person of [li, old]) await person.client.request({ msgid: 9, id: person.id, groupid });
    const take = (device: Device, what: string) =>
      device.client.take((frame) => frame.msgid === 25 && frame.what === what);
    assertEquals(
      (await place.admin(["groups", "transfer", groupname, place.newName("x")])).code,
      EXIT.failure,
    );
    assertEquals((await place.admin(["groups", "transfer", groupname, ann.name])).code, EXIT.failure);
    const transferred = await place.adminJson(["groups", "transfer", groupname, li.name]);
    assertEquals(transferred, { id: groupid, user: li.id });
    for (const device of [ann, li]) {
      const { id, by, by_name, role } = await take(device, "role");
      assertEquals([id, by, by_name, role], [li.id, 0, "operator", "creator"]);
    }
    const shown = await place.adminJson(["groups", "show", groupname]);
    assertEquals(shown.members.map(({ role }: { role: string }) => role), ["admin", "creator", "normal"]);
    const own = { msgid: 24, op: "role", groupid, id: ann.id, role: "normal" };
    assertEquals((await ann.client.request({ ...own, id: li.id })).errno, 7);
    assertEquals((await li.client.request(own)).errno, 0);

    assertEquals(
      (await place.admin(["groups", "dissolve", groupname])).code,
      EXIT.usage,
      "not without --yes",
    );
    assertEquals(await place.adminJson(["groups", "dissolve", groupname, "--yes"]), { id: groupid });
    for (const device of [ann, li]) {
      const { id, name, by } = await take(device, "dissolved");
      assertEquals([id, name, by], [0, "operator", 0]);
      assertEquals((await device.client.request({ msgid: 10, groupid, msg: "?", cid: "c" })).errno, 7);
    }
    await old.client.fence();
    const listed = await place.adminJson(["groups", "list", "--after", String(Number(groupid) - 1)]);
    assertEquals(listed.groups, []);
    assertGreater((await place.adminJson(["groups", "show", String(groupid)])).dissolved, 0);
    const again = await place.admin(["groups", "dissolve", `${groupname} (${groupid})`, "--yes"]);
    assertEquals(again.code, EXIT.failure, again.stdout);
    const { events } = await place.adminJson(["audit", "--limit", "2"]);
    assertEquals(events.map(({ what, detail }: { what: string; detail: object }) => [what, detail]), [
      ["transfer", { group: groupid, name: groupname }],
      ["dissolve", { group: groupid, name: groupname }],
    ]);
    assertEquals((await place.adminJson(["check"])).findings, []);
    const dump = await place.admin(["export", "conversation", `g${groupid}`]);
    const imported = await place.adminJson(["import"], dump.stdout);
    assertEquals([imported.imported, imported.refused], [0, 0], "an operator is no user");
  },
  "an announcement reaches everybody who is online, in both versions, and ends nothing": async (place) => {
    await using li = await place.newPerson("hearing", { v: 2 });
    await using old = await place.newPerson("hearing old");
    await place.adminJson(["announce", "tea", "at", "five 🍵"]);
    const notice = await li.client.receive(FOLLOW_MS);
    assertEquals([notice.msgid, notice.code, notice.text], [20, "announcement", "tea at five 🍵"]);
    const message = await old.client.receive(FOLLOW_MS);
    assertEquals([message.msgid, message.id, message.toid, message.msg], [6, 0, old.id, "tea at five 🍵"]);
    for (const { client } of [li, old]) await client.fence();
  },
  "whom limits hold up is told by running nodes, and they let go": async (place) => {
    await using elsewhere = await place.elsewhere(["--message-rate", "1", "--node", "one"]);
    await using li = await elsewhere.newPerson("chatty", { v: 2 });
    await using wu = await elsewhere.newPerson("patient", { v: 2 });
    const say = async () => (await li.client.request(chat(li, wu.id, "x"))).errno;
    assertEquals(await elsewhere.adminJson(["limits", "list"]), { nodes: ["one"], limited: [], more: 0 });
    let errno = 0;
    while (errno === 0) errno = await say() ?? -1;
    assertEquals(errno, 8);
    const { limited: [entry, ...others], more } = await elsewhere.adminJson(["limits", "list"]);
    assertEquals([entry.node, entry.limit, entry.user, entry.name], ["one", "messages", li.id, li.name]);
    assertEquals(
      [entry.address, entry.times, others, more],
      [null, 1, [], 0],
      "loopback is nobody's address",
    );
    assertGreater(entry.until, entry.last);
    await elsewhere.adminJson(["limits", "lift", li.name]);
    // A token a second is all there would be otherwise.
    await waitFor("twice in a row", async () => await say() === 0 && await say() === 0 && await say() === 0);
    assertEquals(
      (await elsewhere.adminJson(["limits", "list"])).limited.map(({ times }: { times: number }) =>
        times > 0
      ),
      [],
    );
    assertEquals(await elsewhere.adminJson(["limits", "lift", "2001:db8::7"]), {
      address: "2001:db8:0:0::/64",
    });
    assertEquals((await elsewhere.admin(["limits", "lift", "127.0.0.1"])).code, EXIT.failure);
    const { events } = await elsewhere.adminJson(["audit"]);
    assertEquals(events.map(({ what, userId }: { what: string; userId: number }) => [what, userId]), [
      ["lift", li.id],
      ["lift", null],
    ]);
    assertEquals(await elsewhere.sql("SELECT COUNT(*) FROM NodeReport WHERE question > 0"), [["3"]]);
  },
  "invitations are made, used and withdrawn": async (place) => {
    await using elsewhere = await place.elsewhere(["--signup", "invite"]);
    const { code } = await elsewhere.adminJson(["invite", "--uses", "2", "--note", "class"]);
    const signup = async (invite: string) => {
      await using client = await elsewhere.connect();
      const name = elsewhere.newName("guest");
      return (await client.request({ msgid: 4, v: 2, name, password: PASSWORD, invite })).errno;
    };
    assertEquals(await signup(code), 0);
    const { codes: [row] } = await elsewhere.adminJson(["codes", "list"]);
    assertEquals([row.kind, row.used, row.uses, row.note], ["invite", 1, 2, "class"]);
    assertEquals((await elsewhere.admin(["codes", "withdraw", "99"])).code, EXIT.failure);
    await elsewhere.adminJson(["codes", "withdraw", String(row.id)]);
    assertEquals(await signup(code), 7);
    const { events } = await elsewhere.adminJson(["audit"]);
    assertEquals(
      events.map(({ what }: { what: string }) => what),
      ["invite", "withdraw"],
      "and nothing that failed",
    );
  },
  "old messages are trimmed while others are written, and history begins later": async (place) => {
    await using li = await place.newPerson("old li", { v: 2 });
    await using wu = await place.newPerson("old wu", { v: 2 });
    await using away = await place.newPerson("old away", { v: 2 });
    away.client.close();
    const [count, old] = [2_600, 2_500];
    const now = Date.now();
    const conversation = `u${li.id}-${wu.id}`;
    const waiting = `u${li.id}-${away.id}`;
    const finished = `u${wu.id}-${away.id}`;
    const rows: string[] = [];
    const add = (conversation: string, to: number, seq: number, at: number) => {
      const text = JSON.stringify(chat(li, to, `text ${seq}`)).replaceAll("'", "''");
      rows.push(`('${conversation}', ${seq}, ${li.id}, ${at}, '${text}')`);
    };
    for (let seq = 1; seq <= count; seq++) {
      add(conversation, wu.id, seq, seq <= old ? now - 30 * 86_400_000 : now - 3_600_000);
    }
    for (let seq = 1; seq <= 5; seq++) {
      add(waiting, away.id, seq, now - 30 * 86_400_000);
      add(finished, away.id, seq, now - 30 * 86_400_000);
    }
    while (rows.length > 0) {
      await place.sql(
        `INSERT INTO Message (conversation, seq, sender, at, message) VALUES ${
          rows.splice(0, 500).join(",")
        }`,
      );
    }
    const member = (user: number, conversation: string, at: number) =>
      `(${user}, '${conversation}', ${at}, ${at})`;
    await place.sql(
      "INSERT INTO Conversation (id, last_seq, members) VALUES " +
        `('${conversation}', ${count}, 2), ('${waiting}', 5, 2), ('${finished}', 5, 2)`,
    );
    await place.sql(
      "INSERT INTO Member (userid, conversation, delivered, `read`) VALUES " + [
        member(li.id, conversation, count),
        member(wu.id, conversation, count),
        member(li.id, waiting, 5),
        member(away.id, waiting, 2),
        member(wu.id, finished, 5),
        member(away.id, finished, 5),
      ].join(", "),
    );
    // On a device of version 3, which its user has come to.
    await place.sql(
      `UPDATE Member SET furthest = 3 WHERE userid = ${away.id} AND conversation = '${waiting}'`,
    );
    let isOver = false;
    const writing = (async () => {
      let errno: number | undefined = 0;
      while (!isOver && errno === 0) {
        errno = (await li.client.request(chat(li, wu.id, "meanwhile"))).errno;
        // At once is more than a user may say.
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      return errno;
    })();
    assertEquals((await place.admin(["trim", "--older-than", "1d", "--yes"])).code, EXIT.usage);
    assertEquals((await place.admin(["trim", "--older-than", "10d"])).code, EXIT.usage);
    const trim = (...args: string[]) => place.adminJson(["trim", "--older-than", "10d", "--yes", ...args]);
    const kept = await trim("--keep-undelivered");
    assertEquals([kept.messages, kept.conversations], [old + 3 + 5, 3]);
    const rest = await trim();
    assertEquals([rest.messages, rest.conversations], [2, 1]);
    assertEquals((await trim()).messages, 0, "a second time there is nothing");
    isOver = true;
    assertEquals(await writing, 0, "nobody was held up");
    const firsts = await place.sql(
      `SELECT first_seq FROM Conversation WHERE id IN ('${conversation}', '${waiting}', '${finished}') ORDER BY id`,
    );
    assertEquals(firsts.flat().map(Number).sort((a, b) => a - b), [5, 5, old + 1]);
    // A place of its newest message stays, so that no node takes the database for an older one.
    assertEquals(await place.sql(`SELECT seq, message FROM Message WHERE conversation = '${finished}'`), [[
      "5",
      "NULL",
    ]]);
    await using back = await place.connect();
    const { conversations } = await back.request({ msgid: 1, v: 3, id: away.id, password: PASSWORD });
    assertEquals(
      conversations?.map(({ conversation, first_seq }) => [conversation, first_seq]).sort(),
      [[waiting, 5], [finished, 5]].sort(),
    );
    const { messages, first_seq } = await back.request({ msgid: 15, conversation: waiting });
    assertEquals(first_seq, 5);
    assertEquals(messages?.map(({ seq, recalled }) => [seq, recalled]), [[5, true]]);
  },
  "an export is imported elsewhere, a line once however often": async (place) => {
    await using li = await place.newPerson("moving", { v: 2 });
    await using wu = await place.newPerson("moved", { v: 2 });
    await li.client.request({ msgid: 7, id: li.id, friendid: wu.id });
    const { groupid } = await wu.client.request({
      msgid: 8,
      id: wu.id,
      groupname: place.newName("moving on"),
      groupdesc: "",
      join: "open",
    });
    await wu.client.request(groupChat(wu, Number(groupid), "before li"));
    await li.client.request({ msgid: 9, id: li.id, groupid });
    await wu.client.request(groupChat(wu, Number(groupid), "with li"));
    for (const text of ["one", "two", "three"]) await li.client.request(chat(li, wu.id, text, { cid: text }));
    await li.client.request({ msgid: 17, conversation: `u${li.id}-${wu.id}`, seq: 2 });
    // One who has devices, and has never logged in by an earlier version.
    await using cai = await newDevice(place.server.port, place.newName("modern"));
    await li.client.request(chat(li, cai.id, "hello", { cid: "to cai" }));
    const { conversation, seq } = await cai.client.take(({ msgid }) => msgid === 6);
    await cai.client.request({ msgid: 12, conversation, seq });
    cai.client.close();
    await place.offline(cai.id);

    const { code, stdout } = await place.admin(["export", "user", li.name]);
    assertEquals(code, 0);
    assertEquals(stdout.includes("before li"), false, "what was said before the user came");
    const count = stdout.trimEnd().split("\n").length;
    const here = await place.adminJson(["import"], stdout);
    assertEquals([here.imported, here.present, here.refused], [0, count, 0]);

    await using elsewhere = await place.elsewhere([]);
    const first = await elsewhere.adminJson(["import"], stdout);
    assertEquals([first.imported, first.present, first.refused], [count, 0, 0], first.contradictions.join());
    const second = await elsewhere.adminJson(["import"], stdout);
    assertEquals([second.imported, second.present], [0, count]);
    assertEquals((await elsewhere.admin(["check"])).code, 0);
    const copied = await elsewhere.admin(["export", "user", li.name]);
    assertEquals(copied.stdout, stdout);
    const modern = await place.admin(["export", "user", cai.name]);
    await elsewhere.adminJson(["import"], modern.stdout);
    assertEquals((await elsewhere.admin(["export", "user", cai.name])).stdout, modern.stdout);
    assertMatch(modern.stdout, new RegExp(`"device_position","device":${cai.device},.*"delivered":1`));
    assertMatch(modern.stdout, /"kind":"member".*"furthest":1,/);
    assertEquals((await elsewhere.admin(["check"])).code, 0);
    const { password: chosen } = await elsewhere.adminJson(["password", cai.name, "--generate"]);
    await using known = await elsewhere.connect();
    const resumed = await known.request({
      ...{ msgid: 1, v: 3, name: cai.name, password: chosen, device_id: cai.device },
    });
    assertEquals([resumed.errno, resumed.device_id], [0, cai.device]);
    assertEquals(await elsewhere.sql(`SELECT legacy FROM User WHERE id = ${cai.id}`), [["0"]]);
    const other = { kind: "device", id: cai.device, userid: li.id, name: "d", created: 1, seen: 1 };
    assertEquals((await elsewhere.adminJson(["import"], JSON.stringify(other))).refused, 1);
    // What an earlier version has written.
    const older = { kind: "user", id: 4_000_005, name: "older", status: 0 };
    assertEquals((await elsewhere.adminJson(["import"], JSON.stringify(older))).imported, 1);
    const { password } = await elsewhere.adminJson(["password", li.name, "--generate"]);
    await using client = await elsewhere.connect();
    const reply = await client.request({ msgid: 1, v: 2, id: li.id, password });
    assertEquals(reply.friends?.length, 1);
    const { messages } = await client.request({ msgid: 15, conversation: `u${li.id}-${wu.id}` });
    assertEquals(messages?.map(({ msg, recalled }: Frame) => msg ?? recalled), ["one", true, "three"]);
    const ack = await client.request(chat({ id: li.id, name: li.name }, wu.id, "four", { cid: "three" }));
    assertEquals(ack.seq, 3, "a cid that came with it is known");

    const place1 = { conversation: `u${li.id}-${wu.id}`, seq: 1 };
    const marks = [
      { kind: "version", ...place1, until: 9, at: 1, message: '{"msgid":6,"msg":"first"}' },
      { kind: "reaction", ...place1, emoji: btoa("+"), userid: wu.id, at: 1, hidden: 0 },
      { kind: "pin", ...place1, userid: wu.id, at: 1, hidden: 0 },
      { kind: "mention", ...place1, userid: 0 },
    ].map((line) => JSON.stringify(line)).join("\n");
    assertEquals((await elsewhere.adminJson(["import"], marks)).imported, 4);
    assertEquals((await elsewhere.adminJson(["import"], marks)).present, 4);
    assertEquals(await elsewhere.sql("SELECT users FROM ReactionCount"), [["1"]]);
    assertStringIncludes(
      (await elsewhere.admin(["export", "conversation", place1.conversation])).stdout,
      marks,
    );

    // What contradicts is left out, and costs no other line.
    const lines = [
      JSON.stringify({ kind: "user", id: li.id, name: "another", status: 0 }),
      JSON.stringify({ kind: "user", id: 4_000_000, name: wu.name, status: 0 }),
      JSON.stringify({ kind: "user", id: 4_000_001, name: "good", status: 0 }),
      JSON.stringify({
        ...{ kind: "message", ...place1, sender: wu.id, cid: null, at: 1, entry: 0, recalled: 0, hidden: 0 },
        message: '{"msgid":6,"msg":"another"}',
      }),
    ].join("\n");
    const odd = await elsewhere.adminJson(["import"], lines);
    assertEquals([odd.imported, odd.present, odd.refused], [1, 0, 3]);
    assertMatch(odd.contradictions.join("\n"), /^line 1: user \d+ has another name here$/m);
    assertMatch(odd.contradictions.join("\n"), /^line 4: u\d+-\d+ 1 is another message here$/m);
    const broken = await elsewhere.admin(["import"], '{"kind":"user","id":1}\n');
    assertEquals(broken.code, EXIT.failure);
    assertMatch(broken.stderr, /line 1: its field name is missing or of the wrong type/);
  },
  "a check finds what does not agree, and repairs it": async (place) => {
    await using elsewhere = await place.elsewhere([]);
    await using li = await elsewhere.newPerson("li", { v: 2 });
    await using wu = await elsewhere.newPerson("wu", { v: 2 });
    const { groupid } = await li.client.request({
      msgid: 8,
      id: li.id,
      groupname: "g",
      groupdesc: "",
      join: "open",
    });
    await wu.client.request({ msgid: 9, id: wu.id, groupid });
    for (let i = 0; i < 3; i++) await li.client.request(groupChat(li, Number(groupid), "x"));
    for (let i = 0; i < 5; i++) await li.client.request(chat(li, wu.id, "x"));
    assertEquals((await elsewhere.adminJson(["check"])).findings, []);
    const breaks = [
      "UPDATE Conversation SET last_seq = 4 WHERE id LIKE 'u%'",
      "DELETE FROM Message WHERE conversation LIKE 'u%' AND seq = 2",
      `UPDATE Member SET delivered = 99 WHERE userid = ${wu.id} AND conversation LIKE 'u%'`,
      `UPDATE Member SET furthest = 99 WHERE userid = ${li.id} AND conversation LIKE 'u%'`,
      `INSERT INTO Device (id, userid, name, created, seen, tokens, issued, expires) VALUES (5, ${li.id}, 'd', 1, 1, x'', 0, 0), (6, 999, 'd', 1, 1, x'', 0, 0)`,
      `INSERT INTO DeviceCursor (device, conversation, delivered) VALUES (5, 'g1', 99), (7, 'g1', 1)`,
      "UPDATE Conversation SET members = 7 WHERE id LIKE 'g%'",
      "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (1, 999, 'normal')",
      "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (88, 1, 'normal')",
      `DELETE FROM Member WHERE userid = ${wu.id} AND conversation = 'g1'`,
      `INSERT INTO Member (userid, conversation) VALUES (${li.id}, 'g77')`,
      `INSERT INTO Friend (userid, friendid) VALUES (${li.id}, 999)`,
      "INSERT INTO Token (hash, userid, expires) VALUES (x'00', 999, 1)",
      "INSERT INTO AllGroup (id, groupname) VALUES (50, 'bare')",
      "INSERT INTO Message (conversation, seq, sender, at, message) VALUES ('u5-6', 3, 5, 1, '{\"msgid\":6}')",
      "UPDATE GroupUser SET grouprole = 'normal' WHERE groupid = 1",
    ];
    for (const statement of breaks) await elsewhere.sql(statement);
    const found = await elsewhere.admin(["check", "--json"]);
    assertEquals(found.code, EXIT.failure);
    const { findings } = JSON.parse(found.stdout);
    assertEquals(findings.map(({ name }: { name: string }) => name).sort(), [
      "conversations with holes",
      "devices of nobody",
      "friends who are no users",
      "groups whose members are counted wrong",
      "groups without conversation",
      "groups without creator",
      "members of groups that do not exist",
      "members of groups who are no users",
      "members of groups without a position",
      "messages of no conversation",
      "messages past the end",
      "positions in groups of who is no member",
      "positions of devices past the end",
      "positions of devices that do not exist",
      "positions past the end",
      "tokens of nobody",
    ]);
    const past = findings.find(({ name }: { name: string }) => name === "positions past the end");
    assertEquals(past.found, 2);
    assertEquals((await elsewhere.admin(["check", "--repair"])).code, EXIT.usage);
    assertEquals((await elsewhere.admin(["check", "--repair", "--yes"])).code, 0);
    const left = await elsewhere.adminJson(["check"]);
    assertEquals(left.findings.map(({ name }: { name: string }) => name), ["conversations with holes"]);
    assertEquals(await elsewhere.sql("SELECT last_seq FROM Conversation WHERE id = 'u5-6'"), [["3"]]);
    assertEquals(
      await elsewhere.sql("SELECT userid FROM GroupUser WHERE groupid = 1 AND grouprole = 'creator'"),
      [[
        String(li.id),
      ]],
    );
  },
  "numbers are counted": async (place) => {
    await using elsewhere = await place.elsewhere([]);
    await using li = await elsewhere.newPerson("li", { v: 2 });
    await using wu = await elsewhere.newPerson("wu", { v: 2 });
    await li.client.request(chat(li, wu.id, "x"));
    const stats = await elsewhere.adminJson(["stats"]);
    assertEquals([stats.users, stats.online, stats.messages, stats.conversations], [2, 2, 1, 1]);
  },
});

Deno.test("an administrator is who has the role and can log in", async () => {
  const db = openSqlite(":memory:");
  try {
    await migrate(db, createLogger({ level: "error", format: "text", write: () => {} }));
    const users = new Users(db);
    const id = await users.create("li", "hash") ?? 0;
    const isAdministrator = async (administrator: number, status: number) => {
      await db.run("UPDATE User SET administrator = ?, status = ?", [administrator, status]);
      return await users.isAdministrator(id);
    };
    assertEquals(await users.isAdministrator(id), false);
    assertEquals(await isAdministrator(1, 0), true);
    for (const status of [1, 2]) assertEquals(await isAdministrator(1, status), false);
    assertEquals(await isAdministrator(0, 0), false);
    assertEquals(await users.isAdministrator(id + 1), false);
  } finally {
    await db.close();
  }
});

Deno.test("nodes without Redis follow, each for itself", async () => {
  await using mariaDb = await startMariaDb();
  await using one = await startServer(["--mysql", mariaDb.url, "--node", "one"]);
  await using two = await startServer(["--mysql", mariaDb.url, "--node", "two"]);
  await using li = await newPerson(one.port, "li", { v: 2 });
  await using wu = await newPerson(two.port, "wu", { v: 2 });
  const env = { CHAT_MYSQL: mariaDb.url };
  for (const name of ["li", "wu"]) {
    assertEquals((await runProgram(["admin", "disable", name], { env })).code, 0);
  }
  for (const person of [li, wu]) assertEquals((await lastFrame(person))?.code, "revoked");
});

Deno.test("a database that is not there, or not up to date, is left alone", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.db`;
  const missing = await runProgram(["admin", "stats", "--sqlite", path]);
  assertEquals(missing.code, EXIT.config);
  assertEquals([...Deno.readDirSync(folder.path)], []);
  await using mariaDb = await startMariaDb();
  const empty = await runProgram(["admin", "stats"], { env: { CHAT_MYSQL: mariaDb.url } });
  assertEquals(empty.code, EXIT.config);
  assertMatch(empty.stderr, /not up to date .*run chatserver migrate/);
});

Deno.test("nodes that stopped and started again do not repeat what was done before", async () => {
  await using folder = await temporaryFolder();
  const database = ["--sqlite", `${folder.path}/chat.db`];
  {
    await using server = await startServer(database);
    await using _li = await newPerson(server.port, "li", { v: 2 });
    await server.stop();
  }
  assertEquals((await runProgram(["admin", "sessions", "end", "li", ...database])).code, 0);
  await using server = await startServer(database);
  await using client = await ChatClient.connect(server.port);
  assertEquals((await client.request({ msgid: 1, v: 2, id: 1, password: PASSWORD })).errno, 0);
  await client.expectNothing(1_500);
});

Deno.test("admin help names every command, and fits into a terminal of 100 columns", () => {
  for (const words of [[], ["users"], ["trim"], ["password"], ["nothing"]]) {
    for (const line of adminHelp(words).split("\n")) assert(line.length <= 100, line);
  }
  assertMatch(adminHelp(["trim"]), /^chatserver admin trim\n.*--older-than TIME/s);
  assertMatch(adminHelp([]), /users search TEXT .*\n.*users show USER/);
});
