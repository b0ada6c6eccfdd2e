/**
 * Where a message is written.
 *
 * @module
 */

import type { MessageFields } from "../../client/core/store.ts";
import { ERRNO, MSGID } from "../../protocol/protocol.ts";
import type { Conversation, Entry } from "./conversation.ts";
import { el, icon, replace } from "./dom.ts";
import { findEmoji } from "./emoji.ts";
import { openEmoji } from "./emoji_menu.ts";
import { openDialog, place, toast } from "./float.ts";
import { ICONS } from "./icons.ts";
import { cut, sizeOf } from "./long_text.ts";
import type { Model } from "./model.ts";
import { failureOf } from "./refusals.ts";
import { isolate, plural, t } from "./texts.ts";
import { avatar } from "./avatar.ts";
import { excerpt, nameOf, titleOf, typingOf } from "./words.ts";

const DRAFT_DELAY_MS = 400;
/** A paste that is longer is asked about. */
const LONG_LINES = 20;
const LONG_CHARACTERS = 4000;
const SUGGESTIONS = 8;

interface Suggestion {
  /** What is put in the place of what was typed. */
  text: string;
  content: (Node | string)[];
}

/** One for all conversations. */
export class Composer {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #model: Model;
  readonly #onEdit: (entry: Entry) => void;
  readonly #onLeave: () => void;
  readonly #input: HTMLTextAreaElement;
  readonly #context = el("div", { class: "context", hidden: true });
  readonly #typing = el("div", { class: "typing cut", "aria-live": "off" });
  readonly #send: HTMLElement;
  readonly #suggestions = el("div", {
    class: "float",
    role: "listbox",
    id: "suggestions",
    popover: "manual",
  });
  #conversation: Conversation | undefined;
  #reply: Entry | undefined;
  #edited: Entry | undefined;
  #draftTimer: number | undefined;
  #found: Suggestion[] = [];
  #foundAt = 0;
  #chosen = 0;

  /** `onEdit`: the last own message is wanted; `onLeave`: Escape with nothing to give up. */
  constructor(model: Model, owner: { onEdit: (entry: Entry) => void; onLeave: () => void }) {
    this.#model = model;
    this.#onEdit = owner.onEdit;
    this.#onLeave = owner.onLeave;
    this.#input = el("textarea", {
      rows: 1,
      dir: "auto",
      autocomplete: "off",
      enterkeyhint: "send",
      "aria-autocomplete": "list",
      "aria-controls": "suggestions",
      oninput: () => this.#typed(),
      onkeydown: (event: KeyboardEvent) => this.#key(event),
      onpaste: (event: ClipboardEvent) => this.#paste(event),
      onblur: () => this.#closeSuggestions(),
    });
    this.#send = el(
      "button",
      { type: "button", class: "icon-button send", onclick: () => void this.#submit() },
      icon(ICONS.send),
    );
    const emoji = el(
      "button",
      { type: "button", class: "icon-button", onclick: () => this.#pickEmoji(emoji) },
      icon(ICONS.smile),
    );
    emoji.ariaLabel = emoji.title = t("emoji");
    this.element = el(
      "div",
      { class: "composer" },
      this.#typing,
      el(
        "div",
        { class: "composer-box" },
        this.#context,
        el("div", { class: "composer-row" }, this.#input, emoji, this.#send),
      ),
    );
    document.body.append(this.#suggestions);
    let width = 0;
    new ResizeObserver(() => {
      // Texts break elsewhere now; that its height has changed is our own doing.
      if (this.#input.clientWidth !== width) this.#resize();
      width = this.#input.clientWidth;
    }).observe(this.#input);
  }

  /** Turns to a conversation, with what was typed there before. */
  open(conversation: Conversation | undefined): void {
    this.keepDraft();
    this.#conversation = conversation;
    this.#edited = undefined;
    this.#reply = undefined;
    if (conversation === undefined) return;
    const draft = this.#model.drafts.get(conversation.id);
    this.#input.value = draft?.text ?? "";
    if (draft?.reply !== undefined) this.#reply = conversation.find(draft.reply);
    this.#send.ariaLabel = this.#send.title = t("send");
    this.#showContext();
    this.#resize();
  }

  /** Shows who is typing, and to whom one writes. `conversation`: that which is open, as it is now. */
  update(conversation: Conversation): void {
    this.#conversation = conversation;
    this.#typing.textContent = typingOf(this.#model, conversation);
    const label = t("write_to", { name: isolate(titleOf(this.#model, conversation)) });
    if (this.#input.placeholder !== label) this.#input.ariaLabel = this.#input.placeholder = label;
  }

  /** Takes the focus. */
  focus(): void {
    this.#input.focus({ preventScroll: true });
  }

  /** The next message answers this one. */
  reply(entry: Entry): void {
    this.#edited = undefined;
    this.#reply = entry;
    this.#showContext();
    this.#draftChanged();
    this.focus();
  }

  /** An own message is changed. */
  edit(entry: Entry): void {
    this.keepDraft();
    this.#reply = undefined;
    this.#edited = entry;
    this.#input.value = entry.text ?? "";
    this.#showContext();
    this.#resize();
    this.focus();
  }

  /** Types for the user, where a key was pressed that was meant for here. */
  insert(text: string): void {
    this.focus();
    const { selectionStart: start, selectionEnd: end } = this.#input;
    this.#input.setRangeText(text, start, end, "end");
    this.#typed();
  }

  /** Keeps now what is typed. */
  keepDraft(): void {
    if (this.#draftTimer === undefined) return;
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    if (this.#conversation === undefined || this.#edited !== undefined) return;
    const reply = this.#reply?.seq;
    const draft = { text: this.#input.value, ...(reply === undefined ? {} : { reply }) };
    this.#model.setDraft(this.#conversation.id, draft);
  }

  #draftChanged(): void {
    if (this.#edited !== undefined) return;
    this.#draftTimer ??= setTimeout(() => this.keepDraft(), DRAFT_DELAY_MS);
  }

  #typed(): void {
    this.#resize();
    this.#draftChanged();
    if (this.#conversation !== undefined && this.#input.value !== "") {
      this.#model.typing(this.#conversation.id);
    }
    this.#suggest();
  }

  #resize(): void {
    this.#send.dataset.ready = String(this.#input.value.trim() !== "");
    this.#input.style.height = "";
    this.#input.style.height = `${this.#input.scrollHeight}px`;
  }

  #showContext(): void {
    const entry = this.#edited ?? this.#reply;
    this.#context.hidden = entry === undefined;
    if (entry === undefined) return;
    const name = isolate(nameOf(this.#model, entry.sender, entry.name));
    const isEdit = this.#edited !== undefined;
    replace(
      this.#context,
      icon(isEdit ? ICONS.edit : ICONS.reply),
      el(
        "div",
        {},
        el("b", { class: "cut" }, isEdit ? t("editing") : t("replying_to", { name })),
        el("div", { class: "cut secondary", dir: "auto" }, excerpt(entry.text ?? "")),
      ),
      el("button", {
        type: "button",
        class: "icon-button",
        "aria-label": t("cancel"),
        onclick: () => this.#giveUp(),
      }, icon(ICONS.close)),
    );
  }

  /** No reply and no edit any more; true when there was one. */
  #giveUp(): boolean {
    const wasEdit = this.#edited !== undefined;
    if (!wasEdit && this.#reply === undefined) return false;
    this.#edited = undefined;
    this.#reply = undefined;
    if (wasEdit && this.#conversation !== undefined) this.open(this.#conversation);
    this.#showContext();
    this.#draftChanged();
    this.focus();
    return true;
  }

  #key(event: KeyboardEvent): void {
    // An input method takes Enter for itself.
    if (event.isComposing || event.keyCode === 229) return;
    if (this.#found.length > 0 && this.#suggestionKey(event)) return;
    switch (event.key) {
      case "Enter":
        // On a phone the key breaks the line, as everywhere there, and the button sends.
        if (event.shiftKey || event.altKey || matchMedia("(pointer: coarse)").matches) return;
        event.preventDefault();
        void this.#submit();
        break;
      case "Escape":
        event.preventDefault();
        event.stopPropagation();
        if (!this.#giveUp()) this.#onLeave();
        break;
      case "ArrowUp": {
        if (this.#input.value !== "" || event.altKey || event.ctrlKey || event.metaKey) return;
        const last = this.#conversation?.entries.findLast((entry) =>
          entry.sender === this.#model.me && entry.text !== null && entry.kind === "chat"
        );
        if (last === undefined || !this.#model.has(MSGID.ACTION_MSG)) return;
        event.preventDefault();
        this.#onEdit(last);
        break;
      }
    }
  }

  async #submit(): Promise<void> {
    const conversation = this.#conversation;
    const text = this.#input.value.trim();
    if (conversation === undefined || text === "") return;
    const edited = this.#edited;
    if (sizeOf(text) > this.#model.maxTextBytes) {
      if (edited === undefined) this.#offerParts(text, { isTyped: true });
      else toast(t("not_edited", { why: t("err_too_large") }));
      return;
    }
    if (edited !== undefined) {
      this.#edited = undefined;
      this.open(conversation);
      if (text === edited.text) return;
      const reply = await this.#model.act(conversation, { ref: edited.seq, act: "edit", msg: text });
      if (reply.errno === ERRNO.OK) return;
      toast(t("not_edited", { why: failureOf(reply) }));
      // What was typed is not lost.
      if (this.#conversation === conversation && this.#input.value === "") {
        this.edit(edited);
        this.#input.value = text;
        this.#resize();
      }
      return;
    }
    this.#model.sendDraft(conversation.id, text, this.#fieldsOf(text, conversation, this.#reply?.seq));
    this.#clear();
  }

  #fieldsOf(text: string, conversation: Conversation, reply: number | undefined): MessageFields {
    const mentions = this.#mentionsIn(text, conversation);
    return { ...(reply === undefined ? {} : { reply }), ...(mentions === undefined ? {} : { mentions }) };
  }

  #clear(): void {
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    this.#input.value = "";
    this.#reply = undefined;
    this.#showContext();
    this.#resize();
    this.#closeSuggestions();
  }

  #mentionsIn(text: string, conversation: Conversation): number[] | "all" | undefined {
    if (conversation.groupId === undefined || !text.includes("@")) return undefined;
    const group = this.#model.people.groups.get(conversation.groupId);
    const isAdmin = group?.role === "creator" || group?.role === "admin";
    if (isAdmin && (/(^|\s)@all(?![\p{L}\p{N}])/u.test(text) || text.includes(`@${t("all")}`))) return "all";
    const ids = (group?.members ?? []).map(({ id }) => id).filter((id) => {
      const name = this.#model.nameOf(id);
      return name !== "" && id !== this.#model.me && text.includes(`@${name}`);
    });
    return ids.length === 0 ? undefined : ids;
  }

  #paste(event: ClipboardEvent): void {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const lines = text.split("\n").length;
    if (lines <= LONG_LINES && text.length <= LONG_CHARACTERS) return;
    event.preventDefault();
    openDialog(t("paste_title"), ({ close }) => {
      const choose = (label: string, isMain: boolean, act: () => void) =>
        el("button", {
          type: "button",
          class: isMain ? "button main" : "button",
          autofocus: isMain,
          onclick: () => {
            close();
            act();
          },
        }, label);
      return [
        el("p", {}, plural("paste_lines", lines)),
        el(
          "div",
          { class: "dialog-foot" },
          choose(t("cancel"), false, () => this.focus()),
          choose(t("paste_parts"), false, () => this.#offerParts(text, { isTyped: false })),
          choose(t("paste_one"), true, () => this.insert(text)),
        ),
      ];
    });
  }

  /** Sends a long text as several messages. `isTyped`: it is what is in the field, which is empty then. */
  #offerParts(text: string, { isTyped }: { isTyped: boolean }): void {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const parts = cut(text, this.#model.maxTextBytes);
    const send = () => {
      const reply = isTyped ? this.#reply?.seq : undefined;
      if (isTyped) this.#model.setDraft(conversation.id, undefined);
      for (const [index, part] of parts.entries()) {
        this.#model.send(
          conversation.id,
          part,
          this.#fieldsOf(part, conversation, index === 0 ? reply : undefined),
        );
      }
      if (isTyped) this.#clear();
      this.focus();
    };
    openDialog(t("paste_parts"), ({ close }) => [
      el("p", {}, plural("parts", parts.length)),
      el(
        "div",
        { class: "dialog-foot" },
        el("button", { type: "button", class: "button", onclick: close }, t("cancel")),
        el("button", {
          type: "button",
          class: "button main",
          autofocus: true,
          onclick: () => {
            close();
            send();
          },
        }, t("send")),
      ),
    ]);
  }

  #pickEmoji(anchor: Element): void {
    openEmoji(anchor, (emoji) => this.insert(emoji));
  }

  #suggest(): void {
    const { value, selectionStart } = this.#input;
    const before = value.slice(0, selectionStart);
    const match = /(?:^|\s)([@:])([^\s@:]{0,30})$/u.exec(before);
    const [, sign, word = ""] = match ?? [];
    this.#found = sign === "@"
      ? this.#findMembers(word)
      : sign === ":" && word.length > 1
      ? findNamed(word)
      : [];
    this.#foundAt = selectionStart - word.length - 1;
    this.#chosen = 0;
    this.#showSuggestions();
  }

  #findMembers(word: string): Suggestion[] {
    const conversation = this.#conversation;
    if (conversation?.groupId === undefined) return [];
    const group = this.#model.people.groups.get(conversation.groupId);
    const wanted = word.toLocaleLowerCase();
    const found = (group?.members ?? []).map(({ id }) => ({ id, name: this.#model.nameOf(id) }))
      .filter(({ id, name }) =>
        id !== this.#model.me && name !== "" &&
        name.toLocaleLowerCase().split(/\s/).some((part) => part.startsWith(wanted))
      );
    const suggestions = found.slice(0, SUGGESTIONS).map(({ id, name }) => ({
      text: `@${name} `,
      content: [avatar({ id, name, size: "small" }), el("bdi", {}, name)],
    }));
    const isAdmin = group?.role === "creator" || group?.role === "admin";
    if (isAdmin && "all".startsWith(wanted)) {
      suggestions.push({ text: "@all ", content: [el("bdi", {}, t("everybody"))] });
    }
    return suggestions;
  }

  #showSuggestions(): void {
    if (this.#found.length === 0) {
      this.#closeSuggestions();
      return;
    }
    replace(
      this.#suggestions,
      ...this.#found.map(({ content }, index) =>
        el("div", {
          class: "choice",
          role: "option",
          id: `suggestion-${index}`,
          "aria-selected": String(index === this.#chosen),
          // Before the field loses the focus.
          onpointerdown: (event: Event) => {
            event.preventDefault();
            this.#take(index);
          },
        }, ...content)
      ),
    );
    this.#suggestions.showPopover();
    place(this.#suggestions, this.#input, "above");
    this.#input.setAttribute("aria-activedescendant", `suggestion-${this.#chosen}`);
  }

  #closeSuggestions(): void {
    this.#found = [];
    if (this.#suggestions.matches(":popover-open")) this.#suggestions.hidePopover();
    this.#input.removeAttribute("aria-activedescendant");
  }

  #suggestionKey(event: KeyboardEvent): boolean {
    const count = this.#found.length;
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp":
        this.#chosen = (this.#chosen + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
        this.#showSuggestions();
        break;
      case "Enter":
      case "Tab":
        this.#take(this.#chosen);
        break;
      case "Escape":
        this.#closeSuggestions();
        event.stopPropagation();
        break;
      default:
        return false;
    }
    event.preventDefault();
    return true;
  }

  #take(index: number): void {
    const text = this.#found[index]?.text ?? "";
    this.#input.setRangeText(text, this.#foundAt, this.#input.selectionStart, "end");
    this.#closeSuggestions();
    this.#resize();
    this.#draftChanged();
  }
}

function findNamed(word: string): Suggestion[] {
  return findEmoji(word.toLowerCase(), SUGGESTIONS).map(({ emoji, name }) => ({
    text: `${emoji} `,
    content: [emoji, ` ${name}`],
  }));
}
