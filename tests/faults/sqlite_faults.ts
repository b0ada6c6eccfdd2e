/**
 * What happens to a node that is alone: killed, out of disk, out of file descriptors, given rubbish.
 *
 * @module
 */

import { assert } from "@std/assert";
import { ChatClient } from "../support/chat_client.ts";
import { readMetrics } from "../support/metrics.ts";
import { isOnPath, runOrThrow, temporaryFolder } from "../support/process.ts";
import { readVitals } from "./vitals.ts";
import { random, skip, someMoment } from "./site.ts";
import { SmallDisk } from "./small_disk.ts";
import { SqliteSite } from "./sqlite_site.ts";

const SIZE = { v2: 20, v1: 6, members: 10 };
const DISK_BYTES = 64 * 2 ** 20;

Deno.test("faults of a node with SQLite", async (context) => {
  await using folder = await temporaryFolder();
  await using site = await SqliteSite.open(`${folder.path}/chat.db`, SIZE);
  const { crowd } = site;

  await site.suffer(context, {
    name: "SQLite: kill -9 under load",
    rounds: 4,
    costsNode: true,
    async strike() {
      await someMoment(700);
      await site.restart(someMoment(300));
    },
  });

  await site.suffer(context, {
    name: "no file descriptors left",
    rounds: 2,
    obstacle: isOnPath("prlimit") ? undefined : "limiting another process needs prlimit",
    async strike() {
      const { pid } = site.server;
      const { openFiles } = await readVitals(pid);
      const usual = (await prlimit(pid, "--output=SOFT", "--noheadings", "--nofile")).trim();
      await prlimit(pid, `--nofile=${openFiles + 8}:`);
      const failures = async () => (await readMetrics(site.server)).get("chat_accept_failures_total") ?? 0;
      const before = await failures();
      const others: ChatClient[] = [];
      try {
        for (let count = 0; count < 24; count++) others.push(await ChatClient.connect(site.server.port));
        await site.server.logged("no more file descriptors");
        random.pick(crowd.v2).drop();
        await crowd.talked(100);
      } finally {
        for (const other of others) other.close();
      }
      await crowd.allIn();
      assert(await failures() > before);
      await prlimit(pid, `--nofile=${usual}:`);
    },
  });

  await site.suffer(context, {
    name: "split and glued frames, and rubbish on other connections",
    rounds: 2,
    async strike() {
      for (const user of crowd.users) user.isTorn = true;
      for (let wave = 0; wave < 6; wave++) {
        await Promise.all(Array.from({ length: 8 }, () => throwRubbish(site.server.port)));
      }
      for (const user of crowd.users) user.isTorn = false;
    },
  });

  await site.checkVitals();
});

Deno.test("faults of SQLite's disk", async (context) => {
  const disk = await SmallDisk.mount(DISK_BYTES);
  const name = "SQLite: disk full until everybody was told to repeat";
  if (typeof disk === "string") return await skip(context, name, disk);
  await using _disk = disk;
  await using site = await SqliteSite.open(`${disk.path}/chat.db`, SIZE);
  const { crowd } = site;

  await site.suffer(context, {
    name,
    rounds: 2,
    async strike() {
      await someMoment(500);
      const before = crowd.refusals();
      disk.fill();
      await crowd.toldToRepeat(before);
      await disk.clear();
    },
  });

  await site.checkVitals();
});

function prlimit(pid: number, ...args: string[]): Promise<string> {
  return runOrThrow("prlimit", ["--pid", String(pid), ...args]);
}

const encoder = new TextEncoder();

/** One connection that says something no client says; it ends by the server's hand or its own. */
async function throwRubbish(port: number): Promise<void> {
  await using client = await ChatClient.connect(port);
  const rubbish: (() => Uint8Array)[] = [
    () => random.bytes(random.below(2_000)),
    () => encoder.encode("{".repeat(5_000)),
    () => encoder.encode(`{"msgid":6,"msg":"${"x".repeat(100_000)}"}\0`),
    () =>
      encoder.encode('{"msgid":1,"id":1,"password":"a\0b"}{"msgid":99}{"msgid":"6"}{"msgid":6,"toid":1}\n'),
    () => encoder.encode(`[1,2,3]{"msgid":1}`),
    () => encoder.encode(`{"msgid":4,"name":"\ud800\\ud800","password":"${"é".repeat(600)}"}\r\n`),
    () => encoder.encode(`{"msgid":1,"v":2,"id":1e400,"password":[{}],"cid":"${"c".repeat(65)}"}`),
    () => encoder.encode('{"msgid":21,"v":2,"token":"1.x"}{"msgid":6,'),
  ];
  try {
    await client.sendBytes(random.pick(rubbish)());
    if (random.chance(0.5)) await client.closeWrite();
    if (random.chance(0.5)) await client.receiveRest(random.below(300));
  } catch (error) {
    // It is cut off for what it said, or does not wait for an answer.
    const { ConnectionReset, BrokenPipe, TimedOut } = Deno.errors;
    const isExpected = [ConnectionReset, BrokenPipe, TimedOut].some((kind) => error instanceof kind);
    if (!isExpected && !(error instanceof Deno.errors.NotConnected)) throw error;
  }
}
