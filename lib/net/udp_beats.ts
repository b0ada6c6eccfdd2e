/**
 * The port for heartbeats as datagrams.
 *
 * A beat that counts is answered with a HEARTBEAT_MSG_ACK of 22 bytes, a quarter of what a beat has; anything else with
 * nothing. So the port cannot be used to send anybody more than was sent to it.
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { formatHostPort } from "../base/host_port.ts";
import { listenError } from "./listen.ts";
import type { Logger } from "../base/logger.ts";
import { ERRNO, MSGID } from "../protocol/protocol.ts";

/** What arrives is counted for so long, ms. */
const SLICE_MS = 100;
/** A flood is logged no more often than this, ms. */
const LOG_EVERY_MS = 60_000;

const ANSWER = new TextEncoder().encode(JSON.stringify({ msgid: MSGID.HEARTBEAT_MSG_ACK, errno: ERRNO.OK }));

/** What became of datagrams. */
export interface BeatCounters {
  /** They keep a session alive. */
  counted: number;
  /** They were no beats, or of nobody. */
  refused: number;
  /** Not looked at, in a flood; what came while the port was closed is not even counted. */
  dropped: number;
}

/** Options of {@link UdpBeats}. */
export interface UdpBeatsOptions {
  /** Where to listen. */
  host: string;
  /** More than so many a second are a flood. */
  maxPerSecond: number;
  /** Resolves with whether the datagram counts as a beat; never rejects. */
  take: (datagram: Uint8Array) => Promise<boolean>;
  /** For floods. */
  logger: Logger;
}

/** Binds the port. Rejects with a FatalError when that is not possible. */
export async function bindUdp(host: string, port: number): Promise<Socket> {
  try {
    return await bind(host, port);
  } catch (error) {
    throw listenError(`${formatHostPort(host, port)} (UDP)`, error);
  }
}

/** The open port. */
export class UdpBeats {
  /** Its number. */
  readonly port: number;
  /** For metrics. */
  readonly counters: BeatCounters = { counted: 0, refused: 0, dropped: 0 };
  readonly #options: UdpBeatsOptions;
  #socket: Socket | undefined;
  #slice = 0;
  #sliceTimer: ReturnType<typeof setTimeout> | undefined;
  #loggedAt = -Infinity;
  #isClosed = false;

  /** Takes `socket` over, which {@link bindUdp} has made. */
  constructor(options: UdpBeatsOptions, socket: Socket) {
    this.#options = options;
    this.port = socket.address().port;
    this.#use(socket);
  }

  #use(socket: Socket): void {
    this.#socket = socket;
    socket.on("message", (datagram, from) => this.#onDatagram(socket, datagram, from));
    // Of sending: the datagram is lost, as datagrams may be.
    socket.on("error", () => {});
  }

  async #onDatagram(
    socket: Socket,
    datagram: Uint8Array,
    from: { address: string; port: number },
  ): Promise<void> {
    if (socket !== this.#socket || this.#isFlooded()) {
      this.counters.dropped++;
      return;
    }
    if (!await this.#options.take(datagram)) {
      this.counters.refused++;
      return;
    }
    this.counters.counted++;
    if (socket === this.#socket) socket.send(ANSWER, from.port, from.address);
  }

  /** Each datagram that is read costs some 25 µs, even when it is not looked at. In a flood the port is closed for a moment. */
  #isFlooded(): boolean {
    this.#sliceTimer ??= setTimeout(() => this.#endSlice(), SLICE_MS);
    if (++this.#slice <= this.#options.maxPerSecond * SLICE_MS / 1_000) return false;
    this.#closeSocket();
    const now = performance.now();
    if (now - this.#loggedAt > LOG_EVERY_MS) {
      this.#loggedAt = now;
      this.#options.logger.warn("flood on the heartbeat port; most of it is dropped", { port: this.port });
    }
    return true;
  }

  async #endSlice(): Promise<void> {
    this.#sliceTimer = undefined;
    this.#slice = 0;
    if (this.#socket || this.#isClosed) return;
    try {
      const socket = await bind(this.#options.host, this.port);
      if (this.#isClosed) socket.close();
      else this.#use(socket);
    } catch (error) {
      this.#options.logger.error("cannot open the heartbeat port again; tried again", {
        reason: String(error),
      });
      this.#sliceTimer = setTimeout(() => this.#endSlice(), LOG_EVERY_MS);
    }
  }

  #closeSocket(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Closes the port. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#sliceTimer);
    this.#closeSocket();
  }
}

function bind(host: string, port: number): Promise<Socket> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, host, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
