/** The page for operators, in a browser and without one. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ChatClient, newPerson, PASSWORD, signUp } from "../support/chat_client.ts";
import { browserTest, type Page, startChromium } from "../support/chromium.ts";
import { startCluster } from "../support/cluster.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { runProgram, type Server, startServer } from "../support/services.ts";

const HTTP = ["--http", "127.0.0.1:0"];

/** A node on SQLite, and an admin command on its database. */
async function startNode(...args: string[]) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const database = ["--sqlite", `${folder.path}/chat.db`];
  const server = stack.use(await startServer([...database, ...HTTP, ...args]));
  const owned = stack.move();
  const admin = async (...words: string[]) => {
    const { code, stdout, stderr } = await runProgram(["admin", ...words, ...database]);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  };
  return { server, admin, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${server.address("http").port}`;
}

interface Reply {
  status: number;
  cookie: string | null;
  // deno-lint-ignore no-explicit-any -- a test looks at whatever there is
  json: any;
}

async function send(url: string, fields: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", origin: new URL(url).origin, ...headers },
    body: JSON.stringify(fields),
  });
  const text = await response.text();
  return {
    status: response.status,
    cookie: response.headers.get("set-cookie"),
    json: text.startsWith("{") ? JSON.parse(text) : text,
  };
}

async function logIn(at: string, name: string): Promise<string> {
  const { status, cookie, json } = await send(`${at}/api/login`, { name, password: PASSWORD });
  assertEquals(status, 200, JSON.stringify(json));
  return cookie?.split(";")[0] ?? "";
}

/** Logs in to the page in a browser. */
async function enter(page: Page, name: string): Promise<void> {
  await page.waitFor("document.querySelector('input[name=username]') !== null");
  await page.fill("input[name=username]", name);
  await page.fill("input[name=password]", PASSWORD);
  await page.press("Enter");
  await page.see("Last hour of this node");
}

function clickText(page: Page, selector: string, text: string): Promise<unknown> {
  const find = `[...document.querySelectorAll(${JSON.stringify(selector)})].find((one) => ` +
    `one.textContent === ${JSON.stringify(text)})`;
  return page.waitFor(`${find} && (${find}.click(), true)`);
}

browserTest(
  "an operator sees the node, finds a user, disables it by typing its name, and reads so in the audit",
  async () => {
    await using site = await startNode();
    await using ann = await newPerson(site.server.port, "ann");
    await using bob = await newPerson(site.server.port, "bob", { v: 2 });
    await site.admin("grant", "ann");
    await using chromium = await startChromium();
    await using browser = await chromium.browser();
    const page = await browser.open(`${addressOf(site.server)}/`);
    await enter(page, "ann");
    await page.waitFor(
      "document.querySelector('table[aria-label=Nodes] td:nth-child(3)')?.textContent === '2'",
    );
    await page.evaluate("location.hash = '#people'");
    await page.waitFor("document.querySelector('#people .link') !== null");
    await page.fill("input[type=search]", "BO");
    await page.waitFor("document.querySelectorAll('#people table[aria-label=Users] tbody tr').length === 1");
    await clickText(page, "#people .link", "bob");
    await page.see("No devices of version 3.");
    await clickText(page, "button", "Disable…");
    await page.fill("dialog input", "bo");
    await page.press("Enter");
    await page.see("That is not bob.", "dialog");
    assertEquals(await bob.client.request({ msgid: 18, id: bob.id }).then(({ errno }) => errno), 0);
    await page.fill("dialog input", "bob");
    await page.press("Enter");
    await page.see("disabled", ".details");
    assertEquals((await bob.client.receiveRest()).at(-1)?.code, "revoked");
    await page.evaluate("location.hash = '#audit'");
    await page.see(`ann (${ann.id}), by the page`, "#audit");
    // What was refused without a login is told by the browser, and nothing else.
    assertEquals(page.complaints.filter((text) => !text.includes("401 (Unauthorized)")), []);
    assertEquals(page.requests.filter((url) => !url.startsWith(addressOf(site.server))), []);
    await clickText(page, "button", "Log out");
    await page.waitFor("document.querySelector('input[name=username]') !== null");
    await page.reload();
    await page.waitFor("document.querySelector('input[name=username]') !== null");
  },
);

/** Sends a request as it stands here and gives its status and all that came. */
async function sendRaw(
  server: Server,
  lines: readonly string[],
  body = "",
): Promise<[status: number, text: string]> {
  const { port } = server.address("http");
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = [...lines, `content-length: ${body.length}`, "", ""].join("\r\n");
  await conn.write(new TextEncoder().encode(head + body));
  const text = await new Response(conn.readable).text();
  return [Number(text.split(" ")[1]), text];
}

const LOGIN = JSON.stringify({ name: "ann", password: PASSWORD });

/** The status of a login with these headers, and the cookie that came of it. */
async function loginStatus(server: Server, headers: Record<string, string>): Promise<[number, string]> {
  const all = {
    host: "localhost:1",
    origin: "http://localhost:1",
    "content-type": "application/json",
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== "").map(([name, value]) =>
    `${name}: ${value}`
  );
  const [status, text] = await sendRaw(server, ["POST /api/login HTTP/1.1", ...lines], LOGIN);
  return [status, /^set-cookie: (.*)\r$/im.exec(text)?.[1] ?? ""];
}

Deno.test("without a login there are health, metrics and the files of the page, and nothing is told or done", async () => {
  await using site = await startNode();
  const at = addressOf(site.server);
  await using ann = await newPerson(site.server.port, "ann");
  for (const path of ["/", "/operators.js", "/operators.css", "/tokens.css"]) {
    const response = await fetch(at + path);
    assertEquals(response.status, 200, path);
    assertStringIncludes(response.headers.get("content-security-policy") ?? "", "default-src 'none'");
    assert(!(await response.text()).includes("ann@"));
  }
  for (const path of ["/api/state", "/app.js", "/api/nothing", "/../deno.json"]) {
    const response = await fetch(at + path);
    await response.body?.cancel();
    assertEquals(response.status, path === "/api/state" ? 401 : 404, path);
  }
  for (
    const [path, fields] of [["look", { what: "users", of: "" }], ["act", {
      what: "announce",
      of: "x",
    }]] as const
  ) {
    const reply = await send(`${at}/api/${path}`, fields, { cookie: "chat_operator_00000000=AAAA" });
    assertEquals([reply.status, reply.json], [401, { problem: "Log in." }]);
  }
  await ann.client.expectNothing(100);
  assertEquals((await site.admin("audit")).trim(), "Nothing.");
});

Deno.test("a login comes from the page itself, from this machine or by HTTPS through a known proxy", async () => {
  await using site = await startNode("--proxy-protocol", "127.0.0.1");
  await using other = await startNode();
  for (const { server, admin } of [site, other]) {
    await using client = await ChatClient.connect(server.port);
    const isProxied = server === site.server;
    if (isProxied) {
      await client.sendBytes(new TextEncoder().encode("PROXY TCP4 203.0.113.9 127.0.0.1 9 9\r\n"));
    }
    await signUp(client, "ann");
    await admin("grant", "ann");
  }
  const isHere = (headers: Record<string, string>) => loginStatus(site.server, headers);
  assertEquals(await isHere({}).then(([status]) => status), 200);
  assertEquals(await isHere({ host: "[::1]:7", origin: "http://[::1]:7" }).then(([status]) => status), 200);
  const refused: Record<string, string>[] = [
    { origin: "" },
    { origin: "null" },
    { origin: "http://localhost:2" },
    { origin: "https://localhost:1" },
    { "sec-fetch-site": "cross-site" },
    // A name that leads here by somebody else's doing.
    { host: "evil.example", origin: "http://evil.example" },
    { host: "localhost.evil.example", origin: "http://localhost.evil.example" },
    { "x-forwarded-for": "203.0.113.5" },
    { "x-forwarded-for": "203.0.113.5", "x-forwarded-proto": "http" },
  ];
  for (const headers of refused) assertEquals((await isHere(headers))[0], 403, JSON.stringify(headers));
  assertEquals((await isHere({ "content-type": "text/plain" }))[0], 415);

  const [, plain] = await isHere({});
  assertMatch(
    plain,
    /^chat_operator_[0-9a-f]{8}=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
  );
  const byProxy = { host: "chat.example", origin: "https://chat.example", "x-forwarded-proto": "https" };
  const [status, cookie] = await isHere({ ...byProxy, "x-forwarded-for": "203.0.113.5" });
  assertEquals(status, 200);
  assertMatch(cookie, /; HttpOnly; SameSite=Strict; Secure$/);
  assertEquals((await loginStatus(other.server, byProxy))[0], 403, "nobody has said that this is a proxy");
});

Deno.test("requests that are too long, or no JSON object, are refused", async () => {
  await using site = await startNode();
  const head = [
    "POST /api/login HTTP/1.1",
    "host: localhost",
    "origin: http://localhost",
    "content-type: application/json",
  ];
  for (
    const [body, expected] of [["", 400], ["[1", 400], ["7", 400], ['{"name":7}', 400], [
      "x".repeat(20_000),
      413,
    ]] as const
  ) {
    const [status] = await sendRaw(site.server, head, body);
    assertEquals(status, expected, body.slice(0, 20));
  }
  assertEquals(await (await fetch(`${addressOf(site.server)}/healthz`)).text(), "alive\n");
});

Deno.test("who is no administrator, and who has a wrong password, hears the same; guessing is limited as logins are", async () => {
  await using site = await startNode();
  const at = addressOf(site.server);
  await using _ann = await newPerson(site.server.port, "ann");
  await using _bob = await newPerson(site.server.port, "bob");
  await site.admin("grant", "ann");
  const answers = [];
  for (
    const fields of [
      { name: "bob", password: PASSWORD },
      { name: "ann", password: "wrong" },
      { name: "nobody", password: PASSWORD },
      { name: "x".repeat(9_000), password: PASSWORD },
    ]
  ) {
    const { status, json, cookie } = await send(`${at}/api/login`, fields);
    assertEquals([status, cookie], [403, null]);
    answers.push(json.problem);
  }
  assertEquals(new Set(answers).size, 1);
  let last: Reply = { status: 403, cookie: null, json: {} };
  let tries = 0;
  while (last.status === 403 && tries < 60) {
    last = await send(`${at}/api/login`, { name: "ann", password: `guess ${++tries}` });
  }
  assertEquals(last.status, 429);
  assertMatch(last.json.problem, /Try again in \d+ s\./);
  // It is one count with the chat's.
  await using client = await ChatClient.connect(site.server.port);
  assertEquals((await client.request({ msgid: 1, v: 3, name: "ann", password: "wrong" })).errno, 8);
});

Deno.test("who loses the role, or has all sessions ended, is out at once; so is who logs out", async () => {
  await using site = await startNode();
  const at = addressOf(site.server);
  await using _ann = await newPerson(site.server.port, "ann");
  const stateOf = async (cookie: string) => {
    const response = await fetch(`${at}/api/state`, { headers: { cookie } });
    await response.body?.cancel();
    return response.status;
  };
  for (
    const [before, after] of [["grant", "revoke"], ["grant", "disable"], ["enable", "sessions end"]] as const
  ) {
    await site.admin(before, "ann");
    const cookie = await logIn(at, "ann");
    assertEquals(await stateOf(cookie), 200);
    await site.admin(...after.split(" "), "ann");
    assertEquals(await stateOf(cookie), 401, after);
  }
  const cookie = await logIn(at, "ann");
  assertEquals((await send(`${at}/api/logout`, {}, { cookie })).status, 200);
  assertEquals(await stateOf(cookie), 401);
});

Deno.test("users and groups are found by the beginning of a name or an id; what hurts wants the name; the rest is refused", async () => {
  await using site = await startNode();
  const at = addressOf(site.server);
  await using ann = await newPerson(site.server.port, "Ann Lee", { v: 2 });
  await using bob = await newPerson(site.server.port, "bob", { v: 2 });
  await site.admin("grant", "=Ann Lee");
  await ann.client.request({ msgid: 8, id: ann.id, groupname: "Annals", groupdesc: "old" });
  const cookie = await logIn(at, "ann lee");
  const look = (what: string, of: string) => send(`${at}/api/look`, { what, of }, { cookie });
  const act = (what: string, of: string, name = "") => send(`${at}/api/act`, { what, of, name }, { cookie });
  const names = async (what: string, of: string, key: string) =>
    (await look(what, of)).json[what].map((row: Record<string, unknown>) => row[key]);
  assertEquals(await names("users", "ANN", "name"), ["Ann Lee"]);
  assertEquals(await names("users", "nn", "name"), []);
  assertEquals(await names("users", String(bob.id), "name"), ["bob"]);
  assertEquals(await names("users", "", "name"), ["Ann Lee", "bob"]);
  assertEquals(await names("groups", "ann", "groupname"), ["Annals"]);
  const { json: group } = await look("group", "1");
  assertEquals(group.members.map(({ name }: { name: string }) => name), ["Ann Lee"]);
  const { json: user } = await look("user", String(ann.id));
  assertEquals([user.administrator, user.groups[0].groupname], [true, "Annals"]);
  assertEquals((await look("user", "999")).status, 409);
  assertEquals((await look("toString", "")).status, 409);
  assertEquals((await look("users", "x".repeat(300))).status, 409);

  assertEquals(
    (await act("disable", String(bob.id), "Bob")).json.problem,
    "That is not the name: nothing was done",
  );
  for (const what of ["delete", "grant", "trim", "constructor"]) {
    assertEquals((await act(what, "bob", "bob")).status, 409);
  }
  assertEquals(await bob.client.request({ msgid: 18, id: bob.id }).then(({ errno }) => errno), 0);
  assertEquals((await act("dissolve", "1", "annals")).status, 409);
  assertEquals((await act("dissolve", "1", "Annals")).status, 200);
  const { json: dissolved } = await look("group", "1");
  assertEquals([dissolved.dissolved > 0, dissolved.members], [true, []]);
  const code = await act("code", "bob");
  await using client = await ChatClient.connect(site.server.port);
  const fresh = { msgid: 36, v: 2, code: code.json.json.code, password: "another secret" };
  assertEquals((await client.request(fresh)).errno, 0, "the code is one that works");
  assertEquals((await act("announce", "Down at noon")).status, 200);
  assertEquals((await ann.client.take(({ msgid }) => msgid === 20)).text, "Down at noon");
  const audit = await site.admin("audit");
  for (const word of ["code", "announce", `Ann Lee (${ann.id}), by the page`]) {
    assertStringIncludes(audit, word);
  }
  assert(!audit.includes(fresh.code), "a code is a secret");
});

Deno.test("every node of a cluster shows all of them; one that is stopped goes, one that is killed grows silent, a forged one is none", async () => {
  await using cluster = await startCluster(["A", "B"], HTTP);
  await using _ann = await newPerson(cluster.node("A").port, "ann");
  await using _bob = await newPerson(cluster.node("B").port, "bob");
  await runProgram(["admin", "grant", "ann", "--mysql", cluster.mysqlUrl]);
  const at = addressOf(cluster.node("A"));
  const cookie = await logIn(at, "ann");
  const stateOf = async () => await (await fetch(`${at}/api/state`, { headers: { cookie } })).json();
  const nodesOf = async () =>
    (await stateOf()).nodes.map(({ node, users, devices }: Record<string, unknown>) =>
      `${node} ${users} ${devices}`
    );
  await waitFor("both nodes", async () => String(await nodesOf()) === "A 1 1,B 1 1", 15_000);

  const [key = ""] = (await cluster.redis.cli("KEYS", "*:status:B")).split("\n");
  const forged = (await cluster.redis.cli("GET", key)).replace('"users":1', '"users":9');
  await cluster.redis.cli("SET", key.replace(/B$/, "C"), forged);
  await cluster.redis.cli("SADD", key.replace(/status:B$/, "statuses"), "C");
  assertEquals(await nodesOf(), ["A 1 1", "B 1 1"]);

  await cluster.node("B").kill();
  await waitFor("B to be silent", async () => {
    const { nodes } = await stateOf();
    return nodes.find(({ node }: { node: string }) => node === "B")?.ageMs > 6_000;
  });
  await cluster.startNode("B");
  await cluster.node("B").stop();
  await waitFor("B to be gone", async () => (await stateOf()).nodes.length === 1);

  await cluster.redis.stop();
  await waitFor("Redis to be away", async () => (await stateOf()).redis === false);
  const away = await stateOf();
  assertEquals(away.nodes.map(({ node }: { node: string }) => node), ["A"]);
  assert(away.problems.length > 0 && away.lines.newest.length > 0);
  assert(away.pool.idle >= 0);
});
