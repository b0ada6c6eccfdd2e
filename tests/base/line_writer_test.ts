import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { LineWriter } from "../../lib/base/line_writer.ts";
import { ChatClient } from "../support/chat_client.ts";
import { freePort, ServiceProcess, waitFor } from "../support/process.ts";
import { programFlags } from "../program_flags.ts";

const unit = { permissions: "none" } as const;

/** A pipe that takes three bytes at a time while somebody reads. */
class Pipe {
  /** What came through. */
  text = "";
  #isRead: Promise<void> = Promise.resolve();
  #read: () => void = () => {};

  /** Nobody reads from now on. */
  block(): void {
    this.#isRead = new Promise((resolve) => this.#read = resolve);
  }

  /** Somebody reads again. */
  flow(): void {
    this.#read();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#isRead;
    this.text += new TextDecoder().decode(bytes.subarray(0, 3));
    return Math.min(3, bytes.length);
  }
}

Deno.test("lines come through in their order", unit, async () => {
  const pipe = new Pipe();
  const writer = new LineWriter(pipe);
  for (const line of ["one\n", "two\n", "three\n"]) writer.write(line);
  await writer.flush(1_000);
  assertEquals(pipe.text, "one\ntwo\nthree\n");
});

Deno.test(
  "a pipe that nobody reads costs a bounded queue, and the lines beyond it are counted",
  unit,
  async () => {
    const pipe = new Pipe();
    const lost: number[] = [];
    const writer = new LineWriter(pipe, (lines) => {
      lost.push(lines);
      writer.write(`lost ${lines}\n`);
    });
    pipe.block();
    for (let i = 0; i < 300; i++) writer.write("x".repeat(1_023) + "\n");
    await writer.flush(1);
    assertEquals([pipe.text, lost], ["", []]);
    pipe.flow();
    await writer.flush(10_000);
    assertEquals(lost, [300 - 256]);
    assertEquals(pipe.text.split("\n").slice(-2), ["lost 44", ""]);
    assertEquals(pipe.text.split("\n").length, 256 + 2);
  },
);

Deno.test("a stream that is closed, or full and not to be waited for, holds nobody up", unit, async () => {
  const closed = new LineWriter({ write: () => Promise.reject(new Deno.errors.BrokenPipe()) });
  closed.write("a\n");
  await closed.flush(1_000);
  let text = "";
  const full = new LineWriter({
    write(bytes) {
      if (text === "") {
        text = "full, then ";
        return Promise.reject(new Deno.errors.WouldBlock());
      }
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  full.write("a\n");
  await full.flush(1_000);
  assertEquals(text, "full, then a\n");
});

Deno.test("a node whose log nobody reads serves, ends in time, and tells how much of its log was lost", async () => {
  const port = freePort();
  const args = ["run", "--quiet", ...await programFlags(), "main.ts", String(port), "--sqlite", ":memory:"];
  await using node = new ServiceProcess(Deno.execPath(), [...args, "--log-level", "debug"], {
    capture: true,
  });
  assert(node.stdout && node.stderr);
  const stdout = new Response(node.stdout).text();
  const connect = async () => {
    for (;;) {
      try {
        return await ChatClient.connect(port);
      } catch (error) {
        if (node.status || !(error instanceof Deno.errors.ConnectionRefused)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  (await connect()).close();
  // Two lines each: more than the pipe and the queue hold.
  for (let i = 0; i < 60; i++) {
    const clients = await Promise.all(Array.from({ length: 50 }, connect));
    for (const client of clients) client.close();
  }
  await using client = await connect();
  await client.fence();
  let log = "";
  const reading = (async () => {
    for await (const text of node.stderr?.pipeThrough(new TextDecoderStream()) ?? []) log += text;
  })();
  await waitFor("the loss to be told", () => /lines of the log were lost.* lines=\d+/.test(log));
  assertEquals((await node.kill("SIGTERM")).code, EXIT.ok);
  await reading;
  assertStringIncludes(log, "stopped clean=true");
  assertStringIncludes(await stdout, "ready on");
});
