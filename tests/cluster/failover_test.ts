import { assert, assertEquals } from "@std/assert";
import { chat, newPerson } from "../support/chat_client.ts";
import { Talker } from "../support/cluster.ts";
import { waitFor } from "../support/process.ts";
import { Replication, replicationObstacle } from "../support/replication.ts";
import { startServer } from "../support/services.ts";

/** How far the follower is behind, s. */
const DELAY_S = 3;

Deno.test({
  name:
    "a follower that lacks the last seconds takes over: who was online all the time hears all that is stored from then on",
  ignore: replicationObstacle() !== undefined,
  async fn() {
    await using replication = await Replication.start({ delayS: DELAY_S });
    await replication.primary.sql("CREATE USER nodes; GRANT ALL ON chat.* TO nodes");
    await using node = await startServer(["--mysql", `mysql://nodes@127.0.0.1:${replication.port}/chat`]);
    await using ann = await newPerson(node.port, "ann", { v: 2 });
    await using li = await newPerson(node.port, "li", { v: 2 });
    await using bob = await Talker.create(node.port, "bob");
    await bob.logIn(node.port);
    const say = (cid: string, toid: number) => ann.client.request({ ...chat(ann, toid, cid), cid });
    assertEquals((await say("l1", li.id)).seq, 1);
    assertEquals((await say("b1", bob.id)).seq, 1);
    await waitFor("the follower to have come so far", async () => {
      const [count] = (await replication.follower.sql("SELECT COUNT(*) FROM Message").catch(() => "")).split(
        "\n",
      );
      return count === "2";
    });
    for (const count of ["2", "3", "4"]) {
      assertEquals((await say(`l${count}`, li.id)).seq, Number(count));
      assertEquals((await say(`b${count}`, bob.id)).seq, Number(count));
    }
    await bob.heard(4);
    await replication.failOver();
    const held = Number(await replication.primary.sql("SELECT COUNT(*) FROM Message"));
    assert(held < 8, "the follower lacks nothing");

    const next = async (cid: string, toid: number): Promise<number> => {
      const { errno, seq } = await say(cid, toid);
      return errno === 10 ? await next(cid, toid) : Number(seq);
    };
    assertEquals([await next("l5", li.id), await next("b5", bob.id)], [5, 5], "2 to 4 were given out");
    await waitFor("bob to hear it", () => bob.received.at(-1)?.msg === "b5");
    await li.client.take(({ msg }) => msg === "l5");
  },
});
