/**
 * Two MariaDB servers, of which one follows the other, behind a proxy that leads to the one that takes writes.
 *
 * @module
 */

import { freePort, isOnPath, temporaryFolder, waitFor } from "./process.ts";
import { ENGINE } from "./engines.ts";
import { type MariaDb, Service, started, startMariaDb } from "./services.ts";

/** Why there is no replication here; undefined when there is. */
export function replicationObstacle(): string | undefined {
  if (ENGINE !== "MariaDB") return "the replication is set up in MariaDB's words";
  return isOnPath("haproxy") ? undefined : "there is no haproxy on the PATH";
}

/** The proxy, HAProxy, with one server in use at a time. */
class Proxy extends Service {
  /** Leads whoever connects from now on to the server of this name, and cuts off those that are with the other one. */
  async leadTo(name: string, from: string): Promise<void> {
    for (
      const command of [
        `set server db/${from} state maint`,
        `shutdown sessions server db/${from}`,
        `set server db/${name} state ready`,
      ]
    ) {
      using socket = await Deno.connect({ transport: "unix", path: `${this.folder}/control` });
      await socket.write(new TextEncoder().encode(`${command}\n`));
      const reply = await new Response(socket.readable).text();
      if (reply.trim() !== "") throw new Error(`HAProxy does not take "${command}": ${reply}`);
    }
  }
}

async function startProxy(servers: Readonly<Record<string, MariaDb>>): Promise<Proxy> {
  const folder = await temporaryFolder();
  const port = freePort();
  const [first] = Object.keys(servers);
  const lines = Object.entries(servers).map(([name, server]) =>
    `  server ${name} 127.0.0.1:${server.port}${name === first ? "" : " disabled"}`
  );
  await Deno.writeTextFile(
    `${folder.path}/haproxy.cfg`,
    `global
  stats socket ${folder.path}/control level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
listen db
  bind 127.0.0.1:${port}
${lines.join("\n")}
`,
  );
  const args = ["-db", "-f", `${folder.path}/haproxy.cfg`];
  // It says nothing when it is ready: it is when its control socket is.
  const proxy = await started(new Proxy(port, folder, { command: "haproxy", args, readyText: "" }));
  await waitFor(
    "HAProxy's socket",
    async () => (await Deno.stat(`${folder.path}/control`).catch(() => null)) !== null,
  );
  return proxy;
}

/** How the follower follows. */
export interface ReplicationOptions {
  /** A commit is answered when the follower has it; otherwise the follower is this many seconds behind. */
  delayS?: number;
}

/** See the module. */
export class Replication implements AsyncDisposable {
  /** The proxy's port. */
  readonly port: number;
  readonly #servers: Readonly<Record<string, MariaDb>>;
  readonly #proxy: Proxy;
  readonly #stack: AsyncDisposableStack;
  readonly #isDelayed: boolean;
  #primary = "one";

  private constructor(
    servers: Readonly<Record<string, MariaDb>>,
    proxy: Proxy,
    isDelayed: boolean,
    stack: AsyncDisposableStack,
  ) {
    this.#servers = servers;
    this.#isDelayed = isDelayed;
    this.#proxy = proxy;
    this.port = proxy.port;
    this.#stack = stack;
  }

  /** Starts all of it, with an empty database `chat` on both servers. */
  static async start({ delayS }: ReplicationOptions = {}): Promise<Replication> {
    await using stack = new AsyncDisposableStack();
    const start = async (id: number) =>
      stack.use(
        await startMariaDb({
          args: [
            `--server-id=${id}`,
            "--log-bin=binlog",
            "--log-slave-updates",
            "--gtid-strict-mode",
            "--sync-binlog=1",
            "--rpl-semi-sync-slave-enabled",
            // The follower has a transaction before anybody sees it, however long that takes.
            "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
            "--rpl-semi-sync-master-timeout=100000000",
          ],
        }),
      );
    const servers = { one: await start(1), two: await start(2) };
    const replication = new Replication(
      servers,
      stack.use(await startProxy(servers)),
      delayS !== undefined,
      stack.move(),
    );
    await replication.#follow("two", "one", delayS);
    if (delayS === undefined) await servers.one.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1");
    return replication;
  }

  /** The server that takes writes. */
  get primary(): MariaDb {
    return this.#server(this.#primary);
  }

  /** The one that follows it. */
  get follower(): MariaDb {
    return this.#server(this.#names()[1]);
  }

  #server(name: string): MariaDb {
    const server = this.#servers[name];
    if (!server) throw new Error(`There is no server ${name}`);
    return server;
  }

  async #follow(name: string, whom: string, delayS = 0): Promise<void> {
    // Both have begun with a history of their own, of which nothing is wanted.
    const server = this.#server(name);
    const position = await this.#server(whom).sql("SELECT @@gtid_binlog_pos");
    await server.sql(`SET GLOBAL read_only = 1; RESET MASTER; SET GLOBAL gtid_slave_pos = '${position}';
      CHANGE MASTER TO master_host = '127.0.0.1', master_port = ${
      this.#server(whom).port
    }, master_user = 'root',
        master_use_gtid = slave_pos, master_delay = ${delayS}, master_connect_retry = 1;
      START SLAVE`);
  }

  /** The other server takes the place of the one that takes writes, in good order: it has everything, and goes on. */
  async switchOver(): Promise<void> {
    const [from, to] = this.#names();
    const old = this.#server(from);
    // Whoever is in the middle of a transaction is waited for, and then refused.
    await old.sql("SET GLOBAL read_only = 1");
    const position = await old.sql("SELECT @@gtid_binlog_pos");
    await this.#server(to).sql(`SELECT MASTER_GTID_WAIT('${position}', 20)`);
    await this.#promote(to);
    await old.sql("SET GLOBAL rpl_semi_sync_master_enabled = 0");
    // Before anybody writes there: it begins with what it has itself.
    await this.#follow(from, to);
    await this.#server(to).sql("SET GLOBAL rpl_semi_sync_master_enabled = 1");
    await this.#leadTo(to, from);
  }

  /** The server that takes writes is killed (-9), and the other one goes on with what it has applied. */
  async failOver(): Promise<void> {
    const [from, to] = this.#names();
    await this.#server(from).kill();
    await this.#promote(to);
    await this.#leadTo(to, from);
  }

  #names(): [from: string, to: string] {
    return this.#primary === "one" ? ["one", "two"] : ["two", "one"];
  }

  async #promote(to: string): Promise<void> {
    const server = this.#server(to);
    // What it has been sent and has not been told to wait with is its own by now.
    await waitFor("the follower to have applied what it has", async () => {
      const state = await server.sql(
        "SELECT state FROM information_schema.processlist WHERE command = 'Slave_SQL'",
      );
      return this.#isDelayed || state.startsWith("Slave has read all relay log");
    });
    await server.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0");
  }

  async #leadTo(to: string, from: string): Promise<void> {
    await this.#proxy.leadTo(to, from);
    this.#primary = to;
  }

  /** Ends all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}
