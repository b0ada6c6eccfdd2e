/** What somebody finds who gets to run code in a node: tried from inside, by a module that is loaded before the program. */

import { assert, assertEquals } from "@std/assert";
import { newPerson } from "../support/chat_client.ts";
import { freePort, ServiceProcess, temporaryFolder, waitFor } from "../support/process.ts";
import { programFlags } from "../program_flags.ts";
import { startMariaDb } from "../support/services.ts";

/** Says before the ready line what could be done by then. */
function spy(folder: string): string {
  const [database, other] = [`${folder}/chat.db`, `${folder}/other`].map((path) => JSON.stringify(path));
  return `
    const tries = {
      "read a file of the system": () => Deno.readTextFileSync("/etc/passwd"),
      "list a folder": () => [...Deno.readDirSync("/etc")],
      "read a file of the user": () => Deno.readTextFileSync(${other}),
      "read the database's file": () => Deno.readFileSync(${database}),
      "write a file": () => Deno.writeTextFileSync(${other}, "x"),
      "write the database's file": () => Deno.writeTextFileSync(${database}, "x"),
      "remove a file": () => Deno.removeSync(${other}),
      "read the environment": () => Deno.env.get("CHAT_NODE") ?? Deno.env.get("HOME") ?? fail(),
      "start a program": () => new Deno.Command("true").outputSync(),
      "load native code": () => Deno.dlopen("libc.so.6", {}),
    };
    function fail() {
      throw new Error();
    }
    const write = Deno.stdout.write.bind(Deno.stdout);
    Deno.stdout.write = async (bytes) => {
      if (new TextDecoder().decode(bytes).includes("ready on")) {
        const done = Object.keys(tries).filter((name) => {
          try {
            tries[name]();
            return true;
          } catch {
            return false;
          }
        });
        await write(new TextEncoder().encode("done: " + JSON.stringify(done) + "\\n"));
      }
      return await write(bytes);
    };
  `;
}

async function tryInside(args: string[], folder: string): Promise<void> {
  const port = freePort();
  await Deno.writeTextFile(`${folder}/spy.js`, spy(folder));
  await Deno.writeTextFile(`${folder}/other`, "somebody's");
  await using node = new ServiceProcess(
    Deno.execPath(),
    [
      ...["run", "--quiet", "--preload", `${folder}/spy.js`, ...await programFlags()],
      ...["main.ts", String(port), ...args],
    ],
    { capture: true, env: { CHAT_NODE: "inside" } },
  );
  let output = "";
  const reading = Promise.all([node.stdout, node.stderr].map(async (stream) => {
    for await (const text of stream?.pipeThrough(new TextDecoderStream()) ?? []) output += text;
  }));
  await waitFor("the node to be ready", () => {
    assert(!node.status, output);
    return output.includes("ready on");
  });
  assertEquals(output.match(/^done: (.*)$/m)?.[1], "[]");
  // What it is there for needs nothing of that.
  await using li = await newPerson(port, "li", { v: 2 });
  assertEquals((await li.client.request({ msgid: 18 })).errno, 0);
  await node.kill("SIGTERM");
  await reading;
}

Deno.test("a node on the embedded database reads and writes no files, and has no environment", async () => {
  await using folder = await temporaryFolder();
  // A file that is read again at SIGHUP stays readable, and nothing beside it.
  await Deno.writeTextFile(`${folder.path}/conf`, "log-level = info\n");
  await tryInside(
    ["--sqlite", `${folder.path}/chat.db`, "--config", `${folder.path}/conf`],
    folder.path,
  );
});

Deno.test("a node on MySQL reads and writes no files, and has no environment", async () => {
  await using folder = await temporaryFolder();
  await using mariaDb = await startMariaDb();
  await Deno.writeTextFile(`${folder.path}/chat.db`, "somebody's database");
  await tryInside(["--mysql", mariaDb.url], folder.path);
});
