import { assert, assertEquals, assertLess } from "@std/assert";
import { ChatClient, logIn } from "../support/chat_client.ts";
import { browserTest, type Page } from "../support/chromium.ts";
import { AppSite, chooseOwn, openConversation } from "./app_site.ts";

const HEBREW = "דוד כהן";

/** What sticks out of the window, or out of where it stands. */
const OVERFLOWING = `[...document.querySelectorAll("body *")].filter((element) => {
  if (!element.checkVisibility({ visibilityProperty: true })) return false;
  if (element.matches(".unseen, .unseen *, pre, pre *, svg *")) return false;
  const { left, right, width } = element.getBoundingClientRect();
  return width > 0 && (right > innerWidth + 1 || left < -1);
}).map(({ className }) => className)`;

/** What can be used, and has no name for those who do not see it. */
const NAMELESS = `[...document.querySelectorAll("a, button, dialog, input, select, textarea, [role=menu]")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[hidden]"))
  .filter((element) => {
    const labels = [...element.labels ?? []].map(({ innerText }) => innerText).join("");
    const own = element.matches("button, a, [role=menu]") ? element.innerText : "";
    return ((element.ariaLabel ?? "") + labels + own).trim() === "";
  }).map(({ outerHTML }) => outerHTML.slice(0, 100))`;

/** How far a text stands from the picture before it, px. */
function gap(page: Page, name: string, within: string): Promise<number> {
  return page.waitFor(`(() => {
    const names = [...document.querySelectorAll(${JSON.stringify(`${within} bdi`)})];
    const name = names.find(({ innerText }) => innerText === ${JSON.stringify(name)});
    const avatar = name?.closest("button, [role=option], div.line")?.querySelector(".avatar");
    if (!avatar) return undefined;
    const range = new Range();
    range.selectNodeContents(name);
    return range.getBoundingClientRect().left - avatar.getBoundingClientRect().right;
  })()`);
}

browserTest(
  "names of any length and direction stand beside their pictures, wherever people are",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    const ann = await site.enter(one, "ann", { language: "en-US" });
    await using stack = new AsyncDisposableStack();
    const connect = async (id: number) => {
      const client = stack.use(await ChatClient.connect(site.port));
      await logIn(client, id, { v: 3 });
      return client;
    };
    const li = await connect(await site.signUp("li"));
    const about = "What goes out on Thursday, and who does what before that";
    await li.request({ msgid: 8, groupname: "lunch", groupdesc: about, join: "open" });
    for (const id of [await site.signUp(HEBREW), await site.signUp("W".repeat(50)), 1]) {
      await (await connect(id)).request({ msgid: 9, groupid: 1 });
    }
    await li.request({ msgid: 10, groupid: 1, msg: "one\n\n\ntwo" });
    await li.request({ msgid: 6, toid: 1, msg: "hello" });
    await ann.see("hello", ".list");
    for (const width of [1280, 375]) {
      await ann.look({ width, height: 720, isPhone: width < 700 });
      await openConversation(ann, "g1");
      await ann.see("two", ".log");
      // All of it is in view.
      assertEquals(await ann.evaluate("document.querySelector('.jump-down').checkVisibility()"), false);
      await ann.click(".composer textarea");
      await ann.type("@");
      assertLess(await gap(ann, HEBREW, ".choice"), 20);
      assertEquals(
        await ann.evaluate("document.querySelector('.choice .avatar').getBoundingClientRect().width"),
        24,
      );
      assertEquals(await ann.evaluate(OVERFLOWING), [], `${width} completion`);
      await ann.press("Backspace");
      await ann.click(".talk-head .icon-button:last-child");
      await ann.see(about, ".details");
      assertLess(await gap(ann, HEBREW, ".details .line"), 20);
      assertEquals(await ann.evaluate(OVERFLOWING), [], `${width} details`);
      await ann.click(".details .icon-button");
      // What was touched last counts as hovered, and is to be seen all the same.
      await ann.click(".composer textarea");
      await ann.type("three");
      await ann.hover(".send");
      assertEquals(
        await ann.evaluate("getComputedStyle(document.querySelector('.send')).backgroundColor"),
        await ann.evaluate("getComputedStyle(document.querySelector('.badge')).backgroundColor"),
      );
      await ann.click(".send");
    }
    // Beside a row that goes on there is little room for the time.
    await ann.waitFor("document.querySelector('.row-time')");
    assertEquals(
      await ann.evaluate(
        "[...document.querySelectorAll('.row-time')].map((time) => time.scrollWidth > time.clientWidth)",
      ),
      [false],
    );
    assertEquals(ann.complaints, []);
  },
);

browserTest(
  "every dialog has its names and its focus, and fits a small phone, in both languages",
  async () => {
    await using site = await AppSite.start();
    await using one = await site.chromium.browser();
    const labels = {
      "en-US": ["Profile", "Devices", "Settings", "Keyboard", "Log out"],
      "zh-CN": ["个人资料", "设备", "设置", "键盘快捷键", "退出登录"],
    };
    const page = await site.enter(one, "ann");
    for (const [language, all] of Object.entries(labels)) {
      await page.look({ width: 320, height: 640, isPhone: true, language });
      await page.reload();
      await page.waitFor("document.querySelector('.shell')");
      const look = async (what: string) => {
        assertEquals([await page.evaluate(NAMELESS), await page.evaluate(OVERFLOWING)], [[], []], what);
      };
      for (const label of all) {
        await chooseOwn(page, label);
        await page.waitFor("document.querySelector('dialog')?.contains(document.activeElement)");
        await look(label);
        if (label === all[0]) {
          await page.click("dialog .dialog-body > .button.danger");
          await page.waitFor("document.querySelectorAll('dialog').length === 1");
          await look("deletion");
        }
        // The first field, where there is one.
        assert(
          await page.evaluate(
            "(() => { const field = document.querySelector('dialog :is(input, select)'); return field === null || field === document.activeElement })()",
          ),
          label,
        );
        await page.press("Escape");
        await page.waitFor("document.querySelector('dialog') === null");
      }
    }
    assertEquals(page.complaints, []);
  },
);
