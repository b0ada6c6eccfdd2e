import { assertEquals } from "@std/assert";
import { walkFiles } from "../support/files.ts";

/** From the ground up: what is in a room imports from its own and those before it. */
const ROOMS = ["base", "protocol", "store", "cluster", "config", "net", "web", "log", "chat", "observe"];
/** Beside them: the terminal client, what operators do, and the program of the page, which runs in browsers. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  client: ["base", "protocol", "config"],
  admin: ["base", "protocol", "store", "config", "net", "log", "chat"],
  app: ["base", "protocol", "client"],
};

Deno.test("imports run downwards, from room to room", async () => {
  const upward: string[] = [];
  const rooms = new Set<string>();
  for (const path of await walkFiles(new URL("../../lib/", import.meta.url))) {
    const room = roomOf(path);
    if (room === "links" || !path.endsWith(".ts")) continue;
    rooms.add(room);
    const text = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    for (const [, specifier = ""] of text.matchAll(/(?:from|import|URL\()\s*\(?"(\.[^"]+\.ts)"/g)) {
      const imported = new URL(specifier, `file:///${path}`).pathname.slice(1);
      if (imported.startsWith("lib/") && !isAllowed(room, roomOf(imported))) {
        upward.push(`${path} imports ${imported}`);
      }
    }
  }
  assertEquals(upward, []);
  assertEquals([...rooms].sort(), ["", ...Object.keys(BESIDE), ...ROOMS].sort());
});

Deno.test("no module imports itself by way of others", async () => {
  const imports = new Map<string, string[]>();
  for (const path of await walkFiles(new URL("../../lib/", import.meta.url))) {
    if (!path.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    // Types are not there when modules are loaded.
    const found = text.matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?"(\.[^"]+\.ts)";/gm);
    imports.set(path, [...found].map(([, to = ""]) => new URL(to, `file:///${path}`).pathname.slice(1)));
  }
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" → "));
    if (done.has(path) || way.includes(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  assertEquals(circles, []);
});

/** "" for what lies in no room: it may import everything. */
function roomOf(path: string): string {
  if (path.startsWith("lib/web/app/")) return "app";
  const [, room = "", file] = path.split("/");
  return file === undefined ? "" : room;
}

function isAllowed(from: string, to: string): boolean {
  if (from === "" || from === to) return true;
  return BESIDE[from]?.includes(to) ?? (ROOMS.includes(to) && ROOMS.indexOf(to) < ROOMS.indexOf(from));
}
