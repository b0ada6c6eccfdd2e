/**
 * What people wrote, taken apart: links, code and mentions, nothing else. However a text is made, that takes time in
 * proportion to its length.
 *
 * @module
 */

/** Whom a text names. */
export interface Mentioned {
  /** The name as it stands behind "@". */
  name: string;
  /** It is the user who reads. */
  isMe: boolean;
}

/** The blanks are taken all at once: tried one by one, those of a fence that never ends would take the square of their number. */
const FENCE = /```(?=([^\S\n]*))\1(?:[\w+#-]*\n)?([^]*?)\n?```/g;
const CODE = /`([^`\n]+)`/g;
const LINK = /\bhttps?:\/\/[^\s<>"'`\u2018-\u201f\u3000-\u303f\uff00-\uff0f]+/gi;
/** What ends a sentence rather than an address. */
const TRAILING = ".,:;!?*_~";
/** One class: two that share characters would be tried in every combination. */
const EMOJI_ONLY =
  /^[\p{Emoji_Presentation}\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\ufe0f\u{e0020}-\u{e007f}\s]+$/u;
const EMOJI_MOST = 6;
/** A family in three skin tones is one emoji and 25 of these. */
const EMOJI_MOST_UNITS = 150;

/** True for a few emoji and nothing else. */
export function isEmojiOnly(text: string): boolean {
  if (text.length > EMOJI_MOST_UNITS || !EMOJI_ONLY.test(text)) return false;
  const count = [...new Intl.Segmenter().segment(text)].filter(({ segment }) => segment.trim() !== "").length;
  return count > 0 && count <= EMOJI_MOST;
}

/** A part of a text. */
export type Piece =
  | { kind: "text" | "code" | "block"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "mention"; text: string; isMe: boolean };

/** The parts of a text, in order. */
export function parse(text: string, mentioned: readonly Mentioned[] = []): Piece[] {
  // The longest first: "@Li Wei" is not "@Li" and a word.
  const names = mentioned.filter(({ name }, index) =>
    name !== "" && mentioned.findIndex((other) => other.name === name) === index
  ).sort((a, b) => b.name.length - a.name.length);
  return split(
    text,
    FENCE,
    ([, , code = ""]) => [{ kind: "block", text: code }],
    (prose) =>
      split(
        prose,
        CODE,
        ([, code = ""]) => [{ kind: "code", text: code }],
        (words) => split(words, LINK, ([url]) => link(url), (rest) => mentions(rest, names)),
      ),
  );
}

function split(
  text: string,
  pattern: RegExp,
  read: (match: RegExpMatchArray) => Piece[],
  rest: (text: string) => Piece[],
): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) pieces.push(...rest(text.slice(at, match.index)));
    pieces.push(...read(match));
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push(...rest(text.slice(at)));
  return pieces;
}

function link(match: string): Piece[] {
  const url = withoutTrailing(match);
  const rest = match.slice(url.length);
  const parsed = URL.parse(url);
  // What stands before an @ looks like a host and is none.
  if (parsed === null || parsed.username !== "" || parsed.host === "") return [{ kind: "text", text: match }];
  const piece: Piece = { kind: "link", text: url, href: parsed.href };
  return rest === "" ? [piece] : [piece, { kind: "text", text: rest }];
}

/** A bracket belongs to an address when it was opened in it. */
function withoutTrailing(match: string): string {
  let surplus = match.split(")").length - match.split("(").length;
  let end = match.length;
  for (; end > 0; end--) {
    const last = match.charAt(end - 1);
    if (last === ")" && surplus > 0) surplus--;
    else if (!TRAILING.includes(last)) break;
  }
  return match.slice(0, end);
}

function mentions(text: string, names: readonly Mentioned[]): Piece[] {
  const pieces: Piece[] = [];
  let plain = "";
  for (let at = 0; at < text.length;) {
    const found = text[at] === "@" ? names.find(({ name }) => text.startsWith(name, at + 1)) : undefined;
    if (found === undefined) plain += text[at++] ?? "";
    else {
      if (plain !== "") pieces.push({ kind: "text", text: plain });
      plain = "";
      pieces.push({ kind: "mention", text: `@${found.name}`, isMe: found.isMe });
      at += found.name.length + 1;
    }
  }
  if (plain !== "") pieces.push({ kind: "text", text: plain });
  return pieces;
}
