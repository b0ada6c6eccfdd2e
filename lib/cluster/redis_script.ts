/**
 * Lua scripts and the names Redis knows them by.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** A Lua script that runs in Redis as one atomic step. */
export interface RedisScript {
  /** Lua text. */
  readonly source: string;
  /** SHA-1 of the text: the name Redis knows it by. */
  readonly sha1: string;
}

/** Prepares a script for Redis. */
export function createScript(source: string): RedisScript {
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}
