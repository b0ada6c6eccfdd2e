import { assert, assertEquals, assertThrows } from "@std/assert";
import { Framer, type FramerFailure, type RawFrame, type Terminator } from "../../lib/protocol/framer.ts";
import { randomFrom, testSeed } from "../support/random.ts";

const MAX = 200;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What became of a stream. */
interface Outcome {
  frames: RawFrame[];
  terminator: Terminator | undefined;
  failure: FramerFailure | undefined;
}

/** Pushes a stream in the given pieces, each in a buffer that is overwritten afterwards, as a connection's is. */
function cut(pieces: Uint8Array[], maxFrameBytes = MAX): Outcome {
  const framer = new Framer({ maxFrameBytes });
  const kept: RawFrame[] = [];
  for (const piece of pieces) {
    const buffer = Uint8Array.from(piece);
    framer.push(buffer);
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) kept.push(frame);
    assertEquals(framer.next(), undefined);
    buffer.fill(0x7d);
  }
  return { frames: kept, terminator: framer.terminator, failure: framer.failure };
}

/** The stream in pieces of at most `size` bytes. */
function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from(
    { length: Math.ceil(bytes.length / size) },
    (_, i) => bytes.subarray(i * size, (i + 1) * size),
  );
}

/** The same rules once more, over the whole stream at once, in the plainest way. */
function model(bytes: Uint8Array, maxFrameBytes = MAX): Outcome {
  // One character a byte: positions are positions in the stream.
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const frames: Outcome["frames"] = [];
  let terminator: Terminator | undefined;
  let isOutOfStep = false;
  let isBackInStep = false;
  let skipped = 0;
  let at = 0;
  const isEndedBy = (byte: string | undefined) => {
    if (byte !== undefined) terminator ??= byte === "\0" ? "\0" : byte === "\n" || byte === "\r" ? "\n" : "";
  };
  while (true) {
    const gap = /^[\0\n\r\t ]*/.exec(text.slice(at))?.[0] ?? "";
    const ending = text.slice(at).match(/^[ \t]*([^ \t])/)?.[1];
    if (frames.length > 0 && !(isOutOfStep && /[^\0\r\n{]/.test(ending ?? ""))) isEndedBy(ending);
    at += gap.length;
    if (at === text.length) return { frames, terminator, failure: undefined };
    if (text[at] !== "{") {
      const rest = /^[^\0\n\r]*/.exec(text.slice(at))?.[0] ?? "";
      skipped += rest.length;
      if (!isOutOfStep || skipped > maxFrameBytes) return { frames, terminator, failure: "garbage" };
      at += rest.length;
      isBackInStep = false;
      continue;
    }
    if (isBackInStep) {
      isOutOfStep = isBackInStep = false;
      skipped = 0;
    }
    const { length, isWhole, isBroken, isCutShort, ...rest } = measure(text.slice(at));
    if (length > maxFrameBytes) return { frames, terminator, failure: "too_long" };
    if (!isWhole) return { frames, terminator, failure: undefined };
    const frame = decode(bytes.subarray(at, at + length));
    frames.push({ text: frame, byteLength: length, ...rest });
    isBackInStep = isOutOfStep && frame !== undefined && isJson(frame);
    if (isBroken || isCutShort) isOutOfStep = true;
    if (isBroken) {
      const dropped = measureRest(text.slice(at), length);
      // The break itself was looked at when the frame was cut.
      skipped += dropped.length - length - 1;
      if (skipped > maxFrameBytes) return { frames, terminator, failure: "too_long" };
      if (!dropped.isWhole) return { frames, terminator, failure: undefined };
      isEndedBy(dropped.breakByte);
      at += dropped.length;
    } else at += length;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** How long the frame is that `text` begins with, as far as it is there, and what the framer says of it. */
function measure(text: string) {
  let braces = 0;
  let nesting = 0;
  let memberCount = 0;
  let isTooDeep = false;
  // What is outside of strings, and what is in them.
  let outside = "";
  let inside = "";
  const result = (length: number, isWhole: boolean, { isBroken = false, isCutShort = false } = {}) => ({
    length,
    isWhole,
    isBroken,
    isCutShort,
    memberCount,
    isTooDeep,
    isPlain: !isBroken && !/[-+.eE\n\r]|\d{16}/.test(outside) &&
      !/[^ -[\]-\xc1\xc3-\xe1\xe3-\xff]/.test(inside),
  });
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "\0") return result(i, true, { isCutShort: true });
    outside += char;
    if (char === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) {
        inside += text[i];
        if (text[i] === "\\" && !/[\0\n\r]/.test(text[i + 1] ?? "")) i++;
        else if (/[\0\n\r]/.test(text[i] ?? "")) return result(i, true, { isBroken: true });
      }
    }
    if (char === "{") braces++;
    if (char === "{" || char === "[") nesting++;
    if (char === "}" || char === "]") nesting--;
    if (nesting > 64) isTooDeep = true;
    if (char === ":" && braces === 1) memberCount++;
    if (char === "}" && --braces === 0) return result(i + 1, true);
  }
  return result(text.length, false);
}

/** Where the frame that `text` begins with ends after all, when its string is broken at `at`. */
function measureRest(text: string, at: number): { length: number; isWhole: boolean; breakByte?: string } {
  let rest = text.slice(0, at);
  for (let i = at; i < text.length;) {
    // The string goes on, as if the break were a letter, unless a brace begins a frame.
    const gap = /^[\0\n\r][\0\n\r\t ]*/.exec(text.slice(i))?.[0] ?? "";
    const breakByte = text[i];
    if (text[i + gap.length] === "{") {
      return { length: i + gap.length, isWhole: true, ...(breakByte && { breakByte }) };
    }
    rest += "x".repeat(gap.length);
    const { length, isWhole, isBroken } = measure(rest + text.slice(i + gap.length));
    if (!isBroken) return { length, isWhole };
    rest += text.slice(i + gap.length, length);
    i = length;
  }
  return { length: text.length, isWhole: false };
}

/** A test that needs nothing but the processor. */
function unitTest(name: string, fn: () => void): void {
  Deno.test({ name, permissions: "none", fn });
}

const STREAMS: Record<string, string> = {
  "frames with each terminator": '{"a":1}\0{"b":2}\n{"c":3}\r\n{"d":4}{"e":5}  {"f":6}\t\0',
  "strings with braces, quotes and backslashes": '{"}":"{\\"}","\\\\":"\\\\"}\n{"a":"\\\\\\"}"}\n',
  "nested objects and arrays": '{"a":{"b":[{"c":{}},[{"d":1}]]},"e":{}}\0{}\0',
  "text of two, three and four bytes": '{"é漢😀":"😀漢é"}\n{"a":"\u0085\u2028"}\n',
  "a frame over several lines": '{\r\n  "a": 1,\n\t"b": {\n  }\n}\n{"c":2}',
  "a string that a line break ends": '{"a":"oh\n{"b":2}\n',
  "a string that a NUL ends": '{"a":"oh\0{"b":2}\0',
  "an object that a NUL ends": '{"a":{"b":\0{"c":3}\0',
  "an escape before a line break": '{"a":"\\\n"}\0{"b":1}',
  "brackets that do not match": '{"a":]}\0{[}\0}',
  "garbage behind a frame": '{"a":1}\n hello {"b":2}',
  "garbage in front": 'GET / HTTP/1.1\r\n\r\n{"a":1}',
  "an array": '[{"a":1}]',
  "a frame that has not ended": '{"a":"b',
  "nothing but what is between frames": "\0\n\r \t\0\0",
  "a byte order mark": '\ufeff{"a":1}',
};

for (const [name, text] of Object.entries(STREAMS)) {
  unitTest(`${name}: the same at every split`, () => {
    const bytes = encoder.encode(text);
    const expected = model(bytes);
    assertEquals(cut([bytes]), expected, "in one piece");
    assertEquals(cut(pieces(bytes, 1)), expected, "byte by byte");
    for (let at = 0; at <= bytes.length; at++) {
      assertEquals(cut([bytes.subarray(0, at), bytes.subarray(at)]), expected, `cut at ${at}`);
      for (let second = at; second <= bytes.length; second++) {
        const parts = [bytes.subarray(0, at), bytes.subarray(at, second), bytes.subarray(second)];
        assertEquals(cut(parts), expected, `cut at ${at} and ${second}`);
      }
    }
  });
}

unitTest("what is cut is what was sent", () => {
  const { frames, terminator, failure } = cut([encoder.encode(STREAMS["frames with each terminator"] ?? "")]);
  assertEquals(frames.map(({ text }) => text), [
    '{"a":1}',
    '{"b":2}',
    '{"c":3}',
    '{"d":4}',
    '{"e":5}',
    '{"f":6}',
  ]);
  assertEquals([terminator, failure], ["\0", undefined]);
});

unitTest("a frame that is broken off costs none of the frames behind it", () => {
  for (const broken of ['{"a":"oh\n', '{"a":"oh\0', '{"a":{"b":[\0', "{\0", '{"a":"\\\0']) {
    const { frames, failure } = cut([encoder.encode(`{"x":1}\n${broken}{"y":2}\n`)]);
    assertEquals(frames.map(({ text }) => text), [
      '{"x":1}',
      broken.slice(0, -1),
      '{"y":2}',
    ]);
    assertEquals(failure, undefined);
  }
});

unitTest("a frame whose string holds a raw line break or NUL costs none of the frames behind it", () => {
  const broken = [
    '{"x":"a\nb"}',
    '{"x":"a\r\nb"}',
    '{"x":"a\0b"}',
    '{"x":"a\0"}',
    '{"a\nb":1}',
    '{"x":{"y":["a\nb","c\n\nd"]}}',
    '{"x":"a\\\nb"}',
    '{"x":"a\n{b"}',
    '{"x":"a\n{b}c"}',
    '{"x":"a\n{b}c\nd"}',
    '{"x":"a\n\t{\n"b": 1\n}\n"}',
    '{"x":"a\n"b"}',
    '{"x":"a\n"b}c"}',
    '{"x":\0"b"}',
    '{"x":"a\n',
  ];
  for (const terminator of ["\n", "\r\n", "\0", ""]) {
    for (const one of broken) {
      const isOfLines = one.includes("\0") || /\n\s*\{/.test(one) || one.endsWith("\n") ||
        one.includes('"b');
      // What a broken line has left ends with the line: without lines there is no telling.
      if (terminator === "" && isOfLines) continue;
      const bytes = encoder.encode([one, one, '{"n":1}', one, '{"n":2}', one].join(terminator) + terminator);
      for (const size of [1, 2, bytes.length]) {
        const { frames, failure } = cut(pieces(bytes, size));
        const good = frames.map(({ text }) => text).filter((text) => text?.startsWith('{"n"'));
        assertEquals(good, ['{"n":1}', '{"n":2}'], JSON.stringify([one, terminator, size]));
        assertEquals(failure, undefined);
      }
    }
  }
});

unitTest(
  "what a broken frame has left is skipped up to the length of a frame, and only until two good ones have come",
  () => {
    const skipped = cut([encoder.encode(`{"a":\0${"x".repeat(MAX)}\0{"b":1}\0`)]);
    assertEquals([skipped.frames.length, skipped.failure], [2, undefined]);
    assertEquals(cut([encoder.encode(`{"a":\0${"x\0".repeat(MAX + 1)}{"b":1}`)]).failure, "garbage");
    assertEquals(cut([encoder.encode('{"a":\0x\0{"b":1}\0x\0{"c":1}{"d":1}')]).failure, undefined);
    assertEquals(cut([encoder.encode('{"a":\0x\0{"b":1}\0{"c":1}\0x')]).failure, "garbage");
  },
);

unitTest("depth counts objects and arrays; 64 are not too deep", () => {
  const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
  const mixed = (depth: number) => `${'{"a":['.repeat(depth / 2)}${"]}".repeat(depth / 2)}`;
  const texts = [nested(64), nested(65), mixed(64), mixed(66), `{"a":"${"[".repeat(100)}"}`, '{"a":[[]]}'];
  const { frames } = cut([encoder.encode(texts.join("\n"))], 1_000);
  assertEquals(frames.map(({ isTooDeep }) => isTooDeep), [false, true, false, true, false, false]);
});

unitTest("a frame is plain when no reader could take it differently", () => {
  const plain = ['{"a":12,"b":"x\u00e9 😀","c":[true]}', '{"a":123456789012345}', "{}"].map((text) =>
    text.replace("true", "null")
  );
  const odd = [
    '{"a":1e2}',
    '{"a":1.0}',
    '{"a":-0}',
    '{"a":1234567890123456}',
    '{"a":"\\u0061"}',
    "{\n}",
    '{"\u2028":1}',
  ];
  const { frames } = cut([encoder.encode([...plain, ...odd].join("\0"))]);
  assertEquals(frames.map(({ isPlain }) => isPlain), [...plain.map(() => true), ...odd.map(() => false)]);
});

unitTest("members of the outermost object are counted, and no others", () => {
  const texts: Record<string, number> = {
    "{}": 0,
    '{"a":1}': 1,
    '{"a":1,"a":2}': 2,
    '{"a":{"b":1,"c":2},"d":[{"e":":"}]}': 2,
    '{":":":","\\":":":"}': 2,
  };
  for (const [text, memberCount] of Object.entries(texts)) {
    const { frames } = cut([encoder.encode(text)]);
    assertEquals(frames.map((frame) => [frame.text, frame.memberCount]), [[text, memberCount]]);
  }
});

unitTest("the terminator is known with the byte behind the first frame, and then stays", () => {
  const framer = new Framer({ maxFrameBytes: MAX });
  const push = (text: string) => {
    framer.push(encoder.encode(text));
    while (framer.next());
    return framer.terminator;
  };
  assertEquals([push("\n\0"), push('{"a":1}'), push(" \t"), push("\r"), push("\n"), push('{"b":1}\0')], [
    undefined,
    undefined,
    undefined,
    "\n",
    "\n",
    "\n",
  ]);
});

unitTest(
  "a frame of the limit passes, one byte more is a failure, whether it ends or not and however it is cut",
  () => {
    const frameOf = (length: number) => `{"a":"${"x".repeat(length - 8)}"}`;
    for (const size of [1, 7, MAX, 2 * MAX]) {
      const passes = cut(pieces(encoder.encode(`${frameOf(MAX)}\n${frameOf(MAX)}\n`), size));
      assertEquals([passes.frames.length, passes.failure], [2, undefined]);
      const fails = cut(pieces(encoder.encode(`{}\n${frameOf(MAX + 1)}\n{}`), size));
      assertEquals([fails.frames.length, fails.failure, fails.terminator], [1, "too_long", "\n"]);
      const endless = cut(pieces(encoder.encode(`{}\n{"a":"${"x".repeat(5 * MAX)}`), size));
      assertEquals([endless.frames.length, endless.failure], [1, "too_long"]);
    }
  },
);

unitTest("after a failure nothing is cut and nothing is kept", () => {
  const framer = new Framer({ maxFrameBytes: MAX });
  framer.push(encoder.encode('x{"a":1}'));
  assertEquals(framer.next(), undefined);
  assertEquals(framer.failure, "garbage");
  for (let i = 0; i < 3; i++) {
    framer.push(encoder.encode('{"a":1}\n'));
    assertEquals(framer.next(), undefined);
  }
});

unitTest("bytes that have not been looked at are not pushed aside", () => {
  const framer = new Framer({ maxFrameBytes: MAX });
  framer.push(encoder.encode('{"a":1}{"b":2}'));
  assert(framer.next() !== undefined);
  assertThrows(() => framer.push(encoder.encode("{}")), Error, "have not been read");
});

unitTest("a frame is told from a gap", () => {
  const framer = new Framer({ maxFrameBytes: MAX });
  for (
    const [text, isInside] of [["", false], ["\n{", true], ['"a":1', true], ["}", false], [
      "\0",
      false,
    ]] as const
  ) {
    framer.push(encoder.encode(text));
    while (framer.next());
    assertEquals(framer.isInsideFrame, isInside, text);
  }
});

const { seed, isGiven } = testSeed();

unitTest("random streams are cut as the model cuts them", () => {
  console.log(`CHAT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const tokens = [
    ...["{", "}", '"', "\\", ":", ",", "[", "]", "\0", "\n", "\r", " ", "\t"],
    ...['{"a":1}', '{"msgid":6,"msg":"hi"}\0', '"x"', '\\"', "\\\\", "{}", "é", "\u{1f600}", "x", "0"],
  ];
  const rounds = isGiven ? 20_000 : 4_000;
  for (let round = 0; round < rounds; round++) {
    const isMostlyFrames = random.chance(0.7);
    const parts: Uint8Array[] = [];
    for (let i = random.below(40); i >= 0; i--) {
      if (isMostlyFrames && random.chance(0.6)) parts.push(encoder.encode(random.pick(tokens.slice(13))));
      else if (random.chance(0.95)) parts.push(encoder.encode(random.pick(tokens)));
      else parts.push(random.bytes(3));
    }
    const stream = Uint8Array.from(parts.flatMap((part) => [...part]));
    const maxFrameBytes = random.chance(0.5) ? MAX : 8 + random.below(40);
    const expected = model(stream, maxFrameBytes);
    const shown = JSON.stringify(decoder.decode(stream));
    assertEquals(cut([stream], maxFrameBytes), expected, shown);
    const sizes = pieces(stream, 1 + random.below(9));
    assertEquals(cut(sizes, maxFrameBytes), expected, `in ${sizes.length} pieces: ${shown}`);
  }
});
