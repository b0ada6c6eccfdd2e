/**
 * A person's terminal: the line being typed stays at the bottom, whatever arrives is printed above it.
 *
 * @module
 */

import { KeyDecoder } from "./keys.ts";
import type { Key } from "./keys.ts";
import { ERASE_ROW, LineEditor } from "./line_editor.ts";
import { printable } from "../../base/printable.ts";
import type { ReadLineOptions, Screen, Terminal } from "./screen.ts";
import { terminalRows } from "./wrap.ts";

const BRACKETED_PASTE_ON = "\x1b[?2004h";
const BRACKETED_PASTE_OFF = "\x1b[?2004l";
const CLEAR_SCREEN = "\x1b[H\x1b[2J";
/** Keys typed ahead while no line is asked for; what is beyond is dropped. */
const MAX_TYPED_AHEAD = 1000;

interface Prompt {
  isRemembered: boolean;
  resolve(line: string | undefined): void;
}

/**
 * A {@link Screen} on a terminal in raw mode. `onInterrupt` is called once when the user leaves (Ctrl-C, Ctrl-D, a closed
 * window); the terminal has been given back by then.
 */
export class TtyScreen implements Screen {
  readonly isInteractive = true;
  readonly #terminal: Terminal;
  readonly #onInterrupt: () => void;
  readonly #editor: LineEditor;
  readonly #stopResize: () => void;
  #prompt: Prompt | undefined;
  #typedAhead: Key[] = [];
  #isClosed = false;

  /** Takes the terminal over; {@link close} gives it back. */
  constructor(terminal: Terminal, onInterrupt: () => void) {
    this.#terminal = terminal;
    this.#onInterrupt = onInterrupt;
    this.#editor = new LineEditor(terminal.columns());
    this.#stopResize = terminal.onResize(() => this.#resize());
    terminal.setRaw(true);
    this.#write(BRACKETED_PASTE_ON);
    this.#readKeys();
  }

  /** Prints above the line being typed. */
  print(line: string): void {
    if (this.#isClosed) return;
    const rows = terminalRows(printable(line), this.#terminal.columns(), "\r\n");
    if (this.#prompt === undefined) this.#write(rows + "\r\n");
    else this.#write(`${ERASE_ROW}${rows}\r\n${this.#editor.render()}`);
  }

  /** The same place: a person reads both. */
  status(line: string): void {
    this.print(`* ${line}`);
  }

  /** Shows the prompt and lets the user type. One line at a time. */
  readLine(prompt: string, options: ReadLineOptions = {}): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    if (this.#prompt !== undefined) throw new Error("Cannot read a line: one is being read already");
    this.#editor.begin(prompt, { isSecret: options.isSecret ?? false });
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#prompt = { isRemembered: options.isRemembered ?? false, resolve };
    this.#write(this.#editor.render());
    this.#handleTypedAhead();
    return promise;
  }

  /** Takes the prompt off the screen. */
  cancelLine(): void {
    if (this.#prompt === undefined) return;
    this.#write(ERASE_ROW);
    this.#endPrompt(undefined);
  }

  /** Leaves raw mode, on a line of its own. */
  close(): void {
    this.#write((this.#prompt === undefined ? "" : "\r\n") + BRACKETED_PASTE_OFF);
    this.#release();
  }

  /** A terminal that cannot be written to is gone: that ends the screen, not the program in the middle of something. */
  #write(text: string): void {
    if (this.#isClosed) return;
    try {
      this.#terminal.write(text);
    } catch {
      this.#release();
      this.#onInterrupt();
    }
  }

  #release(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopResize();
    this.#endPrompt(undefined);
    try {
      this.#terminal.setRaw(false);
    } catch {
      // The terminal is gone, and its mode with it.
    }
  }

  #endPrompt(line: string | undefined): void {
    this.#prompt?.resolve(line);
    this.#prompt = undefined;
  }

  async #readKeys(): Promise<void> {
    const decoder = new TextDecoder();
    const keys = new KeyDecoder();
    try {
      while (!this.#isClosed) {
        const bytes = await this.#terminal.read();
        if (bytes === undefined) break;
        this.#typedAhead.push(...keys.push(decoder.decode(bytes, { stream: true })));
        this.#handleTypedAhead();
        this.#typedAhead.length = Math.min(this.#typedAhead.length, MAX_TYPED_AHEAD);
      }
    } finally {
      // The terminal is gone (closed window) or was closed by us.
      this.#leave();
    }
  }

  #handleTypedAhead(): void {
    let isEdited = false;
    for (;;) {
      if (this.#prompt === undefined) break;
      const key = this.#typedAhead.shift();
      if (key === undefined) break;
      isEdited = true;
      this.#handle(this.#prompt, key);
    }
    if (this.#prompt !== undefined && isEdited) this.#write(this.#editor.render());
    // While nothing is asked for, leaving must still work.
    if (this.#typedAhead.some((key) => key.kind === "control" && key.name === "interrupt")) this.#leave();
  }

  #handle(prompt: Prompt, key: Key): void {
    const outcome = this.#editor.handle(key);
    switch (outcome.kind) {
      case "submitted":
        this.#write(this.#editor.renderEntered() + "\r\n");
        if (prompt.isRemembered) this.#editor.remember(outcome.text);
        this.#endPrompt(outcome.text);
        break;
      case "cleared":
        this.#write(CLEAR_SCREEN);
        break;
      case "interrupted":
      case "ended":
        this.#leave();
        break;
      case "edited":
        break;
    }
  }

  #leave(): void {
    if (this.#isClosed) return;
    this.close();
    this.#onInterrupt();
  }

  #resize(): void {
    this.#editor.resize(this.#terminal.columns());
    if (this.#prompt !== undefined) this.#write(this.#editor.render());
  }
}
