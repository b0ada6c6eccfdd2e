import { assertEquals } from "@std/assert";
import { PresenceNews } from "../../lib/log/presence_news.ts";
import { Watchers } from "../../lib/log/watchers.ts";
import type { Receiver } from "../../lib/log/delivery.ts";
import type { Mailbox } from "../../lib/log/mailbox.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fakeOutlet } from "./fake_outlet.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const unit = { permissions: "none" } as const;

interface Eye extends Receiver {
  outlet: ReturnType<typeof fakeOutlet> & { isCongested: boolean };
  /** What it has been told: `1 online`. */
  told: string[];
}

/** Lets what waits for promises and turns happen; the clock stands still. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** A node; `here` and `elsewhere`: ids of who is online where. */
function openNode() {
  const clock = new FakeClock();
  const here = new Set<number>();
  const elsewhere = new Set<number>();
  const published: string[] = [];
  const link = { isUp: true, takes: true };
  const watchers = new Watchers<Eye>();
  const news = new PresenceNews<Eye>({
    clock,
    watchers,
    logger: SILENT,
    delivery: {
      sessionsOf: (id) => here.has(id) ? [eye()] : [],
      publishNews(_audience, { frame = "" }) {
        if (link.takes) published.push(frame);
        return Promise.resolve(link.takes);
      },
    },
    presence: {
      get isUp() {
        return link.isUp;
      },
      online: (ids) => Promise.resolve(new Set(ids.filter((id) => elsewhere.has(Number(id))))),
    },
  });
  const eye = (): Eye => {
    const told: string[] = [];
    const mailbox = {
      sendEvent(frame: string) {
        const { msgid, id, state } = JSON.parse(frame);
        assertEquals(msgid, 31);
        told.push(`${id} ${state}`);
      },
    } as unknown as Mailbox;
    const login = { userId: 99, device: 1, name: "eye", groups: new Map(), mailbox };
    return { version: 3, outlet: fakeOutlet(), login, udpKey: undefined, beatAt: 0, told };
  };
  const come = (id: number) => {
    here.add(id);
    news.note(id);
  };
  const go = (id: number) => {
    here.delete(id);
    news.note(id);
  };
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      clock.advance(Math.min(250, left));
      await settle();
    }
  };
  return { clock, here, elsewhere, published, link, watchers, news, eye, come, go, pass };
}

/** Somebody who looks at these users, and has been told that they are offline. */
function lookAt(node: ReturnType<typeof openNode>, ids: readonly number[]): Eye {
  const eye = node.eye();
  node.watchers.enter(eye);
  for (const id of ids) node.watchers.watch(eye, id, "offline");
  return eye;
}

Deno.test("who comes or goes is told within three seconds, once, and to whom it concerns", unit, async () => {
  const node = openNode();
  const eye = lookAt(node, [1]);
  const other = lookAt(node, [2]);
  node.come(1);
  await node.pass(2_250);
  assertEquals(eye.told, []);
  await node.pass(500);
  assertEquals([eye.told, other.told], [["1 online"], []]);
  node.go(1);
  await node.pass(3_000);
  assertEquals(eye.told, ["1 online", "1 offline"]);
  await node.pass(10_000);
  assertEquals(eye.told.length, 2);
  node.news.close();
});

Deno.test("who is back within three seconds, here or elsewhere, was never away", unit, async () => {
  const node = openNode();
  const eye = lookAt(node, [1, 2]);
  node.here.add(1), node.here.add(2);
  for (const id of [1, 2]) node.watchers.tell(eye, id, "online");
  for (let time = 1; time <= 5; time++) {
    node.go(1);
    await node.pass(1_000);
    node.come(1);
    await node.pass(1_000);
  }
  node.go(2);
  node.elsewhere.add(2);
  await node.pass(6_000);
  assertEquals(eye.told, []);
  node.news.close();
});

Deno.test("all whose time has come are published together", unit, async () => {
  const node = openNode();
  const ids = Array.from({ length: 1_000 }, (_, i) => i + 1);
  const eyes = [lookAt(node, ids), lookAt(node, ids)];
  for (const id of ids) node.come(id);
  await node.pass(3_000);
  assertEquals(node.published.length, 1);
  assertEquals(eyes.map(({ told }) => told.length), [1_000, 1_000]);
  // Another node that hears of it tells its own.
  const other = openNode();
  const eye = lookAt(other, [7]);
  other.news.onMessage(node.published[0] ?? "");
  await settle();
  assertEquals(eye.told, ["7 online"]);
  node.news.close();
});

Deno.test("a Redis that is away costs only the time until it is back", unit, async () => {
  const node = openNode();
  const eye = lookAt(node, [1, 2]);
  node.link.isUp = false;
  node.come(1);
  await node.pass(5_000);
  assertEquals(eye.told, []);
  node.link.isUp = true;
  node.link.takes = false;
  await node.pass(1_000);
  assertEquals(eye.told, []);
  node.link.takes = true;
  await node.pass(1_000);
  assertEquals(eye.told, ["1 online"]);
  // What others published meanwhile is looked for.
  node.elsewhere.add(2);
  node.news.lookAtAll();
  await node.pass(500);
  assertEquals(eye.told, ["1 online", "2 online"]);
  node.news.close();
});

Deno.test("who does not keep up is told when there is room, of how things are then", unit, async () => {
  const node = openNode();
  const eye = lookAt(node, [1, 2]);
  Object.assign(eye.outlet, { isCongested: true });
  node.come(1);
  node.come(2);
  await node.pass(3_000);
  node.go(2);
  await node.pass(3_000);
  assertEquals(eye.told, []);
  Object.assign(eye.outlet, { isCongested: false });
  await node.pass(500);
  assertEquals(eye.told, ["1 online"]);
  node.news.close();
});

Deno.test("who cannot be told keeps nothing from the others, now or later", unit, async () => {
  const node = openNode();
  const broken = lookAt(node, [1, 3]);
  const eye = lookAt(node, [1, 2, 3, 4]);
  Object.assign(broken.login?.mailbox ?? {}, {
    sendEvent() {
      throw new Error("This connection is broken");
    },
  });
  node.come(1);
  await node.pass(3_000);
  assertEquals(eye.told, ["1 online"]);
  node.come(2);
  await node.pass(3_000);
  assertEquals(eye.told, ["1 online", "2 online"]);
  // What another node has published, too.
  node.elsewhere.add(3).add(4);
  for (const id of [3, 4]) node.news.onMessage(JSON.stringify([[id, 1, 0]]));
  await node.pass(500);
  assertEquals(eye.told.slice(2).sort(), ["3 online", "4 online"]);
  node.news.close();
});

Deno.test("who begins to look is told only what is not as it was told", unit, async () => {
  const node = openNode();
  const eye = lookAt(node, [5]);
  const other = node.eye();
  node.watchers.enter(other);
  node.watchers.watch(other, 5);
  node.elsewhere.add(5);
  // Whatever else is to happen later.
  node.come(6);
  node.news.look(5);
  await node.pass(250);
  assertEquals([eye.told, other.told], [["5 online"], []]);
  node.elsewhere.delete(5);
  node.news.note(5);
  await node.pass(3_000);
  assertEquals([eye.told, other.told], [["5 online", "5 offline"], ["5 offline"]]);
  node.news.close();
});

Deno.test("what is no news of presence is refused", unit, () => {
  const { news } = openNode();
  for (const frame of ["", "{}", "[1]", "[[1,2]]", '[["1",1,1]]']) {
    let isRefused = false;
    try {
      news.onMessage(frame);
    } catch {
      isRefused = true;
    }
    assertEquals(isRefused, true, frame);
  }
});
