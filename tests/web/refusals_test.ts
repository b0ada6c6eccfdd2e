import { assert, assertEquals } from "@std/assert";
import { ERRNO } from "../../lib/protocol/protocol.ts";
import { failureOf, REASONS } from "../../lib/web/app/refusals.ts";
import { ChatClient, logIn } from "../support/chat_client.ts";
import { browserTest, type Page } from "../support/chromium.ts";
import { walkFiles } from "../support/files.ts";
import { AppSite, chooseOwn, openConversation, problem, say, SECRET, STORED } from "./app_site.ts";

const ROOT = new URL("../../", import.meta.url);

/** What the server refuses as REFUSED or NOT_ALLOWED, as in its sources: each `${…}` is a star. */
async function serverWords(): Promise<string[]> {
  const paths = (await walkFiles(new URL("lib/chat/", ROOT))).filter((path) => path.endsWith(".ts"));
  const words: string[] = [];
  const find = async (path: string, pattern: RegExp, begin: string) => {
    const source = (await Deno.readTextFile(new URL(path, ROOT))).replace(/\$\{\w+(?:\.\w+)?\}/g, "*");
    for (const [, , text] of source.matchAll(pattern)) words.push(`${begin}${text}`);
  };
  const refused = /(?:new Refusal\(\s*ERRNO\.(?:REFUSED|NOT_ALLOWED),|\bnotAllowed\()\s*(["`])([^"`]+)\1/g;
  for (const path of paths) await find(path, refused, "");
  await find("lib/protocol/names.ts", /(["`])((?:is|has|begins) [^"`]+)\1/g, "The name ");
  await find("lib/chat/password.ts", /(["`])(The password [^"`]+)\1/g, "");
  return words;
}

Deno.test("whatever has several meanings under one errno the page says in its own words", async () => {
  const known = Object.keys(REASONS).map((words) => words.replace(/\{\w+\}/g, "*"));
  const words = await serverWords();
  assert(words.length > 40, `only ${words.length} found`);
  assertEquals(words.filter((text) => !known.includes(text)), []);
});

Deno.test("a refusal is said with its numbers and names; what the page does not know the server says itself", () => {
  const say = (errno: number, text: string, frame = {}) => failureOf({ errno, text, frame });
  assertEquals(
    say(ERRNO.REFUSED, "The password is shorter than 12 characters"),
    "A password has 12 characters at least.",
  );
  assertEquals(
    say(ERRNO.NOT_ALLOWED, "a.b (c) has not added you as a friend, and can be invited by a link only"),
    "\u2068a.b (c)\u2069 has not added you as a friend. Invite them by a link.",
  );
  assertEquals(
    say(ERRNO.TOO_MANY_REQUESTS, "", { retry_after_ms: 7500 }),
    "Too many at once. Try again in 8 seconds.",
  );
  assertEquals(
    say(ERRNO.TOO_MANY_REQUESTS, "", { retry_after_ms: 899_000 }),
    "Too many at once. Try again in 15 minutes.",
  );
  assertEquals(say(ERRNO.NOT_ALLOWED, "Not on a Sunday"), "Not on a Sunday");
  assertEquals(say(99, ""), "That did not work. Try again.");
});

/** Asks by a form; returns why not. */
async function tryForm(page: Page, values: Record<string, string>): Promise<string> {
  for (const [selector, value] of Object.entries(values)) await page.fill(selector, value);
  await page.press("Enter");
  return await problem(page);
}

browserTest("whoever reads Chinese reads why not in Chinese, wherever the server refuses", async () => {
  await using site = await AppSite.start("--recall-window", "0");
  await using one = await site.chromium.browser();
  await using li = await ChatClient.connect(site.port);
  await logIn(li, await site.signUp("li"), { v: 3 });
  await li.request({ msgid: 8, groupname: "lunch", groupdesc: "", join: "open" });
  const page = await one.open(site.url, { language: "zh-CN" });
  await page.click(".entry-foot .link");
  const name = "input[name=username]";
  const password = "input[name=password]";
  assertEquals(await tryForm(page, { [name]: "LI", [password]: SECRET }), "此用户名已被使用，请换一个。");
  assertEquals(await tryForm(page, { [name]: "li  li" }), "名称首尾不能有空格，中间不能有连续空格。");
  assertEquals(await tryForm(page, { [name]: "li (3)" }), "名称中不能有括号括起来的数字。");
  await page.click(".entry-foot .link");
  assertEquals(await tryForm(page, { [name]: "li", [password]: "wrong" }), "用户名或密码错误。");
  await page.click(".entry-foot .link");
  await page.fill(name, "ann");
  await page.fill(password, SECRET);
  await page.press("Enter");
  await page.waitFor("document.querySelector('.shell')");

  // By name and password.
  await chooseOwn(page, "个人资料");
  const [old, wanted] = [
    "dialog input[autocomplete=current-password]",
    "dialog input[autocomplete=new-password]",
  ];
  assertEquals(await tryForm(page, { [old]: "wrong", [wanted]: "another one" }), "这不是你的密码。");
  await page.press("Escape");
  await chooseOwn(page, "个人资料");
  assertEquals(
    await tryForm(page, { "dialog input[autocomplete=username]": "li" }),
    "此用户名已被使用，请换一个。",
  );
  await page.press("Escape");

  // In a group.
  await page.click(".side-head .icon-button");
  await page.press("ArrowDown");
  await page.press("Enter");
  assertEquals(await tryForm(page, { "dialog input": "lunch" }), "此群名已被使用，请换一个。");
  await page.press("Escape");
  await using other = await ChatClient.connect(site.port);
  await logIn(other, 2, { v: 3 });
  await other.request({ msgid: 9, groupid: 1 });
  await page.see("lunch", ".list");
  await openConversation(page, "g1");
  await say(page, "too late");
  await page.waitFor(`${STORED} === 1`);
  await page.evaluate("document.querySelector('.log').focus()");
  for (const key of ["k", ".", "End", "Enter"]) await page.press(key);
  await page.click("dialog .button.danger");
  await page.see("已超过可操作的时间。", ".toast");
  assertEquals(page.complaints, []);
});
