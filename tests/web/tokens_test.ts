import { assert, assertEquals } from "@std/assert";

const SHEET = new URL("../../lib/web/assets/tokens.css", import.meta.url);
const TEXT_CONTRAST = 4.5;
const MARK_CONTRAST = 3;

type Colour = readonly [number, number, number];

function parseColour(hex: string): Colour {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, value >> 8 & 255, value & 255];
}

/** By WCAG 2. */
function luminance(colour: Colour): number {
  const [red = 0, green = 0, blue = 0] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: Colour, b: Colour): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

/** Every colour of the tokens, light and dark. */
async function readColours(): Promise<Map<string, [Colour, Colour]>> {
  const sheet = await Deno.readTextFile(SHEET);
  const found = sheet.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);/g);
  return new Map(
    [...found].map(([, name = "", light = "", dark = ""]) =>
      [name, [parseColour(light), parseColour(dark)]] as const
    ).map(([name, [light, dark]]) => [name, [light as Colour, dark as Colour]]),
  );
}

const SURFACES = ["bg", "bg-side", "bg-raised", "bg-hover", "bg-active", "bg-mention"];
const TONES = Array.from({ length: 8 }, (_, index) => `tone-${index + 1}`);

Deno.test("text stands out from what it stands on, and so do marks, in light and in dark", async () => {
  const colours = await readColours();
  const pairs: [string, string, number][] = [
    ...SURFACES.flatMap((surface): [string, string, number][] => [
      ["text", surface, TEXT_CONTRAST],
      ["text-2", surface, TEXT_CONTRAST],
      ["accent", surface, TEXT_CONTRAST],
      ["danger", surface, TEXT_CONTRAST],
      ["mark", surface, MARK_CONTRAST],
      ["online", surface, MARK_CONTRAST],
    ]),
    ["text", "bg-code", TEXT_CONTRAST],
    ["on-accent", "accent", TEXT_CONTRAST],
    ["bg", "text-2", TEXT_CONTRAST],
    ...TONES.map((tone): [string, string, number] => ["on-tone", tone, TEXT_CONTRAST]),
  ];
  const weak: string[] = [];
  for (const [name, on, least] of pairs) {
    for (const mode of [0, 1] as const) {
      const [front, back] = [colours.get(name)?.[mode], colours.get(on)?.[mode]];
      assert(front && back, `${name} and ${on} are tokens`);
      const value = contrast(front, back);
      if (value < least) weak.push(`${name} on ${on}, ${mode === 0 ? "light" : "dark"}: ${value.toFixed(2)}`);
    }
  }
  assertEquals(weak, []);
});

Deno.test("the style sheets take colours from the tokens only", async () => {
  const sheets = ["app.css", "operators/operators.css"].map((name) =>
    Deno.readTextFile(new URL(name, SHEET))
  );
  const sheet = (await Promise.all(sheets)).join("");
  assertEquals(sheet.match(/#[0-9a-f]{3,8}\b(?=[^{]*;)/gi) ?? [], []);
  const tokens = await readColours();
  const used = [...sheet.matchAll(/var\(--([\w-]+)\)/g)].map(([, name = ""]) => name);
  const others: readonly string[] = (await Deno.readTextFile(SHEET)).match(/--[\w-]+(?=:)/g) ?? [];
  const unknown = used.filter((name) => !tokens.has(name) && !others.includes(`--${name}`));
  assertEquals([...new Set(unknown)], []);
});
