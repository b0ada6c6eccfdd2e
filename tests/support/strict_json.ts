/**
 * A reader of JSON as strict as any: what it takes, every reader takes. It shares no code with the program. And messages
 * to try it on.
 *
 * @module
 */

import type { Random } from "./random.ts";

const DEPTH = 64;
const SPACE = /[ \t]*/y;
const STRING =
  /"(?:[^"\\\p{Cc}\u2028\u2029]|[\u007f-\u0084\u0086-\u009f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/uy;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const LITERAL = /true|false|null/y;

/**
 * Why a strict reader of lines refuses `text` as a message, with the place; undefined when it does not. Messages inside a
 * reply of their own are `around` deeper.
 */
export function strictFault(text: string, around = 0): string | undefined {
  try {
    const reader = new Reader(text, DEPTH + around);
    reader.value(0, true);
    reader.take(SPACE);
    if (!reader.isAtEnd) return `something follows at ${reader.at}`;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

class Reader {
  at = 0;
  readonly #text: string;
  readonly #depth: number;

  constructor(text: string, depth: number) {
    this.#text = text;
    this.#depth = depth;
  }

  get isAtEnd(): boolean {
    return this.at === this.#text.length;
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.#text)?.[0];
    this.at += match?.length ?? 0;
    return match;
  }

  value(depth: number, isMessage = false): void {
    this.take(SPACE);
    const start = this.#text[this.at];
    if (start === "{" || start === "[") this.#list(start, depth + 1, isMessage);
    else if (start === '"') this.#string();
    else if (this.take(LITERAL) === undefined && !Number.isFinite(Number(this.take(NUMBER) ?? NaN))) {
      throw new Error(`no value of JSON at ${this.at}`);
    }
  }

  #list(start: string, depth: number, isMessage: boolean): void {
    if (depth > this.#depth) throw new Error(`too deep at ${this.at}`);
    const end = start === "{" ? "}" : "]";
    this.at++;
    this.take(SPACE);
    if (this.#text[this.at] === end) {
      this.at++;
      return;
    }
    const keys = new Set<string>();
    do {
      if (start === "[") this.value(depth);
      else this.#member(depth, isMessage, keys);
      this.take(SPACE);
    } while (this.#text[this.at++] === ",");
    if (this.#text[this.at - 1] !== end) throw new Error(`no ${end} at ${this.at - 1}`);
  }

  #member(depth: number, isMessage: boolean, keys: Set<string>): void {
    this.take(SPACE);
    const key = this.#string();
    if (isMessage && keys.has(key)) throw new Error(`${key} twice at ${this.at}`);
    keys.add(key);
    this.take(SPACE);
    if (this.#text[this.at++] !== ":") throw new Error(`no colon at ${this.at - 1}`);
    this.take(SPACE);
    const start = this.at;
    this.value(depth);
    const isInteger = isMessage && ["msgid", "id", "toid", "groupid", "seq", "at"].includes(key);
    if (isInteger && !/^(?:0|[1-9]\d*)$/.test(this.#text.slice(start, this.at))) {
      throw new Error(`${key} is not in digits at ${start}`);
    }
  }

  #string(): string {
    const string = this.take(STRING);
    if (string === undefined) throw new Error(`no string at ${this.at}`);
    const value: string = JSON.parse(string);
    if (!value.isWellFormed()) throw new Error(`half of a surrogate pair before ${this.at}`);
    return value;
  }
}

/**
 * A message with these members (each the text of its value) and others that some reader may refuse, none of them twice;
 * JSON.parse takes it, and takes integers for what they are.
 */
export function randomMessage(random: Random, members: Readonly<Record<string, string>>): string {
  const own = Object.entries(members).map(([key, value]) =>
    `${randomKey(random, key)}:${/^\d+$/.test(value) ? randomInteger(random, value) : value}`
  );
  const others = Array.from(
    { length: random.below(4) },
    (_, i) => `${numbered(i, randomString(random))}:${randomValue(random, 3)}`,
  );
  for (const other of others) own.splice(random.below(own.length + 1), 0, other);
  return `{${randomGap(random)}${own.join(`,${randomGap(random)}`)}${randomGap(random)}}`;
}

function randomGap(random: Random): string {
  return random.chance(0.8) ? "" : random.pick([" ", "\n", "\r\n", "\t", "\n\n  "]);
}

function randomKey(random: Random, key: string): string {
  const first = key.charCodeAt(0).toString(16).padStart(4, "0");
  return random.chance(0.9) ? JSON.stringify(key) : `"\\u${first}${key.slice(1)}"`;
}

function randomInteger(random: Random, digits: string): string {
  return random.pick([
    digits,
    digits,
    `${digits}e0`,
    `${digits}.0`,
    `${digits}0E-1`,
    `${digits}.${"0".repeat(30)}1`,
  ]);
}

const PIECES = [
  ...[
    "a",
    "漢",
    "😀",
    "\u0085",
    "\u2028",
    "\u2029",
    "\u00a0",
    "\u2027",
    "\\n",
    '\\"',
    "\\\\",
    "\\u2028",
    "\\u0000",
  ],
  ...[
    "\\ud800",
    "\\udc00",
    "\\uD83D\\uDE00",
    "\\uDE00\\uD83D",
    "ud800",
    "{",
    "[",
    "1e400",
    "]",
    "}",
    ":",
    ",",
  ],
];

function randomString(random: Random): string {
  return `"${Array.from({ length: random.below(5) }, () => random.pick(PIECES)).join("")}${
    random.below(1_000)
  }"`;
}

const NUMBERS = ["0", "-0", "1e400", "-1e999", "1.5e308", "1e-400", "12345678901234567890", "1E2", "0.10"];

function randomValue(random: Random, levels: number): string {
  const kind = random.below(levels > 0 ? 7 : 4);
  if (kind === 0) return randomString(random);
  if (kind === 1) return random.chance(0.9) ? random.pick(NUMBERS) : "9".repeat(300 + random.below(20));
  if (kind === 2) return random.pick(["true", "false", "null"]);
  if (kind === 3) {
    const depth = random.chance(0.9) ? random.below(3) : 55 + random.below(20);
    return "[".repeat(depth) + "1" + "]".repeat(depth);
  }
  const items = Array.from({ length: random.below(4) }, () => randomValue(random, levels - 1));
  if (kind < 6) return `[${items.join(`,${randomGap(random)}`)}]`;
  return `{${items.map((item, i) => `${numbered(i, randomString(random))}:${item}`).join(",")}}`;
}

/** The string as a key that none of another number is the same as. */
function numbered(number: number, string: string): string {
  return `"k${number}${string.slice(1)}`;
}
