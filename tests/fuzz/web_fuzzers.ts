/**
 * Fuzzers of the port for browsers: its HTTP, and its WebSocket.
 *
 * @module
 */
import type { Random } from "../support/random.ts";
import { frameBytes, upgradeRequest } from "../support/raw_web_socket.ts";
import { frames, type Fuzzer, type Target } from "./fuzzers.ts";
import { frameText, joined, mutate, pieces } from "./inputs.ts";

const encoder = new TextEncoder();
/** How long a connection may go on after what it was sent, ms. */
const ENOUGH_MS = 500;

/** Requests for files and for the WebSocket, as they should be, nearly, and not at all. */
export class WebHttpFuzzer implements Fuzzer {
  readonly #target: Target;

  /** Dials the port for browsers. */
  constructor(target: Target) {
    this.#target = target;
  }

  /** One connection. */
  async step(random: Random, note: (input: Uint8Array) => void): Promise<void> {
    const port = this.#target.webPort;
    const requests = Array.from({ length: 1 + random.below(3) }, () => {
      const path = random.pick([
        "/",
        "/app.js",
        "/app.css?v=1",
        "/ws",
        "//",
        "/%00",
        "/../main.ts",
        "*",
        "http://x/",
        "",
      ]);
      const maybe = (...values: string[]) => random.chance(0.5) ? random.pick(values) : undefined;
      const headers = {
        host: random.pick(["x", "", "[", "a:b:c", `127.0.0.1:${port}`]),
        origin: maybe("null", "http://x", `http://127.0.0.1:${port}`, "\u009b"),
        "x-forwarded-for": maybe("1.2.3.4", ",,,", "::1, x", "9".repeat(3_000)),
        "accept-encoding": maybe("gzip", "gzip;q=0.0001", "gzip;q=x", ";;,"),
        "if-none-match": maybe("*", '"', `W/"${"a".repeat(500)}"`),
        "content-length": random.chance(0.8) ? undefined : random.pick(["-1", "5", "1e9"]),
      };
      return upgradeRequest(port, headers, path).replace(
        "GET",
        random.pick(["GET", "HEAD", "POST", "PRI", "get"]),
      );
    });
    const text = encoder.encode(requests.join(""));
    await exchange(port, random.chance(0.7) ? mutate(random, text) : text, random, note);
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Frames of RFC 6455, right and wrong, with the chat's in them. */
export class WebSocketFuzzer implements Fuzzer {
  readonly #target: Target;

  /** Dials the port for browsers. */
  constructor(target: Target) {
    this.#target = target;
  }

  /** One connection. */
  async step(random: Random, note: (input: Uint8Array) => void): Promise<void> {
    const { webPort, userIds } = this.#target;
    const parts = Array.from({ length: 1 + random.below(12) }, () => {
      const known = random.pick(frames(random.pick(userIds), userIds, random));
      const text = random.chance(0.5) ? JSON.stringify(known) : frameText(random, known);
      const opcode = random.chance(0.6) ? 1 : random.below(16);
      const isControl = opcode >= 8 && random.chance(0.8);
      return frameBytes(opcode, isControl ? text.slice(0, 40) : text, {
        fin: random.chance(0.8),
        rsv: random.chance(0.97) ? 0 : random.below(8),
        masked: random.chance(0.97),
        ...(random.chance(0.05) ? { lengthBits: random.pick([16, 64] as const) } : {}),
        ...(random.chance(0.03)
          ? { length: random.pick([0, 10, 126, 70_000, 2n ** 63n, 2n ** 40n]), lengthBits: 64 }
          : {}),
      });
    });
    const bytes = joined(...parts);
    const sent = random.chance(0.5) ? mutate(random, bytes) : bytes;
    await exchange(webPort, joined(encoder.encode(upgradeRequest(webPort)), sent), random, note);
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Sends the bytes in pieces and reads what comes, to the end or until it is enough. */
async function exchange(
  port: number,
  bytes: Uint8Array,
  random: Random,
  note: (input: Uint8Array) => void,
): Promise<void> {
  note(bytes);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  const close = () => {
    if (!isClosed) conn.close();
    isClosed = true;
  };
  const reading = (async () => {
    const buffer = new Uint8Array(65_536);
    while (await conn.read(buffer) !== null);
  })().catch(() => {});
  try {
    for (const piece of pieces(random, bytes)) {
      for (let offset = 0; offset < piece.length;) offset += await conn.write(piece.subarray(offset));
    }
    if (random.chance(0.3)) await conn.closeWrite();
    if (random.chance(0.3)) close();
    timer = setTimeout(close, ENOUGH_MS);
  } catch {
    // The node had heard enough.
    close();
  }
  await reading;
  clearTimeout(timer);
  close();
}
