/** Logins by the hundred and passwords that are guessed: they cost those who do it, and nobody else. */

import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { type Asker, FairQueue, NoTurnError } from "../../lib/base/fair_queue.ts";
import { Guesses, type GuessOptions } from "../../lib/chat/guesses.ts";
import { MemoryTallies, SharedTallies, type Tally } from "../../lib/cluster/tallies.ts";
import { ChatClient, type Frame, PASSWORD, signUp } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { type Server, startServer } from "../support/services.ts";

const unit = { permissions: "none" } as const;
const encoder = new TextEncoder();

function asker(person: string | undefined, { isEnded = false, isPeerGone = false } = {}): Asker {
  return { person, isEnded, outlet: { isPeerGone } };
}

/** A queue that does one thing at a time, the first of which goes on until `release`. */
function busyQueue(maxWaiting: number) {
  const queue = new FairQueue(1, maxWaiting);
  const done: string[] = [];
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const first = queue.run(asker(undefined), () => promise);
  const add = (who: Asker, name: string) =>
    queue.run(who, () => {
      done.push(name);
      return Promise.resolve();
    }).catch((error) => {
      assert(error instanceof NoTurnError);
      done.push(`${name} refused`);
    });
  return { queue, done, add, finish: () => (release(), first) };
}

Deno.test("addresses have turns, whatever each of them asks for", unit, async () => {
  const { done, add, finish } = busyQueue(100);
  const all = [1, 2, 3].map((number) => add(asker("a"), `a${number}`));
  all.push(
    add(asker("b"), "b1"),
    add(asker(undefined), "n1"),
    add(asker(undefined), "n2"),
    add(asker("b"), "b2"),
  );
  await finish();
  await Promise.all(all);
  assertEquals(done, ["a1", "b1", "n1", "n2", "a2", "b2", "a3"]);
});

Deno.test(
  "what nobody waits for is not done, and what perhaps nobody waits for comes last",
  unit,
  async () => {
    const { queue, done, add, finish } = busyQueue(100);
    const ended = asker("a", { isEnded: true });
    const all = [
      add(ended, "ended"),
      add(asker("b", { isPeerGone: true }), "half closed"),
      add(asker("b"), "b"),
    ];
    all.push(add(asker("c"), "c"));
    await finish();
    await Promise.all(all);
    assertEquals(done.toSorted(), ["b", "c", "ended refused", "half closed"]);
    assertEquals(done.at(-1), "half closed");
    assertEquals(queue.waiting, 0);
  },
);

Deno.test("a full queue has room for who has asked for less, and forgets who is gone", unit, async () => {
  const { queue, done, add, finish } = busyQueue(4);
  const gone = { person: "g", isEnded: false, outlet: { isPeerGone: false } };
  const all = [1, 2, 3].map((number) => add(asker("a"), `a${number}`));
  all.push(add(gone, "gone"), add(asker("b"), "b1"), add(asker("a"), "a4"));
  assertEquals(queue.waiting, 4);
  gone.isEnded = true;
  all.push(add(asker("c"), "c1"));
  await finish();
  await Promise.all(all);
  assertEquals(done.toSorted(), ["a1", "a2", "a3 refused", "a4 refused", "b1", "c1", "gone refused"]);
  assertEquals(queue.waiting, 0);
});

Deno.test("work that fails passes its turn on", unit, async () => {
  const queue = new FairQueue(1, 10);
  const failing = queue.run(asker("a"), () => Promise.reject(new Error("no")));
  const after = queue.run(asker("b"), () => Promise.resolve("done"));
  await assertRejects(() => failing, Error, "no");
  assertEquals(await after, "done");
});

/** Counts whose clock is the test's. */
function fakeGuesses(given: Partial<GuessOptions> = {}) {
  const world = { now: 0 };
  const options = { wrongPasswords: 40, wrongPasswordsPerAddress: 200, wrongCodes: 20, signupRate: 200 };
  return { world, guesses: new Guesses(new MemoryTallies(() => world.now), { ...options, ...given }) };
}

/** Tries passwords without end, and as soon as it may; resolves with how many were looked at by `until`, ms. */
async function guessUntil(
  { world, guesses }: ReturnType<typeof fakeGuesses>,
  userId: number,
  personOf: (attempt: number) => string | undefined,
  until: number,
): Promise<number> {
  for (let attempt = 0;; attempt++) {
    const person = personOf(attempt);
    world.now += Math.max(1, await guesses.msToWait(userId, person));
    if (world.now > until) return attempt;
    await guesses.wrong(userId, person);
  }
}

Deno.test(
  "an account can be guessed at some hundred times a day, from however many addresses",
  unit,
  async () => {
    for (
      const personOf of [(attempt: number) => `198.51.100.${attempt}`, () => "198.51.100.1", () => undefined]
    ) {
      const fake = fakeGuesses();
      const guesses = await guessUntil(fake, 7, personOf, 86_400_000);
      assertGreater(guesses, 40);
      assertLess(guesses, 200);
    }
  },
);

Deno.test(
  "an address can guess at any number of accounts no faster than once in ten seconds in the long run",
  unit,
  async () => {
    const { world, guesses } = fakeGuesses();
    let count = 0;
    for (let userId = 1; world.now < 86_400_000; userId++) {
      world.now += Math.max(1, await guesses.msToWait(userId, "198.51.100.1"));
      await guesses.wrong(userId, "198.51.100.1");
      count++;
    }
    assertLess(count, 9_000);
  },
);

Deno.test("who guesses does not lock the owner out where the owner has been before", unit, async () => {
  const fake = fakeGuesses();
  const { world, guesses } = fake;
  await guesses.right(7, "192.0.2.1");
  await guessUntil(fake, 7, (attempt) => `198.51.100.${attempt % 100}`, 3_600_000);
  await guesses.wrong(7, "198.51.100.1");
  assertGreater(await guesses.msToWait(7, "192.0.2.2"), 0);
  assertEquals(await guesses.msToWait(7, "192.0.2.1"), 0);
  // Nor does who guesses at everybody behind the owner's own address.
  for (let userId = 100; userId < 400; userId++) await guesses.wrong(userId, "192.0.2.1");
  assertGreater(await guesses.msToWait(8, "192.0.2.1"), 0);
  assertEquals(await guesses.msToWait(7, "192.0.2.1"), 0);
  // To guess from there has a limit of its own, and ends with the right password.
  for (let attempt = 0; attempt < 41; attempt++) await guesses.wrong(7, "192.0.2.1");
  assertGreater(await guesses.msToWait(7, "192.0.2.1"), 0);
  world.now += 900_000;
  assertEquals(await guesses.msToWait(7, "192.0.2.1"), 0);
  await guesses.right(7, "192.0.2.1");
  await guesses.wrong(7, "192.0.2.1");
  assertEquals(await guesses.msToWait(7, "192.0.2.1"), 0);
});

Deno.test("whose wrong passwords are forgotten may try again at once", unit, async () => {
  const { guesses } = fakeGuesses({ signupRate: 2 });
  const [owner, other] = ["192.0.2.7", "198.51.100.9"];
  await guesses.right(1, owner);
  for (let count = 0; count < 41; count++) {
    for (const person of [owner, other]) await guesses.wrong(1, person);
  }
  const waits = () =>
    Promise.all([owner, other].map(async (person) => await guesses.msToWait(1, person) > 0));
  assertEquals(await waits(), [true, true]);
  await guesses.forget([{ userId: 1 }, { userId: 1, person: owner }]);
  assertEquals(await waits(), [false, false]);
  for (let count = 0; count < 21; count++) await guesses.wrongCode(other);
  for (let count = 0; count < 200; count++) await guesses.wrong(2 + count, other);
  while (await guesses.trySignup(other) === 0);
  await guesses.forget([{ person: other }]);
  assertEquals(await guesses.msToWait(9, other), 0);
  assertEquals(await guesses.msToWaitForCode(other), 0);
  assertEquals(await guesses.trySignup(other), 0);
});

Deno.test("a class of 60 behind one address notices nothing", unit, async () => {
  const { world, guesses } = fakeGuesses();
  for (let pupil = 1; pupil <= 60; pupil++) {
    assertEquals(await guesses.trySignup("192.0.2.1"), 0);
    assertEquals(await guesses.trySignup("192.0.2.1"), 0, "once more, under another name");
  }
  for (let lesson = 0; lesson < 5; lesson++) {
    for (let pupil = 1; pupil <= 60; pupil++) {
      for (let mistake = 0; mistake < 3; mistake++) {
        assertEquals(await guesses.msToWait(pupil, "192.0.2.1"), 0);
        await guesses.wrong(pupil, "192.0.2.1");
      }
      assertEquals(await guesses.msToWait(pupil, "192.0.2.1"), 0);
      await guesses.right(pupil, "192.0.2.1");
    }
    world.now += 3_600_000;
  }
});

Deno.test("signups of an address are counted by the hour, and of nobody's not at all", unit, async () => {
  const { world, guesses } = fakeGuesses({ signupRate: 10 });
  for (let count = 0; count < 10; count++) assertEquals(await guesses.trySignup("192.0.2.1"), 0);
  assertEquals(await guesses.trySignup("192.0.2.1"), 360_000);
  assertEquals(await guesses.trySignup("192.0.2.2"), 0);
  world.now += 360_000;
  assertEquals(await guesses.trySignup("192.0.2.1"), 0);
  assertGreater(await guesses.trySignup("192.0.2.1"), 0);
  for (let count = 0; count < 1_000; count++) assertEquals(await guesses.trySignup(undefined), 0);
  const { guesses: unlimited } = fakeGuesses({ signupRate: 0 });
  for (let count = 0; count < 1_000; count++) assertEquals(await unlimited.trySignup("192.0.2.1"), 0);
});

Deno.test("while Redis is away a node goes on with what it has counted itself", unit, async () => {
  const away = () => Promise.reject(new Error("away"));
  const tallies = new SharedTallies({ script: away, command: away }, "p:", () => 0);
  const tally: Tally = { key: "k", wearMs: 1_000 };
  await tallies.add([tally, tally]);
  assertEquals((await tallies.read([tally]))[0]?.count, 2);
  await tallies.clear(["k"]);
  assertEquals((await tallies.read([tally]))[0]?.count, 0);
});

/** A connection that a proxy passes on for this address. */
async function connectFrom(server: Server, address: string): Promise<ChatClient> {
  const client = await ChatClient.connect(server.port);
  await client.sendBytes(encoder.encode(`PROXY TCP4 ${address} 192.0.2.250 4711 6000\r\n`));
  return client;
}

async function tryLogin(server: Server, address: string, id: number, password: string): Promise<Frame> {
  await using client = await connectFrom(server, address);
  return await client.request({ msgid: 1, v: 2, id, password });
}

const PROXIED = ["--proxy-protocol", "127.0.0.1"];

Deno.test("logins that nobody waits for, or that come from one address, do not keep others waiting", async () => {
  await using server = await startServer(["--sqlite", ":memory:", ...PROXIED, "--log-level", "error"]);
  await using signer = await connectFrom(server, "192.0.2.1");
  const id = await signUp(signer, "ann");
  const login = encoder.encode(`{"msgid":1,"id":${id},"password":"guess"}\0`);
  for (let count = 0; count < 300; count++) {
    const client = await connectFrom(server, `198.51.100.${count % 250}`);
    await client.sendBytes(login);
    client.close();
  }
  const waiting: ChatClient[] = [];
  for (let count = 0; count < 200; count++) {
    const client = await connectFrom(server, "198.51.100.251");
    await client.sendBytes(encoder.encode(`{"msgid":1,"id":${1_000 + count},"password":"guess"}\0`));
    waiting.push(client);
  }
  const start = performance.now();
  assertEquals((await tryLogin(server, "192.0.2.1", id, PASSWORD)).errno, 0);
  assertLess(performance.now() - start, 3_000);
  // A name that is taken is found before a hash is made, and so ahead of all of them.
  await using late = await connectFrom(server, "198.51.100.251");
  await late.send({ msgid: 4, name: "ANN", password: "x" });
  assertEquals((await late.receive()).errmsg, "This name is taken");
  for (const client of waiting) client.close();
});

Deno.test("guesses are counted over all connections and nodes; a known address and a token get in", async () => {
  await using cluster = await startCluster(["A", "B"], PROXIED);
  const nodes = [cluster.node("A"), cluster.node("B")] as const;
  await using signer = await connectFrom(nodes[0], "192.0.2.1");
  const id = await signUp(signer, "ann", { v: 2 });
  const { token } = await signer.request({ msgid: 1, v: 2, id, password: PASSWORD });
  const guess = (count: number) => tryLogin(nodes[count % 2] ?? nodes[0], `198.51.100.${count}`, id, "guess");
  const replies: Frame[] = [];
  for (let count = 0; count < 60; count += 6) {
    replies.push(...await Promise.all([0, 1, 2, 3, 4, 5].map((more) => guess(count + more))));
  }
  const answered = replies.filter(({ errno }) => errno === 1).length;
  assertGreater(answered, 35);
  assertLess(answered, 56);
  assertEquals(replies.at(-1)?.errno, 8);
  assertGreater(replies.at(-1)?.retry_after_ms ?? 0, 0);
  for (const server of nodes) {
    assertEquals((await tryLogin(server, "203.0.113.9", id, PASSWORD)).errno, 8, "from nowhere known");
  }
  await using phone = await connectFrom(nodes[1], "203.0.113.9");
  assertEquals((await phone.request({ msgid: 21, v: 2, token })).errno, 0);
  await phone.request({ msgid: 3, id });
  assertEquals((await tryLogin(nodes[1], "192.0.2.1", id, PASSWORD)).errno, 0);
});

Deno.test("an address may sign up so many an hour, and a new password has a least length", async () => {
  const args = ["--signup-rate", "3", "--password-min", "4"];
  await using server = await startServer(["--sqlite", ":memory:", ...PROXIED, ...args]);
  const attempt = async (address: string, name: string, password = "secret") => {
    await using client = await connectFrom(server, address);
    return await client.request({ msgid: 4, v: 2, name, password });
  };
  assertEquals(
    (await attempt("192.0.2.1", "short", "abc")).errmsg,
    "The password is shorter than 4 characters",
  );
  for (const name of ["a", "b", "c"]) assertEquals((await attempt("192.0.2.1", name, "漢字漢字")).errno, 0);
  const refused = await attempt("192.0.2.1", "d");
  assertEquals(refused.errno, 8);
  assertGreater(refused.retry_after_ms ?? 0, 1_000_000);
  assertEquals((await attempt("192.0.2.2", "d")).errno, 0);
  // Version 1 knows one errno for all that is refused, and shows the text.
  await using old = await connectFrom(server, "192.0.2.1");
  await old.send({ msgid: 4, name: "e", password: "secret" });
  const { errno, errmsg } = await old.receive();
  assertEquals([errno, errmsg], [1, "Too many have signed up from this address; try again later"]);

  await using local = await startServer(["--sqlite", ":memory:", "--signup-rate", "1"]);
  await using client = await ChatClient.connect(local.port);
  for (const name of ["a", "b", "c"]) await signUp(client, name);
});
