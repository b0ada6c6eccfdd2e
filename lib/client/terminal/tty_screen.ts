/**
 * A person's terminal: the line being typed stays at the bottom, whatever arrives is printed above it.
 *
 * @module
 */

import { KeyDecoder } from "./keys.ts";
import type { Key } from "./keys.ts";
import { ERASE_ROW, LineEditor } from "./line_editor.ts";
import type { ReadLineOptions, Screen, Terminal } from "./screen.ts";
import { drawRow, rowText } from "./row.ts";
import type { Row } from "./row.ts";
import { guardRows } from "./wrap.ts";

const BRACKETED_PASTE_ON = "\x1b[?2004h";
const BRACKETED_PASTE_OFF = "\x1b[?2004l";
/** What is left in a row of what stood there before goes. */
const END_OF_ROW = "\x1b[K\r\n";
const ERASE_BELOW = "\x1b[J";
const CLEAR_SCREEN = "\x1b[H\x1b[2J";
/** Keys typed ahead while no line is asked for; what is beyond is dropped. */
const MAX_TYPED_AHEAD = 1000;

/** Rows that are remembered as long as they may be on the screen. */
const MOST_BLOCKS = 200;

/** A line on the screen. */
interface Block {
  key: string | undefined;
  /** How many rows it takes. */
  rows: number;
  /** Those, as they were written, without the end of the last one. */
  text: string;
}

interface Prompt {
  text: string;
  options: ReadLineOptions;
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
  readonly #isColoured: boolean;
  /** What was printed last, down to the row of the prompt. */
  #blocks: Block[] = [];
  /** Ctrl-C was the last key. */
  #isInterrupted = false;
  /** Tab was the last key, and left several. */
  #isCompleting = false;
  #prompt: Prompt | undefined;
  #typedAhead: Key[] = [];
  #isClosed = false;

  /** Takes the terminal over; {@link close} gives it back. */
  constructor(terminal: Terminal, onInterrupt: () => void, isColoured = false) {
    this.#isColoured = isColoured;
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
    this.show([line]);
  }

  /** Likewise, a row that may be drawn again. */
  show(row: Row, key?: string): void {
    if (this.#isClosed) return;
    const block = this.#block(row, key);
    this.#remember(block);
    if (this.#prompt === undefined) this.#write(block.text + "\r\n");
    else this.#write(`${ERASE_ROW}${block.text}\r\n${this.#editor.render()}`);
  }

  /** Draws a row anew where it stands, if it is seen; what is below it moves when it takes more rows now, or fewer. */
  update(key: string, row: Row, newKey = key): boolean {
    const index = this.#blocks.findLastIndex((block) => block.key === key);
    const before = this.#blocks[index];
    if (before === undefined || this.#isClosed || this.#prompt === undefined) return false;
    const up = this.#blocks.slice(index).reduce((sum, { rows }) => sum + rows, 0);
    if (up >= this.#terminal.rows()) return false;
    const block = this.#block(row, newKey);
    this.#blocks[index] = block;
    if (block.text === before.text) return true;
    const isInPlace = block.rows === before.rows;
    const drawn = isInPlace ? [block] : this.#blocks.slice(index);
    const down = isInPlace ? up - block.rows : 0;
    const text = drawn.map(({ text }) => text.replaceAll("\r\n", END_OF_ROW) + END_OF_ROW).join("");
    const toPrompt = isInPlace ? (down > 0 ? `\x1b[${down}B` : "") : ERASE_BELOW;
    this.#write(`\r\x1b[${up}A${text}${toPrompt}${this.#editor.render()}`);
    return true;
  }

  /** Shows another prompt before the line that is being typed. */
  changePrompt(prompt: string): void {
    if (this.#prompt === undefined || this.#prompt.text === prompt) return;
    this.#prompt.text = prompt;
    this.#editor.changePrompt(prompt);
    this.#write(this.#editor.render());
  }

  /** The terminal's bell. */
  ring(): void {
    this.#write("\x07");
  }

  #block(row: Row, key: string | undefined): Block {
    const columns = this.#terminal.columns();
    const rows = drawRow(row, columns, this.#isColoured);
    return { key, rows: rows.length, text: guardRows(rows.join("\r\n"), rowText(row), columns) };
  }

  #remember(block: Block): void {
    this.#blocks.push(block);
    if (this.#blocks.length > MOST_BLOCKS) this.#blocks.shift();
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
    this.#prompt = { text: prompt, options, resolve };
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
    const wasInterrupted = this.#isInterrupted;
    const wasCompleting = this.#isCompleting;
    this.#isInterrupted = false;
    this.#isCompleting = false;
    switch (outcome.kind) {
      case "submitted":
        this.#submit(prompt, outcome.text);
        break;
      case "completing":
        this.#complete(prompt, wasCompleting);
        break;
      case "cleared":
        this.#blocks = [];
        this.#write(CLEAR_SCREEN);
        break;
      case "interrupted":
        if (prompt.options.onInterrupt !== undefined && !wasInterrupted) {
          this.#editor.begin(prompt.text, { isSecret: false });
          this.#isInterrupted = true;
          this.print(prompt.options.onInterrupt());
          break;
        }
        this.#leave();
        break;
      case "ended":
        this.#leave();
        break;
      case "edited":
        prompt.options.onEdit?.(this.#editor.text);
        break;
    }
  }

  #submit({ options }: Prompt, text: string): void {
    if (options.isTakenOff?.(text)) this.#write(ERASE_ROW);
    else {
      const entered = this.#editor.renderEntered();
      this.#remember({ key: undefined, rows: entered.split("\r\n").length, text: entered });
      this.#write(entered + "\r\n");
    }
    if (options.isRemembered) this.#editor.remember(text);
    this.#endPrompt(text);
  }

  /** What all have in common is put in; when that is nothing, a second Tab lists them. */
  #complete({ options }: Prompt, isAgain: boolean): void {
    const before = this.#editor.textBeforeCursor;
    const { start, candidates } = options.complete?.(before) ?? { start: 0, candidates: [] };
    const [only, ...others] = candidates;
    if (only === undefined) return;
    const common = others.reduce((prefix, candidate) => {
      let length = 0;
      while (length < prefix.length && prefix[length] === candidate[length]) length++;
      return prefix.slice(0, length);
    }, only);
    if (others.length === 0) this.#editor.completeFrom(start, common);
    else if (common.length > before.length - start) this.#editor.completeFrom(start, common);
    else if (isAgain) this.print(`  ${candidates.map((candidate) => candidate.trim()).join("  ")}`);
    this.#isCompleting = others.length > 0;
  }

  #leave(): void {
    if (this.#isClosed) return;
    this.close();
    this.#onInterrupt();
  }

  #resize(): void {
    this.#editor.resize(this.#terminal.columns());
    // A terminal lays out anew what is on it, each in its own way.
    this.#blocks = [];
    if (this.#prompt !== undefined) this.#write(this.#editor.render());
  }
}
