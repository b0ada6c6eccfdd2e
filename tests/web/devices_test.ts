import { assertEquals } from "@std/assert";
import { browserTest } from "../support/chromium.ts";
import { AppSite, chooseOwn, logInto, logOut, openConversation, say, SECRET, STORED } from "./app_site.ts";

browserTest("who has logged out logs in by name, and a wrong password is told", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  await site.signUp("li");
  await openConversation(ann, "u1-2");
  await say(ann, "remember this");
  await ann.waitFor(`${STORED} === 1`);
  await logOut(ann);
  await ann.fill("input[name=username]", "ann");
  await ann.fill("input[name=password]", "wrong");
  await ann.press("Enter");
  await ann.see("The name or the password is wrong.");
  await ann.fill("input[name=password]", SECRET);
  await ann.press("Enter");
  await ann.waitFor("document.querySelector('.shell')");
  await ann.click(".item");
  await ann.see("remember this", ".log");
});

browserTest("the operator's link leads to a new password, once, and ends what was open before", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  await using two = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  const { link } = JSON.parse(await site.admin("password", "ann", "--link", site.url, "--json"));
  const other = await two.open(link);
  await other.see("Choose a new password");
  await other.fill("input[name=password]", "chosen by link");
  await other.press("Enter");
  await other.waitFor("document.querySelector('.shell')");
  assertEquals(await other.evaluate("location.href"), site.url);
  await ann.see("Log in", ".entry");
  // In a browser where somebody is logged in, too.
  await other.evaluate(`location.hash = ${JSON.stringify(new URL(link).hash)}`);
  await other.see("Choose a new password");
  await other.fill("input[name=password]", "chosen again");
  await other.press("Enter");
  await other.see("This code is not good");
  await other.click(".entry-foot .link");
  await other.waitFor("document.querySelector('.shell')");
  assertEquals([ann.complaints, other.complaints], [[], []]);
});

browserTest(
  "a device that is removed from another one has to log in again, and has lost nothing",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    await using two = await site.chromium.browser();
    const ann = await site.enter(one, "ann");
    await site.signUp("li");
    await openConversation(ann, "u1-2");
    await say(ann, "said before");
    await ann.waitFor(`${STORED} === 1`);
    const other = await two.open(site.url);
    await logInto(other, "ann");
    await other.see("said before", ".list");
    await say(ann, "from the first device");
    await other.see("from the first device", ".list");
    await chooseOwn(other, "Devices");
    await other.waitFor("document.querySelectorAll('dialog .line').length === 2");
    await other.see("This device", "dialog");
    await other.click("dialog .line .button.danger");
    await other.click("dialog:last-of-type .dialog-foot .button.danger");
    await ann.see("This device was logged out");
    await ann.fill("input[name=password]", SECRET);
    await ann.press("Enter");
    await ann.waitFor("document.querySelector('.shell')");
    await ann.waitFor(`${STORED} === 2`);
    await say(ann, "and after");
    await other.see("and after", ".list");
    assertEquals([ann.complaints, other.complaints], [[], []]);
  },
);
