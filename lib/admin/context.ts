/**
 * What an admin command works with, and what it gives back.
 *
 * @module
 */
import type { Console } from "./console.ts";
import { EXIT, FatalError } from "../base/errors.ts";
import type { AdminOptions } from "../config/options.ts";
import type { AdminAction, NewEvent } from "../store/admin_events.ts";
import type { Database } from "../store/database.ts";

/** What a command works with. */
export interface AdminContext {
  /** Perhaps beside nodes that have it open. */
  db: Database;
  /** What was asked for. */
  options: AdminOptions;
  /** To the operator. */
  console: Console;
  /** Who does it. */
  actor: string;
}

/** What a command prints: lines for people, or with `--json` one value. */
export interface Result {
  /** For people. */
  lines: readonly string[];
  /** For programs. */
  json: unknown;
}

/** An event of this command's, now. */
export function eventOf(
  { actor }: AdminContext,
  what: AdminAction,
  userId: number | null,
  detail: NewEvent["detail"] = {},
): NewEvent {
  return { at: Date.now(), actor, what, userId, detail };
}

/** What was asked for cannot be done. */
export function refuse(message: string): FatalError {
  return new FatalError(EXIT.failure, message);
}

/** The words do not make a command. */
export function misuse(message: string): FatalError {
  return new FatalError(EXIT.usage, `${message} (see admin --help)`);
}

/** Goes on only with `--yes`, or when somebody types `word`. `what`: what is about to happen, as a sentence. */
export function confirm({ options, console }: AdminContext, what: string, word: string): void {
  if (options.yes) return;
  if (!console.isInteractive) throw misuse(`${what} Say --yes if that is meant`);
  const typed = console.ask(`${what}\nType ${word} to go on: `);
  if (typed !== word) throw refuse("Nothing was done");
}

/**
 * Lets nodes come in between two transactions of long work, which takes twice as long by that. `startedAt`: when the
 * transaction began, as of performance.now().
 */
export async function giveWay(startedAt: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, performance.now() - startedAt));
}
