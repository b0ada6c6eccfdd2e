/**
 * The commands a user types: the original client's, and those that version 2 adds.
 *
 * @module
 */

/** A user by id, or a group by id. */
export type Target = { userId: number } | { groupId: number };

/** A command, understood. */
export type Command =
  | { name: "help" }
  | { name: "loginout" }
  | { name: "quit" }
  | { name: "chat" | "groupchat"; to: Target; text: string }
  | { name: "addfriend"; friendId: number }
  | { name: "creategroup"; groupName: string; description: string }
  | { name: "addgroup"; groupId: number }
  | { name: "history"; of: Target; count: number }
  | { name: "recall"; of: Target; seq: number | undefined };

/** The line cannot be carried out; `problem` says why. */
export interface NotACommand {
  /** Marks it. */
  name: "problem";
  /** Why, for people. */
  problem: string;
}

/** What `help` prints. */
export const HELP_LINES: readonly string[] = [
  "help                          this list",
  "chat:friendid:message         say something to a user",
  "addfriend:friendid            put a user on your list of friends",
  "creategroup:name:description  make a group",
  "addgroup:groupid              join a group",
  "groupchat:groupid:message     say something to a group",
  "history:id[:n]                the last n messages (20) with a user, or of a group: history:g7",
  "recall:id[:seq]               take a message back, your last one if none is named; recall:g7 in a group",
  "loginout                      log out, back to the menu",
  "quit                          log out and leave",
];

const MAX_ID = 2 ** 31 - 1;
const DEFAULT_HISTORY = 20;
const MAX_HISTORY = 10_000;

/** The text as a positive integer up to `max`, or undefined. */
export function parseInteger(text: string, max: number = MAX_ID): number | undefined {
  const value = /^\s*\d{1,16}\s*$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : undefined;
}

function problem(text: string): NotACommand {
  return { name: "problem", problem: text };
}

/** A usage error; the help's own line is the usage. */
function usage(name: string): NotACommand {
  const line = HELP_LINES.find((help) => help.startsWith(`${name}:`)) ?? "";
  return problem(`usage: ${line.replace(/ {2,}.*/, "")}`);
}

/** Splits off as many fields as there are before the last one, which may hold colons. */
function splitFields(text: string, count: number): string[] {
  const fields = text.split(":");
  return fields.length <= count ? fields : [...fields.slice(0, count - 1), fields.slice(count - 1).join(":")];
}

function parseTarget(text: string): Target | undefined {
  const isGroup = /^\s*g/i.test(text);
  const id = parseInteger(isGroup ? text.replace(/g/i, "") : text);
  if (id === undefined) return undefined;
  return isGroup ? { groupId: id } : { userId: id };
}

function parseChat(name: "chat" | "groupchat", rest: string): Command | NotACommand {
  const [idText = "", text] = splitFields(rest, 2);
  const id = parseInteger(idText);
  if (id === undefined || text === undefined || text === "") return usage(name);
  return { name, to: name === "chat" ? { userId: id } : { groupId: id }, text };
}

function parseCreateGroup(rest: string): Command | NotACommand {
  const [groupName = "", description = ""] = splitFields(rest, 2);
  return groupName === "" ? usage("creategroup") : { name: "creategroup", groupName, description };
}

function parseWithTarget(name: "history" | "recall", rest: string): Command | NotACommand {
  const [idText = "", numberText, ...tooMany] = rest.split(":");
  const of = parseTarget(idText);
  const number = numberText === undefined
    ? undefined
    : parseInteger(numberText, name === "history" ? MAX_HISTORY : Number.MAX_SAFE_INTEGER);
  if (of === undefined || tooMany.length > 0 || (numberText !== undefined && number === undefined)) {
    return usage(name);
  }
  return name === "history" ? { name, of, count: number ?? DEFAULT_HISTORY } : { name, of, seq: number };
}

/**
 * Reads one line.
 *
 * @example
 * ```ts
 * import { parseCommand } from "./commands.ts";
 * parseCommand("chat:2:see http://example.org"); // { name: "chat", to: { userId: 2 }, text: "see http://example.org" }
 * ```
 */
export function parseCommand(line: string): Command | NotACommand {
  const colon = line.indexOf(":");
  const name = (colon < 0 ? line : line.slice(0, colon)).trim().toLowerCase();
  const rest = colon < 0 ? "" : line.slice(colon + 1);
  switch (name) {
    case "help":
    case "loginout":
    case "quit":
      return { name };
    case "chat":
    case "groupchat":
      return parseChat(name, rest);
    case "addfriend": {
      const friendId = parseInteger(rest);
      return friendId === undefined ? usage(name) : { name, friendId };
    }
    case "addgroup": {
      const groupId = parseInteger(rest);
      return groupId === undefined ? usage(name) : { name, groupId };
    }
    case "creategroup":
      return parseCreateGroup(rest);
    case "history":
    case "recall":
      return parseWithTarget(name, rest);
    default:
      return problem(`unknown command "${name}"; help lists them`);
  }
}
