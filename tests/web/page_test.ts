/** The page's files, as HTTP gives them out, and what else comes to that port. */

import {
  assert,
  assertEquals,
  assertLess,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { addressRanges } from "../../lib/config/option_values.ts";
import { Proxies } from "../../lib/net/proxies.ts";
import { createWebAdmit } from "../../lib/web/web_door.ts";
import { makeCertificate } from "../support/certificate.ts";
import { browserTest, startChromium } from "../support/chromium.ts";
import { freePort, temporaryFolder, waitFor } from "../support/process.ts";
import { type HttpAnswer, RawWebSocket, upgradeRequest } from "../support/raw_web_socket.ts";
import { runProgram, startServer } from "../support/services.ts";
import { startWeb } from "../support/web_server.ts";

/** An answer, all of it. */
async function receiveAnswer(
  socket: RawWebSocket,
  hasBody = true,
): Promise<HttpAnswer & { body: Uint8Array }> {
  const answer = await socket.receiveHead();
  const length = hasBody && answer.status !== 304 ? Number(answer.headers.get("content-length")) : 0;
  return { ...answer, body: await socket.receiveBytes(length) };
}

function request(path: string, headers: Record<string, string> = {}, method = "GET"): string {
  const lines = Object.entries({ host: "chat", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

async function unzip(bytes: Uint8Array): Promise<string> {
  return await new Response(new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip")))
    .text();
}

Deno.test("the page and all that it names come in one connection, compressed, and are known again", async () => {
  await using web = await startWeb();
  await using socket = await RawWebSocket.dial(web.port);
  const gzip = { "accept-encoding": "gzip, deflate, br" };
  await socket.sendBytes(request("/", gzip));
  const page = await receiveAnswer(socket);
  assertEquals([page.status, page.headers.get("content-encoding")], [200, "gzip"]);
  assertEquals(page.headers.get("cache-control"), "no-cache");
  const html = await unzip(page.body);
  const names = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, name = ""]) => name);
  assert(names.length >= 3);
  for (const name of names) assertMatch(name, /^[\w.-]+\?v=[0-9a-f]{16}$/);

  for (const name of names) {
    await socket.sendBytes(request(`/${name}`, gzip));
    const file = await receiveAnswer(socket);
    assertEquals(file.status, 200);
    assertMatch(file.headers.get("cache-control") ?? "", /immutable/);
    assertEquals(file.headers.get("vary"), "accept-encoding");
    const path = name.replace(/\?.*/, "");
    const asset = await Deno.readTextFile(new URL(`../../lib/web/assets/${path}`, import.meta.url));
    const isZipped = file.headers.get("content-encoding") === "gzip";
    assertEquals(isZipped ? await unzip(file.body) : new TextDecoder().decode(file.body), asset);
    if (path.endsWith("js")) assert(isZipped);

    const tag = file.headers.get("etag") ?? "";
    for (const known of [tag, `"x", W/${tag}`]) {
      await socket.sendBytes(request(`/${path}`, { "if-none-match": known }));
      const { status, headers } = await receiveAnswer(socket);
      assertEquals([status, headers.get("etag"), headers.get("cache-control")], [304, tag, "no-cache"]);
    }
  }
  await socket.sendBytes(request("/app.js", { "accept-encoding": "gzip;q=0, identity" }));
  assertEquals((await receiveAnswer(socket)).headers.get("content-encoding"), null);
  await socket.sendBytes(request("/app.js", {}, "HEAD"));
  const { status, headers, body } = await receiveAnswer(socket, false);
  assertEquals([status, body.length], [200, 0]);
  assert(Number(headers.get("content-length")) > 0);
  // Nothing was sent for that which the next answer would have to be told from.
  await socket.sendBytes(request("/app.css", { "connection": "close" }));
  assertEquals((await receiveAnswer(socket)).headers.get("connection"), "close");
  await socket.receiveEnd();
});

Deno.test("every answer is strict about scripts, types, frames and referrers", async () => {
  await using web = await startWeb();
  for (const path of ["/", "/app.js", "/nothing", "/ws"]) {
    await using socket = await RawWebSocket.dial(web.port);
    await socket.sendBytes(request(path));
    const { headers } = await receiveAnswer(socket);
    const policy = headers.get("content-security-policy") ?? "";
    for (
      const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    ) {
      assertStringIncludes(`${policy};`, `${part};`);
    }
    assert(!policy.includes("unsafe"), policy);
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("referrer-policy"), "no-referrer");
  }
});

Deno.test("a name of another version's file, or of no file of the page, is not found", async () => {
  await using web = await startWeb();
  const paths = [
    ...[
      "/app.js?v=0000000000000000",
      "/index.html",
      "/app",
      "//",
      "/%2e%2e/deno.json",
      "/../../deno.json",
      "/..",
    ],
    ...[
      "/assets/app.js",
      "/..%2f..%2fmain.ts",
      "/app.js%00",
      "/app.js/",
      "/./app.js",
      "/__proto__",
      "/constructor",
    ],
  ];
  for (const path of paths) {
    await using socket = await RawWebSocket.dial(web.port);
    await socket.sendBytes(request(path));
    assertEquals((await receiveAnswer(socket)).status, 404, path);
    await socket.receiveEnd();
  }
});

Deno.test("a request that readers could take differently is refused, and ends its connection", async () => {
  const refused: [status: number, text: string][] = [
    [400, "\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n"],
    [400, "\x16\x03\x01\x02\x00\x01"],
    [400, '{"msgid":1}'],
    [400, "GET / HTTP/1.1\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost : x\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost: x\r\n y\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost: x\na: b\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n"],
    [400, "GET  / HTTP/1.1\r\nhost: x\r\n\r\n"],
    [400, "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n"],
    [400, "GET http://x/ HTTP/1.1\r\nhost: x\r\n\r\n"],
    [400, "GET x HTTP/1.1\r\nhost: x\r\n\r\n"],
    [400, "GET /\r\n\r\n"],
    [405, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"],
    [405, "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"],
    [405, "PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"],
    [405, "PATCH / HTTP/1.1\r\nhost: x\r\n\r\n"],
    [405, "PROPFIND / HTTP/1.1\r\nhost: x\r\n\r\n"],
    [405, "PRI * HTTP/1.1\r\nhost: x\r\n\r\n"],
    [413, "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"],
    [413, "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 0x0a\r\n\r\n"],
    [413, "GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    [414, `GET /${"x".repeat(3_000)} HTTP/1.1\r\nhost: x\r\n\r\n`],
    [431, `GET / HTTP/1.1\r\nhost: x\r\n${"a: b\r\n".repeat(200)}\r\n`],
    [431, `GET / HTTP/1.1\r\nhost: x\r\ncookie: ${"c".repeat(17_000)}`],
    [505, "GET / HTTP/2.0\r\nhost: x\r\n\r\n"],
  ];
  await using proxied = await startWeb("--proxy-protocol", "127.0.0.1");
  await using web = await startWeb();
  for (const { port } of [web, proxied]) {
    for (const [status, text] of refused) {
      await using socket = await RawWebSocket.dial(port);
      await socket.sendBytes(text);
      assertEquals((await receiveAnswer(socket)).status, status, text.slice(0, 60));
      await socket.receiveEnd();
    }
  }
  // As much as that is taken: other programs of the same host leave it with the browser.
  await using socket = await RawWebSocket.dial(web.port);
  for (const part of request("/", { cookie: "c".repeat(16_000) }).match(/.{1,900}|\s+/gs) ?? []) {
    await socket.sendBytes(part);
  }
  assertEquals((await receiveAnswer(socket)).status, 200);
});

Deno.test("requests may come in any pieces, and one behind the other", async () => {
  await using web = await startWeb();
  await using slow = await RawWebSocket.dial(web.port);
  for (const byte of new TextEncoder().encode(request("/app.css"))) await slow.sendBytes(Uint8Array.of(byte));
  assertEquals((await receiveAnswer(slow)).status, 200);
  await using fast = await RawWebSocket.dial(web.port);
  await fast.sendBytes(request("/app.css") + request("/app.js") + upgradeRequest(web.port));
  assertEquals([(await receiveAnswer(fast)).status, (await receiveAnswer(fast)).status], [200, 200]);
  assertEquals((await fast.receiveHead()).status, 101);
  assertEquals((await fast.request({ msgid: 18 })).errno, 0);
});

Deno.test("a proxy's bytes may come in any pieces, be they its own header's or a request's", async () => {
  await using web = await startWeb("--proxy-protocol", "127.0.0.1", "--log-level", "debug");
  const header = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
  for (
    const [text, status] of [[request("/", {}, "POST"), 405], [
      header + upgradeRequest(web.port),
      101,
    ]] as const
  ) {
    await using socket = await RawWebSocket.dial(web.port);
    for (const byte of new TextEncoder().encode(text)) await socket.sendBytes(Uint8Array.of(byte));
    assertEquals((await socket.receiveHead()).status, status);
  }
  await web.server.logged(/connection opened .*remote="?203\.0\.113\.7:4711/);
});

Deno.test("whom its address's limit refuses is told so by an answer, and is refused all the same", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  for (const headers of [{ "x-forwarded-for": "203.0.113.5" }, undefined]) {
    const counters = { served: 0, upgraded: 0, refused: 0 };
    const proxies = new Proxies(headers ? addressRanges("127.0.0.1") : []);
    const admit = createWebAdmit({ proxies, origins: [], assets: new Map(), counters });
    const accepted = listener.accept();
    await using client = await RawWebSocket.dial(listener.addr.port);
    using socket = await accepted;
    const refused = assertRejects(
      () =>
        admit(socket, (person) => {
          if (person !== undefined || !headers) throw new Error(`too many of ${person}`);
        }),
      Error,
      headers ? "too many of 203.0.113.5" : "too many of",
    );
    if (headers) await client.sendBytes(upgradeRequest(listener.addr.port, headers));
    const answer = await receiveAnswer(client);
    assertEquals([answer.status, answer.headers.get("connection")], [429, "close"]);
    assertEquals(new TextDecoder().decode(answer.body), "Too many of your address are not logged in\n");
    await client.receiveEnd();
    await refused;
    assertEquals(counters, { served: 0, upgraded: 0, refused: 1 });
  }
});

Deno.test("a connection brings so many requests, and then has to be another one", async () => {
  await using web = await startWeb();
  await using socket = await RawWebSocket.dial(web.port);
  let answers = 0;
  for (let isLast = false; !isLast; answers++) {
    await socket.sendBytes(request("/icon.svg"));
    isLast = (await receiveAnswer(socket)).headers.get("connection") === "close";
  }
  assertEquals(answers, 32);
  await socket.receiveEnd();
});

Deno.test("over the network of a proxy that is trusted, a client is who the proxy says, and nobody else's word counts", async () => {
  await using web = await startWeb("--proxy-protocol", "127.0.0.1,10.0.0.0/8", "--log-level", "debug");
  const opened = (remote: string) => web.server.logged(new RegExp(`connection opened .*remote="?${remote}`));
  const connect = async (headers: Record<string, string>, before = "") => {
    const socket = await RawWebSocket.dial(web.port);
    await socket.sendBytes(before + upgradeRequest(web.port, headers));
    assertEquals((await socket.receiveHead()).status, 101);
    return socket;
  };
  const header = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
  {
    await using _ = await connect({ "x-forwarded-for": "1.1.1.1, 203.0.113.5" });
    await opened("203\\.0\\.113\\.5 through 127");
  }
  {
    await using _ = await connect({ "x-forwarded-for": "1.1.1.1, 203.0.113.6, 10.1.2.3" });
    await opened("203\\.0\\.113\\.6 through 127");
  }
  {
    await using _ = await connect({ "x-forwarded-for": "1.1.1.1" }, header);
    await opened("203\\.0\\.113\\.7:4711");
  }
  {
    await using _ = await connect({ "x-forwarded-for": "unknown, 10.0.0.1" });
    await opened("10\\.0\\.0\\.1 through 127");
  }
  {
    await using _ = await connect({});
    await opened("127\\.0\\.0\\.1:");
  }
});

Deno.test("places without a user are counted for the address that a trusted proxy names", async () => {
  await using web = await startWeb("--proxy-protocol", "127.0.0.1", "--max-anonymous-per-address", "2");
  await using _other = await RawWebSocket.connect(web.port, { "x-forwarded-for": "203.0.113.9" });
  const sockets: RawWebSocket[] = [];
  for (let count = 0; count < 3; count++) {
    sockets.push(await RawWebSocket.connect(web.port, { "x-forwarded-for": "203.0.113.5" }));
  }
  // The first one makes room for the third.
  const { frames, code, reason } = await sockets[0]?.receiveClose() ?? {};
  assertEquals([frames?.length, code, reason], [1, 1008, "auth_timeout"]);
  assertEquals((await sockets[2]?.request({ msgid: 18 }))?.errno, 0);
  for (const socket of sockets) socket.close();
});

Deno.test("X-Forwarded-For counts for nothing where no proxy is named", async () => {
  await using web = await startWeb("--log-level", "debug");
  await using _ = await RawWebSocket.connect(web.port, { "x-forwarded-for": "203.0.113.5" });
  await web.server.logged(/connection opened .*remote=127\.0\.0\.1:\d+/);
});

Deno.test("with --web-tls the page and its WebSocket come over TLS, and a page that did not may not connect", async () => {
  await using folder = await temporaryFolder();
  const { authority, certificate, key } = await makeCertificate(folder.path);
  await using web = await startWeb("--web-tls", "--tls-cert", certificate, "--tls-key", key);
  assertStringIncludes(web.server.stdout, `web https://127.0.0.1:${web.port}/`);
  const caCerts = [await Deno.readTextFile(authority)];
  const dial = async () =>
    new RawWebSocket(await Deno.connectTls({ hostname: "localhost", port: web.port, caCerts }));
  const host = `localhost:${web.port}`;
  {
    await using socket = await dial();
    await socket.sendBytes(request("/") + upgradeRequest(web.port, { host, origin: `https://${host}` }));
    assertEquals((await receiveAnswer(socket)).status, 200);
    assertEquals((await socket.receiveHead()).status, 101);
    assertEquals((await socket.request({ msgid: 18 })).errno, 0);
    await socket.sendFrame(8);
    await socket.receiveClose();
    await socket.receiveEnd();
  }
  await using socket = await dial();
  await socket.sendBytes(upgradeRequest(web.port, { host, origin: `http://${host}` }));
  assertEquals((await socket.receiveHead()).status, 403);
});

Deno.test("whoever tries it out gets the page on port 8080 or the next one, and says so; others name a port", async () => {
  const env = { CHAT_WEB: "" };
  await using first = await startServer(["--sqlite", ":memory:"], { env });
  await using second = await startServer(["--sqlite", ":memory:"], { env });
  const ports = [first.address("web").port, second.address("web").port];
  for (const port of ports) assert(port >= 8080 && port < 8090, ports.join());
  assert(ports[0] !== ports[1]);
  await second.logged(/the port for browsers is another one: the usual one is in use port=80\d\d/);
  await using everywhere = await startServer(["--sqlite", ":memory:"], { env, host: "0.0.0.0" });
  assert(!everywhere.stdout.includes("web"), everywhere.stdout);

  const run = (web: string) => runProgram(["0", "--sqlite", ":memory:", "--web", web]);
  const taken = await run(`127.0.0.1:${ports[0]}`);
  assertEquals(taken.code, EXIT.unavailable);
  assertStringIncludes(taken.stderr, `Cannot listen on 127.0.0.1:${ports[0]}: the address is in use`);
  const blocked = await run("127.0.0.1:6000");
  assertEquals(blocked.code, EXIT.usage);
  assertStringIncludes(blocked.stderr, "a port that browsers refuse to connect to");
});

Deno.test("what was asked for is counted", async () => {
  const http = `127.0.0.1:${freePort()}`;
  await using web = await startWeb("--http", http);
  await using socket = await RawWebSocket.dial(web.port);
  await socket.sendBytes(request("/") + request("/app.js") + upgradeRequest(web.port));
  for (let count = 0; count < 2; count++) await receiveAnswer(socket);
  assertEquals((await socket.receiveHead()).status, 101);
  await using lost = await RawWebSocket.dial(web.port);
  await lost.sendBytes(request("/lost"));
  assertEquals((await receiveAnswer(lost)).status, 404);
  const metrics = async () => await (await fetch(`http://${http}/metrics`)).text();
  assertStringIncludes(await metrics(), 'chat_web_requests_total{result="served"} 2\n');
  assertStringIncludes(await metrics(), 'chat_web_requests_total{result="upgraded"} 1\n');
  assertStringIncludes(await metrics(), 'chat_web_requests_total{result="refused"} 1\n');
  assertStringIncludes(await metrics(), "chat_connections_websocket 1\n");
  socket.close();
  await waitFor(
    "the WebSocket to be gone",
    async () => (await metrics()).includes("chat_connections_websocket 0\n"),
  );
});

Deno.test("the page and all that it names take less than 150 KiB on the wire", async () => {
  await using web = await startWeb();
  let bytes = 0;
  for (const path of ["/", "/app.js", "/app.css", "/icon.svg"]) {
    await using socket = await RawWebSocket.dial(web.port);
    await socket.sendBytes(request(path, { "accept-encoding": "gzip" }));
    bytes += (await receiveAnswer(socket)).body.length;
  }
  assertLess(bytes, 150 * 1024);
});

browserTest("the page shows where to log in, and has nothing to complain about", async () => {
  await using web = await startWeb();
  await using chromium = await startChromium();
  await using browser = await chromium.browser();
  const page = await browser.open(`http://127.0.0.1:${web.port}/`);
  await page.see("Log in");
  assertEquals(page.complaints, []);
});
