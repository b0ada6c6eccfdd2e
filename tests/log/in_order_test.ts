import { assertEquals } from "@std/assert";
import { InOrder } from "../../lib/log/in_order.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { randomFrom, testSeed } from "../support/random.ts";

const { seed } = testSeed();
const unit = { permissions: "none" } as const;

function open() {
  const clock = new FakeClock();
  const out: number[] = [];
  const inOrder = new InOrder<number>((seq) => out.push(seq), clock);
  return { clock, out, add: (...seqs: number[]) => seqs.forEach((seq) => inOrder.add(seq, seq)), inOrder };
}

Deno.test("what comes in order is handed on at once, whichever number it begins with", unit, () => {
  const { clock, out, add } = open();
  add(7, 8, 9);
  assertEquals([out, clock.timers], [[7, 8, 9], 0]);
});

Deno.test("what comes early waits for what belongs before it", unit, () => {
  const { out, add } = open();
  add(1, 4, 3);
  assertEquals(out, [1]);
  add(2);
  assertEquals(out, [1, 2, 3, 4]);
});

Deno.test("what comes again or late is handed on: it is known there what to do with it", unit, () => {
  const { out, add } = open();
  add(5, 5, 3, 6);
  assertEquals(out, [5, 5, 3, 6]);
});

Deno.test("nothing waits for long for what is lost", unit, () => {
  const { clock, out, add } = open();
  add(1, 5, 3);
  clock.advance(99);
  assertEquals(out, [1]);
  clock.advance(1);
  assertEquals([out, clock.timers], [[1, 3, 5], 0]);
  add(6);
  assertEquals(out, [1, 3, 5, 6]);
});

Deno.test("each that is missing is waited for", unit, () => {
  const { clock, out, add } = open();
  add(1);
  for (let seq = 2; seq < 40; seq += 2) {
    add(seq + 1);
    clock.advance(30);
    add(seq);
  }
  assertEquals(out, Array.from({ length: 39 }, (_, index) => index + 1));
});

Deno.test("not more than some wait", unit, () => {
  const { out, add } = open();
  add(1, ...Array.from({ length: 256 }, (_, index) => index + 3));
  assertEquals(out, [1]);
  add(300);
  assertEquals(out.length, 258);
});

Deno.test("what was closed hands nothing on", unit, () => {
  const { clock, out, add, inOrder } = open();
  add(1, 3);
  inOrder.close();
  assertEquals(clock.timers, 0);
  clock.advance(1_000);
  assertEquals(out, [1]);
});

Deno.test("what waits can be handed on before its time", unit, () => {
  const { clock, out, add, inOrder } = open();
  add(1, 5, 3);
  inOrder.flush();
  assertEquals(out, [1, 3, 5]);
  add(4, 6);
  assertEquals(out, [1, 3, 5, 4, 6]);
  clock.advance(100);
  assertEquals([out.length, clock.timers], [5, 0]);
});

Deno.test("nothing waits for longer than it should, however much comes meanwhile", unit, () => {
  const { clock, out, add } = open();
  add(1, 60);
  for (let seq = 2; seq < 30; seq += 2) {
    add(seq + 1, seq);
    clock.advance(10);
  }
  assertEquals(out.includes(60), true);
});

Deno.test("whatever is lost or late, each is handed on once, and in order while nothing is", unit, () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 300; round++) {
    const { clock, out, add } = open();
    add(0);
    const coming = Array.from({ length: 50 }, (_, index) => index + 1);
    const isAllInTime = random.chance(0.5);
    const lost = new Set(isAllInTime ? [] : coming.filter(() => random.chance(0.1)));
    const waiting = coming.filter((seq) => !lost.has(seq));
    while (waiting.length > 0) {
      add(...waiting.splice(random.below(Math.min(8, waiting.length)), 1));
      clock.advance(isAllInTime ? 1 : random.below(60));
    }
    clock.advance(100);
    const sorted = [...out].sort((a, b) => a - b);
    assertEquals(sorted, [0, ...coming.filter((seq) => !lost.has(seq))], `seed ${seed}`);
    if (isAllInTime) assertEquals(out, sorted, `seed ${seed}`);
    assertEquals(clock.timers, 0);
  }
});
