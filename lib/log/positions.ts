/**
 * How far each user has come in each conversation, kept in memory and written in batches: about once a second, at a
 * disconnect and at the end. A crash forgets a second of progress at most; what was delivered then comes again.
 *
 * @module
 */
import { errorText } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Messages } from "../store/messages.ts";

/** Rows in one statement. */
const MOVES_PER_STATEMENT = 500;

/** A logged-in user's place in one conversation. `since <= delivered <= sent`. */
export interface Cursor {
  /** Whose. */
  readonly userId: number;
  /** Where. */
  readonly conversation: ConversationId;
  /** Entitled to what follows this seq. */
  readonly since: number;
  /** Given to this connection, or passed over because it is the user's own or recalled. */
  sent: number;
  /** The last one given as a frame, or known to have been received before; what was passed over stands behind it. */
  lastFrame: number;
  /** Received: acknowledged, or written to a version 1 connection. */
  delivered: number;
  /** Read, as the client says, with what was passed over behind that. */
  read: number;
  /** The newest seq known to exist; above `sent` there is something to fetch. */
  newest: number;
  /** The newest message of the user's own that this connection sent: who cares for receipts. */
  own: number;
}

/**
 * How far a conversation goes for a client: whatever it can have, by login, reply, frame or history, has moved one of these
 * along. What is named beyond that need not be looked for in the database.
 */
export function endOf({ newest, own }: Cursor): number {
  return Math.max(newest, own);
}

/** A position that has been written: others may want to hear of it. */
export interface Move {
  /** Who moved. */
  userId: number;
  /** Where. */
  conversation: ConversationId;
  /** Has received everything up to this. */
  delivered: number;
  /** Has read everything up to this. */
  read: number;
  /** Was never entitled to anything up to this. */
  since: number;
}

/** Collects moves and writes them. One per node. */
export class Positions {
  readonly #messages: Messages;
  readonly #logger: Logger;
  readonly #onMoved: (moves: readonly Move[]) => void;
  #dirty = new Set<Cursor>();
  #running: Promise<void> | undefined;
  #isFailing = false;

  /** `onMoved` is told after moves are durable; must not throw. */
  constructor(messages: Messages, logger: Logger, onMoved: (moves: readonly Move[]) => void) {
    this.#messages = messages;
    this.#logger = logger;
    this.#onMoved = onMoved;
  }

  /** This cursor has moved. */
  touch(cursor: Cursor): void {
    this.#dirty.add(cursor);
  }

  /** Forgets what has moved and is not written. Resolves when nothing is being written either. */
  async discard(): Promise<void> {
    this.#dirty.clear();
    await this.#running;
    // What could not be written has been put back.
    this.#dirty.clear();
  }

  /**
   * Writes everything that moved before the call. Never rejects: what could not be written stays and goes with the next
   * flush, or is delivered again.
   */
  async flush(): Promise<void> {
    // A flush that is under way may have taken its moves before the caller's were made.
    await this.#running;
    this.#running ??= this.#write().finally(() => this.#running = undefined);
    await this.#running;
  }

  async #write(): Promise<void> {
    if (this.#dirty.size === 0) return;
    // In one order on all nodes, so that they cannot deadlock.
    const cursors = [...this.#dirty].sort((a, b) =>
      a.userId - b.userId || (a.conversation < b.conversation ? -1 : 1)
    );
    for (let start = 0; start < cursors.length; start += MOVES_PER_STATEMENT) {
      const some = cursors.slice(start, start + MOVES_PER_STATEMENT);
      const moves = some.map(({ userId, conversation, delivered, read, since }) => ({
        userId,
        conversation,
        delivered,
        read,
        since,
      }));
      for (const cursor of some) this.#dirty.delete(cursor);
      try {
        await this.#messages.advance(moves);
      } catch (error) {
        for (const cursor of some) this.#dirty.add(cursor);
        if (!this.#isFailing) {
          this.#logger.warn("cannot store positions; tried again", { reason: errorText(error) });
        }
        this.#isFailing = true;
        return;
      }
      this.#isFailing = false;
      this.#onMoved(moves);
    }
  }
}
