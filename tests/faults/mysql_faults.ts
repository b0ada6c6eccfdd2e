/**
 * What happens to MySQL: away, killed, frozen, its connections cut or used up, its locks crossed.
 *
 * @module
 */

import { assert } from "@std/assert";
import { waitFor } from "../support/process.ts";
import type { MariaDb } from "../support/services.ts";
import { ClusterSite, LONGER_THAN_STATEMENT_MS, MYSQL_USER } from "./cluster_site.ts";
import { someMoment } from "./site.ts";

/** So many a round. */
const DEADLOCKS = 4;

Deno.test("faults of MySQL", async (context) => {
  await using site = await ClusterSite.open();
  const { cluster, crowd } = site;
  const { mariaDb } = cluster;

  await site.suffer(context, {
    name: "MySQL stopped until everybody was told to repeat",
    rounds: 1,
    async strike() {
      await someMoment(500);
      const before = crowd.refusals();
      await mariaDb.stop();
      // Nobody on these nodes has ever written to them: version 1 users are not told that the message has to wait.
      const [first, second, ...leaving] = crowd.strangers;
      for (const stranger of [first, second]) {
        if (stranger) { for (const user of crowd.v1) user.say({ user: stranger.id }); }
      }
      const gone = leaving.map((user, index) => index === 0 ? user.leave() : user.vanish());
      await crowd.toldToRepeat(before);
      await mariaDb.start();
      await Promise.all(gone);
    },
  });

  await site.suffer(context, {
    name: "MySQL killed (-9) and started",
    rounds: 3,
    async strike() {
      await someMoment(700);
      await mariaDb.kill();
      await someMoment(1_000);
      await mariaDb.start();
    },
  });

  await site.suffer(context, {
    name: "MySQL frozen",
    rounds: 2,
    async strike(round) {
      await someMoment(500);
      mariaDb.signal("SIGSTOP");
      await (round % 2 === 0
        ? someMoment(3_000)
        : someMoment(LONGER_THAN_STATEMENT_MS + 1_000, LONGER_THAN_STATEMENT_MS));
      mariaDb.signal("SIGCONT");
    },
  });

  await site.suffer(context, {
    name: "all connections to MySQL cut, ten times",
    rounds: 2,
    async strike() {
      for (let cut = 0; cut < 10; cut++) {
        await someMoment(150);
        await cutConnections(mariaDb);
      }
    },
  });

  await site.suffer(context, {
    name: "deadlocks with somebody else's transaction",
    rounds: 2,
    async strike() {
      const count = () => countDeadlocks(mariaDb);
      const enough = await count() + DEADLOCKS;
      for (let attempt = 0; await count() < enough; attempt++) {
        assert(attempt < 50, "deadlocks do not come about");
        await provokeDeadlock(mariaDb, `g${crowd.group}`);
      }
      return `${await count()} deadlocks`;
    },
  });

  await site.suffer(context, {
    name: "MySQL's connection limit reached",
    rounds: 2,
    async strike() {
      const refusedBefore = await readStatus(mariaDb, "Connection_errors_max_connections");
      // Ten is the least there is, and root has one more.
      await cutConnections(mariaDb, "SET GLOBAL max_connections = 10;");
      // More than there is room for, who say nothing: at least one is refused, be it of these or of the nodes.
      const others = await Promise.all(
        Array.from({ length: 12 }, () => Deno.connect({ hostname: "127.0.0.1", port: mariaDb.port })),
      );
      await someMoment(3_500, 2_500);
      for (const other of others) other.close();
      // Those that have just been closed may still count for a moment.
      await waitFor(
        "root to be let in",
        () => mariaDb.sql("SET GLOBAL max_connections = 151").then(() => true, () => false),
      );
      const refused = await readStatus(mariaDb, "Connection_errors_max_connections");
      assert(refused > refusedBefore, "nobody was refused");
      return `${refused} connections refused`;
    },
  });
  await site.checkVitals();
});

async function readStatus(mariaDb: MariaDb, name: string): Promise<number> {
  const status = await mariaDb.sql(`SHOW GLOBAL STATUS LIKE '${name}'`);
  return Number(status.split("\t")[1]);
}

async function countDeadlocks(mariaDb: MariaDb): Promise<number> {
  return Number(
    await mariaDb.sql("SELECT count FROM information_schema.INNODB_METRICS WHERE name = 'lock_deadlocks'"),
  );
}

/**
 * Cuts all connections of the nodes, each by a statement of its own, as MySQL knows no other way; `first` is run before, on
 * the same connection.
 */
async function cutConnections(mariaDb: MariaDb, first = ""): Promise<void> {
  const kills = await mariaDb.sql(
    `SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE user = '${MYSQL_USER}'`,
  );
  // One that is gone by itself meanwhile is an error, and the others are still to be cut.
  await mariaDb.sql(`${first}${kills}`, "chat", ["--force"]);
}

/**
 * Takes locks in the order opposite to the nodes': they take the group's first. Somebody else holds them up before, so that
 * the next batch of each node is a large one, with messages of the group and of others in it. A transaction with many
 * changes is not the one that is rolled back.
 */
async function provokeDeadlock(mariaDb: MariaDb, group: string): Promise<void> {
  const holdUp = mariaDb.sql(`
    START TRANSACTION;
    SELECT id FROM Conversation WHERE id LIKE 'u%' FOR UPDATE;
    DO SLEEP(0.3);
    ROLLBACK;`);
  const cross = mariaDb.sql(`
    CREATE TABLE IF NOT EXISTS Heavy (n INT);
    DO SLEEP(0.1);
    START TRANSACTION;
    INSERT INTO Heavy
      WITH RECURSIVE Few (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM Few WHERE n < 45) SELECT a.n FROM Few a, Few b;
    SELECT id FROM Conversation WHERE id LIKE 'u%' FOR UPDATE;
    DO SLEEP(0.1);
    SELECT id FROM Conversation WHERE id = '${group}' FOR UPDATE;
    ROLLBACK;`);
  for (const result of await Promise.allSettled([holdUp, cross])) {
    // They may be the ones all the same.
    if (result.status === "rejected" && !String(result.reason).includes("1213")) throw result.reason;
  }
}
