/**
 * Where Redis is and how to get in, out of one URL.
 *
 * @module
 */

import { EXIT, FatalError } from "../base/errors.ts";
import { formatHostPort } from "../base/host_port.ts";

/** Where a server listens. */
export interface RedisEndpoint {
  /** Host name or IP address; IPv6 without its brackets. */
  host: string;
  /** TCP port. */
  port: number;
}

/** How to get into a Redis. */
export interface RedisAccess {
  /** True for `rediss://`. */
  tls: boolean;
  /** Certificates of the authorities to trust with TLS in place of the system's, PEM. */
  ca?: string;
  /** Database index. */
  db: number;
  /** ACL user; without one Redis takes the user `default`. */
  username?: string;
  /** Password as Redis wants it, percent signs decoded. */
  password?: string;
  /** The URL for logs and error texts, without user and password. */
  display: string;
}

/** One Redis, wherever its data is. */
export type RedisServer = RedisEndpoint & RedisAccess;

/** A Redis whose Sentinels know which server is the master. */
export interface RedisSentinels extends RedisAccess {
  /** At least one. */
  sentinels: RedisEndpoint[];
  /** What they call the master. */
  masterName: string;
}

/** What a Redis URL says. */
export type RedisAddress = RedisServer | RedisSentinels;

const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26379;

/** Scheme, user and password, hosts, name, database: more than one host is more than the URL parser takes. */
const SENTINEL_URL = /^(rediss?)\+sentinel:\/\/(?:(.*)@)?([^/@]*)\/([\w.-]*)(?:\/(\d{0,5}))?$/s;

function refuse(why: string): FatalError {
  // The URL itself is not quoted: it may hold a password in a place where none can be recognised.
  return new FatalError(
    EXIT.usage,
    `The Redis URL ${why}; expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or with Sentinel ` +
      "redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/NAME[/DB], or rediss…",
  );
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw refuse("cannot be read"); // The parser's own error quotes the text.
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw refuse("has a user or password with a wrong percent sign (write % as %25)");
  }
}

/**
 * Takes a `redis://`, `rediss://`, `redis+sentinel://` or `rediss+sentinel://` URL apart. Throws a {@link FatalError} that
 * never quotes user or password.
 *
 * ```ts
 * import { parseRedisUrl } from "./redis_url.ts";
 *
 * parseRedisUrl("rediss://chat:secret@10.0.0.5/2").display; // "rediss://10.0.0.5:6379/2"
 * ```
 */
export function parseRedisUrl(text: string): RedisAddress {
  return /^rediss?\+sentinel:/.test(text) ? parseSentinelUrl(text) : parseServerUrl(text);
}

function parseServerUrl(text: string): RedisServer {
  const url = parseUrl(text);
  const tls = url.protocol === "rediss:";
  if (!tls && url.protocol !== "redis:") throw refuse("does not begin with redis:// or rediss://");
  if (url.search || url.hash) {
    throw refuse("has a part after ? or # (write them in a password as %3F and %23)");
  }
  const path = /^\/?(\d{0,5})$/.exec(url.pathname);
  if (!path) throw refuse("has a database that is no number");
  const endpoint = endpointOf(url, DEFAULT_PORT);
  const db = Number(path[1]);
  return {
    ...endpoint,
    tls,
    db,
    ...credentials(url.username, url.password),
    display: `${url.protocol}//${shown(endpoint)}${db === 0 ? "" : `/${db}`}`,
  };
}

function parseSentinelUrl(text: string): RedisSentinels {
  const [, scheme, login = "", hosts = "", masterName = "", index] = SENTINEL_URL.exec(text) ?? [];
  if (scheme === undefined) throw refuse("cannot be read");
  if (masterName === "") throw refuse("does not name the master that the Sentinels look after");
  const sentinels = hosts.split(",").map((host) =>
    endpointOf(parseUrl(`redis://${host}`), DEFAULT_SENTINEL_PORT)
  );
  const [username = "", ...password] = login.split(":");
  const db = Number(index ?? 0);
  return {
    sentinels,
    masterName,
    tls: scheme === "rediss",
    db,
    ...credentials(username, password.join(":")),
    display: `${scheme}+sentinel://${sentinels.map(shown).join(",")}/${masterName}${
      db === 0 ? "" : `/${db}`
    }`,
  };
}

function endpointOf({ hostname, port }: URL, defaultPort: number): RedisEndpoint {
  if (!hostname) throw refuse("names no host");
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: port === "" ? defaultPort : Number(port) };
}

function credentials(user: string, secret: string): Pick<RedisAccess, "username" | "password"> {
  const [username, password] = [decode(user), decode(secret)];
  if (username && !password) throw refuse("has a user but no password (a password alone is :PASSWORD@)");
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}

function shown({ host, port }: RedisEndpoint): string {
  return formatHostPort(host, port);
}
