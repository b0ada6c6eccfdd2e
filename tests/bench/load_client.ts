/**
 * A client of the load: a raw socket with frames that were built beforehand. It parses nothing; of what comes in it
 * only finds where frames end.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ReadGate } from "../../lib/net/read_gate.ts";

/** Enough for a window of 16 in one read. */
const READ_BYTES = 8_192;
/** Connections being opened at once. */
const DIALS_AT_ONCE = 64;

/** How the frame begins by which a device logs in. */
export const RESUME_DEVICE = '{"msgid":21,"v":3,';
const TOKEN = /"token":"([^"]+)"/;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Somebody who can log in. */
export interface Account {
  /** User id. */
  id: number;
  /** User name. */
  name: string;
  /** The first frame to send, without terminator. */
  login: string;
}

/** Called with every whole frame: `bytes` from `start` to before `end`, without terminator. To be copied if kept. */
export type OnFrame = (bytes: Uint8Array, start: number, end: number) => void;

/** A logged-in connection. */
export class LoadClient {
  /** Who. */
  readonly account: Account;
  /** What is done with frames. */
  onFrame: OnFrame = () => {};
  /** Called when all frames of one read have been handed on. */
  onRead: () => void = () => {};
  readonly #socket: Deno.TcpConn;
  /** Of a frame whose end has not come. A login reply may be a megabyte: only its last part is looked through for it. */
  #begun: Uint8Array[] = [];
  #isClosed = false;

  private constructor(account: Account, socket: Deno.TcpConn) {
    this.account = account;
    this.#socket = socket;
  }

  /** Connects. */
  static async connect(account: Account, port: number, gate: ReadGate): Promise<LoadClient> {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    socket.setNoDelay(true);
    const client = new LoadClient(account, socket);
    client.#run(gate);
    return client;
  }

  /** Sends a frame, given without terminator, and resolves with the next one that comes and is the reply. */
  async request(frame: string, isReply: (text: string) => boolean = () => true): Promise<string> {
    const reply = new Promise<string>((resolve) => {
      this.onFrame = (bytes, start, end) => {
        const text = decoder.decode(bytes.subarray(start, end));
        if (isReply(text)) resolve(text);
      };
    });
    this.write(encoder.encode(`${frame}\0`));
    const text = await reply;
    this.onFrame = () => {};
    return text;
  }

  /** Logs in; throws when the server refuses. By a device it is another token that is good for the next time. */
  async logIn(): Promise<void> {
    const { login, name } = this.account;
    const reply = await this.request(login);
    if (!reply.includes('"errno":0')) throw new Error(`${name} was refused: ${reply}`);
    if (!login.startsWith(RESUME_DEVICE)) return;
    this.account.login = `${RESUME_DEVICE}"token":"${TOKEN.exec(reply)?.[1]}"}`;
  }

  /** Sends bytes, which must not change any more. */
  write(bytes: Uint8Array): void {
    this.#socket.write(bytes).then(
      (count) => {
        if (count < bytes.length) this.write(bytes.subarray(count));
      },
      (error) => {
        if (!this.#isClosed) throw error;
      },
    );
  }

  /** Closes the connection. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  async #run(gate: ReadGate): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (;;) {
        const turn = gate.enter();
        if (turn) await turn;
        const count = await this.#socket.read(buffer);
        if (count === null) break;
        this.#cut(buffer.subarray(0, count));
      }
    } catch (error) {
      if (!this.#isClosed) throw error;
    }
    if (!this.#isClosed) throw new Error(`The server has closed the connection of ${this.account.name}`);
  }

  #cut(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(0); end !== -1; end = chunk.indexOf(0, start)) {
      if (this.#begun.length === 0) this.onFrame(chunk, start, end);
      else {
        const frame = Buffer.concat([...this.#begun.splice(0), chunk.subarray(0, end)]);
        this.onFrame(frame, 0, frame.length);
      }
      start = end + 1;
    }
    if (start < chunk.length) this.#begun.push(chunk.slice(start));
    this.onRead();
  }
}

/** Logs everybody in, some at a time; `portOf` says where. */
export async function openClients(
  accounts: readonly Account[],
  portOf: (index: number) => number,
  gate: ReadGate,
): Promise<LoadClient[]> {
  const clients: LoadClient[] = new Array(accounts.length);
  const waiting = accounts.entries();
  const dial = async () => {
    for (const [index, account] of waiting) {
      const client = clients[index] = await LoadClient.connect(account, portOf(index), gate);
      await client.logIn();
    }
  };
  await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dial));
  return clients;
}
