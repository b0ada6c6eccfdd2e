/**
 * Commands about the group that is open: who is in it, who comes and goes, what it is called.
 *
 * @module
 */
import { conversationOfGroup, ERRNO, isJsonObject, MSGID, otherOf } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import type { Account } from "../core/account.ts";
import { integerOf, listOf, textOf } from "../core/messages.ts";
import { readGroup, readPerson } from "../core/profile.ts";
import type { GroupMember } from "../core/profile.ts";
import type { Reply } from "../core/requests.ts";
import { showName } from "../core/show_name.ts";
import { done, refused } from "./actions.ts";
import type { Outcome } from "./actions.ts";
import { clockTime, dayOf, nameOf } from "./chat_rows.ts";
import type { SlashCommand } from "./slash.ts";
import { groupIdOf } from "./view.ts";

/** Members in one answer, and how many are listed. */
const PAGE = 200;
const MOST_LISTED = 1_000;

const HOUR_MS = 3_600_000;
const UNITS: Readonly<Record<string, number>> = { h: HOUR_MS, d: 24 * HOUR_MS };

/** What a name, or a number, at the beginning of a text means. */
export interface Found {
  /** The conversation with whom it names, or of the group; undefined: nothing. */
  target: ConversationId | undefined;
  /** What stands behind it. */
  rest: string;
  /** Why there is no target, for people. */
  problem: string;
}

/** What {@link GroupCommands} work with. */
export interface GroupCommandsOptions {
  /** Whoever is logged in. */
  account: Account;
  /** Asks the server, once. */
  ask: (frame: JsonObject) => Promise<Reply>;
  /** Looks somebody up. */
  find: (text: string) => Promise<Found>;
}

/** Carries commands about groups out. */
export class GroupCommands {
  readonly #account: Account;
  readonly #ask: GroupCommandsOptions["ask"];
  readonly #find: GroupCommandsOptions["find"];

  /** See {@link GroupCommandsOptions}. */
  constructor({ account, ask, find }: GroupCommandsOptions) {
    this.#account = account;
    this.#ask = ask;
    this.#find = find;
  }

  /** Carries one out in the conversation that is open. */
  async run({ name, args }: SlashCommand, text: string, open: ConversationId | undefined): Promise<Outcome> {
    const groupId = open === undefined ? undefined : groupIdOf(open);
    if (groupId === undefined) {
      return refused(`/${name}: no group is open; /groups lists yours, /chat NAME opens one`);
    }
    if (this.#account.version < 3) return refused(`/${name}: this server is too old for it`);
    const usage = refused(`usage: /${name} ${args}`);
    switch (name) {
      case "members":
        return await this.#list(groupId);
      case "leave":
        return await this.#change(groupId, "leave", {}, "you have left");
      case "invite":
      case "remove":
      case "transfer":
        return text === "" ? usage : await this.#changeOthers(groupId, name, text);
      case "role":
        return await this.#changeRole(groupId, text) ?? usage;
      case "link":
        return await this.#makeLink(groupId, text) ?? usage;
      case "unlink":
        return text === "" ? usage : await this.#change(
          groupId,
          "link",
          { revoke: linkOf(text) ?? text },
          "it lets nobody in any more",
        );
      case "dissolve":
        return await this.#dissolve(groupId, text);
      default:
        return await this.#edit(groupId, text) ?? usage;
    }
  }

  /** Joins by a link, or an address that has one in it; undefined: the text is none. */
  async join(text: string): Promise<ConversationId | Outcome | undefined> {
    const link = linkOf(text);
    if (link === undefined) return undefined;
    const reply = await this.#ask({ msgid: MSGID.GROUP_MSG, op: "join", link });
    const id = integerOf(reply.frame.groupid, 1);
    if (reply.errno !== ERRNO.OK || id === undefined) return refused(`/join: ${reply.text}`);
    this.#learn(reply);
    return conversationOfGroup(id);
  }

  /** Learns what a group is called that the user has come into, as its members see it. */
  async learn(groupId: number): Promise<void> {
    if (this.#account.version < 3) return;
    this.#learn(await this.#ask({ msgid: MSGID.GROUP_MSG, op: "members", groupid: groupId, limit: 1 }));
  }

  #learn({ frame: { group } }: Reply): void {
    if (isJsonObject(group)) this.#account.directory.addGroup(readGroup(group));
  }

  /** The members, by id; those of a large group up to a number. */
  async members(groupId: number): Promise<{ members: GroupMember[]; more: boolean; problem: string }> {
    const members: GroupMember[] = [];
    for (let more = true; more && members.length < MOST_LISTED;) {
      const after = members.at(-1)?.id ?? 0;
      const request = { msgid: MSGID.GROUP_MSG, op: "members", groupid: groupId, after, limit: PAGE };
      const reply = await this.#ask(request);
      if (reply.errno !== ERRNO.OK) return { members, more, problem: reply.text };
      this.#learn(reply);
      const page = listOf(reply.frame.users).filter(isJsonObject);
      members.push(...page.map((user) => ({ ...readPerson(user), role: textOf(user.role) })));
      more = reply.frame.more === true && page.length > 0;
      if (!more) return { members, more, problem: "" };
    }
    return { members, more: true, problem: "" };
  }

  async #list(groupId: number): Promise<Outcome> {
    const { members, more, problem } = await this.members(groupId);
    if (problem !== "") return refused(`/members: ${problem}`);
    const { directory } = this.#account;
    for (const { id, name } of members) directory.learnName(id, name);
    return done(
      ...members.map(({ id, name, state, role }) =>
        `  ${showName(name)} (${id}) ${role === "normal" ? state : `${state}, ${role}`}`
      ),
      ...(more ? ["and more"] : []),
    );
  }

  async #change(groupId: number, op: string, details: JsonObject, success: string): Promise<Outcome> {
    const { errno, text, frame } = await this.#account.changeGroup(groupId, op, details);
    if (errno !== ERRNO.OK) {
      return refused(errno === ERRNO.NOT_ALLOWED && op === "leave" ? `${text}: /transfer NAME` : text);
    }
    // The entry that tells of it stands on the screen.
    return frame.seq === undefined ? done(success) : done();
  }

  /** `/invite`, `/remove` and `/transfer`: several names have commas between them. */
  async #changeOthers(
    groupId: number,
    name: "invite" | "remove" | "transfer",
    text: string,
  ): Promise<Outcome> {
    const names = text.split(",").map((one) => one.trim()).filter((one) => one !== "");
    if (name === "transfer" && names.length > 1) return refused("/transfer: to one member only");
    const op = name === "invite" ? "add" : name;
    for (const one of names) {
      const { id, rest, problem } = await this.#findUser(one);
      if (id === undefined || rest !== "") return refused(`/${name} ${one}: ${problem || "that is no name"}`);
      const reply = await this.#account.changeGroup(groupId, op, { id });
      if (reply.errno !== ERRNO.OK) return refused(`/${name} ${one}: ${reply.text}`);
    }
    return done();
  }

  /** A user whose name, or number, a text begins with. */
  async #findUser(text: string): Promise<{ id: number | undefined; rest: string; problem: string }> {
    const { target, rest, problem } = await this.#find(text);
    if (target === undefined) return { id: undefined, rest, problem };
    const id = groupIdOf(target) === undefined ? otherOf(target, this.#account.directory.me.id) : undefined;
    return { id, rest, problem: "that is a group" };
  }

  async #changeRole(groupId: number, text: string): Promise<Outcome | undefined> {
    const [, who = "", role] = /^(.*\S)\s+(admin|normal)$/s.exec(text) ?? [];
    if (role === undefined) return undefined;
    const { id, rest, problem } = await this.#findUser(who);
    if (id === undefined || rest !== "") return refused(`/role ${who}: ${problem}`);
    const { directory } = this.#account;
    return await this.#change(
      groupId,
      "role",
      { id, role },
      `${nameOf(directory, id)} is ${role === "admin" ? "an admin" : "a normal member"} now`,
    );
  }

  /** `/link [N] [DAYSd]`: for so many, for so long. */
  async #makeLink(groupId: number, text: string): Promise<Outcome | undefined> {
    const details: JsonObject = {};
    for (const word of text.split(/\s+/).filter((word) => word !== "")) {
      const [, number = "", unit = ""] = /^([1-9]\d{0,5})([dh]?)$/.exec(word) ?? [];
      if (number === "") return undefined;
      if (unit === "") details.uses = Number(number);
      else details.ttl_ms = Number(number) * (UNITS[unit] ?? 0);
    }
    const reply = await this.#account.changeGroup(groupId, "link", details);
    if (reply.errno !== ERRNO.OK) return refused(`/link: ${reply.text}`);
    const expires = integerOf(reply.frame.expires) ?? 0;
    const uses = details.uses === undefined ? "" : `, for ${details.uses}`;
    return done(
      textOf(reply.frame.link),
      `/join with it lets in who has it, until ${dayOf(expires)} ${
        clockTime(expires)
      }${uses}; it is not shown again`,
    );
  }

  /** What ends something for everybody is said twice. */
  async #dissolve(groupId: number, text: string): Promise<Outcome> {
    const { name = "" } = this.#account.directory.group(groupId) ?? {};
    if (text === "" || text.toLowerCase() !== name.toLowerCase()) {
      return refused(`this ends the group for everybody; who means it says /dissolve ${name}`);
    }
    return await this.#change(
      groupId,
      "dissolve",
      {},
      `${showName(name)} is dissolved; what was said stays readable`,
    );
  }

  /** `/group`: what it is, or another name, description or way in. */
  async #edit(groupId: number, text: string): Promise<Outcome | undefined> {
    const [, word = "", value = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
    switch (word) {
      case "": {
        await this.learn(groupId);
        const group = this.#account.directory.group(groupId);
        if (group === undefined) return refused("/group: you are not in this group any more");
        const { name, description, memberCount, role, join } = group;
        return done(
          `  ${showName(name)} (g${groupId})${description === "" ? "" : `: ${description}`}`,
          `  ${memberCount} ${memberCount === 1 ? "member" : "members"}; you are ${role}; ${
            WAYS_IN[join] ?? "how one joins is not known"
          }`,
        );
      }
      case "name":
        return value === ""
          ? undefined
          : await this.#change(groupId, "edit", { groupname: value }, `it is called ${showName(value)} now`);
      case "about":
        return await this.#change(groupId, "edit", { groupdesc: value }, "it is described so now");
      case "join": {
        const way = WAYS_IN[value];
        return way === undefined ? undefined : await this.#change(groupId, "edit", { join: value }, way);
      }
      default:
        return undefined;
    }
  }
}

/** What a group's `join` means. */
const WAYS_IN: Readonly<Record<string, string>> = {
  open: "anybody joins by its number",
  link: "one joins by a link",
  closed: "members come in by /invite only",
};

/** A link as it is, or at the end of an address. */
function linkOf(text: string): string | undefined {
  return /^(?:.*#join-)?([\w-]{22})$/s.exec(text.trim())?.[1];
}
