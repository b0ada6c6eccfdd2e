/**
 * How a node is doing, seen from outside: memory and open files.
 *
 * @module
 */

import { runOrThrow } from "../support/process.ts";

/** A node at rest. */
export interface Vitals {
  /** Memory in use, MiB. */
  residentMib: number;
  /** Open files, sockets included. */
  openFiles: number;
}

/** Looks at a process. The tests may not read /proc themselves. */
export async function readVitals(pid: number): Promise<Vitals> {
  const script = 'ls "/proc/$1/fd" | wc -l; grep VmRSS "/proc/$1/status"';
  const text = await runOrThrow("sh", ["-c", script, "sh", String(pid)]);
  const [openFiles, residentKib] = [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  return { openFiles: openFiles ?? NaN, residentMib: (residentKib ?? NaN) / 1024 };
}
