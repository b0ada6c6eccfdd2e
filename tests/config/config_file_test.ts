import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { EXIT, FatalError } from "../../lib/base/errors.ts";
import type { ServeOptions } from "../../lib/config/options.ts";
import { parseOptions, rememberSources } from "../../lib/config/parse_options.ts";
import { compareOptions } from "../../lib/config/reload.ts";

function unitTest(name: string, fn: () => void): void {
  Deno.test({ name, permissions: "none", fn });
}

const PATH = "/etc/chat.conf";

/** The options with a file of this text. */
function serve(text: string, args: string[] = [], env: Record<string, string> = {}): ServeOptions {
  const options = parseOptions(["serve", "--config", PATH, ...args], {
    env: (name) => env[name],
    readFile(path) {
      if (path !== PATH) throw new Error(`No such file: ${path}`);
      return text;
    },
  });
  assert(options.command === "serve");
  return options;
}

unitTest("a file holds options by their names, with comments", () => {
  const options = serve([
    "\uFEFF# a node",
    "port = 7000",
    "",
    "  host=0.0.0.0   # everywhere",
    "\tsqlite = /var/lib/chat#1.db\r",
    'node = "a-1"  # in quotation marks',
    'tls-cert = "/a b # c.pem"',
    "tls-key = k.pem",
    "tls-port = 7443",
  ].join("\n"));
  assertEquals([options.host, options.port, options.nodeName], ["0.0.0.0", 7000, "a-1"]);
  assertEquals([options.sqlitePath, options.tlsCertPath], ["/var/lib/chat#1.db", "/a b # c.pem"]);
  assertEquals(options.configPath, PATH);
});

unitTest("a flag counts before a variable, a variable before the file, the file before the default", () => {
  const text = "heartbeat-misses = 4\nport = 1\n";
  assertEquals(serve(text).heartbeatMisses, 4);
  assertEquals(serve(text, [], { CHAT_HEARTBEAT_MISSES: "5" }).heartbeatMisses, 5);
  assertEquals(serve(text, ["--heartbeat-misses", "6"], { CHAT_HEARTBEAT_MISSES: "5" }).heartbeatMisses, 6);
  assertEquals(serve(text, ["127.0.0.1", "2"]).port, 2);
  assertEquals(serve("").heartbeatMisses, 3);
});

unitTest("the file may be named by a variable, and serves migrate as well", () => {
  const options = parseOptions(["migrate"], {
    env: (name) => name === "CHAT_CONFIG" ? PATH : undefined,
    readFile: () => "sqlite = a.db\nport = 7000\n",
  });
  assert(options.command === "migrate");
  assertEquals(options.sqlitePath, "a.db");
});

unitTest("what cannot be understood is refused in one line with the file and the line", () => {
  const refused: [string, string][] = [
    ["port 7000", "/etc/chat.conf line 1: not of the form NAME = VALUE"],
    ["\n# x\nprot = 7000", '/etc/chat.conf line 3: unknown option "prot": did you mean port?'],
    ["config = b.conf", '/etc/chat.conf line 1: unknown option "config"'],
    ["v1 = yes", 'line 1: unknown option "v1"'],
    ["port = 1\nhost = ::\nport = 1", "/etc/chat.conf line 3: port stands in line 1 already"],
    ["port = many", '/etc/chat.conf line 1: port: "many" is not a port (0 to 65535)'],
    ["port =", "line 1: port needs a value"],
    ["port = # later", "line 1: port needs a value"],
    ['node = "a', "line 1: the quotation marks of node do not close"],
    ['node = "a" b', "line 1: the quotation marks of node do not close"],
  ];
  for (const [text, message] of refused) {
    const error = assertThrows(() => serve(text), FatalError);
    assertStringIncludes(error.message, message);
    assertEquals([error.exitCode, error.message.includes("\n")], [EXIT.usage, false]);
  }
});

unitTest(
  "a file that cannot be read, or does not fit to what is given elsewhere, is refused as configuration",
  () => {
    const sources = {
      env: () => undefined,
      readFile() {
        throw new Error("No such file");
      },
    };
    const missing = assertThrows(() => parseOptions(["--config", "x.conf"], sources), FatalError);
    assertEquals(missing.exitCode, EXIT.config);
    assertEquals(missing.message, '--config: cannot read "x.conf": No such file');
    const both = assertThrows(() => serve("sqlite = a.db", [], { CHAT_MYSQL: "mysql://a@b/c" }), FatalError);
    assertEquals(both.exitCode, EXIT.config);
    assertStringIncludes(both.message, "/etc/chat.conf line 1: sqlite and CHAT_MYSQL are both given");
  },
);

unitTest("no password in a file reaches an error text", () => {
  for (
    const line of [
      "mysql mysql://u:secret@h/db",
      "mysql = http://u:secret@h/db",
      'mysql = "mysql://u:secret@',
    ]
  ) {
    const error = assertThrows(() => serve(line), FatalError);
    assertEquals(error.message.includes("secret"), false, error.message);
  }
});

unitTest("options that are read again come from the same environment and the present file", () => {
  let text = "message-rate = 5\n";
  let isEnvironmentThere = true;
  const sources = rememberSources({
    env(name) {
      assert(isEnvironmentThere, "it is given up after the start");
      return name === "CHAT_NODE" ? "a" : undefined;
    },
    readFile: () => text,
  });
  const args = ["--config", PATH, "--port", "1"];
  const running = parseOptions(args, sources);
  isEnvironmentThere = false;
  text = "message-rate = 7\nlog-level = debug\nmax-frame = 4K\nnode = b\nport = 2\n";
  sources.forget(PATH);
  const wanted = parseOptions(args, sources);
  assert(running.command === "serve" && wanted.command === "serve");
  const { next, taken, left } = compareOptions(running, wanted);
  assertEquals([taken.sort(), left], [["log-level", "message-rate"], ["max-frame"]]);
  assertEquals(next, { ...running, messageRate: 7, logLevel: "debug" });
});
