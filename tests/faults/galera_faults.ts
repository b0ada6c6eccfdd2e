/**
 * What happens where several servers of a database take writes: a commit may be refused that every statement before it
 * was told to be fine, and servers come and go.
 *
 * @module
 */

import { galeraObstacle } from "../support/galera.ts";
import { GaleraSite } from "./galera_site.ts";
import { skip, someMoment } from "./site.ts";

/** Longer than the others wait for a server that does not answer. */
const LONGER_THAN_SUSPICION_MS = 8_000;

Deno.test("faults of a Galera cluster whose servers all take writes", async (context) => {
  const obstacle = galeraObstacle();
  if (obstacle !== undefined) return await skip(context, "Galera", obstacle);
  await using site = await GaleraSite.open();
  const { galera, crowd } = site;

  await site.suffer(context, {
    name: "Galera: nothing but writers on three servers",
    rounds: 1,
    async strike() {
      await crowd.talked(1_000);
    },
  });

  await site.suffer(context, {
    name: "Galera: a server killed (-9), and joining again",
    rounds: 1,
    async strike() {
      await someMoment(500);
      await galera.server(1).kill();
      await someMoment(1_000);
      await galera.rejoin(1);
    },
  });

  await site.suffer(context, {
    name: "Galera: a server frozen until the others go on without it",
    rounds: 1,
    async strike() {
      await someMoment(500);
      galera.server(2).signal("SIGSTOP");
      await someMoment(LONGER_THAN_SUSPICION_MS + 1_000, LONGER_THAN_SUSPICION_MS);
      galera.server(2).signal("SIGCONT");
      await galera.complete();
    },
  });

  await site.suffer(context, {
    name: "Galera: no quorum",
    rounds: 1,
    async strike() {
      await someMoment(500);
      const gone = [galera.server(1), galera.server(2)];
      for (const server of gone) server.signal("SIGSTOP");
      await someMoment(LONGER_THAN_SUSPICION_MS + 2_000, LONGER_THAN_SUSPICION_MS);
      for (const server of gone) server.signal("SIGCONT");
      await galera.complete();
    },
  });
});
