import { assert, assertEquals, assertMatch } from "@std/assert";
import { ChatClient, type Frame } from "../support/chat_client.ts";
import { type MariaDb, runProgram, startMariaDb, startRedis, startServer } from "../support/services.ts";

/** A database as the original server leaves it: its five tables, plain-text passwords, and messages that wait. */
const ORIGINAL = `
CREATE TABLE User (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL UNIQUE, password VARCHAR(50) NOT NULL,
  state ENUM('online','offline') DEFAULT 'offline') ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE Friend (userid INT NOT NULL, friendid INT NOT NULL, PRIMARY KEY (userid, friendid)) DEFAULT CHARSET=utf8;
CREATE TABLE AllGroup (id INT PRIMARY KEY AUTO_INCREMENT, groupname VARCHAR(50) NOT NULL UNIQUE,
  groupdesc VARCHAR(200) DEFAULT '') DEFAULT CHARSET=utf8;
CREATE TABLE GroupUser (groupid INT NOT NULL, userid INT NOT NULL, grouprole ENUM('creator','normal') DEFAULT 'normal',
  PRIMARY KEY (groupid, userid)) DEFAULT CHARSET=utf8;
CREATE TABLE OfflineMessage (userid INT NOT NULL, message VARCHAR(500) NOT NULL) DEFAULT CHARSET=utf8;
INSERT INTO User VALUES (13, 'zhang san', '123456', 'online'), (15, 'li si', '666666', 'offline'),
  (19, 'liu shuo', '123456', 'offline'), (21, 'gao yang', 'a''b"c\\\\d', 'offline');
INSERT INTO Friend VALUES (13, 15), (13, 21), (21, 13);
INSERT INTO AllGroup VALUES (1, 'C++ chat project', 'start develop a chat project');
INSERT INTO GroupUser VALUES (1, 13, 'creator'), (1, 19, 'normal'), (1, 21, 'normal');
`;

const one = (from: number, to: number, msg: string) =>
  JSON.stringify({ id: from, msg, msgid: 6, name: `user ${from}`, time: "2020-02-22 00:43:59", toid: to });
const group = (from: number, msg: string) =>
  JSON.stringify({ groupid: 1, id: from, msg, msgid: 10, name: `user ${from}`, time: "2020-02-22 00:44:00" });

/** In the order in which the original put them there. */
const WAITING: [userid: number, message: string][] = [
  [19, one(13, 19, "first")],
  [21, one(19, 21, "to gao yang")],
  [19, group(13, "to the group")],
  [21, group(13, "to the group")],
  [19, one(21, 19, "from another")],
  [19, one(13, 19, "last")],
];

async function makeOriginal(mariaDb: MariaDb): Promise<void> {
  await mariaDb.sql(ORIGINAL);
  const rows = WAITING.map(([userid, message]) => `(${userid}, '${message.replaceAll("'", "''")}')`);
  await mariaDb.sql(`INSERT INTO OfflineMessage VALUES ${rows.join(",")}`);
}

async function logIn(
  port: number,
  id: number,
  password: string,
): Promise<{ client: ChatClient; reply: Frame }> {
  const client = await ChatClient.connect(port);
  await client.send({ msgid: 1, id, password });
  return { client, reply: await client.receive() };
}

const texts = (reply: Frame) => (reply.offlineMsg ?? []).map((text) => JSON.parse(text).msg);

Deno.test("a database of the original server goes on under this one: ids, passwords, friends, groups, waiting messages", async () => {
  await using mariaDb = await startMariaDb();
  await using redis = await startRedis();
  await makeOriginal(mariaDb);
  // Two nodes at once: one upgrades, the other waits for it.
  const args = ["--mysql", mariaDb.url, "--redis", redis.url];
  const nodes = await Promise.all(["A", "B"].map((name) => startServer([...args, "--node", name])));
  await using stack = new AsyncDisposableStack();
  for (const node of nodes) stack.use(node);
  const [a, b] = nodes;
  assert(a && b);
  assertEquals([a, b].filter(({ stderr }) => stderr.includes("0003_import_original")).length, 1);

  const again = await runProgram(["migrate", "--mysql", mariaDb.url]);
  assertEquals([again.code, again.stdout.trim()], [0, "The database is up to date."]);

  const states = await mariaDb.sql("SELECT state FROM User WHERE id = 13");
  assertEquals(states.trim(), "offline");
  const liu = stack.use((await logIn(a.port, 19, "123456")).client);
  liu.close();
  const { client, reply } = await logIn(b.port, 21, "a'b\"c\\d");
  stack.use(client);
  assertEquals([reply.errno, reply.name], [0, "gao yang"], reply.errmsg);
  assertEquals(texts(reply), ["to gao yang", "to the group"]);
  assertEquals(reply.friends?.map((friend) => JSON.parse(String(friend)).id), [13]);
  const [shown] = (reply.groups ?? []).map((text) => JSON.parse(String(text)));
  assertEquals([shown.id, shown.groupname], [1, "C++ chat project"]);
  const users = shown.users.map((user: string) => JSON.parse(user));
  assertEquals(users.map(({ id, role }: { id: number; role: string }) => `${id} ${role}`), [
    "13 creator",
    "19 normal",
    "21 normal",
  ]);

  const stored = await mariaDb.sql("SELECT password FROM User WHERE id IN (13, 21) ORDER BY id");
  const [untouched, replaced] = stored.trim().split("\n");
  assertEquals(untouched, "123456");
  assertMatch(replaced ?? "", /^\$scrypt\$/);
  client.close();
  const wrong = await logIn(b.port, 13, "1234567");
  stack.use(wrong.client);
  assertEquals(wrong.reply.errno, 1);
});

Deno.test("waiting messages of the original arrive in their order, whoever they are from, and once", async () => {
  await using mariaDb = await startMariaDb();
  await makeOriginal(mariaDb);
  await using server = await startServer(["--mysql", mariaDb.url]);
  const first = await logIn(server.port, 19, "123456");
  await using client = first.client;
  const expected = WAITING.filter(([userid]) => userid === 19).map(([, message]) => JSON.parse(message).msg);
  assertEquals(texts(first.reply), expected);
  await client.send({ msgid: 3, id: 19 });
  await client.send({ msgid: 1, id: 19, password: "123456" });
  assertEquals(texts(await client.receive()), []);
});
