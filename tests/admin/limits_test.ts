/** `admin limits`: which nodes are asked, and what is lifted of what the list shows. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { Console } from "../../lib/admin/console.ts";
import { listLimits } from "../../lib/admin/limits.ts";
import { parseOptions } from "../../lib/config/parse_options.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { NodeReports } from "../../lib/store/node_reports.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { chat, ChatClient, PASSWORD, signUp } from "../support/chat_client.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { runProgram, startServer } from "../support/services.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

Deno.test("all nodes that run are waited for, and those that are gone only once", async () => {
  await using stack = new AsyncDisposableStack();
  const db = openSqlite(":memory:");
  stack.defer(() => db.close());
  await migrate(db, SILENT);
  const reports = new NodeReports(db);
  const nodes = ["a", "b"].map((node, index) => ({ node, origin: index + 1, at: Date.now() }));
  const [a, b] = nodes;
  assert(a && b);
  for (const node of nodes) await reports.enter(node);
  const options = parseOptions(["admin", "limits", "list"], { env: () => undefined, readFile: () => "" });
  assert(options.command === "admin");
  const context = { db, options, console: new Console(), actor: "tester", logger: SILENT };
  let asked = 0;
  /** Resolves with the nodes in the list and how long that took, ms, when these answer one after the other. */
  const list = async (...answering: typeof nodes) => {
    const start = performance.now();
    const listing = listLimits(context);
    const question = ++asked;
    const last = async () => (await db.query("SELECT last FROM AdminCounter WHERE id = 2"))[0]?.last;
    await waitFor("the question", async () => await last() === question);
    for (const node of answering) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await reports.answer(question, { ...node, body: JSON.stringify({ limited: [], more: 0 }) });
    }
    const { json } = await listing;
    return { nodes: Reflect.get(Object(json), "nodes"), ms: performance.now() - start };
  };
  const all = await list(a, b);
  assertEquals(all.nodes, ["a", "b"]);
  assertLess(all.ms, 1_500);
  const one = await list(a);
  assertEquals(one.nodes, ["a"]);
  assertGreater(one.ms, 1_900);
  assertLess((await list(a)).ms, 1_500);
  await list(b, a);
  assertEquals((await list(a, b)).nodes, ["a", "b"], "who answers runs");
  await reports.leave(b);
  assertLess((await list(a)).ms, 1_500);
});

Deno.test("an address is let go with all that the list shows beside it, and so is a user", async () => {
  await using folder = await temporaryFolder();
  const data = ["--sqlite", `${folder.path}/chat.db`];
  const args = ["--proxy-protocol", "127.0.0.1", "--message-rate", "1", "--wrong-passwords-per-address", "1"];
  await using server = await startServer([...data, ...args]);
  const connect = async () => {
    const client = await ChatClient.connect(server.port);
    await client.sendBytes(new TextEncoder().encode("PROXY TCP4 192.0.2.1 192.0.2.250 4711 6000\r\n"));
    return client;
  };
  const admin = async (...words: string[]) => {
    const { code, stdout, stderr } = await runProgram(["admin", "limits", ...words, "--json", ...data]);
    assertEquals(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const listed = async () => (await admin("list")).limited.map(({ limit }: { limit: string }) => limit);
  await using client = await connect();
  const other = await signUp(client, "bob");
  const id = await signUp(client, "ann");
  assertEquals((await client.request({ msgid: 1, v: 2, id, password: PASSWORD })).errno, 0);
  const say = async () => (await client.request(chat({ id, name: "ann" }, other, "x"))).errno;
  while (await say() === 0);
  assertEquals(await listed(), ["messages"]);
  await admin("lift", "192.0.2.1");
  await waitFor("twice in a row", async () => await say() === 0 && await say() === 0 && await say() === 0);

  const logIn = async (password: string) => {
    await using guessing = await connect();
    return (await guessing.request({ msgid: 1, v: 2, id: other, password })).errno;
  };
  assertEquals([await logIn("no"), await logIn(PASSWORD)], [1, 8]);
  assertEquals(await listed(), ["guesses"]);
  await admin("lift", "bob");
  await waitFor("bob to be let in", async () => await logIn(PASSWORD) === 0);
  assertEquals(await listed(), []);
});
