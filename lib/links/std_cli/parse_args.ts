/**
 * A stand-in for parseArgs of jsr:@std/cli, for machines that cannot reach jsr.io. It behaves as the original does for
 * the options below; it does not split dotted names and does not infer the result's type from the options.
 *
 * @module
 */

/** What there is to parse; see the original for the finer points. */
export interface ParseOptions {
  /** Collect everything after `--` under that name instead of among the positionals. */
  "--"?: boolean;
  /** Other names of an option. */
  alias?: Readonly<Record<string, string | readonly string[]>>;
  /** Options that never take the next argument as their value, unless it is `true` or `false`; false by default. */
  boolean?: string | readonly string[];
  /** Options that may be given several times and yield an array. Of any other the last one counts. */
  collect?: string | readonly string[];
  /** Values of options that are not given. */
  default?: Readonly<Record<string, unknown>>;
  /** Options for which `--no-NAME` means false. */
  negatable?: string | readonly string[];
  /** Take everything after the first positional as positional. */
  stopEarly?: boolean;
  /** Options whose value is never turned into a number, empty when there is none; `_` for the positionals. */
  string?: string | readonly string[];
  /** Called for each positional and each option not declared; what it answers false to is left out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The options found, and the positionals under `_`. */
export type Args = Record<string, unknown> & {
  /** Arguments that belong to no option. */
  _: (string | number)[];
  /** What came after `--`, where that was asked for. */
  "--"?: string[];
};

function list(names: string | readonly string[] = []): readonly string[] {
  return typeof names === "string" ? [names] : names;
}

function isNumber(text: string): boolean {
  return /^0x[0-9a-f]+$/i.test(text) || /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/.test(text);
}

/** Maps every name of an option to all of its other names. */
function readAliases(aliases: Readonly<Record<string, string | readonly string[]>>): Map<string, string[]> {
  const others = new Map<string, string[]>();
  for (const [name, alias] of Object.entries(aliases)) {
    const all = [name, ...list(alias)];
    for (const one of all) others.set(one, all.filter((other) => other !== one));
  }
  return others;
}

/** Parses command line arguments. */
export function parseArgs(args: string[], options: ParseOptions = {}): Args {
  const aliases = readAliases(options.alias ?? {});
  const withAliases = (names?: string | readonly string[]): Set<string> =>
    new Set(list(names).flatMap((name) => [name, ...aliases.get(name) ?? []]));
  const booleans = withAliases(options.boolean);
  const strings = withAliases(options.string);
  const collected = withAliases(options.collect);
  const negatable = withAliases(options.negatable);
  const isUnwanted = (arg: string, key?: string, value?: unknown): boolean =>
    options.unknown?.(arg, key, value) === false;
  const found = new Map<string, unknown>();
  const positionals: (string | number)[] = [];

  function addPositional(arg: string): void {
    positionals.push(strings.has("_") || !isNumber(arg) ? arg : Number(arg));
  }

  function set(key: string, text: string | boolean, arg: string): void {
    const isDeclared = booleans.has(key) || strings.has(key) || aliases.has(key);
    if (!isDeclared && isUnwanted(arg, key, text)) return;
    const value = typeof text === "string" && !strings.has(key) && isNumber(text) ? Number(text) : text;
    for (const name of [key, ...aliases.get(key) ?? []]) {
      const earlier = found.get(name);
      if (!collected.has(name)) found.set(name, value);
      else found.set(name, Array.isArray(earlier) ? [...earlier, value] : [value]);
    }
  }

  /**
   * Sets an option that has no value in its own argument, to the next one unless that looks like an `option` itself.
   * Returns how many of the next arguments it took: 0 or 1.
   */
  function setWithNext(key: string, next: string | undefined, arg: string, option: RegExp): number {
    if (next && !option.test(next) && !booleans.has(key)) {
      set(key, next, arg);
      return 1;
    }
    if (next === "true" || next === "false") {
      set(key, next === "true", arg);
      return 1;
    }
    set(key, strings.has(key) ? "" : true, arg);
    return 0;
  }

  /** `--name`, `--name value`, `--name=value`, `--no-name`. */
  function readLong(arg: string, next: string | undefined): number {
    const [, no = "", name = "", value] = arg.match(/^--(no-)?(.+?)(?:=(.+))?$/s) ?? [];
    if (value !== undefined) {
      set(name, booleans.has(name) ? value !== "false" : value, arg);
      return 0;
    }
    if (no && negatable.has(name)) {
      set(name, false, arg);
      return 0;
    }
    return setWithNext(no + name, next, arg, /^-/);
  }

  /** `-a`, `-abc`, `-n5`, `-n=5`, `-n 5`. */
  function readShort(arg: string, next: string | undefined): number {
    for (let at = 1; at < arg.length - 1; at++) {
      const letter = arg.charAt(at);
      const rest = arg.slice(at + 1);
      const isLetter = /[A-Za-z]/.test(letter);
      if (isLetter && rest.includes("=")) {
        set(letter, rest.slice(rest.indexOf("=") + 1), arg);
        return 0;
      }
      if (isLetter && /\d\.?$/.test(rest) || /^\W/.test(rest)) {
        set(letter, rest, arg);
        return 0;
      }
      set(letter, strings.has(letter) ? "" : true, arg);
    }
    return setWithNext(arg.slice(-1), next, arg, /^--?[^-]/);
  }

  const end = args.indexOf("--");
  const parsed = end < 0 ? args : args.slice(0, end);
  const rest = end < 0 ? [] : args.slice(end + 1);
  for (let at = 0; at < parsed.length; at++) {
    const arg = parsed[at] ?? "";
    if (/^--./s.test(arg)) at += readLong(arg, parsed[at + 1]);
    else if (/^-./s.test(arg)) at += readShort(arg, parsed[at + 1]);
    else {
      if (!isUnwanted(arg)) addPositional(arg);
      if (options.stopEarly) {
        positionals.push(...parsed.slice(at + 1));
        break;
      }
    }
  }

  for (const [key, value] of Object.entries(options.default ?? {})) {
    for (const name of [key, ...aliases.get(key) ?? []]) if (!found.has(name)) found.set(name, value);
  }
  for (const name of [...booleans, ...strings]) {
    if (found.has(name)) continue;
    if (collected.has(name)) found.set(name, []);
    else if (booleans.has(name)) found.set(name, false);
  }
  const result: Args = { ...Object.fromEntries(found), _: positionals };
  if (options["--"]) result["--"] = [...rest];
  else positionals.push(...rest);
  return result;
}
