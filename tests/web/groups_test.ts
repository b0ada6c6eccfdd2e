import { assert, assertEquals } from "@std/assert";
import { ChatClient, logIn } from "../support/chat_client.ts";
import { browserTest, type Page } from "../support/chromium.ts";
import { AppSite, say, STORED } from "./app_site.ts";

/** Presses a button of the details, by its text. */
async function choose(page: Page, text: string, selector = ".details .line"): Promise<void> {
  const button = `[...document.querySelectorAll(${JSON.stringify(selector)})]
    .find(({ innerText }) => innerText.includes(${JSON.stringify(text)}))`;
  await page.waitFor(button);
  await page.evaluate(`${button}.click()`);
}

/** Does something about a member, by the menu of its line. */
async function manage(page: Page, name: string, what: string): Promise<void> {
  await choose(page, name);
  await choose(page, what, "[role=menu] .choice");
}

/** Whether ann's page has written down that she is in the group no more. */
const IS_OVER_KEPT = `new Promise((resolve) => {
  indexedDB.open("chat-1").onsuccess = ({ target: { result: database } }) => {
    database.transaction("kept").objectStore("kept").get("groups").onsuccess = ({ target }) => {
      database.close();
      resolve(new Map(target.result).get(1)?.isOver);
    };
  };
})`;

browserTest("a group is made, joined by a link, led by others, left and dissolved", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  await using two = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  await using wu = await ChatClient.connect(site.port);
  const wuId = await site.signUp("wu");
  await logIn(wu, wuId, { v: 3 });
  await wu.request({ msgid: 7, friendid: 1 });

  await ann.click(".side-head .icon-button");
  await choose(ann, "New group", "[role=menu] .choice");
  await ann.waitFor("document.querySelector('dialog form')");
  await ann.type("lunch");
  await ann.press("Enter");
  await ann.waitFor("location.hash === '#g1'");
  await ann.click(".talk-head .icon-button:last-child");
  await ann.see("1 member", ".details");
  await ann.see("owner", ".details");

  // Who has added her as a friend can be added, others come by a link.
  await choose(ann, "Add people");
  await ann.waitFor("document.activeElement?.matches('dialog input')");
  await ann.type("wu");
  await ann.waitFor("document.querySelector('dialog .line')");
  await ann.press("Enter");
  await ann.see("2 members", ".details");
  await ann.see("You added wu", ".log");
  // Who is in it is not offered again.
  await choose(ann, "Add people");
  await ann.waitFor("document.activeElement?.matches('dialog input')");
  await ann.type("wu");
  await ann.see("Nothing found", "dialog");
  await ann.click("dialog .dialog-head button");
  await ann.waitFor("document.querySelector('dialog') === null");
  await choose(ann, "Invite by link");
  await ann.see("Until now only people who are added can join", "dialog");
  await choose(ann, "Make a link", "dialog button");
  const link = await ann.waitFor<string>("document.querySelector('dialog input[readonly]')?.value");
  assert(link.startsWith(`${site.url}#join-`), link);
  await ann.press("Escape");
  await ann.see("changed who may join: People with a link", ".log");

  // Somebody without an account follows it.
  const zoe = await two.open(link);
  await zoe.waitFor("document.querySelector('input[name=username]')");
  assertEquals(await zoe.evaluate("location.hash"), "");
  await zoe.click(".entry-foot .link");
  await zoe.fill("input[name=username]", "zoe");
  await zoe.fill("input[name=password]", "a good password");
  await zoe.press("Enter");
  await zoe.see("Somebody invites you into a group", "dialog");
  await zoe.press("Enter");
  await zoe.waitFor("location.hash === '#g1'");
  await zoe.see("3 members", ".talk-head");
  await zoe.see("You joined", ".log");
  await say(zoe, "hello all");
  await ann.see("hello all", ".log");

  // An admin can do what a member cannot, and the owner more.
  await zoe.click(".talk-head .icon-button:last-child");
  await zoe.see("Leave group", ".details");
  assert(!(await zoe.text(".details")).includes("Edit group"));
  await manage(ann, "zoe", "Make admin");
  await choose(zoe, "Edit group");
  await zoe.waitFor("document.querySelector('dialog form')");
  await zoe.fill("dialog input", "dinner");
  await zoe.press("Enter");
  await ann.see("dinner", ".talk-head");
  await ann.see("zoe named the group", ".log");
  await manage(zoe, "wu", "Remove from group");
  await zoe.click("dialog .button.danger");
  await ann.see("2 members", ".details");
  assertEquals((await wu.request({ msgid: 10, groupid: 1, msg: "still here?" })).errno, 7);
  await choose(ann, "Leave group");
  await ann.see("Make somebody else the owner first", "dialog");
  await ann.press("Escape");
  await manage(ann, "zoe", "Make owner");
  await ann.click("dialog .button.danger");
  await zoe.see("Dissolve group", ".details");
  await ann.waitFor("!document.querySelector('.details').innerText.includes('Dissolve group')");
  await choose(ann, "Leave group");
  await ann.click("dialog .button.danger");
  await ann.see("You are not in this group any more", ".closed");
  await zoe.see("1 member", ".talk-head");

  // What was said stays, and what it was called, and it is drawn before she is logged in again.
  await ann.waitFor(IS_OVER_KEPT);
  await ann.reload();
  await ann.waitFor(`${STORED} === 1`);
  await ann.see("dinner", ".talk-head");
  await ann.see("hello all", ".log");
  assertEquals(await ann.count(".composer:not([hidden])"), 0);
  await choose(zoe, "Dissolve group");
  await zoe.click("dialog .button.danger");
  await zoe.see("This group was dissolved", ".closed");
  assertEquals([ann.complaints, zoe.complaints], [[], []]);
});

browserTest("who is blocked is not shown as online, and is again once that is taken back", async () => {
  await using site = await AppSite.start();
  await using one = await site.chromium.browser();
  const ann = await site.enter(one, "ann");
  await using li = await ChatClient.connect(site.port);
  await logIn(li, await site.signUp("li"), { v: 3 });
  await li.request({ msgid: 6, toid: 1, msg: "hello" });
  await ann.see("hello", ".list");
  // The list says who is online.
  await ann.reload();
  await ann.click(".item");
  await ann.see("online", ".talk-head");
  await ann.click(".talk-head .icon-button:last-child");
  await choose(ann, "Block");
  await ann.click("dialog .button.danger");
  await ann.see("You have blocked this person", ".closed");
  assert(!(await ann.text(".talk-head")).includes("online"));
  await choose(ann, "Unblock");
  await ann.see("online", ".talk-head");
  assertEquals(ann.complaints, []);
});
