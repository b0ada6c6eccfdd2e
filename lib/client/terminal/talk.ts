/**
 * What a person at a terminal has before them once they are logged in: one conversation that is open, and all others as a
 * list in which something is unread.
 *
 * @module
 */

import {
  conversationOfGroup,
  conversationOfUsers,
  ERRNO,
  isJsonObject,
  MSGID,
  otherOf,
} from "../../protocol/protocol.ts";
import type { ConversationId, JsonObject } from "../../protocol/protocol.ts";
import type { Account } from "../core/account.ts";
import type { ClientSession } from "../core/client_session.ts";
import { ConversationList, nextBefore, readSummary } from "../core/conversation_list.ts";
import { actionOf, isMentioned, systemEventOf } from "../core/entries.ts";
import type { SessionEvent } from "../core/events.ts";
import { integerOf, listOf, textOf } from "../core/messages.ts";
import type { ChatMessage } from "../core/messages.ts";
import { readPerson, readPosition } from "../core/profile.ts";
import type { Reply } from "../core/requests.ts";
import { showName } from "../core/show_name.ts";
import { done, refused } from "./actions.ts";
import type { Outcome } from "./actions.ts";
import { clockTime, dayOf, entryRow, nameOf, noticeRow, summaryRow, titleOf } from "./chat_rows.ts";
import { parseInteger } from "./commands.ts";
import { GroupCommands } from "./group_commands.ts";
import { OwnCommands } from "./own_commands.ts";
import { FAINT } from "./row.ts";
import type { Row } from "./row.ts";
import type { Completion, Screen } from "./screen.ts";
import { helpLines, parseSlash, SLASH_COMMANDS, splitNumber } from "./slash.ts";
import type { SlashCommand } from "./slash.ts";
import { entryLine, eventLines, groupIdOf } from "./view.ts";

/** Messages that are shown when a conversation is opened. */
const OPENED = 10;
const MOST_HISTORY = 1000;
/** Somebody is shown as typing for so long, ms. */
const TYPING_SHOWN_MS = 5_000;
/** That oneself is typing is told once in so long, ms. */
const TYPING_TOLD_MS = 3_000;
/** Own messages whose marks are kept up to date on the screen. */
const MOST_MARKED = 100;

/** The state of one login on a terminal. */
export class Talk {
  readonly #session: ClientSession;
  readonly #account: Account;
  readonly #screen: Screen;
  readonly #list: ConversationList;
  readonly #groups: GroupCommands;
  readonly #own: OwnCommands;
  /** Who is typing in the open conversation, and what ends that. */
  #typing: { id: number; timer: ReturnType<typeof setTimeout> } | undefined;
  /** When the others in the open conversation were told last that oneself is typing, performance clock. */
  #typingTold = -Infinity;
  /** Where {@link #list} goes on at the server; undefined: nowhere. */
  #more: number | undefined;
  #current: ConversationId | undefined;
  /** Of the message shown last in the open conversation. */
  #day = "";
  #marked: number[] = [];

  /** `account` is the one that is logged in. */
  constructor(session: ClientSession, account: Account, screen: Screen) {
    this.#session = session;
    this.#account = account;
    this.#screen = screen;
    this.#list = new ConversationList(account.directory.me.id);
    const [ask, find] = [(frame: JsonObject) => this.#ask(frame), (text: string) => this.#find(text)];
    this.#groups = new GroupCommands({ account, ask, find });
    this.#own = new OwnCommands({ session, account, screen, list: this.#list });
  }

  /** "ann → li (offline, 1 waiting, 3 unread)> " */
  get prompt(): string {
    const { directory, unsent } = this.#account;
    const me = showName(directory.me.name);
    const where = this.#current === undefined ? "" : ` → ${titleOf(directory, this.#current)}`;
    const unread = this.#list.all().filter(({ conversation, unread }) =>
      unread > 0 && conversation !== this.#current
    );
    const states = [
      this.#session.isOnline ? "" : "offline",
      this.#typing === undefined ? "" : `${showName(nameOf(directory, this.#typing.id))} is typing`,
      unsent === 0 || this.#session.isOnline ? "" : `${unsent} waiting`,
      unread.length === 0 ? "" : `${unread.length} unread`,
    ].filter((state) => state !== "");
    return `${me}${where}${states.length === 0 ? "" : ` (${states.join(", ")})`}> `;
  }

  /** Takes a login reply, of this connection or a later one. */
  takeLogin(frame: JsonObject): void {
    const entries = listOf(frame.conversations).filter(isJsonObject);
    this.#list.set(entries.map((entry) => {
      const summary = readSummary(entry);
      // Version 2 does not count: what is behind the position may be unread.
      const isCounted = entry.unread !== undefined;
      return isCounted ? summary : { ...summary, unread: Math.max(0, summary.lastSeq - summary.read) };
    }));
    for (const { conversation, groupname } of entries) {
      // The user is in it no longer.
      this.#account.directory.learnGroupName(groupIdOf(textOf(conversation)) ?? 0, textOf(groupname));
    }
    for (const { peer } of this.#list.all()) {
      if (peer === undefined) continue;
      this.#account.directory.learnName(peer.id, peer.name);
      this.#account.directory.learnState(peer.id, peer.state);
    }
    this.#more = nextBefore(frame);
  }

  /** Greets: who is logged in, and what is unread. */
  greet(): void {
    const { me } = this.#account.directory;
    this.#screen.print(`logged in as ${showName(me.name)} (${me.id})`);
    const unread = this.#list.all().filter(({ unread }) => unread > 0);
    for (const summary of unread.slice(0, OPENED)) {
      this.#screen.show(summaryRow(summary, this.#account.directory));
    }
    if (unread.length > 0) this.#screen.print(`unread in ${unread.length}: /next opens the first`);
    else this.#screen.print("/chat NAME opens a conversation, /chats lists yours, /help the rest");
  }

  /** Shows what happened. */
  show(event: SessionEvent): void {
    switch (event.kind) {
      case "message":
        this.#showMessage(event.message);
        break;
      case "entry":
        this.#showEntry(event.entry);
        break;
      case "stored":
        this.#showStored(event.message);
        break;
      case "receipt":
        if (event.receipt.conversation === this.#current) this.#markUpTo(event.receipt.seq);
        break;
      case "recalled":
        if (!this.#redraw(event.conversation, event.seq)) this.#print(event);
        break;
      default:
        this.#print(event);
    }
    this.#screen.changePrompt(this.prompt);
  }

  /** Takes a frame that says something about others. */
  takeFrame(frame: JsonObject): void {
    const { directory } = this.#account;
    const id = integerOf(frame.id, 1);
    switch (frame.msgid) {
      case MSGID.RECEIPT_MSG:
        if (id === directory.me.id) this.#noteRead(textOf(frame.conversation), integerOf(frame.read) ?? 0);
        break;
      case MSGID.PRESENCE_MSG: {
        if (id === undefined) break;
        directory.learnState(id, textOf(frame.state));
        const isOpen = this.#current === conversationOfUsers(directory.me.id, id);
        if (isOpen) {
          this.#screen.show([{ text: `* ${nameOf(directory, id)} is ${textOf(frame.state)}`, style: FAINT }]);
        }
        break;
      }
      case MSGID.TYPING_MSG:
        if (id !== undefined && textOf(frame.conversation) === this.#current) this.#noteTyping(id);
        break;
      case MSGID.PROFILE_MSG:
        if (id !== undefined) directory.learnProfile(id, { name: textOf(frame.name) });
        break;
      case MSGID.SETTING_MSG:
        this.#list.mute(textOf(frame.conversation), integerOf(frame.muted_until, 1));
        break;
    }
    this.#screen.changePrompt(this.prompt);
  }

  /** Shown for some seconds, or until the message comes. */
  #noteTyping(id: number): void {
    this.#endTyping();
    const timer = setTimeout(() => {
      this.#typing = undefined;
      this.#screen.changePrompt(this.prompt);
    }, TYPING_SHOWN_MS);
    Deno.unrefTimer(timer);
    this.#typing = { id, timer };
  }

  #endTyping(): void {
    clearTimeout(this.#typing?.timer);
    this.#typing = undefined;
  }

  /** True for a line whose message is a row of its own as soon as it is sent. */
  isMessage(line: string): boolean {
    return this.#current !== undefined && (!line.startsWith("/") || line.startsWith("//"));
  }

  /** The others in the open conversation may see that `text` is being typed. */
  tellTyping(text: string): void {
    const conversation = this.#current;
    const now = performance.now();
    if (conversation === undefined || text.trim() === "" || !this.#session.isOnline) return;
    if (this.#account.version < 3 || now - this.#typingTold < TYPING_TOLD_MS) return;
    this.#typingTold = now;
    this.#session.askOnce({ msgid: MSGID.TYPING_MSG, conversation }).catch(() => {});
  }

  /** Says a line, as it is, in the conversation that is open. */
  say(text: string, fields: { reply?: number } = {}): Outcome {
    if (this.#current === undefined) {
      return refused(
        "no conversation is open: /chat NAME opens one, /next the next unread one, /help says more",
      );
    }
    // What is typed next is something new.
    this.#typingTold = -Infinity;
    const { directory, store } = this.#account;
    const conversation = this.#current;
    const mentions = this.#mentionsIn(text);
    const cid = this.#account.send(conversation, text, {
      ...fields,
      ...(mentions.length === 0 ? {} : { mentions }),
    });
    // Already acknowledged: the row is there.
    const { id, name } = directory.me;
    const message: ChatMessage = {
      conversation,
      seq: null,
      sender: id,
      name,
      text,
      at: Date.now(),
      frame: fields,
    };
    this.#showDay(message.at);
    this.#screen.show(entryRow(message, directory, store), cid);
    return done();
  }

  /** Carries out a line that begins with a slash; leaving and logging out are the caller's. */
  async run(line: string): Promise<Outcome> {
    const { command, word, rest } = parseSlash(line);
    if (command === undefined) {
      const known = SLASH_COMMANDS.filter(({ name }) => name.startsWith(word.toLowerCase()));
      return refused(
        known.length > 1
          ? `/${word} may be ${known.map(({ name }) => `/${name}`).join(", ")}`
          : `there is no /${word}; /help lists what there is`,
      );
    }
    switch (command.name) {
      case "help":
        return done(...helpLines(rest));
      case "reconnect":
        this.#session.retry();
        return done();
      case "close":
        this.#current = undefined;
        return done();
      case "chats":
        return await this.#listChats();
      case "friends":
        return this.#listFriends();
      case "groups":
        return this.#listGroups();
      case "next":
        return await this.#openNext();
      case "chat":
        return await this.#openNamed(rest);
      case "add":
        return await this.#addFriend(rest);
      case "create":
        return await this.#createGroup(rest);
      case "join":
        return await this.#joinGroup(rest);
      case "who":
        return await this.#who(rest);
      case "members":
      case "invite":
      case "remove":
      case "link":
      case "unlink":
      case "role":
      case "transfer":
      case "group":
      case "leave":
      case "dissolve":
        return await this.#groups.run(command, rest, this.#current);
      case "mute":
      case "profile":
      case "password":
      case "account":
        return await this.#own.run(command, rest, this.#current);
      case "devices":
        return await this.#devices();
      case "revoke":
        return await this.#revoke(rest);
      default:
        return await this.#inConversation(command, rest);
    }
  }

  /** What may stand at the end of a line: a command, or a name. */
  complete(text: string): Completion {
    const { directory } = this.#account;
    const slash = /^\/(\S*)$/.exec(text);
    if (slash !== null) {
      const candidates = SLASH_COMMANDS.map(({ name }) => `/${name} `).filter((name) =>
        name.startsWith(text)
      );
      return { start: 0, candidates };
    }
    const people = [...directory.names().values()];
    const names = [...people, ...directory.groups().map(({ name }) => name)].filter((name) => name !== "");
    const [, begin = "", typed = ""] = /^(\/\S+\s+)(.*)$/s.exec(text) ?? [];
    const { command } = parseSlash(text);
    if (text.startsWith("/") && command?.takes !== undefined) {
      return { start: begin.length, candidates: matching(command.takes === "user" ? people : names, typed) };
    }
    const mention = /(?:^|\s)@([^\s@]*)$/u.exec(text);
    if (mention === null) return { start: text.length, candidates: [] };
    const start = text.length - (mention[1]?.length ?? 0);
    return { start, candidates: matching(people, mention[1] ?? "") };
  }

  #print(event: SessionEvent): void {
    for (const line of eventLines(event, this.#account.directory)) {
      if (event.kind === "status") this.#screen.status(line);
      else this.#screen.print(line);
    }
  }

  #showMessage(message: ChatMessage): void {
    const { directory, store } = this.#account;
    const { conversation, sender } = message;
    const isOwn = sender === directory.me.id;
    this.#list.add(message);
    const isMentionOfMe = !isOwn && isMentioned(message, directory.me.id);
    if (isMentionOfMe) this.#screen.ring();
    if (conversation === this.#current) {
      if (this.#typing?.id === message.sender) this.#endTyping();
      this.#showRow(message);
      this.#markRead(conversation);
      return;
    }
    const isMuted = (this.#list.get(conversation)?.mutedUntil ?? 0) > Date.now();
    if (!isOwn && (!isMuted || isMentionOfMe)) this.#screen.show(noticeRow(message, directory));
    if (message.seq === null) this.#screen.show(entryRow(message, directory, store));
  }

  #showRow(message: ChatMessage): void {
    const { directory, store } = this.#account;
    const { conversation, seq, sender, at } = message;
    this.#showDay(at);
    this.#screen.show(entryRow(message, directory, store), keyOf(conversation, seq));
    if (sender === directory.me.id && seq !== null) this.#mark(seq);
  }

  #showDay(at: number): void {
    const day = dayOf(at);
    if (day === this.#day) return;
    const isFirst = this.#day === "" && day === dayOf(Date.now());
    this.#day = day;
    if (!isFirst) this.#screen.show([{ text: `--- ${day} ---`, style: FAINT }]);
  }

  #showEntry(entry: ChatMessage): void {
    const { conversation, seq, at } = entry;
    const action = actionOf(entry);
    if (seq !== null) this.#list.touch(conversation, seq, at);
    const isSeen = action !== undefined && this.#redraw(conversation, action.ref);
    if (systemEventOf(entry) !== undefined) this.#noteMembership(entry);
    const { directory, store } = this.#account;
    if (conversation === this.#current) {
      if (!isSeen) this.#screen.show(entryRow(entry, directory, store));
      this.#markRead(conversation);
    } else if (action === undefined) {
      this.#screen.show([{ text: `${clockTime(at)} * ${entryLine(entry, directory)}`, style: FAINT }]);
    }
  }

  /** The user's own groups are what the log says. */
  #noteMembership(entry: ChatMessage): void {
    const event = systemEventOf(entry);
    const groupId = groupIdOf(entry.conversation);
    if (event === undefined || groupId === undefined) return;
    const { what, id, frame } = event;
    const { directory } = this.#account;
    directory.learnName(id, textOf(frame.name));
    directory.learnGroupName(groupId, textOf(frame.groupname));
    const isMe = id === directory.me.id;
    const isEnd = what === "left" || what === "removed";
    if (what === "dissolved" || (isMe && isEnd)) {
      directory.removeGroup(groupId);
      // What was said can still be read.
      if (this.#current === entry.conversation) this.#current = undefined;
      return;
    }
    const group = directory.group(groupId);
    if (group === undefined) {
      if (isMe && !isEnd) void this.#groups.learn(groupId);
      return;
    }
    const isNew = what === "added" || what === "joined";
    const isHandedOver = what === "role" && frame.role === "creator" && entry.sender === directory.me.id;
    directory.addGroup({
      ...group,
      name: textOf(frame.groupname) || group.name,
      description: frame.groupdesc === undefined ? group.description : textOf(frame.groupdesc),
      join: textOf(frame.join) || group.join,
      memberCount: group.memberCount + Number(isNew && !isMe) - Number(isEnd),
      role: what === "role" && isMe ? textOf(frame.role) : isHandedOver && !isMe ? "admin" : group.role,
    });
  }

  #showStored(message: ChatMessage): void {
    const { directory, store } = this.#account;
    const { conversation, seq, frame } = message;
    this.#list.add(message);
    const key = keyOf(conversation, seq);
    const isThere = this.#screen.update(textOf(frame?.cid), entryRow(message, directory, store), key);
    if (!isThere && conversation === this.#current) this.#showRow(message);
    else if (!isThere) this.#print({ kind: "stored", message });
    if (conversation === this.#current && seq !== null) this.#mark(seq);
  }

  #mark(seq: number): void {
    this.#marked.push(seq);
    if (this.#marked.length > MOST_MARKED) this.#marked.shift();
  }

  /** Somebody has got the user's own messages, up to there. */
  #markUpTo(seq: number): void {
    for (const own of this.#marked) if (own <= seq) this.#redraw(this.#current ?? "", own);
  }

  /** Draws a message anew as it is now. False: it is not on the screen. */
  #redraw(conversation: ConversationId, seq: number): boolean {
    const { directory, store } = this.#account;
    const message = store.find(conversation, seq);
    return message !== undefined &&
      this.#screen.update(keyOf(conversation, seq), entryRow(message, directory, store));
  }

  #markRead(conversation: ConversationId): void {
    const { lastSeq = 0 } = this.#list.get(conversation) ?? {};
    this.#account.read(conversation, lastSeq);
    this.#noteRead(conversation, lastSeq);
  }

  #noteRead(conversation: ConversationId, read: number): void {
    this.#list.read(conversation, read, { unread: 100, mentions: 100 });
    this.#screen.changePrompt(this.prompt);
  }

  async #open(conversation: ConversationId, count: number): Promise<Outcome> {
    this.#current = conversation;
    this.#day = "";
    this.#marked = [];
    const { directory } = this.#account;
    this.#screen.changePrompt(this.prompt);
    const { messages, problem } = await this.#account.history(conversation, count);
    if (this.#current !== conversation) return done();
    this.#screen.show([{
      text: `${titleOf(directory, conversation)}${this.#stateOf(conversation)}`,
      style: "1",
    }]);
    for (const message of messages) {
      directory.learnName(message.sender, message.name);
      this.#showRow(message);
    }
    this.#markRead(conversation);
    return problem === "" ? done() : done(`only what is stored here: ${problem}`);
  }

  #stateOf(conversation: ConversationId): string {
    const { directory } = this.#account;
    const groupId = groupIdOf(conversation);
    if (groupId !== undefined) {
      const { memberCount = 0, description = "" } = directory.group(groupId) ?? {};
      const size = memberCount > 0 ? `, ${memberCount} ${memberCount === 1 ? "member" : "members"}` : "";
      return ` (g${groupId}${size})${description === "" ? "" : `: ${description}`}`;
    }
    const state = directory.stateOf(otherOf(conversation, directory.me.id) ?? 0);
    return state === undefined ? "" : `, ${state}`;
  }

  async #openNext(): Promise<Outcome> {
    const next = this.#list.all().find(({ conversation, unread, mutedUntil }) =>
      unread > 0 && conversation !== this.#current && (mutedUntil ?? 0) < Date.now()
    );
    if (next === undefined) return done("nothing is unread");
    return await this.#open(next.conversation, Math.max(3, next.unread));
  }

  async #openNamed(text: string): Promise<Outcome> {
    if (text === "") return refused("whom? /chat NAME, or /chats for those you have");
    const { target, rest, problem } = await this.#find(text);
    if (target === undefined) return refused(problem);
    if (rest === "") return await this.#open(target, OPENED);
    this.#current = target;
    return this.say(rest);
  }

  /** The conversation whose name, or id, a text begins with. */
  async #find(text: string): Promise<{ target: ConversationId | undefined; rest: string; problem: string }> {
    const { directory } = this.#account;
    const me = directory.me.id;
    const known: [string, ConversationId][] = [
      ...Array.from(directory.names(), ([id, name]): [string, string] => [name, conversationOfUsers(me, id)]),
      ...directory.groups().map(({ id, name }): [string, string] => [name, conversationOfGroup(id)]),
    ];
    const lower = text.toLowerCase();
    const fitting = known.filter(([name]) => {
      const begin = name.toLowerCase();
      return begin !== "" && lower.startsWith(begin) && /^(?:\s|$)/.test(text.slice(name.length));
    }).sort(([one], [other]) => other.length - one.length);
    const [best] = fitting;
    if (best !== undefined) return { target: best[1], rest: text.slice(best[0].length).trim(), problem: "" };
    const [, word = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
    const group = /^g(\d+)$/i.exec(word);
    if (group !== null) return { target: conversationOfGroup(Number(group[1])), rest, problem: "" };
    const id = parseInteger(word);
    if (id !== undefined) return { target: conversationOfUsers(me, id), rest, problem: "" };
    const found = await this.#ask({ msgid: MSGID.FIND_MSG, name: word });
    const user = listOf(found.frame.users).find(isJsonObject);
    const person = user === undefined ? undefined : readPerson(user);
    if (person === undefined || person.id === 0) {
      const isUnknown = found.errno === ERRNO.OK || found.errno === ERRNO.NOT_FOUND;
      const why = isUnknown ? `nobody is called "${word}"` : `"${word}" is nobody you know yet`;
      return { target: undefined, rest, problem: `${why}; the number of a user works too: /chat 2` };
    }
    directory.learnName(person.id, person.name);
    directory.learnState(person.id, person.state);
    return { target: conversationOfUsers(me, person.id), rest, problem: "" };
  }

  /** Commands about a message of the conversation that is open. */
  async #inConversation({ name, args }: SlashCommand, text: string): Promise<Outcome> {
    const conversation = this.#current;
    if (conversation === undefined) return refused(`/${name}: no conversation is open; /chat NAME opens one`);
    if (name === "history") {
      const count = text === "" ? 20 : parseInteger(text, MOST_HISTORY);
      return count === undefined
        ? refused(`usage: /history [N], up to ${MOST_HISTORY}`)
        : await this.#open(conversation, count);
    }
    const { seq: given, rest } = splitNumber(text);
    const isOwn = name === "edit" || name === "recall";
    const seq = given ??
      this.#lastSeq(conversation, isOwn ? "own" : name === "reply" || name === "react" ? "others" : "all");
    if (seq === undefined) return refused(`/${name}: there is no message ${isOwn ? "of yours " : ""}here`);
    const needsText = name === "reply" || name === "edit" || name === "react" || name === "unreact";
    if (needsText && rest === "") return refused(`usage: /${name} ${args}`);
    switch (name) {
      case "reply":
        return this.say(rest, { reply: seq });
      case "edit":
        return await this.#act(conversation, seq, { act: "edit", msg: rest });
      case "react":
      case "unreact":
        return await this.#act(conversation, seq, { act: "react", emoji: rest, on: name === "react" });
      case "pin":
      case "unpin":
        return await this.#act(conversation, seq, { act: "pin", on: name === "pin" });
      case "recall":
        return await this.#act(conversation, seq, { act: "recall" });
      default:
        return await this.#versions(conversation, seq);
    }
  }

  #lastSeq(conversation: ConversationId, whose: "own" | "others" | "all"): number | undefined {
    const { store, directory } = this.#account;
    return store.latest(conversation, MOST_HISTORY).findLast((message) => {
      const isOwn = message.sender === directory.me.id;
      const fits = whose === "all" || (whose === "own") === isOwn;
      return fits && message.text !== null && systemEventOf(message) === undefined;
    })?.seq ?? undefined;
  }

  async #act(conversation: ConversationId, seq: number, details: JsonObject): Promise<Outcome> {
    if (this.#account.version < 3) return refused(`${textOf(details.act)}: this server is too old for it`);
    const { errno, text } = await this.#account.act(conversation, seq, details);
    if (errno !== ERRNO.OK) return refused(`#${seq}: ${text}`);
    return this.#redraw(conversation, seq) ? done() : done(`#${seq}: done`);
  }

  async #versions(conversation: ConversationId, seq: number): Promise<Outcome> {
    const reply = await this.#ask({ msgid: MSGID.HISTORY_MSG, conversation, versions: seq });
    if (reply.errno !== ERRNO.OK) return refused(reply.text);
    const texts = listOf(reply.frame.messages).filter(isJsonObject);
    return done(
      ...texts.map(({ at, msg }) =>
        `${dayOf(integerOf(at) ?? 0)} ${clockTime(integerOf(at) ?? 0)} ${textOf(msg)}`
      ),
    );
  }

  async #listChats(): Promise<Outcome> {
    await this.#loadMore();
    const all = this.#list.all();
    for (const summary of all) this.#screen.show(summaryRow(summary, this.#account.directory));
    const more = this.#more === undefined ? [] : ["/chats again shows older ones"];
    return done(...(all.length === 0 ? ["no conversations yet: /chat NAME begins one"] : more));
  }

  /** The first page came with the login. */
  async #loadMore(): Promise<void> {
    if (this.#more === undefined || this.#account.version < 3) return;
    const reply = await this.#ask({ msgid: MSGID.CONVERSATIONS_MSG, before: this.#more });
    if (reply.errno !== ERRNO.OK) return;
    const entries = listOf(reply.frame.conversations).filter(isJsonObject);
    this.#list.set(entries.map(readSummary));
    this.#account.addConversations(entries.map(readPosition));
    this.#more = nextBefore(reply.frame);
  }

  #listFriends(): Outcome {
    const { directory } = this.#account;
    const friends = directory.friends();
    for (const { id, state } of friends) this.#screen.show(personRow(nameOf(directory, id), id, state));
    return done(...(friends.length === 0 ? ["no friends yet: /add NAME"] : []));
  }

  #listGroups(): Outcome {
    const { directory } = this.#account;
    const groups = directory.groups();
    return done(
      ...groups.map(({ id }) =>
        `  ${titleOf(directory, conversationOfGroup(id))}${this.#stateOf(conversationOfGroup(id))}`
      ),
      ...(groups.length === 0 ? ["no groups yet: /create NAME makes one, /join LINK joins one"] : []),
    );
  }

  async #who(text: string): Promise<Outcome> {
    const { directory } = this.#account;
    const { target = this.#current, problem } = text === "" ? { problem: "" } : await this.#find(text);
    if (target === undefined) return problem === "" ? this.#listFriends() : refused(problem);
    const groupId = groupIdOf(target);
    if (groupId === undefined) {
      const other = otherOf(target, directory.me.id) ?? 0;
      this.#screen.show(personRow(nameOf(directory, other), other, directory.stateOf(other) ?? "not known"));
      return done();
    }
    const told = directory.group(groupId)?.members ?? [];
    const asked = this.#account.version === 3 && told.length === 0
      ? await this.#groups.members(groupId)
      : { members: told, more: false, problem: "" };
    const { members, more, problem: refusal } = asked;
    if (refusal !== "") return refused(refusal);
    for (const { id, name, state, role } of members) {
      directory.learnName(id, name);
      this.#screen.show(personRow(showName(name), id, role === "normal" ? state : `${state}, ${role}`));
    }
    return done(...(more ? ["and more"] : []));
  }

  async #addFriend(name: string): Promise<Outcome> {
    if (name === "") return refused("whom? /add NAME");
    const id = parseInteger(name);
    const who = id === undefined ? { friendname: name } : { friendid: id };
    const reply = await this.#ask({ msgid: MSGID.ADD_FRIEND_MSG, id: this.#account.directory.me.id, ...who });
    if (reply.errno !== ERRNO.OK) return refused(`/add ${name}: ${reply.text}`);
    const { friendid, name: full, state } = reply.frame;
    const friend = {
      id: integerOf(friendid, 1) ?? id ?? 0,
      name: textOf(full) || name,
      state: textOf(state),
    };
    this.#account.directory.addFriend(friend);
    return done(`${showName(friend.name)} is on your list of friends`);
  }

  async #createGroup(text: string): Promise<Outcome> {
    const [, name = "", description = ""] = /^([^:]*)(?::\s*(.*))?$/s.exec(text) ?? [];
    if (name.trim() === "") return refused("usage: /create NAME[: DESCRIPTION]");
    const { directory } = this.#account;
    const reply = await this.#ask({
      msgid: MSGID.CREATE_GROUP_MSG,
      id: directory.me.id,
      groupname: name.trim(),
      groupdesc: description,
    });
    const id = integerOf(reply.frame.groupid, 1);
    if (reply.errno !== ERRNO.OK || id === undefined) return refused(`/create: ${reply.text}`);
    const group = { id, name: name.trim(), description, members: [], memberCount: 1, role: "creator" };
    directory.addGroup({ ...group, join: this.#account.version < 3 ? "" : "closed" });
    this.#current = conversationOfGroup(id);
    const next = this.#account.version < 3
      ? `others join it by its number: /join g${id}`
      : "/invite NAME adds a friend, /link makes a link for others";
    return done(`the group ${showName(name.trim())} (g${id}) is made, and open here; ${next}`);
  }

  async #joinGroup(text: string): Promise<Outcome> {
    const joined = this.#account.version < 3 ? undefined : await this.#groups.join(text);
    if (typeof joined === "string") return await this.#open(joined, OPENED);
    if (joined !== undefined) return joined;
    const id = parseInteger(text.replace(/^g/i, ""));
    if (id === undefined) {
      return refused("usage: /join LINK, or the number of an open group, such as /join g7");
    }
    const { directory } = this.#account;
    const reply = await this.#ask({ msgid: MSGID.ADD_GROUP_MSG, id: directory.me.id, groupid: id });
    if (reply.errno !== ERRNO.OK) return refused(`/join g${id}: ${reply.text}`);
    if (directory.group(id) === undefined) {
      const group = { id, name: "", description: "", members: [], memberCount: 0, role: "normal", join: "" };
      directory.addGroup(group);
      await this.#groups.learn(id);
    }
    return await this.#open(conversationOfGroup(id), OPENED);
  }

  async #devices(): Promise<Outcome> {
    const reply = await this.#ask({ msgid: MSGID.DEVICE_MSG, op: "list" });
    if (reply.errno !== ERRNO.OK) return refused(`/devices: ${reply.text}`);
    const devices = listOf(reply.frame.devices).filter(isJsonObject);
    return done(...devices.map((device) => {
      const seen = integerOf(device.seen, 1);
      const state = device.current === true
        ? "this one"
        : device.online === true
        ? "online"
        : seen === undefined
        ? ""
        : `last seen ${dayOf(seen)} ${clockTime(seen)}`;
      return `  ${integerOf(device.device_id) ?? ""} ${showName(textOf(device.device))} ${state}`;
    }));
  }

  async #revoke(text: string): Promise<Outcome> {
    const id = parseInteger(text);
    if (id === undefined) return refused("usage: /revoke DEVICE, by its number in /devices");
    const reply = await this.#ask({ msgid: MSGID.DEVICE_MSG, op: "revoke", device_id: id });
    return reply.errno === ERRNO.OK ? done(`device ${id} is logged out`) : refused(`/revoke: ${reply.text}`);
  }

  /** From version 2 on there is always an answer. */
  #ask(frame: JsonObject): Promise<Reply> {
    return this.#session.askOnce(frame);
  }

  /** In a group: those whose names stand behind an @. */
  #mentionsIn(text: string): number[] {
    if (this.#current === undefined || groupIdOf(this.#current) === undefined) return [];
    const { directory } = this.#account;
    const lower = text.toLowerCase();
    return Array.from(directory.names()).filter(([id, name]) => {
      const at = id === directory.me.id ? -1 : lower.indexOf(`@${name.toLowerCase()}`);
      return at >= 0 && !/^[\p{L}\p{N}_]/u.test(text.slice(at + 1 + name.length));
    }).map(([id]) => id);
  }
}

function keyOf(conversation: ConversationId, seq: number | null): string {
  return `${conversation}#${seq}`;
}

function personRow(name: string, id: number, state: string): Row {
  return ["  ", { text: name, style: "1" }, ` (${id}) `, { text: state, style: FAINT }];
}

/** Those that begin with what was typed, whatever its case. */
function matching(names: readonly string[], typed: string): string[] {
  const lower = typed.toLowerCase();
  return names.filter((name) => name.toLowerCase().startsWith(lower)).map((name) => `${name} `);
}
