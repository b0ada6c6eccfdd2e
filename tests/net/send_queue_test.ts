import { assert, assertEquals } from "@std/assert";
import { SendQueue, type SendQueueEvents } from "../../lib/net/send_queue.ts";

const decoder = new TextDecoder();

/** A socket that takes what it is told to take, when it is told to. */
class FakeSocket implements SendQueueEvents {
  readonly writes: string[] = [];
  readonly events: string[] = [];
  /** Bytes one write takes at most. */
  capacity = Infinity;
  #blocked: (() => void)[] | undefined;

  block(): void {
    this.#blocked = [];
  }

  unblock(): void {
    const blocked = this.#blocked ?? [];
    this.#blocked = undefined;
    for (const resume of blocked) resume();
  }

  async write(bytes: Uint8Array): Promise<number> {
    const blocked = this.#blocked;
    if (blocked) await new Promise<void>((resolve) => blocked.push(resolve));
    const count = Math.min(bytes.length, this.capacity);
    this.writes.push(decoder.decode(bytes.slice(0, count)));
    return count;
  }

  onEmpty(): void {
    this.events.push("empty");
  }

  onDrain(): void {
    this.events.push("drain");
  }

  onError(error: unknown): void {
    this.events.push(String(error));
  }
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

function watched(log: string[], name: string) {
  return { written: () => log.push(`${name} written`), dropped: () => log.push(`${name} dropped`) };
}

const unit = { permissions: "none" } as const;

Deno.test("each frame of a version 1 connection goes out in its own write", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  queue.add("{1}");
  queue.add("{2}");
  await settle();
  assertEquals(socket.writes, ["{1}\0", "{2}\0"]);
});

Deno.test("a version 1 connection gets each of eight frames by itself, and nine together", unit, async () => {
  for (const [count, writes] of [[8, 8], [9, 1]] as const) {
    const socket = new FakeSocket();
    const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
    for (let i = 0; i < count; i++) queue.add("{}");
    await settle();
    assertEquals(socket.writes.join(""), "{}\0".repeat(count));
    assertEquals(socket.writes.length, writes);
  }
});

Deno.test("a version 1 connection that is far behind gets its frames together", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  for (let i = 0; i < 100; i++) queue.add("{}");
  await settle();
  assertEquals(socket.writes.join(""), "{}\0".repeat(100));
  assert(socket.writes.length < 50, `${socket.writes.length} writes`);
});

Deno.test("the frames of one turn share a write where they may", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  queue.mayGlue = true;
  queue.setTerminator("\n");
  queue.add("{1}");
  queue.add("{2}");
  await settle();
  assertEquals(socket.writes, ["{1}\n{2}\n"]);
});

Deno.test("who has asked is written to before others, in the order of what it is sent", unit, async () => {
  const order: string[] = [];
  const queues = [1, 2, 3].map((name) => {
    const socket = new FakeSocket();
    const write = (bytes: Uint8Array) => {
      order.push(`${name} ${decoder.decode(bytes)}`);
      return socket.write(bytes);
    };
    const events = { write, onEmpty() {}, onDrain() {}, onError() {} };
    const queue = new SendQueue({ highWaterBytes: 1000 }, events);
    queue.mayGlue = true;
    queue.setTerminator("\n");
    return queue;
  });
  for (const queue of queues) queue.add("{}");
  queues[2]?.add("{answer}");
  queues[2]?.hurry();
  await settle();
  assertEquals(order, ["3 {}\n{answer}\n", "1 {}\n", "2 {}\n"]);
});

Deno.test("a partial write is continued, and nothing is written in between", unit, async () => {
  const socket = new FakeSocket();
  socket.capacity = 3;
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  queue.add("{long}");
  queue.add("{x}");
  await settle();
  assertEquals(socket.writes.join(""), "{long}\0{x}\0");
  assertEquals(queue.bytes, 0);
});

Deno.test("a frame is written when its last byte is out, not before", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  const log: string[] = [];
  socket.block();
  queue.add("{1}", watched(log, "1"));
  await settle();
  assertEquals(log, []);
  socket.unblock();
  await settle();
  assertEquals(log, ["1 written"]);
});

Deno.test("what a closed queue has not written is dropped, each frame once", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  const log: string[] = [];
  socket.block();
  queue.add("{1}", watched(log, "1"));
  await settle();
  queue.add("{2}", watched(log, "2"));
  queue.close();
  queue.add("{3}", watched(log, "3"));
  socket.capacity = 1;
  socket.unblock();
  await settle();
  assertEquals(log, ["2 dropped", "3 dropped", "1 dropped"]);
  assertEquals(queue.bytes, 0);
});

Deno.test("dropping what waits leaves the frame that is being written whole", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  socket.block();
  queue.add("{first}");
  await settle();
  queue.add("{second}");
  queue.drop();
  queue.add("{last}");
  socket.unblock();
  await settle();
  assertEquals(socket.writes.join(""), "{first}\0{last}\0");
});

Deno.test("nothing is written while the byte behind the first frame is awaited", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  queue.awaitTerminator();
  queue.add("{1}");
  await settle();
  assertEquals(socket.writes, []);
  queue.setTerminator("\n");
  await settle();
  assertEquals(socket.writes, ["{1}\n"]);
  queue.guessTerminator();
  queue.add("{2}");
  await settle();
  assertEquals(socket.writes[1], "{2}\n");
});

Deno.test("a guess how the peer ends its frames gives way to what it shows", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
  queue.awaitTerminator();
  queue.guessTerminator();
  queue.add("{1}");
  await settle();
  queue.setTerminator("\n");
  queue.add("{2}");
  await settle();
  assertEquals(socket.writes, ["{1}", "{2}\n"]);
});

Deno.test("congestion is told from the high-water mark on and ends at half of it", unit, async () => {
  const socket = new FakeSocket();
  const queue = new SendQueue({ highWaterBytes: 10 }, socket);
  socket.block();
  queue.add("x".repeat(11));
  assert(queue.isCongested);
  await settle();
  socket.unblock();
  await settle();
  assert(!queue.isCongested);
  assertEquals(socket.events, ["drain", "empty"]);
});

Deno.test("a failed write ends the queue and is told once", unit, async () => {
  const socket = new FakeSocket();
  socket.write = () => Promise.reject(new Error("broken pipe"));
  const queue = new SendQueue({ highWaterBytes: 10 }, socket);
  const log: string[] = [];
  queue.add("{1}", watched(log, "1"));
  queue.add("{2}", watched(log, "2"));
  await settle();
  assertEquals(socket.events, ["Error: broken pipe"]);
  assertEquals(log.sort(), ["1 dropped", "2 dropped"]);
});

Deno.test(
  "a frame in parts is one frame: written together as far as it goes, ended once, told of once",
  unit,
  async () => {
    const socket = new FakeSocket();
    const log: string[] = [];
    const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
    queue.addParts(["{", '"a":1', "}"], watched(log, "a"));
    queue.add("{2}");
    await settle();
    assertEquals(socket.writes, ['{"a":1}\0', "{2}\0"]);
    assertEquals(log, ["a written"]);
  },
);

Deno.test(
  "a long frame goes out in parts, between characters, and is not cut off by what is forgotten",
  unit,
  async () => {
    const socket = new FakeSocket();
    const long = `x${"\u{1f4a9}".repeat(100_000)}`;
    const log: string[] = [];
    const queue = new SendQueue({ highWaterBytes: 1000 }, socket);
    queue.mayGlue = true;
    socket.block();
    queue.add(long, watched(log, "long"));
    queue.add("{late}", watched(log, "late"));
    await settle();
    queue.drop();
    queue.add("{end}");
    socket.unblock();
    await settle();
    assertEquals(socket.writes.join(""), `${long}\0{end}\0`);
    assert(socket.writes.length > 2);
    assertEquals(log, ["late dropped", "long written"]);
  },
);

Deno.test("a queue is overfull when it holds more than its longest frame explains", unit, async () => {
  const socket = new FakeSocket();
  socket.block();
  const queue = new SendQueue({ highWaterBytes: 100 }, socket);
  queue.add("x".repeat(10_000));
  assert(!queue.isOverfull);
  queue.add("x".repeat(399));
  assert(!queue.isOverfull);
  queue.add("xx");
  assert(queue.isOverfull);
  socket.unblock();
  await settle();
  assert(!queue.isOverfull);
  queue.close();
});
