/**
 * Rows of the log: each made anew when what it shows has changed.
 *
 * @module
 */

import { avatar } from "./avatar.ts";
import type { Conversation, Entry } from "./conversation.ts";
import { el, icon } from "./dom.ts";
import { ICONS } from "./icons.ts";
import { isEmojiOnly, parse } from "./markup.ts";
import type { Mentioned, Piece } from "./markup.ts";
import type { Model } from "./model.ts";
import { failureOf } from "./refusals.ts";
import type { Unsent } from "./store.ts";
import { bareTime, day, fullTime, isolate, plural, t, time } from "./texts.ts";
import { excerpt, nameOf, systemText, titleOf } from "./words.ts";

/** A row before it is drawn. `key` is its own among all rows of a log. */
export type Item =
  | { kind: "top"; key: "top"; isComplete: boolean }
  | { kind: "day"; key: string; at: number }
  | { kind: "new"; key: "new" }
  | { kind: "system"; key: string; entry: Entry }
  | { kind: "entry"; key: string; entry: Entry; isFirst: boolean }
  | { kind: "unsent"; key: string; unsent: Unsent; isFirst: boolean };

/** What a row's parts lead to. */
export interface RowActions {
  /** Shows an entry of this conversation. */
  onJump(seq: number): void;
  /** Puts an emoji on an entry, or takes it off. */
  onReact(entry: Entry, emoji: string): void;
  /** Shows earlier texts. */
  onVersions(entry: Entry): void;
  /** Shows who has read an entry. */
  onReaders(entry: Entry, anchor: Element): void;
}

/** What a row shows; the same text: the same row. */
export function signatureOf(item: Item, model: Model, conversation: Conversation): unknown[] {
  const name = (id: number) => model.nameOf(id);
  switch (item.kind) {
    case "top":
      return [
        item.isComplete,
        titleOf(model, conversation),
        aboutOf(model, conversation),
        model.isLoading(conversation),
      ];
    case "day":
      return [day(item.at, model.now())];
    case "new":
      return [];
    case "system":
      return [item.entry, systemText(model, item.entry)];
    case "entry": {
      const { entry } = item;
      const replied = entry.reply === undefined ? undefined : conversation.find(entry.reply);
      const tick = entry.sender === model.me ? tickOf(entry.seq, conversation) : undefined;
      return [entry, item.isFirst, name(entry.sender), replied, tick?.kind, tick?.count];
    }
    case "unsent":
      return [item.unsent, item.isFirst];
  }
}

/** Draws a row. */
export function drawRow(
  item: Item,
  model: Model,
  conversation: Conversation,
  actions: RowActions,
): HTMLElement {
  switch (item.kind) {
    case "top":
      return drawTop(item.isComplete, model, conversation);
    case "day":
      return el("div", { class: "day", role: "separator" }, day(item.at, model.now()));
    case "new":
      return el("div", { class: "new-line", role: "separator" }, t("new"));
    case "system":
      return el("div", { class: "system", title: fullTime(item.entry.at) }, systemText(model, item.entry));
    case "entry":
      return drawEntry(item.entry, item.isFirst, model, conversation, actions);
    case "unsent":
      return drawUnsent(item.unsent, item.isFirst, model, conversation, actions);
  }
}

function drawTop(isComplete: boolean, model: Model, conversation: Conversation): HTMLElement {
  if (!isComplete) {
    return el("div", { class: "beginning secondary" }, model.isLoading(conversation) ? t("loading") : "");
  }
  const { groupId, peerId } = conversation;
  const title = titleOf(model, conversation);
  const sign = avatar({
    id: groupId ?? peerId ?? 0,
    name: title,
    isGroup: groupId !== undefined,
    size: "large",
  });
  return el(
    "div",
    { class: "beginning" },
    sign,
    el("h2", {}, el("bdi", {}, title)),
    el("p", { class: "secondary", dir: "auto" }, aboutOf(model, conversation)),
  );
}

/** What stands above the first entry. */
function aboutOf(model: Model, conversation: Conversation): string {
  const { groupId, peerId } = conversation;
  if (groupId === undefined && peerId === model.me) return t("beginning_notes");
  const name = isolate(titleOf(model, conversation));
  if (groupId === undefined) return t("beginning_one", { name });
  return model.people.groups.get(groupId)?.description || t("beginning_group", { name });
}

function drawEntry(
  entry: Entry,
  isFirst: boolean,
  model: Model,
  conversation: Conversation,
  actions: RowActions,
): HTMLElement {
  const isMine = entry.sender === model.me;
  const isForMe = !isMine && conversation.isForMe(entry);
  const row = el("article", {
    class: `row ${isFirst ? "first" : ""} ${isForMe ? "mentions-me" : ""}`,
    tabindex: "-1",
    "data-seq": entry.seq,
  });
  const body = el("div");
  if (isFirst) {
    const name = nameOf(model, entry.sender, entry.name);
    row.append(avatar({ id: entry.sender, name }));
    body.append(head(name, entry.at));
  } else row.append(clock(entry.at, bareTime, "row-time"));
  if (entry.isPinned) body.append(el("div", { class: "pinned-mark" }, icon(ICONS.pin), t("pinned")));
  if (entry.reply !== undefined) body.append(drawQuote(entry.reply, model, conversation, actions));
  if (entry.text === null) {
    body.append(el("div", { class: "recalled" }, isMine ? t("recalled_own") : t("recalled")));
  } else {
    const text = drawText(entry.text, entry, model);
    if (entry.edited !== undefined) {
      text.append(
        " ",
        el("button", {
          type: "button",
          class: "edited",
          title: fullTime(entry.edited),
          onclick: () => actions.onVersions(entry),
        }, t("edited")),
      );
    }
    if (isMine) text.append(...drawTick(entry, conversation, actions));
    body.append(text);
    const reactions = drawReactions(entry, model, actions);
    if (reactions !== undefined) body.append(reactions);
  }
  row.append(body);
  return row;
}

function drawUnsent(
  unsent: Unsent,
  isFirst: boolean,
  model: Model,
  conversation: Conversation,
  actions: RowActions,
): HTMLElement {
  const row = el("article", {
    class: `row ${isFirst ? "first" : ""}`,
    tabindex: "-1",
    "data-cid": unsent.cid,
  });
  const body = el("div");
  if (isFirst) {
    const name = nameOf(model, model.me);
    row.append(avatar({ id: model.me, name }));
    body.append(head(name, unsent.at));
  } else row.append(clock(unsent.at, bareTime, "row-time"));
  if (unsent.fields?.reply !== undefined) {
    body.append(drawQuote(unsent.fields.reply, model, conversation, actions));
  }
  const text = drawText(unsent.text, unsent.fields ?? {}, model);
  if (unsent.failure === undefined) text.append(tick("clock", "clock", t("tick_clock")));
  body.append(text);
  if (unsent.failure !== undefined) {
    body.append(
      el(
        "div",
        { class: "failure", role: "alert" },
        el("span", {}, t("not_sent", { why: failureOf(unsent.failure) })),
        el("button", { type: "button", onclick: () => model.sendAgain(unsent.cid) }, t("try_again")),
        el("button", {
          type: "button",
          onclick: () => void navigator.clipboard?.writeText(unsent.text),
        }, t("copy")),
        el("button", { type: "button", onclick: () => model.discard(unsent.cid) }, t("discard")),
      ),
    );
  }
  row.append(body);
  return row;
}

function head(name: string, at: number): HTMLElement {
  return el("div", { class: "row-head" }, el("bdi", { class: "name" }, name), clock(at, time));
}

function clock(at: number, say: (at: number) => string, className = ""): HTMLElement {
  return el(
    "time",
    { class: className, datetime: new Date(at).toISOString(), title: fullTime(at) },
    say(at),
  );
}

/** The text with its marks. Whom it names is looked up by the ids that came with it. */
function drawText(text: string, { mentions }: { mentions?: number[] | "all" }, model: Model): HTMLElement {
  const mentioned: Mentioned[] = mentions === "all"
    ? [{ name: "all", isMe: true }, { name: t("all"), isMe: true }]
    : (mentions ?? []).map((id) => ({ name: model.nameOf(id), isMe: id === model.me }));
  const className = isEmojiOnly(text) ? "text emoji-only" : "text";
  return el("div", { class: className, dir: "auto" }, ...parse(text, mentioned).map(drawPiece));
}

function drawPiece(piece: Piece): Node {
  const { kind, text } = piece;
  switch (kind) {
    case "text":
      return new Text(text);
    case "block":
      return el("pre", {}, text);
    case "code":
      return el("code", {}, text);
    case "link":
      return el("a", { href: piece.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, text);
    case "mention":
      return el("span", { class: piece.isMe ? "mention me" : "mention" }, el("bdi", {}, text));
  }
}

function drawQuote(seq: number, model: Model, conversation: Conversation, actions: RowActions): HTMLElement {
  const entry = conversation.find(seq);
  const name = entry === undefined ? "" : nameOf(model, entry.sender, entry.name);
  const text = entry === undefined ? t("quote_older") : entry.text ?? t("recalled");
  return el(
    "button",
    { type: "button", class: "quote", onclick: () => actions.onJump(seq) },
    name !== "" && el("b", { class: "cut" }, el("bdi", {}, name)),
    el("span", { class: "cut", dir: "auto" }, excerpt(text)),
  );
}

/** How far an own message has got. */
export function tickOf(
  seq: number,
  conversation: Conversation,
): { kind: "stored" | "delivered" | "read"; count: number } {
  const read = conversation.countPeers("read", seq);
  if (read > 0) return { kind: "read", count: read };
  return { kind: conversation.countPeers("delivered", seq) > 0 ? "delivered" : "stored", count: 0 };
}

/** The sign of it. */
export function tickSign(kind: ReturnType<typeof tickOf>["kind"]): HTMLElement {
  if (kind === "stored") return tick("check", "", t("tick_stored"));
  return tick(
    "checks",
    kind === "read" ? "read" : "",
    kind === "read" ? t("tick_read") : t("tick_delivered"),
  );
}

function drawTick(entry: Entry, conversation: Conversation, actions: RowActions): HTMLElement[] {
  // To oneself: it has arrived.
  if (conversation.groupId === undefined && conversation.peerId === entry.sender) return [];
  const { kind, count } = tickOf(entry.seq, conversation);
  const sign = tickSign(kind);
  if (conversation.groupId === undefined || count === 0) return [sign];
  const readers = el("button", {
    type: "button",
    class: "read-by",
    onclick: (event: Event) => actions.onReaders(entry, event.currentTarget as Element),
  }, plural("read_by", count));
  return [sign, readers];
}

function tick(name: "clock" | "check" | "checks", className: string, text: string): HTMLElement {
  return el(
    "span",
    { class: `tick ${className}`, role: "img", "aria-label": text, title: text },
    icon(ICONS[name]),
  );
}

function drawReactions(entry: Entry, model: Model, actions: RowActions): HTMLElement | undefined {
  const all = Object.entries(entry.reactions ?? {});
  if (all.length === 0) return undefined;
  return el(
    "div",
    { class: "reactions" },
    ...all.map(([emoji, ids]) => {
      const count = Math.max(entry.counts?.[emoji] ?? 0, ids.length);
      const names = ids.slice(0, 20).map((id) => id === model.me ? t("you") : nameOf(model, id)).join(", ");
      return el(
        "button",
        {
          type: "button",
          class: "reaction",
          "aria-pressed": String(ids.includes(model.me)),
          "aria-label": `${emoji} ${names}`,
          title: names,
          onclick: () => actions.onReact(entry, emoji),
        },
        emoji,
        el("span", {}, String(count)),
      );
    }),
  );
}
