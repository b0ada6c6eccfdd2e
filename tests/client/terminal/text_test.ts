import { assertEquals } from "@std/assert";
import { type Key, KeyDecoder } from "../../../lib/client/terminal/keys.ts";
import { createLogger } from "../../../lib/base/logger.ts";
import { printable } from "../../../lib/base/printable.ts";
import { formatTime } from "../../../lib/client/core/time_text.ts";
import { graphemeWidth, splitGraphemes, textWidth } from "../../../lib/client/terminal/text_width.ts";

const pure = { permissions: "none" } as const;

Deno.test("printable text carries out no control, breaks no line and reorders nothing", pure, () => {
  const cases: [string, string][] = [
    ["plain text, 中文, é, 👩‍👩‍👧", "plain text, 中文, é, 👩‍👩‍👧"],
    ["\x1b[2J\x1b]0;title\x07", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"],
    ["one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"],
    ["\u009b31m", "\\u{9b}31m"],
    ["\u202eevil\u2066x\u2069\u200f", "\\u{202e}evil\\u{2066}x\\u{2069}\\u{200f}"],
    ["a\u2028b\u2029c", "a\\u{2028}b\\u{2029}c"],
    ["\ud800", "\\u{d800}"],
    ["\0\x7f\ufeff\u200b", "\\u{0}\\u{7f}\\u{feff}\\u{200b}"],
    [
      "\u034f\u115f\u1160\u180e\u2800\u3164\uffa0",
      "\\u{34f}\\u{115f}\\u{1160}\\u{180e}\\u{2800}\\u{3164}\\u{ffa0}",
    ],
    ["\u{e0001}\u{e0067}\u{e0100}\u{e0fff}", "\\u{e0001}\\u{e0067}\\u{e0100}\\u{e0fff}"],
    ["\u061c\u00ad\u2060\ufff9\u0085", "\\u{61c}\\u{ad}\\u{2060}\\u{fff9}\\u{85}"],
    [
      "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} 葛\u{e0100} ❤️ 🇩🇪",
      "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} 葛\u{e0100} ❤️ 🇩🇪",
    ],
  ];
  for (const [text, expected] of cases) assertEquals(printable(text), expected);
});

Deno.test("a line of the log is printable whatever is in it, and as JSON says the same", pure, () => {
  const lines: string[] = [];
  const options = { level: "info", write: (line: string) => lines.push(line), now: () => 0 } as const;
  const fields = { host: "a\u009b31m\u{e0067}\u202e\n" };
  createLogger({ ...options, format: "text" }).info("odd \u0085host", fields);
  createLogger({ ...options, format: "json" }).info("odd \u0085host", fields);
  assertEquals(
    lines[0],
    '1970-01-01T00:00:00.000Z info  odd \\u{85}host host="a\\u009b31m\\udb40\\udc67\\u202e\\n"\n',
  );
  for (const line of lines) assertEquals(printable(line.slice(0, -1)), line.slice(0, -1));
  assertEquals(JSON.parse(lines[1] ?? "").host, fields.host);
});

Deno.test("width counts cells: wide characters and emoji two, marks none", pure, () => {
  const cases: [string, number][] = [
    ["", 0],
    ["abc", 3],
    ["中文", 4],
    ["한국", 4],
    ["ｆｕ", 4],
    ["e\u0301", 1],
    ["👍", 2],
    ["👩‍👩‍👧‍👦", 2],
    ["🇩🇪", 2],
    ["❤️", 2],
    ["❤", 1],
    ["✓✓", 2],
    ["👍🏽a", 3],
  ];
  for (const [text, width] of cases) assertEquals(textWidth(text), width, JSON.stringify(text));
  assertEquals(splitGraphemes("e\u0301👩‍👩‍👧a"), ["e\u0301", "👩‍👩‍👧", "a"]);
  assertEquals(graphemeWidth("\u0301"), 0);
});

/** Keys in a short form: text as itself, paste in brackets, controls in angle brackets. */
function describe(keys: Key[]): string {
  return keys.map((key) => {
    if (key.kind === "control") return `<${key.name}>`;
    return key.kind === "paste" ? `[${key.text}]` : key.text;
  }).join("");
}

Deno.test("keys are recognised however a terminal names them", pure, () => {
  const cases: [string, string][] = [
    ["hé中👍", "hé中👍"],
    ["a\x01b\x05\x15\x17\x0c", "a<home>b<end><kill_to_start><kill_word><redraw>"],
    ["\x7f\x08\r\n", "<backspace><backspace><enter><enter>"],
    ["\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA\x1bOH", "<up><down><right><left><up><home>"],
    ["\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~\x1b[3~", "<home><end><home><end><home><end><delete>"],
    ["\x1b[1;5C\x1b[1;5D\x1bb\x1bf\x1b\x7f", "<word_right><word_left><word_left><word_right><kill_word>"],
    ["\x03\x04", "<interrupt><eof>"],
    ["a\x1b[5~\x1b[20~\x1b[?1;2cb\x02", "ab<left>"],
    ["\x1b[200~a\rb\x03\x1b[A\x1b[201~c", "[a\rb\x03\x1b[A]c"],
  ];
  for (const [bytes, expected] of cases) assertEquals(describe(new KeyDecoder().push(bytes)), expected);
});

Deno.test("a key sequence may be split anywhere", pure, () => {
  const typed = "a\x1b[1;5D\x1bOA\x1b[200~x\x1b[20y\x1b[201~\x1b[3~z";
  for (let split = 0; split <= typed.length; split++) {
    const decoder = new KeyDecoder();
    const keys = [...decoder.push(typed.slice(0, split)), ...decoder.push(typed.slice(split))];
    assertEquals(describe(keys), "a<word_left><up>[x\x1b[20y]<delete>z", `split at ${split}`);
  }
});

Deno.test("Escape pressed alone swallows nothing of what is typed next", pure, () => {
  const decoder = new KeyDecoder();
  assertEquals(describe([...decoder.push("\x1b"), ...decoder.push("chat")]), "chat");
});

Deno.test("times are written as v1 frames carry them, whatever the number", pure, () => {
  assertEquals(formatTime(new Date(2026, 0, 2, 3, 4, 5).getTime()), "2026-01-02 03:04:05");
  assertEquals(formatTime(Number.MAX_SAFE_INTEGER), "0000-00-00 00:00:00");
});
