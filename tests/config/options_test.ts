import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { EXIT, FatalError } from "../../lib/base/errors.ts";
import { helpText } from "../../lib/config/help.ts";
import { HELP_SECTIONS, type Option, TABLES, variableOf } from "../../lib/config/options.ts";
import { type OptionSources, parseOptions } from "../../lib/config/parse_options.ts";
import { redactUrl } from "../../lib/base/redact_url.ts";

function unitTest(name: string, fn: () => void): void {
  Deno.test({ name, permissions: "none", fn });
}

/** An environment with these variables and files, and nothing else. */
function sources(env: Record<string, string> = {}, files: Record<string, string> = {}): OptionSources {
  return {
    env: (name) => env[name],
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw new Error(`No such file: ${path}`);
      return text;
    },
  };
}

function serve(args: string[], env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const options = parseOptions(args, sources(env, files));
  assert(options.command === "serve");
  return options;
}

function client(args: string[], env: Record<string, string> = {}) {
  const options = parseOptions(["client", ...args], sources(env));
  assert(options.command === "client");
  return options;
}

function refusal(exitCode: number, args: string[], env: Record<string, string> = {}): string {
  const error = assertThrows(() => parseOptions(args, sources(env)), FatalError);
  assertEquals(error.exitCode, exitCode, error.message);
  assertEquals(error.message.includes("\n"), false, "one line");
  return error.message;
}

unitTest("without arguments a server listens on 127.0.0.1:6000 with its data in ./chat.db", () => {
  const options = serve([]);
  assertEquals([options.host, options.port, options.sqlitePath], ["127.0.0.1", 6000, "./chat.db"]);
  assertEquals([options.mysqlUrl, options.redisUrl, options.nodeName], [null, null, null]);
  assertEquals([options.persist, options.duplicateLogin], ["all", "refuse"]);
  assertEquals(options.proxies, null);
});

unitTest("host and port are given by position, by option or by variable", () => {
  const address = (args: string[], env?: Record<string, string>) => {
    const { host, port } = serve(args, env);
    return `${host} ${port}`;
  };
  assertEquals(address(["0.0.0.0", "7000"]), "0.0.0.0 7000");
  assertEquals(address(["serve", "0.0.0.0", "7000"]), "0.0.0.0 7000");
  assertEquals(address(["0.0.0.0"]), "0.0.0.0 6000");
  assertEquals(address(["7000"]), "127.0.0.1 7000");
  assertEquals(address(["serve", "--port", "0", "--host=::1"]), "::1 0");
  assertEquals(address(["[::1]", "7000"]), "::1 7000");
  assertEquals(address(["::"]), ":: 6000");
  assertEquals(address(["localhost"]), "localhost 6000");
  assertEquals(address(["chat.example"]), "chat.example 6000");
  assertEquals(address(["serve", "chat"]), "chat 6000");
  assertEquals(address([], { CHAT_HOST: "chat.example", CHAT_PORT: "1" }), "chat.example 1");
  assertEquals(address(["0.0.0.0", "7000"], { CHAT_PORT: "1" }), "0.0.0.0 7000");
});

unitTest("an option counts before its variable and a variable before the default", () => {
  assertEquals(serve([]).heartbeatMisses, 3);
  assertEquals(serve([], { CHAT_HEARTBEAT_MISSES: "4" }).heartbeatMisses, 4);
  assertEquals(serve(["--heartbeat-misses", "5"], { CHAT_HEARTBEAT_MISSES: "4" }).heartbeatMisses, 5);
  assertEquals(serve([], { CHAT_CHECK_CONFIG: "yes" }).checkConfig, true);
  assertEquals(serve(["--check-config=false"], { CHAT_CHECK_CONFIG: "yes" }).checkConfig, false);
});

unitTest("an empty variable counts as none, and of an option given twice the last one counts", () => {
  assertEquals(serve([], { CHAT_MYSQL: "", CHAT_PORT: "" }).port, 6000);
  assertEquals(serve(["--port", "1", "--port", "2"]).port, 2);
});

unitTest("times are milliseconds whatever unit they were given in", () => {
  const options = serve([
    "--heartbeat-interval=0.2",
    "--ack-timeout=500ms",
    "--recall-window=0",
    "--auth-timeout=5m",
    "--token-ttl=30d",
    "--drain-timeout=12s",
  ]);
  assertEquals(options.heartbeatIntervalMs, 200);
  assertEquals(options.ackTimeoutMs, 500);
  assertEquals(options.recallWindowMs, 0);
  assertEquals(options.authTimeoutMs, 300_000);
  assertEquals(options.tokenTtlMs, 30 * 86_400_000);
  assertEquals(options.drainTimeoutMs, 12_000);
});

unitTest("addresses, ranges and sizes come as values", () => {
  const options = serve([
    "--http",
    "[::1]:0",
    "--proxy-protocol",
    "127.0.0.1, 10.0.0.0/8,::1",
    "--max-frame=1M",
  ]);
  assertEquals(options.http, { host: "::1", port: 0 });
  assertEquals(options.proxies, [
    { address: "127.0.0.1", prefixLength: 32, family: "ipv4" },
    { address: "10.0.0.0", prefixLength: 8, family: "ipv4" },
    { address: "::1", prefixLength: 128, family: "ipv6" },
  ]);
  assertEquals(options.maxFrameBytes, 1024 * 1024);
  assertEquals(serve(["--proxy-protocol", "none"]).proxies, []);
});

unitTest("the URL of a database may come from a file", () => {
  const files = { "/run/mysql": "mysql://chat:secret@db/chat\n", "/run/redis": "redis://:pw@cache:6379\n" };
  const options = serve([], { CHAT_MYSQL_FILE: "/run/mysql", CHAT_REDIS_FILE: "/run/redis" }, files);
  assertEquals(options.mysqlUrl, "mysql://chat:secret@db/chat");
  assertEquals(options.redisUrl, "redis://:pw@cache:6379");
  assertStringIncludes(
    refusal(EXIT.config, [], { CHAT_MYSQL_FILE: "/run/nothing" }),
    "Cannot read the file that CHAT_MYSQL_FILE names: No such file: /run/nothing",
  );
  const both = { CHAT_MYSQL: "mysql://a@b/c", CHAT_MYSQL_FILE: "/run/mysql" };
  assertEquals(refusal(EXIT.config, [], both), "Set CHAT_MYSQL or CHAT_MYSQL_FILE, not both");
});

unitTest("what cannot be understood is refused in one line that quotes it", () => {
  const refused: [string[], string][] = [
    [["--prot", "7000"], 'Unknown option "--prot"'],
    [["--prot=7000"], 'Unknown option "--prot"'],
    [["-x"], 'Unknown option "-x"'],
    [["--port", "many"], '--port: "many" is not a port (0 to 65535)'],
    [["--port", "65536"], '--port: "65536" is not a port'],
    [["--port"], "--port needs a value: --port PORT"],
    [["--mysql", "--redis", "redis://a"], "--mysql needs a value: --mysql URL"],
    [["localhost", "many"], 'PORT: "many" is not a port'],
    [["localhost", "1", "2"], 'Cannot make sense of the argument "2"'],
    [["localhost", "1", "--port", "2"], "Give PORT or --port, not both"],
    [["not a host", "1"], 'HOST: "not a host" is not a host name'],
    [["--persist", "some"], '--persist: "some" is not one of all, offline'],
    [["--pool-size", "0"], '--pool-size: "0" is not a whole number from 1 to 1000'],
    [["--pool-size", "1e3"], '"1e3" is not a whole number'],
    [["--recall-window", "2w"], '--recall-window: "2w" is not a time from 0 to 365d'],
    [["--max-frame", "10"], '--max-frame: "10" is not a number of bytes from 1024'],
    [["--http", "8080"], '--http: "8080" is not HOST:PORT'],
    [["--proxy-protocol", "10.0.0.0/33"], '--proxy-protocol: "10.0.0.0/33" is not a list of IP addresses'],
    [["--node", "a b"], '--node: "a b" is not 1 to 64 letters'],
    [["--mysql", "mysql://db"], "--mysql: The MySQL URL names no user"],
    [["--redis", "http://db"], "--redis: The Redis URL does not begin with redis://"],
    [["migrate", "localhost"], 'Cannot make sense of the argument "localhost"'],
    [["client", "--mysql", "mysql://a@b/c"], "--mysql is not an option of client"],
    [["migrate", "--redis", "redis://a"], "--redis is not an option of migrate"],
    [["--v1"], "--v1 is not an option of serve"],
    [["--no-port"], 'Unknown option "--no-port"'],
    [["start"], 'Unknown command "start": did you mean serve?'],
    [["start", "127.0.0.1", "6000"], 'Unknown command "start": did you mean serve?'],
    [["clinet"], 'Unknown command "clinet": did you mean client?'],
    [["CLIENT", "6000"], 'Unknown command "CLIENT": did you mean client?'],
    [["migrat", "--sqlite", "x.db"], 'Unknown command "migrat": did you mean migrate?'],
    [["hlep"], 'Unknown command "hlep": did you mean help?'],
    [["chat-1"], "If it is a host name, write: serve chat-1"],
  ];
  for (const [args, text] of refused) assertStringIncludes(refusal(EXIT.usage, args), text);
});

unitTest("a bad variable is refused by its own name", () => {
  assertStringIncludes(refusal(EXIT.usage, [], { CHAT_UDP: "x" }), 'CHAT_UDP: "x" is not a port');
});

unitTest("a variable of another command does not matter", () => {
  assertEquals(client([], { CHAT_MYSQL: "nonsense" }).port, 6000);
});

unitTest("what cannot work together is refused as configuration", () => {
  const refused: [string[], string][] = [
    [["--redis", "redis://cache"], "--redis needs --mysql: nodes that share a Redis but not a database"],
    [
      ["--mysql", "mysql://a@b/c", "--redis", "redis://cache", "--redis-ca", "ca.pem"],
      "--redis-ca is for a --redis URL that begins with rediss",
    ],
    [["--sqlite", "a.db", "--mysql", "mysql://a@b/c"], "--sqlite and --mysql are both given"],
    [["migrate", "--sqlite", "a.db", "--mysql", "mysql://a@b/c"], "--sqlite and --mysql are both given"],
    [["--tls-port", "6443"], "--tls-port, --tls-cert and --tls-key only work together"],
    [["--tls-cert", "a.pem", "--tls-key", "b.pem"], "only work together"],
    [["--http", "127.0.0.1:6000"], "--port and --http are both 6000: each needs its own port"],
    [["0.0.0.0", "7000", "--http", "127.0.0.1:7000"], "--port and --http are both 7000"],
    [
      ["--tls-port", "6000", "--tls-cert", "a.pem", "--tls-key", "b.pem"],
      "--port and --tls-port are both 6000",
    ],
  ];
  for (const [args, text] of refused) assertStringIncludes(refusal(EXIT.config, args), text);
});

unitTest("no password reaches an error text", () => {
  const urls = [
    "http://u:secret@h/db",
    "mysql://u:se@c/ret:secret@h",
    "u:secret@h",
    "mysql://u@h?password=secret",
    "mysql://u:?secret@h/db",
    "mysql://u:1?secret@h/db",
    "mysql://u:#secret@h/db",
    "mysql://u:/secret@h/db",
    "mysql://u:1/secret@h/db",
    "mysql://u:a@b/secret@h/db",
    "mysql://u:%secret@h/db",
    "mysql://u:a@b?secret@h/db",
    "redis://:?secret@h",
    "redis://u:1/secret@h",
    "redis://:%secret@h",
    "redis://u:1#secret@h",
    "redis+sentinel://u:secret@h",
    "redis+sentinel://u:a@b/secret@h,/m",
    "redis+sentinel://u:%secret@h/m",
  ];
  for (const url of urls) {
    const texts = [
      refusal(EXIT.usage, ["--mysql", url]),
      refusal(EXIT.usage, ["--redis", url]),
      refusal(EXIT.usage, [], { CHAT_MYSQL: url }),
      refusal(EXIT.usage, [`--mysqll=${url}`]),
      refusal(EXIT.usage, ["localhost", "6000", url]),
      refusal(EXIT.usage, ["localhost", url]),
      refusal(EXIT.config, [], { CHAT_MYSQL_FILE: url }),
    ];
    for (const text of texts) assertEquals(text.includes("secret"), false, text);
  }
});

unitTest("redactUrl leaves all but the password", () => {
  assertEquals(redactUrl("mysql://root:pw@db:3306/chat"), "mysql://root:***@db:3306/chat");
  assertEquals(redactUrl("--mysql=mysql://root:pw@db"), "--mysql=mysql://root:***@db");
  assertEquals(redactUrl("redis://:pw@[::1]:6379"), "redis://:***@[::1]:6379");
  assertEquals(redactUrl("mysql://root@127.0.0.1:3306/chat"), "mysql://root@127.0.0.1:3306/chat");
  assertEquals(
    redactUrl("mysql://root@db/chat?password=pw&ssl=1"),
    "mysql://root@db/chat?password=***&ssl=1",
  );
  assertEquals(redactUrl("127.0.0.1:6000"), "127.0.0.1:6000");
});

unitTest("the client takes its password from the environment only", () => {
  assertEquals(client(["--user", "7"], { CHAT_PASSWORD: "pw" }).password, "pw");
  assertEquals(client([]).password, null);
  assertStringIncludes(refusal(EXIT.usage, ["client", "--password=pw"]), 'Unknown option "--password"');
});

unitTest("the client keeps its history where data belongs, elsewhere, or not at all", () => {
  assertEquals(client([], { HOME: "/home/li" }).historyFolder, "/home/li/.local/share/chatserver");
  assertEquals(client([], { XDG_DATA_HOME: "/data", HOME: "/home/li" }).historyFolder, "/data/chatserver");
  assertEquals(client(["--history", "/tmp/x"], { HOME: "/home/li" }).historyFolder, "/tmp/x");
  assertEquals(client(["--no-history"], { HOME: "/home/li" }).historyFolder, null);
  assertEquals(client([]).historyFolder, null);
});

unitTest("client and migrate take their own options", () => {
  const options = client(["chat.example", "7000", "--v1", "--tls", "--tls-ca", "ca.pem"]);
  assertEquals([options.host, options.port, options.v1, options.tls], ["chat.example", 7000, true, true]);
  assertEquals(options.tlsCaPath, "ca.pem");
  const migrate = parseOptions(["migrate", "--sqlite", "x.db"], sources());
  assert(migrate.command === "migrate");
  assertEquals(migrate.sqlitePath, "x.db");
});

unitTest("help and version are asked for in every usual way", () => {
  for (
    const args of [["--help"], ["-h"], ["help"], ["serve", "--help"], ["client", "-h", "--port", "many"]]
  ) {
    assertEquals(parseOptions(args, sources()).command, "help", args.join(" "));
  }
  for (const args of [["--version"], ["-V"]]) assertEquals(parseOptions(args, sources()).command, "version");
});

unitTest("help lists every option of every command with its variable and default", () => {
  const help = helpText().replace(/\s+/g, " ");
  const rows = Object.values(TABLES)
    .flatMap((table): Option<unknown>[] => Object.values(table))
    .filter(({ isFlagOnly }) => !isFlagOnly);
  const shown = new Set(HELP_SECTIONS.flatMap(({ options }) => options.map(({ flag }) => flag)));
  for (const row of rows) {
    assert(shown.has(row.flag), `--${row.flag} is in the help`);
    assertStringIncludes(help, row.placeholder ? `--${row.flag} ${row.placeholder} ` : `--${row.flag} `);
    assertMatch(help, new RegExp(`\\(${variableOf(row)}[;) ]`));
    if (row.fallback && row.placeholder) assertStringIncludes(help, `default ${row.fallback}`);
  }
});

unitTest("help fits into a terminal of 100 columns", () => {
  for (const line of helpText().split("\n")) assert(line.length <= 100, line);
});

unitTest(
  "browsers are served where it says, from pages that it names, and on no port that they refuse",
  () => {
    assertEquals([serve([]).web, serve([]).webTls, serve([]).webOrigins], [null, false, null]);
    assertEquals(serve(["--web", "none"]).web, "none");
    assertEquals(serve([], { CHAT_WEB: "[::]:8443" }).web, { host: "::", port: 8443 });
    const origins = "https://chat.example,http://localhost:3000";
    assertEquals(serve(["--web", "0.0.0.0:80", "--web-origin", origins]).webOrigins, origins.split(","));
    const refused: [number, string[], string][] = [
      [EXIT.usage, ["--web", "8080"], "is not HOST:PORT"],
      [EXIT.usage, ["--web", "0.0.0.0:6000"], "a port that browsers refuse"],
      [EXIT.usage, ["--web", "0.0.0.0:6697"], "a port that browsers refuse"],
      [EXIT.usage, ["--web", "a:80", "--web-origin", "chat.example"], "is not a list of origins"],
      [EXIT.usage, ["--web", "a:80", "--web-origin", "https://chat.example/"], "is not a list of origins"],
      [EXIT.usage, ["--web", "a:80", "--web-origin", "https://chat.example:443"], "is not a list of origins"],
      [EXIT.usage, ["--web", "a:80", "--web-origin", "*"], "is not a list of origins"],
      [EXIT.config, ["--web-origin", "https://chat.example"], "--web-tls and --web-origin need --web"],
      [EXIT.config, ["--web", "none", "--web-tls", "--tls-cert", "a", "--tls-key", "b"], "need --web"],
      [EXIT.config, ["--web", "a:80", "--web-tls"], "--web-tls, --tls-cert and --tls-key only work together"],
      [EXIT.config, ["--web", "a:80", "--tls-cert", "a", "--tls-key", "b"], "--web-tls, --tls-cert and"],
      [EXIT.config, ["127.0.0.1", "8080", "--web", "127.0.0.1:8080"], "--port and --web are both 8080"],
    ];
    for (const [exitCode, args, text] of refused) assertStringIncludes(refusal(exitCode, args), text);
  },
);
