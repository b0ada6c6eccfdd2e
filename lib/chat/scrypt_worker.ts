/**
 * The other side of a thread of {@link ScryptThreads}: hashes what it is sent, one at a time, at the lowest priority.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { scryptSync } from "node:crypto";
import { setPriority } from "node:os";
import { errorText } from "../base/errors.ts";
import type { ScryptAnswer, ScryptJob } from "./scrypt.ts";

const LOWEST_PRIORITY = 19;

if (Deno.build.os === "linux") {
  try {
    // The calling thread's there; elsewhere it would be the whole process's.
    setPriority(LOWEST_PRIORITY);
  } catch {
    // Without the permission a storm of logins is felt more by those who chat, and nothing else.
  }
}

self.onmessage = ({ data }: MessageEvent<ScryptJob>) => {
  const { password, salt, length, logN, blockSize, parallelism } = data;
  const N = 2 ** logN;
  // Twice what scrypt needs: node:crypto refuses at the exact figure.
  const options = { N, r: blockSize, p: parallelism, maxmem: 256 * N * blockSize };
  let answer: ScryptAnswer;
  try {
    answer = { hash: scryptSync(password, salt, length, options) };
  } catch (error) {
    answer = { reason: errorText(error) };
  }
  self.postMessage(answer);
};
