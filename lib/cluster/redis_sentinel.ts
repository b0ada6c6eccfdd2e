/**
 * Finds the master that Sentinels look after.
 *
 * All are asked at once, and the server counts that most of them name: one that is cut off from the others goes on naming a
 * master of the past.
 *
 * @module
 */
import { errorText } from "../base/errors.ts";
import { formatHostPort } from "../base/host_port.ts";
import { RedisConnection, type RedisTiming } from "./redis_connection.ts";
import { RedisDenied } from "./redis_errors.ts";
import type { RedisEndpoint, RedisSentinels, RedisServer } from "./redis_url.ts";

/** What Sentinels say. */
export interface MasterFound {
  /** The master. */
  server: RedisServer;
  /** Most of all Sentinels say so, and not only most of those that answered. */
  isCertain: boolean;
}

/**
 * Asks where the master is; `signal` gives up. Rejects with what each Sentinel said when none knows, with a
 * {@link RedisDenied} where trying again is of no use.
 */
export async function findMaster(
  address: RedisSentinels,
  timing: RedisTiming,
  signal: AbortSignal,
): Promise<MasterFound> {
  const { sentinels, masterName: _, ...access } = address;
  const votes = new Map<string, { server: RedisEndpoint; count: number }>();
  const failures: string[] = [];
  let isDenied = true;
  const elected = Promise.withResolvers<void>();
  const asked = sentinels.map(async (sentinel) => {
    try {
      const server = await ask(sentinel, address, timing, signal);
      const name = formatHostPort(server.host, server.port);
      const vote = votes.get(name) ?? { server, count: 0 };
      votes.set(name, vote);
      if (++vote.count > sentinels.length / 2) elected.resolve();
    } catch (error) {
      isDenied &&= error instanceof RedisDenied;
      failures.push(`${formatHostPort(sentinel.host, sentinel.port)}: ${errorText(error)}`);
    }
  });
  await Promise.race([elected.promise, Promise.all(asked)]);
  const [best] = [...votes.values()].sort((a, b) => b.count - a.count);
  if (best) {
    return { server: { ...access, ...best.server }, isCertain: best.count > sentinels.length / 2 };
  }
  throw new (isDenied ? RedisDenied : Error)(`no Sentinel knows the master (${failures.join("; ")})`);
}

/** Sentinels often ask for no password where the Redis they look after does. */
async function ask(
  sentinel: RedisEndpoint,
  { masterName, ...access }: RedisSentinels,
  timing: RedisTiming,
  signal: AbortSignal,
): Promise<RedisEndpoint> {
  const { username: _, password, ...open } = access;
  try {
    return await question({ ...open, ...sentinel }, masterName, timing, signal);
  } catch (error) {
    if (password === undefined || !errorText(error).includes("NOAUTH")) throw error;
    return await question({ ...access, ...sentinel }, masterName, timing, signal);
  }
}

async function question(
  server: RedisServer,
  masterName: string,
  timing: RedisTiming,
  signal: AbortSignal,
): Promise<RedisEndpoint> {
  const connection = await RedisConnection.open("asking", server, timing, signal);
  try {
    const reply = await connection.call("SENTINEL", ["get-master-addr-by-name", masterName]);
    const [host, port] = Array.isArray(reply) ? reply.map(String) : [];
    if (host === undefined) throw new RedisDenied(`it knows no master named ${JSON.stringify(masterName)}`);
    return { host, port: Number(port) };
  } finally {
    connection.end("answered");
  }
}
