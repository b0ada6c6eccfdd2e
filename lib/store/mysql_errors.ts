/**
 * What MySQL's and MariaDB's error numbers mean to a caller, told without the values of parameters.
 *
 * @module
 */

import { DatabaseError, type DatabaseErrorKind } from "../errors.ts";

/** Numbers by what a caller can do. A number that is not here is `other`. Names are those of MySQL's manual. */
const NUMBERS: Record<Exclude<DatabaseErrorKind, "other">, readonly number[]> = {
  duplicate: [
    1062, // ER_DUP_ENTRY
    1169, // ER_DUP_UNIQUE
    1586, // ER_DUP_ENTRY_WITH_KEY_NAME
  ],
  conflict: [
    1020, // ER_CHECKREAD: MariaDB, the row was changed since the snapshot
    1205, // ER_LOCK_WAIT_TIMEOUT
    1213, // ER_LOCK_DEADLOCK, and a write conflict between Galera nodes
    3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication
  ],
  unavailable: [
    1037, // ER_OUTOFMEMORY
    1040, // ER_CON_COUNT_ERROR: too many connections
    1041, // ER_OUT_OF_RESOURCES: memory
    1042, // ER_BAD_HOST_ERROR: cannot resolve the client's name
    1043, // ER_HANDSHAKE_ERROR
    1047, // ER_UNKNOWN_COM_ERROR: what a Galera node says while it is not part of the cluster
    1053, // ER_SERVER_SHUTDOWN
    1077, // ER_NORMAL_SHUTDOWN
    1129, // ER_HOST_IS_BLOCKED: after too many failed connections
    1135, // ER_CANT_CREATE_THREAD
    1152, // ER_ABORTING_CONNECTION
    1158, // ER_NET_READ_ERROR
    1159, // ER_NET_READ_INTERRUPTED
    1160, // ER_NET_ERROR_ON_WRITE
    1161, // ER_NET_WRITE_INTERRUPTED
    1184, // ER_NEW_ABORTING_CONNECTION
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1226, // ER_USER_LIMIT_REACHED
    1290, // ER_OPTION_PREVENTS_STATEMENT: --read-only, as on a replica after a failover
    1317, // ER_QUERY_INTERRUPTED: KILL QUERY
    1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836, // ER_READ_ONLY_MODE
    1927, // ER_CONNECTION_KILLED: MariaDB
    1969, // ER_STATEMENT_TIMEOUT: MariaDB
    3024, // ER_QUERY_TIMEOUT
    3169, // ER_SESSION_WAS_KILLED
    4031, // ER_CLIENT_INTERACTION_TIMEOUT
  ],
  full: [
    1021, // ER_DISK_FULL
    1114, // ER_RECORD_FILE_FULL: table or temporary table
  ],
};

const KINDS = new Map<number, DatabaseErrorKind>();
for (const kind of ["duplicate", "conflict", "unavailable", "full"] as const) {
  for (const number of NUMBERS[kind]) KINDS.set(number, kind);
}

/** The statement was turned away before it did anything: also a COMMIT that gets one of these has not happened. */
const REFUSALS = new Set([1047, 1290, 1792, 1836]);

/** After these the server hangs up, though the statement is to blame. */
const FATAL = new Set([
  1153, // ER_NET_PACKET_TOO_LARGE
  1156, // ER_NET_PACKETS_OUT_OF_ORDER
  1835, // ER_MALFORMED_PACKET
]);

/** File errors, which say what happened only by the system's own number in their text: 28 is ENOSPC, 122 EDQUOT. */
const FILE_ERRORS = new Set([3, 1026, 1030, 1180]);

/** Texts that quote names and never values, so that they may be shown whole. */
const QUOTES_ONLY_NAMES = new Set([
  1044, // access to the database denied
  1045, // access denied
  1046, // no database selected
  1048, // column cannot be null
  1049, // unknown database
  1051, // unknown table
  1054, // unknown column
  1072, // key column does not exist
  1130, // host is not allowed to connect
  1136, // column count
  1142, // command denied
  1146, // no such table
  1153, // packet bigger than max_allowed_packet
  1264, // out of range value for column
  1290, // running with --read-only
  1305, // no such function
  1364, // column has no default
  1406, // data too long for column
  1698, // access denied
]);

/** What the driver's errors hold beside their message; all of it may be missing. */
interface DriverError {
  /** The server's number; a negative one of the system's for a network error. */
  number: number | null;
  /** Name of the number, or of the driver's or the system's own error. */
  code: string | null;
  /** The server's text, or the error's own. */
  text: string;
}

function readDriverError(error: unknown): DriverError {
  if (!(error instanceof Error)) return { number: null, code: null, text: String(error) };
  const number = "errno" in error && typeof error.errno === "number" ? error.errno : null;
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  return { number: number !== null && number > 0 ? number : null, code, text: error.message };
}

function kindOf({ number, code, text }: DriverError): DatabaseErrorKind {
  if (number === null) {
    // Not the server's word: the network, or the driver giving up, which mends itself unless it is about the password.
    const isLogin = code === "AUTH_SWITCH_PLUGIN_ERROR" || code === "MYSQL_CLEAR_PASSWORD_NOT_ENABLED";
    return isLogin ? "other" : "unavailable";
  }
  if (FILE_ERRORS.has(number) && /\b(28|122)\b/.test(text)) return "full";
  return KINDS.get(number) ?? "other";
}

/** The server's text without what it quotes, because that may be a value; a duplicate still names its key. */
function redact(number: number, text: string): string {
  if (QUOTES_ONLY_NAMES.has(number)) return text;
  const first = text.indexOf("'");
  const last = text.lastIndexOf("'");
  if (first < 0) return text;
  const key = KINDS.get(number) === "duplicate" ? text.match(/ for key '[^']*'$/)?.[0] : undefined;
  return `${text.slice(0, first)}'…'${key ?? text.slice(last + 1)}`;
}

/** The beginning of a statement, on one line, with `?` for its parameters. */
export function abbreviate(sql: string): string {
  const line = sql.trim().replace(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
}

/** True when the connection that got this from the driver must not be used again. */
export function breaksConnection(error: unknown): boolean {
  const driverError = readDriverError(error);
  // Also where it was the server's word: what it says of this kind is about the connection or the server as a whole.
  return kindOf(driverError) === "unavailable" ||
    (driverError.number !== null && FATAL.has(driverError.number));
}

/** Where an error came from. */
export interface ErrorContext {
  /** The statement with `?` for its parameters; none while connecting. */
  sql?: string;
  /** True when the statement may have taken effect though no answer came: a COMMIT, or a change outside a transaction. */
  commits?: boolean;
}

/**
 * Makes a DatabaseError of what the driver threw. The driver's error is not kept as its cause: it holds the statement
 * with all values.
 */
export function toDatabaseError(error: unknown, { sql, commits = false }: ErrorContext = {}): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const driverError = readDriverError(error);
  const { number, code, text } = driverError;
  const kind = kindOf(driverError);
  const reason = number === null ? text : `${redact(number, text)} (${code ?? "error"} ${number})`;
  const message = sql === undefined ? reason : `${reason} at: ${abbreviate(sql)}`;
  const isRefusal = number !== null && REFUSALS.has(number);
  return new DatabaseError(kind, message, {
    outcomeUnknown: commits && kind === "unavailable" && !isRefusal,
  });
}
