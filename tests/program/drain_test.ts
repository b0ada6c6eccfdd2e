import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { chat, ChatClient, comeBack, type Frame, newPerson, type Person } from "../support/chat_client.ts";
import {
  freePort,
  isOnPath,
  readTextIfExists,
  ServiceProcess,
  type TemporaryFolder,
  temporaryFolder,
  waitFor,
} from "../support/process.ts";
import { programFlags } from "../program_flags.ts";
import { type Server, startMariaDb, startServer, UNMEASURED } from "../support/services.ts";

function startOn(folder: TemporaryFolder, ...args: string[]): Promise<Server> {
  return startServer(["--sqlite", `${folder.path}/chat.db`, ...UNMEASURED, ...args]);
}

/** Somebody who says so many messages at a time, without a pause, until the connection ends. */
class Writer {
  /** Texts that were acknowledged. */
  readonly acked = new Set<string>();
  /** Resolves with what the server said last. */
  readonly notice: Promise<Frame>;
  readonly #from: Person;
  readonly #to: number;
  #count = 0;

  constructor(from: Person, to: number, atOnce: number) {
    this.#from = from;
    this.#to = to;
    this.notice = this.#run(atOnce).finally(() => from.client.close());
  }

  async #run(atOnce: number): Promise<Frame> {
    for (let i = 0; i < atOnce; i++) await this.#say();
    for (;;) {
      const frame = await this.#from.client.receive();
      if (frame.msgid === 20) {
        assertEquals(await this.#from.client.receiveRest(), [], "the notice is the last frame");
        return frame;
      }
      assertEquals([frame.msgid, frame.errno], [11, 0]);
      this.acked.add(`${this.#from.name} ${frame.cid}`);
      await this.#say();
    }
  }

  async #say(): Promise<void> {
    const cid = String(this.#count++);
    await this.#from.client.send(chat(this.#from, this.#to, `${this.#from.name} ${cid}`, { cid }));
  }
}

Deno.test("SIGTERM under load: everything acknowledged is kept, everybody is told, the exit code is 0", async () => {
  await using folder = await temporaryFolder();
  await using server = await startOn(folder);
  await using reader = await newPerson(server.port, "reader");
  const people = await Promise.all(
    Array.from({ length: 8 }, (_, index) => newPerson(server.port, `writer ${index}`, { v: 2 })),
  );
  const idle = await newPerson(server.port, "idle", { v: 2 });
  const told = idle.client.receiveRest().finally(() => idle.client.close());
  reader.client.close();
  const writers = people.map((person) => new Writer(person, reader.id, 16));
  await waitFor("a load", () => writers.every(({ acked }) => acked.size > 50));
  const stoppedAt = performance.now();
  const { code } = await server.stop();
  assertEquals(code, EXIT.ok, server.stderr);
  assertLess(performance.now() - stoppedAt, 5_000);

  const notices = await Promise.all([
    ...writers.map(({ notice }) => notice),
    told.then(([notice]) => notice),
  ]);
  const delays = notices.map((notice) => {
    assertEquals([notice?.code, notice?.reconnect], ["shutting_down", true]);
    return notice?.retry_after_ms ?? NaN;
  });
  assert(delays.every((delay) => delay >= 0 && delay <= 2_000));
  assert(new Set(delays).size > 1, "not all come back at once");

  const acked = writers.flatMap(({ acked }) => [...acked]);
  await using again = await startOn(folder);
  await using back = await ChatClient.connect(again.port);
  await back.send({ msgid: 1, id: reader.id, password: "correct horse" });
  const { offlineMsg = [] } = await back.receive();
  const received = new Set(offlineMsg.map((text) => JSON.parse(text).msg));
  assertEquals(received.size, offlineMsg.length, "nothing twice");
  assertEquals(acked.filter((text) => !received.has(text)), [], "nothing lost");
  assertEquals(server.stderr.split("\n").filter((line) => / error /.test(line)), []);
});

Deno.test("while a node drains it takes no connections, and presence and positions are written", async () => {
  await using folder = await temporaryFolder();
  await using server = await startOn(folder);
  await using li = await newPerson(server.port, "li", { v: 2 });
  await using wu = await newPerson(server.port, "wu", { v: 2 });
  const { conversation, seq } = await li.client.request(chat(li, wu.id, "read this"));
  await wu.client.take(({ msgid }) => msgid === 6);
  await wu.client.request({ msgid: 12, conversation, seq });
  server.signal("SIGTERM");
  // These two do not close their side, which keeps the node up for a moment.
  await server.logged("draining");
  await waitFor("the listener to be closed", async () => {
    try {
      (await Deno.connect({ hostname: server.host, port: server.port })).close();
      return false;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      return true;
    }
  });
  assertEquals((await server.exited).code, EXIT.ok);

  await using again = await startOn(folder);
  await using back = await ChatClient.connect(again.port);
  await back.send({ msgid: 1, id: wu.id, password: "correct horse", v: 2 });
  const { conversations } = await back.receive();
  assertEquals(conversations?.map(({ delivered }) => delivered), [1]);
  await back.expectNothing(100);
});

Deno.test("what a version 1 client says before it has seen the end is still stored", async () => {
  await using folder = await temporaryFolder();
  await using server = await startOn(folder);
  await using li = await newPerson(server.port, "li");
  await using wu = await newPerson(server.port, "wu");
  await wu.client.send({ msgid: 3, id: wu.id });
  server.signal("SIGTERM");
  assertEquals((await li.client.receive()).code, "shutting_down");
  const texts = ["one", "two", "three"];
  for (const text of texts) await li.client.send(chat(li, wu.id, text));
  await li.client.closeWrite();
  assertEquals((await server.exited).code, EXIT.ok);

  await using again = await startOn(folder);
  await using back = await comeBack(again.port, wu);
  assertEquals(back.reply.offlineMsg?.map((text) => JSON.parse(text).msg), texts);
});

Deno.test("signals within a second are one request, and one that comes later ends the node at once", async () => {
  await using folder = await temporaryFolder();
  await using server = await startOn(folder, "--drain-timeout", "60s");
  await using stubborn = await newPerson(server.port, "stubborn", { v: 2 });
  assertEquals((await stubborn.client.request({ msgid: 18 })).errno, 0);
  for (const signal of ["SIGINT", "SIGTERM", "SIGINT"] as const) server.signal(signal);
  await server.logged("draining");
  // What the node counts from is at most as long ago as its line.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  assertEquals((await stubborn.client.receive()).code, "shutting_down", "it still drains");
  const start = performance.now();
  const { code } = await server.kill("SIGTERM");
  assertEquals(code, EXIT.failure);
  assertLess(performance.now() - start, 1_000);
});

Deno.test({
  name: "a node whose terminal is closed drains as at SIGTERM",
  ignore: Deno.build.os !== "linux" || !isOnPath("script"),
  async fn() {
    await using folder = await temporaryFolder();
    const port = freePort();
    const log = `${folder.path}/log`;
    const program = [Deno.execPath(), "run", "--quiet", ...await programFlags(), "main.ts", String(port)];
    const command = [...program, "--sqlite", `${folder.path}/chat.db`, "2>", log].join(" ");
    await using terminal = new ServiceProcess("script", ["-qc", `exec ${command}`, "/dev/null"]);
    await waitFor("the node to serve", async () => /listening/.test(await readTextIfExists(log)));
    await using li = await newPerson(port, "li", { v: 2 });
    await terminal.kill("SIGKILL");
    assertEquals((await li.client.receiveRest()).map(({ code }) => code), ["shutting_down"]);
    li.client.close();
    await waitFor("the node to end", async () => /stopped clean=true/.test(await readTextIfExists(log)));
    assertMatch(await Deno.readTextFile(log), /draining signal=SIGHUP/);
  },
});

Deno.test("a client that does not read does not keep a node from ending in time", async () => {
  await using folder = await temporaryFolder();
  await using server = await startOn(folder, "--drain-timeout", "2s", "--log-level", "debug");
  await using deaf = await newPerson(server.port, "deaf", { v: 2 });
  await using li = await newPerson(server.port, "li", { v: 2 });
  const text = "x".repeat(60_000);
  // More than the kernel's buffers hold, so that the server waits for the client.
  for (let i = 0; i < 150; i++) await li.client.request(chat(li, deaf.id, text));
  li.client.close();
  const start = performance.now();
  const { code } = await server.stop();
  assertLess(performance.now() - start, 2_500);
  assertEquals(code, EXIT.ok, server.stderr);
  const got = await deaf.client.receiveRest();
  assertLess(got.length, 150);
});

Deno.test("a node whose database hangs ends in time all the same, and does not call that good order", async () => {
  await using mariaDb = await startMariaDb();
  await using server = await startServer(["--mysql", mariaDb.url, "--drain-timeout", "1s"]);
  await using li = await newPerson(server.port, "li");
  mariaDb.signal("SIGSTOP");
  await li.client.send(chat(li, li.id, "a note to myself"));
  const start = performance.now();
  const { code } = await server.stop();
  mariaDb.signal("SIGCONT");
  assertEquals(code, EXIT.failure);
  assertLess(performance.now() - start, 2_000);
  assert(server.stderr.includes("cannot end in good order"), server.stderr);
});
