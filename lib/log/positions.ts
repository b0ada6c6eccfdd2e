/**
 * How far each device has come in each conversation, kept in memory and written in batches: about once a second, at a
 * disconnect and at the end. A crash forgets a second of progress at most; what was delivered then comes again.
 *
 * @module
 */
import { errorText } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Messages, PositionMove } from "../store/messages.ts";

/** Rows in one statement. */
const MOVES_PER_STATEMENT = 500;

/** A logged-in device's place in one conversation. `since <= delivered <= sent`. */
export interface Cursor {
  /** Whose. */
  readonly userId: number;
  /** 0: of versions 1 and 2. */
  readonly device: number;
  /** Where. */
  readonly conversation: ConversationId;
  /** Entitled to what follows this seq. */
  readonly since: number;
  /** Entitled to nothing behind this seq, as far as is known here; NO_END: a member. */
  until: number;
  /** The client has gone past what it was sent: what ends its membership may be among that, and is looked for in the log. */
  isUnproved: boolean;
  /** Given to this connection, or passed over because it is the user's own or recalled. */
  sent: number;
  /** The last one given as a frame, or known to have been received before; what was passed over stands behind it. */
  lastFrame: number;
  /** Received: acknowledged, or written to a version 1 connection. */
  delivered: number;
  /** Read by the user, as its clients say, with what was passed over behind that. */
  read: number;
  /** What others have been told to be delivered: how far the furthest of the user's devices is … */
  told: number;
  /** … and to be read. */
  toldRead: number;
  /** The last one passed over because it is hidden: nobody has read that. */
  lastHidden: number;
  /** The newest seq known to exist; above `sent` there is something to fetch. */
  newest: number;
  /** The newest message of the user's own that it has sent while this connection was there: who cares for receipts. */
  own: number;
}

/**
 * How far a conversation goes for a client: whatever it can have, by login, reply, frame or history, has moved one of these
 * along. What is named beyond that need not be looked for in the database.
 */
export function endOf({ newest, own }: Cursor): number {
  return Math.max(newest, own);
}

/** What has been written that others may want to hear of. */
export interface Move {
  /** Who moved. */
  userId: number;
  /** Where. */
  conversation: ConversationId;
  /** The furthest of its devices has received everything up to this. */
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

  /** What has moved of a user is not written: it is gone. */
  forget(userId: number): void {
    for (const cursor of this.#dirty) {
      if (cursor.userId === userId) this.#dirty.delete(cursor);
    }
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
    const [legacy, ofDevices] = [cursors.filter(isLegacy), cursors.filter((cursor) => !isLegacy(cursor))];
    const isWritten = await this.#writeSome(legacy, (moves) => this.#messages.advance(moves)) &&
      await this.#writeSome(ofDevices, (moves) => this.#messages.advanceDevices(moves));
    if (isWritten) this.#isFailing = false;
  }

  /** False: the database is away. */
  async #writeSome(
    cursors: readonly Cursor[],
    write: (moves: readonly PositionMove[]) => Promise<void>,
  ): Promise<boolean> {
    for (let start = 0; start < cursors.length; start += MOVES_PER_STATEMENT) {
      const some = cursors.slice(start, start + MOVES_PER_STATEMENT);
      const moves = some.map(({ userId, device, conversation, delivered, read }) => ({
        userId,
        device,
        conversation,
        delivered,
        read,
      }));
      for (const cursor of some) this.#dirty.delete(cursor);
      try {
        await write(moves);
      } catch (error) {
        for (const cursor of some) this.#dirty.add(cursor);
        if (!this.#isFailing) {
          this.#logger.warn("cannot store positions; tried again", { reason: errorText(error) });
        }
        this.#isFailing = true;
        return false;
      }
      const news = some.flatMap((cursor, index) => newsOf(cursor, moves[index]));
      if (news.length > 0) this.#onMoved(news);
    }
    return true;
  }
}

function isLegacy({ device }: Cursor): boolean {
  return device === 0;
}

/** What others have not been told of: a device that comes behind another one of its user's moves nothing for them. */
function newsOf(cursor: Cursor, written: PositionMove | undefined): Move[] {
  if (!written) return [];
  const { userId, conversation, since, told, toldRead } = cursor;
  const { delivered, read } = written;
  if (delivered <= told && read <= toldRead) return [];
  cursor.told = Math.max(told, delivered);
  cursor.toldRead = Math.max(toldRead, read);
  return [{ userId, conversation, delivered: cursor.told, read: cursor.toldRead, since }];
}
