import { assertEquals } from "@std/assert";
import { ConversationList, nextBefore, readSummary } from "../../../lib/client/core/conversation_list.ts";
import type { ChatMessage } from "../../../lib/client/core/messages.ts";

function message(seq: number, fields: Partial<ChatMessage> = {}): ChatMessage {
  return { conversation: "g7", seq, sender: 2, name: "li", text: `text ${seq}`, at: 1000 + seq, ...fields };
}

/** The list of user 1, to whom the server has told of two conversations. */
function createList(): ConversationList {
  const list = new ConversationList(1);
  list.set([
    readSummary({ conversation: "g7", last_seq: 5, read: 3, unread: 2, mentions: 0, at: 1005, delivered: 5 }),
    readSummary({
      conversation: "u1-2",
      last_seq: 9,
      read: 9,
      unread: 0,
      mentions: 0,
      at: 1009,
      peer: { id: 2, name: "li", state: "online", delivered: 9, read: 9 },
      last: { seq: 9, id: 2, name: "li", msg: "bye", at: 1009 },
    }),
  ]);
  return list;
}

Deno.test("the list has the newest first, and counts what the server has not counted", () => {
  const list = createList();
  assertEquals(list.all().map(({ conversation }) => conversation), ["u1-2", "g7"]);
  list.add(message(5));
  assertEquals(list.get("g7")?.unread, 2, "it was counted");
  list.add(message(10, { frame: { mentions: [3, 1] } }));
  list.add(message(11, { frame: { mentions: "all" } }));
  list.add(message(12, { sender: 1 }));
  list.touch("g7", 13, 2000);
  const { unread, mentions, lastSeq, last } = list.get("g7") ?? {};
  assertEquals([unread, mentions, lastSeq, last?.text], [4, 2, 13, "text 12"]);
  assertEquals(list.all().map(({ conversation }) => conversation), ["g7", "u1-2"]);
  list.add(message(1, { conversation: "u1-3", sender: 3 }));
  assertEquals(list.get("u1-3")?.unread, 1);
});

Deno.test("what was read is not unread, here or on another device, and never again", () => {
  const list = createList();
  list.add(message(6));
  list.read("g7", 5, { unread: 1, mentions: 0 });
  assertEquals(list.get("g7")?.unread, 1);
  list.read("g7", 4, { unread: 2, mentions: 0 });
  assertEquals(list.get("g7")?.unread, 1);
  list.read("g7", 6, { unread: 100, mentions: 100 });
  assertEquals(list.get("g7")?.unread, 0);
  list.mute("g7", 5000);
  assertEquals(list.get("g7")?.mutedUntil, 5000);
  list.changed(message(6, { text: null }));
  assertEquals(list.get("g7")?.last?.text, "");
  list.remove("g7");
  assertEquals(list.all().length, 1);
});

Deno.test("the next page begins behind the last conversation of this one, where the server has more", () => {
  const conversations = [{ conversation: "g7", at: 1005 }, { conversation: "u1-2", at: 1003 }];
  assertEquals(nextBefore({ conversations, more: true }), 1003);
  assertEquals(nextBefore({ conversations, more: false }), undefined);
  assertEquals(nextBefore({ conversations: [], more: true }), undefined);
  assertEquals(nextBefore({ errno: 10 }), undefined);
});
