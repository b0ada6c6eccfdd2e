/**
 * What receivers do to a server: stop reading, come back to ten thousand messages, and cut the connection in the middle.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { readMetrics } from "../support/metrics.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { random } from "./site.ts";
import { SqliteSite } from "./sqlite_site.ts";

/** Generous: it is only ever reached by a failure. */
const DEADLINE_MS = 90_000;

/** How long a phase with everybody reading takes, ms; the one with stopped readers takes as long as they are bearable. */
const PHASE_MS = 5_000;
/** Messages of somebody who says something to the group now and then: pause between them, ms. */
const SPEAKER_PAUSE_MS = 200;
/** What a stopped version 1 reader is sent besides: more than the system takes off the server's hands. */
const FLOOD = { messages: 90, length: 60_000 };
/** What may wait for one connection, and the frames of 64 KiB that may be on top of it. */
const QUEUE_BYTES = 2 ** 18 + 2 * 2 ** 16;
/** The database's cache of 64 MiB, and a heap in motion. */
const MEMORY_MIB = 256;
const WAITING = 10_000;

Deno.test("faults of receivers who stop", async (context) => {
  await using folder = await temporaryFolder();
  // Four times two seconds without an acknowledgement and a version 2 client is taken for broken.
  const args = ["--ack-timeout", "2"];
  await using site = await SqliteSite.open(
    `${folder.path}/chat.db`,
    { v2: 160, v1: 40, members: 200 },
    { isQuiet: true, args },
  );
  const { crowd } = site;
  const speakers = crowd.v2.slice(0, 5);
  const stopped = [...crowd.v2.slice(-10), ...crowd.v1.slice(-10)];
  const flooder = crowd.v2[5];

  /** Says things to the group for as long as `isOver` says, and resolves with the others' p99, ms. */
  async function measure(isOver: () => boolean): Promise<number> {
    const delays: number[] = [];
    crowd.ledger.onDelay = (userId, ms) => {
      if (!stopped.some(({ id }) => id === userId)) delays.push(ms);
    };
    for (const user of stopped) {
      if (user.version !== 1) continue;
      for (let count = 0; count < FLOOD.messages; count++) flooder?.say({ user: user.id }, FLOOD.length);
    }
    await Promise.all(speakers.map(async (speaker) => {
      while (!isOver()) {
        speaker.say({ group: crowd.group });
        await new Promise((resolve) => setTimeout(resolve, SPEAKER_PAUSE_MS + random.below(100)));
      }
    }));
    crowd.ledger.onDelay = () => {};
    delays.sort((a, b) => a - b);
    return delays[Math.floor(delays.length * 0.99)] ?? NaN;
  }

  // What the same flood leaves in the heap of a node where everybody reads is not what stopped readers cost.
  let p99Before = NaN;
  await site.warmUp({
    isQuiet: true,
    async strike() {
      const end = performance.now() + PHASE_MS;
      p99Before = await measure(() => performance.now() > end);
      await crowd.answered();
    },
  });

  await site.suffer(context, {
    name: "20 of 200 group members stop reading",
    rounds: 1,
    isQuiet: true,
    // The connection of somebody who does not read is cut, and what lay in it comes again.
    costsNode: true,
    async strike() {
      const memoryBefore = await memoryMib(site);
      let memoryPeak = 0;
      let queuePeak = 0;
      const countNotices = () => site.server.stderr.split("reason=slow_consumer").length - 1;
      const noticesBefore = countNotices();
      const notices = () => countNotices() - noticesBefore;
      // On new connections: the system takes more and more off the hands of a server whose client has read fast.
      await Promise.all(stopped.map((user) => user.leave()));
      for (const user of stopped) user.comeIn();
      await crowd.allIn();
      for (const user of stopped) user.stopReading();
      let isDone = false;
      const watching = waitFor("all stopped readers to be sent away", async () => {
        const metrics = await readMetrics(site.server);
        memoryPeak = Math.max(memoryPeak, metrics.get("chat_resident_memory_bytes") ?? NaN);
        queuePeak = Math.max(queuePeak, metrics.get("chat_send_queue_bytes") ?? NaN);
        return notices() >= stopped.length;
      }, DEADLINE_MS).finally(() => isDone = true);
      const [p99During] = await Promise.all([measure(() => isDone), watching]);
      assertEquals(notices(), stopped.length, site.server.stderr);
      const growth = memoryPeak / 2 ** 20 - memoryBefore;
      assert(growth < MEMORY_MIB, `memory grew by ${growth.toFixed(0)} MiB`);
      assert(queuePeak < stopped.length * QUEUE_BYTES, `${queuePeak} bytes were queued`);
      // What they missed is theirs when they come back.
      for (const user of stopped) user.continueReading();
      return `p99 of the others ${p99Before.toFixed(0)} ms before, ${p99During.toFixed(0)} ms during; ` +
        `at most ${(queuePeak / 2 ** 20).toFixed(1)} MiB queued, memory +${growth.toFixed(0)} MiB`;
    },
  });

  await site.checkVitals({ growthMib: MEMORY_MIB });
});

Deno.test("faults of receivers who come back", async (context) => {
  await using folder = await temporaryFolder();
  await using site = await SqliteSite.open(`${folder.path}/chat.db`, { v2: 8, v1: 4, members: 0 });
  const { crowd } = site;
  const [sender] = crowd.v2;
  assert(sender);

  for (const version of [2, 1] as const) {
    await site.suffer(context, {
      name: `${WAITING} undelivered messages, cut in the middle (version ${version})`,
      rounds: 1,
      isQuiet: true,
      costsNode: true,
      async strike() {
        const receiver = version === 2 ? crowd.v2.at(-1) : crowd.v1.at(-1);
        assert(receiver);
        await receiver.leave();
        const before = receiver.heardCount;
        while (crowd.ledger.tally.sent < WAITING) {
          sender.say({ user: receiver.id }, 300 + random.below(300));
          if (sender.unansweredCount >= 500) await waitFor("answers", () => sender.unansweredCount < 250);
        }
        await crowd.answered();
        const memoryBefore = await memoryMib(site);
        let memoryPeak = 0;
        receiver.comeIn();
        const heard = () => receiver.heardCount - before;
        for (let cut = 0; cut < 4; cut++) {
          const target = heard() + 200 + random.below(2_000);
          await waitFor("some of them", () => heard() >= Math.min(target, WAITING), DEADLINE_MS);
          memoryPeak = Math.max(memoryPeak, await memoryMib(site));
          if (cut === 2) await site.restart(Promise.resolve());
          else receiver.drop();
        }
        await waitFor("all of them", () => heard() === WAITING, DEADLINE_MS);
        const growth = memoryPeak - memoryBefore;
        assert(growth < MEMORY_MIB, `memory grew by ${growth.toFixed(0)} MiB`);
      },
    });
  }

  await site.checkVitals();
});

async function memoryMib(site: SqliteSite): Promise<number> {
  const metrics = await readMetrics(site.server);
  return (metrics.get("chat_resident_memory_bytes") ?? NaN) / 2 ** 20;
}
