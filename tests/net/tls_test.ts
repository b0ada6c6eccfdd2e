import { assertEquals, assertStringIncludes } from "@std/assert";
import type { ByteSocket } from "../../lib/net/byte_socket.ts";
import { EXIT } from "../../lib/base/errors.ts";
import { openReadGate } from "../../lib/net/read_gate.ts";
import { TlsServer } from "../../lib/net/tls.ts";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { chat, ChatClient, logIn, newPerson, signUp } from "../support/chat_client.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { runProgram, type Server, startServer } from "../support/services.ts";

function tlsOptions({ certificate, key }: Certificate): string[] {
  return ["--tls-port", "0", "--tls-cert", certificate, "--tls-key", key];
}

async function startTlsServer(certificate: Certificate): Promise<Server> {
  return await startServer(["--sqlite", ":memory:", ...tlsOptions(certificate)]);
}

/** Shakes hands with whoever listens on `port`. */
async function connectTls(port: number, { authority }: Certificate): Promise<Deno.TlsConn> {
  const caCerts = [await Deno.readTextFile(authority)];
  const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts });
  await conn.handshake();
  return conn;
}

/** Everything until the end of the stream, or until it breaks. */
async function readToEnd(conn: { read(buffer: Uint8Array): Promise<number | null> }): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  try {
    for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  } catch (error) {
    text += `!${error instanceof Error ? error.name : error}`;
  }
  return text;
}

Deno.test("users over TLS and over TCP talk to each other", async () => {
  await using folder = await temporaryFolder();
  const certificate = await makeCertificate(folder.path);
  await using server = await startTlsServer(certificate);
  await using plain = await newPerson(server.port, "plain");
  await using client = new ChatClient(await connectTls(server.address("tls").port, certificate));
  const id = await signUp(client, "safe", { v: 2 });
  await logIn(client, id, { v: 2 });

  const text = "ü".repeat(30_000);
  const ack = await client.request(chat({ id, name: "safe" }, plain.id, text));
  assertEquals(ack.errno, 0);
  assertEquals((await plain.client.receive()).msg, text);
  await plain.client.send(chat(plain, id, text));
  assertEquals((await client.receive()).msg, text);
  await server.logged(/listening .*tls=127\.0\.0\.1:\d+/);
});

Deno.test("a TLS client that has said all is still answered", async () => {
  await using folder = await temporaryFolder();
  const certificate = await makeCertificate(folder.path);
  await using server = await startTlsServer(certificate);
  const conn = await connectTls(server.address("tls").port, certificate);
  await conn.write(new TextEncoder().encode('{"msgid":4,"name":"brief","password":"x"}'));
  await conn.closeWrite();
  assertEquals(JSON.parse(await readToEnd(conn)), { msgid: 5, errno: 0, id: 1 });
  conn.close();
});

Deno.test("whoever does not speak TLS on the TLS port keeps nobody else from it", async () => {
  await using folder = await temporaryFolder();
  const certificate = await makeCertificate(folder.path);
  await using server = await startTlsServer(certificate);
  const { port } = server.address("tls");
  const silent = await Promise.all(
    Array.from({ length: 50 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  const gone = await Deno.connect({ hostname: "127.0.0.1", port });
  gone.close();
  const plain = await ChatClient.connect(port);
  await plain.send({ msgid: 18 });
  assertEquals(await plain.receiveRest(), []);
  plain.close();
  await server.logged(/connection refused remote=127\.0\.0\.1:\d+ reason=/);

  await using client = new ChatClient(await connectTls(port, certificate));
  assertEquals(await signUp(client, "served"), 1);
  // Those without a handshake do not hold up the end either.
  client.close();
  assertEquals((await server.stop(3_000)).code, EXIT.ok);
  for (const conn of silent) conn.close();
});

Deno.test("a certificate that cannot be used is an error of the configuration", async () => {
  await using folder = await temporaryFolder();
  await using otherFolder = await temporaryFolder();
  const own = await makeCertificate(folder.path);
  const other = await makeCertificate(otherFolder.path);
  const cases: [Partial<Certificate>, string][] = [
    [{ certificate: `${folder.path}/missing.pem` }, "Cannot read"],
    [{ key: folder.path }, "Cannot read"],
    [{ key: other.key }, "does not belong to the certificate"],
    [{ key: own.certificate }, "Cannot use the TLS certificate"],
    [{ certificate: own.key }, "Cannot use the TLS certificate"],
  ];
  for (const [change, message] of cases) {
    const options = ["--sqlite", ":memory:", ...tlsOptions({ ...own, ...change })];
    const { code, stderr } = await runProgram(["serve", "127.0.0.1", "0", ...options]);
    assertEquals(code, EXIT.config, stderr);
    assertStringIncludes(stderr, message);
    assertStringIncludes(stderr, folder.path, "the file is named");
  }
});

/** One connection accepted by a TLS server in this process, and its client's side. */
async function pair(
  certificate: Certificate,
  use: (server: ByteSocket, client: Deno.TlsConn) => Promise<void>,
): Promise<void> {
  const gate = await openReadGate();
  const tls = new TlsServer({ certPath: certificate.certificate, keyPath: certificate.key }, gate);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept().then((socket) => tls.accept(socket));
  const client = await connectTls(listener.addr.port, certificate);
  try {
    await use(await accepted, client);
  } finally {
    client.close();
    gate.close();
  }
}

Deno.test("a client that is late with its handshake is let go", async () => {
  await using folder = await temporaryFolder();
  const { certificate, key } = await makeCertificate(folder.path);
  const gate = await openReadGate();
  const tls = new TlsServer({ certPath: certificate, keyPath: key }, gate, 50);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const refusal = tls.accept(await listener.accept()).then(() => "accepted", (error) => error.message);
  assertEquals(await refusal, "its TLS handshake took too long");
  assertEquals(await readToEnd(client), "");
  client.close();
  gate.close();
});

Deno.test("a TLS connection can be closed while its client does not read", async () => {
  await using folder = await temporaryFolder();
  await pair(await makeCertificate(folder.path), async (server, client) => {
    const bytes = new Uint8Array(65_536);
    let written = 0;
    let writtenAt = performance.now();
    const writing = (async () => {
      for (;;) {
        written += await server.write(bytes);
        writtenAt = performance.now();
      }
    })().catch(() => "ended");
    await waitFor(
      "the client's buffers to be full",
      () => written > 0 && performance.now() - writtenAt > 100,
    );
    const reading = server.read(new Uint8Array(1)).catch(() => "ended");
    server.close();
    assertEquals([await writing, await reading], ["ended", "ended"]);
    // What the kernel had taken still arrives, and then the end.
    assertStringIncludes(await readToEnd(client), "!UnexpectedEof");
  });
});

Deno.test("what goes both ways at once over TLS arrives as it was", async () => {
  await using folder = await temporaryFolder();
  await pair(await makeCertificate(folder.path), async (server, client) => {
    const text = Array.from({ length: 200_000 }, (_, index) => index).join();
    const say = async (socket: ByteSocket) => {
      const bytes = new TextEncoder().encode(text);
      for (let offset = 0; offset < bytes.length;) offset += await socket.write(bytes.subarray(offset));
      await socket.closeWrite();
    };
    const peer: ByteSocket = client;
    const [heard, answered] = await Promise.all([readToEnd(server), readToEnd(peer), say(server), say(peer)]);
    assertEquals(heard === text && answered === text, true);
    server.close();
  });
});
