/**
 * The services a test needs, as real processes on free ports of the loopback address with their data in temporary
 * folders. Each is an `await using` value: it ends with its test and leaves nothing behind.
 *
 * ```ts
 * await using mariadb = await startMariaDb();
 * await using redis = await startRedis({ password: "secret" });
 * await using server = await startServer(["--mysql", mariadb.url, "--redis", redis.url]);
 * const conn = await Deno.connect({ hostname: server.host, port: server.port });
 * ```
 *
 * @module
 */

import {
  type CommandOptions,
  type CommandResult,
  DEADLINE_MS,
  freePort,
  isFile,
  NGINX_STREAM_MODULE,
  readTextIfExists,
  run,
  runOrThrow,
  ServiceProcess,
  type TemporaryFolder,
  temporaryFolder,
  waitFor,
} from "./process.ts";
import { dataTemplate, engine, ENGINE_USER } from "./engines.ts";
import { programFlags } from "../program_flags.ts";

/** How a service's process comes up. */
interface Launch {
  command: string;
  args: readonly string[];
  /** What it logs once it serves. */
  readyText: string;
  /** How long that may take, in milliseconds; {@linkcode DEADLINE_MS} by default. */
  deadlineMs?: number;
  /** The network namespace it runs in; the test's own by default. */
  namespace?: string;
}

/** A service that can be ended and started again on the same port with the same data. */
export class Service implements AsyncDisposable {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /** Where its files are. */
  readonly folder: string;
  readonly #folder: TemporaryFolder;
  readonly #launch: Launch;
  readonly #logPath: string;
  #process: ServiceProcess | null = null;

  /** Made by the functions of this module, which start it too. */
  constructor(port: number, folder: TemporaryFolder, launch: Launch) {
    this.port = port;
    this.folder = folder.path;
    this.#folder = folder;
    this.#launch = launch;
    this.#logPath = `${folder.path}/log`;
  }

  #running(): ServiceProcess {
    if (!this.#process) throw new Error(`${this.#launch.command} is not running`);
    return this.#process;
  }

  /** False while it is stopped. */
  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** Its process id; throws while it is stopped. */
  get pid(): number {
    return this.#running().pid;
  }

  /** What it has logged since it was started. */
  log(): Promise<string> {
    return readTextIfExists(this.#logPath);
  }

  /** Sends a signal it survives: SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(signal: Deno.Signal): void {
    this.#running().signal(signal);
  }

  /** Stops it with SIGSTOP and resolves when it stands still: a busy machine lets it finish a statement after the signal. */
  async freeze(): Promise<void> {
    const { pid } = this;
    this.signal("SIGSTOP");
    await waitFor(`${this.#launch.command} to stand still`, async () => {
      const { stdout } = await run("ps", ["-o", "stat=", "-L", "-p", String(pid)]);
      return stdout.trim().split("\n").every((state) => state.trim().startsWith("T"));
    });
  }

  /** Sends a signal it dies of, and resolves when it is dead. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    await this.#running().kill(signal);
    this.#process = null;
  }

  /** Shuts it down in good order; resolves when it is gone. */
  async stop(): Promise<void> {
    await this.kill("SIGTERM");
  }

  /** Starts it (again); resolves when it serves, which has to be within `deadlineMs`, or as its kind of service is given. */
  async start(deadlineMs?: number): Promise<void> {
    const { command, args, readyText, deadlineMs: usualMs = DEADLINE_MS, ...options } = this.#launch;
    if (this.#process) throw new Error(`${command} is running already`);
    await Deno.writeTextFile(this.#logPath, "");
    const process = new ServiceProcess(command, args, { ...options, logPath: this.#logPath });
    try {
      await waitFor(`${command} to be ready`, async () => {
        if (process.status) throw new Error(`${command} ended with exit code ${process.status.code}`);
        return (await this.log()).includes(readyText);
      }, deadlineMs ?? usualMs);
    } catch (error) {
      await process.kill();
      throw new Error(`${command} did not start: ${await this.log()}`, { cause: error });
    }
    this.#process = process;
  }

  /** Ends it the hard way and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.kill("SIGKILL");
    this.#process = null;
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Starts a service that was just made; takes it down again when that fails. */
export async function started<Made extends Service>(made: Made): Promise<Made> {
  try {
    await made.start();
    return made;
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
}

/** A MariaDB of its own, or the {@linkcode engine} in its place, with its standard settings for durability, collation and isolation. */
export class MariaDb extends Service {
  /** `mysql://root@127.0.0.1:PORT/chat`: an empty database, root without a password. */
  get url(): string {
    return this.urlOf("chat");
  }

  /** Its data folder. */
  get dir(): string {
    return `${this.folder}/data`;
  }

  /** The URL of one of its databases. */
  urlOf(database: string): string {
    return `mysql://root@127.0.0.1:${this.port}/${database}`;
  }

  /**
   * Runs SQL as root; resolves with the rows, one a line, columns parted by tabs, NULL as `NULL`. `args`: further options of
   * the client.
   */
  async sql(text: string, database = "chat", args: readonly string[] = []): Promise<string> {
    const rows = await runOrThrow(engine.client, [
      "--no-defaults",
      "--host=127.0.0.1",
      `--port=${this.port}`,
      "--user=root",
      "--default-character-set=utf8mb4",
      "--batch",
      "--skip-column-names",
      ...args,
      database,
    ], { stdin: text });
    return rows.trimEnd();
  }

  /** Makes another empty database and resolves with its URL. */
  async createDatabase(name: string): Promise<string> {
    await this.sql(`CREATE DATABASE \`${name}\``, "mysql");
    return this.urlOf(name);
  }
}

/**
 * Starts MariaDB, or the {@linkcode engine} in its place, with an empty database `chat`; `args` are further options of the
 * server, such as `--max-connections=5`.
 */
export async function startMariaDb({ args = [] }: { args?: readonly string[] } = {}): Promise<MariaDb> {
  const folder = await temporaryFolder();
  const mariadb = await started(await makeMariaDb(folder, ["--no-defaults", ...ENGINE_USER, ...args]));
  await mariadb.createDatabase("chat");
  return mariadb;
}

/** A MariaDB with a fresh data folder, to be started. `args`: who it runs as, and further options. */
export async function makeMariaDb(folder: TemporaryFolder, args: readonly string[]): Promise<MariaDb> {
  const source = await dataTemplate();
  const port = freePort();
  await runOrThrow("cp", ["-R", source, `${folder.path}/data`]);
  const [first = "", ...rest] = args;
  return new MariaDb(port, folder, {
    command: engine.server,
    args: [
      // What says where options come from must stand first.
      first,
      ...engine.sizes,
      ...engine.leanness,
      `--datadir=${folder.path}/data`,
      // A server that starts removes the temporary tables it finds, in a shared folder those of other servers too.
      `--tmpdir=${folder.path}`,
      `--socket=${folder.path}/socket`,
      `--pid-file=${folder.path}/pid`,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      "--skip-name-resolve",
      ...rest,
    ],
    readyText: "ready for connections",
    deadlineMs: engine.deadlineMs,
  });
}

/** Who may use a Redis. */
export interface RedisAccess {
  /** Needed to connect; none by default. */
  password?: string;
  /** With `password`: only this user gets in (Redis ACL), the default user does not. */
  user?: string;
}

/** A Redis of its own. It writes nothing to disk: stopped and started again it is empty. */
export class Redis extends Service {
  readonly #access: RedisAccess;

  /** Made by {@linkcode startRedis}. */
  constructor(port: number, folder: TemporaryFolder, launch: Launch, access: RedisAccess) {
    super(port, folder, launch);
    this.#access = access;
  }

  /** `redis://[[USER]:PASSWORD@]127.0.0.1:PORT`. */
  get url(): string {
    const { user = "", password } = this.#access;
    const login = password === undefined
      ? ""
      : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
    return `redis://${login}127.0.0.1:${this.port}`;
  }

  /** Runs one command, such as `cli("PUBSUB", "NUMSUB", "channel")`; resolves with the reply as redis-cli prints it. */
  async cli(...command: string[]): Promise<string> {
    const { user, password } = this.#access;
    const reply = await runOrThrow("redis-cli", [
      "-e",
      "-p",
      String(this.port),
      ...(user === undefined ? [] : ["--user", user, "--no-auth-warning"]),
      ...command,
    ], password === undefined ? {} : { env: { REDISCLI_AUTH: password } });
    return reply.trimEnd();
  }
}

/** Starts Redis; `config` are further lines of its configuration file. */
export async function startRedis(
  options: RedisAccess & { config?: readonly string[] } = {},
): Promise<Redis> {
  const { user, password, config = [] } = options;
  const folder = await temporaryFolder();
  const port = freePort();
  const access = user !== undefined && password !== undefined
    ? ["user default off", `user ${user} on ">${password}" ~* &* +@all`]
    : password !== undefined
    ? [`requirepass "${password}"`]
    : [];
  await Deno.writeTextFile(
    `${folder.path}/redis.conf`,
    [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${folder.path}`,
      'save ""',
      "appendonly no",
      "enable-debug-command local",
      ...access,
      ...config,
    ].join("\n"),
  );
  const launch = {
    command: "redis-server",
    args: [`${folder.path}/redis.conf`],
    readyText: "Ready to accept connections",
  };
  return await started(new Redis(port, folder, launch, options));
}

/** Starts a Sentinel that looks after `master` under the name `mymaster` with two others of its kind. */
export async function startSentinel(master: Redis, { password }: RedisAccess = {}): Promise<Redis> {
  const folder = await temporaryFolder();
  const port = freePort();
  await Deno.writeTextFile(
    `${folder.path}/sentinel.conf`,
    [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${folder.path}`,
      `sentinel monitor mymaster 127.0.0.1 ${master.port} 2`,
      "sentinel down-after-milliseconds mymaster 1000",
      "sentinel failover-timeout mymaster 5000",
      ...(password === undefined ? [] : [`sentinel auth-pass mymaster ${password}`]),
    ].join("\n"),
  );
  const launch = {
    command: "redis-sentinel",
    args: [`${folder.path}/sentinel.conf`],
    readyText: "+monitor master mymaster",
  };
  return await started(new Redis(port, folder, launch, {}));
}

/** An nginx of its own. */
export class Nginx extends Service {
  /** Puts another configuration in place and resolves when workers with it serve and the old ones take no more. */
  async reload(config: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/nginx.conf`, withStreamModule(config));
    const seen = (await this.log()).length;
    this.signal("SIGHUP");
    await waitFor("nginx to reload", async () => {
      const news = (await this.log()).slice(seen);
      if (news.includes("[emerg]")) throw new Error(`nginx refused the new configuration: ${news}`);
      return news.includes("start worker process ") && news.includes("gracefully shutting down");
    });
  }

  /** Ends master and workers at once: a master that is killed would leave its workers behind. */
  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.isRunning) await this.stop();
    await super[Symbol.asyncDispose]();
  }
}

/** Other builds of nginx have the module inside, and a configuration may load it itself. */
function withStreamModule(config: string): string {
  const isLoaded = /^\s*(load_module|include\s+\S*modules)/m.test(config);
  return !isLoaded && isFile(NGINX_STREAM_MODULE) ? `load_module ${NGINX_STREAM_MODULE};\n${config}` : config;
}

/** Starts nginx with `config`, the whole text of an nginx.conf; `port` is the one of its ports that the test dials. */
export async function startNginx(
  { config, port, ...options }: { config: string; port: number; namespace?: string },
): Promise<Nginx> {
  const folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/nginx.conf`, withStreamModule(config));
  return await started(
    new Nginx(port, folder, {
      command: "nginx",
      args: [
        "-p",
        folder.path,
        "-c",
        `${folder.path}/nginx.conf`,
        "-e",
        "stderr",
        "-g",
        `daemon off; pid ${folder.path}/pid; error_log stderr notice;`,
      ],
      readyText: "start worker process ",
      ...options,
    }),
  );
}

const REPOSITORY = new URL("../..", import.meta.url).pathname;

/** Which program to run and how. */
export interface ProgramOptions extends CommandOptions {
  /** An executable made by `deno compile`; by default main.ts runs with the permissions of the task `start`. */
  executable?: string;
  /** The folder of another checkout, with a slash at its end, whose main.ts is to be run with the permissions it asks for. */
  checkout?: string;
}

/** The command that runs the program, and its first arguments. */
async function program(
  { executable, checkout = REPOSITORY }: ProgramOptions,
): Promise<[command: string, args: string[]]> {
  if (executable !== undefined) return [executable, []];
  const flags = await programFlags(Deno.version.deno, `${checkout}deno.json`);
  return [Deno.execPath(), ["run", "--quiet", ...flags, `${checkout}main.ts`]];
}

/** Runs the program to its end, as `chatserver ARGS`, with `stdin` as all of its input. */
export async function runProgram(
  args: readonly string[],
  options: ProgramOptions & { stdin?: string; deadlineMs?: number } = {},
): Promise<CommandResult> {
  const [command, programArgs] = await program(options);
  return await run(command, [...programArgs, ...args], options);
}

/** Collects the text of a stream; resolves at its end. */
async function collect(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) onText(text);
}

/** An address that a server named in its ready line. */
export interface Address {
  /** Host name or IP address, without brackets. */
  host: string;
  /** The real port, also where port 0 was asked for. */
  port: number;
}

/** A server node, as a process of its own. */
export class Server implements AsyncDisposable {
  readonly #process: ServiceProcess;
  readonly #output: Promise<unknown>;
  #stdout = "";
  #stderr = "";
  #addresses: Map<string, Address> = new Map();

  /** Starts it; {@linkcode ready} must be awaited before anything else. */
  constructor(command: string, args: readonly string[], options: CommandOptions) {
    this.#process = new ServiceProcess(command, args, { ...options, capture: true });
    const { stdout, stderr } = this.#process;
    if (!stdout || !stderr) throw new Error("The server's output is not captured");
    this.#output = Promise.all([
      collect(stdout, (text) => this.#stdout += text),
      collect(stderr, (text) => this.#stderr += text),
    ]);
  }

  /** Resolves when the ready line has come; throws with what the server said when it ends before. */
  async ready(): Promise<void> {
    const line = await waitFor("the server to be ready", () => {
      const { status } = this.#process;
      if (status) {
        throw new Error(`The server ended with exit code ${status.code}: ${this.#stdout}${this.#stderr}`);
      }
      return this.#stdout.match(/\bready on (.*)\n/)?.[1];
    });
    for (
      const [, kind = "tcp", host, port] of line.matchAll(
        /(?:\b(tcp|http|tls|web|udp) )?(?:https?:\/\/)?([^\s\/]+):(\d+)/g,
      )
    ) {
      this.#addresses.set(kind, { host: host?.replace(/^\[|\]$/g, "") ?? "", port: Number(port) });
    }
  }

  /** One of the addresses of the ready line: `tcp`, or `http`, `tls`, `web`, `udp` where it was asked for. */
  address(kind: "tcp" | "http" | "tls" | "web" | "udp" = "tcp"): Address {
    const address = this.#addresses.get(kind);
    if (!address) throw new Error(`The server named no ${kind} address: ${this.#stdout}`);
    return address;
  }

  /** Host of the chat port. */
  get host(): string {
    return this.address().host;
  }

  /** The chat port. */
  get port(): number {
    return this.address().port;
  }

  /** Process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves with how it ended, once it has. */
  get exited(): Promise<Deno.CommandStatus> {
    return this.#process.exited;
  }

  /** What it has printed on standard output. */
  get stdout(): string {
    return this.#stdout;
  }

  /** What it has printed on standard error: its log. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when its log holds `text` or matches it. */
  async logged(text: string | RegExp, deadlineMs?: number): Promise<void> {
    await waitFor(
      `the server to log ${text}`,
      () => typeof text === "string" ? this.#stderr.includes(text) : text.test(this.#stderr),
      deadlineMs,
    );
  }

  /** Sends a signal it survives: SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(signal: Deno.Signal): void {
    this.#process.signal(signal);
  }

  /** Has it read its options again, and resolves with the lines of the log that say what came of it. */
  async reload(): Promise<string> {
    const before = this.#stderr.length;
    this.signal("SIGHUP");
    await waitFor("the reload", () => /reload(ed|;).*\n/.test(this.#stderr.slice(before)));
    // A warning of what needs a restart comes in the same turn.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return this.#stderr.slice(before);
  }

  /** Sends a signal it dies of, and resolves with how it ended and all of its output read. */
  async kill(signal: Deno.Signal = "SIGKILL", deadlineMs?: number): Promise<Deno.CommandStatus> {
    const status = await this.#process.kill(signal, deadlineMs);
    await this.#output;
    return status;
  }

  /** Asks it to drain and end (SIGTERM), and resolves with how it ended. */
  async stop(deadlineMs?: number): Promise<Deno.CommandStatus> {
    return await this.kill("SIGTERM", deadlineMs);
  }

  /** Ends it the hard way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** For load that is more than one user may send: {@linkcode startServer} with the measures of single users switched off. */
export const UNMEASURED: readonly string[] = [
  "--message-rate",
  "0",
  "--byte-rate",
  "0",
  "--history-rate",
  "0",
];

/**
 * Starts a server node as `chatserver serve HOST PORT ARGS` and resolves when it is ready. The ready line is the one
 * line of standard output of the form `… ready on HOST:PORT[, tls HOST:PORT][, http HOST:PORT][, web URL][, udp HOST:PORT]`.
 * Options in `env` are `CHAT_…` variables; `port` 0 takes a free one.
 */
export async function startServer(
  args: readonly string[] = [],
  options: ProgramOptions & { host?: string; port?: number } = {},
): Promise<Server> {
  const { host = "127.0.0.1", port = 0 } = options;
  const [command, programArgs] = await program(options);
  const server = new Server(command, [...programArgs, "serve", host, String(port), ...args], options);
  try {
    await server.ready();
    return server;
  } catch (error) {
    await server.kill();
    throw error;
  }
}
