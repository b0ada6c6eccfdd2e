import { assert, assertEquals } from "@std/assert";
import { cut, sizeOf } from "../../lib/web/app/long_text.ts";

Deno.test("the size of a text is that of its JSON, in UTF-8", () => {
  const cases: [text: string, size: number][] = [["", 2], ["ab", 4], ["\n", 4], ['"', 4], ["\u0001", 8], [
    "é",
    4,
  ], [
    "😀",
    6,
  ]];
  for (const [text, size] of cases) assertEquals(sizeOf(text), size, text);
});

Deno.test("a long text is cut at empty lines, and nothing of it is too long or lost", () => {
  assertEquals(cut("one\n\n two\n \nthree ", 60_000), ["one", "two", "three"]);
  assertEquals(cut(" \n\n", 60_000), []);
  for (const character of ["a", "\u0001", "\\", "😀", "\ud800"]) {
    for (const most of [60_000, 2048]) {
      const text = character.repeat(30_000);
      const parts = cut(text, most);
      assertEquals(parts.join(""), text);
      assert(parts.every((part) => sizeOf(part) <= most), `${character} ${most}`);
    }
  }
});
