/**
 * A script's end of the client: lines in, plain lines out, no prompts and no escape sequences.
 *
 * @module
 */

import { printable, printableJson } from "../../base/printable.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import { rowText } from "./row.ts";
import type { Row } from "./row.ts";
import type { ReadLineOptions, Screen, Terminal } from "./screen.ts";
import { terminalRows } from "./wrap.ts";

const CTRL_C = "\x03";

/**
 * A {@link Screen} without drawing: results on standard output, lines about the client itself on standard error. It
 * also serves a person whose output is redirected; a password is then read without echo all the same.
 */
export class PipeScreen implements Screen {
  readonly isInteractive = false;
  readonly #terminal: Terminal;
  readonly #onBroken: () => void;
  readonly #isJson: boolean;
  readonly #decoder = new TextDecoder();
  #buffer = "";
  /** After CR: an LF that follows belongs to it. */
  #isInsideLineEnd = false;
  #isAtEnd = false;
  readonly #closed = Promise.withResolvers<undefined>();
  #isClosed = false;

  /**
   * Reads nothing until the first {@link readLine}. `onBroken` is called once when nobody reads the output any more. `isJson`: every
   * line is an object, and all of them are on standard output.
   */
  constructor(terminal: Terminal, onBroken: () => void, isJson = false) {
    this.#isJson = isJson;
    this.#terminal = terminal;
    this.#onBroken = onBroken;
  }

  /** One line on standard output. */
  print(line: string): void {
    const [, problem] = /^! (.*)$/s.exec(line) ?? [];
    if (this.#isJson) {
      return this.printJson(
        problem === undefined ? { event: "text", text: line } : { event: "error", text: problem },
      );
    }
    const { isOutputTerminal } = this.#terminal;
    this.#write(() => this.#terminal.write(this.#drawn(line, isOutputTerminal) + "\n"));
  }

  /** One line that is a JSON object. */
  printJson(object: JsonObject): void {
    this.#write(() => this.#terminal.write(printableJson(JSON.stringify(object)) + "\n"));
  }

  /** One line on standard output. */
  show(row: Row): void {
    this.print(rowText(row));
  }

  /** What is printed stays as it is. */
  update(): boolean {
    return false;
  }

  /** There are no prompts. */
  changePrompt(): void {}

  /** Nor anybody who hears. */
  ring(): void {}

  /** One line on standard error. */
  status(line: string): void {
    if (this.#isJson) return this.printJson({ event: "status", text: line });
    const { isErrorTerminal } = this.#terminal;
    this.#write(() => this.#terminal.writeError(this.#drawn(`* ${line}`, isErrorTerminal) + "\n"));
  }

  /** A program reads lines, a person reads rows. */
  #drawn(line: string, isOnTerminal: boolean): string {
    const text = printable(line);
    return isOnTerminal ? terminalRows(text, this.#terminal.columns(), "\n") : text;
  }

  /** The next line of input; the last one need not end with a newline. The prompt is not shown. */
  async readLine(_prompt: string, options: ReadLineOptions = {}): Promise<string | undefined> {
    const isHidden = options.isSecret === true && this.#terminal.isInputTerminal;
    if (isHidden) this.#terminal.setRaw(true);
    try {
      return await this.#nextLine();
    } finally {
      if (isHidden) this.#terminal.setRaw(false);
    }
  }

  /** Ends reading: the lines that follow were meant for what is over. */
  cancelLine(): void {
    this.close();
  }

  /** Nothing more is read or written. */
  close(): void {
    this.#isClosed = true;
    this.#closed.resolve(undefined);
  }

  #write(write: () => void): void {
    if (this.#isClosed) return;
    try {
      write();
    } catch {
      // The reader has gone (as in `client | head`), and so has the place to say so.
      this.close();
      this.#onBroken();
    }
  }

  async #nextLine(): Promise<string | undefined> {
    while (!this.#isClosed) {
      if (this.#isInsideLineEnd && this.#buffer !== "") {
        this.#buffer = this.#buffer.replace(/^\n/, "");
        this.#isInsideLineEnd = false;
      }
      if (this.#terminal.isInputTerminal && this.#buffer.includes(CTRL_C)) return undefined;
      const end = this.#buffer.search(/[\r\n]/);
      if (end >= 0) return this.#cutLine(end);
      if (this.#isAtEnd) return this.#buffer === "" ? undefined : this.#cutLine(this.#buffer.length);
      const bytes = await Promise.race([this.#terminal.read(), this.#closed.promise]);
      this.#isAtEnd = bytes === undefined;
      this.#buffer += this.#decoder.decode(bytes, { stream: bytes !== undefined });
    }
    return undefined;
  }

  #cutLine(end: number): string {
    const line = this.#buffer.slice(0, end);
    this.#isInsideLineEnd = this.#buffer.charAt(end) === "\r";
    this.#buffer = this.#buffer.slice(end + 1);
    return line;
  }
}
