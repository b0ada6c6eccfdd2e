/**
 * Carries out the commands of a logged-in user.
 *
 * @module
 */

import { conversationOfGroup, conversationOfUsers, ERRNO, MSGID } from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import type { Account } from "../core/account.ts";
import type { ClientSession } from "../core/client_session.ts";
import { HELP_LINES } from "./commands.ts";
import type { Command, Target } from "./commands.ts";
import { integerOf, textOf } from "../core/messages.ts";
import type { Reply } from "../core/requests.ts";
import { historyLine } from "./view.ts";

/** What came of a command, for the user. */
export interface Outcome {
  /** To be shown. */
  lines: string[];
  /** The command was refused, here or by the server. */
  isRefused: boolean;
}

/** A command that {@link Actions.run} takes; leaving and logging out are the menu's. */
export type Action = Exclude<Command, { name: "loginout" | "quit" }>;

/**
 * The protocol's limit for a frame is 64 KiB; a message may take most of it. Longer ones are refused here, because
 * version 1 has no reply to them but the end of the connection.
 */
const MAX_TEXT_BYTES = 64 * 1024 - 1024;
/** As wide as the original's columns. */
const MAX_GROUP_NAME = 50;

const encoder = new TextEncoder();

/** It was done; `lines`: what is to be said of it. */
export function done(...lines: string[]): Outcome {
  return { lines, isRefused: false };
}

/** It was not done; `text` says why. */
export function refused(text: string): Outcome {
  return { lines: [`! ${text}`], isRefused: true };
}

/** What the server did with a request; version 1 has no answer to show. */
function outcomeOf(what: string, reply: Reply | undefined, success: (frame: JsonObject) => string): Outcome {
  if (reply === undefined) return done(`${what}: sent; version 1 has no answer to it`);
  return reply.errno === ERRNO.OK ? done(success(reply.frame)) : refused(`${what}: ${reply.text}`);
}

/** The commands of one login. */
export class Actions {
  readonly #session: ClientSession;
  readonly #account: Account;
  /** Version 1: a group was made whose id nobody told us. */
  #hasUnknownGroup = false;

  /** `account` is the one that is logged in. */
  constructor(session: ClientSession, account: Account) {
    this.#session = session;
    this.#account = account;
  }

  /** Carries out one command. Resolves when the server has answered, for messages when they are in the outbox. */
  async run(command: Action): Promise<Outcome> {
    switch (command.name) {
      case "help":
        return done(...HELP_LINES);
      case "chat":
      case "groupchat":
        return this.#send(command.to, command.text);
      case "addfriend":
        return await this.#addFriend(command.friendId);
      case "creategroup":
        return await this.#createGroup(command.groupName, command.description);
      case "addgroup":
        return await this.#addGroup(command.groupId);
      case "history":
        return await this.#history(command.of, command.count);
      case "recall":
        return await this.#recall(command.of, command.seq);
    }
  }

  get #isV1(): boolean {
    return this.#account.version === 1;
  }

  get #me(): number {
    return this.#account.directory.me.id;
  }

  #conversationOf(target: Target): ConversationId {
    return "groupId" in target
      ? conversationOfGroup(target.groupId)
      : conversationOfUsers(this.#me, target.userId);
  }

  #send(to: Target, text: string): Outcome {
    const length = encoder.encode(JSON.stringify(text)).length;
    if (length > MAX_TEXT_BYTES) {
      return refused(`the message takes ${length} bytes, more than the ${MAX_TEXT_BYTES} that fit into one`);
    }
    // In version 2 the server's word counts: we may have become a member through another client.
    const isStranger = this.#isV1 && "groupId" in to &&
      this.#account.directory.group(to.groupId) === undefined;
    if (isStranger && !this.#hasUnknownGroup) return refused(`you are not a member of group ${to.groupId}`);
    this.#account.send(this.#conversationOf(to), text);
    if (isStranger) return done(`sent, but group ${to.groupId} was not among your groups at login`);
    return this.#session.isOnline ? done() : done("not connected: the message is kept and sent later");
  }

  async #addFriend(friendId: number): Promise<Outcome> {
    const { directory } = this.#account;
    const what = `addfriend ${friendId}`;
    if (friendId === this.#me) return refused(`${what}: this is you`);
    if (directory.isFriend(friendId)) return refused(`${what}: on your list already`);
    const reply = await this.#session.ask({ msgid: MSGID.ADD_FRIEND_MSG, id: this.#me, friendid: friendId });
    return outcomeOf(what, reply, ({ name, state }) => {
      // A version 1 server does not say.
      directory.addFriend({ id: friendId, name: textOf(name), state: textOf(state) });
      return `${directory.describeUser(friendId)} is on your list of friends`;
    });
  }

  async #createGroup(name: string, description: string): Promise<Outcome> {
    const what = `creategroup ${name}`;
    if ([...name].length > MAX_GROUP_NAME) {
      return refused(`${what}: longer than ${MAX_GROUP_NAME} characters`);
    }
    const { directory } = this.#account;
    // Open to everybody who knows its id, as the original's groups are; version 3 asks.
    const join = this.#account.version === 3 ? { join: "open" } : {};
    const frame = {
      msgid: MSGID.CREATE_GROUP_MSG,
      id: this.#me,
      groupname: name,
      groupdesc: description,
      ...join,
    };
    const reply = await this.#session.ask(frame);
    if (reply === undefined) this.#hasUnknownGroup = true;
    return outcomeOf(what, reply, ({ groupid }) => {
      const id = integerOf(groupid, 1);
      if (id === undefined) return `group ${name} is made; its id is shown at the next login`;
      const me = { ...directory.me, role: "creator", state: "online" };
      directory.addGroup({
        id,
        name,
        description,
        members: [me],
        memberCount: 1,
        role: "creator",
        join: "open",
      });
      return `group ${name} is made; its id is ${id}`;
    });
  }

  async #addGroup(groupId: number): Promise<Outcome> {
    const { directory } = this.#account;
    const what = `addgroup ${groupId}`;
    if (directory.group(groupId) !== undefined) return refused(`${what}: you are a member already`);
    const reply = await this.#session.ask({ msgid: MSGID.ADD_GROUP_MSG, id: this.#me, groupid: groupId });
    // Members and name are told at the next login. Version 1 does not say whether it worked: assumed.
    if (reply === undefined || reply.errno === ERRNO.OK) {
      const group = {
        id: groupId,
        name: "",
        description: "",
        members: [],
        memberCount: 0,
        role: "normal",
        join: "",
      };
      directory.addGroup(group);
    }
    return outcomeOf(what, reply, () => `you are a member of group ${groupId}`);
  }

  async #history(of: Target, count: number): Promise<Outcome> {
    const { messages, problem } = await this.#account.history(this.#conversationOf(of), count);
    const { directory, store } = this.#account;
    for (const { sender, name } of messages) directory.learnName(sender, name);
    const lines = messages.map((message) => historyLine(message, directory, store));
    if (lines.length === 0) lines.push("no messages");
    if (problem !== "") lines.push(`only what is stored here: ${problem}`);
    return done(...lines);
  }

  async #recall(of: Target, seq: number | undefined): Promise<Outcome> {
    if (this.#isV1) return refused("recall: not in version 1");
    const conversation = this.#conversationOf(of);
    // Otherwise it would be the message before.
    if (seq === undefined && this.#account.hasUnsentFor(conversation)) {
      return refused("recall: your last message is still on its way");
    }
    const wanted = seq ?? this.#account.store.lastSeqOf(conversation, this.#me);
    if (wanted === 0) return refused("recall: there is no message of yours");
    const reply = await this.#session.ask({ msgid: MSGID.RECALL_MSG, conversation, seq: wanted });
    return outcomeOf(`recall #${wanted}`, reply, () => {
      this.#account.recall(conversation, wanted);
      return `#${wanted} is taken back`;
    });
  }
}
