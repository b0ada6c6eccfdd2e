/**
 * Target 10: the page in a browser: what comes over the wire, when something is to be seen, and how long a login takes that
 * brings 200 conversations.
 *
 * @module
 */
import { NO_CHROMIUM, type Page } from "../support/chromium.ts";
import { AppSite, enterWithConversations } from "../web/app_site.ts";
import type { Bench } from "./bench.ts";
import { median } from "./side_by_side.ts";

const CONVERSATIONS = 200;
const LOADS = 7;

/** When things happened in this load of the page, ms. */
interface Load {
  paint: number;
  connecting: number;
  online: number;
}

/** Reloads the page, which shows what the browser has kept and then what the server says. */
async function load(page: Page): Promise<Load> {
  await page.reload();
  return await page.waitFor<Load>(`(() => {
    const at = (name) => performance.getEntriesByName(name)[0]?.startTime;
    const load = { paint: at("first-contentful-paint"), connecting: at("connecting"), online: at("online") };
    const isDrawn = document.querySelectorAll(".item").length === ${CONVERSATIONS};
    return isDrawn && Object.values(load).every((time) => time !== undefined) && load;
  })()`);
}

/** Of a first visit, with nothing in the browser's cache. */
function bytesOnWire(page: Page): Promise<number> {
  return page.evaluate(
    '["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type)).reduce((sum, { transferSize }) => sum + transferSize, 0)',
  );
}

/** All of it; nothing where there is no browser. */
export const web: Bench = async ({ report, say }): Promise<void> => {
  if (NO_CHROMIUM !== undefined) return say(`not the page: ${NO_CHROMIUM}`);
  say(`the page, with ${CONVERSATIONS} conversations`);
  await using site = await AppSite.start("--signup-rate", "0");
  await using visitor = await site.chromium.browser();
  const visit = await visitor.open(site.url);
  await visit.waitFor("document.querySelector('input[name=username]')");
  report({
    target: 10,
    what: "the page and all that it names, on the wire",
    value: await bytesOnWire(visit) / 1024,
    unit: "KiB",
    goal: { at: "most", bound: 150 },
  });
  await using browser = await site.chromium.browser();
  const page = await enterWithConversations(site, browser, "ann", CONVERSATIONS);
  const loads: Load[] = [];
  for (let count = 0; count < LOADS; count++) loads.push(await load(page));
  const medianOf = (figure: (load: Load) => number) => median(loads.map(figure)) / 1_000;
  report({
    target: 10,
    what: "the page's first paint",
    value: medianOf(({ paint }) => paint),
    unit: "s",
    goal: { at: "most", bound: 1 },
  });
  report({
    target: 10,
    what: `login with ${CONVERSATIONS} conversations, from connecting to online`,
    value: medianOf(({ connecting, online }) => online - connecting),
    unit: "s",
    goal: { at: "most", bound: 0.3 },
  });
};
