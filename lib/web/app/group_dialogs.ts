/**
 * Dialogs about groups: make one, add people, invite by link, change it, mute it.
 *
 * @module
 */

import { integerOf, textOf } from "../../client/core/messages.ts";
import type { Reply } from "../../client/core/requests.ts";
import { conversationOfGroup, ERRNO, MSGID } from "../../protocol/protocol.ts";
import type { Conversation } from "./conversation.ts";
import { el } from "./dom.ts";
import { openDialog, toast } from "./float.ts";
import type { Choice } from "./float.ts";
import { field, form } from "./forms.ts";
import type { Model } from "./model.ts";
import { choosePerson } from "./person_dialog.ts";
import type { Group } from "./people.ts";
import { t } from "./texts.ts";
import { failureOf } from "./words.ts";

const HOUR_MS = 3_600_000;
/** Until somebody wants them again: further away than anybody waits, and a number that every database has room for. */
const ALWAYS_MS = 10 * 365 * 24 * HOUR_MS;

/** The conversation of the group that a reply tells of. */
function groupOf({ frame }: Reply): string {
  return conversationOfGroup(integerOf(frame.groupid, 1) ?? 0);
}

/** Makes a group. */
export function newGroupDialog(model: Model, onOpen: (id: string) => void): void {
  openDialog(t("new_group"), ({ close }) => {
    const name = field(t("group_name"), { maxlength: 50, required: true, autocomplete: "off" });
    const about = field(t("group_about"), { maxlength: 200, autocomplete: "off" });
    return [form([name.element, about.element], t("create"), async () => {
      if (name.input.value.trim() === "") return t("need_name");
      const reply = await model.createGroup(name.input.value.trim(), about.input.value.trim());
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      close();
      onOpen(groupOf(reply));
      return "";
    })];
  });
}

/** Joins a group by an invitation, or by its number. */
export function joinDialog(model: Model, onOpen: (id: string) => void): void {
  openDialog(t("join_group"), ({ close }) => {
    const link = field(t("link_or_number"), { required: true, autocomplete: "off" });
    return [form([link.element], t("join"), async () => {
      const value = link.input.value.trim();
      const reply = await model.join(value);
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      close();
      onOpen(groupOf(reply));
      return "";
    })];
  });
}

/** Adds people, one after the other. */
export function inviteDialog(model: Model, group: Group): void {
  choosePerson(model, t("add_people"), async (person) => {
    const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op: "add", groupid: group.id, id: person.id });
    if (reply.errno !== ERRNO.OK) return failureOf(reply);
    toast(t("person_added", { name: person.name }));
    await model.reloadMembers(group.id);
    return "";
  });
}

/** Makes a link that lets people in. */
export function linkDialog(model: Model, group: Group): void {
  openDialog(t("invite_link"), () => {
    const output = el("input", {
      class: "input",
      readonly: true,
      "aria-label": t("invite_link"),
      hidden: true,
    });
    const make = async () => {
      const reply = await model.ask({
        msgid: MSGID.GROUP_MSG,
        op: "link",
        groupid: group.id,
        ttl_ms: 7 * 24 * HOUR_MS,
      });
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      output.hidden = false;
      output.value = textOf(reply.frame.link);
      output.select();
      await navigator.clipboard?.writeText(output.value).then(() => toast(t("copied")), () => {});
      return "";
    };
    return [el("p", { class: "secondary" }, t("invite_link_about")), output, form([], t("make_link"), make)];
  });
}

/** Changes a group's name, what it is about, and who may join. */
export function editGroupDialog(model: Model, group: Group): void {
  openDialog(t("edit_group"), ({ close }) => {
    const name = field(t("group_name"), { maxlength: 50, value: group.name, autocomplete: "off" });
    const about = field(t("group_about"), { maxlength: 200, value: group.description, autocomplete: "off" });
    const join = el(
      "select",
      { class: "input", "aria-label": t("who_may_join") },
      el("option", { value: "closed" }, t("join_closed")),
      el("option", { value: "link" }, t("join_link")),
      el("option", { value: "open" }, t("join_open")),
    );
    join.value = group.join || "closed";
    const joinField = el("label", { class: "field" }, el("span", {}, t("who_may_join")), join);
    return [form([name.element, about.element, joinField], t("save"), async () => {
      const changes = {
        ...(name.input.value.trim() === group.name ? {} : { groupname: name.input.value.trim() }),
        ...(about.input.value.trim() === group.description ? {} : { groupdesc: about.input.value.trim() }),
        ...(join.value === group.join ? {} : { join: join.value }),
      };
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
