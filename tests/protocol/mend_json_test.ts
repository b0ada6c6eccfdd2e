import { assertEquals } from "@std/assert";
import { mendJson } from "../../lib/protocol/mend_json.ts";
import { randomFrom, testSeed } from "../support/random.ts";
import { randomMessage, strictFault } from "../support/strict_json.ts";

const { seed, isGiven } = testSeed();

/** A test that needs nothing but the processor. */
function unitTest(name: string, fn: () => void): void {
  Deno.test({ name, permissions: "none", fn });
}

const SURROGATE = "Half of a surrogate pair is no text";
const NUMBER = "A number is out of range";
const DEEP = "Nested deeper than 64";

unitTest("what strict readers refuse is a fault, and is put right", () => {
  const cases: [text: string, mended: string, fault: string][] = [
    ['{"msg":"\\ud800"}', '{"msg":"\\ufffd"}', SURROGATE],
    ['{"msg":"\\uDC00 \\uD83D\\uDE00 \\ud83d"}', '{"msg":"\\ufffd \\uD83D\\uDE00 \\ufffd"}', SURROGATE],
    ['{"\\ud800":1}', '{"\\ufffd":1}', SURROGATE],
    ['{"x":[{"\\udfff":"\\\\ud800"}]}', '{"x":[{"\\ufffd":"\\\\ud800"}]}', SURROGATE],
    ['{"x":1e400}', '{"x":null}', NUMBER],
    ['{"x":[-1E+999,{"y":1.5e308}]}', '{"x":[null,{"y":1.5e308}]}', NUMBER],
    [`{"x":${"9".repeat(400)}}`, '{"x":null}', NUMBER],
    [`{"x":-${"9".repeat(310)}.0e-0}`, '{"x":null}', NUMBER],
    [nested(65), nested(64).replace("[]", "[null]"), DEEP],
    [nested(9_000), nested(64).replace("[]", "[null]"), DEEP],
    [
      `{"x":${nested(64)},"y":${nested(3)}}`,
      `{"x":${nested(63).replace("[]", "[null]")},"y":${nested(3)}}`,
      DEEP,
    ],
  ];
  for (const [text, mended, fault] of cases) assertEquals(mendJson(text), { text: mended, fault });
});

unitTest("what is only spelled differently from reader to reader gets the one spelling", () => {
  const cases: [text: string, mended: string][] = [
    ['{"id":201e0,"toid":202.00000000000000000001}', '{"id":201,"toid":202}'],
    ['{"msgid":0.6E1,"groupid":1E2,"id":-0}', '{"msgid":6,"groupid":100,"id":0}'],
    ['{"\\u0069d":2e0}', '{"\\u0069d":2}'],
    ['{ "id" :\n20100e-00000000000002 }', '{ "id" : 201 }'],
    ['{\r\n"a":\n\n1}', '{ "a": 1}'],
    [
      '{"a":"\u2028\u2029\u0085","\u2028":"\\\\\u2028"}',
      '{"a":"\\u2028\\u2029\\u0085","\\u2028":"\\\\\\u2028"}',
    ],
  ];
  for (const [text, mended] of cases) assertEquals(mendJson(text), { text: mended, fault: undefined });
});

unitTest("everything else stays as it was sent", () => {
  const texts = [
    "{}",
    '{"x":-0,"y":1E2,"z":1.50,"big":12345678901234567890,"small":1e-400}',
    '{"x":{"id":1e0},"y":[{"toid":2.0}]}',
    '{"msg":"\\ud83d\\ude00 \\\\ud800 \\u2028 \\n \\" 😀"}',
    '{"msg":"1e400 [[[ {{{ 1e999","id":1}',
    nested(64),
    `{"x":"${"[".repeat(100)}"}`,
    `{"a":[${"[],".repeat(500)}{}]}`,
  ];
  for (const text of texts) assertEquals(mendJson(text), { text, fault: undefined });
});

function nested(depth: number): string {
  return `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
}

unitTest(
  "whatever JSON.parse takes, a strict reader takes once it is mended, and finds the same in it if it took it before",
  () => {
    console.log(`CHAT_TEST_SEED=${seed}`);
    const random = randomFrom(seed);
    for (let round = isGiven ? 20_000 : 2_000; round > 0; round--) {
      const sent = randomMessage(random, { msgid: "6", id: "1", toid: "2" });
      const { text, fault } = mendJson(sent);
      assertEquals(strictFault(text), undefined, sent);
      if (fault === undefined) {
        assertEquals(JSON.parse(text), JSON.parse(sent));
      }
      assertEquals(mendJson(text), { text, fault: undefined });
    }
  },
);
