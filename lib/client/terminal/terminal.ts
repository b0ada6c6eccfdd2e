/**
 * The real terminal: the only file of the client that touches standard input and output.
 *
 * @module
 */

import type { Terminal } from "./screen.ts";

const INPUT_BYTES = 16 * 1024;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const encoder = new TextEncoder();

type Output = typeof Deno.stdout;

/** Blocks until all is written: output in order, and a reader that is slow slows us down instead of filling memory. */
function writeWhole(output: Output, text: string): void {
  let rest = encoder.encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(output.writeSync(rest));
    } catch (error) {
      // A pipe that somebody else made non-blocking is full: wait for its reader without giving way to other lines.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function readInput(buffer: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    const length = await Deno.stdin.read(buffer);
    return length === null ? undefined : buffer.subarray(0, length);
  } catch {
    // The terminal has gone away under us (EIO after a hang-up): the same as its end for a reader.
    return undefined;
  }
}

function size(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    return { columns: columns || DEFAULT_COLUMNS, rows: rows || DEFAULT_ROWS };
  } catch {
    // No size to be had, for instance on a serial line.
    return { columns: DEFAULT_COLUMNS, rows: DEFAULT_ROWS };
  }
}

function onResize(listener: () => void): () => void {
  // Windows has no such signal; there the width is what it was at the start.
  if (Deno.build.os === "windows") return () => {};
  Deno.addSignalListener("SIGWINCH", listener);
  return () => Deno.removeSignalListener("SIGWINCH", listener);
}

/** The process's own terminal or pipes. */
export function openTerminal(): Terminal {
  const buffer = new Uint8Array(INPUT_BYTES);
  return {
    isInputTerminal: Deno.stdin.isTerminal(),
    isOutputTerminal: Deno.stdout.isTerminal(),
    isErrorTerminal: Deno.stderr.isTerminal(),
    read: () => readInput(buffer),
    write: (text) => writeWhole(Deno.stdout, text),
    writeError: (text) => writeWhole(Deno.stderr, text),
    setRaw: (isRaw) => Deno.stdin.setRaw(isRaw),
    columns: () => size().columns,
    rows: () => size().rows,
    onResize,
  };
}

/** Signals that end the client, with the exit codes shells expect (128 + number). */
const ENDING_SIGNALS: readonly { signal: Deno.Signal; exitCode: number }[] = Deno.build.os === "windows"
  ? [{ signal: "SIGINT", exitCode: 130 }]
  : [
    { signal: "SIGINT", exitCode: 130 },
    { signal: "SIGTERM", exitCode: 143 },
    { signal: "SIGHUP", exitCode: 129 },
  ];

/** Calls `listener` with the exit code when the process is asked to end; returns what stops that. */
export function onEndingSignal(listener: (exitCode: number) => void): () => void {
  const registered = ENDING_SIGNALS.map(({ signal, exitCode }) => ({
    signal,
    run: () => listener(exitCode),
  }));
  for (const { signal, run } of registered) Deno.addSignalListener(signal, run);
  return () => {
    for (const { signal, run } of registered) Deno.removeSignalListener(signal, run);
  };
}
