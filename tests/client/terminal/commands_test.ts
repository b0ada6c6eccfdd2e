import { assertEquals } from "@std/assert";
import { HELP_LINES, parseCommand } from "../../../lib/client/terminal/commands.ts";

const pure = { permissions: "none" } as const;

Deno.test("every command is understood, and a message may hold colons", pure, () => {
  const cases: [string, ReturnType<typeof parseCommand>][] = [
    ["help", { name: "help" }],
    ["loginout", { name: "loginout" }],
    [" quit ", { name: "quit" }],
    ["chat:2:hello", { name: "chat", to: { userId: 2 }, text: "hello" }],
    ["chat:2: see http://x:80/:", { name: "chat", to: { userId: 2 }, text: " see http://x:80/:" }],
    ["CHAT: 2 :a", { name: "chat", to: { userId: 2 }, text: "a" }],
    ["groupchat:7:a:b", { name: "groupchat", to: { groupId: 7 }, text: "a:b" }],
    ["addfriend:3", { name: "addfriend", friendId: 3 }],
    ["addgroup:7", { name: "addgroup", groupId: 7 }],
    ["creategroup:devs:all: of us", { name: "creategroup", groupName: "devs", description: "all: of us" }],
    ["creategroup:devs", { name: "creategroup", groupName: "devs", description: "" }],
    ["history:2", { name: "history", of: { userId: 2 }, count: 20 }],
    ["history:g7:100", { name: "history", of: { groupId: 7 }, count: 100 }],
    ["recall:2", { name: "recall", of: { userId: 2 }, seq: undefined }],
    ["recall:g7:12", { name: "recall", of: { groupId: 7 }, seq: 12 }],
  ];
  for (const [line, expected] of cases) assertEquals(parseCommand(line), expected, line);
});

Deno.test("what is not a command is answered with what would be one", pure, () => {
  const cases: [string, string][] = [
    ["chat", "usage: chat:friendid:message"],
    ["chat:2", "usage: chat:friendid:message"],
    ["chat:2:", "usage: chat:friendid:message"],
    ["chat:li:hi", "usage: chat:friendid:message"],
    ["chat:-1:hi", "usage: chat:friendid:message"],
    ["chat:0:hi", "usage: chat:friendid:message"],
    ["chat:99999999999:hi", "usage: chat:friendid:message"],
    ["groupchat:g1:hi", "usage: groupchat:groupid:message"],
    ["addfriend:", "usage: addfriend:friendid"],
    ["creategroup", "usage: creategroup:name:description"],
    ["history:2:x", "usage: history:id[:n]"],
    ["history:2:1:1", "usage: history:id[:n]"],
    ["recall:g", "usage: recall:id[:seq]"],
    ["hello", 'unknown command "hello"; help lists them'],
  ];
  for (const [line, problem] of cases) assertEquals(parseCommand(line), { name: "problem", problem }, line);
});

Deno.test("help names every command", pure, () => {
  const names = HELP_LINES.map((line) => /^\w+/.exec(line)?.[0]);
  assertEquals(names, [
    "help",
    "chat",
    "addfriend",
    "creategroup",
    "addgroup",
    "groupchat",
    "history",
    "recall",
    "loginout",
    "quit",
  ]);
});
