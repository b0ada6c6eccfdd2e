/**
 * The servers that can be what the tests call MySQL: MariaDB, or MySQL itself.
 *
 * @module
 */

import { DEADLINE_MS, isFile, isOnPath, runOrThrow, sharedFolder, waitFor } from "./process.ts";

/** How an engine's programs are called. */
export interface Engine {
  /** The server. */
  server: string;
  /** Its command line client. */
  client: string;
  /** The Debian package behind each command of it. */
  packages: Readonly<Record<string, string>>;
  /** Small files, so that a data folder is made and copied quickly; what makes a commit durable stays as it is. */
  sizes: readonly string[];
  /** Memory and log enough not to measure its disk, in place of them. */
  largeSizes: readonly string[];
  /** What it is started with besides, so that it is up quickly. */
  leanness: readonly string[];
  /** How long its start, or the making of a data folder, may take on a busy machine, in milliseconds. */
  deadlineMs: number;
  /** Makes a data folder in `folder` with a root without a password. */
  makeData: (folder: string) => Promise<unknown>;
}

/** They refuse to run as root unless they are told to. */
export const ENGINE_USER: readonly string[] = Deno.uid() === 0 ? ["--user=root"] : [];

const MARIADB_SIZES = [
  "--innodb-log-file-size=8M",
  "--innodb-buffer-pool-size=32M",
  "--innodb-data-file-path=ibdata1:10M:autoextend",
];

const MYSQL_SIZES = [
  "--innodb-redo-log-capacity=8M",
  "--innodb-buffer-pool-size=32M",
  "--innodb-data-file-path=ibdata1:10M:autoextend",
];

const MARIADB: Engine = {
  server: "mariadbd",
  client: "mariadb",
  packages: {
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "mariadb": "mariadb-client",
  },
  sizes: MARIADB_SIZES,
  largeSizes: ["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M"],
  leanness: [],
  deadlineMs: DEADLINE_MS,
  makeData: (folder) =>
    runOrThrow("mariadb-install-db", [
      "--no-defaults",
      ...MARIADB_SIZES,
      ...ENGINE_USER,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
      `--datadir=${folder}/data`,
      `--tmpdir=${folder}`,
    ]),
};

const MYSQL: Engine = {
  server: Deno.env.get("MYSQLD") ?? "mysqld",
  client: Deno.env.get("MYSQL_CLIENT") ?? "mysql",
  // Whose packages would take the place of MariaDB's, and of each other: it is used where it is, and not installed.
  packages: {},
  sizes: MYSQL_SIZES,
  largeSizes: ["--innodb-buffer-pool-size=1G", "--innodb-redo-log-capacity=256M"],
  // Off in MariaDB as it comes, and half of the time and memory that it takes to start.
  leanness: ["--skip-log-bin", "--performance-schema=OFF"],
  deadlineMs: 120_000,
  async makeData(folder) {
    // Its own root may come by the name localhost only, and names are not looked up.
    const init = "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n";
    await Deno.writeTextFile(`${folder}/init.sql`, init);
    await runOrThrow(this.server, [
      "--no-defaults",
      ...MYSQL_SIZES,
      ...ENGINE_USER,
      "--initialize-insecure",
      `--init-file=${folder}/init.sql`,
      `--datadir=${folder}/data`,
      `--tmpdir=${folder}`,
    ], { deadlineMs: this.deadlineMs });
  },
};

/** Where nobody says which, and only one of them is here, it is that one. */
function chooseEngine(): "MariaDB" | "MySQL" {
  const chosen = Deno.env.get("CHAT_TEST_ENGINE");
  if (chosen === "MySQL" || chosen === "MariaDB") return chosen;
  return isOnPath("mariadbd") || !(Deno.env.has("MYSQLD") || isOnPath("mysqld")) ? "MariaDB" : "MySQL";
}

/**
 * What tests that need MySQL run on: MariaDB, or where there is none, and with `CHAT_TEST_ENGINE=MySQL`, the server that
 * $MYSQLD starts, or mysqld.
 */
export const ENGINE: "MariaDB" | "MySQL" = chooseEngine();

/** Its programs. */
export const engine: Engine = ENGINE === "MySQL" ? MYSQL : MARIADB;

let template: Promise<string> | null = null;

/** A fresh data folder takes up to ten seconds to make. */
const TEMPLATE_MS = 60_000;

/** A fresh data folder, to be copied; it is made once a test process, by the file that needs it first. */
export function dataTemplate(): Promise<string> {
  return template ??= makeTemplate();
}

async function makeTemplate(): Promise<string> {
  const folder = sharedFolder(ENGINE);
  const mark = `${folder}/complete`;
  if (isFile(mark)) return `${folder}/data`;
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Files run side by side: another one is about it.
    await waitFor(`${mark}, made by another test file`, () => isFile(mark), TEMPLATE_MS);
    return `${folder}/data`;
  }
  await engine.makeData(folder);
  await Deno.writeTextFile(mark, "");
  return `${folder}/data`;
}
