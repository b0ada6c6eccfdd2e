/**
 * What a node may no longer do once it has started: whoever finds a way to run code in it finds no files.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { ServeOptions } from "./config/options.ts";
import { parseMysqlUrl } from "./store/mysql_url.ts";

/** Loaded from its file whenever a thread that hashes passwords is made. */
const WORKER = fileURLToPath(new URL("./chat/scrypt_worker.ts", import.meta.url));

/** What the permissions depend on. */
export type PermissionOptions = Pick<ServeOptions, "mysqlUrl" | "configPath" | "tlsCertPath" | "tlsKeyPath">;

/**
 * Gives up writing files, reading any but the program's own and those that are read again at SIGHUP, and the environment,
 * for the rest of the process. What is open stays open: SQLite asks nobody about its files after it has opened the first.
 */
export function giveUpPermissions(options: PermissionOptions): void {
  const { mysqlUrl, configPath, tlsCertPath, tlsKeyPath } = options;
  // To dial a unix socket again is to read and write a file.
  if (mysqlUrl === null || parseMysqlUrl(mysqlUrl).socketPath === null) {
    // In this order: to look for the program's own files is to read.
    if (isOwnFolderNamed()) {
      // A request for what is granted already makes a grant of its own, which outlives the one for everything.
      for (const path of [configPath, tlsCertPath, tlsKeyPath]) {
        if (path !== null) Deno.permissions.requestSync({ name: "read", path });
      }
      Deno.permissions.revokeSync({ name: "read", path: "/" });
    }
    Deno.permissions.revokeSync({ name: "write" });
  }
  Deno.permissions.revokeSync({ name: "env" });
  Deno.permissions.revokeSync({ name: "sys", kind: "hostname" });
}

/**
 * Whether the program's own files can be read without the rest, as the task `start` has it, which names them beside `/`. An
 * executable has them inside. Who started it in another way than those keeps what they gave.
 */
function isOwnFolderNamed(): boolean {
  if (Deno.build.standalone) return true;
  const isEverythingNamed = Deno.permissions.querySync({ name: "read" }).state === "granted";
  return !isEverythingNamed && WORKER === `${Deno.cwd()}/lib/chat/scrypt_worker.ts`;
}
