// deno-lint-ignore-file no-control-regex -- reads what is written to a terminal
/** Conversations at a real terminal, against a real server. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { isOnPath, temporaryFolder, waitFor } from "../../support/process.ts";
import { type Server, startServer } from "../../support/services.ts";
import { type ClientProcess, drawn, startClientOnTerminal } from "./client_process.ts";

const hasTerminal = Deno.build.os === "linux" && isOnPath("script") && isOnPath("stty");
if (!hasTerminal) console.log("Ignored: tests on a terminal need util-linux' script and stty");

function terminalTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !hasTerminal, fn });
}

const PASSWORD = "a long secret";

interface Size {
  columns: number;
  rows: number;
}

/** A server, and a folder in which each user of a terminal has a folder. */
async function startSite() {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const server = stack.use(await startServer(["--sqlite", `${folder.path}/chat.db`]));
  const moved = stack.move();
  return { server, folder: folder.path, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

function open(
  { server, folder }: { server: Server; folder: string },
  name: string,
  size: Size,
  env: Record<string, string> = { NO_COLOR: "1" },
): Promise<ClientProcess> {
  return startClientOnTerminal(server.port, { dataFolder: `${folder}/${name}`, env, ...size });
}

/** Signs up at the first prompt; the users of a server get the ids 1, 2 and so on. */
async function register(client: ClientProcess, name: string): Promise<void> {
  await client.says("name: ");
  await client.type(`/register\r${name}\r${PASSWORD}\r`);
  await client.says(`logged in as ${name}`);
  await client.says(`${name}> `);
}

/** What stands on the screen as one text, rows that go on joined. */
function screen(client: ClientProcess): string {
  return drawn(client.stdout).join("\n").replaceAll(/\n {8}/g, "");
}

async function shows(client: ClientProcess, what: RegExp): Promise<void> {
  await waitFor(`${what} on the screen`, () => what.test(screen(client))).catch((cause) => {
    throw new Error(`It shows:\n${drawn(client.stdout).slice(-30).join("\n")}`, { cause });
  });
}

for (const size of [{ columns: 80, rows: 24 }, { columns: 40, rows: 12 }]) {
  terminalTest(
    `a first conversation at ${size.columns}×${size.rows}: one row a message, its marks where it stands`,
    async () => {
      await using site = await startSite();
      await using ann = await open(site, "ann", size);
      await register(ann, "ann");
      await using li = await open(site, "li", size);
      await register(li, "li");
      await ann.type("/chat li\r");
      await shows(ann, /ann → li> $/);
      await ann.type("hello, are you there?\r");
      await shows(ann, /^\d\d:\d\d #1 ann: hello, are you there\? ✓✓$/m);
      await shows(li, /^\d\d:\d\d ann: hello, are you there\?$/m);
      await shows(li, /li \(1 unread\)> $/);
      await li.type("/next\r");
      await shows(li, /^\d\d:\d\d #1 ann: hello, are you there\?$/m);
      await shows(ann, /^\d\d:\d\d #1 ann: hello, are you there\? ✓✓ read$/m);
      assertEquals(screen(ann).match(/hello, are you there/g)?.length, 1, "the row is drawn where it stands");
      await li.type("hi ann: 中文 👍 and more than goes into one row of a terminal of any width\r");
      await shows(ann, /^\d\d:\d\d #2 li: hi ann: 中文 👍 and more than goes into one row/m);
      await shows(ann, /ann → li> $/);
      await shows(li, /any width ✓✓ read$/m);
      for (const client of [ann, li]) {
        await client.type("\x03");
        await client.says("Ctrl-C again leaves");
        await client.type("\x03");
        await client.says("exit code 0");
        await client.exited();
      }
    },
  );
}

terminalTest("while the server is away the prompt says so, and what is written waits beside it", async () => {
  await using site = await startSite();
  const size = { columns: 80, rows: 24 };
  await using ann = await open(site, "ann", size);
  await register(ann, "ann");
  await ann.type("/chat 1\r");
  await shows(ann, /ann → ann> $/);
  const { port } = site.server;
  await site.server.kill();
  await shows(ann, /ann → ann \(offline\)> $/);
  await ann.type("a note\r");
  await shows(ann, /^\d\d:\d\d ann: a note …$/m);
  await shows(ann, /ann → ann \(offline, 1 waiting\)> $/);
  await ann.type("\x03");
  await shows(ann, /1 of your messages are not sent and are kept/);
  await using again = await startServer(["--sqlite", `${site.folder}/chat.db`], { port });
  await ann.type("/reconnect\r");
  await shows(ann, /^\d\d:\d\d #1 ann: a note ✓✓ read$/m);
  await shows(ann, /ann → ann> $/);
  assertEquals(again.port, port);
  await ann.type("/quit\r");
  await ann.exited();
});

terminalTest(
  "Tab completes commands and names, what was pasted in lines is asked about, and errors say what to type",
  async () => {
    await using site = await startSite();
    const size = { columns: 80, rows: 24 };
    await using ann = await open(site, "ann", size);
    await register(ann, "ann");
    await using bob = await open(site, "bob", size);
    await register(bob, "Bob Ray");
    await ann.type("addfriend:2\r");
    await ann.says("Bob Ray (2) is on your list of friends");
    await ann.type("words for nobody\r");
    await shows(ann, /! no conversation is open: \/chat NAME opens one/);
    await ann.type("/chat nobody\r");
    await shows(ann, /! nobody is called "nobody"/);
    await ann.type("/nothing\r");
    await shows(ann, /! there is no \/nothing; \/help lists what there is/);
    await ann.type("/re\t\t");
    await shows(ann, /\/reply {2}\/recall {2}\/react {2}\/remove {2}\/revoke {2}\/reconnect/);
    await ann.type("\x15/chat bo\t\r");
    await shows(ann, /ann → Bob Ray> $/);
    await ann.type("\x1b[200~one\rtwo\x1b[201~\r");
    await shows(ann, /2 lines: one message \(o\), several \(s\), or none of it \(n\)\?\no, s or n: $/);
    await ann.type("s\r");
    await shows(ann, /#1 ann: one ✓/);
    await shows(ann, /#2 ann: two ✓/);
    await ann.type("/help messages\r");
    await shows(ann, /\/reply \[#N\] TEXT/);
    assert(!/\/friends/.test(screen(ann)), "the help is by subject");
    await ann.type("/friends\r");
    await shows(ann, /^ {2}Bob Ray \(2\) \w+/m);
    await bob.type("/chats\r");
    await shows(bob, /^ {2}ann .* 2 unread .*: two$/m);
    await bob.type("/chat ann\r");
    await shows(bob, /Bob Ray → ann> $/);
    await ann.type("h");
    await shows(bob, /Bob Ray → ann \(ann is typing\)> $/);
    await ann.type("\x15");
    for (const client of [ann, bob]) {
      await client.type("/quit\r");
      await client.exited();
    }
  },
);

terminalTest("people have colours on a terminal, unless NO_COLOR or a dumb terminal forbids it", async () => {
  await using site = await startSite();
  const size = { columns: 80, rows: 24 };
  await using ann = await open(site, "ann", size, { TERM: "xterm", NO_COLOR: "" });
  await register(ann, "ann");
  await ann.type("/chat 1\rin colour\r");
  await shows(ann, /#1 ann: in colour ✓✓ read$/m);
  assertMatch(ann.stdout, /\x1b\[\d+mann\x1b\[0m/);
  await ann.type("/quit\r");
  await ann.exited();
  for (
    const [name, env] of [["bo", { TERM: "dumb", NO_COLOR: "" }], ["cy", {
      NO_COLOR: "1",
      TERM: "xterm",
    }]] as const
  ) {
    await using plain = await open(site, name, size, env);
    await register(plain, name);
    await plain.type(`/chat ${name}\rplain\r`);
    await shows(plain, new RegExp(`#1 ${name}: plain ✓✓ read$`, "m"));
    assertEquals(/\x1b\[\d*m/.test(plain.stdout), false);
    await plain.type("/quit\r");
    await plain.exited();
  }
});

terminalTest(
  "two terminals of one user are two devices: each has what the other says, and comes back by itself",
  async () => {
    await using site = await startSite();
    const size = { columns: 80, rows: 24 };
    await using ann = await open(site, "ann", size);
    await register(ann, "ann");
    await ann.type("/chat ann\rfrom the first\r");
    await shows(ann, /#1 ann: from the first ✓✓ read$/m);
    await using second = await open(site, "ann", size);
    await second.says("name: ");
    await second.type(`ann\r${PASSWORD}\r/chat ann\r`);
    await shows(second, /#1 ann: from the first ✓✓ read$/m);
    await second.type("from the second\r");
    await shows(second, /#2 ann: from the second ✓✓ read$/m);
    await shows(ann, /^\d\d:\d\d #2 ann: from the second ✓✓ read$/m);
    await second.type("/edit #1 from the other one\r");
    for (const client of [ann, second]) {
      await shows(client, /#1 ann: from the other one \(edited\) ✓✓ read$/m);
    }
    await second.type("/devices\r");
    await shows(second, /^ {2}\d+ \S.* terminal online\n {2}\d+ \S.* terminal this one$/m);
    for (const client of [ann, second]) {
      await client.type("/quit\r");
      await client.exited();
    }
    await using again = await open(site, "ann", size);
    await again.says("logged in as ann (1)");
    await again.type("/history\r/chat ann\r");
    await shows(again, /#1 ann: from the other one \(edited\) ✓✓ read$/m);
    await again.type("/logout\r");
    await again.says("logged out");
    await again.says("name: ");
    await again.type("/quit\r");
    await again.exited();
  },
);

terminalTest("a group is made, people come in by name and by a link, and one has to go", async () => {
  await using site = await startSite();
  const size = { columns: 80, rows: 24 };
  await using ann = await open(site, "ann", size);
  await register(ann, "ann");
  await using li = await open(site, "li", size);
  await register(li, "li");
  await using wu = await open(site, "wu", size);
  await register(wu, "wu");
  await ann.type("/invite li\r");
  await shows(ann, /\/invite: no group is open/);
  await ann.type("/create devs: who develop\r");
  await shows(ann, /the group devs \(g1\) is made, and open here; \/invite NAME/);
  await ann.type("/invite li\r");
  await shows(ann, /\/invite li: li has not added you as a friend/);
  await li.type("/add ann\r");
  await shows(li, /ann is on your list of friends/);
  await ann.type("/invite li\r");
  await shows(ann, /\* ann \(1\) added li \(2\)/);
  await shows(li, /\* ann \(1\) added li \(2\) in devs \(g1\)/);
  await ann.type("/link 1 2d\r");
  await shows(ann, /until \d{4}-\d\d-\d\d \d\d:\d\d, for 1; it is not shown again/);
  const [link] = /(?<=\n)[\w-]{22}(?=\s)/.exec(screen(ann)) ?? [];
  assert(link);
  await shows(li, /made the group one that is joined by link/);
  await wu.type(`/join https://chat.example/#join-${link}\r`);
  await shows(wu, /wu → devs> $/);
  await shows(wu, /devs \(g1, 3 members\): who develop/);
  await shows(ann, /\* wu \(3\) has joined/);
  await ann.type("/role li admin\r");
  await shows(ann, /\* ann \(1\) made li \(2\) admin/);
  await ann.type("/leave\r");
  await shows(ann, /Hand the group over to somebody else before you leave it: \/transfer NAME/);
  await li.type("/chat devs\r");
  await shows(li, /li → devs> $/);
  await li.type("/remove ann\r");
  await shows(li, /\/remove ann: Only the group's creator can remove an admin/);
  await li.type("/remove wu\r");
  await shows(wu, /\* li \(2\) removed wu \(3\) in devs \(g1\)/);
  await shows(wu, /wu> $/);
  await wu.type("/chat g1\r/members\r");
  await shows(wu, /\/members: There is no group 1/);
  await ann.type("/members\r");
  await shows(ann, /ann \(1\) online, creator\n {2}li \(2\) online, admin\n/);
  await ann.type("/group name makers\r");
  await shows(ann, /ann → makers> $/);
  await ann.type("/group\r");
  await shows(ann, /makers \(g1\): who develop\n {2}2 members; you are creator; one joins by a link/);
  await ann.type("/transfer li\r");
  await shows(li, /\* ann \(1\) made li \(2\) creator/);
  await ann.type("/leave\r");
  await shows(ann, /\* ann \(1\) has left in makers \(g1\)/);
  await li.type("/dissolve devs\r");
  await shows(li, /who means it says \/dissolve makers/);
  await li.type("/dissolve makers\r");
  await shows(li, /\* li \(2\) dissolved the group: nobody can write any more/);
  await li.type("/chats\r/groups\r");
  await shows(li, /no groups yet: \/create NAME makes one, \/join LINK joins one/);
});

terminalTest("one's own name, status, password and account, and what is muted", async () => {
  await using site = await startSite();
  await using ann = await open(site, "ann", { columns: 80, rows: 24 });
  await register(ann, "ann");
  await using li = await open(site, "li", { columns: 80, rows: 24 });
  await register(li, "li");
  await ann.type("/chat li\r");
  await shows(ann, /ann → li> $/);
  await ann.type("hello\r");
  await shows(ann, /hello ✓✓$/m);
  await ann.type("/mute 8h\r");
  await shows(ann, /^li is muted until /m);
  await ann.type("/mute off\r");
  await shows(ann, /^li is not muted any more$/m);
  await ann.type("/mute tomorrow\r");
  await shows(ann, /usage: \/mute \[1h/);
  await ann.type("/profile name Anna\r");
  await shows(ann, /^you are Anna \(1\)$/m);
  await ann.type("/profile status at sea\r");
  await shows(ann, /^you are Anna \(1\): at sea$/m);
  await shows(ann, /Anna → li> $/);
  await ann.type("/password\r");
  await shows(ann, /present password: $/);
  await ann.type(`${PASSWORD}\r`);
  await shows(ann, /new password: $/);
  await ann.type("another long secret\r");
  await shows(ann, /^the password is changed; all other devices are logged out$/m);
  await ann.type("/account export\r");
  await shows(ann, /"type":"user","id":1,"name":"Anna","status":"at sea"/);
  await ann.type("/account delete\r");
  await shows(ann, /password, or nothing: $/);
  await ann.type("another long secret\r");
  await shows(ann, /^your account is deleted$/m);
});
