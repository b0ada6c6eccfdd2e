import { assert, assertEquals } from "@std/assert";
import { browserTest } from "../support/chromium.ts";
import { ChatClient, logIn, TIME } from "../support/chat_client.ts";
import { AppSite, countKept, logOut, openConversation, say, SECRET, STORED, texts } from "./app_site.ts";

const READ = "document.querySelectorAll('.row .tick.read').length";

browserTest("two people sign up and talk; a reload shows at once what was said", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  await using two = await site.chromium.browser();
  const ann = await site.enter(one, "Ann Lee");
  const li = await site.enter(two, "Li Wei");
  await openConversation(ann, "u1-2");
  await say(ann, "hello");
  await say(ann, "see https://example.com/a?b=1 and `code`");
  await ann.waitFor(`${STORED} === 2`);
  // The other one sees who wrote what, and how much, before it is opened.
  await li.see("Ann Lee", ".list");
  await li.see("see https://example.com", ".list");
  assertEquals(await li.text(".list .badge"), "2");
  await li.waitFor("document.title.startsWith('(2)')");
  assertEquals(await ann.count(".tick.read"), 0);
  await li.click(".item");
  await li.waitFor(`${STORED} === 2`);
  await ann.waitFor(`${READ} === 2`);
  assertEquals(await li.count(".list .badge"), 0);
  assertEquals(
    await li.evaluate("(({ href, rel, target }) => [href, rel, target])(document.querySelector('.text a'))"),
    ["https://example.com/a?b=1", "noopener noreferrer", "_blank"],
  );
  assertEquals(await li.text(".text code"), "code");
  await say(li, "hi Ann");
  await ann.see("hi Ann", ".log");
  await ann.reload();
  await ann.waitFor(`${STORED} === 3`);
  assertEquals(await texts(ann), ["hello", "see ", "hi Ann"]);
  for (const page of [ann, li]) {
    assertEquals(page.complaints, []);
    assertEquals(page.requests.filter((url) => !url.startsWith(site.url)), []);
    assertEquals(page.requests.filter((url) => /[?&#].*token/.test(url)), []);
  }
});

browserTest(
  "what is written while the node is dead is sent when it is back, once, also after a reload",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    await using two = await site.chromium.browser();
    const ann = await site.enter(one, "ann");
    const li = await site.enter(two, "li");
    await openConversation(ann, "u1-2");
    await openConversation(li, "u1-2");
    await say(ann, "before");
    await ann.waitFor(`${READ} === 1`);
    await site.killNode();
    await say(ann, "while it is dead");
    await say(ann, "and more");
    await ann.see("2 messages wait", ".banner");
    assertEquals(await ann.count(".row[data-cid] .tick"), 2);
    await site.startNode();
    // It may have come back by itself.
    await ann.evaluate("document.querySelector('.banner button')?.click()");
    await ann.waitFor(`${STORED} === 3`, 40_000);
    await li.waitFor(`${STORED} === 3`, 40_000);
    assertEquals(await texts(li), ["before", "while it is dead", "and more"]);
    await ann.waitFor("document.querySelector('.banner').hidden");
    // The page goes before anything could be sent.
    await site.killNode();
    await say(ann, "kept");
    await ann.waitFor("document.querySelectorAll('.row[data-cid]').length === 1");
    await ann.evaluate("new Promise((resolve) => setTimeout(resolve, 100))");
    await site.startNode();
    await ann.reload();
    await ann.waitFor(`${STORED} === 4`, 40_000);
    await li.waitFor(`${STORED} === 4`, 40_000);
    assertEquals(await texts(li), ["before", "while it is dead", "and more", "kept"]);
  },
);

browserTest(
  "messages are answered, reacted to, edited, pinned and deleted, and everybody sees it",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    await using two = await site.chromium.browser();
    const ann = await site.enter(one, "ann");
    const li = await site.enter(two, "li");
    await openConversation(ann, "u1-2");
    await openConversation(li, "u1-2");
    await say(ann, "first");
    await li.waitFor(`${STORED} === 1`);
    await li.hover(".row[data-seq]");
    await li.click(".row-tools .icon-button:nth-child(2)");
    await li.see("Reply to", ".context");
    await li.type("an answer");
    await li.press("Enter");
    await ann.waitFor("document.querySelector('.quote')?.innerText.includes('first')");
    await ann.hover(".row .quote");
    await ann.click(".row-tools .icon-button:nth-child(1)");
    await ann.click(".emoji-grid button:nth-child(3)");
    await li.waitFor("document.querySelector('.reaction')?.innerText.includes('❤️')");
    // The last own message comes back by the arrow key, in an empty field.
    await ann.click(".composer textarea");
    await ann.press("ArrowUp");
    await ann.waitFor("document.querySelector('.composer textarea').value === 'first'");
    await ann.type(", but better");
    await ann.press("Enter");
    await li.see("first, but better", ".log");
    await li.see("edited", ".log");
    await li.click(".edited");
    await li.see("first, but better", "dialog");
    assertEquals(await li.count("dialog .text"), 2);
    await li.press("Escape");
    await ann.evaluate("document.querySelector('.log').focus()");
    await ann.press("k");
    await ann.press("p");
    await li.see("Pinned", ".log");
    await ann.reload();
    await ann.waitFor(`${STORED} === 2`);
    await ann.see("Pinned", ".log");
    assertEquals(await ann.count(".reaction[aria-pressed=true]"), 1);
    await ann.evaluate("document.querySelector('.log').focus()");
    await ann.press("k");
    await ann.press("k");
    await ann.press(".");
    await ann.press("End");
    await ann.press("Enter");
    await ann.click("dialog .button.danger");
    await li.see("This message was deleted", ".log");
    await ann.see("You deleted this message", ".log");
    assertEquals([ann.complaints, li.complaints], [[], []]);
  },
);

browserTest("somebody is found by the beginning of the name, and jumped to", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  await site.signUp("Li Wei");
  await site.signUp("Lina");
  await ann.click(".side-head .icon-button");
  await ann.press("Enter");
  await ann.waitFor("document.activeElement?.matches('dialog input')");
  await ann.type("li");
  await ann.waitFor("document.querySelectorAll('dialog .line').length === 2");
  await ann.type(" w");
  await ann.waitFor("document.querySelectorAll('dialog .line').length === 1");
  await ann.press("Enter");
  await ann.waitFor("location.hash === '#u1-2'");
  await ann.see("Li Wei", ".talk-head");
  await ann.press("Control+k");
  await ann.waitFor("document.activeElement?.matches('dialog input')");
  await ann.type("lina");
  await ann.waitFor("document.querySelector('dialog .line')?.innerText.includes('Lina')");
  await ann.press("Enter");
  await ann.waitFor("location.hash === '#u1-3'");
  assertEquals(ann.complaints, []);
});

browserTest("in a group one sees who wrote, who is named, and how many have read it", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  const liId = await site.signUp("li");
  await using li = await ChatClient.connect(site.port);
  await logIn(li, liId, { v: 3 });
  await li.request({ msgid: 8, groupname: "lunch", groupdesc: "where and when", join: "open" });
  await ann.click(".side-head .icon-button");
  await ann.press("End");
  await ann.press("Enter");
  await ann.waitFor("document.querySelector('dialog form')");
  await ann.type("1");
  await ann.press("Enter");
  await ann.waitFor("location.hash === '#g1'");
  await ann.see("You joined", ".log");
  await say(ann, "who is in?");
  await ann.waitFor(`${STORED} === 1`);
  await li.request({ msgid: 13, conversation: "g1", seq: 3 });
  await ann.see("read by 1", ".log");
  await openConversation(ann, "u1-2");
  await li.request({ msgid: 10, groupid: 1, msg: "I am, @ann, and you?", mentions: [1] });
  await ann.see("li: I am", ".list");
  await ann.waitFor("document.querySelectorAll('.list .badge').length === 2");
  await openConversation(ann, "g1");
  await ann.waitFor("document.querySelector('.row.mentions-me .mention.me')?.innerText === '@ann'");
  await ann.waitFor("document.querySelector('.new-line')");
  assertEquals(ann.complaints, []);
});

browserTest("a network that goes away and a page that sleeps cost no message", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  const liId = await site.signUp("li");
  await using li = await ChatClient.connect(site.port);
  await logIn(li, liId, { v: 3 });
  const speak = (msg: string) => li.request({ msgid: 6, toid: 1, msg });
  await openConversation(ann, "u1-2");
  await speak("one");
  await ann.see("one", ".log");
  await ann.setOffline(true);
  await say(ann, "written without a network");
  await speak("two");
  await ann.setOffline(false);
  await ann.see("two", ".log");
  await ann.waitFor("document.querySelectorAll('.row[data-seq] .tick').length === 1", 60_000);
  await ann.send("Page.setWebLifecycleState", { state: "frozen" });
  await speak("three");
  await site.killNode();
  await site.startNode();
  await ann.send("Page.setWebLifecycleState", { state: "active" });
  await ann.waitFor(`${STORED} === 4`, 60_000);
  assertEquals((await texts(ann)).sort(), ["one", "three", "two", "written without a network"]);
});

browserTest("a draft is there again after a reload, and in its conversation only", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  await site.signUp("li");
  await openConversation(ann, "u1-2");
  await ann.click(".composer textarea");
  await ann.type("not yet sent");
  await ann.evaluate("new Promise((resolve) => setTimeout(resolve, 600))");
  // What is pasted and sent as several messages is not what is typed.
  await ann.evaluate(`(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "one line\\n\\n".repeat(30));
    const paste = new ClipboardEvent("paste", { clipboardData, cancelable: true });
    document.querySelector(".composer textarea").dispatchEvent(paste);
  })()`);
  await ann.see("You paste a long text", "dialog");
  await ann.click("dialog .dialog-foot .button:nth-child(2)");
  await ann.see("It is sent as 30 messages", "dialog");
  await ann.press("Enter");
  await ann.waitFor(`${STORED} === 30`);
  await ann.reload();
  await ann.waitFor("document.querySelector('.composer textarea')?.value === 'not yet sent'");
  await openConversation(ann, "u1-1");
  await ann.waitFor("document.querySelector('.composer textarea').value === ''");
  await ann.see("Draft: not yet sent", ".list");
});

browserTest("of two tabs the one that is looked at is connected; what either says arrives once", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  await using two = await site.chromium.browser();
  const first = await site.enter(one, "ann");
  const li = await site.enter(two, "li");
  await openConversation(li, "u1-2");
  await openConversation(first, "u1-2");
  await say(first, "from the first");
  await first.waitFor(`${STORED} === 1`);
  const second = await one.open(`${site.url}#u1-2`);
  await second.see("Chat is open in another tab", ".banner");
  await second.see("from the first", ".log");
  await second.click(".banner button");
  await first.see("Chat is open in another tab", ".banner");
  await second.waitFor("document.querySelector('.banner').hidden");
  await say(second, "from the second");
  await second.waitFor(`${STORED} === 2`);
  await second.close();
  await first.see("from the second", ".log");
  await say(first, "from the first again");
  await li.waitFor(`${STORED} === 3`);
  assertEquals(await texts(li), ["from the first", "from the second", "from the first again"]);
});

browserTest("who logs out leaves nothing behind in the browser", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  await site.signUp("li");
  await openConversation(ann, "u1-2");
  await say(ann, "remember this");
  await ann.waitFor(`${STORED} === 1`);
  await logOut(ann);
  assertEquals(await countKept(ann), 0);
});

browserTest("nothing that people choose is markup, whatever it looks like", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  await using two = await site.chromium.browser();
  const attacks = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    'https://example.com/"onmouseover=alert(1)//',
    "http://good.example@evil.example/",
    "data:text/html,<script>alert(1)</script>",
    "file:///etc/passwd",
    "`<b>code</b>` @<img src=x>",
    "```\n</pre><script>alert(1)</script>\n```",
    "{{constructor.constructor('alert(1)')()}}",
    "&lt;b&gt; \u202etxt.exe \u2066<i>",
  ];
  const name = "<img src=x onerror=alert`1`>";
  const ann = await site.enter(one, name);
  const li = await site.enter(two, "li");
  await ann.evaluate(
    "addEventListener('error', (event) => console.error(event.message)); window.alert = () => console.error('alert')",
  );
  await li.evaluate("window.alert = () => console.error('alert')");
  await openConversation(ann, "u1-2");
  for (const attack of attacks) await say(ann, attack.replaceAll("\n", " "));
  await ann.waitFor(`${STORED} === ${attacks.length}`);
  await li.click(".item");
  await li.waitFor(`${STORED} === ${attacks.length}`);
  assertEquals((await li.text(".talk-head h1")).trim(), name);
  for (const page of [ann, li]) {
    // What the page itself makes, and nothing else.
    assertEquals(
      await page.count(".log script, .log img, .log iframe, .log b, .log i, .list img, .talk-head img"),
      0,
    );
    const links = await page.evaluate<string[]>(
      "[...document.querySelectorAll('.log a')].map(({ href }) => href)",
    );
    assertEquals(links, ["https://example.com/"]);
    assertEquals(page.complaints, []);
  }
  await li.evaluate("document.querySelector('.side-head .icon-button').click()");
  await li.press("ArrowDown");
  await li.press("Enter");
  await li.type("<b onclick=alert`1`>group</b>");
  await li.press("Tab");
  await li.type("<script>alert(2)</script>");
  await li.press("Enter");
  await li.waitFor("location.hash === '#g1'");
  await li.see("<script>alert(2)</script>", ".log");
  assertEquals(await li.count(".log script, .list b, .talk b"), 0);
  assertEquals(li.complaints, []);
});

browserTest("everything goes by the keyboard alone", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  await site.signUp("li");
  await site.signUp("wu");
  const page = await one.open(site.url);
  // Signing up: the name has the focus; the way to the form for new accounts is two tabs behind.
  await page.waitFor("document.activeElement?.name === 'username'");
  for (let tab = 0; tab < 3; tab++) await page.press("Tab");
  await page.press("Enter");
  await page.waitFor("document.querySelector('h1').innerText === 'Create account'");
  await page.type("ann");
  await page.press("Tab");
  await page.type(SECRET);
  await page.press("Enter");
  await page.waitFor("document.querySelector('.shell')");
  await openConversation(page, "u1-3");
  await page.waitFor(
    "document.activeElement?.tagName === 'TEXTAREA' || (document.querySelector('textarea').focus(), false)",
  );
  for (const text of ["one", "two", "three"]) {
    await page.type(text);
    await page.press("Enter");
  }
  await page.waitFor(`${STORED} === 3`);
  await openConversation(page, "u2-3");
  await page.press("Control+k");
  await page.waitFor("document.querySelector('dialog.jump')");
  await page.press("Escape");
  await page.waitFor("!document.querySelector('dialog')");
  await page.press("Alt+ArrowDown");
  await page.waitFor("location.hash === '#u1-3'");
  await page.press("Escape");
  await page.evaluate("document.querySelector('.log').focus()");
  await page.press("k");
  await page.press("k");
  assertEquals(await page.evaluate("document.activeElement.querySelector('.text').firstChild.data"), "two");
  await page.press("j");
  assertEquals(await page.evaluate("document.activeElement.querySelector('.text').firstChild.data"), "three");
  await page.press("r");
  await page.see("Reply to", ".context");
  await page.type("an answer");
  await page.press("Enter");
  await page.waitFor("document.querySelectorAll('.row .quote').length === 1");
  await page.press("Escape");
  assert(await page.evaluate("document.activeElement.closest('.side') !== null"));
  await page.press("?");
  await page.waitFor("document.querySelector('dialog .keys')");
  assertEquals(page.complaints, []);
});

browserTest("no width, theme, language or direction of text breaks the page", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const page = await site.enter(one, "ann");
  await site.signUp("W".repeat(50));
  await openConversation(page, "u1-2");
  const long = ["x".repeat(3000), "שלום עולם 123 https://example.com/" + "y".repeat(300), "汉字".repeat(200)];
  for (const text of long) await say(page, text);
  await page.waitFor(`${STORED} === 3`);
  const overflowing = `[...document.querySelectorAll('body *')].filter((element) => {
    const { left, right, width } = element.getBoundingClientRect();
    return width > 0 && element.checkVisibility() && !element.matches('.unseen, .unseen *, pre, pre *') &&
      (right > innerWidth + 1 || left < -1);
  }).map(({ className }) => className)`;
  for (const width of [320, 699, 700, 1099, 1100, 1920]) {
    for (const scheme of ["light", "dark"] as const) {
      await page.look({ width, height: 640, scheme, isPhone: width === 320 });
      await page.evaluate(
        "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))",
      );
      assertEquals(await page.evaluate(overflowing), [], `${width} ${scheme}`);
    }
    assert(await page.evaluate("document.querySelector('.text').getBoundingClientRect().width < 72 * 15"));
  }
  assertEquals(
    await page.evaluate("getComputedStyle(document.querySelectorAll('.text')[1]).direction"),
    "rtl",
  );
  assertEquals(page.complaints, []);
});

browserTest("a conversation of 20 000 messages scrolls like one of 200", async () => {
  const count = 20_000;
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const page = await site.enter(one, "ann");
  const liId = await site.signUp("li");
  {
    await using client = await ChatClient.connect(site.port);
    await logIn(client, liId);
    const frames = Array.from({ length: count }, (_, index) => {
      const msg = `message ${index + 1} ${"and more ".repeat(index % 7)}`;
      return JSON.stringify({ msgid: 6, id: liId, name: "li", toid: 1, msg, time: TIME });
    });
    for (let index = 0; index < count; index += 500) {
      await client.send(frames.slice(index, index + 500).join("\0"));
    }
    await client.send({ msgid: 3, id: liId });
    await client.closeWrite();
    await client.receiveRest(120_000);
  }
  await page.see(`message ${count}`, ".list");
  await page.waitFor("document.title.startsWith('(99+)')");
  await page.reload();
  await page.click(".item");
  await page.waitFor("document.querySelector('.row')");
  await page.evaluate("document.querySelector('.jump-down').click()");
  await page.see(`message ${count}`, ".log");
  // All of it is fetched by going up, again and again.
  await page.waitFor(
    `(document.querySelector('.log').scrollTop = 0, /message 1 ?$/m.test(document.querySelector('.log').innerText))`,
    120_000,
  );
  const drawn = await page.count(".row");
  assert(drawn < 150, `${drawn} rows are in the page`);
  const times = await page.evaluate<number[]>(`(async () => {
    const log = document.querySelector(".log");
    const times = [];
    for (let step = 0; step < 40; step++) {
      const before = performance.now();
      log.scrollTop += 700;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      times.push(performance.now() - before);
    }
    return times.sort((a, b) => a - b);
  })()`);
  const median = times[20] ?? 0;
  assert(median < 100, `${median} ms for a screen`);
  assert(await page.count(".row") < 150);
  await page.press("End");
  await page.evaluate("document.querySelector('.jump-down').click()");
  await page.see(`message ${count}`, ".log");
  assertEquals(page.complaints, []);
});
