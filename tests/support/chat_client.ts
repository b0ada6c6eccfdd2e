/**
 * A raw chat client for tests: it sends whatever it is told, bytes or frames, and reads only when it is asked to, so that
 * a client that stops reading is one that is not asked. It shares no code with the program: what it finds wrong, it finds
 * by itself.
 *
 * ```ts
 * await using li = await ChatClient.connect(server.port);
 * const id = await signUp(li, "li");
 * await logIn(li, id);
 * li.send({ msgid: 6, id, name: "li", toid: 2, msg: "hi", time: TIME });
 * ```
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { DEADLINE_MS } from "./process.ts";

/** What a version 2 client sends: any fields, with a cid or without one. */
export interface Request {
  /** What it is. */
  msgid: number;
  /** Comes back in the reply. */
  cid?: string;
  /** Anything else. */
  [field: string]: unknown;
}

/** Where a user stands in a conversation. */
export interface Standing {
  /** Which one. */
  conversation: string;
  /** Where its log begins, once something has been trimmed. */
  first_seq?: number;
  /** Its newest message. */
  last_seq: number;
  /** Has everything up to this. */
  delivered: number;
  /** Has read everything up to this. */
  read: number;
  /** How far the other one of two is. */
  peer?: { delivered: number; read: number };
}

/** A frame as the server sent it: the fields tests ask for, and any other. */
export interface Frame {
  /** What it is. */
  msgid: number;
  /** Of a reply: the request's own. */
  cid?: string;
  /** Of a reply: 0 is success. */
  errno?: number;
  /** With an errno other than 0. */
  errmsg?: string;
  /** User id. */
  id?: number;
  /** User's name. */
  name?: string;
  /** Receiver of a one-to-one message. */
  toid?: number;
  /** Receiving group, or one that was made. */
  groupid?: number;
  /** Text of a chat frame. */
  msg?: string;
  /** Of version 1: what was missed, each a frame. */
  offlineMsg?: string[];
  /** Strings in version 1, objects in version 2. */
  friends?: unknown[];
  /** As `friends`. */
  groups?: unknown[];
  /** For RESUME_MSG. */
  token?: string;
  /** Where the user stands. */
  conversations?: Standing[];
  /** Of a chat frame, an acknowledgement, a receipt. */
  conversation?: string;
  /** Place in the conversation. */
  seq?: number;
  /** Server's time, ms since the epoch. */
  at?: number;
  /** Of a receipt. */
  delivered?: number;
  /** Of a receipt. */
  read?: number;
  /** Of a page of history. */
  messages?: Frame[];
  /** Of a page of history. */
  more?: boolean;
  /** Of a message in history: its text is gone. */
  recalled?: boolean;
  /** Of a notice. */
  code?: string;
  /** Of a notice. */
  reconnect?: boolean;
  /** With errno 8. */
  retry_after_ms?: number;
  /** Anything else. */
  [field: string]: unknown;
}

/** What ends a client's frames, and should end the server's. */
export type Ending = "\0" | "\n" | "\r\n" | "";

/** A `time` for chat frames. */
export const TIME = "2026-01-31 12:00:00";

/** The conversation of two users. */
export function conversationOf(one: { id: number }, other: { id: number }): string {
  return `u${Math.min(one.id, other.id)}-${Math.max(one.id, other.id)}`;
}

/** The password of everybody whom {@linkcode signUp} makes. */
export const PASSWORD = "correct horse";

const READ_BYTES = 65_536;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** One connection to a server. */
export class ChatClient implements AsyncDisposable {
  /** What {@linkcode send} ends a frame with unless told otherwise; the server's frames are cut the same way. */
  readonly ending: Ending;
  readonly #conn: Deno.Conn<Deno.NetAddr>;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** A read that a deadline has left under way. */
  #reading: Promise<number | null> | null = null;
  #rest = "";
  /** Where a UTF-8 sequence was cut by the end of a read. */
  readonly #text = new TextDecoder("utf-8", { fatal: true });
  #inbox: string[] = [];
  /** Receipts come at moments of the server's choosing, between any two frames: a version 2 client keeps them apart. */
  #receipts: string[] = [];
  #isVersion2 = false;
  #isAtEnd = false;
  #isClosed = false;
  #requests = 0;

  /** Takes a connection over, such as one over TLS; {@linkcode ChatClient.connect} makes a plain one. */
  constructor(conn: Deno.Conn<Deno.NetAddr>, ending: Ending = "\0") {
    this.#conn = conn;
    this.ending = ending;
  }

  /** Dials a server on the loopback address. */
  static async connect(port: number, { ending = "\0" }: { ending?: Ending } = {}): Promise<ChatClient> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    return new ChatClient(conn, ending);
  }

  /** "address:port" of this side. */
  get local(): string {
    const { hostname, port } = this.#conn.localAddr;
    return `${hostname}:${port}`;
  }

  /** Sends a frame: an object as JSON, a text as it is, with the client's ending or the one given. */
  async send(frame: object | string, { ending = this.ending }: { ending?: Ending } = {}): Promise<void> {
    const text = typeof frame === "string" ? frame : JSON.stringify(frame);
    if (/"v":[23]/.test(text)) this.#isVersion2 = true;
    await this.sendBytes(encoder.encode(text + ending));
  }

  /** Sends bytes. */
  async sendBytes(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length;) offset += await this.#conn.write(bytes.subarray(offset));
  }

  /**
   * What one read gives, at most `maxBytes`; null at the end. Not to be mixed with the methods that cut frames while one
   * is half read. Throws when the connection was reset, or after the deadline.
   */
  async readBytes(
    maxBytes: number = READ_BYTES,
    deadlineMs: number = DEADLINE_MS,
  ): Promise<Uint8Array | null> {
    this.#reading ??= this.#conn.read(this.#buffer.subarray(0, maxBytes));
    const count = await withDeadline(this.#reading, deadlineMs, () => `${this.local} to be sent something`);
    this.#reading = null;
    if (count === null) this.#isAtEnd = true;
    return count === null ? null : this.#buffer.slice(0, count);
  }

  /** The text of the next frame that is no receipt, as it came. Throws at the end of the stream and after the deadline. */
  async receiveText(deadlineMs: number = DEADLINE_MS): Promise<string> {
    const deadline = performance.now() + deadlineMs;
    while (this.#inbox.length === 0) {
      if (!await this.#readMore(deadline)) {
        throw new Error(
          `The server closed the connection; the rest is ${JSON.stringify(this.#rest.slice(0, 200))}`,
        );
      }
    }
    return this.#inbox.shift() ?? "";
  }

  /** The next frame. */
  async receive(deadlineMs?: number): Promise<Frame> {
    return parseFrame(await this.receiveText(deadlineMs));
  }

  /** The next `count` frames. */
  async receiveMany(count: number, deadlineMs?: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count) frames.push(await this.receive(deadlineMs));
    return frames;
  }

  /** All frames up to and with the first one that `isWanted`. */
  async receiveUntil(
    isWanted: (frame: Frame) => boolean,
    deadlineMs: number = DEADLINE_MS,
  ): Promise<Frame[]> {
    const deadline = performance.now() + deadlineMs;
    const frames: Frame[] = [];
    while (true) {
      const frame = await this.receive(deadline - performance.now());
      frames.push(frame);
      if (isWanted(frame)) return frames;
    }
  }

  /** Takes the first frame that `isWanted` out of the stream; the others stay, in their order, for whoever asks next. */
  async take(isWanted: (frame: Frame) => boolean, deadlineMs: number = DEADLINE_MS): Promise<Frame> {
    const deadline = performance.now() + deadlineMs;
    for (let index = 0;; index++) {
      while (index >= this.#inbox.length) {
        if (!await this.#readMore(deadline)) {
          throw new Error(
            `The server closed the connection before the frame came; there are ${this.#inbox.join(" ")}`,
          );
        }
      }
      const frame = parseFrame(this.#inbox[index] ?? "");
      if (!isWanted(frame)) continue;
      this.#inbox.splice(index, 1);
      return frame;
    }
  }

  /** Receipts (14) of a version 2 connection that have come and were not asked for. */
  get receiptCount(): number {
    return this.#receipts.length;
  }

  /** The next receipt (14) of a version 2 connection; no other method gives those. */
  async receiveReceipt(deadlineMs: number = DEADLINE_MS): Promise<Frame> {
    const deadline = performance.now() + deadlineMs;
    while (this.#receipts.length === 0) {
      if (!await this.#readMore(deadline)) {
        throw new Error("The server closed the connection before a receipt came");
      }
    }
    return parseFrame(this.#receipts.shift() ?? "");
  }

  /** Sends a version 2 request and resolves with its reply, whatever else comes meanwhile. A missing `cid` is made up. */
  async request(frame: Request): Promise<Frame> {
    const cid = frame.cid ?? `${this.local} ${++this.#requests}`;
    await this.send({ ...frame, cid });
    return await this.take((reply) => reply.cid === cid && reply.errno !== undefined);
  }

  /** Sends version 2 requests without waiting in between, and resolves with their replies in the order of the requests. */
  async requestAll(
    frames: readonly Request[],
  ): Promise<Frame[]> {
    const requests = frames.map((frame) => ({
      ...frame,
      cid: frame.cid ?? `${this.local} ${++this.#requests}`,
    }));
    const replies = new Map<string | undefined, Frame>();
    const text = requests.map((request) => JSON.stringify(request) + this.ending).join("");
    const sent = this.sendBytes(encoder.encode(text));
    const cids = new Set(requests.map(({ cid }) => cid));
    while (replies.size < cids.size) {
      const reply = await this.take(({ cid, errno }) =>
        errno !== undefined && cids.has(cid ?? "") && !replies.has(cid)
      );
      replies.set(reply.cid, reply);
    }
    await sent;
    return requests.flatMap(({ cid }) => replies.get(cid) ?? []);
  }

  /**
   * Throws when anything was sent to this client before what the server does next: asks for something that is refused at
   * once, a user without a name, and takes no other frame than that answer.
   */
  async fence(): Promise<void> {
    await this.send({ msgid: 4, name: "", password: "" });
    const text = await this.receiveText();
    const { msgid, errno } = parseFrame(text);
    assertEquals({ msgid, errno }, { msgid: 5, errno: 1 }, `Nothing should have come, but ${text} did`);
  }

  /** Throws when a frame comes within `ms`. Costs that time: a request and its reply often prove the same. */
  async expectNothing(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    while (this.#inbox.length === 0 && performance.now() < deadline) {
      try {
        if (!await this.#readMore(deadline)) throw new Error("The server closed the connection");
      } catch (error) {
        if (!(error instanceof Deno.errors.TimedOut)) throw error;
      }
    }
    if (this.#inbox.length > 0) throw new Error(`Nothing should have come, but ${this.#inbox.join(" ")} did`);
  }

  /** Resolves with the frames that came before the server closed the connection, or broke it. */
  async receiveRest(deadlineMs: number = DEADLINE_MS): Promise<Frame[]> {
    const deadline = performance.now() + deadlineMs;
    try {
      while (await this.#readMore(deadline));
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    return this.#inbox.splice(0).map(parseFrame);
  }

  /** False at the end of the stream. */
  async #readMore(deadline: number): Promise<boolean> {
    if (this.#isAtEnd) return false;
    const bytes = await this.readBytes(READ_BYTES, deadline - performance.now());
    if (bytes === null) return false;
    const { frames, rest } = cutFrames(this.#rest + this.#text.decode(bytes, { stream: true }), this.ending);
    for (const frame of frames) {
      const isReceipt = this.#isVersion2 && frame.startsWith('{"msgid":14,');
      (isReceipt ? this.#receipts : this.#inbox).push(frame);
    }
    this.#rest = rest;
    return true;
  }

  /** Says that nothing more is sent; the server's frames can still be read. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Goes away like a process that ends, at once. A frame that was not read makes it a {@linkcode reset}. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A read that is left under way ends with it.
    this.#reading?.catch(() => {});
    this.#conn.close();
  }

  /**
   * Goes away with a TCP reset: closes with input unread, for which the kernel tells the peer so. Something must have been
   * sent to this client, or be on its way; a first byte is read to know that it has come.
   */
  async reset(deadlineMs?: number): Promise<void> {
    await this.readBytes(1, deadlineMs);
    this.close();
  }

  /** Goes away. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** Settles as `promise` does, or throws `TimedOut` after `deadlineMs`, naming what was waited for. */
export async function withDeadline<Value>(
  promise: Promise<Value>,
  deadlineMs: number,
  what: () => string,
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = () => `Waited ${Math.round(deadlineMs)} ms in vain for ${what()}`;
    timer = setTimeout(() => reject(new Deno.errors.TimedOut(text())), Math.max(0, deadlineMs));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function parseFrame(text: string): Frame {
  return JSON.parse(text);
}

/** Cuts `text` after each ending; a client without one has to find the end of the object itself. */
function cutFrames(text: string, ending: Ending): { frames: string[]; rest: string } {
  const frames = ending === "" ? cutObjects(text) : text.split(ending === "\0" ? "\0" : "\n").slice(0, -1);
  const consumed = frames.reduce((sum, frame) => sum + frame.length + (ending === "" ? 0 : 1), 0);
  return { frames, rest: text.slice(consumed) };
}

/** The server writes no white space between its frames. */
function cutObjects(text: string): string[] {
  const objects: string[] = [];
  let start = 0;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*(?:"|\\?$)|[{}]/gs)) {
    if (token === "{") depth++;
    if (token !== "}" || --depth > 0) continue;
    objects.push(text.slice(start, index + 1));
    start = index + 1;
  }
  return objects;
}

/** Signs a user up and resolves with its id. `v` makes the connection speak that version. */
export async function signUp(client: ChatClient, name: string, { v }: { v?: 2 | 3 } = {}): Promise<number> {
  await client.send({ msgid: 4, name, password: PASSWORD, ...(v === undefined ? {} : { v }) });
  const { id, ...reply } = await client.receive();
  assertEquals(reply, { msgid: 5, errno: 0 });
  if (id === undefined) throw new Error(`No id came for ${name}`);
  return id;
}

/** Logs a user in and resolves with the reply. `v` makes the connection speak that version. `device_id`: of version 3. */
export async function logIn(
  client: ChatClient,
  id: number,
  { v, device_id }: { v?: 2 | 3; device_id?: unknown } = {},
): Promise<Frame> {
  await client.send({ msgid: 1, id, password: PASSWORD, ...(v === undefined ? {} : { v }), device_id });
  const reply = await client.receive();
  assertEquals([reply.msgid, reply.errno, reply.id], [2, 0, id], JSON.stringify(reply));
  return reply;
}

/** Somebody who is logged in. */
export interface Person extends AsyncDisposable {
  /** User id. */
  readonly id: number;
  /** As signed up. */
  readonly name: string;
  /** The connection. */
  readonly client: ChatClient;
  /** The reply to the login. */
  readonly reply: Frame;
}

/** Connects as a new user. */
export async function newPerson(
  port: number,
  name: string,
  options: { v?: 2 | 3; ending?: Ending } = {},
): Promise<Person> {
  const client = await ChatClient.connect(port, options);
  try {
    const id = await signUp(client, name, options);
    return person(client, id, name, await logIn(client, id, options));
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Connects as a user whom {@linkcode signUp} made before; by version 3 on the same device, if it had one. */
export async function comeBack(
  port: number,
  { id, name, reply }: { id: number; name: string; reply?: Frame },
  options: { v?: 2 | 3; ending?: Ending } = {},
): Promise<Person> {
  const client = await ChatClient.connect(port, options);
  try {
    const device = options.v === 3 ? { device_id: reply?.device_id } : {};
    return person(client, id, name, await logIn(client, id, { ...options, ...device }));
  } catch (error) {
    client.close();
    throw error;
  }
}

function person(client: ChatClient, id: number, name: string, reply: Frame): Person {
  return { id, name, client, reply, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

/** A one-to-one message; `fields` are added or replaced. */
export function chat(
  from: { id: number; name: string },
  toid: number,
  msg: string,
  fields: object = {},
): Frame {
  return { msgid: 6, id: from.id, name: from.name, toid, msg, time: TIME, ...fields };
}

/** A group message; `fields` are added or replaced. */
export function groupChat(
  from: { id: number; name: string },
  groupid: number,
  msg: string,
  fields: object = {},
): Frame {
  return { msgid: 10, id: from.id, name: from.name, groupid, msg, time: TIME, ...fields };
}

/** The JSON of a text in NUL-terminated bytes: all that a C++ client sees of one recv. */
export function untilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
