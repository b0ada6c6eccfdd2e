import { assertEquals, assertThrows } from "@std/assert";
import { prepareHistoryFile, serverFolder } from "../../../lib/client/terminal/history_path.ts";
import { HistoryStore } from "../../../lib/client/terminal/history_store.ts";
import type { ChatMessage } from "../../../lib/client/core/messages.ts";
import { movePeer } from "../../../lib/client/core/receipts.ts";

function message(seq: number | null, text: string | null = `text ${seq}`, sender = 2): ChatMessage {
  return { conversation: "u1-2", seq, sender, name: "li", text, at: 1000 + (seq ?? 0) };
}

Deno.test("a message is stored once, and stays what it was", () => {
  using store = new HistoryStore(":memory:");
  assertEquals(store.insert(message(1, "中文 \0 👍 \n")), true);
  assertEquals(store.insert(message(1, "another")), false);
  assertEquals(store.find("u1-2", 1), message(1, "中文 \0 👍 \n"));
  assertEquals(store.find("u1-2", 2), undefined);
  assertEquals(store.find("u1-3", 1), undefined);
});

Deno.test("messages come back in seq order whatever order they came in, those without a seq where they came in", () => {
  using store = new HistoryStore(":memory:");
  store.insert(message(null, "before"));
  for (const seq of [3, 1, 2]) store.insert(message(seq));
  store.insert(message(null, "between"));
  store.insert(message(null, "between too"));
  store.insert(message(4));
  const texts = (count: number) => store.latest("u1-2", count).map(({ text }) => text);
  assertEquals(texts(10), ["before", "text 1", "text 2", "text 3", "between", "between too", "text 4"]);
  assertEquals(texts(3), ["between", "between too", "text 4"]);
  assertEquals(store.range("u1-2", 1, 3).map(({ seq }) => seq), [2, 3]);
  assertEquals(store.seqsAbove("u1-2", 2), [3, 4]);
});

Deno.test("a recalled message keeps its place and loses its text", () => {
  using store = new HistoryStore(":memory:");
  store.insert(message(1, "a", 1));
  store.insert(message(2, "b", 1));
  assertEquals(store.lastSeqOf("u1-2", 1), 2);
  store.recall("u1-2", 2);
  assertEquals(store.find("u1-2", 2)?.text, null);
  assertEquals(store.lastSeqOf("u1-2", 1), 1);
});

Deno.test("a transaction that fails leaves nothing behind, and what waited for it does not happen", () => {
  using store = new HistoryStore(":memory:");
  const happened: string[] = [];
  assertThrows(() =>
    store.transaction(() => {
      store.insert(message(1));
      store.transaction(() => store.insert(message(2)));
      store.afterCommit(() => happened.push("failed"));
      throw new Error("in the middle");
    })
  );
  assertEquals(store.latest("u1-2", 10), []);
  store.transaction(() => {
    store.afterCommit(() => happened.push("committed"));
    happened.push("inside");
  });
  store.afterCommit(() => happened.push("at once"));
  assertEquals(happened, ["inside", "committed", "at once"]);
});

Deno.test("an archived conversation begins at 1 again and keeps its old messages out of the way", () => {
  using store = new HistoryStore(":memory:");
  store.insert(message(1, "old"));
  store.saveConversation({ id: "u1-2", base: 0, top: 1, shown: 1 });
  store.savePeer("u1-2", 2, { delivered: 1, read: 1 });
  store.archiveConversation("u1-2", 5);
  assertEquals(store.conversations(), []);
  assertEquals(store.peer("u1-2", 2), { delivered: 0, read: 0 });
  assertEquals(store.insert(message(1, "new")), true);
  assertEquals(store.latest("u1-2", 10).map(({ text }) => text), ["new"]);
});

Deno.test("a receipt tells only what is news about our own messages", () => {
  using store = new HistoryStore(":memory:");
  store.insert(message(1, "mine", 1));
  store.insert(message(2, "theirs", 2));
  store.insert(message(3, "mine", 1));
  const peer = { conversation: "u1-2", id: 2 };
  const move = (delivered: number, read: number) =>
    movePeer(store, 1, { ...peer, delivered, read }).map(({ kind, seq }) => `${kind} ${seq}`);
  assertEquals(move(2, 0), ["delivered 1"]);
  assertEquals(move(2, 0), []);
  assertEquals(move(3, 2), ["read 1", "delivered 3"]);
  assertEquals(move(1, 1), []);
  assertEquals(move(9, 9), ["read 3"]);
  assertEquals(store.peer("u1-2", 2), { delivered: 9, read: 9 });
});

Deno.test("the history file is readable by its user only, whatever was there before, and keeps everything", async () => {
  const folder = await Deno.makeTempDir({ prefix: "chat_test_" });
  try {
    const server = serverFolder(folder, "::1", 6000);
    await Deno.mkdir(server, { mode: 0o755 });
    await Deno.writeTextFile(`${server}/7.db`, "", { mode: 0o644 });
    const path = prepareHistoryFile(server, 7);
    {
      using store = new HistoryStore(path);
      store.insert(message(1));
      store.addToOutbox({ cid: "c1", conversation: "u1-2", text: "waiting", at: 1 });
      if (Deno.build.os !== "windows") {
        assertEquals(((await Deno.stat(server)).mode ?? 0) & 0o777, 0o700);
        for await (const { name } of Deno.readDir(server)) {
          assertEquals(((await Deno.stat(`${server}/${name}`)).mode ?? 0) & 0o777, 0o600, name);
        }
      }
    }
    using store = new HistoryStore(prepareHistoryFile(server, 7));
    assertEquals(store.latest("u1-2", 1), [message(1)]);
    assertEquals(store.outbox(), [{ cid: "c1", conversation: "u1-2", text: "waiting", at: 1 }]);
    store.removeFromOutbox("c1");
    assertEquals(store.outbox(), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("each server has a folder of its own", () => {
  assertEquals(serverFolder("/data", "Chat.Example.org", 6000), "/data/chat.example.org_6000");
  assertEquals(serverFolder("/data", "::1", 6001), "/data/__1_6001");
  assertEquals(serverFolder("/data", "../../etc", 1), "/data/.._.._etc_1");
});
