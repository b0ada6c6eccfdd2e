/**
 * Looks for a person by name.
 *
 * @module
 */

import { listOf } from "../../client/core/messages.ts";
import { ERRNO, isJsonObject, MSGID } from "../../protocol/protocol.ts";
import { avatar } from "./avatar.ts";
import { el, replace } from "./dom.ts";
import { moveWithArrows, openDialog } from "./float.ts";
import type { Model } from "./model.ts";
import type { Person } from "./people.ts";
import { failureOf } from "./refusals.ts";
import { t } from "./texts.ts";
import { isDeleted } from "./words.ts";

const WAIT_MS = 200;
const SHOWN = 20;

/** Those who are known, and those whom the server finds, whose name begins with `text`; `isMeant`: false for who is none of them. */
export async function findPeople(
  model: Model,
  text: string,
  isMeant: (person: Person) => boolean = () => true,
): Promise<{ people: Person[]; problem: string }> {
  const wanted = text.toLocaleLowerCase();
  const known = [...model.people.users.values()].filter((person) => {
    const { id, name } = person;
    return id !== model.me && name.toLocaleLowerCase().includes(wanted) && !isDeleted(name) &&
      isMeant(person);
  });
  known.sort((a, b) => Number(b.isFriend) - Number(a.isFriend) || a.name.localeCompare(b.name));
  if (wanted === "" || !model.has(MSGID.FIND_MSG)) return { people: known.slice(0, SHOWN), problem: "" };
  const find = (query: { prefix?: string; name?: string; limit?: number }) =>
    model.ask({ msgid: MSGID.FIND_MSG, ...query });
  let reply = await find({ prefix: text, limit: SHOWN });
  // A directory that is closed still knows who is asked for by the whole name.
  if (reply.errno === ERRNO.NOT_ALLOWED) reply = await find({ name: text });
  const found = listOf(reply.frame.users).filter(isJsonObject).map((user) => model.people.learn(user));
  const others = found.filter((person) => person !== undefined)
    .filter((person) =>
      person.id !== model.me && !known.some(({ id }) => id === person.id) && isMeant(person)
    );
  const isProblem = reply.errno !== ERRNO.OK && reply.errno !== ERRNO.NOT_FOUND;
  return { people: [...known, ...others].slice(0, SHOWN), problem: isProblem ? failureOf(reply) : "" };
}

/**
 * Opens a dialog in which a person is chosen. `onChoose` resolves with what is wrong; with nothing the dialog closes. `isMeant`: as for
 * {@link findPeople}.
 */
export function choosePerson(
  model: Model,
  title: string,
  onChoose: (person: Person) => Promise<string>,
  isMeant?: (person: Person) => boolean,
): void {
  openDialog(title, ({ close }) => {
    const lines = el("div", { class: "lines", role: "listbox", "aria-label": title });
    const problem = el("p", { class: "problem", role: "alert" });
    const input = el("input", {
      class: "input",
      type: "search",
      placeholder: t("person_name"),
      "aria-label": t("person_name"),
      autocomplete: "off",
      autofocus: true,
      oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(() => void search(), WAIT_MS);
      },
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === "ArrowDown") lines.querySelector<HTMLElement>(".line")?.focus();
        else if (event.key === "Enter") lines.querySelector<HTMLElement>(".line")?.click();
        else return;
        event.preventDefault();
      },
    });
    let timer: number | undefined;
    const choose = async (person: Person) => {
      problem.textContent = await onChoose(person);
      if (problem.textContent === "") close();
    };
    const search = async () => {
      const text = input.value.trim();
      const found = await findPeople(model, text, isMeant);
      if (input.value.trim() !== text) return;
      problem.textContent = found.problem;
      replace(
        lines,
        ...found.people.map((person) =>
          el(
            "button",
            { type: "button", class: "line", role: "option", onclick: () => void choose(person) },
            avatar({ id: person.id, name: person.name, state: person.state }),
            el(
              "div",
              {},
              el("bdi", { class: "cut" }, person.name),
              el("div", { class: "secondary cut" }, person.status),
            ),
          )
        ),
        found.people.length === 0 && text !== "" && el("p", { class: "secondary" }, t("nobody_found")),
      );
    };
    moveWithArrows(lines, ".line");
    void search();
    return [input, problem, lines];
  });
}
