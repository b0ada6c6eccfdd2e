import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { ByteSocket } from "../../lib/net/byte_socket.ts";
import { addressRanges } from "../../lib/config/option_values.ts";
import { formatHostPort } from "../../lib/base/host_port.ts";
import { Proxies } from "../../lib/net/proxies.ts";
import {
  mayBeProxyHeader,
  parseProxyHeader,
  PROXY_HEADER_MAX_BYTES,
  type ProxySource,
} from "../../lib/net/proxy_header.ts";
import { makeCertificate } from "../support/certificate.ts";
import { ChatClient, newPerson, signUp } from "../support/chat_client.ts";
import { freePort, temporaryFolder } from "../support/process.ts";
import { type Server, startNginx, startServer } from "../support/services.ts";

const unit = { permissions: "none" } as const;
const encoder = new TextEncoder();
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** A version 2 header; `length` as it says it is. */
function binary(
  { command = 0x21, family = 0x11, body = [] as number[], length = body.length }: {
    command?: number;
    family?: number;
    body?: number[];
    length?: number;
  },
): Uint8Array {
  return Uint8Array.of(...SIGNATURE, command, family, length >> 8, length & 255, ...body);
}

const IPV4_BODY = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 0x17, 0x70];
const IPV6_BODY = [
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0x12, 0x67, 0x17, 0x70],
];

const V4 = { hostname: "203.0.113.7", port: 4711 };
const V6 = { hostname: "2001:db8::7", port: 4711 };
/** Headers as they should be, and the client each names. */
const HEADERS: [what: string, header: Uint8Array, source: ProxySource | undefined][] = [
  ["TCP4", encoder.encode("PROXY TCP4 203.0.113.7 192.0.2.1 4711 6000\r\n"), V4],
  ["TCP6", encoder.encode("PROXY TCP6 2001:db8::7 2001:db8::1 4711 6000\r\n"), V6],
  ["UNKNOWN", encoder.encode("PROXY UNKNOWN\r\n"), undefined],
  ["UNKNOWN with more", encoder.encode("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), undefined],
  ["binary IPv4", binary({ body: IPV4_BODY }), V4],
  ["binary IPv6", binary({ family: 0x21, body: IPV6_BODY }), V6],
  ["binary with something added", binary({ body: [...IPV4_BODY, 4, 0, 1, 0] }), V4],
  ["LOCAL", binary({ command: 0x20, family: 0 }), undefined],
  ["LOCAL with addresses", binary({ command: 0x20, body: IPV4_BODY }), undefined],
  ["a family without ports", binary({ family: 0x31, body: new Array(216).fill(0) }), undefined],
  ["an unspecified family", binary({ family: 0 }), undefined],
];

Deno.test("a PROXY header is understood at its last byte and not before", unit, () => {
  for (const [what, header, source] of HEADERS) {
    for (let length = 0; length < header.length; length++) {
      assertEquals(parseProxyHeader(header.subarray(0, length)), undefined, `${what}: ${length} bytes`);
    }
    const glued = Uint8Array.of(...header, ...encoder.encode('{"msgid":1}'));
    assertEquals(parseProxyHeader(header), { length: header.length, source }, what);
    assertEquals(parseProxyHeader(glued), { length: header.length, source }, `${what}, glued`);
  }
});

Deno.test("a method of HTTP is told from a PROXY header at the first byte that differs", unit, () => {
  for (const [what, header] of HEADERS) {
    for (let length = 0; length <= header.length; length++) {
      assert(mayBeProxyHeader(header.subarray(0, length)), `${what}: ${length} bytes`);
    }
  }
  for (const text of ["PO", "PU", "PA", "PRI", "PROXI", "G", "\r\nG", "\x16"]) {
    const bytes = encoder.encode(text);
    assert(!mayBeProxyHeader(bytes), text);
    assert(mayBeProxyHeader(bytes.subarray(0, -1)), text);
  }
});

Deno.test("what is no PROXY header is refused, and as soon as that is certain", unit, () => {
  const texts = [
    "{",
    "proxy TCP4 ",
    "PROXYTCP4",
    "PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n",
    "PROXY TCP4 203.0.113.7 192.0.2.1 4711 6000\n",
    "PROXY TCP4 203.0.113.7 192.0.2.1 4711 65536\r\n",
    "PROXY TCP4 2001:db8::7 2001:db8::1 4711 6000\r\n",
    "PROXY TCP6 203.0.113.7 192.0.2.1 4711 6000\r\n",
    "PROXY TCP4 203.0.113.777 192.0.2.1 4711 6000\r\n",
    "PROXY TCP4  203.0.113.7 192.0.2.1 4711 6000\r\n",
    "PROXY UDP4 203.0.113.7 192.0.2.1 4711 6000\r\n",
    "PROXY UNKNOWNS\r\n",
    `PROXY UNKNOWN ${"x".repeat(93)}`,
  ];
  for (const text of texts) assertThrows(() => parseProxyHeader(encoder.encode(text)), Error, "PROXY", text);
  const broken = [
    Uint8Array.of(...SIGNATURE.slice(0, 11), 0x0b),
    binary({ command: 0x22 }),
    binary({ command: 0x11 }),
    binary({ body: IPV4_BODY.slice(1) }),
    binary({ family: 0x21, body: IPV4_BODY }),
    binary({ length: PROXY_HEADER_MAX_BYTES }),
  ];
  for (const header of broken) assertThrows(() => parseProxyHeader(header), Error, "PROXY");
});

Deno.test("the proxies' addresses are trusted in every spelling, and no others", unit, () => {
  const proxies = new Proxies(addressRanges("127.0.0.1,10.0.0.0/8,2001:db8::/32"));
  for (const address of ["127.0.0.1", "10.255.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2001:DB8:0:0::1"]) {
    assert(proxies.trusts(address), address);
  }
  for (const address of ["127.0.0.2", "11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::1", "::10.0.0.1"]) {
    assert(!proxies.trusts(address), address);
  }
  assert(!new Proxies([]).trusts("127.0.0.1"));
});

/** A socket out of which these pieces come, one a read, and then nothing more until it is closed. */
function fakeSocket(pieces: Uint8Array[]): ByteSocket & { isClosed: boolean } {
  let onClose = () => {};
  const closed = new Promise<void>((resolve) => onClose = resolve);
  const socket = {
    isClosed: false,
    async read(buffer: Uint8Array) {
      const piece = pieces.shift();
      if (!piece) {
        await closed;
        throw new Deno.errors.Interrupted("closed");
      }
      const count = Math.min(piece.length, buffer.length);
      buffer.set(piece.subarray(0, count));
      if (count < piece.length) pieces.unshift(piece.subarray(count));
      return count;
    },
    write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close() {
      socket.isClosed = true;
      onClose();
    },
  };
  return socket;
}

Deno.test("what follows a header is read by the connection, in whatever pieces it came", unit, async () => {
  const body = [...IPV4_BODY, ...new Array(1_000).fill(0)];
  const rest = encoder.encode('{"msgid":1}');
  const bytes = Uint8Array.of(...binary({ body }), ...rest);
  for (const size of [1, 7, 256, 5_000]) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, index) => bytes.subarray(index * size, (index + 1) * size),
    );
    const { socket, source } = await new Proxies([]).readHeader(fakeSocket(pieces));
    assertEquals(source, V4);
    const received: number[] = [];
    const buffer = new Uint8Array(3);
    while (received.length < rest.length) {
      received.push(...buffer.subarray(0, await socket.read(buffer) ?? 0));
    }
    assertEquals(received, [...rest]);
  }
});

Deno.test("a header that does not come in time is not waited for", async () => {
  const socket = fakeSocket([encoder.encode("PROXY TCP4 ")]);
  await assertRejects(() => new Proxies([], 20).readHeader(socket), Error, "did not come in time");
  assert(socket.isClosed);
});

async function startProxied(trusted: string, ...args: string[]): Promise<Server> {
  const options = ["--sqlite", ":memory:", "--proxy-protocol", trusted, "--log-level", "debug"];
  return await startServer([...options, ...args]);
}

Deno.test("behind a proxy the log names the client, and the proxy where it speaks for itself", async () => {
  await using server = await startProxied("127.0.0.0/8");
  for (const [what, header, source] of HEADERS) {
    await using client = await ChatClient.connect(server.port);
    const frame = encoder.encode(`{"msgid":4,"name":"${what}","password":"x"}\0`);
    await client.sendBytes(Uint8Array.of(...header, ...frame));
    assertEquals((await client.receive()).errno, 0, what);
    const remote = source ? formatHostPort(source.hostname, source.port) : client.local;
    await server.logged(`remote=${remote.startsWith("[") ? `"${remote}"` : remote}\n`);
  }
});

Deno.test("a proxy that sends no header, or a wrong one, is refused and keeps nobody out", async () => {
  await using server = await startProxied("127.0.0.1");
  for (const text of ['{"msgid":18}', "PROXY TCP4 nonsense\r\n", "PROXY UNKNOWN " + "x".repeat(100)]) {
    await using client = await ChatClient.connect(server.port);
    await client.send(text);
    assertEquals(await client.receiveRest(), [], text);
  }
  await using silent = await ChatClient.connect(server.port);
  const gone = await ChatClient.connect(server.port);
  gone.close();
  await server.logged('reason="it ended before its PROXY protocol header did"');
  await server.logged('reason="its PROXY protocol line is malformed"');
  await using client = await ChatClient.connect(server.port);
  await client.send("PROXY UNKNOWN\r\n", { ending: "" });
  assertEquals(await signUp(client, "served"), 1);
  assertEquals(await silent.receiveRest(), [], "let go after three seconds");
});

Deno.test("a header from somebody who is no proxy is nothing but a wrong frame", async () => {
  await using server = await startProxied("192.0.2.0/24,::1");
  await using plain = await newPerson(server.port, "plain");
  assertEquals(plain.reply.errno, 0);
  await using liar = await ChatClient.connect(server.port);
  await liar.send("PROXY TCP4 203.0.113.7 192.0.2.1 4711 6000\r\n", { ending: "" });
  assertEquals((await liar.receiveRest()).map(({ code }) => code), ["bad_frame"]);
  await server.logged(`remote=${liar.local}\n`);
  assert(!server.stderr.includes("203.0.113.7"));
});

Deno.test("the header stands before the TLS handshake", async () => {
  await using folder = await temporaryFolder();
  const { authority, certificate, key } = await makeCertificate(folder.path);
  const tls = ["--tls-port", "0", "--tls-cert", certificate, "--tls-key", key];
  await using server = await startProxied("127.0.0.1", ...tls);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.address("tls").port });
  await conn.write(encoder.encode("PROXY TCP4 203.0.113.7 192.0.2.1 4711 6000\r\n"));
  const caCerts = [await Deno.readTextFile(authority)];
  await using client = new ChatClient(await Deno.startTls(conn, { hostname: "localhost", caCerts }));
  assertEquals(await signUp(client, "safe"), 1);
  await server.logged("remote=203.0.113.7:4711\n");
});

Deno.test("nginx's header is understood", async () => {
  await using server = await startProxied("127.0.0.1");
  const port = freePort();
  const config = `events {} stream { server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${server.port};
    proxy_protocol on;
  } }`;
  await using _nginx = await startNginx({ config, port });
  await using client = await ChatClient.connect(port);
  assertEquals(await signUp(client, "somebody"), 1);
  await server.logged(`remote=${client.local}\n`);
});
