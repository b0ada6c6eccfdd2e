import { assertEquals } from "@std/assert";
import { walkFiles } from "../support/files.ts";

/** From the ground up: what is in a room imports from its own and those before it. */
const ROOMS = ["base", "protocol", "store", "cluster", "config", "net", "log", "chat", "observe"];
/** Beside them. */
const CLIENT_STANDS_ON = ["base", "protocol", "config"];

Deno.test("imports run downwards, from room to room", async () => {
  const upward: string[] = [];
  const rooms = new Set<string>();
  for (const path of await walkFiles(new URL("../../lib/", import.meta.url))) {
    const room = roomOf(path);
    if (room === "links") continue;
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
  assertEquals([...rooms].sort(), ["", "client", ...ROOMS].sort());
});

/** "" for what lies in no room: it may import everything. */
function roomOf(path: string): string {
  const [, room = "", file] = path.split("/");
  return file === undefined ? "" : room;
}

function isAllowed(from: string, to: string): boolean {
  if (from === "" || from === to) return true;
  if (from === "client") return CLIENT_STANDS_ON.includes(to);
  return ROOMS.includes(to) && ROOMS.indexOf(to) < ROOMS.indexOf(from);
}
