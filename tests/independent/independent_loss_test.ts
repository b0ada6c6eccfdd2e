import { assert, assertEquals } from "@std/assert";
import { type IndependentClient, loggedIn, signUp, startClient } from "./independent_client.ts";
import { Relay } from "./independent_relay.ts";
import { addressOf, assertHas, type Frame, FrameReader, listOf, numberOf } from "./independent_wire.ts";
import { waitFor } from "../support/process.ts";
import { startMariaDb, startRedis, startServer } from "../support/services.ts";

const NOTHING = new Uint8Array();

/** The frames a client sent with this msgid, without those among its first `since` events. */
function sentFrames(client: IndependentClient, msgid: number, since = 0): Frame[] {
  return client.events.slice(since).flatMap((event) => {
    return event.kind === "sent" && event.frame.msgid === msgid ? [event.frame] : [];
  });
}

function seqsShown(client: IndependentClient): number[] {
  return client.shown("u1-2").map(({ seq }) => seq);
}

/** What the last login said of u1-2. */
function lastLogin(client: IndependentClient): Frame | undefined {
  const login = client.eventsOf("logged_in").at(-1);
  return listOf(login?.reply ?? {}, "conversations").find(({ conversation }) => conversation === "u1-2");
}

/** A relay's filter that loses the first frame for which `isIt` holds: no network does, but a bug may. */
function without(isIt: (frame: Frame) => boolean): (bytes: Uint8Array) => Uint8Array {
  const reader = new FrameReader();
  let isLost = false;
  return (bytes) => {
    const rest = reader.push(bytes).filter((frame) => isLost || !(isLost = isIt(frame)));
    return new TextEncoder().encode(rest.map((frame) => `${JSON.stringify(frame)}\n`).join(""));
  };
}

/** Ann and Li, each with a node of her own and a network that can fail; seven messages are behind them. */
async function startScene() {
  await using stack = new AsyncDisposableStack();
  const mariadb = stack.use(await startMariaDb());
  const redis = stack.use(await startRedis());
  const redisOfA = stack.use(new Relay({ hostname: "127.0.0.1", port: redis.port }));
  const { hostname, port } = redisOfA.address;
  const nodeA = stack.use(
    await startServer(["--mysql", mariadb.url, "--redis", `redis://${hostname}:${port}`, "--node", "a"]),
  );
  const nodeB = stack.use(await startServer(["--mysql", mariadb.url, "--redis", redis.url, "--node", "b"]));
  const toA = stack.use(new Relay(addressOf(nodeA)));
  const annToB = stack.use(new Relay(addressOf(nodeB)));
  const liToB = stack.use(new Relay(addressOf(nodeB)));
  for (const name of ["ann", "li"]) await signUp(addressOf(nodeA), name);
  const ann = stack.use(startClient(1, [toA.address, annToB.address]));
  const li = stack.use(startClient(2, [liToB.address]));
  await loggedIn(ann, li);
  for (let seq = 1; seq <= 7; seq++) ann.send(2, `message ${seq}`);
  await waitFor("Li to have acknowledged them", () => {
    return sentFrames(li, 12).at(-1)?.seq === 7 && ann.eventsOf("receipt").at(-1)?.delivered === 7;
  });
  assertEquals(ann.unsent, 0);
  annToB.isOpen = false;

  // Step 1. Node A commits x1 as seq 8, can tell node B nothing of it, and is killed before it answers.
  let isAnswered = false;
  toA.fromServer = () => {
    isAnswered = true;
    return NOTHING;
  };
  redisOfA.fromClient = () => NOTHING;
  const x1 = ann.send(2, "message 8");
  await waitFor("node A to have committed", () => isAnswered);
  await nodeA.kill("SIGKILL");
  await waitFor("Ann's client to see it", () => !ann.isLoggedIn);
  assertHas(await li.request({ msgid: 18 }), { msgid: 19, errno: 0 });
  assertEquals(seqsShown(li), [1, 2, 3, 4, 5, 6, 7]);
  const owned = stack.move();
  return { ann, li, x1, annToB, liToB, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

Deno.test("loss and recovery go step by step as PROTOCOL.md tells", async () => {
  await using scene = await startScene();
  const { ann, li, x1, annToB, liToB } = scene;
  assertEquals(ann.unsent, 1);
  li.isAcknowledging = false;

  // Step 2. Ann connects again, reaches node B, and resumes.
  const token = ann.token;
  annToB.isOpen = true;
  await waitFor("Ann to be back", () => ann.eventsOf("logged_in").length === 2);
  assertEquals(ann.eventsOf("connected").at(-1)?.address, annToB.address);
  assertHas(sentFrames(ann, 21).at(-1), { msgid: 21, v: 2, token });
  assertHas(lastLogin(ann), { conversation: "u1-2", last_seq: 8 });

  // Step 3. She repeats what has no reply. One row, one seq.
  await waitFor("the repeat to be answered", () => ann.unsent === 0);
  assertEquals(ann.eventsOf("repeated"), [{ kind: "repeated", cid: x1 }]);
  assertHas(ann.eventsOf("stored").at(-1), { cid: x1, conversation: "u1-2", seq: 8 });
  const history = await ann.request({ msgid: 15, conversation: "u1-2", after: 7 });
  assertEquals(listOf(history, "messages").map(({ seq, cid }) => [seq, cid]), [[8, x1]]);

  // Step 4. Li gets it, once.
  await waitFor("Li to see it", () => seqsShown(li).length === 8);
  assertEquals(li.shown("u1-2").at(-1), { conversation: "u1-2", seq: 8, from: 1, text: "message 8" });
  assertEquals(li.eventsOf("duplicate"), []);

  // Step 5. Li's client loses its connection before it sent 12; seq 8 comes again and is dropped.
  const since = li.events.length;
  li.cut();
  await waitFor("Li to be back", () => li.eventsOf("logged_in").length === 2);
  assertHas(lastLogin(li), { last_seq: 8, delivered: 7 });
  await waitFor("seq 8 to come again", () => li.eventsOf("duplicate").length === 1);
  assertEquals(li.eventsOf("duplicate"), [{ kind: "duplicate", conversation: "u1-2", seq: 8 }]);
  assertEquals(seqsShown(li), [1, 2, 3, 4, 5, 6, 7, 8]);
  li.isAcknowledging = true;
  await waitFor("Li to acknowledge it", () => sentFrames(li, 12, since).length > 0);
  assertHas(sentFrames(li, 12, since)[0], { conversation: "u1-2", seq: 8 });
  await waitFor("Ann to hear of it", () => ann.eventsOf("receipt").at(-1)?.delivered === 8);

  // Step 6. Li receives seq 10 while the last she has is 8.
  liToB.fromServer = without(({ msgid, seq }) => msgid === 6 && seq === 9);
  ann.send(2, "message 9");
  ann.send(2, "message 10");
  await waitFor("Li to see both", () => seqsShown(li).length === 10);
  assertHas(sentFrames(li, 15, since)[0], { conversation: "u1-2", after: 8, before: 10 });
  assertEquals(li.eventsOf("filled")[0], { kind: "filled", conversation: "u1-2", seqs: [9] });
  const texts = Array.from({ length: 10 }, (_, index) => `message ${index + 1}`);
  assertEquals(li.shown("u1-2").map(({ text }) => text), texts);
  assertEquals(ann.shown("u1-2"), li.shown("u1-2"));
});

Deno.test("what a dead node had stored comes when its lease ends, though its sender is gone", async () => {
  await using scene = await startScene();
  const { ann, li } = scene;
  await waitFor("Li to see it", () => seqsShown(li).length === 8, 40_000);
  assertEquals([ann.isLoggedIn, ann.unsent, li.eventsOf("connected").length], [false, 1, 1]);
  assertEquals(numberOf(sentFrames(li, 15)[0] ?? {}, "after", -1), -1); // Not because she asked.
  assert(li.eventsOf("duplicate").length === 0);
});
