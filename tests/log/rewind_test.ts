import { assert, assertEquals } from "@std/assert";
import type { Database } from "../../lib/store/database.ts";
import { Ends } from "../../lib/store/ends.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { Timeline } from "../../lib/store/timeline.ts";
import { chat, comeBack, newPerson } from "../support/chat_client.ts";
import { type Cluster, startCluster, Talker } from "../support/cluster.ts";
import { waitFor } from "../support/process.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** A message of users 1 and 2. */
async function storeMessage(db: Database, seq: number): Promise<void> {
  await db.run(
    "INSERT INTO Message (conversation, seq, sender, at, message) VALUES ('u1-2', ?, 1, ?, '{}')",
    [
      seq,
      100 * seq,
    ],
  );
}

Deno.test("the ends that were heard of last are remembered, and how far each goes", () => {
  const ends = new Ends(2);
  assert(ends.note("u1-2", 1, 10));
  assert(ends.note("u1-3", 5, 11));
  assert(ends.note("u1-2", 2, 12));
  assert(ends.note("u1-4", 1, 13), "a third takes the place of the oldest");
  assertEquals(ends.all().map(({ conversation, seq }) => [conversation, seq]), [["u1-2", 2], ["u1-4", 1]]);
  assertEquals([ends.seq("u1-2"), ends.seq("u1-3")], [2, 0]);
  assertEquals(ends.youngest(1).map(({ conversation }) => conversation), ["u1-4"]);
  assert(ends.note("u1-2", 1, 11), "an old message once more");
  assert(!ends.note("u1-2", 1, 13), "younger than the one behind it");
  assertEquals(ends.seq("u1-2"), 2);
});

Deno.test("what was heard of while others looked for the end before is remembered when that is forgotten", () => {
  const ends = new Ends();
  for (const conversation of ["u1-2", "u1-3"]) ends.note(conversation, 1, 10);
  const looked = ends.all();
  ends.note("u1-2", 2, 12);
  assertEquals(looked.map(({ seq, at }) => [seq, at]), [[1, 10], [1, 10]]);
  ends.forget(looked);
  assertEquals(ends.all(), [{ conversation: "u1-2", seq: 2, at: 12 }]);
});

Deno.test("what is stored while the database looks for the messages before is not missing", async () => {
  await using stack = new AsyncDisposableStack();
  const db = openSqlite(":memory:");
  stack.defer(() => db.close());
  await migrate(db, SILENT);
  await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES ('u1-2', 2, 2)");
  for (const seq of [1, 2]) await storeMessage(db, seq);
  const ends = new Ends();
  ends.note("u1-2", 1, 100);
  const looking = new Timeline(db).missing(ends.all());
  ends.note("u1-2", 2, 200);
  assertEquals(await looking, []);
});

Deno.test("what the log does not hold any more is found, and its place is not given out again", async () => {
  await using stack = new AsyncDisposableStack();
  const db = openSqlite(":memory:");
  stack.defer(() => db.close());
  await migrate(db, SILENT);
  const timeline = new Timeline(db);
  await db.run("INSERT INTO Conversation (id, last_seq, members) VALUES ('u1-2', 3, 2)");
  for (const seq of [1, 2, 3]) await storeMessage(db, seq);
  const there = { conversation: "u1-2", seq: 3, at: 300 };
  const lost = { conversation: "u1-2", seq: 4, at: 400 };
  const another = { conversation: "u1-2", seq: 3, at: 299 };
  assertEquals(await timeline.missing([there]), []);
  assertEquals(await timeline.missing([lost]), [lost]);
  assertEquals(await timeline.missing([another]), [another]);

  await timeline.reserve("u1-2", 7);
  await timeline.reserve("u1-2", 6);
  await timeline.reserve("u1-9", 2);
  await timeline.reserve("g5", 2);
  const ends = await db.query("SELECT id, last_seq FROM Conversation ORDER BY id");
  assertEquals(ends.map(({ id, last_seq }) => [id, last_seq]), [["u1-2", 7], ["u1-9", 2]]);
  const members = await db.query("SELECT userid FROM Member WHERE conversation = 'u1-9' ORDER BY userid");
  assertEquals(members.map(({ userid }) => userid), [1, 9]);

  await db.run("UPDATE Member SET delivered = 7, `read` = 1 WHERE userid = 1 AND conversation = 'u1-2'");
  await timeline.distrust("u1-2", 250);
  const [position] = await db.query(
    "SELECT delivered, `read` FROM Member WHERE userid = 1 AND conversation = 'u1-2'",
  );
  assertEquals([position?.delivered, position?.read], [2, 1]);

  const epoch = await timeline.epoch();
  const next = await timeline.changeEpoch(epoch);
  assert(next !== epoch && /^[0-9a-f]{32}$/.test(epoch) && /^[0-9a-f]{32}$/.test(next));
  assertEquals(await timeline.changeEpoch(epoch), next, "only one of those who notice it changes it");
});

/** The database as it was when the conversation ended at `seq`, as a restored backup or a promoted replica would have it. */
async function goBack(cluster: Cluster, conversation: string, seq: number): Promise<void> {
  await cluster.mariaDb.sql(
    `START TRANSACTION;
     DELETE FROM Message WHERE conversation = '${conversation}' AND seq > ${seq};
     UPDATE Member SET delivered = LEAST(delivered, ${seq}), \`read\` = LEAST(\`read\`, ${seq}) WHERE conversation = '${conversation}';
     UPDATE Conversation SET last_seq = ${seq} WHERE id = '${conversation}';
     COMMIT`,
  );
}

async function epoch(cluster: Cluster): Promise<string | undefined> {
  return (await cluster.column("SELECT epoch FROM Epoch"))[0];
}

Deno.test("a database that goes back in time under a node: no place is given out twice, everyone hears what is said", async () => {
  await using cluster = await startCluster(["A"]);
  const { port } = cluster.node("A");
  await using ann = await newPerson(port, "ann", { v: 2 });
  await using li = await newPerson(port, "li", { v: 2 });
  await using bob = await Talker.create(port, "bob");
  await bob.logIn(port);
  const say = (cid: string, toid: number) => ann.client.request({ ...chat(ann, toid, cid), cid });
  for (const cid of ["1", "2", "3", "4"]) {
    assertEquals((await say(cid, li.id)).seq, Number(cid));
    assertEquals((await say(`b${cid}`, bob.id)).seq, Number(cid));
  }
  await bob.heard(4);
  for (let heard = 0; heard < 4; heard++) await li.client.receive();
  const before = await epoch(cluster);
  const conversation = `u${ann.id}-${li.id}`;
  await goBack(cluster, conversation, 2);
  await goBack(cluster, `u${ann.id}-${bob.id}`, 1);

  assertEquals((await say("5", li.id)).seq, 5, "3 and 4 were given out");
  const frames = [];
  while (frames.at(-1)?.msg !== "5") frames.push(await li.client.receive());
  assertEquals((await say("b5", bob.id)).seq, 5);
  await waitFor("bob to hear it", () => bob.received.at(-1)?.msg === "b5");
  await waitFor("another epoch", async () => await epoch(cluster) !== before);
  const { stderr } = cluster.node("A");
  assert(stderr.includes("the database has gone back in time"), stderr);
});

Deno.test("places given out twice by a node that knew no better: who was online all the time hears those messages too", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [a, b] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await Talker.create(a, "ann");
  await using li = await Talker.create(a, "li");
  await li.logIn(a);
  await ann.logIn(a);
  for (const text of ["1", "2", "3"]) await ann.say(li.id, text);
  await li.heard(3);
  const before = await epoch(cluster);
  await goBack(cluster, `u${ann.id}-${li.id}`, 1);
  await ann.logOut();
  await ann.logIn(b);
  for (const text of ["two", "three"]) await ann.say(li.id, text);
  await waitFor(
    "li to hear both",
    () => ["two", "three"].every((text) => li.from(ann.id).includes(text)),
    40_000,
  );
  await waitFor("another epoch", async () => await epoch(cluster) !== before);
  const seqs = await cluster.column("SELECT seq FROM Message ORDER BY seq");
  assertEquals(seqs, ["1", "2", "3"]);
  await ann.say(li.id, "four");
  await waitFor("li to hear on", () => li.from(ann.id).includes("four"));
  await using again = await comeBack(a, { id: li.id, name: "li" }).catch(() => undefined);
  assertEquals(again, undefined, "li has been online all the time");
});
