/**
 * Dialogs about oneself: profile, password, devices, language and looks, and the list of keys.
 *
 * @module
 */

import { integerOf, listOf, textOf } from "../../client/core/messages.ts";
import type { Reply } from "../../client/core/requests.ts";
import { ERRNO, isJsonObject, MSGID } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";
import { el, replace } from "./dom.ts";
import { askFirst, openDialog, toast } from "./float.ts";
import { choice, field, form } from "./forms.ts";
import type { Model } from "./model.ts";
import { applyTheme, prefs, setPref } from "./prefs.ts";
import { failureOf } from "./refusals.ts";
import { isolate, LANGUAGES, plural, shortTime, t } from "./texts.ts";

/** Name, status and password; and the way out. */
export function profileDialog(model: Model): void {
  openDialog(t("profile"), ({ close }) => {
    const me = model.people.user(model.me);
    const name = field(t("name"), { value: me.name, maxlength: 50, autocomplete: "username" });
    const status = field(t("status"), { value: me.status, maxlength: 100, autocomplete: "off" });
    const old = field(t("old_password"), { type: "password", autocomplete: "current-password" });
    const fresh = field(t("new_password"), { type: "password", autocomplete: "new-password" });
    const save = async (asked: Promise<Reply>) => {
      const reply = await asked;
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      toast(t("saved"));
      close();
      return "";
    };
    return [
      form([name.element, status.element], t("save"), async () => {
        const change = {
          ...(name.input.value.trim() === me.name ? {} : { name: name.input.value.trim() }),
          ...(status.input.value.trim() === me.status ? {} : { status: status.input.value.trim() }),
        };
        if (Object.keys(change).length === 0) {
          close();
          return "";
        }
        const problem = await save(model.ask({ msgid: MSGID.PROFILE_MSG, ...change }));
        if (problem === "") {
          model.people.learn({ id: model.me, ...change });
          model.peopleChanged();
        }
        return problem;
      }),
      el("h3", {}, t("change_password")),
      el("p", { class: "secondary" }, t("password_note")),
      form(
        [old.element, fresh.element],
        t("change_password"),
        () => save(model.changePassword(old.input.value, fresh.input.value)),
      ),
      ...(model.has(MSGID.ACCOUNT_MSG)
        ? [
          el("h3", {}, t("delete_account")),
          el("p", { class: "secondary" }, t("delete_about")),
          el("button", {
            type: "button",
            class: "button danger",
            onclick: () => {
              close();
              deleteDialog(model);
            },
          }, t("delete_account")),
        ]
        : []),
    ];
  });
}

/** Says what becomes of everything, and asks for the name and the password. */
function deleteDialog(model: Model): void {
  openDialog(t("delete_account"), () => {
    const { name } = model.people.user(model.me);
    const typed = field(t("delete_name", { name: isolate(name) }), {
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
    });
    const password = field(t("password"), { type: "password", autocomplete: "current-password" });
    return [
      el(
        "ul",
        { class: "fates" },
        ...(["delete_devices", "delete_messages", "delete_groups", "delete_browser"] as const)
          .map((key) => el("li", {}, t(key, { name: t("deleted_user") }))),
        model.waiting > 0 && el("li", {}, plural("log_out_waiting", model.waiting)),
      ),
      form(
        [typed.element, password.element],
        t("delete_account"),
        async () => {
          if (typed.input.value.trim() !== name) return t("delete_name_wrong");
          if (password.input.value === "") return t("need_password");
          const reply = await model.deleteAccount(password.input.value);
          return reply.errno === ERRNO.OK ? "" : failureOf(reply);
        },
        "danger",
      ),
    ];
  });
}

/** All devices that are logged in. */
export function devicesDialog(model: Model): void {
  openDialog(t("devices"), () => {
    const lines = el("div", { class: "lines" }, el("p", { class: "secondary" }, t("loading")));
    const load = async () => {
      const reply = await model.ask({ msgid: MSGID.DEVICE_MSG, op: "list" });
      if (reply.errno !== ERRNO.OK) {
        replace(lines, el("p", { class: "problem" }, failureOf(reply)));
        return;
      }
      replace(lines, ...listOf(reply.frame.devices).filter(isJsonObject).map(draw));
    };
    const draw = (device: JsonObject) => {
      const name = textOf(device.device);
      const isCurrent = device.current === true;
      const about = isCurrent
        ? t("this_device")
        : device.online === true
        ? t("online")
        : t("last_seen", { when: shortTime(integerOf(device.seen) ?? 0, model.now()) });
      const revoke = async () => {
        const reply = await model.ask({ msgid: MSGID.DEVICE_MSG, op: "revoke", device_id: device.device_id });
        if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
        await load();
      };
      return el(
        "div",
        { class: "line" },
        el("div", {}, el("bdi", { class: "cut" }, name), el("div", { class: "secondary" }, about)),
        !isCurrent && el("button", {
          type: "button",
          class: "button danger",
          onclick: () =>
            askFirst(
              t("remove_device"),
              t("remove_device_ask", { name: isolate(name) }),
              t("remove_device"),
              () => void revoke(),
            ),
        }, t("remove_device")),
      );
    };
    void load();
    return [lines];
  });
}

/** Language, theme and notifications. */
export function settingsDialog(onChange: () => void): void {
  openDialog(t("settings"), () => {
    const select = (
      label: string,
      options: readonly (readonly [string, string])[],
      value: string,
      onSet: (value: string) => void,
    ) => {
      const { element, input } = choice(label, options, value);
      input.addEventListener("change", () => onSet(input.value));
      return element;
    };
    const themes = [["system", t("theme_system")], ["light", t("theme_light")], [
      "dark",
      t("theme_dark"),
    ]] as const;
    const notify = [["off", t("notify_off")], ["on", t("notify_on")], ["text", t("notify_text")]] as const;
    return [
      select(t("theme"), themes, prefs.theme, (value) => {
        setPref("theme", value as typeof prefs.theme);
        applyTheme();
      }),
      select(
        t("language"),
        [["", t("language_browser")], ...LANGUAGES.map(({ tag, name }) => [tag, name] as const)],
        prefs.language,
        (value) => {
          setPref("language", value);
          onChange();
        },
      ),
      select(t("notifications"), notify, prefs.notify, async (value) => {
        setPref("notify", value as typeof prefs.notify);
        if (value === "off" || typeof Notification === "undefined") return;
        if (await Notification.requestPermission() !== "granted") toast(t("notify_denied"));
      }),
    ];
  });
}

const KEYS = [
  ["Ctrl K", "key_jump"],
  ["Alt ↑ / ↓", "key_conversations"],
  ["Alt Shift ↓", "key_unread"],
  ["J / K", "key_messages"],
  ["R", "key_reply"],
  ["E", "key_react"],
  ["P", "key_pin"],
  ["Enter", "key_menu"],
  ["↑", "key_edit"],
  ["@ :", "key_complete"],
  ["Esc", "key_escape"],
  ["?", "key_help"],
] as const;

/** What keys do. */
export function keysDialog(): void {
  const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  openDialog(t("keys"), () => [
    el(
      "dl",
      { class: "keys" },
      ...KEYS.flatMap(([keys, text]) => [
        el("dt", {}, el("kbd", {}, isMac ? keys.replace("Ctrl", "⌘").replace("Alt", "⌥") : keys)),
        el("dd", {}, t(text)),
      ]),
    ),
  ]);
}
