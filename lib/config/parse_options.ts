/**
 * From the command line, the environment and a file to checked options. A flag counts before a variable, a variable before
 * the file, the file before the default; nothing is guessed: what cannot be understood ends the program with one line.
 *
 * @module
 */

import { type Args, parseArgs } from "@std/cli/parse-args";
import { errorText, EXIT, FatalError } from "../base/errors.ts";
import { type FileValue, placeIn, readConfigFile } from "./config_file.ts";
import {
  type CommandName,
  type Option,
  type Options,
  type ServeOptions,
  type Table,
  TABLES,
  variableOf,
} from "./options.ts";
import { nearestTo } from "./nearest.ts";
import { redactUrl } from "../base/redact_url.ts";

/** What the options may also come from. */
export interface OptionSources {
  /** An environment variable, undefined when it is not set. */
  env(name: string): string | undefined;
  /** The text of a file; throws when it cannot be read. */
  readFile(path: string): string;
}

/** The text of an option, and where it comes from, for an error message. */
interface Given {
  text: string;
  source: string;
}

function usageError(message: string): FatalError {
  return new FatalError(EXIT.usage, `${message} (see --help)`);
}

function configError(message: string, cause?: unknown): FatalError {
  return new FatalError(EXIT.config, message, cause === undefined ? {} : { cause });
}

/** A value for an error text. */
function quote(text: string): string {
  return JSON.stringify(redactUrl(text));
}

const ROWS: readonly Option<unknown>[] = Object.values(TABLES).flatMap((table) => Object.values(table));
const names = (rows: readonly Option<unknown>[]) => [...new Set(rows.map(({ flag }) => flag))];
const VALUED = names(ROWS.filter(({ placeholder }) => placeholder !== undefined));
const SWITCHES = names(ROWS.filter(({ placeholder }) => placeholder === undefined));
/** What may stand in a file: all commands on a database share one. It cannot name itself. */
const FILED = names(Object.values(TABLES.serve)).filter((flag) => flag !== TABLES.serve.configPath.flag);

function splitArgs(args: readonly string[]): Args {
  return parseArgs([...args], {
    string: ["_", ...VALUED],
    boolean: ["help", "version", ...SWITCHES],
    alias: { help: "h", version: "V" },
    negatable: ["history"],
    // A switch that is not given leaves the choice to its variable; false would not.
    default: Object.fromEntries(SWITCHES.map((name) => [name, undefined])),
    unknown(arg, key) {
      // Without what follows an equals sign, which may be a secret.
      if (key !== undefined) throw usageError(`Unknown option ${quote(arg.replace(/=.*/s, ""))}`);
    },
  });
}

/** Reads a secret out of the file that a variable names. */
function readSecret(variable: string, path: string, { readFile }: OptionSources): string {
  try {
    return readFile(path).trim();
  } catch (error) {
    // Somebody may have put the secret itself there.
    throw configError(`Cannot read the file that ${variable} names: ${redactUrl(errorText(error))}`, error);
  }
}

/** An option's text from its environment. An empty variable counts as none, as tools that copy settings leave them. */
function fromEnvironment(option: Option<unknown>, sources: OptionSources): Given | undefined {
  const variable = variableOf(option);
  const fileVariable = `${variable}_FILE`;
  const text = sources.env(variable) || undefined;
  const file = option.isSecret && sources.env(fileVariable) || undefined;
  if (text !== undefined && file !== undefined) {
    throw configError(`Set ${variable} or ${fileVariable}, not both`);
  }
  if (text !== undefined) return { text, source: variable };
  return file && { text: readSecret(fileVariable, file, sources), source: fileVariable } || undefined;
}

/** The file that `--config` names, as far as that is an option of the command. */
function readFiled(command: CommandName, given: GivenOptions, { readFile }: OptionSources): FiledOptions {
  const { configPath } = TABLES.serve;
  const file = command === "client" ? undefined : given.find(configPath);
  if (!file) return NOTHING_FILED;
  let text: string;
  try {
    text = readFile(file.text);
  } catch (error) {
    throw configError(
      `${file.source}: cannot read ${quote(file.text)}: ${redactUrl(errorText(error))}`,
      error,
    );
  }
  return { path: file.text, values: readConfigFile(file.text, text, FILED) };
}

/** What stands in the file of `--config`. */
interface FiledOptions {
  path: string;
  values: ReadonlyMap<string, FileValue>;
}

const NOTHING_FILED: FiledOptions = { path: "", values: new Map() };

/** The options of one command, each from its most important source. */
class GivenOptions {
  readonly #args: Args;
  readonly #sources: OptionSources;
  /** Counts for what nobody has given in another way. */
  filed = NOTHING_FILED;
  /** The arguments HOST and PORT. */
  readonly #positionals: Readonly<Record<string, string>>;

  constructor(args: Args, positionals: Readonly<Record<string, string>>, sources: OptionSources) {
    this.#args = args;
    this.#positionals = positionals;
    this.#sources = sources;
  }

  /** What was given for an option; undefined when nothing was. */
  find(option: Option<unknown>): Given | undefined {
    const { flag, placeholder } = option;
    const text = this.#args[flag];
    const positional = this.#positionals[flag];
    if (text === undefined && positional === undefined) {
      if (option.isFlagOnly) return undefined;
      return fromEnvironment(option, this.#sources) ?? this.#fromFile(option);
    }
    if (text === "") throw usageError(`--${flag} needs a value: --${flag} ${placeholder}`);
    if (positional === undefined) return { text: String(text), source: `--${flag}` };
    if (text === undefined) return { text: positional, source: flag.toUpperCase() };
    throw usageError(`Give ${flag.toUpperCase()} or --${flag}, not both`);
  }

  #fromFile({ flag }: Option<unknown>): Given | undefined {
    const { path, values } = this.filed;
    const value = values.get(flag);
    return value && { text: value.text, source: `${placeIn(path, value.line)}: ${flag}` };
  }

  /** The value of one option; null when it has no fallback and nobody gave it. */
  #value(option: Option<unknown>): unknown {
    const given = this.find(option);
    if (!given) return option.fallback === undefined ? null : option.parse(option.fallback);
    try {
      return option.parse(given.text);
    } catch (error) {
      // A URL's own parser says all, and quotes nothing that could be a password.
      const problem = error instanceof FatalError
        ? error.message
        : `${quote(given.text)} ${errorText(error)}`;
      throw usageError(`${given.source}: ${problem}`);
    }
  }

  /** The values of a whole table. */
  values<Values>(table: Table<Values>): Values {
    const rows: [string, Option<unknown>][] = Object.entries(table);
    // Table<Values> has a row for each value, and each row makes a value of its type.
    return Object.fromEntries(rows.map(([name, option]) => [name, this.#value(option)])) as Values;
  }
}

/** The arguments HOST and PORT; each may be left out, as a host name is never a mere number. */
function readPositionals(command: CommandName, args: readonly string[]): Record<string, string> {
  // The words of admin are for its own commands to read.
  if (command === "admin") return {};
  const isAddressed = command !== "migrate";
  const [host, port, ...more] = args.length === 1 && /^\d+$/.test(args[0] ?? "")
    ? [undefined, ...args]
    : args;
  const surplus = isAddressed ? more[0] : args[0];
  if (surplus !== undefined) throw usageError(`Cannot make sense of the argument ${quote(surplus)}`);
  return { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) };
}

/** A word that can only be meant as a command: no number, no address, no host name with a dot. */
function refuseUnknownCommand(word: string | undefined): void {
  if (word === undefined || word === "localhost" || !/^(?!\d+$)[\w-]+$/.test(word)) return;
  const nearest = nearestTo(word.toLowerCase(), [...Object.keys(TABLES), "help"]);
  throw usageError(
    `Unknown command ${quote(word)}: did you mean ${nearest}? If it is a host name, write: serve ${word}`,
  );
}

function isCommand(name: string | undefined): name is CommandName {
  return name !== undefined && Object.hasOwn(TABLES, name);
}

/** A flag of another command is a mistake; a variable of one is not, as all commands share an environment. */
function refuseForeignFlags(command: CommandName, args: Args): void {
  const own = new Set(names(Object.values(TABLES[command])));
  for (const flag of [...VALUED, ...SWITCHES]) {
    if (args[flag] !== undefined && !own.has(flag)) {
      throw usageError(`--${flag} is not an option of ${command}`);
    }
  }
}

function checkStorage(given: GivenOptions): void {
  const sqlite = given.find(TABLES.serve.sqlitePath);
  const mysql = given.find(TABLES.serve.mysqlUrl);
  if (sqlite && mysql) {
    throw configError(
      `${sqlite.source} and ${mysql.source} are both given: the data is either here or there`,
    );
  }
}

function checkServer(options: ServeOptions): void {
  if (options.redisUrl !== null && options.mysqlUrl === null) {
    throw configError(
      "--redis needs --mysql: nodes that share a Redis but not a database would share no users and no messages",
    );
  }
  if (options.redisCaPath !== null && !options.redisUrl?.startsWith("rediss")) {
    throw configError("--redis-ca is for a --redis URL that begins with rediss");
  }
  checkTls(options);
  if ((options.webTls || options.webOrigins !== null) && (options.web === null || options.web === "none")) {
    throw configError("--web-tls and --web-origin need --web");
  }
  checkPorts(options);
}

function checkTls({ tlsPort, tlsCertPath, tlsKeyPath, web, webTls }: ServeOptions): void {
  const files = [tlsCertPath, tlsKeyPath];
  const isUsed = tlsPort !== null || webTls;
  if (isUsed ? !files.includes(null) : files.every((path) => path === null)) return;
  throw configError(
    webTls || (web !== null && web !== "none" && tlsPort === null)
      ? "--web-tls, --tls-cert and --tls-key only work together"
      : "--tls-port, --tls-cert and --tls-key only work together",
  );
}

/** Two listeners on one port: the second would find it in use, by ourselves. */
function checkPorts({ host, port, tlsPort, http, web }: ServeOptions): void {
  const listeners = [
    { option: "--port", host, port },
    ...(tlsPort === null ? [] : [{ option: "--tls-port", host, port: tlsPort }]),
    ...(http === null ? [] : [{ option: "--http", ...http }]),
    ...(web === null || web === "none" ? [] : [{ option: "--web", ...web }]),
  ];
  const isEverywhere = (host: string) => host === "0.0.0.0" || host === "::";
  for (const [index, one] of listeners.entries()) {
    const other = listeners.slice(0, index).find(({ host, port }) =>
      port === one.port && port !== 0 && (host === one.host || isEverywhere(host) || isEverywhere(one.host))
    );
    if (other) {
      throw configError(`${other.option} and ${one.option} are both ${one.port}: each needs its own port`);
    }
  }
}

/** Where the client keeps what was said when nobody says where: as the XDG base directories have it. */
function defaultHistoryFolder({ env }: OptionSources): string | null {
  const data = env("XDG_DATA_HOME") || (env("HOME") ? `${env("HOME")}/.local/share` : undefined);
  return data === undefined ? null : `${data}/chatserver`;
}

/**
 * Reads the command line. Throws a FatalError with EXIT.usage for what cannot be understood and EXIT.config for what
 * cannot work; its text never holds a password.
 */
export function parseOptions(args: readonly string[], sources: OptionSources): Options {
  const parsed = splitArgs(args);
  const [first, ...rest] = parsed._.map(String);
  const isHelp = Boolean(parsed.help) || first === "help";
  if (isHelp && first !== "admin") return { command: "help" };
  if (parsed.version) return { command: "version" };
  if (!isCommand(first)) refuseUnknownCommand(first);
  const command = isCommand(first) ? first : "serve";
  refuseForeignFlags(command, parsed);
  const positionals = readPositionals(command, isCommand(first) ? rest : parsed._.map(String));
  const given = new GivenOptions(parsed, positionals, sources);
  if (!isHelp) given.filed = readFiled(command, given, sources);
  if (command === "client") {
    const values = given.values(TABLES.client);
    const historyFolder = parsed.history === false
      ? null
      : values.historyFolder ?? defaultHistoryFolder(sources);
    const password = sources.env("CHAT_PASSWORD") ?? null;
    return {
      command,
      ...values,
      historyFolder,
      password,
      localUser: sources.env("USER") || null,
      colors: !sources.env("NO_COLOR") && sources.env("TERM") !== "dumb",
    };
  }
  checkStorage(given);
  if (command === "admin") {
    const values = given.values(TABLES.admin);
    const by = values.by ?? (sources.env("SUDO_USER") || sources.env("USER") || null);
    return { command, words: rest, isHelp, ...values, by };
  }
  if (command === "migrate") return { command, ...given.values(TABLES.migrate) };
  const options = { command, ...given.values(TABLES.serve) };
  checkServer(options);
  return options;
}

/**
 * Sources that answer again what they answered first, but for the file of `--config`: what a process finds when it reads its
 * options once more, after it has given up its environment and other files.
 */
export function rememberSources(
  { env, readFile }: OptionSources,
): OptionSources & { forget(path: string): void } {
  const variables = new Map<string, string | undefined>();
  const files = new Map<string, string>();
  return {
    env(name) {
      if (!variables.has(name)) variables.set(name, env(name));
      return variables.get(name);
    },
    readFile(path) {
      const text = files.get(path) ?? readFile(path);
      files.set(path, text);
      return text;
    },
    forget: (path) => void files.delete(path),
  };
}
