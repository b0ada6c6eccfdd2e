import { assertEquals } from "@std/assert";
import type { ChatMessage } from "../../../lib/client/core/messages.ts";
import { Conversation } from "../../../lib/web/app/conversation.ts";
import type { Model } from "../../../lib/web/app/model.ts";
import { Notices } from "../../../lib/web/app/notices.ts";
import { prefs } from "../../../lib/web/app/prefs.ts";

/** What a browser is asked to show; `isRefused`: it throws, as Chrome on Android does. */
function notify(message: Partial<ChatMessage>, { isMuted = false, isRefused = false } = {}): string[] {
  const shown: string[] = [];
  class Notification {
    static permission = "granted";
    constructor(title: string) {
      if (isRefused) throw new TypeError("Illegal constructor");
      shown.push(title);
    }
  }
  const model = { me: 1, now: () => 0, nameOf: () => "li", onMessage: () => {} } as unknown as Model;
  const conversation = new Conversation("u1-2", 1);
  if (isMuted) conversation.head.mutedUntil = 1;
  const before = prefs.notify;
  Object.assign(globalThis, { document: { hidden: true }, Notification });
  prefs.notify = "on";
  try {
    new Notices(model, () => {});
    model.onMessage(
      { conversation: "u1-2", seq: 1, sender: 2, name: "li", text: "hello", at: 0, ...message },
      conversation,
    );
  } finally {
    prefs.notify = before;
    Reflect.deleteProperty(globalThis, "document");
    Reflect.deleteProperty(globalThis, "Notification");
  }
  return shown;
}

Deno.test("of a conversation that is muted only what names the user is told, and only a list of ids names anybody", () => {
  assertEquals(notify({}), ["li"]);
  assertEquals(notify({}, { isMuted: true }), []);
  assertEquals(notify({ frame: { mentions: [3, 1] } }, { isMuted: true }), ["li"]);
  assertEquals(notify({ frame: { mentions: "all" } }, { isMuted: true }), ["li"]);
  for (const mentions of [5, "1", { 1: 1 }, null, [[1]], true]) {
    assertEquals(notify({ frame: { mentions } }, { isMuted: true }), [], JSON.stringify(mentions));
  }
});

Deno.test("a browser that shows no notifications to a page costs nothing but them", () => {
  assertEquals(notify({}, { isRefused: true }), []);
});
