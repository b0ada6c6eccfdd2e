/**
 * The text format of Prometheus (prometheus.io, "Exposition formats", version 0.0.4).
 *
 * @module
 */

/** One number of a {@link Metric}, with what tells it from the others. */
export interface Sample {
  /** Of a bounded set of values: never a user, a conversation or an address. */
  labels?: Readonly<Record<string, string>>;
  /** Of a histogram, what follows its name. */
  suffix?: "_bucket" | "_sum" | "_count";
  /** The number now. */
  value: number;
}

/** A metric under one name. */
export interface Metric {
  /** Begins with `chat_`, ends with its unit, and for a counter with `_total`. */
  name: string;
  /** `counter` only grows, until a restart; `gauge` is what is so now; `histogram` is counters by an upper bound, `le`. */
  type: "counter" | "gauge" | "histogram";
  /** One line for people. */
  help: string;
  /** Its numbers. */
  samples: readonly Sample[];
}

/** The content type to serve {@link renderMetrics} as. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** All metrics as one text. */
export function renderMetrics(metrics: readonly Metric[]): string {
  let text = "";
  for (const { name, type, help, samples } of metrics) {
    text += `# HELP ${name} ${help.replace(/[\\\n]/g, escape)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, suffix = "", value } of samples) {
      text += `${name}${suffix}${renderLabels(labels)} ${value}\n`;
    }
  }
  return text;
}

function renderLabels(labels: Sample["labels"] = {}): string {
  const pairs = Object.entries(labels).map(([label, text]) =>
    `${label}="${text.replace(/[\\\n"]/g, escape)}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}
