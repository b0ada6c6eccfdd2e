/**
 * Moments as people and chat frames have them.
 *
 * @module
 */

/** A moment, ms since the epoch, as "YYYY-MM-DD hh:mm:ss" in UTC. */
export function momentText(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}
