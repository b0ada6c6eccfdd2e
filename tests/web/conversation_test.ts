import { assertEquals } from "@std/assert";
import { Conversation } from "../../lib/web/app/conversation.ts";

function createConversation(): Conversation {
  const conversation = new Conversation("u1-2", 1);
  for (const seq of [1, 2, 3, 4]) {
    const sender = seq % 2 + 1;
    conversation.insert({ conversation: "u1-2", seq, sender, name: "li", text: `text ${seq}`, at: seq }, seq);
  }
  return conversation;
}

Deno.test("when a log has gone back in time, nobody has read what is said there from then on", () => {
  const conversation = createConversation();
  conversation.peers.set(2, { delivered: 4, read: 3, since: 0 });
  conversation.peers.set(3, { delivered: 1, read: 1, since: 1 });
  conversation.forgetAbove(2);
  assertEquals([...conversation.peers], [
    [2, { delivered: 2, read: 2, since: 0 }],
    [3, { delivered: 1, read: 1, since: 1 }],
  ]);
  assertEquals([conversation.countPeers("delivered", 3), conversation.countPeers("read", 2)], [0, 1]);
  assertEquals(conversation.entries.map(({ seq }) => seq), [1, 2]);
  assertEquals([conversation.head.lastSeq, conversation.head.last?.text], [2, "text 2"]);
});

Deno.test("a conversation's version changes with its entries, and with nothing else", () => {
  const conversation = createConversation();
  const { version } = conversation;
  conversation.setState({ id: "u1-2", base: 0, top: 4, shown: 4 });
  assertEquals(conversation.version, version);
  conversation.recall(2);
  assertEquals(conversation.version, version + 1);
  conversation.forgetAbove(3);
  assertEquals(conversation.version, version + 2);
});
