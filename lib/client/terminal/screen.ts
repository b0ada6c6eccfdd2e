/**
 * What the client needs of whoever sits in front of it: a person at a terminal or a script behind a pipe.
 *
 * @module
 */

import type { Row } from "./row.ts";

/** What may stand where the user presses Tab. */
export interface Completion {
  /** Where in the text before the cursor that begins. */
  start: number;
  /** What may stand there. */
  candidates: readonly string[];
}

/** How a line is asked for. */
export interface ReadLineOptions {
  /** Show nothing of what is typed, and remember nothing. */
  isSecret?: boolean;
  /** Offer the line again on the up key. */
  isRemembered?: boolean;
  /** Says what may stand at the end of `text`. */
  complete?(text: string): Completion;
  /** True for a line that is taken off the screen when it has been entered. */
  isTakenOff?(line: string): boolean;
  /** Something has been typed or deleted: the line is `text` now. */
  onEdit?(text: string): void;
  /** Given, Ctrl-C clears the line and this is said; only a second one ends. */
  onInterrupt?(): string;
}

/** A place to print lines and read lines. */
export interface Screen {
  /** True when a person sees prompts and may be asked again. */
  readonly isInteractive: boolean;
  /**
   * Prints a finished line. Any text is safe: controls are made visible, never carried out, and what does not fit into a
   * terminal's row goes on indented.
   */
  print(line: string): void;
  /**
   * Prints a row, which {@link update} may draw again while it is on the screen. A screen without that prints it, and no
   * more.
   */
  show(row: Row, key?: string): void;
  /** Draws a row anew where it stands, under another key if one is given. False: it is not there. */
  update(key: string, row: Row, newKey?: string): boolean;
  /** Shows another prompt before the line that is being read. */
  changePrompt(prompt: string): void;
  /** Makes itself heard. */
  ring(): void;
  /** Prints a line about the connection, apart from the results where that is possible. */
  status(line: string): void;
  /** The next line, or undefined when there will be none: end of input, Ctrl-C, or the screen was closed. */
  readLine(prompt: string, options?: ReadLineOptions): Promise<string | undefined>;
  /** Gives up the line that is being read: it resolves with undefined. What was typed is lost. */
  cancelLine(): void;
  /** Gives the terminal back as it was, and ends the line that is being read. May be called twice. */
  close(): void;
}

/** The few things a screen needs of the runtime, so that it can be tested without a terminal. */
export interface Terminal {
  /** Standard input is a terminal. */
  readonly isInputTerminal: boolean;
  /** Standard output is a terminal. */
  readonly isOutputTerminal: boolean;
  /** Standard error is a terminal. */
  readonly isErrorTerminal: boolean;
  /** The next bytes of standard input, undefined at its end. The bytes are the caller's until the next call. */
  read(): Promise<Uint8Array | undefined>;
  /** Writes to standard output, whole. */
  write(text: string): void;
  /** Writes to standard error, whole. */
  writeError(text: string): void;
  /** Raw mode: every key at once, nothing echoed, Ctrl-C is a key. */
  setRaw(isRaw: boolean): void;
  /** The width in cells. */
  columns(): number;
  /** The height in rows. */
  rows(): number;
  /** Calls `listener` when the size changes; returns what stops that. */
  onResize(listener: () => void): () => void;
}
