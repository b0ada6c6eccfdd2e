/**
 * A user under load: stays connected to some node for as long as it wants to, says things and notes in the ledger what
 * it is told. Written from PROTOCOL.md; the two versions are in their own modules.
 *
 * @module
 */

import { ChatClient, type Frame, TIME } from "../support/chat_client.ts";
import type { Random } from "../support/random.ts";
import type { Hearer, Ledger, Version } from "./ledger.ts";

/** A one-to-one message's receiver, or a group. */
export type Target = { user: number } | { group: number };

/** What a user is made of. */
export interface LoadUserOptions {
  /** User id. */
  id: number;
  /** As signed up. */
  name: string;
  /** Where it notes things. */
  ledger: Ledger;
  /** The nodes it may try now. */
  ports: () => readonly number[];
  /** For back-off and the choice of a node. */
  random: Random;
}

/** A client that has lost its connection waits up to this, doubled with each try up to the other, ms. */
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 2_000;

/** How long the reply to a login may take before the client tries another node. */
const LOGIN_MS = 8_000;

const encoder = new TextEncoder();

/** A server said no to a login. */
export class NotLetIn extends Error {
  /** Its reply. */
  readonly reply: Frame;

  /** `reply`: what it said. */
  constructor(reply: Frame) {
    super(`Not let in: ${JSON.stringify(reply)}`);
    this.reply = reply;
  }
}

/** The life of a connection; what is said on it is the versions' business. */
export abstract class LoadUser {
  /** User id. */
  readonly id: number;
  /** As signed up. */
  readonly name: string;
  /** Of the protocol. */
  readonly version: Version;
  /** Its frames are cut into pieces on their way out. */
  isTorn = false;
  /** Codes of the notices it was given. */
  readonly notices: string[] = [];
  /** Where it notes things. */
  protected readonly ledger: Ledger;
  /** What it has heard. */
  protected readonly hearer: Hearer;
  /** For whatever is left to chance. */
  protected readonly random: Random;
  /** What the server may ask a client to wait before it comes back; ms. */
  protected comeBackInMs: number | undefined;
  /** When the last frame came, performance clock. */
  protected heardAt = 0;
  #ports: () => readonly number[];
  #client: ChatClient | undefined;
  #isIn = false;
  #isWanted = false;
  #wantedSince = 0;
  #said = 0;
  #life: Promise<void> = Promise.resolve();
  #sending: Promise<void> = Promise.resolve();
  #wake: () => void = () => {};
  /** Pending while it does not read. */
  #reading: Promise<void> | undefined;
  #goOn: () => void = () => {};
  #isHeld = false;

  /** Does nothing yet. */
  constructor(version: Version, { id, name, ledger, ports, random }: LoadUserOptions) {
    this.version = version;
    this.id = id;
    this.name = name;
    this.ledger = ledger;
    this.hearer = ledger.addHearer(id, version);
    this.random = random;
    this.#ports = ports;
  }

  /** How many messages it has heard. */
  get heardCount(): number {
    return this.hearer.keys.size;
  }

  /** Logged in, as far as it knows. */
  get isIn(): boolean {
    return this.#isIn;
  }

  /** Wants to be connected. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Where it stands, for whoever wonders why a test waits. */
  toString(): string {
    return `${this.name} ${this.#isIn ? "in" : this.#isWanted ? "wants to be in" : "out"}`;
  }

  /** Wants to be connected from now on. */
  comeIn(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#wantedSince = performance.now();
    this.#life = this.#live();
  }

  /** Says goodbye in good order and is gone when this resolves. */
  async leave(): Promise<void> {
    this.#isWanted = false;
    this.#wake();
    this.continueReading();
    const client = this.#client;
    if (client && this.#isIn) await this.sayGoodbye(client);
    else client?.close();
    await this.#life;
  }

  /** Vanishes: the connection is closed with whatever is unread, and nobody comes back. */
  async vanish(): Promise<void> {
    this.#isWanted = false;
    this.#wake();
    this.continueReading();
    this.#client?.close();
    await this.#life;
  }

  /** Loses its connection, by no fault of the server, and comes back by itself. */
  drop(): void {
    this.#isIn = false;
    this.#client?.close();
  }

  /** Does not come back until {@linkcode release}, whatever happens to the connection. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Ends {@linkcode hold}. */
  release(): void {
    this.#isHeld = false;
    this.#wake();
  }

  /** Reads nothing from now on. */
  stopReading(): void {
    this.#reading ??= new Promise((resolve) => this.#goOn = resolve);
  }

  /** False after {@linkcode stopReading}. */
  protected get isReading(): boolean {
    return this.#reading === undefined;
  }

  /** Reads again. */
  continueReading(): void {
    if (!this.isReading) this.#wantedSince = performance.now();
    this.#reading = undefined;
    this.#goOn();
  }

  /** Called ten times a second or so while it wants to be connected. */
  tick(_now: number): void {}

  /** The next message's key: tells it from every other of all users. */
  protected nextKey(): string {
    return `${this.id}.${++this.#said}`;
  }

  /** A chat frame with this key. */
  protected chatFrame(target: Target, key: string, length?: number): Record<string, unknown> {
    const to = "user" in target ? { msgid: 6, toid: target.user } : { msgid: 10, groupid: target.group };
    const msg = "x".repeat(length ?? this.random.below(200));
    return { ...to, id: this.id, name: this.name, msg, time: TIME, key };
  }

  /** Frames go out one after the other: a write may be cut short by a peer that does not read. */
  protected send(frame: Record<string, unknown>): void {
    const client = this.#client;
    if (!client) return;
    const write = () => this.isTorn ? this.#sendTorn(client, frame) : client.send(frame);
    this.#sending = this.#sending.then(write).catch(() => client.close());
  }

  /** In two to four writes; what follows is glued to the last one when there is more to send. */
  async #sendTorn(client: ChatClient, frame: Record<string, unknown>): Promise<void> {
    let bytes = encoder.encode(`${JSON.stringify(frame)}\0`);
    for (let piece = this.random.below(3); piece >= 0; piece--) {
      const length = this.random.below(bytes.length);
      await client.sendBytes(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
    }
    await client.sendBytes(bytes);
  }

  /** Resolves when all frames have been given to the system. */
  protected sent(): Promise<void> {
    return this.#sending;
  }

  /** Says something; false when it cannot at the moment. */
  abstract say(target: Target, length?: number): boolean;

  /** Becomes a member of a group, sooner or later. */
  join(groupid: number): void {
    this.send({ msgid: 9, id: this.id, groupid });
  }

  /** Logs in on a new connection; throws {@linkcode NotLetIn}, or what the connection throws. */
  protected abstract logIn(client: ChatClient, deadlineMs: number): Promise<void>;

  /** Something came. */
  protected abstract onFrame(frame: Frame): void;

  /** Ends the connection so that nothing is in doubt. */
  protected abstract sayGoodbye(client: ChatClient): Promise<void>;

  async #live(): Promise<void> {
    for (let attempt = 0; this.#isWanted;) {
      this.comeBackInMs = undefined;
      try {
        if (!this.#isHeld) attempt = await this.#connect() ? 0 : attempt;
      } catch (error) {
        this.#noteFailure(error);
      }
      if (!this.#isWanted) return;
      const bound = Math.min(BACKOFF_MIN_MS * 2 ** attempt++, BACKOFF_MAX_MS);
      await this.#pause(this.comeBackInMs ?? this.random.below(bound));
    }
  }

  /** One connection from dialling to its end; true when it got in. */
  async #connect(): Promise<boolean> {
    const ports = this.#ports();
    if (ports.length === 0) return false;
    const client = await ChatClient.connect(this.choosePort(ports));
    let wasIn = false;
    try {
      if (!this.#isWanted) return false;
      this.#client = client;
      this.#sending = Promise.resolve();
      this.heardAt = performance.now();
      await this.logIn(client, LOGIN_MS);
      this.#isIn = wasIn = true;
      this.onIn();
      while (true) {
        const frame = await client.receive(600_000);
        await this.#reading;
        this.heardAt = performance.now();
        this.onFrame(frame);
      }
    } catch (error) {
      this.#noteFailure(error);
      return wasIn;
    } finally {
      this.#isIn = false;
      this.#client = undefined;
      client.close();
      this.onOut();
    }
  }

  /** Which of the nodes it tries next. */
  protected choosePort(ports: readonly number[]): number {
    return this.random.pick(ports);
  }

  /** It is in: what had to wait can be said. */
  protected onIn(): void {}

  /** The connection is over. */
  protected onOut(): void {}

  /** A connection may break in any way; what it brings may not be broken. */
  #noteFailure(error: unknown): void {
    if (error instanceof SyntaxError || error instanceof TypeError) this.ledger.oddities.push(String(error));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Notes a chat frame; false when the user has it already. */
  protected hear({ conversation, seq, key }: Frame): boolean {
    if (conversation === undefined || seq === undefined) {
      this.ledger.oddities.push(`user ${this.id}: a chat frame without its place`);
      return false;
    }
    const place = { conversation, seq };
    return this.ledger.noteHeard(this.hearer, place, String(key), this.#wantedSince);
  }
}
