/**
 * A cluster that is upgraded while people talk: nodes of an earlier version and of this one side by side.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { errorText } from "../../lib/base/errors.ts";
import { run, runOrThrow, type TemporaryFolder, temporaryFolder } from "../support/process.ts";
import { runProgram } from "../support/services.ts";
import { ClusterSite, NODES } from "./cluster_site.ts";
import { skip } from "./site.ts";

/** The version before users could be blocked: it knows the migrations up to 0012, and devices. */
const EARLIER = "11769ac39b65a4496bbecb611a4c7b200561740f";
/** The first migration that it does not know. */
const NEXT_MIGRATION = "0013_block";

const REPOSITORY = new URL("../..", import.meta.url).pathname;

/** The files of the earlier version, or why they are not to be had: a shallow clone or an archive has no history. */
async function checkOutEarlier(): Promise<TemporaryFolder | string> {
  const git = (...args: string[]) => run("git", ["-C", REPOSITORY, ...args]).catch((error) => String(error));
  const found = await git("cat-file", "-e", `${EARLIER}^{commit}`);
  if (typeof found === "string") return `git cannot be run: ${found}`;
  if (found.code !== 0) return `commit ${EARLIER.slice(0, 7)} is not in the history here`;
  const folder = await temporaryFolder();
  const archive = `${folder.path}.tar`;
  try {
    await runOrThrow("git", ["-C", REPOSITORY, "archive", `--output=${archive}`, EARLIER]);
    await runOrThrow("tar", ["-xf", archive, "-C", folder.path]);
    await Deno.remove(archive);
    return folder;
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

/** Its nodes with everybody in. What it does wrong by itself is not what is looked for here: it may be started twice. */
async function openEarlier(checkout: string): Promise<ClusterSite> {
  try {
    return await ClusterSite.open(checkout);
  } catch (error) {
    console.log(`the earlier version has failed by itself: ${errorText(error)}`);
    return await ClusterSite.open(checkout);
  }
}

Deno.test("faults of an upgrade", async (context) => {
  const name = "two nodes are upgraded one after the other";
  const earlier = await checkOutEarlier();
  if (typeof earlier === "string") return await skip(context, name, earlier);
  await using _earlier = earlier;
  await using site = await openEarlier(`${earlier.path}/`);
  const { cluster, crowd } = site;
  await site.suffer(context, {
    name,
    rounds: 1,
    async strike() {
      const { code, stdout } = await runProgram(["migrate", "--mysql", cluster.mysqlUrl]);
      assertEquals(code, 0);
      assertStringIncludes(stdout, NEXT_MIGRATION);
      // Both are of the earlier version, on tables of the new one.
      await crowd.talked(150);
      cluster.checkout = undefined;
      for (const name of NODES) {
        const { code } = await cluster.node(name).stop();
        assertEquals(code, 0, cluster.node(name).stderr);
        await site.startNode(name);
        // After the first, one of each.
        await crowd.talked(150);
      }
      const errors = NODES.flatMap((name) => cluster.node(name).stderr.match(/^\S+ error .*$/gm) ?? []);
      assertEquals(errors, []);
      return `from ${EARLIER.slice(0, 7)}`;
    },
  });
});
