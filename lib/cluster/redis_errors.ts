/**
 * What the errors of Redis ask for. Their first word is a code; in a script's error it may stand further behind.
 *
 * @module
 */

/** Redis does not let this node do something: its operator has to change a right, a password or an address. */
export class RedisDenied extends Error {
  /** As it stands in stack traces. */
  override readonly name = "RedisDenied";
}

/**
 * What can be done about an error:
 * - `replica`: this server is no master; the master has to be looked for
 * - `busy`: this server answers nothing at the moment; another connection, now or later, may
 * - `refusing`: it is the right one and works, but takes no writes: wait
 * - `denied`: see {@link RedisDenied}
 * - `other`: the command was wrong
 */
export type RedisFault = "replica" | "busy" | "refusing" | "denied" | "other";

const CODES: readonly (readonly [RegExp, RedisFault])[] = [
  [/\b(?:READONLY|MASTERDOWN)\b/, "replica"],
  [/\b(?:LOADING|BUSY)\b/, "busy"],
  [/\b(?:OOM|NOREPLICAS|MISCONF)\b/, "refusing"],
  [
    /\b(?:NOPERM|NOAUTH|WRONGPASS)\b|^ERR (?:invalid password|DB index is out of range|SELECT is not allowed)/,
    "denied",
  ],
  // What Redis 7.0, and what Redis 8 and Valkey call NOPERM when a script does it.
  [/\bThe user executing the script can't\b|\bACL failure in script\b/, "denied"],
];

/** Which kind of error `text` is. */
export function redisFault(text: string): RedisFault {
  return CODES.find(([code]) => code.test(text))?.[1] ?? "other";
}
