/** The one executable: built as the task `compile` builds it, and run where there is nothing but itself. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../lib/options.ts";
import { isFile, run, runOrThrow, type TemporaryFolder, temporaryFolder } from "./process.ts";
import { compileFlags } from "./program_flags.ts";
import { runProgram, startServer } from "./services.ts";

/** Deno to compile with: this one, or the one that goes with the base runtime in DENORT_BIN. */
const DENO = Deno.env.get("DENO_FOR_COMPILE") ?? Deno.execPath();

interface Build {
  folder: TemporaryFolder;
  /** The executable; null where Deno cannot get the base runtime that it goes into. */
  executable: string | null;
  /** What Deno said. */
  output: string;
}

async function build(): Promise<Build> {
  const folder = await temporaryFolder();
  const executable = `${folder.path}/chatserver`;
  const version = await runOrThrow(DENO, ["eval", "--no-lock", "console.log(Deno.version.deno)"]);
  const flags = await compileFlags(version.trim());
  const { code, stdout, stderr } = await run(
    DENO,
    ["compile", "--quiet", ...flags, "--output", executable, "main.ts"],
    { cwd: new URL("..", import.meta.url).pathname, deadlineMs: 300_000 },
  );
  const output = stdout + stderr;
  const isWithoutBase = code !== 0 && /denort/.test(output);
  return { folder, executable: isWithoutBase ? null : executable, output };
}

const { folder, executable, output } = await build();
globalThis.addEventListener("unload", () => Deno.removeSync(folder.path, { recursive: true }));
if (executable === null) {
  const reason = output.split("\n").find((line) => line.includes("denort"))?.trim();
  console.log(`Skipped: deno compile cannot get its base runtime (DENORT_BIN can name one): ${reason}`);
}

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

compiledTest("the executable serves, and its client talks to it", async (executable, cwd) => {
  await using server = await startServer([], { executable, cwd });
  assert(isFile(`${cwd}/chat.db`));
  const client = await runProgram(["client", server.host, String(server.port), "--no-history"], {
    executable,
    cwd,
    stdin: "2\nli\nsecret\n3\n",
  });
  assertEquals(client.code, 0, client.stderr);
  assertStringIncludes(client.stdout, "your user id is 1");
  assertEquals((await server.stop()).code, 0, server.stderr);
});
