/**
 * The page before somebody is logged in.
 *
 * @module
 */

import { ERRNO } from "../../protocol/protocol.ts";
import { el, replace } from "./dom.ts";
import { field, form } from "./forms.ts";
import type { Model } from "./model.ts";
import { setPref } from "./prefs.ts";
import { LANGUAGES, languageTag, t } from "./texts.ts";
import { failureOf } from "./words.ts";

/** Logging in, or signing up. */
export class EntryView {
  /** To be put into the page. */
  readonly element: HTMLElement = el("main", { class: "entry" });
  readonly #model: Model;
  readonly #onLanguage: () => void;
  #isNew = false;

  /** `onLanguage`: another language was chosen; everything is made anew. */
  constructor(model: Model, onLanguage: () => void) {
    this.#model = model;
    this.#onLanguage = onLanguage;
    this.#draw("");
  }

  /** Takes the focus to the first field that is empty. */
  focus(): void {
    const fields = [...this.element.querySelectorAll("input")];
    (fields.find(({ value }) => value === "") ?? fields[0])?.focus();
  }

  #draw(typed: string): void {
    const isNew = this.#isNew;
    const kept = this.#model.account;
    const ended = kept !== undefined;
    const name = field(t("name"), {
      name: "username",
      autocomplete: "username",
      autocapitalize: "off",
      spellcheck: "false",
      maxlength: 50,
      value: typed || (kept?.name ?? ""),
    });
    const password = field(t("password"), {
      name: "password",
      type: "password",
      autocomplete: isNew ? "new-password" : "current-password",
    });
    const invite = field(t("invite_code"), { autocomplete: "off", autocapitalize: "off" });
    invite.element.hidden = true;
    const submit = async () => {
      const who = name.input.value.trim();
      const secret = password.input.value;
      if (who === "") return t("need_name");
      if (secret === "") return t("need_password");
      const reply = isNew
        ? await this.#model.signUp(who, secret, invite.input.value.trim())
        : await this.#model.logIn(who, secret);
      if (reply.errno === ERRNO.OK) return "";
      if (reply.frame.signup === "closed") return t("signup_closed");
      if (reply.frame.signup === "invite") {
        const wasAsked = !invite.element.hidden;
        invite.element.hidden = false;
        invite.input.focus();
        return wasAsked ? t("invite_wrong") : t("invite_needed");
      }
      if (reply.errno === ERRNO.REFUSED && !isNew) return t("wrong_password");
      return failureOf(reply);
    };
    const turn = el("button", {
      type: "button",
      class: "link",
      onclick: () => {
        this.#isNew = !isNew;
        this.#draw(name.input.value);
      },
    }, isNew ? t("have_account") : t("no_account"));
    const other = LANGUAGES.find(({ tag }) => tag !== languageTag()) ?? LANGUAGES[0];
    const language = other !== undefined && el("button", {
      type: "button",
      class: "link",
      lang: other.tag,
      onclick: () => {
        setPref("language", other.tag);
        this.#onLanguage();
      },
    }, other.name);
    replace(
      this.element,
      el(
        "div",
        { class: "entry-card" },
        el("h1", {}, isNew ? t("sign_up") : t("log_in")),
        ended && !isNew && el("p", { class: "secondary" }, t("logged_out_note")),
        form([name.element, password.element, invite.element], isNew ? t("sign_up") : t("log_in"), submit),
        el("div", { class: "entry-foot" }, turn, language),
      ),
    );
    this.focus();
  }
}
