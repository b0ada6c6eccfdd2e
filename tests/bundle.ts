/**
 * Makes what browsers take of the TypeScript in lib/web/app: for each program one JavaScript file in lib/web/assets. Run as
 * a script it writes them.
 *
 * Types are stripped by what Deno ships; the modules are then laid one behind the other, those that are imported first, each
 * in a function of its own. `deno bundle` would fetch a bundler from the network, and another one each year.
 *
 * @module
 */
import { stripTypeScriptTypes } from "node:module";

const ROOT = new URL("../", import.meta.url);
const SOURCES = new URL("lib/web/app/", ROOT);

/** Where the results lie. */
export const ASSETS: URL = new URL("lib/web/assets/", ROOT);

/** Programs: each begins with the module of that name. Where its text goes, among {@link ASSETS}. */
export const PROGRAMS = { app: "app.js", operators: "operators/operators.js" } as const;

/** A module without types, comments and indentation, with its imports and exports taken out. */
interface Module {
  /** Relative to the root. */
  path: string;
  code: string;
  /** By their names outside, with those inside. */
  exports: Map<string, string>;
}

/** The text of `module` as one file of JavaScript that imports nothing. Throws an Error that says what cannot be bundled. */
export function bundle(module: URL): string {
  const modules = new Map<string, Module>();
  read(module, modules, []);
  const numbers = new Map([...modules.keys()].map((href, index) => [href, index]));
  const parts = [...modules].map(([href, { path, code, exports }]) => {
    const body = code.replace(/\0(.*?)\0/g, (_, href) => `$m${numbers.get(href)}`);
    const names = [...exports].map(([outside, inside]) =>
      outside === inside ? inside : `${outside}: ${inside}`
    );
    return `// ${path}\nconst $m${numbers.get(href)} = (() => {\n${body}\nreturn { ${
      names.join(", ")
    } };\n})();\n`;
  });
  const text = `// Made by "deno task bundle"; the sources are in lib/web/app.\n${parts.join("")}`;
  // Parses it, for what the rules below have not thought of: `await` outside of a function, for one.
  new Function(`"use strict";${text}`);
  return text;
}

/** Adds a module to `modules`, behind all that it imports. `importers`: what leads to it. */
function read(url: URL, modules: Map<string, Module>, importers: readonly string[]): Module {
  const known = modules.get(url.href);
  if (known) return known;
  const path = url.href.slice(ROOT.href.length);
  if (importers.includes(url.href)) throw new Error(`${path} imports itself by way of others`);
  const isLinked = (name: string) => new URL(name, url).href;
  const exports = new Map<string, string>();

  const importFrom = (specifier: string): Module => {
    if (!/^\.\.?\/.*\.ts$/.test(specifier)) {
      throw new Error(`${path} imports ${specifier}: a browser has no such thing`);
    }
    return read(new URL(specifier, url), modules, [...importers, url.href]);
  };
  const bind = (specifier: string, list: string): string => {
    const from = importFrom(specifier);
    const names = namesOf(list).map(([outside, inside]) => {
      if (!from.exports.has(outside)) {
        throw new Error(`${path} imports ${outside}, which ${from.path} has not`);
      }
      return outside === inside ? outside : `${outside}: ${inside}`;
    });
    return names.length === 0 ? "" : `const { ${names.join(", ")} } = \0${isLinked(specifier)}\0;`;
  };
  let reexports = 0;
  const code = replaceStatements(
    compact(stripTypeScriptTypes(Deno.readTextFileSync(url))),
    [
      [/import\s+\{([^}]*)\}\s+from\s+"([^"]+)";/y, (list, specifier) => bind(specifier, list)],
      [/import\s+\*\s+as\s+(\w+)\s+from\s+"([^"]+)";/y, (name, specifier) => {
        importFrom(specifier);
        return `const ${name} = \0${isLinked(specifier)}\0;`;
      }],
      [/import\s+"([^"]+)";/y, (specifier) => importFrom(specifier) && ""],
      [/export\s+\{([^}]*)\}\s+from\s+"([^"]+)";/y, (list, specifier) => {
        const renamed = namesOf(list).map(([theirs, ours]) => {
          const local = `$r${reexports++}`;
          exports.set(ours, local);
          return `${theirs} as ${local}`;
        });
        return bind(specifier, renamed.join(", "));
      }],
      [/export\s+\{([^}]*)\};/y, (list) => {
        for (const [inside, outside] of namesOf(list)) exports.set(outside, inside);
        return "";
      }],
      [/export\s+((?:async )?function\s*\*?\s*|class\s+|const\s+)(\w+)/y, (kind, name) => {
        exports.set(name, name);
        return kind + name;
      }],
    ],
    path,
  );
  const module = { path, code, exports };
  modules.set(url.href, module);
  return module;
}

/** `a, b as c` as pairs. */
function namesOf(list: string): [string, string][] {
  return list.split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) => {
    const [first = "", second = first] = part.split(" as ");
    return [first, second];
  });
}

type Rule = [pattern: RegExp, replace: (...groups: string[]) => string];

/** Replaces each import and export of a module by what a rule makes of it. */
function replaceStatements(code: string, rules: readonly Rule[], path: string): string {
  let result = "";
  let copied = 0;
  let depth = 0;
  for (const { text, kind, at } of tokensOf(code)) {
    if (at < copied) continue;
    if (kind === "mark") depth += "([{".includes(text) ? 1 : ")]}".includes(text) ? -1 : 0;
    if (kind !== "word" || (text !== "import" && text !== "export") || code[at - 1] === ".") continue;
    const found = depth === 0 ? findRule(code, at, rules) : undefined;
    if (!found) {
      throw new Error(`${path} has what cannot be bundled: ${code.slice(at, at + 80).split("\n")[0]}`);
    }
    result += code.slice(copied, at) + found.text;
    copied = at + found.length;
  }
  return result + code.slice(copied);
}

function findRule(
  code: string,
  at: number,
  rules: readonly Rule[],
): { text: string; length: number } | undefined {
  for (const [pattern, replace] of rules) {
    pattern.lastIndex = at;
    const [all, ...groups] = pattern.exec(code) ?? [];
    if (all !== undefined) return { text: replace(...groups), length: all.length };
  }
  return undefined;
}

/** Without comments, indentation and empty lines. */
function compact(code: string): string {
  let result = "";
  let gap = "";
  for (const { text, kind } of tokensOf(code)) {
    if (kind === "space" || kind === "comment") gap = text.includes("\n") || gap === "\n" ? "\n" : " ";
    else {
      result += result === "" ? text : gap + text;
      gap = "";
    }
  }
  return result;
}

interface Token {
  kind: "space" | "comment" | "word" | "text" | "mark";
  text: string;
  /** Index in the code. */
  at: number;
}

const SPACE = /\s+/y;
const COMMENT = /\/\/.*|\/\*[^]*?\*\//y;
const WORD = /[\w$#\u0080-\uffff]+/y;
const STRING = /"(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\[^])*'/y;
const REGEXP = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y;
/** A slash behind one of these words begins a regular expression; behind any other it divides. */
const BEFORE_VALUE = /^(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield|instanceof)$/;

/** Tokens of JavaScript, as far as it takes to tell code from what only looks like it. A template is one token. */
function* tokensOf(code: string): Generator<Token> {
  let before = "";
  for (let at = 0; at < code.length;) {
    const token = tokenAt(code, at, before);
    if (token.kind !== "space" && token.kind !== "comment") before = token.text;
    at += token.text.length;
    yield token;
  }
}

function tokenAt(code: string, at: number, before: string): Token {
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(code)?.[0];
  };
  const kinds: [Token["kind"], string | undefined][] = [
    ["space", match(SPACE)],
    ["comment", match(COMMENT)],
    ["word", match(WORD)],
    ["text", match(STRING)],
    ["text", code[at] === "`" ? code.slice(at, templateEnd(code, at)) : undefined],
    ["text", code[at] === "/" && isValueNext(before) ? match(REGEXP) : undefined],
  ];
  for (const [kind, text] of kinds) if (text !== undefined) return { kind, text, at };
  return { kind: "mark", text: code[at] ?? "", at };
}

function isValueNext(before: string): boolean {
  return /^[\w$#\u0080-\uffff]/.test(before) ? BEFORE_VALUE.test(before) : !/[)\]}"'`]$/.test(before);
}

/** The index behind a template that begins at `start`. */
function templateEnd(code: string, start: number): number {
  for (let at = start + 1; at < code.length;) {
    if (code[at] === "`") return at + 1;
    if (code[at] === "\\") at += 2;
    else if (code.startsWith("${", at)) at = braceEnd(code, at + 2);
    else at++;
  }
  throw new Error("A template does not end");
}

/** The index behind the brace that closes what was open at `start`. */
function braceEnd(code: string, start: number): number {
  let depth = 1;
  let before = "{";
  for (let at = start; at < code.length;) {
    const { kind, text } = tokenAt(code, at, before);
    at += text.length;
    if (kind === "mark") depth += text === "{" ? 1 : text === "}" ? -1 : 0;
    if (depth === 0) return at;
    if (kind !== "space" && kind !== "comment") before = text;
  }
  throw new Error("A brace does not close");
}

/** What a program's bundle is to be. */
export function bundleProgram(name: string): string {
  return bundle(new URL(`${name}.ts`, SOURCES));
}

if (import.meta.main) {
  for (const [name, path] of Object.entries(PROGRAMS)) {
    Deno.writeTextFileSync(new URL(path, ASSETS), bundleProgram(name));
  }
}
