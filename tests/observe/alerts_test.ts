/** The files for Prometheus and Grafana, held against the metrics that a node gives out, and these against README.md. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { chat, newPerson } from "../support/chat_client.ts";
import { startCluster } from "../support/cluster.ts";
import { isOnPath, run } from "../support/process.ts";
import { startServer } from "../support/services.ts";

const ROOT = new URL("../../", import.meta.url);
/** What Prometheus itself adds. */
const ADDED = ["instance", "job"];

/** The labels of each metric by its name, and the values each has. */
type Metrics = Map<string, Map<string, Set<string>>>;

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

function parse(page: string): Metrics {
  const metrics: Metrics = new Map();
  for (const [, name = "", list = ""] of page.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm)) {
    const labels = metrics.get(name) ?? new Map<string, Set<string>>();
    for (const [, label = "", value = ""] of list.matchAll(/([a-z]+)="([^"]*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
    }
    metrics.set(name, labels);
  }
  return metrics;
}

/** What is wrong with an expression. */
function faultsOf(expression: string, metrics: Metrics): string[] {
  const faults: string[] = [];
  const count = (mark: string) => expression.split(mark).length;
  for (const [open = "", shut = ""] of ["()", "{}", "[]"]) {
    if (count(open) !== count(shut)) faults.push(`${expression}: ${open} without ${shut}`);
  }
  const known = new Set(ADDED);
  for (const [, name = "", matchers = ""] of expression.matchAll(/\b(chat_\w+)(?:\{([^}]*)\})?/g)) {
    const labels = metrics.get(name);
    if (!labels) faults.push(`${expression}: there is no ${name}`);
    for (const label of labels?.keys() ?? []) known.add(label);
    for (const [, label = "", how, value = ""] of matchers.matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
      if (ADDED.includes(label)) continue;
      const values = labels?.get(label);
      if (!values || (how === "=" && !values.has(value))) {
        faults.push(`${expression}: no ${label} "${value}"`);
      }
    }
  }
  for (const [, list = ""] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of list.split(", ")) {
      if (!known.has(label)) faults.push(`${expression}: no label ${label}`);
    }
  }
  return faults;
}

async function allMetrics(): Promise<Metrics> {
  await using cluster = await startCluster(["A"], ["--http", "127.0.0.1:0", "--udp", "0"]);
  const { port } = cluster.node("A").address("http");
  return parse(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
}

async function alertsOf(): Promise<{ name: string; expression: string }[]> {
  const rules = await read("lib/deploy/prometheus_rules.yml");
  return [...rules.matchAll(/- alert: (\w+)\n +expr: (.*)\n/g)]
    .map(([, name = "", expression = ""]) => ({ name, expression }));
}

Deno.test("alert rules, the dashboard and README.md name metrics and labels that there are, and no metric is forgotten", async () => {
  const metrics = await allMetrics();
  const alerts = await alertsOf();
  assert(alerts.length >= 10);
  const dashboard = JSON.parse(await read("lib/deploy/grafana_dashboard.json"));
  const expressions: string[] = dashboard.panels.flatMap((panel: { targets: { expr: string }[] }) =>
    panel.targets.map(({ expr }) => expr)
  );
  const [{ definition = "" } = {}] = dashboard.templating.list.filter((one: { name: string }) =>
    one.name === "node"
  );
  const all = [...alerts.map(({ expression }) => expression), ...expressions, definition];
  assertEquals(all.flatMap((expression) => faultsOf(expression, metrics)), []);
  assert(faultsOf("rate(chat_nonsense_total[5m])", metrics).length > 0, "what is not there is found");

  const rows = (await read("README.md")).match(/^\| `chat_.*$/gm) ?? [];
  const told = new Set(rows.flatMap((row) => row.split("|")[1]?.match(/chat_\w+/g) ?? []));
  const families = new Set(
    [...metrics].map(([name, labels]) =>
      labels.has("le") || /_seconds_(sum|count)$/.test(name) ? name.replace(/_(bucket|sum|count)$/, "") : name
    ),
  );
  assertEquals([...told].sort(), [...families].sort(), "README.md and the metrics");
});

Deno.test("panels of the dashboard stand beside each other, and each has a name", async () => {
  const { panels } = JSON.parse(await read("lib/deploy/grafana_dashboard.json"));
  const taken = new Set<string>();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert(title !== "" && x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        const cell = `${column} ${row}`;
        assert(!taken.has(cell), `${title} covers another panel`);
        taken.add(cell);
      }
    }
  }
});

const noPromtool = !isOnPath("promtool");

Deno.test({
  name: `Prometheus takes the rules${noPromtool ? " (skipped: there is no promtool)" : ""}`,
  ignore: noPromtool,
  async fn() {
    const path = new URL("lib/deploy/prometheus_rules.yml", ROOT).pathname;
    const { code, stdout, stderr } = await run("promtool", ["check", "rules", path]);
    assertEquals(code, 0, stdout + stderr);
  },
});

Deno.test("a node's histograms count each message once, under every bound that it does not exceed", async () => {
  await using server = await startServer(["--sqlite", ":memory:", "--http", "127.0.0.1:0"]);
  await using ann = await newPerson(server.port, "ann", { v: 2 });
  for (let i = 0; i < 3; i++) assertEquals((await ann.client.request(chat(ann, ann.id, "hello"))).errno, 0);
  const { port } = server.address("http");
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  for (const name of ["chat_ack_seconds", "chat_commit_seconds"]) {
    const buckets = [...page.matchAll(new RegExp(`^${name}_bucket\\{le="(.*)"\\} (\\d+)$`, "gm"))]
      .map(([, le, count]) => ({ le: le === "+Inf" ? Infinity : Number(le), count: Number(count) }));
    const bounds = buckets.map(({ le }) => le);
    assertEquals(bounds, bounds.toSorted((a, b) => a - b));
    assertEquals([bounds[0], bounds.at(-2), bounds.at(-1)], [0.0001, 10, Infinity]);
    const counts = buckets.map(({ count }) => count);
    assertEquals(counts, counts.toSorted((a, b) => a - b));
    assertEquals([counts.at(-2), counts.at(-1)], [3, 3]);
    assertMatch(page, new RegExp(`^${name}_count 3$`, "m"));
    assertMatch(page, new RegExp(`^${name}_sum 0\\.\\d+(e-\\d+)?$`, "m"));
  }
});
