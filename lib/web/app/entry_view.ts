/**
 * The page before somebody is logged in.
 *
 * @module
 */

import { textOf } from "../../client/core/messages.ts";
import type { PageLink } from "../../protocol/page_links.ts";
import { ERRNO } from "../../protocol/protocol.ts";
import { el, replace } from "./dom.ts";
import { field, form } from "./forms.ts";
import type { Model } from "./model.ts";
import { setPref } from "./prefs.ts";
import { failureOf } from "./refusals.ts";
import { LANGUAGES, languageTag, t } from "./texts.ts";

/** Options of {@link EntryView}. */
export interface EntryOptions {
  /** What the address has brought along. */
  link: PageLink | undefined;
  /** The account was deleted here just now. */
  isDeleted: boolean;
  /** Another language was chosen; everything is made anew. */
  onLanguage: () => void;
  /** The link has done its part. */
  onReset: () => void;
}

/** Logging in, signing up, or choosing a new password by a code. */
export class EntryView {
  /** To be put into the page. */
  readonly element: HTMLElement = el("main", { class: "entry" });
  readonly #model: Model;
  readonly #options: EntryOptions;
  #isNew: boolean;
  /** For a new password. */
  #code: string | undefined;

  /** Asks for what `options.link` is for. */
  constructor(model: Model, options: EntryOptions) {
    this.#model = model;
    this.#options = options;
    this.#isNew = options.link?.kind === "invite";
    this.#code = options.link?.kind === "reset" ? options.link.code : undefined;
    this.#draw("");
  }

  /** Takes the focus to the first field that is empty. */
  focus(): void {
    const fields = [...this.element.querySelectorAll("input")];
    (fields.find(({ value }) => value === "") ?? fields[0])?.focus();
  }

  #draw(typed: string): void {
    if (this.#code !== undefined) return this.#drawReset(this.#code);
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
    const { link } = this.#options;
    const code = link?.kind === "invite" ? link.code : "";
    const invite = field(t("invite_code"), {
      name: "code",
      autocomplete: "off",
      autocapitalize: "off",
      value: code,
    });
    invite.element.hidden = code === "" || !isNew;
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
    replace(
      this.element,
      el(
        "div",
        { class: "entry-card" },
        el("h1", {}, isNew ? t("sign_up") : t("log_in")),
        this.#options.isDeleted && el("p", { class: "secondary", role: "status" }, t("delete_done")),
        ended && !isNew && el("p", { class: "secondary" }, t("logged_out_note")),
        form([name.element, password.element, invite.element], isNew ? t("sign_up") : t("log_in"), submit),
        el("div", { class: "entry-foot" }, turn, this.#language()),
      ),
    );
    this.focus();
  }

  #drawReset(code: string): void {
    const password = field(t("new_password"), {
      name: "password",
      type: "password",
      autocomplete: "new-password",
    });
    const submit = async () => {
      const secret = password.input.value;
      if (secret === "") return t("need_password");
      const reply = await this.#model.resetPassword(code, secret);
      if (reply.errno !== ERRNO.OK) return failureOf(reply);
      const name = textOf(reply.frame.name);
      if (this.#endReset(name)) await this.#model.logIn(name, secret);
      return "";
    };
    const turn = el("button", {
      type: "button",
      class: "link",
      onclick: () => this.#endReset(""),
    }, t("have_account"));
    replace(
      this.element,
      el(
        "div",
        { class: "entry-card" },
        el("h1", {}, t("reset")),
        el("p", { class: "secondary" }, t("password_note")),
        form([password.element], t("save"), submit),
        el("div", { class: "entry-foot" }, turn, this.#language()),
      ),
    );
    this.focus();
  }

  /** Goes on to the login; false: somebody is logged in here, and the page begins anew. */
  #endReset(name: string): boolean {
    this.#code = undefined;
    this.#options.onReset();
    if (this.#model.account?.token !== undefined) {
      location.reload();
      return false;
    }
    this.#draw(name);
    return true;
  }

  /** Changes to the other language. */
  #language(): HTMLElement | undefined {
    const other = LANGUAGES.find(({ tag }) => tag !== languageTag()) ?? LANGUAGES[0];
    return other && el("button", {
      type: "button",
      class: "link",
      lang: other.tag,
      onclick: () => {
        setPref("language", other.tag);
        this.#options.onLanguage();
      },
    }, other.name);
  }
}
