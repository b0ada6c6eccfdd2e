/**
 * What people wrote, as nodes: links, code and mentions, nothing else. Every character of theirs goes in as text.
 *
 * @module
 */

import { el } from "./dom.ts";

/** Whom a text names. */
export interface Mentioned {
  /** The name as it stands behind "@". */
  name: string;
  /** It is the user who reads. */
  isMe: boolean;
}

const FENCE = /```[^\S\n]*(?:[\w+#-]*\n)?([^]*?)\n?```/g;
const CODE = /`([^`\n]+)`/g;
const LINK = /\bhttps?:\/\/[^\s<>"'`\u2018-\u201f\u3000-\u303f\uff00-\uff0f]+/gi;
/** What ends a sentence rather than an address. */
const TRAILING = /[.,:;!?*_~]+$/;
const EMOJI_ONLY =
  /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\u{e0020}-\u{e007f}]|\s)+$/u;
const EMOJI_MOST = 6;

/** True for a few emoji and nothing else. */
export function isEmojiOnly(text: string): boolean {
  if (text.length > 100 || !EMOJI_ONLY.test(text)) return false;
  const count = [...new Intl.Segmenter().segment(text)].filter(({ segment }) => segment.trim() !== "").length;
  return count > 0 && count <= EMOJI_MOST;
}

/** The nodes of a text. */
export function markUp(text: string, mentioned: readonly Mentioned[] = []): Node[] {
  return split(
    text,
    FENCE,
    ([, code = ""]) => [el("pre", {}, code)],
    (prose) =>
      split(
        prose,
        CODE,
        ([, code = ""]) => [el("code", {}, code)],
        (words) => split(words, LINK, ([url]) => link(url), (rest) => mentions(rest, mentioned)),
      ),
  );
}

type Render = (text: string) => Node[];

function split(
  text: string,
  pattern: RegExp,
  render: (match: RegExpMatchArray) => Node[],
  rest: Render,
): Node[] {
  const nodes: Node[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) nodes.push(...rest(text.slice(at, match.index)));
    nodes.push(...render(match));
    at = match.index + match[0].length;
  }
  if (at < text.length) nodes.push(...rest(text.slice(at)));
  return nodes;
}

function link(match: string): Node[] {
  const url = withoutTrailing(match);
  const rest = match.slice(url.length);
  const parsed = URL.parse(url);
  // What stands before an @ looks like a host and is none.
  if (parsed === null || parsed.username !== "" || parsed.host === "") return [new Text(match)];
  const element = el(
    "a",
    { href: parsed.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" },
    url,
  );
  return rest === "" ? [element] : [element, new Text(rest)];
}

/** A bracket belongs to an address when it was opened in it. */
function withoutTrailing(match: string): string {
  let url = match;
  for (;;) {
    const shorter = url.replace(TRAILING, "");
    const opened = shorter.split("(").length - 1;
    const closed = shorter.split(")").length - 1;
    const next = shorter.endsWith(")") && closed > opened ? shorter.slice(0, -1) : shorter;
    if (next === url) return url;
    url = next;
  }
}

function mentions(text: string, mentioned: readonly Mentioned[]): Node[] {
  // The longest first: "@Li Wei" is not "@Li" and a word.
  const names = mentioned.filter(({ name }) => name !== "").sort((a, b) => b.name.length - a.name.length);
  const nodes: Node[] = [];
  let plain = "";
  for (let at = 0; at < text.length;) {
    const found = text[at] === "@" ? names.find(({ name }) => text.startsWith(name, at + 1)) : undefined;
    if (found === undefined) plain += text[at++] ?? "";
    else {
      if (plain !== "") nodes.push(new Text(plain));
      plain = "";
      const className = found.isMe ? "mention me" : "mention";
      nodes.push(el("span", { class: className }, el("bdi", {}, `@${found.name}`)));
      at += found.name.length + 1;
    }
  }
  if (plain !== "") nodes.push(new Text(plain));
  return nodes;
}
