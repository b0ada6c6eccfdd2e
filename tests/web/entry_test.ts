import { assertEquals } from "@std/assert";
import { ChatClient, logIn } from "../support/chat_client.ts";
import { browserTest } from "../support/chromium.ts";
import { AppSite, SECRET } from "./app_site.ts";

browserTest(
  "where signing up needs an invitation the page asks for it, and says what is wrong with one",
  async () => {
    await using site = await AppSite.start("--signup", "invite");
    const [invitation = ""] = (await site.admin("invite")).split("\n");
    await using one = await site.chromium.browser();
    const page = await one.open(site.url);
    await page.click(".entry-foot .link");
    await page.fill("input[name=username]", "ann");
    await page.fill("input[name=password]", SECRET);
    await page.press("Enter");
    await page.see("asks for an invitation code");
    // The field has the focus.
    await page.type("no such code");
    await page.press("Enter");
    await page.see("This code is not valid");
    await page.fill("input[name=code]", invitation);
    await page.press("Enter");
    await page.waitFor("document.querySelector('.shell')");
    assertEquals(page.complaints, []);
  },
);

browserTest(
  "notifications are asked for in place, once a message came unseen, and only until one has answered",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    const ann = await site.enter(one, "ann");
    await using li = await ChatClient.connect(site.port);
    await logIn(li, await site.signUp("li"), { v: 3 });
    const away = "document.hasFocus = () => false";
    await ann.evaluate(`Notification.requestPermission = () => console.error('asked on load'), ${away}`);
    await li.request({ msgid: 6, toid: 1, msg: "are you there?" });
    await ann.see("A message came while you were away", ".banner");
    await ann.click(".banner button:last-child");
    await ann.waitFor("document.querySelector('.banner').hidden");
    await ann.reload();
    await ann.waitFor("document.querySelector('.shell')");
    await ann.evaluate(away);
    await li.request({ msgid: 6, toid: 1, msg: "and now?" });
    await ann.see("and now?", ".list");
    assertEquals(await ann.evaluate("document.querySelector('.banner').hidden"), true);
    assertEquals(ann.complaints, []);
  },
);
