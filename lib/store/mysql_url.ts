/**
 * Reads `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; `mariadb://` is the same.
 *
 * @module
 */

import { EXIT, FatalError } from "../errors.ts";

/** Where a MySQL server is and who we are there. */
export interface MysqlAddress {
  /** Host name or IP address, without brackets. */
  host: string;
  /** TCP port. */
  port: number;
  /** Path of a unix socket, used instead of host and port; null without. */
  socketPath: string | null;
  /** Who we are. */
  user: string;
  /** Empty without. */
  password: string;
  /** The database with our tables. */
  database: string;
}

const FORM =
  "mysql://USER:PASSWORD@HOST:PORT/DATABASE (reserved characters as %XX, ?socketPath=/path for a unix socket)";

function refuse(reason: string): never {
  throw new FatalError(EXIT.usage, `The MySQL URL ${reason}; its form is ${FORM}`);
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    refuse(`has a % in the ${part} that is not the escape of a character`); // the original error would quote it
  }
}

/** Takes a MySQL URL apart. Throws a FatalError (exit code 64) that never quotes the URL, since it holds a password. */
export function parseMysqlUrl(url: string | URL): MysqlAddress {
  if (!URL.canParse(url)) refuse("cannot be read");
  const { protocol, hostname, port, username, password, pathname, searchParams, hash } = new URL(url);
  if (protocol !== "mysql:" && protocol !== "mariadb:") {
    refuse("does not begin with mysql://");
  }
  if (hash !== "") refuse("has a # that is not written as %23");
  // Not quoted: behind a ? may be the rest of a password.
  if ([...searchParams.keys()].some((key) => key !== "socketPath")) {
    refuse("has something other than socketPath behind a ? (in a password it is written %3F)");
  }
  // Usually the rest of a password with one of these in it.
  if (/[/:@]/.test(pathname.slice(1))) refuse("has a /, : or @ in the name of the database");
  const address = {
    host: decode(hostname.replace(/^\[(.*)\]$/, "$1"), "host"),
    port: port === "" ? 3306 : Number(port),
    socketPath: searchParams.get("socketPath"),
    user: decode(username, "user"),
    password: decode(password, "password"),
    database: decode(pathname.slice(1), "database"),
  };
  if (address.host === "" && !address.socketPath) refuse("names no host");
  if (address.user === "") refuse("names no user");
  if (address.database === "") refuse("names no database");
  return address;
}

/** How log lines and errors name a server: `MySQL at HOST:PORT`, without user and password. */
export function mysqlName({ host, port, socketPath }: MysqlAddress): string {
  if (socketPath) return `MySQL at ${socketPath}`;
  return `MySQL at ${host.includes(":") ? `[${host}]` : host}:${port}`;
}
