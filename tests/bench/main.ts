/**
 * `deno task bench`: measures the server side by side with the least that could do the same work on this machine, and says
 * which ratios have fallen against the record.
 *
 *     deno task bench [--only NAME] [--json] [--record]      --record: into tests/bench/record.jsonl and README.md
 *     deno task bench --against COMMIT         the server as it is against the server as it was; --only: part of a row's name
 *     deno task bench --short                  counts only, which must hold: exit code 1 when one does not
 *
 * @module
 */
import { parseArgs } from "node:util";
import { openReadGate } from "../../lib/net/read_gate.ts";
import { against } from "./against.ts";
import type { Bench } from "./bench.ts";
import { describeMachine } from "./cpu.ts";
import { durable } from "./durable.ts";
import { group } from "./group.ts";
import { growth } from "./growth.ts";
import { idle } from "./idle.ts";
import { limits } from "./limits.ts";
import { logins } from "./logins.ts";
import { oneNode } from "./one_node.ts";
import { presence } from "./presence.ts";
import { addToRecord, cleanCommit, fallenLines, readRecord, toEntry } from "./record.ts";
import { returns } from "./returns.ts";
import { short } from "./short.ts";
import { start } from "./start.ts";
import { twoNodes } from "./two_nodes.ts";
import { web } from "./web.ts";
import { type Finding, formatTable, isMet, toJson } from "./report.ts";

const BENCHES: Record<string, Bench> = {
  "one-node": oneNode,
  "two-nodes": twoNodes,
  durable,
  group,
  idle,
  limits,
  logins,
  returns,
  growth,
  presence,
  start,
  web,
};

/** What is to be measured. */
function chosen(
  { short: isShort, against: commit, only }: { short?: boolean; against?: string; only?: string[] },
): { benches: Record<string, Bench>; names: string[] } {
  if (commit !== undefined) return { benches: { against: against(commit, only?.[0]) }, names: ["against"] };
  const benches: Record<string, Bench> = isShort ? { short } : BENCHES;
  return { benches, names: only ?? Object.keys(benches) };
}

/** Holds what was found against the record; puts it there, too, where a commit is named. */
async function compare(findings: readonly Finding[], commit: string): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const entries = findings.map((finding) => toEntry(finding, commit, date)).filter((entry) =>
    entry !== undefined
  );
  for (const line of fallenLines(entries, await readRecord())) console.error(line);
  if (commit !== "") await addToRecord(entries);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      only: { type: "string", multiple: true },
      json: { type: "boolean" },
      short: { type: "boolean" },
      against: { type: "string" },
      record: { type: "boolean" },
    },
  });
  const isOfRecord = !values.short && values.against === undefined;
  if (values.record && !isOfRecord) throw new Error("The record has neither --short nor --against");
  const commit = values.record ? await cleanCommit() : "";
  const { benches, names } = chosen(values);
  const findings: Finding[] = [];
  const gate = await openReadGate();
  const startedAt = performance.now();
  for (const name of names) {
    const bench = benches[name];
    if (!bench) {
      throw new Error(`There is no measurement ${name}; there are ${Object.keys(benches).join(", ")}`);
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
  if (isOfRecord) await compare(findings, commit);
  // What a busy machine can change is there to be read; a count must hold.
  return values.short && findings.some((finding) => isMet(finding) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
