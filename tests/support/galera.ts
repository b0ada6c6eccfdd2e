/**
 * Three MariaDB servers that are one Galera cluster: each takes writes, and a commit is decided by all of them.
 *
 * @module
 */

import { freePort, isFile, runOrThrow, type TemporaryFolder, temporaryFolder, waitFor } from "./process.ts";
import { ENGINE } from "./engines.ts";
import { makeMariaDb, type MariaDb } from "./services.ts";

/** Where Debian's package galera-4 has it. */
const PROVIDER = "/usr/lib/galera/libgalera_smm.so";
const SERVERS = 3;
/** Joining brings the whole data folder over. */
const JOIN_MS = 90_000;

/** Why there is no Galera here; undefined when there is. */
export function galeraObstacle(): string | undefined {
  if (ENGINE !== "MariaDB") return "Galera is MariaDB's";
  return isFile(PROVIDER) ? undefined : `there is no ${PROVIDER} (Debian's package galera-4)`;
}

/** See the module. */
export class Galera implements AsyncDisposable {
  /** The servers. */
  readonly servers: readonly MariaDb[];

  private constructor(servers: readonly MariaDb[]) {
    this.servers = servers;
  }

  /** Starts all of them, with an empty database `chat`. */
  static async start(): Promise<Galera> {
    await using stack = new AsyncDisposableStack();
    const ports = Array.from({ length: SERVERS }, () => freePort());
    const servers: MariaDb[] = [];
    for (const [index, port] of ports.entries()) {
      const folder = await temporaryFolder();
      const server = stack.use(await makeMariaDb(folder, await serverArgs(folder, index, port)));
      // The state transfer runs as the server's user, who cannot be root: rsync would then serve nobody's files.
      if (Deno.uid() === 0) await runOrThrow("chown", ["-R", "mysql", folder.path]);
      // The first one begins the cluster; whoever starts from then on joins it.
      await writeAddress(folder.path, index === 0 ? [] : ports);
      await server.start(JOIN_MS);
      await writeAddress(folder.path, ports);
      servers.push(server);
    }
    const galera = new Galera(servers);
    await galera.complete();
    await servers[0]?.createDatabase("chat");
    stack.move();
    return galera;
  }

  /** A server. */
  server(index: number): MariaDb {
    const server = this.servers[index];
    if (!server) throw new Error(`There is no server ${index}`);
    return server;
  }

  /** Starts a server again; resolves when the cluster is complete. */
  async rejoin(index: number): Promise<void> {
    await this.server(index).start(JOIN_MS);
    await this.complete();
  }

  /** Resolves when all servers take writes, as one cluster. */
  async complete(): Promise<void> {
    for (const server of this.servers) {
      await waitFor("a server to be in the cluster", async () => {
        try {
          const status = await server.sql(
            "SHOW STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_size')",
            "mysql",
          );
          return status.includes(`wsrep_cluster_size\t${SERVERS}`) && status.includes("wsrep_ready\tON");
        } catch {
          // It does not serve yet.
          return false;
        }
      }, JOIN_MS);
    }
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}

async function serverArgs(folder: TemporaryFolder, index: number, port: number): Promise<string[]> {
  const provider = [
    "base_host=127.0.0.1",
    `base_port=${port}`,
    `gmcast.listen_addr=tcp://127.0.0.1:${port}`,
    `ist.recv_addr=127.0.0.1:${freePort()}`,
    "gcache.size=16M",
  ];
  await Deno.mkdir(`${folder.path}/etc`);
  return [
    `--defaults-file=${folder.path}/etc/my.cnf`,
    ...(Deno.uid() === 0 ? ["--user=mysql"] : []),
    "--binlog-format=ROW",
    "--innodb-autoinc-lock-mode=2",
    "--wsrep-on=ON",
    `--wsrep-provider=${PROVIDER}`,
    "--wsrep-cluster-name=chat",
    `--wsrep-node-name=server${index}`,
    "--wsrep-node-address=127.0.0.1",
    "--wsrep-sst-method=rsync",
    `--wsrep-sst-receive-address=127.0.0.1:${freePort()}`,
    `--wsrep-provider-options=${provider.join(";")}`,
  ];
}

async function writeAddress(folder: string, ports: readonly number[]): Promise<void> {
  const peers = ports.map((port) => `127.0.0.1:${port}`).join(",");
  await Deno.writeTextFile(`${folder}/etc/my.cnf`, `[mysqld]\nwsrep_cluster_address = "gcomm://${peers}"\n`);
}
