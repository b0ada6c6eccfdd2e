/**
 * The flags the program runs with and is compiled with. Its permissions stand in one place, the task `start` in
 * deno.json; everything else that runs or builds the program takes them from here. Run as a script it prints the flags
 * for `deno compile`.
 *
 * @module
 */

/**
 * True for the versions that know `--ignore-env` and `--exclude-unused-npm`. Older ones run with more than the least,
 * and without the lock file, in which they do not understand the links.
 */
function knowsAllFlags(denoVersion: string): boolean {
  const [major = 0, minor = 0] = denoVersion.split(".").map(Number);
  return major > 2 || major === 2 && minor >= 9;
}

/**
 * The flags between `deno run --quiet` and `main.ts` in the task `start`, as the given version of Deno understands them.
 * `configPath`: the deno.json, of this checkout unless another one is named.
 */
export async function programFlags(
  denoVersion: string = Deno.version.deno,
  configPath: string | URL = new URL("../deno.json", import.meta.url),
): Promise<string[]> {
  const config = JSON.parse(await Deno.readTextFile(configPath));
  const command: string = config.tasks.start.command;
  const flags = command.match(/^deno run --quiet (.*) main\.ts$/)?.[1]?.split(" ");
  if (!flags) {
    throw new Error(`The task "start" is not of the form "deno run --quiet FLAGS main.ts": ${command}`);
  }
  if (knowsAllFlags(denoVersion)) return flags;
  const known = flags.filter((flag) => flag !== "--ignore-env");
  return ["--no-lock", ...known.map((flag) => flag.startsWith("--allow-env") ? "--allow-env" : flag)];
}

/** The flags for `deno compile`: the program's permissions, its migrations, its worker, the page, and no package it does not use. */
export async function compileFlags(denoVersion: string = Deno.version.deno): Promise<string[]> {
  const prune = knowsAllFlags(denoVersion) ? ["--exclude-unused-npm"] : [];
  return [
    ...await programFlags(denoVersion),
    "--include",
    "sql",
    "--include",
    "lib/chat/scrypt_worker.ts",
    "--include",
    "lib/web/assets",
    ...prune,
  ];
}

if (import.meta.main) console.log((await compileFlags()).join(" "));
