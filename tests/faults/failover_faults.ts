/**
 * The database goes over to a server that has followed it, behind a proxy that then leads there.
 *
 * @module
 */

import { replicationObstacle } from "../support/replication.ts";
import { FailoverSite } from "./failover_site.ts";
import { skip, someMoment } from "./site.ts";

Deno.test("faults of a database with a follower", async (context) => {
  const obstacle = replicationObstacle();
  if (obstacle !== undefined) return await skip(context, "failover", obstacle);
  await using site = await FailoverSite.open();
  const { replication } = site;

  await site.suffer(context, {
    name: "failover of a semi-synchronous pair, planned",
    rounds: 1,
    async strike() {
      await someMoment(500);
      await replication.switchOver();
    },
  });

  await site.suffer(context, {
    name: "failover of a semi-synchronous pair, `kill -9`",
    rounds: 1,
    async strike() {
      await someMoment(500);
      await replication.failOver();
    },
  });
});
