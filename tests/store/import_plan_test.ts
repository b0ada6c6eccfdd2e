import { assert, assertEquals } from "@std/assert";
import { type Imported, ImportPlan, type PendingRow } from "../../lib/store/import_plan.ts";

function oneChat(id: number, toid: number, msg: string): string {
  return JSON.stringify({ id, msg, msgid: 6, name: `user ${id}`, time: "2024-05-01 12:00:00", toid });
}

function groupChat(id: number, groupid: number, msg: string): string {
  return JSON.stringify({ groupid, id, msg, msgid: 10, name: `user ${id}`, time: "2024-05-01 12:00:00" });
}

const USERS = [1, 2, 3, 4];
const GROUPS = [7, 8];
const MEMBERSHIPS = GROUPS.flatMap((groupid) => USERS.map((userid) => ({ groupid, userid })));

function planOf(rows: readonly (readonly [userid: number, message: string])[]): {
  imported: Imported;
  refused: Record<string, number>;
} {
  const plan = new ImportPlan(USERS, MEMBERSHIPS);
  rows.forEach(([userid, message], index) => plan.add({ position: index + 1, userid, message }));
  return { imported: plan.finish(), refused: Object.fromEntries(plan.refused) };
}

/** What a user gets at the next login: the view OfflineMessage, in the order of the log's times. */
function pendingOf(userId: number, { messages, members }: Imported): string[] {
  const delivered = new Map(
    members.filter((member) => member.userId === userId).map((
      member,
    ) => [member.conversation, member.delivered]),
  );
  return messages
    .filter(({ conversation, seq, sender }) =>
      sender !== userId && seq > (delivered.get(conversation) ?? Infinity)
    )
    .map(({ text }) => text);
}

/** Numbers below `n`, the same for the same seed. */
function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 48271 + 1) % 0x7fffffff;
    return Math.floor(state / 0x7fffffff * n);
  };
}

Deno.test("a one-to-one message pends for its receiver and not for its sender", () => {
  const { imported } = planOf([[2, oneChat(1, 2, "a")], [2, oneChat(1, 2, "b")]]);
  assertEquals(imported, {
    messages: [
      { conversation: "u1-2", seq: 1, sender: 1, text: oneChat(1, 2, "a") },
      { conversation: "u1-2", seq: 2, sender: 1, text: oneChat(1, 2, "b") },
    ],
    members: [
      { userId: 2, conversation: "u1-2", since: 0, delivered: 0 },
      { userId: 1, conversation: "u1-2", since: 0, delivered: 2 },
    ],
    positions: [1, 2],
  });
});

Deno.test("two users who were away for each other's messages both get them", () => {
  const { imported } = planOf([[2, oneChat(1, 2, "to 2")], [1, oneChat(2, 1, "to 1")], [
    2,
    oneChat(1, 2, "again"),
  ]]);
  assertEquals(pendingOf(1, imported), [oneChat(2, 1, "to 1")]);
  assertEquals(pendingOf(2, imported), [oneChat(1, 2, "to 2"), oneChat(1, 2, "again")]);
});

Deno.test("a group message that pends for many is one message", () => {
  const [hello, bye] = [groupChat(1, 7, "hello"), groupChat(1, 7, "bye")];
  const { imported } = planOf([[2, hello], [3, hello], [2, bye], [3, bye], [4, bye]]);
  assertEquals(imported.messages.map(({ seq, text }) => ({ seq, text })), [
    { seq: 1, text: hello },
    { seq: 2, text: bye },
  ]);
  assertEquals(imported.members, [
    { userId: 2, conversation: "g7", since: 0, delivered: 0 },
    { userId: 3, conversation: "g7", since: 0, delivered: 0 },
    { userId: 4, conversation: "g7", since: 1, delivered: 1 },
  ]);
});

Deno.test("a text that was sent again while a member was away longer than another is told apart from its repetition", () => {
  const [hi, other] = [groupChat(1, 7, "hi"), groupChat(1, 7, "other")];
  const { imported } = planOf([[2, hi], [2, other], [2, hi], [3, hi]]);
  assertEquals(imported.messages.map(({ text }) => text), [hi, other, hi]);
  assertEquals(pendingOf(3, imported), [hi]);
});

Deno.test("the same text in two groups is two messages", () => {
  const { imported } = planOf([[2, groupChat(1, 7, "hi")], [2, groupChat(1, 8, "hi")]]);
  assertEquals(imported.messages.map(({ conversation, seq }) => `${conversation} ${seq}`), ["g7 1", "g8 1"]);
});

Deno.test("rows that nobody can get are refused with the reason and do not count", () => {
  const { imported, refused } = planOf([
    [2, oneChat(1, 2, "fine")],
    [2, oneChat(1, 2, "cut off".repeat(99)).slice(0, 500)],
    [2, "[1]"],
    [2, ""],
    [2, JSON.stringify({ msgid: 1, id: 1 })],
    [2, JSON.stringify({ msgid: 6, id: "1", toid: 2 })],
    [2, oneChat(1, 3, "in the wrong hands")],
    [2, oneChat(99, 2, "from nobody")],
    [99, oneChat(1, 99, "to nobody")],
    [2, groupChat(1, 99, "no such group")],
  ]);
  assertEquals(imported.positions, [1]);
  assertEquals(imported.messages.length, 1);
  assertEquals(refused, { not_json: 3, not_a_message: 3, unknown_user: 2, not_a_member: 1 });
});

Deno.test("control characters that MySQL made of JSON's escapes become escapes again", () => {
  const { imported } = planOf([[2, oneChat(1, 2, "a\tb\nc").replace("\\t", "\t").replace("\\n", "\n")]]);
  assertEquals(imported.messages[0]?.text, oneChat(1, 2, "a\tb\nc"));
});

Deno.test("an object's own conversation, seq, at and cid make way for the server's", () => {
  const text = JSON.stringify({
    msgid: 6,
    id: 1,
    toid: 2,
    msg: "a",
    seq: 9,
    at: 1,
    cid: "c",
    conversation: "x",
    own: 1,
  });
  const { imported } = planOf([[2, text]]);
  assertEquals(imported.messages[0]?.text, JSON.stringify({ msgid: 6, id: 1, toid: 2, msg: "a", own: 1 }));
});

/**
 * Acts as the original server: users come and go, what comes for them meanwhile is a row each. Its threads may write the
 * rows of messages that are under way at the same time in any order, except two for one receiver.
 */
function simulate(random: (n: number) => number): PendingRow[] {
  const online = new Set(USERS);
  let rows: { userid: number; message: string }[] = [];
  for (let i = 0; i < 100; i++) {
    const user = USERS[random(USERS.length)] ?? 1;
    if (random(12) === 0) {
      if (online.delete(user)) continue;
      online.add(user);
      rows = rows.filter(({ userid }) => userid !== user);
      continue;
    }
    if (!online.has(user)) continue;
    // Few texts, so that many are the same.
    const text = "abc"[random(3)] ?? "";
    const toid = USERS[random(USERS.length)] ?? 1;
    const groupid = GROUPS[random(GROUPS.length)] ?? 7;
    const isGroup = random(2) === 0;
    const receivers = isGroup ? USERS : [toid];
    for (const userid of receivers) {
      if (userid === user || online.has(userid)) continue;
      rows.push({ userid, message: isGroup ? groupChat(user, groupid, text) : oneChat(user, toid, text) });
    }
  }
  for (let i = 0; i + 1 < rows.length; i += random(3)) {
    const [left, right] = [rows[i], rows[i + 1]];
    if (left && right && left.userid !== right.userid && random(4) > 0) {
      [rows[i], rows[i + 1]] = [right, left];
    }
  }
  return rows.map((row, index) => ({ position: 2 * index + 1, ...row }));
}

Deno.test("everybody gets exactly the own rows in their order, whatever happened before", () => {
  const seed = 1 + Math.floor(Math.random() * 1e9);
  console.log(`seed ${seed}`);
  const random = randomFrom(seed);
  for (let round = 0; round < 500; round++) {
    const rows = simulate(random);
    const plan = new ImportPlan(USERS, MEMBERSHIPS);
    for (const row of rows) plan.add(row);
    const imported = plan.finish();
    assertEquals(imported.positions, rows.map(({ position }) => position));
    for (const userId of USERS) {
      const own = rows.filter(({ userid }) => userid === userId).map(({ message }) => message);
      assertEquals(pendingOf(userId, imported), own, `user ${userId} in round ${round}`);
    }
    const ends = new Map<string, number>();
    for (const { conversation, seq } of imported.messages) {
      assertEquals(seq, (ends.get(conversation) ?? 0) + 1);
      ends.set(conversation, seq);
    }
    for (const { conversation, since, delivered } of imported.members) {
      assert(0 <= since && since <= delivered && delivered <= (ends.get(conversation) ?? -1));
    }
  }
});
