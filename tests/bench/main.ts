/**
 * `deno task bench`: measures the server side by side with the least that could do the same work on this machine.
 *
 *     deno task bench [--only NAME] [--json] [--short]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { openReadGate } from "../../lib/read_gate.ts";
import type { Bench } from "./bench.ts";
import { describeMachine } from "./cpu.ts";
import { durable } from "./durable.ts";
import { group } from "./group.ts";
import { idle } from "./idle.ts";
import { logins } from "./logins.ts";
import { oneNode } from "./one_node.ts";
import { twoNodes } from "./two_nodes.ts";
import { type Finding, formatTable, isMet, toJson } from "./report.ts";

const BENCHES: Record<string, Bench> = {
  "one-node": oneNode,
  "two-nodes": twoNodes,
  durable,
  group,
  idle,
  logins,
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      only: { type: "string", multiple: true },
      json: { type: "boolean" },
      short: { type: "boolean" },
    },
  });
  const names = values.only ?? Object.keys(BENCHES);
  const findings: Finding[] = [];
  const gate = await openReadGate();
  const startedAt = performance.now();
  for (const name of names) {
    const bench = BENCHES[name];
    if (!bench) {
      throw new Error(`There is no measurement ${name}; there are ${Object.keys(BENCHES).join(", ")}`);
    }
    await bench({
      gate,
      report: (finding) => findings.push(finding),
      say: (text) =>
        console.error(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)} s  ${text}`),
    });
  }
  gate.close();
  if (values.json) {
    console.log(JSON.stringify({ machine: describeMachine(), findings: findings.map(toJson) }, null, 2));
  } else console.log(`${describeMachine()}\n\n${formatTable(findings)}`);
  return findings.some((finding) => isMet(finding) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
