import { assert, assertEquals } from "@std/assert";
import { browserTest, type Page } from "../support/chromium.ts";
import {
  AppSite,
  chooseOwn,
  countKept,
  logInto,
  openConversation,
  problem,
  say,
  SECRET,
  STORED,
} from "./app_site.ts";

/** Opens what asks for name and password. */
async function askToDelete(page: Page): Promise<void> {
  await chooseOwn(page, "Profile");
  await page.click("dialog .dialog-body > .button.danger");
  await page.see("your name is free", "dialog");
}

/** What the dialog that asks says is wrong. */
async function refusal(page: Page, name: string, password: string): Promise<string> {
  await page.fill("dialog input[type=text]", name);
  await page.fill("dialog input[type=password]", password);
  await page.press("Enter");
  return await problem(page);
}

browserTest(
  "who deletes the account says so by name and password; it is gone on every device, and here nothing is left of it",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    await using two = await site.chromium.browser();
    const ann = await site.enter(one, "Ann Lee");
    await using three = await site.chromium.browser();
    const li = await site.enter(three, "li", { language: "zh-CN" });
    await openConversation(ann, "u1-2");
    await say(ann, "remember this");
    await ann.waitFor(`${STORED} === 1`);
    await ann.evaluate("localStorage.setItem('prefs', '{\"hasDetails\":true}')");
    const hidden = await one.open(site.url);
    await hidden.see("Chat is open in another tab", ".banner");
    const other = await two.open(site.url);
    await logInto(other, "Ann Lee");
    await openConversation(ann, "u1-2");
    await ann.click(".composer textarea");
    await ann.type("not yet sent");

    await ann.send("Page.bringToFront");
    await askToDelete(ann);
    assertEquals(await refusal(ann, "Ann", SECRET), "That is not your name.");
    assertEquals(await refusal(ann, "Ann Lee", ""), "Type a password.");
    assertEquals(await refusal(ann, "Ann Lee", "wrong"), "This is not your password.");
    await ann.press("Escape");
    await say(ann, ", but now");
    await ann.waitFor(`${STORED} === 2`);

    await askToDelete(ann);
    await ann.fill("dialog input[type=text]", "Ann Lee");
    await ann.fill("dialog input[type=password]", SECRET);
    await ann.press("Enter");
    await ann.see("Your account is deleted", ".entry");
    assertEquals(await ann.evaluate("location.href"), site.url);
    assertEquals(await ann.evaluate("document.querySelector('input[name=username]').value"), "");
    assertEquals([await countKept(ann), await ann.evaluate("localStorage.length")], [0, 0]);
    // In the other tab and on the other device nobody is logged in either.
    await hidden.waitFor("document.querySelector('.entry')");
    await other.see("This device was logged out", ".entry");
    await ann.fill("input[name=username]", "Ann Lee");
    await ann.fill("input[name=password]", SECRET);
    await ann.press("Enter");
    await ann.see("The name or the password is wrong.");
    await ann.reload();
    await ann.waitFor("document.querySelector('.entry')");
    assert(!(await ann.text(".entry")).includes("deleted"));
    // What was said stays.
    await li.reload();
    await li.see("已注销用户", ".list");
    await li.click(".item");
    await li.see("remember this", ".log");
    // Nobody can be found who is not there any more.
    await li.click(".side-head .icon-button");
    await li.press("Enter");
    await li.waitFor("document.activeElement?.matches('dialog input')");
    await li.type("deleted");
    await li.see("未找到结果", "dialog");
    assertEquals([ann.complaints, other.complaints, li.complaints], [[], [], []]);
  },
);

browserTest(
  "an account whose deletion is not answered is gone from the browser as soon as it is gone",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    const ann = await site.enter(one, "ann");
    await openConversation(ann, "u1-1");
    await say(ann, "remember this");
    await ann.waitFor(`${STORED} === 1`);
    await askToDelete(ann);
    await ann.evaluate(`(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) {
      send.call(this, text);
      if (text.includes('"delete"')) this.close();
    };
  })()`);
    await ann.fill("dialog input[type=text]", "ann");
    await ann.fill("dialog input[type=password]", SECRET);
    await ann.press("Enter");
    await ann.see("Your account is deleted", ".entry");
    assertEquals([await countKept(ann), await ann.evaluate("localStorage.length")], [0, 0]);
  },
);
