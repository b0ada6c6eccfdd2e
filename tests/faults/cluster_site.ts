/**
 * Two nodes on MariaDB and Redis, with a crowd.
 *
 * @module
 */

import { type Cluster, startCluster } from "../support/cluster.ts";
import type { Redis, Server } from "../support/services.ts";
import { Crowd } from "./crowd.ts";
import { NODE_ARGS, random, Site } from "./site.ts";
import { mariaDbStore } from "./store.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** Names of the two nodes. */
export const NODES = ["A", "B"] as const;

/** A node's lease in Redis, and some more. */
export const LONGER_THAN_LEASE_MS = 12_000;

/** Longer than a node waits for a statement. */
export const LONGER_THAN_STATEMENT_MS = 11_000;

/** Whom the nodes are to MySQL; the tests are root. */
export const MYSQL_USER = "nodes";

/** A site whose cluster can be broken. */
export class ClusterSite extends Site implements AsyncDisposable {
  /** Its parts. */
  readonly cluster: Cluster;
  /** Between each node and Redis, by the node's name. */
  readonly proxies: ReadonlyMap<string, TcpProxy>;
  /** Where the proxies lead. */
  redis: Redis;

  private constructor(cluster: Cluster, proxies: ReadonlyMap<string, TcpProxy>, crowd: Crowd) {
    super({
      store: mariaDbStore(cluster.mariaDb),
      crowd,
      nodes: () => cluster.nodes.values(),
      redis: () => this.redis,
    });
    this.cluster = cluster;
    this.proxies = proxies;
    this.redis = cluster.redis;
  }

  /** Starts everything; nodes from another checkout, where one is named. */
  static async open(checkout?: string): Promise<ClusterSite> {
    await using stack = new AsyncDisposableStack();
    const cluster = stack.use(await startCluster([], NODE_ARGS));
    cluster.checkout = checkout;
    await cluster.mariaDb.sql(`CREATE USER ${MYSQL_USER}; GRANT ALL ON chat.* TO ${MYSQL_USER}`);
    cluster.mysqlUrl = cluster.mariaDb.url.replace("root", MYSQL_USER);
    const proxies = new Map(NODES.map((name) => [name, stack.use(new TcpProxy(cluster.redis.port))]));
    const nodes = await Promise.all(NODES.map((name) => startBehind(proxies.get(name), cluster, name)));
    const size = { v2: 16, v3: 4, v1: 6, members: 10, strangers: 4 };
    const crowd = await Crowd.create(
      mariaDbStore(cluster.mariaDb),
      nodes.map(({ port }) => port),
      size,
      random,
    );
    stack.defer(() => crowd.vanish());
    const site = new ClusterSite(cluster, proxies, crowd);
    await site.warmUp();
    stack.move();
    return site;
  }

  /** Users try these nodes from now on. */
  use(...names: string[]): void {
    this.crowd.ports = names.map((name) => this.cluster.node(name).port);
  }

  /** Starts a node again and lets users try all of them. */
  async startNode(name: string, env?: Record<string, string>): Promise<void> {
    await startBehind(this.proxies.get(name), this.cluster, name, env);
    this.use(...NODES);
  }

  /** The proxies lead to another Redis from now on, and whoever is connected has to connect anew. */
  failOver(redis: Redis): void {
    this.redis = redis;
    for (const proxy of this.proxies.values()) {
      proxy.target = redis.port;
      proxy.cut();
    }
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.crowd.vanish();
    for (const proxy of this.proxies.values()) await proxy[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}

function startBehind(
  proxy: TcpProxy | undefined,
  cluster: Cluster,
  name: string,
  env?: Record<string, string>,
): Promise<Server> {
  if (proxy) cluster.redisUrl = `redis://127.0.0.1:${proxy.port}`;
  return cluster.startNode(name, 0, env);
}
