/**
 * What is behind the page, without a page: the little that it needs of a browser is made up, and the test is the server.
 *
 * @module
 */

import type { Dial } from "../../../lib/client/core/transport.ts";
import { isJsonObject, type JsonObject, MSGID } from "../../../lib/protocol/protocol.ts";
import { Model } from "../../../lib/web/app/model.ts";
import { waitFor } from "../../support/process.ts";

/** Answers a request; what it leaves out is a success. Undefined: with a success that says nothing. */
export type Answer = (frame: JsonObject) => JsonObject | undefined;

/** A page that never stops drawing is stopped. */
const MOST_FRAMES = 100;

interface Channel {
  onmessage?: () => void;
}

/** Requests by which the page finds out what the server knows say nothing else. */
function isProbe(frame: JsonObject): boolean {
  return Object.keys(frame).length === 2 && frame.cid !== undefined;
}

/** One browser with one tab, and its server. */
export class ModelSite implements AsyncDisposable {
  /** Behind the page. */
  readonly model: Model;
  /** What was asked, without logins, acknowledgements and probes. */
  readonly asked: JsonObject[] = [];
  /** What went wrong in the page. */
  readonly errors: unknown[] = [];
  /** How often the page was drawn. */
  frames = 0;
  /** What the login reply says besides what it always says. */
  login: JsonObject = {};
  readonly #answer: Answer;
  readonly #globals = new Map<string, PropertyDescriptor | undefined>();
  #channel: Channel = {};
  #receive: (frames: string[]) => void = () => {};

  private constructor(answer: Answer) {
    this.#answer = answer;
    let locks = 0;
    this.#define("location", { href: "http://127.0.0.1/", pathname: "/", hash: "", replace: () => {} });
    this.#define("document", { hidden: false, hasFocus: () => true });
    this.#define("requestAnimationFrame", (draw: () => void) => {
      if (++this.frames < MOST_FRAMES) queueMicrotask(draw);
    });
    this.#define("reportError", (error: unknown) => void this.errors.push(error));
    this.#define("navigator", {
      userAgent: "",
      // The first to ask has it, and nobody gets it back from whoever gave way.
      locks: { request: (_name: string, granted: () => void) => void (locks++ === 0 && granted()) },
    });
    const hear = (channel: Channel) => this.#channel = channel;
    this.#define(
      "BroadcastChannel",
      class {
        constructor() {
          hear(this);
        }
      },
    );
    this.model = new Model(this.#dial);
  }

  /**
   * User 1, ann, who is logged in. `login`: what the reply says beside what it always says. `isOnline`: false for the moment
   * before she is connected.
   */
  static async start(
    login: JsonObject,
    answer: Answer = () => undefined,
    { isOnline = true } = {},
  ): Promise<ModelSite> {
    const site = new ModelSite(answer);
    try {
      site.login = login;
      await site.model.start();
      await site.model.logIn("ann", "secret");
      if (isOnline) await site.settle();
      return site;
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Sends frames to the page. */
  async send(...frames: JsonObject[]): Promise<void> {
    this.#receive(frames.map((frame) => JSON.stringify(frame)));
    await this.settle();
  }

  /** Another tab takes over. */
  async giveWay(): Promise<void> {
    this.#channel.onmessage?.();
    await waitFor("the tab to have given way", () => this.model.link.kind === "elsewhere");
    await this.settle();
  }

  /** Everything that needs no time to pass has happened. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  }

  /** Gives back what was there, with nothing under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.giveWay();
    for (const [name, before] of this.#globals) {
      if (before === undefined) Reflect.deleteProperty(globalThis, name);
      else Object.defineProperty(globalThis, name, before);
    }
  }

  readonly #dial: Dial = (events) => {
    queueMicrotask(() => events.onOpen());
    this.#receive = (frames) => events.onFrames(frames);
    return {
      send: (text) => {
        const frame: unknown = JSON.parse(text);
        if (!isJsonObject(frame)) return;
        const reply = this.#reply(frame);
        if (reply !== undefined) queueMicrotask(() => events.onFrames([JSON.stringify(reply)]));
      },
      close: () => {},
      end: () => Promise.resolve(),
    };
  };

  #reply(frame: JsonObject): JsonObject | undefined {
    const { msgid, cid } = frame;
    if (cid === undefined) return undefined;
    if (msgid === MSGID.LOGIN_MSG || msgid === MSGID.RESUME_MSG) {
      const known = { id: 1, name: "ann", device_id: 7, token: "t", friends: [], groups: [] };
      return { msgid: MSGID.LOGIN_MSG_ACK, cid, errno: 0, ...known, conversations: [], ...this.login };
    }
    if (isProbe(frame)) return { msgid: MSGID.ACK_MSG, cid, errno: 4 };
    this.asked.push(frame);
    const answer = msgid === MSGID.HISTORY_MSG ? MSGID.HISTORY_MSG_ACK : MSGID.ACK_MSG;
    return { msgid: answer, cid, errno: 0, ...this.#answer(frame) };
  }

  #define(name: string, value: unknown): void {
    this.#globals.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}
