/**
 * The program of the page for operators.
 *
 * @module
 */

import { el, replace } from "./dom.ts";
import { field, form } from "./forms.ts";
import { type AuditEvent, getState, look, post, Refused } from "./operators/api.ts";
import { moment, timeOfDay } from "./operators/numbers.ts";
import { Overview } from "./operators/overview.ts";
import { People } from "./operators/people.ts";
import { Table } from "./operators/table.ts";
import { applyTheme, prefs, setPref } from "./prefs.ts";

/** Between two looks at the node, ms. */
const LOOK_MS = 5_000;
/** A node that does not answer is asked again after this, ms. */
const DEADLINE_MS = 8_000;

const VIEWS = ["overview", "people", "audit"] as const;
const TITLES: Readonly<Record<typeof VIEWS[number], string>> = {
  overview: "Overview",
  people: "Users and groups",
  audit: "Audit",
};
const THEMES: Readonly<Record<string, "light" | "dark" | "system">> = {
  system: "light",
  light: "dark",
  dark: "system",
};

/** Somebody is logged in. */
class Desk {
  readonly #overview = new Overview();
  readonly #people = new People();
  readonly #audit: Table<AuditEvent>;
  readonly #auditElement: HTMLElement;
  readonly #title = el("h1", {}, "…");
  readonly #banner = el("div", { class: "banner", role: "alert", hidden: true });
  readonly #tabs: HTMLElement[];
  readonly #stage = el("div", { class: "stage" });
  readonly #onLeave: () => void;
  readonly #onHash = () => this.#route();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  #answeredAt = Date.now();

  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
    this.#audit = new Table<AuditEvent>("What operators have done", [
      { head: "When", key: ({ at }) => at, cell: ({ at }) => el("span", { class: "nowrap" }, moment(at)) },
      { head: "What", key: ({ what }) => what, cell: ({ what }) => what },
      {
        head: "User",
        key: ({ userId }) => userId ?? 0,
        cell: ({ userId }) => userId === null ? "" : String(userId),
      },
      { head: "By", key: ({ actor }) => actor, cell: ({ actor }) => actor },
      { head: "", cell: ({ detail }) => detailOf(detail) },
    ], "Nothing yet.");
    this.#auditElement = el(
      "main",
      { id: "audit" },
      el(
        "section",
        {},
        el(
          "div",
          { class: "head" },
          el("h2", {}, "What operators have done, the newest first"),
          this.#audit.copyButton(),
        ),
        this.#audit.element,
      ),
    );
    this.#tabs = VIEWS.map((view) => el("a", { href: `#${view}` }, TITLES[view]));
    replace(
      document.body,
      el(
        "header",
        {},
        this.#title,
        el("nav", { "aria-label": "Views" }, ...this.#tabs),
        themeButton(),
        el(
          "button",
          { type: "button", class: "button small", onclick: () => void this.#logOut() },
          "Log out",
        ),
      ),
      this.#banner,
      this.#stage,
    );
    addEventListener("hashchange", this.#onHash);
    this.#route();
    void this.#look();
  }

  #route(): void {
    const view = VIEWS.find((name) => location.hash === `#${name}`) ?? "overview";
    for (const [index, tab] of this.#tabs.entries()) {
      if (VIEWS[index] === view) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    if (view === "overview") replace(this.#stage, this.#overview.element);
    if (view === "people") {
      replace(this.#stage, this.#people.element);
      void this.#people.open();
    }
    if (view === "audit") {
      replace(this.#stage, this.#auditElement);
      void this.#showAudit();
    }
  }

  async #showAudit(): Promise<void> {
    try {
      this.#audit.show((await look<{ events: AuditEvent[] }>("audit", "")).events);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #look(): Promise<void> {
    try {
      const state = await Promise.race([
        getState(this.#overview.next),
        new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no answer")), DEADLINE_MS)),
      ]);
      if (this.#isOver) return;
      this.#answeredAt = Date.now();
      this.#banner.hidden = true;
      this.#title.textContent = `Node ${state.node}`;
      document.title = state.problems.length > 0 ? `⚠ ${state.node}` : state.node;
      this.#overview.show(state);
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  #fail(error: unknown): void {
    if (error instanceof Refused && error.status === 401) return this.#close();
    this.#banner.hidden = false;
    this.#banner.textContent = error instanceof Refused
      ? `The node says: ${error.message}`
      : `The node has not answered since ${timeOfDay(this.#answeredAt)}. It is asked again every 5 s.`;
  }

  async #logOut(): Promise<void> {
    try {
      await post("api/logout", {});
      this.#close();
    } catch (error) {
      this.#fail(error);
    }
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    removeEventListener("hashchange", this.#onHash);
    document.title = "Operators";
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    this.#onLeave();
  }
}

function detailOf(detail: Record<string, unknown>): Node {
  const text = Object.entries(detail).map(([name, value]) => `${name}: ${value}`).join(", ");
  return el("span", { class: "secondary" }, text);
}

function themeButton(): HTMLElement {
  const text = () => `Theme: ${prefs.theme}`;
  const button = el("button", {
    type: "button",
    class: "button small",
    onclick: () => {
      setPref("theme", THEMES[prefs.theme] ?? "system");
      applyTheme();
      button.textContent = text();
    },
  }, text());
  return button;
}

/** Nobody is logged in. */
function showEntry(): void {
  const name = field("Name", { name: "username", autocomplete: "username", required: true, maxlength: 200 });
  const password = field("Password", {
    name: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
    maxlength: 2_000,
  });
  const content = form([name.element, password.element], "Log in", async () => {
    try {
      await post("api/login", { name: name.input.value, password: password.input.value });
    } catch (error) {
      return error instanceof Refused ? error.message : "The node does not answer. Try again.";
    }
    new Desk(showEntry);
    return "";
  });
  replace(
    document.body,
    el(
      "main",
      { class: "entry" },
      el("h1", {}, "Operators"),
      el(
        "p",
        { class: "secondary" },
        "For users with the role of an administrator: chatserver admin grant USER.",
      ),
      content,
    ),
  );
  name.input.focus();
}

async function start(): Promise<void> {
  try {
    await getState(0);
    new Desk(showEntry);
  } catch (error) {
    if (error instanceof Refused && error.status !== 401) {
      replace(
        document.body,
        el("main", { class: "entry" }, el("h1", {}, "Operators"), el("p", {}, error.message)),
      );
    } else showEntry();
  }
}

applyTheme();
void start();
