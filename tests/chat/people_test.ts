/** What users do about each other: find, add. */
import { assert, assertEquals } from "@std/assert";
import type { Person } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { BY_KEY_RANGE } from "../../lib/store/contacts.ts";

/** The names that a FIND_MSG finds. */
async function found(who: Person, fields: object): Promise<unknown> {
  const { errno, users } = await who.client.request({ msgid: 27, ...fields });
  return errno === 0 ? (users as { name: string }[]).map(({ name }) => name) : errno;
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
    assert(/SEARCH User USING INDEX|"range".*"name_key"/.test(text), text);
    assert(!/SCAN|TEMP B-TREE|filesort/.test(text), text);
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
});
