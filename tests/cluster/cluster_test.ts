import { assert, assertEquals } from "@std/assert";
import {
  chat,
  ChatClient,
  comeBack,
  groupChat,
  newPerson,
  PASSWORD,
  signUp,
  TIME,
} from "../support/chat_client.ts";
import { type Cluster, startCluster, Talker } from "../support/cluster.ts";
import { nginxConfig } from "../net/nginx_config.ts";
import { freePort, waitFor } from "../support/process.ts";
import { startNginx } from "../support/services.ts";

const count = (length: number, from = 1) => Array.from({ length }, (_, index) => String(index + from));

/** Makes a group through a node and resolves with its id. */
async function makeGroup(cluster: Cluster, creator: Talker, name: string): Promise<number> {
  await creator.send({ msgid: 8, groupname: name, groupdesc: "", join: "open" });
  const [id] = await waitFor(`group ${name}`, async () => {
    const ids = await cluster.column(`SELECT id FROM AllGroup WHERE groupname = '${name}'`);
    return ids.length > 0 ? ids : undefined;
  });
  return Number(id);
}

async function joinGroup(cluster: Cluster, member: Talker, group: number): Promise<void> {
  await member.send({ msgid: 9, groupid: group });
  await waitFor(
    `${member.name} in group ${group}`,
    async () =>
      (await cluster.column(
        `SELECT userid FROM GroupUser WHERE groupid = ${group} AND userid = ${member.id}`,
      )).length > 0,
  );
}

/** Which seqs of a conversation somebody else than this user wrote after it joined. */
async function owed(cluster: Cluster, member: Talker, conversation: string): Promise<number[]> {
  const seqs = await cluster.column(
    "SELECT seq FROM Message JOIN Member USING (conversation) " +
      `WHERE conversation = '${conversation}' AND userid = ${member.id} AND seq > since AND sender <> userid AND kind = 0 ORDER BY seq`,
  );
  return seqs.map(Number);
}

function seqsOf(member: Talker, conversation: string): number[] {
  return member.received.filter((frame) => frame.conversation === conversation).map(({ seq }) => Number(seq));
}

Deno.test("a group on three nodes: every member gets every message once, in order, whoever comes and goes", async () => {
  await using cluster = await startCluster(["A", "B", "C"]);
  const ports = ["A", "B", "C"].map((name) => cluster.node(name).port);
  const port = (index: number) => ports[index % ports.length] ?? 0;
  const talkers = await Promise.all(
    count(9).map((name, index) => Talker.create(port(index), `talker ${name}`)),
  );
  await using stack = new AsyncDisposableStack();
  for (const talker of talkers) stack.use(talker);
  const [creator, ...others] = talkers;
  const [away, late, mover, hopper] = others.slice(-4);
  assert(creator && away && late && mover && hopper);
  await Promise.all(talkers.map((talker, index) => talker.logIn(port(index))));
  const group = await makeGroup(cluster, creator, "everybody");
  for (const talker of talkers) {
    if (talker !== creator && talker !== late) await joinGroup(cluster, talker, group);
  }
  await away.logOut();

  const publishesBefore = await cluster.publishes();
  const speakers = talkers.slice(0, 3);
  const perSpeaker = 100;
  const speaking = speakers.map(async (speaker) => {
    for (let i = 1; i <= perSpeaker; i++) {
      await speaker.sayTo(group, String(i));
      if (i % 10 === 0) await waitFor("the next turn", () => Promise.resolve(true));
    }
  });
  const moving = (async () => {
    for (let round = 1; round <= 6; round++) {
      await mover.logOut();
      await mover.logIn(port(round));
      await hopper.logOut();
      await hopper.logIn(port(round + 1));
    }
  })();
  await joinGroup(cluster, late, group);
  await Promise.all([...speaking, moving]);
  const conversation = `g${group}`;
  const total = speakers.length * perSpeaker;
  await waitFor(
    "all stored",
    async () =>
      (await cluster.column(
        `SELECT COUNT(*) FROM Message WHERE conversation = '${conversation}' AND kind = 0`,
      ))[0] === String(total),
  );
  await away.logIn(port(2));

  for (const talker of talkers) {
    const expected = await owed(cluster, talker, conversation);
    await waitFor(`all for ${talker.name}`, () => seqsOf(talker, conversation).length >= expected.length);
  }
  for (const talker of talkers) {
    assertEquals(seqsOf(talker, conversation), await owed(cluster, talker, conversation), talker.name);
  }
  for (const speaker of speakers) {
    assertEquals(away.from(speaker.id), count(perSpeaker), "the speaker's own order");
  }
  const publishes = await cluster.publishes() - publishesBefore;
  console.log(
    `${total} group messages, 9 members on 3 nodes: ${publishes} publishes, receipts and sweeps included`,
  );
  // One a message, and a receipt a second or so for the conversation and node.
  assert(publishes >= total && publishes < total * 1.5, `${publishes} publishes`);
});

Deno.test("a group whose members are all on one node costs no publish", async () => {
  await using cluster = await startCluster(["A"]);
  const { port } = cluster.node("A");
  await using ann = await Talker.create(port, "ann");
  await using li = await Talker.create(port, "li");
  await ann.logIn(port);
  await li.logIn(port);
  const group = await makeGroup(cluster, ann, "two");
  await joinGroup(cluster, li, group);
  const envelopes = async () => await cluster.publishes();
  const before = await envelopes();
  for (const text of count(50)) await ann.sayTo(group, text);
  await li.heard(50);
  // Receipts are one publish a second at most.
  assert(await envelopes() - before < 10);
});

Deno.test("Redis stopped and started under load: nothing lost, nothing twice, order kept", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [portA, portB] = [cluster.node("A").port, cluster.node("B").port];
  await using stack = new AsyncDisposableStack();
  const pairs: { left: Talker; right: Talker }[] = [];
  for (const name of count(5)) {
    const left = stack.use(await Talker.create(portA, `left ${name}`));
    const right = stack.use(await Talker.create(portB, `right ${name}`));
    await left.logIn(portA);
    await right.logIn(portB);
    pairs.push({ left, right });
  }
  let isOver = false;
  const sent = pairs.map(() => ({ left: 0, right: 0 }));
  const load = pairs.map(async ({ left, right }, index) => {
    const tally = sent[index];
    while (!isOver && tally) {
      await left.say(right.id, String(++tally.left));
      await right.say(left.id, String(++tally.right));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  const said = () => sent.reduce((sum, { left, right }) => sum + left + right, 0);
  for (let round = 0; round < 3; round++) {
    const before = said();
    await waitFor("some load", () => said() > before + 200);
    await (round === 1 ? cluster.redis.kill() : cluster.redis.stop());
    const during = said();
    await waitFor("some load without Redis", () => said() > during + 200);
    await cluster.redis.start();
  }
  const before = said();
  await waitFor("some load", () => said() > before + 200);
  isOver = true;
  await Promise.all(load);

  for (const [index, { left, right }] of pairs.entries()) {
    const tally = sent[index];
    assert(tally);
    await right.heard(tally.left);
    await left.heard(tally.right);
  }
  for (const [index, { left, right }] of pairs.entries()) {
    assertEquals(right.from(left.id), count(sent[index]?.left ?? 0));
    assertEquals(left.from(right.id), count(sent[index]?.right ?? 0));
  }
  console.log(`3 outages of Redis: ${said()} sent, 0 lost, 0 twice, 0 out of order`);
});

Deno.test("a message that rang nowhere is found at the next one, and by itself after a while", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [portA, portB] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await Talker.create(portA, "ann");
  await using li = await Talker.create(portB, "li");
  await ann.logIn(portA);
  await li.logIn(portB);
  await ann.say(li.id, "1");
  await li.heard(1);
  const conversation = `u${Math.min(ann.id, li.id)}-${Math.max(ann.id, li.id)}`;
  // As a node leaves it that is killed between its commit and its publish.
  const storeUnheard = (seq: number) =>
    cluster.mariaDb.sql(
      `UPDATE Conversation SET last_seq = ${seq} WHERE id = '${conversation}'; ` +
        "INSERT INTO Message (conversation, seq, sender, at, message) VALUES " +
        `('${conversation}', ${seq}, ${ann.id}, 1, '{"msgid":6,"id":${ann.id},"msg":"${seq}"}')`,
    );
  await storeUnheard(2);
  await ann.say(li.id, "3");
  await li.heard(3);
  assertEquals(li.from(ann.id), ["1", "2", "3"]);
  await storeUnheard(4);
  await li.heard(4, 40_000);
  assertEquals(li.from(ann.id), ["1", "2", "3", "4"]);
});

Deno.test("a user is online once in the cluster, however many nodes it tries at once", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const ports = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newPerson(ports[0] ?? 0, "ann");
  await using elsewhere = await ChatClient.connect(ports[1] ?? 0);
  await elsewhere.send({ msgid: 1, id: ann.id, password: PASSWORD });
  const { errno, errmsg } = await elsewhere.receive();
  assertEquals(errno, 2, errmsg);

  await ann.client.send({ msgid: 3, id: ann.id });
  await cluster.column("SELECT 1");
  for (let round = 0; round < 5; round++) {
    await waitFor(
      "ann to be offline",
      async () => (await cluster.column(`SELECT state FROM User WHERE id = ${ann.id}`))[0] === "offline",
    );
    const clients = await Promise.all(count(6).map((_, index) => ChatClient.connect(ports[index % 2] ?? 0)));
    const replies = await Promise.all(clients.map(async (client) => {
      await client.send({ msgid: 1, id: ann.id, password: PASSWORD });
      return (await client.receive()).errno;
    }));
    assertEquals(replies.sort(), [0, 2, 2, 2, 2, 2], `round ${round}`);
    for (const client of clients) client.close();
  }
});

Deno.test("with replacement a storm of logins from two nodes ends with one, and nothing is lost on the way", async () => {
  await using cluster = await startCluster(["A", "B"], ["--duplicate-login", "replace"]);
  const ports = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newPerson(ports[0] ?? 0, "ann");
  await using signer = await ChatClient.connect(ports[0] ?? 0);
  const li = { id: await signUp(signer, "li"), name: "li" };
  await using stack = new AsyncDisposableStack();
  const heard = new Set<string>();
  const ended: number[] = [];
  const logins: (number | undefined)[] = [];
  const note = (text: string) => heard.add(JSON.parse(text).msg);
  const listen = async (client: ChatClient, index: number) => {
    await client.send({ msgid: 1, id: li.id, password: PASSWORD });
    try {
      while (true) {
        const text = await client.receiveText(60_000);
        const frame = JSON.parse(text);
        if (frame.msgid === 2) logins[index] = frame.errno;
        frame.offlineMsg?.forEach(note);
        if (frame.msgid === 6) note(text);
      }
    } catch {
      // Replaced, or closed below.
      ended.push(index);
    }
  };
  const clients = await Promise.all(count(10).map((_, index) => ChatClient.connect(ports[index % 2] ?? 0)));
  for (const client of clients) stack.use(client);
  const listening = clients.map(listen);
  const texts = count(40);
  for (const msg of texts) {
    await ann.client.send({ msgid: 6, id: ann.id, name: "ann", toid: li.id, msg, time: TIME });
    await ann.client.fence();
  }
  const isLive = (index: number) => logins[index] === 0 && !ended.includes(index);
  await waitFor("one to be left", () => {
    const settled = clients.every((_, index) => logins[index] !== undefined || ended.includes(index));
    return settled && clients.filter((_, index) => isLive(index)).length === 1;
  });
  for (const client of clients) client.close();
  await Promise.all(listening);
  await using back = await comeBack(ports[1] ?? 0, li);
  back.reply.offlineMsg?.forEach(note);
  assertEquals([...heard].sort(), texts.sort());
});

Deno.test("a killed node frees its users within the lease, by another node's hand", async () => {
  await using cluster = await startCluster(["A", "B"]);
  await using ann = await newPerson(cluster.node("A").port, "ann");
  const killedAt = performance.now();
  await cluster.node("A").kill();
  await waitFor(
    "ann's state to be offline",
    async () => (await cluster.column(`SELECT state FROM User WHERE id = ${ann.id}`))[0] === "offline",
    30_000,
  );
  const seconds = (performance.now() - killedAt) / 1_000;
  console.log(`offline ${seconds.toFixed(1)} s after the kill`);
  assert(seconds < 20);
  await using back = await comeBack(cluster.node("B").port, ann);
  assertEquals(back.reply.errno, 0);
});

Deno.test("a node restarted at once under its name lets its users in again", async () => {
  await using cluster = await startCluster(["A", "B"]);
  await using ann = await newPerson(cluster.node("A").port, "ann");
  await cluster.node("A").kill();
  await cluster.startNode("A");
  await using back = await comeBack(cluster.node("B").port, ann);
  assertEquals(back.reply.errno, 0);
});

Deno.test("--persist offline: much at once to somebody who is away is stored and answered", async () => {
  await using cluster = await startCluster(["a"], ["--persist", "offline"]);
  const { port } = cluster.node("a");
  await using ann = await newPerson(port, "ann", { v: 2 });
  await using client = await ChatClient.connect(port);
  const id = await signUp(client, "li");
  const texts = count(300);
  const replies = await ann.client.requestAll(texts.map((msg) => chat(ann, id, msg)));
  assertEquals(replies.map(({ seq }) => String(seq)), texts);
  // Logging out waits for every answer.
  assertEquals((await ann.client.request({ msgid: 3, id: ann.id })).errno, 0);
  await using li = await comeBack(port, { id, name: "li" });
  assertEquals(li.reply.offlineMsg?.map((text) => JSON.parse(text).msg), texts);
});

Deno.test("a joining that was stored, and its answer lost, counts when it is asked for again", async () => {
  await using cluster = await startCluster(["a"]);
  const { port } = cluster.node("a");
  await using ann = await newPerson(port, "ann", { v: 2 });
  await using li = await newPerson(port, "li", { v: 2 });
  const { groupid = 0 } = await ann.client.request({
    msgid: 8,
    id: ann.id,
    groupname: "g",
    groupdesc: "",
    join: "open",
  });
  // As a transaction leaves it whose node died, or lost its database, before it could answer.
  await cluster.mariaDb.sql(`
    INSERT INTO GroupUser (groupid, userid) VALUES (${groupid}, ${li.id});
    INSERT INTO Member (userid, conversation, since, delivered, \`read\`) VALUES (${li.id}, 'g${groupid}', 0, 0, 0);
    UPDATE Conversation SET members = 2 WHERE id = 'g${groupid}'`);
  await ann.client.request(groupChat(ann, groupid, "before"));
  assertEquals((await li.client.request({ msgid: 9, id: li.id, groupid })).errno, 0);
  await ann.client.request(groupChat(ann, groupid, "after"));
  const heard = await li.client.receiveMany(2);
  assertEquals(heard.map(({ msg }) => msg), ["before", "after"]);
  assertEquals((await li.client.request(groupChat(li, groupid, "me too"))).errno, 0);
});

Deno.test("while Redis is away users go on and logins are refused, and afterwards all is well", async () => {
  await using cluster = await startCluster(["A", "B"]);
  const [portA, portB] = [cluster.node("A").port, cluster.node("B").port];
  await using ann = await newPerson(portA, "ann");
  await using bo = await newPerson(portA, "bo");
  await using li = await newPerson(portB, "li");
  await using late = await ChatClient.connect(portA);
  const lateId = await signUp(late, "late");
  await cluster.redis.stop();
  await cluster.node("A").logged("Redis is away");
  const say = (toid: number, msg: string) =>
    ann.client.send({ msgid: 6, id: ann.id, name: "ann", toid, msg, time: TIME });
  await say(bo.id, "here");
  assertEquals((await bo.client.receive()).msg, "here");
  // The other node looks into the log while nobody rings.
  await say(li.id, "there");
  assertEquals((await li.client.receive()).msg, "there");
  await late.send({ msgid: 1, id: lateId, password: PASSWORD });
  const reason = "Nobody can log in at the moment; try again";
  const { errno, errmsg } = await late.receive();
  assertEquals({ errno, errmsg }, { errno: 1, errmsg: reason });
  await using young = await ChatClient.connect(portA);
  const refusal = await young.request({ msgid: 1, v: 2, id: lateId, password: PASSWORD });
  assertEquals([refusal.errno, refusal.errmsg], [10, reason]);
  assert(!/request failed|frame refused/.test(cluster.node("A").stderr), cluster.node("A").stderr);
  await cluster.redis.start();
  await cluster.node("A").logged("Redis is back");
  await waitFor(
    "a login",
    async () => (await young.request({ msgid: 1, v: 2, id: lateId, password: PASSWORD })).errno === 0,
  );
  await say(li.id, "again");
  assertEquals((await li.client.receive()).msg, "again");
});

Deno.test("through nginx clients land on all nodes and talk; a dead node is left out, and gets clients again later", async () => {
  const names = ["A", "B", "C"];
  await using cluster = await startCluster(names, ["--log-level", "debug"]);
  const nodes = names.map((name) => ({ tcp: cluster.node(name).port, udp: freePort() }));
  const port = freePort();
  const config = await nginxConfig({ port, udpPort: freePort(), nodes });
  await using _nginx = await startNginx({ config, port });
  await using stack = new AsyncDisposableStack();

  const clientsOf = (name: string) => cluster.node(name).stderr.match(/connection opened/g)?.length ?? 0;
  const arrive = async (prefix: string) => {
    const talkers = await Promise.all(count(9).map((name) => Talker.create(port, `${prefix} ${name}`)));
    for (const talker of talkers) await stack.use(talker).logIn(port);
    return talkers;
  };
  const talkInACircle = async (talkers: Talker[], msg: string) => {
    for (const [index, talker] of talkers.entries()) {
      const next = talkers[(index + 1) % talkers.length];
      if (next) await talker.say(next.id, msg);
    }
    await waitFor(`"${msg}" for all`, () => talkers.every(({ received }) => received.at(-1)?.msg === msg));
  };

  const first = await arrive("first");
  await talkInACircle(first, "hello");
  for (const name of names) assert(clientsOf(name) >= 3, `node ${name} has had ${clientsOf(name)} clients`);

  const portOfB = cluster.node("B").port;
  await cluster.node("B").kill();
  const second = await arrive("second");
  await talkInACircle(second, "without B");

  await cluster.startNode("B", portOfB);
  // nginx leaves a node that failed out for its fail_timeout.
  await waitFor("B to get clients again", async () => {
    await using _client = await ChatClient.connect(port);
    return clientsOf("B") > 0;
  });
  const third = await arrive("third");
  await talkInACircle(third, "with B again");
  assert(clientsOf("B") > 1, `node B has had ${clientsOf("B")} clients`);
});
