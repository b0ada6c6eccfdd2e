/**
 * `chatserver admin …`: what an operator does to the database, whether nodes run on it or not. Running nodes follow within
 * two seconds (lib/chat/admin_orders.ts), and every change is an event that an audit shows.
 *
 * @module
 */
import { backUp, restored } from "./backup.ts";
import { check } from "./check.ts";
import { invite, listCodes, withdrawCode } from "./codes.ts";
import { Console } from "./console.ts";
import { type AdminContext, misuse, type Result } from "./context.ts";
import { exportRecords } from "./export.ts";
import { dissolveGroup, listGroups, showGroup, transferGroup } from "./groups.ts";
import { importRecords } from "./import.ts";
import { liftLimits, listLimits } from "./limits.ts";
import { trim } from "./trim.ts";
import {
  changePassword,
  disableUser,
  enableUser,
  endSessions,
  grantRole,
  listAdministrators,
  listSessions,
  listUsers,
  removeUser,
  revokeRole,
  searchUsers,
  showUser,
} from "./users.ts";
import { announce, audit, stats } from "./watch.ts";
import { EXIT } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { nearestTo } from "../config/nearest.ts";
import { type AdminOptions, type Option, TABLES } from "../config/options.ts";
import { openBeside } from "../store/open.ts";

/** One command. */
interface Command {
  /** The words it begins with. */
  words: string;
  /** What follows them. */
  operands?: string;
  /** How many operands it takes, at least and at most. */
  count?: readonly [number, number];
  /** What it does. */
  help: string;
  /** The options it takes beside those of all. */
  options?: readonly (keyof AdminOptions)[];
  /** Does it. Undefined: it has printed what there is. */
  run: (
    context: AdminContext,
    operands: readonly string[],
  ) => Promise<(Result & { isFailure?: boolean }) | undefined>;
}

const PAGED = ["after", "limit"] as const;
const ONE = [1, 1] as const;

const COMMANDS: readonly Command[] = [
  { words: "users list", help: "users by id", options: PAGED, run: listUsers },
  {
    words: "users search",
    operands: "TEXT",
    count: ONE,
    help: "users whose names begin with it, or have it in them",
    options: PAGED,
    run: searchUsers,
  },
  { words: "users show", operands: "USER", count: ONE, help: "all about a user", run: showUser },
  {
    words: "password",
    operands: "USER",
    count: ONE,
    help: "set a password, asked for or read from standard input; all sessions end",
    options: ["generate", "code", "link", "lifetimeMs"],
    run: changePassword,
  },
  {
    words: "disable",
    operands: "USER",
    count: ONE,
    help: "nobody can log in as this user",
    run: disableUser,
  },
  { words: "enable", operands: "USER", count: ONE, help: "the opposite", run: enableUser },
  {
    words: "administrators",
    help: "users who may do what operators do",
    options: PAGED,
    run: listAdministrators,
  },
  { words: "grant", operands: "USER", count: ONE, help: "make a user an administrator", run: grantRole },
  { words: "revoke", operands: "USER", count: ONE, help: "the opposite", run: revokeRole },
  {
    words: "delete",
    operands: "USER",
    count: ONE,
    help: "delete a user for good; its messages stay, of a deleted user",
    options: ["withMessages", "yes"],
    run: removeUser,
  },
  {
    words: "sessions list",
    operands: "[USER]",
    count: [0, 1],
    help: "who is online, and who can come back without a password",
    options: PAGED,
    run: listSessions,
  },
  {
    words: "sessions end",
    operands: "USER [DEVICE]",
    count: [1, 2],
    help: "log a user out everywhere, or one of its devices",
    run: endSessions,
  },
  { words: "groups list", help: "groups by id", options: PAGED, run: listGroups },
  {
    words: "groups show",
    operands: "GROUP",
    count: ONE,
    help: "a group and its members",
    options: PAGED,
    run: showGroup,
  },
  {
    words: "groups dissolve",
    operands: "GROUP",
    count: ONE,
    help: "nobody is in it any more; its members keep what they have read",
    options: ["yes"],
    run: dissolveGroup,
  },
  {
    words: "groups transfer",
    operands: "GROUP USER",
    count: [2, 2],
    help: "make a member its creator; who was it is an admin",
    run: transferGroup,
  },
  {
    words: "invite",
    help: "make a code to sign up with, good for a week (serve --signup invite)",
    options: ["uses", "lifetimeMs", "note", "link"],
    run: invite,
  },
  { words: "codes list", help: "codes that were made", options: PAGED, run: listCodes },
  { words: "codes withdraw", operands: "ID", count: ONE, help: "make a code worthless", run: withdrawCode },
  {
    words: "limits list",
    help: "whom limits hold up on running nodes; a silent one has two seconds",
    options: ["limit"],
    run: listLimits,
  },
  {
    words: "limits lift",
    operands: "USER|ADDRESS",
    count: ONE,
    help: "forget what limits have counted; undelivered ends only when fetched",
    run: liftLimits,
  },
  {
    words: "announce",
    operands: "TEXT",
    count: [1, 1_000],
    help: "everybody who is online reads this",
    run: announce,
  },
  {
    words: "trim",
    help: "delete the oldest part of the log",
    options: ["olderThanMs", "keepUndelivered", "yes"],
    run: trim,
  },
  {
    words: "export",
    operands: "user USER | conversation ID",
    count: [2, 2],
    help: "JSON lines of what a user can read, or of one conversation (u1-2, g3)",
    run: exportRecords,
  },
  {
    words: "import",
    operands: "[FILE]",
    count: [0, 1],
    help: "bring such lines back, from a file or standard input, each once",
    run: importRecords,
  },
  {
    words: "backup",
    operands: "PATH",
    count: ONE,
    help: "copy the SQLite database to a new file, while a node runs on it",
    run: backUp,
  },
  {
    words: "restored",
    help: "say that this database comes from a backup, so that clients read it anew",
    run: restored,
  },
  { words: "stats", help: "how much there is", run: stats },
  {
    words: "check",
    help: "look whether the tables agree with each other; exit code 1 if they do not",
    options: ["repair", "yes"],
    run: check,
  },
  { words: "audit", help: "what operators did", options: ["of", "what", "limit"], run: audit },
];

/** Options that every command takes. */
const COMMON: readonly (keyof AdminOptions)[] = ["json", "by"];

function rowsOf(names: readonly (keyof AdminOptions)[]): Option<unknown>[] {
  const rows = new Map<string, Option<unknown>>(Object.entries(TABLES.admin));
  return names.flatMap((name) => rows.get(name) ?? []);
}

function optionLines(rows: readonly Option<unknown>[]): string[] {
  return rows.map(({ flag, placeholder = "", help }) => `  ${`--${flag} ${placeholder}`.padEnd(22)} ${help}`);
}

function usageOf({ words, operands = "" }: Command): string {
  return `${words} ${operands}`.trimEnd();
}

/** What `admin --help`, or `admin COMMAND --help`, prints. */
export function adminHelp(words: readonly string[]): string {
  const said = words.join(" ");
  const meant = COMMANDS.filter((one) =>
    said !== "" && (one.words === said || one.words.startsWith(`${said} `))
  );
  const [only, ...others] = meant;
  if (only && others.length === 0) {
    const lines = [`chatserver admin ${usageOf(only)}`, `  ${only.help}`, ""];
    return [...lines, ...optionLines(rowsOf([...only.options ?? [], ...COMMON]))].join("\n");
  }
  return [
    "chatserver admin COMMAND [OPTIONS]",
    "",
    "Works on the database that --sqlite, --mysql or --config names, whether nodes run or not; they",
    "follow within two seconds. USER and GROUP are an id or a name (=7 for the name 7).",
    "",
    ...(meant.length > 0 ? meant : COMMANDS).flatMap((one) => {
      const usage = usageOf(one);
      return usage.length <= 22
        ? `  ${usage.padEnd(22)} ${one.help}`
        : [`  ${usage}`, `${" ".repeat(25)}${one.help}`];
    }),
    "",
    ...optionLines(rowsOf(COMMON)),
    "",
    "admin COMMAND --help shows the options of a command.",
  ].join("\n");
}

function findCommand(words: readonly string[]): { command: Command; operands: readonly string[] } {
  for (const length of [2, 1]) {
    const said = words.slice(0, length).join(" ");
    const command = COMMANDS.find((one) => one.words === said && one.words.split(" ").length === length);
    if (command) return { command, operands: words.slice(length) };
  }
  const said = words.slice(0, 2).join(" ");
  const nearest = nearestTo(said, COMMANDS.map((one) => one.words));
  throw misuse(`There is no command ${JSON.stringify(said)}: did you mean ${nearest}?`);
}

/** An option that the command does not take would do nothing, and somebody may count on it. */
function checkUse(
  { words, count = [0, 0], ...command }: Command,
  operands: readonly string[],
  options: AdminOptions,
) {
  const [least, most] = count;
  if (operands.length < least || operands.length > most) {
    throw misuse(`Say: admin ${usageOf({ words, ...command })}`);
  }
  const own = new Set<string>([...command.options ?? [], ...COMMON]);
  const given = new Map<string, unknown>(Object.entries(options));
  for (const [name, { flag, isFlagOnly }] of Object.entries(TABLES.admin) as [string, Option<unknown>][]) {
    const value = given.get(name);
    if (isFlagOnly && !own.has(name) && value !== null && value !== false) {
      throw misuse(`--${flag} is not an option of admin ${words}`);
    }
  }
}

/** Runs one command; resolves with the exit code. Throws a FatalError when it cannot be done. */
export async function runAdmin(options: AdminOptions, logger: Logger): Promise<number> {
  const console = new Console();
  if (options.isHelp || options.words.length === 0) {
    console.print(adminHelp(options.words));
    return options.isHelp ? EXIT.ok : EXIT.usage;
  }
  const { command, operands } = findCommand(options.words);
  checkUse(command, operands, options);
  const db = await openBeside(options, logger);
  try {
    const actor = `${options.by ?? "unknown"}@${Deno.hostname()}`;
    const result = await command.run({ db, options, console, actor, logger }, operands);
    if (!result) return EXIT.ok;
    if (options.json) console.print(JSON.stringify(result.json));
    else for (const line of result.lines) console.print(line);
    return result.isFailure ? EXIT.failure : EXIT.ok;
  } finally {
    await db.close();
  }
}
