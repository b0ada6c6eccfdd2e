/**
 * Reads `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; `mariadb://` is the same.
 *
 * @module
 */

import { EXIT, FatalError } from "../base/errors.ts";

/**
 * What is asked of TLS, as MySQL's own programs name it. DISABLED: none. PREFERRED: TLS where the server offers it. From
 * REQUIRED on there is no connection without, from VERIFY_CA on none to a server whose certificate no authority of ours has
 * made, and with VERIFY_IDENTITY none to one whose certificate is for another host.
 */
export type SslMode = "DISABLED" | "PREFERRED" | "REQUIRED" | "VERIFY_CA" | "VERIFY_IDENTITY";

const SSL_MODES: readonly SslMode[] = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"];

/** What is asked of TLS. */
export interface MysqlSsl {
  /** How much. */
  mode: SslMode;
  /** PEM file of the authorities that are trusted; null without. */
  caPath: string | null;
}

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
  /** Whether we speak through TLS. */
  ssl: MysqlSsl;
}

const FORM =
  "mysql://USER:PASSWORD@HOST:PORT/DATABASE (reserved characters as %XX, ?socketPath=/path for a unix socket, " +
  "?ssl-mode=VERIFY_IDENTITY&ssl-ca=/path for TLS)";
const PARAMETERS = ["socketPath", "ssl-mode", "ssl-ca"];

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

/** As with MySQL's own programs, who names an authority and no mode has its word looked at. */
function readSsl(params: URLSearchParams): MysqlSsl {
  const caPath = params.get("ssl-ca");
  const word = params.get("ssl-mode")?.toUpperCase() ?? (caPath === null ? "PREFERRED" : "VERIFY_CA");
  const mode = SSL_MODES.find((known) => known === word);
  if (!mode) refuse(`has an ssl-mode that is none of ${SSL_MODES.join(", ")}`);
  if (caPath === "") refuse("has an ssl-ca that names no file");
  if (mode.startsWith("VERIFY") && caPath === null) refuse(`has no ssl-ca, which ssl-mode=${mode} needs`);
  if ((mode === "DISABLED" || mode === "PREFERRED") && caPath !== null) {
    refuse(`has an ssl-ca that ssl-mode=${mode} would not look at`);
  }
  return { mode, caPath };
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
  const keys = [...searchParams.keys()];
  if (keys.some((key) => !PARAMETERS.includes(key))) {
    refuse(`has something other than ${PARAMETERS.join(", ")} behind a ? (in a password it is written %3F)`);
  }
  if (new Set(keys).size < keys.length) refuse("names something behind its ? twice");
  // Usually the rest of a password with one of these in it.
  if (/[/:@]/.test(pathname.slice(1))) refuse("has a /, : or @ in the name of the database");
  const address = {
    host: decode(hostname.replace(/^\[(.*)\]$/, "$1"), "host"),
    port: port === "" ? 3306 : Number(port),
    socketPath: searchParams.get("socketPath"),
    user: decode(username, "user"),
    password: decode(password, "password"),
    database: decode(pathname.slice(1), "database"),
    ssl: readSsl(searchParams),
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
