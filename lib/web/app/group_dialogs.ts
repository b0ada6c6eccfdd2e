/**
 * Dialogs about groups: make one, add people, invite by link, change it, mute it.
 *
 * @module
 */

import { integerOf, textOf } from "../../client/core/messages.ts";
import type { Reply } from "../../client/core/requests.ts";
import { pageLink } from "../../protocol/page_links.ts";
import { conversationOfGroup, ERRNO, MSGID } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import type { Conversation } from "./conversation.ts";
import { el, replace } from "./dom.ts";
import { openDialog, toast } from "./float.ts";
import type { Choice } from "./float.ts";
import { choice, field, form } from "./forms.ts";
import type { Model } from "./model.ts";
import { choosePerson } from "./person_dialog.ts";
import type { Group, Person } from "./people.ts";
import { failureOf } from "./refusals.ts";
import { fullTime, plural, t } from "./texts.ts";

const HOUR_MS = 3_600_000;
/** Until somebody wants them again: further away than anybody waits, and a number that every database has room for. */
const ALWAYS_MS = 10 * 365 * 24 * HOUR_MS;

/** The conversation of the group that a reply tells of. */
function groupOf({ frame }: Reply): string {
  return conversationOfGroup(integerOf(frame.groupid, 1) ?? 0);
}

/** Chooses how others get in. */
function joinChoice(value: string): { element: HTMLElement; input: HTMLSelectElement } {
  return choice(t("who_may_join"), [["closed", t("join_closed")], ["link", t("join_link")], [
    "open",
    t("join_open"),
  ]], value);
}

/** Makes a group. */
export function newGroupDialog(model: Model, onOpen: (id: string) => void): void {
  openDialog(t("new_group"), ({ close }) => {
    const name = field(t("group_name"), { maxlength: 50, required: true, autocomplete: "off" });
    const about = field(t("group_about"), { maxlength: 200, autocomplete: "off" });
    const join = joinChoice("closed");
    return [form([name.element, about.element, join.element], t("create"), async () => {
      if (name.input.value.trim() === "") return t("need_name");
      const reply = await model.createGroup(
        name.input.value.trim(),
        about.input.value.trim(),
        join.input.value,
      );
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      close();
      onOpen(groupOf(reply));
      return "";
    })];
  });
}

/** Joins a group by an invitation, or by its number. `link`: of the invitation that somebody has followed. */
export function joinDialog(model: Model, onOpen: (id: string) => void, link = ""): void {
  openDialog(t("join_group"), ({ close }) => {
    const what = field(t("link_or_number"), { required: true, autocomplete: "off", value: link });
    return [
      link !== "" && el("p", {}, t("join_about")),
      form([link === "" && what.element], t("join"), async () => {
        const reply = await model.join(what.input.value.trim());
        if (reply.errno === ERRNO.NOT_FOUND) return t("invitation_bad");
        if (reply.errno !== ERRNO.OK) return failureOf(reply);
        close();
        onOpen(groupOf(reply));
        return "";
      }),
    ];
  });
}

/** Adds people, one after the other. */
export function inviteDialog(model: Model, group: Group): void {
  const isOutside = ({ id }: Person) =>
    model.people.groups.get(group.id)?.members?.every((member) => member.id !== id) ?? true;
  choosePerson(model, t("add_people"), async (person) => {
    const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op: "add", groupid: group.id, id: person.id });
    if (reply.errno !== ERRNO.OK) return failureOf(reply);
    toast(t("person_added", { name: person.name }));
    await model.reloadMembers(group.id);
    return "";
  }, isOutside);
}

const LIFETIMES_MS = [24 * HOUR_MS, 7 * 24 * HOUR_MS, 30 * 24 * HOUR_MS, 365 * 24 * HOUR_MS];
/** 0: any number. */
const USES = [0, 1, 10, 100];

/** Makes a link that lets people in, which is shown this once. */
export function linkDialog(model: Model, group: Group): void {
  const ask = (fields: JsonObject) =>
    model.ask({ msgid: MSGID.GROUP_MSG, op: "link", groupid: group.id, ...fields });
  const lifetimes = LIFETIMES_MS.map((ms) =>
    [String(ms), plural("days", ms / (24 * HOUR_MS))] as [string, string]
  );
  const uses = USES.map((n) =>
    [String(n), n === 0 ? t("any_number") : plural("people", n)] as [string, string]
  );
  openDialog(t("invite_link"), ({ close }) => {
    const lifetime = choice(t("link_lifetime"), lifetimes, String(7 * 24 * HOUR_MS));
    const use = choice(t("link_uses"), uses, "0");
    const body = el("div", { class: "form" });
    const show = (link: string, expires: number) => {
      const output = el("input", { class: "input", readonly: true, "aria-label": t("invite_link") });
      output.value = pageLink(`${location.origin}${location.pathname}`, { kind: "join", code: link });
      const copy = () =>
        navigator.clipboard?.writeText(output.value).then(() => toast(t("copied")), () => {});
      const revoke = async () => {
        const reply = await ask({ revoke: link });
        if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
        else {
          close();
          toast(t("link_revoked"));
        }
      };
      replace(
        body,
        el("p", { class: "secondary" }, t("link_made", { when: fullTime(expires) })),
        output,
        el(
          "div",
          { class: "dialog-foot" },
          el(
            "button",
            { type: "button", class: "button danger", onclick: () => void revoke() },
            t("link_revoke"),
          ),
          el("button", { type: "button", class: "button main", onclick: () => void copy() }, t("copy")),
        ),
      );
      output.focus();
      output.select();
    };
    replace(
      body,
      group.join === "closed" && el("p", { class: "secondary" }, t("link_opens")),
      form([lifetime.element, use.element], t("make_link"), async () => {
        const most = Number(use.input.value);
        const reply = await ask({
          ttl_ms: Number(lifetime.input.value),
          ...(most === 0 ? {} : { uses: most }),
        });
        if (reply.errno !== ERRNO.OK) return failureOf(reply);
        if (group.join === "closed") {
          model.people.changeGroup(group.id, { join: "link" });
          model.peopleChanged();
        }
        void model.look(conversationOfGroup(group.id));
        show(textOf(reply.frame.link), integerOf(reply.frame.expires) ?? 0);
        return "";
      }),
    );
    return [body];
  });
}

/** Changes a group's name, what it is about, and who may join. */
export function editGroupDialog(model: Model, group: Group): void {
  openDialog(t("edit_group"), ({ close }) => {
    const name = field(t("group_name"), { maxlength: 50, value: group.name, autocomplete: "off" });
    const about = field(t("group_about"), { maxlength: 200, value: group.description, autocomplete: "off" });
    const join = joinChoice(group.join || "closed");
    return [form([name.element, about.element, join.element], t("save"), async () => {
      const changes = {
        ...(name.input.value.trim() === group.name ? {} : { groupname: name.input.value.trim() }),
        ...(about.input.value.trim() === group.description ? {} : { groupdesc: about.input.value.trim() }),
        ...(join.input.value === group.join ? {} : { join: join.input.value }),
      };
      if (Object.keys(changes).length === 0) {
        close();
        return "";
      }
      if (changes.groupname === "") return t("need_name");
      const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op: "edit", groupid: group.id, ...changes });
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      model.people.learnGroup({ id: group.id, ...changes });
      model.peopleChanged();
      void model.look(conversationOfGroup(group.id));
      close();
      return "";
    })];
  });
}

/** For how long a conversation is to be quiet. */
export function muteChoices(model: Model, conversation: Conversation): Choice[] {
  const set = (until: number) => async () => {
    const reply = await model.ask({
      msgid: MSGID.SETTING_MSG,
      conversation: conversation.id,
      muted_until: until === 0 ? null : until,
    });
    if (reply.errno === ERRNO.OK) model.setMuted(conversation, until);
    else toast(failureOf(reply));
  };
  if (conversation.head.mutedUntil > model.now()) return [{ label: t("unmute"), onChoose: set(0) }];
  return [
    { label: t("mute_hour"), onChoose: set(model.now() + HOUR_MS) },
    { label: t("mute_day"), onChoose: set(model.now() + 24 * HOUR_MS) },
    { label: t("mute_always"), onChoose: set(model.now() + ALWAYS_MS) },
  ];
}
