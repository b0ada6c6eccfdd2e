/**
 * Finishes what is left of users who are deleted: of those of this node, and of those whose node, or whose operator, has gone
 * meanwhile.
 *
 * @module
 */
import { errorText } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Database } from "../store/database.ts";
import { beginDeletion, type Deleted, finishDeletion, takeDeletion } from "../store/delete_user.ts";

/** How often it is looked for what is left, ms. */
const LOOK_MS = 5_000;
/** By then all nodes have sent the user away, who can add nothing to the log any more, ms. */
const GONE_BY_THEN_MS = 3_000;
/** For each ms of work so many are left to others. */
const REST = 4;

/** One per node. */
export class Deletions {
  readonly #db: Database;
  readonly #logger: Logger;
  #lookedAt = -Infinity;
  #isBusy = false;
  #isClosed = false;

  /** Reads and writes `db`. */
  constructor(db: Database, logger: Logger) {
    this.#db = db;
    this.#logger = logger;
  }

  /** A user deletes its account, which is shut when this resolves, with the event's id. `at`: ms since the epoch. */
  begin(userId: number, at: number): Promise<number> {
    const event = { at, actor: "the user", what: "delete", userId, detail: {} } as const;
    return beginDeletion(this.#db, { userId, withMessages: false }, event, at + GONE_BY_THEN_MS);
  }

  /** Called about once a second. Never rejects. */
  async tick(): Promise<void> {
    const now = performance.now();
    if (this.#isBusy || this.#isClosed || now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    this.#isBusy = true;
    try {
      const deleted = await takeDeletion(this.#db, Date.now());
      if (deleted) await this.#finish(deleted);
      // There may be another one.
      if (deleted) this.#lookedAt = -Infinity;
    } catch (error) {
      if (!this.#isClosed) {
        this.#logger.warn("cannot finish deleting a user; tried again later", { reason: errorText(error) });
      }
    } finally {
      this.#isBusy = false;
    }
  }

  async #finish(deleted: Deleted): Promise<void> {
    const report = await finishDeletion(this.#db, {
      ...deleted,
      onProgress: async (_done, _total, startedAt) => {
        if (this.#isClosed) throw new Error("This node ends");
        await new Promise((resolve) => setTimeout(resolve, REST * (performance.now() - startedAt)));
      },
    });
    this.#logger.info("a user is deleted", { user: deleted.userId, ...report });
  }

  /** Nothing is begun any more; what is under way is gone on with elsewhere, or later. */
  close(): void {
    this.#isClosed = true;
  }
}
