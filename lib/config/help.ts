/**
 * The text of `--help`, made of the table of options.
 *
 * @module
 */

import { HELP_SECTIONS, type Option, TABLES, variableOf, VERSION } from "./options.ts";

const WIDTH = 100;
/** Column of the explanations. */
const INDENT = 35;

const HEAD = `chatserver ${VERSION}: a chat server for one machine or a cluster of them

  chatserver [serve] [HOST] [PORT] [OPTIONS]   run a server node (127.0.0.1 6000)
  chatserver client [HOST] [PORT] [OPTIONS]    talk to a server from the terminal
  chatserver migrate [OPTIONS]                 bring a database up to date
  chatserver admin [COMMAND] [OPTIONS]         users, groups and messages (admin --help)
  chatserver --help | --version                (-h, -V)

Each option may also be given as the environment variable named behind it, and those of serve,
migrate and admin in a file (--config): an option counts before its variable, a variable before
the file. Where a variable with _FILE is named, it holds the path of a file with the value.
TIME is a number of seconds or has a unit: 500ms, 30s, 5m, 12h, 30d. BYTES may be written 64K or 1M.
`;

const TAIL = `
Exit codes: 0 ended in good order, 1 failed while running, 64 the command line is wrong,
69 something it depends on is down at start, 78 the configuration cannot work.`;

/** Breaks a text into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line += line ? ` ${word}` : word;
  }
  return [...lines, line];
}

function defaultOf({ fallback, fallbackHelp, placeholder }: Option<unknown>): string {
  const text = fallbackHelp ?? (placeholder === undefined ? undefined : fallback);
  return text === undefined ? "" : `; default ${text}`;
}

function optionLines(option: Option<unknown>): string[] {
  const { flag, placeholder, help, isSecret } = option;
  const variable = variableOf(option);
  const names = `  --${flag}${placeholder === undefined ? "" : ` ${placeholder}`}`;
  const variables = isSecret ? `${variable} or ${variable}_FILE` : variable;
  const [first = "", ...more] = wrap(`${help} (${variables}${defaultOf(option)})`, WIDTH - INDENT);
  return [`${names.padEnd(INDENT - 1)} ${first}`, ...more.map((line) => " ".repeat(INDENT) + line)];
}

function reloadable(): string {
  const flags = Object.values(TABLES.serve).flatMap((row: Option<unknown>) =>
    row.isReloadable ? row.flag : []
  );
  const text = `At SIGHUP a node reads the file and the TLS certificate again and takes over ${
    flags.join(", ")
  }.`;
  return `\n${wrap(text, WIDTH).join("\n")}\n`;
}

/** What `--help` prints. */
export function helpText(): string {
  const sections = HELP_SECTIONS.map(({ heading, options }) =>
    [`\nOptions of ${heading}`, ...options.flatMap(optionLines)].join("\n") + "\n"
  );
  return HEAD + sections.join("") + reloadable() + TAIL;
}
