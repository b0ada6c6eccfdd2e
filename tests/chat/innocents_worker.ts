/**
 * Two people who chat with each other while somebody else attacks; see innocents.ts. In a thread of its own, so that what
 * the attacking test does with its own event loop is not taken for the server's doing.
 *
 * @module
 */
import { chat, newPerson } from "../support/chat_client.ts";

/** Pause between two messages, ms. */
const PAUSE_MS = 3;

declare const self: Worker;

const started: Promise<MessageEvent<number>> = new Promise((resolve) =>
  self.addEventListener("message", resolve, { once: true })
);
const { data: port } = await started;
const ann = await newPerson(port, `innocent ann ${crypto.randomUUID().slice(0, 8)}`, { v: 2 });
const bob = await newPerson(port, `innocent bob ${crypto.randomUUID().slice(0, 8)}`, { v: 2 });
let latencies: number[] = [];
let latenesses: number[] = [];
function tell(): void {
  self.postMessage({ latencies, latenesses });
  latencies = [];
  latenesses = [];
}
self.addEventListener("message", tell);
tell();
for (;;) {
  const sentAt = performance.now();
  const { errno } = await ann.client.request(chat(ann, bob.id, "still there?"));
  if (errno !== 0) throw new Error(`A message was refused with errno ${errno}`);
  const { conversation = "", seq = 0 } = await bob.client.take(({ msgid }) => msgid === 6);
  latencies.push(performance.now() - sentAt);
  await bob.client.send({ msgid: 12, conversation, seq });
  const pausedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  latenesses.push(performance.now() - pausedAt - PAUSE_MS);
}
