/**
 * What the log has said lately by which somebody should look.
 *
 * @module
 */
import type { LogFields, Logger } from "../base/logger.ts";

/** Lines that are kept. */
const KEPT = 50;

/** A line. */
export interface RecentLine {
  /** When, ms since the epoch. */
  at: number;
  /** Its level. */
  level: "warn" | "error";
  /** What was said. */
  message: string;
  /** About what. */
  fields: LogFields;
}

/** Passes everything on to another logger. One per node. */
export class RecentLines implements Logger {
  /** How many there have been. */
  readonly counts = { warn: 0, error: 0 };
  readonly #to: Logger;
  readonly #lines: RecentLine[] = [];

  /** Lines go on to `to`. */
  constructor(to: Logger) {
    this.#to = to;
  }

  /** The last 50, the newest first. */
  get newest(): RecentLine[] {
    return this.#lines.toReversed();
  }

  /** See {@link Logger.debug}. */
  debug(message: string, fields?: LogFields): void {
    this.#to.debug(message, fields);
  }

  /** See {@link Logger.info}. */
  info(message: string, fields?: LogFields): void {
    this.#to.info(message, fields);
  }

  /** See {@link Logger.warn}. */
  warn(message: string, fields?: LogFields): void {
    this.#keep("warn", message, fields);
    this.#to.warn(message, fields);
  }

  /** See {@link Logger.error}. */
  error(message: string, fields?: LogFields): void {
    this.#keep("error", message, fields);
    this.#to.error(message, fields);
  }

  #keep(level: RecentLine["level"], message: string, fields: LogFields = {}): void {
    this.counts[level]++;
    this.#lines.push({ at: Date.now(), level, message, fields });
    if (this.#lines.length > KEPT) this.#lines.shift();
  }
}
