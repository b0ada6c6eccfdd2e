/**
 * Commands about the user's own account, and about what draws the user's attention.
 *
 * @module
 */
import { ERRNO, MSGID } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import type { Account } from "../core/account.ts";
import type { ClientSession } from "../core/client_session.ts";
import type { ConversationList } from "../core/conversation_list.ts";
import { integerOf, listOf, textOf } from "../core/messages.ts";
import { showName } from "../core/show_name.ts";
import { done, refused } from "./actions.ts";
import type { Outcome } from "./actions.ts";
import { clockTime, dayOf, titleOf } from "./chat_rows.ts";
import type { Screen } from "./screen.ts";
import type { SlashCommand } from "./slash.ts";

const HOUR_MS = 3_600_000;
const UNITS: Readonly<Record<string, number>> = { h: HOUR_MS, d: 24 * HOUR_MS };
/** Until somebody says otherwise: a time that nobody sees. */
const FOR_EVER = 253_402_300_799_000;

/** What {@link OwnCommands} work with. */
export interface OwnCommandsOptions {
  /** To the server. */
  session: ClientSession;
  /** Whoever is logged in. */
  account: Account;
  /** Asks for passwords. */
  screen: Screen;
  /** What is muted. */
  list: ConversationList;
}

/** Carries commands about oneself out. */
export class OwnCommands {
  readonly #options: OwnCommandsOptions;

  /** See {@link OwnCommandsOptions}. */
  constructor(options: OwnCommandsOptions) {
    this.#options = options;
  }

  /** Carries one out; `open`: the conversation that is open. */
  async run({ name, args }: SlashCommand, text: string, open: ConversationId | undefined): Promise<Outcome> {
    if (this.#options.account.version < 3) return refused(`/${name}: this server is too old for it`);
    const usage = refused(`usage: /${name} ${args}`);
    switch (name) {
      case "mute":
        return open === undefined
          ? refused("/mute: no conversation is open; /chat NAME opens one")
          : await this.#mute(open, text) ?? usage;
      case "profile":
        return await this.#profile(text) ?? usage;
      case "password":
        return await this.#changePassword();
      default:
        if (text === "export") return await this.#export();
        return text === "delete" ? await this.#delete() : usage;
    }
  }

  async #mute(conversation: ConversationId, text: string): Promise<Outcome | undefined> {
    const [, count, unit = ""] = /^(\d{1,4})([hd])$/.exec(text) ?? [];
    if (text !== "" && text !== "off" && count === undefined) return undefined;
    const time = count === undefined ? FOR_EVER : Date.now() + Number(count) * (UNITS[unit] ?? 0);
    const until = text === "off" ? null : time;
    const { session, account, list } = this.#options;
    const reply = await session.askOnce({ msgid: MSGID.SETTING_MSG, conversation, muted_until: until });
    if (reply.errno !== ERRNO.OK) return refused(`/mute: ${reply.text}`);
    list.mute(conversation, until ?? undefined);
    const title = titleOf(account.directory, conversation);
    if (until === null) return done(`${title} is not muted any more`);
    return done(
      until === FOR_EVER
        ? `${title} is muted; /mute off ends that`
        : `${title} is muted until ${dayOf(until)}, ${clockTime(until)}`,
    );
  }

  async #profile(text: string): Promise<Outcome | undefined> {
    const [, what, value = ""] = /^(?:(name|status)(?:\s+(.*))?)?$/s.exec(text) ?? [];
    if ((what === undefined && text !== "") || (what === "name" && value === "")) return undefined;
    const { session, account } = this.#options;
    const change: JsonObject = what === undefined ? {} : { [what]: value };
    const reply = await session.askOnce({ msgid: MSGID.PROFILE_MSG, ...change });
    if (reply.errno !== ERRNO.OK) return refused(`/profile: ${reply.text}`);
    const { name, status, id } = reply.frame;
    account.directory.learnProfile(account.directory.me.id, { name: textOf(name) });
    const line = textOf(status) === "" ? "" : `: ${showName(textOf(status))}`;
    return done(`you are ${showName(textOf(name))} (${integerOf(id)})${line}`);
  }

  async #changePassword(): Promise<Outcome> {
    const { session, screen } = this.#options;
    const old = await screen.readLine("present password: ", { isSecret: true });
    const wanted = old === undefined
      ? undefined
      : await screen.readLine("new password: ", { isSecret: true });
    if (old === undefined || wanted === undefined) return refused("/password: nothing is changed");
    const reply = await session.changePassword(old, wanted);
    return reply.errno === ERRNO.OK
      ? done("the password is changed; all other devices are logged out")
      : refused(`/password: ${reply.text}`);
  }

  async #export(): Promise<Outcome> {
    const lines: string[] = [];
    let after: string | undefined;
    do {
      const position = after === undefined ? {} : { after };
      const reply = await this.#options.session.askOnce({
        msgid: MSGID.ACCOUNT_MSG,
        op: "export",
        ...position,
      });
      if (reply.errno !== ERRNO.OK) return refused(`/account export: ${reply.text}`);
      for (const line of listOf(reply.frame.lines)) lines.push(textOf(line));
      after = textOf(reply.frame.more) || undefined;
    } while (after !== undefined);
    return done(...lines);
  }

  async #delete(): Promise<Outcome> {
    const { session, screen } = this.#options;
    screen.status("your account is deleted for good; what you have said stays with the others");
    const password = await screen.readLine("password, or nothing: ", { isSecret: true });
    if (!password) return refused("/account delete: nothing is deleted");
    const reply = await session.askOnce({ msgid: MSGID.ACCOUNT_MSG, op: "delete", password });
    return reply.errno === ERRNO.OK
      ? done("your account is deleted")
      : refused(`/account delete: ${reply.text}`);
  }
}
