/**
 * What every connection begins with, so that no setting of the server, of its init_connect or of a proxy matters.
 *
 * @module
 */

/** A setting that our correctness rests on. */
interface Pinned {
  /** As the server shows it afterwards. Variables that one of the servers does not have are not looked at. */
  readonly shown: string;
  /** As SET takes it; none when it is not set by name. */
  readonly set?: string;
}

/** Strict: a text that is too long is an error and not cut. Nothing else that changes what a statement means. */
const SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/** On both servers. What SET NAMES and SET TRANSACTION set has two names, or several. */
const PINNED: Readonly<Record<string, Pinned>> = {
  character_set_client: { shown: "utf8mb4" },
  character_set_connection: { shown: "utf8mb4" },
  character_set_results: { shown: "utf8mb4" },
  collation_connection: { shown: "utf8mb4_bin" },
  transaction_isolation: { shown: "READ-COMMITTED" },
  tx_isolation: { shown: "READ-COMMITTED" },
  transaction_read_only: { shown: "OFF" },
  tx_read_only: { shown: "OFF" },
  autocommit: { set: "1", shown: "ON" },
  completion_type: { set: "0", shown: "NO_CHAIN" },
  sql_mode: { set: `'${SQL_MODE}'`, shown: SQL_MODE },
  time_zone: { set: "'+00:00'", shown: "+00:00" },
  foreign_key_checks: { set: "1", shown: "ON" },
  unique_checks: { set: "1", shown: "ON" },
  sql_safe_updates: { set: "0", shown: "OFF" },
  sql_big_selects: { set: "1", shown: "ON" },
  sql_select_limit: { set: "18446744073709551615", shown: "18446744073709551615" },
  sql_auto_is_null: { set: "0", shown: "OFF" },
  innodb_lock_wait_timeout: { set: "5", shown: "5" },
  lock_wait_timeout: { set: "5", shown: "5" },
};

/** In comments that the other server skips. */
const PINNED_ON_MARIADB: Readonly<Record<string, Pinned>> = {
  max_statement_time: { set: "0", shown: "0.000000" },
};
const PINNED_ON_MYSQL: Readonly<Record<string, Pinned>> = {
  max_execution_time: { set: "0", shown: "0" },
};

/** What the server then says of the session. */
export interface SessionSettings {
  /** No statement may be as long as this, in bytes. */
  maxPacketBytes: number;
  /** The server is one of a Galera cluster, where others' writes abort ours at any moment. */
  isGalera: boolean;
  /** The session ends when it hears nothing for so long, and nothing but our asking now and then keeps it, ms. */
  idleLimitMs: number | null;
}

/**
 * A transaction that does nothing for a while is ended by the server, or a node that vanished from the network or hangs
 * would keep its locks, and all nodes from storing anything, for hours. MariaDB has a limit for just that; MySQL only one
 * for any session that is silent.
 */
function idleLimits(statementTimeoutMs: number): Record<"mariadb" | "mysql", Record<string, Pinned>> {
  const seconds = String(Math.ceil(statementTimeoutMs / 2000));
  return {
    mariadb: { idle_transaction_timeout: { set: seconds, shown: seconds } },
    mysql: { wait_timeout: { set: seconds, shown: seconds } },
  };
}

function assignments(pinned: Readonly<Record<string, Pinned>>): string {
  return Object.entries(pinned)
    .flatMap(([name, { set }]) => set === undefined ? [] : [`${name} = ${set}`])
    .join(", ");
}

/** The statements that set a session up, in this order. */
export function sessionStatements(statementTimeoutMs: number): string[] {
  const limits = idleLimits(statementTimeoutMs);
  return [
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
    `SET SESSION ${assignments(PINNED)} ` +
    `/*M!100300 , ${assignments({ ...PINNED_ON_MARIADB, ...limits.mariadb })} */` +
    `/*!80000 , ${assignments({ ...PINNED_ON_MYSQL, ...limits.mysql })} */`,
  ];
}

/** Reads everything back: a variable a row, those that this server has. */
export const READ_SESSION = `SHOW SESSION VARIABLES WHERE Variable_name IN (${
  [
    ...Object.keys({ ...PINNED, ...PINNED_ON_MARIADB, ...PINNED_ON_MYSQL }),
    "idle_transaction_timeout",
    "wait_timeout",
    "max_allowed_packet",
    "wsrep_on",
  ].map((name) => `'${name}'`).join(",")
})`;

/** What {@link READ_SESSION} has found; a text says what is not as it must be. */
export function checkSession(
  shown: ReadonlyMap<string, string>,
  statementTimeoutMs: number,
): SessionSettings | string {
  const limits = idleLimits(statementTimeoutMs);
  const isMariaDb = shown.has("idle_transaction_timeout");
  const expected = {
    ...PINNED,
    ...(isMariaDb ? { ...PINNED_ON_MARIADB, ...limits.mariadb } : { ...PINNED_ON_MYSQL, ...limits.mysql }),
  };
  const wrong = Object.entries(expected).flatMap(([name, { shown: wanted }]) => {
    const found = shown.get(name);
    return found === undefined || sameSetting(found, wanted) ? [] : [`${name} is ${found}, not ${wanted}`];
  });
  if (!shown.has("character_set_client")) wrong.push("it does not say what it has set");
  if (wrong.length > 0) return `The session's settings do not hold: ${wrong.join("; ")}`;
  return {
    maxPacketBytes: Number(shown.get("max_allowed_packet")),
    isGalera: shown.get("wsrep_on") === "ON",
    idleLimitMs: isMariaDb ? null : Number(shown.get("wait_timeout")) * 1_000,
  };
}

/** The server puts the words of a list into an order of its own. */
function sameSetting(found: string, wanted: string): boolean {
  const words = (list: string) => list.split(",").sort().join();
  return words(found) === words(wanted);
}
