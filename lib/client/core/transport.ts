/**
 * The way to the server, as the session needs it: whole frames, over whatever carries them.
 *
 * @module
 */

/** One connection, from the moment the dialling begins. */
export interface Transport {
  /** Sends one frame, a JSON object as text. In order; does nothing once the connection is over. */
  send(frame: string): void;
  /** Sends what is queued, says that nothing more comes and reads on until the server closes too. Bounded in time. */
  end(): Promise<void>;
  /** Closes at once. No event follows. */
  close(): void;
}

/** What a connection tells its owner. */
export interface TransportEvents {
  /** Connected; sending works from now on. */
  onOpen(): void;
  /** Something arrived: the frames that became complete with it, in order; none when that was part of a longer one. */
  onFrames(frames: readonly string[]): void;
  /** Could not connect, or was closed by the other side or a failure. The last event. */
  onClose(reason: string): void;
}

/** Begins a connection; the events come later, never while it is being called. */
export type Dial = (events: TransportEvents) => Transport;
