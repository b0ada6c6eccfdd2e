/**
 * Numbers and times as people read them.
 *
 * @module
 */

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 12,345; below ten with one digit behind the point. */
export function count(value: number): string {
  return (Math.abs(value) < 10 ? fine : plain).format(value);
}

/** Milliseconds: 0.3 ms, 12 ms, 1.5 s. */
export function duration(ms: number): string {
  return ms >= 1_000 ? `${fine.format(ms / 1_000)} s` : `${count(ms)} ms`;
}

/** 0 B, 1.5 KiB, 20 MiB. */
export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (rest >= 1_024 && unit < UNITS.length - 1) {
    rest /= 1_024;
    unit++;
  }
  return `${unit === 0 ? plain.format(rest) : count(rest)} ${UNITS[unit]}`;
}

/** How long ago, or since when, in the largest unit: 5 s, 3 min, 2 h, 9 d. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The time of day, with seconds. */
export function timeOfDay(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB");
}

/** Day and time. */
export function moment(at: number): string {
  const date = new Date(at);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
