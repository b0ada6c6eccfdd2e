/**
 * The log of a conversation. Only what is near the part that is seen is in the page; what is above it may change its height
 * or grow, and what is seen stays where it is.
 *
 * @module
 */

import type { Conversation, Entry } from "./conversation.ts";
import { el, icon } from "./dom.ts";
import { toast } from "./float.ts";
import { ICONS } from "./icons.ts";
import type { Model } from "./model.ts";
import { drawRow, signatureOf } from "./rows.ts";
import type { Item, RowActions } from "./rows.ts";
import { dayOf, number, t } from "./texts.ts";
import { nameOf } from "./words.ts";

/** Rows of one author stand together when no more than this is between them. */
const GROUP_MS = 5 * 60_000;
/** So much above and below what is seen is in the page too. */
const OVERSCAN_PX = 800;
/** So near to the end counts as there. */
const END_PX = 48;
const PASSES = 4;
/** So many requests for older entries in a row may bring none before a jump is given up. */
const IDLE_PAGES = 5;

interface Drawn {
  element: HTMLElement;
  signature: unknown[];
}

/** What a person may do with the row that has the focus or the mouse. */
export interface LogOwner extends RowActions {
  /** Puts its tools into the row of an entry. */
  onPoint(row: HTMLElement, entry: Entry): void;
}

/** Shows one conversation at a time. */
export class LogView {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #model: Model;
  readonly #owner: LogOwner;
  readonly #scroller: HTMLElement;
  readonly #above: HTMLElement;
  readonly #rows: HTMLElement;
  readonly #below: HTMLElement;
  readonly #jump: HTMLElement;
  readonly #jumpText = el("span");
  readonly #announcer = el("div", { class: "unseen", "aria-live": "polite" });
  #conversation: Conversation | undefined;
  #items: Item[] = [];
  #index = new Map<string, number>();
  /** Where each row begins, and behind the last one where it ends. */
  #offsets = new Float64Array(1);
  #heights = new Map<string, number>();
  #drawn = new Map<string, Drawn>();
  /** What stays where it is: a row, and how far its upper edge is below that of the view; or the end. */
  #anchor: { key: string; delta: number } | "end" = "end";
  /** What is behind this place was new when the conversation was opened; undefined: nothing was. */
  #newAfter: number | undefined;
  #announced = 0;
  #width = 0;
  #height = 0;
  /** Where this view itself has scrolled to, until the browser tells of that. */
  #expectedTop: number | undefined;
  /** What `#items` were made of. */
  #built: unknown[] = [];
  /** Counts jumps: the last one counts. */
  #jumps = 0;

  /** Shows nothing until {@link open}. */
  constructor(model: Model, owner: LogOwner) {
    this.#model = model;
    this.#owner = owner;
    this.#above = el("div");
    this.#rows = el("div");
    this.#below = el("div");
    this.#scroller = el(
      "div",
      { class: "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": t("messages") },
      el("div", { class: "log-rows" }, this.#above, this.#rows, this.#below),
    );
    this.#jump = el(
      "button",
      { type: "button", class: "jump-down", hidden: true, onclick: () => this.toEnd() },
      icon(ICONS.down),
      this.#jumpText,
    );
    this.element = el("div", { class: "log-box" }, this.#scroller, this.#jump, this.#announcer);
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#rows.addEventListener("pointerover", (event) => this.#point(event.target));
    this.#rows.addEventListener("focusin", (event) => this.#point(event.target));
    new ResizeObserver(() => this.#resized()).observe(this.#scroller);
  }

  /** Shows a conversation from its first new entry on, or its end. */
  open(conversation: Conversation | undefined): void {
    this.#conversation = conversation;
    this.#heights.clear();
    this.#drawn.clear();
    this.#rows.replaceChildren();
    this.#anchor = "end";
    this.#newAfter = undefined;
    if (conversation === undefined) return;
    this.#announced = conversation.head.lastSeq;
    if (conversation.head.unread > 0) this.#newAfter = conversation.state.shown;
    this.#build(conversation);
    const newAt = this.#index.get("new");
    const end = this.#offsets.at(-1) ?? 0;
    const screen = this.#scroller.clientHeight;
    if (newAt !== undefined && end - (this.#offsets[newAt] ?? 0) > screen - 60) {
      this.#anchor = { key: "new", delta: Math.round(screen / 5) };
    }
    this.#render();
  }

  /** Shows what has changed. */
  update(): void {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const isSeen = this.isSeen;
    const { shown } = conversation.state;
    // Arrived while nobody looked: the line stands before it until the conversation is left.
    if (!isSeen && this.#newAfter === undefined && conversation.head.unread > 0) this.#newAfter = shown;
    this.#build(conversation);
    this.#render();
    this.#announce(conversation);
  }

  /** Somebody looks at this page. */
  get isSeen(): boolean {
    return !document.hidden && document.hasFocus();
  }

  /** Goes to the newest. */
  toEnd(): void {
    this.#anchor = "end";
    this.#render();
  }

  /** Takes the focus. */
  focus(): void {
    this.#scroller.focus();
  }

  /** The entry whose row has the focus. */
  get focused(): Entry | undefined {
    const row = document.activeElement?.closest<HTMLElement>(".row[data-seq]");
    return row && this.#rows.contains(row) ? this.#conversation?.find(Number(row.dataset.seq)) : undefined;
  }

  /** Moves the focus to the row before (-1) or behind (1) the one that has it; at first to the last one that is seen. */
  move(step: -1 | 1): void {
    const isRow = ({ kind }: Item | { kind: "" }) => kind === "entry" || kind === "unsent";
    const row = document.activeElement?.closest<HTMLElement>(".row");
    const key = row?.dataset.seq ?? row?.dataset.cid;
    let index = key === undefined ? undefined : this.#index.get(key);
    if (index === undefined) {
      index = this.#indexAt(this.#scroller.scrollTop + this.#scroller.clientHeight - 1) + 1;
    }
    for (index += step; index >= 0 && index < this.#items.length; index += step) {
      const item = this.#items[index];
      if (item === undefined || !isRow(item)) continue;
      this.#show(index);
      this.#drawn.get(item.key)?.element.focus({ preventScroll: true });
      return;
    }
  }

  /** Shows an entry and marks it for a moment; older ones are fetched until it is there. */
  async jumpTo(seq: number): Promise<void> {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const jump = ++this.#jumps;
    await this.#model.reach();
    // Whoever asks too fast is told to wait, and goes on then.
    for (let idle = 0; idle < IDLE_PAGES && this.#isAbove(conversation, seq);) {
      const { base } = conversation.state;
      await this.#model.loadOlder(conversation);
      if (this.#conversation !== conversation || this.#jumps !== jump) return;
      idle = conversation.state.base < base ? 0 : idle + 1;
    }
    this.#build(conversation);
    const index = this.#index.get(String(seq));
    if (index === undefined) {
      toast(this.#isAbove(conversation, seq) ? t("err_no_answer") : t("err_not_found"));
      return;
    }
    this.#show(index);
    const row = this.#drawn.get(String(seq))?.element;
    row?.focus({ preventScroll: true });
    row?.classList.add("flash");
    setTimeout(() => row?.classList.remove("flash"), 1500);
  }

  /** True for an entry that is older than those that are here. */
  #isAbove(conversation: Conversation, seq: number): boolean {
    return seq <= conversation.state.base && this.#model.hasOlder(conversation) &&
      conversation.find(seq) === undefined;
  }

  /** Scrolls so that an item is seen, and draws it. */
  #show(index: number): void {
    const { scrollTop, clientHeight } = this.#scroller;
    const top = this.#offsets[index] ?? 0;
    const bottom = this.#offsets[index + 1] ?? top;
    const key = this.#items[index]?.key ?? "";
    if (top >= scrollTop + 24 && bottom <= scrollTop + clientHeight - 8) return;
    const isFar = top < scrollTop - clientHeight || bottom > scrollTop + 2 * clientHeight;
    const delta = isFar ? clientHeight / 3 : top < scrollTop + 24 ? 40 : clientHeight - (bottom - top) - 16;
    this.#anchor = { key, delta };
    this.#render();
  }

  #scrolled(): void {
    const { scrollTop, clientWidth, clientHeight } = this.#scroller;
    // The window has another size now, and nobody has scrolled.
    if (clientWidth !== this.#width || clientHeight !== this.#height) return;
    const expected = this.#expectedTop;
    this.#expectedTop = undefined;
    if (expected !== undefined && Math.abs(scrollTop - expected) <= 1) return;
    this.#anchor = this.#anchorAt(scrollTop);
    this.#render();
  }

  #resized(): void {
    const { clientWidth, clientHeight } = this.#scroller;
    // Texts break elsewhere now.
    if (clientWidth !== this.#width) this.#heights.clear();
    this.#width = clientWidth;
    this.#height = clientHeight;
    this.#render();
  }

  #point(target: EventTarget | null): void {
    const row = target instanceof Element ? target.closest<HTMLElement>(".row[data-seq]") : null;
    const entry = row && this.#conversation?.find(Number(row.dataset.seq));
    if (row && entry) this.#owner.onPoint(row, entry);
  }

  #anchorAt(scrollTop: number): { key: string; delta: number } | "end" {
    const { clientHeight, scrollHeight } = this.#scroller;
    if (scrollTop + clientHeight >= scrollHeight - END_PX) return "end";
    const index = this.#indexAt(scrollTop);
    const item = this.#items[index];
    return item === undefined ? "end" : { key: item.key, delta: (this.#offsets[index] ?? 0) - scrollTop };
  }

  /** The item at a height. */
  #indexAt(top: number): number {
    let low = 0;
    let high = this.#items.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#offsets[middle] ?? 0) <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #build(conversation: Conversation): void {
    const isComplete = !this.#model.hasOlder(conversation);
    const made = [conversation, conversation.version, isComplete, this.#newAfter];
    if (isSame(this.#built, made)) return;
    this.#built = made;
    const items: Item[] = [];
    items.push({ kind: "top", key: "top", isComplete });
    let lastDay = 0;
    let before: Entry | undefined;
    const newAfter = this.#newAfter;
    let isNewShown = newAfter === undefined;
    for (const entry of conversation.entries) {
      const day = dayOf(entry.at);
      if (day !== lastDay) {
        items.push({ kind: "day", key: `day${entry.seq}`, at: entry.at });
        before = undefined;
      }
      lastDay = day;
      if (
        !isNewShown && newAfter !== undefined && entry.seq > newAfter && entry.kind === "chat" &&
        entry.sender !== this.#model.me && entry.text !== null
      ) {
        items.push({ kind: "new", key: "new" });
        isNewShown = true;
        before = undefined;
      }
      if (entry.kind === "system") {
        items.push({ kind: "system", key: String(entry.seq), entry });
        before = undefined;
        continue;
      }
      const isFirst = before === undefined || before.sender !== entry.sender ||
        entry.at - before.at > GROUP_MS ||
        entry.reply !== undefined;
      items.push({ kind: "entry", key: String(entry.seq), entry, isFirst });
      before = entry;
    }
    for (const unsent of this.#model.unsentFor(conversation.id)) {
      const isFirst = before === undefined || before.sender !== this.#model.me ||
        unsent.at - before.at > GROUP_MS;
      items.push({ kind: "unsent", key: unsent.cid, unsent, isFirst });
      before = { seq: 0, sender: this.#model.me, name: "", at: unsent.at, kind: "chat", text: "" };
    }
    this.#items = items;
    this.#index = new Map(items.map(({ key }, index) => [key, index]));
    this.#measureOffsets();
  }

  #measureOffsets(): void {
    const offsets = new Float64Array(this.#items.length + 1);
    this.#items.forEach((item, index) => {
      offsets[index + 1] = (offsets[index] ?? 0) + (this.#heights.get(item.key) ?? this.#guess(item));
    });
    this.#offsets = offsets;
  }

  /** The height of a row that was never drawn. */
  #guess(item: Item): number {
    switch (item.kind) {
      case "top":
        return item.isComplete ? 180 : 70;
      case "day":
        return 42;
      case "new":
        return 34;
      case "system":
        return 26;
      case "entry":
      case "unsent": {
        const text = (item.kind === "entry" ? item.entry.text : item.unsent.text) ?? "";
        const perLine = Math.max(20, Math.min(72, (this.#width - 100) / 7.5));
        const lines = text.length < perLine
          ? 1
          : text.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / perLine), 0);
        return lines * 22 + (item.isFirst ? 36 : 4);
      }
    }
  }

  /** Draws what is near the view, measures it, and puts the anchor where it was. */
  #render(): void {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const { clientHeight } = this.#scroller;
    const hadFocus = this.#rows.contains(document.activeElement);
    let top = this.#topOf(clientHeight);
    for (let pass = 0; pass < PASSES; pass++) {
      this.#draw(conversation, top, clientHeight);
      const isChanged = this.#measure();
      const next = this.#topOf(clientHeight);
      const isSettled = !isChanged && Math.abs(next - top) < 1;
      top = next;
      if (isSettled) break;
    }
    const total = this.#offsets.at(-1) ?? 0;
    const target = this.#anchor === "end" ? this.#scroller.scrollHeight - clientHeight : Math.min(top, total);
    if (Math.abs(this.#scroller.scrollTop - target) >= 1) {
      this.#scroller.scrollTop = target;
      this.#expectedTop = this.#scroller.scrollTop;
    }
    // All of the end is in view: there is nothing to jump to, and what comes next is to be seen.
    if (clientHeight > 0 && this.#scroller.scrollTop + clientHeight >= this.#scroller.scrollHeight - 1) {
      this.#anchor = "end";
    }
    if (hadFocus && !this.#rows.contains(document.activeElement)) {
      this.#scroller.focus({ preventScroll: true });
    }
    if (top < 1.5 * clientHeight && this.#model.hasOlder(conversation)) {
      void this.#model.loadOlder(conversation);
    }
    this.#read(conversation, clientHeight);
  }

  /** Where the view has to stand for the anchor to be where it was. */
  #topOf(clientHeight: number): number {
    const total = this.#offsets.at(-1) ?? 0;
    if (this.#anchor === "end") return Math.max(0, total - clientHeight);
    const index = this.#index.get(this.#anchor.key);
    if (index === undefined) return Math.max(0, Math.min(this.#scroller.scrollTop, total - clientHeight));
    return Math.max(0, (this.#offsets[index] ?? 0) - this.#anchor.delta);
  }

  #draw(conversation: Conversation, top: number, clientHeight: number): void {
    const first = this.#indexAt(Math.max(0, top - OVERSCAN_PX));
    const last = this.#indexAt(top + clientHeight + OVERSCAN_PX);
    const drawn = new Map<string, Drawn>();
    let place: ChildNode | null = this.#rows.firstChild;
    const wanted = new Set(this.#items.slice(first, last + 1).map(({ key }) => key));
    for (const [key, { element }] of this.#drawn) {
      if (!wanted.has(key)) {
        if (element === place) place = place.nextSibling;
        element.remove();
      }
    }
    for (const item of this.#items.slice(first, last + 1)) {
      const signature = signatureOf(item, this.#model, conversation);
      let row = this.#drawn.get(item.key);
      if (row === undefined || !isSame(row.signature, signature)) {
        const element = drawRow(item, this.#model, conversation, this.#owner);
        if (row !== undefined) {
          const hasFocus = row.element.contains(document.activeElement);
          if (row.element === place) place = element;
          row.element.replaceWith(element);
          if (hasFocus) element.focus({ preventScroll: true });
        }
        this.#heights.delete(item.key);
        row = { element, signature };
      }
      if (row.element === place) place = place.nextSibling;
      else this.#rows.insertBefore(row.element, place);
      drawn.set(item.key, row);
    }
    this.#drawn = drawn;
    this.#above.style.height = `${this.#offsets[first] ?? 0}px`;
    this.#below.style.height = `${(this.#offsets.at(-1) ?? 0) - (this.#offsets[last + 1] ?? 0)}px`;
  }

  /** True when a row has another height than was thought. */
  #measure(): boolean {
    let isChanged = false;
    for (const [key, { element }] of this.#drawn) {
      if (this.#heights.has(key)) continue;
      const { height } = element.getBoundingClientRect();
      if (height > 0) this.#heights.set(key, height);
      isChanged = true;
    }
    if (isChanged) this.#measureOffsets();
    return isChanged;
  }

  /** What can be seen by somebody who looks has been read. */
  #read(conversation: Conversation, clientHeight: number): void {
    const isAtEnd = this.#anchor === "end";
    const { unread } = conversation.head;
    this.#jump.hidden = isAtEnd;
    this.#jumpText.textContent = unread > 0
      ? t("jump_new", { n: unread >= 100 ? "99+" : number(unread) })
      : t("jump");
    if (!this.isSeen || clientHeight === 0) return;
    if (isAtEnd) {
      this.#model.read(conversation, conversation.state.top);
      return;
    }
    const bottom = this.#topOf(clientHeight) + clientHeight;
    for (let index = this.#indexAt(bottom); index >= 0; index--) {
      const item = this.#items[index];
      if (item?.kind !== "entry" || (this.#offsets[index + 1] ?? 0) > bottom + 8) continue;
      this.#model.read(conversation, item.entry.seq);
      break;
    }
  }

  /** Reads out what others have just said here. */
  #announce(conversation: Conversation): void {
    const fresh = conversation.entries.slice(-5).filter((entry) =>
      entry.seq > this.#announced && entry.sender !== this.#model.me && entry.kind === "chat" &&
      entry.text !== null
    );
    this.#announced = Math.max(this.#announced, conversation.head.lastSeq);
    if (fresh.length === 0) return;
    this.#announcer.replaceChildren(
      ...fresh.map((entry) => el("p", {}, `${nameOf(this.#model, entry.sender, entry.name)}: ${entry.text}`)),
    );
  }
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
