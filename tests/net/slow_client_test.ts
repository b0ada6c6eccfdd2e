/** Version 2 clients that do not acknowledge, or do not read: told so, closed, and nothing is lost. */

import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { chat, conversationOf, type Frame, type Person } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { UNMEASURED } from "../support/services.ts";

const isChat = ({ msgid, seq }: Frame) => msgid === 6 && seq !== undefined;

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

async function say(from: Person, to: { id: number }, texts: readonly string[]): Promise<void> {
  const replies = await from.client.requestAll(texts.map((msg) => chat(from, to.id, msg)));
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
}

async function acknowledge({ client }: Person, conversation: string, seq: number): Promise<void> {
  assertEquals((await client.request({ msgid: 12, conversation, seq })).errno, 0);
}

async function silentReader(place: Place): Promise<void> {
  await using li = await place.newPerson("li", { v: 2 });
  await using wu = await place.newPerson("wu", { v: 2 });
  await say(li, wu, numbers(1, 20).map(String));
  await acknowledge(wu, conversationOf(li, wu), 5);
  const frames = await wu.client.receiveRest();
  const notice = frames.pop();
  assertEquals([notice?.msgid, notice?.code, notice?.reconnect], [20, "slow_consumer", true]);
  const seqs = frames.filter(isChat).map(({ seq = 0 }) => seq);
  assertEquals(seqs, [...numbers(1, 20), ...numbers(6, 20), ...numbers(6, 20), ...numbers(6, 20)]);
  wu.client.close();
  await place.offline(wu.id);
  await using again = await place.comeBack(wu, { v: 2 });
  assertEquals((await again.client.receiveMany(15)).map(({ seq }) => seq), numbers(6, 20));
  await acknowledge(again, conversationOf(li, wu), 20);
}

/** Others are served meanwhile, and nothing is lost. */
async function stoppedReader(place: Place): Promise<void> {
  await using li = await place.newPerson("li", { v: 2 });
  await using wu = await place.newPerson("wu", { v: 2 });
  await using zhang = await place.newPerson("zhang", { v: 2 });
  const total = 300;
  const text = "x".repeat(60_000);
  for (let first = 1; first <= total; first += 50) {
    await say(li, wu, numbers(first, first + 49).map((number) => `${number} ${text}`));
    await say(li, zhang, [`${first}`]);
    assertEquals((await zhang.client.take(isChat)).msg, `${first}`);
  }
  await place.offline(wu.id);
  const frames = await wu.client.receiveRest();
  assertEquals(frames.at(-1)?.code, "slow_consumer");
  const seen = frames.filter(isChat).map(({ seq = 0 }) => seq);
  assertEquals(seen, numbers(1, seen.length));
  assertLess(seen.length, total);
  await using again = await place.comeBack(wu, { v: 2 });
  const conversation = conversationOf(li, wu);
  for (let expected = 1; expected <= total; expected++) {
    assertEquals((await again.client.take(isChat)).seq, expected);
    if (expected % 64 === 0) await again.client.send({ msgid: 12, conversation, seq: expected });
  }
  await acknowledge(again, conversation, total);
}

/** 60 KB a second of 6 MB, on a link with big packets: the kernel takes more of them only after a long while. */
async function steadyReader(place: Place): Promise<void> {
  await using li = await place.newPerson("li", { v: 2 });
  await using wu = await place.newPerson("wu", { v: 2 });
  const conversation = conversationOf(li, wu);
  const text = "x".repeat(60_000);
  for (let first = 1; first <= 100; first += 10) {
    await say(li, wu, numbers(first, first + 9).map((number) => `${number} ${text}`));
  }
  const decoder = new TextDecoder();
  const startedAt = performance.now();
  let received = 0;
  let seq = 0;
  // A reader that was taken for stopped was cut off after 12 s.
  for (let elapsedMs = 0; elapsedMs < 17_000; elapsedMs = performance.now() - startedAt) {
    const bytes = await wu.client.readBytes(6_000);
    if (bytes === null) throw new Error(`The reader was sent away after ${elapsedMs} ms`);
    received += bytes.length;
    for (const _ of decoder.decode(bytes).matchAll(/\0/g)) {
      await wu.client.send({ msgid: 12, conversation, seq: ++seq });
    }
    const aheadMs = received / 60 - elapsedMs;
    if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs));
  }
  assertLess(10, seq);
}

onEachDatabase("a slow client", {
  "who does not acknowledge gets the range again, and at last a notice; who does not read, a notice too; who reads, none":
    async (place) => {
      await using there = await place.elsewhere(["--ack-timeout", "200ms", "--http", "127.0.0.1:0"]);
      // Both take their time: the one a second for each repetition, the other ten until it counts as stopped.
      await Promise.all([silentReader(there), stoppedReader(place), steadyReader(place)]);
      const { host, port } = there.server.address("http");
      const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
      assertMatch(metrics, /chat_limited_total\{limit="unread"\} 1\n/);
      await there.checkServer();
    },
}, UNMEASURED);
