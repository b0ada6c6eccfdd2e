/**
 * The page of somebody who is logged in: three panes, the line on top, and the keys.
 *
 * @module
 */

import type { Conversation } from "./conversation.ts";
import { DetailsView } from "./details_view.ts";
import { el, replace } from "./dom.ts";
import { askFirst, openMenu, toast } from "./float.ts";
import { joinDialog, newGroupDialog } from "./group_dialogs.ts";
import { openJump } from "./jump_dialog.ts";
import type { Command } from "./jump_dialog.ts";
import { ListView } from "./list_view.ts";
import type { Model, Topic } from "./model.ts";
import { Notices } from "./notices.ts";
import { choosePerson } from "./person_dialog.ts";
import { prefs, setPref } from "./prefs.ts";
import { devicesDialog, keysDialog, profileDialog, settingsDialog } from "./settings_dialogs.ts";
import { TalkView } from "./talk_view.ts";
import { plural, t } from "./texts.ts";
import { MSGID, parseConversation } from "../../protocol/protocol.ts";

/** A connection that comes back sooner is not worth a word. */
const QUIET_MS = 800;
/** Of an entry of the browser's history behind which the list is. */
const FROM_LIST = "from list";
const NARROW = "(max-width: 699px)";
const WIDE = "(min-width: 1100px)";

/** All of it. */
export class Shell {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #model: Model;
  readonly #list: ListView;
  readonly #talk: TalkView;
  readonly #details: DetailsView;
  readonly #notices: Notices;
  readonly #banner = el("div", { class: "banner", role: "status", hidden: true });
  readonly #onLanguage: () => void;
  readonly #stop = new AbortController();
  #bannerTimer: number | undefined;
  #bannerText = "";
  #countdown: number | undefined;

  /** `onLanguage`: another language was chosen; everything is made anew. */
  constructor(model: Model, onLanguage: () => void) {
    this.#model = model;
    this.#onLanguage = onLanguage;
    this.#list = new ListView(model, {
      onOpen: (id) => this.open(id),
      onNew: (anchor) => this.#openNew(anchor),
      onMe: (anchor) => this.#openMe(anchor),
      onJump: (text) => this.#jump(text),
    });
    this.#talk = new TalkView(model, {
      onBack: () => this.#back(),
      onDetails: () => this.#toggleDetails(),
      onNew: (anchor) => this.#openNew(anchor),
    });
    this.#details = new DetailsView(model, {
      onClose: () => this.#toggleDetails(false),
      onOpen: (id) => this.open(id),
      onJump: (seq) => {
        if (!matchMedia(WIDE).matches) this.#toggleDetails(false);
        void this.#talk.log.jumpTo(seq);
      },
    });
    this.#details.element.hidden = true;
    this.#notices = new Notices(model, (id) => this.open(id));
    this.element = el(
      "div",
      { class: "shell" },
      this.#banner,
      this.#list.element,
      this.#talk.element,
      this.#details.element,
    );
    const { signal } = this.#stop;
    addEventListener("keydown", (event) => this.#key(event), { signal });
    addEventListener("popstate", () => this.#show(idInAddress()), { signal });
    addEventListener("focus", () => this.#looked(), { signal });
    document.addEventListener("visibilitychange", () => this.#looked(), { signal });
    addEventListener("pagehide", () => this.#leaving(), { signal });
    addEventListener("online", () => model.retry(), { signal });
    model.listen((topics) => this.#update(topics), signal);
    this.#show(idInAddress());
    this.#update(new Set<Topic>(["account", "list", "log", "people", "link"]));
  }

  /** Shows a conversation, and an entry of it. */
  open(id: string, seq?: number): void {
    if (parseConversation(id) === undefined) return;
    const isOther = this.#model.current?.id !== id;
    const url = `#${id}`;
    // One step back leads to the list, from wherever one came here.
    if (isOther && this.#model.current === undefined) history.pushState(FROM_LIST, "", url);
    else if (isOther) history.replaceState(history.state, "", url);
    this.#show(id);
    if (!matchMedia(NARROW).matches) this.#talk.composer.focus();
    if (seq !== undefined) void this.#talk.log.jumpTo(seq);
  }

  /** Asks whether to join the group that a link leads to. */
  join(link: string): void {
    joinDialog(this.#model, (id) => this.open(id), link);
  }

  /** It is not shown any more. */
  close(): void {
    this.#stop.abort();
    clearTimeout(this.#bannerTimer);
    clearInterval(this.#countdown);
  }

  #show(id: string | undefined): void {
    const known = id !== undefined && parseConversation(id) !== undefined ? id : undefined;
    this.#model.open(known);
    this.element.dataset.open = String(known !== undefined);
    this.#talk.open();
    this.#details.element.hidden = known === undefined || !prefs.hasDetails || !matchMedia(WIDE).matches;
    this.#details.update();
    this.#list.update();
    this.#notices.update();
  }

  #update(topics: ReadonlySet<Topic>): void {
    if (this.#model.account?.token === undefined) return;
    // The store was opened anew: the conversation is another object.
    this.#talk.open();
    if (topics.has("list") || topics.has("account") || topics.has("people") || topics.has("typing")) {
      this.#list.update();
    }
    this.#talk.update();
    if (topics.has("people") || topics.has("log")) this.#details.update();
    this.#notices.update();
    this.#updateBanner();
  }

  #updateBanner(): void {
    const { link } = this.#model;
    clearTimeout(this.#bannerTimer);
    const isPassing = link.kind === "connecting" || link.kind === "waiting";
    const wait = link.since + QUIET_MS - Date.now();
    if (isPassing && wait > 0 && this.#banner.hidden) {
      this.#bannerTimer = setTimeout(() => this.#updateBanner(), wait);
      return;
    }
    const [text, ...actions] = this.#state();
    const isCounting = link.kind === "waiting";
    if (isCounting && this.#countdown === undefined) {
      this.#countdown = setInterval(() => this.#updateBanner(), 1000);
    }
    if (!isCounting) {
      clearInterval(this.#countdown);
      this.#countdown = undefined;
    }
    this.#banner.hidden = text === "";
    if (text === this.#bannerText) return;
    this.#bannerText = text;
    replace(
      this.#banner,
      el("span", {}, text),
      ...actions.map(({ label, run }) => el("button", { type: "button", onclick: run }, label)),
    );
  }

  /** The state in words, where it is not fine; and what can be done about it. */
  #state(): [text: string, ...actions: { label: string; run: () => void }[]] {
    const { link, waiting } = this.#model;
    const now = { label: t("now"), run: () => this.#model.retry() };
    const kept = waiting > 0 ? ` · ${plural("messages_wait", waiting)}` : "";
    switch (link.kind) {
      case "elsewhere":
        return [t("state_elsewhere"), { label: t("use_here"), run: () => this.#model.takeOver() }];
      case "connecting":
        return [`${t("state_connecting")}${kept}`];
      case "waiting": {
        if (!navigator.onLine) return [`${t("state_offline")}${kept}`];
        const seconds = Math.max(0, Math.ceil((link.since + link.inMs - Date.now()) / 1000));
        const why = link.code === "shutting_down" ? t("state_restarts") : t("state_lost");
        return [`${why} ${t("state_back_in", { n: seconds })}${kept}`, now];
      }
      case "ended":
        return [t("state_replaced"), { label: t("use_here"), run: () => location.reload() }];
      case "online":
        if (this.#model.isForgetful) return [t("state_forgetful")];
        if (this.#notices.isAskingDue) {
          return [
            t("notify_ask"),
            { label: t("notify_yes"), run: () => void this.#allowNotices() },
            { label: t("notify_no"), run: () => this.#settleNotices("off") },
          ];
        }
        return [""];
    }
  }

  async #allowNotices(): Promise<void> {
    const permission = await Notification.requestPermission();
    if (permission === "denied") toast(t("notify_denied"));
    this.#settleNotices(permission === "granted" ? "on" : "off");
  }

  #settleNotices(notify: typeof prefs.notify): void {
    this.#notices.settle(notify);
    this.#updateBanner();
  }

  #looked(): void {
    if (document.hidden) {
      this.#leaving();
      return;
    }
    if (this.#model.link.kind === "elsewhere" && document.hasFocus()) this.#model.takeOver();
    // A laptop that slept does not know yet that its connection is gone.
    else this.#model.retry();
    this.#model.changed("log", "list");
  }

  #leaving(): void {
    this.#talk.composer.keepDraft();
    this.#model.keep();
  }

  #back(): void {
    if (!this.#details.element.hidden && !matchMedia(WIDE).matches) this.#toggleDetails(false);
    else if (!matchMedia(NARROW).matches) this.#list.focus();
    else if (history.state === FROM_LIST) history.back();
    else {
      history.replaceState(null, "", location.pathname);
      this.#show(undefined);
    }
  }

  #toggleDetails(isOpen: boolean = this.#details.element.checkVisibility() === false): void {
    this.#details.element.hidden = !isOpen;
    if (matchMedia(WIDE).matches) setPref("hasDetails", isOpen);
    this.#details.update();
    if (!isOpen) this.#talk.composer.focus();
  }

  #jump(typed = ""): void {
    openJump(this.#model, { commands: this.#commands(), onOpen: (id, seq) => this.open(id, seq) }, typed);
  }

  #commands(): Command[] {
    const model = this.#model;
    const commands: (Command | false)[] = [
      { label: t("new_chat"), run: () => this.#newChat() },
      { label: t("new_group"), run: () => newGroupDialog(model, (id) => this.open(id)) },
      { label: t("join_group"), run: () => joinDialog(model, (id) => this.open(id)) },
      model.has(MSGID.PROFILE_MSG) && { label: t("profile"), run: () => profileDialog(model) },
      model.has(MSGID.DEVICE_MSG) && { label: t("devices"), run: () => devicesDialog(model) },
      { label: t("settings"), run: () => settingsDialog(this.#onLanguage) },
      { label: t("keys"), key: "?", run: keysDialog },
      { label: t("log_out"), run: () => this.#logOut() },
    ];
    return commands.filter((command) => command !== false);
  }

  #openNew(anchor: Element): void {
    openMenu(anchor, this.#commands().slice(0, 3).map(({ label, run }) => ({ label, onChoose: run })));
  }

  #openMe(anchor: Element): void {
    openMenu(
      anchor,
      this.#commands().slice(3).map(({ label, key, run }) => ({
        label,
        onChoose: run,
        ...(key === undefined ? {} : { key }),
      })),
    );
  }

  #newChat(): void {
    choosePerson(this.#model, t("new_chat"), (person) => {
      this.open(this.#model.withUser(person.id));
      return Promise.resolve("");
    });
  }

  #logOut(): void {
    const { waiting } = this.#model;
    const text = waiting > 0 ? plural("log_out_waiting", waiting) : t("log_out_ask");
    askFirst(t("log_out"), text, t("log_out"), () => void this.#model.logOut());
  }

  #key(event: KeyboardEvent): void {
    if (event.isComposing || document.querySelector("dialog[open]") !== null) return;
    const target = event.target instanceof Element ? event.target : document.body;
    const isTyping = target.matches("input, textarea, select");
    const isChord = event.ctrlKey || event.metaKey;
    if (isChord && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.#jump();
    } else if (event.altKey && !isChord && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.#step(event.key === "ArrowDown" ? 1 : -1, event.shiftKey);
    } else if (isChord || event.altKey || target.closest("[popover]") !== null) return;
    else if (event.key === "Escape") this.#escape(target);
    else if (isTyping) return;
    else if (event.key === "?") keysDialog();
    else if (target.closest(".side, .details") === null && this.#model.current !== undefined) {
      // A button in a row is pressed by Enter, as everywhere.
      if (event.key === "Enter" && target.matches("button, a")) return;
      if (this.#talk.key(event)) event.preventDefault();
    }
  }

  /** One level up: from a row to where one writes, from there to the list, out of the details. */
  #escape(target: Element): void {
    if (!this.#details.element.hidden && (target.closest(".details") !== null || !matchMedia(WIDE).matches)) {
      this.#toggleDetails(false);
    } else if (target.closest(".row") !== null || target.matches(".log")) this.#talk.composer.focus();
    else if (target.closest(".side") !== null && this.#model.current !== undefined) {
      this.#talk.composer.focus();
    } else this.#back();
  }

  #step(step: 1 | -1, isUnreadOnly: boolean): void {
    const shown: Conversation[] = this.#list.shown;
    if (shown.length === 0) return;
    const from = shown.findIndex(({ id }) => id === this.#model.current?.id);
    for (let count = 1; count <= shown.length; count++) {
      const start = from < 0 && step < 0 ? 0 : from;
      const conversation = shown[(start + step * count + shown.length * 2) % shown.length];
      if (conversation === undefined || (isUnreadOnly && conversation.head.unread === 0)) continue;
      this.open(conversation.id);
      return;
    }
  }
}

function idInAddress(): string | undefined {
  return location.hash.slice(1) || undefined;
}
