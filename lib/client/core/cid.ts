/**
 * The client's own ids for its requests.
 *
 * @module
 */

/** A time-ordered unique id: a version 7 UUID (RFC 9562). `nowMs` is milliseconds since the epoch. */
export function createCid(nowMs: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const time = Math.floor(nowMs).toString(16).padStart(12, "0");
  for (let index = 0; index < 6; index++) {
    bytes[index] = Number.parseInt(time.slice(2 * index, 2 * index + 2), 16);
  }
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
