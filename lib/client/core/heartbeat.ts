/**
 * Notices a server that has gone silent, and shows it that we have not (after nats.js `heartbeats.ts`).
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";

/** The connection as the heartbeat sees it. */
export interface HeartbeatPeer {
  /** When anything was last sent, ms of the clock. */
  readonly lastSentAt: number;
  /** When anything was last received, ms of the clock. */
  readonly lastReceivedAt: number;
  /** Sends one beat, which the server answers. */
  beat(): void;
  /** The server has been silent for too long. Called once. */
  lost(): void;
}

/** What the server announced at login. */
export interface HeartbeatRhythm {
  /** A beat is due after this long without one. */
  intervalMs: number;
  /** So many intervals of silence mean that the peer is gone. */
  misses: number;
}

/** Beats when nothing else was sent for an interval, or when the server has been silent for one. */
export class Heartbeat {
  readonly #peer: HeartbeatPeer;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #lastBeatAt = 0;

  /** Does nothing until {@link start}. */
  constructor(peer: HeartbeatPeer, clock: Clock) {
    this.#peer = peer;
    this.#clock = clock;
  }

  /** Begins, or goes on in another rhythm. */
  start(rhythm: HeartbeatRhythm): void {
    this.#timer?.cancel();
    this.#lastBeatAt = this.#clock.now();
    this.#schedule(rhythm, rhythm.intervalMs);
  }

  /** Stops without a word. */
  stop(): void {
    this.#timer?.cancel();
  }

  #schedule(rhythm: HeartbeatRhythm, delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => this.#check(rhythm));
  }

  #check(rhythm: HeartbeatRhythm): void {
    const now = this.#clock.now();
    const { lastSentAt, lastReceivedAt } = this.#peer;
    if (now - lastReceivedAt >= rhythm.intervalMs * rhythm.misses) {
      this.stop();
      this.#peer.lost();
      return;
    }
    // Sending alone proves nothing: a server that has not been heard for an interval is asked.
    const quietSince = Math.min(lastSentAt, Math.max(lastReceivedAt, this.#lastBeatAt));
    if (now - quietSince >= rhythm.intervalMs) {
      this.#lastBeatAt = now;
      this.#peer.beat();
      this.#schedule(rhythm, rhythm.intervalMs);
    } else this.#schedule(rhythm, rhythm.intervalMs - (now - quietSince));
  }
}
