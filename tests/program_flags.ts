/**
 * The permissions the program runs with: the flags of the task `start` in deno.json, the one place where they stand.
 *
 * @module
 */

/** Flags that came after Deno 2.4: older versions run with more than the least. */
function forOlderDeno(flags: readonly string[]): string[] {
  return flags
    .filter((flag) => !flag.startsWith("--ignore-env"))
    .map((flag) => flag.startsWith("--allow-env") ? "--allow-env" : flag);
}

/** The flags between `deno run` and `main.ts` in the task `start`, as `denoVersion` (this one by default) knows them. */
export async function programFlags(denoVersion: string = Deno.version.deno): Promise<string[]> {
  const config = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  const command: string = config.tasks.start.command;
  const flags = command.match(/^deno run (.*) main\.ts$/)?.[1]?.split(" ");
  if (!flags) throw new Error(`The task "start" in deno.json is not "deno run FLAGS main.ts" but ${command}`);
  const [major = 0, minor = 0] = denoVersion.split(".").map(Number);
  return major > 2 || minor >= 9 ? flags : forOlderDeno(flags);
}
