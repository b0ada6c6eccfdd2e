import { assertEquals, assertMatch } from "@std/assert";
import { newDevice } from "../support/devices.ts";
import { startServer } from "../support/services.ts";

Deno.test("lines of the log say of which session, user, device and request they are", async () => {
  const options = ["--sqlite", ":memory:", "--log-format", "json", "--log-level", "debug"];
  await using server = await startServer(options);
  await using ann = await newDevice(server.port, "ann");
  assertEquals((await ann.client.request({ msgid: 15, conversation: "nonsense", cid: "c1" })).errno, 6);
  ann.client.close();
  await server.logged(/"connection closed".*"user"/);
  const lines = server.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  const find = (message: string) => lines.findLast((line) => line.message === message);
  const { session, remote } = find("logged in");
  const whose = { session, remote, user: ann.id, device: ann.device };
  for (
    const [message, more] of [
      ["logged in", {}],
      ["frame refused", { request: 15, cid: "c1", errno: 6 }],
      ["connection closed", {}],
    ] as const
  ) {
    const { time, level: _level, reason: _reason, ...fields } = find(message);
    assertMatch(time, /^\d{4}-/);
    assertEquals(fields, { message, ...whose, ...more });
  }
});
