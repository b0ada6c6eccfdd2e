/**
 * The line the user is typing: keys in, drawing out.
 *
 * @module
 */

import type { ControlKey, Key } from "./keys.ts";
import { graphemeWidth, splitGraphemes, textWidth } from "./text_width.ts";
import { terminalRows } from "./wrap.ts";

/** What a key led to, where the owner has to act. */
export type EditorOutcome =
  | { kind: "edited" }
  | { kind: "submitted"; text: string }
  | { kind: "cleared" }
  | { kind: "completing" }
  | { kind: "interrupted" }
  | { kind: "ended" };

/** Clears the row the line is drawn on and puts the cursor at its start. */
export const ERASE_ROW = "\r\x1b[K";

/** Lines kept for the up key. */
const MAX_HISTORY = 200;
/** Stands for a pasted newline, which is part of the text and acts on nothing. */
const NEWLINE_MARK = "⏎";

/**
 * A one-row editor. The row never reaches the terminal's last column (so the terminal never wraps it) and scrolls
 * sideways when the text is longer; a redraw therefore always touches exactly one row.
 */
export class LineEditor {
  #columns: number;
  #prompt = "";
  #isSecret = false;
  #cells: string[] = [];
  #cursor = 0;
  /** The first cell that is visible. */
  #first = 0;
  readonly #history: string[] = [];
  /** Where in the history the line came from; the history's length is the line being typed. */
  #historyIndex = 0;
  #draft = "";

  /** `columns`: the terminal's width. */
  constructor(columns: number) {
    this.#columns = columns;
  }

  /** The line as typed so far. */
  get text(): string {
    return this.#cells.join("");
  }

  /** Follows a change of the terminal's width. */
  resize(columns: number): void {
    this.#columns = columns;
  }

  /** Starts an empty line. A secret one shows nothing and is never remembered. */
  begin(prompt: string, options: { isSecret: boolean }): void {
    this.#prompt = prompt;
    this.#isSecret = options.isSecret;
    this.#historyIndex = this.#history.length;
    this.#draft = "";
    this.#replace("");
  }

  /** Goes on with the same line behind another prompt. */
  changePrompt(prompt: string): void {
    this.#prompt = prompt;
  }

  /** The line before the cursor. */
  get textBeforeCursor(): string {
    return this.#cells.slice(0, this.#cursor).join("");
  }

  /** Puts a text in place of what stands before the cursor from an offset on. */
  completeFrom(offset: number, text: string): void {
    const rest = this.#cells.slice(this.#cursor).join("");
    const before = this.textBeforeCursor.slice(0, offset) + text;
    this.#replace(before);
    const cursor = this.#cursor;
    this.#replace(before + rest);
    this.#cursor = cursor;
  }

  /** Applies one key. */
  handle(key: Key): EditorOutcome {
    if (key.kind === "control") return this.#control(key.name);
    this.#insert(key.kind === "paste" ? cleanPaste(key.text) : key.text);
    return { kind: "edited" };
  }

  /** Remembers a line for the up key. */
  remember(line: string): void {
    if (line === "" || line === this.#history.at(-1)) return;
    this.#history.push(line);
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
  }

  /** Draws the row; the cursor may be anywhere on it before. */
  render(): string {
    const prompt = this.#visiblePrompt();
    const promptWidth = textWidth(prompt);
    if (this.#isSecret) return ERASE_ROW + prompt;
    const room = Math.max(2, this.#columns - promptWidth - 1);
    this.#scrollTo(room);
    let visible = "";
    let width = 0;
    let cursorColumn = promptWidth;
    for (const [index, cell] of this.#cells.entries()) {
      if (index < this.#first) continue;
      if (width + graphemeWidth(cell) > room) break;
      if (index < this.#cursor) cursorColumn += graphemeWidth(cell);
      width += graphemeWidth(cell);
      visible += drawn(cell);
    }
    const toCursor = cursorColumn > 0 ? `\r\x1b[${cursorColumn}C` : "\r";
    return ERASE_ROW + prompt + visible + toCursor;
  }

  /** The whole line as it stays on the screen once it has been entered. */
  renderEntered(): string {
    const line = this.#prompt + (this.#isSecret ? "" : this.#cells.map(drawn).join(""));
    return ERASE_ROW + terminalRows(line, this.#columns, "\r\n");
  }

  /** A prompt that takes more than half of a narrow terminal gives way to the text. */
  #visiblePrompt(): string {
    if (textWidth(this.#prompt) <= this.#columns / 2) return this.#prompt;
    const short = this.#prompt.replace(/ \(.*\)(?=> $)/, "");
    return textWidth(short) <= this.#columns / 2 ? short : "";
  }

  /** Moves the visible part so that the cursor is in it and no room is wasted. */
  #scrollTo(room: number): void {
    const earliest = this.#firstBefore(this.#cursor, room);
    const latest = Math.min(this.#cursor, this.#firstBefore(this.#cells.length, room));
    this.#first = Math.max(earliest, Math.min(this.#first, latest));
  }

  /** The first cell of as many as fit into the room before `end`. */
  #firstBefore(end: number, room: number): number {
    let first = end;
    for (let width = 0; first > 0; first--) {
      width += graphemeWidth(this.#cells[first - 1] ?? "");
      if (width > room) break;
    }
    return first;
  }

  #control(name: ControlKey): EditorOutcome {
    switch (name) {
      case "enter":
        return { kind: "submitted", text: this.text };
      case "interrupt":
        return { kind: "interrupted" };
      case "redraw":
        return { kind: "cleared" };
      case "complete":
        return this.#isSecret ? { kind: "edited" } : { kind: "completing" };
      case "eof":
        if (this.#cells.length === 0) return { kind: "ended" };
        this.#remove(this.#cursor, this.#cursor + 1);
        break;
      default:
        this.#edit(name);
    }
    return { kind: "edited" };
  }

  #edit(name: ControlKey): void {
    const end = this.#cells.length;
    switch (name) {
      case "left":
        this.#cursor = Math.max(0, this.#cursor - 1);
        break;
      case "right":
        this.#cursor = Math.min(end, this.#cursor + 1);
        break;
      case "word_left":
        this.#cursor = this.#wordStart();
        break;
      case "word_right":
        this.#cursor = this.#wordEnd();
        break;
      case "home":
        this.#cursor = 0;
        break;
      case "end":
        this.#cursor = end;
        break;
      case "backspace":
        this.#remove(this.#cursor - 1, this.#cursor);
        break;
      case "delete":
        this.#remove(this.#cursor, this.#cursor + 1);
        break;
      case "kill_to_start":
        this.#remove(0, this.#cursor);
        break;
      case "kill_to_end":
        this.#remove(this.#cursor, end);
        break;
      case "kill_word":
        this.#remove(this.#wordStart(), this.#cursor);
        break;
      case "up":
        this.#recall(this.#historyIndex - 1);
        break;
      case "down":
        this.#recall(this.#historyIndex + 1);
        break;
    }
  }

  #insert(text: string): void {
    const before = this.#cells.slice(0, this.#cursor).join("") + text;
    // Segmented anew as a whole: a combining mark joins the character before it.
    this.#cells = splitGraphemes(before + this.#cells.slice(this.#cursor).join(""));
    this.#cursor = 0;
    for (let length = 0; length < before.length; this.#cursor++) {
      length += this.#cells[this.#cursor]?.length ?? 1;
    }
  }

  #remove(from: number, to: number): void {
    const start = Math.max(0, from);
    this.#cells.splice(start, to - start);
    this.#cursor = start;
  }

  #replace(text: string): void {
    this.#cells = splitGraphemes(text);
    this.#cursor = this.#cells.length;
    this.#first = 0;
  }

  #recall(index: number): void {
    if (this.#isSecret || index < 0 || index > this.#history.length) return;
    if (this.#historyIndex === this.#history.length) this.#draft = this.text;
    this.#historyIndex = index;
    this.#replace(this.#history[index] ?? this.#draft);
  }

  #wordStart(): number {
    let index = this.#cursor;
    while (index > 0 && isSpace(this.#cells[index - 1])) index--;
    while (index > 0 && !isSpace(this.#cells[index - 1])) index--;
    return index;
  }

  #wordEnd(): number {
    let index = this.#cursor;
    while (index < this.#cells.length && isSpace(this.#cells[index])) index++;
    while (index < this.#cells.length && !isSpace(this.#cells[index])) index++;
    return index;
  }
}

function isSpace(cell: string | undefined): boolean {
  return cell === undefined || /^\s/.test(cell);
}

function drawn(cell: string): string {
  return cell === "\n" ? NEWLINE_MARK : cell;
}

/** Newlines inside a paste stay, the last one goes; other controls (a hidden end-of-paste among them) are dropped. */
function cleanPaste(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(/\t/g, " ").replace(/[^\P{Cc}\n]/gu, "").replace(/\n+$/, "");
}
