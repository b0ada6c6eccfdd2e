/**
 * Users and groups: found, looked at, and what is done about them.
 *
 * @module
 */

import { type Child, el, replace } from "../dom.ts";
import { act, type GroupDetails, type GroupRow, look, type UserDetails, type UserRow } from "./api.ts";
import { confirmDeed, say } from "./dialogs.ts";
import { moment } from "./numbers.ts";
import { Table } from "./table.ts";

/** Between two letters and a search, ms. */
const PAUSE_MS = 200;

/** See the module. */
export class People {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #users: Table<UserRow>;
  readonly #groups: Table<GroupRow>;
  readonly #details = el("section", { class: "details", "aria-live": "polite", hidden: true });
  readonly #problem = el("p", { class: "problem", role: "alert", hidden: true });
  #searches = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Empty; call {@link open}. */
  constructor() {
    this.#input = el("input", {
      class: "input",
      type: "search",
      placeholder: "Name, as it begins, or id",
      "aria-label": "Find users and groups",
      oninput: () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => void this.open(), PAUSE_MS);
      },
    });
    this.#users = new Table<UserRow>("Users", [
      { head: "Id", key: ({ id }) => id, cell: ({ id }) => String(id) },
      {
        head: "Name",
        key: ({ name }) => name,
        cell: ({ id, name }) => this.#opener(name, () => this.#showUser(id)),
      },
      { head: "State", key: ({ state }) => state, cell: stateOf },
      { head: "Account", key: ({ status }) => status, cell: accountOf },
    ], "Nobody has a name that begins like this.");
    this.#groups = new Table<GroupRow>("Groups", [
      { head: "Id", key: ({ id }) => id, cell: ({ id }) => String(id) },
      {
        head: "Name",
        key: ({ groupname }) => groupname,
        cell: ({ id, groupname, dissolved }) =>
          el(
            "span",
            {},
            this.#opener(groupname, () => this.#showGroup(id)),
            dissolved > 0 && el("span", { class: "bad" }, " dissolved"),
          ),
      },
      { head: "Description", key: ({ groupdesc }) => groupdesc, cell: ({ groupdesc }) => groupdesc },
    ], "No group has a name that begins like this.");
    this.element = el(
      "main",
      { id: "people" },
      el(
        "div",
        { class: "bar" },
        this.#input,
        el("button", { type: "button", class: "button", onclick: () => void invite() }, "Invite…"),
        el("button", { type: "button", class: "button", onclick: () => void announce() }, "Announce…"),
      ),
      this.#problem,
      this.#details,
      el(
        "div",
        { class: "columns" },
        el("section", {}, el("h2", {}, "Users"), this.#users.element),
        el("section", {}, el("h2", {}, "Groups"), this.#groups.element),
      ),
    );
  }

  /** Finds what the field asks for. */
  async open(): Promise<void> {
    const search = ++this.#searches;
    const text = this.#input.value.trim();
    await this.#try(async () => {
      const [{ users }, { groups }] = await Promise.all([
        look<{ users: UserRow[] }>("users", text),
        look<{ groups: GroupRow[] }>("groups", text),
      ]);
      // An earlier search may be answered later.
      if (search !== this.#searches) return;
      this.#users.show(users);
      this.#groups.show(groups);
    });
  }

  async #try(work: () => Promise<void>): Promise<void> {
    this.#problem.hidden = true;
    try {
      await work();
    } catch (error) {
      this.#problem.hidden = false;
      this.#problem.textContent = textOf(error);
    }
  }

  #opener(text: string, open: () => Promise<void>): HTMLElement {
    return el("button", { type: "button", class: "link", onclick: () => void this.#try(open) }, text);
  }

  #open(title: string, about: Child, deeds: Child[], ...parts: Child[]): void {
    const close = () => this.#details.hidden = true;
    replace(
      this.#details,
      el(
        "div",
        { class: "head" },
        el("h2", { tabindex: -1, dir: "auto" }, title),
        el("button", { type: "button", class: "button small", onclick: close }, "Close"),
      ),
      about,
      deeds.length > 0 && el("div", { class: "deeds" }, ...deeds),
      ...parts,
    );
    this.#details.hidden = false;
    this.#details.querySelector("h2")?.focus();
  }

  async #showUser(id: number): Promise<void> {
    const user = await look<UserDetails>("user", String(id));
    const { name, groups, devices, status } = user;
    const again = async () => {
      await this.#showUser(id);
      await this.open();
    };
    const devicesTable = new Table<UserDetails["devices"][number]>("Devices", [
      { head: "Device", cell: ({ name }) => name },
      { head: "Last seen", cell: ({ seen }) => moment(seen) },
      { head: "Token", cell: ({ hasToken }) => hasToken ? "good" : "none" },
    ], "No devices of version 3.");
    devicesTable.show(devices);
    const groupsTable = new Table<UserDetails["groups"][number]>("Groups of this user", [
      { head: "Group", cell: ({ id, groupname }) => this.#opener(groupname, () => this.#showGroup(id)) },
      { head: "Role", cell: ({ role }) => role },
    ], "In no group.");
    groupsTable.show(groups);
    this.#open(
      `${name} (${id})`,
      el("p", {}, stateOf(user), ", account ", accountOf(user)),
      status === "deleted" ? [] : deedsOf(user, again),
      el("div", { class: "columns" }, devicesTable.element, groupsTable.element),
    );
  }

  async #showGroup(id: number): Promise<void> {
    const { groupname, groupdesc, members, more, dissolved, first_seq = 1, last_seq = 0 } = await look<
      GroupDetails
    >("group", String(id));
    const dissolve = async () => {
      const isDone = await confirmDeed({
        title: `Dissolve ${groupname}?`,
        text:
          "It is over for good: nobody is a member any more, and its name is free. What was said stays in the log.",
        name: groupname,
        button: "Dissolve",
        run: (typed) => act("dissolve", String(id), typed),
      });
      if (!isDone) return;
      await this.#showGroup(id);
      await this.open();
    };
    const table = new Table<GroupDetails["members"][number]>("Members", [
      { head: "Member", cell: ({ id, name }) => this.#opener(name, () => this.#showUser(id)) },
      { head: "State", cell: stateOf },
      { head: "Role", cell: ({ role }) => role },
    ], "Nobody is in it.");
    table.show(members);
    const places = last_seq === 0 ? "Nothing has been said." : `Log from ${first_seq} to ${last_seq}.`;
    this.#open(
      `${groupname} (group ${id})`,
      el("p", { class: "secondary", dir: "auto" }, groupdesc === "" ? places : `${groupdesc} · ${places}`),
      dissolved > 0 ? [] : [deedButton("Dissolve…", dissolve, true)],
      table.element,
      more &&
        el("p", { class: "secondary" }, "There are more members: chatserver admin groups show has them all."),
    );
  }
}

function stateOf({ state }: { state: string }): Node {
  const mark = el("span", { class: `dot ${state === "online" ? "up" : "off"}`, "aria-hidden": "true" });
  return el("span", { class: "nowrap" }, mark, state);
}

function accountOf({ status, administrator }: UserRow): Node {
  return el(
    "span",
    { class: status !== "active" && "bad" },
    administrator ? `${status}, administrator` : status,
  );
}

function deedsOf({ id, name, status }: UserDetails, again: () => Promise<void>): Child[] {
  const who = String(id);
  const disable = async () => {
    const isDone = await confirmDeed({
      title: `Disable ${name}?`,
      text:
        "All sessions end, and nobody can log in as this user until it is enabled again. Nothing is deleted.",
      name,
      button: "Disable",
      run: (typed) => act("disable", who, typed),
    });
    if (isDone) await again();
  };
  const enable = async () => {
    await act("enable", who);
    await again();
  };
  const end = async () => {
    const isDone = await confirmDeed({
      title: `End all sessions of ${name}?`,
      text: "The user is logged out everywhere, and has to give the password again.",
      name,
      button: "End sessions",
      run: (typed) => act("end", who, typed),
    });
    if (isDone) await again();
  };
  const code = async () => {
    const { lines } = await act("code", who);
    await say(
      `A code for ${name}`,
      "With this, the user chooses a new password. It is shown only now.",
      lines,
    );
  };
  return [
    deedButton("Password code", code),
    status === "disabled" ? deedButton("Enable", enable) : deedButton("Disable…", disable, true),
    deedButton("End sessions…", end, true),
  ];
}

/** A button that does something and says what went wrong. */
function deedButton(text: string, run: () => Promise<void>, isDangerous = false): HTMLElement {
  return el("button", {
    type: "button",
    class: `button${isDangerous ? " danger" : ""}`,
    onclick: () => void run().catch((error: unknown) => say("It was not done", textOf(error), [])),
  }, text);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function invite(): Promise<void> {
  try {
    const { lines } = await act("invite", "");
    await say("An invitation", "With this code one person can sign up. It is shown only now.", lines);
  } catch (error) {
    await say("It was not done", textOf(error), []);
  }
}

async function announce(): Promise<void> {
  await confirmDeed({
    title: "Announce",
    text: "Everybody who is online reads this, once.",
    label: "Text",
    button: "Announce",
    run: (typed) => act("announce", typed),
  });
}
