import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../lib/config/options.ts";
import { isOnPath, run, runOrThrow, temporaryFolder } from "../support/process.ts";
import { compileFlags, programFlags } from "../program_flags.ts";

/** Runs a piece of code with the program's permissions. */
async function runWithProgramFlags(code: string): Promise<string> {
  const script = `data:text/typescript,${encodeURIComponent(code)}`;
  return (await runOrThrow(Deno.execPath(), ["run", ...await programFlags(), script], {
    env: { CHAT_NODE: "a", DEBUG: "b" },
  })).trimEnd();
}

Deno.test("the program cannot start other programs or load native code", async () => {
  await assertRejects(() => runWithProgramFlags(`new Deno.Command("/bin/sh").spawn()`), Error, "NotCapable");
  await assertRejects(() => runWithProgramFlags(`Deno.dlopen("libc.so.6", {})`), Error, "NotCapable");
});

Deno.test({
  name: "the program sees its own variables and no others",
  ignore: !(await programFlags()).includes("--ignore-env"),
  async fn() {
    const values = await runWithProgramFlags(`console.log(Deno.env.get("CHAT_NODE"), Deno.env.get("DEBUG"))`);
    assertEquals(values, "a undefined");
  },
});

Deno.test({
  name: "the first start, which fetches the packages, leaves on the terminal what it prints",
  ignore: !isOnPath("script"),
  async fn() {
    await using cache = await temporaryFolder();
    const { code, stdout } = await run("script", ["-qec", "deno task start --version", "/dev/null"], {
      env: { DENO_DIR: cache.path },
      deadlineMs: 120_000,
    });
    assertEquals(code, 0, stdout);
    assertStringIncludes(stdout, `chatserver ${VERSION}`);
    // deno-lint-ignore no-control-regex -- what a progress bar moves the cursor and wipes lines with
    assertEquals(stdout.match(/\x1b\[\d*[AJK]/g), null, JSON.stringify(stdout));
  },
});

Deno.test("a version of Deno that lacks a flag does without it", async () => {
  for (const flag of ["--ignore-env", "--exclude-unused-npm"]) {
    assertStringIncludes((await compileFlags("2.9.0")).join(" "), flag);
    assertEquals((await compileFlags("2.4.2")).includes(flag), false);
  }
});
