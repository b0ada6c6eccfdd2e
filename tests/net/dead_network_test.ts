/** Version 1 clients whose network is gone without a word: nothing they were sent is lost, and their users get in again. */

import { assert, assertEquals, assertLess } from "@std/assert";
import {
  chat,
  ChatClient,
  type Frame,
  logIn,
  newPerson,
  PASSWORD,
  type Person,
  signUp,
} from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { FarNetwork } from "./far_network.ts";
import { nginxConfig } from "./nginx_config.ts";
import { freePort, waitFor } from "../support/process.ts";
import { type Server, startNginx, startServer } from "../support/services.ts";

/** After this much silence a version 1 connection gives way; and what a login may take beyond that. */
const SILENT_MS = 60_000;
const LOGIN_WITHIN_MS = 70_000;

async function dial(hostname: string, port: number): Promise<ChatClient> {
  const conn = await Deno.connect({ hostname, port });
  conn.setNoDelay(true);
  return new ChatClient(conn);
}

async function arrive(
  hostname: string,
  port: number,
  name: string,
  options: { v?: 2 } = {},
): Promise<Person> {
  const client = await dial(hostname, port);
  const id = await signUp(client, name, options);
  const reply = await logIn(client, id, options);
  return { id, name, client, reply, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

async function say(from: Person, to: Person, texts: readonly string[]): Promise<void> {
  const replies = await from.client.requestAll(texts.map((msg) => chat(from, to.id, msg)));
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
}

async function hear({ client }: Person, texts: string[]): Promise<void> {
  assertEquals((await client.receiveMany(texts.length)).map(({ msg }) => msg), texts);
}

/** Tries to log in once a second; resolves with the reply and with how long it took since `since`. */
async function getIn(connect: () => Promise<ChatClient>, id: number, since: number) {
  let refusals = 0;
  return await waitFor(`user ${id} to be let in again`, async () => {
    await using client = await connect();
    await client.send({ msgid: 1, id, password: PASSWORD });
    const reply = await client.receive();
    const afterMs = performance.now() - since;
    if (reply.errno === 0) {
      // Without this the next login would have to wait in turn.
      await client.send({ msgid: 3, id });
      await client.fence();
      return { reply, afterMs, refusals };
    }
    assertEquals(reply.errno, 2);
    refusals++;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return null;
  }, SILENT_MS + 30_000);
}

function offlineTexts({ offlineMsg = [] }: Frame): string[] {
  return offlineMsg.map((text) => JSON.parse(text).msg);
}

/** Cuts the way to one receiver that is connected directly and to one behind nginx. */
async function cutOff(network: FarNetwork, node: Server, proxyPort: number): Promise<void> {
  await using ann = await arrive(network.address, node.port, "ann", { v: 2 });
  const doors = [["direct", node.port], ["behind nginx", proxyPort]] as const;
  const receivers = await Promise.all(doors.map(([name, port]) => arrive(network.doomedAddress, port, name)));
  const proved = numbered(1, 5);
  const read = numbered(6, 10);
  const lost = numbered(11, 40);
  for (const receiver of receivers) {
    await say(ann, receiver, proved);
    await hear(receiver, proved);
    await receiver.client.fence();
    await say(ann, receiver, read);
    await hear(receiver, read);
  }
  await network.cut();
  const since = performance.now();
  for (const receiver of receivers) await say(ann, receiver, lost);
  const logins = await Promise.all(
    receivers.map(({ id }) => getIn(() => dial(network.address, node.port), id, since)),
  );
  for (const { reply, afterMs, refusals } of logins) {
    assert(refusals > 0, "The first attempt came in while the client might still be alive");
    assertLess(afterMs, LOGIN_WITHIN_MS);
    // What was read without a word is unproved, and comes twice rather than never.
    assertEquals(offlineTexts(reply), [...read, ...lost]);
  }
  // The sender was told of nothing that is not proved: until the first login of each, of the first five.
  const receipts: Frame[] = [];
  while (ann.client.receiptCount > 0) receipts.push(await ann.client.receiveReceipt());
  for (const { id } of receivers) {
    const delivered = receipts.filter((receipt) => receipt.id === id).map(({ delivered = 0 }) => delivered);
    assertEquals(delivered, [...new Set([proved.length, 40])].slice(0, delivered.length));
  }
  for (const { client } of receivers) client.close();
}

/** Somebody who is alive and only reads gives way too, on whichever node the other login comes. */
async function leaveAlone(): Promise<void> {
  await using cluster = await startCluster(["a", "b"]);
  await using reader = await newPerson(cluster.node("a").port, "reader");
  const since = performance.now();
  const { afterMs, refusals } = await getIn(
    () => ChatClient.connect(cluster.node("b").port),
    reader.id,
    since,
  );
  assert(refusals > 0);
  assertLess(afterMs, LOGIN_WITHIN_MS);
  assertEquals((await reader.client.receive()).code, "replaced");
}

Deno.test("who has not been heard of for a minute gives way to a right password, and finds all that is unproved", async (context) => {
  const network = await FarNetwork.open();
  await Promise.all([
    leaveAlone(),
    typeof network === "string"
      ? context.step({ name: `a dead network: skipped: ${network}`, ignore: true, fn() {} })
      : inNetwork(network),
  ]);
});

async function inNetwork(network: FarNetwork): Promise<void> {
  await using _ = network;
  const { namespace } = network;
  const udp = freePort();
  await using node = await startServer(["--sqlite", ":memory:"], {
    host: "0.0.0.0",
    port: freePort(),
    namespace,
  });
  const port = freePort();
  const nodes = [{ tcp: node.port, udp }, { tcp: freePort(), udp: freePort() }];
  const config = await nginxConfig({ port, udpPort: freePort(), nodes });
  await using _nginx = await startNginx({ config, port, namespace });
  await cutOff(network, node, port);
}
