/** Groups whose members decide who is in them, as members, strangers and those who have left see them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { chat, type Frame, groupChat, type Person } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { logInDevice } from "../support/devices.ts";

/** Makes a group and resolves with its id. */
async function newGroup(place: Place, { client }: Person, fields: object = {}): Promise<number> {
  const groupname = place.newName("group");
  const { groupid = 0, errno } = await client.request({ msgid: 8, groupname, groupdesc: "d", ...fields });
  assertEquals(errno, 0);
  return groupid;
}

/** Does something about a group. */
function act({ client }: Person, op: string, groupid: number, fields: object = {}): Promise<Frame> {
  return client.request({ msgid: 24, op, groupid, ...fields });
}

/** As before, of which only the errno is of interest. */
async function errnoOf(who: Person, op: string, groupid: number, fields: object = {}): Promise<unknown> {
  return (await act(who, op, groupid, fields)).errno;
}

/** `who` wants to be added to groups by `others`. */
async function befriend(who: Person, ...others: Person[]): Promise<void> {
  for (const { id } of others) await who.client.request({ msgid: 7, id: who.id, friendid: id });
}

/** Puts everybody into the group. */
async function addAll(creator: Person, groupid: number, ...people: Person[]): Promise<void> {
  for (const one of people) {
    await befriend(one, creator);
    assertEquals(await errnoOf(creator, "add", groupid, { id: one.id }), 0);
  }
}

/** Without what another run has otherwise. */
function bare({ at: _at, cid: _cid, ...frame }: Frame): object {
  return frame;
}

/** What members are told of who did what to whom. */
function told(conversation: string, seq: number, what: string, who: Person, by: Person, fields = {}): object {
  const doer = by.id === who.id ? { by: by.id } : { by: by.id, by_name: by.name };
  return { msgid: 25, what, id: who.id, name: who.name, ...doer, ...fields, conversation, seq };
}

async function seqsOf({ client }: Person, conversation: string): Promise<unknown> {
  const { messages = [], errno } = await client.request({ msgid: 15, conversation });
  return errno === 0 ? messages.map(({ seq }) => seq) : errno;
}

/** The members by id, with their roles. */
async function rolesOf(who: Person, groupid: number): Promise<unknown> {
  const { users, errno } = await act(who, "members", groupid);
  return errno === 0
    ? (users as { id: number; role: string }[]).map(({ id, role }) => `${id} ${role}`)
    : errno;
}

onEachDatabase("groups", {
  "members are added, made admins and removed, and all that stands in the log": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using wu = await place.newPerson("wu", { v: 3 });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await befriend(li, ann);
    await befriend(wu, li);
    const added = await act(ann, "add", groupid, { id: li.id });
    assertEquals(bare(added), {
      msgid: 11,
      errno: 0,
      groupid,
      conversation,
      seq: 2,
      id: li.id,
      name: li.name,
    });
    const groupname = `group ${conversation}`;
    const entry = await li.client.receive();
    assertEquals(bare({ ...entry, groupname }), told(conversation, 2, "added", li, ann, { groupname }));
    // Once more changes nothing.
    assertEquals(bare(await act(ann, "add", groupid, { id: li.id })), {
      msgid: 11,
      errno: 0,
      groupid,
      id: li.id,
      name: li.name,
    });
    // A normal member adds nobody to a closed group, and an admin only who wants to be.
    assertEquals(await errnoOf(li, "add", groupid, { id: wu.id }), 7);
    assertEquals(await errnoOf(ann, "add", groupid, { id: wu.id }), 7);
    assertEquals(await errnoOf(li, "role", groupid, { id: li.id, role: "admin" }), 7);
    assertEquals(bare(await act(ann, "role", groupid, { id: li.id, role: "admin" })), {
      msgid: 11,
      errno: 0,
      groupid,
      conversation,
      seq: 3,
      id: li.id,
      role: "admin",
    });
    assertEquals(bare(await li.client.receive()), told(conversation, 3, "role", li, ann, { role: "admin" }));
    assertEquals(await errnoOf(li, "add", groupid, { id: wu.id }), 0);
    assertEquals((await wu.client.receive()).what, "added");
    assertEquals((await ann.client.receive()).what, "added");
    assertEquals(await rolesOf(wu, groupid), [`${ann.id} creator`, `${li.id} admin`, `${wu.id} normal`]);
    // Admins remove normal members only.
    assertEquals(await errnoOf(wu, "remove", groupid, { id: li.id }), 7);
    assertEquals(await errnoOf(li, "remove", groupid, { id: ann.id }), 7);
    assertEquals(await errnoOf(li, "remove", groupid, { id: li.id }), 7);
    assertEquals(await errnoOf(li, "remove", groupid, { id: wu.id }), 0);
    assertEquals(bare(await wu.client.receive()), told(conversation, 5, "removed", wu, li));
    assertEquals(bare(await ann.client.receive()), told(conversation, 5, "removed", wu, li));
    assertEquals(await errnoOf(li, "remove", groupid, { id: wu.id }), 6);
    assertEquals(await errnoOf(ann, "remove", groupid, { id: li.id }), 0);
    assertEquals((await li.client.receive()).what, "removed");
    await ann.client.request(groupChat(ann, groupid, "alone"));
    for (const who of [li, wu]) {
      await who.client.fence();
      assertEquals((await who.client.request(groupChat(who, groupid, "hello"))).errno, 7);
    }
    assertEquals(await seqsOf(ann, conversation), [1, 2, 3, 4, 5, 6, 7]);
    assertEquals(await seqsOf(li, conversation), [2, 3, 4, 5, 6]);
    assertEquals(await seqsOf(wu, conversation), [4, 5]);
    assertEquals(await place.sql(`SELECT members FROM Conversation WHERE id = '${conversation}'`), [["1"]]);
  },

  "to who is not in it there is no group, whatever is asked": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    await using former = await place.newPerson("former", { v: 3 });
    const groupid = await newGroup(place, ann);
    await addAll(ann, groupid, former);
    assertEquals(await errnoOf(former, "leave", groupid), 0);
    await former.client.receive();
    const nowhere = 999_999;
    const asked: [string, object][] = [
      ["members", {}],
      ["leave", {}],
      ["add", { id: li.id }],
      ["remove", { id: ann.id }],
      ["role", { id: ann.id, role: "admin" }],
      ["transfer", { id: ann.id }],
      ["edit", { groupname: "x" }],
      ["dissolve", {}],
      ["link", {}],
      ["link", { revoke: "x" }],
    ];
    for (const who of [li, former]) {
      for (const [op, fields] of asked) {
        const [here, there] = [await act(who, op, groupid, fields), await act(who, op, nowhere, fields)];
        assertEquals([here.errno, there.errno], [6, 6], op);
        assertEquals(String(here.errmsg).replace(`${groupid}`, `${nowhere}`), there.errmsg, op);
      }
      for (const one of [who, two]) {
        const join = (groupid: number) => one.client.request({ msgid: 9, id: one.id, groupid });
        const [here, there] = [await join(groupid), await join(nowhere)];
        assertEquals([here.errno, there.errno], [6, 6]);
        assertEquals(String(here.errmsg).replace(`${groupid}`, `${nowhere}`), there.errmsg);
      }
      const say = (groupid: number) => who.client.request(groupChat(who, groupid, "hello"));
      assertEquals([(await say(groupid)).errno, (await say(nowhere)).errno], [7, 7]);
    }
    assertEquals([await seqsOf(li, `g${groupid}`), await seqsOf(li, `g${nowhere}`)], [6, 6]);
    assertEquals(await rolesOf(ann, groupid), [`${ann.id} creator`]);
  },

  "what is malformed is errno 4, and who is not there errno 6": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const groupid = await newGroup(place, ann);
    const cases: [object, number][] = [
      [{}, 4],
      [{ op: 7, groupid }, 4],
      [{ op: "nothing", groupid }, 4],
      [{ op: "leave" }, 4],
      [{ op: "leave", groupid: "1" }, 4],
      [{ op: "add", groupid }, 4],
      [{ op: "add", groupid, id: "1" }, 4],
      [{ op: "add", groupid, id: 1e300 }, 4],
      [{ op: "add", groupid, id: 999_999 }, 6],
      [{ op: "remove", groupid, id: 999_999 }, 6],
      [{ op: "transfer", groupid, id: 999_999 }, 6],
      [{ op: "role", groupid, id: ann.id }, 4],
      [{ op: "role", groupid, id: ann.id, role: "creator" }, 4],
      [{ op: "role", groupid, id: ann.id, role: "normal" }, 7],
      [{ op: "members", groupid, limit: 0 }, 4],
      [{ op: "members", groupid, after: "a" }, 4],
      [{ op: "edit", groupid, groupname: "" }, 1],
      [{ op: "edit", groupid, groupname: "li (2)" }, 1],
      [{ op: "edit", groupid, groupdesc: "d".repeat(201) }, 1],
      [{ op: "edit", groupid, groupdesc: 7 }, 4],
      [{ op: "edit", groupid, join: "ajar" }, 4],
      [{ op: "link", groupid, uses: 0 }, 4],
      [{ op: "link", groupid, ttl_ms: -1 }, 4],
      [{ op: "link", groupid, revoke: "nothing" }, 6],
      [{ op: "join" }, 4],
      [{ op: "join", link: "nothing" }, 6],
      [{ op: "join", link: "a".repeat(22) }, 6],
    ];
    for (const [fields, errno] of cases) {
      const reply = await ann.client.request({ msgid: 24, ...fields });
      assertEquals(reply.errno, errno, `${JSON.stringify(fields)} ${reply.errmsg}`);
    }
    assertEquals(
      (await ann.client.request({ msgid: 8, groupname: place.newName("g"), groupdesc: "", join: 1 })).errno,
      4,
    );
    assertEquals(await seqsOf(ann, `g${groupid}`), [1]);
    await place.checkServer();
  },

  "who has left reads up to that, on all devices, and nothing behind it": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using phone = await logInDevice(place.server.port, { id: li.id });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await addAll(ann, groupid, li);
    assertEquals([(await li.client.receive()).what, (await phone.client.receive()).what], ["added", "added"]);
    await ann.client.request(groupChat(ann, groupid, "before"));
    await li.client.receive();
    assertEquals((await phone.client.receive()).msg, "before");
    const left = await act(li, "leave", groupid);
    assertEquals(bare(left), { msgid: 11, errno: 0, groupid, conversation, seq: 4 });
    assertEquals(bare(await phone.client.receive()), told(conversation, 4, "left", li, li));
    await ann.client.request(groupChat(ann, groupid, "behind"));
    const entry = { msgid: 23, conversation, ref: 3, act: "react", emoji: "👍", on: true };
    assertEquals((await li.client.request(entry)).errno, 6);
    for (const { client } of [li, phone]) {
      await client.fence();
      assertEquals((await client.request({ msgid: 12, conversation, seq: 4 })).errno, 0);
      // What one has no right to is not there, however it is asked for.
      assertEquals((await client.request({ msgid: 12, conversation, seq: 5 })).errno, 4);
      assertEquals((await client.request({ msgid: 13, conversation, seq: 5 })).errno, 4);
      const { messages = [], more } = await client.request({ msgid: 15, conversation, after: 3 });
      assertEquals([messages.map(({ seq }) => seq), more], [[4], false]);
      const { errno } = await client.request({ msgid: 15, conversation, versions: 5 });
      assertEquals(errno, 6);
    }
    // A device that was not there, and the list.
    await using tablet = await logInDevice(place.server.port, { id: li.id });
    assertEquals(tablet.reply.groups, []);
    const [listed] = tablet.reply.conversations as unknown as Record<string, unknown>[];
    const groupname = listed?.groupname;
    assertMatch(String(groupname), /^group \d+$/);
    const { at: _, last, ...rest } = listed ?? {};
    assertEquals(rest, {
      conversation,
      last_seq: 4,
      delivered: 4,
      read: 2,
      unread: 1,
      mentions: 0,
      until: 4,
      groupname,
    });
    assertEquals((last as { msg: string }).msg, "before");
    assertEquals(await seqsOf(tablet as Person, conversation), [2, 3, 4]);
    // Others' activity moves nothing for who is not in it.
    await using other = await place.newPerson("other", { v: 3 });
    await li.client.request(chat(li, other.id, "newer"));
    await ann.client.request(groupChat(ann, groupid, "newest"));
    const { conversations = [] } = await li.client.request({ msgid: 34 });
    assertEquals(conversations.map((one) => one.conversation), [`u${li.id}-${other.id}`, conversation]);
  },

  "whoever was away gets what was said up to the end, in every version": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const groupid = await newGroup(place, ann, { join: "open" });
    const people: Person[] = [];
    for (const v of [1, 2, 3] as const) {
      const who = await place.newPerson(`v${v}`, v === 1 ? {} : { v });
      await who.client.send({ msgid: 9, id: who.id, groupid });
      await who.client.fence();
      people.push(who);
    }
    for (const { client, id } of people) {
      await client[Symbol.asyncDispose]();
      await place.offline(id);
    }
    await ann.client.request(groupChat(ann, groupid, "up to here"));
    for (const { id } of people) assertEquals(await errnoOf(ann, "remove", groupid, { id }), 0);
    await ann.client.request(groupChat(ann, groupid, "and no further"));
    for (const who of people) {
      assertEquals(
        await place.sql(`SELECT message LIKE '%up to here%' FROM OfflineMessage WHERE userid = ${who.id}`),
        [["1"]],
      );
    }
    const [one, two, three] = people;
    assert(one && two && three);
    await using first = await place.comeBack(one);
    assertEquals(first.reply.offlineMsg?.map((text) => JSON.parse(text).msg), ["up to here"]);
    assertEquals(first.reply.groups, undefined);
    await first.client.fence();
    await using second = await place.comeBack(two, { v: 2 });
    assertEquals((await second.client.receive()).msg, "up to here");
    assertEquals(second.reply.groups, undefined);
    await second.client.fence();
    await using third = await place.comeBack(three, { v: 3 });
    const frames = await third.client.receiveUntil(({ what, id }) => what === "removed" && id === three.id);
    assertEquals(frames.map(({ what, msg }) => what ?? msg), ["up to here", "removed", "removed", "removed"]);
    await third.client.fence();
  },

  "who comes again begins anew, and sees nothing of the time between": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await addAll(ann, groupid, li);
    await act(ann, "remove", groupid, { id: li.id });
    await ann.client.request(groupChat(ann, groupid, "between"));
    await act(ann, "add", groupid, { id: li.id });
    await ann.client.request(groupChat(ann, groupid, "again"));
    const frames = await li.client.receiveUntil(({ msg }) => msg === "again");
    assertEquals(frames.map(({ what, msg, seq }) => [what ?? msg, seq]), [
      ["added", 2],
      ["removed", 3],
      ["added", 5],
      ["again", 6],
    ]);
    assertEquals(await seqsOf(li, conversation), [5, 6]);
    const { seq } = await li.client.request(groupChat(li, groupid, "here I am"));
    assertEquals(seq, 7);
    assertEquals((await ann.client.receive()).msg, "here I am");
  },

  "the creator hands over before leaving, and the last one takes the group along": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await addAll(ann, groupid, li);
    await li.client.receive();
    assertEquals(await errnoOf(ann, "leave", groupid), 7);
    assertEquals(await errnoOf(li, "transfer", groupid, { id: li.id }), 7);
    assertEquals(await errnoOf(ann, "transfer", groupid, { id: li.id }), 0);
    assertEquals(
      bare(await li.client.receive()),
      told(conversation, 3, "role", li, ann, { role: "creator" }),
    );
    assertEquals(await rolesOf(li, groupid), [`${ann.id} admin`, `${li.id} creator`]);
    assertEquals(await errnoOf(ann, "dissolve", groupid), 7);
    const cid = "left once";
    const first = await act(ann, "leave", groupid, { cid });
    assertEquals([first.errno, first.seq], [0, 4]);
    // The answer may have been lost.
    assertEquals(bare(await act(ann, "leave", groupid, { cid })), bare(first));
    assertEquals(await errnoOf(ann, "leave", groupid), 6);
    assertEquals(await errnoOf(li, "leave", groupid), 0);
    assertEquals(await errnoOf(li, "members", groupid), 6);
    assertEquals(await seqsOf(li, conversation), [2, 3, 4, 5]);
    assertEquals(await place.sql(`SELECT COUNT(*) FROM GroupUser WHERE groupid = ${groupid}`), [["0"]]);
  },

  "a dissolved group keeps its history, takes nothing more, and its name is free": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    const groupname = place.newName("n".repeat(40));
    const groupid = await newGroup(place, ann, { groupname, join: "open" });
    const conversation = `g${groupid}`;
    await li.client.request({ msgid: 9, groupid });
    await two.client.request({ msgid: 9, id: two.id, groupid });
    await li.client.receive();
    const { link } = await act(ann, "link", groupid);
    assertEquals(bare(await act(ann, "dissolve", groupid)), {
      msgid: 11,
      errno: 0,
      groupid,
      conversation,
      seq: 4,
    });
    assertEquals(bare(await li.client.receive()), told(conversation, 4, "dissolved", ann, ann));
    for (const who of [ann, li, two]) {
      assertEquals((await who.client.request(groupChat(who, groupid, "hello?"))).errno, 7);
      assertEquals((await who.client.request({ msgid: 9, id: who.id, groupid })).errno, 6);
    }
    assertEquals((await li.client.request({ msgid: 24, op: "join", link })).errno, 6);
    assertEquals(await seqsOf(ann, conversation), [1, 2, 3, 4]);
    assertEquals(await seqsOf(li, conversation), [2, 3, 4]);
    await newGroup(place, li, { groupname });
    await using again = await place.comeBack(li, { v: 3 });
    const groups = again.reply.groups as unknown as { groupname: string }[];
    assertEquals(groups.map((group) => group.groupname), [groupname]);
    const former = (again.reply.conversations ?? []).find((one) => one.conversation === conversation);
    const suffix = ` (${groupid})`;
    assertEquals(
      (former as unknown as { groupname: string }).groupname,
      groupname.slice(0, 50 - suffix.length) + suffix,
    );
  },

  "who has left learns nothing of what is edited later": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    await addAll(ann, groupid, li);
    const edit = async (seq: number, msg: string) => {
      const reply = await ann.client.request({ msgid: 23, conversation, ref: seq, act: "edit", msg });
      assertEquals(reply.errno, 0);
    };
    const { seq = 0 } = await ann.client.request(groupChat(ann, groupid, "first"));
    await edit(seq, "second");
    assertEquals(await errnoOf(li, "leave", groupid), 0);
    await edit(seq, "third");
    await edit(seq, "fourth");
    const seenBy = async (who: Person) => {
      const page = await who.client.request({ msgid: 15, conversation });
      const versions = await who.client.request({ msgid: 15, conversation, versions: seq });
      const list = await who.client.request({ msgid: 34 });
      const [listed] = (list.conversations ?? []).filter((one) => one.conversation === conversation);
      return {
        text: page.messages?.find((one) => one.seq === seq)?.msg,
        versions: versions.messages?.map(({ msg }) => msg),
        last: (listed as unknown as { last?: { msg: string } }).last?.msg,
      };
    };
    assertEquals(await seenBy(li), { text: "second", versions: ["first", "second"], last: "second" });
    const all = ["first", "second", "third", "fourth"];
    assertEquals(await seenBy(ann), { text: "fourth", versions: all, last: "fourth" });
  },

  "a group is renamed, described and opened, and its name is one group's only": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    const taken = place.newName("Taken");
    await newGroup(place, li, { groupname: taken });
    await addAll(ann, groupid, li);
    await li.client.receive();
    assertEquals(await errnoOf(li, "edit", groupid, { groupname: "mine" }), 7);
    assertEquals(await errnoOf(ann, "edit", groupid, { groupname: taken.toUpperCase() }), 1);
    assertEquals(await errnoOf(ann, "edit", groupid, { groupname: taken.toUpperCase(), cid: "again" }), 1);
    const fields = { groupname: place.newName("New"), groupdesc: "what\nfor", join: "link" };
    const after = { ...fields, groupdesc: "what for" };
    assertEquals(await errnoOf(ann, "edit", groupid, fields), 0);
    assertEquals(bare(await li.client.receive()), told(conversation, 3, "edited", ann, ann, after));
    assertEquals((await act(ann, "edit", groupid, after)).seq, undefined);
    const { group } = await act(li, "members", groupid, { limit: 1 });
    assertEquals(group, { id: groupid, ...after, role: "normal", members: 2 });
    await using again = await place.comeBack(li, { v: 3 });
    assertEquals((again.reply.groups as unknown as object[])[0], group);
    // The name of before is free.
    await newGroup(place, ann, { groupname: `group ${conversation}` });
  },

  "a link lets so many in for so long, and can be taken back": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const people: Person[] = [];
    for (const name of ["a", "b", "c"]) people.push(await place.newPerson(name, { v: 3 }));
    const [a, b, c] = people;
    assert(a && b && c);
    const groupid = await newGroup(place, ann);
    const conversation = `g${groupid}`;
    const join = (who: Person, link: unknown) => who.client.request({ msgid: 24, op: "join", link });
    const made = await act(ann, "link", groupid, { uses: 1 });
    assertMatch(String(made.link), /^[\w-]{22}$/);
    // A closed group has no links: with its first one it is closed no longer, as all are told.
    assertEquals([made.errno, made.seq], [0, 2]);
    const joined = await join(a, made.link);
    assertEquals(joined.errno, 0);
    assertEquals(joined.groupid, groupid);
    const { join: mode, members, role } = joined.group as Record<string, unknown>;
    assertEquals({ mode, members, role }, { mode: "link", members: 2, role: "normal" });
    assertEquals(bare(await ann.client.receive()), told(conversation, 3, "joined", a, a));
    // Who is in it already has used nothing, and it was good for one.
    assertEquals((await join(a, made.link)).errno, 0);
    assertEquals((await join(b, made.link)).errno, 6);
    assertEquals(await errnoOf(a, "link", groupid), 7);
    const other = await act(ann, "link", groupid, { ttl_ms: 1 });
    await place.waitForId("SELECT 1");
    assertEquals((await join(b, other.link)).errno, 6);
    const third = await act(ann, "link", groupid);
    assertEquals(await errnoOf(a, "link", groupid, { revoke: third.link }), 7);
    assertEquals((await join(b, third.link)).errno, 0);
    assertEquals(await errnoOf(ann, "link", groupid, { revoke: third.link }), 0);
    assertEquals((await join(c, third.link)).errno, 6);
    // Closed means closed, also for links that were given out before.
    const fourth = await act(ann, "link", groupid);
    assertEquals(await errnoOf(ann, "edit", groupid, { join: "closed" }), 0);
    assertEquals((await join(c, fourth.link)).errno, 6);
    assertEquals(await place.sql(`SELECT COUNT(*) FROM GroupLink WHERE hash = '${fourth.link}'`), [["0"]]);
    for (const { client } of people) client.close();
  },

  "a link that is asked for again, under the same cid, is a good one": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann);
    const cid = crypto.randomUUID();
    const [first, again] = [
      await act(ann, "link", groupid, { cid }),
      await act(ann, "link", groupid, { cid }),
    ];
    assertEquals([first.seq, again.seq, again.errno], [2, undefined, 0]);
    for (const link of [again.link, first.link]) {
      assertEquals((await li.client.request({ msgid: 24, op: "join", link })).errno, 0);
      assertEquals(await errnoOf(li, "leave", groupid), 0);
    }
  },

  "a cid that was another message's ends nothing": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann, { join: "open" });
    await li.client.request({ msgid: 9, groupid });
    const cid = crypto.randomUUID();
    const said = await li.client.request({ ...groupChat(li, groupid, "once"), cid });
    assertEquals((await act(li, "leave", groupid, { cid })).seq, said.seq);
    await ann.client.request(groupChat(ann, groupid, "still there?"));
    assertEquals((await li.client.receiveUntil(({ msg }) => msg === "still there?")).length, 1);
    assertEquals((await li.client.request(groupChat(li, groupid, "yes"))).errno, 0);
  },

  "who was made a member on another node, unheard, gets all of it when it joins here": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann, { join: "open" });
    const conversation = `g${groupid}`;
    for (let seq = 2; seq <= 4; seq++) await ann.client.request(groupChat(ann, groupid, `text ${seq}`));
    // Another device of the user has had all of it.
    await place.sql(`INSERT INTO GroupUser (groupid, userid) VALUES (${groupid}, ${li.id})`);
    await place.sql(
      "INSERT INTO Member (userid, conversation, since, delivered, `read`) " +
        `VALUES (${li.id}, '${conversation}', 1, 4, 4)`,
    );
    assertEquals((await li.client.request({ msgid: 9, groupid })).errno, 0);
    const frames = await li.client.receiveUntil(({ seq }) => seq === 4);
    assertEquals(frames.map(({ seq }) => seq), [2, 3, 4]);
  },

  "who was removed on another node, unheard, joins when it asks for it here": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const groupid = await newGroup(place, ann, { join: "link" });
    const conversation = `g${groupid}`;
    const { link } = await act(ann, "link", groupid);
    const join = () => li.client.request({ msgid: 24, op: "join", link });
    assertEquals((await join()).errno, 0);
    const entry = JSON.stringify({ msgid: 25, what: "removed", id: li.id, name: li.name, by: ann.id });
    await place.sql(`DELETE FROM GroupUser WHERE groupid = ${groupid} AND userid = ${li.id}`);
    await place.sql(
      `UPDATE Member SET until = 3, ended = 1 WHERE conversation = '${conversation}' AND userid = ${li.id}`,
    );
    await place.sql(
      "INSERT INTO Message (conversation, seq, sender, at, message, kind) " +
        `VALUES ('${conversation}', 3, ${ann.id}, 1, '${entry}', 2)`,
    );
    await place.sql(
      `UPDATE Conversation SET last_seq = 3, parted = 3, members = 1 WHERE id = '${conversation}'`,
    );
    assertEquals((await join()).errno, 0);
    assertEquals(await rolesOf(ann, groupid), [`${ann.id} creator`, `${li.id} normal`]);
    await ann.client.request(groupChat(ann, groupid, "again"));
    assertEquals((await li.client.receiveUntil(({ msg }) => msg === "again")).at(-1)?.seq, 5);
    assertEquals((await li.client.request(groupChat(li, groupid, "thanks"))).seq, 6);
    assertEquals(await seqsOf(li, conversation), [4, 5, 6]);
  },

  "of many who use one link at once only so many come in": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const people = await Promise.all(
      Array.from({ length: 12 }, (_, i) => place.newPerson(`p${i}`, { v: 3 })),
    );
    const groupid = await newGroup(place, ann, { join: "link" });
    const { link } = await act(ann, "link", groupid, { uses: 5 });
    const errnos = await Promise.all(
      people.map(async ({ client }) => (await client.request({ msgid: 24, op: "join", link })).errno),
    );
    assertEquals(errnos.filter((errno) => errno === 0).length, 5);
    assertEquals((await rolesOf(ann, groupid) as string[]).length, 6);
    for (const { client } of people) client.close();
  },

  "who blocks somebody is not added by them, and cannot be told from who has not added them": async (
    place,
  ) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using wu = await place.newPerson("wu", { v: 3 });
    const groupid = await newGroup(place, ann);
    await befriend(li, ann);
    await li.client.request({ msgid: 26, op: "block", id: ann.id });
    const [blocked, stranger] = [
      await act(ann, "add", groupid, { id: li.id }),
      await act(ann, "add", groupid, { id: wu.id }),
    ];
    assertEquals([blocked.errno, stranger.errno], [7, 7]);
    assertEquals(String(blocked.errmsg).replace(li.name, wu.name), stranger.errmsg);
  },

  "versions 1 and 2 know no admins, and make open groups": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using two = await place.newPerson("two", { v: 2 });
    const groupid = await newGroup(place, two, { id: two.id });
    assertEquals((await ann.client.request({ msgid: 9, groupid })).errno, 0);
    // In an open group every member adds who wants to be.
    await using li = await place.newPerson("li", { v: 3 });
    await befriend(li, ann);
    assertEquals(await errnoOf(ann, "add", groupid, { id: li.id }), 0);
    await place.sql(`UPDATE GroupUser SET grouprole = 'admin' WHERE userid = ${li.id}`);
    await two.client[Symbol.asyncDispose]();
    await place.offline(two.id);
    await using again = await place.comeBack(two, { v: 2 });
    const [group] = again.reply.groups as unknown as { users: { role: string }[] }[];
    assertEquals(group?.users.map(({ role }) => role), ["normal", "creator", "normal"]);
    assertEquals(Object.keys(group ?? {}), ["id", "groupname", "groupdesc", "users"]);
    assertEquals((await again.client.request({ msgid: 24, op: "leave", groupid })).errno, 5);
  },

  "a page of members begins behind the last one": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const others = await Promise.all(Array.from({ length: 4 }, (_, i) => place.newPerson(`m${i}`, { v: 3 })));
    const groupid = await newGroup(place, ann, { join: "open" });
    for (const { client } of others) await client.request({ msgid: 9, groupid });
    const ids = [ann, ...others].map(({ id }) => id).sort((a, b) => a - b);
    const seen: number[] = [];
    for (let more = true; more;) {
      const page = await act(ann, "members", groupid, { limit: 2, after: seen.at(-1) ?? 0 });
      seen.push(...(page.users as { id: number }[]).map(({ id }) => id));
      more = page.more === true;
    }
    assertEquals(seen, ids);
    for (const { client } of others) client.close();
  },

  "bounds on groups, members and those a user makes; anybody can be added where that is open": async (
    shared,
  ) => {
    const bounds = [
      "--max-groups",
      "3",
      "--max-groups-created",
      "2",
      "--max-members",
      "2",
      "--invites",
      "open",
    ];
    await using place = await shared.elsewhere(bounds);
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using wu = await place.newPerson("wu", { v: 2 });
    const first = await newGroup(place, ann);
    await newGroup(place, ann);
    const create = (who: Person) =>
      who.client.request({ msgid: 8, id: who.id, groupname: place.newName("one more"), groupdesc: "" });
    assertEquals((await create(ann)).errno, 7);
    assertEquals(await errnoOf(ann, "add", first, { id: li.id }), 0);
    assertEquals(await errnoOf(ann, "add", first, { id: wu.id }), 7);
    const open = [await newGroup(place, li, { join: "open" }), await newGroup(place, li, { join: "open" })];
    assertEquals((await ann.client.request({ msgid: 9, groupid: open[0] })).errno, 0);
    assertEquals((await ann.client.request({ msgid: 9, groupid: open[1] })).errno, 7);
    assertEquals((await wu.client.request({ msgid: 9, id: wu.id, groupid: open[0] })).errno, 7);
    assertEquals((await wu.client.request({ msgid: 9, id: wu.id, groupid: open[1] })).errno, 0);
    // Whoever has as many as it can is not handed another one.
    assertEquals(await errnoOf(ann, "transfer", first, { id: li.id }), 7);
    assertEquals(await errnoOf(li, "leave", open[1] ?? 0), 7);
    assertEquals(await errnoOf(li, "transfer", open[1] ?? 0, { id: wu.id }), 0);
    assertEquals(await errnoOf(ann, "transfer", first, { id: li.id }), 0);
  },

  "bounds hold for what a user makes, joins and is given at the same moment, too": async (shared) => {
    await using place = await shared.elsewhere([
      "--max-groups",
      "3",
      "--max-groups-created",
      "2",
      "--invites",
      "open",
    ]);
    const owners = await Promise.all(Array.from({ length: 6 }, () => place.newPerson("owner", { v: 3 })));
    const groups = await Promise.all(owners.map((owner) => newGroup(place, owner, { join: "open" })));
    const counts = (id: number) =>
      place.sql(`SELECT COUNT(*), SUM(grouprole = 'creator') FROM GroupUser WHERE userid = ${id}`);
    await using ann = await place.newPerson("ann", { v: 3 });
    const devices = await Promise.all(owners.map(() => logInDevice(place.server.port, { id: ann.id })));
    const made = await Promise.all(devices.map(({ client }) => {
      const groupname = place.newName("at once");
      return client.request({ msgid: 8, groupname, groupdesc: "" });
    }));
    assertEquals(made.map(({ errno }) => errno).sort(), [0, 0, 7, 7, 7, 7]);
    assertEquals(await counts(ann.id), [["2", "2"]]);
    await Promise.all(devices.map(({ client }, n) => client.request({ msgid: 9, groupid: groups[n] })));
    assertEquals(await counts(ann.id), [["3", "2"]]);
    await using li = await place.newPerson("li", { v: 3 });
    const onLi = (op: string) => owners.map((owner, n) => errnoOf(owner, op, groups[n] ?? 0, { id: li.id }));
    assertEquals((await Promise.all(onLi("add"))).sort(), [0, 0, 0, 7, 7, 7]);
    // To those groups that it is not in it is nobody.
    assertEquals((await Promise.all(onLi("transfer"))).sort(), [0, 0, 6, 6, 6, 7]);
    assertEquals(await counts(li.id), [["3", "2"]]);
    for (const { client } of [...devices, ...owners]) client.close();
  },
});
