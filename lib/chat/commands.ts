/**
 * The table of messages a client may send: what each needs before its handler is called, and how it is answered
 * (the idea of a command table with gates is from ergo's `irc/commands.go`).
 *
 * @module
 */
import * as accounts from "./account_handlers.ts";
import * as actions from "./action_handlers.ts";
import * as attention from "./attention_handlers.ts";
import * as codes from "./code_handlers.ts";
import * as lists from "./conversation_list.ts";
import * as groups from "./group_handlers.ts";
import * as handlers from "./handlers.ts";
import * as logins from "./login_handlers.ts";
import * as people from "./people_handlers.ts";
import * as profiles from "./profile_handlers.ts";
import { type JsonObject, MSGID, type ProtocolVersion } from "../protocol/protocol.ts";
import type { Rate } from "./quotas.ts";
import type { Answer } from "./request.ts";

/** What a field must be; a `?` marks one that may be missing. */
export type FieldType = "integer" | "string" | "integer?" | "string?";

/** Of what a user has no more than a measured amount, on whichever connection. */
export type Measured = Extract<Rate, "messages" | "lookups">;

/** One message of the protocol. */
export interface Command {
  /** As PROTOCOL.md calls it. */
  name: string;
  /** Who may send it. */
  needsLogin: boolean;
  /** From which version on. */
  version: ProtocolVersion;
  /** `"v":2` or `"v":3` in it switches the connection to that version. */
  upgrades?: true;
  /** Every one asks the database: a connection that sends many is slowed down. */
  isCostly: boolean;
  /** What it counts as; a function where that depends on what it asks for. */
  quota?: Measured | ((frame: JsonObject) => Measured | undefined);
  /**
   * Fields beside msgid and cid. An `id` behind the login gate must be the user's own; from version 3 on it may be left out
   * there, as may `name` and `time`.
   */
  fields: Readonly<Record<string, FieldType>>;
  /** The same of version 3, where they are others. */
  fields3?: Readonly<Record<string, FieldType>>;
  /** How it is answered. */
  answer: Answer;
  /** What it does. */
  handler: handlers.Handler;
}

const ACK: Answer = { success: MSGID.ACK_MSG, failure: MSGID.ACK_MSG, isAlways: false };

function answerWith(success: number, failure: number = success): Answer {
  return { success, failure, isAlways: true };
}

/** Every message a client may send, by msgid. */
export const COMMANDS: ReadonlyMap<number, Command> = new Map<number, Command>([
  [MSGID.LOGIN_MSG, {
    name: "LOGIN_MSG",
    needsLogin: false,
    version: 1,
    upgrades: true,
    isCostly: true,
    fields: { id: "integer", password: "string" },
    fields3: {
      id: "integer?",
      name: "string?",
      password: "string",
      device: "string?",
      device_id: "integer?",
    },
    answer: answerWith(MSGID.LOGIN_MSG_ACK),
    handler: logins.login,
  }],
  [MSGID.LOGINOUT_MSG, {
    name: "LOGINOUT_MSG",
    needsLogin: true,
    version: 1,
    isCostly: true,
    fields: { id: "integer" },
    answer: ACK,
    handler: logins.logout,
  }],
  [MSGID.SIGNUP_MSG, {
    name: "SIGNUP_MSG",
    needsLogin: false,
    version: 1,
    upgrades: true,
    isCostly: true,
    fields: { name: "string", password: "string" },
    answer: answerWith(MSGID.SIGNUP_MSG_ACK),
    handler: logins.signup,
  }],
  [MSGID.ONE_CHAT_MSG, {
    name: "ONE_CHAT_MSG",
    needsLogin: true,
    version: 1,
    isCostly: false,
    quota: "messages",
    fields: { id: "integer", name: "string", toid: "integer", msg: "string", time: "string" },
    answer: ACK,
    handler: handlers.oneChat,
  }],
  [MSGID.ADD_FRIEND_MSG, {
    name: "ADD_FRIEND_MSG",
    needsLogin: true,
    version: 1,
    isCostly: true,
    quota: "lookups",
    fields: { id: "integer", friendid: "integer?" },
    answer: ACK,
    handler: people.addFriend,
  }],
  [MSGID.CREATE_GROUP_MSG, {
    name: "CREATE_GROUP_MSG",
    needsLogin: true,
    version: 1,
    isCostly: true,
    fields: { id: "integer", groupname: "string", groupdesc: "string" },
    answer: ACK,
    handler: groups.createGroup,
  }],
  [MSGID.ADD_GROUP_MSG, {
    name: "ADD_GROUP_MSG",
    needsLogin: true,
    version: 1,
    isCostly: true,
    quota: "lookups",
    fields: { id: "integer", groupid: "integer" },
    answer: ACK,
    handler: groups.addGroup,
  }],
  [MSGID.GROUP_CHAT_MSG, {
    name: "GROUP_CHAT_MSG",
    needsLogin: true,
    version: 1,
    isCostly: false,
    quota: "messages",
    fields: { id: "integer", name: "string", groupid: "integer", msg: "string", time: "string" },
    answer: ACK,
    handler: handlers.groupChat,
  }],
  [MSGID.DELIVERED_MSG, {
    name: "DELIVERED_MSG",
    needsLogin: true,
    version: 2,
    isCostly: false,
    fields: { conversation: "string", seq: "integer" },
    answer: ACK,
    handler: handlers.delivered,
  }],
  [MSGID.READ_MSG, {
    name: "READ_MSG",
    needsLogin: true,
    version: 2,
    isCostly: false,
    fields: { conversation: "string", seq: "integer" },
    answer: ACK,
    handler: handlers.read,
  }],
  [MSGID.HISTORY_MSG, {
    name: "HISTORY_MSG",
    needsLogin: true,
    version: 2,
    isCostly: true,
    fields: { conversation: "string", after: "integer?", before: "integer?", limit: "integer?" },
    answer: answerWith(MSGID.HISTORY_MSG_ACK, MSGID.ACK_MSG),
    handler: handlers.history,
  }],
  [MSGID.RECALL_MSG, {
    name: "RECALL_MSG",
    needsLogin: true,
    version: 2,
    isCostly: true,
    fields: { conversation: "string", seq: "integer" },
    answer: ACK,
    handler: actions.recallMessage,
  }],
  [MSGID.ACTION_MSG, {
    name: "ACTION_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    quota: "messages",
    fields: { conversation: "string", ref: "integer", act: "string" },
    answer: ACK,
    handler: actions.action,
  }],
  [MSGID.GROUP_MSG, {
    name: "GROUP_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    // What somebody else is called, and whether a link is good, is not to be found out for thousands.
    quota: ({ op }) => op === "add" || op === "join" ? "lookups" : undefined,
    fields: { op: "string", groupid: "integer?" },
    answer: ACK,
    handler: groups.groupMessage,
  }],
  [MSGID.CONTACT_MSG, {
    name: "CONTACT_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    quota: "lookups",
    fields: { op: "string" },
    answer: ACK,
    handler: people.contact,
  }],
  [MSGID.FIND_MSG, {
    name: "FIND_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    quota: "lookups",
    fields: { limit: "integer?" },
    answer: ACK,
    handler: people.find,
  }],
  [MSGID.PROFILE_MSG, {
    name: "PROFILE_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    quota: "lookups",
    fields: {},
    answer: ACK,
    handler: profiles.profile,
  }],
  [MSGID.SETTING_MSG, {
    name: "SETTING_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    fields: { conversation: "string" },
    answer: ACK,
    handler: attention.setting,
  }],
  [MSGID.TYPING_MSG, {
    name: "TYPING_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    fields: { conversation: "string" },
    answer: ACK,
    handler: attention.typing,
  }],
  [MSGID.CONVERSATIONS_MSG, {
    name: "CONVERSATIONS_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    fields: { before: "integer?", limit: "integer?" },
    answer: ACK,
    handler: lists.conversations,
  }],
  [MSGID.HEARTBEAT_MSG, {
    name: "HEARTBEAT_MSG",
    needsLogin: false,
    version: 2,
    isCostly: false,
    fields: {},
    answer: answerWith(MSGID.HEARTBEAT_MSG_ACK),
    handler: handlers.heartbeatMessage,
  }],
  [MSGID.RESUME_MSG, {
    name: "RESUME_MSG",
    needsLogin: false,
    version: 2,
    upgrades: true,
    isCostly: true,
    fields: { token: "string" },
    answer: answerWith(MSGID.LOGIN_MSG_ACK),
    handler: logins.resume,
  }],
  [MSGID.DEVICE_MSG, {
    name: "DEVICE_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    fields: { op: "string", device_id: "integer?", device: "string?" },
    answer: ACK,
    handler: logins.deviceMessage,
  }],
  [MSGID.ACCOUNT_MSG, {
    name: "ACCOUNT_MSG",
    needsLogin: true,
    version: 3,
    isCostly: true,
    fields: { op: "string", password: "string?", after: "string?" },
    answer: ACK,
    handler: accounts.account,
  }],
  [MSGID.RESET_MSG, {
    name: "RESET_MSG",
    needsLogin: false,
    version: 2,
    upgrades: true,
    isCostly: true,
    fields: { code: "string", password: "string" },
    answer: answerWith(MSGID.ACK_MSG),
    handler: codes.resetPassword,
  }],
]);
