import { assert } from "@std/assert";
import { ChatClient, type Frame, logIn } from "../support/chat_client.ts";
import { browserTest, type Page, type View } from "../support/chromium.ts";
import { AppSite, openConversation } from "./app_site.ts";

/** Where the pictures are put, to be looked at; nowhere by default. README has two of them, and one of the page for operators, from tests/web/pictures. */
const FOLDER = Deno.env.get("CHAT_TEST_PICTURES");

const PEOPLE = [
  "Li Wei",
  "Sofía Márquez",
  "Jonas Berg",
  "Amara Okafor",
  "王小明",
  "דוד כהן",
  "Priya N.",
  "Tom",
];
const TALK: readonly (readonly [from: number, text: string])[] = [
  [1, "Morning! The new build is on staging since eight."],
  [1, "Two things are left: the import of old accounts, and the texts."],
  [0, "I take the texts. Is there a list?"],
  [1, "Yes: https://wiki.example.com/release/texts – everything marked `todo` is open."],
  [2, "The import runs in 40 s here now, it was nine minutes.\nThe rest is the index:"],
  [2, "```sql\nCREATE INDEX MessagePosition\n  ON Message (conversation, position);\n```"],
  [3, "Nice 🎉"],
  [
    1,
    "@ann can you look at the numbers before we go on? I would like a second pair of eyes on them, because the last time we measured on a warm cache and nobody noticed for a week.",
  ],
  [0, "Looking at them now."],
  [5, "שלום לכולם, אני אצטרף בשעה 14:00"],
  [4, "好的，下午两点见。"],
  [3, "👍"],
];

/** A user of version 3 on TCP. */
async function enter(site: AppSite, name: string): Promise<ChatClient> {
  const id = await site.signUp(name);
  const client = await ChatClient.connect(site.port);
  await logIn(client, id, { v: 3 });
  return client;
}

browserTest("the main views, as pictures, on a desktop and a phone, light and dark", async () => {
  await using site = await AppSite.start();
  await using browser = await site.chromium.browser();
  const page = await site.enter(browser, "ann");
  await using stack = new AsyncDisposableStack();
  const clients: ChatClient[] = [];
  for (const name of PEOPLE) clients.push(stack.use(await enter(site, name)));
  const ask = async (from: number, frame: { msgid: number; [field: string]: unknown }): Promise<Frame> => {
    const client = clients[from];
    assert(client);
    return await client.request(frame);
  };
  await ask(0, {
    msgid: 8,
    groupname: "Release 2.4",
    groupdesc: "What goes out on Thursday, and who does what",
    join: "open",
  });
  for (const other of [1, 2, 3, 4, 5]) await ask(other, { msgid: 9, groupid: 1 });
  await page.evaluate("document.querySelector('.side-head .icon-button').click()");
  await page.press("End");
  await page.press("Enter");
  await page.waitFor("document.querySelector('dialog form')");
  await page.type("1");
  await page.press("Enter");
  await page.waitFor("location.hash === '#g1'");
  for (const [from, text] of TALK) {
    if (from === 0) {
      await page.click(".composer textarea");
      await page.type(text);
      await page.press("Enter");
      await page.waitFor(`document.querySelector('.log').innerText.includes(${JSON.stringify(text)})`);
    } else {await ask(from, {
        msgid: 10,
        groupid: 1,
        msg: text,
        ...(text.startsWith("@ann") ? { mentions: [1] } : {}),
      });}
  }
  const last = 7 + TALK.length;
  await ask(2, { msgid: 23, conversation: "g1", ref: last - 8, act: "react", emoji: "🎉", on: true });
  await ask(3, { msgid: 23, conversation: "g1", ref: last - 8, act: "react", emoji: "🎉", on: true });
  for (const reader of [0, 1, 2, 3]) await ask(reader, { msgid: 13, conversation: "g1", seq: last });
  await ask(1, { msgid: 6, toid: 1, msg: "Do you have five minutes after lunch?" });
  await ask(7, { msgid: 6, toid: 1, msg: "ok, see you then" });
  await ask(4, { msgid: 6, toid: 1, msg: "明天见！" });
  await ask(6, {
    msgid: 6,
    toid: 1,
    msg: "The invoice is in the folder, please have a look when you find the time for it",
  });
  await page.see("明天见", ".list");
  await openConversation(page, `u1-${8}`);
  await openConversation(page, "g1");
  const take = async (name: string, view: View) => {
    await page.look(view);
    // Nothing is to look as if the mouse were over it.
    const { width = 1280 } = view;
    await page.send("Input.dispatchMouseEvent", { type: "mouseMoved", x: width / 2, y: 28 });
    await page.evaluate("document.activeElement.blur(), new Promise((resolve) => setTimeout(resolve, 300))");
    await picture(page, name);
  };
  const phone = { width: 390, height: 844, isPhone: true };
  for (const scheme of ["light", "dark"] as const) {
    await take(`desktop_${scheme}`, { width: 1280, height: 800, scheme });
    await take(`tablet_${scheme}`, { width: 820, height: 800, scheme });
    await take(`phone_talk_${scheme}`, { ...phone, scheme });
    await page.click(".back");
    await page.waitFor("location.hash === ''");
    await take(`phone_list_${scheme}`, { ...phone, scheme });
    await page.look({ width: 1280, height: 800, scheme });
    await openConversation(page, "g1");
  }
  // These two stand in README.
  await take("small_desktop", { width: 960, height: 600 });
  await take("small_phone", { width: 340, height: 600, scheme: "dark" });
  await page.look({});
  await page.click(".talk-head .icon-button:last-child");
  await take("details", { width: 1280, height: 800 });
  await page.press("Control+k");
  await take("jump", { width: 1280, height: 800 });
});

async function picture(page: Page, name: string): Promise<void> {
  const png = await page.screenshot();
  assert(png.length > 5000, name);
  if (FOLDER !== undefined) await Deno.writeFile(`${FOLDER}/${name}.png`, png);
}
