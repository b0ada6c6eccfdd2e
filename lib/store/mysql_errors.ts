/**
 * What MySQL's and MariaDB's error numbers mean to a caller, told without the values of parameters.
 *
 * @module
 */

import { DatabaseError, type DatabaseErrorKind } from "../base/errors.ts";

/** Numbers by what a caller can do. A number that is not here is `other`. Names are those of MySQL's manual. */
const NUMBERS: Record<Exclude<DatabaseErrorKind, "other">, readonly number[]> = {
  duplicate: [
    1062, // ER_DUP_ENTRY
    1169, // ER_DUP_UNIQUE
    1586, // ER_DUP_ENTRY_WITH_KEY_NAME
  ],
  conflict: [
    1020, // ER_CHECKREAD: MariaDB, the row was changed since the snapshot
    1205, // ER_LOCK_WAIT_TIMEOUT: also the lock of a backup
    1213, // ER_LOCK_DEADLOCK, and a write conflict between Galera nodes
    1412, // ER_TABLE_DEF_CHANGED: the table was altered since the snapshot
    1615, // ER_NEED_REPREPARE
    3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication
    3572, // ER_LOCK_NOWAIT: MySQL
  ],
  unavailable: [
    1015, // ER_CANT_LOCK
    1036, // ER_OPEN_AS_READONLY: --innodb-read-only
    1037, // ER_OUTOFMEMORY
    1038, // ER_OUT_OF_SORTMEMORY
    1040, // ER_CON_COUNT_ERROR: too many connections
    1041, // ER_OUT_OF_RESOURCES: memory
    1042, // ER_BAD_HOST_ERROR: cannot resolve the client's name
    1043, // ER_HANDSHAKE_ERROR
    1047, // ER_UNKNOWN_COM_ERROR: what a Galera node says while it is not part of the cluster
    1053, // ER_SERVER_SHUTDOWN
    1077, // ER_NORMAL_SHUTDOWN
    1105, // ER_UNKNOWN_ERROR: of proxies, as a rule
    1129, // ER_HOST_IS_BLOCKED: after too many failed connections
    1135, // ER_CANT_CREATE_THREAD
    1152, // ER_ABORTING_CONNECTION
    1158, // ER_NET_READ_ERROR
    1159, // ER_NET_READ_INTERRUPTED
    1160, // ER_NET_ERROR_ON_WRITE
    1161, // ER_NET_WRITE_INTERRUPTED
    1180, // ER_ERROR_DURING_COMMIT
    1184, // ER_NEW_ABORTING_CONNECTION
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1206, // ER_LOCK_TABLE_FULL
    1226, // ER_USER_LIMIT_REACHED
    1290, // ER_OPTION_PREVENTS_STATEMENT: --read-only, as on a replica after a failover
    1297, // ER_GET_TEMPORARY_ERRMSG
    1317, // ER_QUERY_INTERRUPTED: KILL QUERY
    1637, // ER_TOO_MANY_CONCURRENT_TRXS
    1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836, // ER_READ_ONLY_MODE
    1874, // ER_INNODB_READ_ONLY
    1927, // ER_CONNECTION_KILLED: MariaDB
    1969, // ER_STATEMENT_TIMEOUT: MariaDB
    3024, // ER_QUERY_TIMEOUT
    3032, // ER_SERVER_OFFLINE_MODE
    3100, // ER_RUN_HOOK_ERROR: group replication
    3169, // ER_SESSION_WAS_KILLED
    4031, // ER_CLIENT_INTERACTION_TIMEOUT
  ],
  unfit: [
    1016, // ER_CANT_OPEN_FILE
    1017, // ER_FILE_NOT_FOUND
    1018, // ER_CANT_READ_DIR
    1030, // ER_GET_ERRNO: the storage engine's
    1034, // ER_NOT_KEYFILE: a damaged index
    1035, // ER_OLD_KEYFILE
    1044, // ER_DBACCESS_DENIED_ERROR
    1045, // ER_ACCESS_DENIED_ERROR
    1046, // ER_NO_DB_ERROR
    1049, // ER_BAD_DB_ERROR: no such database
    1054, // ER_BAD_FIELD_ERROR: no such column
    1109, // ER_UNKNOWN_TABLE
    1136, // ER_WRONG_VALUE_COUNT_ON_ROW: a column more or less
    1142, // ER_TABLEACCESS_DENIED_ERROR
    1143, // ER_COLUMNACCESS_DENIED_ERROR
    1146, // ER_NO_SUCH_TABLE
    1194, // ER_CRASHED_ON_USAGE
    1195, // ER_CRASHED_ON_REPAIR
    1227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
    1356, // ER_VIEW_INVALID
    1364, // ER_NO_DEFAULT_FOR_FIELD: a column was added
    1370, // ER_PROCACCESS_DENIED_ERROR
    1449, // ER_NO_SUCH_USER: a view's or trigger's definer
    1712, // ER_INDEX_CORRUPT
    1812, // ER_TABLESPACE_MISSING
    1813, // ER_TABLESPACE_EXISTS
    1814, // ER_TABLESPACE_DISCARDED
    1932, // ER_NO_SUCH_TABLE_IN_ENGINE: MariaDB
    3118, // ER_ACCOUNT_HAS_BEEN_LOCKED
    3159, // ER_SECURE_TRANSPORT_REQUIRED
    4151, // ER_ACCOUNT_HAS_BEEN_LOCKED: MariaDB
  ],
  full: [
    1021, // ER_DISK_FULL
    1114, // ER_RECORD_FILE_FULL: table or temporary table
  ],
  too_large: [
    1118, // ER_TOO_BIG_ROWSIZE
    1153, // ER_NET_PACKET_TOO_LARGE
    1162, // ER_TOO_LONG_STRING
    1301, // ER_WARN_ALLOWED_PACKET_OVERFLOWED
    1406, // ER_DATA_TOO_LONG
  ],
  refused: [
    1216, // ER_NO_REFERENCED_ROW: a foreign key of the deployment's own
    1264, // ER_WARN_DATA_OUT_OF_RANGE
    1265, // WARN_DATA_TRUNCATED
    1267, // ER_CANT_AGGREGATE_2COLLATIONS
    1292, // ER_TRUNCATED_WRONG_VALUE
    1300, // ER_INVALID_CHARACTER_STRING
    1366, // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: a character that the column's character set lacks
    1452, // ER_NO_REFERENCED_ROW_2
    1644, // ER_SIGNAL_EXCEPTION: a trigger of the deployment's own
    3140, // ER_INVALID_JSON_TEXT
    3819, // ER_CHECK_CONSTRAINT_VIOLATED
    3854, // ER_CANNOT_CONVERT_STRING
    3988, // ER_IMPOSSIBLE_STRING_CONVERSION
    4025, // ER_CONSTRAINT_FAILED: MariaDB
  ],
  stale: [
    1690, // ER_DATA_OUT_OF_RANGE: see claims.ts
  ],
};

const KINDS = new Map<number, DatabaseErrorKind>();
for (const [kind, numbers] of Object.entries(NUMBERS) as [DatabaseErrorKind, readonly number[]][]) {
  for (const number of numbers) KINDS.set(number, kind);
}

/** The statement was turned away before it did anything: also a COMMIT that gets one of these has not happened. */
const REFUSALS = new Set([1036, 1047, 1290, 1792, 1836, 1874, 3032, 3100]);

/** After these the server hangs up, though the statement is to blame. */
const FATAL = new Set([
  1153, // ER_NET_PACKET_TOO_LARGE
  1156, // ER_NET_PACKETS_OUT_OF_ORDER
  1835, // ER_MALFORMED_PACKET
]);

/** Missing rights: the server knows those that a connection began with, and given anew they count for the next one. */
const RIGHTS = new Set([1044, 1045, 1142, 1143, 1227, 1370]);

/** Classes of SQLSTATE, for numbers that are not above. */
const KINDS_BY_CLASS: ReadonlyMap<string, DatabaseErrorKind> = new Map([
  ["08", "unavailable"], // connection
  ["22", "refused"], // the data
  ["23", "refused"], // a constraint
  ["40", "conflict"], // the transaction was rolled back
  ["45", "refused"], // a trigger's word
]);

/** File errors, which say what happened only by the system's own number in their text: 28 is ENOSPC, 122 EDQUOT. */
const FILE_ERRORS = new Set([3, 1026, 1030, 1180]);

/** Texts that quote names and never values, so that they may be shown whole. */
const QUOTES_ONLY_NAMES = new Set([
  1044, // access to the database denied
  1036, // table is read only
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
  1143, // command denied for a column
  1146, // no such table
  1153, // packet bigger than max_allowed_packet
  1264, // out of range value for column
  1290, // running with --read-only
  1305, // no such function
  1364, // column has no default
  1356, // view references what is not there
  1406, // data too long for column
  1698, // access denied
]);

/** The driver's codes for a server that offers no TLS, … */
const NO_TLS = "HANDSHAKE_NO_SSL_SUPPORT";
/** … and for a TLS handshake that fails, whatever of. */
const TLS_FAILED = "HANDSHAKE_SSL_ERROR";

/** What the driver's errors hold beside their message; all of it may be missing. */
interface DriverError {
  /** The server's number; a negative one of the system's for a network error. */
  number: number | null;
  /** SQLSTATE, of the server's errors only. */
  state: string;
  /** Name of the number, or of the driver's or the system's own error. */
  code: string | null;
  /** The server's text, or the error's own. */
  text: string;
}

function readDriverError(error: unknown): DriverError {
  if (!(error instanceof Error)) return { number: null, state: "", code: null, text: String(error) };
  const number = "errno" in error && typeof error.errno === "number" ? error.errno : null;
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  const state = "sqlState" in error && typeof error.sqlState === "string" ? error.sqlState : "";
  const isServers = number !== null && number > 0;
  const driverError = { number: isServers ? number : null, state, code, text: error.message };
  if (code === NO_TLS) return { ...driverError, text: "it offers no TLS, which ssl-mode in the URL demands" };
  if (code !== TLS_FAILED) return driverError;
  // Everything that ends a handshake has this code: the network, of which nobody is to blame, too.
  const isNetwork = number !== null || error.message.includes("disconnected before secure TLS");
  return isNetwork ? { ...driverError, code: null } : { ...driverError, text: explainTls(error.message) };
}

/** Says which demand of the URL is not met, with what TLS said. */
function explainTls(text: string): string {
  if (text.startsWith("Hostname/IP does not match")) {
    return `its certificate is for another host, which ssl-mode=VERIFY_IDENTITY does not accept: ${text}`;
  }
  if (/self.signed|unable to (get|verify)/i.test(text)) {
    return `its certificate is not from an authority in ssl-ca: ${text}`;
  }
  return `TLS with it fails: ${text}`;
}

function kindOf({ number, state, code, text }: DriverError): DatabaseErrorKind {
  if (number === null) {
    if (code === NO_TLS || code === TLS_FAILED) return "unfit";
    // Not the server's word: the network, or the driver giving up, which mends itself unless it is about the password.
    const isLogin = code === "AUTH_SWITCH_PLUGIN_ERROR" || code === "MYSQL_CLEAR_PASSWORD_NOT_ENABLED";
    return isLogin ? "other" : "unavailable";
  }
  if (FILE_ERRORS.has(number) && /\b(28|122)\b/.test(text)) return "full";
  return KINDS.get(number) ?? KINDS_BY_CLASS.get(state.slice(0, 2)) ?? "other";
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
  const { number } = driverError;
  return number === null || kindOf(driverError) === "unavailable" || FATAL.has(number) || RIGHTS.has(number);
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
