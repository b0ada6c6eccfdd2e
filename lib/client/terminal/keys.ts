// deno-lint-ignore-file no-control-regex -- control characters are what this file is about
/**
 * Turns what a terminal in raw mode sends into keys.
 *
 * @module
 */

/** A key that does something other than insert text. */
export type ControlKey =
  | "enter"
  | "left"
  | "right"
  | "word_left"
  | "word_right"
  | "home"
  | "end"
  | "up"
  | "down"
  | "backspace"
  | "delete"
  | "kill_to_start"
  | "kill_to_end"
  | "kill_word"
  | "redraw"
  | "complete"
  | "interrupt"
  | "eof";

/** One thing the user did. A paste is text that must not act, whatever it holds. */
export type Key = { kind: "text" | "paste"; text: string } | { kind: "control"; name: ControlKey };

const ESC = "\x1b";
const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

const CONTROLS: Readonly<Record<string, ControlKey>> = {
  "\x01": "home",
  "\x02": "left",
  "\x03": "interrupt",
  "\x04": "eof",
  "\x05": "end",
  "\x06": "right",
  "\x08": "backspace",
  "\x09": "complete",
  "\x0a": "enter",
  "\x0b": "kill_to_end",
  "\x0c": "redraw",
  "\x0d": "enter",
  "\x0e": "down",
  "\x10": "up",
  "\x15": "kill_to_start",
  "\x17": "kill_word",
  "\x7f": "backspace",
};

/** What follows `ESC [` or `ESC O`, after xterm's and the VT220's tables. */
const SEQUENCES: Readonly<Record<string, ControlKey>> = {
  "A": "up",
  "B": "down",
  "C": "right",
  "D": "left",
  "H": "home",
  "F": "end",
  "1~": "home",
  "7~": "home",
  "4~": "end",
  "8~": "end",
  "3~": "delete",
  "1;5C": "word_right",
  "1;3C": "word_right",
  "1;5D": "word_left",
  "1;3D": "word_left",
};

const ALT: Readonly<Record<string, ControlKey>> = {
  "b": "word_left",
  "f": "word_right",
  "\x7f": "kill_word",
};

const CSI = /^\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]|O[A-Za-z])/;
const CSI_BEGUN = /^\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*|O)$/;
const PLAIN = /^[^\p{Cc}]+/u;

/**
 * A push decoder: chunks of text in, keys out. Sequences may be split anywhere. ESC before another character in the
 * same chunk is Alt; an ESC that ended the chunk before was the key itself, unless a sequence goes on behind it.
 */
export class KeyDecoder {
  #rest = "";
  #isPasting = false;

  /** Takes the next chunk and gives the keys that are complete. */
  push(chunk: string): Key[] {
    const isEscAlone = this.#rest === ESC;
    this.#rest += chunk;
    if (isEscAlone && !/^\x1b[[O]/.test(this.#rest)) this.#rest = chunk;
    const keys: Key[] = [];
    while (this.#rest !== "") {
      const length = this.#isPasting ? this.#takePaste(keys) : this.#takeKey(keys);
      if (length === 0) break;
      this.#rest = this.#rest.slice(length);
    }
    return keys;
  }

  /** Decodes the first key; returns how many characters it took, 0 when it is not complete. */
  #takeKey(keys: Key[]): number {
    const rest = this.#rest;
    const plain = PLAIN.exec(rest);
    if (plain) {
      keys.push({ kind: "text", text: plain[0] });
      return plain[0].length;
    }
    const first = rest.charAt(0);
    if (first !== ESC) {
      addControl(keys, CONTROLS[first]);
      return 1;
    }
    if (rest === ESC || CSI_BEGUN.test(rest)) return 0;
    if (rest.startsWith(PASTE_START)) {
      this.#isPasting = true;
      return PASTE_START.length;
    }
    const sequence = CSI.exec(rest);
    if (sequence) {
      addControl(keys, SEQUENCES[sequence[0].slice(2)]);
      return sequence[0].length;
    }
    addControl(keys, ALT[rest.charAt(1)]);
    return 2;
  }

  #takePaste(keys: Key[]): number {
    const end = this.#rest.indexOf(PASTE_END);
    if (end < 0) return 0;
    this.#isPasting = false;
    keys.push({ kind: "paste", text: this.#rest.slice(0, end) });
    return end + PASTE_END.length;
  }
}

function addControl(keys: Key[], name: ControlKey | undefined): void {
  if (name !== undefined) keys.push({ kind: "control", name });
}
