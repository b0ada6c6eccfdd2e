/** Who may sign up, and codes for a new password. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createCode, hashCode } from "../../lib/store/access_codes.ts";
import { ChatClient, type Frame, PASSWORD } from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { temporaryFolder } from "../support/process.ts";
import { startServer } from "../support/services.ts";

const DAY_MS = 86_400_000;

/** Stores a code as an operator's command does. */
async function newCode(
  { sql }: Pick<Place, "sql">,
  { kind = "invite", uses = 1, used = 0, lastsMs = DAY_MS, userId = "NULL" as number | "NULL" } = {},
): Promise<string> {
  const code = createCode();
  const hash = Array.from(hashCode(code), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const now = Date.now();
  await sql(
    "INSERT INTO AccessCode (kind, hash, userid, uses, used, created, expires, note) " +
      `VALUES ('${kind}', x'${hash}', ${userId}, ${uses}, ${used}, ${now}, ${now + lastsMs}, '')`,
  );
  return code;
}

function signup(name: string, invite?: unknown): { msgid: 4; v: 2; name: string; password: string } {
  return { msgid: 4, v: 2, name, password: PASSWORD, ...(invite === undefined ? {} : { invite }) };
}

/** What a reply says, without what differs from one request to the next. */
function said({ cid: _, ...reply }: Frame): object {
  return reply;
}

onEachDatabase("signing up by invitation", {
  "an invitation is good as often as it says, however many come at once": async (place) => {
    const code = await newCode(place, { uses: 3 });
    const clients = await Promise.all(Array.from({ length: 12 }, () => place.connect()));
    const replies = await Promise.all(
      clients.map((client) => client.request(signup(place.newName("guest"), code))),
    );
    for (const client of clients) client.close();
    assertEquals(replies.filter(({ errno }) => errno === 0).length, 3);
    assertEquals(new Set(replies.filter(({ errno }) => errno !== 0).map(({ errno }) => errno)), new Set([7]));
    assertEquals(await place.sql("SELECT used FROM AccessCode ORDER BY id DESC LIMIT 1"), [["3"]]);
  },
  "it is good however it is typed, and not used where the name is taken": async (place) => {
    const code = await newCode(place, { uses: 2 });
    await using client = await place.connect();
    const name = place.newName("twice");
    const typed = code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o").replaceAll("1", "l");
    assertEquals((await client.request(signup(name, typed))).errno, 0);
    assertEquals((await client.request(signup(name, code))).errno, 1);
    assertEquals((await client.request(signup(`${name} b`, code))).errno, 0);
    assertEquals((await client.request(signup(`${name} c`, code))).errno, 7);
  },
  "nothing tells apart codes that are wrong, used up, expired, for something else or not there": async (
    place,
  ) => {
    const codes = [
      createCode(),
      "x".repeat(5_000),
      await newCode(place, { uses: 1, used: 1 }),
      await newCode(place, { lastsMs: -1_000 }),
      await newCode(place, { kind: "password", userId: 1 }),
      undefined,
      7,
      "",
    ];
    const replies: object[] = [];
    for (const code of codes) {
      await using client = await place.connect();
      // A name that nobody could have says nothing either.
      for (const name of [place.newName("guest"), ""]) {
        replies.push(said(await client.request(signup(name, code))));
      }
    }
    const errmsg = "Signing up here needs an invitation that is good";
    for (const reply of replies) assertEquals(reply, { msgid: 5, errno: 7, errmsg, signup: "invite" });
  },
  "version 1 gives its invitation in the same field, and hears what it can": async (place) => {
    const code = await newCode(place);
    await using client = await place.connect();
    const name = place.newName("old");
    const frame = { msgid: 4, name, password: PASSWORD };
    await client.send(frame);
    assertEquals((await client.receive()).errno, 1);
    await client.send({ ...frame, invite: code });
    assertEquals((await client.receive()).errno, 0);
  },
  "after five wrong codes in a row a connection has to wait": async (place) => {
    const code = await newCode(place);
    await using client = await place.connect();
    const errnos: number[] = [];
    for (let i = 0; i < 6; i++) {
      errnos.push((await client.request(signup("guest", createCode()))).errno ?? NaN);
    }
    assertEquals(errnos, [7, 7, 7, 7, 7, 8]);
    assertEquals((await client.request(signup("guest", code))).errno, 8, "also with a good one");
  },
  "a code for a new password works once, ends sessions and tokens, and only that": async (place) => {
    const invite = await newCode(place);
    await using client = await place.connect();
    const { id } = await client.request(signup(place.newName("forgetful"), invite));
    assert(id !== undefined);
    const login = { msgid: 1, v: 2, id };
    const { token } = await client.request({ ...login, password: PASSWORD });
    const code = await newCode(place, { kind: "password", userId: id });
    await using other = await place.connect();
    const reset = (code: string, password: string) => other.request({ msgid: 36, v: 2, code, password });
    assertEquals((await reset(invite, "another one")).errno, 1, "an invitation is no such code");
    assertEquals((await reset(code, "")).errno, 1);
    const reply = await reset(code, "another one");
    assertEquals([reply.errno, reply.id], [0, id]);
    assertEquals((await reset(code, "a third one")).errno, 1);
    const [notice] = await client.receiveRest();
    assertEquals([notice?.code, notice?.reconnect], ["revoked", false]);
    assertEquals((await other.request({ msgid: 21, v: 2, token })).errno, 11);
    assertEquals((await other.request({ ...login, password: PASSWORD })).errno, 1);
    assertEquals((await other.request({ ...login, password: "another one" })).errno, 0);
  },
}, ["--signup", "invite"]);

Deno.test("where signing up is closed nobody signs up, and users log in", async () => {
  await using folder = await temporaryFolder();
  const database = ["--sqlite", `${folder.path}/chat.db`];
  let id: number | undefined;
  {
    await using server = await startServer(database);
    await using client = await ChatClient.connect(server.port);
    id = (await client.request(signup("li"))).id;
    await server.stop();
  }
  await using server = await startServer([...database, "--signup", "closed"]);
  await using client = await ChatClient.connect(server.port);
  const reply = await client.request(signup("wu"));
  assertEquals([reply.errno, reply.signup], [7, "closed"]);
  assertEquals((await client.request({ msgid: 1, v: 2, id, password: PASSWORD })).errno, 0);
});

Deno.test("an address that tries codes has to wait, on whichever connection, and no other address", async () => {
  await using folder = await temporaryFolder();
  const proxies = ["--proxy-protocol", "127.0.0.1", "--http", "127.0.0.1:0"];
  await using server = await startServer([
    ...["--sqlite", `${folder.path}/chat.db`, "--signup", "invite"],
    ...proxies,
  ]);
  const ask = async (address: string) => {
    await using client = await ChatClient.connect(server.port);
    await client.sendBytes(new TextEncoder().encode(`PROXY TCP4 ${address} 127.0.0.1 1 2\r\n`));
    return (await client.request(signup("guest", createCode()))).errno;
  };
  const errnos: (number | undefined)[] = [];
  // What wears off meanwhile is less than one.
  while (errnos.length < 22 && errnos.at(-1) !== 8) errnos.push(await ask("192.0.2.1"));
  assertEquals([errnos.slice(0, 20), errnos.at(-1)], [Array(20).fill(7), 8]);
  assertEquals(await ask("192.0.2.2"), 7);
  const { host, port } = server.address("http");
  const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
  assertMatch(metrics, /chat_limited_total\{limit="codes"\} 1\n/);
});
