/**
 * A real Chromium under a test, driven through its DevTools protocol: pages of their own or sharing a profile, real keys
 * and clicks, screenshots, and all that a page complains about.
 *
 * ```ts
 * await using chromium = await startChromium();
 * await using browser = await chromium.browser();
 * const page = await browser.open("http://127.0.0.1:8080/");
 * await page.click("button[type=submit]");
 * ```
 *
 * @module
 */

import {
  DEADLINE_MS,
  isOnPath,
  readTextIfExists,
  ServiceProcess,
  temporaryFolder,
  waitFor,
} from "./process.ts";
import type { TemporaryFolder } from "./process.ts";

/** An object of the DevTools protocol. */
export type Json = Record<string, unknown>;

/** Why tests with a browser do not run here; undefined where they do. */
export const NO_CHROMIUM: string | undefined = isOnPath("chromium")
  ? undefined
  : "there is no chromium on the PATH";

/** A test in a real browser: skipped, with the reason in its name, where there is none. */
export function browserTest(name: string, work: () => Promise<void>): void {
  const isSkipped = NO_CHROMIUM !== undefined;
  Deno.test({ name: isSkipped ? `${name} (skipped: ${NO_CHROMIUM})` : name, ignore: isSkipped, fn: work });
}

/** What an evaluation is answered with that a navigation has ended. */
const LEAVING = /navigated or closed|context was destroyed|Cannot find (?:default execution )?context/;

const FLAGS = [
  "--headless=new",
  "--remote-debugging-port=0",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-breakpad",
  "--disable-crash-reporter",
  "--disable-features=Translate,MediaRouter,OptimizationHints",
  // A page of a test that is not in front is as awake as the one that is.
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-background-timer-throttling",
  "--force-color-profile=srgb",
  "--lang=en-GB",
  "--accept-lang=en-GB",
  "--hide-scrollbars",
  "about:blank",
];

/** Starts Chromium with an empty profile. It and the profile go away with their owner. */
export async function startChromium(): Promise<Chromium> {
  const folder = await temporaryFolder();
  const sandbox = Deno.uid() === 0 ? ["--no-sandbox"] : [];
  const process = new ServiceProcess("chromium", [`--user-data-dir=${folder.path}`, ...sandbox, ...FLAGS], {
    logPath: `${folder.path}/log`,
    env: { HOME: folder.path, XDG_CONFIG_HOME: folder.path, XDG_CACHE_HOME: folder.path },
  });
  try {
    const [port, path] = await waitFor("Chromium to listen", async () => {
      if (process.status) throw new Error(`Chromium ended: ${await readTextIfExists(`${folder.path}/log`)}`);
      const lines = (await readTextIfExists(`${folder.path}/DevToolsActivePort`)).split("\n");
      return lines.length > 1 && lines[1] !== "" ? lines : undefined;
    }, 2 * DEADLINE_MS);
    return new Chromium(process, folder, await DevTools.connect(`ws://127.0.0.1:${port}${path}`));
  } catch (error) {
    await process.kill();
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

/** Commands and events of the DevTools protocol over its WebSocket. */
class DevTools {
  readonly #socket: WebSocket;
  readonly #closed = Promise.withResolvers<void>();
  readonly #pending = new Map<number, PromiseWithResolvers<Json>>();
  readonly #listeners = new Map<string, (method: string, params: Json) => void>();
  #number = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of this.#pending.values()) reject(new Error("Chromium has gone"));
      this.#pending.clear();
      this.#closed.resolve();
    };
  }

  static async connect(url: string): Promise<DevTools> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`Cannot connect to ${url}`));
    });
    return new DevTools(socket);
  }

  /** Runs one command; in a page when `sessionId` names one. */
  send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#number;
    const answer = Promise.withResolvers<Json>();
    this.#pending.set(id, answer);
    const tooLong = setTimeout(() => answer.reject(new Error(`No answer to ${method}`)), DEADLINE_MS);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return answer.promise.finally(() => {
      clearTimeout(tooLong);
      this.#pending.delete(id);
    });
  }

  /** Tells one page's owner of its events. */
  listen(sessionId: string, listener: (method: string, params: Json) => void): void {
    this.#listeners.set(sessionId, listener);
  }

  forget(sessionId: string): void {
    this.#listeners.delete(sessionId);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.#closed.promise;
  }

  #receive(message: Json): void {
    const { id, method, sessionId } = message;
    if (typeof id === "number") {
      const answer = this.#pending.get(id);
      const error = message.error as { message: string } | undefined;
      if (error === undefined) answer?.resolve((message.result ?? {}) as Json);
      else answer?.reject(new Error(error.message));
    } else if (typeof method === "string") {
      this.#listeners.get(String(sessionId))?.(method, (message.params ?? {}) as Json);
    }
  }
}

/** One running Chromium. */
export class Chromium implements AsyncDisposable {
  readonly #process: ServiceProcess;
  readonly #folder: TemporaryFolder;
  readonly #devTools: DevTools;

  /** Made by {@linkcode startChromium}. */
  constructor(process: ServiceProcess, folder: TemporaryFolder, devTools: unknown) {
    if (!(devTools instanceof DevTools)) throw new TypeError("Use startChromium");
    this.#process = process;
    this.#folder = folder;
    this.#devTools = devTools;
  }

  /** A browser with a profile of its own: nothing is shared with another, as if it ran on another machine. */
  async browser(): Promise<Browser> {
    const { browserContextId } = await this.#devTools.send("Target.createBrowserContext");
    return new Browser(this.#devTools, String(browserContextId));
  }

  /** Ends it and removes its profile. */
  async [Symbol.asyncDispose](): Promise<void> {
    // In good order: it takes its own helper processes along.
    await this.#devTools.send("Browser.close").catch(() => {});
    await this.#devTools.close();
    await this.#process.exited;
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** A profile: its tabs share what pages store. */
export class Browser implements AsyncDisposable {
  readonly #devTools: DevTools;
  readonly #id: string;

  /** Made by {@linkcode Chromium.browser}. */
  constructor(devTools: unknown, id: string) {
    if (!(devTools instanceof DevTools)) throw new TypeError("Use Chromium.browser");
    this.#devTools = devTools;
    this.#id = id;
  }

  /** Opens a tab; resolves when the page at `url` has loaded. */
  async open(url: string, view: View = {}): Promise<Page> {
    const { targetId } = await this.#devTools.send("Target.createTarget", {
      url: "about:blank",
      browserContextId: this.#id,
    });
    const { sessionId } = await this.#devTools.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this.#devTools, String(sessionId), String(targetId));
    await page.begin(view);
    await page.goto(url);
    return page;
  }

  /** Closes all its tabs and forgets what they stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#devTools.send("Target.disposeBrowserContext", { browserContextId: this.#id }).catch(() => {});
  }
}

/** How a page is looked at. */
export interface View {
  /** CSS pixels; 1280 by default. */
  width?: number;
  /** CSS pixels; 800 by default. */
  height?: number;
  /** A telephone: touch, its own viewport rules. */
  isPhone?: boolean;
  /** What prefers-color-scheme says; light by default. */
  scheme?: "light" | "dark";
  /** What prefers-reduced-motion says. */
  isMotionReduced?: boolean;
  /** The languages the browser asks for, such as "zh-CN". */
  language?: string;
}

/** Keys that are more than a character. */
const KEYS: Readonly<Record<string, { code: string; keyCode: number; text?: string }>> = {
  Enter: { code: "Enter", keyCode: 13, text: "\r" },
  Tab: { code: "Tab", keyCode: 9 },
  Escape: { code: "Escape", keyCode: 27 },
  Backspace: { code: "Backspace", keyCode: 8 },
  Delete: { code: "Delete", keyCode: 46 },
  ArrowUp: { code: "ArrowUp", keyCode: 38 },
  ArrowDown: { code: "ArrowDown", keyCode: 40 },
  ArrowLeft: { code: "ArrowLeft", keyCode: 37 },
  ArrowRight: { code: "ArrowRight", keyCode: 39 },
  Home: { code: "Home", keyCode: 36 },
  End: { code: "End", keyCode: 35 },
  PageUp: { code: "PageUp", keyCode: 33 },
  PageDown: { code: "PageDown", keyCode: 34 },
};
const MODIFIERS: Readonly<Record<string, number>> = { Alt: 1, Control: 2, Meta: 4, Shift: 8 };

/** One tab. */
export class Page {
  /** What the page has complained about: errors, failed loads, breaches of its content security policy. */
  readonly complaints: string[] = [];
  /** Every URL it has asked for. */
  readonly requests: string[] = [];
  readonly #devTools: DevTools;
  readonly #sessionId: string;
  readonly #targetId: string;
  #loaded = Promise.withResolvers<void>();

  /** Made by {@linkcode Browser.open}. */
  constructor(devTools: unknown, sessionId: string, targetId: string) {
    if (!(devTools instanceof DevTools)) throw new TypeError("Use Browser.open");
    this.#devTools = devTools;
    this.#sessionId = sessionId;
    this.#targetId = targetId;
    devTools.listen(sessionId, (method, params) => this.#hear(method, params));
  }

  /** Runs any command of the DevTools protocol in this page. */
  send(method: string, params: Json = {}): Promise<Json> {
    return this.#devTools.send(method, params, this.#sessionId);
  }

  /** Switches on what a test watches. Called once, by {@linkcode Browser.open}. */
  async begin(view: View): Promise<void> {
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.send(`${domain}.enable`);
    // A real user's window has the focus, whichever tab of the test is in front.
    await this.send("Emulation.setFocusEmulationEnabled", { enabled: true });
    await this.look(view);
  }

  /** Changes how the page is looked at; what is not named goes back to its default. */
  async look(view: View): Promise<void> {
    const { width = 1280, height = 800, isPhone = false, scheme = "light", isMotionReduced = false } = view;
    await this.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: isPhone ? 2 : 1,
      mobile: isPhone,
    });
    await this.send("Emulation.setTouchEmulationEnabled", { enabled: isPhone });
    await this.send("Emulation.setEmulatedMedia", {
      features: [
        { name: "prefers-color-scheme", value: scheme },
        { name: "prefers-reduced-motion", value: isMotionReduced ? "reduce" : "no-preference" },
      ],
    });
    if (view.language !== undefined) {
      await this.send("Emulation.setLocaleOverride", { locale: view.language });
      const { userAgent } = await this.#devTools.send("Browser.getVersion");
      await this.send("Network.setUserAgentOverride", { userAgent, acceptLanguage: view.language });
    }
  }

  /** Goes to a page and resolves when it has loaded. */
  async goto(url: string): Promise<void> {
    this.#loaded = Promise.withResolvers<void>();
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText !== undefined) throw new Error(`Cannot open ${url}: ${errorText}`);
    await this.#load(url);
  }

  /** Loads the page anew. */
  async reload(): Promise<void> {
    this.#loaded = Promise.withResolvers<void>();
    await this.send("Page.reload");
    await this.#load("the page again");
  }

  /** The value of an expression in the page, awaited; throws what it throws. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const reply = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    const details = reply.exceptionDetails as
      | { text: string; exception?: { description?: string } }
      | undefined;
    if (details !== undefined) throw new Error(`${details.exception?.description ?? details.text}`);
    return (reply.result as { value: Value }).value;
  }

  /** Undefined while the page is on its way to another one. */
  async #evaluateSoon<Value>(expression: string): Promise<Value | undefined> {
    try {
      return await this.evaluate<Value>(expression);
    } catch (error) {
      if (error instanceof Error && LEAVING.test(error.message)) return undefined;
      throw error;
    }
  }

  /** Resolves with the expression's value as soon as that is truthy. */
  async waitFor<Value>(
    expression: string,
    deadlineMs: number = DEADLINE_MS,
  ): Promise<NonNullable<Value>> {
    try {
      return await waitFor(expression, () => this.#evaluateSoon<Value>(expression), deadlineMs);
    } catch (error) {
      const text = await this.text().catch(() => "(nothing)");
      throw new Error(
        `${error instanceof Error ? error.message : error}\nThe page shows: ${text.slice(0, 2000)}\n` +
          `It complains: ${this.complaints.join("; ") || "of nothing"}`,
        { cause: error },
      );
    }
  }

  /**
   * Resolves when the page shows `text`, inside the first element of `selector`. Characters that only keep the directions of
   * two texts apart do not count.
   */
  async see(text: string, selector = "body"): Promise<void> {
    const [json, where] = [JSON.stringify(text), JSON.stringify(selector)];
    const shown = `document.querySelector(${where})?.innerText.replace(/[\\u2066-\\u2069]/g, "")`;
    await this.waitFor(`!!${shown}?.includes(${json})`);
  }

  /** What the page shows as text. */
  text(selector = "body"): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`);
  }

  /** How many elements there are. */
  count(selector: string): Promise<number> {
    return this.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  }

  /** Clicks into the middle of the first visible element of `selector`, as a mouse does; waits until there is one. */
  async click(selector: string, button: "left" | "right" = "left"): Promise<void> {
    const { x, y } = await this.#middleOf(selector);
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", { type, x, y, button, clickCount: 1 });
    }
  }

  /** Moves the mouse over an element. */
  async hover(selector: string): Promise<void> {
    const { x, y } = await this.#middleOf(selector);
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
  }

  /** Turns the wheel over an element; positive scrolls down. */
  async wheel(selector: string, deltaY: number): Promise<void> {
    const { x, y } = await this.#middleOf(selector);
    await this.send("Input.dispatchMouseEvent", { type: "mouseWheel", x, y, deltaX: 0, deltaY });
  }

  /** Types into whatever has the focus. */
  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  /** Clicks into a field, and puts `text` in the place of what is in it. */
  async fill(selector: string, text: string): Promise<void> {
    await this.click(selector);
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).select()`);
    await this.type(text);
  }

  /** Presses a key, such as "Enter", "k", "Control+k" or "Alt+Shift+ArrowDown". */
  async press(chord: string): Promise<void> {
    const parts = chord.split(/\+(?=.)/);
    const key = parts.pop() ?? "";
    const modifiers = parts.reduce((sum, name) => sum + (MODIFIERS[name] ?? 0), 0);
    const known = KEYS[key];
    const isPlain = (modifiers & ~8) === 0;
    const text = isPlain ? known === undefined ? key : known.text : undefined;
    const common = {
      key,
      code: known?.code ?? (/^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : ""),
      windowsVirtualKeyCode: known?.keyCode ?? key.toUpperCase().charCodeAt(0),
      modifiers,
    };
    await this.send("Input.dispatchKeyEvent", {
      type: text === undefined ? "rawKeyDown" : "keyDown",
      ...common,
      ...(text === undefined ? {} : { text }),
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
  }

  /** Takes the network away from the page, or gives it back. */
  async setOffline(offline: boolean): Promise<void> {
    await this.send("Network.emulateNetworkConditions", {
      offline,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
  }

  /** The page as a PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Uint8Array.from(atob(String(data)), (char) => char.charCodeAt(0));
  }

  /** Closes the tab. */
  async close(): Promise<void> {
    this.#devTools.forget(this.#sessionId);
    await this.#devTools.send("Target.closeTarget", { targetId: this.#targetId });
  }

  async #load(what: string): Promise<void> {
    const tooLong = setTimeout(() => this.#loaded.reject(new Error(`${what} did not load`)), DEADLINE_MS);
    await this.#loaded.promise.finally(() => clearTimeout(tooLong));
  }

  #middleOf(selector: string): Promise<{ x: number; y: number }> {
    return this.waitFor(`(() => {
      const element = [...document.querySelectorAll(${JSON.stringify(selector)})]
        .find((found) => found.checkVisibility({ visibilityProperty: true }));
      if (!element) return undefined;
      element.scrollIntoView({ block: "nearest", inline: "nearest" });
      const { x, y, width, height } = element.getBoundingClientRect();
      return width > 0 && { x: x + width / 2, y: y + height / 2 };
    })()`);
  }

  #hear(method: string, params: Json): void {
    switch (method) {
      case "Page.loadEventFired":
        this.#loaded.resolve();
        break;
      case "Runtime.exceptionThrown": {
        const details = params.exceptionDetails as { text: string; exception?: { description?: string } };
        this.complaints.push(details.exception?.description ?? details.text);
        break;
      }
      case "Runtime.consoleAPICalled": {
        if (params.type !== "error" && params.type !== "warning") break;
        const args = params.args as { value?: unknown; description?: string }[];
        this.complaints.push(args.map(({ value, description }) => String(value ?? description)).join(" "));
        break;
      }
      case "Log.entryAdded": {
        const { level, text, url } = params.entry as { level: string; text: string; url?: string };
        if (level === "error" || level === "warning") this.complaints.push(`${text} ${url ?? ""}`.trim());
        break;
      }
      case "Network.requestWillBeSent":
        this.requests.push((params.request as { url: string }).url);
        break;
    }
  }
}
