import { assertEquals, assertLess } from "@std/assert";
import { isEmojiOnly, parse } from "../../lib/web/app/markup.ts";
import type { Piece } from "../../lib/web/app/markup.ts";

/** A part in short: its text as it is, or behind what it is. */
function brief(piece: Piece): string {
  if (piece.kind === "text") return piece.text;
  if (piece.kind === "link") return `link ${piece.href}`;
  return `${piece.kind}${piece.kind === "mention" && piece.isMe ? " me" : ""} ${piece.text}`;
}

Deno.test("a text is links, code, mentions, and text that is nothing else", () => {
  const cases: [text: string, parts: string[]][] = [
    ["", []],
    ["hello", ["hello"]],
    ["see https://a.example/b?c=1.", ["see ", "link https://a.example/b?c=1", "."]],
    ["(https://a.example/b_(c))!?", ["(", "link https://a.example/b_(c)", ")!?"]],
    ["https://a.example/x).:)", ["link https://a.example/x", ").:)"]],
    ["https://a.example/(x.", ["link https://a.example/(x", "."]],
    ["https://me@evil.example/", ["https://me@evil.example/"]],
    ["javascript:alert(1)", ["javascript:alert(1)"]],
    ["a `b` c", ["a ", "code b", " c"]],
    ["```sql\nSELECT 1;\n```", ["block SELECT 1;"]],
    ["```  \nplain\n``` and on", ["block plain", " and on"]],
    ["```  one ```", ["block one "]],
    ["```   ```", ["block "]],
    ["``` never ends", ["``` never ends"]],
    ["`https://a.example`", ["code https://a.example"]],
    ["@Li Wei, @Li and @nobody", ["mention Li Wei", ", ", "mention me Li", " and @nobody"].map(named)],
  ];
  const mentioned = [{ name: "Li", isMe: true }, { name: "", isMe: false }, { name: "Li Wei", isMe: false }];
  for (const [text, parts] of cases) assertEquals(parse(text, mentioned).map(brief), parts, text);
});

function named(part: string): string {
  return part.replace(/^mention (me )?/, (begin) => `${begin}@`);
}

Deno.test("no text of a frame's length takes longer than another", () => {
  const length = 60_000;
  const texts = [
    `http://a.example/${")".repeat(length)}`,
    `http://a.example/${")".repeat(length)}x`,
    `http://a.example/${".".repeat(length)}x`,
    `http://a.example/${").".repeat(length / 2)}`,
    `http://a.example/${"(".repeat(length / 2)}${")".repeat(length / 2)}`,
    "http://a ".repeat(length / 9),
    `\`\`\`${" ".repeat(length)}`,
    `\`\`\`${"a".repeat(length)}`,
    `\`\`\`${" \n".repeat(length / 2)}`,
    "`".repeat(length),
    "`a".repeat(length / 2),
    "``` ".repeat(length / 4),
    "@".repeat(length),
    "@li".repeat(length / 3),
  ];
  const mentioned = Array.from({ length: 50 }, (_, index) => ({ name: `li${index % 2}`, isMe: false }));
  for (const text of texts) {
    const before = performance.now();
    parse(text, mentioned);
    assertLess(performance.now() - before, 1000, text.slice(0, 30));
  }
});

Deno.test("a few emoji and nothing else are known as that, in no more time than anything takes", () => {
  const family = "👨🏽‍👩🏽‍👧🏽‍👦🏽";
  const cases: [text: string, isEmoji: boolean][] = [
    ["👍", true],
    ["❤️ 🇩🇪", true],
    [family.repeat(6), true],
    [family.repeat(7), false],
    ["", false],
    [" ", false],
    ["👍 yes", false],
    [`${"😀".repeat(49)}x`, false],
    [`${"😀 ".repeat(49)}x`, false],
  ];
  const before = performance.now();
  for (const [text, isEmoji] of cases) assertEquals(isEmojiOnly(text), isEmoji, text);
  assertLess(performance.now() - before, 1000);
});
