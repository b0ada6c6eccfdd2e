/**
 * One fuzzer for each way into a node. Each step is one input, or one connection.
 *
 * @module
 */

import { createSocket, type Socket } from "node:dgram";
import { ENVELOPE } from "../../lib/cluster/envelope.ts";
import { FatalError } from "../../lib/base/errors.ts";
import { parseOptions } from "../../lib/config/parse_options.ts";
import { Seal } from "../../lib/cluster/seal.ts";
import { PASSWORD, TIME } from "../support/chat_client.ts";
import type { Random } from "../support/random.ts";
import { frameText, joined, mutate, pieces, valueText } from "./inputs.ts";
import { Wire } from "./wire.ts";

/** What a fuzzer works with. */
export interface Target {
  /** The chat port. */
  port: number;
  /** The chat port of a node whose clients come through a proxy on this machine. */
  proxiedPort: number;
  /** Where heartbeats come as datagrams. */
  udpPort: number;
  /** Where operators ask. */
  httpPort: number;
  /** Where browsers are served. */
  webPort: number;
  /** The bus. */
  redisPort: number;
  /** What the nodes' channels begin with. */
  channelPrefix: string;
  /** What seals the nodes' envelopes. */
  secret: string;
  /** Users that are the fuzzers' own; the first two speak one version each. */
  userIds: readonly number[];
  /** Hears of what the node should not have sent. */
  onFault: (text: string) => void;
}

/** Sends inputs. */
export interface Fuzzer extends AsyncDisposable {
  /** Sends one; `note` keeps it for a report. */
  step(random: Random, note: (input: string | Uint8Array) => void): Promise<void>;
}

const encoder = new TextEncoder();
const GROUP_OPS = [
  "members",
  "leave",
  "add",
  "remove",
  "role",
  "transfer",
  "edit",
  "dissolve",
  "link",
  "join",
];
/** Frames on one connection before another one is made. */
const FRAMES = 40;
/** Command lines at a time: each takes microseconds. */
const COMMAND_LINES = 20;

/** A frame of each kind that clients send, as it should be, among users `ids`. */
export function frames(id: number, ids: readonly number[], random: Random): Record<string, unknown>[] {
  const other = random.pick(ids);
  const conversation = random.pick(["g1", `u${Math.min(id, other)}-${Math.max(id, other)}`]);
  const text = { id, name: `fuzzer ${id}`, msg: "hi", time: TIME };
  const cid = random.chance(0.5) ? { cid: `c${random.below(50)}` } : {};
  return [
    { msgid: 1, id: other, password: PASSWORD, v: 2 },
    { msgid: 3, id },
    { msgid: 4, name: `fuzzed ${random.below(1e6)}`, password: "" },
    { msgid: 6, toid: other, ...text, ...cid },
    { msgid: 7, id, friendid: other, ...cid },
    { msgid: 8, id, groupname: `group ${random.below(20)}`, groupdesc: "what for", ...cid },
    { msgid: 9, id, groupid: 1 + random.below(3), ...cid },
    { msgid: 10, groupid: 1, ...text, ...cid },
    { msgid: 12, conversation, seq: random.below(20), ...cid },
    { msgid: 13, conversation, seq: random.below(20), ...cid },
    { msgid: 15, conversation, after: 0, before: 30, limit: 5, ...cid },
    { msgid: 17, conversation, seq: 1 + random.below(20), ...cid },
    { msgid: 18, ...cid },
    { msgid: 24, op: random.pick(GROUP_OPS), groupid: 1 + random.below(3), id: other, role: "admin", ...cid },
    { msgid: 21, v: 2, token: `${other}.${"A".repeat(43)}` },
    { msgid: random.below(40), id, ...cid },
  ];
}

/** Streams that a framer has to cut, on connections that end in every way. */
export class StreamFuzzer implements Fuzzer {
  readonly #target: Target;

  /** Dials the chat port. */
  constructor(target: Target) {
    this.#target = target;
  }

  /** One connection. */
  async step(random: Random, note: (input: Uint8Array) => void): Promise<void> {
    const { port, userIds, onFault } = this.#target;
    const ending = random.pick(["\0", "\n", "\r\n", ""]);
    const texts = Array.from({ length: 1 + random.below(8) }, () => {
      const known = random.pick(frames(random.pick(userIds), userIds, random));
      return random.chance(0.5) ? JSON.stringify(known) : frameText(random, known);
    });
    const bytes = mutate(random, encoder.encode(texts.map((text) => text + ending).join("")));
    note(bytes);
    const wire = await Wire.open(port, onFault);
    for (const piece of pieces(random, bytes)) await wire.send(piece);
    if (random.chance(0.5)) await wire.closeWrite();
    else wire.close();
    const timer = setTimeout(() => wire.close(), 2_000);
    await wire.ended;
    clearTimeout(timer);
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** The fields of every request, as a user who is logged in. */
export class FieldFuzzer implements Fuzzer {
  readonly #target: Target;
  readonly #id: number;
  readonly #version: 1 | 2;
  #wire: Wire | undefined;
  #left = 0;

  /** Logs in as `id`. */
  constructor(target: Target, id: number, version: 1 | 2) {
    this.#target = target;
    this.#id = id;
    this.#version = version;
  }

  /** One request. */
  async step(random: Random, note: (input: string) => void): Promise<void> {
    const wire = await this.#connection();
    const text = frameText(random, random.pick(frames(this.#id, this.#target.userIds, random)));
    note(text);
    await wire.send(encoder.encode(text + "\0"));
    this.#left--;
  }

  /** A connection that ends (by what cannot be cut into frames, by a logout, by too much nonsense) is followed by another. */
  async #connection(): Promise<Wire> {
    if (this.#wire?.isOver === false && this.#left > 0) return this.#wire;
    this.#wire?.close();
    this.#left = FRAMES;
    const wire = this.#wire = await Wire.open(this.#target.port, this.#target.onFault);
    const reply = wire.next(2);
    const version = this.#version === 2 ? { v: 2 } : {};
    const login = { msgid: 1, id: this.#id, password: PASSWORD, ...version };
    await wire.send(encoder.encode(JSON.stringify(login) + "\0"));
    // Refused or not: a refused one has its turn at what is asked without a login.
    await reply;
    return wire;
  }

  /** Leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#wire?.close();
    await this.#wire?.ended;
  }
}

/** What proxies say first. */
export class ProxyFuzzer implements Fuzzer {
  readonly #target: Target;

  /** Dials the port behind a proxy. */
  constructor(target: Target) {
    this.#target = target;
  }

  /** One connection. */
  async step(random: Random, note: (input: Uint8Array) => void): Promise<void> {
    const { proxiedPort, onFault } = this.#target;
    const header = mutate(random, random.chance(0.5) ? lineHeader(random) : binaryHeader(random));
    const frame = encoder.encode(frameText(random, { msgid: 4, name: "", password: "" }) + "\0");
    const bytes = joined(header, frame);
    note(bytes);
    const wire = await Wire.open(proxiedPort, onFault);
    for (const piece of pieces(random, bytes)) await wire.send(piece);
    if (random.chance(0.5)) wire.close();
    else await wire.closeWrite();
    const timer = setTimeout(() => wire.close(), 4_000);
    await wire.ended;
    clearTimeout(timer);
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function lineHeader(random: Random): Uint8Array {
  const address = random.pick(["192.0.2.1", "2001:db8::1", "999.1.1.1", "::", "x"]);
  const family = random.pick(["TCP4", "TCP6", "UNKNOWN", "UDP4", ""]);
  return encoder.encode(`PROXY ${family} ${address} ${address} ${random.below(70_000)} 6000\r\n`);
}

function binaryHeader(random: Random): Uint8Array {
  const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
  const [family = 0, length = 0] = random.pick([[0x11, 12], [0x21, 36], [0x31, 216], [0, 0], [0x11, 4], [
    0x21,
    65_535,
  ]]);
  const start = [...signature, random.pick([0x20, 0x21, 0x22, 0x11]), family, length >> 8, length & 255];
  return Uint8Array.from([...start, ...random.bytes(Math.min(length, 300))]);
}

/** Heartbeats that are none. */
export class DatagramFuzzer implements Fuzzer {
  readonly #target: Target;
  readonly #socket: Socket = createSocket("udp4");

  /** Sends to the UDP port. */
  constructor(target: Target) {
    this.#target = target;
  }

  /** One datagram. */
  async step(random: Random, note: (input: Uint8Array) => void): Promise<void> {
    const { udpPort, userIds } = this.#target;
    const id = random.pick(userIds);
    const beat = { msgid: 18, id, udp_key: `${"A".repeat(22)}.${"B".repeat(43)}` };
    const bytes = random.chance(0.1)
      ? random.bytes(random.below(3_000))
      : mutate(random, encoder.encode(frameText(random, beat))).subarray(0, 60_000);
    note(bytes);
    await new Promise((resolve) => this.#socket.send(bytes, udpPort, "127.0.0.1", resolve));
  }

  /** Closes the socket. */
  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}

/**
 * What others who can write to Redis publish: without the seal of the cluster; and once in a while with it, as a node of
 * another version might. What a node says about the log is believed, so that is never sealed.
 */
export class EnvelopeFuzzer implements Fuzzer {
  readonly #target: Target;
  readonly #seal: Seal;
  #redis: Deno.TcpConn | undefined;

  /** Publishes through Redis. */
  constructor(target: Target) {
    this.#target = target;
    this.#seal = new Seal(target.secret, 4_000_000_000);
  }

  /** One envelope. */
  async step(random: Random, note: (input: string) => void): Promise<void> {
    const { channelPrefix, userIds } = this.#target;
    const ends = [...userIds.map((id) => `u:${id}`), "g:1", "all", "node:A", "u:x", ""];
    const channel = channelPrefix + random.pick(ends);
    const conversation = random.pick(["u1-2", "g1", "u1-1", "", "A", "x".repeat(300)]);
    const frame = random.chance(0.5)
      ? JSON.stringify({
        msgid: 6,
        id: 1,
        name: "x",
        toid: 2,
        msg: "forged",
        time: TIME,
        conversation,
        seq: 1,
        at: 1,
      })
      : valueText(random);
    const isSealed = random.chance(0.3);
    const kind = random.below(12);
    const header = [
      isSealed && kind < 4 ? ENVELOPE.sweep : kind,
      random.pick([0, 1, 2, 2 ** 32]),
      random.pick([0, 1, 7, 2 ** 53]),
      conversation,
    ];
    const payload = `${header.join(" ")} ${frame}`;
    const text = isSealed
      ? this.#seal.close(channel, payload)
      : random.chance(0.5)
      ? `1 ${random.below(100)} ${"A".repeat(22)} ${payload}`
      : payload;
    note(`${channel} ${text}`);
    await this.#publish(channel, encoder.encode(text));
  }

  async #publish(channel: string, payload: Uint8Array): Promise<void> {
    this.#redis ??= await Deno.connect({ hostname: "127.0.0.1", port: this.#target.redisPort });
    const name = encoder.encode(channel);
    const head = encoder.encode(`*3\r\n$7\r\nPUBLISH\r\n$${name.length}\r\n`);
    const middle = encoder.encode(`\r\n$${payload.length}\r\n`);
    const bytes = joined(head, name, middle, payload, encoder.encode("\r\n"));
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await this.#redis.write(rest));
    await this.#redis.read(new Uint8Array(256));
  }

  /** Leaves Redis. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#redis?.close();
    return Promise.resolve();
  }
}

/** What reaches the operators' port. */
export class HttpFuzzer implements Fuzzer {
  readonly #target: Target;

  /** Dials the HTTP port. */
  constructor(target: Target) {
    this.#target = target;
  }

  /** One connection. */
  async step(random: Random, note: (input: Uint8Array) => void): Promise<void> {
    const method = random.pick(["GET", "HEAD", "POST", "OPTIONS", "get", "CONNECT", "TRACE", "G\u0001T"]);
    const path = random.pick([
      "/healthz",
      "/readyz",
      "/metrics",
      "/",
      "//x/..%2f",
      "http://x/metrics",
      "*",
      "/%00",
      "",
    ]);
    const headers = [
      random.pick(["Host: x", "Host: [", "Host: \u009b31m", "Host: a:b:c", "Host:", ""]),
      random.pick([
        "Content-Length: 5",
        "Content-Length: -1",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "",
      ]),
      random.pick([
        `X: ${"y".repeat(random.pick([1, 9_000, 70_000]))}`,
        "Upgrade: websocket",
        "Expect: 100-continue",
        "",
      ]),
    ].filter((line) => line !== "");
    const version = random.pick(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", ""]);
    const text = `${method} ${path} ${version}\r\n${headers.join("\r\n")}\r\n\r\n`;
    const bytes = mutate(random, encoder.encode(text.repeat(1 + random.below(3))));
    note(bytes);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: this.#target.httpPort });
    const timer = setTimeout(() => conn.close(), 500);
    try {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
      await conn.closeWrite();
      const buffer = new Uint8Array(65_536);
      while (await conn.read(buffer) !== null);
      clearTimeout(timer);
      conn.close();
    } catch {
      // Closed by the node, or by the timer.
      clearTimeout(timer);
      try {
        conn.close();
      } catch {
        // By the timer.
      }
    }
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const FLAGS: readonly string[] = [
  ...["--sqlite", "--mysql", "--redis", "--node", "--http", "--udp", "--tls-port", "--tls-cert", "--tls-key"],
  ...[
    "--proxy-protocol",
    "--max-frame",
    "--max-connections",
    "--pool-size",
    "--drain-timeout",
    "--log-level",
  ],
  ...[
    "--token-ttl",
    "--recall-window",
    "--heartbeat-interval",
    "--heartbeat-misses",
    "--persist",
    "--check-config",
  ],
  ...["--help", "--version", "--v1", "--user", "--", "-", "--nonsense", "--no-history", "-h", "-V"],
];
const VALUES: readonly string[] = [
  ...[
    "0",
    "1",
    "-1",
    "65535",
    "65536",
    "1e3",
    "10s",
    "0ms",
    "1G",
    "64K",
    "chat.db",
    ":memory:",
    "all",
    "debug",
    "",
  ],
  ...[
    "mysql://chat:secret@db/chat",
    "mysql://chat:?pw@db",
    "redis://x/99",
    "redis://:secret@[::1]:6379",
    "http://x",
  ],
  ...[
    "127.0.0.1",
    "::1",
    "10.0.0.0/8,::1/129",
    "127.0.0.1:0",
    "[::1]:80",
    "\u0000",
    "\u001b[2J",
    "x".repeat(5_000),
  ],
  ...["serve", "client", "migrate", "start", "6000", "9".repeat(30), "true", "no"],
];

/** Command lines and variables: there is an answer to each, or a line that says what is wrong, without the secrets. */
export class OptionFuzzer implements Fuzzer {
  readonly #onFault: (text: string) => void;

  /** Runs in this process: what parses options has no side effects. */
  constructor({ onFault }: Target) {
    this.#onFault = onFault;
  }

  /** Some command lines. */
  step(random: Random, note: (input: string) => void): Promise<void> {
    for (let count = 0; count < COMMAND_LINES; count++) {
      const args = Array.from({ length: random.below(6) }, () => {
        const flag = random.pick(FLAGS);
        return random.pick([flag, random.pick(VALUES), `${flag}=${random.pick(VALUES)}`]);
      });
      const value = random.pick(VALUES);
      const variable = random.pick(FLAGS).replace(/^-*/, "CHAT_").replaceAll("-", "_").toUpperCase();
      note(`${JSON.stringify(args)} ${variable}=${value}`);
      this.#parse(args, (name) => name === variable ? value : undefined);
    }
    return Promise.resolve();
  }

  #parse(args: readonly string[], env: (name: string) => string | undefined): void {
    try {
      parseOptions(args, { env, readFile: () => "from a file" });
    } catch (error) {
      if (!(error instanceof FatalError)) this.#onFault(`${JSON.stringify(args)} ends in ${error}`);
      else if (error.message.includes("secret@") || error.message.includes("?pw")) {
        this.#onFault(`${JSON.stringify(args)}: a password in "${error.message}"`);
      }
    }
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
