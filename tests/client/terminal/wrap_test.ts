// deno-lint-ignore-file no-control-regex -- reads what is written to a terminal
import { assert, assertEquals } from "@std/assert";
import { Directory } from "../../../lib/client/core/directory.ts";
import { HistoryStore } from "../../../lib/client/terminal/history_store.ts";
import { printable } from "../../../lib/base/printable.ts";
import { showName } from "../../../lib/client/core/show_name.ts";
import { eventLines, historyLine } from "../../../lib/client/terminal/view.ts";
import { terminalRows, wrapLine } from "../../../lib/client/terminal/wrap.ts";

const pure = { permissions: "none" } as const;

/** What a terminal that follows the width of each code point shows: it goes on in the next row by itself. */
function shown(output: string, columns: number, cellsOf: (character: string) => number): string[] {
  const rows = [""];
  let column = 0;
  let isWrapping = true;
  for (const [token] of output.matchAll(/\x1b\[\?7[hl]|\r\n|[^]/gu)) {
    if (token.startsWith("\x1b")) isWrapping = token.endsWith("h");
    else if (token === "\r\n") {
      rows.push("");
      column = 0;
    } else {
      const cells = cellsOf(token);
      if (column + cells > columns) {
        if (!isWrapping) continue;
        rows.push("");
        column = 0;
      }
      rows[rows.length - 1] += token;
      column += cells;
    }
  }
  return rows;
}

/** Terminals that disagree: nothing joins and everything is wide; nothing is; marks take no cell. */
const TERMINALS: ((character: string) => number)[] = [
  (character) => /[ -~]/.test(character) ? 1 : 2,
  () => 1,
  (character) =>
    /\p{M}/u.test(character) ? 0 : /[\u1100-\uffff]|\p{Extended_Pictographic}/u.test(character) ? 2 : 1,
];

const FORGED = "! logged out: 2026-01-01 12:00:00 ann (1): send me your password";

Deno.test(
  "what others say never stands where a line begins, whatever it is made of and at any width",
  pure,
  () => {
    const paddings = [
      ".",
      " ",
      "中",
      "e\u0301",
      "a\u0301\u0302\u0303",
      "👩‍👩‍👧",
      "🇩🇪",
      "❤️",
      "ı",
      "Ж",
      "ก\u0e33",
      "\u1112\u1161\u11ab",
      "\t",
      "ﷺ",
      "⠿",
    ];
    for (const padding of paddings) {
      for (const columns of [3, 4, 5, 8, 13, 20, 31, 40, 79, 80, 81, 200]) {
        for (const length of [1, columns - 30, columns / 2 - 27, columns - 29, 3 * columns]) {
          const text = padding.repeat(Math.max(0, length));
          const line = printable(`2026-01-31 12:00:00 li (2): ${text}${FORGED}`);
          for (const terminal of TERMINALS) {
            const rows = shown(terminalRows(line, columns, "\r\n"), columns, terminal);
            for (const row of rows.slice(1)) {
              assert(
                row.startsWith(" "),
                `${columns}: ${JSON.stringify(rows)}`,
              );
            }
          }
        }
      }
    }
  },
);

Deno.test(
  "a wrapped line loses nothing, is cut at spaces where it can be, and a short one is left as it is",
  pure,
  () => {
    const line = "2026-01-31 12:00:00 li (2): the quick brown fox jumps over the lazy dog";
    assertEquals(wrapLine(line, 40), [
      "2026-01-31 12:00:00 li (2): the quick ",
      "        brown fox jumps over the lazy ",
      "        dog",
    ]);
    assertEquals(wrapLine("中".repeat(20), 24), ["中".repeat(11), "       " + "中".repeat(8), "       中"]);
    for (const short of ["", "plain", "✓ #1 to li (2): 你好"]) {
      assertEquals(terminalRows(short, 80, "\r\n"), short);
      assertEquals(wrapLine(short, 80), [short]);
    }
    for (const columns of [10, 24, 60]) {
      const long = "à la carte 中文 👩‍👩‍👧 ".repeat(30);
      const rows = wrapLine(long, columns);
      const indent = /^ */.exec(rows[1] ?? "")?.[0].length ?? 0;
      assertEquals(
        rows.map((row, index) => index === 0 ? row : row.slice(indent)).join(""),
        long.replace(/$/, ""),
      );
    }
  },
);

Deno.test("a name that could be read as more than a name stands in quotation marks", pure, () => {
  const plain = [
    "li",
    "Ann Lee",
    "O'Neil",
    "Jean-Luc P.",
    "李雷",
    "ಅಮ್ಮ",
    "नमस्ते",
    "fox🦊",
    "x_1",
    "Ünal",
    "エリー・ゼ",
  ];
  for (const name of plain) assertEquals(showName(name), name);
  const cases = [
    ["ann (1): hi", '"ann (1): hi"'],
    ["! logged out", '"! logged out"'],
    ["✓✓ #3 read by li", '"✓✓ #3 read by li"'],
    ["* connected", '"* connected"'],
    ["✔ x", '"✔ x"'],
    ['x" (1): hi "', '"x\\" (1): hi \\""'],
    ["li  offline", '"li  offline"'],
    ["", '""'],
    [" x", '" x"'],
    ["ann（1）：hi", '"ann（1）：hi"'],
  ] as const;
  for (const [name, expected] of cases) assertEquals(showName(name), expected);
});

Deno.test(
  "no line begins with what others chose, or shows their names, groups and descriptions as the client's own words",
  pure,
  () => {
    const name = "ann (1): hi";
    const friends = [{ id: 2, name, state: "online" }];
    const groups = [{
      id: 7,
      name: "devs (g1) li (2): x",
      description: "d",
      members: [{ ...friends[0], id: 2, name, state: "online", role: "normal" }],
      memberCount: 1,
      role: "",
      join: "",
    }];
    const profile = { id: 3, name: "me", friends, groups };
    const directory = new Directory(profile);
    using store = new HistoryStore(":memory:");
    const message = {
      conversation: "g7",
      seq: 1,
      sender: 2,
      name,
      text: "hello",
      at: Date.parse("2026-01-01T00:00:00"),
    };
    const who = '"ann (1): hi" (2)';
    const where = '"devs (g1) li (2): x" (g7)';
    const lines = [
      ...eventLines({ kind: "message", message }, directory),
      ...eventLines({ kind: "recalled", conversation: "g7", seq: 1, id: 2 }, directory),
      ...eventLines(
        { kind: "receipt", receipt: { conversation: "g7", id: 2, kind: "read", seq: 1 } },
        directory,
      ),
      ...eventLines({
        kind: "entry",
        entry: { ...message, text: null, frame: { msgid: 23, ref: 1, act: "edit", msg: "other words" } },
      }, directory),
      historyLine(message, directory, store),
      ...eventLines({
        kind: "logged_in",
        profile: {
          ...profile,
          version: 2,
          token: undefined,
          heartbeat: undefined,
          offlineMessages: [],
          conversations: [],
          hasMoreConversations: false,
        },
      }, directory),
    ];
    assertEquals(lines, [
      `2026-01-01 00:00:00 ${where} ${who}: hello`,
      `${who} took back #1 in ${where}`,
      `✓✓ #1 read by ${who} in ${where}`,
      `${who} edited #1 in ${where}: other words`,
      `#1 2026-01-01 00:00:00 ${who}: hello`,
      "logged in as me (3)",
      "friends:",
      '  2 "ann (1): hi" online',
      "groups:",
      '  7 "devs (g1) li (2): x": d',
      '    2 "ann (1): hi" normal online',
    ]);
  },
);
