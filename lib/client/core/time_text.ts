/**
 * Times as people read them and as v1 frames carry them.
 *
 * @module
 */

/** Local time as "YYYY-MM-DD hh:mm:ss"; `at` is ms since the epoch. */
export function formatTime(at: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "0000-00-00 00:00:00";
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${
    two(date.getDate())
  }`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
