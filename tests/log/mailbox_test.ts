import { assert, assertEquals } from "@std/assert";
import { Limiter } from "../../lib/base/limiter.ts";
import { Mailbox, type Outlet } from "../../lib/log/mailbox.ts";
import { Positions } from "../../lib/log/positions.ts";
import type { Written } from "../../lib/net/send_queue.ts";
import { type MemberPosition, type Messages, NO_END, type StoredMessage } from "../../lib/store/messages.ts";
import { waitFor } from "../support/process.ts";

const USER = 1;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const unit = { permissions: "none" } as const;

/** A log in memory, in place of the database. */
class FakeLog {
  readonly rows = new Map<string, StoredMessage[]>();
  readonly advanced: string[] = [];
  reads = 0;
  isDown = false;
  /** Called before each read gives its rows. */
  onRead: () => void | Promise<void> = () => {};

  add(conversation: string, sender: number, at: number, message: string | null = '{"msg":"x"}'): number {
    const rows = this.rows.get(conversation) ?? [];
    this.rows.set(conversation, rows);
    rows.push({ seq: rows.length + 1, sender, at, message, hidden: 0 });
    return rows.length;
  }

  async after(conversation: string, seq: number, limit: number): Promise<StoredMessage[]> {
    this.reads++;
    if (this.isDown) throw new Error("away");
    const rows = (this.rows.get(conversation) ?? []).filter((row) => row.seq > seq).slice(0, limit);
    await this.onRead();
    return rows;
  }

  advance(moves: readonly { conversation: string; delivered: number; read: number }[]): Promise<void> {
    for (const { conversation, delivered, read } of moves) {
      this.advanced.push(`${conversation} ${delivered} ${read}`);
    }
    return Promise.resolve();
  }
}

/** A connection that remembers what it was given. */
class FakeOutlet implements Outlet {
  readonly frames: string[] = [];
  readonly written: (Written | undefined)[] = [];
  isCongested = false;
  queuedBytes = 0;
  saidAt = 0;
  isPeerGone = false;
  isEnding = false;

  send(frame: string, written?: Written): void {
    this.frames.push(frame);
    this.written.push(written);
  }

  /** The operating system takes everything. */
  write(): void {
    for (const written of this.written.splice(0)) written?.written();
  }

  get seqs(): string[] {
    return this.frames.map((frame) => {
      const { conversation, seq } = JSON.parse(frame);
      return `${conversation}#${seq}`;
    });
  }
}

const HOME = { conversation: "u1-2", since: 0, delivered: 0, read: 0, last_seq: 0, until: NO_END };

/** Without `places` it is not yet known where the user stands. */
function open(
  { version = 2, places = [] }: { version?: 1 | 2 | 3; places?: Partial<MemberPosition>[] | null },
) {
  const log = new FakeLog();
  const outlet = new FakeOutlet();
  const clock = { now: 0 };
  const errors: unknown[] = [];
  const ended: string[] = [];
  // The mailbox uses these two methods of the model; the rest of it needs a database.
  const messages = log as unknown as Messages;
  const positions = new Positions(messages, SILENT, () => {});
  const mailbox = new Mailbox(
    {
      userId: USER,
      version,
      outlet,
      messages,
      positions,
      readers: new Limiter(1),
      now: () => clock.now,
      onEnded: (conversation) => ended.push(conversation),
      onError: (error) => errors.push(error),
    },
    places?.map((place) => ({ ...HOME, ...place })),
  );
  const frame = (conversation: string, seq: number) => JSON.stringify({ conversation, seq });
  /** A message is stored and its doorbell rings here. */
  const say = (conversation: string, sender: number, at = 0) => {
    const seq = log.add(conversation, sender, at);
    mailbox.offer(conversation, seq, sender, frame(conversation, seq));
    return seq;
  };
  return { log, outlet, clock, errors, ended, positions, mailbox, frame, say };
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `u1-2#${from + index}`);

Deno.test("a message that is next goes out at once and without a look into the log", unit, () => {
  const { mailbox, say, outlet, log } = open({});
  mailbox.open();
  say("u1-2", 2);
  say("u1-2", 2);
  assertEquals(outlet.seqs, range(1, 2));
  assertEquals(log.reads, 0);
});

Deno.test("a doorbell that rings twice delivers once", unit, () => {
  const { mailbox, say, outlet, frame } = open({});
  mailbox.open();
  const seq = say("u1-2", 2);
  mailbox.offer("u1-2", seq, 2, frame("u1-2", seq));
  assertEquals(outlet.seqs, range(1, 1));
});

Deno.test("a hole is filled from the log before what follows it goes out", unit, async () => {
  const { mailbox, log, outlet, frame } = open({});
  mailbox.open();
  for (let seq = 1; seq <= 3; seq++) log.add("u1-2", 2, seq);
  mailbox.offer("u1-2", 3, 2, frame("u1-2", 3));
  await waitFor("all three", () => outlet.frames.length === 3);
  assertEquals(outlet.seqs, range(1, 3));
});

Deno.test(
  "what is read beyond what was rung for is known to be there: the client may acknowledge it",
  unit,
  async () => {
    const { mailbox, log, outlet } = open({});
    mailbox.open();
    for (let seq = 1; seq <= 3; seq++) log.add("u1-2", 2, seq);
    mailbox.notice("u1-2", 1);
    await waitFor("all three", () => outlet.frames.length === 3);
    assertEquals(mailbox.cursor("u1-2")?.newest, 3);
  },
);

Deno.test("one's own and recalled messages move the cursor and are not sent", unit, async () => {
  const { mailbox, log, say, outlet, positions } = open({});
  mailbox.open();
  say("u1-2", USER);
  log.add("u1-2", 2, 0, null);
  log.add("u1-2", 2, 0);
  mailbox.notice("u1-2", 3);
  await waitFor("the third", () => outlet.frames.length === 1);
  assertEquals(outlet.seqs, ["u1-2#3"]);
  mailbox.acknowledge("u1-2", 3);
  await positions.flush();
  assertEquals(log.advanced, ["u1-2 3 2"]);
});

Deno.test("one's own and recalled messages are unread only behind something that is", unit, async () => {
  const { mailbox, log, say, outlet, positions } = open({});
  mailbox.open();
  const place = async () => {
    await positions.flush();
    return log.advanced.splice(0).at(-1);
  };
  say("u1-2", USER);
  assertEquals(await place(), "u1-2 1 1");
  say("u1-2", 2);
  say("u1-2", USER);
  log.add("u1-2", 2, 0, null);
  mailbox.notice("u1-2", 4);
  await waitFor("the recalled one to be passed over", () => mailbox.cursor("u1-2")?.sent === 4);
  assertEquals(await place(), undefined);
  mailbox.acknowledge("u1-2", 2);
  assertEquals(await place(), "u1-2 4 1");
  assertEquals(mailbox.unacknowledged, 0);
  mailbox.markRead("u1-2", 2);
  assertEquals(await place(), "u1-2 4 4");
  // What the client has from history it has not read.
  for (let seq = 5; seq <= 7; seq++) log.add("u1-2", 2, seq);
  mailbox.acknowledge("u1-2", 7);
  assertEquals(await place(), "u1-2 7 4");
  assertEquals(log.add("u1-2", USER, 0), 8);
  mailbox.offer("u1-2", 8, USER, undefined);
  await waitFor("it to be passed over", () => mailbox.cursor("u1-2")?.sent === 8);
  assertEquals(await place(), "u1-2 8 4");
  assertEquals(outlet.seqs, range(2, 2));
});

Deno.test(
  "version 1: one's own message behind one that is not proved to have come waits for it",
  unit,
  async () => {
    const { mailbox, say, outlet, positions, log, clock } = open({ version: 1 });
    mailbox.open();
    say("u1-2", 2);
    outlet.write();
    say("u1-2", 2);
    say("u1-2", USER);
    clock.now = outlet.saidAt = 1;
    mailbox.tick(1_000);
    clock.now = 1_001;
    mailbox.tick(1_000);
    await positions.flush();
    outlet.write();
    clock.now = outlet.saidAt = 1_002;
    mailbox.tick(1_000);
    clock.now = 2_002;
    mailbox.tick(1_000);
    await positions.flush();
    assertEquals(log.advanced, ["u1-2 1 0", "u1-2 3 0"]);
  },
);

Deno.test("a message to oneself comes back", unit, () => {
  const { mailbox, say, outlet } = open({});
  mailbox.open();
  say("u1-1", USER);
  assertEquals(outlet.seqs, ["u1-1#1"]);
});

Deno.test(
  "what was missed comes oldest first over all conversations, each in the order of its seqs",
  unit,
  async () => {
    const { mailbox, log, outlet } = open({
      places: [{ conversation: "u1-2", last_seq: 3 }, { conversation: "g7", last_seq: 3, since: 1 }],
    });
    log.add("u1-2", 2, 10);
    log.add("g7", 3, 5);
    log.add("g7", 3, 20);
    log.add("u1-2", 2, 30);
    // A node whose clock is behind stored this one: the order of seqs holds all the same.
    log.add("u1-2", 2, 15);
    log.add("g7", 3, 40);
    mailbox.open();
    await waitFor("all", () => outlet.frames.length === 5);
    assertEquals(outlet.seqs, ["u1-2#1", "g7#2", "u1-2#2", "u1-2#3", "g7#3"]);
  },
);

Deno.test("nothing goes out before the mailbox is opened, and nothing is lost", unit, async () => {
  const { mailbox, say, outlet } = open({});
  say("u1-2", 2);
  say("u1-2", 2);
  assertEquals(outlet.frames, []);
  mailbox.open();
  await waitFor("both", () => outlet.frames.length === 2);
  assertEquals(outlet.seqs, range(1, 2));
});

Deno.test("version 2: no more than the window goes out unacknowledged", unit, async () => {
  const { mailbox, log, outlet } = open({ places: [{ last_seq: 1000 }] });
  for (let seq = 1; seq <= 1000; seq++) log.add("u1-2", 2, seq);
  mailbox.open();
  await waitFor("a window", () => outlet.frames.length === 256);
  mailbox.acknowledge("u1-2", 100);
  await waitFor("more", () => outlet.frames.length === 356);
  mailbox.acknowledge("u1-2", 356);
  await waitFor("more", () => outlet.frames.length === 612);
  assertEquals(mailbox.unacknowledged, 256);
  assertEquals(outlet.seqs, range(1, 612));
});

Deno.test(
  "version 2: what is not acknowledged is sent again from there, and at last given up",
  unit,
  async () => {
    const { mailbox, say, outlet, clock } = open({});
    mailbox.open();
    for (let i = 0; i < 3; i++) say("u1-2", 2);
    mailbox.acknowledge("u1-2", 1);
    for (let round = 1; round <= 3; round++) {
      clock.now += 10_000;
      assert(mailbox.tick(10_000));
      await waitFor("again", () => outlet.frames.length === 3 + 2 * round);
      assertEquals(outlet.seqs.slice(-2), range(2, 3));
    }
    clock.now += 10_000;
    assert(!mailbox.tick(10_000));
  },
);

Deno.test("version 2: who has much on its way has longer to acknowledge it", unit, () => {
  const { mailbox, log, outlet, clock } = open({});
  mailbox.open();
  const frame = "x".repeat(320_000);
  for (let seq = 1; seq <= 10; seq++) {
    log.add("u1-2", 2, 0);
    mailbox.offer("u1-2", seq, 2, frame);
  }
  clock.now += 109_000;
  assert(mailbox.tick(10_000));
  mailbox.acknowledge("u1-2", 5);
  clock.now += 59_000;
  assert(mailbox.tick(10_000));
  assertEquals([mailbox.cursor("u1-2")?.sent, outlet.frames.length], [10, 10]);
  clock.now += 2_000;
  assert(mailbox.tick(10_000));
  assertEquals(mailbox.cursor("u1-2")?.sent, 5);
});

Deno.test("version 2: nothing is sent again while the peer has not taken what was sent", unit, () => {
  const { mailbox, say, outlet, clock } = open({});
  mailbox.open();
  say("u1-2", 2);
  outlet.queuedBytes = 1;
  clock.now += 60_000;
  assert(mailbox.tick(10_000));
  assertEquals(outlet.frames.length, 1);
});

Deno.test("version 2: an acknowledgement of more than was sent skips it", unit, async () => {
  const { mailbox, log, outlet } = open({ places: [{ last_seq: 5 }] });
  for (let seq = 1; seq <= 5; seq++) log.add("u1-2", 2, seq);
  mailbox.acknowledge("u1-2", 3);
  mailbox.open();
  await waitFor("the rest", () => outlet.frames.length === 2);
  assertEquals(outlet.seqs, range(4, 5));
  assertEquals(mailbox.unacknowledged, 2);
});

Deno.test("sending again while a page is being read passes over nothing", unit, async () => {
  const { mailbox, log, outlet, clock } = open({ places: [{ last_seq: 300 }] });
  for (let seq = 1; seq <= 300; seq++) log.add("u1-2", 2, seq);
  let reads = 0;
  log.onRead = () => {
    // In the middle of the stream the time for acknowledgements runs out.
    if (++reads !== 3) return;
    clock.now += 10_000;
    mailbox.tick(10_000);
  };
  mailbox.open();
  await waitFor("a window", () => mailbox.unacknowledged === 256);
  const again = outlet.seqs.lastIndexOf("u1-2#1");
  assertEquals(outlet.seqs.slice(again), range(1, 256));
});

Deno.test(
  "version 1: what was written to a peer that was still there counts when it goes in good order",
  unit,
  async () => {
    const { mailbox, say, outlet, positions, log } = open({ version: 1 });
    mailbox.open();
    say("u1-2", 2);
    assert(!mailbox.isInDoubt);
    outlet.write();
    assert(mailbox.isInDoubt);
    say("u1-2", 2);
    outlet.isPeerGone = true;
    outlet.write();
    await positions.flush();
    assertEquals(log.advanced, []);
    mailbox.settle();
    await positions.flush();
    assertEquals(log.advanced, ["u1-2 1 0"]);
  },
);

Deno.test(
  "version 1: what was written counts when the client says something after it, and not in time",
  unit,
  async () => {
    const { mailbox, say, outlet, positions, log, clock } = open({ version: 1 });
    mailbox.open();
    const tickAt = async (now: number, heardAt: number) => {
      clock.now = now;
      outlet.saidAt = heardAt;
      mailbox.tick(1_000);
      await positions.flush();
      return log.advanced.splice(0);
    };
    clock.now = 20_000;
    say("u1-2", 2);
    outlet.write();
    assertEquals(await tickAt(21_000, 19_999), []);
    outlet.saidAt = clock.now = 21_200;
    say("u1-2", 2);
    clock.now = 21_300;
    outlet.write();
    // What was said may have crossed what was written: the connection has to go on for a second.
    assertEquals(await tickAt(22_199, 21_500), []);
    assertEquals(await tickAt(22_300, 21_500), ["u1-2 1 0"]);
    assertEquals(await tickAt(22_499, 22_400), []);
    assertEquals(await tickAt(22_500, 22_400), ["u1-2 2 0"]);
    say("u1-2", 2);
    outlet.write();
    assertEquals(await tickAt(30_000, 21_500), []);
    say("u1-2", 2);
    outlet.write();
    assertEquals(await tickAt(900_000, 21_500), []);
    // Between the two writes.
    assertEquals(await tickAt(900_500, 29_000), ["u1-2 3 0"]);
    // By then the kernel has ended the connection of a peer that does not answer, unless it never got so far.
    outlet.queuedBytes = 1;
    assertEquals(await tickAt(2_000_000, 29_000), []);
    outlet.queuedBytes = 0;
    assertEquals(await tickAt(2_000_001, 29_000), ["u1-2 4 0"]);
    assert(!mailbox.isInDoubt);
  },
);

Deno.test(
  "version 1: a client that only reads for hours is believed late, and what it says proves all but the last second",
  unit,
  async () => {
    const { mailbox, say, outlet, positions, log, clock } = open({ version: 1 });
    mailbox.open();
    const deliveredAt: number[] = [];
    for (let second = 1; second <= 7_200; second++) {
      clock.now = second * 1_000;
      say("u1-2", 2);
      outlet.write();
      mailbox.tick(1_000);
      deliveredAt.push(mailbox.cursor("u1-2")?.delivered ?? 0);
    }
    // Never sooner than the kernel would have ended the connection, and at most twice as late.
    deliveredAt.forEach((delivered, index) => {
      const second = index + 1;
      assert(delivered <= Math.max(0, second - 1_200), `${delivered} after ${second} s`);
      assert(delivered >= second - 2_403, `${delivered} after ${second} s`);
    });
    outlet.saidAt = clock.now - 500;
    mailbox.tick(1_000);
    clock.now += 500;
    mailbox.tick(1_000);
    await positions.flush();
    assertEquals(log.advanced.at(-1), "u1-2 7199 0");
  },
);

Deno.test(
  "version 1: a congested connection gets nothing and reads on in the log when it drains",
  unit,
  async () => {
    const { mailbox, say, outlet } = open({ version: 1 });
    mailbox.open();
    outlet.isCongested = true;
    for (let i = 0; i < 5; i++) say("u1-2", 2);
    assertEquals(outlet.frames, []);
    outlet.isCongested = false;
    mailbox.onDrain();
    await waitFor("all", () => outlet.frames.length === 5);
    assertEquals(outlet.seqs, range(1, 5));
  },
);

Deno.test("version 1: the login reply takes what fits, and the rest follows behind it", unit, async () => {
  const { mailbox, log, outlet, positions } = open({ version: 1, places: [{ last_seq: 10 }] });
  for (let seq = 1; seq <= 10; seq++) log.add("u1-2", 2, seq, `{"msg":"${"x".repeat(100)}"}`);
  const { frames, written } = await mailbox.takeOffline(400);
  assertEquals(frames.map((frame) => JSON.parse(frame).seq), [1, 2, 3]);
  written.written();
  mailbox.settle();
  await positions.flush();
  assertEquals(log.advanced, ["u1-2 3 0"]);
  mailbox.open();
  await waitFor("the rest", () => outlet.frames.length === 7);
  assertEquals(outlet.seqs, range(4, 10));
});

Deno.test("a message past the log goes out only where it overtakes nothing", unit, async () => {
  const { mailbox, say, outlet, log } = open({ version: 1 });
  const written = { written() {} };
  assert(!mailbox.sendUnlogged(2, "{}", written), "before the mailbox is open");
  mailbox.open();
  assert(mailbox.sendUnlogged(2, "{}", written));
  outlet.isCongested = true;
  say("u1-2", 2);
  outlet.isCongested = false;
  assert(!mailbox.sendUnlogged(2, "{}", written), "with a stored message still to come");
  mailbox.onDrain();
  await waitFor("the stored one", () => outlet.frames.length === 2);
  assert(mailbox.sendUnlogged(2, "{}", written));
  assertEquals(log.rows.size, 1);
});

Deno.test("a group's messages are none of a user's business before it has joined", unit, async () => {
  const { mailbox, say, outlet } = open({});
  mailbox.open();
  say("g7", 3);
  assertEquals(outlet.frames, []);
  mailbox.join("g7", 1);
  say("g7", 3);
  await waitFor("the one after", () => outlet.frames.length === 1);
  assertEquals(outlet.seqs, ["g7#2"]);
});

Deno.test("a conversation of two others is none of a user's business", unit, async () => {
  const { mailbox, outlet, log } = open({});
  mailbox.open();
  for (const conversation of ["u2-3", "u11-12", "u10-11", "u2-1", "u1-", "x1-2", ""]) {
    log.add(conversation, 2, 1);
    mailbox.offer(conversation, 1, 2, '{"msg":"private"}');
    mailbox.notice(conversation, 1);
  }
  await Promise.resolve();
  assertEquals([outlet.frames, log.reads], [[], 0]);
  mailbox.offer("u1-3", 1, 3, '{"msg":"x","conversation":"u1-3","seq":1}');
  assertEquals(outlet.seqs, ["u1-3#1"]);
});

Deno.test("a message whose doorbell was missed while the user joined is found", unit, async () => {
  const { mailbox, log, outlet } = open({});
  mailbox.open();
  log.add("g7", 3, 0);
  log.add("g7", 3, 0);
  mailbox.join("g7", 1);
  await waitFor("it", () => outlet.frames.length === 1);
  assertEquals(outlet.seqs, ["g7#2"]);
});

Deno.test(
  "a message whose doorbell rings before it is known where the user stands is found",
  unit,
  async () => {
    const { mailbox, say, outlet } = open({ places: null });
    say("u1-2", 2);
    say("u1-2", 2);
    say("u1-3", 3);
    say("g7", 3);
    mailbox.place([HOME, { ...HOME, conversation: "g7", last_seq: 0 }]);
    mailbox.open();
    await waitFor("all four", () => outlet.frames.length === 4);
    assertEquals(outlet.seqs.sort(), ["g7#1", "u1-2#1", "u1-2#2", "u1-3#1"]);
  },
);

Deno.test(
  "what another device reads and writes before it is known where the user stands is told, and known",
  unit,
  () => {
    const { mailbox, outlet } = open({ version: 3, places: null });
    mailbox.follow("u1-2", 4, 3);
    mailbox.noteOwn("g7", 2);
    // The client's login reply may be from before that, what the database says now is not.
    mailbox.place([
      { ...HOME, delivered: 4, read: 3, last_seq: 4, told: 4 },
      { ...HOME, conversation: "g7", delivered: 2, last_seq: 2 },
    ]);
    mailbox.open();
    assertEquals(outlet.frames.map((frame) => JSON.parse(frame)), [
      { msgid: 14, conversation: "u1-2", id: USER, delivered: 4, read: 3 },
    ]);
    assertEquals([mailbox.cursor("u1-2")?.read, mailbox.cursor("g7")?.own], [3, 2]);
  },
);

Deno.test(
  "who joins a group it is in already gets what was missed meanwhile, and nothing twice",
  unit,
  async () => {
    const { mailbox, log, say, outlet } = open({ places: [{ conversation: "g7", since: 1, delivered: 1 }] });
    mailbox.open();
    for (let i = 0; i < 3; i++) log.add("g7", 3, i);
    mailbox.join("g7", 1, 2);
    await waitFor("both", () => outlet.frames.length === 2);
    for (let i = 0; i < 3; i++) log.add("g8", 3, i);
    mailbox.join("g8", 1, 2);
    await waitFor("the third", () => outlet.frames.length === 3);
    say("g8", 3);
    assertEquals(outlet.seqs, ["g7#2", "g7#3", "g8#3", "g8#4"]);
  },
);

for (const version of [1, 2] as const) {
  Deno.test(
    `version ${version}: of very many conversations few rows are read before they can go out`,
    unit,
    async () => {
      const places = Array.from({ length: 5_000 }, (_, i) => ({ conversation: `g${i + 1}`, last_seq: 1 }));
      const { mailbox, log, outlet } = open({ version, places });
      for (const { conversation } of places) log.add(conversation, 2, 0);
      if (version === 1) {
        const { frames } = await mailbox.takeOffline(100);
        assert(frames.length > 0);
      } else {
        mailbox.open();
        await waitFor("the first", () => outlet.frames.length > 0);
      }
      assert(log.reads <= 1_024, `${log.reads} reads`);
    },
  );
}

Deno.test("a log that cannot be read is read again at the next tick", unit, async () => {
  const { mailbox, log, outlet, errors } = open({ places: [{ last_seq: 1 }] });
  log.add("u1-2", 2, 0);
  log.isDown = true;
  mailbox.open();
  await waitFor("the failure", () => errors.length === 1);
  log.isDown = false;
  mailbox.tick(10_000);
  await waitFor("the message", () => outlet.frames.length === 1);
});

Deno.test("a mailbox that was closed before it was opened stays closed", unit, async () => {
  const { mailbox, log, outlet } = open({ places: [{ last_seq: 1 }] });
  log.add("u1-2", 2, 0);
  mailbox.close();
  mailbox.open();
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  assertEquals(outlet.frames, []);
  assertEquals(log.reads, 0);
});

Deno.test("a doorbell that rings while the log is read is not lost", unit, async () => {
  const { mailbox, log, outlet, say } = open({ places: [{ last_seq: 1 }] });
  log.add("u1-2", 2, 0);
  let isFirst = true;
  log.onRead = () => {
    if (isFirst) say("u1-2", 2);
    isFirst = false;
  };
  mailbox.open();
  await waitFor("both", () => outlet.frames.length === 2);
  assertEquals(outlet.seqs, range(1, 2));
});

Deno.test(
  "random doorbells, losses, acknowledgements and outages deliver every message once per send, in order",
  unit,
  async () => {
    const seed = Number(crypto.getRandomValues(new Uint32Array(1))[0]);
    console.log(`seed ${seed}`);
    let state = seed || 1;
    const random = (below: number) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    const { mailbox, log, outlet, frame } = open({});
    mailbox.open();
    for (let step = 0; step < 5_000; step++) {
      const conversation = `u1-${2 + random(3)}`;
      const seq = log.add(conversation, random(5) === 0 ? USER : 2, step);
      const last = log.rows.get(conversation)?.at(-1);
      // One in three doorbells is lost, one in five comes without its frame, some ring for an older message.
      if (random(3) > 0) {
        mailbox.offer(
          conversation,
          seq,
          last?.sender ?? 2,
          random(5) > 0 ? frame(conversation, seq) : undefined,
        );
      }
      if (random(4) === 0) {
        const upTo = mailbox.cursor(conversation)?.sent ?? 0;
        mailbox.acknowledge(conversation, upTo - random(3));
      }
      log.isDown = random(20) === 0;
      outlet.isCongested = random(10) === 0;
      if (random(10) === 0) await Promise.resolve();
      if (random(50) === 0) mailbox.tick(Infinity);
    }
    log.isDown = outlet.isCongested = false;
    for (const [conversation, rows] of log.rows) mailbox.notice(conversation, rows.length);
    const expected = [...log.rows].flatMap(([conversation, rows]) =>
      rows.filter(({ sender }) => sender !== USER).map(({ seq }) => `${conversation}#${seq}`)
    );
    await waitFor("everything", () => {
      for (const cursor of mailbox.cursors) mailbox.acknowledge(cursor.conversation, cursor.sent);
      mailbox.tick(Infinity);
      return outlet.frames.length >= expected.length;
    });
    const seqs = outlet.seqs;
    assertEquals([...seqs].sort(), expected.sort(), `seed ${seed}`);
    for (const conversation of log.rows.keys()) {
      const own = seqs.filter((seq) => seq.startsWith(`${conversation}#`)).map((seq) =>
        Number(seq.split("#")[1])
      );
      assertEquals(own, [...own].sort((a, b) => a - b), `seed ${seed}`);
    }
  },
);

Deno.test(
  "a conversation that is joined before it is known where the user stands has one cursor",
  unit,
  async () => {
    const { mailbox, log, outlet, errors } = open({ places: null });
    log.add("u1-2", 2, 1);
    log.add("u1-2", 2, 2);
    mailbox.join("u1-2", 0);
    mailbox.place([{ ...HOME, last_seq: 2 }]);
    mailbox.open();
    await waitFor("both to come", () => outlet.seqs.length >= 2);
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals([outlet.seqs, mailbox.unacknowledged, errors], [range(1, 2), 2, []]);
  },
);

Deno.test("whoever is in a group no longer hears nothing of it, whatever has put it there", unit, () => {
  // Removed between two looks into the database at login.
  const { mailbox, ended } = open({ places: [{ conversation: "g1", delivered: 3, last_seq: 3, until: 3 }] });
  assertEquals(ended, ["g1"]);
  // A look from before has put the session back.
  mailbox.leave("g1", 0, 3);
  assertEquals(ended, ["g1", "g1"]);
  // The answer to the joining was slower than the removal.
  mailbox.join("g1", 0);
  assertEquals(ended, ["g1", "g1", "g1"]);
  // Another stay.
  mailbox.join("g1", 5, 6);
  mailbox.leave("g1", 0, 3);
  assertEquals(ended, ["g1", "g1", "g1"]);
});

Deno.test("whoever comes again while the end of its former stay is read is in the group", unit, async () => {
  const { mailbox, log, outlet, ended } = open({ places: [] });
  mailbox.join("g1", 0);
  mailbox.open();
  log.add("g1", 2, 1);
  log.add("g1", 2, 2, JSON.stringify({ msgid: 25, what: "removed", id: USER, by: 2 }));
  log.add("g1", 2, 3);
  log.add("g1", 2, 4, JSON.stringify({ msgid: 25, what: "added", id: USER, by: 2 }));
  let isFirst = true;
  log.onRead = () => {
    if (isFirst) mailbox.join("g1", 3);
    isFirst = false;
  };
  mailbox.notice("g1", 4);
  await waitFor("the look", () => !isFirst);
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve));
  assertEquals([ended, outlet.seqs, mailbox.unacknowledged], [[], [], 0]);
  mailbox.offer("g1", 5, 2, '{"msgid":10,"conversation":"g1","seq":5}');
  assertEquals(outlet.seqs, ["g1#5"]);
});

/** What the system says of a group. */
function entry(what: string, id: number): string {
  return JSON.stringify({ msgid: 25, what, id, name: "ann", by: 2 });
}

/** A mailbox of who is in g7, whose log holds nothing yet, and the log as its members write it. */
function inGroup(version: 1 | 2 | 3) {
  const opened = open({ version, places: [{ conversation: "g7" }] });
  const { log, mailbox } = opened;
  mailbox.open();
  const tell = (text: string) => {
    const seq = log.add("g7", 2, 0, text);
    const frame = `${text.slice(0, -1)},"conversation":"g7","seq":${seq},"at":0}`;
    return { ring: () => mailbox.offer("g7", seq, 2, frame) };
  };
  return { ...opened, tell };
}

const CHAT = '{"msgid":10,"msg":"x"}';

for (const version of [1, 2, 3] as const) {
  for (const what of ["left", "removed", "dissolved"]) {
    Deno.test(
      `version ${version}: behind the entry "${what}" nothing goes out, live or read from the log`,
      unit,
      async () => {
        for (const isLive of [true, false]) {
          const { tell, outlet, ended, mailbox } = inGroup(version);
          const entries = [CHAT, entry(what, what === "dissolved" ? 2 : USER), CHAT, CHAT].map(tell);
          for (const { ring } of isLive ? entries : entries.slice(-1)) ring();
          await waitFor("the end", () => ended.length > 0);
          mailbox.notice("g7", 9);
          mailbox.tick(1_000_000);
          await new Promise((resolve) => setTimeout(resolve));
          assertEquals(ended, ["g7"]);
          assertEquals(outlet.seqs, version === 3 ? ["g7#1", "g7#2"] : ["g7#1"]);
          assertEquals(mailbox.cursor("g7")?.newest, 2);
        }
      },
    );
  }
}

Deno.test("what happens to others ends nothing", unit, () => {
  const { tell, outlet, ended } = inGroup(3);
  for (const text of [entry("left", 3), entry("removed", 2), entry("added", USER), CHAT]) tell(text).ring();
  assertEquals([outlet.seqs.length, ended], [4, []]);
});

Deno.test("who acknowledges what it was not sent does not get past the end", unit, async () => {
  const { tell, outlet, ended, mailbox, log } = inGroup(2);
  const entries = [CHAT, entry("removed", USER), CHAT, CHAT].map(tell);
  // The first two doorbells are lost, and the client says that it has all that has rung.
  log.onRead = () => new Promise((resolve) => setTimeout(resolve, 5));
  entries[2]?.ring();
  mailbox.acknowledge("g7", 3);
  // The database gives nobody more than there is a right to.
  const all = log.rows.get("g7") ?? [];
  log.rows.set("g7", all.slice(0, 2));
  entries[3]?.ring();
  await waitFor("a look into the log", () => log.reads > 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals([outlet.seqs, ended], [[], []]);
});

Deno.test("who comes again begins anew", unit, async () => {
  const { tell, outlet, ended, mailbox } = inGroup(3);
  for (const text of [CHAT, entry("removed", USER), CHAT]) tell(text).ring();
  mailbox.join("g7", 3, 3);
  tell(entry("added", USER)).ring();
  tell(CHAT).ring();
  await waitFor("what follows", () => outlet.frames.length === 4);
  assertEquals(ended, ["g7"]);
  assertEquals(outlet.seqs, ["g7#1", "g7#2", "g7#4", "g7#5"]);
  // An answer of the database from before says nothing about this time.
  mailbox.leave("g7", 0, 2);
  tell(CHAT).ring();
  await waitFor("one more", () => outlet.frames.length === 5);
  mailbox.leave("g7", 3, 6);
  tell(CHAT).ring();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals([outlet.seqs.at(-1), ended], ["g7#6", ["g7", "g7"]]);
});
