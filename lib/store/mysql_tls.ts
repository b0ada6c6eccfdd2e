/**
 * TLS to MySQL and MariaDB: whether a connection has it, and what is asked of the server's certificate.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { errorText, EXIT, FatalError } from "../base/errors.ts";
import type { MysqlAddress } from "./mysql_url.ts";

/** Behind a packet's length and number, a greeting begins with its version of the protocol. */
const PROTOCOL_AT = 4;
/** In the capabilities of a server's greeting: it can change to TLS. */
const CAN_TLS = 0x0800;
/** What stands between the version in a greeting and its capabilities: thread id, the first part of the salt, a filler. */
const GREETING_GAP_BYTES = 4 + 8 + 1;
/** A greeting whose capabilities come later than this is none. */
const GREETING_BYTES = 1_024;

/** What the driver is to do about TLS, the same object for all connections of a database: it keeps sessions by it. */
export interface DriverTls {
  /** True when the certificate has to be from an authority. */
  rejectUnauthorized: boolean;
  /** The authorities, PEM. */
  ca?: string;
  /** True when it has to be for the host, too. */
  verifyIdentity?: boolean;
}

/** What a database's address wants of TLS. */
export interface MysqlTls {
  /** For the driver. */
  options: DriverTls;
  /** True when a server that offers none is talked to all the same. */
  isOptional: boolean;
}

/**
 * What an address wants of TLS; null when it wants none. Reads the authorities' file, and throws a FatalError (exit code
 * 78) when that cannot be used.
 */
export function prepareTls({ ssl: { mode, caPath }, socketPath }: MysqlAddress): MysqlTls | null {
  // Nobody listens on a unix socket; who asks for TLS by name gets it there too.
  if (mode === "DISABLED" || (mode === "PREFERRED" && socketPath)) return null;
  const options = caPath === null
    ? { rejectUnauthorized: false }
    : { rejectUnauthorized: true, ca: readAuthorities(caPath), verifyIdentity: mode === "VERIFY_IDENTITY" };
  return { options, isOptional: mode === "PREFERRED" };
}

/** A file that holds no certificate would only be noticed by every server's being refused. */
function readAuthorities(path: string): string {
  const name = `the MySQL URL's ssl-ca ${JSON.stringify(path)}`;
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new FatalError(EXIT.config, `Cannot read ${name}: ${errorText(error)}`, { cause: error });
  }
  const certificates = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  if (certificates.length === 0) throw new FatalError(EXIT.config, `There is no PEM certificate in ${name}`);
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (error) {
    throw new FatalError(EXIT.config, `A certificate in ${name} is damaged: ${errorText(error)}`, {
      cause: error,
    });
  }
  return text;
}

/**
 * Resolves with whether the server's greeting offers TLS, which is left for the driver to read, on a socket that is paused.
 * Rejects when the socket ends before.
 */
export function offersTls(socket: Socket): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const look = (bytes: Buffer) => {
      seen = Buffer.concat([seen, bytes]);
      const answer = readGreeting(seen);
      if (answer === undefined) return;
      stop();
      socket.pause();
      socket.unshift(seen);
      resolve(answer);
    };
    const fail = (error?: Error) => {
      stop();
      reject(error ?? new Error("Connection lost: The server closed the connection."));
    };
    const end = () => fail();
    const stop = () => socket.off("data", look).off("error", fail).off("end", end).off("close", end);
    socket.on("data", look).on("error", fail).on("end", end).on("close", end);
  });
}

/** Undefined while more has to come. What is no greeting, as an error is not, offers nothing. */
function readGreeting(bytes: Buffer): boolean | undefined {
  if (bytes.length <= PROTOCOL_AT) return undefined;
  if (bytes[PROTOCOL_AT] !== 10) return false;
  const versionEnd = bytes.indexOf(0, PROTOCOL_AT + 1);
  const capabilitiesAt = versionEnd + 1 + GREETING_GAP_BYTES;
  if (versionEnd >= 0 && bytes.length >= capabilitiesAt + 2) {
    return (bytes.readUInt16LE(capabilitiesAt) & CAN_TLS) !== 0;
  }
  return bytes.length > GREETING_BYTES ? false : undefined;
}
