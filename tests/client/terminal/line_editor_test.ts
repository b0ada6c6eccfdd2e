import { assert, assertEquals } from "@std/assert";
import { KeyDecoder } from "../../../lib/client/terminal/keys.ts";
import { LineEditor } from "../../../lib/client/terminal/line_editor.ts";
import { textWidth } from "../../../lib/client/terminal/text_width.ts";

const pure = { permissions: "none" } as const;

/** An editor with a prompt of two cells. */
function createEditor(columns = 40): LineEditor {
  const editor = new LineEditor(columns);
  editor.begin("> ", { isSecret: false });
  return editor;
}

/** Types what a terminal would send; returns the lines that were entered. */
function type(editor: LineEditor, bytes: string): string[] {
  const lines: string[] = [];
  for (const key of new KeyDecoder().push(bytes)) {
    const outcome = editor.handle(key);
    if (outcome.kind !== "submitted") continue;
    lines.push(outcome.text);
    editor.remember(outcome.text);
    editor.begin("> ", { isSecret: false });
  }
  return lines;
}

/** What a terminal shows after the drawing: the row's text and the cursor's column. */
function look(drawing: string): { row: string; column: number } {
  // deno-lint-ignore no-control-regex
  const match = /^\r\x1b\[K([^\x1b\r]*)(?:\r(?:\x1b\[(\d+)C)?)?$/.exec(drawing);
  assert(match, JSON.stringify(drawing));
  return {
    row: match[1] ?? "",
    column: match[2] === undefined ? textWidth(match[1] ?? "") : Number(match[2]),
  };
}

Deno.test("typing inserts at the cursor, and every way to move it works", pure, () => {
  const editor = createEditor();
  type(editor, "chat:2:helo\x1b[Dl\x01>\x05!");
  assertEquals(editor.text, ">chat:2:hello!");
  assertEquals(look(editor.render()), { row: "> >chat:2:hello!", column: 16 });
  type(editor, "\x01\x1b[3~\x1b[C\x7f");
  assertEquals(editor.text, "hat:2:hello!");
  assertEquals(look(editor.render()).column, 2);
});

Deno.test("words, beginnings, ends and the whole line can be deleted", pure, () => {
  const editor = createEditor();
  type(editor, "one two  three\x17");
  assertEquals(editor.text, "one two  ");
  type(editor, "\x17");
  assertEquals(editor.text, "one ");
  type(editor, "two\x1b[1;5D\x0b");
  assertEquals(editor.text, "one ");
  type(editor, "two\x1b[1;5D\x15");
  assertEquals(editor.text, "two");
  type(editor, "\x05\x15\x15\x7f\x1b[3~\x17");
  assertEquals(editor.text, "");
});

Deno.test("up and down walk through the lines entered before and back to the one being typed", pure, () => {
  const editor = createEditor();
  assertEquals(type(editor, "first\rsecond\rsecond\r\r"), ["first", "second", "second", ""]);
  type(editor, "draft\x1b[A");
  assertEquals(editor.text, "second");
  type(editor, "\x1b[A\x1b[A\x1b[A");
  assertEquals(editor.text, "first");
  type(editor, "\x1b[B\x1b[B\x1b[B");
  assertEquals(editor.text, "draft");
});

Deno.test("characters of two cells and of several code points are one step of the cursor", pure, () => {
  const editor = createEditor();
  type(editor, "中👩‍👩‍👧e\u0301");
  assertEquals(look(editor.render()).column, 7);
  type(editor, "\x1b[D\x1b[D");
  assertEquals(look(editor.render()).column, 4);
  type(editor, "\x7f");
  assertEquals(editor.text, "👩‍👩‍👧e\u0301");
  type(editor, "\x05\u0308");
  assertEquals(look(editor.render()).column, 5);
  type(editor, "\x7f");
  assertEquals(editor.text, "👩‍👩‍👧");
});

Deno.test("a long line scrolls sideways and never reaches the last column", pure, () => {
  const editor = createEditor(12);
  const text = "abc中文def👍ghi中jkl文mno";
  for (const character of text) {
    type(editor, character);
    const { row, column } = look(editor.render());
    assert(textWidth(row) <= 11, row);
    assert(column <= 11);
    assert(row.endsWith(character), row);
  }
  type(editor, "\x01");
  assertEquals(look(editor.render()), { row: "> abc中文de", column: 2 });
  for (const _ of text) {
    type(editor, "\x1b[C");
    const { row, column } = look(editor.render());
    assert(textWidth(row) <= 11 && column <= 11, row);
  }
  assertEquals(look(editor.render()).row, "> jkl文mno");
  editor.resize(40);
  assertEquals(look(editor.render()).row, `> ${text}`);
  editor.resize(3);
  assertEquals(look(editor.render()).row, "no");
});

Deno.test("a secret line shows nothing, before and after Enter, and is in no history", pure, () => {
  const editor = createEditor();
  editor.begin("password: ", { isSecret: true });
  type(editor, "s3cret");
  assertEquals(editor.text, "s3cret");
  assertEquals(look(editor.render()), { row: "password: ", column: 10 });
  assertEquals(look(editor.renderEntered()).row, "password: ");
  editor.begin("> ", { isSecret: false });
  type(editor, "\x1b[A");
  assertEquals(editor.text, "");
});

Deno.test("a paste is text: its newlines enter nothing and its controls act on nothing", pure, () => {
  const editor = createEditor();
  const lines = type(editor, "chat:2:\x1b[200~one\r\ntwo\x03\x1b[A\tthree\n\x1b[201~");
  assertEquals(lines, []);
  assertEquals(editor.text, "chat:2:one\ntwo[A three");
  assertEquals(look(editor.render()).row, "> chat:2:one⏎two[A three");
  assertEquals(type(editor, "\r"), ["chat:2:one\ntwo[A three"]);
});

Deno.test("Ctrl-C always leaves, Ctrl-D only on an empty line", pure, () => {
  const editor = createEditor();
  type(editor, "ab\x01");
  assertEquals(editor.handle({ kind: "control", name: "eof" }), { kind: "edited" });
  assertEquals(editor.text, "b");
  assertEquals(editor.handle({ kind: "control", name: "interrupt" }), { kind: "interrupted" });
  type(editor, "\x15\x05\x7f");
  assertEquals(editor.handle({ kind: "control", name: "eof" }), { kind: "ended" });
});
