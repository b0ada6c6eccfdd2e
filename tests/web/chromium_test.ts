import { assert, assertEquals } from "@std/assert";
import { browserTest, startChromium } from "../support/chromium.ts";

browserTest("the driver types, clicks, presses keys, takes pictures and hears complaints", async () => {
  await using chromium = await startChromium();
  await using browser = await chromium.browser();
  const page = await browser.open(
    "data:text/html,<input id=i><button onclick='document.title=i.value;console.error(1)'>x</button>",
    { width: 320, height: 400, scheme: "dark" },
  );
  await page.fill("#i", "ab");
  await page.press("c");
  await page.click("button");
  await page.waitFor("document.title === 'abc'");
  assertEquals(page.complaints, ["1"]);
  assertEquals(await page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]"), [
    320,
    true,
  ]);
  assert((await page.screenshot()).length > 1000);
});
