import { Buffer } from "node:buffer";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type DatabaseErrorKind, EXIT } from "../../lib/base/errors.ts";
import { toDatabaseError } from "../../lib/store/mysql_errors.ts";
import { bind, bindRows, join } from "../../lib/store/mysql_text.ts";
import { chat, ChatClient, comeBack, logIn, newPerson, signUp } from "../support/chat_client.ts";
import { waitFor } from "../support/process.ts";
import { type MariaDb, runProgram, startMariaDb, startServer } from "../support/services.ts";

/**
 * What would end a literal somewhere: quotes, backslashes, and characters whose bytes are a quote's or swallow one in the
 * character set that the server takes them for. 張 is E5 BC B5; U+0127 and U+275C end in 27 and 5C when cut to a byte.
 */
const ATTACKS = [
  "張'); UPDATE User SET name=0x50574e4544 WHERE id=2; COMMIT; -- ",
  "\u0127); DROP TABLE Friend; -- ",
  "\u275c'); DROP TABLE Friend; -- ",
  "縗'); DROP TABLE Friend; -- ",
  "ソ\\'); DROP TABLE Friend; -- ",
  "\u00bf\\'); DROP TABLE Friend; -- ",
  "\u00bf'); DROP TABLE Friend; -- ",
  "'); DROP TABLE Friend; -- ",
  "\\'); DROP TABLE Friend; -- ",
  '"); DROP TABLE Friend; -- ',
  "`; DROP TABLE Friend; -- ",
  "*/); DROP TABLE Friend; /*",
  "' OR ''='",
  "\\",
  "?",
  "X'00'",
  "😀👍🏽 naïve ß 你好 ~`{}[]@^|",
] as const;

/** Settings of a server that must not matter, several at a time. */
const HOSTILE: Readonly<Record<string, readonly string[]>> = {
  "gbk, no handshake, no autocommit, chained commits": [
    "--character-set-server=gbk",
    "--autocommit=0",
    "--completion-type=CHAIN",
    "--sql-mode=NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT",
  ],
  "SET NAMES latin1 at every connection": [
    "--init-connect=SET SESSION TRANSACTION READ ONLY; SET NAMES latin1, autocommit = 0, sql_mode = ''; " +
    "SET completion_type = 2, sql_select_limit = 1",
    "--default-time-zone=+05:00",
  ],
  "utf8mb3, short limits": [
    "--character-set-server=utf8mb3",
    "--init-connect=SET NAMES utf8mb3, sql_safe_updates = 1, foreign_key_checks = 0, unique_checks = 0",
    "--transaction-isolation=SERIALIZABLE",
    "--max-allowed-packet=1M",
  ],
  "sjis": ["--character-set-server=sjis", "--init-connect=SET NAMES sjis"],
  "big5": ["--character-set-server=big5", "--init-connect=SET NAMES big5, sql_auto_is_null = 1"],
  "swe7, where brackets are letters": [
    "--character-set-server=latin1",
    "--init-connect=SET character_set_client = swe7, character_set_results = ucs2",
  ],
};

/** The node's user, who has no right to escape init_connect. */
async function ordinaryUrl(server: MariaDb): Promise<string> {
  await server.sql("CREATE USER chat@'%' IDENTIFIED BY 'p'; GRANT ALL ON chat.* TO chat@'%'");
  return server.url.replace("root@", "chat:p@");
}

/** A column of a table as text of UTF-8 bytes, whatever the client's character set. */
async function column(server: MariaDb, select: string): Promise<string[]> {
  const hex = await server.sql(select);
  return hex.split("\n").map((line) => new TextDecoder().decode(Uint8Array.fromHex(line)));
}

for (const [name, args] of Object.entries(HOSTILE)) {
  Deno.test(`a server's settings change nothing: ${name}`, async () => {
    const handshake = ["--loose-skip-character-set-client-handshake"];
    await using mariadb = await startMariaDb({ args: [...args, ...handshake] });
    const url = await ordinaryUrl(mariadb);
    const node = await startServer(["--mysql", url]);
    try {
      await using ann = await newPerson(node.port, "ann", { v: 2 });
      await using li = await newPerson(node.port, "li😀", { v: 2 });
      const texts: string[] = [];
      for (const attack of ATTACKS) {
        const reply = await ann.client.request({ ...chat(ann, li.id, attack), cid: attack.slice(0, 60) });
        assertEquals(reply.errno, 0, attack);
        assertEquals((await li.client.take(({ msgid }) => msgid === 6)).msg, attack);
        texts.push(attack);
      }
      // Names and descriptions, by somebody who has not logged in and by somebody who has.
      await using stranger = await ChatClient.connect(node.port);
      for (const attack of ATTACKS.slice(0, 4)) {
        await stranger.send({ msgid: 4, name: attack.slice(0, 50), password: attack });
        await stranger.receive();
      }
      for (const attack of ATTACKS) {
        const groupname = `g ${attack}`.slice(0, 50);
        await ann.client.request({ msgid: 8, id: ann.id, groupname, groupdesc: attack });
      }
      const { messages = [] } = await ann.client.request({ msgid: 15, id: ann.id, conversation: "u1-2" });
      assertEquals(messages.map(({ msg }) => msg), texts);
      // As somebody sees it who comes with his own connection, and after the node has been cut off without a warning.
      const latest = await signUp(stranger, "the last one");
      await node.kill();
      assertEquals(
        await column(mariadb, "SELECT HEX(CONVERT(name USING utf8mb4)) FROM User WHERE id <= 2 ORDER BY id"),
        ["ann", "li😀"],
      );
      assertEquals(
        (await column(
          mariadb,
          "SELECT HEX(CONVERT(message USING utf8mb4)) FROM Message WHERE kind = 0 ORDER BY seq",
        ))
          .map((text) => JSON.parse(text).msg),
        texts,
      );
      await mariadb.sql("SELECT COUNT(*) FROM Friend");
      await using again = await startServer(["--mysql", url]);
      await using client = await ChatClient.connect(again.port);
      await logIn(client, latest);
      await using back = await comeBack(again.port, ann, { v: 2 });
      assertEquals(back.reply.name, "ann");
    } finally {
      await node[Symbol.asyncDispose]();
    }
  });
}

Deno.test("whatever is said, a statement is ASCII, and its literals hold no quote and no backslash", {
  permissions: "none",
}, () => {
  for (const text of [...ATTACKS, "\0", "\r\n\t\x1a", "\ud800"]) {
    const single = bind("SELECT ?", [text]);
    const rows = bindRows({ into: "INSERT INTO T (a)", rows: [[text]] });
    for (const { text: sent } of [single, rows, join([single, rows])]) {
      assert(/^[\x20-\x7e]*$/.test(sent), sent);
      assert(!sent.includes("\\"), sent);
      assertEquals(sent.replaceAll("''", "").split("'").length % 2, 1, sent);
    }
  }
  assertEquals(bind("SELECT ?, ?, ?", ["it's", "a?b", null]).text, "SELECT 'it''s', 'a?b', NULL");
  assertEquals(bind("SELECT ?", ["\\'"]).text, "SELECT _utf8mb4 X'5c27'");
  assertEquals(bind("SELECT ?", [new Uint8Array([0, 39])]).text, "SELECT X'0027'");
});

/** Stands before a server and changes one word of what is said to it, as a proxy with a mind of its own might. */
function meddler(port: number, said: string, heard: string): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const change = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform: (bytes, out) =>
      out.enqueue(Buffer.from(Buffer.from(bytes).toString("latin1").replace(said, heard), "latin1")),
  });
  (async () => {
    const conn = await listener.accept();
    listener.close();
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    // Both end with one of the sides.
    conn.readable.pipeThrough(change).pipeTo(server.writable).catch(() => {});
    server.readable.pipeTo(conn.writable).catch(() => {});
  })();
  return listener;
}

Deno.test("a connection on which a setting does not hold is refused with one line", async () => {
  await using mariadb = await startMariaDb();
  for (
    const [said, heard, reason] of [
      [
        "utf8mb4 COLLATE utf8mb4_bin",
        "latin1  COLLATE latin1_bin ",
        "character_set_client is latin1, not utf8mb4",
      ],
      ["autocommit = 1", "autocommit = 0", "autocommit is OFF, not ON"],
      ["completion_type = 0", "completion_type = 1", "completion_type is CHAIN, not NO_CHAIN"],
      ["READ COMMITTED, READ WRITE", "READ COMMITTED, READ ONLY ", "_read_only is ON, not OFF"],
    ] as const
  ) {
    const { addr } = meddler(mariadb.port, said, heard);
    // Behind TLS nobody could change a word.
    const url = `mysql://root@127.0.0.1:${addr.port}/chat?ssl-mode=DISABLED`;
    const { code, stderr } = await runProgram(["migrate", "--mysql", url]);
    assertEquals(code, EXIT.config, stderr);
    assertStringIncludes(stderr, `MySQL at 127.0.0.1:${addr.port}: The session's settings do not hold: `);
    assertStringIncludes(stderr, reason);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  }
});

Deno.test("a server that takes no statement as long as the longest frame is refused at start", async () => {
  await using mariadb = await startMariaDb({ args: ["--max-allowed-packet=128K"] });
  const { code, stderr } = await runProgram(["serve", "127.0.0.1", "0", "--mysql", mariadb.url]);
  assertEquals(code, EXIT.config);
  assertStringIncludes(stderr, "its max_allowed_packet is 131072 bytes; frames of up to 65536 bytes");
  await using node = await startServer(["--mysql", mariadb.url, "--max-frame", "60K"]);
  await using ann = await newPerson(node.port, "ann", { v: 2 });
  const longest = "你".repeat((60 * 1024 - 200) / 3);
  const reply = await ann.client.request({ ...chat(ann, ann.id, longest), cid: "longest" });
  assertEquals([reply.errno, reply.seq], [0, 1]);
});

Deno.test("what the database does not take is told apart from what it does not take now", async () => {
  await using mariadb = await startMariaDb();
  await using node = await startServer(["--mysql", mariadb.url]);
  await using ann = await newPerson(node.port, "ann", { v: 2 });
  const say = (msg: string) => ann.client.request({ ...chat(ann, ann.id, msg), cid: msg.slice(0, 30) });
  const alter = (change: string) => mariadb.sql(`ALTER TABLE Message ${change}`);

  await alter("MODIFY message VARCHAR(300) CHARACTER SET latin1");
  const tooLong = await say("x".repeat(400));
  assertEquals([tooLong.errno, tooLong.errmsg], [9, "This is too large for the database"]);
  const noLetter = await say("你好");
  assertEquals([noLetter.errno, noLetter.errmsg], [4, "The database does not take this"]);
  await alter("ADD CONSTRAINT polite CHECK (message NOT LIKE '%rude%')");
  assertEquals((await say("rude")).errno, 4);
  assertEquals((await say("polite")).errno, 0);
  const lines = node.stderr.split("\n").filter((line) =>
    line.includes("the database does not take a message")
  );
  assertEquals(lines.length, 3, node.stderr);

  // Each of these is mended by somebody; what version 1 says meanwhile, and can not repeat, is kept.
  await using li = await newPerson(node.port, "li");
  const outages = [
    ["RENAME TABLE Message TO Away", "RENAME TABLE Away TO Message"],
    ["ALTER TABLE Message ADD extra INT NOT NULL", "ALTER TABLE Message DROP extra"],
    ["ALTER TABLE Message RENAME COLUMN at TO at2", "ALTER TABLE Message RENAME COLUMN at2 TO at"],
  ] as const;
  for (const [index, [breaks, mends]] of outages.entries()) {
    await mariadb.sql(breaks);
    await li.client.send(chat(li, ann.id, `kept ${index}`));
    await waitFor(
      "it to be told",
      () => node.stderr.split("they are kept and tried again").length > index + 1,
    );
    await mariadb.sql(mends);
    await ann.client.take(({ msg }) => msg === `kept ${index}`);
  }
});

Deno.test("a server that takes to reading only loses nothing of version 1, and version 2 is told to repeat", async () => {
  await using mariadb = await startMariaDb();
  const url = await ordinaryUrl(mariadb);
  await using node = await startServer(["--mysql", url]);
  await using ann = await newPerson(node.port, "ann", { v: 2 });
  await using li = await newPerson(node.port, "li");
  await mariadb.sql("SET GLOBAL read_only = 1");
  await li.client.send(chat(li, ann.id, "kept"));
  const reply = await ann.client.request({ ...chat(ann, li.id, "again"), cid: "again" });
  assertEquals([reply.errno, reply.errmsg], [10, "The database cannot be reached; try again"]);
  await mariadb.sql("SET GLOBAL read_only = 0");
  assertEquals((await ann.client.take(({ msgid }) => msgid === 6)).msg, "kept");
  assertEquals((await ann.client.request({ ...chat(ann, li.id, "again"), cid: "again" })).errno, 0);
});

Deno.test("the server's error numbers, and the classes of those nobody has listed, say what can be done", {
  permissions: "none",
}, () => {
  const errors: [errno: number, sqlState: string, kind: DatabaseErrorKind][] = [
    [1213, "40001", "conflict"],
    [3572, "HY000", "conflict"],
    [1036, "HY000", "unavailable"],
    [1290, "HY000", "unavailable"],
    [1874, "HY000", "unavailable"],
    [1146, "42S02", "unfit"],
    [1142, "42000", "unfit"],
    [1021, "HY000", "full"],
    [1406, "22001", "too_large"],
    [1153, "08S01", "too_large"],
    [1366, "22007", "refused"],
    [4025, "23000", "refused"],
    [1064, "42000", "other"],
    // Not in the table.
    [9999, "22012", "refused"],
    [9999, "23000", "refused"],
    [9999, "40002", "conflict"],
    [9999, "08006", "unavailable"],
    [9999, "HY000", "other"],
  ];
  for (const [errno, sqlState, kind] of errors) {
    const error = Object.assign(new Error("no"), { errno, sqlState, code: "ER" });
    assertEquals(toDatabaseError(error).kind, kind, `${errno} ${sqlState}`);
  }
});
