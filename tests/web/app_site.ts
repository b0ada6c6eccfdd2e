/**
 * A node with its page, and a Chromium to look at it.
 *
 * @module
 */

import { ChatClient, logIn, PASSWORD, signUp } from "../support/chat_client.ts";
import { type Browser, type Chromium, type Page, startChromium, type View } from "../support/chromium.ts";
import { freePort, type TemporaryFolder, temporaryFolder } from "../support/process.ts";
import { runProgram, type Server, startServer, UNMEASURED } from "../support/services.ts";

/** How many messages of the open conversation are stored, as the page has it: an expression. */
export const STORED = "document.querySelectorAll('.row[data-seq]').length";

/** What everybody types who signs up in a page. */
export const SECRET: string = PASSWORD;

/** A node that can be killed and started again, on the same ports with the same data. */
export class AppSite implements AsyncDisposable {
  /** Where the page is. */
  readonly url: string;
  /** The browsers' program. */
  readonly chromium: Chromium;
  readonly #folder: TemporaryFolder;
  readonly #webPort: number;
  readonly #port: number;
  readonly #args: readonly string[];
  #server: Server | undefined;

  private constructor(chromium: Chromium, folder: TemporaryFolder, args: readonly string[]) {
    this.#args = args;
    this.chromium = chromium;
    this.#folder = folder;
    this.#webPort = freePort();
    this.#port = freePort();
    this.url = `http://127.0.0.1:${this.#webPort}/`;
  }

  /** Starts both; `args`: further options of the node. */
  static async start(...args: string[]): Promise<AppSite> {
    const site = new AppSite(await startChromium(), await temporaryFolder(), args);
    try {
      await site.startNode();
      return site;
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where clients on TCP connect. */
  get port(): number {
    return this.#port;
  }

  /** The file of its database. */
  get database(): string {
    return `${this.#folder.path}/chat.db`;
  }

  /** Starts the node, again. */
  async startNode(): Promise<void> {
    const files = ["--sqlite", this.database, "--web", `127.0.0.1:${this.#webPort}`];
    this.#server = await startServer([...files, ...UNMEASURED, ...this.#args], { port: this.#port });
  }

  /** Kills the node, the hard way unless told otherwise. */
  async killNode(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    await this.#server?.kill(signal);
    this.#server = undefined;
  }

  /** Does something as an operator, `admin WORDS`; returns what is printed. */
  async admin(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await runProgram([
      "admin",
      ...words,
      "--sqlite",
      this.database,
    ]);
    if (code !== 0) throw new Error(`admin ${words.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** A new user, who is logged in nowhere; resolves with the id. */
  async signUp(name: string): Promise<number> {
    await using client = await ChatClient.connect(this.#port);
    return await signUp(client, name);
  }

  /** Opens the page in a browser and signs a new user up. */
  async enter(browser: Browser, name: string, view: View = {}): Promise<Page> {
    const page = await browser.open(this.url, view);
    await page.click(".entry-foot .link");
    await page.fill("input[name=username]", name);
    await page.fill("input[name=password]", SECRET);
    await page.press("Enter");
    await page.waitFor("document.querySelector('.shell')");
    return page;
  }

  /** Ends both and removes the data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.killNode();
    await this.chromium[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Signs the first user up in a page, who has said something to `count` others. The site must not limit signups. */
export async function enterWithConversations(
  site: AppSite,
  browser: Browser,
  name: string,
  count: number,
): Promise<Page> {
  const page = await site.enter(browser, name);
  // On another device: that needs no login of theirs.
  await using other = await ChatClient.connect(site.port);
  await logIn(other, 1, { v: 3 });
  for (let index = 0; index < count; index++) {
    const toid = await site.signUp(`person ${index}`);
    await other.request({ msgid: 6, toid, msg: `hello ${index}` });
  }
  await page.waitFor(`document.querySelectorAll('.item').length === ${count}`);
  return page;
}

/** Logs in a user who was signed up elsewhere. */
export async function logInto(page: Page, name: string): Promise<void> {
  await page.fill("input[name=username]", name);
  await page.fill("input[name=password]", SECRET);
  await page.press("Enter");
  await page.waitFor("document.querySelector('.shell')");
}

/** Logs out by the user's own menu. */
export async function logOut(page: Page): Promise<void> {
  await page.click(".self");
  await page.press("End");
  await page.press("Enter");
  await page.click("dialog .button.danger");
  await page.waitFor("document.querySelector('input[name=username]')");
}

/** Chooses something in the user's own menu, once the page knows that the server knows it. */
export async function chooseOwn(page: Page, label: string): Promise<void> {
  await page.waitFor(`(() => {
    const choices = [...document.querySelectorAll("[role=menu] .choice")];
    const choice = choices.find(({ innerText }) => innerText.includes(${JSON.stringify(label)}));
    (choice ?? document.querySelector(".self"))?.click();
    return choice !== undefined;
  })()`);
}

/** What a form says is wrong, once it says so. */
export function problem(page: Page): Promise<string> {
  return page.waitFor(
    `[...document.querySelectorAll(".problem")].find((element) =>
      element.innerText !== "" && element.checkVisibility({ visibilityProperty: true }))?.innerText`,
  );
}

/** How many things the browser keeps in its databases. */
export function countKept(page: Page): Promise<number> {
  return page.evaluate(`(async () => {
    let count = 0;
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise((resolve) => {
        indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result);
      });
      for (const store of database.objectStoreNames) {
        count += await new Promise((resolve) => {
          database.transaction(store).objectStore(store).count().onsuccess = ({ target }) => resolve(target.result);
        });
      }
      database.close();
    }
    return count;
  })()`);
}

/** Opens a conversation by its address. */
export async function openConversation(page: Page, id: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(id)}`);
  await page.waitFor("document.querySelector('.composer textarea')");
}

/** Types a message into the open conversation and sends it. */
export async function say(page: Page, text: string): Promise<void> {
  await page.click(".composer textarea");
  await page.type(text);
  await page.press("Enter");
}

/** The texts of the log, as far as they are in the page. */
export function texts(page: Page): Promise<string[]> {
  return page.evaluate(
    "[...document.querySelectorAll('.row .text')].map((text) => text.firstChild?.textContent ?? '')",
  );
}
