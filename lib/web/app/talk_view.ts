/**
 * The conversation that is open: its head, its log, and where one writes.
 *
 * @module
 */

import { ERRNO, MSGID } from "../../protocol/protocol.ts";
import { avatar } from "./avatar.ts";
import { Composer } from "./composer.ts";
import type { Conversation, Entry } from "./conversation.ts";
import { el, icon, replace } from "./dom.ts";
import { openReactions } from "./emoji_menu.ts";
import { askFirst, openDialog, openFloat, openMenu, toast } from "./float.ts";
import type { Choice } from "./float.ts";
import { ICONS } from "./icons.ts";
import { LogView } from "./log_view.ts";
import type { Model } from "./model.ts";
import { failureOf } from "./refusals.ts";
import { fullTime, t } from "./texts.ts";
import { nameOf, sublineOf, titleOf } from "./words.ts";
import { integerOf, listOf, textOf } from "../../client/core/messages.ts";
import { isJsonObject } from "../../protocol/protocol.ts";

/** What the pane leads to. */
export interface TalkOwner {
  /** Back to the list. */
  onBack(): void;
  /** The details are wanted, or not any more. */
  onDetails(): void;
  /** Somebody to talk to is wanted. */
  onNew(anchor: Element): void;
}

/** The pane in the middle. */
export class TalkView {
  /** To be put into the page. */
  readonly element: HTMLElement;
  /** The log. */
  readonly log: LogView;
  /** Where one writes. */
  readonly composer: Composer;
  readonly #model: Model;
  readonly #owner: TalkOwner;
  readonly #head = el("header", { class: "talk-head" });
  readonly #closed = el("div", { class: "closed" });
  readonly #empty: HTMLElement;
  readonly #tools = el("div", { class: "row-tools" });
  #conversation: Conversation | undefined;
  #pointed: Entry | undefined;
  #headSignature = "";

  /** Shows what is in `model`. */
  constructor(model: Model, owner: TalkOwner) {
    this.#model = model;
    this.#owner = owner;
    this.log = new LogView(model, {
      onJump: (seq) => void this.log.jumpTo(seq),
      onReact: (entry, emoji) => void this.react(entry, emoji),
      onVersions: (entry) => void this.#showVersions(entry),
      onReaders: (entry, anchor) => this.#showReaders(entry, anchor),
      onPoint: (row, entry) => this.#point(row, entry),
    });
    this.composer = new Composer(model, {
      onEdit: (entry) => this.composer.edit(entry),
      onLeave: () => owner.onBack(),
    });
    const start = el(
      "button",
      { type: "button", class: "button main", onclick: () => owner.onNew(start) },
      t("new_chat"),
    );
    this.#empty = el(
      "div",
      { class: "empty" },
      el("h2", {}, t("empty_title")),
      el("p", {}, t("empty_text")),
      el("div", { class: "empty-actions" }, start),
    );
    this.element = el("main", { class: "talk" });
    this.#show();
  }

  /** Turns to the conversation that is open in the model. */
  open(): void {
    const { current } = this.#model;
    if (current === this.#conversation && current !== undefined) return;
    const isOther = current?.id !== this.#conversation?.id;
    this.#conversation = current;
    this.#headSignature = "";
    this.#show();
    if (isOther) this.composer.open(current);
    this.log.open(current);
    this.update();
  }

  /** Shows what has changed. */
  update(): void {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    this.#drawHead(conversation);
    this.log.update();
    this.composer.update(conversation);
    const isOver = this.#isOver(conversation);
    this.composer.element.hidden = isOver;
    this.#closed.hidden = !isOver;
    if (isOver) {
      this.#closed.textContent = closedText(conversation);
    }
  }

  /** Puts an emoji on an entry, or takes the user's own off. */
  async react(entry: Entry, emoji: string): Promise<void> {
    const isOn = !(entry.reactions?.[emoji]?.includes(this.#model.me) ?? false);
    await this.#act(entry, { act: "react", emoji, on: isOn });
  }

  /** Pins an entry, or not any more. */
  async pin(entry: Entry): Promise<void> {
    await this.#act(entry, { act: "pin", on: entry.isPinned !== true });
  }

  /** A key was pressed while the log has the focus; true when it meant something. */
  key(event: KeyboardEvent): boolean {
    const entry = this.log.focused;
    switch (event.key.toLowerCase()) {
      case "j":
      case "k":
        this.log.move(event.key.toLowerCase() === "j" ? 1 : -1);
        return true;
      case "r":
        if (entry === undefined || !this.#canAnswer(entry)) return false;
        this.composer.reply(entry);
        return true;
      case "e":
        if (entry === undefined || !this.#canReact(entry)) return false;
        this.#openReactions(entry);
        return true;
      case "p":
        if (entry === undefined || !this.#canPin(entry)) return false;
        void this.pin(entry);
        return true;
      case "enter":
      case ".":
        if (entry === undefined || document.activeElement?.matches(".row") === false) return false;
        this.#openMenu(entry);
        return true;
      case "end":
        this.log.toEnd();
        return true;
      default:
        return false;
    }
  }

  #show(): void {
    const parts = this.#conversation === undefined
      ? [this.#empty]
      : [this.#head, this.log.element, this.composer.element, this.#closed];
    replace(this.element, ...parts);
  }

  #isOver({ groupId, peerId }: Conversation): boolean {
    if (groupId === undefined) return this.#model.people.user(peerId ?? 0).isBlocked;
    return this.#model.people.groups.get(groupId)?.isOver ?? false;
  }

  #drawHead(conversation: Conversation): void {
    const { groupId, peerId } = conversation;
    const title = titleOf(this.#model, conversation);
    const subline = sublineOf(this.#model, conversation);
    const signature = `${title}\n${subline}\n${conversation.id}`;
    if (signature === this.#headSignature) return;
    this.#headSignature = signature;
    replace(
      this.#head,
      el(
        "button",
        {
          type: "button",
          class: "icon-button back",
          "aria-label": t("back"),
          onclick: () => this.#owner.onBack(),
        },
        icon(ICONS.back),
      ),
      avatar({ id: groupId ?? peerId ?? 0, name: title, isGroup: groupId !== undefined }),
      el(
        "div",
        { class: "talk-title" },
        el(
          "button",
          { type: "button", onclick: () => this.#owner.onDetails() },
          el("h1", { class: "cut" }, el("bdi", {}, title)),
        ),
        el("div", { class: "secondary cut", dir: "auto" }, subline),
      ),
      el("button", {
        type: "button",
        class: "icon-button",
        "aria-label": t("details"),
        title: t("details"),
        onclick: () => this.#owner.onDetails(),
      }, icon(ICONS.details)),
    );
  }

  #point(row: HTMLElement, entry: Entry): void {
    if (this.#tools.parentElement === row && this.#pointed === entry) return;
    this.#pointed = entry;
    const button = (label: string, path: string, act: (anchor: Element) => void) => {
      const element: HTMLElement = el("button", {
        type: "button",
        class: "icon-button",
        "aria-label": label,
        title: label,
        onclick: () => act(element),
      }, icon(path));
      return element;
    };
    replace(
      this.#tools,
      this.#canReact(entry) && button(t("react"), ICONS.smile, () => this.#openReactions(entry)),
      this.#canAnswer(entry) && button(t("reply"), ICONS.reply, () => this.composer.reply(entry)),
      entry.kind === "chat" && entry.text !== null &&
        button(t("more"), ICONS.more, () => this.#openMenu(entry)),
    );
    row.append(this.#tools);
  }

  #canAct(): boolean {
    return this.#conversation !== undefined && !this.#isOver(this.#conversation);
  }

  #canAnswer({ text, kind }: Entry): boolean {
    return kind === "chat" && text !== null && this.#canAct();
  }

  #canReact(entry: Entry): boolean {
    return this.#canAnswer(entry) && this.#model.has(MSGID.ACTION_MSG);
  }

  #canPin(entry: Entry): boolean {
    if (!this.#canReact(entry)) return false;
    const { groupId } = this.#conversation ?? {};
    if (groupId === undefined) return true;
    const role = this.#model.people.groups.get(groupId)?.role;
    return role === "creator" || role === "admin";
  }

  #canRecall(entry: Entry): boolean {
    const { groupId } = this.#conversation ?? {};
    const isMine = entry.sender === this.#model.me;
    return this.#canAnswer(entry) &&
      (isMine || (groupId !== undefined && this.#model.people.groups.get(groupId)?.role === "creator"));
  }

  #rowOf(entry: Entry): Element {
    return this.element.querySelector(`.row[data-seq="${entry.seq}"]`) ?? this.element;
  }

  #openReactions(entry: Entry): void {
    const row = this.#rowOf(entry);
    const { right, top, width } = row.getBoundingClientRect();
    const anchor = new DOMRect(right - Math.min(width, 340), top, 0, 0);
    openReactions(anchor, row, (emoji) => void this.react(entry, emoji));
  }

  #openMenu(entry: Entry): void {
    const isMine = entry.sender === this.#model.me;
    const choices: (Choice | false)[] = [
      this.#canAnswer(entry) && { label: t("reply"), key: "R", onChoose: () => this.composer.reply(entry) },
      isMine && this.#canReact(entry) && { label: t("edit"), onChoose: () => this.composer.edit(entry) },
      {
        label: t("copy_text"),
        onChoose: () => void navigator.clipboard?.writeText(entry.text ?? "").then(() => toast(t("copied"))),
      },
      this.#canPin(entry) &&
      { label: entry.isPinned ? t("unpin") : t("pin"), key: "P", onChoose: () => void this.pin(entry) },
      this.#canRecall(entry) && {
        label: t("recall"),
        isDangerous: true,
        onChoose: () =>
          askFirst(t("recall"), t("recall_ask"), t("recall"), () => void this.#act(entry, { act: "recall" })),
      },
    ];
    const anchor = this.#tools.parentElement === this.#rowOf(entry) ? this.#tools.lastElementChild : null;
    openMenu(
      anchor?.checkVisibility() ? anchor : this.#rowOf(entry),
      choices.filter((choice) => choice !== false),
    );
  }

  async #act(entry: Entry, action: { act: string; [field: string]: unknown }): Promise<void> {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const reply = await this.#model.act(conversation, { ref: entry.seq, ...action });
    if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
  }

  async #showVersions(entry: Entry): Promise<void> {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const reply = await this.#model.ask({
      msgid: MSGID.HISTORY_MSG,
      conversation: conversation.id,
      versions: entry.seq,
    });
    if (reply.errno !== ERRNO.OK) {
      toast(failureOf(reply));
      return;
    }
    const versions = listOf(reply.frame.messages).filter(isJsonObject);
    openDialog(t("versions"), () =>
      versions.map((version) =>
        el(
          "div",
          {},
          el("div", { class: "secondary" }, fullTime(integerOf(version.at) ?? entry.at)),
          el("div", { class: "text", dir: "auto" }, textOf(version.msg)),
        )
      ));
  }

  #showReaders(entry: Entry, anchor: Element): void {
    const readers = [...this.#conversation?.peers ?? []]
      .filter(([, { read, since }]) => read >= entry.seq && since < entry.seq);
    const lines = readers.map(([id]) => {
      const name = nameOf(this.#model, id);
      return el(
        "div",
        { class: "choice" },
        avatar({ id, name, size: "small" }),
        el("bdi", { class: "cut" }, name),
      );
    });
    openFloat(el("div", { class: "float" }, ...lines), anchor, "above");
  }
}

/** Why nothing can be said in a conversation. */
function closedText({ groupId, entries }: Conversation): string {
  if (groupId === undefined) return t("closed_blocked");
  const isDissolved = entries.at(-1)?.frame?.what === "dissolved";
  return isDissolved ? t("closed_dissolved") : t("closed_group");
}
