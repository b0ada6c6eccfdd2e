/**
 * How a node is doing, seen from outside: memory, open files, and its own metrics.
 *
 * @module
 */

import { runOrThrow } from "../support/process.ts";
import type { Server } from "../support/services.ts";

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

/** The samples of a node's page of metrics, by name with labels. */
export async function readMetrics(node: Server): Promise<Map<string, number>> {
  const { host, port } = node.address("http");
  const response = await fetch(`http://${host}:${port}/metrics`);
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split("\n")) {
    const [, name, value] = /^([^#\s].*) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) samples.set(name, Number(value));
  }
  return samples;
}
