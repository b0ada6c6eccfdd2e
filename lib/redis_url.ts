/**
 * Where Redis is and how to get in, out of one URL.
 *
 * @module
 */

import { EXIT, FatalError } from "./errors.ts";

/** The parts of a Redis URL. */
export interface RedisAddress {
  /** Host name or IP address; IPv6 without its brackets. */
  host: string;
  /** TCP port. */
  port: number;
  /** True for `rediss://`. */
  tls: boolean;
  /** Database index. */
  db: number;
  /** ACL user; without one Redis takes the user `default`. */
  username?: string;
  /** Password as Redis wants it, percent signs decoded. */
  password?: string;
  /** The URL for logs and error texts, without user and password. */
  display: string;
}

const DEFAULT_PORT = 6379;

function refuse(why: string): FatalError {
  // The URL itself is not quoted: it may hold a password in a place where none can be recognised.
  return new FatalError(
    EXIT.usage,
    `The Redis URL ${why}; expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or rediss://…`,
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
 * Takes a `redis://` or `rediss://` URL apart. Throws a {@link FatalError} that never quotes user or
 * password.
 *
 * ```ts
 * import { parseRedisUrl } from "./redis_url.ts";
 *
 * parseRedisUrl("rediss://chat:secret@10.0.0.5/2").display; // "rediss://10.0.0.5:6379/2"
 * ```
 */
export function parseRedisUrl(text: string): RedisAddress {
  const url = parseUrl(text);
  const isPlain = url.protocol === "redis:";
  if (!isPlain && url.protocol !== "rediss:") throw refuse("does not begin with redis:// or rediss://");
  if (!url.hostname) throw refuse("names no host");
  if (url.search || url.hash) {
    throw refuse("has a part after ? or # (write them in a password as %3F and %23)");
  }
  const path = /^\/?(\d{0,5})$/.exec(url.pathname);
  if (!path) throw refuse("has a database that is no number");
  const port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  const db = Number(path[1]);
  const username = decode(url.username);
  const password = decode(url.password);
  if (username && !password) throw refuse("has a user but no password (a password alone is :PASSWORD@)");
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    tls: !isPlain,
    db,
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    display: `${url.protocol}//${url.hostname}:${port}${db === 0 ? "" : `/${db}`}`,
  };
}
