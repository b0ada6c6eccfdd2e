/**
 * Real processes under a test: started, watched and ended, each with a deadline.
 *
 * @module
 */

import { kill } from "node:process";

/** Longest a test waits for anything before it fails, in milliseconds. Generous: it is only ever reached by a failure. */
export const DEADLINE_MS = 20_000;

const POLL_MS = 5;

/**
 * Resolves with what `probe` answers as soon as that is truthy; throws naming `what` after `deadlineMs`. An error that
 * `probe` throws ends the wait at once.
 */
export async function waitFor<Answer>(
  what: string,
  probe: () => Answer | Promise<Answer>,
  deadlineMs: number = DEADLINE_MS,
): Promise<NonNullable<Answer>> {
  const deadline = performance.now() + deadlineMs;
  while (true) {
    const answer = await probe();
    if (answer) return answer;
    if (performance.now() > deadline) throw new Error(`Waited ${deadlineMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const portsGiven = new Set<number>();

/**
 * A TCP port of the loopback address that is free now and that this test file has not been given before.
 *
 * It lies below the range the system takes client ports from. A port out of that range could be taken by any outgoing
 * connection while its service is stopped, and a client that keeps dialling it could even connect to itself.
 */
export function freePort(): number {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (portsGiven.has(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) continue;
      throw error;
    }
    portsGiven.add(port);
    return port;
  }
  throw new Error("Found no free port between 12000 and 32000");
}

/** A temporary folder that goes away with its owner. */
export interface TemporaryFolder extends AsyncDisposable {
  /** Its absolute path. */
  readonly path: string;
}

const FOLDER_PREFIX = "chat_test_";

/** Makes an empty temporary folder, named after this process; only the current user can look into it. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await Deno.makeTempDir({ prefix: `${FOLDER_PREFIX}${Deno.pid}_` });
  return {
    path,
    async [Symbol.asyncDispose](): Promise<void> {
      await Deno.remove(path, { recursive: true });
    },
  };
}

/**
 * The path of a folder that all test files of this process share, made by whoever is first: it is not removed before the
 * next {@linkcode sweepTemporaryFolders}, since no file knows that it is the last.
 */
export function sharedFolder(name: string): string {
  return `${Deno.env.get("TMPDIR") ?? "/tmp"}/${FOLDER_PREFIX}${Deno.pid}_${name}`;
}

/** Removes the temporary folders of test processes that were cut off: nobody else can. Does so on Linux only. */
export async function sweepTemporaryFolders(): Promise<void> {
  if (Deno.build.os !== "linux") return;
  const parent = Deno.env.get("TMPDIR") ?? "/tmp";
  for await (const { name } of Deno.readDir(parent)) {
    const [, pid] = name.match(`^${FOLDER_PREFIX}(\\d+)_`) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await Deno.remove(`${parent}/${name}`, { recursive: true });
  }
}

/** True while a process with this id exists. Not by looking into /proc, which takes every permission there is. */
export function isAlive(pid: number): boolean {
  try {
    return kill(pid, 0);
  } catch (error) {
    // EPERM: there is one, and it is somebody else's.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** The text of a file, empty while it does not exist. */
export async function readTextIfExists(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** True when there is a file at `path`. */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // Not there, or in a folder we may not look into: either way no file for us.
  }
}

/** The PATH, and the folders of system services besides: Debian leaves them out of a plain user's. */
export const SEARCH_PATH: string = [Deno.env.get("PATH"), "/usr/local/sbin", "/usr/sbin", "/sbin"].join(":");

/** True when `command` is found along {@linkcode SEARCH_PATH}. */
export function isOnPath(command: string): boolean {
  return SEARCH_PATH.split(":").some((folder) => isFile(`${folder || "."}/${command}`));
}

/** Where Debian's libnginx-mod-stream puts the module that other builds of nginx have inside. */
export const NGINX_STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** True when the nginx on the PATH can do what its stream module does. */
export async function hasNginxStream(): Promise<boolean> {
  const { stderr } = await run("nginx", ["-V"]);
  return /--with-stream(\s|$)/.test(stderr) || isFile(NGINX_STREAM_MODULE);
}

/** What a command that ran to its end left behind. */
export interface CommandResult {
  /** Exit code; 128 + n for a death by signal n. */
  code: number;
  /** All of its standard output. */
  stdout: string;
  /** All of its standard error. */
  stderr: string;
}

/** How {@linkcode run} and {@linkcode ServiceProcess} start a command. */
export interface CommandOptions {
  /** Working folder; the current one by default. */
  cwd?: string;
  /** Environment variables beside the inherited ones; `CHAT_…` are never inherited. */
  env?: Record<string, string>;
  /** The network namespace to run a {@linkcode ServiceProcess} in. */
  namespace?: string;
}

/**
 * A developer's own CHAT_ settings must not reach the programs under test. Nor do those serve browsers unless they are told
 * to: all tests of a machine would be after the same ports.
 */
function environment(extra: Record<string, string> = {}): { clearEnv: true; env: Record<string, string> } {
  const inherited = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CHAT_"));
  const env = { ...Object.fromEntries(inherited), PATH: SEARCH_PATH, CHAT_WEB: "none", ...extra };
  return { clearEnv: true, env };
}

/** Runs a command to its end, `stdin` being all it can read. Kills it and throws when it takes longer than `deadlineMs`. */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions & { stdin?: string; deadlineMs?: number } = {},
): Promise<CommandResult> {
  const { stdin = "", deadlineMs = DEADLINE_MS, cwd } = options;
  const child = new Deno.Command(command, {
    args: [...args],
    ...environment(options.env),
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const tooLong = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  const output = child.output();
  try {
    await new Response(stdin).body?.pipeTo(child.stdin);
  } catch (error) {
    // A command that ends without reading its input closes the pipe under us; its result says the rest.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  const { code, signal, stdout, stderr } = await output;
  clearTimeout(tooLong);
  const decoder = new TextDecoder();
  const result = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  if (signal === "SIGKILL") {
    throw new Error(`${command} did not end within ${deadlineMs} ms: ${result.stdout}${result.stderr}`);
  }
  return result;
}

/** As {@linkcode run}, but returns only the output and throws when the command fails. */
export async function runOrThrow(
  command: string,
  args: readonly string[],
  options: CommandOptions & { stdin?: string; deadlineMs?: number } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} failed with exit code ${code}: ${stdout}${stderr}`);
  return stdout;
}

/** On Linux the kernel ends a child whose parent died, so that an aborted test run leaves no service behind. */
const DIES_WITH_PARENT = Deno.build.os === "linux" && isOnPath("setpriv");

/** A process that runs until it is told to end. */
export class ServiceProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  #status: Deno.CommandStatus | null = null;
  /** Resolves when it has ended. */
  readonly exited: Promise<Deno.CommandStatus>;
  /** Its standard output; only with `capture`. */
  readonly stdout: ReadableStream<Uint8Array> | null;
  /** Its standard error; as {@linkcode stdout}. */
  readonly stderr: ReadableStream<Uint8Array> | null;

  /**
   * Starts `command`. With `logPath` everything it prints is added to that file, with `capture` the caller reads both
   * streams. A file asks nothing of the event loop, so a service in it does not count as an open operation of a test.
   */
  constructor(
    command: string,
    args: readonly string[],
    options: CommandOptions & { logPath?: string; capture?: boolean } = {},
  ) {
    const { cwd, logPath, namespace, capture = false } = options;
    const [program = command, ...programArgs] = [
      ...(DIES_WITH_PARENT ? ["setpriv", "--pdeathsig", "KILL", "--"] : []),
      ...(namespace === undefined ? [] : ["ip", "netns", "exec", namespace]),
      ...(logPath === undefined ? [] : ["sh", "-c", 'exec "$@" >>"$0" 2>&1', logPath]),
      command,
      ...args,
    ];
    this.#child = new Deno.Command(program, {
      args: programArgs,
      ...environment(options.env),
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "null",
      stdout: capture ? "piped" : "null",
      stderr: capture ? "piped" : "null",
    }).spawn();
    this.stdout = capture ? this.#child.stdout : null;
    this.stderr = capture ? this.#child.stderr : null;
    this.exited = this.#child.status.then((status) => this.#status = status);
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** How it ended; null while it runs. */
  get status(): Deno.CommandStatus | null {
    return this.#status;
  }

  /** Sends a signal that it survives, for instance SIGSTOP, SIGCONT or SIGHUP. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /**
   * Sends a signal it dies of and resolves with how it ended. Past `deadlineMs` it is killed the hard way and this
   * throws. Does nothing to a process that has ended.
   */
  async kill(
    signal: Deno.Signal = "SIGKILL",
    deadlineMs: number = DEADLINE_MS,
  ): Promise<Deno.CommandStatus> {
    if (this.#status) return this.#status;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has just ended by itself, and its status is on the way.
      if (!(error instanceof TypeError)) throw error;
    }
    let isTooLate = false;
    const tooLong = setTimeout(() => {
      isTooLate = true;
      this.#child.kill("SIGKILL");
    }, deadlineMs);
    const status = await this.exited;
    clearTimeout(tooLong);
    if (isTooLate) throw new Error(`Process ${this.pid} did not end within ${deadlineMs} ms of ${signal}`);
    return status;
  }

  /** Ends it the hard way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill("SIGKILL");
  }
}
