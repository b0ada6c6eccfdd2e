/**
 * What processes cost, as Linux counts it.
 *
 * @module
 */

/** Ticks a second in /proc: fixed for user space on every Linux architecture Deno runs on. */
const TICKS_PER_SECOND = 100;

/** Deno itself gives /proc only to those who may do everything. */
function readProc(...paths: string[]): string {
  const { code, stdout, stderr } = new Deno.Command("cat", { args: paths.map((path) => `/proc/${path}`) })
    .outputSync();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Processor time that each of these processes has used so far, user and system, in seconds. */
export function cpuSeconds(...pids: number[]): number[] {
  return readProc(...pids.map((pid) => `${pid}/stat`)).trim().split("\n").map((stat) => {
    // The name in brackets may hold anything; the fields are counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  });
}

/** Processor time of all processes of the machine so far, in seconds. */
export function machineCpuSeconds(): number {
  // user, nice, system, idle, iowait, irq, softirq
  const [user, nice, system, _idle, _wait, irq, softirq] = (readProc("stat").match(/\d+/g) ?? []).slice(0, 7)
    .map(Number);
  return ((user ?? 0) + (nice ?? 0) + (system ?? 0) + (irq ?? 0) + (softirq ?? 0)) / TICKS_PER_SECOND;
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readProc(`${pid}/status`))?.[1];
  return Number(kib) * 1024;
}

/** The machine, for the heading of a report. */
export function describeMachine(): string {
  const model = /^model name\s*: (.*)$/m.exec(readProc("cpuinfo"))?.[1] ??
    "unknown processor";
  const gib = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  return `${navigator.hardwareConcurrency} × ${model}, ${gib} GiB, Linux ${Deno.osRelease()}, ` +
    `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}`;
}
