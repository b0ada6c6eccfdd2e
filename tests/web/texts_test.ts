import { assert, assertEquals } from "@std/assert";
import { ENGLISH } from "../../lib/web/app/texts_en.ts";
import { CHINESE } from "../../lib/web/app/texts_zh.ts";
import { walkFiles } from "../support/files.ts";

const APP = new URL("../../lib/web/app/", import.meta.url);

/** Its placeholders, in order of the alphabet. */
function placeholders(text: string): string {
  return (text.match(/\{\w+\}/g) ?? []).sort().join();
}

async function sources(): Promise<[path: string, text: string][]> {
  const paths = (await walkFiles(APP)).filter((path) => path.endsWith(".ts"));
  const root = new URL("../../", import.meta.url);
  return await Promise.all(
    paths.map(async (path) => [path, await Deno.readTextFile(new URL(path, root))] as [string, string]),
  );
}

Deno.test("every text is there in every language, and says the same things", () => {
  assertEquals(Object.keys(CHINESE).sort(), Object.keys(ENGLISH).sort());
  for (const [key, text] of Object.entries(ENGLISH)) {
    const other = CHINESE[key as keyof typeof ENGLISH];
    assert(text.trim() !== "" && other.trim() !== "", key);
    // "1 member" need not name its number.
    assertEquals(placeholders(other), placeholders(text), key);
  }
});

Deno.test("every text is used, and none stands in the program itself", async () => {
  // What operators see is in English, as the command line is.
  const program = (await sources()).filter(([path]) => !/texts_\w\w\.ts$|\/operators/.test(path));
  const code = program.map(([, text]) => text).join("\n");
  const unused = Object.keys(ENGLISH).filter((key) =>
    !code.includes(`"${key}"`) && !code.includes(`"${key.replace(/_(one|other)$/, "")}"`)
  );
  assertEquals(unused, []);
  const literal = /(?:placeholder|title|"aria-label"): "[^"]|el\("\w+", \{[^}]*\}, "[A-Za-z]{3}/;
  assertEquals(program.filter(([, text]) => literal.test(text)).map(([path]) => path), []);
});

Deno.test("nothing in the program turns text into markup, code or style", async () => {
  const forbidden = [
    /\binnerHTML\b|\bouterHTML\b|\binsertAdjacentHTML\b|\bcreateContextualFragment\b|\bDOMParser\b|\bdocument\.write/,
    /\beval\(|\bnew Function\b|\bsetHTMLUnsafe\b|\bsrcdoc\b|javascript:/,
    /setAttribute\(\s*"(?:style|on\w+)"|\bstyle: "/,
  ];
  for (const [path, text] of await sources()) {
    for (const pattern of forbidden) assert(!pattern.test(text), `${path}: ${pattern.exec(text)?.[0]}`);
  }
});
