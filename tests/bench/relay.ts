/**
 * The yardstick: the least that can relay this protocol's one-to-one messages on this runtime. It reads through the
 * server's read gate, cuts frames at their NUL, parses each, looks the receiver up and writes to its socket. No
 * passwords, no checks, no store, no positions. With `--redis URL` a message for a user of the other node goes over
 * publish and subscribe, one channel a user, with the driver's own pipelining.
 *
 * Run as a program it prints `ready PORT`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { openReadGate, type ReadGate } from "../../lib/net/read_gate.ts";

const READ_BYTES = 4096;
const LOGGED_IN = new TextEncoder().encode('{"msgid":2,"errno":0}\0');

const decoder = new TextDecoder();

/** A client: what its socket still has to write, and how much of a frame it has read. */
interface Client {
  socket: Deno.TcpConn;
  queue: Uint8Array[];
  isWriting: boolean;
  rest: Uint8Array | undefined;
}

/** The way to the users of other nodes. */
interface RelayBus {
  publish(userId: number, frame: Uint8Array): void;
  subscribe(userId: number): Promise<unknown>;
}

const users = new Map<number, Client>();

function send(client: Client, frame: Uint8Array): void {
  client.queue.push(frame);
  if (client.isWriting) return;
  client.isWriting = true;
  queueMicrotask(() => writeQueued(client));
}

/** Everything that was queued in a turn, or during the write before, leaves in one write. */
async function writeQueued(client: Client): Promise<void> {
  try {
    while (client.queue.length > 0) {
      const [only] = client.queue;
      const bytes = client.queue.length === 1 && only ? only : Buffer.concat(client.queue);
      client.queue = [];
      for (let offset = 0; offset < bytes.length;) {
        offset += await client.socket.write(offset === 0 ? bytes : bytes.subarray(offset));
      }
    }
  } catch {
    // The client has gone; its read says so too.
  }
  client.isWriting = false;
}

function onFrame(client: Client, bytes: Uint8Array, bus: RelayBus | undefined): void {
  const frame = JSON.parse(decoder.decode(bytes.subarray(0, -1)));
  if (frame.msgid === 1) {
    users.set(frame.id, client);
    Promise.resolve(bus?.subscribe(frame.id)).then(() => send(client, LOGGED_IN));
    return;
  }
  const receiver = users.get(frame.toid);
  if (receiver) send(receiver, bytes);
  else bus?.publish(frame.toid, bytes);
}

/** Hands on the whole frames of a chunk, terminator included; what it hands on is its own copy. */
function cut(client: Client, chunk: Uint8Array, bus: RelayBus | undefined): void {
  const bytes = client.rest ? Buffer.concat([client.rest, chunk]) : chunk.slice();
  let start = 0;
  for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
    onFrame(client, bytes.subarray(start, end + 1), bus);
    start = end + 1;
  }
  client.rest = start < bytes.length ? bytes.subarray(start) : undefined;
}

async function serve(socket: Deno.TcpConn, gate: ReadGate, bus: RelayBus | undefined): Promise<void> {
  const client: Client = { socket, queue: [], isWriting: false, rest: undefined };
  const buffer = new Uint8Array(READ_BYTES);
  try {
    for (;;) {
      const turn = gate.enter();
      if (turn) await turn;
      const count = await socket.read(buffer);
      if (count === null) break;
      cut(client, buffer.subarray(0, count), bus);
    }
  } catch {
    // A reset is an end like another.
  }
  socket.close();
}

async function openBus(url: string): Promise<RelayBus> {
  const publisher = new Redis(url, { enableAutoPipelining: true, protocol: 2 });
  const subscriber = new Redis(url, { protocol: 2 });
  subscriber.on("messageBuffer", (channel: Buffer, payload: Buffer) => {
    const receiver = users.get(Number(channel.toString("latin1").slice(2)));
    if (receiver) send(receiver, payload);
  });
  await Promise.all([publisher.ping(), subscriber.ping()]);
  return {
    publish: (userId, frame) => {
      publisher.publish(`u:${userId}`, Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength));
    },
    subscribe: (userId) => subscriber.subscribe(`u:${userId}`),
  };
}

if (import.meta.main) {
  const { redis } = parseArgs({ args: Deno.args, options: { redis: { type: "string" } } }).values;
  const gate = await openReadGate();
  const bus = redis === undefined ? undefined : await openBus(redis);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(`ready ${listener.addr.port}`);
  for (;;) {
    const socket = await listener.accept();
    socket.setNoDelay(true);
    serve(socket, gate, bus);
  }
}
