/**
 * A raw WebSocket client for tests (RFC 6455): it sends whatever frames it is told, right or wrong, and reads only when it is
 * asked to. It shares no code with the program.
 *
 * @module
 */
import { DEADLINE_MS } from "./process.ts";
import { type Frame, withDeadline } from "./chat_client.ts";

/** A frame of the RFC. */
export interface WireFrame {
  /** The last one of its message. */
  fin: boolean;
  /** 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  opcode: number;
  /** What it carries. */
  payload: Uint8Array;
}

/** What {@linkcode frameBytes} may be told to do in another way than is right. */
export interface FrameOptions {
  /** False: more of the message follows. */
  fin?: boolean;
  /** The three reserved bits. */
  rsv?: number;
  /** False: no mask. */
  masked?: boolean;
  /** How many bits say the length: 7, 16 or 64. */
  lengthBits?: 7 | 16 | 64;
  /** The length that is said, if not that of the payload. */
  length?: number | bigint;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The bytes of a frame from a client. */
export function frameBytes(
  opcode: number,
  payload: Uint8Array | string = "",
  options: FrameOptions = {},
): Uint8Array {
  const body = typeof payload === "string" ? encoder.encode(payload) : payload;
  const { fin = true, rsv = 0, masked = true, length = body.length } = options;
  const { lengthBits = length <= 125 ? 7 : length <= 65_535 ? 16 : 64 } = options;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const maskBit = masked ? 0x80 : 0;
  if (lengthBits === 7) head.push(maskBit | Number(length));
  else {
    head.push(maskBit | (lengthBits === 16 ? 126 : 127));
    for (let bits = lengthBits - 8; bits >= 0; bits -= 8) {
      head.push(Number((BigInt(length) >> BigInt(bits)) & 255n));
    }
  }
  const mask = masked ? [...crypto.getRandomValues(new Uint8Array(4))] : [];
  const bytes = new Uint8Array(head.length + mask.length + body.length);
  bytes.set([...head, ...mask]);
  body.forEach((byte, index) => bytes[head.length + mask.length + index] = byte ^ (mask[index & 3] ?? 0));
  return bytes;
}

/** The bytes of a close frame's payload. */
export function closePayload(code: number, reason: Uint8Array | string = ""): Uint8Array {
  const text = typeof reason === "string" ? encoder.encode(reason) : reason;
  return Uint8Array.of(code >> 8, code & 255, ...text);
}

/** The request that asks for a WebSocket; `headers` replace those of the same name, undefined leaves one out. */
export function upgradeRequest(
  port: number,
  headers: Record<string, string | undefined> = {},
  path = "/ws",
): string {
  const all = {
    "host": `127.0.0.1:${port}`,
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`]
  );
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** An answer of HTTP. */
export interface HttpAnswer {
  /** Its status. */
  status: number;
  /** By their names in lower case. */
  headers: Headers;
}

/** One connection to a port for browsers. */
export class RawWebSocket implements AsyncDisposable {
  readonly #conn: Deno.Conn;
  #buffer: Uint8Array = new Uint8Array(0);
  #isClosed = false;
  #requests = 0;
  /** Text messages that came while another was waited for. */
  readonly #inbox: Frame[] = [];

  /** Takes a connection over. */
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Dials a server on the loopback address, and does no more. */
  static async dial(port: number): Promise<RawWebSocket> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    return new RawWebSocket(conn);
  }

  /** Dials and asks for a WebSocket; throws when it gets none. */
  static async connect(port: number, headers: Record<string, string> = {}): Promise<RawWebSocket> {
    const socket = await RawWebSocket.dial(port);
    await socket.sendBytes(upgradeRequest(port, headers));
    const { status } = await socket.receiveHead();
    if (status !== 101) {
      socket.close();
      throw new Error(`The server answered ${status} and not 101`);
    }
    return socket;
  }

  /** Sends bytes. */
  async sendBytes(bytes: Uint8Array | string): Promise<void> {
    const all = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
    for (let offset = 0; offset < all.length;) offset += await this.#conn.write(all.subarray(offset));
  }

  /** Sends a frame of the RFC. */
  async sendFrame(opcode: number, payload?: Uint8Array | string, options?: FrameOptions): Promise<void> {
    await this.sendBytes(frameBytes(opcode, payload, options));
  }

  /** Sends one of the chat's: an object, or a text that may be anything, in one message. */
  async send(message: object | string): Promise<void> {
    await this.sendFrame(1, typeof message === "string" ? message : JSON.stringify(message));
  }

  /** The head of the answer to a request. */
  async receiveHead(deadlineMs: number = DEADLINE_MS): Promise<HttpAnswer> {
    // Behind it may come anything.
    const text = () => new TextDecoder("latin1").decode(this.#buffer);
    while (!text().includes("\r\n\r\n")) {
      if (!await this.#readMore(deadlineMs)) throw new Error(`The server closed the connection: ${text()}`);
    }
    const head = text().split("\r\n\r\n")[0] ?? "";
    this.#buffer = this.#buffer.slice(head.length + 4);
    const [first = "", ...lines] = head.split("\r\n");
    const headers = new Headers(lines.map((line): [string, string] => {
      const at = line.indexOf(": ");
      return [line.slice(0, at), line.slice(at + 2)];
    }));
    return { status: Number(first.split(" ")[1]), headers };
  }

  /** So many bytes. */
  async receiveBytes(count: number, deadlineMs: number = DEADLINE_MS): Promise<Uint8Array> {
    while (this.#buffer.length < count) {
      if (!await this.#readMore(deadlineMs)) throw new Error("The server closed the connection");
    }
    const bytes = this.#buffer.slice(0, count);
    this.#buffer = this.#buffer.slice(count);
    return bytes;
  }

  /** The next frame of the RFC. */
  async receiveFrame(deadlineMs: number = DEADLINE_MS): Promise<WireFrame> {
    const [first = 0, second = 0] = await this.receiveBytes(2, deadlineMs);
    if ((second & 0x80) !== 0 || (first & 0x70) !== 0) {
      throw new Error("The server's frame has a mask or reserved bits");
    }
    let length = second;
    if (second >= 126) {
      const more = await this.receiveBytes(second === 126 ? 2 : 8, deadlineMs);
      length = more.reduce((sum, byte) => sum * 256 + byte, 0);
      if (length <= (second === 126 ? 125 : 65_535)) {
        throw new Error("The server's frame has a length that is too long");
      }
    }
    return {
      fin: (first & 0x80) !== 0,
      opcode: first & 15,
      payload: await this.receiveBytes(length, deadlineMs),
    };
  }

  /** The text of the next message; pings are answered on the way. */
  async receiveText(deadlineMs: number = DEADLINE_MS): Promise<string> {
    const parts: Uint8Array[] = [];
    while (true) {
      const { fin, opcode, payload } = await this.receiveFrame(deadlineMs);
      if (opcode === 9) await this.sendFrame(10, payload);
      else if (opcode === 8) throw new Error(`The server closed with ${closeOf(payload).join(" ")}`);
      else if (opcode <= 1) {
        if ((opcode === 0) !== (parts.length > 0)) throw new Error("The server's fragments are out of order");
        parts.push(payload);
        if (fin) return decoder.decode(await new Blob(parts.map((part) => part.slice())).bytes());
      }
    }
  }

  /** The next message as a frame of the chat. */
  async receive(deadlineMs?: number): Promise<Frame> {
    return this.#inbox.shift() ?? JSON.parse(await this.receiveText(deadlineMs));
  }

  /** Sends a request and resolves with its reply; what else comes meanwhile is there for {@linkcode receive}. */
  async request(frame: { msgid: number; [field: string]: unknown }): Promise<Frame> {
    const cid = `w${++this.#requests}`;
    await this.send({ ...frame, cid });
    while (true) {
      const reply: Frame = JSON.parse(await this.receiveText());
      // A message to oneself comes back with what was sent.
      if (reply.cid === cid && reply.errno !== undefined) return reply;
      this.#inbox.push(reply);
    }
  }

  /** All messages up to the server's close frame, whose code and reason come last; then waits for the end. */
  async receiveClose(
    deadlineMs: number = DEADLINE_MS,
  ): Promise<{ frames: WireFrame[]; code: number | undefined; reason: string }> {
    const frames: WireFrame[] = [];
    while (true) {
      const frame = await this.receiveFrame(deadlineMs);
      if (frame.opcode !== 8) {
        frames.push(frame);
        continue;
      }
      const [code, reason] = closeOf(frame.payload);
      return { frames, code, reason };
    }
  }

  /** Resolves at the end of the stream, whichever end it is; throws when something comes before it. */
  async receiveEnd(deadlineMs: number = DEADLINE_MS): Promise<void> {
    try {
      if (await this.#readMore(deadlineMs)) throw new Error(`Something came: ${this.#buffer}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
  }

  async #readMore(deadlineMs: number): Promise<boolean> {
    const chunk = new Uint8Array(65_536);
    const count = await withDeadline(
      this.#conn.read(chunk),
      deadlineMs,
      () => "the server to send something",
    );
    if (count === null) return false;
    const grown = new Uint8Array(this.#buffer.length + count);
    grown.set(this.#buffer);
    grown.set(chunk.subarray(0, count), this.#buffer.length);
    this.#buffer = grown;
    return true;
  }

  /** Says that nothing more is sent. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Goes away without a word. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  /** Goes away. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

function closeOf(payload: Uint8Array): [code: number | undefined, reason: string] {
  if (payload.length === 0) return [undefined, ""];
  return [(payload[0] ?? 0) * 256 + (payload[1] ?? 0), decoder.decode(payload.subarray(2))];
}
