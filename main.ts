/**
 * The program: a chat server node, its terminal client, its database upgrade and its administration in one executable.
 *
 * @module
 */
import { runAdmin } from "./lib/admin/admin.ts";
import { runClient } from "./lib/client/terminal/client.ts";
import { errorText, EXIT, FatalError } from "./lib/base/errors.ts";
import { helpText } from "./lib/config/help.ts";
import { LineWriter } from "./lib/base/line_writer.ts";
import { createLogger, type Logger, type ProgramLogger } from "./lib/base/logger.ts";
import { checkNode, type Node, startNode } from "./lib/node.ts";
import {
  type MigrateOptions,
  type Options,
  type ServeOptions,
  type StorageOptions,
  VERSION,
} from "./lib/config/options.ts";
import { parseOptions, rememberSources } from "./lib/config/parse_options.ts";
import { giveUpPermissions } from "./lib/permissions.ts";
import { migrateDatabase } from "./lib/store/open.ts";

/**
 * Signals so soon after the first are the same request: Ctrl-C reaches all processes of a terminal's group, and a task
 * runner among them passes it on.
 */
const SAME_REQUEST_MS = 1_000;
/** What was printed last gets this long to be read at the end, ms. */
const FLUSH_MS = 500;

/** Where options come from, also when they are read again. */
const sources = rememberSources({
  env: (name) => Deno.env.get(name),
  readFile: (path) => Deno.readTextFileSync(path),
});

const stdout = new LineWriter(Deno.stdout);
const stderr = new LineWriter(
  Deno.stderr,
  (lines) => stderrLogger?.error("lines of the log were lost: nobody read it", { lines }),
);
let stderrLogger: Logger | undefined;

function print(line: string): void {
  stdout.write(`${line}\n`);
}

function openLog({ logLevel, logFormat }: StorageOptions): ProgramLogger {
  return stderrLogger = createLogger({
    level: logLevel,
    format: logFormat,
    write: (line) => stderr.write(line),
  });
}

async function run(options: Options): Promise<number> {
  switch (options.command) {
    case "help":
      print(helpText());
      return EXIT.ok;
    case "version":
      print(`chatserver ${VERSION}`);
      return EXIT.ok;
    case "client":
      return await runClient(options);
    case "admin":
      return await runAdmin(options, openLog(options));
    case "migrate":
      return await runMigrate(options);
    case "serve":
      return options.checkConfig ? await checkConfig(options) : await serve(options);
  }
}

async function checkConfig(options: ServeOptions): Promise<number> {
  const pending = await checkNode(options, openLog(options));
  print("The options can work.");
  if (pending.length > 0) print(`A start brings the database up to date: ${pending.join(", ")}.`);
  return EXIT.ok;
}

async function runMigrate(options: MigrateOptions): Promise<number> {
  const logger = openLog(options);
  const steps = await migrateDatabase(options, logger);
  for (const step of steps) print(step);
  if (steps.length === 0) print("The database is up to date.");
  return EXIT.ok;
}

async function serve(options: ServeOptions): Promise<number> {
  const logger = openLog(options);
  const node = await startNode(options, logger);
  giveUpPermissions(options);
  // Behind what was logged before, also where both go the same way.
  await stderr.flush(FLUSH_MS);
  print(`chatserver ${VERSION} ready on ${node.addresses}`);
  const signals = watchSignals(() => reload(options, node, logger));
  const reason = await Promise.race([signals.first, node.failure]);
  if (typeof reason === "string") logger.info("draining", { signal: reason });
  else logger.error("stopping", { reason: reason.message });
  signals.again.then(() => Deno.exit(EXIT.failure));
  const isClean = await node.drain();
  logger.info("stopped", { clean: isClean });
  if (typeof reason !== "string") return reason.exitCode;
  return isClean ? EXIT.ok : EXIT.failure;
}

/** Takes over what it can of options that have changed, and says what that is. All stays as it is when they cannot be. */
function reload({ configPath }: ServeOptions, node: Node, logger: ProgramLogger): void {
  try {
    if (configPath !== null) sources.forget(configPath);
    const options = parseOptions(Deno.args, sources);
    if (options.command !== "serve") return;
    const { taken, left } = node.reload(options);
    logger.setLevel(options.logLevel);
    logger.info("reloaded", { changed: taken.join(",") || "nothing" });
    if (left.length > 0) logger.warn("options have changed that need a restart", { options: left.join(",") });
  } catch (error) {
    logger.error("cannot reload; everything stays as it is", { reason: errorText(error) });
  }
}

/**
 * Signals that ask the program to end: `first` to do so in good order, `again` at once. SIGHUP asks to reload, unless it
 * tells that the terminal is gone.
 */
function watchSignals(onReload: () => void): { first: Promise<string>; again: Promise<void> } {
  const first = Promise.withResolvers<string>();
  const again = Promise.withResolvers<void>();
  let firstAt: number | undefined;
  const end = (signal: string) => {
    firstAt ??= performance.now();
    first.resolve(signal);
    if (performance.now() - firstAt > SAME_REQUEST_MS) again.resolve();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => end(signal));
  const hadTerminal = Deno.stdin.isTerminal();
  Deno.addSignalListener("SIGHUP", () => {
    if (hadTerminal && !Deno.stdin.isTerminal()) end("SIGHUP");
    else if (firstAt === undefined) onReload();
  });
  return { first: first.promise, again: again.promise };
}

async function runToEnd(): Promise<number> {
  try {
    return await run(parseOptions(Deno.args, sources));
  } catch (error) {
    stderr.write(`chatserver: ${errorText(error)}\n`);
    return error instanceof FatalError ? error.exitCode : EXIT.failure;
  }
}

if (import.meta.main) {
  const exitCode = await runToEnd();
  await Promise.all([stdout.flush(FLUSH_MS), stderr.flush(FLUSH_MS)]);
  Deno.exit(exitCode);
}
