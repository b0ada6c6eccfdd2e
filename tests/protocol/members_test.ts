import { assertEquals } from "@std/assert";
import { membersOf } from "../../lib/protocol/members.ts";

/** A test that needs nothing but the processor. */
function unitTest(name: string, fn: () => void): void {
  Deno.test({ name, permissions: "none", fn });
}

unitTest("values keep their own text, keys are read", () => {
  const text =
    ' { "a" : 1.50e-7 , "\\u0062":"\\u00e9\\"}{,:\\\\",\n"":[ {"a":2}, "]" ],"c":{"d":{}},"__proto__":null,"e":-0 } ';
  assertEquals([...membersOf(text)], [
    ["a", "1.50e-7"],
    ["b", '"\\u00e9\\"}{,:\\\\"'],
    ["", '[ {"a":2}, "]" ]'],
    ["c", '{"d":{}}'],
    ["__proto__", "null"],
    ["e", "-0"],
  ]);
});

unitTest("of a key that stands twice the last value counts", () => {
  assertEquals([...membersOf('{"a":1,"b":2,"\\u0061":{"a":3}}')], [["a", '{"a":3}'], ["b", "2"]]);
});

unitTest("an empty object has no members, and no depth is too deep", () => {
  assertEquals([...membersOf("{}"), ...membersOf(" {\n} ")], []);
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  assertEquals([...membersOf(`{"deep":${deep},"a":"b"}`)], [["deep", deep], ["a", '"b"']]);
});
