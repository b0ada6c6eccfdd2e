/**
 * The list of conversations.
 *
 * @module
 */

import { avatar } from "./avatar.ts";
import type { Conversation } from "./conversation.ts";
import { el, icon, replace } from "./dom.ts";
import { ICONS } from "./icons.ts";
import type { Model } from "./model.ts";
import { tickOf, tickSign } from "./rows.ts";
import { isolate, number, plural, shortTime, t } from "./texts.ts";
import { excerpt, nameOf, systemText, titleOf, typingOf } from "./words.ts";

/** What the list leads to. */
export interface ListOwner {
  /** A conversation was chosen. */
  onOpen(id: string): void;
  /** Somebody new to talk to, or a group, is wanted. */
  onNew(anchor: Element): void;
  /** The user's own menu is wanted. */
  onMe(anchor: Element): void;
  /** Anything is looked for that the list has not. */
  onJump(text: string): void;
}

/** More than a window has room for. */
const FIRST_ROWS = 40;
const REST_DELAY_MS = 250;

/** The pane at the side. */
export class ListView {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #model: Model;
  readonly #owner: ListOwner;
  readonly #filter: HTMLInputElement;
  readonly #list = el("nav", { class: "list" });
  readonly #me = el("button", { type: "button", class: "self", "aria-haspopup": "menu" });
  readonly #rows = new Map<string, { element: HTMLElement; signature: string }>();
  /** So many rows are made. */
  #most = FIRST_ROWS;
  #restTimer: number | undefined;

  /** Shows what is in `model`. */
  constructor(model: Model, owner: ListOwner) {
    this.#model = model;
    this.#owner = owner;
    this.#me.addEventListener("click", () => owner.onMe(this.#me));
    this.#list.ariaLabel = t("conversations");
    this.#filter = el("input", {
      class: "input",
      type: "search",
      placeholder: t("filter"),
      "aria-label": t("filter"),
      autocomplete: "off",
      oninput: () => this.update(),
      onkeydown: (event: KeyboardEvent) => this.#key(event),
    });
    const add = el(
      "button",
      {
        type: "button",
        class: "icon-button",
        "aria-label": t("new_chat"),
        title: t("new_chat"),
        "aria-haspopup": "menu",
        onclick: () => owner.onNew(add),
      },
      icon(ICONS.plus),
    );
    this.element = el(
      "div",
      { class: "side" },
      el("div", { class: "side-head" }, this.#me, add),
      el("div", { class: "filter" }, icon(ICONS.search), this.#filter),
      this.#list,
    );
    this.#list.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = this.#list;
      if (scrollTop + 2 * clientHeight > scrollHeight) void model.loadConversations();
    }, { passive: true });
    this.#list.addEventListener("keydown", (event) => this.#listKey(event));
  }

  /** The conversations that are shown, in order. */
  get shown(): Conversation[] {
    const wanted = this.#filter.value.trim().toLocaleLowerCase();
    const all = this.#model.conversations;
    return wanted === ""
      ? all
      : all.filter((conversation) => titleOf(this.#model, conversation).toLocaleLowerCase().includes(wanted));
  }

  /** Shows what has changed. */
  update(): void {
    const { account } = this.#model;
    if (account === undefined) return;
    replace(
      this.#me,
      avatar({
        id: account.id,
        name: account.name,
        state: this.#model.isOnline ? "online" : "offline",
        size: "medium",
      }),
      el("bdi", { class: "cut" }, account.name),
    );
    const all = this.shown;
    const shown = all.slice(0, this.#most);
    if (shown.length < all.length) this.#drawRest();
    let place: ChildNode | null = this.#list.firstChild;
    const used = new Set<string>();
    for (const conversation of shown) {
      used.add(conversation.id);
      const row = this.#row(conversation);
      if (row === place) place = place.nextSibling;
      else this.#list.insertBefore(row, place);
    }
    while (place !== null) {
      const next: ChildNode | null = place.nextSibling;
      place.remove();
      place = next;
    }
    for (const id of this.#rows.keys()) if (!used.has(id)) this.#rows.delete(id);
    if (shown.length === 0) this.#list.append(this.#empty());
  }

  /** What is below the window is made when what is in it has been seen, and the connection is not waiting for it. */
  #drawRest(): void {
    this.#restTimer ??= setTimeout(() => {
      this.#most = Infinity;
      this.update();
    }, REST_DELAY_MS);
  }

  /** Takes the focus into the list: the conversation that is open, or the first one. */
  focus(): void {
    const open = this.#list.querySelector<HTMLElement>('[aria-current="true"]');
    (open ?? this.#list.querySelector<HTMLElement>(".item") ?? this.#filter).focus();
  }

  #empty(): HTMLElement {
    const text = this.#filter.value.trim();
    if (text !== "") {
      return el(
        "div",
        { class: "empty" },
        el("p", {}, t("no_match")),
        el(
          "button",
          { type: "button", class: "button", onclick: () => this.#owner.onJump(text) },
          t("find_person"),
        ),
      );
    }
    return el(
      "div",
      { class: "empty" },
      el("p", {}, this.#model.link.kind === "connecting" ? t("loading") : t("no_conversations")),
    );
  }

  #row(conversation: Conversation): HTMLElement {
    const model = this.#model;
    const { id, head, groupId, peerId } = conversation;
    const title = titleOf(model, conversation);
    const isCurrent = model.current?.id === id;
    const isMuted = head.mutedUntil > model.now();
    const state = groupId === undefined && peerId !== model.me ? model.people.user(peerId ?? 0).state : "";
    const when = shortTime(head.last?.at ?? head.at, model.now());
    const unsent = model.unsentFor(id);
    const draft = isCurrent ? undefined : model.drafts.get(id);
    const typing = typingOf(model, conversation);
    const mine = head.last !== undefined && head.last.id === model.me && unsent.length === 0 &&
      !(groupId === undefined && peerId === model.me);
    const tick = mine && head.last !== undefined ? tickOf(head.last.seq, conversation).kind : undefined;
    const preview = this.#preview(conversation);
    const signature = JSON.stringify([
      title,
      isCurrent,
      isMuted,
      state,
      when,
      unsent,
      draft,
      typing,
      tick,
      preview,
      head.unread,
      head.mentions,
    ]);
    const known = this.#rows.get(id);
    if (known?.signature === signature) return known.element;
    const count = head.unread >= 100 ? "99+" : number(head.unread);
    const failed = unsent.filter(({ failure }) => failure !== undefined).length;
    const text = failed > 0
      ? el("span", { class: "failed" }, plural("failed", failed))
      : typing !== ""
      ? typing
      : draft !== undefined
      ? el("span", {}, el("span", { class: "draft" }, t("draft")), ` ${draft.text}`)
      : unsent.length > 0
      ? unsent.at(-1)?.text ?? ""
      : preview;
    const element = known?.element ?? el("button", {
      type: "button",
      "data-id": id,
      onclick: () => this.#owner.onOpen(id),
    });
    element.className = `item ${head.unread > 0 ? "unread" : ""}`;
    element.setAttribute("aria-current", String(isCurrent));
    replace(
      element,
      avatar({ id: groupId ?? peerId ?? 0, name: title, isGroup: groupId !== undefined, state }),
      el(
        "span",
        { class: "item-line" },
        el("bdi", { class: "item-name cut" }, title),
        isMuted && icon(ICONS.bellOff, "muted"),
        tick !== undefined && tickSign(tick),
        el("span", { class: "item-time" }, when),
      ),
      el(
        "span",
        { class: "item-line" },
        el("span", { class: "item-text cut", dir: "auto" }, text),
        head.mentions > 0 &&
          el("span", { class: "badge", "aria-label": plural("mentions", head.mentions) }, "@"),
        head.unread > 0 &&
          el("span", {
            class: `badge ${isMuted ? "quiet" : ""}`,
            "aria-label": plural("unread", head.unread),
          }, count),
      ),
    );
    this.#rows.set(id, { element, signature });
    return element;
  }

  #preview({ head: { last }, groupId, entries }: Conversation): string {
    const newest = entries.at(-1);
    if (last === undefined) return newest?.kind === "system" ? systemText(this.#model, newest) : "";
    const text = last.text === "" ? t("recalled") : excerpt(last.text);
    if (last.id === this.#model.me) return groupId === undefined ? text : `${t("you")}: ${text}`;
    return groupId === undefined ? text : `${isolate(nameOf(this.#model, last.id, last.name))}: ${text}`;
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Escape" && this.#filter.value !== "") {
      this.#filter.value = "";
      this.update();
      event.stopPropagation();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.#list.querySelector<HTMLElement>(".item")?.focus();
    } else if (event.key === "Enter") {
      const first = this.shown[0];
      if (first === undefined) return;
      this.#filter.value = "";
      this.#owner.onOpen(first.id);
    }
  }

  #listKey(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const items = [...this.#list.querySelectorAll<HTMLElement>(".item")];
    const index = items.indexOf(document.activeElement as HTMLElement) + step;
    if (index < 0) this.#filter.focus();
    else items[index]?.focus();
  }
}
