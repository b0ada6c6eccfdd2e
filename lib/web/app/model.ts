/**
 * What the page shows and what its user can do, without a word about how that looks.
 *
 * @module
 */

import { systemClock } from "../../base/clock.ts";
import type { Account } from "../../client/core/account.ts";
import { createCid } from "../../client/core/cid.ts";
import { ClientSession } from "../../client/core/client_session.ts";
import type { LinkState } from "../../client/core/client_session.ts";
import { nextBefore } from "../../client/core/conversation_list.ts";
import type { SessionEvent } from "../../client/core/events.ts";
import { integerOf, listOf, textOf } from "../../client/core/messages.ts";
import type { ChatMessage } from "../../client/core/messages.ts";
import { fallBack } from "../../client/core/other_log.ts";
import { readPosition } from "../../client/core/profile.ts";
import { isTemporary, NO_ANSWER, noReply } from "../../client/core/requests.ts";
import type { Reply } from "../../client/core/requests.ts";
import type { MessageFields } from "../../client/core/store.ts";
import type { Dial } from "../../client/core/transport.ts";
import { readPageLink } from "../../protocol/page_links.ts";
import {
  conversationOfGroup,
  conversationOfUsers,
  ERRNO,
  isJsonObject,
  MSGID,
} from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import { authenticate } from "./authenticate.ts";
import type { Conversation } from "./conversation.ts";
import { Database } from "./database.ts";
import { deviceName } from "./device_name.ts";
import { People } from "./people.ts";
import { forgetPrefs } from "./prefs.ts";
import { BrowserStore } from "./store.ts";
import { Tabs } from "./tabs.ts";
import { within } from "./within.ts";

/** Who is logged in, as it is kept. */
export interface KeptAccount {
  /** The user id. */
  id: number;
  /** The name. */
  name: string;
  /** For the next connection; undefined once the server knows it no more. */
  token: string | undefined;
  /** Which of the user's devices this browser is. */
  deviceId: number | undefined;
  /** Of the server's log. */
  epoch: string;
}

/** What was typed and not sent. */
export interface Draft {
  /** The text. */
  text: string;
  /** The seq it answers. */
  reply?: number;
}

/** How the page stands with the server; "elsewhere": another tab is connected. */
export type Link = (LinkState | { kind: "elsewhere" }) & { since: number };

/** What changed, so that a view knows whether that concerns it. */
export type Topic = "account" | "list" | "log" | "people" | "link" | "typing" | "draft";

/** Older entries come in pages of this many. */
const PAGE = 200;
const TYPING_INTERVAL_MS = 3000;
const TYPING_SHOWN_MS = 5000;
const FRESH_MS = 60_000;
/** Whoever logs out does not wait longer for the server. */
const LOG_OUT_MS = 2000;
/** Nobody waits longer for a connection before it is said that there is none. */
const CONNECT_MS = 10_000;
/** Where no other tab is connected the browser says so sooner. */
const OTHER_TAB_MS = 100;
/** After an older page was refused for the moment. */
const OLDER_RETRY_MS = 2000;
/** What a frame has beside its text: names, ids, whom it answers and whom it mentions, JSON in between. */
const FRAME_REST_BYTES = 5536;
/** Requests that not every server knows: what is behind them is offered where it does. */
const FEATURES: readonly number[] = [
  MSGID.DEVICE_MSG,
  MSGID.ACTION_MSG,
  MSGID.GROUP_MSG,
  MSGID.CONTACT_MSG,
  MSGID.FIND_MSG,
  // Before the profile, in which it is offered.
  MSGID.ACCOUNT_MSG,
  MSGID.PROFILE_MSG,
  MSGID.SETTING_MSG,
  MSGID.TYPING_MSG,
  MSGID.SEARCH_MSG,
  MSGID.CONVERSATIONS_MSG,
];
/** Behind the page's address where the account was deleted. */
export const DELETED_SEARCH = "?deleted";

/** Everything behind the views. */
export class Model {
  /** Undefined while nobody is logged in. */
  account: KeptAccount | undefined;
  /** Everybody. */
  people = new People();
  /** The connection. */
  link: Link = { kind: "connecting", since: Date.now() };
  /** Nothing survives the page: the browser keeps nothing. */
  isForgetful = false;
  /** By conversation. */
  readonly drafts = new Map<ConversationId, Draft>();
  readonly #dial: Dial;
  readonly #tabs: Tabs;
  readonly #listeners = new Set<(topics: ReadonlySet<Topic>) => void>();
  readonly #topics = new Set<Topic>();
  readonly #features = new Set<number>();
  readonly #loading = new Map<ConversationId, Promise<void>>();
  /** Of these the server has nothing that is older, or will not give it. */
  readonly #complete = new Set<ConversationId>();
  readonly #membersAsked = new Set<number>();
  #root: Database | undefined;
  #database: Database | undefined;
  /** Whose that is. */
  #databaseOf = 0;
  #store: BrowserStore | undefined;
  #session: ClientSession | undefined;
  #online = Promise.withResolvers<void>();
  #currentId: ConversationId | undefined;
  #isScheduled = false;
  /** The server was asked to, and has not refused. */
  #isDeleting = false;
  #forgetting: Promise<void> | undefined;
  #typingSentAt = 0;
  /** Where the conversations begin that are not listed yet; undefined: all are. */
  #nextBefore: number | undefined;
  #listing: Promise<void> | undefined;
  /** The longest frame that the server takes, bytes. */
  #maxFrame = 65_536;
  /** The server's clock less ours, ms. */
  #clockOffset = 0;

  /** Begins at {@link start}. `dial`: the way to the server. */
  constructor(dial: Dial) {
    this.#dial = dial;
    this.#tabs = new Tabs({ onGain: () => void this.#connect(), onLose: () => this.#giveUp() });
  }

  /** Calls `listener` with what changed, at most once a frame of the screen, until `signal` says that it is enough. */
  listen(listener: (topics: ReadonlySet<Topic>) => void, signal?: AbortSignal): void {
    this.#listeners.add(listener);
    signal?.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
  }

  /** Called for a message of another's that has just arrived. */
  onMessage: (message: ChatMessage, conversation: Conversation) => void = () => {};

  /** Reads who was logged in and shows what is kept; then connects, unless another tab is connected. */
  async start(): Promise<void> {
    this.#root = await Database.open("chat", () => this.#forgets());
    const kept = await this.#root.get("kept", "account");
    if (kept !== undefined) await this.#begin(kept as KeptAccount);
    else this.changed("account");
  }

  /** Makes an account and logs in; `invite`: the code where the server asks for one. Resolves with what went wrong, or with errno 0. */
  async signUp(name: string, password: string, invite: string): Promise<Reply> {
    const request = { msgid: MSGID.SIGNUP_MSG, name, password };
    const reply = await authenticate(this.#dial, invite === "" ? request : { ...request, invite });
    const id = integerOf(reply.frame.id, 1);
    return reply.errno === ERRNO.OK && id !== undefined ? await this.#logIn({ id }, password) : reply;
  }

  /** Logs in. Resolves as {@link signUp}. */
  logIn(name: string, password: string): Promise<Reply> {
    return this.#logIn({ name }, password);
  }

  /** Chooses a password by a code of the operator's. Resolves with what went wrong, or with errno 0 and the user's name. */
  resetPassword(code: string, password: string): Promise<Reply> {
    return authenticate(this.#dial, { msgid: MSGID.RESET_MSG, code, password });
  }

  /** Logs out and forgets everything that was kept here. */
  async logOut(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await within(session.logout(), LOG_OUT_MS);
    await this.#forget();
  }

  /**
   * Deletes the account for good, and forgets everything that was kept here, the settings of this browser too. Resolves with what went
   * wrong.
   */
  async deleteAccount(password: string): Promise<Reply> {
    await this.#connecting();
    if (!this.isOnline) return noReply("");
    this.#isDeleting = true;
    const reply = await this.ask({ msgid: MSGID.ACCOUNT_MSG, op: "delete", password });
    // Without an answer it may be done all the same: then the server knows this device no more.
    this.#isDeleting = reply.errno === ERRNO.OK || reply.errno === NO_ANSWER;
    if (reply.errno === ERRNO.OK) await this.#forget();
    return reply;
  }

  #forget(): Promise<void> {
    return this.#forgetting ??= this.#forgetAll();
  }

  async #forgetAll(): Promise<void> {
    this.#session = undefined;
    this.#store?.close();
    const kept = [this.#database, this.#root];
    // Whatever is under way finds nothing to write to.
    this.#database = this.#root = undefined;
    await Promise.all(kept.map((database) => database?.clear()));
    if (this.#isDeleting) forgetPrefs();
    // A new page: nothing of the one who leaves is in memory.
    location.replace(`${location.pathname}${this.#isDeleting ? DELETED_SEARCH : ""}`);
  }

  /** True when the server knows a request. */
  has(msgid: number): boolean {
    return this.#features.has(msgid);
  }

  /** True while requests can be answered. */
  get isOnline(): boolean {
    return this.link.kind === "online";
  }

  /** The user's id; 0 while nobody is logged in. */
  get me(): number {
    return this.account?.id ?? 0;
  }

  /** The server's clock, ms since the epoch. */
  now(): number {
    return Date.now() + this.#clockOffset;
  }

  /** The conversation that is open. */
  get current(): Conversation | undefined {
    return this.#currentId === undefined ? undefined : this.#store?.get(this.#currentId);
  }

  /** The longest text of a message that the server takes, bytes of its JSON. */
  get maxTextBytes(): number {
    return Math.max(this.#maxFrame / 2, this.#maxFrame - FRAME_REST_BYTES);
  }

  /** Newest activity first. */
  get conversations(): Conversation[] {
    const unsentAt = new Map<ConversationId, number>();
    for (const { conversation, at } of this.#store?.unsent.values() ?? []) unsentAt.set(conversation, at);
    const activityOf = ({ id, head }: Conversation) => Math.max(head.at, unsentAt.get(id) ?? 0);
    const shown = [...this.#store?.all.values() ?? []].filter(({ head, id }) =>
      head.lastSeq > 0 || this.drafts.has(id) || id === this.#currentId || unsentAt.has(id) ||
      this.people.groups.has(groupIdOf(id))
    );
    return shown.sort((a, b) => activityOf(b) - activityOf(a));
  }

  /** A conversation that is there, or is made when somebody says something. */
  conversation(id: ConversationId): Conversation | undefined {
    return this.#store?.get(id);
  }

  /** The one-to-one conversation with a user. */
  withUser(id: number): ConversationId {
    return conversationOfUsers(this.me, id);
  }

  /** What is still to be sent there, and what was refused. */
  unsentFor(id: ConversationId): ReturnType<BrowserStore["unsentFor"]> {
    return this.#store?.unsentFor(id) ?? [];
  }

  /** How many messages wait for the connection. */
  get waiting(): number {
    return this.#store?.outbox().length ?? 0;
  }

  /** Opens a conversation, or none. */
  open(id: ConversationId | undefined): void {
    this.#currentId = id;
    void this.reach();
    if (this.current?.groupId !== undefined) void this.loadMembers(this.current.groupId);
    this.changed("log", "list", "typing", "draft");
  }

  /** Says what was typed: there is no draft of it any more. */
  sendDraft(id: ConversationId, text: string, fields: MessageFields): void {
    // In one transaction with the message, because in one turn: what was typed is in one of the two at any moment.
    this.setDraft(id, undefined);
    this.send(id, text, fields);
  }

  /** Says something; it is kept until the server has it. */
  send(id: ConversationId, text: string, fields: MessageFields): void {
    const kept = Object.keys(fields).length === 0 ? undefined : fields;
    const account = this.#session?.account;
    if (account === undefined) {
      const at = Date.now();
      this.#store?.addToOutbox({
        cid: createCid(at),
        conversation: id,
        text,
        at,
        ...(kept === undefined ? {} : { fields: kept }),
      });
    } else account.send(id, text, kept);
    this.changed("log", "list", "link", "draft");
  }

  /** Tries once more what the server has refused. */
  sendAgain(cid: string): void {
    const entry = this.#store?.unsent.get(cid);
    if (entry === undefined) return;
    this.#store?.removeFromOutbox(cid);
    this.send(entry.conversation, entry.text, entry.fields ?? {});
  }

  /** Forgets what the server has refused. */
  discard(cid: string): void {
    this.#store?.removeFromOutbox(cid);
    this.changed("log", "list");
  }

  /** Keeps what is typed. */
  setDraft(id: ConversationId, draft: Draft | undefined): void {
    const isEmpty = draft === undefined || (draft.text.trim() === "" && draft.reply === undefined);
    if (isEmpty) this.drafts.delete(id);
    else this.drafts.set(id, draft);
    this.#database?.set("drafts", id, isEmpty ? undefined : draft);
    this.changed("list");
  }

  /** Others may see that something is being typed. */
  typing(id: ConversationId): void {
    const now = Date.now();
    if (!this.isOnline || !this.has(MSGID.TYPING_MSG) || now - this.#typingSentAt < TYPING_INTERVAL_MS) {
      return;
    }
    this.#typingSentAt = now;
    void this.#session?.askOnce({ msgid: MSGID.TYPING_MSG, conversation: id });
  }

  /** The user has seen a conversation up to `seq`. */
  read(conversation: Conversation, seq: number): void {
    const account = this.#session?.account;
    const upTo = Math.min(seq, conversation.state.top);
    // What changes nothing is no reason to draw: whoever draws says again what is read.
    if (account === undefined || upTo <= conversation.state.shown) return;
    account.read(conversation.id, upTo);
    this.changed("list");
  }

  /** True when there are older entries on the server. */
  hasOlder(conversation: Conversation): boolean {
    return conversation.state.base > 0 && conversation.head.lastSeq > 0 &&
      !this.#complete.has(conversation.id);
  }

  /** True while older entries are on their way. */
  isLoading(conversation: Conversation): boolean {
    return this.#loading.has(conversation.id);
  }

  /** Fetches a page of older entries. Resolves when it is here, or when it makes sense to ask again. */
  loadOlder(conversation: Conversation): Promise<void> {
    const account = this.#session?.account;
    const loading = this.#loading.get(conversation.id);
    if (loading !== undefined) return loading;
    if (account === undefined || !this.isOnline || !this.hasOlder(conversation)) return Promise.resolve();
    const work = this.#askOlder(account, conversation).finally(() => {
      this.#loading.delete(conversation.id);
      this.changed("log");
    });
    this.#loading.set(conversation.id, work);
    this.changed("log");
    return work;
  }

  async #askOlder(account: Account, conversation: Conversation): Promise<void> {
    const reply = await account.older(conversation.id, PAGE);
    if (reply.errno === ERRNO.OK) return;
    // A conversation that has not begun yet, or that is not ours any more.
    if (!isTemporary(reply)) this.#complete.add(conversation.id);
    else {
      const delayMs = integerOf(reply.frame.retry_after_ms) ?? OLDER_RETRY_MS;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  /**
   * Joins a group: by a link, also as an address ({@link readPageLink}), or by the number of one that is open to all. The reply has
   * its `groupid`.
   */
  async join(what: string): Promise<Reply> {
    const groupId = /^\d{1,9}$/.test(what) ? Number(what) : undefined;
    const reply = await this.ask(
      groupId === undefined
        ? { msgid: MSGID.GROUP_MSG, op: "join", link: readPageLink(what)?.code ?? what }
        : { msgid: MSGID.ADD_GROUP_MSG, groupid: groupId },
    );
    const id = integerOf(reply.frame.groupid, 1) ?? groupId;
    if (reply.errno !== ERRNO.OK || id === undefined) return reply;
    const { group } = reply.frame;
    this.people.learnGroup(isJsonObject(group) ? group : { id });
    this.peopleChanged();
    this.#membersAsked.delete(id);
    // By its number: what it is called is among the members.
    await this.loadMembers(id);
    if (this.people.groups.get(id)?.name === "") this.#session?.refresh();
    else void this.look(conversationOfGroup(id));
    return { ...reply, frame: { ...reply.frame, groupid: id } };
  }

  /** Fetches what an own request has added to a conversation: its reply says only that it was done. */
  async look(id: ConversationId): Promise<void> {
    await this.#session?.account?.look(id);
    this.changed("log", "list");
  }

  /** Something was changed in a group by this user: asks for what it is now. */
  async reloadMembers(groupId: number): Promise<void> {
    this.#membersAsked.delete(groupId);
    await Promise.all([this.loadMembers(groupId), this.look(conversationOfGroup(groupId))]);
  }

  /** Asks for the members of a group, once a connection. */
  async loadMembers(groupId: number): Promise<void> {
    if (!this.isOnline || !this.has(MSGID.GROUP_MSG) || this.#membersAsked.has(groupId)) return;
    if (this.people.groups.get(groupId)?.isOver !== false) return;
    this.#membersAsked.add(groupId);
    const members = [];
    for (let after: number | undefined = 0; after !== undefined;) {
      const { errno, frame } = await this.ask({
        msgid: MSGID.GROUP_MSG,
        op: "members",
        groupid: groupId,
        after,
        limit: 200,
      });
      if (errno !== ERRNO.OK) {
        this.#membersAsked.delete(groupId);
        return;
      }
      if (isJsonObject(frame.group)) this.people.learnGroup(frame.group);
      for (const user of listOf(frame.users).filter(isJsonObject)) {
        members.push(this.people.learnMember(user));
      }
      after = frame.more === true ? members.at(-1)?.id : undefined;
    }
    this.people.changeGroup(groupId, { members, count: members.length });
    this.changed("people");
  }

  /** The conversation that is open may be among those that are not listed yet: fetches the list until it is there. */
  async reach(): Promise<void> {
    const id = this.#currentId;
    while (this.#currentId === id && this.current?.head.lastSeq === 0 && this.#nextBefore !== undefined) {
      const before = this.#nextBefore;
      await this.loadConversations();
      if (this.#nextBefore === before) return;
    }
  }

  /** Fetches the next page of conversations, where there are any. */
  loadConversations(): Promise<void> {
    return this.#listing ??= this.#askConversations().finally(() => this.#listing = undefined);
  }

  async #askConversations(): Promise<void> {
    const before = this.#nextBefore;
    if (before === undefined || !this.isOnline) return;
    const { errno, frame } = await this.ask({ msgid: MSGID.CONVERSATIONS_MSG, before, limit: PAGE });
    // A login meanwhile has begun anew.
    if (errno !== ERRNO.OK || this.#nextBefore !== before) return;
    this.#nextBefore = nextBefore(frame);
    this.#takeConversations(frame);
    this.#session?.account?.addConversations(
      listOf(frame.conversations).filter(isJsonObject).map(readPosition),
    );
    this.changed("list", "log");
  }

  /** Asks the server for something that is worth nothing later. */
  async ask(frame: JsonObject): Promise<Reply> {
    await this.#connecting();
    const reply = await (this.#session?.askOnce(frame) ?? Promise.resolve(noReply("")));
    if (reply.errno === ERRNO.UNKNOWN_MSGID && typeof frame.msgid === "number") {
      this.#features.delete(frame.msgid);
      this.changed("people");
    }
    return reply;
  }

  /** Does something with an entry: edit, react, pin, recall. */
  async act(
    conversation: Conversation,
    action: { ref: number; act: string; [field: string]: unknown },
  ): Promise<Reply> {
    const { ref, ...details } = action;
    await this.#connecting();
    const reply = await (this.#session?.account?.act(conversation.id, ref, details) ?? noReply(""));
    this.changed("log", "list");
    return reply;
  }

  /** What is wanted of a page that was just opened waits until it is connected. */
  async #connecting(): Promise<void> {
    if (this.link.kind === "connecting") await within(this.#online.promise, CONNECT_MS);
  }

  /** Makes a group; `join`: how others get in, "open", "link" or "closed". The reply has its `groupid`. */
  async createGroup(name: string, description: string, join: string): Promise<Reply> {
    const group = { groupname: name, groupdesc: description, join };
    const reply = await this.ask({ msgid: MSGID.CREATE_GROUP_MSG, ...group });
    const id = integerOf(reply.frame.groupid, 1);
    if (reply.errno === ERRNO.OK && id !== undefined) {
      this.people.learnGroup({ id, ...group, role: "creator", members: 1 });
      const conversation = this.#store?.get(conversationOfGroup(id));
      if (conversation !== undefined) {
        conversation.head.at = Math.max(conversation.head.at, this.now());
        this.#store?.changed(conversation);
      }
      this.#keepPeople();
      void this.look(conversationOfGroup(id));
    }
    return reply;
  }

  /** What the user is called by others. */
  nameOf(id: number): string {
    return this.people.user(id).name;
  }

  /** Connects now, where that waits. */
  retry(): void {
    this.#session?.retry();
  }

  /** This tab shall be the one that is connected. */
  takeOver(): void {
    if (this.account?.token !== undefined) this.#tabs.take();
  }

  /** Something changed that a view shows. */
  changed(...topics: Topic[]): void {
    for (const topic of topics) this.#topics.add(topic);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const run = () => {
      this.#isScheduled = false;
      const all = new Set(this.#topics);
      this.#topics.clear();
      for (const listener of this.#listeners) listener(all);
    };
    // A page that is not seen draws nothing, but its title and its list are to be right when somebody looks.
    if (document.hidden) setTimeout(run, 250);
    else requestAnimationFrame(run);
  }

  /** Writes what waits to be written: the page may go at any moment. */
  keep(): void {
    this.#store?.keep();
  }

  /** People and groups changed. */
  peopleChanged(): void {
    this.#keepPeople();
    this.changed("people", "list");
  }

  async #logIn(who: JsonObject, password: string): Promise<Reply> {
    const kept = await this.#root?.get("kept", "account") as KeptAccount | undefined;
    const isSame = kept !== undefined && (who.id === kept.id || who.name === kept.name);
    const reply = await authenticate(this.#dial, {
      msgid: MSGID.LOGIN_MSG,
      ...who,
      password,
      device: deviceName(navigator.userAgent),
      ...(isSame && kept.deviceId !== undefined ? { device_id: kept.deviceId } : {}),
    });
    const { errno, frame } = reply;
    const id = integerOf(frame.id, 1);
    const token = textOf(frame.token);
    if (errno !== ERRNO.OK || id === undefined || token === "") return reply;
    const epoch = kept?.id === id ? kept.epoch : "";
    const account = { id, name: textOf(frame.name), token, deviceId: integerOf(frame.device_id, 1), epoch };
    await this.#root?.set("kept", "account", account);
    await this.#begin(account);
    return reply;
  }

  async #begin(account: KeptAccount): Promise<void> {
    this.account = account;
    if (account.token === undefined) {
      this.changed("account");
      return;
    }
    // Logged out by the server, and in again by the user.
    if (this.#tabs.isActive) {
      await this.#connect();
      return;
    }
    const gained = Promise.withResolvers<void>();
    this.#onGained = gained.resolve;
    this.#tabs.wait();
    if (!await within(gained.promise, OTHER_TAB_MS)) {
      // Shown as it was kept, and not written to.
      await this.#load();
      this.#store?.close();
      this.#setLink({ kind: "elsewhere" });
      this.changed("account");
    }
  }

  #onGained: () => void = () => {};

  async #connect(): Promise<void> {
    this.#onGained();
    const kept = await this.#root?.get("kept", "account") as KeptAccount | undefined;
    if (this.account !== undefined && kept?.id !== this.account.id && !this.isForgetful) {
      // Logged out in the other tab.
      location.replace(location.pathname);
      return;
    }
    this.account = kept ?? this.account;
    await this.#load();
    const { account } = this;
    if (account?.token === undefined) return;
    this.changed("account", "list", "log", "people");
    this.#session = new ClientSession({
      dial: this.#dial,
      server: location.host,
      isV1: false,
      isForScript: true,
      clock: systemClock,
      wallNow: Date.now,
      random: Math.random,
      openStore: () => {
        if (this.#store === undefined) throw new Error("Nobody is logged in");
        return this.#store;
      },
      onEvent: (event) => apart(() => this.#hear(event)),
      modern: {
        device: deviceName(navigator.userAgent),
        onLink: (state) => apart(() => this.#setLink(state)),
        onLogin: (frame) => this.#loggedIn(frame),
        onToken: (token) => this.#keepToken(token),
        onFrame: (frame) => apart(() => this.#receive(frame)),
      },
    });
    this.#session.resume(account.id, account.token);
  }

  /** Another tab takes over. */
  async #giveUp(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#setLink({ kind: "elsewhere" });
    await session?.leave();
    this.#store?.close();
    await this.#database?.written;
    await this.#root?.written;
  }

  async #load(): Promise<void> {
    const { account } = this;
    if (account === undefined) return;
    if (this.#databaseOf !== account.id) {
      this.#database = await Database.open(`chat-${account.id}`, () => this.#forgets());
      this.#databaseOf = account.id;
    }
    const database = this.#database;
    if (database === undefined) return;
    const [store, drafts, people, groups] = await Promise.all([
      BrowserStore.open(account.id, database, () => this.changed("log", "list", "link")),
      database.all("drafts"),
      database.get("kept", "people"),
      database.get("kept", "groups"),
    ]);
    this.#store = store;
    this.drafts.clear();
    for (const [id, draft] of drafts) this.drafts.set(id, draft as Draft);
    this.people = new People();
    for (const [id, person] of (people ?? []) as [number, ReturnType<People["user"]>][]) {
      this.people.users.set(id, { ...person, state: "" });
    }
    for (const [id, group] of (groups ?? []) as [number, NonNullable<ReturnType<People["learnGroup"]>>][]) {
      this.people.groups.set(id, group);
    }
    this.people.learn({ id: account.id, name: account.name });
  }

  #keepPeople(): void {
    this.#database?.set("kept", "people", [...this.people.users]);
    this.#database?.set("kept", "groups", [...this.people.groups]);
  }

  #forgets(): void {
    this.isForgetful = true;
    this.changed("link");
  }

  #setLink(state: LinkState | { kind: "elsewhere" }): void {
    if (this.isOnline) this.#online = Promise.withResolvers();
    this.link = { ...state, since: Date.now() };
    if (this.isOnline) this.#online.resolve();
    // For whoever measures how long it takes.
    performance.mark(state.kind);
    if (state.kind === "ended" && state.code !== "replaced") {
      void (this.#isDeleting ? this.#forget() : this.#end());
    }
    this.changed("link");
  }

  /** Changes the password; this page stays logged in. */
  changePassword(old: string, wanted: string): Promise<Reply> {
    return this.#session?.changePassword(old, wanted) ?? Promise.resolve(noReply(""));
  }

  #keepToken(token: string): void {
    if (this.account === undefined) return;
    this.account = { ...this.account, token };
    void this.#root?.set("kept", "account", this.account);
  }

  /** The server does not know this device any more: its user has to say the password. What is kept stays. */
  async #end(): Promise<void> {
    if (this.account === undefined) return;
    this.account = { ...this.account, token: undefined };
    await this.#root?.set("kept", "account", this.account);
    this.changed("account");
  }

  #loggedIn(frame: JsonObject): void {
    const { account } = this;
    const store = this.#store;
    if (account === undefined || store === undefined) return;
    const epoch = textOf(frame.epoch);
    if (account.epoch !== "" && epoch !== "" && epoch !== account.epoch) {
      fallBack(store, listOf(frame.conversations).filter(isJsonObject).map(readPosition), Date.now());
    }
    this.account = {
      ...account,
      name: textOf(frame.name) || account.name,
      token: textOf(frame.token) || account.token,
      deviceId: integerOf(frame.device_id, 1) ?? account.deviceId,
      epoch,
    };
    void this.#root?.set("kept", "account", this.account);
    const at = integerOf(frame.at);
    if (at !== undefined) this.#clockOffset = at - Date.now();
    this.#maxFrame = integerOf(frame.max_frame, 1) ?? this.#maxFrame;
    this.#nextBefore = nextBefore(frame);
    this.#complete.clear();
    this.#membersAsked.clear();
    apart(() => {
      this.#takePeople(frame);
      this.#takeConversations(frame);
    });
    this.changed("account", "list", "log", "people");
    queueMicrotask(() => {
      void this.#learnFeatures();
      void this.reach();
    });
  }

  #takePeople(frame: JsonObject): void {
    for (const person of this.people.users.values()) {
      this.people.users.set(person.id, { ...person, isFriend: false, isBlocked: false, state: "" });
    }
    this.people.learn({ id: this.me, name: this.account?.name ?? "", state: "online" });
    for (const friend of listOf(frame.friends).filter(isJsonObject)) {
      this.people.learn(friend, { isFriend: true });
    }
    const groups = listOf(frame.groups).filter(isJsonObject).map((group) =>
      this.people.learnGroup(group)?.id
    );
    for (const id of this.people.groups.keys()) {
      if (!groups.includes(id)) this.people.changeGroup(id, { isOver: true });
    }
    this.#keepPeople();
  }

  #takeConversations(frame: JsonObject): void {
    for (const entry of listOf(frame.conversations).filter(isJsonObject)) {
      const conversation = this.#store?.get(textOf(entry.conversation));
      if (conversation === undefined) continue;
      const { head } = conversation;
      const lastSeq = integerOf(entry.last_seq) ?? 0;
      const last = isJsonObject(entry.last) ? entry.last : undefined;
      const lastChat = integerOf(last?.seq, 1);
      head.lastSeq = Math.max(head.lastSeq, lastSeq);
      head.unread = integerOf(entry.unread) ??
        Math.min(100, Math.max(0, lastSeq - (integerOf(entry.read) ?? 0)));
      head.mentions = integerOf(entry.mentions) ?? 0;
      head.at = integerOf(entry.at) ?? head.at;
      head.mutedUntil = integerOf(entry.muted_until) ?? 0;
      if (last !== undefined && lastChat !== undefined) {
        head.last = {
          seq: lastChat,
          id: integerOf(last.id, 1) ?? 0,
          name: textOf(last.name),
          text: textOf(last.msg),
          at: integerOf(last.at) ?? head.at,
        };
      }
      if (isJsonObject(entry.peer)) this.people.learn(entry.peer);
      // Of a group that the user is not in any more it is only here what it was called.
      const { groupId } = conversation;
      if (groupId !== undefined && textOf(entry.groupname) !== "") {
        this.people.learnGroup({ id: groupId, groupname: entry.groupname });
        this.people.changeGroup(groupId, { isOver: true });
      }
      this.#store?.changed(conversation);
    }
  }

  /** A request without its fields is malformed to who knows it (errno 4), and unknown (errno 5) to who does not. */
  async #learnFeatures(): Promise<void> {
    await Promise.all(FEATURES.map(async (msgid) => {
      const { errno } = await this.#session?.askOnce({ msgid }) ?? noReply("");
      if (errno === ERRNO.UNKNOWN_MSGID) this.#features.delete(msgid);
      else if (errno >= 0) this.#features.add(msgid);
    }));
    this.changed("people", "log");
    if (this.current?.groupId !== undefined) void this.loadMembers(this.current.groupId);
  }

  #hear(event: SessionEvent): void {
    switch (event.kind) {
      case "message": {
        const { message } = event;
        this.people.learn({ id: message.sender, name: message.name });
        if (message.sender !== this.me && message.at > this.now() - FRESH_MS) {
          const conversation = this.#store?.get(message.conversation);
          if (conversation !== undefined) this.onMessage(message, conversation);
        }
        break;
      }
      case "refused":
        this.#store?.fail(event.entry, { errno: event.errno, text: event.reason });
        break;
    }
    this.changed("log", "list", "link");
  }

  #receive(frame: JsonObject): void {
    const id = integerOf(frame.id, 1) ?? 0;
    const conversation = this.#store?.all.get(textOf(frame.conversation));
    switch (frame.msgid) {
      case MSGID.SYSTEM_MSG:
        if (conversation?.groupId !== undefined) {
          this.people.learn(frame);
          this.people.learn({ id: frame.by, name: frame.by_name });
          this.people.follow(conversation.groupId, frame, this.me);
          // What it is called, and who is in it.
          if (id === this.me && (frame.what === "added" || frame.what === "joined")) {
            this.#membersAsked.delete(conversation.groupId);
            void this.loadMembers(conversation.groupId);
          }
          this.peopleChanged();
        }
        break;
      case MSGID.TYPING_MSG:
        if (conversation !== undefined) this.#seeTyping(conversation, id);
        break;
      case MSGID.PRESENCE_MSG:
        this.people.learn(frame);
        this.changed("people", "list");
        break;
      case MSGID.PROFILE_MSG:
        this.people.learn(frame);
        if (id === this.me && this.account !== undefined) {
          this.account.name = textOf(frame.name) || this.account.name;
        }
        this.peopleChanged();
        break;
      case MSGID.SETTING_MSG:
        if (conversation !== undefined) this.setMuted(conversation, integerOf(frame.muted_until) ?? 0);
        break;
    }
  }

  /** Shows that a conversation is muted until then, ms since the epoch; 0: not. */
  setMuted(conversation: Conversation, until: number): void {
    conversation.head.mutedUntil = until;
    this.#store?.changed(conversation);
    this.changed("list", "people");
  }

  #seeTyping(conversation: Conversation, id: number): void {
    conversation.typing.set(id, Date.now() + TYPING_SHOWN_MS);
    this.changed("typing", "list");
    setTimeout(() => {
      if ((conversation.typing.get(id) ?? 0) <= Date.now()) conversation.typing.delete(id);
      this.changed("typing", "list");
    }, TYPING_SHOWN_MS + 50);
  }
}

/** The session takes whatever fails under it for its store, and connects anew: what the page makes of a frame is not that. */
function apart(work: () => void): void {
  try {
    work();
  } catch (error) {
    reportError(error);
  }
}

function groupIdOf(id: ConversationId): number {
  return id.startsWith("g") ? Number(id.slice(1)) : 0;
}
