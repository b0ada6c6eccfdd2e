/** Who may read when many want to. */

import { assertEquals } from "@std/assert";
import { openReadGate } from "../../lib/net/read_gate.ts";

Deno.test("those who go first wait for nobody else, and leave some reads of each round to the others", async () => {
  const gate = await openReadGate();
  const order: string[] = [];
  const enter = async (name: string, goesFirst: boolean) => {
    await gate.enter(goesFirst);
    order.push(name);
  };
  const all: Promise<void>[] = [];
  const add = (count: number, name: string, goesFirst: boolean) => {
    for (let index = 0; index < count; index++) all.push(enter(name, goesFirst));
  };
  add(48, "at once", false);
  add(200, "other", false);
  add(60, "first", true);
  await Promise.all(all);
  gate.close();
  const counts = [48, 96, 144, 308].map((end, index, ends) => {
    const round = order.slice(ends[index - 1] ?? 0, end);
    return ["at once", "first", "other"].map((name) => round.filter((one) => one === name).length);
  });
  assertEquals(counts, [[48, 0, 0], [0, 36, 12], [0, 24, 24], [0, 0, 164]]);
});
