/**
 * Who is online where: a user is claimed by one node at a time.
 *
 * @module
 */

/** What becomes of a claim when the user is claimed already: `refuse` leaves it, `replace` takes it over. */
export type ClaimMode = "refuse" | "replace";

/** How a claim went. */
export type ClaimResult = {
  /** The user is this node's. */
  claimed: true;
  /** Names this claim; greater than that of any earlier claim of the user. */
  generation: number;
  /** The node whose live claim was taken over, possibly this one. */
  previousNode?: string;
} | {
  /** Another claim lives, and `refuse` was asked for. */
  claimed: false;
};

/** The claims of a cluster, as one node sees them. */
export interface Presence {
  /** Nothing can be claimed while false. */
  readonly isUp: boolean;
  /**
   * Claims a user for this node. Claims of nodes that are dead, or were restarted since, do not count.
   * Rejects with a PresenceError while presence is away; the claim is not made then, or is taken back later.
   */
  claim(userId: number, mode: ClaimMode): Promise<ClaimResult>;
  /**
   * Gives a claim back, unless a later one has replaced it. To be called for every claim in the end, also for
   * a replaced or lost one. Never rejects: what an outage keeps from being given back is given back after it.
   */
  release(userId: number, generation: number): Promise<void>;
  /**
   * Which of these users have a live claim, on whichever node. Cheap for 500 at a time. Rejects while away.
   */
  online(userIds: readonly number[]): Promise<Set<number>>;
  /** Gives all claims of this node back at once. Never rejects. */
  close(): Promise<void>;
}

/** What presence tells its owner. */
export interface PresenceEvents {
  /** Another node holds the user now: the session of this claim has to end. */
  onLost(userId: number, generation: number): void;
  /**
   * A node is dead: what the database says of its users is to be brought in line with
   * {@link Presence.online}. One live node is told, again or another one when this rejects or takes longer
   * than three leases.
   */
  onNodeDied(node: string): void | Promise<void>;
  /**
   * This node was taken for dead for a while, or Redis lost its data. The claims stand again, but the
   * database's states of this node's users may have been reset meanwhile.
   */
  onRestored(): void;
  /** Another process has taken this node's name. Nothing can be claimed any more: the node has to stop. */
  onNameTaken(): void;
}

/**
 * Presence of a node that is alone: a map. Generations follow `now`, milliseconds since the epoch, so that
 * they increase over restarts as well.
 */
export function createMemoryPresence(node: string, now: () => number = Date.now): Presence {
  const claims = new Map<number, number>();
  let lastGeneration = 0;
  return {
    isUp: true,
    claim(userId, mode) {
      const isClaimed = claims.has(userId);
      if (isClaimed && mode === "refuse") return Promise.resolve({ claimed: false });
      const generation = lastGeneration = Math.max(lastGeneration + 1, now());
      claims.set(userId, generation);
      return Promise.resolve({ claimed: true, generation, ...(isClaimed ? { previousNode: node } : {}) });
    },
    release(userId, generation) {
      if (claims.get(userId) === generation) claims.delete(userId);
      return Promise.resolve();
    },
    online: (userIds) => Promise.resolve(new Set(userIds.filter((userId) => claims.has(userId)))),
    close() {
      claims.clear();
      return Promise.resolve();
    },
  };
}
