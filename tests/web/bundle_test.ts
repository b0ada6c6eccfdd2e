import { assertEquals, assertThrows } from "@std/assert";
import { ASSETS, bundle, bundleProgram, PROGRAMS } from "../bundle.ts";
import { runOrThrow, temporaryFolder } from "../support/process.ts";

for (const [name, path] of Object.entries(PROGRAMS)) {
  Deno.test(`lib/web/assets/${path} is what the sources give (deno task bundle)`, async () => {
    assertEquals(await Deno.readTextFile(new URL(path, ASSETS)), bundleProgram(name));
  });
}

/** Bundles files that import one another; the first one is the program. */
async function bundleFiles(files: Record<string, string>): Promise<string> {
  await using folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder.path}/${name}`, text);
  return bundle(new URL(`file://${folder.path}/${Object.keys(files)[0]}`));
}

/** What a program prints when its bundle is run. */
async function runBundle(files: Record<string, string>): Promise<string> {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/bundle.js`;
  await Deno.writeTextFile(path, await bundleFiles(files));
  return (await runOrThrow(Deno.execPath(), ["run", "--no-config", "--no-prompt", path])).trimEnd();
}

Deno.test("a bundle does what its modules do", async () => {
  const text = await runBundle({
    "main.ts": `
      import { type Shape, area as areaOf, Square } from "./shapes.ts";
      import * as words from "./words.ts";
      import "./effect.ts";
      const shape: Shape = new Square(3);
      // "a comment
      console.log(\`\${words.SAID} \${areaOf(shape)}
import { no } from "./nowhere.ts";
  indented // no comment \${[1, 2].map((n) => \`<\${n}>\`).join("}")}\`);
      console.log("/* no */".replace(/[/"]\\/?/g, "'"), 8 / 2 / 2, words.fail?.());
    `,
    "shapes.ts": `
      /** "Doc. */
      export interface Shape { readonly side: number }
      export class Square implements Shape {
        readonly #side: number;
        constructor(side: number) { this.#side = side; }
        get side(): number { return this.#side; }
      }
      const square = <T extends number>(n: T): number => n ** 2;
      export async function later(): Promise<void> {}
      function ofShape({ side }: Shape): number { return square(side)! }
      export { ofShape as area };
    `,
    "words.ts": `
      import { Square } from "./shapes.ts";
      export { area } from "./shapes.ts";
      export const SAID = \`area of \${new Square(1).side}:\` as const;
      export const fail: (() => void) | undefined = undefined;
    `,
    "effect.ts": `console.log("first");`,
  });
  assertEquals(
    text,
    "first\narea of 1: 9\nimport { no } from \"./nowhere.ts\";\n  indented // no comment <1>}<2>\n'* no *' 2 undefined",
  );
});

Deno.test("a module runs once, however many import it", async () => {
  const text = await runBundle({
    "main.ts": `import { a } from "./a.ts"; import { b } from "./b.ts"; console.log(a === b);`,
    "a.ts": `export { shared as a } from "./shared.ts";`,
    "b.ts": `import { shared } from "./shared.ts"; export const b = shared;`,
    "shared.ts": `console.log("once"); export const shared = {};`,
  });
  assertEquals(text, "once\ntrue");
});

Deno.test("what cannot be bundled is named", async () => {
  const refused: [string, Record<string, string>][] = [
    ["imports itself by way of others", {
      "a.ts": `import { b } from "./b.ts"; export const a = b;`,
      "b.ts": `import { a } from "./a.ts"; export const b = a;`,
    }],
    ["a browser has no such thing", { "a.ts": `import { x } from "node:fs"; console.log(x);` }],
    ["imports gone, which", {
      "a.ts": `import { gone } from "./b.ts"; console.log(gone);`,
      "b.ts": `export const b = 1;`,
    }],
    ["export let count = 0;", { "a.ts": `export let count = 0;` }],
    ["export default 1;", { "a.ts": `export default 1;` }],
    ['import("./b.ts")', { "a.ts": `const b = await import("./b.ts"); console.log(b);` }],
    ["await", { "a.ts": `await Promise.resolve();` }],
  ];
  for (const [reason, files] of refused) {
    let error: unknown;
    await bundleFiles(files).catch((caught) => error = caught);
    assertThrows(
      () => {
        throw error;
      },
      Error,
      reason,
    );
  }
});
