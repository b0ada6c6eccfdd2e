/**
 * Whether a node should be given clients.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import { giveUpAfter } from "../base/give_up_after.ts";
import type { Logger } from "../base/logger.ts";

/** How long the database may take to write a row, ms. */
const WRITE_TIMEOUT_MS = 1_000;
/** The database is asked to write one at most this often, ms: a write is a sync of its disk. */
const WRITE_EVERY_MS = 1_000;

/** Why a node should not be given clients while it takes none. */
export const NOT_ACCEPTING = "draining or starting: no connections are taken";

/** What {@link Readiness} looks at. */
export interface ReadinessOptions {
  /** The node takes connections: it has started and does not drain. */
  isAccepting: () => boolean;
  /** Has the database write a row, which is what clients need of it; rejects when it does not work. */
  writeDatabase: () => Promise<void>;
  /** Why messages could not be stored lately, undefined when they could: there may be room for a row and not for more. */
  storingProblem: () => string | undefined;
  /** Whether the other nodes can be reached and users claimed; always true for a node that is alone. */
  isBusUp: () => boolean;
  /** Hears when the database stops and begins to take writes. */
  logger: Pick<Logger, "info" | "warn">;
  /** Time. */
  clock: Pick<Clock, "now">;
  /** How long a write may take, ms. */
  writeTimeoutMs?: number;
}

/** Looks whether a node works. */
export class Readiness {
  readonly #options: ReadinessOptions;
  /** The write that is under way, also when nobody waits for it any more: a database that hangs has one to do. */
  #writing: Promise<void> | undefined;
  #writtenAt = -Infinity;
  #isFailing = false;

  /** See {@link ReadinessOptions}. */
  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Why the node should not be given clients; empty when it should. Never rejects. */
  async problems(): Promise<string[]> {
    const { isAccepting, isBusUp } = this.#options;
    const databaseProblem = await this.#databaseProblem();
    return [
      ...(isAccepting() ? [] : [NOT_ACCEPTING]),
      ...(databaseProblem === undefined ? [] : [`database: ${databaseProblem}`]),
      ...(isBusUp() ? [] : ["redis: not connected"]),
    ];
  }

  async #databaseProblem(): Promise<string | undefined> {
    const { clock, logger, storingProblem } = this.#options;
    const problem = clock.now() - this.#writtenAt < WRITE_EVERY_MS ? undefined : await this.#write();
    if (problem !== undefined && !this.#isFailing) {
      logger.warn("not ready: the database does not take writes", { reason: problem });
    } else if (problem === undefined && this.#isFailing) logger.info("the database takes writes again");
    this.#isFailing = problem !== undefined;
    return problem ?? storingProblem();
  }

  async #write(): Promise<string | undefined> {
    const { clock, writeDatabase, writeTimeoutMs = WRITE_TIMEOUT_MS } = this.#options;
    // However many ask at once, the database is asked once.
    this.#writing ??= writeDatabase()
      .then(() => void (this.#writtenAt = clock.now()))
      .finally(() => this.#writing = undefined);
    try {
      await giveUpAfter(
        writeTimeoutMs,
        this.#writing,
        () => new Error(`it has not written a row within ${writeTimeoutMs} ms`),
      );
      return undefined;
    } catch (error) {
      return errorText(error);
    }
  }
}
