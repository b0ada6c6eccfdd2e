/**
 * What a running node may take over of options that were read again.
 *
 * @module
 */
import { type Option, type ServeOptions, TABLES } from "./options.ts";

/** How options that were read again differ from those a node runs with. */
export interface OptionChanges {
  /** What the node is to run with: the new values of those that can be taken over, the old ones of all others. */
  next: ServeOptions;
  /** Names of the options that are taken over. */
  taken: string[];
  /** Names of those that have changed and need a restart. */
  left: string[];
}

/** Compares `wanted` with what a node runs with. */
export function compareOptions(running: ServeOptions, wanted: ServeOptions): OptionChanges {
  const changes: OptionChanges = { next: { ...running }, taken: [], left: [] };
  const before = new Map<string, unknown>(Object.entries(running));
  const after = new Map<string, unknown>(Object.entries(wanted));
  const rows: [string, Option<unknown>][] = Object.entries(TABLES.serve);
  for (const [name, { flag, isReloadable }] of rows) {
    if (JSON.stringify(before.get(name)) === JSON.stringify(after.get(name))) continue;
    if (!isReloadable) {
      changes.left.push(flag);
      continue;
    }
    Object.assign(changes.next, { [name]: after.get(name) });
    changes.taken.push(flag);
  }
  return changes;
}
