/**
 * Reads a node's counters.
 *
 * @module
 */
import type { Server } from "./services.ts";

/** One look at `/metrics`. */
export interface Metrics {
  /** The value of a metric without labels. Throws when the node has none of this name. */
  value(name: string): number;
}

/** Asks a node that was started with `--http`. */
export async function readMetrics(server: Server): Promise<Metrics> {
  const { host, port } = server.address("http");
  const response = await fetch(`http://${host}:${port}/metrics`);
  const text = await response.text();
  return {
    value(name) {
      const value = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
      if (value === undefined) throw new Error(`The node has no metric ${name}`);
      return Number(value);
    },
  };
}
