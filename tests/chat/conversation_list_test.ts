/** The list of conversations of version 3: at the login, and page by page. */
import { assert, assertEquals } from "@std/assert";
import {
  chat,
  conversationOf,
  type Frame,
  groupChat,
  PASSWORD,
  type Person,
} from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { run } from "../support/process.ts";

interface Listed {
  conversation: string;
  last_seq: number;
  delivered: number;
  read: number;
  unread: number;
  mentions: number;
  at: number;
  peer?: object;
  last?: { seq: number; id: number; name?: string; msg?: string; at: number; recalled?: boolean };
}

/** The list as a new connection of the user gets it. */
async function list(
  place: Place,
  { id, client }: Person,
): Promise<{ listed: Listed[]; reply: Frame; again: Person }> {
  client.close();
  await place.offline(id);
  const again = await place.comeBack({ id, name: "" }, { v: 3 });
  return { listed: again.reply.conversations as unknown as Listed[], reply: again.reply, again };
}

async function say(from: Person, to: { id: number }, msg: string, fields: object = {}): Promise<Frame> {
  const reply = await from.client.request(chat(from, to.id, msg, fields));
  assertEquals(reply.errno, 0);
  return reply;
}

onEachDatabase("the list of conversations", {
  "a login says what is unread, who is named, and what was said last": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    await using wu = await place.newPerson("wu", { v: 2 });
    const { groupid = 0 } = await li.client.request({
      msgid: 8,
      groupname: place.newName("g"),
      groupdesc: "",
      join: "open",
    });
    await ann.client.request({ msgid: 9, groupid });
    const both = conversationOf(ann, wu);
    await say(wu, ann, "one");
    const { seq: two = 0 } = await say(wu, ann, "two");
    await say(ann, wu, "mine");
    await say(wu, ann, "four");
    const { at } = await say(wu, ann, "last \u{1f600}".padEnd(300, "x"));
    // What was recalled is not unread.
    assertEquals((await wu.client.request({ msgid: 17, conversation: both, seq: 4 })).errno, 0);
    assertEquals((await ann.client.request({ msgid: 13, conversation: both, seq: two })).errno, 0);
    const group = { id: li.id, name: li.name };
    await li.client.request(groupChat(group, groupid, "ann", { mentions: [ann.id, wu.id] }));
    await li.client.request(groupChat(group, groupid, "all", { mentions: "all" }));
    const { seq = 0 } = await li.client.request(groupChat(group, groupid, "oops", { mentions: [ann.id] }));
    const react = { msgid: 23, conversation: `g${groupid}`, ref: seq, act: "react", emoji: "👍", on: true };
    assertEquals((await li.client.request(react)).errno, 0);
    const { at: recalled = 0 } = await li.client.request({ ...react, act: "recall" });

    const { listed, reply, again } = await list(place, ann);
    await using _ = again;
    assertEquals(reply.more, false);
    const [first, second, ...rest] = listed;
    assertEquals(rest, []);
    assertEquals({ ...first, delivered: 0, read: 0 }, {
      conversation: `g${groupid}`,
      last_seq: 7,
      delivered: 0,
      read: 0,
      unread: 2,
      mentions: 2,
      at: recalled,
      last: { seq, id: li.id, at: first?.last?.at ?? 0, recalled: true },
    });
    const shown = [..."last \u{1f600}".padEnd(300, "x")].slice(0, 200).join("");
    assertEquals({ ...second, delivered: 0, at: 0 }, {
      conversation: both,
      last_seq: 6,
      delivered: 0,
      read: two,
      unread: 1,
      mentions: 0,
      at: 0,
      peer: { ...Object(second?.peer), id: wu.id, name: wu.name, state: "online" },
      last: { seq: 5, id: wu.id, name: wu.name, msg: shown, at: at ?? 0 },
    });
  },

  "the list is read on in by time, whatever happened at the same moment": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    // 450 others; three at a time wrote in the same millisecond.
    const others = Array.from({ length: 450 }, (_, i) => 1_000_000 + 1_000 * ann.id + i);
    const ids = others.map((id) => conversationOf(ann, { id }));
    const rows = (values: (id: string, i: number) => string) => ids.map(values).join(",");
    await place.sql(
      `INSERT INTO Conversation (id, last_seq, last_chat, members, at) VALUES ${
        rows((id, i) => `('${id}', 1, 1, 2, ${1_000 + Math.floor(i / 3)})`)
      }`,
    );
    await place.sql(
      `INSERT INTO Member (userid, conversation, since, delivered, \`read\`) VALUES ${
        rows((id) => `(${ann.id}, '${id}', 0, 1, 0)`)
      }`,
    );
    await place.sql(
      `INSERT INTO Message (conversation, seq, sender, at, message) VALUES ${
        rows((id, i) => `('${id}', 1, ${others[i]}, 1, '{"msgid":6,"name":"x","msg":"${i}"}')`)
      }`,
    );
    const { listed, reply, again } = await list(place, ann);
    await using _ = again;
    assertEquals([listed.length, reply.more], [201, true]);
    const found = [...listed];
    for (let more = true; more;) {
      const page = await again.client.request({ msgid: 34, before: found.at(-1)?.at ?? 0, limit: 100 });
      assertEquals([page.msgid, page.errno], [11, 0]);
      found.push(...(page.conversations ?? []) as unknown as Listed[]);
      more = page.more ?? false;
    }
    assertEquals(found.length, 450);
    assertEquals(new Set(found.map(({ conversation }) => conversation)), new Set(ids));
    const times = found.map(({ at }) => at);
    assertEquals(times, times.toSorted((a, b) => b - a));
    for (const { conversation, unread, last } of found) {
      assertEquals([unread, last?.msg], [1, String(ids.indexOf(conversation))]);
    }
    for (const limit of [0, 201, -1]) {
      assertEquals((await again.client.request({ msgid: 34, before: 1, limit })).errno, 4);
    }
    assertEquals((await again.client.request({ msgid: 34, before: 1 })).conversations, []);
    assertEquals((await again.client.request({ msgid: 34, limit: 1 })).conversations?.length, 3);
  },

  "what is unread is counted to a hundred, also among thousands of other entries": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const other = 3_000_000 + ann.id;
    const many = conversationOf(ann, { id: other });
    const few = conversationOf(ann, { id: other + 500_000 });
    const fill = async (conversation: string, count: number, row: (seq: number) => string) => {
      await place.sql(
        `INSERT INTO Conversation (id, last_seq, last_chat, members, at) VALUES ('${conversation}', ${count}, ${count}, 2, 1)`,
      );
      await place.sql(
        `INSERT INTO Member (userid, conversation, since, delivered, \`read\`) VALUES (${ann.id}, '${conversation}', 0, ${count}, 0)`,
      );
      for (let start = 1; start <= count; start += 500) {
        const seqs = Array.from({ length: Math.min(500, count - start + 1) }, (_, i) => start + i);
        await place.sql(
          `INSERT INTO Message (conversation, seq, sender, at, message, kind) VALUES ${
            seqs.map(row).join(",")
          }`,
        );
      }
    };
    await fill(many, 150, (seq) => `('${many}', ${seq}, ${other}, 1, '{"msg":"${seq}"}', 0)`);
    await fill(
      few,
      3_000,
      (seq) => `('${few}', ${seq}, ${seq % 1_000 === 0 ? other : ann.id}, 1, '{"msg":"x"}', 0)`,
    );
    const { listed, again } = await list(place, ann);
    await using _ = again;
    const unread = new Map(listed.map(({ conversation, unread }) => [conversation, unread]));
    assertEquals([unread.get(many), unread.get(few)], [100, 3]);
  },

  "a list shows the beginning of the longest message, wherever its text stands": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const texts = ["\u{1f600}".repeat(10_000), `\\"${'"\\'.repeat(8_000)}`, "\u0001".repeat(8_000)];
    for (const msg of texts) {
      await say(li, ann, msg);
      const { conversations = [] } = await ann.client.request({ msgid: 34 });
      assertEquals(Object(Object(conversations[0]).last).msg, [...msg].slice(0, 200).join(""));
    }
    const { time, ...rest } = chat(li, ann.id, "far behind");
    await li.client.send(JSON.stringify({ padding: "p".repeat(20_000), time, ...rest }));
    await ann.client.receiveUntil(({ msg }) => msg === "far behind");
    const { conversations = [] } = await ann.client.request({ msgid: 34 });
    const { last } = Object(conversations[0]);
    assertEquals([last.msg, last.name], ["far behind", li.name]);
  },

  "a user of ten thousand conversations logs in and reads its list at little cost": async (place) => {
    await using ann = await place.newPerson("ann", { v: 3 });
    const base = 10_000_000;
    for (let start = 0; start < 10_000; start += 1_000) {
      const some = Array.from({ length: 1_000 }, (_, i) => base + start + i);
      const ids = some.map((id) => conversationOf(ann, { id }));
      await place.sql(
        `INSERT INTO Conversation (id, last_seq, last_chat, members, at) VALUES ${
          ids.map((id, i) => `('${id}', 1, 1, 2, ${1_000 + start + i})`).join(",")
        }`,
      );
      await place.sql(
        `INSERT INTO Member (userid, conversation, since, delivered, \`read\`) VALUES ${
          ids.map((id) => `(${ann.id}, '${id}', 0, 1, 0)`).join(",")
        }`,
      );
      await place.sql(
        `INSERT INTO Message (conversation, seq, sender, at, message) VALUES ${
          ids.map((id, i) => `('${id}', 1, ${some[i]}, 1, '{"msgid":6,"name":"x","msg":"hello"}')`).join(",")
        }`,
      );
    }
    ann.client.close();
    await place.offline(ann.id);
    await using again = await place.connect();
    await again.send({ msgid: 1, v: 3, id: ann.id, password: PASSWORD });
    const { conversations = [], more } = await again.receive();
    assertEquals([conversations.length, more], [200, true]);
    // The median of some: the machine may be busy.
    const before = 5_000;
    const times: number[] = [];
    for (let round = 0; round < 9; round++) {
      const began = await processorMs(place.server.pid);
      assertEquals((await again.request({ msgid: 34, before })).conversations?.length, 200);
      times.push(await processorMs(place.server.pid) - began);
    }
    const [, , , , median = Infinity] = times.toSorted((a, b) => a - b);
    console.log(`a page of 10 000 conversations: ${median} ms of the node's processor time`);
    assert(median <= 100, `${median} ms`);
  },
}, ["--history-rate", "0"]);

/** Processor time that a process has used, ms. */
async function processorMs(pid: number): Promise<number> {
  const { stdout: stat } = await run("cat", [`/proc/${pid}/stat`]);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
