/** Browsers behind the shipped nginx.conf, before two nodes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { nginxConfig } from "../net/nginx_config.ts";
import { HEAD_MS } from "../../lib/web/web_door.ts";
import { makeCertificate } from "../support/certificate.ts";
import { ChatClient, logIn, PASSWORD, signUp } from "../support/chat_client.ts";
import { browserTest, startChromium } from "../support/chromium.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { freePort, temporaryFolder, waitFor } from "../support/process.ts";
import { RawWebSocket, upgradeRequest } from "../support/raw_web_socket.ts";
import { type Nginx, startNginx } from "../support/services.ts";

const NAMES = ["A", "B"];

/** nginx before two nodes that serve browsers, on `port`. */
async function startFront(
  args: readonly string[] = [],
  edit = (config: string) => config,
): Promise<{ cluster: Cluster; nginx: Nginx; port: number } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(
    await startCluster(NAMES, ["--web", "127.0.0.1:0", "--log-level", "debug", ...args]),
  );
  const nodes = NAMES.map((name) => {
    const node = cluster.node(name);
    return { tcp: node.port, udp: freePort(), web: node.address("web").port };
  });
  const [port, webPort] = [freePort(), freePort()];
  const config = edit(await nginxConfig({ port, udpPort: freePort(), webPort, nodes }));
  const nginx = stack.use(await startNginx({ config, port }));
  const owned = stack.move();
  return { cluster, nginx, port: webPort, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function clientsOf({ cluster }: { cluster: Cluster }, name: string): number {
  return cluster.node(name).stderr.match(/connection opened/g)?.length ?? 0;
}

async function join(port: number, name: string): Promise<{ socket: RawWebSocket; id: number }> {
  const socket = await RawWebSocket.connect(port);
  const { id = 0 } = await socket.request({ msgid: 4, name, password: PASSWORD });
  assertEquals((await socket.request({ msgid: 1, id, password: PASSWORD })).errno, 0);
  return { socket, id };
}

Deno.test("through nginx browsers land on all nodes and talk, and the page comes from each", async () => {
  await using front = await startFront();
  const people = [];
  for (const name of ["ann", "bob", "cho", "dan"]) people.push(await join(front.port, name));
  for (const name of NAMES) assertEquals(clientsOf(front, name), 2);
  for (const [index, { socket, id }] of people.entries()) {
    const next = people[(index + 1) % people.length];
    const message = { msgid: 6, id, name: "", toid: next?.id, msg: `to ${next?.id}`, time: "now" };
    assertEquals((await socket.request(message)).errno, 0);
    let got = await next?.socket.receive();
    while (got?.msgid !== 6) got = await next?.socket.receive();
    assertEquals(got.msg, `to ${next?.id}`);
  }
  for (let count = 0; count < 4; count++) {
    const response = await fetch(`http://127.0.0.1:${front.port}/`);
    assertStringIncludes(await response.text(), "app.js?v=");
    assertEquals(response.headers.get("x-frame-options"), "DENY");
  }

  await front.cluster.node("B").kill();
  for (const { socket } of people.slice(0, 2)) socket.close();
  await using again = (await join(front.port, "eve")).socket;
  assertEquals((await again.request({ msgid: 18 })).errno, 0);
  for (const { socket } of people) socket.close();
});

Deno.test("through nginx a page's own host is the one that the browser knows", async () => {
  await using front = await startFront();
  const statusOf = async (origin: string) => {
    await using socket = await RawWebSocket.dial(front.port);
    await socket.sendBytes(upgradeRequest(front.port, { host: "chat.example:8080", origin }));
    return (await socket.receiveHead()).status;
  };
  assertEquals(await statusOf("http://chat.example:8080"), 101);
  assertEquals(await statusOf("http://evil.example:8080"), 403);
});

Deno.test("nginx keeps a node's connection for less than the node does", async () => {
  const config = await Deno.readTextFile(new URL("../../nginx/nginx.conf", import.meta.url));
  const [, seconds] = /^ *upstream chat_web \{[^}]*^ *keepalive_timeout (\d+)s;/m.exec(config) ?? [];
  assert(1_000 * Number(seconds) < HEAD_MS, `${seconds} s`);
});

Deno.test("through nginx a node that goes away says so, and closes", async () => {
  await using front = await startFront();
  await using socket = (await join(front.port, "ann")).socket;
  const name = clientsOf(front, "A") > 0 ? "A" : "B";
  const stopped = front.cluster.node(name).stop();
  const { code } = await socket.receive();
  assertEquals(code, "shutting_down");
  assertEquals((await socket.receiveClose()).code, 1001);
  await socket.receiveEnd();
  await stopped;
});

Deno.test("with nginx among the trusted proxies, nodes know the address that it was reached from", async () => {
  await using front = await startFront(
    ["--proxy-protocol", "127.0.0.1"],
    (config) => config.replace("# proxy_protocol on;", "proxy_protocol on;"),
  );
  // nginx is reached from this address, which no client can claim: what it says itself stands before that.
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: front.port });
  await using socket = new RawWebSocket(conn);
  await socket.sendBytes(upgradeRequest(front.port, { "x-forwarded-for": "203.0.113.5" }));
  assertEquals((await socket.receiveHead()).status, 101);
  await waitFor("a node to tell whose it is", () =>
    NAMES.some((name) => {
      return front.cluster.node(name).stderr.includes("203.0.113.5 through 127.0.0.1");
    }));
});

Deno.test("through nginx a WebSocket that says nothing stays, by the node's pings", async () => {
  await using front = await startFront(
    ["--heartbeat-interval", "1", "--heartbeat-misses", "3"],
    (config) => config.replace("proxy_read_timeout 10m", "proxy_read_timeout 3s"),
  );
  await using socket = (await join(front.port, "ann")).socket;
  for (let pings = 0; pings < 6;) {
    const { opcode, payload } = await socket.receiveFrame();
    if (opcode !== 9) continue;
    pings++;
    await socket.sendFrame(10, payload);
  }
  assertEquals((await socket.request({ msgid: 18 })).errno, 0);
});

Deno.test("with its lines uncommented, browsers speak TLS to nginx", async () => {
  await using folder = await temporaryFolder();
  const { authority, certificate, key } = await makeCertificate(folder.path);
  await using front = await startFront([], (config) =>
    config
      .replace(/(?<=http \{[^]*)^ *listen \d+ so_keepalive.*\n/m, "")
      .replace(/(?<=http \{[^]*)# (listen \d+ ssl|ssl_)/g, "$1")
      .replace("/etc/nginx/chat.pem;\n        ssl", `${certificate};\n        ssl`)
      .replace("/etc/nginx/chat.key;\n        ssl", `${key};\n        ssl`));
  const caCerts = [await Deno.readTextFile(authority)];
  await using socket = new RawWebSocket(
    await Deno.connectTls({ hostname: "localhost", port: front.port, caCerts }),
  );
  const host = `localhost:${front.port}`;
  await socket.sendBytes(upgradeRequest(front.port, { host, origin: `https://${host}` }));
  assertEquals((await socket.receiveHead()).status, 101);
  assertEquals((await socket.request({ msgid: 18 })).errno, 0);
});

Deno.test("by nginx_tls.conf chat clients and browsers come by TLS, talk, and nodes know their addresses", async () => {
  await using folder = await temporaryFolder();
  const { authority, certificate, key } = await makeCertificate(folder.path);
  await using cluster = await startCluster(
    NAMES,
    ["--web", "127.0.0.1:0", "--proxy-protocol", "127.0.0.1", "--log-level", "debug"],
  );
  const [port, webPort, plainWebPort] = [freePort(), freePort(), freePort()];
  const nodes = NAMES.map((name) => {
    const node = cluster.node(name);
    return { tcp: node.port, udp: freePort(), web: node.address("web").port };
  });
  const config = (await nginxConfig({ file: "nginx_tls.conf", port, webPort, plainWebPort, nodes }))
    .replaceAll("/etc/nginx/chat.pem", certificate)
    .replaceAll("/etc/nginx/chat.key", key);
  await using _nginx = await startNginx({ config, port });
  const caCerts = [await Deno.readTextFile(authority)];

  await using ann = new ChatClient(await Deno.connectTls({ hostname: "localhost", port, caCerts }));
  const annId = await signUp(ann, "ann", { v: 2 });
  await logIn(ann, annId, { v: 2 });

  const conn = await Deno.connectTls({ hostname: "localhost", port: webPort, caCerts });
  await using bob = new RawWebSocket(conn);
  const host = `localhost:${webPort}`;
  await bob.sendBytes(upgradeRequest(webPort, {
    host,
    origin: `https://${host}`,
    "x-forwarded-for": "203.0.113.5",
  }));
  assertEquals((await bob.receiveHead()).status, 101);
  const { id = 0 } = await bob.request({ msgid: 4, name: "bob", password: PASSWORD });
  assertEquals((await bob.request({ msgid: 1, id, password: PASSWORD })).errno, 0);
  const message = { msgid: 6, id, name: "bob", toid: annId, msg: "by TLS", time: "now" };
  assertEquals((await bob.request(message)).errno, 0);
  assertEquals((await ann.take(({ msgid }) => msgid === 6)).msg, "by TLS");

  const logs = NAMES.map((name) => cluster.node(name).stderr).join("");
  assertStringIncludes(logs, `remote=${ann.local}\n`);
  assertStringIncludes(logs, "203.0.113.5 through 127.0.0.1");

  const client = Deno.createHttpClient({ caCerts });
  const page = await fetch(`https://${host}/`, { client });
  assertStringIncludes(await page.text(), "app.js?v=");
  assertEquals(page.headers.get("strict-transport-security"), "max-age=31536000");
  client.close();
  const plain = await fetch(`http://localhost:${plainWebPort}/x?y`, { redirect: "manual" });
  await plain.body?.cancel();
  assertEquals([plain.status, plain.headers.get("location")], [301, "https://localhost/x?y"]);
});

browserTest("through nginx one signs up in the page, and is connected", async () => {
  await using front = await startFront();
  await using chromium = await startChromium();
  await using browser = await chromium.browser();
  const page = await browser.open(`http://127.0.0.1:${front.port}/`);
  await page.click(".entry-foot .link");
  await page.fill("input[name=username]", "ann");
  await page.fill("input[name=password]", PASSWORD);
  await page.press("Enter");
  await page.waitFor("document.querySelector('.shell')");
  assertEquals(page.complaints, []);
  assert(NAMES.some((name) => clientsOf(front, name) === 1));
});
