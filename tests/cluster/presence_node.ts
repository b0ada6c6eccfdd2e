/**
 * A process that holds users in Redis' presence and does nothing else, for tests that kill or freeze one.
 *
 * Usage: presence_node.ts URL CLUSTER NODE LEASE_MS [USER…]. Prints a line for all that happens to it.
 *
 * @module
 */

import { FatalError } from "../../lib/base/errors.ts";
import { Redis } from "../../lib/cluster/redis.ts";
import { RedisPresence } from "../../lib/cluster/redis_presence.ts";

const [url = "", cluster = "", node = "", leaseMs, ...users] = Deno.args;

try {
  const redis = new Redis(url, {
    onMessage() {},
    onUp: () => console.log("up"),
    onDown: () => console.log("down"),
  });
  await redis.connect();
  const presence = await RedisPresence.open({
    redis,
    cluster,
    node,
    sign: (text) => String(text.length),
    leaseMs: Number(leaseMs),
    logger: { warn: () => {} },
    events: {
      onLost: (userId) => console.log(`lost ${userId}`),
      onNodeDied: (name) => console.log(`died ${name}`),
      onRestored: () => console.log("restored"),
      async onNameTaken() {
        console.log("name taken");
        await redis.close();
      },
    },
  });
  for (const user of users) {
    const claim = await presence.claim(Number(user), "refuse");
    console.log(`${claim.claimed ? "claimed" : "refused"} ${user}`);
  }
  console.log("ready");
} catch (error) {
  if (!(error instanceof FatalError)) throw error;
  console.log(error.message);
  Deno.exit(error.exitCode);
}
