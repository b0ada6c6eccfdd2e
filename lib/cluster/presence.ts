/**
 * Who is online where: each device of a user is claimed by one node at a time.
 *
 * @module
 */

/**
 * What is claimed: a user's device, `<user id>.<device>`, or by the user id alone all that the user has of versions 1 and 2,
 * which is one more device.
 */
export type Subject = number | `${number}.${number}`;

/** The subject of a user's device; 0: of versions 1 and 2. */
export function subjectOf(userId: number, device: number): Subject {
  return device === 0 ? userId : `${userId}.${device}`;
}

/** Whose it is. */
export function userOf(subject: Subject): number {
  return typeof subject === "number" ? subject : parseInt(subject);
}

/** What becomes of a claim when its subject is claimed already: `refuse` leaves it, `replace` takes it over. */
export type ClaimMode = "refuse" | "replace";

/** How a claim went. */
export type ClaimResult = {
  /** The subject is this node's. */
  claimed: true;
  /** Names this claim; greater than that of any earlier claim of the subject. */
  generation: number;
  /** The node whose live claim was taken over, possibly this one. */
  previousNode?: string;
  /** The user is online on another device, possibly here. */
  hasOthers?: boolean;
  /** A node had it whose lease has run out, which that node may not know yet. */
  hasLapsed?: boolean;
} | {
  /** Another claim lives, and `refuse` was asked for. */
  claimed: false;
};

/** The claims of a cluster, as one node sees them. */
export interface Presence {
  /** Nothing can be claimed while false. */
  readonly isUp: boolean;
  /** What was claimed here still is: no other node can have taken over a claim unasked. */
  readonly isSure: boolean;
  /**
   * Claims a subject for this node. Claims of nodes that are dead, or were restarted since, do not count.
   * Rejects with a PresenceError while presence is away; the claim is not made then, or is taken back later.
   */
  claim(subject: Subject, mode: ClaimMode): Promise<ClaimResult>;
  /**
   * Gives a claim back, unless a later one has replaced it. To be called for every claim in the end, also for
   * a replaced or lost one. Resolves with whether the user is online on another device; undefined: nobody knows. Never
   * rejects: what an outage keeps from being given back is given back after it.
   */
  release(subject: Subject, generation: number): Promise<boolean | undefined>;
  /**
   * Which of these have a live claim, on whichever node: devices, or users with any device. Cheap for 500 at a time.
   * Rejects while away.
   */
  online<Some extends Subject>(subjects: readonly Some[]): Promise<Set<Some>>;
  /** Gives all claims of this node back at once. Never rejects. */
  close(): Promise<void>;
}

/** What presence tells its owner. */
export interface PresenceEvents {
  /** Another node holds the subject now: the session of this claim has to end. */
  onLost(subject: Subject, generation: number): void;
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
  const claims = new Map<Subject, number>();
  /** By user, how many of the claims are of devices. */
  const devices = new Map<number, number>();
  const countDevice = (subject: Subject, by: number) => {
    if (typeof subject === "number") return;
    const userId = userOf(subject);
    const count = (devices.get(userId) ?? 0) + by;
    if (count > 0) devices.set(userId, count);
    else devices.delete(userId);
  };
  const isOnline = (userId: number) => claims.has(userId) || devices.has(userId);
  let lastGeneration = 0;
  return {
    isUp: true,
    isSure: true,
    claim(subject, mode) {
      const isClaimed = claims.has(subject);
      if (isClaimed && mode === "refuse") return Promise.resolve({ claimed: false });
      const generation = lastGeneration = Math.max(lastGeneration + 1, now());
      claims.set(subject, generation);
      if (!isClaimed) countDevice(subject, 1);
      return Promise.resolve({ claimed: true, generation, ...(isClaimed ? { previousNode: node } : {}) });
    },
    release(subject, generation) {
      if (claims.get(subject) === generation) {
        claims.delete(subject);
        countDevice(subject, -1);
      }
      return Promise.resolve(isOnline(userOf(subject)));
    },
    online: (subjects) =>
      Promise.resolve(
        new Set(
          subjects.filter((subject) => typeof subject === "number" ? isOnline(subject) : claims.has(subject)),
        ),
      ),
    close() {
      claims.clear();
      devices.clear();
      return Promise.resolve();
    },
  };
}
