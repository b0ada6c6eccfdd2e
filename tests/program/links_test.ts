/** What the program and its tests rest on in @std/assert and @std/cli; holds for the originals and the stand-ins. */

import {
  assert,
  assertEquals,
  AssertionError,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
  equal,
} from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";

function unitTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name, permissions: "none", fn });
}

unitTest("equality is deep and strict, but 0 equals -0 and a missing prototype is no difference", () => {
  const bare = Object.assign(Object.create(null), { id: 1, list: [{ a: 0 }] });
  assertEquals(bare, { id: 1, list: [{ a: -0 }] });
  assert(equal(new Map([["a", new Set([1])]]), new Map([["a", new Set([1])]])));
  assert(equal(NaN, NaN));
  assertNotEquals<unknown>({ a: undefined }, {});
  assertNotEquals<unknown>(1, "1");
  assertNotEquals<unknown>([1, 2], [1]);
  assertNotEquals<unknown>(new Uint8Array([1]), new Uint8Array([2]));
  assertNotEquals<unknown>(new Uint8Array([1]), [1]);
  assertNotEquals<unknown>(new Date(1), new Date(2));
});

unitTest("a failure names the difference and the caller's words", () => {
  const error = assertThrows(() => assertEquals({ a: 1 }, { a: 2 }, "the frame"), AssertionError);
  assertStringIncludes(error.message, "the frame");
  assertStringIncludes(error.message, "1");
  assertStringIncludes(error.message, "2");
});

unitTest("assertThrows wants the class and the text", () => {
  const error = assertThrows(() => decodeURI("%"), URIError, "malformed");
  assert(error instanceof URIError);
  assertThrows(() => assertThrows(() => decodeURI("%"), TypeError), AssertionError);
  assertThrows(() => assertThrows(() => decodeURI("%"), URIError, "no such text"), AssertionError);
  assertThrows(() => assertThrows(() => {}), AssertionError);
});

unitTest("assertRejects wants a promise that rejects", async () => {
  const error = await assertRejects(() => Promise.reject(new RangeError("far")), RangeError, "far");
  assert(error instanceof RangeError);
  await assertRejects(() => assertRejects(() => Promise.resolve()), AssertionError);
  await assertRejects(
    () =>
      assertRejects(() => {
        throw new RangeError("far");
      }),
    AssertionError,
  );
});

unitTest("long options take the next argument unless it looks like an option", () => {
  const parse = (...args: string[]) => parseArgs(args, { string: ["name", "_"], boolean: ["quiet"] });
  assertEquals<unknown>(parse("--name", "x", "5", "y"), { name: "x", quiet: false, _: ["5", "y"] });
  assertEquals(parse("--name=-x=y").name, "-x=y");
  assertEquals<unknown>(parse("--name", "--quiet"), { name: "", quiet: true, _: [] });
  assertEquals<unknown>(parse("--quiet", "x"), { quiet: true, _: ["x"] });
  assertEquals<unknown>(parse("--quiet", "false"), { quiet: false, _: [] });
  assertEquals(parse("--quiet=false").quiet, false);
  assertEquals(parse("--name", "a", "--name", "b").name, "b");
});

unitTest("short options may be bundled and carry a value", () => {
  assertEquals(parseArgs(["-ab", "-n5", "-m=6", "-k", "x"]), { a: true, b: true, n: 5, m: 6, k: "x", _: [] });
});

unitTest("aliases, negation, collection and defaults work on options however they were given", () => {
  const parsed = parseArgs(["-t", "a", "--tag=b", "--no-color", "--no-such"], {
    alias: { tag: "t" },
    string: ["tag"],
    boolean: ["color", "loud"],
    negatable: ["color"],
    collect: ["tag"],
    default: { color: true, loud: undefined, size: 3 },
  });
  assertEquals<unknown>(parsed, {
    tag: ["a", "b"],
    t: ["a", "b"],
    color: false,
    "no-such": true,
    loud: undefined,
    size: 3,
    _: [],
  });
});

unitTest("unknown is asked about positionals and undeclared options", () => {
  const asked: unknown[] = [];
  const parsed = parseArgs(["x", "--known", "--other=1", "y"], {
    boolean: ["known"],
    unknown(arg, key, value) {
      asked.push([arg, key, value]);
      return arg !== "y" && key !== "other";
    },
  });
  assertEquals(asked, [["x", undefined, undefined], ["--other=1", "other", "1"], [
    "y",
    undefined,
    undefined,
  ]]);
  assertEquals(parsed, { known: true, _: ["x"] });
});

unitTest("a double dash and stopEarly leave the rest alone", () => {
  assertEquals(parseArgs(["a", "--", "--b", "1"]), { _: ["a", "--b", "1"] });
  assertEquals(parseArgs(["a", "--", "--b"], { "--": true }), { _: ["a"], "--": ["--b"] });
  assertEquals(parseArgs(["--a=1", "2", "--b"], { stopEarly: true }), { a: 1, _: [2, "--b"] });
});
