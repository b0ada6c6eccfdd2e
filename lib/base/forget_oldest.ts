/**
 * Takes out of a map or a set what was put into it first, if there is anything: for memories that have a bound. What is put in anew
 * after it was taken out counts as young.
 *
 * @module
 */

/** See the module. */
export function forgetOldest<Key>(memory: Map<Key, unknown> | Set<Key>): void {
  for (const oldest of memory.keys()) {
    memory.delete(oldest);
    return;
  }
}
