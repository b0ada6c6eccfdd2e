/**
 * Builds the one executable as the task `compile` does.
 *
 * @module
 */
import { run, runOrThrow, type TemporaryFolder, temporaryFolder } from "../support/process.ts";
import { compileFlags } from "../program_flags.ts";

/** Deno to compile with: this one, or the one that goes with the base runtime in DENORT_BIN. */
const DENO = Deno.env.get("DENO_FOR_COMPILE") ?? Deno.execPath();

/** What came of it. */
export interface Build {
  /** Where it is; the caller's to remove. */
  folder: TemporaryFolder;
  /** The executable; null where Deno cannot get the base runtime that it goes into. */
  executable: string | null;
  /** What Deno said. */
  output: string;
  /** Why there is no executable, for people. */
  reason: string;
}

/** Compiles into a temporary folder. */
export async function buildExecutable(): Promise<Build> {
  const folder = await temporaryFolder();
  const executable = `${folder.path}/chatserver`;
  const version = await runOrThrow(DENO, ["eval", "--no-lock", "console.log(Deno.version.deno)"]);
  const flags = await compileFlags(version.trim());
  const { code, stdout, stderr } = await run(
    DENO,
    ["compile", "--quiet", ...flags, "--output", executable, "main.ts"],
    { cwd: new URL("../..", import.meta.url).pathname, deadlineMs: 300_000 },
  );
  const output = stdout + stderr;
  const isWithoutBase = code !== 0 && /denort/.test(output);
  const reason = "deno compile cannot get its base runtime (DENORT_BIN can name one): " +
    output.split("\n").find((line) => line.includes("denort"))?.trim();
  return { folder, executable: isWithoutBase ? null : executable, output, reason };
}
