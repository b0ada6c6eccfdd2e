import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { EXIT, FatalError } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/logger.ts";
import { type MysqlDatabase, openMysql } from "../../lib/store/mysql.ts";
import { type MysqlSsl, parseMysqlUrl } from "../../lib/store/mysql_url.ts";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { chat, newPerson } from "../support/chat_client.ts";
import { ENGINE } from "../support/engines.ts";
import { temporaryFolder, waitFor } from "../support/process.ts";
import { type MariaDb, runProgram, startMariaDb, startServer } from "../support/services.ts";

/** A server with a certificate for the name localhost only, on every address, and users with and without REQUIRE SSL. */
async function startTlsMariaDb({ certificate, key }: Certificate): Promise<MariaDb> {
  const args = [`--ssl-cert=${certificate}`, `--ssl-key=${key}`];
  const mariadb = await startMariaDb({ args });
  await mariadb.sql(
    "CREATE USER tls@'%' IDENTIFIED BY 'p' REQUIRE SSL; GRANT ALL ON *.* TO tls@'%';" +
      "CREATE USER any@'%' IDENTIFIED BY 'p'; GRANT ALL ON *.* TO any@'%'",
  );
  return mariadb;
}

function open(url: string, poolSize = 1): Promise<MysqlDatabase & AsyncDisposable> {
  const logger = createLogger({ level: "error", format: "text", write: () => {} });
  return openMysql({ url, poolSize, logger })
    .then((db) => Object.assign(db, { [Symbol.asyncDispose]: () => db.close() }));
}

/** True when a connection to `url` is through TLS. */
async function isTls(url: string): Promise<boolean> {
  await using db = await open(url);
  const [row] = await db.query("SHOW STATUS LIKE 'Ssl_cipher'");
  return row?.Value !== "";
}

Deno.test("MySQL through TLS", async (t) => {
  await using folder = await temporaryFolder();
  await Deno.mkdir(`${folder.path}/other`);
  const certificate = await makeCertificate(folder.path, "DNS:localhost");
  const ca = `ssl-ca=${certificate.authority}`;
  const otherCa = `ssl-ca=${(await makeCertificate(`${folder.path}/other`)).authority}`;
  await using mariadb = await startTlsMariaDb(certificate);
  const url = (query: string, { user = "tls", host = "localhost" } = {}) =>
    `mysql://${user}:p@${host}:${mariadb.port}/chat${query}`;
  const refusal = async (url: string) => {
    const { exitCode, message } = await assertRejects(() => open(url), FatalError);
    assertEquals(exitCode, EXIT.config, message);
    return message;
  };

  await t.step("is spoken as ssl-mode says, and wherever it is offered by default", async () => {
    for (const mode of ["", "?ssl-mode=PREFERRED", "?ssl-mode=required", `?ssl-mode=VERIFY_CA&${ca}`]) {
      assert(await isTls(url(mode)), mode);
    }
    assert(await isTls(url(`?ssl-mode=VERIFY_IDENTITY&${ca}`)));
    assert(await isTls(url(`?ssl-mode=VERIFY_CA&${ca}`, { host: "127.0.0.1" })));
    const socket = `socketPath=${mariadb.folder}/socket`;
    assert(await isTls(url(`?ssl-mode=REQUIRED&${socket}`)));
    assertEquals(await isTls(url(`?${socket}`, { user: "any" })), false);
    assertEquals(await isTls(url("?ssl-mode=DISABLED", { user: "any" })), false);
    assertStringIncludes(await refusal(url("?ssl-mode=DISABLED")), "Access denied");
  });

  await t.step("is refused with another authority or another name, an address included", async () => {
    const words = "its certificate is not from an authority in ssl-ca";
    for (const mode of ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]) {
      assertStringIncludes(await refusal(url(`?ssl-mode=${mode}&${otherCa}`)), words);
    }
    const message = await refusal(url(`?ssl-mode=VERIFY_IDENTITY&${ca}`, { host: "127.0.0.1" }));
    assertStringIncludes(message, "its certificate is for another host");
    assertStringIncludes(message, "127.0.0.1");
  });

  await t.step("is refused with a file that holds no authority", async () => {
    await Deno.writeTextFile(
      `${folder.path}/bad.pem`,
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    );
    const files = {
      [`${folder.path}/missing.pem`]: "Cannot read the MySQL URL's ssl-ca",
      [folder.path]: "Cannot read the MySQL URL's ssl-ca",
      [certificate.key]: "There is no PEM certificate in the MySQL URL's ssl-ca",
      [`${folder.path}/bad.pem`]: "is damaged",
    };
    for (const [path, words] of Object.entries(files)) {
      const message = await refusal(url(`?ssl-ca=${path}`));
      assertStringIncludes(message, words);
      assertStringIncludes(message, path);
    }
  });

  await t.step("a login that is refused is told by the server's reason, each time", async () => {
    const nowhere = url("?ssl-mode=REQUIRED").replace("/chat", "/nowhere");
    for (let login = 0; login < 100; login++) {
      assertStringIncludes(await refusal(nowhere), "Unknown database 'nowhere'");
    }
  });

  await t.step("carries many connections and large packets, and ends in good order", async () => {
    const abortedBefore = await mariadb.sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'");
    {
      await using db = await open(url(`?ssl-mode=VERIFY_IDENTITY&${ca}`), 20);
      await Promise.all(Array.from({ length: 200 }, async (_, index) => {
        const text = String.fromCodePoint(0x61 + index % 26).repeat(
          index % 10 === 0 ? 500_000 : index * 100 + 1,
        );
        const [row] = await db.query("SELECT ? AS text", [text]);
        assert(row?.text === text, `packet ${index}`);
      }));
      assert(db.stats().size > 10);
    }
    assertEquals(await mariadb.sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'"), abortedBefore);
  });

  await t.step(
    "a node that starts keeps its authority, and comes back after the server was killed",
    async () => {
      const nodeUrl = url(`?ssl-mode=VERIFY_IDENTITY&${ca}`);
      const checked = await runProgram([
        "--check-config",
        "--port",
        "0",
        "--mysql",
        url(`?ssl-mode=VERIFY_CA&${otherCa}`),
      ]);
      assertEquals(checked.code, EXIT.config, checked.stderr);
      assertStringIncludes(checked.stderr, "its certificate is not from an authority in ssl-ca");
      await using node = await startServer(["--mysql", nodeUrl]);
      await using ann = await newPerson(node.port, "ann", { v: 2 });
      const say = (cid: string) => ann.client.request({ ...chat(ann, ann.id, cid), cid });
      assertEquals((await say("before")).errno, 0);
      await Deno.remove(certificate.authority);
      await mariadb.kill("SIGKILL");
      assertEquals((await say("meanwhile")).errno, 10);
      await mariadb.start();
      await waitFor("messages to be stored again", async () => (await say("after")).errno === 0);
    },
  );
});

Deno.test("a server without TLS is used by default, and refused where ssl-mode demands it", async () => {
  await using mariadb = await startMariaDb({ args: [ENGINE === "MySQL" ? "--tls-version=" : "--skip-ssl"] });
  assertEquals(await isTls(mariadb.url), false);
  const error = await assertRejects(() => open(`${mariadb.url}?ssl-mode=REQUIRED`), FatalError);
  assertEquals(error.exitCode, EXIT.config);
  assertStringIncludes(error.message, "it offers no TLS, which ssl-mode in the URL demands");
});

Deno.test("a server that goes away during the handshake, or speaks something else, can come back", async () => {
  // A greeting that offers TLS.
  const version = new TextEncoder().encode("8.0.0\0");
  const body = [
    10,
    ...version,
    ...new Array(13).fill(1),
    0xff,
    0xff,
    45,
    2,
    0,
    0xff,
    0xc1,
    21,
    ...new Array(22).fill(0),
    0,
  ];
  const greeting = new Uint8Array([body.length, 0, 0, 0, ...body]);
  for (const mode of ["PREFERRED", "REQUIRED"]) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const refusing = assertRejects(
      () => open(`mysql://u:p@127.0.0.1:${listener.addr.port}/db?ssl-mode=${mode}`),
      FatalError,
    );
    {
      using conn = await listener.accept();
      // In pieces, as a network may bring it.
      await conn.write(greeting.subarray(0, 7));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await conn.write(greeting.subarray(7));
      const request = new Uint8Array(36);
      assertEquals(await conn.read(request), 36);
    }
    const { exitCode, message } = await refusing;
    assertEquals(exitCode, EXIT.unavailable, message);
  }
});

Deno.test("what a MySQL URL says of TLS is taken apart, and refused without being quoted", {
  permissions: "none",
}, () => {
  const good: Record<string, MysqlSsl> = {
    "": { mode: "PREFERRED", caPath: null },
    "?ssl-mode=disabled": { mode: "DISABLED", caPath: null },
    "?ssl-ca=/a%20b.pem": { mode: "VERIFY_CA", caPath: "/a b.pem" },
    "?ssl-mode=REQUIRED&ssl-ca=/a": { mode: "REQUIRED", caPath: "/a" },
    "?ssl-ca=/a&ssl-mode=Verify_Identity": { mode: "VERIFY_IDENTITY", caPath: "/a" },
  };
  for (const [query, ssl] of Object.entries(good)) {
    assertEquals(parseMysqlUrl(`mysql://u:p@h/db${query}`).ssl, ssl);
  }
  const bad: Record<string, string> = {
    "?ssl-mode=hunter2":
      "an ssl-mode that is none of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY",
    "?ssl-mode=": "an ssl-mode that is none of",
    "?ssl-mode=VERIFY_CA": "no ssl-ca, which ssl-mode=VERIFY_CA needs",
    "?ssl-mode=VERIFY_IDENTITY": "no ssl-ca",
    "?ssl-mode=VERIFY_CA&ssl-ca=": "an ssl-ca that names no file",
    "?ssl-mode=PREFERRED&ssl-ca=/a": "an ssl-ca that ssl-mode=PREFERRED would not look at",
    "?ssl-mode=DISABLED&ssl-ca=/a": "would not look at",
    "?ssl-mode=REQUIRED&ssl-mode=DISABLED": "twice",
    "?ssl-cert=hunter2": "other than socketPath, ssl-mode, ssl-ca",
    "?sslmode=REQUIRED": "other than socketPath, ssl-mode, ssl-ca",
  };
  for (const [query, reason] of Object.entries(bad)) {
    try {
      parseMysqlUrl(`mysql://u:p@h/db${query}`);
    } catch (error) {
      assertInstanceOf(error, FatalError);
      assertEquals(error.exitCode, EXIT.usage);
      assertStringIncludes(error.message, reason);
      assert(!error.message.includes("hunter2"));
      continue;
    }
    throw new Error(`${query} was not refused`);
  }
});
