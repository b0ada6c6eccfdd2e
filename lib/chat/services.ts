/**
 * What a node consists of, as its handlers see it.
 *
 * @module
 */
import type { LimitBook, LimitCounters } from "./limit_book.ts";
import type { Session } from "./session.ts";
import type { Admission } from "./admission.ts";
import type { AdminOrders } from "./admin_orders.ts";
import type { Deletions } from "./deletions.ts";
import type { DeviceDesk } from "./device_desk.ts";
import type { Backlogs } from "../log/backlogs.ts";
import type { Delivery } from "../log/delivery.ts";
import type { Guesses } from "./guesses.ts";
import type { LogBudget } from "../base/log_budget.ts";
import type { Logger } from "../base/logger.ts";
import type { News } from "../log/news.ts";
import type { MessageLog } from "../log/message_log.ts";
import type { PageRoom } from "./page_room.ts";
import type { Passwords } from "./password.ts";
import type { Quotas } from "./quotas.ts";
import type { RecentPasswords } from "./recent_passwords.ts";
import type { AccessCodes } from "../store/access_codes.ts";
import type { Actions } from "../store/actions.ts";
import type { Contacts } from "../store/contacts.ts";
import type { Conversations } from "../store/conversations.ts";
import type { Dialect } from "../store/database.ts";
import type { Groups } from "../store/groups.ts";
import type { Messages } from "../store/messages.ts";
import type { Profiles } from "../store/profiles.ts";
import type { Users } from "../store/users.ts";
import type { TokenDesk } from "./tokens.ts";

/** What handlers decide by. */
export interface Settings {
  /** `offline`: a one-to-one message that reaches its receiver at once is not stored. */
  persist: "all" | "offline";
  /** What becomes of a login of a user who is online. */
  duplicateLogin: "refuse" | "replace";
  /** How long a message can be recalled, ms; 0: never. */
  recallWindowMs: number;
  /** How long a message can be edited, ms; 0: never. */
  editWindowMs: number;
  /** A longer frame ends its connection; clients are told at login. */
  maxFrameBytes: number;
  /** Who may sign up. */
  signup: "open" | "invite" | "closed";
  /** Least length of a new password, in characters. */
  passwordMin: number;
  /** Whether users are found by how their names begin, or by the whole name only. */
  directory: "open" | "closed";
  /** Friends that a user may add. */
  maxFriends: number;
  /** Who can be added to a group: whoever has added the one who does it as a friend, or anybody. */
  invites: "friends" | "open";
  /** Groups that a user may be in. */
  maxGroups: number;
  /** Groups that a user may be the creator of. */
  maxGroupsCreated: number;
  /** Members that a group may have. */
  maxMembers: number;
  /** Between two heartbeats a client should send, ms. */
  heartbeatIntervalMs: number;
  /** Silent intervals after which a connection is closed. */
  heartbeatMisses: number;
  /** There may be other nodes. */
  isClustered: boolean;
  /** Where heartbeats may come as datagrams. */
  udpPort?: number;
}

/** The parts of a node. */
export interface Services {
  /** What handlers decide by. */
  settings: Settings;
  /** For what an operator should see. */
  logger: Logger;
  /** For lines about what clients do wrong … */
  refusalLines: LogBudget;
  /** … and about what could not be done for them. */
  failureLines: LogBudget;
  /** Tables. */
  users: Users;
  /** Tables. */
  contacts: Contacts;
  /** Tables. */
  profiles: Profiles;
  /** Tables. */
  codes: AccessCodes;
  /** Tables. */
  groups: Groups;
  /** Of the database. */
  dialect: Dialect;
  /** What has been done to entries. */
  actions: Actions;
  /** What lists of conversations are made of. */
  conversations: Conversations;
  /** The log's reading side. */
  messages: Messages;
  /** The log's writing side. */
  log: MessageLog;
  /** Online users and the way to them. */
  delivery: Delivery<Session>;
  /** What is left to be done of users who are deleted. */
  deletions: Deletions;
  /** What users learn of each other. */
  news: News<Session>;
  /** Logins and logouts. */
  admission: Admission;
  /** What operators do. */
  orders: AdminOrders;
  /** Password hashes. */
  passwords: Passwords;
  /** Those that need not be hashed again. */
  recentPasswords: RecentPasswords;
  /** Resume tokens of version 2. */
  tokens: TokenDesk;
  /** Devices, and their tokens. */
  devices: DeviceDesk;
  /** The name of the log's history. */
  epoch: () => Promise<string>;
  /** Wrong passwords, and signups, so far. */
  guesses: Guesses;
  /** What each user may do. */
  quotas: Quotas;
  /** What waits for those who are away. */
  backlogs: Backlogs;
  /** Memory for pages of history. */
  pages: PageRoom;
  /** For metrics. */
  limited: LimitCounters;
  /** Counts in it, and knows whom. */
  limits: LimitBook;
}
