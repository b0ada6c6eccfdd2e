/**
 * Notices that the database has gone back in time (a backup was restored under running nodes, a replica promoted that
 * lacked the last second), and sets right what rests on what is not there any more.
 *
 * Noticed by proof alone: a message that this node has stored or heard of is not in its place. From then on
 *
 * - no seq that was given out is given out again: the conversation's end is raised, what was lost stays a hole;
 * - what users have acknowledged since the last proof that all was well counts for nothing in the conversations
 *   concerned: other messages may stand in those places, stored by a node that knew no better;
 * - everyone online is placed anew, as by a login, by what the database holds: groups, positions, mailbox;
 * - the history has another name (the table Epoch), by which the other nodes learn of it if not by the bus.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import type { End, Ends } from "../store/ends.ts";
import { errorText } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Positions } from "./positions.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Timeline } from "../store/timeline.ts";

/** Conversations of which a look at the log makes sure. What a database forgets first is the newest. */
const CHECKED = 200;
/**
 * What is missing is looked for once more after this, ms: on a cluster of databases one may have been told of a message
 * before the server that is asked has it.
 */
const CONFIRM_MS = 3_000;
/** How far the nodes' clocks, and the times of messages, may be apart, ms. */
const SKEW_MS = 5_000;
/** Between attempts on a database that fails, ms. */
const RETRY_MS = 1_000;

/** What a {@link Rewind} works with. */
export interface RewindOptions {
  /** What this node knows to be in the log. */
  ends: Ends;
  /** What the database holds. */
  timeline: Timeline;
  /** What is not written yet and must not be. */
  positions: Positions;
  /** Nobody online here is sent anything any more, or moves a position, until {@link RewindOptions.renew}. */
  suspend: () => void;
  /** Places everyone who is online here anew. Must not reject. */
  renew: () => Promise<void>;
  /** Tells the other nodes to look for themselves. */
  tellOthers: () => void;
  /** For what happens. */
  logger: Logger;
  /** Time. */
  clock?: Clock;
}

/** One per node. */
export class Rewind {
  readonly #options: RewindOptions;
  readonly #clock: Clock;
  /** The history's name, as this node knows it; undefined before it has asked. */
  #epoch: string | undefined;
  /** When a look at the log last found everything in its place, ms since the epoch. */
  #goodAt = Date.now();
  /** Conversations whose members' positions have still to be set right. */
  #concerned: End[] = [];
  #isProven = false;
  #recovering: Promise<void> | undefined;
  #isClosed = false;

  /** See {@link RewindOptions}. */
  constructor(options: RewindOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** The history's name. Rejects with a DatabaseError. */
  async epoch(): Promise<string> {
    return this.#epoch ??= await this.#options.timeline.epoch();
  }

  /** Looks whether the newest messages that this node knows of are still there. Rejects with a DatabaseError. */
  async check(): Promise<void> {
    const { ends, timeline, logger } = this.#options;
    const now = Date.now();
    const epoch = await timeline.epoch();
    if ((await timeline.missing(ends.youngest(CHECKED))).length > 0) return await this.look();
    if (this.#recovering) return;
    if (this.#epoch !== undefined && epoch !== this.#epoch) {
      logger.warn("another node has found that the database has gone back in time; users are placed anew");
      this.#recover();
    } else this.#goodAt = now;
    this.#epoch = epoch;
  }

  /**
   * Something is not as this node knows it: in `behind` places would be given out again. Resolves when that cannot happen
   * any more. Rejects with a DatabaseError.
   */
  async look(behind: readonly ConversationId[] = []): Promise<void> {
    const { ends, timeline, logger } = this.#options;
    for (const conversation of behind) await timeline.reserve(conversation, ends.seq(conversation));
    const suspects = await timeline.missing(ends.all());
    if (suspects.length === 0) return;
    await new Promise<void>((resolve) => this.#clock.after(CONFIRM_MS, resolve));
    const missing = await timeline.missing(suspects, { isFinal: true });
    const [first] = missing;
    if (first === undefined) return;
    for (const { conversation, seq } of missing) await timeline.reserve(conversation, seq);
    ends.forget(missing);
    this.#concerned.push(...missing);
    this.#isProven = true;
    logger.error("the database has gone back in time: messages that were stored are not there any more", {
      conversations: missing.length,
      conversation: first.conversation,
      seq: first.seq,
    });
    this.#recover();
  }

  /** In the background, until it is done: users have waited long enough when it begins. */
  #recover(): void {
    this.#recovering ??= this.#setRight().finally(() => this.#recovering = undefined);
  }

  async #setRight(): Promise<void> {
    const { positions, timeline, suspend, renew, tellOthers, logger } = this.#options;
    const before = this.#goodAt - SKEW_MS;
    for (let isTold = false; !this.#isClosed; isTold = true) {
      try {
        suspend();
        await positions.discard();
        for (let end = this.#concerned.at(-1); end !== undefined; end = this.#concerned.at(-1)) {
          await timeline.distrust(end.conversation, before);
          this.#concerned.pop();
        }
        if (this.#isProven) this.#epoch = await timeline.changeEpoch(this.#epoch ?? await timeline.epoch());
        break;
      } catch (error) {
        if (!isTold) logger.warn("cannot place users anew; tried again", { reason: errorText(error) });
        await new Promise<void>((resolve) => this.#clock.after(RETRY_MS, resolve));
      }
    }
    if (this.#isProven) tellOthers();
    this.#isProven = false;
    await renew();
    logger.info("users are placed anew, by what the database holds");
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#recovering;
  }
}
