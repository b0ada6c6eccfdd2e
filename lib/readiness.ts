/**
 * Whether a node should be given clients.
 *
 * @module
 */
import { errorText } from "./errors.ts";
import { giveUpAfter } from "./give_up_after.ts";

/** How long the database may take to say that it is there, ms. */
const PING_TIMEOUT_MS = 1_000;

/** Why a node should not be given clients while it takes none. */
export const NOT_ACCEPTING = "draining or starting: no connections are taken";

/** What {@link Readiness} looks at. */
export interface ReadinessOptions {
  /** The node takes connections: it has started and does not drain. */
  isAccepting: () => boolean;
  /** Asks the database; rejects when it does not work. */
  pingDatabase: () => Promise<void>;
  /** Whether the other nodes can be reached and users claimed; always true for a node that is alone. */
  isBusUp: () => boolean;
  /** How long a ping may take, ms. */
  pingTimeoutMs?: number;
}

/** Looks whether a node works. */
export class Readiness {
  readonly #options: ReadinessOptions;
  #ping: Promise<string | undefined> | undefined;

  /** See {@link ReadinessOptions}. */
  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Why the node should not be given clients; empty when it should. Never rejects. */
  async problems(): Promise<string[]> {
    const { isAccepting, isBusUp } = this.#options;
    // However many ask at once, the database is asked once.
    this.#ping ??= this.#pingDatabase().finally(() => this.#ping = undefined);
    const databaseProblem = await this.#ping;
    return [
      ...(isAccepting() ? [] : [NOT_ACCEPTING]),
      ...(databaseProblem === undefined ? [] : [`database: ${databaseProblem}`]),
      ...(isBusUp() ? [] : ["redis: not connected"]),
    ];
  }

  async #pingDatabase(): Promise<string | undefined> {
    const { pingDatabase, pingTimeoutMs = PING_TIMEOUT_MS } = this.#options;
    try {
      await giveUpAfter(
        pingTimeoutMs,
        pingDatabase(),
        () => new Error(`no answer within ${pingTimeoutMs} ms`),
      );
      return undefined;
    } catch (error) {
      return errorText(error);
    }
  }
}
