/**
 * The errors somebody catches. Everything else is a plain Error and ends in the one place that logs the unexpected.
 *
 * @module
 */

/** Exit codes, from sysexits.h. */
export const EXIT = {
  /** Clean stop, also after SIGTERM. */
  ok: 0,
  /** Failed while running. */
  failure: 1,
  /** The command line is wrong (EX_USAGE). */
  usage: 64,
  /** A dependency is down at start (EX_UNAVAILABLE). */
  unavailable: 69,
  /** The configuration cannot work (EX_CONFIG). */
  config: 78,
} as const;

/** Stops the program with one line on stderr and an exit code. */
export class FatalError extends Error {
  /** As it stands in stack traces. */
  override readonly name = "FatalError";
  /** One of {@link EXIT}. */
  readonly exitCode: number;

  /** `exitCode` is one of {@link EXIT}; `message` is the line the user reads. */
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/**
 * What went wrong with a statement, as far as a caller can act on it:
 * - `duplicate`: a unique key exists already
 * - `conflict`: deadlock or lock time-out; rolled back, the same work may be tried again at once
 * - `unavailable`: no connection, or it broke; rolled back unless `outcomeUnknown`
 * - `unfit`: rights, a table or a setting are not as they must be; somebody has to mend that, and then it works
 * - `full`: disk or quota is full; rolled back
 * - `too_large`: a value is longer than its column or than a statement may be, and will be at every attempt
 * - `refused`: the database does not take this value, now or later
 * - `stale`: something was to be as the caller knew it, and is not any more; nothing was done
 * - `other`: the statement itself is wrong
 */
export type DatabaseErrorKind =
  | "duplicate"
  | "conflict"
  | "unavailable"
  | "unfit"
  | "full"
  | "too_large"
  | "refused"
  | "stale"
  | "other";

const TEMPORARY: ReadonlySet<DatabaseErrorKind> = new Set(["conflict", "unavailable", "unfit", "full"]);

/** A statement or transaction that failed. Text never holds passwords or parameter values. */
export class DatabaseError extends Error {
  /** As it stands in stack traces. */
  override readonly name = "DatabaseError";
  /** What the caller can do about it. */
  readonly kind: DatabaseErrorKind;
  /** True when the connection broke while COMMIT was under way: the transaction may or may not have happened. */
  readonly outcomeUnknown: boolean;

  /** `kind` tells what a caller can do; `outcomeUnknown` is for a break during COMMIT only. */
  constructor(
    kind: DatabaseErrorKind,
    message: string,
    options: ErrorOptions & { outcomeUnknown?: boolean } = {},
  ) {
    super(message, options);
    this.kind = kind;
    this.outcomeUnknown = options.outcomeUnknown ?? false;
  }
}

/** Nobody can be claimed, and so log in, at the moment: an outage of Redis, which is told of once and not for each who meets it. */
export class PresenceError extends Error {
  /** As it stands in stack traces. */
  override readonly name = "PresenceError";

  /** `reason` is for operators. */
  constructor(reason: string) {
    super(`No user can be claimed: ${reason}`);
  }
}

/** True when the database cannot do it at the moment: the same work may be done later. */
export function isTemporary(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && TEMPORARY.has(error.kind);
}

/** The text of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
