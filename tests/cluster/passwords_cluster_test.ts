/** Users who come back through another node: whether it hashes their passwords. */

import { assertEquals } from "@std/assert";
import { ChatClient, PASSWORD, signUp } from "../support/chat_client.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { readMetrics } from "../support/metrics.ts";
import { waitFor } from "../support/process.ts";

/** Logs in on a node by version 1, and out again: how that ended, and how many hashes it took. */
async function logInOnce(
  cluster: Cluster,
  node: string,
  id: number,
  password = PASSWORD,
): Promise<{ errno: number | undefined; hashes: number }> {
  const server = cluster.node(node);
  const hashes = async () => (await readMetrics(server)).value("chat_hashes_total");
  const before = await hashes();
  await using client = await ChatClient.connect(server.port);
  await client.send({ msgid: 1, id, password });
  const { errno } = await client.receive();
  if (errno === 0) {
    await client.send({ msgid: 3, id });
    await client.closeWrite();
    await client.receiveRest();
  }
  return { errno, hashes: await hashes() - before };
}

async function newUser(cluster: Cluster, node: string, name: string): Promise<number> {
  await using client = await ChatClient.connect(cluster.node(node).port);
  return await signUp(client, name);
}

/** Resolves when what one node finds out is known to the other. */
async function meet(cluster: Cluster, from: string, to: string): Promise<void> {
  let count = 0;
  await waitFor(`${to} to hear of ${from}'s logins`, async () => {
    const id = await newUser(cluster, from, `${from} to ${to} ${++count}`);
    await logInOnce(cluster, from, id);
    return (await logInOnce(cluster, to, id)).hashes === 0;
  });
}

Deno.test("a password that one node has hashed no other hashes, nor after the death of the first", async () => {
  await using cluster = await startCluster(["A", "B"], ["--http", "127.0.0.1:0"]);
  await meet(cluster, "A", "B");
  const [ann, li] = [await newUser(cluster, "A", "ann"), await newUser(cluster, "A", "li")];
  assertEquals(await logInOnce(cluster, "A", ann), { errno: 0, hashes: 1 });
  assertEquals(await logInOnce(cluster, "B", ann, "wrong"), { errno: 1, hashes: 1 });

  {
    await using client = await ChatClient.connect(cluster.node("A").port);
    assertEquals((await client.request({ msgid: 1, v: 3, id: li, password: PASSWORD })).errno, 0);
    const password = { old: PASSWORD, new: "another" };
    assertEquals((await client.request({ msgid: 28, password })).errno, 0);
  }
  assertEquals(await logInOnce(cluster, "B", li), { errno: 1, hashes: 1 });
  assertEquals(await logInOnce(cluster, "B", li, "another"), { errno: 0, hashes: 1 });
  assertEquals(await logInOnce(cluster, "A", li, "another"), { errno: 0, hashes: 0 });

  await using online = await ChatClient.connect(cluster.node("A").port);
  await online.send({ msgid: 1, id: ann, password: PASSWORD });
  assertEquals((await online.receive()).errno, 0);
  await cluster.node("A").kill();
  let hashes = 0;
  await waitFor("ann to get in", async () => {
    const login = await logInOnce(cluster, "B", ann);
    hashes += login.hashes;
    return login.errno === 0;
  });
  assertEquals(hashes, 0);

  // A node that starts knows nothing, until those who are known elsewhere come back there.
  await cluster.startNode("A");
  await meet(cluster, "B", "A");
  assertEquals(await logInOnce(cluster, "B", ann), { errno: 0, hashes: 0 });
  await cluster.node("B").kill();
  assertEquals(await logInOnce(cluster, "A", ann), { errno: 0, hashes: 0 });
  assertEquals(await logInOnce(cluster, "A", li, "another"), { errno: 0, hashes: 1 });
});
