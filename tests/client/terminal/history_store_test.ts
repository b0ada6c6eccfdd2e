import { assertEquals, assertThrows } from "@std/assert";
import { prepareHistoryFile, serverFolder } from "../../../lib/client/terminal/history_path.ts";
import { DatabaseSync } from "node:sqlite";
import { DeviceStores } from "../../../lib/client/terminal/device_stores.ts";
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
    const path = prepareHistoryFile(server, "7.db");
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
    using store = new HistoryStore(prepareHistoryFile(server, "7.db"));
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

Deno.test("what an entry says besides its text is kept; a message that is taken back keeps nothing", () => {
  using store = new HistoryStore(":memory:");
  const frame = { msgid: 6, id: 2, msg: "text 1", seq: 1, reply: 7, mentions: [1], cid: "c" };
  store.insert({ ...message(1), frame });
  assertEquals(store.find("u1-2", 1), { ...message(1), frame: { reply: 7, mentions: [1] } });
  const action = { msgid: 23, conversation: "u1-2", seq: 2, id: 2, ref: 1, act: "edit", msg: "better" };
  store.insert({ ...message(2, null), frame: action });
  const system = { msgid: 25, conversation: "u1-2", seq: 3, by: 2, id: 9, what: "added" };
  store.insert({ ...message(3, null), frame: system });
  assertEquals(store.range("u1-2", 1, 3).map(({ frame }) => frame), [
    { msgid: 23, id: 2, ref: 1, act: "edit", msg: "better" },
    { msgid: 25, id: 9, what: "added" },
  ]);
  assertEquals(store.latest("u1-2", 10).map(({ seq }) => seq), [1, 3]);
  store.replace({ ...message(1, "better"), frame: { edited: 5 } });
  assertEquals(store.find("u1-2", 1), { ...message(1, "better"), frame: { edited: 5 } });
  store.recall("u1-2", 1);
  assertEquals(store.find("u1-2", 1), message(1, null));
});

Deno.test("a file of an earlier version is taken over, with what was to be sent", async () => {
  const folder = await Deno.makeTempDir({ prefix: "chat_test_" });
  try {
    {
      using old = new DatabaseSync(`${folder}/7.db`);
      old.exec(`
        PRAGMA journal_mode = WAL;
        CREATE TABLE Conversation (
          id TEXT PRIMARY KEY, base INTEGER NOT NULL, top INTEGER NOT NULL, shown INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE Message (
          number INTEGER PRIMARY KEY, conversation TEXT NOT NULL, seq INTEGER, position INTEGER NOT NULL,
          sender INTEGER NOT NULL, name TEXT NOT NULL, text TEXT, at INTEGER NOT NULL,
          UNIQUE (conversation, seq)
        );
        CREATE TABLE Outbox (
          number INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL UNIQUE, conversation TEXT NOT NULL,
          text TEXT NOT NULL, at INTEGER NOT NULL
        );
        CREATE TABLE Peer (
          conversation TEXT NOT NULL, id INTEGER NOT NULL, delivered INTEGER NOT NULL, read INTEGER NOT NULL,
          PRIMARY KEY (conversation, id)
        ) WITHOUT ROWID;
        INSERT INTO Conversation VALUES ('u1-2', 0, 1, 1);
        INSERT INTO Message VALUES (1, 'u1-2', 1, 1, 2, 'li', '"text 1"', 1001);
        INSERT INTO Outbox VALUES (1, 'c1', 'u1-2', '"waiting"', 1);
        INSERT INTO Peer VALUES ('u1-2', 2, 1, 1);
      `);
    }
    const stores = new DeviceStores(folder);
    assertEquals([stores.find(7), stores.find("li"), stores.findLogin()], [undefined, undefined, undefined]);
    using store = stores.open(7);
    assertEquals(store.latest("u1-2", 9), [message(1)]);
    assertEquals(store.conversations(), [{ id: "u1-2", base: 0, top: 1, shown: 1 }]);
    assertEquals(store.outbox(), [{ cid: "c1", conversation: "u1-2", text: "waiting", at: 1 }]);
    assertEquals(store.peer("u1-2", 2), { delivered: 1, read: 1 });
    store.insert({ ...message(2), frame: { reply: 1 } });
    assertEquals(store.find("u1-2", 2)?.frame, { reply: 1 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("each client of a user has a file of its own, and is the device again whose file is free", async () => {
  const folder = await Deno.makeTempDir({ prefix: "chat_test_" });
  const files = () =>
    Array.from(Deno.readDirSync(folder), ({ name }) => name).filter((name) => name.endsWith(".db"));
  /** What a client does that logs in as user 7, Li, and becomes this device. */
  const become = (stores: DeviceStores, device: number) => {
    const store = stores.open(7);
    store.saveSetting("name", "Li");
    store.saveSetting("device", String(device));
    store.saveSetting("token", `token ${device}`);
    return store;
  };
  try {
    const first = new DeviceStores(folder);
    const second = new DeviceStores(folder);
    assertEquals(first.find("li"), undefined);
    const one = become(first, 70);
    assertEquals([second.find("li"), second.find(7)], [undefined, undefined], "the first one has it");
    const two = become(second, 71);
    assertEquals(files().sort(), ["7-2.db", "7.db"]);
    two[Symbol.dispose]();
    assertEquals(second.find("LI"), 71);
    assertEquals(new DeviceStores(folder).findLogin(7), undefined, "both are in use");
    one[Symbol.dispose]();
    second.release();
    const third = new DeviceStores(folder);
    assertEquals([third.find(8), third.find("anna"), third.find(7)], [undefined, undefined, 70]);
    const kept = third.findLogin("li");
    assertEquals([kept?.userId, kept?.name], [7, "Li"]);
    const again = third.open(7);
    assertEquals(again.setting("token"), kept?.token);
    again[Symbol.dispose]();
    const other = new DeviceStores(folder);
    other.find(7);
    other.open(8)[Symbol.dispose]();
    assertEquals(
      new DeviceStores(folder).find(7),
      70,
      "what was found is given back when somebody else logs in",
    );
    assertEquals(files().length, 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("twenty clients of a user keep what they get, and the next one is told that they do", () => {
  const folder = Deno.makeTempDirSync({ prefix: "chat_test_" });
  const open: HistoryStore[] = [];
  try {
    for (let count = 0; count < 20; count++) open.push(new DeviceStores(folder).open(7));
    const error = assertThrows(() => new DeviceStores(folder).open(7), Error);
    assertEquals(error.message, "20 clients of this user are running here already");
  } finally {
    for (const store of open) store[Symbol.dispose]();
    Deno.removeSync(folder, { recursive: true });
  }
});
