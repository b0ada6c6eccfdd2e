/**
 * The server's own log lines: text for people, JSON for machines.
 *
 * @module
 */

import { printable, printableJson } from "./printable.ts";

/** Severity, least first. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** One of {@link LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];
/** `text`: one readable line. `json`: one object a line. */
export type LogFormat = "text" | "json";
/** Named values beside the message; never passwords, tokens or message text. */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** Writes log lines of at least one level. */
export interface Logger {
  /** For a developer looking for something. */
  debug(message: string, fields?: LogFields): void;
  /** Something an operator wants to have seen. */
  info(message: string, fields?: LogFields): void;
  /** Works, but somebody should look. */
  warn(message: string, fields?: LogFields): void;
  /** Does not work. */
  error(message: string, fields?: LogFields): void;
}

/** A logger whose level can be changed. */
export interface ProgramLogger extends Logger {
  /** Lines below this level are dropped from now on. */
  setLevel(level: LogLevel): void;
}

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** Lines below this level are dropped. */
  level: LogLevel;
  /** How a line looks. */
  format: LogFormat;
  /** Where a finished line goes, newline included. */
  write: (line: string) => void;
  /** The clock, ms since the epoch. */
  now?: () => number;
}

/** Text values are quoted when they hold anything but one plain word, so that a line cannot be forged by a client. */
function formatValue(value: string | number | boolean | null): string {
  const text = String(value);
  return /^[\w.:/@+-]+$/.test(text) ? text : printableJson(JSON.stringify(text));
}

/** Makes a logger. */
export function createLogger({ level, format, write, now = Date.now }: LoggerOptions): ProgramLogger {
  let lowest = LOG_LEVELS.indexOf(level);
  function log(at: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(at) < lowest) return;
    const time = new Date(now()).toISOString();
    if (format === "json") {
      write(printableJson(JSON.stringify({ time, level: at, message, ...fields })) + "\n");
      return;
    }
    let line = `${time} ${at.padEnd(5)} ${printable(message)}`;
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) line += ` ${key}=${formatValue(value)}`;
    }
    write(line + "\n");
  }
  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    setLevel: (level) => void (lowest = LOG_LEVELS.indexOf(level)),
  };
}
