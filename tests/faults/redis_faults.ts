/**
 * What happens to Redis: away, frozen, empty, replaced, slow. Users stay connected; some lose their connection on the way
 * and cannot come back before Redis does.
 *
 * @module
 */

import { waitFor } from "../support/process.ts";
import { startRedis } from "../support/services.ts";
import { ClusterSite, LONGER_THAN_LEASE_MS, NODES } from "./cluster_site.ts";
import { random, someMoment } from "./site.ts";

Deno.test("faults of Redis", async (context) => {
  await using site = await ClusterSite.open();
  const { cluster, crowd, proxies } = site;

  /** A few users lose their connection. */
  function dropSome(): void {
    for (let count = 0; count < 4; count++) random.pick(crowd.v2).drop();
  }

  await site.suffer(context, {
    name: "Redis stopped and started",
    rounds: 2,
    async strike() {
      await someMoment(500);
      await cluster.redis.stop();
      await someMoment(500);
      dropSome();
      await crowd.talked(100);
      await cluster.redis.start();
    },
  });

  await site.suffer(context, {
    name: "Redis killed and started, its data lost",
    rounds: 2,
    async strike() {
      await someMoment(500);
      await cluster.redis.kill();
      dropSome();
      await someMoment(1_000);
      await cluster.redis.start();
    },
  });

  await site.suffer(context, {
    name: "Redis frozen",
    rounds: 2,
    async strike(round) {
      // Shorter and longer than it takes to be found dead.
      cluster.redis.signal("SIGSTOP");
      dropSome();
      await (round % 2 === 0 ? someMoment(1_500) : someMoment(6_000, 4_000));
      cluster.redis.signal("SIGCONT");
    },
  });

  await site.suffer(context, {
    name: "FLUSHALL",
    rounds: 2,
    async strike() {
      await someMoment(500);
      dropSome();
      await cluster.redis.cli("FLUSHALL");
      await someMoment(100);
      dropSome();
    },
  });

  await site.suffer(context, {
    name: "Redis answers slowly (each piece 0 to 300 ms late)",
    rounds: 1,
    async strike() {
      for (const proxy of proxies.values()) proxy.delayMs = () => random.below(300);
      dropSome();
      await someMoment(5_000, 4_000);
      dropSome();
      for (const proxy of proxies.values()) proxy.delayMs = () => 0;
    },
  });

  await site.suffer(context, {
    name: "one node cut off from Redis for longer than its lease",
    rounds: 1,
    // Its users are another node's to give away: who logs in there takes the place of a version 1 connection here.
    costsNode: true,
    async strike() {
      const proxy = proxies.get(random.pick(NODES));
      proxy?.block();
      await someMoment(LONGER_THAN_LEASE_MS + 2_000, LONGER_THAN_LEASE_MS);
      dropSome();
      proxy?.unblock();
    },
  });

  await using other = await startRedis();
  await site.suffer(context, {
    name: "failover to another Redis that knows nothing",
    rounds: 1,
    async strike() {
      await someMoment(500);
      dropSome();
      const next = site.redis === other ? cluster.redis : other;
      await site.redis.kill();
      if (!next.isRunning) await next.start();
      site.failOver(next);
    },
  });

  await context.step("everybody is known again where it is connected", async () => {
    await crowd.comeIn();
    const count = crowd.users.length;
    await waitFor(`${count} claims`, async () => {
      const claims = await site.redis.cli("KEYS", "*:user:*");
      return claims.split("\n").length === count;
    });
    await crowd.leave();
  });

  await site.checkVitals();
});
