import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PipeScreen } from "../../../lib/client/terminal/pipe_screen.ts";
import type { Terminal } from "../../../lib/client/terminal/screen.ts";
import { TtyScreen } from "../../../lib/client/terminal/tty_screen.ts";
import { flush } from "../core/fake_server.ts";

const pure = { permissions: "none" } as const;
const encoder = new TextEncoder();

/** A terminal in the test's hands: what is typed, what was written. */
class FakeTerminal implements Terminal {
  isInputTerminal = true;
  isOutputTerminal = true;
  isErrorTerminal = false;
  isRaw = false;
  isBroken = false;
  output = "";
  errors = "";
  width = 80;
  resized = () => {};
  readonly #input: (Uint8Array | undefined)[] = [];
  #waiting: ((bytes: Uint8Array | undefined) => void) | undefined;

  /** What the user types, or undefined for the end. */
  async type(text: string | Uint8Array | undefined): Promise<void> {
    this.#input.push(typeof text === "string" ? encoder.encode(text) : text);
    if (this.#waiting) this.#waiting(this.#input.shift());
    this.#waiting = undefined;
    await flush();
  }

  /** What was written since the last call. */
  written(): string {
    const { output } = this;
    this.output = "";
    return output;
  }

  read(): Promise<Uint8Array | undefined> {
    if (this.#input.length > 0) return Promise.resolve(this.#input.shift());
    return new Promise((resolve) => this.#waiting = resolve);
  }

  write(text: string): void {
    if (this.isBroken) throw new Deno.errors.BrokenPipe("gone");
    this.output += text;
  }

  writeError(text: string): void {
    this.errors += text;
  }

  setRaw(isRaw: boolean): void {
    this.isRaw = isRaw;
  }

  columns(): number {
    return this.width;
  }

  rows(): number {
    return 4;
  }

  onResize(listener: () => void): () => void {
    this.resized = listener;
    return () => this.resized = () => {};
  }
}

Deno.test("what arrives is printed above the line being typed, which stays as it is", pure, async () => {
  const terminal = new FakeTerminal();
  const screen = new TtyScreen(terminal, () => {});
  const line = screen.readLine("> ");
  await terminal.type("chat:2:he");
  terminal.written();
  screen.print("li: \x1b[2Jhi");
  assertEquals(terminal.written(), "\r\x1b[Kli: \\u{1b}[2Jhi\r\n\r\x1b[K> chat:2:he\r\x1b[11C");
  screen.status("connection lost");
  assertStringIncludes(terminal.written(), "* connection lost\r\n");
  await terminal.type("llo\r");
  assertEquals(await line, "chat:2:hello");
  assertStringIncludes(terminal.written(), "\r\x1b[K> chat:2:hello\r\n");
  screen.print("no prompt now");
  assertEquals(terminal.written(), "no prompt now\r\n");
  screen.close();
});

Deno.test(
  "the terminal is given back when the screen is closed, by Ctrl-C, by Ctrl-D and when it hangs up",
  pure,
  async () => {
    const ways = ["\x03", "\x04", undefined];
    for (const way of ways) {
      let interrupts = 0;
      const terminal = new FakeTerminal();
      const screen = new TtyScreen(terminal, () => interrupts++);
      assert(terminal.isRaw);
      assertEquals(terminal.written(), "\x1b[?2004h");
      const line = screen.readLine("> ");
      await terminal.type(way);
      assertEquals(await line, undefined);
      assertEquals([terminal.isRaw, interrupts], [false, 1]);
      assert(terminal.written().endsWith("\r\n\x1b[?2004l"));
      screen.close();
      screen.print("too late");
      assertEquals([terminal.written(), interrupts], ["", 1]);
      assertEquals(await screen.readLine("> "), undefined);
    }
  },
);

Deno.test(
  "Ctrl-C leaves also while no line is asked for; other keys wait for the next line",
  pure,
  async () => {
    let interrupts = 0;
    const terminal = new FakeTerminal();
    const screen = new TtyScreen(terminal, () => interrupts++);
    await terminal.type("typed ahead\r");
    assertEquals(await screen.readLine("> "), "typed ahead");
    await terminal.type("x\x03");
    assertEquals([interrupts, terminal.isRaw], [1, false]);
  },
);

Deno.test("characters whose bytes arrive apart are put together", pure, async () => {
  const terminal = new FakeTerminal();
  const screen = new TtyScreen(terminal, () => {});
  const line = screen.readLine("> ");
  for (const byte of encoder.encode("中👍\r")) await terminal.type(new Uint8Array([byte]));
  assertEquals(await line, "中👍");
  screen.close();
});

Deno.test("a password is in nothing that is written, and not offered again", pure, async () => {
  const terminal = new FakeTerminal();
  const screen = new TtyScreen(terminal, () => {});
  const password = screen.readLine("password: ", { isSecret: true, isRemembered: false });
  await terminal.type("s3cret");
  screen.print("something arrives");
  await terminal.type("\r");
  assertEquals(await password, "s3cret");
  const next = screen.readLine("> ");
  await terminal.type("\x1b[A\r");
  assertEquals(await next, "");
  assertEquals(terminal.output.includes("s3cret"), false);
  screen.close();
});

Deno.test("the line follows the terminal's width, and Ctrl-L draws everything anew", pure, async () => {
  const terminal = new FakeTerminal();
  const screen = new TtyScreen(terminal, () => {});
  screen.readLine("> ");
  await terminal.type("0123456789");
  terminal.written();
  terminal.width = 10;
  terminal.resized();
  assertEquals(terminal.written(), "\r\x1b[K> 3456789\r\x1b[9C");
  await terminal.type("\x0c");
  assertEquals(terminal.written(), "\x1b[H\x1b[2J\r\x1b[K> 3456789\r\x1b[9C");
  screen.close();
});

Deno.test("a cancelled line takes its prompt off the screen, and another can be read", pure, async () => {
  const terminal = new FakeTerminal();
  const screen = new TtyScreen(terminal, () => {});
  const line = screen.readLine("> ");
  screen.cancelLine();
  assertEquals(await line, undefined);
  const next = screen.readLine("choice: ");
  await terminal.type("3\r");
  assertEquals(await next, "3");
  screen.close();
});

Deno.test(
  "on a pipe lines come with any ending, the last one with none, and nothing is drawn",
  pure,
  async () => {
    const terminal = new FakeTerminal();
    terminal.isInputTerminal = terminal.isOutputTerminal = false;
    const screen = new PipeScreen(terminal, () => {});
    await terminal.type("one\ntwo\r");
    await terminal.type("\nthree\r\n\nfo");
    await terminal.type("ur");
    await terminal.type(undefined);
    const lines: (string | undefined)[] = [];
    for (let count = 0; count < 7; count++) {
      lines.push(
        await screen.readLine("> ", { isSecret: count === 0 }),
      );
    }
    assertEquals(lines, ["one", "two", "three", "", "four", undefined, undefined]);
    screen.print("a \x1b[31mline");
    screen.status("about the connection");
    assertEquals([terminal.output, terminal.errors], ["a \\u{1b}[31mline\n", "* about the connection\n"]);
  },
);

Deno.test("a person whose output is redirected still types a password unseen", pure, async () => {
  const terminal = new FakeTerminal();
  terminal.isOutputTerminal = false;
  const screen = new PipeScreen(terminal, () => {});
  const password = screen.readLine("password: ", { isSecret: true });
  assert(terminal.isRaw);
  await terminal.type("s3cret\r");
  assertEquals(await password, "s3cret");
  assertEquals(terminal.isRaw, false);
  const interrupted = screen.readLine("password: ", { isSecret: true });
  await terminal.type("s3\x03");
  assertEquals([await interrupted, terminal.isRaw], [undefined, false]);
});

Deno.test("a reader of the output that goes away ends the client, once, and is no error", pure, async () => {
  for (const isTerminal of [true, false]) {
    let ends = 0;
    const terminal = new FakeTerminal();
    terminal.isInputTerminal = terminal.isOutputTerminal = isTerminal;
    const screen = isTerminal
      ? new TtyScreen(terminal, () => ends++)
      : new PipeScreen(terminal, () => ends++);
    const line = screen.readLine("> ");
    terminal.isBroken = true;
    screen.print("lost");
    screen.print("lost");
    assertEquals([await line, ends], [undefined, 1]);
  }
});

Deno.test("a row is drawn anew where it stands, as long as it is on the screen", async () => {
  const terminal = new FakeTerminal();
  terminal.width = 20;
  const screen = new TtyScreen(terminal, () => {}, true);
  const line = screen.readLine("> ");
  screen.show([{ text: "14:02 ", style: "2" }, "ann", ": one …"], "one");
  screen.print("two");
  terminal.written();
  assertEquals(screen.update("one", [{ text: "14:02 ", style: "2" }, "ann", ": one ✓"]), true);
  assertEquals(
    terminal.written(),
    "\r\x1b[2A\x1b[?7l\x1b[2m14:02 \x1b[0mann: one ✓\x1b[?7h\x1b[K\r\n\x1b[1B\r\x1b[K> \r\x1b[2C",
  );
  assertEquals(screen.update("one", ["a text of more than one row"]), true);
  assertEquals(
    terminal.written(),
    "\r\x1b[2Aa text of more \x1b[K\r\n     than one row\x1b[K\r\ntwo\x1b[K\r\n\x1b[J\r\x1b[K> \r\x1b[2C",
  );
  screen.update("one", ["14:02 ann: one ✓"]);
  terminal.written();
  assertEquals(screen.update("nobody's", ["text"]), false);
  screen.update("one", ["14:02 ann: one ✓"], "another");
  assertEquals(screen.update("one", ["14:02 ann: one ✓"]), false);
  screen.print("three");
  screen.print("four");
  assertEquals(screen.update("another", ["14:02 ann: one ✓"]), false, "it has been scrolled away");
  screen.close();
  assertEquals(await line, undefined);
});

Deno.test("Ctrl-C clears the line once and ends the second time; anything else in between begins anew", async () => {
  const terminal = new FakeTerminal();
  let interrupts = 0;
  const screen = new TtyScreen(terminal, () => interrupts++);
  const line = screen.readLine("> ", { onInterrupt: () => "once more" });
  await terminal.type("half a line\x03");
  await terminal.type("x\x03");
  assertEquals(interrupts, 0);
  assertEquals(terminal.output.match(/once more/g)?.length, 2);
  await terminal.type("\x03");
  assertEquals([interrupts, await line], [1, undefined]);
});

Deno.test("Tab puts in what all candidates have in common, and lists them the second time", async () => {
  const terminal = new FakeTerminal();
  const screen = new TtyScreen(terminal, () => {});
  const names = ["ann ", "anna "];
  const line = screen.readLine("> ", {
    complete: (text) => ({ start: 6, candidates: names.filter((name) => name.startsWith(text.slice(6))) }),
  });
  await terminal.type("/chat a\t");
  terminal.written();
  await terminal.type("\t");
  assertMatch(terminal.written(), / {2}ann {2}anna/);
  await terminal.type("a\t\r");
  assertEquals(await line, "/chat anna ");
  screen.close();
});
