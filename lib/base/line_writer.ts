/**
 * Lines for standard output and standard error, which nobody may read: a pipe takes 64 KiB, and whoever then writes to
 * it at once stands still, with everything the process does.
 *
 * @module
 */
import { waitAtMost } from "./give_up_after.ts";

/** What waits at most, in characters. */
const MAX_QUEUED = 262_144;
/** A pipe that somebody else has made non-blocking is asked again after this time, ms. */
const FULL_RETRY_MS = 50;

const encoder = new TextEncoder();

/** Where bytes go. */
interface Sink {
  /** Resolves with how many of the bytes were taken. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Writes lines behind the caller's back, in their order; what finds the queue full is left out and counted. */
export class LineWriter {
  readonly #sink: Sink;
  readonly #onLost: (lines: number) => void;
  #queue: string[] = [];
  #queued = 0;
  #lost = 0;
  #writing: Promise<void> | undefined;

  /** `onLost` hears how many lines were left out, once there is room again. */
  constructor(sink: Sink, onLost: (lines: number) => void = () => {}) {
    this.#sink = sink;
    this.#onLost = onLost;
  }

  /** Takes a line, newline included. */
  write(line: string): void {
    if (this.#queued + line.length > MAX_QUEUED) {
      this.#lost++;
      return;
    }
    this.#queue.push(line);
    this.#queued += line.length;
    this.#writing ??= this.#run();
  }

  /** Resolves when everything is written, or after `timeoutMs` if nobody reads. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#writing) await waitAtMost(timeoutMs, this.#writing);
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const text = this.#queue.join("");
      this.#queue = [];
      await this.#writeAll(encoder.encode(text));
      this.#queued -= text.length;
      if (this.#lost === 0) continue;
      const lost = this.#lost;
      this.#lost = 0;
      this.#onLost(lost);
    }
    this.#writing = undefined;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length;) {
      try {
        offset += await this.#sink.write(bytes.subarray(offset));
      } catch (error) {
        // Closed: there is nowhere left to say so, and serving goes on.
        if (!(error instanceof Deno.errors.WouldBlock)) return;
        await new Promise((resolve) => setTimeout(resolve, FULL_RETRY_MS));
      }
    }
  }
}
