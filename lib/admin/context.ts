/**
 * What an admin command works with, and what it gives back.
 *
 * @module
 */
import type { Console } from "./console.ts";
import { EXIT, FatalError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
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
  /** For what the parts that are shared with nodes have to say. */
  logger: Logger;
}

/** What a command prints: lines for people, or with `--json` one value. */
export interface Result {
  /** For people. */
  lines: readonly string[];
  /** For programs. */
  json: unknown;
}

/** Lines unless `--limit` says otherwise. */
const LINES = 100;

/** How many lines at most. */
export function limitOf({ limit }: AdminOptions): number {
  return limit ?? LINES;
}

/** Some of a list. */
export interface Page<Row> {
  /** Those that are shown. */
  rows: Row[];
  /** There are others behind them. */
  more: boolean;
}

/** Reads what `--after` and `--limit` ask for. `read`: gives `limit` rows at most, of those behind `after`. */
export async function pageOf<Row>(
  options: AdminOptions,
  read: (after: number, limit: number) => Promise<Row[]>,
): Promise<Page<Row>> {
  const limit = limitOf(options);
  const rows = await read(options.after ?? 0, limit + 1);
  return { rows: rows.slice(0, limit), more: rows.length > limit };
}

/** The lines of a page, with how to go on; `none`: what is said where there are no lines. */
export function pageLines(
  { rows, more }: Page<{ id: number }>,
  lines: readonly string[],
  none: string = "None.",
): string[] {
  const all = more ? [...lines, `There are more: --after ${rows.at(-1)?.id}`] : [...lines];
  return all.length > 0 ? all : [none];
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
