/**
 * Users who are logged in at one node and, when it dies, come back through another, as clients do: each by itself, after
 * pauses that a client's back-off draws.
 *
 * A program: `HOME REFUGE LOGINS`, two ports and a file with a login a line. It prints `ready PORT` when all are logged in
 * at HOME and, when all are at REFUGE, what {@link Return} says, as JSON. Who is given a token comes back by that.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { openReadGate, type ReadGate } from "../../lib/net/read_gate.ts";
import { BackOff } from "../../lib/client/core/back_off.ts";
import { ERRNO, isJsonObject } from "../../lib/protocol/protocol.ts";

/** How all came back. Times are from the moment the first one lost its connection, seconds. */
export interface Return {
  /** Until the first one, half of them and the last one were in. */
  seconds: [first: number, half: number, last: number];
  /** Connections that were not let in. */
  refused: number;
  /** Connections that did not come about, or were lost before the answer. */
  lost: number;
}

/** Logging in at home, this many at a time. */
const DIALS_AT_ONCE = 64;
const READ_BYTES = 2_048;
/** What a client takes for "try again later". */
const TEMPORARY: readonly unknown[] = [ERRNO.ALREADY_ONLINE, ERRNO.TOO_MANY_REQUESTS, ERRNO.UNAVAILABLE];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Somebody's connection. */
class Visit {
  readonly #socket: Deno.TcpConn;
  readonly #gate: ReadGate;
  readonly #buffer = new Uint8Array(READ_BYTES);

  private constructor(socket: Deno.TcpConn, gate: ReadGate) {
    this.#socket = socket;
    this.#gate = gate;
  }

  static async begin(port: number, gate: ReadGate): Promise<Visit> {
    return new Visit(await Deno.connect({ hostname: "127.0.0.1", port }), gate);
  }

  async #read(): Promise<Uint8Array | undefined> {
    await this.#gate.enter();
    const count = await this.#socket.read(this.#buffer);
    return count === null ? undefined : this.#buffer.subarray(0, count);
  }

  /** Logs in; the answer. Throws when the connection is lost before. */
  async logIn(frame: string): Promise<Record<string, unknown>> {
    await this.#socket.write(encoder.encode(`${frame}\0`));
    let text = "";
    while (!text.includes("\0")) {
      const bytes = await this.#read();
      if (!bytes) throw new Error("The server has closed the connection");
      text += decoder.decode(bytes);
    }
    const reply: unknown = JSON.parse(text.slice(0, text.indexOf("\0")));
    return isJsonObject(reply) ? reply : {};
  }

  /** Resolves when the connection is over, whatever its end is. */
  async over(): Promise<void> {
    try {
      while (await this.#read());
    } catch {
      // A node that is killed resets connections that it has not read empty.
    }
    this.#socket.close();
  }

  close(): void {
    this.#socket.close();
  }
}

/** All of them. */
class Returners {
  readonly #gate: ReadGate;
  readonly #logins: string[];
  readonly #visits: Visit[] = [];
  #lostAt: number | undefined;
  readonly #arrivals: number[] = [];
  #refused = 0;
  #lost = 0;

  constructor(logins: readonly string[], gate: ReadGate) {
    this.#logins = [...logins];
    this.#gate = gate;
  }

  async settle(port: number): Promise<void> {
    const waiting = this.#logins.entries();
    const dial = async () => {
      for (const [index, login] of waiting) {
        const visit = this.#visits[index] = await Visit.begin(port, this.#gate);
        const { errno, token } = await visit.logIn(login);
        if (errno !== ERRNO.OK) throw new Error(`A login at home has failed with ${errno}`);
        if (token !== undefined) this.#logins[index] = JSON.stringify({ msgid: 21, v: 3, token });
      }
    };
    await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dial));
  }

  /** Resolves when all have lost their connections and have come back at `port`. */
  async comeBack(port: number): Promise<Return> {
    await Promise.all(this.#visits.map(async (visit, index) => {
      await visit.over();
      this.#lostAt ??= performance.now();
      await this.#goTo(port, this.#logins[index] ?? "");
    }));
    const { length } = this.#arrivals;
    const secondsOf = (index: number) => ((this.#arrivals[index] ?? NaN) - (this.#lostAt ?? NaN)) / 1_000;
    return {
      seconds: [secondsOf(0), secondsOf(length >> 1), secondsOf(length - 1)],
      refused: this.#refused,
      lost: this.#lost,
    };
  }

  async #goTo(port: number, login: string): Promise<void> {
    const backOff = new BackOff(Math.random);
    let delayMs = backOff.next();
    do {
      await pause(delayMs);
      delayMs = await this.#tryAt(port, login) ?? backOff.next();
    } while (delayMs >= 0);
  }

  /** How long the node wants to be left alone, ms; undefined: it does not say; -1: in. */
  async #tryAt(port: number, login: string): Promise<number | undefined> {
    let reply: Record<string, unknown>;
    let visit: Visit | undefined;
    try {
      visit = await Visit.begin(port, this.#gate);
      reply = await visit.logIn(login);
    } catch {
      // More at once than the node takes; the client tries again.
      this.#lost++;
      visit?.close();
      return undefined;
    }
    const { errno, retry_after_ms } = reply;
    if (errno === ERRNO.OK) {
      this.#arrivals.push(performance.now());
      // Until this process is ended.
      visit.over();
      return -1;
    }
    visit.close();
    if (!TEMPORARY.includes(errno)) throw new Error(`A login has failed with ${errno}`);
    this.#refused++;
    return typeof retry_after_ms === "number" ? retry_after_ms : undefined;
  }
}

if (import.meta.main) {
  const [home, refuge, path = ""] = Deno.args;
  const logins = (await Deno.readTextFile(path)).trim().split("\n");
  const returners = new Returners(logins, await openReadGate());
  await returners.settle(Number(home));
  console.log(`ready ${refuge}`);
  console.log(JSON.stringify(await returners.comeBack(Number(refuge))));
}
