/**
 * A connection for tests that need no socket: it takes every frame, and its peer keeps up.
 *
 * @module
 */

import type { SessionOutlet } from "../../lib/chat/session.ts";

/** Hands each frame to `take`. */
export function fakeOutlet(take: (frame: string) => void = () => {}): SessionOutlet {
  return {
    remote: "test",
    frameLimitBytes: Infinity,
    lastReadAt: 0,
    saidAt: 0,
    isCongested: false,
    queuedBytes: 0,
    isPeerGone: false,
    isEnding: false,
    send: take,
    answer: take,
    allowGluing() {},
    end() {},
  };
}
