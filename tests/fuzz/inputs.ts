/**
 * Inputs that nobody should send, and some that one may: values, frames and bytes, from random numbers that can be had
 * again.
 *
 * @module
 */

import type { Random } from "../support/random.ts";

/** Strings as they stand in JSON, without their quotation marks. */
const STRINGS: readonly (() => string)[] = [
  () => "",
  () => " ",
  () => "ann",
  () => "u1-2",
  () => "u2-1",
  () => "g1",
  () => "g0",
  () => "g99999999999",
  () => "__proto__",
  () => "\\u0000",
  () => "\\ud800",
  () => "\\udc00\\ud800",
  () => "\\u202e\\u2066\\u200b\\ufeff\\u2028",
  () => "\\u001b[2J\\u009b31m",
  () => "\\n\\r\\t",
  () => "2026-01-31 12:00:00",
  () => "张'); UPDATE User SET name=0x50 WHERE id=2; COMMIT; -- ",
  () => '\\"},{\\"msgid\\":6',
  () => "e\\u0301\\u0301".repeat(500),
  () => "\\u0041\\u0301".repeat(26),
  () => "👩‍👩‍👧",
  () => "x".repeat(50),
  () => "x".repeat(65),
  () => "x".repeat(600),
  () => "中".repeat(5_000),
  () => "\\\\".repeat(10_000),
  () => "x".repeat(66_000),
];

const NUMBERS: readonly string[] = [
  ...["0", "-0", "1", "2", "3", "-1", "1.5", "201e0", "1e-7", "1e400", "-1e400", "2147483647", "2147483648"],
  ...["4294967296", "9007199254740991", "9007199254740993", "1.00000000000000000001", "9".repeat(400)],
];

/** What no JSON text holds, and what is cut short. */
const NO_JSON: readonly string[] = [
  "NaN",
  "undefined",
  "01",
  "+1",
  '"\\x"',
  '"',
  "[1,]",
  "{",
  "'a'",
  "\u0000",
  "",
];

const DEPTHS: readonly number[] = [2, 10, 63, 64, 65, 500, 20_000];

/** The bytes that mean something to some parser. */
const SPECIAL_BYTES: readonly number[] = [
  ...new TextEncoder().encode('{}[]":,\\\0\n\r\t 0eE-'),
  0x80,
  0xc0,
  0xed,
  0xff,
];

/** The text of a JSON value, and seldom of none. */
export function valueText(random: Random, depth = 0): string {
  const kind = random.below(depth > 2 ? 5 : 9);
  switch (kind) {
    case 0:
    case 1:
      return `"${random.pick(STRINGS)()}"`;
    case 2:
    case 3:
      return random.pick(NUMBERS);
    case 4:
      return random.pick(["true", "false", "null"]);
    case 5:
      return `[${some(random, () => valueText(random, depth + 1)).join(",")}]`;
    case 6: {
      const member = () => `"${random.pick(STRINGS)()}":${valueText(random, depth + 1)}`;
      return `{${some(random, member).join(",")}}`;
    }
    case 7: {
      const levels = random.pick(DEPTHS);
      return random.chance(0.5)
        ? "[".repeat(levels) + "]".repeat(levels)
        : '{"a":'.repeat(levels) + "1" + "}".repeat(levels);
    }
    default:
      return random.pick(NO_JSON);
  }
}

function some<Item>(random: Random, make: () => Item): Item[] {
  return Array.from({ length: random.below(4) }, make);
}

/**
 * The text of a frame that is `fields`, but for a few that are missing, there twice, of another kind or not known. One in
 * four is as it should be.
 */
export function frameText(random: Random, fields: Readonly<Record<string, unknown>>): string {
  const members = Object.entries(fields).map(([key, value]) =>
    `${JSON.stringify(key)}:${JSON.stringify(value)}`
  );
  for (let changes = random.below(4); changes > 0; changes--) {
    const at = random.below(members.length + 1);
    const key = random.chance(0.7)
      ? JSON.stringify(random.pick(Object.keys(fields)))
      : `"${random.pick(["x", "conversation", "seq", "at", "recalled", "v", "cid", "__proto__"])}"`;
    const member = `${key}:${valueText(random)}`;
    if (random.chance(0.2)) members.splice(at, 1);
    else members.splice(at, random.chance(0.7) ? 1 : 0, member);
  }
  return `{${members.join(random.chance(0.9) ? "," : " ,\n ")}}`;
}

/** The bytes with a few of them changed, left out, doubled or put in, or cut short. */
export function mutate(random: Random, bytes: Uint8Array): Uint8Array {
  let changed = bytes;
  for (let changes = random.below(6); changes > 0; changes--) {
    const at = random.below(changed.length + 1);
    const end = at + (random.chance(0.8) ? 1 : random.below(20));
    const [before, after] = [changed.subarray(0, at), changed.subarray(at)];
    switch (random.below(5)) {
      case 0:
        changed = joined(before, changed.subarray(end));
        break;
      case 1:
        changed = joined(before, changed.subarray(at, end), after);
        break;
      case 2:
        changed = joined(before, Uint8Array.of(random.pick(SPECIAL_BYTES)), changed.subarray(at + 1));
        break;
      case 3:
        changed = joined(before, random.bytes(end - at), after);
        break;
      default:
        if (random.chance(0.2)) changed = before;
    }
  }
  return changed;
}

/** All of them in one. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** The bytes in pieces, as a network may bring them. */
export function pieces(random: Random, bytes: Uint8Array): Uint8Array[] {
  const most = random.chance(0.5) ? Math.max(20, bytes.length / 50) : 70_000;
  const cut: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = start + 1 + random.below(most);
    cut.push(bytes.subarray(start, end));
    start = end;
  }
  return cut;
}
