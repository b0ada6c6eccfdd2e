/** SIGHUP: what a running node takes over, and what it says of the rest. */

import { assertEquals, assertMatch } from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { makeCertificate } from "../support/certificate.ts";
import { chat, ChatClient, newPerson, PASSWORD } from "../support/chat_client.ts";
import { temporaryFolder } from "../support/process.ts";
import { runProgram, startServer } from "../support/services.ts";

Deno.test("a node takes over limits and the level of its log, and says what needs a restart", async () => {
  await using folder = await temporaryFolder();
  const config = `${folder.path}/chat.conf`;
  const write = (...lines: string[]) => Deno.writeTextFile(config, lines.join("\n"));
  await write(`sqlite = ${folder.path}/chat.db`, "message-rate = 1");
  await using server = await startServer(["--config", config]);
  await using li = await newPerson(server.port, "li", { v: 2 });
  await using wu = await newPerson(server.port, "wu", { v: 2 });
  const burst = async () => {
    const replies = await li.client.requestAll(
      Array.from({ length: 30 }, (_, index) => chat(li, wu.id, String(index))),
    );
    return replies.filter(({ errno }) => errno === 8).length > 0;
  };
  assertEquals(await burst(), true, "ten at once are allowed");

  await write(
    `sqlite = ${folder.path}/chat.db`,
    "message-rate = 1000",
    "log-level = debug",
    "password-min = 20",
    "max-frame = 128K",
  );
  const log = await server.reload();
  assertMatch(log, /info +reloaded changed=\S*message-rate/);
  assertMatch(log, /warn +options have changed that need a restart options=max-frame/);
  assertEquals(await burst(), false);
  await using client = await ChatClient.connect(server.port);
  assertEquals((await client.request({ msgid: 4, v: 2, name: "ho", password: PASSWORD })).errno, 1);
  await server.logged(/debug connection opened/);

  await write(`sqlite = ${folder.path}/chat.db`, "message-rate = many");
  assertMatch(
    await server.reload(),
    /error cannot reload; everything stays as it is reason=".*chat\.conf line 2: message-rate: /,
  );
  assertEquals(await burst(), false);
  assertEquals((await server.stop()).code, EXIT.ok);
});

Deno.test("a renewed certificate is served after SIGHUP; one that cannot be used is not", async () => {
  await using folder = await temporaryFolder();
  const [one, two] = [`${folder.path}/1`, `${folder.path}/2`];
  for (const path of [one, two]) await Deno.mkdir(path);
  const first = await makeCertificate(one);
  const second = await makeCertificate(two);
  // As certbot does it: links that lead elsewhere after a renewal.
  const paths = { cert: `${folder.path}/cert.pem`, key: `${folder.path}/key.pem` };
  const serveFrom = async ({ certificate, key }: { certificate: string; key: string }) => {
    for (const [link, target] of [[paths.cert, certificate], [paths.key, key]] as const) {
      await Deno.symlink(target, `${link}.new`);
      await Deno.rename(`${link}.new`, link);
    }
  };
  await serveFrom(first);
  await using server = await startServer([
    ...["--sqlite", `${folder.path}/chat.db`, "--tls-port", "0", "--tls-cert", paths.cert],
    ...["--tls-key", paths.key, "--web", "127.0.0.1:0", "--web-tls"],
  ]);
  const isTrustedBy = async (certificate: { authority: string }) => {
    const [chat, web] = [await isTrustedOn("tls", certificate), await isTrustedOn("web", certificate)];
    assertEquals(chat, web);
    return chat;
  };
  const isTrustedOn = async (kind: "tls" | "web", { authority }: { authority: string }) => {
    const caCerts = [await Deno.readTextFile(authority)];
    const { port } = server.address(kind);
    const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts });
    try {
      return await conn.handshake().then(() => true, () => false);
    } finally {
      conn.close();
    }
  };
  assertEquals([await isTrustedBy(first), await isTrustedBy(second)], [true, false]);
  assertMatch(await server.reload(), /reloaded changed=nothing/);
  await serveFrom({ certificate: second.certificate, key: first.key });
  assertMatch(await server.reload(), /cannot reload; .* does not belong to the certificate/);
  assertEquals([await isTrustedBy(first), await isTrustedBy(second)], [true, false]);
  await serveFrom(second);
  assertMatch(await server.reload(), /reloaded changed=tls-cert/);
  assertEquals([await isTrustedBy(first), await isTrustedBy(second)], [false, true]);
});

Deno.test("a file that a start refuses is refused by a check, in one line with its place", async () => {
  await using folder = await temporaryFolder();
  const config = `${folder.path}/chat.conf`;
  await Deno.writeTextFile(config, `sqlite = ${folder.path}/chat.db\nport = 0\nhttp = nowhere\n`);
  const { code, stderr } = await runProgram(["--config", config, "--check-config"]);
  assertEquals(code, EXIT.usage);
  assertMatch(
    stderr,
    /^chatserver: \S+chat\.conf line 3: http: "nowhere" is not HOST:PORT \(see --help\)\n$/,
  );
  await Deno.writeTextFile(config, `sqlite = ${folder.path}/chat.db\nport = 0\n`);
  assertEquals((await runProgram(["--config", config, "--check-config"])).stdout, "The options can work.\n");
});
