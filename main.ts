/**
 * The program: a chat server node, its terminal client and its database upgrade in one executable.
 *
 * @module
 */
import { runClient } from "./lib/client/client.ts";
import { errorText, EXIT, FatalError } from "./lib/errors.ts";
import { helpText } from "./lib/help.ts";
import { createLogger } from "./lib/logger.ts";
import { startNode } from "./lib/node.ts";
import { type MigrateOptions, type Options, type ServeOptions, VERSION } from "./lib/options.ts";
import { parseOptions } from "./lib/parse_options.ts";
import { migrateDatabase } from "./lib/store/open.ts";

async function run(options: Options): Promise<number> {
  switch (options.command) {
    case "help":
      console.log(helpText());
      return EXIT.ok;
    case "version":
      console.log(`chatserver ${VERSION}`);
      return EXIT.ok;
    case "client":
      return await runClient(options);
    case "migrate":
      return await runMigrate(options);
    case "serve":
      return options.checkConfig ? checkConfig() : await serve(options);
  }
}

function checkConfig(): number {
  console.log("The options can work.");
  return EXIT.ok;
}

async function runMigrate(options: MigrateOptions): Promise<number> {
  const logger = createLogger({ level: options.logLevel, format: options.logFormat });
  const steps = await migrateDatabase(options, logger);
  for (const step of steps) console.log(step);
  if (steps.length === 0) console.log("The database is up to date.");
  return EXIT.ok;
}

async function serve(options: ServeOptions): Promise<number> {
  const logger = createLogger({ level: options.logLevel, format: options.logFormat });
  const node = await startNode(options, logger);
  console.log(`chatserver ${VERSION} ready on ${node.addresses}`);
  const reason = await Promise.race([nextSignal(), node.failure]);
  if (typeof reason === "string") logger.info("draining", { signal: reason });
  else logger.error("stopping", { reason: reason.message });
  // A second signal means at once.
  nextSignal().then(() => Deno.exit(EXIT.failure));
  const isClean = await node.drain();
  logger.info("stopped", { clean: isClean });
  if (typeof reason !== "string") return reason.exitCode;
  return isClean ? EXIT.ok : EXIT.failure;
}

/** Resolves with the next signal that asks the program to end. */
function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => resolve(signal));
    }
  });
}

if (import.meta.main) {
  try {
    const sources = {
      env: (name: string) => Deno.env.get(name),
      readFile: (path: string) => Deno.readTextFileSync(path),
    };
    Deno.exit(await run(parseOptions(Deno.args, sources)));
  } catch (error) {
    console.error(`chatserver: ${errorText(error)}`);
    Deno.exit(error instanceof FatalError ? error.exitCode : EXIT.failure);
  }
}
