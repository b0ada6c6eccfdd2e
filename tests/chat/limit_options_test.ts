/** Options of limits: each bounds what it says, a running node takes it over, and what operators read names it. */

import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { LimitCounters } from "../../lib/chat/limit_book.ts";
import { Quota, RATES } from "../../lib/chat/quotas.ts";
import { HELP_SECTIONS, TABLES } from "../../lib/config/options.ts";
import { ChatClient, PASSWORD, type Request, signUp } from "../support/chat_client.ts";
import { temporaryFolder } from "../support/process.ts";
import { ratesOf } from "../support/rates.ts";
import { type Server, startServer } from "../support/services.ts";

Deno.test(
  "each rate is so much in its time, some of it at once, and 0 is any amount",
  { permissions: "none" },
  () => {
    for (const [rate, { option, seconds, burstSeconds }] of Object.entries(RATES)) {
      const hourly = new Quota(ratesOf({ [option]: seconds }));
      const measured = rate as keyof typeof RATES;
      for (let count = 0; count < burstSeconds; count++) assertEquals(hourly.tryTake(measured, 0), 0);
      assertEquals(Math.round(hourly.tryTake(measured, 0)), 1_000, option);
      const rare = new Quota(ratesOf({ [option]: 1 }));
      assertEquals(rare.tryTake(measured, 0), 0, "one at least, however rare");
      const unlimited = new Quota(ratesOf());
      for (let count = 0; count < 10_000; count++) assertEquals(unlimited.tryTake(measured, 0), 0);
    }
  },
);

/** A node behind a proxy that passes on whatever address it is told. */
interface Place {
  server: Server;
  /** A user. */
  id: number;
  /** From an address of its own, unless one is given. */
  connect(address?: string): Promise<ChatClient>;
}

/** Something that a limit bounds. */
interface Trial {
  /** As it is counted. */
  limit: keyof LimitCounters;
  /** A value that it is too much for, and one that it is not. */
  values: readonly [strict: number, loose: number];
  run(place: Place): Promise<void>;
}

/** Lets a function use a logged-in connection. */
async function logged(
  { connect, id }: Place,
  v: 2 | 3,
  use: (client: ChatClient) => Promise<unknown>,
): Promise<void> {
  await using client = await connect();
  const { errno } = await client.request({ msgid: 1, v, id, password: PASSWORD });
  if (errno === 0) await use(client);
}

/** A request on a connection of its own that speaks version 2. */
async function ask({ connect }: Place, address: string | undefined, request: Request): Promise<void> {
  await using client = await connect(address);
  await client.request({ msgid: 4, v: 2, name: "", password: "" });
  await client.request(request);
}

function lookUps({ id }: Place, howMany: number) {
  return Array.from({ length: howMany }, (_, index) => ({ msgid: 7, id, friendid: 1_000 + index }));
}

let names = 0;

const TRIALS: Readonly<Record<string, Trial>> = {
  "lookup-rate": {
    limit: "lookups",
    values: [2, 0],
    run: (place) => logged(place, 2, (client) => client.requestAll(lookUps(place, 230))),
  },
  "request-rate": {
    limit: "requests",
    values: [1, 0],
    run: (place) => logged(place, 2, (client) => client.requestAll(lookUps(place, 4))),
  },
  "device-rate": {
    limit: "devices",
    values: [6, 0],
    async run(place) {
      for (let count = 0; count < 2; count++) await logged(place, 3, () => Promise.resolve());
    },
  },
  "profile-rate": {
    limit: "profiles",
    values: [12, 0],
    run: (place) =>
      logged(place, 3, async (client) => {
        for (let count = 0; count < 2; count++) await client.request({ msgid: 28, status: `${names++}` });
      }),
  },
  "refusal-rate": {
    limit: "refusals",
    values: [1, 10],
    async run({ connect }) {
      await using client = await connect();
      await client.request({ msgid: 4, v: 2, name: "", password: "" });
      // It is closed before all have their answers, or not.
      await client.requestAll(Array(60).fill({ msgid: 99 })).catch(() => {});
    },
  },
  "wrong-passwords": {
    limit: "guesses",
    values: [1, 40],
    async run(place) {
      for (let count = 0; count < 2; count++) {
        await ask(place, undefined, { msgid: 1, id: place.id, password: "no" });
      }
    },
  },
  "wrong-passwords-per-address": {
    limit: "guesses",
    values: [1, 0],
    async run(place) {
      for (const id of [1_001, 1_002]) await ask(place, "198.51.100.1", { msgid: 1, id, password: "no" });
    },
  },
  "wrong-codes": {
    limit: "codes",
    values: [1, 0],
    async run(place) {
      const reset = { msgid: 36, code: "none", password: PASSWORD };
      for (let count = 0; count < 2; count++) await ask(place, "198.51.100.2", reset);
    },
  },
  "signup-rate": {
    limit: "signups",
    values: [1, 0],
    async run(place) {
      for (let count = 0; count < 2; count++) {
        await ask(place, "198.51.100.3", { msgid: 4, name: `more ${names++}`, password: PASSWORD });
      }
    },
  },
};

Deno.test("each limit is what its option says, from a file that a running node reads again", async (t) => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/chat.conf`;
  const write = (...lines: string[]) => Deno.writeTextFile(path, lines.join("\n"));
  await write();
  const fixed = ["--sqlite", ":memory:", "--proxy-protocol", "127.0.0.1", "--http", "127.0.0.1:0"];
  await using server = await startServer(["--config", path, ...fixed]);
  let hosts = 0;
  const connect = async (address = `192.0.2.${++hosts}`) => {
    const client = await ChatClient.connect(server.port);
    await client.sendBytes(new TextEncoder().encode(`PROXY TCP4 ${address} 192.0.2.250 4711 6000\r\n`));
    return client;
  };
  await using client = await connect();
  const place = { server, id: await signUp(client, "ann"), connect };
  const { host, port } = server.address("http");
  const hits = async (limit: string) => {
    const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
    return Number(metrics.match(new RegExp(`chat_limited_total\\{limit="${limit}"\\} (\\d+)`))?.[1]);
  };
  for (const [flag, { limit, values: [strict, loose], run }] of Object.entries(TRIALS)) {
    await t.step(flag, async () => {
      await write(`${flag} = ${strict}`);
      assertMatch(await server.reload(), new RegExp(`reloaded changed=\\S*${flag}`));
      await run(place);
      const before = await hits(limit);
      assertGreater(before, 0);
      await write(`${flag} = ${loose}`);
      await server.reload();
      await run(place);
      assertEquals(await hits(limit), before, `${flag} = ${loose}`);
    });
  }
});

Deno.test("a limit may come from the environment, too", async () => {
  const env = { CHAT_REFUSAL_RATE: "1" };
  await using server = await startServer(["--sqlite", ":memory:"], { env });
  await using client = await ChatClient.connect(server.port);
  await client.request({ msgid: 4, v: 2, name: "", password: "" });
  await client.sendBytes(new TextEncoder().encode("{}".repeat(60)));
  assertEquals((await client.receiveRest()).at(-1)?.code, "flood");
});

Deno.test("what operators read names each limit and its option", async () => {
  const read = (name: string) => Deno.readTextFile(new URL(`../../${name}`, import.meta.url));
  const security = await read("SECURITY.md");
  const all = security + await read("PROTOCOL.md");
  for (const limit of Object.keys(new LimitCounters())) assert(security.includes(`\`${limit}\``), limit);
  const section = HELP_SECTIONS.find(({ heading }) => heading.includes("limits"));
  for (const { flag, placeholder = "", isReloadable } of section?.options ?? []) {
    assertEquals(isReloadable, true, flag);
    if (/^[A-Z]/.test(placeholder)) assert(all.includes(`\`--${flag}\``), flag);
  }
  for (const { option } of Object.values(RATES)) {
    assert(security.includes(`\`--${TABLES.serve[option].flag}\``), option);
  }
});
