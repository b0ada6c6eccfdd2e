import { assertEquals } from "@std/assert";
import { walkFiles } from "../../support/files.ts";

/** What a second client shares may be run by a browser. */
const CORE = "lib/client/core/";
/** Names only this runtime, or Node.js, has. */
const RUNTIME = /\bDeno\.|\bprocess\.|\bBuffer\.|["'](?:node|npm|jsr):/;

async function read(path: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(`../../../${path}`, import.meta.url));
  return text.replace(/\/\*.*?\*\/|^\s*\/\/.*$/gsm, "");
}

Deno.test("the core of the client stands on base, protocol and itself, and nothing it stands on needs more than a browser", async () => {
  const problems: string[] = [];
  const files = await walkFiles(new URL(`../../../${CORE}`, import.meta.url));
  const seen = new Set(files);
  for (const path of seen) {
    const text = await read(path);
    const [found] = RUNTIME.exec(text) ?? [];
    if (found !== undefined) problems.push(`${path} uses ${found}`);
    for (const [, specifier = ""] of text.matchAll(/(?:from|import|URL\()\s*\(?"([^"]+)"/g)) {
      const imported = new URL(specifier, `file:///${path}`).pathname.slice(1);
      if (!/^lib\/(?:client\/core|base|protocol)\//.test(imported)) {
        problems.push(`${path} imports ${specifier}`);
      } else seen.add(imported);
    }
  }
  assertEquals(problems, []);
  assertEquals(files.length > 10 && seen.has("lib/protocol/protocol.ts"), true);
});
