/**
 * A bounded queue for work that takes long, in which nobody gets more than a share by asking more often: addresses have
 * turns, one after the other, and whoever comes from one waits for its turn.
 *
 * What was asked for on a connection that has ended is not done at all. A client that has closed its side may still wait
 * for the answer, or be gone; such work is done when there is no other.
 *
 * @module
 */

/** Whose work it is: a session. */
export interface Asker {
  /** Those with the same share a turn; undefined: this one has turns of its own. */
  readonly person: string | undefined;
  /** Nobody reads the answer any more. */
  readonly isEnded: boolean;
  /** Its connection. */
  readonly outlet: {
    /** Perhaps nobody does. */
    readonly isPeerGone: boolean;
  };
}

/** There is no turn for this work: too much waits, or its asker is gone. */
export class NoTurnError extends Error {
  /** As it stands in stack traces. */
  override readonly name = "NoTurnError";
}

interface Waiting {
  asker: Asker;
  begin: () => void;
  refuse: (error: NoTurnError) => void;
}

/** Does some of the work at a time, and lets so much wait. */
export class FairQueue {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  /** By address, or by asker; the next turn is the first one's. */
  readonly #lines = new Map<string | Asker, Waiting[]>();
  /** Of clients that have closed their side. */
  #last: Waiting[] = [];
  #running = 0;
  #waiting = 0;

  /** `atOnce`: at least 1. */
  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** How much waits. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Does `work` when its turn comes; settles as it does. Rejects with a {@link NoTurnError} when no turn comes. */
  async run<Result>(asker: Asker, work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#atOnce) {
      await new Promise<void>((begin, refuse) => this.#add({ asker, begin, refuse }));
    } else this.#running++;
    try {
      return await work();
    } finally {
      // The place passes straight to the next, so that nobody can slip in between.
      const next = this.#take();
      if (next) next.begin();
      else this.#running--;
    }
  }

  #add(waiting: Waiting): void {
    if (this.#waiting >= this.#maxWaiting) this.#forgetEnded();
    if (this.#waiting >= this.#maxWaiting && !this.#makeRoomFor(waiting)) {
      waiting.refuse(new NoTurnError("Too many wait already"));
      return;
    }
    const key = lineOf(waiting);
    const line = this.#lines.get(key);
    if (line) line.push(waiting);
    else this.#lines.set(key, [waiting]);
    this.#waiting++;
  }

  #take(): Waiting | undefined {
    for (const [key, line] of this.#lines) {
      const next = this.#takeOf(line);
      this.#lines.delete(key);
      if (line.length > 0) this.#lines.set(key, line);
      if (next) return next;
    }
    for (let next = this.#last.shift(); next; next = this.#last.shift()) {
      this.#waiting--;
      if (!next.asker.isEnded) return next;
      refuseEnded(next);
    }
    return undefined;
  }

  /** The first of a line whose asker is there. */
  #takeOf(line: Waiting[]): Waiting | undefined {
    for (let next = line.shift(); next; next = line.shift()) {
      if (next.asker.outlet.isPeerGone && !next.asker.isEnded) {
        this.#last.push(next);
        continue;
      }
      this.#waiting--;
      if (!next.asker.isEnded) return next;
      refuseEnded(next);
    }
    return undefined;
  }

  #forgetEnded(): void {
    const all = [...this.#lines.values(), this.#last].flat();
    this.#lines.clear();
    this.#last = [];
    this.#waiting = 0;
    for (const waiting of all) {
      if (waiting.asker.isEnded) refuseEnded(waiting);
      else if (waiting.asker.outlet.isPeerGone) {
        this.#last.push(waiting);
        this.#waiting++;
      } else this.#add(waiting);
    }
  }

  /** Refuses the newest of those who may be gone, or of the longest line; false when there is none with less right. */
  #makeRoomFor(waiting: Waiting): boolean {
    let refused = this.#last.pop();
    if (refused === undefined) {
      let longest = this.#lines.get(lineOf(waiting)) ?? [];
      for (const line of this.#lines.values()) if (line.length > longest.length + 1) longest = line;
      if (this.#lines.get(lineOf(waiting)) === longest || longest.length < 2) return false;
      refused = longest.pop();
    }
    refused?.refuse(new NoTurnError("Too many wait already"));
    this.#waiting--;
    return true;
  }
}

function lineOf({ asker }: Waiting): string | Asker {
  return asker.person ?? asker;
}

function refuseEnded({ refuse }: Waiting): void {
  refuse(new NoTurnError("The connection has ended"));
}
