/**
 * Breaks a running server in every way we know and counts what was lost. The table comes at the end.
 *
 * @module
 */

import "./node_faults.ts";
import "./redis_faults.ts";
import "./mysql_faults.ts";
import "./galera_faults.ts";
import "./failover_faults.ts";
import "./sqlite_faults.ts";
import "./receiver_faults.ts";
import "./upgrade_faults.ts";
import { table } from "./site.ts";

globalThis.addEventListener("unload", () => console.log(`\n${table.render()}\n`));
