/** The terminal client against real server nodes: on pipes and on a real terminal. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { makeCertificate } from "../../support/certificate.ts";
import { clientCommand, ClientProcess, drawn, startClient, startClientOnTerminal } from "./client_process.ts";
import { freePort, isOnPath, temporaryFolder, waitFor } from "../../support/process.ts";
import { runProgram, type Server, startServer, UNMEASURED } from "../../support/services.ts";

/** Runs a script of lines through a client, and returns what came of it. */
async function runScript(
  server: { port: number },
  lines: readonly string[],
  { args = [], env = {}, dataFolder }: { args?: string[]; env?: Record<string, string>; dataFolder: string },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const stdin = lines.map((line) => `${line}\n`).join("");
  const environment = { XDG_DATA_HOME: dataFolder, ...env };
  return await runProgram(["client", "127.0.0.1", String(server.port), ...args], {
    stdin,
    env: environment,
    deadlineMs: 60_000,
  });
}

/** A server with anna (1) and li (2), and a folder for the clients' histories. */
async function startWithUsers(args: readonly string[] = []) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const server = stack.use(await startServer(["--sqlite", `${folder.path}/chat.db`, ...args]));
  const dataFolder = `${folder.path}/data`;
  const registration = ["register", "anna", "pw1", "2", "li", "pw2", "quit"];
  const { code, stdout } = await runScript(server, registration, { dataFolder });
  assertEquals([code, stdout], [0, "registered: your user id is 1\nregistered: your user id is 2\n"]);
  const moved = stack.move();
  return { server, dataFolder, folder: folder.path, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** The texts of the message lines, in the order in which they were shown. */
function textsFrom(name: string, output: string): string[] {
  const line = new RegExp(`^[-\\d]{10} [:\\d]{8} (?:.* )?${name} \\(\\d+\\): (.*)$`, "gm");
  return Array.from(output.matchAll(line), ([, text]) => text ?? "");
}

/** Starts a server again on the port of the one before. */
async function restart(server: Server, folder: string): Promise<Server> {
  const { port } = server;
  await server.kill();
  return await startServer(["--sqlite", `${folder}/chat.db`], { port });
}

Deno.test("a script goes through all of the original's commands, and its exit code says that nothing was refused", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  const anna = await runScript(server, [
    "1",
    "1",
    "pw1",
    "addfriend:2",
    "creategroup:devs:all: of us",
    "chat:2:see http://example.org:80/",
    "groupchat:1:anybody?",
    "loginout",
    "login",
    "2",
    "pw2",
    "addgroup:1",
    "loginout",
    "1",
    "1",
    "pw1",
    "groupchat:1:welcome",
  ], fixture);
  assertEquals(anna.code, 0, anna.stdout);
  assertStringIncludes(anna.stdout, "logged in as anna (1)\nfriends:\n  none\ngroups:\n  none\n");
  assertStringIncludes(anna.stdout, "group devs is made; its id is 1\n");
  assertStringIncludes(anna.stdout, "✓ #1 to li (2): see http://example.org:80/\n");
  assertStringIncludes(anna.stdout, "anna (1): see http://example.org:80/\n");
  assertMatch(anna.stdout, /friends:\n {2}2 li offline\ngroups:\n {2}1 devs: all: of us\b/);
  const li = await runScript(server, ["1", "2", "pw2"], fixture);
  assertEquals([li.code, textsFrom("anna", li.stdout)], [0, ["welcome"]]);
  assertEquals(anna.stdout.includes("pw1") || anna.stderr.includes("pw1"), false);
});

Deno.test("what is refused is reported with its reason, and the exit code is 1", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  const { code, stdout } = await runScript(server, [
    "1",
    "1",
    "wrong",
    "1",
    "1",
    "pw1",
    "chat:99:nobody",
    "addfriend:99",
    "addgroup:99",
    "groupchat:99:no member",
    "creategroup::no name",
    "recall:2",
    "recall:2:1",
    "nonsense",
  ], fixture);
  assertEquals(code, 1);
  const problems = stdout.split("\n").filter((line) => line.startsWith("!"));
  assertEquals(problems.length, 9, stdout);
  assertMatch(problems[0] ?? "", /^! login: .*password/);
  for (const text of ["user 99", "group 99", "usage: creategroup:", "no message of yours", '"nonsense"']) {
    assertStringIncludes(problems.join("\n"), text);
  }
});

Deno.test("version 1 goes the same way, and what can be known without an answer is reported", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  const script = [
    "1",
    "1",
    "pw1",
    "addfriend:2",
    "creategroup:devs:",
    "chat:2:hi",
    "groupchat:1:to us",
    "loginout",
  ];
  const again = [
    "1",
    "1",
    "pw1",
    "addfriend:2",
    "groupchat:7:no member",
    "addgroup:1",
    "recall:2",
    "chat:2:hi again",
  ];
  const { code, stdout } = await runScript(server, [...script, ...again], { ...fixture, args: ["--v1"] });
  assertEquals(code, 1);
  assertEquals(stdout.split("\n").filter((line) => line.startsWith("!")), [
    "! addfriend 2: on your list already",
    "! you are not a member of group 7",
    "! addgroup 1: you are a member already",
    "! recall: not in version 1",
  ]);
  assertStringIncludes(stdout, "  2 li offline\ngroups:\n  1 devs\n    1 anna creator online\n");
  const li = await runScript(server, ["1", "2", "pw2"], { ...fixture, args: ["--v1"] });
  assertEquals([li.code, textsFrom("anna", li.stdout)], [0, ["hi", "hi again"]]);
  assertStringIncludes(li.stdout, "offline messages:\n");
});

Deno.test("two people talk, whichever version each of them speaks, and version 2 shows how far a message got", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  for (const [annaArgs, liArgs] of [[[], []], [["--v1"], []], [[], ["--v1"]], [["--v1"], ["--v1"]]]) {
    await using anna = await startClient(server.port, { ...fixture, args: annaArgs ?? [] });
    await using li = await startClient(server.port, { ...fixture, args: liArgs ?? [] });
    await anna.type("1\n1\npw1\n");
    await anna.says("logged in as anna (1)");
    await li.type("1\n2\npw2\n");
    await li.says("logged in as li (2)");
    await anna.type("chat:2:ping 中文 👍 \x1b[2J\n");
    await li.says("anna (1): ping 中文 👍 \\u{1b}[2J");
    await li.type("chat:1:pong\n");
    await anna.says("): pong");
    if (annaArgs?.length === 0) await anna.says(/✓✓ #\d+ (read by|delivered to) /);
    assertEquals(anna.stdout.includes("read by"), false, "both are scripts");
    assertEquals([await anna.end(), await li.end()], [0, 0]);
  }
});

Deno.test("with --json a script gets an object for everything that happens", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  const asJson = { ...fixture, args: ["--json"] };
  const script = ["1", "1", "pw1", "addfriend:2", 'chat:2:"quoted" \x1b[2J', "chat:99:nobody", "nonsense"];
  const { code, stdout, stderr } = await runScript(server, script, asJson);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals([code, stderr], [1, ""]);
  assertEquals(lines.map(({ event }) => event).filter((event) => event !== "status"), [
    "logged_in",
    "text",
    "error",
    "stored",
    "refused",
  ]);
  const stored = lines.find(({ event }) => event === "stored");
  assertEquals(
    { ...stored, at: typeof stored.at },
    {
      event: "stored",
      conversation: "u1-2",
      seq: 1,
      at: "number",
      id: 1,
      name: "anna",
      text: '"quoted" \x1b[2J',
    },
  );
  const li = await runScript(server, ["1", "2", "pw2"], asJson);
  const [message] = li.stdout.split("\n").filter((line) => line.includes('"message"')).map((line) =>
    JSON.parse(line)
  );
  assertEquals([li.code, message.event, message.seq, message.name], [0, "message", 1, "anna"]);
});

Deno.test("a user who was away gets everything once, in order, though the client is killed in the middle", async () => {
  await using fixture = await startWithUsers(UNMEASURED);
  const { server } = fixture;
  const count = 3000;
  const messages = Array.from({ length: count }, (_, index) => `chat:2:message ${index}`);
  const anna = await runScript(server, ["1", "1", "pw1", ...messages], fixture);
  assertEquals(anna.code, 0, anna.stdout.slice(-500));
  assertEquals(anna.stdout.match(/^✓ #/gm)?.length, count);
  let shown: string[] = [];
  for (const least of [1, 500, 1500]) {
    await using li = await startClient(server.port, fixture);
    await li.type("1\n2\npw2\n");
    await waitFor("some messages", () => textsFrom("anna", li.stdout).length >= least);
    li.signal("SIGKILL");
    await li.exited();
    // The last line may have been cut off in the middle.
    const whole = li.stdout.slice(0, li.stdout.lastIndexOf("\n") + 1);
    shown = [...shown, ...textsFrom("anna", whole)];
  }
  const last = await waitFor("the killed client's session to be over", async () => {
    const result = await runScript(server, ["1", "2", "pw2"], fixture);
    return result.stdout.includes("already online") ? undefined : result;
  });
  shown = [...shown, ...textsFrom("anna", last.stdout)];
  // A line that was on its way to the screen when the client was killed may be missing there: history has it.
  assertEquals(new Set(shown).size, shown.length, "nothing is shown twice");
  assert(shown.length >= count - 3 * 300, `${shown.length} shown`);
  const history = await runScript(server, ["1", "2", "pw2", `history:1:${count}`], fixture);
  const texts = Array.from(
    history.stdout.matchAll(/^#(\d+) .*: message (\d+)$/gm),
    ([, seq, text]) => [seq, text],
  );
  assertEquals(texts, messages.map((_, index) => [String(index + 1), String(index)]));
});

Deno.test("the client outlives a killed server: it says so, comes back, and sends what was not acknowledged, once", async () => {
  await using fixture = await startWithUsers();
  const { server, folder } = fixture;
  await using anna = await startClient(server.port, fixture);
  await using li = await startClient(server.port, fixture);
  await anna.type("1\n1\npw1\n");
  await li.type("1\n2\npw2\n");
  await Promise.all([anna.says("logged in"), li.says("logged in")]);
  await anna.type("chat:2:one\n");
  await li.says("anna (1): one");
  const { port } = server;
  await server.kill();
  await waitFor("the loss to be noticed", () => anna.stderr.includes("connection lost"));
  await anna.type("chat:2:two\n");
  await anna.says("not connected: the message is kept and sent later");
  await using again = await startServer(["--sqlite", `${folder}/chat.db`], { port });
  await li.says("anna (1): two");
  await waitFor(
    "both to be back",
    () => [anna, li].every(({ stderr }) => stderr.includes("resumed")),
  );
  await li.type("chat:1:three\n");
  await anna.says("li (2): three");
  assertEquals([await anna.end(), await li.end()], [0, 0]);
  assertEquals(textsFrom("anna", li.stdout), ["one", "two"]);
  assertEquals(again.port, port);
});

Deno.test("an idle client stays; a server that hangs is noticed by its silence, and the session resumed when it goes on", async () => {
  await using fixture = await startWithUsers(["--heartbeat-interval", "300ms", "--heartbeat-misses", "3"]);
  const { server } = fixture;
  await using anna = await startClient(server.port, fixture);
  await anna.type("1\n1\npw1\n");
  await anna.says("logged in as anna (1)");
  const loggedInAt = performance.now();
  await waitFor("many heartbeats", () => performance.now() - loggedInAt > 1500);
  assertEquals(anna.stderr.includes("connection lost"), false, anna.stderr);
  server.signal("SIGSTOP");
  await waitFor(
    "the silence to be noticed",
    () => anna.stderr.includes("connection lost (the server is silent)"),
  );
  await anna.type("chat:2:still here\n");
  server.signal("SIGCONT");
  await anna.says("✓ #1 to user 2: still here");
  assertStringIncludes(anna.stderr, "* resumed\n");
  assertEquals(await anna.end(), 0);
});

Deno.test("a message that was typed while the server was away is sent by the next run of the client", async () => {
  await using fixture = await startWithUsers();
  const { server, folder } = fixture;
  {
    await using anna = await startClient(server.port, fixture);
    await anna.type("1\n1\npw1\n");
    await anna.says("logged in");
    await using again = await restart(server, folder);
    await again.kill();
    await waitFor("the loss to be noticed", () => anna.stderr.includes("connection lost"));
    await anna.type("chat:2:from the outbox\n");
    await anna.says("kept and sent later");
    anna.signal("SIGKILL");
    await anna.exited();
  }
  await using second = await startServer(["--sqlite", `${folder}/chat.db`], { port: server.port });
  const anna = await runScript(second, ["1", "1", "pw1"], fixture);
  assertStringIncludes(anna.stdout, "✓ #1 to user 2: from the outbox");
  const li = await runScript(second, ["1", "2", "pw2"], fixture);
  assertEquals(textsFrom("anna", li.stdout), ["from the outbox"]);
});

Deno.test("a message is recalled, here and there", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  await using li = await startClient(server.port, fixture);
  await li.type("1\n2\npw2\n");
  await li.says("logged in");
  const anna = await runScript(server, [
    "1",
    "1",
    "pw1",
    "chat:2:keep",
    "chat:2:oops",
    "recall:2",
    "history:2",
  ], fixture);
  assertEquals(anna.code, 0, anna.stdout);
  assertStringIncludes(anna.stdout, "#2 is taken back");
  await li.says("anna (1) took back #2");
  await li.type("history:1\n");
  await li.says("#2 (recalled)");
  assertEquals(await li.end(), 0);
  assertMatch(li.stdout, /#1 .* anna \(1\): keep\n#2 \(recalled\)\n/);
});

Deno.test("the history is the user's own: one file a server and user, readable by nobody else", async () => {
  await using fixture = await startWithUsers();
  const { server, dataFolder } = fixture;
  const { code } = await runScript(server, ["1", "1", "pw1", "chat:2:secret"], fixture);
  assertEquals(code, 0);
  const folder = `${dataFolder}/chatserver/127.0.0.1_${server.port}`;
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
  assertEquals(names, ["1.db"]);
  const modes = [`${dataFolder}/chatserver`, folder, `${folder}/1.db`].map((path) =>
    (Deno.statSync(path).mode ?? 0) & 0o777
  );
  assertEquals(modes, [0o700, 0o700, 0o600]);
  const without = await runScript(server, ["1", "2", "pw2"], { ...fixture, args: ["--no-history"] });
  assertEquals(textsFrom("anna", without.stdout), ["secret"]);
  assertEquals(Array.from(Deno.readDirSync(folder)).length, 1);
});

Deno.test("a user with two devices has the whole conversation on each", async () => {
  await using fixture = await startWithUsers();
  const { server, folder } = fixture;
  const annaSays = (text: string) => runScript(server, ["1", "1", "pw1", `chat:2:${text}`], fixture);
  const first = (...lines: string[]) => runScript(server, ["1", "2", "pw2", ...lines], fixture);
  const second = (...lines: string[]) =>
    runScript(server, ["1", "2", "pw2", ...lines], { ...fixture, dataFolder: `${folder}/second` });
  await annaSays("one");
  assertEquals(textsFrom("anna", (await first()).stdout), ["one"]);
  await annaSays("two");
  // A script on a new device begins with what nobody has read.
  assertEquals(textsFrom("anna", (await second("chat:1:three")).stdout).at(-1), "two");
  await annaSays("four");
  const numbers = (stdout: string) =>
    Array.from(stdout.matchAll(/^#(\d+) .*: (\w+)/gm), ([, seq, text]) => `${seq} ${text}`);
  const onFirst = await first("history:1");
  assertEquals(textsFrom("anna", onFirst.stdout).at(-1), "four");
  assertEquals(numbers(onFirst.stdout), ["1 one", "2 two", "3 three", "4 four"]);
  assertEquals(numbers((await second("history:1")).stdout), ["1 one", "2 two", "3 three", "4 four"]);
});

Deno.test("exit codes: 69 without a server, 0 with --user and a right password, 1 with a wrong one", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  const nobody = await runScript({ port: freePort() }, ["3"], fixture);
  assertEquals(nobody.code, 69);
  assertMatch(nobody.stderr, /cannot connect to 127\.0\.0\.1:\d+/);
  const byUser = { ...fixture, args: ["--user", "2"] };
  const right = await runScript(server, ["history:1"], { ...byUser, env: { CHAT_PASSWORD: "pw2" } });
  assertEquals([right.code, right.stdout.includes("logged in as li (2)")], [0, true]);
  const wrong = await runScript(server, ["history:1"], { ...byUser, env: { CHAT_PASSWORD: "no" } });
  assertEquals(wrong.code, 1);
  const asked = await runScript(server, ["pw2", "history:1"], byUser);
  assertEquals(asked.code, 0, asked.stdout);
});

Deno.test("what goes wrong with the connection is said in words, and what happens next", async () => {
  await using fixture = await startWithUsers();
  const { server, dataFolder, folder } = fixture;
  const { certificate, key } = await makeCertificate(folder);
  const tlsFiles = { cert: await Deno.readTextFile(certificate), key: await Deno.readTextFile(key) };
  using proxy = startTlsProxy(server.port, tlsFiles);
  const plain = String(server.port);
  const cases: [string[], RegExp][] = [
    [["127.0.0.1", String(freePort())], /: no server runs at that address/],
    [["no-such-machine.invalid", plain], /: (no machine of that name is known|its name cannot be looked up)/],
    [["127.0.0.1", plain, "--tls"], /: the server does not speak TLS on that port/],
    [
      ["127.0.0.1", String(proxy.addr.port), "--tls"],
      /: its certificate is by nobody whom this client trusts/,
    ],
    [
      ["127.0.0.1", plain, "--tls", "--tls-ca", `${folder}/nothing.pem`],
      /nothing\.pem": No such file or directory$/m,
    ],
  ];
  for (const [args, words] of cases) {
    const { code, stderr } = await runProgram(["client", ...args], { env: { XDG_DATA_HOME: dataFolder } });
    assert(code !== 0);
    assertMatch(stderr, words);
    assertEquals(/os error|ECONN|InvalidData/.test(stderr), false, stderr);
  }
  await using anna = await startClient(server.port, fixture);
  await using li = await startClient(server.port, fixture);
  await anna.type("1\n1\npw1\n");
  await anna.says("logged in as anna (1)");
  await li.type("9\n");
  await li.says("unknown choice");
  await server.stop();
  await waitFor(
    "the notice",
    () => anna.stderr.includes("connection lost (This server is going down. It takes you"),
  );
  await waitFor("the other notice", () => li.stderr.includes("your next choice opens it again"));
  await waitFor(
    "a vain attempt",
    () => /cannot connect \(no server runs at that address\), recon/.test(anna.stderr),
  );
  await using again = await startServer(["--sqlite", `${folder}/chat.db`], { port: server.port });
  await waitFor("the client to be back", () => anna.stderr.includes("resumed"));
  await again.kill();
  await waitFor(
    "the failure",
    () =>
      /connection lost \(.*\), reconnecting in .* s; what you write is kept and sent then/.test(anna.stderr),
  );
  assertEquals(/os error|another/i.test(anna.stderr + li.stderr), false, anna.stderr);
});

Deno.test("a reader that goes away ends the client", async () => {
  await using fixture = await startWithUsers();
  const command = (await clientCommand(fixture.server.port)).map((word) => `'${word}'`).join(" ");
  const script = `${command} | { head -n 1; echo the reader is gone >&2; }`;
  await using client = new ClientProcess(["sh", "-c", script], fixture);
  await client.type("1\n1\npw1\n");
  await client.says("logged in as anna (1)");
  await waitFor("the reader to be gone", () => client.stderr.includes("the reader is gone"));
  await client.type("help\n");
  assertEquals(await client.exited(), 0);
});

/** Takes TLS connections and passes on to a server what is inside. */
function startTlsProxy(port: number, { cert, key }: { cert: string; key: string }): Deno.TlsListener {
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  (async () => {
    for await (const conn of listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      // Either side may break off: that is what some of the connections are for.
      Promise.allSettled([conn.readable.pipeTo(server.writable), server.readable.pipeTo(conn.writable)]);
    }
  })();
  return listener;
}

Deno.test("the client speaks TLS, and trusts what it is told to", async () => {
  await using fixture = await startWithUsers();
  const { authority, certificate, key } = await makeCertificate(fixture.folder);
  using proxy = startTlsProxy(fixture.server.port, {
    cert: await Deno.readTextFile(certificate),
    key: await Deno.readTextFile(key),
  });
  const { port } = proxy.addr;
  const trusting = await runScript({ port }, ["1", "1", "pw1", "chat:2:over TLS"], {
    ...fixture,
    args: ["--tls", "--tls-ca", authority],
  });
  assertEquals(trusting.code, 0, trusting.stdout + trusting.stderr);
  assertStringIncludes(trusting.stdout, "✓ #1 to user 2: over TLS");
  const doubting = await runScript({ port }, ["3"], { ...fixture, args: ["--tls"] });
  assertEquals(doubting.code, 69);
});

Deno.test("in a group nobody has got what was said before, and history says what was said when it came", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  await using anna = await startClient(server.port, fixture);
  await anna.type("1\n1\npw1\ncreategroup:devs:\ngroupchat:1:alone\n");
  await anna.says("✓ #2 to devs (g1): alone");
  await using li = await startClient(server.port, fixture);
  await li.type("1\n2\npw2\naddgroup:1\ngroupchat:1:hello\n");
  await anna.says(": hello");
  await anna.type("groupchat:1:welcome\n");
  await anna.says("✓✓ #5 delivered to li (2) in devs (g1)");
  await anna.type("history:g1\n");
  await anna.says(": welcome ✓✓ delivered to 1");
  assertMatch(anna.stdout, /^#2 .* anna \(1\): alone ✓$/m);
  assertEquals(anna.stdout.includes("✓✓ #2"), false, anna.stdout);
  assertEquals([await li.end(), await anna.end()], [0, 0]);
});

const hasTerminal = Deno.build.os === "linux" && isOnPath("script") && isOnPath("stty");
if (!hasTerminal) console.log("Ignored: tests on a terminal need util-linux' script and stty");

/** A test on a real terminal. */
function terminalTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !hasTerminal, fn });
}

/** The client has given the terminal back as it was. */
function assertGivenBack(client: ClientProcess, exitCode: number): void {
  const end = client.stdout.slice(client.stdout.lastIndexOf("exit code"));
  assertStringIncludes(end, `exit code ${exitCode}\r\n`);
  for (const mode of ["icanon", "echo", "isig", "icrnl"]) assertMatch(end, new RegExp(`[ \\n]${mode}[ \\r]`));
  assert(client.stdout.lastIndexOf("\x1b[?2004l") > client.stdout.lastIndexOf("\x1b[?2004h"));
}

terminalTest("a person logs in unseen, types while messages arrive, and leaves a tidy terminal", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  await using anna = await startClientOnTerminal(server.port, fixture);
  await anna.says("name: ");
  await anna.type("1\r");
  await anna.says("password: ");
  await anna.type("pw1\r");
  await anna.says("anna> ");
  const longLine = "chat:2:a line that is longer than the terminal is wide, with 中文 in it, to the end";
  await anna.type(longLine.slice(0, 30));
  await waitFor("the echo", () => drawn(anna.stdout).at(-1) === `anna> ${longLine.slice(0, 30)}`);
  const li = await runScript(server, ["1", "2", "pw2", "chat:1:in between"], fixture);
  assertEquals(li.code, 0);
  await anna.says("li: in between");
  await waitFor(
    "the prompt to be drawn again",
    () => drawn(anna.stdout).at(-1) === `anna (1 unread)> ${longLine.slice(0, 30)}`,
  );
  await anna.type(longLine.slice(30));
  await waitFor("the line to scroll", () => drawn(anna.stdout).at(-1)?.endsWith("to the end"));
  await anna.type("\x1b[200~, pasted\rquit\r\x1b[201~\x01\x1b[C\x1b[C\x05!\r");
  await anna.says("✓ #2 to li (2): ");
  const shown = await runScript(server, ["1", "2", "pw2"], fixture);
  assertEquals(textsFrom("anna", shown.stdout), [`${longLine.slice(7)}, pasted\\nquit!`]);
  await anna.type("\x1b[A");
  await waitFor("the line before", () => drawn(anna.stdout).at(-1)?.endsWith("quit!"));
  await anna.type("\x15quit\r");
  await anna.says("rows 20");
  await anna.exited();
  assertGivenBack(anna, 0);
  assertEquals(anna.stdout.includes("pw1"), false);
});

terminalTest(
  "what a script has received is delivered, and still unread for the person who comes next",
  async () => {
    await using fixture = await startWithUsers();
    const { server, folder, dataFolder } = fixture;
    await using anna = await startClient(server.port, fixture);
    await anna.type("1\n1\npw1\n");
    await anna.says("logged in");
    for (const [place, seq] of [[dataFolder, 1], [`${folder}/elsewhere`, 2]] as const) {
      const text = `swallowed ${seq}`;
      // What is said before a device is there it has not received.
      await runScript(server, ["1", "2", "pw2"], { dataFolder: place });
      await anna.type(`chat:2:${text}\n`);
      await anna.says(`✓ #${seq} to`);
      const script = await runScript(server, ["1", "2", "pw2"], { dataFolder: place });
      assertEquals(textsFrom("anna", script.stdout), [text]);
      await anna.says(new RegExp(`✓✓ #${seq} delivered to`));
      const again = await runScript(server, ["1", "2", "pw2"], { dataFolder: place });
      assertEquals(textsFrom("anna", again.stdout), [], "the next script has had it");
      assertEquals(anna.stdout.includes(`#${seq} read by`), false, anna.stdout);
      await using li = await startClientOnTerminal(server.port, {
        ...fixture,
        args: ["--user", "2"],
        env: { CHAT_PASSWORD: "pw2", NO_COLOR: "1" },
      });
      await li.says("unread in 1");
      await li.type("/next\r");
      await li.says(`anna: ${text}`);
      await anna.says(`✓✓ #${seq} read by`);
      await li.type("/quit\r");
      await li.exited();
    }
    assertEquals(await anna.end(), 0);
  },
);

terminalTest(
  "a session that is taken over elsewhere ends in the menu, and does not come back by itself",
  async () => {
    await using fixture = await startWithUsers(["--duplicate-login", "replace"]);
    const { server } = fixture;
    const inVersion1 = { ...fixture, args: ["--v1"] };
    await using anna = await startClientOnTerminal(server.port, inVersion1);
    await anna.says("choice: ");
    await anna.type("1\r1\rpw1\r");
    await anna.says("anna> ");
    await anna.type("half a li");
    await using elsewhere = await startClient(server.port, inVersion1);
    await elsewhere.type("1\n1\npw1\n");
    await elsewhere.says("logged in as anna (1)");
    await anna.says("! logged out: ");
    await waitFor("the menu", () => drawn(anna.stdout).at(-1) === "choice: ");
    assertEquals(await elsewhere.end(), 0);
    await anna.type("3\r");
    await anna.says("rows 20");
    await anna.exited();
    assertGivenBack(anna, 0);
  },
);

terminalTest("Ctrl-C, Ctrl-D and SIGTERM leave a tidy terminal, wherever the client is", async () => {
  await using fixture = await startWithUsers();
  const { server } = fixture;
  for (const [keys, way, code] of [["", "\x03", 0], ["1\r", "\x04", 0], ["1\r1\r", "\x03", 0]] as const) {
    await using client = await startClientOnTerminal(server.port, fixture);
    await client.says("name: ");
    await client.type(keys);
    await client.type(way);
    await client.says("rows 20");
    await client.exited();
    assertGivenBack(client, code);
  }
  await using client = await startClientOnTerminal(server.port, fixture);
  await client.says("name: ");
  Deno.kill(Number(/pid (\d+)/.exec(client.stdout)?.[1]), "SIGTERM");
  await client.says("rows 20");
  await client.exited();
  assertGivenBack(client, 143);
});

Deno.test("a code of the operator's sets a password, once", async () => {
  await using site = await startWithUsers();
  const command = ["admin", "password", "anna", "--code", "--json", "--sqlite", `${site.folder}/chat.db`];
  const { code } = JSON.parse((await runProgram(command)).stdout);
  const script = [
    "code",
    code.toLowerCase(),
    "pw3",
    "code",
    code,
    "pw4",
    "login",
    "anna",
    "pw3",
    "/logout",
    "quit",
  ];
  const { stdout, stderr } = await runScript(site.server, script, { dataFolder: site.dataFolder });
  assertStringIncludes(stdout, "the password of anna (1) is set\n");
  const told = stdout + stderr;
  assertStringIncludes(told, "code: This code is not good");
  assertEquals(told.includes("login:"), false, told);
});
