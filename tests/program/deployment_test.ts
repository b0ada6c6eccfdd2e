/** The files of lib/deploy: what they name is there, and does what they count on. */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { EXIT } from "../../lib/base/errors.ts";
import { parseOptions } from "../../lib/config/parse_options.ts";
import { compileFlags, programFlags } from "../program_flags.ts";
import { isOnPath, run, temporaryFolder } from "../support/process.ts";
import { Server } from "../support/services.ts";

const ROOT = new URL("../../", import.meta.url);
const UNIT = "chatserver@.service";

function read(name: string): Promise<string> {
  return Deno.readTextFile(new URL(`lib/deploy/${name}`, ROOT));
}

/** The values of a setting of the unit. */
async function settings(name: string): Promise<string[]> {
  const unit = await read(UNIT);
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

/** The node's options where nobody says anything. */
function defaults() {
  const options = parseOptions(["serve"], { env: () => undefined, readFile: () => "" });
  assert(options.command === "serve");
  return options;
}

/** The unit in a folder of its own, with a program that is there. */
async function writeUnit(folder: string): Promise<string> {
  const path = `${folder}/${UNIT}`;
  await Deno.writeTextFile(path, (await read(UNIT)).replace("/usr/local/bin/chatserver", "/bin/true"));
  return path;
}

const noSystemd = !isOnPath("systemd-analyze");
const whyNot = noSystemd ? " (skipped: there is no systemd-analyze)" : "";

Deno.test({
  name: `systemd finds nothing wrong with the unit${whyNot}`,
  ignore: noSystemd,
  async fn() {
    await using folder = await temporaryFolder();
    const path = await writeUnit(folder.path);
    const { code, stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", path]);
    assertEquals([code, stdout + stderr], [0, ""]);
  },
});

Deno.test({
  name: `the unit leaves a node little it could do harm with${whyNot}`,
  ignore: noSystemd,
  async fn() {
    await using folder = await temporaryFolder();
    const path = await writeUnit(folder.path);
    // In tenths of systemd's own measure: up to 2.0 is "OK", a service without any sandbox has 9.6.
    const arguments_ = ["security", "--offline=yes", "--threshold=20", "--no-pager", path];
    const { code, stdout, stderr } = await run("systemd-analyze", arguments_);
    assertEquals(code, 0, stdout + stderr);
  },
});

Deno.test("the unit allows a node what its options need: descriptors, time to drain, exit codes", async () => {
  const { maxConnections, drainTimeoutMs } = defaults();
  const [descriptors] = await settings("LimitNOFILE");
  assertGreater(Number(descriptors), maxConnections + 100);
  const [stop = ""] = await settings("TimeoutStopSec");
  assertGreater(Number(stop.replace(/s$/, "")) * 1_000, drainTimeoutMs);
  assertEquals(await settings("RestartPreventExitStatus"), [`${EXIT.usage} ${EXIT.config}`]);
  // V8 compiles while it runs.
  assertEquals(await settings("MemoryDenyWriteExecute"), []);
});

/** The lines of an instruction of the container file, without its name. */
async function instructions(name: string): Promise<string[]> {
  const file = await read("Containerfile");
  return [...file.matchAll(new RegExp(`^${name} (.*)$`, "gm"))].map(([, rest = ""]) => rest);
}

Deno.test("a node starts, serves and stops by what the container file copies and says", async () => {
  await using folder = await temporaryFolder();
  const [build, data] = [`${folder.path}/build`, `${folder.path}/data`];
  await Deno.mkdir(`${build}/tests`, { recursive: true });
  await Deno.mkdir(data);
  const copies = (await instructions("COPY")).filter((line) => !line.startsWith("--from"));
  for (const line of copies) {
    const words = line.split(" ");
    const to = words.pop();
    for (const word of words) {
      const { code, stderr } = await run("cp", ["-R", new URL(word, ROOT).pathname, `${build}/${to}`]);
      assertEquals(code, 0, stderr);
    }
  }
  const printed = await run("deno", [
    "run",
    "--no-prompt",
    "--allow-read=deno.json",
    "tests/program_flags.ts",
  ], {
    cwd: build,
  });
  assertEquals(printed.stdout.trim(), (await compileFlags()).join(" "), printed.stderr);
  for (const [, path] of printed.stdout.matchAll(/--include (\S+)/g)) await Deno.stat(`${build}/${path}`);

  const [entry = ""] = await instructions("ENTRYPOINT");
  assertEquals(JSON.parse(entry), ["/chatserver"]);
  const [cmd = ""] = await instructions("CMD");
  const words: string[] = JSON.parse(cmd);
  const [exposed = ""] = await instructions("EXPOSE");
  const ports = words.map((word) => /(?:^|:)(\d+)$/.exec(word)?.[1]).filter((port) => port !== undefined);
  assertEquals(ports.sort(), exposed.split(" ").sort());

  const onFreePorts = words.map((word) =>
    word.replace(/0\.0\.0\.0/, "127.0.0.1").replace(/(^|:)\d+$/, "$10")
  );
  const flags = await programFlags();
  await using server = new Server(
    Deno.execPath(),
    ["run", "--quiet", ...flags, `${build}/main.ts`, ...onFreePorts],
    { cwd: data },
  );
  await server.ready();
  const { port: web } = server.address("web");
  const page = await (await fetch(`http://127.0.0.1:${web}/`)).text();
  assert(page.startsWith("<!doctype html>"), page);
  const { port: http } = server.address("http");
  assertEquals(await (await fetch(`http://127.0.0.1:${http}/readyz`)).text(), "ready\n");
  const [signal] = await instructions("STOPSIGNAL");
  assertEquals((await server.kill(signal === "SIGTERM" ? "SIGTERM" : "SIGKILL")).code, 0);
  const [volume] = await instructions("VOLUME");
  assertEquals([await instructions("WORKDIR"), volume], [["/build", "/data"], "/data"]);
  await Deno.stat(`${data}/chat.db`);
});
