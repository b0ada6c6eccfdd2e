/**
 * The text of a configuration file: a line for each option, `NAME = VALUE`, with the name that it has on the command line.
 *
 * ```
 * # What follows a # at the beginning of a line or behind a space is a comment.
 * port = 6000
 * log-format = json     # for the collector
 * node = "a b # c"      # in quotation marks, as in JSON, a value may hold anything
 * ```
 *
 * @module
 */
import { EXIT, FatalError } from "../base/errors.ts";
import { nearestTo } from "./nearest.ts";

/** A value as it stands in the file. */
export interface FileValue {
  /** Without quotation marks and comment. */
  text: string;
  /** From 1. */
  line: number;
}

const COMMENT = /^\s*(#|$)/;
/** The name, and all that follows the first equals sign. */
const ASSIGNMENT = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/;
const QUOTED = /^("(?:[^"\\]|\\.)*")\s*(?:#.*)?$/;

/** What to call a place in the file in an error text. */
export function placeIn(path: string, line: number): string {
  return `${path} line ${line}`;
}

/**
 * The values by name. `names`: those that may stand there. Throws a FatalError that names the file and the line; it quotes
 * no value, which may be a secret.
 */
export function readConfigFile(path: string, text: string, names: readonly string[]): Map<string, FileValue> {
  const values = new Map<string, FileValue>();
  for (const [index, content] of text.replace(/^\uFEFF/, "").split("\n").entries()) {
    if (COMMENT.test(content)) continue;
    const line = index + 1;
    const refuse = (problem: string) => new FatalError(EXIT.usage, `${placeIn(path, line)}: ${problem}`);
    const [, name = "", rest = ""] = ASSIGNMENT.exec(content) ?? [];
    if (name === "") throw refuse("not of the form NAME = VALUE");
    if (!names.includes(name)) {
      throw refuse(`unknown option "${name}": did you mean ${nearestTo(name.toLowerCase(), names)}?`);
    }
    const before = values.get(name);
    if (before) throw refuse(`${name} stands in line ${before.line} already`);
    const value = readValue(rest);
    if (value === undefined) {
      throw refuse(`the quotation marks of ${name} do not close, as they would in JSON`);
    }
    if (value === "") throw refuse(`${name} needs a value`);
    values.set(name, { text: value, line });
  }
  return values;
}

function readValue(rest: string): string | undefined {
  if (!rest.startsWith('"')) return rest.replace(/(?:^|\s+)#.*$/, "");
  try {
    const value: unknown = JSON.parse(QUOTED.exec(rest)?.[1] ?? "");
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
