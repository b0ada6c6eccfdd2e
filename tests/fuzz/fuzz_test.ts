/**
 * Sends a running cluster what nobody should, by every way into it at once, and looks whether anybody else notices.
 *
 * The inputs follow from the printed seed: CHAT_TEST_SEED gives it back, and CHAT_FUZZ_SECONDS says how long.
 *
 * @module
 */

import { assertEquals, assertLess } from "@std/assert";
import { ChatClient, groupChat, newPerson, signUp } from "../support/chat_client.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { readVitals } from "../faults/vitals.ts";
import { readMetrics } from "../support/metrics.ts";
import { waitFor } from "../support/process.ts";
import { WebHttpFuzzer, WebSocketFuzzer } from "./web_fuzzers.ts";
import { randomFrom, testSeed } from "../support/random.ts";
import { Bystanders } from "./bystanders.ts";
import {
  DatagramFuzzer,
  EnvelopeFuzzer,
  FieldFuzzer,
  type Fuzzer,
  HttpFuzzer,
  OptionFuzzer,
  ProxyFuzzer,
  StreamFuzzer,
  type Target,
} from "./fuzzers.ts";

const SECONDS = Number(Deno.env.get("CHAT_FUZZ_SECONDS") ?? 20);
/** Between two inputs of one fuzzer: what is looked for is one input that costs much, not many that cost something. */
const PAUSE_MS = 5;
/** What a process may keep that it did not have before: caches, and a heap that has grown once, MiB. */
const GROWTH_MIB = 160;
/**
 * Others' messages there and back, ms: as good as this, or, where the machine does much else, so many times what it was.
 * They are measured by the process that makes the inputs, which is late itself now and then.
 */
const GOOD = { p50: 100, p99: 500 };
const TIMES = 30;
/** No input may hold a node's event loop for so long, s. */
const LAG_S = 1;
/** Inputs of each fuzzer that a failure shows. */
const LAST_INPUTS = 5;

const { seed } = testSeed();

/** A fuzzer at work. */
class Run {
  readonly name: string;
  steps = 0;
  readonly #fuzzer: Fuzzer;
  readonly #last: string[] = [];

  constructor(name: string, fuzzer: Fuzzer) {
    this.name = name;
    this.#fuzzer = fuzzer;
  }

  /** Sends until `isOver`. A connection that the node refuses, being full or draining, is no failure of this. */
  async until(isOver: () => boolean, number: number): Promise<void> {
    await using fuzzer = this.#fuzzer;
    const random = randomFrom(seed + number);
    while (!isOver()) {
      await fuzzer.step(random, (input) => this.#note(input));
      this.steps++;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #note(input: string | Uint8Array): void {
    const text = typeof input === "string" ? input : new TextDecoder("latin1").decode(input);
    this.#last.push(JSON.stringify(text.slice(0, 500)));
    if (this.#last.length > LAST_INPUTS) this.#last.shift();
  }

  /** What it sent last. */
  toString(): string {
    return `${this.name}, step ${this.steps}:\n  ${this.#last.join("\n  ")}`;
  }
}

/** Makes the fuzzers' users, and what they have in common: a group, and a few messages. */
async function makeTarget(cluster: Cluster, onFault: (text: string) => void): Promise<Target> {
  const node = cluster.node("A");
  const { port } = node;
  const userIds: number[] = [];
  {
    await using first = await newPerson(port, "fuzzer 1", { v: 2 });
    await first.client.request({ msgid: 8, id: first.id, groupname: "fuzzers", groupdesc: "", join: "open" });
    for (let count = 0; count < 20; count++) {
      await first.client.request(groupChat(first, 1, `message ${count}`));
    }
    userIds.push(first.id);
  }
  for (const number of [2, 3]) {
    await using client = await ChatClient.connect(port);
    userIds.push(await signUp(client, `fuzzer ${number}`));
  }
  const [id, secret = ""] = (await cluster.mariaDb.sql("SELECT id, secret FROM Cluster")).split("\t");
  return {
    port,
    proxiedPort: cluster.node("P").port,
    udpPort: node.address("udp").port,
    httpPort: node.address("http").port,
    webPort: node.address("web").port,
    redisPort: cluster.redis.port,
    channelPrefix: `chat:${id}:`,
    secret,
    userIds,
    onFault,
  };
}

async function isAlive(httpPort: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${httpPort}/healthz`);
  return response.status === 200 && await response.text() === "alive\n";
}

/** Sealed nonsense on the bus is told as what it is: another node's. */
const OF_NODES = "cannot handle what another node has sent";

/** Lines of a node's log that nobody may cause. */
function failures(log: string): string[] {
  return log.split("\n").filter((line) =>
    / error |^\s+at |Uncaught|panicked/.test(line) && !line.includes(OF_NODES)
  );
}

Deno.test(`nobody notices ${SECONDS} s of what nobody should send (CHAT_TEST_SEED=${seed})`, async () => {
  console.log(`CHAT_TEST_SEED=${seed}`);
  await using cluster = await startCluster(["A"], [
    "--http",
    "127.0.0.1:0",
    "--udp",
    "0",
    "--web",
    "127.0.0.1:0",
  ]);
  await cluster.startNode("P", 0, { CHAT_PROXY_PROTOCOL: "127.0.0.1" });
  const faults = new Set<string>();
  const target = await makeTarget(cluster, (text) => faults.add(text));
  await using bystanders = await Bystanders.meet(target.port);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const quiet = bystanders.latencies();
  const nodes = [...cluster.nodes.values()];
  const before = await Promise.all(nodes.map(({ pid }) => readVitals(pid)));

  const [one = 0, two = 0] = target.userIds;
  const runs = [
    new Run("streams", new StreamFuzzer(target)),
    new Run("fields, version 1", new FieldFuzzer(target, one, 1)),
    new Run("fields, version 2", new FieldFuzzer(target, two, 2)),
    new Run("PROXY headers", new ProxyFuzzer(target)),
    new Run("datagrams", new DatagramFuzzer(target)),
    new Run("envelopes", new EnvelopeFuzzer(target)),
    new Run("HTTP", new HttpFuzzer(target)),
    new Run("HTTP for browsers", new WebHttpFuzzer(target)),
    new Run("WebSockets", new WebSocketFuzzer(target)),
    new Run("options", new OptionFuzzer(target)),
  ];
  const end = performance.now() + SECONDS * 1_000;
  let isFailed = false;
  const isOver = () => isFailed || performance.now() > end;
  bystanders.talk.catch((error) => {
    isFailed = true;
    faults.add(`somebody else was cut off: ${error}`);
  });
  const results = await Promise.allSettled(runs.map((run, number) => run.until(isOver, number)));
  const loud = bystanders.latencies();

  const steps = runs.map(({ name, steps }) => `${name} ${steps}`).join(", ");
  console.log(
    `inputs: ${steps}\np50, p99 of others, ms: ${loud.p50}, ${loud.p99} (${quiet.p50}, ${quiet.p99} without)`,
  );
  const problems = [
    ...results.flatMap((result) => result.status === "rejected" ? [String(result.reason)] : []),
    ...faults,
    ...nodes.flatMap(({ stderr }) => failures(stderr)),
  ];
  assertEquals(problems.slice(0, 10), [], `what came last:\n${runs.join("\n")}`);
  assertEquals(await isAlive(target.httpPort), true);
  for (const share of ["p50", "p99"] as const) {
    assertLess(loud[share], Math.max(GOOD[share], TIMES * quiet[share]), share);
  }
  for (const node of nodes) {
    assertLess((await readMetrics(node)).get("chat_event_loop_lag_seconds") ?? NaN, LAG_S);
  }
  await waitFor("memory to be back at its level", async () => {
    const after = await Promise.all(nodes.map(({ pid }) => readVitals(pid)));
    return after.every(({ residentMib }, index) =>
      residentMib < (before[index]?.residentMib ?? 0) + GROWTH_MIB
    );
  });
});
