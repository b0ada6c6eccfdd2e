/**
 * Reads a node's page of metrics.
 *
 * @module
 */
import type { Server } from "./services.ts";

/** The samples of one look at `/metrics`, by name with labels. */
export class Metrics extends Map<string, number> {
  /** The value of a metric without labels. Throws when the node has none of this name. */
  value(name: string): number {
    const value = this.get(name);
    if (value === undefined) throw new Error(`The node has no metric ${name}`);
    return value;
  }
}

/** Asks a node that was started with `--http`. */
export async function readMetrics(node: Server): Promise<Metrics> {
  const { host, port } = node.address("http");
  const response = await fetch(`http://${host}:${port}/metrics`);
  const samples = new Metrics();
  for (const line of (await response.text()).split("\n")) {
    const [, name, value] = /^([^#\s].*) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) samples.set(name, Number(value));
  }
  return samples;
}
