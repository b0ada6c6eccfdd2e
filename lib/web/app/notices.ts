/**
 * What is told outside the page: the title, the icon of the tab, notifications.
 *
 * @module
 */

import { isMentioned } from "../../client/core/entries.ts";
import type { ChatMessage } from "../../client/core/messages.ts";
import type { Conversation } from "./conversation.ts";
import type { Model } from "./model.ts";
import { prefs, setPref } from "./prefs.ts";
import { t } from "./texts.ts";
import { excerpt, nameOf, titleOf } from "./words.ts";

/** Keeps them as things stand. */
export class Notices {
  readonly #model: Model;
  readonly #onOpen: (id: string) => void;
  /** A message has come that nobody saw, and the user was never asked about notifications. */
  isAskingDue = false;

  /** `onOpen`: a notification was clicked. */
  constructor(model: Model, onOpen: (id: string) => void) {
    this.#model = model;
    this.#onOpen = onOpen;
    model.onMessage = (message, conversation) => this.#tell(message, conversation);
  }

  /** The count of what is unread, in the title and on the icon. */
  update(): void {
    const now = this.#model.now();
    const unread = this.#model.account === undefined ? 0 : this.#model.conversations
      .filter(({ head }) => head.mutedUntil <= now)
      .reduce((sum, { head }) => sum + head.unread, 0);
    const { current } = this.#model;
    const what = current === undefined ? t("app") : `${titleOf(this.#model, current)} – ${t("app")}`;
    document.title = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ${what}` : what;
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon === null) return;
    const [plain, dotted] = [icon.dataset.plain ?? icon.href, icon.dataset.unread ?? icon.href];
    icon.dataset.plain = plain;
    const wanted = unread > 0 ? dotted : plain;
    if (icon.href !== wanted) icon.href = wanted;
  }

  /** The user has said whether to be told, and is not asked again. */
  settle(notify: typeof prefs.notify): void {
    setPref("notify", notify);
    setPref("isNotifySettled", true);
    this.isAskingDue = false;
  }

  #tell(message: ChatMessage, conversation: Conversation): void {
    const isSeen = !document.hidden && document.hasFocus();
    const isMuted = conversation.head.mutedUntil > this.#model.now();
    const isForMe = isMentioned(message, this.#model.me);
    if (isSeen || (isMuted && !isForMe) || typeof Notification === "undefined") return;
    if (prefs.notify === "off") {
      if (!prefs.isNotifySettled && Notification.permission === "default") {
        this.isAskingDue = true;
        this.#model.changed("link");
      }
      return;
    }
    if (Notification.permission !== "granted") return;
    const name = nameOf(this.#model, message.sender, message.name);
    const where = conversation.groupId === undefined
      ? name
      : `${name} · ${titleOf(this.#model, conversation)}`;
    const body = prefs.notify === "text" ? excerpt(message.text ?? "") : t("new_message");
    const notification = createNotification(where, { body, tag: conversation.id });
    if (notification === undefined) return;
    notification.onclick = () => {
      globalThis.focus();
      notification.close();
      this.#onOpen(conversation.id);
    };
  }
}

/** Undefined where only a service worker may show one, as in Chrome on Android: there is no asking before. */
function createNotification(title: string, options: NotificationOptions): Notification | undefined {
  try {
    return new Notification(title, options);
  } catch {
    return undefined;
  }
}
