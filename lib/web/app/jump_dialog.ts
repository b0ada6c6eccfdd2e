/**
 * Goes to anything by the first letters of its name: conversations, people, and what the page can do.
 *
 * @module
 */

import { ERRNO, MSGID } from "../../protocol/protocol.ts";
import { integerOf, listOf, textOf } from "../../client/core/messages.ts";
import { isJsonObject } from "../../protocol/protocol.ts";
import { avatar } from "./avatar.ts";
import { el, icon, replace } from "./dom.ts";
import { openDialog } from "./float.ts";
import { ICONS } from "./icons.ts";
import type { Model } from "./model.ts";
import { findPeople } from "./person_dialog.ts";
import { shortTime, t } from "./texts.ts";
import { excerpt, nameOf, titleOf } from "./words.ts";

/** Something the page can do, by name. */
export interface Command {
  /** What it is called. */
  label: string;
  /** A key that does the same. */
  key?: string;
  /** Does it. */
  run: () => void;
}

interface Target {
  sign: Node;
  title: string;
  about: string;
  go: () => void;
}

const WAIT_MS = 120;
const MOST = 8;

/** Opens it, with something typed already. */
export function openJump(
  model: Model,
  owner: { commands: readonly Command[]; onOpen: (id: string, seq?: number) => void },
  typed = "",
): void {
  openDialog(t("jump_title"), ({ close }) => {
    let targets: Target[] = [];
    let chosen = 0;
    let timer: number | undefined;
    const lines = el("div", {
      class: "lines",
      role: "listbox",
      id: "jump-lines",
      "aria-label": t("jump_title"),
    });
    const input = el("input", {
      class: "input",
      type: "search",
      role: "combobox",
      "aria-controls": "jump-lines",
      "aria-expanded": "true",
      "aria-label": t("jump_title"),
      placeholder: t("jump_hint"),
      value: typed,
      autocomplete: "off",
      autofocus: true,
      oninput: () => {
        show(local());
        clearTimeout(timer);
        timer = setTimeout(() => void more(), WAIT_MS);
      },
      onkeydown: (event: KeyboardEvent) => {
        const count = Math.max(1, targets.length);
        if (event.key === "ArrowDown") chosen = (chosen + 1) % count;
        else if (event.key === "ArrowUp") chosen = (chosen + count - 1) % count;
        else if (event.key === "Enter") {
          const target = targets[chosen];
          close();
          target?.go();
        } else return;
        event.preventDefault();
        mark();
      },
    });
    const mark = () => {
      [...lines.children].forEach((line, index) => {
        line.setAttribute("aria-selected", String(index === chosen));
        if (index === chosen) line.scrollIntoView({ block: "nearest" });
      });
      input.setAttribute("aria-activedescendant", `jump-${chosen}`);
    };
    const local = (): Target[] => {
      const wanted = input.value.trim().toLocaleLowerCase();
      const conversations = model.conversations
        .filter((conversation) => titleOf(model, conversation).toLocaleLowerCase().includes(wanted))
        .sort((a, b) => Number(b.head.unread > 0) - Number(a.head.unread > 0))
        .slice(0, MOST).map((conversation): Target => {
          const { groupId, peerId, id, head } = conversation;
          const title = titleOf(model, conversation);
          return {
            sign: avatar({ id: groupId ?? peerId ?? 0, name: title, isGroup: groupId !== undefined }),
            title,
            about: head.last === undefined ? "" : excerpt(head.last.text),
            go: () => owner.onOpen(id),
          };
        });
      const commands = owner.commands.filter(({ label }) => label.toLocaleLowerCase().includes(wanted))
        .map(({ label, key, run }): Target => ({
          sign: el("span", { class: "sign" }, icon(ICONS.command)),
          title: label,
          about: key ?? "",
          go: run,
        }));
      return [...conversations, ...commands];
    };
    const more = async () => {
      const text = input.value.trim();
      if (text === "") return;
      const [found, hits] = await Promise.all([findPeople(model, text), search(text)]);
      if (input.value.trim() !== text || !lines.isConnected) return;
      const here = local();
      const people = found.people.filter(({ name }) => !here.some(({ title }) => title === name)).map((
        { id, name, state, status },
      ): Target => ({
        sign: avatar({ id, name, state }),
        title: name,
        about: status,
        go: () => owner.onOpen(model.withUser(id)),
      }));
      show([...here, ...people.slice(0, MOST), ...hits]);
    };
    const search = async (q: string): Promise<Target[]> => {
      if (!model.has(MSGID.SEARCH_MSG)) return [];
      const { errno, frame } = await model.ask({ msgid: MSGID.SEARCH_MSG, q, limit: 20 });
      if (errno !== ERRNO.OK) return [];
      return listOf(frame.hits).filter(isJsonObject).map((hit) => {
        const id = integerOf(hit.id, 1) ?? 0;
        const name = nameOf(model, id, textOf(hit.name));
        const conversation = model.conversation(textOf(hit.conversation));
        const where = conversation?.groupId === undefined ? "" : ` · ${titleOf(model, conversation)}`;
        return {
          sign: avatar({ id, name }),
          title: `${name}${where} · ${shortTime(integerOf(hit.at) ?? 0, model.now())}`,
          about: textOf(hit.snippet),
          go: () => owner.onOpen(textOf(hit.conversation), integerOf(hit.seq, 1)),
        };
      });
    };
    const show = (found: Target[]) => {
      targets = found;
      chosen = Math.min(chosen, Math.max(0, found.length - 1));
      replace(
        lines,
        ...found.map(({ sign, title, about, go }, index) =>
          el(
            "div",
            {
              class: "line",
              role: "option",
              id: `jump-${index}`,
              onclick: () => {
                close();
                go();
              },
            },
            sign,
            el(
              "div",
              {},
              el("bdi", { class: "cut" }, title),
              el("div", { class: "secondary cut", dir: "auto" }, about),
            ),
          )
        ),
        found.length === 0 && el("p", { class: "secondary" }, t("nobody_found")),
      );
      mark();
    };
    show(local());
    if (typed !== "") void more();
    return [input, lines];
  }, "jump");
}
