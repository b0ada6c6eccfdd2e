/**
 * Measures several ways of doing the same in turns, so that whatever else the machine does meets all of them alike.
 *
 * @module
 */
import { cpuSeconds, machineCpuSeconds } from "./cpu.ts";
import { Histogram } from "./histogram.ts";

/** What a run of a load has shown. */
export interface Run {
  /** Messages that arrived. */
  messages: number;
  /** For how long, ms. */
  ms: number;
  /** From writing to reading, each message's. */
  latency: Histogram;
}

/** What is looked at while a load is measured. */
export interface Meter {
  /** The load has settled: what counts begins. */
  begin(): void;
  /** What counts is over. */
  end(): void;
}

/** Before a load is measured, ms: when thousands begin at once, their first messages wait for each other. */
export const SETTLE_MS = 600;

/** One of those that are compared. */
export interface Contestant {
  /** Puts it under load, and measures for so long once the load has settled. */
  run(ms: number, meter?: Meter): Promise<Run>;
  /** The processes it consists of. */
  pids: readonly number[];
}

/** How one did. */
export interface Standing {
  /** Messages a second, each round's. */
  rates: number[];
  /** Messages of all rounds. */
  messages: number;
  /** All rounds'. */
  latency: Histogram;
  /** All rounds together, seconds. */
  seconds: number;
  /** Processor time of its processes, seconds. */
  own: number;
  /** Processor time of the load generator, seconds. */
  generator: number;
  /** Processor time of everybody else, seconds: services of the server, and whatever disturbs the measurement. */
  others: number;
}

/** Nothing measured yet. */
export function emptyStanding(): Standing {
  return { rates: [], messages: 0, latency: new Histogram(), seconds: 0, own: 0, generator: 0, others: 0 };
}

/** How long and how often. */
export interface Rounds {
  /** Rounds of each. */
  count: number;
  /** One round, ms. */
  ms: number;
  /** Before the first, ms: code is compiled, buffers grow. */
  warmUpMs: number;
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** Of each round the ratio of `measured` to `yardstick`, and of those the median. */
export function ratioOfRounds(measured: Standing, yardstick: Standing): number {
  return median(measured.rates.map((rate, round) => rate / (yardstick.rates[round] ?? NaN)));
}

/** Puts one under load for one round, and adds what it showed to `standing`. */
export async function measure(contestant: Contestant, ms: number, standing: Standing): Promise<void> {
  const pids = [Deno.pid, ...contestant.pids];
  const look = () => ({ at: performance.now(), all: machineCpuSeconds(), each: cpuSeconds(...pids) });
  let [before, after] = [look(), look()];
  const { messages, ms: loadedMs, latency } = await contestant.run(ms, {
    begin: () => before = look(),
    end: () => after = look(),
  });
  const [generator = 0, ...own] = after.each.map((seconds, index) => seconds - (before.each[index] ?? 0));
  const ownSum = own.reduce((sum, seconds) => sum + seconds, 0);
  standing.rates.push(messages / loadedMs * 1_000);
  standing.messages += messages;
  standing.latency.merge(latency);
  standing.seconds += (after.at - before.at) / 1_000;
  standing.own += ownSum;
  standing.generator += generator;
  standing.others += after.all - before.all - generator - ownSum;
}

/** Puts each under load in turn. */
export async function sideBySide<Name extends string>(
  contestants: Record<Name, Contestant>,
  { count, ms, warmUpMs }: Rounds,
): Promise<Record<Name, Standing>> {
  const names = Object.keys(contestants) as Name[]; // What it was given has no other keys.
  const standings = {} as Record<Name, Standing>; // Filled right here.
  for (const name of names) {
    standings[name] = emptyStanding();
    await contestants[name].run(warmUpMs);
  }
  for (let round = 0; round < count; round++) {
    for (const name of names) await measure(contestants[name], ms, standings[name]);
  }
  return standings;
}

/** Processor time of its processes a message, µs. */
export function cpuUs({ own, messages }: Standing): number {
  return own / messages * 1e6;
}

/** The figures of one, for the details of a row; the last three are cores in use. */
export function detailsOf(standing: Standing): Record<string, number> {
  const { latency, seconds, own, generator, others } = standing;
  return {
    "p50 ms": latency.quantile(0.5),
    "p99 ms": latency.quantile(0.99),
    "max ms": latency.maxMs,
    "CPU µs": cpuUs(standing),
    "server": own / seconds,
    "generator": generator / seconds,
    "others": others / seconds,
  };
}
