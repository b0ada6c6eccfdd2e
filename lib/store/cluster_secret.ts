/**
 * Gives the cluster its secret, which seals what the nodes say to each other over Redis: see lib/cluster/seal.ts.
 *
 * In code, since the databases have no source of secrets in common and MySQL cannot add a column only where it is missing.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { MigrationStep } from "./migration_step.ts";
import { columnsOf } from "./mysql_schema.ts";

const SECRET_BYTES = 32;

const ADD_COLUMN = {
  mysql:
    "ALTER TABLE Cluster ADD COLUMN secret VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''",
  sqlite: "ALTER TABLE Cluster ADD COLUMN secret TEXT NOT NULL DEFAULT ''",
};

/** For an engine of this name. */
export function clusterSecret(dialect: "mysql" | "sqlite"): readonly MigrationStep[] {
  return [{
    text: ADD_COLUMN[dialect],
    async run(conn) {
      if (dialect === "mysql" && (await columnsOf(conn, "Cluster")).has("secret")) return;
      await conn.run(ADD_COLUMN[dialect]);
    },
  }, {
    text: "UPDATE Cluster SET secret = (random)",
    async run(conn) {
      await conn.run("UPDATE Cluster SET secret = ? WHERE secret = ''", [
        randomBytes(SECRET_BYTES).toString("hex"),
      ]);
    },
  }];
}
