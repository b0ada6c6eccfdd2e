/**
 * The terminal client.
 *
 * On a terminal it edits lines in place and asks; with version 1 by the original's two menus. On a pipe it reads one line for each answer and command, writes results
 * to standard output and lines about the connection to standard error. At the end of its input it waits until everything
 * was acknowledged and everything that waited for the user has arrived; its exit code is 0 when nothing was refused.
 *
 * @module
 */

import { type Clock, systemClock } from "../../base/clock.ts";
import { errorText, EXIT, FatalError } from "../../base/errors.ts";
import type { ClientOptions } from "../../config/options.ts";
import { ERRNO } from "../../protocol/protocol.ts";
import type { JsonObject, ProtocolVersion } from "../../protocol/protocol.ts";
import type { Account } from "../core/account.ts";
import { Actions } from "./actions.ts";
import type { Action, Outcome } from "./actions.ts";
import { ClientSession } from "../core/client_session.ts";
import type { ModernClient } from "../core/client_session.ts";
import { parseCommand, parseInteger } from "./commands.ts";
import type { Directory } from "../core/directory.ts";
import type { SessionEvent } from "../core/events.ts";
import { fallBack } from "../core/other_log.ts";
import { readProfile } from "../core/profile.ts";
import { DeviceStores } from "./device_stores.ts";
import { serverFolder } from "./history_path.ts";
import { HistoryStore } from "./history_store.ts";
import { eventJson } from "./json_lines.ts";
import { integerOf, textOf } from "../core/messages.ts";
import { PipeScreen } from "./pipe_screen.ts";
import { plainReason } from "./plain_reason.ts";
import { printable } from "../../base/printable.ts";
import type { Screen, Terminal } from "./screen.ts";
import { drainOutbox, settle } from "../core/settle.ts";
import type { Patience } from "../core/settle.ts";
import { onEndingSignal, openTerminal } from "./terminal.ts";
import type { Dial } from "../core/transport.ts";
import { createDialer } from "./tcp_transport.ts";
import { parseSlash } from "./slash.ts";
import { Talk } from "./talk.ts";
import { TtyScreen } from "./tty_screen.ts";
import { eventLines } from "./view.ts";

/** What a client stands on; a test puts in its own. */
export interface ClientSurroundings {
  /** Where the user sits. */
  terminal: Terminal;
  /** The way to the server. */
  dial: Dial;
  /** Times waits. */
  clock: Clock;
  /** Reports that the process is asked to end, with an exit code; returns what stops that. */
  onEndingSignal(listener: (exitCode: number) => void): () => void;
}

const MENU_LINES: readonly string[] = ["1. login", "2. register", "3. quit"];
/** A script waits for acknowledgements as long as something moves at least this often. */
const SCRIPT_PATIENCE_MS = 30_000;
/** A person has said quit. */
const PERSON_PATIENCE_MS = 2000;
/** The original's commands, which a person may go on typing; in an open conversation `help` is a word like others. */
const ORIGINAL = /^\s*(?:chat|groupchat|addfriend|creategroup|addgroup|history|recall|help):/i;
/** As the protocol has it. */
const DEVICE_NAME_MAX = 64;
/** So far a script may run ahead of the acknowledgements. */
const MAX_UNSENT = 256;

/** Runs the client until its user leaves. Resolves with the exit code; throws a FatalError when it cannot begin. */
export async function runClient(options: ClientOptions, surroundings?: ClientSurroundings): Promise<number> {
  const client = new Client(options, surroundings ?? await realSurroundings(options));
  return await client.run();
}

async function realSurroundings({ host, port, tls, tlsCaPath }: ClientOptions): Promise<ClientSurroundings> {
  const caCerts = tlsCaPath === null ? [] : [await readCertificates(tlsCaPath)];
  return {
    terminal: openTerminal(),
    dial: createDialer({ host, port, isTls: tls, caCerts }),
    clock: systemClock,
    onEndingSignal,
  };
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new FatalError(EXIT.config, `Cannot read the certificates in "${path}": ${plainReason(error)}`, {
      cause: error,
    });
  }
}

class Client {
  readonly #options: ClientOptions;
  readonly #surroundings: ClientSurroundings;
  readonly #screen: Screen;
  readonly #session: ClientSession;
  /** Undefined when nothing is to be kept. */
  readonly #stores: DeviceStores | undefined;
  /** The store of the account that is logged in, and the login reply that comes before it. */
  #store: HistoryStore | undefined;
  #loginReply: JsonObject = {};
  /** What a person has before them who is logged in, from version 2 on. */
  #talk: Talk | undefined;
  /** Settles when a kept login has worked, or has not. */
  #resuming: PromiseWithResolvers<boolean> | undefined;
  /** Set when the client is to end, whatever it is doing. */
  #endingCode: number | undefined;
  /** What can be typed was said once. */
  #isGreeted = false;
  /** Something was refused: a script's exit code says so. */
  #hasFailed = false;

  constructor(options: ClientOptions, surroundings: ClientSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    const { terminal, dial, clock } = surroundings;
    const isInteractive = terminal.isInputTerminal && terminal.isOutputTerminal;
    const { host, port, historyFolder } = options;
    if (historyFolder !== null && !options.v1) {
      this.#stores = new DeviceStores(serverFolder(historyFolder, host, port));
    }
    this.#session = new ClientSession({
      dial,
      server: `${options.host}:${options.port}`,
      isV1: options.v1,
      // Who opens conversations says what has been read.
      isForScript: !isInteractive || !options.v1,
      clock,
      wallNow: Date.now,
      random: Math.random,
      openStore: (userId, version) => this.#openStore(userId, version),
      onEvent: (event) => this.#show(event),
      ...(options.v1 ? {} : { modern: this.#modern() }),
    });
    this.#screen = isInteractive
      ? new TtyScreen(terminal, () => this.#end(EXIT.ok), options.colors)
      : new PipeScreen(terminal, () => this.#end(EXIT.failure), options.json);
  }

  async run(): Promise<number> {
    // A terminal left in raw mode is useless to its user: nothing may end the process without giving it back.
    const giveBack = () => this.#screen.close();
    globalThis.addEventListener("error", giveBack);
    globalThis.addEventListener("unhandledrejection", giveBack);
    const stopSignals = this.#surroundings.onEndingSignal((exitCode) => this.#end(exitCode));
    try {
      const problem = await this.#session.connect();
      if (this.#endingCode === undefined) {
        if (problem !== "") throw new FatalError(EXIT.unavailable, problem);
        await this.#serve();
      }
      return this.#endingCode ?? await this.#finish();
    } finally {
      this.#screen.close();
      await this.#leave();
      this.#stores?.release();
      stopSignals();
      globalThis.removeEventListener("error", giveBack);
      globalThis.removeEventListener("unhandledrejection", giveBack);
    }
  }

  async #serve(): Promise<void> {
    const { user, password } = this.#options;
    const isResumed = password === null && this.#screen.isInteractive &&
      await this.#resume(user === null ? undefined : readWho(user));
    if (user !== null && !isResumed) {
      const wasLoggedIn = await this.#loginAs(readWho(user), password ?? undefined);
      // The rest of a script was meant for that user.
      if (!wasLoggedIn && !this.#screen.isInteractive) return;
    }
    let isOn = true;
    while (isOn) {
      const { account } = this.#session;
      if (account === undefined) {
        const hasMenu = this.#options.v1 || !this.#screen.isInteractive;
        isOn = hasMenu ? await this.#startMenu() : await this.#askName();
      } else {
        isOn = this.#talk === undefined
          ? await this.#chat(account)
          : await this.#converse(account, this.#talk);
      }
    }
  }

  /** Goes on as who was logged in here before, and has not logged out. */
  async #resume(who: number | string | undefined): Promise<boolean> {
    const kept = this.#stores?.findLogin(who);
    if (kept === undefined) return false;
    this.#resuming = Promise.withResolvers<boolean>();
    this.#session.resume(kept.userId, kept.token);
    const isResumed = await this.#resuming.promise;
    if (!isResumed) this.#stores?.release();
    return isResumed;
  }

  /** Asks a person who they are; false when they leave. */
  async #askName(): Promise<boolean> {
    if (!this.#isGreeted) {
      this.#screen.print("your name logs you in, /register makes a new user, /quit leaves");
    }
    this.#isGreeted = true;
    const line = await this.#screen.readLine("name: ");
    if (line === undefined) return false;
    const name = line.trim();
    switch (name.toLowerCase()) {
      case "":
        break;
      case "/quit":
      case "quit":
        return false;
      case "/register":
        await this.#register();
        break;
      default:
        if (name.startsWith("/")) {
          this.#fail(`there is no ${name} before you are logged in; there are /register and /quit`);
        } else await this.#loginAs(readWho(name), undefined);
    }
    return true;
  }

  /** A person's conversations, until they log out; false when they leave. */
  async #converse(account: Account, talk: Talk): Promise<boolean> {
    const actions = new Actions(this.#session, account);
    for (;;) {
      const line = await this.#screen.readLine(printable(talk.prompt), {
        isRemembered: true,
        complete: (text) => talk.complete(text),
        isTakenOff: (text) => talk.isMessage(text) && !ORIGINAL.test(text),
        onEdit: (text) => {
          if (talk.isMessage(text) && !ORIGINAL.test(text)) talk.tellTyping(text);
        },
        onInterrupt: () => this.#interruptText(account),
      });
      if (this.#session.account !== account) return true;
      if (line === undefined) return false;
      if (line.trim() === "") continue;
      if (line.startsWith("/") && !line.startsWith("//")) {
        const name = parseSlash(line).command?.name;
        if (name === "quit") return false;
        if (name === "logout") return await this.#logout(account);
        const reporting = this.#report(talk.run(line));
        // It has lines of its own to read.
        if (name === "password" || name === "account") await reporting;
      } else if (talk.isMessage(line) && !ORIGINAL.test(line)) {
        await this.#say(talk, line.replace(/^\/\//, "/"));
      } else {
        const command = parseCommand(line);
        if (command.name === "quit") return false;
        if (command.name === "loginout") return await this.#logout(account);
        if (command.name !== "problem") this.#report(actions.run(command));
        else if (ORIGINAL.test(line)) this.#fail(command.problem);
        else await this.#say(talk, line);
      }
    }
  }

  /** What was pasted in several lines may be one message or several. */
  async #say(talk: Talk, text: string): Promise<void> {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    let texts = [text];
    if (lines.length > 1) {
      this.#screen.print(`${lines.length} lines: one message (o), several (s), or none of it (n)?`);
      const answer = await this.#screen.readLine("o, s or n: ");
      const choice = answer?.trim().toLowerCase().charAt(0) ?? "n";
      texts = choice === "o" ? [text] : choice === "s" ? lines : [];
    }
    for (const one of texts) await this.#report(Promise.resolve(talk.say(one)));
  }

  #interruptText({ unsent }: Account): string {
    const fate = this.#store?.isKept ? "are kept and sent the next time" : "would be lost";
    return unsent === 0
      ? "Ctrl-C again leaves"
      : `Ctrl-C again leaves; ${unsent} of your messages are not sent and ${fate}`;
  }

  /** One round of the first menu; false when there is nothing more to do. */
  async #startMenu(): Promise<boolean> {
    if (this.#screen.isInteractive) { for (const line of MENU_LINES) this.#screen.print(line); }
    const line = await this.#screen.readLine("choice: ");
    if (line === undefined) return false;
    switch (line.trim().toLowerCase()) {
      case "":
        break;
      case "1":
      case "login":
        await this.#login();
        break;
      case "2":
      case "register":
      case "signup":
        await this.#register();
        break;
      case "3":
      case "quit":
        return false;
      case "code":
        await this.#resetPassword();
        break;
      default:
        this.#fail(
          `unknown choice "${line}"; 1 is login, 2 register, 3 quit; code sets a password by a code of the operator's`,
        );
    }
    return true;
  }

  async #login(): Promise<void> {
    const line = await this.#screen.readLine(this.#options.v1 ? "user id: " : "name or id: ");
    if (line === undefined) return;
    const who = readWho(line);
    const isNoId = this.#options.v1 && typeof who === "string";
    if (isNoId) this.#fail(`"${line}" is not a user id, which is a number`);
    // A script's next line is the password in any case.
    if (isNoId && this.#screen.isInteractive) return;
    const password = await this.#screen.readLine("password: ", { isSecret: true });
    if (!isNoId && password !== undefined) await this.#loginAs(who, password);
  }

  async #loginAs(who: number | string, givenPassword: string | undefined): Promise<boolean> {
    const password = givenPassword ?? await this.#screen.readLine("password: ", { isSecret: true });
    if (password === undefined) return false;
    const reply = await this.#session.login(who, password);
    if (reply.errno === ERRNO.OK) return true;
    this.#stores?.release();
    const isTooOld = typeof who === "string" && reply.errno === ERRNO.MALFORMED;
    this.#fail(
      `login: ${isTooOld ? "this server knows its users by their ids: type that instead" : reply.text}`,
    );
    return false;
  }

  async #register(): Promise<void> {
    const name = await this.#screen.readLine("name: ");
    const password = name === undefined
      ? undefined
      : await this.#screen.readLine("password: ", { isSecret: true });
    if (name === undefined || password === undefined) return;
    let reply = await this.#session.signup(name, password);
    if (reply.frame.signup === "invite") {
      const invite = await this.#screen.readLine("invitation: ");
      if (invite === undefined) return;
      reply = await this.#session.signup(name, password, invite);
    }
    if (reply.errno !== ERRNO.OK) this.#fail(`register: ${reply.text}`);
    else this.#screen.print(`registered: your user id is ${integerOf(reply.frame.id) ?? "unknown"}`);
    const id = integerOf(reply.frame.id, 1);
    if (id !== undefined && this.#screen.isInteractive && !this.#options.v1) {
      await this.#loginAs(id, password);
    }
  }

  async #resetPassword(): Promise<void> {
    if (this.#options.v1) return this.#fail("code: version 1 knows no codes");
    const code = await this.#screen.readLine("code: ");
    const password = code === undefined
      ? undefined
      : await this.#screen.readLine("new password: ", { isSecret: true });
    if (code === undefined || password === undefined) return;
    const reply = await this.#session.resetPassword(code.trim(), password);
    if (reply.errno !== ERRNO.OK) return this.#fail(`code: ${reply.text}`);
    const id = integerOf(reply.frame.id, 1);
    this.#screen.print(`the password of ${printable(textOf(reply.frame.name))} (${id}) is set`);
    if (id !== undefined && this.#screen.isInteractive) await this.#loginAs(id, password);
  }

  /** The second menu, until logout; false when there is nothing more to do. */
  async #chat(account: Account): Promise<boolean> {
    const actions = new Actions(this.#session, account);
    const prompt = `${printable(account.directory.me.name)}> `;
    for (;;) {
      const line = await this.#screen.readLine(prompt, { isRemembered: true });
      if (this.#session.account !== account) return this.#screen.isInteractive;
      if (line === undefined) return false;
      if (line.trim() === "") continue;
      const command = parseCommand(line);
      switch (command.name) {
        case "problem":
          this.#fail(command.problem);
          break;
        case "quit":
          return false;
        case "loginout":
          return await this.#logout(account);
        default:
          await this.#run(actions, command);
      }
    }
  }

  /** A person goes on typing while the server answers; a script's next line may rest on the answer. */
  async #run(actions: Actions, action: Action): Promise<void> {
    if (this.#screen.isInteractive) {
      this.#report(actions.run(action));
      return;
    }
    const isMessage = action.name === "chat" || action.name === "groupchat";
    await drainOutbox(this.#session, this.#patience, isMessage ? MAX_UNSENT : 0);
    await this.#report(actions.run(action));
  }

  async #report(running: Promise<Outcome>): Promise<void> {
    try {
      const { lines, isRefused } = await running;
      if (isRefused) this.#hasFailed = true;
      for (const line of lines) this.#screen.print(line);
    } catch (error) {
      this.#fail(errorText(error));
    }
  }

  /** Always true: there is the menu then. */
  async #logout(account: Account): Promise<true> {
    await this.#settle();
    const { unsent } = account;
    if (account.version === 3 && this.#store !== undefined) forgetDevice(this.#store);
    const problem = await this.#session.logout();
    this.#talk = undefined;
    this.#screen.print(problem === "" ? "logged out" : `logged out; ${problem}`);
    this.#tellUnsent(unsent);
    return true;
  }

  /** The input has ended, or the user has said quit. */
  async #finish(): Promise<number> {
    const { account } = this.#session;
    if (account !== undefined) {
      const isSettled = await this.#settle();
      if (!isSettled && !this.#screen.isInteractive) this.#hasFailed = true;
      this.#tellUnsent(account.unsent);
    }
    if (this.#endingCode !== undefined) return this.#endingCode;
    return this.#hasFailed && !this.#screen.isInteractive ? EXIT.failure : EXIT.ok;
  }

  async #settle(): Promise<boolean> {
    return await settle(this.#session, this.#patience);
  }

  get #patience(): Patience {
    const patienceMs = this.#screen.isInteractive ? PERSON_PATIENCE_MS : SCRIPT_PATIENCE_MS;
    return { clock: this.#surroundings.clock, patienceMs };
  }

  #tellUnsent(count: number): void {
    const fate = this.#store?.isKept ? "kept, and sent at the next login" : "perhaps lost";
    if (count > 0) this.#screen.print(`! not acknowledged: ${count} of your messages; ${fate}`);
  }

  /** A device that is kept comes back; another one logs out, so that the server forgets it. */
  async #leave(): Promise<void> {
    const { account } = this.#session;
    const comesBack = account?.version === 3 && this.#store?.isKept === true;
    await (comesBack ? this.#session.leave() : this.#session.stop());
  }

  #modern(): ModernClient {
    return {
      device: deviceName(this.#options),
      deviceOf: (who) => {
        const isLoggedIn = this.#session.account !== undefined;
        return isLoggedIn ? Number(this.#store?.setting("device")) || undefined : this.#stores?.find(who);
      },
      onLink: () => {
        if (this.#talk !== undefined) this.#screen.changePrompt(printable(this.#talk.prompt));
      },
      onLogin: (frame) => {
        this.#loginReply = frame;
        const isOurs = frame.id === this.#session.account?.directory.me.id && frame.device_id !== undefined;
        if (isOurs && this.#store !== undefined) keepDevice(this.#store, frame);
        this.#talk?.takeLogin(frame);
      },
      onToken: (token) => this.#store?.saveSetting("token", token),
      onFrame: (frame) => this.#talk?.takeFrame(frame),
    };
  }

  #openStore(userId: number, version: ProtocolVersion): HistoryStore {
    if (version === 1 && !this.#options.v1) {
      this.#screen.status("the server speaks only version 1: no acknowledgements, and nothing is kept");
    }
    this.#store = version === 1 ? new HistoryStore(":memory:") : this.#openKept(userId);
    if (version === 3) {
      keepDevice(this.#store, this.#loginReply);
      if (!this.#screen.isInteractive) beginAtUnread(this.#store, this.#loginReply);
    }
    return this.#store;
  }

  #openKept(userId: number): HistoryStore {
    try {
      return this.#stores?.open(userId) ?? new HistoryStore(":memory:");
    } catch (error) {
      this.#screen.status(`nothing is kept, the local history cannot be opened: ${plainReason(error)}`);
      return new HistoryStore(":memory:");
    }
  }

  #printEvent(event: SessionEvent, directory: Directory | undefined): void {
    if (this.#options.json && this.#screen instanceof PipeScreen) {
      this.#screen.printJson(eventJson(event));
      return;
    }
    for (const line of eventLines(event, directory)) {
      if (event.kind === "status") this.#screen.status(line);
      else this.#screen.print(line);
    }
  }

  #show(event: SessionEvent): void {
    const { account } = this.#session;
    if (event.kind === "logged_in" && account !== undefined) {
      this.#resuming?.resolve(true);
      if (this.#screen.isInteractive && account.version > 1) {
        this.#talk = new Talk(this.#session, account, this.#screen);
        for (const [id, name] of this.#store?.names() ?? []) {
          if (account.directory.nameOf(id) === undefined) account.directory.learnName(id, name);
        }
        this.#talk.takeLogin(this.#loginReply);
        this.#talk.greet();
        return;
      }
    }
    if (this.#talk !== undefined && event.kind !== "logged_out") {
      this.#talk.show(event);
      return;
    }
    this.#printEvent(event, account?.directory);
    if (event.kind === "refused") this.#hasFailed = true;
    if (event.kind !== "logged_out") return;
    this.#talk = undefined;
    this.#store = undefined;
    this.#resuming?.resolve(false);
    this.#hasFailed = true;
    this.#screen.cancelLine();
  }

  #fail(text: string): void {
    this.#hasFailed = true;
    this.#screen.print(`! ${text}`);
  }

  /** Ends at once: whatever is awaited resolves now. */
  #end(exitCode: number): void {
    this.#endingCode ??= exitCode;
    this.#screen.close();
    this.#leave();
  }
}

/** "ann@desk terminal", unless the user has a better name for it. */
function deviceName({ device, localUser }: ClientOptions): string {
  const place = localUser === null ? Deno.hostname() : `${localUser}@${Deno.hostname()}`;
  return device ?? `${place.slice(0, DEVICE_NAME_MAX - " terminal".length)} terminal`;
}

/**
 * Writes down, before anything follows from a login reply of version 3, what this device comes back with: the token before is
 * worthless once this one has been used.
 */
function keepDevice(store: HistoryStore, frame: JsonObject): void {
  const now = Date.now();
  const { name, conversations } = readProfile(frame, now);
  const epoch = textOf(frame.epoch);
  const known = store.setting("epoch");
  store.transaction(() => {
    if (known !== undefined && epoch !== "" && epoch !== known) fallBack(store, conversations, now);
    store.saveSetting("name", name);
    store.saveSetting("device", String(integerOf(frame.device_id) ?? ""));
    store.saveSetting("token", textOf(frame.token));
    if (epoch !== "") store.saveSetting("epoch", epoch);
  });
}

/**
 * A new device is sent nothing old. But a script is there to receive: in conversations that are new here it begins with
 * what the user has not read.
 */
function beginAtUnread(store: HistoryStore, frame: JsonObject): void {
  const known = new Set(store.conversations().map(({ id }) => id));
  store.transaction(() => {
    for (const { conversation: id, lastSeq, read } of readProfile(frame, Date.now()).conversations) {
      if (known.has(id) || read >= lastSeq) continue;
      store.saveConversation({ id, base: read, top: read, shown: read });
    }
  });
}

/** The server knows it no more. */
function forgetDevice(store: HistoryStore): void {
  store.transaction(() => {
    store.saveSetting("device", undefined);
    store.saveSetting("token", undefined);
  });
}

/** Digits are an id. */
function readWho(text: string): number | string {
  return parseInteger(text) ?? text.trim();
}
