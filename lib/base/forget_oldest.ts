/**
 * Takes out of a map what was put into it first, if there is anything: for memories that have a bound. What is put in anew
 * after it was taken out counts as young.
 *
 * @module
 */

/** See the module. */
export function forgetOldest<Key>(map: Map<Key, unknown>): void {
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
