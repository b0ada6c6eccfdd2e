import { createSocket } from "node:dgram";
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { makeCertificate } from "../support/certificate.ts";
import { nginxConfig, type NodePorts, shippedNginxConfig } from "./nginx_config.ts";
import { freePort, run, temporaryFolder, waitFor } from "../support/process.ts";
import { startNginx } from "../support/services.ts";

/** A node that says its name to whoever connects and then repeats what it hears, over TCP and UDP. */
class EchoNode implements AsyncDisposable {
  readonly name: string;
  readonly ports: NodePorts = { tcp: freePort(), udp: freePort() };
  /** What clients, or nginx, have sent. */
  readonly received: string[] = [];
  #listener: Deno.TcpListener | null = null;
  #datagrams: ReturnType<typeof createSocket> | null = null;
  readonly #connections = new Set<Deno.TcpConn>();
  /** True: datagrams are not answered. */
  isSilent = false;
  #serving: Promise<unknown> = Promise.resolve();

  constructor(name: string) {
    this.name = name;
  }

  async start(): Promise<this> {
    const listener = this.#listener = Deno.listen({ hostname: "127.0.0.1", port: this.ports.tcp });
    this.#serving = this.#accept(listener);
    const socket = this.#datagrams = createSocket("udp4");
    socket.on("message", (message, { address, port }) => {
      if (!this.isSilent) socket.send(`${this.name} ${message}`, port, address);
    });
    await new Promise<void>((resolve) => socket.bind(this.ports.udp, "127.0.0.1", resolve));
    return this;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    const echoes: Promise<void>[] = [];
    for await (const conn of listener) echoes.push(this.#echo(conn));
    await Promise.all(echoes);
  }

  async #echo(conn: Deno.TcpConn): Promise<void> {
    this.#connections.add(conn);
    try {
      await conn.write(new TextEncoder().encode(`${this.name}\n`));
      const buffer = new Uint8Array(1000);
      for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
        this.received.push(new TextDecoder().decode(buffer.subarray(0, n)));
        await conn.write(buffer.subarray(0, n));
      }
    } catch (error) {
      if (this.#connections.has(conn)) throw error; // Otherwise it is us who closed it.
    }
    if (this.#connections.delete(conn)) conn.close();
  }

  async stop(): Promise<void> {
    this.#listener?.close();
    this.#listener = null;
    for (const conn of this.#connections) {
      this.#connections.delete(conn);
      conn.close();
    }
    const socket = this.#datagrams;
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()));
    this.#datagrams = null;
    await this.#serving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Connects through nginx; resolves with the connection and the name of the node it landed on. */
async function dial(port: number): Promise<{ conn: Deno.TcpConn; node: string }> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  return { conn, node: (await readText(conn)).trim() };
}

async function readText(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(1000);
  const n = await conn.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, n ?? 0));
}

/** The names of the nodes that `count` new connections land on, all of them held until the end. */
async function spread(port: number, count: number): Promise<string[]> {
  const clients = [];
  for (let i = 0; i < count; i++) clients.push(await dial(port));
  for (const { conn } of clients) conn.close();
  return clients.map(({ node }) => node).sort();
}

/** Sends one datagram from a port of its own; resolves with the answer, or null when none comes. */
async function heartbeat(port: number, text: string): Promise<string | null> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<string | null>();
  socket.on("message", (message) => resolve(message.toString()));
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  const tooLong = setTimeout(() => resolve(null), 500);
  socket.send(text, port, "127.0.0.1");
  const answer = await promise;
  clearTimeout(tooLong);
  await new Promise<void>((closed) => socket.close(() => closed()));
  return answer;
}

/** nginx with the shipped configuration, changed by `edit`, before `nodes`. */
async function startFront(nodes: readonly EchoNode[], edit = (config: string) => config) {
  const port = freePort();
  const udpPort = freePort();
  const config = edit(await nginxConfig({ port, udpPort, nodes: nodes.map(({ ports }) => ports) }));
  return { port, udpPort, nginx: await startNginx({ config, port }) };
}

Deno.test("clients are spread over the nodes evenly, and over a third that is uncommented", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  await using c = await new EchoNode("c").start();
  {
    const { port, nginx } = await startFront([a, b]);
    await using _ = nginx;
    assertEquals(await spread(port, 10), [..."aaaaabbbbb"]);
  }
  const { port, nginx } = await startFront([a, b, c]);
  await using _ = nginx;
  assertEquals(await spread(port, 9), [..."aaabbbccc"]);
});

Deno.test("a node with twice the weight gets twice the clients", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const heavier = (config: string) => config.replace("weight=1", "weight=2");
  const { port, nginx } = await startFront([a, b], heavier);
  await using _ = nginx;
  assertEquals(await spread(port, 9), [..."aaaaaabbb"]);
});

Deno.test("frames pass both ways, byte for byte, and small ones do not wait", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { port, nginx } = await startFront([a, b]);
  await using _ = nginx;
  const { conn } = await dial(port);
  const startedAt = performance.now();
  for (let i = 0; i < 50; i++) {
    await conn.write(new TextEncoder().encode(`{"msgid":${i}}\0`));
    assertEquals(await readText(conn), `{"msgid":${i}}\0`);
  }
  assertLess(performance.now() - startedAt, 50 * 30); // Nagle and delayed acks would take 40 ms each.
  conn.close();
});

Deno.test("a dead node is skipped without its clients noticing, and gets clients again when it is back", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { port, nginx } = await startFront([a, b]);
  await using _ = nginx;
  assertEquals(await spread(port, 4), [..."aabb"]);
  const { conn: kept, node } = await dial(port);
  const [dead, alive] = node === "a" ? [b, a] : [a, b];
  await dead.stop();
  assertEquals(await spread(port, 6), Array(6).fill(alive.name));
  await kept.write(new TextEncoder().encode("still there"));
  assertEquals(await readText(kept), "still there");
  await dead.start();
  await waitFor("the node to get clients again", async () => (await spread(port, 2)).includes(dead.name));
  kept.close();
});

Deno.test("heartbeats reach all nodes and are answered", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { udpPort, nginx } = await startFront([a, b]);
  await using _ = nginx;
  const answers = [];
  for (let i = 0; i < 4; i++) answers.push(await heartbeat(udpPort, "beat"));
  assertEquals(answers.sort(), ["a beat", "a beat", "b beat", "b beat"]);
});

Deno.test("a node that is down costs one heartbeat, then it is left out", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { udpPort, nginx } = await startFront([a, b]);
  await using _ = nginx;
  await a.stop();
  const answers = [];
  for (let i = 0; i < 8; i++) answers.push(await heartbeat(udpPort, "beat"));
  assertEquals(answers.filter((answer) => answer === "b beat").length, 7, answers.join());
});

Deno.test("a stray datagram that no node answers does not stop the heartbeats", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { udpPort, nginx } = await startFront([a, b]);
  await using _ = nginx;
  a.isSilent = b.isSilent = true;
  await heartbeat(udpPort, "stray");
  a.isSilent = b.isSilent = false;
  await waitFor("nginx to give up on the answer", async () => (await nginx.log()).includes("timed out"));
  for (let i = 0; i < 4; i++) assertStringIncludes(await heartbeat(udpPort, "beat") ?? "no answer", " beat");
});

Deno.test("with its line uncommented, nodes are told the client's address", async () => {
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { port, nginx } = await startFront(
    [a, b],
    (config) => config.replace("# proxy_protocol on;", "proxy_protocol on;"),
  );
  await using _ = nginx;
  const { conn } = await dial(port);
  const { port: clientPort } = conn.localAddr;
  const expected = `PROXY TCP4 127.0.0.1 127.0.0.1 ${clientPort} ${port}\r\n`;
  await waitFor("the header", () => [...a.received, ...b.received].join("") === expected);
  conn.close();
});

Deno.test("with its lines uncommented, clients speak TLS and nodes plain TCP", async () => {
  await using folder = await temporaryFolder();
  const { authority, certificate, key } = await makeCertificate(folder.path);
  await using a = await new EchoNode("a").start();
  await using b = await new EchoNode("b").start();
  const { port, nginx } = await startFront([a, b], (config) =>
    config
      .replace(/^ *listen \d+ so_keepalive.*\n/m, "")
      .replace(/# (listen \d+ ssl|ssl_)(?=[^]*^http \{)/gm, "$1")
      .replace("/etc/nginx/chat.pem", certificate)
      .replace("/etc/nginx/chat.key", key));
  await using _ = nginx;
  const caCerts = [await Deno.readTextFile(authority)];
  const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts });
  assert(["a\n", "b\n"].includes(await readText(conn)));
  await conn.write(new TextEncoder().encode("hello"));
  assertEquals(await readText(conn), "hello");
  conn.close();
});

Deno.test("the shipped files pass nginx's own check with their own ports", async () => {
  await using folder = await temporaryFolder();
  const { certificate, key } = await makeCertificate(folder.path);
  const path = `${folder.path}/nginx.conf`;
  const globals = `pid ${folder.path}/pid; error_log stderr;`;
  for (const file of ["nginx.conf", "nginx_tls.conf"] as const) {
    const config = (await shippedNginxConfig(file))
      .replace(/\/etc\/nginx\/chat\.pem/g, certificate)
      .replace(/\/etc\/nginx\/chat\.key/g, key);
    await Deno.writeTextFile(path, config);
    const args = ["-t", "-e", "stderr", "-p", folder.path, "-c", path, "-g", globals];
    const { code, stderr } = await run("nginx", args);
    assertEquals([code, /\[(warn|error|emerg)\]/.exec(stderr)], [0, null], stderr);
  }
});
