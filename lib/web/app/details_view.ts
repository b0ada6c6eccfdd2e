/**
 * What there is to a conversation beside its log: who is in it, what is pinned, what can be changed.
 *
 * @module
 */

import { conversationOfGroup, ERRNO, MSGID } from "../../protocol/protocol.ts";
import { avatar } from "./avatar.ts";
import type { Conversation } from "./conversation.ts";
import { editGroupDialog, inviteDialog, linkDialog, muteChoices } from "./group_dialogs.ts";
import { el, icon, replace } from "./dom.ts";
import { askFirst, openDialog, openMenu, toast } from "./float.ts";
import type { Choice } from "./float.ts";
import { ICONS } from "./icons.ts";
import type { Model } from "./model.ts";
import type { Group, Member, Person } from "./people.ts";
import { failureOf } from "./refusals.ts";
import { isolate, plural, shortTime, t } from "./texts.ts";
import { excerpt, nameOf, roleText, sublineOf, titleOf } from "./words.ts";

/** So many members are drawn at once; the rest at a click. */
const MEMBERS_SHOWN = 50;

/** What the pane leads to. */
export interface DetailsOwner {
  /** It is not wanted any more. */
  onClose(): void;
  /** Another conversation is wanted. */
  onOpen(id: string): void;
  /** An entry of the log is wanted. */
  onJump(seq: number): void;
}

/** The pane at the other side. */
export class DetailsView {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #model: Model;
  readonly #owner: DetailsOwner;
  readonly #body = el("div", { class: "details-body" });
  #areAllShown = false;
  #id = "";

  /** Shows what is in `model`. */
  constructor(model: Model, owner: DetailsOwner) {
    this.#model = model;
    this.#owner = owner;
    this.element = el(
      "aside",
      { class: "details", "aria-label": t("details") },
      el(
        "div",
        { class: "details-head" },
        el("h2", {}, t("details")),
        el(
          "button",
          { type: "button", class: "icon-button", "aria-label": t("close"), onclick: () => owner.onClose() },
          icon(ICONS.close),
        ),
      ),
      this.#body,
    );
  }

  /** Shows the conversation that is open. */
  update(): void {
    const conversation = this.#model.current;
    if (conversation === undefined || this.element.hidden) return;
    if (conversation.id !== this.#id) this.#areAllShown = false;
    this.#id = conversation.id;
    // A button of it that has the focus keeps it.
    const focused = document.activeElement?.closest("[data-part]")?.getAttribute("data-part");
    const { groupId, peerId } = conversation;
    const group = groupId === undefined ? undefined : this.#model.people.groups.get(groupId);
    replace(
      this.#body,
      this.#who(conversation, group),
      this.#actions(conversation, group),
      this.#pins(conversation),
      group !== undefined && !group.isOver && this.#members(group),
      groupId === undefined && peerId !== this.#model.me && this.#person(peerId ?? 0),
    );
    if (focused) this.#body.querySelector<HTMLElement>(`[data-part="${CSS.escape(focused)}"]`)?.focus();
  }

  #who(conversation: Conversation, group: Group | undefined): HTMLElement {
    const title = titleOf(this.#model, conversation);
    const id = conversation.groupId ?? conversation.peerId ?? 0;
    const about = group === undefined ? sublineOf(this.#model, conversation) : group.description;
    return el(
      "div",
      { class: "who" },
      avatar({ id, name: title, isGroup: conversation.groupId !== undefined, size: "large" }),
      el("bdi", { class: "name" }, title),
      about !== "" && el("p", { class: "secondary", dir: "auto" }, about),
    );
  }

  #actions(conversation: Conversation, group: Group | undefined): HTMLElement {
    const model = this.#model;
    const line = (label: string, path: string, act: (anchor: Element) => void) => {
      const element: HTMLElement = el(
        "button",
        { type: "button", class: "line", "data-part": label, onclick: () => act(element) },
        icon(path),
        el("div", {}, label),
      );
      return element;
    };
    const isMuted = conversation.head.mutedUntil > model.now();
    const isAdmin = group?.role === "creator" || group?.role === "admin";
    const canManage = group !== undefined && !group.isOver && model.has(MSGID.GROUP_MSG);
    const canAdd = canManage && (isAdmin || group.join === "open");
    return el(
      "section",
      { class: "lines" },
      model.has(MSGID.SETTING_MSG) && line(
        isMuted ? t("unmute") : t("mute"),
        ICONS.bellOff,
        (anchor) => openMenu(anchor, muteChoices(model, conversation)),
      ),
      canAdd && line(t("add_people"), ICONS.plus, () => inviteDialog(model, group)),
      canManage && isAdmin && line(t("invite_link"), ICONS.link, () => linkDialog(model, group)),
      canManage && isAdmin && line(t("edit_group"), ICONS.edit, () => editGroupDialog(model, group)),
      canManage && line(t("leave"), ICONS.leave, () => this.#leave(group)),
      canManage && group.role === "creator" &&
        line(t("dissolve"), ICONS.trash, () => this.#end(group, "dissolve", "dissolve_ask")),
    );
  }

  /** Somebody has to own the group. */
  #leave(group: Group): void {
    const name = isolate(group.name);
    if (group.role !== "creator" || group.count <= 1) this.#end(group, "leave", "leave_ask");
    else openDialog(t("leave"), () => [el("p", {}, t("leave_owner", { group: name }))]);
  }

  #end(group: Group, op: "leave" | "dissolve", question: "leave_ask" | "dissolve_ask"): void {
    askFirst(t(op), t(question, { group: isolate(group.name) }), t(op), async () => {
      const reply = await this.#model.ask({ msgid: MSGID.GROUP_MSG, op, groupid: group.id });
      if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
      else {
        this.#model.people.changeGroup(group.id, { isOver: true });
        this.#model.peopleChanged();
        void this.#model.look(conversationOfGroup(group.id));
      }
    });
  }

  #pins(conversation: Conversation): HTMLElement | false {
    const pins = conversation.entries.filter(({ isPinned, text }) => isPinned === true && text !== null);
    if (pins.length === 0) return false;
    return el(
      "section",
      {},
      el("h3", {}, t("pinned")),
      ...pins.reverse().map((entry) =>
        el(
          "button",
          { type: "button", class: "pin", onclick: () => this.#owner.onJump(entry.seq) },
          el(
            "div",
            { class: "item-line" },
            el("bdi", { class: "item-name cut" }, nameOf(this.#model, entry.sender, entry.name)),
            el("span", { class: "item-time" }, shortTime(entry.at, this.#model.now())),
          ),
          el("div", { class: "secondary cut", dir: "auto" }, excerpt(entry.text ?? "")),
        )
      ),
    );
  }

  #members(group: Group): HTMLElement {
    const { members } = group;
    const title = el("h3", {}, plural("members", Math.max(1, group.count)));
    if (members === undefined) return el("section", {}, title);
    const model = this.#model;
    const rank = ({ role }: Member) => role === "creator" ? 0 : role === "admin" ? 1 : 2;
    const absence = ({ id }: Member) => id === model.me || model.people.user(id).state === "online" ? 0 : 1;
    const sorted = [...members].sort((a, b) =>
      rank(a) - rank(b) || absence(a) - absence(b) || nameOf(model, a.id).localeCompare(nameOf(model, b.id))
    );
    const shown = this.#areAllShown ? sorted : sorted.slice(0, MEMBERS_SHOWN);
    return el(
      "section",
      {},
      title,
      ...shown.map((member) => this.#member(group, member)),
      shown.length < sorted.length && el("button", {
        type: "button",
        class: "line link",
        onclick: () => {
          this.#areAllShown = true;
          this.update();
        },
      }, t("show_all")),
    );
  }

  #member(group: Group, member: Member): HTMLElement {
    const model = this.#model;
    const name = nameOf(model, member.id);
    const { state } = model.people.user(member.id);
    const element: HTMLElement = el(
      "button",
      {
        type: "button",
        class: "line",
        "data-part": `m${member.id}`,
        onclick: () => openMenu(element, this.#memberChoices(group, member)),
      },
      avatar({ id: member.id, name, state: member.id === model.me ? "online" : state }),
      el(
        "div",
        {},
        el("bdi", { class: "cut" }, member.id === model.me ? `${name} (${t("you")})` : name),
        member.role !== "normal" && el("div", { class: "role" }, roleText(member.role)),
      ),
    );
    return element;
  }

  #memberChoices(group: Group, { id, role }: Member): Choice[] {
    const model = this.#model;
    const name = isolate(nameOf(model, id));
    const ask = (op: string, more: { [field: string]: unknown } = {}) => async () => {
      const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op, groupid: group.id, id, ...more });
      if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
      else await model.reloadMembers(group.id);
    };
    const choices: Choice[] = [{
      label: t("send_message"),
      onChoose: () => this.#owner.onOpen(model.withUser(id)),
    }];
    if (id === model.me || !model.has(MSGID.GROUP_MSG)) return choices;
    const isCreator = group.role === "creator";
    if (isCreator && role === "normal") {
      choices.push({ label: t("make_admin"), onChoose: ask("role", { role: "admin" }) });
    }
    if (isCreator && role === "admin") {
      choices.push({ label: t("make_normal"), onChoose: ask("role", { role: "normal" }) });
    }
    if (isCreator) {
      choices.push({
        label: t("hand_over"),
        isDangerous: true,
        onChoose: () =>
          askFirst(t("hand_over"), t("hand_over_ask", { name }), t("hand_over"), ask("transfer")),
      });
    }
    if (isCreator || (group.role === "admin" && role === "normal")) {
      choices.push({
        label: t("remove"),
        isDangerous: true,
        onChoose: () => askFirst(t("remove"), t("remove_ask", { name }), t("remove"), ask("remove")),
      });
    }
    return choices;
  }

  #person(id: number): HTMLElement {
    const model = this.#model;
    const { isFriend, isBlocked } = model.people.user(id);
    const name = isolate(nameOf(model, id));
    const change = async (op: string, after: Partial<Person>) => {
      const reply = op === "add"
        ? await model.ask({ msgid: MSGID.ADD_FRIEND_MSG, friendid: id })
        : await model.ask({ msgid: MSGID.CONTACT_MSG, op, id });
      if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
      else {
        model.people.learn({ ...reply.frame, id }, after);
        model.peopleChanged();
      }
    };
    const canChange = model.has(MSGID.CONTACT_MSG);
    return el(
      "section",
      { class: "lines" },
      !isFriend && el(
        "button",
        {
          type: "button",
          class: "line",
          "data-part": "friend",
          onclick: () => void change("add", { isFriend: true }),
        },
        icon(ICONS.plus),
        el("div", {}, t("add_friend")),
      ),
      isFriend && canChange && el(
        "button",
        {
          type: "button",
          class: "line",
          "data-part": "friend",
          onclick: () => void change("remove", { isFriend: false }),
        },
        icon(ICONS.close),
        el("div", {}, t("remove_friend")),
      ),
      canChange && el(
        "button",
        {
          type: "button",
          class: "line",
          "data-part": "block",
          onclick: () =>
            isBlocked ? void change("unblock", { isBlocked: false }) : askFirst(
              t("block"),
              t("block_ask", { name }),
              t("block"),
              () => void change("block", { isBlocked: true, state: "" }),
            ),
        },
        icon(ICONS.alert),
        el("div", {}, isBlocked ? t("unblock") : t("block")),
      ),
    );
  }
}
