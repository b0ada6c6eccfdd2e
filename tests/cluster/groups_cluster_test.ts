/** Who is in a group, on two nodes at once. */
import { assert, assertEquals } from "@std/assert";
import { type Frame, groupChat, newPerson, type Person } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { logInDevice } from "../support/devices.ts";
import { waitFor } from "../support/process.ts";

function act({ client }: Person, op: string, groupid: number, fields: object = {}): Promise<Frame> {
  return client.request({ msgid: 24, op, groupid, ...fields });
}

async function newGroup({ client }: Person, fields: object = {}): Promise<number> {
  const { groupid = 0 } = await client.request({ msgid: 8, groupname: "all", groupdesc: "", ...fields });
  return groupid;
}

/** Whether `seq` lies in a time in which somebody was a member: from an entry that says so to the one that ends it. */
function isWithin(seq: number, stays: readonly [number, number][]): boolean {
  return stays.some(([from, to]) => seq >= from && seq <= to);
}

Deno.test("who is removed on one node writes nothing through another one, and gets nothing behind that", async () => {
  const rounds = 90;
  const tries = 40;
  await using cluster = await startCluster(["a", "b"], ["--message-rate", "0", "--invites", "open"]);
  await using ann = await newPerson(cluster.node("a").port, "ann", { v: 3 });
  await using li = await newPerson(cluster.node("b").port, "li", { v: 3 });
  await using phone = await logInDevice(cluster.node("a").port, { id: li.id });
  await using wu = await newPerson(cluster.node("b").port, "wu", { v: 2 });
  const groupid = await newGroup(ann, { join: "open" });
  const conversation = `g${groupid}`;
  await wu.client.request({ msgid: 9, id: wu.id, groupid });
  const stays: [number, number][] = [];
  const [written, refused]: [number[], Set<unknown>] = [[], new Set()];
  const heard: number[][] = [[], []];
  const hear = async (
    index: number,
    { client }: { client: Person["client"] },
    isLast: (frame: Frame) => boolean,
  ) => {
    const frames = await client.receiveUntil((frame) => frame.conversation === conversation && isLast(frame));
    for (const { seq = 0 } of frames) heard[index]?.push(seq);
    await client.send({ msgid: 12, conversation, seq: frames.at(-1)?.seq });
  };
  for (let round = 0; round < rounds; round++) {
    // What one user may ask in a row has a bound: they take turns.
    const isByAnn = round % 3 > 0;
    const added = isByAnn
      ? await act(ann, "add", groupid, { id: li.id })
      : await li.client.request({ msgid: 9, groupid });
    assertEquals(added.errno, 0, JSON.stringify(added));
    const isAdded = ({ what, id }: Frame) => id === li.id && (what === "added" || what === "joined");
    if (isByAnn) await hear(0, li, isAdded);
    const [replies, removed] = await Promise.all([
      li.client.requestAll(Array.from({ length: tries }, () => groupChat(li, groupid, "through b"))),
      act(ann, "remove", groupid, { id: li.id }),
      wu.client.requestAll(Array.from({ length: 5 }, () => groupChat(wu, groupid, "meanwhile"))),
    ]);
    const late = await wu.client.requestAll(
      Array.from({ length: 3 }, () => groupChat(wu, groupid, "behind")),
    );
    const { seq: end = 0 } = removed;
    assert(late.every(({ seq = 0 }) => seq > end));
    for (const { errno, seq = 0 } of replies) {
      if (errno === 0) written.push(seq);
      else refused.add(errno);
    }
    const isRemoved = ({ what, id, seq }: Frame) => what === "removed" && id === li.id && seq === end;
    await hear(0, li, isRemoved);
    await hear(1, phone, isRemoved);
    const begin = heard[1]?.find((seq) => seq > (stays.at(-1)?.[1] ?? 0)) ?? 0;
    stays.push([begin, end]);
  }
  // Behind the last entry there is nothing.
  await li.client.fence();
  await phone.client.fence();
  assertEquals([...refused], [7]);
  for (const seqs of [written, ...heard]) {
    assertEquals(seqs.filter((seq) => !isWithin(seq, stays)), []);
  }
  // The other device has all of each stay, in order.
  const rows = await cluster.column(
    `SELECT seq FROM Message WHERE conversation = '${conversation}' ORDER BY seq`,
  );
  assertEquals(heard[1], rows.map(Number).filter((seq) => isWithin(seq, stays)));
  const strange = await cluster.column(
    `SELECT seq FROM Message WHERE conversation = '${conversation}' AND sender = ${li.id} AND kind = 0`,
  );
  assertEquals(strange.map(Number), written.toSorted((a, b) => a - b));
  assert(
    written.length > rounds && written.length < rounds * tries,
    `${written.length} of ${rounds * tries}`,
  );
});

Deno.test("who is added hears of it on every node, and so does who is there when all have changed", async () => {
  await using cluster = await startCluster(["a", "b"], ["--invites", "open"]);
  await using ann = await newPerson(cluster.node("a").port, "ann", { v: 3 });
  await using li = await newPerson(cluster.node("a").port, "li", { v: 3 });
  await using wu = await newPerson(cluster.node("b").port, "wu", { v: 3 });
  await using old = await newPerson(cluster.node("b").port, "old");
  const groupid = await newGroup(ann);
  for (const { id } of [li, wu, old]) assertEquals((await act(ann, "add", groupid, { id })).errno, 0);
  await ann.client.request(groupChat(ann, groupid, "welcome"));
  for (const { client } of [li, wu, old]) await client.receiveUntil(({ msg }) => msg === "welcome");
  // As many as are on this node, but not the same.
  assertEquals((await act(ann, "remove", groupid, { id: old.id })).errno, 0);
  assertEquals((await act(ann, "remove", groupid, { id: li.id })).errno, 0);
  await ann.client.request(groupChat(ann, groupid, "we two"));
  await wu.client.receiveUntil(({ msg }) => msg === "we two");
  await old.client.fence();
  await old.client.send({ ...groupChat(old, groupid, "am I here?") });
  await old.client.fence();
  // A node listens for nobody to what nobody there is in.
  assertEquals((await act(wu, "leave", groupid)).errno, 0);
  await waitFor("node b to listen no more", async () => {
    const [, listeners] = (await cluster.redis.cli("PUBSUB", "CHANNELS", `*g:${groupid}`)).split("\n");
    return listeners === undefined;
  });
  assertEquals((await ann.client.receiveUntil(({ what }) => what === "left")).at(-1)?.id, wu.id);
});

Deno.test("a group that is dissolved while everybody writes ends for all at one entry", async () => {
  await using cluster = await startCluster(["a", "b"], ["--message-rate", "0"]);
  await using ann = await newPerson(cluster.node("a").port, "ann", { v: 3 });
  await using li = await newPerson(cluster.node("b").port, "li", { v: 3 });
  await using wu = await newPerson(cluster.node("b").port, "wu", { v: 3 });
  const groupid = await newGroup(ann, { join: "open" });
  const conversation = `g${groupid}`;
  for (const { client } of [li, wu]) await client.request({ msgid: 9, groupid });
  const [first, second, dissolved] = await Promise.all([
    li.client.requestAll(Array.from({ length: 200 }, () => groupChat(li, groupid, "li"))),
    wu.client.requestAll(Array.from({ length: 200 }, () => groupChat(wu, groupid, "wu"))),
    act(ann, "dissolve", groupid),
  ]);
  const { seq: end = 0 } = dissolved;
  const written = [...first, ...second].flatMap(({ errno, seq }) => errno === 0 ? [seq ?? 0] : []);
  assert(written.every((seq) => seq < end));
  assertEquals(await cluster.column(`SELECT MAX(seq) FROM Message WHERE conversation = '${conversation}'`), [
    String(end),
  ]);
  for (const { client } of [li, wu]) {
    const frames = await client.receiveUntil(({ what }) => what === "dissolved");
    assertEquals(frames.at(-1)?.seq, end);
    await client.fence();
    const { messages = [] } = await client.request({ msgid: 15, conversation, limit: 1 });
    assertEquals(messages.map(({ what }) => what), ["dissolved"]);
  }
});
