/**
 * Starts the yardsticks' processes.
 *
 * @module
 */
import { ServiceProcess, waitFor } from "../support/process.ts";
import type { Return } from "./returners.ts";

/** Ten thousand logins with passwords, and as long for all to come back. */
const RETURNERS_DEADLINE_MS = 120_000;
/** Ten thousand logins with tokens. */
const IDLERS_DEADLINE_MS = 90_000;

/** A program of the bench that serves on a port of its own. */
export interface Yardstick extends AsyncDisposable {
  /** On 127.0.0.1. */
  port: number;
  /** Process id. */
  pid: number;
}

function command(script: string, args: readonly string[]): string[] {
  const path = new URL(script, import.meta.url).pathname;
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net",
    "--allow-read",
    "--allow-write",
    "--allow-env",
    path,
    ...args,
  ];
}

/** Starts a bare relay; with `redisUrl` it is one node of two. */
export function startRelay(redisUrl?: string): Promise<Yardstick> {
  return startProgram("relay.ts", redisUrl === undefined ? [] : ["--redis", redisUrl]);
}

/** Starts what writes so many small frames a second to so many connections, and does nothing else. */
export function startWriter(connections: number, perSecond: number): Promise<Yardstick> {
  return startProgram("bare_writes.ts", [String(connections), String(perSecond)]);
}

/** Users who are logged in at one node and come back through another when it dies. */
export interface Returners extends AsyncDisposable {
  /** Resolves when all are back; rejects when one is refused for good. */
  done: Promise<Return>;
}

/** Starts those users, whose logins are lines of a file, and resolves when all are logged in at `home`. */
export async function startReturners(home: number, refuge: number, logins: string): Promise<Returners> {
  const { output, exited, ...process } = await startProgram(
    "returners.ts",
    [String(home), String(refuge), logins],
    RETURNERS_DEADLINE_MS,
  );
  const done = async (): Promise<Return> => {
    const line = await waitFor("all to come back", () => {
      if (exited()) throw new Error(`returners.ts ended: ${output.text}`);
      return /^\{.*\}$/m.exec(output.text)?.[0];
    }, RETURNERS_DEADLINE_MS);
    return JSON.parse(line);
  };
  return { done: done(), [Symbol.asyncDispose]: process[Symbol.asyncDispose] };
}

/** Starts the clients of idle_clients.ts; resolves when all are logged in. */
export function startIdlers(file: string): Promise<AsyncDisposable> {
  return startProgram("idle_clients.ts", [file], IDLERS_DEADLINE_MS);
}

async function startProgram(script: string, args: readonly string[], deadlineMs?: number) {
  const process = new ServiceProcess(Deno.execPath(), command(script, args), { capture: true });
  const output = collect(process);
  try {
    const line = await waitFor(`${script} to be ready`, () => {
      if (process.status) throw new Error(`${script} ended: ${output.text}`);
      return /^ready (\d+)\n/.exec(output.text);
    }, deadlineMs);
    return {
      port: Number(line[1]),
      pid: process.pid,
      output,
      exited: () => process.status !== null,
      async [Symbol.asyncDispose]() {
        await process.kill();
        await output.end;
      },
    };
  } catch (error) {
    await process.kill();
    throw error;
  }
}

/** Runs a script of the bench to its end and returns what it printed, as JSON. */
export async function runScript(script: string, args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: command(script, args),
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (code !== 0) throw new Error(`${script} failed: ${text}${new TextDecoder().decode(stderr)}`);
  return JSON.parse(text);
}

function collect({ stdout, stderr }: ServiceProcess): { text: string; end: Promise<unknown> } {
  const output = { text: "", end: Promise.resolve<unknown>(undefined) };
  const read = async (stream: ReadableStream<Uint8Array> | null) => {
    for await (const text of stream?.pipeThrough(new TextDecoderStream()) ?? []) output.text += text;
  };
  output.end = Promise.all([read(stdout), read(stderr)]);
  return output;
}
