/**
 * What a migration is made of.
 *
 * @module
 */

import type { Logger } from "../base/logger.ts";
import type { SqlConnection } from "./database.ts";

/** What a step has beside its connection. */
export interface StepContext {
  /** For what an operator should look at. */
  logger: Logger;
  /** The clock, ms since the epoch. */
  now: () => number;
}

/** One statement of a file, or one piece of code. */
export interface MigrationStep {
  /** The statement, or what the code does: for the message when it fails. */
  readonly text: string;
  /**
   * Does it, in one transaction with the record that it was done. Where it runs DDL on MySQL, which commits at once, it
   * must do no harm when it runs again. Resolves with a line for who started the migration, if there is something to say.
   */
  run(conn: SqlConnection, context: StepContext): Promise<string | void>;
}
