/** A thousand connections that mean no good, on the port for browsers: what they cost, and that they end. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { PASSWORD } from "../support/chat_client.ts";
import { readMetrics } from "../support/metrics.ts";
import { waitFor } from "../support/process.ts";
import { frameBytes, RawWebSocket, upgradeRequest } from "../support/raw_web_socket.ts";
import { startWeb } from "../support/web_server.ts";

const SOCKETS = 1_000;
/** Before them, so that the heap is in motion: what that takes is not what they cost. */
const FORERUNNERS = 140;
/** What all of them together may cost, MiB: most of it for answers that wait, half a MiB for each that reads none. */
const GROWTH_MIB = 256;
/** No connection may hold the node's event loop for so long, s. */
const LAG_S = 2;

const EMPTY_FRAGMENTS = repeated(frameBytes(0, "", { fin: false }), 1_000);
const PINGS = repeated(frameBytes(9, "x".repeat(125)), 500);
const REQUESTS = repeated(frameBytes(1, '{"msgid":18}'), 1_000);

/** Sends as much of something as the server takes. */
async function flood(socket: RawWebSocket, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < 2 ** 22; sent += bytes.length) await socket.sendBytes(bytes);
}

function repeated(bytes: Uint8Array, count: number): Uint8Array {
  const all = new Uint8Array(bytes.length * count);
  for (let index = 0; index < count; index++) all.set(bytes, index * bytes.length);
  return all;
}

async function upgrade(socket: RawWebSocket, port: number): Promise<void> {
  await socket.sendBytes(upgradeRequest(port));
  assertEquals((await socket.receiveHead()).status, 101);
}

/** What one of them does; none reads what it is sent. */
const KINDS: Record<string, (socket: RawWebSocket, port: number) => Promise<void>> = {
  "says nothing": () => Promise.resolve(),
  "never ends its request": (socket) =>
    socket.sendBytes(`GET / HTTP/1.1\r\nhost: x\r\ncookie: ${"c".repeat(15_000)}`),
  "asks for files and reads none": async (socket) => {
    await socket.sendBytes("GET /app.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100));
  },
  "never ends its message": async (socket, port) => {
    await upgrade(socket, port);
    await socket.sendBytes(frameBytes(1, "x".repeat(65_535), { length: 65_536 }));
  },
  "never ends its fragments": async (socket, port) => {
    await upgrade(socket, port);
    await flood(socket, EMPTY_FRAGMENTS);
  },
  "pings and reads nothing": async (socket, port) => {
    await upgrade(socket, port);
    await flood(socket, PINGS);
  },
  "asks and reads nothing": async (socket, port) => {
    await upgrade(socket, port);
    await flood(socket, REQUESTS);
  },
};

Deno.test("a thousand sockets that mean no good cost bounded memory, hold nobody up, and are closed", async () => {
  await using web = await startWeb("--http", "127.0.0.1:0", "--auth-timeout", "20s");
  const metrics = () => readMetrics(web.server);
  await using good = await RawWebSocket.connect(web.port);
  const { id } = await good.request({ msgid: 4, name: "ann", password: PASSWORD });
  await good.request({ msgid: 1, id, password: PASSWORD });
  const memoryMib = async () => ((await metrics()).get("chat_resident_memory_bytes") ?? NaN) / 2 ** 20;

  const sockets: RawWebSocket[] = [];
  const kinds = Object.values(KINDS);
  const floods: Promise<void>[] = [];
  const come = async (count: number) => {
    for (let n = 0; n < count; n++) {
      const socket = await RawWebSocket.dial(web.port);
      sockets.push(socket);
      // Those that flood are held up, or cut off.
      floods.push(kinds[n % kinds.length]?.(socket, web.port).catch(() => {}) ?? Promise.resolve());
    }
  };
  const go = async () => {
    for (const socket of sockets.splice(0)) socket.close();
    await Promise.all(floods.splice(0));
  };
  const allGone = async () => (await metrics()).get("chat_connections_anonymous") === 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      assertEquals((await good.request({ msgid: 18 })).errno, 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  let before = NaN;
  let peak = NaN;
  let lag = NaN;
  try {
    await come(FORERUNNERS);
    await go();
    await waitFor("the forerunners to be gone", allGone);
    before = peak = await memoryMib();
    await come(SOCKETS);
    await waitFor("all of them to be gone", async () => {
      peak = Math.max(peak, await memoryMib());
      return await allGone();
    }, 90_000);
    assertEquals((await metrics()).get("chat_connections"), 1);
    lag = (await metrics()).get("chat_event_loop_lag_seconds") ?? NaN;
  } finally {
    isOver = true;
    await watching;
    await go();
  }
  console.log(
    `${SOCKETS} sockets: ${Math.round(peak - before)} MiB at most, the event loop late by ${lag} s at most`,
  );
  assertLess(peak - before, GROWTH_MIB);
  assertLess(lag, LAG_S);
  assert(!web.server.stderr.includes("error"), web.server.stderr.slice(-2_000));
});
