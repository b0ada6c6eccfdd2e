/**
 * What joins a node to the others: the bus and presence, over Redis or, for a node that is alone, in memory.
 *
 * @module
 */
import type { Session } from "./chat/session.ts";
import type { Admission } from "./chat/admission.ts";
import { type Bus, type BusEvents, createLocalBus } from "./cluster/bus.ts";
import type { Delivery } from "./log/delivery.ts";
import { errorText, EXIT, FatalError } from "./base/errors.ts";
import type { Logger } from "./base/logger.ts";
import type { PresenceNews } from "./log/presence_news.ts";
import type { ServeOptions } from "./config/options.ts";
import type { Closer } from "./ports.ts";
import { createMemoryPresence, type Presence, type PresenceEvents } from "./cluster/presence.ts";
import { Redis, type RedisOptions } from "./cluster/redis.ts";
import { RedisPresence } from "./cluster/redis_presence.ts";
import { LONE_ROSTER, type Roster, SharedRoster } from "./cluster/roster.ts";
import { Seal, sealedBus } from "./cluster/seal.ts";
import type { Database } from "./store/database.ts";
import { MemoryTallies, SharedTallies, type Tallies } from "./cluster/tallies.ts";
import { turnTime } from "./base/turn.ts";

/** What the bus and presence speak to; it is built after them. */
export interface Late {
  /** Messages. */
  delivery?: Delivery<Session>;
  /** Logins. */
  admission?: Admission;
  /** Who comes and goes. */
  presenceNews?: PresenceNews<Session>;
  /** The node cannot go on. */
  fail: (error: FatalError) => void;
}

/** Where Redis is, as the options have it. */
export type RedisPlace = Pick<ServeOptions, "redisUrl" | "redisCaPath">;

/** What {@link openCluster} needs. */
export interface ClusterOptions {
  /** Without a URL the node is alone. */
  place: RedisPlace;
  /** Holds the cluster's name and secret. */
  db: Database;
  /** This node's name. */
  node: string;
  /** This process's random number. */
  origin: number;
  /** Who hears of what happens. */
  late: Late;
  /** For what happens. */
  logger: Logger;
}

/** The way to the other nodes. */
export interface ClusterParts {
  /** To the other nodes. */
  bus: Bus;
  /** Who is online where. */
  presence: Presence;
  /** Before every channel's name: clusters may share a Redis. */
  channelPrefix: string;
  /** Counts that all nodes share. */
  tallies: Tallies;
  /** What proves that a text is a node's of this cluster: see Seal.sign. */
  sign: (text: string) => string;
  /** What the nodes say of themselves. */
  roster: Roster;
}

/** Joins the cluster. Throws a FatalError when that cannot be done. */
export async function openCluster(options: ClusterOptions, closers: Closer[]): Promise<ClusterParts> {
  const { place, db, node, origin, late, logger } = options;
  const { id, secret } = await readIdentity(db);
  const channelPrefix = `chat:${id}:`;
  const seal = new Seal(secret, origin, () => late.delivery?.onRefused());
  const sign = (text: string) => seal.sign(text);
  if (place.redisUrl === null) {
    const tallies = new MemoryTallies(turnTime);
    const alone = { bus: createLocalBus(), presence: createMemoryPresence(node), roster: LONE_ROSTER };
    return { ...alone, channelPrefix, tallies, sign };
  }
  const redis = new Redis(place.redisUrl, busEvents(options, seal, `${channelPrefix}node:${node}`), {
    ...authority(place),
    logger,
    prefix: channelPrefix,
  });
  await redis.connect();
  closers.push(() => redis.close());
  const events = presenceEvents(options);
  const presence = await RedisPresence.open({
    redis,
    cluster: channelPrefix.slice(0, -1),
    node,
    sign,
    events,
    logger,
  });
  closers.push(() => presence.close());
  const tallies = new SharedTallies(redis, channelPrefix, turnTime);
  const roster = new SharedRoster(redis, channelPrefix, node, sign);
  return { bus: sealedBus(redis, seal), presence, channelPrefix, tallies, sign, roster };
}

/** Looks whether Redis, if there is to be one, is there and lets us in. Throws a FatalError when not. */
export async function probeRedis(place: RedisPlace, logger: Logger): Promise<void> {
  if (place.redisUrl === null) return;
  const nobody = { onMessage() {}, onUp() {}, onDown() {} };
  const redis = new Redis(place.redisUrl, nobody, { ...authority(place), logger });
  try {
    await redis.connect();
  } finally {
    await redis.close();
  }
}

function authority({ redisCaPath }: RedisPlace): Pick<RedisOptions, "ca"> {
  if (redisCaPath === null) return {};
  try {
    return { ca: Deno.readTextFileSync(redisCaPath) };
  } catch (error) {
    const path = JSON.stringify(redisCaPath);
    throw new FatalError(EXIT.config, `Cannot read ${path} for --redis-ca: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** The random name and secret that migrations gave this database. */
async function readIdentity(db: Database): Promise<{ id: string; secret: string }> {
  const [row] = await db.query<{ id: string; secret: string }>("SELECT id, secret FROM Cluster");
  if (!row?.secret) throw new FatalError(EXIT.config, "The table Cluster of the database is empty");
  return row;
}

function busEvents({ late, logger }: ClusterOptions, seal: Seal, nodeChannel: string): BusEvents {
  return {
    onMessage(channel, sealed) {
      const opened = seal.open(channel, sealed);
      if (!opened) return;
      const { origin, payload } = opened;
      try {
        if (channel === nodeChannel) late.admission?.onMessage(payload);
        else late.delivery?.onMessage(channel, payload, origin);
      } catch (error) {
        // Another version's, perhaps. Whatever it is, it must not end this process.
        logger.error("cannot handle what another node has sent", { channel, reason: errorText(error) });
      }
    },
    onUp() {
      logger.info("Redis is back");
      late.delivery?.onBusUp();
      late.presenceNews?.lookAtAll();
    },
    onDown: (reason) =>
      logger.error("Redis is away; users of this node go on, nobody can log in", { reason }),
  };
}

function presenceEvents({ node, late, logger }: ClusterOptions): PresenceEvents {
  return {
    onLost: (subject, generation) => late.admission?.onLost(subject, generation),
    onNodeDied: async (name) => {
      logger.warn("a node has died; its users are offline", { node: name });
      // What it stored last may have rung nowhere.
      late.delivery?.requestSweep();
      late.delivery?.sweep();
      await late.admission?.reconcileStates();
    },
    onRestored: () => {
      logger.warn("this node was taken for dead; its users are claimed again");
      late.admission?.restoreStates();
    },
    onNameTaken: () =>
      late.fail(new FatalError(EXIT.config, `Another node has taken the name ${JSON.stringify(node)}`)),
  };
}
