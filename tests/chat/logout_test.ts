import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { chat, ChatClient, type Frame, newPerson, PASSWORD, type Person } from "../support/chat_client.ts";
import { startClient } from "../client/terminal/client_process.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { startMariaDb, startServer } from "../support/services.ts";

/** Long enough for a busy machine, and far below what a database that is away is waited for. */
const AT_ONCE_MS = 4_500;

/** Logs out; resolves with the reply. Whatever is away, it takes no longer than a moment. */
async function logOut({ client, id }: Person): Promise<Frame> {
  const start = performance.now();
  const reply = await client.request({ msgid: 3, id });
  assertLess(performance.now() - start, AT_ONCE_MS);
  return reply;
}

/** The errno of a RESUME_MSG. */
async function resume(port: number, token: string | undefined): Promise<number | undefined> {
  await using client = await ChatClient.connect(port);
  return (await client.request({ msgid: 21, v: 2, token })).errno;
}

/** The errno of a LOGIN_MSG. */
async function logIn(port: number, id: number): Promise<number | undefined> {
  await using client = await ChatClient.connect(port);
  return (await client.request({ msgid: 1, v: 2, id, password: PASSWORD })).errno;
}

/** Whether a node says in Redis that it has this user. */
async function isClaimed({ redis }: Cluster, id: number): Promise<boolean> {
  return (await redis.cli("--raw", "KEYS", `*:user:${id}`)).trim() !== "";
}

Deno.test("who logs out while the database is away is offline at once, and the token is revoked when it is back", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [portA, portB] = [cluster.node("A").port, cluster.node("B").port];
  for (const way of ["killed", "frozen"]) {
    await using ann = await newPerson(portA, `ann ${way}`, { v: 2 });
    await using li = await newPerson(portA, `li ${way}`, { v: 2 });
    assert(await isClaimed(cluster, li.id));
    if (way === "killed") await cluster.mariaDb.kill();
    else await cluster.mariaDb.freeze();
    // It waits for the database, and keeps nobody from leaving.
    const said = ann.client.request(chat(ann, li.id, "on its way", { cid: "1" }));
    assertEquals((await logOut(li)).token_valid, true);
    assertEquals(await isClaimed(cluster, li.id), false);
    if (way === "killed") await cluster.mariaDb.start();
    else cluster.mariaDb.signal("SIGCONT");
    const answers = await waitFor("the database to be back", async () => {
      const errno = await resume(portB, li.reply.token);
      return errno === 10 ? undefined : [errno];
    });
    // The other node may ask before this one has written.
    if (answers[0] === 0) {
      await waitFor("the revocation", async () => await resume(portB, li.reply.token) === 11);
    }
    assertEquals(await logIn(portB, li.id), 0);
    await said;
  }
  const lines = cluster.node("A").stderr.split("\n").filter((line) => line.includes("cannot revoke"));
  assert(lines.length <= 2, lines.join("\n"));
});

Deno.test("a revocation that comes late leaves the token of a login that came before it", async () => {
  await using mariaDb = await startMariaDb();
  await using server = await startServer(["--mysql", mariaDb.url]);
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  await mariaDb.kill();
  assertEquals((await logOut(ann)).token_valid, true);
  await mariaDb.start();
  const back = await waitFor("a login", async () => {
    await using client = await ChatClient.connect(server.port);
    const reply = await client.request({ msgid: 1, v: 2, id: ann.id, password: PASSWORD });
    return reply.errno === 0 ? reply : undefined;
  });
  // Longer than between two attempts to revoke.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assertEquals(await resume(server.port, ann.reply.token), 11);
  assertEquals(await resume(server.port, back.token), 0);
});

Deno.test("the client says what became of a logout, and beats for nobody afterwards", async () => {
  await using folder = await temporaryFolder();
  await using mariaDb = await startMariaDb();
  const rhythm = ["--heartbeat-interval", "200ms", "--heartbeat-misses", "50"];
  await using server = await startServer(["--mysql", mariaDb.url, "--log-level", "debug", ...rhythm]);
  await using client = await startClient(server.port, { dataFolder: folder.path });
  await client.type("2\nann\npw1\n1\n1\npw1\n");
  await client.says("logged in as ann (1)");
  await client.type("loginout\n1\n1\npw1\n");
  await client.says("logged out\n");
  await waitFor("the second login", () => client.stdout.split("logged in as").length === 3);
  await mariaDb.kill();
  await client.type("loginout\n");
  await client.says("logged out; the server forgets this session for good when its database is back");
  await mariaDb.start();
  await using other = await startClient(server.port, {
    dataFolder: `${folder.path}/other`,
    args: ["--user", "1"],
  });
  await other.type("pw1\n");
  await waitFor("an answer", () => /logged in as|login:/.test(other.stdout));
  assertStringIncludes(other.stdout, "logged in as ann (1)");
});
