/**
 * A cluster for tests: MariaDB, Redis and some nodes, and users who note everything they are sent.
 *
 * @module
 */

import { ChatClient, type Frame, logIn, signUp, TIME } from "./chat_client.ts";
import { waitFor } from "./process.ts";
import { type MariaDb, type Redis, type Server, startMariaDb, startRedis, startServer } from "./services.ts";

/** Services and nodes that belong together. */
export class Cluster implements AsyncDisposable {
  /** The database all nodes share. */
  readonly mariaDb: MariaDb;
  /** The bus between them. */
  readonly redis: Redis;
  /** How nodes that are started reach the database: as root, unless a test says otherwise. */
  mysqlUrl: string;
  /** Where nodes that are started look for Redis: at its own address, unless a test puts something in between. */
  redisUrl: string;
  /** The folder of another checkout that nodes are started from, with a slash at its end; undefined: this one. */
  checkout: string | undefined;
  /** By name. */
  readonly nodes = new Map<string, Server>();
  readonly #args: readonly string[];

  /** Made by {@linkcode startCluster}. */
  constructor(mariaDb: MariaDb, redis: Redis, args: readonly string[]) {
    this.mariaDb = mariaDb;
    this.redis = redis;
    this.mysqlUrl = mariaDb.url;
    this.redisUrl = redis.url;
    this.#args = args;
  }

  /**
   * Starts a node of this name, also again after its death; on a free port unless one is given, with further environment
   * variables.
   */
  async startNode(name: string, port = 0, env: Record<string, string> = {}): Promise<Server> {
    const services = ["--mysql", this.mysqlUrl, "--redis", this.redisUrl];
    const node = await startServer([...services, "--node", name, ...this.#args], {
      port,
      env,
      ...(this.checkout === undefined ? {} : { checkout: this.checkout }),
    });
    await this.nodes.get(name)?.[Symbol.asyncDispose]();
    this.nodes.set(name, node);
    return node;
  }

  /** A node that runs. */
  node(name: string): Server {
    const node = this.nodes.get(name);
    if (!node) throw new Error(`There is no node ${name}`);
    return node;
  }

  /** One column of a SELECT, a value a row, as text. */
  async column(statement: string): Promise<string[]> {
    const text = await this.mariaDb.sql(statement);
    return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  /** How many PUBLISH commands Redis has carried out. */
  async publishes(): Promise<number> {
    const stats = await this.redis.cli("INFO", "commandstats");
    return Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  /** Ends the nodes, then the services. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes.values()) await node[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    await this.mariaDb[Symbol.asyncDispose]();
  }
}

/** Starts the services and one node for each name. */
export async function startCluster(names: readonly string[], args: readonly string[] = []): Promise<Cluster> {
  const [mariaDb, redis] = await Promise.all([startMariaDb(), startRedis()]);
  const cluster = new Cluster(mariaDb, redis, args);
  try {
    for (const name of names) await cluster.startNode(name);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** A version 1 user who goes from node to node and notes every message it is sent, on whichever connection. */
export class Talker implements AsyncDisposable {
  /** User id. */
  readonly id: number;
  /** As signed up. */
  readonly name: string;
  /** Every chat frame, in the order it came. */
  readonly received: Frame[] = [];
  #client: ChatClient | undefined;
  #pump: Promise<void> = Promise.resolve();

  private constructor(id: number, name: string) {
    this.id = id;
    this.name = name;
  }

  /** Signs a new user up; it is not logged in yet. */
  static async create(port: number, name: string): Promise<Talker> {
    await using client = await ChatClient.connect(port);
    return new Talker(await signUp(client, name), name);
  }

  /** Logs in on a node and listens from then on. */
  async logIn(port: number): Promise<void> {
    const client = await ChatClient.connect(port);
    const reply = await logIn(client, this.id).catch((error) => {
      client.close();
      throw error;
    });
    this.#client = client;
    for (const text of reply.offlineMsg ?? []) this.received.push(JSON.parse(text));
    this.#pump = this.#listen(client);
  }

  async #listen(client: ChatClient): Promise<void> {
    try {
      while (true) {
        const frame = await client.receive(600_000);
        if (frame.msgid === 6 || frame.msgid === 10) this.received.push(frame);
      }
    } catch {
      // The connection has ended, by us or by a fault; what it brought is noted.
    }
  }

  /** Logs out in order and waits for the last frame. */
  async logOut(): Promise<void> {
    await this.#client?.send({ msgid: 3, id: this.id });
    await this.#client?.closeWrite();
    await this.#pump;
    this.#client?.close();
  }

  /** Resolves when the server has ended the connection. */
  async gone(): Promise<void> {
    await this.#pump;
    this.#client?.close();
  }

  /** Sends any frame as this user. */
  async send(frame: Record<string, unknown>): Promise<void> {
    if (!this.#client) throw new Error(`${this.name} is not logged in`);
    await this.#client.send({ id: this.id, name: this.name, ...frame });
  }

  /** Says something to another user. */
  async say(toid: number, msg: string): Promise<void> {
    await this.send({ msgid: 6, toid, msg, time: TIME });
  }

  /** Says something in a group. */
  async sayTo(groupid: number, msg: string): Promise<void> {
    await this.send({ msgid: 10, groupid, msg, time: TIME });
  }

  /** The texts received from one sender, in order. */
  from(sender: number): string[] {
    return this.received.filter(({ id }) => id === sender).map(({ msg }) => String(msg));
  }

  /** Resolves when so many messages have come. */
  async heard(count: number, deadlineMs?: number): Promise<void> {
    await waitFor(`${count} messages for ${this.name}`, () => this.received.length >= count, deadlineMs);
  }

  /** Goes away. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.#pump;
  }
}
