// deno-lint-ignore-file no-control-regex -- reads what is written to a terminal
/**
 * The terminal client as a process: on pipes, or on a terminal of its own.
 *
 * @module
 */

import { waitFor } from "../../support/process.ts";
import { programFlags } from "../../program_flags.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

/** How a client is started. */
export interface ClientProcessOptions {
  /** Where it keeps its history: the default folder lies in here. */
  dataFolder: string;
  /** Environment variables beside that. */
  env?: Record<string, string>;
}

/** A client that runs until its input ends, or until it is killed. */
export class ClientProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: Promise<unknown>;
  /** All of its standard output so far. */
  stdout = "";
  /** All of its standard error so far. */
  stderr = "";

  /** Starts a command line. */
  constructor(command: readonly string[], { dataFolder, env = {} }: ClientProcessOptions) {
    const [program = "", ...args] = command;
    // A developer's own CHAT_ settings must not reach the program under test.
    const inherited = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CHAT_"));
    this.#child = new Deno.Command(program, {
      args,
      clearEnv: true,
      env: { ...Object.fromEntries(inherited), XDG_DATA_HOME: dataFolder, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#output = Promise.all([
      collect(this.#child.stdout, (text) => this.stdout += text),
      collect(this.#child.stderr, (text) => this.stderr += text),
    ]);
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Types or pipes something into it. */
  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Resolves when its output holds the text, or matches it. */
  async says(text: string | RegExp): Promise<void> {
    const isThere = () => typeof text === "string" ? this.stdout.includes(text) : text.test(this.stdout);
    try {
      await waitFor(`the client to say ${text}`, isThere);
    } catch (error) {
      throw new Error(`It said only: ${this.stdout}${this.stderr}`, { cause: error });
    }
  }

  /** Ends its input; resolves with the exit code when it has ended. */
  async end(): Promise<number> {
    await this.#writer.close();
    return await this.exited();
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Resolves with the exit code when it has ended. */
  async exited(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#output;
    return code;
  }

  /** Ends it the hard way. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#writer.abort().catch(() => {});
    await this.exited();
  }
}

async function collect(stream: ReadableStream<Uint8Array>, onText: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) onText(text);
}

/** The command line of a client with the permissions of the task `start`. */
export async function clientCommand(port: number, args: readonly string[] = []): Promise<string[]> {
  const flags = ["run", "--quiet", ...await programFlags()];
  return [Deno.execPath(), ...flags, MAIN, "client", "127.0.0.1", String(port), ...args];
}

/** A client on pipes. */
export async function startClient(
  port: number,
  options: ClientProcessOptions & { args?: readonly string[] },
): Promise<ClientProcess> {
  return new ClientProcess(await clientCommand(port, options.args), options);
}

/**
 * A client on a terminal, of 60 columns and 20 rows where nothing else is said, which util-linux' `script` makes: what is typed goes to the terminal, what it draws
 * is the output. Before the client comes its process id; behind it `stty -a` says how it left the terminal.
 */
export async function startClientOnTerminal(
  port: number,
  options: ClientProcessOptions & { args?: readonly string[]; columns?: number; rows?: number },
): Promise<ClientProcess> {
  const { args = [], columns = 60, rows = 20 } = options;
  const quoted = (await clientCommand(port, args)).map((word) => `'${word}'`).join(" ");
  const client = `sh -c 'echo "pid $$"; exec "$@"' sh ${quoted}`;
  const shell = `stty cols ${columns} rows ${rows}; ${client}; echo "exit code $?"; stty -a`;
  return new ClientProcess(["script", "--quiet", "--flush", "--command", shell, "/dev/null"], {
    env: { NO_COLOR: "1" },
    ...options,
  });
}

/** What a terminal shows after this output: its rows, as far as the client's few sequences go. */
export function drawn(output: string): string[] {
  const rows = [""];
  let line = 0;
  let column = 0;
  for (const [token] of output.matchAll(/\x1b\[[\x30-\x3f]*[\x40-\x7e]|[^]/gu)) {
    const row = [...(rows[line] ?? "")];
    const [, count, direction] = /^\x1b\[(\d*)([ABC])$/.exec(token) ?? [];
    if (token === "\n") rows[++line] ??= "";
    else if (token === "\r") column = 0;
    else if (token === "\x1b[J") rows.splice(line + 1);
    else if (token === "\x1b[K") rows[line] = row.slice(0, column).join("");
    else if (direction === "C") column += Number(count || 1);
    else if (direction !== undefined) line += (direction === "A" ? -1 : 1) * Number(count || 1);
    else if (!token.startsWith("\x1b")) {
      while (row.length < column) row.push(" ");
      row[column++] = token;
      rows[line] = row.join("");
    }
  }
  return rows;
}
