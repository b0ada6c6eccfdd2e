/**
 * The commands that begin with a slash.
 *
 * @module
 */

/** What `/help` tells apart. */
export type Subject = "chats" | "messages" | "people" | "groups" | "session";

/** One command. */
export interface SlashCommand {
  /** Behind the slash. */
  name: string;
  /** What follows, for people. */
  args: string;
  /** What it does. */
  help: string;
  /** Where `/help` has it. */
  subject: Subject;
  /** What its first word is, for Tab. */
  takes?: "name" | "user";
}

/** All of them, as `/help` lists them. */
export const SLASH_COMMANDS: readonly SlashCommand[] = [
  {
    name: "chat",
    args: "NAME [TEXT]",
    help: "open a conversation; what you type then goes there",
    subject: "chats",
    takes: "name",
  },
  { name: "next", args: "", help: "open the next conversation with something unread", subject: "chats" },
  { name: "chats", args: "", help: "list your conversations", subject: "chats" },
  { name: "close", args: "", help: "leave the conversation that is open", subject: "chats" },
  {
    name: "mute",
    args: "[1h|8h|7d|off]",
    help: "hear nothing of the conversation that is open",
    subject: "chats",
  },
  { name: "history", args: "[N]", help: "the last N messages (20)", subject: "chats" },
  {
    name: "reply",
    args: "[#N] TEXT",
    help: "answer a message, the last one if none is named",
    subject: "messages",
  },
  { name: "edit", args: "[#N] TEXT", help: "replace the text of a message of yours", subject: "messages" },
  { name: "recall", args: "[#N]", help: "take back a message of yours", subject: "messages" },
  { name: "react", args: "[#N] EMOJI", help: "put an emoji on a message", subject: "messages" },
  { name: "unreact", args: "[#N] EMOJI", help: "take it off again", subject: "messages" },
  { name: "pin", args: "[#N]", help: "pin a message", subject: "messages" },
  { name: "unpin", args: "[#N]", help: "unpin it", subject: "messages" },
  { name: "versions", args: "[#N]", help: "the earlier texts of a message", subject: "messages" },
  { name: "friends", args: "", help: "list your friends", subject: "people" },
  {
    name: "add",
    args: "NAME",
    help: "put somebody on your list of friends",
    subject: "people",
    takes: "user",
  },
  {
    name: "who",
    args: "[NAME]",
    help: "who is here, or whether somebody is online",
    subject: "people",
    takes: "user",
  },
  { name: "groups", args: "", help: "list your groups", subject: "groups" },
  { name: "create", args: "NAME[: DESCRIPTION]", help: "make a group", subject: "groups" },
  {
    name: "join",
    args: "LINK",
    help: "join a group by a link, or an open one by its number",
    subject: "groups",
  },
  { name: "members", args: "", help: "who is in the group that is open", subject: "groups" },
  {
    name: "invite",
    args: "NAME[, NAME]",
    help: "add somebody who has you on the list of friends",
    subject: "groups",
    takes: "user",
  },
  { name: "remove", args: "NAME", help: "put somebody out of the group", subject: "groups", takes: "user" },
  {
    name: "link",
    args: "[N] [7d]",
    help: "a link that lets N people in, for days or hours (7d)",
    subject: "groups",
  },
  { name: "unlink", args: "LINK", help: "take a link back", subject: "groups" },
  {
    name: "role",
    args: "NAME admin|normal",
    help: "make a member an admin, or not",
    subject: "groups",
    takes: "user",
  },
  {
    name: "transfer",
    args: "NAME",
    help: "hand the group over to a member",
    subject: "groups",
    takes: "user",
  },
  {
    name: "group",
    args: "[name|about|join TEXT]",
    help: "what the group is, or change it; join is open, link or closed",
    subject: "groups",
  },
  { name: "leave", args: "", help: "leave the group that is open", subject: "groups" },
  { name: "dissolve", args: "NAME", help: "end the group for everybody", subject: "groups" },
  {
    name: "profile",
    args: "[name|status TEXT]",
    help: "what others see of you, or change it",
    subject: "session",
  },
  {
    name: "password",
    args: "",
    help: "change it; you are asked, and all other devices are logged out",
    subject: "session",
  },
  {
    name: "account",
    args: "export|delete",
    help: "your data as lines of JSON; or the end of your account, for good",
    subject: "session",
  },
  { name: "devices", args: "", help: "list the devices you are logged in on", subject: "session" },
  { name: "revoke", args: "DEVICE", help: "log a device out, by its number", subject: "session" },
  { name: "reconnect", args: "", help: "try to connect now", subject: "session" },
  { name: "logout", args: "", help: "log out on this device", subject: "session" },
  { name: "quit", args: "", help: "leave; this device stays logged in", subject: "session" },
  { name: "help", args: "[SUBJECT]", help: "this list", subject: "session" },
];

const SUBJECTS: readonly Subject[] = ["chats", "messages", "people", "groups", "session"];

/** The lines of `/help`. */
export function helpLines(subject: string): string[] {
  const name = subject.replace(/^\//, "").toLowerCase();
  const one = SLASH_COMMANDS.find((command) => command.name === name);
  if (one !== undefined) return [usageOf(one)];
  const subjects = SUBJECTS.filter((known) => name === "" || known === name);
  if (subjects.length === 0) {
    return [`! there is no help on "${subject}"; there is on ${SUBJECTS.join(", ")}`];
  }
  return [
    ...subjects.flatMap((known) => [
      `${known}:`,
      ...SLASH_COMMANDS.filter(({ subject }) => subject === known).map((command) => `  ${usageOf(command)}`),
    ]),
    'A line without a slash goes to the conversation that is open; //text says "/text".',
    "The original's commands work too: chat:2:hello, history:g7; help:original lists them.",
  ];
}

/** "/chat NAME [TEXT]   open a conversation" */
function usageOf({ name, args, help }: SlashCommand): string {
  return `${`/${name} ${args}`.trimEnd().padEnd(24)} ${help}`;
}

/** A line that begins with a slash, taken apart. */
export interface SlashLine {
  /** The command, or undefined when there is none of that name, or several. */
  command: SlashCommand | undefined;
  /** What was typed for its name. */
  word: string;
  /** What follows. */
  rest: string;
}

/** Takes a line apart that begins with a slash; a command may be cut short as long as it is the only one. */
export function parseSlash(line: string): SlashLine {
  const [, word = "", rest = ""] = /^\/(\S*)\s*(.*)$/s.exec(line.trimEnd()) ?? [];
  const name = word.toLowerCase();
  const [first, ...others] = SLASH_COMMANDS.filter((known) => known.name.startsWith(name));
  const exact = SLASH_COMMANDS.find((known) => known.name === name);
  return { command: exact ?? (name !== "" && others.length === 0 ? first : undefined), word, rest };
}

/** "#12 text" as the seq and the rest; without a number the seq is undefined. */
export function splitNumber(text: string): { seq: number | undefined; rest: string } {
  const [, number, rest = ""] = /^#(\d{1,15})(?:\s+(.*))?$/s.exec(text) ?? [];
  return number === undefined ? { seq: undefined, rest: text } : { seq: Number(number), rest };
}
