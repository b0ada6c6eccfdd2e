/** The one executable: built as the task `compile` builds it, and run where there is nothing but itself. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../lib/config/options.ts";
import { buildExecutable } from "./compile.ts";
import { isFile, temporaryFolder } from "../support/process.ts";
import { runProgram, startServer } from "../support/services.ts";

const { folder, executable, output, reason } = await buildExecutable();
globalThis.addEventListener("unload", () => Deno.removeSync(folder.path, { recursive: true }));
if (executable === null) console.log(`Skipped: ${reason}`);

/** A test of the executable in an empty folder of its own. */
function compiledTest(name: string, fn: (executable: string, cwd: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: executable === null,
    async fn() {
      assert(executable !== null && isFile(executable), output);
      await using empty = await temporaryFolder();
      await fn(executable, empty.path);
    },
  });
}

compiledTest("the executable says which version it is and what it can do", async (executable, cwd) => {
  const version = await runProgram(["--version"], { executable, cwd });
  assertEquals([version.code, version.stdout.trim()], [0, `chatserver ${VERSION}`]);
  const help = await runProgram(["--help"], { executable, cwd });
  assertStringIncludes(help.stdout, "--mysql URL");
});

compiledTest("the executable brings a database up to date by itself", async (executable, cwd) => {
  const first = await runProgram(["migrate"], { executable, cwd });
  assertEquals(first.code, 0, first.stderr);
  assert(isFile(`${cwd}/chat.db`));
  const second = await runProgram(["migrate"], { executable, cwd });
  assertEquals([second.code, second.stdout.trim()], [0, "The database is up to date."]);
});

compiledTest("the executable serves, also the page, and its client talks to it", async (executable, cwd) => {
  // The files of the page for operators are read at the start; older runtimes cannot serve HTTP with them.
  const args = ["--web", "127.0.0.1:0", "--http", "127.0.0.1:0"];
  await using server = await startServer(args, { executable, cwd });
  assert(isFile(`${cwd}/chat.db`));
  const client = await runProgram(["client", server.host, String(server.port), "--no-history"], {
    executable,
    cwd,
    stdin: "2\nli\nsecret\n3\n",
  });
  assertEquals(client.code, 0, client.stderr);
  assertStringIncludes(client.stdout, "your user id is 1");
  const page = await fetch(`http://127.0.0.1:${server.address("web").port}/`);
  const [, script = ""] = (await page.text()).match(/src="(app\.js[^"]*)"/) ?? [];
  assertStringIncludes(await (await fetch(new URL(script, page.url))).text(), "WebSocket");
  assertEquals((await server.stop()).code, 0, server.stderr);
});
