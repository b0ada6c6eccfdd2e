/** What users do about each other: find, add, remove, block. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { chat, type Frame, groupChat, type Person } from "../support/chat_client.ts";
import { logInDevice } from "../support/devices.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { BY_KEY_RANGE } from "../../lib/store/contacts.ts";

/** The names that a FIND_MSG finds. */
async function found(who: Person, fields: object): Promise<unknown> {
  const { errno, users } = await who.client.request({ msgid: 27, ...fields });
  return errno === 0 ? (users as { name: string }[]).map(({ name }) => name) : errno;
}

function contact(who: Person, op: string, id?: number): Promise<Frame> {
  return who.client.request({ msgid: 26, op, ...(id === undefined ? {} : { id }) });
}

/** How the database would look for names that begin with "mo". */
async function plan({ sql }: Place): Promise<string> {
  const statement = BY_KEY_RANGE.replace("?", "X'6D6F'").replace("?", "X'6D70'") + " LIMIT 20";
  const rows = await sql(`EXPLAIN QUERY PLAN ${statement}`).catch(() => sql(`EXPLAIN ${statement}`));
  return JSON.stringify(rows);
}

onEachDatabase("people", {
  "friends are added by name, whatever its case and form": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using straße = await place.newPerson("Straße", { v: 2 });
    const upper = straße.name.toUpperCase();
    const added = { msgid: 11, errno: 0, friendid: straße.id, name: straße.name, state: "online" };
    for (const friendname of [straße.name, upper, upper.replace("S", "Ｓ")]) {
      const { cid: _, ...reply } = await ann.client.request({ msgid: 7, friendname });
      assertEquals(reply, added, friendname);
    }
    const cases: [object, number][] = [
      [{ friendname: place.newName("nobody") }, 6],
      [{ friendname: ann.name }, 7],
      [{ friendname: "" }, 4],
      [{ friendname: "x".repeat(401) }, 4],
      [{ friendname: "\ud800" }, 4],
      [{ friendname: 7 }, 4],
      [{ friendname: null }, 4],
      [{}, 4],
      [{ friendid: 999_999_999 }, 6],
    ];
    for (const [fields, errno] of cases) {
      assertEquals((await ann.client.request({ msgid: 7, ...fields })).errno, errno, JSON.stringify(fields));
    }
    // Before version 3 it is a field like any other.
    await using two = await place.newPerson("two", { v: 2 });
    const old = await two.client.request({ msgid: 7, id: two.id, friendname: ann.name });
    assertEquals([old.errno, old.errmsg], [4, 'Field "friendid" is missing or not an integer']);
  },

  "users are found by the whole name and by how it begins": async (place) => {
    await using li = await place.newPerson("li", { v: 3 });
    await using quinn = await place.newPerson("Quinn Öz", { v: 2 });
    await using quark = await place.newPerson("quark", { v: 2 });
    await using gone = await place.newPerson("quits", { v: 2 });
    await place.sql(`UPDATE User SET status = 2 WHERE id = ${gone.id}`);
    const { users } = await li.client.request({ msgid: 27, name: quinn.name.toUpperCase() });
    assertEquals(users, [{ id: quinn.id, name: quinn.name, state: "online" }]);
    const cases: [object, unknown][] = [
      [{ name: "quinn" }, []],
      [{ name: gone.name }, []],
      [{ prefix: "QU" }, [quark.name, quinn.name]],
      [{ prefix: "qu", limit: 1 }, [quark.name]],
      [{ prefix: "quinn o" }, []],
      [{ prefix: "ｑｕｉｎｎ ö" }, [quinn.name]],
      [{ prefix: "%" }, []],
      [{ prefix: "q_" }, []],
      [{ prefix: "" }, 4],
      [{ prefix: "\u200d" }, 4],
      [{ prefix: "q".repeat(400) }, []],
      [{ prefix: "q".repeat(401) }, 4],
      [{ prefix: "\udc00" }, 4],
      [{ prefix: ["q"] }, 4],
      [{ prefix: "q", limit: 0 }, 4],
      [{ prefix: "q", limit: "1" }, 4],
      [{ name: null }, 4],
      [{}, 4],
    ];
    for (const [fields, result] of cases) {
      assertEquals(await found(li, fields), result, JSON.stringify(fields));
    }
    assertEquals((await quinn.client.request({ msgid: 27, name: li.name })).errno, 5);
  },

  "no more than 20 are found, by an index": async (place) => {
    await using li = await place.newPerson("li", { v: 3 });
    const rows = Array.from({ length: 400 }, (_, i) => {
      const name = `${i < 30 ? "moth" : "nut"} ${String(i).padStart(3, "0")}`;
      const key = [...new TextEncoder().encode(name)].map((byte) => byte.toString(16).padStart(2, "0"));
      return `('${name}', X'${key.join("")}', '', 'offline')`;
    });
    await place.sql(`INSERT INTO User (name, name_key, password, state) VALUES ${rows.join(",")}`);
    const names = Array.from({ length: 20 }, (_, i) => `moth ${String(i).padStart(3, "0")}`);
    assertEquals(await found(li, { prefix: "MOTH", limit: 1000 }), names);
    assertEquals(await found(li, { prefix: "moth" }), names);
    const text = await plan(place);
    // SQLite's, MariaDB's, and MySQL's as a tree.
    assert(
      /SEARCH User USING INDEX|"range".*"name_key"|Index range scan on User using name_key/.test(text),
      text,
    );
    assert(!/SCAN|TEMP B-TREE|filesort|Table scan|Sort:/.test(text), text);
  },

  "who looks for too many has to wait": async (place) => {
    await using eve = await place.newPerson("eve", { v: 3 });
    const replies = await eve.client.requestAll(
      Array.from({ length: 120 }, (_, i) => ({ msgid: 27, name: `nobody ${i}` })),
    );
    assertEquals(replies.slice(0, 100).every(({ errno }) => errno === 0), true);
    assertEquals(replies.slice(-1)[0]?.errno, 8);
  },

  "a closed directory, and a bound on friends": async (shared) => {
    await using place = await shared.elsewhere(["--directory", "closed", "--max-friends", "2"]);
    await using ann = await place.newPerson("ann", { v: 3 });
    const others: Person[] = [];
    for (const name of ["bo", "cy", "di"]) others.push(await place.newPerson(name, { v: 2 }));
    assertEquals(await found(ann, { prefix: "b" }), 7);
    assertEquals(await found(ann, { name: others[0]?.name }), [others[0]?.name]);
    const add = (who?: Person) => ann.client.request({ msgid: 7, friendid: who?.id });
    const replies = [];
    for (const who of [...others, others[1]]) replies.push(await add(who));
    assertEquals(replies.map(({ errno }) => errno), [0, 0, 7, 0]);
    assertEquals(replies[2]?.errmsg, "You can add at most 2 friends");
    for (const { client } of others) client.close();
  },

  "bounds on friends and on whom one blocks hold for what is done at the same moment, too": async (
    shared,
  ) => {
    await using place = await shared.elsewhere(["--max-friends", "2"]);
    await using ann = await place.newPerson("ann", { v: 3 });
    const others: Person[] = [];
    for (let n = 0; n < 6; n++) others.push(await place.newPerson("other", { v: 3 }));
    const devices = await Promise.all(others.map(() => logInDevice(place.server.port, { id: ann.id })));
    const errnos = async (msgid: number, fields: (id?: number) => Record<string, unknown>) => {
      const replies = await Promise.all(
        devices.map(({ client }, n) => client.request({ msgid, ...fields(others[n]?.id) })),
      );
      return replies.map(({ errno }) => errno).sort();
    };
    assertEquals(await errnos(7, (friendid) => ({ friendid })), [0, 0, 7, 7, 7, 7]);
    assertEquals(await place.sql(`SELECT COUNT(*) FROM Friend WHERE userid = ${ann.id}`), [["2"]]);
    const rows = Array.from({ length: 998 }, (_, n) => `(${ann.id}, ${1_000_000 + n}, 0)`);
    await place.sql(`INSERT INTO Block (userid, blockedid, at) VALUES ${rows.join(", ")}`);
    assertEquals(await errnos(26, (id) => ({ op: "block", id })), [0, 0, 7, 7, 7, 7]);
    assertEquals(await place.sql(`SELECT COUNT(*) FROM Block WHERE userid = ${ann.id}`), [["1000"]]);
    for (const { client } of [...devices, ...others]) client.close();
  },

  "whom one blocks writes for nobody: live, after a reconnect, in history, and after it is over": async (
    place,
  ) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const conversation = `u${ann.id}-${li.id}`;
    const say = (from: Person, to: Person, msg: string) => from.client.request(chat(from, to.id, msg));
    const seen = async (who: Person) => {
      const { messages = [] } = await who.client.request({ msgid: 15, conversation });
      return messages.map(({ seq, msg, act }) => [seq, msg ?? act]);
    };
    await say(ann, li, "before");
    await li.client.receive();
    assertEquals((await contact(li, "block", ann.id)).errno, 0);
    assertEquals((await contact(li, "block", ann.id)).errno, 0);
    const { errno, seq, at } = await say(ann, li, "hidden");
    assertEquals([errno, seq, typeof at], [0, 2, "number"]);
    await li.client.fence();
    // What li says reaches ann as ever, and what ann says does not get out behind it.
    assertEquals((await say(li, ann, "leave me alone")).seq, 3);
    assertEquals((await ann.client.receive()).msg, "leave me alone");
    await li.client.fence();
    assertEquals(await seen(li), [[1, "before"], [3, "leave me alone"]]);
    assertEquals(await seen(ann), [[1, "before"], [2, "hidden"], [3, "leave me alone"]]);
    assertEquals(await place.sql(`SELECT COUNT(*) FROM OfflineMessage WHERE message LIKE '%"hidden"%'`), [[
      "0",
    ]]);
    // Nothing that is done to it is told either, and li cannot get at it.
    const act = (who: Person, ref: number, fields: object) =>
      who.client.request({ msgid: 23, conversation, ref, ...fields });
    assertEquals((await act(ann, 2, { act: "edit", msg: "hidden still" })).errno, 0);
    assertEquals((await act(ann, 3, { act: "react", emoji: "👍", on: true })).errno, 0);
    assertEquals((await act(li, 2, { act: "react", emoji: "👍", on: true })).errno, 6);
    assertEquals((await li.client.request({ msgid: 15, conversation, versions: 2 })).errno, 6);
    assertEquals((await li.client.request(chat(li, ann.id, "x", { reply: 2 }))).errno, 4);
    // An earlier message is no way around it.
    assertEquals((await act(ann, 1, { act: "edit", msg: "smuggled" })).errno, 0);
    assertEquals((await act(ann, 2, { act: "recall" })).errno, 0);
    await li.client.fence();
    assertEquals(await seen(li), [[3, "leave me alone"]]);
    li.client.close();
    await place.offline(li.id);
    await say(ann, li, "to who is away");
    await using again = await place.comeBack(li, { v: 3 });
    const listed = JSON.stringify(again.reply.conversations);
    assertMatch(listed, /"unread":0,.*"peer":\{[^}]*"state":"offline".*"last":\{"seq":3,/);
    // Its own, which this device has never acknowledged, comes again; nothing else does.
    assertEquals((await again.client.receive()).msg, "leave me alone");
    await again.client.fence();
    assertEquals((await contact(again, "unblock", ann.id)).errno, 0);
    // To who blocked her she was offline.
    const presence = await again.client.take(({ msgid }) => msgid === 31);
    assertEquals([presence.id, presence.state], [ann.id, "online"]);
    await again.client.fence();
    await say(ann, again, "after");
    assertEquals((await again.client.receive()).msg, "after");
    assertEquals(await seen(again), [[3, "leave me alone"], [9, "after"]]);
    // Acknowledged, it is all there was.
    assertEquals((await again.client.request({ msgid: 12, conversation, seq: 9 })).errno, 0);
    await place.waitForId(
      `SELECT 1 FROM Member WHERE userid = ${again.id} AND conversation = '${conversation}' AND furthest = 9`,
    );
  },

  "a blocker's version 1 and 2 connections are spared, too; groups are not": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const li = await place.newPerson("li", { v: 3 });
    assertEquals((await contact(li, "block", ann.id)).errno, 0);
    li.client.close();
    await place.offline(li.id);
    for (const v of [undefined, 2] as const) {
      assertEquals((await ann.client.request(chat(ann, li.id, "while away"))).errno, 0);
      await using old = await place.comeBack(li, v === undefined ? {} : { v });
      assertEquals(old.reply.offlineMsg, undefined);
      assertEquals((await ann.client.request(chat(ann, li.id, "live"))).errno, 0);
      await old.client.fence();
      if (v === 2) {
        const conversation = `u${ann.id}-${li.id}`;
        const { messages } = await old.client.request({ msgid: 15, conversation });
        assertEquals(messages, []);
        const recalled = await ann.client.request({ msgid: 17, conversation, seq: 3 });
        assertEquals(recalled.errno, 0);
        await old.client.fence();
      }
      old.client.close();
      await place.offline(li.id);
    }
    await using back = await place.comeBack(li, { v: 3 });
    const { groupid = 0 } = await ann.client.request({
      msgid: 8,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    await back.client.request({ msgid: 9, groupid });
    await ann.client.receive();
    await ann.client.request(groupChat(ann, groupid, "to all"));
    assertEquals((await back.client.receiveUntil(({ msgid }) => msgid === 10)).at(-1)?.msg, "to all");
  },

  "what is hidden may be delivered, but nobody has read it": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const conversation = `u${ann.id}-${li.id}`;
    await ann.client.request(chat(ann, li.id, "1"));
    await li.client.receive();
    await contact(li, "block", ann.id);
    await ann.client.request(chat(ann, li.id, "2"));
    await li.client.request({ msgid: 13, conversation, seq: 1 });
    let receipt: Frame;
    do receipt = await ann.client.receiveReceipt(); while (receipt.delivered !== 2);
    assertEquals(receipt.read, 1);
    await ann.client.request(chat(ann, li.id, "3"));
    do receipt = await ann.client.receiveReceipt(); while (receipt.delivered !== 3);
    assertEquals(receipt.read, 1);
  },

  "friends are removed; whom one blocks is listed, and marked among the friends": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using bo = await place.newPerson("bo", { v: 2 });
    await using cy = await place.newPerson("cy", { v: 2 });
    for (const { id } of [bo, cy]) await ann.client.request({ msgid: 7, friendid: id });
    const cases: [object, number][] = [
      [{ op: "block", id: ann.id }, 7],
      [{ op: "block", id: 999_999_999 }, 6],
      [{ op: "block", id: "1" }, 4],
      [{ op: "block" }, 4],
      [{ op: "toString", id: bo.id }, 4],
      [{ op: 7 }, 4],
      [{}, 4],
      [{ op: "unblock", id: bo.id }, 0],
      [{ op: "remove", id: bo.id }, 0],
      [{ op: "remove", id: bo.id }, 0],
      [{ op: "block", id: cy.id }, 0],
    ];
    for (const [fields, errno] of cases) {
      assertEquals((await ann.client.request({ msgid: 26, ...fields })).errno, errno, JSON.stringify(fields));
    }
    assertEquals((await contact(ann, "blocked")).users, [{ id: cy.id, name: cy.name }]);
    ann.client.close();
    await place.offline(ann.id);
    await using again = await place.comeBack(ann, { v: 3 });
    assertEquals(again.reply.friends, [{ id: cy.id, name: cy.name, state: "offline", blocked: true }]);
    await contact(again, "unblock", cy.id);
    assertEquals((await contact(again, "blocked")).users, []);
    assertEquals((await bo.client.request({ msgid: 26, op: "blocked" })).errno, 5);
  },

  "whom one blocks puts no emoji and no pin to anything that one sees, and takes none of one's own away":
    async (
      place,
    ) => {
      await using ann = await place.newPerson("ann", { v: 3 });
      await using li = await place.newPerson("li", { v: 3 });
      const conversation = `u${ann.id}-${li.id}`;
      for (const msg of ["1", "2", "3"]) await ann.client.request(chat(ann, li.id, msg));
      const act = async (who: Person, ref: number, fields: object) => {
        const { errno } = await who.client.request({ msgid: 23, conversation, ref, ...fields });
        assertEquals(errno, 0, JSON.stringify(fields));
      };
      const marks = async (who: Person) => {
        const { messages = [] } = await who.client.request({ msgid: 15, conversation });
        return messages.filter(({ msgid }) => msgid === 6).map((frame) => [
          frame.reactions,
          frame.reaction_counts,
          frame.pinned,
        ]);
      };
      await act(ann, 1, { act: "react", emoji: "👍", on: true });
      await act(li, 2, { act: "pin", on: true });
      await contact(li, "block", ann.id);
      await act(ann, 1, { act: "react", emoji: "👎", on: true });
      await act(ann, 1, { act: "pin", on: true });
      await act(ann, 2, { act: "pin", on: false });
      await act(li, 1, { act: "react", emoji: "👎", on: true });
      const seen = [
        [{ "👍": [ann.id], "👎": [li.id] }, undefined, undefined],
        [undefined, undefined, true],
        [undefined, undefined, undefined],
      ];
      assertEquals(await marks(li), seen);
      const [first] = await marks(ann);
      assertEquals(first, [{ "👍": [ann.id], "👎": [ann.id, li.id] }, undefined, true]);
      // What was hidden stays so; what one pins oneself is seen.
      await contact(li, "unblock", ann.id);
      assertEquals(await marks(li), seen);
      await act(li, 1, { act: "pin", on: true });
      assertEquals((await marks(li))[0]?.[2], true);
    },

  "past the log nothing reaches who blocks it either": async (shared) => {
    await using place = await shared.elsewhere(["--persist", "offline"]);
    await using ann = await place.newPerson("ann", { v: 2 });
    const li = await place.newPerson("li", { v: 3 });
    await contact(li, "block", ann.id);
    li.client.close();
    await place.offline(li.id);
    for (const v of [undefined, 2] as const) {
      await using old = await place.comeBack(li, v === undefined ? {} : { v });
      const { errno } = await ann.client.request(chat(ann, li.id, "hidden"));
      assertEquals(errno, 0);
      await old.client.fence();
      await ann.client.request(chat(ann, ann.id, "to oneself"));
      old.client.close();
      await place.offline(li.id);
    }
    assertEquals(await place.sql(`SELECT hidden FROM Message WHERE message LIKE '%"hidden"%'`), [["1"], [
      "1",
    ]]);
  },
});
